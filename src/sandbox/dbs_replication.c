/*
 * dbs_replication.c - /_api/replication on a DB-server.
 * Facts: RocksDBRestReplicationHandler.cpp, RestReplicationHandler.cpp,
 * ReplicationClients.cpp; recording RestReplicationServerId.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "sandbox/dbs.h"
#include "sandbox/dbs_replication.h"
#include "sandbox/store_wal.h"

#define DUMP_SLICE		((size_t)4 << 20)
#define DUMP_CHUNK_DEFAULT	131072
#define DUMP_CHUNK_MAX		((uint64_t)128 << 20)
#define BATCH_TTL_MAX		((uint64_t)24 * 3600)

/* Who opened a batch: its client is registered as long as it lives. */
struct batch {
	struct store_client_id	 id;
	char			*db;
	struct map		 chunks;	/* shard guid -> dumps so far */
};

static struct map batches = MAP_INIT;		/* id of the batch -> batch */

static void
batch_free(void *arg)
{
	struct batch	*b = arg;

	map_free(&b->chunks, NULL);
	free(b->db);
	free(b);
}

/* Those whose snapshots are gone. */
void
dbs_batches_expire(struct dbs *d)
{
	struct map_iter	 it;
	uint64_t	 id;

	MAP_FOREACH(&batches, it) {
		id = map_iter_u64(&it);
		if (store_snap_find(d->store, id) == NULL)
			batch_free(map_del_u64(&batches, id));
	}
}

void
dbs_batches_free(void)
{
	map_free(&batches, batch_free);
}

static void
track(struct dbs *d, const char *db, struct store_client_id id,
    const char *info, const struct store_snap *snap)
{
	if (dbs_client_known(&id))
		store_clients_track(d->clients, db, id, info,
		    store_snap_tick(snap), store_snap_ttl_ms(snap),
		    loop_now_ms(d->loop));
}

/* ---- state of the log ------------------------------------------------ */

static struct json_object *
log_state(struct dbs *d)
{
	struct json_object	*o = json_object_new_object();
	uint64_t		 tick = store_last_tick(d->store);

	json_object_object_add(o, "running", json_object_new_boolean(true));
	dbs_add_u64_text(o, "lastLogTick", tick);
	dbs_add_u64_text(o, "lastUncommittedLogTick", tick);
	json_object_object_add(o, "totalEvents",
	    json_object_new_int64((int64_t)tick));
	dbs_add_time(o, "time");
	return o;
}

static void
add_mono_time(struct dbs *d, struct json_object *o, const char *name,
    uint64_t mono_ms)
{
	char		 text[CLOCK_TEXT_SIZE];
	uint64_t	 wall;

	/* The loop's clock is not the wall's. */
	wall = clock_wall_us() - loop_now_ms(d->loop) * 1000 + mono_ms * 1000;
	json_object_object_add(o, name,
	    json_object_new_string(clock_format_s(wall, text)));
}

static struct json_object *
client_list(struct dbs *d, const char *db)
{
	const struct store_client	*c;
	struct json_object		*list = json_object_new_array(), *o;

	for (c = store_clients_first(d->clients); c != NULL; c = c->next) {
		if (strcmp(c->db, db) != 0)
			continue;
		o = json_object_new_object();
		dbs_add_u64_text(o, "syncerId", c->id.syncer_id);
		dbs_add_u64_text(o, "serverId", c->id.server_id);
		json_object_object_add(o, "clientInfo",
		    json_object_new_string(c->info != NULL ? c->info : ""));
		add_mono_time(d, o, "time", c->seen_ms);
		add_mono_time(d, o, "expires", c->expires_ms);
		dbs_add_u64_text(o, "lastServedTick", c->tick);
		json_object_array_add(list, o);
	}
	return list;
}

static struct json_object *
logger_state(struct sb_req *r)
{
	struct dbs		*d = dbs_of(r);
	struct json_object	*o = json_object_new_object();

	json_object_object_add(o, "state", log_state(d));
	json_object_object_add(o, "server", dbs_server_info(d, true));
	json_object_object_add(o, "clients", client_list(d, r->db));
	return o;
}

static void
get_logger_state(struct sb_req *r)
{
	sb_reply_json(r, 200, logger_state(r));
}

