/* test_receive.c - a process receive between a source that a script plays, and
 * a shard in memory */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fsx.h"
#include "receive/receive_record.h"
#include "sync/compare.h"
#include "vpack/rev.h"
#include "far_end.h"
#include "unit.h"

static bool
holds(struct far_end *f, const char *what)
{
	return strcmp(fake_shard_text(&f->shard), what) == 0;
}

static uint64_t
at_cut(struct far_end *f)
{
	struct far_message	*n = far_expect(f, MSG_CH_AT_CUT);
	struct rbuf		 m = { n->data, n->len };
	uint64_t		 count = 0;

	far_check(get_u64(&m, &count) == 0);
	free(n);
	return count;
}

static void
snap(struct far_end *f, const char *text, uint8_t flags)
{
	struct buf	 b = BUF_INIT;

	put_u8(&b, flags);
	buf_append_str(&b, text);
	far_down(f, MSG_CH_SNAP, &b);
}

static void
sums(struct far_end *f, const char *const *keys, const uint64_t *revs, size_t n)
{
	struct cmp_sum	 s;
	struct buf	 b = BUF_INIT;
	size_t		 i;

	far_check(cmp_sum_init(&s, CMP_BUCKETS_MIN) == 0);
	for (i = 0; i < n; i++)
		cmp_sum_add(&s, keys[i], strlen(keys[i]), revs[i]);
	cmp_sum_encode(&b, &s);
	far_down(f, MSG_CH_SUMS, &b);
	cmp_sum_free(&s);
}

/* Answer a DIFF with what it asks for. */
static void
pairs(struct far_end *f, const char *const *keys, const uint64_t *revs,
    size_t n)
{
	struct far_message	*q = far_expect(f, MSG_CH_DIFF);
	struct rbuf		 m = { q->data, q->len };
	struct cmp_round	 r;
	struct cmp_set		 d;
	struct buf		 b = BUF_INIT;
	uint32_t		 request;
	size_t			 i;

	far_check(get_u32(&m, &request) == 0 && get_u64(&m, &r.lo) == 0 &&
	    get_u64(&m, &r.hi) == 0 && cmp_set_decode(&m, &d) == 0);
	free(q);
	channel_pairs_put(&b, request, 0);
	for (i = 0; i < n; i++)
		if (cmp_wants(&d, &r, keys[i], strlen(keys[i])))
			cmp_pair_put(&b, keys[i], strlen(keys[i]), revs[i]);
	far_down(f, MSG_CH_PAIRS, &b);
	channel_pairs_put(&b, request, CHANNEL_LAST);
	far_down(f, MSG_CH_PAIRS, &b);
	cmp_set_free(&d);
}

/* ---- an empty shard, then the stream ------------------------------------ */

static void
copies_and_follows(struct far_end *f)
{
	struct channel_name	 n = { "shop", 10049, 0 };
	struct receive_record	 rec;
	struct err_msg		 em;
	struct buf		 b = BUF_INIT;
	char			*path;

	far_begin(f);
	far_check(!f->subscribe.has_record);
	far_check(strcmp(f->subscribe.target_cid, "77") == 0);
	far_repair(f, "no record");
	far_cut(f, 100, false);
	far_check(at_cut(f) == 0);
	snap(f, "{\"_key\":\"a\",\"_rev\":\"1\"}\n{\"_key\":\"b\",", 1);
	snap(f, "\"_rev\":\"2\"}\n", 0);
	put_u64(&b, 2);
	far_down(f, MSG_CH_SNAP_END, &b);
	far_skip(f, MSG_CH_REPAIRED);
	far_skip(f, MSG_WORKER_PLACE_FREE);
	far_check(holds(f, "a:1 b:2"));
	/* what is not above the cut is in the snapshot already */
	far_ops(f, "d 90 a;i 110 c 3;d 120 b", 130);
	far_caught_up(f);
	far_until(f, holds(f, "a:1 c:3"), "the stream is applied");
	far_until(f, f->applied == 130 && !f->stalled, "link is told");
	far_until(f, f->committed == 130, "committed after it has settled");
	path = receive_record_path(f->dir, &n, "");
	far_check(receive_record_load(path, "S", &n, &rec, &em) == 0);
	far_check(rec.shard.pos.tick == 130 && !rec.shard.repairing);
	far_check(rec.shard.lineage);
	free(path);

	/* the source closes: again, from what is recorded */
	put_str(&b, "another leader");
	far_down(f, MSG_CH_CLOSED, &b);
	far_subscribed(f);
	far_check(f->subscribe.has_record &&
	    f->subscribe.record.pos.tick == 130 &&
	    strcmp(f->subscribe.record.target_server, "PRMR-target") == 0);
	far_resume(f, 130);
	far_ops(f, "i 130 z 9;i 140 d 4", 140);
	far_until(f, holds(f, "a:1 c:3 d:4"), "goes on above the position");

	/* so does another session, and messages of the past mean nothing */
	far_link(f, false);
	f->sub--;
	far_link(f, true);
	far_ops(f, "i 150 old 1", 150);
	f->sub++;
	far_subscribed(f);
	far_resume(f, 140);
	far_ops(f, "t 160;i 170 e 5", 170);
	far_until(f, holds(f, "e:5"), "emptied, then the rest");
	far_check(f->shard.truncates == 1);
}

