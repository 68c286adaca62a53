/*
 * route.h - the decisions of a tail: which line belongs to which channel, who
 * is too slow, and how far the server may forget.
 *
 * A struct route is the table of one DB-server.  The live tail calls
 * route_request() when it asks, route_take() for each line, and route_done()
 * or route_broken() at the end of the response.  One catch-up reader for all
 * detached channels does the same with route_refill_request() and so on; where
 * both meet a channel is live again (R4).
 *
 * Nothing is allocated per line.  Times are the caller's monotonic ms.
 */
#ifndef SYNC_ROUTE_H
#define SYNC_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/queue.h>

#include "base/buf.h"
#include "base/err.h"
#include "json/scan.h"
#include "sync/position.h"

struct route;
struct rbuf;

#define ROUTE_SPILL_BYTES	((size_t)1 << 20)	/* of a channel */
#define ROUTE_SPILL_MS		1000

enum route_state {
	ROUTE_LIVE,
	ROUTE_DETACHED,		/* waits for, or is read by, the catch-up */
	ROUTE_ENDED		/* its log has ended (R5) */
};

enum route_why {
	ROUTE_WHY_NONE,
	ROUTE_WHY_SPILL_FULL,
	ROUTE_WHY_SPILL_OLD,	/* waited for a second */
	ROUTE_WHY_QUOTA,
	ROUTE_WHY_NEW		/* it resumes from behind */
};

/* Read it; change it through functions only. */
struct route_channel {
	uint32_t		 id;		/* the caller's */
	void			*arg;		/* the caller's */
	char			*db, *cuid;
	enum route_state	 state;
	enum route_why		 why;		/* it is detached */
	uint64_t		 last;		/* highest tick of a completed
						 * response (R1) */
	uint64_t		 now;		/* with the present response */
	uint64_t		 acked;		/* durable up to it */
	uint64_t		 from;		/* detached: to be refilled from
						 * here */
	uint64_t		 safe;		/* an exception: a restart goes
						 * on from here */
	uint64_t		 records, bytes;	/* routed so far */
	size_t			 spill;		/* waits for its pipe */
	uint64_t		 spill_ms;	/* since when, or since the last
						 * bytes went */
	/* private */
	size_t			 db_len, cuid_len;
	uint64_t		 hash;
	uint64_t		 unacked;	/* first response number with
						 * records not durable; 0 */
	/* when acked is at mark_tick, a restart may go on from mark_from */
	bool			 marked;
	uint64_t		 mark_tick, mark_from;
	bool			 is_busy, is_exception, is_spilling;
	bool			 in_refill;	/* the present request of the
						 * catch-up is for it, too */
	bool			 blocked;	/* by its quota */
	TAILQ_ENTRY(route_channel) busy, exceptions, spilling;
};

struct route_opts {
	size_t		 spill_bytes;	/* of a channel */
	uint32_t	 spill_ms;
	size_t		 spill_total;	/* of all: the tail stops reading */
};
#define ROUTE_OPTS_INIT	{ ROUTE_SPILL_BYTES, ROUTE_SPILL_MS,		\
	(size_t)64 << 20 }

struct route *route_new(const struct route_opts *o);
void	route_free(struct route **r);

/*
 * Register a channel that wants everything above `tick`, which must be a
 * legal position (R1).  Before route_seek(), and between responses with a tick
 * not below the tail's, it is live at once.  Otherwise it is detached, to be
 * refilled from there.  ROUTE_FROM_NOW: whatever comes from the next request on
 * (its snapshot is taken after that); nothing is read for it before.  NULL when
 * (db, cuid) is there already.
 */
#define ROUTE_FROM_NOW	UINT64_MAX
struct route_channel *route_add(struct route *r, uint32_t id, const char *db,
	    const char *cuid, uint64_t tick);
/* Unregister; frees it.  Its records no longer hold the checkpoint. */
void	route_remove(struct route *r, struct route_channel **ch);
struct route_channel *route_find(struct route *r, const char *db,
	    const char *cuid);
/* i = 0 .. until NULL. */
struct route_channel *route_at(const struct route *r, size_t i);

/* ---- reading ------------------------------------------------------------ */

/* A completed response's end; fields as in position.h. */
struct route_point {
	uint64_t	 from;		/* what comes next */
	bool		 has_proof, proof_vpack;
	uint64_t	 proof_from, proof_tick;
	uint32_t	 proof_crc;
};

enum route_verdict {
	ROUTE_PASS,		/* give the line to the channel */
	ROUTE_NOBODY,		/* no channel wants it: followed shards,
				 * excluded collections, 2200, 2201 */
	ROUTE_SEEN,		/* not above its last tick (R1) */
	ROUTE_DETOUR,		/* the channel is detached: the other reader */
	ROUTE_IRRELEVANT,	/* properties and indexes of shards; also of
				 * one that is detached */
	ROUTE_END		/* 2000 or 2001: its log has ended; the channel
				 * is ROUTE_ENDED now */
};

