/*
 * conn.h - a cluster as this process sees it: its servers, how to get in, and
 * requests to it.
 *
 * One struct arango per cluster and process.  Servers are named by their id
 * in the agency ("PRMR-..."); coordinators that were only given as endpoints
 * are known by their URL until somebody learns more.
 *
 * arango_call() and everything that is built on it is marked "waits": it runs
 * in fibers (ev/fiber.h) and reads linearly.  Bodies may stream through
 * callbacks while the fiber waits.
 *
 * Credentials: secrets of our own (R28: lifetimes in server time; 401 makes us
 * measure again, read the files again and try the next secret), or a token
 * that somebody else made (R23, R25: children), or a user, or nothing.
 */
#ifndef ARANGO_CONN_H
#define ARANGO_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arango/errors.h"
#include "base/buf.h"
#include "base/err.h"
#include "ev/fiber.h"

struct arango;
struct http_call;
struct json_object;
struct loop;

/* ArangoDB's own operations take up to 15 minutes before they give up. */
#define ARANGO_TIMEOUT_SHORT_MS	(60 * 1000)
#define ARANGO_TIMEOUT_READ_MS	(600 * 1000)	/* without a byte */
#define ARANGO_TIMEOUT_LONG_MS	(16 * 60 * 1000)

enum arango_role {
	ARANGO_COORDINATOR,
	ARANGO_DBSERVER,
	ARANGO_AGENT,
	ARANGO_OTHER_ROLE
};

/* Owned by its struct arango; lives as long as that. */
struct arango_server {
	char			*id;		/* "PRMR-..."; its URL when the
						 * id is not known */
	char			*url;		/* "http://host:port" */
	enum arango_role	 role;
	size_t			 secret;	/* which one it takes */
	uint64_t		 failed_ms;	/* last failure to connect */
};

/* Start from ARANGO_OPTS_INIT; everything is copied. */
struct arango_opts {
	const char		*name;		/* "source", for sentences */
	/* Coordinators: tcp:// ssl:// http:// https:// and the other
	 * spellings, ended by NULL; default port 8529. */
	const char *const	*endpoints;
	const char		*ca_pem;	/* NULL: the system's */
	size_t			 ca_pem_len;
	const char		*cert_pem;	/* client certificate and key */
	size_t			 cert_pem_len;
	bool			 no_verify;
	/* One of these, or none of them.  The secret is read at once, and again
	 * after a 401 and by arango_reload(). */
	const char		*jwt_secret_file;
	const char		*jwt_secret_dir;
	const void		*jwt_secret;	/* the bytes themselves */
	size_t			 jwt_secret_len;
	const char		*user, *password;
	bool			 token_from_outside;	/* arango_set_token() */
	const char		*server_id;	/* in tokens that we make */
	uint32_t		 token_lifetime_s;
	uint32_t		 max_connections;	/* 0: no limit */
	uint32_t		 max_connections_per_host;
	uint32_t		 max_idle_connections;
};
#define ARANGO_OPTS_INIT {						\
	.name = "cluster", .server_id = "arangosync",			\
	.token_lifetime_s = 300, .max_idle_connections = 16 }

/* 0, or negative with a sentence in m (may be NULL). */
int	arango_new(struct loop *loop, const struct arango_opts *opts,
	    struct arango **a, struct err_msg *m);
/*
 * Calls that still wait are not woken: end the fibers first (struct
 * arango_cancel).
 */
void	arango_free(struct arango **a);
struct loop *arango_loop(const struct arango *a);
const char *arango_name(const struct arango *a);

/* ---- servers ------------------------------------------------------------ */

/*
 * Say that a server is there, or where it is now.  role ARANGO_OTHER_ROLE:
 * by the prefix of the id.  The endpoint may be in any spelling.  0, or
 * ERR_FORMAT; *out (may be NULL) is the same pointer for the same id always.
 */
int	arango_server_put(struct arango *a, const char *id,
	    enum arango_role role, const char *endpoint,
	    struct arango_server **out, struct err_msg *m);
/* NULL when it is not known. */
struct arango_server *arango_server_get(const struct arango *a,
	    const char *id);
/* Iterate: i = 0, 1, ... until NULL. */
struct arango_server *arango_server_at(const struct arango *a, size_t i);

/* ---- credentials -------------------------------------------------------- */

/*
 * The token to use from now on, for `valid_ms` (0: until the next one).
 * Nothing is sent with one that has run out: calls wait for the next until
 * their deadline, then fail with ERR_DENIED.  Before the first one came they
 * wait for 2 s at least.
 */
void	arango_set_token(struct arango *a, const char *token,
	    uint64_t valid_ms);
/*
 * A superuser token for somebody else, which ends lifetime_ms from now in the
 * cluster's time (seconds, rounded down).  Needs secrets, else ERR_DENIED.
 * Waits when the cluster's time was not measured in the last ten minutes.
 * free() it.
 */
int	arango_make_token(struct arango *a, uint64_t lifetime_ms, char **token,
	    struct err_msg *m);
/*
 * Another secret in the place of the one that arango_new() was given as bytes.
 * The old one is tried where the new one is refused: not all servers of a
 * cluster change theirs at the same moment.  0, or ERR_RANGE with a sentence.
 */
int	arango_change_secret(struct arango *a, const void *secret, size_t len,
	    struct err_msg *m);
/* Read the secrets again (SIGHUP); a bad file keeps the old ones. */
int	arango_reload(struct arango *a, struct err_msg *m);
/*
 * Server time minus ours, in ms, as last measured; *measured (may be NULL) is
 * false when it never was.
 */
