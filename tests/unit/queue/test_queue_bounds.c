/* test_queue_bounds.c - a queue that is emptied, full, short of room, or one of
 * many */
#include <sys/resource.h>

#include <inttypes.h>
#include <signal.h>

#include "base/random.h"
#include "queue/format.h"
#include "util.h"

static void
test_discard(void)
{
	struct queue_opts	 opts = { .segment_bytes = 1000 };
	struct queue_channel	 moved = channel;
	struct queue_mark	 start = { 40, 8, 9 };
	struct queue_recovery	 found;
	struct queue_reader	*r;
	struct queue_record	 rec;
	struct queue_pos	 pos;
	struct queue		*q;
	struct buf		 b = BUF_INIT, copy = BUF_INIT;
	char			 path[256], data[500];
	uint64_t		 i, epoch;

	begin();
	memset(data, 'd', sizeof(data));
	q = open_queue(&opts, &found);
	epoch = found.epoch;
	/* Of a queue that holds nothing. */
	CU_ASSERT_EQUAL(queue_discard_all(q, &channel, &start, &em), 0);
	queue_received(q, &pos);
	CU_ASSERT_TRUE(pos.epoch > epoch);
	CU_ASSERT_EQUAL(pos.mark.tick, 40);
	CU_ASSERT_EQUAL(count_segments(qdir), 0);
	for (i = 100; i < 110; i++)
		CU_ASSERT_EQUAL(put(q, i, i + 1, QUEUE_BOUNDARY, data,
		    sizeof(data)), 0);
	queue_reader_new(qdir, &r);
	CU_ASSERT_EQUAL(queue_reader_seek_tick(r, 100, &em), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), 1);
	epoch = pos.epoch;
	last_segment(qdir, path, sizeof(path));
	read_whole(path, &copy);
	/* Ticks may go back: it is another server. */
	strcpy(moved.server, "PRMR-2");
	CU_ASSERT_EQUAL(queue_discard_all(q, &moved, &start, &em), 0);
	CU_ASSERT_EQUAL(count_segments(qdir), 1);
	queue_received(q, &pos);
	CU_ASSERT_TRUE(pos.epoch > epoch);
	CU_ASSERT_EQUAL(pos.mark.tick, 40);
	CU_ASSERT_EQUAL(queue_acked(q), pos.offset);
	CU_ASSERT_EQUAL(put_text(q, 41, "new"), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), QUEUE_READ_EPOCH);
	CU_ASSERT_EQUAL(queue_reader_seek_tick(r, 39, &em), QUEUE_READ_GONE);
	CU_ASSERT_EQUAL(queue_reader_seek_tick(r, 40, &em), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), 1);
	CU_ASSERT_STRING_EQUAL((char *)b.data, "new");
	CU_ASSERT_STRING_EQUAL(queue_reader_channel(r)->server, "PRMR-2");
	CU_ASSERT_EQUAL(queue_close(&q, &em), 0);
	/* A crash between the two steps: an old file is still there. */
	write_whole(path, copy.data, copy.len);
	CU_ASSERT_EQUAL(count_segments(qdir), 2);
	CU_ASSERT_EQUAL(queue_reader_seek_start(r, &em), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), 1);
	CU_ASSERT_STRING_EQUAL((char *)b.data, "new");
	CU_ASSERT_EQUAL(queue_open(qdir, &moved, &opts, &q, &found, &em), 0);
	CU_ASSERT_TRUE(found.clean);
	CU_ASSERT_EQUAL(found.leftovers, 1);
	CU_ASSERT_EQUAL(count_segments(qdir), 1);
	queue_abandon(&q);
	queue_reader_free(&r);
	buf_free(&b);
	buf_free(&copy);
	end();
}

