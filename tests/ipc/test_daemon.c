/* test_daemon.c - tests of proc/daemon and proc/notify */
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fsx.h"
#include "base/log.h"
#include "proc/daemon.h"
#include "proc/notify.h"
#include "unit.h"

static void
test_data_lock(void)
{
	char		 dir[] = "/tmp/lock-XXXXXX", x;
	struct err_msg	 m;
	int		 fds[2], fd;
	pid_t		 pid;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	(void)log_open("/dev/null");
	fflush(NULL);
	if ((pid = fork()) == 0) {
		/* A process of an earlier run that does not leave. */
		fd = proc_data_lock(dir, "data.lock", 0, &m);
		if (write(fds[1], fd < 0 ? "-" : "+", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	CU_ASSERT_EQUAL(read(fds[0], &x, 1), 1);
	CU_ASSERT_EQUAL(x, '+');
	/* The killed one is ours to reap, but its descriptors are closed. */
	fd = proc_data_lock(dir, "data.lock", 300, &m);
	CU_ASSERT_TRUE(fd >= 0);
	waitpid(pid, NULL, 0);
	close(fd);
	close(fds[0]);
	close(fds[1]);
	(void)fsx_remove_tree(dir);
}

static void
test_notify(void)
{
	struct sockaddr_un	 sun;
	char			 got[64];
	ssize_t			 n;
	int			 fd;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	n = snprintf(sun.sun_path + 1, sizeof(sun.sun_path) - 1,
	    "notify-test-%d", (int)getpid());
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&sun,
	    (socklen_t)(sizeof(sa_family_t) + 1 + (size_t)n)), 0);
	snprintf(got, sizeof(got), "@notify-test-%d", (int)getpid());
	unsetenv("NOTIFY_SOCKET");
	CU_ASSERT_EQUAL(proc_notify("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "relative", 1);
	CU_ASSERT_EQUAL(proc_notify("READY=1"), -EINVAL);
	setenv("NOTIFY_SOCKET", got, 1);
	CU_ASSERT_EQUAL(proc_notify("READY=1\nSTATUS=good"), 0);
	n = recv(fd, got, sizeof(got), 0);
	CU_ASSERT_EQUAL(n, 19);
	CU_ASSERT_EQUAL(memcmp(got, "READY=1\nSTATUS=good", 19), 0);
	close(fd);
	unsetenv("NOTIFY_SOCKET");
}

static int
daemon_code(int how)
{
	int	 status = 0, ready, k;
	pid_t	 pid;

	fflush(NULL);
	if ((pid = fork()) == 0) {
		if ((k = open("/dev/null", O_WRONLY)) != -1)
			dup2(k, STDERR_FILENO);
		if (proc_daemonize(&ready) != 0)
			_exit(50);
		if (how >= 0)
			proc_daemon_ready(ready, how);
		_exit(how == -2 ? 7 : 0);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
test_daemonize(void)
{
	CU_ASSERT_EQUAL(daemon_code(0), 0);
	CU_ASSERT_EQUAL(daemon_code(2), 2);
	CU_ASSERT_EQUAL(daemon_code(-1), 1);	/* ended without a word */
	CU_ASSERT_EQUAL(daemon_code(-2), 7);
}

static void
test_pidfile(void)
{
	char		 dir[] = "/tmp/pid-XXXXXX", path[64], want[16];
	struct buf	 b = BUF_INIT;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/pid", dir);
	snprintf(want, sizeof(want), "%d\n", (int)getpid());
	CU_ASSERT_EQUAL(proc_pidfile_write(path), 0);
	CU_ASSERT_EQUAL(fsx_read_file(path, 32, &b), 0);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&b), want);
	proc_pidfile_remove(path);
	CU_ASSERT_EQUAL(access(path, F_OK), -1);
	/* Somebody else's stays. */
	CU_ASSERT_EQUAL(fsx_replace(path, "1\n", 2, 0644), 0);
	proc_pidfile_remove(path);
	CU_ASSERT_EQUAL(access(path, F_OK), 0);
	buf_free(&b);
	(void)fsx_remove_tree(dir);
}

UNIT_MAIN("daemon",
    { "the data lock outlives nobody", test_data_lock },
    { "sd_notify reaches an abstract socket", test_notify },
    { "the parent of a daemon ends with its code", test_daemonize },
    { "a pid file is removed by its owner only", test_pidfile })
