/* request.c - requests and answers, as handlers see them */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "http/server_priv.h"

#define STREAM_FLUSH_BYTES	(64 * 1024)

static void	req_notify_task(void *arg);
static void	req_end(struct http_req *req);

/* ---- life --------------------------------------------------------------- */

static char *
copy_or_null(const char *s)
{
	return s == NULL ? NULL : xstrdup(s);
}

struct http_req *
req_new(struct conn *c)
{
	struct http_req		*req = xcalloc(1, sizeof(*req));
	struct http_server	*srv = c->srv;

	req->srv = srv;
	req->conn = c;
	req->loop = c->loop;
	req->refs = 1;
	req->tls = c->sock.ssl != NULL;
	req->head = c->head;
	memset(&c->head, 0, sizeof(c->head));
	req->body = c->body;
	req->body_len = c->body_len;
	req->body_reserved = c->body_reserved;
	memcpy(req->peer, c->peer, sizeof(req->peer));
	req->peer_port = c->peer_port;
	req->cert_subject = copy_or_null(c->cert_subject);
	req->cert_fingerprint = copy_or_null(c->cert_fingerprint);
	loop_task_init(&req->task, req_notify_task, req);
	req->next = srv->reqs;
	if (req->next != NULL)
		req->next->prev = req;
	srv->reqs = req;
	return req;
}

struct http_req *
http_req_hold(struct http_req *req)
{
	req->refs++;
	return req;
}

void
http_req_release(struct http_req **reqp)
{
	struct http_req	*req = *reqp;

	*reqp = NULL;
	if (req == NULL || --req->refs != 0)
		return;
	if (req->srv != NULL) {
		*(req->prev == NULL ? &req->srv->reqs : &req->prev->next) =
		    req->next;
		if (req->next != NULL)
			req->next->prev = req->prev;
		req->srv->body_bytes -= req->body_reserved;
	}
	loop_task_cancel(&req->task);
	http_head_free(&req->head);
	free(req->body);
	free(req->cert_subject);
	free(req->cert_fingerprint);
	buf_free(&req->extra);
	free(req);
}

/* The answer is given: the reference of the server goes. */
static void
req_end(struct http_req *req)
{
	req->state = REQ_DONE;
	req->conn = NULL;
	req->notify = 0;
	http_req_release(&req);
}

void
req_notify(struct http_req *req, unsigned what)
{
	req->notify |= what;
	loop_task_post(req->loop, &req->task);
}

static void
req_notify_task(void *arg)
{
	struct http_req	*req = http_req_hold(arg);
	unsigned	 what = req->notify;

	req->notify = 0;
	if ((what & NOTIFY_CLOSE) && req->on_close != NULL &&
	    req->state != REQ_DONE) {
		void	(*cb)(struct http_req *, void *) = req->on_close;

		req->on_close = NULL;
		cb(req, req->on_close_arg);
	}
	if ((what & NOTIFY_ROOM) && req->on_room != NULL &&
	    req->state == REQ_STREAM)
		req->on_room(req, req->on_room_arg);
	http_req_release(&req);
}

void
req_conn_gone(struct http_req *req, bool tell)
{
	unsigned	 what = 0;

	req->conn = NULL;
	if (!req->gone && tell)
		what |= NOTIFY_CLOSE;
	req->gone = true;
	/* A producer that waits for room must not wait for ever. */
	if (req->want_room)
		what |= NOTIFY_ROOM;
	req->want_room = false;
	if (what != 0)
		req_notify(req, what);
}

/* ---- reading ------------------------------------------------------------ */

enum http_method
http_req_method(const struct http_req *req)
{
	return req->head.method;
}

const char *
http_req_path(const struct http_req *req)
{
	return req->head.path;
}

const char *
http_req_target(const struct http_req *req)
{
	return req->head.target;
}

const char *
http_req_query(const struct http_req *req, const char *name)
{
	return url_query_get(&req->head.query, name);
}

const char *
http_req_query_first(const struct http_req *req, const char *name)
{
	return url_query_get_first(&req->head.query, name);
}

