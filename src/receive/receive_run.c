/* receive_run.c - the fiber: subscribe, apply what comes, obey cuts */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "receive/receive_priv.h"

/* A cut stands behind all records that wait: no time limit while they come. */
#define QUIET_MS	60000
#define LOG_ENDED_MS	60000

/* ---- waiting ------------------------------------------------------------ */

int
receive_ended(struct receive *r)
{
	if (r->stopping)
		return receive_because(r, ERR_CANCELLED,
		    "the process is to stop");
	if (r->sub.bad != 0)
		return receive_because(r, ERR_BAD_STATE, "%s",
		    r->sub.closed_why);
	if (!r->sub.open || r->sub.closed)
		return receive_because(r, ERR_CLOSED, "%s",
		    r->sub.closed_why);
	return 0;
}

void
receive_wait(struct receive *r, uint64_t deadline_ms)
{
	(void)fiber_cond_wait_until(&r->wake, deadline_ms);
}

/* Sleep, but not beyond the order to stop. */
static void
pause_ms(struct receive *r, uint64_t ms)
{
	uint64_t	 end = loop_now_ms(r->loop) + ms;

	while (!r->stopping && loop_now_ms(r->loop) < end)
		receive_wait(r, end);
}

/* ---- subscribing -------------------------------------------------------- */

/*
 * More was applied than is recorded.  When the source's server is started again
 * its log must have all of that, or the copy is ahead of it: so the proof that
 * goes along is that of the last response that was applied (R5).
 */
static void
prove_applied(struct sync_pos *recorded, const struct sync_pos *applied)
{
	if (!applied->has_proof || applied->tick < recorded->tick ||
	    applied->reboot_id != recorded->reboot_id ||
	    applied->server_id != recorded->server_id ||
	    strcmp(applied->server, recorded->server) != 0)
		return;
	recorded->has_proof = true;
	recorded->proof_vpack = applied->proof_vpack;
	recorded->proof_from = applied->proof_from;
	recorded->proof_tick = applied->proof_tick;
	recorded->proof_crc = applied->proof_crc;
}

static void
subscribe(struct receive *r)
{
	struct channel_subscribe	 s;
	struct buf			 b = BUF_INIT;
	uint32_t			 id = r->sub.id + 1;

	if (id == 0)
		id = 1;
	memset(&r->sub, 0, sizeof(r->sub));
	r->sub.id = id;
	r->sub.open = true;
	inbox_reset(&r->in);
	r->log_ended = false;
	r->verify_asked = false;
	r->target_moved = false;
	r->stalled_known = false;
	r->unput = false;
	commit_restart(r->commit);
	memset(&s, 0, sizeof(s));
	s.name = r->conf.name;
	s.has_record = r->has_record;
	s.record = r->record.shard;
	prove_applied(&s.record.pos, &r->last_pos);
	snprintf(s.target_cid, sizeof(s.target_cid), "%s", r->target.cid);
	snprintf(s.target_server, sizeof(s.target_server), "%s",
	    r->target.server);
	s.target_reboot = r->target.reboot_id;
	snprintf(s.repair, sizeof(s.repair), "%s", r->repair);
	channel_subscribe_put(&b, &s);
	receive_up(r, MSG_CH_SUBSCRIBE, &b);
	buf_free(&b);
	r->subscribed_us = clock_wall_us();
}

static int
resumed(struct receive *r)
{
	const struct channel_resume	*res = &r->sub.resume;
	char				 text[POS_TEXT_SIZE];

	r->last_pos = res->pos;
	receive_set_floor(r, res->pos.tick);
	if (res->leader_changes != 0)
		r->record.shard.leader_changes = res->leader_changes;
	receive_event(r, SHARD_EV_SUBSCRIBED, "the source has answered");
	receive_event(r, SHARD_EV_RESUME_YES, "records above %s",
	    pos_text(&res->pos, text));
	return 0;
}

static int
await_answer(struct receive *r)
{
	int	 e;

	for (;;) {
		if ((e = receive_ended(r)) != 0)
			return e;
		if (r->sub.resumed)
			return resumed(r);
		if (r->sub.repair)
			break;
		if (shard_is_due(&r->shard, loop_now_ms(r->loop)))
			return receive_because(r, ERR_BAD_STATE, "the source "
			    "has not answered in time");
		receive_wait(r, r->shard.deadline_ms);
	}
	receive_event(r, SHARD_EV_SUBSCRIBED, "the source has answered");
	receive_event(r, SHARD_EV_RESUME_NO, "%s", r->sub.repair_why);
	r->sub.repair = false;
	/* it sends the cut by itself */
	r->sub.resumed = r->verify_asked = true;
	return 0;
}

