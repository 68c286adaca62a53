/* test_tls.c - tests of http/tls, and of server and client over TLS */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "ev/loop.h"
#include "http/client.h"
#include "http/ossl.h"
#include "http/server.h"
#include "http/tls.h"
#include "pki.h"
#include "unit.h"

static struct loop		*loop;
static struct pki		*ca, *server, *user, *stranger_ca, *stranger;
static struct buf		 keyfile, ca_pem, user_pem, stranger_pem;
static struct http_result	 last;
static bool			 done;

static void
make_pki(void)
{
	keyfile = ca_pem = user_pem = stranger_pem = (struct buf)BUF_INIT;
	ca = pki_authority("Test CA");
	server = pki_issue(ca, "localhost");
	user = pki_issue(ca, "some user");
	stranger_ca = pki_authority("Other CA");
	stranger = pki_issue(stranger_ca, "stranger");
	/* The key first: the order must not matter. */
	pki_key(server, &keyfile);
	pki_cert(server, &keyfile);
	pki_cert(ca, &keyfile);
	pki_cert(ca, &ca_pem);
	pki_cert(user, &user_pem);
	pki_key(user, &user_pem);
	pki_cert(stranger, &stranger_pem);
	pki_key(stranger, &stranger_pem);
}

static void
free_pki(void)
{
	pki_free(&ca);
	pki_free(&server);
	pki_free(&user);
	pki_free(&stranger_ca);
	pki_free(&stranger);
	buf_free(&keyfile);
	buf_free(&ca_pem);
	buf_free(&user_pem);
	buf_free(&stranger_pem);
}

/* Byte i of a stream. */
static uint8_t
pattern(size_t i)
{
	return (uint8_t)(i * 7 + (i >> 8) * 3 + (i >> 16));
}

/* A stream of pieces of all sizes, which does not end when all is written. */
static struct {
	struct http_req		*req;
	size_t			 written, total, pieces;
} stream;

static void
on_stream_room(struct http_req *req, void *arg)
{
	static const size_t	 sizes[] = {
		1, 240000, 16384, 3, 16383, 16385, 70000, 100, 5000, 32768
	};
	struct buf	 b = BUF_INIT;
	size_t		 n, i, waits;

	while (stream.written < stream.total) {
		n = sizes[stream.pieces++ % 10];
		n = MIN(n, stream.total - stream.written);
		buf_reserve(&b, n);
		for (i = 0; i < n; i++)
			b.data[i] = pattern(stream.written + i);
		b.len = n;
		stream.written += n;
		waits = stream.pieces % 2 != 0 ?
		    http_stream_write_buf(req, &b) :
		    http_stream_write(req, b.data, b.len);
		buf_free(&b);
		if (waits >= HTTP_STREAM_HIGH_BYTES)
			return;
	}
}

static void
handle(struct http_req *req, void *arg)
{
	const char	*subject = http_req_cert_subject(req);
	const char	*print = http_req_cert_fingerprint(req);
	struct buf	 b = BUF_INIT;
	size_t		 n;

	if (strcmp(http_req_path(req), "/stream") == 0) {
		stream.req = http_req_hold(req);
		http_stream_begin(req, 200, NULL, -1);
		http_stream_on_room(req, on_stream_room, NULL);
		on_stream_room(req, NULL);
		return;
	}
	http_req_body(req, &n);
	buf_printf(&b, "%s %zu %s %zu", http_req_is_tls(req) ? "tls" : "plain",
	    n, subject == NULL ? "-" : subject,
	    print == NULL ? (size_t)0 : strlen(print));
	if (http_req_query_has(req, "pad")) {
		n = strtoul(http_req_query(req, "pad"), NULL, 10);
		buf_reserve(&b, n);
		memset(b.data + b.len, 'p', n);
		b.len += n;
	}
	http_reply(req, 200, "text/plain", &b);
}

static void
on_done(void *arg, struct http_result *res)
{
	buf_free(&last.body);
	last = *res;
	res->body = (struct buf)BUF_INIT;
	done = true;
}

