/* fiber.c - functions that may wait in the middle */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN	1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN	1
#endif
#endif
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(low, high)	0
#define VALGRIND_STACK_DEREGISTER(id)		((void)(id))
#endif

#include "base/clock.h"
#include "base/err.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "ev/loop_priv.h"
#include "ev/switch.h"

#define STACK_DEFAULT_BYTES	(256 * 1024)
#define STACK_MIN_BYTES		(16 * 1024)
/* Stacks kept for the next fiber; each holds the pages it ever touched. */
#define POOL_MAX_IDLE		256
/* Longest wait in one go; keeps sums of times far from any overflow. */
#define WAIT_MAX_MS		(UINT64_C(100) * 365 * 86400 * 1000)

struct fiber {
	struct switch_ctx	 ctx;
	struct loop		*loop;
	void			(*fn)(void *);
	void			*arg;
	struct fiber_group	*group;		/* NULL: none */
	int			 done;		/* fn has returned */
	int			 timed_out;	/* the timer fired */
	struct loop_task	 task;		/* resumes it */
	struct event		 timer;		/* of the one wait it is in */
	struct fiber		*next, *prev;	/* among live or idle ones */
	char			*map;		/* guard page, then the stack */
	size_t			 map_bytes;
	unsigned		 valgrind_id;
	void			*fake_stack;	/* AddressSanitizer's */
};

struct fiber_pool {
	struct switch_ctx	 main;		/* the loop's own stack */
	struct fiber		*live, *idle;
	size_t			 n_live, n_idle;
	const void		*main_low;	/* AddressSanitizer wants to */
	size_t			 main_bytes;	/* know the stack it goes to */
};

struct fiber_waiter {
	struct fiber		*fiber;
	struct fiber_cond	*cond;		/* NULL: was signalled */
	struct fiber_waiter	*next, *prev;
};

static _Thread_local struct fiber	*self;
static size_t				 stack_bytes = STACK_DEFAULT_BYTES;

static void	fiber_entry(void);
static void	fiber_resume(void *);
static void	fiber_on_timer(evutil_socket_t, short, void *);

static size_t
page_bytes(void)
{
	static size_t	 size;

	if (size == 0)
		size = (size_t)sysconf(_SC_PAGESIZE);
	return size;
}

static void *
stack_low(const struct fiber *f)
{
	return f->map + page_bytes();
}

static size_t
stack_size(const struct fiber *f)
{
	return f->map_bytes - page_bytes();
}

/* --- switching ----------------------------------------------------------- */

/*
 * AddressSanitizer keeps a shadow of the stack it is on.  It has to be told
 * of each switch, before it where we go, after it where we came from.
 */
static void
leave_main(struct fiber *f, void **fake)
{
#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(fake, stack_low(f), stack_size(f));
#endif
}

static void
back_in_main(void *fake)
{
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(fake, NULL, NULL);
#endif
}

static void
leave_fiber(struct fiber *f)
{
#ifdef WITH_ASAN
	struct fiber_pool	*pool = f->loop->fibers;

	/* NULL: this stack will not be used again in its present state. */
	__sanitizer_start_switch_fiber(f->done ? NULL : &f->fake_stack,
	    pool->main_low, pool->main_bytes);
#endif
}

static void
back_in_fiber(struct fiber *f)
{
#ifdef WITH_ASAN
	struct fiber_pool	*pool = f->loop->fibers;

	__sanitizer_finish_switch_fiber(f->fake_stack, &pool->main_low,
	    &pool->main_bytes);
#endif
}

/* What only the stack of a waiting fiber points to is no leak. */
static void
show_stack_to_sanitizer(const struct fiber *f)
{
#ifdef WITH_ASAN
	__lsan_register_root_region(stack_low(f), stack_size(f));
#endif
}

static void
hide_stack_from_sanitizer(const struct fiber *f)
{
#ifdef WITH_ASAN
	__lsan_unregister_root_region(stack_low(f), stack_size(f));
#endif
}

/* Marks that frames left behind on a stack must not outlive them. */
static void
forget_stack_marks(const struct fiber *f)
{
#ifdef WITH_ASAN
	ASAN_UNPOISON_MEMORY_REGION(stack_low(f), stack_size(f));
#endif
}

/* --- creation and pool --------------------------------------------------- */

static struct fiber_pool *
pool_of(struct loop *loop)
{
	if (loop->fibers == NULL)
		loop->fibers = xcalloc(1, sizeof(*loop->fibers));
	return loop->fibers;
}

static void
list_push(struct fiber **list, struct fiber *f)
{
	f->prev = NULL;
	f->next = *list;
	if (f->next != NULL)
		f->next->prev = f;
	*list = f;
}

static void
list_remove(struct fiber **list, struct fiber *f)
{
	if (f->prev != NULL)
		f->prev->next = f->next;
	else
		*list = f->next;
	if (f->next != NULL)
		f->next->prev = f->prev;
}

