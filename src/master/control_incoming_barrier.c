/*
 * control_incoming_barrier.c - stopping with both sides equal (R22): carries
 * out the table of sync/barrier.h against the masters of the source.
 *
 * One fiber goes through the steps, another renews the lock at the source.
 * When we die, or the source cannot be reached, the lease ends there, and the
 * source's own master restores the mode.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/log.h"
#include "base/str.h"
#include "ev/loop.h"
#include "http/url.h"
#include "json/get.h"
#include "master/control_incoming_priv.h"

#define RENEW_MS		10000
#define RENEW_AGAIN_MS		2000
#define LOCK_WAIT_MS		20000
#define ABORT_WAIT_MS		15000
#define COMPARE_MS		((uint64_t)10 * 60 * 1000)
#define COMPARE_PARALLEL	8
#define REPAIR_LEAST_MS		2000

/* Up to where a DB-server of the source has written. */
struct mark {
	uint64_t	 tick, reboot_id;
};

struct incoming_barrier {
	struct control_incoming	*in;
	unsigned		 refs;
	struct barrier		 b;
	bool			 dropped;	/* nobody wants it any more */
	bool			 abort;
	bool			 lost;		/* the lease may have ended */
	uint64_t		 renewed_ms;
	struct fiber_cond	 wake;		/* either fiber, and waiters */
	char			*path;		/* at the source */
	/* Of the present round. */
	uint64_t		 plan;
	uint64_t		 marks_us;	/* the source's clock then */
	struct map		 marks;		/* server -> struct mark */
	uint64_t		 print;		/* of what may not change */
	uint64_t		 quiet_ms;	/* begun; 0: not */
	uint64_t		 repair_ms;	/* begun; 0: not */
	uint64_t		 idle_ms;	/* nobody writes since; 0: some
						 * do */
	char			 text[256];	/* with the next event */
};

static uint64_t
now_of(const struct incoming_barrier *ib)
{
	return loop_now_ms(ib->in->c->loop);
}

static void
release(struct incoming_barrier *ib)
{
	if (--ib->refs > 0)
		return;
	map_free(&ib->marks, free);
	incoming_release(&ib->in);
	free(ib->path);
	free(ib);
}

static bool
is_over(const struct incoming_barrier *ib)
{
	return ib->dropped || ib->in->ended;
}

static enum barrier_event	note(struct incoming_barrier *,
				    enum barrier_event, const char *, ...)
				    __attribute__((format(printf, 3, 4)));

static enum barrier_event
note(struct incoming_barrier *ib, enum barrier_event ev, const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	(void)vsnprintf(ib->text, sizeof(ib->text), fmt, ap);
	va_end(ap);
	return ev;
}

static uint64_t
number_at(struct json_object *o, const char *name)
{
	uint64_t	 v = 0;

	(void)json_want_uint(o, name, &v, NULL);
	return v;
}

/* ---- what the source is asked -------------------------------------------------- */

static int
ask(struct incoming_barrier *ib, const char *method, const char *tail,
    const char *body, struct json_object **out, int *status,
    struct err_msg *m)
{
	struct incoming_ask	 q = { .method = method, .body = body };
	char			*path = xasprintf("%s%s", ib->path, tail);
	int			 r;

	q.path = path;
	if (ib->in->source == NULL)
		r = err_set(m, ERR_CANCELLED, "synchronization has ended");
	else
		r = incoming_source_call(ib->in->source, &q, out, m);
	if (status != NULL)
		*status = q.status;
	free(path);
	return r;
}

static int
lock(struct incoming_barrier *ib, int *status, struct err_msg *m)
{
	char	 body[64];
	int	 r;

	snprintf(body, sizeof(body), "{\"lease_ms\":%d}", BARRIER_LEASE_MS);
	ib->b.locked = true;	/* perhaps, even without an answer */
	r = ask(ib, "POST", "", body, NULL, status, m);
	return r;
}

