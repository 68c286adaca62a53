/* scratch.h - a directory in memory, and records that can be recognised */
#ifndef TESTS_RECOVERY_SCRATCH_H
#define TESTS_RECOVERY_SCRATCH_H

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fsx.h"
#include "base/random.h"
#include "queue/queue.h"
#include "queue/reader.h"
#include "unit.h"

static char		top[64], qdir[96];
static struct err_msg	em;

static const struct queue_channel	channel = {
	"7f2c1a60-cluster", "PRMR-1", "mydb", "products", 10049, 3
};

/* Thousands of openings: in memory where there is such a place. */
static inline void
begin(void)
{
	strcpy(top, access("/dev/shm", W_OK) == 0 ?
	    "/dev/shm/test_recovery.XXXXXX" : "/tmp/test_recovery.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(top));
	snprintf(qdir, sizeof(qdir), "%s/q", top);
}

static inline void
end(void)
{
	CU_ASSERT_EQUAL(fsx_remove_tree(top), 0);
}

/*
 * Record number n: ticks (n-1, n], the last of its response when n % 3 is 0;
 * length and bytes follow from n.
 */
static inline size_t
record_bytes(uint64_t n, size_t most, uint8_t *to)
{
	uint64_t	 x = n * 0x9e3779b97f4a7c15ULL;
	size_t		 len = (size_t)((x >> 40) % most), i;

	for (i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		to[i] = (uint8_t)x;
	}
	return len;
}

static inline int
put_record(struct queue *q, uint64_t n, size_t most, uint8_t *scratch)
{
	struct queue_meta	 m = { n - 1, n, 1, (uint32_t)n, 1,
				    n % 3 == 0 ? QUEUE_BOUNDARY : 0 };
	struct iovec		 iov[2];
	size_t			 len = record_bytes(n, most, scratch);

	iov[0].iov_base = scratch;
	iov[0].iov_len = len / 2;
	iov[1].iov_base = scratch + len / 2;
	iov[1].iov_len = len - len / 2;
	return queue_append(q, &m, iov, 2, &em);
}

/* Is this record n, byte by byte? */
static inline bool
is_record(const struct queue_record *rec, const struct buf *b, size_t most,
    uint8_t *scratch)
{
	uint64_t	 n = rec->meta.tick_to;
	size_t		 len = record_bytes(n, most, scratch);

	return rec->meta.tick_from == n - 1 && rec->raw_len == len &&
	    b->len == len && (len == 0 || memcmp(b->data, scratch, len) == 0) &&
	    rec->meta.line_crc == (uint32_t)n &&
	    !(rec->meta.flags & QUEUE_BOUNDARY) == (n % 3 != 0);
}

/* The only segment of the queue. */
static inline void
only_segment(char *path, size_t size)
{
	struct dirent	*e;
	DIR		*d = opendir(qdir);
	int		 n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	while ((e = readdir(d)) != NULL)
		if (strlen(e->d_name) == 37) {
			snprintf(path, size, "%s/%s", qdir, e->d_name);
			n++;
		}
	closedir(d);
	CU_ASSERT_EQUAL_FATAL(n, 1);
}

static inline void
write_whole(const char *path, const void *data, size_t len)
{
	int	 fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CU_ASSERT_NOT_EQUAL_FATAL(fd, -1);
	CU_ASSERT_EQUAL(fsx_write_all(fd, data, len), 0);
	close(fd);
}

/* Leave this segment alone in the directory. */
static inline void
restore(const char *path, const void *data, size_t len)
{
	CU_ASSERT_EQUAL(fsx_remove_tree(qdir), 0);
	CU_ASSERT_EQUAL(mkdir(qdir, 0700), 0);
	write_whole(path, data, len);
}

/*
 * Read all there is from tick `from` on: records that follow each other.
 * Returns the number of the last one (from when there is none); *result: how
 * it ended.  A wrong record fails the test.
 */
static inline uint64_t
read_all(uint64_t from, size_t most, int *result)
{
	struct queue_reader	*r;
	struct queue_record	 rec;
	struct buf		 b = BUF_INIT;
	uint8_t			*scratch = xmalloc(most);
	uint64_t		 at = from, mark = from;
	int			 n, turns = 0;

	queue_reader_new(qdir, &r);
	n = queue_reader_seek_tick(r, from, &em);
	while (n == 0) {
		buf_reset(&b);
		n = queue_reader_next(r, &rec, &b, &em);
		if (n == QUEUE_READ_EPOCH && turns++ < 1000) {
			at = mark;
			n = queue_reader_seek_tick(r, mark, &em);
			continue;
		}
		if (n != 1)
			break;
		CU_ASSERT_TRUE(is_record(&rec, &b, most, scratch));
		CU_ASSERT_EQUAL(rec.meta.tick_to, at + 1);
		at = rec.meta.tick_to;
		if (rec.meta.flags & QUEUE_BOUNDARY)
			mark = at;
		n = 0;
	}
	*result = n;
	queue_reader_free(&r);
	buf_free(&b);
	free(scratch);
	return at;
}

#endif
