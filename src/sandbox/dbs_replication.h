/* dbs_replication.h - what dbs_wal.c and dbs_replication.c share */
#ifndef SANDBOX_DBS_REPLICATION_H
#define SANDBOX_DBS_REPLICATION_H

#include "sandbox/dbs.h"

/* syncerId and serverId of a request; 0, or answered 400/10 and -1. */
int	dbs_client_id(struct sb_req *r, struct store_client_id *id);
bool	dbs_client_known(const struct store_client_id *id);
/* Numbers that arangod writes as strings. */
void	dbs_add_u64_text(struct json_object *o, const char *name, uint64_t v);
/* The time of now. */
void	dbs_add_time(struct json_object *o, const char *name);
/* {"version","serverId"[,"engine"]} */
struct json_object *dbs_server_info(struct dbs *d, bool engine);
/* Records of batches: those that ended; all. */
void	dbs_batches_expire(struct dbs *d);
void	dbs_batches_free(void);

#endif
