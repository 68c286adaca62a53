/*
 * agency.h - the agency of a cluster: consistent reads, conditional writes,
 * waiting for changes, and a lease.
 *
 * Agents are found through the endpoints they were given, the configuration of
 * any agent, or the health answer of a coordinator; the leader by asking.  A
 * lost or moved leader is found again inside each call, within its deadline.
 *
 * Facts: source reference, section 3.  All functions but the builders wait.
 */
#ifndef ARANGO_AGENCY_H
#define ARANGO_AGENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct arango;
struct arango_agency;
struct arango_cancel;
struct json_object;

/* cancel may be NULL; it ends every call that waits. */
struct arango_agency *arango_agency_new(struct arango *a,
	    struct arango_cancel *cancel);
void	arango_agency_free(struct arango_agency **ag);
/* An agent to ask first; any spelling of the endpoint. */
int	arango_agency_add(struct arango_agency *ag, const char *endpoint,
	    struct err_msg *m);
/* How long a call looks for a leader; default 30 s. */
void	arango_agency_set_patience(struct arango_agency *ag, uint64_t ms);
struct arango *arango_agency_cluster(const struct arango_agency *ag);

/*
 * Read paths in one transaction.  *out is the object with the whole nesting
 * from the root ({"arango":{...}}; what is missing is missing); the caller's.
 */
int	arango_agency_read(struct arango_agency *ag, const char *const *paths,
	    size_t npaths, struct json_object **out, struct err_msg *m);
/* The value at one path; *out NULL when it is not there. */
int	arango_agency_get(struct arango_agency *ag, const char *path,
	    struct json_object **out, struct err_msg *m);

/* ---- writing ------------------------------------------------------------ */

/*
 * A transaction.  Values stay the caller's.  Preconditions are checked and
 * the changes made in one step.
 *
 *	struct agency_trx	 t = AGENCY_TRX_INIT;
 *
 *	agency_trx_set(&t, "/arangodb/x/leader", value, 30);
 *	agency_trx_pre_empty(&t, "/arangodb/x/leader", true);
 *	r = arango_agency_write(ag, &t, NULL, &m);
 *	agency_trx_free(&t);
 */
struct agency_trx {
	struct buf	 ops, pre;
	char		 client[48];	/* clientId, made by the first write */
};
#define AGENCY_TRX_INIT	{ BUF_INIT, BUF_INIT, "" }

/* ttl_s 0: for ever. */
void	agency_trx_set(struct agency_trx *t, const char *path,
	    struct json_object *value, uint32_t ttl_s);
void	agency_trx_set_text(struct agency_trx *t, const char *path,
	    const char *json, uint32_t ttl_s);
void	agency_trx_delete(struct agency_trx *t, const char *path);
void	agency_trx_increment(struct agency_trx *t, const char *path);
void	agency_trx_pre_old(struct agency_trx *t, const char *path,
	    struct json_object *value);
void	agency_trx_pre_old_not(struct agency_trx *t, const char *path,
	    struct json_object *value);
void	agency_trx_pre_empty(struct agency_trx *t, const char *path,
	    bool empty);
void	agency_trx_free(struct agency_trx *t);

/*
 * 0 when it was committed (*index, may be NULL: its number in the log);
 * ERR_BAD_STATE when a precondition failed; others: not done, or not known
 * even after asking (ERR_TIMEOUT).  A write whose answer was lost is looked up
 * by its clientId before it is sent again, so that it never happens twice.
 */
int	arango_agency_write(struct arango_agency *ag, struct agency_trx *t,
	    uint64_t *index, struct err_msg *m);
/*
 * The general form: a list of transactions as JSON text; the list of results
 * comes back (caller's).  One try at the leader, no repetition after an unknown
 * outcome.
 */
int	arango_agency_transact(struct arango_agency *ag, const char *json,
	    size_t len, struct json_object **out, struct err_msg *m);

/* ---- waiting ------------------------------------------------------------ */

struct agency_poll {
	uint64_t		 commit_index;	/* poll again from one more */
	/* the whole key space when the index was 0 or too old, else NULL */
	struct json_object	*whole;
	/* list of {"index","query":{path: op}}, NULL with whole */
	struct json_object	*log;
};
/*
 * Committed changes from log number `index` on (0: everything), or an empty
 * list after timeout_s.  ERR_VERSION: this agency cannot poll.
 */
int	arango_agency_poll(struct arango_agency *ag, uint64_t index,
	    uint32_t timeout_s, struct agency_poll *p, struct err_msg *m);
void	agency_poll_free(struct agency_poll *p);

/*
 * Wait until something below one of the prefixes ("/arango/Plan", ended by
 * NULL) may have changed since the last call with this watch, or timeout_ms
 * passed.  1: changed (also at the first call and after any doubt), 0: not,
 * negative.  Long poll where there is one, otherwise the version counters of
 * Plan and Current and Sync/UserVersion once a second.
 */
struct agency_watch {
	const char *const	*prefixes;
	uint64_t		 next;		/* log number; 0: look anew */
	bool			 by_version;	/* no long poll here */
	uint64_t		 versions[3];
};
#define AGENCY_WATCH_INIT(p)	{ .prefixes = (p) }
int	arango_agency_wait(struct arango_agency *ag, struct agency_watch *w,
	    uint64_t timeout_ms, struct err_msg *m);

/* ---- lease -------------------------------------------------------------- */

/*
 * A key with a ttl that one of several candidates holds: leader election.
 * value must differ between candidates.  The lease is held until until_ms of
 * the monotonic clock, counted from before the request went out, so we think it
 * over before the agency does.
 */
struct agency_lease {
	const char		*path;
	struct json_object	*value;		/* the caller's */
	uint32_t		 ttl_s;
	bool			 held;
	uint64_t		 until_ms;
};
/*
 * 0: it is ours now.  ERR_EXISTS: somebody else's; *other (may be NULL) gets
 * the value there, the caller's.  `adopt`: an entry that equals our value is
 * ours (a restart on the same data directory, R23), else it counts as somebody
 * else's.
 */
int	arango_lease_take(struct arango_agency *ag, struct agency_lease *l,
	    bool adopt, struct json_object **other, struct err_msg *m);
/*
 * 0; ERR_BAD_STATE: lost to somebody else or run out, and held is false.
 * Any other error: not known, still held until until_ms.
 */
int	arango_lease_renew(struct arango_agency *ag, struct agency_lease *l,
	    struct err_msg *m);
/* Give it back; 0 also when it was lost before. */
int	arango_lease_release(struct arango_agency *ag, struct agency_lease *l,
	    struct err_msg *m);
bool	arango_lease_is_held(const struct agency_lease *l, uint64_t now_ms);

#endif
