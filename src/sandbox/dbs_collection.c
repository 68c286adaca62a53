/*
 * dbs_collection.c - /_api/collection and /_api/index on a DB-server: shards.
 * Facts: RestCollectionHandler.cpp, RestIndexHandler.cpp; recordings
 * RestCollectionGetCollectionCount, RestIndexAllIndexes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "sandbox/dbs.h"

#define CHECKSUM_SLICE	20000		/* documents between two yields */

/* ---- what a shard looks like ----------------------------------------- */

static void
add_text(struct json_object *o, const char *name, const char *v)
{
	json_object_object_add(o, name, json_object_new_string(v));
}

static void
add_number_text(struct json_object *o, const char *name, uint64_t v)
{
	char	 text[24];

	snprintf(text, sizeof(text), "%" PRIu64, v);
	add_text(o, name, text);
}

static bool
is_system(const struct dbs_shard *s)
{
	const uint8_t	*v = vp_get(s->sh->props, "isSystem");

	return v != NULL && vp_is_true(v);
}

static void
add_identity(struct json_object *o, const struct dbs_shard *s)
{
	add_number_text(o, "id", s->sh->id);
	add_text(o, "name", s->name);
	json_object_object_add(o, "status", json_object_new_int(3));
	json_object_object_add(o, "type", json_object_new_int(s->sh->type));
	json_object_object_add(o, "isSystem",
	    json_object_new_boolean(is_system(s)));
	add_text(o, "globallyUniqueId", s->guid);
}

static struct json_object *
identity(const struct dbs_shard *s)
{
	struct json_object	*o = json_object_new_object();

	add_identity(o, s);
	return o;
}

/* With everything that was given at its creation. */
struct json_object *
dbs_shard_properties(const struct dbs_shard *s)
{
	struct json_object	*o = dbs_vpack_to_json(s->sh->props);

	if (o == NULL || !json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		o = json_object_new_object();
	}
	add_identity(o, s);
	add_text(o, "statusString", "loaded");
	add_number_text(o, "planId", s->cid);
	add_number_text(o, "objectId", s->sh->id);
	return o;
}

/* ---- reads ----------------------------------------------------------- */

static void
get_list(struct sb_req *r)
{
	struct dbs		*d = dbs_of(r);
	struct json_object	*o, *list = json_object_new_array();
	struct store_shard	*sh;

	for (sh = store_shard_next(d->store, NULL); sh != NULL;
	    sh = store_shard_next(d->store, sh))
		if (strcmp(sh->db->name, r->db) == 0)
			json_object_array_add(list,
			    identity(dbs_shard_of(d, sh)));
	o = json_object_new_object();
	json_object_object_add(o, "result", list);
	sb_reply_ok(r, 200, o);
}

static void
reply_shard(struct sb_req *r, struct json_object *o)
{
	sb_header(r, "location", "/_api/collection/%s%s%s",
	    sb_encode(r->seg[2]), r->nseg > 3 ? "/" : "",
	    r->nseg > 3 ? sb_encode(r->seg[3]) : "");
	sb_reply_ok(r, 200, o);
}

static void
get_identity(struct sb_req *r)
{
	struct dbs_shard	*s;

	if ((s = dbs_req_shard(r, r->seg[2])) != NULL)
		reply_shard(r, identity(s));
}

static void
get_properties(struct sb_req *r)
{
	struct dbs_shard	*s;

	if ((s = dbs_req_shard(r, r->seg[2])) != NULL)
		reply_shard(r, dbs_shard_properties(s));
}

static void
get_count(struct sb_req *r)
{
	struct dbs_shard	*s;
	struct dbs_trx		*trx;
	struct json_object	*o;

	if (dbs_trx_enter(r, &trx) != 0)
		return;
	if ((s = dbs_req_shard(r, r->seg[2])) != NULL) {
		o = dbs_shard_properties(s);
		json_object_object_add(o, "count", json_object_new_int64(
		    (int64_t)store_shard_count(s->sh,
		    trx == NULL ? NULL : trx->tx)));
		reply_shard(r, o);
	}
	dbs_trx_leave(dbs_of(r), trx);
}

