/* crd_ddl_database.c - databases: create and drop */
#include <stdio.h>
#include <string.h>

#include "ev/fiber.h"
#include "ev/loop.h"
#include "sandbox/crd_ddl.h"
#include "sandbox/crd_json.h"

struct reported {
	const char	*db;
	int		 errnum;	/* a DB-server could not make it */
	struct err_msg	 em;
};

/* Have all DB-servers that are alive made the database? */
static bool
database_made(struct cluster *cl, void *arg)
{
	struct reported			*w = arg;
	const struct cl_server *const	*list;
	struct json_object		*current, *v;
	size_t				 i, n;

	current = agency_peek(cluster_agency(cl),
	    "/arango/Current/Databases/%s", w->db);
	n = cluster_servers(cl, true, false, &list);
	for (i = 0; i < n; i++) {
		if (list[i]->is_failed || !list[i]->is_good)
			continue;
		if ((v = cj_get(current, list[i]->id)) == NULL)
			return false;
		if (!cj_bool(v, "error", false))
			continue;
		w->errnum = (int)cj_int(v, "errorNum",
		    AE_COULD_NOT_CREATE_DATABASE);
		err_set(&w->em, 0, "Error in creation of database: %s",
		    cj_str(v, "errorMessage") != NULL ?
		    cj_str(v, "errorMessage") : "");
		return true;
	}
	return n > 0;
}

static bool
database_gone(struct cluster *cl, void *arg)
{
	struct reported			*w = arg;
	const struct cl_server *const	*list;
	struct json_object		*current;
	size_t				 i, n;

	current = agency_peek(cluster_agency(cl),
	    "/arango/Current/Databases/%s", w->db);
	n = cluster_servers(cl, true, false, &list);
	for (i = 0; i < n; i++)
		if (!list[i]->is_failed && list[i]->is_good &&
		    cj_has(current, list[i]->id))
			return false;
	return true;
}

static struct json_object *
database_entry(struct crd *c, const char *db, uint64_t id,
    struct json_object *options, bool building)
{
	struct json_object	*o = json_object_new_object();
	char			 text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)id);
	cj_add_str(o, "id", text);
	cj_add_str(o, "name", db);
	cj_add_bool(o, "isSystem", false);
	cj_copy(o, options, "sharding");
	cj_copy(o, options, "replicationFactor");
	cj_copy(o, options, "writeConcern");
	if (sb_version(c->server) >= 31200)
		cj_add_str(o, "replicationVersion", "1");
	if (building) {
		cj_add_bool(o, "isBuilding", true);
		cj_add_str(o, "coordinator", agency_server_id(c->agency));
		cj_add_int(o, "coordinatorRebootId",
		    (int64_t)agency_reboot_id(c->agency));
	}
	return o;
}

static struct json_object *
analyzers_entry(void)
{
	struct json_object	*o = json_object_new_object();

	cj_add_int(o, "revision", 0);
	cj_add_int(o, "buildingRevision", 0);
	return o;
}

/* Remove every trace of a database from the Plan. */
static int
unplan(struct crd *c, const char *db, uint64_t deadline)
{
	struct agency_trx	 t;

	agency_trx_init(&t);
	agency_increment(&t, 1, "/arango/Plan/Version");
	agency_if_empty(&t, false, "/arango/Plan/Databases/%s", db);
	agency_delete(&t, "/arango/Plan/Databases/%s", db);
	agency_delete(&t, "/arango/Plan/Collections/%s", db);
	agency_delete(&t, "/arango/Plan/Views/%s", db);
	agency_delete(&t, "/arango/Plan/Analyzers/%s", db);
	return crd_commit(c, &t, deadline);
}

static int
plan_database(struct crd *c, const char *db, uint64_t id,
    struct json_object *options, uint64_t deadline)
{
	struct agency_trx	 t;
	int			 r;

	agency_trx_init(&t);
	agency_increment(&t, 1, "/arango/Plan/Version");
	agency_if_empty(&t, true, "/arango/Plan/Databases/%s", db);
	agency_set(&t, database_entry(c, db, id, options, true),
	    "/arango/Plan/Databases/%s", db);
	agency_set(&t, json_object_new_object(),
	    "/arango/Plan/Collections/%s", db);
	agency_set(&t, json_object_new_object(), "/arango/Plan/Views/%s", db);
	agency_set(&t, analyzers_entry(), "/arango/Plan/Analyzers/%s", db);
	r = crd_commit(c, &t, deadline);
	return r == ERR_BAD_STATE ? AE_DUPLICATE_NAME : crd_agency_errnum(r);
}

int
crd_create_database(struct crd *c, const char *db, struct json_object *options,
    uint64_t deadline, struct err_msg *em)
{
	struct reported		 w = { .db = db };
	struct agency_trx	 t;
	uint64_t		 id;
	int			 r;

	em->text[0] = '\0';
	if ((id = crd_new_id(c)) == 0)
		return AE_CLUSTER_TIMEOUT;
	if ((r = plan_database(c, db, id, options, deadline)) != AE_OK)
		return r;
	if (cluster_wait(c->cluster, database_made, &w, deadline) != 0) {
		r = AE_CLUSTER_TIMEOUT;
	} else if ((r = w.errnum) != AE_OK) {
		*em = w.em;
	} else {
		r = crd_create_system_collections(c, db, deadline, em);
	}
	if (r == AE_OK) {
		agency_trx_init(&t);
		agency_increment(&t, 1, "/arango/Plan/Version");
		agency_if_empty(&t, false, "/arango/Plan/Databases/%s", db);
		agency_set(&t, database_entry(c, db, id, options, false),
		    "/arango/Plan/Databases/%s", db);
		r = crd_agency_errnum(crd_commit(c, &t, deadline));
	}
	if (r != AE_OK)
		(void)unplan(c, db, loop_now_ms(c->loop) + 10000);
	return r;
}

int
crd_drop_database(struct crd *c, const char *db, uint64_t deadline,
    struct err_msg *em)
{
	struct reported		 w = { .db = db };
	struct agency_trx	 t;
	int			 r;

	em->text[0] = '\0';
	if ((r = unplan(c, db, deadline)) != 0)
		return r == ERR_BAD_STATE ? AE_DATABASE_NOT_FOUND :
		    crd_agency_errnum(r);
	if (cluster_wait(c->cluster, database_gone, &w, deadline) != 0)
		return AE_CLUSTER_TIMEOUT;
	agency_trx_init(&t);
	agency_delete(&t, "/arango/Current/Databases/%s", db);
	agency_delete(&t, "/arango/Current/Collections/%s", db);
	agency_increment(&t, 1, "/arango/Current/Version");
	return crd_agency_errnum(crd_commit(c, &t, deadline));
}
