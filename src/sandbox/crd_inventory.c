/*
 * crd_inventory.c - /_api/replication and /_api/wal on a coordinator: the
 * inventory of a database, from this coordinator's copy of Plan and Current,
 * and everything else passed on to the DB-server that is named.
 *
 * Facts: arangod/RestHandler/RestReplicationHandler.cpp
 * (handleCommandClusterInventory, handleTrampolineCoordinator).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/coordinator.h"
#include "sandbox/crd_json.h"
#include "sandbox/crd_collection.h"
#include "sandbox/crd_show.h"
#include "vpack/hash.h"

/* ---- clusterInventory ------------------------------------------------------ */

static struct json_object *
shards_of(const struct cl_collection *col)
{
	struct json_object	*shards = json_object_new_object(), *list;
	const struct cl_servers	*s;
	char			*marked;
	size_t			 i, k;

	for (i = 0; i < col->nshards; i++) {
		s = &col->shards[i].plan;
		list = json_object_new_array();
		for (k = 0; k < s->n; k++) {
			if (k > 0 || !col->shards[i].plan_resign) {
				cj_push_str(list, s->id[k]);
				continue;
			}
			marked = xasprintf("_%s", s->id[k]);
			cj_push_str(list, marked);
			free(marked);
		}
		cj_add(shards, col->shards[i].name, list);
	}
	return shards;
}

static struct json_object *
parameters_of(struct crd *c, const struct cl_collection *col)
{
	static const char *const	 moved[] = { "indexes", "statusString",
	    "objectId", "allowUserKeys", "cid", "count", "version",
	    "isBuilding", "coordinator", "coordinatorRebootId" };
	struct json_object		*o;
	const char			*proto;
	char				 guid[64];
	size_t				 i;

	o = json_object_new_object();
	json_object_object_foreach(col->definition, name, value) {
		for (i = 0; i < NITEMS(moved); i++)
			if (strcmp(moved[i], name) == 0)
				break;
		if (i == NITEMS(moved))
			cj_add_ref(o, name, value);
	}
	snprintf(guid, sizeof(guid), "c%s/", col->cid);
	cj_add_str(o, "globallyUniqueId", guid);
	cj_add_str(o, "planId", col->cid);
	cj_add(o, "shards", shards_of(col));
	if ((proto = crd_prototype_name(c, col)) != NULL)
		cj_add_str(o, "distributeShardsLike", proto);
	return o;
}

static struct json_object *
indexes_of(struct crd *c, const struct cl_collection *col)
{
	struct json_object	*out = json_object_new_array(), *v;
	const char		*type;
	size_t			 i, n;

	n = cj_is_array(col->indexes) ?
	    json_object_array_length(col->indexes) : 0;
	for (i = 0; i < n; i++) {
		v = json_object_array_get_idx(col->indexes, i);
		type = cj_str(v, "type");
		if (type == NULL || strcmp(type, "primary") == 0 ||
		    strcmp(type, "edge") == 0 ||
		    strcmp(type, "arangosearch") == 0)
			continue;
		/* Only 3.12 hides what is being built. */
		if (cj_bool(v, "isBuilding", false) &&
		    sb_version(c->server) >= 31200)
			continue;
		v = cj_clone(v);
		crd_index_estimates(v);
		json_object_array_add(out, v);
	}
	return out;
}

/* Do the leaders lead?  Are Plan's and Current's servers the same? */
static void
judge_shards(const struct cl_collection *col, bool *ready, bool *in_sync)
{
	const struct cl_shard	*s;
	size_t			 i, k;

	*ready = *in_sync = true;
	for (i = 0; i < col->nshards; i++) {
		s = &col->shards[i];
		if (s->plan.n == 0 || s->current.n == 0 || s->plan_resign ||
		    s->current_resigned ||
		    strcmp(s->plan.id[0], s->current.id[0]) != 0)
			*ready = false;
		if (s->plan.n != s->current.n || s->plan_resign)
			*in_sync = false;
		for (k = 0; k < s->plan.n; k++)
			if (!cl_servers_contain(&s->current, s->plan.id[k]))
				*in_sync = false;
	}
}

