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
#include "sync/route.h"
#include "vpack/hash.h"

#define SLOTS_MIN	64
#define POINTS_MAX	4096

TAILQ_HEAD(channel_list, route_channel);

struct point {
	uint64_t		 number;	/* of the response it ends */
	struct route_point	 p;
};

struct route {
	struct route_opts	 o;
	struct route_channel	**slots;	/* open addressing */
	size_t			 nslots, n;
	struct route_channel	*hit;		/* the last one found */
	struct channel_list	 busy, exceptions, spilling;
	size_t			 nexceptions, nbusy;

	bool			 has_point;
	bool			 reading;	/* between request and end */
	uint64_t		 number;	/* of the present response */
	struct point		*points;	/* [0] is the oldest needed */
	size_t			 npoints, cpoints;

	bool			 refilling;
	uint64_t		 refill;	/* the catch-up is here */
	size_t			 spill;
	struct route_counts	 counts;
};

struct route *
route_new(const struct route_opts *o)
{
	static const struct route_opts	 dflt = ROUTE_OPTS_INIT;
	struct route			*r = xcalloc(1, sizeof(*r));

	r->o = o != NULL ? *o : dflt;
	r->nslots = SLOTS_MIN;
	r->slots = xcalloc(r->nslots, sizeof(struct route_channel *));
	r->number = 1;
	TAILQ_INIT(&r->busy);
	TAILQ_INIT(&r->exceptions);
	TAILQ_INIT(&r->spilling);
	return r;
}

static void
channel_free(struct route_channel *ch)
{
	free(ch->db);
	free(ch->cuid);
	free(ch);
}

void
route_free(struct route **rp)
{
	struct route	*r = *rp;
	size_t		 i;

	*rp = NULL;
	if (r == NULL)
		return;
	for (i = 0; i < r->nslots; i++)
		if (r->slots[i] != NULL)
			channel_free(r->slots[i]);
	free(r->slots);
	free(r->points);
	free(r);
}

/* ---- the table ---------------------------------------------------------- */

/* cuids are unique in a cluster; the database is compared, not hashed. */
static size_t
slot_of(const struct route *r, uint64_t hash, const char *db, size_t db_len,
    const char *cuid, size_t cuid_len)
{
	size_t		 mask = r->nslots - 1, at = hash & mask;
	const struct route_channel *ch;

	for (; (ch = r->slots[at]) != NULL; at = (at + 1) & mask)
		if (ch->hash == hash && ch->cuid_len == cuid_len &&
		    ch->db_len == db_len &&
		    memcmp(ch->cuid, cuid, cuid_len) == 0 &&
		    memcmp(ch->db, db, db_len) == 0)
			break;
	return at;
}

static uint64_t
cuid_hash(const char *cuid, size_t len)
{
	return vp_hash_bytes(cuid, len, VP_HASH_SEED);
}

static void
slots_grow(struct route *r)
{
	struct route_channel	**old = r->slots;
	size_t			 n = r->nslots, i, at;

	r->nslots = n * 2;
	r->slots = xcalloc(r->nslots, sizeof(struct route_channel *));
	for (i = 0; i < n; i++) {
		if (old[i] == NULL)
			continue;
		at = slot_of(r, old[i]->hash, old[i]->db, old[i]->db_len,
		    old[i]->cuid, old[i]->cuid_len);
		r->slots[at] = old[i];
	}
	free(old);
}

static void
busy_set(struct route *r, struct route_channel *ch, bool on)
{
	if (ch->is_busy == on)
		return;
	ch->is_busy = on;
	if (on) {
		TAILQ_INSERT_TAIL(&r->busy, ch, busy);
		r->nbusy++;
	} else {
		TAILQ_REMOVE(&r->busy, ch, busy);
		r->nbusy--;
	}
}

static void
exception_set(struct route *r, struct route_channel *ch, bool on)
{
	if (ch->is_exception == on)
		return;
	ch->is_exception = on;
	if (on) {
		TAILQ_INSERT_TAIL(&r->exceptions, ch, exceptions);
		r->nexceptions++;
	} else {
		TAILQ_REMOVE(&r->exceptions, ch, exceptions);
		r->nexceptions--;
	}
}

static void
spilling_set(struct route *r, struct route_channel *ch, bool on)
{
	if (ch->is_spilling)
		TAILQ_REMOVE(&r->spilling, ch, spilling);
	ch->is_spilling = on;
	if (on)
		TAILQ_INSERT_TAIL(&r->spilling, ch, spilling);
}

