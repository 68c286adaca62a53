/* test_mesh.c - members that are started, connected, killed and stopped */
#include <sys/mman.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "ev/loop.h"
#include "proc/mesh.h"
#include "unit.h"

#define TEST_MS	20000

enum { GOVERNOR, WORKER, FORBIDDEN, USELESS, CLASSES };

/* Seen by all processes: what happened. */
struct shared {
	int		 connects[4];		/* of governor, a, b */
	uint32_t	 last_generation;	/* of a, as the governor saw it */
	int		 words;			/* that b got from a */
	int		 files;			/* that the governor got */
	char		 file_byte;
	int		 downs;			/* members seen going down */
	bool		 sum_is_right;
	int		 config_good;
	int		 older;			/* generations that went back */
	int		 story;			/* how far the governor is */
};

static struct shared	*shared;

/* ---- workers: a talks to b and to the governor ----------------------------- */

static struct loop_fd	*watch;

static void
on_words(void *arg, int ready)
{
	char	 c;
	int	 fd = *(int *)arg;

	if (read(fd, &c, 1) == 1) {
		shared->words++;
		if (c == 'x')		/* the governor's way to end us */
			kill(getpid(), SIGKILL);
	} else
		loop_fd_set(watch, 0);
}

static void
worker_connect(void *arg, const char *name, unsigned class,
    uint32_t generation, int fd)
{
	struct member	*m = arg;
	static int	 kept;
	bool		 is_a = strcmp(m->child->name, "a") == 0;

	shared->connects[is_a ? 1 : 2]++;
	if (is_a && class == WORKER && write(fd, "w", 1) != 1)
		return;
	if (is_a && class == WORKER)
		return;
	kept = fd;
	loop_fd_free(&watch);
	watch = loop_fd_new(m->child->loop, kept, LOOP_READ, on_words, &kept);
}

static int
worker_main(struct member *m)
{
	if (m->config_len == 3 && memcmp(m->config, "cfg", 3) == 0)
		shared->config_good++;
	member_on_connect(m, worker_connect, m);
	member_ready(m);
	(void)loop_run(m->child->loop);
	return PROC_EXIT_OK;
}

/* ---- the governor ------------------------------------------------------------ */

static int	 gov_fd = -1;	/* to a */

static void
gov_connect(void *arg, const char *name, unsigned class, uint32_t generation,
    int fd)
{
	if (strcmp(name, "a") != 0 || class != WORKER)
		return;
	shared->connects[0]++;
	if (shared->connects[0] == 1)
		shared->last_generation = generation;
	else
		shared->older += generation <= shared->last_generation;
	gov_fd = fd;
}

/* The next step, once the one before has been seen by all. */
static void
gov_tick(void *arg)
{
	static bool	 ended;

	if (!ended && shared->connects[0] == 1 && shared->words >= 1)
		ended = write(gov_fd, "x", 1) == 1;	/* its first life ends */
	if (shared->story == 0 && shared->connects[0] >= 2 &&
	    shared->connects[1] >= 4 && shared->connects[2] >= 2 &&
	    shared->words >= 3) {
		shared->story = 1;			/* it came back */
		member_stop(arg, "a");
		member_stop(arg, "b");
	}
}

static void
gov_state(void *arg, const char *name, unsigned class, unsigned state,
    uint32_t generation, const char *sentence, uint32_t sum)
{
	static const char *const	 of_a[] = { "b", "governor" };

	/* What it runs with can be compared with what is wanted. */
	if (state == PROC_READY && strcmp(name, "a") == 0)
		shared->sum_is_right = sum == member_sum(of_a, 2, "cfg", 3) &&
		    sum != member_sum(of_a, 1, "cfg", 3);
	if (state == PROC_DOWN && shared->story == 1)
		shared->downs++;
	if (shared->downs == 2)
		shared->story = 2;
}

static void
gov_file(void *arg, const char *what, int fd)
{
	if (strcmp(what, "secret") == 0 && read(fd, &shared->file_byte, 1) == 1)
		shared->files++;
	close(fd);
}

static int
governor_main(struct member *m)
{
	static const char *const	 of_a[] = { "b", "governor" };

	member_on_connect(m, gov_connect, m);
	member_on_state(m, gov_state, m);
	member_on_file(m, gov_file, m);
	member_ready(m);
	member_start(m, "a", WORKER, of_a, 2, "cfg", 3);
	member_start(m, "b", WORKER, NULL, 0, "cfg", 3);
	loop_timer_start_periodic(loop_timer_new(m->child->loop, gov_tick, m),
	    5);
	(void)loop_run(m->child->loop);
	return PROC_EXIT_OK;
}

/* Asks for what it may not have. */
static int
rogue_main(struct member *m)
{
	member_ready(m);
	member_start(m, "own", WORKER, NULL, 0, NULL, 0);
	(void)loop_run(m->child->loop);
	return PROC_EXIT_OK;
}

/* Says that it cannot use what it got; "late" only after some success. */
static int
useless_main(struct member *m)
{
	member_ready(m);
	if (m->proven) {
		shared->story = 3;
		(void)loop_run(m->child->loop);
		return PROC_EXIT_OK;
	}
	if (strcmp(m->child->name, "late") == 0)
		proc_child_progress(m->child);
	return proc_child_fail(m->child, PROC_EXIT_CONFIG, "of no use");
}

