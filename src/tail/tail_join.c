/* tail_join.c - what sends ask, and what can be proven to them (R4, R5) */
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
/* So long an answer of wal/range is good for all who ask. */
#define RANGE_MS	1000

/* ---- proven history ------------------------------------------------------------- */

void
tail_lineage_add(struct tail *t, uint64_t reboot_id, uint64_t tick)
{
	size_t	 i;

	for (i = 0; i < t->nlineage; i++)
		if (t->lineage[i].reboot_id == reboot_id) {
			t->lineage[i].tick = MAX(t->lineage[i].tick, tick);
			return;
		}
	if (t->nlineage == TAIL_LINEAGE_MAX)
		memmove(t->lineage, t->lineage + 1,
		    --t->nlineage * sizeof(*t->lineage));
	t->lineage[t->nlineage].reboot_id = reboot_id;
	t->lineage[t->nlineage++].tick = tick;
}

void
tail_lineage_cut(struct tail *t, uint64_t tick)
{
	size_t	 i;

	for (i = 0; i < t->nlineage; i++)
		t->lineage[i].tick = MIN(t->lineage[i].tick, tick);
}

bool
tail_lineage_has(const struct tail *t, const struct sync_pos *p,
    uint64_t *join)
{
	size_t	 i;

	*join = p->tick;
	if (p->reboot_id == 0)
		return false;
	if (p->reboot_id == t->conf.reboot_id &&
	    p->reboot_id == t->point_reboot && !t->void_label)
		return true;
	for (i = 0; i < t->nlineage; i++) {
		if (t->lineage[i].reboot_id != p->reboot_id)
			continue;
		if (p->tick <= t->lineage[i].tick)
			return true;
		/* between its proof and it nothing was read */
		*join = p->proof_tick;
		return p->has_proof && p->proof_tick <= t->lineage[i].tick;
	}
	return false;
}

/* Nothing came for it behind the tick: our own place is as good. */
static bool
is_idle_since(struct tail *t, const char *db, const char *cuid, uint64_t tick)
{
	const struct tail_row	*row = tail_row_find(t, db, cuid);

	return row != NULL && row->known <= tick && row->last <= tick &&
	    tick <= t->point.from;
}

/* ---- ASK -------------------------------------------------------------------------- */

static void
ask_free(struct tail_ask *a)
{
	free(a->db);
	free(a->cuid);
	free(a);
}

/* Read the proof again.  Waits. */
static int
prove(struct tail *t, const struct sync_pos *pos, struct tail_evidence *e)
{
	struct arango_tail_point p = {
		.from = pos->tick, .has_last = pos->has_proof,
		.last_vpack = pos->proof_vpack, .last_from = pos->proof_from,
		.last_tick = pos->proof_tick, .last_crc = pos->proof_crc
	};
	struct arango_tail_point resume;
	struct err_msg		 m;
	int			 r;

	if (!pos->has_proof)
		return 0;
	r = arango_tail_prove(t->cluster, t->server, &p, &t->cancel, &resume,
	    &m);
	switch (r) {
	case 0:
		e->proven = true;
		e->join = resume.from;
		return 0;
	case ERR_NOT_FOUND:
		e->gap = true;
		return 0;
	case ERR_CORRUPT:
		return 0;
	default:
		return r;
	}
}

static bool
is_ours(const struct tail *t, const struct sync_pos *p)
{
	return strcmp(p->server, t->conf.server) == 0 && (p->server_id == 0 ||
	    t->server_id == 0 || p->server_id == t->server_id);
}

/* 0, or negative: the server could not be asked.  Waits. */
static int
find_evidence(struct tail *t, const struct tail_ask *a,
    struct tail_evidence *e)
{
	struct err_msg	 m;
	uint64_t	 now = loop_now_ms(t->loop);
	int		 r;

	memset(e, 0, sizeof(*e));
	/* one that is further than we knew is not ahead of the server */
	if (t->range_ms == 0 || now - t->range_ms > RANGE_MS ||
	    (a->has_pos && a->pos.tick > t->range.max)) {
		r = arango_wal_range(t->cluster, t->server, &t->range, &m);
		if (r != 0)
			return r;
		t->range_ms = now;
	}
	memcpy(e->server, t->conf.server, sizeof(e->server));
	e->join = a->pos.tick;
	if (a->has_pos && is_ours(t, &a->pos)) {
		e->proven = tail_lineage_has(t, &a->pos, &e->join);
		if (!e->proven && (r = prove(t, &a->pos, e)) != 0)
			return r;
	}
	/* as they are after waiting */
	e->reboot_id = t->conf.reboot_id;
	e->server_id = t->server_id;
	e->through = t->point.from;
	e->rounds = t->rounds;
	e->wal_first = t->range.min;
	e->wal_last = MAX(t->range.max, t->point.from);
	if (!e->proven)
		return 0;
	if (is_idle_since(t, a->db, a->cuid, a->pos.tick)) {
		e->join = t->point.from;
		e->wal_first = MIN(e->wal_first, a->pos.tick);
		e->wal_last = MAX(e->wal_last, a->pos.tick);
		e->gap = false;
	} else if (e->join < t->range.min && e->join < a->pos.tick)
		e->gap = true;
	return 0;
}

static void
answer_ask(struct tail_ask *a, const struct tail_evidence *e)
{
	struct buf	 b = BUF_INIT;

	if (a->conn == NULL)
		return;
	a->conn->asked = a->has_pos ? a->pos.tick : 0;
	a->conn->lifted = e->join;
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
		    find_evidence(t, a, &e) != 0)) {
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
	if (t->stopping)
		tail_stop(t);
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

/* ---- JOIN ------------------------------------------------------------------------- */

static void
say_behind(struct tail_row *row, uint64_t tick)
{
	struct buf	 b = BUF_INIT;

	put_u64(&b, tick);
	row->told = tick;
	tail_row_send(row, MSG_TAIL_BEHIND, &b);
}

static void
join_answer(struct tail_conn *c, uint64_t tick)
{
	struct buf	 b = BUF_INIT;

	put_i32(&b, 0);
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
	if (tick != ROUTE_FROM_NOW && is_idle_since(t, c->join_db,
	    c->join_cuid, tick))
		tick = t->point.from;
	row = join_row(c, tick);
	if (c->join_tick == ROUTE_FROM_NOW)
		base = row->ch->last;
	else if (c->join_tick == c->lifted)
		base = MIN(c->join_tick, c->asked);
	row->base = base;
	if (row->ch->state == ROUTE_DETACHED) {
		tail_row_pending(row, t->point.from, t->point.from);
		say_behind(row, t->point.from);
	}
	/* above what was asked for nothing is missing, wherever we begin */
	join_answer(c, MIN(c->join_tick, row->join_tick));
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

/* ---- ACK, BLOCK ------------------------------------------------------------------- */

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

/* ---- the connection ---------------------------------------------------------------- */

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
