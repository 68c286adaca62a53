/*
 * session_channel.c - channels and the processes that serve them
 *
 * A row is a subscription: made by MSG_CH_SUBSCRIBE, gone with MSG_CH_CLOSE
 * from above and MSG_CH_CLOSED from below.  Whatever is said about one that is
 * gone, or by the number of an older one, is of the past and dropped.
 */
#include <errno.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/session_priv.h"
#include "base/err.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"

/* Why a subscription ends that a sender has slept over. */
#define ASLEEP		"it was asleep"

#define KEY_SIZE	(SESSION_CLUSTER_SIZE + 260)

static char *
sender_key(const char *target, const struct channel_name *name,
    char key[KEY_SIZE])
{
	char	 text[256];

	snprintf(key, KEY_SIZE, "%s %s", target,
	    channel_name_text(name, text));
	return key;
}

/* ---- rows --------------------------------------------------------------- */

static void
row_free(struct row *row)
{
	char	 text[256];

	if (row->sender != NULL)
		row->sender->row = NULL;
	else if (!row->dormant)
		TAILQ_REMOVE(&row->s->all->wanted, row, next);
	(void)map_del_u64(&row->s->numbers, row->number);
	channel_name_text(&row->name, text);
	if (map_get(&row->s->names, text) == row)
		(void)map_del(&row->s->names, text);
	buf_free(&row->kept);
	free(row);
}

static void
say_closed(struct session *s, uint32_t number, uint32_t id, const char *why)
{
	struct buf	 b = BUF_INIT;

	put_str(&b, why);
	stream_put(&s->live, MSG_CH_CLOSED, number, id, b.data, b.len);
	buf_free(&b);
}

void
row_close(struct row *row, const char *why)
{
	say_closed(row->s, row->number, row->id, why);
	row_free(row);
}

/* To a sender; counted, see sender_sleeps(). */
static int
say(struct sender *x, uint16_t type, uint32_t id, const void *p, size_t len)
{
	x->said++;
	return peer_send(x->peer, type, id, p, len);
}

static void
say_close(struct sender *x, uint32_t id, const char *why)
{
	struct buf	 b = BUF_INIT;

	put_str(&b, why);
	(void)say(x, MSG_CH_CLOSE, id, b.data, b.len);
	buf_free(&b);
}

void
session_drop_rows(struct session *s, const char *why)
{
	struct map_iter	 it;
	struct row	*row;

	MAP_FOREACH(&s->numbers, it) {
		row = it.value;
		if (row->sender != NULL)
			say_close(row->sender, row->id, why);
		row_free(row);
	}
	map_free(&s->numbers, NULL);
	map_free(&s->names, NULL);
}

struct row *
session_find_row(const struct session *s, const struct channel_name *name)
{
	char	 text[256];

	return map_get(&s->names, channel_name_text(name, text));
}

/* ---- what is wanted ----------------------------------------------------- */

static void
say_want(struct row *row, uint64_t now_ms)
{
	struct peer	*control = row->s->all->a->control;
	struct buf	 b = BUF_INIT;

	row->want_ms = now_ms;
	if (control == NULL || !peer_has_room(control))
		return;
	put_str(&b, row->s->target);
	channel_name_put(&b, &row->name);
	(void)peer_send_buf(control, MSG_API_WANT, 0, &b);
}

/* The list is in the order in which control was told. */
void
sessions_say_wanted(struct api_sessions *all, uint64_t now_ms)
{
	struct row	*row;

	while ((row = TAILQ_FIRST(&all->wanted)) != NULL &&
	    now_ms - row->want_ms >= SESSION_WANT_MS) {
		TAILQ_REMOVE(&all->wanted, row, next);
		TAILQ_INSERT_TAIL(&all->wanted, row, next);
		say_want(row, now_ms);
	}
}

/* ---- up ----------------------------------------------------------------- */

/* Pass it on to the sender; a row whose sender takes nothing is over. */
static void
pass_up(struct row *row, uint16_t type, const void *payload, size_t len)
{
	if (say(row->sender, type, row->id, payload, len) == 0)
		return;
	row_close(row, "the process that sends this shard takes no messages");
}

static bool
is_same(const struct channel_name *a, const struct channel_name *b)
{
	return strcmp(a->db, b->db) == 0 && a->cid == b->cid &&
	    a->shard == b->shard;
}

/*
 * The row for this subscription, without an older one of that name.  NULL:
 * the number has another name, or there are too many.
 */
static struct row *
make_row(struct session *s, uint32_t number, const struct channel_name *name)
{
	struct row	*row;
	char		 text[256];

	if ((row = map_get_u64(&s->numbers, number)) != NULL)
		return is_same(&row->name, name) ? row : NULL;
	if (map_count(&s->numbers) >= SESSION_CHANNELS_MAX)
		return NULL;
	if ((row = session_find_row(s, name)) != NULL) {
		if (row->sender != NULL)
			say_close(row->sender, row->id,
			    "subscribed on another channel");
		row_close(row, "subscribed on another channel");
	}
	row = xcalloc(1, sizeof(*row));
	row->s = s;
	row->number = number;
	row->name = *name;
	map_put_u64(&s->numbers, number, row);
	map_put(&s->names, channel_name_text(name, text), row);
	TAILQ_INSERT_TAIL(&s->all->wanted, row, next);
	return row;
}

