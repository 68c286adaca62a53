/* route_refill.c - channels that are not live: detached, read again for, and
 * joined where the catch-up meets the live stream; see route.h */
#include "sync/route_priv.h"

/* ---- joining ------------------------------------------------------------ */

static void
join(struct route *r, struct route_channel *ch, uint64_t from,
    void (*joined)(void *arg, struct route_channel *ch), void *arg)
{
	bool		 fresh = ch->from == ROUTE_FROM_NOW;

	/* what passed of the catch-up's present response comes again */
	if (ch->in_refill)
		ch->now = ch->last;
	ch->state = ROUTE_LIVE;
	ch->why = ROUTE_WHY_NONE;
	if (fresh) {
		ch->last = ch->now = ch->acked = from;
		route_exception_set(r, ch, false);
	} else {
		/* the rest of what the catch-up brought */
		from = ch->from;
		ch->marked = true;
		ch->mark_tick = ch->now;
		ch->mark_from = from;
		ch->last = MAX(ch->now, from);
		ch->now = ch->last;
	}
	ch->in_refill = false;
	ch->from = from;
	if (joined != NULL)
		joined(arg, ch);
}

static bool
may_refill(const struct route_channel *ch)
{
	return ch->state == ROUTE_DETACHED && ch->from != ROUTE_FROM_NOW &&
	    !ch->blocked && ch->spill == 0;
}

/* Between responses: who has everything up to the tail's place is live. */
void
route_join_all(struct route *r, void (*joined)(void *arg,
    struct route_channel *ch), void *arg)
{
	uint64_t		 from = route_here(r)->from;
	struct route_channel	*ch, *next;

	for (ch = TAILQ_FIRST(&r->exceptions); ch != NULL; ch = next) {
		next = TAILQ_NEXT(ch, exceptions);
		if (ch->state != ROUTE_DETACHED)
			continue;
		if (ch->from == ROUTE_FROM_NOW ||
		    (may_refill(ch) && ch->from >= from))
			join(r, ch, from, joined, arg);
	}
}

/* A joined channel is an exception until the catch-up's part is durable. */
void
route_exception_step(struct route *r, struct route_channel *ch)
{
	if (!ch->is_exception || !ch->marked || ch->acked < ch->mark_tick)
		return;
	ch->safe = ch->mark_from;
	ch->marked = false;
	if (ch->state == ROUTE_LIVE)
		route_exception_set(r, ch, false);
}

void
route_exceptions_step(struct route *r)
{
	struct route_channel	*ch, *next;

	for (ch = TAILQ_FIRST(&r->exceptions); ch != NULL; ch = next) {
		next = TAILQ_NEXT(ch, exceptions);
		route_exception_step(r, ch);
	}
}

/* ---- the catch-up reader ------------------------------------------------ */

bool
route_refill_from(const struct route *r, uint64_t *from)
{
	const struct route_channel	*ch;
	uint64_t			 lowest = UINT64_MAX;

	TAILQ_FOREACH(ch, &r->exceptions, exceptions)
		if (may_refill(ch) && ch->from < lowest)
			lowest = ch->from;
	if (lowest == UINT64_MAX)
		return false;
	*from = lowest;
	return true;
}

void
route_refill_request(struct route *r, uint64_t from)
{
	struct route_channel	*ch;

	TAILQ_FOREACH(ch, &r->exceptions, exceptions) {
		ch->in_refill = may_refill(ch) && ch->from >= from;
		if (ch->in_refill)
			ch->now = ch->last;
	}
	r->refilling = true;
	r->refill = from;
}

