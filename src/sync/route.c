/*
 * route.c - which line belongs to which channel; see route.h
 *
 * Responses of the live tail are numbered.  r->points keeps where each one
 * ended, as long as some channel has records in it that are not durable: the
 * checkpoint is the end of the response before the first such one.
 *
 * A detached channel does not hold the checkpoint: it is an exception with a
 * position of its own (`safe`), which follows its acknowledgements in steps
 * that are ends of the catch-up reader's responses, and ends when it is live
 * and durable beyond what the catch-up brought.
 */
#include <stdlib.h>
#include <string.h>

#include "arango/tail.h"
#include "sync/route_priv.h"

#define POINTS_MAX	4096

/* ---- lines -------------------------------------------------------------- */

/* Does it change documents, or end the log? */
static bool
is_relevant(uint32_t type)
{
	return type == WAL_DOCUMENT || type == WAL_REMOVE ||
	    type == WAL_TRUNCATE || type == WAL_COLL_CREATE ||
	    type == WAL_COLL_DROP;
}

static enum route_verdict
pass(struct route *r, struct route_channel *ch, uint64_t tick, uint32_t type,
    size_t bytes)
{
	if (tick <= ch->last) {
		r->counts.seen++;
		return ROUTE_SEEN;
	}
	if (type == WAL_COLL_CREATE || type == WAL_COLL_DROP) {
		ch->state = ROUTE_ENDED;
		return ROUTE_END;
	}
	if (tick > ch->now)
		ch->now = tick;
	ch->records++;
	ch->bytes += bytes;
	r->counts.passed++;
	r->counts.passed_bytes += bytes;
	return ROUTE_PASS;
}

enum route_verdict
route_take(struct route *r, uint64_t tick, uint32_t type,
    const struct scan_span *db, const struct scan_span *cuid, size_t bytes,
    struct route_channel **chp)
{
	struct route_channel	*ch = route_lookup(r, db, cuid);
	enum route_verdict	 v;

	r->counts.lines++;
	r->counts.bytes += bytes;
	*chp = ch;
	if (ch == NULL) {
		r->counts.nobody++;
		return ROUTE_NOBODY;
	}
	if (ch->state == ROUTE_ENDED || !is_relevant(type))
		return ROUTE_IRRELEVANT;
	if (ch->state == ROUTE_DETACHED) {
		r->counts.detoured++;
		return ROUTE_DETOUR;
	}
	v = pass(r, ch, tick, type, bytes);
	if (v == ROUTE_PASS && ch->unacked == 0) {
		ch->unacked = r->number;
		route_busy_set(r, ch, true);
	}
	return v;
}

enum route_verdict
route_take_refill(struct route *r, uint64_t tick, uint32_t type,
    const struct scan_span *db, const struct scan_span *cuid, size_t bytes,
    struct route_channel **chp)
{
	struct route_channel	*ch = route_lookup(r, db, cuid);

	*chp = ch;
	if (ch == NULL)
		return ROUTE_NOBODY;
	if (!is_relevant(type))
		return ROUTE_IRRELEVANT;
	/* one that was detached after the request has missed its begin */
	if (ch->state != ROUTE_DETACHED || !ch->in_refill)
		return ROUTE_DETOUR;
	return pass(r, ch, tick, type, bytes);
}

/* ---- responses ---------------------------------------------------------- */

static void
point_push(struct route *r, uint64_t number, const struct route_point *p)
{
	size_t		 i;

	if (r->npoints == r->cpoints) {
		r->cpoints = MAX((size_t)64, r->cpoints * 2);
		r->points = xrealloc(r->points,
		    r->cpoints * sizeof(*r->points));
	}
	/* somebody acknowledges nothing: coarser steps for the old ones */
	if (r->npoints >= POINTS_MAX) {
		for (i = 0; i < r->npoints / 2; i++)
			r->points[i] = r->points[i * 2];
		r->npoints /= 2;
	}
	r->points[r->npoints].number = number;
	r->points[r->npoints++].p = *p;
}