/* What 3.12.10 removed. */
static bool
is_removed(struct sb_req *r)
{
	if (sb_version(r->server) < 31210)
		return false;
	sb_error(r, AE_HTTP_NOT_FOUND, "unknown path");
	return true;
}

static void
get_first_tick(struct sb_req *r)
{
	struct json_object	*o;
	uint64_t		 min = 0, max = 0;

	if (is_removed(r))
		return;
	store_wal_range(dbs_of(r)->store, &min, &max);
	o = json_object_new_object();
	dbs_add_u64_text(o, "firstTick", min);
	sb_reply_json(r, 200, o);
}

static void
get_tick_ranges(struct sb_req *r)
{
	struct store_wal_file	*files = NULL;
	struct json_object	*list, *o;
	size_t			 i, n = 0;
	char			 name[64];

	if (is_removed(r))
		return;
	if (store_wal_files(dbs_of(r)->store, &files, &n) != 0) {
		sb_error(r, AE_INTERNAL, NULL);
		return;
	}
	list = json_object_new_array();
	for (i = 0; i < n; i++) {
		o = json_object_new_object();
		snprintf(name, sizeof(name), "%s/%06" PRIu64 ".log",
		    files[i].archived ? "/archive" : "", files[i].number);
		json_object_object_add(o, "datafile",
		    json_object_new_string(name));
		json_object_object_add(o, "status", json_object_new_string(
		    i + 1 == n ? "open" : "collected"));
		dbs_add_u64_text(o, "tickMin", files[i].first);
		dbs_add_u64_text(o, "tickMax", files[i].last);
		json_object_array_add(list, o);
	}
	free(files);
	sb_reply_json(r, 200, list);
}

static void
get_server_id(struct sb_req *r)
{
	struct json_object	*o;

	if (is_removed(r))
		return;
	o = json_object_new_object();
	dbs_add_u64_text(o, "serverId", store_server_id(dbs_of(r)->store));
	sb_reply_json(r, 200, o);
}

/* ---- batches --------------------------------------------------------- */

/* Seconds of the body's ttl as ms; 0: none given.  0, or answered and -1. */
static int
batch_body(struct sb_req *r, uint64_t *ttl_ms, bool *patch_missing)
{
	struct buf	 body = BUF_INIT;
	const uint8_t	*v;
	const char	*name;
	char		*copy;
	double		 seconds;
	size_t		 len;

	if (dbs_body_object(r, &body) != 0)
		return -1;
	*ttl_ms = 0;
	if ((v = vp_get(body.data, "ttl")) != NULL &&
	    vp_get_double(v, &seconds) == 0 && seconds > 0)
		*ttl_ms = (uint64_t)(MIN(seconds, (double)BATCH_TTL_MAX) *
		    1000);
	*patch_missing = false;
	name = vp_get_string(vp_get(body.data, "patchCount"), &len);
	if (name != NULL && len > 0) {
		copy = xstrndup(name, len);
		*patch_missing = store_shard_find(dbs_of(r)->store, r->db,
		    copy) == NULL;
		free(copy);
	}
	buf_free(&body);
	return 0;
}

static void
post_batch(struct sb_req *r)
{
	struct dbs		*d = dbs_of(r);
	struct store_client_id	 id;
	struct store_snap	*snap;
	struct batch		*b;
	struct json_object	*o;
	uint64_t		 ttl_ms;
	bool			 missing;

	if (dbs_client_id(r, &id) != 0 ||
	    batch_body(r, &ttl_ms, &missing) != 0)
		return;
	if (missing) {
		sb_error(r, AE_DATA_SOURCE_NOT_FOUND, NULL);
		return;
	}
	if (store_snap_create(d->store, ttl_ms, &snap) != 0) {
		sb_error(r, AE_INTERNAL, "%s", store_error(d->store));
		return;
	}
	b = xcalloc(1, sizeof(*b));
	b->id = id;
	b->db = xstrdup(r->db);
	map_put_u64(&batches, store_snap_id(snap), b);
	o = json_object_new_object();
	dbs_add_u64_text(o, "id", store_snap_id(snap));
	dbs_add_u64_text(o, "lastTick", store_snap_tick(snap));
	if (sb_param_bool(r, "state", false))
		json_object_object_add(o, "state", logger_state(r));
	track(d, r->db, id, sb_param(r, "clientInfo"), snap);
	sb_reply_json(r, 200, o);
}

