/* child.c - the child's side: handshake, last words, reasons to leave */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "ev/loop.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "proc/child.h"
#include "proc/child_priv.h"
#include "proc/proc.h"

#define FLUSH_MS	1000

/*
 * One byte for all children of a supervisor: the first that sees its end says
 * so for hundreds of others.  Without it everybody does.
 */
static volatile char	*orphans_told;

void
proc_child_prepare(void)
{
	void	*p;

	if (orphans_told != NULL)
		return;
	p = mmap(NULL, sizeof(*orphans_told), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p != MAP_FAILED)
		orphans_told = p;
}

static bool
is_first_orphan(void)
{
	return orphans_told == NULL ||
	    !__atomic_test_and_set(orphans_told, __ATOMIC_SEQ_CST);
}

static void
stop(struct proc_child *c, enum proc_stop_why why)
{
	if (why == PROC_STOP_ORPHANED)
		c->orphaned = true;
	if (c->stopping)
		return;
	c->stopping = true;
	if (c->on_stop != NULL)
		c->on_stop(c->on_stop_arg, why);
	else
		loop_stop(c->loop);
}

static int
on_config(struct msg_in *m)
{
	struct proc_child	*c = m->ctx;

	if (c->config != NULL)
		return ERR_BAD_STATE;
	c->config = xcalloc(1, sizeof(*c->config));
	buf_append(c->config, m->body.p, m->body.left);
	loop_stop(c->loop);
	return 0;
}

static int
on_stop_message(struct msg_in *m)
{
	struct proc_child	*c = m->ctx;

	if (get_end(&m->body) != 0)
		return ERR_FORMAT;
	stop(c, PROC_STOP_ASKED);
	return 0;
}

static int
on_reload_message(struct msg_in *m)
{
	struct proc_child	*c = m->ctx;

	if (c->on_reload != NULL)
		c->on_reload(c->on_reload_arg);
	return get_end(&m->body);
}

static int
on_dump_message(struct msg_in *m)
{
	struct proc_child	*c = m->ctx;

	if (c->on_dump != NULL)
		c->on_dump(c->on_dump_arg);
	return get_end(&m->body);
}

static const struct msg_rule from_supervisor[] = {
	{ MSG_PROC_HELLO_ANS,	1, 0, PEER_MESSAGE_MAX_BYTES, on_config },
	{ MSG_PROC_STOP,	1, 0, 0, on_stop_message },
	{ MSG_PROC_RELOAD,	1, 0, 0, on_reload_message },
	{ MSG_PROC_DUMP,	1, 0, 0, on_dump_message },
	{ MSG_NONE, 0, 0, 0, NULL }
};

static int
on_message(struct peer *peer, const struct frame *f, void *arg)
{
	struct proc_child	*c = arg;
	int			 r;

	r = msg_dispatch_known(from_supervisor, 1, c, peer, f);
	if (r == ERR_NOT_FOUND && c->rules != NULL)
		r = msg_dispatch_known(c->rules, 1, c->rules_ctx, peer, f);
	if (r < 0)
		log_error("%s of the supervisor is not acceptable: %s",
		    msg_name(f->type), err_text(r));
	return r;
}

static void
on_lost(struct peer *peer, int why, void *arg)
{
	struct proc_child	*c = arg;

	if (is_first_orphan())
		log_warning("the supervisor is gone (%s); its processes leave",
		    err_text(why));
	else
		log_debug("the supervisor is gone (%s); leaving",
		    err_text(why));
	/* Whoever hangs on its way out is ended by the kernel. */
	alarm(PROC_ORPHAN_KILL_MS / 1000);
	stop(c, PROC_STOP_ORPHANED);
}

static const struct peer_ops supervisor_ops = { on_message, on_lost, NULL };

static void
on_sigterm(void *arg, int signo)
{
	struct proc_child	*c = arg;

	stop(c, PROC_STOP_ASKED);
}

static void
on_hello_timeout(void *arg)
{
	struct proc_child	*c = arg;

	loop_stop(c->loop);
}

