/*
 * cluster.c - Plan and Current as structs.  The watcher only notes what has
 * changed; the next lookup parses that anew, and nothing else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "ev/fiber.h"
#include "json/get.h"
#include "sandbox/agency_store.h"
#include "sandbox/cluster_priv.h"

#define PLAN_COLLECTIONS	"/arango/Plan/Collections"
#define CURRENT_COLLECTIONS	"/arango/Current/Collections"

static void	on_change(void *, const char *);
static void	db_free(void *);

int
cluster_new(struct agency *a, struct cluster **out)
{
	struct cluster	*c = xcalloc(1, sizeof(*c));

	c->agency = a;
	c->all_dirty = c->servers_dirty = c->names_dirty = true;
	agency_watch(a, on_change, c);
	*out = c;
	return 0;
}

void
cluster_free(struct cluster **cp)
{
	struct cluster	*c = *cp;

	if (c == NULL)
		return;
	*cp = NULL;
	map_free(&c->dbs, db_free);
	map_free(&c->dirty, NULL);
	cluster_servers_free(c);
	free(c->list);
	free(c->names);
	free(c);
}

struct agency *
cluster_agency(struct cluster *c)
{
	return c->agency;
}

/* ---- what has changed --------------------------------------------------- */

/* Is path at, above, or below other? */
static bool
touches(const char *path, const char *other)
{
	size_t	n = strlen(path), m = strlen(other);

	if (n == 1)
		return true;		/* the root */
	if (n <= m)
		return strncmp(path, other, n) == 0 &&
		    (other[n] == '\0' || other[n] == '/');
	return strncmp(path, other, m) == 0 && path[m] == '/';
}

/* path is below top: note "db/cid" of it, or everything. */
static void
note_collection(struct cluster *c, const char *path, const char *top)
{
	const char	*db, *cid, *end;
	size_t		 len = strlen(top);

	if (strlen(path) <= len + 1 || (cid = strchr(db = path + len + 1,
	    '/')) == NULL || cid[1] == '\0') {
		c->all_dirty = true;
		return;
	}
	end = strchrnul(cid + 1, '/');
	(void)map_put_n(&c->dirty, db, (size_t)(end - db), NULL);
}

static void
on_change(void *arg, const char *path)
{
	static const char *const	 servers[] = {
		"/arango/Plan/DBServers", "/arango/Plan/Coordinators",
		"/arango/Current/ServersRegistered",
		"/arango/Current/ServersKnown",
		"/arango/Target/MapUniqueToShortID",
		"/arango/Target/FailedServers", "/arango/Supervision/Health",
	};
	struct cluster			*c = arg;
	size_t				 i;

	if (touches(path, PLAN_COLLECTIONS))
		note_collection(c, path, PLAN_COLLECTIONS);
	if (touches(path, CURRENT_COLLECTIONS))
		note_collection(c, path, CURRENT_COLLECTIONS);
	if (touches(path, "/arango/Plan/Databases"))
		c->names_dirty = true;
	for (i = 0; i < NITEMS(servers); i++)
		if (touches(path, servers[i]))
			c->servers_dirty = true;
}

/* ---- collections -------------------------------------------------------- */

static void
col_put(void *arg)
{
	const struct cl_collection	*col = arg;

	cl_collection_unref(&col);
}

static void
db_free(void *arg)
{
	struct cl_db	*db = arg;

	map_free(&db->by_shard, NULL);
	map_free(&db->by_name, NULL);
	map_free(&db->by_cid, col_put);
	free(db->name);
	free(db);
}

static struct cl_db *
db_get(struct cluster *c, const char *name)
{
	struct cl_db	*db;

	if ((db = map_get(&c->dbs, name)) == NULL) {
		db = xcalloc(1, sizeof(*db));
		db->name = xstrdup(name);
		(void)map_put(&c->dbs, name, db);
	}
	return db;
}

/* Take a collection out of the tables. */
static void
col_forget(struct cl_db *db, const char *cid)
{
	struct cl_collection	*col;
	size_t			 i;

	if ((col = map_del(&db->by_cid, cid)) == NULL)
		return;
	/* Its name, or a shard, may belong to another one already. */
	if (map_get(&db->by_name, col->name) == col)
		map_del(&db->by_name, col->name);
	for (i = 0; i < col->nshards; i++)
		if (map_get(&db->by_shard, col->shards[i].name) == col)
			map_del(&db->by_shard, col->shards[i].name);
	col_put(col);
}

