/* dbs_read.c - documents by key: GET, HEAD, PUT ?onlyget=true */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "sandbox/dbs.h"

uint64_t
dbs_header_rev(struct sb_req *r, const char *name)
{
	const char	*h = sb_req_header(r, name);
	size_t		 len;

	if (h == NULL)
		return 0;
	len = strlen(h);
	if (len >= 2 && h[0] == '"' && h[len - 1] == '"') {
		h++;
		len -= 2;
	}
	return len == 0 ? REV_INVALID : rev_from_text(h, len);
}

void
dbs_reply_precondition(struct sb_req *r, const struct dbs_shard *s,
    const char *key, size_t klen, uint64_t rev)
{
	struct json_object	*o;
	char			 text[REV_TEXT_MAX], id[1024];

	rev_to_text(rev, text);
	sb_header(r, "etag", "\"%s\"", text);
	o = json_object_new_object();
	json_object_object_add(o, "error", json_object_new_boolean(true));
	json_object_object_add(o, "code", json_object_new_int(412));
	json_object_object_add(o, "errorNum", json_object_new_int(AE_CONFLICT));
	json_object_object_add(o, "errorMessage",
	    json_object_new_string(DBS_REV_TEXT));
	snprintf(id, sizeof(id), "%s/%.*s", s->coll.name, (int)klen, key);
	json_object_object_add(o, "_id", json_object_new_string(id));
	json_object_object_add(o, "_key", json_object_new_string_len(key,
	    (int)klen));
	json_object_object_add(o, "_rev", json_object_new_string(text));
	sb_reply_json(r, 412, o);
}

/* Followers are not asked, unless somebody takes what may be old. */
static int
check_read(struct sb_req *r, struct dbs_shard *s)
{
	const char	*dirty = sb_req_header(r, "x-arango-allow-dirty-read");

	if (dirty != NULL && strcmp(dirty, "true") == 0)
		return AE_OK;
	return dbs_shard_check_leader(s);
}

void
dbs_get_document(struct sb_req *r)
{
	struct dbs		*d = dbs_of(r);
	struct dbs_shard	*s;
	struct dbs_trx		*trx;
	struct buf		 out = BUF_INIT;
	const uint8_t		*doc;
	const char		*key = r->seg[3];
	uint64_t		 rev, want = dbs_header_rev(r, "if-match");
	uint64_t		 unwanted = dbs_header_rev(r, "if-none-match");
	char			 text[REV_TEXT_MAX];
	int			 e;

	if ((s = dbs_req_shard(r, r->seg[2])) == NULL ||
	    dbs_trx_enter(r, &trx) != 0)
		return;
	if ((s = dbs_req_shard(r, r->seg[2])) == NULL) {
		dbs_trx_leave(d, trx);
		return;
	}
	if ((e = check_read(r, s)) == AE_OK)
		e = store_get(d->store, trx == NULL ? NULL : trx->tx, s->sh,
		    key, strlen(key), &doc, &rev);
	dbs_trx_leave(d, trx);
	if (e != AE_OK) {
		dbs_error(r, e, s->name);
		return;
	}
	rev_to_text(rev, text);
	if (want != 0 && want != rev) {
		dbs_reply_precondition(r, s, key, strlen(key), rev);
		return;
	}
	sb_header(r, "etag", "\"%s\"", text);
	if (unwanted == rev) {
		sb_reply_empty(r, 304);
		return;
	}
	buf_append(&out, doc, vp_size(doc));
	sb_reply_vpack(r, 200, &out);
}

static void
read_one(struct dbs *d, struct dbs_shard *s, struct dbs_trx *trx,
    const struct docop_opts *o, const uint8_t *v, struct vp_builder *b)
{
	struct docop_elem	 e;
	const uint8_t		*doc;
	uint64_t		 rev;
	int			 r;

	if (b->out->len > DBS_ANSWER_BYTES_MAX)
		r = AE_RESOURCE_LIMIT;
	else if ((r = docop_elem_parse(&e, o, v)) == AE_OK)
		r = store_get(d->store, trx == NULL ? NULL : trx->tx, s->sh,
		    e.key, e.klen, &doc, &rev);
	if (r < 0)
		dbs_storage_failed(d);
	if (r != AE_OK)
		docop_put_error(b, r, NULL);
	else if (!o->ignore_revs && e.rev != 0 && e.rev != rev)
		docop_put_error(b, AE_CONFLICT, DBS_REV_TEXT);
	else
		vpb_slice(b, doc);
}

void
dbs_read_many(struct sb_req *r, const char *name)
{
	struct dbs		*d = dbs_of(r);
	struct dbs_shard	*s;
	struct dbs_trx		*trx = NULL;
	struct docop_opts	 o;
	struct buf		 body = BUF_INIT, out = BUF_INIT;
	struct vp_builder	 b;
	struct vp_iter		 it;
	const uint8_t		*v;
	unsigned		 n = 0;
	int			 e;

	docop_opts_from_req(&o, DOCOP_READ, r);
	if (sb_body_vpack(r, &body) != 0)
		return;
	if (!vp_is_array(body.data)) {
		sb_error(r, AE_DOCUMENT_TYPE_INVALID, NULL);
		goto out;
	}
	if (dbs_trx_enter(r, &trx) != 0)
		goto out;
	if ((s = dbs_req_shard(r, name)) == NULL)
		goto out;
	if ((e = check_read(r, s)) != AE_OK) {
		dbs_error(r, e, s->name);
		goto out;
	}
	s = dbs_shard_ref(s);
	vpb_init(&b, &out);
	vpb_open_array(&b);
	vp_arr_iter(&it, body.data);
	while (e == AE_OK && (v = vp_arr_next(&it)) != NULL) {
		read_one(d, s, trx, &o, v, &b);
		if (++n % DBS_PIECE_OPS != 0)
			continue;
		fiber_yield();
		e = s->sh == NULL ? AE_DATA_SOURCE_NOT_FOUND :
		    trx != NULL && trx->tx == NULL ? AE_TRANSACTION_ABORTED :
		    check_read(r, s);
	}
	vpb_close(&b);
	if (e != AE_OK)
		dbs_error(r, e, s->name);
	else if (vpb_end(&b) != 0)
		sb_error(r, AE_INTERNAL, NULL);
	else
		sb_reply_vpack(r, 200, &out);
	vpb_free(&b);
	buf_free(&out);
	dbs_shard_unref(&s);
out:
	dbs_trx_leave(d, trx);
	buf_free(&body);
}
