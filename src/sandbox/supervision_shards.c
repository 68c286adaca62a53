/*
 * supervision_shards.c - shards of dead DB-servers get other leaders, and
 * missing or surplus copies are added or dropped.
 *
 * Who may become leader: a server that has every acknowledged write.  That is
 * one that stands in Current/.../servers while the leader named there is the
 * one of the Plan; when the Plan has gone ahead (the next leader died before
 * it reported), only the leader that Current still names, for it alone cannot
 * have missed anything.  A shard without such a server waits.
 *
 * Facts: FailedLeader.cpp, AddFollower.cpp, RemoveFollower.cpp, Job.cpp.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "json/get.h"
#include "sandbox/supervision_priv.h"

#define PLAN		"/arango/Plan/Collections"
#define CURRENT		"/arango/Current/Collections"
/* All shards are looked at when Plan or Current changed, and this often. */
#define LOOK_MS		5000

/* ---- lists -------------------------------------------------------------- */

const char *
sv_list_id(struct json_object *list, size_t i)
{
	struct json_object	*o;
	const char		*id;

	if (!json_object_is_type(list, json_type_array) ||
	    i >= json_object_array_length(list))
		return NULL;
	o = json_object_array_get_idx(list, i);
	if (!json_object_is_type(o, json_type_string))
		return "";
	id = json_object_get_string(o);
	return *id == '_' ? id + 1 : id;
}

bool
sv_list_has(struct json_object *list, const char *id)
{
	const char	*other;
	size_t		 i;

	for (i = 0; (other = sv_list_id(list, i)) != NULL; i++)
		if (strcmp(other, id) == 0)
			return true;
	return false;
}

static bool
first_is_marked(struct json_object *list)
{
	struct json_object	*o;

	o = json_object_is_type(list, json_type_array) ?
	    json_object_array_get_idx(list, 0) : NULL;
	return json_object_is_type(o, json_type_string) &&
	    json_object_get_string(o)[0] == '_';
}

/* ---- groups ------------------------------------------------------------- */

static int
shard_compare(const void *a, const void *b)
{
	const char	*x = *(const char *const *)a;
	const char	*y = *(const char *const *)b;
	uint64_t	 m = 0, n = 0;

	(void)str_to_u64(x + (*x != '\0'), &m);
	(void)str_to_u64(y + (*y != '\0'), &n);
	return m != n ? (m < n ? -1 : 1) : strcmp(x, y);
}

static void
group_add(struct sv_group *g, const char *cid, struct json_object *def)
{
	struct json_object	*shards;
	struct sv_member	*m;

	g->m = xrealloc(g->m, (g->n + 1) * sizeof(*g->m));
	m = &g->m[g->n++];
	memset(m, 0, sizeof(*m));
	m->cid = xstrdup(cid);
	m->def = json_object_get(def);
	shards = json_object_object_get(def, "shards");
	if (!json_object_is_type(shards, json_type_object))
		return;
	m->shards = xcalloc((size_t)json_object_object_length(shards) + 1,
	    sizeof(*m->shards));
	json_object_object_foreach(shards, name, list) {
		(void)list;
		m->shards[m->nshards++] = xstrdup(name);
	}
	qsort(m->shards, m->nshards, sizeof(*m->shards), shard_compare);
}

void
sv_group_free(struct sv_group **gp)
{
	struct sv_group	*g = *gp;
	size_t		 i, k;

	if (g == NULL)
		return;
	*gp = NULL;
	for (i = 0; i < g->n; i++) {
		for (k = 0; k < g->m[i].nshards; k++)
			free(g->m[i].shards[k]);
		free(g->m[i].shards);
		free(g->m[i].cid);
		json_object_put(g->m[i].def);
	}
	free(g->m);
	free(g->db);
	free(g);
}

/* The cid that a definition is distributed like; NULL: it stands alone. */
static const char *
prototype_of(struct json_object *def)
{
	struct json_object	*o;

	o = json_object_is_type(def, json_type_object) ?
	    json_object_object_get(def, "distributeShardsLike") : NULL;
	return json_object_is_type(o, json_type_string) ||
	    json_object_is_type(o, json_type_int) ?
	    json_object_get_string(o) : NULL;
}

