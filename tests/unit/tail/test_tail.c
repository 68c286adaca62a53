/* test_tail.c - a tail between a log and several sends */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fsx.h"
#include "base/log.h"
#include "base/random.h"
#include "unit.h"
#include "wal.h"

static struct wal	 w;
static struct arango	*cluster;
static struct tail	*t;
static struct tail_conf	 conf;
static char		 dir[64];

static void
tail_up(void)
{
	snprintf(conf.url, sizeof(conf.url), "%s", w.f.url);
	cluster = fake_cluster(w.f.url, NULL);
	t = tail_new(fake_loop, cluster, dir, &conf);
	tail_start(t);
}

static void
tail_down(void)
{
	unsigned	 i;

	tail_stop(t);
	fake_turn(30);
	for (i = 0; i < 2000 && (t->driving || t->asking); i++)
		fake_turn(5);
	CU_ASSERT_FALSE(t->driving || t->asking);
	tail_free(&t);
	fake_turn(10);
	arango_free(&cluster);
}

static void
begin(void)
{
	fake_begin();
	log_set_level(getenv("TEST_TRACE") != NULL ? LOG_LEVEL_DEBUG :
	    LOG_LEVEL_ERROR);
	snprintf(dir, sizeof(dir), "/tmp/test-tail-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	memset(&conf, 0, sizeof(conf));
	snprintf(conf.target, sizeof(conf.target), "there");
	snprintf(conf.source, sizeof(conf.source), "here");
	snprintf(conf.server, sizeof(conf.server), "PRMR-1");
	conf.reboot_id = 7;
	wal_start(&w);
	tail_up();
}

static void
end(void)
{
	tail_down();
	wal_stop(&w);
	fake_end();
	CU_ASSERT_EQUAL(fsx_remove_tree(dir), 0);
}

/* Wait for a condition, not for a time; pauses after trouble grow to 10 s. */
#define UNTIL(cond) do {						\
	unsigned i_;							\
	for (i_ = 0; i_ < 6000 && !(cond); i_++)			\
		fake_turn(5);						\
	CU_ASSERT_TRUE(cond);						\
} while (0)

/* ---- one thing at a time ------------------------------------------------ */

static void
test_stream(void)
{
	struct sink	 a, b;
	struct marks	 mk = { .w = &w };

	begin();
	wal_batch(&w, 0, 5);
	sink_init(&a, &w, 0);
	sink_init(&b, &w, 1);
	sink_connect(&a, t);
	sink_connect(&b, t);
	marks_connect(&mk, t);
	UNTIL(a.state == SINK_ON && b.state == SINK_ON);
	CU_ASSERT_EQUAL(a.joined, w.newest);
	wal_batch(&w, 0, 3);
	wal_batch(&w, WAL_CHANNELS, 2);
	wal_batch(&w, 1, 50);
	UNTIL(sink_is_done(&a) && sink_is_done(&b));
	CU_ASSERT_EQUAL(a.lines, 3);
	CU_ASSERT_EQUAL(b.lines, 50);
	CU_ASSERT_STRING_EQUAL(a.pos.server, "PRMR-1");
	CU_ASSERT_EQUAL(a.pos.reboot_id, 7);
	CU_ASSERT_EQUAL(a.pos.server_id, 77);
	CU_ASSERT_TRUE(a.pos.has_proof);
	UNTIL(mk.tick >= w.newest - 1 && mk.source_us != 0);
	CU_ASSERT_EQUAL(mk.wrong, 0);
	/* everything was held, before anything was read */
	CU_ASSERT_TRUE(w.holds >= 1);
	CU_ASSERT_EQUAL(w.held, 0);
	CU_ASSERT_EQUAL(a.wrong + b.wrong, 0);
	sink_crash(&a);
	sink_crash(&b);
	marks_stop(&mk);
	end();
}

