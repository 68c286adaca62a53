/*
 * control_space.h - does the data directory have room?  Looked at every
 * second; told in the log when that changes, and in GET /_api/sync as
 *
 *	"x": {"space": {"state": "enough",	or "short", "full": queue/room.h
 *	    "message": "..",			what is wrong and what to do;
 *						absent when nothing is
 *	    "path", "total_bytes", "free_bytes", "reserve_bytes",
 *	    "queue_bytes", "queue_quota_bytes",	of all queues (0: no quota)
 *	    "queues_stopped"}}			by that quota
 */
#ifndef MASTER_CONTROL_SPACE_H
#define MASTER_CONTROL_SPACE_H

#include "master/control.h"

void	control_space_init(struct control *c);
/* The caller's. */
struct json_object *control_space_info(const struct control *c);

#endif
