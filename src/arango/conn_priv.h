/* conn_priv.h - what conn.c and auth.c share; nobody else includes it */
#ifndef ARANGO_CONN_PRIV_H
#define ARANGO_CONN_PRIV_H

#include "arango/conn.h"
#include "base/map.h"
#include "http/jwt.h"

struct http_client;

enum auth_mode {
	AUTH_MODE_NONE,
	AUTH_MODE_SECRETS,
	AUTH_MODE_TOKEN,	/* somebody else makes them */
	AUTH_MODE_USER
};

struct auth {
	enum auth_mode		 mode;
	char			*secret_file, *secret_dir;
	struct jwt_secrets	 secrets;
	uint32_t		 lifetime_s;
	char			*server_id;
	/* Tokens that we made, one per secret, and when to make the next. */
	char			*made[JWT_MAX_SECRETS];
	uint64_t		 renew_ms[JWT_MAX_SECRETS];
	unsigned		 epoch;		/* of the credentials */
	struct fiber_mutex	 repair;
	uint64_t		 denied_ms;	/* nothing helped, lately */
	/* From outside. */
	char			*token;
	uint64_t		 token_until_ms;
	unsigned		 token_number;
	struct fiber_cond	 token_came;
	char			*basic;		/* value of the header */
	/* Their clock minus ours. */
	int64_t			 offset_ms;
	bool			 measured;
	uint64_t		 measured_ms;
};

struct server_entry {
	struct arango_server	 s;
	bool			 given;		/* by the options */
};

struct arango {
	struct loop		*loop;
	char			*name;
	struct http_client	*http;
	struct server_entry	**servers;
	size_t			 nservers;
	struct map		 by_id;		/* struct server_entry */
	struct arango_server	*coordinator;	/* the one in use */
	struct auth		 auth;
};

struct arango_waiter {
	struct fiber_cond	 cond;
	struct arango_cancel	*cancel;
	struct arango_waiter	*next, *prev;
};

void	waiter_begin(struct arango_waiter *w, struct arango_cancel *c);
void	waiter_end(struct arango_waiter *w);

/* ---- auth.c ------------------------------------------------------------- */

int	auth_init(struct arango *a, const struct arango_opts *o,
	    struct err_msg *m);
void	auth_free(struct auth *au);
/*
 * The value of Authorization for a request to s, appended to out; nothing when
 * none is needed.  May wait for a token until deadline_ms.  0, ERR_DENIED,
 * ERR_CANCELLED.
 */
int	auth_header(struct arango *a, struct arango_server *s,
	    struct arango_cancel *c, uint64_t deadline_ms, struct buf *out,
	    struct err_msg *m);
/*
 * s said 401 to a request made in this epoch (auth_epoch()).  0: something has
 * changed, try again; ERR_DENIED: nothing helps.
 */
unsigned auth_epoch(const struct arango *a);
int	auth_denied(struct arango *a, struct arango_server *s, unsigned epoch,
	    struct arango_cancel *c, uint64_t deadline_ms, struct err_msg *m);

/* ---- conn.c ------------------------------------------------------------- */

/* One try with this header; no retries, no repair of credentials. */
int	conn_try(struct arango *a, const struct arango_req *req,
	    struct arango_server *s, const char *authorization,
	    struct arango_answer *ans);
struct arango_server *conn_coordinator(struct arango *a);

#endif
