/*
 * fuzz_segment.c - any bytes as the files of a queue: reader, inspection and
 * recovery.  The first byte says what is done with them:
 *
 *	bit 0	make the checksums of the headers right
 *	bit 1	cut into two segments at the place in the second byte
 *	bit 2	a journal of positions instead
 */
#include <sys/stat.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/fsx.h"
#include "queue/ack.h"
#include "queue/check.h"
#include "queue/format.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char	dir[64], qdir[80];
static FILE	*devnull;

static void
clean_up(void)
{
	fsx_remove_tree(dir);
}

static void
make_dir(void)
{
	if (dir[0] != '\0')
		return;
	strcpy(dir, access("/dev/shm", W_OK) == 0 ?
	    "/dev/shm/fuzz_segment.XXXXXX" : "/tmp/fuzz_segment.XXXXXX");
	if (mkdtemp(dir) == NULL)
		abort();
	snprintf(qdir, sizeof(qdir), "%s/q", dir);
	devnull = fopen("/dev/null", "w");
	atexit(clean_up);
}

static uint64_t
le(const uint8_t *p, int n)
{
	uint64_t	 v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

static void
set_le32(uint8_t *p, uint32_t v)
{
	int	 i;

	for (i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* So that what is behind the checksums is reached too. */
static void
repair(uint8_t *p, size_t n)
{
	uint64_t	 header, at, len;

	if (n < FMT_SEG_FIXED_BYTES)
		return;
	header = le(p + 12, 4);
	if (header < FMT_SEG_FIXED_BYTES || header > n)
		return;
	set_le32(p + 16, crc32c(crc32c(0, p, 16), p + 20,
	    (size_t)header - 20));
	for (at = header; at + FMT_REC_BYTES <= n; at += len) {
		len = fmt_record_bytes((uint32_t)le(p + at + 8, 4));
		if (at + len <= n)
			set_le32(p + at + 68, crc32c(0, p + at + FMT_REC_BYTES,
			    (size_t)len - FMT_REC_BYTES));
		set_le32(p + at + 4, crc32c(crc32c(0, p + 24, 16), p + at + 8,
		    FMT_REC_BYTES - 8));
	}
}

static void
write_segment(const uint8_t *p, size_t n)
{
	char		 path[256];
	uint64_t	 epoch = n >= 40 ? le(p + 24, 8) : 1;
	uint64_t	 number = n >= 40 ? le(p + 32, 8) : 1;
	int		 fd;

	snprintf(path, sizeof(path), "%s/%016" PRIx64 "-%016" PRIx64 ".seg",
	    qdir, epoch, number);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd == -1 || fsx_write_all(fd, p, n) != 0)
		abort();
	close(fd);
}

/* To the end; the result. */
static int
read_queue(size_t *records)
{
	struct queue_reader	*r;
	struct queue_record	 rec;
	struct buf		 b = BUF_INIT;
	struct err_msg		 em;
	int			 n, turns = 0;

	*records = 0;
	queue_reader_new(qdir, &r);
	n = queue_reader_seek_start(r, &em);
	while (n == 0) {
		buf_reset(&b);
		n = queue_reader_next(r, &rec, &b, &em);
		if (n == QUEUE_READ_EPOCH && turns++ < 10) {
			n = queue_reader_seek_tick(r, UINT64_MAX / 2, &em);
			continue;
		}
		if (n != 1)
			break;
		bug_unless(b.len == rec.raw_len);
		bug_unless(rec.end > rec.offset);
		(*records)++;
		n = 0;
	}
	queue_reader_free(&r);
	buf_free(&b);
	return n;
}

static int
on_info(const struct queue_info *info, void *arg)
{
	*(struct queue_channel *)arg = info->channel;
	return 0;
}

static void
use_queue(void)
{
	struct queue_dump_opts	 o = { .format = QUEUE_DUMP_JSON,
				    .with_payload = true };
	struct queue_channel	 channel;
	struct queue_recovery	 found;
	struct queue_meta	 m;
	struct queue_pos	 pos;
	struct queue		*q;
	struct err_msg		 em;
	size_t			 before, after;
	int			 r;

	memset(&channel, 0, sizeof(channel));
	(void)queue_check(qdir, NULL, on_info, NULL, &channel, &em);
	(void)queue_dump(qdir, NULL, &o, devnull, &em);
	(void)read_queue(&before);
	if (queue_open(qdir, &channel, NULL, &q, &found, &em) != 0)
		return;
	/* What was recovered can be read to its end. */
	r = read_queue(&after);
	bug_unless(r >= 0 || r == ERR_CORRUPT || r == ERR_VERSION);
	queue_received(q, &pos);
	memset(&m, 0, sizeof(m));
	m.tick_from = m.tick_to = pos.mark.tick;
	m.flags = QUEUE_BOUNDARY;
	(void)queue_append(q, &m, NULL, 0, &em);
	(void)queue_ack(q, pos.epoch, pos.offset, &em);
	(void)queue_close(&q, &em);
}

static void
use_journal(const uint8_t *p, size_t n)
{
	struct ack_store	*s;
	struct ack_pos		 pos;
	struct err_msg		 em;
	char			 path[128];
	int			 fd;

	snprintf(path, sizeof(path), "%s/positions", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd == -1 || fsx_write_all(fd, p, n) != 0)
		abort();
	close(fd);
	if (ack_open(path, &s, NULL, &em) != 0)
		return;
	memset(&pos, 0, sizeof(pos));
	pos.tick = 77;
	bug_unless(ack_put(s, "key", &pos) == 0);
	bug_unless(ack_sync(s, &em) == 0);
	ack_close(&s);
	bug_unless(ack_open(path, &s, NULL, &em) == 0);
	bug_unless(ack_get(s, "key")->tick == 77);
	ack_close(&s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t	*p;
	size_t	 n, cut;

	if (size < 2)
		return 0;
	make_dir();
	n = size - 2;
	p = xmalloc(n + 1);
	memcpy(p, data + 2, n);
	if (data[0] & 4) {
		use_journal(p, n);
		free(p);
		return 0;
	}
	fsx_remove_tree(qdir);
	if (mkdir(qdir, 0700) == -1)
		abort();
	cut = data[0] & 2 ? MIN(n, (size_t)data[1] * 8) : n;
	if (data[0] & 1) {
		repair(p, cut);
		repair(p + cut, n - cut);
	}
	write_segment(p, cut);
	if (cut < n)
		write_segment(p + cut, n - cut);
	use_queue();
	free(p);
	return 0;
}
