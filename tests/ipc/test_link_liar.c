/*
 * test_link_liar.c - a master of the other datacenter that lies: each lie ends
 * the session with a sentence, and link goes on.
 */
#include <sys/mman.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "ev/loop.h"
#include "http/server.h"
#include "http/tls.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "link/link.h"
#include "link_lib.h"
#include "master/daemon.h"
#include "sync/channel.h"
#include "unit.h"

#define SESSION_ID	"00112233445566778899aabbccddeeff"
#define GOOD_SESSION	"{\"session\":\"" SESSION_ID "\",\"source\":\""	\
			LIB_SOURCE "\",\"version\":\"9.9.9\",\"protocol\":1}"

/* What is done instead of what is right; NULL: right. */
struct lie {
	const char	*says;		/* part of link's status then */
	int		 status;	/* of the session's answer; 0: 200 */
	const char	*answer;	/* NULL: GOOD_SESSION */
	int		 live_status;
	int		 up_status;
	/* Bytes on the live stream, or the bulk stream, once it has begun. */
	void		(*live)(struct buf *b);
	void		(*bulk)(struct buf *b);
	/* On the live stream when there is a subscription. */
	void		(*subscribed)(struct buf *b, uint32_t channel,
			    uint32_t id);
	bool		 ends;		/* the live stream */
};

static void
frame(struct buf *b, uint16_t type, uint32_t channel, uint32_t id,
    const void *p, size_t n)
{
	struct frame_header	 h = { .type = type, .generation = channel,
				    .id = id };

	frame_encode(b, &h, p, n);
}

static void
put_garbage(struct buf *b)
{
	int	 i;

	for (i = 0; i < 1000; i++)
		buf_append_u8(b, 0xff);
}

static void
put_fd(struct buf *b)
{
	struct frame_header	 h = { .type = MSG_CH_PONG,
				    .flags = FRAME_FD };

	frame_encode(b, &h, "0123456789abcdef", 16);
}

static void
put_unknown(struct buf *b)
{
	frame(b, 0x7777, 0, 0, "abc", 3);
}

static void
put_up_type(struct buf *b)
{
	frame(b, MSG_CH_SUBSCRIBE, 1, 1, "abc", 3);
}

static void
put_bad_watermark(struct buf *b)
{
	frame(b, MSG_CH_WATERMARK, 0, 0, "\x05\0\0\0abc", 7);
}

static void
watermark(struct buf *b, const char *server)
{
	struct channel_watermark	 w = { .pos = { .reboot_id = 1,
						    .tick = 7 } };
	struct buf			 p = BUF_INIT;

	snprintf(w.pos.server, sizeof(w.pos.server), "%s", server);
	channel_watermark_put(&p, &w);
	frame(b, MSG_CH_WATERMARK, 0, 0, p.data, p.len);
	buf_free(&p);
}

static void
put_ugly_server(struct buf *b)
{
	watermark(b, "\xff\xfe\n");
}

static void
put_servers(struct buf *b)
{
	char	 id[32];
	int	 i;

	for (i = 0; i < 2000; i++) {
		snprintf(id, sizeof(id), "PRMR-%d", i);
		watermark(b, id);
	}
}

static void
put_no_channel(struct buf *b)
{
	frame(b, MSG_CH_RECORD, 4000000000U, 1, "abc", 3);
}

static void
put_wrong_stream(struct buf *b)
{
	frame(b, MSG_CH_SNAP_END, 1, 1, "12345678", 8);
}

static void
put_record_on_bulk(struct buf *b)
{
	frame(b, MSG_CH_RECORD, 1, 1, "12345678", 8);
}

/* Half of a message without end, in frames of a good size. */
static void
put_endless(struct buf *b)
{
	size_t	 n = (size_t)3 * 1024 * 1024;
	uint8_t	*p = xcalloc(1, n);

	frame(b, MSG_CH_DOCS, 1, 1, p, n);
	b->len -= 100000;
	free(p);
}

static void
put_closed(struct buf *b)
{
	struct buf	 p = BUF_INIT;

	put_str(&p, "go\naway");
	frame(b, MSG_CH_CLOSED, 0, 0, p.data, p.len);
	buf_free(&p);
}

static void
put_bad_resume(struct buf *b, uint32_t channel, uint32_t id)
{
	frame(b, MSG_CH_RESUME, channel, id, "abc", 3);
}