/* ---- the stream --------------------------------------------------------- */

static void
caught_up(struct receive *r)
{
	r->sub.caught_up = false;
	backoff_reset(&r->again);
	receive_event(r, SHARD_EV_CAUGHT_UP, "applied what the source had "
	    "written until then");
}

/* Everything that has come until now. */
static int
stream(struct receive *r)
{
	struct sync_pos	 pos;
	bool		 boundary, ended, caught = r->sub.caught_up;
	int		 e;

	inbox_take_lines(&r->in, &r->lines, &boundary, &pos);
	r->lines_ms = loop_now_ms(r->loop);
	ended = r->log_ended;
	e = ended ? 0 : receive_apply_lines(r);
	inbox_lines_done(&r->in, &r->lines);
	if (e != 0)
		return e;
	receive_credit(r);
	if (ended)
		return 0;
	if (boundary && !r->log_ended)
		receive_applied(r, &pos);
	if (r->log_ended)
		r->ended_ms = loop_now_ms(r->loop);
	else if (caught)
		caught_up(r);
	return 0;
}

static void
ask_verify(struct receive *r, bool compare, const char *why)
{
	struct buf	 b = BUF_INIT;

	put_bool(&b, compare);
	put_str(&b, why);
	receive_up(r, MSG_CH_VERIFY, &b);
	buf_free(&b);
}

/* ---- repairs ------------------------------------------------------------ */

/* Why the pair must be compared, if it must; "" not. */
static const char *
must_verify(struct receive *r)
{
	if (r->repair[0] != '\0')
		return r->repair;
	if (commit_is_frozen(r->commit))
		return "a server of the target was started again, or leads now "
		    "and was no copy before";
	if (commit_suspect_is_due(r->commit, loop_now_ms(r->loop)))
		return "a request of unknown outcome may have come late";
	return "";
}

/*
 * A repair on its way: place, VERIFY when the source does not know yet, CUT.
 * *idle: nothing could be done just now.
 */
static int
towards_repair(struct receive *r, bool *idle)
{
	if (r->shard.step == SHARD_NEEDS_REPAIR && r->place == PLACE_HERE) {
		*idle = false;
		receive_event(r, SHARD_EV_PLACE, "a place to repair is free");
		if (!r->verify_asked && !r->sub.has_cut)
			ask_verify(r, false, r->shard.reason);
		r->verify_asked = true;
	}
	if (!r->sub.has_cut || r->sub.cut.compare)
		return 0;
	if (r->shard.step != SHARD_SNAPSHOT &&
	    r->shard.step != SHARD_NEEDS_REPAIR) {
		*idle = false;
		if (!receive_event(r, SHARD_EV_VERIFY, "the source asks for a "
		    "repair%s%s", r->sub.repair_why[0] != '\0' ? ": " : "",
		    r->sub.repair_why))
			return receive_because(r, ERR_BAD_STATE, "a cut in "
			    "step %s", shard_step_name(r->shard.step));
		return 0;
	}
	if (r->place != PLACE_HERE) {
		receive_ask_place(r);
		return 0;
	}
	*idle = false;
	r->verify_asked = false;
	return receive_repair(r);
}

static int
compare_at_cut(struct receive *r, bool *idle)
{
	uint64_t	 now = loop_now_ms(r->loop);

	if (r->comparing.wanted && now >= r->comparing.deadline_ms)
		receive_compare_failed(r, "not done in time");
	if (r->sub.has_cut && r->sub.cut.compare) {
		*idle = false;
		return receive_compare(r);
	}
	if (r->comparing.wanted && !r->comparing.asked &&
	    receive_is_running(r) && !r->sub.has_cut) {
		r->comparing.asked = true;
		ask_verify(r, true, "asked for by an operator");
	}
	return 0;
}

static void
look_at_doubts(struct receive *r)
{
	const char	*why;

	if (r->sub.repair) {
		/* in the midst of the stream: its cut follows */
		r->sub.repair = false;
		r->verify_asked = true;
		receive_event(r, SHARD_EV_WAL_GONE, "%s", r->sub.repair_why);
	}
	if (receive_is_running(r) && *(why = must_verify(r)) != '\0')
		receive_event(r, SHARD_EV_VERIFY, "%s", why);
}

/* When to look again though nothing has come. */
static uint64_t
next_look(struct receive *r)
{
	uint64_t	 at = r->shard.deadline_ms;

	if (r->comparing.wanted)
		at = MIN(at, r->comparing.deadline_ms);
	if (owed_count(r->owed) != 0)
		at = MIN(at, r->owed_ms);
	if (receive_is_running(r))
		at = MIN(at, commit_suspect_ms(r->commit));
	if (r->log_ended)
		at = MIN(at, r->ended_ms + LOG_ENDED_MS);
	/* never spin on something that cannot be done now */
	return MAX(at, loop_now_ms(r->loop) + 50);
}

