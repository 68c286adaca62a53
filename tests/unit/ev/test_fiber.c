/* test_fiber.c - tests of ev/fiber */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "ev/switch.h"
#include "unit.h"

static struct loop	*loop;
static char		 seen[256];	/* letters in the order of events */

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
end(void)
{
	CU_ASSERT_EQUAL(loop_run(loop), 0);
	CU_ASSERT_EQUAL(fiber_count(loop), 0);
	loop_free(&loop);
}

static void
note(const char *text)
{
	strncat(seen, text, sizeof(seen) - strlen(seen) - 1);
}

/* --- start, switch, end -------------------------------------------------- */

static void
yield_twice(void *arg)
{
	CU_ASSERT_PTR_NOT_NULL(fiber_self());
	CU_ASSERT_PTR_EQUAL(fiber_loop(fiber_self()), loop);
	note(arg);
	fiber_yield();
	note(arg);
	fiber_yield();
	note(arg);
}

static void
test_order(void)
{
	begin();
	fiber_spawn(loop, yield_twice, letter('a'));
	fiber_spawn(loop, yield_twice, letter('b'));
	CU_ASSERT_EQUAL(fiber_count(loop), 2);
	CU_ASSERT_STRING_EQUAL(seen, "");	/* not inside spawn */
	CU_ASSERT_PTR_NULL(fiber_self());
	end();
	CU_ASSERT_STRING_EQUAL(seen, "ababab");
}

static void
test_order_generic(void)
{
	switch_use_generic(1);
	test_order();
	switch_use_generic(0);
}

static void
spawn_child(void *arg)
{
	note("p");
	fiber_spawn(loop, yield_twice, letter('c'));
	note("q");
}

static void
test_spawn_in_fiber(void)
{
	begin();
	fiber_spawn(loop, spawn_child, NULL);
	end();
	CU_ASSERT_STRING_EQUAL(seen, "pqccc");
}

/* Registers, stack and floating point must survive switches. */
static void
compute(void *arg)
{
	unsigned	*out = arg, i, k;
	unsigned	 local[64], start = *out;
	double		 sum = 0;

	for (i = 0; i < 64; i++)
		local[i] = start * 1000 + i;
	for (k = 0; k < 50; k++) {
		sum += 1.0 / (start + k + 1);
		if (k % 3 == 0)
			fiber_yield();
		for (i = 0; i < 64; i++)
			if (local[i] != start * 1000 + i)
				return;
	}
	for (k = 0; k < 50; k++)
		sum -= 1.0 / (start + k + 1);
	if (sum < 1e-9 && sum > -1e-9)
		*out = 4242;
}

static void
check_compute(void)
{
	unsigned	 values[40], i;

	begin();
	for (i = 0; i < 40; i++) {
		values[i] = i;
		fiber_spawn(loop, compute, &values[i]);
	}
	end();
	for (i = 0; i < 40; i++)
		CU_ASSERT_EQUAL(values[i], 4242);
}

static void
test_compute(void)
{
	check_compute();
}

static void
test_compute_generic(void)
{
	switch_use_generic(1);
	check_compute();
	switch_use_generic(0);
}

static void
add_one(void *arg)
{
	(*(int *)arg)++;
}

static void
test_many(void)
{
	int	 n = 0, i, k;

	begin();
	for (k = 0; k < 5; k++) {
		for (i = 0; i < 1000; i++)
			fiber_spawn(loop, add_one, &n);
		loop_run(loop);
	}
	CU_ASSERT_EQUAL(n, 5000);
	end();
}

/* --- suspend and wake ---------------------------------------------------- */

static struct fiber	*sleeper;

static void
suspend_once(void *arg)
{
	sleeper = fiber_self();
	note("s");
	fiber_suspend();
	note("w");
}

static void
wake_sleeper(void *arg)
{
	note("1");
	fiber_wake(sleeper);
	fiber_wake(sleeper);
	note("2");
}

