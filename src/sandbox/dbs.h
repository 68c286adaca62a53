/*
 * dbs.h - what the files of a DB-server (dbs_*.c) share.
 *
 * How a write goes
 *
 *	A request runs in a fiber.  From the check that we lead the shard until
 *	its operations are in the store's pending batch and in the queues to
 *	the followers, the fiber does not wait: so the queues have the
 *	operations of a shard in the order in which the leader executed them.
 *	At the end of the loop iteration one task commits what all requests
 *	did (dbs_commit_wait()); only then followers get it (dbs_stream.c).
 *	The answer waits for every server that stands in Current.
 *
 * Who may acknowledge what
 *
 *	1. The agency makes a server leader only if it stands in
 *	   Current/.../servers at that moment.
 *	2. A leader acknowledges a write when each server that stands there has
 *	   it: a follower counts from before it is entered (JOINING) until its
 *	   removal is committed (DROPPING).
 *	3. A change of Current by the leader has the Plan's list as
 *	   precondition.  When the Plan names somebody else, the leader is
 *	   deposed: it answers 1491, and what it wrote last stays behind as a
 *	   phantom until it has synced with the new leader.
 *	4. A new leader, also after a restart, enters itself alone; the others
 *	   sync again.  So operations that reached one follower and not
 *	   another can never stay different.
 *	5. A follower takes operations only in a session that it began itself
 *	   by a sync with that leader (epoch); a session ends when the Plan
 *	   names another leader, when the leader forgot it, or by a restart.
 *	   Requests that were given up and execute late are thus refused.
 */
#ifndef SANDBOX_DBS_H
#define SANDBOX_DBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/map.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "sandbox/agency.h"
#include "sandbox/child.h"
#include "sandbox/cluster.h"
#include "sandbox/dbserver.h"
#include "sandbox/docop.h"
#include "sandbox/rpc.h"
#include "sandbox/server.h"
#include "sandbox/store.h"
#include "sandbox/store_clients.h"
#include "vpack/rev.h"

#define DBS_AGENCY_MS		60000	/* patience with the agency */
#define DBS_TRX_BYTES_MAX	((size_t)128 << 20)
/*
 * A request that writes more is committed in pieces of this size, where
 * arangod has 512 MiB and a million operations: it has threads, here the server
 * is deaf as long as a piece takes, and after 5 s it counts as dead.
 */
#define DBS_PIECE_BYTES		((size_t)64 << 20)
#define DBS_PIECE_OPS		10000
/* Elements of a request whose answer has got longer are refused: a short list
 * of keys may ask for the same large document a million times. */
#define DBS_ANSWER_BYTES_MAX	((size_t)1 << 30)

struct dbs_stream;
struct dbs_shard;
struct dbs_trx;

struct dbs {
	struct sb_child		*child;
	struct loop		*loop;
	struct sb_server	*server;
	struct agency		*agency;
	struct cluster		*cluster;
	struct store		*store;
	struct store_clients	*clients;	/* who holds our WAL */
	const char		*id;		/* ours: PRMR-... */
	struct hlc		 clock;
	bool			 stopping;
	int			 exit_code;	/* enum proc_exit */

	/* group commit */
	struct loop_task	 commit_task;
	struct loop_timer	*merge_timer;	/* NULL: no merge window */
	struct loop_timer	*sync_timer;
	bool			 commit_sync;	/* somebody waits for a sync */
	uint64_t		 round;		/* of what is being written */
	uint64_t		 committed;	/* rounds up to this are */
	struct fiber_cond	 commit_done;

	struct map		 streams;	/* server id -> dbs_stream */
	struct map		 sources;	/* leader id -> dbs_source */
	struct map		 trxs;		/* id -> dbs_trx */
	unsigned		 syncs;		/* of shards, under way */
	struct fiber_cond	 plan_changed;	/* wakes maintenance */
};

static inline struct dbs *
dbs_of(const struct sb_req *r)
{
	return sb_server_data(r->server);
}

/*
 * Later stamps are larger than this revision, unless a client restored one
 * from a far future: the clock must not run out of numbers for it.
 */
void	dbs_clock_receive(struct dbs *d, uint64_t rev);

/* ---- group commit ---------------------------------------------------- */

/* The store has failed to write: end the process, answering nobody. */
void	dbs_storage_failed(struct dbs *d) __attribute__((noreturn));

/*
 * Ask for the commit of what is pending at the end of this iteration (or merge
 * window); returns its round.
 */
