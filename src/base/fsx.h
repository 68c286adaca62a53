/*
 * fsx.h - files that are still there after the power was cut.
 *
 * All durable file operations of the project go through here.  They return 0
 * (or a descriptor) or -errno.  What these functions say about a crash holds
 * for file systems that keep a rename and an fsync apart as POSIX says (ext4,
 * xfs, btrfs).  After a failed fsync nobody knows what is on the disk: the
 * caller must not try it again and go on, but stop.
 */
#ifndef BASE_FSX_H
#define BASE_FSX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

/*
 * Put data in the place of the file at path (which need not exist): a reader
 * and a crash find the old content or the new one, never a part.  Returns
 * after the new one is durable.
 */
int	fsx_replace(const char *path, const void *data, size_t len,
	    mode_t mode);
/* The same without waiting for the disk: whole after a crash of the process,
 * but after a power cut the old content, or none, is possible. */
int	fsx_replace_fast(const char *path, const void *data, size_t len,
	    mode_t mode);
/*
 * Create a file that must not exist yet, with this content, durably.
 * -EEXIST when it does.  A crash leaves no file or a whole one.
 */
int	fsx_create_exclusive(const char *path, const void *data, size_t len,
	    mode_t mode);
/* Make a directory and the missing ones above it, durably. */
int	fsx_mkdir_p(const char *path, mode_t mode);
/*
 * Append the content of a file to b; ERR_TOO_BIG when it has more than limit
 * bytes (b is unchanged then).  Works for files without a known size (/proc).
 */
int	fsx_read_file(const char *path, size_t limit, struct buf *b);
/* Write all, whatever EINTR and short writes say. */
int	fsx_write_all(int fd, const void *data, size_t len);
int	fsx_pwrite_all(int fd, const void *data, size_t len, off_t offset);
/* Read len bytes; ERR_TRUNCATED when the file ends before. */
int	fsx_pread_all(int fd, void *data, size_t len, off_t offset);
int	fsx_fsync(int fd);
int	fsx_fdatasync(int fd);
/* Make names in a directory durable; and in that of a file. */
int	fsx_fsync_dir(const char *path);
int	fsx_fsync_parent(const char *path);
/* Rename, then make it durable (both directories when they differ). */
int	fsx_rename(const char *from, const char *to);
/* Remove a file durably; 0 when there was none. */
int	fsx_unlink(const char *path);
/* Remove a directory (or file) and what is in it; follows no link. */
int	fsx_remove_tree(const char *path);
/* Cut or extend a file, then fsync. */
int	fsx_truncate(const char *path, uint64_t size);
/* 0 and the size, or -errno. */
int	fsx_size(const char *path, uint64_t *size);

enum fsx_lock {
	FSX_LOCK_FCNTL,		/* ends with this process; not inherited */
	FSX_LOCK_FLOCK		/* inherited: ends with the last holder */
};

/*
 * Open (create) `name` in `dir` and lock it.  Returns its descriptor, which
 * holds the lock until it is closed (FLOCK: in all processes that inherited
 * it), or -EWOULDBLOCK when somebody has it, or another -errno.  FCNTL: the
 * process must not open and close that file elsewhere, as that would drop the
 * lock.  *holder (may be NULL): the process that has it, 0 if unknown.
 */
int	fsx_open_dir_locked(const char *dir, const char *name,
	    enum fsx_lock kind, pid_t *holder);

#endif
