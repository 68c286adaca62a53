/* tail_join.c - the conversation with sends; see tail.h */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/rules.h"
#include "tail/tail_priv.h"

#define NAME_MAX_BYTES	256

/* ---- ASK ---------------------------------------------------------------- */

static void
ask_free(struct tail_ask *a)
{
	free(a->db);
	free(a->cuid);
	free(a);
}

static void
answer_ask(struct tail_ask *a, const struct tail_evidence *e)
{
	struct buf	 b = BUF_INIT;

	if (a->conn == NULL)
		return;
	a->conn->asked = a->has_pos ? a->pos.tick : 0;
	a->conn->lifted = e->join;
	a->conn->losses = a->conn->t->losses;
	tail_evidence_put(&b, e);
	(void)peer_send_buf(a->conn->peer, MSG_TAIL_ASK_ANS, a->id, &b);
}

/* One at a time: most of them have the same answer. */
static void
asks_run(void *arg)
{
	struct tail		*t = arg;
	struct tail_ask		*a;
	struct tail_evidence	 e;

	while (!t->stopping && (a = TAILQ_FIRST(&t->asks)) != NULL) {
		if (a->conn != NULL && (t->live.tail == NULL ||
		    tail_evidence_find(t, a, &e) != 0)) {
			/* while the history is being proven, or it is down */
			(void)arango_sleep(&t->cancel, 200);
			continue;
		}
		if (t->stopping)
			break;
		TAILQ_REMOVE(&t->asks, a, next);
		answer_ask(a, &e);
		ask_free(a);
	}
	while ((a = TAILQ_FIRST(&t->asks)) != NULL) {
		TAILQ_REMOVE(&t->asks, a, next);
		ask_free(a);
	}
	t->asking = false;
}

void
tail_asks(struct tail *t)
{
	if (t->asking || t->stopping || TAILQ_EMPTY(&t->asks))
		return;
	t->asking = true;
	fiber_spawn(t->loop, asks_run, t);
}

static int
on_ask(struct msg_in *in)
{
	struct tail_conn	*c = in->ctx;
	struct tail_ask		*a = xcalloc(1, sizeof(*a));
	int			 r;

	a->conn = c;
	a->id = in->id;
	if ((r = get_str_dup(&in->body, NAME_MAX_BYTES, &a->db)) != 0 ||
	    (r = get_str_dup(&in->body, NAME_MAX_BYTES, &a->cuid)) != 0 ||
	    (r = get_bool(&in->body, &a->has_pos)) != 0 ||
	    (r = pos_get(&in->body, &a->pos)) != 0 ||
	    (r = get_end(&in->body)) != 0) {
		ask_free(a);
		return r;
	}
	TAILQ_INSERT_TAIL(&c->t->asks, a, next);
	tail_asks(c->t);
	return 0;
}

/* ---- JOIN --------------------------------------------------------------- */

static void
say_behind(struct tail_row *row, uint64_t tick)
{
	struct buf	 b = BUF_INIT;

	put_u64(&b, tick);
	row->told = tick;
	tail_row_send(row, MSG_TAIL_BEHIND, &b);
}

static void
join_answer(struct tail_conn *c, int err, uint64_t tick)
{
	struct buf	 b = BUF_INIT;

	put_i32(&b, err);
	put_u64(&b, tick);
	(void)peer_send_buf(c->peer, MSG_TAIL_JOIN_ANS, c->join_id, &b);
}

static void
join_state(struct tail_row *row)
{
	struct buf	 b = BUF_INIT;

	put_u8(&b, (uint8_t)row->ch->state);
	put_str(&b, route_why_name(row->ch->why));
	tail_row_send(row, MSG_TAIL_STATE, &b);
}

static struct tail_row *
join_row(struct tail_conn *c, uint64_t tick)
{
	struct tail	*t = c->t;
	struct tail_row	*row = tail_row_find(t, c->join_db, c->join_cuid);

	if (c->row != NULL && c->row != row)
		tail_row_free(c->row);	/* it has another channel now */
	if (row == NULL) {
		row = tail_row_add(t, 0, c->join_db, c->join_cuid, tick);
	} else {
		/* of a process that is about to be found dead */
		if (row->conn != NULL && row->conn != c)
			tail_row_away(row);
		tail_row_again(row, tick);
	}
	row->conn = c;
	row->asleep = false;
	row->want_ms = 0;
	c->row = row;
	return row;
}

