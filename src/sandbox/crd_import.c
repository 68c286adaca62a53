/*
 * crd_import.c - /_api/import: documents as JSON lines, as one array, or as a
 * list of attribute names followed by lists of values.  Facts:
 * RestImportHandler.cpp of arangod, recording RestImportJsonUniqueContinue.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ev/loop.h"
#include "sandbox/crd_document.h"
#include "vpack/vpack.h"

#define OFFENDING_MAX_BYTES	1024	/* of a document quoted in details */

struct import {
	struct sb_req	*r;
	const struct cl_collection *col;
	bool		 complete, details;
	const char	*from_prefix, *to_prefix;
	struct buf	 docs;		/* VelocyPack array of what can be tried */
	size_t		*positions;	/* of each of them in the body */
	size_t		 ndocs, cap;
	struct vp_builder *b;
	uint64_t	 empty, errors;
	struct json_object *messages;
};

static void
complain(struct import *im, size_t position, const char *text,
    const char *offending, size_t len)
{
	char	*s;

	im->errors++;
	if (!im->details)
		return;
	if (offending == NULL)
		s = xasprintf("at position %zu: %s", position, text);
	else
		s = xasprintf("at position %zu: %s, offending document: %.*s%s",
		    position, text, (int)MIN(len, OFFENDING_MAX_BYTES),
		    offending, len > OFFENDING_MAX_BYTES ? "..." : "");
	json_object_array_add(im->messages, json_object_new_string(s));
	free(s);
}

static void
note_position(struct import *im, size_t position)
{
	if (im->ndocs == im->cap) {
		im->cap = im->cap == 0 ? 256 : im->cap * 2;
		im->positions = xrealloc(im->positions,
		    im->cap * sizeof(*im->positions));
	}
	im->positions[im->ndocs++] = position;
}

/* "a" becomes "prefix/a" in _from and _to. */
static void
put_prefixed(struct import *im, const char *name, size_t nlen,
    const char *prefix, const uint8_t *value)
{
	const char	*s;
	size_t		 len;
	char		*text;

	vpb_key(im->b, name, nlen);
	s = vp_get_string(value, &len);
	if (prefix == NULL || s == NULL || memchr(s, '/', len) != NULL) {
		vpb_slice(im->b, value);
		return;
	}
	text = xasprintf("%s/%.*s", prefix, (int)len, s);
	vpb_string(im->b, text, strlen(text));
	free(text);
}

static void
put_attr(struct import *im, const char *name, size_t nlen,
    const uint8_t *value)
{
	const char	*prefix = NULL;

	if (nlen == 5 && memcmp(name, "_from", 5) == 0)
		prefix = im->from_prefix;
	else if (nlen == 3 && memcmp(name, "_to", 3) == 0)
		prefix = im->to_prefix;
	put_prefixed(im, name, nlen, prefix, value);
}

static void
add_document(struct import *im, size_t position, const uint8_t *doc)
{
	struct vp_iter	 it;
	struct vp_attr	 a;

	if (!vp_is_object(doc)) {
		complain(im, position, "invalid JSON type (expecting object)",
		    NULL, 0);
		return;
	}
	vpb_open_object(im->b);
	vp_obj_iter(&it, doc);
	while (vp_obj_next(&it, &a))
		put_attr(im, a.name, a.nlen, a.value);
	vpb_close(im->b);
	note_position(im, position);
}

/* ---- forms of the body ------------------------------------------------------- */

/* One JSON text of a line into tmp; NULL: it is none. */
static const uint8_t *
parse_line(struct vp_builder *b, struct buf *tmp, const char *line, size_t len)
{
	buf_reset(tmp);
	vpb_start(b, tmp);
	if (vp_from_json(b, line, len, NULL) != 0 || vpb_end(b) != 0)
		return NULL;
	return tmp->data;
}

typedef void line_fn(struct import *im, size_t position, const uint8_t *value,
	    void *arg);

static void
each_line(struct import *im, line_fn *fn, void *arg)
{
	const char		*p = (const char *)im->r->body, *nl, *end;
	struct vp_builder	*b = xmalloc(sizeof(*b));
	struct buf		 tmp = BUF_INIT;
	const uint8_t		*v;
	size_t			 position = 0, len;

	end = p + im->r->body_len;
	vpb_init(b, &tmp);
	for (; p < end; p = nl + 1, position++) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL)
			nl = end;
		len = (size_t)(nl - p);
		while (len > 0 && strchr(" \t\r", p[len - 1]) != NULL)
			len--;
		if (len == 0)
			im->empty++;
		else if ((v = parse_line(b, &tmp, p, len)) == NULL)
			complain(im, position, "invalid JSON type (expecting "
			    "object, probably parse error)", p, len);
		else
			fn(im, position, v, arg);
	}
	vpb_free(b);
	free(b);
	buf_free(&tmp);
}