static const struct route_point *
here(const struct route *r)
{
	return &r->points[r->npoints - 1].p;
}

struct route_channel *
route_add(struct route *r, uint32_t id, const char *db, const char *cuid,
    uint64_t tick)
{
	struct route_channel	*ch;
	uint64_t		 hash = cuid_hash(cuid, strlen(cuid));
	size_t			 at;

	at = slot_of(r, hash, db, strlen(db), cuid, strlen(cuid));
	if (r->slots[at] != NULL)
		return NULL;
	ch = xcalloc(1, sizeof(*ch));
	ch->id = id;
	ch->db = xstrdup(db);
	ch->cuid = xstrdup(cuid);
	ch->db_len = strlen(db);
	ch->cuid_len = strlen(cuid);
	ch->hash = hash;
	r->slots[at] = ch;
	if (++r->n > r->nslots / 2)
		slots_grow(r);

	if (tick == ROUTE_FROM_NOW && !r->reading)
		tick = r->has_point ? here(r)->from : 0;
	ch->from = ch->safe = tick;
	if (tick == ROUTE_FROM_NOW || (r->has_point &&
	    (r->reading || tick < here(r)->from))) {
		ch->state = ROUTE_DETACHED;
		ch->why = ROUTE_WHY_NEW;
		exception_set(r, ch, true);
		if (tick == ROUTE_FROM_NOW)
			ch->safe = r->has_point ? here(r)->from : 0;
		else
			ch->last = ch->now = ch->acked = tick;
	} else
		ch->last = ch->now = ch->acked = tick;
	return ch;
}

/* Entries behind the hole may belong into it. */
static void
slot_delete(struct route *r, size_t hole)
{
	size_t		 mask = r->nslots - 1, at = hole, home;

	r->slots[hole] = NULL;
	for (;;) {
		at = (at + 1) & mask;
		if (r->slots[at] == NULL)
			return;
		home = r->slots[at]->hash & mask;
		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		r->slots[hole] = r->slots[at];
		r->slots[at] = NULL;
		hole = at;
	}
}

void
route_remove(struct route *r, struct route_channel **chp)
{
	struct route_channel	*ch = *chp;

	*chp = NULL;
	if (ch == NULL)
		return;
	slot_delete(r, slot_of(r, ch->hash, ch->db, ch->db_len, ch->cuid,
	    ch->cuid_len));
	r->n--;
	r->spill -= ch->spill;
	busy_set(r, ch, false);
	exception_set(r, ch, false);
	spilling_set(r, ch, false);
	if (r->hit == ch)
		r->hit = NULL;
	channel_free(ch);
}

struct route_channel *
route_find(struct route *r, const char *db, const char *cuid)
{
	size_t		 n = strlen(cuid);

	return r->slots[slot_of(r, cuid_hash(cuid, n), db, strlen(db), cuid,
	    n)];
}

struct route_channel *
route_at(const struct route *r, size_t i)
{
	size_t		 at;

	for (at = 0; at < r->nslots; at++)
		if (r->slots[at] != NULL && i-- == 0)
			return r->slots[at];
	return NULL;
}

/* ---- lines -------------------------------------------------------------- */

static void
unquote(const struct scan_span *s, const char **p, size_t *len)
{
	*p = s->p;
	*len = s->len;
	if (*len >= 2 && **p == '"') {
		(*p)++;
		*len -= 2;
	}
}

/* A name with escapes in it: decoded on the stack. */
static struct route_channel *
find_escaped(struct route *r, const struct scan_span *db,
    const struct scan_span *cuid)
{
	struct buf		 b = BUF_INIT;
	struct route_channel	*ch = NULL;
	const struct scan_span	*in[2] = { db, cuid };
	struct scan_span	 quoted;
	size_t			 end[2], i;
	char			 text[1024];
	const char		*p;
	size_t			 n;

	for (i = 0; i < 2; i++) {
		unquote(in[i], &p, &n);
		if (n + 2 > sizeof(text))
			goto out;
		text[0] = '"';
		memcpy(text + 1, p, n);
		text[n + 1] = '"';
		quoted.p = text;
		quoted.len = n + 2;
		if (scan_string(&quoted, &b) != 0)
			goto out;
		end[i] = b.len;
	}
	p = (const char *)b.data;
	n = end[1] - end[0];
	if (n != 0 && end[0] != 0)
		ch = r->slots[slot_of(r, cuid_hash(p + end[0], n), p, end[0],
		    p + end[0], n)];
out:
	buf_free(&b);
	return ch;
}

