/* test_compare.c - tests of comparing two copies of a shard */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/map.h"
#include "base/random.h"
#include "ipc/codec.h"
#include "sync/compare.h"
#include "unit.h"

/*
 * A shard as arangod stores it: a body for each revision, which two keys must
 * never share.
 */
struct side {
	struct map	 docs;		/* key -> revision */
	struct map	 bodies;	/* revision -> anything */
};

static void
side_del(struct side *s, const void *key, size_t len)
{
	void	*rev = map_del_n(&s->docs, key, len);

	if (rev != NULL)
		map_del_u64(&s->bodies, (uintptr_t)rev);
}

static void
side_put(struct side *s, const void *key, size_t len, uint64_t rev)
{
	side_del(s, key, len);
	if (map_get_u64(&s->bodies, rev) != NULL)
		CU_FAIL("two keys under one revision");
	map_put_u64(&s->bodies, rev, s);
	map_put_n(&s->docs, key, len, (void *)(uintptr_t)rev);
}

static void
side_free(struct side *s)
{
	map_free(&s->docs, NULL);
	map_free(&s->bodies, NULL);
}

static void
side_sum(const struct side *s, struct cmp_sum *sum, uint32_t nbuckets)
{
	struct map_iter	 it;

	CU_ASSERT_EQUAL(cmp_sum_init(sum, nbuckets), 0);
	MAP_FOREACH(&s->docs, it)
		cmp_sum_add(sum, it.key, it.key_len, (uintptr_t)it.value);
}

static int
on_surplus(void *arg, const void *key, size_t len, uint64_t rev)
{
	struct side	*t = arg;

	CU_ASSERT_EQUAL((uintptr_t)map_get_n(&t->docs, key, len), rev);
	side_del(t, key, len);
	return 0;
}

/*
 * One round, cut in two when it does not fit.  `was` is the target's snapshot;
 * the first pass removes, the last one fetches.
 */
static void
do_round(struct side *src, const struct map *was, struct side *t,
    const struct cmp_set *diff, const struct cmp_round *r,
    struct cmp_pairs *p, bool fetch, unsigned int *splits)
{
	struct cmp_round	 half[2];
	struct map_iter		 it;
	struct buf		 b = BUF_INIT;
	struct rbuf		 m;
	const uint8_t		*key;
	size_t			 len;
	uint64_t		 rev;

	cmp_pairs_reset(p);
	MAP_FOREACH(was, it)
		if (cmp_wants(diff, r, it.key, it.key_len) &&
		    cmp_pairs_local(p, it.key, it.key_len,
		    (uintptr_t)it.value) != 0) {
			(*splits)++;
			CU_ASSERT_EQUAL_FATAL(cmp_round_split(r, half), 0);
			do_round(src, was, t, diff, &half[0], p, fetch,
			    splits);
			do_round(src, was, t, diff, &half[1], p, fetch,
			    splits);
			return;
		}
	MAP_FOREACH(&src->docs, it)
		if (cmp_wants(diff, r, it.key, it.key_len))
			cmp_pair_put(&b, it.key, it.key_len,
			    (uintptr_t)it.value);
	m.p = b.data;
	m.left = b.len;
	while (m.left != 0) {
		CU_ASSERT_EQUAL_FATAL(cmp_pair_get(&m, &key, &len, &rev), 0);
		if (cmp_pairs_remote(p, key, len, rev) && fetch)
			side_put(t, key, len, rev);
	}
	if (!fetch)
		CU_ASSERT_EQUAL(cmp_pairs_surplus(p, on_surplus, t), 0);
	buf_free(&b);
}

static bool
sides_equal(struct side *a, struct side *b)
{
	struct map_iter	 it;

	if (map_count(&a->docs) != map_count(&b->docs))
		return false;
	MAP_FOREACH(&a->docs, it)
		if (map_get_n(&b->docs, it.key, it.key_len) != it.value)
			return false;
	return true;
}

