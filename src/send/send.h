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
	uint64_t	 quota_bytes, min_free_bytes;
};
void	send_conf_put(struct buf *b, const struct send_conf *c);
int	send_conf_get(struct rbuf *m, struct send_conf *c);

int	send_main(struct member *m, const struct worker_conf *conf);

#endif
