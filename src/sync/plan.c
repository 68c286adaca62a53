/* plan.c - from two structures to steps; see plan.h */
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/map.h"
#include "json/get.h"
#include "sync/plan.h"
#include "sync/plan_priv.h"

/* ---- what was seen before ----------------------------------------------- */

struct seen {
	uint64_t	 first_ms;
	unsigned int	 turn;
};

struct plan_memory {
	struct map	 seen;		/* what is to be dropped */
	unsigned int	 turn;		/* counts reads */
};

struct plan_memory *
plan_memory_new(void)
{
	return xcalloc(1, sizeof(struct plan_memory));
}

void
plan_memory_free(struct plan_memory **mp)
{
	struct plan_memory	*m = *mp;

	*mp = NULL;
	if (m == NULL)
		return;
	map_free(&m->seen, free);
	free(m);
}

struct planner {
	const struct structure		*source, *target;
	const struct plan_opts		*o;
	struct plan_memory		*mem;
	uint64_t			 now;
	struct plan			*p;
};

/*
 * May this drop go?  Only when every read of at least the last ten seconds
 * wanted it, for the same reason.
 */
static enum plan_hold
confirm(struct planner *pl, const char *db, const char *coll,
    const char *index, const char *because)
{
	struct buf	 key = BUF_INIT;
	struct seen	*s;

	if (pl->mem == NULL)
		return PLAN_GO;
	buf_append(&key, db, strlen(db) + 1);
	buf_append(&key, coll != NULL ? coll : "",
	    coll != NULL ? strlen(coll) + 1 : 1);
	buf_append(&key, index != NULL ? index : "",
	    index != NULL ? strlen(index) + 1 : 1);
	buf_append_str(&key, because);
	s = map_get_n(&pl->mem->seen, key.data, key.len);
	if (s == NULL) {
		s = xcalloc(1, sizeof(*s));
		s->first_ms = pl->now;
		map_put_n(&pl->mem->seen, key.data, key.len, s);
	}
	s->turn = pl->mem->turn;
	buf_free(&key);
	return pl->now >= s->first_ms + PLAN_CONFIRM_MS ? PLAN_GO :
	    PLAN_UNCONFIRMED;
}

/* What this read did not want any more begins anew when it comes again. */
static void
forget_unseen(struct plan_memory *mem)
{
	struct map_iter	 it;
	struct seen	*s;

	if (mem == NULL)
		return;
	MAP_FOREACH(&mem->seen, it) {
		s = it.value;
		if (s->turn != mem->turn)
			free(map_del_n(&mem->seen, it.key, it.key_len));
	}
}

/* ---- steps -------------------------------------------------------------- */

static struct plan_step *
step_add(struct planner *pl, enum plan_kind kind, const char *db,
    const char *coll)
{
	struct plan_step	*s;

	if ((pl->p->n & (pl->p->n - 1)) == 0)
		pl->p->steps = xrealloc(pl->p->steps,
		    MAX((size_t)1, pl->p->n * 2) * sizeof(*s));
	s = &pl->p->steps[pl->p->n++];
	memset(s, 0, sizeof(*s));
	s->kind = kind;
	s->hold = PLAN_GO;
	s->db = xstrdup(db);
	s->coll = coll != NULL ? xstrdup(coll) : NULL;
	return s;
}

static bool
wanted(const struct planner *pl, const char *db, const char *coll)
{
	return pl->o->wanted == NULL || pl->o->wanted(pl->o->arg, db, coll);
}

/* ---- collections that go ------------------------------------------------ */

/* One collection of the target that is dropped, to be made again or not. */
struct victim {
	const struct structure_coll	*t;
	const struct structure_coll	*again;	/* the source's, or NULL */
	char				*why;
	enum plan_hold			 hold;
};

struct victims {
	struct victim	*list;
	size_t		 n;
	struct map	 by;		/* name -> its place + 1, as a pointer */
};

static struct victim *
victim_find(const struct victims *vs, const char *name)
{
	uintptr_t	 at = (uintptr_t)map_get(&vs->by, name);

	return at == 0 ? NULL : &vs->list[at - 1];
}

