/*
 * inventory_pairs.c - which collection here stands for which of the source,
 * and what nobody replicates; see inventory_priv.h
 *
 * The sharding function has no input of a cluster's own (target reference 2.2):
 * with the same number of shards, shard keys and strategy document and shard
 * index belong together at both ends.  That is what structure_one_to_one()
 * looks at; inventory_check.c lets the target confirm it on samples.
 */
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "inventory/inventory_priv.h"
#include "json/get.h"

/* ---- what a plan does with a collection -------------------------------- */

enum fate {
	FATE_STEPS = 1,		/* is made, changed or dropped */
	FATE_DROP,		/* is dropped, to be made again or not */
	FATE_REFUSED
};

/* "db/coll" -> one of these, in a pointer. */
static void
fate_put(struct map *fates, const char *db, const char *coll, enum fate f)
{
	char	*key = xasprintf("%s/%s", db, coll);

	if ((uintptr_t)map_get(fates, key) < (uintptr_t)f)
		map_put(fates, key, (void *)(uintptr_t)f);
	free(key);
}

static enum fate
fate_of(const struct map *fates, const char *db, const char *coll)
{
	char		*key = xasprintf("%s/%s", db, coll);
	uintptr_t	 f = (uintptr_t)map_get(fates, key);

	free(key);
	return (enum fate)f;
}

static void
fates_make(const struct plan *p, struct map *fates)
{
	const struct plan_step	*s;
	const struct plan_note	*n;
	size_t			 i;

	memset(fates, 0, sizeof(*fates));
	for (i = 0; i < p->n; i++) {
		s = &p->steps[i];
		if (s->coll != NULL && s->kind != PLAN_CREATE_INDEX &&
		    s->kind != PLAN_DROP_INDEX)
			fate_put(fates, s->db, s->coll,
			    s->kind == PLAN_DROP_COLL ? FATE_DROP :
			    FATE_STEPS);
	}
	for (i = 0; i < p->nnotes; i++) {
		n = &p->notes[i];
		if (n->refused && n->coll != NULL && n->index == NULL)
			fate_put(fates, n->db, n->coll, FATE_REFUSED);
	}
}

/* ---- both sides -------------------------------------------------------- */

/* One collection of the source that is data, with what stands for it. */
struct both {
	const struct structure_db	*db;
	const struct structure_coll	*c;
	const struct structure_coll	*t;	/* NULL: none, or pending */
	const struct inv_made		*made;	/* ours, of this source */
	enum fate			 fate;
};

typedef void	both_fn(void *arg, const struct both *b);

static void
names_of(const struct structure_db *db, struct map *names)
{
	size_t		 i;

	memset(names, 0, sizeof(*names));
	for (i = 0; db != NULL && i < db->ncolls; i++)
		if (!db->colls[i].pending &&
		    db->colls[i].kind == STRUCTURE_DATA)
			map_put(names, db->colls[i].name, &db->colls[i]);
}

static void
each_of_db(const struct inv_input *in, const struct structure_db *sdb,
    const struct map *fates, both_fn *fn, void *arg)
{
	struct map	 names;
	struct both	 b = { .db = sdb };
	size_t		 i;

	names_of(structure_db(in->target->st, sdb->name), &names);
	for (i = 0; i < sdb->ncolls; i++) {
		b.c = &sdb->colls[i];
		if (b.c->pending || b.c->kind != STRUCTURE_DATA)
			continue;
		b.t = map_get(&names, b.c->target_name);
		b.made = b.t != NULL ? map_get(&in->target->made, b.t->cid) :
		    NULL;
		if (b.made != NULL && strcmp(b.made->source,
		    in->source->cluster_id) != 0)
			b.made = NULL;
		b.fate = fate_of(fates, sdb->name, b.c->target_name);
		fn(arg, &b);
	}
	map_free(&names, NULL);
}

static void
each(const struct inv_input *in, both_fn *fn, void *arg)
{
	struct map	 fates;
	size_t		 i;

	fates_make(in->plan, &fates);
	for (i = 0; i < in->source->ndbs; i++)
		if (!in->source->dbs[i].pending &&
		    !in->source->dbs[i].replication2)
			each_of_db(in, &in->source->dbs[i], &fates, fn, arg);
	map_free(&fates, NULL);
}

/* ---- records ----------------------------------------------------------- */

void
inv_records_free(struct inv_records *r)
{
	size_t		 i;

	for (i = 0; i < r->n; i++) {
		free(r->list[i].target_cid);
		inv_made_free(r->list[i].made);
	}
	free(r->list);
	memset(r, 0, sizeof(*r));
}

static struct inv_record *
record_add(struct inv_records *r, const char *target_cid)
{
	struct inv_record	*x;

	if ((r->n & (r->n - 1)) == 0)
		r->list = xrealloc(r->list, MAX((size_t)1, r->n * 2) *
		    sizeof(*x));
	x = &r->list[r->n++];
	x->target_cid = xstrdup(target_cid);
	x->made = NULL;
	return x;
}

struct recording {
	const struct inv_input	*in;
	struct inv_records	*r;
};

