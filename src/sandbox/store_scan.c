/*
 * store_scan.c - walking through a shard in order of revision or key, as of
 * now, of a snapshot, or inside a stream transaction.
 *
 * Inside a stream two ordered streams are merged: RocksDB's, as of the
 * transaction's begin, and what the transaction wrote, sorted once.
 */
#include <stdlib.h>
#include <string.h>

#include "sandbox/store_priv.h"
#include "vpack/hash.h"
#include "vpack/rev.h"

enum scan_kind {
	SCAN_REV,
	SCAN_KEY,
	SCAN_INDEX			/* entries of a secondary index */
};

struct store_scan {
	struct store	*st;
	struct store_scan *next;
	enum scan_kind	 kind;
	bool		 unique;	/* SCAN_INDEX: key is in the value */
	uint64_t	 shard;
	uint64_t	 drops;		/* st->drops when looked last */
	struct store_tx	*tx;
	const rocksdb_snapshot_t *own;	/* snapshot made for this scan */
	rocksdb_readoptions_t *ro;
	rocksdb_iterator_t *it;
	bool		 moved;		/* it stands behind the last row */
	struct buf	 prefix, end;
	struct sbatch_ent *mine;	/* of tx, sorted */
	size_t		 nmine, at;
	rocksdb_pinnableslice_t *pin;	/* body of the last row */
	struct buf	 body;		/* the same out of a transaction */
};

/* ---- what the transaction wrote ----------------------------------------- */

static int
bytes_order(const void *a, size_t alen, const void *b, size_t blen)
{
	int	 r = memcmp(a, b, MIN(alen, blen));

	return r != 0 ? r : (alen > blen) - (alen < blen);
}

static int
ent_order(const void *pa, const void *pb, void *arg)
{
	const struct sbatch_ent	*a = pa, *b = pb;
	const struct sbatch	*batch = arg;

	return bytes_order(sbatch_key(batch, a), a->klen,
	    sbatch_key(batch, b), b->klen);
}

static void
collect_mine(struct store_scan *s)
{
	struct sbatch		*b = &s->tx->batch;
	const struct sbatch_ent	*e;
	size_t			 i, n = 0;

	for (i = 0; i < b->cap; i++) {
		e = &b->tab[i];
		if (e->state == SBATCH_MISS || e->klen < s->prefix.len ||
		    memcmp(sbatch_key(b, e), s->prefix.data,
		    s->prefix.len) != 0)
			continue;
		if (n == s->nmine) {
			s->nmine = n == 0 ? 64 : n * 2;
			s->mine = xrealloc(s->mine,
			    s->nmine * sizeof(s->mine[0]));
		}
		s->mine[n++] = *e;
	}
	s->nmine = n;
	if (n > 0)
		qsort_r(s->mine, n, sizeof(s->mine[0]), ent_order, b);
}

/* ---- making one --------------------------------------------------------- */

/* The first key behind all that begin with prefix. */
static void
set_end(struct store_scan *s)
{
	buf_reset(&s->end);
	buf_append(&s->end, s->prefix.data, s->prefix.len);
	while (s->end.len > 0 && ++s->end.data[s->end.len - 1] == 0)
		s->end.len--;
}

static void
scan_open(struct store_scan *s, struct store_snap *snap)
{
	struct store	*st = s->st;

	set_end(s);
	s->ro = rocksdb_readoptions_create();
	if (snap != NULL)
		rocksdb_readoptions_set_snapshot(s->ro,
		    store_snap_rocks(snap));
	else if (s->tx != NULL)
		rocksdb_readoptions_set_snapshot(s->ro, s->tx->snap);
	else {
		s->own = rocksdb_create_snapshot(st->db);
		rocksdb_readoptions_set_snapshot(s->ro, s->own);
	}
	rocksdb_readoptions_set_iterate_upper_bound(s->ro,
	    (const char *)s->end.data, s->end.len);
	rocksdb_readoptions_set_readahead_size(s->ro, 2u << 20);
	s->it = rocksdb_create_iterator(st->db, s->ro);
	rocksdb_iter_seek(s->it, (const char *)s->prefix.data, s->prefix.len);
	if (s->tx != NULL)
		collect_mine(s);
	s->next = st->scans;
	st->scans = s;
}

static struct store_scan *
scan_new(struct store *st, struct store_shard *sh, enum scan_kind kind,
    struct store_tx *tx)
{
	struct store_scan	*s;

