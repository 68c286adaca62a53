/* plan_text.c - a plan as sentences and as data; see plan.h */
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "json/get.h"
#include "sync/plan.h"

void
plan_free(struct plan **pp)
{
	struct plan	*p = *pp;
	size_t		 i;

	*pp = NULL;
	if (p == NULL)
		return;
	for (i = 0; i < p->n; i++) {
		free(p->steps[i].db);
		free(p->steps[i].coll);
		free(p->steps[i].index);
		free(p->steps[i].like);
		free(p->steps[i].cid);
		free(p->steps[i].why);
		json_object_put(p->steps[i].def);
	}
	for (i = 0; i < p->nnotes; i++) {
		free(p->notes[i].db);
		free(p->notes[i].coll);
		free(p->notes[i].index);
		free(p->notes[i].text);
	}
	free(p->steps);
	free(p->notes);
	free(p);
}

const char *
plan_kind_name(enum plan_kind k)
{
	static const char *const	 names[PLAN_KIND_COUNT] = {
		"drop-index", "drop-collection", "create-database",
		"create-collection", "change-collection", "create-index",
		"drop-database"
	};

	return (size_t)k < NITEMS(names) ? names[k] : "?";
}

static void
new_collection(struct buf *b, const struct plan_step *s)
{
	int64_t	 n = json_int_or(s->def, "numberOfShards", 1);

	buf_printf(b, "create %s %s/%s with %lld shard%s",
	    json_int_or(s->def, "type", 2) == 3 ? "edge collection" :
	    "collection", s->db, s->coll, (long long)n, n == 1 ? "" : "s");
	if (s->like != NULL)
		buf_printf(b, " like %s", s->like);
}

static void
new_index(struct buf *b, const struct plan_step *s)
{
	struct json_object	*fields = json_at(s->def, "fields"), *f;
	const char		*sep = " over ";
	size_t			 i;

	buf_printf(b, "create %s%s index %s on %s/%s",
	    json_bool_or(s->def, "unique", false) ? "unique " : "",
	    json_string_or(s->def, "type", "?"),
	    s->index, s->db, s->coll);
	if (!json_object_is_type(fields, json_type_array))
		return;
	for (i = 0; i < json_object_array_length(fields); i++) {
		f = json_object_array_get_idx(fields, i);
		buf_append_str(b, sep);
		buf_append_str(b, json_object_is_type(f, json_type_string) ?
		    json_object_get_string(f) : json_string_or(f, "name",
		    "?"));
		sep = ", ";
	}
}

void
plan_step_sentence(struct buf *b, const struct plan_step *s)
{
	switch (s->kind) {
	case PLAN_DROP_INDEX:
		buf_printf(b, "drop index %s of %s/%s", s->index, s->db,
		    s->coll);
		break;
	case PLAN_DROP_COLL:
		buf_printf(b, "drop collection %s/%s", s->db, s->coll);
		break;
	case PLAN_CREATE_DB:
		buf_printf(b, "create database %s", s->db);
		break;
	case PLAN_CREATE_COLL:
		new_collection(b, s);
		break;
	case PLAN_CHANGE_COLL:
		buf_printf(b, "change collection %s/%s", s->db, s->coll);
		break;
	case PLAN_CREATE_INDEX:
		new_index(b, s);
		break;
	case PLAN_DROP_DB:
		buf_printf(b, "drop database %s", s->db);
		break;
	case PLAN_KIND_COUNT:
		break;
	}
	if (s->why != NULL)
		buf_printf(b, ": %s", s->why);
	if (s->hold == PLAN_UNCONFIRMED)
		buf_append_str(b, " (waits until it was seen for 10 s)");
	else if (s->hold == PLAN_MASS_DROP)
		buf_append_str(b, " (waits for --allow-mass-drop)");
}

void
plan_note_sentence(struct buf *b, const struct plan_note *n)
{
	if (n->refused)
		buf_append_str(b, "not replicated: ");
	if (n->index != NULL)
		buf_printf(b, "index %s of %s/%s", n->index, n->db, n->coll);
	else if (n->coll != NULL)
		buf_printf(b, "collection %s/%s", n->db, n->coll);
	else
		buf_printf(b, "database %s", n->db);
	buf_printf(b, ": %s", n->text);
}

static void
set_if(struct json_object *o, const char *name, const char *v)
{
	if (v != NULL)
		json_set_string(o, name, v);
}

static struct json_object *
step_to_json(const struct plan_step *s)
{
	static const char *const	 holds[] = {
		[PLAN_GO] = "go", [PLAN_UNCONFIRMED] = "unconfirmed",
		[PLAN_MASS_DROP] = "mass-drop"
	};
	struct json_object	*o = json_object_new_object();
	struct buf		 b = BUF_INIT;

	json_set_string(o, "kind", plan_kind_name(s->kind));
	json_set_string(o, "hold", holds[s->hold]);
	json_set_string(o, "database", s->db);
	set_if(o, "collection", s->coll);
	set_if(o, "index", s->index);
	set_if(o, "distributeShardsLike", s->like);
	set_if(o, "cid", s->cid);
	set_if(o, "reason", s->why);
	if (s->def != NULL)
		json_set(o, "definition", json_copy(s->def));
	plan_step_sentence(&b, s);
	json_set_string(o, "text", buf_cstr(&b));
	buf_free(&b);
	return o;
}

static struct json_object *
note_to_json(const struct plan_note *n)
{
	struct json_object	*o = json_object_new_object();
	struct buf		 b = BUF_INIT;

	json_set_bool(o, "refused", n->refused);
	json_set_string(o, "database", n->db);
	set_if(o, "collection", n->coll);
	set_if(o, "index", n->index);
	plan_note_sentence(&b, n);
	json_set_string(o, "text", buf_cstr(&b));
	buf_free(&b);
	return o;
}

struct json_object *
plan_to_json(const struct plan *p)
{
	struct json_object	*o = json_object_new_object(), *list;
	size_t			 i;

	list = json_object_new_array();
	for (i = 0; i < p->n; i++)
		json_object_array_add(list, step_to_json(&p->steps[i]));
	json_set(o, "steps", list);
	list = json_object_new_array();
	for (i = 0; i < p->nnotes; i++)
		json_object_array_add(list, note_to_json(&p->notes[i]));
	json_set(o, "notes", list);
	json_set_uint(o, "drops", p->drops);
	json_set_bool(o, "guarded", p->guarded);
	json_set_bool(o, "waits", p->waits);
	return o;
}