static void
test_long_lines(void)
{
	struct sink	 a, b;

	begin();
	sink_init(&a, &w, 0);
	sink_init(&b, &w, 1);
	sink_connect(&a, t);
	sink_connect(&b, t);
	UNTIL(a.state == SINK_ON && b.state == SINK_ON);
	w.filler = TAIL_PIECE_BYTES - 90;	/* about a piece, or more */
	wal_batch(&w, 0, 3);
	w.filler = 1500000;
	wal_batch(&w, 0, 2);
	w.filler = 0;
	wal_batch(&w, 0, 2);
	wal_batch(&w, 1, 2);
	UNTIL(sink_is_done(&a) && sink_is_done(&b));
	CU_ASSERT_TRUE(a.was_more);
	CU_ASSERT_FALSE(b.was_more);
	CU_ASSERT_EQUAL(a.wrong + b.wrong, 0);
	sink_crash(&a);
	sink_crash(&b);
	end();
}

/* Watermarks and the checkpoint wait for notes and acknowledgements. */
static void
test_notes(void)
{
	struct sink	 a;
	struct marks	 mk = { .w = &w };
	uint64_t	 before;

	begin();
	sink_init(&a, &w, 0);
	a.keeps_quiet = true;
	sink_connect(&a, t);
	marks_connect(&mk, t);
	UNTIL(a.state == SINK_ON && mk.count > 0);
	before = mk.tick;
	wal_batch(&w, 0, 3);
	wal_batch(&w, WAL_CHANNELS, 3);
	UNTIL(sink_is_done(&a) && t->point.from >= w.newest);
	mk.count = 0;
	UNTIL(mk.count >= 2);
	CU_ASSERT_EQUAL(mk.tick, before);
	CU_ASSERT_EQUAL(tail_file_save(t), 0);
	CU_ASSERT_EQUAL(t->hold_tick, before);
	sink_ack(&a, a.pos.tick, 0);
	UNTIL(mk.tick >= w.newest - 1);
	CU_ASSERT_EQUAL(tail_file_save(t), 0);
	CU_ASSERT_EQUAL(t->hold_tick, before);
	sink_ack(&a, a.pos.tick, a.pos.tick);
	wal_batch(&w, WAL_CHANNELS, 3);
	/* what proves the history is held, too */
	UNTIL(tail_file_save(t) == 0 && t->hold_tick > before);
	CU_ASSERT_EQUAL(t->hold_tick, t->point.proof_from);
	CU_ASSERT_EQUAL(a.wrong, 0);
	sink_crash(&a);
	marks_stop(&mk);
	end();
}

static void
test_slow(void)
{
	struct sink	 a, b;
	struct marks	 mk = { .w = &w };
	unsigned	 i;

	begin();
	w.filler = 20000;
	w.chunk = 200000;
	sink_init(&a, &w, 0);
	sink_init(&b, &w, 1);
	sink_connect(&a, t);
	sink_connect(&b, t);
	marks_connect(&mk, t);
	UNTIL(a.state == SINK_ON && b.state == SINK_ON);
	peer_pause(a.peer);
	for (i = 0; i < 100; i++) {
		wal_batch(&w, 0, 2);
		wal_batch(&w, 1, 1);
	}
	/* one that takes nothing stops nobody */
	UNTIL(sink_is_done(&b));
	UNTIL(tail_row_find(t, "d", "c1/s0")->ch->state == ROUTE_DETACHED);
	CU_ASSERT_TRUE(tail_row_find(t, "d", "c1/s0")->ch->spill <
	    4 * ROUTE_SPILL_BYTES);
	peer_resume(a.peer);
	UNTIL(sink_is_done(&a));
	CU_ASSERT_TRUE(a.detaches >= 1);
	wal_batch(&w, 0, 2);
	UNTIL(sink_is_done(&a));
	UNTIL(mk.tick >= w.newest - 1);
	CU_ASSERT_EQUAL(a.wrong + b.wrong + a.gone + b.gone + mk.wrong, 0);
	sink_crash(&a);
	sink_crash(&b);
	marks_stop(&mk);
	end();
}