/* One GET or POST with these client options. */
static int
call(struct http_server *srv, const struct http_client_opts *copts,
    const char *query, const void *body, size_t n)
{
	struct http_call_opts	 o = HTTP_CALL_OPTS_INIT;
	struct http_client	*c;
	struct err_msg		 m;
	char			*url;
	int			 i;

	url = xasprintf("https://localhost:%u/%s",
	    (unsigned)http_server_port(srv), query);
	CU_ASSERT_EQUAL_FATAL(http_client_new(loop, copts, &c, &m), 0);
	o.url = url;
	o.on_done = on_done;
	if (body != NULL) {
		o.method = "POST";
		o.body = body;
		o.body_len = n;
	}
	done = false;
	CU_ASSERT_EQUAL_FATAL(http_client_start(c, &o, NULL, &m), 0);
	for (i = 0; i < 1000000 && !done; i++)
		loop_run_once(loop, 1);
	http_client_free(&c);
	free(url);
	return last.err;
}

static void
start(struct http_server **srv, enum tls_client_auth auth)
{
	struct http_server_opts	 o = HTTP_SERVER_OPTS_INIT;
	struct tls_server_opts	 t = {
		.pem = keyfile.data, .pem_len = keyfile.len,
		.ca_pem = ca_pem.data, .ca_pem_len = ca_pem.len,
		.client_auth = auth
	};
	struct tls_ctx		*ctx;
	struct err_msg		 m;

	CU_ASSERT_EQUAL_FATAL(tls_server_new(&t, &ctx, &m), 0);
	o.handler = handle;
	o.max_body_bytes = o.max_total_body_bytes = 100 << 20;
	o.tls = ctx;
	CU_ASSERT_EQUAL_FATAL(http_server_new(loop, &o, srv, &m), 0);
	tls_ctx_free(&ctx);
}

static void
begin(void)
{
	make_pki();
	CU_ASSERT_PTR_NOT_NULL_FATAL(loop = loop_new());
}

static void
end(struct http_server **srv)
{
	http_server_free(srv);
	buf_free(&last.body);
	loop_free(&loop);
	free_pki();
}

static void
test_verification(void)
{
	struct http_client_opts	 o = HTTP_CLIENT_OPTS_INIT;
	struct http_server	*srv;

	begin();
	start(&srv, TLS_CLIENT_CERT_NONE);
	o.ca_pem = (char *)ca_pem.data;
	o.ca_pem_len = ca_pem.len;
	CU_ASSERT_EQUAL(call(srv, &o, "", NULL, 0), 0);
	CU_ASSERT_EQUAL(last.status, 200);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&last.body), "tls 0 - 0");
	o.ca_pem = (char *)stranger_pem.data;
	o.ca_pem_len = stranger_pem.len;
	CU_ASSERT_EQUAL(call(srv, &o, "", NULL, 0), ERR_TLS);
	CU_ASSERT(last.msg.text[0] != '\0');
	CU_ASSERT_FALSE(last.maybe_sent);
	o.no_verify = true;
	CU_ASSERT_EQUAL(call(srv, &o, "", NULL, 0), 0);
	end(&srv);
}

static void
test_client_certificates(void)
{
	struct http_client_opts	 o = HTTP_CLIENT_OPTS_INIT;
	struct http_server	*srv;

	begin();
	start(&srv, TLS_CLIENT_CERT_REQUIRED);
	o.ca_pem = (char *)ca_pem.data;
	o.ca_pem_len = ca_pem.len;
	CU_ASSERT(call(srv, &o, "", NULL, 0) < 0);
	o.cert_pem = (char *)stranger_pem.data;
	o.cert_pem_len = stranger_pem.len;
	CU_ASSERT(call(srv, &o, "", NULL, 0) < 0);
	o.cert_pem = (char *)user_pem.data;
	o.cert_pem_len = user_pem.len;
	CU_ASSERT_EQUAL(call(srv, &o, "", NULL, 0), 0);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&last.body), "tls 0 CN=some user 64");
	http_server_free(&srv);
	start(&srv, TLS_CLIENT_CERT_OPTIONAL);
	CU_ASSERT_EQUAL(call(srv, &o, "", NULL, 0), 0);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&last.body), "tls 0 CN=some user 64");
	o.cert_pem = NULL;
	CU_ASSERT_EQUAL(call(srv, &o, "", NULL, 0), 0);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&last.body), "tls 0 - 0");
	end(&srv);
}

