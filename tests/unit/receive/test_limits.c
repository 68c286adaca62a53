/* test_limits.c - what takes long or much to happen: a copy beyond its time,
 * the comparison after an unknown outcome, dead letters, a shard without
 * anything to do */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fsx.h"
#include "receive/receive_priv.h"
#include "receive/receive_record.h"
#include "sync/compare.h"
#include "sync/owed.h"
#include "vpack/rev.h"
#include "far_end.h"
#include "unit.h"

static bool
holds(struct far_end *f, const char *what)
{
	return strcmp(fake_shard_text(&f->shard), what) == 0;
}

static bool
shows(struct far_end *f, const char *what)
{
	return strstr(f->status, what) != NULL;
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
snap(struct far_end *f, const char *text)
{
	struct buf	 b = BUF_INIT;

	put_u8(&b, 0);
	buf_append_str(&b, text);
	far_down(f, MSG_CH_SNAP, &b);
}

static void
snap_end(struct far_end *f, uint64_t n)
{
	struct buf	 b = BUF_INIT;

	put_u64(&b, n);
	far_down(f, MSG_CH_SNAP_END, &b);
}

/* "a:1 b:2": what the source has. */
static size_t
pairs_of(const char *text, char keys[16][16], uint64_t revs[16])
{
	char	 rev[16];
	size_t	 n = 0;
	int	 used;

	while (sscanf(text, " %15[^:]:%15s%n", keys[n], rev, &used) == 2) {
		revs[n++] = rev_from_text(rev, strlen(rev));
		text += used;
	}
	return n;
}

static void
sums(struct far_end *f, const char *source)
{
	struct cmp_sum	 s;
	struct buf	 b = BUF_INIT;
	char		 keys[16][16];
	uint64_t	 revs[16];
	size_t		 n = pairs_of(source, keys, revs), i;

	far_check(cmp_sum_init(&s, CMP_BUCKETS_MIN) == 0);
	for (i = 0; i < n; i++)
		cmp_sum_add(&s, keys[i], strlen(keys[i]), revs[i]);
	cmp_sum_encode(&b, &s);
	far_down(f, MSG_CH_SUMS, &b);
	cmp_sum_free(&s);
}

static void
pairs(struct far_end *f, const char *source)
{
	struct far_message	*q = far_expect(f, MSG_CH_DIFF);
	struct rbuf		 m = { q->data, q->len };
	struct cmp_round	 r;
	struct cmp_set		 d;
	struct buf		 b = BUF_INIT;
	char			 keys[16][16];
	uint64_t		 revs[16];
	uint32_t		 request;
	size_t			 n = pairs_of(source, keys, revs), i;

	far_check(get_u32(&m, &request) == 0 && get_u64(&m, &r.lo) == 0 &&
	    get_u64(&m, &r.hi) == 0 && cmp_set_decode(&m, &d) == 0);
	free(q);
	channel_pairs_put(&b, request, CHANNEL_LAST);
	for (i = 0; i < n; i++)
		if (cmp_wants(&d, &r, keys[i], strlen(keys[i])))
			cmp_pair_put(&b, keys[i], strlen(keys[i]), revs[i]);
	far_down(f, MSG_CH_PAIRS, &b);
	cmp_set_free(&d);
}

/* ---- a copy beyond its time (R9) ---------------------------------------- */

static void
copies_too_long(struct far_end *f)
{
	static const char *const rest[] = { "{\"_key\":\"c\",\"_rev\":\"3\"}" };

	far_begin(f);
	far_repair(f, "no record");
	far_cut(f, 100, false);
	far_check(at_cut(f) == 0);
	snap(f, "{\"_key\":\"a\",\"_rev\":\"1\"}\n{\"_key\":\"b\",\"_rev\":"
	    "\"2\"}\n");
	far_until(f, holds(f, "a:1 b:2"), "some of it");
	/* the source sends no more */
	far_skip(f, MSG_CH_CLOSE);
	far_skip(f, MSG_WORKER_PLACE_FREE);
	far_subscribed(f);
	far_check(f->subscribe.has_record && f->subscribe.record.repairing);
	far_until(f, shows(f, "the rest is compared"), "it is told");
	/* only the rest comes */
	far_repair(f, "a repair had begun");
	far_cut(f, 200, false);
	far_check(at_cut(f) == 2);
	sums(f, "a:1 b:2 c:3");
	pairs(f, "a:1 b:2 c:3");
	far_docs(f, rest, 1);
	far_skip(f, MSG_CH_REPAIRED);
	far_skip(f, MSG_WORKER_PLACE_FREE);
	far_ops(f, "i 190 old 1;i 210 d 4", 220);
	far_caught_up(f);
	far_until(f, holds(f, "a:1 b:2 c:3 d:4"), "the stream goes on");
	far_until(f, shows(f, "\"running\"") && f->committed == 220,
	    "running");
}

/* ---- an outcome that is unknown (R16) ----------------------------------- */

/* b was written to a shard that did not answer. */
static void
becomes_suspect(struct far_end *f)
{
	far_start_empty(f);
	far_ops(f, "i 110 a 1", 110);
	far_until(f, holds(f, "a:1") && f->committed == 110, "a");
	f->shard.fail = 1;
	f->shard.fail_drop = true;
	far_ops(f, "i 120 b 1", 120);
	/* who leads now? */
	far_skip(f, MSG_WORKER_LOOK);
	far_until(f, holds(f, "a:1 b:1"), "sent again");
	far_until(f, shows(f, "\"suspect\":true"), "suspect");
}

/* The lost request was executed late: b is what it was. */
static void
is_compared(struct far_end *f, uint64_t tick)
{
	static const char *const b[] = { "{\"_key\":\"b\",\"_rev\":\"2\"}" };

	far_skip(f, MSG_WORKER_PLACE_REQ);
	fake_shard_put(&f->shard, "{\"_key\":\"b\",\"_rev\":\"1\"}");
	far_control(f, MSG_WORKER_PLACE_ANS, NULL);
	far_skip(f, MSG_CH_VERIFY);
	far_cut(f, tick, false);
	far_check(at_cut(f) == 2);
	sums(f, "a:1 b:2");
	pairs(f, "a:1 b:2");
	far_docs(f, b, 1);
	far_skip(f, MSG_CH_REPAIRED);
	far_skip(f, MSG_WORKER_PLACE_FREE);
	far_caught_up(f);
	far_until(f, shows(f, "\"suspect\":false") && shows(f, "\"running\""),
	    "not suspect any more");
	far_check(holds(f, "a:1 b:2"));
}

static void
unknown_outcome(struct far_end *f)
{
	becomes_suspect(f);
	/* it goes on meanwhile, and what is applied is recorded */
	far_ops(f, "i 130 b 2", 130);
	far_until(f, holds(f, "a:1 b:2"), "the stream goes on");
	far_until(f, f->committed == 130, "recorded");
	is_compared(f, 140);
	fiber_sleep_ms(700);
	far_check(f->first == NULL);
}

static void
unknown_and_stopped(struct far_end *f)
{
	becomes_suspect(f);
	far_until(f, f->committed == 120, "recorded");
}

/* Killed with a request under way. */
static void
killed_writing(struct far_end *f)
{
	far_start_empty(f);
	far_ops(f, "i 110 a 1", 110);
	far_until(f, f->committed == 110, "recorded");
	f->shard.fail = 1;
	f->shard.fail_hang = true;
	far_ops(f, "i 120 b 1", 120);
	far_until(f, f->shard.fail == 0, "it writes");
	_exit(0);
}

/* What the recorded end of the doubt is, is told by the record. */
static void
suspect_at_start(struct far_end *f)
{
	fake_shard_put(&f->shard, "{\"_key\":\"a\",\"_rev\":\"1\"}");
	fake_shard_put(&f->shard, "{\"_key\":\"b\",\"_rev\":\"2\"}");
	far_begin(f);
	far_check(f->subscribe.has_record &&
	    !f->subscribe.record.repairing);
	far_until(f, shows(f, "\"suspect\":true"), "still suspect");
	far_resume(f, f->subscribe.record.pos.tick);
	far_ops(f, "i 130 b 2", 130);
	is_compared(f, 140);
}

/* ---- dead letters (R17) ------------------------------------------------- */

#define BAD(tick, key)	"{\"tick\":\"" tick "\",\"type\":2300,\"data\":"\
	"{\"_key\":\"" key "\",\"_rev\":\"1\",\"bad\":true}}\n"

static void
keeps_dead_letters(struct far_end *f)
{
	char	 text[3000];

	f->shard.refuse_num = 1221;
	far_begin(f);
	far_repair(f, "no record");
	far_cut(f, 100, false);
	far_check(at_cut(f) == 0);
	/* in a dump */
	snap(f, "{\"_key\":\"x\",\"_rev\":\"1\",\"bad\":true}\n"
	    "{\"_key\":\"a\",\"_rev\":\"1\"}\n");
	snap_end(f, 2);
	far_skip(f, MSG_CH_REPAIRED);
	far_skip(f, MSG_WORKER_PLACE_FREE);
	far_caught_up(f);
	far_until(f, holds(f, "a:1") && shows(f, "\"running\"") &&
	    shows(f, "\"dead\":1"), "the others are there");
	/* in the stream, between others */
	far_op_lines(f, "i 110 b 1", BAD("111", "y"), "i 112 c 1", 112);
	far_until(f, holds(f, "a:1 b:1 c:1") && shows(f, "\"dead\":2"),
	    "the stream goes on");
	far_until(f, f->committed == 112, "it holds nothing up");
	/* too large for a request */
	memset(text, 'v', sizeof(text));
	text[2500] = '\0';
	memcpy(text, "{\"tick\":\"113\",\"type\":2300,\"data\":{\"_key\":"
	    "\"z\",\"_rev\":\"1\",\"v\":\"", 61);
	memcpy(text + 2400, "\"}}\n", 5);
	far_op_lines(f, NULL, text, "i 114 d 1", 114);
	far_until(f, holds(f, "a:1 b:1 c:1 d:1") && shows(f, "\"dead\":3"),
	    "neither does what is too large");
	/* later operations on those keys */
	far_ops(f, "i 120 y 2;d 121 x", 121);
	far_until(f, holds(f, "a:1 b:1 c:1 d:1 y:2") &&
	    shows(f, "\"dead\":1"), "what was changed is no dead letter");
	far_until(f, f->committed == 121, "recorded");
}

static int
is_z(void *arg, const struct owed_dead *d)
{
	CU_ASSERT_EQUAL(d->key_len, 1);
	CU_ASSERT_EQUAL(memcmp(d->key, "z", 1), 0);
	CU_ASSERT_EQUAL(d->num, 0);
	CU_ASSERT_EQUAL(d->rev, rev_from_text("1", 1));
	CU_ASSERT_PTR_NOT_NULL(strstr(d->text, "larger than a request"));
	CU_ASSERT_TRUE(d->wall_us != 0);
	(*(int *)arg)++;
	return 0;
}

static void
emptied_dead_letters(struct far_end *f)
{
	far_begin(f);
	far_resume(f, f->subscribe.record.pos.tick);
	far_until(f, shows(f, "\"dead\":1"), "shown after a restart");
	far_until(f, shows(f, "\"error\":\"dead letters: 1, refused by the "
	    "target, the newest is document z: larger than"), "in words");
	far_ops(f, "t 130", 130);
	far_until(f, shows(f, "\"dead\":0") && !shows(f, "letters"),
	    "emptied");
}

/* ---- leaving (R24) ------------------------------------------------------ */

static uint64_t
number_of(struct far_end *f, uint16_t type)
{
	struct far_message	*n = far_expect(f, type);
	struct rbuf		 m = { n->data, n->len };
	uint64_t		 v = 0;

	far_check(get_u64(&m, &v) == 0 && get_end(&m) == 0);
	free(n);
	return v;
}

static void
may_leave(struct far_end *f, bool may)
{
	struct buf	 b = BUF_INIT;

	put_bool(&b, may);
	far_control(f, MSG_WORKER_LEAVE_ANS, &b);
}

static bool
has_left(struct far_end *f)
{
	struct far_message	*n = far_expect(f, MSG_WORKER_LEFT);
	bool			 left = n->data[0];

	free(n);
	return left;
}

static void
running_with_a(struct far_end *f)
{
	far_start_empty(f);
	far_ops(f, "i 110 a 1", 110);
	far_until(f, holds(f, "a:1"), "a");
	far_check(number_of(f, MSG_WORKER_LEAVE_REQ) == 110);
	far_check(f->committed == 110);
}

static void
leaves(struct far_end *f)
{
	running_with_a(f);
	/* not now: it asks again */
	may_leave(f, false);
	far_check(number_of(f, MSG_WORKER_LEAVE_REQ) == 110);
	may_leave(f, true);
	far_check(number_of(f, MSG_LINK_SLEEP) == f->downs);
	far_check(has_left(f));
	/* what comes now is another one's */
	far_ops(f, "i 120 b 1", 120);
	fiber_sleep_ms(300);
	far_check(holds(f, "a:1") && f->first == NULL);
}

static void
stays(struct far_end *f)
{
	running_with_a(f);
	/* a record has come since it asked */
	far_ops(f, "i 120 b 1", 120);
	far_until(f, holds(f, "a:1 b:1"), "b");
	may_leave(f, true);
	far_check(!has_left(f));
	far_until(f, f->committed == 120, "it goes on");
	/* the link is lost since it asked */
	far_check(number_of(f, MSG_WORKER_LEAVE_REQ) == 120);
	far_link(f, false);
	fiber_sleep_ms(50);
	may_leave(f, true);
	far_check(!has_left(f));
	far_link(f, true);
	far_subscribed(f);
	far_resume(f, 120);
	far_ops(f, "i 130 c 1", 130);
	far_until(f, holds(f, "a:1 b:1 c:1"), "c");
}

/* A record and the permission at the same moment: either way nothing is lost
 * without being noticed. */
static void
crosses(struct far_end *f)
{
	uint64_t	 got;

	running_with_a(f);
	may_leave(f, true);
	far_ops(f, "i 120 b 1", 120);
	if (has_left(f)) {
		got = number_of(f, MSG_LINK_SLEEP);
		far_check(got == f->downs - 1);
		far_check(holds(f, "a:1"));
	} else
		far_until(f, holds(f, "a:1 b:1"), "b");
}

/* ---- tests -------------------------------------------------------------- */

static void
test_copy(void)
{
	receive_limits.long_ms = 1500;
	CU_ASSERT_EQUAL(far_run(copies_too_long), 0);
	receive_limits.long_ms = 0;
}

static void
test_unknown(void)
{
	char	 dir[] = "/tmp/receive-test-XXXXXX";

	receive_limits.suspect_ms = 1500;
	CU_ASSERT_EQUAL(far_run(unknown_outcome), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	CU_ASSERT_EQUAL(far_run_in(unknown_and_stopped, dir), 0);
	/* not from the new start on */
	receive_limits.suspect_ms = COMMIT_SUSPECT_MS;
	CU_ASSERT_EQUAL(far_run_in(suspect_at_start, dir), 0);
	(void)fsx_remove_tree(dir);
}

static void
test_killed(void)
{
	char	 dir[] = "/tmp/receive-test-XXXXXX";

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	receive_limits.suspect_ms = 1000;
	CU_ASSERT_EQUAL(far_run_in(killed_writing, dir), 0);
	CU_ASSERT_EQUAL(far_run_in(suspect_at_start, dir), 0);
	receive_limits.suspect_ms = COMMIT_SUSPECT_MS;
	(void)fsx_remove_tree(dir);
}

static void
test_dead(void)
{
	struct channel_name	 n = { "shop", 10049, 0 };
	char			 dir[] = "/tmp/receive-test-XXXXXX", *path;
	struct owed		*o;
	struct err_msg		 m;
	int			 letters = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	receive_limits.fold.max_doc = 2000;
	CU_ASSERT_EQUAL(far_run_in(keeps_dead_letters, dir), 0);
	path = receive_record_path(dir, &n, ".owed");
	CU_ASSERT_EQUAL_FATAL(owed_open(path, "shop/10049/0", &o, NULL, &m),
	    0);
	CU_ASSERT_EQUAL(owed_dead_count(o), 1);
	CU_ASSERT_EQUAL(owed_count(o), 0);
	(void)owed_dead_each(o, is_z, &letters);
	CU_ASSERT_EQUAL(letters, 1);
	owed_close(&o);
	free(path);
	CU_ASSERT_EQUAL(far_run_in(emptied_dead_letters, dir), 0);
	(void)fsx_remove_tree(dir);
}

static void
test_leaving(void)
{
	far_idle_ms = 200;
	CU_ASSERT_EQUAL(far_run(leaves), 0);
	CU_ASSERT_EQUAL(far_run(stays), 0);
	CU_ASSERT_EQUAL(far_run(crosses), 0);
	far_idle_ms = 0;
}

UNIT_MAIN("receive limits",
    { "a copy that takes too long is cut, the rest compared", test_copy },
    { "after an unknown outcome the shard is compared", test_unknown },
    { "so it is after a process was killed with a request under way",
      test_killed },
    { "what the target refuses is kept, and holds nothing up", test_dead },
    { "who has nothing to do leaves, and nothing is lost", test_leaving })