static enum barrier_event
do_lock(struct incoming_barrier *ib)
{
	uint64_t	 sent = now_of(ib);
	struct err_msg	 m = { "" };
	int		 r, status;

	if ((r = lock(ib, &status, &m)) == 0) {
		ib->renewed_ms = sent;
		return BARRIER_EV_OK;
	}
	if (r == ERR_HTTP && status < 500)
		return note(ib, BARRIER_EV_ERROR, "%.250s", m.text);
	return note(ib, BARRIER_EV_NOT_YET, "%.250s", m.text);
}

static enum barrier_event
do_servers(struct incoming_barrier *ib)
{
	struct json_object	*o = NULL;
	struct err_msg		 m = { "" };
	enum barrier_event	 ev = BARRIER_EV_OK;

	if (ask(ib, "GET", "/servers", NULL, &o, NULL, &m) != 0)
		return note(ib, BARRIER_EV_NOT_YET, "%.250s", m.text);
	if (!json_bool_or(o, "ready", false))
		ev = note(ib, BARRIER_EV_NOT_YET, "%.200s to become "
		    "read-only", json_string_or(o, "waits_for",
		    "servers of the source"));
	json_object_put(o);
	return ev;
}

static enum barrier_event
do_writers(struct incoming_barrier *ib)
{
	struct json_object	*o = NULL;
	struct err_msg		 m = { "" };
	enum barrier_event	 ev = BARRIER_EV_OK;
	int64_t			 n;

	if (ask(ib, "GET", "/writers", NULL, &o, NULL, &m) != 0)
		return note(ib, BARRIER_EV_NOT_YET, "%.250s", m.text);
	if ((n = json_int_or(o, "writers", 1)) > 0) {
		ib->idle_ms = 0;
		ev = note(ib, BARRIER_EV_NOT_YET, "%lld that still write at "
		    "the source: %.180s", (long long)n,
		    json_string_or(o, "what", "?"));
	} else if (ib->idle_ms == 0)
		ib->idle_ms = now_of(ib);
	/* Single requests are on no list: they are waited out. */
	if (n <= 0 && now_of(ib) - ib->idle_ms < number_at(o, "longest_ms"))
		ev = note(ib, BARRIER_EV_NOT_YET, "requests that may still "
		    "run at the source");
	json_object_put(o);
	return ev;
}

/* Into marks; ERR_FORMAT. */
static int
read_marks(struct json_object *o, uint64_t *plan, struct map *marks)
{
	struct json_object	*list, *e;
	struct err_msg		 m;
	struct mark		*k;
	const char		*id;
	size_t			 i;

	if (json_need_uint(o, "plan", plan, &m) != 0 ||
	    json_need_array(o, "servers", &list, &m) != 0)
		return ERR_FORMAT;
	for (i = 0; i < json_object_array_length(list); i++) {
		e = json_object_array_get_idx(list, i);
		k = xcalloc(1, sizeof(*k));
		if (json_need_string(e, "id", &id, &m) != 0 ||
		    json_need_uint(e, "reboot_id", &k->reboot_id, &m) != 0 ||
		    json_need_uint(e, "tick", &k->tick, &m) != 0) {
			free(k);
			return ERR_FORMAT;
		}
		free(map_put(marks, id, k));
	}
	return 0;
}

static int
ask_marks(struct incoming_barrier *ib, uint64_t *plan, uint64_t *us,
    struct map *marks, struct err_msg *m)
{
	struct json_object	*o = NULL;
	int			 r;

	if ((r = ask(ib, "GET", "/ticks", NULL, &o, NULL, m)) != 0)
		return r;
	if ((r = read_marks(o, plan, marks)) != 0)
		err_set(m, r, "the source tells ticks that are none");
	*us = number_at(o, "now_us");
	json_object_put(o);
	return r;
}

