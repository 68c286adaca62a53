/*
 * inventory_target.c - makes the structure of our cluster that of the source;
 * see inventory_priv.h
 *
 * In rounds.  Each reads our own cluster anew, plans (sync/plan.h), writes down
 * what is made from what, tells which pairs can run, and carries out steps for
 * some seconds; the next round goes on from what is there then.  So nothing has
 * to be remembered of a plan, whoever is killed when.
 *
 * Dropping: pairs without the collection are told first, and the drop waits
 * DROP_AFTER_MS, in which control ends the receives.  One that is slow writes
 * to a shard that is gone and is told so (1203: it looks again); it never
 * reaches the collection that is made in its place, which has other shards.
 *
 * Indexes may take hours to build: they are made on the side, a few at once.
 */
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "arango/structure.h"
#include "base/log.h"
#include "ev/backoff.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "inventory/inventory_priv.h"
#include "json/get.h"

#define ROUND_MS	2000	/* then read again and tell what can run */
#define DROP_AFTER_MS	500
#define INDEX_WAIT_MS	1000	/* most are built by then */
#define INDEXES_MAX	4	/* at once */
#define CHECK_MS	60000	/* version and edition are asked again */
#define WATCH_MS	60000
#define MISSING_MS	2000	/* somebody is building: look again */
#define STATUS_MS	250	/* while steps are carried out */
#define PLAN_SHOWN_MAX	((size_t)64 * 1024)
#define TROUBLES_SHOWN	50
#define RECORDS_MAX	500	/* of one transaction */
#define RECORDS_EVERY_MS 1000	/* R28 */

/* An index that is being made. */
struct job {
	struct inv_target	*t;
	struct plan_step	 s;		/* copies of what is needed */
	char			*key;
	bool			 done;
	struct fiber_cond	 ended;
	bool			 waited;	/* who waits frees it */
};

struct inv_target {
	struct arango			*a;
	struct arango_agency		*ag;
	struct arango_cancel		*cancel;
	const struct inv_target_ops	*ops;
	void				*arg;
	struct loop			*loop;
	struct plan_opts		 opts;
	struct plan_memory		*memory;
	char				*pinned;
	bool				 first;
	bool				 forget;		/* lineage */
	uint64_t			 checked_ms;	/* the edition */

	struct inv_arrival		 src;

	/* us */
	struct agency_watch		 watch;
	struct map			 created;	/* not yet recorded */
	struct map			 jobs;		/* key -> struct job */
	struct inv_troubles		 troubles;
	uint64_t			 recorded_ms;
	struct json_object		*pairs;		/* as last told */
	struct buf			 told;		/* the message */

	/* when to do something */
	struct fiber_cond		 wake;
	bool				 look;
	bool				 own;		/* our Plan changed */
	uint64_t			 again_ms;	/* or then */
	struct backoff			 backoff;

	/* status */
	const char			*state;
	struct err_msg			 error;
	bool				 complained;
	uint64_t			 applied;	/* version */
	size_t				 done, left;	/* steps */
	size_t				 pending;
	size_t				 databases, collections;
	struct json_object		*notes, *last_plan;
	uint64_t			 said_ms;
};

/* ---- status ------------------------------------------------------------ */

static struct json_object *
troubles_json(const struct inv_target *t)
{
	struct json_object		*list = json_object_new_array(), *o;
	const struct inv_trouble	*x;
	struct map_iter			 it;

	MAP_FOREACH(&t->troubles.map, it) {
		if (json_object_array_length(list) == TROUBLES_SHOWN)
			break;
		x = it.value;
		o = json_object_new_object();
		json_set_string(o, "step", x->what);
		json_set_string(o, "error", x->why);
		json_set_uint(o, "tries", x->tries);
		json_set_bool(o, "refused", x->refused);
		json_object_array_add(list, o);
	}
	return list;
}

