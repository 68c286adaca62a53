/*
 * crd_database.c - /_api/database.
 *
 * Facts: arangod/RestHandler/RestDatabaseHandler.cpp, VocBase/VocbaseInfo.cpp;
 * recordings RestDatabase*.
 */
#include <string.h>

#include "ev/loop.h"
#include "sandbox/coordinator.h"
#include "sandbox/crd_ddl.h"
#include "sandbox/crd_json.h"
#include "sandbox/crd_show.h"

static void
reply_result(struct sb_req *r, int status, struct json_object *v)
{
	struct json_object	*o = json_object_new_object();

	cj_add(o, "result", v);
	sb_reply_ok(r, status, o);
}

/* ---- GET ------------------------------------------------------------------- */

static struct json_object *
names(struct crd *c)
{
	struct json_object	*list = json_object_new_array();
	const char *const	*db;
	size_t			 i, n;

	n = cluster_databases(c->cluster, &db);
	for (i = 0; i < n; i++)
		cj_push_str(list, db[i]);
	return list;
}

static void
get_list(struct sb_req *r)
{
	reply_result(r, 200, names(crd_of(r)));
}

struct json_object *
crd_database_show(struct crd *c, const char *db, const char *path)
{
	struct json_object	*in = cluster_database(c->cluster, db, false);
	struct json_object	*o = json_object_new_object();

	cj_add_str(o, "id", cj_str(in, "id") != NULL ? cj_str(in, "id") : "");
	cj_add_str(o, "name", db);
	cj_add_bool(o, "isSystem", strcmp(db, "_system") == 0);
	cj_add_str(o, "sharding", cj_str(in, "sharding") != NULL ?
	    cj_str(in, "sharding") : "");
	if (cj_has(in, "replicationFactor"))
		cj_copy(o, in, "replicationFactor");
	else
		cj_add_int(o, "replicationFactor", 1);
	cj_add_int(o, "writeConcern", cj_int(in, "writeConcern", 1));
	if (sb_version(c->server) >= 31200)
		cj_add_str(o, "replicationVersion", "1");
	cj_add_str(o, "path", path);
	return o;
}

static void
get_current(struct sb_req *r)
{
	reply_result(r, 200, crd_database_show(crd_of(r), r->db, "none"));
}

static void
get_unknown(struct sb_req *r)
{
	if (r->nseg > 3)
		sb_error(r, AE_HTTP_BAD_PARAMETER, NULL);
	else
		sb_error(r, AE_BAD_PARAMETER, NULL);
}

/* ---- POST ------------------------------------------------------------------ */

/*
 * sharding, replicationFactor and writeConcern as they are kept; what is
 * unusable is passed over in silence, as arangod does, except numbers beyond
 * the limits.
 */
static int
define_options(struct crd *c, struct json_object *in, struct json_object *out,
    struct err_msg *em)
{
	struct json_object	*rf = cj_get(in, "replicationFactor");
	const char		*s = cj_str(in, "sharding");
	struct crd_rules	 rules;
	int64_t			 n = 1, wc;
	bool			 satellite;

	crd_rules_of(c, "_system", &rules);
	cj_add_str(out, "sharding", s != NULL && strcmp(s, "single") == 0 ?
	    "single" : "");
	s = cj_str(in, "replicationFactor");
	satellite = s != NULL && strcmp(s, "satellite") == 0;
	if (cj_is_number(rf)) {
		n = json_object_get_int64(rf);
		satellite = n == 0;
		if (n > CRD_MAX_REPLICATION) {
			err_set(em, 0, "replicationFactor must not be higher "
			    "than maximum allowed replicationFactor (%d)",
			    CRD_MAX_REPLICATION);
			return AE_BAD_PARAMETER;
		}
		if (!satellite && n < CRD_MIN_REPLICATION) {
			err_set(em, 0, "replicationFactor must not be lower "
			    "than minimum allowed replicationFactor (%d)",
			    CRD_MIN_REPLICATION);
			return AE_BAD_PARAMETER;
		}
	}
	if (satellite && crd_has_enterprise(&rules))
		cj_add_str(out, "replicationFactor", "satellite");
	else
		cj_add_int(out, "replicationFactor", satellite ? 1 : n);
	wc = cj_int(in, "writeConcern", 1);
	cj_add_int(out, "writeConcern", wc > 0 ? wc : 1);
	return AE_OK;
}

