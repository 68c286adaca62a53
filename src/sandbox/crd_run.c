/*
 * crd_run.c - a query's plan carried out: pages of documents from the leaders
 * of all shards, what they did not filter, order, LIMIT.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sandbox/crd_document.h"
#include "sandbox/crd_run.h"
#include "vpack/vpack.h"

#define SCAN_PAGE_BYTES	(8 * 1024 * 1024)

/* ---- scanning shards ------------------------------------------------- */

/* The value at "a.b.c"; null when it is not there. */
static const uint8_t *
at_path(const uint8_t *doc, const char *path)
{
	size_t	 n;

	for (;;) {
		n = strcspn(path, ".");
		if (!vp_is_object(doc) ||
		    (doc = vp_obj_get(doc, path, n)) == NULL)
			return vp_null;
		if (path[n] == '\0')
			return doc;
		path += n + 1;
	}
}

/* The leader compares the first condition; the others are compared here. */
static bool
passes(const struct aql_plan *plan, const uint8_t *doc)
{
	size_t	 i;

	for (i = 1; i < plan->nfilters; i++)
		if (vp_compare(at_path(doc, plan->filters[i].path),
		    plan->filters[i].value.data) != 0)
			return false;
	return true;
}

/* How many more rows a shard has to give: all without a usable LIMIT. */
static uint64_t
page_limit(const struct crd_run *x)
{
	if (!x->plan->has_limit || x->plan->nfilters > 1 ||
	    x->plan->descending || x->count_all)
		return UINT64_MAX;
	/* Sorted, each shard may have to give all of them. */
	return x->plan->sort ? x->plan->offset + x->plan->limit :
	    x->skip + x->take;
}

static void
build_scan(const struct crd_run *x, size_t shard, const char *after,
    size_t after_len, struct buf *out)
{
	const struct aql_plan	*plan = x->plan;
	struct vp_builder	*b = xmalloc(sizeof(*b));
	uint64_t		 limit = page_limit(x);

	vpb_init(b, out);
	vpb_open_object(b);
	vpb_add_str(b, "shard", x->col->shards[shard].name);
	if (plan->nfilters > 0) {
		vpb_add_str(b, "attr", plan->filters[0].path);
		vpb_add_slice(b, "value", plan->filters[0].value.data);
	}
	if (after != NULL)
		vpb_add_string(b, "after", after, after_len);
	if (limit != UINT64_MAX)
		vpb_add_uint(b, "limit", limit);
	vpb_add_uint(b, "bytes", SCAN_PAGE_BYTES);
	if (plan->kind == AQL_REMOVE)
		vpb_add_bool(b, "remove", true);
	if (plan->kind == AQL_REMOVE)
		vpb_add_bool(b, "keys", true);
	if (plan->kind == AQL_COUNT && plan->nfilters <= 1)
		vpb_add_bool(b, "count", true);
	vpb_close(b);
	bug_unless(vpb_end(b) == 0);
	vpb_free(b);
	free(b);
}

static void
take_row(struct crd_run *x, const uint8_t *doc)
{
	if (!passes(x->plan, doc))
		return;
	x->passed++;
	if (x->plan->kind == AQL_COUNT) {
		x->counted++;
		return;
	}
	if (!x->plan->sort) {
		if (x->skip > 0) {
			x->skip--;
			return;
		}
		if (x->take == 0)
			return;
		x->take--;
		/* Sorted rows stay whole until they are in order. */
		doc = x->plan->path[0] == '\0' ? doc :
		    at_path(doc, x->plan->path);
	}
	buf_append(&x->rows.data, doc, vp_size(doc));
	x->rows.count++;
}

static void
take_page(struct crd_run *x, const uint8_t *page, bool *more, struct buf *last)
{
	const uint8_t	*v, *e;
	const char	*s;
	struct vp_iter	 it;
	uint64_t	 n = 0;
	size_t		 len;
	bool		 whole = x->plan->kind == AQL_REMOVE ||
		    (x->plan->kind == AQL_COUNT && x->plan->nfilters <= 1);

	if (whole && (v = vp_get(page, "count")) != NULL &&
	    vp_get_uint(v, &n) == 0) {
		x->counted += n;
		x->take -= MIN(x->take, n);
	}
	if (!whole && (v = vp_get(page, "documents")) != NULL) {
		vp_arr_iter(&it, v);
		while ((e = vp_arr_next(&it)) != NULL)
			take_row(x, e);
	}
	v = vp_get(page, "more");
	*more = v != NULL && vp_is_true(v);
	buf_reset(last);
	if ((s = vp_get_string(vp_get(page, "last"), &len)) != NULL)
		buf_append(last, s, len);
	else
		*more = false;
}

