/* control_incoming_priv.h - what the files of control_incoming share */
#ifndef MASTER_CONTROL_INCOMING_PRIV_H
#define MASTER_CONTROL_INCOMING_PRIV_H

#include "base/map.h"
#include "master/control_incoming.h"
#include "master/control_workers.h"
#include "sync/barrier.h"
#include "sync/channel.h"
#include "sync/shard.h"
#include "worker/worker.h"

#define INCOMING_STATE		CONTROL_ROOT "/synchronizationState"
#define INCOMING_KEY		INCOMING_STATE "/incoming"
#define INCOMING_X		CONTROL_ROOT "/x/incoming"
#define INCOMING_SHARDS		CONTROL_ROOT "/x/incomingShards"

#define INCOMING_LINK		"link source"
#define INCOMING_INVENTORY	"inventory target"

struct arango_topology;
struct incoming_barrier;
struct incoming_shard;
struct incoming_source;

/* A comparison that somebody waits for, on the stack of that fiber. */
struct incoming_compare {
	struct fiber	*fiber;
	struct incoming_shard *shard;	/* until it is done */
	uint32_t	 id;
	bool		 done;
	int		 err;
	char		 text[512];
	uint64_t	 differ;
	char		 source[128], target[128];	/* sums */
};

/* A collection that can be replicated, as the target's inventory says. */
struct incoming_pair {
	char		*db, *coll, *target_coll;
	char		 cid[24], target_cid[24];
	uint64_t	 cid_number;
	uint32_t	 nshards;
	bool		 lineage, seen;
	struct incoming_shard *shards;
};

struct incoming_shard {
	struct control_incoming *in;
	struct incoming_pair *pair;
	uint32_t	 index;
	char		*name;		/* "db/coll/3" */
	struct control_worker *w;	/* NULL: not started yet */
	uint64_t	 since_us;	/* started */
	bool		 told;		/* it knows target */
	bool		 has_leader;	/* target names one */
	struct buf	 target;	/* as it was told: worker_target_put() */
	/* A place to repair. */
	bool		 waits, has_place;
	uint32_t	 place_id;
	struct incoming_shard *next_waiting;
	enum shard_state stored;	/* as in the agency */
	struct incoming_compare *compare;	/* that is under way */
	char		*repair;	/* to be told when it has come back */
	bool		 in_sync;	/* equal, behind a barrier */
	bool		 differs;	/* the barrier has found so */
};

struct control_incoming {
	struct control	*c;
	unsigned	 refs;
	bool		 ended;		/* we do not lead any more */
	bool		 loaded;	/* the agency was read */
	struct arango_cancel cancel;	/* ends what waits, with ended */
	struct fiber_cond wake;		/* of the main fiber */
	bool		 woken;

	bool		 active;	/* something is configured */
	/*
	 * What it is now, and what the agency keeps, which is what was reached:
	 * who has just begun to lead knows of no shard, and does not take that
	 * back before it does.
	 */
	enum shard_state state, stored;
	bool		 configuring;	/* one request at a time */
	struct json_object *conf;	/* synchronizationState.incoming */
	struct json_object *x;		/* x.incoming */
	bool		 aborted;	/* the source was not told */
	bool		 ring;		/* we are a source of our source */

	/* While active and not cancelling. */
	bool		 running;	/* workers were started */
	uint64_t	 since_us;	/* ... then */
	struct incoming_source *source;
	struct control_worker *link, *inventory;
	bool		 has_plan;	/* inventory has told pairs */
	uint64_t	 plan;
	int64_t		 pending;
	struct json_object *notes;
	struct map	 pairs;		/* "db/coll" -> struct incoming_pair */
	size_t		 nshards;
	size_t		 places;	/* in use */
	struct incoming_shard *waiting, **waiting_end;
	uint64_t	 link_ms;	/* the source was heard */
	uint64_t	 written_ms;	/* shard states, last time */
	struct map	 forgotten;	/* shard keys to be removed */
	char		 trouble[512];	/* what hinders all, or "" */

