/*
 * crd_index.c - /_api/index: list, show, create, drop.
 *
 * Facts: arangod/RestHandler/RestIndexHandler.cpp, VocBase/Methods/
 * Indexes.cpp; recordings RestIndex*.  On coordinators the attributes are
 * those of the Plan: what only a DB-server's index object adds (the levels of
 * geo indexes) is not there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ev/loop.h"
#include "sandbox/coordinator.h"
#include "sandbox/crd_ddl.h"
#include "sandbox/crd_json.h"
#include "sandbox/crd_show.h"

/* ---- showing --------------------------------------------------------------- */

static bool
type_is(struct json_object *index, const char *type)
{
	const char	*t = cj_str(index, "type");

	return t != NULL && strcmp(t, type) == 0;
}

static bool
has_estimate(struct json_object *index)
{
	return cj_bool(index, "unique", false) || type_is(index, "edge") ||
	    ((type_is(index, "hash") || type_is(index, "skiplist") ||
	    type_is(index, "persistent")) &&
	    cj_bool(index, "estimates", true));
}

void
crd_index_estimates(struct json_object *o)
{
	if (cj_bool(o, "unique", false) && (type_is(o, "hash") ||
	    type_is(o, "skiplist") || type_is(o, "persistent")))
		cj_add_bool(o, "estimates", true);
}

static void
add_figures(struct json_object *o)
{
	struct json_object	*f = json_object_new_object();

	cj_add_int(f, "memory", 0);
	cj_add_bool(f, "cacheInUse", false);
	cj_add_int(f, "cacheSize", 0);
	cj_add_int(f, "cacheUsage", 0);
	cj_add(o, "figures", f);
}

/*
 * An index as the API shows it; made says that it is the answer to its
 * creation, which gives the Plan's entry as it is.  The two edge indexes are shown as one: the
 * one over _from is left out (NULL), the other gets both fields.
 */
static struct json_object *
show(const struct cl_collection *col, struct json_object *index, bool made,
    bool estimate, bool figures)
{
	struct json_object	*o, *fields;
	char			*id;

	fields = cj_get(index, "fields");
	if (type_is(index, "edge") && strcmp(json_object_get_string(
	    json_object_array_get_idx(fields, 0)), "_from") == 0)
		return NULL;
	o = json_object_new_object();
	json_object_object_foreach(index, name, value)
		if (strcmp(name, "id") != 0 && strcmp(name, "objectId") != 0 &&
		    strcmp(name, "coordinator") != 0 &&
		    strcmp(name, "coordinatorRebootId") != 0)
			cj_add_ref(o, name, value);
	id = xasprintf("%s/%s", col->name, cj_str(index, "id"));
	cj_add_str(o, "id", id);
	free(id);
	if (type_is(index, "edge")) {
		fields = json_object_new_array();
		cj_push_str(fields, "_from");
		cj_push_str(fields, "_to");
		cj_add(o, "fields", fields);
	}
	if (!made)
		crd_index_estimates(o);
	if (estimate && has_estimate(index))
		cj_add_int(o, "selectivityEstimate", 1);
	if (figures)
		add_figures(o);
	return o;
}

static bool
is_hidden(struct json_object *index)
{
	return cj_bool(index, "isBuilding", false) ||
	    type_is(index, "arangosearch");
}

/* The Plan entry by id, "collection/id" or name; borrowed. */
static struct json_object *
find(const struct cl_collection *col, const char *handle)
{
	const char		*slash = strchr(handle, '/');
	struct json_object	*v;
	size_t			 i, n;

	if (slash != NULL)
		handle = slash + 1;
	n = cj_is_array(col->indexes) ?
	    json_object_array_length(col->indexes) : 0;
	for (i = 0; i < n; i++) {
		v = json_object_array_get_idx(col->indexes, i);
		if ((cj_str(v, "id") != NULL &&
		    strcmp(cj_str(v, "id"), handle) == 0) ||
		    (cj_str(v, "name") != NULL &&
		    strcmp(cj_str(v, "name"), handle) == 0))
			return v;
	}
	return NULL;
}