static void
test_quota(void)
{
	struct sink	 a;
	struct buf	 buf = BUF_INIT;
	uint8_t		 on = 1;

	begin();
	sink_init(&a, &w, 0);
	sink_connect(&a, t);
	UNTIL(a.state == SINK_ON);
	(void)peer_send(a.peer, MSG_TAIL_BLOCK, 0, &on, 1);
	UNTIL(a.detached);
	wal_batch(&w, 0, 20);
	UNTIL(t->point.from >= w.newest);
	CU_ASSERT_EQUAL(a.lines, 0);
	CU_ASSERT_TRUE(route_hold(t->route) < w.newest);
	on = 0;
	(void)peer_send(a.peer, MSG_TAIL_BLOCK, 0, &on, 1);
	UNTIL(sink_is_done(&a));
	CU_ASSERT_EQUAL(a.lines, 20);
	/* whatever it was told that waits for it has come */
	UNTIL(a.pos.tick >= a.behind);
	CU_ASSERT_EQUAL(a.wrong, 0);
	buf_free(&buf);
	sink_crash(&a);
	end();
}

/* An idle channel never asks for a log that is pruned (R4). */
static void
test_idle(void)
{
	struct sink	 a, b;
	uint64_t	 pos;

	begin();
	sink_init(&a, &w, 0);
	sink_init(&b, &w, 1);
	sink_connect(&a, t);
	sink_connect(&b, t);
	UNTIL(a.state == SINK_ON && b.state == SINK_ON);
	wal_batch(&w, 0, 2);
	UNTIL(sink_is_done(&a));
	pos = a.pos.tick;
	sink_crash(&a);
	UNTIL(tail_row_find(t, "d", "c1/s0")->conn == NULL);
	/* an index is nothing that it has to have */
	wal_marker(&w, WAL_INDEX_CREATE, 0);
	wal_batch(&w, 1, 30);
	UNTIL(sink_is_done(&b));
	/* a that is away holds nothing */
	UNTIL(route_hold(t->route) > pos);
	w.first = b.pos.proof_from;
	a.manual = true;
	sink_connect(&a, t);
	sink_ask(&a);
	UNTIL(a.state == SINK_OFF);
	CU_ASSERT_TRUE(a.evidence.proven && !a.evidence.gap);
	CU_ASSERT_TRUE(a.evidence.wal_first <= pos);
	CU_ASSERT_TRUE(a.evidence.join >= w.newest - 1);
	sink_join(&a, a.evidence.join);
	UNTIL(a.state == SINK_ON);
	CU_ASSERT_EQUAL(a.behinds, 0);
	wal_batch(&w, 0, 2);
	UNTIL(sink_is_done(&a));
	wal_marker(&w, WAL_INDEX_DROP, 0);
	/* and after a restart of the tail */
	pos = a.pos.tick;
	sink_crash(&a);
	wal_batch(&w, 1, 30);
	UNTIL(sink_is_done(&b));
	w.first = b.pos.proof_from;
	fake_turn(30);
	sink_crash(&b);
	tail_down();
	tail_up();
	CU_ASSERT_EQUAL(t->conf.reboot_id, 7);
	a.manual = false;
	sink_connect(&a, t);
	sink_connect(&b, t);
	UNTIL(sink_is_done(&a) && sink_is_done(&b));
	CU_ASSERT_TRUE(a.evidence.proven && a.evidence.wal_first <= pos);
	CU_ASSERT_EQUAL(a.snapshots, 1);
	CU_ASSERT_EQUAL(b.snapshots, 1);
	CU_ASSERT_EQUAL(a.wrong + b.wrong + a.gone + b.gone, 0);
	sink_crash(&a);
	sink_crash(&b);
	end();
}

