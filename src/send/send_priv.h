/*
 * send_priv.h - shared by the files of send; see send.h.
 *
 *	send.c		the process: peers, stop, status
 *	send_tail.c	what it says to its tail: ask, join, acknowledge
 *	send_queue.c	lines and ends of responses into the queue
 *	send_room.c	what happens when there is too little room
 *	send_lines.c	where lines begin and end, and their ticks (pure)
 *	send_talk.c	a subscription: decide, then answer its requests
 *	send_deliver.c	records from memory or disk to the target
 *	send_repair.c	snapshots, cuts, summaries, pairs, the dump
 *	send_fetch.c	documents by key
 *	send_bulk.c	what waits for bulk credit
 *	send_idle.c	leaving when there is nothing to do (R24)
 *
 * Everything about one subscription is in a struct talk, which dies with it;
 * everything about the channel is in struct send, which outlives them.
 */
#ifndef SEND_PRIV_H
#define SEND_PRIV_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stdint.h>

#include "arango/conn.h"
#include "arango/snapshot.h"
#include "base/buf.h"
#include "base/err.h"
#include "ev/backoff.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "ipc/rules.h"
#include "queue/queue.h"
#include "queue/reader.h"
#include "queue/room.h"
#include "send/send.h"
#include "sync/compare.h"
#include "sync/shard.h"
#include "tail/tail.h"

struct http_call;
struct peer;
struct talk;

#define SEND_NO_LIMIT	UINT64_MAX

/* Why nothing more is to be queued: bits. */
#define SEND_STOP_QUOTA	1		/* --mq.channel-quota */
#define SEND_STOP_TOTAL	2		/* --mq.quota */
#define SEND_STOP_SHORT	4		/* the disk, and the target is behind */

/* ---- the process ------------------------------------------------------- */

/* What takes long to reach.  Tests set others, before send_main(), to see what
 * happens then. */
struct send_limits {
	uint64_t	 verify_ms;	/* what a comparison may wait for the
					 * log, and keep its snapshot (R9) */
	uint32_t	 long_ms;	/* of struct shard */
};
extern struct send_limits send_limits;

struct send {
	struct worker	*w;
	struct loop	*loop;
	struct send_conf conf;
	char		 cid[24];	/* conf.name.cid as text */
	struct shard	 shard;
	char		 error[512];	/* last trouble; "": none */
	struct loop_timer *deadline;	/* of the shard's step */
	struct loop_timer *status_timer;

	/* queue */
	char		*queue_dir;
	struct queue_channel channel;
	struct queue	*queue;
	/*
	 * The end of the last complete response that is in the queue (or where
	 * the queue begins); epoch and offset are the queue's.  With `valid`
	 * there is nothing missing in the queue up to here.
	 */
	struct sync_pos	 received;
	bool		 valid;
	char		 gone[256];	/* MSG_TAIL_GONE: only a repair puts
					 * it right; "": nothing did */
	uint64_t	 start_epoch, start_offset;	/* where it begins */
	bool		 full;		/* -ENOSPC: what the tail says is
					 * dropped until we join again */
	uint64_t	 full_ms;
	struct backoff	 full_again;
	unsigned	 stop;		/* SEND_STOP_*: the tail is to detach
					 * us */
	uint64_t	 stop_ms;	/* last said; 0: never */
	bool		 over_total;	/* control says so */
	enum room_state	 room;
	uint64_t	 looked_ms;
	uint64_t	 floor;		/* lines up to it are known already;
					 * 0: none */
	struct buf	 piece;		/* not appended yet */
	bool		 piece_more;
	bool		 in_line;	/* the last line appended goes on */
	bool		 dropping;	/* the same, and it is not wanted */
	uint64_t	 line_tick;	/* of that line */
	struct buf	 head, out;	/* kept, so that nothing is allocated */
	struct loop_task piece_task;
	struct loop_timer *sync_timer, *room_timer;

