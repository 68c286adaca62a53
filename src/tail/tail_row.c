/* tail_row.c - channels: lines on their way, and who is too slow (R4) */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "tail/tail_priv.h"

struct tail_row *
tail_row_find(struct tail *t, const char *db, const char *cuid)
{
	struct route_channel	*ch = route_find(t->route, db, cuid);

	return ch == NULL ? NULL : ch->arg;
}

/* Between responses. */
struct tail_row *
tail_row_add(struct tail *t, uint32_t id, const char *db, const char *cuid,
    uint64_t tick)
{
	struct tail_row	*row = xcalloc(1, sizeof(*row));

	if (id == 0)
		id = t->next_id;
	t->next_id = MAX(t->next_id, id) + 1;
	row->t = t;
	row->id = id;
	row->ch = route_add(t->route, id, db, cuid, tick);
	bug_unless(row->ch != NULL);
	row->ch->arg = row;
	row->known = t->point.from;	/* and nothing was seen: last is 0 */
	row->join_tick = row->base = row->noted = row->ch->last;
	row->away_ms = loop_now_ms(t->loop);
	row->away_us = clock_wall_us();
	TAILQ_INSERT_TAIL(&t->rows, row, all);
	return row;
}

static void
unlink_pending(struct tail_row *row)
{
	if (!row->pending)
		return;
	row->pending = false;
	TAILQ_REMOVE(&row->t->pending, row, pend);
}

void
tail_row_early_clear(struct tail_row *row)
{
	struct tail_reader	*rd = row->early;

	if (rd == NULL)
		return;
	TAILQ_REMOVE(row->doubted ? &rd->doubted : &rd->earlies, row, earlier);
	row->early = NULL;
	row->doubted = false;
}

void
tail_row_again(struct tail_row *row, uint64_t tick)
{
	struct tail	*t = row->t;
	char		*db = xstrdup(row->ch->db);
	char		*cuid = xstrdup(row->ch->cuid);

	tail_row_drop_lines(row);
	tail_row_early_clear(row);
	unlink_pending(row);
	row->again = row->is_slow = false;
	route_remove(t->route, &row->ch);
	row->ch = route_add(t->route, row->id, db, cuid, tick);
	row->ch->arg = row;
	if (row->queued != 0)
		(void)route_spill_add(t->route, row->ch, row->queued,
		    loop_now_ms(t->loop));
	row->join_tick = row->base = row->noted = row->ch->last;
	row->need = row->told = row->ended = 0;
	free(db);
	free(cuid);
}

void
tail_row_free(struct tail_row *row)
{
	struct tail	*t = row->t;

	tail_row_drop_lines(row);
	tail_row_early_clear(row);
	unlink_pending(row);
	if (row->is_queued)
		TAILQ_REMOVE(&t->sending, row, sending);
	if (row->detoured)
		TAILQ_REMOVE(&t->detoured, row, detour);
	TAILQ_REMOVE(&t->rows, row, all);
	if (row->conn != NULL)
		row->conn->row = NULL;
	route_remove(t->route, &row->ch);
	buf_free(&row->out);
	free(row);
}

void
tail_row_gone(struct tail_row *row, enum tail_end_why why,
    const char *sentence)
{
	struct buf	 b = BUF_INIT;

	log_info("%s %s: %s", row->ch->db, row->ch->cuid, sentence);
	if (row->conn != NULL) {
		put_u8(&b, (uint8_t)why);
		put_str(&b, sentence);
		tail_row_send(row, MSG_TAIL_GONE, &b);
	}
	/* one that sleeps has to hear of it, too: it finds no row then */
	tail_row_want(row);
	tail_floor_set(row->t, row->ch->db, row->ch->cuid, false);
	tail_row_free(row);
}

void
tail_rows_gone(struct tail *t, enum tail_end_why why, const char *sentence)
{
	struct tail_row	*row;

	while ((row = TAILQ_FIRST(&t->rows)) != NULL)
		tail_row_gone(row, why, sentence);
}

/* ---- to the send -------------------------------------------------------- */

