/* test_fsx.c - tests of base/fsx */
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fsx.h"
#include "unit.h"

static char	top[64];		/* directory of the test */
static char	path_text[256];

static char *
path(const char *name)
{
	snprintf(path_text, sizeof(path_text), "%s/%s", top, name);
	return path_text;
}

static void
begin(void)
{
	strcpy(top, "/tmp/test_fsx.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(top));
}

static void
end(void)
{
	struct stat	 st;

	CU_ASSERT_EQUAL(fsx_remove_tree(top), 0);
	CU_ASSERT_EQUAL(stat(top, &st), -1);
}

static int
count_files(const char *dir)
{
	struct dirent	*e;
	DIR		*d = opendir(dir);
	int		 n = 0;

	if (d == NULL)
		return -1;
	while ((e = readdir(d)) != NULL)
		n += strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0;
	closedir(d);
	return n;
}

static int
has_content(const char *name, const char *content)
{
	struct buf	 b = BUF_INIT;
	int		 same;

	if (fsx_read_file(path(name), 1000, &b) != 0)
		return 0;
	same = strcmp(buf_cstr(&b), content) == 0;
	buf_free(&b);
	return same;
}

static void
test_replace(void)
{
	struct stat	 st;

	begin();
	CU_ASSERT_EQUAL(fsx_replace(path("f"), "one", 3, 0640), 0);
	CU_ASSERT_TRUE(has_content("f", "one"));
	CU_ASSERT_EQUAL(stat(path("f"), &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0640);
	CU_ASSERT_EQUAL(fsx_replace(path("f"), "second", 6, 0600), 0);
	CU_ASSERT_TRUE(has_content("f", "second"));
	CU_ASSERT_EQUAL(fsx_replace_fast(path("f"), "", 0, 0600), 0);
	CU_ASSERT_TRUE(has_content("f", ""));
	CU_ASSERT_EQUAL(count_files(top), 1);	/* no temp left */
	CU_ASSERT_EQUAL(fsx_replace(path("no/f"), "x", 1, 0600), -ENOENT);
	mkdir(path("dir"), 0700);
	CU_ASSERT_TRUE(fsx_replace(path("dir"), "x", 1, 0600) < 0);
	CU_ASSERT_EQUAL(count_files(top), 2);
	end();
}

/* The kernel, not a mock, refuses the rest of the file. */
static void
test_replace_no_space(void)
{
	struct rlimit	 old, lim;
	char		*big = xcalloc(1, 100000);
	int		 r, x;

	begin();
	CU_ASSERT_EQUAL(fsx_replace(path("f"), "old", 3, 0600), 0);
	getrlimit(RLIMIT_FSIZE, &old);
	lim = old;
	lim.rlim_cur = 5000;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &lim);
	r = fsx_replace(path("f"), big, 100000, 0600);
	x = fsx_create_exclusive(path("g"), big, 100000, 0600);
	setrlimit(RLIMIT_FSIZE, &old);	/* first: test reports are files too */
	CU_ASSERT_EQUAL(r, -EFBIG);
	CU_ASSERT_EQUAL(x, -EFBIG);
	CU_ASSERT_TRUE(has_content("f", "old"));
	CU_ASSERT_EQUAL(count_files(top), 1);
	free(big);
	end();
}

static void
test_create_exclusive(void)
{
	begin();
	CU_ASSERT_EQUAL(fsx_create_exclusive(path("f"), "one", 3, 0600), 0);
	CU_ASSERT_EQUAL(fsx_create_exclusive(path("f"), "two", 3, 0600),
	    -EEXIST);
	CU_ASSERT_TRUE(has_content("f", "one"));
	CU_ASSERT_EQUAL(count_files(top), 1);
	end();
}

static void
test_mkdir_p(void)
{
	struct stat	 st;
	char		 cwd[1024];

	begin();
	CU_ASSERT_EQUAL(fsx_mkdir_p(path("a/b//c/"), 0700), 0);
	CU_ASSERT_EQUAL(stat(path("a/b/c"), &st), 0);
	CU_ASSERT_TRUE(S_ISDIR(st.st_mode));
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0700);
	CU_ASSERT_EQUAL(fsx_mkdir_p(path("a/b/c"), 0700), 0);
	CU_ASSERT_EQUAL(fsx_replace(path("file"), "", 0, 0600), 0);
	CU_ASSERT_TRUE(fsx_mkdir_p(path("file"), 0700) < 0);
	CU_ASSERT_TRUE(fsx_mkdir_p(path("file/x"), 0700) < 0);
	/* A relative path, with one component and with two. */
	CU_ASSERT_PTR_NOT_NULL_FATAL(getcwd(cwd, sizeof(cwd)));
	CU_ASSERT_EQUAL_FATAL(chdir(top), 0);
	CU_ASSERT_EQUAL(fsx_mkdir_p("r", 0700), 0);
	CU_ASSERT_EQUAL(fsx_mkdir_p("s/t", 0700), 0);
	CU_ASSERT_EQUAL(fsx_mkdir_p("/", 0700), 0);
	CU_ASSERT_EQUAL(stat("s/t", &st), 0);
	CU_ASSERT_EQUAL(fsx_replace("s/u", "x", 1, 0600), 0);
	CU_ASSERT_EQUAL(fsx_replace("v", "x", 1, 0600), 0);
	CU_ASSERT_EQUAL_FATAL(chdir(cwd), 0);
	end();
}