static struct store_snap *
snap_of(struct sb_req *r, const char *text)
{
	uint64_t	 id;

	if (text == NULL || str_to_u64(text, &id) != 0)
		return NULL;
	return store_snap_find(dbs_of(r)->store, id);
}

static void
put_batch(struct sb_req *r)
{
	struct dbs		*d = dbs_of(r);
	struct store_snap	*snap;
	struct batch		*b;
	uint64_t		 ttl_ms;
	bool			 missing;

	if (batch_body(r, &ttl_ms, &missing) != 0)
		return;
	if ((snap = snap_of(r, r->seg[3])) == NULL) {
		sb_error(r, AE_CURSOR_NOT_FOUND, NULL);
		return;
	}
	store_snap_extend(d->store, snap, ttl_ms);
	b = map_get_u64(&batches, store_snap_id(snap));
	if (b != NULL && dbs_client_known(&b->id))
		store_clients_extend(d->clients, r->db, b->id,
		    ttl_ms != 0 ? ttl_ms : store_snap_ttl_ms(snap),
		    loop_now_ms(d->loop));
	sb_reply_empty(r, 204);
}

static void
delete_batch(struct sb_req *r)
{
	struct dbs		*d = dbs_of(r);
	struct store_snap	*snap;
	struct batch		*b;

	if ((snap = snap_of(r, r->seg[3])) == NULL) {
		sb_error(r, AE_CURSOR_NOT_FOUND, NULL);
		return;
	}
	b = map_del_u64(&batches, store_snap_id(snap));
	store_snap_delete(d->store, snap);
	if (b != NULL) {
		if (dbs_client_known(&b->id))
			store_clients_extend(d->clients, r->db, b->id,
			    STORE_CLIENT_GONE_MS, loop_now_ms(d->loop));
		batch_free(b);
	}
	sb_reply_empty(r, 204);
}

/* ---- inventory ------------------------------------------------------- */

static struct json_object *
inventory_entry(struct dbs *d, struct store_shard *sh)
{
	struct json_object	*o = json_object_new_object(), *list;
	struct json_object	*p = dbs_shard_properties(dbs_shard_of(d, sh));
	size_t			 i;

	dbs_add_u64_text(p, "cid", sh->id);
	json_object_object_add(o, "parameters", p);
	list = json_object_new_array();
	for (i = 0; i < sh->nindexes; i++)
		json_object_array_add(list,
		    dbs_vpack_to_json(sh->indexes[i]->def));
	json_object_object_add(o, "indexes", list);
	return o;
}

static struct json_object *
inventory_list(struct dbs *d, const char *db, const char *only)
{
	struct json_object	*list = json_object_new_array();
	struct store_shard	*sh;

	for (sh = store_shard_next(d->store, NULL); sh != NULL;
	    sh = store_shard_next(d->store, sh))
		if (strcmp(sh->db->name, db) == 0 &&
		    (only == NULL || strcmp(sh->name, only) == 0))
			json_object_array_add(list, inventory_entry(d, sh));
	return list;
}

static struct json_object *
inventory_databases(struct dbs *d)
{
	struct json_object	*all = json_object_new_object();
	struct json_object	*o, *props, *id;
	struct store_db		*db;

	for (db = store_db_first(d->store); db != NULL; db = db->next) {
		o = json_object_new_object();
		props = db->props == NULL ? NULL : dbs_vpack_to_json(db->props);
		json_object_object_add(o, "id",
		    json_object_object_get_ex(props, "id", &id) ?
		    json_object_get(id) : json_object_new_string("0"));
		json_object_put(props);
		json_object_object_add(o, "name",
		    json_object_new_string(db->name));
		json_object_object_add(o, "collections",
		    inventory_list(d, db->name, NULL));
		json_object_object_add(o, "views", json_object_new_array());
		json_object_object_add(all, db->name, o);
	}
	return all;
}