/* ---- a shard with documents --------------------------------------------- */

static void
repairs(struct far_end *f)
{
	/* at the source; revisions "1".."4" are those of rev_from_text() */
	static const char *const keys[] = { "a", "b", "d", "e" };
	static const char *const docs[] = {
		"{\"_key\":\"b\",\"_rev\":\"3\"}",
		"{\"_key\":\"d\",\"_rev\":\"1\"}", NULL
	};
	uint64_t		 revs[4];

	revs[0] = rev_from_text("1", 1);
	revs[1] = rev_from_text("3", 1);
	revs[2] = rev_from_text("1", 1);
	revs[3] = rev_from_text("4", 1);
	fake_shard_put(&f->shard, "{\"_key\":\"a\",\"_rev\":\"1\"}");
	fake_shard_put(&f->shard, "{\"_key\":\"b\",\"_rev\":\"2\"}");
	fake_shard_put(&f->shard, "{\"_key\":\"c\",\"_rev\":\"1\"}");
	far_begin(f);
	far_repair(f, "no record");
	far_cut(f, 100, false);
	far_check(at_cut(f) == 3);
	sums(f, keys, revs, 4);
	pairs(f, keys, revs, 4);
	/* R7: before anything is asked for, the surplus is gone */
	far_until(f, f->first != NULL, "it fetches");
	far_check(holds(f, "a:1"));
	far_check(f->shard.writes == 0);
	/* "e" is gone at the source meanwhile */
	far_docs(f, docs, 3);
	far_skip(f, MSG_CH_REPAIRED);
	far_skip(f, MSG_WORKER_PLACE_FREE);
	far_check(holds(f, "a:1 b:3 d:1"));
	far_caught_up(f);
	far_until(f, f->committed == 100, "the cut is a position");
	far_until(f, !f->stalled, "running");
}

/* An interrupted repair: what was recorded resumes nothing. */
static void
repair_interrupted(struct far_end *f)
{
	struct buf	 b = BUF_INIT;

	far_begin(f);
	far_repair(f, "no record");
	far_cut(f, 100, false);
	far_check(at_cut(f) == 0);
	snap(f, "{\"_key\":\"a\",\"_rev\":\"1\"}\n", 0);
	far_until(f, holds(f, "a:1"), "the first document");
	far_link(f, false);
	far_skip(f, MSG_WORKER_PLACE_FREE);
	far_link(f, true);
	far_subscribed(f);
	far_check(f->subscribe.has_record && f->subscribe.record.repairing);
	far_repair(f, "a repair had begun");
	far_cut(f, 200, false);
	far_check(at_cut(f) == 1);
	/* fewer documents than announced: cut off, and begun again */
	put_str(&b, "the snapshot is lost");
	far_down(f, MSG_CH_CLOSED, &b);
	far_skip(f, MSG_WORKER_PLACE_FREE);
	far_subscribed(f);
}

/* ---- troubles of the target --------------------------------------------- */

static void
survives_troubles(struct far_end *f)
{
	far_start_empty(f);
	f->shard.fail = 3;
	f->shard.fail_status = 403;
	f->shard.fail_num = 1004;
	far_ops(f, "i 110 a 1", 110);
	far_until(f, strstr(f->status, "\"error\"") != NULL,
	    "the trouble is shown");
	far_until(f, holds(f, "a:1"), "it was tried until it went");
	far_until(f, strstr(f->status, "\"error\"") == NULL,
	    "the trouble is over");

	/* the outcome is unknown: the same again, and the shard is suspect */
	f->shard.fail = 1;
	f->shard.fail_drop = true;
	far_ops(f, "i 120 b 1", 120);
	far_until(f, holds(f, "a:1 b:1"), "sent again");
	f->shard.fail_drop = false;
	far_until(f, strstr(f->status, "\"suspect\":true") != NULL,
	    "suspect");

	/* another server leads */
	f->shard.fail = 1000000;
	f->shard.fail_status = 421;
	f->shard.fail_num = 1491;
	far_ops(f, "i 130 c 1", 130);
	far_skip(f, MSG_WORKER_LOOK);
	far_target(f, &f->other, "PRMR-other", 1);
	far_until(f, strcmp(fake_shard_text(&f->other), "c:1") == 0,
	    "the same batch to the new leader");
	/* a target that comes back from a crash may have lost something */
	far_target(f, &f->other, "PRMR-other", 2);
	while (f->first != NULL && f->first->type == MSG_WORKER_LOOK)
		far_skip(f, MSG_WORKER_LOOK);
	far_skip(f, MSG_WORKER_PLACE_REQ);
	far_control(f, MSG_WORKER_PLACE_ANS, NULL);
	far_skip(f, MSG_CH_VERIFY);
}

