/* test_watermark.c - tests of watermarks and of the barrier */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/random.h"
#include "sync/barrier.h"
#include "sync/watermark.h"
#include "unit.h"

#define SECOND	1000000ULL

static void
test_complete(void)
{
	struct watermarks	*w = wm_new();
	struct wm_server	*a = wm_server(w, "A"), *b = wm_server(w, "B");
	struct wm_channel	*x, *y;
	struct wm_report	 r;

	CU_ASSERT_PTR_EQUAL(wm_server(w, "A"), a);
	wm_report(w, 0, 0, &r);
	CU_ASSERT_FALSE(r.known);
	x = wm_channel_add(a, 90);
	y = wm_channel_add(a, 90);
	CU_ASSERT_EQUAL(wm_receive(a, 1, 100, 10 * SECOND, 1000), 0);
	wm_report(w, 0, 1000, &r);
	CU_ASSERT_FALSE(r.known);	/* B has said nothing */
	CU_ASSERT_EQUAL(wm_receive(b, 1, 7000, 11 * SECOND, 1500), 0);
	wm_report(w, 0, 2000, &r);
	CU_ASSERT_TRUE(r.known);
	/* nothing queued: applied through it */
	CU_ASSERT_EQUAL(wm_channel_tick(x), 100);
	CU_ASSERT_EQUAL(r.complete_us, 10 * SECOND);
	CU_ASSERT_EQUAL(r.lag_us, SECOND);
	CU_ASSERT_EQUAL(r.lag_ticks, 0);
	CU_ASSERT_STRING_EQUAL(r.slowest, "A");
	CU_ASSERT_STRING_EQUAL(r.silent, "A");
	CU_ASSERT_EQUAL(r.silent_ms, 1000);

	/* records are on their way */
	wm_channel_queued(x, 150);
	wm_receive(a, 1, 200, 12 * SECOND, 2500);
	wm_receive(b, 1, 7100, 14 * SECOND, 2500);
	CU_ASSERT_EQUAL(wm_channel_tick(x), 100);
	CU_ASSERT_EQUAL(wm_channel_tick(y), 200);
	CU_ASSERT_EQUAL(wm_server_tick(a), 100);
	CU_ASSERT_EQUAL(wm_server_lag_ticks(a), 100);
	wm_report(w, 20 * SECOND, 2500, &r);
	CU_ASSERT_EQUAL(r.complete_us, 10 * SECOND);
	CU_ASSERT_EQUAL(r.lag_us, 10 * SECOND);
	CU_ASSERT_EQUAL(r.lag_ticks, 100);
	/* a part of them is applied: no watermark at it, the one before */
	wm_channel_applied(x, 120);
	wm_report(w, 0, 2500, &r);
	CU_ASSERT_EQUAL(r.complete_us, 10 * SECOND);
	CU_ASSERT_EQUAL(r.lag_ticks, 80);
	wm_channel_applied(x, 150);
	wm_report(w, 0, 2500, &r);
	CU_ASSERT_EQUAL(r.complete_us, 12 * SECOND);
	CU_ASSERT_EQUAL(r.lag_ticks, 0);

	/* one under repair holds it where it was */
	wm_channel_stall(y, true);
	wm_receive(a, 1, 300, 30 * SECOND, 3000);
	wm_receive(b, 1, 7200, 30 * SECOND, 3000);
	wm_report(w, 0, 3000, &r);
	CU_ASSERT_EQUAL(r.complete_us, 12 * SECOND);
	wm_channel_applied(y, 250);
	wm_channel_stall(y, false);
	wm_report(w, 0, 3000, &r);
	CU_ASSERT_EQUAL(r.complete_us, 30 * SECOND);

	/* back in ticks is wrong, but in a new start */
	CU_ASSERT_EQUAL(wm_receive(a, 1, 299, 31 * SECOND, 4000), ERR_RANGE);
	CU_ASSERT_EQUAL(wm_receive(a, 2, 50, 31 * SECOND, 4000), 0);
	/* a source's clock that goes back does not take anything back */
	wm_receive(a, 2, 60, 5 * SECOND, 5000);
	wm_receive(b, 1, 7300, 31 * SECOND, 5000);
	wm_report(w, 0, 5000, &r);
	CU_ASSERT_EQUAL(r.complete_us, 31 * SECOND);
	wm_channel_remove(&x);
	wm_server_remove(w, "A");	/* not while it has channels */
	CU_ASSERT_PTR_EQUAL(wm_server(w, "A"), a);
	wm_channel_remove(&y);
	wm_server_remove(w, "A");
	wm_report(w, 0, 5000, &r);
	CU_ASSERT_STRING_EQUAL(r.slowest, "B");
	wm_free(&w);
}

