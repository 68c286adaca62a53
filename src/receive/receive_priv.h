/*
 * receive_priv.h - what the parts of the process share.
 *
 *	receive.c		messages, life of the process
 *	receive_run.c		the fiber: subscribe, stream, cuts
 *	receive_apply.c		a fold to the target until it is there
 *	receive_repair.c	both sides made the same at a cut (R9)
 *	receive_fetch.c		documents by key; owed keys (R13)
 *	receive_state.c		steps, record, status
 *	receive_idle.c		leaving when there is nothing to do (R24)
 *
 * One fiber does everything that waits, in the order in which things came, so
 * there is one writer of the shard and one request in flight (R16).  Callbacks
 * of connections fill the inbox and wake it.
 *
 * Functions of the fiber return 0 or why the subscription ends:
 *	ERR_CANCELLED	the process is to stop
 *	ERR_CLOSED	the source or the link ended it
 *	ERR_BAD_STATE	we end it; r->why tells; subscribe again at once or
 *			after a while
 *	ERR_STORAGE	the pair has failed; r->why tells; in a minute again
 */
#ifndef RECEIVE_RECEIVE_PRIV_H
#define RECEIVE_RECEIVE_PRIV_H

#include "arango/write.h"
#include "ev/backoff.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "ipc/peer.h"
#include "receive/receive.h"
#include "receive/receive_inbox.h"
#include "receive/receive_record.h"
#include "sync/commit.h"
#include "sync/fold.h"
#include "sync/owed.h"

/* A subscription: what was said so far. */
struct subscription {
	uint32_t	 id;
	bool		 open;
	bool		 resumed;
	struct channel_resume resume;
	bool		 repair;
	char		 repair_why[256];
	bool		 has_cut;
	struct channel_cut cut;
	bool		 caught_up;
	bool		 snap_ended;
	uint64_t	 snap_documents;
	bool		 closed;	/* by the source, or the link was lost */
	char		 closed_why[256];
	int		 bad;		/* what was wrong with a message */
};

enum place {
	PLACE_NONE,
	PLACE_ASKED,
	PLACE_HERE
};

/* How a batch came to be: what a conflict is worth. */
enum apply_mode {
	APPLY_STREAM,		/* records, or documents of a repair */
	APPLY_OWED		/* what was fetched for owed keys */
};

/* MSG_WORKER_COMPARE_REQ under way. */
struct comparing {
	bool		 wanted, asked;
	bool		 again;		/* in its second subscription */
	uint32_t	 id;
	uint64_t	 deadline_ms;
};

/* What takes long, or much, to reach.  Tests set others, before receive_main(),
 * to see what happens then. */
struct receive_limits {
	uint64_t	 round_pairs;	/* of a comparison, and the memory */
	size_t		 pairs_bytes;	/* that they may take here */
	uint32_t	 suspect_ms;	/* R16 */
	uint32_t	 long_ms;	/* of struct shard */
	struct fold_opts fold;
};
extern struct receive_limits receive_limits;

struct receive {
	struct receive_conf conf;
	char		 name[256];		/* channel_name_text() */
	struct worker	*w;
	struct loop	*loop;
	struct arango	*cluster;
	struct shard	 shard;
	char		 why[256];

	/* life */
	struct fiber_cond wake;
	bool		 stopping, abandoned, left;
	struct loop_timer *stop_timer;

	/* where to */
	struct worker_target target;
	bool		 target_known;
	uint64_t	 target_changes;	/* of who leads */
	bool		 target_moved;		/* in a repair: begin anew */
	char		 repair[256];		/* repair whatever is recorded */

	/* link */
	struct peer	*link;
	bool		 link_up;
	struct subscription sub;
	struct inbox	 in;
	struct backoff	 again;		/* subscribing */
	char		 refused[256];	/* by the source, until it answers */
	uint64_t	 applied_said;
	bool		 stalled_said, stalled_known;
	uint32_t	 request;	/* last number of DIFF and FETCH */

	/* applying */
	struct fold	*fold;		/* records */
	struct fold	*docs_fold;	/* documents without a log */
	uint64_t	 floor;		/* of the first one */
	bool		 applying;	/* one of them is being worked on */
	struct inbox_lines lines;	/* that the fold points into, */
	struct buf	 batch;		/* or documents */
	struct buf	 body;
	struct buf	 scratch;
	uint64_t	 batch_number;		/* of commit.h */
	uint64_t	 unknown_batch;		/* sent, and nobody knows; 0 */
	bool		 unput;			/* last_pos is in no batch */
	/*
	 * A file says that requests may be under way: who is killed then has
	 * left one of unknown outcome behind (R16).
	 */
	char		*busy_path;
	bool		 busy, in_request;
	uint64_t	 busy_ms;
	uint64_t	 put_ms;
	struct sync_pos	 last_pos;	/* boundary that was applied last */
	bool		 log_ended;	/* 2000, 2001 */
	struct backoff	 retry;
	char		 error[512];	/* of the target, while it lasts */
	char		 disk[512];	/* of our own disk, while it lasts */
	bool		 awaits_room;	/* ... and nothing goes on */
	unsigned int	 foreign;	/* votes for an index that the source
					 * has not */

	/* recording */
	struct commit	*commit;
	struct owed	*owed;
	char		*record_path, *applied_dir;
	struct receive_record record;
	bool		 has_record;
	bool		 progressed;
	bool		 unrecorded;	/* committed, and not on disk */
	uint64_t	 recorded_ms;
	struct loop_timer *settle_timer;