static void
test_wake(void)
{
	begin();
	fiber_spawn(loop, suspend_once, NULL);
	CU_ASSERT_EQUAL(loop_run(loop), 0);	/* nothing can happen */
	CU_ASSERT_EQUAL(fiber_count(loop), 1);
	fiber_spawn(loop, wake_sleeper, NULL);
	end();
	CU_ASSERT_STRING_EQUAL(seen, "s12w");
}

static void
wake_self_and_end(void *arg)
{
	fiber_wake(fiber_self());
	note("a");
	fiber_suspend();
	note("b");
	fiber_wake(fiber_self());
}

static void
test_wake_self(void)
{
	begin();
	fiber_spawn(loop, wake_self_and_end, NULL);
	end();
	CU_ASSERT_STRING_EQUAL(seen, "ab");
}

static void
suspend_with_memory(void *arg)
{
	/* Only this stack points to it while the fiber waits. */
	char	*p = xstrdup("memory of a waiting fiber");

	sleeper = fiber_self();
	fiber_suspend();
	free(p);
	note("!");
}

/* The loop goes away under fibers that wait, sleep, or have not begun. */
static void
sleep_long(void *arg)
{
	fiber_sleep_ms(1000000);
	note("!");
}

static void
test_loop_free_drops(void)
{
	begin();
	fiber_spawn(loop, sleep_long, NULL);
	fiber_spawn(loop, suspend_once, NULL);
	loop_run_once(loop, 0);
	fiber_spawn(loop, yield_twice, letter('n'));
	CU_ASSERT_EQUAL(fiber_count(loop), 3);
	loop_free(&loop);
	CU_ASSERT_STRING_EQUAL(seen, "s");
}

static void
sleep_3(void *arg)
{
	uint64_t	 start = clock_mono_us();

	fiber_sleep_ms(3);
	CU_ASSERT_TRUE(clock_mono_us() - start >= 3000);
	note("3");
}

static void
sleep_9(void *arg)
{
	uint64_t	 start = clock_mono_us();

	fiber_sleep_ms(9);
	CU_ASSERT_TRUE(clock_mono_us() - start >= 9000);
	note("9");
}

static void
sleep_0(void *arg)
{
	fiber_sleep_ms(0);
	note("0");
}

static void
test_sleep(void)
{
	begin();
	fiber_spawn(loop, sleep_9, NULL);
	fiber_spawn(loop, sleep_3, NULL);
	fiber_spawn(loop, sleep_0, NULL);
	end();
	CU_ASSERT_STRING_EQUAL(seen, "039");
}

/* A wake that was not meant for it must not shorten a sleep. */
static void
sleep_as_sleeper(void *arg)
{
	sleeper = fiber_self();
	sleep_9(NULL);
}

static void
test_sleep_is_not_shortened(void)
{
	begin();
	fiber_spawn(loop, sleep_as_sleeper, NULL);
	loop_run_once(loop, 0);
	fiber_wake(sleeper);
	end();
	CU_ASSERT_STRING_EQUAL(seen, "9");
}

/* --- conditions ---------------------------------------------------------- */

static struct fiber_cond	 cond;

static void
wait_cond(void *arg)
{
	fiber_cond_wait(&cond);
	note(arg);
}

static void
signal_one(void *arg)
{
	CU_ASSERT_EQUAL(fiber_cond_signal(&cond), 1);
	fiber_yield();
	note("-");
	CU_ASSERT_EQUAL(fiber_cond_broadcast(&cond), 2);
	CU_ASSERT_FALSE(fiber_cond_has_waiters(&cond));
	CU_ASSERT_EQUAL(fiber_cond_signal(&cond), 0);
	CU_ASSERT_EQUAL(fiber_cond_broadcast(&cond), 0);
}

static void
test_cond(void)
{
	begin();
	fiber_spawn(loop, wait_cond, letter('a'));
	fiber_spawn(loop, wait_cond, letter('b'));
	fiber_spawn(loop, wait_cond, letter('c'));
	fiber_spawn(loop, signal_one, NULL);
	end();
	CU_ASSERT_STRING_EQUAL(seen, "a-bc");
}

