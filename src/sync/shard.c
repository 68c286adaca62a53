/* shard.c - the table of a shard pair; see shard.h */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sync/shard.h"

#define SECONDS(n)	((uint32_t)(n) * 1000)
#define MINUTES(n)	SECONDS((n) * 60)

/* What a step may take before it is begun again, another way. */
#define T_SUBSCRIBE	SECONDS(60)
#define T_RESUME	SECONDS(120)
#define T_SNAPSHOT	MINUTES(5)
#define T_CUT		SHARD_LONG_MS	/* applies what is queued before it */
#define T_COMPARE	SHARD_LONG_MS
#define T_REMOVE	SHARD_LONG_MS
#define T_COPY		SHARD_LONG_MS	/* R9: then the rest by a fresh cut */
#define T_LEADER	0		/* the cluster decides when */
#define T_DRAIN		SECONDS(20)
#define T_RETRY		SECONDS(60)

#define NO		SHARD_DO_REFUSE
#define IDLE		SHARD_DO_NOTHING

#define KEEP		SHARD_KEEP

#define E(from, event, next, send, receive, deadline)			\
	{ SHARD_##from, SHARD_EV_##event, SHARD_##next, send, receive,	\
	  deadline }

/*
 * What may happen to a pair that reads the log of a leader, wherever it
 * is in a repair or in normal life.
 */
#define LOST_EDGES(step)						\
	E(step, LEADER_MOVED, LEADER_MOVED, SHARD_DO_DISCARD,		\
	    SHARD_DO_DISCARD, T_LEADER),				\
	E(step, HISTORY_LOST, NEEDS_REPAIR, SHARD_DO_DISCARD,		\
	    SHARD_DO_ASK_PLACE, 0)

/* What may happen in every step but the last ones. */
#define END_EDGES(step)							\
	E(step, DROPPED, DROPPED, SHARD_DO_DISCARD,			\
	    SHARD_DO_AWAIT_DROP, 0),					\
	E(step, FAIL, FAILED, SHARD_DO_REPORT, SHARD_DO_REPORT,		\
	    T_RETRY),							\
	E(step, CANCEL, CANCELLING, SHARD_DO_DRAIN, SHARD_DO_DRAIN,	\
	    T_DRAIN)

/* The link broke: subscribing again is cheap, what was being done is not
 * continued (its snapshot ends by itself). */
#define LINK_EDGES(step)						\
	E(step, LINK_LOST, SUBSCRIBE, IDLE, SHARD_DO_SUBSCRIBE,		\
	    T_SUBSCRIBE)

/* Noted, and put right by the repair that is coming or comes once more. */
#define NOTE(step, event)						\
	E(step, event, step, IDLE, IDLE, KEEP)
#define NOTE_TARGET_EDGES(step)						\
	NOTE(step, TARGET_MOVED),					\
	NOTE(step, TARGET_REBOOTED),					\
	NOTE(step, TARGET_GONE),					\
	NOTE(step, UNMAPPED),						\
	NOTE(step, VERIFY)

#define AGAIN(step, event)						\
	E(step, event, SNAPSHOT, SHARD_DO_SNAPSHOT, SHARD_DO_WAIT_CUT,	\
	    T_SNAPSHOT)

/*
 * In the middle of a repair.  What makes its work worthless begins it again at
 * a fresh snapshot; a log that is gone does not: what is copied is copied,
 * and the next repair is the smaller one (R9).
 */
#define REPAIR_EDGES(step)						\
	AGAIN(step, INTERRUPTED),					\
	AGAIN(step, TIMEOUT),						\
	AGAIN(step, TARGET_MOVED),					\
	AGAIN(step, TARGET_REBOOTED),					\
	AGAIN(step, TARGET_GONE),					\
	AGAIN(step, UNMAPPED),						\
	NOTE(step, WAL_GONE),						\
	NOTE(step, VERIFY),						\
	E(step, OVER_QUOTA, step, SHARD_DO_DETACH, IDLE, KEEP),		\
	E(step, REFILLED, step, SHARD_DO_STREAM, IDLE, KEEP)

