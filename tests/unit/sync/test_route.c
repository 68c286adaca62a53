/* test_route.c - tests of routing, detaching and checkpoints */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/random.h"
#include "ipc/codec.h"
#include "sync/route.h"
#include "unit.h"

static struct scan_span
span(const char *text)
{
	struct scan_span	 s = { text, text != NULL ? strlen(text) : 0 };

	return s;
}

static enum route_verdict
take(struct route *r, uint64_t tick, uint32_t type, const char *db,
    const char *cuid, struct route_channel **ch)
{
	struct scan_span	 d = span(db), c = span(cuid);

	return route_take(r, tick, type, &d, &c, 10, ch);
}

static void
done(struct route *r, uint64_t from)
{
	struct route_point	 p = { .from = from };

	route_done(r, &p, NULL, NULL);
}

static void
seek(struct route *r, uint64_t from)
{
	struct route_point	 p = { .from = from };

	route_seek(r, &p);
}

static uint64_t
checkpoint(struct route *r)
{
	struct route_checkpoint	 cp;
	uint64_t		 from;

	route_checkpoint(r, &cp);
	from = cp.point.from;
	route_checkpoint_free(&cp);
	return from;
}

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

/* ---- a tail that is slow, breaks, detaches and crashes ------------------ */

#define NCHANNELS	6
#define NRECORDS	1500

struct record {
	uint64_t	 tick;
	int		 channel;	/* -1: nobody's */
	int		 index;		/* of the channel's records */
};

struct batch {
	int		 first, n;	/* records */
};

struct consumer {
	int		 total;
	int		 highest;	/* index delivered without a gap */
	int		 durable;	/* index that is on disk */
	uint64_t	 tick_highest;
	int		 spill[NRECORDS];	/* record numbers */
	int		 nspill;
};

struct reader {
	bool		 reading;
	uint64_t	 asked;
	int		 batch, end_batch, at;	/* batches, record in it */
};

struct world {
	struct record		 records[NRECORDS];
	struct batch		 batches[NRECORDS];
	int			 nbatches;
	struct consumer		 cons[NCHANNELS];
	struct route		*r;
	struct route_channel	*ch[NCHANNELS];
	struct reader		 live, refill;
	bool			 failed;
	uint64_t		 now;
	unsigned int		 crashes, detached, joins;
};

static char names[NCHANNELS][8];

static void
world_make(struct world *w)
{
	uint64_t	 tick = 100;
	int		 i, k = 0;

	memset(w, 0, sizeof(*w));
	while (k < NRECORDS) {
		struct batch	*b = &w->batches[w->nbatches++];

		b->first = k;
		b->n = 1 + (int)rand_below(5);
		b->n = MIN(b->n, NRECORDS - k);
		for (i = 0; i < b->n; i++, k++) {
			tick += 1 + rand_below(3);
			w->records[k].tick = tick;
			w->records[k].channel = (int)rand_below(NCHANNELS + 2)
			    - 2;
			if (w->records[k].channel < 0)
				w->records[k].channel = -1;
			else
				w->records[k].index = w->cons[
				    w->records[k].channel].total++;
		}
		tick += rand_below(20);
	}
	for (i = 0; i < NCHANNELS; i++) {
		snprintf(names[i], sizeof(names[i]), "ch%d", i);
		w->cons[i].highest = w->cons[i].durable = -1;
	}
}

static void
deliver(struct world *w, int record)
{
	struct record	*rec = &w->records[record];
	struct consumer	*c = &w->cons[rec->channel];

	if (rec->index > c->highest + 1 && !w->failed) {
		w->failed = true;
		printf("# channel %d: record %d after %d is lost\n",
		    rec->channel, rec->index, c->highest);
	}
	if (rec->index > c->highest) {
		c->highest = rec->index;
		c->tick_highest = rec->tick;
	}
}

