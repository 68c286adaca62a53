/*
 * tail_drive.c - the server's side of a tail: its history is proven, its log
 * held, the readers started (R2, R3, R5)
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "ev/backoff.h"
#include "ipc/messages.h"
#include "tail/tail_priv.h"

/* Nothing was measured yet: a small document. */
#define TICK_BYTES	256

/* ---- the hold ----------------------------------------------------------- */

static void
on_hold(void *arg, int err, const char *why)
{
	struct tail	*t = arg;

	if (err != 0 && !t->hold_failed)
		log_warning("the hold of the log cannot be renewed: %s; tried "
		    "again", why);
	else if (err == 0 && t->hold_failed)
		log_notice("the log is held again");
	t->hold_failed = err != 0;
}

static void
hold_start(struct tail *t, bool known)
{
	struct arango_hold_opts	 o = ARANGO_HOLD_OPTS_INIT;

	if (!known)
		t->hold_all_ms = loop_now_ms(t->loop) + TAIL_HOLD_ALL_MS;
	o.cluster = t->cluster;
	o.server = t->server;
	o.syncer_id = arango_syncer_id(t->conf.source, t->conf.target,
	    t->conf.server);
	o.tick = known ? t->hold_tick : 0;
	o.on_result = on_hold;
	o.arg = t;
	t->hold = arango_hold_start(&o);
}

/* What the durable checkpoint needs; what is in memory may be lost. */
void
tail_hold_update(struct tail *t)
{
	uint64_t	 tick = t->hold_tick;

	if (t->hold == NULL)
		return;
	if (loop_now_ms(t->loop) < t->hold_all_ms)
		tick = 0;
	if (t->hold_given_up)
		tick = t->newest;
	if (tick != arango_hold_tick(t->hold))
		arango_hold_set(t->hold, tick);
}

/* How much of its bound does a hold of this tick use, in percent?  Bytes are
 * estimated from what was read. */
static unsigned
hold_percent(const struct tail *t, uint64_t tick)
{
	uint64_t	 newest = MAX(t->newest, t->point.from);
	uint64_t	 now = clock_wall_us(), since;
	double		 each = TICK_BYTES, part = 0;

	if (tick >= newest)
		return 0;
	if (t->read_ticks > 10000)
		each = (double)t->read_bytes / (double)t->read_ticks;
	if (t->conf.max_hold_bytes != 0)
		part = (double)(newest - tick) * each /
		    (double)t->conf.max_hold_bytes;
	since = tail_time_of(t, tick);
	if (t->conf.max_hold_ms != 0 && since != 0 && now > since)
		part = MAX(part, (double)(now - since) / 1000 /
		    (double)t->conf.max_hold_ms);
	return part >= 10 ? 1000 : (unsigned)(part * 100);
}

void
tail_hold_check(struct tail *t)
{
	struct route_channel	*ch;
	uint64_t		 tick;
	unsigned		 percent = 0, unsaved = 0;
	bool			 dropped = false, give_up;

	if (!t->has_point || t->hold == NULL)
		return;
	while ((ch = route_holder(t->route, &tick)) != NULL &&
	    (percent = hold_percent(t, tick)) >= 100) {
		log_error("the log since tick %" PRIu64 " is no longer held "
		    "for %s %s (see --wal.max-hold-bytes and "
		    "--wal.max-hold-time); that shard will be repaired", tick,
		    ch->db, ch->cuid);
		tail_row_gone(ch->arg, TAIL_WAL_GONE, "its part of the log "
		    "was held for too long, or is too long");
		dropped = true;
	}
	if (ch == NULL)
		percent = hold_percent(t, tick);
	if (percent >= 50 && !t->hold_warned)
		log_warning("%u%% of what may be held of the log is held, "
		    "from tick %" PRIu64 " on%s%s", percent, tick,
		    ch != NULL ? ", for " : "", ch != NULL ? ch->cuid : "");
	t->hold_warned = percent >= 40 && (t->hold_warned || percent >= 50);
	/* We ourselves are too far behind, or our checkpoint is, as it cannot
	 * be written: read on, but hold nothing. */
	if (t->save_failed)
		unsaved = hold_percent(t, t->hold_tick);
	give_up = MAX(percent, unsaved) >= 100;
	if (give_up != t->hold_given_up) {
		t->hold_given_up = give_up;
		log_warning("%s is too far behind: the log is %s held",
		    unsaved >= 100 ? "the checkpoint on disk" : "reading",
		    give_up ? "no longer" : "again");
	}
	if (dropped)
		(void)tail_file_save(t);
	tail_hold_update(t);
}

