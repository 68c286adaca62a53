/*
 * crd_collection_data.c - what is asked of the leaders of all shards: counts,
 * figures, revisions, checksums, truncation; and which shard a document is on.
 *
 * Facts: arangod/Cluster/ClusterMethods.cpp (countOnCoordinator,
 * figuresOnCoordinator, revisionOnCoordinator, checksumOnCoordinator,
 * truncateCollectionOnCoordinator).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ev/loop.h"
#include "sandbox/crd_collection.h"
#include "sandbox/crd_document.h"
#include "sandbox/crd_json.h"
#include "sandbox/crd_transaction.h"
#include "vpack/hash.h"
#include "vpack/rev.h"
#include "vpack/vpack.h"

/* Full scans and exclusive locks take their time. */
#define LONG_TIMEOUT_MS		(600 * 1000)

/*
 * GET path of every shard ("%s" in it), answered as JSON.  NULL: the failure
 * has been answered.  The result has col->nshards members.
 */
static struct crd_call *
ask_all(struct sb_req *r, const struct cl_collection *col, const char *path)
{
	struct crd	*c = crd_of(r);
	struct crd_call	*calls, *bad;

	calls = crd_all_shards(c, col, "GET", path, NULL, NULL, 0,
	    CRD_IDEMPOTENT, loop_now_ms(c->loop) + LONG_TIMEOUT_MS);
	if ((bad = crd_calls_failed(calls, col->nshards)) != NULL) {
		crd_reply_failure(r, &bad->resp);
		crd_calls_free(calls, col->nshards);
		return NULL;
	}
	return calls;
}

/* ---- counts ---------------------------------------------------------------- */

/*
 * The counts per shard, inside of the request's transaction when it has one.
 * 0, or answered and -1.
 */
static int
count_shards(struct sb_req *r, const struct cl_collection *col, int64_t *counts)
{
	struct crd		*c = crd_of(r);
	struct crd_trx		*trx;
	struct crd_call		*calls, *bad;
	struct json_object	*o;
	size_t			 i;
	int			 result = 0;

	if (crd_trx_acquire(r, col, false, &trx) != 0)
		return -1;
	calls = xcalloc(col->nshards, sizeof(*calls));
	for (i = 0; i < col->nshards; i++) {
		calls[i].shard = i;
		calls[i].method = "GET";
		calls[i].path = xasprintf("/_api/collection/%s/count",
		    col->shards[i].name);
	}
	crd_document_calls(c, col, trx, calls, col->nshards, CRD_IDEMPOTENT);
	crd_trx_release(&trx);
	if ((bad = crd_calls_failed(calls, col->nshards)) != NULL) {
		crd_reply_failure(r, &bad->resp);
		result = -1;
	}
	for (i = 0; i < col->nshards && result == 0; i++) {
		o = sb_resp_json(&calls[i].resp);
		counts[i] = cj_int(o, "count", 0);
		json_object_put(o);
	}
	crd_calls_free(calls, col->nshards);
	return result;
}

static void
reply_count(struct sb_req *r, const struct cl_collection *col, bool properties,
    bool details)
{
	struct json_object	*o, *per_shard;
	int64_t			*counts, sum = 0;
	size_t			 i;

	counts = xcalloc(col->nshards + 1, sizeof(*counts));
	if (count_shards(r, col, counts) != 0) {
		free(counts);
		return;
	}
	o = crd_collection_show(crd_of(r), col, properties);
	if (details) {
		per_shard = json_object_new_object();
		for (i = 0; i < col->nshards; i++)
			cj_add_int(per_shard, col->shards[i].name, counts[i]);
		cj_add(o, "count", per_shard);
	} else {
		for (i = 0; i < col->nshards; i++)
			sum += counts[i];
		cj_add_int(o, "count", sum);
	}
	free(counts);
	crd_collection_reply(r, o);
}

void
crd_collection_count(struct sb_req *r, const struct cl_collection *col)
{
	reply_count(r, col, true, sb_param_bool(r, "details", false));
}

