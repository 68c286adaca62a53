/* structure.c - the structure of a cluster, normalised; see structure.h */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/map.h"
#include "base/str.h"
#include "json/get.h"
#include "sync/structure.h"
#include "sync/structure_priv.h"

/* ---- kinds -------------------------------------------------------------- */

static const struct {
	const char		*name, *target;
	enum structure_kind	 kind;
} kinds[] = {
	{ "_users", NULL, STRUCTURE_SYSTEM },
	{ "_graphs", NULL, STRUCTURE_SYSTEM },
	{ "_aqlfunctions", NULL, STRUCTURE_SYSTEM },
	{ "_apps", NULL, STRUCTURE_SYSTEM },
	{ "_appbundles", NULL, STRUCTURE_SYSTEM },
	/* the target must not execute the source's jobs */
	{ "_jobs", "_jobsbackup", STRUCTURE_BACKUP },
	{ "_queues", "_queuesbackup", STRUCTURE_BACKUP },
	/* those of a source that is a target itself */
	{ "_jobsbackup", NULL, STRUCTURE_NEVER },
	{ "_queuesbackup", NULL, STRUCTURE_NEVER },
	{ "_analyzers", NULL, STRUCTURE_API },
	{ "_frontend", NULL, STRUCTURE_NEVER },
	{ "_configuration", NULL, STRUCTURE_NEVER },
	{ "_cluster_kickstarter_plans", NULL, STRUCTURE_NEVER },
	{ "_routing", NULL, STRUCTURE_NEVER },
	{ "_fishbowl", NULL, STRUCTURE_NEVER },
	{ "_foxxlog", NULL, STRUCTURE_NEVER },
	{ "_sessions", NULL, STRUCTURE_NEVER },
	{ "_modules", NULL, STRUCTURE_NEVER },
	{ "_pregel_queries", NULL, STRUCTURE_NEVER }
};

enum structure_kind
structure_kind(const char *name, const char **target)
{
	size_t		 i;

	if (target != NULL)
		*target = name;
	if (*name != '_')
		return STRUCTURE_DATA;
	if (str_starts_with(name, "_statistics"))
		return STRUCTURE_NEVER;
	for (i = 0; i < NITEMS(kinds); i++) {
		if (strcmp(kinds[i].name, name) != 0)
			continue;
		if (target != NULL && kinds[i].target != NULL)
			*target = kinds[i].target;
		return kinds[i].kind;
	}
	return STRUCTURE_DATA;
}

const char *
structure_kind_name(enum structure_kind k)
{
	static const char *const	 names[] = {
		[STRUCTURE_DATA] = "data", [STRUCTURE_SYSTEM] = "system",
		[STRUCTURE_BACKUP] = "backup", [STRUCTURE_API] = "api",
		[STRUCTURE_NEVER] = "never",
		[STRUCTURE_SMART_CHILD] = "smart-child"
	};

	return (size_t)k < NITEMS(names) ? names[k] : "?";
}

bool
structure_one_to_one(const struct structure_coll *s,
    const struct structure_coll *t)
{
	return s->kind == STRUCTURE_DATA && t->kind == STRUCTURE_DATA &&
	    s->shards > 0 && s->shards == t->shards &&
	    s->smart == t->smart &&
	    strcmp(s->shard_keys, t->shard_keys) == 0 &&
	    strcmp(s->strategy, t->strategy) == 0;
}

/* ---- memory ------------------------------------------------------------- */

void
structure_coll_clear(struct structure_coll *c)
{
	size_t		 i;

	for (i = 0; i < c->nindexes; i++) {
		free(c->indexes[i].name);
		free(c->indexes[i].text);
		json_object_put(c->indexes[i].def);
	}
	free(c->indexes);
	free(c->name);
	free(c->target_name);
	free(c->cid);
	free(c->shard_keys);
	free(c->strategy);
	free(c->like);
	json_object_put(c->changeable);
	json_object_put(c->fixed);
	memset(c, 0, sizeof(*c));
}

void
structure_free(struct structure **sp)
{
	struct structure	*st = *sp;
	struct structure_db	*db;
	size_t			 i, k;

	*sp = NULL;
	if (st == NULL)
		return;
	for (i = 0; i < st->ndbs; i++) {
		db = &st->dbs[i];
		for (k = 0; k < db->ncolls; k++)
			structure_coll_clear(&db->colls[k]);
		free(db->colls);
		free(db->name);
		json_object_put(db->options);
	}
	free(st->dbs);
	free(st->cluster_id);
	free(st);
}