/* Records are applied: anything that breaks the proof asks for a repair. */
#define STREAM_EDGES(step)						\
	E(step, WAL_GONE, NEEDS_REPAIR, SHARD_DO_DISCARD,		\
	    SHARD_DO_ASK_PLACE, 0),					\
	E(step, TARGET_MOVED, step, NO, SHARD_DO_FIND_TARGET, KEEP),	\
	E(step, TARGET_REBOOTED, NEEDS_REPAIR, IDLE,			\
	    SHARD_DO_ASK_PLACE, 0),					\
	E(step, TARGET_GONE, NEEDS_REPAIR, IDLE, SHARD_DO_ASK_PLACE, 0), \
	E(step, UNMAPPED, NEEDS_REPAIR, IDLE, SHARD_DO_ASK_PLACE, 0),	\
	E(step, VERIFY, NEEDS_REPAIR, IDLE, SHARD_DO_ASK_PLACE, 0)

static const struct shard_edge edges[] = {
	/* not wanted, or not yet */
	E(INACTIVE, START, SUBSCRIBE, SHARD_DO_SUBSCRIBE, SHARD_DO_SUBSCRIBE,
	    T_SUBSCRIBE),
	E(INACTIVE, CANCEL, INACTIVE, SHARD_DO_LEAVE, SHARD_DO_LEAVE, 0),
	E(INACTIVE, DROPPED, DROPPED, IDLE, SHARD_DO_AWAIT_DROP, 0),

	/* 3.1: the channel is asked for, registered at its leader's tail */
	E(SUBSCRIBE, SUBSCRIBED, RESUME, IDLE, SHARD_DO_DECIDE, T_RESUME),
	E(SUBSCRIBE, TIMEOUT, SUBSCRIBE, SHARD_DO_SUBSCRIBE,
	    SHARD_DO_SUBSCRIBE, T_SUBSCRIBE),
	LINK_EDGES(SUBSCRIBE),
	LOST_EDGES(SUBSCRIBE),
	NOTE_TARGET_EDGES(SUBSCRIBE),
	E(SUBSCRIBE, WAL_GONE, NEEDS_REPAIR, IDLE, SHARD_DO_ASK_PLACE, 0),
	END_EDGES(SUBSCRIBE),

	/* 3.2: one function decides */
	E(RESUME, RESUME_YES, RUNNING, SHARD_DO_STREAM, SHARD_DO_STREAM, 0),
	E(RESUME, RESUME_NO, NEEDS_REPAIR, SHARD_DO_DISCARD,
	    SHARD_DO_ASK_PLACE, 0),
	E(RESUME, TIMEOUT, SUBSCRIBE, IDLE, SHARD_DO_SUBSCRIBE, T_SUBSCRIBE),
	LINK_EDGES(RESUME),
	LOST_EDGES(RESUME),
	NOTE_TARGET_EDGES(RESUME),
	E(RESUME, WAL_GONE, NEEDS_REPAIR, SHARD_DO_DISCARD,
	    SHARD_DO_ASK_PLACE, 0),
	END_EDGES(RESUME),

	/* 3.3: the repair; places are limited */
	E(NEEDS_REPAIR, PLACE, SNAPSHOT, SHARD_DO_SNAPSHOT,
	    SHARD_DO_WAIT_CUT, T_SNAPSHOT),
	LINK_EDGES(NEEDS_REPAIR),
	NOTE_TARGET_EDGES(NEEDS_REPAIR),
	NOTE(NEEDS_REPAIR, WAL_GONE),
	NOTE(NEEDS_REPAIR, HISTORY_LOST),
	E(NEEDS_REPAIR, OVER_QUOTA, NEEDS_REPAIR, SHARD_DO_DETACH, IDLE, KEEP),
	E(NEEDS_REPAIR, REFILLED, NEEDS_REPAIR, IDLE, IDLE, KEEP),
	E(NEEDS_REPAIR, LEADER_MOVED, LEADER_MOVED, SHARD_DO_DISCARD,
	    SHARD_DO_DISCARD, T_LEADER),
	END_EDGES(NEEDS_REPAIR),

	E(SNAPSHOT, SNAPSHOT, CUT, IDLE, SHARD_DO_CUT, T_CUT),
	LINK_EDGES(SNAPSHOT),
	LOST_EDGES(SNAPSHOT),
	REPAIR_EDGES(SNAPSHOT),
	END_EDGES(SNAPSHOT),

	E(CUT, CUT_EMPTY, COPY, SHARD_DO_COPY_ALL, SHARD_DO_COPY_ALL,
	    T_COPY),
	E(CUT, CUT_FILLED, COMPARE, SHARD_DO_COMPARE, SHARD_DO_COMPARE,
	    T_COMPARE),
	LINK_EDGES(CUT),
	LOST_EDGES(CUT),
	REPAIR_EDGES(CUT),
	END_EDGES(CUT),

	E(COMPARE, SAME, REPLAY, SHARD_DO_REPLAY, SHARD_DO_REPLAY, 0),
	E(COMPARE, DIFFERS, REMOVE, IDLE, SHARD_DO_REMOVE, T_REMOVE),
	LINK_EDGES(COMPARE),
	LOST_EDGES(COMPARE),
	REPAIR_EDGES(COMPARE),
	END_EDGES(COMPARE),

	/* R7: answers of all removals before the first insert; keys of one
	 * revision may be in two rounds of the comparison */
	E(REMOVE, REMOVED, COPY, SHARD_DO_COPY_SOME, SHARD_DO_COPY_SOME,
	    T_COPY),
	E(REMOVE, DIFFERS, REMOVE, IDLE, IDLE, T_REMOVE),
	LINK_EDGES(REMOVE),
	LOST_EDGES(REMOVE),
	REPAIR_EDGES(REMOVE),
	END_EDGES(REMOVE),

	E(COPY, COPIED, REPLAY, SHARD_DO_REPLAY, SHARD_DO_REPLAY, 0),
	E(COPY, DIFFERS, COPY, IDLE, IDLE, T_COPY),
	LINK_EDGES(COPY),
	LOST_EDGES(COPY),
	REPAIR_EDGES(COPY),
	END_EDGES(COPY),

	E(REPLAY, CAUGHT_UP, RUNNING, SHARD_DO_STREAM, SHARD_DO_STREAM, 0),
	E(REPLAY, OVER_QUOTA, REPLAY, SHARD_DO_DETACH, IDLE, KEEP),
	E(REPLAY, REFILLED, REPLAY, SHARD_DO_STREAM, IDLE, KEEP),
	E(REPLAY, INTERRUPTED, NEEDS_REPAIR, IDLE, SHARD_DO_ASK_PLACE, 0),
	LINK_EDGES(REPLAY),
	LOST_EDGES(REPLAY),
	STREAM_EDGES(REPLAY),
	END_EDGES(REPLAY),

	/* 3.4 */
	E(RUNNING, OVER_QUOTA, DETACHED, SHARD_DO_DETACH, IDLE, 0),
	LINK_EDGES(RUNNING),
	LOST_EDGES(RUNNING),
	STREAM_EDGES(RUNNING),
	END_EDGES(RUNNING),

	E(DETACHED, REFILLED, RUNNING, SHARD_DO_STREAM, SHARD_DO_STREAM, 0),
	E(DETACHED, OVER_QUOTA, DETACHED, SHARD_DO_DETACH, IDLE, KEEP),
	LINK_EDGES(DETACHED),
	LOST_EDGES(DETACHED),
	STREAM_EDGES(DETACHED),
	END_EDGES(DETACHED),

	/* R5: repair against the new leader's snapshot, never by overlap */
	E(LEADER_MOVED, LEADER_FOUND, NEEDS_REPAIR, SHARD_DO_SUBSCRIBE,
	    SHARD_DO_ASK_PLACE, 0),
	NOTE(LEADER_MOVED, LEADER_MOVED),
	NOTE(LEADER_MOVED, HISTORY_LOST),
	NOTE(LEADER_MOVED, WAL_GONE),
	NOTE_TARGET_EDGES(LEADER_MOVED),
	LINK_EDGES(LEADER_MOVED),
	END_EDGES(LEADER_MOVED),

	/* made again under the same name is another pair: this one ends */
	E(DROPPED, CANCEL, CANCELLING, SHARD_DO_DRAIN, SHARD_DO_DRAIN,
	    T_DRAIN),
	NOTE(DROPPED, DROPPED),
	NOTE(DROPPED, LINK_LOST),
	NOTE(DROPPED, LEADER_MOVED),
	E(DROPPED, FAIL, FAILED, SHARD_DO_REPORT, SHARD_DO_REPORT, T_RETRY),

	E(CANCELLING, DRAINED, INACTIVE, SHARD_DO_LEAVE, SHARD_DO_LEAVE, 0),
	E(CANCELLING, TIMEOUT, INACTIVE, SHARD_DO_LEAVE, SHARD_DO_LEAVE, 0),
	NOTE(CANCELLING, CANCEL),
	NOTE(CANCELLING, LINK_LOST),
	NOTE(CANCELLING, LEADER_MOVED),
	NOTE(CANCELLING, DROPPED),
	E(CANCELLING, FAIL, INACTIVE, SHARD_DO_LEAVE, SHARD_DO_LEAVE, 0),

	/* tried again every 60 s; the rest goes on */
	E(FAILED, TIMEOUT, SUBSCRIBE, SHARD_DO_SUBSCRIBE, SHARD_DO_SUBSCRIBE,
	    T_SUBSCRIBE),
	E(FAILED, START, SUBSCRIBE, SHARD_DO_SUBSCRIBE, SHARD_DO_SUBSCRIBE,
	    T_SUBSCRIBE),
	E(FAILED, FAIL, FAILED, IDLE, IDLE, T_RETRY),
	NOTE(FAILED, LINK_LOST),
	NOTE(FAILED, LEADER_MOVED),
	E(FAILED, DROPPED, DROPPED, IDLE, SHARD_DO_AWAIT_DROP, 0),
	E(FAILED, CANCEL, INACTIVE, SHARD_DO_LEAVE, SHARD_DO_LEAVE, 0)
};

