/*
 * cluster_priv.h - the inside of struct cluster, for cluster.c and
 * cluster_parse.c.
 */
#ifndef SANDBOX_CLUSTER_PRIV_H
#define SANDBOX_CLUSTER_PRIV_H

#include "base/map.h"
#include "sandbox/agency.h"
#include "sandbox/cluster.h"

struct cl_db {
	char		*name;
	struct map	 by_cid;	/* owns the references */
	struct map	 by_name;
	struct map	 by_shard;
};

struct cluster {
	struct agency	*agency;
	struct map	 dbs;		/* name -> struct cl_db */
	struct map	 dirty;		/* "db/cid" to be parsed anew */
	bool		 all_dirty;
	/* answer of cluster_collections() */
	const struct cl_collection **list;
	size_t		 nlist;
	bool		 list_stale;
	/* answer of cluster_databases() */
	const char	**names;
	size_t		 nnames;
	bool		 names_dirty;
	/* servers, ordered by kind and short name */
	struct cl_server *servers;
	size_t		 nservers;
	const struct cl_server **picked; /* answer of cluster_servers() */
	bool		 servers_dirty;
};

/* def is an object of Plan, cur one of Current or NULL; NULL: no collection. */
struct cl_collection *cl_collection_parse(const char *db, const char *cid,
	    struct json_object *def, struct json_object *cur);
void	cluster_servers_free(struct cluster *c);

#endif
