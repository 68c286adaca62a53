/*
 * dbs_maintenance.c - makes true what the Plan says of this server: databases,
 * shards, indexes, roles; and reports it into Current.
 *
 * One fiber looks at everything after each change of Plan or Current.  It does
 * not wait while it looks; what has to wait (taking leadership, reports) runs
 * as an action in a fiber of its own, at most one per shard.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "sandbox/dbs.h"
#include "vpack/hash.h"

#define MAINTENANCE_MS		500	/* look at least this often */
#define INDEX_RETRY_MS		1000
#define SYNCS_MAX		4

/* ---- JSON and VelocyPack --------------------------------------------- */

int
dbs_json_to_vpack(struct json_object *o, struct buf *out)
{
	struct vp_builder	 b;
	const char		*text;
	size_t			 len;
	int			 r;

	text = json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN,
	    &len);
	vpb_init(&b, out);
	if ((r = vp_from_json(&b, text, len, NULL)) == 0)
		r = vpb_end(&b);
	vpb_free(&b);
	return r;
}

struct json_object *
dbs_vpack_to_json(const uint8_t *slice)
{
	struct buf		 text = BUF_INIT;
	struct json_tokener	*tok;
	struct json_object	*o;

	vp_to_json(&text, slice, 0);
	tok = json_tokener_new_ex(VP_DEPTH_MAX + 1);
	o = json_tokener_parse_ex(tok, (const char *)text.data,
	    (int)MIN(text.len, INT32_MAX));
	json_tokener_free(tok);
	buf_free(&text);
	return o;
}

/* ---- actions --------------------------------------------------------- */

enum action_kind {
	ACTION_TAKE,
	ACTION_RESIGN,
	ACTION_REPORT
};

struct action {
	struct dbs_shard	*s;
	enum action_kind	 kind;
};

static void
action_main(void *arg)
{
	struct action		*a = arg;
	struct dbs_shard	*s = a->s;
	struct dbs		*d = s->d;

	switch (a->kind) {
	case ACTION_TAKE:
		if (dbs_shard_take(s) != AE_OK)
			fiber_sleep_ms(100);
		break;
	case ACTION_RESIGN:
		dbs_shard_resign(s);
		fiber_sleep_ms(50);
		break;
	case ACTION_REPORT:
		if (dbs_shard_report(s) != AE_OK)
			s->report = true;
		break;
	}
	s->acting = false;
	fiber_cond_broadcast(&d->plan_changed);
	dbs_shard_unref(&a->s);
	free(a);
}

static void
act(struct dbs_shard *s, enum action_kind kind)
{
	struct action	*a;

	if (s->acting || s->d->stopping)
		return;
	s->acting = true;
	a = xcalloc(1, sizeof(*a));
	a->s = dbs_shard_ref(s);
	a->kind = kind;
	fiber_spawn(s->d->loop, action_main, a);
}

/* A transaction that nobody waits for. */
struct errand {
	struct dbs		*d;
	struct agency_trx	 trx;
};

static void
errand_main(void *arg)
{
	struct errand	*e = arg;

	agency_commit(e->d->agency, &e->trx,
	    loop_now_ms(e->d->loop) + DBS_AGENCY_MS, NULL);
	free(e);
}

static struct errand *
errand_new(struct dbs *d)
{
	struct errand	*e = xcalloc(1, sizeof(*e));

	e->d = d;
	agency_trx_init(&e->trx);
	agency_increment(&e->trx, 1, "/arango/Current/Version");
	return e;
}

/* ---- databases ------------------------------------------------------- */

static void
report_database(struct dbs *d, const char *name, struct json_object *plan)
{
	struct errand		*e;
	struct json_object	*o, *id;

	if (agency_peek(d->agency, "/arango/Current/Databases/%s/%s", name,
	    d->id) != NULL)
		return;
	e = errand_new(d);
	o = json_object_new_object();
	json_object_object_add(o, "id", json_object_new_string(
	    json_object_object_get_ex(plan, "id", &id) ?
	    json_object_get_string(id) : "0"));
	json_object_object_add(o, "name", json_object_new_string(name));
	json_object_object_add(o, "errorNum", json_object_new_int(0));
	json_object_object_add(o, "error", json_object_new_boolean(false));
	json_object_object_add(o, "errorMessage", json_object_new_string(""));
	agency_if_empty(&e->trx, false, "/arango/Plan/Databases/%s", name);
	agency_set(&e->trx, o, "/arango/Current/Databases/%s/%s", name,
	    d->id);
	fiber_spawn(d->loop, errand_main, e);
}

