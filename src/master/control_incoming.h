/*
 * control_incoming.h - we are the target: what comes in from a source, and
 * everything that an operator asks about it.
 *
 * Kept in the agency: synchronizationState.incoming {state, source,
 * authentication} as the original had it, x/incoming {sourceId, first, ...},
 * and one small key per shard, x/incomingShards/<db>:<coll>:<index>, with its
 * state (R28).  It is there from `configure sync` until `stop sync`.
 */
#ifndef MASTER_CONTROL_INCOMING_H
#define MASTER_CONTROL_INCOMING_H

#include "master/control.h"

struct json_object;

/* ---- routes (control_api.c): status; *out is the body, the caller's ----- */

int	control_incoming_get(struct control_call *call,
	    struct json_object **out);
int	control_incoming_configure(struct control_call *call,
	    struct json_object **out);
int	control_incoming_stop(struct control_call *call,
	    struct json_object **out);
int	control_incoming_post_barrier(struct control_call *call,
	    struct json_object **out);
int	control_incoming_get_barrier(struct control_call *call,
	    struct json_object **out);
int	control_incoming_delete_barrier(struct control_call *call,
	    struct json_object **out);
int	control_incoming_shards(struct control_call *call,
	    struct json_object **out);
/* .../database/{db}/collection/{col}/shard/{i}/checksum and /reset */
int	control_incoming_shard(struct control_call *call,
	    struct json_object **out);
int	control_incoming_get_tasks(struct control_call *call,
	    struct json_object **out);

/* ---- for control_lead.c ------------------------------------------------- */

/*
 * Ids of the clusters that ours has its data from, nearest first; so many of
 * them are asked, the rest is as last heard.  A list, the caller's.  Waits when
 * hops is above 0.
 */
struct json_object *control_incoming_upstream(struct control *c,
	    unsigned hops);

void	control_incoming_begin(struct control *c);
void	control_incoming_end(struct control *c);
/*
 * What this daemon has recorded as applied is not what the target holds any
 * more, and what others did to it may not be over: all shards are compared.
 */
void	control_incoming_distrust(const struct control *c, const char *why);

/* ---- control_api.c, for all routes -------------------------------------- */

/* {"Error": text}; returns the status. */
int	control_say(struct json_object **out, int status, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
/* The body as an object ({} when there is none), or NULL; the caller's. */
struct json_object *control_body(struct control_call *call);
/* Value of a parameter of the query, decoded; NULL when it is not there.
 * free() it. */
char	*control_param(const struct control_call *call, const char *name);

#endif
