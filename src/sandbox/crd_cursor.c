/*
 * crd_cursor.c - queries and their cursors: /_api/cursor.
 *
 * As arangod does without the option `stream`, a query is executed to its end
 * before the first batch is answered; the cursor only hands out what is there.
 * Facts: RestCursorHandler.cpp, Cursor.cpp, QueryCursor.cpp of arangod.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "ev/loop.h"
#include "sandbox/crd_aql.h"
#include "sandbox/crd_document.h"
#include "sandbox/crd_query.h"
#include "vpack/vpack.h"

#define CURSOR_TTL_S		30
#define CURSOR_BATCH		1000
#define SCAN_PAGE_BYTES		(8 * 1024 * 1024)
#define SWEEP_MS		1000

/* Values that were found, one slice behind the other. */
struct rows {
	struct buf	 data;
	uint64_t	 count;
};

struct cursor {
	struct cursor	*next;
	uint64_t	 id;
	char		*db, *user;
	struct rows	 rows;
	size_t		 offset;	/* of the next row in rows.data */
	uint64_t	 left;
	uint64_t	 batch;
	uint64_t	 batch_id;	/* of the one handed out last; from 1 */
	bool		 retry;		/* allowRetry: keep it in last */
	struct buf	 last;
	bool		 with_count;
	bool		 with_full_count;
	uint64_t	 total, full_count;
	uint64_t	 writes;
	double		 seconds;
	uint64_t	 ttl_ms;
	uint64_t	 expires_ms;
};

struct crd_cursors {
	struct crd	*crd;
	struct cursor	*first;
	struct loop_timer *sweeper;
};

static void
cursor_free(struct cursor *cur)
{
	buf_free(&cur->rows.data);
	buf_free(&cur->last);
	free(cur->db);
	free(cur->user);
	free(cur);
}

static void
sweep(void *arg)
{
	struct crd_cursors	*cs = arg;
	struct cursor		**p = &cs->first, *cur;
	uint64_t		 now = loop_now_ms(cs->crd->loop);

	while ((cur = *p) != NULL)
		if (now > cur->expires_ms) {
			*p = cur->next;
			cursor_free(cur);
		} else
			p = &cur->next;
}

void
crd_cursor_start(struct crd *c)
{
	struct crd_cursors	*cs = xcalloc(1, sizeof(*cs));

	cs->crd = c;
	cs->sweeper = loop_timer_new(c->loop, sweep, cs);
	loop_timer_start_periodic(cs->sweeper, SWEEP_MS);
	c->cursors = cs;
}

/* ---- scanning shards --------------------------------------------------------------- */

/* One execution of a plan. */
struct run {
	struct crd	*c;
	const struct cl_collection *col;
	struct crd_trx	*trx;
	struct aql_plan	*plan;
	struct rows	 rows;
	uint64_t	 counted;	/* AQL_COUNT, AQL_REMOVE */
	uint64_t	 skip, take;	/* LIMIT that is left */
	bool		 count_all;	/* fullCount: go on behind the LIMIT */
	uint64_t	 passed;	/* rows without the LIMIT */
	int		 err;		/* errnum */
	char		 text[512];	/* of the error */
};

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
page_limit(const struct run *x)
{
	if (!x->plan->has_limit || x->plan->nfilters > 1 ||
	    x->plan->descending || x->count_all)
		return UINT64_MAX;
	/* Sorted, each shard may have to give all of them. */
	return x->plan->sort ? x->plan->offset + x->plan->limit :
	    x->skip + x->take;
}

