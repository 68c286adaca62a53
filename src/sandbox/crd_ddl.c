/* crd_ddl.c - collections: create, change, drop */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "sandbox/crd_ddl.h"
#include "sandbox/crd_json.h"

/* How long a write waits for the copy to catch up before it looks again. */
#define CATCH_UP_MS	1000

/* ---- what there is --------------------------------------------------------- */

/* The DB-servers that can take new shards. */
static size_t
usable_dbservers(struct crd *c, const struct cl_server **out, size_t max)
{
	const struct cl_server *const *list;
	size_t	 i, n, used = 0;

	n = cluster_servers(c->cluster, true, false, &list);
	for (i = 0; i < n; i++)
		if (!list[i]->is_failed && used < max)
			out[used++] = list[i];
	return used;
}

#define SERVERS_MAX	64

void
crd_rules_of(struct crd *c, const char *db, struct crd_rules *rules)
{
	const struct cl_server	*servers[SERVERS_MAX];
	struct json_object	*o = cluster_database(c->cluster, db, true);
	const char		*rf = cj_str(o, "replicationFactor");

	rules->version = sb_version(c->server);
	rules->enterprise = sb_is_enterprise(c->server);
	rules->dbservers = usable_dbservers(c, servers, SERVERS_MAX);
	rules->enforce = true;
	rules->write_concern = (int)cj_int(o, "writeConcern", 1);
	rules->replication_factor = rf != NULL ? 1 :
	    (int)cj_int(o, "replicationFactor", 1);
}

bool
crd_is_one_shard(struct crd *c, const char *db)
{
	const char	*s = cj_str(cluster_database(c->cluster, db, true),
	    "sharding");

	return s != NULL && strcmp(s, "single") == 0;
}

/* ---- commits --------------------------------------------------------------- */

int
crd_agency_errnum(int r)
{
	switch (r) {
	case 0:
		return AE_OK;
	case ERR_TIMEOUT:
		return AE_CLUSTER_TIMEOUT;
	default:
		return AE_AGENCY_COMMUNICATION_FAILED;
	}
}

int
crd_commit(struct crd *c, struct agency_trx *t, uint64_t deadline)
{
	uint64_t	 index = 0;
	int		 r;

	r = agency_commit(c->agency, t, deadline, &index);
	if (r == 0)
		return agency_wait_index(c->agency, index, deadline);
	if (r == ERR_BAD_STATE)
		cluster_wait_change(c->cluster, MIN(deadline,
		    loop_now_ms(c->loop) + CATCH_UP_MS));
	return r;
}

static struct json_object *
plan_version(struct crd *c)
{
	return json_object_new_int64(
	    (int64_t)cluster_plan_version(c->cluster));
}

static bool
expired(struct crd *c, uint64_t deadline)
{
	return loop_now_ms(c->loop) >= deadline;
}

/* ---- where shards go ------------------------------------------------------- */

static struct json_object *
place_shard(struct crd *c, int64_t replication, bool satellite)
{
	const struct cl_server	*s[SERVERS_MAX];
	struct json_object	*list = json_object_new_array();
	size_t			 i, n;

	n = usable_dbservers(c, s, SERVERS_MAX);
	if (satellite || replication > (int64_t)n)
		replication = (int64_t)n;
	for (i = 0; i < (size_t)replication; i++)
		cj_push_str(list, s[(c->next_server + i) % n]->id);
	c->next_server++;
	return list;
}

/* Servers of shard number i of a prototype that exists, or is a definition of
 * the same batch (its shards are in order of their numbers). */
static struct json_object *
place_like(const struct cl_collection *col, struct json_object *def, size_t i)
{
	struct json_object	*list;
	size_t			 k;

	if (col != NULL) {
		list = json_object_new_array();
		for (k = 0; i < col->nshards && k < col->shards[i].plan.n; k++)
			cj_push_str(list, col->shards[i].plan.id[k]);
		return list;
	}
	json_object_object_foreach(cj_get(def, "shards"), name, value) {
		(void)name;
		if (i-- == 0)
			return cj_clone(value);
	}
	return json_object_new_array();
}

/*
 * The prototype that def names.  *like_col or *like_def is set when it has
 * one; the name is replaced by the id.
 */
