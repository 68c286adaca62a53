/*
 * agency.h - the agency as coordinators and DB-servers use it.
 *
 * One struct agency per process.  It knows the agent's address, sends reads
 * and write transactions, hands out cluster-wide ids, registers the server and
 * sends its heartbeats, and keeps a local copy of the whole key space, fed by
 * a fiber that long-polls /_api/agency/poll.
 *
 * Functions marked "waits" must be called inside a fiber.  Deadlines are
 * loop_now_ms() times, FIBER_FOREVER for none.  When the agent is down or
 * paused they try again until the deadline; a write whose answer was lost is
 * looked up with its client id (inquire) before it is sent again, so that it
 * is executed once.
 *
 * Order of calls: agency_new, agency_start (poller), agency_wait_ready,
 * agency_register, agency_heartbeat_start.
 *
 *	struct agency_trx t;
 *
 *	agency_trx_init(&t);
 *	agency_set(&t, def, "/arango/Plan/Collections/%s/%s", db, cid);
 *	agency_increment(&t, 1, "/arango/Plan/Version");
 *	agency_if_empty(&t, true, "/arango/Plan/Collections/%s/%s", db, cid);
 *	r = agency_commit(a, &t, deadline, &index);
 *	if (r == 0)
 *		r = agency_wait_index(a, index, deadline);
 *
 * Facts: arangod/Agency/Store.cpp, AgencyComm.cpp, ClusterFeature.cpp, and
 * recorded agency dumps.
 */
#ifndef SANDBOX_AGENCY_H
#define SANDBOX_AGENCY_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

#include "ev/fiber.h"

struct agency;
struct sb_server;

/*
 * base: address of the agent, "http://127.0.0.1:8549".  server_id: PRMR-... or
 * CRDN-...; it begins the client ids of our writes.
 */
int	agency_new(struct sb_server *s, const char *base,
	    const char *server_id, struct agency **out);
/* Stops the fibers it started; they end at their next wake. */
void	agency_free(struct agency **a);

/* ---- the local copy ----------------------------------------------------- */

/* Start the poller; returns at once. */
void	agency_start(struct agency *a);
/* Until the local copy is complete.  0 or ERR_TIMEOUT.  Waits. */
int	agency_wait_ready(struct agency *a, uint64_t deadline_ms);
/*
 * The value at a path ("/arango/Plan/Version") of the local copy, or NULL.
 * Borrowed and never to be changed; it is valid until the fiber waits, unless
 * the caller takes a reference (values that others replace stay intact, but
 * what is below them may still change).
 */