void
route_refill_done(struct route *r, uint64_t from,
    void (*joined)(void *arg, struct route_channel *ch), void *arg)
{
	struct route_channel	*ch;

	TAILQ_FOREACH(ch, &r->exceptions, exceptions) {
		if (ch->state != ROUTE_DETACHED || !ch->in_refill)
			continue;
		ch->in_refill = false;
		ch->last = MAX(ch->last, ch->now);
		if (from <= ch->from)
			continue;
		ch->from = from;
		if (!ch->marked) {
			ch->marked = true;
			ch->mark_tick = ch->now;
			ch->mark_from = from;
		}
	}
	r->refilling = true;
	r->refill = from;
	if (!r->reading && r->has_point)
		route_join_all(r, joined, arg);
	route_exceptions_step(r);
}

void
route_refill_broken(struct route *r)
{
	struct route_channel	*ch;

	TAILQ_FOREACH(ch, &r->exceptions, exceptions)
		if (ch->in_refill) {
			ch->now = ch->last;
			ch->in_refill = false;
		}
}

void
route_unblock(struct route *r, struct route_channel *ch)
{
	(void)r;
	ch->blocked = false;
}

bool
route_should_meet(const struct route *r)
{
	const struct point	*p;
	uint64_t		 from;

	if (!r->refilling || r->npoints == 0 || !route_refill_from(r, &from))
		return false;
	p = &r->points[route_point_before(r, r->number >= 3 ? r->number - 3 :
	    0)];
	return r->refill >= p->p.from;
}

/* ---- spill -------------------------------------------------------------- */

enum route_why
route_spill_add(struct route *r, struct route_channel *ch, size_t n,
    uint64_t now_ms)
{
	if (ch->spill == 0) {
		ch->spill_ms = now_ms;
		route_spilling_set(r, ch, true);
	}
	ch->spill += n;
	r->spill += n;
	if (ch->spill > r->o.spill_bytes)
		return ROUTE_WHY_SPILL_FULL;
	return now_ms - ch->spill_ms >= r->o.spill_ms ?
	    ROUTE_WHY_SPILL_OLD : ROUTE_WHY_NONE;
}

void
route_spill_sub(struct route *r, struct route_channel *ch, size_t n,
    uint64_t now_ms)
{
	n = MIN(n, ch->spill);
	if (n == 0)
		return;
	ch->spill -= n;
	r->spill -= n;
	ch->spill_ms = now_ms;
	/* to the end of the list: those in front have waited longer */
	route_spilling_set(r, ch, ch->spill != 0);
}

/* One that is detached already waits as long as it likes. */
struct route_channel *
route_spill_due(struct route *r, uint64_t now_ms)
{
	struct route_channel	*ch;

	TAILQ_FOREACH(ch, &r->spilling, spilling) {
		if (now_ms - ch->spill_ms < r->o.spill_ms)
			return NULL;
		if (ch->state == ROUTE_LIVE)
			return ch;
	}
	return NULL;
}

bool
route_is_full(const struct route *r)
{
	return r->spill >= r->o.spill_total;
}

uint64_t
route_detach(struct route *r, struct route_channel *ch, enum route_why why)
{
	uint64_t	 from = r->has_point ? route_here(r)->from : ch->last;

	ch->blocked = ch->blocked || why == ROUTE_WHY_QUOTA;
	if (ch->state != ROUTE_LIVE) {
		/* out of the catch-up's present response, too */
		if (ch->in_refill)
			ch->now = ch->last;
		ch->in_refill = false;
		return ch->from;
	}
	/* a joined one that is still an exception keeps its old safe place */
	if (!ch->is_exception) {
		ch->safe = from;
		ch->marked = false;
		if (ch->unacked != 0 && ch->unacked < r->number &&
		    r->npoints != 0)
			ch->safe = r->points[route_point_before(r,
			    ch->unacked - 1)].p.from;
	}
	if (!ch->marked && ch->safe < from) {
		ch->marked = true;
		ch->mark_tick = ch->last;
		ch->mark_from = from;
	}
	ch->now = ch->last;
	ch->from = from;
	ch->unacked = 0;
	ch->state = ROUTE_DETACHED;
	ch->why = why;
	route_busy_set(r, ch, false);
	route_exception_set(r, ch, true);
	route_exception_step(r, ch);
	return from;
}