int64_t	arango_clock_offset_ms(const struct arango *a, bool *measured);
/* Measure now, at `to` or any coordinator.  Waits. */
int	arango_measure_clock(struct arango *a, struct arango_server *to,
	    struct err_msg *m);

/* ---- requests ----------------------------------------------------------- */

/*
 * Ends the calls that carry it, from outside: they return ERR_CANCELLED.
 * Stays cancelled; all zero is a new one.
 */
struct arango_waiter;

struct arango_cancel {
	bool			 cancelled;
	struct arango_waiter	*waiting;
};
#define ARANGO_CANCEL_INIT	{ false, NULL }

void	arango_cancel(struct arango_cancel *c);
/* Sleep, but not beyond the cancelling: 0 or ERR_CANCELLED.  Waits. */
int	arango_sleep(struct arango_cancel *c, uint64_t ms);

enum arango_type {
	ARANGO_JSON,
	ARANGO_VPACK,
	ARANGO_DUMP		/* application/x-arango-dump */
};

/* Start from ARANGO_REQ_INIT. */
struct arango_req {
	struct arango_server	*to;		/* NULL: a coordinator, and
						 * another one when it fails */
	const char		*method;
	const char		*db;		/* NULL: no prefix (_system) */
	const char		*path;		/* "/_api/...?..." encoded */
	const void		*body;		/* borrowed while we wait */
	size_t			 len;
	/*
	 * Or len bytes that are asked for in pieces while they are sent: at
	 * most n of them, from offset at on.  It begins at 0, goes on where the
	 * last piece ended, and may begin anew.  Returns how many, never none.
	 */
	size_t			(*on_body)(void *arg, size_t at, uint8_t *p,
				    size_t n);
	void			*body_arg;
	enum arango_type	 type;		/* of the body */
	enum arango_type	 accept;
	const char *const	*headers;	/* more lines, then NULL */
	/*
	 * How long we go on trying, 0: once.  Tried again: no connection, 503
	 * and whatever arango_react() calls ARANGO_RETRY.  A request whose
	 * outcome is unknown is repeated only with `repeatable` (GET and HEAD
	 * always are).
	 */
	uint64_t		 retry_ms;
	bool			 repeatable;
	uint32_t		 timeout_ms;	/* of one try; 0: none */
	uint32_t		 stall_ms;	/* without a byte; 0: none */
	size_t			 max_body;	/* of a collected answer */
	struct arango_cancel	*cancel;	/* or NULL */
	/* On a new connection: then a GET is never sent twice either. */
	bool			 fresh;
	/*
	 * Streaming: for 2xx answers only (others are collected).  Once
	 * on_data was called nothing is tried again.  Negative: give up with
	 * that.  They run outside the fiber and must not wait;
	 * http_call_pause() and http_call_resume() hold the answer back, from
	 * on_status until on_over (may be NULL): then the call is no more,
	 * while who waits for the answer has yet to be woken.
	 */
	int			(*on_status)(void *arg, struct http_call *call,
				    int status);
	int			(*on_data)(void *arg, struct http_call *call,
				    const uint8_t *p, size_t n);
	void			(*on_over)(void *arg);
	void			*arg;
};
#define ARANGO_REQ_INIT	{ .method = "GET",				\
	.timeout_ms = ARANGO_TIMEOUT_SHORT_MS,				\
	.max_body = (size_t)64 * 1024 * 1024 }

struct arango_answer {
	/*
	 * 0: 2xx, or 304.  Otherwise ERR_* / -errno of the transport, or
	 * ERR_HTTP for an answer that says no: then status and num tell.
	 */
	int			 err;
	int			 status;	/* 0: none came */
	int			 num;		/* errorNum, 0: none */
	bool			 unknown;	/* it may have been executed */
	struct err_msg		 msg;		/* when err != 0 */
	struct buf		 body;
	struct buf		 headers;	/* private */
	struct arango_server	*by;		/* who answered, or NULL */
	uint64_t		 sent_ms;	/* monotonic, of the last try */
	uint64_t		 elapsed_us;	/* of the last try */
	uint64_t		 received_bytes;
};

/*
 * Send, wait, try again as told.  Returns ans->err; arango_answer_free() in
 * any case.  Waits.
 */
int	arango_call(struct arango *a, const struct arango_req *req,
	    struct arango_answer *ans);
void	arango_answer_free(struct arango_answer *ans);
/* Value of a header, any case, or NULL. */
const char *arango_answer_header(const struct arango_answer *ans,
	    const char *name);
/* Its decimal number: 0, ERR_NOT_FOUND, ERR_FORMAT, ERR_RANGE. */
int	arango_answer_header_u64(const struct arango_answer *ans,
	    const char *name, uint64_t *v);
/*
 * The body as a tree (caller: json_object_put()), which must be an object or
 * an array.  ERR_FORMAT with the sentence in ans->msg, and in ans->err.
 */
int	arango_answer_json(struct arango_answer *ans,
	    struct json_object **out);

/*
 * The usual control request: JSON (or nothing) out, JSON back, tried for
 * retry_ms.  *out may be NULL: then the body is not looked at.  Errors have a
 * sentence in m, which begins with the cluster's name; *num (may be NULL) gets
 * the error number.  `to` NULL: any coordinator.  Waits.
 */
int	arango_json(struct arango *a, struct arango_server *to,
	    const char *method, const char *db, const char *path,
	    struct json_object *body, uint64_t retry_ms,
	    struct json_object **out, int *num, struct err_msg *m);

#endif
