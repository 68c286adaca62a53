/*
 * store_durable.c - what survives: syncing the log, and the power cut that
 * the sandbox can play.
 *
 * A killed process loses nothing that it wrote: the kernel has it.  To lose
 * what a power cut would, each sync first notes the newest log file and its
 * size in a file of its own, and store_power_cut() cuts the log back to that.
 *
 * The note is taken before the fsync and may so promise bytes that were not
 * durable yet when the process is killed between the two; it never promises
 * less than what was answered as synced.  Log files that RocksDB has archived
 * are left whole: their content was written into tables, which are synced.
 * store_after_write() syncs when RocksDB has begun a new file, so unsynced
 * bytes are nearly always in the newest file only.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/store_priv.h"

/* A new log file is looked for once per so many bytes written. */
#define ROTATION_CHECK_BYTES	(1u << 20)

#define NOTE_BYTES	48

/* "000123.log" -> 123; 0: something else. */
static uint64_t
log_number(const char *name)
{
	char		*end;
	uint64_t	 n;

	if (name[0] < '0' || name[0] > '9')
		return 0;
	n = strtoull(name, &end, 10);
	return strcmp(end, ".log") == 0 ? n : 0;
}

int
store_newest_log(const char *dir, uint64_t *number, uint64_t *size)
{
	struct dirent	*d;
	struct stat	 sb;
	char		*path;
	DIR		*dp;
	uint64_t	 n;
	int		 r = 0;

	*number = *size = 0;
	if ((dp = opendir(dir)) == NULL)
		return -errno;
	while ((d = readdir(dp)) != NULL)
		if ((n = log_number(d->d_name)) > *number)
			*number = n;
	closedir(dp);
	if (*number == 0)
		return 0;
	path = xasprintf("%s/%06" PRIu64 ".log", dir, *number);
	if (stat(path, &sb) == -1)
		r = -errno;
	else
		*size = (uint64_t)sb.st_size;
	free(path);
	return r;
}

/* One record that is always written whole, in place. */
static int
write_note(const char *dir, uint64_t number, uint64_t size)
{
	char	*path, text[NOTE_BYTES + 1];
	ssize_t	 n;
	int	 fd, r = 0;

	path = xasprintf("%s/%s", dir, STORE_NOTE_FILE);
	snprintf(text, sizeof(text), "%020" PRIu64 " %020" PRIu64 "      \n",
	    number, size);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd == -1)
		r = -errno;
	else {
		n = pwrite(fd, text, NOTE_BYTES, 0);
		if (n != NOTE_BYTES)
			r = n == -1 ? -errno : -EIO;
		close(fd);
	}
	free(path);
	return r;
}

static int
read_note(const char *dir, uint64_t *number, uint64_t *size)
{
	char	*path, text[NOTE_BYTES + 1] = "";
	ssize_t	 n;
	int	 fd, r = 0;

	path = xasprintf("%s/%s", dir, STORE_NOTE_FILE);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		r = -errno;
	else {
		n = pread(fd, text, NOTE_BYTES, 0);
		close(fd);
		if (n != NOTE_BYTES || sscanf(text, "%" SCNu64 " %" SCNu64,
		    number, size) != 2)
			r = ERR_CORRUPT;
	}
	free(path);
	return r;
}

int
store_sync(struct store *st)
{
	uint64_t	 number, size;
	char		*err = NULL;
	int		 r;

	if ((r = store_commit_pending(st)) != 0)
		return r;
	if (!st->unsynced)
		return 0;
	if (st->broken)
		return ERR_STORAGE;
	if ((r = store_newest_log(st->dir, &number, &size)) != 0 ||
	    (r = write_note(st->dir, number, size)) != 0) {
		st->broken = true;
		snprintf(st->error, sizeof(st->error), "%s/%s: %s", st->dir,
		    STORE_NOTE_FILE, err_text(r));
		return r;
	}
	/* After an fsync that failed nobody knows what is on the disk. */
	rocksdb_flush_wal(st->db, 1, &err);
	if (err != NULL)
		return store_break(st, err);
	st->newest_log = number;
	st->unsynced = false;
	return 0;
}

int
store_after_write(struct store *st, size_t bytes)
{
	uint64_t	 number, size;
	int		 r;

	st->since_check += bytes;
	if (st->since_check < ROTATION_CHECK_BYTES)
		return 0;
	st->since_check = 0;
	if ((r = store_newest_log(st->dir, &number, &size)) != 0)
		return r;
	return number != st->newest_log ? store_sync(st) : 0;
}

static int
cut_log(const char *path, uint64_t size)
{
	struct stat	 sb;

	if (stat(path, &sb) == -1)
		return -errno;
	if ((uint64_t)sb.st_size <= size)
		return 0;
	return truncate(path, (off_t)size) == -1 ? -errno : 0;
}

int
store_power_cut(const char *dir, struct err_msg *em)
{
	struct dirent	*d;
	char		*path;
	DIR		*dp;
	uint64_t	 number, size, n;
	int		 r;

	if ((r = read_note(dir, &number, &size)) == -ENOENT)
		return 0;		/* never opened: nothing to lose */
	if (r != 0)
		return err_set(em, r, "cannot read %s/%s: %s", dir,
		    STORE_NOTE_FILE, err_text(r));
	if ((dp = opendir(dir)) == NULL)
		return err_set(em, -errno, "cannot read %s: %s", dir,
		    strerror(errno));
	while (r == 0 && (d = readdir(dp)) != NULL) {
		if ((n = log_number(d->d_name)) < number || n == 0)
			continue;
		path = xasprintf("%s/%s", dir, d->d_name);
		if (n == number)
			r = cut_log(path, size);
		else if (unlink(path) == -1)
			r = -errno;
		if (r != 0)
			err_set(em, r, "cannot cut %s: %s", path, err_text(r));
		free(path);
	}
	closedir(dp);
	return r;
}