	struct incoming_barrier *barrier;	/* or NULL */
	bool		 stopping;	/* its fiber runs */
	struct incoming_ask *telling;	/* ... and tells the source, or NULL */
	struct fiber_cond stopped;	/* some, all, or it became urgent */
	size_t		 leaving;	/* workers that were told to stop */
};

/* ---- control_incoming.c ------------------------------------------------- */

struct control_incoming *incoming_hold(struct control_incoming *in);
void	incoming_release(struct control_incoming **in);
/* Of a call: held, or NULL and 503 in *status. */
struct control_incoming *incoming_of(struct control_call *call,
	    struct json_object **out, int *status);
/* Look again at everything, soon. */
void	incoming_wake(struct control_incoming *in);
/* Write, as long as we lead; waits. */
int	incoming_write(struct control_incoming *in, struct agency_trx *t,
	    struct err_msg *m);
/* Take over what was stored; both objects are taken. */
void	incoming_set_conf(struct control_incoming *in,
	    struct json_object *conf, struct json_object *x);
const char *incoming_source_id(const struct control_incoming *in);
/* What all parts together are; in->trouble says what hinders. */
enum shard_state incoming_judge(struct control_incoming *in);
/* Workers of all kinds stop: in->leaving of them are still there, and each
 * that is gone is told by in->stopped. */
void	incoming_workers_stop(struct control_incoming *in);
/* The target's inventory begins anew, with what x says now. */
void	incoming_inventory_restart(struct control_incoming *in);
/* in->source from what is stored. */
int	incoming_open_source(struct control_incoming *in, struct err_msg *m);
/* The link has to know new endpoints or credentials. */
void	incoming_tell_link(struct control_incoming *in);

/* ---- control_incoming_source.c ------------------------------------------ */

/*
 * The masters of the source.  conf: {source, authentication}.  0, or negative
 * with a sentence about what is wrong with it.
 */
int	incoming_source_new(struct control *c, struct json_object *conf,
	    struct incoming_source **s, struct err_msg *m);
/*
 * What a master says of others is not kept as it comes: a new list of those
 * that can be used, and not more than some dozens; NULL: there is none.
 */
struct json_object *incoming_endpoints(struct json_object *list);
/* More of them, behind those that are known; true when one was new. */
bool	incoming_source_add(struct incoming_source *s,
	    struct json_object *list);
/* The endpoints as "https://host:port"; NULL behind the last. */
const char *incoming_source_endpoint(const struct incoming_source *s,
	    size_t i);
/* Fiber: asks the source now and then which masters it has. */
void	incoming_discover(void *in);
/* Whoever waits gets ERR_CANCELLED. */
void	incoming_source_free(struct incoming_source **s);

struct incoming_ask {
	const char	*method;	/* NULL: GET */
	const char	*path;
	const char	*body;		/* JSON or NULL */
	uint32_t	 timeout_ms;	/* of one try; 0: 20 s */
	uint64_t	 until_ms;	/* of all tries, of the loop; 0: none */
	int		 status;	/* out: of the answer, 0: none */
	struct incoming_waiting *waiting;	/* while one is under way */
};
/*
 * Ask them in turn until one answers with other than 5xx.  0 for 200, with the
 * object (may be NULL: not of interest); ERR_HTTP for another status;
 * ERR_CANCELLED; or what the transport said.  Waits.
 */
int	incoming_source_call(struct incoming_source *s, struct incoming_ask *q,
	    struct json_object **out, struct err_msg *m);
/* Whoever waits for it gets ERR_CANCELLED; NULL, or nobody waits: nothing. */
void	incoming_ask_cancel(struct incoming_ask *q);

/* ---- control_incoming_upstream.c ---------------------------------------- */

/* So many clusters behind each other are looked at. */
#define INCOMING_HOPS_MAX	16

/* Ask the source, and let it ask so many more.  Waits. */
void	incoming_upstream_ask(struct control_incoming *in, unsigned hops);
/* "upstream" of what a master tells of itself, or of x; the caller's. */
struct json_object *incoming_upstream_take(struct json_object *info);
bool	incoming_upstream_has(struct json_object *list, const char *id);

