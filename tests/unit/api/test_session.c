/* test_session.c - the source's end of sessions: requests, channels, streams */
#include <sys/socket.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/session_priv.h"
#include "base/err.h"
#include "base/log.h"
#include "http/client.h"
#include "http/server.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "garbage.h"
#include "unit.h"

#define SOURCE	"11111111-aaaa"
#define TARGET	"22222222-bbbb"
#define HELLO	"{\"target\":\"" TARGET "\",\"protocol\":1}"

static struct api	 a;
static struct http_client *client;
static struct loop_timer *timer;
static bool		 late;

/* ---- peers that are played here ------------------------------------------------ */

struct played {
	struct peer	*p;
	unsigned	 types[32];	/* of messages, the newest ones */
	unsigned	 n;
	uint32_t	 id;		/* of the last one */
	struct buf	 last;
	bool		 lost;
};

static struct played	 control, x, y, tail, inventory;

static int
on_played(struct peer *p, const struct frame *f, void *arg)
{
	struct played	*w = arg;

	w->types[w->n++ % 32] = f->type;
	w->id = f->id;
	buf_reset(&w->last);
	buf_append(&w->last, f->payload, f->len);
	return 0;
}

static void
on_played_lost(struct peer *p, int why, void *arg)
{
	struct played	*w = arg;

	w->lost = true;
	peer_free(&w->p);
}

static const struct peer_ops	 played_ops = {
	.message = on_played, .lost = on_played_lost
};

static int
play(struct played *w, const char *name)
{
	int	 fds[2];

	memset(w, 0, sizeof(*w));
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	w->p = peer_new(fds[0], name, &played_ops, w);
	peer_set_limits(w->p, (size_t)8 << 20, (size_t)32 << 20,
	    (size_t)64 << 20);
	CU_ASSERT_EQUAL_FATAL(peer_attach(w->p, a.loop), 0);
	return fds[1];
}

static bool
has_got(const struct played *w, unsigned type)
{
	unsigned	 i;

	for (i = 0; i < MIN(w->n, 32U); i++)
		if (w->types[i] == type)
			return true;
	return false;
}

static int	on_any(struct peer *p, const struct frame *f, void *arg);
static void	on_control_lost(struct peer *p, int why, void *arg);

/* What call.c does. */
static const struct peer_ops	 api_side = {
	.message = on_any, .lost = on_control_lost
};

static int
on_any(struct peer *p, const struct frame *f, void *arg)
{
	return msg_dispatch(api_session_rules, 1, &a, p, f);
}

static void
on_control_lost(struct peer *p, int why, void *arg)
{
	a.control = NULL;
	peer_free(&p);
}

static void
identity(bool taken, const char *json)
{
	struct buf	 b = BUF_INIT;

	put_bool(&b, taken);
	put_bytes(&b, json, strlen(json));
	(void)peer_send_buf(control.p, MSG_API_IDENTITY, 0, &b);
}

/* ---- time ---------------------------------------------------------------------- */

static void
on_late(void *arg)
{
	late = true;
}

#define TURN_UNTIL(cond) do {						\
	late = false;							\
	loop_timer_start(timer, 10000);					\
	while (!(cond) && !late)					\
		(void)loop_run_once(a.loop, 1);				\
	CU_ASSERT_TRUE(cond);						\
} while (0)

static void
turn(unsigned ms)
{
	late = false;
	loop_timer_start(timer, ms);
	while (!late)
		(void)loop_run_once(a.loop, 1);
}

/* ---- requests ------------------------------------------------------------------ */

struct asked {
	bool		 done;
	int		 status;
	char		 body[1024];
};

static void
on_done(void *arg, struct http_result *res)
{
	struct asked	*q = arg;

	q->done = true;
	q->status = res->err == 0 ? res->status : res->err;
	snprintf(q->body, sizeof(q->body), "%.*s", (int)res->body.len,
	    res->body.data == NULL ? "" : (const char *)res->body.data);
}

