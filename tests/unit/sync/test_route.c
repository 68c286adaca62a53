/* test_route.c - tests of routing, detaching and checkpoints */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/random.h"
#include "ipc/codec.h"
#include "sync/route.h"
#include "route_util.h"
#include "unit.h"

static void
test_find(void)
{
	struct route		*r = route_new(NULL);
	struct route_channel	*a, *b, *ch;

	seek(r, 100);
	a = route_add(r, 1, "d", "c1/s2", 100);
	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	CU_ASSERT_PTR_NULL(route_add(r, 2, "d", "c1/s2", 100));
	b = route_add(r, 2, "e\"x", "c1/s3", 100);
	route_request(r);
	CU_ASSERT_EQUAL(take(r, 101, 2300, "\"d\"", "\"c1/s2\"", &ch),
	    ROUTE_PASS);
	CU_ASSERT_PTR_EQUAL(ch, a);
	CU_ASSERT_EQUAL(take(r, 102, 2302, "d", "c1/s2", &ch), ROUTE_PASS);
	/* escapes in names */
	CU_ASSERT_EQUAL(take(r, 103, 2300, "\"e\\\"x\"", "\"c1\\/s3\"", &ch),
	    ROUTE_PASS);
	CU_ASSERT_PTR_EQUAL(ch, b);
	CU_ASSERT_EQUAL(take(r, 103, 2300, "\"e\"", "\"c1/s3\"", &ch),
	    ROUTE_NOBODY);
	CU_ASSERT_EQUAL(take(r, 103, 2300, "d", "c1/s22", &ch), ROUTE_NOBODY);
	CU_ASSERT_EQUAL(take(r, 103, 2200, "d", NULL, &ch), ROUTE_NOBODY);
	CU_ASSERT_EQUAL(take(r, 104, 2004, "d", "c1/s2", &ch), ROUTE_PASS);
	CU_ASSERT_EQUAL(take(r, 105, 2100, "d", "c1/s2", &ch),
	    ROUTE_IRRELEVANT);
	route_detach(r, b, ROUTE_WHY_QUOTA);
	CU_ASSERT_EQUAL(take(r, 105, 2101, "e\"x", "c1/s3", &ch),
	    ROUTE_IRRELEVANT);
	CU_ASSERT_EQUAL(take(r, 105, 2300, "e\"x", "c1/s3", &ch),
	    ROUTE_DETOUR);
	CU_ASSERT_EQUAL(take(r, 99, 2300, "d", "c1/s2", &ch), ROUTE_SEEN);
	CU_ASSERT_EQUAL(take(r, 106, 2001, "d", "c1/s2", &ch), ROUTE_END);
	CU_ASSERT_EQUAL(a->state, ROUTE_ENDED);
	CU_ASSERT_EQUAL(take(r, 107, 2300, "d", "c1/s2", &ch),
	    ROUTE_IRRELEVANT);
	route_remove(r, &a);
	CU_ASSERT_EQUAL(take(r, 108, 2300, "d", "c1/s2", &ch), ROUTE_NOBODY);
	CU_ASSERT_PTR_EQUAL(route_find(r, "e\"x", "c1/s3"), b);
	CU_ASSERT_PTR_EQUAL(route_at(r, 0), b);
	CU_ASSERT_PTR_NULL(route_at(r, 1));
	route_free(&r);
}

/* Many channels come and go. */
static void
test_table(void)
{
	struct route		*r = route_new(NULL);
	struct route_channel	*ch;
	char			 name[32];
	unsigned int		 i, turn;

	for (turn = 0; turn < 3; turn++) {
		for (i = 0; i < 2000; i++) {
			snprintf(name, sizeof(name), "c%u/s%u", i / 8, i);
			CU_ASSERT_PTR_NOT_NULL(route_add(r, i, "d", name, 0));
		}
		for (i = 0; i < 2000; i += 1 + turn) {
			snprintf(name, sizeof(name), "c%u/s%u", i / 8, i);
			ch = route_find(r, "d", name);
			CU_ASSERT_PTR_NOT_NULL_FATAL(ch);
			CU_ASSERT_EQUAL(ch->id, i);
			route_remove(r, &ch);
			CU_ASSERT_PTR_NULL(route_find(r, "d", name));
		}
		for (i = 0; i < 2000; i++) {
			snprintf(name, sizeof(name), "c%u/s%u", i / 8, i);
			ch = route_find(r, "d", name);
			CU_ASSERT_EQUAL(ch == NULL, i % (1 + turn) == 0);
			route_remove(r, &ch);
		}
		CU_ASSERT_PTR_NULL(route_at(r, 0));
	}
	route_free(&r);
}

