/*
 * store.h - the storage engine of a DB-server: shards with their documents
 * and indexes in one RocksDB, whose write-ahead log is what `wal/tail` shows.
 * No HTTP and no agency in here; the log is read through store_wal.h, clients
 * that hold it are in store_clients.h.
 *
 * One thread.  Open the store in the process that uses it, never before a
 * fork: a child's writes would go into the parent's log.
 *
 * Return values: 0, a negative number of base/err.h (mostly ERR_STORAGE: see
 * store_error()), or, from everything that clients can cause, a positive
 * error number of sandbox/errors.h such as AE_CONFLICT.
 *
 * How writes reach the log
 *
 *	Operations of single requests append to one pending batch, which later
 *	reads of this process see.  store_commit_pending(), called at the end
 *	of a loop iteration and before anything is answered, writes it as ONE
 *	RocksDB batch: so requests that ran together lie in one log record, as
 *	concurrent writers' do in arangod (rule R1).  A stream transaction has a
 *	batch of its own, which joins the pending one when it commits.
 *
 * What is where, one key space, integers big-endian:
 *
 *	d <object:8> <rev:8>		-> document
 *	p <object:8> <_key>		-> rev:8
 *	u <index:8> <values>		-> rev:8 _key
 *	i <index:8> <values> <rev:8>	-> _key
 *	c <object:8>			-> count:8 maxrev:8
 *	m ...				-> databases, shards, serverId, counters
 *
 * Documents are stored by revision and nobody looks whether that place is
 * free: two keys with one _rev share a body.  arangod does the same.
 */
#ifndef SANDBOX_STORE_H
#define SANDBOX_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "sandbox/errors.h"
#include "vpack/vpack.h"

struct store;
struct store_tx;
struct store_scan;
struct store_snap;

/* ---- open and close ----------------------------------------------------- */

struct store_opts {
	size_t		 ring_bytes;	/* recent log in memory; 0: 64 MiB */
	size_t		 memtable_bytes; /* and of a log file; 0: 64 MiB */
	size_t		 cache_bytes;	/* block cache; 0: 64 MiB */
	uint32_t	 prune_delay_ms; /* no pruning before; 0: 60 s */
	int		 version;	/* 31108 for 3.11.8; 0: that */
};

/*
 * Open or create dir (its parent must exist).  opts may be NULL.  On failure a
 * negative number and a sentence in em.
 */
int	store_open(const char *dir, const struct store_opts *opts,
	    struct store **out, struct err_msg *em);
/* Writes what is pending, syncs, closes.  Ends open scans, snapshots and
 * transactions as well: their handles are dead afterwards. */
void	store_close(struct store **st);
/* The last sentence that RocksDB said with an ERR_STORAGE. */
const char *store_error(const struct store *st);

/* Number of the data directory, made when it was created (15 digits). */
uint64_t store_server_id(const struct store *st);
/* Largest revision ever stored here: a clock must start above it. */
uint64_t store_max_rev(const struct store *st);

/* ---- commit and durability ---------------------------------------------- */

/* Anything pending? */
bool	store_is_pending(const struct store *st);
/*
 * Write what is pending as one log record.  0 or ERR_STORAGE; after a failure
 * the process must end, because memory is ahead of the disk.
 */
int	store_commit_pending(struct store *st);
/* Bytes pending, so that a loop can commit early. */
size_t	store_pending_bytes(const struct store *st);
/* Anything written and not synced? */
bool	store_is_dirty(const struct store *st);
/*
 * Make all that was committed durable (fsync of the log) and note how far;
 * commits first.  Call it each 100 ms when dirty, and for waitForSync.
 */
int	store_sync(struct store *st);
/*
 * Newest tick (RocksDB sequence number).  Commits what is pending first, so
 * all that was done before is at or below it.
 */
uint64_t store_last_tick(struct store *st);

/*
 * For the supervisor, after the process was killed and before it is started
 * again: cut the log of dir back to what the last store_sync() noted, so that
 * unsynced writes are gone and their ticks will be given out again.  Does not
 * open RocksDB.  0 or a negative error with a sentence.
 */
int	store_power_cut(const char *dir, struct err_msg *em);

/* ---- databases ---------------------------------------------------------- */

struct store_db {
	uint64_t	 id;		/* local */
	char		*name;
	const uint8_t	*props;		/* object: "name", "id", ... */
	/* private */
	uint8_t		*raw;
	struct store_db	*next;
};

/*
 * props: an object that goes into the 1100 marker (NULL: {"name","id"}).
 * AE_DUPLICATE_NAME when it exists.  "_system" is created by nobody else
 * either.
 */
int	store_db_create(struct store *st, const char *name,
	    const uint8_t *props, struct store_db **out);
