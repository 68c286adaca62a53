/*
 * backoff.h - when to try again.  Owns no timers; callers ask for a delay.
 *
 *	static struct backoff b = BACKOFF_INIT(1000, 60000);
 *	...
 *	delay = backoff_failed(&b, loop_now_ms(loop));
 */
#ifndef EV_BACKOFF_H
#define EV_BACKOFF_H

#include <stdint.h>

/* A failure after so long a quiet time counts as the first one. */
#define BACKOFF_FORGIVE_MS	(10 * 60 * 1000)

struct backoff {
	uint32_t	 min_ms, max_ms;
	uint32_t	 next_ms;	/* 0: no failure yet */
	uint64_t	 failed_ms;	/* monotonic time of the last failure */
};

#define BACKOFF_INIT(min, max)	{ (min), (max), 0, 0 }

/* Delay in ms before the next attempt; doubles up to max, plus jitter. */
uint32_t backoff_failed(struct backoff *b, uint64_t now_ms);
/* It worked: the next failure is the first one again. */
void	backoff_reset(struct backoff *b);

#endif
