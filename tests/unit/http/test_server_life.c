/* test_server_life.c - tests of http/server, spoken to over raw sockets: the
 * life of connections and answers */
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

UNIT_MAIN("server life",
    { "a request outlives its client and its server", test_client_leaves },
    { "a client that only stopped sending gets its answer", test_half_close },
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
    { "a handler may close everything under itself", test_end_inside_handler },
    { "a round trip is measured", test_round_trip_time })