static int
resolve_prototype(struct crd *c, const char *db, struct json_object **defs,
    size_t before, struct json_object *def,
    const struct cl_collection **like_col, struct json_object **like_def,
    struct err_msg *em)
{
	const char		*name = cj_str(def, "distributeShardsLike");
	struct json_object	*proto = NULL;
	size_t			 i;
	int			 r;

	*like_col = NULL;
	*like_def = NULL;
	if (name == NULL)
		return AE_OK;
	for (i = 0; i < before; i++)
		if (strcmp(cj_str(defs[i], "name"), name) == 0)
			proto = *like_def = defs[i];
	if (proto == NULL &&
	    (*like_col = cluster_collection(c->cluster, db, name)) != NULL)
		proto = (*like_col)->definition;
	if (proto == NULL) {
		err_set(em, 0, "Could not find collection %s to distribute "
		    "shards like it.", name);
		return AE_UNKNOWN_DISTRIBUTESHARDSLIKE;
	}
	if (cj_str(proto, "distributeShardsLike") != NULL) {
		err_set(em, 0, "Cannot distribute shards like '%s' it is "
		    "already distributed like '%s'.", name,
		    cj_str(proto, "distributeShardsLike"));
		return AE_CHAIN_OF_DISTRIBUTESHARDSLIKE;
	}
	if ((r = crd_define_like(def, proto, em)) != AE_OK)
		return r;
	cj_add_str(def, "distributeShardsLike", cj_str(proto, "id"));
	return AE_OK;
}

/* Give each definition its id, its shards and their servers. */
static int
place_collections(struct crd *c, const char *db, struct json_object **defs,
    size_t n, uint64_t first_id, struct err_msg *em)
{
	const struct cl_collection *like_col;
	struct json_object	*like_def, *shards;
	bool			 satellite;
	int64_t			 nshards, replication;
	uint64_t		 id = first_id;
	char			 text[32];
	size_t			 i, k;
	int			 r;

	for (i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)id++);
		cj_add_str(defs[i], "id", text);
		r = resolve_prototype(c, db, defs, i, defs[i], &like_col,
		    &like_def, em);
		if (r != AE_OK)
			return r;
		nshards = cj_int(defs[i], "numberOfShards", 1);
		satellite = cj_str(defs[i], "replicationFactor") != NULL;
		replication = cj_int(defs[i], "replicationFactor", 1);
		shards = json_object_new_object();
		for (k = 0; k < (size_t)nshards; k++) {
			snprintf(text, sizeof(text), "s%llu",
			    (unsigned long long)id++);
			cj_add(shards, text, like_col != NULL ||
			    like_def != NULL ?
			    place_like(like_col, like_def, k) :
			    place_shard(c, replication, satellite));
		}
		cj_add(defs[i], "shards", shards);
	}
	return AE_OK;
}

/* ---- creating -------------------------------------------------------------- */

/* Ids that n definitions need at most: a prototype can bring more shards. */
static uint32_t
ids_needed(struct crd *c, const char *db, struct json_object **defs, size_t n)
{
	const struct cl_collection *like;
	const char	*name;
	uint32_t	 sum = 0;
	int64_t		 shards;
	size_t		 i;

	for (i = 0; i < n; i++) {
		shards = cj_int(defs[i], "numberOfShards", 1);
		name = cj_str(defs[i], "distributeShardsLike");
		like = name == NULL ? NULL :
		    cluster_collection(c->cluster, db, name);
		if (like != NULL)
			shards = MAX(shards, (int64_t)like->nshards);
		sum += 1 + (uint32_t)shards;
	}
	return sum;
}

static struct json_object *
building_entry(struct crd *c, struct json_object *def)
{
	struct json_object	*e = cj_clone(def);

	cj_add_bool(e, "isBuilding", true);
	cj_add_str(e, "coordinator", agency_server_id(c->agency));
	cj_add_int(e, "coordinatorRebootId",
	    (int64_t)agency_reboot_id(c->agency));
	return e;
}