static void
build_scan(const struct run *x, size_t shard, const char *after,
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
take_row(struct run *x, const uint8_t *doc)
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
take_page(struct run *x, const uint8_t *page, bool *more, struct buf *last)
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
has_enough(const struct run *x)
{
	return x->plan->has_limit && x->take == 0 && !x->plan->sort &&
	    !x->count_all;
}

static void
scan_shard(struct run *x, size_t shard)
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

/* ---- sorting ----------------------------------------------------------------------- */

static int
by_key(const void *a, const void *b)
{
	return vp_compare(vp_get(*(const uint8_t *const *)a, "_key"),
	    vp_get(*(const uint8_t *const *)b, "_key"));
}

/* Order the rows of all shards, cut out what LIMIT asks for. */
static void
sort_rows(struct run *x)
{
	const uint8_t	**list = xcalloc(x->rows.count, sizeof(*list)), *p;
	struct rows	 out = { BUF_INIT, 0 };
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
put_number(struct rows *rows, uint64_t n)
{
	struct vp_builder	*b = xmalloc(sizeof(*b));

	vpb_init(b, &rows->data);
	vpb_uint(b, n);
	bug_unless(vpb_end(b) == 0);
	vpb_free(b);
	free(b);
	rows->count++;
}

static void
execute(struct run *x)
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

/* ---- answers ----------------------------------------------------------------------- */

static void
put_extra(struct vp_builder *b, const struct cursor *cur)
{
	vpb_add_object(b, "extra");
	vpb_add_array(b, "warnings");
	vpb_close(b);
	vpb_add_object(b, "stats");
	vpb_add_uint(b, "writesExecuted", cur->writes);
	vpb_add_uint(b, "writesIgnored", 0);
	vpb_add_uint(b, "scannedFull", cur->total);
	vpb_add_uint(b, "scannedIndex", 0);
	vpb_add_uint(b, "filtered", 0);
	vpb_add_uint(b, "httpRequests", 0);
	if (cur->with_full_count)
		vpb_add_uint(b, "fullCount", cur->full_count);
	vpb_add_double(b, "executionTime", cur->seconds);
	vpb_add_uint(b, "peakMemoryUsage", cur->rows.data.cap);
	vpb_close(b);
	vpb_close(b);
}

/* Since 3.11.1 every batch tells the next one's id, 3.11.0 only if asked. */
static bool
tells_next_batch(struct sb_req *r, const struct cursor *cur)
{
	int	 version = sb_version(r->server);

	return version > 31100 || (version == 31100 && cur->retry);
}

/* The next batch; says whether the cursor is still needed. */
static bool
reply_batch(struct sb_req *r, struct cursor *cur, int status)
{
	struct vp_builder	*b = xmalloc(sizeof(*b));
	struct buf		 out = BUF_INIT;
	const uint8_t		*row;
	uint64_t		 n;
	char			 id[24];

	vpb_init(b, &out);
	vpb_open_object(b);
	vpb_add_array(b, "result");
	for (n = 0; n < cur->batch && cur->left > 0; n++, cur->left--) {
		row = cur->rows.data.data + cur->offset;
		vpb_slice(b, row);
		cur->offset += vp_size(row);
	}
	vpb_close(b);
	vpb_add_bool(b, "hasMore", cur->left > 0);
	if (cur->left > 0) {
		snprintf(id, sizeof(id), "%" PRIu64, cur->id);
		vpb_add_str(b, "id", id);
	}
	if (cur->with_count)
		vpb_add_uint(b, "count", cur->total);
	vpb_add_bool(b, "cached", false);
	cur->batch_id++;
	if (cur->left > 0 && tells_next_batch(r, cur)) {
		snprintf(id, sizeof(id), "%" PRIu64, cur->batch_id + 1);
		vpb_add_str(b, "nextBatchId", id);
	}
	put_extra(b, cur);
	vpb_add_bool(b, "error", false);
	vpb_add_int(b, "code", status);
	vpb_close(b);
	bug_unless(vpb_end(b) == 0);
	vpb_free(b);
	free(b);
	if (cur->retry) {
		buf_reset(&cur->last);
		buf_append(&cur->last, out.data, out.len);
	}
	sb_reply_vpack(r, status, &out);
	return cur->left > 0 || cur->retry;
}

/* ---- POST /_api/cursor ----------------------------------------------------------------- */

static bool
is_set(const uint8_t *o, const char *name)
{
	const uint8_t	*v = o == NULL || !vp_is_object(o) ? NULL :
	    vp_get(o, name);

	return v != NULL && vp_is_true(v);
}

/* What has the wrong type is as absent, except for what arangod refuses. */
static int
query_options(struct sb_req *r, const uint8_t *body, struct cursor *cur)
{
	const uint8_t	*v, *options = vp_get(body, "options");
	bool		 stream = is_set(body, "stream") ||
	    is_set(options, "stream");
	double		 d;

	cur->batch = CURSOR_BATCH;
	cur->ttl_ms = CURSOR_TTL_S * 1000;
	if ((v = vp_get(body, "bindVars")) != NULL && !vp_is_object(v) &&
	    !vp_is_null(v)) {
		sb_error(r, AE_TYPE_ERROR, "expecting object for <bindVars>");
		return -1;
	}
	if ((v = vp_get(body, "batchSize")) != NULL && vp_is_number(v) &&
	    vp_get_double(v, &d) == 0) {
		if (d <= 0) {
			sb_error(r, AE_TYPE_ERROR,
			    "expecting positive value for <batchSize>");
			return -1;
		}
		cur->batch = d >= 1e18 ? UINT64_MAX : d < 1 ? 1 : (uint64_t)d;
	}
	/* Neither count is there for queries that stream. */
	cur->with_count = !stream && is_set(body, "count");
	cur->with_full_count = !stream && is_set(options, "fullCount");
	cur->retry = is_set(options, "allowRetry") &&
	    sb_version(r->server) >= 31100;
	if ((v = vp_get(body, "ttl")) != NULL && vp_is_number(v) &&
	    vp_get_double(v, &d) == 0 && d > 0 && d < 1e9)
		cur->ttl_ms = (uint64_t)(d * 1000);
	return 0;
}

static bool
modifies(const struct aql_plan *plan)
{
	return plan->kind == AQL_REMOVE;
}

/* Run the plan into cur; 0, or answered. */
static int
run_plan(struct sb_req *r, struct aql_plan *plan, struct cursor *cur,
    const char *text, size_t len)
{
	struct crd		*c = crd_of(r);
	struct run		 x = { .c = c, .plan = plan };
	struct crd_query	 q = { .text = text, .len = len,
	    .modifies = modifies(plan) };
	int			 result = -1;

	if (plan->kind != AQL_VALUE) {
		x.col = cluster_collection(c->cluster, r->db, plan->collection);
		if (x.col == NULL) {
			sb_error(r, AE_DATA_SOURCE_NOT_FOUND, "AQL: collection "
			    "or view not found: %s (while parsing)",
			    plan->collection);
			return -1;
		}
		cl_collection_ref(x.col);
		if (crd_trx_acquire(r, x.col, modifies(plan), &x.trx) != 0)
			goto out;
	}
	/* Only a LIMIT makes it differ from what is returned. */
	cur->with_full_count = cur->with_full_count && plan->has_limit &&
	    plan->kind == AQL_SCAN;
	x.count_all = cur->with_full_count;
	crd_query_begin(r, &q);
	execute(&x);
	crd_query_end(r, &q);
	crd_trx_release(&x.trx);
	if (x.err != 0)
		sb_error(r, x.err, NULL);
	else {
		cur->rows = x.rows;
		cur->total = cur->left = x.rows.count;
		cur->full_count = x.passed;
		cur->writes = modifies(plan) ? x.counted : 0;
		cur->seconds = (double)(loop_now_ms(c->loop) -
		    q.started_ms) / 1000.0;
		x.rows.data = (struct buf)BUF_INIT;
		result = 0;
	}
	buf_free(&x.rows.data);
out:
	if (x.col != NULL)
		cl_collection_unref(&x.col);
	return result;
}

static void
keep(struct sb_req *r, struct cursor *cur)
{
	struct crd	*c = crd_of(r);

	cur->expires_ms = loop_now_ms(c->loop) + cur->ttl_ms;
	cur->next = c->cursors->first;
	c->cursors->first = cur;
}

static void
cursor_create(struct sb_req *r)
{
	struct crd	*c = crd_of(r);
	struct buf	 body = BUF_INIT;
	struct aql_plan	*plan = xcalloc(1, sizeof(*plan));
	struct cursor	*cur = xcalloc(1, sizeof(*cur));
	struct err_msg	 em = { "" };
	const char	*text;
	size_t		 len;
	int		 errnum;

	if (sb_body_vpack(r, &body) != 0)
		goto out;
	if (vp_is_object(body.data) && vp_length(body.data) == 0) {
		sb_error(r, AE_HTTP_CORRUPTED_JSON, NULL);
		goto out;
	}
	text = vp_is_object(body.data) ?
	    vp_get_string(vp_get(body.data, "query"), &len) : NULL;
	if (text == NULL || len == 0) {
		sb_error(r, AE_QUERY_EMPTY, NULL);
		goto out;
	}
	if (query_options(r, body.data, cur) != 0)
		goto out;
	errnum = aql_parse(text, len, vp_get(body.data, "bindVars"), plan, &em);
	if (errnum != 0) {
		sb_error(r, errnum, "%s", em.text);
		goto out;
	}
	if (modifies(plan) && crd_document_may_write(r) != 0)
		goto out;
	if (run_plan(r, plan, cur, text, len) != 0)
		goto out;
	cur->db = xstrdup(r->db);
	cur->user = xstrdup(r->user);
	/* What fits into one answer needs no cursor, not even to retry. */
	if (cur->left <= cur->batch)
		cur->retry = false;
	if (cur->left > cur->batch &&
	    (cur->id = crd_owned_id_new(c)) == 0)
		sb_error(r, AE_AGENCY_COMMUNICATION_FAILED, NULL);
	else if (reply_batch(r, cur, 201)) {
		keep(r, cur);
		cur = NULL;
	}
out:
	if (cur != NULL)
		cursor_free(cur);
	aql_plan_free(plan);
	free(plan);
	buf_free(&body);
}

/* ---- the cursor ---------------------------------------------------------------------- */

/* Takes it out of the table; NULL: answered. */
static struct cursor *
cursor_take(struct sb_req *r)
{
	struct crd	*c = crd_of(r);
	struct cursor	**p, *cur;
	const char	*base, *server_id;
	uint64_t	 id;

	if (str_to_u64(r->seg[2], &id) == 0) {
		base = crd_owned_id_elsewhere(c, id, &server_id);
		if (base != NULL) {
			sb_forward(r, base, server_id);
			return NULL;
		}
		for (p = &c->cursors->first; (cur = *p) != NULL;
		    p = &cur->next)
			if (cur->id == id && strcmp(cur->db, r->db) == 0 &&
			    (r->superuser ||
			    strcmp(cur->user, r->user) == 0)) {
				*p = cur->next;
				return cur;
			}
	}
	sb_error(r, AE_CURSOR_NOT_FOUND, NULL);
	return NULL;
}

static void
cursor_next(struct sb_req *r)
{
	struct cursor	*cur = cursor_take(r);

	if (cur == NULL)
		return;
	if (reply_batch(r, cur, 200))
		keep(r, cur);
	else
		cursor_free(cur);
}

/* POST /_api/cursor/<id>/<batch>: the next batch, or the last one again. */
static void
cursor_batch(struct sb_req *r)
{
	struct cursor	*cur;
	struct buf	 again = BUF_INIT;
	uint64_t	 id;

	if (sb_version(r->server) < 31100) {
		sb_error(r, AE_HTTP_BAD_PARAMETER,
		    "expecting POST /_api/cursor/<cursor-id>");
		return;
	}
	if ((cur = cursor_take(r)) == NULL)
		return;
	if (str_to_u64(r->seg[3], &id) != 0)
		id = 0;
	if (id == cur->batch_id && !cur->retry)
		sb_error(r, AE_HTTP_BAD_PARAMETER,
		    "expecting allowRetry option to be true");
	else if (id == cur->batch_id) {
		buf_append(&again, cur->last.data, cur->last.len);
		sb_reply_vpack(r, 200, &again);
	} else if (id != cur->batch_id + 1 || cur->left == 0)
		sb_error(r, AE_CURSOR_NOT_FOUND, "batch id not found");
	else if (!reply_batch(r, cur, 200)) {
		cursor_free(cur);
		return;
	}
	keep(r, cur);
}

static void
cursor_delete(struct sb_req *r)
{
	struct cursor		*cur = cursor_take(r);
	struct json_object	*o;

	if (cur == NULL)
		return;
	cursor_free(cur);
	o = json_object_new_object();
	json_object_object_add(o, "id", json_object_new_string(r->seg[2]));
	sb_reply_ok(r, 202, o);
}

const struct sb_route	 crd_cursor_routes[] = {
	{ SB_POST, "/_api/cursor", 0, cursor_create },
	{ SB_PUT | SB_POST, "/_api/cursor/*", 0, cursor_next },
	{ SB_POST, "/_api/cursor/*/*", 0, cursor_batch },
	{ SB_DELETE, "/_api/cursor/*", 0, cursor_delete },
	{ 0, NULL, 0, NULL }
};
