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
#include "sandbox/crd_document.h"
#include "sandbox/crd_query.h"
#include "sandbox/crd_run.h"
#include "vpack/vpack.h"

#define CURSOR_TTL_S		30
#define CURSOR_BATCH		1000
#define SWEEP_MS		1000

struct cursor {
	struct cursor	*next;
	uint64_t	 id;
	char		*db, *user;
	struct crd_rows	 rows;
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

/* ---- answers --------------------------------------------------------- */

static void
put_stats(struct vp_builder *b, const struct cursor *cur)
{
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
}

static void
put_extra(struct vp_builder *b, const struct cursor *cur)
{
	vpb_add_object(b, "extra");
	vpb_add_array(b, "warnings");
	vpb_close(b);
	put_stats(b, cur);
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

/* ---- POST /_api/cursor ----------------------------------------------- */

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
	struct crd_run		 x = { .c = c, .plan = plan };
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
	crd_run_execute(&x);
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

/* ---- the cursor ------------------------------------------------------ */

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

/* ---- GET /_api/edges/<collection> ------------------------------------ */

/* Those whose end in attr is the vertex, to cur; 0, or answered. */
static int
find_edges(struct sb_req *r, const char *collection, const char *attr,
    const char *vertex, struct cursor *cur)
{
	static const char	 text[] = "FOR e IN @@collection FILTER "
				    "e._from == @vertex || e._to == @vertex "
				    "RETURN e";
	struct aql_plan		*plan = xcalloc(1, sizeof(*plan));
	struct vp_builder	*b = xmalloc(sizeof(*b));
	int			 result;

	plan->kind = AQL_SCAN;
	snprintf(plan->collection, sizeof(plan->collection), "%s", collection);
	plan->nfilters = 1;
	snprintf(plan->filters[0].path, sizeof(plan->filters[0].path), "%s",
	    attr);
	vpb_init(b, &plan->filters[0].value);
	vpb_string(b, vertex, strlen(vertex));
	bug_unless(vpb_end(b) == 0);
	vpb_free(b);
	free(b);
	result = run_plan(r, plan, cur, text, sizeof(text) - 1);
	aql_plan_free(plan);
	free(plan);
	return result;
}

/* All of cur, but for those that go out from the vertex as well. */
static void
put_edges(struct vp_builder *b, const struct cursor *cur, const char *unless)
{
	const uint8_t	*row = cur->rows.data.data;
	const char	*from;
	size_t		 len;
	uint64_t	 i;

	for (i = 0; i < cur->rows.count; i++, row += vp_size(row)) {
		from = vp_get_string(vp_get(row, "_from"), &len);
		if (unless == NULL || from == NULL || strlen(unless) != len ||
		    memcmp(unless, from, len) != 0)
			vpb_slice(b, row);
	}
}

static void
reply_edges(struct sb_req *r, const char *vertex, const struct cursor *out,
    const struct cursor *in)
{
	struct vp_builder	*b = xmalloc(sizeof(*b));
	struct buf		 body = BUF_INIT;

	vpb_init(b, &body);
	vpb_open_object(b);
	vpb_add_array(b, "edges");
	if (out != NULL)
		put_edges(b, out, NULL);
	if (in != NULL)
		put_edges(b, in, out == NULL ? NULL : vertex);
	vpb_close(b);
	vpb_add_bool(b, "error", false);
	vpb_add_int(b, "code", 200);
	put_stats(b, out != NULL ? out : in);
	vpb_close(b);
	bug_unless(vpb_end(b) == 0);
	vpb_free(b);
	free(b);
	sb_reply_vpack(r, 200, &body);
}

static void
get_edges(struct sb_req *r)
{
	const struct cl_collection	*col;
	const char			*dir, *vertex;
	struct cursor			*out = NULL, *in = NULL;

	if ((col = crd_collection_get(r, r->seg[2])) == NULL)
		return;
	dir = sb_param(r, "direction");
	vertex = sb_param(r, "vertex");
	if (dir == NULL || *dir == '\0')
		dir = "any";
	if (strcmp(dir, "any") == 0 || strncmp(dir, "out", 3) == 0)
		out = xcalloc(1, sizeof(*out));
	if (strcmp(dir, "any") == 0 || strncmp(dir, "in", 2) == 0)
		in = xcalloc(1, sizeof(*in));
	if (col->type != 3)
		sb_error(r, AE_COLLECTION_TYPE_INVALID, NULL);
	else if (out == NULL && in == NULL)
		sb_error(r, AE_HTTP_BAD_PARAMETER,
		    "<direction> must by any, in, or out, not: %s", dir);
	else if (vertex == NULL || *vertex == '\0')
		sb_error(r, AE_DOCUMENT_HANDLE_BAD, "illegal document handle");
	else if ((out == NULL || find_edges(r, col->name, "_from", vertex,
	    out) == 0) && (in == NULL || find_edges(r, col->name, "_to",
	    vertex, in) == 0))
		reply_edges(r, vertex, out, in);
	if (out != NULL)
		cursor_free(out);
	if (in != NULL)
		cursor_free(in);
	cl_collection_unref(&col);
}

const struct sb_route	 crd_cursor_routes[] = {
	{ SB_GET, "/_api/edges/*", 0, get_edges },
	{ SB_POST, "/_api/cursor", 0, cursor_create },
	{ SB_PUT | SB_POST, "/_api/cursor/*", 0, cursor_next },
	{ SB_POST, "/_api/cursor/*/*", 0, cursor_batch },
	{ SB_DELETE, "/_api/cursor/*", 0, cursor_delete },
	{ 0, NULL, 0, NULL }
};