/* Write the entries into the Plan; the lock is ours. */
static int
plan_collections(struct crd *c, const char *db, struct json_object **defs,
    size_t n, uint64_t deadline)
{
	struct agency_trx	 t;
	size_t			 i;
	int			 r;

	do {
		if (cluster_database(c->cluster, db, true) == NULL)
			return AE_DATABASE_NOT_FOUND;
		agency_trx_init(&t);
		agency_if_old(&t, plan_version(c), "/arango/Plan/Version");
		agency_increment(&t, 1, "/arango/Plan/Version");
		for (i = 0; i < n; i++) {
			if (cluster_collection_by_name(c->cluster, db,
			    cj_str(defs[i], "name")) != NULL) {
				agency_trx_free(&t);
				return AE_DUPLICATE_NAME;
			}
			agency_set(&t, building_entry(c, defs[i]),
			    "/arango/Plan/Collections/%s/%s", db,
			    cj_str(defs[i], "id"));
		}
		r = crd_commit(c, &t, deadline);
	} while (r == ERR_BAD_STATE && !expired(c, deadline));
	return crd_agency_errnum(r);
}

struct waiting {
	const char	*db;
	struct json_object **defs;
	size_t		 n;
	bool		 followers;
	bool		 leader_died;	/* before it made its shard */
	int		 errnum;	/* a DB-server said so */
	char		 shard[32];
	char		 text[256];
};

static bool
has_failed(struct cluster *cl, const char *id)
{
	const struct cl_server	*s = cluster_server(cl, id);

	return s == NULL || s->is_failed;
}

/*
 * Has the shard an error, or is it made?  0 no, 1 yes, -1 error.  A leader
 * that dies first leaves nothing that the supervision could fail over to; for
 * followers that die it finds others, later.
 */
static int
shard_made(struct cluster *cl, struct waiting *w, const struct cl_shard *s)
{
	size_t	 i;

	if (cj_bool(s->current_json, "error", false)) {
		w->errnum = (int)cj_int(s->current_json, "errorNum",
		    AE_INTERNAL);
		snprintf(w->shard, sizeof(w->shard), "%s", s->name);
		snprintf(w->text, sizeof(w->text), "%s",
		    cj_str(s->current_json, "errorMessage") != NULL ?
		    cj_str(s->current_json, "errorMessage") : "");
		return -1;
	}
	if (s->plan.n > 0 && s->current.n == 0 &&
	    has_failed(cl, s->plan.id[0])) {
		w->leader_died = true;
		return -1;
	}
	if (s->plan.n == 0 || s->leader == NULL || s->plan_resign ||
	    strcmp(s->leader, s->plan.id[0]) != 0)
		return 0;
	for (i = 1; w->followers && i < s->plan.n; i++)
		if (!cl_servers_contain(&s->current, s->plan.id[i]) &&
		    !has_failed(cl, s->plan.id[i]))
			return 0;
	return 1;
}

static bool
collections_made(struct cluster *cl, void *arg)
{
	struct waiting			*w = arg;
	const struct cl_collection	*col;
	size_t				 i, k;
	int				 r;

	for (i = 0; i < w->n; i++) {
		col = cluster_collection_by_cid(cl, w->db,
		    cj_str(w->defs[i], "id"));
		if (col == NULL) {
			w->errnum = AE_DATA_SOURCE_NOT_FOUND;
			return true;
		}
		for (k = 0; k < col->nshards; k++)
			if ((r = shard_made(cl, w,
			    &col->shards[k])) <= 0)
				return r < 0;
	}
	return true;
}

/* Take out what says that the entries are being built. */
static int
finish_collections(struct crd *c, const char *db, struct json_object **defs,
    size_t n, uint64_t deadline)
{
	struct agency_trx	 t;
	struct json_object	*old, *e;
	size_t			 i;
	int			 r;

	do {
		agency_trx_init(&t);
		agency_increment(&t, 1, "/arango/Plan/Version");
		for (i = 0; i < n; i++) {
			old = agency_peek(c->agency,
			    "/arango/Plan/Collections/%s/%s", db,
			    cj_str(defs[i], "id"));
			if (old == NULL) {
				agency_trx_free(&t);
				return AE_DATA_SOURCE_NOT_FOUND;
			}
			e = cj_clone(old);
			json_object_object_del(e, "isBuilding");
			json_object_object_del(e, "coordinator");
			json_object_object_del(e, "coordinatorRebootId");
			agency_if_old(&t, cj_clone(old),
			    "/arango/Plan/Collections/%s/%s", db,
			    cj_str(defs[i], "id"));
			agency_set(&t, e, "/arango/Plan/Collections/%s/%s", db,
			    cj_str(defs[i], "id"));
		}
		r = crd_commit(c, &t, deadline);
	} while (r == ERR_BAD_STATE && !expired(c, deadline));
	return crd_agency_errnum(r);
}

