/*
 * barrier.h - stopping with both sides equal: the seven steps of R22 as a
 * table.
 *
 * The owner carries out the action of a step, feeds what it found, and gets
 * the next action.  A report that something is still going on (writers,
 * markers, channels behind) keeps the step and is remembered: a timeout names
 * it.
 */
#ifndef SYNC_BARRIER_H
#define SYNC_BARRIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define BARRIER_LEASE_MS	30000
#define BARRIER_QUIET_MS	3000

enum barrier_step {
	BARRIER_IDLE,
	BARRIER_LOCK,		/* 1: store mode, id, lease; read-only */
	BARRIER_SERVERS,	/* 2: every server reports read-only */
	BARRIER_WRITERS,	/* 3: transactions and queries end; wait out
				 * the longest request */
	BARRIER_TICKS,		/* 4: B(s) of each DB-server */
	BARRIER_APPLIED,	/* 5: every channel through B(s), structure,
				 * no owed keys */
	BARRIER_QUIET,		/* 6: 3 s without a marker or a change */
	BARRIER_COMPARE,	/* 7: compare at a cut */
	BARRIER_REPAIR,		/* 7 found differences that are repaired */
	BARRIER_DONE,
	BARRIER_UNDO,		/* the stored mode is restored */
	BARRIER_FAILED,
	BARRIER_STEP_COUNT
};

enum barrier_event {
	BARRIER_EV_START,
	BARRIER_EV_OK,		/* what the step wants is so */
	BARRIER_EV_NOT_YET,	/* is not so yet; text says who */
	BARRIER_EV_MOVED,	/* marker, leader or reboot id: back to 4 */
	BARRIER_EV_DIFFERS,	/* step 7 */
	BARRIER_EV_LEASE_LOST,
	BARRIER_EV_ABORT,
	BARRIER_EV_TIMEOUT,
	BARRIER_EV_ERROR,
	BARRIER_EV_COUNT
};

enum barrier_action {
	BARRIER_DO_REFUSE,
	BARRIER_DO_NOTHING,
	BARRIER_DO_LOCK,
	BARRIER_DO_ASK_MODES,
	BARRIER_DO_ASK_WRITERS,
	BARRIER_DO_READ_TICKS,
	BARRIER_DO_WAIT_APPLIED,
	BARRIER_DO_LISTEN,
	BARRIER_DO_COMPARE,
	BARRIER_DO_REPAIR,
	BARRIER_DO_FINISH,
	BARRIER_DO_RESTORE,	/* the stored mode back at the source */
	BARRIER_DO_REPORT,
	BARRIER_ACTION_COUNT
};

struct barrier_edge {
	enum barrier_step	 from;
	enum barrier_event	 event;
	enum barrier_step	 next;
	enum barrier_action	 action;
	uint32_t		 again_ms;	/* ask again after; 0: not */
};

struct barrier {
	enum barrier_step	 step;
	uint64_t		 since_ms, deadline_ms, again_ms;
	uint32_t		 rounds;	/* times back to 4 */
	char			 waits_for[256];	/* what NOT_YET said */
	char			 failed[512];	/* for BARRIER_FAILED */
	bool			 locked;	/* source may be read-only */
};

/* timeout_ms from now for all of it; 0: none. */
void	barrier_start(struct barrier *b, uint64_t timeout_ms, uint64_t now_ms,
	    enum barrier_action *action);
/*
 * 0 and the next action; ERR_BAD_STATE when the table has no such edge.  The
 * text names who still writes, which channel is behind, what differed.
 */
int	barrier_event(struct barrier *b, enum barrier_event ev,
	    uint64_t now_ms, enum barrier_action *action, const char *fmt, ...)
	    __attribute__((format(printf, 5, 6)));
/* The whole thing has taken too long: feed BARRIER_EV_TIMEOUT. */
bool	barrier_is_due(const struct barrier *b, uint64_t now_ms);
/* What it waits for now, in words; "" when it is over. */
const char *barrier_waits_for(const struct barrier *b);
const char *barrier_step_name(enum barrier_step s);
const char *barrier_event_name(enum barrier_event e);
const struct barrier_edge *barrier_edges(size_t *n);

#endif
