/*
 * rpc.h - requests to other servers of the cluster, from inside a fiber.
 *
 * sb_call() suspends the fiber until the answer is there or the timeout has
 * passed.  To ask several servers at once, spawn a fiber per request with a
 * struct fiber_group (ev/fiber.h) and wait for the group.
 */
#ifndef SANDBOX_RPC_H
#define SANDBOX_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "base/buf.h"
#include "sandbox/server.h"

struct sb_resp {
	int		 status;	/* 0: no answer, see error */
	int		 error;		/* 0 or negative: base/err.h */
	int		 errnum;	/* errorNum of an error body, else 0 */
	struct buf	 body;
	struct buf	 headers;	/* "name: value\n", lower-case names */
	bool		 maybe_sent;	/* error != 0, and yet the other server
					 * may have executed the request */
};

#define SB_RESP_INIT	{ 0, 0, 0, BUF_INIT, BUF_INIT, false }

enum {
	SB_CALL_VPACK_BODY	= 1 << 0,	/* body is VelocyPack */
	SB_CALL_VPACK_ANSWER	= 1 << 1	/* ask for VelocyPack */
};

/*
 * One request to base (such as "http://127.0.0.1:8539") with the cluster's
 * superuser JWT.  path begins with '/', already encoded.  extra_headers:
 * "name: value\n" lines or NULL.  Returns the HTTP status, or 0 when there was
 * no answer (resp->error says why; the request may have been executed).  The
 * caller frees resp with sb_resp_free() in either case.
 */
int	sb_call(struct sb_server *s, const char *base, const char *method,
	    const char *path, const char *extra_headers, const void *body,
	    size_t body_len, unsigned flags, uint32_t timeout_ms,
	    struct sb_resp *resp);
/* Value of a header of the answer (copied into out), or ERR_NOT_FOUND. */
int	sb_resp_header(const struct sb_resp *resp, const char *name, char *out,
	    size_t out_size);
/* The body parsed; NULL when it is not JSON.  Caller puts it. */
struct json_object *sb_resp_json(const struct sb_resp *resp);
void	sb_resp_free(struct sb_resp *resp);

/* Answer r with what another server answered (status, body, type). */
void	sb_reply_forward(struct sb_req *r, struct sb_resp *resp);
/* Send the request as it is to another server and its answer back; adds
 * x-arango-request-forwarded-to: server_id. */
void	sb_forward(struct sb_req *r, const char *base, const char *server_id);

/* Percent-encode one path segment; static buffers, 4 in turn. */
const char *sb_encode(const char *segment);

#endif
