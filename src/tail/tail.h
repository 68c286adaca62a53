/*
 * tail.h - the process that reads the WAL of one DB-server of the source, once
 * for all shards that it leads and one target (design section 2; R1 to R6).
 *
 * Peers: control, api (watermarks); every send of that server lists it.
 */
#ifndef TAIL_TAIL_H
#define TAIL_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "sync/position.h"
#include "worker/worker.h"

struct rbuf;

/* Configuration of the process (MSG_MESH_START). */
struct tail_conf {
	char		 target[64];		/* cluster id */
	char		 source[64];
	char		 server[POS_SERVER_SIZE];
	char		 url[256];
	uint64_t	 reboot_id;
	uint64_t	 max_hold_bytes;	/* R3; 0: no bound */
	uint64_t	 max_hold_ms;
};
void	tail_conf_put(struct buf *b, const struct tail_conf *c);
int	tail_conf_get(struct rbuf *m, struct tail_conf *c);

int	tail_main(struct member *m, const struct worker_conf *conf);

/* ---- what it says to a send ---------------------------------------------- */

/* Answer to MSG_TAIL_ASK: what this server can prove about the position. */
struct tail_evidence {
	char		 server[POS_SERVER_SIZE];
	uint64_t	 reboot_id, server_id;
	bool		 proven;	/* same reboot, or the last line was
					 * read again and is the same */
	bool		 gap;		/* what is behind it is not there */
	uint64_t	 wal_first, wal_last;
	/* Where to join to miss nothing behind the position: it, the tick of
	 * its proof, or, for a channel that had nothing since, our own. */
	uint64_t	 join;
};
void	tail_evidence_put(struct buf *b, const struct tail_evidence *e);
int	tail_evidence_get(struct rbuf *m, struct tail_evidence *e);

/* MSG_TAIL_LINES: the last line of the piece goes on in the next one. */
#define TAIL_LINES_MORE	1

enum tail_end_why {
	TAIL_WAL_GONE,		/* gap, pruned, hold given up (R3) */
	TAIL_HISTORY_LOST,	/* restarted, and the history is not proven */
	TAIL_ENDED		/* a 2000 or 2001 marker (R5) */
};

#endif
