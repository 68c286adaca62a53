/*
 * dbs_write.c - operations of requests: into the store, to the followers,
 * and when they may be answered.
 */
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "sandbox/dbs.h"

/* ---- group commit ---------------------------------------------------- */

uint64_t
dbs_commit_request(struct dbs *d, bool sync)
{
	if (sync)
		d->commit_sync = true;
	if (d->merge_timer == NULL)
		loop_task_post_late(d->loop, &d->commit_task);
	else if (!loop_timer_is_running(d->merge_timer))
		loop_timer_start_us(d->merge_timer,
		    d->child->merge_window_us);
	return d->round;
}

void
dbs_commit_wait(struct dbs *d, bool sync)
{
	uint64_t	 round = dbs_commit_request(d, sync);

	while (d->committed < round)
		fiber_cond_wait(&d->commit_done);
}

/* ---- how operations are written -------------------------------------- */

/*
 *	put:		'P' shard:2 document
 *	remove:		'R' shard:2 length:2 key
 *	truncate:	'T' shard:2
 * shard is an index into the table of the group; little-endian.
 */
static void
put_u16(struct buf *b, uint16_t v)
{
	uint8_t	 p[2] = { (uint8_t)v, (uint8_t)(v >> 8) };

	buf_append(b, p, sizeof(p));
}

void
dbs_encode_put(struct buf *b, uint16_t shard, const uint8_t *doc)
{
	buf_append_u8(b, DBS_OP_PUT);
	put_u16(b, shard);
	buf_append(b, doc, vp_size(doc));
}

void
dbs_encode_remove(struct buf *b, uint16_t shard, const char *key, size_t klen)
{
	buf_append_u8(b, DBS_OP_REMOVE);
	put_u16(b, shard);
	put_u16(b, (uint16_t)klen);
	buf_append(b, key, klen);
}

void
dbs_encode_truncate(struct buf *b, uint16_t shard)
{
	buf_append_u8(b, DBS_OP_TRUNCATE);
	put_u16(b, shard);
}

/* ---- batches --------------------------------------------------------- */

void
dbs_batch_begin(struct dbs_batch *b, struct dbs_shard *s,
    enum store_tx_kind kind, struct dbs_trx *trx)
{
	memset(b, 0, sizeof(*b));
	b->d = s->d;
	b->s = s;
	b->kind = kind;
	if ((b->trx = trx) != NULL) {
		b->tx = trx->tx;
		/* Who follows at the commit is not known yet. */
		b->encode = true;
		return;
	}
	bug_unless(store_tx_begin(s->d->store, kind, 0, &b->tx) == 0);
	b->encode = s->nfollowers > 0;
}

/* The operation is done: does it go to followers, and in which buffer? */
static struct buf *
batch_ops(struct dbs_batch *b, bool replicate)
{
	if (b->nops++ == 0 && b->trx != NULL)
		b->index = dbs_trx_shard(b->trx, b->s);
	if (!b->encode || !replicate)
		return NULL;
	return b->trx != NULL ? &b->trx->ops : &b->ops;
}

int
dbs_batch_put(struct dbs_batch *b, const uint8_t *doc,
    struct store_conflict *c, bool *existed, bool replicate)
{
	struct buf	*ops;
	int		 r;

	r = store_put(b->d->store, b->tx, b->s->sh, doc, c, existed);
	if (r == 0 && (ops = batch_ops(b, replicate)) != NULL)
		dbs_encode_put(ops, b->index, doc);
	return r;
}

int
dbs_batch_remove(struct dbs_batch *b, const char *key, size_t klen,
    uint64_t *rev)
{
	struct buf	*ops;
	int		 r;

	r = store_remove(b->d->store, b->tx, b->s->sh, key, klen, rev);
	if (r == 0 && (ops = batch_ops(b, true)) != NULL)
		dbs_encode_remove(ops, b->index, key, klen);
	return r;
}

int
dbs_batch_end(struct dbs_batch *b, bool sync, struct dbs_wait *w)
{
	int	 r;

	if (b->trx != NULL) {
		b->trx->sync |= sync;
		return 0;
	}
	r = store_tx_commit(b->d->store, &b->tx);
	if (b->ops.len > 0)
		dbs_replicate(b->d, b->kind, 0, &b->s, 1, &b->ops, sync, NULL,
		    w);
	buf_free(&b->ops);
	return r;
}

/* ---- waiting --------------------------------------------------------- */

void
dbs_wait_resolve(struct dbs_wait *w, bool deposed)
{
	if (w == NULL)
		return;
	w->deposed |= deposed;
	bug_unless(w->pending > 0);
	if (--w->pending == 0 && w->fiber != NULL)
		fiber_wake(w->fiber);
}

int
dbs_wait_finish(struct dbs *d, struct dbs_wait *w, bool sync)
{
	dbs_commit_wait(d, sync);
	w->fiber = fiber_self();
	while (w->pending > 0)
		fiber_suspend();
	w->fiber = NULL;
	return w->deposed ? AE_SHARD_LEADER_RESIGNED : AE_OK;
}

/* ---- truncate -------------------------------------------------------- */

int
dbs_truncate(struct dbs_shard *s, bool sync)
{
	struct dbs		*d = s->d;
	struct dbs_wait		 w = { 0 };
	struct buf		 pos = BUF_INIT, ops = BUF_INIT;
	uint64_t		 term = s->term;
	int			 r;

	while ((r = store_truncate(d->store, s->sh, &pos)) == 1) {
		dbs_commit_wait(d, false);
		fiber_yield();
		if (s->sh == NULL || s->term != term) {
			buf_free(&pos);
			return s->sh == NULL ? AE_DATA_SOURCE_NOT_FOUND :
			    AE_SHARD_LEADER_RESIGNED;
		}
	}
	buf_free(&pos);
	if (r != 0)
		return r;
	if (s->nfollowers > 0) {
		dbs_encode_truncate(&ops, 0);
		dbs_replicate(d, STORE_TX_SINGLE, 0, &s, 1, &ops, sync, NULL,
		    &w);
	}
	return dbs_wait_finish(d, &w, sync);
}
