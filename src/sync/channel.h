/*
 * channel.h - what the two ends of a shard pair say to each other.
 *
 * send (source) and receive (target) talk through api and link, which pass
 * messages on without looking into them, except where it says so below.  On
 * every hop a message is a frame of ipc/frame.h.  Within a datacenter it goes
 * over the socketpair of the two processes; between datacenters frames of all
 * channels share a stream, and the field `generation` of the header is the
 * number of the channel (chosen by link; 0: the session itself).
 *
 * The field `id` is the number of the subscription.  receive chooses it, rising
 * with every MSG_CH_SUBSCRIBE; a message with another number than the present
 * one is of the past and dropped by whoever gets it.
 *
 * Up is from the target to the source, down the other way.  Down there are two
 * streams (R27): `live` and `bulk`, by type (channel_is_bulk()).  Order is kept
 * within a stream only; the conversation is such that nothing depends on more.
 *
 *	receive				send
 *	SUBSCRIBE(record, present) ->
 *					<- RESUME(pos)	then RECORDs
 *				or	<- REPAIR(reason), soon CUT(L)
 *	(applies through L, opens its own snapshot)
 *	AT_CUT(documents) ->
 *	  0: empty			<- SNAP ... SNAP_END
 *	  else				<- SUMS
 *	  DIFF(buckets, lo, hi) ->	<- PAIRS ... (last)	repeated
 *	  (surplus is removed, R7)
 *	  FETCH(keys) ->		<- DOCS ... (last)	repeated
 *	REPAIRED ->			<- RECORDs above L, CAUGHT_UP
 *
 * RECORDs between RESUME or CAUGHT_UP and the next CUT are the stream in order.
 * VERIFY asks for a CUT at any time while records flow; with `compare` the
 * answer to AT_CUT is SUMS only, and receive ends it with REPAIRED at once.
 * FETCH may come at any time after RESUME or AT_CUT (owed keys, R13); DOCS are
 * of the source's present state then, so what the stream still has to say about
 * these keys comes later.
 *
 * Any trouble ends the subscription: CLOSE up, CLOSED down, a lost session, a
 * process that died.  receive subscribes again with what is recorded as
 * applied (R15); nothing else survives.  So no message is acknowledged, and
 * credits and positions are absolute numbers.
 *
 * Either end may sleep while there is nothing to say (R24): then api and link
 * act for it, the subscription goes on, and CLOSED, or a new SUBSCRIBE, is the
 * first word when it is over.
 *
 * All encodings are those of ipc/codec.h; decoders check everything, read
 * to the end, and return 0, ERR_FORMAT, ERR_TRUNCATED, ERR_RANGE or
 * ERR_TOO_BIG.  Spans point into the payload.
 */
#ifndef SYNC_CHANNEL_H
#define SYNC_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "sync/position.h"
#include "sync/shard.h"

struct rbuf;

/* Payload of RECORD, SNAP, PAIRS and DOCS: about so much. */
#define CHANNEL_PIECE_BYTES	((size_t)240 * 1024)
/* No message is longer (a structure excepted). */
#define CHANNEL_MESSAGE_MAX	((size_t)1024 * 1024)
#define CHANNEL_STRUCTURE_MAX	((size_t)256 * 1024 * 1024)
/* Credits that a new subscription has before any CREDIT. */
#define CHANNEL_FIRST_CREDIT	((uint64_t)640 * 1024)

/* Which stream a message down belongs to. */
bool	channel_is_bulk(uint16_t type);

/* Whose channel; begins MSG_CH_SUBSCRIBE, so api and link read it, too. */
struct channel_name {
	char		 db[192];
	uint64_t	 cid;		/* the source's: the incarnation */
	uint32_t	 shard;		/* index */
};
void	channel_name_put(struct buf *b, const struct channel_name *n);
int	channel_name_get(struct rbuf *m, struct channel_name *n);
/* "shop/10049/3" */
char	*channel_name_text(const struct channel_name *n, char text[256]);

/* ---- up ----------------------------------------------------------------- */

struct channel_subscribe {
	struct channel_name	 name;
	bool			 has_record;
	struct shard_record	 record;	/* applied and settled (R15) */
	/* The target's shard now; target_cid "" : nobody leads just now. */
	char			 target_cid[24];
	char			 target_server[POS_SERVER_SIZE];
	uint64_t		 target_reboot;
	/* Not "": repair, whatever was recorded (a reset, R14, R16). */
	char			 repair[256];
};
void	channel_subscribe_put(struct buf *b, const struct channel_subscribe *s);
int	channel_subscribe_get(struct rbuf *m, struct channel_subscribe *s);

/*
 * CREDIT: u64 live, u64 bulk: so many bytes of payload of RECORD, and of SNAP,
 * PAIRS and DOCS, may come in all, counted from the subscription.  A piece
 * may overrun it: it is sent while anything is left.
 * COMMIT: struct sync_pos: applied, settled, durable; the source may forget.
 * VERIFY: bool compare only, str reason.
 * AT_CUT: u64 documents here; applied through L, snapshot open.
 * DIFF: u32 request, u64 lo, u64 hi, cmp_set_encode() to the end.
 * FETCH: u32 request, u32 n, n bytes keys (decoded).
 * REPAIRED: empty.
 * CLOSE: str reason.  PING: u64 our wall clock, us.
 */
