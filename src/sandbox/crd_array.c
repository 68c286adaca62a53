/*
 * crd_array.c - from an array of documents to arrays for shards and back.
 *
 * Element i of the answer belongs to element i of the request, except with
 * silent, where only errors come back, without position.  There is no rollback
 * over shards: each leader commits its part.  A shard that did not answer gives
 * its elements {"error":true,"errorNum":n} without a message.  Facts:
 * ClusterMethods.cpp (createDocumentOnCoordinator, modifyDocumentOnCoordinator,
 * removeDocumentOnCoordinator).
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sandbox/crd_array.h"
#include "sandbox/crd_document.h"
#include "vpack/hash.h"
#include "vpack/vpack.h"

#define NO_SHARD	(-1)

/* ---- placing ----------------------------------------------------------------- */

long
crd_array_shard_if_complete(const struct cl_collection *col,
    const uint8_t *object)
{
	bool		 missing = true;
	unsigned	 shard;

	if (!vp_is_object(object))
		return NO_SHARD;
	shard = vp_shard_of(object, (const char *const *)col->shard_keys,
	    col->nshard_keys, (unsigned)col->nshards, &missing);
	return missing ? NO_SHARD : (long)shard;
}

/*
 * A key for a document that comes without one.  With a single shard its leader
 * makes the key: autoincrement needs that, and nothing is to be placed.
 */
static int
make_key(struct crd *c, const struct cl_collection *col,
    struct crd_placement *p)
{
	struct docop_keygen	 g;
	struct json_object	*options = NULL;
	uint64_t		 id;
	int			 errnum;

	json_object_object_get_ex(col->definition, "keyOptions", &options);
	if ((errnum = docop_keygen_init(&g, options)) != AE_OK)
		return errnum;
	if ((id = crd_new_id(c)) == 0)
		return AE_AGENCY_COMMUNICATION_FAILED;
	return docop_keygen_next(&g, id, p->new_key) == 0 ? 1225 : AE_OK;
}

static int
place_insert(struct crd *c, const struct cl_collection *col,
    const struct docop_opts *o, const struct docop_elem *e,
    struct crd_placement *p)
{
	bool	 by_key = crd_sharded_by_key(col);
	int	 errnum;

	if (e->key != NULL && !by_key && !o->is_restore)
		return AE_MUST_NOT_SPECIFY_KEY;
	if (e->key == NULL && col->nshards > 1 &&
	    (errnum = make_key(c, col, p)) != AE_OK)
		return errnum;
	if (by_key && p->new_key[0] != '\0')
		p->shard = vp_shard_of_key(p->new_key, strlen(p->new_key),
		    (const char *const *)col->shard_keys, col->nshard_keys,
		    (unsigned)col->nshards);
	else
		p->shard = vp_shard_of(e->value,
		    (const char *const *)col->shard_keys, col->nshard_keys,
		    (unsigned)col->nshards, NULL);
	return AE_OK;
}

int
crd_array_place(struct crd *c, const struct cl_collection *col,
    const struct docop_opts *o, const uint8_t *element,
    struct crd_placement *p)
{
	struct docop_elem	 e;
	int			 errnum;

	p->shard = NO_SHARD;
	p->new_key[0] = '\0';
	if ((errnum = docop_elem_parse(&e, o, element)) != AE_OK)
		return errnum;
	if (o->kind == DOCOP_INSERT)
		return place_insert(c, col, o, &e, p);
	if (crd_sharded_by_key(col) && e.key != NULL)
		p->shard = vp_shard_of_key(e.key, e.klen,
		    (const char *const *)col->shard_keys, col->nshard_keys,
		    (unsigned)col->nshards);
	else if (col->nshards == 1)
		p->shard = 0;
	else
		p->shard = crd_array_shard_if_complete(col, element);
	return AE_OK;
}

/* ---- building ------------------------------------------------------------------ */

