/*
 * crd_document.h - writing documents through a coordinator, for the files that
 * do it on behalf of something else (import, queries).
 */
#ifndef SANDBOX_CRD_DOCUMENT_H
#define SANDBOX_CRD_DOCUMENT_H

#include "sandbox/coordinator.h"
#include "sandbox/crd_transaction.h"
#include "sandbox/docop.h"

/*
 * Requests to shards of col: at once, or, in a transaction (trx not NULL), one
 * after another, because a DB-server takes one request of a transaction at a
 * time.  As crd_shard_calls() otherwise.  Waits.
 */
void	crd_document_calls(struct crd *c, const struct cl_collection *col,
	    struct crd_trx *trx, struct crd_call *calls, size_t ncalls,
	    unsigned flags);

/* What became of an array of documents. */
struct crd_array_result {
	struct buf		 body;		/* VelocyPack array, as arangod
						 * answers */
	struct docop_errors	 errors;
	bool			 waited;	/* all shards answered 200/201 */
};

/*
 * Carry out o for each element of the array, each on its shard.  Returns 0, or
 * an errnum when the request as a whole failed (em has the sentence).  Free
 * out->body in any case.  Waits.
 */
int	crd_document_array(struct crd *c, const struct cl_collection *col,
	    const struct docop_opts *o, struct crd_trx *trx,
	    const uint8_t *array, struct crd_array_result *out,
	    struct err_msg *em);

/* Checks that every write shares: 0, or answered and -1. */
int	crd_document_may_write(struct sb_req *r);

#endif