static struct sv_group *
group_new(const char *db)
{
	struct sv_group	*g = xcalloc(1, sizeof(*g));

	g->db = xstrdup(db);
	return g;
}

/* The cid of a collection by cid or name. */
static const char *
find_cid(struct json_object *cols, const char *collection)
{
	if (json_object_object_get_ex(cols, collection, NULL))
		return collection;
	json_object_object_foreach(cols, cid, def) {
		if (strcmp(json_string_or(def, "name", ""), collection) == 0)
			return cid;
	}
	return NULL;
}

struct sv_group *
sv_group_of(struct supervision *s, const char *db, const char *collection)
{
	struct json_object	*cols, *def;
	struct sv_group		*g;
	const char		*cid, *proto;

	cols = sv_get(s, PLAN "/%s", db);
	if (!json_object_is_type(cols, json_type_object) ||
	    (cid = find_cid(cols, collection)) == NULL)
		return NULL;
	def = json_object_object_get(cols, cid);
	proto = prototype_of(def);
	if (proto != NULL && json_object_object_get_ex(cols, proto, &def))
		cid = proto;
	if (!json_object_is_type(def, json_type_object))
		return NULL;
	g = group_new(db);
	group_add(g, cid, def);
	json_object_object_foreach(cols, other, odef) {
		proto = prototype_of(odef);
		if (proto != NULL && strcmp(proto, g->m[0].cid) == 0)
			group_add(g, other, odef);
	}
	return g;
}

/* All groups of all databases; "db/cid" of the prototype -> group. */
static void
groups_build(struct supervision *s, struct map *groups)
{
	struct json_object	*dbs = sv_get(s, PLAN);
	struct sv_group		*g;
	const char		*proto;
	char			*key;
	int			 pass;

	if (!json_object_is_type(dbs, json_type_object))
		return;
	/* Prototypes first. */
	for (pass = 0; pass < 2; pass++) {
		json_object_object_foreach(dbs, db, cols) {
			if (!json_object_is_type(cols, json_type_object))
				continue;
			json_object_object_foreach(cols, cid, def) {
				if (!json_object_is_type(def,
				    json_type_object))
					continue;
				proto = prototype_of(def);
				if (proto != NULL && !json_object_object_get_ex(
				    cols, proto, NULL))
					proto = NULL;	/* it is gone */
				if ((proto != NULL) != (pass == 1))
					continue;
				key = xasprintf("%s/%s", db,
				    proto == NULL ? cid : proto);
				if ((g = map_get(groups, key)) == NULL) {
					g = group_new(db);
					(void)map_put(groups, key, g);
				}
				free(key);
				group_add(g, cid, def);
			}
		}
	}
}

static void
group_free_value(void *arg)
{
	struct sv_group	*g = arg;

	sv_group_free(&g);
}

size_t
sv_group_factor(struct supervision *s, const struct sv_group *g)
{
	struct json_object	*rf, *servers;
	int64_t			 n = 1;

	rf = json_object_object_get(g->m[0].def, "replicationFactor");
	if (json_object_is_type(rf, json_type_int))
		n = json_object_get_int64(rf);
	else if (json_object_is_type(rf, json_type_string))
		n = 0;			/* satellite: everywhere */
	if (n > 0)
		return (size_t)n;
	servers = sv_get(s, "/arango/Plan/DBServers");
	return json_object_is_type(servers, json_type_object) ?
	    (size_t)json_object_object_length(servers) : 1;
}

struct json_object *
sv_plan(struct supervision *s, const struct sv_group *g, size_t member,
    size_t index)
{
	const struct sv_member	*m = &g->m[member];

	return index >= m->nshards ? NULL : sv_get(s, PLAN "/%s/%s/shards/%s",
	    g->db, m->cid, m->shards[index]);
}

struct json_object *
sv_current(struct supervision *s, const struct sv_group *g, size_t member,
    size_t index)
{
	const struct sv_member	*m = &g->m[member];

	return index >= m->nshards ? NULL : sv_get(s, CURRENT
	    "/%s/%s/%s/servers", g->db, m->cid, m->shards[index]);
}

