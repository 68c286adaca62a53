/*
 * crd_misc.c - what drivers ask of a coordinator on their way, and what the
 * sandbox does not have: engine, users (only root), views, analyzers, graphs,
 * services, tasks, query functions.  Lists are given, empty where nothing can
 * be in them; everything that would change something is 501.
 *
 * Recordings: RestAnalyzersGet, RestFetchAllUser, RestFetchUserDatabaseList,
 * RestTasksListAll, RestViewGetAllViews.
 */
#include <stdio.h>
#include <string.h>

#include "sandbox/coordinator.h"
#include "sandbox/crd_json.h"

static void
reply_result(struct sb_req *r, struct json_object *v)
{
	struct json_object	*o = json_object_new_object();

	cj_add(o, "result", v);
	sb_reply_ok(r, 200, o);
}

static void
not_there(struct sb_req *r)
{
	sb_not_supported(r, r->path);
}

static void
reply_empty_result(struct sb_req *r)
{
	reply_result(r, json_object_new_array());
}

static void
reply_empty_array(struct sb_req *r)
{
	sb_reply_json(r, 200, json_object_new_array());
}

/* ---- engine ---------------------------------------------------------------- */

static void
get_engine(struct sb_req *r)
{
	static const struct {
		const char	*name;
		int		 since;
	} types[] = {
		{ "primary", 0 }, { "edge", 0 }, { "hash", 0 },
		{ "skiplist", 0 }, { "ttl", 0 }, { "persistent", 0 },
		{ "geo", 0 }, { "fulltext", 0 }, { "zkd", 30900 },
		{ "inverted", 31000 }, { "mdi", 31200 },
		{ "mdi-prefixed", 31200 }
	};
	struct json_object	*o, *supports, *list, *aliases, *indexes;
	int			 version = sb_version(r->server);
	size_t			 i;

	list = json_object_new_array();
	for (i = 0; i < NITEMS(types); i++)
		if (version >= types[i].since)
			cj_push_str(list, types[i].name);
	indexes = json_object_new_object();
	cj_add_str(indexes, "hash", "persistent");
	cj_add_str(indexes, "skiplist", "persistent");
	if (version >= 31200)
		cj_add_str(indexes, "zkd", "mdi");
	aliases = json_object_new_object();
	cj_add(aliases, "indexes", indexes);
	supports = json_object_new_object();
	cj_add(supports, "indexes", list);
	cj_add(supports, "aliases", aliases);
	o = json_object_new_object();
	cj_add_str(o, "name", "rocksdb");
	cj_add(o, "supports", supports);
	sb_reply_json(r, 200, o);
}

/* ---- users ----------------------------------------------------------------- */

static struct json_object *
show_root(void)
{
	struct json_object	*o = json_object_new_object();

	cj_add_str(o, "user", "root");
	cj_add_bool(o, "active", true);
	cj_add(o, "extra", json_object_new_object());
	return o;
}

static void
get_users(struct sb_req *r)
{
	struct json_object	*list = json_object_new_array();

	json_object_array_add(list, show_root());
	reply_result(r, list);
}

/* Is the user of the path there?  Else answered. */
static bool
is_root(struct sb_req *r)
{
	if (strcmp(r->seg[2], "root") == 0)
		return true;
	sb_error(r, AE_USER_NOT_FOUND, NULL);
	return false;
}

static void
get_user(struct sb_req *r)
{
	if (is_root(r))
		sb_reply_ok(r, 200, show_root());
}

static struct json_object *
full_permission(struct crd *c, const char *db)
{
	const struct cl_collection *const *list;
	struct json_object	*o, *cols;
	size_t			 i, n;

	cols = json_object_new_object();
	n = cluster_collections(c->cluster, db, &list);
	for (i = 0; i < n; i++)
		if (!list[i]->is_building)
			cj_add_str(cols, list[i]->name, "undefined");
	cj_add_str(cols, "*", "undefined");
	o = json_object_new_object();
	cj_add_str(o, "permission", "rw");
	cj_add(o, "collections", cols);
	return o;
}