	s = xcalloc(1, sizeof(*s));
	s->st = st;
	s->kind = kind;
	s->shard = sh->id;
	s->drops = st->drops;
	s->tx = tx != NULL && tx->kind == STORE_TX_STREAM ? tx : NULL;
	return s;
}

int
store_scan_new(struct store *st, struct store_shard *sh,
    enum store_order order, struct store_snap *snap, struct store_tx *tx,
    struct store_scan **out)
{
	struct store_scan	*s;
	uint8_t			 prefix[SKEY_PREFIX];
	int			 r;

	if ((r = store_commit_pending(st)) != 0)
		return r;
	s = scan_new(st, sh, order == STORE_BY_REV ? SCAN_REV : SCAN_KEY,
	    snap != NULL ? NULL : tx);
	skey_prefix(prefix, order == STORE_BY_REV ? 'd' : 'p', sh->id);
	buf_append(&s->prefix, prefix, sizeof(prefix));
	scan_open(s, snap);
	*out = s;
	return 0;
}

int
store_scan_index(struct store *st, struct store_shard *sh,
    struct store_index *ix, const uint8_t *value, struct store_tx *tx,
    struct store_scan **out)
{
	struct store_scan	*s;
	uint8_t			 prefix[SKEY_PREFIX];
	int			 r;

	if (ix->kind == STORE_INDEX_META || ix->nfields != 1)
		return ERR_USAGE;
	if ((r = store_commit_pending(st)) != 0)
		return r;
	s = scan_new(st, sh, SCAN_INDEX, tx);
	s->unique = ix->kind == STORE_INDEX_UNIQUE;
	skey_prefix(prefix, s->unique ? 'u' : 'i', ix->object);
	buf_append(&s->prefix, prefix, sizeof(prefix));
	sindex_encode(&s->prefix, value);
	scan_open(s, NULL);
	*out = s;
	return 0;
}

void
store_scan_free(struct store_scan **sp)
{
	struct store_scan	*s = *sp, **at;

	if (s == NULL)
		return;
	for (at = &s->st->scans; *at != NULL; at = &(*at)->next)
		if (*at == s) {
			*at = s->next;
			break;
		}
	if (s->pin != NULL)
		rocksdb_pinnableslice_destroy(s->pin);
	rocksdb_iter_destroy(s->it);
	rocksdb_readoptions_destroy(s->ro);
	if (s->own != NULL)
		rocksdb_release_snapshot(s->st->db, s->own);
	buf_free(&s->prefix);
	buf_free(&s->end);
	buf_free(&s->body);
	free(s->mine);
	free(s);
	*sp = NULL;
}

void
store_scan_close_all(struct store *st)
{
	struct store_scan	*s;

	while ((s = st->scans) != NULL)
		store_scan_free(&s);
}

static void
scan_seek(struct store_scan *s, const uint8_t *key, size_t klen)
{
	const struct sbatch_ent	*e;

	rocksdb_iter_seek(s->it, (const char *)key, klen);
	s->moved = false;
	for (s->at = 0; s->at < s->nmine; s->at++) {
		e = &s->mine[s->at];
		if (bytes_order(sbatch_key(&s->tx->batch, e), e->klen, key,
		    klen) >= 0)
			break;
	}
}

void
store_scan_seek_key(struct store_scan *s, const char *key, size_t klen)
{
	struct skey_primary	 k;

	if (s->kind != SCAN_KEY)
		return;
	skey_primary(&k, s->shard, key, klen);
	scan_seek(s, k.data, k.len);
}

void
store_scan_seek_rev(struct store_scan *s, uint64_t rev)
{
	uint8_t	 k[SKEY_DOC];

	if (s->kind != SCAN_REV)
		return;
	skey_doc(k, s->shard, rev);
	scan_seek(s, k, sizeof(k));
}

/* ---- walking ------------------------------------------------------------ */

struct raw_row {
	const uint8_t	*key, *val;
	size_t		 klen, vlen;
};