static bool
is_refill(const struct tail_row *row)
{
	return row->ch->state == ROUTE_DETACHED;
}

/* Its pipe is full: a busy one is given a moment (the timer decides). */
static void
set_slow(struct tail_row *row)
{
	struct tail	*t = row->t;
	uint64_t	 now = loop_now_ms(t->loop);

	if (row->is_slow || row->ch->state == ROUTE_ENDED)
		return;
	row->is_slow = true;
	row->slow_ms = now;
	row->slow_sent = 0;
	tail_reader_pause(is_refill(row) ? &t->refill : &t->live,
	    TAIL_PAUSE_SLOW, true);
}

static void
send_bytes(struct tail_row *row, uint16_t type, const void *data, size_t len)
{
	struct tail	*t = row->t;
	size_t		 n = len + FRAME_HEADER_BYTES;

	if (peer_send(row->conn->peer, type, 0, data, len) != 0)
		return;		/* it is lost; we are told soon */
	row->queued += n;
	if (route_spill_add(t->route, row->ch, n, loop_now_ms(t->loop)) ==
	    ROUTE_WHY_SPILL_FULL)
		set_slow(row);
	if (row->is_queued)
		return;
	row->is_queued = true;
	TAILQ_INSERT_TAIL(&t->sending, row, sending);
	if (!loop_timer_is_running(t->drain_timer))
		loop_timer_start_periodic(t->drain_timer, TAIL_DRAIN_MS);
}

void
tail_row_send(struct tail_row *row, uint16_t type, struct buf *b)
{
	if (row->conn != NULL)
		send_bytes(row, type, b->data, b->len);
	buf_free(b);
}

static void
say_state(struct tail_row *row, const char *why)
{
	struct buf	 b = BUF_INIT;

	put_u8(&b, (uint8_t)row->ch->state);
	put_str(&b, why);
	tail_row_send(row, MSG_TAIL_STATE, &b);
}

/* ---- lines -------------------------------------------------------------- */

/* Buffers go round: a busy channel allocates nothing per response. */
static void
out_begin(struct tail_row *row)
{
	struct tail	*t = row->t;

	if (row->out.cap == 0 && t->nspare != 0)
		row->out = t->spare[--t->nspare];
	buf_append_u8(&row->out, 0);
}

static void
out_end(struct tail_row *row)
{
	struct tail	*t = row->t;

	buf_reset(&row->out);
	if (row->out.cap == 0 || t->nspare == NITEMS(t->spare))
		buf_free(&row->out);
	else
		t->spare[t->nspare++] = row->out;
	row->out = (struct buf)BUF_INIT;
}

/* What goes out before the response is complete must come again if that
 * breaks off. */
static void
note_early(struct tail_row *row, struct tail_reader *rd, const void *line,
    size_t len, uint64_t tick)
{
	if (row->early == NULL) {
		row->early = rd;
		TAILQ_INSERT_TAIL(&rd->earlies, row, earlier);
	}
	if (!TAILQ_EMPTY(&rd->doubted) || tick < rd->early_tick)
		return;
	rd->early_tick = tick;
	rd->early_crc = crc32c(0, line, len);
}

static uint8_t
piece_flags(struct tail_row *row, bool more)
{
	uint8_t	 flags = more ? TAIL_LINES_MORE : 0;

	if (row->again)
		flags |= TAIL_LINES_AGAIN;
	row->again = false;
	return flags;
}

void
tail_row_flush(struct tail_row *row, struct tail_reader *rd, bool early)
{
	if (row->out.len <= 1 || row->conn == NULL)
		return;
	if (early)
		note_early(row, rd, row->out.data + row->line_at,
		    row->out.len - row->line_at - 1, row->line_tick);
	row->out.data[0] = piece_flags(row, false);
	send_bytes(row, MSG_TAIL_LINES, row->out.data, row->out.len);
	out_end(row);
}

