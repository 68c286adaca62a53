/*
 * dbs_wal.c - /_api/wal.  Facts: RestWalAccessHandler.cpp,
 * ReplicationClients.cpp, and a recording of 3.8.9 (arangodb-source-api 7.3).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "sandbox/dbs.h"
#include "sandbox/dbs_replication.h"
#include "sandbox/store_wal.h"

#define TAIL_SLICE	((size_t)4 << 20)	/* between two yields */

/* The JSON of large doubles was put right, and VelocyPack came, with these. */
static bool
version_is_exact(int v)
{
	return v >= 31203 || (v >= 31112 && v < 31200);
}

unsigned
dbs_json_flags(struct dbs *d)
{
	return VP_JSON_NAME_UNSUPPORTED |
	    (version_is_exact(sb_version(d->server)) ?
	    VP_JSON_EXACT_DOUBLES : 0);
}

static void
bad_request(struct sb_req *r)
{
	sb_error(r, AE_HTTP_BAD_PARAMETER, "expected GET /_api/wal/[tail|range|"
	    "lastTick|open-transactions]");
}

/* ---- who asks -------------------------------------------------------- */

int
dbs_client_id(struct sb_req *r, struct store_client_id *id)
{
	const char	*s = sb_param(r, "syncerId");

	memset(id, 0, sizeof(*id));
	if (s != NULL && (s[0] == '0' ||
	    str_to_u64(s, &id->syncer_id) != 0)) {
		sb_error(r, AE_BAD_PARAMETER, "syncerId, if provided, must be "
		    "a non-zero number without leading zeros");
		return -1;
	}
	if ((s = sb_param(r, "serverId")) != NULL)
		str_to_u64(s, &id->server_id);
	return 0;
}

bool
dbs_client_known(const struct store_client_id *id)
{
	return id->syncer_id != 0 || id->server_id != 0;
}

/* In every database, as tailing does. */
static void
track_everywhere(struct sb_req *r, struct store_client_id id, uint64_t from)
{
	struct dbs	*d = dbs_of(r);
	struct store_db	*db;

	if (!dbs_client_known(&id))
		return;
	for (db = store_db_first(d->store); db != NULL; db = db->next)
		store_clients_track(d->clients, db->name, id,
		    sb_param(r, "clientInfo"), from, 0,
		    loop_now_ms(d->loop));
}

/* ---- small answers --------------------------------------------------- */

void
dbs_add_u64_text(struct json_object *o, const char *name, uint64_t v)
{
	char	 text[24];

	snprintf(text, sizeof(text), "%" PRIu64, v);
	json_object_object_add(o, name, json_object_new_string(text));
}

void
dbs_add_time(struct json_object *o, const char *name)
{
	char	 text[CLOCK_TEXT_SIZE];

	json_object_object_add(o, name, json_object_new_string(
	    clock_format_s(clock_wall_us(), text)));
}

struct json_object *
dbs_server_info(struct dbs *d, bool engine)
{
	struct json_object	*o = json_object_new_object();

	json_object_object_add(o, "version",
	    json_object_new_string(sb_version_text(d->server)));
	dbs_add_u64_text(o, "serverId", store_server_id(d->store));
	if (engine)
		json_object_object_add(o, "engine",
		    json_object_new_string("rocksdb"));
	return o;
}

static void
get_last_tick(struct sb_req *r)
{
	struct dbs		*d = dbs_of(r);
	struct json_object	*o = json_object_new_object();

	dbs_add_time(o, "time");
	dbs_add_u64_text(o, "tick", store_last_tick(d->store));
	json_object_object_add(o, "server", dbs_server_info(d, false));
	sb_reply_json(r, 200, o);
}

static void
get_range(struct sb_req *r)
{
	struct dbs		*d = dbs_of(r);
	struct json_object	*o;
	uint64_t		 min, max;

	if (store_wal_range(d->store, &min, &max) != 0) {
		sb_error(r, AE_INTERNAL, "%s", store_error(d->store));
		return;
	}
	o = json_object_new_object();
	dbs_add_time(o, "time");
	dbs_add_u64_text(o, "tickMin", min);
	dbs_add_u64_text(o, "tickMax", max);
	json_object_object_add(o, "server", dbs_server_info(d, false));
	sb_reply_json(r, 200, o);
}

static void
get_open_transactions(struct sb_req *r)
{
	sb_header(r, "x-arango-replication-frompresent", "true");
	sb_header(r, "x-arango-replication-lastincluded", "0");
	sb_reply_raw(r, 204, "application/x-arango-dump", NULL);
}

/* ---- tail ------------------------------------------------------------ */