static struct fiber *
fiber_create(struct loop *loop)
{
	struct fiber	*f = xcalloc(1, sizeof(*f));

	f->loop = loop;
	f->map_bytes = stack_bytes + page_bytes();
	f->map = mmap(NULL, f->map_bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (f->map == MAP_FAILED ||
	    mprotect(f->map, page_bytes(), PROT_NONE) != 0)
		fatal("no memory for the stack of a fiber: %s",
		    strerror(errno));
	f->valgrind_id = VALGRIND_STACK_REGISTER(stack_low(f),
	    f->map + f->map_bytes);
	show_stack_to_sanitizer(f);
	loop_task_init(&f->task, fiber_resume, f);
	event_assign(&f->timer, loop_base(loop), -1, 0, fiber_on_timer, f);
	return f;
}

static void
fiber_destroy(struct fiber *f)
{
	loop_task_cancel(&f->task);
	event_del(&f->timer);
	forget_stack_marks(f);
	hide_stack_from_sanitizer(f);
	VALGRIND_STACK_DEREGISTER(f->valgrind_id);
	munmap(f->map, f->map_bytes);
	free(f);
}

static struct fiber *
fiber_take(struct loop *loop)
{
	struct fiber_pool	*pool = pool_of(loop);
	struct fiber		*f;

	while ((f = pool->idle) != NULL) {
		list_remove(&pool->idle, f);
		pool->n_idle--;
		if (stack_size(f) == stack_bytes)
			return f;
		fiber_destroy(f);
	}
	return fiber_create(loop);
}

static void
fiber_recycle(struct fiber *f)
{
	struct fiber_pool	*pool = f->loop->fibers;

	/* Somebody may have woken it in its last moments. */
	loop_task_cancel(&f->task);
	list_remove(&pool->live, f);
	pool->n_live--;
	if (pool->n_idle >= POOL_MAX_IDLE) {
		fiber_destroy(f);
		return;
	}
	forget_stack_marks(f);
	list_push(&pool->idle, f);
	pool->n_idle++;
}

void
fiber_pool_free(struct fiber_pool **pool)
{
	struct fiber	*f;

	if (*pool == NULL)
		return;
	bug_unless(self == NULL);
	while ((f = (*pool)->live) != NULL) {
		list_remove(&(*pool)->live, f);
		fiber_destroy(f);
	}
	while ((f = (*pool)->idle) != NULL) {
		list_remove(&(*pool)->idle, f);
		fiber_destroy(f);
	}
	free(*pool);
	*pool = NULL;
}

static struct fiber *
fiber_start(struct loop *loop, struct fiber_group *g, void (*fn)(void *),
    void *arg)
{
	struct fiber_pool	*pool = pool_of(loop);
	struct fiber		*f = fiber_take(loop);

	f->fn = fn;
	f->arg = arg;
	f->group = g;
	f->done = 0;
	f->fake_stack = NULL;
	switch_init(&f->ctx, stack_low(f), stack_size(f), fiber_entry);
	list_push(&pool->live, f);
	pool->n_live++;
	loop_task_post(loop, &f->task);
	return f;
}

struct fiber *
fiber_spawn(struct loop *loop, void (*fn)(void *), void *arg)
{
	return fiber_start(loop, NULL, fn, arg);
}

/* --- running ------------------------------------------------------------- */

/* The first function on the stack of a fiber. */
static void
fiber_entry(void)
{
	struct fiber		*f = self;
	struct fiber_group	*g;

	back_in_fiber(f);
	f->fn(f->arg);
	g = f->group;
	if (g != NULL && --g->running == 0)
		fiber_cond_broadcast(&g->ended);
	f->done = 1;
	leave_fiber(f);
	switch_to(&f->ctx, &f->loop->fibers->main);
	fatal("bug: a fiber was resumed after its end");
}

/* Task of a fiber: run it until it waits or ends. */
static void
fiber_resume(void *arg)
{
	struct fiber	*f = arg;
	void		*fake = NULL;

	bug_unless(self == NULL);
	self = f;
	leave_main(f, &fake);
	switch_to(&f->loop->fibers->main, &f->ctx);
	back_in_main(fake);
	self = NULL;
	if (f->done)
		fiber_recycle(f);
}

static void
fiber_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct fiber	*f = arg;

	f->timed_out = 1;
	fiber_wake(f);
}

/* From here fiber_suspend() ends at the deadline, with timed_out set. */
static void
deadline_set(struct fiber *f, uint64_t deadline_ms)
{
	struct timeval	 tv;
	uint64_t	 now, left;

	f->timed_out = 0;
	if (deadline_ms == FIBER_FOREVER)
		return;
	now = clock_mono_us() / 1000;
	left = deadline_ms > now ? deadline_ms - now : 0;
	left = MIN(left, WAIT_MAX_MS);
	tv.tv_sec = (time_t)(left / 1000);
	tv.tv_usec = (suseconds_t)(left % 1000 * 1000);
	if (event_add(&f->timer, &tv) != 0)
		fatal("out of memory (timer of a fiber)");
}

static void
deadline_clear(struct fiber *f, uint64_t deadline_ms)
{
	if (deadline_ms != FIBER_FOREVER)
		event_del(&f->timer);
}

struct fiber *
fiber_self(void)
{
	return self;
}

