/*
 * receive.c - messages and life of the process; see receive.h
 *
 * Callbacks take note of what comes and wake the fiber (receive_run.c); they
 * never wait and apply nothing themselves.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "receive/receive_priv.h"

/* A source that sends more than it may is told so by the inbox. */
#define LINK_MESSAGE_MAX	((size_t)4 * 1024 * 1024)
/* The batch in flight has so long when the process is to stop. */
#define STOP_MS			8000

struct receive_limits receive_limits = {
	.round_pairs = 200000, .pairs_bytes = (size_t)32 * 1024 * 1024,
	.suspect_ms = COMMIT_SUSPECT_MS,
	.fold = { FOLD_OPTS_DEFAULTS, .unwritten = (size_t)64 * 1024 }
};

/* ---- to the source ------------------------------------------------------ */

void
receive_up(struct receive *r, uint16_t type, struct buf *b)
{
	if (r->link != NULL)
		(void)peer_send_buf(r->link, type, r->sub.id, b);
	buf_reset(b);
}

void
receive_up_text(struct receive *r, uint16_t type, const char *text)
{
	struct buf	 b = BUF_INIT;

	if (type == MSG_CH_CLOSE)
		put_str(&b, text);
	receive_up(r, type, &b);
	buf_free(&b);
}

void
receive_credit(struct receive *r)
{
	struct buf	 b = BUF_INIT;
	uint64_t	 live, bulk;

	/* before the answer nobody may be there to hear it */
	if (!r->sub.open || (!r->sub.resumed && !r->sub.repair) ||
	    !inbox_credit(&r->in, &live, &bulk))
		return;
	channel_credit_put(&b, live, bulk);
	receive_up(r, MSG_CH_CREDIT, &b);
	buf_free(&b);
}

void
receive_say_applied(struct receive *r, uint64_t tick)
{
	struct buf	 b = BUF_INIT;
	bool		 stalled = !receive_is_running(r);

	if (r->link == NULL || r->asleep || (r->stalled_known &&
	    r->applied_said == tick && r->stalled_said == stalled))
		return;
	r->stalled_known = true;
	r->applied_said = tick;
	r->stalled_said = stalled;
	put_u64(&b, tick);
	put_bool(&b, stalled);
	(void)peer_send_buf(r->link, MSG_LINK_APPLIED, 0, &b);
	buf_free(&b);
}

/* ---- places ------------------------------------------------------------- */

void
receive_ask_place(struct receive *r)
{
	if (r->place != PLACE_NONE)
		return;
	r->place = PLACE_ASKED;
	worker_say(r->w, MSG_WORKER_PLACE_REQ);
}

void
receive_free_place(struct receive *r)
{
	if (r->place == PLACE_NONE)
		return;
	r->place = PLACE_NONE;
	worker_say(r->w, MSG_WORKER_PLACE_FREE);
}

/* ---- from the source ---------------------------------------------------- */

static int
take_resume(struct receive *r, struct rbuf *m)
{
	int	 e = channel_resume_get(m, &r->sub.resume);

	r->sub.resumed = e == 0;
	return e;
}

static int
take_repair(struct receive *r, struct rbuf *m)
{
	uint8_t	 why;
	int	 e;

	if ((e = get_u8(m, &why)) != 0 || (e = get_str(m, r->sub.repair_why,
	    sizeof(r->sub.repair_why))) != 0)
		return e;
	r->sub.repair = true;
	return 0;
}

static int
take_cut(struct receive *r, struct rbuf *m)
{
	int	 e = channel_cut_get(m, &r->sub.cut);

	if (e != 0)
		return e;
	r->sub.has_cut = true;
	inbox_part(&r->in);
	return 0;
}

static int
take_closed(struct receive *r, struct rbuf *m)
{
	int	 e = get_str(m, r->sub.closed_why, sizeof(r->sub.closed_why));

	r->sub.closed = true;
	return e;
}

static int
take_record(struct receive *r, const struct frame *f)
{
	struct buf	 memory = BUF_INIT;
	int		 e;

	if (!peer_take_memory(r->link, f, &memory))
		return inbox_record(&r->in, f->payload, f->len);
	e = inbox_record_memory(&r->in, &memory, memory.len - f->len);
	buf_free(&memory);
	return e;
}

