/*
 * control_incoming_barrier.c - stopping with both sides equal (R22): carries
 * out the table of sync/barrier.h against the masters of the source.
 *
 * One fiber goes through the steps, another renews the lock at the source.
 * When we die, or the source cannot be reached, the lease ends there, and the
 * source's own master restores the mode.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "http/url.h"
#include "json/get.h"
#include "master/control_incoming_barrier.h"

#define RENEW_MS		10000
#define RENEW_AGAIN_MS		2000
#define LOCK_WAIT_MS		20000
#define ABORT_WAIT_MS		15000

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

/* ---- the fibers --------------------------------------------------------- */

static void
feed(struct incoming_barrier *ib, enum barrier_event ev)
{
	enum barrier_step	 old = ib->b.step;

	if (barrier_event(&ib->b, ev, ib_now(ib), NULL, "%s", ib->text) != 0) {
		log_error("barrier: %s in step %s is not foreseen",
		    barrier_event_name(ev), barrier_step_name(old));
		(void)barrier_event(&ib->b, BARRIER_EV_ERROR, ib_now(ib),
		    NULL, "%s", "an answer that is not foreseen");
	}
	if (ib->b.step == BARRIER_TICKS && old != BARRIER_TICKS)
		ib_forget(ib->in);
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

	while (!ib_is_over(ib) && ib->b.step != BARRIER_DONE &&
	    ib->b.step != BARRIER_FAILED) {
		ib->text[0] = '\0';
		ev = ib_perform(ib);
		if (ib_is_over(ib))
			break;
		if (ib->abort && can_be_undone(ib))
			ev = BARRIER_EV_ABORT;
		else if (ib->lost && can_be_undone(ib))
			ev = BARRIER_EV_LEASE_LOST;
		feed(ib, ev);
		if (ib->b.again_ms != UINT64_MAX && !ib_is_over(ib))
			(void)fiber_cond_wait_until(&ib->wake,
			    ib->b.again_ms);
	}
	if (!ib_is_over(ib) && ib->b.step == BARRIER_DONE)
		log_notice("barrier: everything of the source is here, all "
		    "shards are equal");
	else if (!ib_is_over(ib))
		log_warning("barrier: %s", ib->b.failed);
	release(ib);
}