/* What came of a broken response comes again; of a completed one not. */
static void
test_dedup(void)
{
	struct route		*r = route_new(NULL);
	struct route_channel	*ch;

	seek(r, 10);
	route_add(r, 1, "d", "c1/s2", 10);
	route_request(r);
	CU_ASSERT_EQUAL(take(r, 11, 2300, "d", "c1/s2", &ch), ROUTE_PASS);
	CU_ASSERT_EQUAL(take(r, 12, 2300, "d", "c1/s2", &ch), ROUTE_PASS);
	route_broken(r);
	route_request(r);
	CU_ASSERT_EQUAL(take(r, 11, 2300, "d", "c1/s2", &ch), ROUTE_PASS);
	/* several records of one tick within a response */
	CU_ASSERT_EQUAL(take(r, 12, 2300, "d", "c1/s2", &ch), ROUTE_PASS);
	CU_ASSERT_EQUAL(take(r, 12, 2302, "d", "c1/s2", &ch), ROUTE_PASS);
	done(r, 12);
	route_request(r);
	CU_ASSERT_EQUAL(take(r, 12, 2302, "d", "c1/s2", &ch), ROUTE_SEEN);
	CU_ASSERT_EQUAL(take(r, 13, 2302, "d", "c1/s2", &ch), ROUTE_PASS);
	route_free(&r);
}

static void
test_checkpoint(void)
{
	struct route		*r = route_new(NULL);
	struct route_channel	*a, *b, *ch;
	struct route_checkpoint	 cp, back;
	struct buf		 buf = BUF_INIT;
	struct rbuf		 m;
	size_t			 n;

	seek(r, 100);
	a = route_add(r, 1, "d", "a", 100);
	b = route_add(r, 2, "d", "b", 100);
	CU_ASSERT_EQUAL(checkpoint(r), 100);
	/* nobody's records: it moves on */
	route_request(r);
	done(r, 150);
	CU_ASSERT_EQUAL(checkpoint(r), 150);
	CU_ASSERT_EQUAL(route_hold(r), 150);

	route_request(r);
	take(r, 160, 2300, "d", "a", &ch);
	take(r, 170, 2300, "d", "b", &ch);
	done(r, 200);
	route_request(r);
	take(r, 210, 2300, "d", "a", &ch);
	done(r, 300);
	CU_ASSERT_EQUAL(checkpoint(r), 150);
	route_ack(r, b, 170);
	CU_ASSERT_EQUAL(checkpoint(r), 150);
	route_ack(r, a, 159);
	CU_ASSERT_EQUAL(checkpoint(r), 150);
	/* everything of the response up to 200 */
	route_ack(r, a, 200);
	CU_ASSERT_EQUAL(checkpoint(r), 200);
	route_ack(r, a, 210);
	CU_ASSERT_EQUAL(checkpoint(r), 300);
	/* acknowledged before the response is complete */
	route_request(r);
	take(r, 310, 2300, "d", "a", &ch);
	route_ack(r, a, 310);
	CU_ASSERT_EQUAL(checkpoint(r), 300);
	take(r, 320, 2300, "d", "a", &ch);
	done(r, 400);
	CU_ASSERT_EQUAL(checkpoint(r), 300);
	route_ack(r, a, 320);
	CU_ASSERT_EQUAL(checkpoint(r), 400);

	/* a detached one is an exception, and holds */
	route_request(r);
	take(r, 410, 2300, "d", "a", &ch);
	done(r, 500);
	route_request(r);
	CU_ASSERT_EQUAL(route_detach(r, a, ROUTE_WHY_SPILL_FULL), 500);
	done(r, 600);
	CU_ASSERT_EQUAL(checkpoint(r), 600);
	CU_ASSERT_EQUAL(route_hold(r), 400);
	route_checkpoint(r, &cp);
	CU_ASSERT_EQUAL(cp.nexceptions, 1);
	CU_ASSERT_EQUAL(cp.exceptions[0].id, 1);
	CU_ASSERT_EQUAL(cp.exceptions[0].from, 400);
	strcpy(cp.server, "PRMR-1");
	cp.reboot_id = 3;
	route_checkpoint_put(&buf, &cp);
	m.p = buf.data;
	m.left = buf.len;
	CU_ASSERT_EQUAL(route_checkpoint_get(&m, &back), 0);
	CU_ASSERT_EQUAL(get_end(&m), 0);
	CU_ASSERT_EQUAL(back.point.from, 600);
	CU_ASSERT_EQUAL(back.exceptions[0].from, 400);
	CU_ASSERT_STRING_EQUAL(back.server, "PRMR-1");
	route_checkpoint_free(&back);
	for (n = 0; n < buf.len; n++) {
		m.p = buf.data;
		m.left = n;
		CU_ASSERT_TRUE(route_checkpoint_get(&m, &back) < 0);
	}
	route_checkpoint_free(&cp);
	/* what it had before is durable now */
	route_ack(r, a, 410);
	CU_ASSERT_EQUAL(route_hold(r), 500);
	buf_free(&buf);
	route_free(&r);
}

