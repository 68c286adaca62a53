/*
 * control_outgoing_barrier.c - a target wants to stop with both sides equal
 * (R22): what the source does, and answers, for that.
 *
 * What the mode of the servers was before is in the agency before it is
 * changed, so that whoever leads next restores it.  The lease is counted here
 * only; a new leader begins it anew.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arango/conn.h"
#include "arango/structure.h"
#include "arango/tail.h"
#include "base/clock.h"
#include "base/log.h"
#include "ev/loop.h"
#include "json/get.h"
#include "master/control_outgoing_priv.h"
#include "master/control_topology.h"
#include "sync/barrier.h"

#define PREFIX		"/_x/v1/barrier/"
#define LEASE_MAX_MS	600000
/* Requests that are in no list (single documents) are waited for that long at
 * least: longer than one usually takes. */
#define LONGEST_MIN_MS	1000
#define DATABASES_MAX	10000

/* ---- locking ------------------------------------------------------------ */

void
outgoing_barrier_load(struct out_target *t, struct json_object *o)
{
	struct out_barrier	*b = &t->barrier;

	if (!json_object_is_type(o, json_type_object))
		return;
	b->active = true;
	b->previous = strcmp(json_string_or(o, "previous", ""),
	    "readonly") == 0;
	b->lease_ms = (uint64_t)MIN(MAX(json_int_or(o, "lease_ms",
	    BARRIER_LEASE_MS), 1000), LEASE_MAX_MS);
	b->until_ms = loop_now_ms(t->o->c->loop) + b->lease_ms;
}

/* Another target's barrier, which has changed the mode already. */
static struct out_target *
other_barrier(const struct out_target *t)
{
	struct map_iter		 it;
	struct out_target	*x;

	MAP_FOREACH(&t->o->targets, it) {
		x = it.value;
		if (x != t && x->barrier.active)
			return x;
	}
	return NULL;
}

static int
store_barrier(struct out_target *t, struct err_msg *m)
{
	struct agency_trx	 trx = AGENCY_TRX_INIT;
	struct json_object	*o = json_object_new_object(), *state;
	char			*path;
	int			 r;

	json_set_string(o, "previous", t->barrier.previous ? "readonly" :
	    "default");
	json_set_uint(o, "lease_ms", t->barrier.lease_ms);
	path = xasprintf(OUTGOING_BARRIER "/%s", t->id);
	agency_trx_set(&trx, path, o, 0);
	free(path);
	state = outgoing_target_json(t);
	path = xasprintf(OUTGOING_KEY "/targets/%s", t->id);
	agency_trx_set(&trx, path, state, 0);
	free(path);
	r = outgoing_write(t->o, &trx, m);
	agency_trx_free(&trx);
	json_object_put(state);
	json_object_put(o);
	return r;
}

static int
forget_barrier(struct out_target *t, struct err_msg *m)
{
	struct agency_trx	 trx = AGENCY_TRX_INIT;
	struct json_object	*state = outgoing_target_json(t);
	char			*path;
	int			 r;

	path = xasprintf(OUTGOING_BARRIER "/%s", t->id);
	agency_trx_delete(&trx, path);
	free(path);
	path = xasprintf(OUTGOING_KEY "/targets/%s", t->id);
	agency_trx_set(&trx, path, state, 0);
	free(path);
	r = outgoing_write(t->o, &trx, m);
	agency_trx_free(&trx);
	json_object_put(state);
	return r;
}

/* Read-only, with what was before in the agency; the mutex is ours. */
static int
do_lock(struct out_target *t, struct err_msg *m)
{
	struct out_barrier	*b = &t->barrier;
	struct out_target	*other = other_barrier(t);
	int			 r;

	if (other != NULL)
		b->previous = other->barrier.previous;
	else if ((r = arango_mode_get(t->o->c->cluster, NULL, &b->previous,
	    m)) != 0)
		return r;
	b->active = true;
	if ((r = store_barrier(t, m)) != 0) {
		/* Whether it is there or not: it is looked after. */
		b->until_ms = 0;
		return r;
	}
	log_notice("target %s: the cluster becomes read-only, until its "
	    "synchronization has stopped", t->id);
	return arango_mode_set(t->o->c->cluster, true, m);
}

