/*
 * topology.h - what a cluster consists of, from one consistent read of the
 * agency: databases, collections, shards, who leads, which servers.
 *
 * Immutable and counted.  Everything inside lives as long as the topology.
 * A Plan that does not fit together is an error, never half a topology;
 * attributes that we do not know stay in the JSON definitions.
 *
 * Facts: source reference 2.5, 3.7 to 3.9, 5.2 to 5.4.
 */
#ifndef ARANGO_TOPOLOGY_H
#define ARANGO_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arango/conn.h"
#include "base/err.h"
#include "base/map.h"

struct arango_agency;
struct json_object;

enum topo_health {
	TOPO_HEALTH_UNKNOWN,
	TOPO_HEALTH_GOOD,
	TOPO_HEALTH_BAD,
	TOPO_HEALTH_FAILED
};

struct topo_server {
	const char		*id;		/* "PRMR-..." */
	const char		*endpoint;	/* "" when not registered */
	const char		*advertised;	/* "" when there is none */
	const char		*short_name;	/* "DBServer0001" or "" */
	const char		*host;		/* "" when not known */
	const char		*version;	/* "3.11.8" or "" */
	enum arango_role	 role;
	enum topo_health	 health;
	uint64_t		 reboot_id;	/* 0: not known */
	bool			 in_plan;	/* of servers */
};

struct topo_shard {
	const char		*name;		/* "s10050" */
	uint64_t		 number;	/* 10050 */
	const char		*cuid;		/* "c10049/s10050" */
	size_t			 index;		/* in its collection */
	struct topo_collection	*coll;
	const char		**plan;		/* server ids, leader first, '_'
						 * taken away */
	size_t			 nplan;
	const char		**current;	/* in sync, leader first */
	size_t			 ncurrent;
	/* Leads and may be read and written; NULL: nobody just now (resigned,
	 * '_', or Current says nothing). */
	const char		*leader;
	/* Plan and Current agree on the leader, and it has not resigned. */
	bool			 settled;
	bool			 in_sync;	/* all of Plan is in Current */
};

struct topo_collection {
	const char		*cid;		/* "10049" */
	uint64_t		 id;
	const char		*name;
	struct topo_database	*db;
	int			 type;		/* 2 documents, 3 edges */
	bool			 system;
	bool			 building;	/* not to be used yet */
	bool			 deleted;
	bool			 smart, smart_child, disjoint;
	bool			 rev_trees;	/* syncByRevision and
						 * usesRevisionsAsDocumentIds */
	const char		*like_cid;	/* distributeShardsLike */
	struct topo_collection	*like;		/* the same, NULL if it is not
						 * there */
	const char		**shard_keys;
	size_t			 nshard_keys;
	const char		*strategy;	/* "" when absent */
	int64_t			 replication_factor;	/* 0: satellite */
	int64_t			 write_concern;
	struct topo_shard	*shards;	/* in the order of numbers */
	size_t			 nshards;
	struct json_object	*def;		/* as in the Plan */
};

struct topo_view {
	const char		*id;
	const char		*name;
	const char		*type;
	bool			 building, deleted;
	struct json_object	*def;
};

struct topo_database {
	const char		*name;
	const char		*id;
	bool			 building;
	bool			 replication2;	/* not for us */
	uint64_t		 analyzers_revision;
	bool			 analyzers_building;
	struct topo_collection	*colls;		/* by name, building and deleted
						 * ones too */
	size_t			 ncolls;
	struct topo_view	*views;		/* by name */
	size_t			 nviews;
	struct json_object	*def;
};

struct arango_topology {
	const char		*cluster_id;	/* "" when absent */
	uint64_t		 plan_version, current_version, user_version;
	bool			 readonly;
	bool			 maintenance;	/* Supervision/Maintenance */
	struct topo_database	*dbs;		/* by name */
	size_t			 ndbs;
	struct topo_server	*servers;	/* by id */
	size_t			 nservers;
	size_t			 nshards;	/* of all collections */
	/* private */
	unsigned		 refs;
	struct json_object	*root;
	struct map		 by_cuid;
};

/*
 * From {"arango":{...}}: what arango_agency_read() gives, or the "agency"
 * member of a dump.  0, or ERR_FORMAT / ERR_NOT_FOUND with path and reason.
 */
int	arango_topology_make(struct json_object *root,
	    struct arango_topology **t, struct err_msg *m);
/*
 * From text: an answer of agency/read, the object itself, or a whole dump
 * (agency-dump of a coordinator: {"agency":{...},"log":...}).
 */
int	arango_topology_parse(const char *text, size_t len,
	    struct arango_topology **t, struct err_msg *m);
/*
 * Read it now, in one transaction, and tell the cluster of its servers'
 * endpoints (arango_server_put()).  Waits.
 */
int	arango_topology_read(struct arango_agency *ag,
	    struct arango_topology **t, struct err_msg *m);
struct arango_topology *arango_topology_hold(struct arango_topology *t);
void	arango_topology_release(struct arango_topology **t);

/* NULL when there is none of that name. */
struct topo_database *arango_topology_db(const struct arango_topology *t,
	    const char *name);
struct topo_collection *topo_database_coll(const struct topo_database *db,
	    const char *name);
struct topo_collection *topo_database_coll_by_cid(
	    const struct topo_database *db, const char *cid);
/* Any database; cuid as in the WAL, "c<cid>/<shard>", need not end in NUL. */
struct topo_shard *arango_topology_shard(const struct arango_topology *t,
	    const char *cuid, size_t len);
struct topo_server *arango_topology_server(const struct arango_topology *t,
	    const char *id);

#endif
