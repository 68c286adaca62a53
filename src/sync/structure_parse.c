/*
 * structure_parse.c - a structure from the agency's Plan, and to and from the
 * JSON in which it travels; see structure.h
 */
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/map.h"
#include "base/str.h"
#include "json/get.h"
#include "sync/structure.h"
#include "sync/structure_priv.h"

#define STRUCTURE_FORMAT	1
#define SHARDS_MAX		100000

/* ---- attributes of a collection ----------------------------------------- */

static bool
is_empty(struct json_object *v)
{
	if (v == NULL)
		return true;
	if (json_object_is_type(v, json_type_object))
		return json_object_object_length(v) == 0;
	return json_object_is_type(v, json_type_array) &&
	    json_object_array_length(v) == 0;
}

static void
drop_if_string(struct json_object *o, const char *name, const char *dflt)
{
	if (strcmp(json_string_or(o, name, "\1"), dflt) == 0)
		json_object_object_del(o, name);
}

static void
drop_if_int(struct json_object *o, const char *name, int64_t dflt)
{
	struct json_object	*v;

	if (json_object_object_get_ex(o, name, &v) &&
	    json_object_is_type(v, json_type_int) &&
	    json_object_get_int64(v) == dflt)
		json_object_object_del(o, name);
}

static struct json_object *
normal_schema(struct json_object *schema)
{
	struct json_object	*o = json_copy(schema);

	drop_if_string(o, "type", "json");
	drop_if_string(o, "level", "strict");
	drop_if_string(o, "message", "");
	return o;
}

static struct json_object *
normal_key_options(struct json_object *opts)
{
	struct json_object	*o = json_copy(opts);

	json_object_object_del(o, "lastValue");
	if (json_bool_or(o, "allowUserKeys", true))
		json_object_object_del(o, "allowUserKeys");
	if (strcmp(json_string_or(o, "type", ""), "autoincrement") == 0) {
		drop_if_int(o, "increment", 1);
		drop_if_int(o, "offset", 0);
	}
	drop_if_string(o, "type", "traditional");
	return o;
}

static void
take_changeable(struct structure_coll *c, struct json_object *def)
{
	struct json_object	*v;

	c->changeable = json_object_new_object();
	if (json_bool_or(def, "waitForSync", false))
		json_set_bool(c->changeable, "waitForSync", true);
	if (json_bool_or(def, "cacheEnabled", false))
		json_set_bool(c->changeable, "cacheEnabled", true);
	v = json_at(def, "schema");
	if (json_object_is_type(v, json_type_object) && !is_empty(v))
		json_set(c->changeable, "schema", normal_schema(v));
	v = json_at(def, "computedValues");
	if (!is_empty(v))
		json_set(c->changeable, "computedValues", json_copy(v));
}

static void
take_fixed(struct structure_coll *c, struct json_object *def)
{
	static const char *const	 smart[] = { "smartGraphAttribute",
	    "smartJoinAttribute" };
	struct json_object		*v;
	const char			*text;
	size_t				 i;

	c->fixed = json_object_new_object();
	v = json_at(def, "keyOptions");
	if (json_object_is_type(v, json_type_object)) {
		v = normal_key_options(v);
		if (is_empty(v))
			json_object_put(v);
		else
			json_set(c->fixed, "keyOptions", v);
	}
	for (i = 0; i < NITEMS(smart); i++) {
		text = json_string_or(def, smart[i], "");
		if (*text != '\0')
			json_set_string(c->fixed, smart[i], text);
	}
}

/* An integer, or "satellite". */
static int
take_replication(struct structure_coll *c, struct json_object *def,
    struct err_msg *m)
{
	struct json_object	*v = json_at(def, "replicationFactor");
	int			 r;

	c->replication_factor = 1;
	if (json_object_is_type(v, json_type_string) &&
	    strcmp(json_object_get_string(v), "satellite") == 0)
		c->replication_factor = 0;
	else if ((r = json_want_int(def, "replicationFactor", 0, 10000,
	    &c->replication_factor, m)) != 0)
		return r;
	c->write_concern = c->replication_factor == 0 ? 0 : 1;
	if ((r = json_want_int(def, "minReplicationFactor", 0, 10000,
	    &c->write_concern, m)) != 0)
		return r;
	return json_want_int(def, "writeConcern", 0, 10000, &c->write_concern,
	    m);
}

static int
take_sharding(struct structure_coll *c, struct json_object *def,
    struct err_msg *m)
{
	struct json_object	*keys, *shards = json_at(def, "shards");
	size_t			 i;
	int			 r;