static void
make_databases(struct dbs *d)
{
	struct json_object	*all, *props;
	struct store_db		*db;
	struct buf		 vp = BUF_INIT;
	int			 r;

	all = agency_peek(d->agency, "/arango/Plan/Databases");
	if (all == NULL || !json_object_is_type(all, json_type_object))
		return;
	json_object_object_foreach(all, name, plan) {
		if (!json_object_is_type(plan, json_type_object))
			continue;
		if (store_db_find(d->store, name) == NULL) {
			props = NULL;
			json_object_deep_copy(plan, &props, NULL);
			json_object_object_del(props, "isBuilding");
			json_object_object_del(props, "coordinator");
			json_object_object_del(props, "coordinatorRebootId");
			buf_reset(&vp);
			r = dbs_json_to_vpack(props, &vp) != 0 ? ERR_FORMAT :
			    store_db_create(d->store, name, vp.data, &db);
			json_object_put(props);
			if (r != 0) {
				log_error("database %s: not created, error %d",
				    name, r);
				continue;
			}
			log_notice("database %s: created", name);
		}
		report_database(d, name, plan);
	}
	buf_free(&vp);
}

static void
drop_database(struct dbs *d, const char *name)
{
	struct store_shard	*sh, *next;
	struct errand		*e;
	char			*copy = xstrdup(name);

	for (sh = store_shard_next(d->store, NULL); sh != NULL; sh = next) {
		next = store_shard_next(d->store, sh);
		if (strcmp(sh->db->name, copy) == 0)
			dbs_shard_gone(dbs_shard_of(d, sh));
	}
	store_clients_drop_db(d->clients, copy);
	if (store_db_drop(d->store, copy) != 0)
		log_error("database %s: not dropped", copy);
	else
		log_notice("database %s: dropped", copy);
	e = errand_new(d);
	agency_delete(&e->trx, "/arango/Current/Databases/%s/%s", copy, d->id);
	agency_if_empty(&e->trx, true, "/arango/Plan/Databases/%s", copy);
	fiber_spawn(d->loop, errand_main, e);
	free(copy);
}

static void
drop_databases(struct dbs *d)
{
	struct store_db	*db, *next;

	for (db = store_db_first(d->store); db != NULL; db = next) {
		next = db->next;
		if (agency_peek(d->agency, "/arango/Plan/Databases/%s",
		    db->name) == NULL)
			drop_database(d, db->name);
	}
}

/* ---- indexes --------------------------------------------------------- */

static uint64_t
index_id(struct json_object *def)
{
	struct json_object	*o;

	return json_object_object_get_ex(def, "id", &o) && o != NULL ?
	    strtoull(json_object_get_string(o), NULL, 10) : 0;
}

static bool
index_is_builtin(struct json_object *def)
{
	struct json_object	*o;
	const char		*type;

	if (!json_object_object_get_ex(def, "type", &o) || o == NULL)
		return true;
	type = json_object_get_string(o);
	return strcmp(type, "primary") == 0 || strcmp(type, "edge") == 0;
}

static void
index_error_clear(struct dbs_shard *s, uint64_t id)
{
	size_t	 i;

	for (i = 0; i < s->nindex_errors; i++)
		if (s->index_errors[i].id == id) {
			free(s->index_errors[i].text);
			s->index_errors[i] =
			    s->index_errors[--s->nindex_errors];
			s->report = true;
			return;
		}
}

static bool
index_has_error(const struct dbs_shard *s, uint64_t id)
{
	size_t	 i;

	for (i = 0; i < s->nindex_errors; i++)
		if (s->index_errors[i].id == id)
			return true;
	return false;
}

