/*
 * tail_mark.c - watermarks (R21): how far everything was noted, and when that
 * was the newest
 *
 * A channel holds them back while there are records that its send has not
 * noted.  One that is detached is told how far its records go (BEHIND), and
 * notes that.
 */
#include <string.h>

#include "base/log.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "sync/channel.h"
#include "tail/tail_priv.h"

#define RECENT_SPACING_US	(100 * 1000)
#define OLD_SPACING_US		(10 * 1000 * 1000)
/* The server was read so long ago: we say nothing. */
#define SILENT_MS		10000

/* ---- which time belongs to a tick --------------------------------------- */

/* In thinner steps the longer it is: a day needs no more memory. */
static void
old_note(struct tail *t, uint64_t tick, uint64_t us)
{
	size_t	 i;

	if (t->old_spacing_us == 0)
		t->old_spacing_us = OLD_SPACING_US;
	if (t->nold != 0 && us < t->old[t->nold - 1].us + t->old_spacing_us) {
		/* the same tick for long is one entry */
		if (t->old[t->nold - 1].tick == tick)
			t->old[t->nold - 1].us = us;
		return;
	}
	if (t->nold == TAIL_TIMES) {
		for (i = 0; i < TAIL_TIMES / 2; i++)
			t->old[i] = t->old[i * 2 + 1];
		t->nold = i;
		t->old_spacing_us *= 2;
	}
	t->old[t->nold].tick = tick;
	t->old[t->nold++].us = us;
}

void
tail_time_note(struct tail *t, uint64_t tick, uint64_t us)
{
	struct tail_time	*last = NULL, *prev;

	if (t->nrecent != 0)
		last = &t->recent[t->recent_at];
	if (last != NULL && (tick < last->tick || us < last->us)) {
		/* another history, or the clock was set */
		t->nrecent = t->nold = 0;
		last = NULL;
	}
	old_note(t, tick, us);
	if (last != NULL && t->nrecent > 1) {
		/* the newest entry moves on until it is far enough */
		prev = &t->recent[(t->recent_at + TAIL_TIMES - 1) %
		    TAIL_TIMES];
		if (last->us < prev->us + RECENT_SPACING_US) {
			last->tick = tick;
			last->us = us;
			return;
		}
	}
	if (last != NULL)
		t->recent_at = (t->recent_at + 1) % TAIL_TIMES;
	t->recent[t->recent_at].tick = tick;
	t->recent[t->recent_at].us = us;
	t->nrecent = MIN(t->nrecent + 1, (size_t)TAIL_TIMES);
}

uint64_t
tail_time_of(const struct tail *t, uint64_t tick)
{
	const struct tail_time	*e;
	size_t			 i;

	for (i = 0; i < t->nrecent; i++) {
		e = &t->recent[(t->recent_at + TAIL_TIMES - i) % TAIL_TIMES];
		if (e->tick <= tick)
			return e->us;
	}
	for (i = t->nold; i > 0; i--)
		if (t->old[i - 1].tick <= tick)
			return t->old[i - 1].us;
	return 0;
}

/* ---- watermarks --------------------------------------------------------- */

uint64_t
tail_mark_tick(struct tail *t)
{
	struct tail_row	*row;
	uint64_t	 tick = t->point.from;
	uint64_t	 now = loop_now_ms(t->loop);

	TAILQ_FOREACH(row, &t->pending, pend) {
		/* link knows that its channel is closed */
		if (row->conn == NULL && !row->asleep &&
		    now - row->away_ms > TAIL_AWAY_MS)
			continue;
		tick = MIN(tick, MAX(row->pending_from, row->noted));
	}
	if (t->mark_reboot != t->conf.reboot_id) {
		t->mark_reboot = t->conf.reboot_id;
		t->mark_tick = t->mark_us = 0;
	}
	/* one that joins from behind holds nothing back that was said */
	t->mark_tick = MAX(t->mark_tick, tick);
	return t->mark_tick;
}

/* What waits for the catch-up is to be noted, too. */
static void
tell_behind(struct tail *t)
{
	struct tail_row	*row;
	struct buf	 b;

	TAILQ_FOREACH(row, &t->pending, pend) {
		if (row->conn == NULL || row->told >= row->need ||
		    row->noted < row->told)
			continue;
		b = (struct buf)BUF_INIT;
		put_u64(&b, row->need);
		row->told = row->need;
		tail_row_send(row, MSG_TAIL_BEHIND, &b);
	}
}

static void
make_mark(struct tail *t, struct channel_watermark *w)
{
	memset(w, 0, sizeof(*w));
	tail_position(t, tail_mark_tick(t), &t->point, &w->pos);
	/* ticks behind the last record that mean nothing are no lag */
	w->newest_tick = t->at_end ? t->point.from :
	    MAX(t->newest, t->point.from);
	/* what was claimed stays true */
	t->mark_us = MAX(t->mark_us, tail_time_of(t, w->pos.tick));
	w->source_us = t->mark_us;
}

void
tail_mark(void *arg)
{
	struct tail			*t = arg;
	struct channel_watermark	 w;
	struct buf			 payload = BUF_INIT, b = BUF_INIT;

	tell_behind(t);
	/* Who sleeps holds them back, once we know. */
	if (t->w != NULL && !t->sleepers_known && loop_now_ms(t->loop) -
	    t->start_ms < TAIL_SLEEPERS_MS)
		return;
	if (t->api == NULL || !t->has_point || t->live.tail == NULL ||
	    t->good_ms == 0 || t->point_reboot != t->conf.reboot_id ||
	    loop_now_ms(t->loop) - t->good_ms > SILENT_MS ||
	    !peer_has_room(t->api))
		return;
	make_mark(t, &w);
	if (w.source_us == 0)
		return;
	channel_watermark_put(&payload, &w);
	put_str(&b, t->conf.target);
	put_bytes(&b, payload.data, payload.len);
	(void)peer_send_buf(t->api, MSG_TAIL_WATERMARK, 0, &b);
	buf_free(&payload);
	buf_free(&b);
}
