/* raw_client.c - see raw_client.h */
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
#include "raw_client.h"
#include "unit.h"

struct loop		*loop;
struct http_server	*srv;
struct http_req		*kept;
int			 closes, rooms;
uint64_t		 stream_left, stream_peak;
struct http_server_opts	*opt;

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

void
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

void
stop(void)
{
	http_server_free(&srv);
	loop_free(&loop);
}

int
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

uint64_t
now_ms(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void
turn(int n)
{
	while (n-- > 0) {
		loop_run_once(loop, 0);
		usleep(200);
	}
}

void
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

void
say_text(int fd, const char *s)
{
	say(fd, s, strlen(s));
}

bool
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

void
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

char *
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

void
expect(const char *request, const char *until, const char *begin)
{
	char	*s = ask(request, until);

	if (strncmp(s, begin, strlen(begin)) != 0)
		printf("# expected \"%.40s\", got \"%.400s\"\n", begin, s);
	CU_ASSERT_EQUAL(strncmp(s, begin, strlen(begin)), 0);
	free(s);
}

struct http_server_opts *
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