static enum barrier_event
do_ticks(struct incoming_barrier *ib)
{
	struct err_msg	 m = { "" };

	map_free(&ib->marks, free);
	ib->quiet_ms = ib->repair_ms = 0;
	if (ask_marks(ib, &ib->plan, &ib->marks_us, &ib->marks,
	    &m) != 0)
		return note(ib, BARRIER_EV_NOT_YET, "%.250s", m.text);
	return BARRIER_EV_OK;
}

/* ---- what we have applied -------------------------------------------------------- */

/* Of everything that a marker, another leader, a restart would change. */
static uint64_t
fingerprint(const struct control_incoming *in)
{
	struct incoming_pair	*p;
	struct control_worker	*w;
	struct map_iter		 it;
	uint64_t		 sum = in->plan;
	const char		*id;
	uint32_t		 i;

	INCOMING_EACH_PAIR(in, it, p) {
		for (i = 0; i < p->nshards; i++) {
			if ((w = p->shards[i].w) == NULL)
				continue;
			id = control_worker_word(w, "server");
			sum = sum * 31 + number_at(w->status, "records") +
			    ((uint64_t)w->generation << 32) +
			    crc32c(0, id, strlen(id));
		}
	}
	return sum;
}

/*
 * A server that leads shards of ours.  The last ticks of its log may mean
 * nothing to us, and no position goes beyond what does: then it counts that
 * everything which it had written when the ticks were read is applied.
 */
static enum barrier_event
check_server(struct incoming_barrier *ib, const char *id)
{
	const struct mark	*k = map_get(&ib->marks, id);
	struct json_object	*e = incoming_link_server(ib->in, id);
	uint64_t		 applied;

	if (k == NULL)
		return note(ib, BARRIER_EV_MOVED, "%.60s leads shards, and was "
		    "not there before", id);
	if (e == NULL)
		return note(ib, BARRIER_EV_NOT_YET, "news of %.60s", id);
	if (k->reboot_id != 0 && number_at(e, "reboot_id") != 0 &&
	    number_at(e, "reboot_id") != k->reboot_id)
		return note(ib, BARRIER_EV_MOVED, "%.60s was restarted", id);
	applied = number_at(e, "applied_tick");
	if (applied < k->tick && (ib->marks_us == 0 ||
	    number_at(e, "complete_us") < ib->marks_us))
		return note(ib, BARRIER_EV_NOT_YET, "%.60s: applied through "
		    "%" PRIu64 " of %" PRIu64, id, applied, k->tick);
	return BARRIER_EV_OK;
}

static enum barrier_event
check_shard(struct incoming_barrier *ib, const struct incoming_shard *s)
{
	enum shard_state	 state = incoming_shard_state(s);
	uint64_t		 owed;
	const char		*error = incoming_shard_error(s);

	if (state != SHARD_STATE_RUNNING)
		return note(ib, BARRIER_EV_NOT_YET, "shard %.120s, which is "
		    "%s%s%.80s", s->name, shard_state_name(state),
		    *error != '\0' ? ": " : "", error);
	if ((owed = number_at(s->w->status, "owed")) > 0)
		return note(ib, BARRIER_EV_NOT_YET, "shard %.120s: %" PRIu64
		    " documents wait for a unique index to have room",
		    s->name, owed);
	return BARRIER_EV_OK;
}

static enum barrier_event
check_shards(struct incoming_barrier *ib)
{
	struct incoming_pair	*p;
	struct incoming_shard	*s;
	struct map_iter		 it;
	struct map		 seen = MAP_INIT;
	enum barrier_event	 ev = BARRIER_EV_OK;
	const char		*id;
	uint32_t		 i;

	INCOMING_EACH_PAIR(ib->in, it, p) {
		for (i = 0; i < p->nshards && ev == BARRIER_EV_OK; i++) {
			s = &p->shards[i];
			if ((ev = check_shard(ib, s)) != BARRIER_EV_OK)
				break;
			id = control_worker_word(s->w, "server");
			if (*id == '\0' || map_has(&seen, id))
				continue;
			map_put(&seen, id, s);
			ev = check_server(ib, id);
		}
	}
	map_free(&seen, NULL);
	return ev;
}