static void
test_timeout(void)
{
	struct watermarks	*w = wm_new();
	struct wm_server	*a = wm_server(w, "A"), *b = wm_server(w, "B");

	CU_ASSERT_PTR_NULL(wm_timed_out(w, 1000, 999999));
	wm_receive(a, 1, 1, 1, 1000);
	wm_receive(b, 1, 1, 1, 1500);
	CU_ASSERT_PTR_NULL(wm_timed_out(w, 1000, 2000));
	CU_ASSERT_STRING_EQUAL(wm_timed_out(w, 1000, 2001), "A");
	wm_receive(a, 1, 1, 1, 2400);
	CU_ASSERT_STRING_EQUAL(wm_timed_out(w, 1000, 2501), "B");
	wm_free(&w);
}

/*
 * A channel that hangs for days: little memory, and never a later time than
 * what is really applied.
 */
static void
test_long_hang(void)
{
	struct watermarks	*w = wm_new();
	struct wm_server	*a = wm_server(w, "A");
	struct wm_channel	*x = wm_channel_add(a, 0);
	struct wm_report	 r;
	uint64_t		 i, applied;

	wm_receive(a, 1, 10, 1 * SECOND, 1);
	wm_channel_queued(x, 11);
	/* source time in seconds is tick / 10 */
	for (i = 2; i < 20000; i++) {
		wm_receive(a, 1, i * 10, i * SECOND, i);
		wm_channel_queued(x, i * 10 + 1);
	}
	for (applied = 11; applied < 200000; applied += 1 + rand_below(3000)) {
		wm_channel_applied(x, applied);
		wm_report(w, 0, 1, &r);
		CU_ASSERT_TRUE(r.known);
		CU_ASSERT_TRUE(r.complete_us <= applied * SECOND / 10);
		/* and not much earlier either */
		CU_ASSERT_TRUE(r.complete_us + 2000 * SECOND >=
		    MIN(applied * SECOND / 10, 19999 * SECOND));
	}
	wm_channel_applied(x, 199991);
	wm_report(w, 0, 1, &r);
	CU_ASSERT_EQUAL(r.complete_us, 19999 * SECOND);
	wm_channel_remove(&x);
	wm_free(&w);
}

/* ---- the barrier -------------------------------------------------------- */

