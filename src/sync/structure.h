/*
 * structure.h - what a cluster consists of, in a form in which two clusters
 * can be compared: names instead of ids, defaults dropped, members sorted.
 *
 * Made from the agency's Plan (R19) of either cluster; travels as JSON.  This
 * step: databases, collections, indexes.
 *
 * What is being built or removed there is listed but marked: it is neither
 * there nor absent, so it causes no step.  A Plan that does not fit together
 * is an error, never half a structure, because absence means dropping.
 *
 * Facts: target reference 1, 2.2, 3.2, 0.1; source reference 3.7, 3.8, 10.
 */
#ifndef SYNC_STRUCTURE_H
#define SYNC_STRUCTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct json_object;

/* Which way the content of a collection goes. */
enum structure_kind {
	STRUCTURE_DATA,		/* shard to shard; made, changed and dropped */
	STRUCTURE_SYSTEM,	/* content only, by content (R12): the target
				 * makes it itself */
	STRUCTURE_BACKUP,	/* as SYSTEM, into a collection of another name,
				 * which we make */
	STRUCTURE_API,		/* through an API of its own (_analyzers) */
	STRUCTURE_NEVER,	/* each cluster has its own */
	STRUCTURE_SMART_CHILD	/* hidden part of a smart edge collection */
};

struct structure_index {
	char			*name;
	bool			 auto_name;	/* "idx_1234" */
	struct json_object	*def;		/* what POST takes, without
						 * defaults */
	char			*text;		/* def without name, sorted */
};

struct structure_coll {
	char			*name;
	char			*target_name;	/* "_jobsbackup" for "_jobs" */
	char			*cid;
	enum structure_kind	 kind;
	bool			 pending;	/* being built or removed */
	int			 type;		/* 2 or 3 */
	bool			 system;
	int64_t			 shards;	/* numberOfShards; 0: virtual,
						 * smart edges */
	char			*shard_keys;	/* JSON array as text */
	char			*strategy;
	char			*like;		/* name of prototype, or NULL */
	/* 0: satellite.  Not looked at with `like`. */
	int64_t			 replication_factor, write_concern;
	bool			 smart, disjoint, smart_child;
	/* Changeable ones but the two above, and fixed ones; defaults are
	 * left out. */
	struct json_object	*changeable;
	struct json_object	*fixed;
	struct structure_index	*indexes;	/* by name */
	size_t			 nindexes;
	bool			 index_pending;	/* one is being built */
};

struct structure_db {
	char			*name;
	bool			 pending;
	bool			 replication2;	/* refused by name */
	struct json_object	*options;	/* sharding, replicationFactor,
						 * writeConcern */
	struct structure_coll	*colls;		/* in the order in which they
						 * can be made */
	size_t			 ncolls;
};

struct structure {
	char			*cluster_id;	/* "" when not known */
	uint64_t		 version;	/* of the Plan */
	struct structure_db	*dbs;		/* by name, _system last */
	size_t			 ndbs;
};

/*
 * From {"Databases":..,"Collections":..,"Version":..}, the value at
 * arango/Plan.  0, or ERR_FORMAT with the path in m.
 */
int	structure_from_plan(struct json_object *plan, const char *cluster_id,
	    struct structure **st, struct err_msg *m);
/* From what structure_to_json() made, on the other side. */
int	structure_from_json(struct json_object *o, struct structure **st,
	    struct err_msg *m);
struct json_object *structure_to_json(const struct structure *st);
void	structure_free(struct structure **st);

struct structure_db *structure_db(const struct structure *st,
	    const char *name);
struct structure_coll *structure_coll(const struct structure_db *db,
	    const char *name);
struct structure_index *structure_index(const struct structure_coll *c,
	    const char *name);

/*
 * What is done with a collection of this name; *target (may be NULL) gets the
 * name at the target: static storage or name itself.  Names that begin with
 * _local_, _from_ or _to_ are data unless they are smart children (R20).
 */
enum structure_kind structure_kind(const char *name, const char **target);
const char *structure_kind_name(enum structure_kind k);
/*
 * Do the records of source shard i go to the leader of target shard i (R12)?
 * Else through a coordinator, by content.
 */
bool	structure_one_to_one(const struct structure_coll *source,
	    const struct structure_coll *target);
/*
 * A definition of an index without what servers add and without defaults, as a
 * new object; NULL for those that make themselves (primary, edge, links of
 * views).
 */
struct json_object *structure_index_normal(struct json_object *def);
/* JSON with sorted members, for comparing; the caller frees it. */
char	*structure_text(struct json_object *o);

#endif
