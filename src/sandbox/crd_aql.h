/*
 * crd_aql.h - the few queries the sandbox knows, parsed into a plan.
 *
 *	FOR d IN c [FILTER d.a["b"] == value [AND ...]] [SORT d._key [ASC|DESC]]
 *	    [LIMIT [offset,] n] RETURN d | d.path
 *	FOR d IN c [FILTER ...] [LIMIT n] REMOVE d | d._key | {_key: d._key} IN c
 *	FOR d IN c [FILTER ...] COLLECT WITH COUNT INTO n RETURN n
 *	RETURN LENGTH(c) | COUNT(c)
 *	RETURN value
 *
 * with bind parameters @x and @@x, comments, quoted names.  Everything else is
 * refused: with 1501 when it is no AQL, with 501 when it may well be.
 */
#ifndef SANDBOX_CRD_AQL_H
#define SANDBOX_CRD_AQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define AQL_NAME_MAX	512
#define AQL_FILTERS_MAX	8

enum aql_kind {
	AQL_SCAN,		/* documents, or a path in them */
	AQL_REMOVE,
	AQL_COUNT,		/* number of documents that pass the filters */
	AQL_VALUE		/* a constant */
};

struct aql_filter {
	char		 path[AQL_NAME_MAX];	/* "a.b" */
	struct buf	 value;			/* VelocyPack */
};

struct aql_plan {
	enum aql_kind	 kind;
	char		 collection[AQL_NAME_MAX];
	size_t		 nfilters;
	struct aql_filter filters[AQL_FILTERS_MAX];
	bool		 sort, descending;	/* by _key */
	bool		 has_limit;
	uint64_t	 offset, limit;
	char		 path[AQL_NAME_MAX];	/* what is returned; "": all */
	struct buf	 value;			/* AQL_VALUE */
};

/*
 * Parse; bind is a VelocyPack object or NULL.  0, or an error number (1501,
 * 1502, 1551, 1552, 1553, 501) with a sentence in em.  Free the plan in any
 * case.
 */
int	aql_parse(const char *query, size_t len, const uint8_t *bind,
	    struct aql_plan *plan, struct err_msg *em);
void	aql_plan_free(struct aql_plan *plan);

#endif