static void
pass_record(struct world *w, int record)
{
	int		 i = w->records[record].channel;
	struct consumer	*c = &w->cons[i];
	enum route_why	 why;

	if (c->nspill == 0 && rand_below(4) != 0) {
		deliver(w, record);
		return;
	}
	c->spill[c->nspill++] = record;
	why = route_spill_add(w->r, w->ch[i], 10, w->now);
	if (why != ROUTE_WHY_NONE) {
		w->detached += w->ch[i]->state == ROUTE_LIVE;
		route_detach(w->r, w->ch[i], why);
	}
}

static void
on_join(void *arg, struct route_channel *ch)
{
	struct world	*w = arg;

	w->joins += ch != NULL;
}

/* As R1 says: batches that begin below `from` are not parsed at all. */
static void
reader_ask(struct world *w, struct reader *rd, uint64_t from)
{
	rd->reading = true;
	rd->asked = from;
	for (rd->batch = 0; rd->batch < w->nbatches; rd->batch++)
		if (w->records[w->batches[rd->batch].first].tick >= from)
			break;
	rd->end_batch = rd->batch + 1 + (int)rand_below(8);
	rd->end_batch = MIN(rd->end_batch, w->nbatches);
	rd->at = 0;
}

/* One line, or the end of the response: then its `from`. */
static bool
reader_line(struct world *w, struct reader *rd, int *record, uint64_t *from)
{
	struct batch	*b;
	int		 k;

	if (rd->batch >= rd->end_batch) {
		rd->reading = false;
		*from = rd->asked;
		if (rd->end_batch > 0) {
			b = &w->batches[rd->end_batch - 1];
			*from = MAX(*from,
			    w->records[b->first + b->n - 1].tick);
		}
		return false;
	}
	b = &w->batches[rd->batch];
	k = b->first + rd->at++;
	if (rd->at >= b->n) {
		rd->batch++;
		rd->at = 0;
	}
	*record = w->records[k].tick > rd->asked ? k : -1;
	return true;
}

static void
live_step(struct world *w)
{
	struct route_channel	*ch;
	struct route_point	 p = { 0 };
	struct record		*rec;
	uint64_t		 from;
	int			 k;

	if (!w->live.reading) {
		if (route_should_meet(w->r) && rand_below(3) != 0)
			return;
		route_request(w->r);
		reader_ask(w, &w->live, w->live.asked);
		return;
	}
	if (rand_below(200) == 0) {
		w->live.reading = false;
		route_broken(w->r);
		return;
	}
	if (!reader_line(w, &w->live, &k, &from)) {
		p.from = from;
		w->live.asked = from;
		route_done(w->r, &p, on_join, w);
		return;
	}
	if (k < 0)
		return;
	rec = &w->records[k];
	if (take(w->r, rec->tick, 2300, "d",
	    rec->channel < 0 ? "nobody" : names[rec->channel], &ch) ==
	    ROUTE_PASS)
		pass_record(w, k);
}

static void
refill_step(struct world *w)
{
	struct route_channel	*ch;
	struct scan_span	 d = span("d"), c;
	struct record		*rec;
	uint64_t		 from;
	int			 k;

	if (!w->refill.reading) {
		if (!route_refill_from(w->r, &from))
			return;
		route_refill_request(w->r, from);
		reader_ask(w, &w->refill, from);
		return;
	}
	if (rand_below(200) == 0) {
		w->refill.reading = false;
		route_refill_broken(w->r);
		return;
	}
	if (!reader_line(w, &w->refill, &k, &from)) {
		route_refill_done(w->r, from, on_join, w);
		return;
	}
	if (k < 0)
		return;
	rec = &w->records[k];
	c = span(rec->channel < 0 ? "nobody" : names[rec->channel]);
	if (route_take_refill(w->r, rec->tick, 2300, &d, &c, 10, &ch) ==
	    ROUTE_PASS)
		pass_record(w, k);
}

