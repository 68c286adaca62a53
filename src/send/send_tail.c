/* send_tail.c - what it says to its tail (tail/tail.h); see send_priv.h */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "send/send_priv.h"
#include "sync/route.h"
#include "worker/worker.h"

/* Of a question; while its server is down the tail answers late. */
#define ANSWER_MS	(60 * 1000)
#define SENTENCE_MAX	1024

/* ---- watermarks: what is to be noted ----------------------------------- */

void
send_tail_ack(struct send *s)
{
	uint64_t	 durable = send_queue_durable_tick(s);
	struct buf	 b = BUF_INIT;

	if (!s->joined || s->tail == NULL || (s->told &&
	    s->noted == s->told_noted && durable == s->told_durable))
		return;
	put_u64(&b, s->noted);
	put_u64(&b, durable);
	if (peer_send_buf(s->tail, MSG_TAIL_ACK, 0, &b) == 0) {
		s->told = true;
		s->told_noted = s->noted;
		s->told_durable = durable;
	}
	buf_free(&b);
}

/* One question at a time: what comes meanwhile goes with the next. */
static void
say_queued(struct send *s)
{
	struct buf	 b = BUF_INIT;

	if (s->noting || s->noted >= s->want)
		return;
	put_u64(&b, s->want);
	if (peer_send_buf(s->api, MSG_CH_QUEUED, s->last_sub, &b) == 0) {
		s->noting = true;
		s->said = s->want;
	}
	buf_free(&b);
}

void
send_note(struct send *s, uint64_t tick)
{
	if (tick > s->want)
		s->want = tick;
	if (s->api == NULL) {
		/* Nobody listens; who subscribes later gets RESUME.queued. */
		s->noted = s->want;
		send_tail_ack(s);
	} else
		say_queued(s);
}

void
send_note_all(struct send *s)
{
	s->noting = false;
	if (s->api == NULL)
		send_note(s, s->want);
}

