/* session_peer.c - processes of our own that have to do with sessions */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/session_priv.h"
#include "base/err.h"
#include "base/log.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"

/* Positions and a name, generously. */
#define WATERMARK_MAX_BYTES	1024
/* FETCH and DIFF to a sender that reads its disk just now may wait. */
#define SENDER_HIGH_BYTES	((size_t)4 * 1024 * 1024)

/* A tail or an inventory: it only talks. */
struct teller {
	struct api_sessions *all;
	const struct msg_rule *rules;
};

/* ---- tail and inventory --------------------------------------------------- */

/*
 * str target, bytes payload of MSG_CH_WATERMARK.  The tail has been told by all
 * senders that what is up to that tick is known to us, and they were told so
 * by us after it had been put on the same stream.
 */
static int
on_watermark(struct msg_in *in)
{
	struct teller	*t = in->ctx;
	struct session	*s;
	const uint8_t	*payload;
	char		 target[SESSION_CLUSTER_SIZE];
	size_t		 len;
	int		 r;

	if ((r = get_str(&in->body, target, sizeof(target))) != 0 ||
	    (r = get_bytes(&in->body, &payload, &len)) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	if ((s = session_of_target(t->all, target)) != NULL)
		stream_put(&s->live, MSG_CH_WATERMARK, 0, 0, payload, len);
	return 0;
}

/* u64 version, bytes JSON */
static int
on_structure(struct msg_in *in)
{
	struct teller		*t = in->ctx;
	struct api_sessions	*all = t->all;
	struct buf		 b = BUF_INIT;
	struct map_iter		 it;
	const uint8_t		*text;
	uint64_t		 version;
	size_t			 len;
	int			 r;

	if ((r = get_u64(&in->body, &version)) != 0 ||
	    (r = get_bytes(&in->body, &text, &len)) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	put_u64(&b, version);
	buf_append(&b, text, len);
	if (b.len == all->structure.len &&
	    memcmp(b.data, all->structure.data, b.len) == 0) {
		buf_free(&b);
		return 0;
	}
	buf_free(&all->structure);
	all->structure = b;
	all->structure_count++;
	MAP_FOREACH(&all->targets, it)
		session_put_structure(it.value);
	return 0;
}

static const struct msg_rule	 from_tail[] = {
	{ MSG_TAIL_WATERMARK, 1, 8, WATERMARK_MAX_BYTES, on_watermark },
	{ 0, 0, 0, 0, NULL }
};

static const struct msg_rule	 from_inventory[] = {
	{ MSG_WORKER_STRUCTURE, 1, 12, CHANNEL_STRUCTURE_MAX, on_structure },
	{ 0, 0, 0, 0, NULL }
};

static int
on_teller_message(struct peer *p, const struct frame *f, void *arg)
{
	struct teller	*t = arg;

	return msg_dispatch(t->rules, 1, t, p, f);
}

static void
on_teller_lost(struct peer *p, int why, void *arg)
{
	if (why != ERR_CLOSED)
		log_warning("%s: %s", peer_name(p), err_text(why));
	peer_free(&p);
	free(arg);
}

static const struct peer_ops	 teller_ops = {
	.message = on_teller_message, .lost = on_teller_lost
};

static void
connect_teller(struct api_sessions *all, const char *name,
    const struct msg_rule *rules, int fd)
{
	struct teller	*t = xcalloc(1, sizeof(*t));
	struct peer	*p;

	t->all = all;
	t->rules = rules;
	p = peer_new(fd, name, &teller_ops, t);
	peer_set_limits(p, msg_rules_max(rules), PEER_LOW_BYTES,
	    PEER_HIGH_BYTES);
	if (peer_attach(p, all->a->loop) != 0) {
		peer_free(&p);
		free(t);
	}
}

/* ---- send ------------------------------------------------------------------ */

/* str target, channel */
static int
on_hello(struct sender *x, const struct frame *f)
{
	struct rbuf	 m = { f->payload, f->len };
	int		 r;

	if (f->type != MSG_SEND_HELLO)
		return ERR_BAD_STATE;
	if ((r = get_str(&m, x->target, sizeof(x->target))) != 0 ||
	    (r = channel_name_get(&m, &x->name)) != 0 ||
	    (r = get_end(&m)) != 0)
		return r;
	x->known = true;
	sender_begin(x);
	return 0;
}

/* u64 messages that it has got */
static int
on_sleep(struct sender *x, const struct frame *f)
{
	struct rbuf	 m = { f->payload, f->len };
	uint64_t	 got;
	int		 r;

	if ((r = get_u64(&m, &got)) != 0 || (r = get_end(&m)) != 0)
		return r;
	sender_sleeps(x, got);
	return 0;
}

static int
on_sender_message(struct peer *p, const struct frame *f, void *arg)
{
	struct sender	*x = arg;

	if (!x->known)
		return on_hello(x, f);
	return f->type == MSG_SEND_SLEEP ? on_sleep(x, f) : sender_take(x, f);
}

static void
on_sender_lost(struct peer *p, int why, void *arg)
{
	struct sender	*x = arg;

	if (why != ERR_CLOSED)
		log_warning("%s: %s", peer_name(p), err_text(why));
	sender_end(x);
	peer_free(&p);
	free(x);
}

static const struct peer_ops	 sender_ops = {
	.message = on_sender_message, .lost = on_sender_lost
};

static void
connect_sender(struct api_sessions *all, const char *name, int fd)
{
	struct sender	*x = xcalloc(1, sizeof(*x));

	x->all = all;
	x->peer = peer_new(fd, name, &sender_ops, x);
	peer_set_limits(x->peer, CHANNEL_MESSAGE_MAX, PEER_LOW_BYTES,
	    SENDER_HIGH_BYTES);
	if (peer_attach(x->peer, all->a->loop) != 0) {
		peer_free(&x->peer);
		free(x);
	}
}

void
api_sessions_connect(struct api_sessions *all, const char *name,
    unsigned class, int fd)
{
	switch (class) {
	case DAEMON_SEND:
		connect_sender(all, name, fd);
		break;
	case DAEMON_TAIL:
		connect_teller(all, name, from_tail, fd);
		break;
	case DAEMON_INVENTORY:
		connect_teller(all, name, from_inventory, fd);
		break;
	default:
		close(fd);
		break;
	}
}
