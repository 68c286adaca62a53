/*
 * store_clients.c - who holds the write-ahead log; see store_clients.h.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sandbox/store_clients.h"

struct store_clients {
	struct store_client	*first;
};

struct store_clients *
store_clients_new(void)
{
	return xcalloc(1, sizeof(struct store_clients));
}

static void
remove_at(struct store_client **at)
{
	struct store_client	*e = *at;

	*at = e->next;
	free(e->db);
	free(e->info);
	free(e);
}

void
store_clients_free(struct store_clients **cp)
{
	struct store_clients	*c = *cp;

	if (c == NULL)
		return;
	while (c->first != NULL)
		remove_at(&c->first);
	free(c);
	*cp = NULL;
}

static bool
id_is_none(struct store_client_id id)
{
	return id.syncer_id == 0 && id.server_id == 0;
}

/* A syncer id and a server id of the same number are two clients. */
static bool
id_is(const struct store_client *e, struct store_client_id id)
{
	if (id.syncer_id != 0 || e->id.syncer_id != 0)
		return e->id.syncer_id == id.syncer_id;
	return e->id.server_id == id.server_id;
}

static struct store_client *
find(struct store_clients *c, const char *db, struct store_client_id id)
{
	struct store_client	*e;

	if (id_is_none(id))
		return NULL;
	for (e = c->first; e != NULL; e = e->next)
		if (strcmp(e->db, db) == 0 && id_is(e, id))
			return e;
	return NULL;
}

void
store_clients_track(struct store_clients *c, const char *db,
    struct store_client_id id, const char *info, uint64_t tick,
    uint64_t ttl_ms, uint64_t now_ms)
{
	struct store_client	*e, **at;

	if (id_is_none(id))
		return;
	if (ttl_ms == 0)
		ttl_ms = STORE_CLIENT_TTL_MS;
	if ((e = find(c, db, id)) == NULL) {
		e = xcalloc(1, sizeof(*e));
		e->db = xstrdup(db);
		e->id = id;
		e->info = xstrdup(info != NULL ? info : "");
		e->tick = tick;
		for (at = &c->first; *at != NULL; at = &(*at)->next)
			;
		*at = e;
	} else if (tick > 0)
		e->tick = tick;
	e->seen_ms = now_ms;
	e->expires_ms = now_ms + ttl_ms;
}

void
store_clients_extend(struct store_clients *c, const char *db,
    struct store_client_id id, uint64_t ttl_ms, uint64_t now_ms)
{
	struct store_client	*e;

	if ((e = find(c, db, id)) == NULL)
		return;
	e->seen_ms = now_ms;
	e->expires_ms = now_ms + (ttl_ms != 0 ? ttl_ms : STORE_CLIENT_TTL_MS);
}

void
store_clients_untrack(struct store_clients *c, const char *db,
    struct store_client_id id)
{
	struct store_client	**at = &c->first;

	if (id_is_none(id))
		return;
	while (*at != NULL)
		if ((db == NULL || strcmp((*at)->db, db) == 0) &&
		    id_is(*at, id))
			remove_at(at);
		else
			at = &(*at)->next;
}

void
store_clients_drop_db(struct store_clients *c, const char *db)
{
	struct store_client	**at = &c->first;

	while (*at != NULL)
		if (strcmp((*at)->db, db) == 0)
			remove_at(at);
		else
			at = &(*at)->next;
}

void
store_clients_expire(struct store_clients *c, uint64_t now_ms)
{
	struct store_client	**at = &c->first;

	while (*at != NULL)
		if ((*at)->expires_ms < now_ms)
			remove_at(at);
		else
			at = &(*at)->next;
}

uint64_t
store_clients_lowest(const struct store_clients *c)
{
	const struct store_client	*e;
	uint64_t			 low = UINT64_MAX;

	for (e = c->first; e != NULL; e = e->next)
		if (e->tick < low)
			low = e->tick;
	return low;
}

const struct store_client *
store_clients_first(const struct store_clients *c)
{
	return c->first;
}