/* HELLO, then wait for the configuration.  0 or an exit code. */
static int
shake_hands(struct proc_child *c)
{
	struct loop_timer	*t;
	struct buf		 hello = BUF_INIT;

	put_u16(&hello, PROC_PROTOCOL_VERSION);
	put_str(&hello, PACKAGE_VERSION);
	put_u32(&hello, c->generation);
	(void)peer_send_buf(c->boss, MSG_PROC_HELLO_REQ,
	    peer_next_id(c->boss), &hello);
	t = loop_timer_new(c->loop, on_hello_timeout, c);
	loop_timer_start(t, PROC_HELLO_MS);
	(void)loop_run(c->loop);
	loop_timer_free(&t);
	if (c->orphaned)
		return PROC_EXIT_ORPHANED;
	if (c->config == NULL && c->stopping)
		return -1;	/* stopped before it began: in order */
	if (c->config == NULL) {
		log_error("the supervisor sends no configuration");
		return PROC_EXIT_PROTOCOL;
	}
	return PROC_EXIT_OK;
}

int
proc_child_main(const struct proc_class *class, const char *name, void *arg,
    uint32_t generation)
{
	struct proc_child	 c;
	struct rbuf		 config;
	int			 code;

	memset(&c, 0, sizeof(c));
	c.name = name;
	c.generation = generation;
	if ((c.loop = loop_new()) == NULL) {
		log_error("cannot make an event loop: %s", err_text(-errno));
		return PROC_EXIT_LIMIT;
	}
	c.boss = peer_new(PROC_FD_CONTROL, name, &supervisor_ops, &c);
	peer_set_generation(c.boss, generation);
	if (peer_attach(c.boss, c.loop) != 0 || (c.sigterm =
	    loop_signal_new(c.loop, SIGTERM, on_sigterm, &c)) == NULL) {
		log_error("cannot watch the supervisor");
		return PROC_EXIT_START;
	}
	code = shake_hands(&c);
	if (code == PROC_EXIT_OK && !c.stopping) {
		config.p = c.config->data;
		config.left = c.config->len;
		code = class->main(&c, arg, &config);
	} else if (code == -1)
		code = PROC_EXIT_OK;
	if (code == PROC_EXIT_OK && c.orphaned)
		code = PROC_EXIT_ORPHANED;
	(void)peer_flush(c.boss, FLUSH_MS);
	peer_free(&c.boss);
	loop_signal_free(&c.sigterm);
	if (c.config != NULL)
		buf_free(c.config);
	free(c.config);
	return code;
}

void
proc_child_ready(struct proc_child *c)
{
	if (c->ready)
		return;
	c->ready = true;
	(void)peer_send(c->boss, MSG_PROC_READY, 0, NULL, 0);
}

void
proc_child_progress(struct proc_child *c)
{
	(void)peer_send(c->boss, MSG_PROC_PROGRESS, 0, NULL, 0);
}

int
proc_child_fail_text(struct proc_child *c, enum proc_exit code,
    const char *text)
{
	struct buf	 m = BUF_INIT;
	char		 cut[480];

	log_error("%s", text);
	snprintf(cut, sizeof(cut), "%s", text);
	put_u8(&m, (uint8_t)code);
	put_str(&m, cut);
	(void)peer_send_buf(c->boss, MSG_PROC_FAILED, 0, &m);
	(void)peer_flush(c->boss, FLUSH_MS);
	return code;
}

int
proc_child_fail(struct proc_child *c, enum proc_exit code, const char *fmt,
    ...)
{
	char	 text[512];
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return proc_child_fail_text(c, code, text);
}

void
proc_child_on_stop(struct proc_child *c,
    void (*fn)(void *, enum proc_stop_why), void *arg)
{
	c->on_stop = fn;
	c->on_stop_arg = arg;
}

void
proc_child_on_reload(struct proc_child *c, void (*fn)(void *), void *arg)
{
	c->on_reload = fn;
	c->on_reload_arg = arg;
}

void
proc_child_on_dump(struct proc_child *c, void (*fn)(void *), void *arg)
{
	c->on_dump = fn;
	c->on_dump_arg = arg;
}

void
proc_child_set_rules(struct proc_child *c, const struct msg_rule *rules,
    void *ctx)
{
	c->rules = rules;
	c->rules_ctx = ctx;
}