static void
get_figures(struct sb_req *r)
{
	struct dbs_shard	*s;
	struct json_object	*o, *f, *i;

	if ((s = dbs_req_shard(r, r->seg[2])) == NULL)
		return;
	i = json_object_new_object();
	json_object_object_add(i, "count", json_object_new_int64(
	    (int64_t)s->sh->nindexes + 1 + (s->coll.edge ? 1 : 0)));
	json_object_object_add(i, "size", json_object_new_int(0));
	f = json_object_new_object();
	json_object_object_add(f, "indexes", i);
	json_object_object_add(f, "documentsSize", json_object_new_int(0));
	json_object_object_add(f, "cacheInUse",
	    json_object_new_boolean(false));
	json_object_object_add(f, "cacheSize", json_object_new_int(0));
	json_object_object_add(f, "cacheUsage", json_object_new_int(0));
	o = dbs_shard_properties(s);
	json_object_object_add(o, "count", json_object_new_int64(
	    (int64_t)store_shard_count(s->sh, NULL)));
	json_object_object_add(o, "figures", f);
	reply_shard(r, o);
}

static void
add_revision(struct json_object *o, const struct dbs_shard *s)
{
	char	 rev[REV_TEXT_MAX];

	rev_to_text(store_shard_revision(s->sh), rev);
	add_text(o, "revision", rev);
}

static void
get_revision(struct sb_req *r)
{
	struct dbs_shard	*s;
	struct json_object	*o;

	if ((s = dbs_req_shard(r, r->seg[2])) == NULL)
		return;
	o = dbs_shard_properties(s);
	add_revision(o, s);
	reply_shard(r, o);
}

static void
get_checksum(struct sb_req *r)
{
	struct dbs		*d = dbs_of(r);
	struct dbs_shard	*s;
	struct store_scan	*scan;
	struct json_object	*o;
	uint64_t		 sum = 0;
	bool			 revs, data;
	int			 e;

	if ((s = dbs_req_shard(r, r->seg[2])) == NULL)
		return;
	revs = sb_param_bool(r, "withRevisions", false);
	data = sb_param_bool(r, "withData", false);
	o = identity(s);
	add_revision(o, s);
	if ((e = store_scan_new(d->store, s->sh, STORE_BY_REV, NULL, NULL,
	    &scan)) != 0) {
		json_object_put(o);
		dbs_error(r, e, r->seg[2]);
		return;
	}
	s = dbs_shard_ref(s);
	while ((e = store_scan_checksum(scan, revs, data, CHECKSUM_SLICE,
	    &sum)) == 1) {
		fiber_yield();
		if (s->sh == NULL) {
			e = AE_DATA_SOURCE_NOT_FOUND;
			break;
		}
	}
	store_scan_free(&scan);
	dbs_shard_unref(&s);
	if (e != 0) {
		json_object_put(o);
		dbs_error(r, e, r->seg[2]);
		return;
	}
	add_number_text(o, "checksum", sum);
	reply_shard(r, o);
}

/* ---- truncate -------------------------------------------------------- */

/*
 * Inside of a stream transaction: what it sees goes, and what others have
 * inserted since it began stays.  So followers are told of keys; emptied, they
 * would have less than we have.  The same when it breaks off, for it may be
 * committed nevertheless.
 */
