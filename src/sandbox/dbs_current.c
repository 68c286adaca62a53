/*
 * dbs_current.c - what a leader writes into Current, and its list of
 * followers.  The rules that make this safe stand in dbs.h.
 *
 * Handing over on purpose (move-shard): the Plan puts '_' before our id.  From
 * that moment no write begins (1491); those under way end with the
 * followers' confirmation or a follower's removal, as ever; then "_<id>" is
 * entered.  Whoever the Plan names next stood in Current at that time, so it
 * has every acknowledged write, and none is acknowledged by us later.  Without
 * the '_' (a Plan that just names another server) the same holds, because
 * the new leader refuses what we send (it ends our session when it sees the
 * Plan), our removing it from Current fails on the Plan's precondition, and so
 * nothing that it lacks is acknowledged.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "sandbox/dbs.h"

#define CURRENT_ATTEMPTS	50

struct change {
	const char	*joiner;	/* follower to enter, or NULL */
	bool		 take;		/* alone, whatever stands there */
	bool		 resign;
	struct json_object *keep;	/* the others, when we know of none */
	uint64_t	*index;		/* of the agency's log; or NULL */
};

/* ---- followers ------------------------------------------------------- */

struct dbs_follower *
dbs_follower_find(struct dbs_shard *s, const char *id)
{
	size_t	 i;

	for (i = 0; i < s->nfollowers; i++)
		if (strcmp(s->followers[i].id, id) == 0)
			return &s->followers[i];
	return NULL;
}

static void
follower_remove(struct dbs_shard *s, struct dbs_follower *f, bool deposed)
{
	struct dbs_follower	 gone = *f;
	size_t			 i;

	*f = s->followers[--s->nfollowers];
	for (i = 0; i < gone.nwaits; i++)
		dbs_wait_resolve(gone.waits[i], deposed);
	free(gone.waits);
	free(gone.id);
}

void
dbs_shard_demote(struct dbs_shard *s)
{
	if (s->role == DBS_LEADER)
		log_notice("shard %s/%s: does not lead any more", s->db,
		    s->name);
	if (s->role == DBS_LEADER || s->role == DBS_RESIGNED)
		s->term++;
	s->role = DBS_NONE;
	while (s->nfollowers > 0)
		follower_remove(s, &s->followers[s->nfollowers - 1], true);
	dbs_trx_abort_shard(s->d, s);
}

/* ---- the entry ------------------------------------------------------- */

static void
add_text(struct json_object *o, const char *name, const char *v)
{
	json_object_object_add(o, name, json_object_new_string(v));
}

static void
add_fault(struct json_object *o, int errnum, const char *text)
{
	json_object_object_add(o, "error",
	    json_object_new_boolean(errnum != 0));
	json_object_object_add(o, "errorNum", json_object_new_int(errnum));
	add_text(o, "errorMessage", text);
}

static struct json_object *
copy_json(struct json_object *o)
{
	struct json_object	*copy = NULL;

	if (o != NULL && json_object_deep_copy(o, &copy, NULL) != 0)
		fatal("out of memory");
	return copy;
}

static struct json_object *
primary_index(void)
{
	struct json_object	*o = json_object_new_object(), *fields;

	add_text(o, "id", "0");
	add_text(o, "type", "primary");
	add_text(o, "name", "primary");
	fields = json_object_new_array();
	json_object_array_add(fields, json_object_new_string("_key"));
	json_object_object_add(o, "fields", fields);
	json_object_object_add(o, "unique", json_object_new_boolean(true));
	json_object_object_add(o, "sparse", json_object_new_boolean(false));
	return o;
}

static const struct dbs_index_error *
index_error(const struct dbs_shard *s, uint64_t id)
{
	size_t	 i;

	for (i = 0; i < s->nindex_errors; i++)
		if (s->index_errors[i].id == id)
			return &s->index_errors[i];
	return NULL;
}

