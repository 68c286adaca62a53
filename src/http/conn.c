/* conn.c - one connection of the HTTP server, from state to state */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "http/ossl.h"
#include "http/server_priv.h"

#define CONN_READ_BYTES		(16 * 1024)	/* step of reading heads */
#define CONN_AHEAD_BYTES	(64 * 1024)	/* kept of pipelined requests */
/* Then other connections have their turn. */
#define CONN_TURN_BYTES		(8 * 1024 * 1024)
#define CONN_JOIN_BYTES		(16 * 1024)	/* smaller ones share a block */
#define CONN_LINGER_MS		2000
#define CONN_LINGER_BYTES	((uint64_t)256 * 1024 * 1024)
#define CONN_IOV_MAX		16

static void	conn_ready(void *arg, int events);
static void	conn_timeout(void *arg);
static void	conn_run_task(void *arg);
static void	conn_run(struct conn *c);
static void	conn_unpin(struct conn *c);
static bool	conn_step(struct conn *c, uint64_t *turn);
static bool	step_head(struct conn *c, uint64_t *turn);
static bool	step_body(struct conn *c, uint64_t *turn);
static bool	step_ahead(struct conn *c, uint64_t *turn);
static bool	step_linger(struct conn *c);
static bool	head_complete(struct conn *c, size_t len);
static int	body_begin(struct conn *c, const char **why);
static void	body_count(struct conn *c, size_t n);
static void	conn_dispatch(struct conn *c);
static void	conn_refuse(struct conn *c, int status, const char *why);
static void	conn_next_request(struct conn *c);
static void	conn_update(struct conn *c);
static void	set_deadline(struct conn *c, uint64_t ms);

void
conn_new(struct http_server *srv, int fd, const char *peer, uint16_t port)
{
	struct conn	*c = xcalloc(1, sizeof(*c));

	c->srv = srv;
	c->loop = srv->loop;
	sock_init(&c->sock, fd, srv->o.tls);
	strncpy(c->peer, peer, sizeof(c->peer) - 1);
	c->peer_port = port;
	loop_task_init(&c->run_task, conn_run_task, c);
	c->timer = loop_timer_new(c->loop, conn_timeout, c);
	c->next = srv->conns;
	if (c->next != NULL)
		c->next->prev = c;
	srv->conns = c;
	srv->n_conns++;
	c->watch = loop_fd_new(c->loop, fd, LOOP_READ, conn_ready, c);
	c->events = LOOP_READ;
	if (c->watch == NULL) {
		conn_close(c, false);
		return;
	}
	/* The handshake has the time of a request, silence that of a pause. */
	set_deadline(c, c->sock.ssl != NULL ? srv->o.request_timeout_ms :
	    srv->o.idle_timeout_ms);
}

void
conn_close(struct conn *c, bool tell)
{
	struct http_server	*srv = c->srv;
	struct outblk		*o;

	if (!c->dead) {
		c->dead = true;
		if (c->req != NULL)
			req_conn_gone(c->req, tell);
		c->req = NULL;
		loop_fd_free(&c->watch);
		loop_timer_free(&c->timer);
		loop_task_cancel(&c->run_task);
		sock_close(&c->sock);
		*(c->prev == NULL ? &srv->conns : &c->prev->next) = c->next;
		if (c->next != NULL)
			c->next->prev = c->prev;
		c->srv = NULL;
		srv->body_bytes -= c->body_reserved;
		server_conn_closed(srv);
	}
	if (c->busy > 0)
		return;
	while ((o = c->out) != NULL) {
		c->out = o->next;
		buf_free(&o->b);
		free(o);
	}
	http_head_free(&c->head);
	free(c->body);
	buf_free(&c->in);
	free(c->cert_subject);
	free(c->cert_fingerprint);
	free(c);
}

/* ---- deadlines ---------------------------------------------------------- */

/*
 * The timer is not moved at each request: when it fires too early it is set
 * for what is left.
 */
static void
set_deadline(struct conn *c, uint64_t ms)
{
	uint64_t	 now;

	if (ms == 0) {
		c->deadline_ms = 0;
		return;
	}
	now = loop_now_ms(c->loop);
	c->deadline_ms = now + ms;
	if (c->armed_ms == 0 || c->armed_ms > c->deadline_ms) {
		c->armed_ms = c->deadline_ms;
		loop_timer_start(c->timer, ms);
	}
}