const struct shard_edge *
shard_edges(size_t *n)
{
	*n = NITEMS(edges);
	return edges;
}

/* ---- names -------------------------------------------------------------- */

static const struct {
	const char		*name;
	enum shard_state	 state;
} steps[SHARD_STEP_COUNT] = {
	[SHARD_INACTIVE]	= { "inactive", SHARD_STATE_INACTIVE },
	[SHARD_SUBSCRIBE]	= { "subscribe", SHARD_STATE_INITIALIZING },
	[SHARD_RESUME]		= { "resume?", SHARD_STATE_INITIALIZING },
	[SHARD_NEEDS_REPAIR]	= { "needs-repair", SHARD_STATE_INITIAL_SYNC },
	[SHARD_SNAPSHOT]	= { "snapshot", SHARD_STATE_INITIAL_SYNC },
	[SHARD_CUT]		= { "cut", SHARD_STATE_INITIAL_SYNC },
	[SHARD_COMPARE]		= { "compare", SHARD_STATE_INITIAL_SYNC },
	[SHARD_REMOVE]		= { "remove-surplus",
				    SHARD_STATE_INITIAL_SYNC },
	[SHARD_COPY]		= { "copy", SHARD_STATE_INITIAL_SYNC },
	[SHARD_REPLAY]		= { "replay", SHARD_STATE_INITIAL_SYNC },
	[SHARD_RUNNING]		= { "running", SHARD_STATE_RUNNING },
	[SHARD_DETACHED]	= { "detached", SHARD_STATE_RUNNING },
	[SHARD_LEADER_MOVED]	= { "leader-moved",
				    SHARD_STATE_INITIALIZING },
	[SHARD_DROPPED]		= { "dropped", SHARD_STATE_CANCELLING },
	[SHARD_CANCELLING]	= { "cancelling", SHARD_STATE_CANCELLING },
	[SHARD_FAILED]		= { "failed-retry", SHARD_STATE_FAILED }
};

