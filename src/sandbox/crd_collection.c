/*
 * crd_collection.c - /_api/collection: list, show, create, change, drop.
 *
 * Facts: arangod/RestHandler/RestCollectionHandler.cpp, VocBase/Methods/
 * Collections.cpp, LogicalCollection.cpp; recordings RestCollection*,
 * RestGetShards*.
 */
#include <stdio.h>
#include <string.h>

#include "ev/loop.h"
#include "sandbox/crd_collection.h"
#include "sandbox/crd_ddl.h"
#include "sandbox/crd_json.h"

/* ---- showing --------------------------------------------------------------- */

const char *
crd_prototype_name(struct crd *c, const struct cl_collection *col)
{
	const struct cl_collection	*proto;

	if (col->distribute_shards_like == NULL)
		return NULL;
	proto = cluster_collection_by_cid(c->cluster, col->db,
	    col->distribute_shards_like);
	return proto != NULL ? proto->name : col->distribute_shards_like;
}

static void
add_guid(struct json_object *o, const struct cl_collection *col)
{
	char	 text[64];

	snprintf(text, sizeof(text), "c%s/", col->cid);
	cj_add_str(o, "globallyUniqueId", text);
}

static void
add_properties(struct crd *c, const struct cl_collection *col,
    struct json_object *o)
{
	static const char *const	 hidden[] = { "allowUserKeys", "cid",
	    "count", "deleted", "id", "indexes", "name", "path", "planId",
	    "shards", "status", "type", "version", "distributeShardsLike",
	    "isBuilding", "coordinator", "coordinatorRebootId", "objectId" };
	const char			*proto;
	size_t				 i;

	json_object_object_foreach(col->definition, name, value) {
		for (i = 0; i < NITEMS(hidden); i++)
			if (strcmp(hidden[i], name) == 0)
				break;
		if (i == NITEMS(hidden))
			cj_add_ref(o, name, value);
	}
	if ((proto = crd_prototype_name(c, col)) != NULL)
		cj_add_str(o, "distributeShardsLike", proto);
}

struct json_object *
crd_collection_show(struct crd *c, const struct cl_collection *col,
    bool properties)
{
	struct json_object	*o = json_object_new_object();

	cj_add_str(o, "id", col->cid);
	cj_add_str(o, "name", col->name);
	cj_add_int(o, "status", 3);
	cj_add_int(o, "type", col->type);
	cj_add_bool(o, "isSystem", col->is_system);
	add_guid(o, col);
	if (properties)
		add_properties(c, col, o);
	return o;
}

void
crd_collection_reply(struct sb_req *r, struct json_object *o)
{
	sb_header(r, "location", "%.*s", (int)strcspn(r->path, "?"), r->path);
	sb_reply_ok(r, 200, o);
}

/* ---- GET ------------------------------------------------------------------- */

static void
get_list(struct sb_req *r)
{
	struct crd			*c = crd_of(r);
	const struct cl_collection *const *list;
	bool				 no_system;
	struct json_object		*o, *out;
	size_t				 i, n;

	no_system = sb_param_bool(r, "excludeSystem", false);
	out = json_object_new_array();
	n = cluster_collections(c->cluster, r->db, &list);
	for (i = 0; i < n; i++)
		if (!list[i]->is_building && !list[i]->deleted &&
		    !(no_system && list[i]->is_system))
			json_object_array_add(out, crd_collection_show(c,
			    list[i], false));
	o = json_object_new_object();
	cj_add(o, "result", out);
	sb_reply_ok(r, 200, o);
}

static void
get_one(struct sb_req *r)
{
	const struct cl_collection	*col;

	if ((col = crd_collection_get(r, r->seg[2])) == NULL)
		return;
	sb_reply_ok(r, 200, crd_collection_show(crd_of(r), col, false));
	cl_collection_unref(&col);
}

static void
get_properties(struct sb_req *r, const struct cl_collection *col)
{
	crd_collection_reply(r, crd_collection_show(crd_of(r), col, true));
}

/* With details the servers of the Plan... as Current has them: leader first. */
static void
get_shards(struct sb_req *r, const struct cl_collection *col)
{
	struct json_object	*o, *shards, *list;
	const struct cl_servers	*servers;
	bool			 details;
	size_t			 i, k;

	details = sb_param_bool(r, "details", false);
	o = crd_collection_show(crd_of(r), col, true);
	shards = details ? json_object_new_object() : json_object_new_array();
	for (i = 0; i < col->nshards; i++) {
		if (!details) {
			cj_push_str(shards, col->shards[i].name);
			continue;
		}
		servers = col->shards[i].current.n > 0 ?
		    &col->shards[i].current : &col->shards[i].plan;
		list = json_object_new_array();
		for (k = 0; k < servers->n; k++)
			cj_push_str(list, servers->id[k]);
		cj_add(shards, col->shards[i].name, list);
	}
	cj_add(o, "shards", shards);
	crd_collection_reply(r, o);
}

