/*
 * send_queue.c - what the tail says goes into the queue; see send_priv.h
 *
 * A piece is appended when the next message comes, or at the end of the loop's
 * iteration: the usual response is one piece and its END, which are one record
 * then.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ipc/peer.h"
#include "proc/contract.h"
#include "queue/reader.h"
#include "send/send_priv.h"
#include "worker/worker.h"

#define SYNC_EVERY_MS	100
/* Pieces up to this size wait for the end of the response. */
#define KEEP_BYTES	((size_t)64 * 1024)

/* ---- opening ----------------------------------------------------------- */

static void
describe(struct send *s, struct queue_channel *c)
{
	memset(c, 0, sizeof(*c));
	snprintf(c->cluster, sizeof(c->cluster), "%s", s->conf.source);
	snprintf(c->server, sizeof(c->server), "%s", s->conf.server);
	snprintf(c->database, sizeof(c->database), "%s", s->conf.name.db);
	snprintf(c->collection, sizeof(c->collection), "%s", s->conf.coll);
	c->cid = s->conf.name.cid;
	c->shard = s->conf.name.shard;
}

/* The position at the end of the last response, which its record holds. */
static void
recover_position(struct send *s)
{
	struct queue_pos	 qp;
	struct queue_reader	*r;
	struct queue_record	 rec;
	struct channel_record	 cr;
	struct buf		 b = BUF_INIT;

	queue_received(s->queue, &qp);
	pos_clear(&s->received);
	snprintf(s->received.server, sizeof(s->received.server), "%s",
	    s->conf.server);
	s->received.reboot_id = qp.mark.reboot_id;
	s->received.tick = qp.mark.tick;
	s->received.epoch = qp.epoch;
	s->received.offset = qp.offset;
	if (qp.mark.tick == 0)
		return;
	queue_reader_new(s->queue_dir, &r);
	if (queue_reader_seek_tick(r, qp.mark.tick - 1, NULL) == 0)
		while (buf_reset(&b), queue_reader_next(r, &rec, &b, NULL) ==
		    QUEUE_READ_RECORD) {
			if (channel_stored_get(b.data, b.len, &cr) != 0 ||
			    (cr.flags & CHANNEL_BOUNDARY) == 0 ||
			    cr.pos.tick != qp.mark.tick)
				continue;
			s->received = cr.pos;
			s->received.epoch = qp.epoch;
			s->received.offset = qp.offset;
		}
	queue_reader_free(&r);
	buf_free(&b);
}

static int
open_once(struct send *s, struct queue_recovery *rec, struct err_msg *m)
{
	struct queue_opts	 o = { .quota_bytes = s->conf.quota_bytes };
	struct room		 room;

	if (send_room_look(s, &room) == 0) {
		o.min_free_bytes = room.least;
		o.segment_bytes = room_segment_bytes(room.total,
		    o.quota_bytes);
	}
	return queue_open(s->queue_dir, &s->channel, &o, &s->queue, rec, m);
}

int
send_queue_open(struct send *s)
{
	struct queue_recovery	 rec;
	struct err_msg		 m = { "" };
	char			 aside[512] = "";
	int			 r;

	describe(s, &s->channel);
	r = open_once(s, &rec, &m);
	if (r == ERR_CORRUPT || r == ERR_EXISTS || r == ERR_VERSION) {
		log_error("the queue cannot be used: %s; it is set aside and "
		    "the shard is compared again", m.text);
		r = queue_set_aside(s->queue_dir, aside, sizeof(aside), &m);
		if (r == 0) {
			log_notice("the damaged queue is %s now", aside);
			r = open_once(s, &rec, &m);
		}
	}
	if (r != 0) {
		send_trouble(s, m.text);
		return r;
	}
	s->in_line = s->dropping = false;
	s->valid = !rec.fresh && !rec.server_changed;
	pos_clear(&s->received);
	if (s->valid)
		recover_position(s);
	if (s->received.tick == 0)
		s->valid = false;	/* send_queue_void() */
	if (!rec.fresh && !rec.clean)
		log_notice("the queue was not closed: epoch %" PRIu64 " begins "
		    "behind tick %" PRIu64 " (%" PRIu64 " bytes were torn, %"
		    PRIu64 " records had no end)", rec.epoch, s->received.tick,
		    rec.torn_bytes, rec.unfinished_records);
	return 0;
}

/* Nobody knows what is on the disk. */
static void
failed(struct send *s, int err, const struct err_msg *m)
{
	send_give_up(s, err, m->text);
}