struct json_object *agency_peek(struct agency *a, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
/* Log index up to which the local copy is true; 0 before it is complete. */
uint64_t agency_index(const struct agency *a);
/* Until agency_index() >= index.  0 or ERR_TIMEOUT.  Waits. */
int	agency_wait_index(struct agency *a, uint64_t index,
	    uint64_t deadline_ms);
/* Broadcast after each change of the local copy. */
struct fiber_cond *agency_changed(struct agency *a);
/*
 * Call fn(arg, path) for each key that a log entry wrote or removed, after the
 * copy has it and before agency_changed(); path is normalised
 * ("/arango/Plan/Version").  "/" means that anything may have changed (the
 * copy was read afresh).  fn must not wait.
 */
void	agency_watch(struct agency *a, void (*fn)(void *arg, const char *path),
	    void *arg);
/* Is the agent answering?  False after a poll failed. */
bool	agency_is_reachable(const struct agency *a);

/* ---- reads -------------------------------------------------------------- */

/*
 * One read transaction on the agent itself: paths until NULL.  *out is the
 * answer with its whole nesting, caller puts it.  0, ERR_TIMEOUT, or
 * ERR_PROTOCOL when the agent refuses.  Waits.
 */
int	agency_read(struct agency *a, uint64_t deadline_ms,
	    struct json_object **out, const char *path, ...)
	    __attribute__((sentinel));
/* Walk down a tree by path; NULL when a level is missing.  Borrowed. */
struct json_object *agency_walk(struct json_object *tree, const char *path);

/* ---- write transactions ------------------------------------------------- */

struct agency_trx {
	struct json_object	*ops;	/* path -> operation */
	struct json_object	*pre;	/* path -> precondition */
};

void	agency_trx_init(struct agency_trx *t);
void	agency_trx_free(struct agency_trx *t);
/* Operations.  Values are consumed (the reference is taken over).  One
 * operation per path; a later one on the same path replaces it. */
void	agency_set(struct agency_trx *t, struct json_object *value,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* ... that vanishes after ttl_s seconds. */
void	agency_set_ttl(struct agency_trx *t, struct json_object *value,
	    unsigned ttl_s, const char *fmt, ...)
	    __attribute__((format(printf, 4, 5)));
void	agency_delete(struct agency_trx *t, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
void	agency_increment(struct agency_trx *t, int64_t step,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void	agency_push(struct agency_trx *t, struct json_object *value,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Remove every element of the array that equals value. */
void	agency_erase(struct agency_trx *t, struct json_object *value,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Replace elements that equal old by value. */
void	agency_replace(struct agency_trx *t, struct json_object *old,
	    struct json_object *value, const char *fmt, ...)
	    __attribute__((format(printf, 4, 5)));
/* Preconditions: all must hold, or nothing is done. */
void	agency_if_old(struct agency_trx *t, struct json_object *value,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void	agency_if_not_old(struct agency_trx *t, struct json_object *value,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* empty true: the path does not exist; false: it exists. */
void	agency_if_empty(struct agency_trx *t, bool empty,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The array contains value. */
void	agency_if_in(struct agency_trx *t, struct json_object *value,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * Send and wait for the commit; t is freed in every case.  index (may be NULL)
 * gets the log index of the transaction.
 *	0		committed
 *	ERR_BAD_STATE	a precondition did not hold; nothing was done
 *	ERR_TIMEOUT	the agent could not be reached until the deadline;
 *			whether it was done is unknown
 *	ERR_PROTOCOL	refused as malformed
 * Waits.
 */
int	agency_commit(struct agency *a, struct agency_trx *t,
	    uint64_t deadline_ms, uint64_t *index);

/*
 * n consecutive cluster-wide unique ids, *first is the lowest.  Taken from
 * blocks of /arango/Sync/LatestID, so it waits only when the block is used
 * up.  0 or ERR_TIMEOUT.  Waits.
 */
int	agency_ids(struct agency *a, uint32_t n, uint64_t *first,
	    uint64_t deadline_ms);

/* ---- this server -------------------------------------------------------- */

enum agency_role {
	AGENCY_DBSERVER,
	AGENCY_COORDINATOR
};

/*
 * Enter this server: Plan and Current DBServers or Coordinators, short name,
 * Current/ServersRegistered; raises its rebootId.  Call once per start.
 * endpoint as arangod writes it: tcp://127.0.0.1:8539 or ssl://...
 * 0 or ERR_TIMEOUT.  Waits.
 */
int	agency_register(struct agency *a, enum agency_role role,
	    const char *endpoint, uint64_t deadline_ms);
/* Valid after agency_register(): "DBServer0001"; its number, 1; reboot id. */
const char *agency_short_name(const struct agency *a);
unsigned agency_short_number(const struct agency *a);
uint64_t agency_reboot_id(const struct agency *a);
const char *agency_server_id(const struct agency *a);

/*
 * Send heartbeats ({"status":..,"time":..} into the transient store) from now
 * on, twice a second.  status is copied: STARTUP, SERVING, ...
 */
void	agency_heartbeat_start(struct agency *a, const char *status);
void	agency_heartbeat_status(struct agency *a, const char *status);
/* Monotonic time of the last heartbeat that was acknowledged; 0: none. */
uint64_t agency_last_heartbeat_ms(const struct agency *a);

#endif
