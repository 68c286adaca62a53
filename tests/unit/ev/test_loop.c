/* test_loop.c - tests of ev/loop and ev/backoff */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/random.h"
#include "ev/backoff.h"
#include "ev/loop.h"
#include "unit.h"

static struct loop	*loop;
static char		 seen[64];	/* letters in the order of calls */

/* A letter as the argument of a callback. */
static char *
letter(char c)
{
	static char	 all[128][2];

	all[(int)c][0] = c;
	return all[(int)c];
}

static void
begin(void)
{
	loop = loop_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(loop);
	seen[0] = '\0';
}

static void
note(const char *text)
{
	strncat(seen, text, sizeof(seen) - strlen(seen) - 1);
}

static void
note_arg(void *arg)
{
	note(arg);
}

static void
stop(void *arg)
{
	loop_stop(loop);
}

static void
test_empty(void)
{
	begin();
	CU_ASSERT_EQUAL(loop_run(loop), 0);
	CU_ASSERT_EQUAL(loop_run_once(loop, 1), 1);
	loop_free(&loop);
	CU_ASSERT_PTR_NULL(loop);
	loop_free(&loop);
}

/* --- timers -------------------------------------------------------------- */

static void
test_timer_not_early(void)
{
	struct loop_timer	*t;
	uint64_t		 start, us, best = UINT64_MAX;
	int			 i;

	begin();
	t = loop_timer_new(loop, note_arg, letter('t'));
	for (i = 0; i < 20; i++) {
		start = clock_mono_us();
		loop_timer_start(t, 3);
		CU_ASSERT_TRUE(loop_timer_is_running(t));
		CU_ASSERT_EQUAL(loop_run(loop), 0);
		us = clock_mono_us() - start;
		CU_ASSERT_TRUE(us >= 3000);
		CU_ASSERT_FALSE(loop_timer_is_running(t));
	}
	CU_ASSERT_EQUAL(strlen(seen), 20);
	/* Microseconds are no milliseconds: at least once in fifty. */
	for (i = 0; i < 50; i++) {
		start = clock_mono_us();
		loop_timer_start_us(t, 200);
		loop_run(loop);
		us = clock_mono_us() - start;
		CU_ASSERT_TRUE(us >= 200);
		best = MIN(best, us);
	}
	CU_ASSERT_TRUE(best < 900);
	loop_timer_free(&t);
	CU_ASSERT_PTR_NULL(t);
	loop_free(&loop);
}

static void
test_timer_restart(void)
{
	struct loop_timer	*a, *b;

	begin();
	a = loop_timer_new(loop, note_arg, letter('a'));
	b = loop_timer_new(loop, note_arg, letter('b'));
	loop_timer_start(a, 5);
	loop_timer_start(b, 10);
	loop_timer_start(a, 15);	/* now later than b */
	loop_run(loop);
	CU_ASSERT_STRING_EQUAL(seen, "ba");
	loop_timer_start(a, 1);
	loop_timer_stop(a);
	CU_ASSERT_EQUAL(loop_run_once(loop, 1), 1);
	CU_ASSERT_STRING_EQUAL(seen, "ba");
	loop_timer_free(&a);
	loop_timer_free(&b);
	loop_free(&loop);
}

static struct loop_timer	*periodic;
static int			 ticks;

static void
on_periodic(void *arg)
{
	/* Freed from inside: must not fire again, nor crash. */
	if (++ticks == 5)
		loop_timer_free(&periodic);
}

static void
test_timer_periodic(void)
{
	uint64_t	 start = clock_mono_us();

	begin();
	ticks = 0;
	periodic = loop_timer_new(loop, on_periodic, NULL);
	loop_timer_start_periodic(periodic, 2);
	CU_ASSERT_EQUAL(loop_run(loop), 0);
	CU_ASSERT_EQUAL(ticks, 5);
	CU_ASSERT_PTR_NULL(periodic);
	CU_ASSERT_TRUE(clock_mono_us() - start >= 5 * 2000);
	loop_free(&loop);
}

/* Two timers are due at once; the one that is called frees the other. */
static struct loop_timer	*pair[2];

static void
on_pair(void *arg)
{
	note("x");
	loop_timer_free(&pair[0]);
	loop_timer_free(&pair[1]);
}

static void
test_timer_frees_other(void)
{
	begin();
	pair[0] = loop_timer_new(loop, on_pair, NULL);
	pair[1] = loop_timer_new(loop, on_pair, NULL);
	loop_timer_start(pair[0], 1);
	loop_timer_start(pair[1], 1);
	usleep(3000);
	loop_run(loop);
	CU_ASSERT_STRING_EQUAL(seen, "x");
	loop_free(&loop);
}