static void
test_quota(void)
{
	struct queue_opts	 opts = { .segment_bytes = 8192,
				    .quota_bytes = 20000 };
	struct queue_usage	 u;
	struct queue_pos	 pos;
	struct queue		*q;
	char			 data[1000];
	uint64_t		 i;

	begin();
	memset(data, 'q', sizeof(data));
	q = open_queue(&opts, NULL);
	for (i = 1; i <= 10; i++)
		CU_ASSERT_EQUAL(put(q, i - 1, i, QUEUE_BOUNDARY, data,
		    sizeof(data)), 0);
	queue_get_usage(q, &u);
	CU_ASSERT_FALSE(u.over_quota);
	CU_ASSERT_EQUAL(u.quota_bytes, 20000);
	queue_received(q, &pos);
	for (; i <= 30; i++)
		CU_ASSERT_EQUAL(put(q, i - 1, i, QUEUE_BOUNDARY, data,
		    sizeof(data)), 0);
	queue_get_usage(q, &u);
	CU_ASSERT_TRUE(u.over_quota);
	CU_ASSERT_EQUAL(u.unacked_bytes, 30 * 1080);
	CU_ASSERT_EQUAL(u.undurable_bytes > 0, queue_is_dirty(q));
	queue_received(q, &pos);
	CU_ASSERT_EQUAL(queue_ack(q, pos.epoch, pos.offset + 8, &em),
	    ERR_RANGE);
	CU_ASSERT_EQUAL(queue_ack(q, pos.epoch + 1, 0, &em), ERR_RANGE);
	CU_ASSERT_EQUAL(queue_ack(q, pos.epoch - 1, pos.offset, &em), 0);
	CU_ASSERT_EQUAL(queue_acked(q), 0);
	CU_ASSERT_EQUAL(queue_ack(q, pos.epoch, 25 * 1080, &em), 0);
	CU_ASSERT_EQUAL(queue_ack(q, pos.epoch, 20 * 1080, &em), 0);
	CU_ASSERT_EQUAL(queue_acked(q), 25 * 1080);
	queue_get_usage(q, &u);
	CU_ASSERT_FALSE(u.over_quota);
	CU_ASSERT_EQUAL(u.unacked_bytes, 5 * 1080);
	queue_abandon(&q);
	end();
}

/* What was acknowledged in an epoch that has ended. */
static void
test_ack_over_epochs(void)
{
	struct queue_opts	 opts = { .segment_bytes = 1000 };
	struct queue_recovery	 found;
	struct queue_pos	 pos;
	struct queue		*q;
	char			 data[400];
	uint64_t		 i, epoch, end_old;

	begin();
	memset(data, 'q', sizeof(data));
	q = open_queue(&opts, &found);
	epoch = found.epoch;
	for (i = 1; i <= 10; i++)
		CU_ASSERT_EQUAL(put(q, i - 1, i, QUEUE_BOUNDARY, data,
		    sizeof(data)), 0);
	queue_received(q, &pos);
	end_old = pos.offset;
	queue_abandon(&q);
	q = open_queue(&opts, &found);
	CU_ASSERT_EQUAL(queue_acked(q), 0);
	for (; i <= 20; i++)
		CU_ASSERT_EQUAL(put(q, i - 1, i, QUEUE_BOUNDARY, data,
		    sizeof(data)), 0);
	CU_ASSERT_EQUAL(queue_ack(q, epoch, end_old + 2000, &em), 0);
	CU_ASSERT_EQUAL(queue_acked(q), end_old);
	queue_received(q, &pos);
	CU_ASSERT_EQUAL(queue_ack(q, pos.epoch, pos.offset, &em), 0);
	CU_ASSERT_EQUAL(count_segments(qdir), 1);
	queue_abandon(&q);
	/* Trimmed and abandoned: nothing was lost but the epoch. */
	q = open_queue(&opts, &found);
	CU_ASSERT_FALSE(found.clean);
	queue_received(q, &pos);
	CU_ASSERT_EQUAL(pos.mark.tick, 20);
	CU_ASSERT_EQUAL(pos.mark.line_crc, 60);
	queue_abandon(&q);
	end();
}

static void
test_zstd(void)
{
	struct queue_opts	 opts = { .codec = QUEUE_CODEC_ZSTD };
	struct queue_reader	*r;
	struct queue_record	 rec;
	struct queue		*q;
	struct buf		 b = BUF_INIT, raw = BUF_INIT;
	char			*text = xmalloc(100000);
	uint8_t			 noise[500];
	size_t			 i;

	if (!queue_codec_usable(QUEUE_CODEC_ZSTD)) {
		free(text);
		unit_skip("built without libzstd");
		return;
	}
	begin();
	for (i = 0; i < 100000; i++)
		text[i] = "{\"_key\":\"1234567\",\"a\":[1,2]}\n"[i % 29];
	for (i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)rand_u64();
	q = open_queue(&opts, NULL);
	CU_ASSERT_EQUAL(put(q, 0, 1, QUEUE_BOUNDARY, text, 100000), 0);
	CU_ASSERT_EQUAL(put(q, 1, 2, QUEUE_BOUNDARY, noise, sizeof(noise)),
	    0);
	CU_ASSERT_EQUAL(put(q, 2, 3, QUEUE_BOUNDARY, text, 100), 0);
	queue_reader_new(qdir, &r);
	CU_ASSERT_EQUAL(queue_reader_seek_start(r, &em), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), 1);
	CU_ASSERT_EQUAL(rec.codec, QUEUE_CODEC_ZSTD);
	CU_ASSERT_EQUAL(rec.raw_len, 100000);
	CU_ASSERT_TRUE(rec.stored_len < 2000);
	CU_ASSERT_EQUAL(b.len, 100000);
	CU_ASSERT_EQUAL(memcmp(b.data, text, 100000), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), 1);
	CU_ASSERT_EQUAL(rec.codec, QUEUE_CODEC_NONE);
	CU_ASSERT_EQUAL(memcmp(b.data, noise, sizeof(noise)), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), 1);
	/* As it is in the file. */
	CU_ASSERT_EQUAL(queue_reader_seek_start(r, &em), 0);
	buf_reset(&b);
	CU_ASSERT_EQUAL(queue_reader_next_stored(r, &rec, &b, &em), 1);
	CU_ASSERT_EQUAL(b.len, rec.stored_len);
	CU_ASSERT_EQUAL(queue_decode(rec.codec, b.data, b.len, rec.raw_len,
	    &raw), 0);
	CU_ASSERT_EQUAL(raw.len, 100000);
	CU_ASSERT_EQUAL(queue_decode(rec.codec, b.data, b.len - 1,
	    rec.raw_len, &raw), ERR_CORRUPT);
	CU_ASSERT_EQUAL(queue_decode(rec.codec, b.data, b.len,
	    rec.raw_len - 1, &raw), ERR_CORRUPT);
	CU_ASSERT_EQUAL(queue_close(&q, &em), 0);
	queue_reader_free(&r);
	buf_free(&b);
	buf_free(&raw);
	free(text);
	end();
}

