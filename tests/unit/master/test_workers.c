/*
 * test_workers.c - processes as control keeps them: a supervisor that the test
 * plays, and connections whose other end it has
 */
#include <sys/socket.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "arango/conn.h"
#include "base/err.h"
#include "base/log.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "master/control_workers.h"
#include "garbage.h"
#include "unit.h"

#define LOG_MAX	32

/* What came over one connection, and when it was lost. */
struct far {
	struct peer	*peer;
	uint16_t	 types[LOG_MAX];
	char		 words[LOG_MAX][128];	/* first string of each */
	size_t		 n;
	bool		 lost;
};

static struct {
	struct control	 c;
	struct member	 m;
	struct proc_child child;
	struct far	 boss;
	struct loop_timer *ticker;
	unsigned	 connected, statuses, changed, gone;
} t;

static const char *const	of_tail[] = { "control", "api" };

/* ---- the other ends ----------------------------------------------------- */

static int
far_message(struct peer *p, const struct frame *f, void *arg)
{
	struct far	*x = arg;
	struct rbuf	 body = { f->payload, f->len };
	char		*s = NULL;

	CU_ASSERT_FATAL(x->n < LOG_MAX);
	x->types[x->n] = f->type;
	x->words[x->n][0] = '\0';
	if (get_str_dup(&body, 127, &s) == 0)
		memcpy(x->words[x->n], s, strlen(s) + 1);
	free(s);
	x->n++;
	return 0;
}

static void
far_lost(struct peer *p, int why, void *arg)
{
	struct far	*x = arg;

	x->lost = true;
	x->peer = NULL;
	peer_free(&p);
}

static const struct peer_ops	 far_ops = {
	.message = far_message, .lost = far_lost
};

/* The near end; x has the far one. */
static int
far_open(struct far *x)
{
	int	 fds[2];

	memset(x, 0, sizeof(*x));
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC,
	    0, fds), 0);
	x->peer = peer_new(fds[1], "far", &far_ops, x);
	CU_ASSERT_EQUAL_FATAL(peer_attach(x->peer, t.c.loop), 0);
	return fds[0];
}

static const struct peer_ops	 near_ops = {
	.message = far_message, .lost = far_lost
};

static void
turn_until(const bool *what, uint64_t ms)
{
	uint64_t	 until = loop_now_ms(t.c.loop) + ms;

	while ((what == NULL || !*what) && loop_now_ms(t.c.loop) < until)
		loop_run_once(t.c.loop, 1);
}

static void
wake(void *arg)
{
}

static void
turn(void)
{
	turn_until(NULL, 30);
}

/* ---- the worker's owner --------------------------------------------------- */

static void
on_connected(struct control_worker *w)
{
	t.connected++;
}

static void
on_status(struct control_worker *w)
{
	t.statuses++;
}

static void
on_changed(struct control_worker *w)
{
	t.changed++;
}

static void
on_gone(struct control_worker *w)
{
	CU_ASSERT_PTR_NULL(w->peer);
	t.gone++;
}

static const struct control_worker_ops	 ops = {
	.connected = on_connected, .status = on_status,
	.changed = on_changed, .gone = on_gone
};

static struct control_worker *
start(const char *name, const char *config)
{
	struct control_worker	*w;
	struct buf		 b = BUF_INIT;

	put_str(&b, config);
	w = control_worker_start(&t.c, name, DAEMON_TAIL, of_tail, 2, &b, &ops,
	    NULL);
	buf_free(&b);
	turn();
	return w;
}

static uint32_t
sum(const char *config)
{
	struct buf	 b = BUF_INIT;
	uint32_t	 s;

	put_str(&b, config);
	s = member_sum(of_tail, 2, b.data, b.len);
	buf_free(&b);
	return s;
}

static void
say_state(const char *name, enum proc_state state, uint32_t s)
{
	t.m.state_fn(t.m.state_arg, name, DAEMON_TAIL, state, 1,
	    state == PROC_DOWN ? "it ended" : "", s);
	turn();
}