static char	*base;
static char	 body_text[1024];

/* The status; the body is in body_text. */
static int
ask(const char *method, const char *path, const void *body, size_t len)
{
	struct http_call_opts	 o = HTTP_CALL_OPTS_INIT;
	struct asked		 q = { false, 0, "" };
	char			*url = xasprintf("%s%s", base, path);

	o.method = method;
	o.url = url;
	o.body = body;
	o.body_len = len;
	o.on_done = on_done;
	o.arg = &q;
	CU_ASSERT_EQUAL_FATAL(http_client_start(client, &o, NULL, NULL), 0);
	TURN_UNTIL(q.done);
	free(url);
	snprintf(body_text, sizeof(body_text), "%s", q.body);
	return q.status;
}

static void
on_request(struct http_req *req, void *arg)
{
	api_session_serve(a.sessions, req);
}

/* ---- streams ------------------------------------------------------------------- */

struct down {
	struct http_call	*call;
	struct frame_parser	 in;
	unsigned		 types[64];
	unsigned		 n;
	uint32_t		 channel, id;	/* of the last frame */
	size_t			 bytes;
	bool			 done;
};

static struct down	 live, bulk;
static char		 id[64], up[128];

static int
on_down(void *arg, struct http_call *call, const uint8_t *p, size_t n)
{
	struct down	*d = arg;
	struct frame	 f;

	frame_parser_feed(&d->in, p, n);
	while (frame_parser_next(&d->in, &f) == 1) {
		d->types[d->n++ % 64] = f.type;
		d->channel = f.generation;
		d->id = f.id;
		d->bytes += f.len;
	}
	return 0;
}

static void
on_down_done(void *arg, struct http_result *res)
{
	struct down	*d = arg;

	d->done = true;
	d->call = NULL;
}

static bool
came(const struct down *d, unsigned type)
{
	unsigned	 i;

	for (i = 0; i < MIN(d->n, 64U); i++)
		if (d->types[i] == type)
			return true;
	return false;
}

static void
begin_stream(struct down *d, const char *which)
{
	struct http_call_opts	 o = HTTP_CALL_OPTS_INIT;
	char			*url;

	frame_parser_free(&d->in);
	memset(d, 0, sizeof(*d));
	frame_parser_init(&d->in, CHANNEL_STRUCTURE_MAX);
	url = xasprintf("%s" API_SESSION_PATH "/%s/%s", base, id, which);
	o.url = url;
	o.on_data = on_down;
	o.on_done = on_down_done;
	o.arg = d;
	CU_ASSERT_EQUAL_FATAL(http_client_start(client, &o, &d->call, NULL),
	    0);
	free(url);
}

static void
open_session(void)
{
	const char	*p;

	CU_ASSERT_EQUAL_FATAL(ask("POST", API_SESSION_PATH, HELLO,
	    strlen(HELLO)), 200);
	p = strstr(body_text, "\"session\":\"");
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	snprintf(id, sizeof(id), "%.32s", p + 11);
	snprintf(up, sizeof(up), API_SESSION_PATH "/%s/up", id);
}

static void
open_all(void)
{
	open_session();
	begin_stream(&live, "live");
	begin_stream(&bulk, "bulk");
	TURN_UNTIL(came(&live, MSG_CH_PONG) && came(&bulk, MSG_CH_PONG));
}

static void
frame(struct buf *b, uint16_t type, uint32_t channel, uint32_t sub,
    const void *p, size_t n)
{
	struct frame_header	 h = { .type = type, .generation = channel,
				    .id = sub };

	frame_encode(b, &h, p, n);
}

static int
post(struct buf *b)
{
	int	 status = ask("POST", up, b->data, b->len);

	buf_free(b);
	return status;
}

