/* test_full.c - what a queue does when the disk refuses, and when it lies */
#include "util.h"

/* What the system answers; 0: the truth. */
static int	fdatasync_errno, link_errno;

int	__real_fdatasync(int fd);
int	__wrap_fdatasync(int fd);
int	__real_link(const char *from, const char *to);
int	__wrap_link(const char *from, const char *to);

int
__wrap_fdatasync(int fd)
{
	if (fdatasync_errno == 0)
		return __real_fdatasync(fd);
	errno = fdatasync_errno;
	return -1;
}

/* The last step of a new segment. */
int
__wrap_link(const char *from, const char *to)
{
	if (link_errno == 0)
		return __real_link(from, to);
	errno = link_errno;
	return -1;
}

static uint64_t
received_tick(struct queue *q)
{
	struct queue_pos	 pos;

	queue_received(q, &pos);
	return pos.mark.tick;
}

/* Everything behind tick 0, one record a tick. */
static uint64_t
read_through(void)
{
	struct queue_reader	*r;
	struct queue_record	 rec;
	struct buf		 b = BUF_INIT;
	uint64_t		 tick = 0;

	queue_reader_new(qdir, &r);
	CU_ASSERT_EQUAL(queue_reader_seek_start(r, &em), 0);
	while (take(r, &rec, &b) == QUEUE_READ_RECORD)
		tick = rec.meta.tick_to;
	queue_reader_free(&r);
	buf_free(&b);
	return tick;
}

/* What an fsync refused is not there any more, whatever the kernel holds. */
static void
sync_fails(int err, int expected)
{
	struct queue_recovery	 found;
	struct queue_pos	 pos;
	struct queue		*q;

	begin();
	q = open_queue(NULL, NULL);
	CU_ASSERT_EQUAL(put_text(q, 1, "one"), 0);
	CU_ASSERT_EQUAL(queue_sync(q, &em), 0);
	CU_ASSERT_EQUAL(put_text(q, 2, "two"), 0);
	fdatasync_errno = err;
	CU_ASSERT_EQUAL(queue_sync(q, &em), expected);
	fdatasync_errno = 0;
	CU_ASSERT_PTR_NOT_NULL(strstr(em.text, qdir));
	/* No second try: it would succeed. */
	CU_ASSERT_EQUAL(queue_sync(q, &em), ERR_STORAGE);
	CU_ASSERT_EQUAL(put_text(q, 3, "three"), ERR_STORAGE);
	CU_ASSERT_EQUAL(queue_get_state(q), QUEUE_FAILED);
	queue_durable(q, &pos);
	CU_ASSERT_EQUAL(pos.mark.tick, 1);
	queue_abandon(&q);
	CU_ASSERT_EQUAL(read_through(), 1);
	q = open_queue(NULL, &found);
	CU_ASSERT_FALSE(found.clean);
	CU_ASSERT_EQUAL(received_tick(q), 1);
	CU_ASSERT_EQUAL(put_text(q, 2, "two"), 0);
	CU_ASSERT_EQUAL(queue_close(&q, &em), 0);
	q = open_queue(NULL, NULL);
	CU_ASSERT_EQUAL(received_tick(q), 2);
	queue_abandon(&q);
	end();
}

static void
test_sync_eio(void)
{
	sync_fails(EIO, ERR_STORAGE);
}

static void
test_sync_full(void)
{
	sync_fails(ENOSPC, -ENOSPC);
	sync_fails(EDQUOT, -ENOSPC);
}

/* ... also when it is the first of a segment, and one before it is whole. */
static void
test_sync_rotation(void)
{
	struct queue_opts	 opts = { .segment_bytes = 1000 };
	struct queue		*q;
	char			 text[700];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	begin();
	q = open_queue(&opts, NULL);
	CU_ASSERT_EQUAL(put_text(q, 1, text), 0);
	CU_ASSERT_EQUAL(put_text(q, 2, text), 0);
	fdatasync_errno = EIO;
	/* A new segment wants the one before it on disk. */
	CU_ASSERT_EQUAL(put_text(q, 3, text), ERR_STORAGE);
	fdatasync_errno = 0;
	queue_abandon(&q);
	q = open_queue(&opts, NULL);
	CU_ASSERT_EQUAL(received_tick(q), 1);
	queue_abandon(&q);
	end();
}

