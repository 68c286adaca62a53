/*
 * tail_read.c - the live reader, and the catch-up for detached channels (R4)
 *
 * Both are struct arango_tail; which line goes where is decided by sync/route.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "tail/tail_priv.h"

/* The longest document is 1 GiB as a request; escaped it may be longer. */
#define LINE_MAX_BYTES	((size_t)1536 * 1024 * 1024)

/* ---- lines that went out early ------------------------------------------ */

static void
early_forget(struct tail_rows *rows)
{
	while (!TAILQ_EMPTY(rows))
		tail_row_early_clear(TAILQ_FIRST(rows));
}

/* They are not in the log any more: nobody may build on them (R5). */
static void
early_lost(struct tail_reader *rd)
{
	struct tail_row	*row;

	while ((row = TAILQ_FIRST(&rd->doubted)) != NULL) {
		/* its target may be at the very tick where it joins again */
		tail_floor_set(rd->t, row->ch->db, row->ch->cuid, true);
		tail_row_gone(row, TAIL_HISTORY_LOST, "records of a response "
		    "that broke off are not in the log any more");
	}
}

static void
early_check(struct tail_reader *rd, const struct arango_marker *m)
{
	struct tail_row	*row;

	if (m->tick < rd->early_tick)
		return;
	if (m->tick > rd->early_tick) {
		early_lost(rd);
		return;
	}
	/* several lines may have the same tick */
	if (crc32c(0, m->line.p, m->line.len) != rd->early_crc)
		return;
	while ((row = TAILQ_FIRST(&rd->doubted)) != NULL) {
		TAILQ_REMOVE(&rd->doubted, row, earlier);
		row->doubted = false;
		TAILQ_INSERT_TAIL(&rd->earlies, row, earlier);
	}
}

static void
early_end(struct tail_reader *rd, const struct arango_tail_done *d)
{
	early_forget(&rd->earlies);
	if (!d->more || d->point.from >= rd->early_tick)
		early_lost(rd);
}

/* What is found in the log up to the last of them is all there. */
static void
early_broken(struct tail_reader *rd)
{
	struct tail_row	*row;

	while ((row = TAILQ_FIRST(&rd->earlies)) != NULL) {
		TAILQ_REMOVE(&rd->earlies, row, earlier);
		row->doubted = true;
		TAILQ_INSERT_TAIL(&rd->doubted, row, earlier);
	}
}

/* ---- callbacks of both -------------------------------------------------- */

static void
detour(struct tail_row *row)
{
	if (row->detoured)
		return;
	row->detoured = true;
	TAILQ_INSERT_TAIL(&row->t->detoured, row, detour);
}

static int
on_marker(void *arg, const struct arango_marker *m)
{
	struct tail_reader	*rd = arg;
	struct tail		*t = rd->t;
	struct route_channel	*ch;
	struct tail_row		*row;
	enum route_verdict	 v;

	if (!rd->reading) {
		rd->reading = true;
		if (rd->live)
			route_request(t->route);
	}
	if (!TAILQ_EMPTY(&rd->doubted))
		early_check(rd, m);
	v = rd->live ?
	    route_take(t->route, m->tick, m->type, &m->db, &m->cuid,
	    m->line.len + 1, &ch) :
	    route_take_refill(t->route, m->tick, m->type, &m->db, &m->cuid,
	    m->line.len + 1, &ch);
	if (v == ROUTE_NOBODY)
		return 0;
	row = ch->arg;
	/* what no send gets must not look as if it waited for one */
	if (m->tick > row->last && v != ROUTE_IRRELEVANT)
		row->last = m->tick;
	switch (v) {
	case ROUTE_PASS:
		tail_row_line(row, rd, m);
		break;
	case ROUTE_DETOUR:
		if (!rd->live)
			break;
		if (row->conn == NULL && m->type == WAL_COLL_DROP)
			tail_row_gone(row, TAIL_ENDED, "dropped");
		else
			detour(row);
		break;
	case ROUTE_END:
		tail_row_gone(row, TAIL_ENDED, m->type == WAL_COLL_DROP ?
		    "the shard was dropped" : "the shard was made anew");
		break;
	default:
		break;
	}
	return 0;
}

void
tail_point_of(struct route_point *rp, const struct arango_tail_point *p)
{
	memset(rp, 0, sizeof(*rp));
	rp->from = p->from;
	rp->has_proof = p->has_last;
	rp->proof_vpack = p->last_vpack;
	rp->proof_from = p->last_from;
	rp->proof_tick = p->last_tick;
	rp->proof_crc = p->last_crc;
}

void
tail_position(const struct tail *t, uint64_t tick,
    const struct route_point *end, struct sync_pos *pos)
{
	pos_clear(pos);
	memcpy(pos->server, t->conf.server, sizeof(pos->server));
	pos->reboot_id = t->conf.reboot_id;
	pos->server_id = t->server_id;
	pos->tick = tick;
	if (tick != end->from)
		return;
	pos->has_proof = end->has_proof;
	pos->proof_vpack = end->proof_vpack;
	pos->proof_from = end->proof_from;
	pos->proof_tick = end->proof_tick;
	pos->proof_crc = end->proof_crc;
}