/* One index of the Plan as it is here, or NULL when it is not (yet). */
static struct json_object *
index_entry(struct dbs_shard *s, struct json_object *planned)
{
	static const char *const		 building[] = {
		"isBuilding", "coordinator", "coordinatorRebootId",
		"inBackground"
	};
	const struct dbs_index_error		*err;
	struct json_object			*o, *type = NULL;
	uint64_t				 id = 0;
	const char				*t = "";
	size_t					 i;

	if (json_object_object_get_ex(planned, "id", &o))
		id = strtoull(json_object_get_string(o), NULL, 10);
	if (json_object_object_get_ex(planned, "type", &type) && type != NULL)
		t = json_object_get_string(type);
	if (strcmp(t, "primary") != 0 && strcmp(t, "edge") != 0 &&
	    store_index_find(s->sh, id) == NULL) {
		if ((err = index_error(s, id)) == NULL)
			return NULL;
		o = json_object_new_object();
		add_text(o, "id", json_object_get_string(
		    json_object_object_get(planned, "id")));
		add_fault(o, err->errnum, err->text);
		return o;
	}
	o = copy_json(planned);
	for (i = 0; i < NITEMS(building); i++)
		json_object_object_del(o, building[i]);
	return o;
}

static struct json_object *
entry_indexes(struct dbs_shard *s, const struct cl_collection *col)
{
	struct json_object	*list = json_object_new_array(), *o, *type;
	bool			 primary = false;
	size_t			 i, n;

	n = col->indexes == NULL ? 0 : json_object_array_length(col->indexes);
	for (i = 0; i < n; i++) {
		o = json_object_array_get_idx(col->indexes, i);
		if (json_object_object_get_ex(o, "type", &type) &&
		    strcmp(json_object_get_string(type), "primary") == 0)
			primary = true;
		if ((o = index_entry(s, o)) != NULL)
			json_object_array_add(list, o);
	}
	if (!primary)
		json_object_array_add(list, primary_index());
	return list;
}

static struct json_object *
entry_servers(struct dbs_shard *s, const struct change *c)
{
	struct json_object	*list = json_object_new_array();
	char			 me[128];
	size_t			 i, n;

	snprintf(me, sizeof(me), "%s%s", c->resign ? "_" : "", s->d->id);
	json_object_array_add(list, json_object_new_string(me));
	n = c->keep == NULL ? 0 : json_object_array_length(c->keep);
	for (i = 0; i < n; i++)
		json_object_array_add(list, json_object_get(
		    json_object_array_get_idx(c->keep, i)));
	for (i = 0; i < s->nfollowers && !c->take; i++)
		if (s->followers[i].state == DBS_IN_SYNC ||
		    (c->joiner != NULL &&
		    s->followers[i].state == DBS_JOINING &&
		    strcmp(s->followers[i].id, c->joiner) == 0))
			json_object_array_add(list,
			    json_object_new_string(s->followers[i].id));
	return list;
}

static struct json_object *
plan_list(const struct dbs_shard *s, const struct cl_collection *col)
{
	struct json_object	*shards, *list;

	if (!json_object_object_get_ex(col->definition, "shards", &shards) ||
	    !json_object_object_get_ex(shards, s->name, &list))
		return NULL;
	return list;
}

/* Do we lead by this list of the Plan? */
static bool
list_names_us(const struct dbs_shard *s, struct json_object *list, bool resign)
{
	const char	*id;

	if (list == NULL || !json_object_is_type(list, json_type_array) ||
	    json_object_array_length(list) == 0 ||
	    (id = json_object_get_string(json_object_array_get_idx(list,
	    0))) == NULL)
		return false;
	if (resign && id[0] == '_')
		id++;
	return strcmp(id, s->d->id) == 0;
}

