/*
 * loop.h - when things run: a thin layer over libevent.
 *
 * One iteration of the loop is
 *
 *	1. wait for events (not at all when tasks are posted), then call the
 *	   callbacks of everything that is ready;
 *	2. run the posted tasks, in the order of posting, and those that they
 *	   post in turn (fibers run here, see ev/fiber.h);
 *	3. run the late tasks: everything that was ready has been looked at, so
 *	   this is the place to write what they gathered in one go.
 *
 * Nothing is ever called from inside the function that registers it.  Every
 * object may be freed from its own callback and from any other; after
 * *_free() or *_cancel() its callback does not run any more.
 *
 * Times are milliseconds of the monotonic clock.  One thread owns a loop.
 */
#ifndef EV_LOOP_H
#define EV_LOOP_H

#include <stdint.h>

struct event_base;
struct loop;
struct loop_timer;
struct loop_fd;
struct loop_signal;

/* NULL when the kernel refuses a descriptor; errno says why. */
struct loop *loop_new(void);
/*
 * Objects of the loop (timers, watchers, signals) should be freed before it.
 * Fibers that still wait are dropped: what they own is lost.
 */
void	loop_free(struct loop **loop);
/*
 * Run iterations until loop_stop(), or until there is nothing left that could
 * make something happen (no watcher, timer, signal or task).  Returns 0, or
 * ERR_BAD_STATE when the event mechanism failed.  May be called again.
 */
int	loop_run(struct loop *loop);
/*
 * One iteration.  Waits when may_wait is not 0 and no task is posted.
 * Returns 1 when there is nothing left to wait for, otherwise 0 or
 * ERR_BAD_STATE.
 */
int	loop_run_once(struct loop *loop, int may_wait);
/* Leave loop_run() when the current iteration is over. */
void	loop_stop(struct loop *loop);
/* Milliseconds of the monotonic clock, now (not those of the iteration). */
uint64_t loop_now_ms(const struct loop *loop);
/*
 * To be called in the child after fork(), before anything else is done with a
 * loop that came from the parent, loop_free() included: both processes share
 * the kernel's object, and what one removes is gone for the other.
 * Returns 0 or ERR_BAD_STATE.
 */
int	loop_after_fork(struct loop *loop);
/* For src/http only, which needs bufferevents on the same loop. */
struct event_base *loop_base(struct loop *loop);

/* --- timers -------------------------------------------------------------- */

/* A timer that is not running. */
struct loop_timer *loop_timer_new(struct loop *loop, void (*fn)(void *),
	    void *arg);
void	loop_timer_free(struct loop_timer **t);
/*
 * Fire once, not before ms have passed; 0 fires in the next iteration.
 * Starting a running timer sets it anew.
 */
void	loop_timer_start(struct loop_timer *t, uint64_t ms);
/* As loop_timer_start(), in microseconds. */
void	loop_timer_start_us(struct loop_timer *t, uint64_t us);
/*
 * Fire every ms (at least 1) until stopped.  Times that passed while the loop
 * was busy are not made up for.
 */
void	loop_timer_start_periodic(struct loop_timer *t, uint64_t ms);
void	loop_timer_stop(struct loop_timer *t);
/* 1 while a call is to come. */
int	loop_timer_is_running(const struct loop_timer *t);

/* --- descriptors --------------------------------------------------------- */

enum {
	LOOP_READ	= 1,
	LOOP_WRITE	= 2
};

/*
 * Call fn(arg, ready) in each iteration in which the descriptor is ready for
 * something asked for (level triggered; an error or hang-up counts as ready
 * for whatever was asked).  `events` may be 0: watch nothing for now.  The
 * descriptor stays the caller's and is closed after loop_fd_free().  NULL
 * when it cannot be watched (errno; a regular file gives EPERM).
 */
struct loop_fd *loop_fd_new(struct loop *loop, int fd, int events,
	    void (*fn)(void *, int), void *arg);
/* Change what is asked for; 0 or ERR_BAD_STATE. */
int	loop_fd_set(struct loop_fd *w, int events);
void	loop_fd_free(struct loop_fd **w);

/* --- signals ------------------------------------------------------------- */

/*
 * Call fn(arg, signo) from the loop after the signal came; several in a row
 * may be one call.  Only one loop of a process may have signals.  NULL when
 * the signal cannot be caught.
 */
struct loop_signal *loop_signal_new(struct loop *loop, int signo,
	    void (*fn)(void *, int), void *arg);
void	loop_signal_free(struct loop_signal **s);

/* --- tasks --------------------------------------------------------------- */

/*
 * A call that is to be made soon.  The struct lives in the caller's object
 * and may be freed, or posted again, from inside its function.
 */
struct loop_task {
	void			(*fn)(void *);
	void			*arg;
	struct loop_task	*next, *prev;	/* in a queue */
	struct loop_tasks	*queue;		/* NULL: not posted */
};

void	loop_task_init(struct loop_task *t, void (*fn)(void *), void *arg);
/*
 * Run at the end of the current iteration, in order of posting, once.
 * A task that is posted already keeps its place.  Tasks that are posted by
 * tasks run in the same iteration as well, up to a bound that keeps a chain
 * of tasks from locking out input and output.
 */
void	loop_task_post(struct loop *loop, struct loop_task *t);
/* As loop_task_post(), but always in the next iteration, after its events. */
void	loop_task_post_next(struct loop *loop, struct loop_task *t);
/*
 * Run once when all events that were ready in this iteration and all tasks
 * were handled.  Posted from a late task: in the next iteration.
 */
void	loop_task_post_late(struct loop *loop, struct loop_task *t);
/* No effect when it is not posted. */
void	loop_task_cancel(struct loop_task *t);
int	loop_task_is_posted(const struct loop_task *t);

/* loop_task_post() of a task that needs no object and cannot be cancelled. */
void	loop_defer(struct loop *loop, void (*fn)(void *), void *arg);

#endif