/* ---- control_incoming_pairs.c ------------------------------------------- */

/* MSG_WORKER_PAIRS; the object stays the caller's. */
void	incoming_pairs_take(struct control_incoming *in,
	    struct json_object *o);
void	incoming_pairs_stop(struct control_incoming *in);
struct incoming_shard *incoming_shard_find(const struct control_incoming *in,
	    const char *db, const char *coll, uint32_t index);
enum shard_state incoming_shard_state(const struct incoming_shard *s);
/* Why it is not running, in words; "" when it is. */
const char *incoming_shard_error(const struct incoming_shard *s);
size_t	incoming_count(const struct control_incoming *in,
	    enum shard_state state);
/* "<db>:<coll>:<index>" for the agency; free() it. */
char	*incoming_shard_key(const struct incoming_shard *s);
/* All shards in order: start with pair and i 0. */
#define INCOMING_EACH_PAIR(in, it, p)					\
	for (map_iter_start(&(in)->pairs, &(it)); map_iter_next(&(it)) && \
	    ((p) = (it).value, 1); )

/* ---- control_incoming_shard.c -------------------------------------------- */

/* Start some that have not been started. */
void	incoming_pairs_start(struct control_incoming *in);
void	incoming_topology(struct control *c, struct arango_topology *t);
/* Receives that sleep are started (R24): the link is new, and knows nothing of
 * them; or this one is wanted. */
void	incoming_pairs_wake(struct control_incoming *in);
void	incoming_shard_wanted(struct control_incoming *in,
	    const struct channel_name *name);
/* Its process ends; remove: its record is not needed any more. */
void	incoming_shard_stop(struct incoming_shard *s, bool remove);

/* ---- control_incoming_repair.c ------------------------------------------- */

/*
 * Compare one shard at a cut, at most within ms.  0 and both sums, or negative
 * with a sentence in cmp->text.  The shard may be gone afterwards.  Waits.
 */
int	incoming_compare(struct incoming_shard *s, uint64_t ms,
	    struct incoming_compare *cmp);
/* All that are under way fail. */
void	incoming_compare_cancel(struct control_incoming *in);
/* Repair it, whatever was recorded. */
int	incoming_repair(struct incoming_shard *s, const char *why);
/* What waited until its process is there. */
void	incoming_tell_repair(struct incoming_shard *s);
/* The one who waits for a comparison hears that. */
void	incoming_compare_end(struct incoming_shard *s, int err,
	    const char *text);
/* It does not repair any more; those who wait are given what is free. */
void	incoming_place_free(struct incoming_shard *s);
void	incoming_places_give(struct control_incoming *in);
/* Messages of a receive. */
int	incoming_on_place_req(struct msg_in *msg);
int	incoming_on_place_free(struct msg_in *msg);
int	incoming_on_compare_ans(struct msg_in *msg);

/* ---- control_incoming_status.c ------------------------------------------ */

/* Entry of link's status about a DB-server of the source, or NULL. */
struct json_object *incoming_link_server(const struct control_incoming *in,
	    const char *id);

/* ---- control_incoming_guard.c ------------------------------------------- */

/* Fiber: the own cluster stays read-only and without TTL (R18). */
void	incoming_guard(void *in);
/* The opposite, for good.  Waits. */
int	incoming_unguard(struct control_incoming *in, bool readonly,
	    struct err_msg *m);

/* ---- control_incoming_stop.c -------------------------------------------- */

/* Fiber: goes on with a stop that is in x.stop. */
void	incoming_stop_run(void *in);

/* ---- control_incoming_barrier.c ----------------------------------------- */

/* Give it up: without a word to the source, whose lease ends. */
void	incoming_barrier_drop(struct control_incoming *in);
/* For the status: what it does; NULL when there is none.  The caller's. */
struct json_object *incoming_barrier_info(struct control_incoming *in);

#endif
