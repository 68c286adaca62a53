/* test_format.c - the bytes of a segment, and those of the manual page */
#include <ctype.h>
#include <inttypes.h>

#include "base/crc32c.h"
#include "queue/format.h"
#include "util.h"

/* The segment of arangosync-queue(5): one record, closed in order. */
static void
make_example(struct buf *b)
{
	static const char	 payload[] = "{\"tick\":\"102\"}\n";
	struct fmt_segment	 s;
	struct fmt_record	 r;
	uint8_t			 head[FMT_SEG_MAX_BYTES], rec[FMT_REC_BYTES];
	uint8_t			 body[16];

	memset(&s, 0, sizeof(s));
	s.epoch = 1700000000000;
	s.number = 5;
	s.base = 4096;
	s.prev_epoch = 1700000000000;
	s.prev_number = 4;
	s.prev_end = 4096;
	s.mark_offset = 4096;
	s.mark.tick = 100;
	s.mark.reboot_id = 7;
	s.mark.line_crc = 0x01020304;
	s.created_us = 1700000000000000;
	s.channel = channel;
	buf_append(b, head, fmt_put_segment(head, &s));

	memset(&r, 0, sizeof(r));
	memset(body, 0, sizeof(body));
	memcpy(body, payload, 15);
	r.type = FMT_BATCH;
	r.flags = QUEUE_BOUNDARY;
	r.stored_len = r.raw_len = 15;
	r.offset = r.durable = 4096;
	r.tick_from = 100;
	r.tick_to = 102;
	r.reboot_id = 7;
	r.ops = 1;
	r.line_crc = crc32c(0, payload, 14);
	r.payload_crc = crc32c(0, body, sizeof(body));
	r.time_us = 1700000000500000;
	fmt_put_record(rec, s.epoch, s.number, &r);
	buf_append(b, rec, sizeof(rec));
	buf_append(b, body, sizeof(body));

	r.type = FMT_CLOSE;
	r.stored_len = r.raw_len = r.ops = 0;
	r.payload_crc = 0;
	r.offset = r.durable = 4096 + 96;
	r.tick_from = 102;
	r.time_us = 1700000001000000;
	fmt_put_record(rec, s.epoch, s.number, &r);
	buf_append(b, rec, sizeof(rec));
}

static void
test_segment(void)
{
	struct buf		 b = BUF_INIT;
	struct fmt_segment	 s;
	size_t			 i;

	make_example(&b);
	CU_ASSERT_EQUAL(fmt_get_segment(b.data, b.len, &s), 0);
	CU_ASSERT_EQUAL(s.epoch, 1700000000000);
	CU_ASSERT_EQUAL(s.number, 5);
	CU_ASSERT_EQUAL(s.base, 4096);
	CU_ASSERT_EQUAL(s.prev_number, 4);
	CU_ASSERT_EQUAL(s.mark.tick, 100);
	CU_ASSERT_EQUAL(s.mark.reboot_id, 7);
	CU_ASSERT_EQUAL(s.mark.line_crc, 0x01020304);
	CU_ASSERT_EQUAL(s.channel.cid, 10049);
	CU_ASSERT_EQUAL(s.channel.shard, 3);
	CU_ASSERT_STRING_EQUAL(s.channel.cluster, channel.cluster);
	CU_ASSERT_STRING_EQUAL(s.channel.server, "PRMR-1");
	CU_ASSERT_STRING_EQUAL(s.channel.database, "mydb");
	CU_ASSERT_STRING_EQUAL(s.channel.collection, "products");
	CU_ASSERT_EQUAL(s.header_bytes % 8, 0);
	for (i = 0; i < s.header_bytes; i++)
		CU_ASSERT_EQUAL(fmt_get_segment(b.data, i, &s),
		    ERR_TRUNCATED);
	/* Each byte counts. */
	for (i = 0; i < s.header_bytes; i++) {
		b.data[i] ^= 0x40;
		CU_ASSERT_NOT_EQUAL(fmt_get_segment(b.data, b.len, &s), 0);
		b.data[i] ^= 0x40;
	}
	b.data[8] = 2;
	CU_ASSERT_EQUAL(fmt_get_segment(b.data, b.len, &s), ERR_VERSION);
	buf_free(&b);
}

/* A later minor version has a longer header; ours skips what it adds. */
static void
test_minor(void)
{
	struct buf		 b = BUF_INIT;
	struct fmt_segment	 s;
	uint32_t		 n, crc;

	make_example(&b);
	n = b.data[12] + 8u;
	b.data[10] = 9;
	b.data[12] = (uint8_t)n;
	b.data[n - 1] = 0x55;
	crc = crc32c(crc32c(0, b.data, 16), b.data + 20, n - 20);
	b.data[16] = (uint8_t)crc;
	b.data[17] = (uint8_t)(crc >> 8);
	b.data[18] = (uint8_t)(crc >> 16);
	b.data[19] = (uint8_t)(crc >> 24);
	CU_ASSERT_EQUAL(fmt_get_segment(b.data, b.len, &s), 0);
	CU_ASSERT_EQUAL(s.minor, 9);
	CU_ASSERT_EQUAL(s.header_bytes, n);
	CU_ASSERT_STRING_EQUAL(s.channel.collection, "products");
	buf_free(&b);
}