/* A database at both ends, with what belongs to it. */
struct pair {
	const struct structure_db	*s, *t;		/* t NULL: to be made */
	struct map			 s_by, t_by;	/* collections by name */
	struct victims			 vs;
};

static void
pair_names(struct pair *pr)
{
	const struct structure_coll	*c, *old;
	size_t				 i;

	/* a pending one may have the name of one that is there */
	for (i = 0; i < pr->s->ncolls; i++) {
		c = &pr->s->colls[i];
		old = map_get(&pr->s_by, c->name);
		if (old == NULL || old->pending)
			map_put(&pr->s_by, c->name, &pr->s->colls[i]);
	}
	for (i = 0; pr->t != NULL && i < pr->t->ncolls; i++)
		if (!map_has(&pr->t_by, pr->t->colls[i].name))
			map_put(&pr->t_by, pr->t->colls[i].name,
			    &pr->t->colls[i]);
}

/* Takes why. */
static void
victim_add(struct planner *pl, struct victims *vs, const char *db,
    const struct structure_coll *t, const struct structure_coll *again,
    char *why, const char *key)
{
	struct victim	*v;

	vs->list = xrealloc(vs->list, (vs->n + 1) * sizeof(*v));
	v = &vs->list[vs->n++];
	map_put(&vs->by, t->name, (void *)(uintptr_t)vs->n);
	v->t = t;
	v->again = again;
	v->why = why;
	v->hold = confirm(pl, db, t->name, NULL, key);
}

static char *
other_incarnation(struct planner *pl, const char *db,
    const struct structure_coll *c)
{
	const char	*from;

	if (pl->o->made_from == NULL)
		return NULL;
	from = pl->o->made_from(pl->o->arg, db, c->target_name);
	if (from == NULL || strcmp(from, c->cid) == 0)
		return NULL;
	return xasprintf("it was dropped and made again at the source "
	    "(%s, was %s)", c->cid, from);
}

/*
 * Collections of the system are the target's own affair: a newer version may
 * have some that the source has not.
 */
static bool
may_drop(struct planner *pl, const char *db, const struct structure_coll *t)
{
	if (t->kind != STRUCTURE_DATA || t->pending ||
	    !wanted(pl, db, t->name))
		return false;
	if (!t->system && *t->name != '_')
		return true;
	return pl->o->made_from != NULL &&
	    pl->o->made_from(pl->o->arg, db, t->name) != NULL;
}

static void
find_victims(struct planner *pl, struct pair *pr)
{
	const struct structure_db	*tdb = pr->t;
	struct victims			*vs = &pr->vs;
	const struct structure_coll	*c, *t;
	struct plan_want		 w;
	char				*why;
	size_t				 i;

	for (i = 0; i < tdb->ncolls; i++) {
		t = &tdb->colls[i];
		c = map_get(&pr->s_by, t->name);
		if (c == NULL) {
			if (may_drop(pl, tdb->name, t))
				victim_add(pl, vs, tdb->name, t, NULL,
				    xstrdup("it is not at the source"),
				    "gone");
			continue;
		}
		if (c->kind != STRUCTURE_DATA || t->kind != STRUCTURE_DATA ||
		    c->pending || t->pending ||
		    !wanted(pl, tdb->name, t->name) ||
		    plan_want(&w, c, tdb->name, pl->o, NULL) != 0)
			continue;
		if ((why = other_incarnation(pl, tdb->name, c)) == NULL)
			why = plan_must_recreate(&w, c, t);
		plan_want_free(&w);
		if (why != NULL)
			victim_add(pl, vs, tdb->name, t, c, why, c->cid);
	}
}

/*
 * A prototype cannot be dropped while others are sharded like it (1485): they
 * go with it and come again.  One of them that has to wait makes all wait.
 */
