/*
 * crd_ddl.h - changes of structure: write the Plan, wait until Current says
 * that the DB-servers have done it, undo it when they cannot.
 *
 * All functions wait and return an errnum (AE_OK or a number of errors.h) with
 * the client's sentence in em (empty: the number's own text).  Before they
 * return, this coordinator's copy of the agency has the change.
 *
 * Facts: arangod/Cluster/ClusterInfo.cpp, ClusterMethods.cpp,
 * ClusterIndexMethods.cpp; the order of writes in recorded agency logs.
 */
#ifndef SANDBOX_CRD_DDL_H
#define SANDBOX_CRD_DDL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "base/err.h"
#include "sandbox/coordinator.h"
#include "sandbox/crd_definition.h"

#define CRD_DDL_TIMEOUT_MS	240000
/* arangod waits up to 72 h for an index, and rolls it back then. */
#define CRD_INDEX_TIMEOUT_MS	(3600 * 1000)

/* What definitions in this database are judged by at the moment. */
void	crd_rules_of(struct crd *c, const char *db, struct crd_rules *rules);
/* Is the database a OneShard one? */
bool	crd_is_one_shard(struct crd *c, const char *db);

/*
 * Create n collections at once.  defs are of crd_define_collection(); they get
 * id, shards and the id of distributeShardsLike, which may name an earlier
 * member of defs.  wait_followers: until all followers are in sync too.
 * errnum 1207, 1228, 1484, 1486, 1457, what a DB-server reported, ...
 */
int	crd_create_collections(struct crd *c, const char *db,
	    struct json_object **defs, size_t n, bool wait_followers,
	    uint64_t deadline_ms, struct err_msg *em);
int	crd_drop_collection(struct crd *c, const struct cl_collection *col,
	    uint64_t deadline_ms, struct err_msg *em);
/* changes: attributes to set in the Plan entry, of crd_define_changes(). */
int	crd_change_collection(struct crd *c, const struct cl_collection *col,
	    struct json_object *changes, uint64_t deadline_ms,
	    struct err_msg *em);

/* options: {"sharding","replicationFactor","writeConcern"}.  errnum 1207. */
int	crd_create_database(struct crd *c, const char *db,
	    struct json_object *options, uint64_t deadline_ms,
	    struct err_msg *em);
int	crd_drop_database(struct crd *c, const char *db, uint64_t deadline_ms,
	    struct err_msg *em);

/*
 * Ensure an index.  def is of crd_define_index().  *result is the Plan entry
 * of the index, new or found (caller puts it); *created says which.  errnum
 * 1005, 1470, 1210, ...
 */
int	crd_create_index(struct crd *c, const struct cl_collection *col,
	    struct json_object *def, uint64_t deadline_ms,
	    struct json_object **result, bool *created, struct err_msg *em);
int	crd_drop_index(struct crd *c, const struct cl_collection *col,
	    const char *index_id, uint64_t deadline_ms, struct err_msg *em);

/* ---- for the files of this header ------------------------------------------ */

/*
 * Commit and wait until our copy has it.  0, ERR_BAD_STATE (a precondition
 * failed, and the copy has had a moment to catch up with the reason) or as
 * agency_commit().
 */
int	crd_commit(struct crd *c, struct agency_trx *t, uint64_t deadline_ms);
/* The errnum for what crd_commit() returned. */
int	crd_agency_errnum(int r);

/* ---- crd_bootstrap.c ------------------------------------------------------- */

/*
 * Make _system and its collections unless that was done; otherwise wait for
 * whoever does it.  0 or ERR_TIMEOUT.
 */
int	crd_bootstrap(struct crd *c, uint64_t deadline_ms);
/* The system collections that a database lacks, with their indexes. */
int	crd_create_system_collections(struct crd *c, const char *db,
	    uint64_t deadline_ms, struct err_msg *em);
/* A name for an index that was given none; static buffer. */
const char *crd_index_name(struct crd *c);

#endif
