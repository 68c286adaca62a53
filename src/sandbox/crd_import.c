/*
 * crd_import.c - /_api/import: documents as JSON lines, as one array, or as a
 * list of attribute names followed by lists of values.  Facts:
 * RestImportHandler.cpp of arangod, recording RestImportJsonUniqueContinue.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ev/loop.h"
#include "sandbox/crd_document.h"
#include "vpack/vpack.h"

#define OFFENDING_MAX_BYTES	255	/* of a document quoted in details */
#define TYPE_EDGES		3

struct import {
	struct sb_req	*r;
	const struct cl_collection *col;
	bool		 complete, details, ignore_missing;
	bool		 ignore_duplicates;
	bool		 stop;		/* complete: read no further */
	int		 errnum;	/* complete: what ended it, or 0 */
	const char	*from_prefix, *to_prefix;	/* for edges */
	struct buf	 docs;		/* VelocyPack array of what can be tried */
	struct vp_builder *b;
	uint64_t	 empty, errors;
	struct json_object *messages;
};

/* kind: what is quoted, "document" or "context"; NULL: nothing is. */
static void
complain(struct import *im, size_t position, const char *text,
    const char *kind, const char *offending, size_t len)
{
	char	*s;

	im->errors++;
	if (!im->details)
		return;
	if (kind == NULL)
		s = xasprintf("at position %zu: %s", position, text);
	else
		s = xasprintf("at position %zu: %s, offending %s: %.*s%s",
		    position, text, kind, (int)MIN(len, OFFENDING_MAX_BYTES),
		    offending, len > OFFENDING_MAX_BYTES ? "..." : "");
	json_object_array_add(im->messages, json_object_new_string(s));
	free(s);
}

static void
complain_document(struct import *im, size_t position, const char *text,
    const uint8_t *doc)
{
	struct buf	 json = BUF_INIT;

	vp_to_json(&json, doc, 0);
	complain(im, position, text, "document", (const char *)json.data,
	    json.len);
	buf_free(&json);
}

/* With `complete` nothing is imported after this (JSON: of what follows). */
static void
give_up(struct import *im, int errnum)
{
	if (!im->complete)
		return;
	im->stop = true;
	im->errnum = errnum;
}

/* "a" and 1 become "prefix/a" and "prefix/1" in _from and _to. */
static void
put_end(struct import *im, const char *name, const char *prefix,
    const uint8_t *value)
{
	const char	*s, *slash;
	size_t		 len, plen;
	int64_t		 n;
	char		*text = NULL;

	vpb_key(im->b, name, strlen(name));
	if (prefix != NULL && (plen = strlen(prefix)) != 0) {
		slash = prefix[plen - 1] == '/' ? "" : "/";
		s = vp_get_string(value, &len);
		if (s != NULL && memchr(s, '/', len) == NULL)
			text = xasprintf("%s%s%.*s", prefix, slash, (int)len,
			    s);
		else if (s == NULL && vp_is_integer(value) &&
		    vp_get_int(value, &n) == 0)
			text = xasprintf("%s%s%" PRId64, prefix, slash, n);
	}
	if (text == NULL)
		vpb_slice(im->b, value);
	else
		vpb_string(im->b, text, strlen(text));
	free(text);
}

static void
put_attr(struct import *im, const char *name, size_t nlen,
    const uint8_t *value)
{
	if (im->col->type == TYPE_EDGES && nlen == 5 &&
	    memcmp(name, "_from", 5) == 0)
		put_end(im, "_from", im->from_prefix, value);
	else if (im->col->type == TYPE_EDGES && nlen == 3 &&
	    memcmp(name, "_to", 3) == 0)
		put_end(im, "_to", im->to_prefix, value);
	else {
		vpb_key(im->b, name, nlen);
		vpb_slice(im->b, value);
	}
}

/* An end is there, or will be one with its prefix. */
static bool
is_end(const uint8_t *doc, const char *name, const char *prefix)
{
	const uint8_t	*v = vp_get(doc, name);

	return v != NULL && (vp_is_string(v) || (prefix != NULL &&
	    *prefix != '\0' && vp_is_integer(v)));
}

