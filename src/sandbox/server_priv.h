/* server_priv.h - what server.c, reply.c, auth.c and rpc.c share */
#ifndef SANDBOX_SERVER_PRIV_H
#define SANDBOX_SERVER_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "ev/fiber.h"
#include "http/client.h"
#include "http/jwt.h"
#include "http/server.h"
#include "sandbox/child.h"
#include "sandbox/server.h"

#define SB_FAULTS_MAX	16

/* A fault that is armed; see sb_fault in child.h. */
struct sb_armed_fault {
	enum sb_fault_kind kind;
	uint32_t	 delay_ms;
	uint32_t	 left;		/* requests; 0: until changed */
	bool		 counted;
	char		 path[256];
};

struct sb_job;

struct sb_server {
	struct sb_child	*child;
	struct loop	*loop;
	const struct sb_role *role;
	void		*data;
	struct http_server *http;
	struct http_client *client;
	struct tls_ctx	*tls;
	bool		 ready;
	bool		 refusing;	/* pause_accept is on */
	int		 version;	/* 31108 */

	bool		 auth;
	struct jwt_secrets secrets;
	struct jwt_cache *tokens;
	char		*header;	/* "bearer ..." for our own requests */
	int64_t		 header_made;	/* wall clock, seconds */

	struct sb_job	*jobs;		/* oldest first */

	struct sb_armed_fault faults[SB_FAULTS_MAX];
	size_t		 nfaults;
};

/* A request with what its public part points to. */
struct sb_ctx {
	struct sb_req	 pub;
	char		*db, *segs[SB_SEGMENTS_MAX];
	bool		 drop_answer;	/* fault: execute, then say nothing */
	struct sb_job	*job;		/* where the answer goes instead */
	char		 user[256];
	double		 token_exp;	/* of the user's token; 0: never, or
					 * it came without */
	bool		 has_token;
};

static inline struct sb_ctx *
sb_ctx(struct sb_req *r)
{
	return (struct sb_ctx *)r;	/* pub is the first member */
}

/* auth.c: fill superuser and user; 0, or answered and -1. */
int	sb_authenticate(struct sb_req *r, unsigned flags);
/* Credentials that the role's password check would take; for /_open/auth. */
extern const struct sb_route sb_auth_routes[];
/* common.c: version, role, id, time, status, availability. */
extern const struct sb_route sb_common_routes[];

#endif