/* Lines of one shard often come in a row. */
static inline struct route_channel *
find(struct route *r, const struct scan_span *db, const struct scan_span *cuid)
{
	const char		*d, *c;
	size_t			 dn, cn;
	struct route_channel	*ch = r->hit;

	if (cuid->p == NULL || db->p == NULL)
		return NULL;
	unquote(db, &d, &dn);
	unquote(cuid, &c, &cn);
	if (ch != NULL && ch->cuid_len == cn && ch->db_len == dn &&
	    memcmp(ch->cuid, c, cn) == 0 && memcmp(ch->db, d, dn) == 0)
		return ch;
	if (memchr(c, '\\', cn) != NULL || memchr(d, '\\', dn) != NULL)
		return find_escaped(r, db, cuid);
	ch = r->slots[slot_of(r, cuid_hash(c, cn), d, dn, c, cn)];
	if (ch != NULL)
		r->hit = ch;
	return ch;
}

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
	struct route_channel	*ch = find(r, db, cuid);
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
		busy_set(r, ch, true);
	}
	return v;
}

enum route_verdict
route_take_refill(struct route *r, uint64_t tick, uint32_t type,
    const struct scan_span *db, const struct scan_span *cuid, size_t bytes,
    struct route_channel **chp)
{
	struct route_channel	*ch = find(r, db, cuid);

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
static size_t
point_before(const struct route *r, uint64_t number)
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
	return point_before(r, first - 1);
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

	if (!r->has_point || from >= here(r)->from)
		return;
	p = *here(r);
	for (i = 0; i < r->nslots; i++)
		if (r->slots[i] != NULL)
			rewind_channel(r->slots[i], from, p.from);
	while (r->npoints != 0 && r->points[r->npoints - 1].p.from > from)
		r->npoints--;
	if (r->npoints == 0 || here(r)->from < from) {
		p.from = from;
		point_push(r, r->number - 1, &p);
	}
}

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
		exception_set(r, ch, false);
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
static void
join_all(struct route *r, void (*joined)(void *arg, struct route_channel *ch),
    void *arg)
{
	uint64_t		 from = here(r)->from;
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
static void
exception_step(struct route *r, struct route_channel *ch)
{
	if (!ch->is_exception || !ch->marked || ch->acked < ch->mark_tick)
		return;
	ch->safe = ch->mark_from;
	ch->marked = false;
	if (ch->state == ROUTE_LIVE)
		exception_set(r, ch, false);
}

static void
exceptions_step(struct route *r)
{
	struct route_channel	*ch, *next;

	for (ch = TAILQ_FIRST(&r->exceptions); ch != NULL; ch = next) {
		next = TAILQ_NEXT(ch, exceptions);
		exception_step(r, ch);
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
			busy_set(r, ch, false);
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
	join_all(r, joined, arg);
	exceptions_step(r);
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
		join_all(r, joined, arg);
	exceptions_step(r);
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
	p = &r->points[point_before(r, r->number >= 3 ? r->number - 3 : 0)];
	return r->refill >= p->p.from;
}

/* ---- spill -------------------------------------------------------------- */

enum route_why
route_spill_add(struct route *r, struct route_channel *ch, size_t n,
    uint64_t now_ms)
{
	if (ch->spill == 0) {
		ch->spill_ms = now_ms;
		spilling_set(r, ch, true);
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
	spilling_set(r, ch, ch->spill != 0);
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
	uint64_t	 from = r->has_point ? here(r)->from : ch->last;

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
			ch->safe = r->points[point_before(r,
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
	busy_set(r, ch, false);
	exception_set(r, ch, true);
	exception_step(r, ch);
	return from;
}

/* ---- acknowledgements --------------------------------------------------- */

void
route_ack(struct route *r, struct route_channel *ch, uint64_t tick)
{
	uint64_t	 n;

	if (tick > ch->acked)
		ch->acked = tick;
	exception_step(r, ch);
	if (ch->unacked == 0)
		return;
	if (ch->acked >= ch->now) {
		/* during a response its end decides, which must find it */
		if (!r->reading) {
			ch->unacked = 0;
			busy_set(r, ch, false);
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

	*tick = r->npoints != 0 ? here(r)->from : 0;
	if (r->npoints == 0)
		return NULL;
	TAILQ_FOREACH(ch, &r->busy, busy) {
		from = r->points[point_before(r, ch->unacked - 1)].p.from;
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