/* ---- the history -------------------------------------------------------- */

static void
point_of_route(struct arango_tail_point *p, const struct route_point *rp)
{
	memset(p, 0, sizeof(*p));
	p->from = rp->from;
	p->has_last = rp->has_proof;
	p->last_vpack = rp->proof_vpack;
	p->last_from = rp->proof_from;
	p->last_tick = rp->proof_tick;
	p->last_crc = rp->proof_crc;
}

/*
 * What was read is proven only up to `from`.  No record came between it and our
 * position, but a target may build on a snapshot or join from there.
 */
void
tail_rewound(struct tail *t, uint64_t from)
{
	struct tail_row	*row, *next;

	if (from >= t->point.from)
		return;
	log_info("going on from %" PRIu64 " instead of %" PRIu64, from,
	    t->point.from);
	for (row = TAILQ_FIRST(&t->rows); row != NULL; row = next) {
		next = TAILQ_NEXT(row, all);
		if (row->base > from && row->base <= t->point.from)
			tail_row_gone(row, TAIL_HISTORY_LOST, "the server was "
			    "started again, and its log is not proven up to "
			    "where the shard was joined or copied");
	}
	route_rewind(t->route, from);
	t->point.from = from;
	t->nrecent = 0;
	tail_lineage_cut(t, from);
}

/* Start at the server's present end; who relied on what was is told. */
static void
seek_end(struct tail *t, bool was_lost, const struct route_point *at)
{
	bool	 wal_gone = t->gap && t->range.min > t->point.from;

	if (was_lost) {
		log_warning("%s; the shards that the server leads have to be "
		    "repaired", wal_gone ?
		    "the log begins behind what was read" :
		    "the log is not the one that was read");
		tail_rows_gone(t, wal_gone ? TAIL_WAL_GONE :
		    TAIL_HISTORY_LOST, wal_gone ?
		    "the log of its server begins behind what was read" :
		    "the log of its server is not the one that was read");
		t->losses++;
		if (!wal_gone)
			t->lost_reboot = t->point_reboot;
	}
	t->nlineage = 0;
	t->nrecent = t->nold = 0;
	t->mark_tick = t->mark_us = 0;
	t->newest = t->range.max;
	t->point = *at;
	route_seek(t->route, &t->point);
	t->has_point = true;
	/* the former needs are gone */
	t->hold_tick = at->has_proof ? at->proof_from : at->from;
	t->gap = false;
	t->begun = true;
	if (was_lost)
		(void)tail_file_save(t);
}

static int
begin_at_end(struct tail *t, bool was_lost, struct err_msg *m)
{
	struct arango_tail_point p;
	struct route_point	 at;
	int			 r;

	r = arango_tail_witness(t->cluster, t->server, &t->range, &t->cancel,
	    &p, m);
	if (r != 0)
		return r;
	tail_point_of(&at, &p);
	seek_end(t, was_lost, &at);
	return 0;
}

