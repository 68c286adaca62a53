/*
 * dbs_document.c - /_api/document on a DB-server, with a shard's name in place
 * of the collection's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "sandbox/dbs.h"

/* One request that writes. */
struct docs {
	struct sb_req		*r;
	struct dbs		*d;
	struct dbs_shard	*s;		/* a reference */
	struct dbs_trx		*trx;		/* or NULL */
	struct docop_opts	 o;
	struct dbs_batch	 batch;
	struct buf		 body;
	const uint8_t		*value;		/* what to write */
	bool			 multiple;
	uint64_t		 next_id;	/* for generated keys */

	struct buf		 doc;		/* new document */
	struct vp_builder	 db;
	struct buf		 old;		/* copy of the old one */
	struct buf		 result;
	struct vp_builder	 rb;
	struct docop_errors	 errs;
	/* of a single operation */
	struct err_msg		 em;
	int			 errnum;
	uint64_t		 rev;		/* etag */
	char			 key[256];
	size_t			 klen;
	bool			 rev_mismatch;
};

/* ---- results --------------------------------------------------------- */

static void
put_error(struct docs *x, int errnum, const char *text)
{
	docop_errors_add(&x->errs, errnum, 1);
	if (x->multiple) {
		docop_put_error(&x->rb, errnum, text);
		return;
	}
	x->errnum = errnum;
	if (text != x->em.text)
		err_set(&x->em, 0, "%s", text != NULL ? text :
		    arango_error_text(errnum));
}

static void
put_done(struct docs *x, const struct docop_done *done)
{
	if (!x->multiple) {
		x->rev = done->rev;
		x->klen = MIN(done->klen, sizeof(x->key) - 1);
		memcpy(x->key, done->key, x->klen);
	}
	if (!x->o.silent)
		docop_put_done(&x->rb, &x->s->coll, done);
}

static void
put_store_error(struct docs *x, int r, const struct store_conflict *c,
    const char *key, size_t klen)
{
	struct buf	 text = BUF_INIT;

	if (r < 0)
		dbs_storage_failed(x->d);
	if (r == AE_UNIQUE_CONSTRAINT_VIOLATED) {
		store_conflict_text(c, &text);
		put_error(x, r, buf_cstr(&text));
	} else if (r == AE_CONFLICT) {
		buf_printf(&text, "write-write conflict - in index primary of "
		    "type primary over '_key'; conflicting key: %.*s",
		    (int)MIN(klen, DOCOP_KEY_MAX), key);
		put_error(x, r, buf_cstr(&text));
	} else
		put_error(x, r, NULL);
	buf_free(&text);
}

/* ---- operations ------------------------------------------------------ */

static struct store_tx *
reader(struct docs *x)
{
	return x->trx != NULL ? x->trx->tx : NULL;
}

static void
insert_new(struct docs *x, const struct docop_elem *e, const char *key,
    size_t klen)
{
	struct store_conflict	 c;
	struct docop_done	 done = { .key = key, .klen = klen };
	int			 r;

	done.rev = docop_new_rev(&x->o, e->value, &x->d->clock);
	buf_reset(&x->doc);
	r = docop_build(&x->db, &x->doc, &x->s->coll, e->value, key, klen,
	    done.rev);
	if (r != AE_OK) {
		put_error(x, r, NULL);
		return;
	}
	r = dbs_batch_put(&x->batch, x->doc.data, &c, NULL, true);
	if (r != 0) {
		put_store_error(x, r, &c, key, klen);
		return;
	}
	if (x->o.return_new)
		done.new_doc = x->doc.data;
	put_done(x, &done);
}

/*
 * A document stays in its shard.  As arangod does, an attribute that an update
 * takes away counts as unchanged, and one that is not there is null.
 */