/* ---- looking up --------------------------------------------------------- */

struct structure_db *
structure_db(const struct structure *st, const char *name)
{
	size_t		 i;

	for (i = 0; i < st->ndbs; i++)
		if (strcmp(st->dbs[i].name, name) == 0)
			return &st->dbs[i];
	return NULL;
}

struct structure_coll *
structure_coll(const struct structure_db *db, const char *name)
{
	size_t		 i;

	for (i = 0; i < db->ncolls; i++)
		if (strcmp(db->colls[i].name, name) == 0)
			return &db->colls[i];
	return NULL;
}

struct structure_index *
structure_index(const struct structure_coll *c, const char *name)
{
	size_t		 i;

	for (i = 0; i < c->nindexes; i++)
		if (strcmp(c->indexes[i].name, name) == 0)
			return &c->indexes[i];
	return NULL;
}

/* ---- order -------------------------------------------------------------- */

static int
by_creation(const void *va, const void *vb)
{
	const struct structure_coll	*a = va, *b = vb;

	if ((a->like != NULL) != (b->like != NULL))
		return a->like != NULL ? 1 : -1;
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	if ((*a->name == '_') != (*b->name == '_'))
		return *a->name == '_' ? -1 : 1;
	return strcmp(a->name, b->name);
}

static int
by_index_name(const void *va, const void *vb)
{
	const struct structure_index	*a = va, *b = vb;

	return strcmp(a->name, b->name);
}

/* _system last: its _users must come after everything that rewrites them. */
static int
by_db_name(const void *va, const void *vb)
{
	const struct structure_db	*a = va, *b = vb;
	bool				 as = strcmp(a->name, "_system") == 0;
	bool				 bs = strcmp(b->name, "_system") == 0;

	if (as != bs)
		return as ? 1 : -1;
	return strcmp(a->name, b->name);
}

static const char *
second_of_same_name(struct structure_db *db)
{
	struct map	 seen = MAP_INIT;
	const char	*twice = NULL;
	size_t		 i;

	for (i = 0; i < db->ncolls && twice == NULL; i++) {
		if (db->colls[i].pending)
			continue;
		if (map_put(&seen, db->colls[i].name, db) != NULL)
			twice = db->colls[i].name;
	}
	map_free(&seen, NULL);
	return twice;
}

/* Sorts, and refuses what names the same thing twice. */
int
structure_finish(struct structure *st, struct err_msg *m)
{
	struct structure_db	*db;
	const char		*twice;
	size_t			 i, k;

	if (st->ndbs > 1)
		qsort(st->dbs, st->ndbs, sizeof(*st->dbs), by_db_name);
	for (i = 0; i < st->ndbs; i++) {
		db = &st->dbs[i];
		if (i != 0 && strcmp(db[-1].name, db->name) == 0)
			return err_set(m, ERR_FORMAT,
			    "database %s is there twice", db->name);
		if (db->ncolls > 1)
			qsort(db->colls, db->ncolls, sizeof(*db->colls),
			    by_creation);
		if ((twice = second_of_same_name(db)) != NULL)
			return err_set(m, ERR_FORMAT,
			    "collection %s/%s is there twice", db->name,
			    twice);
		for (k = 0; k < db->ncolls; k++)
			if (db->colls[k].nindexes > 1)
				qsort(db->colls[k].indexes,
				    db->colls[k].nindexes,
				    sizeof(*db->colls[k].indexes),
				    by_index_name);
	}
	return 0;
}

/* ---- text --------------------------------------------------------------- */

struct member {
	const char		*name;
	struct json_object	*value;
};

static int
by_member(const void *va, const void *vb)
{
	const struct member	*a = va, *b = vb;

	return strcmp(a->name, b->name);
}

static void
text_append(struct buf *out, struct json_object *o)
{
	struct member	*list;
	size_t		 n = 0, i;

	if (json_object_is_type(o, json_type_array)) {
		buf_append_u8(out, '[');
		for (i = 0; i < json_object_array_length(o); i++) {
			if (i != 0)
				buf_append_u8(out, ',');
			text_append(out, json_object_array_get_idx(o, i));
		}
		buf_append_u8(out, ']');
		return;
	}
	if (!json_object_is_type(o, json_type_object)) {
		json_append(out, o);
		return;
	}
	list = xcalloc((size_t)json_object_object_length(o) + 1,
	    sizeof(*list));
	json_object_object_foreach(o, name, value) {
		list[n].name = name;
		list[n++].value = value;
	}
	qsort(list, n, sizeof(*list), by_member);
	buf_append_u8(out, '{');
	for (i = 0; i < n; i++) {
		struct json_object	*s = json_object_new_string(
					    list[i].name);

		if (i != 0)
			buf_append_u8(out, ',');
		json_append(out, s);
		json_object_put(s);
		buf_append_u8(out, ':');
		text_append(out, list[i].value);
	}
	buf_append_u8(out, '}');
	free(list);
}

