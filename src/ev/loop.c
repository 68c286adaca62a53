/* loop.c - when things run: a thin layer over libevent */
#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/err.h"
#include "ev/loop.h"
#include "ev/loop_priv.h"

/*
 * How often tasks that were posted by tasks are run before the loop looks at
 * its descriptors again.  A request usually wakes its fiber, which wakes
 * another one: a few rounds take them all into one iteration, and so into one
 * late task.
 */
#define TASK_ROUNDS	8

struct loop_timer {
	struct event	 ev;
	struct loop	*loop;
	void		(*fn)(void *);
	void		*arg;
};

struct loop_fd {
	struct event	 ev;
	struct loop	*loop;
	int		 fd;
	int		 events;	/* LOOP_* asked for */
	void		(*fn)(void *, int);
	void		*arg;
};

struct loop_signal {
	struct event	 ev;
	void		(*fn)(void *, int);
	void		*arg;
};

struct deferred {
	struct loop_task	 task;
	void			(*fn)(void *);
	void			*arg;
};

static void	tasks_append(struct loop_tasks *, struct loop_task *);
static void	tasks_run(struct loop *, struct loop_tasks *);

struct loop *
loop_new(void)
{
	struct event_config	*cfg;
	struct loop		*loop;

	if ((cfg = event_config_new()) == NULL)
		fatal("out of memory (event loop)");
	/*
	 * Without the first flag libevent measures with a clock that ticks
	 * every 4 ms; without the second it counts from the beginning of the
	 * iteration.  Both make timers fire too early.
	 */
	event_config_set_flag(cfg, EVENT_BASE_FLAG_PRECISE_TIMER |
	    EVENT_BASE_FLAG_NO_CACHE_TIME);
	loop = xcalloc(1, sizeof(*loop));
	loop->base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	if (loop->base == NULL) {
		free(loop);
		return NULL;
	}
	return loop;
}

static void
deferred_run(void *arg)
{
	struct deferred	 d = *(struct deferred *)arg;

	free(arg);
	d.fn(d.arg);
}

/* Take all out of a queue; those of loop_defer() belong to us. */
static void
tasks_drop(struct loop_tasks *q)
{
	struct loop_task	*t;

	while ((t = q->first) != NULL) {
		loop_task_cancel(t);
		if (t->fn == deferred_run)
			free(t->arg);
	}
}

void
loop_free(struct loop **loop)
{
	struct loop	*l = *loop;

	if (l == NULL)
		return;
	*loop = NULL;
	fiber_pool_free(&l->fibers);
	tasks_drop(&l->tasks);
	tasks_drop(&l->next_tasks);
	tasks_drop(&l->late_tasks);
	event_base_free(l->base);
	free(l);
}

struct event_base *
loop_base(struct loop *loop)
{
	return loop->base;
}

uint64_t
loop_now_ms(const struct loop *loop)
{
	return clock_mono_ms();
}

int
loop_after_fork(struct loop *loop)
{
	return event_reinit(loop->base) == 0 ? 0 : ERR_BAD_STATE;
}

static int
has_tasks(const struct loop *loop)
{
	return loop->tasks.first != NULL || loop->next_tasks.first != NULL ||
	    loop->late_tasks.first != NULL;
}

/* What the last iteration posted for this one. */
static void
take_next_tasks(struct loop *loop)
{
	struct loop_task	*t;

	while ((t = loop->next_tasks.first) != NULL) {
		loop_task_cancel(t);
		tasks_append(&loop->tasks, t);
	}
}

int
loop_run_once(struct loop *loop, int may_wait)
{
	int	 flags = EVLOOP_ONCE, r, i;

	if (!may_wait || has_tasks(loop))
		flags |= EVLOOP_NONBLOCK;
	/* Returns 1 when it has neither a watcher nor a timer. */
	if ((r = event_base_loop(loop->base, flags)) < 0)
		return ERR_BAD_STATE;
	if (r == 1 && !has_tasks(loop))
		return 1;
	take_next_tasks(loop);
	for (i = 0; i < TASK_ROUNDS && loop->tasks.first != NULL; i++)
		tasks_run(loop, &loop->tasks);
	tasks_run(loop, &loop->late_tasks);
	return 0;
}

int
loop_run(struct loop *loop)
{
	int	 r = 0;

	loop->stopping = 0;
	while (!loop->stopping && r == 0)
		r = loop_run_once(loop, 1);
	return r == 1 ? 0 : r;
}

void
loop_stop(struct loop *loop)
{
	loop->stopping = 1;
}

/* --- tasks --------------------------------------------------------------- */

static void
tasks_append(struct loop_tasks *q, struct loop_task *t)
{
	t->queue = q;
	t->next = NULL;
	t->prev = q->last;
	if (q->last != NULL)
		q->last->next = t;
	else
		q->first = t;
	q->last = t;
}

/*
 * Run what is in the queue now; what comes in meanwhile stays.  The tasks move
 * to a queue of our own first, from which loop_task_cancel() can still take
 * them.
 */
static void
tasks_run(struct loop *loop, struct loop_tasks *q)
{
	struct loop_tasks	 now = { NULL, NULL };
	struct loop_task	*t;

	while ((t = q->first) != NULL) {
		loop_task_cancel(t);
		tasks_append(&now, t);
	}
	while ((t = now.first) != NULL) {
		loop_task_cancel(t);
		t->fn(t->arg);	/* t may be gone after this */
	}
}

void
loop_task_init(struct loop_task *t, void (*fn)(void *), void *arg)
{
	t->fn = fn;
	t->arg = arg;
	t->next = t->prev = NULL;
	t->queue = NULL;
}

