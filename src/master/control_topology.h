/*
 * control_topology.h - our own cluster as it is now, kept up to date while we
 * lead: long poll on Plan, Current and the list of servers, one read for many
 * changes.
 */
#ifndef MASTER_CONTROL_TOPOLOGY_H
#define MASTER_CONTROL_TOPOLOGY_H

#include "arango/topology.h"
#include "master/control.h"

/* Read again after that time even when nothing seems to have changed. */
#define CONTROL_TOPOLOGY_MAX_MS		10000
/* Changes come in bursts (a collection with 8 shards): one read for all. */
#define CONTROL_TOPOLOGY_GATHER_MS	100

/* A new one was read: must not wait; hold what you keep.  t is never NULL. */
typedef void	control_topology_fn(struct control *c,
		    struct arango_topology *t);

/* Call fn for every new topology (and soon for the one that is there).  Before
 * control_topology_begin() or after; adding a function twice has no effect. */
void	control_topology_on(struct control *c, control_topology_fn *fn);
/* The newest, borrowed until you wait (arango_topology_hold() it); NULL before
 * the first, and when we do not lead. */
struct arango_topology *control_topology(const struct control *c);
/* Something is not as it says: read it again now. */
void	control_topology_look(struct control *c);

/* ---- for control.c ------------------------------------------------------ */

void	control_topology_begin(struct control *c);
void	control_topology_end(struct control *c);

#endif