struct loop *
fiber_loop(const struct fiber *f)
{
	return f->loop;
}

size_t
fiber_count(const struct loop *loop)
{
	return loop->fibers == NULL ? 0 : loop->fibers->n_live;
}

void
fiber_set_stack_bytes(size_t bytes)
{
	size_t	 page = page_bytes();

	bytes = MAX(bytes, STACK_MIN_BYTES);
	stack_bytes = (bytes + page - 1) / page * page;
}

size_t
fiber_stack_left(void)
{
	uintptr_t	 here = (uintptr_t)__builtin_frame_address(0);

	return self == NULL ? SIZE_MAX : here - (uintptr_t)stack_low(self);
}

void
fiber_suspend(void)
{
	struct fiber	*f = self;

	bug_unless(f != NULL);
	leave_fiber(f);
	switch_to(&f->ctx, &f->loop->fibers->main);
	back_in_fiber(f);
}

void
fiber_wake(struct fiber *f)
{
	loop_task_post(f->loop, &f->task);
}

void
fiber_yield(void)
{
	bug_unless(self != NULL);
	loop_task_post_next(self->loop, &self->task);
	fiber_suspend();
}

void
fiber_sleep_ms(uint64_t ms)
{
	uint64_t	 deadline_ms;

	bug_unless(self != NULL);
	if (ms == 0) {
		fiber_yield();
		return;
	}
	/* Rounded up: a deadline in whole ms must not be before its time. */
	deadline_ms = (clock_mono_us() + 999) / 1000 + MIN(ms, WAIT_MAX_MS);
	deadline_set(self, deadline_ms);
	while (!self->timed_out)
		fiber_suspend();
}

/* --- conditions ---------------------------------------------------------- */

static void
waiter_remove(struct fiber_waiter *w)
{
	struct fiber_cond	*c = w->cond;

	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		c->first = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	else
		c->last = w->prev;
	w->cond = NULL;
}

int
fiber_cond_wait_until(struct fiber_cond *c, uint64_t deadline_ms)
{
	struct fiber		*f = self;
	struct fiber_waiter	 w;

	bug_unless(f != NULL);
	w.fiber = f;
	w.cond = c;
	w.next = NULL;
	w.prev = c->last;
	if (c->last != NULL)
		c->last->next = &w;
	else
		c->first = &w;
	c->last = &w;
	deadline_set(f, deadline_ms);
	while (w.cond != NULL && !f->timed_out)
		fiber_suspend();
	deadline_clear(f, deadline_ms);
	/* Signalled and too late in one iteration: the signal counts, because
	 * nobody else got it. */
	if (w.cond == NULL)
		return 0;
	waiter_remove(&w);
	return ERR_TIMEOUT;
}

void
fiber_cond_wait(struct fiber_cond *c)
{
	fiber_cond_wait_until(c, FIBER_FOREVER);
}

int
fiber_cond_signal(struct fiber_cond *c)
{
	struct fiber_waiter	*w = c->first;

	if (w == NULL)
		return 0;
	waiter_remove(w);
	fiber_wake(w->fiber);
	return 1;
}

size_t
fiber_cond_broadcast(struct fiber_cond *c)
{
	size_t	 n = 0;

	while (fiber_cond_signal(c))
		n++;
	return n;
}

int
fiber_cond_has_waiters(const struct fiber_cond *c)
{
	return c->first != NULL;
}

/* --- mutexes ------------------------------------------------------------- */

int
fiber_mutex_try_lock(struct fiber_mutex *m)
{
	bug_unless(self != NULL && m->owner != self);
	if (m->owner != NULL)
		return 0;
	m->owner = self;
	return 1;
}

int
fiber_mutex_lock_until(struct fiber_mutex *m, uint64_t deadline_ms)
{
	/* fiber_mutex_unlock() has made us the owner when this gives 0. */
	return fiber_mutex_try_lock(m) ? 0 :
	    fiber_cond_wait_until(&m->queue, deadline_ms);
}

void
fiber_mutex_lock(struct fiber_mutex *m)
{
	fiber_mutex_lock_until(m, FIBER_FOREVER);
}

/*
 * The mutex goes to the first in the queue at once.  Were it free until that
 * fiber runs, one that comes by could take it each time.
 */
void
fiber_mutex_unlock(struct fiber_mutex *m)
{
	bug_unless(self != NULL && m->owner == self);
	m->owner = m->queue.first != NULL ? m->queue.first->fiber : NULL;
	fiber_cond_signal(&m->queue);
}

/* --- groups -------------------------------------------------------------- */

void
fiber_group_spawn(struct fiber_group *g, struct loop *loop,
    void (*fn)(void *), void *arg)
{
	g->running++;
	fiber_start(loop, g, fn, arg);
}

int
fiber_group_wait_until(struct fiber_group *g, uint64_t deadline_ms)
{
	int	 r;

	while (g->running != 0)
		if ((r = fiber_cond_wait_until(&g->ended, deadline_ms)) != 0)
			return r;
	return 0;
}

void
fiber_group_wait(struct fiber_group *g)
{
	fiber_group_wait_until(g, FIBER_FOREVER);
}
