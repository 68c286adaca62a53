/*
 * shard.h - the life of a shard pair as a table, for both of its ends.
 *
 * `send` (source) and `receive` (target) each hold a struct shard and go
 * through the same steps; a row of the table says what each of them has to do.
 * shard_event() is the only function that changes a step: it refuses what the
 * table does not list, tells the owner through `changed` (who logs "old -> new
 * (reason)" and publishes it) and gives back the action.
 *
 * Deadlines belong to the row that leads into a step; when one passes the
 * owner feeds SHARD_EV_TIMEOUT.  Times are the caller's monotonic ms.
 *
 * Design sections 3.1 to 3.6; rules R4, R5, R7 to R9, R12, R14 to R16.
 */
#ifndef SYNC_SHARD_H
#define SYNC_SHARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sync/position.h"

/* What operators see; the original's words. */
enum shard_state {
	SHARD_STATE_INACTIVE,
	SHARD_STATE_INITIALIZING,
	SHARD_STATE_INITIAL_SYNC,
	SHARD_STATE_RUNNING,
	SHARD_STATE_CANCELLING,
	SHARD_STATE_FAILED,
	SHARD_STATE_COUNT
};

enum shard_step {
	SHARD_INACTIVE,
	SHARD_SUBSCRIBE,	/* the channel is asked for and registered */
	SHARD_RESUME,		/* shard_can_resume() is being answered */
	SHARD_NEEDS_REPAIR,	/* waits for a free place to repair */
	SHARD_SNAPSHOT,		/* source opens a batch and sends CUT(L) */
	SHARD_CUT,		/* target applies through L, opens its own */
	SHARD_COMPARE,		/* (key, revision) of both sides */
	SHARD_REMOVE,		/* surplus is removed, answers awaited (R7) */
	SHARD_COPY,		/* the whole dump, or what is missing */
	SHARD_REPLAY,		/* records above L, up to the end of that
				 * moment */
	SHARD_RUNNING,
	SHARD_DETACHED,		/* over quota; is refilled (R4) */
	SHARD_LEADER_MOVED,	/* undelivered is discarded, leader unknown */
	SHARD_DROPPED,		/* gone in the Plan; waits to be taken away */
	SHARD_CANCELLING,	/* drains and leaves */
	SHARD_FAILED,		/* reason is in the status; tried again */
	SHARD_STEP_COUNT
};

enum shard_event {
	SHARD_EV_START,		/* control wants it to run */
	SHARD_EV_SUBSCRIBED,
	SHARD_EV_RESUME_YES,
	SHARD_EV_RESUME_NO,
	SHARD_EV_PLACE,		/* a place to repair is free */
	SHARD_EV_SNAPSHOT,	/* the batch is open; the cut is on its way */
	SHARD_EV_CUT_EMPTY,	/* applied through L, nothing is there */
	SHARD_EV_CUT_FILLED,	/* applied through L, documents are there */
	SHARD_EV_DIFFERS,	/* compared: something to remove or to copy;
				 * again with each round of pairs, whose time
				 * begins anew */
	SHARD_EV_SAME,		/* compared: nothing */
	SHARD_EV_REMOVED,	/* surplus is gone, all answers are there */
	SHARD_EV_COPIED,
	SHARD_EV_CAUGHT_UP,	/* applied to the end of the WAL of then */
	SHARD_EV_INTERRUPTED,	/* snapshot lost, dump cut at 30 minutes or
				 * broken: the rest at a fresh one (R9) */
	SHARD_EV_LINK_LOST,
	SHARD_EV_OVER_QUOTA,
	SHARD_EV_REFILLED,	/* met the live stream */
	SHARD_EV_WAL_GONE,	/* gap, pruned, hold given up (R3) */
	SHARD_EV_HISTORY_LOST,	/* reboot without proof, restored backup */
	SHARD_EV_LEADER_MOVED,	/* of the source's shard; also 2000, 2001 */
	SHARD_EV_LEADER_FOUND,
	SHARD_EV_TARGET_MOVED,	/* leader of the target's shard */
	SHARD_EV_TARGET_REBOOTED, /* of a DB-server of the target (R14) */
	SHARD_EV_TARGET_GONE,	/* target shard dropped, or made again */
	SHARD_EV_UNMAPPED,	/* truncate without one-to-one shards (R12) */
	SHARD_EV_VERIFY,	/* routine, or suspects of R16 are due */
	SHARD_EV_DROPPED,	/* collection dropped, or another cid */
	SHARD_EV_FAIL,		/* nothing that a repetition would change */
	SHARD_EV_TIMEOUT,
	SHARD_EV_CANCEL,
	SHARD_EV_DRAINED,
	SHARD_EV_COUNT
};

enum shard_action {
	SHARD_DO_REFUSE,	/* this end has no such edge */
	SHARD_DO_NOTHING,
	SHARD_DO_SUBSCRIBE,	/* receive: ask; send: register at the tail of
				 * the leader from the position on */
	SHARD_DO_DECIDE,	/* ask shard_can_resume() */
	SHARD_DO_STREAM,	/* send: deliver; receive: apply */
	SHARD_DO_ASK_PLACE,
	SHARD_DO_SNAPSHOT,	/* open a batch, look at leader and reboot id
				 * before and after (R5), send CUT(L) */
	SHARD_DO_WAIT_CUT,
	SHARD_DO_CUT,		/* apply through L, open the own snapshot */
	SHARD_DO_COMPARE,
	SHARD_DO_REMOVE,
	SHARD_DO_COPY_ALL,	/* dump the snapshot */
	SHARD_DO_COPY_SOME,	/* what is missing or differs */
	SHARD_DO_REPLAY,	/* drop records <= first L, then go on (R8) */
	SHARD_DO_DETACH,
	SHARD_DO_DISCARD,	/* forget what is not delivered, close the
				 * snapshot, void the position (R5) */
	SHARD_DO_FIND_TARGET,	/* who leads the target shard; go on */
	SHARD_DO_AWAIT_DROP,	/* stop; the plan of the structure takes it */
	SHARD_DO_DRAIN,		/* stop taking, finish what is begun, sync */
	SHARD_DO_LEAVE,
	SHARD_DO_REPORT,	/* publish the reason, close everything */
	SHARD_ACTION_COUNT
};