/* ---- tests ------------------------------------------------------------------- */

static const struct mesh_class	 classes[CLASSES] = {
	[GOVERNOR] = { .name = "governor", .main = governor_main,
	    .stop_phase = 1 },
	[WORKER] = { .name = "worker", .main = worker_main,
	    .on_request = true, .backoff_min_ms = 10, .backoff_max_ms = 20 },
	[USELESS] = { .name = "useless", .main = useless_main,
	    .backoff_min_ms = 10, .backoff_max_ms = 20 },
	[FORBIDDEN] = { .name = "rogue", .main = rogue_main,
	    .backoff_min_ms = 10, .backoff_max_ms = 20 }
};

static struct super	*super;
static struct mesh	*mesh;
static struct poll_timer watchdog;

static void
on_watchdog(void *arg)
{
	CU_FAIL("the test takes too long");
	super_stop(super, 99);
}

static void
begin(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	if (getenv("VERBOSE") == NULL)
		(void)log_open("/dev/null");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(shared, MAP_FAILED);
	super = super_new(NULL, NULL);
	poll_timer_init(&watchdog, super_pollset(super), on_watchdog, NULL);
	poll_timer_start(&watchdog, TEST_MS);
	mesh = mesh_new(super, classes, CLASSES, NULL);
}

static void
end(void)
{
	if (!super_is_stopping(super)) {
		super_stop(super, 0);
		(void)super_run(super);
	}
	poll_timer_stop(&watchdog);
	mesh_free(&mesh);
	super_free(&super);
	munmap(shared, sizeof(*shared));
}

static void
turn_until(int story)
{
	while (*(volatile int *)&shared->story < story &&
	    poll_timer_is_running(&watchdog))
		(void)pollset_run_once(super_pollset(super), 100);
}

static int
open_secret(void *arg)
{
	int	 fds[2];

	if (pipe(fds) == -1)
		return -1;
	if (write(fds[1], "s", 1) != 1)
		return -1;
	close(fds[1]);
	return fds[0];
}

static void
test_story(void)
{
	begin();
	mesh_set_governor(mesh, "governor");
	CU_ASSERT_EQUAL(mesh_add(mesh, "governor", GOVERNOR, NULL, 0), 0);
	CU_ASSERT_EQUAL(mesh_add(mesh, "governor", GOVERNOR, NULL, 0),
	    ERR_EXISTS);
	mesh_give_file(mesh, "governor", "secret", open_secret, NULL);
	turn_until(2);
	CU_ASSERT_EQUAL(shared->story, 2);
	CU_ASSERT(shared->sum_is_right);
	CU_ASSERT_EQUAL(shared->files, 1);
	CU_ASSERT_EQUAL(shared->file_byte, 's');
	/* a lived twice, b once; a had b and the governor each time. */
	CU_ASSERT_EQUAL(shared->config_good, 3);
	CU_ASSERT_EQUAL(shared->connects[0], 2);
	CU_ASSERT_EQUAL(shared->connects[1], 4);
	CU_ASSERT_EQUAL(shared->connects[2], 2);
	CU_ASSERT_EQUAL(shared->older, 0);
	end();
}

static void
test_rogue(void)
{
	struct proc	*p;
	int		 i;

	begin();
	CU_ASSERT_EQUAL(mesh_add(mesh, "rogue", FORBIDDEN, NULL, 0), 0);
	for (i = 0; i < 400 && poll_timer_is_running(&watchdog); i++) {
		(void)pollset_run_once(super_pollset(super), 50);
		p = super_first(super);
		if (proc_end(p)->ended)
			break;
	}
	/* It was ended for what it said, and nothing was started. */
	p = super_first(super);
	CU_ASSERT_TRUE(proc_end(p)->ended);
	CU_ASSERT_PTR_NULL(proc_next(p));
	end();
}

static char	 sentence_seen[64];

static void
on_give_up(void *arg, const char *sentence)
{
	snprintf(sentence_seen, sizeof(sentence_seen), "%s", sentence);
	super_stop(super, 1);
}

static void
test_give_up(void)
{
	begin();
	sentence_seen[0] = '\0';
	mesh_on_give_up(mesh, on_give_up, NULL);
	CU_ASSERT_EQUAL(mesh_add(mesh, "early", USELESS, NULL, 0), 0);
	CU_ASSERT_EQUAL(super_run(super), 1);
	CU_ASSERT_STRING_EQUAL(sentence_seen, "of no use");
	CU_ASSERT_EQUAL(shared->story, 0);
	end();
}

static void
test_give_up_not(void)
{
	begin();
	sentence_seen[0] = '\0';
	mesh_on_give_up(mesh, on_give_up, NULL);
	CU_ASSERT_EQUAL(mesh_add(mesh, "late", USELESS, NULL, 0), 0);
	turn_until(3);
	CU_ASSERT_EQUAL(shared->story, 3);
	CU_ASSERT_STRING_EQUAL(sentence_seen, "");
	end();
}

static const struct unit_test	 tests[] = {
	{ "members are connected, come back, are stopped, get files",
	  test_story },
	{ "only the governor may start others", test_rogue },
	{ "what can never work is told", test_give_up },
	{ "what has worked is tried again", test_give_up_not }
};

int
main(void)
{
	proc_reserve_fds();
	return unit_run("mesh", tests, sizeof(tests) / sizeof(tests[0]));
}