char *
structure_text(struct json_object *o)
{
	struct buf	 out = BUF_INIT;

	text_append(&out, o);
	return (char *)buf_cstr(&out);
}

/* ---- indexes ------------------------------------------------------------ */

static bool
is_in(const char *name, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcmp(*list, name) == 0)
			return true;
	return false;
}

static void
drop_bool(struct json_object *o, const char *name, bool dflt)
{
	struct json_object	*v;

	if (json_object_object_get_ex(o, name, &v) && (v == NULL ||
	    (json_object_is_type(v, json_type_boolean) &&
	    (bool)json_object_get_boolean(v) == dflt)))
		json_object_object_del(o, name);
}

static void
drop_empty_array(struct json_object *o, const char *name)
{
	struct json_object	*v;

	if (json_object_object_get_ex(o, name, &v) && (v == NULL ||
	    (json_object_is_type(v, json_type_array) &&
	    json_object_array_length(v) == 0)))
		json_object_object_del(o, name);
}

/* Defaults of target reference 3.2; what a type has not is not compared. */
static void
drop_index_defaults(struct json_object *o, const char *type)
{
	static const char *const	 ordered[] = { "persistent", "hash",
	    "skiplist", "zkd", "mdi", "mdi-prefixed", NULL };
	static const char *const	 sparse[] = { "ttl", "fulltext",
	    "geo", NULL };

	drop_bool(o, "unique", false);
	drop_bool(o, "legacyPolygons", false);
	drop_empty_array(o, "storedValues");
	if (is_in(type, sparse))
		json_object_object_del(o, "sparse");
	else
		drop_bool(o, "sparse", false);
	if (is_in(type, ordered)) {
		drop_bool(o, "deduplicate", true);
		drop_bool(o, "estimates", true);
		drop_bool(o, "cacheEnabled", false);
	} else if (strcmp(type, "inverted") != 0) {
		json_object_object_del(o, "deduplicate");
		json_object_object_del(o, "estimates");
		json_object_object_del(o, "cacheEnabled");
	}
}

struct json_object *
structure_index_normal(struct json_object *def)
{
	static const char *const	 added[] = { "id", "isNewlyCreated",
	    "selectivityEstimate", "figures", "progress", "isBuilding",
	    "inBackground", "parallelism", "objectId", "error", "code",
	    "errorMessage", "coordinator", "coordinatorRebootId", NULL };
	static const char *const	 own[] = { "primary", "edge",
	    "arangosearch", "iresearch", NULL };
	const char			*type = json_string_or(def, "type", "");
	struct json_object		*o;

	if (*type == '\0' || is_in(type, own))
		return NULL;
	o = json_object_new_object();
	json_object_object_foreach(def, name, value) {
		if (!is_in(name, added))
			json_set(o, name, json_copy(value));
	}
	if (strcmp(type, "geo1") == 0 || strcmp(type, "geo2") == 0)
		json_set_string(o, "type", "geo");
	drop_index_defaults(o, json_string_or(o, "type", ""));
	return o;
}

static bool
is_auto_name(const char *name)
{
	const char	*p = name + 4;

	if (strncmp(name, "idx_", 4) != 0 || *p == '\0')
		return false;
	for (; *p != '\0'; p++)
		if (!isdigit((unsigned char)*p))
			return false;
	return true;
}

/* For comparing: without name, and zkd is what mdi was called. */
static char *
index_text(struct json_object *def)
{
	struct json_object	*o = json_copy(def);
	char			*text;

	json_object_object_del(o, "name");
	if (strcmp(json_string_or(o, "type", ""), "zkd") == 0)
		json_set_string(o, "type", "mdi");
	text = structure_text(o);
	json_object_put(o);
	return text;
}

/* Takes def. */
void
structure_add_index(struct structure_coll *c, struct json_object *def)
{
	struct structure_index	*x;

	c->indexes = xrealloc(c->indexes, (c->nindexes + 1) * sizeof(*x));
	x = &c->indexes[c->nindexes++];
	x->name = xstrdup(json_string_or(def, "name", ""));
	x->auto_name = *x->name == '\0' || is_auto_name(x->name);
	x->def = def;
	x->text = index_text(def);
}
