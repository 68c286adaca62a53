/*
 * topology_make.c - the agency's JSON into the structs of topology.h, strictly:
 * what we do not understand is an error with its path.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <json-c/linkhash.h>

#include "arango/topology.h"
#include "arango/topology_priv.h"
#include "base/str.h"
#include "json/get.h"

/* More than any cluster has, less than what hurts. */
#define SHARDS_MAX	100000
#define SERVERS_MAX	10000

static int	bad(struct err_msg *m, const char *fmt, ...)
		    __attribute__((format(printf, 2, 3)));

static int
bad(struct err_msg *m, const char *fmt, ...)
{
	va_list	 ap;

	if (m != NULL) {
		va_start(ap, fmt);
		vsnprintf(m->text, sizeof(m->text), fmt, ap);
		va_end(ap);
	}
	return ERR_FORMAT;
}

/* A member that must be an object when it is there; *out NULL if not. */
static int
want_object(struct json_object *o, const char *name, struct json_object **out,
    struct err_msg *m)
{
	*out = NULL;
	if (o == NULL || !json_object_object_get_ex(o, name, out) ||
	    *out == NULL) {
		*out = NULL;
		return 0;
	}
	if (!json_object_is_type(*out, json_type_object))
		return bad(m, "agency: %s is not an object", name);
	return 0;
}

static struct json_object *
member(struct json_object *o, const char *name)
{
	struct json_object	*v = NULL;

	if (!json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, name, &v))
		return NULL;
	return v;
}

/* ---- servers ------------------------------------------------------------ */

static struct topo_server *
server_of(struct arango_topology *t, const char *id)
{
	struct topo_server	*s;
	size_t			 i;

	for (i = 0; i < t->nservers; i++)
		if (strcmp(t->servers[i].id, id) == 0)
			return &t->servers[i];
	t->servers = xrealloc(t->servers,
	    (t->nservers + 1) * sizeof(*t->servers));
	s = &t->servers[t->nservers++];
	memset(s, 0, sizeof(*s));
	s->id = xstrdup(id);
	s->endpoint = s->advertised = s->short_name = s->host = s->version = "";
	s->role = str_starts_with(id, "PRMR-") ? ARANGO_DBSERVER :
	    str_starts_with(id, "CRDN-") ? ARANGO_COORDINATOR :
	    str_starts_with(id, "AGNT-") ? ARANGO_AGENT : ARANGO_OTHER_ROLE;
	return s;
}

static int
take_registered(struct arango_topology *t, struct json_object *list,
    struct err_msg *m)
{
	struct topo_server	*s;

	json_object_object_foreach(list, id, v) {
		if (strcmp(id, "Version") == 0)
			continue;	/* a counter beside the servers */
		if (!json_object_is_type(v, json_type_object))
			return bad(m, "agency: ServersRegistered/%s is not an "
			    "object", id);
		if (t->nservers >= SERVERS_MAX)
			return bad(m, "agency: too many servers");
		s = server_of(t, id);
		if (json_want_string(v, "endpoint", &s->endpoint, m) != 0 ||
		    json_want_string(v, "advertisedEndpoint", &s->advertised,
		    m) != 0 || json_want_string(v, "host", &s->host, m) != 0 ||
		    json_want_string(v, "versionString", &s->version, m) != 0)
			return ERR_FORMAT;
	}
	return 0;
}

static int
take_known(struct arango_topology *t, struct json_object *list,
    struct err_msg *m)
{
	struct topo_server	*s;

	json_object_object_foreach(list, id, v) {
		if (t->nservers >= SERVERS_MAX)
			return bad(m, "agency: too many servers");
		s = server_of(t, id);
		if (json_want_uint(v, "rebootId", &s->reboot_id, m) != 0)
			return ERR_FORMAT;
	}
	return 0;
}

static int
take_planned(struct arango_topology *t, struct json_object *list,
    enum arango_role role, struct err_msg *m)
{
	struct topo_server	*s;

	if (list == NULL)
		return 0;
	json_object_object_foreach(list, id, v) {
		(void)v;
		if (t->nservers >= SERVERS_MAX)
			return bad(m, "agency: too many servers");
		s = server_of(t, id);
		s->in_plan = true;
		s->role = role;
	}
	return 0;
}