static void
get_user_databases(struct sb_req *r)
{
	struct crd		*c = crd_of(r);
	bool			 full = sb_param_bool(r, "full", false);
	struct json_object	*o, *any;
	const char *const	*names;
	size_t			 i, n;

	if (!is_root(r))
		return;
	o = json_object_new_object();
	n = cluster_databases(c->cluster, &names);
	for (i = 0; i < n; i++) {
		if (full)
			cj_add(o, names[i], full_permission(c, names[i]));
		else
			cj_add_str(o, names[i], "rw");
	}
	if (full) {
		any = json_object_new_object();
		cj_add_str(any, "permission", "rw");
		cj_add(o, "*", any);
	}
	reply_result(r, o);
}

static void
get_user_permission(struct sb_req *r)
{
	if (is_root(r))
		reply_result(r, json_object_new_string("rw"));
}

static void
no_users(struct sb_req *r)
{
	sb_not_supported(r, "users beyond root");
}

/* ---- analyzers ------------------------------------------------------------- */

static const char *const languages[] = { "de", "en", "es", "fi", "fr", "it",
    "nl", "no", "pt", "ru", "sv", "zh" };

static struct json_object *
text_analyzer(const char *language, int version)
{
	struct json_object	*o, *p, *f;
	char			 text[32];

	o = json_object_new_object();
	snprintf(text, sizeof(text), "text_%s", language);
	cj_add_str(o, "name", text);
	cj_add_str(o, "type", "text");
	snprintf(text, sizeof(text), version >= 31000 ? "%s" : "%s.utf-8",
	    language);
	p = json_object_new_object();
	cj_add_str(p, "locale", text);
	cj_add_str(p, "case", "lower");
	cj_add(p, "stopwords", json_object_new_array());
	cj_add_bool(p, "accent", false);
	cj_add_bool(p, "stemming", true);
	cj_add(o, "properties", p);
	f = json_object_new_array();
	cj_push_str(f, "position");
	cj_push_str(f, "norm");
	cj_push_str(f, "frequency");
	cj_add(o, "features", f);
	return o;
}

static struct json_object *
identity_analyzer(void)
{
	struct json_object	*o = json_object_new_object(), *f;

	cj_add_str(o, "name", "identity");
	cj_add_str(o, "type", "identity");
	cj_add(o, "properties", json_object_new_object());
	f = json_object_new_array();
	cj_push_str(f, "norm");
	cj_push_str(f, "frequency");
	cj_add(o, "features", f);
	return o;
}

static void
get_analyzers(struct sb_req *r)
{
	struct json_object	*list = json_object_new_array();
	size_t			 i;

	json_object_array_add(list, identity_analyzer());
	for (i = 0; i < NITEMS(languages); i++)
		json_object_array_add(list, text_analyzer(languages[i],
		    sb_version(r->server)));
	reply_result(r, list);
}

static void
get_analyzer(struct sb_req *r)
{
	const char	*name = r->seg[2];
	size_t		 i;

	if (strcmp(name, "identity") == 0) {
		sb_reply_ok(r, 200, identity_analyzer());
		return;
	}
	for (i = 0; strncmp(name, "text_", 5) == 0 && i < NITEMS(languages);
	    i++)
		if (strcmp(name + 5, languages[i]) == 0) {
			sb_reply_ok(r, 200, text_analyzer(languages[i],
			    sb_version(r->server)));
			return;
		}
	sb_error(r, AE_DOCUMENT_NOT_FOUND, NULL);
}

static void
no_analyzers(struct sb_req *r)
{
	sb_not_supported(r, "analyzers beyond the built-in ones");
}

/* ---- views, graphs, tasks -------------------------------------------------- */

static void
no_such_view(struct sb_req *r)
{
	sb_error(r, AE_DATA_SOURCE_NOT_FOUND, NULL);
}

static void
no_views(struct sb_req *r)
{
	sb_not_supported(r, "views");
}

static void
get_graphs(struct sb_req *r)
{
	struct json_object	*o = json_object_new_object();

	cj_add(o, "graphs", json_object_new_array());
	sb_reply_ok(r, 200, o);
}

