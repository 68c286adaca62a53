/*
 * spawn.c - from fork() to the main function of a child: nothing of the
 * supervisor may stay but its memory, which holds no secret (R25).
 */
#include <sys/prctl.h>
#include <sys/resource.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "proc/child_priv.h"
#include "proc/proc.h"
#include "proc/title.h"

#define FD_END	(PROC_FD_FIRST_OTHER + PROC_FD_OTHERS_MAX)

/* Written when the tests measure coverage; absent otherwise. */
extern void	__gcov_dump(void) __attribute__((weak));

void
proc_reserve_fds(void)
{
	int	 fd;

	while ((fd = open("/dev/null", O_RDWR | O_CLOEXEC)) != -1 &&
	    fd < FD_END)
		;
	if (fd != -1)
		close(fd);
	else
		fatal("cannot open /dev/null: %s", err_text(-errno));
}

void
proc_raise_fd_limit(void)
{
	struct rlimit	 lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == -1 ||
	    lim.rlim_cur >= lim.rlim_max)
		return;
	lim.rlim_cur = lim.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &lim);
}

/* For kernels before 5.9. */
static void
close_range_slowly(int from, int to)
{
	struct rlimit	 lim;
	struct dirent	*e;
	DIR		*d;
	int		 fds[256], n, i, fd;

	if ((d = opendir("/proc/self/fd")) == NULL) {
		if (getrlimit(RLIMIT_NOFILE, &lim) == -1 ||
		    lim.rlim_cur > 65536)
			lim.rlim_cur = 65536;
		for (fd = from; fd <= to && fd < (int)lim.rlim_cur; fd++)
			close(fd);
		return;
	}
	/* Not while reading: the directory would change under us. */
	do {
		n = 0;
		rewinddir(d);
		while (n < (int)NITEMS(fds) && (e = readdir(d)) != NULL) {
			fd = atoi(e->d_name);
			if (e->d_name[0] != '.' && fd != dirfd(d) &&
			    fd >= from && fd <= to)
				fds[n++] = fd;
		}
		for (i = 0; i < n; i++)
			close(fds[i]);
	} while (n == (int)NITEMS(fds));
	closedir(d);
}

static void
close_between(int from, int to)
{
	if (from > to)
		return;
#ifdef HAVE_CLOSE_RANGE
	if (close_range((unsigned)from, (unsigned)to, 0) == 0)
		return;
#endif
	close_range_slowly(from, to);
}

static void
move_fds(int control_fd, int lock_fd, const int *fds, int nfds)
{
	int	 i, at, log = log_fd();

	/* proc_reserve_fds() saw to it that none is in the others' way. */
	bug_unless(control_fd >= FD_END &&
	    (log <= STDERR_FILENO || log >= FD_END));
	if (dup2(control_fd, PROC_FD_CONTROL) == -1)
		fatal("dup2: %s", err_text(-errno));
	/* Without a lock the reserved /dev/null stays in its place, so that
	 * nothing else gets that number. */
	if (lock_fd != -1 && dup2(lock_fd, PROC_FD_DATA_LOCK) == -1)
		fatal("dup2: %s", err_text(-errno));
	for (i = 0; i < nfds; i++)
		if (dup2(fds[i], PROC_FD_FIRST_OTHER + i) == -1)
			fatal("dup2: %s", err_text(-errno));
	at = PROC_FD_FIRST_OTHER + nfds;
	if (log >= at) {
		close_between(at, log - 1);
		at = log + 1;
	}
	close_between(at, INT_MAX);
}

static void
reset_signals(void)
{
	static const int	 ignored[] = {
		SIGPIPE, SIGHUP, SIGINT, SIGUSR1, SIGUSR2
	};
	sigset_t	 none;
	size_t		 i;
	int		 s;

	for (s = 1; s < NSIG; s++)
		if (s != SIGKILL && s != SIGSTOP)
			signal(s, SIG_DFL);
	for (i = 0; i < NITEMS(ignored); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

void
proc_child_run(const struct proc_class *class, const char *name, void *arg,
    uint32_t generation, int control_fd, int lock_fd, const int *fds,
    int nfds)
{
	pid_t	 parent = getppid();
	int	 code;

	reset_signals();
	if (class->pdeathsig != 0) {
		prctl(PR_SET_PDEATHSIG, class->pdeathsig);
		if (getppid() != parent)
			_exit(PROC_EXIT_ORPHANED);
	}
	move_fds(control_fd, lock_fd, fds, nfds);
	log_set_name(name);
	proc_title_set("%s: %s", proc_title_program(), name);
	code = proc_child_main(class, name, arg, generation);
	fflush(NULL);
	if (__gcov_dump != NULL)
		__gcov_dump();
	/* Not exit(): nothing that the supervisor registered is for us. */
	_exit(code);
}
