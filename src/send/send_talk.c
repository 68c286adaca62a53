/* send_talk.c - a subscription; see send_priv.h */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "send/send_priv.h"
#include "worker/worker.h"

/* receive has a deadline for an answer to its SUBSCRIBE; ours comes first. */
#define DECIDE_MS	(45 * 1000)
#define TAIL_COMES_MS	(20 * 1000)
/* A target that asks for more than this at once does not know what it does. */
#define REQUESTS_MAX	((size_t)8 * 1024 * 1024)

/* ---- life -------------------------------------------------------------- */

static void
drop_requests(struct request_list *l)
{
	struct request	*q;

	while ((q = STAILQ_FIRST(l)) != NULL) {
		STAILQ_REMOVE_HEAD(l, next);
		buf_free(&q->body);
		free(q);
	}
}

void
talk_unref(struct talk *t)
{
	if (--t->refs > 0)
		return;
	drop_requests(&t->requests);
	drop_requests(&t->fetches);
	bulk_free(t);
	arango_snapshot_close(&t->snap);
	queue_reader_free(&t->reader);
	buf_free(&t->payload);
	free(t);
}

void
talk_changed(struct talk *t)
{
	fiber_cond_broadcast(&t->changed);
}

void
talk_forget(struct send *s, const char *reason)
{
	struct talk	*t = s->talk;

	if (t == NULL)
		return;
	s->talk = NULL;
	t->dead = true;
	t->streaming = false;
	t->paused = NULL;	/* cancelled with the rest */
	arango_cancel(&t->cancel);
	talk_changed(t);
	fiber_cond_broadcast(&s->tail_cond);
	send_step(s, SHARD_EV_LINK_LOST, "%s", reason);
	send_touch(s);
}

void
talk_say(struct talk *t, uint16_t type, struct buf *b)
{
	struct iovec	 iov = { b->data, b->len };

	talk_say_iov(t, type, &iov, 1);
}

void
talk_say_iov(struct talk *t, uint16_t type, const struct iovec *iov, int n)
{
	struct send	*s = t->s;

	if (!t->dead && s->api != NULL)
		(void)peer_send_iov(s->api, type, t->id, iov, n);
}