/* 1 and the next pair of the merged streams, 0 at the end, or negative. */
static int
scan_raw(struct store_scan *s, struct raw_row *row)
{
	const struct sbatch_ent	*e;
	const struct sbatch	*b;
	char			*err = NULL;
	int			 c;

	if (s->moved)
		rocksdb_iter_next(s->it);
	s->moved = false;
	for (;;) {
		row->key = NULL;
		if (rocksdb_iter_valid(s->it)) {
			row->key = (const uint8_t *)rocksdb_iter_key(s->it,
			    &row->klen);
			row->val = (const uint8_t *)rocksdb_iter_value(s->it,
			    &row->vlen);
		}
		if (s->at == s->nmine)
			break;
		b = &s->tx->batch;
		e = &s->mine[s->at];
		c = row->key == NULL ? 1 : bytes_order(row->key, row->klen,
		    sbatch_key(b, e), e->klen);
		if (c < 0)
			break;
		if (c == 0)		/* ours is newer */
			rocksdb_iter_next(s->it);
		s->at++;
		if (e->state == SBATCH_DELETED)
			continue;
		row->key = sbatch_key(b, e);
		row->klen = e->klen;
		row->val = sbatch_val(b, e);
		row->vlen = e->vlen;
		return 1;
	}
	if (row->key == NULL) {
		rocksdb_iter_get_error(s->it, &err);
		return err != NULL ? store_fail(s->st, err) : 0;
	}
	s->moved = true;
	return 1;
}

/* The body that this scan sees under a revision: 1, 0 or negative. */
static int
scan_body(struct store_scan *s, uint64_t rev, const uint8_t **doc)
{
	const uint8_t	*val;
	uint8_t		 key[SKEY_DOC];
	size_t		 len;
	char		*err = NULL;

	skey_doc(key, s->shard, rev);
	if (s->tx != NULL && sbatch_find(&s->tx->batch, key, sizeof(key), &val,
	    &len) == SBATCH_PUT) {
		buf_reset(&s->body);
		buf_append(&s->body, val, len);
		*doc = s->body.data;
		return 1;
	}
	if (s->pin != NULL)
		rocksdb_pinnableslice_destroy(s->pin);
	s->pin = rocksdb_get_pinned(s->st->db, s->ro, (const char *)key,
	    sizeof(key), &err);
	if (err != NULL)
		return store_fail(s->st, err);
	if (s->pin == NULL)
		return 0;
	*doc = (const uint8_t *)rocksdb_pinnableslice_value(s->pin, &len);
	return 1;
}

/* The parts of a row, by kind.  false: not a row of ours. */
static bool
row_parts(const struct store_scan *s, const struct raw_row *raw,
    struct store_row *row)
{
	row->doc = NULL;
	switch (s->kind) {
	case SCAN_REV:
		if (raw->klen != SKEY_DOC)
			return false;
		row->rev = get_be64(raw->key + SKEY_PREFIX);
		row->doc = raw->val;
		row->key = vp_get_string(vp_get(raw->val, "_key"), &row->klen);
		return row->key != NULL;
	case SCAN_KEY:
		if (raw->vlen != 8)
			return false;
		row->key = (const char *)raw->key + SKEY_PREFIX;
		row->klen = raw->klen - SKEY_PREFIX;
		row->rev = get_be64(raw->val);
		return true;
	case SCAN_INDEX:
		if (s->unique) {
			if (raw->vlen < 8 || raw->klen != s->prefix.len)
				return false;
			row->rev = get_be64(raw->val);
			row->key = (const char *)raw->val + 8;
			row->klen = raw->vlen - 8;
			return true;
		}
		if (raw->klen != s->prefix.len + 8)
			return false;
		row->rev = get_be64(raw->key + s->prefix.len);
		row->key = (const char *)raw->val;
		row->klen = raw->vlen;
		return true;
	}
	return false;
}

int
store_scan_next(struct store_scan *s, bool with_doc, struct store_row *row)
{
	struct raw_row	 raw;
	int		 r;

	if (s->drops != s->st->drops) {
		if (store_shard_by_id(s->st, s->shard) == NULL)
			return AE_DATA_SOURCE_NOT_FOUND;
		s->drops = s->st->drops;
	}
	while ((r = scan_raw(s, &raw)) == 1) {
		if (!row_parts(s, &raw, row))
			continue;
		if (!with_doc || row->doc != NULL)
			return 1;
		if ((r = scan_body(s, row->rev, &row->doc)) != 0)
			return r;
	}
	return r;
}

bool
store_scan_more(struct store_scan *s)
{
	if (s->moved)
		rocksdb_iter_next(s->it);
	s->moved = false;
	return s->at < s->nmine || rocksdb_iter_valid(s->it);
}

int
store_scan_checksum(struct store_scan *s, bool with_revisions,
    bool with_data, size_t max, uint64_t *sum)
{
	struct store_row	 row;
	int			 r;

	while (max-- > 0) {
		if ((r = store_scan_next(s, true, &row)) != 1)
			return r;
		*sum ^= vp_document_checksum(row.doc, with_revisions,
		    with_data);
	}
	return 1;
}