int
outgoing_barrier_end(struct out_target *t, struct err_msg *m)
{
	struct out_barrier	*b = &t->barrier;
	bool			 readonly = b->previous;
	int			 r = 0;

	fiber_mutex_lock(&b->mutex);
	if (t->mode_given)
		readonly = t->readonly_after;
	else
		readonly = b->previous;
	if (b->active && other_barrier(t) == NULL) {
		r = arango_mode_set(t->o->c->cluster, readonly, m);
		if (r == 0)
			log_notice("target %s: the cluster is %s again", t->id,
			    readonly ? "read-only" : "writable");
	} else if (t->mode_given && other_barrier(t) == NULL)
		r = arango_mode_set(t->o->c->cluster, readonly, m);
	if (r == 0 && b->active) {
		b->active = false;
		if (!t->o->ended && (r = forget_barrier(t, m)) != 0)
			b->active = true;
	}
	fiber_mutex_unlock(&b->mutex);
	return r;
}

static void
restore_fiber(void *arg)
{
	struct out_target	*t = arg;
	struct control_outgoing	*o = t->o;
	struct err_msg		 m = { "" };

	if (!o->ended && outgoing_barrier_end(t, &m) != 0 && !o->ended) {
		log_error("target %s: the cluster stays read-only: %s; trying "
		    "again", t->id, m.text);
		(void)arango_sleep(&o->cancel, 1000);
	}
	t->barrier.restoring = false;
	outgoing_release(&o);
}

void
outgoing_barrier_tick(struct out_target *t, uint64_t now_ms)
{
	struct out_barrier	*b = &t->barrier;

	/* who was stopped for long may not know yet that another one leads, and
	 * has a barrier of that name */
	if (!b->active || b->restoring || t->cancelling ||
	    now_ms < b->until_ms || b->mutex.owner != NULL ||
	    !control_is_leader(t->o->c))
		return;
	log_warning("target %s: it was not heard of for %" PRIu64 " s while "
	    "it was stopping; the mode of the servers is restored", t->id,
	    b->lease_ms / 1000);
	b->restoring = true;
	(void)outgoing_hold(t->o);
	fiber_spawn(t->o->c->loop, restore_fiber, t);
}

/* ---- asking many servers at once ---------------------------------------- */

enum question { ASK_MODE, ASK_TICK };

struct ask {
	struct control	*c;
	enum question	 what;
	struct arango_server *s;
	uint64_t	 reboot_id;
	int		 r;
	struct err_msg	 m;
	bool		 readonly;
	uint64_t	 tick;
};

static void
ask_fiber(void *arg)
{
	struct ask	*a = arg;

	if (a->what == ASK_MODE)
		a->r = arango_mode_get(a->c->cluster, a->s, &a->readonly,
		    &a->m);
	else
		a->r = arango_wal_last_tick(a->c->cluster, a->s, &a->tick,
		    NULL, &a->m);
}

/*
 * All DB-servers (and coordinators) that are in the cluster and not given up
 * by its supervision.  *n answers in order; free() them.
 */
static struct ask *
ask_all(struct control *c, enum question what, bool coordinators, size_t *n)
{
	struct arango_topology	*t = control_topology(c);
	struct topo_server	*ts;
	struct fiber_group	 group = FIBER_GROUP_INIT;
	struct ask		*list = NULL;
	size_t			 i;

	*n = 0;
	if (t == NULL)
		return NULL;
	list = xcalloc(t->nservers + 1, sizeof(*list));
	for (i = 0; i < t->nservers; i++) {
		ts = &t->servers[i];
		if (!ts->in_plan || ts->health == TOPO_HEALTH_FAILED ||
		    (ts->role != ARANGO_DBSERVER && (!coordinators ||
		    ts->role != ARANGO_COORDINATOR)))
			continue;
		list[*n].c = c;
		list[*n].what = what;
		list[*n].reboot_id = ts->reboot_id;
		if ((list[*n].s = arango_server_get(c->cluster,
		    ts->id)) != NULL)
			(*n)++;
	}
	for (i = 0; i < *n; i++)
		fiber_group_spawn(&group, c->loop, ask_fiber, &list[i]);
	fiber_group_wait(&group);
	return list;
}