void
crd_collection_load(struct sb_req *r, const struct cl_collection *col)
{
	struct json_object	*body;
	bool			 count;

	if ((body = sb_body_json(r, true)) == NULL)
		return;
	count = cj_bool(body, "count", true);
	json_object_put(body);
	if (count)
		reply_count(r, col, false, false);
	else
		crd_collection_reply(r, crd_collection_show(crd_of(r), col,
		    false));
}

void
crd_collection_recalculate(struct sb_req *r, const struct cl_collection *col)
{
	struct json_object	*o;
	int64_t			*counts, sum = 0;
	size_t			 i;

	counts = xcalloc(col->nshards + 1, sizeof(*counts));
	if (count_shards(r, col, counts) == 0) {
		for (i = 0; i < col->nshards; i++)
			sum += counts[i];
		o = json_object_new_object();
		cj_add_bool(o, "result", true);
		cj_add_int(o, "count", sum);
		crd_collection_reply(r, o);
	}
	free(counts);
}

/* ---- figures --------------------------------------------------------------- */

void
crd_collection_figures(struct sb_req *r, const struct cl_collection *col)
{
	struct json_object	*o, *in, *figures, *indexes;
	int64_t			 count = 0, documents = 0, size = 0;
	struct crd_call		*calls;
	size_t			 i;

	calls = ask_all(r, col, "/_api/collection/%s/figures");
	if (calls == NULL)
		return;
	for (i = 0; i < col->nshards; i++) {
		in = sb_resp_json(&calls[i].resp);
		count += cj_int(in, "count", 0);
		figures = cj_get(in, "figures");
		documents += cj_int(figures, "documentsSize", 0);
		size += cj_int(cj_get(figures, "indexes"), "size", 0);
		json_object_put(in);
	}
	crd_calls_free(calls, col->nshards);
	o = crd_collection_show(crd_of(r), col, true);
	figures = json_object_new_object();
	indexes = json_object_new_object();
	cj_add_int(indexes, "count", (int64_t)(cj_is_array(col->indexes) ?
	    json_object_array_length(col->indexes) : 0));
	cj_add_int(indexes, "size", size);
	cj_add(figures, "indexes", indexes);
	cj_add_int(figures, "documentsSize", documents);
	cj_add_bool(figures, "cacheInUse", false);
	cj_add_int(figures, "cacheSize", 0);
	cj_add_int(figures, "cacheUsage", 0);
	cj_add(o, "figures", figures);
	cj_add_int(o, "count", count);
	crd_collection_reply(r, o);
}

/* ---- revision and checksum ------------------------------------------------- */

/* The larger one as text; "0" is what arangod says of an empty collection. */
static void
larger_revision(struct json_object *o, uint64_t *max)
{
	const char	*s = cj_str(o, "revision");
	uint64_t	 rev;

	if (s == NULL || strcmp(s, "0") == 0)
		return;
	rev = rev_from_text(s, strlen(s));
	if (rev != REV_INVALID && rev > *max)
		*max = rev;
}

static void
add_revision(struct json_object *o, uint64_t rev)
{
	char	 text[REV_TEXT_MAX];

	if (rev == 0) {
		cj_add_str(o, "revision", "0");
		return;
	}
	rev_to_text(rev, text);
	cj_add_str(o, "revision", text);
}

void
crd_collection_revision(struct sb_req *r, const struct cl_collection *col)
{
	struct json_object	*o;
	struct crd_call		*calls;
	uint64_t		 max = 0;
	size_t			 i;

	calls = ask_all(r, col, "/_api/collection/%s/revision");
	if (calls == NULL)
		return;
	for (i = 0; i < col->nshards; i++) {
		o = sb_resp_json(&calls[i].resp);
		larger_revision(o, &max);
		json_object_put(o);
	}
	crd_calls_free(calls, col->nshards);
	o = crd_collection_show(crd_of(r), col, true);
	add_revision(o, max);
	crd_collection_reply(r, o);
}

