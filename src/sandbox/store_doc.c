/*
 * store_doc.c - documents one by one: look-ups, checks, writes.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/store_priv.h"
#include "vpack/rev.h"

/* What a write of one document needs to know of the shard. */
struct edit {
	struct store	*st;
	struct store_tx	*tx;
	struct store_shard *sh;
	struct sbatch	*b;		/* where it goes */
	const char	*key;
	size_t		 klen;
	const uint8_t	*doc;		/* NULL: a removal */
	uint64_t	 rev;
	const uint8_t	*old;		/* NULL: none, or not needed */
	uint64_t	 old_rev;
	bool		 had;		/* the key exists */
	struct skey_primary pkey;
};

/* ---- looking up --------------------------------------------------------- */

int
store_lookup_at(struct store *st, const rocksdb_readoptions_t *ro, int slot,
    const void *key, size_t klen, const uint8_t **val, size_t *vlen)
{
	char	*err = NULL;

	if (st->pin[slot] != NULL)
		rocksdb_pinnableslice_destroy(st->pin[slot]);
	st->pin[slot] = rocksdb_get_pinned(st->db, ro, key, klen, &err);
	if (err != NULL)
		return store_fail(st, err);
	if (st->pin[slot] == NULL)
		return 0;
	*val = (const uint8_t *)rocksdb_pinnableslice_value(st->pin[slot],
	    vlen);
	return 1;
}

int
store_lookup(struct store *st, const struct store_tx *tx, enum sview view,
    int slot, const void *key, size_t klen, const uint8_t **val, size_t *vlen)
{
	bool	 stream = tx != NULL && tx->kind == STORE_TX_STREAM;

	if (stream) {
		switch (sbatch_find(&tx->batch, key, klen, val, vlen)) {
		case SBATCH_PUT:
			return 1;
		case SBATCH_DELETED:
			return 0;
		case SBATCH_MISS:
			break;
		}
		if (view == SVIEW_TX)
			return store_lookup_at(st, tx->ro, slot, key, klen,
			    val, vlen);
	}
	switch (sbatch_find(&st->pend, key, klen, val, vlen)) {
	case SBATCH_PUT:
		return 1;
	case SBATCH_DELETED:
		return 0;
	case SBATCH_MISS:
		break;
	}
	return store_lookup_at(st, st->ro, slot, key, klen, val, vlen);
}

/*
 * May tx write this key?  Not when another stream has written it, nor, in a
 * stream, when it changed since the stream began.  The values of `p` and `u`
 * keys name a revision, so equal values mean: unchanged.
 */
static int
check_lock(struct store *st, struct store_tx *tx, const void *key, size_t klen)
{
	const struct store_tx	*other;
	const uint8_t		*now = NULL, *then = NULL, *ignore;
	size_t			 nlen = 0, tlen = 0, ilen;
	int			 found, had;

	if (st->streams == NULL)
		return 0;
	for (other = st->streams; other != NULL; other = other->next)
		if (other != tx && sbatch_find(&other->batch, key, klen,
		    &ignore, &ilen) != SBATCH_MISS)
			return AE_CONFLICT;
	if (tx == NULL || tx->kind != STORE_TX_STREAM ||
	    sbatch_find(&tx->batch, key, klen, &ignore, &ilen) != SBATCH_MISS)
		return 0;
	found = store_lookup(st, NULL, SVIEW_LATEST, 0, key, klen, &now,
	    &nlen);
	if (found < 0)
		return found;
	had = store_lookup_at(st, tx->ro, 1, key, klen, &then, &tlen);
	if (had < 0)
		return had;
	if (found != had || (found == 1 &&
	    (nlen != tlen || memcmp(now, then, nlen) != 0)))
		return AE_CONFLICT;
	return 0;
}

static enum sview
view_of(const struct store_tx *tx)
{
	return tx != NULL && tx->kind == STORE_TX_STREAM ? SVIEW_TX :
	    SVIEW_LATEST;
}

