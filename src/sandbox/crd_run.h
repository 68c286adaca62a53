/* crd_run.h - carries out the plan of a query (crd_aql.h) */
#ifndef SANDBOX_CRD_RUN_H
#define SANDBOX_CRD_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "sandbox/coordinator.h"
#include "sandbox/crd_aql.h"
#include "sandbox/crd_transaction.h"

/* Values that were found, one slice behind the other. */
struct crd_rows {
	struct buf	 data;
	uint64_t	 count;
};

/* One execution of a plan.  The caller fills the first part. */
struct crd_run {
	struct crd	*c;
	const struct cl_collection *col;	/* NULL for AQL_VALUE */
	struct crd_trx	*trx;		/* or NULL */
	struct aql_plan	*plan;
	bool		 count_all;	/* fullCount: go on behind the LIMIT */

	struct crd_rows	 rows;		/* the caller frees rows.data */
	uint64_t	 counted;	/* AQL_COUNT, AQL_REMOVE */
	uint64_t	 passed;	/* rows without the LIMIT */
	int		 err;		/* errnum */

	uint64_t	 skip, take;	/* LIMIT that is left */
};

/* Waits. */
void	crd_run_execute(struct crd_run *x);

#endif
