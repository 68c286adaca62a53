/*
 * session_stream.c - frames down, on one of two streamed answers
 *
 * A stream that is full stops its senders one by one, each after the message
 * that found it so; what waits is bounded by HTTP_STREAM_HIGH_BYTES and one
 * message of each sender.  A sender that is stopped by the bulk stream does
 * not stop those that have records to send: they use the other one (R27).
 * When there is room again they go on in the order in which they were stopped,
 * a few at a time.
 */
#include "api/session_priv.h"
#include "base/clock.h"
#include "base/err.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"

/* So many stopped senders go on at once: together they make about a full
 * stream again. */
#define STREAM_GO_ON	4

static void
go_on(struct stream *t)
{
	struct sender	*x;
	int		 n;

	for (n = 0; n < STREAM_GO_ON && !t->full &&
	    (x = TAILQ_FIRST(&t->waiting)) != NULL; n++)
		stream_forget(x);
	if (!t->full && !TAILQ_EMPTY(&t->waiting))
		loop_task_post_next(t->s->all->a->loop, &t->more);
}

static void
on_more(void *arg)
{
	go_on(arg);
}

static void
on_room(struct http_req *req, void *arg)
{
	struct stream	*t = arg;

	t->full = false;
	if (t == &t->s->bulk)
		session_put_structure(t->s);
	go_on(t);
}

static void
on_close(struct http_req *req, void *arg)
{
	struct stream	*t = arg;

	session_end(t->s, t == &t->s->live ? "the live stream was closed by "
	    "the target" : "the bulk stream was closed by the target");
}

void
stream_init(struct stream *t, struct session *s)
{
	t->s = s;
	TAILQ_INIT(&t->waiting);
	loop_task_init(&t->more, on_more, t);
}

void
stream_begin(struct stream *t, struct http_req *req)
{
	t->req = http_req_hold(req);
	http_stream_begin(req, 200, "application/octet-stream", -1);
	http_stream_on_room(req, on_room, t);
	http_req_on_close(req, on_close, t);
	/* The other side sees it begin with the first byte. */
	stream_pong(t, 0);
}

void
stream_pong(struct stream *t, uint64_t clock)
{
	struct buf	 b = BUF_INIT;

	put_u64(&b, clock);
	put_u64(&b, clock_wall_us());
	stream_put(t, MSG_CH_PONG, 0, 0, b.data, b.len);
	buf_free(&b);
}

void
stream_close(struct stream *t)
{
	struct sender	*x;

	while ((x = TAILQ_FIRST(&t->waiting)) != NULL)
		stream_forget(x);
	loop_task_cancel(&t->more);
	if (t->req == NULL)
		return;
	http_req_on_close(t->req, NULL, NULL);
	http_stream_on_room(t->req, NULL, NULL);
	http_req_close_after(t->req);
	http_stream_end(t->req);
	http_req_release(&t->req);
}

static void
put_frames(struct stream *t, struct buf *b)
{
	t->bytes += b->len;
	if (http_stream_write_buf(t->req, b) >= HTTP_STREAM_HIGH_BYTES)
		t->full = true;
}

void
stream_put(struct stream *t, uint16_t type, uint32_t channel, uint32_t id,
    const void *payload, size_t len)
{
	struct frame_header	 h = { .type = type, .generation = channel,
				    .id = id };
	struct buf		 b = BUF_INIT;

	if (t->req == NULL)
		return;
	buf_reserve(&b, len + FRAME_HEADER_BYTES);
	frame_encode(&b, &h, payload, len);
	put_frames(t, &b);
}

/* A long one goes on as it came, under another header. */
void
stream_pass(struct stream *t, struct sender *x, const struct frame *f)
{
	struct frame_header	 h = { (uint32_t)f->len, f->type, 0,
				    x->row->number, f->id };
	struct buf		 b;

	if (t->req == NULL)
		return;
	if (!peer_take_memory(x->peer, f, &b)) {
		stream_put(t, f->type, h.generation, f->id, f->payload,
		    f->len);
		return;
	}
	frame_put_header(b.data, &h);
	put_frames(t, &b);
}

void
stream_hold(struct stream *t, struct sender *x)
{
	if (!t->full || x->paused != NULL)
		return;
	x->paused = t;
	TAILQ_INSERT_TAIL(&t->waiting, x, next);
	peer_pause(x->peer);
}

void
stream_forget(struct sender *x)
{
	if (x->paused == NULL)
		return;
	TAILQ_REMOVE(&x->paused->waiting, x, next);
	x->paused = NULL;
	if (peer_is_open(x->peer))
		peer_resume(x->peer);
}

/*
 * A structure can be large, and changes often while one is created: who is slow
 * gets the newest when there is room, and not each of them.
 */
void
session_put_structure(struct session *s)
{
	struct api_sessions	*all = s->all;

	if (s->bulk.req == NULL || s->bulk.full ||
	    s->structure == all->structure_count)
		return;
	s->structure = all->structure_count;
	stream_put(&s->bulk, MSG_CH_STRUCTURE, 0, 0, all->structure.data,
	    all->structure.len);
}
