/*
 * crd_transaction.h - stream transactions on a coordinator.
 *
 * A transaction lives on the coordinator whose number is in its id; requests
 * that reach another one are forwarded.  It begins on a DB-server with the
 * first request that gets there (dbserver.h), and a DB-server that has
 * forgotten it answers 1655: a transaction never goes on with half its writes.
 */
#ifndef SANDBOX_CRD_TRANSACTION_H
#define SANDBOX_CRD_TRANSACTION_H

#include <stdbool.h>

#include "sandbox/coordinator.h"

struct crd_trx;

#define CRD_TRX_HEADER_MAX	80

/*
 * The transaction named by the request's x-arango-trx-id, exclusively ours
 * until crd_trx_release().  *trx is NULL when the request names none.  Returns
 * 0, or -1 when the request has been answered: unknown (1655), aborted (1654),
 * busy (28), collection not declared (1652), or forwarded.  Waits.
 */
int	crd_trx_acquire(struct sb_req *r, const struct cl_collection *col,
	    bool write, struct crd_trx **trx);
void	crd_trx_release(struct crd_trx **trx);
/*
 * Header line for a request to the DB-server with that id; the first one for a
 * server begins the transaction there.
 */
void	crd_trx_header(struct crd_trx *trx, const char *server_id,
	    char line[CRD_TRX_HEADER_MAX]);

/*
 * Ids of transactions and cursors: unique in the cluster, the coordinator's
 * number inside, and 0 modulo 4 as arangod's coordinators have it.
 */
uint64_t crd_owned_id_new(struct crd *c);
/* Base URL of the owner when it is another coordinator: the caller forwards. */
const char *crd_owned_id_elsewhere(struct crd *c, uint64_t id,
	    const char **server_id);

#endif