static struct scan_span	 span_d = { "d", 1 }, span_a = { "a", 1 };

static void
test_detach(void)
{
	struct route_opts	 o = { 1000, 1000, 1500 };
	struct route		*r = route_new(&o);
	struct route_channel	*a, *b, *ch;
	uint64_t		 from;

	seek(r, 100);
	a = route_add(r, 1, "d", "a", 100);
	b = route_add(r, 2, "d", "b", 100);
	CU_ASSERT_EQUAL(route_spill_add(r, a, 900, 5000), ROUTE_WHY_NONE);
	CU_ASSERT_EQUAL(route_spill_add(r, b, 500, 5500), ROUTE_WHY_NONE);
	CU_ASSERT_FALSE(route_is_full(r));
	CU_ASSERT_EQUAL(route_spill_add(r, a, 101, 5500),
	    ROUTE_WHY_SPILL_FULL);
	CU_ASSERT_TRUE(route_is_full(r));
	CU_ASSERT_PTR_NULL(route_spill_due(r, 5999));
	CU_ASSERT_PTR_EQUAL(route_spill_due(r, 6000), a);
	/* its pipe takes something: it has not waited */
	route_spill_sub(r, a, 1, 6000);
	CU_ASSERT_PTR_EQUAL(route_spill_due(r, 6500), b);
	CU_ASSERT_EQUAL(route_spill_add(r, b, 1, 6500), ROUTE_WHY_SPILL_OLD);
	route_request(r);
	CU_ASSERT_EQUAL(take(r, 101, 2300, "d", "b", &ch), ROUTE_PASS);
	CU_ASSERT_EQUAL(route_detach(r, b, ROUTE_WHY_SPILL_OLD), 100);
	CU_ASSERT_PTR_NULL(route_spill_due(r, 6999));
	CU_ASSERT_EQUAL(take(r, 102, 2300, "d", "b", &ch), ROUTE_DETOUR);
	done(r, 200);
	/* while its spill waits nothing is read for it */
	CU_ASSERT_FALSE(route_refill_from(r, &from));
	route_spill_sub(r, b, 1000, 7000);
	CU_ASSERT_EQUAL(b->spill, 0);
	CU_ASSERT_TRUE(route_refill_from(r, &from));
	CU_ASSERT_EQUAL(from, 100);
	CU_ASSERT_EQUAL(b->state, ROUTE_DETACHED);
	route_remove(r, &b);
	CU_ASSERT_FALSE(route_refill_from(r, &from));
	/* by its quota: only when there is room again */
	route_detach(r, a, ROUTE_WHY_QUOTA);
	route_spill_sub(r, a, 1000, 7000);
	CU_ASSERT_FALSE(route_refill_from(r, &from));
	route_unblock(r, a);
	CU_ASSERT_TRUE(route_refill_from(r, &from));
	route_free(&r);
}

