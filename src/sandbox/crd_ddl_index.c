/* crd_ddl_index.c - indexes: create and drop */
#include <stdio.h>
#include <string.h>

#include "ev/fiber.h"
#include "ev/loop.h"
#include "sandbox/crd_ddl.h"
#include "sandbox/crd_json.h"

/* An index on its way through Current. */
struct progress {
	const char	*db, *cid, *id;
	int		 errnum;	/* a DB-server could not build it */
	struct err_msg	 em;
};

static struct json_object *
find_by_id(struct json_object *list, const char *id)
{
	struct json_object	*v;
	size_t			 i, n;
	const char		*s;

	n = cj_is_array(list) ? json_object_array_length(list) : 0;
	for (i = 0; i < n; i++) {
		v = json_object_array_get_idx(list, i);
		if ((s = cj_str(v, "id")) != NULL && strcmp(s, id) == 0)
			return v;
	}
	return NULL;
}

/* A unique index can only be enforced where all of its values meet. */
static int
check_unique(const struct cl_collection *col, struct json_object *def,
    struct err_msg *em)
{
	struct json_object	*fields = cj_get(def, "fields");
	size_t			 i, k, n;
	const char		*f;

	if (!cj_bool(def, "unique", false) || col->nshards <= 1)
		return AE_OK;
	n = json_object_array_length(fields);
	for (i = 0; i < col->nshard_keys; i++) {
		for (k = 0; k < n; k++) {
			f = json_object_get_string(
			    json_object_array_get_idx(fields, k));
			if (strcmp(f, col->shard_keys[i]) == 0)
				break;
		}
		if (k == n) {
			err_set(em, 0, "shard key '%s' must be present in "
			    "unique index", col->shard_keys[i]);
			return AE_CLUSTER_UNSUPPORTED;
		}
	}
	return AE_OK;
}

/* What the Plan has already: 1 the same index, -1 another one under that name
 * or id, 0 none. */
static int
look_up(const struct cl_collection *col, struct json_object *def,
    struct json_object **found)
{
	struct json_object	*other;
	size_t			 i, n;

	n = cj_is_array(col->indexes) ?
	    json_object_array_length(col->indexes) : 0;
	for (i = 0; i < n; i++) {
		other = json_object_array_get_idx(col->indexes, i);
		if (crd_index_equal(def, other)) {
			*found = other;
			return 1;
		}
		if (crd_index_clashes(def, other))
			return -1;
	}
	return 0;
}

static bool
has_ttl(const struct cl_collection *col)
{
	size_t		 i, n;
	const char	*t;

	n = cj_is_array(col->indexes) ?
	    json_object_array_length(col->indexes) : 0;
	for (i = 0; i < n; i++) {
		t = cj_str(json_object_array_get_idx(col->indexes, i),
		    "type");
		if (t != NULL && strcmp(t, "ttl") == 0)
			return true;
	}
	return false;
}

/*
 * Write the index as being built into the Plan; the lock is ours.  *entry is
 * what was written, or (*created false) what was there.
 */
static int
plan_index(struct crd *c, const struct cl_collection *col,
    struct json_object *def, uint64_t deadline, struct json_object **entry,
    bool *created, struct err_msg *em)
{
	const struct cl_collection *now;
	struct agency_trx	 t;
	struct json_object	*found = NULL;
	int			 r;

	do {
		now = cluster_collection_by_cid(c->cluster, col->db, col->cid);
		if (now == NULL)
			return AE_DATA_SOURCE_NOT_FOUND;
		if ((r = look_up(now, def, &found)) < 0) {
			err_set(em, 0, "duplicate value for `id` or `name`");
			return AE_DUPLICATE_IDENTIFIER;
		}
		if (r > 0) {
			*created = false;
			*entry = cj_clone(found);
			return AE_OK;
		}
		if (strcmp(cj_str(def, "type"), "ttl") == 0 && has_ttl(now)) {
			err_set(em, 0, "there can only be one ttl index per "
			    "collection");
			return AE_BAD_PARAMETER;
		}
		*entry = cj_clone(def);
		cj_add_bool(*entry, "isBuilding", true);
		cj_add_str(*entry, "coordinator",
		    agency_server_id(c->agency));
		cj_add_int(*entry, "coordinatorRebootId",
		    (int64_t)agency_reboot_id(c->agency));
		agency_trx_init(&t);
		agency_increment(&t, 1, "/arango/Plan/Version");
		agency_if_old(&t, cj_clone(now->indexes),
		    "/arango/Plan/Collections/%s/%s/indexes", col->db,
		    col->cid);
		agency_push(&t, cj_clone(*entry),
		    "/arango/Plan/Collections/%s/%s/indexes", col->db,
		    col->cid);
		r = crd_commit(c, &t, deadline);
		if (r != 0) {
			json_object_put(*entry);
			*entry = NULL;
		}
	} while (r == ERR_BAD_STATE && loop_now_ms(c->loop) < deadline);
	*created = true;
	return crd_agency_errnum(r);
}