static int
subscribe_as(uint32_t channel, uint32_t sub, const char *db)
{
	struct channel_subscribe s = { .name = { .cid = 77, .shard = 3 } };
	struct buf		 b = BUF_INIT, p = BUF_INIT;

	snprintf(s.name.db, sizeof(s.name.db), "%s", db);
	channel_subscribe_put(&p, &s);
	frame(&b, MSG_CH_SUBSCRIBE, channel, sub, p.data, p.len);
	buf_free(&p);
	return post(&b);
}

static void
connect_send(struct played *w, const char *db)
{
	struct channel_name	 n = { .cid = 77, .shard = 3 };
	struct buf		 b = BUF_INIT;

	snprintf(n.db, sizeof(n.db), "%s", db);
	api_sessions_connect(a.sessions, "send", DAEMON_SEND,
	    play(w, "send"));
	put_str(&b, TARGET);
	channel_name_put(&b, &n);
	(void)peer_send_buf(w->p, MSG_SEND_HELLO, 0, &b);
}

static void
begin(void)
{
	struct http_server_opts	 o = HTTP_SERVER_OPTS_INIT;
	int			 fd;

	log_set_level(LOG_LEVEL_ERROR);
	memset(&a, 0, sizeof(a));
	a.loop = loop_new();
	timer = loop_timer_new(a.loop, on_late, NULL);
	CU_ASSERT_EQUAL_FATAL(http_client_new(a.loop,
	    &(struct http_client_opts)HTTP_CLIENT_OPTS_INIT, &client, NULL),
	    0);
	o.handler = on_request;
	CU_ASSERT_EQUAL_FATAL(http_server_new(a.loop, &o, &a.server, NULL),
	    0);
	base = xasprintf("http://127.0.0.1:%u", http_server_port(a.server));
	a.sessions = api_sessions_new(&a);
	fd = play(&control, "control");
	a.control = peer_new(fd, "api", &api_side, NULL);
	(void)peer_attach(a.control, a.loop);
	identity(true, "{\"source\":\"" SOURCE "\",\"version\":\"1\"}");
	TURN_UNTIL(a.sessions->taken);
}

static void
end(void)
{
	struct played	*all[] = { &control, &x, &y, &tail, &inventory };
	size_t		 i;

	http_client_free(&client);
	turn(50);
	CU_ASSERT_EQUAL(map_count(&a.sessions->ids), 0);
	for (i = 0; i < NITEMS(all); i++) {
		peer_free(&all[i]->p);
		buf_free(&all[i]->last);
	}
	turn(50);
	CU_ASSERT_PTR_NULL(a.control);
	api_sessions_free(&a.sessions);
	http_server_free(&a.server);
	frame_parser_free(&live.in);
	frame_parser_free(&bulk.in);
	memset(&live, 0, sizeof(live));
	memset(&bulk, 0, sizeof(bulk));
	loop_timer_free(&timer);
	loop_free(&a.loop);
	free(base);
	base = NULL;
}

/* ---- tests ---------------------------------------------------------------------- */

static void
test_hello(void)
{
	static const struct {
		const char	*body;
		int		 status;
	} rows[] = {
		{ "", 400 },
		{ "x", 400 },
		{ "[]", 400 },
		{ "{}", 400 },
		{ "{\"target\":7,\"protocol\":1}", 400 },
		{ "{\"target\":\"\",\"protocol\":1}", 400 },
		{ "{\"target\":\"a/b\",\"protocol\":1}", 400 },
		{ "{\"target\":\"" TARGET "\"}", 400 },
		{ "{\"target\":\"" TARGET "\",\"protocol\":2}", 409 },
		{ "{\"target\":\"" SOURCE "\",\"protocol\":1}", 409 },
		{ "{\"target\":\"" TARGET "\",\"protocol\":1,\"source\":"
		    "\"33333333\"}", 409 },
		{ "{\"target\":\"" TARGET "\",\"protocol\":1,\"source\":"
		    "\"" SOURCE "\"}", 200 },
		{ HELLO, 200 }
	};
	size_t	 i;

	begin();
	for (i = 0; i < NITEMS(rows); i++)
		CU_ASSERT_EQUAL(ask("POST", API_SESSION_PATH, rows[i].body,
		    strlen(rows[i].body)), rows[i].status);
	CU_ASSERT_PTR_NOT_NULL(strstr(body_text, "\"source\":\"" SOURCE));
	/* The second ended the first. */
	CU_ASSERT_EQUAL(map_count(&a.sessions->ids), 1);
	identity(false, "{\"leader\":\"https://other:8629\"}");
	TURN_UNTIL(!a.sessions->taken);
	CU_ASSERT_EQUAL(map_count(&a.sessions->ids), 0);
	CU_ASSERT_EQUAL(ask("POST", API_SESSION_PATH, HELLO, strlen(HELLO)),
	    503);
	CU_ASSERT_PTR_NOT_NULL(strstr(body_text,
	    "\"leader\":\"https://other:8629\""));
	end();
}