static bool
list_has(struct json_object *list, const char *id)
{
	struct json_object	*o;
	size_t			 i, n;

	n = list == NULL || !json_object_is_type(list, json_type_array) ? 0 :
	    json_object_array_length(list);
	for (i = 0; i < n; i++) {
		o = json_object_array_get_idx(list, i);
		if (o != NULL && strcmp(json_object_get_string(o), id) == 0)
			return true;
	}
	return false;
}

/*
 * A precondition did not hold: what stands there?  Followers that took
 * themselves out (a restart) are ours no more.  0: try again.
 */
static int
current_refresh(struct dbs_shard *s, const struct change *c)
{
	struct json_object	*tree = NULL, *plan, *now;
	char			 plan_path[768], now_path[768];
	size_t			 i;
	int			 r = AE_OK;

	snprintf(plan_path, sizeof(plan_path),
	    "/arango/Plan/Collections/%s/%" PRIu64 "/shards/%s", s->db, s->cid,
	    s->name);
	snprintf(now_path, sizeof(now_path),
	    "/arango/Current/Collections/%s/%" PRIu64 "/%s/servers", s->db,
	    s->cid, s->name);
	if (agency_read(s->d->agency, loop_now_ms(s->d->loop) + DBS_AGENCY_MS,
	    &tree, plan_path, now_path, NULL) != 0)
		return AE_SHARD_LEADER_RESIGNED;
	plan = agency_walk(tree, plan_path);
	now = agency_walk(tree, now_path);
	if (!list_names_us(s, plan, c->resign))
		r = AE_SHARD_LEADER_RESIGNED;
	json_object_put(s->known);
	s->known = copy_json(now);
	for (i = s->nfollowers; i-- > 0 && r == AE_OK; )
		if (s->followers[i].state == DBS_IN_SYNC &&
		    !list_has(now, s->followers[i].id))
			follower_remove(s, &s->followers[i], false);
	json_object_put(tree);
	return r;
}

static int
current_try(struct dbs_shard *s, const struct change *c,
    const struct cl_collection *col, struct json_object **servers)
{
	struct json_object	*e = json_object_new_object();
	struct agency_trx	 t;
	const char		*db = s->db, *name = s->name;

	*servers = entry_servers(s, c);
	add_fault(e, 0, "");
	json_object_object_add(e, "indexes", entry_indexes(s, col));
	json_object_object_add(e, "servers", copy_json(*servers));
	json_object_object_add(e, "failoverCandidates", copy_json(*servers));
	agency_trx_init(&t);
	agency_if_old(&t, copy_json(plan_list(s, col)),
	    "/arango/Plan/Collections/%s/%" PRIu64 "/shards/%s", db, s->cid,
	    name);
	if (!c->take && s->known != NULL)
		agency_if_old(&t, copy_json(s->known),
		    "/arango/Current/Collections/%s/%" PRIu64 "/%s/servers",
		    db, s->cid, name);
	agency_set(&t, e, "/arango/Current/Collections/%s/%" PRIu64 "/%s", db,
	    s->cid, name);
	agency_increment(&t, 1, "/arango/Current/Version");
	return agency_commit(s->d->agency, &t,
	    loop_now_ms(s->d->loop) + DBS_AGENCY_MS, c->index);
}

/* With current_lock held.  0 or errnum; the caller demotes.  Waits. */
static int
current_write(struct dbs_shard *s, const struct change *c)
{
	const struct cl_collection	*col;
	const struct cl_shard		*p;
	struct json_object		*servers;
	uint64_t			 term = s->term;
	int				 i, r;

	for (i = 0; i < CURRENT_ATTEMPTS; i++) {
		if (s->sh == NULL)
			return AE_DATA_SOURCE_NOT_FOUND;
		p = dbs_shard_plan(s, &col);
		if (s->term != term || p == NULL ||
		    !list_names_us(s, plan_list(s, col), c->resign))
			return AE_SHARD_LEADER_RESIGNED;
		r = current_try(s, c, col, &servers);
		if (r == 0) {
			json_object_put(s->known);
			s->known = servers;
			return s->term == term ? AE_OK :
			    AE_SHARD_LEADER_RESIGNED;
		}
		json_object_put(servers);
		/* Done or not done, nobody knows: we cannot go on leading. */
		if (r != ERR_BAD_STATE)
			return AE_SHARD_LEADER_RESIGNED;
		if ((r = current_refresh(s, c)) != AE_OK)
			return r;
		/* Our copy of the Plan may still be behind. */
		fiber_sleep_ms(10);
	}
	return AE_SHARD_LEADER_RESIGNED;
}