static bool
has_enough(const struct crd_run *x)
{
	return x->plan->has_limit && x->take == 0 && !x->plan->sort &&
	    !x->count_all;
}

static void
scan_shard(struct crd_run *x, size_t shard)
{
	struct buf	 body = BUF_INIT, last = BUF_INIT;
	struct crd_call	 call;
	bool		 more = true;

	while (more && x->err == 0 && !has_enough(x)) {
		buf_reset(&body);
		build_scan(x, shard, last.len == 0 ? NULL :
		    (const char *)last.data, last.len, &body);
		memset(&call, 0, sizeof(call));
		call.shard = shard;
		call.method = "POST";
		call.path = "/_internal/scan";
		call.body = body.data;
		call.body_len = body.len;
		crd_document_calls(x->c, x->col, x->trx, &call, 1,
		    SB_CALL_VPACK_BODY | SB_CALL_VPACK_ANSWER |
		    (x->plan->kind == AQL_REMOVE ? 0 : CRD_IDEMPOTENT));
		if (call.status == 200 && call.resp.body.len != 0)
			take_page(x, call.resp.body.data, &more, &last);
		else
			x->err = call.resp.errnum != 0 ? call.resp.errnum :
			    AE_BACKEND_UNAVAILABLE;
		sb_resp_free(&call.resp);
	}
	buf_free(&body);
	buf_free(&last);
}

/* ---- sorting --------------------------------------------------------- */

static int
by_key(const void *a, const void *b)
{
	return vp_compare(vp_get(*(const uint8_t *const *)a, "_key"),
	    vp_get(*(const uint8_t *const *)b, "_key"));
}

/* Order the rows of all shards, cut out what LIMIT asks for. */
static void
sort_rows(struct crd_run *x)
{
	const uint8_t	**list = xcalloc(x->rows.count, sizeof(*list)), *p;
	struct crd_rows	 out = { BUF_INIT, 0 };
	const uint8_t	*v;
	uint64_t	 i, k, n = x->rows.count;

	p = x->rows.data.data;
	for (i = 0; i < n; i++, p += vp_size(p))
		list[i] = p;
	qsort(list, n, sizeof(*list), by_key);
	for (i = x->plan->offset; i < n; i++) {
		if (x->plan->has_limit && out.count == x->plan->limit)
			break;
		k = x->plan->descending ? n - 1 - i : i;
		v = x->plan->path[0] == '\0' ? list[k] :
		    at_path(list[k], x->plan->path);
		buf_append(&out.data, v, vp_size(v));
		out.count++;
	}
	free(list);
	buf_free(&x->rows.data);
	x->rows = out;
}

static void
put_number(struct crd_rows *rows, uint64_t n)
{
	struct vp_builder	*b = xmalloc(sizeof(*b));

	vpb_init(b, &rows->data);
	vpb_uint(b, n);
	bug_unless(vpb_end(b) == 0);
	vpb_free(b);
	free(b);
	rows->count++;
}

void
crd_run_execute(struct crd_run *x)
{
	size_t	 i;

	x->skip = x->plan->offset;
	x->take = x->plan->has_limit ? x->plan->limit : UINT64_MAX;
	if (x->plan->kind == AQL_VALUE) {
		buf_append(&x->rows.data, x->plan->value.data,
		    x->plan->value.len);
		x->rows.count = 1;
		return;
	}
	for (i = 0; i < x->col->nshards && x->err == 0 && !has_enough(x); i++)
		scan_shard(x, i);
	if (x->err != 0)
		return;
	if (x->plan->kind == AQL_COUNT)
		put_number(&x->rows, x->counted);
	else if (x->plan->sort)
		sort_rows(x);
}
