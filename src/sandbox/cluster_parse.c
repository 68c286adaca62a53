/* cluster_parse.c - from JSON of Plan and Current to structs */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "json/get.h"
#include "sandbox/agency_store.h"
#include "sandbox/cluster_priv.h"

/* ---- collections -------------------------------------------------------- */

/* Server ids of an array; a '_' in front of the first is taken off and told. */
static void
servers_parse(struct json_object *list, struct cl_servers *out, bool *resigned)
{
	struct json_object	*o;
	const char		*id;
	size_t			 i, n;

	out->n = 0;
	out->id = NULL;
	*resigned = false;
	if (!json_object_is_type(list, json_type_array))
		return;
	n = json_object_array_length(list);
	out->id = xcalloc(n + 1, sizeof(*out->id));
	for (i = 0; i < n; i++) {
		o = json_object_array_get_idx(list, i);
		if (!json_object_is_type(o, json_type_string))
			continue;
		id = json_object_get_string(o);
		if (*id == '_') {
			id++;
			if (i == 0)
				*resigned = true;
		}
		out->id[out->n++] = xstrdup(id);
	}
}

static void
servers_clear(struct cl_servers *s)
{
	size_t	i;

	for (i = 0; i < s->n; i++)
		free(s->id[i]);
	free(s->id);
}

