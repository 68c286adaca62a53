/*
 * send_deliver.c - records on their way to the target; see send_priv.h
 *
 * t->epoch and t->offset say where the next record begins.  While that is the
 * end of the queue a record goes out in the moment it is appended; once one
 * had to stay, everything comes from the disk until the end is met again.
 */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "send/send_priv.h"

/*
 * The newest ticks of a server may be of what its log never shows (a counter,
 * a setting, somebody's commit), and then the tail stands before them for
 * ever.  So many of its responses that had nothing more, the first of which
 * may have begun before we wanted to know: everything was read.
 */
#define SETTLED_ROUNDS	2

/* How often the tail is asked how far it is, when nothing comes. */
#define ASK_FIRST_MS	50
#define ASK_MAX_MS	500

static bool
may_send(const struct talk *t)
{
	return t->streaming && !t->dead && t->sent < t->credit &&
	    t->s->api != NULL && peer_has_room(t->s->api);
}

void
deliver_begin(struct talk *t, uint64_t epoch, uint64_t offset, uint64_t tick)
{
	t->epoch = epoch;
	t->offset = offset;
	t->tick = tick;
	t->floor = tick;
	t->limit = SEND_NO_LIMIT;
	t->behind = true;
	t->placed = t->at_limit = t->in_line = false;
	if (t->reader == NULL)
		queue_reader_new(t->s->queue_dir, &t->reader);
	t->streaming = true;
	deliver_more(t);
}

/* A record, or a part of its lines; counts as the target counts. */
static void
say(struct talk *t, uint64_t epoch, uint64_t end, const void *head,
    size_t nhead, const void *p, size_t n)
{
	struct buf	*b = &t->s->out;
	struct iovec	 iov[2];
	size_t		 len;

	buf_reset(b);
	channel_record_put(b, epoch, end);
	buf_append(b, head, nhead);
	iov[0].iov_base = b->data;
	iov[0].iov_len = b->len;
	iov[1].iov_base = (void *)(uintptr_t)p;
	iov[1].iov_len = n;
	len = b->len + n;
	talk_say_iov(t, MSG_CH_RECORD, iov, n == 0 ? 1 : 2);
	t->sent += len;
	t->s->records++;
	t->s->bytes += len;
}

/* Behind a record that went out or is not wanted. */
static void
passed(struct talk *t, const struct queue_meta *meta, uint64_t epoch,
    uint64_t end)
{
	t->epoch = epoch;
	t->offset = end;
	t->in_line = meta->flags & QUEUE_CONTINUED;
	if (meta->flags & QUEUE_BOUNDARY && meta->tick_to > t->tick)
		t->tick = meta->tick_to;
}

void
deliver_appended(struct send *s, const struct queue_meta *meta,
    const struct buf *head, const uint8_t *p, size_t n, uint64_t begin,
    uint64_t end)
{
	struct talk	*t = s->talk;
	struct queue_pos qp;

	if (t == NULL || !t->streaming)
		return;
	if (!t->behind && t->offset == begin && meta->tick_to <= t->limit &&
	    meta->tick_from >= t->floor && may_send(t)) {
		queue_received(s->queue, &qp);
		say(t, qp.epoch, end, head->data, head->len, p, n);
		passed(t, meta, qp.epoch, end);
		return;
	}
	if (!t->behind) {
		t->behind = true;
		t->placed = false;
	}
	deliver_more(t);
	if (s->talk == t && t->behind)
		talk_changed(t);
}

/* ---- from the disk ----------------------------------------------------- */

static int
place(struct talk *t, struct err_msg *m)
{
	int	 r;

	r = queue_reader_seek(t->reader, t->epoch, t->offset, m);
	if (r == QUEUE_READ_EPOCH)
		r = queue_reader_seek_tick(t->reader, t->tick, m);
	t->placed = r == 0;
	return r;
}

/*
 * What of the record is in (floor, limit].  False: it goes out later, the
 * limit is reached; *cut: a part of it does.
 */
static bool
choose(struct talk *t, const struct queue_record *rec,
    struct channel_record *cr, bool *cut)
{
	size_t	 n;
	bool	 part = t->in_line || (cr->flags & CHANNEL_MORE);

	*cut = false;
	if (rec->meta.tick_from < t->floor && !part) {
		n = lines_through(cr->lines, cr->len, t->floor);
		cr->lines += n;
		cr->len -= n;
	}
	if (rec->meta.tick_to <= t->limit)
		return true;
	if (part)
		return false;
	n = lines_through(cr->lines, cr->len, t->limit);
	/* The rest may be nothing but the end of the response. */
	*cut = n > 0;
	cr->len = n;
	return false;
}

