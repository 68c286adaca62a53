/*
 * control.h - the process that decides: it leads or does not, keeps the
 * daemon's state in the agency, and answers what operators ask.
 *
 * State is below /arangodb/arangosync in the agency of our own cluster, where
 * operators look for it and where the original had it (product reference 1.5,
 * 1.6): `leader` and `masters/<id>` with a ttl, `programVersion`,
 * `synchronizationState`; ours is below `x/`.
 */
#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

#include "arango/agency.h"
#include "arango/conn.h"
#include "base/buf.h"
#include "base/map.h"
#include "ev/fiber.h"
#include "master/daemon.h"

#define CONTROL_ROOT		"/arangodb/arangosync"
/*
 * Of leader and masters/<id>.  With 2 s until it is noticed, and the 5 s for
 * differences of clocks that a takeover waits, another master leads 30 s after
 * the end of this one at the latest.
 */
#define CONTROL_TTL_S		20
#define CONTROL_RENEW_MS	6000
/* Our keys are read when they change; at least that often, as keys that run
 * out may do so silently. */
#define CONTROL_LOOK_MS		5000
/* ... and who does not lead, for the end of the other's lease. */
#define CONTROL_FOLLOW_MS	2000
/* After trouble, and when nobody leads. */
#define CONTROL_AGAIN_MS	1000
#define CONTROL_LEASE_CHECK_MS	250
/* Time for giving the lease back when we stop. */
#define CONTROL_LEAVE_MS	3000
/* /_api/health tells that the agency is away after that time. */
#define CONTROL_AWAY_MS		30000
#define CONTROL_MESSAGE_TIMEOUT_NS	((int64_t)3600 * 1000000000)

struct control_incoming;
struct loop_timer;
struct control_outgoing;
struct control_pool;
struct control_space;
struct control_watch;
struct peer;

struct control {
	struct member	*m;
	const struct daemon_conf *conf;
	struct loop	*loop;
	struct arango	*cluster;	/* NULL until its secret is there */
	struct arango_agency *agency;
	struct arango_cancel cancel;	/* of both: we stop */
	struct buf	 secret;	/* of the cluster, as it was read */
	char		 id[33];	/* ours, kept in the data directory */
	struct peer	*api;		/* NULL while it is away */
	uint64_t	 api_count;	/* connections to it so far */

	struct json_object *id_json;
	struct agency_lease lease;
	uint64_t	 renewed_ms;	/* lease and masters/<id> */
	uint64_t	 seen_ms;	/* the agency answered; 0: never */
	struct json_object *state;	/* what is below CONTROL_ROOT, or NULL */
	bool		 checked;	/* it is our cluster */
	bool		 was_leader;	/* as last logged */
	int		 trouble;	/* why the agency is away, or 0 */
	struct err_msg	 why;
	struct fiber_cond wake;		/* of the main fiber */
	bool		 state_dirty;	/* our keys may have changed */
	struct loop_timer *lead_timer;
	bool		 stopping;
	int		 exit;		/* enum proc_exit */

	/* Each of its own file; NULL before that has begun. */
	struct control_pool *pool;	/* control_workers.c */
	struct control_watch *watch;	/* control_topology.c */
	struct control_space *space;	/* control_space.c */
	struct control_outgoing *outgoing;	/* control_outgoing.c */
	struct control_incoming *incoming;	/* control_incoming.c */
	struct map	 sessions;	/* of api: target -> its hello (JSON) */
	char		*identity;	/* control_outgoing.c: as told to api */
	uint64_t	 api_told;	/* ... on that connection */
	bool		 parts_on;	/* control_lead.c: they have begun */
	uint64_t	 lead_from_ms;	/* ... or may begin then; 0: not */
	char		 cluster_id[64];	/* "" until it was read */
	char		 cluster_version[32];	/* of ArangoDB, or "" */
};

/* The process. */
int	control_main(struct member *m);

/* Read our keys in the agency again.  Waits. */
void	control_look(struct control *c);

/*
 * control_cluster.c: 0 once the cluster is ours and answers; ERR_USAGE: waiting
 * will not help.  Waits.
 */
int	control_check_cluster(struct control *c, struct err_msg *m);

/* control_state.c: values below CONTROL_ROOT as last seen. */
/* Id of the leading master, or NULL. */
const char *control_leader_id(const struct control *c);
/* Where that master is reached from inside the datacenter, or NULL. */
const char *control_leader_endpoint(const struct control *c);
bool	control_is_leader(const struct control *c);
int64_t	control_message_timeout_ns(const struct control *c);
/* Endpoints of all masters, for other datacenters: a list, the caller's. */
struct json_object *control_endpoints(const struct control *c);
/* Value at a path of names below CONTROL_ROOT, NULL at the end; or NULL. */
struct json_object *control_state_at(const struct control *c, ...)
	    __attribute__((sentinel));

/*
 * control_lead.c: parts that live while we lead; rows of a table there.
 * check() ends them when the lease is lost; go_on() begins them, too, as soon
 * as nobody else's processes can be left, and may wait.
 */
void	control_lead_check(struct control *c);
void	control_lead_go_on(struct control *c);
/* Remember in the agency that we lead, or that we left in order.  Waits. */
int	control_lead_note(struct control *c, struct arango_agency *agency,
	    bool left, struct err_msg *m);
/* They have begun: we lead, and nobody else's processes are left (R23). */
bool	control_lead_is_on(const struct control *c);

/* control_api.c: answer a call of the API; runs in a fiber. */
struct control_call {
	struct control	*c;
	uint32_t	 id;		/* of the request frame */
	uint64_t	 api_count;	/* on which connection it came */
	char		*method, *path, *query, *who;
	struct buf	 body;
};
void	control_answer_call(void *call);

#endif