static int
truncate_in_trx(struct dbs_shard *s, struct dbs_trx *t)
{
	struct store		*st = s->d->store;
	struct store_scan	*scan;
	struct store_row	 row;
	struct dbs_batch	 b;
	struct buf		 key = BUF_INIT;
	int			 r;

	if (t->tx == NULL)
		return AE_TRANSACTION_ABORTED;
	if (store_shard_locked(st, s->sh, t->tx))
		return AE_LOCK_TIMEOUT;
	r = store_scan_new(st, s->sh, STORE_BY_KEY, NULL, t->tx, &scan);
	if (r != 0)
		return r;
	dbs_batch_begin(&b, s, STORE_TX_STREAM, t);
	while (r == 0 && (r = store_scan_next(scan, false, &row)) == 1) {
		/* It may lie in the batch that is about to grow. */
		buf_reset(&key);
		buf_append(&key, row.key, row.klen);
		r = store_tx_bytes(t->tx) > DBS_TRX_BYTES_MAX ?
		    AE_RESOURCE_LIMIT : dbs_batch_remove(&b,
		    (const char *)key.data, key.len, NULL);
	}
	(void)dbs_batch_end(&b, s->wait_for_sync, NULL);
	store_scan_free(&scan);
	buf_free(&key);
	return r;
}

static void
put_truncate(struct sb_req *r)
{
	struct dbs_shard	*s;
	struct dbs_trx		*trx;
	bool			 sync;
	int			 e;

	if (dbs_trx_enter(r, &trx) != 0)
		return;
	if ((s = dbs_req_shard(r, r->seg[2])) == NULL) {
		dbs_trx_leave(dbs_of(r), trx);
		return;
	}
	s = dbs_shard_ref(s);
	dbs_shard_wait_unlocked(s);
	if ((e = dbs_shard_check_write(s, r)) == AE_OK && trx != NULL)
		e = truncate_in_trx(s, trx);
	else if (e == AE_OK) {
		sync = s->wait_for_sync || sb_param_bool(r, "waitForSync",
		    false);
		s->exclusive = true;
		s->writing++;
		e = dbs_truncate(s, sync);
		s->writing--;
		s->exclusive = false;
		fiber_cond_broadcast(&s->unlocked);
		fiber_cond_broadcast(&s->idle);
	}
	dbs_trx_leave(dbs_of(r), trx);
	if (e != AE_OK)
		dbs_error(r, e, s->name);
	else if (s->sh == NULL)
		dbs_error(r, AE_DATA_SOURCE_NOT_FOUND, s->name);
	else
		reply_shard(r, identity(s));
	dbs_shard_unref(&s);
}

/* load, unload, recalculateCount: nothing to do. */
static void
put_nothing(struct sb_req *r)
{
	struct dbs_shard	*s;
	struct json_object	*o;

	if ((s = dbs_req_shard(r, r->seg[2])) == NULL)
		return;
	o = identity(s);
	if (strcmp(r->seg[3], "load") == 0)
		json_object_object_add(o, "count", json_object_new_int64(
		    (int64_t)store_shard_count(s->sh, NULL)));
	else if (strcmp(r->seg[3], "recalculateCount") == 0)
		json_object_object_add(o, "result",
		    json_object_new_boolean(true));
	reply_shard(r, o);
}

/* ---- indexes --------------------------------------------------------- */

static struct json_object *
builtin_index(const struct dbs_shard *s, bool edge)
{
	struct json_object	*o = json_object_new_object(), *f;
	char			 id[320];

	f = json_object_new_array();
	if (edge) {
		json_object_array_add(f, json_object_new_string("_from"));
		json_object_array_add(f, json_object_new_string("_to"));
	} else
		json_object_array_add(f, json_object_new_string("_key"));
	json_object_object_add(o, "fields", f);
	snprintf(id, sizeof(id), "%s/%d", s->name, edge ? 1 : 0);
	add_text(o, "id", id);
	add_text(o, "name", edge ? "edge" : "primary");
	json_object_object_add(o, "sparse", json_object_new_boolean(false));
	add_text(o, "type", edge ? "edge" : "primary");
	json_object_object_add(o, "unique", json_object_new_boolean(!edge));
	return o;
}