static void
index_error_set(struct dbs_shard *s, uint64_t id, int errnum,
    const struct store_conflict *c)
{
	struct dbs_index_error	*e;
	struct buf		 text = BUF_INIT;

	if (errnum == AE_UNIQUE_CONSTRAINT_VIOLATED)
		store_conflict_text(c, &text);
	else
		buf_append_str(&text, arango_error_text(errnum));
	log_info("shard %s/%s: index %" PRIu64 " not created: %s", s->db,
	    s->name, id, buf_cstr(&text));
	s->index_errors = xrealloc(s->index_errors,
	    (s->nindex_errors + 1) * sizeof(*s->index_errors));
	e = &s->index_errors[s->nindex_errors++];
	e->id = id;
	e->errnum = errnum;
	e->text = xstrdup(buf_cstr(&text));
	buf_free(&text);
	s->report = true;
}

static void
make_index(struct dbs_shard *s, struct json_object *planned, uint64_t id)
{
	static const char *const	 building[] = {
		"isBuilding", "coordinator", "coordinatorRebootId"
	};
	struct store_conflict		 c;
	struct json_object		*def = NULL;
	struct store_index		*idx;
	struct buf			 vp = BUF_INIT;
	size_t				 i;
	int				 r;

	json_object_deep_copy(planned, &def, NULL);
	for (i = 0; i < NITEMS(building); i++)
		json_object_object_del(def, building[i]);
	memset(&c, 0, sizeof(c));
	if (dbs_json_to_vpack(def, &vp) != 0)
		r = AE_BAD_PARAMETER;
	else
		r = store_index_create(s->d->store, s->sh, vp.data, &c, &idx);
	json_object_put(def);
	buf_free(&vp);
	if (r < 0)
		dbs_storage_failed(s->d);
	if (r != 0) {
		index_error_set(s, id, r, &c);
		return;
	}
	log_info("shard %s/%s: index %" PRIu64 " created", s->db, s->name, id);
	s->report = true;
}

static bool
planned_index(const struct cl_collection *col, uint64_t id)
{
	size_t	 i, n;

	n = col->indexes == NULL ? 0 : json_object_array_length(col->indexes);
	for (i = 0; i < n; i++)
		if (index_id(json_object_array_get_idx(col->indexes, i)) == id)
			return true;
	return false;
}

static void
check_indexes(struct dbs_shard *s, const struct cl_collection *col)
{
	struct json_object	*def;
	uint64_t		 id, now = loop_now_ms(s->d->loop);
	size_t			 i, n;
	bool			 retry;

	/*
	 * A follower may be a few writes behind its leader, or not have synced
	 * yet: what fails here can work in a moment.
	 */
	retry = s->role == DBS_FOLLOWER && now >= s->index_retry_ms;
	if (retry)
		s->index_retry_ms = now + INDEX_RETRY_MS;
	for (i = s->nindex_errors; i-- > 0; )
		if (retry || !planned_index(col, s->index_errors[i].id))
			index_error_clear(s, s->index_errors[i].id);
	for (i = s->sh->nindexes; i-- > 0; ) {
		id = s->sh->indexes[i]->id;
		if (planned_index(col, id))
			continue;
		if (store_index_drop(s->d->store, s->sh, id) < 0)
			dbs_storage_failed(s->d);
		log_info("shard %s/%s: index %" PRIu64 " dropped", s->db,
		    s->name, id);
		s->report = true;
	}
	n = col->indexes == NULL ? 0 : json_object_array_length(col->indexes);
	for (i = 0; i < n; i++) {
		def = json_object_array_get_idx(col->indexes, i);
		id = index_id(def);
		if (index_is_builtin(def) || id == 0 ||
		    store_index_find(s->sh, id) != NULL ||
		    index_has_error(s, id))
			continue;
		make_index(s, def, id);
	}
}

/* ---- shards ---------------------------------------------------------- */