/* A file that cannot be begun is a state, one that is refused is not. */
static void
test_no_segment(void)
{
	struct queue	*q;

	begin();
	q = open_queue(NULL, NULL);
	link_errno = EDQUOT;
	CU_ASSERT_EQUAL(put_text(q, 1, "x"), -ENOSPC);
	CU_ASSERT_EQUAL(queue_get_state(q), QUEUE_FULL);
	link_errno = 0;
	CU_ASSERT_EQUAL(put_text(q, 1, "x"), 0);
	CU_ASSERT_EQUAL(queue_get_state(q), QUEUE_OK);
	queue_abandon(&q);
	CU_ASSERT_EQUAL(fsx_remove_tree(qdir), 0);
	q = open_queue(NULL, NULL);
	link_errno = EIO;
	CU_ASSERT_EQUAL(put_text(q, 1, "x"), ERR_STORAGE);
	link_errno = 0;
	CU_ASSERT_EQUAL(put_text(q, 1, "x"), ERR_STORAGE);
	queue_abandon(&q);
	end();
}

/* On a full disk what is consumed makes room, and goes on in its epoch. */
static void
test_trim(void)
{
	struct queue_usage	 u;
	struct queue_pos	 before, after;
	struct queue_record	 rec;
	struct queue_reader	*r;
	struct buf		 b = BUF_INIT;
	struct queue		*q;

	begin();
	q = open_queue(NULL, NULL);
	CU_ASSERT_EQUAL(put_text(q, 1, "one"), 0);
	CU_ASSERT_EQUAL(put_text(q, 2, "two"), 0);
	queue_received(q, &before);
	queue_reader_new(qdir, &r);
	CU_ASSERT_EQUAL(queue_reader_seek_start(r, &em), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), 1);
	CU_ASSERT_EQUAL(take(r, &rec, &b), 1);
	queue_reader_idle(r);
	CU_ASSERT_EQUAL(queue_ack(q, before.epoch, before.offset, &em), 0);
	link_errno = ENOSPC;
	CU_ASSERT_EQUAL(queue_trim(q, &em), 0);
	queue_get_usage(q, &u);
	CU_ASSERT_EQUAL(u.disk_bytes, 0);
	CU_ASSERT_EQUAL(u.segments, 0);
	CU_ASSERT_EQUAL(put_text(q, 3, "three"), -ENOSPC);
	link_errno = 0;
	CU_ASSERT_EQUAL(put_text(q, 3, "three"), 0);
	queue_received(q, &after);
	CU_ASSERT_EQUAL(after.epoch, before.epoch);
	CU_ASSERT_TRUE(after.offset > before.offset);
	/* Who stood at the end finds what comes. */
	CU_ASSERT_EQUAL(queue_reader_seek(r, before.epoch, before.offset,
	    &em), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), 1);
	CU_ASSERT_EQUAL(rec.meta.tick_to, 3);
	CU_ASSERT_EQUAL(queue_close(&q, &em), 0);
	q = open_queue(NULL, NULL);
	CU_ASSERT_EQUAL(received_tick(q), 3);
	queue_abandon(&q);
	queue_reader_free(&r);
	buf_free(&b);
	end();
}

/* A reset makes room: it is never refused for want of it. */
static void
test_discard(void)
{
	static const struct queue_mark	 start = { .tick = 100,
					    .reboot_id = 9 };
	struct queue_recovery		 found;
	struct queue_usage		 u;
	struct queue_pos		 pos;
	struct queue			*q;
	uint64_t			 epoch;

	begin();
	q = open_queue(NULL, NULL);
	CU_ASSERT_EQUAL(put_text(q, 1, "one"), 0);
	queue_received(q, &pos);
	epoch = pos.epoch;
	link_errno = ENOSPC;
	CU_ASSERT_EQUAL(queue_discard_all(q, &channel, &start, &em), 0);
	queue_get_usage(q, &u);
	CU_ASSERT_EQUAL(u.disk_bytes, 0);
	queue_received(q, &pos);
	CU_ASSERT_EQUAL(pos.mark.tick, 100);
	CU_ASSERT_TRUE(pos.epoch > epoch);
	CU_ASSERT_EQUAL(put_text(q, 101, "x"), -ENOSPC);
	link_errno = 0;
	CU_ASSERT_EQUAL(put_text(q, 101, "x"), 0);
	CU_ASSERT_EQUAL(queue_close(&q, &em), 0);
	q = open_queue(NULL, &found);
	CU_ASSERT_TRUE(found.clean);
	CU_ASSERT_EQUAL(received_tick(q), 101);
	queue_abandon(&q);
	end();
}

UNIT_MAIN("queue, full",
    { "what a failed fsync left in memory is not believed", test_sync_eio },
    { "a disk that is full only at fsync is full", test_sync_full },
    { "a failed fsync at the end of a segment", test_sync_rotation },
    { "no room for a segment is a state, an error is not", test_no_segment },
    { "what is consumed makes room on a full disk", test_trim },
    { "a reset is never refused for want of room", test_discard })
