/* test_space.c - no space, and files that may not grow */
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <sched.h>
#include <signal.h>

#include "queue/ack.h"
#include "scratch.h"

#define MOST	3000

/* A limit of file sizes at every place where a write can be cut. */
static void
test_short_writes(void)
{
	struct queue_recovery	 found;
	struct queue_pos	 pos;
	struct rlimit		 old, lim;
	struct queue		*q;
	uint8_t			 scratch[MOST];
	uint64_t		 n, good;
	rlim_t			 limit;
	int			 how, r = 0;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	for (limit = 100; limit < 9000; limit += 13) {
		begin();
		CU_ASSERT_EQUAL_FATAL(queue_open(qdir, &channel, NULL, &q,
		    NULL, &em), 0);
		lim = old;
		lim.rlim_cur = limit;
		setrlimit(RLIMIT_FSIZE, &lim);
		good = 0;
		for (n = 1; n <= 12; n++) {
			if ((r = put_record(q, n, MOST, scratch)) != 0)
				break;
			good = n;
		}
		setrlimit(RLIMIT_FSIZE, &old);
		CU_ASSERT_TRUE(r == 0 || r == ERR_STORAGE);
		CU_ASSERT_EQUAL(read_all(0, MOST, &how), good);
		CU_ASSERT_TRUE(how == QUEUE_READ_END ||
		    how == QUEUE_READ_MORE);
		queue_abandon(&q);
		CU_ASSERT_EQUAL_FATAL(queue_open(qdir, &channel, NULL, &q,
		    &found, &em), 0);
		queue_received(q, &pos);
		CU_ASSERT_EQUAL(pos.mark.tick, good / 3 * 3);
		CU_ASSERT_EQUAL(read_all(0, MOST, &how), good / 3 * 3);
		CU_ASSERT_EQUAL(put_record(q, pos.mark.tick + 1, MOST,
		    scratch), 0);
		queue_abandon(&q);
		end();
	}
}

/* A small file system of our own; 0, or errno. */
static int
mount_small(const char *dir)
{
	FILE	*f;
	uid_t	 uid = geteuid();

	if (unshare(CLONE_NEWNS) == -1) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) == -1)
			return errno;
		if ((f = fopen("/proc/self/setgroups", "w")) != NULL) {
			fputs("deny", f);
			fclose(f);
		}
		if ((f = fopen("/proc/self/uid_map", "w")) == NULL)
			return errno;
		fprintf(f, "0 %u 1", (unsigned int)uid);
		if (fclose(f) == EOF)
			return errno;
	}
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount("none", dir, "tmpfs", 0, "size=1m") == -1)
		return errno;
	return 0;
}

#define MUST(cond)	do {						\
	if (!(cond)) {							\
		fprintf(stderr, "# line %d: %s (%s)\n", __LINE__, #cond, \
		    em.text);						\
		_exit(1);						\
	}								\
} while (0)

static void
fill_disk(void)
{
	struct queue_opts	 opts = { .segment_bytes = 100000 };
	struct queue_recovery	 found;
	struct queue_usage	 u;
	struct queue_pos	 pos;
	struct queue		*q;
	struct ack_store	*s;
	struct ack_pos		 p;
	uint8_t			 scratch[MOST];
	char			 path[128];
	uint64_t		 n, acked = 0;
	int			 how, r, i;

	if ((r = mount_small(top)) != 0)
		_exit(77);
	MUST(queue_open(qdir, &channel, &opts, &q, &found, &em) == 0);
	for (n = 1, i = 0; i < 50; i++) {
		while ((r = put_record(q, n, MOST, scratch)) == 0)
			n++;
		MUST(r == -ENOSPC);
		MUST(queue_get_state(q) == QUEUE_FULL);
		/* It stays so, and what is there can be read. */
		MUST(put_record(q, n, MOST, scratch) == -ENOSPC);
		queue_received(q, &pos);
		MUST(queue_sync(q, &em) == 0);
		if (i == 0)
			MUST(read_all(0, MOST, &how) == n - 1);
		/* The consumer comes forward: it goes on. */
		acked = MAX(acked, pos.offset - 500000 / (unsigned)(i + 1));
		MUST(queue_ack(q, pos.epoch, acked, &em) == 0);
		queue_get_usage(q, &u);
		MUST(u.disk_bytes < 1000000);
	}
	MUST(n > 1000);
	/* A reset needs a little space; without it nothing changes. */
	queue_received(q, &pos);
	r = queue_ack(q, pos.epoch, pos.offset, &em);
	MUST(r == 0 || r == -ENOSPC);
	MUST(put_record(q, n, MOST, scratch) == 0);
	queue_abandon(&q);
	MUST(queue_open(qdir, &channel, &opts, &q, &found, &em) == 0);
	queue_received(q, &pos);
	MUST(pos.mark.tick == n / 3 * 3);
	/* The journal of positions on the same disk. */
	snprintf(path, sizeof(path), "%s/positions", top);
	memset(&p, 0, sizeof(p));
	MUST(ack_open(path, &s, NULL, &em) == 0);
	p.tick = 1;
	MUST(ack_put(s, "a", &p) == 0 && ack_sync(s, &em) == 0);
	n = pos.mark.tick + 1;
	while (put_record(q, n, 200, scratch) == 0)
		n++;
	for (i = 0, r = 0; i < 1000 && r == 0; i++) {
		p.tick++;
		MUST(ack_put(s, "a", &p) == 0);
		r = ack_sync(s, &em);
	}
	MUST(r == -ENOSPC && ack_is_dirty(s));
	MUST(ack_get(s, "a")->tick == ack_get_durable(s, "a")->tick + 1);
	queue_abandon(&q);
	MUST(fsx_remove_tree(qdir) == 0);
	MUST(ack_sync(s, &em) == 0);
	ack_close(&s);
	MUST(ack_open(path, &s, NULL, &em) == 0);
	MUST(ack_get(s, "a")->tick == p.tick);
	ack_close(&s);
	_exit(0);
}

static void
test_full_disk(void)
{
	pid_t	 pid;
	int	 status;

	begin();
	fflush(stdout);
	if ((pid = fork()) == 0)
		fill_disk();
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_TRUE_FATAL(WIFEXITED(status));
	end();
	if (WEXITSTATUS(status) == 77)
		unit_skip("a tmpfs cannot be mounted here");
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
}

UNIT_MAIN("queue space",
    { "a write cut anywhere loses only what was refused",
      test_short_writes },
    { "a full disk refuses appends until there is space", test_full_disk })