static enum barrier_event
do_applied(struct incoming_barrier *ib)
{
	struct control_incoming	*in = ib->in;
	enum barrier_event	 ev;

	if (in->link == NULL ||
	    strcmp(control_worker_word(in->link, "state"), "running") != 0)
		return note(ib, BARRIER_EV_NOT_YET, "the connection to the "
		    "source: %.180s", in->link == NULL ? "none" :
		    control_worker_word(in->link, "error"));
	if (!in->has_plan || in->plan < ib->plan)
		return note(ib, BARRIER_EV_NOT_YET, "the structure: applied "
		    "through %" PRIu64 " of %" PRIu64, in->plan, ib->plan);
	if ((ev = check_shards(ib)) == BARRIER_EV_OK) {
		ib->quiet_ms = now_of(ib);
		ib->print = fingerprint(in);
	}
	return ev;
}

/* ---- nothing moves any more ------------------------------------------------------- */

static bool
same_reboots(const struct map *a, const struct map *b)
{
	const struct mark	*k, *l;
	struct map_iter		 it;

	MAP_FOREACH(a, it) {
		k = it.value;
		l = map_get(b, it.key);
		if (l == NULL || l->reboot_id != k->reboot_id)
			return false;
	}
	return true;
}

static enum barrier_event
do_quiet(struct incoming_barrier *ib)
{
	struct map		 marks = MAP_INIT;
	struct err_msg		 m = { "" };
	enum barrier_event	 ev = BARRIER_EV_OK;
	uint64_t		 plan = 0, us;

	if (ib->print != fingerprint(ib->in))
		return note(ib, BARRIER_EV_MOVED, "something was still "
		    "written");
	if (now_of(ib) - ib->quiet_ms < BARRIER_QUIET_MS)
		return note(ib, BARRIER_EV_NOT_YET, "three seconds without a "
		    "change");
	if (ask_marks(ib, &plan, &us, &marks, &m) != 0)
		ev = note(ib, BARRIER_EV_NOT_YET, "%.250s", m.text);
	else if (plan != ib->plan || !same_reboots(&ib->marks, &marks) ||
	    !same_reboots(&marks, &ib->marks))
		ev = note(ib, BARRIER_EV_MOVED, "the structure or a server of "
		    "the source has changed");
	map_free(&marks, free);
	return ev;
}

/* ---- comparing, repairing ----------------------------------------------------------- */

struct comparing {
	struct incoming_barrier	*ib;
	struct map		 taken;	/* names of shards */
	struct fiber_group	 group;
	char			 differs[256], error[256];
};

/* Some shard that nobody has looked at; marks it as taken. */
static struct incoming_shard *
next_shard(struct comparing *k)
{
	struct incoming_pair	*p;
	struct incoming_shard	*s;
	struct map_iter		 it;
	uint32_t		 i;

	INCOMING_EACH_PAIR(k->ib->in, it, p) {
		for (i = 0; i < p->nshards; i++) {
			s = &p->shards[i];
			if (s->in_sync || s->differs ||
			    map_has(&k->taken, s->name))
				continue;
			map_put(&k->taken, s->name, k);
			return s;
		}
	}
	return NULL;
}

