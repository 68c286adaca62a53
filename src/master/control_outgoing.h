/*
 * control_outgoing.h - we are the source: one outgoing synchronisation per
 * target, its tails and sends, and what the target's master asks of us.
 *
 * Kept in the agency at synchronizationState.outgoing.targets.<id>; it is
 * there from the first session of the target until `abort outgoing sync`, or
 * until the target says that it has stopped.
 */
#ifndef MASTER_CONTROL_OUTGOING_H
#define MASTER_CONTROL_OUTGOING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/rules.h"
#include "master/control.h"

struct arango_topology;
struct json_object;

/*
 * Of GET /_api/sync: the list `outgoing` (product reference 3.4), the caller's.
 * full: with the shards.  Never NULL.
 */
struct json_object *control_outgoing_info(struct control *c, bool full);
/* Is the cluster with this id a target of ours, be it one that was not heard of
 * for long? */
bool	control_outgoing_has(const struct control *c, const char *cluster_id);
/* Our datacenter as in GET /_api/sync/shards (product reference 3.4): {"id",
 * "databases"}; the caller's. */
struct json_object *control_shards_of(const struct arango_topology *t);
/* What the queues of all targets take of the disk (--mq.quota). */
struct control_queues {
	size_t		 targets;
	uint64_t	 bytes, quota;	/* quota 0: none */
	size_t		 stopped;	/* queues that wait for it */
	bool		 over;
};
void	control_outgoing_queues(const struct control *c,
	    struct control_queues *q);
/* Append the tasks of the source's side to the list of GET /_api/task. */
void	control_outgoing_tasks(struct control *c, struct json_object *list);

/* Routes for the other datacenter and for operators (control_api.c).  Status;
 * *out is the body, the caller's. */
int	control_outgoing_get_info(struct control_call *call,
	    struct json_object **out);
int	control_outgoing_get_shards(struct control_call *call,
	    struct json_object **out);
int	control_outgoing_post_barrier(struct control_call *call,
	    struct json_object **out);
int	control_outgoing_get_barrier(struct control_call *call,
	    struct json_object **out);
int	control_outgoing_delete_barrier(struct control_call *call,
	    struct json_object **out);
int	control_outgoing_delete(struct control_call *call,
	    struct json_object **out);

/* ---- for control.c ------------------------------------------------------ */

/* Messages of api; ctx is the struct control. */
int	control_outgoing_on_session(struct msg_in *in);
int	control_outgoing_on_want(struct msg_in *in);
/* Tell api who we are, unless it knows: it is there (again), or something may
 * have changed. */
void	control_outgoing_api(struct control *c);
/* ... or is not there any more, and its sessions neither. */
void	control_outgoing_api_lost(struct control *c);
void	control_outgoing_begin(struct control *c);
void	control_outgoing_end(struct control *c);

#endif