/* The response is complete: the rest of the lines, and its end. */
static void
end_rows(struct tail_reader *rd, const struct arango_tail_done *d)
{
	struct tail	*t = rd->t;
	struct tail_row	*row;
	struct route_point at;
	struct sync_pos	 pos;
	struct buf	 end = BUF_INIT, b;

	if (TAILQ_EMPTY(&rd->touched))
		return;
	tail_point_of(&at, &d->point);
	tail_position(t, at.from, &at, &pos);
	put_u64(&end, d->asked_from);
	pos_put(&end, &pos);
	while ((row = TAILQ_FIRST(&rd->touched)) != NULL) {
		TAILQ_REMOVE(&rd->touched, row, touched);
		row->in = NULL;
		tail_row_flush(row, rd, false);
		b = (struct buf)BUF_INIT;
		buf_append(&b, end.data, end.len);
		tail_row_send(row, MSG_TAIL_END, &b);
		row->ended = d->point.from;
		if (!rd->live)
			continue;
		row->told = d->point.from;
		tail_row_pending(row, d->asked_from, d->point.from);
	}
	buf_free(&end);
}

static void
end_detoured(struct tail *t, const struct arango_tail_done *d)
{
	struct tail_row	*row;

	while ((row = TAILQ_FIRST(&t->detoured)) != NULL) {
		TAILQ_REMOVE(&t->detoured, row, detour);
		row->detoured = false;
		tail_row_pending(row, d->asked_from, d->point.from);
	}
}

static void
live_done(struct tail_reader *rd, const struct arango_tail_done *d)
{
	struct tail	*t = rd->t;

	end_rows(rd, d);
	end_detoured(t, d);
	early_end(rd, d);
	rd->reading = false;
	t->read_bytes += d->bytes;
	t->read_ticks += d->point.from - d->asked_from;
	t->rounds = d->more || d->point.from != t->point.from ? 0 :
	    t->rounds + 1;
	tail_point_of(&t->point, &d->point);
	route_done(t->route, &t->point, tail_row_joined, t);
	t->newest = MAX(d->server_tick, t->newest);
	t->at_end = !d->more;
	t->good_ms = loop_now_ms(t->loop);
	/* Whoever was answered before we asked is at or below this tick. */
	tail_time_note(t, t->at_end ? t->point.from : d->server_tick,
	    clock_wall_us() - d->elapsed_us);
	tail_set_state(t, TAIL_RUNNING, NULL);
	/* but it waits for no slow one */
	tail_reader_pause(rd, TAIL_PAUSE_MEET, t->refill.tail != NULL &&
	    (t->refill.pauses & TAIL_PAUSE_SLOW) == 0 &&
	    route_should_meet(t->route));
	tail_joins(t);
	tail_refill_step(t);
}

static void
refill_done(struct tail_reader *rd, const struct arango_tail_done *d)
{
	struct tail	*t = rd->t;
	uint64_t	 from = d->point.from;

	if (!TAILQ_EMPTY(&rd->touched))
		t->refill_wait_ms = loop_now_ms(t->loop) +
		    TAIL_REFILL_WAIT_MS;
	/*
	 * The live stream may stand behind ticks that the log never shows,
	 * where no other reader comes to: who has reached the end of the log
	 * after that has read as much.
	 */
	if (!d->more && rd->meet != 0 && d->server_tick >= rd->meet)
		from = MAX(from, rd->meet);
	rd->meet = t->has_point ? t->point.from : 0;
	end_rows(rd, d);
	early_end(rd, d);
	rd->reading = false;
	rd->from = from;
	route_refill_done(t->route, from, tail_row_joined, t);
	tail_refill_step(t);
}

static void
on_done(void *arg, const struct arango_tail_done *d)
{
	struct tail_reader	*rd = arg;

	if (rd->live)
		live_done(rd, d);
	else
		refill_done(rd, d);
}

/* What was sent of it comes again; what was not is forgotten. */
static void
broken(struct tail_reader *rd)
{
	struct tail	*t = rd->t;
	struct tail_row	*row;

	while ((row = TAILQ_FIRST(&rd->touched)) != NULL)
		tail_row_drop_lines(row);
	early_broken(rd);
	rd->reading = false;
	if (rd->live)
		route_broken(t->route);
	else
		route_refill_broken(t->route);
}

/* The log begins behind where they have to go on. */
static void
refill_gap(struct tail *t, uint64_t from, const char *why)
{
	struct tail_row	*row, *next;

	for (row = TAILQ_FIRST(&t->rows); row != NULL; row = next) {
		next = TAILQ_NEXT(row, all);
		if (row->ch->state == ROUTE_DETACHED && row->conn != NULL &&
		    row->ch->from <= from)
			tail_row_gone(row, TAIL_WAL_GONE, why);
	}
	tail_reader_stop(&t->refill);
	tail_refill_step(t);
}

