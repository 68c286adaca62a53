/* topology.c - Plan and Current as structs; see topology.h */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <json-c/linkhash.h>

#include "arango/agency.h"
#include "arango/topology.h"
#include "arango/topology_priv.h"
#include "base/str.h"
#include "json/get.h"

/* Strings of the tree live as long as the topology holds the tree. */

/* ---- counting ----------------------------------------------------------- */

static void
free_collection(struct topo_collection *c)
{
	size_t	 i;

	for (i = 0; i < c->nshards; i++) {
		free((void *)(uintptr_t)c->shards[i].name);
		free((void *)(uintptr_t)c->shards[i].cuid);
		free(c->shards[i].plan);
		free(c->shards[i].current);
	}
	free(c->shards);
	free(c->shard_keys);
	free((void *)(uintptr_t)c->cid);
}

void
topo_destroy(struct arango_topology *t)
{
	struct topo_database	*db;
	size_t			 i, k;

	for (i = 0; i < t->ndbs; i++) {
		db = &t->dbs[i];
		for (k = 0; k < db->ncolls; k++)
			free_collection(&db->colls[k]);
		for (k = 0; k < db->nviews; k++)
			free((void *)(uintptr_t)db->views[k].id);
		free(db->colls);
		free(db->views);
		free((void *)(uintptr_t)db->name);
	}
	free(t->dbs);
	for (i = 0; i < t->nservers; i++)
		free((void *)(uintptr_t)t->servers[i].id);
	free(t->servers);
	map_free(&t->by_cuid, NULL);
	json_object_put(t->root);
	free(t);
}

struct arango_topology *
arango_topology_hold(struct arango_topology *t)
{
	t->refs++;
	return t;
}

void
arango_topology_release(struct arango_topology **tp)
{
	struct arango_topology	*t = *tp;

	*tp = NULL;
	if (t != NULL && --t->refs == 0)
		topo_destroy(t);
}

/* ---- looking up --------------------------------------------------------- */

static int
cmp_db(const void *a, const void *b)
{
	const struct topo_database	*x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int
cmp_coll(const void *a, const void *b)
{
	const struct topo_collection	*x = a, *y = b;
	int				 r = strcmp(x->name, y->name);

	/* One that is being dropped and its successor share a name. */
	if (r != 0)
		return r;
	return x->id < y->id ? -1 : x->id > y->id;
}

static int
cmp_server(const void *a, const void *b)
{
	const struct topo_server	*x = a, *y = b;

	return strcmp(x->id, y->id);
}

void
topo_sort(struct arango_topology *t)
{
	size_t	 i;

	if (t->ndbs > 0)
		qsort(t->dbs, t->ndbs, sizeof(*t->dbs), cmp_db);
	if (t->nservers > 0)
		qsort(t->servers, t->nservers, sizeof(*t->servers), cmp_server);
	for (i = 0; i < t->ndbs; i++)
		if (t->dbs[i].ncolls > 0)
			qsort(t->dbs[i].colls, t->dbs[i].ncolls,
			    sizeof(*t->dbs[i].colls), cmp_coll);
}

struct topo_database *
arango_topology_db(const struct arango_topology *t, const char *name)
{
	struct topo_database	 key = { .name = name };

	return t->ndbs == 0 ? NULL :
	    bsearch(&key, t->dbs, t->ndbs, sizeof(key), cmp_db);
}

struct topo_collection *
topo_database_coll(const struct topo_database *db, const char *name)
{
	struct topo_collection	*c, *found = NULL;
	size_t			 lo = 0, hi = db->ncolls, mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (strcmp(db->colls[mid].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < db->ncolls && strcmp(db->colls[lo].name, name) == 0; lo++) {
		c = &db->colls[lo];
		if (found == NULL || found->deleted || !c->deleted)
			found = c;
	}
	return found;
}

struct topo_collection *
topo_database_coll_by_cid(const struct topo_database *db, const char *cid)
{
	size_t	 i;

	for (i = 0; i < db->ncolls; i++)
		if (strcmp(db->colls[i].cid, cid) == 0)
			return &db->colls[i];
	return NULL;
}

struct topo_shard *
arango_topology_shard(const struct arango_topology *t, const char *cuid,
    size_t len)
{
	return map_get_n(&t->by_cuid, cuid, len);
}

struct topo_server *
arango_topology_server(const struct arango_topology *t, const char *id)
{
	struct topo_server	 key = { .id = id };

	return t->nservers == 0 ? NULL :
	    bsearch(&key, t->servers, t->nservers, sizeof(key), cmp_server);
}

/* ---- text --------------------------------------------------------------- */

/* {"arango":..}, a list of one, or a dump with "agency" around it. */
static struct json_object *
find_root(struct json_object *o)
{
	struct json_object	*v;

	if (json_object_is_type(o, json_type_array))
		o = json_object_array_length(o) == 1 ?
		    json_object_array_get_idx(o, 0) : NULL;
	if (!json_object_is_type(o, json_type_object))
		return NULL;
	if (!json_object_object_get_ex(o, "agency", &v) || v == NULL)
		return o;
	/* older dumps have a list of stores */
	if (json_object_is_type(v, json_type_array))
		v = json_object_array_length(v) >= 1 ?
		    json_object_array_get_idx(v, 0) : NULL;
	return v;
}

int
arango_topology_parse(const char *text, size_t len, struct arango_topology **t,
    struct err_msg *m)
{
	struct json_object	*o, *root;
	int			 r;

	if ((r = json_parse(text, len, &o, m)) != 0)
		return r;
	if ((root = find_root(o)) == NULL)
		r = err_set(m, ERR_FORMAT, "this is no state of an agency");
	else
		r = arango_topology_make(root, t, m);
	json_object_put(o);
	return r;
}

/* ---- from the agency ---------------------------------------------------- */

int
arango_topology_read(struct arango_agency *ag, struct arango_topology **t,
    struct err_msg *m)
{
	static const char *const paths[] = {
		"/arango/Plan", "/arango/Current", "/arango/Cluster",
		"/arango/Readonly", "/arango/Sync/UserVersion",
		"/arango/Supervision/Health", "/arango/Supervision/Maintenance",
		"/arango/Target/MapUniqueToShortID"
	};
	struct arango		*a = arango_agency_cluster(ag);
	struct json_object	*root;
	struct topo_server	*s;
	size_t			 i;
	int			 r;

	r = arango_agency_read(ag, paths, NITEMS(paths), &root, m);
	if (r != 0)
		return r;
	r = arango_topology_make(root, t, m);
	json_object_put(root);
	for (i = 0; r == 0 && i < (*t)->nservers; i++) {
		s = &(*t)->servers[i];
		/* One that cannot be reached fails when it is used. */
		if (*s->endpoint != '\0')
			arango_server_put(a, s->id, s->role, s->endpoint, NULL,
			    NULL);
	}
	return r;
}