/* EVENT[=text]>STEP, separated by ";"; "!" refused; "@ms" time passes. */
static const struct {
	const char	*what, *words, *failed;
	bool		 locked;
} stories[] = {
	{ "as it should be",
	    "ok>servers;not-yet=CRDN-1 is not read-only>servers;ok>writers;"
	    "not-yet=transaction 77 on CRDN-2>writers;ok>ticks;ok>applied;"
	    "not-yet=shop/orders/3 is 12 ticks behind>applied;ok>quiet;"
	    "ok>compare;ok>done;!ok;!abort", "", true },
	{ "somebody still wrote: back to the ticks",
	    "ok>servers;ok>writers;ok>ticks;ok>applied;ok>quiet;"
	    "moved=marker in shop/orders/0>ticks;ok>applied;"
	    "moved=PRMR-1 restarted>ticks;ok>applied;ok>quiet;ok>compare;"
	    "ok>done", "", true },
	{ "they differ: repaired, and looked at again",
	    "ok>servers;ok>writers;ok>ticks;ok>applied;ok>quiet;ok>compare;"
	    "differs=shop/orders/0>repair;not-yet>repair;ok>ticks;"
	    "ok>applied;ok>quiet;ok>compare;ok>done", "", true },
	{ "a timeout names who still writes",
	    "ok>servers;ok>writers;not-yet=query 4 on CRDN-1>writers;"
	    "@59999>writers;@2>undo;not-yet>undo;ok>failed",
	    "it took too long, waiting for query 4 on CRDN-1", false },
	{ "a timeout without a name says what for",
	    "ok>servers;ok>writers;ok>ticks;ok>applied;@70000>undo;ok>failed",
	    "it took too long, waiting for the target to apply what was "
	    "written", false },
	{ "an old answer is not blamed for a later step",
	    "ok>servers;not-yet=CRDN-1>servers;ok>writers;@70000>undo;"
	    "ok>failed", "it took too long, waiting for the end of running "
	    "transactions and queries", false },
	{ "the lock could not be taken",
	    "error=another barrier is active>undo;ok>failed",
	    "another barrier is active", false },
	{ "aborted", "ok>servers;abort>undo;error>undo;abort>undo;ok>failed",
	    "aborted while waiting for every server of the source to be "
	    "read-only", false },
	{ "the lock is lost: the source's master may have undone it",
	    "ok>servers;ok>writers;lease-lost>undo;lease-lost>failed",
	    "the source's lock was lost while waiting for the end of running "
	    "transactions and queries", true }
};

static int
find_event(const char *text)
{
	int	 i;

	for (i = 0; i < BARRIER_EV_COUNT; i++)
		if (strcmp(barrier_event_name((enum barrier_event)i), text) ==
		    0)
			return i;
	printf("# no event %s\n", text);
	return -1;
}

static bool
tell_word(struct barrier *b, char *word, uint64_t *now)
{
	enum barrier_action	 act;
	char			*to = strchr(word, '>'), *text;
	bool			 refused = *word == '!';
	int			 ev, r;

	if (to != NULL)
		*to++ = '\0';
	if (*word == '@') {
		*now += strtoul(word + 1, NULL, 10);
		if (barrier_is_due(b, *now))
			barrier_event(b, BARRIER_EV_TIMEOUT, *now, &act, "%s",
			    "");
		return strcmp(barrier_step_name(b->step), to) == 0;
	}
	text = strchr(word, '=');
	if (text != NULL)
		*text++ = '\0';
	if ((ev = find_event(word + (refused ? 1 : 0))) < 0)
		return false;
	r = barrier_event(b, (enum barrier_event)ev, *now, &act, "%s",
	    text != NULL ? text : "");
	if (refused)
		return r == ERR_BAD_STATE;
	if (r != 0 || act == BARRIER_DO_REFUSE)
		return false;
	if (ev == BARRIER_EV_NOT_YET)
		CU_ASSERT_TRUE(b->again_ms > *now && b->again_ms <=
		    *now + 1000);
	return strcmp(barrier_step_name(b->step), to) == 0;
}

static void
test_stories(void)
{
	struct barrier		 b;
	enum barrier_action	 act;
	uint64_t		 now;
	char			*copy, *word, *save, text[128];
	size_t			 i;

	for (i = 0; i < NITEMS(stories); i++) {
		now = 5000;
		barrier_start(&b, 60000, now, &act);
		CU_ASSERT_EQUAL(act, BARRIER_DO_LOCK);
		CU_ASSERT_TRUE(b.locked);
		copy = xstrdup(stories[i].words);
		save = NULL;
		for (word = strtok_r(copy, ";", &save); word != NULL;
		    word = strtok_r(NULL, ";", &save)) {
			snprintf(text, sizeof(text), "%s", word);
			if (!tell_word(&b, word, &now)) {
				printf("# %s: at \"%s\": %s\n",
				    stories[i].what, text,
				    barrier_step_name(b.step));
				CU_FAIL("another step");
				break;
			}
		}
		if (strcmp(b.failed, stories[i].failed) != 0) {
			printf("# %s: \"%s\"\n", stories[i].what, b.failed);
			CU_FAIL("another sentence");
		}
		CU_ASSERT_EQUAL(b.locked, stories[i].locked);
		free(copy);
	}
	/* no timeout was asked for */
	barrier_start(&b, 0, 5000, &act);
	CU_ASSERT_FALSE(barrier_is_due(&b, UINT64_MAX - 1));
}

