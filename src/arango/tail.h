/*
 * tail.h - the tail of one DB-server's write-ahead log.
 *
 * Positions are response boundaries (R1): a tail moves on only after a
 * response was received whole and every marker of it was taken; whatever
 * breaks before that is asked for again from the same position.  Requests
 * carry no id, so reading holds nothing (R2); struct arango_hold does.
 *
 * Markers are given out while the response streams, as spans of the bytes as
 * they arrived: nothing is copied or allocated per marker.
 *
 * Facts: source reference, section 7; rules R1, R2, R5, R6.
 */
#ifndef ARANGO_TAIL_H
#define ARANGO_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "json/scan.h"

struct arango;
struct arango_cancel;
struct arango_server;
struct arango_tail;

enum {
	WAL_DB_CREATE		= 1100,
	WAL_DB_DROP		= 1101,
	WAL_COLL_CREATE		= 2000,
	WAL_COLL_DROP		= 2001,
	WAL_COLL_RENAME		= 2002,
	WAL_COLL_CHANGE		= 2003,
	WAL_TRUNCATE		= 2004,
	WAL_INDEX_CREATE	= 2100,
	WAL_INDEX_DROP		= 2101,
	WAL_VIEW_CREATE		= 2110,
	WAL_VIEW_DROP		= 2111,
	WAL_VIEW_CHANGE		= 2112,
	WAL_BEGIN		= 2200,
	WAL_COMMIT		= 2201,
	WAL_ABORT		= 2202,
	WAL_DOCUMENT		= 2300,
	WAL_REMOVE		= 2302
};

/*
 * One marker.  In JSON, db, cuid and tid are without their quotes, escapes as
 * they came (ids have none; a db name with a backslash needs decoding:
 * db_escaped), data is the text of the value, which was not looked at when the
 * line ends with it (scan_marker_front()).  In VelocyPack, data is the slice and
 * the line is the whole value.  All point into line and are valid during the
 * callback only.  What is absent has p == NULL.
 */
struct arango_marker {
	uint64_t	 tick;
	uint32_t	 type;
	bool		 vpack;
	bool		 db_escaped;
	struct scan_span db, cuid, tid, data;
	struct scan_span line;
};

/*
 * Where a tail is, and what proves it (R5): `from` asks for what comes next.
 * A completed response that had markers was asked for with last_from, and its
 * last line had this tick and this CRC32C (of the line's bytes as they
 * came).  has_last is false when none was read yet.  Hold the log from
 * last_from on, not from `from`: what is pruned proves nothing.
 */
struct arango_tail_point {
	uint64_t	 from;
	bool		 has_last;
	bool		 last_vpack;
	uint64_t	 last_from, last_tick;
	uint32_t	 last_crc;
};

/* A response that was received and taken whole. */
struct arango_tail_done {
	struct arango_tail_point point;	/* the new one */
	uint64_t	 asked_from;
	uint64_t	 server_tick;	/* newest of the server */
	uint64_t	 markers, bytes;
	uint64_t	 elapsed_us;
	bool		 more;		/* we ask again at once */
};

enum arango_tail_event {
	ARANGO_TAIL_GAP,	/* the history is gone, or another one; the tail
				 * waits for arango_tail_seek() */
	ARANGO_TAIL_BROKEN,	/* a response broke off; asked again.  Drop
				 * what was taken of it, or drop by tick */
	ARANGO_TAIL_DOWN,	/* the server does not answer; tried again */
	ARANGO_TAIL_UP,		/* it answers again */
	ARANGO_TAIL_DENIED,	/* credentials; tried again */
	ARANGO_TAIL_FAILED	/* it answers nonsense; tried again slowly */
};

struct arango_tail_opts {
	struct arango		*cluster;
	struct arango_server	*server;
	struct arango_tail_point point;		/* where to begin */
	uint32_t		 chunk_bytes;	/* soft size of a response */
	size_t			 max_line;	/* longest marker */
	bool			 ask_vpack;	/* R29: taken when the server
						 * confirms it */
	uint32_t		 idle_max_ms;	/* longest pause when idle */
	/*
	 * All run outside fibers and must not wait.
	 * A marker: 0, or negative: give this response up and ask for it
	 * again later (ARANGO_TAIL_BROKEN).
	 */
	int			(*on_marker)(void *arg,
				    const struct arango_marker *m);
	void			(*on_done)(void *arg,
				    const struct arango_tail_done *d);
	void			(*on_event)(void *arg,
				    enum arango_tail_event ev, const char *why);
	/*
	 * It asks for what is behind `from` (may be NULL).  That is less than
	 * the position of the last response when a history was proven up to an
	 * earlier tick only: what lies between may be something else now.
	 */
	void			(*on_request)(void *arg, uint64_t from);
	void			*arg;
};
#define ARANGO_TAIL_OPTS_INIT {						\
	.chunk_bytes = 4 * 1024 * 1024,					\
	.max_line = (size_t)1536 * 1024 * 1024,				\
	.idle_max_ms = 500 }