static void
col_refresh(struct cluster *c, const char *db_name, const char *cid)
{
	struct json_object	*def, *cur;
	struct cl_collection	*col = NULL;
	struct cl_db		*db = db_get(c, db_name);
	size_t			 i;

	def = agency_peek(c->agency, PLAN_COLLECTIONS "/%s/%s", db_name, cid);
	cur = agency_peek(c->agency, CURRENT_COLLECTIONS "/%s/%s", db_name,
	    cid);
	if (def != NULL)
		col = cl_collection_parse(db_name, cid, def, cur);
	col_forget(db, cid);
	if (col == NULL)
		return;
	(void)map_put(&db->by_cid, cid, col);
	(void)map_put(&db->by_name, col->name, col);
	for (i = 0; i < col->nshards; i++)
		(void)map_put(&db->by_shard, col->shards[i].name, col);
}

static void
refresh_all(struct cluster *c)
{
	struct json_object	*plan;

	map_free(&c->dbs, db_free);
	plan = agency_peek(c->agency, PLAN_COLLECTIONS);
	if (!json_object_is_type(plan, json_type_object))
		return;
	json_object_object_foreach(plan, db, cols) {
		if (!json_object_is_type(cols, json_type_object))
			continue;
		json_object_object_foreach(cols, cid, def) {
			(void)def;
			col_refresh(c, db, cid);
		}
	}
}

static void
refresh(struct cluster *c)
{
	struct map_iter	 it;
	char		*db, *cid;

	if (!c->all_dirty && map_count(&c->dirty) == 0)
		return;
	if (c->all_dirty)
		refresh_all(c);
	else {
		MAP_FOREACH(&c->dirty, it) {
			db = xstrdup(it.key);
			cid = strchr(db, '/');
			*cid++ = '\0';
			col_refresh(c, db, cid);
			free(db);
		}
	}
	map_free(&c->dirty, NULL);
	c->all_dirty = false;
	c->list_stale = true;
}

const struct cl_collection *
cluster_collection_by_cid(struct cluster *c, const char *db, const char *cid)
{
	struct cl_db	*d;

	refresh(c);
	return (d = map_get(&c->dbs, db)) == NULL ? NULL :
	    map_get(&d->by_cid, cid);
}

const struct cl_collection *
cluster_collection_by_name(struct cluster *c, const char *db,
    const char *name)
{
	struct cl_db	*d;

	refresh(c);
	return (d = map_get(&c->dbs, db)) == NULL ? NULL :
	    map_get(&d->by_name, name);
}

const struct cl_collection *
cluster_collection(struct cluster *c, const char *db, const char *name_or_cid)
{
	const struct cl_collection	*col;

	col = *name_or_cid >= '0' && *name_or_cid <= '9' ?
	    cluster_collection_by_cid(c, db, name_or_cid) :
	    cluster_collection_by_name(c, db, name_or_cid);
	return col == NULL || col->is_building || col->deleted ? NULL : col;
}

const struct cl_collection *
cluster_collection_of_shard(struct cluster *c, const char *db,
    const char *shard, size_t *index)
{
	const struct cl_collection	*col;
	struct cl_db			*d;
	long				 i;

	refresh(c);
	if ((d = map_get(&c->dbs, db)) == NULL ||
	    (col = map_get(&d->by_shard, shard)) == NULL ||
	    (i = cl_collection_shard_index(col, shard)) < 0)
		return NULL;
	if (index != NULL)
		*index = (size_t)i;
	return col;
}

static int
col_compare(const void *a, const void *b)
{
	const struct cl_collection	*x = *(const struct cl_collection
					    *const *)a;
	const struct cl_collection	*y = *(const struct cl_collection
					    *const *)b;
	int				 r = strcmp(x->db, y->db);

	return r != 0 ? r : x->id < y->id ? -1 : x->id > y->id;
}