void
loop_task_post(struct loop *loop, struct loop_task *t)
{
	if (t->queue == NULL)
		tasks_append(&loop->tasks, t);
}

void
loop_task_post_next(struct loop *loop, struct loop_task *t)
{
	if (t->queue == NULL)
		tasks_append(&loop->next_tasks, t);
}

void
loop_task_post_late(struct loop *loop, struct loop_task *t)
{
	if (t->queue == NULL)
		tasks_append(&loop->late_tasks, t);
}

void
loop_task_cancel(struct loop_task *t)
{
	struct loop_tasks	*q = t->queue;

	if (q == NULL)
		return;
	if (t->prev != NULL)
		t->prev->next = t->next;
	else
		q->first = t->next;
	if (t->next != NULL)
		t->next->prev = t->prev;
	else
		q->last = t->prev;
	t->queue = NULL;
	t->next = t->prev = NULL;
}

int
loop_task_is_posted(const struct loop_task *t)
{
	return t->queue != NULL;
}

void
loop_defer(struct loop *loop, void (*fn)(void *), void *arg)
{
	struct deferred	*d = xmalloc(sizeof(*d));

	d->fn = fn;
	d->arg = arg;
	loop_task_init(&d->task, deferred_run, d);
	loop_task_post(loop, &d->task);
}

/* --- timers -------------------------------------------------------------- */

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer	*t = arg;

	t->fn(t->arg);
}

struct loop_timer *
loop_timer_new(struct loop *loop, void (*fn)(void *), void *arg)
{
	struct loop_timer	*t = xcalloc(1, sizeof(*t));

	t->loop = loop;
	t->fn = fn;
	t->arg = arg;
	event_assign(&t->ev, loop->base, -1, 0, on_timer, t);
	return t;
}

void
loop_timer_free(struct loop_timer **t)
{
	if (*t == NULL)
		return;
	event_del(&(*t)->ev);
	free(*t);
	*t = NULL;
}

static void
timer_add(struct loop_timer *t, short flags, uint64_t us)
{
	struct timeval	 tv;

	/* Deleted first: a timer that is due, but was not called yet, must
	 * not fire for the old time. */
	event_del(&t->ev);
	event_assign(&t->ev, t->loop->base, -1, flags, on_timer, t);
	tv.tv_sec = (time_t)(us / 1000000);
	tv.tv_usec = (suseconds_t)(us % 1000000);
	if (event_add(&t->ev, &tv) != 0)
		fatal("out of memory (timer)");
}

void
loop_timer_start(struct loop_timer *t, uint64_t ms)
{
	timer_add(t, 0, MIN(ms, UINT64_MAX / 1000 / 1000) * 1000);
}

void
loop_timer_start_us(struct loop_timer *t, uint64_t us)
{
	timer_add(t, 0, us);
}

void
loop_timer_start_periodic(struct loop_timer *t, uint64_t ms)
{
	ms = MAX(ms, 1);
	timer_add(t, EV_PERSIST, MIN(ms, UINT64_MAX / 1000 / 1000) * 1000);
}

void
loop_timer_stop(struct loop_timer *t)
{
	event_del(&t->ev);
}

int
loop_timer_is_running(const struct loop_timer *t)
{
	return event_pending(&t->ev, EV_TIMEOUT, NULL) != 0;
}

/* --- descriptors --------------------------------------------------------- */

static void
on_fd(evutil_socket_t fd, short what, void *arg)
{
	struct loop_fd	*w = arg;
	int		 ready = 0;

	if (what & EV_READ)
		ready |= LOOP_READ;
	if (what & EV_WRITE)
		ready |= LOOP_WRITE;
	w->fn(w->arg, ready);
}

struct loop_fd *
loop_fd_new(struct loop *loop, int fd, int events, void (*fn)(void *, int),
    void *arg)
{
	struct loop_fd	*w = xcalloc(1, sizeof(*w));

	w->loop = loop;
	w->fd = fd;
	w->fn = fn;
	w->arg = arg;
	if (loop_fd_set(w, events) != 0) {
		free(w);
		return NULL;
	}
	return w;
}

int
loop_fd_set(struct loop_fd *w, int events)
{
	short	 flags = EV_PERSIST;

	if (events == w->events)
		return 0;
	if (w->events != 0)
		event_del(&w->ev);
	w->events = 0;
	if (events == 0)
		return 0;
	if (events & LOOP_READ)
		flags |= EV_READ;
	if (events & LOOP_WRITE)
		flags |= EV_WRITE;
	event_assign(&w->ev, w->loop->base, w->fd, flags, on_fd, w);
	if (event_add(&w->ev, NULL) != 0)
		return ERR_BAD_STATE;
	w->events = events;
	return 0;
}

void
loop_fd_free(struct loop_fd **w)
{
	if (*w == NULL)
		return;
	loop_fd_set(*w, 0);
	free(*w);
	*w = NULL;
}

/* --- signals ------------------------------------------------------------- */

static void
on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct loop_signal	*s = arg;

	s->fn(s->arg, (int)signo);
}

struct loop_signal *
loop_signal_new(struct loop *loop, int signo, void (*fn)(void *, int),
    void *arg)
{
	struct loop_signal	*s = xcalloc(1, sizeof(*s));

	s->fn = fn;
	s->arg = arg;
	event_assign(&s->ev, loop->base, signo, EV_SIGNAL | EV_PERSIST,
	    on_signal, s);
	if (event_add(&s->ev, NULL) != 0) {
		free(s);
		return NULL;
	}
	return s;
}

void
loop_signal_free(struct loop_signal **s)
{
	if (*s == NULL)
		return;
	event_del(&(*s)->ev);
	free(*s);
	*s = NULL;
}
