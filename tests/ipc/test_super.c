/* test_super.c - the supervisor with children that behave, and others */
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "ev/loop.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "proc/proc.h"
#include "unit.h"

#define TEST_MS	20000

/* One byte into a pipe that somebody looks at. */
static void
tell(int fd, const char *byte)
{
	if (write(fd, byte, 1) != 1)
		_exit(PROC_EXIT_IO);
}

/* ---- children ----------------------------------------------------------- */

static int
good_main(struct proc_child *c, void *arg, struct rbuf *config)
{
	char	 word[16];

	if (get_str(config, word, sizeof(word)) != 0 ||
	    get_end(config) != 0 || strcmp(word, "hello") != 0)
		return proc_child_fail(c, PROC_EXIT_CONFIG, "no hello");
	proc_child_ready(c);
	(void)loop_run(c->loop);
	return PROC_EXIT_OK;
}

static void
do_nothing(void *arg, enum proc_stop_why why)
{
}

static int
deaf_main(struct proc_child *c, void *arg, struct rbuf *config)
{
	proc_child_on_stop(c, do_nothing, NULL);
	proc_child_ready(c);
	(void)loop_run(c->loop);
	return PROC_EXIT_OK;
}

static int
slow_main(struct proc_child *c, void *arg, struct rbuf *config)
{
	(void)loop_run(c->loop);	/* never READY */
	return PROC_EXIT_OK;
}

static int
broken_main(struct proc_child *c, void *arg, struct rbuf *config)
{
	return proc_child_fail(c, PROC_EXIT_NO_SPACE, "the disk of %s is full",
	    c->name);
}

static int
crash_main(struct proc_child *c, void *arg, struct rbuf *config)
{
	proc_child_ready(c);
	(void)peer_flush(c->boss, 1000);
	_exit(PROC_EXIT_IO);
}

static int
progress_main(struct proc_child *c, void *arg, struct rbuf *config)
{
	proc_child_ready(c);
	proc_child_progress(c);
	(void)peer_flush(c->boss, 1000);
	_exit(PROC_EXIT_IO);
}

static int
term_main(struct proc_child *c, void *arg, struct rbuf *config)
{
	proc_child_ready(c);
	(void)peer_flush(c->boss, 1000);
	signal(SIGTERM, SIG_DFL);
	kill(getpid(), SIGTERM);
	pause();
	return PROC_EXIT_OK;
}

static int
babbling_main(struct proc_child *c, void *arg, struct rbuf *config)
{
	proc_child_ready(c);
	(void)peer_send(c->boss, MSG_CMD_STATUS_REQ, 0, NULL, 0);
	(void)loop_run(c->loop);
	return PROC_EXIT_OK;
}

static int
twice_ready_main(struct proc_child *c, void *arg, struct rbuf *config)
{
	proc_child_ready(c);
	(void)peer_send(c->boss, MSG_PROC_READY, 0, NULL, 0);
	(void)loop_run(c->loop);
	return PROC_EXIT_OK;
}

static int
echo_generation_main(struct proc_child *c, void *arg, struct rbuf *config)
{
	/* A word of the process before this one. */
	peer_set_generation(c->boss, c->generation - 1);
	(void)peer_send(c->boss, MSG_CMD_STATUS_REQ, 0, NULL, 0);
	peer_set_generation(c->boss, c->generation);
	proc_child_ready(c);
	(void)loop_run(c->loop);
	return PROC_EXIT_OK;
}

/* Tells what a child has: open descriptors and signal dispositions. */
static int
inspect_main(struct proc_child *c, void *arg, struct rbuf *config)
{
	struct sigaction	 sa;
	sigset_t		 mask;
	struct stat		 st;
	int			 fd;

	for (fd = PROC_FD_FIRST_OTHER + 1; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) != -1 && fd != log_fd() &&
		    (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0)
			return proc_child_fail(c, PROC_EXIT_START,
			    "descriptor %d is open", fd);
	if (fstat(PROC_FD_CONTROL, &st) == -1 || !S_ISSOCK(st.st_mode) ||
	    fstat(PROC_FD_DATA_LOCK, &st) == -1 || !S_ISCHR(st.st_mode) ||
	    fstat(PROC_FD_FIRST_OTHER, &st) == -1 || !S_ISFIFO(st.st_mode))
		return proc_child_fail(c, PROC_EXIT_START,
		    "descriptors are not those of the contract");
	sigaction(SIGCHLD, NULL, &sa);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	if (sa.sa_handler != SIG_DFL || sigismember(&mask, SIGCHLD))
		return proc_child_fail(c, PROC_EXIT_START,
		    "signals are those of the supervisor");
	sigaction(SIGPIPE, NULL, &sa);
	if (sa.sa_handler != SIG_IGN)
		return proc_child_fail(c, PROC_EXIT_START, "SIGPIPE");
	tell(PROC_FD_FIRST_OTHER, "x");
	proc_child_ready(c);
	(void)loop_run(c->loop);
	return PROC_EXIT_OK;
}