int
store_get_rev(struct store *st, struct store_tx *tx, struct store_shard *sh,
    const char *key, size_t klen, uint64_t *rev)
{
	struct skey_primary	 p;
	const uint8_t		*val;
	size_t			 vlen;
	int			 r;

	if (klen > STORE_KEY_MAX)
		return AE_DOCUMENT_NOT_FOUND;
	skey_primary(&p, sh->id, key, klen);
	r = store_lookup(st, tx, view_of(tx), 0, p.data, p.len, &val, &vlen);
	if (r < 0)
		return r;
	if (r == 0)
		return AE_DOCUMENT_NOT_FOUND;
	if (vlen != 8)
		return ERR_CORRUPT;
	*rev = get_be64(val);
	return 0;
}

int
store_get(struct store *st, struct store_tx *tx, struct store_shard *sh,
    const char *key, size_t klen, const uint8_t **doc, uint64_t *rev)
{
	uint8_t		 dkey[SKEY_DOC];
	uint64_t	 at;
	size_t		 len;
	int		 r;

	if ((r = store_get_rev(st, tx, sh, key, klen, &at)) != 0)
		return r;
	skey_doc(dkey, sh->id, at);
	r = store_lookup(st, tx, view_of(tx), 0, dkey, sizeof(dkey), doc,
	    &len);
	if (r < 0)
		return r;
	if (r == 0)
		return AE_DOCUMENT_NOT_FOUND;
	if (rev != NULL)
		*rev = at;
	return 0;
}

int
store_get_by_rev(struct store *st, struct store_snap *snap,
    struct store_shard *sh, uint64_t rev, const uint8_t **doc)
{
	uint8_t	 dkey[SKEY_DOC];
	size_t	 len;
	int	 r;

	skey_doc(dkey, sh->id, rev);
	if (snap != NULL)
		r = store_lookup_at(st, store_snap_ro(snap), 0, dkey,
		    sizeof(dkey), doc, &len);
	else
		r = store_lookup(st, NULL, SVIEW_LATEST, 0, dkey,
		    sizeof(dkey), doc, &len);
	return r < 0 ? r : r == 0 ? AE_DOCUMENT_NOT_FOUND : 0;
}

int
store_snap_get(struct store *st, struct store_snap *snap,
    struct store_shard *sh, const char *key, size_t klen,
    const uint8_t **doc, uint64_t *rev)
{
	struct skey_primary	 p;
	const uint8_t		*val;
	uint64_t		 at;
	size_t			 vlen;
	int			 r;

	if (klen > STORE_KEY_MAX)
		return AE_DOCUMENT_NOT_FOUND;
	skey_primary(&p, sh->id, key, klen);
	r = store_lookup_at(st, store_snap_ro(snap), 0, p.data, p.len, &val,
	    &vlen);
	if (r < 0)
		return r;
	if (r == 0 || vlen != 8)
		return AE_DOCUMENT_NOT_FOUND;
	at = get_be64(val);
	if (rev != NULL)
		*rev = at;
	return store_get_by_rev(st, snap, sh, at, doc);
}

/* ---- writing ------------------------------------------------------------ */

/* What stands in the log in front of an operation. */
static int
log_operation(struct edit *e)
{
	struct store_tx	*tx = e->tx;
	uint64_t	 db = e->sh->db->id;
	int		 r;

	if (tx == NULL || tx->kind == STORE_TX_SINGLE) {
		slog_append(e->b, e->doc != NULL ? SLOG_PUT : SLOG_REMOVE, db,
		    e->sh->id, e->old_rev, NULL, 0);
		return 0;
	}
	if ((r = store_tx_log_begin(tx, db)) != 0)
		return r;
	if (e->doc == NULL)
		slog_append(e->b, SLOG_TX_REMOVE, 0, 0, e->old_rev, NULL, 0);
	return 0;
}

/* The entry of a unique index that the new document would take. */
static int
check_unique(struct edit *e, const struct store_index *ix,
    struct store_conflict *c)
{
	const uint8_t	*val;
	size_t		 vlen;
	bool		 has_new, has_old;
	int		 r;