static void
test_big_over_tls(void)
{
	struct http_client_opts	 o = HTTP_CLIENT_OPTS_INIT;
	struct http_server	*srv;
	size_t			 n = 20 * 1000 * 1000;
	char			*big = calloc(1, n);

	begin();
	start(&srv, TLS_CLIENT_CERT_NONE);
	o.ca_pem = (char *)ca_pem.data;
	o.ca_pem_len = ca_pem.len;
	CU_ASSERT_EQUAL(call(srv, &o, "?pad=30000000", big, n), 0);
	CU_ASSERT_EQUAL(last.body.len, 30000000 + strlen("tls 20000000 - 0"));
	CU_ASSERT_EQUAL(memcmp(last.body.data, "tls 20000000 - 0p", 17), 0);
	free(big);
	end(&srv);
}

struct reader {
	size_t		 bytes, wrong, pause_at;
	bool		 paused;
};

static int
on_stream_data(void *arg, struct http_call *hc, const uint8_t *p, size_t n)
{
	struct reader	*r = arg;
	size_t		 i;

	for (i = 0; i < n; i++)
		r->wrong += p[i] != pattern(r->bytes + i);
	r->bytes += n;
	if (r->bytes >= r->pause_at) {
		r->pause_at += 700000;
		r->paused = true;
		http_call_pause(hc);
	}
	return 0;
}

static void
read_stream(size_t read_ahead)
{
	struct http_client_opts	 co = HTTP_CLIENT_OPTS_INIT;
	struct http_call_opts	 o = HTTP_CALL_OPTS_INIT;
	struct reader		 r = { .pause_at = 300000 };
	struct http_client	*c;
	struct http_server	*srv;
	struct http_call	*hc;
	struct err_msg		 m;
	char			*url;
	int			 i;

	begin();
	start(&srv, TLS_CLIENT_CERT_NONE);
	co.no_verify = true;
	co.tls_read_ahead = read_ahead;
	CU_ASSERT_EQUAL_FATAL(http_client_new(loop, &co, &c, &m), 0);
	memset(&stream, 0, sizeof(stream));
	stream.total = 5 * 1000 * 1000 + 1;
	url = xasprintf("https://localhost:%u/stream",
	    (unsigned)http_server_port(srv));
	o.url = url;
	o.on_data = on_stream_data;
	o.arg = &r;
	CU_ASSERT_EQUAL_FATAL(http_client_start(c, &o, &hc, &m), 0);
	for (i = 0; i < 20000 && r.bytes < stream.total; i++) {
		loop_run_once(loop, 0);
		usleep(50);
		if (r.paused && i % 4 == 0) {
			r.paused = false;
			http_call_resume(hc);
		}
	}
	/* Nothing is left over in a buffer. */
	CU_ASSERT_EQUAL(r.bytes, stream.total);
	CU_ASSERT_EQUAL(r.wrong, 0);
	http_client_free(&c);
	http_stream_end(stream.req);
	http_req_release(&stream.req);
	free(url);
	end(&srv);
}

static void
test_stream(void)
{
	read_stream(0);
	read_stream(64 * 1024);
	read_stream(200000);
}