static void
follow_prototypes(struct planner *pl, struct pair *pr)
{
	const struct structure_db	*tdb = pr->t;
	struct victims			*vs = &pr->vs;
	const struct structure_coll	*t, *c;
	struct victim			*proto, *v;
	size_t				 i;

	for (i = 0; i < tdb->ncolls; i++) {
		t = &tdb->colls[i];
		if (t->like == NULL || t->kind != STRUCTURE_DATA ||
		    victim_find(vs, t->name) != NULL ||
		    (proto = victim_find(vs, t->like)) == NULL)
			continue;
		c = map_get(&pr->s_by, t->name);
		if (c == NULL || c->pending ||
		    !wanted(pl, tdb->name, t->name))
			proto->hold = PLAN_UNCONFIRMED;
		else
			victim_add(pl, vs, tdb->name, t, c, xasprintf(
			    "%s, which it is sharded like, is dropped",
			    t->like), "proto");
	}
	for (i = 0; i < vs->n; i++) {
		v = &vs->list[i];
		proto = v->t->like != NULL ? victim_find(vs, v->t->like) :
		    NULL;
		if (proto != NULL && v->hold != PLAN_GO)
			proto->hold = v->hold;
	}
	/* and those that hang on a prototype that waits */
	for (i = 0; i < vs->n; i++) {
		v = &vs->list[i];
		proto = v->t->like != NULL ? victim_find(vs, v->t->like) :
		    NULL;
		if (proto != NULL && proto->hold != PLAN_GO &&
		    v->again != NULL)
			v->hold = proto->hold;
	}
}

/* In the reverse of the order in which they are made. */
static void
drop_victims(struct planner *pl, const char *db, const struct victims *vs,
    const struct structure_db *tdb)
{
	const struct victim	*v;
	struct plan_step	*s;
	size_t			 i;

	for (i = tdb->ncolls; i-- > 0; ) {
		v = victim_find(vs, tdb->colls[i].name);
		if (v == NULL || v->t != &tdb->colls[i])
			continue;
		s = step_add(pl, PLAN_DROP_COLL, db, v->t->name);
		s->hold = v->hold;
		s->why = xstrdup(v->why);
		pl->p->drops++;
	}
}

static void
victims_free(struct victims *vs)
{
	size_t		 i;

	for (i = 0; i < vs->n; i++)
		free(vs->list[i].why);
	free(vs->list);
	map_free(&vs->by, NULL);
}

/* ---- indexes ------------------------------------------------------------ */

static const char *
index_refusal(const struct structure_index *x, const struct plan_opts *o)
{
	static const struct {
		const char	*type;
		int		 version;
		const char	*text;
	} needs[] = {
		{ "zkd", 30900, "zkd indexes need version 3.9" },
		{ "inverted", 31000, "inverted indexes need version 3.10" },
		{ "mdi", 31200, "mdi indexes need version 3.12" },
		{ "mdi-prefixed", 31200,
		    "mdi-prefixed indexes need version 3.12" },
		{ "vector", 31204, "vector indexes need version 3.12.4" }
	};
	const char	*type = json_string_or(x->def, "type", "");
	size_t		 i;

	for (i = 0; i < NITEMS(needs); i++)
		if (strcmp(needs[i].type, type) == 0 && o->version != 0 &&
		    o->version < needs[i].version)
			return needs[i].text;
	if (o->version != 0 && o->version < 31000 &&
	    json_object_object_get_ex(x->def, "storedValues", NULL))
		return "storedValues need version 3.10";
	return NULL;
}

/* The target's index that stands for this one; `used` marks those taken. */
static size_t
index_match(const struct structure_coll *t, const struct structure_index *x,
    const bool *used, bool by_name)
{
	size_t		 i;

	for (i = 0; i < t->nindexes; i++) {
		if (used[i] || strcmp(t->indexes[i].text, x->text) != 0)
			continue;
		if (!by_name || strcmp(t->indexes[i].name, x->name) == 0)
			return i;
	}
	return SIZE_MAX;
}

static void
index_drop(struct planner *pl, const char *db, const struct structure_coll *t,
    const struct structure_index *x, const char *why, bool replaced)
{
	struct plan_step	*s;

	s = step_add(pl, PLAN_DROP_INDEX, db, t->name);
	s->index = xstrdup(x->name);
	s->why = xstrdup(why);
	/* its place is needed: nothing is lost that does not come back */
	s->hold = replaced ? PLAN_GO : confirm(pl, db, t->name, x->name,
	    x->text);
}