uint64_t dbs_commit_request(struct dbs *d, bool sync);
/* Until what was pending before the call is committed (and synced).  Waits. */
void	dbs_commit_wait(struct dbs *d, bool sync);

/* ---- shards ---------------------------------------------------------- */

enum dbs_role {
	DBS_NONE,		/* not yet, or deposed */
	DBS_LEADER,
	DBS_RESIGNED,		/* the Plan told us to let go */
	DBS_FOLLOWER
};

enum dbs_follower_state {
	DBS_SYNCING,		/* gets writes, nobody waits for it */
	DBS_JOINING,		/* about to be entered into Current */
	DBS_IN_SYNC,		/* stands in Current */
	DBS_DROPPING		/* about to be taken out; gets nothing */
};

/* An answer that waits for followers. */
struct dbs_wait {
	unsigned	 pending;
	bool		 deposed;
	struct fiber	*fiber;
};

struct dbs_follower {
	char			*id;
	uint64_t		 epoch;
	enum dbs_follower_state	 state;
	struct dbs_wait		**waits;	/* for the end of DROPPING */
	size_t			 nwaits;
};

struct dbs_index_error {
	uint64_t	 id;
	int		 errnum;
	char		*text;
};

/* Hangs at store_shard.user; ours as long as somebody has a reference. */
struct dbs_shard {
	unsigned		 refs;
	struct dbs		*d;
	struct store_shard	*sh;		/* NULL: dropped */
	char			*db;
	char			*name;
	char			*guid;
	uint64_t		 cid;
	struct docop_coll	 coll;		/* name is ours */
	char			*coll_name;
	struct docop_keygen	 keys;
	bool			 keys_scanned;	/* for the largest */
	bool			 wait_for_sync;
	int			 write_concern;

	enum dbs_role		 role;
	uint64_t		 term;		/* counts changes of role */
	/* as a leader */
	struct dbs_follower	*followers;
	size_t			 nfollowers;
	struct json_object	*known;		/* Current's servers, as we
						 * last wrote them */
	struct fiber_mutex	 current_lock;	/* of changes of Current */
	unsigned		 writing;	/* requests under way */
	struct fiber_cond	 idle;
	bool			 exclusive;	/* a truncate is under way */
	struct fiber_cond	 unlocked;
	/* as a follower */
	char			*leader;	/* of the session, or NULL */
	uint64_t		 epoch;
	bool			 in_sync;
	bool			 syncing;
	bool			 all_touched;	/* truncated meanwhile */
	struct map		 touched;	/* keys written meanwhile */
	bool			 sync_running;
	uint64_t		 sync_after_ms;	/* not before */

	/* of maintenance */
	bool			 acting;	/* an action is under way */
	bool			 report;	/* Current has to be told */
	struct json_object	*definition;	/* Plan's, as last looked at */
	struct dbs_index_error	*index_errors;
	size_t			 nindex_errors;
	uint64_t		 index_retry_ms;
};

/* For a shard of the store; made when it is first seen. */
struct dbs_shard *dbs_shard_of(struct dbs *d, struct store_shard *sh);
/* NULL: not here. */
struct dbs_shard *dbs_shard_find(struct dbs *d, const char *db,
	    const char *name);
struct dbs_shard *dbs_shard_by_guid(struct dbs *d, const char *guid);
struct dbs_shard *dbs_shard_ref(struct dbs_shard *s);
void	dbs_shard_unref(struct dbs_shard **s);
/* The store's shard is about to be dropped. */
void	dbs_shard_gone(struct dbs_shard *s);
/* Read what the rules need from the definition again. */
void	dbs_shard_update(struct dbs_shard *s);
/* Plan's entry of this moment, or NULL. */
const struct cl_shard *dbs_shard_plan(struct dbs_shard *s,
	    const struct cl_collection **col);
/* May it be written (errnum): 1491, 1004. */
int	dbs_shard_check_leader(struct dbs_shard *s);
int	dbs_shard_check_write(struct dbs_shard *s, struct sb_req *r);
/* Until no truncate is under way; the shard may be gone then.  Waits. */
void	dbs_shard_wait_unlocked(struct dbs_shard *s);

/* --- Current (dbs_current.c) --- */