int
send_on_noted(struct msg_in *in)
{
	struct send	*s = in->ctx;
	uint64_t	 tick;
	int		 r;

	if ((r = get_u64(&in->body, &tick)) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	/* What was said of an older history means nothing in this one. */
	if (tick == s->said && tick > s->noted)
		s->noted = MIN(tick, s->want);
	if (tick == s->said)
		s->noting = false;
	send_tail_ack(s);
	if (s->api != NULL)
		say_queued(s);
	return 0;
}

/* ---- answers ----------------------------------------------------------- */

static int
on_evidence(struct msg_in *in)
{
	struct send		*s = in->ctx;
	struct tail_evidence	 e;
	int			 r;

	if ((r = tail_evidence_get(&in->body, &e)) != 0)
		return r;
	if (in->id == s->ask.id && s->ask.id != 0) {
		s->ask.evidence = e;
		s->ask.done = true;
		fiber_cond_broadcast(&s->tail_cond);
	}
	return 0;
}

/*
 * The queue has to be ready before the next message is looked at, which may be
 * a line: this is done here and not in the fiber that waits.
 */
static int
join_answered(struct send *s, int err, uint64_t tick)
{
	struct sync_pos	 start = s->join.start;
	int		 r;

	if (err != 0)
		return err;
	if (s->join.tick != ROUTE_FROM_NOW && tick > s->join.tick)
		return ERR_NOT_FOUND;
	if (s->join.fresh) {
		if (start.tick == ROUTE_FROM_NOW)
			start.tick = tick;
		if ((r = send_queue_restart(s, &start)) != 0)
			return r;
		s->want = s->noted = 0;
		s->noting = false;
		s->said = 0;
		/* BEHIND came before. */
		if (s->behind > start.tick)
			send_note(s, s->behind);
	}
	if (!s->valid)
		return ERR_BAD_STATE;
	s->floor = tick < s->received.tick ? s->received.tick : 0;
	s->joined = true;
	s->told = false;
	send_tail_ack(s);
	/* It was said of the former join. */
	s->blocked = false;
	if (s->stop != 0)
		send_tail_block(s, true);
	log_info("%s is read from tick %" PRIu64 " on", s->conf.server, tick);
	return 0;
}

static int
on_joined(struct msg_in *in)
{
	struct send	*s = in->ctx;
	uint64_t	 tick;
	int32_t		 err;
	int		 r;

	if ((r = get_i32(&in->body, &err)) != 0 ||
	    (r = get_u64(&in->body, &tick)) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	if (in->id == s->join.id && s->join.id != 0) {
		s->join.id = 0;
		s->join.err = join_answered(s, err, tick);
		s->join.done = true;
		fiber_cond_broadcast(&s->tail_cond);
		send_touch(s);
	}
	return 0;
}

/* ---- lines ------------------------------------------------------------- */

static int
on_lines(struct msg_in *in)
{
	struct send	*s = in->ctx;
	uint8_t		 flags;
	int		 r;

	if ((r = get_u8(&in->body, &flags)) != 0)
		return r;
	if (flags & ~(TAIL_LINES_MORE | TAIL_LINES_AGAIN))
		return ERR_FORMAT;
	send_queue_lines(s, flags, in->body.p, in->body.left);
	return 0;
}

static int
on_end(struct msg_in *in)
{
	struct send	*s = in->ctx;
	struct sync_pos	 pos;
	uint64_t	 asked;
	int		 r;

	if ((r = get_u64(&in->body, &asked)) != 0 ||
	    (r = pos_get(&in->body, &pos)) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	if (strcmp(pos.server, s->conf.server) != 0)
		return ERR_PROTOCOL;
	send_queue_end(s, &pos);
	return 0;
}

static int
on_behind(struct msg_in *in)
{
	struct send	*s = in->ctx;
	uint64_t	 tick;
	int		 r;

	if ((r = get_u64(&in->body, &tick)) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	s->behind = tick;
	if (s->join.id == 0 || !s->join.fresh)
		send_note(s, tick);
	return 0;
}

static int
on_state(struct msg_in *in)
{
	struct send	*s = in->ctx;
	char		 why[256];
	uint8_t		 state;
	int		 r;

	if ((r = get_u8(&in->body, &state)) != 0 ||
	    (r = get_str(&in->body, why, sizeof(why))) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	if (!s->joined)
		return 0;
	if (state == ROUTE_DETACHED && !s->detached) {
		s->detached = true;
		send_step(s, SHARD_EV_OVER_QUOTA, "%s", why);
	} else if (state == ROUTE_LIVE && s->detached) {
		s->detached = false;
		send_step(s, SHARD_EV_REFILLED, "%s", why[0] != '\0' ? why :
		    "it has met the live log");
	}
	return 0;
}

static int
on_gone(struct msg_in *in)
{
	static const enum shard_event	 events[] = {
		[TAIL_WAL_GONE] = SHARD_EV_WAL_GONE,
		[TAIL_HISTORY_LOST] = SHARD_EV_HISTORY_LOST,
		[TAIL_ENDED] = SHARD_EV_HISTORY_LOST
	};
	struct send	*s = in->ctx;
	char		 why[SENTENCE_MAX];
	uint8_t		 what;
	int		 r;

	if ((r = get_u8(&in->body, &what)) != 0 ||
	    (r = get_str(&in->body, why, sizeof(why))) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	if (what >= NITEMS(events))
		return ERR_FORMAT;
	snprintf(s->gone, sizeof(s->gone), "%s%.200s", what == TAIL_ENDED ?
	    "the shard was dropped or made anew: " : "", why);
	s->detached = false;
	send_step(s, events[what], "%s", why);
	talk_close(s, "%s", s->gone);
	send_queue_void(s);
	send_touch(s);
	return 0;
}

static const struct msg_rule	 rules[] = {
	{ MSG_TAIL_ASK_ANS, 1, 1, 1024, on_evidence },
	{ MSG_TAIL_JOIN_ANS, 1, 12, 12, on_joined },
	{ MSG_TAIL_LINES, 1, 1, PEER_MESSAGE_MAX_BYTES, on_lines },
	{ MSG_TAIL_END, 1, 8, 1024, on_end },
	{ MSG_TAIL_BEHIND, 1, 8, 8, on_behind },
	{ MSG_TAIL_STATE, 1, 5, SENTENCE_MAX + 8, on_state },
	{ MSG_TAIL_GONE, 1, 5, SENTENCE_MAX + 8, on_gone },
	{ 0, 0, 0, 0, NULL }
};

/* ---- coming and going -------------------------------------------------- */

static int
on_message(struct peer *p, const struct frame *f, void *arg)
{
	struct send	*s = arg;

	/* The tail knows that it was not noted. */
	if (s->asleep)
		return 0;
	send_active(s);
	return msg_dispatch(rules, 1, arg, p, f);
}

static void
detach(struct send *s)
{
	bool	 open_line;

	send_queue_flush(s);
	open_line = s->in_line;
	s->joined = s->detached = s->blocked = false;
	s->ask.id = s->join.id = 0;
	fiber_cond_broadcast(&s->tail_cond);
	if (open_line && s->queue != NULL) {
		talk_close(s, "the tail went away in the middle of a line");
		(void)send_queue_reopen(s);
	}
	send_touch(s);
}

static void
on_lost(struct peer *p, int why, void *arg)
{
	struct send	*s = arg;

	log_info("the tail is away: %s", err_text(why));
	if (s->tail == p) {
		s->tail = NULL;
		detach(s);
	}
	peer_free(&p);
}

static const struct peer_ops	 ops = {
	.message = on_message, .lost = on_lost
};

void
send_tail_connect(struct send *s, const char *name, int fd)
{
	if (s->tail != NULL) {
		peer_free(&s->tail);
		detach(s);
	}
	send_active(s);
	s->tail = peer_new(fd, name, &ops, s);
	if (peer_attach(s->tail, s->loop) != 0) {
		log_warning("%s: cannot be watched", name);
		peer_free(&s->tail);
		return;
	}
	fiber_cond_broadcast(&s->tail_cond);
	if (s->valid || s->full)
		send_attach_soon(s);
}

void
send_tail_free(struct send *s)
{
	peer_free(&s->tail);
	s->joined = false;
}

void
send_tail_block(struct send *s, bool block)
{
	struct buf	 b = BUF_INIT;

	if (s->tail == NULL || s->blocked == block)
		return;
	put_bool(&b, block);
	if (peer_send_buf(s->tail, MSG_TAIL_BLOCK, 0, &b) == 0)
		s->blocked = block;
	buf_free(&b);
}

/* ---- questions --------------------------------------------------------- */

static int
wait_for(struct send *s, const bool *done, const uint32_t *id, uint32_t mine,
    const bool *dead)
{
	uint64_t	 deadline = loop_now_ms(s->loop) + ANSWER_MS;

	while (!*done) {
		if (dead != NULL && *dead)
			return ERR_CANCELLED;
		if (s->tail == NULL)
			return ERR_CLOSED;
		/* Somebody else asked, or the tail has come back. */
		if (*id != mine)
			return ERR_CANCELLED;
		if (fiber_cond_wait_until(&s->tail_cond, deadline) != 0 &&
		    !*done)
			return ERR_TIMEOUT;
	}
	return 0;
}

int
send_tail_ask(struct send *s, const struct sync_pos *pos,
    struct tail_evidence *e, const bool *dead)
{
	struct buf	 b = BUF_INIT;
	struct sync_pos	 none;
	uint32_t	 id;
	int		 r;

	if (s->tail == NULL)
		return ERR_CLOSED;
	pos_clear(&none);
	put_str(&b, s->conf.name.db);
	put_str(&b, s->conf.cuid);
	put_bool(&b, pos != NULL);
	pos_put(&b, pos != NULL ? pos : &none);
	id = s->ask.id = peer_next_id(s->tail);
	s->ask.done = false;
	r = peer_send_buf(s->tail, MSG_TAIL_ASK_REQ, id, &b);
	buf_free(&b);
	if (r == 0)
		r = wait_for(s, &s->ask.done, &s->ask.id, id, dead);
	if (r == 0)
		*e = s->ask.evidence;
	if (s->ask.id == id)
		s->ask.id = 0;
	return r;
}

int
send_tail_join(struct send *s, uint64_t tick, const struct sync_pos *start,
    const bool *dead)
{
	struct buf	 b = BUF_INIT;
	uint32_t	 id;
	int		 r;

	if (s->tail == NULL)
		return ERR_CLOSED;
	/* One that begins anew makes room. */
	if (s->full && start == NULL)
		return -ENOSPC;
	send_queue_flush(s);
	if (s->in_line && s->queue != NULL && start == NULL)
		return ERR_BAD_STATE;	/* does not happen: tail.h */
	/* What is still on its way is of the former join. */
	s->joined = s->detached = false;
	s->behind = 0;
	put_str(&b, s->conf.name.db);
	put_str(&b, s->conf.cuid);
	put_u64(&b, tick);
	id = s->join.id = peer_next_id(s->tail);
	s->join.done = false;
	s->join.tick = tick;
	s->join.fresh = start != NULL;
	if (start != NULL)
		s->join.start = *start;
	r = peer_send_buf(s->tail, MSG_TAIL_JOIN_REQ, id, &b);
	buf_free(&b);
	if (r != 0)
		return r;
	/* The answer clears the id. */
	while (!s->join.done) {
		if (s->join.id != id)
			return ERR_CLOSED;
		if (dead != NULL && *dead)
			return ERR_CANCELLED;
		fiber_cond_wait(&s->tail_cond);
	}
	return s->join.err;
}

int
send_tail_attach(struct send *s, const bool *dead, struct err_msg *m)
{
	struct tail_evidence	 e;
	const struct sync_pos	*p = &s->received;
	char			 text[POS_TEXT_SIZE];
	int			 r;

	if ((r = send_tail_ask(s, p, &e, dead)) != 0)
		return err_set(m, r, "the tail of %s does not answer: %s",
		    s->conf.server, err_text(r));
	if (strcmp(e.server, s->conf.server) != 0 || !e.proven || e.gap ||
	    p->tick < e.wal_first || p->tick > e.wal_last ||
	    (p->server_id != 0 && e.server_id != 0 &&
	    p->server_id != e.server_id)) {
		s->valid = false;
		return err_set(m, ERR_NOT_FOUND, "the log of %s does not go on "
		    "behind %s", s->conf.server, pos_text(p, text));
	}
	r = send_tail_join(s, e.join, NULL, dead);
	if (r == ERR_NOT_FOUND)
		s->valid = false;
	if (r != 0)
		return err_set(m, r, "%s cannot be read from tick %" PRIu64
		    ": %s", s->conf.server, e.join, err_text(r));
	return 0;
}
