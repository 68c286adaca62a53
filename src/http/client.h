/*
 * client.h - asynchronous HTTP(S) requests: libcurl's multi interface on a
 * struct loop, with a pool of kept-alive connections per client.
 *
 * http_client_start() begins a call; its callbacks run later from the loop, in
 * the order on_status, on_data ..., on_done.  on_done comes exactly once for
 * each call that was started and not cancelled; the call is gone after it.
 * http_call_cancel() and http_client_free() run no callback.
 */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct loop;
struct http_call;
struct http_client;

/* Start from HTTP_CLIENT_OPTS_INIT.  Everything is copied. */
struct http_client_opts {
	uint32_t	 max_connections;	/* 0: no limit */
	uint32_t	 max_connections_per_host;	/* 0: no limit */
	uint32_t	 max_idle_connections;	/* kept in the pool */
	const char	*ca_pem;	/* authorities; NULL: the system's */
	size_t		 ca_pem_len;
	const char	*cert_pem;	/* certificate and key, or NULL */
	size_t		 cert_pem_len;
	bool		 no_verify;	/* accept any server certificate */
	const char	*user_agent;	/* NULL: none is sent */
	/*
	 * TLS reads so much at once, and not each record by itself: for what is
	 * streamed.  0: it does not.
	 */
	size_t		 tls_read_ahead;
};
#define HTTP_CLIENT_OPTS_INIT	{ .max_idle_connections = 16 }

/* 0, or negative with a sentence in m (may be NULL). */
int	http_client_new(struct loop *loop, const struct http_client_opts *opts,
	    struct http_client **c, struct err_msg *m);
/* Cancels what runs; no callback is called. */
void	http_client_free(struct http_client **c);

/* What on_done gets; valid until it returns.  The body may be stolen. */
struct http_result {
	int		 err;		/* 0: an answer came, whatever its
					 * status; else ERR_* or -errno */
	struct err_msg	 msg;		/* sentence, when err != 0 */
	int		 status;	/* 0 when no answer came */
	struct buf	 body;		/* unless on_data took it */
	struct http_call *call;		/* NULL after http_client_fetch() */
	char		**headers;	/* http_client_fetch() only */
	uint64_t	 sent_bytes;	/* body bytes, for metrics */
	uint64_t	 received_bytes;
	uint64_t	 elapsed_us;
	bool		 maybe_sent;	/* the peer may have seen (part of) the
					 * request: its outcome is unknown when
					 * err != 0 */
};

enum http_body_mode {
	HTTP_BODY_COPY,		/* copied by http_client_start() */
	HTTP_BODY_BORROW,	/* stays valid until on_done or cancel */
	HTTP_BODY_OWN		/* free()d by the client, also on errors */
};

/* Start from HTTP_CALL_OPTS_INIT. */
struct http_call_opts {
	const char	*method;	/* "GET" ... */
	const char	*url;		/* both are copied */
	/* "name: value" lines, ended by NULL; copied. */
	const char *const *headers;

	const void	*body;		/* NULL: none (length 0) */
	size_t		 body_len;
	enum http_body_mode body_mode;
	/*
	 * Or: a body of upload_len bytes, asked for in pieces.  Fill at most
	 * n bytes and return how many; 0: nothing now,
	 * http_call_resume_upload() asks again; negative: give up with it.
	 * on_rewind, if it is there: they will be asked for from the first on.
	 */
	int64_t		 upload_len;	/* -1: no upload callback */
	void		(*on_rewind)(void *arg);
	long		(*on_upload)(void *arg, uint8_t *p, size_t n);

	uint32_t	 connect_timeout_ms;
	uint32_t	 total_timeout_ms;	/* 0: none */
	uint32_t	 stall_timeout_ms;	/* less than a byte a second for
						 * that long (rounded up to
						 * seconds); 0: none */
	size_t		 max_body_bytes;	/* of a collected body: above it
						 * the call ends, ERR_TOO_BIG */

	/* Status and header are complete.  Negative: end with that error. */
	int		(*on_status)(void *arg, struct http_call *call,
			    int status);
	/*
	 * Some body bytes; NULL: they are collected into http_result.body.
	 * 0: taken; negative: end the call with that error.  It may call
	 * http_call_pause().
	 */
	int		(*on_data)(void *arg, struct http_call *call,
			    const uint8_t *p, size_t n);
	void		(*on_done)(void *arg, struct http_result *res);
	void		*arg;

	const char	*unix_socket;	/* connect to this path instead */
	bool		 fresh_connection;	/* not from the pool */
	/*
	 * A request on a connection of the pool that turns out to be dead is
	 * sent again silently when this is set, or for GET and HEAD; otherwise
	 * the call ends with ERR_CLOSED and maybe_sent, as it may have been
	 * executed.  (libcurl before 7.80 cannot be kept from repeating.)
	 */
	bool		 may_repeat;
};
#define HTTP_CALL_OPTS_INIT	{ .method = "GET", .upload_len = -1,	\
	.connect_timeout_ms = 10 * 1000,				\
	.max_body_bytes = (size_t)1024 * 1024 * 1024 }

/*
 * Begin a call.  0 with *call (may be NULL when nobody wants it), or negative
 * with a sentence in m: then no callback follows.
 */
int	http_client_start(struct http_client *c,
	    const struct http_call_opts *opts, struct http_call **call,
	    struct err_msg *m);
/* Forget the call; its connection is closed.  *call becomes NULL. */
void	http_call_cancel(struct http_call **call);
/*
 * Stop and go on taking the answer (back-pressure to the peer).  Bytes that
 * were handed over before stay taken; at most one more piece of 16 KiB is
 * given after resuming before a new pause holds.
 */
void	http_call_pause(struct http_call *call);
void	http_call_resume(struct http_call *call);
void	http_call_resume_upload(struct http_call *call);
/* Value of a header of the answer, any case, or NULL. */
const char *http_call_header(const struct http_call *call, const char *name);
size_t	http_call_header_count(const struct http_call *call);
void	http_call_header_at(const struct http_call *call, size_t i,
	    const char **name, const char **value);
int	http_call_status(const struct http_call *call);

/*
 * One request, waited for: for commands and tests, on a loop of its own.
 * copts NULL: defaults; opts->on_done is not used.  Returns res->err; the
 * caller frees with http_result_free() in any case.
 */
int	http_client_fetch(const struct http_client_opts *copts,
	    const struct http_call_opts *opts, struct http_result *res);
/* Value of a header of the answer, any case, or NULL. */
const char *http_result_header(const struct http_result *res, const char *name);
void	http_result_free(struct http_result *res);

#endif
