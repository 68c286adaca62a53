/*
 * link.h - the target's end of the connection to the source datacenter: one
 * session for all channels (design section 2; R21, R27).
 *
 * Peers: control; every receive and the target's inventory list it.
 */
#ifndef LINK_LINK_H
#define LINK_LINK_H

#include <stdint.h>

#include "base/buf.h"
#include "worker/worker.h"

/* Configuration of the process; endpoints and credentials come from control by
 * MSG_WORKER_REMOTE, past the supervisor (R25). */
struct link_conf {
	char		 target[64];		/* our cluster id */
	char		 source[64];		/* the pinned one; "": any */
};
void	link_conf_put(struct buf *b, const struct link_conf *c);
int	link_conf_get(struct rbuf *m, struct link_conf *c);

int	link_main(struct member *m, const struct worker_conf *conf);

/*
 * Its status (worker_status()), as control reads it; times are microseconds.
 *
 *	{"channels", "subscribed", "asleep": of these, without a process (R24;
 *					MSG_LINK_SLEEP, MSG_LINK_WANT),
 *	 "state": "running",		a session is open; else "initializing",
 *					or "failed": trying again is of no use
 *	 "error": "...",		absent when there is none
 *	 "source": "<cluster id>", "endpoint": "https://..",
 *	 "silent_us": 12000,		since the last byte
 *	 "silent_server", "silent_server_us",	the DB-server whose last
 *					watermark is the oldest
 *	 "lag_us", "complete_us",	R21, over all servers
 *	 "servers": [{"id", "reboot_id", "newest_tick", "applied_tick",
 *		"lag_us"}]}
 */

/*
 * Between datacenters (arangosync-protocol(7)), all with a client certificate:
 *
 *	POST /_x/v1/session		{"target","version","protocol",..}
 *		-> 200 {"session","source","version","protocol"}
 *	GET  /_x/v1/session/ID/live	a stream of frames, without end
 *	GET  /_x/v1/session/ID/bulk	the same
 *	POST /_x/v1/session/ID/up	frames; 200 {} when all were taken
 *	DELETE /_x/v1/session/ID
 *		-> 404 when there is no such session (any more)
 */
#define LINK_PROTOCOL	1
#define LINK_SILENT_MS	30000	/* without a byte: the session is over */
#define LINK_PING_MS	5000

#endif