/* The whole conversation; summaries and sets travel as bytes. */
static void
repair(struct side *src, struct side *t, uint64_t max_pairs, size_t max_bytes,
    unsigned int *nrounds, unsigned int *splits)
{
	struct cmp_sum		 a, sent, b;
	struct cmp_set		 diff, there;
	struct cmp_round	*rounds;
	struct cmp_pairs	*p = cmp_pairs_new(max_bytes);
	struct buf		 buf = BUF_INIT;
	struct rbuf		 m;
	struct map		 was;
	struct map_iter		 it;
	uint32_t		 nb = cmp_buckets_for(map_count(&src->docs));
	size_t			 n, i;

	side_sum(src, &a, nb);
	side_sum(t, &b, nb);
	cmp_sum_encode(&buf, &a);
	m.p = buf.data;
	m.left = buf.len;
	CU_ASSERT_EQUAL_FATAL(cmp_sum_decode(&m, &sent), 0);
	CU_ASSERT_EQUAL(sent.count, map_count(&src->docs));
	CU_ASSERT_EQUAL(cmp_diff(&sent, &b, &diff), 0);
	CU_ASSERT_EQUAL(diff.count == 0, sides_equal(src, t));
	buf_reset(&buf);
	cmp_set_encode(&buf, &diff);
	m.p = buf.data;
	m.left = buf.len;
	CU_ASSERT_EQUAL_FATAL(cmp_set_decode(&m, &there), 0);
	CU_ASSERT_EQUAL(get_end(&m), 0);
	CU_ASSERT_EQUAL(memcmp(diff.bits, there.bits,
	    diff.nbuckets / 8), 0);
	CU_ASSERT_EQUAL(cmp_rounds(&sent, &b, &diff, max_pairs, &rounds, &n),
	    0);
	memset(&was, 0, sizeof(was));
	MAP_FOREACH(&t->docs, it)
		map_put_n(&was, it.key, it.key_len, it.value);
	for (i = 0; i < n; i++)
		do_round(src, &was, t, &there, &rounds[i], p, false, splits);
	for (i = 0; i < n; i++)
		do_round(src, &was, t, &there, &rounds[i], p, true, splits);
	map_free(&was, NULL);
	*nrounds += (unsigned int)n;
	CU_ASSERT_TRUE(sides_equal(src, t));
	free(rounds);
	cmp_pairs_free(&p);
	cmp_set_free(&diff);
	cmp_set_free(&there);
	cmp_sum_free(&a);
	cmp_sum_free(&b);
	cmp_sum_free(&sent);
	buf_free(&buf);
}

/*
 * Keys of both sides overlap, and so do revisions, of the same key or of
 * another one: clusters that were both written to (R7).
 */
static void
fill(struct side *s, struct side *t, unsigned int n)
{
	char		 key[32];
	uint64_t	 rev;
	unsigned int	 i;

	for (i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "k%u",
		    (unsigned int)rand_below(n * 2));
		rev = i + 1;
		side_put(s, key, strlen(key), rev);
		if (rand_below(20) == 0)
			snprintf(key, sizeof(key), "k%u",
			    (unsigned int)rand_below(n * 2));
		if (rand_below(20) == 0)
			rev += n;
		if (rand_below(50) != 0 &&
		    map_get_u64(&t->bodies, rev) == NULL)
			side_put(t, key, strlen(key), rev);
	}
}

static void
test_random(void)
{
	struct side	 s, t;
	unsigned int	 run, rounds, splits, many = 0, cut = 0;

	for (run = 0; run < 60; run++) {
		rand_seed(run + 1);
		memset(&s, 0, sizeof(s));
		memset(&t, 0, sizeof(t));
		fill(&s, &t, (unsigned int)rand_below(run % 3 == 0 ? 20 :
		    4000));
		if (run % 7 == 0)
			side_free(&t);		/* nothing there */
		if (run % 11 == 0)
			side_free(&s);		/* all is surplus */
		rounds = splits = 0;
		repair(&s, &t, run % 2 == 0 ? 1000000 : 50,
		    run % 5 == 0 ? 64 * 1024 : 1 << 20, &rounds, &splits);
		many += rounds > 1;
		cut += splits;
		side_free(&s);
		side_free(&t);
	}
	CU_ASSERT_TRUE(many > 10);
	CU_ASSERT_TRUE(cut > 0);
}

