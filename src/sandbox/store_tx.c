/*
 * store_tx.c - transactions: groups in the pending batch, and streams with
 * batches of their own.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sandbox/store_priv.h"

int
store_tx_begin(struct store *st, enum store_tx_kind kind, uint64_t tid,
    struct store_tx **out)
{
	struct store_tx	*tx;
	int		 r;

	if (kind == STORE_TX_STREAM && (r = store_commit_pending(st)) != 0)
		return r;
	tx = xcalloc(1, sizeof(*tx));
	tx->st = st;
	tx->kind = kind;
	if (tid == 0 && kind != STORE_TX_SINGLE) {
		/* As a leader's own: 1 modulo 4. */
		tid = MAX(st->last_tid + 4, clock_wall_us() << 2 | 1);
		st->last_tid = tid;
	}
	tx->tid = tid;
	if (kind == STORE_TX_STREAM) {
		tx->snap = rocksdb_create_snapshot(st->db);
		tx->ro = rocksdb_readoptions_create();
		rocksdb_readoptions_set_snapshot(tx->ro, tx->snap);
		tx->next = st->streams;
		st->streams = tx;
	}
	*out = tx;
	return 0;
}

static void
tx_free(struct store_tx *tx)
{
	struct store_tx	**at;

	for (at = &tx->st->streams; *at != NULL; at = &(*at)->next)
		if (*at == tx) {
			*at = tx->next;
			break;
		}
	if (tx->ro != NULL)
		rocksdb_readoptions_destroy(tx->ro);
	if (tx->snap != NULL)
		rocksdb_release_snapshot(tx->st->db, tx->snap);
	sbatch_free(&tx->batch);
	free(tx->shards);
	free(tx);
}

void
store_tx_free_all(struct store *st)
{
	while (st->streams != NULL)
		tx_free(st->streams);
}

/* Numbers of a stream that are now everybody's. */
static int
stream_merge(struct store *st, struct store_tx *tx)
{
	struct store_shard	*sh;
	size_t			 i;

	for (i = 0; i < tx->nshards; i++)
		if (store_shard_by_id(st, tx->shards[i].id) == NULL)
			return AE_DATA_SOURCE_NOT_FOUND;
	sbatch_append(&st->pend, &tx->batch);
	for (i = 0; i < tx->nshards; i++) {
		sh = store_shard_by_id(st, tx->shards[i].id);
		sh->count += (uint64_t)tx->shards[i].delta;
		sh->max_rev = MAX(sh->max_rev, tx->shards[i].max_rev);
		st->max_rev = MAX(st->max_rev, sh->max_rev);
		store_counter_dirty(st, sh);
	}
	return 0;
}

struct sbatch *
store_tx_batch(struct store *st, struct store_tx *tx)
{
	return tx != NULL && tx->kind == STORE_TX_STREAM ? &tx->batch :
	    &st->pend;
}

/* The end of a group that was begun. */
static void
log_commit(struct store_tx *tx)
{
	struct sbatch	*b = store_tx_batch(tx->st, tx);

	sbatch_flush_late(b);
	slog_append(b, SLOG_COMMIT, tx->db, 0, tx->tid, NULL, 0);
	tx->begun = false;
	tx->bytes = tx->ops = 0;
	if (tx->kind == STORE_TX_REQUEST)
		tx->st->group = NULL;
}

int
store_tx_log_begin(struct store_tx *tx, uint64_t db)
{
	int	 r;

	if (tx->kind == STORE_TX_REQUEST && tx->begun &&
	    (tx->bytes >= STORE_GROUP_BYTES || tx->ops >= STORE_GROUP_OPS)) {
		log_commit(tx);
		if ((r = store_commit_pending(tx->st)) != 0)
			return r;
	}
	if (tx->begun)
		return 0;
	tx->begun = true;
	tx->db = db;
	if (tx->kind == STORE_TX_REQUEST) {
		bug_unless(tx->st->group == NULL);
		tx->st->group = tx;
	}
	slog_append(store_tx_batch(tx->st, tx), SLOG_BEGIN, db, 0, tx->tid,
	    NULL, 0);
	return 0;
}

int
store_tx_commit(struct store *st, struct store_tx **txp)
{
	struct store_tx	*tx = *txp;
	int		 r = 0;

	if (tx->begun) {
		log_commit(tx);
		if (tx->kind == STORE_TX_STREAM)
			r = stream_merge(st, tx);
	}
	tx_free(tx);
	*txp = NULL;
	return r;
}

void
store_tx_abort(struct store *st, struct store_tx **txp)
{
	if ((*txp)->kind != STORE_TX_STREAM) {
		(void)store_tx_commit(st, txp);
		return;
	}
	tx_free(*txp);
	*txp = NULL;
}

size_t
store_tx_bytes(const struct store_tx *tx)
{
	return tx->total;
}

uint64_t
store_tx_id(const struct store_tx *tx)
{
	return tx->tid;
}

struct stx_shard *
store_tx_shard(struct store_tx *tx, const struct store_shard *sh)
{
	size_t	 i;

	for (i = 0; i < tx->nshards; i++)
		if (tx->shards[i].id == sh->id)
			return &tx->shards[i];
	tx->shards = xrealloc(tx->shards,
	    (tx->nshards + 1) * sizeof(tx->shards[0]));
	memset(&tx->shards[tx->nshards], 0, sizeof(tx->shards[0]));
	tx->shards[tx->nshards].id = sh->id;
	return &tx->shards[tx->nshards++];
}

bool
store_tx_wrote(const struct store_tx *tx, const struct store_shard *sh)
{
	size_t	 i;

	for (i = 0; i < tx->nshards; i++)
		if (tx->shards[i].id == sh->id)
			return true;
	return false;
}

bool
store_shard_locked(const struct store *st, const struct store_shard *sh,
    const struct store_tx *except)
{
	const struct store_tx	*tx;

	for (tx = st->streams; tx != NULL; tx = tx->next)
		if (tx != except && store_tx_wrote(tx, sh))
			return true;
	return false;
}
