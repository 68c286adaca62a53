/*
 * pollset.h - the loop of a supervisor: descriptors, timers, signals, and
 * nothing that a child would have to get rid of but one descriptor.
 *
 * A supervisor initialises no library (R25), so it cannot use ev/loop.h,
 * which is libevent.  Callbacks run from pollset_run() only; every object may
 * be freed from any of them.
 */
#ifndef PROC_POLLSET_H
#define PROC_POLLSET_H

#include <sys/queue.h>

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct pollset;
struct poll_fd;

struct pollset *pollset_new(void);
/* Gives handled signals their default action back. */
void	pollset_free(struct pollset **ps);
/* Until pollset_stop(), which may have been called before.  0 or -errno. */
int	pollset_run(struct pollset *ps);
/* One turn, waiting at most ms (-1: for ever). */
int	pollset_run_once(struct pollset *ps, int ms);
void	pollset_stop(struct pollset *ps);

/*
 * Call ready() while one of these (POLLIN, POLLOUT) is the case, or the other
 * side has hung up.  0 leaves the descriptor out, and has to be said, or the
 * watch freed, before it is closed: what was forked meanwhile may have it still.
 */
struct poll_fd *poll_fd_new(struct pollset *ps, int fd, short events,
	    void (*ready)(void *, short revents), void *arg);
void	poll_fd_set(struct poll_fd *w, short events);
void	poll_fd_free(struct poll_fd **w);

/* Lives in the caller's object; stop it before that is freed. */
struct poll_timer {
	struct pollset		*ps;
	void			(*fn)(void *);
	void			*arg;
	uint64_t		 at_ms;
	TAILQ_ENTRY(poll_timer)	 next;
	bool			 running;
};

void	poll_timer_init(struct poll_timer *t, struct pollset *ps,
	    void (*fn)(void *), void *arg);
/* Once, after ms; starting a running one sets it anew. */
void	poll_timer_start(struct poll_timer *t, uint64_t ms);
void	poll_timer_stop(struct poll_timer *t);
bool	poll_timer_is_running(const struct poll_timer *t);

/*
 * Call fn in the turn after the signal.  Signals are blocked except while
 * waiting, so nothing is ever interrupted.  One pollset per process.
 */
void	pollset_signal(struct pollset *ps, int signo, void (*fn)(void *, int),
	    void *arg);

#endif