static void
line_document(struct import *im, size_t position, const uint8_t *v, void *arg)
{
	add_document(im, position, v);
}

struct header {
	struct buf	 names;		/* array of strings */
	bool		 good;
};

/* First line: names; the others: values in that order. */
static void
line_values(struct import *im, size_t position, const uint8_t *v, void *arg)
{
	struct header	*h = arg;
	struct vp_iter	 names, values;
	const uint8_t	*n, *x;
	const char	*s;
	size_t		 len;

	if (h->names.len == 0) {
		buf_append(&h->names, v, vp_size(v));
		h->good = vp_is_array(v);
		vp_arr_iter(&names, v);
		while ((n = vp_arr_next(&names)) != NULL)
			h->good = h->good && vp_is_string(n);
		return;
	}
	if (!h->good)
		return;
	if (!vp_is_array(v) || vp_length(v) != vp_length(h->names.data)) {
		complain(im, position, "wrong number of JSON values", NULL, 0);
		return;
	}
	vpb_open_object(im->b);
	vp_arr_iter(&names, h->names.data);
	vp_arr_iter(&values, v);
	while ((n = vp_arr_next(&names)) != NULL &&
	    (x = vp_arr_next(&values)) != NULL) {
		s = vp_get_string(n, &len);
		if (!vp_is_null(x))
			put_attr(im, s, len, x);
	}
	vpb_close(im->b);
	note_position(im, position);
}

static int
read_array(struct import *im)
{
	struct buf	 body = BUF_INIT;
	struct vp_iter	 it;
	const uint8_t	*e;
	size_t		 position = 0;
	int		 result = -1;

	if (sb_body_vpack(im->r, &body) != 0)
		goto out;
	if (!vp_is_array(body.data)) {
		sb_error(im->r, AE_HTTP_BAD_PARAMETER,
		    "expecting a JSON array in the request");
		goto out;
	}
	vp_arr_iter(&it, body.data);
	while ((e = vp_arr_next(&it)) != NULL)
		add_document(im, position++, e);
	result = 0;
out:
	buf_free(&body);
	return result;
}

static bool
starts_with_bracket(const struct sb_req *r)
{
	size_t	 i;

	for (i = 0; i < r->body_len; i++)
		if (strchr(" \t\r\n", r->body[i]) == NULL || r->body[i] == 0)
			return r->body[i] == '[';
	return false;
}

/* Fill im->docs; 0, or answered. */
static int
read_body(struct import *im, const char *type)
{
	struct header	 h = { BUF_INIT, false };
	bool		 array;

	if (type == NULL) {
		each_line(im, line_values, &h);
		buf_free(&h.names);
		if (h.good)
			return 0;
		sb_error(im->r, AE_HTTP_BAD_PARAMETER,
		    "no JSON array of attribute names found in first line");
		return -1;
	}
	array = strcmp(type, "list") == 0 || strcmp(type, "array") == 0 ||
	    (strcmp(type, "auto") == 0 && starts_with_bracket(im->r));
	if (array)
		return read_array(im);
	if (strcmp(type, "documents") != 0 && strcmp(type, "auto") != 0) {
		sb_error(im->r, AE_HTTP_BAD_PARAMETER,
		    "invalid value for type");
		return -1;
	}
	each_line(im, line_document, NULL);
	return 0;
}

/* ---- carrying it out ------------------------------------------------------------ */

struct counts {
	uint64_t	 created, updated, ignored;
};

static void
count_results(struct import *im, const struct docop_opts *o,
    const uint8_t *results, struct counts *n)
{
	struct vp_iter	 it, docs;
	const uint8_t	*e, *doc, *num;
	struct buf	 json = BUF_INIT;
	size_t		 i = 0;
	int64_t		 errnum;
	char		*message;

	vp_arr_iter(&it, results);
	vp_arr_iter(&docs, im->docs.data);
	for (; (e = vp_arr_next(&it)) != NULL; i++) {
		doc = vp_arr_next(&docs);
		num = vp_get(e, "errorNum");
		if (num == NULL || vp_get_int(num, &errnum) != 0) {
			if (vp_get(e, "_oldRev") != NULL)
				n->updated++;
			else
				n->created++;
			continue;
		}
		if (errnum == AE_UNIQUE_CONSTRAINT_VIOLATED &&
		    o->overwrite == DOCOP_IGNORE) {
			n->ignored++;
			continue;
		}
		/* The text of the number alone, as arangod's import has it. */
		message = xasprintf(
		    "creating document failed with error '%s'",
		    arango_error_text((int)errnum));
		buf_reset(&json);
		if (doc != NULL)
			vp_to_json(&json, doc, 0);
		complain(im, im->positions[i], message,
		    (const char *)json.data, json.len);
		free(message);
	}
	buf_free(&json);
}

