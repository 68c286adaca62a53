/*
 * store_wal.h - reading the write-ahead log of a store as arangod's
 * /_api/wal does: tail, range, and pruning.
 *
 * The position rules are arangod's to the letter, traps included
 * (RocksDBWalAccess::tail of 2020/2021, see arangodb-source-api 7.3 to 7.7):
 * a whole log record whose first sequence number is below `from` is skipped.
 */
#ifndef SANDBOX_STORE_WAL_H
#define SANDBOX_STORE_WAL_H

#include "sandbox/store.h"

#define STORE_CHUNK_MIN		(16 << 10)
#define STORE_CHUNK_MAX		(128 << 20)
#define STORE_CHUNK_DEFAULT	(1 << 20)

struct store_tail_req {
	uint64_t	 from;		/* exclusive */
	uint64_t	 to;		/* inclusive; UINT64_MAX: no end */
	uint64_t	 last_scanned;	/* 0: none */
	size_t		 chunk;		/* clamped to MIN..MAX */
	uint64_t	 db;		/* store_db.id, 0: all databases */
	uint64_t	 shard;		/* store_shard.id, 0: all */
	enum store_format format;
	unsigned int	 json_flags;	/* for vp_to_json() */
};

struct store_tail_res {
	uint64_t	 last_included;	/* 0: nothing in the body */
	uint64_t	 last_scanned;
	uint64_t	 last_tick;
	bool		 from_present;
	bool		 check_more;
};

struct store_tail;

/*
 * One tail request.  Commits what is pending first.  Nothing is pruned until
 * it is freed, so free it before waiting for a client.
 */
int	store_tail_begin(struct store *st, const struct store_tail_req *req,
	    struct store_tail **out);
/*
 * Append markers to out.  1: some work was done (about `budget` bytes of log
 * read or body written; 0: no limit), let others run and call again; 0: the
 * answer is complete, *res is filled.  Negative: failed.
 */
int	store_tail_step(struct store_tail *t, size_t budget, struct buf *out,
	    struct store_tail_res *res);
void	store_tail_free(struct store_tail **t);

/* First tick of the oldest log file still there, and the newest tick. */
int	store_wal_range(struct store *st, uint64_t *tick_min,
	    uint64_t *tick_max);

struct store_wal_file {
	uint64_t	 number;	/* 000076.log */
	bool		 archived;
	uint64_t	 first;		/* tick */
	uint64_t	 last;		/* before the next file's, or newest */
	uint64_t	 size;
};

/* Log files with something in them, oldest first; free(*files). */
int	store_wal_files(struct store *st, struct store_wal_file **files,
	    size_t *n);

/*
 * Unlink archived files whose successor begins before `keep` too, so that
 * every record >= keep stays.  Nothing in the first prune_delay_ms after
 * open unless force, and nothing while a tail runs (AE_LOCKED with force).
 * *files and *bytes (may be NULL) count what went.
 */
int	store_wal_prune(struct store *st, uint64_t keep, bool force,
	    unsigned int *files, uint64_t *bytes);
/*
 * Close the live log file and begin a new one, so that the former becomes
 * archived (for `prune-wal`; waits for it a little).
 */
int	store_wal_rotate(struct store *st);

#endif