/* Become leader, alone.  0, AE_SHARD_LEADER_RESIGNED, ERR_TIMEOUT.  Waits. */
int	dbs_shard_take(struct dbs_shard *s);
/* The Plan told us to resign: no writes from now on; enters "_<id>".  Waits. */
void	dbs_shard_resign(struct dbs_shard *s);
/* Not leader any more, for whatever reason; waiting answers get 1491. */
void	dbs_shard_demote(struct dbs_shard *s);
/* Write the entry again (indexes, followers).  0 or errnum.  Waits. */
int	dbs_shard_report(struct dbs_shard *s);

/* --- followers (dbs_current.c) --- */

struct dbs_follower *dbs_follower_find(struct dbs_shard *s, const char *id);
/*
 * Something failed in the session: end it.  One in Current is taken out; w
 * (may be NULL) waits for that.  Does not wait itself.
 */
void	dbs_follower_fail(struct dbs_shard *s, const char *id, uint64_t epoch,
	    struct dbs_wait *w);
/* Begin a session: it gets all writes from now on.  Waits when it has to be
 * taken out of Current first; the shard may have changed meanwhile. */
int	dbs_follower_begin(struct dbs_shard *s, const char *id,
	    uint64_t epoch);
/* Enter it into Current.  *index of the agency.  errnum.  Waits. */
int	dbs_follower_join(struct dbs_shard *s, const char *id, uint64_t epoch,
	    uint64_t *index);

/* ---- writes (dbs_write.c) -------------------------------------------- */

/*
 * The operations of one request on one shard, or those that a request adds to
 * a stream transaction.  Between begin and end the fiber must not wait.
 */
struct dbs_batch {
	struct dbs		*d;
	struct dbs_shard	*s;
	struct dbs_trx		*trx;		/* NULL: of its own */
	enum store_tx_kind	 kind;
	struct store_tx		*tx;
	bool			 encode;	/* somebody follows */
	struct buf		 ops;
	size_t			 nops;
	uint16_t		 index;		/* of the shard, in trx */
};

void	dbs_batch_begin(struct dbs_batch *b, struct dbs_shard *s,
	    enum store_tx_kind kind, struct dbs_trx *trx);
/* As store_put(); replicate false leaves followers out (R11). */
int	dbs_batch_put(struct dbs_batch *b, const uint8_t *doc,
	    struct store_conflict *c, bool *existed, bool replicate);
int	dbs_batch_remove(struct dbs_batch *b, const char *key, size_t klen,
	    uint64_t *rev);
/*
 * Hand it to the store and to the followers' queues; w counts who has to
 * confirm.  Nothing for a stream transaction.  0 or ERR_STORAGE.
 */
int	dbs_batch_end(struct dbs_batch *b, bool sync, struct dbs_wait *w);
/* Until it is committed here and confirmed by everybody in Current.  0 or
 * AE_SHARD_LEADER_RESIGNED.  Waits. */
int	dbs_wait_finish(struct dbs *d, struct dbs_wait *w, bool sync);
void	dbs_wait_resolve(struct dbs_wait *w, bool deposed);
/* Empty a shard that is locked by us; errnum.  Waits. */
int	dbs_truncate(struct dbs_shard *s, bool sync);

/* ---- the queue to a follower (dbs_stream.c) -------------------------- */

/* Encoded operations, shared by the queues of several followers. */
struct dbs_group {
	unsigned		 refs;
	enum store_tx_kind	 kind;
	uint64_t		 tid;
	bool			 sync;
	size_t			 nshards;
	struct dbs_shard	**shards;	/* references */
	struct buf		 ops;
};

/*
 * Queue operations to all followers of the shards; takes ops over.  With an
 * empty ops and only != NULL: a barrier for that follower.
 */
void	dbs_replicate(struct dbs *d, enum store_tx_kind kind, uint64_t tid,
	    struct dbs_shard *const *shards, size_t nshards, struct buf *ops,
	    bool sync, const char *only, struct dbs_wait *w);
/* Something was committed: queues may send it. */
void	dbs_streams_wake(struct dbs *d);
void	dbs_streams_free(struct dbs *d);

/* How operations are written; read by dbs_apply.c. */
enum {
	DBS_OP_PUT	= 'P',
	DBS_OP_REMOVE	= 'R',
	DBS_OP_TRUNCATE	= 'T'
};

void	dbs_encode_put(struct buf *b, uint16_t shard, const uint8_t *doc);
void	dbs_encode_remove(struct buf *b, uint16_t shard, const char *key,
	    size_t klen);
void	dbs_encode_truncate(struct buf *b, uint16_t shard);