	c->shards = json_object_is_type(shards, json_type_object) ?
	    json_object_object_length(shards) : 1;
	if ((r = json_want_int(def, "numberOfShards", 0, SHARDS_MAX,
	    &c->shards, m)) != 0 ||
	    (r = json_need_array(def, "shardKeys", &keys, m)) != 0)
		return r;
	for (i = 0; i < json_object_array_length(keys); i++)
		if (!json_object_is_type(json_object_array_get_idx(keys, i),
		    json_type_string))
			return err_set(m, ERR_FORMAT,
			    "shardKeys is not a list of names");
	c->shard_keys = structure_text(keys);
	c->strategy = xstrdup(json_string_or(def, "shardingStrategy",
	    "community-compat"));
	return 0;
}

static void
take_kind(struct structure_coll *c)
{
	const char	*target;

	c->kind = structure_kind(c->name, &target);
	if (c->smart_child)
		c->kind = STRUCTURE_SMART_CHILD;
	c->target_name = xstrdup(target);
}

/* What Plan and our own form have in common. */
static int
take_common(struct structure_coll *c, struct json_object *def,
    struct err_msg *m)
{
	const char	*name;
	int64_t		 type;
	int		 r;

	if ((r = json_need_string(def, "name", &name, m)) != 0 ||
	    (r = json_need_int(def, "type", 2, 3, &type, m)) != 0)
		return r;
	if (*name == '\0')
		return err_set(m, ERR_FORMAT, "name is empty");
	c->name = xstrdup(name);
	c->type = (int)type;
	c->system = json_bool_or(def, "isSystem", *name == '_');
	c->smart = json_bool_or(def, "isSmart", false);
	c->disjoint = json_bool_or(def, "isDisjoint", false);
	c->smart_child = json_bool_or(def, "isSmartChild", false);
	take_kind(c);
	if ((r = take_sharding(c, def, m)) != 0 ||
	    (r = take_replication(c, def, m)) != 0)
		return r;
	take_changeable(c, def);
	take_fixed(c, def);
	return 0;
}

static int
take_indexes(struct structure_coll *c, struct json_object *def,
    struct err_msg *m)
{
	struct json_object	*list = NULL, *x;
	size_t			 i;
	int			 r;

	if (json_at(def, "indexes") == NULL)
		return 0;
	if ((r = json_need_array(def, "indexes", &list, m)) != 0)
		return r;
	for (i = 0; i < json_object_array_length(list); i++) {
		x = json_object_array_get_idx(list, i);
		if (!json_object_is_type(x, json_type_object))
			return err_set(m, ERR_FORMAT,
			    "indexes.%zu is not an object", i);
		/* it will be there, or rolled back */
		if (json_bool_or(x, "isBuilding", false)) {
			c->index_pending = true;
			continue;
		}
		if ((x = structure_index_normal(x)) != NULL)
			structure_add_index(c, x);
	}
	return 0;
}

/* ---- Plan --------------------------------------------------------------- */

static struct structure_db *
db_add(struct structure *st, const char *name)
{
	struct structure_db	*db;

	st->dbs = xrealloc(st->dbs, (st->ndbs + 1) * sizeof(*db));
	db = &st->dbs[st->ndbs++];
	memset(db, 0, sizeof(*db));
	db->name = xstrdup(name);
	db->options = json_object_new_object();
	return db;
}

static struct structure_coll *
coll_add(struct structure_db *db)
{
	struct structure_coll	*c;

	/* grows by doubling at powers of two */
	if ((db->ncolls & (db->ncolls - 1)) == 0)
		db->colls = xrealloc(db->colls,
		    MAX((size_t)1, db->ncolls * 2) * sizeof(*c));
	c = &db->colls[db->ncolls++];
	memset(c, 0, sizeof(*c));
	return c;
}

static void
take_db_options(struct structure_db *db, struct json_object *def)
{
	struct json_object	*v;

	if (strcmp(json_string_or(def, "sharding", ""), "single") == 0)
		json_set_string(db->options, "sharding", "single");
	if ((v = json_at(def, "replicationFactor")) != NULL)
		json_set(db->options, "replicationFactor", json_copy(v));
	if ((v = json_at(def, "writeConcern")) != NULL)
		json_set(db->options, "writeConcern", json_copy(v));
	db->pending = json_bool_or(def, "isBuilding", false);
	db->replication2 = strcmp(json_string_or(def, "replicationVersion",
	    "1"), "2") == 0;
}

static int
fail_at(struct err_msg *m, int r, const char *db, const char *cid)
{
	struct err_msg	 why;

	if (m == NULL)
		return r;
	why = *m;
	return err_set(m, r, "Plan.Collections.%.64s.%.32s: %.300s", db, cid,
	    why.text);
}

