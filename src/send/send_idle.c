/*
 * send_idle.c - leaving when there is nothing to do, and coming back with the
 * next record or subscription (R24); see send_priv.h
 *
 * Who leaves has an empty queue, all of it acknowledged by the target, and has
 * noted everything (R21).  The tail keeps its row and has us started for the
 * next line.  api keeps the subscription; it compares how many messages it has
 * given us with how many we say we have got, so what crosses our last word is
 * noticed.
 */
#include "base/log.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "send/send_priv.h"
#include "worker/worker.h"

#define LOOK_MIN_MS	50
#define LOOK_MAX_MS	1000

void
send_active(struct send *s)
{
	s->active_ms = loop_now_ms(s->loop);
}

/* The target has everything, and asks for nothing. */
static bool
is_talk_idle(const struct send *s)
{
	const struct talk	*t = s->talk;

	return t == NULL || (s->shard.step == SHARD_RUNNING && t->streaming &&
	    !t->behind && !t->at_limit && !t->in_line && !t->repairing &&
	    !t->fetching && t->snap == NULL && t->bulk_bytes == 0 &&
	    STAILQ_EMPTY(&t->requests) && STAILQ_EMPTY(&t->fetches));
}

static bool
is_queue_idle(struct send *s)
{
	struct queue_usage	 u;

	if (s->queue == NULL || !s->valid || s->full || s->stop != 0 ||
	    s->in_line || s->piece.len != 0 || s->gone[0] != '\0')
		return false;
	queue_get_usage(s->queue, &u);
	return u.state == QUEUE_OK && u.unacked_bytes == 0 &&
	    u.undurable_bytes == 0;
}

/* It says nothing that has not been noted and made durable. */
static bool
is_tail_idle(const struct send *s)
{
	return s->tail != NULL && s->joined && !s->detached && !s->blocked &&
	    s->ask.id == 0 && s->join.id == 0 && !s->noting &&
	    s->noted >= s->want && s->told && s->told_noted == s->noted &&
	    s->told_durable == send_queue_durable_tick(s);
}

static bool
is_idle(struct send *s)
{
	return !worker_is_stopping(s->w) && !s->asleep && s->api != NULL &&
	    loop_now_ms(s->loop) - s->active_ms >= s->conf.idle_ms &&
	    !loop_timer_is_running(s->status_timer) &&
	    is_talk_idle(s) && is_queue_idle(s) && is_tail_idle(s);
}

static void
on_look(void *arg)
{
	struct send	*s = arg;

	if (s->asks || worker_control(s->w) == NULL || !is_idle(s))
		return;
	s->asks = true;
	worker_ask_leave(s->w, s->received.tick);
}

int
send_on_leave(struct msg_in *in)
{
	struct send	*s = in->ctx;
	struct buf	 b = BUF_INIT;
	bool		 allowed;
	int		 r;

	if ((r = get_bool(&in->body, &allowed)) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	s->asks = false;
	if (!allowed || !is_idle(s)) {
		send_active(s);
		if (allowed)
			worker_say_left(s->w, false);
		return 0;
	}
	log_info("nothing to do: sleeps");
	put_u64(&b, s->api_messages);
	(void)peer_send_buf(s->api, MSG_SEND_SLEEP, 0, &b);
	buf_free(&b);
	s->asleep = true;
	(void)peer_flush(s->tail, 100);
	(void)peer_flush(s->api, 100);
	worker_say_left(s->w, true);
	return 0;
}

void
send_idle_start(struct send *s)
{
	if (s->conf.idle_ms == 0)
		return;
	send_active(s);
	s->idle_timer = loop_timer_new(s->loop, on_look, s);
	loop_timer_start_periodic(s->idle_timer, MIN(MAX(s->conf.idle_ms / 4,
	    LOOK_MIN_MS), LOOK_MAX_MS));
}
