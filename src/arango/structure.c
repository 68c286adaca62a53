/* structure.c - databases, collections, indexes; see structure.h */
#include <stdlib.h>
#include <string.h>

#include <json-c/linkhash.h>

#include "arango/conn.h"
#include "arango/structure.h"
#include "base/buf.h"
#include "base/str.h"
#include "http/url.h"
#include "json/get.h"

#define RETRY_MS	(30 * 1000)

/* "/_api/x/<name><rest>"; free() it. */
static char *
path_of(const char *prefix, const char *name, const char *rest)
{
	struct buf	 b = BUF_INIT;

	buf_append_str(&b, prefix);
	url_encode_append(&b, name, strlen(name));
	buf_append_str(&b, rest);
	return buf_cstr(&b);
}

static bool
is_in(const char *name, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcmp(name, *list) == 0)
			return true;
	return false;
}

/* The members of o that are in the list. */
static struct json_object *
pick(struct json_object *o, const char *const *list)
{
	struct json_object	*out = json_object_new_object();

	if (!json_object_is_type(o, json_type_object))
		return out;
	json_object_object_foreach(o, name, v) {
		if (is_in(name, list))
			json_object_object_add(out, name,
			    json_object_get(v));
	}
	return out;
}

/*
 * A request that changes something: sent once more after an unknown outcome
 * only by the caller, who looks first.
 */
static int
change(struct arango *a, const char *method, const char *db, const char *path,
    struct json_object *body, struct json_object **out, int *num,
    struct err_msg *m)
{
	int	 n = 0, r;

	r = arango_json(a, NULL, method, db, path, body, RETRY_MS, out, &n, m);
	if (num != NULL)
		*num = n;
	if (r != 0 && n == AERR_DUPLICATE_NAME)
		r = ERR_EXISTS;
	return r;
}

/* A removal of what is not there has succeeded. */
static int
drop(struct arango *a, const char *db, const char *path, int absent,
    int *num, struct err_msg *m)
{
	int	 n, r;

	r = change(a, "DELETE", db, path, NULL, NULL, &n, m);
	if (num != NULL)
		*num = n;
	return r != 0 && n == absent ? 0 : r;
}

/* Read and hand out the tree, or one member of it. */
static int
fetch(struct arango *a, struct arango_server *to, const char *method,
    const char *db, const char *path, struct json_object *body,
    const char *part, struct json_object **out, int *num, struct err_msg *m)
{
	struct json_object	*o, *v;
	int			 r;

	r = arango_json(a, to, method, db, path, body, RETRY_MS, &o, num, m);
	if (r != 0)
		return r;
	v = part == NULL ? o : json_at(o, part);
	if (v == NULL)
		r = err_set(m, ERR_FORMAT, "%s: %s answers without %s",
		    arango_name(a), path, part == NULL ? "" : part);
	else
		*out = json_object_get(v);
	json_object_put(o);
	return r;
}

/* ---- databases ---------------------------------------------------------- */

int
arango_database_create(struct arango *a, const char *name,
    struct json_object *options, int *num, struct err_msg *m)
{
	static const char *const keep[] = { "replicationFactor", "sharding",
	    "writeConcern", NULL };
	struct json_object	*body = json_object_new_object();
	int			 r;

	json_set_string(body, "name", name);
	if (options != NULL)
		json_set(body, "options", pick(options, keep));
	r = change(a, "POST", "_system", "/_api/database", body, NULL, num, m);
	json_object_put(body);
	return r;
}

int
arango_database_drop(struct arango *a, const char *name, int *num,
    struct err_msg *m)
{
	char	*path = path_of("/_api/database/", name, "");
	int	 r;

	r = drop(a, "_system", path, AERR_DATABASE_NOT_FOUND, num, m);
	free(path);
	return r;
}

int
arango_database_list(struct arango *a, struct json_object **names,
    struct err_msg *m)
{
	int	 r;

	r = fetch(a, NULL, "GET", "_system", "/_api/database", NULL, "result",
	    names, NULL, m);
	if (r == 0 && !json_object_is_type(*names, json_type_array)) {
		json_object_put(*names);
		return err_set(m, ERR_FORMAT, "%s: the list of databases is "
		    "no list", arango_name(a));
	}
	return r;
}

int
arango_database_get(struct arango *a, const char *name,
    struct json_object **props, int *num, struct err_msg *m)
{
	return fetch(a, NULL, "GET", name, "/_api/database/current", NULL,
	    "result", props, num, m);
}

/* ---- collections -------------------------------------------------------- */