/* What a source sends is checked, but never ends the connection with link,
 * which only passes it on. */
static int
take(struct receive *r, const struct frame *f)
{
	struct rbuf	 m = { f->payload, f->len };
	int		 e;

	switch (f->type) {
	case MSG_CH_RECORD:
		return take_record(r, f);
	case MSG_CH_SNAP:
		return inbox_snap(&r->in, f->payload, f->len);
	case MSG_CH_SUMS:
	case MSG_CH_PAIRS:
	case MSG_CH_DOCS:
		return inbox_piece(&r->in, f->type, f->payload, f->len);
	case MSG_CH_RESUME:
		return take_resume(r, &m);
	case MSG_CH_REPAIR:
		return take_repair(r, &m);
	case MSG_CH_CUT:
		return take_cut(r, &m);
	case MSG_CH_SNAP_END:
		e = get_u64(&m, &r->sub.snap_documents);
		r->sub.snap_ended = e == 0;
		return e;
	case MSG_CH_CAUGHT_UP:
		r->sub.caught_up = true;
		return 0;
	case MSG_CH_CLOSED:
		return take_closed(r, &m);
	case MSG_CH_QUEUED:
	case MSG_CH_PONG:
		return 0;
	default:
		return ERR_PROTOCOL;
	}
}

static int
take_link_up(struct receive *r, const struct frame *f)
{
	struct rbuf	 m = { f->payload, f->len };
	bool		 up;
	int		 e;

	if ((e = get_bool(&m, &up)) != 0 || (e = get_end(&m)) != 0)
		return e;
	if (!up || r->link_up) {
		/* also when it went away and came back: another session */
		r->sub.closed = true;
		snprintf(r->sub.closed_why, sizeof(r->sub.closed_why),
		    "the link to the source is down");
	}
	r->link_up = up;
	return 0;
}

static int
on_link_message(struct peer *p, const struct frame *f, void *arg)
{
	struct receive	*r = arg;
	int		 e;

	r->link_messages++;
	r->active_ms = loop_now_ms(r->loop);
	if (f->type == MSG_LINK_UP) {
		e = take_link_up(r, f);
		fiber_cond_broadcast(&r->wake);
		return e;
	}
	if (!r->sub.open || f->id != r->sub.id)
		return 0;
	r->last_message_us = clock_wall_us();
	if ((e = take(r, f)) != 0 && r->sub.bad == 0) {
		r->sub.bad = e;
		snprintf(r->sub.closed_why, sizeof(r->sub.closed_why),
		    "%s of the source: %s", msg_name(f->type), err_text(e));
	}
	/* a long line or a long answer goes on only with more credit */
	receive_credit(r);
	fiber_cond_broadcast(&r->wake);
	return 0;
}

static void
link_gone(struct receive *r)
{
	r->link_up = false;
	r->link_messages = 0;
	r->stalled_known = false;
	r->sub.closed = true;
	snprintf(r->sub.closed_why, sizeof(r->sub.closed_why),
	    "the connection to the process link is lost");
	fiber_cond_broadcast(&r->wake);
}

static void
on_link_lost(struct peer *p, int why, void *arg)
{
	struct receive	*r = arg;

	if (why != ERR_CLOSED)
		log_warning("%s: %s", peer_name(p), err_text(why));
	if (r->link == p) {
		r->link = NULL;
		link_gone(r);
	}
	peer_free(&p);
}

static const struct peer_ops	 link_ops = {
	.message = on_link_message, .lost = on_link_lost
};

static void
on_connect(void *arg, const char *name, unsigned class, uint32_t generation,
    int fd)
{
	struct receive	*r = arg;

	if (!str_starts_with(name, "link ")) {
		log_warning("%s is connected with us, and has nothing to say",
		    name);
		close(fd);
		return;
	}
	if (r->link != NULL) {
		peer_free(&r->link);
		link_gone(r);
	}
	r->link = peer_new(fd, name, &link_ops, r);
	peer_set_limits(r->link, LINK_MESSAGE_MAX, PEER_LOW_BYTES,
	    PEER_HIGH_BYTES);
	if (peer_attach(r->link, r->loop) != 0)
		peer_free(&r->link);
}