/* The kernel, not a mock, cuts the record in half. */
static void
test_short_write(void)
{
	struct queue_reader	*r;
	struct queue_record	 rec;
	struct queue_recovery	 found;
	struct rlimit		 old, lim;
	struct queue		*q;
	struct buf		 b = BUF_INIT;
	char			 big[3000];
	int			 e1, e2;

	begin();
	signal(SIGXFSZ, SIG_IGN);
	memset(big, 'b', sizeof(big));
	q = open_queue(NULL, NULL);
	queue_reader_new(qdir, &r);
	CU_ASSERT_EQUAL(queue_reader_seek_start(r, &em), 0);
	CU_ASSERT_EQUAL(put(q, 0, 1, QUEUE_BOUNDARY, big, 3000), 0);
	getrlimit(RLIMIT_FSIZE, &old);
	lim = old;
	lim.rlim_cur = 5000;
	setrlimit(RLIMIT_FSIZE, &lim);
	e1 = put(q, 1, 2, QUEUE_BOUNDARY, big, 3000);	/* half, then anew */
	lim.rlim_cur = 2000;
	setrlimit(RLIMIT_FSIZE, &lim);
	e2 = put(q, 2, 3, QUEUE_BOUNDARY, big, 3000);	/* fits nowhere */
	setrlimit(RLIMIT_FSIZE, &old);	/* first: test reports are files too */
	CU_ASSERT_EQUAL(e1, 0);
	CU_ASSERT_EQUAL(e2, ERR_STORAGE);
	CU_ASSERT_EQUAL(queue_get_state(q), QUEUE_FAILED);
	CU_ASSERT_NOT_EQUAL(queue_error(q)[0], '\0');
	/* It stays so. */
	CU_ASSERT_EQUAL(put_text(q, 4, "x"), ERR_STORAGE);
	CU_ASSERT_EQUAL(queue_sync(q, &em), ERR_STORAGE);
	CU_ASSERT_EQUAL(take(r, &rec, &b), 1);
	CU_ASSERT_EQUAL(take(r, &rec, &b), 1);
	CU_ASSERT_EQUAL(rec.meta.tick_to, 2);
	CU_ASSERT_EQUAL(b.len, 3000);
	CU_ASSERT_EQUAL(take(r, &rec, &b), QUEUE_READ_MORE);
	CU_ASSERT_EQUAL(queue_close(&q, &em), ERR_STORAGE);
	q = open_queue(NULL, &found);
	CU_ASSERT_FALSE(found.clean);
	CU_ASSERT_EQUAL(put_text(q, 4, "x"), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), QUEUE_READ_EPOCH);
	CU_ASSERT_EQUAL(queue_reader_seek_tick(r, 2, &em), 0);
	CU_ASSERT_EQUAL(take(r, &rec, &b), 1);
	CU_ASSERT_STRING_EQUAL((char *)b.data, "x");
	queue_abandon(&q);
	queue_reader_free(&r);
	buf_free(&b);
	end();
}

