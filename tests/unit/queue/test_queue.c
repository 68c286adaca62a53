/* test_queue.c - writer and readers of a queue */
#include <sys/resource.h>

#include <inttypes.h>
#include <signal.h>

#include "base/random.h"
#include "queue/format.h"
#include "util.h"

static void
test_round_trip(void)
{
	struct queue		*q;
	struct queue_reader	*r;
	struct queue_record	 rec;
	struct queue_recovery	 found;
	struct queue_pos	 pos;
	struct queue_meta	 m = { 12, 20, 9, 0x1234, 3, QUEUE_BOUNDARY };
	struct iovec		 iov[3] = { { (void *)(uintptr_t)"{}\n", 3 },
				    { NULL, 0 },
				    { (void *)(uintptr_t)"[1]\n[2]\n", 8 } };
	struct buf		 b = BUF_INIT;
	struct stat		 st;
	char			 path[256];

	begin();
	q = open_queue(NULL, &found);
	CU_ASSERT_TRUE(found.fresh);
	CU_ASSERT_EQUAL(count_segments(qdir), 0);
	CU_ASSERT_EQUAL(put_text(q, 11, "first\n"), 0);
	CU_ASSERT_EQUAL(queue_append(q, &m, iov, 3, &em), 0);
	queue_reader_new(qdir, &r);
	CU_ASSERT_EQUAL(queue_reader_seek_start(r, &em), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), QUEUE_READ_RECORD);
	CU_ASSERT_STRING_EQUAL((char *)b.data, "first\n");
	CU_ASSERT_EQUAL(rec.epoch, found.epoch);
	CU_ASSERT_EQUAL(rec.offset, 0);
	CU_ASSERT_EQUAL(rec.meta.tick_to, 11);
	CU_ASSERT_EQUAL(take(r, &rec, &b), QUEUE_READ_RECORD);
	CU_ASSERT_STRING_EQUAL((char *)b.data, "{}\n[1]\n[2]\n");
	CU_ASSERT_EQUAL(rec.meta.tick_from, 12);
	CU_ASSERT_EQUAL(rec.meta.tick_to, 20);
	CU_ASSERT_EQUAL(rec.meta.reboot_id, 9);
	CU_ASSERT_EQUAL(rec.meta.line_crc, 0x1234);
	CU_ASSERT_EQUAL(rec.meta.ops, 3);
	CU_ASSERT_EQUAL(rec.meta.flags, QUEUE_BOUNDARY);
	CU_ASSERT_EQUAL(rec.raw_len, 11);
	CU_ASSERT_EQUAL(take(r, &rec, &b), QUEUE_READ_END);
	CU_ASSERT_STRING_EQUAL(queue_reader_channel(r)->database, "mydb");
	queue_received(q, &pos);
	CU_ASSERT_EQUAL(pos.offset, rec.end);
	CU_ASSERT_EQUAL(pos.mark.tick, 20);
	CU_ASSERT_EQUAL(pos.mark.line_crc, 0x1234);
	/* Nobody else may see what is in it. */
	CU_ASSERT_EQUAL(stat(qdir, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0700);
	last_segment(qdir, path, sizeof(path));
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	CU_ASSERT_EQUAL(queue_close(&q, &em), 0);
	CU_ASSERT_PTR_NULL(q);
	CU_ASSERT_EQUAL(take(r, &rec, &b), QUEUE_READ_END);
	queue_reader_free(&r);
	buf_free(&b);
	end();
}

