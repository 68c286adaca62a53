/* route_util.h - short words for what tests of routing do all the time */
#ifndef TESTS_ROUTE_UTIL_H
#define TESTS_ROUTE_UTIL_H

#include <string.h>

#include "sync/route.h"

static inline struct scan_span
span(const char *text)
{
	struct scan_span	 s = { text, text != NULL ? strlen(text) : 0 };

	return s;
}

static inline enum route_verdict
take(struct route *r, uint64_t tick, uint32_t type, const char *db,
    const char *cuid, struct route_channel **ch)
{
	struct scan_span	 d = span(db), c = span(cuid);

	return route_take(r, tick, type, &d, &c, 10, ch);
}

static inline void
done(struct route *r, uint64_t from)
{
	struct route_point	 p = { .from = from };

	route_done(r, &p, NULL, NULL);
}

static inline void
seek(struct route *r, uint64_t from)
{
	struct route_point	 p = { .from = from };

	route_seek(r, &p);
}

static inline uint64_t
checkpoint(struct route *r)
{
	struct route_checkpoint	 cp;
	uint64_t		 from;

	route_checkpoint(r, &cp);
	from = cp.point.from;
	route_checkpoint_free(&cp);
	return from;
}

#endif
