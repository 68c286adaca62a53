/* test_route_run.c - a tail that is slow, breaks, detaches and crashes */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/random.h"
#include "ipc/codec.h"
#include "sync/route.h"
#include "route_util.h"
#include "unit.h"

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

UNIT_MAIN("route run",
    { "nothing is lost by breaks, detaching and crashes",
	test_nothing_is_lost })