static void
say_status(struct inv_target *t)
{
	struct json_object	*o = json_object_new_object(), *steps;

	json_set_string(o, "state", t->state);
	if (*t->error.text != '\0')
		json_set_string(o, "error", t->error.text);
	json_set_uint(o, "plan", t->applied);
	json_set_uint(o, "source_plan", t->src.st != NULL ?
	    t->src.st->version : 0);
	steps = json_object_new_object();
	json_set_uint(steps, "done", t->done);
	json_set_uint(steps, "total", t->done + t->left);
	json_set(o, "steps", steps);
	json_set_uint(o, "pending", t->pending);
	json_set_uint(o, "databases", t->databases);
	json_set_uint(o, "collections", t->collections);
	json_set(o, "notes", t->notes != NULL ? json_object_get(t->notes) :
	    json_object_new_array());
	if (map_count(&t->troubles.map) != 0)
		json_set(o, "troubles", troubles_json(t));
	if (t->last_plan != NULL)
		json_set(o, "last_plan", json_object_get(t->last_plan));
	t->said_ms = loop_now_ms(t->loop);
	t->ops->status(t->arg, o);
}

static void
enter(struct inv_target *t, const char *state)
{
	if (strcmp(t->state, state) == 0)
		return;
	log_debug("%s -> %s", t->state, state);
	t->state = state;
	say_status(t);
}

static void
keep_plan(struct inv_target *t, const struct plan *p)
{
	char	*text;

	json_object_put(t->last_plan);
	t->last_plan = p->n == 0 ? NULL : plan_to_json(p);
	if (t->last_plan == NULL)
		return;
	text = json_to_text(t->last_plan);
	if (strlen(text) > PLAN_SHOWN_MAX) {
		json_object_put(t->last_plan);
		t->last_plan = NULL;
	}
	free(text);
}

/* ---- the source -------------------------------------------------------- */

static void
wake(struct inv_target *t)
{
	t->look = true;
	(void)fiber_cond_broadcast(&t->wake);
}

void
inv_target_source(struct inv_target *t, const void *text, size_t len)
{
	inv_arrival_put(&t->src, text, len, loop_now_ms(t->loop));
	wake(t);
}

/* ---- what the target is ------------------------------------------------ */

static bool
is_wanted(void *arg, const char *db, const char *coll)
{
	(void)arg;
	(void)db;
	/* the others have ways of their own */
	return coll == NULL || structure_kind(coll, NULL) == STRUCTURE_DATA;
}

/* "db/coll" -> cid of the source, of all that was made from this one. */
static void
made_names(const struct inv_view *view, const char *source, struct map *names)
{
	const struct structure_db	*db;
	const struct inv_made		*made;
	char				*key;
	size_t				 i, k;

	memset(names, 0, sizeof(*names));
	for (i = 0; i < view->st->ndbs; i++) {
		db = &view->st->dbs[i];
		for (k = 0; k < db->ncolls; k++) {
			made = map_get(&view->made, db->colls[k].cid);
			if (made == NULL || db->colls[k].pending ||
			    strcmp(made->source, source) != 0)
				continue;
			key = xasprintf("%s/%s", db->name, db->colls[k].name);
			map_put(names, key, made->cid);
			free(key);
		}
	}
}

static const char *
made_from(void *arg, const char *db, const char *coll)
{
	const struct map	*names = arg;
	const char		*cid;
	char			*key;

	if (map_count(names) == 0)
		return NULL;
	key = xasprintf("%s/%s", db, coll);
	cid = map_get(names, key);
	free(key);
	return cid;
}

static int
check_target(struct inv_target *t)
{
	struct arango_version	 v;
	uint64_t		 now = loop_now_ms(t->loop);
	int			 r;

	if (t->checked_ms != 0 && now - t->checked_ms < CHECK_MS)
		return 0;
	if ((r = arango_version(t->a, NULL, &v, &t->error)) != 0)
		return r;
	t->checked_ms = now;
	t->opts.community = !v.features;
	t->opts.version = v.major * 10000 + v.minor * 100 + v.patch;
	return 0;
}

/* ---- records ----------------------------------------------------------- */