static void
test_requests(void)
{
	char	 path[128];

	begin();
	CU_ASSERT_EQUAL(ask("GET", API_SESSION_PATH, NULL, 0), 404);
	CU_ASSERT_EQUAL(ask("GET", API_SESSION_PATH "/00112233445566778899"
	    "aabbccddeeff/live", NULL, 0), 404);
	CU_ASSERT_EQUAL(ask("GET", API_SESSION_PATH "/x/live", NULL, 0), 404);
	open_session();
	CU_ASSERT_EQUAL(ask("POST", up, "", 0), 409);
	snprintf(path, sizeof(path), API_SESSION_PATH "/%s/else", id);
	CU_ASSERT_EQUAL(ask("GET", path, NULL, 0), 405);
	begin_stream(&live, "live");
	begin_stream(&bulk, "bulk");
	TURN_UNTIL(came(&live, MSG_CH_PONG) && came(&bulk, MSG_CH_PONG));
	snprintf(path, sizeof(path), API_SESSION_PATH "/%s/live", id);
	CU_ASSERT_EQUAL(ask("GET", path, NULL, 0), 409);
	CU_ASSERT_EQUAL(ask("POST", up, "", 0), 200);
	TURN_UNTIL(has_got(&control, MSG_API_SESSION));
	control.n = 0;
	snprintf(path, sizeof(path), API_SESSION_PATH "/%s", id);
	CU_ASSERT_EQUAL(ask("DELETE", path, NULL, 0), 200);
	TURN_UNTIL(live.done && bulk.done);
	TURN_UNTIL(control.n == 1);
	CU_ASSERT_EQUAL(control.last.data[0], 0);
	CU_ASSERT_TRUE(came(&live, MSG_CH_CLOSED));
	CU_ASSERT_EQUAL(ask("DELETE", path, NULL, 0), 404);
	/* A stream that the target closes ends the session. */
	open_all();
	http_call_cancel(&bulk.call);
	TURN_UNTIL(live.done);
	end();
}

static void
bad_garbage(struct buf *b)
{
	int	 i;

	for (i = 0; i < 64; i++)
		buf_append_u8(b, 0xee);
}

static void
bad_ping(struct buf *b)
{
	frame(b, MSG_CH_PING, 0, 0, "1234567", 7);
}

static void
bad_type(struct buf *b)
{
	frame(b, MSG_CH_RECORD, 4, 1, "1234567", 7);
}

static void
bad_zero(struct buf *b)
{
	frame(b, MSG_CH_CREDIT, 0, 1, "0123456789abcdef", 16);
}

static void
bad_subscribe(struct buf *b)
{
	frame(b, MSG_CH_SUBSCRIBE, 4, 1, "0123456789abcdef", 16);
}

static void
bad_fd(struct buf *b)
{
	struct frame_header	 h = { .type = MSG_CH_PING,
				    .flags = FRAME_FD };

	frame_encode(b, &h, "12345678", 8);
}

