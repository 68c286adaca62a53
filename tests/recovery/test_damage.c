/* test_damage.c - torn ends are cut, everything else is reported */
#include "queue/check.h"
#include "queue/format.h"
#include "scratch.h"

#define MOST	200		/* bytes of a record */

/* n records, a sync after each; closed in order or not. */
static void
make_queue(uint64_t n, bool closed, bool synced)
{
	uint8_t		 scratch[MOST];
	struct queue	*q;
	uint64_t	 i;

	CU_ASSERT_EQUAL_FATAL(queue_open(qdir, &channel, NULL, &q, NULL, &em),
	    0);
	for (i = 1; i <= n; i++) {
		CU_ASSERT_EQUAL(put_record(q, i, MOST, scratch), 0);
		if (synced)
			CU_ASSERT_EQUAL(queue_sync(q, &em), 0);
	}
	if (closed) {
		CU_ASSERT_EQUAL(queue_close(&q, &em), 0);
	} else
		queue_abandon(&q);
}

static void
load(char *path, size_t size, struct buf *b, struct fmt_segment *h)
{
	only_segment(path, size);
	CU_ASSERT_EQUAL_FATAL(fsx_read_file(path, 1 << 20, b), 0);
	CU_ASSERT_EQUAL_FATAL(fmt_get_segment(b->data, b->len, h), 0);
}

/* File position behind record i, from the headers. */
static void
find_ends(const struct buf *b, const struct fmt_segment *h, uint64_t n,
    uint64_t *ends)
{
	struct fmt_record	 r;
	uint64_t		 i;

	ends[0] = h->header_bytes;
	for (i = 1; i <= n; i++) {
		CU_ASSERT_EQUAL_FATAL(fmt_get_record(b->data + ends[i - 1],
		    h->epoch, h->number, &r), 0);
		ends[i] = ends[i - 1] + fmt_record_bytes(r.stored_len);
	}
}

static void
test_truncation(void)
{
	struct queue_recovery	 found;
	struct fmt_segment	 h;
	struct queue_pos	 pos;
	struct queue		*q;
	struct buf		 b = BUF_INIT;
	uint8_t			 scratch[MOST];
	char			 path[256];
	uint64_t		 ends[7], whole, n;
	size_t			 size;
	int			 how;

	begin();
	make_queue(6, false, false);
	load(path, sizeof(path), &b, &h);
	find_ends(&b, &h, 6, ends);
	for (size = ends[0]; size <= b.len; size++) {
		restore(path, b.data, size);
		for (whole = 6; ends[whole] > size; whole--)
			continue;
		/* A reader that comes before recovery. */
		n = read_all(0, MOST, &how);
		CU_ASSERT_EQUAL(n, whole);
		CU_ASSERT_EQUAL(how, size == ends[whole] ? QUEUE_READ_END :
		    QUEUE_READ_MORE);
		CU_ASSERT_EQUAL_FATAL(queue_open(qdir, &channel, NULL, &q,
		    &found, &em), 0);
		CU_ASSERT_FALSE(found.clean);
		CU_ASSERT_EQUAL(found.torn_bytes, size - ends[whole]);
		CU_ASSERT_EQUAL(found.unfinished_records, whole % 3);
		queue_received(q, &pos);
		n = whole / 3 * 3;
		CU_ASSERT_EQUAL(pos.mark.tick, n);
		CU_ASSERT_EQUAL(read_all(0, MOST, &how), n);
		CU_ASSERT_EQUAL(how, QUEUE_READ_END);
		CU_ASSERT_EQUAL(put_record(q, n + 1, MOST, scratch), 0);
		CU_ASSERT_EQUAL(read_all(0, MOST, &how), n + 1);
		CU_ASSERT_EQUAL(how, QUEUE_READ_END);
		queue_abandon(&q);
	}
	/* Less than the header: such a file never has its name. */
	for (size = 0; size < ends[0]; size++) {
		restore(path, b.data, size);
		CU_ASSERT_EQUAL(queue_open(qdir, &channel, NULL, &q, NULL,
		    &em), ERR_CORRUPT);
		CU_ASSERT_PTR_NOT_NULL(strstr(em.text, path));
	}
	buf_free(&b);
	end();
}

/* The sentence names file and offset. */
static bool
names_place(const char *path)
{
	return strstr(em.text, path) != NULL &&
	    strstr(em.text, ": offset ") != NULL;
}

static int
ignore(const struct queue_info *info, void *arg)
{
	*(struct queue_info *)arg = *info;
	return 0;
}

/*
 * Each bit of a segment with six records that were on disk one after the
 * other.  With a mark of the end all damage to records is noticed; without it
 * the last record cannot be told from a torn one.
 */
