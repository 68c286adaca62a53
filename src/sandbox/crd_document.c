/*
 * crd_document.c - single documents through a coordinator: /_api/document.
 *
 * A coordinator decides which shard a document belongs to and gives it a key;
 * everything else is the leader's answer.  Facts: ClusterMethods.cpp and
 * RestDocumentHandler.cpp of arangod, target reference 6.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ev/loop.h"
#include "http/server.h"
#include "sandbox/crd_document.h"
#include "sandbox/crd_array.h"
#include "vpack/hash.h"
#include "vpack/vpack.h"

/* ---- shared with arrays ------------------------------------------------------ */

int
crd_document_may_write(struct sb_req *r)
{
	if (!crd_is_readonly_for(r))
		return 0;
	sb_error(r, AE_READ_ONLY, NULL);
	return -1;
}

static void
calls_in_trx(struct crd *c, const struct cl_collection *col,
    struct crd_trx *trx, struct crd_call *calls, size_t n, unsigned flags,
    uint64_t deadline)
{
	char		 header[CRD_TRX_HEADER_MAX], *both;
	const char	*leader;
	size_t		 i;

	for (i = 0; i < n; i++) {
		leader = col->shards[calls[i].shard].leader;
		if (leader == NULL) {
			calls[i].status = 0;
			calls[i].resp = (struct sb_resp)SB_RESP_INIT;
			calls[i].resp.errnum = AE_BACKEND_UNAVAILABLE;
			continue;
		}
		crd_trx_header(trx, leader, header);
		both = xasprintf("%s%s", header,
		    calls[i].headers == NULL ? "" : calls[i].headers);
		calls[i].status = crd_shard_call(c, col, calls[i].shard,
		    calls[i].method, calls[i].path, both, calls[i].body,
		    calls[i].body_len, flags | CRD_NO_RETRY, deadline,
		    &calls[i].resp);
		free(both);
	}
}

void
crd_document_calls(struct crd *c, const struct cl_collection *col,
    struct crd_trx *trx, struct crd_call *calls, size_t n, unsigned flags)
{
	uint64_t	 deadline = loop_now_ms(c->loop) + CRD_SHARD_TIMEOUT_MS;

	if (trx != NULL)
		calls_in_trx(c, col, trx, calls, n, flags, deadline);
	else
		crd_shard_calls(c, col, calls, n, flags, deadline);
}

/* ---- single documents ---------------------------------------------------------- */

static enum docop_kind
kind_of(enum sb_method m)
{
	return m == SB_POST ? DOCOP_INSERT : m == SB_PUT ? DOCOP_REPLACE :
	    m == SB_PATCH ? DOCOP_UPDATE : m == SB_DELETE ? DOCOP_REMOVE :
	    DOCOP_READ;
}

/*
 * What the request asks for.  isSynchronousReplication is a word of leaders to
 * their followers: a coordinator does not pass it on.
 */
static void
client_opts(struct docop_opts *o, enum docop_kind kind, struct sb_req *r)
{
	docop_opts_from_req(o, kind, r);
	o->sync_from = NULL;
}

/* What comes behind the name of the shard: "/key" (or ""), and "?options". */
static char *
suffix_of(const char *key, const struct docop_opts *o)
{
	struct buf	 b = BUF_INIT;
	size_t		 start, n;

	if (key != NULL)
		buf_printf(&b, "/%s", sb_encode(key));
	buf_append_u8(&b, '?');
	start = b.len;
	docop_opts_to_query(o, &b);
	if (b.len == start)
		b.len--;
	buf_cstr(&b);
	return (char *)buf_steal(&b, &n);
}

/* Lines that decide whether the leader does it at all. */
static void
put_conditions(struct sb_req *r, struct buf *headers)
{
	static const char *const	 names[] = { "if-match", "if-none-match" };
	const char			*v;
	size_t				 i;

	for (i = 0; i < NITEMS(names); i++)
		if ((v = sb_req_header(r, names[i])) != NULL)
			buf_printf(headers, "%s: %s\n", names[i], v);
}