/* Those of target reference 2.2 that a new collection takes. */
static const char *const collection_attrs[] = {
	"name", "type", "isSystem", "numberOfShards", "shardKeys",
	"shardingStrategy", "replicationFactor", "writeConcern",
	"waitForSync", "schema", "computedValues", "cacheEnabled",
	"keyOptions", "isSmart", "smartGraphAttribute", "smartJoinAttribute",
	"isDisjoint", NULL
};

/* What arangod's own restore does on the Community Edition (10.4). */
static void
make_community(struct json_object *o)
{
	const char	*strategy = json_string_or(o, "shardingStrategy", "");

	json_object_object_del(o, "isSmart");
	json_object_object_del(o, "isDisjoint");
	json_object_object_del(o, "smartGraphAttribute");
	json_object_object_del(o, "smartJoinAttribute");
	if (strstr(strategy, "enterprise") != NULL)
		json_set_string(o, "shardingStrategy", "hash");
	if (strcmp(json_string_or(o, "replicationFactor", ""),
	    "satellite") == 0 || json_int_or(o, "replicationFactor", 1) == 0) {
		/* The server's default is better than any guess of ours. */
		json_object_object_del(o, "replicationFactor");
		json_object_object_del(o, "writeConcern");
	}
}

static void
drop_null(struct json_object *o, const char *name)
{
	struct json_object	*v;

	if (json_object_object_get_ex(o, name, &v) && v == NULL)
		json_object_object_del(o, name);
}

struct json_object *
arango_collection_body(struct json_object *def, const char *like,
    bool community)
{
	struct json_object	*o = pick(def, collection_attrs), *v;
	const char		*name = json_string_or(def, "name", "");

	if (!json_object_object_get_ex(o, "numberOfShards", NULL) &&
	    json_object_object_get_ex(def, "shards", &v) &&
	    json_object_is_type(v, json_type_object))
		json_set_int(o, "numberOfShards", json_object_object_length(v));
	if (!json_object_object_get_ex(o, "writeConcern", NULL) &&
	    json_object_object_get_ex(def, "minReplicationFactor", &v))
		json_set(o, "writeConcern", json_object_get(v));
	/* POST wants to be told; a Plan may have left it out. */
	if (*name == '_')
		json_set_bool(o, "isSystem", true);
	drop_null(o, "schema");
	drop_null(o, "computedValues");
	if (community)
		make_community(o);
	if (like != NULL) {
		/* Both come from the prototype, and must not contradict. */
		json_object_object_del(o, "numberOfShards");
		json_object_object_del(o, "replicationFactor");
		json_object_object_del(o, "writeConcern");
		json_set_string(o, "distributeShardsLike", like);
	}
	return o;
}

int
arango_collection_create(struct arango *a, const char *db,
    struct json_object *def, const char *like, bool community, int *num,
    struct err_msg *m)
{
	struct json_object	*body = arango_collection_body(def, like,
				    community);
	int			 r;

	r = change(a, "POST", db,
	    "/_api/collection?enforceReplicationFactor=false", body, NULL, num,
	    m);
	json_object_put(body);
	return r;
}

int
arango_collection_drop(struct arango *a, const char *db, const char *name,
    int *num, struct err_msg *m)
{
	char	*path = path_of("/_api/collection/", name,
		    "?isSystem=true");
	int	 r;

	r = drop(a, db, path, AERR_DATA_SOURCE_NOT_FOUND, num, m);
	free(path);
	return r;
}

int
arango_collection_change(struct arango *a, const char *db, const char *name,
    struct json_object *props, int *num, struct err_msg *m)
{
	static const char *const keep[] = { "waitForSync", "schema",
	    "replicationFactor", "minReplicationFactor", "writeConcern",
	    "computedValues", "cacheEnabled", NULL };
	struct json_object	*body = pick(props, keep);
	char			*path;
	int			 r;

	path = path_of("/_api/collection/", name, "/properties");
	r = change(a, "PUT", db, path, body, NULL, num, m);
	json_object_put(body);
	free(path);
	return r;
}

int
arango_collection_get(struct arango *a, const char *db, const char *name,
    struct json_object **props, int *num, struct err_msg *m)
{
	char	*path = path_of("/_api/collection/", name, "/properties");
	int	 r;

	r = fetch(a, NULL, "GET", db, path, NULL, NULL, props, num, m);
	free(path);
	return r;
}

int
arango_responsible_shard(struct arango *a, const char *db, const char *name,
    struct json_object *doc, char **shard, int *num, struct err_msg *m)
{
	struct json_object	*o;
	char			*path;
	const char		*s;
	int			 r;

	path = path_of("/_api/collection/", name, "/responsibleShard");
	r = fetch(a, NULL, "PUT", db, path, doc, NULL, &o, num, m);
	free(path);
	if (r != 0)
		return r;
	if ((r = json_need_string(o, "shardId", &s, m)) == 0)
		*shard = xstrdup(s);
	json_object_put(o);
	return r;
}