static enum topo_health
health_of(const char *status)
{
	if (strcasecmp(status, "GOOD") == 0)
		return TOPO_HEALTH_GOOD;
	if (strcasecmp(status, "BAD") == 0)
		return TOPO_HEALTH_BAD;
	if (strcasecmp(status, "FAILED") == 0)
		return TOPO_HEALTH_FAILED;
	return TOPO_HEALTH_UNKNOWN;
}

/* Health and short names are for people: what is odd there is left away. */
static void
take_health(struct arango_topology *t, struct json_object *arango)
{
	struct json_object	*health, *names, *v;
	struct topo_server	*s;
	size_t			 i;

	health = member(member(arango, "Supervision"), "Health");
	names = member(member(arango, "Target"), "MapUniqueToShortID");
	for (i = 0; i < t->nservers; i++) {
		s = &t->servers[i];
		v = member(health, s->id);
		s->health = health_of(json_string_or(v, "Status", ""));
		s->short_name = json_string_or(v, "ShortName", "");
		if (*s->endpoint == '\0')
			s->endpoint = json_string_or(v, "Endpoint", "");
		if (*s->version == '\0')
			s->version = json_string_or(v, "Version", "");
		if (*s->short_name == '\0')
			s->short_name = json_string_or(member(names, s->id),
			    "ShortName", "");
	}
}

static int
take_servers(struct arango_topology *t, struct json_object *arango,
    struct json_object *plan, struct json_object *current, struct err_msg *m)
{
	struct json_object	*o;
	int			 r;

	if ((r = want_object(current, "ServersRegistered", &o, m)) != 0 ||
	    (o != NULL && (r = take_registered(t, o, m)) != 0) ||
	    (r = want_object(current, "ServersKnown", &o, m)) != 0 ||
	    (o != NULL && (r = take_known(t, o, m)) != 0) ||
	    (r = want_object(plan, "DBServers", &o, m)) != 0 ||
	    (r = take_planned(t, o, ARANGO_DBSERVER, m)) != 0 ||
	    (r = want_object(plan, "Coordinators", &o, m)) != 0 ||
	    (r = take_planned(t, o, ARANGO_COORDINATOR, m)) != 0)
		return r;
	take_health(t, arango);
	return 0;
}

/* ---- shards ------------------------------------------------------------- */

/*
 * A list of server ids, leader first; *resigned when its first has a '_' in
 * front (source reference 3.9).
 */
static int
take_server_list(struct json_object *o, const char ***out, size_t *n,
    bool *resigned, struct err_msg *m)
{
	const char	*s;
	size_t		 i, len;

	*resigned = false;
	if (!json_object_is_type(o, json_type_array))
		return bad(m, "agency: the servers of a shard are not a list");
	len = json_object_array_length(o);
	*out = xcalloc(len + 1, sizeof(char *));
	for (i = 0; i < len; i++) {
		if (!json_object_is_type(json_object_array_get_idx(o, i),
		    json_type_string))
			return bad(m, "agency: a server of a shard is not a "
			    "string");
		s = json_object_get_string(json_object_array_get_idx(o, i));
		if (*s == '_') {
			s++;
			if (i == 0)
				*resigned = true;
		}
		(*out)[i] = s;
	}
	*n = len;
	return 0;
}

static bool
is_listed(const char *const *list, size_t n, const char *id)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		if (strcmp(list[i], id) == 0)
			return true;
	return false;
}

static int
take_shard(struct topo_shard *s, const char *name, struct json_object *plan,
    struct json_object *current, struct err_msg *m)
{
	struct json_object	*servers;
	bool			 plan_resigned, resigned = false;
	size_t			 i;
	int			 r;