/* Users are looked at, but only root exists. */
static int
check_users(struct json_object *users, struct err_msg *em)
{
	struct json_object	*u, *name;
	size_t			 i, n;

	if (users == NULL)
		return AE_OK;
	if (!cj_is_array(users)) {
		err_set(em, 0, "invalid users slice");
		return AE_HTTP_BAD_PARAMETER;
	}
	n = json_object_array_length(users);
	for (i = 0; i < n; i++) {
		u = json_object_array_get_idx(users, i);
		if (!cj_is_object(u))
			return AE_HTTP_BAD_PARAMETER;
		name = cj_has(u, "username") ? cj_get(u, "username") :
		    cj_get(u, "user");
		if (!cj_is_string(name) || (cj_get(u, "passwd") != NULL &&
		    cj_str(u, "passwd") == NULL))
			return AE_HTTP_BAD_PARAMETER;
	}
	return AE_OK;
}

static int
create(struct sb_req *r, struct json_object *body, struct err_msg *em)
{
	struct crd		*c = crd_of(r);
	struct json_object	*in = cj_get(body, "options"), *out;
	const char		*name = cj_str(body, "name");
	int			 n;

	if (name == NULL)
		return AE_DATABASE_NAME_INVALID;
	if (in != NULL && !cj_is_object(in)) {
		err_set(em, 0, "invalid options slice");
		return AE_HTTP_BAD_PARAMETER;
	}
	out = json_object_new_object();
	if ((n = define_options(c, in, out, em)) == AE_OK &&
	    (n = check_users(cj_get(body, "users"), em)) == AE_OK) {
		if (cluster_database(c->cluster, name, true) != NULL)
			n = AE_DUPLICATE_NAME;
		else if (!crd_database_name_ok(name, sb_version(r->server)))
			n = AE_DATABASE_NAME_INVALID;
		else
			n = crd_create_database(c, name, out,
			    loop_now_ms(c->loop) + CRD_DDL_TIMEOUT_MS, em);
	}
	json_object_put(out);
	return n;
}

static void
post_database(struct sb_req *r)
{
	struct json_object	*body;
	struct err_msg		 em = { "" };
	int			 n, status;

	if ((body = sb_body_json(r, false)) == NULL)
		return;
	n = create(r, body, &em);
	json_object_put(body);
	if (n == AE_OK) {
		reply_result(r, 201, json_object_new_boolean(true));
		return;
	}
	status = n == AE_FORBIDDEN ? 403 : n == AE_DUPLICATE_NAME ? 409 : 400;
	if (em.text[0] != '\0')
		sb_error_status(r, status, n, "%s", em.text);
	else
		sb_error_status(r, status, n, NULL);
}

static void
post_wrong(struct sb_req *r)
{
	sb_error(r, AE_HTTP_BAD_PARAMETER, NULL);
}

/* ---- DELETE ---------------------------------------------------------------- */

static void
delete_database(struct sb_req *r)
{
	struct crd	*c = crd_of(r);
	struct err_msg	 em = { "" };
	int		 n;

	if (strcmp(r->seg[2], "_system") == 0) {
		sb_error(r, AE_FORBIDDEN, NULL);
		return;
	}
	if (cluster_database(c->cluster, r->seg[2], false) == NULL) {
		sb_error(r, AE_DATABASE_NOT_FOUND, NULL);
		return;
	}
	n = crd_drop_database(c, r->seg[2], loop_now_ms(c->loop) +
	    CRD_DDL_TIMEOUT_MS, &em);
	if (n != AE_OK)
		sb_error(r, n, NULL);
	else
		reply_result(r, 200, json_object_new_boolean(true));
}

const struct sb_route	 crd_database_routes[] = {
	{ SB_GET, "/_api/database", SB_SYSTEM, get_list },
	{ SB_POST, "/_api/database", SB_SYSTEM | SB_DDL, post_database },
	{ SB_GET, "/_api/database/user", 0, get_list },
	{ SB_GET, "/_api/database/current", 0, get_current },
	{ SB_GET, "/_api/database/**", 0, get_unknown },
	{ SB_POST, "/_api/database/**", SB_SYSTEM, post_wrong },
	{ SB_DELETE, "/_api/database/*", SB_SYSTEM | SB_DDL,
	    delete_database },
	{ SB_DELETE, "/_api/database/**", SB_SYSTEM, post_wrong },
	{ SB_DELETE, "/_api/database", SB_SYSTEM, post_wrong },
	{ 0, NULL, 0, NULL }
};
