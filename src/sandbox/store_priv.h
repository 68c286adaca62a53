/*
 * store_priv.h - the inside of the storage engine, for its own files and
 * tests.
 */
#ifndef SANDBOX_STORE_PRIV_H
#define SANDBOX_STORE_PRIV_H

#include <rocksdb/c.h>

#include "base/map.h"
#include "sandbox/store.h"
#include "sandbox/store_batch.h"
#include "sandbox/store_wal.h"

#define STORE_NOTE_FILE		"SYNCED"	/* see store_durable.c */
#define STORE_ARCHIVE		"archive"	/* RocksDB's name for it */
#define STORE_CURSORS		8		/* idle log iterators kept */

/* arangod's --rocksdb.intermediate-commit-{size,count} */
#define STORE_GROUP_BYTES	(512u << 20)
#define STORE_GROUP_OPS		1000000u
/* RocksDBCollection::truncate */
#define STORE_RANGE_DELETE_MIN	32768u
#define STORE_TRUNCATE_OPS	10000u

/* ---- log data: what stands in front of operations in the log ------------ */

enum slog_type {
	SLOG_DB_CREATE		= 1,	/* db; then the put of m D */
	SLOG_DB_DROP		= 2,	/* db; likewise */
	SLOG_SHARD_CREATE	= 3,	/* db, shard; then the put of m C */
	SLOG_SHARD_DROP		= 4,	/* db, shard, blob: guid */
	SLOG_SHARD_CHANGE	= 5,	/* as create */
	SLOG_TRUNCATE		= 6,	/* db, shard */
	SLOG_INDEX_CREATE	= 7,	/* db, shard, blob: definition */
	SLOG_INDEX_DROP		= 8,	/* db, shard, n: index id */
	SLOG_BEGIN		= 9,	/* db, n: tid */
	SLOG_COMMIT		= 10,	/* db, n: tid */
	SLOG_PUT		= 11,	/* db, shard: one insert or replace */
	SLOG_REMOVE		= 12,	/* db, shard, n: revision removed */
	SLOG_TX_REMOVE		= 13	/* n: revision; inside a transaction */
};

struct slog {
	enum slog_type	 type;
	uint64_t	 db, shard, n;
	const uint8_t	*blob;
	size_t		 blen;
};

#define SLOG_BYTES	25		/* without blob */

void	slog_append(struct sbatch *b, enum slog_type type, uint64_t db,
	    uint64_t shard, uint64_t n, const void *blob, size_t blen);
/* 0, ERR_FORMAT. */
int	slog_decode(struct slog *l, const uint8_t *p, size_t len);

/* ---- keys --------------------------------------------------------------- */

void	put_be64(uint8_t *p, uint64_t v);
uint64_t get_be64(const uint8_t *p);

#define SKEY_PREFIX	9		/* letter and id */
#define SKEY_DOC	17

static inline void
skey_prefix(uint8_t key[SKEY_PREFIX], char letter, uint64_t id)
{
	key[0] = (uint8_t)letter;
	put_be64(key + 1, id);
}

static inline void
skey_doc(uint8_t key[SKEY_DOC], uint64_t object, uint64_t rev)
{
	skey_prefix(key, 'd', object);
	put_be64(key + SKEY_PREFIX, rev);
}

/* Documents have keys of at most 254 bytes; longer ones are not found. */
#define STORE_KEY_MAX	254

struct skey_primary {
	uint8_t		 data[SKEY_PREFIX + STORE_KEY_MAX];
	size_t		 len;
};

void	skey_primary(struct skey_primary *k, uint64_t object,
	    const char *key, size_t klen);

/* All keys of a letter and an id. */
void	sbatch_delete_prefix(struct sbatch *b, char letter, uint64_t id);

/* ---- the store ---------------------------------------------------------- */

/* One log record in memory; shared by the ring and tails that read it. */
struct slogrec {
	unsigned int	 refs;
	uint64_t	 seq;		/* first */
	uint64_t	 end;		/* last */
	size_t		 len;
	uint8_t		 data[];
};

struct slogring {
	struct slogrec	**recs;		/* circular; cap a power of two */
	size_t		 cap, head, n;
	size_t		 bytes, max;
};

