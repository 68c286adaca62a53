/* test_server.c - tests of http/server, spoken to over raw sockets */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "ev/loop.h"
#include "http/server.h"
#include "unit.h"

#define PATIENCE_MS	10000

static struct loop		*loop;
static struct http_server	*srv;
static struct http_req		*kept;		/* of /keep */
static int			 closes, rooms;
static uint64_t			 stream_left, stream_peak;

static const struct http_header server_headers[] = {
	{ "server", "ArangoDB" },
	{ "connection", "Keep-Alive" },
	{ "x-content-type-options", "nosniff" },
	{ NULL, NULL }
};

static void
count_close(struct http_req *req, void *arg)
{
	closes++;
}

static void
stream_some(struct http_req *req, void *arg)
{
	static uint8_t	 block[100000];
	size_t		 n, pending;

	rooms++;
	memset(block, 's', sizeof(block));
	while (stream_left > 0) {
		n = MIN(stream_left, sizeof(block));
		stream_left -= n;
		pending = http_stream_write(req, block, n);
		stream_peak = MAX(stream_peak, pending);
		if (!http_req_is_alive(req))
			break;
		if (pending >= HTTP_STREAM_HIGH_BYTES)
			return;
	}
	http_stream_end(req);
}

static void
handle_echo(struct http_req *req)
{
	struct buf	 b = BUF_INIT;
	size_t		 n;
	const uint8_t	*body = http_req_body(req, &n);
	const char	*q = http_req_query(req, "q");
	const char	*x = http_req_header(req, "X-TEST");

	buf_printf(&b, "%s %s q=%s x=%s n=%zu ",
	    http_method_name(http_req_method(req)), http_req_path(req),
	    q == NULL ? "-" : q, x == NULL ? "-" : x, n);
	if (n < 100)
		buf_append(&b, body, n);
	http_reply_header(req, "X-Mixed-Case", "kept");
	http_reply(req, 200, "text/plain", &b);
}

static void
handle(struct http_req *req, void *arg)
{
	const char	*path = http_req_path(req);
	const char	*n = http_req_query(req, "n");
	struct buf	 b = BUF_INIT;

	if (strcmp(path, "/keep") == 0) {
		kept = req;
		http_req_on_close(req, count_close, NULL);
	} else if (strcmp(path, "/drop") == 0)
		http_req_drop(req);
	else if (strcmp(path, "/big") == 0) {
		buf_reserve(&b, strtoul(n, NULL, 10));
		b.len = strtoul(n, NULL, 10);
		memset(b.data, 'b', b.len);
		http_reply(req, 200, NULL, &b);
	} else if (strcmp(path, "/stream") == 0) {
		stream_left = strtoul(n, NULL, 10);
		stream_peak = 0;
		http_stream_begin(req, 200, "application/octet-stream",
		    http_req_query_has(req, "fixed") ? (int64_t)stream_left :
		    -1);
		http_stream_on_room(req, stream_some, NULL);
		stream_some(req, NULL);
	} else if (strcmp(path, "/short") == 0) {
		http_stream_begin(req, 200, NULL, 10);
		http_stream_write(req, "abc", 3);
		http_stream_end(req);
	} else if (strcmp(path, "/204") == 0)
		http_reply(req, 204, NULL, NULL);
	else if (strcmp(path, "/pause") == 0) {
		http_server_pause_accept(srv, true);
		http_reply(req, 200, NULL, NULL);
	} else if (strcmp(path, "/end") == 0) {
		http_server_free(&srv);
		http_reply(req, 200, NULL, NULL);
	} else
		handle_echo(req);
}

static void
start(const struct http_server_opts *opts)
{
	struct http_server_opts	 o = *opts;
	struct err_msg		 m;

	o.handler = handle;
	o.headers = server_headers;
	closes = rooms = 0;
	kept = NULL;
	CU_ASSERT_PTR_NOT_NULL_FATAL(loop = loop_new());
	CU_ASSERT_EQUAL_FATAL(http_server_new(loop, &o, &srv, &m), 0);
}

static void
stop(void)
{
	http_server_free(&srv);
	loop_free(&loop);
}

static int
dial(void)
{
	struct sockaddr_in	 in = { .sin_family = AF_INET };
	int			 fd = socket(AF_INET, SOCK_STREAM, 0);

	in.sin_port = htons(http_server_port(srv));
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&in, sizeof(in)),
	    0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static uint64_t