	if (*name != 's' || str_to_u64(name + 1, &s->number) != 0)
		return bad(m, "agency: %s is not the name of a shard", name);
	s->name = xstrdup(name);
	r = take_server_list(plan, &s->plan, &s->nplan, &plan_resigned, m);
	if (r != 0)
		return r;
	servers = member(current, "servers");
	if (servers != NULL && (r = take_server_list(servers, &s->current,
	    &s->ncurrent, &resigned, m)) != 0)
		return r;
	if (s->ncurrent > 0 && !resigned && *s->current[0] != '\0')
		s->leader = s->current[0];
	s->settled = s->leader != NULL && !plan_resigned && s->nplan > 0 &&
	    strcmp(s->plan[0], s->leader) == 0;
	s->in_sync = s->ncurrent > 0;
	for (i = 0; i < s->nplan; i++)
		if (!is_listed(s->current, s->ncurrent, s->plan[i]))
			s->in_sync = false;
	return 0;
}

static int
cmp_shard(const void *a, const void *b)
{
	const struct topo_shard	*x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/* In numerical order: s998 before s10001. */
static int
take_shards(struct arango_topology *t, struct topo_collection *c,
    struct json_object *shards, struct json_object *current, struct err_msg *m)
{
	struct topo_shard	*s;
	size_t			 n, i;
	int			 r;

	n = (size_t)json_object_object_length(shards);
	if (n > SHARDS_MAX)
		return bad(m, "agency: collection %s has %zu shards", c->name,
		    n);
	c->shards = xcalloc(n + 1, sizeof(*c->shards));
	json_object_object_foreach(shards, name, v) {
		s = &c->shards[c->nshards++];
		r = take_shard(s, name, v, member(current, name), m);
		if (r != 0)
			return r;
	}
	if (n > 0)
		qsort(c->shards, n, sizeof(*c->shards), cmp_shard);
	for (i = 0; i < n; i++) {
		if (i > 0 && c->shards[i].number == c->shards[i - 1].number)
			return bad(m, "agency: shard %s is there twice",
			    c->shards[i].name);
		c->shards[i].index = i;
		c->shards[i].cuid = xasprintf("c%s/%s", c->cid,
		    c->shards[i].name);
	}
	t->nshards += n;
	return 0;
}

/* ---- collections -------------------------------------------------------- */

/* An integer, or "satellite", or (in very old plans) absent. */
static int
take_factor(struct topo_collection *c, struct err_msg *m)
{
	struct json_object	*v = member(c->def, "replicationFactor");

	c->replication_factor = 1;
	if (v == NULL)
		return 0;
	if (json_object_is_type(v, json_type_string) &&
	    strcmp(json_object_get_string(v), "satellite") == 0) {
		c->replication_factor = 0;
		return 0;
	}
	return json_need_int(c->def, "replicationFactor", 0, INT_MAX,
	    &c->replication_factor, m);
}

static int
take_shard_keys(struct topo_collection *c, struct err_msg *m)
{
	struct json_object	*list = member(c->def, "shardKeys"), *v;
	size_t			 i, n;

	if (list == NULL)
		return 0;
	if (!json_object_is_type(list, json_type_array))
		return bad(m, "agency: shardKeys of %s is not a list", c->name);
	n = json_object_array_length(list);
	c->shard_keys = xcalloc(n + 1, sizeof(char *));
	for (i = 0; i < n; i++) {
		v = json_object_array_get_idx(list, i);
		if (!json_object_is_type(v, json_type_string))
			return bad(m, "agency: a shard key of %s is not a "
			    "string", c->name);
		c->shard_keys[c->nshard_keys++] = json_object_get_string(v);
	}
	return 0;
}

static int
take_like(struct topo_collection *c, struct err_msg *m)
{
	const char	*s = "";

	if (json_want_string(c->def, "distributeShardsLike", &s, m) != 0)
		return ERR_FORMAT;
	if (*s != '\0')
		c->like_cid = s;
	return 0;
}

static int
take_attributes(struct topo_collection *c, struct err_msg *m)
{
	int64_t	 type = 2;
	int	 r;

	if ((r = json_need_string(c->def, "name", &c->name, m)) != 0 ||
	    (r = json_want_int(c->def, "type", 2, 3, &type, m)) != 0 ||
	    (r = take_factor(c, m)) != 0 ||
	    (r = take_shard_keys(c, m)) != 0 || (r = take_like(c, m)) != 0)
		return r;
	if (*c->name == '\0')
		return bad(m, "agency: collection %s has an empty name",
		    c->cid);
	c->type = (int)type;
	c->strategy = json_string_or(c->def, "shardingStrategy", "");
	c->write_concern = json_int_or(c->def, "writeConcern",
	    json_int_or(c->def, "minReplicationFactor", 1));
	c->system = json_bool_or(c->def, "isSystem", *c->name == '_');
	c->building = json_bool_or(c->def, "isBuilding", false);
	c->deleted = json_bool_or(c->def, "deleted", false);
	c->smart = json_bool_or(c->def, "isSmart", false);
	c->smart_child = json_bool_or(c->def, "isSmartChild", false);
	c->disjoint = json_bool_or(c->def, "isDisjoint", false);
	c->rev_trees = json_bool_or(c->def, "syncByRevision", false) &&
	    json_bool_or(c->def, "usesRevisionsAsDocumentIds", false);
	return 0;
}

static int
take_collection(struct arango_topology *t, struct topo_collection *c,
    const char *cid, struct json_object *def, struct json_object *current,
    struct err_msg *m)
{
	struct json_object	*shards;
	int			 r;

	c->cid = xstrdup(cid);
	c->def = def;
	if (str_to_u64(cid, &c->id) != 0)
		return bad(m, "agency: \"%s\" is not the id of a collection",
		    cid);
	if (!json_object_is_type(def, json_type_object))
		return bad(m, "agency: collection %s is not an object", cid);
	if ((r = take_attributes(c, m)) != 0)
		return r;
	if ((r = want_object(def, "shards", &shards, m)) != 0)
		return r;
	return shards == NULL ? 0 : take_shards(t, c, shards, current, m);
}

static int
take_collections(struct arango_topology *t, struct topo_database *db,
    struct json_object *plan, struct json_object *current, struct err_msg *m)
{
	int	 r;

	if (plan == NULL)
		return 0;
	db->colls = xcalloc((size_t)json_object_object_length(plan) + 1,
	    sizeof(*db->colls));
	json_object_object_foreach(plan, cid, def) {
		r = take_collection(t, &db->colls[db->ncolls++], cid, def,
		    member(current, cid), m);
		if (r != 0)
			return r;
	}
	return 0;
}

/* ---- views and databases ------------------------------------------------ */

static int
cmp_view(const void *a, const void *b)
{
	const struct topo_view	*x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int
take_views(struct topo_database *db, struct json_object *plan,
    struct err_msg *m)
{
	struct topo_view	*w;

	if (plan == NULL)
		return 0;
	db->views = xcalloc((size_t)json_object_object_length(plan) + 1,
	    sizeof(*db->views));
	json_object_object_foreach(plan, id, def) {
		w = &db->views[db->nviews++];
		w->id = xstrdup(id);
		w->name = w->type = "";
		w->def = def;
		if (!json_object_is_type(def, json_type_object))
			return bad(m, "agency: view %s is not an object", id);
		if (json_need_string(def, "name", &w->name, m) != 0 ||
		    json_need_string(def, "type", &w->type, m) != 0)
			return ERR_FORMAT;
		w->building = json_bool_or(def, "isBuilding", false);
		w->deleted = json_bool_or(def, "deleted", false);
	}
	if (db->nviews > 0)
		qsort(db->views, db->nviews, sizeof(*db->views), cmp_view);
	return 0;
}

static int
take_database(struct arango_topology *t, struct topo_database *db,
    struct json_object *plan, struct json_object *current, struct err_msg *m)
{
	struct json_object	*colls, *views, *analyzers;
	const char		*version = "1";
	int			 r;

	if (!json_object_is_type(db->def, json_type_object))
		return bad(m, "agency: database %s is not an object",
		    db->name);
	db->id = json_string_or(db->def, "id", "");
	db->building = json_bool_or(db->def, "isBuilding", false);
	version = json_string_or(db->def, "replicationVersion", "1");
	db->replication2 = strcmp(version, "2") == 0;
	analyzers = member(member(plan, "Analyzers"), db->name);
	if (analyzers != NULL) {
		if (json_want_uint(analyzers, "revision",
		    &db->analyzers_revision, m) != 0)
			return ERR_FORMAT;
		db->analyzers_building = json_int_or(analyzers,
		    "buildingRevision", (int64_t)db->analyzers_revision) !=
		    (int64_t)db->analyzers_revision;
	}
	if ((r = want_object(member(plan, "Collections"), db->name, &colls,
	    m)) != 0 || (r = want_object(member(plan, "Views"), db->name,
	    &views, m)) != 0 ||
	    (r = take_collections(t, db, colls, member(member(current,
	    "Collections"), db->name), m)) != 0)
		return r;
	return take_views(db, views, m);
}

static int
take_databases(struct arango_topology *t, struct json_object *plan,
    struct json_object *current, struct err_msg *m)
{
	struct json_object	*list = member(plan, "Databases");
	struct topo_database	*db;
	int			 r;

	if (!json_object_is_type(list, json_type_object))
		return err_set(m, ERR_NOT_FOUND, "agency: Plan/Databases is "
		    "missing");
	t->dbs = xcalloc((size_t)json_object_object_length(list) + 1,
	    sizeof(*t->dbs));
	json_object_object_foreach(list, name, def) {
		db = &t->dbs[t->ndbs++];
		db->name = xstrdup(name);
		db->def = def;
		if ((r = take_database(t, db, plan, current, m)) != 0)
			return r;
	}
	return 0;
}

/* Pointers between the parts, when nothing moves any more. */
static int
link_collection(struct arango_topology *t, struct map *by_cid,
    struct topo_collection *c, struct err_msg *m)
{
	struct topo_shard	*s;
	size_t			 i;

	if (c->like_cid != NULL)
		c->like = map_get(by_cid, c->like_cid);
	for (i = 0; i < c->nshards; i++) {
		s = &c->shards[i];
		s->coll = c;
		if (map_put(&t->by_cuid, s->cuid, s) != NULL)
			return bad(m, "agency: shard %s is there twice",
			    s->cuid);
	}
	return 0;
}

static int
link_database(struct arango_topology *t, struct topo_database *db,
    struct err_msg *m)
{
	struct map	 by_cid = MAP_INIT;
	size_t		 i;
	int		 r = 0;

	for (i = 0; i < db->ncolls; i++) {
		db->colls[i].db = db;
		map_put(&by_cid, db->colls[i].cid, &db->colls[i]);
	}
	for (i = 0; i < db->ncolls && r == 0; i++)
		r = link_collection(t, &by_cid, &db->colls[i], m);
	map_free(&by_cid, NULL);
	return r;
}

/* ---- all ---------------------------------------------------------------- */

int
arango_topology_make(struct json_object *root, struct arango_topology **out,
    struct err_msg *m)
{
	struct json_object	*arango = member(root, "arango");
	struct json_object	*plan = member(arango, "Plan");
	struct json_object	*current = member(arango, "Current");
	struct arango_topology	*t;
	size_t			 i;
	int			 r;

	if (!json_object_is_type(plan, json_type_object))
		return err_set(m, ERR_NOT_FOUND, "agency: arango/Plan is "
		    "missing");
	t = xcalloc(1, sizeof(*t));
	t->refs = 1;
	t->root = json_object_get(root);
	t->cluster_id = "";
	if ((r = json_want_string(arango, "Cluster", &t->cluster_id,
	    m)) != 0 ||
	    (r = json_need_uint(plan, "Version", &t->plan_version, m)) != 0 ||
	    (r = json_want_uint(current, "Version", &t->current_version,
	    m)) != 0 ||
	    (r = json_want_uint(arango, "Sync.UserVersion", &t->user_version,
	    m)) != 0 ||
	    (r = json_want_bool(arango, "Readonly", &t->readonly, m)) != 0 ||
	    (r = take_databases(t, plan, current, m)) != 0 ||
	    (r = take_servers(t, arango, plan, current, m)) != 0) {
		topo_destroy(t);
		return r;
	}
	t->maintenance = member(member(arango, "Supervision"),
	    "Maintenance") != NULL;
	topo_sort(t);
	for (i = 0; i < t->ndbs; i++)
		if ((r = link_database(t, &t->dbs[i], m)) != 0) {
			topo_destroy(t);
			return r;
		}
	*out = t;
	return 0;
}
