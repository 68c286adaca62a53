/* dbs_scan.c - documents of a shard for coordinators; see dbserver.h */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "sandbox/dbs.h"

#define SCAN_BYTES_MAX	((uint64_t)64 << 20)
#define SCAN_SLICE	5000		/* rows between two yields */
#define SCAN_REMOVE_MAX	DBS_PIECE_OPS	/* keys of a page, one commit */

struct scan_req {
	struct buf	 body;
	char		 shard[256];
	const char	*attr;
	size_t		 alen;
	const uint8_t	*value;		/* NULL: no filter */
	const char	*after;
	size_t		 after_len;
	uint64_t	 limit, bytes;
	bool		 remove, keys, count;
};

struct scan_run {
	struct dbs		*d;
	struct dbs_shard	*s;	/* a reference */
	struct dbs_trx		*trx;
	struct store_scan	*scan;
	struct vp_builder	 b;
	struct buf		 out;
	struct buf		 last;	/* key */
	uint64_t		 found;
	bool			 more;
	struct buf		 doomed; /* keys to remove: length:2 bytes */
};

static uint64_t
opt_u64(const uint8_t *o, const char *name, uint64_t fallback)
{
	const uint8_t	*v = vp_get(o, name);
	uint64_t	 n;

	return v != NULL && vp_get_uint(v, &n) == 0 ? n : fallback;
}

static bool
opt_bool(const uint8_t *o, const char *name)
{
	const uint8_t	*v = vp_get(o, name);

	return v != NULL && vp_is_true(v);
}

static int
scan_parse(struct sb_req *r, struct scan_req *q)
{
	const char	*s;
	size_t		 len;

	memset(q, 0, sizeof(*q));
	if (dbs_body_object(r, &q->body) != 0)
		return -1;
	s = vp_get_string(vp_get(q->body.data, "shard"), &len);
	snprintf(q->shard, sizeof(q->shard), "%.*s", s == NULL ? 0 : (int)len,
	    s == NULL ? "" : s);
	q->attr = vp_get_string(vp_get(q->body.data, "attr"), &q->alen);
	if (q->attr != NULL)
		q->value = vp_get(q->body.data, "value");
	if (q->attr != NULL && q->value == NULL)
		q->value = vp_null;
	q->after = vp_get_string(vp_get(q->body.data, "after"),
	    &q->after_len);
	q->limit = opt_u64(q->body.data, "limit", UINT64_MAX);
	q->bytes = opt_u64(q->body.data, "bytes", SCAN_BYTES_MAX);
	if (q->bytes > SCAN_BYTES_MAX)
		q->bytes = SCAN_BYTES_MAX;
	q->remove = opt_bool(q->body.data, "remove");
	if (q->remove && q->limit > SCAN_REMOVE_MAX)
		q->limit = SCAN_REMOVE_MAX;
	q->keys = opt_bool(q->body.data, "keys");
	q->count = opt_bool(q->body.data, "count");
	return 0;
}

/* The value at a path "a.b.c", or NULL. */
static const uint8_t *
attr_at(const uint8_t *doc, const char *path, size_t len)
{
	const char	*dot;
	size_t		 n;

	while (doc != NULL) {
		dot = memchr(path, '.', len);
		n = dot == NULL ? len : (size_t)(dot - path);
		doc = vp_obj_get(doc, path, n);
		if (dot == NULL)
			break;
		path += n + 1;
		len -= n + 1;
	}
	return doc;
}

static bool
row_matches(const struct scan_req *q, const struct store_row *row)
{
	const uint8_t	*v;

	if (q->value == NULL)
		return true;
	if ((v = attr_at(row->doc, q->attr, q->alen)) == NULL)
		v = vp_null;
	return vp_compare(v, q->value) == 0;
}

static void
row_found(const struct scan_req *q, struct scan_run *x,
    const struct store_row *row)
{
	uint16_t	 n = (uint16_t)row->klen;

	x->found++;
	if (q->remove) {
		buf_append(&x->doomed, &n, sizeof(n));
		buf_append(&x->doomed, row->key, row->klen);
	}
	if (q->count)
		return;
	if (q->keys)
		vpb_string(&x->b, row->key, row->klen);
	else
		vpb_slice(&x->b, row->doc);
}

/* 1: others should run now, 0: the page is complete, else errnum. */
static int
scan_some(const struct scan_req *q, struct scan_run *x)
{
	struct store_row	 row;
	bool			 docs = q->value != NULL ||
				     !(q->keys || q->count);
	int			 i, got;

	for (i = 0; i < SCAN_SLICE; i++) {
		if (x->found >= q->limit || x->out.len >= q->bytes ||
		    x->doomed.len >= q->bytes) {
			/* Is there any behind it? */
			x->more = store_scan_next(x->scan, false, &row) == 1;
			return 0;
		}
		got = store_scan_next(x->scan, docs, &row);
		if (got <= 0)
			return got < 0 ? AE_INTERNAL : 0;
		if (got > 1)
			return got;
		if (q->after != NULL && row.klen == q->after_len &&
		    memcmp(row.key, q->after, row.klen) == 0)
			continue;
		buf_reset(&x->last);
		buf_append(&x->last, row.key, row.klen);
		if (row_matches(q, &row))
			row_found(q, x, &row);
	}
	return 1;
}