/* What the supervisor was told last. */
static bool
told(size_t i, uint16_t type, const char *name)
{
	return i < t.boss.n && t.boss.types[i] == type &&
	    strcmp(t.boss.words[i], name) == 0;
}

/* ---- before and after each ------------------------------------------------ */

static void
begin(void)
{
	static const char *const nowhere[] = { "http://127.0.0.1:1", NULL };
	struct arango_opts	 o = ARANGO_OPTS_INIT;

	memset(&t, 0, sizeof(t));
	log_set_level(LOG_LEVEL_ERROR);
	t.c.loop = loop_new();
	t.ticker = loop_timer_new(t.c.loop, wake, NULL);
	loop_timer_start_periodic(t.ticker, 5);
	t.c.m = &t.m;
	t.m.child = &t.child;
	t.child.loop = t.c.loop;
	t.child.boss = peer_new(far_open(&t.boss), "boss", &near_ops,
	    &t.boss);
	CU_ASSERT_EQUAL_FATAL(peer_attach(t.child.boss, t.c.loop), 0);
	o.endpoints = nowhere;
	CU_ASSERT_EQUAL_FATAL(arango_new(t.c.loop, &o, &t.c.cluster, NULL), 0);
	t.c.lease.held = true;
	t.c.lease.until_ms = loop_now_ms(t.c.loop) + 30000;
	control_workers_init(&t.c);
	control_workers_begin(&t.c);
	turn();
}

static void
end(void)
{
	control_workers_end(&t.c);
	turn();
	control_workers_free(&t.c);
	arango_free(&t.c.cluster);
	peer_free(&t.child.boss);
	peer_free(&t.boss.peer);
	loop_timer_free(&t.ticker);
	loop_free(&t.c.loop);
}

/* ---- tests ---------------------------------------------------------------- */

static void
test_life(void)
{
	struct control_worker	*w;
	struct far		 far;
	struct buf		 b = BUF_INIT;

	begin();
	w = start("tail PRMR-1", "x");
	CU_ASSERT(told(0, MSG_MESH_START, "tail PRMR-1"));
	CU_ASSERT_EQUAL(t.boss.n, 1);
	CU_ASSERT_PTR_EQUAL(control_worker_find(&t.c, "tail PRMR-1"), w);
	CU_ASSERT_EQUAL(control_worker_send(w, MSG_WORKER_LOOK, 0, NULL),
	    ERR_CLOSED);
	say_state("tail PRMR-1", PROC_STARTING, 0);
	control_workers_connected(&t.c, "tail PRMR-1", DAEMON_TAIL, 1,
	    far_open(&far));
	say_state("tail PRMR-1", PROC_READY, sum("x"));
	CU_ASSERT_EQUAL(w->state, PROC_READY);
	CU_ASSERT_EQUAL(t.connected, 1);
	/* A token at once, and an empty one where none is needed. */
	CU_ASSERT_EQUAL_FATAL(far.n, 1);
	CU_ASSERT_EQUAL(far.types[0], MSG_WORKER_TOKEN);
	CU_ASSERT_STRING_EQUAL(far.words[0], "");
	/* Its status is kept. */
	put_str(&b, "{\"state\":\"running\",\"n\":7}");
	peer_send_buf(far.peer, MSG_WORKER_STATUS, 0, &b);
	turn();
	CU_ASSERT_EQUAL(t.statuses, 1);
	CU_ASSERT_STRING_EQUAL(control_worker_word(w, "state"), "running");
	CU_ASSERT_STRING_EQUAL(control_worker_word(w, "error"), "");
	/* One that is none ends the connection, not us. */
	put_str(&b, "[1]");
	peer_send_buf(far.peer, MSG_WORKER_STATUS, 0, &b);
	turn();
	CU_ASSERT(far.lost);
	CU_ASSERT_PTR_NULL(w->peer);
	CU_ASSERT_STRING_EQUAL(control_worker_word(w, "state"), "running");
	/* It comes again. */
	control_workers_connected(&t.c, "tail PRMR-1", DAEMON_TAIL, 1,
	    far_open(&far));
	turn();
	CU_ASSERT_EQUAL(t.connected, 2);
	CU_ASSERT_EQUAL(far.n, 1);
	control_worker_stop(w);
	CU_ASSERT_PTR_NULL(control_worker_find(&t.c, "tail PRMR-1"));
	turn();
	CU_ASSERT(told(1, MSG_MESH_STOP, "tail PRMR-1"));
	CU_ASSERT_EQUAL(t.gone, 0);
	say_state("tail PRMR-1", PROC_STOPPING, sum("x"));
	CU_ASSERT_EQUAL(t.gone, 0);
	say_state("tail PRMR-1", PROC_DOWN, sum("x"));
	CU_ASSERT_EQUAL(t.gone, 1);
	CU_ASSERT_EQUAL(t.boss.n, 2);
	buf_free(&b);
	peer_free(&far.peer);
	end();
}

