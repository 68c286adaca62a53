/*
 * boss_control.c - commands that come over the Unix socket.
 *
 * A request is answered when what it asks for is true, or cannot become true
 * any more.  What waits is a row: who asked, for which server, for what.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "sandbox/boss.h"
#include "sandbox/control.h"
#include "sandbox/store.h"

#define CLIENTS_MAX	64

enum until {
	UNTIL_NOTHING,		/* the row is free */
	UNTIL_UP,		/* READY */
	UNTIL_DOWN,		/* reaped */
	UNTIL_CUT,		/* reaped, then the log is cut */
	UNTIL_PAUSED,
	UNTIL_RESUMED,
	UNTIL_ANSWER,		/* of the server, to request server_id */
	UNTIL_STOPPED		/* the whole cluster */
};

/* One connected command; one request at a time. */
struct client {
	struct control	*control;
	struct peer	*peer;		/* NULL: the row is free */
	struct poll_fd	*watch;
	uint32_t	 id;		/* of the request, for the answer */
	enum until	 until;
	struct boss_server *server;
	uint32_t	 server_id;
};

struct control {
	struct boss	*boss;
	int		 fd;		/* listening */
	struct poll_fd	*watch;
	struct client	 clients[CLIENTS_MAX];
};

int
control_address(const char *dir, const char *name, struct sockaddr_un *sun)
{
	int	 fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1)
		return -errno;
	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	snprintf(sun->sun_path, sizeof(sun->sun_path), "/proc/self/fd/%d/%s",
	    fd, name);
	return fd;
}

/* ---- answers ------------------------------------------------------------ */