static void
test_positions(void)
{
	struct queue		*q;
	struct queue_pos	 pos;
	struct queue_opts	 opts;
	struct queue_reader	*r;
	struct queue_record	 rec;
	struct buf		 b = BUF_INIT;

	begin();
	memset(&opts, 0, sizeof(opts));
	opts.start.tick = 500;
	q = open_queue(&opts, NULL);
	queue_received(q, &pos);
	CU_ASSERT_EQUAL(pos.mark.tick, 500);
	/* Ticks do not go back. */
	CU_ASSERT_EQUAL(put_text(q, 500, "x"), ERR_RANGE);
	CU_ASSERT_EQUAL(put(q, 600, 600, 0, "x", 1), ERR_RANGE);
	CU_ASSERT_EQUAL(put(q, 610, 600, 0, "x", 1), ERR_RANGE);
	CU_ASSERT_FALSE(queue_is_dirty(q));
	CU_ASSERT_EQUAL(put_text(q, 501, "one\n"), 0);
	CU_ASSERT_TRUE(queue_is_dirty(q));
	queue_durable(q, &pos);
	CU_ASSERT_EQUAL(pos.mark.tick, 500);
	CU_ASSERT_EQUAL(queue_sync(q, &em), 0);
	queue_durable(q, &pos);
	CU_ASSERT_EQUAL(pos.mark.tick, 501);
	CU_ASSERT_EQUAL(pos.offset, pos.mark_offset);
	/* A response that has not ended: nothing can be forgotten for it. */
	CU_ASSERT_EQUAL(put(q, 501, 510, 0, "two\n", 4), 0);
	CU_ASSERT_EQUAL(queue_sync(q, &em), 0);
	queue_durable(q, &pos);
	CU_ASSERT_EQUAL(pos.mark.tick, 501);
	CU_ASSERT_TRUE(pos.offset > pos.mark_offset);
	/* A tail that starts the response again says it again. */
	CU_ASSERT_EQUAL(put(q, 501, 510, 0, "two\n", 4), 0);
	CU_ASSERT_EQUAL(put(q, 501, 512, QUEUE_BOUNDARY, "3\n", 2), 0);
	queue_received(q, &pos);
	CU_ASSERT_EQUAL(pos.mark.tick, 512);
	/* Only the end of a response, without operations. */
	CU_ASSERT_EQUAL(queue_append(q, &(struct queue_meta){ 512, 512, 7, 0,
	    0, QUEUE_BOUNDARY }, NULL, 0, &em), 0);
	queue_reader_new(qdir, &r);
	CU_ASSERT_EQUAL(queue_reader_seek_tick(r, 510, &em), 0);
	CU_ASSERT_EQUAL(queue_reader_next(r, &rec, &b, &em), 1);
	CU_ASSERT_EQUAL(rec.meta.tick_to, 512);
	CU_ASSERT_EQUAL(queue_reader_seek(r, rec.epoch, rec.end, &em), 0);
	buf_free(&b);
	CU_ASSERT_EQUAL(queue_reader_next(r, &rec, &b, &em), 1);
	CU_ASSERT_EQUAL(rec.raw_len, 0);
	CU_ASSERT_EQUAL(b.len, 0);
	queue_reader_free(&r);
	buf_free(&b);
	queue_abandon(&q);
	end();
}

static void
test_clean_reopen(void)
{
	struct queue		*q;
	struct queue_recovery	 found;
	struct queue_reader	*r;
	struct queue_record	 rec;
	struct queue_pos	 pos;
	struct buf		 b = BUF_INIT;
	uint64_t		 epoch, at;
	int			 i;

	begin();
	q = open_queue(NULL, &found);
	epoch = found.epoch;
	queue_reader_new(qdir, &r);
	CU_ASSERT_EQUAL(queue_reader_seek_start(r, &em), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), QUEUE_READ_END);
	CU_ASSERT_EQUAL(put_text(q, 1, "a"), 0);
	CU_ASSERT_EQUAL(queue_close(&q, &em), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), QUEUE_READ_RECORD);
	at = rec.end;
	for (i = 2; i < 6; i++) {
		q = open_queue(NULL, &found);
		CU_ASSERT_TRUE(found.clean);
		CU_ASSERT_EQUAL(found.epoch, epoch);
		queue_received(q, &pos);
		CU_ASSERT_EQUAL(pos.mark.tick, (uint64_t)i - 1);
		CU_ASSERT_EQUAL(pos.mark.line_crc, ((uint32_t)i - 1) * 3);
		CU_ASSERT_EQUAL(pos.offset, at);
		CU_ASSERT_EQUAL(take(r, &rec, &b), QUEUE_READ_END);
		CU_ASSERT_EQUAL(put_text(q, (uint64_t)i, "b"), 0);
		CU_ASSERT_EQUAL(take(r, &rec, &b), QUEUE_READ_RECORD);
		CU_ASSERT_EQUAL(rec.offset, at);
		CU_ASSERT_EQUAL(rec.epoch, epoch);
		at = rec.end;
		CU_ASSERT_EQUAL(queue_close(&q, &em), 0);
		/* An opening that appends nothing leaves it clean. */
		q = open_queue(NULL, &found);
		CU_ASSERT_TRUE(found.clean);
		CU_ASSERT_EQUAL(queue_close(&q, &em), 0);
	}
	queue_reader_free(&r);
	buf_free(&b);
	end();
}

