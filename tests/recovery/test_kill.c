/*
 * test_kill.c - a writer is killed at any moment, a reader follows it all the
 * time.  What was appended is in the page cache and must be there; what was
 * not whole must never be seen.
 */
#include <sys/mman.h>
#include <sys/wait.h>

#include <signal.h>
#include <time.h>

#include "base/clock.h"
#include "queue/ack.h"
#include "scratch.h"

#define MOST	3000
#define ROUNDS	120

/* What the processes know of each other. */
struct shared {
	volatile uint64_t	appended;	/* record number */
	volatile uint64_t	mark;		/* last boundary appended */
	volatile uint64_t	durable_mark;
	volatile uint64_t	read_mark;	/* the reader's */
	volatile int		stop;
	volatile uint64_t	put_tick, synced_tick;	/* of the journal */
};

static struct shared	*sh;

/* Some time, more of it in each turn. */
static void
pause_us(int turn, uint64_t most)
{
	usleep((useconds_t)(500 + rand_below(most << turn)));
}

static void
run_writer(void)
{
	struct queue_opts	 opts = { .segment_bytes = 20000 };
	struct queue_pos	 pos;
	struct queue		*q;
	uint8_t			 scratch[MOST];
	uint64_t		 n;

	rand_seed(clock_mono_ns());
	if (rand_below(3) == 0 && queue_codec_usable(QUEUE_CODEC_ZSTD))
		opts.codec = QUEUE_CODEC_ZSTD;
	if (queue_open(qdir, &channel, &opts, &q, NULL, &em) != 0)
		_exit(10);
	queue_received(q, &pos);
	/* Nothing that was whole may be missing: it was not a power cut. */
	if (pos.mark.tick < sh->mark)
		_exit(11);
	for (n = pos.mark.tick + 1;; n++) {
		if (put_record(q, n, MOST, scratch) != 0)
			_exit(12);
		sh->appended = n;
		if (n % 3 == 0)
			sh->mark = n;
		if (rand_below(50) == 0) {
			if (queue_sync(q, &em) != 0)
				_exit(13);
			queue_durable(q, &pos);
			sh->durable_mark = pos.mark.tick;
		}
		/* The consumer is some way behind. */
		if (rand_below(100) == 0) {
			queue_received(q, &pos);
			if (pos.offset > 200000 && queue_ack(q, pos.epoch,
			    pos.offset - 200000, &em) != 0)
				_exit(14);
		}
		/* Now and then in order, to go on in the same epoch. */
		if (n % 3 == 0 && rand_below(400) == 0) {
			if (queue_close(&q, &em) != 0)
				_exit(15);
			if (queue_open(qdir, &channel, &opts, &q, NULL,
			    &em) != 0)
				_exit(16);
		}
		/* So that the queue is not the disk's whole work. */
		if (rand_below(20) == 0)
			usleep(200);
	}
}

/*
 * By the tick of the last boundary; when the queue has nothing from there any
 * more (the reader fell behind what is kept), at a boundary that it has.
 */
static int
find_place(struct queue_reader *r)
{
	struct queue_record	 rec;
	int			 n;

	while ((n = queue_reader_seek_tick(r, sh->read_mark, &em)) ==
	    QUEUE_READ_GONE) {
		if ((n = queue_reader_seek_start(r, &em)) != 0)
			break;
		do
			n = queue_reader_next(r, &rec, NULL, &em);
		while (n == 1 && !(rec.meta.flags & QUEUE_BOUNDARY));
		if (n == 1)
			sh->read_mark = rec.meta.tick_to;
		if (n < 0)
			break;
	}
	if (n != 0)
		fprintf(stderr, "# %s\n", em.text);
	return n == 0 ? 0 : 24;
}