/* What a shard keeps of the Plan's definition, as VelocyPack. */
static int
shard_props(const struct cl_collection *col, struct buf *out)
{
	static const char *const	 left_out[] = {
		"shards", "indexes", "isBuilding", "coordinator",
		"coordinatorRebootId"
	};
	struct json_object		*def = NULL;
	size_t				 i;
	int				 r;

	json_object_deep_copy(col->definition, &def, NULL);
	for (i = 0; i < NITEMS(left_out); i++)
		json_object_object_del(def, left_out[i]);
	buf_reset(out);
	r = dbs_json_to_vpack(def, out);
	json_object_put(def);
	return r;
}

/* The coordinator that waits for the shard learns why it does not come. */
static void
report_error(struct dbs *d, const struct cl_collection *col,
    const struct cl_shard *p, int errnum)
{
	struct json_object	*o;
	struct errand		*e;

	if (p->current_json != NULL || strcmp(p->plan.id[0], d->id) != 0)
		return;
	o = json_object_new_object();
	json_object_object_add(o, "error", json_object_new_boolean(true));
	json_object_object_add(o, "errorNum", json_object_new_int(errnum));
	json_object_object_add(o, "errorMessage",
	    json_object_new_string(arango_error_text(errnum)));
	json_object_object_add(o, "indexes", json_object_new_array());
	json_object_object_add(o, "servers", json_object_new_array());
	json_object_object_add(o, "failoverCandidates",
	    json_object_new_array());
	e = errand_new(d);
	agency_if_empty(&e->trx, false, "/arango/Plan/Collections/%s/%s",
	    col->db, col->cid);
	agency_set(&e->trx, o, "/arango/Current/Collections/%s/%s/%s",
	    col->db, col->cid, p->name);
	fiber_spawn(d->loop, errand_main, e);
}

static struct dbs_shard *
make_shard(struct dbs *d, const struct cl_collection *col,
    const struct cl_shard *p)
{
	struct store_shard	*sh = NULL;
	struct buf		 props = BUF_INIT;
	int			 r;

	if (store_db_find(d->store, col->db) == NULL)
		return NULL;
	r = shard_props(col, &props);
	if (r == 0)
		r = store_shard_create(d->store, col->db, p->name, col->id,
		    props.data, &sh);
	buf_free(&props);
	if (r != 0) {
		log_error("shard %s/%s: not created, error %d", col->db,
		    p->name, r);
		report_error(d, col, p, r > 0 ? r : AE_INTERNAL);
		return NULL;
	}
	log_info("shard %s/%s: created", col->db, p->name);
	return dbs_shard_of(d, sh);
}

static void
check_props(struct dbs_shard *s, const struct cl_collection *col)
{
	struct buf	 props = BUF_INIT;

	if (s->definition == col->definition)
		return;
	json_object_put(s->definition);
	s->definition = json_object_get(col->definition);
	if (shard_props(col, &props) == 0 &&
	    vp_normalized_hash(props.data, VP_HASH_SEED) !=
	    vp_normalized_hash(s->sh->props, VP_HASH_SEED)) {
		if (store_shard_change(s->d->store, s->sh, props.data) < 0)
			dbs_storage_failed(s->d);
		dbs_shard_update(s);
		log_info("shard %s/%s: properties changed", s->db, s->name);
	}
	buf_free(&props);
}

static void
check_leader(struct dbs_shard *s, const struct cl_shard *p)
{
	size_t	 i;

	if (p->plan_resign) {
		if (!p->current_resigned || p->current.n == 0 ||
		    strcmp(p->current.id[0], s->d->id) != 0)
			act(s, ACTION_RESIGN);
		return;
	}
	if (s->role != DBS_LEADER) {
		act(s, ACTION_TAKE);
		return;
	}
	/* Followers that the Plan does not want any more. */
	for (i = s->nfollowers; i-- > 0; )
		if (!cl_servers_contain(&p->plan, s->followers[i].id))
			dbs_follower_fail(s, s->followers[i].id,
			    s->followers[i].epoch, NULL);
	if (s->report && !s->acting) {
		s->report = false;
		act(s, ACTION_REPORT);
	}
}

