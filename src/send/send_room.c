/*
 * send_room.c - what happens when there is too little room; see send_priv.h
 * and queue/room.h
 *
 * Two things.  Stopped: the queue is larger than it may be, or space is short
 * and the target behind: the tail detaches us (R4) and goes on when enough was
 * consumed.  Full: what came could not be appended; we are not joined any more,
 * and join again at the last response that is in the queue.  What is queued
 * goes on in both, and the log is held for us (R3).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "ipc/codec.h"
#include "queue/room.h"
#include "send/send_priv.h"
#include "worker/worker.h"

#define ROOM_EVERY_MS	1000
/* Room that is none, as somebody has a quota there that we cannot see. */
#define AGAIN_MAX_MS	8000
/* It comes and goes while a slow target catches up. */
#define SAY_EVERY_MS	(60 * 1000)

/* ---- the disk ----------------------------------------------------------- */

static const char *
data_dir(const struct send *s)
{
	return worker_get_conf(s->w)->data_dir;
}

int
send_room_look(const struct send *s, struct room *r)
{
	int	 e = room_look(data_dir(s), r);

	if (e == 0 && s->conf.min_free_bytes != 0) {
		r->least = s->conf.min_free_bytes;
		r->reserve = r->least + ((uint64_t)16 << 20);
	}
	return e;
}

static void
look(struct send *s)
{
	uint64_t	 now = loop_now_ms(s->loop);
	struct room	 r;

	if (s->looked_ms != 0 && now - s->looked_ms < ROOM_EVERY_MS / 4)
		return;
	s->looked_ms = now;
	/* Not to be found out: appending will tell. */
	s->room = send_room_look(s, &r) == 0 ? room_state(s->room, &r) :
	    ROOM_ENOUGH;
}

const char *
send_room_word(const struct send *s)
{
	return s->full ? "full" : s->stop & SEND_STOP_QUOTA ? "quota" :
	    s->stop & SEND_STOP_TOTAL ? "total" :
	    s->stop & SEND_STOP_SHORT ? "short" : NULL;
}

/* ---- stopped ------------------------------------------------------------ */

static bool
is_behind(const struct send *s)
{
	return s->talk == NULL || !s->talk->streaming || s->talk->behind;
}

static unsigned
reasons(const struct send *s, const struct queue_usage *u)
{
	unsigned	 stop = 0;

	if (u->over_quota || (s->stop & SEND_STOP_QUOTA &&
	    u->disk_bytes > u->quota_bytes - u->quota_bytes / 8))
		stop |= SEND_STOP_QUOTA;
	if (s->over_total)
		stop |= SEND_STOP_TOTAL;
	if (s->room != ROOM_ENOUGH && u->unacked_bytes != 0 &&
	    (s->stop & SEND_STOP_SHORT || is_behind(s)))
		stop |= SEND_STOP_SHORT;
	return stop;
}

static void
say_stop(const struct send *s, const struct queue_usage *u)
{
	char	 a[STR_NUMBER_SIZE], b[STR_NUMBER_SIZE];

	if (s->stop & SEND_STOP_QUOTA)
		log_warning("the queue has %s, its quota (--mq.channel-quota) "
		    "is %s: the tail passes nothing on until it is smaller",
		    str_format_bytes(u->disk_bytes, a),
		    str_format_bytes(u->quota_bytes, b));
	else if (s->stop & SEND_STOP_TOTAL)
		log_warning("all queues together have reached their quota "
		    "(--mq.quota), and this one has %s: the tail passes "
		    "nothing on until they are smaller",
		    str_format_bytes(u->disk_bytes, a));
	else
		log_warning("space is short on the disk of %s, and the target "
		    "is behind: the tail passes nothing on until it has taken "
		    "what is queued, or there is space", data_dir(s));
}