/* Less free space than must be: a state that ends. */
static void
test_min_free(void)
{
	struct queue_opts	 opts = { .min_free_bytes = UINT64_MAX / 2 };
	struct queue		*q;

	begin();
	q = open_queue(&opts, NULL);
	CU_ASSERT_EQUAL(put_text(q, 1, "x"), -ENOSPC);
	CU_ASSERT_EQUAL(queue_get_state(q), QUEUE_FULL);
	CU_ASSERT_STRING_EQUAL(queue_state_name(QUEUE_FULL), "full");
	CU_ASSERT_EQUAL(put_text(q, 1, "x"), -ENOSPC);
	CU_ASSERT_EQUAL(queue_close(&q, &em), 0);
	opts.min_free_bytes = 1;
	q = open_queue(&opts, NULL);
	CU_ASSERT_EQUAL(put_text(q, 1, "x"), 0);
	CU_ASSERT_EQUAL(queue_get_state(q), QUEUE_OK);
	CU_ASSERT_EQUAL(queue_close(&q, &em), 0);
	end();
}

static void
on_done(struct queue *q, int err, void *arg)
{
	struct queue	**mine = arg;
	int		  i;

	CU_ASSERT_EQUAL(err, 0);
	for (i = 0; i < 40; i++)
		if (mine[i] == q && i % 10 == 3)
			queue_abandon(&mine[i]);
}

static void
test_set(void)
{
	struct queue_set	*set;
	struct queue		*q[40];
	struct queue_pos	 pos;
	char			 dir[128];
	int			 i;

	begin();
	set = queue_set_new(top);
	for (i = 0; i < 40; i++) {
		snprintf(dir, sizeof(dir), "%s/c%d", top, i);
		CU_ASSERT_EQUAL_FATAL(queue_open(dir, &channel, NULL, &q[i],
		    NULL, &em), 0);
		queue_set_add(set, q[i]);
	}
	CU_ASSERT_EQUAL(queue_set_dirty(set), 0);
	for (i = 0; i < 40; i += 2)
		CU_ASSERT_EQUAL(put_text(q[i], 5, "x"), 0);
	CU_ASSERT_EQUAL(queue_set_dirty(set), 20);
	CU_ASSERT_EQUAL(queue_sync(q[4], &em), 0);
	queue_abandon(&q[6]);
	CU_ASSERT_EQUAL(queue_set_dirty(set), 18);
	CU_ASSERT_EQUAL(put_text(q[13], 5, "x"), 0);
	CU_ASSERT_EQUAL(queue_set_sync(set, on_done, q), 0);
	CU_ASSERT_PTR_NULL(q[13]);
	CU_ASSERT_EQUAL(queue_set_dirty(set), 0);
	queue_durable(q[8], &pos);
	CU_ASSERT_EQUAL(pos.mark.tick, 5);
	for (i = 0; i < 40; i++)
		if (q[i] != NULL)
			CU_ASSERT_EQUAL(queue_close(&q[i], &em), 0);
	queue_set_free(&set);
	end();
}

static void
test_names(void)
{
	struct queue_channel	 c = channel;
	char			 name[QUEUE_NAME_BYTES];

	CU_ASSERT_STRING_EQUAL(queue_channel_name(&c, name), "mydb.10049.3");
	strcpy(c.database, "../a b.c");
	CU_ASSERT_STRING_EQUAL(queue_channel_name(&c, name),
	    "%2E%2E%2Fa%20b%2Ec.10049.3");
	memset(c.database, '\xc3', sizeof(c.database) - 1);
	c.cid = UINT64_MAX;
	c.shard = UINT32_MAX;
	CU_ASSERT_TRUE(strlen(queue_channel_name(&c, name)) < 240);
	CU_ASSERT_PTR_NOT_NULL(strstr(name,
	    ".18446744073709551615.4294967295"));
}

static void
test_set_aside(void)
{
	struct queue		*q;
	struct queue_recovery	 found;
	char			 to[256];
	struct stat		 st;

	begin();
	q = open_queue(NULL, NULL);
	CU_ASSERT_EQUAL(put_text(q, 1, "x"), 0);
	queue_abandon(&q);
	CU_ASSERT_EQUAL(queue_set_aside(qdir, to, sizeof(to), &em), 0);
	CU_ASSERT_EQUAL(stat(qdir, &st), -1);
	CU_ASSERT_EQUAL(stat(to, &st), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(to, ".damaged-20"));
	q = open_queue(NULL, &found);
	CU_ASSERT_TRUE(found.fresh);
	queue_abandon(&q);
	end();
}

UNIT_MAIN("queue bounds",
    { "a reset forgets all, also after a crash in it", test_discard },
    { "quotas are reported, acknowledging frees", test_quota },
    { "acknowledgements count over epochs", test_ack_over_epochs },
    { "zstd where it pays", test_zstd },
    { "a short write seals the segment", test_short_write },
    { "too little free space is a state", test_min_free },
    { "a set commits its dirty queues", test_set },
    { "names of channels are safe and unique", test_names },
    { "a damaged channel is set aside", test_set_aside })
