/*
 * store_batch.h - RocksDB write batches as bytes: built here, indexed by key
 * so that a writer reads its own writes, and read back from the log.
 *
 * The C API can neither tell "deleted in this batch" from "not in it" nor
 * hand out log data, so both directions are done on the documented format:
 *
 *	<sequence:8 LE> <count:4 LE> record...
 *	0x03 varstring			log data, takes no sequence number
 *	0x01 varstring varstring	put
 *	0x00 varstring			delete (0x07: single delete)
 *	0x02 varstring varstring	merge
 *	0x0f varstring varstring	delete range
 *
 * with varint32 lengths; 0x04 0x05 0x06 0x08 0x0e are the same with a column
 * family id in front (RocksDB, db/write_batch.cc and db/dbformat.h).
 */
#ifndef SANDBOX_STORE_BATCH_H
#define SANDBOX_STORE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define SBATCH_HEADER	12

/* ---- reading ------------------------------------------------------------ */

enum wrec_type {
	WREC_PUT,
	WREC_DELETE,
	WREC_DELETE_RANGE,
	WREC_MERGE,
	WREC_LOG
};

struct wrec {
	enum wrec_type	 type;
	bool		 counts;	/* takes a sequence number */
	const uint8_t	*key;		/* of log data: the blob */
	size_t		 klen;
	const uint8_t	*val;
	size_t		 vlen;
};

struct wrec_reader {
	const uint8_t	*pos, *end;
	uint64_t	 seq;		/* of the header */
	uint32_t	 count;
	uint32_t	 seen;		/* counting records so far */
};

/* 0, ERR_TRUNCATED. */
int	wrec_begin(struct wrec_reader *r, const void *data, size_t len);
/*
 * 1 and a record (pointing into the batch), 0 at a proper end, ERR_TRUNCATED
 * or ERR_FORMAT (unknown tag, other number of records than the header says).
 */
int	wrec_next(struct wrec_reader *r, struct wrec *rec);

/* ---- building ----------------------------------------------------------- */

enum sbatch_state {
	SBATCH_MISS,			/* nothing said about this key */
	SBATCH_PUT,
	SBATCH_DELETED
};

struct sbatch_ent {
	size_t		 koff, voff;	/* in rep, or in late */
	uint32_t	 klen, vlen;
	uint32_t	 hash;
	uint8_t		 state;		/* enum sbatch_state; MISS: free */
	bool		 late;
};

struct sbatch {
	struct buf	 rep;		/* with header; empty: nothing yet */
	struct buf	 late;		/* puts that come later */
	uint32_t	 count;		/* records with a sequence number */
	struct sbatch_ent *tab;		/* open addressing */
	size_t		 cap, used;
};

void	sbatch_free(struct sbatch *b);
/* Empty it; big memory is given back. */
void	sbatch_reset(struct sbatch *b);
void	sbatch_log(struct sbatch *b, const void *data, size_t len);
/* val may point into b itself; key may not. */
void	sbatch_put(struct sbatch *b, const void *key, size_t klen,
	    const void *val, size_t vlen);
/*
 * A put that is written at the next sbatch_flush_late(), unless the key is
 * changed again before; found at once.  Keys in turn (document, primary,
 * document, ...) cost RocksDB's memtable a search from the top each; in runs
 * it goes on where it was.
 */
void	sbatch_put_late(struct sbatch *b, const void *key, size_t klen,
	    const void *val, size_t vlen);
void	sbatch_flush_late(struct sbatch *b);
void	sbatch_delete(struct sbatch *b, const void *key, size_t klen);
/* Not in the index: for batches that are written at once. */
void	sbatch_delete_range(struct sbatch *b, const void *from, size_t flen,
	    const void *to, size_t tlen);
/* All records of src, which has nothing late, behind those of b. */
void	sbatch_append(struct sbatch *b, const struct sbatch *src);
/* *val lies in b until its next change. */
enum sbatch_state sbatch_find(const struct sbatch *b, const void *key,
	    size_t klen, const uint8_t **val, size_t *vlen);
/* The bytes of an entry. */
static inline const uint8_t *
sbatch_key(const struct sbatch *b, const struct sbatch_ent *e)
{
	return (e->late ? b->late.data : b->rep.data) + e->koff;
}

static inline const uint8_t *
sbatch_val(const struct sbatch *b, const struct sbatch_ent *e)
{
	return (e->late ? b->late.data : b->rep.data) + e->voff;
}

/* Fill in the header and return the bytes. */
const uint8_t *sbatch_seal(struct sbatch *b, size_t *len);

#endif
