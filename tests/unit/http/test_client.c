/* test_client.c - tests of http/client against http/server */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "ev/loop.h"
#include "http/client.h"
#include "http/server.h"
#include "unit.h"

static struct loop		*loop;
static struct http_server	*srv;
static struct http_client	*client;
static struct http_req		*kept;
static struct buf		 body;		/* of the last answer */

/* What a test sees of a call. */
struct seen {
	struct http_call	*call;
	struct http_result	 res;
	char			 header[100];
	int			 status, statuses, done;
	size_t			 bytes, pieces;
	size_t			 pause_at;	/* pause after so many */
	int			 refuse;	/* from on_data */
	bool			 cancel;	/* inside on_data */
	size_t			 up, up_at_once, up_stop;
};

static void
stream_room(struct http_req *req, void *arg)
{
	static uint8_t	 block[65536];
	size_t		*left = http_req_user(req), n;

	while (*left > 0 && http_req_is_alive(req)) {
		n = MIN(*left, sizeof(block));
		*left -= n;
		if (http_stream_write(req, block, n) >=
		    HTTP_STREAM_HIGH_BYTES)
			return;
	}
	http_stream_end(req);
}

static size_t	stream_left;

static void
handle(struct http_req *req, void *arg)
{
	const char	*path = http_req_path(req);
	const char	*type = http_req_header(req, "content-type");
	struct buf	 b = BUF_INIT;
	const uint8_t	*p;
	size_t		 n, i;
	uint32_t	 sum = 0;

	if (strcmp(path, "/keep") == 0) {
		kept = req;
		return;
	}
	if (strcmp(path, "/drop") == 0) {
		http_req_drop(req);
		return;
	}
	if (strcmp(path, "/stream") == 0) {
		stream_left = strtoul(http_req_query(req, "n"), NULL, 10);
		http_req_set_user(req, &stream_left);
		http_stream_begin(req, 200, NULL, -1);
		http_stream_on_room(req, stream_room, NULL);
		stream_room(req, NULL);
		return;
	}
	p = http_req_body(req, &n);
	for (i = 0; i < n; i++)
		sum = sum * 31 + p[i];
	buf_printf(&b, "%s %s type=%s expect=%s agent=%s len=%s n=%zu sum=%u",
	    http_method_name(http_req_method(req)), http_req_target(req),
	    type == NULL ? "-" : type,
	    http_req_header(req, "expect") == NULL ? "-" : "yes",
	    http_req_header(req, "user-agent") == NULL ? "-" :
	    http_req_header(req, "user-agent"),
	    http_req_header(req, "content-length") == NULL ? "-" :
	    http_req_header(req, "content-length"), n, sum);
	http_reply_header(req, "X-Answer", " trimmed ");
	http_reply(req, 404, "text/plain", &b);
}

static void
start(void)
{
	struct http_server_opts	 so = HTTP_SERVER_OPTS_INIT;
	struct http_client_opts	 co = HTTP_CLIENT_OPTS_INIT;
	struct err_msg		 m;

	kept = NULL;
	CU_ASSERT_PTR_NOT_NULL_FATAL(loop = loop_new());
	so.handler = handle;
	so.max_body_bytes = so.max_total_body_bytes = 100 << 20;
	CU_ASSERT_EQUAL_FATAL(http_server_new(loop, &so, &srv, &m), 0);
	CU_ASSERT_EQUAL_FATAL(http_client_new(loop, &co, &client, &m), 0);
}

static void
turn(int n)
{
	while (n-- > 0) {
		loop_run_once(loop, 0);
		usleep(200);
	}
}

static void
stop(void)
{
	/* The server's streams see that nobody reads them any more. */
	http_client_free(&client);
	turn(20);
	http_server_free(&srv);
	loop_free(&loop);
	buf_free(&body);
}

static int
on_status(void *arg, struct http_call *call, int status)
{
	struct seen	*s = arg;

	s->status = status;
	s->statuses++;
	snprintf(s->header, sizeof(s->header), "%s",
	    http_call_header(call, "x-ANSWER") == NULL ? "-" :
	    http_call_header(call, "x-answer"));
	return 0;
}

static int
on_data(void *arg, struct http_call *call, const uint8_t *p, size_t n)
{
	struct seen	*s = arg;

	s->bytes += n;
	s->pieces++;
	if (s->pause_at != 0 && s->bytes >= s->pause_at)
		http_call_pause(call);
	if (s->cancel)
		http_call_cancel(&s->call);
	return s->refuse;
}