static void
test_plain_on_tls_port(void)
{
	struct sockaddr_in	 in = { .sin_family = AF_INET };
	struct http_server	*srv;
	char			 b[1000];
	ssize_t			 r = -1;
	size_t			 n = 0;
	int			 fd, i;

	begin();
	start(&srv, TLS_CLIENT_CERT_NONE);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	in.sin_port = htons(http_server_port(srv));
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CU_ASSERT_EQUAL(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	CU_ASSERT_EQUAL(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
	for (i = 0; i < 5000 && r != 0; i++) {
		loop_run_once(loop, 0);
		r = recv(fd, b + n, sizeof(b) - 1 - n, MSG_DONTWAIT);
		if (r > 0)
			n += (size_t)r;
		else
			usleep(100);
	}
	b[n] = '\0';
	CU_ASSERT_EQUAL(r, 0);
	CU_ASSERT_EQUAL(strncmp(b, "HTTP/1.1 400 Bad Request\r\n", 26), 0);
	close(fd);
	/* Garbage that is neither just ends. */
	fd = socket(AF_INET, SOCK_STREAM, 0);
	CU_ASSERT_EQUAL(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	CU_ASSERT_EQUAL(send(fd, "\1\2\3garbage that is long\n\n", 26, 0), 26);
	for (i = 0, r = -1; i < 5000 && r != 0; i++) {
		loop_run_once(loop, 0);
		r = recv(fd, b, sizeof(b), MSG_DONTWAIT);
		if (r == -1)
			usleep(100);
	}
	CU_ASSERT_EQUAL(r, 0);
	close(fd);
	end(&srv);
}

/* Something in between, or a master that is just starting: waiting may help.
 * At once, after the client's hello, and with a reset. */
static void
test_hangs_up(void)
{
	static const struct linger	 reset = { 1, 0 };
	struct http_call_opts		 q = HTTP_CALL_OPTS_INIT;
	struct http_client_opts		 o = HTTP_CLIENT_OPTS_INIT;
	struct sockaddr_in		 in = { .sin_family = AF_INET };
	socklen_t			 len = sizeof(in);
	struct http_client		*c;
	struct err_msg			 m;
	char				*url, b[4096];
	int				 i, how, fd, l;

	begin();
	l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CU_ASSERT_EQUAL_FATAL(bind(l, (struct sockaddr *)&in, len), 0);
	CU_ASSERT_EQUAL_FATAL(listen(l, 5), 0);
	CU_ASSERT_EQUAL(getsockname(l, (struct sockaddr *)&in, &len), 0);
	url = xasprintf("https://127.0.0.1:%u/", (unsigned)ntohs(in.sin_port));
	q.url = url;
	q.on_done = on_done;
	for (how = 0; how < 3; how++) {
		CU_ASSERT_EQUAL_FATAL(http_client_new(loop, &o, &c, &m), 0);
		done = false;
		CU_ASSERT_EQUAL_FATAL(http_client_start(c, &q, NULL, &m), 0);
		for (i = 0; i < 100000 && !done; i++) {
			loop_run_once(loop, 1);
			if ((fd = accept(l, NULL, NULL)) == -1)
				continue;
			if (how > 0)
				while (recv(fd, b, sizeof(b), MSG_DONTWAIT) < 1)
					loop_run_once(loop, 1);
			if (how == 2)
				setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset,
				    sizeof(reset));
			close(fd);
		}
		CU_ASSERT(done);
		CU_ASSERT_EQUAL(last.err, ERR_CLOSED);
		CU_ASSERT_FALSE(last.maybe_sent);
		http_client_free(&c);
	}
	close(l);
	free(url);
	buf_free(&last.body);
	loop_free(&loop);
	free_pki();
}

static void
test_reload(void)
{
	struct http_client_opts	 o = HTTP_CLIENT_OPTS_INIT;
	struct tls_server_opts	 t = { 0 };
	struct http_server	*srv;
	struct tls_ctx		*ctx = NULL, *before;
	struct err_msg		 m;

	begin();
	start(&srv, TLS_CLIENT_CERT_NONE);
	t.pem = keyfile.data;
	t.pem_len = keyfile.len;
	CU_ASSERT_EQUAL_FATAL(tls_server_new(&t, &ctx, &m), 0);
	before = ctx;
	t.pem = ca_pem.data;
	t.pem_len = ca_pem.len;
	CU_ASSERT_EQUAL(tls_server_reload(&t, &ctx, &m), ERR_TLS);
	CU_ASSERT_PTR_EQUAL(ctx, before);
	/* Swapped while connections exist: new ones get the new one. */
	t.pem = stranger_pem.data;
	t.pem_len = stranger_pem.len;
	CU_ASSERT_EQUAL(tls_server_reload(&t, &ctx, &m), 0);
	http_server_set_tls(srv, ctx);
	tls_ctx_free(&ctx);
	o.ca_pem = (char *)ca_pem.data;
	o.ca_pem_len = ca_pem.len;
	CU_ASSERT_EQUAL(call(srv, &o, "", NULL, 0), ERR_TLS);
	end(&srv);
}

static void
expect_error(const char *path, const struct buf *content, const char *text)
{
	struct tls_server_opts	 t = { .keyfile = path };
	struct tls_ctx		*ctx = NULL;
	struct err_msg		 m = { "" };
	FILE			*f;

	if (content != NULL) {
		f = fopen(path, "w");
		fwrite(content->data, 1, content->len, f);
		fclose(f);
	}
	CU_ASSERT(tls_server_new(&t, &ctx, &m) < 0);
	CU_ASSERT_PTR_NULL(ctx);
	if (strstr(m.text, text) == NULL || strstr(m.text, path) == NULL)
		printf("# \"%s\" does not say \"%s\"\n", m.text, text);
	CU_ASSERT_PTR_NOT_NULL(strstr(m.text, text));
	CU_ASSERT_PTR_NOT_NULL(strstr(m.text, path));
}

static void
test_keyfile_errors(void)
{
	struct tls_server_opts	 t = { .client_auth =
				    TLS_CLIENT_CERT_REQUIRED };
	struct buf		 b = BUF_INIT, plain = BUF_INIT;
	struct tls_ctx		*ctx;
	struct err_msg		 m;
	EVP_PKEY		*key;
	char			 pass[] = "secret";
	char			 path[] = "/tmp/test_tls.XXXXXX";
	BIO			*bio;
	char			*s;
	long			 n;

	make_pki();
	close(mkstemp(path));
	expect_error("/nonexistent/key", NULL, "cannot open");
	expect_error(path, &ca_pem, "holds no private key");
	pki_key(server, &b);
	expect_error(path, &b, "holds no certificate");
	pki_cert(user, &b);
	expect_error(path, &b, "does not belong");
	buf_reset(&b);
	expect_error(path, &b, "holds no certificate");
	pki_cert(server, &b);
	buf_append_str(&b, "-----BEGIN PRIVATE KEY-----\nAAAA\n"
	    "-----END PRIVATE KEY-----\n");
	expect_error(path, &b, "holds no private key");
	/* Encrypted: must not ask a terminal. */
	buf_reset(&b);
	pki_cert(server, &b);
	pki_key(server, &plain);
	bio = BIO_new_mem_buf(plain.data, (int)plain.len);
	key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(bio, key, EVP_aes_128_cbc(),
	    (unsigned char *)pass, 6, NULL, NULL);
	EVP_PKEY_free(key);
	n = BIO_get_mem_data(bio, &s);
	buf_append(&b, s, (size_t)n);
	BIO_free(bio);
	expect_error(path, &b, "is encrypted");
	/* Asking for certificates needs somebody who signs them. */
	t.pem = keyfile.data;
	t.pem_len = keyfile.len;
	CU_ASSERT_EQUAL(tls_server_new(&t, &ctx, &m), ERR_TLS);
	t.ca_pem = "nothing";
	t.ca_pem_len = 7;
	CU_ASSERT_EQUAL(tls_server_new(&t, &ctx, &m), ERR_TLS);
	unlink(path);
	buf_free(&plain);
	buf_free(&b);
	free_pki();
}

UNIT_MAIN("tls",
    { "a server's certificate is verified", test_verification },
    { "client certificates are asked for, verified and shown",
      test_client_certificates },
    { "big bodies pass in both directions", test_big_over_tls },
    { "all of a stream arrives while it is open, however it is read",
      test_stream },
    { "plain HTTP on the TLS port is told so", test_plain_on_tls_port },
    { "who hangs up during the handshake refuses nothing", test_hangs_up },
    { "a reload swaps good contexts and keeps the old on errors",
      test_reload },
    { "a bad keyfile is named with its fault", test_keyfile_errors })