/* A line that is longer than a piece. */
static void
send_long(struct tail_row *row, struct tail_reader *rd,
    const struct arango_marker *m)
{
	struct buf	*b = &row->t->scratch;
	size_t		 at, n, len = m->line.len;
	bool		 more;

	note_early(row, rd, m->line.p, len, m->tick);
	for (at = 0; at < len; at += n) {
		/* with the flags in front and the end of the line */
		n = MIN(len - at, TAIL_PIECE_BYTES - 2);
		more = at + n < len;
		buf_reset(b);
		buf_append_u8(b, piece_flags(row, more));
		buf_append(b, m->line.p + at, n);
		if (!more)
			buf_append_u8(b, '\n');
		send_bytes(row, MSG_TAIL_LINES, b->data, b->len);
	}
}

void
tail_row_line(struct tail_row *row, struct tail_reader *rd,
    const struct arango_marker *m)
{
	size_t	 len = m->line.len;

	if (row->conn == NULL) {
		/* nobody takes it: read it again when there is somebody */
		tail_row_detach(row, ROUTE_WHY_QUOTA);
		tail_row_want(row);
		return;
	}
	if (row->in == NULL) {
		row->in = rd;
		TAILQ_INSERT_TAIL(&rd->touched, row, touched);
	}
	if (row->out.len + len + 2 > TAIL_PIECE_BYTES)
		tail_row_flush(row, rd, true);
	if (len + 2 > TAIL_PIECE_BYTES) {
		send_long(row, rd, m);
		return;
	}
	if (row->out.len == 0)
		out_begin(row);
	row->line_at = row->out.len;
	row->line_tick = m->tick;
	buf_append(&row->out, m->line.p, len);
	buf_append_u8(&row->out, '\n');
}

void
tail_row_drop_lines(struct tail_row *row)
{
	if (row->in == NULL)
		return;
	TAILQ_REMOVE(&row->in->touched, row, touched);
	row->in = NULL;
	out_end(row);
	if (row->early != NULL)
		row->again = true;
}

/* ---- detached, away, joined --------------------------------------------- */

void
tail_row_detach(struct tail_row *row, enum route_why why)
{
	struct tail	*t = row->t;
	bool		 was_live = row->ch->state == ROUTE_LIVE;

	(void)route_detach(t->route, row->ch, why);
	tail_row_drop_lines(row);
	row->is_slow = false;
	if (t->live.reading && was_live && !row->detoured) {
		/* the present response may have had something for it */
		row->detoured = true;
		TAILQ_INSERT_TAIL(&t->detoured, row, detour);
	}
	if (was_live && row->conn != NULL) {
		log_info("%s %s: detached: %s", row->ch->db, row->ch->cuid,
		    route_why_name(why));
		say_state(row, route_why_name(why));
	}
}

void
tail_row_away(struct tail_row *row)
{
	struct tail	*t = row->t;
	uint64_t	 now = loop_now_ms(t->loop);

	row->conn = NULL;
	row->away_ms = now;
	row->away_us = clock_wall_us();
	row->again = row->is_slow = false;
	if (row->queued != 0)
		route_spill_sub(t->route, row->ch, row->queued, now);
	row->queued = 0;
	if (row->is_queued)
		TAILQ_REMOVE(&t->sending, row, sending);
	row->is_queued = false;
	/*
	 * What has no end yet is read again for whoever comes; a live one with
	 * nothing of this response stays at the checkpoint.
	 */
	if (row->in != NULL || is_refill(row))
		tail_row_detach(row, ROUTE_WHY_QUOTA);
	row->again = false;
}

/*
 * It was told that records up to row->told wait for it, and the last ticks of
 * those may have been nothing: an end without lines says that it is through.
 */
static void
say_through(struct tail_row *row, uint64_t from)
{
	const struct route_point *rp = &row->t->point;
	struct sync_pos		 pos;
	struct buf		 b = BUF_INIT;

	if (row->told <= row->ended || from < row->told)
		return;
	tail_position(row->t, MIN(from, rp->from), rp, &pos);
	row->ended = pos.tick;
	put_u64(&b, pos.tick);
	pos_put(&b, &pos);
	tail_row_send(row, MSG_TAIL_END, &b);
}