	/* tail */
	struct peer	*tail;
	bool		 joined;
	bool		 detached;	/* the tail reads again for us */
	bool		 blocked;	/* MSG_TAIL_BLOCK(true) was said */
	uint64_t	 behind;	/* MSG_TAIL_BEHIND: come later */
	struct fiber_mutex attach;	/* who asks and joins */
	struct fiber_cond tail_cond;	/* an answer, or the tail has gone */
	struct {
		uint32_t	 id;	/* 0: nobody asks */
		bool		 done;
		struct tail_evidence evidence;
	} ask;
	struct {
		uint32_t	 id;	/* 0: nobody joins */
		bool		 done;
		int		 err;
		uint64_t	 tick;	/* asked for */
		bool		 fresh;	/* the queue begins anew, at start */
		struct sync_pos	 start;
	} join;
	uint64_t	 want;		/* to be noted (R21) */
	uint64_t	 said;		/* by MSG_CH_QUEUED */
	bool		 noting;	/* MSG_SEND_NOTED is awaited */
	uint64_t	 noted;
	uint64_t	 told_noted, told_durable;
	bool		 told;		/* both were, since the join */

	/* api */
	struct peer	*api;
	uint32_t	 last_sub;
	struct talk	*talk;
	uint64_t	 records, bytes;	/* delivered since the start */

	/* leaving */
	struct loop_timer *idle_timer;
	uint64_t	 active_ms;	/* something happened */
	uint64_t	 api_messages;	/* of the present connection */
	bool		 asks, asleep;
};

/* send_idle.c */
void	send_idle_start(struct send *s);
/* Something happened. */
void	send_active(struct send *s);
int	send_on_leave(struct msg_in *in);	/* MSG_WORKER_LEAVE_ANS */

