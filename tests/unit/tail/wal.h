/*
 * wal.h - a log that a fake DB-server answers from, and a fake send
 *
 * Operations are "key k of channel c is n now", so that what a send has after
 * each complete response can be compared with what the log says.
 */
#ifndef TESTS_TAIL_WAL_H
#define TESTS_TAIL_WAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../arango/fake.h"
#include "ipc/peer.h"
#include "tail/tail_priv.h"

#define WAL_CHANNELS	16
#define WAL_KEYS	8

struct wal_op {
	uint64_t	 tick;
	unsigned	 channel, key;	/* channel WAL_CHANNELS: nobody's */
	char		*text;		/* with its end */
	bool		 last;		/* of its batch */
};

struct wal {
	struct fake	 f;
	struct wal_op	*ops;
	size_t		 n;
	uint64_t	 newest, first;		/* ticks */
	uint64_t	 server_id;
	size_t		 chunk;			/* bytes of a response */
	size_t		 filler;		/* bytes of a document */
	unsigned	 break_one_in;		/* responses break; 0 */
	unsigned	 broken;		/* so many did */
	bool		 down;
	uint64_t	 held;			/* UINT64_MAX: never */
	unsigned	 holds, tails;
};

void	wal_start(struct wal *w);
void	wal_stop(struct wal *w);
/* A batch of n operations, all on one channel, or any (WAL_CHANNELS + 1). */
void	wal_batch(struct wal *w, unsigned channel, unsigned n);
/* A marker of that type and channel, such as WAL_INDEX_CREATE. */
void	wal_marker(struct wal *w, unsigned type, unsigned channel);
/* One that ends the channel's log. */
void	wal_drop(struct wal *w, unsigned channel);
/* The power was cut: what is above the tick is gone. */
void	wal_cut(struct wal *w, uint64_t tick);
/* What the key's last operation at or below a tick was; 0: none. */
uint64_t wal_value(const struct wal *w, unsigned channel, unsigned key,
	    uint64_t tick);
/* Highest tick of the channel at or below a tick. */
uint64_t wal_last(const struct wal *w, unsigned channel, uint64_t tick);

enum sink_state { SINK_OFF, SINK_ASKED, SINK_JOINING, SINK_ON };

/* A send as it should be. */
struct sink {
	struct wal	*w;
	struct tail	*t;
	unsigned	 channel;
	char		 cuid[32];
	struct peer	*peer;
	enum sink_state	 state;
	bool		 has_pos;	/* it is to ask with pos */
	bool		 keeps_quiet;	/* notes and acknowledges nothing */
	bool		 manual;	/* does not join by itself */
	struct sync_pos	 pos;		/* durable */
	uint64_t	 have[WAL_KEYS], durable[WAL_KEYS];
	struct buf	 part;		/* a line in pieces */
	struct tail_evidence evidence;
	uint64_t	 join_tick, joined, noted, behind;
	bool		 detached;
	bool		 was_again, was_more;
	unsigned	 lines, ends, empty_ends, gone, behinds, detaches;
	unsigned	 snapshots, wrong;
	uint8_t		 gone_why;
};

void	sink_init(struct sink *s, struct wal *w, unsigned channel);
/* Connect, and ask or join from now. */
void	sink_connect(struct sink *s, struct tail *t);
/* The process is gone; what was durable stays. */
void	sink_crash(struct sink *s);
void	sink_ask(struct sink *s);
void	sink_join(struct sink *s, uint64_t tick);
void	sink_ack(struct sink *s, uint64_t noted, uint64_t durable);
/* It has everything of the log. */
bool	sink_is_done(const struct sink *s);

/* The api: watermarks, each of them checked against the sinks. */
struct marks {
	struct peer	*peer;
	struct wal	*w;
	struct sink	*sinks;
	size_t		 n;
	uint64_t	 tick, source_us, newest, reboot;
	unsigned	 count, wrong;
};
void	marks_connect(struct marks *m, struct tail *t);
void	marks_stop(struct marks *m);

#endif