static void
test_read_limit(void)
{
	struct buf	 b = BUF_INIT;

	begin();
	buf_append_str(&b, "kept:");
	CU_ASSERT_EQUAL(fsx_replace(path("f"), "12345", 5, 0600), 0);
	CU_ASSERT_EQUAL(fsx_read_file(path("f"), 4, &b), ERR_TOO_BIG);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "kept:");
	CU_ASSERT_EQUAL(fsx_read_file(path("f"), 5, &b), 0);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "kept:12345");
	CU_ASSERT_EQUAL(fsx_read_file(path("none"), 5, &b), -ENOENT);
	CU_ASSERT_EQUAL(fsx_read_file(top, 5, &b), -EISDIR);
	buf_reset(&b);
	/* Files whose size is said to be 0. */
	CU_ASSERT_EQUAL(fsx_read_file("/proc/self/stat", 65536, &b), 0);
	CU_ASSERT_TRUE(b.len > 10);
	buf_free(&b);
	end();
}

static void
test_read_write_at(void)
{
	char	 out[8] = "";
	int	 fd;

	begin();
	fd = open(path("f"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CU_ASSERT_TRUE_FATAL(fd != -1);
	CU_ASSERT_EQUAL(fsx_write_all(fd, "0123456789", 10), 0);
	CU_ASSERT_EQUAL(fsx_pwrite_all(fd, "ab", 2, 4), 0);
	CU_ASSERT_EQUAL(fsx_pread_all(fd, out, 4, 3), 0);
	CU_ASSERT_STRING_EQUAL(out, "3ab6");
	CU_ASSERT_EQUAL(fsx_pread_all(fd, out, 4, 8), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(fsx_fsync(fd), 0);
	CU_ASSERT_EQUAL(fsx_fdatasync(fd), 0);
	close(fd);
	CU_ASSERT_EQUAL(fsx_write_all(fd, "x", 1), -EBADF);
	CU_ASSERT_EQUAL(fsx_fsync(fd), -EBADF);
	end();
}

/* A pipe whose reader is slow: each write is short. */
static void
test_write_all_of_a_pipe(void)
{
	size_t	 len = 1000000, got = 0;
	char	*data = xcalloc(1, len), chunk[5000];
	ssize_t	 n;
	int	 fds[2], status, r;
	pid_t	 pid;

	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	if ((pid = fork()) == 0) {
		close(fds[0]);
		r = fsx_write_all(fds[1], data, len);
		free(data);
		_exit(r == 0 ? 0 : 1);
	}
	close(fds[1]);
	while ((n = read(fds[0], chunk, sizeof(chunk))) > 0)
		got += (size_t)n;
	CU_ASSERT_EQUAL(got, len);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
	close(fds[0]);
	free(data);
}

static void
test_rename_unlink_truncate(void)
{
	char		*from;
	uint64_t	 size = 0;

	begin();
	mkdir(path("d"), 0700);
	CU_ASSERT_EQUAL(fsx_replace(path("f"), "content", 7, 0600), 0);
	from = xstrdup(path("f"));
	CU_ASSERT_EQUAL(fsx_rename(from, path("d/g")), 0);
	CU_ASSERT_EQUAL(fsx_rename(from, path("d/h")), -ENOENT);
	CU_ASSERT_TRUE(has_content("d/g", "content"));
	CU_ASSERT_EQUAL(fsx_truncate(path("d/g"), 3), 0);
	CU_ASSERT_TRUE(has_content("d/g", "con"));
	CU_ASSERT_EQUAL(fsx_size(path("d/g"), &size), 0);
	CU_ASSERT_EQUAL(size, 3);
	CU_ASSERT_EQUAL(fsx_size(from, &size), -ENOENT);
	CU_ASSERT_EQUAL(fsx_unlink(path("d/g")), 0);
	CU_ASSERT_EQUAL(fsx_unlink(path("d/g")), 0);
	CU_ASSERT_EQUAL(fsx_unlink(path("d")), -EISDIR);
	CU_ASSERT_EQUAL(fsx_fsync_dir(path("d")), 0);
	CU_ASSERT_EQUAL(fsx_fsync_dir(path("none")), -ENOENT);
	free(from);
	end();
}

static void
test_remove_tree(void)
{
	char	*outside;

	begin();
	fsx_mkdir_p(path("keep"), 0700);
	fsx_replace(path("keep/f"), "x", 1, 0600);
	fsx_mkdir_p(path("t/a/b/c"), 0700);
	fsx_replace(path("t/a/b/f"), "x", 1, 0600);
	fsx_replace(path("t/g"), "x", 1, 0600);
	outside = xstrdup(path("keep"));
	CU_ASSERT_EQUAL(symlink(outside, path("t/a/link")), 0);
	CU_ASSERT_EQUAL(symlink(outside, path("link")), 0);
	CU_ASSERT_EQUAL(fsx_remove_tree(path("t")), 0);
	CU_ASSERT_TRUE(has_content("keep/f", "x"));	/* not followed */
	CU_ASSERT_EQUAL(fsx_remove_tree(path("link/")), 0);
	CU_ASSERT_TRUE(has_content("keep/f", "x"));
	CU_ASSERT_EQUAL(fsx_remove_tree(path("t")), 0);	/* nothing there */
	CU_ASSERT_EQUAL(fsx_remove_tree(path("no/such")), 0);
	CU_ASSERT_EQUAL(count_files(top), 1);
	free(outside);
	end();
}

/* Try the lock in another process: 0 or -errno, and who is said to have it. */
static int
lock_elsewhere(enum fsx_lock kind, int *holder_is_parent)
{
	int	 status, r;
	pid_t	 pid, holder;

	if ((pid = fork()) == 0) {
		r = fsx_open_dir_locked(top, "x.lock", kind, &holder);
		_exit((r < 0 ? -r : 0) | (holder == getppid() ? 128 : 0));
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 1;
	*holder_is_parent = (WEXITSTATUS(status) & 128) != 0;
	return -(WEXITSTATUS(status) & 127);
}

static void
test_lock_fcntl(void)
{
	int	 fd, parent = 0;

	begin();
	fd = fsx_open_dir_locked(top, "x.lock", FSX_LOCK_FCNTL, NULL);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(lock_elsewhere(FSX_LOCK_FCNTL, &parent),
	    -EWOULDBLOCK);
	CU_ASSERT_TRUE(parent);
	CU_ASSERT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	CU_ASSERT_EQUAL(lock_elsewhere(FSX_LOCK_FCNTL, &parent), 0);
	CU_ASSERT_FALSE(parent);
	CU_ASSERT_EQUAL(fsx_open_dir_locked(path("none"), "x.lock",
	    FSX_LOCK_FCNTL, NULL), -ENOENT);
	end();
}

/* Held as long as one of those that inherited it lives. */
static void
test_lock_flock(void)
{
	int	 fd, parent, fds[2], status;
	pid_t	 pid;
	char	 c;

	begin();
	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	fd = fsx_open_dir_locked(top, "x.lock", FSX_LOCK_FLOCK, NULL);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	if ((pid = fork()) == 0) {
		close(fds[1]);
		_exit(read(fds[0], &c, 1) == 0 ? 0 : 1);
	}
	close(fd);
	CU_ASSERT_EQUAL(lock_elsewhere(FSX_LOCK_FLOCK, &parent),
	    -EWOULDBLOCK);
	close(fds[1]);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	close(fds[0]);
	CU_ASSERT_EQUAL(lock_elsewhere(FSX_LOCK_FLOCK, &parent), 0);
	end();
}

/*
 * Killed at any moment while a file is being replaced again and again: what
 * is found is one of the two contents, whole.
 */
static void
test_replace_killed(void)
{
	size_t		 len = 300000, i;
	char		*a = xmalloc(len), *b = xmalloc(len);
	struct buf	 got = BUF_INIT;
	int		 round, status, bad = 0;
	pid_t		 pid;

	begin();
	memset(a, 'a', len);
	memset(b, 'b', len / 2);
	CU_ASSERT_EQUAL(fsx_replace(path("f"), a, len, 0600), 0);
	for (round = 0; round < 20; round++) {
		if ((pid = fork()) == 0)
			for (;;) {
				fsx_replace_fast(path("f"), b, len / 2, 0600);
				fsx_replace_fast(path("f"), a, len, 0600);
			}
		usleep((useconds_t)(500 + round * 137));
		kill(pid, SIGKILL);
		CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
		buf_reset(&got);
		if (fsx_read_file(path("f"), len, &got) != 0 ||
		    (got.len != len && got.len != len / 2)) {
			bad++;
			continue;
		}
		for (i = 0; i < got.len; i++)
			if (got.data[i] != (got.len == len ? 'a' : 'b'))
				break;
		bad += i != got.len;
	}
	CU_ASSERT_EQUAL(bad, 0);
	buf_free(&got);
	free(a);
	free(b);
	end();
}

UNIT_MAIN("fsx",
    { "a file is replaced, with its mode and no leftovers", test_replace },
    { "a full disk keeps the old file", test_replace_no_space },
    { "a killed writer leaves a whole file", test_replace_killed },
    { "exclusive creation refuses what exists", test_create_exclusive },
    { "directories are made with those above", test_mkdir_p },
    { "reading stops at the limit", test_read_limit },
    { "reads and writes at a place are complete", test_read_write_at },
    { "short writes go on", test_write_all_of_a_pipe },
    { "rename, unlink, truncate", test_rename_unlink_truncate },
    { "a tree is removed and links are not followed", test_remove_tree },
    { "a process lock keeps others out and names its holder",
      test_lock_fcntl },
    { "an inherited lock lasts as long as its last holder",
      test_lock_flock })