static void
add_document(struct import *im, size_t position, const uint8_t *doc)
{
	struct vp_iter	 it;
	struct vp_attr	 a;

	if (!vp_is_object(doc)) {
		complain_document(im, position,
		    "invalid JSON type (expecting object)", doc);
		give_up(im, AE_DOCUMENT_TYPE_INVALID);
		return;
	}
	if (im->col->type == TYPE_EDGES &&
	    (!is_end(doc, "_from", im->from_prefix) ||
	    !is_end(doc, "_to", im->to_prefix))) {
		complain_document(im, position,
		    "missing '_from' or '_to' attribute", doc);
		give_up(im, AE_INVALID_EDGE_ATTRIBUTE);
		return;
	}
	vpb_open_object(im->b);
	vp_obj_iter(&it, doc);
	while (vp_obj_next(&it, &a))
		put_attr(im, a.name, a.nlen, a.value);
	vpb_close(im->b);
}

/* ---- forms of the body ------------------------------------------------- */

#define BLANKS	" \t\r\b\f"

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

/*
 * Lines from p on, counted from 1.  A line that is no JSON ends an import of
 * documents with `complete`, but not what came before it; errnum is for the
 * other form.
 */
static void
each_line(struct import *im, const char *p, int errnum, line_fn *fn, void *arg)
{
	const char		*nl, *end;
	struct vp_builder	*b = xmalloc(sizeof(*b));
	struct buf		 tmp = BUF_INIT;
	const uint8_t		*v;
	size_t			 position = 1, len;

	end = (const char *)im->r->body + im->r->body_len;
	vpb_init(b, &tmp);
	for (; p < end && !im->stop; p = nl + 1, position++) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL)
			nl = end;
		while (p < nl && strchr(BLANKS, *p) != NULL && *p != '\0')
			p++;
		len = (size_t)(nl - p);
		while (len > 0 && strchr(BLANKS, p[len - 1]) != NULL)
			len--;
		if (len == 0)
			im->empty++;
		else if ((v = parse_line(b, &tmp, p, len)) == NULL) {
			complain(im, position, "invalid JSON type (expecting "
			    "object, probably parse error)", "context", p,
			    len);
			give_up(im, errnum);
		} else
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

/* Values in the order of the names, which are an array of strings. */
static void
line_values(struct import *im, size_t position, const uint8_t *v, void *arg)
{
	const uint8_t		*header = arg, *n, *x;
	struct vp_builder	*b;
	struct vp_iter		 names, values;
	struct buf		 doc = BUF_INIT;
	const char		*s;
	char			 text[96];
	size_t			 len;

	if (!vp_is_array(v)) {
		complain(im, position, "no valid JSON array data", NULL,
		    NULL, 0);
		give_up(im, AE_INTERNAL);
		return;
	}
	if (!im->ignore_missing && vp_length(v) != vp_length(header)) {
		snprintf(text, sizeof(text), "wrong number of JSON values "
		    "(got %zu, expected %zu)", vp_length(v),
		    vp_length(header));
		complain(im, position, text, NULL, NULL, 0);
		give_up(im, AE_INTERNAL);
		return;
	}
	b = xmalloc(sizeof(*b));
	vpb_init(b, &doc);
	vpb_open_object(b);
	vp_arr_iter(&names, header);
	vp_arr_iter(&values, v);
	while ((n = vp_arr_next(&names)) != NULL &&
	    (x = vp_arr_next(&values)) != NULL) {
		s = vp_get_string(n, &len);
		if (!vp_is_null(x)) {
			vpb_key(b, s, len);
			vpb_slice(b, x);
		}
	}
	vpb_close(b);
	if (vpb_end(b) == 0)
		add_document(im, position, doc.data);
	else {
		complain(im, position, "duplicate attribute name", NULL, NULL,
		    0);
		give_up(im, AE_INTERNAL);
	}
	vpb_free(b);
	free(b);
	buf_free(&doc);
}

/* First line: names; the others: values.  0, or answered. */
static int
read_table(struct import *im)
{
	const char		*p = (const char *)im->r->body, *nl;
	struct vp_builder	*b;
	struct buf		 names = BUF_INIT;
	struct vp_iter		 it;
	const uint8_t		*v, *n;
	bool			 good;

	nl = im->r->body_len == 0 ? NULL :
	    memchr(p, '\n', im->r->body_len);
	if (nl == NULL) {
		sb_error(im->r, AE_HTTP_BAD_PARAMETER,
		    "no JSON array found in second line");
		return -1;
	}
	b = xmalloc(sizeof(*b));
	vpb_init(b, &names);
	v = parse_line(b, &names, p, (size_t)(nl - p));
	good = v != NULL && vp_is_array(v) && vp_length(v) > 0;
	if (good)
		vp_arr_iter(&it, v);
	while (good && (n = vp_arr_next(&it)) != NULL)
		good = vp_is_string(n);
	if (good)
		each_line(im, nl + 1, AE_INTERNAL, line_values,
		    (void *)(uintptr_t)v);
	else
		sb_error(im->r, AE_HTTP_BAD_PARAMETER,
		    "no JSON string array found in first line");
	vpb_free(b);
	free(b);
	buf_free(&names);
	return good ? 0 : -1;
}