bool
sv_is_in_sync(struct supervision *s, const struct sv_group *g, size_t index,
    const char *id)
{
	size_t	i;

	for (i = 0; i < g->n; i++)
		if (index < g->m[i].nshards &&
		    !sv_list_has(sv_current(s, g, i, index), id))
			return false;
	return true;
}

bool
sv_leads(struct supervision *s, const struct sv_group *g, size_t index,
    const char *id)
{
	struct json_object	*cur;
	const char		*leader;
	size_t			 i;

	for (i = 0; i < g->n; i++) {
		if (index >= g->m[i].nshards)
			continue;
		cur = sv_current(s, g, i, index);
		leader = sv_list_id(cur, 0);
		if (leader == NULL || strcmp(leader, id) != 0 ||
		    first_is_marked(cur))
			return false;
	}
	return true;
}

void
sv_edit_plan(struct supervision *s, struct agency_trx *t,
    const struct sv_group *g, size_t index, sv_edit *edit, const void *arg)
{
	struct json_object	*old, *list;
	bool			 any = false;
	size_t			 i;

	for (i = 0; i < g->n; i++) {
		old = sv_plan(s, g, i, index);
		if (!json_object_is_type(old, json_type_array) ||
		    (list = edit(old, arg)) == NULL)
			continue;
		agency_if_old(t, json_object_get(old), PLAN "/%s/%s/shards/%s",
		    g->db, g->m[i].cid, g->m[i].shards[index]);
		agency_set(t, list, PLAN "/%s/%s/shards/%s", g->db,
		    g->m[i].cid, g->m[i].shards[index]);
		any = true;
	}
	if (any)
		agency_increment(t, 1, "/arango/Plan/Version");
}

bool
sv_is_locked(struct supervision *s, const struct sv_group *g, size_t index)
{
	size_t	i;

	for (i = 0; i < g->n; i++)
		if (index < g->m[i].nshards && sv_get(s,
		    "/arango/Supervision/Shards/%s",
		    g->m[i].shards[index]) != NULL)
			return true;
	return false;
}

/* ---- a dead leader ------------------------------------------------------ */

static bool
has_dead_leader(struct supervision *s, const struct sv_group *g, size_t index)
{
	const char	*leader;
	size_t		 i;

	for (i = 0; i < g->n; i++) {
		leader = sv_list_id(sv_plan(s, g, i, index), 0);
		if (leader != NULL && sv_is_failed(s, leader))
			return true;
	}
	return false;
}

/* Has the server everything that was acknowledged in this shard? */
static bool
has_everything(struct supervision *s, const struct sv_group *g, size_t member,
    size_t index, const char *id)
{
	struct json_object	*cur = sv_current(s, g, member, index);
	const char		*now, *planned;

	if ((now = sv_list_id(cur, 0)) == NULL)
		return true;		/* there was nothing yet */
	planned = sv_list_id(sv_plan(s, g, member, index), 0);
	if (planned != NULL && strcmp(now, planned) == 0)
		return sv_list_has(cur, id);
	return strcmp(now, id) == 0;
}

static bool
can_lead(struct supervision *s, const struct sv_group *g, size_t index,
    const char *id)
{
	size_t	i;

	if (!sv_is_good(s, id) || sv_is_failed(s, id))
		return false;
	for (i = 0; i < g->n; i++)
		if (index < g->m[i].nshards &&
		    !has_everything(s, g, i, index, id))
			return false;
	return true;
}

static const char *
next_leader(struct supervision *s, const struct sv_group *g, size_t index)
{
	struct json_object	*lists[2];
	const char		*id;
	size_t			 i, k;

	lists[0] = sv_plan(s, g, 0, index);
	lists[1] = sv_current(s, g, 0, index);
	for (k = 0; k < NITEMS(lists); k++)
		for (i = 0; (id = sv_list_id(lists[k], i)) != NULL; i++)
			if (can_lead(s, g, index, id))
				return id;
	return NULL;
}