static void
note(void *arg)
{
	tell(PROC_FD_FIRST_OTHER, arg);
}

static int
hooks_main(struct proc_child *c, void *arg, struct rbuf *config)
{
	static char	 reload[] = "r", dump[] = "d";

	proc_child_on_reload(c, note, reload);
	proc_child_on_dump(c, note, dump);
	proc_child_ready(c);
	(void)loop_run(c->loop);
	return PROC_EXIT_OK;
}

/* ---- the frame of a test ------------------------------------------------ */

static struct super	*super;
static struct poll_timer watchdog;
static int		 ready_count, down_count, failed_count, waiting_count;
static uint64_t		 times[PROC_STATE_COUNT];	/* last entry */
static int		 stop_after_ready, stop_after_down, stop_after_failed;
static int		 pipe_fds[2] = { -1, -1 };

static void
say_hello(struct proc *p, struct buf *out)
{
	put_str(out, "hello");
}

static int
give_pipe(struct proc *p, int *fds)
{
	fds[0] = pipe_fds[1];
	return 1;
}

static void
on_changed(struct proc *p, enum proc_state from)
{
	enum proc_state	 now = proc_state(p);

	if (now == from)
		return;
	times[now] = clock_mono_ms();
	ready_count += now == PROC_READY;
	down_count += now == PROC_DOWN;
	failed_count += now == PROC_FAILED;
	waiting_count += now == PROC_WAITING;
	if ((now == PROC_READY && ready_count == stop_after_ready) ||
	    (now == PROC_DOWN && down_count == stop_after_down) ||
	    (now == PROC_FAILED && failed_count == stop_after_failed))
		super_stop(super, 0);
}

static void
on_watchdog(void *arg)
{
	CU_FAIL("the test takes too long");
	super_stop(super, 99);
}

static struct proc_class
class_of(int (*main)(struct proc_child *, void *, struct rbuf *))
{
	struct proc_class	 c;

	memset(&c, 0, sizeof(c));
	c.name = "test";
	c.main = main;
	c.changed = on_changed;
	c.backoff_min_ms = 10;
	c.backoff_max_ms = 20;
	c.deaths_window_ms = 60000;
	return c;
}

static void
begin_hooks(const struct super_hooks *hooks)
{
	log_set_level(LOG_LEVEL_ERROR);
	if (getenv("VERBOSE") == NULL && log_fd() == STDERR_FILENO)
		(void)log_open("/dev/null");
	super = super_new(hooks, NULL);
	poll_timer_init(&watchdog, super_pollset(super), on_watchdog, NULL);
	poll_timer_start(&watchdog, TEST_MS);
	ready_count = down_count = failed_count = waiting_count = 0;
	stop_after_ready = stop_after_down = stop_after_failed = -1;
}

static void
begin(void)
{
	begin_hooks(NULL);
}

/* One turn; false when the watchdog has barked. */
static bool
turn(void)
{
	(void)pollset_run_once(super_pollset(super), 1000);
	return poll_timer_is_running(&watchdog);
}

static int
finish(void)
{
	int	 code = super_run(super);

	poll_timer_stop(&watchdog);
	super_free(&super);
	return code;
}

/* ---- tests -------------------------------------------------------------- */

static void
test_life(void)
{
	struct proc_class	 c = class_of(good_main);
	struct proc		*p;

	begin();
	c.config = say_hello;
	p = super_add(super, &c, "one", NULL);
	CU_ASSERT_EQUAL(proc_state(p), PROC_DOWN);
	CU_ASSERT_EQUAL(proc_start(p), 0);
	CU_ASSERT_EQUAL(proc_state(p), PROC_STARTING);
	CU_ASSERT_EQUAL(proc_start(p), 0);
	stop_after_ready = 1;
	CU_ASSERT_EQUAL(finish(), 0);
	CU_ASSERT_EQUAL(ready_count, 1);
	CU_ASSERT_EQUAL(down_count, 1);
}

