/* pollset.c - poll(2), timers and signals without a library */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "proc/pollset.h"

#define POLLSET_SIGNALS	32

struct poll_fd {
	struct pollset	*ps;
	int		 fd;
	short		 (*want)(void *);
	void		 (*ready)(void *, short);
	void		*arg;
	bool		 dead;	/* freed while a turn is running */
};

struct pollset {
	struct poll_fd		**fds;
	size_t			 n, cap;
	struct pollfd		*pfds;
	struct poll_timer	*timers;	/* sorted by time */
	struct {
		void	(*fn)(void *, int);
		void	*arg;
	}			 signals[POLLSET_SIGNALS];
	sigset_t		 wait_mask;	/* while waiting */
	bool			 busy;
	bool			 stop;
};

static volatile sig_atomic_t	pending[POLLSET_SIGNALS];

static void
on_signal(int signo)
{
	pending[signo] = 1;
}

struct pollset *
pollset_new(void)
{
	struct pollset	*ps = xcalloc(1, sizeof(*ps));

	sigprocmask(SIG_SETMASK, NULL, &ps->wait_mask);
	return ps;
}

void
pollset_free(struct pollset **pps)
{
	struct pollset	*ps = *pps;
	sigset_t	 mask;
	size_t		 i;
	int		 s;

	if (ps == NULL)
		return;
	*pps = NULL;
	sigemptyset(&mask);
	for (s = 1; s < POLLSET_SIGNALS; s++)
		if (ps->signals[s].fn != NULL) {
			signal(s, SIG_DFL);
			sigaddset(&mask, s);
			pending[s] = 0;
		}
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
	for (i = 0; i < ps->n; i++)
		free(ps->fds[i]);
	free(ps->fds);
	free(ps->pfds);
	free(ps);
}

struct poll_fd *
poll_fd_new(struct pollset *ps, int fd, short (*want)(void *),
    void (*ready)(void *, short), void *arg)
{
	struct poll_fd	*w = xcalloc(1, sizeof(*w));

	w->ps = ps;
	w->fd = fd;
	w->want = want;
	w->ready = ready;
	w->arg = arg;
	if (ps->n == ps->cap) {
		ps->cap = ps->cap == 0 ? 16 : 2 * ps->cap;
		ps->fds = xrealloc(ps->fds, ps->cap * sizeof(*ps->fds));
		ps->pfds = xrealloc(ps->pfds, ps->cap * sizeof(*ps->pfds));
	}
	ps->fds[ps->n++] = w;
	return w;
}

static void
remove_dead(struct pollset *ps)
{
	size_t	 i, k = 0;

	for (i = 0; i < ps->n; i++)
		if (ps->fds[i]->dead)
			free(ps->fds[i]);
		else
			ps->fds[k++] = ps->fds[i];
	ps->n = k;
}

void
poll_fd_free(struct poll_fd **pw)
{
	struct poll_fd	*w = *pw;

	if (w == NULL)
		return;
	*pw = NULL;
	w->dead = true;
	if (!w->ps->busy)
		remove_dead(w->ps);
}

void
poll_timer_init(struct poll_timer *t, struct pollset *ps, void (*fn)(void *),
    void *arg)
{
	memset(t, 0, sizeof(*t));
	t->ps = ps;
	t->fn = fn;
	t->arg = arg;
}

void
poll_timer_stop(struct poll_timer *t)
{
	struct poll_timer	**at;

	if (!t->running)
		return;
	for (at = &t->ps->timers; *at != t; at = &(*at)->next)
		;
	*at = t->next;
	t->running = false;
}

bool
poll_timer_is_running(const struct poll_timer *t)
{
	return t->running;
}

void
poll_timer_start(struct poll_timer *t, uint64_t ms)
{
	struct poll_timer	**at;

	poll_timer_stop(t);
	t->at_ms = clock_mono_ms() + ms;
	for (at = &t->ps->timers; *at != NULL && (*at)->at_ms <= t->at_ms;
	    at = &(*at)->next)
		;
	t->next = *at;
	*at = t;
	t->running = true;
}

void
pollset_signal(struct pollset *ps, int signo, void (*fn)(void *, int),
    void *arg)
{
	struct sigaction	 sa;
	sigset_t		 mask;

	bug_unless(signo > 0 && signo < POLLSET_SIGNALS);
	ps->signals[signo].fn = fn;
	ps->signals[signo].arg = arg;
	sigemptyset(&mask);
	sigaddset(&mask, signo);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	sigdelset(&ps->wait_mask, signo);
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	sigaction(signo, &sa, NULL);
}

static void
run_signals(struct pollset *ps)
{
	int	 s;

	for (s = 1; s < POLLSET_SIGNALS; s++)
		if (pending[s] && ps->signals[s].fn != NULL) {
			pending[s] = 0;
			ps->signals[s].fn(ps->signals[s].arg, s);
		}
}

static void
run_timers(struct pollset *ps)
{
	uint64_t		 now = clock_mono_ms();
	struct poll_timer	*t;

	/* A timer that is started again by its function comes next turn. */
	while ((t = ps->timers) != NULL && t->at_ms <= now) {
		poll_timer_stop(t);
		t->fn(t->arg);
		if (clock_mono_ms() > now + 100)
			break;
	}
}

static void
run_fds(struct pollset *ps, size_t n)
{
	struct poll_fd	*w;
	size_t		 i;

	for (i = 0; i < n; i++) {
		w = ps->fds[i];
		if (ps->pfds[i].fd != -1 && ps->pfds[i].revents != 0 &&
		    !w->dead)
			w->ready(w->arg, ps->pfds[i].revents);
	}
}

int
pollset_run_once(struct pollset *ps, int ms)
{
	struct timespec	 ts, *wait = NULL;
	struct poll_fd	*w;
	uint64_t	 now, left;
	size_t		 i, n = ps->n;
	int		 r;

	for (i = 0; i < n; i++) {
		w = ps->fds[i];
		ps->pfds[i].events = w->want == NULL ? POLLIN :
		    w->want(w->arg);
		ps->pfds[i].fd = ps->pfds[i].events == 0 ? -1 : w->fd;
		ps->pfds[i].revents = 0;
	}
	if (ps->timers != NULL) {
		now = clock_mono_ms();
		left = ps->timers->at_ms > now ? ps->timers->at_ms - now : 0;
		if (ms < 0 || left < (uint64_t)ms)
			ms = (int)MIN(left, (uint64_t)3600000);
	}
	if (ms >= 0) {
		ts.tv_sec = ms / 1000;
		ts.tv_nsec = (long)(ms % 1000) * 1000000;
		wait = &ts;
	}
	r = ppoll(ps->pfds, n, wait, &ps->wait_mask);
	if (r == -1 && errno != EINTR)
		return -errno;
	ps->busy = true;
	if (r > 0)
		run_fds(ps, n);
	run_signals(ps);
	run_timers(ps);
	ps->busy = false;
	remove_dead(ps);
	return 0;
}

int
pollset_run(struct pollset *ps)
{
	int	 r = 0;

	while (!ps->stop && r == 0)
		r = pollset_run_once(ps, -1);
	ps->stop = false;
	return r;
}

void
pollset_stop(struct pollset *ps)
{
	ps->stop = true;
}