static void
build_with_key(struct vp_builder *b, const uint8_t *doc, const char *key)
{
	struct vp_iter	 it;
	struct vp_attr	 a;

	vpb_open_object(b);
	vpb_add_str(b, "_key", key);
	vp_obj_iter(&it, doc);
	while (vp_obj_next(&it, &a)) {
		vpb_key(b, a.name, a.nlen);
		vpb_slice(b, a.value);
	}
	vpb_close(b);
}

void
crd_array_put_key(struct buf *out, const uint8_t *doc, const char *key)
{
	struct vp_builder	*b = xmalloc(sizeof(*b));

	vpb_init(b, out);
	build_with_key(b, doc, key);
	bug_unless(vpb_end(b) == 0);
	vpb_free(b);
	free(b);
}

/* An array on its way. */
struct work {
	struct crd	*c;
	const struct cl_collection *col;
	const struct docop_opts *o;
	const uint8_t	*array;
	size_t		 n;
	struct crd_placement *places;
	int		*errnums;	/* elements that go nowhere */
	bool		 broadcast;	/* somebody's shard is unknown */
	struct crd_call	*calls;
	struct buf	*bodies;	/* of each call */
	size_t		 ncalls;
	size_t		*counts;	/* elements in each call */
	long		*call_of_shard;
};

static void
place_all(struct work *w)
{
	struct vp_iter	 it;
	const uint8_t	*e;
	size_t		 i = 0;

	vp_arr_iter(&it, w->array);
	while ((e = vp_arr_next(&it)) != NULL) {
		w->errnums[i] = crd_array_place(w->c, w->col, w->o, e,
		    &w->places[i]);
		if (w->errnums[i] == AE_OK && w->places[i].shard == NO_SHARD)
			w->broadcast = true;
		i++;
	}
}

/* The elements of one shard (all that go anywhere when broadcasting). */
static void
build_body(struct work *w, long shard, struct vp_builder *b, struct buf *out,
    size_t *count)
{
	struct vp_iter	 it;
	const uint8_t	*e;
	size_t		 i = 0;

	vpb_start(b, out);
	vpb_open_array(b);
	vp_arr_iter(&it, w->array);
	for (; (e = vp_arr_next(&it)) != NULL; i++) {
		if (w->errnums[i] != AE_OK ||
		    (!w->broadcast && w->places[i].shard != shard))
			continue;
		if (w->places[i].new_key[0] != '\0')
			build_with_key(b, e, w->places[i].new_key);
		else
			vpb_slice(b, e);
		(*count)++;
	}
	vpb_close(b);
	bug_unless(vpb_end(b) == 0);
}

static void
build_calls(struct work *w)
{
	static const char *const	 methods[] = {
		[DOCOP_INSERT] = "POST", [DOCOP_REPLACE] = "PUT",
		[DOCOP_UPDATE] = "PATCH", [DOCOP_REMOVE] = "DELETE",
		[DOCOP_READ] = "PUT"
	};
	struct docop_opts	 o = *w->o;
	struct buf		 query = BUF_INIT;
	struct vp_builder	*b = xmalloc(sizeof(*b));
	size_t			 s, i, n = w->col->nshards;
	bool			*used = xcalloc(n, sizeof(*used));

	/* A broadcast is put together by position. */
	if (w->broadcast)
		o.silent = false;
	docop_opts_to_query(&o, &query);
	for (i = 0; i < w->n; i++)
		if (w->errnums[i] == AE_OK && !w->broadcast)
			used[w->places[i].shard] = true;
	w->calls = xcalloc(n, sizeof(*w->calls));
	w->bodies = xcalloc(n, sizeof(*w->bodies));
	w->counts = xcalloc(n, sizeof(*w->counts));
	w->call_of_shard = xcalloc(n, sizeof(*w->call_of_shard));
	vpb_init(b, &w->bodies[0]);
	for (s = 0; s < n; s++) {
		if (!w->broadcast && !used[s])
			continue;
		i = w->ncalls++;
		w->call_of_shard[s] = (long)i;
		build_body(w, (long)s, b, &w->bodies[i], &w->counts[i]);
		w->calls[i].shard = s;
		w->calls[i].method = methods[o.kind];
		w->calls[i].path = xasprintf("/_api/document/%s?%s",
		    w->col->shards[s].name, buf_cstr(&query));
		w->calls[i].body = w->bodies[i].data;
		w->calls[i].body_len = w->bodies[i].len;
	}
	vpb_free(b);
	free(b);
	free(used);
	buf_free(&query);
}

