/*
 * agent_supervision.h - what the agency does for the cluster by itself: it
 * looks at the servers' heartbeats, gives the shards of a dead DB-server to
 * in-sync followers, keeps the number of copies, and carries out moveShard
 * jobs.
 *
 * It works on the store only and has no clock of its own, so that a test can
 * lead it through any story.
 *
 * Clocks.  A server is judged by how long ago its heartbeat changed, as seen
 * by this process.  When the process was stopped for a while, or has just
 * started, everybody gets a full grace period anew.
 */
#ifndef SANDBOX_AGENT_SUPERVISION_H
#define SANDBOX_AGENT_SUPERVISION_H

#include <stdint.h>

#include <json-c/json.h>

#include "sandbox/agency_store.h"

#define SUPERVISION_PERIOD_MS	500
/* No heartbeat for so long: BAD, FAILED; and the copies of a DB-server that
 * FAILED so long ago are replaced by others. */
#define SUPERVISION_OK_MS	3000
#define SUPERVISION_GRACE_MS	5000
#define SUPERVISION_REPLACE_MS	30000
/* A job that has not come to its end by then is given up. */
#define SUPERVISION_JOB_MS	(10 * 60 * 1000)

struct supervision;

struct supervision_io {
	struct agency_store	*store, *transient;
	/* Carry out and log a transaction: 0 or negative. */
	int	(*transact)(void *arg, struct json_object *ops,
		    struct json_object *pre);
	void	*arg;
};

struct supervision_times {
	uint64_t	ok_ms, grace_ms, replace_ms;
};

struct supervision *supervision_new(const struct supervision_io *io);
void	supervision_free(struct supervision **s);
/* To be called every SUPERVISION_PERIOD_MS; monotonic time, and that since
 * 1970. */
void	supervision_step(struct supervision *s, uint64_t mono_ms,
	    uint64_t wall_ms);
const struct supervision_times *supervision_times(
	    const struct supervision *s);
/* In seconds, as in /_api/agency/config; what makes no sense is ignored. */
void	supervision_set_ok(struct supervision *s, double seconds);
void	supervision_set_grace(struct supervision *s, double seconds);

#endif
