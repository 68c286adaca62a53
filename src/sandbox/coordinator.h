/*
 * coordinator.h - what the files of a coordinator (crd_*.c) share: its state,
 * collections as the cached Plan has them, and requests to the leader of a
 * shard.
 *
 * A handler finds its collection with crd_coll_get(), which answers 404/1203
 * itself, and holds a reference: the struct never changes, a new Plan makes
 * new ones.  So a handler that has waited may hold a collection that has been
 * dropped, moved or changed since; crd_shard_call() looks up the leader anew
 * for each attempt and says ERR_NOT_FOUND when the collection is gone.
 */
#ifndef SANDBOX_COORDINATOR_H
#define SANDBOX_COORDINATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "base/buf.h"
#include "sandbox/child.h"
#include "sandbox/rpc.h"
#include "sandbox/server.h"

struct cluster;
struct crd_transactions;
struct crd_cursors;

/* State of this process; sb_server_data() of its server. */
struct crd {
	struct sb_child		*child;
	struct sb_server	*server;
	struct loop		*loop;
	struct cluster		*cluster;	/* cached Plan and Current */
	uint64_t		 next_server;	/* round robin of new shards */
	uint64_t		 tick;		/* of inventories */
	/* of crd_transaction.c and crd_cursor.c; made on first use */
	struct crd_transactions	*transactions;
	struct crd_cursors	*cursors;
};

static inline struct crd *
crd_of(const struct sb_req *r)
{
	return sb_server_data(r->server);
}

/* ---- collections --------------------------------------------------------- */

enum crd_coll_type {
	CRD_DOCUMENT	= 2,
	CRD_EDGE	= 3
};

/* One collection of the cached Plan.  Read only. */
struct crd_coll {
	unsigned	 refs;
	char		*db;
	char		*id;		/* "10049" */
	char		*name;
	enum crd_coll_type type;
	bool		 is_system;
	bool		 wait_for_sync;
	bool		 is_satellite;
	unsigned	 nshards;
	char		**shards;	/* names, ordered by their number */
	size_t		 nkeys;
	char		**shard_keys;
	bool		 sharded_by_key;	/* shard keys are just _key */
	bool		 allow_user_keys;
	const char	*key_type;	/* "traditional", "autoincrement", .. */
	struct json_object *def;	/* its Plan entry, not to be changed */
};

/* By name or by id; NULL when the cached Plan has none.  A reference. */
struct crd_coll *crd_coll_find(struct crd *c, const char *db,
	    const char *name);
/* As above; NULL: 404/1203 has been answered. */
struct crd_coll *crd_coll_get(struct sb_req *r, const char *name);
struct crd_coll *crd_coll_ref(struct crd_coll *coll);
void	crd_coll_unref(struct crd_coll *coll);	/* NULL: nothing */

/* ---- shards ---------------------------------------------------------------- */

/* How long operations wait for a leader, as arangod's default does. */
#define CRD_SHARD_TIMEOUT_MS	60000

enum {
	/*
	 * The request may be executed twice: it is sent again when the
	 * connection broke and nobody knows whether it was executed.  Without
	 * it such a break ends the call: status 0, resp->errnum 1465.
	 */
	CRD_IDEMPOTENT		= 1 << 8,
	/* 404/1203 of the leader is an answer, not a shard still to come. */
	CRD_NO_RETRY_1203	= 1 << 9
};

/*
 * One request about shard number `shard` of coll to its leader of the moment
 * (Current), to path behind /_db/<db> (already encoded; it names the shard
 * itself).  While there is no leader, it refuses (421, 503 with 1491, 1495,
 * 1496, 1478, 406 with 1489 or 1490), is not there or does not have the shard
 * yet, it is tried again with the leader of that moment until
 * loop_now_ms() >= deadline_ms.  flags: SB_CALL_* of rpc.h and CRD_*.
 *
 * Returns the HTTP status of the last answer, whatever it is; 0 with
 * resp->errnum 1465 (outcome unknown), 1457 (deadline without a leader), 1203
 * (collection gone).  Free resp with sb_resp_free() in any case.  Waits.
 */
int	crd_shard_call(struct crd *c, const struct crd_coll *coll,
	    unsigned shard, const char *method, const char *path,
	    const char *extra_headers, const void *body, size_t body_len,
	    unsigned flags, uint64_t deadline_ms, struct sb_resp *resp);

/* Answer r with the failure of such a call: forwards the answer of the leader
 * when there was one, else the error of resp->errnum. */
void	crd_reply_failure(struct sb_req *r, struct sb_resp *resp);

/*
 * The same for several shards at once.  calls[i].path is sent to shard
 * calls[i].shard, all together; returns when all have ended.  resp of each is
 * set as by crd_shard_call(), and must be freed by the caller of each.
 */
struct crd_call {
	unsigned	 shard;
	const char	*method;
	const char	*path;
	const char	*headers;	/* may be NULL */
	const void	*body;
	size_t		 body_len;
	int		 status;	/* out */
	struct sb_resp	 resp;		/* out */
	/* of crd_shard_calls() */
	struct crd	*c;
	const struct crd_coll *coll;
	unsigned	 flags;
	uint64_t	 deadline_ms;
};

void	crd_shard_calls(struct crd *c, const struct crd_coll *coll,
	    struct crd_call *calls, size_t ncalls, unsigned flags,
	    uint64_t deadline_ms);

/* ---- servers ------------------------------------------------------------- */

/* "http://127.0.0.1:8539" of a server id or short name; NULL: unknown.  Valid
 * until the fiber waits. */
const char *crd_server_base(struct crd *c, const char *id);
/*
 * The coordinator with that number (the 2 of coordinator2), as used in ids of
 * cursors and transactions; its id is put in *id.  NULL: none.
 */
const char *crd_coordinator_base(struct crd *c, unsigned number,
	    const char **id);
/* A new id of the cluster-wide number space, 0 when the agency is away.
 * Waits. */
uint64_t crd_new_id(struct crd *c);
/* Read-only mode of this server and a caller without superuser rights. */
bool	crd_is_readonly_for(struct sb_req *r);

/* ---- routes ---------------------------------------------------------------- */

extern const struct sb_route crd_database_routes[];
extern const struct sb_route crd_collection_routes[];
extern const struct sb_route crd_index_routes[];
extern const struct sb_route crd_admin_routes[];
extern const struct sb_route crd_inventory_routes[];
extern const struct sb_route crd_misc_routes[];
/* Of the documents' side: */
extern const struct sb_route crd_document_routes[];
extern const struct sb_route crd_import_routes[];
extern const struct sb_route crd_cursor_routes[];
extern const struct sb_route crd_transaction_routes[];

/* Told once at the start, before requests come. */
void	crd_cursor_start(struct crd *c);
void	crd_transaction_start(struct crd *c);

#endif