/* Equal keys under swapped revisions, which count and XOR of parts miss. */
static void
test_swapped(void)
{
	struct cmp_sum	 a, b;
	struct cmp_set	 d;

	cmp_sum_init(&a, 256);
	cmp_sum_init(&b, 256);
	cmp_sum_add(&a, "x", 1, 1);
	cmp_sum_add(&a, "y", 1, 2);
	cmp_sum_add(&b, "x", 1, 2);
	cmp_sum_add(&b, "y", 1, 1);
	cmp_diff(&a, &b, &d);
	CU_ASSERT_TRUE(d.count >= 1);
	cmp_set_free(&d);
	cmp_sum_free(&b);
	/* any order */
	cmp_sum_init(&b, 256);
	cmp_sum_add(&b, "y", 1, 2);
	cmp_sum_add(&b, "x", 1, 1);
	cmp_diff(&a, &b, &d);
	CU_ASSERT_EQUAL(d.count, 0);
	cmp_set_free(&d);
	cmp_sum_free(&b);
	/* pairs twice do not cancel out */
	cmp_sum_init(&b, 256);
	cmp_sum_add(&b, "x", 1, 1);
	cmp_sum_add(&b, "y", 1, 2);
	cmp_sum_add(&b, "z", 1, 2);
	cmp_sum_add(&b, "z", 1, 2);
	cmp_diff(&a, &b, &d);
	CU_ASSERT_EQUAL(d.count, 1);
	cmp_set_free(&d);
	cmp_sum_free(&a);
	cmp_sum_free(&b);
}

static void
test_sizes(void)
{
	struct cmp_sum	 a, b;
	struct cmp_set	 d;
	struct buf	 out = BUF_INIT;
	uint32_t	 i;

	/* the largest there is fits into one message of a channel */
	CU_ASSERT_EQUAL(cmp_sum_init(&a, CMP_BUCKETS_MAX), 0);
	for (i = 0; i < a.nbuckets; i++)
		a.buckets[i].count = 1u << 20;
	cmp_sum_encode(&out, &a);
	CU_ASSERT(out.len <= 1024 * 1024);
	cmp_sum_free(&a);
	buf_free(&out);
	CU_ASSERT_EQUAL(cmp_buckets_for(0), 256);
	CU_ASSERT_EQUAL(cmp_buckets_for(16384), 256);
	CU_ASSERT_EQUAL(cmp_buckets_for(16385), 512);
	CU_ASSERT_EQUAL(cmp_buckets_for(UINT64_MAX), 32768);
	CU_ASSERT_EQUAL(cmp_sum_init(&a, 255), ERR_RANGE);
	CU_ASSERT_EQUAL(cmp_sum_init(&a, 128), ERR_RANGE);
	CU_ASSERT_EQUAL(cmp_sum_init(&a, 131072), ERR_RANGE);
	CU_ASSERT_EQUAL(cmp_sum_init(&a, 256), 0);
	CU_ASSERT_EQUAL(cmp_sum_init(&b, 512), 0);
	CU_ASSERT_EQUAL(cmp_diff(&a, &b, &d), ERR_RANGE);
	cmp_sum_free(&a);
	cmp_sum_free(&b);
}