int
dbs_shard_take(struct dbs_shard *s)
{
	struct change	 c = { .take = true };
	int		 e;

	fiber_mutex_lock(&s->current_lock);
	dbs_session_end(s);
	dbs_shard_demote(s);
	if ((e = current_write(s, &c)) == AE_OK) {
		s->role = DBS_LEADER;
		s->term++;
		dbs_clock_receive(s->d, store_shard_revision(s->sh));
		log_notice("shard %s/%s: leads", s->db, s->name);
	}
	fiber_mutex_unlock(&s->current_lock);
	return e;
}

void
dbs_shard_resign(struct dbs_shard *s)
{
	struct change		 c = { .resign = true };
	const struct cl_shard	*p;
	uint64_t		 term;
	size_t			 i;

	if (s->role == DBS_LEADER) {
		s->role = DBS_RESIGNED;
		s->term++;
		dbs_trx_abort_shard(s->d, s);
	} else if (s->role != DBS_RESIGNED &&
	    (p = dbs_shard_plan(s, NULL)) != NULL) {
		/*
		 * Started anew meanwhile: those who stood in Current have
		 * every acknowledged write still.
		 */
		s->role = DBS_RESIGNED;
		c.keep = json_object_new_array();
		for (i = 1; i < p->current.n; i++)
			json_object_array_add(c.keep,
			    json_object_new_string(p->current.id[i]));
	}
	term = s->term;
	while (s->writing > 0 && s->sh != NULL) {
		fiber_cond_wait(&s->idle);
		p = dbs_shard_plan(s, NULL);
		if (s->term != term || p == NULL || !p->plan_resign)
			goto out;
	}
	fiber_mutex_lock(&s->current_lock);
	if (s->term == term && s->sh != NULL)
		current_write(s, &c);
	fiber_mutex_unlock(&s->current_lock);
out:
	json_object_put(c.keep);
}

int
dbs_shard_report(struct dbs_shard *s)
{
	struct change	 c = { 0 };
	int		 e = AE_OK;

	fiber_mutex_lock(&s->current_lock);
	if (s->role == DBS_LEADER &&
	    (e = current_write(s, &c)) == AE_SHARD_LEADER_RESIGNED)
		dbs_shard_demote(s);
	fiber_mutex_unlock(&s->current_lock);
	return e;
}

/* ---- followers come and go ------------------------------------------- */

struct drop {
	struct dbs_shard	*s;
	char			*id;
	uint64_t		 epoch;
};

static void
drop_main(void *arg)
{
	struct drop		*drop = arg;
	struct dbs_shard	*s = drop->s;
	struct dbs_follower	*f;
	struct change		 c = { 0 };

	fiber_mutex_lock(&s->current_lock);
	f = dbs_follower_find(s, drop->id);
	if (f == NULL || f->epoch != drop->epoch)
		goto out;
	if (current_write(s, &c) != AE_OK) {
		dbs_shard_demote(s);
		goto out;
	}
	log_notice("shard %s/%s: %s is not in sync any more", s->db, s->name,
	    drop->id);
	f = dbs_follower_find(s, drop->id);
	if (f != NULL && f->epoch == drop->epoch)
		follower_remove(s, f, false);
out:
	fiber_mutex_unlock(&s->current_lock);
	dbs_shard_unref(&drop->s);
	free(drop->id);
	free(drop);
}