/* ---- GET ------------------------------------------------------------------- */

static const struct cl_collection *
collection_of_param(struct sb_req *r)
{
	const char	*name = sb_param(r, "collection");

	if (name == NULL || name[0] == '\0') {
		sb_error(r, AE_DATA_SOURCE_NOT_FOUND, NULL);
		return NULL;
	}
	return crd_collection_get(r, name);
}

static void
get_list(struct sb_req *r)
{
	const struct cl_collection	*col;
	struct json_object		*o, *list, *byid, *v, *x;
	bool				 hidden, stats;
	size_t				 i, n;

	if ((col = collection_of_param(r)) == NULL)
		return;
	hidden = sb_param_bool(r, "withHidden", false);
	stats = sb_param_bool(r, "withStats", false);
	list = json_object_new_array();
	byid = json_object_new_object();
	n = cj_is_array(col->indexes) ?
	    json_object_array_length(col->indexes) : 0;
	for (i = 0; i < n; i++) {
		v = json_object_array_get_idx(col->indexes, i);
		if ((is_hidden(v) && !hidden) ||
		    (x = show(col, v, false, true, stats)) == NULL)
			continue;
		json_object_array_add(list, x);
		cj_add_ref(byid, cj_str(x, "id"), x);
	}
	o = json_object_new_object();
	cj_add(o, "indexes", list);
	cj_add(o, "identifiers", byid);
	sb_reply_ok(r, 200, o);
	cl_collection_unref(&col);
}

static void
get_selectivity(struct sb_req *r)
{
	const struct cl_collection	*col;
	struct json_object		*o, *out, *v, *x;
	size_t				 i, n;

	if ((col = collection_of_param(r)) == NULL)
		return;
	out = json_object_new_object();
	n = cj_is_array(col->indexes) ?
	    json_object_array_length(col->indexes) : 0;
	for (i = 0; i < n; i++) {
		v = json_object_array_get_idx(col->indexes, i);
		if (is_hidden(v) || !has_estimate(v) ||
		    (x = show(col, v, false, true, false)) == NULL)
			continue;
		cj_add_int(out, cj_str(x, "id"), 1);
		json_object_put(x);
	}
	o = json_object_new_object();
	cj_add(o, "indexes", out);
	sb_reply_ok(r, 200, o);
	cl_collection_unref(&col);
}

static void
get_one(struct sb_req *r)
{
	const struct cl_collection	*col;
	struct json_object		*v, *o = NULL;

	if ((col = crd_collection_get(r, r->seg[2])) == NULL)
		return;
	if ((v = find(col, r->seg[3])) != NULL) {
		/* Both parts of an edge index are shown as the second. */
		if (type_is(v, "edge"))
			v = find(col, "2");
		o = show(col, v, false, false, false);
	}
	if (o == NULL)
		sb_error(r, AE_INDEX_NOT_FOUND, NULL);
	else
		sb_reply_ok(r, 200, o);
	cl_collection_unref(&col);
}

/* ---- POST ------------------------------------------------------------------ */

/*
 * arangod answers every failure to create with 400 and the number of the
 * reason, except these two.
 */
static void
reply_not_created(struct sb_req *r, int errnum, const struct err_msg *em)
{
	int	 status = 400;

	if (errnum == AE_FORBIDDEN || errnum == AE_INDEX_NOT_FOUND)
		status = arango_http_status(errnum, sb_version(r->server));
	if (em->text[0] != '\0')
		sb_error_status(r, status, errnum, "%s", em->text);
	else
		sb_error_status(r, status, errnum, NULL);
}

static void
create(struct sb_req *r, const struct cl_collection *col,
    struct json_object *body)
{
	struct crd		*c = crd_of(r);
	struct crd_rules	 rules;
	struct err_msg		 em = { "" };
	struct json_object	*def = NULL, *made = NULL, *o;
	bool			 created = false;
	int			 n, status;