static void
consumer_step(struct world *w, int i)
{
	struct consumer	*c = &w->cons[i];
	int		 n, k;

	if (c->nspill != 0 && rand_below(3) == 0) {
		n = (int)(1 + rand_below((uint64_t)c->nspill));
		for (k = 0; k < n; k++)
			deliver(w, c->spill[k]);
		memmove(c->spill, c->spill + n,
		    (size_t)(c->nspill - n) * sizeof(int));
		c->nspill -= n;
		route_spill_sub(w->r, w->ch[i], (size_t)n * 10, w->now);
	}
	if (rand_below(3) == 0 && c->highest >= 0 &&
	    c->durable != c->highest) {
		/* one pipe in order: all up to it is on disk */
		c->durable = c->highest;
		route_ack(w->r, w->ch[i], c->tick_highest);
	}
}

static void
world_start(struct world *w, struct route_checkpoint *cp)
{
	static const struct route_opts	 o = { 60, 20, 1000 };
	uint64_t			 tick;
	size_t				 k;
	int				 i;

	w->r = route_new(&o);
	route_seek(w->r, &cp->point);
	w->live.reading = w->refill.reading = false;
	w->live.asked = cp->point.from;
	for (i = 0; i < NCHANNELS; i++) {
		tick = cp->point.from;
		for (k = 0; k < cp->nexceptions; k++)
			if (cp->exceptions[k].id == (uint32_t)i)
				tick = cp->exceptions[k].from;
		w->ch[i] = route_add(w->r, (uint32_t)i, "d", names[i], tick);
		w->cons[i].highest = w->cons[i].durable;
		w->cons[i].nspill = 0;
	}
	route_checkpoint_free(cp);
}

static bool
world_is_done(struct world *w)
{
	int	 i;

	for (i = 0; i < NCHANNELS; i++)
		if (w->cons[i].durable != w->cons[i].total - 1)
			return false;
	return true;
}

static void
test_nothing_is_lost(void)
{
	struct world		*w = xmalloc(sizeof(*w));
	struct route_checkpoint	 cp;
	struct buf		 b = BUF_INIT;
	struct rbuf		 m;
	unsigned int		 run, step, detached = 0, joins = 0;
	uint64_t		 hold;

	for (run = 0; run < 60 && !CU_get_number_of_failures(); run++) {
		rand_seed(run + 1);
		world_make(w);
		memset(&cp, 0, sizeof(cp));
		cp.point.from = 100;
		world_start(w, &cp);
		for (step = 0; step < 200000 && !world_is_done(w) &&
		    !w->failed; step++) {
			w->now++;
			live_step(w);
			if (rand_below(2) == 0)
				refill_step(w);
			consumer_step(w, (int)rand_below(NCHANNELS));
			if (rand_below(700) != 0)
				continue;
			/* all processes are killed; the checkpoint stays */
			hold = route_hold(w->r);
			route_checkpoint(w->r, &cp);
			buf_reset(&b);
			route_checkpoint_put(&b, &cp);
			CU_ASSERT_TRUE(hold <= cp.point.from);
			route_checkpoint_free(&cp);
			route_free(&w->r);
			m.p = b.data;
			m.left = b.len;
			CU_ASSERT_EQUAL(route_checkpoint_get(&m, &cp), 0);
			world_start(w, &cp);
			w->crashes++;
		}
		if (w->failed || !world_is_done(w)) {
			printf("# run %u, %u steps, %u crashes\n", run, step,
			    w->crashes);
			CU_FAIL("not everything arrived");
		}
		detached += w->detached;
		joins += w->joins;
		route_free(&w->r);
	}
	CU_ASSERT_TRUE(detached > 100);
	CU_ASSERT_TRUE(joins > 100);
	buf_free(&b);
	free(w);
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
    { "joining in the midst of a refill loses nothing",
	test_join_in_refill },
    { "nothing is lost by breaks, detaching and crashes",
	test_nothing_is_lost })