/* Where the live tail is; also before its first request. */
void	route_seek(struct route *r, const struct route_point *p);
/* The live tail asks for what is behind r's position. */
void	route_request(struct route *r);
/*
 * Between responses: the server was started again, and its history is proven
 * up to this tick only, which is below the tail's position.  No record was read
 * between both, so nobody has to repeat anything; but there may be records now,
 * which must not be taken for seen or durable.
 */
void	route_rewind(struct route *r, uint64_t from);
/*
 * A line: its spans, with or without quotes (cuid may be absent).  *ch is set
 * for all verdicts but ROUTE_NOBODY.  The number of bytes is counted.
 */
enum route_verdict route_take(struct route *r, uint64_t tick, uint32_t type,
	    const struct scan_span *db, const struct scan_span *cuid,
	    size_t bytes, struct route_channel **ch);
/* The same for the catch-up reader: only detached channels pass. */
enum route_verdict route_take_refill(struct route *r, uint64_t tick,
	    uint32_t type, const struct scan_span *db,
	    const struct scan_span *cuid, size_t bytes,
	    struct route_channel **ch);
/*
 * The response is complete.  Channels that the catch-up has brought up to here
 * are live from now on: `joined` (may be NULL) is called for each; it must not
 * remove channels.
 */
void	route_done(struct route *r, const struct route_point *p,
	    void (*joined)(void *arg, struct route_channel *ch), void *arg);
/* It broke off: the same `from` again. */
void	route_broken(struct route *r);
/* The catch-up reader has read everything up to here, completely. */
void	route_refill_done(struct route *r, uint64_t from,
	    void (*joined)(void *arg, struct route_channel *ch), void *arg);
void	route_refill_broken(struct route *r);
/*
 * The catch-up reader: where it has to begin, or go on; false: there is nobody
 * to read for (channels whose spill is not yet delivered, or that are blocked
 * by their quota, wait).
 */
bool	route_refill_from(const struct route *r, uint64_t *from);
/* It asks for what is behind `from`: for all that want this and more. */
void	route_refill_request(struct route *r, uint64_t from);
/*
 * It is less than three responses behind: the live tail should wait at its
 * next boundary until both have met, or it might run ahead for ever.
 */
bool	route_should_meet(const struct route *r);

/* ---- who is too slow (R4) ----------------------------------------------- */

/*
 * n bytes wait for the channel's pipe.  ROUTE_WHY_NONE, or why it must be
 * detached now.
 */
enum route_why route_spill_add(struct route *r, struct route_channel *ch,
	    size_t n, uint64_t now_ms);
/* n of them went into the pipe. */
void	route_spill_sub(struct route *r, struct route_channel *ch, size_t n,
	    uint64_t now_ms);
/* The next one that has waited too long, or NULL. */
struct route_channel *route_spill_due(struct route *r, uint64_t now_ms);
/* All spill buffers together are full: stop reading until they are not. */
bool	route_is_full(const struct route *r);
/*
 * Detach: nothing more goes into its spill, which is still delivered; its
 * records from the present request on come through the catch-up reader (what
 * passed of the present response a second time).  Returns the `from`.
 */
uint64_t route_detach(struct route *r, struct route_channel *ch,
	    enum route_why why);
/* There is room again for one that was detached by its quota. */
void	route_unblock(struct route *r, struct route_channel *ch);
const char *route_why_name(enum route_why why);

/* ---- how far the server may forget -------------------------------------- */

/* Everything that was passed to it up to this tick is durable. */
void	route_ack(struct route *r, struct route_channel *ch, uint64_t tick);

struct route_exception {
	uint32_t	 id;
	uint64_t	 from;
};
struct route_checkpoint {
	char			 server[POS_SERVER_SIZE];
	uint64_t		 reboot_id, server_id;
	struct route_point	 point;
	struct route_exception	*exceptions;	/* detached, or not safe yet */
	size_t			 nexceptions;
};
/*
 * The latest response boundary below which every record of every live channel
 * is durable.  A channel with nothing unacknowledged is at it.  The caller sets
 * server and ids, and frees with route_checkpoint_free().
 */
void	route_checkpoint(const struct route *r, struct route_checkpoint *cp);
void	route_checkpoint_free(struct route_checkpoint *cp);
void	route_checkpoint_put(struct buf *b, const struct route_checkpoint *cp);
int	route_checkpoint_get(struct rbuf *m, struct route_checkpoint *cp);
/* The tick to hold (R2): the lowest of checkpoint and exceptions. */
uint64_t route_hold(const struct route *r);
/* The channel because of which it is so low, and its tick; NULL: it is the
 * tail itself. */
struct route_channel *route_holder(const struct route *r, uint64_t *tick);

struct route_counts {
	uint64_t	 lines, bytes, passed, passed_bytes, nobody, seen,
			 detoured;
	size_t		 channels, detached, busy;
	size_t		 spill;
};
void	route_counts(const struct route *r, struct route_counts *c);

#endif