static int
records_write(struct inv_target *t, const struct inv_records *r)
{
	struct agency_trx	 trx;
	struct json_object	*o;
	char			*path;
	uint64_t		 now;
	size_t			 i = 0, n;
	int			 err = 0;

	while (i < r->n && err == 0) {
		now = loop_now_ms(t->loop);
		if (now - t->recorded_ms < RECORDS_EVERY_MS)
			(void)arango_sleep(t->cancel, RECORDS_EVERY_MS -
			    (now - t->recorded_ms));
		trx = (struct agency_trx)AGENCY_TRX_INIT;
		for (n = 0; i < r->n && n < RECORDS_MAX; i++, n++) {
			path = xasprintf("%s/%s", INV_MADE_PATH,
			    r->list[i].target_cid);
			if (r->list[i].made != NULL) {
				o = inv_made_to_json(r->list[i].made);
				agency_trx_set(&trx, path, o, 0);
				json_object_put(o);
			} else
				agency_trx_delete(&trx, path);
			free(path);
		}
		err = arango_agency_write(t->ag, &trx, NULL, &t->error);
		agency_trx_free(&trx);
		t->recorded_ms = loop_now_ms(t->loop);
	}
	return err;
}

static int
records_keep(struct inv_target *t, struct inv_input *in, struct inv_view *view)
{
	struct inv_records	 r;
	int			 err = 0;

	in->forget_lineage = t->forget;
	inv_records_make(in, &r);
	inv_records_check(t->a, in->target->st, &r, &t->error);
	if (r.n != 0)
		err = records_write(t, &r);
	if (err == 0) {
		inv_records_apply(&r, view);
		map_free(&t->created, free);
		t->forget = false;
	}
	inv_records_free(&r);
	return err;
}

/* ---- pairs ------------------------------------------------------------- */

void
inv_target_repeat(struct inv_target *t)
{
	if (t->told.len != 0)
		t->ops->pairs(t->arg, (char *)t->told.data, t->told.len);
}

static void
tell_pairs(struct inv_target *t, struct json_object *pairs)
{
	struct json_object	*o = json_object_new_object();
	struct buf		 text = BUF_INIT;

	json_set_uint(o, "plan", t->applied);
	json_set(o, "pairs", json_object_get(pairs));
	json_set_uint(o, "pending", t->pending);
	json_set(o, "notes", json_object_get(t->notes));
	json_append(&text, o);
	json_object_put(o);
	json_object_put(t->pairs);
	t->pairs = json_object_get(pairs);
	if (text.len == t->told.len &&
	    memcmp(text.data, t->told.data, text.len) == 0) {
		buf_free(&text);
		return;
	}
	buf_free(&t->told);
	t->told = text;
	inv_target_repeat(t);
}

/* ---- steps ------------------------------------------------------------- */

static void
step_copy(struct plan_step *to, const struct plan_step *s)
{
	memset(to, 0, sizeof(*to));
	to->kind = s->kind;
	to->hold = s->hold;
	to->db = xstrdup(s->db);
	to->coll = s->coll != NULL ? xstrdup(s->coll) : NULL;
	to->index = s->index != NULL ? xstrdup(s->index) : NULL;
	to->def = json_object_get(s->def);
}

static void
job_free(struct job *j)
{
	free(j->s.db);
	free(j->s.coll);
	free(j->s.index);
	json_object_put(j->s.def);
	free(j->key);
	free(j);
}

/* What came out of a step; 0 or what it failed with. */
static int
step_ended(struct inv_target *t, const struct plan_step *s, int r, int num,
    const char *why)
{
	struct buf	 b = BUF_INIT;
	bool		 again;

	plan_step_sentence(&b, s);
	if (r == 0) {
		log_info("%s: done", buf_cstr(&b));
		inv_troubles_drop(&t->troubles, s);
		t->done++;
		if (t->left > 0)
			t->left--;
		if (t->ops->progress != NULL)
			t->ops->progress(t->arg);
	} else {
		again = inv_troubles_get(&t->troubles, s) != NULL;
		inv_troubles_put(&t->troubles, s, num, why,
		    loop_now_ms(t->loop));
		if (!again)
			log_warning("cannot %s: %s; it is tried again",
			    buf_cstr(&b), why);
	}
	buf_free(&b);
	return r;
}