static void
wait_5ms(void *arg)
{
	uint64_t	 start = clock_mono_us();

	CU_ASSERT_EQUAL(fiber_cond_wait_until(&cond, loop_now_ms(loop) + 5),
	    ERR_TIMEOUT);
	CU_ASSERT_TRUE(clock_mono_us() - start >= 4000);
	note("t");
	CU_ASSERT_EQUAL(fiber_cond_wait_until(&cond, 0), ERR_TIMEOUT);
	note("t");
}

static void
wait_long(void *arg)
{
	CU_ASSERT_EQUAL(fiber_cond_wait_until(&cond,
	    loop_now_ms(loop) + 60000), 0);
	note("l");
	CU_ASSERT_EQUAL(fiber_cond_wait_until(&cond,
	    loop_now_ms(loop) + 1), ERR_TIMEOUT);
	note("m");
}

static void
signal_later(void *arg)
{
	fiber_sleep_ms(15);
	/* The one that timed out is no longer in the queue. */
	CU_ASSERT_EQUAL(fiber_cond_broadcast(&cond), 1);
}

static void
test_cond_deadline(void)
{
	begin();
	fiber_spawn(loop, wait_5ms, NULL);
	fiber_spawn(loop, wait_long, NULL);
	fiber_spawn(loop, signal_later, NULL);
	end();
	CU_ASSERT_STRING_EQUAL(seen, "ttlm");
	CU_ASSERT_FALSE(fiber_cond_has_waiters(&cond));
}

/* Signalled after its timer fired and before it ran: the signal counts. */
static void
wait_0ms(void *arg)
{
	CU_ASSERT_EQUAL(fiber_cond_wait_until(&cond, 0), 0);
	note("s");
}

static void
signal_from_timer(void *arg)
{
	CU_ASSERT_EQUAL(fiber_cond_signal(&cond), 1);
}

static void
test_cond_signal_wins(void)
{
	struct loop_timer	*t;

	begin();
	fiber_spawn(loop, wait_0ms, NULL);
	loop_run_once(loop, 0);		/* it waits, with a timer that is due */
	t = loop_timer_new(loop, signal_from_timer, NULL);
	loop_timer_start(t, 0);		/* due a little later */
	usleep(2000);			/* both are called in one iteration */
	loop_run_once(loop, 1);
	CU_ASSERT_STRING_EQUAL(seen, "s");
	loop_timer_free(&t);
	end();
}

static void
wait_spurious(void *arg)
{
	sleeper = fiber_self();
	fiber_cond_wait(&cond);
	note("r");
}

static void
test_cond_ignores_wake(void)
{
	begin();
	fiber_spawn(loop, wait_spurious, NULL);
	loop_run(loop);
	fiber_wake(sleeper);
	loop_run(loop);
	CU_ASSERT_STRING_EQUAL(seen, "");
	CU_ASSERT_EQUAL(fiber_cond_signal(&cond), 1);
	end();
	CU_ASSERT_STRING_EQUAL(seen, "r");
}

/* The condition is freed by whoever broadcasts. */
static void
wait_heap(void *arg)
{
	fiber_cond_wait(arg);
	note("h");
}

static void
test_cond_freed(void)
{
	struct fiber_cond	*c = xcalloc(1, sizeof(*c));

	begin();
	fiber_spawn(loop, wait_heap, c);
	fiber_spawn(loop, wait_heap, c);
	loop_run(loop);
	CU_ASSERT_EQUAL(fiber_cond_broadcast(c), 2);
	free(c);
	end();
	CU_ASSERT_STRING_EQUAL(seen, "hh");
}

/* --- mutexes ------------------------------------------------------------- */

static struct fiber_mutex	 mutex;
static int			 inside;

static void
use_mutex(void *arg)
{
	int	 i;

	for (i = 0; i < 3; i++) {
		fiber_mutex_lock(&mutex);
		CU_ASSERT_EQUAL(inside++, 0);
		note(arg);
		fiber_yield();
		fiber_yield();
		inside--;
		fiber_mutex_unlock(&mutex);
	}
}

static void
test_mutex(void)
{
	begin();
	fiber_spawn(loop, use_mutex, letter('a'));
	fiber_spawn(loop, use_mutex, letter('b'));
	fiber_spawn(loop, use_mutex, letter('c'));
	end();
	/* First come, first served, though each comes back at once. */
	CU_ASSERT_STRING_EQUAL(seen, "abcabcabc");
	CU_ASSERT_PTR_NULL(mutex.owner);
}