/* A place in the log files: an iterator and the batch that it stands on. */
struct scursor {
	rocksdb_wal_iterator_t *it;
	rocksdb_writebatch_t *wb;
	uint64_t	 prev;		/* first tick of the batch before; 0 */
	uint64_t	 seq, end;
	const uint8_t	*data;
	size_t		 len;
};

struct store_tx {
	struct store	*st;
	enum store_tx_kind kind;
	uint64_t	 tid;
	bool		 begun;		/* 2200 is in the batch */
	uint64_t	 db;		/* of the first operation */
	size_t		 bytes, ops;	/* in the current group */
	size_t		 total;
	/* streams */
	struct sbatch	 batch;
	const rocksdb_snapshot_t *snap;
	rocksdb_readoptions_t *ro;
	struct stx_shard *shards;
	size_t		 nshards;
	struct store_tx	*next;
};

struct stx_shard {
	uint64_t	 id;
	int64_t		 delta;		/* of the count */
	uint64_t	 max_rev;
};

struct store {
	char		*dir;
	struct store_opts opts;
	rocksdb_t	*db;
	rocksdb_options_t *options;
	rocksdb_writeoptions_t *wo;
	rocksdb_readoptions_t *ro;
	rocksdb_cache_t	*cache;
	char		 error[512];
	bool		 broken;	/* a write has failed: no more of them,
					 * behind a torn record they would be
					 * lost with it */

	uint64_t	 server_id;
	uint64_t	 next_id;	/* databases, shards, index objects */
	uint64_t	 max_rev;
	uint64_t	 opened_ms;
	uint64_t	 last_snap_id;
	uint64_t	 last_tid;

	struct sbatch	 pend;
	struct store_tx	*group;		/* begun in pend, not committed */
	struct store_shard **dirty;	/* counters to write with pend */
	size_t		 ndirty, cdirty;
	bool		 unsynced;
	size_t		 since_check;	/* bytes since a look for rotation */
	uint64_t	 newest_log;	/* number */

	struct store_db	*dbs;
	struct store_shard *shards;	/* in order of creation */
	struct map	 by_id, by_name;
	uint64_t	 drops;		/* changes when a shard goes */

	struct store_tx	*streams;
	struct store_snap *snaps;
	struct store_scan *scans;
	struct store_tail *tails;

	rocksdb_pinnableslice_t *pin[2]; /* what store_get() gave last */
	struct buf	 old;		/* copy of a document being replaced */
	struct buf	 k1, k2;	/* index entries being computed */

	struct slogring	 ring;
	struct scursor	 cursors[STORE_CURSORS];
	unsigned int	 next_cursor;
};

/* Keep a message of RocksDB (frees it) and return ERR_STORAGE. */
int	store_fail(struct store *st, char *err);
/* The same of a write: it is the last. */
int	store_break(struct store *st, char *err);
/* Write a batch of our own at once, behind what is pending. */
int	store_write_now(struct store *st, struct sbatch *b);
uint64_t store_new_id(struct store *st, struct sbatch *b);
/* The counter of sh goes into the next batch. */
void	store_counter_dirty(struct store *st, struct store_shard *sh);

/* ---- store_ring.c ------------------------------------------------------- */

void	sring_add(struct slogring *r, uint64_t seq, uint32_t count,
	    const uint8_t *data, size_t len);
/* The record that contains tick; a reference for the caller, or NULL. */
struct slogrec *sring_find(struct slogring *r, uint64_t tick);
void	slogrec_unref(struct slogrec **rec);
/* Forget what ends before tick. */
void	sring_trim(struct slogring *r, uint64_t tick);
void	sring_free(struct slogring *r);

/* ---- store_shard.c ------------------------------------------------------ */

int	store_load(struct store *st, struct err_msg *em);
void	store_unload(struct store *st);
/* Definition record of a shard, for m C. */
void	store_shard_put(struct store_shard *sh, struct sbatch *b);

/* ---- store_index.c ------------------------------------------------------ */

/* Read a definition.  0, ERR_FORMAT, ERR_NOT_FOUND (no id). */
int	sindex_new(const uint8_t *def, uint64_t object,
	    struct store_index **out);
void	sindex_free(struct store_index *ix);
/*
 * The key of doc's entry into k (reset first).  false: a sparse index does
 * not have the document, or the index is not maintained.
 */
bool	sindex_key(const struct store_index *ix, const uint8_t *doc,
	    uint64_t rev, struct buf *k);
