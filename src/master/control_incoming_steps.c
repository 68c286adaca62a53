/*
 * control_incoming_steps.c - what each step of a barrier does (R22): questions
 * to the source, what we have applied, comparison, repair.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/log.h"
#include "json/get.h"
#include "master/control_incoming_barrier.h"

#define COMPARE_MS		((uint64_t)10 * 60 * 1000)
/* As many as check sync: small ones wait for the next round of a tail
 * together. */
#define COMPARE_PARALLEL	32
#define REPAIR_LEAST_MS		2000

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

/* ---- what the source is asked ------------------------------------------- */

/* *asking is what ends it early, as long as it lasts. */
static int
ask(struct incoming_barrier *ib, const char *method, const char *tail,
    const char *body, struct incoming_ask **asking, struct json_object **out,
    int *status, struct err_msg *m)
{
	struct incoming_ask	 q = { .method = method, .body = body };
	char			*path = xasprintf("%s%s", ib->path, tail);
	int			 r;

	q.path = path;
	*asking = &q;
	if (ib->in->source == NULL)
		r = err_set(m, ERR_CANCELLED, "synchronization has ended");
	else
		r = incoming_source_call(ib->in->source, &q, out, m);
	*asking = NULL;
	if (status != NULL)
		*status = q.status;
	free(path);
	return r;
}

int
ib_ask(struct incoming_barrier *ib, const char *method, const char *tail,
    const char *body, struct json_object **out, int *status,
    struct err_msg *m)
{
	return ask(ib, method, tail, body, &ib->asking, out, status, m);
}

int
ib_lock(struct incoming_barrier *ib, struct incoming_ask **asking,
    int *status, struct err_msg *m)
{
	char	 body[64];

	snprintf(body, sizeof(body), "{\"lease_ms\":%d}", BARRIER_LEASE_MS);
	ib->b.locked = true;	/* perhaps, even without an answer */
	return ask(ib, "POST", "", body, asking, NULL, status, m);
}

static enum barrier_event
do_lock(struct incoming_barrier *ib)
{
	uint64_t	 sent = ib_now(ib);
	struct err_msg	 m = { "" };
	int		 r, status;

	if ((r = ib_lock(ib, &ib->asking, &status, &m)) == 0) {
		ib->renewed_ms = sent;
		return BARRIER_EV_OK;
	}
	if (r == ERR_HTTP && status < 500)
		return note(ib, BARRIER_EV_ERROR, "%.250s", m.text);
	return note(ib, BARRIER_EV_NOT_YET, "the source to become read-only: "
	    "%.200s", m.text);
}

static enum barrier_event
do_servers(struct incoming_barrier *ib)
{
	struct json_object	*o = NULL;
	struct err_msg		 m = { "" };
	enum barrier_event	 ev = BARRIER_EV_OK;

	if (ib_ask(ib, "GET", "/servers", NULL, &o, NULL, &m) != 0)
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

	if (ib_ask(ib, "GET", "/writers", NULL, &o, NULL, &m) != 0)
		return note(ib, BARRIER_EV_NOT_YET, "%.250s", m.text);
	if ((n = json_int_or(o, "writers", 1)) > 0) {
		ib->idle_ms = 0;
		ev = note(ib, BARRIER_EV_NOT_YET, "%lld that still write at "
		    "the source: %.180s", (long long)n,
		    json_string_or(o, "what", "?"));
	} else if (ib->idle_ms == 0)
		ib->idle_ms = ib_now(ib);
	/* Single requests are on no list: they are waited out. */
	if (n <= 0 && ib_now(ib) - ib->idle_ms < number_at(o, "longest_ms"))
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
	struct incoming_mark		*k;
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

	if ((r = ib_ask(ib, "GET", "/ticks", NULL, &o, NULL, m)) != 0)
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

/* ---- what we have applied ----------------------------------------------- */

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
			sum = sum * 31 +
			    number_at(control_worker_status(w), "records") +
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
	const struct incoming_mark	*k = map_get(&ib->marks, id);
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
	owed = number_at(control_worker_status(s->w), "owed");
	if (owed > 0)
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
		ib->quiet_ms = ib_now(ib);
		ib->print = fingerprint(in);
	}
	return ev;
}

/* ---- nothing moves any more --------------------------------------------- */

static bool
same_reboots(const struct map *a, const struct map *b)
{
	const struct incoming_mark	*k, *l;
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
	if (ib_now(ib) - ib->quiet_ms < BARRIER_QUIET_MS)
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

/* ---- comparing, repairing ----------------------------------------------- */

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

	while (!ib_is_over(k->ib) && !k->ib->abort && !k->ib->lost &&
	    (s = next_shard(k)) != NULL) {
		db = xstrdup(s->pair->db);
		coll = xstrdup(s->pair->coll);
		index = s->index;
		r = incoming_compare(s, COMPARE_MS, &cmp);
		/* It may be gone, or another one of that name. */
		s = ib_is_over(k->ib) ? NULL :
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
		ib->repair_ms = ib_now(ib);
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
	if (ib_now(ib) - ib->repair_ms < REPAIR_LEAST_MS)
		return note(ib, BARRIER_EV_NOT_YET, "the repair of what "
		    "differed");
	return ev;
}

/* A new round: nothing is known of any shard. */
void
ib_forget(struct control_incoming *in)
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
	r = ib_ask(ib, "DELETE", "", NULL, NULL, &status, &m);
	if (r == 0 || status == 404)
		return BARRIER_EV_OK;
	if (ib_now(ib) - ib->renewed_ms > BARRIER_LEASE_MS)
		return BARRIER_EV_LEASE_LOST;	/* it does so itself */
	return note(ib, BARRIER_EV_NOT_YET, "%.250s", m.text);
}

enum barrier_event
ib_perform(struct incoming_barrier *ib)
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