	has_old = e->old != NULL &&
	    sindex_key(ix, e->old, e->old_rev, &e->st->k1);
	has_new = e->doc != NULL && sindex_key(ix, e->doc, e->rev, &e->st->k2);
	if (has_old && (r = check_lock(e->st, e->tx, e->st->k1.data,
	    e->st->k1.len)) != 0)
		return r;
	if (!has_new)
		return 0;
	if (has_old && e->st->k1.len == e->st->k2.len &&
	    memcmp(e->st->k1.data, e->st->k2.data, e->st->k2.len) == 0)
		return 0;
	if ((r = check_lock(e->st, e->tx, e->st->k2.data,
	    e->st->k2.len)) != 0)
		return r;
	r = store_lookup(e->st, e->tx, view_of(e->tx), 1, e->st->k2.data,
	    e->st->k2.len, &val, &vlen);
	if (r <= 0)
		return r;
	if (vlen < 8)
		return ERR_CORRUPT;
	sindex_conflict(c, ix, (const char *)val + 8, vlen - 8);
	return AE_UNIQUE_CONSTRAINT_VIOLATED;
}

static int
check_indexes(struct edit *e, struct store_conflict *c)
{
	size_t	 i;
	int	 r;

	for (i = 0; i < e->sh->nindexes; i++)
		if (e->sh->indexes[i]->kind == STORE_INDEX_UNIQUE &&
		    (r = check_unique(e, e->sh->indexes[i], c)) != 0)
			return r;
	return 0;
}

static void
write_index(struct edit *e, const struct store_index *ix)
{
	struct store	*st = e->st;
	struct buf	*v = &st->k1;
	bool		 has_old, has_new;

	has_old = e->old != NULL && sindex_key(ix, e->old, e->old_rev,
	    &st->k1);
	has_new = e->doc != NULL && sindex_key(ix, e->doc, e->rev, &st->k2);
	if (has_old && (!has_new || st->k1.len != st->k2.len ||
	    memcmp(st->k1.data, st->k2.data, st->k1.len) != 0))
		sbatch_delete(e->b, st->k1.data, st->k1.len);
	if (!has_new)
		return;
	if (ix->kind == STORE_INDEX_PLAIN) {
		sbatch_put(e->b, st->k2.data, st->k2.len, e->key, e->klen);
		return;
	}
	buf_reset(v);
	buf_reserve(v, 8 + e->klen);
	put_be64(v->data, e->rev);
	memcpy(v->data + 8, e->key, e->klen);
	sbatch_put(e->b, st->k2.data, st->k2.len, v->data, 8 + e->klen);
}

static void
write_indexes(struct edit *e)
{
	size_t	 i;

	for (i = 0; i < e->sh->nindexes; i++)
		if (e->sh->indexes[i]->kind != STORE_INDEX_META)
			write_index(e, e->sh->indexes[i]);
}

static void
account(struct edit *e, size_t before)
{
	struct store_tx		*tx = e->tx;
	struct stx_shard	*s;
	size_t			 bytes = e->b->rep.len - before;
	int			 delta;

	delta = (e->doc != NULL) - e->had;
	if (tx != NULL) {
		tx->bytes += bytes;
		tx->total += bytes;
		tx->ops++;
	}
	if (tx != NULL && tx->kind == STORE_TX_STREAM) {
		s = store_tx_shard(tx, e->sh);
		s->delta += delta;
		s->max_rev = MAX(s->max_rev, e->rev);
		return;
	}
	e->sh->count += (uint64_t)(int64_t)delta;
	e->sh->max_rev = MAX(e->sh->max_rev, e->rev);
	e->st->max_rev = MAX(e->st->max_rev, e->rev);
	store_counter_dirty(e->st, e->sh);
}

/* Has the shard an index whose entries follow the documents? */
static bool
has_indexes(const struct store_shard *sh)
{
	size_t	 i;

	for (i = 0; i < sh->nindexes; i++)
		if (sh->indexes[i]->kind != STORE_INDEX_META)
			return true;
	return false;
}