/* ---- questions of the target -------------------------------------------- */

static int
get_servers(struct control *c, struct json_object **out)
{
	struct buf	 why = BUF_INIT;
	struct ask	*list;
	size_t		 i, n;

	list = ask_all(c, ASK_MODE, true, &n);
	if (n == 0)
		buf_printf(&why, "the servers of the cluster are not known");
	for (i = 0; i < n; i++) {
		if (list[i].r != 0)
			buf_printf(&why, "%s%s: %s", why.len == 0 ? "" : "; ",
			    list[i].s->id, list[i].m.text);
		else if (!list[i].readonly)
			buf_printf(&why, "%s%s is not read-only yet",
			    why.len == 0 ? "" : "; ", list[i].s->id);
	}
	*out = json_object_new_object();
	json_set_bool(*out, "ready", why.len == 0);
	json_set_string(*out, "waits_for", why.len == 0 ? "" :
	    buf_cstr(&why));
	buf_free(&why);
	free(list);
	return 200;
}

static int
count_transactions(struct control *c, size_t *n, struct err_msg *what,
    struct err_msg *m)
{
	struct arango_topology	*t = control_topology(c);
	const char		**dbs;
	size_t			 i, ndbs = 0;
	int			 r;

	if (t == NULL)
		return err_set(m, ERR_BAD_STATE, "the databases of the "
		    "cluster are not known");
	t = arango_topology_hold(t);
	dbs = xcalloc(t->ndbs + 1, sizeof(*dbs));
	for (i = 0; i < t->ndbs; i++)
		if (!t->dbs[i].building)
			dbs[ndbs++] = t->dbs[i].name;
	r = arango_transactions(c->cluster, dbs, n, what, m);
	free(dbs);
	arango_topology_release(&t);
	return r;
}

static int
get_writers(struct control *c, struct json_object **out)
{
	struct err_msg	 trx = { "" }, queries = { "" }, m = { "" };
	size_t		 ntrx = 0, nqueries = 0;
	uint64_t	 began = loop_now_ms(c->loop);
	char		*what;

	if (count_transactions(c, &ntrx, &trx, &m) != 0 ||
	    arango_writing_queries(c->cluster, &nqueries, &queries, &m) != 0)
		return control_say(out, 503, "%s: service unavailable",
		    m.text);
	what = xasprintf("%s%s%s%s%s", ntrx > 0 ? "transactions " : "",
	    trx.text, ntrx > 0 && nqueries > 0 ? ", " : "",
	    nqueries > 0 ? "queries " : "", queries.text);
	*out = json_object_new_object();
	json_set_uint(*out, "writers", ntrx + nqueries);
	json_set_string(*out, "what", what);
	/* Servers that are slow to answer us are so for others. */
	json_set_uint(*out, "longest_ms", MAX(loop_now_ms(c->loop) - began,
	    LONGEST_MIN_MS));
	free(what);
	return 200;
}

static int
get_ticks(struct control *c, struct json_object **out)
{
	struct arango_topology	*t = control_topology(c);
	struct json_object	*servers, *e;
	struct ask		*list;
	uint64_t		 plan = t == NULL ? 0 : t->plan_version;
	size_t			 i, n;
	int			 status = 200;

	list = ask_all(c, ASK_TICK, false, &n);
	if (n == 0)
		status = control_say(out, 503, "the servers of the cluster "
		    "are not known: service unavailable");
	for (i = 0; i < n && status == 200; i++)
		if (list[i].r != 0)
			status = control_say(out, 503, "%s: service "
			    "unavailable", list[i].m.text);
	if (status != 200) {
		free(list);
		return status;
	}
	servers = json_object_new_array();
	for (i = 0; i < n; i++) {
		e = json_object_new_object();
		json_set_string(e, "id", list[i].s->id);
		json_set_uint(e, "reboot_id", list[i].reboot_id);
		json_set_uint(e, "tick", list[i].tick);
		json_object_array_add(servers, e);
	}
	*out = json_object_new_object();
	json_set_uint(*out, "plan", plan);
	/* By the clock that tails use: what was written until now. */
	json_set_uint(*out, "now_us", clock_wall_us());
	json_object_object_add(*out, "servers", servers);
	free(list);
	return 200;
}

