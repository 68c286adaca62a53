/* loop_priv.h - what the files of src/ev share about a loop */
#ifndef EV_LOOP_PRIV_H
#define EV_LOOP_PRIV_H

#include <stddef.h>

#include "ev/loop.h"

struct fiber_pool;

struct loop_tasks {
	struct loop_task	*first, *last;
};

struct loop {
	struct event_base	*base;
	int			 stopping;
	struct loop_tasks	 tasks;		/* this iteration */
	struct loop_tasks	 next_tasks;	/* the next one */
	struct loop_tasks	 late_tasks;
	struct fiber_pool	*fibers;	/* NULL before the first */
};

/* fiber.c; fibers that still wait are dropped */
void	fiber_pool_free(struct fiber_pool **pool);

#endif
