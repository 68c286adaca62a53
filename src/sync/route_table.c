/* route_table.c - the channels of a tail: by name, and in lists; see route.h */
#include <stdlib.h>
#include <string.h>

#include "sync/route_priv.h"
#include "vpack/hash.h"

#define SLOTS_MIN	64

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

void
route_busy_set(struct route *r, struct route_channel *ch, bool on)
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

void
route_exception_set(struct route *r, struct route_channel *ch, bool on)
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

void
route_spilling_set(struct route *r, struct route_channel *ch, bool on)
{
	if (ch->is_spilling)
		TAILQ_REMOVE(&r->spilling, ch, spilling);
	ch->is_spilling = on;
	if (on)
		TAILQ_INSERT_TAIL(&r->spilling, ch, spilling);
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
		tick = r->has_point ? route_here(r)->from : 0;
	ch->from = ch->safe = tick;
	if (tick == ROUTE_FROM_NOW || (r->has_point &&
	    (r->reading || tick < route_here(r)->from))) {
		ch->state = ROUTE_DETACHED;
		ch->why = ROUTE_WHY_NEW;
		route_exception_set(r, ch, true);
		if (tick == ROUTE_FROM_NOW)
			ch->safe = r->has_point ? route_here(r)->from : 0;
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
	route_busy_set(r, ch, false);
	route_exception_set(r, ch, false);
	route_spilling_set(r, ch, false);
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

/* ---- of a line ---------------------------------------------------------- */

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
struct route_channel *
route_lookup(struct route *r, const struct scan_span *db,
    const struct scan_span *cuid)
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