static void
conn_timeout(void *arg)
{
	struct conn	*c = arg;
	uint64_t	 now = loop_now_ms(c->loop);

	c->armed_ms = 0;
	if (c->deadline_ms == 0)
		return;
	if (now < c->deadline_ms) {
		c->armed_ms = c->deadline_ms;
		loop_timer_start(c->timer, c->deadline_ms - now);
		return;
	}
	c->deadline_ms = 0;
	if (c->out == NULL && (c->state == CONN_BODY ||
	    (c->state == CONN_HEAD && c->in.len > 0))) {
		c->busy++;
		conn_refuse(c, 408, "the request was not complete in time");
		conn_unpin(c);
		return;
	}
	conn_close(c, true);
}

/* ---- events ------------------------------------------------------------- */

static void
conn_update(struct conn *c)
{
	int	 want = 0;

	if (c->dead)
		return;
	switch (c->state) {
	case CONN_HEAD:
	case CONN_BODY:
	case CONN_LINGER:
		want = LOOP_READ;
		break;
	default:
		if (!c->peer_eof && c->in.len < CONN_AHEAD_BYTES)
			want = LOOP_READ;
		break;
	}
	if (c->sock.read_wants_write || (c->blocked && c->out != NULL))
		want |= LOOP_WRITE;
	if (c->blocked && c->sock.write_wants_read)
		want |= LOOP_READ;
	if (want != c->events) {
		c->events = want;
		loop_fd_set(c->watch, want);
	}
}

static void
conn_ready(void *arg, int events)
{
	struct conn	*c = arg;

	/* TLS may wait for the one to do the other. */
	if ((events & LOOP_READ) || c->sock.read_wants_write)
		c->readable = true;
	if ((events & LOOP_WRITE) || c->sock.write_wants_read)
		c->blocked = false;
	conn_run(c);
}

/* Undo busy++: free it when it was closed meanwhile. */
static void
conn_unpin(struct conn *c)
{
	c->busy--;
	if (c->dead)
		conn_close(c, false);
	else if (c->busy == 0)
		conn_update(c);
}

static void
conn_run_task(void *arg)
{
	conn_run(arg);
}

static void
conn_run(struct conn *c)
{
	uint64_t	 turn = 0;

	c->busy++;
	c->running = true;
	if (c->out != NULL && !c->blocked)
		conn_flush(c);
	while (!c->dead && conn_step(c, &turn))
		if (turn >= CONN_TURN_BYTES) {
			loop_task_post_next(c->loop, &c->run_task);
			break;
		}
	c->running = false;
	conn_unpin(c);
}

/* True when it got somewhere and there may be more to do. */
static bool
conn_step(struct conn *c, uint64_t *turn)
{
	switch (c->state) {
	case CONN_HEAD:
		return step_head(c, turn);
	case CONN_BODY:
		return step_body(c, turn);
	case CONN_LINGER:
		return step_linger(c);
	default:
		return step_ahead(c, turn);
	}
}

/* The client is gone, or has nothing more to say (r == 0). */
static void
read_ended(struct conn *c, long r)
{
	static const char	 plain[] = "HTTP/1.1 400 Bad Request\r\n"
	    "content-type: text/plain\r\nconnection: Close\r\n\r\n"
	    "HTTP request on a port that wants HTTPS\n";
	struct iovec		 iov;

	if (r == ERR_PROTOCOL) {
		/* Without TLS, which the client does not speak. */
		struct sock	 raw = { .fd = c->sock.fd };

		memcpy(&iov.iov_base, &(const char *){ plain },
		    sizeof(char *));
		iov.iov_len = sizeof(plain) - 1;
		sock_writev(&raw, &iov, 1);
		c->srv->n_refused++;
		c->state = CONN_LINGER;
		sock_shutdown(&raw);
		set_deadline(c, CONN_LINGER_MS);
		return;
	}
	if (r != 0 || c->state == CONN_HEAD || c->state == CONN_BODY) {
		conn_close(c, true);
		return;
	}
	c->peer_eof = true;
	if (c->req != NULL && !c->req->gone) {
		c->req->gone = true;
		req_notify(c->req, NOTIFY_CLOSE);
	}
}

/* Read up to n bytes; the number, or 0 when there is nothing (any more). */
static size_t
conn_read(struct conn *c, void *p, size_t n, uint64_t *turn)
{
	long	 r;

	if (!c->readable && !sock_has_pending(&c->sock))
		return 0;
	r = sock_read(&c->sock, p, n);
	if (r > 0) {
		/* A short read of a plain socket took all there was. */
		if (c->sock.ssl == NULL && (size_t)r < n)
			c->readable = false;
		*turn += (uint64_t)r;
		return (size_t)r;
	}
	c->readable = false;
	if (r != -EAGAIN)
		read_ended(c, r);
	return 0;
}