static void
record_both(void *arg, const struct both *b)
{
	struct recording	*rec = arg;
	struct inv_record	*x;
	const char		*cid;
	char			*key;
	bool			 made_now, lineage;

	/* What another incarnation was made from is dropped by the plan. */
	if (b->t == NULL || b->fate == FATE_DROP || (b->made != NULL &&
	    strcmp(b->made->cid, b->c->cid) != 0))
		return;
	key = xasprintf("%s/%s", b->db->name, b->t->name);
	cid = map_get(rec->in->created, key);
	free(key);
	made_now = cid != NULL && strcmp(cid, b->c->cid) == 0;
	lineage = b->made != NULL ? b->made->lineage &&
	    !rec->in->forget_lineage : made_now;
	if (b->made != NULL && b->made->lineage == lineage &&
	    b->made->checked)
		return;
	x = record_add(rec->r, b->t->cid);
	x->made = xcalloc(1, sizeof(*x->made));
	x->made->source = xstrdup(rec->in->source->cluster_id);
	x->made->db = xstrdup(b->db->name);
	x->made->coll = xstrdup(b->t->name);
	x->made->cid = xstrdup(b->c->cid);
	x->made->lineage = lineage;
	x->made->checked = b->made != NULL ? b->made->checked :
	    !inv_check_needed(b->t);
	x->made->misplaced = b->made != NULL && b->made->misplaced;
}

/* Records of what is not there any more. */
static void
record_gone(const struct inv_input *in, struct inv_records *r)
{
	const struct structure	*st = in->target->st;
	struct map		 there = MAP_INIT;
	struct map_iter		 it;
	size_t			 i, k;

	if (map_count(&in->target->made) == 0)
		return;
	for (i = 0; i < st->ndbs; i++)
		for (k = 0; k < st->dbs[i].ncolls; k++)
			map_put(&there, st->dbs[i].colls[k].cid, r);
	MAP_FOREACH(&in->target->made, it)
		if (!map_has(&there, it.key))
			(void)record_add(r, it.key);
	map_free(&there, NULL);
}

void
inv_records_make(const struct inv_input *in, struct inv_records *r)
{
	struct recording	 rec = { in, r };

	memset(r, 0, sizeof(*r));
	each(in, record_both, &rec);
	record_gone(in, r);
}

void
inv_records_apply(struct inv_records *r, struct inv_view *target)
{
	size_t		 i;

	for (i = 0; i < r->n; i++) {
		if (r->list[i].made == NULL)
			inv_made_free(map_del(&target->made,
			    r->list[i].target_cid));
		else
			inv_made_free(map_put(&target->made,
			    r->list[i].target_cid, r->list[i].made));
		r->list[i].made = NULL;
	}
}

/* ---- pairs ------------------------------------------------------------- */

struct pairing {
	struct json_object	*pairs;
	size_t			 missing;
};

static void
pair_both(void *arg, const struct both *b)
{
	struct pairing		*p = arg;
	struct json_object	*o;

	if (b->t == NULL || b->made == NULL || !b->made->checked ||
	    strcmp(b->made->cid, b->c->cid) != 0) {
		/* with steps it is counted there */
		p->missing += b->fate == 0;
		return;
	}
	if (b->fate == FATE_DROP || b->made->misplaced ||
	    !structure_one_to_one(b->c, b->t))
		return;
	o = json_object_new_object();
	json_set_string(o, "db", b->db->name);
	json_set_string(o, "coll", b->c->name);
	json_set_string(o, "cid", b->c->cid);
	json_set_string(o, "target_coll", b->t->name);
	json_set_string(o, "target_cid", b->t->cid);
	json_set_int(o, "shards", b->c->shards);
	json_set_bool(o, "lineage", b->made->lineage);
	json_object_array_add(p->pairs, o);
}

struct json_object *
inv_pairs_make(const struct inv_input *in, size_t *missing)
{
	struct pairing	 p = { json_object_new_array(), 0 };

	each(in, pair_both, &p);
	*missing = p.missing;
	return p.pairs;
}

bool
inv_pairs_hit(const struct plan *p, struct json_object *pairs)
{
	struct map		 dropped = MAP_INIT;
	struct json_object	*o;
	char			*key;
	size_t			 i;
	bool			 hit = false;

	for (i = 0; i < p->n; i++) {
		if (p->steps[i].hold != PLAN_GO ||
		    (p->steps[i].kind != PLAN_DROP_COLL &&
		    p->steps[i].kind != PLAN_DROP_DB))
			continue;
		key = xasprintf("%s/%s", p->steps[i].db,
		    p->steps[i].coll != NULL ? p->steps[i].coll : "");
		map_put(&dropped, key, &dropped);
		free(key);
	}
	for (i = 0; pairs != NULL && map_count(&dropped) != 0 && !hit &&
	    i < json_object_array_length(pairs); i++) {
		o = json_object_array_get_idx(pairs, i);
		key = xasprintf("%s/%s", json_string_or(o, "db", ""),
		    json_string_or(o, "target_coll", ""));
		hit = map_has(&dropped, key);
		*(strchr(key, '/') + 1) = '\0';
		hit = hit || map_has(&dropped, key);
		free(key);
	}
	map_free(&dropped, NULL);
	return hit;
}