enum shard_state
shard_step_state(enum shard_step step)
{
	return (size_t)step < NITEMS(steps) ? steps[step].state :
	    SHARD_STATE_INACTIVE;
}

const char *
shard_step_name(enum shard_step step)
{
	return (size_t)step < NITEMS(steps) ? steps[step].name : "?";
}

const char *
shard_state_name(enum shard_state state)
{
	static const char *const	 names[SHARD_STATE_COUNT] = {
		"inactive", "initializing", "initial-sync", "running",
		"cancelling", "failed"
	};

	return (size_t)state < NITEMS(names) ? names[state] : "?";
}

const char *
shard_event_name(enum shard_event event)
{
	static const char *const	 names[SHARD_EV_COUNT] = {
		"start", "subscribed", "resume-yes", "resume-no", "place",
		"snapshot", "cut-empty", "cut-filled", "differs", "same",
		"removed", "copied", "caught-up", "interrupted", "link-lost",
		"over-quota", "refilled", "wal-gone", "history-lost",
		"leader-moved", "leader-found", "target-moved",
		"target-rebooted", "target-gone", "unmapped", "verify",
		"dropped", "fail", "timeout", "cancel", "drained"
	};

	return (size_t)event < NITEMS(names) ? names[event] : "?";
}

const char *
shard_action_name(enum shard_action action)
{
	static const char *const	 names[SHARD_ACTION_COUNT] = {
		"refuse", "nothing", "subscribe", "decide", "stream",
		"ask-place", "snapshot", "wait-cut", "cut", "compare",
		"remove", "copy-all", "copy-some", "replay", "detach",
		"discard", "find-target", "await-drop", "drain", "leave",
		"report"
	};

	return (size_t)action < NITEMS(names) ? names[action] : "?";
}