bool
http_req_query_has(const struct http_req *req, const char *name)
{
	return url_query_get(&req->head.query, name) != NULL;
}

const struct url_query *
http_req_query_map(const struct http_req *req)
{
	return &req->head.query;
}

const char *
http_req_header(const struct http_req *req, const char *name)
{
	return http_head_get(&req->head, name);
}

size_t
http_req_header_count(const struct http_req *req)
{
	return req->head.n_lines;
}

void
http_req_header_at(const struct http_req *req, size_t i, const char **name,
    const char **value)
{
	bug_unless(i < req->head.n_lines);
	*name = req->head.lines[i].name;
	*value = req->head.lines[i].value;
}

const uint8_t *
http_req_body(const struct http_req *req, size_t *len)
{
	*len = req->body_len;
	return req->body;
}

uint8_t *
http_req_steal_body(struct http_req *req, size_t *len)
{
	uint8_t	*p = req->body;

	*len = req->body_len;
	if (req->srv != NULL)
		req->srv->body_bytes -= req->body_reserved;
	req->body = NULL;
	req->body_len = req->body_reserved = 0;
	return p;
}

const char *
http_req_peer(const struct http_req *req)
{
	return req->peer;
}

uint16_t
http_req_peer_port(const struct http_req *req)
{
	return req->peer_port;
}

bool
http_req_is_tls(const struct http_req *req)
{
	return req->tls;
}

const char *
http_req_cert_subject(const struct http_req *req)
{
	return req->cert_subject;
}

const char *
http_req_cert_fingerprint(const struct http_req *req)
{
	return req->cert_fingerprint;
}

bool
http_req_is_alive(const struct http_req *req)
{
	return req->conn != NULL && !req->gone;
}

void
http_req_on_close(struct http_req *req,
    void (*cb)(struct http_req *req, void *arg), void *arg)
{
	req->on_close = cb;
	req->on_close_arg = arg;
	if (cb != NULL && req->gone)
		req_notify(req, NOTIFY_CLOSE);
}

void
http_req_set_user(struct http_req *req, void *user)
{
	req->user = user;
}

void *
http_req_user(const struct http_req *req)
{
	return req->user;
}

/* ---- answering ---------------------------------------------------------- */

void
http_reply_header(struct http_req *req, const char *name, const char *value)
{
	bug_unless(req->state == REQ_OPEN);
	bug_unless(name[0] != '\0' && strpbrk(name, ": \r\n") == NULL &&
	    strpbrk(value, "\r\n") == NULL);
	buf_printf(&req->extra, "%s: %s\r\n", name, value);
}

static bool
keeps_alive(const struct http_req *req)
{
	return req->head.keep_alive && !req->close_after;
}

/* Statuses whose answers never have a body. */
static bool
is_bodyless(int status)
{
	return status < 200 || status == 204 || status == 304;
}

static void
reply(struct http_req *req, int status, const char *type, struct buf *body,
    uint64_t len)
{
	struct conn	*c = req->conn;
	struct buf	 head = BUF_INIT;
	bool		 keep = keeps_alive(req);

	bug_unless(req->state == REQ_OPEN);
	if (c != NULL) {
		if (is_bodyless(status))
			len = 0;
		conn_format_head(req->srv, &head, status, type, (int64_t)len,
		    keep, &req->extra);
		conn_queue(c, &head);
		if (body != NULL && body->len > 0 && len > 0 &&
		    req->head.method != HTTP_HEAD)
			conn_queue(c, body);
	}
	if (body != NULL)
		buf_free(body);
	/* First, as the connection may go on with its next request. */
	req_end(req);
	if (c != NULL)
		conn_answered(c, !keep);
}

void
http_reply(struct http_req *req, int status, const char *type,
    struct buf *body)
{
	reply(req, status, type, body, body == NULL ? 0 : body->len);
}

void
http_reply_bytes(struct http_req *req, int status, const char *type,
    const void *body, size_t len)
{
	struct buf	 b = BUF_INIT;

	if (req->conn != NULL)
		buf_append(&b, body, len);
	http_reply(req, status, type, &b);
}

