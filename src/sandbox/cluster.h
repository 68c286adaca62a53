/*
 * cluster.h - Plan and Current as structs, over the agency's local copy.
 *
 * Parsed objects are immutable.  A change in the agency makes new ones and
 * leaves those alone that did not change.  Lookups return borrowed pointers
 * that are valid until the fiber waits; who needs one longer takes a reference
 * with cl_collection_ref() (and then works with an older truth).
 *
 * Lookups need no fiber; cluster_wait*() do.
 */
#ifndef SANDBOX_CLUSTER_H
#define SANDBOX_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

struct agency;
struct cluster;

/* A list of server ids. */
struct cl_servers {
	size_t	 n;
	char	**id;
};

struct cl_shard {
	char			*name;		/* "s10050" */
	uint64_t		 number;	/* 10050 */
	/*
	 * Plan: leader first.  Ids are without the '_' of a leader that is
	 * told to resign; plan_resign says that it was there.
	 */
	struct cl_servers	 plan;
	bool			 plan_resign;
	/* Current: servers[0] leads, the others are in sync; may be empty
	 * (not created yet).  Again without '_'. */
	struct cl_servers	 current;
	bool			 current_resigned;	/* "_PRMR-.." */
	struct json_object	*current_json;	/* the entry, or NULL */
	/*
	 * Who leads now: current.id[0] unless it has resigned, else NULL.
	 */
	const char		*leader;
};

struct cl_collection {
	unsigned	 refs;
	char		*db;
	char		*cid;		/* "10049" */
	uint64_t	 id;
	char		*name;
	int		 type;		/* 2 documents, 3 edges */
	bool		 is_system;
	bool		 is_building;	/* to be hidden from users */
	bool		 deleted;
	bool		 wait_for_sync;
	bool		 is_smart;
	int		 replication_factor;	/* satellite: 0 */
	bool		 satellite;
	int		 write_concern;
	char		*sharding_strategy;	/* "hash" */
	char		*distribute_shards_like; /* cid, or NULL */
	size_t		 nshard_keys;
	char		**shard_keys;
	/* Ordered by number, which is the order the shard hash means. */
	size_t		 nshards;
	struct cl_shard	*shards;
	struct json_object *indexes;	/* array of the sound ones */
	struct json_object *definition;	/* Plan's whole entry; read only */
};

struct cl_server {
	char		*id;
	char		*short_name;	/* "DBServer0001"; "" unknown */
	char		*endpoint;	/* as registered: tcp://h:8539 */
	char		*url;		/* http://127.0.0.1:8539, for sb_call */
	bool		 is_dbserver;	/* else coordinator */
	bool		 is_good;	/* Supervision/Health Status GOOD; also
					 * while nobody has judged it yet */
	bool		 is_failed;	/* in Target/FailedServers, or FAILED */
	uint64_t	 reboot_id;
	unsigned	 number;	/* 1 of DBServer0001; 0 unknown */
};

int	cluster_new(struct agency *a, struct cluster **out);
void	cluster_free(struct cluster **c);
struct agency *cluster_agency(struct cluster *c);

uint64_t cluster_plan_version(struct cluster *c);
uint64_t cluster_current_version(struct cluster *c);
bool	cluster_is_readonly(struct cluster *c);
/* UUID of the cluster; "" unknown. */
const char *cluster_id(struct cluster *c);

/* ---- databases ---------------------------------------------------------- */

/* Plan's entry of a database ({"name","id",..}), or NULL.  Borrowed.  One that
 * is being built is not returned unless building is true. */
struct json_object *cluster_database(struct cluster *c, const char *db,
	    bool building);
bool	cluster_db_exists(struct cluster *c, const char *db);
/* Names of all databases, sorted; "building" ones left out.  Array of strings
 * owned by the cluster, until the fiber waits. */
size_t	cluster_databases(struct cluster *c, const char *const **names);

/* ---- collections -------------------------------------------------------- */

/*
 * By name or decimal cid, as arangod resolves them in URLs: a name begins with
 * a letter or '_' (or anything that is no digit).  Those being built are not
 * found by cluster_collection(), but by the other two.
 */
const struct cl_collection *cluster_collection(struct cluster *c,
	    const char *db, const char *name_or_cid);
const struct cl_collection *cluster_collection_by_cid(struct cluster *c,
	    const char *db, const char *cid);
const struct cl_collection *cluster_collection_by_name(struct cluster *c,
	    const char *db, const char *name);
/* The collection that a shard belongs to, and its index; NULL: unknown. */
const struct cl_collection *cluster_collection_of_shard(struct cluster *c,
	    const char *db, const char *shard, size_t *index);
/*
 * All collections of a database (db NULL: of all databases), ordered by
 * database, then numeric cid; those being built included.  Array owned by the
 * cluster, until the fiber waits or the function is called again.
 */
size_t	cluster_collections(struct cluster *c, const char *db,
	    const struct cl_collection *const **list);

const struct cl_collection *cl_collection_ref(const struct cl_collection *col);
void	cl_collection_unref(const struct cl_collection **col);
/* Index of a shard by name in the collection, or -1. */
long	cl_collection_shard_index(const struct cl_collection *col,
	    const char *shard);
bool	cl_servers_contain(const struct cl_servers *list, const char *id);

/* ---- servers ------------------------------------------------------------ */

const struct cl_server *cluster_server(struct cluster *c, const char *id);
const struct cl_server *cluster_server_by_short_name(struct cluster *c,
	    const char *short_name);
/* Coordinator or DB-server by the number of its short name; NULL: none. */
const struct cl_server *cluster_server_by_number(struct cluster *c,
	    bool dbserver, unsigned number);
/* "http://127.0.0.1:8539" of a server id, or NULL. */
const char *cluster_url(struct cluster *c, const char *id);
/* All known servers of one kind, ordered by short name; good_only: leave out
 * those that are not GOOD.  Array owned by the cluster, as above. */
size_t	cluster_servers(struct cluster *c, bool dbservers, bool good_only,
	    const struct cl_server *const **list);

/* ---- waiting ------------------------------------------------------------ */

/*
 * Until pred(c, arg) is true, looked at now and after each change of the local
 * copy.  0 or ERR_TIMEOUT.  Waits.
 */
int	cluster_wait(struct cluster *c, bool (*pred)(struct cluster *c,
	    void *arg), void *arg, uint64_t deadline_ms);
/* Until something changed (any key).  0 or ERR_TIMEOUT.  Waits. */
int	cluster_wait_change(struct cluster *c, uint64_t deadline_ms);

/* ---- pieces of JSON that servers share ---------------------------------- */

/* "tcp://..." or "ssl://..." as "http://..." or "https://..."; static
 * buffers, 4 in turn. */
const char *cluster_endpoint_url(const char *endpoint);

#endif
