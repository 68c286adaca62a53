/*
 * position.h - how far a channel was applied at the target: what a pair
 * resumes from (R15).
 *
 * A tick has a meaning only in the history of one DB-server between two of its
 * starts; what proves that history over a start is the last line of the last
 * completed response (R5).  The queue is a cache with an epoch and offsets of
 * its own: within one epoch offsets say what comes first, across epochs only
 * ticks do.
 *
 * A position is always a response boundary (R1) or the tick of a snapshot.
 */
#ifndef SYNC_POSITION_H
#define SYNC_POSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct rbuf;

#define POS_SERVER_SIZE	64		/* "PRMR-" and a UUID, with NUL */
#define POS_TEXT_SIZE	192		/* of pos_text() */

struct sync_pos {
	char		 server[POS_SERVER_SIZE]; /* "": there is none */
	uint64_t	 reboot_id;	/* of that DB-server; 0: not known */
	uint64_t	 server_id;	/* of its data; 0: not known */
	uint64_t	 tick;		/* all up to it is applied */
	/*
	 * What proves the history: the last completed response was asked
	 * for with proof_from, and its last line had this tick and CRC32C.
	 */
	bool		 has_proof;
	bool		 proof_vpack;	/* the line was VelocyPack */
	uint64_t	 proof_from, proof_tick;
	uint32_t	 proof_crc;
	/* Where the queue of the source has it; epoch 0: in none. */
	uint64_t	 epoch, offset;
};

enum pos_order {
	POS_BEFORE,
	POS_SAME,
	POS_AFTER,
	POS_UNRELATED		/* the numbers mean nothing to each other */
};

/* None at all: resuming from it is refused. */
void	pos_clear(struct sync_pos *p);
bool	pos_is_none(const struct sync_pos *p);
/*
 * Is a before b?  Other server, other data directory (when both are known) or
 * other reboot: unrelated, unless `proven` says that the later start has the
 * same history.  Of one epoch: by offset, as several records of a queue may
 * end at one tick; else by tick.
 */
enum pos_order pos_compare(const struct sync_pos *a, const struct sync_pos *b,
	    bool proven);
const char *pos_order_name(enum pos_order o);

/* ipc/codec.h; the decoder does not look for the end (embedded). */
void	pos_put(struct buf *b, const struct sync_pos *p);
int	pos_get(struct rbuf *m, struct sync_pos *p);
/* "PRMR-1/7 tick 4711 (queue 3:900)" for logs; returns text. */
char	*pos_text(const struct sync_pos *p, char text[POS_TEXT_SIZE]);

#endif