static int
plan_coll(struct structure_db *db, const char *cid, struct json_object *def,
    struct err_msg *m)
{
	struct structure_coll	*c;
	int			 r;

	if (!json_object_is_type(def, json_type_object))
		return err_set(m, ERR_FORMAT, "Plan.Collections.%.64s.%.32s is "
		    "not an object", db->name, cid);
	c = coll_add(db);
	c->cid = xstrdup(cid);
	c->pending = json_bool_or(def, "isBuilding", false) ||
	    json_bool_or(def, "deleted", false) ||
	    json_int_or(def, "status", 3) == 5;
	if ((r = take_common(c, def, m)) != 0 ||
	    (r = take_indexes(c, def, m)) != 0)
		return fail_at(m, r, db->name, cid);
	/* an id still; it becomes a name when all are there */
	if (*json_string_or(def, "distributeShardsLike", "") != '\0')
		c->like = xstrdup(json_string_or(def, "distributeShardsLike",
		    ""));
	return 0;
}

/*
 * Prototypes by name.  One that is not there any more cannot be made at the
 * target: such a collection is left alone.
 */
static void
plan_likes(struct structure_db *db)
{
	struct map		 by_cid = MAP_INIT;
	struct structure_coll	*c, *proto;
	size_t			 i;

	for (i = 0; i < db->ncolls; i++)
		map_put(&by_cid, db->colls[i].cid, &db->colls[i]);
	for (i = 0; i < db->ncolls; i++) {
		c = &db->colls[i];
		if (c->like == NULL)
			continue;
		proto = map_get(&by_cid, c->like);
		if (proto == NULL || proto->pending)
			c->pending = true;
		else {
			free(c->like);
			c->like = xstrdup(proto->name);
		}
	}
	map_free(&by_cid, NULL);
}

static int
plan_db(struct structure *st, const char *name, struct json_object *def,
    struct json_object *colls, struct err_msg *m)
{
	struct structure_db	*db;
	int			 r;

	if (!json_object_is_type(def, json_type_object) || *name == '\0')
		return err_set(m, ERR_FORMAT,
		    "Plan.Databases.%.64s is not an object", name);
	db = db_add(st, name);
	take_db_options(db, def);
	if (colls == NULL) {
		/* a database that is made just now has none yet; any other
		 * without its collections is half a Plan */
		if (db->pending)
			return 0;
		return err_set(m, ERR_FORMAT,
		    "Plan.Collections.%.64s is missing", name);
	}
	if (!json_object_is_type(colls, json_type_object))
		return err_set(m, ERR_FORMAT,
		    "Plan.Collections.%.64s is not an object", name);
	json_object_object_foreach(colls, cid, coll) {
		if ((r = plan_coll(db, cid, coll, m)) != 0)
			return r;
	}
	plan_likes(db);
	return 0;
}

int
structure_from_plan(struct json_object *plan, const char *cluster_id,
    struct structure **out, struct err_msg *m)
{
	struct structure	*st = xcalloc(1, sizeof(*st));
	struct json_object	*dbs, *colls, *list;
	int			 r;

	st->cluster_id = xstrdup(cluster_id != NULL ? cluster_id : "");
	if ((r = json_need_object(plan, "Databases", &dbs, m)) != 0 ||
	    (r = json_need_object(plan, "Collections", &colls, m)) != 0 ||
	    (r = json_want_uint(plan, "Version", &st->version, m)) != 0)
		goto out;
	json_object_object_foreach(dbs, name, def) {
		list = NULL;
		json_object_object_get_ex(colls, name, &list);
		if ((r = plan_db(st, name, def, list, m)) != 0)
			goto out;
	}
	/* every cluster has this one: without it the Plan is not whole */
	if (structure_db(st, "_system") == NULL) {
		r = err_set(m, ERR_FORMAT, "Plan.Databases._system is missing");
		goto out;
	}
	r = structure_finish(st, m);
out:
	if (r != 0)
		structure_free(&st);
	else
		*out = st;
	return r;
}

/* ---- our own form ------------------------------------------------------- */