static void
flip_all(bool closed)
{
	struct queue_recovery	 found;
	struct queue_info	 info;
	struct fmt_segment	 h;
	struct queue		*q;
	struct buf		 b = BUF_INIT;
	char			 path[256];
	uint64_t		 ends[7], n, before;
	size_t			 at, bit;
	int			 how, r;

	begin();
	make_queue(6, closed, true);
	load(path, sizeof(path), &b, &h);
	find_ends(&b, &h, 6, ends);
	CU_ASSERT_EQUAL(b.len, ends[6] + (closed ? FMT_REC_BYTES : 0));
	for (bit = 0; bit < b.len * 8; bit++) {
		at = bit / 8;
		b.data[at] ^= (uint8_t)(1u << bit % 8);
		restore(path, b.data, b.len);
		for (before = 0; before < 6 && ends[before + 1] <= at;
		    before++)
			continue;
		/* read_all() fails the test when a record is wrong. */
		n = read_all(0, MOST, &how);
		CU_ASSERT_EQUAL(n, at < ends[0] ? 0 : before);
		CU_ASSERT_EQUAL(queue_check(top, NULL, ignore, NULL, &info,
		    &em), 0);
		r = queue_open(qdir, &channel, NULL, &q, &found, &em);
		if (at < ends[0] || at < ends[5] ||
		    (closed && at < ends[6])) {
			CU_ASSERT_TRUE(how < 0);
			CU_ASSERT_EQUAL(info.condition, QUEUE_COND_DAMAGED);
			CU_ASSERT_TRUE(at >= 8 && at < 10 ?
			    r == ERR_VERSION :
			    r == ERR_CORRUPT && names_place(path));
		} else {
			/* The last record, or the mark of the end. */
			CU_ASSERT_EQUAL(r, 0);
			CU_ASSERT_EQUAL(how, QUEUE_READ_MORE);
			CU_ASSERT_EQUAL(info.condition, QUEUE_COND_TORN);
			CU_ASSERT_FALSE(found.clean);
			CU_ASSERT_EQUAL(read_all(0, MOST, &how),
			    closed ? 6 : 3);
		}
		if (r == 0)
			queue_abandon(&q);
		b.data[at] ^= (uint8_t)(1u << bit % 8);
	}
	buf_free(&b);
	end();
}

static void
test_flips_closed(void)
{
	flip_all(true);
}

static void
test_flips_open(void)
{
	flip_all(false);
}

/*
 * What a power cut may do: everything up to the last fsync is there; behind
 * it any block may be missing, and the file may be shorter.
 */
static void
test_power_cut(void)
{
	struct queue_recovery	 found;
	struct fmt_segment	 h;
	struct queue_pos	 durable, pos;
	struct queue		*q;
	struct buf		 b = BUF_INIT;
	uint8_t			 scratch[2000];
	char			 path[256];
	uint64_t		 i, n;
	size_t			 from, at, size;
	int			 round, how;

	rand_seed(77);
	for (round = 0; round < 300; round++) {
		begin();
		CU_ASSERT_EQUAL_FATAL(queue_open(qdir, &channel, NULL, &q,
		    NULL, &em), 0);
		n = 1 + rand_below(30);
		for (i = 1; i <= n; i++) {
			CU_ASSERT_EQUAL(put_record(q, i, 2000, scratch), 0);
			if (rand_below(5) == 0)
				CU_ASSERT_EQUAL(queue_sync(q, &em), 0);
		}
		queue_durable(q, &durable);
		queue_abandon(&q);
		buf_reset(&b);
		load(path, sizeof(path), &b, &h);
		from = h.header_bytes + durable.offset;
		for (at = (from + 511) / 512 * 512; at < b.len; at += 512)
			if (rand_below(4) == 0)
				memset(b.data + at, 0, MIN((size_t)512,
				    b.len - at));
		size = rand_below(2) == 0 ? b.len :
		    from + rand_below(b.len - from + 1);
		restore(path, b.data, size);
		CU_ASSERT_EQUAL_FATAL(queue_open(qdir, &channel, NULL, &q,
		    &found, &em), 0);
		queue_received(q, &pos);
		CU_ASSERT_TRUE(pos.mark.tick >= durable.mark.tick);
		CU_ASSERT_EQUAL(read_all(0, 2000, &how), pos.mark.tick);
		CU_ASSERT_EQUAL(how, QUEUE_READ_END);
		queue_abandon(&q);
		end();
	}
	buf_free(&b);
}

UNIT_MAIN("queue damage",
    { "a file cut anywhere gives its whole records", test_truncation },
    { "each flipped bit of a closed segment is noticed",
      test_flips_closed },
    { "each flipped bit of an open segment gives no wrong data",
      test_flips_open },
    { "blocks lost behind the last fsync are a torn end", test_power_cut })