/* Is this still the log that was read?  0: yes or no is settled.  Waits. */
static int
prove(struct tail *t, uint64_t reboot, struct err_msg *m)
{
	struct arango_tail_point p, resume;
	int			 r;

	if (!t->has_point)
		return begin_at_end(t, false, m);
	if (t->gap || (t->server_id != 0 && t->range.server_id != 0 &&
	    t->server_id != t->range.server_id))
		return begin_at_end(t, true, m);
	if (t->point_reboot == reboot)
		return 0;
	if (!t->point.has_proof && TAILQ_EMPTY(&t->rows))
		return begin_at_end(t, false, m);
	point_of_route(&p, &t->point);
	r = arango_tail_prove(t->cluster, t->server, &p, &t->cancel, &resume,
	    m);
	if (r == ERR_NOT_FOUND || r == ERR_CORRUPT) {
		log_notice("%s", m->text);
		return begin_at_end(t, true, m);
	}
	if (r != 0)
		return r;
	log_notice("the log of the server is the same after its restart");
	tail_rewound(t, resume.from);
	tail_lineage_add(t, t->point_reboot, resume.from);
	return 0;
}

/*
 * A history is lost by a restart only: control will tell us of it.  What is
 * read before that would be taken for a part of what was lost.
 */
static int
await_reboot(struct tail *t, struct err_msg *m)
{
	uint64_t	 until = loop_now_ms(t->loop) + TAIL_REBOOT_MS;

	while (t->conf.reboot_id <= t->lost_reboot) {
		if (loop_now_ms(t->loop) >= until)
			return 0;
		if (t->w != NULL)
			worker_say(t->w, MSG_WORKER_LOOK);
		if (arango_sleep(&t->cancel, 250) != 0)
			return err_set(m, ERR_CANCELLED, "stopping");
	}
	return 0;
}

/* Until the server was asked, or we stop.  Waits. */
static int
settle(struct tail *t)
{
	struct backoff	 b = BACKOFF_INIT(100, TAIL_BACKOFF_MAX_MS);
	struct err_msg	 m = { "" };
	uint64_t	 reboot, pause;
	int		 r;

	tail_set_state(t, TAIL_PROVING, NULL);
	t->begun = false;
	for (;;) {
		reboot = t->conf.reboot_id;
		r = arango_wal_range(t->cluster, t->server, &t->range, &m);
		if (t->stopping)
			return ERR_CANCELLED;
		if (r == 0) {
			t->range_ms = loop_now_ms(t->loop);
			r = prove(t, reboot, &m);
		}
		if (r == 0 && t->begun)
			r = await_reboot(t, &m);
		if (t->stopping)
			return ERR_CANCELLED;
		if (r == 0)
			break;
		tail_set_state(t, TAIL_DOWN, m.text);
		pause = MIN(backoff_failed(&b, loop_now_ms(t->loop)),
		    TAIL_BACKOFF_MAX_MS);
		if (arango_sleep(&t->cancel, pause) != 0)
			return ERR_CANCELLED;
	}
	t->point_reboot = t->begun ? t->conf.reboot_id : reboot;
	t->server_id = t->range.server_id;
	t->newest = MAX(t->newest, t->range.max);
	t->gap = false;
	return 0;
}

/* ---- the driver --------------------------------------------------------- */

static bool
load(struct tail *t)
{
	struct err_msg	 m = { "" };
	int		 r = tail_file_load(t, &m);

	if (r < 0)
		log_warning("the checkpoint cannot be used, the shards may "
		    "have to be repaired: %s", m.text);
	return r == 1;
}

/* A fiber, from start to stop. */
void
tail_drive(void *arg)
{
	struct tail			*t = arg;
	struct arango_tail_point	 p;

	t->driving = true;
	hold_start(t, load(t));
	while (!t->stopping) {
		t->restart = false;
		if (settle(t) != 0)
			break;
		tail_hold_update(t);
		point_of_route(&p, &t->point);
		tail_set_state(t, TAIL_RUNNING, NULL);
		tail_reader_start(&t->live, &p);
		tail_joins(t);
		tail_asks(t);
		tail_refill_step(t);
		while (!t->restart && !t->stopping)
			fiber_cond_wait(&t->wake);
		tail_reader_stop(&t->refill);
		tail_reader_stop(&t->live);
	}
	t->driving = false;
}