/* etag and location, from _rev and _key of the answer. */
static void
put_headers(struct sb_req *r, const struct cl_collection *col,
    const struct sb_resp *resp)
{
	const char	*rev, *key;
	char		 etag[64];
	size_t		 nrev, nkey;

	if (sb_resp_header(resp, "etag", etag, sizeof(etag)) == 0)
		sb_header(r, "etag", "%s", etag);
	if (resp->body.len == 0 || !vp_is_object(resp->body.data))
		return;
	rev = vp_get_string(vp_get(resp->body.data, "_rev"), &nrev);
	key = vp_get_string(vp_get(resp->body.data, "_key"), &nkey);
	if (rev != NULL && sb_resp_header(resp, "etag", etag,
	    sizeof(etag)) != 0)
		sb_header(r, "etag", "\"%.*s\"", (int)nrev, rev);
	if (key != NULL && (r->method & (SB_POST | SB_PUT | SB_PATCH |
	    SB_DELETE))) {
		char	*k = xstrndup(key, nkey);

		sb_header(r, "location", "/_db/%s/_api/document/%s/%s",
		    sb_encode(r->db), sb_encode(col->name), sb_encode(k));
		free(k);
	}
}

static void
reply_single(struct sb_req *r, const struct cl_collection *col,
    struct crd_call *call)
{
	if (call->status == 0) {
		crd_reply_failure(r, &call->resp);
		return;
	}
	put_headers(r, col, &call->resp);
	if (call->resp.body.len == 0)
		sb_reply_empty(r, call->status);
	else
		sb_reply_vpack(r, call->status, &call->resp.body);
}

/* Of a broadcast: the first shard that knows the document, else any. */
static struct crd_call *
choose(struct crd_call *calls, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		if (calls[i].status != 0 && calls[i].status < 300)
			return &calls[i];
	for (i = 0; i < n; i++)
		if (!(calls[i].status == 404 &&
		    calls[i].resp.errnum == AE_DOCUMENT_NOT_FOUND))
			return &calls[i];
	return &calls[0];
}

/*
 * Send one request about one document; suffix is what comes behind the
 * shard's name.  shard -1: nobody knows, ask all.
 */
static void
single(struct sb_req *r, const struct cl_collection *col, bool write,
    long shard, const char *suffix, const struct buf *body)
{
	struct crd	*c = crd_of(r);
	struct crd_trx	*trx;
	struct crd_call	*calls;
	struct buf	 headers = BUF_INIT;
	size_t		 i, n = shard < 0 ? col->nshards : 1;
	unsigned	 flags;

	if (crd_trx_acquire(r, col, write, &trx) != 0)
		return;
	put_conditions(r, &headers);
	calls = xcalloc(n, sizeof(*calls));
	for (i = 0; i < n; i++) {
		calls[i].shard = shard < 0 ? i : (size_t)shard;
		calls[i].method = r->method == SB_HEAD ? "GET" :
		    http_method_name(http_req_method(r->http));
		calls[i].path = xasprintf("/_api/document/%s%s",
		    col->shards[calls[i].shard].name, suffix);
		calls[i].headers = headers.len == 0 ? NULL :
		    buf_cstr(&headers);
		calls[i].body = body == NULL ? NULL : body->data;
		calls[i].body_len = body == NULL ? 0 : body->len;
	}
	flags = SB_CALL_VPACK_ANSWER | (body == NULL ? 0 : SB_CALL_VPACK_BODY) |
	    (write ? 0 : CRD_IDEMPOTENT);
	crd_document_calls(c, col, trx, calls, n, flags);
	crd_trx_release(&trx);
	reply_single(r, col, choose(calls, n));
	for (i = 0; i < n; i++) {
		free((char *)(uintptr_t)calls[i].path);
		sb_resp_free(&calls[i].resp);
	}
	free(calls);
	buf_free(&headers);
}

/* GET, HEAD, PUT, PATCH, DELETE of /_api/document/<collection>/<key> */
static void
by_handle(struct sb_req *r)
{
	const struct cl_collection	*col;
	struct docop_opts		 o;
	struct buf			 body = BUF_INIT;
	bool				 write, has_body;
	const char			*key = r->seg[3];
	long				 shard = -1;
	char				*suffix;

	write = !(r->method & (SB_GET | SB_HEAD));
	has_body = (r->method & (SB_PUT | SB_PATCH)) != 0;
	if (write && crd_document_may_write(r) != 0)
		return;
	if ((col = crd_collection_get(r, r->seg[2])) == NULL)
		return;
	if (has_body && sb_body_vpack(r, &body) != 0)
		goto out;
	if (has_body && !vp_is_object(body.data)) {
		sb_error(r, AE_DOCUMENT_TYPE_INVALID, NULL);
		goto out;
	}
	if (crd_sharded_by_key(col))
		shard = vp_shard_of_key(key, strlen(key),
		    (const char *const *)col->shard_keys, col->nshard_keys,
		    (unsigned)col->nshards);
	else if (has_body)
		shard = crd_array_shard_if_complete(col, body.data);
	client_opts(&o, kind_of(r->method), r);
	suffix = suffix_of(key, &o);
	single(r, col, write, shard, suffix, has_body ? &body : NULL);
	free(suffix);
out:
	buf_free(&body);
	cl_collection_unref(&col);
}