static long
on_upload(void *arg, uint8_t *p, size_t n)
{
	struct seen	*s = arg;
	size_t		 i;

	if (s->up == s->up_stop)
		return 0;
	n = MIN(n, s->up_at_once);
	n = MIN(n, s->up_stop - s->up);
	for (i = 0; i < n; i++)
		p[i] = (uint8_t)(s->up + i);
	s->up += n;
	return (long)n;
}

static void
on_done(void *arg, struct http_result *res)
{
	struct seen	*s = arg;

	s->done++;
	buf_free(&body);
	body = res->body;
	buf_cstr(&body);
	res->body = (struct buf)BUF_INIT;
	s->res = *res;
	s->res.body = body;
	s->call = NULL;
}

static char *
url(const char *path)
{
	static char	 s[200];

	snprintf(s, sizeof(s), "http://127.0.0.1:%u%s",
	    (unsigned)http_server_port(srv), path);
	return s;
}

static void
begin(struct seen *s, const struct http_call_opts *opts)
{
	struct http_call_opts	 o = *opts;
	struct err_msg		 m;

	o.on_status = on_status;
	o.on_done = on_done;
	o.arg = s;
	CU_ASSERT_EQUAL_FATAL(http_client_start(client, &o, &s->call, &m), 0);
}

static void
run(struct seen *s)
{
	int	 i;

	for (i = 0; i < 1000000 && s->done == 0; i++)
		loop_run_once(loop, 1);
	CU_ASSERT_EQUAL(s->done, 1);
}

static struct http_call_opts	*q;

static struct http_call_opts *
new_opts(void)
{
	static struct http_call_opts	 o;

	o = (struct http_call_opts)HTTP_CALL_OPTS_INIT;
	o.total_timeout_ms = 20000;
	return &o;
}

/* Options of a call; CALL(q->url = a, q->method = b) */
#define CALL(...)	(q = new_opts(), ##__VA_ARGS__, q)

static void
test_methods(void)
{
	static const struct {
		const char	*method, *body, *text;
	} t[] = {
		{ "GET", NULL, "GET /p?q=%20 type=- expect=- agent=- len=- "
		  "n=0 sum=0" },
		{ "DELETE", NULL, "DELETE /p?q=%20 type=- expect=- agent=- "
		  "len=- n=0 sum=0" },
		{ "DELETE", "[]", "DELETE /p?q=%20 type=- expect=- agent=- "
		  "len=2 n=2 sum=2914" },
		{ "POST", NULL, "POST /p?q=%20 type=- expect=- agent=- len=0 "
		  "n=0 sum=0" },
		{ "PUT", "{}", "PUT /p?q=%20 type=- expect=- agent=- len=2 "
		  "n=2 sum=3938" },
		{ "PATCH", "{}", "PATCH /p?q=%20 type=- expect=- agent=- "
		  "len=2 n=2 sum=3938" },
		{ "OPTIONS", NULL, "OPTIONS /p?q=%20 type=- expect=- agent=- "
		  "len=- n=0 sum=0" },
		{ "HEAD", NULL, "" }
	};
	struct http_server_stats st;
	struct seen	 s;
	size_t		 i;

	start();
	for (i = 0; i < NITEMS(t); i++) {
		s = (struct seen){ 0 };
		begin(&s, CALL(q->method = t[i].method,
		    q->url = url("/p?q=%20"), q->body = t[i].body,
		    q->body_len = t[i].body == NULL ? 0 :
		    strlen(t[i].body)));
		CU_ASSERT_EQUAL(s.done, 0);
		run(&s);
		CU_ASSERT_EQUAL(s.res.err, 0);
		CU_ASSERT_EQUAL(s.res.status, 404);
		CU_ASSERT_EQUAL(s.statuses, 1);
		CU_ASSERT_STRING_EQUAL(s.header, "trimmed");
		CU_ASSERT_STRING_EQUAL((char *)s.res.body.data, t[i].text);
	}
	/* All of them over one connection. */
	http_server_get_stats(srv, &st);
	CU_ASSERT_EQUAL(st.connections, 1);
	stop();
}