/* The key, its lock and what is stored under it now. */
static int
edit_begin(struct edit *e, struct store *st, struct store_tx *tx,
    struct store_shard *sh, const char *key, size_t klen)
{
	const uint8_t	*val;
	uint8_t		 dkey[SKEY_DOC];
	size_t		 vlen;
	int		 r;

	memset(e, 0, offsetof(struct edit, pkey));
	e->st = st;
	e->tx = tx;
	e->sh = sh;
	e->key = key;
	e->klen = klen;
	e->b = store_tx_batch(st, tx);
	if (klen == 0 || klen > STORE_KEY_MAX)
		return AE_DOCUMENT_KEY_BAD;
	skey_primary(&e->pkey, sh->id, key, klen);
	if ((r = check_lock(st, tx, e->pkey.data, e->pkey.len)) != 0)
		return r;
	r = store_lookup(st, tx, view_of(tx), 1, e->pkey.data, e->pkey.len,
	    &val, &vlen);
	if (r < 0)
		return r;
	if (r == 0)
		return 0;
	if (vlen != 8)
		return ERR_CORRUPT;
	e->had = true;
	e->old_rev = get_be64(val);
	if (!has_indexes(sh))
		return 0;
	/* Copied: it may lie in the batch that is about to grow. */
	skey_doc(dkey, sh->id, e->old_rev);
	r = store_lookup(st, tx, view_of(tx), 1, dkey, sizeof(dkey), &val,
	    &vlen);
	if (r < 0)
		return r;
	if (r == 1) {
		buf_reset(&st->old);
		buf_append(&st->old, val, vlen);
		e->old = st->old.data;
	}
	return 0;
}

/*
 * The old body goes, the new one comes; the tick of the marker is that of the
 * put.  The primary index follows, in groups at their end: in any case before
 * the commit marker, which so never has the tick of the last document (a tail
 * that stops there would lose it).
 */
static int
write_put(struct edit *e)
{
	uint8_t	 dkey[SKEY_DOC], rev[8];
	int	 r;

	if ((r = log_operation(e)) != 0)
		return r;
	if (e->had && e->old_rev != e->rev) {
		skey_doc(dkey, e->sh->id, e->old_rev);
		sbatch_delete(e->b, dkey, sizeof(dkey));
	}
	skey_doc(dkey, e->sh->id, e->rev);
	sbatch_put(e->b, dkey, sizeof(dkey), e->doc, vp_size(e->doc));
	put_be64(rev, e->rev);
	if (e->tx == NULL || e->tx->kind == STORE_TX_SINGLE)
		sbatch_put(e->b, e->pkey.data, e->pkey.len, rev, sizeof(rev));
	else
		sbatch_put_late(e->b, e->pkey.data, e->pkey.len, rev,
		    sizeof(rev));
	return 0;
}

static bool
lies_in(const uint8_t *p, const void *start, size_t len)
{
	const uint8_t	*s = start;

	return s != NULL && p >= s && p < s + len;
}

/*
 * Does it lie in memory that the look-ups of a write reuse, as what
 * store_get() gave does?
 */
static bool
is_ours(const struct store *st, const struct store_tx *tx, const uint8_t *doc)
{
	const char	*v;
	size_t		 i, len;

	for (i = 0; i < NITEMS(st->pin); i++) {
		if (st->pin[i] == NULL)
			continue;
		v = rocksdb_pinnableslice_value(st->pin[i], &len);
		if (lies_in(doc, v, len))
			return true;
	}
	return lies_in(doc, st->pend.rep.data, st->pend.rep.len) ||
	    (tx != NULL && lies_in(doc, tx->batch.rep.data,
	    tx->batch.rep.len));
}