/* arangod would take the new one for the old: same definition or name. */
static bool
index_in_the_way(const struct structure_coll *c, const bool *have,
    const struct structure_index *old)
{
	size_t		 i;

	for (i = 0; i < c->nindexes; i++)
		if (!have[i] && (strcmp(c->indexes[i].name, old->name) == 0 ||
		    strcmp(c->indexes[i].text, old->text) == 0))
			return true;
	return false;
}

/*
 * t NULL: a new collection.  System collections have indexes that each cluster
 * makes under a name of its own: those are compared by definition, and none is
 * dropped.
 */
static void
plan_indexes(struct planner *pl, const char *db,
    const struct structure_coll *c, const struct structure_coll *t,
    bool drops)
{
	bool			*have, *used;
	struct plan_step	*s;
	const char		*no;
	size_t			 i, k;
	bool			 by_name = c->kind == STRUCTURE_DATA;

	have = xcalloc(c->nindexes + 1, sizeof(*have));
	used = xcalloc(t != NULL ? t->nindexes + 1 : 1, sizeof(*used));
	for (i = 0; t != NULL && i < c->nindexes; i++) {
		k = index_match(t, &c->indexes[i], used, by_name);
		if (k != SIZE_MAX)
			have[i] = used[k] = true;
	}
	for (i = 0; t != NULL && by_name && drops && i < t->nindexes; i++) {
		if (used[i])
			continue;
		if (index_in_the_way(c, have, &t->indexes[i]))
			index_drop(pl, db, t, &t->indexes[i],
			    "it differs from the source's", true);
		else if (!c->index_pending)
			index_drop(pl, db, t, &t->indexes[i],
			    "it is not at the source", false);
	}
	for (i = 0; !drops && i < c->nindexes; i++) {
		if (have[i])
			continue;
		no = index_refusal(&c->indexes[i], pl->o);
		if (no != NULL) {
			plan_note(pl->p, true, db, c->target_name,
			    c->indexes[i].name, no);
			continue;
		}
		s = step_add(pl, PLAN_CREATE_INDEX, db, c->target_name);
		s->index = xstrdup(c->indexes[i].name);
		s->def = json_copy(c->indexes[i].def);
		if (!by_name && c->indexes[i].auto_name)
			json_object_object_del(s->def, "name");
	}
	free(have);
	free(used);
}

/* ---- collections that come or change ------------------------------------ */

static void
make_coll(struct planner *pl, const char *db, const struct structure_coll *c,
    const struct victim *v)
{
	struct plan_step	*s;
	struct json_object	*body;
	size_t			 first = pl->p->n;

	if ((body = plan_coll_body(c, db, pl->o, pl->p)) == NULL)
		return;
	s = step_add(pl, PLAN_CREATE_COLL, db, c->target_name);
	s->def = body;
	s->cid = xstrdup(c->cid);
	s->like = c->like != NULL ? xstrdup(c->like) : NULL;
	plan_indexes(pl, db, c, NULL, false);
	for (; v != NULL && first < pl->p->n; first++)
		pl->p->steps[first].hold = v->hold;
}

static void
change_coll(struct planner *pl, const char *db,
    const struct structure_coll *c, const struct structure_coll *t)
{
	struct plan_want	 w;
	struct plan_step	*s;
	struct json_object	*body;
	char			*why = NULL;

	if (plan_want(&w, c, db, pl->o, pl->p) != 0)
		return;
	if ((body = plan_changes(&w, c, t, &why)) != NULL) {
		s = step_add(pl, PLAN_CHANGE_COLL, db, t->name);
		s->def = body;
		s->why = why;
		s->cid = xstrdup(c->cid);
	}
	plan_want_free(&w);
	plan_indexes(pl, db, c, t, false);
}