/* Does every shard report the index, or one of them an error? */
static bool
index_made(struct cluster *cl, void *arg)
{
	struct progress			*p = arg;
	const struct cl_collection	*col;
	struct json_object		*v;
	size_t				 i;

	col = cluster_collection_by_cid(cl, p->db, p->cid);
	if (col == NULL) {
		p->errnum = AE_INDEX_CREATION_FAILED;
		err_set(&p->em, 0, "Collection %s has gone from database %s. "
		    "Aborting index creation", p->cid, p->db);
		return true;
	}
	if (find_by_id(col->indexes, p->id) == NULL) {
		p->errnum = AE_INDEX_CREATION_FAILED;
		err_set(&p->em, 0, "index was dropped during creation");
		return true;
	}
	for (i = 0; i < col->nshards; i++) {
		v = find_by_id(cj_get(col->shards[i].current_json, "indexes"),
		    p->id);
		if (v == NULL)
			return false;
		if (!cj_bool(v, "error", false))
			continue;
		p->errnum = (int)cj_int(v, "errorNum",
		    AE_INDEX_CREATION_FAILED);
		err_set(&p->em, 0, "Error during index creation:  "
		    "shardID:%s: %s (errNum=%d)", col->shards[i].name,
		    cj_str(v, "errorMessage") != NULL ?
		    cj_str(v, "errorMessage") : "", p->errnum);
		return true;
	}
	return true;
}

static bool
index_gone(struct cluster *cl, void *arg)
{
	struct progress			*p = arg;
	const struct cl_collection	*col;
	const struct cl_server		*s;
	size_t				 i;

	col = cluster_collection_by_cid(cl, p->db, p->cid);
	if (col == NULL)
		return true;
	for (i = 0; i < col->nshards; i++) {
		if (find_by_id(cj_get(col->shards[i].current_json, "indexes"),
		    p->id) == NULL || col->shards[i].leader == NULL)
			continue;
		s = cluster_server(cl, col->shards[i].leader);
		if (s != NULL && s->is_good)
			return false;
	}
	return true;
}

/* Take the entry with that id out of the Plan, or out of its building state. */
static int
settle(struct crd *c, const char *db, const char *cid, const char *id,
    bool keep, uint64_t deadline)
{
	const struct cl_collection *col;
	struct agency_trx	 t;
	struct json_object	*old, *done;
	int			 r;

	do {
		col = cluster_collection_by_cid(c->cluster, db, cid);
		if (col == NULL)
			return AE_DATA_SOURCE_NOT_FOUND;
		if ((old = find_by_id(col->indexes, id)) == NULL)
			return AE_INDEX_NOT_FOUND;
		agency_trx_init(&t);
		agency_increment(&t, 1, "/arango/Plan/Version");
		agency_if_old(&t, cj_clone(col->indexes),
		    "/arango/Plan/Collections/%s/%s/indexes", db, cid);
		if (keep) {
			done = cj_clone(old);
			json_object_object_del(done, "isBuilding");
			json_object_object_del(done, "coordinator");
			json_object_object_del(done, "coordinatorRebootId");
			agency_replace(&t, cj_clone(old), done,
			    "/arango/Plan/Collections/%s/%s/indexes", db, cid);
		} else {
			agency_erase(&t, cj_clone(old),
			    "/arango/Plan/Collections/%s/%s/indexes", db, cid);
		}
		r = crd_commit(c, &t, deadline);
	} while (r == ERR_BAD_STATE && loop_now_ms(c->loop) < deadline);
	return crd_agency_errnum(r);
}

int
crd_create_index(struct crd *c, const struct cl_collection *col,
    struct json_object *def, uint64_t deadline, struct json_object **result,
    bool *created, struct err_msg *em)
{
	struct progress	 p = { .db = col->db, .cid = col->cid };
	uint64_t	 id;
	char		 text[32];
	int		 r;

	*result = NULL;
	em->text[0] = '\0';
	if ((r = check_unique(col, def, em)) != AE_OK)
		return r;
	if (cj_str(def, "id") == NULL) {
		if ((id = crd_new_id(c)) == 0)
			return AE_CLUSTER_TIMEOUT;
		snprintf(text, sizeof(text), "%llu", (unsigned long long)id);
		cj_add_str(def, "id", text);
	}
	fiber_mutex_lock(&c->plan_lock);
	r = plan_index(c, col, def, deadline, result, created, em);
	fiber_mutex_unlock(&c->plan_lock);
	if (r != AE_OK || !*created)
		return r;
	p.id = cj_str(def, "id");
	if (cluster_wait(c->cluster, index_made, &p, deadline) != 0)
		r = AE_CLUSTER_TIMEOUT;
	else
		r = p.errnum;
	if (r == AE_OK) {
		r = settle(c, col->db, col->cid, p.id, true,
		    loop_now_ms(c->loop) + CRD_DDL_TIMEOUT_MS);
	} else {
		*em = p.em;
		(void)settle(c, col->db, col->cid, p.id, false,
		    loop_now_ms(c->loop) + CRD_DDL_TIMEOUT_MS);
	}
	json_object_object_del(*result, "isBuilding");
	json_object_object_del(*result, "coordinator");
	json_object_object_del(*result, "coordinatorRebootId");
	if (r != AE_OK) {
		json_object_put(*result);
		*result = NULL;
	}
	return r;
}

int
crd_drop_index(struct crd *c, const struct cl_collection *col,
    const char *index_id, uint64_t deadline, struct err_msg *em)
{
	struct progress	 p = { .db = col->db, .cid = col->cid,
	    .id = index_id };
	int		 r;

	em->text[0] = '\0';
	fiber_mutex_lock(&c->plan_lock);
	r = settle(c, col->db, col->cid, index_id, false, deadline);
	fiber_mutex_unlock(&c->plan_lock);
	if (r == AE_OK &&
	    cluster_wait(c->cluster, index_gone, &p, deadline) != 0)
		r = AE_CLUSTER_TIMEOUT;
	return r;
}
