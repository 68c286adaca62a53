/* test_limits.c - what takes long to happen: a dump, a comparison, a log that
 * does not come, a shard without anything to do */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "send/send_priv.h"
#include "sync/compare.h"
#include "near_end.h"
#include "unit.h"

static void
verify(struct near_end *f, bool compare)
{
	struct buf	 b = BUF_INIT;

	put_bool(&b, compare);
	put_str(&b, "a test");
	near_up(f, MSG_CH_VERIFY, &b);
}

static void
at_cut(struct near_end *f, uint64_t documents)
{
	struct buf	 b = BUF_INIT;

	put_u64(&b, documents);
	near_up(f, MSG_CH_AT_CUT, &b);
}

static void
until_cut(struct near_end *f)
{
	near_subscribe(f, NULL, "");
	near_ask(f, false, 1, 90, 0);
	near_skip(f, MSG_CH_REPAIR);
	near_ask(f, false, 1, 90, 0);
	f->snapshot_tick = f->wal_tick = 105;
	near_join(f, ROUTE_FROM_NOW, 100);
	near_skip(f, MSG_CH_CUT);
}

static void
ask_pairs(struct near_end *f, uint32_t request)
{
	struct cmp_sum	 a, none;
	struct cmp_set	 d;
	struct buf	 b = BUF_INIT;

	near_check(cmp_sum_init(&a, CMP_BUCKETS_MIN) == 0 &&
	    cmp_sum_init(&none, CMP_BUCKETS_MIN) == 0);
	cmp_sum_add(&a, "a", 1, 1);
	near_check(cmp_diff(&a, &none, &d) == 0);
	put_u32(&b, request);
	put_u64(&b, 0);
	put_u64(&b, UINT64_MAX);
	cmp_set_encode(&b, &d);
	near_up(f, MSG_CH_DIFF, &b);
	cmp_set_free(&d);
	cmp_sum_free(&a);
	cmp_sum_free(&none);
}

/* ---- times (R9) --------------------------------------------------------- */

/* A target that takes nothing: the snapshot is not kept for it. */
static void
dumps_too_long(struct near_end *f)
{
	const size_t	 n = (size_t)3 << 20;
	char		*big = xmalloc(n + 1);

	memset(big, 'x', n);
	big[n] = '\0';
	memcpy(big, "{\"_key\":\"big\",\"t\":\"", 19);
	memcpy(big + n - 2, "\"}", 2);
	map_put(&f->docs, "big", big);
	until_cut(f);
	at_cut(f, 0);
	/* what the first credit allows */
	while (f->first == NULL || f->first->type != MSG_CH_CLOSED) {
		if (f->first != NULL)
			near_skip(f, MSG_CH_SNAP);
		fiber_sleep_ms(10);
	}
	near_closed(f, "step copy took too long");
	near_check(f->dumps == 1);
	/* with what has come the next one compares */
	until_cut(f);
	at_cut(f, 1);
	near_skip(f, MSG_CH_SUMS);
	near_check(f->dumps == 2 && f->snapshots == 2);
}

/* Each round of a comparison has that time. */
static void
compares_in_rounds(struct near_end *f)
{
	uint32_t	 i;

	near_doc(f, "a", "_1");
	until_cut(f);
	at_cut(f, 1);
	near_skip(f, MSG_CH_SUMS);
	for (i = 1; i <= 3; i++) {
		fiber_sleep_ms(1100);
		ask_pairs(f, i);
		near_skip(f, MSG_CH_PAIRS);
	}
	near_closed(f, "step remove-surplus took too long");
}

static void
log_does_not_come(struct near_end *f)
{
	near_start_empty(f, 100, 100);
	f->snapshot_tick = 130;
	f->server_tail = 120;
	verify(f, false);
	near_closed(f, "was not read through the snapshot");
	/* nor does the target */
	f->server_tail = 0;
	near_start_empty(f, 130, 130);
	f->snapshot_tick = f->server_tail = 130;
	verify(f, true);
	near_skip(f, MSG_CH_CUT);
	at_cut(f, 0);
	near_skip(f, MSG_CH_SUMS);
	near_closed(f, "did not finish its comparison in time");
}

/* ---- leaving (R24) ------------------------------------------------------ */

static void
commit(struct near_end *f, const struct sync_pos *pos)
{
	struct buf	 b = BUF_INIT;

	pos_put(&b, pos);
	near_up(f, MSG_CH_COMMIT, &b);
}

static void
may_leave(struct near_end *f, bool may)
{
	struct buf	 b = BUF_INIT;

	put_bool(&b, may);
	near_check(peer_send_buf(f->control, MSG_WORKER_LEAVE_ANS, 0,
	    &b) == 0);
	buf_free(&b);
}

