/* util.h - queues for tests, in a directory of their own */
#ifndef TESTS_QUEUE_UTIL_H
#define TESTS_QUEUE_UTIL_H

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fsx.h"
#include "queue/queue.h"
#include "queue/reader.h"
#include "unit.h"

static char		top[64];	/* directory of the test */
static char		qdir[96];	/* of the queue */
static struct err_msg	em;

static const struct queue_channel	channel = {
	"7f2c1a60-cluster", "PRMR-1", "mydb", "products", 10049, 3
};

static inline void
begin(void)
{
	strcpy(top, "/tmp/test_queue.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(top));
	snprintf(qdir, sizeof(qdir), "%s/mydb.10049.3", top);
	em.text[0] = '\0';
}

static inline void
end(void)
{
	CU_ASSERT_EQUAL(fsx_remove_tree(top), 0);
}

static inline struct queue *
open_queue(const struct queue_opts *opts, struct queue_recovery *rec)
{
	struct queue	*q = NULL;
	int		 r = queue_open(qdir, &channel, opts, &q, rec, &em);

	if (r != 0)
		printf("# queue_open: %d %s\n", r, em.text);
	CU_ASSERT_EQUAL_FATAL(r, 0);
	return q;
}

/* Ticks (from, to], one piece. */
static inline int
put(struct queue *q, uint64_t from, uint64_t to, uint8_t flags,
    const void *data, size_t len)
{
	struct queue_meta	 m = { from, to, 7, 0, 1, flags };
	struct iovec		 iov = { (void *)(uintptr_t)data, len };

	m.line_crc = (uint32_t)to * 3;
	return queue_append(q, &m, &iov, 1, &em);
}

static inline int
put_text(struct queue *q, uint64_t tick, const char *text)
{
	return put(q, tick - 1, tick, QUEUE_BOUNDARY, text, strlen(text));
}

/* Read one; the payload is in `b` as a string. */
static inline int
take(struct queue_reader *r, struct queue_record *rec, struct buf *b)
{
	int	 n;

	buf_reset(b);
	n = queue_reader_next(r, rec, b, &em);
	(void)buf_cstr(b);
	return n;
}

static inline size_t
count_segments(const char *dir)
{
	struct dirent	*e;
	DIR		*d = opendir(dir);
	size_t		 n = 0;

	if (d == NULL)
		return 0;
	while ((e = readdir(d)) != NULL)
		n += strstr(e->d_name, ".seg") != NULL;
	closedir(d);
	return n;
}

/* Path of the last segment. */
static inline void
last_segment(const char *dir, char *path, size_t size)
{
	struct dirent	*e;
	DIR		*d = opendir(dir);
	char		 name[64] = "";

	while (d != NULL && (e = readdir(d)) != NULL)
		if (strlen(e->d_name) == 37 && strcmp(e->d_name, name) > 0)
			strcpy(name, e->d_name);
	if (d != NULL)
		closedir(d);
	snprintf(path, size, "%s/%s", dir, name);
}

static inline void
read_whole(const char *path, struct buf *b)
{
	buf_reset(b);
	CU_ASSERT_EQUAL_FATAL(fsx_read_file(path, 1 << 28, b), 0);
}

static inline void
write_whole(const char *path, const void *data, size_t len)
{
	int	 fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CU_ASSERT_NOT_EQUAL_FATAL(fd, -1);
	CU_ASSERT_EQUAL(fsx_write_all(fd, data, len), 0);
	close(fd);
}

#endif