/* 1: go on; 0: not now; negative. */
static int
one_more(struct talk *t, struct err_msg *m)
{
	struct queue_record	 rec;
	struct channel_record	 cr;
	struct queue_pos	 qp;
	struct buf		 head = BUF_INIT;
	uint64_t		 epoch, offset;
	bool			 cut;
	int			 r;

	if (!t->placed && (r = place(t, m)) != 0)
		return r < 0 ? r : ERR_NOT_FOUND;
	buf_reset(&t->payload);
	r = queue_reader_next(t->reader, &rec, &t->payload, m);
	if (r == QUEUE_READ_END || r == QUEUE_READ_MORE) {
		queue_received(t->s->queue, &qp);
		queue_reader_pos(t->reader, &epoch, &offset);
		if (r == QUEUE_READ_END && (offset == qp.offset ||
		    t->tick >= t->s->received.tick)) {
			t->epoch = qp.epoch;
			t->offset = qp.offset;
			t->behind = t->placed = false;
			queue_reader_idle(t->reader);
		}
		return 0;
	}
	if (r == QUEUE_READ_EPOCH) {
		/* A response ends there: ticks are what goes on. */
		r = queue_reader_seek_tick(t->reader, t->tick, m);
		return r == 0 ? 1 : r < 0 ? r : ERR_NOT_FOUND;
	}
	if (r != QUEUE_READ_RECORD)
		return r < 0 ? r : ERR_NOT_FOUND;
	if (rec.meta.tick_to <= t->floor) {
		passed(t, &rec.meta, rec.epoch, rec.end);
		return 1;
	}
	if ((r = channel_stored_get(t->payload.data, t->payload.len, &cr)) != 0)
		return err_set(m, r, "a record of the queue is not one: %s",
		    err_text(r));
	if (!choose(t, &rec, &cr, &cut)) {
		t->at_limit = true;
		t->placed = false;
		if (cut) {
			channel_stored_put(&head, 0, NULL);
			say(t, rec.epoch, rec.offset, head.data, head.len,
			    cr.lines, cr.len);
			buf_free(&head);
			/* Not again, when it is read for its rest. */
			t->floor = t->limit;
		}
		t->epoch = rec.epoch;
		t->offset = rec.offset;
		return 0;
	}
	channel_stored_put(&head, cr.flags, &cr.pos);
	say(t, rec.epoch, rec.end, head.data, head.len, cr.lines, cr.len);
	buf_free(&head);
	passed(t, &rec.meta, rec.epoch, rec.end);
	return 1;
}

void
deliver_more(struct talk *t)
{
	struct err_msg	 m = { "" };
	int		 r = 1;

	if (t->s->queue == NULL)
		return;
	while (r == 1 && t->behind && !t->at_limit && may_send(t))
		r = one_more(t, &m);
	if (r < 0) {
		/* What the disk gives back is not to be relied on. */
		if (r == ERR_CORRUPT)
			t->s->valid = false;
		talk_close(t->s, "the queue cannot be read on from %" PRIu64
		    ":%" PRIu64 ": %s", t->epoch, t->offset,
		    m.text[0] != '\0' ? m.text : err_text(r));
	}
}

void
deliver_limit(struct talk *t, uint64_t limit)
{
	t->limit = limit;
	if (t->at_limit) {
		t->at_limit = false;
		t->placed = false;
	}
	deliver_more(t);
}

/* ---- waiting ----------------------------------------------------------- */

/* Has everything through the tick gone out, as far as the tail has read it? */
static bool
is_out(const struct talk *t, uint64_t tick, uint64_t known)
{
	if (t->tick >= tick || t->at_limit)
		return true;
	return known >= tick && !t->behind && !t->in_line;
}

/* Where the tail stands, and since which of its responses. */
struct settled {
	uint64_t	 through, rounds;
	bool		 valid, now;
};

static void
settle(struct settled *at, const struct tail_evidence *e, uint64_t known)
{
	bool	 all = known >= e->through;	/* nothing waits for us */

	at->now = all && at->valid && e->through == at->through &&
	    e->rounds >= at->rounds + SETTLED_ROUNDS;
	if (all && at->valid && e->through == at->through &&
	    e->rounds >= at->rounds)
		return;
	at->valid = all;
	at->through = e->through;
	at->rounds = e->rounds;
}

/* How far the tail has read and passed on; 0: not known just now. */
static uint64_t
ask_known(struct talk *t, struct settled *at)
{
	struct send		*s = t->s;
	struct sync_pos		 before = s->received;
	struct tail_evidence	 e;
	uint64_t		 known = 0;

	send_queue_flush(s);
	if (!s->joined || s->detached)
		return s->received.tick;
	fiber_mutex_lock(&s->attach);
	if (!t->dead && s->joined &&
	    send_tail_ask(s, &before, &e, &t->dead) == 0 && !t->dead &&
	    s->joined && !s->detached &&
	    before.tick == s->received.tick && before.epoch ==
	    s->received.epoch && strcmp(e.server, s->conf.server) == 0) {
		known = e.join;
		settle(at, &e, MAX(known, s->received.tick));
	}
	fiber_mutex_unlock(&s->attach);
	send_queue_flush(s);
	return MAX(known, s->received.tick);
}

int
deliver_wait(struct talk *t, uint64_t tick, uint64_t deadline_ms)
{
	struct loop	*loop = t->s->loop;
	uint64_t	 known = t->s->received.tick, pause = ASK_FIRST_MS, now;
	struct settled	 at = { .valid = false };

	for (;;) {
		if (t->dead)
			return ERR_CANCELLED;
		known = MAX(known, t->s->received.tick);
		if (is_out(t, tick, known))
			return 0;
		if ((now = loop_now_ms(loop)) >= deadline_ms)
			return ERR_TIMEOUT;
		if (known < tick)
			known = MAX(known, ask_known(t, &at));
		if (at.now)
			known = MAX(known, tick);
		if (t->dead || is_out(t, tick, known))
			continue;
		(void)fiber_cond_wait_until(&t->changed,
		    MIN(now + pause, deadline_ms));
		pause = MIN(pause + pause / 2, ASK_MAX_MS);
	}
}
