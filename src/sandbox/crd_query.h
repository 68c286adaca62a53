/*
 * crd_query.h - the list of the queries that a coordinator is executing.
 */
#ifndef SANDBOX_CRD_QUERY_H
#define SANDBOX_CRD_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "sandbox/coordinator.h"

/* Lives with the request that executes it. */
struct crd_query {
	struct crd_query *next;
	uint64_t	 id;
	const char	*db, *user;
	const char	*text;		/* of the caller, as is modifies */
	size_t		 len;
	bool		 modifies;
	time_t		 started;
	uint64_t	 started_ms;
};

/* Enter q with text, len and modifies set; and take it out again. */
void	crd_query_begin(struct sb_req *r, struct crd_query *q);
void	crd_query_end(struct sb_req *r, struct crd_query *q);

#endif