/* --- tasks --------------------------------------------------------------- */

static struct loop_task	 tasks[6];

static void
test_task_order(void)
{
	int	 i;

	begin();
	for (i = 0; i < 3; i++)
		loop_task_init(&tasks[i], note_arg,
		    letter((char)('a' + i)));
	loop_task_post(loop, &tasks[2]);
	loop_task_post(loop, &tasks[0]);
	loop_task_post(loop, &tasks[2]);	/* keeps its place */
	loop_task_post(loop, &tasks[1]);
	loop_defer(loop, note_arg, letter('d'));
	CU_ASSERT_TRUE(loop_task_is_posted(&tasks[1]));
	loop_task_cancel(&tasks[1]);
	loop_task_cancel(&tasks[1]);
	CU_ASSERT_FALSE(loop_task_is_posted(&tasks[1]));
	CU_ASSERT_STRING_EQUAL(seen, "");	/* nothing ran inside post */
	loop_run(loop);
	CU_ASSERT_STRING_EQUAL(seen, "cad");
	loop_free(&loop);
}

static void
cancel_b(void *arg)
{
	note("a");
	loop_task_cancel(&tasks[1]);
}

static void
test_task_cancelled_by_task(void)
{
	begin();
	loop_task_init(&tasks[0], cancel_b, NULL);
	loop_task_init(&tasks[1], note_arg, letter('b'));
	loop_task_init(&tasks[2], note_arg, letter('c'));
	loop_task_post(loop, &tasks[0]);
	loop_task_post(loop, &tasks[1]);
	loop_task_post(loop, &tasks[2]);
	loop_run(loop);
	CU_ASSERT_STRING_EQUAL(seen, "ac");
	loop_free(&loop);
}

static void
late(void *arg)
{
	note("L");
}

/* Two descriptors are ready; each posts a task, the task another and a late
 * one.  The late one runs once, after all of it. */
static int	pipes[2][2];
static struct loop_fd	*watch[2];

static void
second_step(void *arg)
{
	note(arg);
	loop_task_post_late(loop, &tasks[5]);
}

static void
first_step(void *arg)
{
	int	 i = *(int *)arg;

	note(i == 0 ? "a" : "b");
	loop_task_post_late(loop, &tasks[5]);
	loop_task_post(loop, &tasks[2 + i]);
}

static void
on_pipe(void *arg, int ready)
{
	int	 i = *(int *)arg;
	char	 c;

	CU_ASSERT_EQUAL(ready, LOOP_READ);
	CU_ASSERT_EQUAL(read(pipes[i][0], &c, 1), 1);
	note(".");
	loop_task_post(loop, &tasks[i]);
}