static void
no_such_graph(struct sb_req *r)
{
	sb_error_status(r, 404, 1924, "graph '%s' not found", r->seg[2]);
}

static void
no_graphs(struct sb_req *r)
{
	sb_not_supported(r, "graphs");
}

static void
no_such_task(struct sb_req *r)
{
	sb_error_status(r, 404, 1852, "task not found");
}

static void
no_tasks(struct sb_req *r)
{
	sb_not_supported(r, "tasks");
}

static void
no_functions(struct sb_req *r)
{
	sb_not_supported(r, "AQL user functions");
}

static void
no_services(struct sb_req *r)
{
	sb_not_supported(r, "Foxx services");
}

/* ---- administration -------------------------------------------------------- */

/* Caches that the sandbox does not have are always fresh. */
static void
reload(struct sb_req *r)
{
	sb_reply_ok(r, 200, json_object_new_object());
}

static void
get_license(struct sb_req *r)
{
	struct json_object	*o = json_object_new_object();

	if (sb_version(r->server) < 30900) {
		json_object_put(o);
		not_there(r);
		return;
	}
	cj_add_str(o, "license", "none");
	sb_reply_json(r, 200, o);
}

#define CHANGES	(SB_POST | SB_PUT | SB_PATCH | SB_DELETE)
#define ANY	(SB_GET | SB_HEAD | CHANGES)

const struct sb_route	 crd_misc_routes[] = {
	{ SB_GET, "/_api/engine", 0, get_engine },
	{ SB_GET, "/_api/user", SB_ADMIN, get_users },
	{ SB_GET, "/_api/user/*", 0, get_user },
	{ SB_GET, "/_api/user/*/database", 0, get_user_databases },
	{ SB_GET, "/_api/user/*/database/*", 0, get_user_permission },
	{ SB_GET, "/_api/user/*/database/*/*", 0, get_user_permission },
	{ ANY, "/_api/user", 0, no_users },
	{ ANY, "/_api/user/**", 0, no_users },
	{ SB_GET, "/_api/analyzer", 0, get_analyzers },
	{ SB_GET, "/_api/analyzer/*", 0, get_analyzer },
	{ ANY, "/_api/analyzer", 0, no_analyzers },
	{ ANY, "/_api/analyzer/**", 0, no_analyzers },
	{ SB_GET, "/_api/view", 0, reply_empty_result },
	{ SB_GET | SB_PUT | SB_PATCH | SB_DELETE, "/_api/view/**", 0,
	    no_such_view },
	{ ANY, "/_api/view", 0, no_views },
	{ SB_GET, "/_api/gharial", 0, get_graphs },
	{ SB_GET | SB_DELETE, "/_api/gharial/*", 0, no_such_graph },
	{ ANY, "/_api/gharial", 0, no_graphs },
	{ ANY, "/_api/gharial/**", 0, no_graphs },
	{ SB_GET, "/_api/tasks", 0, reply_empty_array },
	{ SB_GET | SB_DELETE, "/_api/tasks/*", 0, no_such_task },
	{ ANY, "/_api/tasks", 0, no_tasks },
	{ ANY, "/_api/tasks/**", 0, no_tasks },
	{ SB_GET, "/_api/aqlfunction", 0, reply_empty_result },
	{ SB_GET, "/_api/aqlfunction/*", 0, reply_empty_result },
	{ ANY, "/_api/aqlfunction", 0, no_functions },
	{ ANY, "/_api/aqlfunction/**", 0, no_functions },
	{ SB_GET, "/_api/foxx", 0, reply_empty_array },
	{ ANY, "/_api/foxx/**", 0, no_services },
	{ ANY, "/_api/foxx", 0, no_services },
	{ SB_GET, "/_admin/license", SB_ADMIN, get_license },
	{ SB_GET | SB_POST, "/_admin/routing/reload", SB_ADMIN, reload },
	{ SB_GET | SB_POST, "/_admin/auth/reload", SB_ADMIN, reload },
	{ SB_GET | SB_POST, "/_admin/aql/reload", SB_ADMIN, reload },
	{ 0, NULL, 0, NULL }
};
