/*
 * coordinator.h - what the files of a coordinator (crd_*.c) share: its state,
 * how a request finds its collection, and requests to the leader of a shard.
 *
 * Collections are cluster.h's: immutable, a change of the Plan makes new ones.
 * A handler that waits holds a reference, and may then hold one that has been
 * dropped, moved or changed since: crd_shard_call() looks up the leader anew
 * for each attempt and says so when the collection is gone.
 */
#ifndef SANDBOX_COORDINATOR_H
#define SANDBOX_COORDINATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "base/buf.h"
#include "ev/fiber.h"
#include "sandbox/agency.h"
#include "sandbox/child.h"
#include "sandbox/cluster.h"
#include "sandbox/rpc.h"
#include "sandbox/server.h"
#include "vpack/rev.h"

struct crd_transactions;
struct crd_cursors;
struct crd_query;

/* State of this process; sb_server_data() of its server. */
struct crd {
	struct sb_child		*child;
	struct sb_server	*server;
	struct loop		*loop;
	struct agency		*agency;
	struct cluster		*cluster;	/* cached Plan and Current */
	uint64_t		 next_server;	/* round robin of new shards */
	struct fiber_mutex	 plan_lock;	/* one change of ours at a time */
	struct hlc		 names;		/* clock of index names */
	/* of crd_transaction.c and crd_cursor.c */
	struct crd_transactions	*transactions;
	struct crd_cursors	*cursors;
	/* of crd_query.c */
	struct crd_query	*queries;
	uint64_t		 next_query;
};

static inline struct crd *
crd_of(const struct sb_req *r)
{
	return sb_server_data(r->server);
}

/* ---- collections --------------------------------------------------------- */

/*
 * A reference to the collection of that name or id in the request's database,
 * cl_collection_unref() when done.  NULL: 404/1203 has been answered.
 */
const struct cl_collection *crd_collection_get(struct sb_req *r,
	    const char *name);
/* Shard keys are just _key. */
bool	crd_sharded_by_key(const struct cl_collection *col);
/* keyOptions.allowUserKeys and keyOptions.type ("traditional", ...). */
bool	crd_allows_user_keys(const struct cl_collection *col);
const char *crd_key_type(const struct cl_collection *col);

/* ---- shards ---------------------------------------------------------------- */

/* How long operations wait for a leader. */
#define CRD_SHARD_TIMEOUT_MS	60000

enum {
	/*
	 * The request may be executed twice: it is sent again when the
	 * connection broke and nobody knows whether it was executed.  Without
	 * it such a break ends the call: status 0, resp->errnum 1465.
	 */
	CRD_IDEMPOTENT		= 1 << 8,
	/* 404/1203 of the leader is an answer, not a shard still to come. */
	CRD_NO_RETRY_1203	= 1 << 9,
	/* One attempt only: for shards that a transaction has begun on. */
	CRD_NO_RETRY		= 1 << 10
};

/*
 * One request about shard number `shard` of col to its leader of the moment
 * (Current), to path behind /_db/<db> (encoded, begins with '/'; it names the
 * shard itself).  While there is no leader, it refuses (421, 503 or 406 with
 * 1491, 1495, 1496, 1478, 1489, 1490, 30), cannot be reached or does not have
 * the shard yet, it is tried again with the leader of that moment until
 * loop_now_ms() >= deadline_ms.  flags: SB_CALL_* of rpc.h and CRD_*.
 *
 * Returns the HTTP status of the last answer, whatever it is; 0 with
 * resp->errnum 1465 (outcome unknown), 1457 (deadline without a leader), 1203
 * (collection gone).  Free resp with sb_resp_free() in any case.  Waits.
 */
int	crd_shard_call(struct crd *c, const struct cl_collection *col,
	    size_t shard, const char *method, const char *path,
	    const char *extra_headers, const void *body, size_t body_len,
	    unsigned flags, uint64_t deadline_ms, struct sb_resp *resp);

/*
 * Several such requests at once; returns when all have ended.  status and resp
 * of each are as of crd_shard_call(); the caller frees each resp.
 */
struct crd_call {
	size_t		 shard;
	const char	*method;
	const char	*path;
	const char	*headers;	/* may be NULL */
	const void	*body;
	size_t		 body_len;
	int		 status;	/* out */
	struct sb_resp	 resp;		/* out */
	/* of crd_shard_calls() */
	struct crd	*c;
	const struct cl_collection *col;
	unsigned	 flags;
	uint64_t	 deadline_ms;
};

void	crd_shard_calls(struct crd *c, const struct cl_collection *col,
	    struct crd_call *calls, size_t ncalls, unsigned flags,
	    uint64_t deadline_ms);
/*
 * The common case: the same request to every shard.  path has one %s, where
 * the name of the shard goes.  The result has col->nshards members;
 * crd_calls_free() frees it.
 */
struct crd_call *crd_all_shards(struct crd *c, const struct cl_collection *col,
	    const char *method, const char *path, const char *headers,
	    const void *body, size_t body_len, unsigned flags,
	    uint64_t deadline_ms);
/* The first of n that did not end with 2xx; NULL: all did. */
struct crd_call *crd_calls_failed(struct crd_call *calls, size_t n);
void	crd_calls_free(struct crd_call *calls, size_t n);

/* Answer r with the failure of a call: what the leader answered when it did,
 * else the error of resp->errnum. */
void	crd_reply_failure(struct sb_req *r, struct sb_resp *resp);

/* ---- servers ------------------------------------------------------------- */

/*
 * Base URL of the coordinator with that short number (the 2 of
 * Coordinator0002), as used in ids of cursors and transactions; its id is put
 * in *id (may be NULL).  NULL: none.  Valid until the fiber waits.
 */
const char *crd_coordinator_base(struct crd *c, unsigned number,
	    const char **id);
/* Our own number there. */
unsigned crd_own_number(struct crd *c);
/* A new id of the cluster-wide number space, 0 when the agency is away.
 * Waits. */
uint64_t crd_new_id(struct crd *c);
/* Is this cluster read-only for the caller (superusers are not stopped)? */
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
extern const struct sb_route crd_query_routes[];
extern const struct sb_route crd_transaction_routes[];

/* Of the documents' side; called once, before requests come. */
void	crd_cursor_start(struct crd *c);
void	crd_transaction_start(struct crd *c);

#endif