static bool
read_in(struct conn *c, uint64_t *turn)
{
	size_t	 n;

	if (!c->readable && !sock_has_pending(&c->sock))
		return false;
	buf_reserve(&c->in, CONN_READ_BYTES);
	n = conn_read(c, c->in.data + c->in.len, c->in.cap - c->in.len, turn);
	c->in.len += n;
	return n > 0;
}

/* ---- request: head and body --------------------------------------------- */

static bool
step_head(struct conn *c, uint64_t *turn)
{
	size_t	 len, skip, from;

	/* Empty lines before a request are to be ignored (RFC 9112, 2.2). */
	for (skip = 0; skip + 1 < c->in.len && c->in.data[skip] == '\r' &&
	    c->in.data[skip + 1] == '\n';)
		skip += 2;
	if (skip > 0) {
		buf_consume(&c->in, skip);
		c->scanned = 0;
	}
	if (c->in.len > 0 && c->scanned < c->in.len) {
		/* The first byte starts the time of the request. */
		if (c->scanned == 0)
			set_deadline(c, c->srv->o.request_timeout_ms);
		from = c->scanned;
		len = http_head_find_end(c->in.data, c->in.len, &c->scanned);
		if (len == 0 && !http_head_may_be(c->in.data, c->in.len,
		    from)) {
			conn_refuse(c, 400, "not an HTTP request");
			return true;
		}
		if ((len == 0 ? c->in.len : len) > c->srv->o.max_header_bytes) {
			if (memchr(c->in.data, '\n', c->in.len) == NULL)
				conn_refuse(c, 414, "request target too long");
			else
				conn_refuse(c, 431, "request header too long");
			return true;
		}
		if (len != 0)
			return head_complete(c, len);
		c->scanned = c->in.len;
	}
	return read_in(c, turn);
}