/* POST of one object. */
static void
insert_single(struct sb_req *r, const struct cl_collection *col,
    const struct docop_opts *o, const uint8_t *doc)
{
	struct crd		*c = crd_of(r);
	struct crd_placement	 p;
	struct buf		 body = BUF_INIT;
	char			*suffix;
	int			 errnum;

	if ((errnum = crd_array_place(c, col, o, doc, &p)) != AE_OK) {
		sb_error(r, errnum, NULL);
		return;
	}
	if (p.new_key[0] == '\0')
		buf_append(&body, doc, vp_size(doc));
	else
		crd_array_put_key(&body, doc, p.new_key);
	suffix = suffix_of(NULL, o);
	single(r, col, true, p.shard, suffix, &body);
	free(suffix);
	buf_free(&body);
}

/* ---- arrays -------------------------------------------------------------------- */

static int
status_of(const struct docop_opts *o, bool waited)
{
	if (o->kind == DOCOP_READ)
		return 200;
	if (!waited)
		return 202;
	return o->kind == DOCOP_REMOVE ? 200 : 201;
}

static void
reply_array(struct sb_req *r, const struct cl_collection *col,
    const struct docop_opts *o, const uint8_t *array)
{
	struct crd_array_result	 res = { BUF_INIT, { 0 }, false };
	struct crd_trx		*trx;
	struct err_msg		 em = { "" };
	struct buf		 text = BUF_INIT;
	int			 errnum;

	if (crd_trx_acquire(r, col, o->kind != DOCOP_READ, &trx) != 0)
		return;
	errnum = crd_document_array(crd_of(r), col, o, trx, array, &res, &em);
	crd_trx_release(&trx);
	if (errnum != AE_OK)
		sb_error(r, errnum, em.text[0] == '\0' ? NULL : "%s", em.text);
	else {
		docop_errors_text(&res.errors, &text);
		if (text.len != 0)
			sb_header(r, "x-arango-error-codes", "%s",
			    buf_cstr(&text));
		sb_reply_vpack(r, status_of(o, res.waited || (col->wait_for_sync
		    && !o->is_restore)), &res.body);
	}
	buf_free(&text);
	buf_free(&res.body);
}

/* POST, PUT, PATCH, DELETE of /_api/document/<collection> */
static void
by_collection(struct sb_req *r)
{
	const struct cl_collection	*col;
	const char			*name;
	struct docop_opts		 o;
	struct buf			 body = BUF_INIT;

	name = r->nseg > 2 ? r->seg[2] : sb_param(r, "collection");
	if (name == NULL) {
		sb_error(r, AE_COLLECTION_PARAMETER_MISSING,
		    "'collection' is missing, expected "
		    "/_api/document/<collection>");
		return;
	}
	client_opts(&o, kind_of(r->method), r);
	if (o.kind != DOCOP_READ && crd_document_may_write(r) != 0)
		return;
	if ((col = crd_collection_get(r, name)) == NULL)
		return;
	if (sb_body_vpack(r, &body) != 0)
		goto out;
	if (vp_is_array(body.data))
		reply_array(r, col, &o, body.data);
	else if (o.kind == DOCOP_INSERT && vp_is_object(body.data))
		insert_single(r, col, &o, body.data);
	else if (o.kind == DOCOP_INSERT)
		sb_error(r, AE_DOCUMENT_TYPE_INVALID, NULL);
	else
		sb_error(r, AE_HTTP_BAD_PARAMETER,
		    "expecting an array of documents in the body");
out:
	buf_free(&body);
	cl_collection_unref(&col);
}

const struct sb_route	 crd_document_routes[] = {
	{ SB_POST, "/_api/document", 0, by_collection },
	{ SB_POST | SB_PUT | SB_PATCH | SB_DELETE, "/_api/document/*", 0,
	    by_collection },
	{ SB_GET | SB_HEAD | SB_PUT | SB_PATCH | SB_DELETE,
	    "/_api/document/*/*", 0, by_handle },
	{ 0, NULL, 0, NULL }
};