/* One that was no copy when the shard was written to may have anything. */
static void
doubts_strangers(struct far_end *f)
{
	far_start_empty(f);
	far_ops(f, "i 110 a 1", 110);
	far_until(f, holds(f, "a:1"), "applied");
	far_target(f, &f->other, "PRMR-stranger", 1);
	far_skip(f, MSG_WORKER_PLACE_REQ);
	far_control(f, MSG_WORKER_PLACE_ANS, NULL);
	far_skip(f, MSG_CH_VERIFY);
}

static void
refuses_rubbish(struct far_end *f)
{
	struct buf	 b = BUF_INIT;

	far_start_empty(f);
	buf_append_str(&b, "rubbish");
	far_down(f, MSG_CH_RECORD, &b);
	far_skip(f, MSG_CH_CLOSE);
	far_subscribed(f);
	far_resume(f, 100);
	/* a line that is none: failed, and tried again after a while */
	far_lines(f, "no line of a log\n", 110);
	far_skip(f, MSG_CH_CLOSE);
	far_until(f, strstr(f->status, "\"failed\"") != NULL, "failed");
}

/* ---- conflicts ---------------------------------------------------------- */

static void
owes(struct far_end *f)
{
	static const char *const x[] = {
		"{\"_key\":\"x\",\"_rev\":\"7\",\"u\":\"two\"}"
	};

	f->shard.unique = true;
	far_start_empty(f);
	far_ops(f, "i 110 x 1 one", 110);
	far_until(f, holds(f, "x:1"), "x");
	/* x has changed at the source, which its record will tell later */
	far_ops(f, "i 120 y 1 one", 120);
	far_docs(f, x, 1);
	far_until(f, holds(f, "x:7 y:1"), "fetched");
	far_until(f, strstr(f->status, "\"owed\":0") != NULL, "nothing owed");

	/* a later record makes good what is owed */
	far_ops(f, "i 130 z 1 one", 130);
	far_until(f, holds(f, "x:7 z:1"), "y is out of the way");
	far_ops(f, "i 140 y 2 three", 140);
	far_until(f, f->first != NULL || holds(f, "x:7 y:2 z:1"), "y");
}

static void
drops_foreign_index(struct far_end *f)
{
	static const char *const both[] = {
		"{\"_key\":\"x\",\"_rev\":\"1\",\"u\":\"one\"}",
		"{\"_key\":\"y\",\"_rev\":\"1\",\"u\":\"one\"}"
	};
	struct far_message	*n;
	struct rbuf		 m;
	uint32_t		 request, keys;
	struct buf		 b = BUF_INIT;
	const uint8_t		*key;
	size_t			 len, i;

	f->shard.unique = true;
	far_start_empty(f);
	far_ops(f, "i 110 x 1 one;i 110 y 1 one;i 110 z 1", 110);
	while (f->coordinator.drops == 0) {
		n = far_expect(f, MSG_CH_FETCH);
		m.p = n->data;
		m.left = n->len;
		far_check(get_u32(&m, &request) == 0 &&
		    get_u32(&m, &keys) == 0);
		channel_docs_put(&b, request, CHANNEL_LAST);
		for (i = 0; i < keys; i++) {
			far_check(get_bytes(&m, &key, &len) == 0);
			channel_doc_put(&b, (uint32_t)i, CHANNEL_DOC_FOUND,
			    both[*key == 'y'], strlen(both[0]));
		}
		far_down(f, MSG_CH_DOCS, &b);
		free(n);
		far_until(f, f->first != NULL ||
		    f->coordinator.drops != 0, "another look");
	}
	f->shard.unique = false;
	far_docs(f, both + 1, 1);
	far_until(f, holds(f, "x:1 y:1 z:1"), "both side by side");
}

/* ---- comparing ---------------------------------------------------------- */