static void
hold_mutex(void *arg)
{
	CU_ASSERT_EQUAL(fiber_mutex_try_lock(&mutex), 1);
	fiber_sleep_ms(10);
	fiber_mutex_unlock(&mutex);
}

static void
try_mutex(void *arg)
{
	CU_ASSERT_EQUAL(fiber_mutex_try_lock(&mutex), 0);
	CU_ASSERT_EQUAL(fiber_mutex_lock_until(&mutex,
	    loop_now_ms(loop) + 3), ERR_TIMEOUT);
	CU_ASSERT_EQUAL(fiber_mutex_lock_until(&mutex,
	    loop_now_ms(loop) + 60000), 0);
	note("g");
	fiber_mutex_unlock(&mutex);
}

static void
test_mutex_deadline(void)
{
	begin();
	fiber_spawn(loop, hold_mutex, NULL);
	fiber_spawn(loop, try_mutex, NULL);
	end();
	CU_ASSERT_STRING_EQUAL(seen, "g");
	CU_ASSERT_PTR_NULL(mutex.owner);
}

/* --- groups -------------------------------------------------------------- */

static void
member(void *arg)
{
	fiber_sleep_ms(*(unsigned *)arg);
	note("m");
}

static void
wait_group(void *arg)
{
	static unsigned		 ms[3] = { 8, 2, 5 };
	struct fiber_group	 g = FIBER_GROUP_INIT;
	int			 i;

	fiber_group_wait(&g);		/* nobody: at once */
	for (i = 0; i < 3; i++)
		fiber_group_spawn(&g, loop, member, &ms[i]);
	CU_ASSERT_EQUAL(fiber_group_wait_until(&g, loop_now_ms(loop) + 1),
	    ERR_TIMEOUT);
	note("t");
	fiber_group_wait(&g);
	CU_ASSERT_EQUAL(g.running, 0);
	note("g");
}

static void
test_group(void)
{
	begin();
	fiber_spawn(loop, wait_group, NULL);
	end();
	CU_ASSERT_STRING_EQUAL(seen, "tmmmg");
}

/* --- stacks -------------------------------------------------------------- */

static void
measure_stack(void *arg)
{
	*(size_t *)arg = fiber_stack_left();
}

static void
test_stack_size(void)
{
	size_t	 left = 0;

	CU_ASSERT_EQUAL(fiber_stack_left(), SIZE_MAX);
	begin();
	fiber_spawn(loop, measure_stack, &left);
	loop_run(loop);
	CU_ASSERT_TRUE(left > 200 * 1024 && left <= 256 * 1024);
	/* A pooled stack of the old size is not used for the new one. */
	fiber_set_stack_bytes(1000 * 1000);
	fiber_spawn(loop, measure_stack, &left);
	loop_run(loop);
	CU_ASSERT_TRUE(left > 900 * 1000 && left <= 1004 * 1000);
	fiber_set_stack_bytes(256 * 1024);
	end();
}

/* Touch the lowest byte of the stack, then the one below. */
static void
touch_below(void *arg)
{
	volatile char	*low;
	ssize_t		 n;

	low = (char *)__builtin_frame_address(0) - fiber_stack_left();
	/* The frame of fiber_stack_left() was below ours: look for the end of
	 * the page. */
	low -= (uintptr_t)low % 4096;
	n = write(*(int *)arg, "a", 1);
	low[4096] = 1;
	n += write(*(int *)arg, "b", 1);
	low[-1] = 1;
	n += write(*(int *)arg, "c", 1);
	_exit(n == 3 ? 0 : 1);
}

static void
suspend_for_ever(void *arg)
{
	fiber_suspend();
}