/* The source may restore its mode when it has not heard of us for so long. */
static void
lease_check(struct incoming_barrier *ib, const struct err_msg *m)
{
	if (ib->lost || ib_now(ib) - ib->renewed_ms < BARRIER_LEASE_MS)
		return;
	log_warning("barrier: the lock at the source was not renewed in time: "
	    "%s", m->text);
	ib->lost = true;
	if (ib->b.step == BARRIER_DONE) {
		(void)str_copy(ib->b.failed, sizeof(ib->b.failed), "the "
		    "source's lock was lost");
		ib->b.step = BARRIER_FAILED;
		ib_forget(ib->in);
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
		until = ib_now(ib) + pause;
		while (!ib_is_over(ib) && !ib->abort && !ib->lost &&
		    ib->b.step != BARRIER_FAILED && ib_now(ib) < until)
			(void)fiber_cond_wait_until(&ib->wake, until);
		if (ib_is_over(ib) || ib->abort || ib->lost ||
		    ib->b.step == BARRIER_FAILED)
			break;
		if (ib->renewed_ms == 0)
			continue;	/* not locked yet */
		sent = ib_now(ib);
		if (ib_lock(ib, &ib->renewing, NULL, &m) == 0) {
			ib->renewed_ms = sent;
			pause = RENEW_MS;
		} else if (!ib_is_over(ib)) {
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
	barrier_start(&ib->b, 0, ib_now(ib), &action);
	ib_forget(in);
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
	ib_forget(in);
	incoming_compare_cancel(in);
	incoming_ask_cancel(ib->asking);
	incoming_ask_cancel(ib->renewing);
	(void)fiber_cond_broadcast(&ib->wake);
	release(ib);
}

/* ---- calls -------------------------------------------------------------- */

/*
 * Give the source its mode back, and wait for that.  It goes on also when the
 * time is over.  Waits.
 */
static int
undo(struct incoming_barrier *ib, uint64_t ms, struct err_msg *m)
{
	uint64_t		 deadline = ib_now(ib) + ms;
	struct incoming_ask	 q = { .method = "DELETE", .path = ib->path,
				    .until_ms = deadline };
	int			 r;

	if (ib->b.step == BARRIER_DONE) {
		r = ib->in->source == NULL ? 0 :
		    incoming_source_call(ib->in->source, &q, NULL, m);
		return r == 0 || q.status == 404 ? 0 : r;
	}
	if (!ib->abort) {
		ib->abort = true;
		incoming_compare_cancel(ib->in);
		incoming_ask_cancel(ib->asking);
		incoming_ask_cancel(ib->renewing);
		(void)fiber_cond_broadcast(&ib->wake);
	}
	while (!ib_is_over(ib) && ib->b.step != BARRIER_FAILED)
		if (fiber_cond_wait_until(&ib->wake, deadline) != 0)
			return err_set(m, ERR_TIMEOUT, "the source has not "
			    "got its mode back yet%s%.200s",
			    ib->b.waits_for[0] != '\0' ? ": " : "",
			    ib->b.waits_for);
	return 0;
}

/* {"timeout":ns}, of ours: how long the caller waits; at most ms. */
static uint64_t
patience_of(struct control_call *call, uint64_t ms)
{
	struct json_object	*o = control_body(call);
	int64_t			 ns = json_int_or(o, "timeout", 0);

	json_object_put(o);
	return ns > 0 ? MIN(ms, (uint64_t)ns / 1000000) : ms;
}

static int
wait_locked(struct incoming_barrier *ib, uint64_t deadline,
    struct json_object **out)
{
	struct err_msg	 m = { "" };
	char		 why[256];

	while (!ib_is_over(ib) && ib->b.step == BARRIER_LOCK &&
	    fiber_cond_wait_until(&ib->wake, deadline) == 0)
		;
	if (ib_is_over(ib))
		return control_say(out, 503, "cancelled: service "
		    "unavailable");
	if (ib->b.step == BARRIER_LOCK) {
		(void)str_copy(why, sizeof(why), barrier_waits_for(&ib->b));
		(void)undo(ib, 0, &m);
		return control_say(out, 412, "the barrier waits for %s: "
		    "precondition failed", why);
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
	struct err_msg		 m = { "" };
	uint64_t		 until;
	int			 status, r = 0;

	if ((in = incoming_of(call, out, &status)) == NULL)
		return status;
	if (!in->active || in->state != SHARD_STATE_RUNNING) {
		status = control_say(out, 412, "synchronization is not "
		    "running but %s: precondition failed",
		    shard_state_name(in->state));
		incoming_release(&in);
		return status;
	}
	until = loop_now_ms(in->c->loop) + patience_of(call, LOCK_WAIT_MS);
	/* A word that unlocks must not come behind one that locks. */
	if (in->barrier != NULL && in->barrier->abort) {
		ib = in->barrier;
		ib->refs++;
		r = undo(ib, until - loop_now_ms(in->c->loop), &m);
		release(ib);
	}
	if (in->barrier != NULL && in->barrier->b.step == BARRIER_FAILED)
		incoming_barrier_drop(in);
	if (r != 0 || in->ended || !in->active)
		status = control_say(out, 412, "%s: precondition failed",
		    r != 0 ? m.text : "cancelled");
	else {
		ib = in->barrier != NULL ? in->barrier : start(in);
		ib->refs++;
		status = wait_locked(ib, until, out);
		release(ib);
	}
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
	if (*barrier_waits_for(&ib->b) != '\0')
		json_set_string(o, "waits_for", barrier_waits_for(&ib->b));
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
		if (undo(ib, patience_of(call, ABORT_WAIT_MS), &m) != 0)
			status = control_say(out, 412, "%s: precondition "
			    "failed", m.text);
		else if (in->barrier == ib)
			incoming_barrier_drop(in);
		release(ib);
	}
	incoming_release(&in);
	return status;
}
