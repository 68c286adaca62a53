/*
 * server.h - what agent, coordinators and DB-servers have in common: an HTTP
 * server whose requests are served in fibers, routes as tables, arangod's
 * authentication, its answers and error bodies, fault injection.
 *
 * A role fills a struct sb_role (route tables, hooks) and calls
 * sb_server_new(), then sb_server_ready().
 * A handler runs in a fiber of its own, may suspend (sb_call, fiber_sleep_ms,
 * waiting for a condition), and answers exactly once with one of sb_reply_*
 * or sb_error*; a handler that returns without an answer is a bug and gives
 * 500.  A request outlives its connection: when the client has gone, handlers
 * run on to their end and the answer goes nowhere (R16).
 */
#ifndef SANDBOX_SERVER_H
#define SANDBOX_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "base/buf.h"
#include "sandbox/errors.h"

struct loop;
struct http_req;
struct http_client;
struct sb_child;
struct sb_server;

enum sb_method {
	SB_GET		= 1 << 0,
	SB_POST		= 1 << 1,
	SB_PUT		= 1 << 2,
	SB_PATCH	= 1 << 3,
	SB_DELETE	= 1 << 4,
	SB_HEAD		= 1 << 5,
	SB_OPTIONS	= 1 << 6
};

enum {
	SB_OPEN		= 1 << 0,	/* no credentials needed */
	SB_SUPERUSER	= 1 << 1,	/* only superuser JWT, else 403/11 */
	SB_SYSTEM	= 1 << 2,	/* only in _system, else 403/1230 */
	SB_ADMIN	= 1 << 3,	/* RW on _system (here: root or superuser) */
	SB_DDL		= 1 << 4,	/* refused read-only: 403/11 (not superuser) */
	SB_EARLY	= 1 << 5	/* served while the server is starting */
};

#define SB_SEGMENTS_MAX	12

/* One request.  Everything in it lives until the handler returns. */
struct sb_req {
	struct sb_server *server;
	struct http_req	*http;
	enum sb_method	 method;
	const char	*db;		/* decoded; "_system" without /_db/ */
	int		 nseg;		/* decoded path segments behind it: */
	const char	*seg[SB_SEGMENTS_MAX];	/* "_api","document","c","k" */
	const char	*path;		/* raw path behind /_db/<db> */
	const uint8_t	*body;
	size_t		 body_len;
	bool		 body_is_vpack;	/* Content-Type x-velocypack */
	bool		 want_vpack;	/* Accept x-velocypack */
	bool		 superuser;	/* superuser JWT, or no --auth */
	const char	*user;		/* "" for superuser */
	bool		 answered;
};

typedef void sb_handler(struct sb_req *);

/*
 * pattern: segments behind /_db/<db>, "*" matches one, a final "**" any rest.
 * First match in table order wins.  A path that matches with no method in
 * common gives 405, no match 404 (or the role's fallback, 501).
 */
struct sb_route {
	unsigned	 methods;
	const char	*pattern;
	unsigned	 flags;
	sb_handler	*handler;
};

struct sb_role {
	const char	*name;			/* COORDINATOR, PRIMARY, AGENT */
	const struct sb_route *const *tables;	/* NULL ended list of tables,
						 * each ended by {0} */
	bool		 has_users;		/* only coordinators */
	/* Does the database exist?  NULL: every name is taken. */
	bool		(*db_exists)(struct sb_server *, const char *db);
	/* For Basic and /_open/auth; only with has_users. */
	bool		(*check_password)(struct sb_server *, const char *user,
			    const char *password);
	/* Of a token; nobody without rights gets as far as a route. */
	bool		(*user_exists)(struct sb_server *, const char *user);
	bool		(*is_readonly)(struct sb_server *);
	/* Ids of jobs (x-arango-async), 0: none to be had; may wait.  NULL:
	 * every request is answered when it is done. */
	uint64_t	(*new_id)(struct sb_server *);
	/* Base URL of the server that gave an id out; NULL: we did. */
	const char	*(*owner_of)(struct sb_server *, uint64_t id,
			    const char **server_id);
	/* Extra fields of /_admin/status and friends may go here later. */
};

/*
 * Make the HTTP server of this process on its port; it answers 503 (SB_EARLY
 * routes excepted) until sb_server_ready() is called.  data is the role's own
 * state, sb_server_data().  Errors: 0 or negative with a sentence logged.
 */
int	sb_server_new(struct sb_child *child, struct loop *loop,
	    const struct sb_role *role, void *data, struct sb_server **out);
void	sb_server_ready(struct sb_server *s);
void	sb_server_free(struct sb_server **s);
void	*sb_server_data(struct sb_server *s);
struct loop *sb_server_loop(struct sb_server *s);
const struct sb_child *sb_server_child(struct sb_server *s);
/* --arangodb-version as number: 3.11.8 is 31108. */
int	sb_version(struct sb_server *s);
const char *sb_version_text(struct sb_server *s);
bool	sb_is_enterprise(struct sb_server *s);
/* Header value "bearer ..." with a fresh superuser JWT; NULL without --auth.
 * Valid until the next call. */
const char *sb_superuser_header(struct sb_server *s);

/* ---- query parameters and headers -------------------------------------- */

/* Decoded value, or NULL. */
const char *sb_param(struct sb_req *r, const char *name);
/* arangod's reading of booleans: true, yes, on, y, 1 (any case). */
bool	sb_param_bool(struct sb_req *r, const char *name, bool fallback);
/* Decimal digits; anything else gives the fallback. */
uint64_t sb_param_u64(struct sb_req *r, const char *name, uint64_t fallback);
const char *sb_req_header(struct sb_req *r, const char *name);

/* ---- bodies --------------------------------------------------------------- */

/*
 * The body as a VelocyPack slice (parsed from JSON when it is JSON), in *out,
 * which the caller frees.  On failure the error is answered (400/600, or 400/10
 * for VelocyPack) and -1 returned: the handler returns at once.
 */
int	sb_body_vpack(struct sb_req *r, struct buf *out);
/* The body as json-c tree; caller puts it.  NULL: answered as above.  An empty
 * body gives an empty object where empty_ok. */
struct json_object *sb_body_json(struct sb_req *r, bool empty_ok);

/* ---- answers ----------------------------------------------------------- */

/* A header of the answer; before sb_reply_*. */
void	sb_header(struct sb_req *r, const char *name, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
/* Consumes o.  As JSON, or VelocyPack when the client asked for it. */
void	sb_reply_json(struct sb_req *r, int status, struct json_object *o);
/* Adds "error":false,"code":status in front, then as sb_reply_json. */
void	sb_reply_ok(struct sb_req *r, int status, struct json_object *o);
/* A VelocyPack slice as JSON or VelocyPack; b is moved. */
void	sb_reply_vpack(struct sb_req *r, int status, struct buf *b);
/* Bytes of any type; b is moved (may be NULL: empty). */
void	sb_reply_raw(struct sb_req *r, int status, const char *content_type,
	    struct buf *b);
void	sb_reply_empty(struct sb_req *r, int status);

/*
 * {"error":true,"code":..,"errorNum":..,"errorMessage":..}; sb_error takes the
 * status from the table of errors.h.  fmt NULL: the table's text.
 */
void	sb_error(struct sb_req *r, int errnum, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
void	sb_error_status(struct sb_req *r, int status, int errnum,
	    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* 501 for what the sandbox does not do; what names it. */
void	sb_not_supported(struct sb_req *r, const char *what);

#endif
