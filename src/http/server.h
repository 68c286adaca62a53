/*
 * server.h - HTTP/1.1 server on a struct loop: plain or TLS, guarded.
 *
 * Order of calls: http_server_new(), then the handler is called once for each
 * complete request (header and body were read whole).  The handler, or
 * whatever it starts, ends each request exactly once with http_reply(),
 * http_stream_end() or http_req_drop(), at once or any time later.  The
 * request is gone then, unless http_req_hold() was called.
 *
 * A request outlives its connection: when the client goes away before the
 * answer, the work goes on to its end and the answer becomes a no-op.
 * Requests of one connection are handled one after another (pipelined ones
 * wait); connections are independent.
 *
 * What the server answers by itself, and then closes: 400 malformed, 408
 * request not complete before the deadline, 413 body larger than the limit (as
 * soon as the header says so, before any byte of the body is read), 414 target
 * too long, 431 header too long, 501 unknown method or Transfer-Encoding
 * (bodies need a Content-Length, as in arangod), 503 no room under the budget
 * of body bytes, 505 other version.
 *
 * Everything runs on the thread of the loop.  No callback runs from inside the
 * call that registers it.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct loop;
struct tls_ctx;
struct url_query;

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_PATCH,
	HTTP_DELETE,
	HTTP_OPTIONS,
	HTTP_METHOD_COUNT
};

/* "GET" ...; static storage. */
const char *http_method_name(enum http_method method);
/* Exactly the upper-case name, n bytes; 0 or ERR_NOT_FOUND. */
int	http_method_parse(const char *s, size_t n, enum http_method *method);
/* "OK" for 200 ...; "Unknown" for codes without a phrase. */
const char *http_status_phrase(int status);

struct http_req;
typedef void http_handler(struct http_req *req, void *arg);

struct http_header {
	const char	*name, *value;
};

/*
 * Start from HTTP_SERVER_OPTS_INIT and set what differs.  Strings and arrays
 * are copied by http_server_new().
 */
struct http_server_opts {
	const char	*address;	/* numeric IPv4 or IPv6 */
	uint16_t	 port;		/* 0: any free one */
	int		 fd;		/* listening socket to use instead;
					 * taken over; -1: none */
	struct tls_ctx	*tls;		/* a server context (its own reference
					 * is taken), NULL: plain HTTP */
	uint32_t	 max_connections;	/* more wait in the backlog */
	uint32_t	 max_header_bytes;	/* request line and header */
	uint32_t	 max_target_bytes;	/* path and query */
	uint64_t	 max_body_bytes;	/* of one request */
	uint64_t	 max_total_body_bytes;	/* come so far, of all requests
						 * being read or handled */
	uint32_t	 request_timeout_ms;	/* first byte to last byte */
	uint32_t	 idle_timeout_ms;	/* between two requests */
	uint32_t	 write_timeout_ms;	/* without one byte of an
						 * answer being taken */
	/* Header lines of every answer, ended by a NULL name.  One that the
	 * handler also sets (any case) is left out.  "connection" is the
	 * server's own: Keep-Alive or Close. */
	const struct http_header *headers;
	http_handler	*handler;
	void		*arg;
	/*
	 * Body of an answer that the server gives by itself: append to body,
	 * set *type.  why is a sentence.  NULL: those answers are empty.
	 */
	void		(*refusal)(void *arg, int status, const char *why,
			    struct buf *body, const char **type);
};

#define HTTP_SERVER_OPTS_INIT {						\
	.address = "127.0.0.1", .fd = -1,				\
	.max_connections = 1024,					\
	.max_header_bytes = 64 * 1024, .max_target_bytes = 32 * 1024,	\
	.max_body_bytes = 1024 * 1024,					\
	.max_total_body_bytes = 64 * 1024 * 1024,			\
	.request_timeout_ms = 300 * 1000,				\
	.idle_timeout_ms = 600 * 1000,					\
	.write_timeout_ms = 300 * 1000 }

struct http_server;

/* 0, or negative with a sentence in m (may be NULL): port in use, ... */
int	http_server_new(struct loop *loop, const struct http_server_opts *opts,
	    struct http_server **srv, struct err_msg *m);
/*
 * Closes the listener and all connections.  Requests that are being handled
 * live on; their answers become no-ops.
 */
void	http_server_free(struct http_server **srv);
/* Port that we listen on. */
uint16_t http_server_port(const struct http_server *srv);
/* Descriptor of the listening socket, still owned by the server. */
int	http_server_fd(const struct http_server *srv);
/* Use another context for new connections; old ones keep theirs. */
void	http_server_set_tls(struct http_server *srv, struct tls_ctx *tls);
/*
 * Refuse mode: every new connection is accepted and reset at once, and with
 * `existing` those that are open are closed too.  http_server_resume_accept()
 * ends it.
 */
void	http_server_pause_accept(struct http_server *srv, bool existing);
void	http_server_resume_accept(struct http_server *srv);