/* The catch-up brings what passed meanwhile; both meet at a boundary. */
static void
test_refill(void)
{
	struct route		*r = route_new(NULL);
	struct route_channel	*a, *ch;

	seek(r, 100);
	a = route_add(r, 1, "d", "a", 100);
	route_request(r);
	CU_ASSERT_EQUAL(take(r, 110, 2300, "d", "a", &ch), ROUTE_PASS);
	done(r, 200);
	/* the catch-up asks, then the channel is detached: not for it yet */
	route_refill_request(r, 200);
	route_request(r);
	CU_ASSERT_EQUAL(take(r, 210, 2300, "d", "a", &ch), ROUTE_PASS);
	route_detach(r, a, ROUTE_WHY_SPILL_FULL);
	CU_ASSERT_EQUAL(take(r, 220, 2300, "d", "a", &ch), ROUTE_DETOUR);
	CU_ASSERT_EQUAL(route_take_refill(r, 220, 2300, &span_d, &span_a, 9,
	    &ch), ROUTE_DETOUR);
	route_refill_done(r, 300, NULL, NULL);
	CU_ASSERT_EQUAL(a->from, 200);

	route_refill_request(r, 200);
	CU_ASSERT_EQUAL(route_take_refill(r, 110, 2300, &span_d, &span_a, 9,
	    &ch), ROUTE_SEEN);
	CU_ASSERT_EQUAL(route_take_refill(r, 210, 2300, &span_d, &span_a, 9,
	    &ch), ROUTE_PASS);
	CU_ASSERT_EQUAL(route_take_refill(r, 220, 2300, &span_d, &span_a, 9,
	    &ch), ROUTE_PASS);
	route_refill_done(r, 300, NULL, NULL);
	/* the live one is in the middle of a response */
	CU_ASSERT_EQUAL(a->state, ROUTE_DETACHED);
	CU_ASSERT_EQUAL(take(r, 290, 2300, "d", "a", &ch), ROUTE_DETOUR);
	done(r, 290);
	CU_ASSERT_EQUAL(a->state, ROUTE_LIVE);
	route_request(r);
	CU_ASSERT_EQUAL(take(r, 295, 2300, "d", "a", &ch), ROUTE_SEEN);
	CU_ASSERT_EQUAL(take(r, 310, 2300, "d", "a", &ch), ROUTE_PASS);
	done(r, 400);
	/* what the catch-up brought is not durable yet */
	CU_ASSERT_EQUAL(route_hold(r), 100);
	route_ack(r, a, 110);
	CU_ASSERT_EQUAL(route_hold(r), 100);
	route_ack(r, a, 220);
	CU_ASSERT_EQUAL(route_hold(r), 290);
	route_ack(r, a, 310);
	CU_ASSERT_EQUAL(route_hold(r), 400);

	/* a new one that wants what comes from now on */
	route_request(r);
	ch = route_add(r, 7, "d", "n", ROUTE_FROM_NOW);
	CU_ASSERT_EQUAL(ch->state, ROUTE_DETACHED);
	CU_ASSERT_EQUAL(take(r, 401, 2300, "d", "n", &ch), ROUTE_DETOUR);
	done(r, 500);
	CU_ASSERT_EQUAL(ch->state, ROUTE_LIVE);
	CU_ASSERT_EQUAL(ch->last, 500);
	CU_ASSERT_EQUAL(route_hold(r), 500);
	route_free(&r);
}

/* After a power cut the log is proven up to 150; the tail had looked to 160. */
static void
test_rewind(void)
{
	struct route		*r = route_new(NULL);
	struct route_channel	*a, *b, *ahead, *ch;

	seek(r, 100);
	a = route_add(r, 1, "d", "c1/s1", 100);
	ahead = route_add(r, 3, "d", "c1/s3", 200);
	route_request(r);
	CU_ASSERT_EQUAL(take(r, 150, 2300, "d", "c1/s1", &ch), ROUTE_PASS);
	done(r, 150);
	done(r, 160);
	b = route_add(r, 2, "d", "c1/s2", 160);
	route_rewind(r, 170);
	CU_ASSERT_EQUAL(b->last, 160);
	route_rewind(r, 150);
	CU_ASSERT_EQUAL(b->last, 150);
	CU_ASSERT_EQUAL(b->acked, 150);
	CU_ASSERT_EQUAL(ahead->last, 200);
	route_request(r);
	CU_ASSERT_EQUAL(take(r, 150, 2300, "d", "c1/s1", &ch), ROUTE_SEEN);
	CU_ASSERT_EQUAL(take(r, 155, 2300, "d", "c1/s1", &ch), ROUTE_PASS);
	CU_ASSERT_EQUAL(take(r, 156, 2300, "d", "c1/s2", &ch), ROUTE_PASS);
	CU_ASSERT_EQUAL(take(r, 157, 2300, "d", "c1/s3", &ch), ROUTE_SEEN);
	done(r, 158);
	CU_ASSERT_EQUAL(checkpoint(r), 100);
	route_ack(r, a, 150);
	CU_ASSERT_EQUAL(checkpoint(r), 150);
	route_ack(r, a, 158);
	route_ack(r, b, 158);
	CU_ASSERT_EQUAL(checkpoint(r), 158);
	route_free(&r);
}