enum shard_end {
	SHARD_SEND,
	SHARD_RECEIVE
};

#define SHARD_KEEP	UINT32_MAX	/* the deadline stays as it is */
/* What the long steps of a repair may take (R9). */
#define SHARD_LONG_MS	((uint32_t)30 * 60 * 1000)

struct shard_edge {
	enum shard_step		 from;
	enum shard_event	 event;
	enum shard_step		 next;
	enum shard_action	 send, receive;
	uint32_t		 deadline_ms;	/* of next; 0: none, or KEEP */
};

struct shard {
	enum shard_end		 end;
	enum shard_step		 step;
	enum shard_action	 action;	/* of the last edge */
	uint64_t		 since_ms;	/* step entered */
	uint64_t		 deadline_ms;	/* absolute; UINT64_MAX: none */
	uint32_t		 failures;	/* without running between */
	uint32_t		 long_ms;	/* instead of SHARD_LONG_MS,
						 * for tests; 0: not */
	/* Something came that only another repair puts right (R9): the present
	 * one is finished, then SAME and COPIED count as INTERRUPTED, and
	 * RESUME_YES as RESUME_NO. */
	bool			 once_more;
	char			 reason[256];	/* of the last change */
	/* Called after each change; may be NULL. */
	void			(*changed)(void *arg, const struct shard *s,
				    enum shard_step old,
				    enum shard_event event);
	void			*arg;
};

void	shard_init(struct shard *s, enum shard_end end);
/*
 * 0 and the action (also in s->action); ERR_BAD_STATE when the table has no
 * such edge for this end: then nothing has changed.
 */
int	shard_event(struct shard *s, enum shard_event event, uint64_t now_ms,
	    enum shard_action *action, const char *fmt, ...)
	    __attribute__((format(printf, 5, 6)));
/* Has the deadline of the step passed? */
bool	shard_is_due(const struct shard *s, uint64_t now_ms);

enum shard_state shard_step_state(enum shard_step step);
const char *shard_state_name(enum shard_state state);	/* "initial-sync" */
const char *shard_step_name(enum shard_step step);	/* "needs-repair" */
const char *shard_event_name(enum shard_event event);
const char *shard_action_name(enum shard_action action);
/* For manuals and tests. */
const struct shard_edge *shard_edges(size_t *n);

/* ---- resume, or repair? ------------------------------------------------- */

enum shard_resume {
	RESUME_YES,
	RESUME_NO_RECORD,		/* the target has none */
	RESUME_OTHER_INCARNATION,	/* the source's cid is another */
	RESUME_OTHER_TARGET,		/* the target's cid is another */
	RESUME_NO_LEADER,		/* nobody leads just now: ask again */
	RESUME_OTHER_SERVER,		/* another DB-server leads */
	RESUME_LEADER_CHANGED,		/* left and came back meanwhile */
	RESUME_OTHER_DIRECTORY,		/* the server's data is another */
	RESUME_REBOOTED,		/* restarted, history not proven */
	RESUME_LOG_PURGED,
	RESUME_AHEAD_OF_SOURCE,
	RESUME_GAP,			/* frompresent false */
	RESUME_TARGET_REBOOTED,		/* what it had answered may be lost
					 * (R14) */
	RESUME_COUNT
};

/* What the target recorded as applied (R15), durable there. */
struct shard_record {
	char		 cid[24];	/* collection at the source */
	char		 target_cid[24];	/* at the target */
	/* Who led the target's shard then; "" and 0: not known. */
	char		 target_server[POS_SERVER_SIZE];
	uint64_t	 target_reboot;
	uint64_t	 leader_changes;	/* seen by the source; 0: not
						 * known */
	bool		 lineage;	/* filled by us, read-only since (R7) */
	bool		 repairing;	/* a repair had begun and not ended */
	struct sync_pos	 pos;
};

/* What source and target can say now. */
struct shard_evidence {
	const char	*cid;
	const char	*target_cid;	/* NULL: not looked at */
	const char	*leader;	/* NULL: nobody just now */
	uint64_t	 leader_changes;	/* 0: not known */
	uint64_t	 reboot_id, server_id;
	bool		 proven;	/* last line read again, the same */
	bool		 gap;		/* asked for the tick: not present */
	uint64_t	 wal_first, wal_last;	/* ticks */
	/* Who leads the target's shard now; NULL and 0: not known. */
	const char	*target_server;
	uint64_t	 target_reboot;
};

/*
 * Can the pair go on from the record, or must it be repaired?  rec may be
 * NULL.  Anything but RESUME_YES names both sides in m (may be NULL).  A
 * record made during a repair resumes nothing: RESUME_NO_RECORD.
 */
enum shard_resume shard_can_resume(const struct shard_record *rec,
	    const struct shard_evidence *have, struct err_msg *m);
const char *shard_resume_name(enum shard_resume r);

void	shard_record_put(struct buf *b, const struct shard_record *rec);
int	shard_record_get(struct rbuf *m, struct shard_record *rec);

#endif
