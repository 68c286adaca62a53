/* control_outgoing_priv.h - what the files of control_outgoing share */
#ifndef MASTER_CONTROL_OUTGOING_PRIV_H
#define MASTER_CONTROL_OUTGOING_PRIV_H

#include "arango/topology.h"
#include "base/map.h"
#include "ev/fiber.h"
#include "master/control_incoming.h"
#include "master/control_outgoing.h"
#include "master/control_workers.h"
#include "sync/channel.h"
#include "sync/position.h"

#define OUTGOING_STATE		CONTROL_ROOT "/synchronizationState"
#define OUTGOING_KEY		OUTGOING_STATE "/outgoing"
#define OUTGOING_BARRIER	CONTROL_ROOT "/x/barrier"
#define OUTGOING_LEADERS	CONTROL_ROOT "/x/leaders"
#define OUTGOING_INVENTORY	"inventory source"

#define OUTGOING_ID_SIZE	64	/* of a cluster id */
/* A tail stays that long when its server leads nothing any more. */
#define OUTGOING_IDLE_MS	((uint64_t)5 * 60 * 1000)
/* A collection is gone when two readings so far apart say so (R19). */
#define OUTGOING_GONE_MS	10000

struct out_target;

/* Reads the WAL of one DB-server for one target. */
struct out_tail {
	struct out_target *t;
	char		 server[POS_SERVER_SIZE];
	char		 url[256];
	uint64_t	 reboot_id;
	uint64_t	 idle_ms;	/* leads nothing since; 0: it does */
	struct control_worker *worker;
};

/* The source's end of one shard. */
struct out_send {
	struct out_target *t;
	struct channel_name name;
	char		 coll[288], shard[64], cuid[96];
	char		 server[POS_SERVER_SIZE];
	char		 url[256];
	uint64_t	 reboot_id;
	uint64_t	 leader_changes;
	uint64_t	 gone_ms;	/* not in the Plan since; 0: is */
	bool		 remove;	/* its queue, when it has ended */
	bool		 stop;		/* --mq.quota: it queues no more */
	struct control_worker *worker;
};

enum out_state {
	OUT_INITIALIZING, OUT_INITIAL_SYNC, OUT_RUNNING, OUT_CANCELLING
};

/* The source is read-only for a target that stops (R22). */
struct out_barrier {
	struct fiber_mutex mutex;	/* one change at a time */
	bool		 active;	/* stored in the agency */
	bool		 previous;	/* mode before: true is read-only */
	uint64_t	 lease_ms;
	uint64_t	 until_ms;	/* then the mode is restored */
	bool		 restoring;	/* a fiber does */
};

struct out_target {
	struct control_outgoing *o;
	char		 id[OUTGOING_ID_SIZE];
	char		 suffix[16];	/* of its processes' names */
	struct json_object *endpoints;	/* list of its masters */
	bool		 session;
	uint64_t	 session_ms;	/* last change of that */
	enum out_state	 state;
	enum out_state	 stored_state;
	bool		 dirty;		/* to be written */
	bool		 removed;	/* not in the map any more */
	bool		 cancelling;	/* a fiber ends it */
	bool		 scanned;	/* its queues were looked at */
	struct map	 ownerless;	/* name of a queue whose collection is
					 * not there -> u64 since when */
	bool		 mode_given, readonly_after;	/* asked for */
	struct map	 tails;		/* server id -> out_tail */
	struct map	 sends;		/* channel_name_text() -> out_send */
	size_t		 leaving;	/* processes that are being stopped */
	struct fiber_cond left;
	struct out_barrier barrier;
	struct out_target *next_removed;
};

/* Who led a shard last, and how often that has changed (R5). */
struct out_leader {
	char		 server[POS_SERVER_SIZE];
	uint64_t	 changes;	/* from 1 */
	bool		 dirty;
};