/* [new, the others, old leader] */
static struct json_object *
edit_failover(struct json_object *old, const void *arg)
{
	struct json_object	*list = json_object_new_array();
	const char		*next = arg, *first = sv_list_id(old, 0), *id;
	size_t			 i;

	json_object_array_add(list, json_object_new_string(next));
	for (i = 1; (id = sv_list_id(old, i)) != NULL; i++)
		if (strcmp(id, next) != 0)
			json_object_array_add(list,
			    json_object_new_string(id));
	if (first != NULL && strcmp(first, next) != 0)
		json_object_array_add(list, json_object_new_string(first));
	return list;
}

static void
fail_over(struct supervision *s, const struct sv_group *g, size_t index)
{
	struct agency_trx	 t;
	char			*next;
	const char		*id;

	if (!has_dead_leader(s, g, index) ||
	    (id = next_leader(s, g, index)) == NULL)
		return;
	next = xstrdup(id);
	agency_trx_init(&t);
	sv_edit_plan(s, &t, g, index, edit_failover, next);
	if (sv_commit(s, &t) == 0)
		log_notice("supervision: shard %s/%s: its leader is dead, %s "
		    "is to lead", g->db, g->m[0].shards[index], next);
	free(next);
}

/* ---- number of copies --------------------------------------------------- */

static bool
is_long_gone(struct supervision *s, const char *id)
{
	struct sv_server	*v = map_get(&s->servers, id);

	return v == NULL || (v->status == SV_FAILED &&
	    s->now_ms - v->failed_ms > s->times.replace_ms);
}

static bool
is_listed(struct supervision *s, const char *list, const char *id)
{
	return sv_list_has(sv_get(s, "/arango/Target/%s", list), id);
}

/* The server with the fewest shards that has none of this index; or NULL. */
static struct sv_server *
free_server(struct supervision *s, const struct sv_group *g, size_t index)
{
	struct sv_server	*v, *best = NULL;
	struct map_iter		 it;
	size_t			 i;

	MAP_FOREACH(&s->servers, it) {
		v = it.value;
		if (!v->is_dbserver || v->status != SV_GOOD ||
		    is_listed(s, "CleanedServers", v->id) ||
		    is_listed(s, "ToBeCleanedServers", v->id))
			continue;
		for (i = 0; i < g->n; i++)
			if (sv_list_has(sv_plan(s, g, i, index), v->id))
				break;
		if (i == g->n && (best == NULL || v->shards < best->shards))
			best = v;
	}
	return best;
}

static struct json_object *
edit_add(struct json_object *old, const void *arg)
{
	struct json_object	*list;

	if (sv_list_has(old, arg))
		return NULL;
	list = json_copy(old);
	json_object_array_add(list, json_object_new_string(arg));
	return list;
}

static struct json_object *
edit_remove(struct json_object *old, const void *arg)
{
	struct json_object	*list, *o;
	const char		*id;
	size_t			 i;

	if (!sv_list_has(old, arg))
		return NULL;
	list = json_object_new_array();
	for (i = 0; (id = sv_list_id(old, i)) != NULL; i++) {
		o = json_object_array_get_idx(old, i);
		if (strcmp(id, arg) != 0)
			json_object_array_add(list, json_object_get(o));
	}
	return list;
}

static void
add_copy(struct supervision *s, const struct sv_group *g, size_t index)
{
	struct sv_server	*v = free_server(s, g, index);
	struct agency_trx	 t;

	if (v == NULL)
		return;
	agency_trx_init(&t);
	sv_edit_plan(s, &t, g, index, edit_add, v->id);
	if (sv_commit(s, &t) != 0)
		return;
	v->shards += g->n;
	log_notice("supervision: shard %s/%s: %s is a new follower", g->db,
	    g->m[0].shards[index], v->id);
}

/* Whom to take from a list that is too long: the last failed one, else the
 * last that is not in sync, else the last.  Never the leader. */
static const char *
surplus(struct supervision *s, const struct sv_group *g, size_t index,
    struct json_object *list)
{
	const char	*id, *failed = NULL, *behind = NULL, *last = NULL;
	size_t		 i;