static void
check_follower(struct dbs_shard *s, const struct cl_shard *p)
{
	const char	*leader = p->plan.id[0];
	bool		 led;

	if (s->role != DBS_FOLLOWER) {
		dbs_shard_demote(s);
		s->role = DBS_FOLLOWER;
	}
	if (s->leader != NULL && strcmp(s->leader, leader) != 0)
		dbs_session_end(s);
	led = p->leader != NULL && strcmp(p->leader, leader) == 0;
	if (s->in_sync && led && !cl_servers_contain(&p->current, s->d->id))
		dbs_session_end(s);
	if (!s->in_sync && led && !p->plan_resign && !s->sync_running &&
	    s->d->syncs < SYNCS_MAX &&
	    loop_now_ms(s->d->loop) >= s->sync_after_ms)
		dbs_sync_start(s, leader);
}

static void
check_shard(struct dbs *d, const struct cl_collection *col,
    const struct cl_shard *p)
{
	struct dbs_shard	*s;

	if (!cl_servers_contain(&p->plan, d->id))
		return;
	if ((s = dbs_shard_find(d, col->db, p->name)) == NULL &&
	    (s = make_shard(d, col, p)) == NULL)
		return;
	check_props(s, col);
	check_indexes(s, col);
	if (strcmp(p->plan.id[0], d->id) == 0)
		check_leader(s, p);
	else
		check_follower(s, p);
}

static void
drop_shard(struct dbs *d, struct store_shard *sh, bool forget)
{
	struct dbs_shard	*s = dbs_shard_of(d, sh);
	struct errand		*e;

	if (forget) {
		e = errand_new(d);
		agency_delete(&e->trx, "/arango/Current/Collections/%s/%" PRIu64
		    "/%s", s->db, s->cid, s->name);
		agency_if_empty(&e->trx, true, "/arango/Plan/Collections/%s/%"
		    PRIu64, s->db, s->cid);
		fiber_spawn(d->loop, errand_main, e);
	}
	log_info("shard %s/%s: dropped", s->db, s->name);
	dbs_shard_gone(s);
	if (store_shard_drop(d->store, &sh) < 0)
		dbs_storage_failed(d);
}

/* Is it to go?  *forget: with its place in Current. */
static bool
is_surplus(struct dbs *d, struct dbs_shard *s, bool *forget)
{
	const struct cl_collection	*col;
	const struct cl_shard		*p = dbs_shard_plan(s, &col);

	*forget = col == NULL;
	if (p == NULL)
		return true;
	if (cl_servers_contain(&p->plan, d->id))
		return false;
	/* Moved away: once the new leader leads. */
	return p->plan.n > 0 && (p->leader == NULL ||
	    strcmp(p->leader, d->id) != 0);
}

static void
drop_shards(struct dbs *d)
{
	struct store_shard	*sh = NULL, *next;
	bool			 forget;

	for (sh = store_shard_next(d->store, NULL); sh != NULL; sh = next) {
		next = store_shard_next(d->store, sh);
		if (is_surplus(d, dbs_shard_of(d, sh), &forget))
			drop_shard(d, sh, forget);
	}
}

/* ---- the loop -------------------------------------------------------- */

static void
maintain(struct dbs *d)
{
	const struct cl_collection *const	*list;
	size_t					 i, k, n;

	make_databases(d);
	n = cluster_collections(d->cluster, NULL, &list);
	for (i = 0; i < n; i++)
		for (k = 0; k < list[i]->nshards; k++)
			if (list[i]->shards[k].plan.n > 0)
				check_shard(d, list[i], &list[i]->shards[k]);
	/*
	 * What is not in the Plan goes, with its data: only when what we hold
	 * is a Plan at all.
	 */
	if (cluster_plan_version(d->cluster) == 0 ||
	    cluster_database(d->cluster, "_system", true) == NULL)
		return;
	drop_shards(d);
	drop_databases(d);
}

static void
agency_news(void *arg, const char *path)
{
	struct dbs	*d = arg;

	if (strncmp(path, "/arango/Plan", 12) == 0 ||
	    strncmp(path, "/arango/Current", 15) == 0 ||
	    strcmp(path, "/") == 0)
		fiber_cond_broadcast(&d->plan_changed);
}

