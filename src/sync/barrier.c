/* barrier.c - stopping with both sides equal; see barrier.h */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sync/barrier.h"

#define AGAIN_MS	100

#define E(from, event, next, action, again)				\
	{ BARRIER_##from, BARRIER_EV_##event, BARRIER_##next,		\
	  BARRIER_DO_##action, again }

/* Whatever happens once the source may be read-only, it is given back. */
#define UNDO(step)							\
	E(step, LEASE_LOST, UNDO, RESTORE, 0),				\
	E(step, ABORT, UNDO, RESTORE, 0),				\
	E(step, TIMEOUT, UNDO, RESTORE, 0),				\
	E(step, ERROR, UNDO, RESTORE, 0)

static const struct barrier_edge edges[] = {
	E(IDLE, START, LOCK, LOCK, 0),

	/* 1: mode, id and lease are stored in one step, before anything is
	 * changed, so that the source's own master can undo it */
	E(LOCK, OK, SERVERS, ASK_MODES, 0),
	E(LOCK, NOT_YET, LOCK, LOCK, AGAIN_MS),
	UNDO(LOCK),

	E(SERVERS, OK, WRITERS, ASK_WRITERS, 0),
	E(SERVERS, NOT_YET, SERVERS, ASK_MODES, AGAIN_MS),
	UNDO(SERVERS),

	E(WRITERS, OK, TICKS, READ_TICKS, 0),
	E(WRITERS, NOT_YET, WRITERS, ASK_WRITERS, AGAIN_MS),
	UNDO(WRITERS),

	E(TICKS, OK, APPLIED, WAIT_APPLIED, 0),
	E(TICKS, NOT_YET, TICKS, READ_TICKS, AGAIN_MS),
	E(TICKS, MOVED, TICKS, READ_TICKS, AGAIN_MS),
	UNDO(TICKS),

	E(APPLIED, OK, QUIET, LISTEN, BARRIER_QUIET_MS),
	E(APPLIED, NOT_YET, APPLIED, WAIT_APPLIED, AGAIN_MS),
	E(APPLIED, MOVED, TICKS, READ_TICKS, 0),
	UNDO(APPLIED),

	E(QUIET, OK, COMPARE, COMPARE, 0),
	E(QUIET, NOT_YET, QUIET, LISTEN, AGAIN_MS),
	E(QUIET, MOVED, TICKS, READ_TICKS, 0),
	UNDO(QUIET),

	E(COMPARE, OK, DONE, FINISH, 0),
	E(COMPARE, NOT_YET, COMPARE, NOTHING, AGAIN_MS),
	E(COMPARE, DIFFERS, REPAIR, REPAIR, 0),
	E(COMPARE, MOVED, TICKS, READ_TICKS, 0),
	UNDO(COMPARE),

	/* what was repaired is looked at again */
	E(REPAIR, OK, TICKS, READ_TICKS, 0),
	E(REPAIR, NOT_YET, REPAIR, NOTHING, AGAIN_MS),
	E(REPAIR, MOVED, TICKS, READ_TICKS, 0),
	UNDO(REPAIR),

	/* a lease that ends lets the source's master do the same */
	E(UNDO, OK, FAILED, REPORT, 0),
	E(UNDO, NOT_YET, UNDO, RESTORE, AGAIN_MS * 4),
	E(UNDO, ERROR, UNDO, RESTORE, AGAIN_MS * 4),
	E(UNDO, ABORT, UNDO, NOTHING, 0),
	E(UNDO, TIMEOUT, UNDO, NOTHING, 0),
	E(UNDO, LEASE_LOST, FAILED, REPORT, 0)
};

static const char *const step_names[BARRIER_STEP_COUNT] = {
	"idle", "lock", "servers", "writers", "ticks", "applied", "quiet",
	"compare", "repair", "done", "undo", "failed"
};

/* What a step waits for, when nobody has said it more exactly. */
static const char *const step_wants[BARRIER_STEP_COUNT] = {
	[BARRIER_LOCK] = "the source to become read-only",
	[BARRIER_SERVERS] = "every server of the source to be read-only",
	[BARRIER_WRITERS] = "the end of running transactions and queries",
	[BARRIER_TICKS] = "the ticks of the source's DB-servers",
	[BARRIER_APPLIED] = "the target to apply what was written",
	[BARRIER_QUIET] = "three seconds without a change",
	[BARRIER_COMPARE] = "the comparison of both sides",
	[BARRIER_REPAIR] = "the repair of what differed",
	[BARRIER_UNDO] = "the source to get its mode back"
};

const char *
barrier_step_name(enum barrier_step s)
{
	return (size_t)s < BARRIER_STEP_COUNT ? step_names[s] : "?";
}

const char *
barrier_event_name(enum barrier_event e)
{
	static const char *const	 names[BARRIER_EV_COUNT] = {
		"start", "ok", "not-yet", "moved", "differs", "lease-lost",
		"abort", "timeout", "error"
	};

	return (size_t)e < BARRIER_EV_COUNT ? names[e] : "?";
}

const struct barrier_edge *
barrier_edges(size_t *n)
{
	*n = sizeof(edges) / sizeof(edges[0]);
	return edges;
}

void
barrier_start(struct barrier *b, uint64_t timeout_ms, uint64_t now_ms,
    enum barrier_action *action)
{
	memset(b, 0, sizeof(*b));
	b->deadline_ms = timeout_ms != 0 ? now_ms + timeout_ms : UINT64_MAX;
	b->again_ms = UINT64_MAX;
	barrier_event(b, BARRIER_EV_START, now_ms, action, "%s", "");
}

bool
barrier_is_due(const struct barrier *b, uint64_t now_ms)
{
	return now_ms >= b->deadline_ms && b->step != BARRIER_DONE &&
	    b->step != BARRIER_UNDO && b->step != BARRIER_FAILED;
}

static const struct barrier_edge *
edge_find(enum barrier_step from, enum barrier_event ev)
{
	size_t		 i;

	for (i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		if (edges[i].from == from && edges[i].event == ev)
			return &edges[i];
	return NULL;
}

const char *
barrier_waits_for(const struct barrier *b)
{
	if (b->waits_for[0] != '\0')
		return b->waits_for;
	return step_wants[b->step] != NULL ? step_wants[b->step] : "";
}

/* The sentence of a failure, made when it is decided to undo. */
static void
note_failure(struct barrier *b, enum barrier_event ev, const char *text)
{
	const char	*want = barrier_waits_for(b);

	switch (ev) {
	case BARRIER_EV_TIMEOUT:
		snprintf(b->failed, sizeof(b->failed),
		    "it took too long, waiting for %s", want);
		break;
	case BARRIER_EV_LEASE_LOST:
		snprintf(b->failed, sizeof(b->failed), "the source's lock was "
		    "lost while waiting for %s", want);
		break;
	case BARRIER_EV_ABORT:
		snprintf(b->failed, sizeof(b->failed), "aborted while waiting "
		    "for %s", want);
		break;
	default:
		snprintf(b->failed, sizeof(b->failed), "%s", text);
		break;
	}
}

int
barrier_event(struct barrier *b, enum barrier_event ev, uint64_t now_ms,
    enum barrier_action *action, const char *fmt, ...)
{
	const struct barrier_edge	*e = edge_find(b->step, ev);
	char				 text[256];
	va_list				 ap;

	if (e == NULL)
		return ERR_BAD_STATE;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (e->next == BARRIER_UNDO && b->step != BARRIER_UNDO) {
		note_failure(b, ev, text);
		b->waits_for[0] = '\0';
	}
	/* the request may have been executed even if nobody knows */
	if (e->action == BARRIER_DO_LOCK)
		b->locked = true;
	if (ev == BARRIER_EV_NOT_YET || ev == BARRIER_EV_MOVED)
		snprintf(b->waits_for, sizeof(b->waits_for), "%s", text);
	else if (e->next != b->step && e->next != BARRIER_UNDO)
		b->waits_for[0] = '\0';
	if (e->next == BARRIER_TICKS && b->step > BARRIER_TICKS)
		b->rounds++;
	if (e->next != b->step)
		b->since_ms = now_ms;
	if (e->next == BARRIER_FAILED)
		b->locked = ev == BARRIER_EV_LEASE_LOST;
	b->step = e->next;
	b->again_ms = e->again_ms != 0 ? now_ms + e->again_ms : UINT64_MAX;
	if (action != NULL)
		*action = e->action;
	return 0;
}