static void
test_headers(void)
{
	static const char *const h[] = { "content-type: x/y",
	    "user-agent: me", "x-empty:", NULL };
	static const char *const bad[] = { "a: b\r\nc: d", NULL };
	struct seen	 s = { 0 };
	struct err_msg	 m;

	start();
	begin(&s, CALL(q->method = "POST", q->url = url("/"),
	    q->headers = h, q->body = "abc", q->body_len = 3));
	run(&s);
	CU_ASSERT_PTR_NOT_NULL(strstr((char *)s.res.body.data,
	    "type=x/y expect=- agent=me len=3"));
	CU_ASSERT_EQUAL(http_client_start(client, CALL(q->url = url("/"),
	    q->headers = bad), NULL, &m), ERR_USAGE);
	CU_ASSERT_EQUAL(http_client_start(client, CALL(q->url = url("/"),
	    q->method = "BREW"), NULL, &m), ERR_USAGE);
	stop();
}

static void
test_big_upload(void)
{
	struct seen	 s = { 0 };
	uint32_t	 sum = 0;
	size_t		 i, n = 30 * 1000 * 1000;
	uint8_t		*big = xmalloc(n);
	char		 want[50];

	start();
	for (i = 0; i < n; i++)
		sum = sum * 31 + (big[i] = (uint8_t)i);
	snprintf(want, sizeof(want), "n=%zu sum=%u", n, sum);
	begin(&s, CALL(q->method = "PUT", q->url = url("/"), q->body = big,
	    q->body_len = n, q->body_mode = HTTP_BODY_OWN));
	run(&s);
	CU_ASSERT_PTR_NOT_NULL(strstr((char *)s.res.body.data, want));
	CU_ASSERT_PTR_NOT_NULL(strstr((char *)s.res.body.data, "expect=-"));
	CU_ASSERT_EQUAL(s.res.sent_bytes, n);
	CU_ASSERT(s.res.maybe_sent);
	/* The same bytes, asked for piece by piece, with a pause. */
	s = (struct seen){ .up_at_once = 10007, .up_stop = 1000000 };
	begin(&s, CALL(q->method = "PUT", q->url = url("/"),
	    q->upload_len = (int64_t)n, q->on_upload = on_upload));
	turn(100);
	CU_ASSERT_EQUAL(s.up, 1000000);
	CU_ASSERT_EQUAL(s.done, 0);
	s.up_stop = n;
	http_call_resume_upload(s.call);
	run(&s);
	CU_ASSERT_EQUAL(s.up, n);
	CU_ASSERT_PTR_NOT_NULL(strstr((char *)s.res.body.data, want));
	stop();
}

static void
test_download_pause(void)
{
	struct seen	 s = { .pause_at = 100000 };
	size_t		 n = 50 * 1000 * 1000, before;

	start();
	begin(&s, CALL(q->url = url("/stream?n=50000000"),
	    q->on_data = on_data));
	turn(200);
	/* We stopped, and so did the server. */
	CU_ASSERT(s.bytes >= 100000 && s.bytes < 200000);
	CU_ASSERT(stream_left > n / 4);
	before = s.bytes;
	turn(50);
	CU_ASSERT_EQUAL(s.bytes, before);
	/* Not from inside of the call that resumes. */
	s.pause_at = 0;
	http_call_resume(s.call);
	CU_ASSERT_EQUAL(s.bytes, before);
	run(&s);
	CU_ASSERT_EQUAL(s.bytes, n);
	CU_ASSERT_EQUAL(s.res.received_bytes, n);
	CU_ASSERT_EQUAL(s.res.err, 0);
	stop();
}

static void
test_limits(void)
{
	struct seen	 s = { 0 };

	start();
	begin(&s, CALL(q->url = url("/stream?n=1001"),
	    q->max_body_bytes = 1000));
	run(&s);
	CU_ASSERT_EQUAL(s.res.err, ERR_TOO_BIG);
	CU_ASSERT_EQUAL(s.res.status, 200);
	s = (struct seen){ 0 };
	begin(&s, CALL(q->url = url("/stream?n=1000"),
	    q->max_body_bytes = 1000));
	run(&s);
	CU_ASSERT_EQUAL(s.res.err, 0);
	CU_ASSERT_EQUAL(s.res.body.len, 1000);
	s = (struct seen){ .refuse = ERR_CORRUPT };
	begin(&s, CALL(q->url = url("/stream?n=5000000"),
	    q->on_data = on_data));
	run(&s);
	CU_ASSERT_EQUAL(s.res.err, ERR_CORRUPT);
	CU_ASSERT_EQUAL(s.pieces, 1);
	stop();
}