static void
plan_coll(struct planner *pl, const struct pair *pr,
    const struct structure_coll *c)
{
	const char			*db = pr->s->name;
	const struct victims		*vs = &pr->vs;
	const struct structure_coll	*t;

	if (c->pending || !wanted(pl, db, c->name))
		return;
	t = map_get(&pr->t_by, c->target_name);
	if (t != NULL && t->pending)
		return;
	switch (c->kind) {
	case STRUCTURE_DATA:
		if (t == NULL || victim_find(vs, t->name) != NULL)
			make_coll(pl, db, c, t != NULL ?
			    victim_find(vs, t->name) : NULL);
		else
			change_coll(pl, db, c, t);
		return;
	case STRUCTURE_BACKUP:
		if (t == NULL)
			make_coll(pl, db, c, NULL);
		else
			plan_indexes(pl, db, c, t, false);
		return;
	case STRUCTURE_SYSTEM:
		if (t != NULL)
			plan_indexes(pl, db, c, t, false);
		return;
	default:
		return;
	}
}

/* ---- databases ---------------------------------------------------------- */

static void
create_db(struct planner *pl, const struct structure_db *sdb)
{
	struct plan_step	*s;
	int64_t			 rf, max = pl->o->dbservers;

	s = step_add(pl, PLAN_CREATE_DB, sdb->name, NULL);
	s->def = json_copy(sdb->options);
	if (pl->o->max_rf != 0 && (max == 0 || pl->o->max_rf < max))
		max = pl->o->max_rf;
	rf = json_int_or(s->def, "replicationFactor", 0);
	if (max != 0 && rf > max)
		json_set_int(s->def, "replicationFactor", max);
	if (max != 0 && json_int_or(s->def, "writeConcern", 0) > max)
		json_set_int(s->def, "writeConcern", max);
	if (pl->o->community && strcmp(json_string_or(s->def,
	    "replicationFactor", ""), "satellite") == 0)
		json_object_object_del(s->def, "replicationFactor");
}

static bool
db_takes_part(struct planner *pl, const struct structure_db *db)
{
	if (db->pending || !wanted(pl, db->name, NULL))
		return false;
	if (!db->replication2)
		return true;
	plan_note(pl->p, true, db->name, NULL, NULL,
	    "it uses the experimental replication version 2");
	return false;
}

/* Indexes and collections that go, of all databases, before anything comes. */
static void
pass_drops(struct planner *pl, struct pair *pr)
{
	const struct structure_coll	*c, *t;
	size_t				 i;

	if (pr->t == NULL)
		return;
	find_victims(pl, pr);
	follow_prototypes(pl, pr);
	for (i = 0; i < pr->s->ncolls; i++) {
		c = &pr->s->colls[i];
		if (c->kind != STRUCTURE_DATA || c->pending ||
		    !wanted(pl, pr->s->name, c->name))
			continue;
		t = map_get(&pr->t_by, c->target_name);
		if (t != NULL && !t->pending && t->kind == STRUCTURE_DATA &&
		    victim_find(&pr->vs, t->name) == NULL)
			plan_indexes(pl, pr->s->name, c, t, true);
	}
	drop_victims(pl, pr->s->name, &pr->vs, pr->t);
}

static void
pass_creates(struct planner *pl, struct pair *pr)
{
	size_t		 i;

	if (pr->t == NULL && strcmp(pr->s->name, "_system") != 0)
		create_db(pl, pr->s);
	else if (pr->t != NULL && strcmp(
	    json_string_or(pr->s->options, "sharding", ""),
	    json_string_or(pr->t->options, "sharding", "")) != 0)
		plan_note(pl->p, false, pr->s->name, NULL, NULL,
		    "its sharding (single or not) differs, which cannot be "
		    "changed");
	for (i = 0; i < pr->s->ncolls; i++)
		plan_coll(pl, pr, &pr->s->colls[i]);
}

static void
pass_drop_dbs(struct planner *pl)
{
	const struct structure_db	*t;
	struct plan_step		*s;
	size_t				 i, k;

	for (i = 0; i < pl->target->ndbs; i++) {
		t = &pl->target->dbs[i];
		if (structure_db(pl->source, t->name) != NULL || t->pending ||
		    strcmp(t->name, "_system") == 0 ||
		    !wanted(pl, t->name, NULL))
			continue;
		s = step_add(pl, PLAN_DROP_DB, t->name, NULL);
		s->why = xstrdup("it is not at the source");
		s->hold = confirm(pl, t->name, NULL, NULL, "gone");
		for (k = 0; k < t->ncolls; k++)
			pl->p->drops += t->colls[k].kind == STRUCTURE_DATA &&
			    !t->colls[k].system;
	}
}