/* Remove what was found.  0 or errnum.  Waits. */
static int
scan_remove(struct sb_req *r, struct scan_run *x)
{
	struct dbs_batch	 batch;
	struct dbs_wait		 w = { 0 };
	size_t			 at = 0;
	uint16_t		 n;
	uint64_t		 gone = 0;
	int			 e;

	dbs_shard_wait_unlocked(x->s);
	if ((e = dbs_shard_check_write(x->s, r)) != AE_OK)
		return e;
	if (x->trx != NULL && x->trx->tx == NULL)
		return AE_TRANSACTION_ABORTED;
	x->s->writing++;
	dbs_batch_begin(&batch, x->s, STORE_TX_REQUEST, x->trx);
	while (at < x->doomed.len && e == AE_OK) {
		memcpy(&n, x->doomed.data + at, sizeof(n));
		at += sizeof(n);
		e = dbs_batch_remove(&batch,
		    (const char *)x->doomed.data + at, n, NULL);
		at += n;
		gone += e == AE_OK;
		if (e == AE_DOCUMENT_NOT_FOUND)
			e = AE_OK;
	}
	x->found = gone;
	if (dbs_batch_end(&batch, x->s->wait_for_sync, &w) != 0)
		e = AE_INTERNAL;
	if (x->trx == NULL && batch.nops > 0) {
		int	 r2 = dbs_wait_finish(x->d, &w, x->s->wait_for_sync);

		if (e == AE_OK)
			e = r2;
	}
	x->s->writing--;
	fiber_cond_broadcast(&x->s->idle);
	return e;
}

static int
scan_run(struct sb_req *r, const struct scan_req *q, struct scan_run *x)
{
	int	 e;

	if ((e = dbs_shard_check_leader(x->s)) != AE_OK)
		return e;
	e = store_scan_new(x->d->store, x->s->sh, STORE_BY_KEY, NULL,
	    x->trx == NULL ? NULL : x->trx->tx, &x->scan);
	if (e != 0)
		return e;
	if (q->after != NULL)
		store_scan_seek_key(x->scan, q->after, q->after_len);
	vpb_init(&x->b, &x->out);
	vpb_open_object(&x->b);
	vpb_add_array(&x->b, "documents");
	while ((e = scan_some(q, x)) == 1) {
		fiber_yield();
		if (x->s->sh == NULL) {
			e = AE_DATA_SOURCE_NOT_FOUND;
			break;
		}
		if (x->trx != NULL && x->trx->tx == NULL) {
			e = AE_TRANSACTION_ABORTED;
			break;
		}
	}
	/* A dropped shard ended the scan of its own accord. */
	store_scan_free(&x->scan);
	vpb_close(&x->b);
	if (e == AE_OK && q->remove && x->doomed.len > 0)
		e = scan_remove(r, x);
	vpb_add_uint(&x->b, "count", x->found);
	if (x->last.len > 0)
		vpb_add_string(&x->b, "last", (const char *)x->last.data,
		    x->last.len);
	vpb_add_bool(&x->b, "more", x->more);
	vpb_close(&x->b);
	if (vpb_end(&x->b) != 0 && e == AE_OK)
		e = AE_INTERNAL;
	vpb_free(&x->b);
	return e;
}

static void
post_scan(struct sb_req *r)
{
	struct scan_req		 q;
	struct scan_run		 x = { .d = dbs_of(r) };
	struct dbs_shard	*s;
	int			 e;

	if (scan_parse(r, &q) != 0)
		return;
	if (dbs_trx_enter(r, &x.trx) != 0) {
		buf_free(&q.body);
		return;
	}
	if ((s = dbs_req_shard(r, q.shard)) != NULL) {
		x.s = dbs_shard_ref(s);
		if ((e = scan_run(r, &q, &x)) != AE_OK)
			dbs_error(r, e, q.shard);
		else
			sb_reply_vpack(r, 200, &x.out);
		dbs_shard_unref(&x.s);
	}
	dbs_trx_leave(x.d, x.trx);
	buf_free(&x.out);
	buf_free(&x.last);
	buf_free(&x.doomed);
	buf_free(&q.body);
}

const struct sb_route dbs_scan_routes[] = {
	{ SB_POST, "/_internal/scan", SB_SUPERUSER, post_scan },
	{ 0 }
};