int
store_put(struct store *st, struct store_tx *tx, struct store_shard *sh,
    const uint8_t *doc, struct store_conflict *c, bool *existed)
{
	struct edit	 e;
	struct buf	 own = BUF_INIT;
	const char	*key, *text;
	uint64_t	 rev;
	size_t		 klen, tlen, before;
	int		 r;

	if ((key = vp_get_string(vp_get(doc, "_key"), &klen)) == NULL)
		return AE_DOCUMENT_KEY_BAD;
	if ((text = vp_get_string(vp_get(doc, "_rev"), &tlen)) == NULL ||
	    (rev = rev_from_text(text, tlen)) == REV_INVALID)
		return AE_BAD_PARAMETER;
	if (is_ours(st, tx, doc)) {
		buf_append(&own, doc, vp_size(doc));
		doc = own.data;
		key = vp_get_string(vp_get(doc, "_key"), &klen);
	}
	if ((r = edit_begin(&e, st, tx, sh, key, klen)) != 0)
		goto out;
	e.doc = doc;
	e.rev = rev;
	if (sh->nindexes > 0 && (r = check_indexes(&e, c)) != 0)
		goto out;
	before = e.b->rep.len;
	if ((r = write_put(&e)) != 0)
		goto out;
	write_indexes(&e);
	account(&e, MIN(before, e.b->rep.len));
	if (existed != NULL)
		*existed = e.had;
out:
	buf_free(&own);
	return r;
}

int
store_remove(struct store *st, struct store_tx *tx, struct store_shard *sh,
    const char *key, size_t klen, uint64_t *rev)
{
	struct edit	 e;
	char		 own[STORE_KEY_MAX];
	uint8_t		 dkey[SKEY_DOC];
	size_t		 before;
	int		 r;

	if (klen == 0 || klen > STORE_KEY_MAX)
		return AE_DOCUMENT_NOT_FOUND;
	/* The caller's key may be part of a document that goes. */
	memcpy(own, key, klen);
	if ((r = edit_begin(&e, st, tx, sh, own, klen)) != 0)
		return r;
	if (!e.had)
		return AE_DOCUMENT_NOT_FOUND;
	if (sh->nindexes > 0 && (r = check_indexes(&e, NULL)) != 0)
		return r;
	before = e.b->rep.len;
	if ((r = log_operation(&e)) != 0)
		return r;
	skey_doc(dkey, sh->id, e.old_rev);
	sbatch_delete(e.b, dkey, sizeof(dkey));
	sbatch_delete(e.b, e.pkey.data, e.pkey.len);
	write_indexes(&e);
	account(&e, MIN(before, e.b->rep.len));
	if (rev != NULL)
		*rev = e.old_rev;
	return 0;
}

void
store_build_document(struct vp_builder *b, const struct store_shard *sh,
    const char *key, size_t klen, uint64_t rev, const uint8_t *body)
{
	static const char	*const ends[] = { "_from", "_to" };
	struct vp_iter		 it;
	struct vp_attr		 a;
	const uint8_t		*v;
	char			 text[REV_TEXT_MAX];
	char			 id[512];
	size_t			 i, n;

	vpb_open_object(b);
	vpb_add_string(b, "_key", key, klen);
	n = (size_t)snprintf(id, sizeof(id), "%s/%.*s", sh->collection,
	    (int)klen, key);
	vpb_add_string(b, "_id", id, MIN(n, sizeof(id) - 1));
	for (i = 0; sh->type == 3 && i < NITEMS(ends); i++)
		if ((v = vp_get(body, ends[i])) != NULL)
			vpb_add_slice(b, ends[i], v);
	n = rev_to_text(rev, text);
	vpb_add_string(b, "_rev", text, n);
	vp_obj_iter(&it, body);
	while (vp_obj_next(&it, &a)) {
		if (a.nlen == 4 && (memcmp(a.name, "_key", 4) == 0 ||
		    memcmp(a.name, "_rev", 4) == 0))
			continue;
		if (a.nlen == 3 && memcmp(a.name, "_id", 3) == 0)
			continue;
		if (sh->type == 3 &&
		    ((a.nlen == 5 && memcmp(a.name, "_from", 5) == 0) ||
		    (a.nlen == 3 && memcmp(a.name, "_to", 3) == 0)))
			continue;
		vpb_key(b, a.name, a.nlen);
		vpb_slice(b, a.value);
	}
	vpb_close(b);
}