static bool
changes_shard_keys(struct docs *x, const uint8_t *old, bool update)
{
	const struct cl_collection	*col = NULL;
	const uint8_t			*a, *b;
	const char			*name;
	size_t				 i;

	if (x->o.is_restore || x->o.sync_from != NULL ||
	    dbs_shard_plan(x->s, &col) == NULL || col == NULL)
		return false;
	for (i = 0; i < col->nshard_keys; i++) {
		name = col->shard_keys[i];
		if (strcmp(name, "_key") == 0)
			continue;
		a = vp_get(old, name);
		b = vp_get(x->doc.data, name);
		if (b == NULL && update)
			continue;
		if (vp_compare(a != NULL ? a : vp_null,
		    b != NULL ? b : vp_null) != 0)
			return true;
	}
	return false;
}

/* Replace or update what is stored under the key. */
static void
modify(struct docs *x, const struct docop_elem *e, bool update)
{
	struct store_conflict	 c;
	struct docop_done	 done = { .key = e->key, .klen = e->klen };
	const uint8_t		*old;
	bool			 noop, follow;
	int			 r;

	r = store_get(x->d->store, reader(x), x->s->sh, e->key, e->klen, &old,
	    &done.old_rev);
	if (r != 0) {
		put_store_error(x, r, NULL, e->key, e->klen);
		return;
	}
	if (!x->o.ignore_revs && e->rev != 0 && e->rev != done.old_rev) {
		x->rev_mismatch = true;
		x->rev = done.old_rev;
		x->klen = MIN(e->klen, sizeof(x->key) - 1);
		memcpy(x->key, e->key, x->klen);
		put_error(x, AE_CONFLICT, DBS_REV_TEXT);
		return;
	}
	if (x->o.return_old) {
		buf_reset(&x->old);
		buf_append(&x->old, old, vp_size(old));
		old = done.old_doc = x->old.data;
	}
	noop = update && !x->o.is_restore && x->o.sync_from == NULL &&
	    docop_patch_is_empty(e->value);
	done.rev = noop ? done.old_rev :
	    docop_new_rev(&x->o, e->value, &x->d->clock);
	buf_reset(&x->doc);
	if (update)
		r = docop_merge(&x->db, &x->doc, &x->s->coll, &x->o, old,
		    e->value, done.rev);
	else
		r = docop_build(&x->db, &x->doc, &x->s->coll, e->value, e->key,
		    e->klen, done.rev);
	if (r == AE_OK && !noop && changes_shard_keys(x, old, update))
		r = AE_MUST_NOT_CHANGE_SHARDING;
	if (r != AE_OK) {
		put_error(x, r, NULL);
		return;
	}
	/*
	 * R11: a write that leaves the revision as it is does not go to the
	 * followers when it came by POST, and by PUT and PATCH unless silent.
	 */
	follow = done.rev != done.old_rev ||
	    (x->o.kind != DOCOP_INSERT && x->o.silent);
	r = noop ? 0 : dbs_batch_put(&x->batch, x->doc.data, &c, NULL, follow);
	if (r != 0) {
		put_store_error(x, r, &c, e->key, e->klen);
		return;
	}
	if (x->o.return_new)
		done.new_doc = x->doc.data;
	put_done(x, &done);
}

static void
insert(struct docs *x, const struct docop_elem *e)
{
	struct store_conflict	 c;
	struct docop_done	 done = { 0 };
	char			 key[DOCOP_GENERATED_KEY_MAX];
	size_t			 klen;
	uint64_t		 rev;

	if (e->key == NULL) {
		klen = docop_keygen_next(&x->s->keys, x->next_id++, key);
		if (klen == 0)
			put_error(x, AE_OUT_OF_KEYS, NULL);
		else
			insert_new(x, e, key, klen);
		return;
	}
	docop_keygen_track(&x->s->keys, e->key, e->klen);
	if (store_get_rev(x->d->store, reader(x), x->s->sh, e->key, e->klen,
	    &rev) != 0) {
		insert_new(x, e, e->key, e->klen);
		return;
	}
	switch (x->o.overwrite) {
	case DOCOP_CONFLICT:
		store_conflict_primary(&c, e->key, e->klen);
		put_store_error(x, AE_UNIQUE_CONSTRAINT_VIOLATED, &c, e->key,
		    e->klen);
		break;
	case DOCOP_IGNORE:
		done.key = e->key;
		done.klen = e->klen;
		done.rev = rev;
		put_done(x, &done);
		break;
	case DOCOP_OW_UPDATE:
	case DOCOP_OW_REPLACE:
		modify(x, e, x->o.overwrite == DOCOP_OW_UPDATE);
		break;
	}
}