/* Order-preserving bytes of one value; NULL is null. */
void	sindex_encode(struct buf *k, const uint8_t *v);
/* Range deletes of its entries. */
void	sindex_delete_all(const struct store_index *ix, struct sbatch *b);
void	sindex_conflict(struct store_conflict *c,
	    const struct store_index *ix, const char *key, size_t klen);

/* ---- store_doc.c -------------------------------------------------------- */

enum sview {
	SVIEW_LATEST,			/* pending, then RocksDB */
	SVIEW_TX			/* as the transaction sees it */
};

/*
 * A value by its RocksDB key; *val is valid until slot is used again.  1
 * found, 0 not, negative.
 */
int	store_lookup(struct store *st, const struct store_tx *tx,
	    enum sview view, int slot, const void *key, size_t klen,
	    const uint8_t **val, size_t *vlen);
/* With read options of a snapshot, nothing pending. */
int	store_lookup_at(struct store *st, const rocksdb_readoptions_t *ro,
	    int slot, const void *key, size_t klen, const uint8_t **val,
	    size_t *vlen);

/* ---- store_tx.c --------------------------------------------------------- */

/* Where its operations go; tx may be NULL. */
struct sbatch *store_tx_batch(struct store *st, struct store_tx *tx);
/*
 * Before an operation of a group or stream: 2200 when it is the first.  A huge
 * request becomes several groups with the same tid, as with arangod's
 * intermediate commits.
 */
int	store_tx_log_begin(struct store_tx *tx, uint64_t db);
struct stx_shard *store_tx_shard(struct store_tx *tx,
	    const struct store_shard *sh);
void	store_tx_free_all(struct store *st);

/* ---- store_scan.c, store_snap.c, store_tail.c --------------------------- */

const rocksdb_readoptions_t *store_snap_ro(const struct store_snap *snap);
const rocksdb_snapshot_t *store_snap_rocks(const struct store_snap *snap);
void	store_scan_close_all(struct store *st);
/* Is there another row?  Ends the life of the last one. */
bool	store_scan_more(struct store_scan *s);
void	store_snap_close_all(struct store *st);
void	store_snap_forget_shard(struct store *st, uint64_t shard);
void	store_tail_close_all(struct store *st);
void	store_cursors_close(struct store *st);

/* ---- store_durable.c ---------------------------------------------------- */

/* Number of the newest *.log in dir (0: none) and its size. */
int	store_newest_log(const char *dir, uint64_t *number, uint64_t *size);
/* After a commit: did RocksDB begin a new log file? */
int	store_after_write(struct store *st, size_t bytes);

/* ---- store_marker.c: log records to markers ----------------------------- */

/* Names for the numbers in the log; NULL: no longer there. */
struct sresolver {
	const char	*(*db)(void *arg, uint64_t db);
	const char	*(*guid)(void *arg, uint64_t shard, uint64_t *db);
	void		*arg;
};

struct smarker {
	const struct sresolver *names;
	uint64_t	 from;		/* nothing at or below */
	uint64_t	 db, shard;	/* filter, 0: all */
	size_t		 limit;		/* of the response inside a batch */
	enum store_format format;
	unsigned int	 json_flags;
	bool		 check;		/* values come from a stranger */

	/* results */
	size_t		 response;	/* bytes put out */
	uint64_t	 last_included;
	uint64_t	 seq;		/* of the last counting record */

	/* state inside a batch */
	int		 state;
	uint64_t	 tid;
	uint64_t	 rid;		/* revision of a removal that comes */
	bool		 start;		/* nothing counted yet */
	bool		 stop_next;

	struct vp_builder vb;
	struct buf	 scratch;
	uint64_t	 known;		/* shard whose names are cached */
	uint64_t	 known_db;
	const char	*known_guid;
	struct buf	 known_text;	/* as JSON */
};

void	smarker_init(struct smarker *m, const struct sresolver *names);
void	smarker_free(struct smarker *m);
/* Names may have changed: look them up again. */
void	smarker_forget(struct smarker *m);
void	smarker_begin(struct smarker *m, uint64_t seq);
/* May the next record be read?  false: the answer ends in this batch. */
bool	smarker_continue(struct smarker *m);
/* 0 or ERR_FORMAT. */
int	smarker_record(struct smarker *m, const struct wrec *rec,
	    struct buf *out);

#endif
