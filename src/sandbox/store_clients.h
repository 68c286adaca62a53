/*
 * store_clients.h - who holds the write-ahead log: a table of replication
 * clients per database, in memory only (a restart forgets all of them).
 *
 * Facts: arangodb-source-api 7.8.  Times are the caller's monotonic
 * milliseconds, so that tests need not wait.
 */
#ifndef SANDBOX_STORE_CLIENTS_H
#define SANDBOX_STORE_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store_clients;

#define STORE_CLIENT_TTL_MS	(7200 * 1000ULL) /* of a tail */
#define STORE_CLIENT_GONE_MS	(15 * 1000ULL)	/* after a batch's DELETE */

/* syncer_id wins over server_id; both 0: such a client is not registered. */
struct store_client_id {
	uint64_t	 syncer_id;
	uint64_t	 server_id;
};

struct store_client {
	char		*db;
	struct store_client_id id;
	char		*info;
	uint64_t	 seen_ms;
	uint64_t	 expires_ms;
	uint64_t	 tick;		/* lastServedTick */
	struct store_client *next;
};

struct store_clients *store_clients_new(void);
void	store_clients_free(struct store_clients **c);

/*
 * Register, or replace tick and life of the entry under the same id in this
 * database, upwards and downwards; tick 0 leaves that of an existing entry
 * alone and is stored as 0 (holds everything) in a new one.  ttl_ms 0: 7200 s.
 * info may be NULL and counts for a new entry only.
 */
void	store_clients_track(struct store_clients *c, const char *db,
	    struct store_client_id id, const char *info, uint64_t tick,
	    uint64_t ttl_ms, uint64_t now_ms);
/* Life only, also shorter; no entry: nothing. */
void	store_clients_extend(struct store_clients *c, const char *db,
	    struct store_client_id id, uint64_t ttl_ms, uint64_t now_ms);
/* Forget it; db NULL: in every database. */
void	store_clients_untrack(struct store_clients *c, const char *db,
	    struct store_client_id id);
/* A dropped database holds nothing. */
void	store_clients_drop_db(struct store_clients *c, const char *db);
/* Collect the expired; until then they hold. */
void	store_clients_expire(struct store_clients *c, uint64_t now_ms);
/* Lowest tick over all; UINT64_MAX without clients. */
uint64_t store_clients_lowest(const struct store_clients *c);
/* First entry, then ->next; filter by ->db. */
const struct store_client *store_clients_first(const struct store_clients *c);

#endif
