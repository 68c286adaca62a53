/*
 * crd_bootstrap.c - the first start of a cluster: database _system and its
 * system collections; also the system collections of every later database.
 *
 * As in arangod one coordinator wins the key /arango/Bootstrap, which ends by
 * itself when the winner dies, does the work and writes "<id>: done" there;
 * the others wait.  The collections and their indexes are those of recorded
 * agency dumps of 3.8 to 3.10.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ev/loop.h"
#include "sandbox/crd_ddl.h"
#include "sandbox/crd_json.h"

/* The winner's work takes a second or two. */
#define BOOTSTRAP_TTL_S		60
/* How long to wait for all DB-servers before going on with those that came. */
#define SERVERS_TIMEOUT_MS	15000

struct system_index {
	const char	*type;
	const char	*fields[3];
	bool		 unique, sparse;
};

struct system_collection {
	const char	*name;
	bool		 everywhere;	/* not in _system only */
	struct system_index indexes[2];
};

#define NO_INDEX	{ { NULL, { NULL }, false, false } }

/* Prototypes first: _users in _system, _graphs elsewhere. */
static const struct system_collection collections[] = {
	{ "_users", false, { { "hash", { "user" }, true, true } } },
	{ "_graphs", true, NO_INDEX },
	{ "_statistics", false, { { "skiplist", { "time" }, false, false } } },
	{ "_statistics15", false,
	    { { "skiplist", { "time" }, false, false } } },
	{ "_statisticsRaw", false,
	    { { "skiplist", { "time" }, false, false } } },
	{ "_analyzers", true, NO_INDEX },
	{ "_aqlfunctions", true, NO_INDEX },
	{ "_queues", true, NO_INDEX },
	{ "_jobs", true, {
	    { "skiplist", { "queue", "status", "delayUntil" }, false, false },
	    { "skiplist", { "status", "queue", "delayUntil" }, false,
	    false } } },
	{ "_apps", true, { { "hash", { "mount" }, true, true } } },
	{ "_appbundles", true, NO_INDEX },
	{ "_frontend", true, NO_INDEX }
};

const char *
crd_index_name(struct crd *c)
{
	static char	 text[32];

	snprintf(text, sizeof(text), "idx_%llu",
	    (unsigned long long)hlc_stamp(&c->names));
	return text;
}

/* ---- system collections ---------------------------------------------------- */

static int
define_system(struct crd *c, const struct crd_rules *rules, const char *proto,
    const struct system_collection *s, struct json_object **def,
    struct err_msg *em)
{
	struct json_object	*body = json_object_new_object();
	int			 r;

	(void)c;
	cj_add_str(body, "name", s->name);
	cj_add_bool(body, "isSystem", true);
	if (strcmp(proto, s->name) != 0)
		cj_add_str(body, "distributeShardsLike", proto);
	r = crd_define_collection(rules, body, def, em);
	json_object_put(body);
	return r;
}

static int
create_system_index(struct crd *c, const char *db, const char *collection,
    const struct system_index *s, uint64_t deadline, struct err_msg *em)
{
	const struct cl_collection *col;
	struct json_object	*body, *fields, *def = NULL, *out = NULL;
	struct crd_rules	 rules;
	bool			 created;
	size_t			 i;
	int			 r;

	col = cluster_collection(c->cluster, db, collection);
	if (col == NULL)
		return AE_DATA_SOURCE_NOT_FOUND;
	col = cl_collection_ref(col);
	crd_rules_of(c, db, &rules);
	body = json_object_new_object();
	fields = json_object_new_array();
	for (i = 0; i < NITEMS(s->fields) && s->fields[i] != NULL; i++)
		cj_push_str(fields, s->fields[i]);
	cj_add_str(body, "type", s->type);
	cj_add(body, "fields", fields);
	cj_add_bool(body, "unique", s->unique);
	cj_add_bool(body, "sparse", s->sparse);
	cj_add_bool(body, "estimates", false);
	r = crd_define_index(&rules, body, crd_index_name(c), &def, em);
	if (r == AE_OK)
		r = crd_create_index(c, col, def, deadline, &out, &created,
		    em);
	json_object_put(body);
	json_object_put(def);
	json_object_put(out);
	cl_collection_unref(&col);
	return r;
}

static int
create_system_indexes(struct crd *c, const char *db, uint64_t deadline,
    struct err_msg *em)
{
	bool	 system = strcmp(db, "_system") == 0;
	size_t	 i, k;
	int	 r;

	for (i = 0; i < NITEMS(collections); i++) {
		if (!system && !collections[i].everywhere)
			continue;
		for (k = 0; k < NITEMS(collections[i].indexes); k++) {
			if (collections[i].indexes[k].type == NULL)
				break;
			r = create_system_index(c, db, collections[i].name,
			    &collections[i].indexes[k], deadline, em);
			if (r != AE_OK)
				return r;
		}
	}
	return AE_OK;
}

int
crd_create_system_collections(struct crd *c, const char *db, uint64_t deadline,
    struct err_msg *em)
{
	struct json_object	*defs[NITEMS(collections)];
	struct crd_rules	 rules;
	bool			 system = strcmp(db, "_system") == 0;
	const char		*proto = system ? "_users" : "_graphs";
	size_t			 i, n = 0;
	int			 r = AE_OK;