void
http_reply_head(struct http_req *req, int status, const char *type,
    uint64_t len)
{
	bug_unless(req->head.method == HTTP_HEAD);
	reply(req, status, type, NULL, len);
}

void
http_req_drop(struct http_req *req)
{
	struct conn	*c = req->conn;

	bug_unless(req->state != REQ_DONE);
	if (c != NULL)
		c->req = NULL;
	req_end(req);
	if (c != NULL)
		conn_close(c, false);
}

void
http_req_close_after(struct http_req *req)
{
	req->close_after = true;
}

/* ---- streams ------------------------------------------------------------ */

void
http_stream_begin(struct http_req *req, int status, const char *type,
    int64_t len)
{
	struct buf	 head = BUF_INIT;

	bug_unless(req->state == REQ_OPEN);
	req->state = REQ_STREAM;
	req->left = len;
	req->chunked = len < 0 && !req->head.http_1_0;
	/* An old client sees the end of the body in that of the connection. */
	if (len < 0 && !req->chunked)
		req->close_after = true;
	if (req->conn == NULL)
		return;
	if (req->chunked)
		buf_append_str(&req->extra, "transfer-encoding: chunked\r\n");
	conn_format_head(req->srv, &head, status, type, len, keeps_alive(req),
	    &req->extra);
	conn_queue(req->conn, &head);
	conn_flush_later(req->conn);
}

/* Common end of both writes: n bytes of body were queued. */
static size_t
stream_written(struct http_req *req)
{
	struct conn	*c = req->conn;
	size_t		 pending;

	if (c->out_bytes >= STREAM_FLUSH_BYTES && !c->blocked) {
		conn_flush(c);
		/* It may have found the connection broken. */
		if (req->conn == NULL)
			return 0;
	} else
		conn_flush_later(c);
	pending = c->out_bytes;
	if (pending >= HTTP_STREAM_HIGH_BYTES)
		req->want_room = true;
	return pending;
}

/* False when the bytes are not to be sent. */
static bool
stream_prepare(struct http_req *req, size_t n)
{
	char	 size[32];
	int	 len;

	bug_unless(req->state == REQ_STREAM);
	if (req->left >= 0) {
		bug_unless((uint64_t)n <= (uint64_t)req->left);
		req->left -= (int64_t)n;
	}
	if (req->conn == NULL || n == 0 || req->head.method == HTTP_HEAD)
		return false;
	if (req->chunked) {
		len = snprintf(size, sizeof(size), "%zx\r\n", n);
		conn_queue_copy(req->conn, size, (size_t)len);
	}
	return true;
}

size_t
http_stream_write(struct http_req *req, const void *data, size_t n)
{
	if (!stream_prepare(req, n))
		return http_stream_pending(req);
	conn_queue_copy(req->conn, data, n);
	if (req->chunked)
		conn_queue_copy(req->conn, "\r\n", 2);
	return stream_written(req);
}

size_t
http_stream_write_buf(struct http_req *req, struct buf *b)
{
	if (!stream_prepare(req, b->len)) {
		buf_free(b);
		return http_stream_pending(req);
	}
	conn_queue(req->conn, b);
	if (req->chunked)
		conn_queue_copy(req->conn, "\r\n", 2);
	return stream_written(req);
}

size_t
http_stream_pending(const struct http_req *req)
{
	return req->conn == NULL ? 0 : req->conn->out_bytes;
}

void
http_stream_on_room(struct http_req *req,
    void (*cb)(struct http_req *req, void *arg), void *arg)
{
	req->on_room = cb;
	req->on_room_arg = arg;
}

void
http_stream_end(struct http_req *req)
{
	struct conn	*c = req->conn;
	bool		 keep = keeps_alive(req), complete;

	bug_unless(req->state == REQ_STREAM);
	complete = req->left <= 0 || req->head.method == HTTP_HEAD;
	if (c != NULL && req->chunked && req->head.method != HTTP_HEAD)
		conn_queue_copy(c, "0\r\n\r\n", 5);
	if (c != NULL && !complete)
		c->req = NULL;
	req_end(req);
	if (c == NULL)
		return;
	if (complete)
		conn_answered(c, !keep);
	else
		conn_close(c, false);
}