typedef void	sub_fn(struct sb_req *, const struct cl_collection *);

struct sub {
	const char	*name;
	sub_fn		*fn;
	bool		 changes;	/* refused while read-only */
};

static void
run_sub(struct sb_req *r, const struct sub *subs, size_t n,
    const char *expected)
{
	const struct cl_collection	*col;
	size_t				 i;

	if ((col = crd_collection_get(r, r->seg[2])) == NULL)
		return;
	for (i = 0; i < n; i++)
		if (strcmp(subs[i].name, r->seg[3]) == 0)
			break;
	if (i == n)
		sb_error(r, AE_HTTP_NOT_FOUND, "%s", expected);
	else if (subs[i].changes && crd_is_readonly_for(r))
		sb_error(r, AE_FORBIDDEN, NULL);
	else
		subs[i].fn(r, col);
	cl_collection_unref(&col);
}

static void
get_sub(struct sb_req *r)
{
	static const struct sub	 subs[] = {
		{ "checksum", crd_collection_checksum, false },
		{ "count", crd_collection_count, false },
		{ "figures", crd_collection_figures, false },
		{ "properties", get_properties, false },
		{ "revision", crd_collection_revision, false },
		{ "shards", get_shards, false }
	};

	run_sub(r, subs, NITEMS(subs), "expecting one of the resources "
	    "'checksum', 'count', 'figures', 'properties', "
	    "'responsibleShard', 'revision', 'shards'");
}

static void
get_too_long(struct sb_req *r)
{
	sb_error(r, AE_HTTP_BAD_PARAMETER,
	    "expect GET /_api/collection/<collection-name>/<method>");
}

/* ---- POST ------------------------------------------------------------------ */

/* Errors of a definition are 400 whatever the table says of the number. */
static void
reply_bad_definition(struct sb_req *r, int errnum, const struct err_msg *em)
{
	int	 status = arango_http_status(errnum, sb_version(r->server));

	if (status >= 500 && errnum != AE_INSUFFICIENT_DBSERVERS &&
	    errnum != AE_NOT_IMPLEMENTED && errnum != AE_CLUSTER_UNSUPPORTED)
		status = 400;
	if (em->text[0] != '\0')
		sb_error_status(r, status, errnum, "%s", em->text);
	else
		sb_error_status(r, status, errnum, NULL);
}

static void
reply_failed(struct sb_req *r, int errnum, const struct err_msg *em)
{
	if (em->text[0] != '\0')
		sb_error(r, errnum, "%s", em->text);
	else
		sb_error(r, errnum, NULL);
}

/* A OneShard database puts user collections where its prototype is. */
static void
force_one_shard(struct json_object *body)
{
	const char	*name = cj_str(body, "name");
	const char	*rf = cj_str(body, "replicationFactor");

	if (name == NULL || name[0] == '_')
		return;
	cj_add_int(body, "numberOfShards", 1);
	if (rf == NULL)
		cj_add_str(body, "distributeShardsLike", "_graphs");
}

static int
create(struct sb_req *r, struct json_object *body, struct json_object **def)
{
	struct crd		*c = crd_of(r);
	struct crd_rules	 rules;
	struct err_msg		 em = { "" };
	bool			 wait;
	int			 n;

	crd_rules_of(c, r->db, &rules);
	rules.enforce = sb_param_bool(r, "enforceReplicationFactor", true);
	wait = sb_param_bool(r, "waitForSyncReplication", true);
	if (crd_is_one_shard(c, r->db))
		force_one_shard(body);
	n = crd_define_collection(&rules, body, def, &em);
	if (n != AE_OK) {
		reply_bad_definition(r, n, &em);
		return -1;
	}
	n = crd_create_collections(c, r->db, def, 1, wait,
	    loop_now_ms(c->loop) + CRD_DDL_TIMEOUT_MS, &em);
	if (n != AE_OK) {
		reply_failed(r, n, &em);
		return -1;
	}
	return 0;
}

static void
post_collection(struct sb_req *r)
{
	struct crd			*c = crd_of(r);
	const struct cl_collection	*col;
	struct json_object		*body, *def = NULL;

	if ((body = sb_body_json(r, false)) == NULL)
		return;
	if (!cj_is_object(body)) {
		sb_error(r, AE_ILLEGAL_NAME, NULL);
	} else if (create(r, body, &def) == 0) {
		col = cluster_collection_by_cid(c->cluster, r->db,
		    cj_str(def, "id"));
		if (col == NULL)
			sb_error(r, AE_DATA_SOURCE_NOT_FOUND, NULL);
		else
			sb_reply_ok(r, 200, crd_collection_show(c, col, true));
	}
	json_object_put(def);
	json_object_put(body);
}

/* ---- PUT ------------------------------------------------------------------- */