static void
get_inventory(struct sb_req *r)
{
	struct dbs		*d = dbs_of(r);
	struct store_snap	*snap;
	struct store_client_id	 id;
	struct batch		*b;
	struct json_object	*o;
	bool			 global = sb_param_bool(r, "global", false);
	const char		*only = sb_param(r, "collection");

	if ((snap = snap_of(r, sb_param(r, "batchId"))) == NULL) {
		sb_error(r, AE_CURSOR_NOT_FOUND, NULL);
		return;
	}
	if (global && strcmp(r->db, "_system") != 0) {
		sb_error(r, AE_FORBIDDEN, "global inventory can only be "
		    "created from within _system database");
		return;
	}
	if (only != NULL && store_shard_find(d->store, r->db, only) == NULL) {
		dbs_error(r, AE_DATA_SOURCE_NOT_FOUND, only);
		return;
	}
	o = json_object_new_object();
	if (global)
		json_object_object_add(o, "databases", inventory_databases(d));
	else {
		json_object_object_add(o, "collections",
		    inventory_list(d, r->db, only));
		json_object_object_add(o, "views", json_object_new_array());
	}
	dbs_add_u64_text(o, "tick", store_last_tick(d->store));
	json_object_object_add(o, "state", log_state(d));
	/* A batch without a client is registered here, under its own id. */
	b = map_get_u64(&batches, store_snap_id(snap));
	memset(&id, 0, sizeof(id));
	if (b != NULL)
		id = b->id;
	if (!dbs_client_known(&id))
		id.server_id = store_snap_id(snap);
	track(d, r->db, id, NULL, snap);
	sb_reply_json(r, 200, o);
}

/* ---- dump ------------------------------------------------------------ */

struct dump {
	struct store_snap	*snap;
	struct store_shard	*sh;
	size_t			 chunk;
	bool			 vpack, envelope, array;
};

/* 0, or answered and -1. */
static int
dump_parse(struct sb_req *r, struct dump *q)
{
	struct dbs	*d = dbs_of(r);
	const char	*name = sb_param(r, "collection");
	const char	*batch = sb_param(r, "batchId");
	uint64_t	 id;

	memset(q, 0, sizeof(*q));
	if (name == NULL || *name == '\0') {
		sb_error(r, AE_HTTP_BAD_PARAMETER,
		    "invalid collection parameter");
		return -1;
	}
	q->snap = snap_of(r, batch);
	if (q->snap == NULL) {
		sb_error_status(r, 404, AE_HTTP_BAD_PARAMETER, "replication "
		    "dump - %s", batch == NULL || *batch == '\0' ?
		    "request misses batchId" :
		    "unable to find context (it could be expired)");
		return -1;
	}
	q->sh = store_shard_find(d->store, r->db, name);
	if (q->sh == NULL && str_to_u64(name, &id) == 0 &&
	    (q->sh = store_shard_by_id(d->store, id)) != NULL &&
	    strcmp(q->sh->db->name, r->db) != 0)
		q->sh = NULL;
	q->vpack = r->want_vpack;
	if (q->sh == NULL) {
		sb_error_status(r, 400, q->vpack ? AE_BAD_PARAMETER :
		    AE_HTTP_BAD_PARAMETER, "replication dump - collection "
		    "not found");
		return -1;
	}
	q->chunk = (size_t)MIN(sb_param_u64(r, "chunkSize",
	    DUMP_CHUNK_DEFAULT), DUMP_CHUNK_MAX);
	if (q->chunk == 0)
		q->chunk = 1;
	q->envelope = sb_param_bool(r, "useEnvelope", true);
	q->array = q->vpack && !q->envelope &&
	    sb_version(d->server) >= 31000 && sb_param_bool(r, "array", false);
	return 0;
}

/* Values one after another become one array. */
static int
dump_array(struct buf *out)
{
	struct buf		 a = BUF_INIT;
	struct vp_builder	 b;
	size_t			 at;
	int			 e;

	vpb_init(&b, &a);
	vpb_open_array(&b);
	for (at = 0; at < out->len; at += vp_size(out->data + at))
		vpb_slice(&b, out->data + at);
	vpb_close(&b);
	e = vpb_end(&b);
	vpb_free(&b);
	buf_free(out);
	*out = a;
	return e;
}

static void
dump_reply(struct sb_req *r, const struct dump *q, struct buf *out, bool more,
    uint64_t included)
{
	sb_header(r, "x-arango-replication-checkmore", "%s",
	    more ? "true" : "false");
	sb_header(r, "x-arango-replication-lastincluded", "%" PRIu64,
	    included);
	if (q->array && dump_array(out) != 0) {
		sb_error(r, AE_INTERNAL, NULL);
		return;
	}
	sb_reply_raw(r, out->len > 0 ? 200 : 204, q->vpack ?
	    "application/x-velocypack" :
	    "application/x-arango-dump; charset=utf-8", out);
}