int
arango_collection_count(struct arango *a, struct arango_server *to,
    const char *db, const char *name, uint64_t *count, int *num,
    struct err_msg *m)
{
	struct json_object	*o;
	char			*path = path_of("/_api/collection/", name,
				    "/count");
	int			 r;

	r = fetch(a, to, "GET", db, path, NULL, NULL, &o, num, m);
	free(path);
	if (r != 0)
		return r;
	r = json_need_uint(o, "count", count, m);
	json_object_put(o);
	return r;
}

int
arango_collection_checksum(struct arango *a, struct arango_server *to,
    const char *db, const char *name, bool with_revisions, bool with_data,
    uint64_t *checksum, int *num, struct err_msg *m)
{
	struct json_object	*o;
	char			*rest, *path;
	int			 r;

	rest = xasprintf("/checksum?withRevisions=%s&withData=%s",
	    with_revisions ? "true" : "false", with_data ? "true" : "false");
	path = path_of("/_api/collection/", name, rest);
	r = fetch(a, to, "GET", db, path, NULL, NULL, &o, num, m);
	free(path);
	free(rest);
	if (r != 0)
		return r;
	r = json_need_id(o, "checksum", checksum, m);
	json_object_put(o);
	return r;
}

int
arango_inventory(struct arango *a, const char *db, struct json_object **inv,
    int *num, struct err_msg *m)
{
	return fetch(a, NULL, "GET", db, "/_api/replication/clusterInventory"
	    "?includeSystem=true", NULL, NULL, inv, num, m);
}

/* ---- indexes ------------------------------------------------------------ */

int
arango_index_list(struct arango *a, const char *db, const char *coll,
    struct json_object **indexes, int *num, struct err_msg *m)
{
	char	*path = path_of("/_api/index?collection=", coll, "");
	int	 r;

	r = fetch(a, NULL, "GET", db, path, NULL, "indexes", indexes, num, m);
	free(path);
	if (r == 0 && !json_object_is_type(*indexes, json_type_array)) {
		json_object_put(*indexes);
		return err_set(m, ERR_FORMAT, "%s: the list of indexes is no "
		    "list", arango_name(a));
	}
	return r;
}

struct json_object *
arango_index_body(struct json_object *def)
{
	/* What servers add, and what names an index of another cluster. */
	static const char *const added[] = { "id", "isNewlyCreated",
	    "selectivityEstimate", "figures", "progress", "isBuilding",
	    "inBackground", "objectId", "error", "code", "coordinator",
	    "coordinatorRebootId", "errorMessage", NULL };
	struct json_object	*o = json_object_new_object();

	if (json_object_is_type(def, json_type_object)) {
		json_object_object_foreach(def, name, v) {
			if (!is_in(name, added))
				json_object_object_add(o, name,
				    json_object_get(v));
		}
	}
	/* The shard stays writable meanwhile. */
	json_set_bool(o, "inBackground", true);
	return o;
}

int
arango_index_create(struct arango *a, const char *db, const char *coll,
    struct json_object *def, bool *created, int *num, struct err_msg *m)
{
	struct json_object	*body = arango_index_body(def);
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	struct buf		 text = BUF_INIT;
	char			*path;
	int			 r;

	path = path_of("/_api/index?collection=", coll, "");
	json_append(&text, body);
	req.method = "POST";
	req.db = db;
	req.path = path;
	req.body = text.data;
	req.len = text.len;
	req.retry_ms = RETRY_MS;
	/* Building takes what it takes (up to 72 h on the server). */
	req.timeout_ms = 0;
	r = arango_call(a, &req, &ans);
	if (num != NULL)
		*num = ans.num;
	if (r == 0 && created != NULL)
		*created = ans.status == 201;
	if (r != 0 && m != NULL)
		*m = ans.msg;
	arango_answer_free(&ans);
	buf_free(&text);
	free(path);
	json_object_put(body);
	return r;
}

int
arango_index_drop(struct arango *a, const char *db, const char *coll,
    const char *name, int *num, struct err_msg *m)
{
	struct buf	 b = BUF_INIT;
	int		 n = 0, r;

	buf_append_str(&b, "/_api/index/");
	url_encode_append(&b, coll, strlen(coll));
	buf_append_u8(&b, '/');
	url_encode_append(&b, name, strlen(name));
	r = drop(a, db, buf_cstr(&b), AERR_INDEX_NOT_FOUND, &n, m);
	if (num != NULL)
		*num = n;
	buf_free(&b);
	return r != 0 && n == AERR_DATA_SOURCE_NOT_FOUND ? 0 : r;
}
