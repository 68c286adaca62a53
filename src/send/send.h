/*
 * send.h - the source's end of a shard pair: the channel's queue, snapshots,
 * and the answers of a repair (sync/channel.h; R4 to R9, R15).
 *
 * Peers: control, api, and the tail of the server that leads the shard.  When
 * the leader moves, control ends the process and starts it anew with another
 * tail.
 */
#ifndef SEND_SEND_H
#define SEND_SEND_H

#include <stdint.h>

#include "base/buf.h"
#include "sync/channel.h"
#include "sync/position.h"
#include "worker/worker.h"

/* Configuration of the process (MSG_MESH_START). */
struct send_conf {
	char		 target[64];		/* cluster id */
	char		 source[64];
	struct channel_name name;
	char		 coll[288];		/* for people */
	char		 shard[64];		/* "s10050" */
	char		 cuid[96];		/* "c10049/s10050" */
	char		 server[POS_SERVER_SIZE]; /* leads it */
	char		 url[256];
	uint64_t	 reboot_id;
	uint64_t	 leader_changes;	/* seen by control for this shard,
						 * kept over restarts */
	uint64_t	 quota_bytes;
	uint64_t	 min_free_bytes;	/* of the disk; 0: queue/room.h */
	uint64_t	 idle_ms;		/* leave after that; 0: never */
};
void	send_conf_put(struct buf *b, const struct send_conf *c);
int	send_conf_get(struct rbuf *m, struct send_conf *c);

int	send_main(struct member *m, const struct worker_conf *conf);

/*
 * What receive may rely on, beyond sync/channel.h:
 *
 *   - Credit is counted in bytes of the whole payload of a message: of RECORD
 *     for `live`; of SNAP, SUMS, PAIRS and DOCS for `bulk`.
 *   - RECORDs begin and end at lines unless the line is longer than a piece;
 *     a record that holds a part of a line (MORE, or what follows it) holds
 *     nothing else.  Lines at or below the position of RESUME or CUT are left
 *     out here, but may come when they are in the middle of a record: drop
 *     them by their tick.
 *   - The lines of a response may come twice when it broke off, the first part
 *     and then all of them; no boundary lies between.
 *   - The cut of VERIFY is exact: every line through it came before CUT, none
 *     behind it comes before REPAIRED was sent.  CAUGHT_UP does not follow when
 *     only a comparison was asked for.
 *   - The snapshot of a repair is opened right after REPAIR, without waiting
 *     for a place of receive's, and kept until REPAIRED.  Each DIFF reads
 *     a snapshot of its own, which is newer than the cut: ask for few and
 *     large rounds.
 *   - CLOSED ends it whatever is going on: a broken dump, a snapshot that was
 *     lost, a step that takes too long (R9), a leader that is none.  Only
 *     subscribing again goes on.
 *
 * Its status (worker_status()):
 *
 *	{"state": "running",		shard_state_name()
 *	 "step": "copy",		shard_step_name()
 *	 "reason": "...",		of the last change
 *	 "error": "...",		absent when there is none
 *	 "database", "collection", "shard", "server",
 *	 "queue": "ok",			"failed"; or why nothing more is
 *					queued: "full" or "short" (the disk),
 *					"quota" (of its own), "total"
 *	 "queue_bytes", "unacked_bytes",
 *	 "epoch", "tick",		received through
 *	 "records", "bytes",		sent since it started
 *	 "delivered_tick", "credit_bytes", "bulk_credit_bytes",
 *					absent when nobody has subscribed
 *	 "snapshot_tick": 4711}		while there is a cut
 */

#endif