static void
on_event(void *arg, enum arango_tail_event ev, const char *why)
{
	struct tail_reader	*rd = arg;
	struct tail		*t = rd->t;

	if (ev == ARANGO_TAIL_BROKEN) {
		if (rd->reading)
			broken(rd);
		if (rd->live)
			tail_joins(t);
		return;
	}
	if (!rd->live) {
		tail_reader_pause(&t->live, TAIL_PAUSE_MEET, false);
		if (ev == ARANGO_TAIL_GAP)
			refill_gap(t, rd->from, why);
		return;
	}
	switch (ev) {
	case ARANGO_TAIL_GAP:
		log_warning("%s", why);
		t->gap = t->restart = true;
		(void)fiber_cond_broadcast(&t->wake);
		break;
	case ARANGO_TAIL_UP:
		/* It may have been started again: hold first (R2). */
		if (t->hold != NULL)
			arango_hold_now(t->hold);
		if (t->w != NULL)
			worker_say(t->w, MSG_WORKER_LOOK);
		log_notice("the server answers again");
		tail_set_state(t, TAIL_RUNNING, NULL);
		break;
	default:
		tail_set_state(t, TAIL_DOWN, why);
		break;
	}
}

static void
on_request(void *arg, uint64_t from)
{
	struct tail_reader	*rd = arg;
	struct tail		*t = rd->t;

	rd->from = from;
	if (TAILQ_EMPTY(&rd->doubted))
		rd->early_tick = 0;
	if (!rd->live)
		route_refill_request(t->route, from);
	else if (from < t->point.from)
		tail_rewound(t, from);
}

/* ---- readers ------------------------------------------------------------ */

void
tail_reader_start(struct tail_reader *rd, const struct arango_tail_point *p)
{
	struct tail		*t = rd->t;
	struct arango_tail_opts	 o = ARANGO_TAIL_OPTS_INIT;

	o.cluster = t->cluster;
	o.server = t->server;
	o.point = *p;
	o.max_line = LINE_MAX_BYTES;
	o.idle_max_ms = TAIL_IDLE_MS;
	o.on_marker = on_marker;
	o.on_done = on_done;
	o.on_event = on_event;
	o.on_request = on_request;
	o.arg = rd;
	rd->pauses = 0;
	rd->from = p->from;
	rd->meet = rd->live || !t->has_point ? 0 : t->point.from;
	rd->tail = arango_tail_start(&o);
}

void
tail_reader_stop(struct tail_reader *rd)
{
	if (rd->tail == NULL)
		return;
	arango_tail_stop(&rd->tail);
	if (rd->reading)
		broken(rd);
	rd->pauses = 0;
}

void
tail_reader_pause(struct tail_reader *rd, unsigned why, bool on)
{
	unsigned	 before = rd->pauses;

	if (rd->tail == NULL)
		return;
	rd->pauses = on ? before | why : before & ~why;
	if (before == 0 && rd->pauses != 0)
		arango_tail_pause(rd->tail);
	else if (before != 0 && rd->pauses == 0)
		arango_tail_resume(rd->tail);
}

/* Does somebody have to take what it has before the catch-up goes on? */
static bool
somebody_drains(const struct tail *t)
{
	const struct tail_row	*row;

	TAILQ_FOREACH(row, &t->sending, sending)
		if (row->ch->state == ROUTE_DETACHED && !row->ch->blocked)
			return true;
	return false;
}

void
tail_refill_step(struct tail *t)
{
	struct tail_reader	*rd = &t->refill;
	struct arango_tail_point p;
	uint64_t		 from;
	bool			 drains;

	if (t->live.tail == NULL || rd->reading)
		return;
	drains = somebody_drains(t);
	if (!route_refill_from(t->route, &from)) {
		tail_reader_pause(&t->live, TAIL_PAUSE_MEET, false);
		if (drains)
			tail_reader_pause(rd, TAIL_PAUSE_WAIT, true);
		else
			tail_reader_stop(rd);
		return;
	}
	if (!route_should_meet(t->route))
		tail_reader_pause(&t->live, TAIL_PAUSE_MEET, false);
	memset(&p, 0, sizeof(p));
	p.from = from;
	if (rd->tail == NULL) {
		log_debug("catching up from %" PRIu64, from);
		tail_reader_start(rd, &p);
		return;
	}
	if (drains && loop_now_ms(t->loop) < t->refill_wait_ms) {
		tail_reader_pause(rd, TAIL_PAUSE_WAIT, true);
		return;
	}
	if (from != rd->from) {
		rd->from = from;
		arango_tail_seek(rd->tail, &p);
	}
	tail_reader_pause(rd, TAIL_PAUSE_WAIT, false);
}
