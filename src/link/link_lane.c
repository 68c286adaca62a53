/*
 * link_lane.c - our receives and their channels
 *
 * Every receive that connects gets a number for its channel, which is never
 * given again.  So whatever comes down for a number that was given once and is
 * not there any more is of the past; for one that was never given, the source
 * is wrong.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "ipc/rules.h"
#include "link/link_priv.h"
#include "worker/worker.h"

/* ENOBUFS is at four times of it, beyond what all of them may have. */
#define LANE_HIGH_BYTES		((size_t)32 * 1024 * 1024)
/* Control is told so often of one that is wanted. */
#define WANT_MS			2000

/* ---- sleep ----------------------------------------------------------------- */

static void
say_want(struct lane *lane, uint64_t now_ms)
{
	struct peer	*control = worker_control(lane->l->w);
	struct buf	 b = BUF_INIT;

	lane->want_ms = now_ms;
	if (control == NULL || !peer_has_room(control))
		return;
	channel_name_put(&b, &lane->name);
	(void)peer_send_buf(control, MSG_LINK_WANT, 0, &b);
	buf_free(&b);
}

/* There is something for it: until it has it nothing more is known. */
static void
want(struct lane *lane)
{
	lane->live = false;
	link_mark_stall(lane->mark);
	if (lane->wanted)
		return;
	lane->wanted = true;
	say_want(lane, loop_now_ms(lane->l->loop));
}

void
link_lanes_tick(struct link *l, uint64_t now_ms)
{
	struct lane	*lane;

	TAILQ_FOREACH(lane, &l->lanes, next)
		if (lane->wanted && now_ms - lane->want_ms >= WANT_MS)
			say_want(lane, now_ms);
}

static void
say_close(struct lane *lane, const char *why)
{
	struct buf	 b = BUF_INIT;

	if (lane->subscribed) {
		put_str(&b, why);
		link_put(lane->l, MSG_CH_CLOSE, lane->number, lane->id,
		    b.data, b.len);
	}
	buf_free(&b);
}

/* Not from a callback of its own connection. */
static void
lane_free(struct lane *lane)
{
	struct link	*l = lane->l;

	(void)map_del_u64(&l->numbers, lane->number);
	TAILQ_REMOVE(&l->lanes, lane, next);
	l->down_bytes -= lane->counted;
	if (lane->peer != NULL)
		peer_free(&lane->peer);
	free(lane);
}

/* u64 messages that it has got; the last word of the receive. */
static int
sleeps(struct lane *lane, const struct frame *f)
{
	struct rbuf	 m = { f->payload, f->len };
	uint64_t	 got;
	int		 r;

	if ((r = get_u64(&m, &got)) != 0 || (r = get_end(&m)) != 0)
		return r;
	if (lane->asleep || lane->mark == NULL || lane->mark->lane != lane)
		return 0;	/* it was replaced */
	lane->asleep = true;
	/* Something was on its way to it. */
	if (got != lane->said || !lane->subscribed)
		want(lane);
	return 0;
}

void
link_lane_nobody(struct link *l, const struct channel_name *name)
{
	struct lane	*lane = link_mark_lane(l, name);
	struct mark	*k;

	if (lane == NULL || !lane->asleep)
		return;
	say_close(lane, "the shard is not synchronized any more");
	k = lane->mark;
	lane_free(lane);
	link_mark_leave(l, k, false);
}

/* ---- up -------------------------------------------------------------------- */

static int
subscribe(struct lane *lane, const struct frame *f)
{
	struct channel_subscribe s;
	struct rbuf		 m = { f->payload, f->len };
	struct lane		*old;
	char			 a[256], b[256];
	int			 r;

	if ((r = channel_subscribe_get(&m, &s)) != 0)
		return r;
	if (lane->named && strcmp(channel_name_text(&lane->name, a),
	    channel_name_text(&s.name, b)) != 0)
		return ERR_PROTOCOL;
	lane->named = true;
	lane->name = s.name;
	lane->id = f->id;
	lane->live = false;
	lane->subscribed = lane->l->phase == LINK_UP;
	old = link_mark_lane(lane->l, &lane->name);
	lane->mark = link_mark_get(lane->l, lane);
	if (old != NULL && old != lane && old->asleep) {
		say_close(old, "the process that receives this shard is back");
		lane_free(old);
	}
	return 0;
}