static void
test_rounds(void)
{
	struct barrier		 b;
	enum barrier_action	 act;
	int			 i;

	barrier_start(&b, 0, 0, &act);
	for (i = 0; i < 5; i++)
		barrier_event(&b, BARRIER_EV_OK, 100, &act, "%s", "");
	CU_ASSERT_EQUAL(b.step, BARRIER_QUIET);
	CU_ASSERT_EQUAL(act, BARRIER_DO_LISTEN);
	CU_ASSERT_EQUAL(b.again_ms, 100 + BARRIER_QUIET_MS);
	barrier_event(&b, BARRIER_EV_MOVED, 100, &act, "%s", "");
	CU_ASSERT_EQUAL(b.rounds, 1);
	CU_ASSERT_EQUAL(act, BARRIER_DO_READ_TICKS);
}

/* A channel that resumes is behind, although a watermark has passed it. */
static void
test_resumed(void)
{
	struct watermarks	*w = wm_new();
	struct wm_server	*a = wm_server(w, "A");
	struct wm_channel	*x, *y;

	CU_ASSERT_EQUAL(wm_server_complete_us(a), 0);
	x = wm_channel_add(a, 400);
	y = wm_channel_add(a, 400);
	wm_channel_queued(y, 450);
	wm_receive(a, 1, 500, 5 * SECOND, 1000);
	wm_receive(a, 1, 600, 6 * SECOND, 1250);
	/* records above 520 wait at the source, which nobody had heard of */
	wm_channel_set(x, 520, 700, false);
	CU_ASSERT_EQUAL(wm_channel_tick(x), 520);
	wm_channel_applied(y, 450);
	CU_ASSERT_EQUAL(wm_channel_tick(y), 600);
	CU_ASSERT_EQUAL(wm_server_tick(a), 520);
	CU_ASSERT_EQUAL(wm_server_complete_us(a), 5 * SECOND);
	wm_channel_applied(x, 700);
	CU_ASSERT_EQUAL(wm_server_complete_us(a), 6 * SECOND);
	/* a repair: what was known of it does not count */
	wm_channel_set(x, 0, 600, true);
	CU_ASSERT_EQUAL(wm_server_tick(a), 0);
	CU_ASSERT_EQUAL(wm_server_complete_us(a), 0);
	wm_channel_set(x, 610, 610, false);
	CU_ASSERT_EQUAL(wm_server_tick(a), 600);
	wm_channel_remove(&x);
	wm_channel_remove(&y);
	wm_free(&w);
}

/* Every step that may have changed the source can be undone. */
static void
test_table(void)
{
	static const enum barrier_event	 always[] = { BARRIER_EV_LEASE_LOST,
	    BARRIER_EV_ABORT, BARRIER_EV_TIMEOUT, BARRIER_EV_ERROR };
	const struct barrier_edge	*e;
	bool				 has[BARRIER_STEP_COUNT]
					    [BARRIER_EV_COUNT] = {{ false }};
	size_t				 i, n, k;

	e = barrier_edges(&n);
	for (i = 0; i < n; i++) {
		CU_ASSERT_FALSE(has[e[i].from][e[i].event]);
		has[e[i].from][e[i].event] = true;
	}
	for (i = BARRIER_LOCK; i <= BARRIER_UNDO; i++)
		for (k = 0; k < NITEMS(always) && i != BARRIER_DONE; k++)
			CU_ASSERT_TRUE(has[i][always[k]]);
}

UNIT_MAIN("watermark",
    { "complete up to the slowest channel (R21)", test_complete },
    { "a channel that resumes is behind", test_resumed },
    { "a silent server is named", test_timeout },
    { "days behind, in bounded memory", test_long_hang },
    { "stories of a barrier (R22)", test_stories },
    { "the quiet time, and rounds", test_rounds },
    { "every step can be undone", test_table })