/* One period of leading; fibers hold it, and processes until they are gone. */
struct control_outgoing {
	struct control	*c;
	unsigned	 refs;
	bool		 ended;
	struct arango_cancel cancel;
	struct arango_agency *agency;
	struct map	 targets;	/* id -> out_target */
	struct out_target *removed;	/* kept until the end */
	struct map	 leaders;	/* "cid/index" -> out_leader */
	struct map	 forgotten;	/* cids whose leaders are of the past */
	struct map	 closed;	/* id -> u64 until when it is refused */
	struct control_worker *inventory;
	struct loop_timer *tick;
	bool		 asking;	/* for the version */
	uint64_t	 asked_ms;
	bool		 flushing;
	uint64_t	 flushed_ms;
	bool		 over_quota;	/* all queues together */
};

/* ---- control_outgoing.c ------------------------------------------------- */

struct control_outgoing *outgoing_hold(struct control_outgoing *o);
void	outgoing_release(struct control_outgoing **o);
/* Found by the rest of the path of a call behind prefix: "<id>" or
 * "<id>/what"; *rest is "what" or "".  NULL with the answer in *status. */
struct out_target *outgoing_of_call(struct control_call *call,
	    const char *prefix, const char **rest, struct json_object **out,
	    int *status);
/* "initial-sync" */
const char *outgoing_state_name(enum out_state s);
enum out_state outgoing_state_of(const char *name);
bool	outgoing_is_id(const char *s);
struct out_target *outgoing_target_new(struct control_outgoing *o,
	    const char *id);
/* Now it has processes. */
void	outgoing_target_begin(struct control_outgoing *o,
	    struct out_target *t);
/* End it for good; what was asked for (server mode) is in t. */
void	outgoing_cancel(struct out_target *t);

/* ---- control_outgoing_store.c ------------------------------------------- */

/* As it is kept in the agency; the caller's. */
struct json_object *outgoing_target_json(const struct out_target *t);
/* Write, as long as we lead (R23): who was taken for dead changes nothing that
 * the next one has made.  Waits. */
int	outgoing_write(struct control_outgoing *o, struct agency_trx *t,
	    struct err_msg *m);
/* Write what is dirty, soon. */
void	outgoing_flush(struct control_outgoing *o);
/* Begin what is in the agency. */
void	outgoing_load(struct control_outgoing *o);
/* The list of strings at `name`, or an empty one; the caller's. */
struct json_object *outgoing_strings(struct json_object *o,
	    const char *name);

/* ---- control_outgoing_shards.c ------------------------------------------ */

/* A new topology, or a new target. */
void	outgoing_shards_look(struct control_outgoing *o,
	    struct arango_topology *t);
/* A channel is wanted; NULL, or why it cannot be had (static or in m). */
const char *outgoing_want(struct out_target *t,
	    const struct channel_name *name, struct err_msg *m);
void	outgoing_shards_tick(struct out_target *t, uint64_t now_ms);
/* All processes of the target; t->leaving counts those not gone yet. */
void	outgoing_shards_stop(struct out_target *t);
/* initializing, initial-sync or running, as the sends say. */
enum out_state outgoing_shards_state(const struct out_target *t);
const char *outgoing_send_state(const struct out_send *s);
char	*outgoing_queue_dir(const struct out_target *t);
void	outgoing_leader_free(void *leader);
/* Name of a queue's directory (queue_channel_name()); false: it is none. */
bool	outgoing_queue_parse(const char *name, uint64_t *cid,
	    uint32_t *shard);

/* ---- control_outgoing_quota.c ------------------------------------------- */

void	outgoing_quota_tick(struct control_outgoing *o);
/* It is connected (again): does it have to stop? */
void	outgoing_quota_tell(struct out_send *x);

/* ---- control_outgoing_api.c --------------------------------------------- */

/* What others are told about us: GET /_x/v1/info; the caller's. */
struct json_object *outgoing_identity(const struct control *c);

/* ---- control_outgoing_barrier.c ----------------------------------------- */

void	outgoing_barrier_load(struct out_target *t, struct json_object *o);
void	outgoing_barrier_tick(struct out_target *t, uint64_t now_ms);
/* Give the mode back that was stored, or that was asked for.  0, or negative
 * with a sentence.  Waits. */
int	outgoing_barrier_end(struct out_target *t, struct err_msg *m);

#endif