void
crd_collection_checksum(struct sb_req *r, const struct cl_collection *col)
{
	struct json_object	*o;
	struct crd_call		*calls;
	const char		*s;
	char			 text[96];
	uint64_t		 sum = 0, max = 0;
	size_t			 i;

	/* "%%s" is for the shard's name. */
	snprintf(text, sizeof(text), "/_api/collection/%%s/checksum?"
	    "withRevisions=%s&withData=%s",
	    sb_param_bool(r, "withRevisions", false) ? "true" : "false",
	    sb_param_bool(r, "withData", false) ? "true" : "false");
	if ((calls = ask_all(r, col, text)) == NULL)
		return;
	for (i = 0; i < col->nshards; i++) {
		o = sb_resp_json(&calls[i].resp);
		if ((s = cj_str(o, "checksum")) != NULL)
			sum ^= strtoull(s, NULL, 10);
		larger_revision(o, &max);
		json_object_put(o);
	}
	crd_calls_free(calls, col->nshards);
	o = crd_collection_show(crd_of(r), col, false);
	snprintf(text, sizeof(text), "%" PRIu64, sum);
	cj_add_str(o, "checksum", text);
	add_revision(o, max);
	crd_collection_reply(r, o);
}

/* ---- truncate -------------------------------------------------------------- */

void
crd_collection_truncate(struct sb_req *r, const struct cl_collection *col)
{
	struct crd	*c = crd_of(r);
	struct crd_trx	*trx;
	struct crd_call	*calls, *bad;
	size_t		 i;

	if (crd_document_may_write(r) != 0 ||
	    crd_trx_acquire(r, col, true, &trx) != 0)
		return;
	calls = xcalloc(col->nshards, sizeof(*calls));
	for (i = 0; i < col->nshards; i++) {
		calls[i].shard = i;
		calls[i].method = "PUT";
		calls[i].path = xasprintf("/_api/collection/%s/truncate?"
		    "waitForSync=%s&compact=%s", col->shards[i].name,
		    sb_param_bool(r, "waitForSync", false) ? "true" : "false",
		    sb_param_bool(r, "compact", true) ? "true" : "false");
		calls[i].body = "{}";
		calls[i].body_len = 2;
	}
	/* Removing what is removed already changes nothing. */
	crd_document_calls(c, col, trx, calls, col->nshards, CRD_IDEMPOTENT);
	crd_trx_release(&trx);
	if ((bad = crd_calls_failed(calls, col->nshards)) != NULL)
		crd_reply_failure(r, &bad->resp);
	else
		crd_collection_reply(r, crd_collection_show(c, col, false));
	crd_calls_free(calls, col->nshards);
}

/* ---- which shard ----------------------------------------------------------- */

/* A string or number in place of a document is its key. */
static const uint8_t *
as_document(const uint8_t *body, struct buf *out)
{
	struct vp_builder	 b;
	int64_t			 n;
	char			 text[32];

	if (!vp_is_string(body) && !vp_is_number(body))
		return body;
	vpb_init(&b, out);
	vpb_start(&b, out);
	vpb_open_object(&b);
	if (vp_is_string(body)) {
		vpb_add_slice(&b, "_key", body);
	} else {
		if (vp_get_int(body, &n) != 0)
			n = 0;
		snprintf(text, sizeof(text), "%" PRId64, n);
		vpb_add_str(&b, "_key", text);
	}
	vpb_close(&b);
	(void)vpb_end(&b);
	vpb_free(&b);
	return out->data;
}

void
crd_collection_responsible(struct sb_req *r, const struct cl_collection *col)
{
	struct buf		 body = BUF_INIT, made = BUF_INIT;
	struct json_object	*o;
	const uint8_t		*doc;
	bool			 missing = false;
	unsigned		 shard;

	if (sb_body_vpack(r, &body) != 0)
		return;
	doc = as_document(body.data, &made);
	if (!vp_is_object(doc)) {
		sb_error(r, AE_BAD_PARAMETER,
		    "expecting object for responsibleShard");
	} else {
		shard = vp_shard_of(doc, (const char *const *)col->shard_keys,
		    col->nshard_keys, (unsigned)col->nshards, &missing);
		if (missing) {
			sb_error(r, AE_NOT_ALL_SHARDING_ATTRIBUTES, NULL);
		} else {
			o = json_object_new_object();
			cj_add_str(o, "shardId", col->shards[shard].name);
			crd_collection_reply(r, o);
		}
	}
	buf_free(&body);
	buf_free(&made);
}