static struct json_object *
one_index(const struct dbs_shard *s, const struct store_index *idx)
{
	struct json_object	*o = dbs_vpack_to_json(idx->def);
	char			 id[320];

	snprintf(id, sizeof(id), "%s/%" PRIu64, s->name, idx->id);
	add_text(o, "id", id);
	return o;
}

static void
put_index(struct json_object *list, struct json_object *ids,
    struct json_object *o)
{
	json_object_object_add(ids, json_object_get_string(
	    json_object_object_get(o, "id")), json_object_get(o));
	json_object_array_add(list, o);
}

static void
get_indexes(struct sb_req *r)
{
	const char		*name = sb_param(r, "collection");
	struct json_object	*o, *list, *ids;
	struct dbs_shard	*s;
	size_t			 i;

	if (name == NULL) {
		sb_error(r, AE_COLLECTION_PARAMETER_MISSING, NULL);
		return;
	}
	if ((s = dbs_req_shard(r, name)) == NULL)
		return;
	list = json_object_new_array();
	ids = json_object_new_object();
	put_index(list, ids, builtin_index(s, false));
	if (s->coll.edge)
		put_index(list, ids, builtin_index(s, true));
	for (i = 0; i < s->sh->nindexes; i++)
		put_index(list, ids, one_index(s, s->sh->indexes[i]));
	o = json_object_new_object();
	json_object_object_add(o, "indexes", list);
	json_object_object_add(o, "identifiers", ids);
	sb_reply_ok(r, 200, o);
}

static void
get_index(struct sb_req *r)
{
	struct json_object	*o = NULL;
	struct dbs_shard	*s;
	const char		*id = r->seg[3];
	size_t			 i;
	char			 text[24];

	if ((s = dbs_req_shard(r, r->seg[2])) == NULL)
		return;
	if (strcmp(id, "0") == 0 || strcmp(id, "primary") == 0)
		o = builtin_index(s, false);
	else if (s->coll.edge &&
	    (strcmp(id, "1") == 0 || strcmp(id, "edge") == 0))
		o = builtin_index(s, true);
	for (i = 0; i < s->sh->nindexes && o == NULL; i++) {
		snprintf(text, sizeof(text), "%" PRIu64,
		    s->sh->indexes[i]->id);
		if (strcmp(id, text) == 0 ||
		    strcmp(id, s->sh->indexes[i]->name) == 0)
			o = one_index(s, s->sh->indexes[i]);
	}
	if (o == NULL)
		sb_error(r, AE_INDEX_NOT_FOUND, NULL);
	else
		sb_reply_ok(r, 200, o);
}

const struct sb_route dbs_collection_routes[] = {
	{ SB_GET, "/_api/collection", SB_SUPERUSER, get_list },
	{ SB_GET, "/_api/collection/*", SB_SUPERUSER, get_identity },
	{ SB_GET, "/_api/collection/*/properties", SB_SUPERUSER,
	    get_properties },
	{ SB_GET, "/_api/collection/*/count", SB_SUPERUSER, get_count },
	{ SB_GET, "/_api/collection/*/figures", SB_SUPERUSER, get_figures },
	{ SB_GET, "/_api/collection/*/revision", SB_SUPERUSER, get_revision },
	{ SB_GET, "/_api/collection/*/checksum", SB_SUPERUSER, get_checksum },
	{ SB_PUT, "/_api/collection/*/truncate", SB_SUPERUSER, put_truncate },
	{ SB_PUT, "/_api/collection/*/load", SB_SUPERUSER, put_nothing },
	{ SB_PUT, "/_api/collection/*/unload", SB_SUPERUSER, put_nothing },
	{ SB_PUT, "/_api/collection/*/recalculateCount", SB_SUPERUSER,
	    put_nothing },
	{ SB_GET, "/_api/index", SB_SUPERUSER, get_indexes },
	{ SB_GET, "/_api/index/*/*", SB_SUPERUSER, get_index },
	{ 0 }
};