static void
test_guard_page(void)
{
	struct rlimit	 none = { 0, 0 };
	char		 text[8] = "";
	int		 status, fds[2];
	pid_t		 pid;

	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	if ((pid = fork()) == 0) {
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		close(STDERR_FILENO);
		loop = loop_new();
		/* Among others, so that something is mapped below. */
		fiber_spawn(loop, suspend_for_ever, NULL);
		fiber_spawn(loop, touch_below, &fds[1]);
		fiber_spawn(loop, suspend_for_ever, NULL);
		loop_run(loop);
		_exit(0);
	}
	close(fds[1]);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_TRUE(WIFSIGNALED(status));
	CU_ASSERT_EQUAL(read(fds[0], text, 3), 2);
	CU_ASSERT_STRING_EQUAL(text, "ab");
	close(fds[0]);
}

/* --- cost ---------------------------------------------------------------- */

#define COST_SWITCHES	200000

static void
switch_often(void *arg)
{
	int	 i;

	for (i = 0; i < COST_SWITCHES; i++) {
		fiber_wake(fiber_self());
		fiber_suspend();
	}
}

static void
test_cost(void)
{
	uint64_t	 start;
	double		 ns_switch, ns_spawn;
	int		 n = 0, i;

	begin();
	/* Without the loop's own system call: only the tasks are timed, eight
	 * rounds of them in each iteration. */
	start = clock_mono_ns();
	fiber_spawn(loop, switch_often, NULL);
	loop_run(loop);
	ns_switch = (double)(clock_mono_ns() - start) / COST_SWITCHES;
	start = clock_mono_ns();
	for (i = 0; i < 100; i++) {
		int	 k;

		for (k = 0; k < 200; k++)
			fiber_spawn(loop, add_one, &n);
		loop_run_once(loop, 0);
	}
	ns_spawn = (double)(clock_mono_ns() - start) / 20000;
	CU_ASSERT_EQUAL(n, 20000);
	printf("# suspend and resume %.0f ns, spawn and run %.0f ns\n",
	    ns_switch, ns_spawn);
	/* Far above what it takes, so that a busy machine does not fail. */
	CU_ASSERT_TRUE(ns_switch < 20000 && ns_spawn < 20000);
	end();
}

/* In a build with sanitizers: 0 when nothing has leaked so far. */
int	__lsan_do_recoverable_leak_check(void) __attribute__((weak));

static void
test_memory_of_waiting(void)
{
	begin();
	fiber_spawn(loop, suspend_with_memory, NULL);
	loop_run(loop);
	CU_ASSERT_EQUAL(fiber_count(loop), 1);
	if (__lsan_do_recoverable_leak_check != NULL)
		CU_ASSERT_EQUAL(__lsan_do_recoverable_leak_check(), 0);
	fiber_wake(sleeper);
	end();
	CU_ASSERT_STRING_EQUAL(seen, "!");
}

UNIT_MAIN("fiber",
    { "fibers take turns in order", test_order },
    { "fibers take turns in order (generic switch)", test_order_generic },
    { "a fiber can start another", test_spawn_in_fiber },
    { "locals and floating point survive switches", test_compute },
    { "locals and floating point survive switches (generic)",
      test_compute_generic },
    { "thousands of fibers run and their stacks are used again", test_many },
    { "a wake never runs inside its caller, twice is once", test_wake },
    { "a fiber that wakes itself goes on", test_wake_self },
    { "loop_free drops waiting fibers", test_loop_free_drops },
    { "sleeps end in order of time, never early", test_sleep },
    { "a wake does not shorten a sleep", test_sleep_is_not_shortened },
    { "signal wakes the first, broadcast the rest", test_cond },
    { "a deadline ends a wait", test_cond_deadline },
    { "a signal counts more than a timeout", test_cond_signal_wins },
    { "a wake does not end a wait for a condition", test_cond_ignores_wake },
    { "a condition may be freed after a broadcast", test_cond_freed },
    { "a mutex is first come, first served", test_mutex },
    { "a mutex can be waited for with a deadline", test_mutex_deadline },
    { "a group ends with its last member", test_group },
    { "stacks have the size that was set", test_stack_size },
    { "below a stack is a page that cannot be touched", test_guard_page },
    { "fibers are cheap", test_cost },
    { "memory that only a waiting fiber knows is no leak",
      test_memory_of_waiting })
