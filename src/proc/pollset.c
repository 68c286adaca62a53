/* pollset.c - epoll(7), timers and signals without a library */
#include <sys/epoll.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "proc/pollset.h"

#define POLLSET_SIGNALS	32
/* So many descriptors get their turn before signals and timers do. */
#define POLLSET_TURN	64

struct poll_fd {
	TAILQ_ENTRY(poll_fd) next;
	struct pollset	*ps;
	int		 fd;
	short		 events;	/* 0: the kernel does not know it */
	void		 (*ready)(void *, short);
	void		*arg;
	bool		 dead;	/* freed while a turn is running */
};

TAILQ_HEAD(poll_fds, poll_fd);

struct pollset {
	int			 fd;
	struct poll_fds		 fds, dead;
	TAILQ_HEAD(poll_timers, poll_timer) timers;	/* by time */
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

	if ((ps->fd = epoll_create1(EPOLL_CLOEXEC)) == -1)
		fatal("epoll: %s", err_text(-errno));
	TAILQ_INIT(&ps->fds);
	TAILQ_INIT(&ps->dead);
	TAILQ_INIT(&ps->timers);
	sigprocmask(SIG_SETMASK, NULL, &ps->wait_mask);
	return ps;
}

static void
free_all(struct poll_fds *list)
{
	struct poll_fd	*w;

	while ((w = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, w, next);
		free(w);
	}
}

void
pollset_free(struct pollset **pps)
{
	struct pollset	*ps = *pps;
	sigset_t	 mask;
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
	free_all(&ps->fds);
	free_all(&ps->dead);
	close(ps->fd);
	free(ps);
}

struct poll_fd *
poll_fd_new(struct pollset *ps, int fd, short events,
    void (*ready)(void *, short), void *arg)
{
	struct poll_fd	*w = xcalloc(1, sizeof(*w));

	w->ps = ps;
	w->fd = fd;
	w->ready = ready;
	w->arg = arg;
	TAILQ_INSERT_TAIL(&ps->fds, w, next);
	poll_fd_set(w, events);
	return w;
}

void
poll_fd_set(struct poll_fd *w, short events)
{
	struct epoll_event	 e = { .data.ptr = w };
	int			 op = EPOLL_CTL_MOD;

	if (events == w->events)
		return;
	if (events == 0)
		op = EPOLL_CTL_DEL;
	else if (w->events == 0)
		op = EPOLL_CTL_ADD;
	w->events = events;
	e.events = (uint32_t)events;	/* the numbers are poll()'s */
	if (epoll_ctl(w->ps->fd, op, w->fd, &e) == -1)
		fatal("epoll: descriptor %d: %s", w->fd, err_text(-errno));
}

void
poll_fd_free(struct poll_fd **pw)
{
	struct poll_fd	*w = *pw;

	if (w == NULL)
		return;
	*pw = NULL;
	poll_fd_set(w, 0);
	w->dead = true;
	TAILQ_REMOVE(&w->ps->fds, w, next);
	TAILQ_INSERT_TAIL(&w->ps->dead, w, next);
	if (!w->ps->busy)
		free_all(&w->ps->dead);
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
	if (!t->running)
		return;
	TAILQ_REMOVE(&t->ps->timers, t, next);
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
	struct pollset		*ps = t->ps;
	struct poll_timer	*at;

	poll_timer_stop(t);
	t->at_ms = clock_mono_ms() + ms;
	/* Most are as long as those of before. */
	TAILQ_FOREACH_REVERSE(at, &ps->timers, poll_timers, next)
		if (at->at_ms <= t->at_ms)
			break;
	if (at != NULL)
		TAILQ_INSERT_AFTER(&ps->timers, at, t, next);
	else
		TAILQ_INSERT_HEAD(&ps->timers, t, next);
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
	while ((t = TAILQ_FIRST(&ps->timers)) != NULL && t->at_ms <= now) {
		poll_timer_stop(t);
		t->fn(t->arg);
		if (clock_mono_ms() > now + 100)
			break;
	}
}

static int
next_ms(const struct pollset *ps, int ms)
{
	const struct poll_timer	*t = TAILQ_FIRST(&ps->timers);
	uint64_t		 now, left;

	if (t == NULL)
		return ms;
	now = clock_mono_ms();
	left = t->at_ms > now ? t->at_ms - now : 0;
	return ms < 0 || left < (uint64_t)ms ? (int)MIN(left, 3600000u) : ms;
}

int
pollset_run_once(struct pollset *ps, int ms)
{
	struct epoll_event	 e[POLLSET_TURN];
	struct poll_fd		*w;
	int			 i, n;

	n = epoll_pwait(ps->fd, e, POLLSET_TURN, next_ms(ps, ms),
	    &ps->wait_mask);
	if (n == -1 && errno != EINTR)
		return -errno;
	ps->busy = true;
	for (i = 0; i < n; i++) {
		w = e[i].data.ptr;
		/* what another one has changed meanwhile counts */
		if (!w->dead && w->events != 0)
			w->ready(w->arg, (short)e[i].events);
	}
	run_signals(ps);
	run_timers(ps);
	ps->busy = false;
	free_all(&ps->dead);
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