static void
test_last_words(void)
{
	struct proc_class	 c = class_of(broken_main);
	struct proc		*p;

	begin();
	p = super_add(super, &c, "shard", NULL);
	stop_after_down = 1;
	(void)proc_start(p);
	(void)super_run(super);
	CU_ASSERT_TRUE(proc_end(p)->ended);
	CU_ASSERT_FALSE(proc_end(p)->signaled);
	CU_ASSERT_FALSE(proc_end(p)->was_ready);
	CU_ASSERT_EQUAL(proc_end(p)->code, PROC_EXIT_NO_SPACE);
	CU_ASSERT_STRING_EQUAL(proc_end(p)->text,
	    "exit 13 (no-space): the disk of shard is full");
	poll_timer_stop(&watchdog);
	super_free(&super);
}

static void
test_ready_deadline(void)
{
	struct proc_class	 c = class_of(slow_main);
	struct proc		*p;

	begin();
	c.ready_ms = 100;
	p = super_add(super, &c, "slow", NULL);
	stop_after_down = 1;
	(void)proc_start(p);
	(void)super_run(super);
	CU_ASSERT_TRUE(proc_end(p)->signaled);
	CU_ASSERT_EQUAL(proc_end(p)->code, SIGKILL);
	CU_ASSERT_STRING_EQUAL(proc_end(p)->text, "killed by SIGKILL");
	poll_timer_stop(&watchdog);
	super_free(&super);
}

static void
test_restart_at_once(void)
{
	struct proc_class	 c = class_of(crash_main);
	uint64_t		 t;

	/* READY, death, at once READY, death, then slower. */
	begin();
	c.restart = PROC_RESTART_ALWAYS;
	c.backoff_min_ms = 300;
	c.backoff_max_ms = 1000;
	stop_after_ready = 2;
	t = clock_mono_ms();
	(void)proc_start(super_add(super, &c, "crash", NULL));
	(void)finish();
	CU_ASSERT_TRUE(clock_mono_ms() - t < 290);
	begin();
	stop_after_ready = 3;
	t = clock_mono_ms();
	(void)proc_start(super_add(super, &c, "crash", NULL));
	(void)finish();
	CU_ASSERT_TRUE(clock_mono_ms() - t >= 300);
}

static void
test_failed(void)
{
	struct proc_class	 c = class_of(crash_main);
	struct proc		*p;

	begin();
	c.restart = PROC_RESTART_ALWAYS;
	c.deaths_max = 4;
	stop_after_failed = 1;
	p = super_add(super, &c, "crash", NULL);
	(void)proc_start(p);
	(void)super_run(super);
	CU_ASSERT_EQUAL(ready_count, 4);
	CU_ASSERT_EQUAL(waiting_count, 3);
	CU_ASSERT_EQUAL(proc_end(p)->code, PROC_EXIT_IO);
	CU_ASSERT_PTR_NOT_NULL(strstr(proc_end(p)->text, "disk failed"));
	poll_timer_stop(&watchdog);
	super_free(&super);
	/* A failed one is tried again after its time. */
	begin();
	c.deaths_max = 2;
	c.retry_failed_ms = 50;
	stop_after_failed = 2;
	(void)proc_start(super_add(super, &c, "crash", NULL));
	(void)finish();
	CU_ASSERT_EQUAL(ready_count, 4);
	CU_ASSERT_TRUE(times[PROC_FAILED] >= times[PROC_READY]);
}

static void
test_not_counted(void)
{
	struct proc_class	 c = class_of(term_main);

	begin();
	c.restart = PROC_RESTART_ALWAYS;
	c.deaths_max = 2;
	stop_after_ready = 5;
	(void)proc_start(super_add(super, &c, "term", NULL));
	(void)finish();
	CU_ASSERT_EQUAL(ready_count, 5);
	CU_ASSERT_EQUAL(failed_count, 0);
	/* Nor do deaths count that had progress before. */
	c = class_of(progress_main);
	begin();
	c.restart = PROC_RESTART_ALWAYS;
	c.deaths_max = 2;
	stop_after_ready = 5;
	(void)proc_start(super_add(super, &c, "progress", NULL));
	(void)finish();
	CU_ASSERT_EQUAL(failed_count, 0);
}