/* asleep: the source's end has to be woken first */
static void
compare(struct far_end *f, const uint64_t *revs, bool asleep, uint64_t *differ)
{
	static const char *const keys[] = { "a" };
	struct far_message	*n;
	struct rbuf		 m;
	struct buf		 b = BUF_INIT;
	char			 text[256], mine[64], theirs[64];
	int32_t			 err;

	put_u32(&b, 5000);
	far_control(f, MSG_WORKER_COMPARE_REQ, &b);
	far_skip(f, MSG_CH_VERIFY);
	if (asleep) {
		put_str(&b, "it was asleep");
		far_down(f, MSG_CH_CLOSED, &b);
		far_subscribed(f);
		far_resume(f, 110);
		far_skip(f, MSG_CH_VERIFY);
	}
	far_cut(f, 110, true);
	far_check(at_cut(f) == 1);
	sums(f, keys, revs, 1);
	far_skip(f, MSG_CH_REPAIRED);
	n = far_expect(f, MSG_WORKER_COMPARE_ANS);
	m.p = n->data;
	m.left = n->len;
	far_check(get_i32(&m, &err) == 0 && err == 0 &&
	    get_str(&m, text, sizeof(text)) == 0 &&
	    get_u64(&m, differ) == 0 &&
	    get_str(&m, theirs, sizeof(theirs)) == 0 &&
	    get_str(&m, mine, sizeof(mine)) == 0 && get_end(&m) == 0);
	far_check((strcmp(theirs, mine) == 0) == (*differ == 0));
	free(n);
}

static void
compares(struct far_end *f)
{
	struct buf	 b = BUF_INIT;
	uint64_t	 rev = rev_from_text("1", 1), differ;

	put_u32(&b, 5000);
	far_begin(f);
	far_control(f, MSG_WORKER_COMPARE_REQ, &b);
	far_skip(f, MSG_WORKER_COMPARE_ANS);
	far_resume(f, 100);
	far_ops(f, "i 110 a 1", 110);
	far_until(f, holds(f, "a:1"), "a");
	compare(f, &rev, false, &differ);
	far_check(differ == 0);
	compare(f, &rev, true, &differ);
	far_check(differ == 0);
	rev++;
	compare(f, &rev, false, &differ);
	far_check(differ != 0);
	/* a repair follows by itself */
	far_skip(f, MSG_WORKER_PLACE_REQ);
}

/* ---- much --------------------------------------------------------------- */

/* Lines of 1 MiB in pieces, and a hundred thousand small ones. */
static void
much(struct far_end *f)
{
	struct buf	 b = BUF_INIT, line = BUF_INIT;
	char		 op[64], want[32];
	size_t		 at, n;
	int		 i;

	far_start_empty(f);
	buf_append_str(&line, "{\"tick\":\"110\",\"type\":2300,\"data\":{"
	    "\"_key\":\"big\",\"_rev\":\"1\",\"v\":\"");
	buf_reserve(&line, 3 << 20);
	memset(line.data + line.len, 'v', 3 << 20);
	line.len += 3 << 20;
	buf_append_str(&line, "\"}}\n");
	for (at = 0; at < line.len; at += n) {
		n = MIN(line.len - at, (size_t)200000);
		channel_record_put(&b, 1, 1);
		channel_stored_put(&b, at + n < line.len ? CHANNEL_MORE : 0,
		    NULL);
		buf_append(&b, line.data + at, n);
		far_down(f, MSG_CH_RECORD, &b);
	}
	far_lines(f, "", 110);
	far_until(f, holds(f, "big:1"), "a large document");
	buf_reset(&line);
	for (i = 0; i < 10000; i++) {
		snprintf(op, sizeof(op), "i %d k%d r%d", 200 + i, i % 10, i);
		far_op(&line, op);
		if (i % 1000 == 999) {
			far_lines(f, buf_cstr(&line), 200 + (uint64_t)i);
			buf_reset(&line);
		}
	}
	snprintf(want, sizeof(want), "k9:r9999");
	far_until(f, strstr(fake_shard_text(&f->shard), want) != NULL,
	    "the last one of each key");
	far_until(f, f->applied == 10199, "applied");
	/* folded: ten keys, however many records */
	far_check(f->shard.largest <= 10);
	buf_free(&line);
	buf_free(&b);
}

#define SCENARIO(fn)							\
static void								\
test_##fn(void)								\
{									\
	CU_ASSERT_EQUAL(far_run(fn), 0);				\
}

SCENARIO(copies_and_follows)
SCENARIO(repairs)
SCENARIO(repair_interrupted)
SCENARIO(survives_troubles)
SCENARIO(doubts_strangers)
SCENARIO(refuses_rubbish)
SCENARIO(owes)
SCENARIO(drops_foreign_index)
SCENARIO(compares)
SCENARIO(much)

UNIT_MAIN("receive",
    { "an empty shard is filled and follows", test_copies_and_follows },
    { "a shard with documents is made the same", test_repairs },
    { "a repair that broke off begins anew", test_repair_interrupted },
    { "troubles of the target are outlived", test_survives_troubles },
    { "a leader that was no copy is compared", test_doubts_strangers },
    { "rubbish of the source is refused", test_refuses_rubbish },
    { "what was in the way is owed and fetched", test_owes },
    { "an index that the source has not is dropped",
      test_drops_foreign_index },
    { "a comparison at a cut", test_compares },
    { "large documents and many small ones", test_much })
