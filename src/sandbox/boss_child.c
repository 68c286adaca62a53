/* boss_child.c - from the fork to the main function of a server */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fsx.h"
#include "base/log.h"
#include "ev/loop.h"
#include "ipc/messages.h"
#include "sandbox/boss.h"

static const char *const kind_names[SB_KIND_COUNT] = {
	"agent", "coordinator", "dbserver"
};

static int	(*const mains[SB_KIND_COUNT])(struct sb_child *) = {
	agent_main, coordinator_main, dbserver_main
};

const char *
sb_kind_name(enum sb_kind kind)
{
	return (unsigned)kind < SB_KIND_COUNT ? kind_names[kind] : "?";
}

/* ---- what the boss asks for --------------------------------------------- */

static int
on_fault(struct msg_in *m)
{
	struct sb_child	*c = m->ctx;
	struct sb_fault	 f;
	struct buf	 ans = BUF_INIT;
	char		 path[1024];
	uint8_t		 kind;
	int		 r;

	if ((r = get_u8(&m->body, &kind)) != 0 ||
	    (r = get_u32(&m->body, &f.delay_ms)) != 0 ||
	    (r = get_str(&m->body, path, sizeof(path))) != 0 ||
	    (r = get_u32(&m->body, &f.count)) != 0 ||
	    (r = get_end(&m->body)) != 0)
		return r;
	if (kind >= SB_FAULT_COUNT)
		return ERR_RANGE;
	f.kind = (enum sb_fault_kind)kind;
	f.path = path;
	r = c->fault_fn == NULL ? ERR_BAD_STATE :
	    c->fault_fn(c->fault_arg, &f);
	put_i32(&ans, r);
	put_str(&ans, r == 0 ? "" : c->fault_fn == NULL ?
	    "it takes no faults" : err_text(r));
	(void)peer_send_buf(m->peer, MSG_SB_FAULT_ANS, m->id, &ans);
	return 0;
}

static int
on_prune(struct msg_in *m)
{
	struct sb_child		*c = m->ctx;
	struct sb_prune_result	 res = { 0, 0 };
	struct err_msg		 msg = { "" };
	struct buf		 ans = BUF_INIT;
	int			 r;

	if ((r = get_end(&m->body)) != 0)
		return r;
	if (c->prune_fn == NULL)
		r = err_set(&msg, ERR_BAD_STATE, "it has no WAL to prune");
	else if ((r = c->prune_fn(c->prune_arg, &res, &msg)) != 0 &&
	    msg.text[0] == '\0')
		(void)err_set(&msg, r, "%s", err_text(r));
	put_i32(&ans, r);
	put_u64(&ans, res.removed);
	put_u64(&ans, res.kept);
	put_str(&ans, r == 0 ? "" : msg.text);
	(void)peer_send_buf(m->peer, MSG_SB_PRUNE_ANS, m->id, &ans);
	return 0;
}

static const struct msg_rule from_boss[] = {
	{ MSG_SB_FAULT_REQ,	1, 13, 2048, on_fault },
	{ MSG_SB_PRUNE_REQ,	1, 0, 0, on_prune },
	{ MSG_NONE, 0, 0, 0, NULL }
};

static void
on_stop(void *arg, enum proc_stop_why why)
{
	struct sb_child	*c = arg;

	if (c->quit_fn != NULL)
		c->quit_fn(c->quit_arg, why == PROC_STOP_ORPHANED ?
		    SB_QUIT_ORPHANED : SB_QUIT_STOP);
	else
		loop_stop(c->loop);
}

/* ---- the log ------------------------------------------------------------ */

/* What libraries print belongs into the log as well; and nobody who started
 * the cluster may have to wait for us to close a pipe. */
static void
take_over_output(void)
{
	fflush(NULL);
	dup2(log_fd(), STDOUT_FILENO);
	dup2(log_fd(), STDERR_FILENO);
}

static void
on_reload(void *arg)
{
	struct sb_child	*c = arg;
	int		 r;

	if ((r = log_reopen()) != 0)
		log_error("cannot open the log of %s again: %s", c->name,
		    err_text(r));
	else
		take_over_output();
}

static void
on_dump(void *arg)
{
	struct sb_child	*c = arg;

	log_notice("%s, id %s, %s, agency %s, version %s %s", c->name, c->id,
	    c->endpoint, c->agency_endpoint, c->version,
	    c->enterprise ? "enterprise" : "community");
}

/* ---- start -------------------------------------------------------------- */

