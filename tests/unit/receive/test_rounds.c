/* test_rounds.c - a comparison in rounds while the source is written to */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "receive/receive_priv.h"
#include "sync/compare.h"
#include "vpack/rev.h"
#include "far_end.h"
#include "unit.h"

#define DOCS		1200
#define CUT		1000
#define FIRST_REV	REV_MAKE(1700000000000, 0)

/* What the source holds now, and what it wrote since the cut. */
struct source {
	struct map	 revs;		/* key -> uint64_t */
	struct buf	 log;
	uint64_t	 tick, rev;
	unsigned int	 diffs, fetches, keys;
	bool		 quiet;		/* nobody writes to it */
};

/* The fiber's stack is small, and there is one process for each scenario. */
static struct source	 src;

static uint64_t
rev_of(struct source *s, const char *key)
{
	uint64_t	*rev = map_get(&s->revs, key);

	return rev == NULL ? 0 : *rev;
}

static void
has(struct source *s, const char *key, uint64_t rev)
{
	uint64_t	*own = xmalloc(sizeof(*own));

	*own = rev;
	free(map_put(&s->revs, key, own));
}

static void
document(char out[128], const char *key, uint64_t rev)
{
	char	 text[REV_TEXT_MAX];

	rev_to_text(rev, text);
	snprintf(out, 128, "{\"_key\":\"%s\",\"_rev\":\"%s\"}", key, text);
}

static void
writes(struct source *s, const char *key)
{
	char	 doc[128];

	has(s, key, s->rev);
	document(doc, key, s->rev++);
	buf_printf(&s->log, "{\"tick\":\"%" PRIu64 "\",\"type\":2300,"
	    "\"data\":%s}\n", s->tick++, doc);
}

static void
removes(struct source *s, const char *key)
{
	uint64_t	*rev = map_del(&s->revs, key);

	if (rev == NULL)
		return;
	free(rev);
	buf_printf(&s->log, "{\"tick\":\"%" PRIu64 "\",\"type\":2302,"
	    "\"data\":{\"_key\":\"%s\",\"_rev\":\"x\"}}\n", s->tick++, key);
}

/* Some of everything: what is there already, what is not, what was new. */
static void
somebody_writes(struct source *s)
{
	unsigned int	 n = s->diffs * 7 + s->fetches * 3, i;
	char		 key[32];

	for (i = 0; !s->quiet && i < 5; i++) {
		snprintf(key, sizeof(key), "both%u", (n * 11 + i) % DOCS);
		writes(s, key);
		snprintf(key, sizeof(key), "both%u", (n * 13 + i) % DOCS);
		removes(s, key);
		snprintf(key, sizeof(key), "s%u", (n * 5 + i) % DOCS);
		removes(s, key);
		snprintf(key, sizeof(key), "new%u-%u", n, i);
		writes(s, key);
		snprintf(key, sizeof(key), "new%u-%u", n / 2, i);
		removes(s, key);
	}
}

static void
say_sums(struct far_end *f, struct source *s)
{
	struct map_iter	 it;
	struct cmp_sum	 sum;
	struct buf	 b = BUF_INIT;

	far_check(cmp_sum_init(&sum, CMP_BUCKETS_MIN) == 0);
	MAP_FOREACH(&s->revs, it)
		cmp_sum_add(&sum, it.key, it.key_len,
		    *(const uint64_t *)it.value);
	cmp_sum_encode(&b, &sum);
	far_down(f, MSG_CH_SUMS, &b);
	cmp_sum_free(&sum);
}

