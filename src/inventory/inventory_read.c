/*
 * inventory_read.c - what a cluster has, from one consistent read of its agency
 * (R19); see inventory_priv.h
 */
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "inventory/inventory_priv.h"
#include "json/get.h"

void
inv_made_free(void *vmade)
{
	struct inv_made	*m = vmade;

	if (m == NULL)
		return;
	free(m->source);
	free(m->db);
	free(m->coll);
	free(m->cid);
	free(m);
}

struct json_object *
inv_made_to_json(const struct inv_made *made)
{
	struct json_object	*o = json_object_new_object();

	json_set_string(o, "source", made->source);
	json_set_string(o, "db", made->db);
	json_set_string(o, "coll", made->coll);
	json_set_string(o, "cid", made->cid);
	json_set_bool(o, "lineage", made->lineage);
	json_set_bool(o, "checked", made->checked);
	if (made->misplaced)
		json_set_bool(o, "misplaced", true);
	return o;
}

/* What is not as we write it is as good as absent: the collection is looked at
 * again. */
static void
take_made(struct inv_view *v, struct json_object *list)
{
	struct inv_made	*m;

	if (!json_object_is_type(list, json_type_object))
		return;
	json_object_object_foreach(list, cid, o) {
		m = xcalloc(1, sizeof(*m));
		m->source = xstrdup(json_string_or(o, "source", ""));
		m->db = xstrdup(json_string_or(o, "db", ""));
		m->coll = xstrdup(json_string_or(o, "coll", ""));
		m->cid = xstrdup(json_string_or(o, "cid", ""));
		m->lineage = json_bool_or(o, "lineage", false);
		m->checked = json_bool_or(o, "checked", false);
		m->misplaced = json_bool_or(o, "misplaced", false);
		inv_made_free(map_put(&v->made, cid, m));
	}
}

static void
take_views(struct inv_view *v, struct json_object *dbs)
{
	const char	*name;
	char		*text;

	v->views = json_object_new_array();
	if (!json_object_is_type(dbs, json_type_object))
		return;
	json_object_object_foreach(dbs, db, views) {
		if (!json_object_is_type(views, json_type_object))
			continue;
		json_object_object_foreach(views, id, view) {
			(void)id;
			name = json_string_or(view, "name", "");
			if (*name == '\0' || json_bool_or(view, "deleted",
			    false))
				continue;
			text = xasprintf("%s/%s", db, name);
			json_object_array_add(v->views,
			    json_object_new_string(text));
			free(text);
		}
	}
}

int
inv_view_make(struct json_object *root, struct inv_view **out,
    struct err_msg *m)
{
	struct inv_view		*v;
	struct structure	*st;
	struct json_object	*plan, *o;
	const char		*id;
	int			 r;

	if ((r = json_need_object(root, "arango.Plan", &plan, m)) != 0 ||
	    (r = json_need_string(root, "arango.Cluster", &id, m)) != 0 ||
	    (r = structure_from_plan(plan, id, &st, m)) != 0)
		return r;
	v = xcalloc(1, sizeof(*v));
	v->st = st;
	o = json_at(plan, "DBServers");
	if (json_object_is_type(o, json_type_object))
		v->dbservers = json_object_object_length(o);
	take_views(v, json_at(plan, "Views"));
	take_made(v, json_at(root, "arangodb.arangosync.x.made-from"));
	*out = v;
	return 0;
}

int
inv_view_read(struct arango_agency *ag, struct inv_view **out,
    struct err_msg *m)
{
	static const char *const	 paths[] = {
		"/arango/Plan/Databases", "/arango/Plan/Collections",
		"/arango/Plan/Views", "/arango/Plan/Version",
		"/arango/Plan/DBServers", "/arango/Cluster", INV_MADE_PATH
	};
	struct json_object		*root;
	struct err_msg			 why = { "" };
	int				 r;

	r = arango_agency_read(ag, paths, NITEMS(paths), &root, m);
	if (r != 0)
		return r;
	if ((r = inv_view_make(root, out, &why)) != 0)
		(void)err_set(m, r, "%s: its Plan cannot be read: %s",
		    arango_name(arango_agency_cluster(ag)), why.text);
	json_object_put(root);
	return r;
}

void
inv_view_free(struct inv_view **vp)
{
	struct inv_view	*v = *vp;

	*vp = NULL;
	if (v == NULL)
		return;
	structure_free(&v->st);
	json_object_put(v->views);
	map_free(&v->made, inv_made_free);
	free(v);
}
