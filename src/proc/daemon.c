/* daemon.c - background, pid file, data lock, privileges */
#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsx.h"
#include "base/log.h"
#include "base/str.h"
#include "proc/daemon.h"
#include "proc/title.h"

#define LOCK_POLL_MS	20

/* The parent's part: wait for a code, or for the child to end without. */
static void
wait_ready(int fd, pid_t child)
{
	uint8_t	 code;
	ssize_t	 n;
	int	 status;

	while ((n = read(fd, &code, 1)) == -1 && errno == EINTR)
		;
	if (n == 1)
		_exit(code);
	while (waitpid(child, &status, 0) == -1 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		_exit(WEXITSTATUS(status));
	fprintf(stderr, "%s: ended before it was ready\n",
	    proc_title_program());
	_exit(1);
}

int
proc_daemonize(int *ready)
{
	int	 fds[2], null;
	pid_t	 pid;

	if (pipe2(fds, O_CLOEXEC) == -1)
		return -errno;
	fflush(NULL);
	if ((pid = fork()) == -1) {
		int	 r = -errno;

		close(fds[0]);
		close(fds[1]);
		return r;
	}
	if (pid != 0) {
		close(fds[1]);
		wait_ready(fds[0], pid);
	}
	close(fds[0]);
	setsid();
	if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) != -1) {
		dup2(null, STDIN_FILENO);
		close(null);
	}
	*ready = fds[1];
	return 0;
}

void
proc_daemon_ready(int ready, int code)
{
	uint8_t	 c = (uint8_t)code;
	int	 null;

	if (ready == -1)
		return;
	fflush(NULL);
	if (code == 0 &&
	    (null = open("/dev/null", O_RDWR | O_CLOEXEC)) != -1) {
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		close(null);
	}
	if (write(ready, &c, 1) == -1)
		(void)0;	/* the parent was ended; we go on */
	close(ready);
}

int
proc_pidfile_write(const char *path)
{
	char	 text[32];
	int	 n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	return fsx_replace(path, text, (size_t)n, 0644);
}

void
proc_pidfile_remove(const char *path)
{
	struct buf	 b = BUF_INIT;

	if (fsx_read_file(path, 32, &b) == 0 &&
	    atoi(buf_cstr(&b)) == (int)getpid())
		(void)unlink(path);
	buf_free(&b);
}

/* Does the process have this very file open? */
static int
holds(const char *pid, const struct stat *lock)
{
	char		 dir[64], path[384];
	struct dirent	*e;
	struct stat	 st;
	DIR		*d;
	int		 found = 0;

	snprintf(dir, sizeof(dir), "/proc/%.20s/fd", pid);
	if ((d = opendir(dir)) == NULL)
		return 0;
	while (!found && (e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		found = stat(path, &st) == 0 && st.st_dev == lock->st_dev &&
		    st.st_ino == lock->st_ino;
	}
	closedir(d);
	return found;
}

/* SIGKILL for every other process that has the lock file open: nobody but
 * children of an earlier supervisor opens it, and they promised to go. */
static void
end_holders(const char *path)
{
	struct dirent	*e;
	struct stat	 lock;
	uint64_t	 pid;
	DIR		*d;

	if (stat(path, &lock) == -1 || (d = opendir("/proc")) == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		if (str_to_u64(e->d_name, &pid) != 0 ||
		    (pid_t)pid == getpid() || !holds(e->d_name, &lock))
			continue;
		log_warning("process %d of an earlier run still holds %s; "
		    "killed", (int)pid, path);
		kill((pid_t)pid, SIGKILL);
	}
	closedir(d);
}

static int
try_lock_until(const char *dir, const char *name, uint64_t deadline)
{
	const struct timespec	 pause = { 0, LOCK_POLL_MS * 1000000L };
	int			 fd;

	for (;;) {
		fd = fsx_open_dir_locked(dir, name, FSX_LOCK_FLOCK, NULL);
		if (fd != -EWOULDBLOCK || clock_mono_ms() >= deadline)
			return fd;
		nanosleep(&pause, NULL);
	}
}

int
proc_data_lock(const char *dir, const char *name, uint32_t wait_ms,
    struct err_msg *msg)
{
	char	*path;
	int	 fd;

	fd = try_lock_until(dir, name, clock_mono_ms() + wait_ms);
	if (fd == -EWOULDBLOCK) {
		path = xasprintf("%s/%s", dir, name);
		end_holders(path);
		free(path);
		fd = try_lock_until(dir, name, clock_mono_ms() + wait_ms);
	}
	if (fd == -EWOULDBLOCK)
		return err_set(msg, fd, "%s/%s is still held by a process of "
		    "an earlier run that cannot be ended", dir, name);
	if (fd < 0)
		return err_set(msg, fd, "cannot lock %s/%s: %s", dir, name,
		    err_text(fd));
	return fd;
}

int
proc_drop_privileges(const char *user, struct err_msg *msg)
{
	struct passwd	*pw;
	uint64_t	 id;

	errno = 0;
	pw = str_to_u64(user, &id) == 0 && id < UINT32_MAX ?
	    getpwuid((uid_t)id) : getpwnam(user);
	if (pw == NULL)
		return err_set(msg, ERR_NOT_FOUND, "there is no user \"%s\"",
		    user);
	if (getuid() == pw->pw_uid && geteuid() == pw->pw_uid)
		return 0;
	if (initgroups(pw->pw_name, pw->pw_gid) == -1 ||
	    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) == -1 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) == -1)
		return err_set(msg, -errno, "cannot become user \"%s\": %s",
		    user, err_text(-errno));
	if (pw->pw_uid != 0 && setuid(0) == 0)
		return err_set(msg, ERR_BAD_STATE,
		    "root could be had back after becoming \"%s\"", user);
	return 0;
}