static void
test_kill(void)
{
	struct proc_class	 c = class_of(good_main);
	struct proc		*p;

	begin();
	c.config = say_hello;
	c.restart = PROC_RESTART_ALWAYS;
	p = super_add(super, &c, "one", NULL);
	(void)proc_start(p);
	while (proc_state(p) != PROC_READY && turn())
		;
	CU_ASSERT_EQUAL(proc_pause(p), 0);
	while (!proc_is_paused(p) && turn())
		;
	CU_ASSERT_EQUAL(proc_resume(p), 0);
	while (proc_is_paused(p) && turn())
		;
	proc_kill(p);
	while (proc_state(p) != PROC_DOWN && turn())
		;
	CU_ASSERT_EQUAL(waiting_count, 0);
	CU_ASSERT_EQUAL(proc_pid(p), 0);
	CU_ASSERT_EQUAL(proc_pause(p), ERR_BAD_STATE);
	proc_remove(&p);
	CU_ASSERT_PTR_NULL(super_first(super));
	super_stop(super, 3);
	CU_ASSERT_EQUAL(finish(), 3);
}

static void
test_bad_child(void)
{
	int	(*const mains[])(struct proc_child *, void *,
		    struct rbuf *) = { babbling_main, twice_ready_main };
	struct proc_class	 c;
	struct proc		*p;
	size_t			 i;

	for (i = 0; i < NITEMS(mains); i++) {
		begin();
		c = class_of(mains[i]);
		p = super_add(super, &c, "bad", NULL);
		stop_after_down = 1;
		(void)proc_start(p);
		(void)super_run(super);
		CU_ASSERT_TRUE(proc_end(p)->signaled);
		CU_ASSERT_EQUAL(proc_end(p)->code, SIGKILL);
		CU_ASSERT_PTR_NOT_NULL(strstr(proc_end(p)->text,
		    "for what it sent"));
		poll_timer_stop(&watchdog);
		super_free(&super);
	}
}

static void
test_generation(void)
{
	struct proc_class	 c = class_of(echo_generation_main);
	struct proc		*p;

	begin();
	p = super_add(super, &c, "late", NULL);
	stop_after_ready = 1;
	(void)proc_start(p);
	CU_ASSERT_EQUAL(proc_generation(p), 1);
	(void)super_run(super);
	/* Ended in order: the stale frame did it no harm. */
	CU_ASSERT_FALSE(proc_end(p)->signaled);
	CU_ASSERT_EQUAL(proc_end(p)->code, PROC_EXIT_OK);
	poll_timer_stop(&watchdog);
	super_free(&super);
}

static void
test_stop_phases(void)
{
	struct proc_class	 first = class_of(good_main);
	struct proc_class	 deaf = class_of(deaf_main);
	struct proc_class	 last = class_of(good_main);
	struct proc		*a, *b, *d;
	uint64_t		 t;

	begin();
	first.config = last.config = say_hello;
	deaf.stop_phase = 1;
	deaf.drain_ms = 100;
	deaf.term_ms = 100;
	last.stop_phase = 2;
	a = super_add(super, &last, "last", NULL);
	b = super_add(super, &first, "first", NULL);
	d = super_add(super, &deaf, "deaf", NULL);
	(void)proc_start(a);
	(void)proc_start(b);
	(void)proc_start(d);
	stop_after_ready = 3;
	while (!super_is_stopping(super) && turn())
		;
	t = clock_mono_ms();
	CU_ASSERT_EQUAL(proc_state(a), PROC_READY);
	CU_ASSERT_EQUAL(proc_state(b), PROC_STOPPING);
	CU_ASSERT_EQUAL(proc_state(d), PROC_READY);
	while (proc_state(d) != PROC_STOPPING && turn())
		;
	CU_ASSERT_EQUAL(proc_state(b), PROC_DOWN);
	CU_ASSERT_EQUAL(proc_state(a), PROC_READY);
	CU_ASSERT_EQUAL(proc_start(b), ERR_BAD_STATE);
	(void)super_run(super);
	/* STOP was ignored, and so was SIGTERM. */
	CU_ASSERT_TRUE(proc_end(d)->signaled);
	CU_ASSERT_EQUAL(proc_end(d)->code, SIGKILL);
	CU_ASSERT_TRUE(clock_mono_ms() - t >= 200);
	CU_ASSERT_EQUAL(proc_end(a)->code, PROC_EXIT_OK);
	CU_ASSERT_FALSE(proc_end(a)->signaled);
	poll_timer_stop(&watchdog);
	super_free(&super);
}

