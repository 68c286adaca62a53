/*
 * store_wal.c - the log files: which there are, where each begins, removing
 * those that nobody needs.
 *
 * File format (RocksDB, db/log_format.h): blocks of 32 KiB; a record is
 * crc32c:4 length:2 type:1 payload, with a log number:4 behind the type in
 * recycled files.  The payload of the first record begins with the sequence
 * number of its batch.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "sandbox/store_priv.h"

enum {
	LOG_FULL	= 1,
	LOG_FIRST	= 2,
	LOG_RECYCLE_FULL = 5,
	LOG_RECYCLE_FIRST = 6
};

/* How long `prune-wal` waits for RocksDB to move a file. */
#define ROTATE_WAIT_MS	500

/* Sequence number of the first record, 0 when there is none. */
static uint64_t
first_sequence(const char *path)
{
	uint8_t		 b[32];
	uint64_t	 seq = 0;
	ssize_t		 n;
	size_t		 at;
	int		 fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return 0;
	n = pread(fd, b, sizeof(b), 0);
	close(fd);
	if (n < 7)
		return 0;
	if (b[6] == LOG_FULL || b[6] == LOG_FIRST)
		at = 7;
	else if (b[6] == LOG_RECYCLE_FULL || b[6] == LOG_RECYCLE_FIRST)
		at = 11;
	else
		return 0;
	if ((size_t)n < at + 8)
		return 0;
	memcpy(&seq, b + at, 8);
	return le64toh(seq);
}

static char *
file_path(const struct store *st, const struct store_wal_file *f)
{
	return f->archived ? xasprintf("%s/%s/%06" PRIu64 ".log", st->dir,
	    STORE_ARCHIVE, f->number) :
	    xasprintf("%s/%06" PRIu64 ".log", st->dir, f->number);
}

static void
list_dir(struct store *st, bool archived, struct store_wal_file **files,
    size_t *n)
{
	struct store_wal_file	 f;
	struct dirent		*d;
	struct stat		 sb;
	char			*dir, *path, *end;
	DIR			*dp;

	dir = archived ? xasprintf("%s/%s", st->dir, STORE_ARCHIVE) :
	    xstrdup(st->dir);
	if ((dp = opendir(dir)) == NULL) {
		free(dir);		/* no archive yet */
		return;
	}
	while ((d = readdir(dp)) != NULL) {
		if (d->d_name[0] < '0' || d->d_name[0] > '9')
			continue;
		memset(&f, 0, sizeof(f));
		f.number = strtoull(d->d_name, &end, 10);
		f.archived = archived;
		if (strcmp(end, ".log") != 0)
			continue;
		path = file_path(st, &f);
		f.first = first_sequence(path);
		if (f.first != 0 && stat(path, &sb) == 0) {
			f.size = (uint64_t)sb.st_size;
			*files = xrealloc(*files, (*n + 1) * sizeof(f));
			(*files)[(*n)++] = f;
		}
		free(path);
	}
	closedir(dp);
	free(dir);
}

static int
file_order(const void *pa, const void *pb)
{
	const struct store_wal_file	*a = pa, *b = pb;

	return (a->number > b->number) - (a->number < b->number);
}

int
store_wal_files(struct store *st, struct store_wal_file **files, size_t *n)
{
	struct store_wal_file	*f = NULL;
	size_t			 i, k, count = 0;

	/* The archive last: a file that moves meanwhile is then seen twice,
	 * never missed. */
	list_dir(st, false, &f, &count);
	list_dir(st, true, &f, &count);
	if (count > 0)
		qsort(f, count, sizeof(*f), file_order);
	for (i = k = 0; i < count; i++) {
		if (k > 0 && f[k - 1].number == f[i].number)
			f[k - 1].archived = true;
		else
			f[k++] = f[i];
	}
	for (i = 0; i < k; i++)
		f[i].last = i + 1 < k ? f[i + 1].first - 1 :
		    rocksdb_get_latest_sequence_number(st->db);
	*files = f;
	*n = k;
	return 0;
}

int
store_wal_range(struct store *st, uint64_t *tick_min, uint64_t *tick_max)
{
	struct store_wal_file	*files;
	size_t			 n;
	int			 r;

	if ((r = store_commit_pending(st)) != 0 ||
	    (r = store_wal_files(st, &files, &n)) != 0)
		return r;
	*tick_max = rocksdb_get_latest_sequence_number(st->db);
	*tick_min = n > 0 ? files[0].first : 0;
	free(files);
	return 0;
}

int
store_wal_prune(struct store *st, uint64_t keep, bool force,
    unsigned int *nfiles, uint64_t *bytes)
{
	struct store_wal_file	*files;
	char			*path;
	size_t			 i, n;
	uint64_t		 first = 0;
	int			 r;

	if (nfiles != NULL)
		*nfiles = 0;
	if (bytes != NULL)
		*bytes = 0;
	if (st->tails != NULL)
		return force ? AE_LOCKED : 0;
	if (!force &&
	    clock_mono_ms() - st->opened_ms < st->opts.prune_delay_ms)
		return 0;
	if ((r = store_wal_files(st, &files, &n)) != 0)
		return r;
	/* The newest tick is kept too, whoever has read it. */
	keep = MIN(keep, rocksdb_get_latest_sequence_number(st->db));
	for (i = 0; i + 1 < n; i++) {
		if (!files[i].archived || files[i + 1].first >= keep)
			break;
		path = file_path(st, &files[i]);
		if (unlink(path) == -1 && errno != ENOENT) {
			r = -errno;
			free(path);
			break;
		}
		free(path);
		first = files[i + 1].first;
		if (nfiles != NULL)
			(*nfiles)++;
		if (bytes != NULL)
			*bytes += files[i].size;
	}
	if (first != 0) {
		/* What is gone on disk must be gone in memory. */
		sring_trim(&st->ring, first);
		store_cursors_close(st);
	}
	free(files);
	return r;
}

int
store_wal_rotate(struct store *st)
{
	static const struct timespec	 nap = { 0, 5 * 1000 * 1000 };
	struct store_wal_file		 f = { 0 };
	rocksdb_flushoptions_t		*fo;
	uint64_t			 number, size, end;
	char				*path, *err = NULL;
	int				 r;

	if ((r = store_sync(st)) != 0 ||
	    (r = store_newest_log(st->dir, &number, &size)) != 0)
		return r;
	if (size == 0)
		return 0;
	fo = rocksdb_flushoptions_create();
	rocksdb_flushoptions_set_wait(fo, 1);
	rocksdb_flush(st->db, fo, &err);
	rocksdb_flushoptions_destroy(fo);
	if (err != NULL)
		return store_fail(st, err);
	st->unsynced = true;
	if ((r = store_sync(st)) != 0)
		return r;
	f.number = number;
	path = file_path(st, &f);
	end = clock_mono_ms() + ROTATE_WAIT_MS;
	while (access(path, F_OK) == 0 && clock_mono_ms() < end)
		nanosleep(&nap, NULL);
	free(path);
	return 0;
}