struct http_server_stats {
	uint64_t	connections;	/* open now */
	uint64_t	requests;	/* given to the handler, ever */
	uint64_t	refused;	/* answered by the server itself */
	uint64_t	body_bytes;	/* held now, under the budget */
};
void	http_server_get_stats(const struct http_server *srv,
	    struct http_server_stats *stats);

/* ---- the request -------------------------------------------------------- */

enum http_method http_req_method(const struct http_req *req);
/* Path as sent, still percent-encoded, without the query. */
const char *http_req_path(const struct http_req *req);
/* Path and query as sent. */
const char *http_req_target(const struct http_req *req);
/*
 * Decoded query parameter; NULL when absent ("?a" and "?a=" give "").  When a
 * name occurs several times, the last one counts, as in arangod;
 * http_req_query_first() gives the first.
 */
const char *http_req_query(const struct http_req *req, const char *name);
const char *http_req_query_first(const struct http_req *req, const char *name);
bool	http_req_query_has(const struct http_req *req, const char *name);
/* The whole parsed query (http/url.h). */
const struct url_query *http_req_query_map(const struct http_req *req);
/* Value of the first header line of this name in any case, or NULL. */
const char *http_req_header(const struct http_req *req, const char *name);
size_t	http_req_header_count(const struct http_req *req);
void	http_req_header_at(const struct http_req *req, size_t i,
	    const char **name, const char **value);
/* The body in one block, NULL when len is 0; a NUL stands behind it. */
const uint8_t *http_req_body(const struct http_req *req, size_t *len);
/* Take the body over: free() it.  It leaves the budget. */
uint8_t	*http_req_steal_body(struct http_req *req, size_t *len);
/* Client address as "127.0.0.1" or "::1"; "" on sockets without one. */
const char *http_req_peer(const struct http_req *req);
uint16_t http_req_peer_port(const struct http_req *req);
bool	http_req_is_tls(const struct http_req *req);
/*
 * Subject (RFC 2253) and SHA-256 fingerprint (lower-case hex) of the client's
 * verified certificate; NULL when it has none.
 */
const char *http_req_cert_subject(const struct http_req *req);
const char *http_req_cert_fingerprint(const struct http_req *req);
/*
 * False once the client has closed its side, or the answer was given.  A
 * client that only stopped sending still gets its answer.
 */
bool	http_req_is_alive(const struct http_req *req);
/* Called once when the client goes away before the answer is complete. */
void	http_req_on_close(struct http_req *req,
	    void (*cb)(struct http_req *req, void *arg), void *arg);
/* A pointer of the caller's. */
void	http_req_set_user(struct http_req *req, void *user);
void	*http_req_user(const struct http_req *req);
/* Keep the request (for reading) beyond its answer. */
struct http_req *http_req_hold(struct http_req *req);
void	http_req_release(struct http_req **req);

/* ---- the answer --------------------------------------------------------- */

/* One more header line, sent as spelled; several of one name are allowed.
 * Line breaks in it are a bug of the caller and end the process. */
void	http_reply_header(struct http_req *req, const char *name,
	    const char *value);
/*
 * The whole answer.  type is the Content-Type or NULL; body is moved (it is
 * empty afterwards) or NULL.  Content-Length is always sent (arangod does so
 * with 204 and 304, too); HEAD gets the length and no bytes, 204 and 304 get no
 * bytes.
 */
void	http_reply(struct http_req *req, int status, const char *type,
	    struct buf *body);
/* As http_reply() with a body of static or borrowed bytes, copied. */
void	http_reply_bytes(struct http_req *req, int status, const char *type,
	    const void *body, size_t len);
/* Answer to HEAD that claims a length without having the bytes. */
void	http_reply_head(struct http_req *req, int status, const char *type,
	    uint64_t len);
/* Close the connection without a word.  Ends the request. */
void	http_req_drop(struct http_req *req);
/* Close the connection after the answer to this request. */
void	http_req_close_after(struct http_req *req);

/*
 * A streamed answer: begin, write any number of times, end.  len is the exact
 * length of the body, or -1: chunked.  Ending short of len closes the
 * connection, so that the client notices.
 *
 * http_stream_write() copies, http_stream_write_buf() moves; both never fail
 * and return the bytes that wait to be sent: stop at HTTP_STREAM_HIGH_BYTES
 * and go on when the room callback comes (after a write that returned that
 * much it comes once, when fewer than HTTP_STREAM_LOW_BYTES wait, or the
 * client is gone).
 */
#define HTTP_STREAM_HIGH_BYTES	((size_t)1024 * 1024)
#define HTTP_STREAM_LOW_BYTES	((size_t)256 * 1024)
void	http_stream_begin(struct http_req *req, int status, const char *type,
	    int64_t len);
size_t	http_stream_write(struct http_req *req, const void *data, size_t n);
size_t	http_stream_write_buf(struct http_req *req, struct buf *b);
size_t	http_stream_pending(const struct http_req *req);
void	http_stream_on_room(struct http_req *req,
	    void (*cb)(struct http_req *req, void *arg), void *arg);
void	http_stream_end(struct http_req *req);

#endif
