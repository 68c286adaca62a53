/* test_server.c - tests of http/server, spoken to over raw sockets: requests,
 * and limits */
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

UNIT_MAIN("server",
    { "all of a request arrives, the answer is as told", test_request },
    { "HEAD gets a length and no body", test_head },
    { "ambiguous and malformed requests are refused", test_bad_requests },
    { "limits have their own status each", test_limits },
    { "an early 413 reaches a client that goes on sending",
	test_413_survives_upload },
    { "a big body comes in one block and goes back uncopied", test_big_bodies },
    { "all bodies together stay under the budget", test_budget },
    { "a slow client ends at the deadline", test_slow_client })