static void
test_record(void)
{
	struct buf		 b = BUF_INIT;
	struct fmt_segment	 s;
	struct fmt_record	 r;
	uint8_t			*p;
	size_t			 i;

	make_example(&b);
	CU_ASSERT_EQUAL_FATAL(fmt_get_segment(b.data, b.len, &s), 0);
	p = b.data + s.header_bytes;
	CU_ASSERT_EQUAL(fmt_get_record(p, s.epoch, s.number, &r), 0);
	CU_ASSERT_EQUAL(r.type, FMT_BATCH);
	CU_ASSERT_EQUAL(r.flags, QUEUE_BOUNDARY);
	CU_ASSERT_EQUAL(r.offset, 4096);
	CU_ASSERT_EQUAL(r.tick_from, 100);
	CU_ASSERT_EQUAL(r.tick_to, 102);
	CU_ASSERT_EQUAL(r.ops, 1);
	CU_ASSERT_EQUAL(fmt_record_end(&r), 4096 + 96);
	/* The same bytes in another segment or epoch are no record. */
	CU_ASSERT_EQUAL(fmt_get_record(p, s.epoch, s.number + 1, &r),
	    ERR_CORRUPT);
	CU_ASSERT_EQUAL(fmt_get_record(p, s.epoch + 1, s.number, &r),
	    ERR_CORRUPT);
	for (i = 0; i < FMT_REC_BYTES; i++) {
		p[i] ^= 1;
		CU_ASSERT_NOT_EQUAL(fmt_get_record(p, s.epoch, s.number, &r),
		    0);
		p[i] ^= 1;
	}
	buf_free(&b);
}

/* Values that do not depend on our own encoder. */
static void
test_vectors(void)
{
	static const uint8_t	 seg[] = {
		0x41, 0x51, 0x53, 0x45, 0x47, 0x0d, 0x0a, 0x1a,
		0x01, 0x00, 0x00, 0x00, 0xa8, 0x00, 0x00, 0x00
	};
	static const uint8_t	 rec[] = { 0x41, 0x51, 0x52, 0x0a };
	struct buf		 b = BUF_INIT;

	make_example(&b);
	CU_ASSERT_EQUAL(memcmp(b.data, seg, sizeof(seg)), 0);
	CU_ASSERT_EQUAL(memcmp(b.data + 0xa8, rec, sizeof(rec)), 0);
	CU_ASSERT_EQUAL(b.len, 0xa8 + 96 + 80);
	CU_ASSERT_EQUAL(memcmp(b.data + 128, "7f2c1a60-clusterPRMR-1mydb"
	    "products", 34), 0);
	buf_free(&b);
}

/*
 * The hex dump of the manual page: lines "000000a8  41 51 52 0a ...", between
 * .Bd and .Ed.
 */
static void
read_manual(FILE *f, struct buf *b)
{
	char		 line[512], *p, *e;
	unsigned long	 v;

	while (fgets(line, sizeof(line), f) != NULL) {
		for (p = line; isxdigit((unsigned char)*p); p++)
			continue;
		if (p != line + 8 || p[0] != ' ' || p[1] != ' ')
			continue;
		CU_ASSERT_EQUAL(strtoul(line, NULL, 16), b->len);
		for (;;) {
			while (*p == ' ')
				p++;
			if (!isxdigit((unsigned char)p[0]) ||
			    !isxdigit((unsigned char)p[1]) ||
			    (p[2] != ' ' && p[2] != '\n'))
				break;
			v = strtoul(p, &e, 16);
			buf_append_u8(b, (uint8_t)v);
			p = e;
		}
	}
}

static void
test_manual(void)
{
	const char	*src = getenv("top_srcdir");
	struct buf	 want = BUF_INIT, have = BUF_INIT;
	char		 path[4096];
	size_t		 i;
	FILE		*f;

	snprintf(path, sizeof(path), "%s/man/arangosync-queue.5",
	    src == NULL ? "." : src);
	f = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	read_manual(f, &have);
	fclose(f);
	make_example(&want);
	if (have.len != want.len || memcmp(have.data, want.data,
	    want.len) != 0)
		for (i = 0; i < want.len; i++) {
			if (i % 16 == 0)
				printf("%s# %08zx ", i == 0 ? "" : "\n", i);
			printf(" %02x", want.data[i]);
		}
	printf("\n");
	CU_ASSERT_EQUAL(have.len, want.len);
	CU_ASSERT_EQUAL(memcmp(have.data, want.data, MIN(have.len,
	    want.len)), 0);
	buf_free(&want);
	buf_free(&have);
}

UNIT_MAIN("queue format",
    { "a segment header is read as it was written", test_segment },
    { "a longer header of a later minor version is accepted", test_minor },
    { "a record belongs to its segment and each bit counts", test_record },
    { "the fixed bytes are where they must be", test_vectors },
    { "the manual page shows a real segment", test_manual })