static void
test_clean_child(void)
{
	struct proc_class	 c = class_of(inspect_main);
	struct proc		*p;
	char			 x;

	CU_ASSERT_EQUAL_FATAL(pipe2(pipe_fds, O_NONBLOCK), 0);
	begin();
	c.fds = give_pipe;
	p = super_add(super, &c, "clean", NULL);
	stop_after_ready = stop_after_down = 1;
	(void)proc_start(p);
	(void)super_run(super);
	CU_ASSERT_STRING_EQUAL(proc_end(p)->text,
	    "exit 0 (ok): it ended in order");
	if (proc_end(p)->code != 0)
		printf("# %s\n", proc_end(p)->text);
	CU_ASSERT_EQUAL(read(pipe_fds[0], &x, 1), 1);
	poll_timer_stop(&watchdog);
	super_free(&super);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static int	reloads, dumps;

static void
hook_reload(void *arg)
{
	reloads++;
	super_reload_children(super);
}

static void
hook_dump(void *arg)
{
	dumps++;
}

static void
test_signals(void)
{
	static const struct super_hooks	 hooks = {
		.reload = hook_reload, .dump = hook_dump
	};
	struct proc_class	 c = class_of(hooks_main);
	struct proc		*p;
	char			 got[2];

	CU_ASSERT_EQUAL_FATAL(pipe2(pipe_fds, O_NONBLOCK), 0);
	begin_hooks(&hooks);
	c.fds = give_pipe;
	p = super_add(super, &c, "hooks", NULL);
	(void)proc_start(p);
	while (proc_state(p) != PROC_READY && turn())
		;
	reloads = dumps = 0;
	kill(getpid(), SIGHUP);
	while (reloads == 0 && turn())
		;
	kill(getpid(), SIGUSR1);
	while (dumps == 0 && turn())
		;
	kill(getpid(), SIGTERM);
	CU_ASSERT_EQUAL(finish(), 0);
	CU_ASSERT_EQUAL(read(pipe_fds[0], got, 2), 2);
	CU_ASSERT_EQUAL(memcmp(got, "rd", 2), 0);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void
test_orphan(void)
{
	struct proc_class	 c = class_of(good_main);
	struct proc		*p;
	uint64_t		 t;
	pid_t			 middle;
	char			 x;

	/* The pipe is open in the child of a supervisor that is killed: its end
	 * tells when that child has gone. */
	CU_ASSERT_EQUAL_FATAL(pipe(pipe_fds), 0);
	fflush(NULL);
	if ((middle = fork()) == 0) {
		begin();
		c.config = say_hello;
		c.fds = give_pipe;
		p = super_add(super, &c, "orphan", NULL);
		(void)proc_start(p);
		while (proc_state(p) != PROC_READY && turn())
			;
		kill(getpid(), SIGKILL);
	}
	close(pipe_fds[1]);
	waitpid(middle, NULL, 0);
	t = clock_mono_ms();
	CU_ASSERT_EQUAL(read(pipe_fds[0], &x, 1), 0);
	CU_ASSERT_TRUE(clock_mono_ms() - t < PROC_ORPHAN_MS);
	close(pipe_fds[0]);
}

static void
test_sentences(void)
{
	int	 code, other;

	for (code = 0; code <= PROC_EXIT_START; code++) {
		if (strncmp(proc_exit_name(code), "code-", 5) == 0)
			continue;
		CU_ASSERT_TRUE(strlen(proc_exit_text(code)) > 10);
		for (other = 0; other < code; other++)
			if (strncmp(proc_exit_name(other), "code-", 5) != 0)
				CU_ASSERT_STRING_NOT_EQUAL(
				    proc_exit_text(code),
				    proc_exit_text(other));
	}
	CU_ASSERT_STRING_EQUAL(proc_exit_name(PROC_EXIT_TLS), "tls");
	CU_ASSERT_STRING_EQUAL(proc_exit_name(77), "code-77");
	CU_ASSERT_TRUE(strlen(proc_exit_text(77)) > 10);
}

static const struct unit_test tests[] = {
	{ "a child gets its configuration, serves, and stops", test_life },
	{ "last words come with the exit code", test_last_words },
	{ "a child that is not ready in time is killed", test_ready_deadline },
	{ "restarts are immediate once, then slower", test_restart_at_once },
	{ "too many deaths are a failure, tried again later", test_failed },
	{ "SIGTERM, SIGKILL and deaths after progress do not count",
	  test_not_counted },
	{ "a killed child stays down; pause and resume are seen", test_kill },
	{ "a bad message ends the child that sent it", test_bad_child },
	{ "frames of an older generation are dropped", test_generation },
	{ "stopping goes by phases, then SIGTERM, then SIGKILL",
	  test_stop_phases },
	{ "a child has its own descriptors and signals only",
	  test_clean_child },
	{ "SIGHUP, SIGUSR1 and SIGTERM do what they should", test_signals },
	{ "children of a killed supervisor leave", test_orphan },
	{ "every exit code has a sentence", test_sentences }
};

int
main(void)
{
	proc_reserve_fds();
	return unit_run("super", tests, NITEMS(tests));
}