static struct json_object *
inventory_of(struct crd *c, const struct cl_collection *col)
{
	struct json_object	*o = json_object_new_object();
	bool			 ready, in_sync;

	judge_shards(col, &ready, &in_sync);
	cj_add(o, "parameters", parameters_of(c, col));
	cj_add(o, "indexes", indexes_of(c, col));
	cj_add_int(o, "planVersion", 1);
	cj_add_bool(o, "isReady", ready);
	cj_add_bool(o, "allInSync", in_sync);
	return o;
}

static void
get_cluster_inventory(struct sb_req *r)
{
	struct crd			*c = crd_of(r);
	const struct cl_collection *const *list;
	struct json_object		*o, *out;
	bool				 system;
	uint64_t			 tick;
	char				 text[32];
	size_t				 i, n;

	system = sb_param_bool(r, "includeSystem", true);
	if ((tick = crd_new_id(c)) == 0) {
		sb_error(r, AE_CLUSTER_TIMEOUT, NULL);
		return;
	}
	out = json_object_new_array();
	n = cluster_collections(c->cluster, r->db, &list);
	for (i = 0; i < n; i++)
		if (!list[i]->is_building && !list[i]->deleted &&
		    (system || !list[i]->is_system))
			json_object_array_add(out, inventory_of(c, list[i]));
	o = json_object_new_object();
	cj_add(o, "properties", crd_database_show(c, r->db, ""));
	cj_add(o, "collections", out);
	cj_add(o, "views", json_object_new_array());
	snprintf(text, sizeof(text), "%" PRIu64, tick);
	cj_add_str(o, "tick", text);
	cj_add_str(o, "state", "unused");
	sb_reply_json(r, 200, o);
}

/* ---- others ---------------------------------------------------------------- */

/* Like arangod's server id, a number below 2^48 that stays the same. */
static void
get_server_id(struct sb_req *r)
{
	struct crd		*c = crd_of(r);
	struct json_object	*o = json_object_new_object();
	const char		*id = c->child->id;
	char			 text[32];

	snprintf(text, sizeof(text), "%" PRIu64,
	    vp_hash_bytes(id, strlen(id), 0) >> 16);
	cj_add_str(o, "serverId", text);
	sb_reply_json(r, 200, o);
}

static void
pass_on(struct sb_req *r)
{
	const char	*id = sb_param(r, "DBserver");
	const char	*url;
	char		*base;

	if (id == NULL || id[0] == '\0') {
		sb_error(r, AE_HTTP_BAD_PARAMETER,
		    "need \"DBserver\" parameter");
		return;
	}
	url = cluster_url(crd_of(r)->cluster, id);
	if (url == NULL || strncmp(id, "PRMR-", 5) != 0) {
		sb_error(r, AE_BACKEND_UNAVAILABLE, "unknown DB-server '%s'",
		    id);
		return;
	}
	base = xstrdup(url);
	sb_forward(r, base, id);
	free(base);
}

static void
not_on_coordinators(struct sb_req *r)
{
	sb_error(r, AE_CLUSTER_UNSUPPORTED, NULL);
}

static void
not_there(struct sb_req *r)
{
	sb_not_supported(r, r->path);
}

#define PASSED	(SB_GET | SB_POST | SB_PUT | SB_DELETE)
#define ANY	(PASSED | SB_PATCH | SB_HEAD)

const struct sb_route	 crd_inventory_routes[] = {
	{ SB_GET, "/_api/replication/clusterInventory", 0,
	    get_cluster_inventory },
	{ SB_GET, "/_api/replication/server-id", 0, get_server_id },
	{ PASSED, "/_api/replication/batch", 0, pass_on },
	{ PASSED, "/_api/replication/batch/*", 0, pass_on },
	{ SB_GET, "/_api/replication/inventory", 0, pass_on },
	{ SB_GET, "/_api/replication/keys/**", 0, pass_on },
	{ SB_GET, "/_api/replication/dump", 0, pass_on },
	{ SB_GET, "/_api/replication/logger-state", 0, pass_on },
	{ SB_GET, "/_api/replication/logger-tick-ranges", 0, pass_on },
	{ SB_GET, "/_api/replication/logger-first-tick", 0, pass_on },
	{ SB_GET | SB_PUT, "/_api/replication/logger-follow", 0, pass_on },
	{ PASSED, "/_api/replication/revisions/**", 0, pass_on },
	{ ANY, "/_api/replication/**", 0, not_there },
	{ ANY, "/_api/wal/**", 0, not_on_coordinators },
	{ 0, NULL, 0, NULL }
};