static struct json_object *
coll_to_json(const struct structure_coll *c)
{
	struct json_object	*o = json_copy(c->changeable), *list, *keys;
	size_t			 i;

	json_object_object_foreach(c->fixed, name, value) {
		json_set(o, name, json_copy(value));
	}
	json_set_string(o, "name", c->name);
	json_set_string(o, "cid", c->cid);
	json_set_int(o, "type", c->type);
	json_set_bool(o, "isSystem", c->system);
	json_set_int(o, "numberOfShards", c->shards);
	if (json_parse(c->shard_keys, strlen(c->shard_keys), &keys, NULL) == 0)
		json_set(o, "shardKeys", keys);
	json_set_string(o, "shardingStrategy", c->strategy);
	json_set_int(o, "replicationFactor", c->replication_factor);
	json_set_int(o, "writeConcern", c->write_concern);
	if (c->like != NULL)
		json_set_string(o, "like", c->like);
	if (c->smart)
		json_set_bool(o, "isSmart", true);
	if (c->disjoint)
		json_set_bool(o, "isDisjoint", true);
	if (c->smart_child)
		json_set_bool(o, "isSmartChild", true);
	if (c->pending)
		json_set_bool(o, "pending", true);
	if (c->index_pending)
		json_set_bool(o, "indexPending", true);
	list = json_object_new_array();
	for (i = 0; i < c->nindexes; i++)
		json_object_array_add(list, json_copy(c->indexes[i].def));
	json_set(o, "indexes", list);
	return o;
}

struct json_object *
structure_to_json(const struct structure *st)
{
	struct json_object	*o = json_object_new_object(), *dbs, *db,
				*colls;
	const struct structure_db *d;
	size_t			 i, k;

	json_set_int(o, "format", STRUCTURE_FORMAT);
	json_set_string(o, "clusterId", st->cluster_id);
	json_set_uint(o, "version", st->version);
	dbs = json_object_new_array();
	for (i = 0; i < st->ndbs; i++) {
		d = &st->dbs[i];
		db = json_object_new_object();
		json_set_string(db, "name", d->name);
		json_set(db, "options", json_copy(d->options));
		if (d->pending)
			json_set_bool(db, "pending", true);
		if (d->replication2)
			json_set_bool(db, "replication2", true);
		colls = json_object_new_array();
		for (k = 0; k < d->ncolls; k++)
			json_object_array_add(colls,
			    coll_to_json(&d->colls[k]));
		json_set(db, "collections", colls);
		json_object_array_add(dbs, db);
	}
	json_set(o, "databases", dbs);
	return o;
}

static int
coll_from_json(struct structure_db *db, struct json_object *o,
    struct err_msg *m)
{
	struct structure_coll	*c = coll_add(db);
	const char		*cid;
	int			 r;

	if ((r = json_need_string(o, "cid", &cid, m)) != 0)
		return r;
	c->cid = xstrdup(cid);
	if ((r = take_common(c, o, m)) != 0 ||
	    (r = take_indexes(c, o, m)) != 0)
		return r;
	if (*json_string_or(o, "like", "") != '\0')
		c->like = xstrdup(json_string_or(o, "like", ""));
	c->pending = json_bool_or(o, "pending", false);
	c->index_pending = json_bool_or(o, "indexPending", false);
	return 0;
}

static int
db_from_json(struct structure *st, struct json_object *o, struct err_msg *m)
{
	struct structure_db	*db;
	struct json_object	*colls, *opts;
	const char		*name;
	size_t			 i;
	int			 r;

	if ((r = json_need_string(o, "name", &name, m)) != 0 ||
	    (r = json_need_object(o, "options", &opts, m)) != 0 ||
	    (r = json_need_array(o, "collections", &colls, m)) != 0)
		return r;
	if (*name == '\0')
		return err_set(m, ERR_FORMAT, "a database without a name");
	db = db_add(st, name);
	take_db_options(db, opts);
	db->pending = json_bool_or(o, "pending", false);
	db->replication2 = json_bool_or(o, "replication2", false);
	for (i = 0; i < json_object_array_length(colls); i++)
		if ((r = coll_from_json(db,
		    json_object_array_get_idx(colls, i), m)) != 0)
			return r;
	return 0;
}

int
structure_from_json(struct json_object *o, struct structure **out,
    struct err_msg *m)
{
	struct structure	*st = xcalloc(1, sizeof(*st));
	struct json_object	*dbs;
	const char		*id;
	int64_t			 format;
	size_t			 i;
	int			 r;

	if ((r = json_need_int(o, "format", STRUCTURE_FORMAT,
	    STRUCTURE_FORMAT, &format, m)) != 0 ||
	    (r = json_need_string(o, "clusterId", &id, m)) != 0 ||
	    (r = json_need_uint(o, "version", &st->version, m)) != 0 ||
	    (r = json_need_array(o, "databases", &dbs, m)) != 0)
		goto out;
	st->cluster_id = xstrdup(id);
	for (i = 0; i < json_object_array_length(dbs); i++)
		if ((r = db_from_json(st, json_object_array_get_idx(dbs, i),
		    m)) != 0)
			goto out;
	if (structure_db(st, "_system") == NULL) {
		r = err_set(m, ERR_FORMAT, "database _system is missing");
		goto out;
	}
	r = structure_finish(st, m);
out:
	if (r != 0)
		structure_free(&st);
	else
		*out = st;
	return r;
}