/* Records that nobody took hold the log until their send is back. */
static void
test_away(void)
{
	struct sink	 a, b;
	uint64_t	 pos;

	begin();
	sink_init(&a, &w, 0);
	sink_init(&b, &w, 1);
	sink_connect(&a, t);
	sink_connect(&b, t);
	UNTIL(a.state == SINK_ON && b.state == SINK_ON);
	wal_batch(&w, 0, 2);
	UNTIL(sink_is_done(&a));
	pos = a.pos.tick;
	sink_crash(&a);
	wal_batch(&w, 1, 3);
	UNTIL(sink_is_done(&b));
	wal_batch(&w, 0, 5);
	wal_batch(&w, 1, 60);
	UNTIL(sink_is_done(&b));
	fake_turn(20);
	CU_ASSERT_TRUE(route_hold(t->route) >= pos);
	CU_ASSERT_TRUE(route_hold(t->route) < w.newest - 60);
	sink_connect(&a, t);
	UNTIL(sink_is_done(&a));
	CU_ASSERT_EQUAL(a.snapshots, 1);
	CU_ASSERT_TRUE(a.behinds > 0);
	UNTIL(route_hold(t->route) >= w.newest - 1);
	CU_ASSERT_EQUAL(a.wrong + b.wrong + a.gone + b.gone, 0);
	sink_crash(&a);
	sink_crash(&b);
	end();
}

static void
test_ends(void)
{
	struct sink	 a, b;

	begin();
	sink_init(&a, &w, 0);
	sink_init(&b, &w, 1);
	sink_connect(&a, t);
	sink_connect(&b, t);
	UNTIL(a.state == SINK_ON && b.state == SINK_ON);
	wal_batch(&w, 1, 2);
	wal_drop(&w, 0);
	a.manual = true;
	UNTIL(a.gone == 1);
	CU_ASSERT_EQUAL(a.gone_why, TAIL_ENDED);
	CU_ASSERT_PTR_NULL(tail_row_find(t, "d", "c1/s0"));
	wal_batch(&w, 1, 2);
	UNTIL(sink_is_done(&b));
	CU_ASSERT_EQUAL(a.wrong + b.wrong + b.gone, 0);
	sink_crash(&a);
	sink_crash(&b);
	end();
}

static void
reboot(void)
{
	tail_server_is(t, w.f.url, t->conf.reboot_id + 1);
	conf.reboot_id++;
}

static void
test_reboot(void)
{
	struct sink	 a, b, c;
	unsigned	 holds;
	uint64_t	 tick;

	begin();
	sink_init(&a, &w, 0);
	sink_init(&b, &w, 1);
	sink_init(&c, &w, 2);
	sink_connect(&a, t);
	sink_connect(&b, t);
	UNTIL(a.state == SINK_ON && b.state == SINK_ON);
	wal_batch(&w, 0, 5);
	wal_batch(&w, 1, 5);
	UNTIL(sink_is_done(&a) && sink_is_done(&b));
	sink_crash(&b);
	fake_turn(20);
	/* the same log */
	holds = w.holds;
	reboot();
	UNTIL(t->point_reboot == 8 && t->state == TAIL_RUNNING);
	CU_ASSERT_TRUE(w.holds > holds);
	wal_batch(&w, 0, 5);
	UNTIL(sink_is_done(&a));
	CU_ASSERT_EQUAL(a.gone, 0);
	CU_ASSERT_EQUAL(a.pos.reboot_id, 8);
	/* what was read before it is proven without asking */
	CU_ASSERT_EQUAL(b.pos.reboot_id, 7);
	sink_connect(&b, t);
	UNTIL(sink_is_done(&b));
	CU_ASSERT_TRUE(b.evidence.proven);
	CU_ASSERT_EQUAL(b.evidence.reboot_id, 8);
	CU_ASSERT_EQUAL(b.snapshots, 1);
	/* the power was cut: c has a snapshot of what is lost */
	tick = w.newest;
	w.newest += 10;
	sink_connect(&c, t);
	UNTIL(c.state == SINK_ON);
	w.down = true;
	fake_turn(50);
	wal_cut(&w, tick);
	w.down = false;
	reboot();
	UNTIL(t->point_reboot == 9 && t->state == TAIL_RUNNING);
	UNTIL(c.gone == 1 || c.joined <= tick);
	wal_batch(&w, 0, 3);
	wal_batch(&w, 1, 3);
	wal_batch(&w, 2, 3);
	UNTIL(sink_is_done(&a) && sink_is_done(&b) && sink_is_done(&c));
	CU_ASSERT_EQUAL(a.snapshots, 1);
	/* another log under the same numbers */
	sink_crash(&b);
	wal_cut(&w, w.newest - 5);
	wal_batch(&w, 0, 30);
	reboot();
	UNTIL(a.gone == 1 && a.gone_why == TAIL_HISTORY_LOST);
	sink_connect(&b, t);
	UNTIL(sink_is_done(&a) && sink_is_done(&b) && sink_is_done(&c));
	CU_ASSERT_EQUAL(a.snapshots, 2);
	CU_ASSERT_EQUAL(b.snapshots, 2);
	CU_ASSERT_EQUAL(a.wrong + b.wrong + c.wrong, 0);
	sink_crash(&a);
	sink_crash(&b);
	sink_crash(&c);
	end();
}

