/*
 * fuzz_http_request.c - bytes on a connection of the HTTP server.  The first
 * byte of the input says how to cut the rest into pieces.  Whatever comes, the
 * answers are complete HTTP messages, and the connection ends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "ev/loop.h"
#include "http/server.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BODY_MAX	4096

static struct loop		*loop;
static struct http_server	*srv;

static void
handle(struct http_req *req, void *arg)
{
	const char	*name, *value;
	struct buf	 b = BUF_INIT;
	const uint8_t	*body;
	size_t		 i, n;

	body = http_req_body(req, &n);
	bug_unless(n <= BODY_MAX);
	/* One block, and a NUL behind it. */
	bug_unless(n == 0 || body[n] == '\0');
	bug_unless(http_req_path(req)[0] == '/' ||
	    strcmp(http_req_path(req), "*") == 0);
	for (i = 0; i < http_req_header_count(req); i++) {
		http_req_header_at(req, i, &name, &value);
		bug_unless(name[0] != '\0' && strpbrk(value, "\r\n") == NULL);
		bug_unless(http_req_header(req, name) != NULL);
	}
	if (http_req_query_has(req, "stream")) {
		http_stream_begin(req, 200, "text/plain", -1);
		http_stream_write(req, body, n);
		http_stream_end(req);
	} else if (http_req_query_has(req, "drop"))
		http_req_drop(req);
	else {
		buf_append(&b, body, n);
		http_reply(req, 200, http_req_query(req, "t") == NULL ? NULL :
		    "text/plain", &b);
	}
}

static void
set_up(void)
{
	struct http_server_opts	 o = HTTP_SERVER_OPTS_INIT;

	if (srv != NULL)
		return;
	o.handler = handle;
	o.max_header_bytes = 2048;
	o.max_target_bytes = 512;
	o.max_body_bytes = BODY_MAX;
	o.max_total_body_bytes = 2 * BODY_MAX;
	bug_unless((loop = loop_new()) != NULL);
	bug_unless(http_server_new(loop, &o, &srv, NULL) == 0);
}

/* Every answer begins with a status line; 408 and 1xx must not come here. */
static void
check_answers(const struct buf *b)
{
	const char	*s = (const char *)b->data;

	if (b->len == 0)
		return;
	bug_unless(b->len >= 15 && memcmp(s, "HTTP/1.1 ", 9) == 0);
	bug_unless(s[9] >= '1' && s[9] <= '5' && s[12] == ' ');
	bug_unless(memmem(s, b->len, "\r\n\r\n", 4) != NULL);
}

static void
hear(int fd, struct buf *b, bool to_the_end)
{
	ssize_t	 r;
	int	 i;

	for (i = 0; i < 20000; i++) {
		loop_run_once(loop, 0);
		buf_reserve(b, 16384);
		r = recv(fd, b->data + b->len, 16384, MSG_DONTWAIT);
		if (r > 0)
			b->len += (size_t)r;
		else if (r == 0 || errno != EAGAIN || !to_the_end)
			return;
	}
	bug_unless(!"the connection did not end");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sockaddr_in	 in = { .sin_family = AF_INET };
	struct linger		 now = { 1, 0 };
	struct http_server_stats st;
	struct buf		 b = BUF_INIT;
	size_t			 at, n, step;
	ssize_t			 r;
	int			 fd;

	if (size < 1 || size > 65536)
		return 0;
	set_up();
	step = data[0] == 0 ? size : data[0] * (size_t)7;
	fd = socket(AF_INET, SOCK_STREAM, 0);
	in.sin_port = htons(http_server_port(srv));
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bug_unless(connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0);
	for (at = 1; at < size; at += n) {
		n = MIN(size - at, step);
		r = send(fd, data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (r <= 0)
			break;
		n = (size_t)r;
		hear(fd, &b, false);
	}
	shutdown(fd, SHUT_WR);
	hear(fd, &b, true);
	check_answers(&b);
	/* Without TIME_WAIT, of which there would be too many. */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
	http_server_get_stats(srv, &st);
	bug_unless(st.connections == 0 && st.body_bytes == 0);
	buf_free(&b);
	return 0;
}