static int
read_array(struct import *im)
{
	struct buf	 body = BUF_INIT;
	struct vp_iter	 it;
	const uint8_t	*e;
	size_t		 position = 1;
	int		 result = -1;

	if (sb_body_vpack(im->r, &body) != 0)
		goto out;
	if (!vp_is_array(body.data)) {
		sb_error(im->r, AE_HTTP_BAD_PARAMETER,
		    "expecting a JSON array in the request");
		goto out;
	}
	vp_arr_iter(&it, body.data);
	while (!im->stop && (e = vp_arr_next(&it)) != NULL)
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
		if (strchr(BLANKS "\n", r->body[i]) == NULL || r->body[i] == 0)
			return r->body[i] == '[';
	return false;
}

/* Fill im->docs; 0, or answered.  An unknown type is a table. */
static int
read_body(struct import *im, const char *type)
{
	if (im->r->body_is_vpack)
		return read_array(im);
	if (type == NULL)
		return read_table(im);
	if (strcmp(type, "list") == 0 || strcmp(type, "array") == 0 ||
	    (strcmp(type, "auto") == 0 && starts_with_bracket(im->r)))
		return read_array(im);
	if (strcmp(type, "documents") != 0 && strcmp(type, "auto") != 0)
		return read_table(im);
	each_line(im, (const char *)im->r->body, 0, line_document, NULL);
	return 0;
}

/* ---- carrying it out ------------------------------------------------------------ */

struct counts {
	uint64_t	 created, updated, ignored;
};

static void
count_results(struct import *im, const uint8_t *results, struct counts *n)
{
	struct vp_iter	 it, docs;
	const uint8_t	*e, *doc, *num;
	size_t		 i = 0;
	int64_t		 errnum;
	char		*message;

	vp_arr_iter(&it, results);
	vp_arr_iter(&docs, im->docs.data);
	for (; !im->stop && (e = vp_arr_next(&it)) != NULL; i++) {
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
		    im->ignore_duplicates) {
			n->ignored++;
			continue;
		}
		/* Positions among what could be tried, from 0, and the text
		 * of the number alone. */
		message = xasprintf(
		    "creating document failed with error '%s'",
		    arango_error_text((int)errnum));
		complain_document(im, i, message, doc != NULL ? doc : vp_null);
		free(message);
		give_up(im, (int)errnum);
	}
}

/* An unknown rule is as none.  `ignore` inserts, and overlooks 1210. */
static void
set_duplicate_rule(struct import *im, struct docop_opts *o)
{
	const char	*v = sb_param(im->r, "onDuplicate");

	o->overwrite = DOCOP_CONFLICT;
	if (v == NULL)
		return;
	if (strcmp(v, "update") == 0) {
		o->overwrite = DOCOP_OW_UPDATE;
		o->keep_null = o->merge_objects = true;
	} else if (strcmp(v, "replace") == 0)
		o->overwrite = DOCOP_OW_REPLACE;
	else
		im->ignore_duplicates = strcmp(v, "ignore") == 0;
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
	set_duplicate_rule(im, &o);
	if (im->errnum != 0) {
		sb_error(im->r, im->errnum, NULL);
		return;
	}
	im->stop = false;
	if (sb_param_bool(im->r, "overwrite", false) &&
	    truncate_first(im) != 0)
		return;
	errnum = crd_document_array(crd_of(im->r), im->col, &o, NULL,
	    im->docs.data, &res, &em);
	if (errnum == AE_OK) {
		count_results(im, res.body.data, &n);
		errnum = im->errnum;
	}
	if (errnum != AE_OK)
		sb_error(im->r, errnum, NULL);
	else
		reply_counts(im, &n);
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
	im.ignore_missing = sb_param_bool(r, "ignoreMissing", false);
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
	json_object_put(im.messages);
	cl_collection_unref(&im.col);
}

const struct sb_route	 crd_import_routes[] = {
	{ SB_POST, "/_api/import", 0, import },
	{ 0, NULL, 0, NULL }
};
