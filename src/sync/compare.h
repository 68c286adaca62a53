/*
 * compare.h - two copies of a shard compared by (key, revision), without
 * revision trees (R7, R8, R9).
 *
 * Each side streams the pairs of its snapshot, in any order, into a summary:
 * buckets by hash of the key, each with count, XOR and sum of a hash of key
 * and revision.  Summaries travel; buckets that differ are compared pair by
 * pair, in rounds that fit into memory.
 *
 * What the target has and the source has not, as a pair, is surplus.  All of
 * it is removed, and the answers awaited, before the first document is put: two
 * keys under one revision would share one body (R7), and they may be in two
 * rounds.  So with several rounds one goes through all of them for the
 * surplus, then through all of them again for what to fetch.
 *
 *	target				source
 *	cmp_sum_add() ...		cmp_sum_add() ...
 *		<- cmp_sum_encode()
 *	cmp_diff(), cmp_rounds()
 *	for each round, then (when there are several) once more:
 *		-> cmp_set_encode(), lo and hi of the round
 *	cmp_pairs_local() ...		cmp_wants() -> cmp_pair_put()
 *		<- pairs
 *	cmp_pairs_remote() -> fetch (last pass)
 *	cmp_pairs_surplus() -> remove, wait (first pass)
 */
#ifndef SYNC_COMPARE_H
#define SYNC_COMPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct rbuf;

#define CMP_BUCKETS_MIN	256
/* A whole summary, 18 bytes a bucket, has to fit into one message of 1 MiB
 * (CHANNEL_MESSAGE_MAX). */
#define CMP_BUCKETS_MAX	32768

struct cmp_bucket {
	uint64_t	 count, xor, sum;
};

struct cmp_sum {
	uint32_t		 nbuckets;	/* a power of two */
	unsigned int		 shift;		/* hash >> shift: the bucket */
	uint64_t		 count;
	struct cmp_bucket	*buckets;
};

/* Buckets for a shard of so many documents: about 64 in each. */
uint32_t cmp_buckets_for(uint64_t documents);
/* Where a key belongs: the upper bits choose the bucket. */
uint64_t cmp_key_hash(const void *key, size_t len);

/* nbuckets a power of two in MIN .. MAX, else ERR_RANGE. */
int	cmp_sum_init(struct cmp_sum *s, uint32_t nbuckets);
void	cmp_sum_free(struct cmp_sum *s);
void	cmp_sum_add(struct cmp_sum *s, const void *key, size_t len,
	    uint64_t rev);
/* ipc/codec.h; empty buckets cost nothing. */
void	cmp_sum_encode(struct buf *b, const struct cmp_sum *s);
/* Until the end of m; ERR_FORMAT, ERR_TRUNCATED for what is none. */
int	cmp_sum_decode(struct rbuf *m, struct cmp_sum *s);

/* A set of buckets. */
struct cmp_set {
	uint32_t	 nbuckets;
	unsigned int	 shift;
	uint32_t	 count;		/* in it */
	uint64_t	*bits;
};

/* Which differ; ERR_RANGE when the summaries have other sizes. */
int	cmp_diff(const struct cmp_sum *a, const struct cmp_sum *b,
	    struct cmp_set *diff);
void	cmp_set_free(struct cmp_set *d);
bool	cmp_set_has(const struct cmp_set *d, uint32_t bucket);
void	cmp_set_encode(struct buf *b, const struct cmp_set *d);
int	cmp_set_decode(struct rbuf *m, struct cmp_set *d);

/* Keys of the differing buckets whose hash is in lo .. hi, both included. */
struct cmp_round {
	uint64_t	 lo, hi;
	uint64_t	 expected;	/* pairs of the larger side */
};

/*
 * Cut the differing buckets into rounds of at most max_pairs pairs a side (a
 * bucket that alone has more is cut by its hash, evenly).  *rounds is the
 * caller's to free(); none when nothing differs.
 */
int	cmp_rounds(const struct cmp_sum *a, const struct cmp_sum *b,
	    const struct cmp_set *diff, uint64_t max_pairs,
	    struct cmp_round **rounds, size_t *n);
bool	cmp_wants(const struct cmp_set *d, const struct cmp_round *r,
	    const void *key, size_t len);

/* ---- pairs -------------------------------------------------------------- */

/* A pair in a message: varint length, key, revision. */
void	cmp_pair_put(struct buf *b, const void *key, size_t len, uint64_t rev);
int	cmp_pair_get(struct rbuf *m, const uint8_t **key, size_t *len,
	    uint64_t *rev);

struct cmp_pairs;

/* At most max_bytes of memory for keys and table. */
struct cmp_pairs *cmp_pairs_new(size_t max_bytes);
void	cmp_pairs_free(struct cmp_pairs **p);
/* Begin a round; keeps the memory. */
void	cmp_pairs_reset(struct cmp_pairs *p);
/*
 * A pair of the target.  0, or ERR_TOO_BIG: the memory is used up; go again
 * with the round cut in two (cmp_round_split()).
 */
int	cmp_pairs_local(struct cmp_pairs *p, const void *key, size_t len,
	    uint64_t rev);
/*
 * A pair of the source, after all local ones: true when the document has to be
 * fetched (the key is missing, or has another revision).
 */
bool	cmp_pairs_remote(struct cmp_pairs *p, const void *key, size_t len,
	    uint64_t rev);
/*
 * After all remote ones: fn for each local pair that the source has not (also
 * those whose key comes with another revision).  fn's nonzero stops and is
 * returned.
 */
int	cmp_pairs_surplus(struct cmp_pairs *p, int (*fn)(void *arg,
	    const void *key, size_t len, uint64_t rev), void *arg);
size_t	cmp_pairs_count(const struct cmp_pairs *p);
/* Two halves of a round; ERR_RANGE when it has one hash only. */
int	cmp_round_split(const struct cmp_round *r, struct cmp_round half[2]);

#endif