static void
test_late_is_last(void)
{
	static int	 index[2] = { 0, 1 };
	int		 i;

	begin();
	loop_task_init(&tasks[5], late, NULL);
	for (i = 0; i < 2; i++) {
		loop_task_init(&tasks[i], first_step, &index[i]);
		loop_task_init(&tasks[2 + i], second_step, 
		    letter("AB"[i]));
		CU_ASSERT_EQUAL_FATAL(pipe(pipes[i]), 0);
		watch[i] = loop_fd_new(loop, pipes[i][0], LOOP_READ, on_pipe,
		    &index[i]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(watch[i]);
		CU_ASSERT_EQUAL(write(pipes[i][1], "xx", 2), 2);
	}
	CU_ASSERT_EQUAL(loop_run_once(loop, 1), 0);
	CU_ASSERT_EQUAL(strlen(seen), 7);
	CU_ASSERT_TRUE(strcmp(seen, "..abABL") == 0 ||
	    strcmp(seen, "..baBAL") == 0);
	/* Level triggered: the second byte is seen next time. */
	CU_ASSERT_EQUAL(loop_run_once(loop, 1), 0);
	CU_ASSERT_EQUAL(strlen(seen), 14);
	CU_ASSERT_EQUAL(seen[13], 'L');
	for (i = 0; i < 2; i++) {
		loop_fd_free(&watch[i]);
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	loop_free(&loop);
}

static void
repost_late(void *arg)
{
	note("L");
	if (strlen(seen) < 3)
		loop_task_post_late(loop, &tasks[0]);
}

static void
test_late_reposted(void)
{
	begin();
	loop_task_init(&tasks[0], repost_late, NULL);
	loop_task_post_late(loop, &tasks[0]);
	loop_run_once(loop, 1);
	CU_ASSERT_STRING_EQUAL(seen, "L");
	loop_run(loop);
	CU_ASSERT_STRING_EQUAL(seen, "LLL");
	loop_free(&loop);
}

/* A task that posts itself for ever must not lock out a descriptor. */
static int	spins;

static void
spin(void *arg)
{
	spins++;
	loop_task_post(loop, &tasks[0]);
}

static void
on_pipe_stop(void *arg, int ready)
{
	loop_task_cancel(&tasks[0]);
	loop_stop(loop);
}

static void
test_tasks_do_not_starve(void)
{
	begin();
	spins = 0;
	CU_ASSERT_EQUAL_FATAL(pipe(pipes[0]), 0);
	watch[0] = loop_fd_new(loop, pipes[0][0], LOOP_READ, on_pipe_stop,
	    NULL);
	loop_task_init(&tasks[0], spin, NULL);
	loop_task_post(loop, &tasks[0]);
	loop_run_once(loop, 1);
	CU_ASSERT_TRUE(spins > 1 && spins < 100);
	CU_ASSERT_EQUAL(write(pipes[0][1], "x", 1), 1);
	loop_run(loop);
	CU_ASSERT_TRUE(spins < 200);
	loop_fd_free(&watch[0]);
	close(pipes[0][0]);
	close(pipes[0][1]);
	loop_free(&loop);
}

static void
post_next(void *arg)
{
	note("1");
	loop_task_post_next(loop, &tasks[1]);
}

static void
test_task_next(void)
{
	begin();
	loop_task_init(&tasks[0], post_next, NULL);
	loop_task_init(&tasks[1], note_arg, letter('2'));
	loop_task_post(loop, &tasks[0]);
	loop_run_once(loop, 1);
	CU_ASSERT_STRING_EQUAL(seen, "1");
	loop_run_once(loop, 1);
	CU_ASSERT_STRING_EQUAL(seen, "12");
	loop_free(&loop);
}

static void
free_own(void *arg)
{
	free(arg);
	note("f");
}

static void
test_task_frees_itself(void)
{
	struct loop_task	*t = xmalloc(sizeof(*t));

	begin();
	loop_task_init(t, free_own, t);
	loop_task_post(loop, t);
	loop_run(loop);
	CU_ASSERT_STRING_EQUAL(seen, "f");
	/* Dropped, not leaked. */
	loop_defer(loop, note_arg, letter('x'));
	loop_free(&loop);
	CU_ASSERT_STRING_EQUAL(seen, "f");
}

/* --- descriptors --------------------------------------------------------- */

static struct loop_fd	*own;
static int		 own_ready;

static void
on_own(void *arg, int ready)
{
	own_ready |= ready;
	if (ready & LOOP_WRITE)
		loop_fd_set(own, LOOP_READ);
	if (ready & LOOP_READ)
		loop_fd_free(&own);
}

static void
test_fd_changes(void)
{
	int	 fds[2];
	char	 c;

	begin();
	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	/* Watching nothing keeps no loop alive. */
	own = loop_fd_new(loop, fds[0], 0, on_own, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(own);
	CU_ASSERT_EQUAL(loop_run_once(loop, 1), 1);
	loop_fd_free(&own);

	own_ready = 0;
	own = loop_fd_new(loop, fds[1], LOOP_WRITE, on_own, NULL);
	loop_run_once(loop, 1);
	CU_ASSERT_EQUAL(own_ready, LOOP_WRITE);
	loop_fd_free(&own);

	/* A hang-up is readable. */
	own_ready = 0;
	own = loop_fd_new(loop, fds[0], LOOP_READ, on_own, NULL);
	close(fds[1]);
	loop_run(loop);
	CU_ASSERT_EQUAL(own_ready, LOOP_READ);
	CU_ASSERT_PTR_NULL(own);
	CU_ASSERT_EQUAL(read(fds[0], &c, 1), 0);
	close(fds[0]);
	loop_free(&loop);
}

static void
test_stop(void)
{
	struct loop_timer	*t;

	begin();
	t = loop_timer_new(loop, stop, NULL);
	loop_timer_start_periodic(t, 1);
	loop_defer(loop, note_arg, letter('a'));
	CU_ASSERT_EQUAL(loop_run(loop), 0);
	CU_ASSERT_STRING_EQUAL(seen, "a");
	CU_ASSERT_EQUAL(loop_run(loop), 0);	/* and once more */
	loop_timer_free(&t);
	loop_free(&loop);
}

/* --- signals and fork ---------------------------------------------------- */

static struct loop_signal	*sig;

static void
on_signal(void *arg, int signo)
{
	CU_ASSERT_EQUAL(signo, SIGUSR1);
	note("s");
	loop_signal_free(&sig);
}

static void
test_signal(void)
{
	begin();
	sig = loop_signal_new(loop, SIGUSR1, on_signal, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sig);
	raise(SIGUSR1);
	CU_ASSERT_STRING_EQUAL(seen, "");
	loop_run(loop);
	CU_ASSERT_STRING_EQUAL(seen, "s");
	CU_ASSERT_PTR_NULL(loop_signal_new(loop, 9999, on_signal, NULL));
	loop_free(&loop);
}

/* The child throws the loop away; the parent's must still see its pipe. */
static void
test_after_fork(void)
{
	int	 status;
	pid_t	 pid;

	begin();
	CU_ASSERT_EQUAL_FATAL(pipe(pipes[0]), 0);
	watch[0] = loop_fd_new(loop, pipes[0][0], LOOP_READ, on_pipe_stop,
	    NULL);
	loop_task_init(&tasks[0], late, NULL);
	if ((pid = fork()) == 0) {
		if (loop_after_fork(loop) != 0)
			_exit(1);
		loop_fd_free(&watch[0]);
		loop_free(&loop);
		_exit(0);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT_EQUAL(write(pipes[0][1], "x", 1), 1);
	alarm(10);
	CU_ASSERT_EQUAL(loop_run(loop), 0);
	alarm(0);
	loop_fd_free(&watch[0]);
	close(pipes[0][0]);
	close(pipes[0][1]);
	loop_free(&loop);
}

/* --- backoff ------------------------------------------------------------- */

static void
test_backoff(void)
{
	static const uint32_t	 base[] = { 100, 200, 400, 800, 1000, 1000 };
	struct backoff		 b = BACKOFF_INIT(100, 1000);
	uint64_t		 now = 5000;
	uint32_t		 d;
	size_t			 i;

	for (i = 0; i < NITEMS(base); i++, now += 10) {
		d = backoff_failed(&b, now);
		CU_ASSERT_TRUE(d >= base[i] && d <= base[i] + base[i] / 4);
	}
	/* A long quiet time forgives, and so does success. */
	d = backoff_failed(&b, now + BACKOFF_FORGIVE_MS);
	CU_ASSERT_TRUE(d <= 125);
	d = backoff_failed(&b, now + BACKOFF_FORGIVE_MS + 1);
	CU_ASSERT_TRUE(d >= 200);
	backoff_reset(&b);
	CU_ASSERT_TRUE(backoff_failed(&b, now + BACKOFF_FORGIVE_MS) <= 125);
}

static void
test_backoff_jitter(void)
{
	struct backoff	 b;
	uint32_t	 low = UINT32_MAX, high = 0, d;
	int		 i;

	for (i = 0; i < 500; i++) {
		b = (struct backoff)BACKOFF_INIT(1000, 4000000000u);
		d = backoff_failed(&b, 1);
		low = MIN(low, d);
		high = MAX(high, d);
	}
	CU_ASSERT_TRUE(low < 1030 && high > 1220 && high <= 1250);
	/* Doubling near the top of the type does not wrap. */
	b = (struct backoff)BACKOFF_INIT(3000000000u, 3200000000u);
	backoff_failed(&b, 1);
	CU_ASSERT_TRUE(backoff_failed(&b, 2) >= 3200000000u);
}

UNIT_MAIN("loop",
    { "an empty loop returns", test_empty },
    { "a timer is never early", test_timer_not_early },
    { "a timer can be set anew and stopped", test_timer_restart },
    { "a periodic timer may free itself", test_timer_periodic },
    { "a timer may free another that is due", test_timer_frees_other },
    { "tasks run in the order of posting", test_task_order },
    { "a task can cancel the next one", test_task_cancelled_by_task },
    { "a late task runs once, after all else", test_late_is_last },
    { "a late task posts itself for the next turn", test_late_reposted },
    { "endless tasks do not lock out input", test_tasks_do_not_starve },
    { "a task for the next iteration waits for it", test_task_next },
    { "a task may free itself", test_task_frees_itself },
    { "watchers change what they watch, see a hang-up, free themselves",
      test_fd_changes },
    { "loop_stop leaves, and the loop can go on", test_stop },
    { "a signal is one call from the loop", test_signal },
    { "a forked child does not disturb its parent's loop", test_after_fork },
    { "backoff doubles, ends at its maximum, forgives", test_backoff },
    { "backoff adds jitter", test_backoff_jitter })