/*
 * The target has applied more than it has recorded: its proof is of that, and a
 * log that has lost it proves nothing.
 */
static void
test_proof_ahead(void)
{
	struct sink	 a;
	struct sync_pos	 p;
	char		*path;

	begin();
	sink_init(&a, &w, 0);
	sink_connect(&a, t);
	UNTIL(a.state == SINK_ON);
	wal_batch(&w, 0, 3);
	UNTIL(sink_is_done(&a));
	p = a.pos;
	wal_batch(&w, 0, 3);
	UNTIL(sink_is_done(&a));
	a.pos.tick = p.tick;
	sink_crash(&a);
	tail_down();
	path = xasprintf("%s/tails/there/PRMR-1", dir);
	CU_ASSERT_EQUAL(fsx_unlink(path), 0);
	free(path);
	conf.reboot_id = 8;
	tail_up();
	a.manual = true;
	sink_connect(&a, t);
	sink_ask(&a);
	UNTIL(a.state == SINK_OFF);
	CU_ASSERT_TRUE(a.evidence.proven);
	CU_ASSERT_EQUAL(a.evidence.join, p.tick);
	wal_cut(&w, w.newest - 1);
	sink_ask(&a);
	UNTIL(a.state == SINK_OFF);
	CU_ASSERT_FALSE(a.evidence.proven);
	sink_crash(&a);
	end();
}

/* The log was pruned before it was read. */
static void
test_gap(void)
{
	struct sink	 a;

	begin();
	sink_init(&a, &w, 0);
	sink_connect(&a, t);
	UNTIL(a.state == SINK_ON);
	wal_batch(&w, 0, 5);
	UNTIL(sink_is_done(&a));
	wal_batch(&w, 1, 5);
	w.first = w.newest + 10;
	w.newest += 20;
	UNTIL(a.gone == 1 && a.gone_why == TAIL_WAL_GONE);
	UNTIL(a.state == SINK_ON);
	wal_batch(&w, 0, 5);
	UNTIL(sink_is_done(&a));
	/* one that comes from too far behind */
	sink_crash(&a);
	a.pos.tick = 50;
	sink_connect(&a, t);
	UNTIL(sink_is_done(&a));
	CU_ASSERT_EQUAL(a.snapshots, 3);
	CU_ASSERT_EQUAL(a.wrong, 0);
	sink_crash(&a);
	end();
}

/* On a slow machine the channel may be with the catch-up. */
static bool
is_doubted(void)
{
	return !TAILQ_EMPTY(&t->live.doubted) ||
	    !TAILQ_EMPTY(&t->refill.doubted);
}