static void
put_bad_record(struct buf *b, uint32_t channel, uint32_t id)
{
	/* Words of the past are nobody's business. */
	frame(b, MSG_CH_RESUME, channel, id + 7, "abc", 3);
	frame(b, MSG_CH_RECORD, channel, id, "0123456789abcdef\xff", 17);
}

static void
put_bad_cut(struct buf *b, uint32_t channel, uint32_t id)
{
	frame(b, MSG_CH_CUT, channel, id, "", 0);
}

static const struct lie	 lies[] = {
	{ "the answer is not that of a master", .answer = "hello" },
	{ "source is missing", .answer = "{\"session\":\"x\"}" },
	{ "session is not a", .answer = "{\"session\":7,\"source\":\"x\"}" },
	{ "the answer is not that of a master", .answer =
	    "{\"session\":\"../../x\",\"source\":\"" LIB_SOURCE
	    "\",\"protocol\":1}" },
	{ "this is cluster 33333333-cccc, but the source is " LIB_SOURCE,
	    .answer = "{\"session\":\"" SESSION_ID "\",\"source\":"
	    "\"33333333-cccc\",\"protocol\":1}" },
	{ "speaks protocol 7", .answer = "{\"session\":\"" SESSION_ID "\","
	    "\"source\":\"" LIB_SOURCE "\",\"protocol\":7}" },
	{ "our client certificate is not let in (status 403)",
	    .status = 403, .answer = "{}" },
	{ "not the leader", .status = 503,
	    .answer = "{\"Error\":\"not the leader\",\"leader\":"
	    "\"https://127.0.0.1:1\"}" },
	{ "so??so (status 409)", .status = 409,
	    .answer = "{\"Error\":\"so\\u0001\\u0002so\"}" },
	{ "status 500", .status = 500, .answer = "{}" },
	{ "status 302", .status = 302, .answer = "{}" },
	{ "the live stream was refused: status 404", .live_status = 404 },
	{ "no messages of ours", .live = put_garbage },
	{ "no messages of ours", .bulk = put_garbage },
	{ "MSG_CH_PONG, 16 bytes, on channel 0: ", .live = put_fd },
	{ "MSG_0x7777, 3 bytes, on channel 0: ", .live = put_unknown },
	{ "MSG_CH_SUBSCRIBE, 3 bytes", .live = put_up_type },
	{ "MSG_CH_WATERMARK, 7 bytes", .live = put_bad_watermark },
	{ "MSG_CH_WATERMARK", .live = put_ugly_server },
	{ "MSG_CH_WATERMARK", .live = put_servers },
	{ "on channel 4000000000", .live = put_no_channel },
	{ "MSG_CH_SNAP_END, 8 bytes, on channel 1", .live = put_wrong_stream },
	{ "MSG_CH_RECORD, 8 bytes, on channel 1", .bulk =
	    put_record_on_bulk },
	{ "no messages of ours", .bulk = put_endless },
	{ "the source has ended the session: go?away", .live = put_closed },
	{ "the live stream ended", .ends = true },
	{ "did not take our messages: status 500", .up_status = 500 },
	{ "MSG_CH_RESUME, 3 bytes", .subscribed = put_bad_resume },
	{ "MSG_CH_RECORD, 17 bytes", .subscribed = put_bad_record },
	{ "MSG_CH_CUT, 0 bytes", .subscribed = put_bad_cut },
	{ "\"state\":\"running\"", .status = 0 }
};

static struct shared {
	int	 lie;
	int	 said;			/* the present lie: as expected */
	int	 links;			/* processes */
	int	 ups, downs;		/* that the receive was told */
	char	 status[4096];
} *shared;

static struct member	*me;

static const struct lie *
now(void)
{
	return &lies[*(volatile int *)&shared->lie];
}

/* ---- the liar --------------------------------------------------------------- */

static struct http_req	*live;

static void
answer(struct http_req *req, int status, const char *text)
{
	http_reply_bytes(req, status == 0 ? 200 : status, "application/json",
	    text, strlen(text));
}

static void
live_gone(struct http_req *req, void *arg)
{
	if (live == req)
		live = NULL;
	http_stream_end(req);
}

static void
begin_stream(struct http_req *req, void (*put)(struct buf *b))
{
	struct buf	 b = BUF_INIT;
	uint8_t		 clocks[16] = { 0 };

	http_stream_begin(req, 200, "application/octet-stream", -1);
	frame(&b, MSG_CH_PONG, 0, 0, clocks, sizeof(clocks));
	if (put != NULL)
		put(&b);
	(void)http_stream_write_buf(req, &b);
	http_req_on_close(req, live_gone, NULL);
}