/* ---- routes ------------------------------------------------------------- */

/* The lease that is asked for, in *ms; false: what is asked for is wrong. */
static bool
lease_of(struct control_call *call, uint64_t *ms)
{
	struct json_object	*o = control_body(call);
	int64_t			 v = BARRIER_LEASE_MS;
	struct err_msg		 m;
	int			 r;

	if (o == NULL)
		return false;
	r = json_want_int(o, "lease_ms", 1000, LEASE_MAX_MS, &v, &m);
	json_object_put(o);
	*ms = (uint64_t)v;
	return r == 0;
}

int
control_outgoing_post_barrier(struct control_call *call,
    struct json_object **out)
{
	struct control_outgoing	*o;
	struct out_target	*t;
	struct err_msg		 m = { "" };
	const char		*rest;
	uint64_t		 lease;
	int			 status, r = 0;

	if ((t = outgoing_of_call(call, PREFIX, &rest, out, &status)) == NULL)
		return status;
	if (*rest != '\0')
		return control_say(out, 404, "not found");
	if (t->cancelling)
		return control_say(out, 409, "the synchronization is being "
		    "ended: conflict");
	if (!lease_of(call, &lease))
		return control_say(out, 400, "lease_ms must be a number of "
		    "milliseconds from 1000 to %d: bad request",
		    LEASE_MAX_MS);
	o = outgoing_hold(t->o);
	fiber_mutex_lock(&t->barrier.mutex);
	t->barrier.lease_ms = lease;
	t->barrier.until_ms = loop_now_ms(o->c->loop) + lease;
	if (!t->barrier.active)
		r = do_lock(t, &m);
	fiber_mutex_unlock(&t->barrier.mutex);
	if (r == 0 && o->ended)
		r = err_set(&m, ERR_BAD_STATE, "not the leader");
	outgoing_release(&o);
	if (r != 0)
		return control_say(out, 503, "%s: service unavailable",
		    m.text);
	*out = json_object_new_object();
	json_set_bool(*out, "locked", true);
	return 200;
}

int
control_outgoing_get_barrier(struct control_call *call,
    struct json_object **out)
{
	struct out_target	*t;
	const char		*rest;
	int			 status;

	if ((t = outgoing_of_call(call, PREFIX, &rest, out, &status)) == NULL)
		return status;
	if (strcmp(rest, "servers") == 0)
		return get_servers(call->c, out);
	if (strcmp(rest, "writers") == 0)
		return get_writers(call->c, out);
	if (strcmp(rest, "ticks") == 0)
		return get_ticks(call->c, out);
	if (*rest != '\0')
		return control_say(out, 404, "not found");
	*out = json_object_new_object();
	json_set_bool(*out, "locked", t->barrier.active);
	return 200;
}

int
control_outgoing_delete_barrier(struct control_call *call,
    struct json_object **out)
{
	struct control_outgoing	*o;
	struct out_target	*t;
	struct err_msg		 m = { "" };
	const char		*rest;
	int			 status, r;

	if ((t = outgoing_of_call(call, PREFIX, &rest, out, &status)) == NULL)
		return status;
	if (*rest != '\0')
		return control_say(out, 404, "not found");
	o = outgoing_hold(t->o);
	r = outgoing_barrier_end(t, &m);
	outgoing_release(&o);
	if (r != 0)
		return control_say(out, 503, "%s: service unavailable",
		    m.text);
	return 200;
}