static void
remove_one(struct docs *x, const struct docop_elem *e)
{
	struct docop_done	 done = { .key = e->key, .klen = e->klen };
	const uint8_t		*old;
	int			 r;

	if (x->o.return_old)
		r = store_get(x->d->store, reader(x), x->s->sh, e->key,
		    e->klen, &old, &done.rev);
	else
		r = store_get_rev(x->d->store, reader(x), x->s->sh, e->key,
		    e->klen, &done.rev);
	if (r != 0) {
		put_store_error(x, r, NULL, e->key, e->klen);
		return;
	}
	if (!x->o.ignore_revs && e->rev != 0 && e->rev != done.rev) {
		x->rev_mismatch = true;
		x->rev = done.rev;
		x->klen = MIN(e->klen, sizeof(x->key) - 1);
		memcpy(x->key, e->key, x->klen);
		put_error(x, AE_CONFLICT, DBS_REV_TEXT);
		return;
	}
	if (x->o.return_old) {
		buf_reset(&x->old);
		buf_append(&x->old, old, vp_size(old));
		done.old_doc = x->old.data;
	}
	r = dbs_batch_remove(&x->batch, e->key, e->klen, NULL);
	if (r != 0)
		put_store_error(x, r, NULL, e->key, e->klen);
	else
		put_done(x, &done);
}

static void
execute(struct docs *x, const uint8_t *value)
{
	struct docop_elem	 e;
	int			 r;

	if (x->result.len > DBS_ANSWER_BYTES_MAX || (x->trx != NULL &&
	    store_tx_bytes(x->trx->tx) > DBS_TRX_BYTES_MAX)) {
		put_error(x, AE_RESOURCE_LIMIT, NULL);
		return;
	}
	if ((r = docop_elem_parse(&e, &x->o, value)) != AE_OK) {
		put_error(x, r, NULL);
		return;
	}
	if (x->o.kind == DOCOP_REMOVE) {
		remove_one(x, &e);
		return;
	}
	if ((r = docop_check(&x->s->coll, &x->o, &e, NULL)) != AE_OK) {
		put_error(x, r, NULL);
		return;
	}
	switch (x->o.kind) {
	case DOCOP_INSERT:
		insert(x, &e);
		break;
	case DOCOP_REPLACE:
	case DOCOP_UPDATE:
		modify(x, &e, x->o.kind == DOCOP_UPDATE);
		break;
	case DOCOP_REMOVE:
	case DOCOP_READ:
		break;
	}
}

/* ---- the request ----------------------------------------------------- */

/* May we do it?  Also what a leader asks of a follower with the parameter
 * isSynchronousReplication. */
static int
check(struct docs *x)
{
	if (x->s->sh == NULL)
		return AE_DATA_SOURCE_NOT_FOUND;
	if (x->trx != NULL && x->trx->tx == NULL)
		return AE_TRANSACTION_ABORTED;
	if (x->o.sync_from == NULL)
		return dbs_shard_check_write(x->s, x->r);
	if (x->s->role == DBS_LEADER)
		return AE_LEADER_REFUSES_REPLICATION;
	if (x->s->leader == NULL ||
	    strcmp(x->s->leader, x->o.sync_from) != 0)
		return AE_FOLLOWER_REFUSES_OPERATION;
	return AE_OK;
}

/* The largest number that is a key, for generators that count. */
static void
scan_keys(struct dbs_shard *s)
{
	struct store_scan	*scan;
	struct store_row	 row;

	s->keys_scanned = true;
	if (s->keys.type == DOCOP_KEYS_TRADITIONAL ||
	    s->keys.type == DOCOP_KEYS_UUID ||
	    store_scan_new(s->d->store, s->sh, STORE_BY_KEY, NULL, NULL,
	    &scan) != 0)
		return;
	while (store_scan_next(scan, false, &row) == 1)
		docop_keygen_track(&s->keys, row.key, row.klen);
	store_scan_free(&scan);
}