/* ---- stream transactions (dbs_trx.c) --------------------------------- */

struct dbs_trx {
	uint64_t		 id;
	char			*db;
	struct store_tx		*tx;		/* NULL: ended */
	const char		*status;
	bool			 busy;
	bool			 doomed;	/* abort it when not busy */
	bool			 sync;		/* a shard wants waitForSync */
	uint64_t		 idle_since_ms;
	size_t			 nshards;
	struct dbs_shard	**shards;	/* written; references */
	struct buf		 ops;		/* for followers */
};

/*
 * The transaction that the request names, busy until dbs_trx_leave(); *out is
 * NULL when it names none.  0, or answered and -1.  Waits.
 */
int	dbs_trx_enter(struct sb_req *r, struct dbs_trx **out);
void	dbs_trx_leave(struct dbs *d, struct dbs_trx *t);	/* or NULL */
/* Index of a shard in its table; put there when it is new. */
uint16_t dbs_trx_shard(struct dbs_trx *t, struct dbs_shard *s);
/* Abort those that wrote to a shard that we do not lead any more. */
void	dbs_trx_abort_shard(struct dbs *d, const struct dbs_shard *s);
void	dbs_trx_expire(struct dbs *d);
void	dbs_trx_free_all(struct dbs *d);

/* ---- following (dbs_apply.c, dbs_sync.c) ----------------------------- */

void	dbs_apply_free(struct dbs *d);
/* End the session of a follower. */
void	dbs_session_end(struct dbs_shard *s);
/* A key was written in the session while it syncs. */
void	dbs_touch(struct dbs_shard *s, const char *key, size_t klen);
bool	dbs_is_touched(struct dbs_shard *s, const char *key, size_t klen);
/* Begin to sync the shard with its leader, in a fiber of its own. */
void	dbs_sync_start(struct dbs_shard *s, const char *leader);

/* ---- maintenance (dbs_maintenance.c) --------------------------------- */

/* After a start: out of Current as a follower, before the first heartbeat.
 * 0 or ERR_TIMEOUT.  Waits. */
int	dbs_maintenance_forget(struct dbs *d);
void	dbs_maintenance_start(struct dbs *d);
/* At the end of the process. */
void	dbs_maintenance_stop(struct dbs *d);
/* A JSON value as VelocyPack, appended; 0 or negative. */
int	dbs_json_to_vpack(struct json_object *o, struct buf *out);
/* A VelocyPack value as json-c tree; caller puts it. */
struct json_object *dbs_vpack_to_json(const uint8_t *slice);

/* ---- small things for handlers --------------------------------------- */

/* Answer an errnum as arangod's transactions do; shard is for the text. */
void	dbs_error(struct sb_req *r, int errnum, const char *shard);
/* The shard of a request or NULL, answered 404/1203. */
struct dbs_shard *dbs_req_shard(struct sb_req *r, const char *name);
/* The body as checked VelocyPack object; 0, or answered and -1. */
int	dbs_body_object(struct sb_req *r, struct buf *b);
unsigned dbs_json_flags(struct dbs *d);
/* Everything that is known of a shard; caller puts it. */
struct json_object *dbs_shard_properties(const struct dbs_shard *s);

/* --- documents by key (dbs_read.c) --- */
#define DBS_REV_TEXT	"conflict, _rev values do not match"
/* Revision of if-match, if-none-match; 0: absent, REV_INVALID: none. */
uint64_t dbs_header_rev(struct sb_req *r, const char *name);
/* 412 with what is stored. */
void	dbs_reply_precondition(struct sb_req *r, const struct dbs_shard *s,
	    const char *key, size_t klen, uint64_t rev);
void	dbs_get_document(struct sb_req *r);
void	dbs_read_many(struct sb_req *r, const char *name);

/* Fiber: documents expire (dbs_ttl.c). */
void	dbs_ttl_main(void *arg);

extern const struct sb_route dbs_document_routes[];
extern const struct sb_route dbs_trx_routes[];
extern const struct sb_route dbs_scan_routes[];
extern const struct sb_route dbs_apply_routes[];
extern const struct sb_route dbs_sync_routes[];
extern const struct sb_route dbs_collection_routes[];
extern const struct sb_route dbs_wal_routes[];
extern const struct sb_route dbs_replication_routes[];
extern const struct sb_route dbs_admin_routes[];
extern const struct sb_route dbs_ttl_routes[];

#endif
