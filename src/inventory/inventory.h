/*
 * inventory.h - the structure of a cluster: read and published at the source,
 * compared and carried out at the target (design section 5; R12, R19, R20).
 *
 * Source.  Peers: control, api.  Publishes MSG_WORKER_STRUCTURE to api whenever
 * the Plan has changed, and again when api comes back.
 * Target.  Peers: control, link, from where it gets the structure.  Tells
 * control which pairs can run:
 *
 *	{"plan": 4711,		version of the source's Plan that is applied
 *	 "pairs": [{"db", "coll", "cid": "10049", "target_coll",
 *		"target_cid": "20071", "shards": 3, "lineage": true}],
 *	 "pending": 0,		steps that wait (confirmation, mass drop)
 *	 "notes": ["..."]}	what the target cannot take
 */
#ifndef INVENTORY_INVENTORY_H
#define INVENTORY_INVENTORY_H

#include <stdbool.h>

#include "base/buf.h"
#include "worker/worker.h"

struct inventory_conf {
	bool		 is_target;
	char		 source[64];		/* the pinned cluster id */
	bool		 first;			/* after configure sync */
	bool		 allow_mass_drop;
};
void	inventory_conf_put(struct buf *b, const struct inventory_conf *c);
int	inventory_conf_get(struct rbuf *m, struct inventory_conf *c);

int	inventory_main(struct member *m, const struct worker_conf *conf);

#endif