/* ---- the whole ---------------------------------------------------------- */

static size_t
count_data(const struct structure *st)
{
	size_t		 i, k, n = 0;

	for (i = 0; i < st->ndbs; i++)
		for (k = 0; k < st->dbs[i].ncolls; k++)
			n += st->dbs[i].colls[k].kind == STRUCTURE_DATA &&
			    !st->dbs[i].colls[k].system;
	return n;
}

/*
 * A source that shows almost nothing is rather broken than empty (R19).  What
 * stays held: all drops, and what is made in their place.
 */
static void
guard(struct planner *pl)
{
	struct plan	*p = pl->p;
	struct map	 dropped = MAP_INIT;
	char		*key;
	size_t		 i;

	if (p->drops <= PLAN_MASS_DROP_MIN ||
	    p->drops * 2 <= count_data(pl->target) || pl->o->first ||
	    pl->o->allow_mass_drop)
		return;
	p->guarded = true;
	for (i = 0; i < p->n; i++) {
		key = xasprintf("%s/%s", p->steps[i].db,
		    p->steps[i].coll != NULL ? p->steps[i].coll : "");
		if (p->steps[i].kind == PLAN_DROP_COLL)
			map_put(&dropped, key, p);
		if (p->steps[i].kind == PLAN_DROP_DB ||
		    (p->steps[i].kind != PLAN_DROP_INDEX &&
		    map_has(&dropped, key)))
			p->steps[i].hold = PLAN_MASS_DROP;
		free(key);
	}
	map_free(&dropped, NULL);
}

static void
make_steps(struct planner *pl)
{
	struct pair	*pairs = xcalloc(pl->source->ndbs + 1,
			    sizeof(*pairs));
	size_t		 i, n = 0;

	for (i = 0; i < pl->source->ndbs; i++) {
		if (!db_takes_part(pl, &pl->source->dbs[i]))
			continue;
		pairs[n].s = &pl->source->dbs[i];
		pairs[n].t = structure_db(pl->target, pairs[n].s->name);
		if (pairs[n].t == NULL || !pairs[n].t->pending)
			pair_names(&pairs[n++]);
	}
	for (i = 0; i < n; i++)
		pass_drops(pl, &pairs[i]);
	for (i = 0; i < n; i++)
		pass_creates(pl, &pairs[i]);
	pass_drop_dbs(pl);
	for (i = 0; i < n; i++) {
		victims_free(&pairs[i].vs);
		map_free(&pairs[i].s_by, NULL);
		map_free(&pairs[i].t_by, NULL);
	}
	free(pairs);
	guard(pl);
	for (i = 0; i < pl->p->n; i++)
		pl->p->waits = pl->p->waits ||
		    pl->p->steps[i].hold == PLAN_UNCONFIRMED;
}

int
plan_make(const struct structure *source, const struct structure *target,
    const struct plan_opts *o, struct plan_memory *mem,
    uint64_t source_read_ms, struct plan **plan, struct err_msg *m)
{
	struct planner	 pl = { source, target, o, mem, source_read_ms, NULL };

	if (o->pinned_cluster != NULL &&
	    strcmp(o->pinned_cluster, source->cluster_id) != 0)
		return err_set(m, ERR_DENIED, "the source is cluster %s, not "
		    "%s as configured; nothing is changed",
		    *source->cluster_id != '\0' ? source->cluster_id :
		    "(unknown)", o->pinned_cluster);
	if (*source->cluster_id != '\0' &&
	    strcmp(source->cluster_id, target->cluster_id) == 0)
		return err_set(m, ERR_DENIED, "source and target are the same "
		    "cluster %s", source->cluster_id);
	if (mem != NULL)
		mem->turn++;
	pl.p = xcalloc(1, sizeof(*pl.p));
	make_steps(&pl);
	forget_unseen(mem);
	*plan = pl.p;
	return 0;
}