/* ---- merging ------------------------------------------------------------------- */

static bool
is_good(const struct crd_call *call)
{
	return call->status >= 200 && call->status < 300 &&
	    call->resp.body.len != 0;
}

static int
failure_of(const struct crd_call *call)
{
	return call->resp.errnum != 0 ? call->resp.errnum :
	    AE_BACKEND_UNAVAILABLE;
}

static void
put_bare_error(struct vp_builder *b, int errnum)
{
	vpb_open_object(b);
	vpb_add_bool(b, "error", true);
	vpb_add_int(b, "errorNum", errnum);
	vpb_close(b);
}

static void
count_errors(struct work *w, struct docop_errors *errors)
{
	char	 text[1024];
	size_t	 i;

	for (i = 0; i < w->n; i++)
		if (w->errnums[i] != AE_OK)
			docop_errors_add(errors, w->errnums[i], 1);
	for (i = 0; i < w->ncalls; i++) {
		if (!is_good(&w->calls[i]))
			docop_errors_add(errors, failure_of(&w->calls[i]),
			    w->counts[i]);
		else if (sb_resp_header(&w->calls[i].resp,
		    "x-arango-error-codes", text, sizeof(text)) == 0)
			docop_errors_add_text(errors, text);
	}
}

static void
merge_by_position(struct work *w, struct vp_builder *b)
{
	struct vp_iter	*its = xcalloc(w->ncalls + 1, sizeof(*its));
	const uint8_t	*e;
	size_t		 i, k;

	for (k = 0; k < w->ncalls; k++)
		if (is_good(&w->calls[k]))
			vp_arr_iter(&its[k], w->calls[k].resp.body.data);
	for (i = 0; i < w->n; i++) {
		if (w->errnums[i] != AE_OK) {
			docop_put_error(b, w->errnums[i], NULL);
			continue;
		}
		k = (size_t)w->call_of_shard[w->places[i].shard];
		if (!is_good(&w->calls[k]))
			put_bare_error(b, failure_of(&w->calls[k]));
		else if ((e = vp_arr_next(&its[k])) != NULL)
			vpb_slice(b, e);
		else
			put_bare_error(b, AE_INTERNAL);
	}
	free(its);
}

static void
merge_errors_only(struct work *w, struct vp_builder *b)
{
	struct vp_iter	 it;
	const uint8_t	*e;
	size_t		 i, k;

	for (i = 0; i < w->n; i++)
		if (w->errnums[i] != AE_OK)
			docop_put_error(b, w->errnums[i], NULL);
	for (k = 0; k < w->ncalls; k++) {
		if (!is_good(&w->calls[k])) {
			for (i = 0; i < w->counts[k]; i++)
				put_bare_error(b, failure_of(&w->calls[k]));
			continue;
		}
		vp_arr_iter(&it, w->calls[k].resp.body.data);
		while ((e = vp_arr_next(&it)) != NULL)
			if (vp_get(e, "error") != NULL &&
			    vp_is_true(vp_get(e, "error")))
				vpb_slice(b, e);
	}
}

/* Error number of a result object, 0 for a good one. */
static int
errnum_of(const uint8_t *e)
{
	const uint8_t	*v = e == NULL ? NULL : vp_get(e, "errorNum");
	int64_t		 n;

	return v != NULL && vp_get_int(v, &n) == 0 ? (int)n : 0;
}

/*
 * Every shard got every element: take the first answer that is not "document
 * not found".  The same key may live in two shards; a removal then has removed
 * both, as in arangod.
 */