/*
 * Begin in a fiber of its own.  After trouble with the connection, and after
 * 10 s without an answer, the last line is read again and must be the same
 * (else ARANGO_TAIL_GAP); that a rebootId has changed must be watched all the
 * same.  arango_tail_stop() ends it; it may be called from callbacks, and none
 * comes after it.  Let the loop turn once between that and arango_free().
 */
struct arango_tail *arango_tail_start(const struct arango_tail_opts *o);
void	arango_tail_stop(struct arango_tail **t);
/*
 * Back-pressure (R6): take no more bytes, ask for nothing more.  At most
 * what was already received (16 KiB) comes after it.
 */
void	arango_tail_pause(struct arango_tail *t);
void	arango_tail_resume(struct arango_tail *t);
/* The position of the last completed response. */
struct arango_tail_point arango_tail_point(const struct arango_tail *t);
/* Ask at once instead of sleeping. */
void	arango_tail_poke(struct arango_tail *t);
/* Go on from elsewhere; the response that is being read is dropped. */
void	arango_tail_seek(struct arango_tail *t,
	    const struct arango_tail_point *p);

/* ---- a history is proven ------------------------------------------------ */

/*
 * Is what this server has the log that the point was read from?  Reads the
 * last completed response again and compares its last line.  0: yes, and
 * *resume is where to go on: p->from when nothing is, and can come, between it
 * and that line, else the tick of that line.  ERR_CORRUPT: another history.
 * ERR_NOT_FOUND: gone, or the point has nothing to prove.  Others: could not
 * be asked.  Waits.
 */
int	arango_tail_prove(struct arango *a, struct arango_server *s,
	    const struct arango_tail_point *p, struct arango_cancel *cancel,
	    struct arango_tail_point *resume, struct err_msg *m);

struct arango_wal_range {
	uint64_t	 min, max;	/* ticks */
	uint64_t	 server_id;	/* of the data directory; 0: not told */
};
/* Waits. */
int	arango_wal_range(struct arango *a, struct arango_server *s,
	    struct arango_wal_range *range, struct err_msg *m);
/*
 * A point at the end of the log (range->max), with the last line that is there
 * as its proof: for who begins to read there and could prove nothing before
 * something comes.  0, also without a proof when the log is empty.  Waits.
 */
int	arango_tail_witness(struct arango *a, struct arango_server *s,
	    const struct arango_wal_range *range, struct arango_cancel *cancel,
	    struct arango_tail_point *p, struct err_msg *m);
/* Everything that was answered before is at or below it.  Waits. */
int	arango_wal_last_tick(struct arango *a, struct arango_server *s,
	    uint64_t *tick, uint64_t *server_id, struct err_msg *m);

/* ---- holding ------------------------------------------------------------ */

/*
 * Keeps the WAL of a DB-server from a tick on, by a registration of its own
 * every 30 s (R2).  syncer_id: digits, not 0, the same after a restart; one
 * per (source, target, server).  tick 0 holds everything that is there.
 */
struct arango_hold;

struct arango_hold_opts {
	struct arango		*cluster;
	struct arango_server	*server;
	uint64_t		 syncer_id;
	uint64_t		 tick;
	uint32_t		 every_ms;	/* default 30 s */
	const char		*client_info;	/* shown in logger-state */
	/* After each registration: err 0, or why not; may be NULL. */
	void			(*on_result)(void *arg, int err,
				    const char *why);
	void			*arg;
};
#define ARANGO_HOLD_OPTS_INIT	{ .every_ms = 30 * 1000,		\
	.client_info = "arangosync" }

struct arango_hold *arango_hold_start(const struct arango_hold_opts *o);
/* From now on this tick; sent with the next registration, at once when it goes
 * down. */
void	arango_hold_set(struct arango_hold *h, uint64_t tick);
/* Register now: the server was restarted and has forgotten us. */
void	arango_hold_now(struct arango_hold *h);
uint64_t arango_hold_tick(const struct arango_hold *h);
/* Stop renewing; what is registered stays until the server drops it. */
void	arango_hold_stop(struct arango_hold **h);
/* Let go on the server, too: DELETE, on old servers by expiry.  Waits. */
int	arango_hold_drop(struct arango_hold **h, struct err_msg *m);

/* 64-bit digits from three names, never 0: FNV-1a. */
uint64_t arango_syncer_id(const char *source, const char *target,
	    const char *server);

#endif