static void
take_up(struct http_req *req)
{
	struct frame_parser	 p;
	struct frame		 f;
	struct buf		 b = BUF_INIT;
	const uint8_t		*body;
	size_t			 n;

	body = http_req_body(req, &n);
	frame_parser_init(&p, CHANNEL_MESSAGE_MAX);
	frame_parser_feed(&p, body, n);
	while (frame_parser_next(&p, &f) == 1)
		if (f.type == MSG_CH_SUBSCRIBE && live != NULL &&
		    now()->subscribed != NULL)
			now()->subscribed(&b, f.generation, f.id);
	frame_parser_free(&p);
	answer(req, now()->up_status, "{}");
	if (b.len != 0)
		(void)http_stream_write_buf(live, &b);
}

static void
on_request(struct http_req *req, void *arg)
{
	const char	*path = http_req_path(req);
	const struct lie *lie = now();

	if (strcmp(path, "/_x/v1/session") == 0)
		answer(req, lie->status, lie->answer == NULL ? GOOD_SESSION :
		    lie->answer);
	else if (strstr(path, "/live") != NULL && lie->live_status != 0)
		answer(req, lie->live_status, "{}");
	else if (strstr(path, "/live") != NULL) {
		live = req;
		begin_stream(req, lie->live);
		if (lie->ends) {
			live = NULL;
			http_stream_end(req);
		}
	} else if (strstr(path, "/bulk") != NULL)
		begin_stream(req, lie->bulk);
	else if (strstr(path, "/up") != NULL)
		take_up(req);
	else
		answer(req, 200, "{}");
}

static void
on_file(void *arg, const char *what, int fd)
{
	struct http_server_opts	 o = HTTP_SERVER_OPTS_INIT;
	struct tls_server_opts	 t = { .keyfile = NULL };
	struct http_server	*s;
	struct err_msg		 em = { "" };

	if (strcmp(what, DAEMON_FILE_LISTEN) != 0) {
		close(fd);
		return;
	}
	t.pem = lib.server.data;
	t.pem_len = lib.server.len;
	t.ca_pem = lib.ca.data;
	t.ca_pem_len = lib.ca.len;
	t.client_auth = TLS_CLIENT_CERT_REQUIRED;
	if (tls_server_new(&t, &o.tls, &em) != 0)
		fatal("%s", em.text);
	o.fd = fd;
	o.handler = on_request;
	o.max_body_bytes = (uint64_t)16 * 1024 * 1024;
	if (http_server_new(me->child->loop, &o, &s, &em) != 0)
		fatal("%s", em.text);
}

static int
liar(struct member *m)
{
	me = m;
	member_on_file(m, on_file, m);
	member_ready(m);
	(void)loop_run(m->child->loop);
	return PROC_EXIT_OK;
}

/* ---- control, receive ---------------------------------------------------------- */

static struct peer	*link_peer;
static int		 told = -1;

/* Other endpoints each time: it begins anew at once. */
static void
tell(void *arg)
{
	struct buf	 b = BUF_INIT;
	int		 lie = *(volatile int *)&shared->lie, i;

	if (link_peer == NULL || lie == told)
		return;
	told = lie;
	put_u32(&b, 1 + (uint32_t)lie % 2);
	for (i = 0; i <= lie % 2; i++)
		put_str(&b, lib.endpoint);
	put_bytes(&b, lib.client.data, lib.client.len);
	put_bytes(&b, lib.ca.data, lib.ca.len);
	(void)peer_send_buf(link_peer, MSG_WORKER_REMOTE, 0, &b);
}

static void
from_link(struct peer *p, const struct frame *f)
{
	if (f == NULL) {
		link_peer = NULL;
		return;
	}
	/* Bytes with a length in front. */
	if (f->type != MSG_WORKER_STATUS || told != shared->lie || f->len < 4)
		return;
	snprintf(shared->status, sizeof(shared->status), "%.*s",
	    (int)f->len - 4, (const char *)f->payload + 4);
	if (strstr(shared->status, now()->says) != NULL)
		shared->said = 1;
}

static void
from_anybody(struct peer *p, const struct frame *f)
{
}

static void
control_connect(void *arg, const char *who, unsigned class,
    uint32_t generation, int fd)
{
	struct peer	*p;

	p = lib_peer(me->child->loop, who, fd, class == DAEMON_LINK ?
	    from_link : from_anybody);
	if (class == DAEMON_LINK) {
		link_peer = p;
		shared->links++;
	}
}