static void
compare_some(void *arg)
{
	struct comparing	*k = arg;
	struct incoming_compare	 cmp;
	struct incoming_shard	*s;
	char			*db, *coll;
	uint32_t		 index;
	int			 r;

	while (!is_over(k->ib) && !k->ib->abort && !k->ib->lost &&
	    (s = next_shard(k)) != NULL) {
		db = xstrdup(s->pair->db);
		coll = xstrdup(s->pair->coll);
		index = s->index;
		r = incoming_compare(s, COMPARE_MS, &cmp);
		/* It may be gone, or another one of that name. */
		s = is_over(k->ib) ? NULL :
		    incoming_shard_find(k->ib->in, db, coll, index);
		if (r != 0)
			snprintf(k->error, sizeof(k->error), "%.60s/%.60s/%u: "
			    "%.60s", db, coll, index, cmp.text);
		else if (s != NULL && strcmp(cmp.source, cmp.target) == 0)
			s->in_sync = true;
		else if (s != NULL) {
			s->differs = true;
			snprintf(k->differs, sizeof(k->differs),
			    "%.60s/%.60s/%u (%" PRIu64 " differ)", db, coll,
			    index, cmp.differ);
			log_warning("%s: differs behind the barrier, %" PRIu64
			    " pairs; repairing", s->name, cmp.differ);
		}
		free(db);
		free(coll);
	}
}

static enum barrier_event
do_compare(struct incoming_barrier *ib)
{
	struct comparing	*k = xcalloc(1, sizeof(*k));
	enum barrier_event	 ev = BARRIER_EV_OK;
	int			 i;

	k->ib = ib;
	for (i = 0; i < COMPARE_PARALLEL; i++)
		fiber_group_spawn(&k->group, ib->in->c->loop, compare_some, k);
	fiber_group_wait(&k->group);
	if (k->differs[0] != '\0')
		ev = note(ib, BARRIER_EV_DIFFERS, "%s", k->differs);
	else if (k->error[0] != '\0')
		ev = note(ib, BARRIER_EV_NOT_YET, "the comparison of %.230s",
		    k->error);
	map_free(&k->taken, NULL);
	free(k);
	return ev;
}

static enum barrier_event
do_repair(struct incoming_barrier *ib)
{
	struct incoming_pair	*p;
	struct incoming_shard	*s;
	struct map_iter		 it;
	enum barrier_event	 ev = BARRIER_EV_OK;
	bool			 begin = ib->repair_ms == 0;
	uint32_t		 i;

	if (begin)
		ib->repair_ms = now_of(ib);
	INCOMING_EACH_PAIR(ib->in, it, p) {
		for (i = 0; i < p->nshards; i++) {
			s = &p->shards[i];
			if (!s->differs)
				continue;
			if (begin)
				(void)incoming_repair(s,
				    "differs behind the barrier");
			if (incoming_shard_state(s) != SHARD_STATE_RUNNING)
				ev = note(ib, BARRIER_EV_NOT_YET, "the repair "
				    "of %.200s", s->name);
		}
	}
	if (now_of(ib) - ib->repair_ms < REPAIR_LEAST_MS)
		return note(ib, BARRIER_EV_NOT_YET, "the repair of what "
		    "differed");
	return ev;
}

/* A new round: nothing is known of any shard. */
static void
forget_results(struct control_incoming *in)
{
	struct incoming_pair	*p;
	struct map_iter		 it;
	uint32_t		 i;

	INCOMING_EACH_PAIR(in, it, p) {
		for (i = 0; i < p->nshards; i++)
			p->shards[i].in_sync = p->shards[i].differs = false;
	}
}

static enum barrier_event
do_restore(struct incoming_barrier *ib)
{
	struct err_msg	 m = { "" };
	int		 r, status;

	if (!ib->b.locked)
		return BARRIER_EV_OK;
	r = ask(ib, "DELETE", "", NULL, NULL, &status, &m);
	if (r == 0 || status == 404)
		return BARRIER_EV_OK;
	if (now_of(ib) - ib->renewed_ms > BARRIER_LEASE_MS)
		return BARRIER_EV_LEASE_LOST;	/* it does so itself */
	return note(ib, BARRIER_EV_NOT_YET, "%.250s", m.text);
}

/* ---- the fibers --------------------------------------------------------------------- */