/* send.c */
void	send_touch(struct send *s);	/* status has changed */
/* Last trouble, for the status; NULL: it is over. */
void	send_trouble(struct send *s, const char *text);
/* A step of the table; edges that do not exist are left out. */
void	send_step(struct send *s, enum shard_event ev, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
/* The queue cannot be used any more: leave, the next process recovers it. */
void	send_give_up(struct send *s, int err, const char *text);

/* ---- send_lines.c ------------------------------------------------------ */

/* Tick of the line that begins at p, of which n bytes are here; 0 or
 * ERR_FORMAT, ERR_TRUNCATED when it is not in them. */
int	lines_tick(const uint8_t *p, size_t n, uint64_t *tick);
uint32_t lines_count(const uint8_t *p, size_t n);
/* Bytes of the lines at the front with a tick up to `floor`; what cannot be
 * read ends them.  p .. n are whole lines. */
size_t	lines_through(const uint8_t *p, size_t n, uint64_t floor);

/*
 * A piece as records: the rest of a line that began before, whole lines, the
 * begin of a line that goes on.  So a record that holds a part of a line holds
 * nothing else, and records can be left out by their ticks.
 */
struct lines_part {
	const uint8_t	*p;
	size_t		 n;
	bool		 more;		/* its line goes on */
	bool		 inside;	/* it began in the middle of a line */
};
size_t	lines_split(const uint8_t *p, size_t n, bool inside, bool more,
	    struct lines_part out[3]);
/* The tick of the last line of whole lines; 0, ERR_FORMAT. */
int	lines_last_tick(const uint8_t *p, size_t n, uint64_t *tick);

/* ---- send_queue.c ------------------------------------------------------ */

void	send_queue_start(struct send *s);
int	send_queue_open(struct send *s);
/* Everything in it goes, it begins anew at `start`. */
int	send_queue_restart(struct send *s, const struct sync_pos *start);
/* Nothing in it counts any more, after a restart neither. */
void	send_queue_void(struct send *s);
/* Cut a response whose last line will never end: opens it again. */
int	send_queue_reopen(struct send *s);
void	send_queue_lines(struct send *s, uint8_t flags, const uint8_t *p,
	    size_t n);
void	send_queue_end(struct send *s, const struct sync_pos *pos);
/* A piece that waits for more is appended. */
void	send_queue_flush(struct send *s);
void	send_queue_forget_piece(struct send *s);
void	send_queue_sync(struct send *s);
void	send_queue_ack(struct send *s, const struct sync_pos *pos);
void	send_queue_close(struct send *s);
uint64_t send_queue_durable_tick(const struct send *s);
/* Give memory back that the next record asks for again. */
void	send_queue_idle(struct send *s);

/* ---- send_room.c ------------------------------------------------------- */

void	send_room_start(struct send *s);
int	send_room_look(const struct send *s, struct room *r);
/* A record could not be appended; or no fsync was possible. */
void	send_no_room(struct send *s, const char *why);
/* Something was made durable. */
void	send_room_is_good(struct send *s);
/* The queue has become larger or smaller: stop, or go on? */
void	send_check_room(struct send *s);
void	send_make_room(struct send *s);
int	send_on_quota(struct msg_in *in);	/* MSG_WORKER_QUOTA */
/* Join at what is received, in a fiber of its own. */
void	send_attach_soon(struct send *s);
/* "full", "quota", "total", "short", or NULL. */
const char *send_room_word(const struct send *s);

/* ---- send_tail.c ------------------------------------------------------- */

void	send_tail_connect(struct send *s, const char *name, int fd);
void	send_tail_free(struct send *s);
void	send_tail_ack(struct send *s);
void	send_tail_block(struct send *s, bool block);
/* Say QUEUED(tick), then note it (R21). */
void	send_note(struct send *s, uint64_t tick);
/* What was not answered by MSG_SEND_NOTED: api has gone. */
void	send_note_all(struct send *s);
int	send_on_noted(struct msg_in *in);
/*
 * All wait, and end early when *dead (may be NULL).  ERR_CLOSED: no tail;
 * ERR_TIMEOUT, ERR_CANCELLED.  pos NULL: none.
 */
int	send_tail_ask(struct send *s, const struct sync_pos *pos,
	    struct tail_evidence *e, const bool *dead);
/* Join above tick; start not NULL: the queue begins anew there (its tick
 * ROUTE_FROM_NOW: where the tail says). */
int	send_tail_join(struct send *s, uint64_t tick,
	    const struct sync_pos *start, const bool *dead);
/* Go on at s->received; s->attach is held.  ERR_NOT_FOUND: it cannot be proven,
 * and the queue is void. */
int	send_tail_attach(struct send *s, const bool *dead, struct err_msg *m);

/* ---- send_bulk.c ------------------------------------------------------- */

struct bulk_message {
	STAILQ_ENTRY(bulk_message) next;
	uint16_t	 type;
	struct buf	 b;
};

/* ---- a subscription (send_talk.c) -------------------------------------- */

struct request {
	STAILQ_ENTRY(request) next;
	uint16_t	 type;
	struct buf	 body;
};
STAILQ_HEAD(request_list, request);

struct talk {
	struct send	*s;
	uint32_t	 id;
	unsigned	 refs;		/* fibers */
	bool		 dead;
	struct arango_cancel cancel;
	struct fiber_cond changed;	/* anything: look again */
	struct channel_subscribe sub;
	struct request_list requests, fetches;
	size_t		 request_bytes;
	bool		 fetching;	/* its fiber runs */

	/* delivery */
	bool		 streaming;	/* records may go out */
	bool		 behind;	/* something older waits on disk */
	bool		 placed;	/* reader stands at offset */
	bool		 at_limit;	/* the next line is above the limit */
	bool		 in_line;	/* the last record's line goes on */
	uint64_t	 credit, sent;	/* live */
	uint64_t	 floor, limit;	/* ticks: (floor, limit] goes out */
	uint64_t	 epoch, offset;	/* the next record begins here */
	uint64_t	 tick;		/* everything through it went out */
	struct queue_reader *reader;
	struct buf	 payload;

	/* bulk */
	uint64_t	 bulk_credit, bulk_sent;
	STAILQ_HEAD(, bulk_message) bulk;
	size_t		 bulk_bytes;
	struct http_call *paused;	/* held back until bulk is out */

	/* repair, and comparison */
	struct arango_snapshot *snap;
	bool		 snap_used;	/* the shard was read from it */
	bool		 repairing;
	bool		 compare;	/* nothing will be repaired */
	uint64_t	 cut;		/* L, the first one */
	uint64_t	 cut_epoch, cut_offset;	/* it goes on from here */
	uint64_t	 cut_ms;	/* deadline of a comparison; 0: none */
	uint64_t	 documents;	/* that the snapshot had, about */
	uint64_t	 target_documents;
};

void	talk_begin(struct send *s, uint32_t id,
	    const struct channel_subscribe *sub);
/* Tell receive why, and forget it. */
void	talk_close(struct send *s, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
/* Forget it silently; reason for the log. */
void	talk_forget(struct send *s, const char *reason);
void	talk_unref(struct talk *t);
/* A message up of this subscription; 0 or negative when it is bad. */
int	talk_message(struct talk *t, const struct frame *f);
void	talk_changed(struct talk *t);
/* Down; dropped when the talk is dead. */
void	talk_say(struct talk *t, uint16_t type, struct buf *b);
void	talk_say_iov(struct talk *t, uint16_t type, const struct iovec *iov,
	    int n);

/* send_deliver.c */
void	deliver_begin(struct talk *t, uint64_t epoch, uint64_t offset,
	    uint64_t tick);
/* A record was appended. */
void	deliver_appended(struct send *s, const struct queue_meta *meta,
	    const struct buf *head, const uint8_t *p, size_t n,
	    uint64_t begin, uint64_t end);
/* Go on, as far as credit and room reach. */
void	deliver_more(struct talk *t);
/* Nothing above the tick, until it is raised. */
void	deliver_limit(struct talk *t, uint64_t limit);
/* Wait until all records through the tick went out; 0 or ERR_CANCELLED,
 * ERR_TIMEOUT. */
int	deliver_wait(struct talk *t, uint64_t tick, uint64_t deadline_ms);

/* send_repair.c: they wait; negative with a sentence: the talk is closed. */
int	repair_begin(struct talk *t, struct err_msg *m);
int	repair_verify(struct talk *t, struct rbuf *m, struct err_msg *em);
int	repair_at_cut(struct talk *t, struct rbuf *m, struct err_msg *em);
int	repair_diff(struct talk *t, struct rbuf *m, struct err_msg *em);
int	repair_done(struct talk *t, struct err_msg *em);
struct arango_server *repair_server(struct send *s, struct err_msg *m);

/* send_fetch.c */
int	fetch_documents(struct talk *t, struct rbuf *m, struct err_msg *em);

/* send_bulk.c */
void	bulk_push(struct talk *t, uint16_t type, struct buf *b);
void	bulk_pump(struct talk *t);
void	bulk_free(struct talk *t);
/* Hold the answer back while something waits to be sent; NULL: it is over. */
void	bulk_hold(struct talk *t, struct http_call *call);
/* Wait until at most `bytes` wait; 0 or ERR_CANCELLED. */
int	bulk_wait(struct talk *t, size_t bytes);
/*
 * Messages in the making: `piece` is empty at first, and what was put last is
 * sent by bulk_out() with the flags of its end.  SNAP: bytes that may be cut
 * anywhere; data NULL: there is no such document.
 */
void	bulk_begin(struct buf *piece, uint16_t type, uint32_t request);
void	bulk_out(struct talk *t, struct buf *piece, uint16_t type,
	    uint8_t flags);
void	bulk_bytes(struct talk *t, struct buf *piece, const void *data,
	    size_t n);
void	bulk_pair(struct talk *t, struct buf *piece, uint32_t request,
	    const void *key, size_t len, uint64_t rev);
void	bulk_doc(struct talk *t, struct buf *piece, uint32_t request,
	    uint32_t index, const void *data, size_t n);

#endif