	for (i = 1; (id = sv_list_id(list, i)) != NULL; i++) {
		last = id;
		if (sv_is_failed(s, id))
			failed = id;
		else if (!sv_is_in_sync(s, g, index, id))
			behind = id;
	}
	return failed != NULL ? failed : behind != NULL ? behind : last;
}

static void
drop_copy(struct supervision *s, const struct sv_group *g, size_t index,
    struct json_object *list)
{
	struct agency_trx	 t;
	const char		*id;
	char			*gone;

	if ((id = surplus(s, g, index, list)) == NULL)
		return;
	gone = xstrdup(id);
	agency_trx_init(&t);
	sv_edit_plan(s, &t, g, index, edit_remove, gone);
	if (sv_commit(s, &t) == 0)
		log_notice("supervision: shard %s/%s: %s is not needed any "
		    "more", g->db, g->m[0].shards[index], gone);
	free(gone);
}

static void
keep_copies(struct supervision *s, const struct sv_group *g, size_t index)
{
	struct json_object	*list = sv_plan(s, g, 0, index);
	const char		*id, *leader = sv_list_id(list, 0);
	size_t			 i, factor, usable = 0, in_sync = 0;

	if (leader == NULL || first_is_marked(list) ||
	    !sv_is_good(s, leader) || sv_is_locked(s, g, index))
		return;
	factor = sv_group_factor(s, g);
	for (i = 0; (id = sv_list_id(list, i)) != NULL; i++) {
		usable += !is_long_gone(s, id);
		in_sync += sv_is_good(s, id) &&
		    sv_is_in_sync(s, g, index, id);
	}
	if (usable < factor)
		add_copy(s, g, index);
	else if (i > factor && in_sync >= factor &&
	    sv_leads(s, g, index, leader))
		drop_copy(s, g, index, list);
}

/* ---- all shards --------------------------------------------------------- */

static bool
is_building(const struct sv_group *g)
{
	size_t	i;

	for (i = 0; i < g->n; i++)
		if (json_bool_or(g->m[i].def, "isBuilding", false))
			return true;
	return false;
}

static void
count_shards(struct supervision *s, struct map *groups)
{
	struct map_iter		 it, jt;
	struct sv_group		*g;
	struct sv_server	*v;
	const char		*id;
	size_t			 i, k;

	MAP_FOREACH(&s->servers, jt) {
		v = jt.value;
		v->shards = 0;
	}
	MAP_FOREACH(groups, it) {
		g = it.value;
		for (i = 0; i < g->m[0].nshards; i++)
			for (k = 0; (id = sv_list_id(sv_plan(s, g, 0, i),
			    k)) != NULL; k++)
				if ((v = map_get(&s->servers, id)) != NULL)
					v->shards += g->n;
	}
}

/* Can anything be different from when we last looked? */
static bool
is_time_to_look(struct supervision *s)
{
	int64_t			 plan, current;
	struct json_object	*failed;

	plan = json_object_get_int64(sv_get(s, "/arango/Plan/Version"));
	current = json_object_get_int64(sv_get(s, "/arango/Current/Version"));
	failed = sv_get(s, "/arango/Target/FailedServers");
	if (plan == s->plan_version && current == s->current_version &&
	    s->now_ms - s->looked_ms < LOOK_MS &&
	    (!json_object_is_type(failed, json_type_object) ||
	    json_object_object_length(failed) == 0))
		return false;
	s->plan_version = plan;
	s->current_version = current;
	s->looked_ms = s->now_ms;
	return true;
}

void
sv_look_at_shards(struct supervision *s)
{
	struct map	 groups = MAP_INIT;
	struct map_iter	 it;
	struct sv_group	*g;
	size_t		 i;

	if (!is_time_to_look(s))
		return;
	groups_build(s, &groups);
	count_shards(s, &groups);
	MAP_FOREACH(&groups, it) {
		g = it.value;
		for (i = 0; i < g->m[0].nshards; i++) {
			fail_over(s, g, i);
			if (!is_building(g))
				keep_copies(s, g, i);
		}
	}
	map_free(&groups, group_free_value);
}
