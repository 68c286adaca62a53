/* control_incoming_barrier.h - a barrier that is under way (R22) */
#ifndef MASTER_CONTROL_INCOMING_BARRIER_H
#define MASTER_CONTROL_INCOMING_BARRIER_H

#include "ev/loop.h"
#include "master/control_incoming_priv.h"

/* Up to where a DB-server of the source has written. */
struct incoming_mark {
	uint64_t	 tick, reboot_id;
};

struct incoming_barrier {
	struct control_incoming	*in;
	unsigned		 refs;
	struct barrier		 b;
	bool			 dropped;	/* nobody wants it any more */
	bool			 abort;
	bool			 lost;		/* the lease may have ended */
	uint64_t		 renewed_ms;
	struct fiber_cond	 wake;		/* either fiber, and waiters */
	char			*path;		/* at the source */
	struct incoming_ask	*asking, *renewing;	/* now, or NULL */
	/* Of the present round. */
	uint64_t		 plan;
	uint64_t		 marks_us;	/* the source's clock then */
	struct map		 marks;		/* server -> mark */
	uint64_t		 print;		/* of what may not change */
	uint64_t		 quiet_ms;	/* begun; 0: not */
	uint64_t		 repair_ms;	/* begun; 0: not */
	uint64_t		 idle_ms;	/* nobody writes since; 0: some
						 * do */
	char			 text[256];	/* with the next event */
};

static inline uint64_t
ib_now(const struct incoming_barrier *ib)
{
	return loop_now_ms(ib->in->c->loop);
}

/* Nobody wants it any more, or we do not lead any more. */
static inline bool
ib_is_over(const struct incoming_barrier *ib)
{
	return ib->dropped || ib->in->ended;
}

/* control_incoming_steps.c: what the step wants, once; ib->text says why not.
 * Waits. */
enum barrier_event ib_perform(struct incoming_barrier *ib);
/* A request below the barrier's path at the source.  Waits. */
int	ib_ask(struct incoming_barrier *ib, const char *method,
	    const char *tail, const char *body, struct json_object **out,
	    int *status, struct err_msg *m);
/* Make the source read-only, or keep it so.  Waits. */
int	ib_lock(struct incoming_barrier *ib, struct incoming_ask **asking,
	    int *status, struct err_msg *m);
/* Nothing is known of any shard. */
void	ib_forget(struct control_incoming *in);

#endif