/* Forget what could not be made, as far as it is still being built. */
static void
roll_back(struct crd *c, const char *db, struct json_object **defs, size_t n)
{
	struct agency_trx	 t;
	uint64_t		 deadline = loop_now_ms(c->loop) + 10000;
	size_t			 i;

	for (i = 0; i < n; i++) {
		agency_trx_init(&t);
		agency_increment(&t, 1, "/arango/Plan/Version");
		agency_if_empty(&t, false,
		    "/arango/Plan/Collections/%s/%s/isBuilding", db,
		    cj_str(defs[i], "id"));
		agency_delete(&t, "/arango/Plan/Collections/%s/%s", db,
		    cj_str(defs[i], "id"));
		(void)crd_commit(c, &t, deadline);
	}
}

/* One attempt; *again: a server died, other servers may do. */
static int
create_once(struct crd *c, const char *db, struct json_object **defs, size_t n,
    bool wait_followers, uint64_t deadline, bool *again, struct err_msg *em)
{
	struct waiting	 w = { .db = db, .defs = defs, .n = n,
	    .followers = wait_followers };
	uint64_t	 first;
	int		 r;

	em->text[0] = '\0';
	*again = false;
	r = agency_ids(c->agency, ids_needed(c, db, defs, n), &first,
	    deadline);
	if (r != 0)
		return crd_agency_errnum(r);
	fiber_mutex_lock(&c->plan_lock);
	r = place_collections(c, db, defs, n, first, em);
	if (r == AE_OK)
		r = plan_collections(c, db, defs, n, deadline);
	fiber_mutex_unlock(&c->plan_lock);
	if (r != AE_OK)
		return r;
	if (cluster_wait(c->cluster, collections_made, &w, deadline) != 0)
		r = AE_CLUSTER_TIMEOUT;
	else
		r = w.leader_died ? AE_CLUSTER_TIMEOUT : w.errnum;
	if (r == AE_OK)
		r = finish_collections(c, db, defs, n, deadline);
	if (r == AE_OK)
		return AE_OK;
	if (w.shard[0] != '\0')
		err_set(em, 0, "Error in creation of collection: shard %s: %s",
		    w.shard, w.text);
	else if (r == AE_CLUSTER_TIMEOUT)
		err_set(em, 0, "Timeout in collection creation");
	roll_back(c, db, defs, n);
	*again = w.leader_died;
	return r;
}

int
crd_create_collections(struct crd *c, const char *db,
    struct json_object **defs, size_t n, bool wait_followers,
    uint64_t deadline, struct err_msg *em)
{
	struct json_object	**tries = xcalloc(n + 1, sizeof(*tries));
	bool			 again;
	size_t			 i;
	int			 r;

	do {
		/* Placing changes them, so each attempt begins with copies. */
		for (i = 0; i < n; i++)
			tries[i] = cj_clone(defs[i]);
		r = create_once(c, db, tries, n, wait_followers, deadline,
		    &again, em);
		for (i = 0; i < n; i++) {
			if (again) {
				json_object_put(tries[i]);
				continue;
			}
			json_object_put(defs[i]);
			defs[i] = tries[i];
		}
	} while (again && !expired(c, deadline));
	free(tries);
	return r;
}

/* ---- dropping -------------------------------------------------------------- */

struct gone {
	const char	*db, *cid;	/* cid NULL: the whole database */
};

/*
 * Has Current nothing left of it, apart from what dead servers hold?  arangod
 * waits for those too, and says 1457 after minutes; the result is the same.
 */
