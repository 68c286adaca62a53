/*
 * receive_idle.c - leaving when there is nothing to do, and coming back with
 * the next message (R24)
 *
 * Who leaves owes nothing: everything is applied, settled, recorded, told to the
 * source.  link keeps the lane.  It compares how many messages it has given us
 * with how many we say we have got, so what crosses our last word is noticed,
 * and a new process begins with what is recorded.
 */
#include "base/log.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "receive/receive_priv.h"

#define LOOK_MIN_MS	50
#define LOOK_MAX_MS	1000

/* The subscription is in the midst of records, and nothing is asked. */
static bool
is_streaming(const struct receive *r)
{
	const struct subscription	*s = &r->sub;

	return r->link != NULL && r->link_up && s->open && s->resumed &&
	    !s->closed && s->bad == 0 && !s->repair && !s->has_cut &&
	    !s->caught_up && !r->verify_asked &&
	    r->shard.step == SHARD_RUNNING && inbox_is_empty(&r->in);
}

/* Everything that came is applied, settled and recorded. */
static bool
is_settled(const struct receive *r)
{
	return !r->applying && !r->in_request && !r->busy && !r->unput &&
	    !r->unrecorded && r->has_record &&
	    !r->record.shard.repairing && !r->log_ended &&
	    commit_in_flight(r->commit) == 0 &&
	    commit_settling(r->commit) == 0;
}

/* Nothing has to be done about it later. */
static bool
is_free(const struct receive *r)
{
	return !commit_is_frozen(r->commit) &&
	    !commit_is_suspect(r->commit) && owed_count(r->owed) == 0 &&
	    r->place == PLACE_NONE && !r->comparing.wanted &&
	    r->repair[0] == '\0' && r->error[0] == '\0' &&
	    !loop_timer_is_running(r->status_timer) &&
	    r->target.server[0] != '\0';
}

static bool
is_idle(const struct receive *r)
{
	return !r->stopping && !r->left && !r->asleep && is_streaming(r) &&
	    is_settled(r) && is_free(r) && loop_now_ms(r->loop) -
	    r->active_ms >= r->conf.idle_ms;
}

static void
on_look(void *arg)
{
	struct receive	*r = arg;

	if (r->asks || worker_control(r->w) == NULL || !is_idle(r))
		return;
	r->asks = true;
	worker_ask_leave(r->w, r->last_pos.tick);
}

int
receive_on_leave(struct msg_in *in)
{
	struct receive	*r = in->ctx;
	struct buf	 b = BUF_INIT;
	bool		 allowed;
	int		 e;

	if ((e = get_bool(&in->body, &allowed)) != 0 ||
	    (e = get_end(&in->body)) != 0)
		return e;
	r->asks = false;
	if (!allowed || !is_idle(r)) {
		r->active_ms = loop_now_ms(r->loop);
		if (allowed)
			worker_say_left(r->w, false);
		return 0;
	}
	log_info("%s: nothing to do: sleeps", r->name);
	put_u64(&b, r->link_messages);
	(void)peer_send_buf(r->link, MSG_LINK_SLEEP, 0, &b);
	buf_free(&b);
	/* The channel goes on: no word about it from us any more. */
	r->asleep = true;
	r->sub.open = false;
	(void)peer_flush(r->link, 100);
	worker_say_left(r->w, true);
	return 0;
}

void
receive_idle_start(struct receive *r)
{
	if (r->conf.idle_ms == 0)
		return;
	r->active_ms = loop_now_ms(r->loop);
	r->idle_timer = loop_timer_new(r->loop, on_look, r);
	loop_timer_start_periodic(r->idle_timer, MIN(MAX(r->conf.idle_ms / 4,
	    LOOK_MIN_MS), LOOK_MAX_MS));
}