static void
test_bad_up(void)
{
	static void	(*const bad[])(struct buf *) = {
		bad_garbage, bad_ping, bad_type, bad_zero, bad_subscribe,
		bad_fd
	};
	struct buf	 b = BUF_INIT;
	size_t		 i, n;
	void		*big;

	begin();
	for (i = 0; i < NITEMS(bad); i++) {
		open_all();
		bad[i](&b);
		CU_ASSERT_EQUAL(post(&b), 400);
		TURN_UNTIL(live.done && bulk.done);
		CU_ASSERT_TRUE(came(&live, MSG_CH_CLOSED));
		CU_ASSERT_EQUAL(map_count(&a.sessions->ids), 0);
	}
	/* A message without end: refused when it is too long. */
	open_all();
	big = xcalloc(1, 2 << 20);
	frame(&b, MSG_CH_FETCH, 4, 1, big, 2 << 20);
	free(big);
	n = b.len / 3;
	CU_ASSERT_EQUAL(ask("POST", up, b.data, n), 200);
	CU_ASSERT_EQUAL(ask("POST", up, b.data + n, n), 400);
	buf_free(&b);
	/* One channel has one name. */
	open_all();
	CU_ASSERT_EQUAL(subscribe_as(1, 1, "db"), 200);
	CU_ASSERT_EQUAL(subscribe_as(1, 2, "other"), 400);
	end();
}

static void
test_pieces(void)
{
	struct buf	 b = BUF_INIT;
	unsigned	 n;

	begin();
	open_all();
	n = live.n;
	frame(&b, MSG_CH_PING, 0, 0, "12345678", 8);
	CU_ASSERT_EQUAL(ask("POST", up, b.data, 5), 200);
	CU_ASSERT_EQUAL(ask("POST", up, b.data + 5, 14), 200);
	CU_ASSERT_EQUAL(live.n, n);
	CU_ASSERT_EQUAL(ask("POST", up, b.data + 19, b.len - 19), 200);
	TURN_UNTIL(live.n == n + 1);
	TURN_UNTIL(bulk.n == 2);
	buf_free(&b);
	/* Of the past, or of nobody. */
	frame(&b, MSG_CH_COMMIT, 9, 1, "x", 1);
	CU_ASSERT_EQUAL(post(&b), 200);
	end();
}

static void
say(struct played *w, uint16_t type, uint32_t sub, size_t len)
{
	uint8_t	*p = xcalloc(1, len + 1);

	(void)peer_send(w->p, type, sub, p, len);
	free(p);
}