now_ms(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Run the server for a while. */
static void
turn(int n)
{
	while (n-- > 0) {
		loop_run_once(loop, 0);
		usleep(200);
	}
}

static void
say(int fd, const void *p, size_t n)
{
	const uint8_t	*s = p;
	uint64_t	 end = now_ms() + PATIENCE_MS;
	ssize_t		 r;

	while (n > 0 && now_ms() < end) {
		r = send(fd, s, n, MSG_NOSIGNAL);
		if (r > 0) {
			s += r;
			n -= (size_t)r;
		} else if (errno != EAGAIN)
			return;
		loop_run_once(loop, 0);
	}
	CU_ASSERT_EQUAL(n, 0);
}

static void
say_text(int fd, const char *s)
{
	say(fd, s, strlen(s));
}

/*
 * What the server sends, until it holds `until` (a text), has `bytes` bytes, or
 * the connection ends.  True when it ended.
 */
static bool
hear(int fd, struct buf *b, const char *until, size_t bytes)
{
	uint64_t	 end = now_ms() + PATIENCE_MS;
	ssize_t		 r;

	while (now_ms() < end) {
		loop_run_once(loop, 0);
		buf_reserve(b, 65536);
		r = recv(fd, b->data + b->len, 65536, 0);
		if (r == 0 || (r == -1 && errno != EAGAIN)) {
			buf_cstr(b);
			return true;
		}
		if (r == -1) {
			usleep(100);
			continue;
		}
		b->len += (size_t)r;
		if (bytes != 0 ? b->len >= bytes : until != NULL &&
		    strstr(buf_cstr(b), until) != NULL)
			return false;
	}
	CU_FAIL("the server did not answer in time");
	buf_cstr(b);
	return false;
}

/* An answer with a body of n bytes. */
static void
hear_body(int fd, struct buf *b, size_t n)
{
	const char	*end;

	hear(fd, b, "\r\n\r\n", 0);
	if ((end = strstr((char *)b->data, "\r\n\r\n")) == NULL)
		return;
	n += (size_t)(end + 4 - (char *)b->data);
	if (b->len < n)
		hear(fd, b, NULL, n);
	CU_ASSERT_EQUAL(b->len, n);
}

/* One request, one answer: as a new string. */
static char *
ask(const char *request, const char *until)
{
	struct buf	 b = BUF_INIT;
	size_t		 n;
	int		 fd = dial();

	say(fd, request, strlen(request));
	hear(fd, &b, until, 0);
	close(fd);
	turn(3);
	return (char *)buf_steal(&b, &n);
}

static void
expect(const char *request, const char *until, const char *begin)
{
	char	*s = ask(request, until);

	if (strncmp(s, begin, strlen(begin)) != 0)
		printf("# expected \"%.40s\", got \"%.400s\"\n", begin, s);
	CU_ASSERT_EQUAL(strncmp(s, begin, strlen(begin)), 0);
	free(s);
}

static struct http_server_opts	*opt;

static struct http_server_opts *
new_opts(void)
{
	static struct http_server_opts	 o;

	o = (struct http_server_opts)HTTP_SERVER_OPTS_INIT;
	o.max_header_bytes = 4096;
	o.max_target_bytes = 1000;
	o.max_body_bytes = 1 << 26;
	o.max_total_body_bytes = 1 << 27;
	return &o;
}

/* Options of a server; OPTS(opt->a = 1, opt->b = 2) */
#define OPTS(...)	(opt = new_opts(), ##__VA_ARGS__, opt)

static void
test_request(void)
{
	char	*s;

	start(OPTS());
	s = ask("PATCH /a%20b/c?q=1&q=x%2By HTTP/1.1\r\nHost: h\r\n"
	    "x-Test:  value \r\nContent-Length: 3\r\n\r\nabc", "abc");
	CU_ASSERT_STRING_EQUAL(s, "HTTP/1.1 200 OK\r\n"
	    "content-type: text/plain\r\nconnection: Keep-Alive\r\n"
	    "content-length: 36\r\nserver: ArangoDB\r\n"
	    "x-content-type-options: nosniff\r\nX-Mixed-Case: kept\r\n\r\n"
	    "PATCH /a%20b/c q=x+y x=value n=3 abc");
	free(s);
	expect("DELETE / HTTP/1.1\r\nContent-Length: 2\r\n\r\n[]", "[]",
	    "HTTP/1.1 200 OK");
	expect("OPTIONS * HTTP/1.1\r\n\r\n", "n=0", "HTTP/1.1 200 OK");
	expect("GET http://h/abs?q=2 HTTP/1.1\r\n\r\n", "GET /abs q=2",
	    "HTTP/1.1 200");
	expect("GET http://h HTTP/1.1\r\n\r\n", "GET / q=-", "HTTP/1.1 200");
	expect("\r\n\r\nGET / HTTP/1.1\r\n\r\n", "n=0", "HTTP/1.1 200");
	expect("GET /204 HTTP/1.1\r\n\r\n", "\r\n\r\n",
	    "HTTP/1.1 204 No Content");
	stop();
}

static void
test_head(void)
{
	struct buf	 b = BUF_INIT;
	int		 fd;

	start(OPTS());
	fd = dial();
	say_text(fd, "HEAD /big?n=5000 HTTP/1.1\r\n\r\n"
	    "GET /x HTTP/1.1\r\n\r\n");
	hear(fd, &b, "GET /x", 0);
	CU_ASSERT_PTR_NOT_NULL(strstr((char *)b.data,
	    "content-length: 5000\r\n"));
	/* The next answer follows the header at once. */
	CU_ASSERT_PTR_NOT_NULL(strstr((char *)b.data, "\r\n\r\nHTTP/1.1 200"));
	CU_ASSERT(b.len < 1000);
	close(fd);
	buf_free(&b);
	stop();
}

static void
test_bad_requests(void)
{
	static const char *const bad[] = {
		"GET / HTTP/1.1\n\n\r\n\r\n",
		"GET /\r\n\r\n",
		"GET  HTTP/1.1\r\n\r\n",
		"GET / HTTP/11\r\n\r\n",
		"GET x HTTP/1.1\r\n\r\n",
		"GET / / HTTP/1.1\r\n\r\n",
		"GET /?a=%zz HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nA : b\r\n\r\n",
		"GET / HTTP/1.1\r\n: b\r\n\r\n",
		"GET / HTTP/1.1\r\nnocolon\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\nB: c\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: \r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1"
		"\r\n\r\nx",
		"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: "
		"chunked\r\n\r\nx",
		"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999"
		"\r\n\r\n",
		/* Not even waiting for an end that will not come. */
		"GET / HTTP/1.1\nA: b\n\n",
		"\x16\x03\x01\x02",
		"\n",
		"{\"a\":1}"
	};
	size_t	 i;

	start(OPTS());
	for (i = 0; i < NITEMS(bad); i++)
		expect(bad[i], NULL, "HTTP/1.1 400 Bad Request\r\n");
	expect("GET / HTTP/2.0\r\n\r\n", NULL, "HTTP/1.1 505 ");
	expect("get / HTTP/1.1\r\n\r\n", NULL, "HTTP/1.1 501 ");
	expect("TRACE / HTTP/1.1\r\n\r\n", NULL, "HTTP/1.1 501 ");
	expect("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "1\r\nx\r\n0\r\n\r\n", NULL, "HTTP/1.1 501 ");
	stop();
}

static char *
long_request(const char *before, size_t n, const char *after)
{
	char	*s = xmalloc(strlen(before) + n + strlen(after) + 1);

	strcpy(s, before);
	memset(s + strlen(before), 'a', n);
	strcpy(s + strlen(before) + n, after);
	return s;
}

static void
test_limits(void)
{
	struct buf	 b = BUF_INIT;
	char		*s;
	int		 i;

	start(OPTS(opt->max_body_bytes = 1000));
	s = long_request("GET /", 1000, " HTTP/1.1\r\n\r\n");
	expect(s, NULL, "HTTP/1.1 414 URI Too Long\r\n");
	free(s);
	s = long_request("GET /", 100000, "");
	expect(s, NULL, "HTTP/1.1 414 ");
	free(s);
	s = long_request("GET /", 999, " HTTP/1.1\r\n\r\n");
	expect(s, "n=0", "HTTP/1.1 200 ");
	free(s);
	s = long_request("GET / HTTP/1.1\r\nA: ", 4096, "\r\n\r\n");
	expect(s, NULL, "HTTP/1.1 431 Request Header Fields Too Large\r\n");
	free(s);
	/* Not even waiting for its end. */
	s = long_request("GET / HTTP/1.1\r\nA: ", 5000, "");
	expect(s, NULL, "HTTP/1.1 431 ");
	free(s);
	buf_append_str(&b, "GET / HTTP/1.1\r\n");
	for (i = 0; i < 257; i++)
		buf_append_str(&b, "a:b\r\n");
	buf_append_str(&b, "\r\n");
	expect(buf_cstr(&b), NULL, "HTTP/1.1 431 ");
	buf_free(&b);
	/* At once, although no byte of the body was sent. */
	expect("POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", NULL,
	    "HTTP/1.1 413 Payload Too Large\r\n");
	s = long_request("POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n",
	    1000, "");
	expect(s, "n=1000", "HTTP/1.1 200 ");
	free(s);
	stop();
}

/* A client that ignores the early answer still gets it. */
static void
test_413_survives_upload(void)
{
	static const char	 head[] =
	    "PUT / HTTP/1.1\r\nContent-Length: 20000000\r\n\r\n";
	struct buf		 b = BUF_INIT;
	char			*junk = calloc(1, 20000000);
	int			 fd;

	start(OPTS(opt->max_body_bytes = 1000));
	fd = dial();
	say(fd, head, strlen(head));
	say(fd, junk, 20000000);
	hear(fd, &b, "\r\n\r\n", 0);
	CU_ASSERT_EQUAL(strncmp((char *)b.data, "HTTP/1.1 413 ", 13), 0);
	close(fd);
	free(junk);
	buf_free(&b);
	stop();
}

static void
test_big_bodies(void)
{
	struct http_server_stats st;
	struct buf	 b = BUF_INIT;
	char		*big;
	const char	*p;
	size_t		 head, len, n = 50 * 1000 * 1000;
	int		 fd;

	start(OPTS());
	fd = dial();
	big = xmalloc(n + 100);
	head = (size_t)sprintf(big, "POST /keep HTTP/1.1\r\n"
	    "Content-Length: %zu\r\n\r\n", n);
	memset(big + head, 'x', n);
	big[head] = 'A';
	big[head + n - 1] = 'Z';
	say(fd, big, head + n);
	while (kept == NULL)
		loop_run_once(loop, 1);
	p = (const char *)http_req_body(kept, &len);
	CU_ASSERT_EQUAL(len, n);
	CU_ASSERT(p[0] == 'A' && p[1] == 'x' && p[n - 1] == 'Z' &&
	    p[n] == '\0');
	http_server_get_stats(srv, &st);
	CU_ASSERT_EQUAL(st.body_bytes, n);
	b.data = http_req_steal_body(kept, &b.len);
	b.cap = b.len;
	http_server_get_stats(srv, &st);
	CU_ASSERT_EQUAL(st.body_bytes, 0);
	/* Straight back, without a copy. */
	http_reply(kept, 200, NULL, &b);
	CU_ASSERT_PTR_NULL(b.data);
	hear_body(fd, &b, n);
	CU_ASSERT_EQUAL(memcmp(b.data + b.len - n, big + head, n), 0);
	close(fd);
	free(big);
	buf_free(&b);
	stop();
}

static void
test_budget(void)
{
	static const char	 r[] =
	    "POST /keep HTTP/1.1\r\nContent-Length: 60\r\n\r\n"
	    "012345678901234567890123456789012345678901234567890123456789";
	struct http_server_stats st;
	struct buf		 b = BUF_INIT;
	int			 fd, idle, late;

	start(OPTS(opt->max_total_body_bytes = 100));
	fd = dial();
	say(fd, r, strlen(r));
	while (kept == NULL)
		loop_run_once(loop, 1);
	expect(r, NULL, "HTTP/1.1 503 Service Unavailable\r\n");
	expect("POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n", NULL,
	    "HTTP/1.1 413 ");
	expect("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "{}",
	    "HTTP/1.1 200 ");
	/* Announced only, it takes no room; too much of it is too much. */
	idle = dial();
	say_text(idle, "POST / HTTP/1.1\r\nContent-Length: 39\r\n\r\n0");
	late = dial();
	say_text(late, "POST / HTTP/1.1\r\nContent-Length: 39\r\n\r\n"
	    "0123456789012345678901234567890123");
	expect("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "{}",
	    "HTTP/1.1 200 ");
	say_text(idle, "01234567890123456789012");
	hear(idle, &b, "\r\n\r\n", 0);
	CU_ASSERT_EQUAL(strncmp((char *)b.data, "HTTP/1.1 503 ", 13), 0);
	buf_reset(&b);
	say_text(late, "45678");
	hear(late, &b, "\r\n\r\n", 0);
	CU_ASSERT_EQUAL(strncmp((char *)b.data, "HTTP/1.1 200 ", 13), 0);
	buf_reset(&b);
	close(idle);
	close(late);
	http_reply(kept, 200, NULL, NULL);
	hear(fd, &b, "\r\n\r\n", 0);
	expect("POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n"
	    "0123456789012345678901234567890123456789012345678901234567890123"
	    "456789012345678901234567890123456789", "n=100", "HTTP/1.1 200 ");
	http_server_get_stats(srv, &st);
	CU_ASSERT_EQUAL(st.body_bytes, 0);
	CU_ASSERT_EQUAL(st.refused, 3);
	close(fd);
	buf_free(&b);
	stop();
}

static void
test_slow_client(void)
{
	static const char	 slow[] = "GET / HTTP/1.1\r\nA: b";
	struct buf	 b = BUF_INIT;
	int		 fd, i, idle;
	uint64_t	 began = now_ms();

	start(OPTS(opt->request_timeout_ms = 200, opt->idle_timeout_ms = 400));
	fd = dial();
	idle = dial();
	/* Each byte is in time, but the request as a whole is not. */
	for (i = 0; i < 100; i++) {
		if (send(fd, &slow[MIN((size_t)i, sizeof(slow) - 2)], 1,
		    MSG_NOSIGNAL) != 1)
			break;
		turn(1);
		usleep(20000);
		if (recv(fd, &i, 1, MSG_PEEK | MSG_DONTWAIT) == 1)
			break;
	}
	CU_ASSERT(now_ms() - began < 2000);
	hear(fd, &b, NULL, 0);
	CU_ASSERT_EQUAL(strncmp((char *)b.data, "HTTP/1.1 408 ", 13), 0);
	close(fd);
	buf_free(&b);
	/* An idle one is closed without a word. */
	CU_ASSERT(hear(idle, &b, NULL, 0));
	CU_ASSERT_EQUAL(b.len, 0);
	close(idle);
	fd = dial();
	say_text(fd, "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab");
	hear(fd, &b, NULL, 0);
	CU_ASSERT_EQUAL(strncmp((char *)b.data, "HTTP/1.1 408 ", 13), 0);
	close(fd);
	buf_free(&b);
	stop();
}

static void
test_client_leaves(void)
{
	struct http_server_stats st;
	struct http_req	*req;
	int		 fd;

	start(OPTS());
	fd = dial();
	say_text(fd, "POST /keep HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody");
	while (kept == NULL)
		loop_run_once(loop, 1);
	CU_ASSERT(http_req_is_alive(kept));
	close(fd);
	while (closes == 0)
		loop_run_once(loop, 1);
	CU_ASSERT_FALSE(http_req_is_alive(kept));
	CU_ASSERT_EQUAL(closes, 1);
	/* The work goes on: all of the request is still there. */
	CU_ASSERT_STRING_EQUAL(http_req_path(kept), "/keep");
	req = http_req_hold(kept);
	http_reply_bytes(kept, 200, NULL, "late", 4);
	CU_ASSERT_STRING_EQUAL(http_req_path(req), "/keep");
	http_req_release(&req);
	turn(10);
	http_server_get_stats(srv, &st);
	CU_ASSERT_EQUAL(st.connections, 0);
	CU_ASSERT_EQUAL(st.body_bytes, 0);
	CU_ASSERT_EQUAL(closes, 1);
	/* The same with a stream, and with a server that is gone first. */
	fd = dial();
	kept = NULL;
	say_text(fd, "GET /keep HTTP/1.1\r\n\r\n");
	while (kept == NULL)
		loop_run_once(loop, 1);
	http_server_free(&srv);
	http_stream_begin(kept, 200, NULL, -1);
	http_stream_write(kept, "x", 1);
	http_stream_end(kept);
	close(fd);
	stop();
}

/* Only stops to send: it still gets the answer. */
static void
test_half_close(void)
{
	struct buf	 b = BUF_INIT;
	int		 fd;

	start(OPTS());
	fd = dial();
	say_text(fd, "GET /keep HTTP/1.1\r\n\r\n");
	shutdown(fd, SHUT_WR);
	while (closes == 0)
		loop_run_once(loop, 1);
	http_reply_bytes(kept, 200, NULL, "still", 5);
	CU_ASSERT(hear(fd, &b, NULL, 0));
	CU_ASSERT_PTR_NOT_NULL(strstr((char *)b.data, "\r\n\r\nstill"));
	close(fd);
	buf_free(&b);
	stop();
}

static void
test_keep_alive(void)
{
	struct http_server_stats st;
	struct buf	 b = BUF_INIT;
	int		 fd, i;

	start(OPTS());
	fd = dial();
	for (i = 0; i < 50; i++) {
		buf_reset(&b);
		say_text(fd, "GET /a HTTP/1.1\r\n\r\n");
		hear(fd, &b, "n=0", 0);
	}
	http_server_get_stats(srv, &st);
	CU_ASSERT_EQUAL(st.connections, 1);
	CU_ASSERT_EQUAL(st.requests, 50);
	buf_reset(&b);
	say_text(fd, "GET /a HTTP/1.1\r\nConnection: foo, Close\r\n\r\n");
	CU_ASSERT(hear(fd, &b, NULL, 0));
	CU_ASSERT_PTR_NOT_NULL(strstr((char *)b.data, "connection: Close\r\n"));
	close(fd);
	buf_reset(&b);
	fd = dial();
	say_text(fd, "GET /a HTTP/1.0\r\n\r\n");
	CU_ASSERT(hear(fd, &b, NULL, 0));
	close(fd);
	buf_reset(&b);
	fd = dial();
	say_text(fd, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	CU_ASSERT_FALSE(hear(fd, &b, "n=0", 0));
	close(fd);
	buf_free(&b);
	stop();
}

static void
test_pipelining(void)
{
	struct buf	 b = BUF_INIT, in = BUF_INIT;
	const char	*p;
	char		 want[40];
	int		 fd, i;

	start(OPTS());
	fd = dial();
	for (i = 0; i < 2000; i++)
		buf_printf(&in, "POST /p%d HTTP/1.1\r\nContent-Length: 4"
		    "\r\n\r\n%04d", i, i);
	buf_append_str(&in, "GET /last HTTP/1.1\r\nConnection: close\r\n\r\n");
	/* All at once, while the first one waits for its answer. */
	say_text(fd, "GET /keep HTTP/1.1\r\n\r\n");
	say(fd, in.data, in.len);
	turn(5);
	CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
	http_reply_bytes(kept, 200, NULL, "first", 5);
	CU_ASSERT(hear(fd, &b, NULL, 0));
	p = strstr((char *)b.data, "first");
	for (i = 0; i < 2000 && p != NULL; i++) {
		snprintf(want, sizeof(want), "POST /p%d q=- x=- n=4 %04d", i,
		    i);
		p = strstr(p, want);
	}
	if (p == NULL)
		printf("# no \"%s\" in %zu bytes\n", want, b.len);
	CU_ASSERT(p != NULL && strstr(p, "GET /last") != NULL);
	close(fd);
	buf_free(&in);
	buf_free(&b);
	stop();
}

static void
test_stream(void)
{
	struct buf	 b = BUF_INIT;
	size_t		 n = 30 * 1000 * 1000;
	int		 fd;

	start(OPTS());
	fd = dial();
	say_text(fd, "GET /stream?fixed&n=30000000 HTTP/1.1\r\n\r\n");
	turn(200);
	/* Nobody reads: the producer was stopped at the mark. */
	CU_ASSERT(stream_left > n / 2);
	CU_ASSERT(stream_peak < HTTP_STREAM_HIGH_BYTES + 200000);
	hear_body(fd, &b, n);
	CU_ASSERT(rooms > 10);
	CU_ASSERT_PTR_NOT_NULL(memmem(b.data, 400, "content-length: 30000000",
	    24));
	/* The connection is good for more. */
	buf_reset(&b);
	say_text(fd, "GET /stream?n=5 HTTP/1.1\r\n\r\n");
	hear(fd, &b, "0\r\n\r\n", 0);
	CU_ASSERT_PTR_NOT_NULL(strstr((char *)b.data,
	    "transfer-encoding: chunked\r\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr((char *)b.data,
	    "\r\n\r\n5\r\nsssss\r\n0\r\n\r\n"));
	buf_reset(&b);
	say_text(fd, "HEAD /stream?n=5 HTTP/1.1\r\n\r\n"
	    "GET /b HTTP/1.1\r\n\r\n");
	hear(fd, &b, "GET /b", 0);
	CU_ASSERT_PTR_NULL(strstr((char *)b.data, "sssss"));
	close(fd);
	/* An old client gets it unframed. */
	buf_reset(&b);
	fd = dial();
	say_text(fd, "GET /stream?n=5 HTTP/1.0\r\n\r\n");
	CU_ASSERT(hear(fd, &b, NULL, 0));
	CU_ASSERT_PTR_NOT_NULL(strstr((char *)b.data, "\r\n\r\nsssss"));
	close(fd);
	/* A stream that ends too early is not mistaken for a whole one. */
	buf_reset(&b);
	fd = dial();
	say_text(fd, "GET /short HTTP/1.1\r\n\r\n");
	CU_ASSERT(hear(fd, &b, NULL, 0));
	close(fd);
	buf_free(&b);
	stop();
}

static void
test_stream_client_leaves(void)
{
	struct http_server_stats st;
	int		 fd;

	start(OPTS());
	fd = dial();
	say_text(fd, "GET /stream?n=30000000 HTTP/1.1\r\n\r\n");
	turn(50);
	CU_ASSERT(stream_left > 0);
	close(fd);
	turn(50);
	/* The producer was told, and ended. */
	http_server_get_stats(srv, &st);
	CU_ASSERT_EQUAL(st.connections, 0);
	stop();
}

static void
test_drop(void)
{
	char	*s;

	start(OPTS());
	s = ask("GET /drop HTTP/1.1\r\n\r\n", NULL);
	CU_ASSERT_STRING_EQUAL(s, "");
	free(s);
	stop();
}

static void
test_refuse_mode(void)
{
	struct buf	 b = BUF_INIT;
	int		 open, fd;

	start(OPTS());
	open = dial();
	turn(3);
	http_server_pause_accept(srv, false);
	fd = dial();
	CU_ASSERT(hear(fd, &b, NULL, 0));
	CU_ASSERT_EQUAL(b.len, 0);
	close(fd);
	say_text(open, "GET /a HTTP/1.1\r\n\r\n");
	CU_ASSERT_FALSE(hear(open, &b, "n=0", 0));
	http_server_pause_accept(srv, true);
	CU_ASSERT(hear(open, &b, NULL, 0));
	close(open);
	http_server_resume_accept(srv);
	expect("GET /b HTTP/1.1\r\n\r\n", "n=0", "HTTP/1.1 200 ");
	buf_free(&b);
	stop();
}

static void
test_connection_limit(void)
{
	struct http_server_stats st;
	struct buf	 b = BUF_INIT;
	int		 fd[4], i;

	start(OPTS(opt->max_connections = 3));
	for (i = 0; i < 4; i++)
		fd[i] = dial();
	turn(5);
	http_server_get_stats(srv, &st);
	CU_ASSERT_EQUAL(st.connections, 3);
	/* The fourth waits, and is served when there is room. */
	say_text(fd[3], "GET /a HTTP/1.1\r\n\r\n");
	turn(5);
	CU_ASSERT_EQUAL(recv(fd[3], &i, 1, 0), -1);
	close(fd[0]);
	hear(fd[3], &b, "n=0", 0);
	for (i = 1; i < 4; i++)
		close(fd[i]);
	buf_free(&b);
	stop();
}

static void
test_continue(void)
{
	static const char	 r[] = "POST /a HTTP/1.1\r\nExpect: "
	    "100-continue\r\nContent-Length: 3\r\n\r\n";
	struct buf		 b = BUF_INIT;
	int			 fd;

	start(OPTS());
	fd = dial();
	say(fd, r, strlen(r));
	hear(fd, &b, "\r\n\r\n", 0);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "HTTP/1.1 100 Continue\r\n\r\n");
	say_text(fd, "abc");
	hear(fd, &b, "n=3 abc", 0);
	close(fd);
	buf_free(&b);
	stop();
}

static void
test_given_socket(void)
{
	struct sockaddr_in	 in = { .sin_family = AF_INET };
	struct http_server	*second;
	struct err_msg		 m;
	int			 fd = socket(AF_INET, SOCK_STREAM, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	CU_ASSERT_EQUAL(listen(fd, 5), 0);
	start(OPTS(opt->fd = fd));
	expect("GET /b HTTP/1.1\r\n\r\n", "n=0", "HTTP/1.1 200 ");
	/* A port in use says so. */
	CU_ASSERT_EQUAL(http_server_new(loop, OPTS(
	    opt->port = http_server_port(srv)), &second, &m), -EADDRINUSE);
	CU_ASSERT_PTR_NOT_NULL(strstr(m.text, "in use"));
	CU_ASSERT_EQUAL(http_server_new(loop, OPTS(opt->address = "x"), &second,
	    &m), ERR_USAGE);
	stop();
}

static void
refusal(void *arg, int status, const char *why, struct buf *b,
    const char **type)
{
	*type = "application/json";
	buf_printf(b, "{\"code\":%d,\"errorMessage\":\"%s\"}", status, why);
}

static void
test_refusal_body(void)
{
	char	*s;

	start(OPTS(opt->refusal = refusal));
	s = ask("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
	    NULL);
	CU_ASSERT_STRING_EQUAL(s, "HTTP/1.1 501 Not Implemented\r\n"
	    "content-type: application/json\r\nconnection: Close\r\n"
	    "content-length: 88\r\nserver: ArangoDB\r\n"
	    "x-content-type-options: nosniff\r\n\r\n"
	    "{\"code\":501,\"errorMessage\":\"Support for "
	    "Transfer-Encoding: chunked is not implemented.\"}");
	free(s);
	stop();
}

/* It asked, but does not read. */
static void
test_stuck_reader(void)
{
	struct http_server_stats st;
	uint64_t		 end = now_ms() + PATIENCE_MS;
	int			 fd;

	start(OPTS(opt->write_timeout_ms = 200));
	fd = dial();
	say_text(fd, "GET /big?n=30000000 HTTP/1.1\r\n\r\n");
	do {
		loop_run_once(loop, 1);
		http_server_get_stats(srv, &st);
	} while (st.connections > 0 && now_ms() < end);
	CU_ASSERT_EQUAL(st.connections, 0);
	close(fd);
	stop();
}

static void
test_end_inside_handler(void)
{
	struct buf	 b = BUF_INIT;
	int		 fd;

	start(OPTS());
	fd = dial();
	say_text(fd, "GET /pause HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\n\r\n");
	CU_ASSERT(hear(fd, &b, NULL, 0));
	CU_ASSERT_EQUAL(b.len, 0);
	close(fd);
	http_server_resume_accept(srv);
	fd = dial();
	say_text(fd, "GET /end HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\n\r\n");
	CU_ASSERT(hear(fd, &b, NULL, 0));
	CU_ASSERT_PTR_NULL(srv);
	CU_ASSERT_EQUAL(b.len, 0);
	close(fd);
	buf_free(&b);
	stop();
}

/* One at a time over a kept connection, as a driver does it. */
static void
test_round_trip_time(void)
{
	static const char	 r[] = "GET /a HTTP/1.1\r\nHost: h\r\n"
	    "Accept: */*\r\nUser-Agent: test\r\n\r\n";
	char			 reply[1000];
	uint64_t		 began;
	int			 fd, i, n = 5000;

	start(OPTS());
	fd = dial();
	began = now_ms();
	for (i = 0; i < n; i++) {
		CU_ASSERT_EQUAL(send(fd, r, strlen(r), 0), (ssize_t)strlen(r));
		while (recv(fd, reply, sizeof(reply), 0) <= 0)
			loop_run_once(loop, 0);
	}
	printf("# %.1f us for a request, client included\n",
	    (double)(now_ms() - began) * 1000 / n);
	close(fd);
	stop();
}

UNIT_MAIN("server",
    { "all of a request arrives, the answer is as told", test_request },
    { "HEAD gets a length and no body", test_head },
    { "ambiguous and malformed requests are refused", test_bad_requests },
    { "limits have their own status each", test_limits },
    { "an early 413 reaches a client that goes on sending",
      test_413_survives_upload },
    { "a big body comes in one block and goes back uncopied",
      test_big_bodies },
    { "all bodies together stay under the budget", test_budget },
    { "a slow client ends at the deadline", test_slow_client },
    { "a request outlives its client and its server", test_client_leaves },
    { "a client that only stopped sending gets its answer",
      test_half_close },
    { "connections are kept as asked", test_keep_alive },
    { "pipelined requests are served in order", test_pipelining },
    { "a stream waits for its reader", test_stream },
    { "the producer learns that its reader left", test_stream_client_leaves },
    { "a dropped request gets no answer", test_drop },
    { "refuse mode turns new connections away", test_refuse_mode },
    { "connections beyond the limit wait", test_connection_limit },
    { "100-continue is answered before the body", test_continue },
    { "a listening socket can be given", test_given_socket },
    { "the caller words what the server refuses", test_refusal_body },
    { "who does not read an answer is cut off", test_stuck_reader },
    { "a handler may close everything under itself",
      test_end_inside_handler },
    { "a round trip is measured", test_round_trip_time })