static int
applied(struct lane *lane, const struct frame *f)
{
	struct rbuf	 m = { f->payload, f->len };
	uint64_t	 tick;
	bool		 stalled;
	int		 r;

	if ((r = get_u64(&m, &tick)) != 0 || (r = get_bool(&m, &stalled)) != 0 ||
	    (r = get_end(&m)) != 0)
		return r;
	if (lane->mark != NULL && lane->mark->lane == lane)
		link_mark_applied(lane->mark, tick, stalled || !lane->live);
	return 0;
}

static int
on_lane_message(struct peer *p, const struct frame *f, void *arg)
{
	struct lane	*lane = arg;
	struct link	*l = lane->l;
	int		 r;

	if (lane->asleep)
		return 0;
	switch (f->type) {
	case MSG_LINK_APPLIED:
		return applied(lane, f);
	case MSG_LINK_SLEEP:
		return sleeps(lane, f);
	case MSG_CH_SUBSCRIBE:
		if ((r = subscribe(lane, f)) != 0)
			return r;
		break;
	case MSG_CH_CREDIT:
	case MSG_CH_COMMIT:
	case MSG_CH_VERIFY:
	case MSG_CH_AT_CUT:
	case MSG_CH_DIFF:
	case MSG_CH_FETCH:
	case MSG_CH_REPAIRED:
	case MSG_CH_CLOSE:
		break;
	default:
		return ERR_PROTOCOL;
	}
	/* What was said before it heard that the session is over. */
	if (!lane->subscribed || f->id != lane->id)
		return 0;
	link_put(l, f->type, lane->number, f->id, f->payload, f->len);
	if (f->type == MSG_CH_CLOSE) {
		lane->subscribed = lane->live = false;
		link_mark_stall(lane->mark);
	}
	if (l->up.len > LINK_UP_HIGH_BYTES && !lane->paused) {
		lane->paused = l->lanes_paused = true;
		peer_pause(p);
	}
	return 0;
}

/* ---- life of a lane ----------------------------------------------------------- */

static void
say_up(struct lane *lane, bool up)
{
	uint8_t	 b = up;

	lane->said++;
	(void)peer_send(lane->peer, MSG_LINK_UP, 0, &b, 1);
}

static void
on_lane_lost(struct peer *p, int why, void *arg)
{
	struct lane	*lane = arg;
	struct link	*l = lane->l;

	if (why != ERR_CLOSED)
		log_warning("%s: %s", peer_name(p), err_text(why));
	lane->peer = NULL;
	peer_free(&p);
	if (lane->asleep) {
		l->down_bytes -= lane->counted;
		lane->counted = 0;
		lane->paused = false;
		return;
	}
	say_close(lane, "the process that receives this shard ended");
	if (lane->mark != NULL && lane->mark->lane == lane)
		link_mark_leave(l, lane->mark, lane->subscribed);
	lane_free(lane);
}

static const struct peer_ops	 lane_ops = {
	.message = on_lane_message, .lost = on_lane_lost
};

void
link_lane_connect(struct link *l, const char *name, int fd)
{
	struct lane	*lane = xcalloc(1, sizeof(*lane));

	lane->l = l;
	lane->peer = peer_new(fd, name, &lane_ops, lane);
	peer_set_limits(lane->peer, CHANNEL_MESSAGE_MAX, PEER_LOW_BYTES,
	    LANE_HIGH_BYTES);
	if (peer_attach(lane->peer, l->loop) != 0) {
		peer_free(&lane->peer);
		free(lane);
		return;
	}
	lane->number = ++l->last_number;
	map_put_u64(&l->numbers, lane->number, lane);
	TAILQ_INSERT_TAIL(&l->lanes, lane, next);
	say_up(lane, l->phase == LINK_UP);
}

void
link_lanes_up(struct link *l, bool up)
{
	struct lane	*lane;

	TAILQ_FOREACH(lane, &l->lanes, next) {
		lane->subscribed = lane->live = false;
		link_mark_stall(lane->mark);
		if (!lane->asleep)
			say_up(lane, up);
		else if (up)
			want(lane);	/* its source knows nothing of it */
		else
			lane->wanted = false;
	}
	link_lanes_resume(l);
}

