/*
 * agent_priv.h - what the files of the agent share.
 */
#ifndef SANDBOX_AGENT_PRIV_H
#define SANDBOX_AGENT_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

#include "ev/fiber.h"
#include "ev/loop.h"
#include "sandbox/agency_store.h"
#include "sandbox/agent_log.h"
#include "sandbox/child.h"
#include "sandbox/server.h"

struct supervision;

/* State of the process; sb_server_data() of its server. */
struct agent {
	struct sb_child		*child;
	struct sb_server	*server;
	struct loop		*loop;
	struct agency_store	*store;
	struct agency_store	*transient;	/* not logged */
	struct agent_log	*log;
	uint64_t		 term;
	/*
	 * What was appended in one iteration of the loop is written at its
	 * end, in one batch, and only then answered.
	 */
	struct loop_task	 flush;
	uint64_t		 committed;	/* last index on the disk */
	struct fiber_cond	 committing;	/* broadcast when it rises */
	uint64_t		 snapshot;	/* index of the last one */
	struct loop_timer	*expiry, *supervising;
	struct supervision	*supervision;
	char			*endpoint;	/* tcp:// or ssl:// form */
};

/* Log entries between two snapshots. */
#define AGENT_COMPACT_EVERY	5000

/*
 * Carry out a transaction and log it; what it is made of was validated.
 * 0 and *index, or what agency_store_check() and agency_store_apply() return.
 * It counts when agent_wait() has come back.
 */
int	agent_transact(struct agent *a, struct json_object *ops,
	    struct json_object *pre, const char *client_id,
	    struct json_object **failed, uint64_t *index);
/* Until everything up to index is on the disk.  Waits. */
void	agent_wait(struct agent *a, uint64_t index);
/* Remove what has expired by now. */
void	agent_expire(struct agent *a);

extern const struct sb_route agent_routes[];

#endif
