/*
 * compare.c - two copies of a shard by (key, revision); see compare.h
 *
 * The bucket of a pair is chosen by its key alone, so a document with another
 * revision is in the same bucket on both sides.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ipc/codec.h"
#include "sync/compare.h"
#include "vpack/hash.h"

#define PER_BUCKET	64
#define PAIR_SEED	0x9e3779b97f4a7c15ULL

uint32_t
cmp_buckets_for(uint64_t documents)
{
	uint32_t	 n = CMP_BUCKETS_MIN;

	while (n < CMP_BUCKETS_MAX && n * (uint64_t)PER_BUCKET < documents)
		n *= 2;
	return n;
}

uint64_t
cmp_key_hash(const void *key, size_t len)
{
	return vp_hash_bytes(key, len, VP_HASH_SEED);
}

/* Mixes the revision into the hash of the key (splitmix64's last steps). */
static uint64_t
pair_hash(uint64_t key_hash, uint64_t rev)
{
	uint64_t	 h = key_hash ^ (rev * PAIR_SEED + 1);

	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9ULL;
	h = (h ^ h >> 27) * 0x94d049bb133111ebULL;
	h ^= h >> 31;
	return (h + key_hash) * PAIR_SEED ^ rev;
}

static bool
buckets_ok(uint32_t n)
{
	return n >= CMP_BUCKETS_MIN && n <= CMP_BUCKETS_MAX &&
	    (n & (n - 1)) == 0;
}

static unsigned int
shift_of(uint32_t nbuckets)
{
	return 64 - (unsigned int)__builtin_ctz(nbuckets);
}

/* ---- summaries ---------------------------------------------------------- */

int
cmp_sum_init(struct cmp_sum *s, uint32_t nbuckets)
{
	if (!buckets_ok(nbuckets))
		return ERR_RANGE;
	s->nbuckets = nbuckets;
	s->shift = shift_of(nbuckets);
	s->count = 0;
	s->buckets = xcalloc(nbuckets, sizeof(*s->buckets));
	return 0;
}

void
cmp_sum_free(struct cmp_sum *s)
{
	free(s->buckets);
	memset(s, 0, sizeof(*s));
}

void
cmp_sum_add(struct cmp_sum *s, const void *key, size_t len, uint64_t rev)
{
	uint64_t		 kh = cmp_key_hash(key, len);
	uint64_t		 h = pair_hash(kh, rev);
	struct cmp_bucket	*b = &s->buckets[kh >> s->shift];

	b->count++;
	b->xor ^= h;
	b->sum += h;
	s->count++;
}

void
cmp_sum_encode(struct buf *b, const struct cmp_sum *s)
{
	uint32_t	 i, last = 0;

	put_u32(b, s->nbuckets);
	for (i = 0; i < s->nbuckets; i++) {
		if (s->buckets[i].count == 0)
			continue;
		put_varint(b, i - last);
		put_varint(b, s->buckets[i].count);
		put_u64(b, s->buckets[i].xor);
		put_u64(b, s->buckets[i].sum);
		last = i;
	}
}

int
cmp_sum_decode(struct rbuf *m, struct cmp_sum *s)
{
	struct cmp_sum		 n;
	struct cmp_bucket	*b;
	uint64_t		 step, count, at = 0;
	uint32_t		 nbuckets;
	int			 r;

	if ((r = get_u32(m, &nbuckets)) != 0)
		return r;
	if (cmp_sum_init(&n, nbuckets) != 0)
		return ERR_FORMAT;
	while (m->left != 0) {
		if ((r = get_varint(m, &step)) != 0 ||
		    (r = get_varint(m, &count)) != 0)
			goto out;
		r = ERR_FORMAT;
		if (step >= nbuckets - at || (step == 0 && n.count != 0) ||
		    count == 0 || n.count + count < n.count)
			goto out;
		at += step;
		b = &n.buckets[at];
		b->count = count;
		n.count += count;
		if ((r = get_u64(m, &b->xor)) != 0 ||
		    (r = get_u64(m, &b->sum)) != 0)
			goto out;
	}
	*s = n;
	return 0;
out:
	cmp_sum_free(&n);
	return r;
}

/* ---- sets of buckets ---------------------------------------------------- */

static void
set_init(struct cmp_set *d, uint32_t nbuckets)
{
	d->nbuckets = nbuckets;
	d->shift = shift_of(nbuckets);
	d->count = 0;
	d->bits = xcalloc(nbuckets / 64, sizeof(*d->bits));
}

static void
set_put(struct cmp_set *d, uint32_t bucket)
{
	d->bits[bucket / 64] |= 1ULL << bucket % 64;
	d->count++;
}

bool
cmp_set_has(const struct cmp_set *d, uint32_t bucket)
{
	return (d->bits[bucket / 64] >> bucket % 64 & 1) != 0;
}

void
cmp_set_free(struct cmp_set *d)
{
	free(d->bits);
	memset(d, 0, sizeof(*d));
}