/* 0, or what it saw that must not be. */
static int
run_reader(void)
{
	struct queue_reader	*r;
	struct queue_record	 rec;
	struct buf		 b = BUF_INIT;
	uint8_t			 scratch[MOST];
	uint64_t		 at = 0;
	int			 n;

	queue_reader_new(qdir, &r);
	if ((n = queue_reader_seek_tick(r, 0, &em)) != 0)
		return 20;
	for (;;) {
		buf_reset(&b);
		n = queue_reader_next(r, &rec, &b, &em);
		if (n == 1) {
			if (!is_record(&rec, &b, MOST, scratch))
				return 21;
			if (rec.meta.tick_to != at + 1)
				return 22;
			at = rec.meta.tick_to;
			if (rec.meta.flags & QUEUE_BOUNDARY)
				sh->read_mark = at;
		} else if (n == QUEUE_READ_EPOCH || n == QUEUE_READ_GONE) {
			if ((n = find_place(r)) != 0)
				return n;
			at = sh->read_mark;
		} else if (n < 0) {
			fprintf(stderr, "# %s\n", em.text);
			return 25;
		} else {
			if (sh->stop)
				return at >= sh->mark ? 0 : 26;
			if (rand_below(100) == 0)
				queue_reader_idle(r);
			usleep(100);
		}
	}
}

static void
share(void)
{
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_NOT_EQUAL_FATAL(sh, MAP_FAILED);
	memset(sh, 0, sizeof(*sh));
}

static void
test_kill(void)
{
	struct queue_pos	 pos;
	struct queue		*q;
	pid_t			 reader, writer;
	int			 i, status;

	begin();
	share();
	fflush(stdout);
	rand_seed(5);
	if ((reader = fork()) == 0)
		_exit(run_reader());
	/* On a slow machine a writer may not come far: more time for more. */
	for (i = 0; i < ROUNDS || (sh->mark < 1000 && i < 10 * ROUNDS); i++) {
		if ((writer = fork()) == 0)
			run_writer();
		pause_us(i / ROUNDS, 20000);
		kill(writer, SIGKILL);
		CU_ASSERT_EQUAL(waitpid(writer, &status, 0), writer);
		CU_ASSERT_TRUE(WIFSIGNALED(status));
		if (!WIFSIGNALED(status)) {
			printf("# writer: exit %d in round %d\n",
			    WEXITSTATUS(status), i);
			break;
		}
	}
	CU_ASSERT_EQUAL_FATAL(queue_open(qdir, &channel, NULL, &q, NULL, &em),
	    0);
	queue_received(q, &pos);
	CU_ASSERT_TRUE(pos.mark.tick >= sh->mark);
	CU_ASSERT_TRUE(pos.mark.tick >= 1000);
	sh->mark = pos.mark.tick;
	sh->stop = 1;
	CU_ASSERT_EQUAL(waitpid(reader, &status, 0), reader);
	CU_ASSERT_TRUE(WIFEXITED(status));
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
	printf("# %" PRIu64 " records, %d kills\n", pos.mark.tick, i);
	queue_abandon(&q);
	munmap(sh, sizeof(*sh));
	end();
}

/* Resets in a loop, killed: the old queue or the new one, never a mix. */
static void
run_resetter(void)
{
	struct queue_opts	 opts = { .segment_bytes = 4000 };
	struct queue_recovery	 found;
	struct queue_pos	 pos;
	struct queue		*q;
	uint8_t			 scratch[MOST];
	uint64_t		 n;
	int			 i;

	rand_seed(clock_mono_ns());
	if (queue_open(qdir, &channel, &opts, &q, &found, &em) != 0) {
		fprintf(stderr, "# %s\n", em.text);
		_exit(10);
	}
	for (;;) {
		queue_received(q, &pos);
		/* Another thousand each time. */
		n = (pos.mark.tick / 3000 + 1) * 3000;
		if (queue_discard_all(q, &channel,
		    &(struct queue_mark){ n, 1, 0 }, &em) != 0)
			_exit(11);
		for (i = 1; i <= 12; i++)
			if (put_record(q, n + (uint64_t)i, MOST,
			    scratch) != 0)
				_exit(12);
		if (rand_below(4) == 0 && (queue_close(&q, &em) != 0 ||
		    queue_open(qdir, &channel, &opts, &q, &found, &em) != 0 ||
		    !found.clean))
			_exit(13);
	}
}