static bool
head_complete(struct conn *c, size_t len)
{
	const char	*why;
	size_t		 have;
	int		 status;

	status = http_head_parse(c->in.data, len, c->srv->o.max_target_bytes,
	    &c->head, &why);
	if (status == 0)
		status = body_begin(c, &why);
	if (status != 0) {
		conn_refuse(c, status, why);
		return true;
	}
	have = MIN(c->in.len - len, c->body_len);
	if (have > 0)
		memcpy(c->body, c->in.data + len, have);
	c->body_have = have;
	body_count(c, have);
	buf_consume(&c->in, len + have);
	if (c->in.len == 0 && c->in.cap > 4 * CONN_READ_BYTES)
		buf_free(&c->in);
	c->scanned = 0;
	c->state = CONN_BODY;
	if (c->head.expects_continue && have < c->body_len) {
		conn_queue_copy(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
		conn_flush(c);
	}
	return true;
}

static int
body_begin(struct conn *c, const char **why)
{
	struct http_server	*srv = c->srv;
	uint64_t		 n = c->head.body_len;

	if (n > srv->o.max_body_bytes || n > srv->o.max_total_body_bytes) {
		*why = "request body too large";
		return 413;
	}
	if (n > srv->o.max_total_body_bytes - srv->body_bytes) {
		*why = "too many bytes in requests; try again later";
		return 503;
	}
	c->body_len = n;
	c->body_have = 0;
	if (n == 0)
		return 0;
	if ((c->body = malloc(n + 1)) == NULL) {
		*why = "out of memory; try again later";
		return 503;
	}
	return 0;
}

/*
 * What has come counts, not what a header announces: the memory is not touched
 * before, and clients that never send what they announced would keep out all
 * others.
 */
static void
body_count(struct conn *c, size_t n)
{
	c->body_reserved += n;
	c->srv->body_bytes += n;
}

static void
body_drop(struct conn *c)
{
	c->srv->body_bytes -= c->body_reserved;
	c->body_reserved = 0;
	free(c->body);
	c->body = NULL;
}

static bool
step_body(struct conn *c, uint64_t *turn)
{
	size_t	 n;

	if (c->body_have == c->body_len) {
		conn_dispatch(c);
		return true;
	}
	/* Straight to where the handler finds it. */
	n = conn_read(c, c->body + c->body_have, c->body_len - c->body_have,
	    turn);
	if (c->dead)
		return false;
	c->body_have += n;
	body_count(c, n);
	if (c->srv->body_bytes > c->srv->o.max_total_body_bytes) {
		body_drop(c);
		conn_refuse(c, 503,
		    "too many bytes in requests; try again later");
		return true;
	}
	return n > 0;
}

static void
look_at_certificate(struct conn *c)
{
	X509		*x;
	BIO		*bio;
	unsigned char	 md[EVP_MAX_MD_SIZE];
	unsigned	 i, n;
	char		*p;
	long		 len;

	c->cert_looked_at = true;
	x = SSL_get_peer_certificate(c->sock.ssl);
	if (x == NULL)
		return;
	if (X509_digest(x, EVP_sha256(), md, &n) == 1 &&
	    (bio = BIO_new(BIO_s_mem())) != NULL) {
		X509_NAME_print_ex(bio, X509_get_subject_name(x), 0,
		    XN_FLAG_RFC2253);
		len = BIO_get_mem_data(bio, &p);
		c->cert_subject = xstrndup(p, (size_t)len);
		BIO_free(bio);
		c->cert_fingerprint = xmalloc(2 * (size_t)n + 1);
		for (i = 0; i < n; i++)
			snprintf(c->cert_fingerprint + 2 * i, 3, "%02x", md[i]);
	}
	X509_free(x);
}

static void
conn_dispatch(struct conn *c)
{
	struct http_server	*srv = c->srv;

	if (c->body != NULL)
		c->body[c->body_len] = '\0';
	if (c->sock.ssl != NULL && !c->cert_looked_at)
		look_at_certificate(c);
	c->req = req_new(c);
	c->body = NULL;
	c->body_reserved = 0;
	c->state = CONN_HANDLE;
	set_deadline(c, 0);
	srv->n_requests++;
	srv->o.handler(c->req, srv->o.arg);
}

/* While the request is handled: see the client leave, take what comes next. */
static bool
step_ahead(struct conn *c, uint64_t *turn)
{
	if (c->peer_eof || c->in.len >= CONN_AHEAD_BYTES)
		return false;
	return read_in(c, turn);
}

static bool
step_linger(struct conn *c)
{
	size_t	 n = CONN_READ_BYTES * 16;

	if (!c->readable)
		return false;
	if (!sock_discard(&c->sock, &n) ||
	    (c->discarded += n) > CONN_LINGER_BYTES) {
		conn_close(c, false);
		return false;
	}
	c->readable = n > 0;
	return n > 0;
}

/* ---- answers ------------------------------------------------------------ */

static bool
has_line(const struct buf *lines, const char *name)
{
	const char	*p, *end, *nl;
	size_t		 n = strlen(name);

	if (lines == NULL || lines->len == 0)
		return false;
	p = (const char *)lines->data;
	end = p + lines->len;
	for (; p < end; p = nl + 1) {
		if ((size_t)(end - p) > n && p[n] == ':' &&
		    strncasecmp(p, name, n) == 0)
			return true;
		if ((nl = memchr(p, '\n', (size_t)(end - p))) == NULL)
			break;
	}
	return false;
}

void
conn_format_head(const struct http_server *srv, struct buf *b, int status,
    const char *type, int64_t len, bool keep_alive, const struct buf *extra)
{
	const struct http_header	*h = srv->o.headers;

	buf_reserve(b, 512);
	buf_printf(b, "HTTP/1.1 %d %s\r\n", status, http_status_phrase(status));
	if (type != NULL && !has_line(extra, "content-type"))
		buf_printf(b, "content-type: %s\r\n", type);
	buf_append_str(b, keep_alive ? "connection: Keep-Alive\r\n" :
	    "connection: Close\r\n");
	if (len >= 0)
		buf_printf(b, "content-length: %lld\r\n", (long long)len);
	for (; h != NULL && h->name != NULL; h++)
		if (strcasecmp(h->name, "connection") != 0 &&
		    !has_line(extra, h->name))
			buf_printf(b, "%s: %s\r\n", h->name, h->value);
	if (extra != NULL)
		buf_append(b, extra->data, extra->len);
	buf_append_str(b, "\r\n");
}

/* An answer of the server itself, the last on this connection. */
static void
conn_refuse(struct conn *c, int status, const char *why)
{
	struct http_server	*srv = c->srv;
	struct buf		 body = BUF_INIT, head = BUF_INIT;
	const char		*type = "text/plain";

	srv->n_refused++;
	if (srv->o.refusal != NULL)
		srv->o.refusal(srv->o.arg, status, why, &body, &type);
	conn_format_head(srv, &head, status, body.len > 0 ? type : NULL,
	    (int64_t)body.len, false, NULL);
	buf_append(&head, body.data, body.len);
	buf_free(&body);
	buf_reset(&c->in);
	conn_queue(c, &head);
	conn_answered(c, true);
}

static struct outblk *
add_block(struct conn *c)
{
	struct outblk	*o = xcalloc(1, sizeof(*o));

	if (c->out == NULL)
		c->out = o;
	else
		c->out_last->next = o;
	c->out_last = o;
	return o;
}

void
conn_queue_copy(struct conn *c, const void *p, size_t n)
{
	struct outblk	*o = c->out == NULL ? NULL : c->out_last;

	if (o == NULL || o->b.len + n > CONN_JOIN_BYTES) {
		o = add_block(c);
		if (n < CONN_JOIN_BYTES / 16)
			buf_reserve(&o->b, 2048);
	}
	buf_append(&o->b, p, n);
	c->out_bytes += n;
}

void
conn_queue(struct conn *c, struct buf *b)
{
	if (c->out != NULL && c->out_last->b.len + b->len <= CONN_JOIN_BYTES) {
		conn_queue_copy(c, b->data, b->len);
		buf_free(b);
		return;
	}
	c->out_bytes += b->len;
	add_block(c)->b = *b;
	*b = (struct buf)BUF_INIT;
}

static void
drop_sent(struct conn *c, size_t n)
{
	struct outblk	*o;
	size_t		 left;

	c->out_bytes -= n;
	while ((o = c->out) != NULL) {
		left = o->b.len - o->off;
		if (n < left) {
			o->off += n;
			return;
		}
		n -= left;
		c->out = o->next;
		buf_free(&o->b);
		free(o);
	}
	c->out_last = NULL;
}

/* The queue was emptied, or the stream's producer may go on. */
static void
after_flush(struct conn *c)
{
	struct http_req	*req = c->req;

	if (req != NULL && req->want_room &&
	    c->out_bytes < HTTP_STREAM_LOW_BYTES) {
		req->want_room = false;
		req_notify(req, NOTIFY_ROOM);
	}
	if (c->out != NULL)
		return;
	if (c->state == CONN_ANSWER)
		conn_next_request(c);
	else if (c->state == CONN_HANDLE)
		set_deadline(c, 0);
}

void
conn_flush(struct conn *c)
{
	struct iovec	 iov[CONN_IOV_MAX];
	struct outblk	*o;
	long		 r;
	int		 n;

	c->busy++;
	while (c->out != NULL && !c->blocked) {
		for (n = 0, o = c->out; o != NULL && n < CONN_IOV_MAX;
		    o = o->next, n++) {
			iov[n].iov_base = o->b.data + o->off;
			iov[n].iov_len = o->b.len - o->off;
		}
		r = sock_writev(&c->sock, iov, n);
		if (r == -EAGAIN) {
			c->blocked = true;
			break;
		}
		if (r < 0) {
			conn_close(c, true);
			break;
		}
		drop_sent(c, (size_t)r);
		if (c->out != NULL && c->state != CONN_BODY)
			set_deadline(c, c->srv->o.write_timeout_ms);
	}
	if (!c->dead) {
		if (c->blocked && c->deadline_ms == 0)
			set_deadline(c, c->srv->o.write_timeout_ms);
		after_flush(c);
	}
	conn_unpin(c);
}

void
conn_flush_later(struct conn *c)
{
	if (!c->blocked)
		loop_task_post(c->loop, &c->run_task);
}

/* The last byte of an answer is with the kernel. */
static void
conn_next_request(struct conn *c)
{
	if (c->close_after || c->peer_eof) {
		if (c->peer_eof) {
			conn_close(c, false);
			return;
		}
		sock_shutdown(&c->sock);
		c->state = CONN_LINGER;
		set_deadline(c, CONN_LINGER_MS);
		/* Perhaps it has closed already. */
		c->readable = true;
		if (!c->running)
			loop_task_post(c->loop, &c->run_task);
		return;
	}
	c->state = CONN_HEAD;
	c->scanned = 0;
	set_deadline(c, c->srv->o.idle_timeout_ms);
	/* From inside conn_run() its loop goes on with what is there. */
	if (!c->running && (c->in.len > 0 || c->readable ||
	    sock_has_pending(&c->sock)))
		loop_task_post(c->loop, &c->run_task);
}

void
conn_answered(struct conn *c, bool close_after)
{
	c->req = NULL;
	c->close_after = close_after;
	c->state = CONN_ANSWER;
	set_deadline(c, c->srv->o.write_timeout_ms);
	conn_flush(c);
}
