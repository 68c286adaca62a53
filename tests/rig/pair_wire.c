/*
 * pair_wire.c - api and link of the rig.  A message of a channel travels in a
 * message of our own: its type, subscription and channel in front.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "ev/loop.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "proc/child.h"
#include "pair_rig.h"
#include "sync/channel.h"

#define WIRE		0x7f00
#define ENDS_MAX	512
#define MESSAGE_MAX	((size_t)4 << 20)

struct end {
	struct peer		*peer;	/* a send, a receive, a tail */
	struct channel_name	 name;
	bool			 known;
	uint32_t		 id;	/* subscription */
};

struct wire {
	struct member	*m;
	bool		 is_api;
	struct peer	*other;		/* link or api */
	struct end	 ends[ENDS_MAX];
	/* SUBSCRIBE of those whose send is not there. */
	struct {
		struct channel_name	 name;
		struct buf		 payload;
		uint32_t		 id;
	}		 waiting[ENDS_MAX];
};

static bool
same(const struct channel_name *a, const struct channel_name *b)
{
	return a->cid == b->cid && a->shard == b->shard &&
	    strcmp(a->db, b->db) == 0;
}

static struct end *
find(struct wire *w, const struct channel_name *n)
{
	size_t	 i;

	for (i = 0; i < ENDS_MAX; i++)
		if (w->ends[i].peer != NULL && w->ends[i].known &&
		    same(&w->ends[i].name, n))
			return &w->ends[i];
	return NULL;
}

static void
over(struct wire *w, const struct channel_name *n, uint16_t type, uint32_t id,
    const void *p, size_t len)
{
	struct buf	 b = BUF_INIT;

	if (w->other == NULL)
		return;
	channel_name_put(&b, n);
	put_u16(&b, type);
	put_u32(&b, id);
	buf_append(&b, p, len);
	(void)peer_send_buf(w->other, WIRE, 0, &b);
	buf_free(&b);
}

static void
over_reason(struct wire *w, const struct channel_name *n, uint16_t type,
    uint32_t id, const char *reason)
{
	struct buf	 b = BUF_INIT;

	put_str(&b, reason);
	over(w, n, type, id, b.data, b.len);
	buf_free(&b);
}

static int
from_wire(struct peer *p, const struct frame *f, void *arg)
{
	struct wire		*w = arg;
	struct rbuf		 m = { f->payload, f->len };
	struct channel_name	 n;
	struct end		*e;
	uint16_t		 type;
	uint32_t		 id;
	size_t			 i;
	int			 r;

	if (f->type != WIRE)
		return ERR_PROTOCOL;
	if ((r = channel_name_get(&m, &n)) != 0 ||
	    (r = get_u16(&m, &type)) != 0 || (r = get_u32(&m, &id)) != 0)
		return r;
	if ((e = find(w, &n)) != NULL) {
		e->id = id;
		(void)peer_send(e->peer, type, id, m.p, m.left);
		return 0;
	}
	if (!w->is_api || type != MSG_CH_SUBSCRIBE)
		return 0;
	for (i = 0; i < ENDS_MAX; i++)
		if (w->waiting[i].payload.len == 0 ||
		    same(&w->waiting[i].name, &n))
			break;
	if (i == ENDS_MAX)
		return 0;
	buf_reset(&w->waiting[i].payload);
	buf_append(&w->waiting[i].payload, m.p, m.left);
	w->waiting[i].name = n;
	w->waiting[i].id = id;
	return 0;
}

static void
wire_lost(struct peer *p, int why, void *arg)
{
	struct wire	*w = arg;

	w->other = NULL;
	peer_free(&p);
}

static const struct peer_ops	 wire_ops = {
	.message = from_wire, .lost = wire_lost
};

