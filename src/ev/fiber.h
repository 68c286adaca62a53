/*
 * fiber.h - functions that may wait in the middle.
 *
 * A fiber is a function with a stack of its own.  Fibers of a loop run one at
 * a time, from its task queue, until they wait or return; nothing else runs
 * in between, so what a fiber does between two waits needs no lock.
 *
 * The functions marked "waits" may be called inside a fiber only; the
 * others from anywhere in the thread of the loop.  A fiber must not call
 * loop_run().
 *
 * Stacks are small (256 KiB unless fiber_set_stack_bytes() says otherwise)
 * and end in a page that cannot be touched: big arrays and deep recursion
 * belong on the heap.
 */
#ifndef EV_FIBER_H
#define EV_FIBER_H

#include <stddef.h>
#include <stdint.h>

struct fiber;
struct loop;

#define FIBER_FOREVER	UINT64_MAX	/* a deadline that never comes */

/*
 * Run fn(arg) in a fiber of its own.  It does not start inside this call but
 * with the tasks of this iteration (loop_task_post()).  The result is valid
 * until fn returns; most callers do not need it.
 */
struct fiber *fiber_spawn(struct loop *loop, void (*fn)(void *), void *arg);
/* The running fiber, NULL outside of fibers. */
struct fiber *fiber_self(void);
/* The loop of a fiber. */
struct loop *fiber_loop(const struct fiber *f);
/* Number of fibers of the loop that were started and have not returned. */
size_t	fiber_count(const struct loop *loop);
/* Size of the stacks made from now on; rounded up to pages, min. 16 KiB. */
void	fiber_set_stack_bytes(size_t bytes);
/* Bytes of stack left below the caller; SIZE_MAX outside of fibers. */
size_t	fiber_stack_left(void);

/*
 * Wait until somebody calls fiber_wake().  Building block: callers test
 * their condition in a loop, as a wake can have been meant for an earlier
 * wait.  Waits.
 */
void	fiber_suspend(void);
/*
 * Let a waiting fiber go on: posts it to the loop, never runs it inside the
 * caller.  Waking twice before it ran is waking once.  A fiber that wakes
 * itself goes on right after its next fiber_suspend().
 */
void	fiber_wake(struct fiber *f);
/* Let everything else that is ready go first, input and output too.  Waits. */
void	fiber_yield(void);
/* At least ms milliseconds.  Waits. */
void	fiber_sleep_ms(uint64_t ms);

/*
 * Condition: a queue of waiting fibers, no state.  All zero is an empty one.
 * It may be freed as soon as nobody waits in it, which is so right after
 * fiber_cond_broadcast().
 */
struct fiber_waiter;

struct fiber_cond {
	struct fiber_waiter	*first, *last;
};

#define FIBER_COND_INIT	{ NULL, NULL }

/* Wait for a signal or broadcast.  Waits. */
void	fiber_cond_wait(struct fiber_cond *c);
/*
 * As fiber_cond_wait(), but not beyond loop_now_ms() == deadline_ms.  0, or
 * ERR_TIMEOUT; a deadline that has passed already lets others run once.
 */
int	fiber_cond_wait_until(struct fiber_cond *c, uint64_t deadline_ms);
/* Wake the one that waits longest; returns 1 when there was one. */
int	fiber_cond_signal(struct fiber_cond *c);
/* Wake all; returns their number. */
size_t	fiber_cond_broadcast(struct fiber_cond *c);
int	fiber_cond_has_waiters(const struct fiber_cond *c);

/* Mutex, first come, first served.  All zero is an unlocked one. */
struct fiber_mutex {
	struct fiber		*owner;
	struct fiber_cond	 queue;
};

#define FIBER_MUTEX_INIT	{ NULL, FIBER_COND_INIT }

/* Waits while another fiber has it; locking twice is a bug. */
void	fiber_mutex_lock(struct fiber_mutex *m);
/* 1 when it was free and is now ours. */
int	fiber_mutex_try_lock(struct fiber_mutex *m);
/* 0 or ERR_TIMEOUT.  Waits. */
int	fiber_mutex_lock_until(struct fiber_mutex *m, uint64_t deadline_ms);
/* By the owner only. */
void	fiber_mutex_unlock(struct fiber_mutex *m);

/*
 * Group: several fibers that somebody waits for.  All zero is an empty one;
 * it must live until its last fiber has returned.
 */
struct fiber_group {
	size_t			 running;	/* spawned, not returned */
	struct fiber_cond	 ended;
};

#define FIBER_GROUP_INIT	{ 0, FIBER_COND_INIT }

/* fiber_spawn() as a member of the group. */
void	fiber_group_spawn(struct fiber_group *g, struct loop *loop,
	    void (*fn)(void *), void *arg);
/* Until all members returned (0 members: at once).  Waits. */
void	fiber_group_wait(struct fiber_group *g);
/* 0 or ERR_TIMEOUT, and then the group still has members.  Waits. */
int	fiber_group_wait_until(struct fiber_group *g, uint64_t deadline_ms);

#endif