int
send_queue_restart(struct send *s, const struct sync_pos *start)
{
	struct queue_mark	 mark = { .tick = start->tick,
				    .reboot_id = start->reboot_id,
				    .line_crc = start->has_proof ?
				    start->proof_crc : 0 };
	struct queue_pos	 qp;
	struct err_msg		 m = { "" };
	int			 r;

	send_queue_forget_piece(s);
	s->in_line = s->dropping = false;
	s->valid = false;
	s->floor = 0;
	if (s->queue == NULL)
		return ERR_BAD_STATE;
	r = queue_discard_all(s->queue, &s->channel, &mark, &m);
	if (r != 0) {
		failed(s, r, &m);
		return r;
	}
	queue_received(s->queue, &qp);
	s->received = *start;
	s->received.epoch = qp.epoch;
	s->received.offset = qp.offset;
	s->start_epoch = qp.epoch;
	s->start_offset = qp.offset;
	s->valid = true;
	/* It has just become small. */
	s->full = false;
	return 0;
}

void
send_queue_void(struct send *s)
{
	struct queue_mark	 none = { .tick = 0 };
	struct err_msg		 m = { "" };
	int			 r;

	send_queue_forget_piece(s);
	s->in_line = s->dropping = s->valid = s->joined = false;
	if (s->queue == NULL)
		return;
	r = queue_discard_all(s->queue, &s->channel, &none, &m);
	if (r != 0)
		failed(s, r, &m);
}

int
send_queue_reopen(struct send *s)
{
	bool	 valid = s->valid;
	int	 r;

	send_queue_forget_piece(s);
	queue_abandon(&s->queue);
	if ((r = send_queue_open(s)) != 0) {
		send_give_up(s, r, s->error);
		return r;
	}
	s->valid = s->valid && valid;
	return 0;
}

void
send_queue_close(struct send *s)
{
	struct err_msg	 m = { "" };

	send_queue_forget_piece(s);
	loop_timer_stop(s->sync_timer);
	if (s->queue != NULL && queue_close(&s->queue, &m) != 0)
		log_warning("the queue could not be closed: %s", m.text);
}

/* ---- appending --------------------------------------------------------- */

static int
append(struct send *s, const struct lines_part *part, uint64_t tick,
    const struct sync_pos *end)
{
	struct queue_meta	 meta = { .tick_from = s->received.tick,
				    .reboot_id = s->received.reboot_id };
	struct queue_pos	 before, after;
	struct iovec		 iov[2];
	struct err_msg		 m = { "" };
	uint8_t			 flags = 0;
	int			 r;

	if (part->more)
		flags |= CHANNEL_MORE;
	if (end != NULL)
		flags |= CHANNEL_BOUNDARY;
	meta.ops = lines_count(part->p, part->n);
	meta.tick_to = MAX(tick, meta.tick_from + (meta.ops > 0));
	if (end != NULL) {
		meta.tick_to = end->tick;
		meta.reboot_id = end->reboot_id;
		meta.line_crc = end->has_proof ? end->proof_crc : 0;
		meta.flags |= QUEUE_BOUNDARY;
	}
	if (part->more)
		meta.flags |= QUEUE_CONTINUED;
	buf_reset(&s->head);
	channel_stored_put(&s->head, flags, end);
	iov[0].iov_base = s->head.data;
	iov[0].iov_len = s->head.len;
	iov[1].iov_base = (void *)(uintptr_t)part->p;
	iov[1].iov_len = part->n;
	queue_received(s->queue, &before);
	r = queue_append(s->queue, &meta, iov, part->n == 0 ? 1 : 2, &m);
	if (r == -ENOSPC)
		send_no_room(s, m.text);
	else if (r == ERR_RANGE) {
		/* Not what a tail says; nothing of it is believed. */
		log_error("%s", m.text);
		s->valid = s->joined = false;
		talk_close(s, "%s", m.text);
	} else if (r != 0)
		failed(s, r, &m);
	if (r != 0)
		return r;
	queue_received(s->queue, &after);
	if (end != NULL) {
		s->received = *end;
		s->received.epoch = after.epoch;
		s->received.offset = after.offset;
	}
	if (!loop_timer_is_running(s->sync_timer))
		loop_timer_start(s->sync_timer, SYNC_EVERY_MS);
	deliver_appended(s, &meta, &s->head, part->p, part->n, before.offset,
	    after.offset);
	return 0;
}

/*
 * Which of the part is to be appended: what is known already is not.  False:
 * nothing.
 */
static bool
choose(struct send *s, struct lines_part *part, uint64_t *tick)
{
	size_t	 n;

	if (part->inside) {
		*tick = s->line_tick;
		return !s->dropping;
	}
	s->dropping = false;
	*tick = 0;
	if (part->more) {
		if (lines_tick(part->p, part->n, tick) != 0)
			*tick = s->received.tick + 1;
		s->line_tick = *tick;
		s->dropping = s->floor != 0 && *tick <= s->floor;
		return !s->dropping;
	}
	if (s->floor != 0) {
		n = lines_through(part->p, part->n, s->floor);
		part->p += n;
		part->n -= n;
	}
	if (part->n == 0)
		return false;
	if (lines_last_tick(part->p, part->n, tick) != 0)
		*tick = s->received.tick + 1;
	return true;
}