static uint64_t
number_of(struct near_end *f, uint16_t type)
{
	struct near_message	*n = near_expect(f, type);
	struct rbuf		 m = { n->data, n->len };
	uint64_t		 v = 0;

	near_check(get_u64(&m, &v) == 0 && get_end(&m) == 0);
	free(n);
	return v;
}

static bool
has_left(struct near_end *f)
{
	struct near_message	*n = near_expect(f, MSG_WORKER_LEFT);
	bool			 left = n->data[0];

	free(n);
	return left;
}

/* Everything through the tick was sent, and is applied. */
static void
follows(struct near_end *f, const char *op, uint64_t tick)
{
	struct sync_pos	 pos;

	near_ops(f, op, tick);
	(void)near_records(f, tick, &pos);
	near_until(f->noted == tick && f->durable == tick);
	commit(f, &pos);
}

static void
leaves(struct near_end *f)
{
	near_start_empty(f, 100, 100);
	follows(f, "i 110 a 1", 111);
	near_check(number_of(f, MSG_WORKER_LEAVE_REQ) == 111);
	may_leave(f, false);
	near_check(number_of(f, MSG_WORKER_LEAVE_REQ) == 111);
	may_leave(f, true);
	near_check(has_left(f));
	near_check(number_of(f, MSG_SEND_SLEEP) == f->ups);
	/* what comes now is another one's */
	near_subscribe(f, NULL, "");
	near_ops(f, "i 120 b 1", 121);
	near_quiet(f, 300);
	near_check(f->noted == 111);
}

static void
stays(struct near_end *f)
{
	struct sync_pos	 pos;
	struct buf	 b = BUF_INIT;

	near_start_empty(f, 100, 100);
	follows(f, "i 110 a 1", 111);
	near_skip(f, MSG_WORKER_LEAVE_REQ);
	/* a record that is not applied yet */
	near_ops(f, "i 120 b 1", 121);
	(void)near_records(f, 121, &pos);
	may_leave(f, true);
	near_check(!has_left(f));
	near_quiet(f, 500);
	commit(f, &pos);
	near_skip(f, MSG_WORKER_LEAVE_REQ);
	/* somebody subscribes */
	near_pos(&pos, 121);
	near_subscribe(f, &pos, "");
	near_skip(f, MSG_CH_RESUME);
	may_leave(f, true);
	near_check(!has_left(f));
	/* nobody listens any more: an empty queue leaves nevertheless */
	put_str(&b, "the target stops");
	near_up(f, MSG_CH_CLOSE, &b);
	near_check(number_of(f, MSG_WORKER_LEAVE_REQ) == 121);
	/* a part of a response has come */
	near_ops(f, "i 130 c 1", 0);
	fiber_sleep_ms(50);
	may_leave(f, true);
	near_check(!has_left(f));
	near_end_at(f, 131);
	near_until(f->noted == 131 && f->durable == 131);
	/* and now something is queued */
	near_quiet(f, 500);
}

/* A subscription and the permission at the same moment. */
static void
crosses(struct near_end *f)
{
	struct sync_pos	 pos;

	near_start_empty(f, 100, 100);
	follows(f, "i 110 a 1", 111);
	near_skip(f, MSG_WORKER_LEAVE_REQ);
	near_pos(&pos, 111);
	may_leave(f, true);
	near_subscribe(f, &pos, "");
	if (has_left(f))
		near_check(number_of(f, MSG_SEND_SLEEP) == f->ups - 1);
	else
		near_skip(f, MSG_CH_RESUME);
}

/* ---- tests -------------------------------------------------------------- */

static void
test_dump(void)
{
	send_limits.long_ms = 1000;
	CU_ASSERT_EQUAL(near_run(dumps_too_long, NULL), 0);
	send_limits.long_ms = 0;
}

static void
test_rounds(void)
{
	send_limits.long_ms = 3000;	/* less than all of them take */
	CU_ASSERT_EQUAL(near_run(compares_in_rounds, NULL), 0);
	send_limits.long_ms = 0;
}

static void
test_log(void)
{
	send_limits.verify_ms = 700;
	CU_ASSERT_EQUAL(near_run(log_does_not_come, NULL), 0);
	send_limits.verify_ms = SHARD_LONG_MS;
}

static void
test_leaving(void)
{
	near_idle_ms = 200;
	CU_ASSERT_EQUAL(near_run(leaves, NULL), 0);
	CU_ASSERT_EQUAL(near_run(stays, NULL), 0);
	CU_ASSERT_EQUAL(near_run(crosses, NULL), 0);
	near_idle_ms = 0;
}

UNIT_MAIN("send limits",
    { "a dump that takes too long is cut", test_dump },
    { "a comparison may take that long for each of its rounds", test_rounds },
    { "a cut for which the log does not come is given up", test_log },
    { "who has nothing to do leaves, and nothing is lost", test_leaving })