void
talk_close(struct send *s, const char *fmt, ...)
{
	struct buf	 b = BUF_INIT;
	char		 text[512];
	va_list		 ap;

	if (s->talk == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_str(&b, text);
	talk_say(s->talk, MSG_CH_CLOSED, &b);
	buf_free(&b);
	send_trouble(s, text);
	talk_forget(s, text);
}

/* ---- can it resume? ---------------------------------------------------- */

static void
evidence_of(const struct talk *t, struct shard_evidence *e)
{
	const struct send	*s = t->s;

	memset(e, 0, sizeof(*e));
	e->cid = s->cid;
	e->target_cid = t->sub.target_cid[0] != '\0' ? t->sub.target_cid : NULL;
	e->leader = s->conf.server;
	e->leader_changes = s->conf.leader_changes;
	e->target_server = t->sub.target_server[0] != '\0' ?
	    t->sub.target_server : NULL;
	e->target_reboot = t->sub.target_reboot;
}

static const struct shard_record *
record_of(const struct talk *t)
{
	return t->sub.has_record ? &t->sub.record : NULL;
}

/* Does our queue have what is behind the target's position?  Then *at has
 * epoch and offset where it begins. */
static bool
queue_has(struct talk *t, struct sync_pos *at)
{
	struct send		*s = t->s;
	const struct sync_pos	*p = &t->sub.record.pos;
	struct queue_pos	 qp;

	if (!s->valid || !t->sub.has_record ||
	    strcmp(p->server, s->conf.server) != 0)
		return false;
	queue_received(s->queue, &qp);
	if (t->reader == NULL)
		queue_reader_new(s->queue_dir, &t->reader);
	*at = *p;
	if (p->epoch != 0 && p->epoch <= qp.epoch && p->offset <= qp.offset &&
	    queue_reader_seek(t->reader, p->epoch, p->offset, NULL) == 0)
		return true;
	if (p->tick > s->received.tick || p->reboot_id == 0 ||
	    p->reboot_id != s->received.reboot_id)
		return false;
	if (p->tick == s->received.tick) {
		at->epoch = s->received.epoch;
		at->offset = s->received.offset;
		return true;
	}
	if (queue_reader_seek_tick(t->reader, p->tick, NULL) != 0)
		return false;
	queue_reader_pos(t->reader, &at->epoch, &at->offset);
	return at->epoch != 0;
}

static void
say_resume(struct talk *t, const struct sync_pos *pos, bool exact,
    const struct sync_pos *at)
{
	struct send		*s = t->s;
	struct channel_resume	 res;
	struct buf		 b = BUF_INIT;
	uint64_t		 queued = MAX(s->want, s->received.tick);
	char			 text[POS_TEXT_SIZE];

	memset(&res, 0, sizeof(res));
	res.pos = *pos;
	res.pos.epoch = exact ? at->epoch : 0;
	res.pos.offset = exact ? at->offset : 0;
	res.queued = queued > pos->tick ? queued : 0;
	res.leader_changes = s->conf.leader_changes;
	channel_resume_put(&b, &res);
	talk_say(t, MSG_CH_RESUME, &b);
	buf_free(&b);
	send_step(s, SHARD_EV_RESUME_YES, "%s", pos_text(pos, text));
	if (s->detached)
		send_step(s, SHARD_EV_OVER_QUOTA, "the tail reads again");
	send_trouble(s, NULL);
	/* It has recorded that, whether or not we heard of it. */
	if (exact)
		send_queue_ack(s, &res.pos);
	deliver_begin(t, at->epoch, at->offset, pos->tick);
}

/* 1: it goes on from the queue; 0: it does not; negative: not now. */
static int
resume_from_queue(struct talk *t, struct err_msg *m)
{
	struct send		*s = t->s;
	struct shard_evidence	 e;
	struct sync_pos		 at;
	int			 r;

	if (!queue_has(t, &at))
		return 0;
	evidence_of(t, &e);
	e.reboot_id = s->received.reboot_id;
	e.server_id = s->received.server_id;
	e.proven = true;
	e.wal_last = UINT64_MAX;
	if (shard_can_resume(&t->sub.record, &e, m) != RESUME_YES)
		return 0;
	/* A record that was restored with its proof says more than a queue
	 * that never had a response. */
	if (!s->received.has_proof && t->sub.record.pos.has_proof &&
	    t->sub.record.pos.tick == s->received.tick) {
		at.epoch = s->received.epoch;
		at.offset = s->received.offset;
		s->received = t->sub.record.pos;
		s->received.epoch = at.epoch;
		s->received.offset = at.offset;
	}
	/* Without room nothing is joined; what is queued goes on. */
	if (!s->joined && !s->full &&
	    (r = send_tail_attach(s, &t->dead, m)) != 0)
		return r == ERR_NOT_FOUND ? 0 : r;
	say_resume(t, &t->sub.record.pos, at.tick == s->received.tick ||
	    at.epoch == t->sub.record.pos.epoch, &at);
	return 1;
}

/* The same from the server's log. */
static int
resume_from_wal(struct talk *t, enum shard_resume *why, struct err_msg *m)
{
	struct send		*s = t->s;
	const struct shard_record *rec = record_of(t);
	struct tail_evidence	 te;
	struct shard_evidence	 e;
	struct sync_pos		 start, at;
	int			 r;

	r = send_tail_ask(s, rec == NULL ? NULL : &rec->pos, &te, &t->dead);
	if (r != 0)
		return err_set(m, r, "the tail of %s does not answer: %s",
		    s->conf.server, err_text(r));
	evidence_of(t, &e);
	e.reboot_id = te.reboot_id;
	e.server_id = te.server_id;
	e.proven = te.proven;
	e.gap = te.gap;
	e.wal_first = te.wal_first;
	e.wal_last = te.wal_last;
	*why = shard_can_resume(rec, &e, m);
	if (*why != RESUME_YES)
		return 0;
	start = rec->pos;
	start.reboot_id = te.reboot_id;
	if (te.server_id != 0)
		start.server_id = te.server_id;
	r = send_tail_join(s, te.join, &start, &t->dead);
	if (r == ERR_NOT_FOUND) {
		*why = RESUME_GAP;
		err_set(m, 0, "%s has no log behind tick %" PRIu64 " any more",
		    s->conf.server, te.join);
		return 0;
	}
	if (r != 0)
		return err_set(m, r, "%s cannot be read from tick %" PRIu64
		    ": %s", s->conf.server, te.join, err_text(r));
	/* Lines may have come with the answer: not where the queue is now. */
	at = start;
	at.epoch = s->start_epoch;
	at.offset = s->start_offset;
	say_resume(t, &start, true, &at);
	return 1;
}

static int
wait_for_tail(struct talk *t, struct err_msg *m)
{
	struct send	*s = t->s;
	uint64_t	 deadline = loop_now_ms(s->loop) + TAIL_COMES_MS;

	while (s->tail == NULL && !t->dead)
		if (fiber_cond_wait_until(&s->tail_cond, deadline) != 0)
			return err_set(m, ERR_TIMEOUT, "the process that reads "
			    "the log of %s is not there", s->conf.server);
	return t->dead ? ERR_CANCELLED : 0;
}

static int
decide_locked(struct talk *t, struct err_msg *m)
{
	struct send		*s = t->s;
	enum shard_resume	 why = s->gone[0] != '\0' ? RESUME_GAP :
				    RESUME_NO_RECORD;
	struct buf		 b = BUF_INIT;
	int			 r;

	if (s->queue == NULL && (r = send_queue_open(s)) != 0)
		return err_set(m, r, "%s", s->error);
	if ((r = wait_for_tail(t, m)) != 0)
		return r;
	if (t->sub.repair[0] != '\0')
		err_set(m, 0, "%s", t->sub.repair);
	else if (s->gone[0] != '\0')
		err_set(m, 0, "%s", s->gone);
	else if (s->shard.once_more)
		err_set(m, 0, "the last repair came too late for the log");
	else {
		if ((r = resume_from_queue(t, m)) == 0)
			r = resume_from_wal(t, &why, m);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	if (t->dead)
		return ERR_CANCELLED;
	put_u8(&b, (uint8_t)why);
	put_str(&b, m->text);
	talk_say(t, MSG_CH_REPAIR, &b);
	buf_free(&b);
	send_step(s, SHARD_EV_RESUME_NO, "%s", m->text);
	/* Places are receive's business: it has one, or waits at the cut. */
	send_step(s, SHARD_EV_PLACE, "the target was told");
	return repair_begin(t, m);
}

static int
decide(struct talk *t, struct err_msg *m)
{
	struct send	*s = t->s;
	int		 r;

	if (fiber_mutex_lock_until(&s->attach, loop_now_ms(s->loop) +
	    DECIDE_MS) != 0)
		return err_set(m, ERR_TIMEOUT, "%s does not answer",
		    s->conf.server);
	r = t->dead ? ERR_CANCELLED : decide_locked(t, m);
	fiber_mutex_unlock(&s->attach);
	return r;
}

/* ---- its requests ------------------------------------------------------ */

static struct request *
take(struct talk *t, struct request_list *l)
{
	struct request	*q = STAILQ_FIRST(l);

	STAILQ_REMOVE_HEAD(l, next);
	t->request_bytes -= q->body.len;
	return q;
}

static int
answer(struct talk *t, struct request *q, struct err_msg *m)
{
	struct rbuf	 body = { q->body.data, q->body.len };

	switch (q->type) {
	case MSG_CH_AT_CUT:
		return repair_at_cut(t, &body, m);
	case MSG_CH_DIFF:
		return repair_diff(t, &body, m);
	case MSG_CH_REPAIRED:
		return repair_done(t, m);
	case MSG_CH_VERIFY:
		return repair_verify(t, &body, m);
	default:
		return fetch_documents(t, &body, m);
	}
}

static int
answer_next(struct talk *t, struct request_list *l, struct err_msg *m)
{
	struct request	*q = take(t, l);
	uint16_t	 type = q->type;
	int		 r;

	m->text[0] = '\0';
	r = answer(t, q, m);
	buf_free(&q->body);
	free(q);
	if (r != 0 && m->text[0] == '\0')
		err_set(m, r, "%s: %s", msg_name(type), err_text(r));
	return r;
}

/* Something to answer; a comparison holds everything up, but not for ever. */
static int
await_request(struct talk *t, struct err_msg *m)
{
	uint64_t	 deadline = t->repairing && t->compare ? t->cut_ms :
			    UINT64_MAX;

	if (fiber_cond_wait_until(&t->changed, deadline) == ERR_TIMEOUT &&
	    STAILQ_EMPTY(&t->requests))
		return err_set(m, ERR_TIMEOUT, "the target did not finish its "
		    "comparison in time");
	return 0;
}

static void
talk_fiber(void *arg)
{
	struct talk	*t = arg;
	struct err_msg	 m = { "" };
	int		 r;

	r = decide(t, &m);
	while (r == 0 && !t->dead) {
		if (STAILQ_EMPTY(&t->requests))
			r = await_request(t, &m);
		else
			r = answer_next(t, &t->requests, &m);
	}
	if (r != 0 && !t->dead)
		talk_close(t->s, "%s", m.text[0] != '\0' ? m.text :
		    err_text(r));
	talk_unref(t);
}

/* Documents are fetched beside the rest: what a cut waits for may wait for
 * them. */
static void
fetch_fiber(void *arg)
{
	struct talk	*t = arg;
	struct err_msg	 m = { "" };
	int		 r = 0;

	while (r == 0 && !t->dead && !STAILQ_EMPTY(&t->fetches))
		r = answer_next(t, &t->fetches, &m);
	t->fetching = false;
	if (r != 0 && !t->dead)
		talk_close(t->s, "%s", m.text);
	talk_unref(t);
}

void
talk_begin(struct send *s, uint32_t id, const struct channel_subscribe *sub)
{
	struct talk	*t = xcalloc(1, sizeof(*t));

	talk_forget(s, "the target subscribes again");
	t->s = s;
	t->id = id;
	t->refs = 1;
	t->sub = *sub;
	t->credit = t->bulk_credit = CHANNEL_FIRST_CREDIT;
	t->limit = SEND_NO_LIMIT;
	STAILQ_INIT(&t->requests);
	STAILQ_INIT(&t->fetches);
	STAILQ_INIT(&t->bulk);
	s->talk = t;
	s->last_sub = id;
	if (s->shard.step != SHARD_SUBSCRIBE)
		send_step(s, SHARD_EV_START, "the target subscribes");
	send_step(s, SHARD_EV_SUBSCRIBED, "subscription %" PRIu32, id);
	fiber_spawn(s->loop, talk_fiber, t);
	send_touch(s);
}

/* ---- messages ---------------------------------------------------------- */

static int
keep(struct talk *t, const struct frame *f)
{
	struct request	*q;

	if (t->request_bytes + f->len > REQUESTS_MAX) {
		talk_close(t->s, "the target asks for too much at once");
		return 0;
	}
	q = xcalloc(1, sizeof(*q));
	q->type = f->type;
	buf_append(&q->body, f->payload, f->len);
	t->request_bytes += f->len;
	if (f->type != MSG_CH_FETCH) {
		STAILQ_INSERT_TAIL(&t->requests, q, next);
		talk_changed(t);
		return 0;
	}
	STAILQ_INSERT_TAIL(&t->fetches, q, next);
	if (!t->fetching) {
		t->fetching = true;
		t->refs++;
		fiber_spawn(t->s->loop, fetch_fiber, t);
	}
	return 0;
}

static int
on_credit(struct talk *t, struct rbuf *m)
{
	uint64_t	 live, bulk;
	int		 r;

	if ((r = channel_credit_get(m, &live, &bulk)) != 0)
		return r;
	t->credit = MAX(t->credit, live);
	t->bulk_credit = MAX(t->bulk_credit, bulk);
	deliver_more(t);
	if (!t->dead)
		bulk_pump(t);
	return 0;
}

static int
on_commit(struct talk *t, struct rbuf *m)
{
	struct sync_pos	 pos;
	int		 r;

	if ((r = pos_get(m, &pos)) != 0 || (r = get_end(m)) != 0)
		return r;
	send_queue_ack(t->s, &pos);
	worker_progress(t->s->w);
	return 0;
}

static int
on_close(struct talk *t, struct rbuf *m)
{
	char	 text[512];
	int	 r;

	if ((r = get_str(m, text, sizeof(text))) != 0 || (r = get_end(m)) != 0)
		return r;
	talk_forget(t->s, text);
	return 0;
}

int
talk_message(struct talk *t, const struct frame *f)
{
	struct rbuf	 m = { f->payload, f->len };

	switch (f->type) {
	case MSG_CH_CREDIT:
		return on_credit(t, &m);
	case MSG_CH_COMMIT:
		return on_commit(t, &m);
	case MSG_CH_CLOSE:
		return on_close(t, &m);
	case MSG_CH_VERIFY:
	case MSG_CH_AT_CUT:
	case MSG_CH_DIFF:
	case MSG_CH_FETCH:
	case MSG_CH_REPAIRED:
		return keep(t, f);
	default:
		return ERR_PROTOCOL;
	}
}
