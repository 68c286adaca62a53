/*
 * pair_rig.h - tail, send and receive between two clusters, with a control,
 * api and link that do just enough: for tests of the pair, and for measuring
 * it without the connection between datacenters.
 */
#ifndef RIG_PAIR_RIG_H
#define RIG_PAIR_RIG_H

#include <stdbool.h>

#include "proc/member.h"

struct rig_conf {
	const char	*source[2], *target[2];	/* coordinator, NULL */
	const char	*secret;	/* file, of both; NULL: none */
	const char	*dir;
	const char	*db, *coll;
};

#define RIG_API		"api"
#define RIG_LINK	"link source"

/* pair_wire.c: both ends of the wire, without a wire. */
int	rig_api_main(struct member *m);
int	rig_link_main(struct member *m);

#endif
