/*
 * crd_definition.h - what a coordinator makes of definitions that clients
 * send: names, collections, indexes.  Pure: no agency, no waiting.
 *
 * Functions that return an "errnum" give AE_OK or a number of errors.h, with
 * the client's sentence in em (empty: the number's own text).
 *
 * Facts: arangod's CollectionNameValidator, ShardingInfo.cpp, Collections.cpp,
 * LogicalCollection.cpp, KeyGenerator.cpp, IndexFactory.cpp, and the Plan
 * entries of recorded agency dumps.
 */
#ifndef SANDBOX_CRD_DEFINITION_H
#define SANDBOX_CRD_DEFINITION_H

#include <stdbool.h>
#include <stddef.h>

#include <json-c/json.h>

#include "base/err.h"
#include "sandbox/errors.h"

/* arangod's defaults of the options --cluster.* */
#define CRD_MAX_SHARDS		1000
#define CRD_MIN_REPLICATION	1
#define CRD_MAX_REPLICATION	10
#define CRD_SYSTEM_REPLICATION	2

/* What a definition is judged by. */
struct crd_rules {
	int		 version;	/* 31108 */
	bool		 enterprise;
	size_t		 dbservers;	/* that are there */
	bool		 enforce;	/* enforceReplicationFactor */
	/* of the database, when the definition says nothing */
	int		 replication_factor;
	int		 write_concern;
};

/* From 3.12.5 the Community edition has what was Enterprise's. */
bool	crd_has_enterprise(const struct crd_rules *rules);

/* ---- names ----------------------------------------------------------------- */

/*
 * Traditional names; from 3.12 also extended ones (UTF-8 without '/', ':' and
 * control characters, not beginning with a digit, '.' or '_').
 */
bool	crd_database_name_ok(const char *name, int version);
bool	crd_collection_name_ok(const char *name, bool system, int version);
bool	crd_index_name_ok(const char *name, int version);

/* ---- collections ----------------------------------------------------------- */

/*
 * The Plan entry for a body of POST /_api/collection: every attribute but id
 * and shards; distributeShardsLike is still the name that was given.  The
 * caller puts *def.
 */
int	crd_define_collection(const struct crd_rules *rules,
	    struct json_object *body, struct json_object **def,
	    struct err_msg *em);
/*
 * The changes that a body of PUT properties makes to a Plan entry: *changes is
 * an object of attributes to set, all checked.  errnum 1487, 11, 10, 1621 ...
 */
int	crd_define_changes(const struct crd_rules *rules,
	    struct json_object *def, struct json_object *body,
	    struct json_object **changes, struct err_msg *em);
/*
 * Take over what a collection has to share with its prototype: number of
 * shards, replication factor, strategy.  errnum: 10 when shard keys differ in
 * number.
 */
int	crd_define_like(struct json_object *def, struct json_object *prototype,
	    struct err_msg *em);

/* ---- indexes --------------------------------------------------------------- */

/*
 * The normalised definition for a body of POST /_api/index: name, type and
 * what belongs to that type, with defaults; id when the body has a usable one.
 * generated is the name for an index that brings none.
 */
int	crd_define_index(const struct crd_rules *rules,
	    struct json_object *body, const char *generated,
	    struct json_object **def, struct err_msg *em);
/* Do two normalised definitions mean the same index?  Names and ids are not
 * looked at. */
bool	crd_index_equal(struct json_object *a, struct json_object *b);
/* Have they the same id or name? */
bool	crd_index_clashes(struct json_object *a, struct json_object *b);
/* The system indexes of a collection of that type, as in the Plan. */
struct json_object *crd_system_indexes(int type);

#endif