void
link_lanes_resume(struct link *l)
{
	struct lane	*lane;

	if (!l->lanes_paused)
		return;
	l->lanes_paused = false;
	TAILQ_FOREACH(lane, &l->lanes, next)
		if (lane->paused) {
			lane->paused = false;
			peer_resume(lane->peer);
		}
}

/* ---- the inventory ---------------------------------------------------------- */

static int
on_inventory_message(struct peer *p, const struct frame *f, void *arg)
{
	return ERR_PROTOCOL;
}

static void
on_inventory_lost(struct peer *p, int why, void *arg)
{
	struct link	*l = arg;

	if (why != ERR_CLOSED)
		log_warning("%s: %s", peer_name(p), err_text(why));
	if (l->inventory == p)
		l->inventory = NULL;
	peer_free(&p);
}

static const struct peer_ops	 inventory_ops = {
	.message = on_inventory_message, .lost = on_inventory_lost
};

static void
give_structure(struct link *l)
{
	if (l->inventory != NULL && l->structure.len != 0)
		(void)peer_send(l->inventory, MSG_WORKER_STRUCTURE, 0,
		    l->structure.data, l->structure.len);
}

void
link_inventory_connect(struct link *l, const char *name, int fd)
{
	if (l->inventory != NULL)
		peer_free(&l->inventory);
	l->inventory = peer_new(fd, name, &inventory_ops, l);
	/* However large and many they are: the newest is worth the memory. */
	peer_set_limits(l->inventory, PEER_MESSAGE_MAX_BYTES, PEER_LOW_BYTES,
	    CHANNEL_STRUCTURE_MAX);
	if (peer_attach(l->inventory, l->loop) != 0) {
		peer_free(&l->inventory);
		return;
	}
	give_structure(l);
}

/* u64 version, JSON to the end */
static int
take_structure(struct link *l, const struct frame *f)
{
	struct rbuf	 m = { f->payload, f->len };
	uint64_t	 version;
	int		 r;

	if ((r = get_u64(&m, &version)) != 0)
		return r;
	buf_free(&l->structure);
	put_u64(&l->structure, version);
	put_bytes(&l->structure, m.p, m.left);
	give_structure(l);
	return 0;
}

/* ---- down ------------------------------------------------------------------- */

/* Exact for those that have something to take; the others cost nothing. */
static void
count_down(struct link *l)
{
	struct lane	*lane;

	l->down_bytes = 0;
	TAILQ_FOREACH(lane, &l->lanes, next)
		if (lane->counted != 0) {
			lane->counted = peer_queued_bytes(lane->peer);
			l->down_bytes += lane->counted;
		}
}

/* down_bytes is at least what waits: it is counted anew when that matters. */
bool
link_has_room(struct link *l)
{
	size_t	 max = l->paused ? LINK_DOWN_MAX_BYTES / 2 :
		    LINK_DOWN_MAX_BYTES;

	if (l->down_bytes > max)
		count_down(l);
	return l->down_bytes <= max;
}

static int
take_closed(struct link *l, const struct frame *f, struct err_msg *m)
{
	struct rbuf	 body = { f->payload, f->len };
	char		 why[512];
	size_t		 i;
	int		 r;

	if ((r = get_str(&body, why, sizeof(why))) != 0 ||
	    (r = get_end(&body)) != 0)
		return r;
	for (i = 0; why[i] != '\0'; i++)
		if (why[i] < ' ' || why[i] > '~')
			why[i] = '?';
	return err_set(m, ERR_CLOSED, "the source has ended the session: %s",
	    why);
}

/* Of the session itself. */
static int
take_own(struct link *l, const struct frame *f, struct err_msg *m)
{
	struct channel_watermark w;
	struct rbuf		 body = { f->payload, f->len };
	uint64_t		 sent, theirs;
	int			 r;

	switch (f->type) {
	case MSG_CH_WATERMARK:
		if ((r = channel_watermark_get(&body, &w)) != 0)
			return r;
		return link_mark_watermark(l, &w);
	case MSG_CH_PONG:
		if ((r = get_u64(&body, &sent)) != 0 ||
		    (r = get_u64(&body, &theirs)) != 0 ||
		    (r = get_end(&body)) != 0)
			return r;
		link_mark_pong(l, sent, theirs);
		return 0;
	case MSG_CH_STRUCTURE:
		return take_structure(l, f);
	case MSG_CH_CLOSED:
		return take_closed(l, f, m);
	default:
		return ERR_PROTOCOL;
	}
}