/* Numbers for the keys of those that bring none.  0 or errnum.  Waits. */
static int
reserve_keys(struct docs *x)
{
	struct vp_iter	 it;
	const uint8_t	*v;
	uint32_t	 n = 0;

	if (x->o.kind != DOCOP_INSERT)
		return AE_OK;
	if (x->multiple) {
		vp_arr_iter(&it, x->value);
		while ((v = vp_arr_next(&it)) != NULL)
			n += vp_obj_get(v, "_key", 4) == NULL;
	} else
		n = vp_obj_get(x->value, "_key", 4) == NULL;
	if (n == 0)
		return AE_OK;
	if (agency_ids(x->d->agency, n, &x->next_id,
	    loop_now_ms(x->d->loop) + DBS_AGENCY_MS) != 0)
		return AE_AGENCY_COMMUNICATION_FAILED;
	return AE_OK;
}

/*
 * Elements from *it on, until the end or until so much was done that it is
 * committed first (arangod's intermediate commits) and others have their turn.
 * Does not wait.  true: more to do.
 */
static bool
execute_some(struct docs *x, struct vp_iter *it)
{
	const uint8_t	*v;
	unsigned	 n = 0;

	if (!x->multiple) {
		execute(x, x->value);
		return false;
	}
	while ((v = vp_arr_next(it)) != NULL) {
		execute(x, v);
		if (++n == DBS_PIECE_OPS || (x->trx == NULL &&
		    store_tx_bytes(x->batch.tx) > DBS_PIECE_BYTES))
			return it->left > 0;
	}
	return false;
}

/* 0, or errnum for the whole request.  Waits. */
static int
run(struct docs *x, bool sync)
{
	struct dbs_wait	 w;
	struct vp_iter	 it;
	bool		 more = true;
	int		 e;

	vp_arr_iter(&it, x->value);
	do {
		dbs_shard_wait_unlocked(x->s);
		if ((e = check(x)) != AE_OK)
			return e;
		if (!x->s->keys_scanned)
			scan_keys(x->s);
		memset(&w, 0, sizeof(w));
		dbs_batch_begin(&x->batch, x->s, x->multiple ?
		    STORE_TX_REQUEST : STORE_TX_SINGLE, x->trx);
		more = execute_some(x, &it);
		if (dbs_batch_end(&x->batch, sync, &w) != 0)
			dbs_storage_failed(x->d);
		if (x->trx != NULL || x->batch.nops == 0) {
			if (more)
				fiber_yield();
		} else if ((e = dbs_wait_finish(x->d, &w, sync)) != AE_OK)
			return e;
	} while (more);
	return AE_OK;
}

static void
answer_single_error(struct docs *x)
{
	if (x->rev_mismatch)
		dbs_reply_precondition(x->r, x->s, x->key, x->klen, x->rev);
	else if (x->errnum == AE_DOCUMENT_NOT_FOUND)
		sb_error(x->r, x->errnum, NULL);
	else
		sb_error(x->r, x->errnum, "%s", x->em.text);
}

static void
answer(struct docs *x, bool sync)
{
	struct buf	 text = BUF_INIT;
	char		 rev[REV_TEXT_MAX];
	int		 status;

	status = x->o.kind == DOCOP_REMOVE ? (sync ? 200 : 202) :
	    (sync ? 201 : 202);
	if (!x->multiple && x->errnum != 0) {
		answer_single_error(x);
		return;
	}
	if (x->multiple)
		vpb_close(&x->rb);
	if (x->multiple && x->errs.n > 0) {
		docop_errors_text(&x->errs, &text);
		sb_header(x->r, "x-arango-error-codes", "%s",
		    buf_cstr(&text));
		buf_free(&text);
	}
	if (x->o.silent && x->errs.n == 0) {
		buf_reset(&x->result);
		buf_append_u8(&x->result, vp_empty_object[0]);
	} else if (vpb_end(&x->rb) != 0) {
		sb_error(x->r, AE_INTERNAL, NULL);
		return;
	} else if (!x->multiple) {
		x->key[x->klen] = '\0';
		rev_to_text(x->rev, rev);
		sb_header(x->r, "etag", "\"%s\"", rev);
		sb_header(x->r, "location", "/_db/%s/_api/document/%s/%s",
		    sb_encode(x->r->db), sb_encode(x->s->name),
		    sb_encode(x->key));
	}
	sb_reply_vpack(x->r, status, &x->result);
}