static void
test_unclean_epoch(void)
{
	struct queue		*q;
	struct queue_recovery	 found;
	struct queue_reader	*r;
	struct queue_record	 rec;
	struct queue_pos	 pos;
	struct buf		 b = BUF_INIT;
	uint64_t		 epoch, at;

	begin();
	q = open_queue(NULL, &found);
	epoch = found.epoch;
	CU_ASSERT_EQUAL(put_text(q, 1, "one"), 0);
	CU_ASSERT_EQUAL(put(q, 1, 5, 0, "unfinished", 10), 0);
	queue_reader_new(qdir, &r);
	CU_ASSERT_EQUAL(queue_reader_seek_start(r, &em), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), 1);
	at = rec.end;
	CU_ASSERT_EQUAL(take(r, &rec, &b), 1);
	queue_abandon(&q);

	q = open_queue(NULL, &found);
	CU_ASSERT_FALSE(found.clean);
	CU_ASSERT_TRUE(found.epoch > epoch);
	CU_ASSERT_EQUAL(found.unfinished_records, 1);
	CU_ASSERT_EQUAL(found.torn_bytes, 0);
	queue_received(q, &pos);
	CU_ASSERT_EQUAL(pos.offset, at);
	CU_ASSERT_EQUAL(pos.mark.tick, 1);
	/* A reader that had read more than what is left. */
	CU_ASSERT_EQUAL(take(r, &rec, &b), QUEUE_READ_EPOCH);
	CU_ASSERT_EQUAL(put_text(q, 2, "two"), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), QUEUE_READ_EPOCH);
	CU_ASSERT_EQUAL(queue_reader_seek_tick(r, 1, &em), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), 1);
	CU_ASSERT_STRING_EQUAL((char *)b.data, "two");
	CU_ASSERT_EQUAL(rec.epoch, found.epoch);
	CU_ASSERT_EQUAL(rec.offset, at);
	/* The old epoch's positions. */
	CU_ASSERT_EQUAL(queue_reader_seek(r, epoch, 0, &em), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), 1);
	CU_ASSERT_STRING_EQUAL((char *)b.data, "one");
	CU_ASSERT_EQUAL(take(r, &rec, &b), QUEUE_READ_EPOCH);
	CU_ASSERT_EQUAL(take(r, &rec, &b), QUEUE_READ_EPOCH);
	CU_ASSERT_EQUAL(queue_reader_seek(r, epoch, at + 96, &em),
	    QUEUE_READ_EPOCH);
	CU_ASSERT_EQUAL(queue_reader_seek(r, epoch - 5, 0, &em),
	    QUEUE_READ_EPOCH);
	CU_ASSERT_EQUAL(queue_reader_seek(r, found.epoch + 5, 0, &em),
	    QUEUE_READ_EPOCH);
	/* By tick, through both. */
	CU_ASSERT_EQUAL(queue_reader_seek_tick(r, 0, &em), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), 1);
	CU_ASSERT_EQUAL(rec.epoch, epoch);
	CU_ASSERT_EQUAL(take(r, &rec, &b), QUEUE_READ_EPOCH);
	CU_ASSERT_EQUAL(queue_reader_seek_tick(r, 1, &em), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), 1);
	CU_ASSERT_EQUAL(rec.meta.tick_to, 2);
	CU_ASSERT_EQUAL(take(r, &rec, &b), QUEUE_READ_END);
	queue_abandon(&q);
	queue_reader_free(&r);
	buf_free(&b);
	end();
}