static void
maintenance_main(void *arg)
{
	struct dbs	*d = arg;

	while (!d->stopping) {
		maintain(d);
		fiber_cond_wait_until(&d->plan_changed,
		    loop_now_ms(d->loop) + MAINTENANCE_MS);
	}
}

void
dbs_maintenance_start(struct dbs *d)
{
	agency_watch(d->agency, agency_news, d);
	fiber_spawn(d->loop, maintenance_main, d);
}

void
dbs_maintenance_stop(struct dbs *d)
{
	fiber_cond_broadcast(&d->plan_changed);
}

/* ---- after a start --------------------------------------------------- */

/* A shard that Current says we follow in sync; false: there is none. */
static bool
find_followed(struct dbs *d, const struct cl_collection **col,
    const struct cl_shard **shard)
{
	const struct cl_collection *const	*list;
	const struct cl_shard			*p;
	size_t					 i, k, n;

	n = cluster_collections(d->cluster, NULL, &list);
	for (i = 0; i < n; i++)
		for (k = 0; k < list[i]->nshards; k++) {
			p = &list[i]->shards[k];
			if (p->current.n < 2 ||
			    strcmp(p->current.id[0], d->id) == 0 ||
			    !cl_servers_contain(&p->current, d->id))
				continue;
			/* Chosen as leader meanwhile: we take it. */
			if (p->plan.n > 0 && strcmp(p->plan.id[0], d->id) == 0)
				continue;
			*col = list[i];
			*shard = p;
			return true;
		}
	return false;
}

static struct json_object *
servers_without(const struct cl_shard *p, const char *id)
{
	struct json_object	*list = json_object_new_array();
	char			 name[128];
	size_t			 i;

	for (i = 0; i < p->current.n; i++) {
		if (id != NULL && strcmp(p->current.id[i], id) == 0)
			continue;
		snprintf(name, sizeof(name), "%s%s",
		    i == 0 && p->current_resigned ? "_" : "",
		    p->current.id[i]);
		json_object_array_add(list, json_object_new_string(name));
	}
	return list;
}

static struct json_object *
plan_servers(const struct cl_shard *p)
{
	struct json_object	*list = json_object_new_array();
	char			 name[128];
	size_t			 i;

	for (i = 0; i < p->plan.n; i++) {
		snprintf(name, sizeof(name), "%s%s",
		    i == 0 && p->plan_resign ? "_" : "", p->plan.id[i]);
		json_object_array_add(list, json_object_new_string(name));
	}
	return list;
}

int
dbs_maintenance_forget(struct dbs *d)
{
	const struct cl_collection	*col;
	const struct cl_shard		*p;
	struct agency_trx		 t;
	uint64_t			 index;
	int				 r;

	while (find_followed(d, &col, &p)) {
		agency_trx_init(&t);
		agency_if_old(&t, servers_without(p, NULL),
		    "/arango/Current/Collections/%s/%s/%s/servers", col->db,
		    col->cid, p->name);
		agency_if_old(&t, plan_servers(p),
		    "/arango/Plan/Collections/%s/%s/shards/%s", col->db,
		    col->cid, p->name);
		agency_set(&t, servers_without(p, d->id),
		    "/arango/Current/Collections/%s/%s/%s/servers", col->db,
		    col->cid, p->name);
		agency_set(&t, servers_without(p, d->id),
		    "/arango/Current/Collections/%s/%s/%s/failoverCandidates",
		    col->db, col->cid, p->name);
		agency_increment(&t, 1, "/arango/Current/Version");
		index = 0;
		r = agency_commit(d->agency, &t,
		    loop_now_ms(d->loop) + DBS_AGENCY_MS, &index);
		if (r == 0)
			r = agency_wait_index(d->agency, index,
			    loop_now_ms(d->loop) + DBS_AGENCY_MS);
		if (r == ERR_BAD_STATE) {
			fiber_sleep_ms(20);	/* our copy was behind */
			r = 0;
		}
		if (r != 0)
			return r;
	}
	return 0;
}