static void
merge_broadcast(struct work *w, struct vp_builder *b,
    struct docop_errors *errors)
{
	const uint8_t	*e, *best;
	size_t		 i, k, sent = 0;
	struct vp_iter	*its = xcalloc(w->ncalls + 1, sizeof(*its));

	for (k = 0; k < w->ncalls; k++)
		vp_arr_iter(&its[k], w->calls[k].resp.body.data);
	for (i = 0; i < w->n; i++) {
		if (w->errnums[i] != AE_OK) {
			docop_errors_add(errors, w->errnums[i], 1);
			docop_put_error(b, w->errnums[i], NULL);
			continue;
		}
		best = NULL;
		for (k = 0; k < w->ncalls; k++) {
			e = vp_arr_next(&its[k]);
			if (e != NULL && (best == NULL ||
			    errnum_of(best) == AE_DOCUMENT_NOT_FOUND))
				best = e;
		}
		sent++;
		if (best == NULL) {
			put_bare_error(b, AE_INTERNAL);
			docop_errors_add(errors, AE_INTERNAL, 1);
			continue;
		}
		if (errnum_of(best) != 0)
			docop_errors_add(errors, errnum_of(best), 1);
		if (!w->o->silent || errnum_of(best) != 0)
			vpb_slice(b, best);
	}
	free(its);
}

static int
merge(struct work *w, struct crd_array_result *out, struct err_msg *em)
{
	struct vp_builder	*b;
	size_t			 k;

	out->waited = w->ncalls > 0;
	for (k = 0; k < w->ncalls; k++) {
		if (w->calls[k].status != 200 && w->calls[k].status != 201)
			out->waited = false;
		if (w->broadcast && !is_good(&w->calls[k])) {
			err_set(em, 0, "%s",
			    arango_error_text(failure_of(&w->calls[k])));
			return failure_of(&w->calls[k]);
		}
	}
	b = xmalloc(sizeof(*b));
	vpb_init(b, &out->body);
	vpb_open_array(b);
	if (w->broadcast)
		merge_broadcast(w, b, &out->errors);
	else {
		count_errors(w, &out->errors);
		if (w->o->silent)
			merge_errors_only(w, b);
		else
			merge_by_position(w, b);
	}
	vpb_close(b);
	bug_unless(vpb_end(b) == 0);
	vpb_free(b);
	free(b);
	return AE_OK;
}

static void
work_free(struct work *w)
{
	size_t	 k;

	for (k = 0; k < w->ncalls; k++) {
		free((char *)(uintptr_t)w->calls[k].path);
		sb_resp_free(&w->calls[k].resp);
		buf_free(&w->bodies[k]);
	}
	free(w->calls);
	free(w->bodies);
	free(w->counts);
	free(w->call_of_shard);
	free(w->places);
	free(w->errnums);
}

/* May the array be sent again when nobody knows whether it was executed? */
static bool
is_repeatable(const struct docop_opts *o)
{
	return o->kind == DOCOP_READ || (o->kind == DOCOP_INSERT &&
	    o->is_restore && o->overwrite == DOCOP_OW_REPLACE);
}

int
crd_document_array(struct crd *c, const struct cl_collection *col,
    const struct docop_opts *o, struct crd_trx *trx, const uint8_t *array,
    struct crd_array_result *out, struct err_msg *em)
{
	struct work	 w = { .c = c, .col = col, .o = o, .array = array };
	int		 errnum;

	w.n = vp_length(array);
	w.places = xcalloc(w.n, sizeof(*w.places));
	w.errnums = xcalloc(w.n, sizeof(*w.errnums));
	place_all(&w);
	build_calls(&w);
	crd_document_calls(c, col, trx, w.calls, w.ncalls,
	    SB_CALL_VPACK_BODY | SB_CALL_VPACK_ANSWER |
	    (is_repeatable(o) ? CRD_IDEMPOTENT : 0));
	errnum = merge(&w, out, em);
	work_free(&w);
	return errnum;
}