static void
test_timeouts(void)
{
	struct seen	 s = { 0 };
	uint64_t	 began;

	start();
	began = loop_now_ms(loop);
	begin(&s, CALL(q->url = url("/keep"), q->total_timeout_ms = 150));
	run(&s);
	CU_ASSERT_EQUAL(s.res.err, ERR_TIMEOUT);
	CU_ASSERT(s.res.maybe_sent);
	CU_ASSERT(loop_now_ms(loop) - began < 5000);
	CU_ASSERT(s.res.msg.text[0] != '\0');
	http_reply(kept, 200, NULL, NULL);
	s = (struct seen){ 0 };
	begin(&s, CALL(q->url = url("/keep"), q->stall_timeout_ms = 1000));
	run(&s);
	CU_ASSERT_EQUAL(s.res.err, ERR_TIMEOUT);
	http_reply(kept, 200, NULL, NULL);
	stop();
}

static void
test_broken_connections(void)
{
	struct seen	 s = { 0 };
	char		*u;

	start();
	begin(&s, CALL(q->method = "POST", q->url = url("/drop")));
	run(&s);
	CU_ASSERT_EQUAL(s.res.err, ERR_CLOSED);
	CU_ASSERT_EQUAL(s.res.status, 0);
	CU_ASSERT(s.res.maybe_sent);
	u = xstrdup(url("/"));
	http_server_free(&srv);
	s = (struct seen){ 0 };
	begin(&s, CALL(q->url = u));
	run(&s);
	CU_ASSERT_EQUAL(s.res.err, -ECONNREFUSED);
	CU_ASSERT_FALSE(s.res.maybe_sent);
	CU_ASSERT(strlen(s.res.msg.text) > 10);
	free(u);
	stop();
}

static int	posts;

static void
handle_count(struct http_req *req, void *arg)
{
	/* Answers the first request, drops what comes later. */
	if (++posts > 1)
		http_req_drop(req);
	else
		http_reply(req, 200, NULL, NULL);
}

/* A request with effects is never sent twice by itself. */
static void
test_no_silent_repeat(void)
{
	struct http_server_opts	 o = HTTP_SERVER_OPTS_INIT;
	struct seen		 s = { 0 };
	struct err_msg		 m;

	start();
	http_server_free(&srv);
	o.handler = handle_count;
	posts = 0;
	CU_ASSERT_EQUAL_FATAL(http_server_new(loop, &o, &srv, &m), 0);
	begin(&s, CALL(q->method = "POST", q->url = url("/"), q->body = "1",
	    q->body_len = 1));
	run(&s);
	CU_ASSERT_EQUAL(s.res.status, 200);
	s = (struct seen){ 0 };
	begin(&s, CALL(q->method = "POST", q->url = url("/"), q->body = "2",
	    q->body_len = 1));
	run(&s);
	CU_ASSERT_EQUAL(s.res.err, ERR_CLOSED);
	CU_ASSERT(s.res.maybe_sent);
	CU_ASSERT_EQUAL(posts, 2);
	stop();
}

static void
test_cancel(void)
{
	struct http_server_stats st;
	struct seen	 s = { 0 }, t = { .cancel = true };

	start();
	begin(&s, CALL(q->url = url("/keep")));
	while (kept == NULL)
		loop_run_once(loop, 1);
	http_call_cancel(&s.call);
	CU_ASSERT_PTR_NULL(s.call);
	turn(20);
	CU_ASSERT_EQUAL(s.done, 0);
	CU_ASSERT_FALSE(http_req_is_alive(kept));
	http_reply(kept, 200, NULL, NULL);
	/* From inside of its own callback. */
	begin(&t, CALL(q->url = url("/stream?n=5000000"),
	    q->on_data = on_data));
	turn(100);
	CU_ASSERT_EQUAL(t.pieces, 1);
	CU_ASSERT_EQUAL(t.done, 0);
	http_server_get_stats(srv, &st);
	CU_ASSERT_EQUAL(st.connections, 0);
	/* And before anything happened. */
	s = (struct seen){ 0 };
	begin(&s, CALL(q->url = url("/")));
	http_call_cancel(&s.call);
	turn(5);
	CU_ASSERT_EQUAL(s.done, 0);
	/* A client is freed with a call under way. */
	begin(&s, CALL(q->url = url("/")));
	loop_run_once(loop, 0);
	stop();
}