/* A response over many segments that never ends, and a crash. */
static void
test_unfinished_segments(void)
{
	struct queue_opts	 opts = { .segment_bytes = 1000 };
	struct queue_recovery	 found;
	struct queue		*q;
	struct queue_pos	 pos;
	char			 data[300];
	int			 i;

	begin();
	memset(data, 'x', sizeof(data));
	q = open_queue(&opts, NULL);
	for (i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(put(q, 0, 9, 0, data, sizeof(data)), 0);
	CU_ASSERT_EQUAL(put(q, 9, 10, QUEUE_BOUNDARY, data, sizeof(data)), 0);
	queue_received(q, &pos);
	for (i = 0; i < 20; i++)
		CU_ASSERT_EQUAL(put(q, 10, 20, 0, data, sizeof(data)), 0);
	CU_ASSERT_TRUE(count_segments(qdir) >= 10);
	/* Acknowledging parts of it does not take away the way back. */
	CU_ASSERT_EQUAL(queue_ack(q, pos.epoch, pos.offset + 4 * 384, &em), 0);
	CU_ASSERT_TRUE(count_segments(qdir) >= 9);
	CU_ASSERT_EQUAL(queue_sync(q, &em), 0);
	queue_abandon(&q);
	q = open_queue(&opts, &found);
	CU_ASSERT_EQUAL(found.unfinished_records, 20);
	CU_ASSERT_TRUE(found.unfinished_segments >= 8);
	CU_ASSERT_TRUE(count_segments(qdir) <= 4);
	queue_received(q, &pos);
	CU_ASSERT_EQUAL(pos.mark.tick, 10);
	CU_ASSERT_EQUAL(put(q, 10, 30, QUEUE_BOUNDARY, "y", 1), 0);
	CU_ASSERT_EQUAL(queue_close(&q, &em), 0);
	q = open_queue(&opts, &found);
	CU_ASSERT_TRUE(found.clean);
	/* Closing within a response is no clean end. */
	CU_ASSERT_EQUAL(put(q, 30, 40, 0, "y", 1), 0);
	CU_ASSERT_EQUAL(queue_close(&q, &em), 0);
	q = open_queue(&opts, &found);
	CU_ASSERT_FALSE(found.clean);
	CU_ASSERT_EQUAL(found.unfinished_records, 1);
	queue_abandon(&q);
	end();
}

static void
test_rotation(void)
{
	struct queue_opts	 opts = { .segment_bytes = 4096 };
	struct queue_reader	*fast, *slow;
	struct queue_record	 rec;
	struct queue_usage	 u;
	struct queue		*q;
	struct buf		 b = BUF_INIT;
	char			 text[1200];
	uint64_t		 n_fast = 0, n_slow = 0, i;
	int			 e;

	begin();
	rand_seed(4);
	q = open_queue(&opts, NULL);
	queue_reader_new(qdir, &fast);
	queue_reader_new(qdir, &slow);
	CU_ASSERT_EQUAL(queue_reader_seek_start(fast, &em), 0);
	CU_ASSERT_EQUAL(queue_reader_seek_start(slow, &em), 0);
	memset(text, '.', sizeof(text));
	for (i = 1; i <= 200; i++) {
		snprintf(text, sizeof(text), "%" PRIu64, i);
		CU_ASSERT_EQUAL(put(q, i - 1, i, QUEUE_BOUNDARY, text,
		    8 + rand_below(1100)), 0);
		while ((e = take(fast, &rec, &b)) == 1) {
			CU_ASSERT_EQUAL(strtoul((char *)b.data, NULL, 10),
			    ++n_fast);
			if (n_fast % 50 == 0)
				queue_reader_idle(fast);
		}
		CU_ASSERT_EQUAL(e, QUEUE_READ_END);
		CU_ASSERT_EQUAL(n_fast, i);
	}
	CU_ASSERT_TRUE(count_segments(qdir) > 10);
	while ((e = take(slow, &rec, &b)) == 1) {
		CU_ASSERT_EQUAL(strtoul((char *)b.data, NULL, 10), ++n_slow);
		CU_ASSERT_EQUAL(queue_ack(q, rec.epoch, rec.end, &em), 0);
	}
	CU_ASSERT_EQUAL(e, QUEUE_READ_END);
	CU_ASSERT_EQUAL(n_slow, 200);
	/* All is acknowledged: what is left is small. */
	queue_get_usage(q, &u);
	CU_ASSERT_EQUAL(u.unacked_bytes, 0);
	CU_ASSERT_EQUAL(count_segments(qdir), u.segments);
	CU_ASSERT_EQUAL(u.segments, 1);
	CU_ASSERT_TRUE(u.disk_bytes < 1024 + 256);
	/* And it goes on. */
	CU_ASSERT_EQUAL(put_text(q, 201, "201"), 0);
	CU_ASSERT_EQUAL(take(fast, &rec, &b), 1);
	CU_ASSERT_EQUAL(take(slow, &rec, &b), 1);
	CU_ASSERT_EQUAL(rec.meta.tick_to, 201);
	CU_ASSERT_EQUAL(queue_reader_seek(slow, rec.epoch, 0, &em),
	    QUEUE_READ_GONE);
	CU_ASSERT_EQUAL(queue_reader_seek_tick(slow, 3, &em),
	    QUEUE_READ_GONE);
	CU_ASSERT_EQUAL(queue_close(&q, &em), 0);
	queue_reader_free(&fast);
	queue_reader_free(&slow);
	buf_free(&b);
	end();
}

static void
test_seek(void)
{
	struct queue_opts	 opts = { .segment_bytes = 2000 };
	struct queue_reader	*r;
	struct queue_record	 rec;
	struct queue		*q;
	struct buf		 b = BUF_INIT;
	uint64_t		 at[101], epoch, i;

	begin();
	q = open_queue(&opts, NULL);
	queue_reader_new(qdir, &r);
	CU_ASSERT_EQUAL(take(r, &rec, &b), ERR_BAD_STATE);
	CU_ASSERT_EQUAL(queue_reader_seek_tick(r, 0, &em), 0);
	for (i = 1; i <= 100; i++) {
		/* Responses of three records, ticks 10 apart. */
		uint64_t	 base = (i - 1) / 3 * 10;

		CU_ASSERT_EQUAL(put(q, base, base + (i % 3 == 0 ? 10 :
		    (i - 1) % 3 * 3 + 3), i % 3 == 0 ? QUEUE_BOUNDARY : 0,
		    "payload of some length", 22), 0);
		CU_ASSERT_EQUAL(take(r, &rec, &b), 1);
		at[i] = rec.offset;
	}
	epoch = rec.epoch;
	for (i = 1; i <= 100; i++) {
		CU_ASSERT_EQUAL(queue_reader_seek(r, epoch, at[i], &em), 0);
		CU_ASSERT_EQUAL(take(r, &rec, &b), 1);
		CU_ASSERT_EQUAL(rec.offset, at[i]);
		CU_ASSERT_EQUAL(queue_reader_seek(r, epoch, at[i] + 8, &em),
		    ERR_RANGE);
		CU_ASSERT_EQUAL(take(r, &rec, &b), ERR_BAD_STATE);
	}
	CU_ASSERT_EQUAL(queue_reader_seek(r, epoch, at[100] + 104, &em), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), QUEUE_READ_END);
	CU_ASSERT_EQUAL(queue_reader_seek(r, epoch, at[100] + 208, &em),
	    QUEUE_READ_EPOCH);
	for (i = 0; i < 33; i++) {
		CU_ASSERT_EQUAL(queue_reader_seek_tick(r, i * 10, &em), 0);
		CU_ASSERT_EQUAL(take(r, &rec, &b), 1);
		CU_ASSERT_EQUAL(rec.offset, at[i * 3 + 1]);
	}
	/* Beyond the end: what comes is skipped up to there. */
	CU_ASSERT_EQUAL(queue_reader_seek_tick(r, 400, &em), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), QUEUE_READ_END);
	CU_ASSERT_EQUAL(put(q, 330, 400, QUEUE_BOUNDARY, "x", 1), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), QUEUE_READ_END);
	CU_ASSERT_EQUAL(put(q, 400, 401, QUEUE_BOUNDARY, "x", 1), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), 1);
	CU_ASSERT_EQUAL(rec.meta.tick_to, 401);
	queue_abandon(&q);
	queue_reader_free(&r);
	buf_free(&b);
	end();
}