static void
put_properties(struct sb_req *r, const struct cl_collection *col)
{
	struct crd		*c = crd_of(r);
	const struct cl_collection *now;
	struct crd_rules	 rules;
	struct err_msg		 em = { "" };
	struct json_object	*body, *changes = NULL;
	int			 n;

	if ((body = sb_body_json(r, true)) == NULL)
		return;
	crd_rules_of(c, r->db, &rules);
	n = crd_define_changes(&rules, col->definition, body, &changes, &em);
	if (n == AE_OK)
		n = crd_change_collection(c, col, changes,
		    loop_now_ms(c->loop) + CRD_DDL_TIMEOUT_MS, &em);
	json_object_put(changes);
	json_object_put(body);
	if (n != AE_OK) {
		reply_failed(r, n, &em);
		return;
	}
	now = cluster_collection_by_cid(c->cluster, col->db, col->cid);
	if (now == NULL)
		sb_error(r, AE_DATA_SOURCE_NOT_FOUND, NULL);
	else
		get_properties(r, now);
}

static void
put_rename(struct sb_req *r, const struct cl_collection *col)
{
	struct json_object	*body;

	(void)col;
	if ((body = sb_body_json(r, true)) == NULL)
		return;
	if (cj_str(body, "name") == NULL)
		sb_error(r, AE_ILLEGAL_NAME, "name is empty");
	else
		sb_error(r, AE_CLUSTER_UNSUPPORTED, NULL);
	json_object_put(body);
}

/* Nothing to be done in the sandbox, as on arangod since 3.9. */
static void
put_nothing(struct sb_req *r, const struct cl_collection *col)
{
	crd_collection_reply(r, crd_collection_show(crd_of(r), col, false));
}

static void
put_result_true(struct sb_req *r, const struct cl_collection *col)
{
	struct json_object	*o = json_object_new_object();

	(void)col;
	cj_add_bool(o, "result", true);
	crd_collection_reply(r, o);
}

static void
put_sub(struct sb_req *r)
{
	static const struct sub	 subs[] = {
		{ "compact", put_nothing, false },
		{ "load", crd_collection_load, false },
		{ "loadIndexesIntoMemory", put_result_true, false },
		{ "properties", put_properties, true },
		{ "recalculateCount", crd_collection_recalculate, false },
		{ "rename", put_rename, true },
		{ "responsibleShard", crd_collection_responsible, false },
		{ "truncate", crd_collection_truncate, false },
		{ "unload", put_nothing, false },
		{ "upgrade", put_result_true, false }
	};

	run_sub(r, subs, NITEMS(subs), "expecting one of the actions 'load', "
	    "'unload', 'truncate', 'properties', 'compact', 'rename', "
	    "'loadIndexesIntoMemory'");
}

static void
put_wrong(struct sb_req *r)
{
	sb_error(r, AE_HTTP_BAD_PARAMETER,
	    "expected PUT /_api/collection/<collection-name>/<action>");
}

/* ---- DELETE ---------------------------------------------------------------- */

static void
delete_collection(struct sb_req *r)
{
	struct crd			*c = crd_of(r);
	const struct cl_collection	*col;
	struct json_object		*o;
	struct err_msg			 em;
	int				 n;

	if ((col = crd_collection_get(r, r->seg[2])) == NULL)
		return;
	if (col->is_system && !sb_param_bool(r, "isSystem", false)) {
		sb_error(r, AE_FORBIDDEN, NULL);
		cl_collection_unref(&col);
		return;
	}
	n = crd_drop_collection(c, col, loop_now_ms(c->loop) +
	    CRD_DDL_TIMEOUT_MS, &em);
	if (n != AE_OK) {
		reply_failed(r, n, &em);
	} else {
		o = json_object_new_object();
		cj_add_str(o, "id", col->cid);
		sb_reply_ok(r, 200, o);
	}
	cl_collection_unref(&col);
}

static void
delete_wrong(struct sb_req *r)
{
	sb_error(r, AE_HTTP_BAD_PARAMETER,
	    "expected DELETE /_api/collection/<collection-name>");
}

const struct sb_route	 crd_collection_routes[] = {
	{ SB_GET, "/_api/collection", 0, get_list },
	{ SB_POST, "/_api/collection", SB_DDL, post_collection },
	{ SB_PUT, "/_api/collection", 0, put_wrong },
	{ SB_DELETE, "/_api/collection", 0, delete_wrong },
	{ SB_GET, "/_api/collection/*", 0, get_one },
	{ SB_DELETE, "/_api/collection/*", SB_DDL, delete_collection },
	{ SB_PUT, "/_api/collection/*", 0, put_wrong },
	{ SB_GET, "/_api/collection/*/*", 0, get_sub },
	{ SB_PUT, "/_api/collection/*/*", 0, put_sub },
	{ SB_DELETE, "/_api/collection/**", 0, delete_wrong },
	{ SB_GET, "/_api/collection/**", 0, get_too_long },
	{ SB_PUT, "/_api/collection/**", 0, put_wrong },
	{ 0, NULL, 0, NULL }
};