/* Drops its shards too.  AE_DATABASE_NOT_FOUND. */
int	store_db_drop(struct store *st, const char *name);
struct store_db *store_db_find(struct store *st, const char *name);
/* First database, then ->next. */
struct store_db *store_db_first(struct store *st);

/* ---- shards ------------------------------------------------------------- */

enum store_index_kind {
	STORE_INDEX_META,		/* kept and shown, not maintained */
	STORE_INDEX_PLAIN,		/* persistent, hash, skiplist */
	STORE_INDEX_UNIQUE
};

struct store_index {
	uint64_t	 id;		/* as in the definition */
	enum store_index_kind kind;
	char		*name;
	char		*type;
	bool		 unique;
	bool		 sparse;
	size_t		 nfields;
	char		**fields;
	const uint8_t	*def;		/* whole definition, an object */
	/* private */
	uint64_t	 object;	/* in keys */
	uint8_t		*raw;
};

struct store_shard {
	struct store_db	*db;
	char		*name;		/* "s10050" */
	uint64_t	 cid;		/* planId: id of the collection */
	char		*guid;		/* "c10049/s10050" */
	uint64_t	 id;		/* local id, never used twice */
	int		 type;		/* 2 document, 3 edge */
	char		*collection;	/* name of the cluster collection */
	const uint8_t	*props;		/* definition, without "indexes" */
	size_t		 nindexes;
	struct store_index **indexes;
	void		*user;		/* the DB-server's own; not touched */
	/* private */
	uint8_t		*raw;
	uint64_t	 count;		/* with what is pending */
	uint64_t	 max_rev;
	bool		 counter_dirty;
	unsigned int	 pins;
	struct store_shard *next;
};

/*
 * props is an object with what the Plan says of the collection ("name" is the
 * cluster collection's name, "type" 2 or 3, ...; copied, "indexes" in it is
 * left out: create them one by one).  AE_DUPLICATE_NAME,
 * AE_DATABASE_NOT_FOUND.  Commits at once.
 */
int	store_shard_create(struct store *st, const char *db, const char *name,
	    uint64_t cid, const uint8_t *props, struct store_shard **out);
/*
 * Remove the shard with its data; *sh is set to NULL.  Snapshots, scans and
 * stream transactions that use it fail with AE_DATA_SOURCE_NOT_FOUND from then
 * on.
 */
int	store_shard_drop(struct store *st, struct store_shard **sh);
/* New definition (marker 2003), whole, as at creation. */
int	store_shard_change(struct store *st, struct store_shard *sh,
	    const uint8_t *props);
/* Pointers stay valid until the shard is dropped.  NULL: not here. */
struct store_shard *store_shard_find(struct store *st, const char *db,
	    const char *name);
struct store_shard *store_shard_by_guid(struct store *st, const char *guid);
struct store_shard *store_shard_by_id(struct store *st, uint64_t id);
/* All shards: NULL for the first, then the one before. */
struct store_shard *store_shard_next(struct store *st,
	    const struct store_shard *after);

/* Number of documents; tx (may be NULL) adds its own. */
uint64_t store_shard_count(const struct store_shard *sh,
	    const struct store_tx *tx);
/* Largest revision stored, 0 when empty and never written. */
static inline uint64_t
store_shard_revision(const struct store_shard *sh)
{
	return sh->max_rev;
}
/*
 * Append `"props" + "indexes":[..]` as one object, the way markers 2000 and
 * 2003 show it (no primary or edge index among them).
 */
void	store_shard_definition(const struct store_shard *sh,
	    struct vp_builder *b);

/* ---- indexes ------------------------------------------------------------ */

/* Which document and index stood in the way: AE_UNIQUE_CONSTRAINT_VIOLATED. */
struct store_conflict {
	const struct store_index *index; /* NULL: the primary index */
	char		 name[256];
	char		 type[32];
	char		 fields[512];	/* "a, b.c" as arangod prints them */
	char		 key[256];	/* conflicting key */
};

/* "unique constraint violated - in index u of type persistent over 'v';
 * conflicting key: c".  Appended. */
void	store_conflict_text(const struct store_conflict *c, struct buf *out);
/* For a primary conflict, so that callers have one way to say it. */
void	store_conflict_primary(struct store_conflict *c, const char *key,
	    size_t klen);

/*
 * def: {"id":"123" or number,"type","fields":[..],"unique","sparse","name"..}.
 * Fills the index in one go (the thread is busy meanwhile).  Unique over
 * conflicting data: AE_UNIQUE_CONSTRAINT_VIOLATED, nothing is created, *c says
 * what (may be NULL).  The id exists already: AE_DUPLICATE_IDENTIFIER.
 */