	crd_rules_of(c, db, &rules);
	for (i = 0; i < NITEMS(collections) && r == AE_OK; i++) {
		if ((!system && !collections[i].everywhere) ||
		    cluster_collection_by_name(c->cluster, db,
		    collections[i].name) != NULL)
			continue;
		r = define_system(c, &rules, proto, &collections[i], &defs[n],
		    em);
		if (r == AE_OK)
			n++;
	}
	if (r == AE_OK && n > 0)
		r = crd_create_collections(c, db, defs, n, true, deadline, em);
	for (i = 0; i < n; i++)
		json_object_put(defs[i]);
	if (r == AE_OK)
		r = create_system_indexes(c, db, deadline, em);
	return r;
}

/* ---- first start ----------------------------------------------------------- */

static bool
is_done(struct cluster *cl, void *arg)
{
	struct json_object	*v;
	const char		*s;
	size_t			 len;

	v = agency_peek(cluster_agency(cl), "/arango/Bootstrap");
	if (!cj_is_string(v))
		return false;
	s = json_object_get_string(v);
	len = strlen(s);
	return len > 6 && strcmp(s + len - 6, ": done") == 0;
}

static bool
is_free_or_done(struct cluster *cl, void *arg)
{
	return agency_peek(cluster_agency(cl), "/arango/Bootstrap") == NULL ||
	    is_done(cl, arg);
}

static bool
servers_are_there(struct cluster *cl, void *arg)
{
	const struct cl_server *const	*list;
	size_t				 i, n, good = 0;

	n = cluster_servers(cl, true, false, &list);
	for (i = 0; i < n; i++)
		if (!list[i]->is_failed)
			good++;
	return good >= *(const size_t *)arg;
}

/* Entries that whoever makes an agency puts there; here only what lacks. */
static int
plan_system_database(struct crd *c, uint64_t deadline)
{
	struct agency_trx	 t;
	struct json_object	*o;
	int			 r;

	if (cluster_database(c->cluster, "_system", true) != NULL)
		return 0;
	agency_trx_init(&t);
	agency_increment(&t, 1, "/arango/Plan/Version");
	agency_if_empty(&t, true, "/arango/Plan/Databases/_system");
	o = json_object_new_object();
	cj_add_str(o, "name", "_system");
	cj_add_str(o, "id", "1");
	agency_set(&t, o, "/arango/Plan/Databases/_system");
	agency_set(&t, json_object_new_object(),
	    "/arango/Plan/Collections/_system");
	agency_set(&t, json_object_new_object(),
	    "/arango/Plan/Views/_system");
	o = json_object_new_object();
	cj_add_int(o, "revision", 0);
	cj_add_int(o, "buildingRevision", 0);
	agency_set(&t, o, "/arango/Plan/Analyzers/_system");
	r = crd_commit(c, &t, deadline);
	return r == ERR_BAD_STATE ? 0 : r;
}

static int
finish(struct crd *c, uint64_t deadline)
{
	struct agency_trx	 t;
	char			 text[128];
	int			 version = sb_version(c->server);

	snprintf(text, sizeof(text), "%s: done", agency_server_id(c->agency));
	agency_trx_init(&t);
	agency_set(&t, json_object_new_string(text), "/arango/Bootstrap");
	agency_set(&t, json_object_new_boolean(true),
	    "/arango/SystemCollectionsCreated");
	agency_set(&t, json_object_new_int(version / 100 * 100),
	    "/arango/ClusterUpgradeVersion");
	agency_set(&t, json_object_new_string(agency_server_id(c->agency)),
	    "/arango/Current/Foxxmaster");
	return crd_commit(c, &t, deadline);
}

static int
do_bootstrap(struct crd *c, uint64_t deadline)
{
	struct err_msg	 em = { "" };
	size_t		 want = c->child->dbservers;
	uint64_t	 until = MIN(deadline,
	    loop_now_ms(c->loop) + SERVERS_TIMEOUT_MS);
	int		 r;

	if (cluster_wait(c->cluster, servers_are_there, &want, until) != 0) {
		log_warning("bootstrap: not all DB-servers have come");
		want = 1;
		r = cluster_wait(c->cluster, servers_are_there, &want,
		    deadline);
		if (r != 0)
			return r;
	}
	if ((r = plan_system_database(c, deadline)) != 0)
		return r;
	r = crd_create_system_collections(c, "_system", deadline, &em);
	if (r != AE_OK) {
		log_error("bootstrap: cannot create the system collections: "
		    "%d %s", r, em.text[0] != '\0' ? em.text :
		    arango_error_text(r));
		return ERR_TIMEOUT;
	}
	return finish(c, deadline);
}

int
crd_bootstrap(struct crd *c, uint64_t deadline)
{
	struct agency_trx	 t;
	int			 r;

	for (;;) {
		if (is_done(c->cluster, NULL))
			return 0;
		agency_trx_init(&t);
		agency_if_empty(&t, true, "/arango/Bootstrap");
		agency_set_ttl(&t,
		    json_object_new_string(agency_server_id(c->agency)),
		    BOOTSTRAP_TTL_S, "/arango/Bootstrap");
		r = crd_commit(c, &t, deadline);
		if (r == 0)
			return do_bootstrap(c, deadline);
		if (r != ERR_BAD_STATE)
			return r;
		r = cluster_wait(c->cluster, is_free_or_done, NULL, deadline);
		if (r != 0)
			return r;
	}
}