static void
job_fiber(void *arg)
{
	struct job		*j = arg;
	struct inv_target	*t = j->t;
	struct err_msg		 m = { "" };
	int			 num, r;

	r = inv_step_run(t->a, &j->s, t->opts.community, &num, &m);
	(void)step_ended(t, &j->s, r, num, m.text);
	map_del(&t->jobs, j->key);
	t->own = true;
	wake(t);
	j->done = true;
	if (j->waited)
		(void)fiber_cond_broadcast(&j->ended);
	else
		job_free(j);
}

/* An index: wait for a moment, then go on without it. */
static void
index_start(struct inv_target *t, const struct plan_step *s)
{
	struct job	*j;
	struct buf	 key = BUF_INIT;

	inv_step_key(&key, s);
	if (map_has(&t->jobs, buf_cstr(&key)) ||
	    map_count(&t->jobs) >= INDEXES_MAX) {
		buf_free(&key);
		return;
	}
	j = xcalloc(1, sizeof(*j));
	j->t = t;
	j->key = xstrdup(buf_cstr(&key));
	buf_free(&key);
	step_copy(&j->s, s);
	map_put(&t->jobs, j->key, j);
	j->waited = true;
	fiber_spawn(t->loop, job_fiber, j);
	if (fiber_cond_wait_until(&j->ended, loop_now_ms(t->loop) +
	    INDEX_WAIT_MS) != 0 && !j->done)
		j->waited = false;
	else if (j->done)
		job_free(j);
}

/* 0 when it is done, or runs. */
static int
step_do(struct inv_target *t, const struct plan_step *s)
{
	struct err_msg	 m = { "" };
	char		*key;
	int		 num, r;

	if (s->kind == PLAN_CREATE_INDEX) {
		index_start(t, s);
		return 0;
	}
	r = inv_step_run(t->a, s, t->opts.community, &num, &m);
	if (r == 0 && s->kind == PLAN_CREATE_COLL) {
		key = xasprintf("%s/%s", s->db, s->coll);
		free(map_put(&t->created, key, xstrdup(s->cid)));
		free(key);
	}
	return step_ended(t, s, r, num, m.text);
}

/* Steps until the time of a round is over; true when any was tried. */
static bool
steps_do(struct inv_target *t, const struct plan *p)
{
	struct inv_lost	 lost = { MAP_INIT };
	uint64_t	 until = loop_now_ms(t->loop) + ROUND_MS;
	size_t		 i, before = t->done;
	bool		 tried = false;

	for (i = 0; i < p->n && loop_now_ms(t->loop) < until &&
	    !t->cancel->cancelled; i++) {
		if (!inv_step_ready(&lost, &t->troubles, &p->steps[i],
		    loop_now_ms(t->loop)))
			continue;
		if (step_do(t, &p->steps[i]) != 0)
			inv_step_lose(&lost, &p->steps[i]);
		tried = true;
		if (loop_now_ms(t->loop) - t->said_ms >= STATUS_MS)
			say_status(t);
	}
	inv_lost_free(&lost);
	return tried && (t->done != before || i < p->n);
}

/* How many have to wait for something, and will be done. */
static size_t
steps_pending(const struct inv_target *t, const struct plan *p)
{
	const struct inv_trouble	*x;
	size_t				 i, n = 0;

	for (i = 0; i < p->n; i++) {
		x = inv_troubles_get(&t->troubles, &p->steps[i]);
		n += x == NULL || !x->refused;
	}
	return n;
}