static bool
shards_gone(struct cluster *cl, void *arg)
{
	struct gone		*g = arg;
	struct json_object	*current, *servers;
	const struct cl_server	*s;
	const char		*id;

	current = agency_peek(cluster_agency(cl),
	    "/arango/Current/Collections/%s/%s", g->db, g->cid);
	if (!cj_is_object(current))
		return true;
	json_object_object_foreach(current, shard, entry) {
		(void)shard;
		servers = cj_get(entry, "servers");
		if (!cj_is_array(servers) ||
		    (id = json_object_get_string(
		    json_object_array_get_idx(servers, 0))) == NULL)
			continue;
		s = cluster_server(cl, id[0] == '_' ? id + 1 : id);
		if (s != NULL && !s->is_failed && s->is_good)
			return false;
	}
	return true;
}

static bool
is_prototype(struct crd *c, const struct cl_collection *col)
{
	const struct cl_collection *const *list;
	size_t	 i, n;

	n = cluster_collections(c->cluster, col->db, &list);
	for (i = 0; i < n; i++)
		if (list[i]->distribute_shards_like != NULL &&
		    strcmp(list[i]->distribute_shards_like, col->cid) == 0)
			return true;
	return false;
}

int
crd_drop_collection(struct crd *c, const struct cl_collection *col,
    uint64_t deadline, struct err_msg *em)
{
	struct agency_trx	 t;
	struct gone		 g = { col->db, col->cid };
	int			 r;

	em->text[0] = '\0';
	do {
		if (cluster_collection_by_cid(c->cluster, col->db,
		    col->cid) == NULL)
			return AE_DATA_SOURCE_NOT_FOUND;
		if (is_prototype(c, col))
			return AE_MUST_NOT_DROP_PROTOTYPE;
		agency_trx_init(&t);
		agency_if_old(&t, plan_version(c), "/arango/Plan/Version");
		agency_increment(&t, 1, "/arango/Plan/Version");
		agency_delete(&t, "/arango/Plan/Collections/%s/%s", col->db,
		    col->cid);
		r = crd_commit(c, &t, deadline);
	} while (r == ERR_BAD_STATE && !expired(c, deadline));
	if (r != 0)
		return crd_agency_errnum(r);
	if (cluster_wait(c->cluster, shards_gone, &g, deadline) != 0) {
		err_set(em, 0, "Timeout in collection drop");
		return AE_CLUSTER_TIMEOUT;
	}
	agency_trx_init(&t);
	agency_delete(&t, "/arango/Current/Collections/%s/%s", col->db,
	    col->cid);
	agency_increment(&t, 1, "/arango/Current/Version");
	return crd_agency_errnum(crd_commit(c, &t, deadline));
}

/* ---- changing -------------------------------------------------------------- */

/* Followers of a prototype share its replication factor. */
static void
change_followers(struct crd *c, const struct cl_collection *col,
    struct json_object *changes, struct agency_trx *t)
{
	const struct cl_collection *const *list;
	size_t	 i, n;

	if (!cj_has(changes, "replicationFactor"))
		return;
	n = cluster_collections(c->cluster, col->db, &list);
	for (i = 0; i < n; i++)
		if (list[i]->distribute_shards_like != NULL &&
		    strcmp(list[i]->distribute_shards_like, col->cid) == 0)
			agency_set(t, json_object_get(cj_get(changes,
			    "replicationFactor")),
			    "/arango/Plan/Collections/%s/%s/replicationFactor",
			    col->db, list[i]->cid);
}

int
crd_change_collection(struct crd *c, const struct cl_collection *col,
    struct json_object *changes, uint64_t deadline, struct err_msg *em)
{
	struct agency_trx	 t;
	int			 r;

	em->text[0] = '\0';
	if (json_object_object_length(changes) == 0)
		return AE_OK;
	agency_trx_init(&t);
	agency_increment(&t, 1, "/arango/Plan/Version");
	agency_if_empty(&t, false, "/arango/Plan/Collections/%s/%s/name",
	    col->db, col->cid);
	json_object_object_foreach(changes, name, value)
		agency_set(&t, json_object_get(value),
		    "/arango/Plan/Collections/%s/%s/%s", col->db, col->cid,
		    name);
	change_followers(c, col, changes, &t);
	r = crd_commit(c, &t, deadline);
	return r == ERR_BAD_STATE ? AE_DATA_SOURCE_NOT_FOUND :
	    crd_agency_errnum(r);
}