static void
get_dump(struct sb_req *r)
{
	struct dbs	*d = dbs_of(r);
	struct dump	 q;
	struct buf	 out = BUF_INIT;
	struct batch	*b;
	uint64_t	 included = 0, id, shard;
	bool		 more = true;
	char		 guid[320];
	int		 e = 0;

	if (dump_parse(r, &q) != 0)
		return;
	id = store_snap_id(q.snap);
	shard = q.sh->id;
	snprintf(guid, sizeof(guid), "%s", q.sh->guid);
	store_snap_use(q.snap);
	while (more && out.len < q.chunk) {
		e = store_dump(d->store, q.snap, q.sh,
		    MIN(q.chunk, out.len + DUMP_SLICE), q.vpack ? STORE_VPACK :
		    STORE_JSON, q.envelope, dbs_json_flags(d), &out, NULL,
		    &more);
		if (e != 0 || !more || out.len >= q.chunk)
			break;
		fiber_yield();
		if ((q.sh = store_shard_by_id(d->store, shard)) == NULL) {
			e = AE_DATA_SOURCE_NOT_FOUND;
			break;
		}
	}
	store_snap_extend(d->store, q.snap, 0);
	b = map_get_u64(&batches, id);
	if (e == 0 && b != NULL) {
		/* A running count of the calls, not a tick. */
		included = 1 + (uint64_t)(uintptr_t)map_get(&b->chunks, guid);
		if (more)
			map_put(&b->chunks, guid,
			    (void *)(uintptr_t)included);
		track(d, r->db, b->id, NULL, q.snap);
	}
	store_snap_release(d->store, q.snap);
	if (e != 0) {
		buf_free(&out);
		sb_error(r, e > 0 ? e : AE_INTERNAL, NULL);
		return;
	}
	dump_reply(r, &q, &out, more, out.len > 0 ? included : 0);
	buf_free(&out);
}

/* ---- others ---------------------------------------------------------- */

static void
cluster_inventory(struct sb_req *r)
{
	sb_error_status(r, 403, AE_ONLY_ON_COORDINATOR, NULL);
}

static void
trees(struct sb_req *r)
{
	sb_not_supported(r, "revision trees");
}

static void
keys(struct sb_req *r)
{
	sb_not_supported(r, "synchronisation by keys");
}

static void
unknown(struct sb_req *r)
{
	sb_not_supported(r, "this replication call");
}

#define ANY	(SB_GET | SB_POST | SB_PUT | SB_PATCH | SB_DELETE | SB_HEAD)

const struct sb_route dbs_replication_routes[] = {
	{ SB_POST, "/_api/replication/batch", SB_SUPERUSER, post_batch },
	{ SB_PUT, "/_api/replication/batch/*", SB_SUPERUSER, put_batch },
	{ SB_DELETE, "/_api/replication/batch/*", SB_SUPERUSER, delete_batch },
	{ SB_GET, "/_api/replication/inventory", SB_SUPERUSER, get_inventory },
	{ SB_GET, "/_api/replication/dump", SB_SUPERUSER, get_dump },
	{ SB_GET, "/_api/replication/logger-state", SB_SUPERUSER,
	    get_logger_state },
	{ SB_GET, "/_api/replication/logger-first-tick", SB_SUPERUSER,
	    get_first_tick },
	{ SB_GET, "/_api/replication/logger-tick-ranges", SB_SUPERUSER,
	    get_tick_ranges },
	{ SB_GET, "/_api/replication/server-id", SB_SUPERUSER, get_server_id },
	{ SB_GET, "/_api/replication/clusterInventory", SB_SUPERUSER,
	    cluster_inventory },
	{ ANY, "/_api/replication/revisions/**", SB_SUPERUSER, trees },
	{ ANY, "/_api/replication/keys", SB_SUPERUSER, keys },
	{ ANY, "/_api/replication/keys/**", SB_SUPERUSER, keys },
	{ ANY, "/_api/replication/**", SB_SUPERUSER, unknown },
	{ 0 }
};