static int
control(struct member *m)
{
	static const char *const	 c[] = { "control" };
	static const char *const	 r[] = { "control", "link source" };
	struct link_conf		 lc = { .target = LIB_TARGET,
					    .source = LIB_SOURCE };
	struct buf			 b = BUF_INIT;
	struct loop_timer		*t;

	me = m;
	link_conf_put(&b, &lc);
	t = loop_timer_new(m->child->loop, tell, NULL);
	loop_timer_start_periodic(t, 5);
	member_on_connect(m, control_connect, m);
	member_ready(m);
	(void)member_start(m, "link source", DAEMON_LINK, c, 1, b.data, b.len);
	(void)member_start(m, "receive x", DAEMON_RECEIVE, r, 2, "", 0);
	(void)loop_run(m->child->loop);
	return PROC_EXIT_OK;
}

static void
receive_from_link(struct peer *p, const struct frame *f)
{
	struct channel_subscribe s = { .name = { "db", 7, 0 } };
	struct buf		 b = BUF_INIT;
	static uint32_t		 id;

	if (f == NULL || f->type != MSG_LINK_UP)
		return;
	if (f->payload[0] == 0) {
		shared->downs++;
		return;
	}
	shared->ups++;
	channel_subscribe_put(&b, &s);
	(void)peer_send_buf(p, MSG_CH_SUBSCRIBE, ++id, &b);
}

static void
receive_connect(void *arg, const char *who, unsigned class,
    uint32_t generation, int fd)
{
	lib_peer(me->child->loop, who, fd, class == DAEMON_LINK ?
	    receive_from_link : from_anybody);
}

static int
receive(struct member *m)
{
	me = m;
	member_on_connect(m, receive_connect, m);
	member_ready(m);
	(void)loop_run(m->child->loop);
	return PROC_EXIT_OK;
}

static int
real_link(struct member *m)
{
	static const char *const	 none[] = { NULL };
	static const struct worker_conf	 conf = { .data_dir = "/nonexistent",
					    .cluster_endpoints = none,
					    .version = "0.0.1" };

	return link_main(m, &conf);
}

static int
nobody(struct member *m)
{
	return PROC_EXIT_OK;
}

#define CLASS(n, fn, phase)						\
	{ .name = (n), .main = (fn), .stop_phase = (phase),		\
	  .on_request = true, .backoff_min_ms = 20, .backoff_max_ms = 100 }

static const struct mesh_class	 classes[DAEMON_CLASS_COUNT] = {
	[DAEMON_CONTROL] = CLASS("control", control, 1),
	[DAEMON_API] = CLASS("api", liar, 1),
	[DAEMON_INVENTORY] = CLASS("inventory", nobody, 0),
	[DAEMON_TAIL] = CLASS("tail", nobody, 0),
	[DAEMON_SEND] = CLASS("send", nobody, 0),
	[DAEMON_LINK] = CLASS("link", real_link, 0),
	[DAEMON_RECEIVE] = CLASS("receive", receive, 0)
};

static void
test_lies(void)
{
	size_t	 i;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	lib_begin(classes);
	mesh_set_governor(lib.mesh, "control");
	CU_ASSERT_EQUAL_FATAL(mesh_add(lib.mesh, "control", DAEMON_CONTROL,
	    NULL, 0), 0);
	CU_ASSERT_EQUAL_FATAL(mesh_add(lib.mesh, "api", DAEMON_API, NULL, 0),
	    0);
	lib_give_files("api");
	for (i = 0; i < NITEMS(lies); i++) {
		shared->said = 0;
		shared->lie = (int)i;
		if (lib_until(&shared->said))
			continue;
		printf("# lie %zu, %s: %s\n", i, lies[i].says,
		    shared->status);
		CU_FAIL("a lie was not seen for what it is");
		break;
	}
	CU_ASSERT_EQUAL(shared->links, 1);
	CU_ASSERT_TRUE(shared->ups > 5);
	CU_ASSERT_TRUE(shared->ups - shared->downs <= 1);
	lib_end();
	munmap(shared, sizeof(*shared));
}

int
main(int argc, char **argv)
{
	static const struct unit_test	 tests[] = {
		{ "lies end the session with a sentence, and nothing else",
		    test_lies }
	};

	proc_reserve_fds();
	return unit_run("link_liar", tests, NITEMS(tests));
}
