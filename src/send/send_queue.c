/*
 * send_queue.c - what the tail says goes into the queue; see send_priv.h
 *
 * A piece is appended when the next message comes, or at the end of the loop's
 * iteration: the usual response is one piece and its END, which are one record
 * then.
 */
#include <sys/statvfs.h>

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
#define ROOM_EVERY_MS	1000
/* Pieces up to this size wait for the end of the response. */
#define KEEP_BYTES	((size_t)64 * 1024)
#define QUOTA_SAY_MS	(60 * 1000)
/* Consumed segments are what a queue gets smaller by: small ones for a small
 * quota. */
#define QUOTA_SEGMENTS	8
#define SEGMENT_MIN	((uint64_t)1024 * 1024)
/* So much must be free beyond the minimum before we go on. */
#define ROOM_BYTES	((uint64_t)16 * 1024 * 1024)

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
	struct queue_opts	 o = { .quota_bytes = s->conf.quota_bytes,
				    .min_free_bytes = s->conf.min_free_bytes };

	if (o.quota_bytes != 0)
		o.segment_bytes = (uint32_t)MIN(MAX(o.quota_bytes /
		    QUOTA_SEGMENTS, SEGMENT_MIN), QUEUE_SEGMENT_BYTES);
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
		if (r != -ENOSPC)
			failed(s, r, &m);
		send_trouble(s, m.text);
		return r;
	}
	queue_received(s->queue, &qp);
	s->received = *start;
	s->received.epoch = qp.epoch;
	s->received.offset = qp.offset;
	s->start_epoch = qp.epoch;
	s->start_offset = qp.offset;
	s->valid = true;
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
	if (r != 0 && r != -ENOSPC)
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

/* ---- no room ----------------------------------------------------------- */

static void
no_room(struct send *s, const char *why)
{
	if (!s->full)
		log_warning("%s; the tail is stopped until there is room, what "
		    "is queued goes on", why);
	s->full = true;
	s->joined = false;
	send_trouble(s, why);
	send_queue_forget_piece(s);
	send_tail_block(s, true);
	loop_timer_start(s->room_timer, ROOM_EVERY_MS);
	if (s->in_line && !s->dropping) {
		/* What is begun will never end. */
		talk_close(s, "%s", why);
		(void)send_queue_reopen(s);
	}
	s->in_line = s->dropping = false;
	send_touch(s);
}

static bool
is_room(struct send *s)
{
	struct statvfs	 vfs;

	if (statvfs(s->queue_dir, &vfs) == -1)
		return true;	/* appending will tell */
	return (uint64_t)vfs.f_bavail * vfs.f_frsize >
	    s->conf.min_free_bytes + ROOM_BYTES;
}

void
send_check_quota(struct send *s)
{
	struct queue_usage	 u;

	if (s->queue == NULL || s->full)
		return;
	queue_get_usage(s->queue, &u);
	if (u.over_quota && !s->over_quota) {
		s->over_quota = true;
		/* It comes and goes while a slow target catches up. */
		if (s->quota_ms == 0 ||
		    loop_now_ms(s->loop) - s->quota_ms > QUOTA_SAY_MS) {
			s->quota_ms = loop_now_ms(s->loop);
			log_warning("the queue has %" PRIu64 " bytes, its "
			    "quota is %" PRIu64 ": the tail passes nothing on "
			    "until it is smaller", u.disk_bytes,
			    u.quota_bytes);
		}
		send_tail_block(s, true);
	} else if (s->over_quota && u.disk_bytes <=
	    u.quota_bytes - u.quota_bytes / 8) {
		s->over_quota = false;
		log_info("the queue is below its quota again");
		send_tail_block(s, false);
	}
}

static void
attach_fiber(void *arg)
{
	struct send	*s = arg;
	struct err_msg	 m = { "" };

	fiber_mutex_lock(&s->attach);
	if (!s->joined && s->tail != NULL && s->valid &&
	    send_tail_attach(s, NULL, &m) != 0 && !s->valid)
		talk_close(s, "%s", m.text);
	fiber_mutex_unlock(&s->attach);
	if (s->full || (!s->joined && s->valid && s->tail != NULL))
		loop_timer_start(s->room_timer, ROOM_EVERY_MS);
}

static void
on_room_timer(void *arg)
{
	struct send	*s = arg;

	if (worker_is_stopping(s->w) || s->tail == NULL)
		return;
	if (s->full) {
		if (!is_room(s)) {
			loop_timer_start(s->room_timer, ROOM_EVERY_MS);
			return;
		}
		log_notice("there is room for the queue again");
		s->full = false;
		send_trouble(s, NULL);
		if (!s->over_quota)
			send_tail_block(s, false);
	}
	if (!s->joined && s->valid)
		fiber_spawn(s->loop, attach_fiber, s);
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
		no_room(s, m.text);
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
	/* append() may come back here through no_room(). */
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
	send_check_quota(s);
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
	if ((r = queue_sync(s->queue, &m)) != 0) {
		failed(s, r, &m);
		return;
	}
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
	send_check_quota(s);
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
	s->room_timer = loop_timer_new(s->loop, on_room_timer, s);
}

/* Try to join soon: the tail is back, or there may be room. */
void
send_attach_soon(struct send *s)
{
	loop_timer_start(s->room_timer, 0);
}