static struct seen	 nested;

static int
start_another(void *arg, struct http_call *call, const uint8_t *p, size_t n)
{
	struct seen	*s = arg;

	if (s->pieces++ == 0)
		begin(&nested, CALL(q->url = url("/nested")));
	return 0;
}

static void
free_client(void *arg, struct http_result *res)
{
	struct seen	*s = arg;

	s->done = 1;
	http_client_free(&client);
}

static void
test_calls_inside_callbacks(void)
{
	struct http_call_opts	*o;
	struct seen		 s = { 0 };
	struct err_msg		 m;

	start();
	nested = (struct seen){ 0 };
	begin(&s, CALL(q->url = url("/stream?n=100000"),
	    q->on_data = start_another));
	run(&s);
	run(&nested);
	CU_ASSERT_PTR_NOT_NULL(strstr((char *)nested.res.body.data,
	    "/nested"));
	s = (struct seen){ 0 };
	o = CALL(q->url = url("/"), q->on_done = free_client, q->arg = &s);
	CU_ASSERT_EQUAL(http_client_start(client, o, NULL, &m), 0);
	while (s.done == 0)
		loop_run_once(loop, 1);
	CU_ASSERT_PTR_NULL(client);
	stop();
}

static void
test_many_at_once(void)
{
	enum { MANY = 200 };
	static struct seen	 s[MANY];
	int			 i;

	start();
	memset(s, 0, sizeof(s));
	for (i = 0; i < MANY; i++)
		begin(&s[i], CALL(q->method = "POST", q->url = url("/m"),
		    q->body = &i, q->body_len = sizeof(i)));
	for (i = 0; i < MANY; i++) {
		run(&s[i]);
		CU_ASSERT_EQUAL(s[i].res.status, 404);
	}
	stop();
}

static void *
serve(void *arg)
{
	struct loop	*l = arg;

	loop_run(l);
	return NULL;
}

static void
quit(struct http_req *req, void *arg)
{
	size_t	 n;

	http_req_body(req, &n);
	http_reply_header(req, "x-n", n == 3 ? "three" : "other");
	http_reply_bytes(req, 202, NULL, "bye", 3);
	loop_stop(arg);
}

static void
test_fetch(void)
{
	struct http_server_opts	 o = HTTP_SERVER_OPTS_INIT;
	struct http_result	 res;
	struct err_msg		 m;
	pthread_t		 thread;

	CU_ASSERT_PTR_NOT_NULL_FATAL(loop = loop_new());
	o.handler = quit;
	o.arg = loop;
	CU_ASSERT_EQUAL_FATAL(http_server_new(loop, &o, &srv, &m), 0);
	pthread_create(&thread, NULL, serve, loop);
	CU_ASSERT_EQUAL(http_client_fetch(NULL, CALL(q->method = "PUT",
	    q->url = url("/"), q->body = "abc", q->body_len = 3), &res), 0);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(res.status, 202);
	CU_ASSERT_EQUAL(res.body.len, 3);
	CU_ASSERT_STRING_EQUAL(http_result_header(&res, "X-N"), "three");
	CU_ASSERT_PTR_NULL(http_result_header(&res, "x"));
	http_result_free(&res);
	http_server_free(&srv);
	loop_free(&loop);
	CU_ASSERT(http_client_fetch(NULL, CALL(q->url = "gopher://x/"), &res)
	    < 0);
	CU_ASSERT(res.msg.text[0] != '\0');
	http_result_free(&res);
}

UNIT_MAIN("client",
    { "methods, lengths and headers are what was asked for", test_methods },
    { "headers are sent as given, broken ones refused", test_headers },
    { "big bodies go up from memory and from a callback", test_big_upload },
    { "a paused download stops the server", test_download_pause },
    { "limits and refusals end a call", test_limits },
    { "deadlines end a call", test_timeouts },
    { "broken connections say whether the request may be known",
      test_broken_connections },
    { "a request with effects is not repeated silently",
      test_no_silent_repeat },
    { "a cancelled call is silent", test_cancel },
    { "calls start and clients end inside callbacks",
      test_calls_inside_callbacks },
    { "many calls run at once", test_many_at_once },
    { "a single request can be waited for", test_fetch })