static void
say_pairs(struct far_end *f, struct source *s, struct rbuf *m)
{
	struct map_iter	 it;
	struct cmp_round r;
	struct cmp_set	 d;
	struct buf	 b = BUF_INIT;
	uint32_t	 request;

	far_check(get_u32(m, &request) == 0 && get_u64(m, &r.lo) == 0 &&
	    get_u64(m, &r.hi) == 0 && cmp_set_decode(m, &d) == 0);
	channel_pairs_put(&b, request, 0);
	MAP_FOREACH(&s->revs, it)
		if (cmp_wants(&d, &r, it.key, it.key_len))
			cmp_pair_put(&b, it.key, it.key_len,
			    *(const uint64_t *)it.value);
	far_down(f, MSG_CH_PAIRS, &b);
	channel_pairs_put(&b, request, CHANNEL_LAST);
	far_down(f, MSG_CH_PAIRS, &b);
	cmp_set_free(&d);
}

static void
say_documents(struct far_end *f, struct source *s, struct rbuf *m)
{
	struct buf	 b = BUF_INIT;
	const uint8_t	*p;
	char		 key[64], doc[128];
	uint32_t	 request, n, i;
	size_t		 len;

	far_check(get_u32(m, &request) == 0 && get_u32(m, &n) == 0);
	s->keys += n;
	channel_docs_put(&b, request, CHANNEL_LAST);
	for (i = 0; i < n; i++) {
		far_check(get_bytes(m, &p, &len) == 0);
		snprintf(key, sizeof(key), "%.*s", (int)len, (const char *)p);
		document(doc, key, rev_of(s, key));
		if (map_has(&s->revs, key))
			channel_doc_put(&b, i, CHANNEL_DOC_FOUND, doc,
			    strlen(doc));
		else
			channel_doc_put(&b, i, CHANNEL_DOC_GONE, "", 0);
	}
	far_down(f, MSG_CH_DOCS, &b);
}

/* What is said to the source, not to control; NULL: nothing yet. */
static struct far_message *
said(struct far_end *f)
{
	struct far_message	*n = f->first;

	while (n != NULL && n->type >> 8 == MSG_WORKER_STATUS >> 8)
		n = n->next;
	return n;
}

/* Answers what is asked, and is written to before each answer. */
static void
serve(struct far_end *f, struct source *s)
{
	struct far_message	*n;
	struct rbuf		 m;

	for (;;) {
		far_until(f, said(f) != NULL, "the repair goes on");
		n = far_expect(f, said(f)->type);
		m.p = n->data;
		m.left = n->len;
		somebody_writes(s);
		if (n->type == MSG_CH_DIFF) {
			s->diffs++;
			say_pairs(f, s, &m);
		} else if (n->type == MSG_CH_FETCH) {
			s->fetches++;
			say_documents(f, s, &m);
		} else {
			if (n->type != MSG_CH_REPAIRED)
				far_fail("%s: %.*s", msg_name(n->type),
				    (int)n->len, (const char *)n->data);
			free(n);
			return;
		}
		free(n);
	}
}

static bool
same(struct far_end *f, struct source *s)
{
	struct map_iter	 it;
	char		 doc[128];

	if (map_count(&f->shard.docs) != map_count(&s->revs))
		return false;
	MAP_FOREACH(&f->shard.docs, it) {
		document(doc, it.key, rev_of(s, it.key));
		if (strcmp(doc, it.value) != 0)
			return false;
	}
	return true;
}

/* What both have, what both have with another revision, what one of them has
 * under a revision of which the other one has another key. */
static void
begin(struct far_end *f, struct source *s)
{
	char		 key[32], doc[128];
	uint64_t	 rev;
	unsigned int	 i;

	s->tick = CUT + 1;
	s->rev = FIRST_REV + (uint64_t)10 * DOCS;
	f->shard.watch_revs = true;
	for (i = 0; i < DOCS; i++) {
		rev = FIRST_REV + i;
		snprintf(key, sizeof(key), "both%u", i);
		has(s, key, rev);
		document(doc, key, i % 3 == 0 ? rev + 5 * DOCS : rev);
		fake_shard_put(&f->shard, doc);
		rev += (uint64_t)2 * DOCS;
		snprintf(key, sizeof(key), "s%u", i);
		has(s, key, rev);
		snprintf(key, sizeof(key), "t%u", i);
		document(doc, key, rev);
		fake_shard_put(&f->shard, doc);
	}
	far_begin(f);
	far_repair(f, "no record");
	far_cut(f, CUT, false);
	far_skip(f, MSG_CH_AT_CUT);
	say_sums(f, s);
}

