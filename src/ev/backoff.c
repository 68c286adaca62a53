/* backoff.c - when to try again */
#include "base/err.h"
#include "base/random.h"
#include "ev/backoff.h"

/*
 * Delay before the next attempt.  Up to 25% jitter: when a peer comes back,
 * hundreds of clients must not reconnect in the same millisecond.  A long
 * quiet run forgives the past, so one hiccup a day never costs a minute.
 */
uint32_t
backoff_failed(struct backoff *b, uint64_t now_ms)
{
	if (b->next_ms == 0 || now_ms - b->failed_ms >= BACKOFF_FORGIVE_MS)
		b->next_ms = b->min_ms;
	else if (b->next_ms > b->max_ms / 2)
		b->next_ms = b->max_ms;
	else
		b->next_ms *= 2;

	b->failed_ms = now_ms;
	return b->next_ms + (uint32_t)rand_below(b->next_ms / 4 + 1);
}

void
backoff_reset(struct backoff *b)
{
	b->next_ms = 0;
}