static void
test_channel(void)
{
	struct channel_name	 n = { "db", 77, 3 };
	struct buf		 b = BUF_INIT;

	begin();
	open_all();
	CU_ASSERT_EQUAL(subscribe_as(5, 1, "db"), 200);
	TURN_UNTIL(has_got(&control, MSG_API_WANT));
	control.n = 0;
	/* said again; the newest subscription is kept */
	CU_ASSERT_EQUAL(subscribe_as(5, 2, "db"), 200);
	TURN_UNTIL(control.n == 1);
	CU_ASSERT_EQUAL(control.types[0], MSG_API_WANT);
	put_str(&b, TARGET);
	channel_name_put(&b, &n);
	put_str(&b, "no");
	(void)peer_send_buf(control.p, MSG_API_REFUSE, 0, &b);
	TURN_UNTIL(came(&live, MSG_CH_CLOSED));
	CU_ASSERT_EQUAL(live.id, 2);
	CU_ASSERT_EQUAL(live.channel, 5);

	/* nobody listens: noted at once */
	connect_send(&x, "db");
	say(&x, MSG_CH_QUEUED, 1, 8);
	TURN_UNTIL(has_got(&x, MSG_SEND_NOTED));
	CU_ASSERT_EQUAL(subscribe_as(5, 3, "db"), 200);
	TURN_UNTIL(has_got(&x, MSG_CH_SUBSCRIBE));
	CU_ASSERT_EQUAL(x.id, 3);
	live.n = 0;
	say(&x, MSG_CH_RECORD, 2, 100);		/* of the past */
	say(&x, MSG_CH_RECORD, 3, 100);
	say(&x, MSG_CH_SUMS, 3, 100);
	TURN_UNTIL(came(&live, MSG_CH_RECORD) && came(&bulk, MSG_CH_SUMS));
	CU_ASSERT_EQUAL(live.n, 1);
	frame(&b, MSG_CH_CREDIT, 5, 2, "0123456789abcdef", 16);
	frame(&b, MSG_CH_COMMIT, 5, 3, "x", 1);
	CU_ASSERT_EQUAL(post(&b), 200);
	TURN_UNTIL(has_got(&x, MSG_CH_COMMIT));
	CU_ASSERT_FALSE(has_got(&x, MSG_CH_CREDIT));

	/* the same shard on another channel, then its sender dies */
	CU_ASSERT_EQUAL(subscribe_as(6, 1, "db"), 200);
	TURN_UNTIL(x.id == 1 && has_got(&x, MSG_CH_CLOSE));
	TURN_UNTIL(came(&live, MSG_CH_CLOSED));
	CU_ASSERT_EQUAL(live.channel, 5);
	live.n = 0;
	peer_free(&x.p);
	TURN_UNTIL(live.n == 1);
	CU_ASSERT_EQUAL(live.channel, 6);

	/* a sender that says what it may not is let go */
	connect_send(&y, "db");
	say(&y, MSG_CH_COMMIT, 1, 8);
	TURN_UNTIL(y.lost);
	end();
}

static void
test_fair(void)
{
	unsigned	 i, n;

	begin();
	open_all();
	connect_send(&x, "big");
	connect_send(&y, "small");
	CU_ASSERT_EQUAL(subscribe_as(1, 1, "big"), 200);
	CU_ASSERT_EQUAL(subscribe_as(2, 1, "small"), 200);
	TURN_UNTIL(has_got(&x, MSG_CH_SUBSCRIBE) &&
	    has_got(&y, MSG_CH_SUBSCRIBE));
	http_call_pause(bulk.call);
	for (i = 0; i < 200; i++)
		say(&x, MSG_CH_SNAP, 1, 240 * 1024);
	turn(200);
	/* it was stopped, with little more than a full stream */
	CU_ASSERT_TRUE(peer_queued_bytes(x.p) > (size_t)20 << 20);
	n = live.n;
	for (i = 0; i < 200; i++)
		say(&y, MSG_CH_RECORD, 1, 100 * 1024);
	TURN_UNTIL(live.n == n + 200);
	CU_ASSERT_TRUE(bulk.bytes < (size_t)20 << 20);
	http_call_resume(bulk.call);
	TURN_UNTIL(bulk.n == 201);
	/* and a session that ends lets go of who waits */
	http_call_pause(bulk.call);
	for (i = 0; i < 200; i++)
		say(&x, MSG_CH_SNAP, 1, 240 * 1024);
	turn(100);
	http_call_cancel(&live.call);
	TURN_UNTIL(peer_queued_bytes(x.p) == 0);
	end();
}

