/*
 * receive.h - the target's end of a shard pair: takes records, folds them,
 * applies them to the leader of the target's shard, repairs, records what was
 * applied (sync/channel.h; R7 to R17).
 *
 * Peers: control and link.
 */
#ifndef RECEIVE_RECEIVE_H
#define RECEIVE_RECEIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "sync/channel.h"
#include "worker/worker.h"

/* Configuration of the process (MSG_MESH_START); where it writes comes from
 * control by MSG_WORKER_TARGET. */
struct receive_conf {
	char		 source[64];		/* cluster id */
	struct channel_name name;
	char		 coll[288];		/* for people */
	uint32_t	 settle_ms;		/* R14 */
	bool		 lineage;		/* we made the collection */
	uint64_t	 idle_ms;		/* leave after that; 0: never */
};
void	receive_conf_put(struct buf *b, const struct receive_conf *c);
int	receive_conf_get(struct rbuf *m, struct receive_conf *c);

int	receive_main(struct member *m, const struct worker_conf *conf);

/*
 * Its status (worker_status()), as control reads it; what is absent is 0 or
 * "".  Times are microseconds since 1970.
 *
 *	{"state": "running",		shard_state_name()
 *	 "step": "copy",		shard_step_name()
 *	 "error": "...",		absent when there is none
 *	 "tick": 4711,			applied through, of the source's server
 *	 "server": "PRMR-..",		that server
 *	 "records": 17,			operations applied since it started
 *	 "owed": 0, "dead": 0,		R13, R17
 *	 "lag_us": 1200,		of the last record that was applied
 *	 "last_message_us", "last_data_change_us", "last_master_change_us"}
 */

#endif