/* Somebody else wants the name before its process is gone. */
static void
test_name_again(void)
{
	struct control_worker	*w;

	begin();
	w = start("send a/b/0", "x");
	say_state("send a/b/0", PROC_READY, sum("x"));
	control_worker_stop(w);
	w = start("send a/b/0", "y");
	CU_ASSERT_EQUAL(t.boss.n, 2);
	CU_ASSERT_EQUAL(w->state, PROC_DOWN);
	say_state("send a/b/0", PROC_STOPPING, sum("x"));
	CU_ASSERT_EQUAL(t.boss.n, 2);
	say_state("send a/b/0", PROC_DOWN, sum("x"));
	CU_ASSERT_EQUAL(t.gone, 1);
	CU_ASSERT(told(2, MSG_MESH_START, "send a/b/0"));
	/* Stopped before anything was heard of it. */
	control_worker_stop(w);
	turn();
	CU_ASSERT(told(3, MSG_MESH_STOP, "send a/b/0"));
	CU_ASSERT_EQUAL(t.gone, 1);
	say_state("send a/b/0", PROC_STARTING, 0);
	CU_ASSERT_EQUAL(t.gone, 1);
	say_state("send a/b/0", PROC_DOWN, 0);
	CU_ASSERT_EQUAL(t.gone, 2);
	end();
}

static void
test_restart(void)
{
	struct control_worker	*w;
	struct buf		 b = BUF_INIT;

	begin();
	w = start("send a/b/0", "x");
	say_state("send a/b/0", PROC_READY, sum("x"));
	put_str(&b, "x");
	control_worker_restart(w, of_tail, 2, &b);
	turn();
	CU_ASSERT_EQUAL(t.boss.n, 1);
	/* For the next start only: told, but nothing is stopped. */
	buf_reset(&b);
	put_str(&b, "x2");
	control_worker_update(w, &b);
	turn();
	CU_ASSERT(told(1, MSG_MESH_START, "send a/b/0"));
	buf_reset(&b);
	put_str(&b, "y");
	control_worker_restart(w, of_tail, 2, &b);
	turn();
	CU_ASSERT(told(2, MSG_MESH_STOP, "send a/b/0"));
	say_state("send a/b/0", PROC_STOPPING, sum("x"));
	/* Asked for twice is once. */
	buf_reset(&b);
	put_str(&b, "z");
	control_worker_restart(w, of_tail, 2, &b);
	turn();
	CU_ASSERT_EQUAL(t.boss.n, 3);
	say_state("send a/b/0", PROC_DOWN, sum("x"));
	CU_ASSERT(told(3, MSG_MESH_START, "send a/b/0"));
	CU_ASSERT_EQUAL(t.boss.n, 4);
	say_state("send a/b/0", PROC_READY, sum("z"));
	CU_ASSERT_EQUAL(t.boss.n, 4);
	CU_ASSERT_EQUAL(t.gone, 0);
	buf_free(&b);
	end();
}