/* ---- from control ------------------------------------------------------- */

static void
target_is(struct receive *r, const struct worker_target *t)
{
	struct worker_target	 old = r->target;
	struct err_msg		 m;
	bool			 moved;
	uint32_t		 i;

	r->target = *t;
	if (t->server[0] == '\0')
		return;
	if (arango_server_put(r->cluster, t->server, ARANGO_DBSERVER, t->url,
	    NULL, &m) != 0) {
		log_error("%s: %s", r->name, m.text);
		r->target.server[0] = '\0';
		return;
	}
	moved = strcmp(old.server, t->server) != 0 ||
	    strcmp(old.url, t->url) != 0 || strcmp(old.shard, t->shard) != 0;
	if (moved || old.reboot_id != t->reboot_id)
		r->target_changes++;
	if (commit_target_seen(r->commit, t->server, t->reboot_id)) {
		r->target_moved = true;
		receive_event(r, SHARD_EV_TARGET_REBOOTED, "%s of the target "
		    "was started again, or was no copy before", t->server);
	}
	for (i = 0; i < t->ncopies; i++)
		commit_copy_seen(r->commit, t->copies[i].server,
		    t->copies[i].reboot_id);
	if (r->target_known && strcmp(old.cid, t->cid) != 0) {
		r->target_moved = true;
		receive_event(r, SHARD_EV_TARGET_GONE, "the collection is %s "
		    "at the target now, it was %s", t->cid, old.cid);
	} else if (r->target_known && moved && old.server[0] != '\0') {
		r->target_moved = true;
		receive_event(r, SHARD_EV_TARGET_MOVED, "%s leads the shard "
		    "at the target now", t->server);
	}
	r->target_known = true;
}

static int
on_target(struct msg_in *in)
{
	struct receive		*r = in->ctx;
	struct worker_target	 t;
	int			 e;

	if ((e = worker_target_get(&in->body, &t)) != 0)
		return e;
	target_is(r, &t);
	r->active_ms = loop_now_ms(r->loop);
	receive_status(r);
	fiber_cond_broadcast(&r->wake);
	return 0;
}

static int
on_place(struct msg_in *in)
{
	struct receive	*r = in->ctx;

	if (r->place == PLACE_ASKED)
		r->place = PLACE_HERE;
	else if (r->place == PLACE_NONE)
		worker_say(r->w, MSG_WORKER_PLACE_FREE);
	fiber_cond_broadcast(&r->wake);
	return 0;
}

static int
on_compare(struct msg_in *in)
{
	struct receive	*r = in->ctx;
	uint32_t	 ms;
	int		 e;

	if ((e = get_u32(&in->body, &ms)) != 0 ||
	    (e = get_end(&in->body)) != 0)
		return e;
	if (r->comparing.wanted)
		receive_compare_failed(r, "another comparison was asked for");
	r->active_ms = loop_now_ms(r->loop);
	r->comparing.wanted = true;
	r->comparing.asked = r->comparing.again = false;
	r->comparing.id = in->id;
	r->comparing.deadline_ms = loop_now_ms(r->loop) + ms;
	if (!receive_is_running(r))
		receive_compare_failed(r, "not running: %s",
		    shard_step_name(r->shard.step));
	fiber_cond_broadcast(&r->wake);
	return 0;
}

static int
on_repair(struct msg_in *in)
{
	struct receive	*r = in->ctx;
	char		 why[256];
	int		 e;

	if ((e = get_str(&in->body, why, sizeof(why))) != 0 ||
	    (e = get_end(&in->body)) != 0)
		return e;
	/* kept until a repair has ended, also over subscriptions */
	snprintf(r->repair, sizeof(r->repair), "%s", why[0] != '\0' ? why :
	    "asked for by an operator");
	receive_event(r, SHARD_EV_VERIFY, "%s", r->repair);
	fiber_cond_broadcast(&r->wake);
	return 0;
}