int
cmp_diff(const struct cmp_sum *a, const struct cmp_sum *b,
    struct cmp_set *diff)
{
	uint32_t	 i;

	if (a->nbuckets != b->nbuckets)
		return ERR_RANGE;
	set_init(diff, a->nbuckets);
	for (i = 0; i < a->nbuckets; i++)
		if (memcmp(&a->buckets[i], &b->buckets[i],
		    sizeof(a->buckets[i])) != 0)
			set_put(diff, i);
	return 0;
}

void
cmp_set_encode(struct buf *b, const struct cmp_set *d)
{
	uint32_t	 i, last = 0;

	put_u32(b, d->nbuckets);
	put_u32(b, d->count);
	for (i = 0; i < d->nbuckets; i++) {
		if (!cmp_set_has(d, i))
			continue;
		put_varint(b, i - last);
		last = i;
	}
}

int
cmp_set_decode(struct rbuf *m, struct cmp_set *d)
{
	struct cmp_set	 n;
	uint64_t	 step, at = 0;
	uint32_t	 nbuckets, count, i;
	int		 r;

	if ((r = get_u32(m, &nbuckets)) != 0 ||
	    (r = get_u32(m, &count)) != 0)
		return r;
	if (!buckets_ok(nbuckets) || count > nbuckets)
		return ERR_FORMAT;
	set_init(&n, nbuckets);
	for (i = 0; i < count; i++) {
		if ((r = get_varint(m, &step)) == 0 &&
		    (step >= nbuckets - at || (step == 0 && i != 0)))
			r = ERR_FORMAT;
		if (r != 0) {
			cmp_set_free(&n);
			return r;
		}
		at += step;
		set_put(&n, (uint32_t)at);
	}
	*d = n;
	return 0;
}

/* ---- rounds ------------------------------------------------------------- */

struct rounds {
	struct cmp_round	*list;
	size_t			 n, cap;
};

static void
round_push(struct rounds *rs, uint64_t lo, uint64_t hi, uint64_t expected)
{
	if (rs->n == rs->cap) {
		rs->cap = MAX((size_t)16, rs->cap * 2);
		rs->list = xrealloc(rs->list, rs->cap * sizeof(*rs->list));
	}
	rs->list[rs->n].lo = lo;
	rs->list[rs->n].hi = hi;
	rs->list[rs->n++].expected = expected;
}

/* One bucket in even pieces of its hashes. */
static void
rounds_cut(struct rounds *rs, uint64_t lo, unsigned int shift, uint64_t count,
    uint64_t max_pairs)
{
	uint64_t	 width = shift == 64 ? UINT64_MAX : (1ULL << shift);
	uint64_t	 pieces = count / max_pairs + 1, step, i, hi;

	pieces = MIN(pieces, (uint64_t)1 << 20);
	step = width / pieces;
	for (i = 0; i < pieces; i++) {
		hi = i == pieces - 1 ? lo + (width - 1) :
		    lo + (i + 1) * step - 1;
		round_push(rs, lo + i * step, hi, count / pieces);
	}
}

int
cmp_rounds(const struct cmp_sum *a, const struct cmp_sum *b,
    const struct cmp_set *diff, uint64_t max_pairs, struct cmp_round **rounds,
    size_t *n)
{
	struct rounds	 rs = { NULL, 0, 0 };
	uint64_t	 lo = 0, hi = 0, sum = 0, count;
	uint32_t	 i;

	if (a->nbuckets != b->nbuckets || a->nbuckets != diff->nbuckets ||
	    max_pairs == 0)
		return ERR_RANGE;
	for (i = 0; i < diff->nbuckets; i++) {
		if (!cmp_set_has(diff, i))
			continue;
		count = MAX(a->buckets[i].count, b->buckets[i].count);
		if (sum != 0 && (count > max_pairs ||
		    sum + count > max_pairs)) {
			round_push(&rs, lo, hi, sum);
			sum = 0;
		}
		if (count > max_pairs) {
			rounds_cut(&rs, (uint64_t)i << diff->shift,
			    diff->shift, count, max_pairs);
			continue;
		}
		if (sum == 0)
			lo = (uint64_t)i << diff->shift;
		hi = ((uint64_t)i << diff->shift) +
		    ((1ULL << diff->shift) - 1);
		sum += count;
	}
	if (sum != 0)
		round_push(&rs, lo, hi, sum);
	*rounds = rs.list;
	*n = rs.n;
	return 0;
}

bool
cmp_wants(const struct cmp_set *d, const struct cmp_round *r, const void *key,
    size_t len)
{
	uint64_t	 h = cmp_key_hash(key, len);

	return h >= r->lo && h <= r->hi &&
	    cmp_set_has(d, (uint32_t)(h >> d->shift));
}

int
cmp_round_split(const struct cmp_round *r, struct cmp_round half[2])
{
	uint64_t	 mid;

	if (r->lo == r->hi)
		return ERR_RANGE;
	mid = r->lo + (r->hi - r->lo) / 2;
	half[0].lo = r->lo;
	half[0].hi = mid;
	half[1].lo = mid + 1;
	half[1].hi = r->hi;
	half[0].expected = half[1].expected = r->expected / 2 + 1;
	return 0;
}

