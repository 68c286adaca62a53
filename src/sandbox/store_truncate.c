/*
 * store_truncate.c - emptying a shard, as RocksDBCollection::truncate of
 * 2020 does it: many documents by a range delete with a marker of its own,
 * few by removals in transactions.
 */
#include "sandbox/store_priv.h"

static int
truncate_range(struct store *st, struct store_shard *sh)
{
	struct sbatch	 b = { 0 };
	size_t		 i;
	int		 r;

	if ((r = store_commit_pending(st)) != 0)
		return r;
	sbatch_delete_prefix(&b, 'd', sh->id);
	sbatch_delete_prefix(&b, 'p', sh->id);
	for (i = 0; i < sh->nindexes; i++)
		sindex_delete_all(sh->indexes[i], &b);
	/* Behind the deletions: its tick is that of the last of them. */
	slog_append(&b, SLOG_TRUNCATE, sh->db->id, sh->id, 0, NULL, 0);
	sh->count = 0;
	store_counter_dirty(st, sh);
	r = store_write_now(st, &b);
	sbatch_free(&b);
	return r;
}

/* One slice of removals; 1 when documents may be left. */
static int
truncate_slice(struct store *st, struct store_shard *sh, struct buf *pos)
{
	struct store_scan	*scan;
	struct store_row	 row;
	struct store_tx		*tx;
	size_t			 n = 0;
	int			 r;

	if ((r = store_scan_new(st, sh, STORE_BY_KEY, NULL, NULL, &scan)) != 0)
		return r;
	if (pos->len > 0)
		store_scan_seek_key(scan, (const char *)pos->data, pos->len);
	bug_unless(store_tx_begin(st, STORE_TX_REQUEST, 0, &tx) == 0);
	while (r == 0 && n < STORE_TRUNCATE_OPS &&
	    (r = store_scan_next(scan, false, &row)) == 1) {
		buf_reset(pos);
		buf_append(pos, row.key, row.klen);
		r = store_remove(st, tx, sh, (const char *)pos->data,
		    pos->len, NULL);
		if (r == AE_DOCUMENT_NOT_FOUND)
			r = 0;
		n++;
	}
	store_scan_free(&scan);
	(void)store_tx_commit(st, &tx);
	return r != 0 ? r : n == STORE_TRUNCATE_OPS ? 1 : 0;
}

int
store_truncate(struct store *st, struct store_shard *sh, struct buf *pos)
{
	/* arangod takes the exclusive lock. */
	if (store_shard_locked(st, sh, NULL))
		return AE_LOCK_TIMEOUT;
	if (pos->len == 0 && st->opts.version >= 31000 &&
	    sh->count >= STORE_RANGE_DELETE_MIN)
		return truncate_range(st, sh);
	return truncate_slice(st, sh, pos);
}