void
dbs_follower_fail(struct dbs_shard *s, const char *id, uint64_t epoch,
    struct dbs_wait *w)
{
	struct dbs_follower	*f = dbs_follower_find(s, id);
	struct drop		*drop;

	if (f == NULL || f->epoch != epoch)
		return;
	if (f->state == DBS_SYNCING) {
		follower_remove(s, f, false);
		return;
	}
	if (w != NULL) {
		w->pending++;
		f->waits = xrealloc(f->waits,
		    (f->nwaits + 1) * sizeof(*f->waits));
		f->waits[f->nwaits++] = w;
	}
	if (f->state == DBS_DROPPING)
		return;
	f->state = DBS_DROPPING;
	drop = xcalloc(1, sizeof(*drop));
	drop->s = dbs_shard_ref(s);
	drop->id = xstrdup(id);
	drop->epoch = epoch;
	fiber_spawn(s->d->loop, drop_main, drop);
}

int
dbs_follower_begin(struct dbs_shard *s, const char *id, uint64_t epoch)
{
	const struct cl_shard	*p;
	struct dbs_follower	*f;
	int			 e;

	while ((f = dbs_follower_find(s, id)) != NULL) {
		dbs_follower_fail(s, id, f->epoch, NULL);
		if (dbs_follower_find(s, id) != NULL)
			fiber_sleep_ms(10);
	}
	if ((e = dbs_shard_check_leader(s)) != AE_OK)
		return e;
	p = dbs_shard_plan(s, NULL);
	if (p == NULL || !cl_servers_contain(&p->plan, id))
		return AE_LEADER_REFUSES_REPLICATION;
	s->followers = xrealloc(s->followers,
	    (s->nfollowers + 1) * sizeof(*s->followers));
	f = &s->followers[s->nfollowers++];
	memset(f, 0, sizeof(*f));
	f->id = xstrdup(id);
	f->epoch = epoch;
	f->state = DBS_SYNCING;
	return AE_OK;
}

/* Is the session still about to be entered? */
static struct dbs_follower *
joining(struct dbs_shard *s, const char *id, uint64_t epoch)
{
	struct dbs_follower	*f = dbs_follower_find(s, id);

	return f != NULL && f->epoch == epoch && f->state == DBS_JOINING ? f :
	    NULL;
}

int
dbs_follower_join(struct dbs_shard *s, const char *id, uint64_t epoch,
    uint64_t *index)
{
	struct dbs_follower	*f = dbs_follower_find(s, id);
	struct change		 c = { .joiner = id, .index = index };
	struct dbs_wait		 w = { 0 };
	struct buf		 none = BUF_INIT;
	int			 e;

	if ((e = dbs_shard_check_leader(s)) != AE_OK)
		return e;
	if (f == NULL || f->epoch != epoch || f->state != DBS_SYNCING)
		return AE_LEADER_REFUSES_REPLICATION;
	/* From now on no answer without it, ... */
	f->state = DBS_JOINING;
	/* ... and what was answered without it must have arrived there. */
	dbs_replicate(s->d, STORE_TX_SINGLE, 0, &s, 1, &none, false, id, &w);
	dbs_wait_finish(s->d, &w, false);
	if (joining(s, id, epoch) == NULL)
		return AE_LEADER_REFUSES_REPLICATION;
	fiber_mutex_lock(&s->current_lock);
	if (joining(s, id, epoch) == NULL)
		e = AE_LEADER_REFUSES_REPLICATION;
	else if ((e = current_write(s, &c)) == AE_SHARD_LEADER_RESIGNED)
		dbs_shard_demote(s);
	if (e == AE_OK && (f = joining(s, id, epoch)) == NULL)
		e = AE_LEADER_REFUSES_REPLICATION;
	if (e == AE_OK) {
		f->state = DBS_IN_SYNC;
		log_notice("shard %s/%s: %s is in sync", s->db, s->name, id);
	}
	fiber_mutex_unlock(&s->current_lock);
	return e;
}