static void
test_holder(void)
{
	struct route		*r = route_new(NULL);
	struct route_channel	*a, *b, *ch;
	uint64_t		 tick;

	CU_ASSERT_PTR_NULL(route_holder(r, &tick));
	seek(r, 100);
	a = route_add(r, 1, "d", "c1/s1", 100);
	b = route_add(r, 2, "d", "c1/s2", 100);
	route_request(r);
	CU_ASSERT_EQUAL(take(r, 101, 2300, "d", "c1/s1", &ch), ROUTE_PASS);
	done(r, 110);
	route_request(r);
	CU_ASSERT_EQUAL(take(r, 111, 2300, "d", "c1/s2", &ch), ROUTE_PASS);
	done(r, 120);
	CU_ASSERT_PTR_EQUAL(route_holder(r, &tick), a);
	CU_ASSERT_EQUAL(tick, 100);
	route_ack(r, a, 110);
	CU_ASSERT_PTR_EQUAL(route_holder(r, &tick), b);
	CU_ASSERT_EQUAL(tick, 110);
	route_detach(r, b, ROUTE_WHY_QUOTA);
	CU_ASSERT_PTR_EQUAL(route_holder(r, &tick), b);
	CU_ASSERT_EQUAL(tick, route_hold(r));
	route_remove(r, &b);
	CU_ASSERT_PTR_NULL(route_holder(r, &tick));
	CU_ASSERT_EQUAL(tick, 120);
	route_free(&r);
}

/* The live tail ends its response while the catch-up is in the midst of one
 * for a channel that was far enough before. */
static void
test_join_in_refill(void)
{
	struct route		*r = route_new(NULL);
	struct route_channel	*a, *ch;
	struct scan_span	 d = span("d"), c = span("c1/s1");

	seek(r, 100);
	a = route_add(r, 1, "d", "c1/s1", 50);
	route_request(r);
	route_refill_request(r, 50);
	CU_ASSERT_EQUAL(route_take_refill(r, 60, 2300, &d, &c, 1, &ch),
	    ROUTE_PASS);
	route_refill_done(r, 120, NULL, NULL);
	CU_ASSERT_EQUAL(a->state, ROUTE_DETACHED);
	route_refill_request(r, 120);
	CU_ASSERT_EQUAL(route_take_refill(r, 130, 2300, &d, &c, 1, &ch),
	    ROUTE_PASS);
	done(r, 110);
	CU_ASSERT_EQUAL(a->state, ROUTE_LIVE);
	CU_ASSERT_EQUAL(route_take_refill(r, 130, 2302, &d, &c, 1, &ch),
	    ROUTE_DETOUR);
	route_refill_done(r, 140, NULL, NULL);
	route_request(r);
	CU_ASSERT_EQUAL(take(r, 120, 2300, "d", "c1/s1", &ch), ROUTE_SEEN);
	CU_ASSERT_EQUAL(take(r, 130, 2300, "d", "c1/s1", &ch), ROUTE_PASS);
	CU_ASSERT_EQUAL(take(r, 130, 2302, "d", "c1/s1", &ch), ROUTE_PASS);
	done(r, 140);
	route_free(&r);
}

UNIT_MAIN("route",
    { "lines find their channels", test_find },
    { "channels come and go", test_table },
    { "records are dropped by completed responses only", test_dedup },
    { "the checkpoint follows the acknowledgements", test_checkpoint },
    { "a slow channel is detached", test_detach },
    { "the catch-up reader meets the live one", test_refill },
    { "a server that was started again is read from what is proven",
	test_rewind },
    { "who holds the log is known", test_holder },
    { "joining in the midst of a refill loses nothing", test_join_in_refill })