static void answer(struct client *c, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
answer(struct client *c, int code, const char *fmt, ...)
{
	struct buf	 ans = BUF_INIT;
	char		*text;
	va_list		 ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		fatal("out of memory");
	va_end(ap);
	put_u8(&ans, (uint8_t)code);
	put_str(&ans, text);
	free(text);
	(void)peer_send_buf(c->peer, MSG_CMD_ANS, c->id, &ans);
	c->until = UNTIL_NOTHING;
	c->server = NULL;
}

static void
wait_for(struct client *c, enum until until, struct boss_server *s)
{
	c->until = until;
	c->server = s;
}

static void
cut_power(struct client *c, struct boss_server *s)
{
	struct err_msg	 m = { "" };
	struct stat	 st;
	char		*dir = xasprintf("%s/rocksdb", s->dir);
	int		 r = 0;

	/* Coordinators keep nothing, so they have nothing to lose. */
	if (stat(dir, &st) == 0)
		r = store_power_cut(dir, &m);
	free(dir);
	if (r == 0)
		answer(c, 0, "%s", "");
	else
		answer(c, 1, "%s is down, but its log could not be cut: %s",
		    s->name, m.text[0] != '\0' ? m.text : err_text(r));
}

/* Is what the command waits for true, or never to be? */
static void
look(struct client *c)
{
	struct boss_server	*s = c->server;
	enum proc_state		 state = proc_state(s->proc);
	bool			 down = proc_pid(s->proc) == 0;

	switch (c->until) {
	case UNTIL_UP:
		if (state == PROC_READY)
			answer(c, 0, "%s", "");
		else if (down)
			answer(c, 1, "%s did not start: %s; see %s/log",
			    s->name, proc_end(s->proc)->text, s->dir);
		break;
	case UNTIL_DOWN:
		if (down)
			answer(c, 0, "%s", "");
		break;
	case UNTIL_CUT:
		if (down)
			cut_power(c, s);
		break;
	case UNTIL_PAUSED:
	case UNTIL_RESUMED:
		if (down)
			answer(c, 1, "%s ended: %s", s->name,
			    proc_end(s->proc)->text);
		else if (proc_is_paused(s->proc) == (c->until == UNTIL_PAUSED))
			answer(c, 0, "%s", "");
		break;
	case UNTIL_ANSWER:
		if (down)
			answer(c, 1, "%s ended before it answered: %s",
			    s->name, proc_end(s->proc)->text);
		break;
	default:
		break;
	}
}

void
control_server_changed(struct control *k, struct boss_server *s)
{
	size_t	 i;

	for (i = 0; i < CLIENTS_MAX; i++)
		if (k->clients[i].peer != NULL &&
		    k->clients[i].until != UNTIL_NOTHING &&
		    k->clients[i].server == s)
			look(&k->clients[i]);
}

/* ---- requests about one server ------------------------------------------ */

static int
on_status(struct msg_in *m)
{
	struct client	*c = m->ctx;
	struct boss	*b = c->control->boss;
	char		*text;
	bool		 all = true;
	size_t		 i;

	for (i = 0; i < b->n; i++)
		all = all && boss_is_up(&b->servers[i]);
	text = boss_cluster_text(b);
	answer(c, all ? 0 : 1, "%s", text);
	free(text);
	return get_end(&m->body);
}

static int
on_stop(struct msg_in *m)
{
	struct client	*c = m->ctx;

	wait_for(c, UNTIL_STOPPED, NULL);
	log_notice("stop: asked for by a command");
	super_stop(c->control->boss->super, 0);
	return get_end(&m->body);
}

static void
do_kill(struct client *c, struct boss_server *s)
{
	proc_kill(s->proc);
	wait_for(c, UNTIL_DOWN, s);
	look(c);
}

static void
do_power_cut(struct client *c, struct boss_server *s)
{
	proc_kill(s->proc);
	wait_for(c, UNTIL_CUT, s);
	look(c);
}

static void
do_start(struct client *c, struct boss_server *s)
{
	const struct boss_config	*conf = &c->control->boss->config;
	struct err_msg			 m = { "" };
	int				 r;

	if (proc_is_paused(s->proc)) {
		answer(c, 1, "%s is paused: resume it", s->name);
		return;
	}
	/* The server would only say that it cannot serve. */
	if (proc_pid(s->proc) == 0 && boss_check_files(conf->auth_file,
	    conf->tls_keyfile, &m) != 0) {
		answer(c, 1, "%s cannot be started: %s", s->name, m.text);
		return;
	}
	if ((r = proc_start(s->proc)) != 0) {
		answer(c, 1, "%s cannot be started: %s", s->name,
		    super_is_stopping(c->control->boss->super) ?
		    "the cluster is being stopped" : err_text(r));
		return;
	}
	wait_for(c, UNTIL_UP, s);
	look(c);
}

static void
do_pause(struct client *c, struct boss_server *s)
{
	int	 r;

	if (proc_state(s->proc) != PROC_READY)
		answer(c, 1, "%s is down", s->name);
	else if ((r = proc_pause(s->proc)) != 0)
		answer(c, 1, "%s cannot be paused: %s", s->name, err_text(r));
	else {
		wait_for(c, UNTIL_PAUSED, s);
		look(c);
	}
}

static void
do_resume(struct client *c, struct boss_server *s)
{
	int	 r;

	if (proc_pid(s->proc) == 0)
		answer(c, 1, "%s is down: start it", s->name);
	else if ((r = proc_resume(s->proc)) != 0)
		answer(c, 1, "%s cannot be resumed: %s", s->name, err_text(r));
	else {
		wait_for(c, UNTIL_RESUMED, s);
		look(c);
	}
}

/* The server answers requests of ours only while it is up. */
static void
ask_server(struct client *c, struct boss_server *s, uint16_t type,
    struct buf *body)
{
	struct peer	*peer = proc_peer(s->proc);

	if (!boss_is_up(s) || peer == NULL) {
		buf_free(body);
		answer(c, 1, "%s is %s", s->name, boss_state(s));
		return;
	}
	c->server_id = peer_next_id(peer);
	if (peer_send_buf(peer, type, c->server_id, body) != 0)
		answer(c, 1, "%s does not listen", s->name);
	else
		wait_for(c, UNTIL_ANSWER, s);
}

static void
do_prune(struct client *c, struct boss_server *s)
{
	struct buf	 empty = BUF_INIT;

	ask_server(c, s, MSG_SB_PRUNE_REQ, &empty);
}

static const struct {
	uint16_t	 type;
	void		(*fn)(struct client *, struct boss_server *);
} verbs[] = {
	{ MSG_CMD_KILL_REQ,		do_kill },
	{ MSG_CMD_START_REQ,		do_start },
	{ MSG_CMD_PAUSE_REQ,		do_pause },
	{ MSG_CMD_RESUME_REQ,		do_resume },
	{ MSG_CMD_POWER_CUT_REQ,	do_power_cut },
	{ MSG_CMD_PRUNE_REQ,		do_prune }
};

static struct boss_server *
find_server(struct client *c, const char *name)
{
	struct boss_server	*s = boss_find(c->control->boss, name);

	if (s == NULL)
		answer(c, 2, "there is no server %s in this cluster", name);
	return s;
}

static int
on_verb(struct msg_in *m)
{
	struct client		*c = m->ctx;
	struct boss_server	*s;
	char			 name[64];
	size_t			 i;
	int			 r;

	if ((r = get_str(&m->body, name, sizeof(name))) != 0 ||
	    (r = get_end(&m->body)) != 0)
		return r;
	if ((s = find_server(c, name)) == NULL)
		return 0;
	for (i = 0; i < NITEMS(verbs); i++)
		if (verbs[i].type == m->type)
			verbs[i].fn(c, s);
	return 0;
}

static int
on_fault(struct msg_in *m)
{
	struct client		*c = m->ctx;
	struct boss_server	*s;
	struct buf		 body = BUF_INIT;
	char			 name[64], path[1024];
	uint32_t		 delay, count;
	uint8_t			 kind;
	int			 r;

	if ((r = get_str(&m->body, name, sizeof(name))) != 0 ||
	    (r = get_u8(&m->body, &kind)) != 0 ||
	    (r = get_u32(&m->body, &delay)) != 0 ||
	    (r = get_str(&m->body, path, sizeof(path))) != 0 ||
	    (r = get_u32(&m->body, &count)) != 0 ||
	    (r = get_end(&m->body)) != 0)
		return r;
	if (kind >= SB_FAULT_COUNT)
		return ERR_RANGE;
	if ((s = find_server(c, name)) == NULL)
		return 0;
	put_u8(&body, kind);
	put_u32(&body, delay);
	put_str(&body, path);
	put_u32(&body, count);
	ask_server(c, s, MSG_SB_FAULT_REQ, &body);
	return 0;
}

static const struct msg_rule from_command[] = {
	{ MSG_CMD_STATUS_REQ,		1, 0, 0, on_status },
	{ MSG_CMD_STOP_REQ,		1, 0, 0, on_stop },
	{ MSG_CMD_KILL_REQ,		1, 4, 68, on_verb },
	{ MSG_CMD_START_REQ,		1, 4, 68, on_verb },
	{ MSG_CMD_PAUSE_REQ,		1, 4, 68, on_verb },
	{ MSG_CMD_RESUME_REQ,		1, 4, 68, on_verb },
	{ MSG_CMD_POWER_CUT_REQ,	1, 4, 68, on_verb },
	{ MSG_CMD_PRUNE_REQ,		1, 4, 68, on_verb },
	{ MSG_CMD_FAULT_REQ,		1, 17, 2048, on_fault },
	{ MSG_NONE, 0, 0, 0, NULL }
};

/* ---- answers of servers ------------------------------------------------- */

static struct client *
who_asked(struct proc *p, uint32_t id)
{
	struct boss_server	*s = proc_arg(p);
	struct control		*k = s->boss->control;
	struct client		*c;
	size_t			 i;

	for (i = 0; i < CLIENTS_MAX; i++) {
		c = &k->clients[i];
		if (c->peer != NULL && c->until == UNTIL_ANSWER &&
		    c->server == s && c->server_id == id)
			return c;
	}
	return NULL;	/* the command has gone meanwhile */
}

static int
on_fault_answer(struct msg_in *m)
{
	struct client	*c = who_asked(m->ctx, m->id);
	char		 text[512];
	int32_t		 result;
	int		 r;

	if ((r = get_i32(&m->body, &result)) != 0 ||
	    (r = get_str(&m->body, text, sizeof(text))) != 0 ||
	    (r = get_end(&m->body)) != 0)
		return r;
	if (c == NULL)
		return 0;
	if (result == 0)
		answer(c, 0, "%s", "");
	else
		answer(c, 1, "%s refused: %s", c->server->name, text);
	return 0;
}

static int
on_prune_answer(struct msg_in *m)
{
	struct client	*c = who_asked(m->ctx, m->id);
	char		 text[512];
	uint64_t	 removed, kept;
	int32_t		 result;
	int		 r;

	if ((r = get_i32(&m->body, &result)) != 0 ||
	    (r = get_u64(&m->body, &removed)) != 0 ||
	    (r = get_u64(&m->body, &kept)) != 0 ||
	    (r = get_str(&m->body, text, sizeof(text))) != 0 ||
	    (r = get_end(&m->body)) != 0)
		return r;
	if (c == NULL)
		return 0;
	if (result == 0)
		answer(c, 0, "%s: %llu WAL files removed, %llu kept",
		    c->server->name, (unsigned long long)removed,
		    (unsigned long long)kept);
	else
		answer(c, 1, "%s: %s", c->server->name, text);
	return 0;
}

const struct msg_rule control_server_rules[] = {
	{ MSG_SB_FAULT_ANS, PROC_PHASE_ANY, 8, 600, on_fault_answer },
	{ MSG_SB_PRUNE_ANS, PROC_PHASE_ANY, 24, 600, on_prune_answer },
	{ MSG_NONE, 0, 0, 0, NULL }
};

/* ---- connections -------------------------------------------------------- */

static int
on_message(struct peer *peer, const struct frame *f, void *arg)
{
	struct client	*c = arg;

	if (c->until != UNTIL_NOTHING)
		return ERR_BAD_STATE;
	c->id = f->id;
	return msg_dispatch(from_command, 1, c, peer, f);
}

static void
on_lost(struct peer *peer, int why, void *arg)
{
	struct client	*c = arg;

	/* Whoever asked does not wait any more; what was begun goes on. */
	if (why != ERR_CLOSED)
		log_warning("a command was hung up on: %s", err_text(why));
	poll_fd_free(&c->watch);
	peer_free(&c->peer);
	c->until = UNTIL_NOTHING;
	c->server = NULL;
}

static const struct peer_ops command_ops = { on_message, on_lost, NULL };

static void
client_wants(void *arg, short events)
{
	struct client	*c = arg;

	if (c->watch != NULL)
		poll_fd_set(c->watch, events);
}

static void
client_ready(void *arg, short revents)
{
	struct client	*c = arg;

	peer_handle(c->peer, revents);
}

static void
on_connect(void *arg, short revents)
{
	struct control	*k = arg;
	struct client	*c = NULL;
	size_t		 i;
	int		 fd;

	fd = accept4(k->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd == -1)
		return;
	for (i = 0; i < CLIENTS_MAX && c == NULL; i++)
		if (k->clients[i].peer == NULL)
			c = &k->clients[i];
	if (c == NULL) {
		log_warning("more than %d commands at a time", CLIENTS_MAX);
		close(fd);
		return;
	}
	memset(c, 0, sizeof(*c));
	c->control = k;
	c->peer = peer_new(fd, "command", &command_ops, c);
	c->watch = poll_fd_new(super_pollset(k->boss->super), fd, 0,
	    client_ready, c);
	peer_watch(c->peer, client_wants, c);
}

int
control_new(struct boss *b, struct control **out, struct err_msg *m)
{
	struct control		*k;
	struct sockaddr_un	 sun;
	int			 dir, fd, r = 0;

	if ((dir = control_address(b->dir, BOSS_SOCKET_FILE, &sun)) < 0)
		return err_set(m, dir, "%s: %s", b->dir, err_text(dir));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* We hold the lock, so a socket that is there is nobody's. */
	if (fd == -1 || (unlink(sun.sun_path) == -1 && errno != ENOENT) ||
	    bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    chmod(sun.sun_path, 0600) == -1 || listen(fd, 16) == -1)
		r = err_set(m, -errno, "cannot listen on %s/%s: %s", b->dir,
		    BOSS_SOCKET_FILE, err_text(-errno));
	close(dir);
	if (r != 0) {
		if (fd != -1)
			close(fd);
		return r;
	}
	k = xcalloc(1, sizeof(*k));
	k->boss = b;
	k->fd = fd;
	k->watch = poll_fd_new(super_pollset(b->super), fd, POLLIN,
	    on_connect, k);
	*out = k;
	return 0;
}

void
control_free(struct control **kp)
{
	struct control	*k = *kp;
	struct client	*c;
	char		*path;
	size_t		 i;

	if (k == NULL)
		return;
	*kp = NULL;
	path = xasprintf("%s/%s", k->boss->dir, BOSS_SOCKET_FILE);
	(void)unlink(path);
	free(path);
	poll_fd_free(&k->watch);
	close(k->fd);
	for (i = 0; i < CLIENTS_MAX; i++) {
		c = &k->clients[i];
		if (c->peer == NULL)
			continue;
		if (c->until == UNTIL_STOPPED)
			answer(c, 0, "%s", "");
		else if (c->until != UNTIL_NOTHING)
			answer(c, 1, "the cluster was stopped meanwhile");
		(void)peer_flush(c->peer, 1000);
		poll_fd_free(&c->watch);
		peer_free(&c->peer);
	}
	free(k);
}