static void
test_lock(void)
{
	struct queue_channel	 other = channel;
	struct queue		*q, *q2 = NULL;
	struct queue_recovery	 found;

	begin();
	q = open_queue(NULL, NULL);
	CU_ASSERT_EQUAL(queue_open(qdir, &channel, NULL, &q2, NULL, &em),
	    -EWOULDBLOCK);
	CU_ASSERT_PTR_NULL(q2);
	CU_ASSERT_EQUAL(put_text(q, 1, "x"), 0);
	CU_ASSERT_EQUAL(queue_close(&q, &em), 0);
	/* Another channel's directory is refused; another name is not. */
	other.shard = 4;
	CU_ASSERT_EQUAL(queue_open(qdir, &other, NULL, &q2, NULL, &em),
	    ERR_EXISTS);
	other = channel;
	strcpy(other.collection, "renamed");
	CU_ASSERT_EQUAL(queue_open(qdir, &other, NULL, &q2, NULL, &em), 0);
	CU_ASSERT_EQUAL(queue_close(&q2, &em), 0);
	/* Ticks of another DB-server mean nothing here. */
	strcpy(other.server, "PRMR-2");
	CU_ASSERT_EQUAL(queue_open(qdir, &other, NULL, &q2, &found, &em), 0);
	CU_ASSERT_TRUE(found.server_changed);
	CU_ASSERT_EQUAL(put_text(q2, 2, "x"), ERR_BAD_STATE);
	CU_ASSERT_EQUAL(queue_discard_all(q2, &other,
	    &(struct queue_mark){ 1000, 2, 3 }, &em), 0);
	CU_ASSERT_EQUAL(put_text(q2, 1001, "x"), 0);
	CU_ASSERT_EQUAL(queue_close(&q2, &em), 0);
	end();
}

UNIT_MAIN("queue",
    { "records are read as they were appended", test_round_trip },
    { "positions move with boundaries and fsync", test_positions },
    { "a clean end goes on in its epoch", test_clean_reopen },
    { "a crash begins a new epoch behind the last response",
	test_unclean_epoch },
    { "an unfinished response is removed over segments",
	test_unfinished_segments },
    { "readers follow rotation, consumed segments go", test_rotation },
    { "positions and ticks are found", test_seek },
    { "one writer, one channel, one DB-server", test_lock })