/* The last point at or before the end of response `number`. */
size_t
route_point_before(const struct route *r, uint64_t number)
{
	size_t		 lo = 0, hi = r->npoints, mid;

	while (hi - lo > 1) {
		mid = lo + (hi - lo) / 2;
		if (r->points[mid].number <= number)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* The response in which ticks above `tick` begin. */
static uint64_t
response_of(const struct route *r, uint64_t tick)
{
	size_t		 lo = 0, hi = r->npoints, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (r->points[mid].p.from > tick)
			hi = mid;
		else
			lo = mid + 1;
	}
	if (lo == r->npoints)
		return r->number;
	/* points may have been thinned: the response after the one before */
	return lo == 0 ? r->points[0].number : r->points[lo - 1].number + 1;
}

/* The point that the busy live channels allow. */
static size_t
checkpoint_index(const struct route *r)
{
	const struct route_channel	*ch;
	uint64_t			 first = r->number + 1;

	TAILQ_FOREACH(ch, &r->busy, busy)
		if (ch->unacked < first)
			first = ch->unacked;
	return route_point_before(r, first - 1);
}

void
route_seek(struct route *r, const struct route_point *p)
{
	r->npoints = 0;
	point_push(r, r->number - 1, p);
	r->has_point = true;
	r->reading = false;
}

void
route_request(struct route *r)
{
	r->reading = true;
}

static void
rewind_channel(struct route_channel *ch, uint64_t from, uint64_t old)
{
	if (ch->last > from && ch->last <= old)
		ch->last = from;
	if (ch->now > from && ch->now <= old)
		ch->now = from;
	if (ch->acked > from && ch->acked <= old)
		ch->acked = from;
	if (ch->from > from && ch->from <= old)
		ch->from = from;
	if (ch->safe > from && ch->safe <= old)
		ch->safe = from;
	if (ch->marked && ch->mark_from > from && ch->mark_from <= old)
		ch->mark_from = from;
}

void
route_rewind(struct route *r, uint64_t from)
{
	struct route_point	 p;
	size_t			 i;

	if (!r->has_point || from >= route_here(r)->from)
		return;
	p = *route_here(r);
	for (i = 0; i < r->nslots; i++)
		if (r->slots[i] != NULL)
			rewind_channel(r->slots[i], from, p.from);
	while (r->npoints != 0 && r->points[r->npoints - 1].p.from > from)
		r->npoints--;
	if (r->npoints == 0 || route_here(r)->from < from) {
		p.from = from;
		point_push(r, r->number - 1, &p);
	}
}

/* Only busy channels can have got anything of a response. */
static void
busy_end(struct route *r, bool complete)
{
	struct route_channel	*ch, *next;

	for (ch = TAILQ_FIRST(&r->busy); ch != NULL; ch = next) {
		next = TAILQ_NEXT(ch, busy);
		if (complete)
			ch->last = ch->now;
		else
			ch->now = ch->last;
		if (ch->acked >= ch->now) {
			ch->unacked = 0;
			route_busy_set(r, ch, false);
		}
	}
}

void
route_done(struct route *r, const struct route_point *p,
    void (*joined)(void *arg, struct route_channel *ch), void *arg)
{
	size_t			 keep;

	busy_end(r, true);
	point_push(r, r->number, p);
	r->number++;
	r->reading = false;
	route_join_all(r, joined, arg);
	route_exceptions_step(r);
	keep = checkpoint_index(r);
	if (keep != 0) {
		memmove(r->points, r->points + keep,
		    (r->npoints - keep) * sizeof(*r->points));
		r->npoints -= keep;
	}
}

void
route_broken(struct route *r)
{
	busy_end(r, false);
	r->reading = false;
}

/* ---- acknowledgements --------------------------------------------------- */

void
route_ack(struct route *r, struct route_channel *ch, uint64_t tick)
{
	uint64_t	 n;

	if (tick > ch->acked)
		ch->acked = tick;
	route_exception_step(r, ch);
	if (ch->unacked == 0)
		return;
	if (ch->acked >= ch->now) {
		/* during a response its end decides, which must find it */
		if (!r->reading) {
			ch->unacked = 0;
			route_busy_set(r, ch, false);
		} else
			ch->unacked = r->number;
		return;
	}
	n = ch->acked >= ch->last ? r->number : response_of(r, ch->acked);
	if (n > ch->unacked)
		ch->unacked = n;
}

void
route_checkpoint(const struct route *r, struct route_checkpoint *cp)
{
	const struct route_channel	*ch;

	memset(cp, 0, sizeof(*cp));
	if (r->npoints != 0)
		cp->point = r->points[checkpoint_index(r)].p;
	if (r->nexceptions == 0)
		return;
	cp->exceptions = xcalloc(r->nexceptions, sizeof(*cp->exceptions));
	TAILQ_FOREACH(ch, &r->exceptions, exceptions) {
		cp->exceptions[cp->nexceptions].id = ch->id;
		cp->exceptions[cp->nexceptions++].from = ch->safe;
	}
}

uint64_t
route_hold(const struct route *r)
{
	const struct route_channel	*ch;
	uint64_t			 tick;

	tick = r->npoints != 0 ? r->points[checkpoint_index(r)].p.from : 0;
	TAILQ_FOREACH(ch, &r->exceptions, exceptions)
		if (ch->safe < tick)
			tick = ch->safe;
	return tick;
}

struct route_channel *
route_holder(const struct route *r, uint64_t *tick)
{
	struct route_channel	*ch, *lowest = NULL;
	uint64_t		 from;

	*tick = r->npoints != 0 ? route_here(r)->from : 0;
	if (r->npoints == 0)
		return NULL;
	TAILQ_FOREACH(ch, &r->busy, busy) {
		from = r->points[route_point_before(r, ch->unacked - 1)].p.from;
		if (from < *tick) {
			*tick = from;
			lowest = ch;
		}
	}
	TAILQ_FOREACH(ch, &r->exceptions, exceptions)
		if (ch->safe < *tick) {
			*tick = ch->safe;
			lowest = ch;
		}
	return lowest;
}

void
route_counts(const struct route *r, struct route_counts *c)
{
	const struct route_channel	*ch;

	*c = r->counts;
	c->channels = r->n;
	c->busy = r->nbusy;
	c->spill = r->spill;
	c->detached = 0;
	TAILQ_FOREACH(ch, &r->exceptions, exceptions)
		c->detached += ch->state == ROUTE_DETACHED;
}
