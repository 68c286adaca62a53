/*
 * agency_store.h - the agency's key space as a data structure: a tree of
 * JSON, transactions on it, keys that expire, and the log of what was done.
 * No network, no clock, no disk: the agent (agent.c) adds those, and servers
 * keep their local copy in one (agency.c).
 *
 * The tree.  Objects are inner nodes; everything else, arrays included, is a
 * value.  A path is split at '/', empty parts are dropped, so "a//b/" is
 * "/a/b".  Keys inside of objects that are written are split the same way.
 *
 * A write transaction is done whole or not at all: everything that depends on
 * its form is looked at by agency_store_validate() before anything runs, and
 * what an operation finds wrong in the tree undoes those before it.
 *
 * Reading and writing never change a value in place except for objects, so a
 * scalar or an array may be kept by reference.
 *
 * Facts: arangod/Agency/Store.cpp, Node.cpp, Agent.cpp and what arangod's
 * tests of the agency expect.
 */
#ifndef SANDBOX_AGENCY_STORE_H
#define SANDBOX_AGENCY_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "base/err.h"

/* Levels below the root, of paths and of what is stored there; json-c frees
 * and prints trees recursively. */
#define AGENCY_DEPTH_MAX	100
/* Entries of the log that can still be polled and inquired. */
#define AGENCY_LOG_KEEP		10000

struct agency_store;

struct agency_store *agency_store_new(void);
void	agency_store_free(struct agency_store **s);
/* Forget the tree and its expiry times; the log stays. */
void	agency_store_clear(struct agency_store *s);

/* ---- paths -------------------------------------------------------------- */

/* "/a/b" of "a//b/"; "/" for the root.  The caller frees it. */
char	*agency_path_normalize(const char *path);

/*
 * The value at a path, NULL when it is not there.  JSON null cannot be told
 * from that: agency_store_has().  Borrowed; changes with the next write.
 */
struct json_object *agency_store_get(struct agency_store *s, const char *path);
bool	agency_store_has(struct agency_store *s, const char *path);

/* ---- reading ------------------------------------------------------------ */

/*
 * One read transaction: paths is an array of strings (checked by the caller).
 * Returns one object with the whole nesting (or another value, when the root
 * is one); a missing path ends at its deepest ancestor that exists.  Keys that
 * begin with '.' are left out, unless a path names one.
 */
struct json_object *agency_store_read(struct agency_store *s,
	    struct json_object *paths);
/* Everything, those keys included (a deep copy). */
struct json_object *agency_store_dump(struct agency_store *s);
/* path -> time in seconds since 1970. */
struct json_object *agency_store_dump_ttl(struct agency_store *s);

/* ---- writing ------------------------------------------------------------ */

/*
 * Is trx a write transaction: [ops], [ops, preconditions], [ops,
 * preconditions, clientId]?  ERR_FORMAT or ERR_TOO_BIG with a sentence in m.
 */
int	agency_store_validate(struct json_object *trx, struct err_msg *m);
/* Does the transaction touch the agency's own keys ("/.agency")? */
bool	agency_store_is_forbidden(struct json_object *trx);

/*
 * Check the preconditions (NULL: none).  0, or ERR_BAD_STATE; then *failed (may
 * be NULL) gets an array of the keys that failed, as they were written.
 */
int	agency_store_check(struct agency_store *s, struct json_object *pre,
	    struct json_object **failed);
/*
 * Carry out operations.  now_ms (since 1970) is where ttl counts from.
 * ERR_RANGE: an operation does not fit what is there; ERR_TOO_BIG: too deep;
 * ERR_FORMAT: agency_store_validate() would not have passed them.  Nothing was
 * changed then.
 */
int	agency_store_apply(struct agency_store *s, struct json_object *ops,
	    uint64_t now_ms);

/*
 * Operations that delete all keys whose time has come, to be applied (and
 * logged) by the caller; NULL: none.
 */
struct json_object *agency_store_expired(struct agency_store *s,
	    uint64_t now_ms);

/* ---- the log ------------------------------------------------------------ */

struct agency_entry {
	uint64_t	 index;
	uint64_t	 term;
	uint64_t	 epoch_ms;	/* when, since 1970 */
	char		*client_id;	/* "" without one */
	struct json_object *query;	/* the operations */
};

/*
 * Append.  The index follows the last one (the first is 0).  Takes a reference
 * to query, which must not be changed any more.  Returns the index.
 */
uint64_t agency_store_append(struct agency_store *s, struct json_object *query,
	    const char *client_id, uint64_t term, uint64_t epoch_ms);
/* Index of the last entry; 0 also when there is none. */
uint64_t agency_store_last_index(const struct agency_store *s);
/* Index that the next entry will have. */
uint64_t agency_store_next_index(const struct agency_store *s);
/* Of the oldest that is still kept; last + 1 when there is none. */
uint64_t agency_store_first_index(const struct agency_store *s);
/* NULL when it is not kept (any more, or yet). */
const struct agency_entry *agency_store_entry(const struct agency_store *s,
	    uint64_t index);
/* Index of the last transaction with that client id, 0: unknown. */
uint64_t agency_store_inquire(struct agency_store *s, const char *client_id);

/* ---- taking over a state ------------------------------------------------ */

/*
 * Replace tree and expiry times (NULL: none; path -> ms since 1970), and let
 * the next entry have index next_index (with an empty log).  ERR_FORMAT,
 * ERR_TOO_BIG: nothing was changed.
 */
int	agency_store_restore(struct agency_store *s, struct json_object *tree,
	    struct json_object *ttl_ms, uint64_t next_index);
/* path -> ms since 1970, for agency_store_restore(). */
struct json_object *agency_store_dump_ttl_ms(struct agency_store *s);

/* ---- between the files of the store ------------------------------------- */

/* The parts of a path, in one block; n is 0 for the root. */
struct agency_path {
	size_t	 n;
	char	**part;
	char	*text;
};

void	agency_path_split(const char *path, struct agency_path *p);
void	agency_path_free(struct agency_path *p);

#endif