void
send_check_room(struct send *s)
{
	struct queue_usage	 u;
	unsigned		 before = s->stop;
	uint64_t		 now = loop_now_ms(s->loop);

	if (s->queue == NULL || s->full)
		return;
	look(s);
	queue_get_usage(s->queue, &u);
	s->stop = reasons(s, &u);
	if (s->stop != 0 && !loop_timer_is_running(s->room_timer))
		loop_timer_start(s->room_timer, ROOM_EVERY_MS);
	if (s->stop == before)
		return;
	if ((s->stop & ~before) != 0 && (s->stop_ms == 0 ||
	    now - s->stop_ms > SAY_EVERY_MS)) {
		s->stop_ms = now;
		say_stop(s, &u);
	}
	if (s->stop == 0)
		log_info("the tail may pass things on again");
	send_tail_block(s, s->stop != 0);
	send_touch(s);
}

/* Control: all queues together are too large, and we are one of the largest;
 * or that is over. */
int
send_on_quota(struct msg_in *in)
{
	struct send	*s = in->ctx;
	int		 r;

	if ((r = get_bool(&in->body, &s->over_total)) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	send_check_room(s);
	return 0;
}

/* What the target has taken gives its space back at once. */
void
send_make_room(struct send *s)
{
	struct err_msg	 m = { "" };
	int		 r;

	if (s->queue == NULL || (s->stop == 0 && !s->full) || s->in_line)
		return;
	r = queue_trim(s->queue, &m);
	if (r != 0 && r != -ENOSPC)
		send_give_up(s, r, m.text);
}

/* ---- full --------------------------------------------------------------- */

void
send_no_room(struct send *s, const char *why)
{
	uint64_t	 now = loop_now_ms(s->loop);

	if (!s->full && s->full_again.next_ms == 0)
		log_warning("%s; nothing more is queued until there is space, "
		    "what is queued goes on", why);
	s->full = true;
	s->room = ROOM_FULL;
	s->joined = false;
	send_trouble(s, why);
	send_queue_forget_piece(s);
	send_tail_block(s, true);
	loop_timer_start(s->room_timer, backoff_failed(&s->full_again, now));
	s->full_ms = now;
	if (s->in_line && !s->dropping) {
		/* What is begun will never end. */
		talk_close(s, "%s", why);
		if (send_queue_reopen(s) != 0)
			return;
	}
	s->in_line = s->dropping = false;
	send_make_room(s);
	send_touch(s);
}

static void
attach_fiber(void *arg)
{
	struct send	*s = arg;
	struct err_msg	 m = { "" };

	fiber_mutex_lock(&s->attach);
	if (!s->joined && s->tail != NULL && s->valid && !s->full &&
	    send_tail_attach(s, NULL, &m) != 0 && !s->valid)
		talk_close(s, "%s", m.text);
	fiber_mutex_unlock(&s->attach);
	if (s->full || (!s->joined && s->valid && s->tail != NULL))
		loop_timer_start(s->room_timer, ROOM_EVERY_MS);
}

/* Is there room again? */
static void
look_again(struct send *s)
{
	s->looked_ms = 0;
	s->room = ROOM_FULL;
	look(s);
	if (s->room == ROOM_FULL) {
		loop_timer_start(s->room_timer, ROOM_EVERY_MS);
		return;
	}
	log_notice("there is room for the queue again");
	s->full = false;
	send_trouble(s, NULL);
	if (s->stop == 0)
		send_tail_block(s, false);
	send_touch(s);
}

static void
on_room_timer(void *arg)
{
	struct send	*s = arg;

	if (worker_is_stopping(s->w))
		return;
	send_make_room(s);
	if (s->queue == NULL)
		return;
	if (s->full)
		look_again(s);
	send_check_room(s);
	if (s->tail != NULL && !s->full && !s->joined && s->valid)
		fiber_spawn(s->loop, attach_fiber, s);
}

/* Appending works, and for so long that there was really room. */
void
send_room_is_good(struct send *s)
{
	if (s->full_again.next_ms != 0 &&
	    loop_now_ms(s->loop) - s->full_ms > 2 * AGAIN_MAX_MS)
		backoff_reset(&s->full_again);
}

void
send_room_start(struct send *s)
{
	s->full_again = (struct backoff)BACKOFF_INIT(ROOM_EVERY_MS,
	    AGAIN_MAX_MS);
	s->room_timer = loop_timer_new(s->loop, on_room_timer, s);
}

/* Try to join soon: the tail is back, or there may be room. */
void
send_attach_soon(struct send *s)
{
	loop_timer_start(s->room_timer, 0);
}