/* ---- changing ----------------------------------------------------------- */

void
shard_init(struct shard *s, enum shard_end end)
{
	memset(s, 0, sizeof(*s));
	s->end = end;
	s->step = SHARD_INACTIVE;
	s->action = SHARD_DO_NOTHING;
	s->deadline_ms = UINT64_MAX;
}

bool
shard_is_due(const struct shard *s, uint64_t now_ms)
{
	return now_ms >= s->deadline_ms;
}

static const struct shard_edge *
edge_find(enum shard_step from, enum shard_event event)
{
	size_t		 i;

	for (i = 0; i < NITEMS(edges); i++)
		if (edges[i].from == from && edges[i].event == event)
			return &edges[i];
	return NULL;
}

/* What an event comes to while another repair is due. */
static enum shard_event
event_meant(const struct shard *s, enum shard_event event)
{
	if (!s->once_more)
		return event;
	switch (event) {
	case SHARD_EV_RESUME_YES:
		return SHARD_EV_RESUME_NO;
	case SHARD_EV_SAME:
	case SHARD_EV_COPIED:
		return SHARD_EV_INTERRUPTED;
	default:
		return event;
	}
}

/* Events that a step stays for and that only a repair puts right. */
static bool
wants_repair(enum shard_event event)
{
	switch (event) {
	case SHARD_EV_WAL_GONE:
	case SHARD_EV_HISTORY_LOST:
	case SHARD_EV_TARGET_REBOOTED:
	case SHARD_EV_TARGET_GONE:
	case SHARD_EV_UNMAPPED:
	case SHARD_EV_VERIFY:
		return true;
	default:
		return false;
	}
}

static void
note_repair(struct shard *s, const struct shard_edge *e)
{
	if (e->next == SHARD_SNAPSHOT || e->next == SHARD_INACTIVE)
		s->once_more = false;
	else if (e->next == e->from && wants_repair(e->event))
		s->once_more = true;
	if (e->event == SHARD_EV_FAIL)
		s->failures++;
	if (e->next == SHARD_RUNNING)
		s->failures = 0;
}

int
shard_event(struct shard *s, enum shard_event event, uint64_t now_ms,
    enum shard_action *action, const char *fmt, ...)
{
	const struct shard_edge	*e = edge_find(s->step, event_meant(s, event));
	enum shard_step		 old = s->step;
	enum shard_action	 act;
	va_list			 ap;

	if (e == NULL)
		return ERR_BAD_STATE;
	act = s->end == SHARD_SEND ? e->send : e->receive;
	if (act == SHARD_DO_REFUSE)
		return ERR_BAD_STATE;
	va_start(ap, fmt);
	vsnprintf(s->reason, sizeof(s->reason), fmt, ap);
	va_end(ap);
	note_repair(s, e);
	s->step = e->next;
	if (e->deadline_ms != SHARD_KEEP)
		s->deadline_ms = e->deadline_ms == 0 ? UINT64_MAX :
		    now_ms + (e->deadline_ms == SHARD_LONG_MS &&
		    s->long_ms != 0 ? s->long_ms : e->deadline_ms);
	if (s->step != old)
		s->since_ms = now_ms;
	s->action = act;
	if (action != NULL)
		*action = act;
	if (s->changed != NULL)
		s->changed(s->arg, s, old, event);
	return 0;
}