/* 0, or answered and -1. */
static int
tail_parse(struct sb_req *r, struct store_tail_req *q)
{
	struct dbs		*d = dbs_of(r);
	struct store_shard	*sh;
	struct store_db		*db;
	const char		*name;
	uint64_t		 id;

	memset(q, 0, sizeof(*q));
	q->from = sb_param_u64(r, "from", 0);
	q->to = sb_param_u64(r, "to", UINT64_MAX);
	q->last_scanned = sb_param_u64(r, "lastScanned", 0);
	q->chunk = (size_t)MIN(sb_param_u64(r, "chunkSize",
	    STORE_CHUNK_DEFAULT), STORE_CHUNK_MAX);
	if (q->to == 0 || q->from > q->to) {
		sb_error(r, AE_HTTP_BAD_PARAMETER, "invalid from/to values");
		return -1;
	}
	q->json_flags = dbs_json_flags(d);
	q->format = r->want_vpack && version_is_exact(sb_version(d->server)) ?
	    STORE_VPACK : STORE_JSON;
	if (sb_param_bool(r, "global", false)) {
		if (strcmp(r->db, "_system") != 0) {
			sb_error(r, AE_FORBIDDEN, "global tailing is only "
			    "possible from the _system database");
			return -1;
		}
		return 0;
	}
	if ((db = store_db_find(d->store, r->db)) == NULL) {
		sb_error(r, AE_DATABASE_NOT_FOUND, NULL);
		return -1;
	}
	q->db = db->id;
	if ((name = sb_param(r, "collection")) == NULL || *name == '\0')
		return 0;
	if ((sh = store_shard_find(d->store, r->db, name)) == NULL &&
	    str_to_u64(name, &id) == 0)
		sh = store_shard_by_id(d->store, id);
	if (sh == NULL) {
		dbs_error(r, AE_DATA_SOURCE_NOT_FOUND, name);
		return -1;
	}
	q->shard = sh->id;
	return 0;
}

static void
tail_headers(struct sb_req *r, const struct store_tail_res *res)
{
	sb_header(r, "x-arango-replication-checkmore", "%s",
	    res->check_more ? "true" : "false");
	sb_header(r, "x-arango-replication-lastincluded", "%" PRIu64,
	    res->last_included);
	sb_header(r, "x-arango-replication-lastscanned", "%" PRIu64,
	    res->last_scanned);
	sb_header(r, "x-arango-replication-lasttick", "%" PRIu64,
	    res->last_tick);
	sb_header(r, "x-arango-replication-frompresent", "%s",
	    res->from_present ? "true" : "false");
}

static void
tail(struct sb_req *r)
{
	struct dbs		*d = dbs_of(r);
	struct store_tail_req	 q;
	struct store_tail_res	 res;
	struct store_tail	*t;
	struct store_client_id	 id;
	struct buf		 out = BUF_INIT;
	int			 e;

	if (dbs_client_id(r, &id) != 0 || tail_parse(r, &q) != 0)
		return;
	if (sb_param_bool(r, "trackOnly", false) &&
	    sb_version(d->server) >= 30900) {
		struct json_object	*o = json_object_new_object();

		json_object_object_add(o, "result", json_object_new_object());
		sb_reply_ok(r, 200, o);
		track_everywhere(r, id, q.from);
		return;
	}
	if ((e = store_tail_begin(d->store, &q, &t)) == 0) {
		memset(&res, 0, sizeof(res));
		while ((e = store_tail_step(t, TAIL_SLICE, &out, &res)) == 1)
			fiber_yield();
		store_tail_free(&t);
	}
	if (e != 0) {
		buf_free(&out);
		sb_error(r, e > 0 ? e : AE_INTERNAL, NULL);
		return;
	}
	tail_headers(r, &res);
	sb_reply_raw(r, out.len > 0 ? 200 : 204, q.format == STORE_VPACK ?
	    "application/x-velocypack" : "application/x-arango-dump", &out);
	/* Whoever failed holds nothing, whoever got it lets go of the past. */
	track_everywhere(r, id, q.from);
}

static void
put_tail(struct sb_req *r)
{
	struct buf	 body = BUF_INIT;
	bool		 ok;

	if (sb_body_vpack(r, &body) != 0)
		return;
	ok = vp_is_array(body.data);
	buf_free(&body);
	if (!ok)
		sb_error(r, AE_HTTP_BAD_PARAMETER, "invalid body value. "
		    "expecting array");
	else
		tail(r);
}

static void
delete_tail(struct sb_req *r)
{
	struct dbs		*d = dbs_of(r);
	struct store_client_id	 id;
	struct json_object	*o;

	if (sb_version(d->server) < 30900) {
		bad_request(r);
		return;
	}
	if (dbs_client_id(r, &id) != 0)
		return;
	if (dbs_client_known(&id))
		store_clients_untrack(d->clients, NULL, id);
	o = json_object_new_object();
	json_object_object_add(o, "result", json_object_new_object());
	sb_reply_ok(r, 200, o);
}

#define ANY	(SB_GET | SB_POST | SB_PUT | SB_PATCH | SB_DELETE | SB_HEAD)

const struct sb_route dbs_wal_routes[] = {
	{ SB_GET, "/_api/wal/tail", SB_SUPERUSER, tail },
	{ SB_PUT, "/_api/wal/tail", SB_SUPERUSER, put_tail },
	{ SB_DELETE, "/_api/wal/tail", SB_SUPERUSER, delete_tail },
	{ SB_GET, "/_api/wal/lastTick", SB_SUPERUSER, get_last_tick },
	{ SB_GET, "/_api/wal/range", SB_SUPERUSER, get_range },
	{ SB_GET, "/_api/wal/open-transactions", SB_SUPERUSER,
	    get_open_transactions },
	{ ANY, "/_api/wal", SB_SUPERUSER, bad_request },
	{ ANY, "/_api/wal/**", SB_SUPERUSER, bad_request },
	{ 0 }
};