int	store_index_create(struct store *st, struct store_shard *sh,
	    const uint8_t *def, struct store_conflict *c,
	    struct store_index **out);
/* AE_INDEX_NOT_FOUND. */
int	store_index_drop(struct store *st, struct store_shard *sh, uint64_t id);
struct store_index *store_index_find(const struct store_shard *sh,
	    uint64_t id);
/*
 * A maintained, not sparse index whose only field is `path`, or NULL: for
 * `FILTER d.path == value` without a scan.  See store_scan_index().
 */
struct store_index *store_index_for(const struct store_shard *sh,
	    const char *path);

/* ---- transactions and documents ----------------------------------------- */

enum store_tx_kind {
	/* One operation: one marker, tid "0". */
	STORE_TX_SINGLE,
	/*
	 * The operations of one request (an array): 2200 .. 2201.  No other
	 * operation may happen between begin and commit, so do not suspend the
	 * fiber there.  Without any operation nothing is logged.
	 */
	STORE_TX_REQUEST,
	/*
	 * A stream transaction: sees the state at its begin and its own
	 * writes, keeps others away from the keys and unique values it wrote.
	 */
	STORE_TX_STREAM
};

/*
 * tid goes into markers; 0: made up.  SINGLE and REQUEST never fail to begin;
 * a STREAM commits what is pending first.
 */
int	store_tx_begin(struct store *st, enum store_tx_kind kind, uint64_t tid,
	    struct store_tx **out);
/*
 * Its operations are pending now; answer after store_commit_pending().  The
 * handle is freed and *tx NULL whatever the result.  0, or ERR_STORAGE, or for
 * a stream AE_DATA_SOURCE_NOT_FOUND (a shard it wrote was dropped: aborted).
 */
int	store_tx_commit(struct store *st, struct store_tx **tx);
/* Only for streams: forget it.  For others the same as commit, because what
 * was done before an error stays (arangod's arrays). */
void	store_tx_abort(struct store *st, struct store_tx **tx);
/* Bytes written so far, for a limit (errorNum 32). */
size_t	store_tx_bytes(const struct store_tx *tx);
uint64_t store_tx_id(const struct store_tx *tx);
/* Did it write to this shard? */
bool	store_tx_wrote(const struct store_tx *tx, const struct store_shard *sh);
/* Did a stream other than `except` (may be NULL) write to it? */
bool	store_shard_locked(const struct store *st,
	    const struct store_shard *sh, const struct store_tx *except);

/*
 * The document under a key: *doc is valid until the next call of any function
 * with this store.  tx may be NULL (sees what is pending; for writes: a
 * single operation).  rev may be NULL.  AE_DOCUMENT_NOT_FOUND.
 */
int	store_get(struct store *st, struct store_tx *tx,
	    struct store_shard *sh, const char *key, size_t klen,
	    const uint8_t **doc, uint64_t *rev);
/* Only its revision: cheaper. */
int	store_get_rev(struct store *st, struct store_tx *tx,
	    struct store_shard *sh, const char *key, size_t klen,
	    uint64_t *rev);
/* As of a snapshot. */
int	store_snap_get(struct store *st, struct store_snap *snap,
	    struct store_shard *sh, const char *key, size_t klen,
	    const uint8_t **doc, uint64_t *rev);
/* The document stored under a revision. */
int	store_get_by_rev(struct store *st, struct store_snap *snap,
	    struct store_shard *sh, uint64_t rev, const uint8_t **doc);

/*
 * Insert or replace: doc is complete (store_build_document()).  All checks
 * come before anything is written, so a failing element leaves no trace:
 * AE_CONFLICT (a stream transaction has the key or a unique value, or the key
 * changed after our stream began), AE_UNIQUE_CONSTRAINT_VIOLATED with *c (may
 * be NULL).  existed (may be NULL): there was one under this key.  Whether it
 * may replace is the caller's check.  doc is copied; it may be the slice that
 * store_get() gave.
 */
int	store_put(struct store *st, struct store_tx *tx,
	    struct store_shard *sh, const uint8_t *doc,
	    struct store_conflict *c, bool *existed);
/* AE_DOCUMENT_NOT_FOUND, AE_CONFLICT.  rev (may be NULL): of the removed. */
int	store_remove(struct store *st, struct store_tx *tx,
	    struct store_shard *sh, const char *key, size_t klen,
	    uint64_t *rev);

/*
 * Empty the shard, outside of streams (AE_LOCK_TIMEOUT when one wrote to it).
 * With >= 32768 documents and version >= 3.10 one range delete with a 2004
 * marker (commits before and at once); otherwise removals in transactions of at
 * most 10,000.  When it returns 1 it has done a slice: commit, let others run,
 * call again with the same *pos (BUF_INIT at first; the caller frees it).
 * 0: done.
 */