/* What matters to us of a message that we pass on. */
static int
look_at(struct link *l, struct lane *lane, const struct frame *f)
{
	struct channel_resume	 resume;
	struct channel_record	 rec;
	struct channel_cut	 cut;
	struct rbuf		 m = { f->payload, f->len };
	uint64_t		 tick;
	int			 r;

	switch (f->type) {
	case MSG_CH_RESUME:
		if ((r = channel_resume_get(&m, &resume)) != 0)
			return r;
		lane->live = true;
		return link_mark_resume(l, lane->mark, &resume);
	case MSG_CH_CUT:
		if ((r = channel_cut_get(&m, &cut)) != 0)
			return r;
		lane->live = true;
		return link_mark_cut(l, lane->mark, &cut);
	case MSG_CH_REPAIR:
		link_mark_stall(lane->mark);
		return 0;
	case MSG_CH_RECORD:
		if ((r = channel_record_get(f->payload, f->len, &rec)) != 0)
			return r;
		if (rec.flags & CHANNEL_BOUNDARY)
			link_mark_queued(lane->mark, rec.pos.server,
			    rec.pos.tick);
		return 0;
	case MSG_CH_QUEUED:
		if ((r = get_u64(&m, &tick)) != 0 || (r = get_end(&m)) != 0)
			return r;
		link_mark_queued(lane->mark, NULL, tick);
		return 0;
	case MSG_CH_CLOSED:
		lane->subscribed = lane->live = false;
		link_mark_stall(lane->mark);
		return 0;
	default:
		return 0;
	}
}

/* What a channel may say at all. */
static bool
is_of_channel(uint16_t type)
{
	switch (type) {
	case MSG_CH_RESUME:
	case MSG_CH_REPAIR:
	case MSG_CH_RECORD:
	case MSG_CH_QUEUED:
	case MSG_CH_CUT:
	case MSG_CH_SNAP:
	case MSG_CH_SNAP_END:
	case MSG_CH_SUMS:
	case MSG_CH_PAIRS:
	case MSG_CH_DOCS:
	case MSG_CH_CAUGHT_UP:
	case MSG_CH_CLOSED:
		return true;
	default:
		return false;
	}
}

static int
take_channel(struct link *l, const struct frame *f)
{
	struct lane	*lane = map_get_u64(&l->numbers, f->generation);
	int		 r;

	if (!is_of_channel(f->type))
		return ERR_PROTOCOL;
	if (lane == NULL)
		return f->generation <= l->last_number ? 0 : ERR_NOT_FOUND;
	if (!lane->subscribed || lane->id != f->id)
		return 0;
	if ((r = look_at(l, lane, f)) != 0)
		return r;
	if (lane->asleep) {
		want(lane);
		return 0;
	}
	lane->said++;
	r = peer_send(lane->peer, f->type, f->id, f->payload, f->len);
	if (r == ERR_CLOSED)
		return 0;		/* we are about to be told */
	l->down_bytes += peer_queued_bytes(lane->peer) - lane->counted;
	lane->counted = peer_queued_bytes(lane->peer);
	return r;
}

int
link_take(struct link *l, bool bulk, const struct frame *f, struct err_msg *m)
{
	int	 r = 0;

	if (f->has_fd || (f->type != MSG_CH_PONG &&
	    channel_is_bulk(f->type) != bulk))
		r = ERR_PROTOCOL;
	else if (f->len > CHANNEL_MESSAGE_MAX && f->type != MSG_CH_STRUCTURE)
		r = ERR_TOO_BIG;
	else
		r = f->generation == 0 ? take_own(l, f, m) :
		    take_channel(l, f);
	if (r != 0 && m->text[0] == '\0')
		err_set(m, r, "the source sent %s, %zu bytes, on channel %u: "
		    "%s", msg_name(f->type), f->len, (unsigned)f->generation,
		    err_text(r));
	return r;
}
