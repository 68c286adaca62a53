/*
 * agent_log.h - the agent's log on its disk, in RocksDB.
 *
 * One key per entry, its index as 8 bytes big-endian; its value is JSON
 * {"query","clientId","term","epoch_millis"}.  The key "snapshot" holds the
 * whole key space at some index; entries up to there are kept for a while
 * for those who poll.  Every write is synced before it returns.
 *
 * To be opened after fork() only.
 */
#ifndef SANDBOX_AGENT_LOG_H
#define SANDBOX_AGENT_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

#include "base/err.h"
#include "sandbox/agency_store.h"

struct agent_log;

/* Opens or creates dir.  ERR_STORAGE and a sentence. */
int	agent_log_open(const char *dir, struct agent_log **out,
	    struct err_msg *m);
void	agent_log_close(struct agent_log **log);
/*
 * Fill an empty store.  *term is the highest one seen, *snapshot the index of
 * the snapshot (0: none).  ERR_STORAGE, or ERR_CORRUPT when entries are
 * missing or do not fit; a sentence says which.
 */
int	agent_log_load(struct agent_log *log, struct agency_store *store,
	    uint64_t *term, uint64_t *snapshot, struct err_msg *m);

/* Add an entry to the batch that the next agent_log_write() writes. */
void	agent_log_add(struct agent_log *log, const struct agency_entry *e);
bool	agent_log_has_pending(const struct agent_log *log);
/* Write and sync what was added.  After a failure the agent has to stop. */
int	agent_log_write(struct agent_log *log, struct err_msg *m);
/*
 * Write a snapshot of the store (everything added must have been written) and
 * drop the entries that nobody can poll any more.
 */
int	agent_log_compact(struct agent_log *log, struct agency_store *store,
	    uint64_t term, struct err_msg *m);
/* {"index","term","tree","ttl"} of the snapshot, or NULL.  Caller puts it. */
struct json_object *agent_log_snapshot(struct agent_log *log);

#endif
