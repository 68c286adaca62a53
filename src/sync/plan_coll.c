/*
 * plan_coll.c - a collection of the source as the target is to have it, and
 * how the one that is there differs; see plan.h
 */
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "json/get.h"
#include "sync/plan.h"
#include "sync/plan_priv.h"

/* ---- notes -------------------------------------------------------------- */

void
plan_note(struct plan *p, bool refused, const char *db, const char *coll,
    const char *index, const char *text)
{
	struct plan_note	*n;

	if (p == NULL)
		return;
	p->notes = xrealloc(p->notes, (p->nnotes + 1) * sizeof(*n));
	n = &p->notes[p->nnotes++];
	memset(n, 0, sizeof(*n));
	n->refused = refused;
	n->db = xstrdup(db);
	n->coll = coll != NULL ? xstrdup(coll) : NULL;
	n->index = index != NULL ? xstrdup(index) : NULL;
	n->text = xstrdup(text);
}

static void
note_number(struct plan *p, const char *db, const char *coll,
    const char *what, int64_t from, int64_t to, const char *why)
{
	char	*text = xasprintf("%s is %lld instead of %lld, %s", what,
		    (long long)to, (long long)from, why);

	plan_note(p, false, db, coll, NULL, text);
	free(text);
}

/* ---- what the target is to have ----------------------------------------- */

/* Within the bounds of the settings and of what the target has. */
static void
want_replication(struct plan_want *w, const struct structure_coll *c,
    const char *db, const struct plan_opts *o, struct plan *p)
{
	int64_t	 rf = c->replication_factor, asked;

	if (rf == 0 && !o->community) {
		w->rf = w->wc = 0;
		return;
	}
	if (rf == 0) {
		rf = o->satellite_rf > 0 ? o->satellite_rf : 2;
		plan_note(p, false, db, c->target_name, NULL, "it is a "
		    "satellite collection at the source; the target's "
		    "edition has none, so it becomes an ordinary one");
	}
	asked = rf;
	if (o->min_rf != 0 && rf < o->min_rf)
		rf = o->min_rf;
	if (o->max_rf != 0 && rf > o->max_rf)
		rf = o->max_rf;
	if (rf != asked)
		note_number(p, db, c->target_name, "replicationFactor", asked,
		    rf, "by the limits that are set");
	asked = rf;
	if (o->dbservers != 0 && rf > o->dbservers) {
		rf = o->dbservers;
		note_number(p, db, c->target_name, "replicationFactor", asked,
		    rf, "as the target has no more DB-servers");
	}
	w->rf = rf;
	w->wc = MIN(MAX(c->write_concern, (int64_t)1), rf);
}

static void
want_community(struct plan_want *w, const struct structure_coll *c,
    const char *db, struct plan *p)
{
	bool	 enterprise = strstr(c->strategy, "enterprise") != NULL;

	if (c->smart || c->disjoint) {
		w->smart = w->disjoint = false;
		free(w->shard_keys);
		w->shard_keys = xstrdup("[\"_key\"]");
		plan_note(p, false, db, c->target_name, NULL, "it is a smart "
		    "collection at the source; the target's edition has none, "
		    "so it becomes an ordinary one sharded by _key");
	} else if (enterprise)
		plan_note(p, false, db, c->target_name, NULL, "its sharding "
		    "strategy needs the Enterprise Edition; hash is used");
	if (json_object_object_get_ex(w->fixed, "smartJoinAttribute", NULL))
		plan_note(p, false, db, c->target_name, NULL, "its "
		    "smartJoinAttribute needs the Enterprise Edition and is "
		    "left away");
	json_object_object_del(w->fixed, "smartGraphAttribute");
	json_object_object_del(w->fixed, "smartJoinAttribute");
	if (enterprise)
		w->strategy = "hash";
}

/* Why the target cannot have it at all, or NULL. */
static const char *
refusal(const struct structure_coll *c, const struct plan_opts *o)
{
	if (o->community && c->smart && c->type == 3)
		return "smart edge collections need the Enterprise Edition";
	if (c->shards == 0 && !(c->smart && c->type == 3))
		return "it has no shards";
	if (o->version != 0 && o->version < 31000 &&
	    json_object_object_get_ex(c->changeable, "computedValues", NULL))
		return "computed values need version 3.10";
	return NULL;
}

int
plan_want(struct plan_want *w, const struct structure_coll *c,
    const char *db, const struct plan_opts *o, struct plan *p)
{
	const char	*no = refusal(c, o);

	memset(w, 0, sizeof(*w));
	if (no != NULL) {
		plan_note(p, true, db, c->target_name, NULL, no);
		return ERR_DENIED;
	}
	w->shards = c->shards;
	w->shard_keys = xstrdup(c->shard_keys);
	w->strategy = c->strategy;
	w->like = c->like;
	w->smart = c->smart;
	w->disjoint = c->disjoint;
	w->fixed = json_copy(c->fixed);
	if (o->community)
		want_community(w, c, db, p);
	if (w->like == NULL)
		want_replication(w, c, db, o, p);
	return 0;
}

void
plan_want_free(struct plan_want *w)
{
	free(w->shard_keys);
	json_object_put(w->fixed);
	memset(w, 0, sizeof(*w));
}

static void
set_replication(struct json_object *o, int64_t rf, int64_t wc)
{
	if (rf == 0)
		json_set_string(o, "replicationFactor", "satellite");
	else {
		json_set_int(o, "replicationFactor", rf);
		json_set_int(o, "writeConcern", wc);
	}
}