static enum barrier_event
perform(struct incoming_barrier *ib)
{
	switch (ib->b.step) {
	case BARRIER_LOCK:
		return do_lock(ib);
	case BARRIER_SERVERS:
		return do_servers(ib);
	case BARRIER_WRITERS:
		return do_writers(ib);
	case BARRIER_TICKS:
		return do_ticks(ib);
	case BARRIER_APPLIED:
		return do_applied(ib);
	case BARRIER_QUIET:
		return do_quiet(ib);
	case BARRIER_COMPARE:
		return do_compare(ib);
	case BARRIER_REPAIR:
		return do_repair(ib);
	default:
		return do_restore(ib);
	}
}

static void
feed(struct incoming_barrier *ib, enum barrier_event ev)
{
	enum barrier_step	 old = ib->b.step;

	if (barrier_event(&ib->b, ev, now_of(ib), NULL, "%s", ib->text) != 0) {
		log_error("barrier: %s in step %s is not foreseen",
		    barrier_event_name(ev), barrier_step_name(old));
		(void)barrier_event(&ib->b, BARRIER_EV_ERROR, now_of(ib),
		    NULL, "%s", "an answer that is not foreseen");
	}
	if (ib->b.step == BARRIER_TICKS && old != BARRIER_TICKS)
		forget_results(ib->in);
	if (ib->b.step != old)
		log_info("barrier: %s -> %s%s%s", barrier_step_name(old),
		    barrier_step_name(ib->b.step),
		    ev == BARRIER_EV_OK || ib->text[0] == '\0' ? "" : ": ",
		    ev == BARRIER_EV_OK ? "" : ib->text);
	ib->text[0] = '\0';
	(void)fiber_cond_broadcast(&ib->wake);
}

static bool
can_be_undone(const struct incoming_barrier *ib)
{
	return ib->b.step != BARRIER_UNDO && ib->b.step != BARRIER_DONE;
}

static void
run(void *arg)
{
	struct incoming_barrier	*ib = arg;
	enum barrier_event	 ev;

	while (!is_over(ib) && ib->b.step != BARRIER_DONE &&
	    ib->b.step != BARRIER_FAILED) {
		ib->text[0] = '\0';
		ev = perform(ib);
		if (is_over(ib))
			break;
		if (ib->abort && can_be_undone(ib))
			ev = BARRIER_EV_ABORT;
		else if (ib->lost && can_be_undone(ib))
			ev = BARRIER_EV_LEASE_LOST;
		feed(ib, ev);
		if (ib->b.again_ms != UINT64_MAX && !is_over(ib))
			(void)fiber_cond_wait_until(&ib->wake,
			    ib->b.again_ms);
	}
	if (!is_over(ib) && ib->b.step == BARRIER_DONE)
		log_notice("barrier: everything of the source is here, all "
		    "shards are equal");
	else if (!is_over(ib))
		log_warning("barrier: %s", ib->b.failed);
	release(ib);
}

/* The source may restore its mode when it has not heard of us for so long. */
static void
lease_check(struct incoming_barrier *ib, const struct err_msg *m)
{
	if (ib->lost || now_of(ib) - ib->renewed_ms < BARRIER_LEASE_MS)
		return;
	log_warning("barrier: the lock at the source was not renewed in time: "
	    "%s", m->text);
	ib->lost = true;
	if (ib->b.step == BARRIER_DONE) {
		(void)str_copy(ib->b.failed, sizeof(ib->b.failed), "the "
		    "source's lock was lost");
		ib->b.step = BARRIER_FAILED;
		forget_results(ib->in);
	}
	incoming_compare_cancel(ib->in);
	(void)fiber_cond_broadcast(&ib->wake);
}