/* Between responses, so that it is live at once when nothing was missed. */
static void
join(struct tail_conn *c)
{
	struct tail	*t = c->t;
	struct tail_row	*row;
	uint64_t	 tick = c->join_tick, base = tick;

	c->joining = false;
	if (tick != ROUTE_FROM_NOW && (c->losses != t->losses ||
	    !tail_floor_allows(t, c->join_db, c->join_cuid, tick))) {
		/* what was proven when it asked is so no more */
		join_answer(c, ERR_NOT_FOUND, 0);
		return;
	}
	if (tick != ROUTE_FROM_NOW && tail_is_idle_since(t, c->join_db,
	    c->join_cuid, tick))
		tick = t->point.from;
	row = join_row(c, tick);
	if (c->join_tick == ROUTE_FROM_NOW) {
		base = row->ch->last;
		tail_floor_joined(t, c->join_db, c->join_cuid, base);
	} else if (c->join_tick == c->lifted)
		base = MIN(c->join_tick, c->asked);
	row->base = base;
	if (row->ch->state == ROUTE_DETACHED) {
		tail_row_pending(row, t->point.from, t->point.from);
		say_behind(row, t->point.from);
	}
	/* above what was asked for nothing is missing, wherever we begin */
	join_answer(c, 0, MIN(c->join_tick, row->join_tick));
	if (row->ch->state == ROUTE_DETACHED)
		join_state(row);
	log_info("%s %s: joined at %" PRIu64 "%s", row->ch->db, row->ch->cuid,
	    row->join_tick, row->ch->state == ROUTE_DETACHED ? ", behind" :
	    "");
	free(c->join_db);
	free(c->join_cuid);
	c->join_db = c->join_cuid = NULL;
	if (t->w != NULL)
		worker_progress(t->w);
}

void
tail_joins(struct tail *t)
{
	struct tail_conn	*c;
	bool			 any = false;

	if (!t->has_point || t->live.tail == NULL || t->live.reading ||
	    t->stopping)
		return;
	TAILQ_FOREACH(c, &t->conns, next)
		if (c->joining) {
			join(c);
			any = true;
		}
	if (any)
		tail_refill_step(t);
}

static int
on_join(struct msg_in *in)
{
	struct tail_conn	*c = in->ctx;
	char			*db = NULL, *cuid = NULL;
	uint64_t		 tick;
	int			 r;

	if ((r = get_str_dup(&in->body, NAME_MAX_BYTES, &db)) != 0 ||
	    (r = get_str_dup(&in->body, NAME_MAX_BYTES, &cuid)) != 0 ||
	    (r = get_u64(&in->body, &tick)) != 0 ||
	    (r = get_end(&in->body)) != 0) {
		free(db);
		free(cuid);
		return r;
	}
	free(c->join_db);
	free(c->join_cuid);
	c->join_db = db;
	c->join_cuid = cuid;
	c->join_tick = tick;
	c->join_id = in->id;
	c->joining = true;
	/* Not from here: a join may change what our caller is looking at. */
	loop_task_post(c->t->loop, &c->t->join_task);
	return 0;
}

/* ---- ACK, BLOCK --------------------------------------------------------- */

static int
on_ack(struct msg_in *in)
{
	struct tail_conn	*c = in->ctx;
	struct tail_row		*row = c->row;
	uint64_t		 noted, durable;
	int			 r;

	if ((r = get_u64(&in->body, &noted)) != 0 ||
	    (r = get_u64(&in->body, &durable)) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	if (row == NULL || c->joining)
		return 0;	/* of a join that has ended */
	tail_row_noted(row, noted);
	if (durable > row->join_tick) {
		row->base = MAX(row->base, durable);
		route_ack(row->t->route, row->ch, durable);
	}
	return 0;
}

static int
on_block(struct msg_in *in)
{
	struct tail_conn	*c = in->ctx;
	bool			 on;
	int			 r;

	if ((r = get_bool(&in->body, &on)) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	if (c->row == NULL || c->joining)
		return 0;
	if (on)
		tail_row_detach(c->row, ROUTE_WHY_QUOTA);
	else
		route_unblock(c->t->route, c->row->ch);
	tail_refill_step(c->t);
	return 0;
}

/* ---- the connection ----------------------------------------------------- */

static const struct msg_rule	 rules[] = {
	{ MSG_TAIL_ASK_REQ, 1, 9, TAIL_MESSAGE_MAX, on_ask },
	{ MSG_TAIL_JOIN_REQ, 1, 16, TAIL_MESSAGE_MAX, on_join },
	{ MSG_TAIL_ACK, 1, 16, 16, on_ack },
	{ MSG_TAIL_BLOCK, 1, 1, 1, on_block },
	{ 0, 0, 0, 0, NULL }
};

static int
on_message(struct peer *p, const struct frame *f, void *arg)
{
	return msg_dispatch(rules, 1, arg, p, f);
}

void
tail_conn_free(struct tail_conn *c)
{
	struct tail	*t = c->t;
	struct tail_ask	*a;

	TAILQ_FOREACH(a, &t->asks, next)
		if (a->conn == c)
			a->conn = NULL;
	if (c->row != NULL)
		tail_row_away(c->row);
	TAILQ_REMOVE(&t->conns, c, next);
	free(c->join_db);
	free(c->join_cuid);
	peer_free(&c->peer);
	free(c);
	tail_refill_step(t);
}

static void
on_lost(struct peer *p, int why, void *arg)
{
	struct tail_conn	*c = arg;

	if (why != ERR_CLOSED && why != ERR_TRUNCATED && why != -ECONNRESET)
		log_warning("%s: %s", peer_name(p), err_text(why));
	tail_conn_free(c);
}

const struct peer_ops	 tail_send_ops = {
	.message = on_message, .lost = on_lost
};
