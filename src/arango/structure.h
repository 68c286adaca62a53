/*
 * structure.h - databases, collections, indexes and the state of servers,
 * through the coordinators.  All functions wait.
 *
 * Errors: 0, or negative with a sentence in m; *num (may be NULL) gets
 * arangod's number, for arango_react().  What is there already (create) or is
 * not there (drop) is success, as said at each.
 *
 * Facts: target reference 1, 2, 3, 10; source reference 2.6, 4.2, 9.
 */
#ifndef ARANGO_STRUCTURE_H
#define ARANGO_STRUCTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct arango;
struct arango_server;
struct json_object;

/* ---- databases ---------------------------------------------------------- */

/*
 * options: replicationFactor, sharding, writeConcern are taken out of it, the
 * rest is ignored; NULL: the server's defaults.  Existing: ERR_EXISTS.
 */
int	arango_database_create(struct arango *a, const char *name,
	    struct json_object *options, int *num, struct err_msg *m);
/* Absent: 0. */
int	arango_database_drop(struct arango *a, const char *name, int *num,
	    struct err_msg *m);
/* Array of names; the caller's. */
int	arango_database_list(struct arango *a, struct json_object **names,
	    struct err_msg *m);
/* Properties as of GET /_api/database/current; the caller's. */
int	arango_database_get(struct arango *a, const char *name,
	    struct json_object **props, int *num, struct err_msg *m);

/* ---- collections -------------------------------------------------------- */

/*
 * Create from a definition of the Plan or of an inventory: the attributes that
 * survive are taken out of it, everything else is left away.
 * distribute_like: name of the prototype or NULL (the Plan has its id, so it is
 * never taken from the definition).  edition community: what only the
 * Enterprise Edition takes is rewritten as arangod's own restore does.
 * Existing: ERR_EXISTS.
 */
int	arango_collection_create(struct arango *a, const char *db,
	    struct json_object *def, const char *distribute_like,
	    bool community, int *num, struct err_msg *m);
/* The body that it sends, without sending it; the caller's. */
struct json_object *arango_collection_body(struct json_object *def,
	    const char *distribute_like, bool community);
/* Absent: 0.  System collections too. */
int	arango_collection_drop(struct arango *a, const char *db,
	    const char *name, int *num, struct err_msg *m);
/* Those of waitForSync, schema, replicationFactor, writeConcern,
 * computedValues, cacheEnabled that are in props. */
int	arango_collection_change(struct arango *a, const char *db,
	    const char *name, struct json_object *props, int *num,
	    struct err_msg *m);
int	arango_collection_get(struct arango *a, const char *db,
	    const char *name, struct json_object **props, int *num,
	    struct err_msg *m);
/* Name of the shard for a document with all shard keys; free() it. */
int	arango_responsible_shard(struct arango *a, const char *db,
	    const char *name, struct json_object *doc, char **shard,
	    int *num, struct err_msg *m);
/* `to` NULL: the collection, at a coordinator; else a shard, at its server. */
int	arango_collection_count(struct arango *a, struct arango_server *to,
	    const char *db, const char *name, uint64_t *count, int *num,
	    struct err_msg *m);
int	arango_collection_checksum(struct arango *a, struct arango_server *to,
	    const char *db, const char *name, bool with_revisions,
	    bool with_data, uint64_t *checksum, int *num, struct err_msg *m);
/* The inventory of a database as a coordinator tells it (views are only
 * there); the caller's. */
int	arango_inventory(struct arango *a, const char *db,
	    struct json_object **inv, int *num, struct err_msg *m);

/* ---- indexes ------------------------------------------------------------ */

/* Array of definitions, primary and edge included; the caller's. */
int	arango_index_list(struct arango *a, const char *db, const char *coll,
	    struct json_object **indexes, int *num, struct err_msg *m);
/*
 * From a definition; ids and what servers add are left away.  0 and *created
 * (may be NULL) false when an equal one is there, whatever its name.  Takes as
 * long as building takes.
 */
int	arango_index_create(struct arango *a, const char *db,
	    const char *coll, struct json_object *def, bool *created,
	    int *num, struct err_msg *m);
struct json_object *arango_index_body(struct json_object *def);
/* By name; absent: 0. */
int	arango_index_drop(struct arango *a, const char *db, const char *coll,
	    const char *name, int *num, struct err_msg *m);

/* ---- servers and state -------------------------------------------------- */

struct arango_version {
	char	 text[64];	/* "3.11.8" */
	int	 major, minor, patch;
	bool	 enterprise;	/* as the licence says */
	bool	 features;	/* what Enterprise can: that, or >= 3.12.5 */
};
/* "3.12.0-rc.1" -> numbers; 0 or ERR_FORMAT.  Does not wait. */
int	arango_version_parse(const char *text, struct arango_version *v);
int	arango_version(struct arango *a, struct arango_server *to,
	    struct arango_version *v, struct err_msg *m);
/* COORDINATOR, PRIMARY, AGENT, SINGLE. */
int	arango_server_role(struct arango *a, struct arango_server *to,
	    char role[32], struct err_msg *m);
/* /_admin/cluster/health; the caller's. */
int	arango_health(struct arango *a, struct json_object **health,
	    struct err_msg *m);
/*
 * ClusterId from the health; servers that it names are put into `a`.
 * free() it.
 */
int	arango_discover(struct arango *a, char **cluster_id,
	    struct err_msg *m);
/* `to` NULL: a coordinator. */
int	arango_mode_get(struct arango *a, struct arango_server *to,
	    bool *readonly, struct err_msg *m);
/* Of the whole cluster; servers follow within seconds. */
int	arango_mode_set(struct arango *a, bool readonly, struct err_msg *m);
/* The TTL thread of one DB-server (R18). */
int	arango_ttl_get(struct arango *a, struct arango_server *to,
	    bool *active, struct err_msg *m);
int	arango_ttl_set(struct arango *a, struct arango_server *to,
	    bool active, struct err_msg *m);

/* ---- what still writes (R22) -------------------------------------------- */

/*
 * Running stream transactions of all given databases (ended by NULL): their
 * number, and the ids of some in `what` (may be NULL).
 */
int	arango_transactions(struct arango *a, const char *const *dbs,
	    size_t *count, struct err_msg *what, struct err_msg *m);
/*
 * Running queries on all coordinators that may write; before 3.12 nobody says
 * which do, so all count that are not plainly reading.
 */
int	arango_writing_queries(struct arango *a, size_t *count,
	    struct err_msg *what, struct err_msg *m);

#endif