static bool
set_duplicate_rule(struct sb_req *r, struct docop_opts *o)
{
	const char	*v = sb_param(r, "onDuplicate");

	if (v == NULL || strcmp(v, "error") == 0)
		o->overwrite = DOCOP_CONFLICT;
	else if (strcmp(v, "update") == 0)
		o->overwrite = DOCOP_OW_UPDATE;
	else if (strcmp(v, "replace") == 0)
		o->overwrite = DOCOP_OW_REPLACE;
	else if (strcmp(v, "ignore") == 0)
		o->overwrite = DOCOP_IGNORE;
	else
		return false;
	return true;
}

static int
truncate_first(struct import *im)
{
	struct crd	*c = crd_of(im->r);
	struct crd_call	*calls, *bad;
	int		 result = 0;

	calls = crd_all_shards(c, im->col, "PUT",
	    "/_api/collection/%s/truncate", NULL, "{}", 2, CRD_IDEMPOTENT,
	    loop_now_ms(c->loop) + CRD_SHARD_TIMEOUT_MS);
	if ((bad = crd_calls_failed(calls, im->col->nshards)) != NULL) {
		crd_reply_failure(im->r, &bad->resp);
		result = -1;
	}
	crd_calls_free(calls, im->col->nshards);
	return result;
}

static void
reply_counts(struct import *im, const struct counts *n)
{
	struct json_object	*o = json_object_new_object();

	json_object_object_add(o, "error", json_object_new_boolean(0));
	json_object_object_add(o, "created",
	    json_object_new_int64((int64_t)n->created));
	json_object_object_add(o, "errors",
	    json_object_new_int64((int64_t)im->errors));
	json_object_object_add(o, "empty",
	    json_object_new_int64((int64_t)im->empty));
	json_object_object_add(o, "updated",
	    json_object_new_int64((int64_t)n->updated));
	json_object_object_add(o, "ignored",
	    json_object_new_int64((int64_t)n->ignored));
	if (im->details)
		json_object_object_add(o, "details",
		    json_object_get(im->messages));
	sb_reply_json(im->r, 201, o);
}

/* The documents are read; write them. */
static void
carry_out(struct import *im)
{
	struct docop_opts	 o;
	struct crd_array_result	 res = { BUF_INIT, { 0 }, false };
	struct counts		 n = { 0, 0, 0 };
	struct err_msg		 em = { "" };
	int			 errnum;

	docop_opts_from_req(&o, DOCOP_INSERT, im->r);
	o.silent = o.return_new = o.return_old = o.is_restore = false;
	if (!set_duplicate_rule(im->r, &o)) {
		sb_error(im->r, AE_HTTP_BAD_PARAMETER,
		    "invalid value for onDuplicate");
		return;
	}
	if (im->complete && im->errors > 0) {
		sb_error(im->r, AE_HTTP_BAD_PARAMETER,
		    "the body has documents that cannot be imported");
		return;
	}
	if (sb_param_bool(im->r, "overwrite", false) &&
	    truncate_first(im) != 0)
		return;
	errnum = crd_document_array(crd_of(im->r), im->col, &o, NULL,
	    im->docs.data, &res, &em);
	if (errnum != AE_OK)
		sb_error(im->r, errnum, NULL);
	else {
		count_results(im, &o, res.body.data, &n);
		reply_counts(im, &n);
	}
	buf_free(&res.body);
}

static void
import(struct sb_req *r)
{
	struct import	 im = { .r = r };
	const char	*name = sb_param(r, "collection");

	if (crd_document_may_write(r) != 0)
		return;
	if (name == NULL || *name == '\0') {
		sb_error(r, AE_COLLECTION_PARAMETER_MISSING,
		    "'collection' is missing, expecting "
		    "/_api/import?collection=<identifier>");
		return;
	}
	if ((im.col = crd_collection_get(r, name)) == NULL)
		return;
	im.complete = sb_param_bool(r, "complete", false);
	im.details = sb_param_bool(r, "details", false);
	im.from_prefix = sb_param(r, "fromPrefix");
	im.to_prefix = sb_param(r, "toPrefix");
	im.messages = json_object_new_array();
	im.b = xmalloc(sizeof(*im.b));
	vpb_init(im.b, &im.docs);
	vpb_open_array(im.b);
	if (read_body(&im, sb_param(r, "type")) == 0) {
		vpb_close(im.b);
		if (vpb_end(im.b) != 0)
			sb_error(r, AE_HTTP_BAD_PARAMETER,
			    "the body is too large or has names twice");
		else
			carry_out(&im);
	}
	vpb_free(im.b);
	free(im.b);
	buf_free(&im.docs);
	free(im.positions);
	json_object_put(im.messages);
	cl_collection_unref(&im.col);
}

const struct sb_route	 crd_import_routes[] = {
	{ SB_POST, "/_api/import", 0, import },
	{ 0, NULL, 0, NULL }
};