static void
end(struct far_end *f, struct source *s)
{
	char	 told[200];

	far_skip(f, MSG_WORKER_PLACE_FREE);
	far_lines(f, buf_cstr(&s->log), s->tick);
	far_caught_up(f);
	snprintf(told, sizeof(told), "%u rounds, %u fetches: the same",
	    s->diffs, s->fetches);
	far_until(f, same(f, s), told);
	far_check(f->shard.shared_revs == 0);
	far_until(f, f->committed == s->tick, "recorded");
	far_until(f, strstr(f->status, "\"running\"") != NULL, "running");
}

static void
one_round(struct far_end *f)
{
	begin(f, &src);
	serve(f, &src);
	far_check(src.diffs == 1);
	end(f, &src);
}

static void
many_rounds(struct far_end *f)
{
	begin(f, &src);
	serve(f, &src);
	/* each of them for the surplus, then each for what to fetch */
	far_check(src.diffs >= 20 && src.diffs % 2 == 0);
	end(f, &src);
}

/* What was announced as one round does not fit into memory. */
static void
too_large_a_round(struct far_end *f)
{
	begin(f, &src);
	serve(f, &src);
	far_check(src.diffs >= 4);
	end(f, &src);
}

/* The source closes in the middle: the next comparison is the smaller one. */
static void
broken_off(struct far_end *f)
{
	struct buf	 b = BUF_INIT;
	struct rbuf	 m;
	struct far_message *n;
	unsigned int	 all;

	src.quiet = true;
	begin(f, &src);
	while (src.fetches < 5) {
		n = far_expect(f, said(f) == NULL ? MSG_CH_DIFF :
		    said(f)->type);
		m.p = n->data;
		m.left = n->len;
		if (n->type == MSG_CH_DIFF)
			say_pairs(f, &src, &m);
		else {
			src.fetches++;
			say_documents(f, &src, &m);
		}
		free(n);
		far_until(f, said(f) != NULL, "it asks for more");
	}
	put_str(&b, "the leader has moved");
	far_down(f, MSG_CH_CLOSED, &b);
	far_skip(f, MSG_WORKER_PLACE_FREE);
	while (said(f) != NULL && said(f)->type != MSG_CH_SUBSCRIBE)
		far_skip(f, said(f)->type);
	far_subscribed(f);
	far_check(f->subscribe.has_record && f->subscribe.record.repairing);
	all = src.keys;
	src.keys = 0;
	far_repair(f, "a repair had begun");
	far_cut(f, CUT, false);
	far_skip(f, MSG_CH_AT_CUT);
	say_sums(f, &src);
	serve(f, &src);
	/* nothing was fetched twice, but for the answer that crossed */
	far_check(src.keys + all <= DOCS + DOCS / 3 + 100);
	end(f, &src);
}

static void
test_one(void)
{
	CU_ASSERT_EQUAL(far_run(one_round), 0);
}

static void
test_many(void)
{
	receive_limits.round_pairs = 100;
	CU_ASSERT_EQUAL(far_run(many_rounds), 0);
	CU_ASSERT_EQUAL(far_run(broken_off), 0);
	receive_limits.round_pairs = 200000;
}

static void
test_memory(void)
{
	receive_limits.pairs_bytes = 32768;
	CU_ASSERT_EQUAL(far_run(too_large_a_round), 0);
	receive_limits.pairs_bytes = (size_t)32 * 1024 * 1024;
}

UNIT_MAIN("receive rounds",
    { "one round, written to meanwhile", test_one },
    { "many rounds: all surplus goes before the first document comes",
      test_many },
    { "a round beyond the memory is two", test_memory })