/* Lines went out, the response broke off, and the log is another one then. */
static void
test_lost_with_the_power(void)
{
	struct sink	 a, b;
	uint64_t	 tick;

	begin();
	w.chunk = 4 << 20;
	w.filler = 100000;
	sink_init(&a, &w, 0);
	sink_init(&b, &w, 1);
	sink_connect(&a, t);
	sink_connect(&b, t);
	UNTIL(a.state == SINK_ON && b.state == SINK_ON);
	wal_batch(&w, 0, 1);
	wal_batch(&w, 1, 1);
	UNTIL(sink_is_done(&a) && sink_is_done(&b));
	w.break_one_in = 1;
	tick = w.newest;
	wal_batch(&w, 0, 8);
	UNTIL(is_doubted());
	CU_ASSERT_EQUAL(a.gone, 0);
	wal_cut(&w, tick);
	wal_batch(&w, 1, 20);
	w.break_one_in = 0;
	UNTIL(sink_is_done(&b));
	UNTIL(a.gone == 1 && a.gone_why == TAIL_HISTORY_LOST);
	UNTIL(sink_is_done(&a));
	CU_ASSERT_EQUAL(b.gone, 0);
	/* and with the same log again */
	w.break_one_in = 1;
	wal_batch(&w, 0, 8);
	UNTIL(is_doubted());
	w.break_one_in = 0;
	UNTIL(sink_is_done(&a));
	CU_ASSERT_EQUAL(a.gone, 1);
	CU_ASSERT_TRUE(a.was_again);
	CU_ASSERT_EQUAL(a.wrong + b.wrong, 0);
	sink_crash(&a);
	sink_crash(&b);
	end();
}

/* R3: a dead target does not fill the source's disk. */
static void
test_hold_bound(void)
{
	struct sink	 a, b;

	begin();
	t->conf.max_hold_bytes = 20000;
	sink_init(&a, &w, 0);
	sink_init(&b, &w, 1);
	a.keeps_quiet = a.manual = true;
	sink_connect(&a, t);
	sink_connect(&b, t);
	sink_join(&a, ROUTE_FROM_NOW);
	UNTIL(a.state == SINK_ON && b.state == SINK_ON);
	wal_batch(&w, 0, 1);
	wal_batch(&w, 1, 200);
	UNTIL(sink_is_done(&b) &&
	    !tail_row_find(t, "d", "c1/s1")->ch->is_busy);
	tail_hold_check(t);
	UNTIL(a.gone == 1 && a.gone_why == TAIL_WAL_GONE);
	CU_ASSERT_EQUAL(b.gone, 0);
	CU_ASSERT_TRUE(route_hold(t->route) >= w.newest - 1);
	sink_crash(&a);
	sink_crash(&b);
	end();
}

/* ... nor does a disk of ours that is full for long. */
static void
test_hold_unsaved(void)
{
	struct sink	 a;
	char		*tails, *aside;

	begin();
	tails = xasprintf("%s/tails", dir);
	aside = xasprintf("%s/aside", dir);
	t->conf.max_hold_bytes = 20000;
	sink_init(&a, &w, 1);
	sink_connect(&a, t);
	UNTIL(a.state == SINK_ON);
	wal_batch(&w, 1, 1);
	UNTIL(sink_is_done(&a));
	CU_ASSERT_EQUAL(tail_file_save(t), 0);
	CU_ASSERT_EQUAL(rename(tails, aside), 0);
	wal_batch(&w, 1, 1);
	UNTIL(sink_is_done(&a));
	fake_turn(20);
	CU_ASSERT_TRUE(tail_file_save(t) < 0);
	tail_hold_check(t);
	CU_ASSERT_FALSE(t->hold_given_up);
	wal_batch(&w, 1, 200);
	UNTIL(sink_is_done(&a));
	fake_turn(20);
	CU_ASSERT_TRUE(tail_file_save(t) < 0);
	tail_hold_check(t);
	CU_ASSERT_TRUE(t->hold_given_up);
	CU_ASSERT_TRUE(arango_hold_tick(t->hold) >= w.newest - 1);
	CU_ASSERT_EQUAL(a.gone, 0);
	CU_ASSERT_EQUAL(rename(aside, tails), 0);
	CU_ASSERT_EQUAL(tail_file_save(t), 0);
	tail_hold_check(t);
	CU_ASSERT_FALSE(t->hold_given_up);
	sink_crash(&a);
	end();
	free(tails);
	free(aside);
}