static void
docs_free(struct docs *x)
{
	buf_free(&x->body);
	buf_free(&x->doc);
	buf_free(&x->old);
	buf_free(&x->result);
	vpb_free(&x->db);
	vpb_free(&x->rb);
	dbs_shard_unref(&x->s);
}

/* x->value, x->multiple and x->o are set. */
static void
write_docs(struct docs *x, const char *name)
{
	struct dbs_shard	*s;
	bool			 sync;
	int			 e;

	if ((s = dbs_req_shard(x->r, name)) == NULL)
		return;
	x->s = dbs_shard_ref(s);
	if (dbs_trx_enter(x->r, &x->trx) != 0)
		return;
	sync = x->o.wait_for_sync ||
	    (x->s->wait_for_sync && !x->o.is_restore);
	vpb_init(&x->db, &x->doc);
	vpb_init(&x->rb, &x->result);
	if (x->multiple)
		vpb_open_array(&x->rb);
	x->s->writing++;
	if ((e = check(x)) == AE_OK && (e = reserve_keys(x)) == AE_OK)
		e = run(x, sync);
	x->s->writing--;
	fiber_cond_broadcast(&x->s->idle);
	dbs_trx_leave(x->d, x->trx);
	if (e != AE_OK)
		dbs_error(x->r, e, x->s->name);
	else
		answer(x, sync);
}

/*
 * The body of PUT and PATCH /_api/document/<shard>/<key>: the key of the path
 * wins, and If-Match is as a _rev in the body.
 */
static int
single_body(struct docs *x, const char *key, uint64_t rev)
{
	struct buf		 out = BUF_INIT;
	struct vp_builder	 b;
	struct vp_iter		 it;
	struct vp_attr		 a;
	char			 text[REV_TEXT_MAX];
	size_t			 len;
	int			 e;

	vpb_init(&b, &out);
	vpb_open_object(&b);
	vpb_add_str(&b, "_key", key);
	if (rev == REV_INVALID) {
		vpb_add_str(&b, "_rev", "invalid");
	} else if (rev != 0) {
		len = rev_to_text(rev, text);
		vpb_add_string(&b, "_rev", text, len);
	}
	vp_obj_iter(&it, x->value != NULL ? x->value : vp_empty_object);
	while (vp_obj_next(&it, &a)) {
		if ((a.nlen == 4 && memcmp(a.name, "_key", 4) == 0) ||
		    (rev != 0 && a.nlen == 4 &&
		    memcmp(a.name, "_rev", 4) == 0))
			continue;
		vpb_key(&b, a.name, a.nlen);
		vpb_slice(&b, a.value);
	}
	vpb_close(&b);
	e = vpb_end(&b);
	vpb_free(&b);
	if (e != 0) {
		buf_free(&out);
		return e;
	}
	buf_free(&x->body);
	x->body = out;
	x->value = out.data;
	if (rev != 0)
		x->o.ignore_revs = false;
	return 0;
}

static void
post_document(struct sb_req *r)
{
	struct docs	 x = { .r = r, .d = dbs_of(r) };
	const char	*name;

	name = r->nseg > 2 ? r->seg[2] : sb_param(r, "collection");
	if (name == NULL || *name == '\0') {
		sb_error(r, AE_COLLECTION_PARAMETER_MISSING,
		    "'collection' is missing, expecting /_api/document POST "
		    "/_api/document/<collection> or query parameter "
		    "'collection'");
		return;
	}
	if (sb_body_vpack(r, &x.body) != 0)
		return;
	docop_opts_from_req(&x.o, DOCOP_INSERT, r);
	x.value = x.body.data;
	x.multiple = vp_is_array(x.value);
	write_docs(&x, name);
	docs_free(&x);
}