/* ---- notes ------------------------------------------------------------- */

struct noting {
	struct json_object	*notes;
	struct buf		 names;		/* of what is told together */
	size_t			 n;
};

static void
note_add(struct noting *x, const char *text)
{
	if (json_object_array_length(x->notes) < INV_NOTES_MAX)
		json_object_array_add(x->notes, json_object_new_string(text));
}

static void
name_add(struct noting *x, const char *name)
{
	if (x->n++ < INV_NAMES_SHOWN)
		buf_printf(&x->names, "%s%s", x->n == 1 ? "" : ", ", name);
}

/* "what: a, b, c and 4 more"; nothing when no name was added. */
static void
names_end(struct noting *x, const char *what)
{
	char	*text;

	if (x->n > INV_NAMES_SHOWN)
		buf_printf(&x->names, " and %zu more",
		    x->n - INV_NAMES_SHOWN);
	if (x->n != 0) {
		text = xasprintf("%s: %s", what, buf_cstr(&x->names));
		note_add(x, text);
		free(text);
	}
	buf_reset(&x->names);
	x->n = 0;
}

static void
note_shards(void *arg, const struct both *b)
{
	char	*name;

	if (b->t == NULL || b->fate == FATE_DROP ||
	    (structure_one_to_one(b->c, b->t) && (b->made == NULL ||
	    !b->made->misplaced)))
		return;
	name = xasprintf("%s/%s", b->db->name, b->c->name);
	name_add(arg, name);
	free(name);
}

static void
note_views(struct noting *x, struct json_object *views)
{
	struct json_object	*o;
	size_t			 i;

	if (!json_object_is_type(views, json_type_array))
		return;
	for (i = 0; i < json_object_array_length(views); i++) {
		o = json_object_array_get_idx(views, i);
		if (json_object_is_type(o, json_type_string))
			name_add(x, json_object_get_string(o));
	}
	names_end(x, "views are not replicated");
}

/* By name, not by database: all databases have the same. */
static void
note_system(struct noting *x, const struct structure *st)
{
	const struct structure_coll	*c;
	struct map			 seen = MAP_INIT;
	struct map_iter			 it;
	size_t				 i, k;

	for (i = 0; i < st->ndbs; i++)
		for (k = 0; k < st->dbs[i].ncolls; k++) {
			c = &st->dbs[i].colls[k];
			if (c->kind == STRUCTURE_SYSTEM ||
			    c->kind == STRUCTURE_BACKUP ||
			    c->kind == STRUCTURE_API)
				map_put(&seen, c->name, x);
		}
	MAP_FOREACH(&seen, it)
		name_add(x, it.key);
	names_end(x, "the content of system collections is not replicated");
	map_free(&seen, NULL);
}

/* Drops that are seen only now: what is in their place comes after them. */
static void
note_waiting(struct noting *x, const struct plan *p)
{
	struct buf	 b = BUF_INIT;
	size_t		 i, n = 0;

	for (i = 0; i < p->n; i++) {
		if (p->steps[i].hold != PLAN_UNCONFIRMED ||
		    (p->steps[i].kind != PLAN_DROP_COLL &&
		    p->steps[i].kind != PLAN_DROP_DB) ||
		    n++ >= INV_NAMES_SHOWN)
			continue;
		buf_reset(&b);
		plan_step_sentence(&b, &p->steps[i]);
		note_add(x, buf_cstr(&b));
	}
	if (n > INV_NAMES_SHOWN) {
		buf_reset(&b);
		buf_printf(&b, "%zu more drops wait", n - INV_NAMES_SHOWN);
		note_add(x, buf_cstr(&b));
	}
	buf_free(&b);
}

struct json_object *
inv_notes_make(const struct inv_input *in, struct json_object *views,
    const struct inv_troubles *ts)
{
	struct noting			 x = { json_object_new_array(),
					    BUF_INIT, 0 };
	const struct inv_trouble	*t;
	struct map_iter			 it;
	struct buf			 b = BUF_INIT;
	size_t				 i;

	note_waiting(&x, in->plan);
	note_views(&x, views);
	note_system(&x, in->source);
	each(in, note_shards, &x);
	names_end(&x, "the content of collections whose shards are not those "
	    "of the source one by one is not replicated");
	for (i = 0; i < in->plan->nnotes; i++) {
		buf_reset(&b);
		plan_note_sentence(&b, &in->plan->notes[i]);
		note_add(&x, buf_cstr(&b));
	}
	MAP_FOREACH(&ts->map, it) {
		t = it.value;
		if (!t->refused)
			continue;
		buf_reset(&b);
		buf_printf(&b, "the target refuses to %s: %s", t->what,
		    t->why);
		note_add(&x, buf_cstr(&b));
	}
	buf_free(&b);
	buf_free(&x.names);
	return x.notes;
}