static void
test_file(void)
{
	struct sink	 a, b;
	struct buf	 buf = BUF_INIT, again = BUF_INIT;
	size_t		 i;

	begin();
	sink_init(&a, &w, 0);
	sink_init(&b, &w, 1);
	sink_connect(&a, t);
	sink_connect(&b, t);
	UNTIL(a.state == SINK_ON && b.state == SINK_ON);
	wal_batch(&w, 0, 5);
	wal_batch(&w, 1, 5);
	UNTIL(sink_is_done(&a) && sink_is_done(&b));
	tail_lineage_add(t, 3, 90);
	fake_turn(20);
	CU_ASSERT_EQUAL(tail_file_save(t), 0);
	tail_file_make(t, &buf);
	sink_crash(&a);
	sink_crash(&b);
	tail_down();
	cluster = fake_cluster(w.f.url, NULL);
	t = tail_new(fake_loop, cluster, dir, &conf);
	for (i = 0; i < buf.len; i++) {
		CU_ASSERT_TRUE(tail_file_parse(t, buf.data, i) < 0);
		buf.data[i] ^= 1;
		CU_ASSERT_TRUE(tail_file_parse(t, buf.data, buf.len) < 0);
		buf.data[i] ^= 1;
		CU_ASSERT_FALSE(t->has_point);
	}
	CU_ASSERT_EQUAL(tail_file_parse(t, buf.data, buf.len), 0);
	CU_ASSERT_TRUE(t->has_point && t->point.has_proof);
	CU_ASSERT_EQUAL(t->point_reboot, 7);
	CU_ASSERT_EQUAL(t->nlineage, 1);
	CU_ASSERT_PTR_NOT_NULL(tail_row_find(t, "d", "c1/s0"));
	CU_ASSERT_EQUAL(tail_row_find(t, "d", "c1/s1")->last,
	    wal_last(&w, 1, UINT64_MAX));
	buf_free(&buf);
	buf_free(&again);
	t->stopping = true;
	tail_free(&t);
	arango_free(&cluster);
	wal_stop(&w);
	fake_end();
	CU_ASSERT_EQUAL(fsx_remove_tree(dir), 0);
}

/* ---- everything at once ------------------------------------------------- */

#define SINKS	6

/* Killed: what is in the file is what was saved last, or before that. */
static void
tail_kill(void)
{
	struct buf	 b = BUF_INIT;
	char		*path = xasprintf("%s/tails/there/PRMR-1", dir);

	(void)fsx_read_file(path, 1 << 20, &b);
	tail_down();
	if (b.len != 0)
		CU_ASSERT_EQUAL(fsx_replace(path, b.data, b.len, 0600), 0);
	buf_free(&b);
	free(path);
	tail_up();
}