static int
look_at_times(struct receive *r)
{
	uint64_t	 now = loop_now_ms(r->loop);

	if (r->log_ended && now >= r->ended_ms + LOG_ENDED_MS)
		return receive_because(r, ERR_BAD_STATE, "the log of the "
		    "shard has ended, and the source says nothing more");
	if (shard_is_due(&r->shard, now) && now - r->lines_ms >= QUIET_MS &&
	    !receive_is_running(r))
		return receive_because(r, ERR_BAD_STATE, "%s takes too long",
		    shard_step_name(r->shard.step));
	return 0;
}

/* Until the subscription ends. */
static int
conversation(struct receive *r)
{
	bool	 idle;
	int	 e;

	if ((e = await_answer(r)) != 0)
		return e;
	r->lines_ms = loop_now_ms(r->loop);
	r->refused[0] = '\0';
	receive_credit(r);
	/* A repair has to get somewhere first: see caught_up(). */
	if (r->shard.step == SHARD_RUNNING)
		backoff_reset(&r->again);
	for (;;) {
		if ((e = receive_ended(r)) != 0)
			return e;
		if (inbox_has(&r->in.now)) {
			if ((e = stream(r)) != 0)
				return e;
			continue;
		}
		if (r->sub.caught_up && !r->sub.has_cut)
			caught_up(r);
		look_at_doubts(r);
		idle = true;
		if ((e = towards_repair(r, &idle)) != 0 ||
		    (e = compare_at_cut(r, &idle)) != 0 ||
		    (idle && (e = receive_owed(r)) != 0) ||
		    (e = look_at_times(r)) != 0)
			return e;
		/* something may have come while one of these waited */
		if (idle && !inbox_has(&r->in.now) && !r->sub.has_cut)
			receive_wait(r, next_look(r));
		else if (idle && !inbox_has(&r->in.now))
			receive_wait(r, loop_now_ms(r->loop) + 1000);
	}
}

/* ---- the life ----------------------------------------------------------- */

/*
 * The source's end may just have been asleep, and is woken by what we have
 * asked: the next subscription may still answer, and only that.
 */
static void
compare_again(struct receive *r)
{
	if (!r->comparing.wanted)
		return;
	if (r->comparing.again || !r->link_up) {
		receive_compare_failed(r, "%s", r->why);
		return;
	}
	r->comparing.again = true;
	r->comparing.asked = false;
}

/* The subscription is over; how long until the next? */
static uint64_t
conversation_over(struct receive *r, int e)
{
	uint64_t	 now = loop_now_ms(r->loop);

	receive_free_place(r);
	if (e == ERR_CANCELLED)
		return 0;
	compare_again(r);
	if (e != ERR_CLOSED)
		receive_up_text(r, MSG_CH_CLOSE, r->why);
	r->sub.open = false;
	if (e == ERR_STORAGE) {
		log_error("%s: %s", r->name, r->why);
		receive_event(r, SHARD_EV_FAIL, "%s", r->why);
		return 0;
	}
	receive_event(r, SHARD_EV_LINK_LOST, "%s", r->why);
	/* a link that is down is told of once, by link */
	snprintf(r->refused, sizeof(r->refused), "%s", r->link_up ? r->why :
	    "");
	receive_status(r);
	return r->link_up ? backoff_failed(&r->again, now) : 0;
}

static bool
may_subscribe(struct receive *r)
{
	if (r->shard.step == SHARD_FAILED) {
		if (!shard_is_due(&r->shard, loop_now_ms(r->loop)))
			return false;
		receive_event(r, SHARD_EV_TIMEOUT, "tried again");
	}
	if (!r->link_up || r->target.server[0] == '\0')
		return false;
	if (r->shard.step == SHARD_INACTIVE)
		receive_event(r, SHARD_EV_START, "link and target are there");
	/* the time that the answer may take begins now */
	else
		receive_event(r, SHARD_EV_TIMEOUT, "subscribes again");
	return true;
}

void
receive_life(void *arg)
{
	struct receive	*r = arg;
	int		 e;

	while (!r->stopping) {
		if (r->asleep || !may_subscribe(r)) {
			receive_wait(r, r->shard.step == SHARD_FAILED ?
			    r->shard.deadline_ms : FIBER_FOREVER);
			continue;
		}
		subscribe(r);
		e = conversation(r);
		pause_ms(r, conversation_over(r, e));
	}
	receive_event(r, SHARD_EV_CANCEL, "the process is to stop");
	receive_leave(r);
}