int	store_truncate(struct store *st, struct store_shard *sh,
	    struct buf *pos);

/*
 * A document as it is stored: _key, _id "<collection>/<key>", then for edges
 * _from and _to out of body, _rev, then the other attributes of body in their
 * order.  Appends one value to the builder.
 */
void	store_build_document(struct vp_builder *b,
	    const struct store_shard *sh, const char *key, size_t klen,
	    uint64_t rev, const uint8_t *body);

/* ---- scans -------------------------------------------------------------- */

enum store_order {
	STORE_BY_REV,			/* fast: documents lie in this order */
	STORE_BY_KEY			/* bytes of _key */
};

/*
 * A scan sees the state at its creation (or of snap, or of tx with what tx
 * had written until then), whatever is written later; it may live over
 * suspensions of the fiber, but not over the end of its snap or tx.  snap and
 * tx may be NULL.  Commits what is pending first.
 */
int	store_scan_new(struct store *st, struct store_shard *sh,
	    enum store_order order, struct store_snap *snap,
	    struct store_tx *tx, struct store_scan **out);
/* Documents with this value under the index's only field, in order of _rev. */
int	store_scan_index(struct store *st, struct store_shard *sh,
	    struct store_index *idx, const uint8_t *value,
	    struct store_tx *tx, struct store_scan **out);
void	store_scan_free(struct store_scan **s);
/* Go to the first key >= key, or the first rev >= rev. */
void	store_scan_seek_key(struct store_scan *s, const char *key, size_t klen);
void	store_scan_seek_rev(struct store_scan *s, uint64_t rev);

struct store_row {
	const char	*key;
	size_t		 klen;
	uint64_t	 rev;
	const uint8_t	*doc;		/* NULL when not asked for */
};

/*
 * Next document: 1 and the row (valid until the next call with this store), 0
 * at the end, negative or AE_DATA_SOURCE_NOT_FOUND.  By key, with_doc false
 * costs no look-up of bodies; a key whose body is missing is skipped when the
 * document is asked for.
 */
int	store_scan_next(struct store_scan *s, bool with_doc,
	    struct store_row *row);

/*
 * XOR of the document checksums (vpack/hash.h) over at most max documents of
 * a scan, onto *sum.  1: more to do, 0: done.
 */
int	store_scan_checksum(struct store_scan *s, bool with_revisions,
	    bool with_data, size_t max, uint64_t *sum);

/* ---- snapshots ("batches") and dumps ------------------------------------ */

/*
 * One state of the whole server.  Commits what is pending, so everything with
 * tick <= store_snap_tick() is inside and nothing else.  ttl_ms 0: 7200 s.
 * The id is never used twice by this process or a later one.
 */
int	store_snap_create(struct store *st, uint64_t ttl_ms,
	    struct store_snap **out);
uint64_t store_snap_id(const struct store_snap *snap);
uint64_t store_snap_tick(const struct store_snap *snap);
uint64_t store_snap_ttl_ms(const struct store_snap *snap);
/* By id, without touching its life; NULL: gone (AE_CURSOR_NOT_FOUND). */
struct store_snap *store_snap_find(struct store *st, uint64_t id);
/* Lives for ttl_ms from now (0: its own ttl again). */
void	store_snap_extend(struct store *st, struct store_snap *snap,
	    uint64_t ttl_ms);
/*
 * While used > 0 it does not expire: pair these around a request that may
 * suspend.  A delete meanwhile takes effect at the release.
 */
void	store_snap_use(struct store_snap *snap);
void	store_snap_release(struct store *st, struct store_snap *snap);
void	store_snap_delete(struct store *st, struct store_snap *snap);
/* Remove the expired; call each second or so. */
void	store_snap_expire(struct store *st);

enum store_format {
	STORE_JSON,			/* one line per value */
	STORE_VPACK			/* values one after another */
};

/*
 * The next documents of (snapshot, shard) in revision order, appended to out;
 * the position is kept in the snapshot and only goes on.  Ends after the
 * document with which out->len reaches `until`.  *more: something is left.
 * Call it with rising `until` (4 MiB steps) and suspend in between when a
 * chunk is large.  envelope: {"type":2300,"data":..}.  json_flags: for
 * vp_to_json().  *count (may be NULL) is increased per document.
 */
int	store_dump(struct store *st, struct store_snap *snap,
	    struct store_shard *sh, size_t until, enum store_format format,
	    bool envelope, unsigned int json_flags, struct buf *out,
	    uint64_t *count, bool *more);

#endif
