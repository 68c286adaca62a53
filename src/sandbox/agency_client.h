/*
 * agency_client.h - the inside of struct agency, for agency.c and
 * agency_self.c, and for tests that feed a local copy by hand.
 */
#ifndef SANDBOX_AGENCY_CLIENT_H
#define SANDBOX_AGENCY_CLIENT_H

#include "ev/fiber.h"
#include "ev/loop.h"
#include "sandbox/agency.h"
#include "sandbox/agency_store.h"
#include "sandbox/rpc.h"
#include "sandbox/server.h"

struct watcher;

struct agency {
	unsigned		 refs;		/* owner and fibers */
	bool			 stopping;
	struct sb_server	*server;
	struct loop		*loop;
	char			*base;
	char			*id;		/* of this server */
	/* the local copy */
	struct agency_store	*copy;
	uint64_t		 index;
	bool			 ready;
	bool			 reachable;
	struct fiber_cond	 changed;
	struct watcher		*watchers;
	/* ids id_next .. id_end - 1 are ours */
	struct fiber_mutex	 id_lock;
	uint64_t		 id_next, id_end;
	/* this server */
	char			 short_name[32];
	unsigned		 short_number;
	uint64_t		 reboot_id;
	char			*status;
	uint64_t		 beat_ms;	/* last one acknowledged */
	bool			 beating;
};

/*
 * Bring the local copy up to what the answer of a poll says; 0, or
 * ERR_PROTOCOL: it does not continue what we have, all has to be read anew.
 */
int	agency_take_answer(struct agency *a, struct json_object *answer);
void	agency_unref(struct agency *a);
/* One POST to /_api/agency/<what>; returns the status, 0 without answer. */
int	agency_post(struct agency *a, const char *what,
	    struct json_object *body, uint32_t attempt_ms,
	    uint64_t deadline_ms, struct sb_resp *resp);

#endif