static bool
steps_any(const struct inv_target *t, const struct plan *p)
{
	struct inv_lost	 lost = { MAP_INIT };
	struct buf	 key = BUF_INIT;
	size_t		 i;
	bool		 any = false;

	for (i = 0; i < p->n && !any; i++) {
		if (!inv_step_ready(&lost, &t->troubles, &p->steps[i],
		    loop_now_ms(t->loop)))
			continue;
		buf_reset(&key);
		inv_step_key(&key, &p->steps[i]);
		any = !map_has(&t->jobs, buf_cstr(&key)) &&
		    (p->steps[i].kind != PLAN_CREATE_INDEX ||
		    map_count(&t->jobs) < INDEXES_MAX);
	}
	buf_free(&key);
	inv_lost_free(&lost);
	return any;
}

/* ---- a round ----------------------------------------------------------- */

static void
count(struct inv_target *t)
{
	size_t	 i, k;

	t->databases = t->src.st->ndbs;
	t->collections = 0;
	for (i = 0; i < t->src.st->ndbs; i++)
		for (k = 0; k < t->src.st->dbs[i].ncolls; k++)
			t->collections += t->src.st->dbs[i].colls[k].kind ==
			    STRUCTURE_DATA;
}

/* Tell what can run, then carry out.  1: go on at once. */
static int
round_steps(struct inv_target *t, struct inv_input *in, struct inv_view *view)
{
	struct json_object	*pairs;
	size_t			 missing;
	bool			 any, hit;
	int			 r;

	if ((r = records_keep(t, in, view)) != 0)
		return r;
	pairs = inv_pairs_make(in, &missing);
	json_object_put(t->notes);
	t->notes = inv_notes_make(in, t->src.views, &t->troubles);
	t->pending = steps_pending(t, in->plan) + missing;
	t->left = in->plan->n;
	any = steps_any(t, in->plan);
	if (t->pending == 0)
		t->applied = in->source->version;
	hit = inv_pairs_hit(in->plan, t->pairs);
	tell_pairs(t, pairs);
	json_object_put(pairs);
	if (!any) {
		if (!in->plan->waits && missing == 0)
			t->first = false;
		if (missing != 0)
			t->again_ms = MIN(t->again_ms, loop_now_ms(t->loop) +
			    MISSING_MS);
		return 0;
	}
	enter(t, "applying");
	say_status(t);
	if (hit && (r = arango_sleep(t->cancel, DROP_AFTER_MS)) != 0)
		return r;
	return steps_do(t, in->plan) ? 1 : 0;
}

static int
round_plan(struct inv_target *t, struct inv_view *view)
{
	struct map		 names;
	struct inv_input	 in = { .source = t->src.st, .target = view,
				    .created = &t->created };
	struct plan		*p;
	int			 r;

	t->opts.first = t->first;
	t->opts.dbservers = view->dbservers;
	t->opts.wanted = is_wanted;
	t->opts.made_from = made_from;
	made_names(view, t->src.st->cluster_id, &names);
	t->opts.arg = &names;
	r = plan_make(t->src.st, view->st, &t->opts, t->memory,
	    t->src.read_ms, &p, &t->error);
	map_free(&names, NULL);
	if (r != 0)
		return r;
	inv_troubles_turn(&t->troubles, p);
	keep_plan(t, p);
	count(t);
	in.plan = p;
	r = round_steps(t, &in, view);
	if (p->guarded)
		(void)err_set(&t->error, 0, "the source has lost more than "
		    "half of its collections; %zu drops wait for "
		    "--allow-mass-drop", p->drops);
	plan_free(&p);
	return r;
}

/* 1: go on at once; 0: wait; negative: failed, with a sentence. */
static int
round_do(struct inv_target *t)
{
	struct inv_view	*view;
	bool		 changed;
	int		 r;

	if ((r = inv_arrival_take(&t->src, &changed, &t->error)) != 0)
		return r;
	if (t->src.st == NULL)
		return 0;
	/* Another read of the same, and nothing that waits for one. */
	if (!changed && !t->own && t->pending == 0 &&
	    loop_now_ms(t->loop) < t->again_ms)
		return 0;
	t->own = false;
	t->again_ms = UINT64_MAX;
	if (t->told.len == 0)
		enter(t, "reading");
	if ((r = check_target(t)) != 0 ||
	    (r = inv_view_read(t->ag, &view, &t->error)) != 0) {
		t->own = true;
		return r;
	}
	if ((r = round_plan(t, view)) != 0)
		t->own = true;
	inv_view_free(&view);
	t->again_ms = MIN(t->again_ms, inv_troubles_next_ms(&t->troubles));
	return r;
}

