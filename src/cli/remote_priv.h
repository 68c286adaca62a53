/* remote_priv.h - what remote.c and remote_call.c share */
#ifndef CLI_REMOTE_PRIV_H
#define CLI_REMOTE_PRIV_H

#include "cli/remote.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "http/client.h"
#include "http/jwt.h"

struct remote_wait;		/* a request under way */

struct remote {
	const struct conf	*conf;
	struct loop		*loop;
	struct http_client	*client;
	struct loop_timer	*ticker;
	struct loop_signal	*on_int, *on_term;
	bool			 cancelled;
	struct fiber_cond	 interrupt;	/* broadcast at ^C */
	struct remote_wait	*waits;
	uint64_t		 deadline_ms;	/* of the loop; 0: none */

	bool			 traces;	/* tell of each request */
	bool			 verifies;	/* certificates of masters */
	char			**endpoints;	/* in the order of asking */
	size_t			 n_endpoints;
	char			*basic;		/* "Basic ...", or NULL */
	struct jwt_secrets	 secrets;	/* count 0: none */

	int			(*fn)(struct remote *r, const struct conf *c);
	int			 code;
};

/* End all requests under way with ERR_CANCELLED. */
void	remote_cancel_all(struct remote *r);

#endif