struct json_object *
plan_want_body(const struct plan_want *w, const struct structure_coll *c)
{
	struct json_object	*o = json_copy(c->changeable), *keys;

	json_object_object_foreach(w->fixed, name, value) {
		json_set(o, name, json_copy(value));
	}
	json_set_string(o, "name", c->target_name);
	json_set_int(o, "type", c->type);
	if (c->system || c->kind == STRUCTURE_BACKUP)
		json_set_bool(o, "isSystem", true);
	json_set_int(o, "numberOfShards", w->shards);
	if (json_parse(w->shard_keys, strlen(w->shard_keys), &keys, NULL) == 0)
		json_set(o, "shardKeys", keys);
	json_set_string(o, "shardingStrategy", w->strategy);
	if (w->like == NULL)
		set_replication(o, w->rf, w->wc);
	if (w->smart)
		json_set_bool(o, "isSmart", true);
	if (w->disjoint)
		json_set_bool(o, "isDisjoint", true);
	return o;
}

struct json_object *
plan_coll_body(const struct structure_coll *c, const char *db,
    const struct plan_opts *o, struct plan *p)
{
	struct plan_want	 w;
	struct json_object	*body;

	if (plan_want(&w, c, db, o, p) != 0)
		return NULL;
	body = plan_want_body(&w, c);
	plan_want_free(&w);
	return body;
}

/* ---- how it differs ----------------------------------------------------- */

static char *
differs(const char *what, const char *is, const char *want)
{
	return xasprintf("%s is %s, not %s", what, is, want);
}

static char *
differs_int(const char *what, int64_t is, int64_t want)
{
	return xasprintf("%s is %lld, not %lld", what, (long long)is,
	    (long long)want);
}

char *
plan_must_recreate(const struct plan_want *w, const struct structure_coll *c,
    const struct structure_coll *t)
{
	const char	*like = t->like != NULL ? t->like : "";
	char		*a, *b, *why = NULL;

	if (t->type != c->type)
		return differs_int("type", t->type, c->type);
	if (strcmp(like, w->like != NULL ? w->like : "") != 0)
		return differs("distributeShardsLike", *like != '\0' ? like :
		    "none", w->like != NULL ? w->like : "none");
	if (t->shards != w->shards)
		return differs_int("number of shards", t->shards, w->shards);
	if (strcmp(t->shard_keys, w->shard_keys) != 0)
		return differs("shardKeys", t->shard_keys, w->shard_keys);
	if (strcmp(t->strategy, w->strategy) != 0)
		return differs("shardingStrategy", t->strategy, w->strategy);
	if (t->smart != w->smart)
		return differs("isSmart", t->smart ? "true" : "false",
		    w->smart ? "true" : "false");
	if (t->disjoint != w->disjoint)
		return differs("isDisjoint", t->disjoint ? "true" : "false",
		    w->disjoint ? "true" : "false");
	/* satellites cannot become ordinary ones, nor the reverse */
	if (w->like == NULL && (t->replication_factor == 0) != (w->rf == 0))
		return differs("replicationFactor",
		    w->rf == 0 ? "a number" : "satellite",
		    w->rf == 0 ? "satellite" : "a number");
	a = structure_text(t->fixed);
	b = structure_text(w->fixed);
	if (strcmp(a, b) != 0)
		why = differs("what cannot be changed later", a, b);
	free(a);
	free(b);
	return why;
}

static void
why_add(struct buf *why, const char *text)
{
	if (why->len != 0)
		buf_append_str(why, ", ");
	buf_append_str(why, text);
}

static void
why_number(struct buf *why, const char *what, int64_t is, int64_t want)
{
	char	*text = differs_int(what, is, want);

	why_add(why, text);
	free(text);
}

/* A member that the source has not is set to what stands for none. */
static void
change_member(struct json_object *body, struct buf *why, const char *name,
    const struct structure_coll *c, const struct structure_coll *t, bool flag)
{
	struct json_object	*want = NULL, *is = NULL;
	char			*a, *b;

	json_object_object_get_ex(c->changeable, name, &want);
	json_object_object_get_ex(t->changeable, name, &is);
	a = structure_text(is);
	b = structure_text(want);
	if (strcmp(a, b) != 0) {
		if (want == NULL && flag)
			json_set_bool(body, name, false);
		else
			json_set(body, name, json_copy(want));
		why_add(why, name);
	}
	free(a);
	free(b);
}

struct json_object *
plan_changes(const struct plan_want *w, const struct structure_coll *c,
    const struct structure_coll *t, char **reason)
{
	struct json_object	*body = json_object_new_object();
	struct buf		 why = BUF_INIT;

	if (w->like == NULL && w->rf != 0) {
		if (t->replication_factor != w->rf)
			why_number(&why, "replicationFactor",
			    t->replication_factor, w->rf);
		if (t->write_concern != w->wc)
			why_number(&why, "writeConcern", t->write_concern,
			    w->wc);
		/* together, as one is checked against the other */
		if (why.len != 0)
			set_replication(body, w->rf, w->wc);
	}
	change_member(body, &why, "waitForSync", c, t, true);
	change_member(body, &why, "cacheEnabled", c, t, true);
	change_member(body, &why, "schema", c, t, false);
	change_member(body, &why, "computedValues", c, t, false);
	if (why.len == 0) {
		json_object_put(body);
		buf_free(&why);
		return NULL;
	}
	*reason = (char *)buf_cstr(&why);
	return body;
}