/* ---- pairs -------------------------------------------------------------- */

void
cmp_pair_put(struct buf *b, const void *key, size_t len, uint64_t rev)
{
	put_varint(b, len);
	buf_append(b, key, len);
	put_u64(b, rev);
}

int
cmp_pair_get(struct rbuf *m, const uint8_t **key, size_t *len, uint64_t *rev)
{
	uint64_t	 n;
	int		 r;

	if ((r = get_varint(m, &n)) != 0)
		return r;
	if (n > m->left)
		return ERR_TRUNCATED;
	*key = m->p;
	*len = (size_t)n;
	m->p += n;
	m->left -= (size_t)n;
	return get_u64(m, rev);
}

/* Keys are in one block, entries in a table with open addressing. */
struct pair {
	uint64_t	 hash, rev;
	size_t		 at;		/* in keys */
	uint32_t	 len;
	bool		 used, matched;
};

struct cmp_pairs {
	struct pair	*table;
	size_t		 size, n;
	struct buf	 keys;
	size_t		 max;
};

struct cmp_pairs *
cmp_pairs_new(size_t max_bytes)
{
	struct cmp_pairs	*p = xcalloc(1, sizeof(*p));

	p->max = max_bytes;
	return p;
}

void
cmp_pairs_free(struct cmp_pairs **pp)
{
	struct cmp_pairs	*p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	free(p->table);
	buf_free(&p->keys);
	free(p);
}

void
cmp_pairs_reset(struct cmp_pairs *p)
{
	if (p->n != 0)
		memset(p->table, 0, p->size * sizeof(*p->table));
	p->n = 0;
	buf_reset(&p->keys);
}

size_t
cmp_pairs_count(const struct cmp_pairs *p)
{
	return p->n;
}

static struct pair *
pair_find(struct cmp_pairs *p, uint64_t hash, const void *key, size_t len,
    uint64_t rev)
{
	size_t		 at = hash & (p->size - 1);
	struct pair	*e;

	for (;; at = (at + 1) & (p->size - 1)) {
		e = &p->table[at];
		if (!e->used || (e->hash == hash && e->rev == rev &&
		    e->len == len &&
		    memcmp(p->keys.data + e->at, key, len) == 0))
			return e;
	}
}

static void
pairs_grow(struct cmp_pairs *p, size_t size)
{
	struct pair	*old = p->table;
	size_t		 n = p->size, i, at;

	p->table = xcalloc(size, sizeof(*p->table));
	p->size = size;
	for (i = 0; i < n; i++) {
		if (!old[i].used)
			continue;
		at = old[i].hash & (size - 1);
		while (p->table[at].used)
			at = (at + 1) & (size - 1);
		p->table[at] = old[i];
	}
	free(old);
}

/* The memory after one more pair; both blocks grow by doubling. */
static bool
has_room(const struct cmp_pairs *p, size_t len, size_t *size)
{
	size_t		 keys = p->keys.cap;

	*size = p->size == 0 ? 256 : p->size;
	if (p->n + 1 > *size / 2)
		*size *= 2;
	if (p->keys.len + len > keys)
		keys = MAX(keys * 2, p->keys.len + len);
	return *size * sizeof(*p->table) + keys <= p->max;
}

int
cmp_pairs_local(struct cmp_pairs *p, const void *key, size_t len, uint64_t rev)
{
	uint64_t	 hash = pair_hash(cmp_key_hash(key, len), rev);
	struct pair	*e;
	size_t		 size;

	if (len > UINT32_MAX || !has_room(p, len, &size))
		return ERR_TOO_BIG;
	if (size != p->size)
		pairs_grow(p, size);
	e = pair_find(p, hash, key, len, rev);
	if (e->used)
		return 0;
	e->used = true;
	e->hash = hash;
	e->rev = rev;
	e->at = p->keys.len;
	e->len = (uint32_t)len;
	buf_append(&p->keys, key, len);
	p->n++;
	return 0;
}

bool
cmp_pairs_remote(struct cmp_pairs *p, const void *key, size_t len,
    uint64_t rev)
{
	struct pair	*e;

	if (p->n == 0)
		return true;
	e = pair_find(p, pair_hash(cmp_key_hash(key, len), rev), key, len,
	    rev);
	if (!e->used)
		return true;
	e->matched = true;
	return false;
}

int
cmp_pairs_surplus(struct cmp_pairs *p, int (*fn)(void *arg, const void *key,
    size_t len, uint64_t rev), void *arg)
{
	const struct pair	*e;
	size_t			 i;
	int			 r;

	for (i = 0; p->n != 0 && i < p->size; i++) {
		e = &p->table[i];
		if (!e->used || e->matched)
			continue;
		if ((r = fn(arg, p->keys.data + e->at, e->len, e->rev)) != 0)
			return r;
	}
	return 0;
}