void
tail_row_joined(void *arg, struct route_channel *ch)
{
	struct tail_row	*row = ch->arg;

	/* what it got of the catch-up's present response comes again */
	tail_row_drop_lines(row);
	row->known = MIN(row->known, row->join_tick);
	row->is_slow = false;
	log_info("%s %s: live", ch->db, ch->cuid);
	say_state(row, "");
	say_through(row, ch->from);
	/* what a response may have had for it came with another's end */
	row->need = MIN(row->need, row->ended);
	tail_row_noted(row, 0);
}

/* ---- watermarks --------------------------------------------------------- */

/* Records up to need exist; before `from` there is nothing new. */
void
tail_row_pending(struct tail_row *row, uint64_t from, uint64_t need)
{
	row->need = MAX(row->need, need);
	if (row->noted >= row->need) {
		unlink_pending(row);
		return;
	}
	if (row->pending)
		return;
	row->pending = true;
	row->pending_from = from;
	TAILQ_INSERT_TAIL(&row->t->pending, row, pend);
}

void
tail_row_noted(struct tail_row *row, uint64_t tick)
{
	row->noted = MAX(row->noted, tick);
	if (row->noted >= row->need)
		unlink_pending(row);
}

/* ---- who is too slow ---------------------------------------------------- */

static void
drain_row(struct tail_row *row, uint64_t now)
{
	struct tail	*t = row->t;
	size_t		 left = peer_queued_bytes(row->conn->peer);

	if (left >= row->queued)
		return;
	route_spill_sub(t->route, row->ch, row->queued - left, now);
	row->slow_sent += row->queued - left;
	row->queued = left;
	if (left != 0)
		return;
	row->is_queued = false;
	TAILQ_REMOVE(&t->sending, row, sending);
}

/* Still slow?  Then it holds its reader. */
static bool
judge_slow(struct tail_row *row, uint64_t now)
{
	if (row->ch->spill <= ROUTE_SPILL_BYTES / 2) {
		row->is_slow = false;
		return false;
	}
	if (is_refill(row)) {
		if (now - row->ch->spill_ms < TAIL_REFILL_STUCK_MS)
			return true;
		/* out of this request; again when its pipe is empty */
		tail_row_detach(row, ROUTE_WHY_SPILL_OLD);
		return false;
	}
	if (now - row->slow_ms < TAIL_GRACE_MS)
		return true;
	if (row->slow_sent >= TAIL_GRACE_BYTES) {
		row->slow_ms = now;
		row->slow_sent = 0;
		return true;
	}
	tail_row_detach(row, ROUTE_WHY_SPILL_FULL);
	return false;
}

void
tail_drain(void *arg)
{
	struct tail		*t = arg;
	struct tail_row		*row, *next;
	struct route_channel	*ch;
	uint64_t		 now = loop_now_ms(t->loop);
	bool			 slow[2] = { false, false };

	for (row = TAILQ_FIRST(&t->sending); row != NULL; row = next) {
		next = TAILQ_NEXT(row, sending);
		drain_row(row, now);
		if (row->is_slow && judge_slow(row, now))
			slow[is_refill(row)] = true;
	}
	while ((ch = route_spill_due(t->route, now)) != NULL)
		tail_row_detach(ch->arg, ROUTE_WHY_SPILL_OLD);
	tail_reader_pause(&t->live, TAIL_PAUSE_SLOW, slow[0]);
	tail_reader_pause(&t->refill, TAIL_PAUSE_SLOW, slow[1]);
	if (slow[1])
		tail_reader_pause(&t->live, TAIL_PAUSE_MEET, false);
	tail_reader_pause(&t->live, TAIL_PAUSE_FULL, route_is_full(t->route));
	tail_reader_pause(&t->refill, TAIL_PAUSE_FULL,
	    route_is_full(t->route));
	if (TAILQ_EMPTY(&t->sending))
		loop_timer_stop(t->drain_timer);
	tail_refill_step(t);
}