static void
list_refresh(struct cluster *c)
{
	struct map_iter	 it, jt;
	struct cl_db	*db;
	size_t		 n = 0;

	if (!c->list_stale)
		return;
	MAP_FOREACH(&c->dbs, it) {
		db = it.value;
		n += map_count(&db->by_cid);
	}
	free(c->list);
	c->list = xcalloc(n + 1, sizeof(*c->list));
	c->nlist = 0;
	MAP_FOREACH(&c->dbs, it) {
		db = it.value;
		MAP_FOREACH(&db->by_cid, jt)
			c->list[c->nlist++] = jt.value;
	}
	qsort(c->list, c->nlist, sizeof(*c->list), col_compare);
	c->list_stale = false;
}

size_t
cluster_collections(struct cluster *c, const char *db,
    const struct cl_collection *const **list)
{
	size_t	i, n;

	refresh(c);
	list_refresh(c);
	*list = c->list;
	if (db == NULL)
		return c->nlist;
	/* Those of a database stand together. */
	for (i = 0; i < c->nlist && strcmp(c->list[i]->db, db) != 0; i++)
		;
	for (n = i; n < c->nlist && strcmp(c->list[n]->db, db) == 0; n++)
		;
	*list = c->list + i;
	return n - i;
}

/* ---- databases and single values ---------------------------------------- */

struct json_object *
cluster_database(struct cluster *c, const char *db, bool building)
{
	struct json_object	*o;

	if (*db == '\0' || strchr(db, '/') != NULL)
		return NULL;
	o = agency_peek(c->agency, "/arango/Plan/Databases/%s", db);
	if (!json_object_is_type(o, json_type_object))
		return NULL;
	if (!building && json_bool_or(o, "isBuilding", false))
		return NULL;
	return o;
}

bool
cluster_db_exists(struct cluster *c, const char *db)
{
	return cluster_database(c, db, false) != NULL;
}

static int
name_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

size_t
cluster_databases(struct cluster *c, const char *const **names)
{
	struct json_object	*o;

	if (c->names_dirty) {
		o = agency_peek(c->agency, "/arango/Plan/Databases");
		free(c->names);
		c->nnames = 0;
		c->names = xcalloc(json_object_is_type(o, json_type_object) ?
		    (size_t)json_object_object_length(o) + 1 : 1,
		    sizeof(*c->names));
		if (json_object_is_type(o, json_type_object)) {
			json_object_object_foreach(o, key, val) {
				if (!json_bool_or(val, "isBuilding", false))
					c->names[c->nnames++] = key;
			}
		}
		qsort(c->names, c->nnames, sizeof(*c->names), name_compare);
		c->names_dirty = false;
	}
	*names = c->names;
	return c->nnames;
}

static uint64_t
peek_u64(struct cluster *c, const char *path)
{
	int64_t	n = json_object_get_int64(agency_peek(c->agency, "%s", path));

	return n < 0 ? 0 : (uint64_t)n;
}

uint64_t
cluster_plan_version(struct cluster *c)
{
	return peek_u64(c, "/arango/Plan/Version");
}

uint64_t
cluster_current_version(struct cluster *c)
{
	return peek_u64(c, "/arango/Current/Version");
}

bool
cluster_is_readonly(struct cluster *c)
{
	return json_object_get_boolean(
	    agency_peek(c->agency, "/arango/Readonly"));
}

const char *
cluster_id(struct cluster *c)
{
	struct json_object	*o = agency_peek(c->agency, "/arango/Cluster");

	return json_object_is_type(o, json_type_string) ?
	    json_object_get_string(o) : "";
}

/* ---- waiting ------------------------------------------------------------ */

int
cluster_wait(struct cluster *c, bool (*pred)(struct cluster *, void *),
    void *arg, uint64_t deadline_ms)
{
	int	r = 0;

	for (;;) {
		if (pred(c, arg))
			return 0;
		if (r != 0)
			return r;
		/* After the deadline it is looked at once more. */
		r = cluster_wait_change(c, deadline_ms);
	}
}

int
cluster_wait_change(struct cluster *c, uint64_t deadline_ms)
{
	return fiber_cond_wait_until(agency_changed(c->agency), deadline_ms);
}