static void
test_kill_reset(void)
{
	struct queue_pos	 pos;
	struct queue		*q;
	pid_t			 pid;
	int			 i, status, how;
	uint64_t		 last = 0;

	begin();
	rand_seed(6);
	for (i = 0; i < 60 || (last <= 3000 && i < 600); i++) {
		fflush(stdout);
		if ((pid = fork()) == 0)
			run_resetter();
		pause_us(i / 60, 6000);
		kill(pid, SIGKILL);
		CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
		CU_ASSERT_TRUE(WIFSIGNALED(status));
		CU_ASSERT_EQUAL_FATAL(queue_open(qdir, &channel, NULL, &q,
		    NULL, &em), 0);
		queue_received(q, &pos);
		CU_ASSERT_TRUE(pos.mark.tick >= last);
		last = pos.mark.tick;
		/* All records from the reset on, and no other ones. */
		CU_ASSERT_EQUAL(read_all(last / 3000 * 3000, MOST, &how),
		    last);
		CU_ASSERT_EQUAL(how, QUEUE_READ_END);
		queue_abandon(&q);
	}
	CU_ASSERT_TRUE(last > 3000);
	end();
}

/* The journal of positions under the same treatment. */
static void
run_journal(const char *path)
{
	struct ack_store	*s;
	struct ack_pos		 p;
	char			 key[16];
	uint64_t		 t;
	int			 i;

	memset(&p, 0, sizeof(p));
	strcpy(p.server, "PRMR-1");
	if (ack_open(path, &s, NULL, &em) != 0)
		_exit(10);
	t = ack_get(s, "k0") == NULL ? 0 : ack_get(s, "k0")->tick;
	if (t < sh->synced_tick)
		_exit(11);
	for (;;) {
		t++;
		sh->put_tick = t;
		for (i = 0; i < 300; i++) {
			snprintf(key, sizeof(key), "k%d", i);
			p.tick = t;
			p.offset = t * (uint64_t)(i + 1);
			if (ack_put(s, key, &p) != 0)
				_exit(12);
		}
		if (ack_sync(s, &em) != 0)
			_exit(13);
		sh->synced_tick = t;
	}
}

static void
test_kill_journal(void)
{
	struct ack_store	*s;
	const struct ack_pos	*p;
	char			 path[128], key[16];
	pid_t			 pid;
	uint64_t		 t;
	int			 i, k, status;

	begin();
	share();
	rand_seed(7);
	snprintf(path, sizeof(path), "%s/positions", top);
	for (i = 0; i < 60 || (sh->synced_tick <= 50 && i < 600); i++) {
		fflush(stdout);
		if ((pid = fork()) == 0)
			run_journal(path);
		pause_us(i / 60, 8000);
		kill(pid, SIGKILL);
		CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
		CU_ASSERT_TRUE(WIFSIGNALED(status));
		CU_ASSERT_EQUAL_FATAL(ack_open(path, &s, NULL, &em), 0);
		p = ack_get(s, "k0");
		t = p == NULL ? 0 : p->tick;
		CU_ASSERT_TRUE(t >= sh->synced_tick && t <= sh->put_tick);
		/* All positions of one sync, or none. */
		for (k = 0; k < 300 && t > 0; k++) {
			snprintf(key, sizeof(key), "k%d", k);
			p = ack_get(s, key);
			CU_ASSERT_PTR_NOT_NULL_FATAL(p);
			CU_ASSERT_EQUAL(p->tick, t);
			CU_ASSERT_EQUAL(p->offset, t * (uint64_t)(k + 1));
		}
		ack_close(&s);
	}
	CU_ASSERT_TRUE(sh->synced_tick > 50);
	munmap(sh, sizeof(*sh));
	end();
}

UNIT_MAIN("queue kill",
    { "a killed writer loses nothing, a reader sees nothing torn",
      test_kill },
    { "a killed reset is done or not begun", test_kill_reset },
    { "a killed journal has all positions of a sync or none",
      test_kill_journal })