/* An earlier control has left processes. */
static void
test_strangers(void)
{
	struct control_worker	*w;
	struct far		 a, b;

	begin();
	control_workers_connected(&t.c, "tail A", DAEMON_TAIL, 1,
	    far_open(&a));
	control_workers_connected(&t.c, "tail B", DAEMON_TAIL, 1,
	    far_open(&b));
	say_state("tail A", PROC_READY, sum("x"));
	say_state("tail B", PROC_READY, sum("old"));
	CU_ASSERT(!a.lost && !b.lost);
	w = start("tail A", "x");
	CU_ASSERT_EQUAL(t.boss.n, 0);
	CU_ASSERT_EQUAL(t.connected, 1);
	CU_ASSERT_EQUAL(a.n, 1);
	CU_ASSERT_PTR_NOT_NULL(w->peer);
	w = start("tail B", "new");
	CU_ASSERT(told(0, MSG_MESH_STOP, "tail B"));
	say_state("tail B", PROC_DOWN, sum("old"));
	CU_ASSERT(b.lost);
	CU_ASSERT(told(1, MSG_MESH_START, "tail B"));
	CU_ASSERT_EQUAL(t.connected, 1);
	peer_free(&a.peer);
	peer_free(&b.peer);
	end();
}

/* There was no memory for another process: once a second, not at once. */
static void
test_not_forked(void)
{
	begin();
	(void)start("tail A", "x");
	say_state("tail A", PROC_DOWN, 0);
	CU_ASSERT_EQUAL(t.boss.n, 1);
	turn_until(NULL, 2300);
	CU_ASSERT(t.boss.n == 2);
	CU_ASSERT(told(1, MSG_MESH_START, "tail A"));
	end();
}

static void
test_lease(void)
{
	struct far	 far;

	begin();
	(void)start("tail A", "x");
	control_workers_connected(&t.c, "tail A", DAEMON_TAIL, 1,
	    far_open(&far));
	say_state("tail A", PROC_READY, sum("x"));
	CU_ASSERT_EQUAL(far.n, 1);
	/* What a lease gives ends with it. */
	t.c.lease.held = false;
	control_workers_end(&t.c);
	turn();
	CU_ASSERT(far.lost);
	CU_ASSERT(told(1, MSG_MESH_STOP, "tail A"));
	CU_ASSERT_PTR_NULL(control_worker_find(&t.c, "tail A"));
	say_state("tail A", PROC_DOWN, sum("x"));
	CU_ASSERT_EQUAL(t.gone, 1);
	end();
}

static void
test_garbage(void)
{
	struct garbage		 g = GARBAGE_INIT;
	struct control_worker	*w;
	struct far		 far = { .peer = NULL };
	struct buf		 b = BUF_INIT;
	unsigned		 i, n = 0;
	uint16_t		 type;
	uint32_t		 id;

	begin();
	w = start("tail PRMR-1", "x");
	say_state("tail PRMR-1", PROC_READY, sum("x"));
	while (garbage_next(&g, &type, &id, &b)) {
		if (far.peer == NULL)
			control_workers_connected(&t.c, "tail PRMR-1",
			    DAEMON_TAIL, ++n, far_open(&far));
		far.n = t.boss.n = 0;
		(void)peer_send(far.peer, type, id, b.data, b.len);
		for (i = 0; i < 4 && far.peer != NULL; i++)
			(void)loop_run_once(t.c.loop, 0);
	}
	CU_ASSERT_TRUE(n > 1000);
	if (far.peer == NULL)
		control_workers_connected(&t.c, "tail PRMR-1", DAEMON_TAIL,
		    ++n, far_open(&far));
	buf_reset(&b);
	put_str(&b, "{\"state\":\"running\"}");
	(void)peer_send_buf(far.peer, MSG_WORKER_STATUS, 0, &b);
	turn();
	CU_ASSERT_STRING_EQUAL(control_worker_word(w, "state"), "running");
	control_workers_end(&t.c);
	turn();
	peer_free(&far.peer);
	buf_free(&b);
	end();
}

UNIT_MAIN("workers",
    { "a worker starts, gets its token, reports, stops", test_life },
    { "a name is free when its process is down", test_name_again },
    { "another configuration is another process", test_restart },
    { "what an earlier control left goes on if it is as wanted",
      test_strangers },
    { "who cannot be started is tried again after a while", test_not_forked },
    { "without the lease there are no workers", test_lease },
    { "whatever a worker says, control goes on", test_garbage })