static void
send_is_there(struct wire *w, struct end *e)
{
	size_t	 i;

	for (i = 0; i < ENDS_MAX; i++) {
		if (w->waiting[i].payload.len == 0 ||
		    !same(&w->waiting[i].name, &e->name))
			continue;
		e->id = w->waiting[i].id;
		(void)peer_send(e->peer, MSG_CH_SUBSCRIBE, e->id,
		    w->waiting[i].payload.data, w->waiting[i].payload.len);
		buf_reset(&w->waiting[i].payload);
	}
}

static int
from_end(struct peer *p, const struct frame *f, void *arg)
{
	struct wire		*w = arg;
	struct rbuf		 m = { f->payload, f->len };
	struct end		*e = NULL;
	char			 target[64];
	size_t			 i;
	int			 r;

	for (i = 0; i < ENDS_MAX; i++)
		if (w->ends[i].peer == p)
			e = &w->ends[i];
	if (f->type == MSG_TAIL_WATERMARK || f->type == MSG_LINK_APPLIED)
		return 0;
	if (f->type == MSG_SEND_HELLO) {
		if ((r = get_str(&m, target, sizeof(target))) != 0 ||
		    (r = channel_name_get(&m, &e->name)) != 0)
			return r;
		e->known = true;
		send_is_there(w, e);
		return 0;
	}
	if (f->type == MSG_CH_SUBSCRIBE) {
		if ((r = channel_name_get(&m, &e->name)) != 0)
			return r;
		e->known = true;
		e->id = f->id;
	}
	if (!e->known || f->type < 0x0800 || f->type > 0x08ff)
		return ERR_PROTOCOL;
	if (f->type == MSG_CH_QUEUED) {
		(void)peer_send(p, MSG_SEND_NOTED, 0, f->payload, f->len);
		return 0;
	}
	over(w, &e->name, f->type, f->id, f->payload, f->len);
	return 0;
}

static void
end_lost(struct peer *p, int why, void *arg)
{
	struct wire	*w = arg;
	size_t		 i;

	for (i = 0; i < ENDS_MAX; i++) {
		if (w->ends[i].peer != p)
			continue;
		if (w->ends[i].known)
			over_reason(w, &w->ends[i].name, w->is_api ?
			    MSG_CH_CLOSED : MSG_CH_CLOSE, w->ends[i].id,
			    "the process has ended");
		memset(&w->ends[i], 0, sizeof(w->ends[i]));
	}
	peer_free(&p);
}

static const struct peer_ops	 end_ops = {
	.message = from_end, .lost = end_lost
};

static void
on_connect(void *arg, const char *name, unsigned class, uint32_t generation,
    int fd)
{
	struct wire	*w = arg;
	struct peer	*p;
	uint8_t		 up = 1;
	size_t		 i;

	p = peer_new(fd, name, strcmp(name, w->is_api ? RIG_LINK : RIG_API) ==
	    0 ? &wire_ops : &end_ops, w);
	peer_set_limits(p, MESSAGE_MAX, PEER_LOW_BYTES, (size_t)64 << 20);
	if (peer_attach(p, w->m->child->loop) != 0)
		fatal("%s cannot be attached", name);
	if (strcmp(name, w->is_api ? RIG_LINK : RIG_API) == 0) {
		w->other = p;
		return;
	}
	if (strcmp(name, "control") == 0)
		return;
	for (i = 0; i < ENDS_MAX && w->ends[i].peer != NULL; i++)
		;
	if (i == ENDS_MAX)
		fatal("the rig has no place for %s", name);
	memset(&w->ends[i], 0, sizeof(w->ends[i]));
	w->ends[i].peer = p;
	if (!w->is_api)
		(void)peer_send(p, MSG_LINK_UP, 0, &up, 1);
}

static int
run(struct member *m, bool is_api)
{
	struct wire	*w = xcalloc(1, sizeof(*w));

	w->m = m;
	w->is_api = is_api;
	member_on_connect(m, on_connect, w);
	member_ready(m);
	(void)loop_run(m->child->loop);
	return PROC_EXIT_OK;
}

int
rig_api_main(struct member *m)
{
	return run(m, true);
}

int
rig_link_main(struct member *m)
{
	return run(m, false);
}