	crd_rules_of(c, r->db, &rules);
	n = crd_define_index(&rules, body, crd_index_name(c), &def, &em);
	if (n == AE_OK)
		n = crd_create_index(c, col, def, loop_now_ms(c->loop) +
		    CRD_INDEX_TIMEOUT_MS, &made, &created, &em);
	json_object_put(def);
	if (n != AE_OK) {
		reply_not_created(r, n, &em);
		return;
	}
	status = created ? 201 : 200;
	if ((o = show(col, made, true, false, false)) == NULL) {
		sb_error(r, AE_INTERNAL, NULL);
	} else {
		cj_add_bool(o, "isNewlyCreated", created);
		sb_reply_ok(r, status, o);
	}
	json_object_put(made);
}

static void
post_index(struct sb_req *r)
{
	const struct cl_collection	*col;
	struct json_object		*body;

	if ((body = sb_body_json(r, false)) == NULL)
		return;
	if ((col = collection_of_param(r)) != NULL) {
		if (cj_is_object(body))
			create(r, col, body);
		else
			sb_error(r, AE_BAD_PARAMETER,
			    "expecting object for index definition");
		cl_collection_unref(&col);
	}
	json_object_put(body);
}

static void
post_wrong(struct sb_req *r)
{
	sb_error(r, AE_HTTP_BAD_PARAMETER, "expecting POST %.*s?collection="
	    "<collection-name>", (int)strcspn(r->path, "?"), r->path);
}

/* ---- DELETE ---------------------------------------------------------------- */

static void
delete_index(struct sb_req *r)
{
	struct crd			*c = crd_of(r);
	const struct cl_collection	*col;
	struct json_object		*v, *o;
	struct err_msg			 em = { "" };
	char				*id;
	int				 n;

	if ((col = crd_collection_get(r, r->seg[2])) == NULL)
		return;
	if ((v = find(col, r->seg[3])) == NULL) {
		sb_error(r, AE_INDEX_NOT_FOUND, NULL);
	} else if (type_is(v, "primary") || type_is(v, "edge")) {
		sb_error(r, AE_FORBIDDEN, NULL);
	} else {
		id = xstrdup(cj_str(v, "id"));
		n = crd_drop_index(c, col, id, loop_now_ms(c->loop) +
		    CRD_DDL_TIMEOUT_MS, &em);
		free(id);
		if (n != AE_OK) {
			sb_error(r, n, NULL);
		} else {
			o = json_object_new_object();
			id = strchr(r->seg[3], '/') != NULL ?
			    xstrdup(r->seg[3]) :
			    xasprintf("%s/%s", r->seg[2], r->seg[3]);
			cj_add_str(o, "id", id);
			free(id);
			sb_reply_ok(r, 200, o);
		}
	}
	cl_collection_unref(&col);
}

static void
get_wrong(struct sb_req *r)
{
	sb_error(r, AE_HTTP_BAD_PARAMETER, NULL);
}

static void
delete_wrong(struct sb_req *r)
{
	sb_error(r, AE_HTTP_BAD_PARAMETER,
	    "expecting DELETE /<collection-name>/<index-identifier>");
}

const struct sb_route	 crd_index_routes[] = {
	{ SB_GET, "/_api/index", 0, get_list },
	{ SB_POST, "/_api/index", SB_DDL, post_index },
	{ SB_GET, "/_api/index/selectivity", 0, get_selectivity },
	{ SB_GET, "/_api/index/*/*", 0, get_one },
	{ SB_DELETE, "/_api/index/*/*", SB_DDL, delete_index },
	{ SB_GET, "/_api/index/**", 0, get_wrong },
	{ SB_POST, "/_api/index/**", 0, post_wrong },
	{ SB_DELETE, "/_api/index/**", 0, delete_wrong },
	{ 0, NULL, 0, NULL }
};
