/*
 * checkplan.h - what `check sync` has to compare, and what differs already by
 * the lists of shards of all datacenters.
 *
 * Rules and sentences are those of ArangoSync's checker: the first datacenter
 * that has databases is what the others are compared with.
 */
#ifndef CLI_CHECKPLAN_H
#define CLI_CHECKPLAN_H

#include <stddef.h>
#include <stdint.h>

#include <json-c/json_object.h>

#include "base/err.h"
#include "cli/syncinfo.h"

enum check_result {
	CHECK_PENDING,		/* checksums are to be compared */
	CHECK_SAME,
	CHECK_DIFFERENT,
	CHECK_MISSING,		/* differs by the lists; see message */
	CHECK_ERROR		/* not known; see message */
};

struct check_row {
	const char	*database, *collection;	/* "": of the whole database */
	int64_t		 shard;			/* -1: of the collection */
	enum check_result result;
	char		*message;		/* or NULL */
};

struct check_plan {
	struct check_row	*rows;		/* sorted */
	size_t			 n;
	struct json_object	*root;		/* names point into it */
};

struct check_filter {
	const char	*database, *collection;	/* NULL: all */
	int64_t		 shard;			/* -1: all */
};

/*
 * From GET /_api/sync/shards (taken over, also on errors) and the incoming
 * side of GET /_api/sync.  0, or ERR_FORMAT, or ERR_BAD_STATE when there are
 * less than two datacenters.
 */
int	check_plan_make(struct json_object *o, const struct sync_side *side,
	    const struct check_filter *filter, struct check_plan **plan,
	    struct err_msg *m);
void	check_plan_free(struct check_plan **plan);
void	check_row_set(struct check_row *row, enum check_result result,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* What a checksum call answered; sets the row. */
void	check_row_judge(struct check_row *row, struct json_object *answer);

#endif