static void
renew(void *arg)
{
	struct incoming_barrier	*ib = arg;
	struct err_msg		 m = { "" };
	uint64_t		 pause = RENEW_MS, sent, until;

	for (;;) {
		until = now_of(ib) + pause;
		while (!is_over(ib) && !ib->abort && !ib->lost &&
		    ib->b.step != BARRIER_FAILED && now_of(ib) < until)
			(void)fiber_cond_wait_until(&ib->wake, until);
		if (is_over(ib) || ib->abort || ib->lost ||
		    ib->b.step == BARRIER_FAILED)
			break;
		if (ib->renewed_ms == 0)
			continue;	/* not locked yet */
		sent = now_of(ib);
		if (lock(ib, NULL, &m) == 0) {
			ib->renewed_ms = sent;
			pause = RENEW_MS;
		} else if (!is_over(ib)) {
			pause = RENEW_AGAIN_MS;
			lease_check(ib, &m);
		}
	}
	release(ib);
}

static struct incoming_barrier *
start(struct control_incoming *in)
{
	struct incoming_barrier	*ib = xcalloc(1, sizeof(*ib));
	enum barrier_action	 action;
	char			*id = url_encode(in->c->cluster_id);

	ib->in = incoming_hold(in);
	ib->refs = 3;		/* in->barrier, both fibers */
	ib->path = xasprintf("/_x/v1/barrier/%s", id);
	free(id);
	barrier_start(&ib->b, 0, now_of(ib), &action);
	forget_results(in);
	in->barrier = ib;
	log_notice("barrier: the source is to become read-only");
	fiber_spawn(in->c->loop, run, ib);
	fiber_spawn(in->c->loop, renew, ib);
	return ib;
}

void
incoming_barrier_drop(struct control_incoming *in)
{
	struct incoming_barrier	*ib = in->barrier;

	if (ib == NULL)
		return;
	in->barrier = NULL;
	ib->dropped = true;
	forget_results(in);
	incoming_compare_cancel(in);
	(void)fiber_cond_broadcast(&ib->wake);
	release(ib);
}

/* ---- calls ------------------------------------------------------------------------------ */

/* Give the source its mode back, and wait for that.  Waits. */
static int
undo(struct incoming_barrier *ib, uint64_t ms, struct err_msg *m)
{
	uint64_t	 deadline = now_of(ib) + ms;
	int		 r, status;

	if (ib->b.step == BARRIER_DONE) {
		r = ask(ib, "DELETE", "", NULL, NULL, &status, m);
		return r == 0 || status == 404 ? 0 : r;
	}
	ib->abort = true;
	incoming_compare_cancel(ib->in);
	(void)fiber_cond_broadcast(&ib->wake);
	while (!is_over(ib) && ib->b.step != BARRIER_FAILED)
		if (fiber_cond_wait_until(&ib->wake, deadline) != 0)
			return err_set(m, ERR_TIMEOUT, "the source has not "
			    "got its mode back yet: %.200s; it does so itself "
			    "when the lease of %d s ends", ib->b.waits_for,
			    BARRIER_LEASE_MS / 1000);
	return 0;
}

static int
wait_locked(struct incoming_barrier *ib, struct json_object **out)
{
	uint64_t	 deadline = now_of(ib) + LOCK_WAIT_MS;
	struct err_msg	 m = { "" };
	char		 why[256];

	while (!is_over(ib) && ib->b.step == BARRIER_LOCK &&
	    fiber_cond_wait_until(&ib->wake, deadline) == 0)
		;
	if (is_over(ib))
		return control_say(out, 503, "cancelled: service "
		    "unavailable");
	if (ib->b.step == BARRIER_LOCK) {
		(void)str_copy(why, sizeof(why), ib->b.waits_for);
		(void)undo(ib, ABORT_WAIT_MS, &m);
		return control_say(out, 412, "the source cannot be made "
		    "read-only: %s: precondition failed", why);
	}
	if (ib->b.step == BARRIER_UNDO || ib->b.step == BARRIER_FAILED)
		return control_say(out, 412, "%s: precondition failed",
		    ib->b.failed);
	return 200;
}