static void
round_failed(struct inv_target *t, int r)
{
	uint32_t	 wait_ms = backoff_failed(&t->backoff,
			    loop_now_ms(t->loop));

	if (!t->complained)
		log_warning("%s", t->error.text);
	t->complained = true;
	/* another source will not become ours by waiting */
	enter(t, r == ERR_DENIED || t->applied == 0 ? "failed" : t->state);
	t->again_ms = loop_now_ms(t->loop) + wait_ms;
}

static void
target_fiber(void *arg)
{
	struct inv_target	*t = arg;
	int			 r;

	while (!t->cancel->cancelled) {
		t->look = false;
		r = round_do(t);
		if (t->cancel->cancelled)
			return;
		if (r < 0)
			round_failed(t, r);
		else {
			t->complained = false;
			backoff_reset(&t->backoff);
		}
		if (r == 1)
			continue;
		if (r == 0 && t->src.st != NULL) {
			enter(t, "running");
			t->done = t->pending == 0 ? 0 : t->done;
		}
		say_status(t);
		while (!t->look && loop_now_ms(t->loop) < t->again_ms)
			(void)fiber_cond_wait_until(&t->wake, t->again_ms);
		if (r == 0 && t->look)
			(void)arango_sleep(t->cancel, INV_GATHER_MS);
	}
}

/* Our own Plan: somebody makes or drops something here. */
static void
watch_fiber(void *arg)
{
	struct inv_target	*t = arg;
	struct backoff		 b = BACKOFF_INIT(500,
				    INV_AGENCY_RETRY_MS * 3 / 4);
	struct err_msg		 m;
	int			 r;

	while (!t->cancel->cancelled) {
		r = arango_agency_wait(t->ag, &t->watch, WATCH_MS, &m);
		if (r == 1) {
			t->own = true;
			wake(t);
			(void)arango_sleep(t->cancel, INV_GATHER_MS);
		}
		if (r >= 0) {
			backoff_reset(&b);
			continue;
		}
		t->watch.next = 0;
		(void)arango_sleep(t->cancel, backoff_failed(&b,
		    loop_now_ms(t->loop)));
	}
}

/* ---- life -------------------------------------------------------------- */

struct inv_target *
inv_target_new(struct arango *a, struct arango_cancel *cancel,
    const struct inventory_conf *conf, const struct inv_target_ops *ops,
    void *arg)
{
	static const char *const	 watched[] = { "/arango/Plan", NULL };
	struct inv_target		*t = xcalloc(1, sizeof(*t));

	t->a = a;
	t->ag = arango_agency_new(a, cancel);
	arango_agency_set_patience(t->ag, INV_AGENCY_RETRY_MS);
	t->cancel = cancel;
	t->ops = ops;
	t->arg = arg;
	t->loop = arango_loop(a);
	t->opts = (struct plan_opts)PLAN_OPTS_INIT;
	t->opts.allow_mass_drop = conf->allow_mass_drop;
	t->pinned = *conf->source != '\0' ? xstrdup(conf->source) : NULL;
	t->opts.pinned_cluster = t->pinned;
	t->memory = plan_memory_new();
	t->first = t->forget = conf->first;
	t->watch = (struct agency_watch)AGENCY_WATCH_INIT(watched);
	t->backoff = (struct backoff)BACKOFF_INIT(500,
	    INV_AGENCY_RETRY_MS * 3 / 4);
	t->again_ms = UINT64_MAX;
	t->state = "waiting";
	say_status(t);
	fiber_spawn(t->loop, target_fiber, t);
	fiber_spawn(t->loop, watch_fiber, t);
	return t;
}