static void
modify_document(struct sb_req *r, enum docop_kind kind)
{
	struct docs	 x = { .r = r, .d = dbs_of(r) };
	const char	*name;
	bool		 many = r->nseg <= 3;

	name = r->nseg > 2 ? r->seg[2] : sb_param(r, "collection");
	if (name == NULL) {
		sb_error(r, AE_HTTP_BAD_PARAMETER, "collection must be given "
		    "in URL path or query parameter 'collection' must be "
		    "specified");
		return;
	}
	docop_opts_from_req(&x.o, kind, r);
	if (x.o.only_get) {
		dbs_read_many(r, name);
		return;
	}
	if (sb_body_vpack(r, &x.body) != 0)
		return;
	x.value = x.body.data;
	x.multiple = many;
	if (many ? !vp_is_array(x.value) : !vp_is_object(x.value))
		sb_error(r, AE_DOCUMENT_TYPE_INVALID, NULL);
	else if (!many && single_body(&x, r->seg[3], dbs_header_rev(r,
	    "if-match")) != 0)
		sb_error(r, AE_BAD_PARAMETER, NULL);
	else
		write_docs(&x, name);
	docs_free(&x);
}

static void
put_document(struct sb_req *r)
{
	modify_document(r, DOCOP_REPLACE);
}

static void
patch_document(struct sb_req *r)
{
	modify_document(r, DOCOP_UPDATE);
}

static void
delete_document(struct sb_req *r)
{
	struct docs	 x = { .r = r, .d = dbs_of(r) };

	docop_opts_from_req(&x.o, DOCOP_REMOVE, r);
	if (r->nseg > 3) {
		if (single_body(&x, r->seg[3],
		    dbs_header_rev(r, "if-match")) != 0)
			sb_error(r, AE_BAD_PARAMETER, NULL);
		else
			write_docs(&x, r->seg[2]);
		docs_free(&x);
		return;
	}
	if (sb_body_vpack(r, &x.body) != 0)
		return;
	x.value = x.body.data;
	x.multiple = vp_is_array(x.value);
	if (!x.multiple && !vp_is_object(x.value))
		sb_error(r, AE_HTTP_BAD_PARAMETER,
		    "Request body not parseable");
	else
		write_docs(&x, r->seg[2]);
	docs_free(&x);
}

static void
get_without_key(struct sb_req *r)
{
	if (r->method == SB_HEAD)
		sb_error(r, AE_HTTP_BAD_PARAMETER,
		    "expecting HEAD /_api/document/<collection>/<key>");
	else
		sb_error(r, AE_DATA_SOURCE_NOT_FOUND,
		    "expecting GET /_api/document/<collection>/<key>");
}

const struct sb_route dbs_document_routes[] = {
	{ SB_POST, "/_api/document", SB_SUPERUSER, post_document },
	{ SB_POST, "/_api/document/*", SB_SUPERUSER, post_document },
	{ SB_PUT, "/_api/document", SB_SUPERUSER, put_document },
	{ SB_PUT, "/_api/document/*", SB_SUPERUSER, put_document },
	{ SB_PUT, "/_api/document/*/*", SB_SUPERUSER, put_document },
	{ SB_PATCH, "/_api/document", SB_SUPERUSER, patch_document },
	{ SB_PATCH, "/_api/document/*", SB_SUPERUSER, patch_document },
	{ SB_PATCH, "/_api/document/*/*", SB_SUPERUSER, patch_document },
	{ SB_DELETE, "/_api/document/*", SB_SUPERUSER, delete_document },
	{ SB_DELETE, "/_api/document/*/*", SB_SUPERUSER, delete_document },
	{ SB_GET | SB_HEAD, "/_api/document/*/*", SB_SUPERUSER,
	    dbs_get_document },
	{ SB_GET | SB_HEAD, "/_api/document", SB_SUPERUSER, get_without_key },
	{ SB_GET | SB_HEAD, "/_api/document/*", SB_SUPERUSER, get_without_key },
	{ 0 }
};