void	channel_credit_put(struct buf *b, uint64_t live, uint64_t bulk);
int	channel_credit_get(struct rbuf *m, uint64_t *live, uint64_t *bulk);

/* ---- down --------------------------------------------------------------- */

/*
 * RESUME: struct channel_resume: records above pos follow.
 * REPAIR: u8 enum shard_resume, str reason.
 * QUEUED: u64 tick: records up to it wait at the source and have not been sent
 * (link reads it: the channel is behind until they were applied, R21).
 * CUT: struct channel_cut.
 * SNAP: documents as JSON lines, or a piece: u8 CHANNEL_MORE, bytes.
 * SNAP_END: u64 documents.
 * SUMS: cmp_sum_encode() to the end.
 * CAUGHT_UP: u64 tick.  CLOSED: str reason.
 * PONG: u64 the clock of the PING, u64 ours.
 */

struct channel_resume {
	struct sync_pos	 pos;
	uint64_t	 queued;	/* records up to this tick wait at the
					 * source; 0: none */
	uint64_t	 leader_changes; /* for shard_record; 0: not known */
};
void	channel_resume_put(struct buf *b, const struct channel_resume *r);
int	channel_resume_get(struct rbuf *m, struct channel_resume *r);

struct channel_cut {
	struct sync_pos	 pos;		/* its tick is L, the snapshot's */
	uint64_t	 documents;	/* there, about */
	uint64_t	 leader_changes;
	bool		 compare;	/* nothing is to be repaired */
};
void	channel_cut_put(struct buf *b, const struct channel_cut *c);
int	channel_cut_get(struct rbuf *m, struct channel_cut *c);

/* Flags of pieces. */
enum {
	CHANNEL_MORE	 = 1,	/* its last line or document goes on in the next
				 * piece */
	CHANNEL_BOUNDARY = 2,	/* RECORD: the response ends here */
	CHANNEL_LAST	 = 4	/* PAIRS, DOCS: the request is answered */
};

/*
 * RECORD: what is in the queue, with where it is in front.  Stored: u8 flags,
 * with CHANNEL_BOUNDARY the struct sync_pos at the end of the response (its
 * epoch and offset are 0 in the queue), then the lines to the end.
 */
struct channel_record {
	uint64_t	 epoch, offset;	/* behind it, in the queue */
	uint8_t		 flags;
	struct sync_pos	 pos;		/* CHANNEL_BOUNDARY; with epoch and
					 * offset filled in */
	const uint8_t	*lines;
	size_t		 len;
};
/* The head of a stored record; the lines are appended behind it. */
void	channel_stored_put(struct buf *b, uint8_t flags,
	    const struct sync_pos *pos);
int	channel_stored_get(const void *p, size_t len, struct channel_record *r);
/* epoch and offset in front of what is stored. */
void	channel_record_put(struct buf *b, uint64_t epoch, uint64_t offset);
int	channel_record_get(const void *p, size_t len,
	    struct channel_record *r);

/* PAIRS: u32 request, u8 flags, then cmp_pair_put() to the end. */
void	channel_pairs_put(struct buf *b, uint32_t request, uint8_t flags);
int	channel_pairs_get(struct rbuf *m, uint32_t *request, uint8_t *flags);
/*
 * DOCS: u32 request, u8 flags, then documents in the order of FETCH: u32 index
 * of the key, u8 found, bytes of JSON.  With CHANNEL_MORE the last one goes on:
 * the next message begins with the same index and CHANNEL_DOC_GOES_ON.
 */
void	channel_docs_put(struct buf *b, uint32_t request, uint8_t flags);
int	channel_docs_get(struct rbuf *m, uint32_t *request, uint8_t *flags);
enum {
	CHANNEL_DOC_GONE = 0, CHANNEL_DOC_FOUND = 1, CHANNEL_DOC_GOES_ON = 2
};
void	channel_doc_put(struct buf *b, uint32_t index, uint8_t found,
	    const void *doc, size_t len);
int	channel_doc_get(struct rbuf *m, uint32_t *index, uint8_t *found,
	    const uint8_t **doc, size_t *len);

/* ---- the session (channel 0) -------------------------------------------- */

/* Made by tail for its DB-server every 250 ms (R21), after everything up to
 * pos.tick was noted by all of its channels. */
struct channel_watermark {
	struct sync_pos	 pos;		/* of the tail: a response boundary */
	uint64_t	 newest_tick;	/* of the server's log */
	uint64_t	 source_us;	/* wall clock there */
};
void	channel_watermark_put(struct buf *b,
	    const struct channel_watermark *w);
int	channel_watermark_get(struct rbuf *m, struct channel_watermark *w);

/* STRUCTURE: u64 version of the Plan, bytes of JSON to the end. */

#endif