/* end NULL: the response goes on. */
static int
put(struct send *s, const uint8_t *p, size_t n, bool more,
    const struct sync_pos *end)
{
	static const struct lines_part	 nothing;
	struct lines_part		 part[3];
	uint64_t			 tick;
	size_t				 k, i;
	bool				 last, ended = end == NULL;
	int				 r;

	k = lines_split(p, n, s->in_line, more, part);
	for (i = 0; i < k; i++) {
		last = i + 1 == k && end != NULL;
		if (choose(s, &part[i], &tick)) {
			r = append(s, &part[i], tick, last ? end : NULL);
			if (r != 0)
				return r;
			ended = ended || last;
		}
		s->in_line = part[i].more;
	}
	return ended ? 0 : append(s, &nothing, end->tick, end);
}

void
send_queue_forget_piece(struct send *s)
{
	loop_task_cancel(&s->piece_task);
	buf_reset(&s->piece);
}

static void
put_piece(struct send *s, const struct sync_pos *end)
{
	struct buf	 b = s->piece;

	loop_task_cancel(&s->piece_task);
	/* append() may come back here through send_no_room(). */
	s->piece = (struct buf)BUF_INIT;
	(void)put(s, b.data, b.len, s->piece_more, end);
	buf_free(&s->piece);
	buf_reset(&b);
	s->piece = b;
}

void
send_queue_flush(struct send *s)
{
	if (s->piece.len > 0 && s->queue != NULL)
		put_piece(s, NULL);
}

static void
on_piece_task(void *arg)
{
	send_queue_flush(arg);
}

void
send_queue_lines(struct send *s, uint8_t flags, const uint8_t *p, size_t n)
{
	bool	 more = flags & TAIL_LINES_MORE;

	send_queue_flush(s);
	if (!s->joined || s->queue == NULL || n == 0)
		return;
	if (n > KEEP_BYTES || more) {
		(void)put(s, p, n, more, NULL);
		return;
	}
	buf_append(&s->piece, p, n);
	s->piece_more = more;
	loop_task_post_late(s->loop, &s->piece_task);
}

void
send_queue_end(struct send *s, const struct sync_pos *pos)
{
	if (!s->joined || s->queue == NULL)
		return;
	if (s->in_line && s->piece.len == 0) {
		log_error("the tail ended a response inside of a line");
		s->valid = s->joined = false;
		talk_close(s, "the tail broke its protocol");
		return;
	}
	if (pos->tick > s->received.tick)
		put_piece(s, pos);
	else
		send_queue_forget_piece(s);
	/* Above it nothing is known. */
	if (pos->tick >= s->floor)
		s->floor = 0;
	if (!s->joined)
		return;
	send_note(s, pos->tick);
	send_check_room(s);
	send_touch(s);
}

/* ---- group commit, acknowledgements ------------------------------------ */

uint64_t
send_queue_durable_tick(const struct send *s)
{
	struct queue_pos	 qp;

	if (s->queue == NULL)
		return 0;
	queue_durable(s->queue, &qp);
	return qp.mark.tick;
}

void
send_queue_sync(struct send *s)
{
	struct err_msg	 m = { "" };
	int		 r;

	if (s->queue == NULL)
		return;
	if ((r = queue_sync(s->queue, &m)) == -ENOSPC) {
		/* What went out is not there any more: as after a crash. */
		talk_close(s, "%s", m.text);
		if (send_queue_reopen(s) == 0)
			send_no_room(s, m.text);
		return;
	}
	if (r != 0) {
		failed(s, r, &m);
		return;
	}
	send_room_is_good(s);
	send_tail_ack(s);
}

static void
on_sync_timer(void *arg)
{
	send_queue_sync(arg);
}

void
send_queue_ack(struct send *s, const struct sync_pos *pos)
{
	struct err_msg	 m = { "" };
	int		 r;

	if (s->queue == NULL || pos->epoch == 0)
		return;
	r = queue_ack(s->queue, pos->epoch, pos->offset, &m);
	if (r == ERR_RANGE)
		log_warning("the target commits what was never sent: %s",
		    m.text);
	else if (r != 0 && r != -ENOSPC) {
		failed(s, r, &m);
		return;
	}
	send_make_room(s);
	send_check_room(s);
	send_touch(s);
}

/* Nothing has happened for a while, or at least not between two records. */
void
send_queue_idle(struct send *s)
{
	buf_free(&s->out);
	if (!loop_task_is_posted(&s->piece_task))
		buf_free(&s->piece);
	if (s->talk != NULL && !s->talk->behind)
		buf_free(&s->talk->payload);
}

void
send_queue_start(struct send *s)
{
	loop_task_init(&s->piece_task, on_piece_task, s);
	s->sync_timer = loop_timer_new(s->loop, on_sync_timer, s);
	send_room_start(s);
}
