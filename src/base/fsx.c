/* fsx.c - files that are still there after the power was cut */
#include <sys/file.h>
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fsx.h"
#include "base/random.h"

/* Directories deeper than this are a mistake or an attack. */
#define TREE_MAX_DEPTH	64
#define READ_CHUNK	(64 * 1024)

/* --- bytes --------------------------------------------------------------- */

int
fsx_write_all(int fd, const void *data, size_t len)
{
	const uint8_t	*p = data;
	ssize_t		 n;

	while (len > 0) {
		n = write(fd, p, len);
		if (n == -1) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int
fsx_pwrite_all(int fd, const void *data, size_t len, off_t offset)
{
	const uint8_t	*p = data;
	ssize_t		 n;

	while (len > 0) {
		n = pwrite(fd, p, len, offset);
		if (n == -1) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		p += n;
		offset += n;
		len -= (size_t)n;
	}
	return 0;
}

int
fsx_pread_all(int fd, void *data, size_t len, off_t offset)
{
	uint8_t	*p = data;
	ssize_t	 n;

	while (len > 0) {
		n = pread(fd, p, len, offset);
		if (n == -1) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (n == 0)
			return ERR_TRUNCATED;
		p += n;
		offset += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
open_retry(const char *path, int flags, mode_t mode)
{
	int	 fd;

	do
		fd = open(path, flags | O_CLOEXEC, mode);
	while (fd == -1 && errno == EINTR);
	return fd == -1 ? -errno : fd;
}

int
fsx_read_file(const char *path, size_t limit, struct buf *b)
{
	size_t	 before = b->len, room;
	ssize_t	 n;
	int	 fd, r = 0;

	if ((fd = open_retry(path, O_RDONLY, 0)) < 0)
		return fd;
	for (;;) {
		/* One byte more than allowed shows that there is more. */
		room = limit - (b->len - before);
		room = MIN(room, READ_CHUNK - 1) + 1;
		if ((r = buf_try_reserve(b, room)) != 0)
			break;
		n = read(fd, b->data + b->len, room);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			r = -errno;
		if (n <= 0)
			break;
		b->len += (size_t)n;
		if (b->len - before > limit) {
			r = ERR_TOO_BIG;
			break;
		}
	}
	if (r != 0)
		b->len = before;
	close(fd);
	return r;
}

int
fsx_size(const char *path, uint64_t *size)
{
	struct stat	 st;

	if (stat(path, &st) == -1)
		return -errno;
	*size = (uint64_t)st.st_size;
	return 0;
}

/* --- what the disk has --------------------------------------------------- */

int
fsx_fsync(int fd)
{
	int	 r;

	do
		r = fsync(fd);
	while (r == -1 && errno == EINTR);
	return r == -1 ? -errno : 0;
}

int
fsx_fdatasync(int fd)
{
	int	 r;

	do
		r = fdatasync(fd);
	while (r == -1 && errno == EINTR);
	return r == -1 ? -errno : 0;
}

int
fsx_fsync_dir(const char *path)
{
	int	 fd, r;

	if ((fd = open_retry(path, O_RDONLY | O_DIRECTORY, 0)) < 0)
		return fd;
	r = fsx_fsync(fd);
	/* Some file systems cannot do it, and need not. */
	if (r == -EINVAL)
		r = 0;
	close(fd);
	return r;
}

/* The directory that holds a name; free() it. */
static char *
parent_of(const char *path)
{
	size_t	 n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	while (n > 0 && path[n - 1] != '/')
		n--;
	while (n > 1 && path[n - 1] == '/')
		n--;
	return n == 0 ? xstrdup(".") : xstrndup(path, n);
}

int
fsx_fsync_parent(const char *path)
{
	char	*dir = parent_of(path);
	int	 r = fsx_fsync_dir(dir);

	free(dir);
	return r;
}

/* --- whole files --------------------------------------------------------- */

/*
 * Write a new file beside `path` under a name of its own; *temp is that name
 * (free() it).  After an error there is no such file.
 */
static int
write_temp(const char *path, const void *data, size_t len, mode_t mode,
    int sync, char **temp)
{
	char	 suffix[13], *name;
	int	 fd, r;

	rand_hex(suffix, sizeof(suffix) - 1);
	name = xasprintf("%s.%s.tmp", path, suffix);
	if ((fd = open_retry(name, O_WRONLY | O_CREAT | O_EXCL, mode)) < 0) {
		free(name);
		return fd;
	}
	r = fsx_write_all(fd, data, len);
	if (r == 0 && sync)
		r = fsx_fsync(fd);
	if (close(fd) == -1 && r == 0)
		r = -errno;
	if (r != 0) {
		unlink(name);
		free(name);
		return r;
	}
	*temp = name;
	return 0;
}

static int
replace(const char *path, const void *data, size_t len, mode_t mode, int sync)
{
	char	*temp;
	int	 r;

	if ((r = write_temp(path, data, len, mode, sync, &temp)) != 0)
		return r;
	if (rename(temp, path) == -1) {
		r = -errno;
		unlink(temp);
	}
	free(temp);
	if (r == 0 && sync)
		r = fsx_fsync_parent(path);
	return r;
}

/*
 * A crash after each step leaves
 *
 *	1. create and write temp	old file; a temp of any content
 *	2. fsync temp			old file; a whole temp
 *	3. rename temp over path	old file or whole new one
 *	4. fsync the directory		whole new one
 *
 * Without 2 the rename can reach the disk before the bytes, and the file is
 * empty; without 4 the old file can come back after we said that it is gone.
 * A temp that is left over has the suffix .tmp and belongs to nobody.
 */
int
fsx_replace(const char *path, const void *data, size_t len, mode_t mode)
{
	return replace(path, data, len, mode, 1);
}

int
fsx_replace_fast(const char *path, const void *data, size_t len, mode_t mode)
{
	return replace(path, data, len, mode, 0);
}

/*
 * A crash after each step leaves
 *
 *	1. write and fsync temp		no file; a temp
 *	2. link temp as path		no file or a whole one; the temp
 *	3. unlink temp			the same; perhaps the temp
 *	4. fsync the directory		a whole file, no temp
 *
 * link() fails when path exists, which rename() would not; open(O_EXCL) of
 * path itself would show others a file that is not written yet.
 */
int
fsx_create_exclusive(const char *path, const void *data, size_t len,
    mode_t mode)
{
	char	*temp;
	int	 r;

	if ((r = write_temp(path, data, len, mode, 1, &temp)) != 0)
		return r;
	if (link(temp, path) == -1)
		r = -errno;
	unlink(temp);
	free(temp);
	return r == 0 ? fsx_fsync_parent(path) : r;
}

/*
 * After a crash the file has one of the names (both directories are the
 * same), or, between two directories, possibly both until the second fsync.
 * The new name is made durable first, so that there is never none.
 */
int
fsx_rename(const char *from, const char *to)
{
	char	*dir_from, *dir_to;
	int	 r;

	if (rename(from, to) == -1)
		return -errno;
	dir_from = parent_of(from);
	dir_to = parent_of(to);
	r = fsx_fsync_dir(dir_to);
	if (r == 0 && strcmp(dir_from, dir_to) != 0)
		r = fsx_fsync_dir(dir_from);
	free(dir_from);
	free(dir_to);
	return r;
}

int
fsx_unlink(const char *path)
{
	if (unlink(path) == -1)
		return errno == ENOENT ? 0 : -errno;
	return fsx_fsync_parent(path);
}

int
fsx_truncate(const char *path, uint64_t size)
{
	int	 fd, r = 0;

	if ((fd = open_retry(path, O_WRONLY, 0)) < 0)
		return fd;
	if (ftruncate(fd, (off_t)size) == -1)
		r = -errno;
	if (r == 0)
		r = fsx_fsync(fd);
	close(fd);
	return r;
}

/* --- directories --------------------------------------------------------- */

static int
is_directory(const char *path)
{
	struct stat	 st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/*
 * From the top down; each new name is made durable in the directory above
 * before something is put into it.  A crash leaves the upper part of the
 * path, and the next call makes the rest.  The directory above the first one
 * that we make is synced as well, because its name is in there.
 */
int
fsx_mkdir_p(const char *path, mode_t mode)
{
	char	*dir;
	int	 r = 0;

	if (is_directory(path)) {
		/* Whoever made it may have died before it was durable. */
		r = fsx_fsync_parent(path);
		return r == -EACCES ? 0 : r;
	}
	dir = parent_of(path);
	if (strcmp(dir, path) != 0 && strcmp(dir, ".") != 0)
		r = fsx_mkdir_p(dir, mode);
	free(dir);
	if (r != 0)
		return r;
	if (mkdir(path, mode) == -1) {
		/* Somebody else may have been faster. */
		if (errno == EEXIST && is_directory(path))
			return 0;
		return -errno;
	}
	return fsx_fsync_parent(path);
}

static int	remove_at(int, const char *, int);

/* Remove what is in a directory; takes the descriptor. */
static int
remove_children(int fd, int depth)
{
	struct dirent	*e;
	DIR		*d;
	int		 r = 0;

	if (depth > TREE_MAX_DEPTH) {
		close(fd);
		return -ELOOP;
	}
	if ((d = fdopendir(fd)) == NULL) {
		r = -errno;
		close(fd);
		return r;
	}
	while (r == 0 && (errno = 0, e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0)
			continue;
		r = remove_at(dirfd(d), e->d_name, depth);
	}
	if (r == 0 && errno != 0)
		r = -errno;
	closedir(d);
	return r;
}

static int
remove_at(int dir, const char *name, int depth)
{
	int	 fd, r;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	/* Linux says EISDIR, POSIX EPERM. */
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	fd = openat(dir, name,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return errno == ENOENT ? 0 : -errno;
	if ((r = remove_children(fd, depth + 1)) != 0)
		return r;
	if (unlinkat(dir, name, AT_REMOVEDIR) == -1 && errno != ENOENT)
		return -errno;
	return 0;
}

/*
 * A crash leaves part of the tree; calling again removes the rest.  Who needs
 * all or nothing renames the tree to a name that says so first.
 */
int
fsx_remove_tree(const char *path)
{
	char	*plain = xstrdup(path);
	size_t	 n = strlen(plain);
	int	 r;

	/* "link/" would be what the link points to. */
	while (n > 1 && plain[n - 1] == '/')
		plain[--n] = '\0';
	r = remove_at(AT_FDCWD, plain, 0);
	if (r == 0)
		r = fsx_fsync_parent(plain);
	if (r == -ENOENT)
		r = 0;
	free(plain);
	return r;
}

/* --- locks --------------------------------------------------------------- */

static int
lock_fcntl(int fd, pid_t *holder)
{
	struct flock	 lock;

	memset(&lock, 0, sizeof(lock));
	lock.l_type = F_WRLCK;
	lock.l_whence = SEEK_SET;
	if (fcntl(fd, F_SETLK, &lock) == 0)
		return 0;
	if (errno != EACCES && errno != EAGAIN)
		return -errno;
	if (holder != NULL && fcntl(fd, F_GETLK, &lock) == 0 &&
	    lock.l_type != F_UNLCK)
		*holder = lock.l_pid;
	return -EWOULDBLOCK;
}

int
fsx_open_dir_locked(const char *dir, const char *name, enum fsx_lock kind,
    pid_t *holder)
{
	char	*path = xasprintf("%s/%s", dir, name);
	int	 fd, r = 0;

	if (holder != NULL)
		*holder = 0;
	/* The file stays when the lock ends: removing it would let two
	 * processes hold locks on two files of one name. */
	fd = open_retry(path, O_RDWR | O_CREAT, 0600);
	free(path);
	if (fd < 0)
		return fd;
	if (kind == FSX_LOCK_FCNTL)
		r = lock_fcntl(fd, holder);
	else if (flock(fd, LOCK_EX | LOCK_NB) == -1)
		r = -errno;
	if (r != 0) {
		close(fd);
		return r;
	}
	return fd;
}