/* Rounds cover each differing bucket, once, and a huge one in pieces. */
static void
test_rounds(void)
{
	struct cmp_sum		 a, b;
	struct cmp_set		 d;
	struct cmp_round	*r, half[2];
	size_t			 n, i;
	uint32_t		 k;
	uint64_t		 at, in;

	cmp_sum_init(&a, 256);
	cmp_sum_init(&b, 256);
	for (k = 3; k < 256; k += 5) {
		a.buckets[k].count = k == 253 ? 100000 : 30;
		a.buckets[k].xor = 1;
	}
	cmp_diff(&a, &b, &d);
	CU_ASSERT_EQUAL(cmp_rounds(&a, &b, &d, 100, &r, &n), 0);
	CU_ASSERT_TRUE(n > 1000);
	for (i = 0; i < n; i++) {
		CU_ASSERT_TRUE(r[i].lo <= r[i].hi);
		CU_ASSERT_TRUE(r[i].expected <= 100);
		CU_ASSERT_TRUE(i == 0 || r[i - 1].hi < r[i].lo);
	}
	for (k = 0; k < 256; k++) {
		for (at = 0; at < 3; at++) {
			uint64_t	 h = ((uint64_t)k << 56) +
					    (at == 0 ? 0 : at == 1 ?
					    (1ULL << 56) - 1 : 1ULL << 55);

			for (i = in = 0; i < n; i++)
				in += h >= r[i].lo && h <= r[i].hi;
			CU_ASSERT_TRUE(in == 1 || !cmp_set_has(&d, k));
		}
	}
	free(r);
	half[0].lo = half[0].hi = 7;
	CU_ASSERT_EQUAL(cmp_round_split(&half[0], half), ERR_RANGE);
	CU_ASSERT_EQUAL(cmp_rounds(&a, &b, &d, 0, &r, &n), ERR_RANGE);
	cmp_set_free(&d);
	cmp_diff(&a, &a, &d);
	CU_ASSERT_EQUAL(cmp_rounds(&a, &a, &d, 5, &r, &n), 0);
	CU_ASSERT_EQUAL(n, 0);
	free(r);
	cmp_set_free(&d);
	cmp_sum_free(&a);
	cmp_sum_free(&b);
}

/* Cut and changed messages never crash and never read too far. */
static void
test_damaged(void)
{
	struct side	 s;
	struct cmp_sum	 a, back;
	struct cmp_set	 d, dback;
	struct buf	 b = BUF_INIT;
	struct rbuf	 m;
	uint8_t		*copy;
	size_t		 i;
	char		 key[16];
	const uint8_t	*k;
	size_t		 klen;
	uint64_t	 rev;

	memset(&s, 0, sizeof(s));
	for (i = 0; i < 40; i++) {
		snprintf(key, sizeof(key), "k%zu", i);
		side_put(&s, key, strlen(key), i + 1);
	}
	side_sum(&s, &a, 256);
	cmp_sum_encode(&b, &a);
	for (i = 0; i < 3000; i++) {
		size_t	 n = rand_below(b.len + 1);

		copy = xmalloc(n + 1);
		memcpy(copy, b.data, n);
		if (n != 0 && rand_below(2) == 0)
			copy[rand_below(n)] ^= (uint8_t)(1 + rand_below(255));
		m.p = copy;
		m.left = n;
		if (cmp_sum_decode(&m, &back) == 0) {
			if (cmp_diff(&a, &back, &d) == 0) {
				cmp_set_free(&d);
			}
			cmp_sum_free(&back);
		}
		m.p = copy;
		m.left = n;
		if (cmp_set_decode(&m, &dback) == 0)
			cmp_set_free(&dback);
		m.p = copy;
		m.left = n;
		while (cmp_pair_get(&m, &k, &klen, &rev) == 0)
			;
		free(copy);
	}
	buf_free(&b);
	cmp_sum_free(&a);
	side_free(&s);
}

UNIT_MAIN("compare",
    { "random copies become equal, surplus first", test_random },
    { "what cheap sums would miss is seen", test_swapped },
    { "the number of buckets follows the size", test_sizes },
    { "rounds cover what differs, once", test_rounds },
    { "damaged messages are refused", test_damaged })