static void
test_tellers(void)
{
	struct buf	 b = BUF_INIT;
	char		*text = xcalloc(1, 1 << 20);

	begin();
	memset(text, 'x', 1 << 20);
	api_sessions_connect(a.sessions, "inventory source",
	    DAEMON_INVENTORY, play(&inventory, "inventory"));
	put_u64(&b, 7);
	put_bytes(&b, text, 1 << 20);
	(void)peer_send_buf(inventory.p, MSG_WORKER_STRUCTURE, 0, &b);
	turn(50);
	open_all();
	TURN_UNTIL(came(&bulk, MSG_CH_STRUCTURE));
	CU_ASSERT_EQUAL(bulk.bytes, 16 + 8 + (1 << 20));
	/* the same again is no news */
	put_u64(&b, 7);
	put_bytes(&b, text, 1 << 20);
	(void)peer_send_buf(inventory.p, MSG_WORKER_STRUCTURE, 0, &b);
	/* of three changes a slow target gets the first and the last */
	http_call_pause(bulk.call);
	put_u64(&b, 8);
	put_bytes(&b, text, 1 << 20);
	(void)peer_send(inventory.p, MSG_WORKER_STRUCTURE, 0, b.data, b.len);
	b.data[0] = 9;
	(void)peer_send(inventory.p, MSG_WORKER_STRUCTURE, 0, b.data, b.len);
	b.data[0] = 10;
	(void)peer_send_buf(inventory.p, MSG_WORKER_STRUCTURE, 0, &b);
	turn(100);
	http_call_resume(bulk.call);
	turn(200);
	CU_ASSERT_TRUE(bulk.n >= 3 && bulk.n <= 5);

	api_sessions_connect(a.sessions, "tail P", DAEMON_TAIL,
	    play(&tail, "tail"));
	put_str(&b, "somebody else");
	put_bytes(&b, "x", 1);
	(void)peer_send_buf(tail.p, MSG_TAIL_WATERMARK, 0, &b);
	put_str(&b, TARGET);
	put_bytes(&b, "xyz", 3);
	(void)peer_send_buf(tail.p, MSG_TAIL_WATERMARK, 0, &b);
	TURN_UNTIL(came(&live, MSG_CH_WATERMARK));
	CU_ASSERT_EQUAL(live.n, 2);
	free(text);
	end();
}

/* ---- garbage -------------------------------------------------------------------- */

static void
garbled_by(struct played *w, const char *name, unsigned class)
{
	struct garbage	 g = { .random = 3, .target = TARGET, .db = "db",
			    .cuid = "c77/s3", .cid = 77 };
	struct buf	 b = BUF_INIT;
	uint16_t	 type;
	uint32_t	 number;
	unsigned	 i;

	while (garbage_next(&g, &type, &number, &b)) {
		if (w->p == NULL)
			api_sessions_connect(a.sessions, name, class,
			    play(w, name));
		(void)peer_send(w->p, type, number, b.data, b.len);
		for (i = 0; i < 4 && w->p != NULL; i++)
			(void)loop_run_once(a.loop, 0);
	}
	buf_free(&b);
	peer_free(&w->p);
	turn(20);
}

/* The same conversation as ever, while processes of our own say anything. */
static void
test_garbage(void)
{
	begin();
	open_all();
	connect_send(&x, "db");
	CU_ASSERT_EQUAL(subscribe_as(5, 1, "db"), 200);
	TURN_UNTIL(has_got(&x, MSG_CH_SUBSCRIBE));
	memset(&y, 0, sizeof(y));
	memset(&tail, 0, sizeof(tail));
	memset(&inventory, 0, sizeof(inventory));
	garbled_by(&y, "send", DAEMON_SEND);
	garbled_by(&tail, "tail P", DAEMON_TAIL);
	garbled_by(&inventory, "inventory source", DAEMON_INVENTORY);
	live.n = 0;
	say(&x, MSG_CH_RECORD, 1, 100);
	TURN_UNTIL(came(&live, MSG_CH_RECORD));
	CU_ASSERT_EQUAL(live.channel, 5);
	end();
}

UNIT_MAIN("session",
    { "who may begin a session, and where", test_hello },
    { "requests of a session, and its end", test_requests },
    { "what breaks the protocol ends the session", test_bad_up },
    { "bodies are pieces of one stream", test_pieces },
    { "a channel, from being wanted to the death of its sender",
	test_channel },
    { "bulk does not delay live", test_fair },
    { "watermarks and structure", test_tellers },
    { "whatever a process of our own says, sessions go on", test_garbage })