static void
give_sender(struct row *row, struct sender *x)
{
	struct buf	 kept = row->kept;

	row->kept = (struct buf)BUF_INIT;
	TAILQ_REMOVE(&row->s->all->wanted, row, next);
	row->sender = x;
	x->row = row;
	pass_up(row, MSG_CH_SUBSCRIBE, kept.data, kept.len);
	buf_free(&kept);
}

static int
subscribe(struct session *s, const struct frame *f)
{
	struct channel_subscribe sub;
	struct rbuf		 m = { f->payload, f->len };
	struct sender		*x;
	struct row		*row;
	char			 key[KEY_SIZE];
	int			 r;

	if ((r = channel_subscribe_get(&m, &sub)) != 0)
		return r;
	if ((row = make_row(s, f->generation, &sub.name)) == NULL)
		return ERR_PROTOCOL;
	row->id = f->id;
	if (row->sender != NULL) {
		pass_up(row, f->type, f->payload, f->len);
		return 0;
	}
	if (row->dormant) {
		row->dormant = false;
		row->want_ms = 0;
		TAILQ_INSERT_TAIL(&s->all->wanted, row, next);
	}
	buf_reset(&row->kept);
	buf_append(&row->kept, f->payload, f->len);
	x = map_get(&s->all->senders, sender_key(s->target, &row->name, key));
	if (x != NULL)
		give_sender(row, x);
	else if (row->want_ms == 0)
		say_want(row, loop_now_ms(s->all->a->loop));
	return 0;
}

static int
pong(struct session *s, const struct frame *f)
{
	struct rbuf	 m = { f->payload, f->len };
	uint64_t	 clock;
	int		 r;

	if ((r = get_u64(&m, &clock)) != 0 || (r = get_end(&m)) != 0)
		return r;
	/* On both: whoever reads them sees that neither has broken off. */
	stream_pong(&s->live, clock);
	stream_pong(&s->bulk, clock);
	return 0;
}

int
session_take(struct session *s, const struct frame *f)
{
	struct row	*row;

	if (f->has_fd)
		return ERR_PROTOCOL;
	if (f->generation == 0)
		return f->type == MSG_CH_PING ? pong(s, f) : ERR_PROTOCOL;
	switch (f->type) {
	case MSG_CH_SUBSCRIBE:
		return subscribe(s, f);
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
	row = map_get_u64(&s->numbers, f->generation);
	if (row == NULL || row->id != f->id)
		return 0;
	if (row->sender != NULL)
		(void)say(row->sender, f->type, f->id, f->payload, f->len);
	if (f->type == MSG_CH_CLOSE)
		row_free(row);
	else if (row->dormant && f->type != MSG_CH_CREDIT &&
	    f->type != MSG_CH_COMMIT)
		row_close(row, ASLEEP);
	return 0;
}

/* ---- senders ------------------------------------------------------------ */

void
sender_begin(struct sender *x)
{
	struct api_sessions	*all = x->all;
	struct session		*s = session_of_target(all, x->target);
	struct sender		*old;
	struct row		*row;
	char			 key[KEY_SIZE];

	old = map_put(&all->senders, sender_key(x->target, &x->name, key), x);
	if (old != NULL && old->row != NULL)
		row_close(old->row, "the process that sends this shard was "
		    "replaced");
	if (s == NULL || (row = session_find_row(s, &x->name)) == NULL)
		return;
	/* It knows nothing of that subscription. */
	if (row->dormant)
		row_close(row, ASLEEP);
	else
		give_sender(row, x);
}

static void
forget_name(struct sender *x)
{
	char	 key[KEY_SIZE];

	if (!x->known)
		return;
	sender_key(x->target, &x->name, key);
	if (map_get(&x->all->senders, key) == x)
		(void)map_del(&x->all->senders, key);
}

void
sender_sleeps(struct sender *x, uint64_t got)
{
	struct row	*row = x->row;

	stream_forget(x);
	forget_name(x);
	if (row == NULL)
		return;
	/* Something was on its way to it. */
	if (got != x->said) {
		row_close(row, ASLEEP);
		return;
	}
	x->row = NULL;
	row->sender = NULL;
	row->dormant = true;
}

void
sender_end(struct sender *x)
{
	stream_forget(x);
	if (x->row != NULL)
		row_close(x->row, "the process that sends this shard ended");
	forget_name(x);
}

/* It is on the stream, or nobody listens: either way it is known (R21). */
static int
note(struct sender *x, const struct frame *f)
{
	struct rbuf	 m = { f->payload, f->len };
	uint64_t	 tick;
	int		 r;

	if ((r = get_u64(&m, &tick)) != 0 || (r = get_end(&m)) != 0)
		return r;
	r = say(x, MSG_SEND_NOTED, f->id, f->payload, f->len);
	return r == -ENOBUFS ? r : 0;
}

int
sender_take(struct sender *x, const struct frame *f)
{
	struct row	*row = x->row;
	struct stream	*t;
	int		 r;

	switch (f->type) {
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
		break;
	default:
		return ERR_PROTOCOL;
	}
	if (row != NULL && row->id == f->id) {
		t = channel_is_bulk(f->type) ? &row->s->bulk : &row->s->live;
		if (f->type == MSG_CH_QUEUED)
			stream_put(t, f->type, row->number, f->id, f->payload,
			    f->len);
		else
			stream_pass(t, x, f);
		stream_hold(t, x);
		if (f->type == MSG_CH_CLOSED)
			row_free(row);
	}
	if (f->type == MSG_CH_QUEUED && (r = note(x, f)) != 0)
		return r;
	return 0;
}
