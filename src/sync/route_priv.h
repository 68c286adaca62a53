/* route_priv.h - shared by the files of the routing. */
#ifndef SYNC_ROUTE_PRIV_H
#define SYNC_ROUTE_PRIV_H

#include <sys/queue.h>

#include "sync/route.h"

TAILQ_HEAD(channel_list, route_channel);

struct point {
	uint64_t		 number;	/* of the response it ends */
	struct route_point	 p;
};

struct route {
	struct route_opts	 o;
	struct route_channel	**slots;	/* open addressing */
	size_t			 nslots, n;
	struct route_channel	*hit;		/* the last one found */
	struct channel_list	 busy, exceptions, spilling;
	size_t			 nexceptions, nbusy;

	bool			 has_point;
	bool			 reading;	/* between request and end */
	uint64_t		 number;	/* of the present response */
	struct point		*points;	/* [0] is the oldest needed */
	size_t			 npoints, cpoints;

	bool			 refilling;
	uint64_t		 refill;	/* the catch-up is here */
	size_t			 spill;
	struct route_counts	 counts;
};

/* Where the live tail is; there is a point. */
static inline const struct route_point *
route_here(const struct route *r)
{
	return &r->points[r->npoints - 1].p;
}

/* route_table.c: who is in which list, and whose line it is (NULL: nobody's) */
void	route_busy_set(struct route *r, struct route_channel *ch, bool on);
void	route_exception_set(struct route *r, struct route_channel *ch,
	    bool on);
void	route_spilling_set(struct route *r, struct route_channel *ch, bool on);
struct route_channel *route_lookup(struct route *r,
	    const struct scan_span *db, const struct scan_span *cuid);

/* route.c: the last point at or before the end of response `number` */
size_t	route_point_before(const struct route *r, uint64_t number);

/* route_refill.c: between responses, who has everything is live; what was
 * acknowledged is an exception no longer */
void	route_join_all(struct route *r, void (*joined)(void *arg,
	    struct route_channel *ch), void *arg);
void	route_exception_step(struct route *r, struct route_channel *ch);
void	route_exceptions_step(struct route *r);

#endif