static void
step(struct sink *s, struct marks *mk, unsigned *kills)
{
	struct sink	*one = &s[rand_below(SINKS)];
	unsigned	 i;

	if (rand_below(3) == 0)
		wal_batch(&w, rand_below(2) ? WAL_CHANNELS + 1 :
		    rand_below(SINKS), 1 + rand_below(20));
	switch (rand_below(60)) {
	case 0:
		sink_crash(one);
		break;
	case 1:
		if (one->peer != NULL)
			peer_pause(one->peer);
		break;
	case 2:
		(void)tail_file_save(t);
		break;
	case 3:
		if (rand_below(6) != 0)
			break;
		for (i = 0; i < SINKS; i++)
			sink_crash(&s[i]);
		marks_stop(mk);
		mk->tick = mk->source_us = 0;
		tail_kill();
		marks_connect(mk, t);
		(*kills)++;
		break;
	case 4:
		if (rand_below(4) == 0)
			reboot();
		break;
	case 5:
		w.down = rand_below(3) == 0;
		break;
	case 6:
		w.filler = rand_below(3) == 0 ? 30000 : 10;
		break;
	default:
		if (one->peer == NULL)
			sink_connect(one, t);
		else
			peer_resume(one->peer);
		break;
	}
}

static bool
all_done(const struct sink *s)
{
	unsigned	 i;

	for (i = 0; i < SINKS; i++)
		if (!sink_is_done(&s[i]) || s[i].pos.tick < s[i].behind)
			return false;
	return true;
}

static void
test_all(void)
{
	struct sink	 s[SINKS];
	struct marks	 mk = { .w = &w, .sinks = s, .n = SINKS };
	const char	*env = getenv("CHAOS_STEPS");
	unsigned	 i, n, steps = env == NULL ? 1500 :
			    (unsigned)atoi(env), kills = 0;
	unsigned	 lines = 0, snapshots = 0, detaches = 0;

	begin();
	w.break_one_in = 12;
	w.chunk = 20000;
	for (i = 0; i < SINKS; i++) {
		sink_init(&s[i], &w, i);
		sink_connect(&s[i], t);
	}
	marks_connect(&mk, t);
	for (n = 0; n < steps; n++) {
		step(s, &mk, &kills);
		fake_turn(1);
	}
	w.down = false;
	w.break_one_in = 0;
	for (i = 0; i < SINKS; i++)
		if (s[i].peer == NULL)
			sink_connect(&s[i], t);
		else
			peer_resume(s[i].peer);
	wal_batch(&w, WAL_CHANNELS + 1, 50);
	UNTIL(all_done(s));
	UNTIL(mk.tick >= w.newest - 1);
	CU_ASSERT_EQUAL(mk.wrong, 0);
	for (i = 0; i < SINKS; i++) {
		CU_ASSERT_EQUAL(s[i].wrong, 0);
		/* the log is there all along: nobody needs a repair */
		CU_ASSERT_EQUAL(s[i].gone, 0);
		CU_ASSERT_EQUAL(s[i].snapshots, 1);
		lines += s[i].lines;
		snapshots += s[i].snapshots;
		detaches += s[i].detaches;
		sink_crash(&s[i]);
	}
	printf("# %zu operations, %u lines, %u snapshots, %u detached, %u "
	    "kills, %u broken\n", w.n, lines, snapshots, detaches, kills,
	    w.broken);
	marks_stop(&mk);
	end();
}

UNIT_MAIN("tail",
    { "lines arrive whole, with the position of their response",
	test_stream },
    { "lines longer than a frame arrive in pieces", test_long_lines },
    { "watermarks wait for notes, the hold for acknowledgements",
	test_notes },
    { "a slow send is detached and caught up", test_slow },
    { "a send over quota is caught up later", test_quota },
    { "an idle channel never asks for a pruned log", test_idle },
    { "records of a send that is away are held", test_away },
    { "a dropped shard ends its channel", test_ends },
    { "a history is proven after a restart of the server", test_reboot },
    { "a proof may be of more than the position", test_proof_ahead },
    { "a gap ends the channels, and they begin anew", test_gap },
    { "early lines that are lost with the power are found out",
	test_lost_with_the_power },
    { "a hold has a bound", test_hold_bound },
    { "a hold has a bound when the checkpoint cannot be written",
      test_hold_unsaved },
    { "a checkpoint that is damaged is refused", test_file },
    { "nothing is lost by crashes, breaks and slow ones", test_all })