static int
shard_compare(const void *a, const void *b)
{
	const struct cl_shard	*x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void
shard_parse(struct cl_shard *s, const char *name, struct json_object *plan,
    struct json_object *cur)
{
	struct json_object	*entry;

	s->name = xstrdup(name);
	/* A name that is none ("x1") sorts first and still can be found. */
	if (name[0] != 's' || str_to_u64(name + 1, &s->number) != 0)
		s->number = 0;
	servers_parse(plan, &s->plan, &s->plan_resign);
	entry = json_object_is_type(cur, json_type_object) ?
	    json_object_object_get(cur, name) : NULL;
	if (!json_object_is_type(entry, json_type_object))
		return;
	s->current_json = json_copy(entry);
	servers_parse(json_object_object_get(entry, "servers"), &s->current,
	    &s->current_resigned);
	if (s->current.n > 0 && !s->current_resigned)
		s->leader = s->current.id[0];
}

static void
shards_parse(struct cl_collection *col, struct json_object *cur)
{
	struct json_object	*shards;

	shards = json_object_object_get(col->definition, "shards");
	if (!json_object_is_type(shards, json_type_object))
		return;
	col->shards = xcalloc((size_t)json_object_object_length(shards) + 1,
	    sizeof(*col->shards));
	json_object_object_foreach(shards, name, plan)
		shard_parse(&col->shards[col->nshards++], name, plan, cur);
	qsort(col->shards, col->nshards, sizeof(*col->shards), shard_compare);
}

static void
shard_keys_parse(struct cl_collection *col)
{
	struct json_object	*keys, *o;
	size_t			 i, n;

	keys = json_object_object_get(col->definition, "shardKeys");
	n = json_object_is_type(keys, json_type_array) ?
	    json_object_array_length(keys) : 0;
	col->shard_keys = xcalloc(n + 2, sizeof(*col->shard_keys));
	for (i = 0; i < n; i++) {
		o = json_object_array_get_idx(keys, i);
		if (json_object_is_type(o, json_type_string))
			col->shard_keys[col->nshard_keys++] =
			    xstrdup(json_object_get_string(o));
	}
	if (col->nshard_keys == 0)
		col->shard_keys[col->nshard_keys++] = xstrdup("_key");
}

/* An id as text: a string, or (of careless writers) a number. */
static char *
id_text(struct json_object *o)
{
	if (json_object_is_type(o, json_type_string) ||
	    json_object_is_type(o, json_type_int))
		return xstrdup(json_object_get_string(o));
	return NULL;
}

static void
replication_parse(struct cl_collection *col)
{
	struct json_object	*rf;

	rf = json_object_object_get(col->definition, "replicationFactor");
	col->satellite = json_object_is_type(rf, json_type_string) &&
	    strcmp(json_object_get_string(rf), "satellite") == 0;
	col->replication_factor = json_object_is_type(rf, json_type_int) ?
	    json_object_get_int(rf) : col->satellite ? 0 : 1;
	if (col->replication_factor == 0)
		col->satellite = true;
	col->write_concern = (int)json_int_or(col->definition, "writeConcern",
	    json_int_or(col->definition, "minReplicationFactor", 1));
}

/* Those that can be one: objects with a type and an id. */
static struct json_object *
indexes_parse(struct json_object *list)
{
	struct json_object	*out = json_object_new_array(), *o;
	char			*id;
	size_t			 i, n;

	n = json_object_is_type(list, json_type_array) ?
	    json_object_array_length(list) : 0;
	for (i = 0; i < n; i++) {
		o = json_object_array_get_idx(list, i);
		if (!json_object_is_type(o, json_type_object) ||
		    json_string_or(o, "type", NULL) == NULL ||
		    (id = id_text(json_object_object_get(o, "id"))) == NULL)
			continue;
		free(id);
		json_object_array_add(out, json_object_get(o));
	}
	return out;
}

struct cl_collection *
cl_collection_parse(const char *db, const char *cid, struct json_object *def,
    struct json_object *cur)
{
	struct cl_collection	*col;
	struct json_object	*d;
	const char		*name;

	if (!json_object_is_type(def, json_type_object) ||
	    (name = json_string_or(def, "name", NULL)) == NULL)
		return NULL;
	col = xcalloc(1, sizeof(*col));
	col->refs = 1;
	d = col->definition = json_copy(def);
	col->db = xstrdup(db);
	col->cid = xstrdup(cid);
	if (str_to_u64(cid, &col->id) != 0)
		col->id = 0;
	col->name = xstrdup(name);
	col->type = (int)json_int_or(d, "type", 2);
	col->is_system = json_bool_or(d, "isSystem", false);
	col->is_building = json_bool_or(d, "isBuilding", false);
	col->deleted = json_bool_or(d, "deleted", false);
	col->wait_for_sync = json_bool_or(d, "waitForSync", false);
	col->is_smart = json_bool_or(d, "isSmart", false);
	col->sharding_strategy = xstrdup(json_string_or(d, "shardingStrategy",
	    "hash"));
	col->distribute_shards_like = id_text(json_object_object_get(d,
	    "distributeShardsLike"));
	col->indexes = indexes_parse(json_object_object_get(d, "indexes"));
	replication_parse(col);
	shard_keys_parse(col);
	shards_parse(col, cur);
	return col;
}

const struct cl_collection *
cl_collection_ref(const struct cl_collection *col)
{
	/* The count is the only thing that changes. */
	((struct cl_collection *)(uintptr_t)col)->refs++;
	return col;
}

void
cl_collection_unref(const struct cl_collection **colp)
{
	struct cl_collection	*col;
	struct cl_shard		*s;
	size_t			 i;

	col = (struct cl_collection *)(uintptr_t)*colp;
	*colp = NULL;
	if (col == NULL || --col->refs > 0)
		return;
	for (i = 0; i < col->nshards; i++) {
		s = &col->shards[i];
		free(s->name);
		servers_clear(&s->plan);
		servers_clear(&s->current);
		json_object_put(s->current_json);
	}
	for (i = 0; i < col->nshard_keys; i++)
		free(col->shard_keys[i]);
	free(col->shards);
	free(col->shard_keys);
	free(col->db);
	free(col->cid);
	free(col->name);
	free(col->sharding_strategy);
	free(col->distribute_shards_like);
	json_object_put(col->indexes);
	json_object_put(col->definition);
	free(col);
}

long
cl_collection_shard_index(const struct cl_collection *col, const char *shard)
{
	size_t	i;

	for (i = 0; i < col->nshards; i++)
		if (strcmp(col->shards[i].name, shard) == 0)
			return (long)i;
	return -1;
}

bool
cl_servers_contain(const struct cl_servers *list, const char *id)
{
	size_t	i;

	for (i = 0; i < list->n; i++)
		if (strcmp(list->id[i], id) == 0)
			return true;
	return false;
}

/* ---- servers ------------------------------------------------------------ */

const char *
cluster_endpoint_url(const char *endpoint)
{
	static char	 buffers[4][256];
	static unsigned	 turn;
	char		*out = buffers[turn++ % 4];
	const char	*host = strstr(endpoint, "://");
	bool		 tls;

	/* tcp, http, http+tcp are plain; ssl, https, http+ssl are not. */
	tls = strncmp(endpoint, "ssl", 3) == 0 ||
	    strncmp(endpoint, "https", 5) == 0 ||
	    strncmp(endpoint, "http+ssl", 8) == 0;
	snprintf(out, sizeof(buffers[0]), "http%s://%s", tls ? "s" : "",
	    host == NULL ? endpoint : host + 3);
	return out;
}

void
cluster_servers_free(struct cluster *c)
{
	size_t	i;

	for (i = 0; i < c->nservers; i++) {
		free(c->servers[i].id);
		free(c->servers[i].short_name);
		free(c->servers[i].endpoint);
		free(c->servers[i].url);
	}
	free(c->servers);
	free(c->picked);
	c->servers = NULL;
	c->picked = NULL;
	c->nservers = 0;
}

/* Member of an object that need not be one. */
static struct json_object *
member(struct json_object *o, const char *key)
{
	return json_object_is_type(o, json_type_object) ?
	    json_object_object_get(o, key) : NULL;
}

static void
server_parse(struct cluster *c, struct cl_server *s, const char *id,
    bool dbserver)
{
	struct agency		*a = c->agency;
	struct json_object	*health, *failed;
	const char		*status;

	s->id = xstrdup(id);
	s->is_dbserver = dbserver;
	s->endpoint = xstrdup(json_string_or(agency_peek(a,
	    "/arango/Current/ServersRegistered/%s", id), "endpoint", ""));
	s->url = xstrdup(*s->endpoint == '\0' ? "" :
	    cluster_endpoint_url(s->endpoint));
	s->short_name = xstrdup(json_string_or(agency_peek(a,
	    "/arango/Target/MapUniqueToShortID/%s", id), "ShortName", ""));
	s->number = (unsigned)strtoul(s->short_name +
	    strcspn(s->short_name, "0123456789"), NULL, 10);
	s->reboot_id = (uint64_t)json_int_or(agency_peek(a,
	    "/arango/Current/ServersKnown/%s", id), "rebootId", 0);
	health = agency_peek(a, "/arango/Supervision/Health/%s", id);
	status = json_string_or(health, "Status", "GOOD");
	s->is_good = strcmp(status, "GOOD") == 0;
	failed = agency_peek(a, "/arango/Target/FailedServers");
	s->is_failed = strcmp(status, "FAILED") == 0 ||
	    member(failed, id) != NULL;
	if (s->is_failed)
		s->is_good = false;
}

static void
servers_add(struct cluster *c, struct json_object *list, bool dbservers)
{
	if (!json_object_is_type(list, json_type_object))
		return;
	c->servers = xrealloc(c->servers, (c->nservers + 1 +
	    (size_t)json_object_object_length(list)) * sizeof(*c->servers));
	json_object_object_foreach(list, id, val) {
		(void)val;
		memset(&c->servers[c->nservers], 0, sizeof(*c->servers));
		server_parse(c, &c->servers[c->nservers++], id, dbservers);
	}
}

static int
server_compare(const void *a, const void *b)
{
	const struct cl_server	*x = a, *y = b;
	int			 r;

	if (x->is_dbserver != y->is_dbserver)
		return x->is_dbserver ? 1 : -1;
	r = strcmp(x->short_name, y->short_name);
	return r != 0 ? r : strcmp(x->id, y->id);
}

static void
servers_refresh(struct cluster *c)
{
	if (!c->servers_dirty)
		return;
	cluster_servers_free(c);
	servers_add(c, agency_peek(c->agency, "/arango/Plan/Coordinators"),
	    false);
	servers_add(c, agency_peek(c->agency, "/arango/Plan/DBServers"), true);
	if (c->nservers > 0)
		qsort(c->servers, c->nservers, sizeof(*c->servers),
		    server_compare);
	c->picked = xcalloc(c->nservers + 1, sizeof(*c->picked));
	c->servers_dirty = false;
}

const struct cl_server *
cluster_server(struct cluster *c, const char *id)
{
	size_t	i;

	servers_refresh(c);
	for (i = 0; i < c->nservers; i++)
		if (strcmp(c->servers[i].id, id) == 0)
			return &c->servers[i];
	return NULL;
}

const struct cl_server *
cluster_server_by_short_name(struct cluster *c, const char *short_name)
{
	size_t	i;

	servers_refresh(c);
	for (i = 0; i < c->nservers; i++)
		if (strcmp(c->servers[i].short_name, short_name) == 0)
			return &c->servers[i];
	return NULL;
}

const struct cl_server *
cluster_server_by_number(struct cluster *c, bool dbserver, unsigned number)
{
	size_t	i;

	servers_refresh(c);
	for (i = 0; i < c->nservers; i++)
		if (c->servers[i].is_dbserver == dbserver &&
		    c->servers[i].number == number && number != 0)
			return &c->servers[i];
	return NULL;
}

const char *
cluster_url(struct cluster *c, const char *id)
{
	const struct cl_server	*s = cluster_server(c, id);

	return s == NULL || *s->url == '\0' ? NULL : s->url;
}

size_t
cluster_servers(struct cluster *c, bool dbservers, bool good_only,
    const struct cl_server *const **list)
{
	size_t	i, n = 0;

	servers_refresh(c);
	for (i = 0; i < c->nservers; i++)
		if (c->servers[i].is_dbserver == dbservers &&
		    (!good_only || c->servers[i].is_good))
			c->picked[n++] = &c->servers[i];
	*list = c->picked;
	return n;
}