static int
open_log(struct sb_child *c)
{
	char	*path = xasprintf("%s/log", c->dir);
	int	 r;

	if ((r = log_open(path)) == 0)
		take_over_output();
	free(path);
	return r;
}

/* The password outlives the command line that gave it. */
static char *
load_root_password(struct boss_server *s)
{
	struct buf	 b = BUF_INIT;
	char		*path, *password;

	if (s->boss->opts->root_password != NULL)
		return xstrdup(s->boss->opts->root_password);
	path = xasprintf("%s/%s", s->boss->dir, BOSS_PASSWORD_FILE);
	if (fsx_read_file(path, 4096, &b) != 0)
		buf_reset(&b);
	password = xstrdup(buf_cstr(&b));
	buf_free(&b);
	free(path);
	return password;
}

static void
fill(struct sb_child *c, struct boss_server *s, struct proc_child *pc)
{
	const struct boss_config	*conf = &s->boss->config;

	memset(c, 0, sizeof(*c));
	c->name = s->name;
	c->kind = s->kind;
	c->number = s->number;
	c->id = s->id;
	c->cluster_id = conf->cluster_id;
	c->dir = s->dir;
	c->store_dir = xasprintf("%s/rocksdb", s->dir);
	c->first_start = !s->initialized;
	c->listen_fd = -1;
	c->port = s->port;
	c->endpoint = s->endpoint;
	c->agency_endpoint = s->boss->servers[0].endpoint;
	c->coordinators = conf->count[SB_KIND_COORDINATOR];
	c->dbservers = conf->count[SB_KIND_DBSERVER];
	c->version = conf->version;
	c->enterprise = conf->enterprise;
	c->auth_file = conf->auth_file;
	c->root_password = s->kind == SB_KIND_COORDINATOR ?
	    load_root_password(s) : xstrdup("");
	c->tls_keyfile = conf->tls_keyfile;
	c->merge_window_us = conf->merge_window_us;
	c->loop = pc->loop;
	c->proc = pc;
}

int
boss_child_main(struct proc_child *pc, void *arg, struct rbuf *config)
{
	struct boss_server	*s = arg;
	struct sb_child		 c;
	int			 r, code;

	if (get_end(config) != 0)
		return PROC_EXIT_PROTOCOL;
	/* A limit on file sizes is an error of a write, which is told. */
	signal(SIGXFSZ, SIG_IGN);
	fill(&c, s, pc);
	if ((r = open_log(&c)) != 0)
		return sb_child_fail(&c, PROC_EXIT_START,
		    "cannot open the log in %s: %s", c.dir, err_text(r));
	log_notice("%s (%s) starts on port %u", c.name, c.id,
	    (unsigned)c.port);
	if ((c.listen_fd = boss_port_bind(c.port)) < 0)
		return sb_child_fail(&c, PROC_EXIT_PORT,
		    "port %u cannot be used: %s", (unsigned)c.port,
		    err_text(c.listen_fd));
	proc_child_on_stop(pc, on_stop, &c);
	proc_child_on_reload(pc, on_reload, &c);
	proc_child_on_dump(pc, on_dump, &c);
	proc_child_set_rules(pc, from_boss, &c);
	code = mains[s->kind](&c);
	log_notice("%s ends: %s", c.name, proc_exit_name(code));
	return code;
}

void
sb_child_ready(struct sb_child *c)
{
	log_notice("%s serves on %s", c->name, c->endpoint);
	proc_child_ready(c->proc);
}

int
sb_child_fail(struct sb_child *c, enum proc_exit code, const char *fmt, ...)
{
	char	 text[512];
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return proc_child_fail_text(c->proc, code, text);
}

void
sb_child_storage_failed(struct sb_child *c, const char *why)
{
	int	 code = strstr(why, strerror(ENOSPC)) != NULL ?
		    PROC_EXIT_NO_SPACE : PROC_EXIT_STORAGE;

	_exit(sb_child_fail(c, code, "%s: %s", c->name, why));
}

void
sb_child_on_fault(struct sb_child *c, sb_fault_fn *fn, void *arg)
{
	c->fault_fn = fn;
	c->fault_arg = arg;
}

void
sb_child_on_prune(struct sb_child *c, sb_prune_fn *fn, void *arg)
{
	c->prune_fn = fn;
	c->prune_arg = arg;
}

void
sb_child_on_quit(struct sb_child *c, sb_quit_fn *fn, void *arg)
{
	c->quit_fn = fn;
	c->quit_arg = arg;
}