static const struct msg_rule	 control_rules[] = {
	{ MSG_WORKER_TARGET, 1, 8, 2048, on_target },
	{ MSG_WORKER_PLACE_ANS, 1, 0, 0, on_place },
	{ MSG_WORKER_COMPARE_REQ, 1, 4, 4, on_compare },
	{ MSG_WORKER_REPAIR, 1, 4, 512, on_repair },
	{ MSG_WORKER_LEAVE_ANS, 1, 1, 1, receive_on_leave },
	{ 0, 0, 0, 0, NULL }
};

/* Control is back, and knows nothing of the place that we had. */
static void
on_control(void *arg, struct peer *control)
{
	struct receive	*r = arg;

	r->asks = false;
	if (r->place != PLACE_NONE)
		worker_say(r->w, MSG_WORKER_PLACE_REQ);
}

/* ---- life --------------------------------------------------------------- */

void
receive_leave(struct receive *r)
{
	if (r->left)
		return;
	r->left = true;
	receive_settle(r);
	if (!r->abandoned)
		receive_quiet(r);
	if (r->sub.open)
		receive_up_text(r, MSG_CH_CLOSE, "the process receive ends");
	if (r->link != NULL)
		(void)peer_flush(r->link, 100);
	worker_done(r->w, PROC_EXIT_OK, NULL);
}

static void
on_stop_timer(void *arg)
{
	struct receive	*r = arg;

	log_warning("%s: the target does not answer: what was not recorded is "
	    "applied again at the next start", r->name);
	r->abandoned = true;
	arango_cancel(worker_cancel(r->w));
	receive_leave(r);
}

static void
on_stop(void *arg, enum proc_stop_why why)
{
	struct receive	*r = arg;

	r->stopping = true;
	if (why == PROC_STOP_ORPHANED) {
		r->abandoned = true;
		arango_cancel(worker_cancel(r->w));
		receive_leave(r);
		return;
	}
	loop_timer_start(r->stop_timer, STOP_MS);
	fiber_cond_broadcast(&r->wake);
}

static const struct worker_ops	 ops = {
	.rules = control_rules, .control = on_control,
	.connect = on_connect, .stop = on_stop
};

static void
settle_fired(void *arg)
{
	receive_settle(arg);
}

int
receive_main(struct member *m, const struct worker_conf *conf)
{
	struct receive	*r = xcalloc(1, sizeof(*r));
	struct rbuf	 config = { m->config, m->config_len };
	int		 e;

	if ((e = receive_conf_get(&config, &r->conf)) != 0)
		return proc_child_fail(m->child, PROC_EXIT_CONFIG,
		    "configuration of a receive: %s", err_text(e));
	channel_name_text(&r->conf.name, r->name);
	/*
	 * Blocks of a batch are freed and allocated with each request: they
	 * stay here while it goes on, as a page that is given back costs more
	 * than all that we do with its bytes.  receive_quiet() gives them back.
	 */
	(void)mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
	(void)mallopt(M_TRIM_THRESHOLD, 2 * 1024 * 1024);
	r->w = worker_new(m, conf, &ops, r);
	r->loop = worker_loop(r->w);
	r->cluster = worker_cluster(r->w);
	/*
	 * Above those of every process before us: none is so fast that it
	 * subscribes once a millisecond.  After 49 days they begin anew, when
	 * nothing that old is on its way any more.
	 */
	r->sub.id = (uint32_t)clock_wall_ms();
	inbox_init(&r->in);
	r->fold = fold_new(&receive_limits.fold);
	r->docs_fold = fold_new(&receive_limits.fold);
	r->commit = commit_new(r->conf.settle_ms, receive_limits.suspect_ms);
	r->again = (struct backoff)BACKOFF_INIT(20, 5000);
	r->retry = (struct backoff)BACKOFF_INIT(100, 5000);
	r->owed_again = (struct backoff)BACKOFF_INIT(100, 5000);
	r->stop_timer = loop_timer_new(r->loop, on_stop_timer, r);
	r->settle_timer = loop_timer_new(r->loop, settle_fired, r);
	receive_open_files(r);
	receive_idle_start(r);
	if (!worker_is_stopping(r->w))
		fiber_spawn(r->loop, receive_life, r);
	return worker_run(r->w);
}