	/* repair, verification */
	enum place	 place;
	bool		 verify_asked;
	bool		 filled;	/* this repair began with nothing */
	bool		 repairing;
	uint64_t	 repair_done, repair_total;
	struct comparing comparing;
	struct backoff	 owed_again;
	uint64_t	 owed_ms;	/* next fetch */
	uint64_t	 lines_ms;	/* records came last */
	uint64_t	 ended_ms;	/* log_ended since */

	/* leaving */
	struct loop_timer *idle_timer;
	uint64_t	 active_ms;	/* something happened */
	uint64_t	 link_messages;	/* of the present connection */
	bool		 asks, asleep;

	/* for the status */
	struct loop_timer *status_timer;
	uint64_t	 records, removed, bytes, lag_us;
	uint64_t	 last_message_us, last_change_us, subscribed_us;
};

/* ---- receive_state.c ---------------------------------------------------- */

/* Feed an event; logs and publishes.  false: the table has no such edge. */
bool	receive_event(struct receive *r, enum shard_event event,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Set r->why, return err. */
int	receive_because(struct receive *r, int err, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
bool	receive_is_running(const struct receive *r);
/* Make the status anew, soon. */
void	receive_status(struct receive *r);
/* The trouble with the target, logged when it is a new one; NULL: gone. */
void	receive_trouble(struct receive *r, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
void	receive_trouble_over(struct receive *r);

void	receive_open_files(struct receive *r);
/* Everything up to this boundary is applied. */
void	receive_applied(struct receive *r, const struct sync_pos *pos);
/* Record what has settled (R14, R15) and tell the source. */
void	receive_settle(struct receive *r);
void	receive_settle_soon(struct receive *r);
/* A request that writes begins, and has been answered (R16).  Waits while that
 * cannot be noted on a full disk; 0 or ERR_CANCELLED. */
int	receive_request_begins(struct receive *r);
void	receive_request_ends(struct receive *r);
/* None is under way: all is quiet, or we leave. */
void	receive_quiet(struct receive *r);
/* Records up to the tick are in what is here already. */
void	receive_set_floor(struct receive *r, uint64_t tick);
/* Durable: a repair changes the shard (R9). */
int	receive_mark_repairing(struct receive *r);
int	receive_store(struct receive *r);
/*
 * Something could not be noted because the disk is full (err): tells it, and
 * waits a little, for another try; ERR_CANCELLED when there is none.  err 0:
 * it can be.
 */
int	receive_await_room(struct receive *r, int err, const char *what);

/* ---- receive_idle.c ----------------------------------------------------- */

void	receive_idle_start(struct receive *r);
int	receive_on_leave(struct msg_in *in);	/* MSG_WORKER_LEAVE_ANS */

/* ---- receive.c ---------------------------------------------------------- */

/* To the source, by link, for the present subscription. */
void	receive_up(struct receive *r, uint16_t type, struct buf *b);
void	receive_up_text(struct receive *r, uint16_t type, const char *text);
void	receive_credit(struct receive *r);
/* To link: applied through the tick; only when something is new. */
void	receive_say_applied(struct receive *r, uint64_t tick);
void	receive_ask_place(struct receive *r);
void	receive_free_place(struct receive *r);
void	receive_leave(struct receive *r);

/* ---- receive_run.c ------------------------------------------------------ */

void	receive_life(void *arg);
/* Has the subscription ended?  0, or why. */
int	receive_ended(struct receive *r);
/* Until something happens or the time has come. */
void	receive_wait(struct receive *r, uint64_t deadline_ms);

/* ---- receive_apply.c ---------------------------------------------------- */

/* Who leads the target's shard, waiting for it; the caller's `to` is filled. */
int	receive_target(struct receive *r, struct arango_write_to *to);
/* r->lines, which are of a WAL. */
int	receive_apply_lines(struct receive *r);
/* Everything that was put into the fold; empties it. */
int	receive_apply_fold(struct receive *r, struct fold *f,
	    enum apply_mode mode);
/*
 * After a trouble with the target: wait, look for the leader.  ERR_CANCELLED
 * when there is no time for another try.
 */
int	receive_recover(struct receive *r, enum arango_reaction how);

/* ---- receive_repair.c --------------------------------------------------- */

/* The cut that has come, everything before it being applied. */
int	receive_repair(struct receive *r);
int	receive_compare(struct receive *r);
void	receive_compare_failed(struct receive *r, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));

/* ---- receive_fetch.c ---------------------------------------------------- */

/* Documents in r->batch, to be put or removed. */
struct doc_batch {
	struct doc_at {
		size_t	 end;		/* in r->batch */
		bool	 removal;
	}		*docs;
	size_t		 n, cap;
};
void	doc_batch_free(struct doc_batch *d);
/* {"_key":..} for the removal of a key. */
void	doc_batch_remove(struct receive *r, struct doc_batch *d,
	    const void *key, size_t len);
/* Apply what was gathered. */
int	doc_batch_apply(struct receive *r, struct doc_batch *d,
	    enum apply_mode mode);
/* The next piece of this type for the request, its head read. */
int	receive_piece(struct receive *r, uint16_t type, uint32_t request,
	    struct inbox_piece **piece, struct rbuf *m, uint8_t *flags);
/* Fetch n keys (put_bytes() each) and put what comes. */
int	receive_fetch(struct receive *r, const struct buf *keys, uint32_t n,
	    enum apply_mode mode);
/* Fetch owed keys, when it is time. */
int	receive_owed(struct receive *r);

#endif