int
control_incoming_post_barrier(struct control_call *call,
    struct json_object **out)
{
	struct control_incoming	*in;
	struct incoming_barrier	*ib;
	int			 status;

	if ((in = incoming_of(call, out, &status)) == NULL)
		return status;
	if (!in->active || in->state != SHARD_STATE_RUNNING) {
		status = control_say(out, 412, "synchronization is not "
		    "running but %s: precondition failed",
		    shard_state_name(in->state));
		incoming_release(&in);
		return status;
	}
	if (in->barrier != NULL && (in->barrier->b.step == BARRIER_FAILED ||
	    in->barrier->abort))
		incoming_barrier_drop(in);
	ib = in->barrier != NULL ? in->barrier : start(in);
	ib->refs++;
	status = wait_locked(ib, out);
	release(ib);
	incoming_release(&in);
	return status;
}

static bool
is_readonly(const struct incoming_barrier *ib)
{
	return ib != NULL && !ib->lost && ib->b.step > BARRIER_SERVERS &&
	    ib->b.step <= BARRIER_DONE;
}

/*
 * Clients take it for done when nothing is out of sync and something is in
 * sync; so something is, even in a cluster without collections: its structure.
 */
static void
count_shards(const struct control_incoming *in, size_t *same, size_t *not)
{
	struct incoming_pair	*p;
	struct map_iter		 it;
	size_t			 total = MAX(in->nshards, 1);
	uint32_t		 i;

	*same = 0;
	INCOMING_EACH_PAIR(in, it, p) {
		for (i = 0; i < p->nshards; i++)
			*same += p->shards[i].in_sync;
	}
	if (in->barrier != NULL && in->barrier->b.step == BARRIER_DONE)
		*same = total;
	else
		*same = MIN(*same, total - 1);
	*not = total - *same;
}

struct json_object *
incoming_barrier_info(struct control_incoming *in)
{
	struct incoming_barrier	*ib = in->barrier;
	struct json_object	*o;

	if (ib == NULL)
		return NULL;
	o = json_object_new_object();
	json_set_string(o, "step", barrier_step_name(ib->b.step));
	json_set_uint(o, "rounds", ib->b.rounds);
	if (ib->b.waits_for[0] != '\0')
		json_set_string(o, "waits_for", ib->b.waits_for);
	if (ib->b.failed[0] != '\0')
		json_set_string(o, "failed", ib->b.failed);
	return o;
}

int
control_incoming_get_barrier(struct control_call *call,
    struct json_object **out)
{
	struct control_incoming	*in;
	struct json_object	*x;
	size_t			 same, not;
	int			 status;

	if ((in = incoming_of(call, out, &status)) == NULL)
		return status;
	*out = json_object_new_object();
	if (in->active) {
		count_shards(in, &same, &not);
		if (same > 0)
			json_set_uint(*out, "in_sync_shards", same);
		if (not > 0)
			json_set_uint(*out, "not_in_sync_shards", not);
	}
	json_set_bool(*out, "SourceServerReadonly", is_readonly(in->barrier));
	if ((x = incoming_barrier_info(in)) != NULL)
		json_set(*out, "x", x);
	incoming_release(&in);
	return 200;
}

int
control_incoming_delete_barrier(struct control_call *call,
    struct json_object **out)
{
	struct control_incoming	*in;
	struct incoming_barrier	*ib;
	struct err_msg		 m = { "" };
	int			 status;

	if ((in = incoming_of(call, out, &status)) == NULL)
		return status;
	if ((ib = in->barrier) != NULL) {
		ib->refs++;
		if (undo(ib, ABORT_WAIT_MS, &m) != 0)
			status = control_say(out, 503, "%s: service "
			    "unavailable", m.text);
		else if (in->barrier == ib)
			incoming_barrier_drop(in);
		release(ib);
	}
	incoming_release(&in);
	return status;
}
