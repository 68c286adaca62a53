/* write.c - batches into a shard or a collection; see write.h */
#include <stdlib.h>
#include <string.h>

#include "arango/conn.h"
#include "arango/write.h"
#include "base/str.h"
#include "http/url.h"
#include "json/scan.h"
#include "vpack/vpack.h"

#define ERRORS_KEPT	4096
#define TEXT_KEPT	512
#define ANSWER_MAX_BYTES ((size_t)512 * 1024 * 1024)

void
arango_write_result_free(struct arango_write_result *res)
{
	size_t	 i;

	for (i = 0; i < res->nerrors; i++) {
		free(res->errors[i].conflict);
		free(res->errors[i].index);
		free(res->errors[i].text);
	}
	free(res->errors);
	memset(res, 0, sizeof(*res));
}

/* ---- conflicts ---------------------------------------------------------- */

static char *
copy_or_null(const char *p, size_t n)
{
	return n == 0 ? NULL : xstrndup(p, n);
}

void
arango_parse_conflict(const char *text, size_t len, char **key, char **index)
{
	static const char	 in[] = "in index ", of[] = " of type ";
	static const char	 with[] = "conflicting key: ";
	const char		*p, *q, *end = text + len;

	*key = *index = NULL;
	p = memmem(text, len, in, sizeof(in) - 1);
	if (p != NULL) {
		p += sizeof(in) - 1;
		q = memmem(p, (size_t)(end - p), of, sizeof(of) - 1);
		if (q != NULL)
			*index = copy_or_null(p, (size_t)(q - p));
	}
	p = memmem(text, len, with, sizeof(with) - 1);
	if (p == NULL)
		return;
	p += sizeof(with) - 1;
	/* Keys have neither blanks nor quotes in them. */
	for (q = p; q < end && (unsigned char)*q > ' ' && *q != '"'; q++)
		;
	*key = copy_or_null(p, (size_t)(q - p));
}

/* ---- results of the elements -------------------------------------------- */

static void
add_error(struct arango_write_result *res, size_t pos, int num,
    const char *text, size_t len)
{
	struct arango_write_error	*e;

	res->nerrors_all++;
	if (res->nerrors == ERRORS_KEPT)
		return;
	/* grows at 1, 2, 4, ... */
	if ((res->nerrors & (res->nerrors - 1)) == 0)
		res->errors = xrealloc(res->errors, MAX(res->nerrors * 2, 1) *
		    sizeof(*res->errors));
	e = &res->errors[res->nerrors++];
	memset(e, 0, sizeof(*e));
	e->pos = pos;
	e->num = num;
	if (num == AERR_UNIQUE_CONSTRAINT)
		arango_parse_conflict(text, len, &e->conflict, &e->index);
	e->text = xstrndup(text, MIN(len, TEXT_KEPT));
}

static bool
is_error(int num, bool remove)
{
	return num != 0 && !(remove && num == AERR_DOCUMENT_NOT_FOUND);
}

/* One element of a JSON answer: an object, or (silently) anything. */
static int
parse_element(const struct scan_span *v, size_t pos, bool remove,
    struct arango_write_result *res)
{
	struct scan_iter	 it;
	struct scan_span	 name, value, text = { NULL, 0 };
	struct buf		 b = BUF_INIT;
	uint64_t		 num = 0;
	int			 r;

	if (*v->p != '{')
		return 0;
	scan_object(&it, v->p, v->len);
	while ((r = scan_next(&it, &name, &value)) == 1) {
		if (name.len == 8 && memcmp(name.p, "errorNum", 8) == 0) {
			if (scan_uint(&value, &num) != 0 || num > 1000000)
				return ERR_FORMAT;
		} else if (name.len == 12 &&
		    memcmp(name.p, "errorMessage", 12) == 0)
			text = value;
	}
	if (r != 0)
		return r;
	if (!is_error((int)num, remove))
		return 0;
	if (text.p != NULL && scan_string(&text, &b) != 0)
		buf_reset(&b);
	add_error(res, pos, (int)num, b.len > 0 ? (char *)b.data : "", b.len);
	buf_free(&b);
	return 0;
}

static int
parse_json(const char *p, size_t len, bool remove, size_t *n,
    struct arango_write_result *res)
{
	struct scan_iter	 it;
	struct scan_span	 v;
	size_t			 i = 0;
	int			 r;

	scan_object(&it, p, len);
	if (it.p < it.end && *it.p == '{') {
		/* silent and nothing to say, or one error for all */
		v.p = it.p;
		v.len = (size_t)(it.end - it.p);
		*n = 0;
		return parse_element(&v, SIZE_MAX, remove, res);
	}
	while ((r = scan_array_next(&it, &v)) == 1)
		if ((r = parse_element(&v, i++, remove, res)) != 0)
			return r;
	*n = i;
	return r;
}

static int
parse_slice(const uint8_t *v, size_t pos, bool remove,
    struct arango_write_result *res)
{
	const uint8_t	*e;
	const char	*text;
	uint64_t	 num;
	size_t		 n = 0;

	if ((e = vp_get(v, "errorNum")) == NULL)
		return 0;
	if (vp_get_uint(e, &num) != 0 || num > 1000000)
		return ERR_FORMAT;
	if (!is_error((int)num, remove))
		return 0;
	text = vp_get_string(vp_get(v, "errorMessage"), &n);
	add_error(res, pos, (int)num, text == NULL ? "" : text, n);
	return 0;
}

static int
parse_vpack(const uint8_t *p, size_t len, bool remove, size_t *n,
    struct arango_write_result *res)
{
	struct vp_iter	 it;
	const uint8_t	*v;
	size_t		 i = 0;
	int		 r = 0;

	if (vp_validate(p, len, NULL) != 0)
		return ERR_FORMAT;
	*n = 0;
	if (vp_is_object(p))
		return parse_slice(p, SIZE_MAX, remove, res);
	if (!vp_is_array(p))
		return ERR_FORMAT;
	vp_arr_iter(&it, p);
	while (r == 0 && (v = vp_arr_next(&it)) != NULL)
		r = parse_slice(v, i++, remove, res);
	*n = i;
	return r;
}

int
arango_write_parse(const uint8_t *p, size_t len, bool vpack, bool remove,
    size_t count, struct arango_write_result *res)
{
	size_t	 n = 0, i;
	int	 r;

	if (len == 0)
		return 0;	/* silent, and nothing to say */
	r = vpack ? parse_vpack(p, len, remove, &n, res) :
	    parse_json((const char *)p, len, remove, &n, res);
	if (r != 0)
		return r;
	/* Fewer than asked for: silent, positions mean nothing. */
	if (n != count)
		for (i = 0; i < res->nerrors; i++)
			res->errors[i].pos = SIZE_MAX;
	return n > count ? ERR_FORMAT : 0;
}

/* ---- requests ----------------------------------------------------------- */

/*
 * {"1210":1,"1200":3}: does it tell of anything but what does not matter?
 */
static bool
header_tells_errors(const struct arango_answer *ans, bool remove)
{
	const char		*s = arango_answer_header(ans,
				    "x-arango-error-codes");
	struct scan_iter	 it;
	struct scan_span	 name, value;
	uint64_t		 num;

	if (s == NULL)
		return false;
	scan_object(&it, s, strlen(s));
	while (scan_next(&it, &name, &value) == 1)
		if (str_to_u64_n(name.p, name.len, &num) != 0 ||
		    num > 1000000 || is_error((int)num, remove))
			return true;
	return false;
}

/* What to do when the batch as a whole was not executed. */
static enum arango_reaction
batch_reaction(const struct arango_write_to *to,
    const struct arango_answer *ans)
{
	if (ans->err == ERR_DENIED)
		return ARANGO_AUTH;
	if (ans->err == ERR_TOO_BIG)
		return ARANGO_SPLIT;
	if (ans->status == 0)
		return to->server != NULL ? ARANGO_LEADER : ARANGO_RETRY;
	/* The shard is not on that server (any more). */
	if (to->server != NULL && ans->num == AERR_DATA_SOURCE_NOT_FOUND)
		return ARANGO_LEADER;
	return ans->err == ERR_HTTP ? arango_react(ans->num, ans->status) :
	    ARANGO_RETRY;
}

static void
take_failure(const struct arango_write_to *to, struct arango_answer *ans,
    struct arango_write_result *res)
{
	res->err = ans->err;
	res->msg = ans->msg;
	res->status = ans->status;
	res->num = ans->num;
	res->unknown = ans->unknown;
	res->reaction = batch_reaction(to, ans);
}

static bool
is_vpack(const struct arango_answer *ans)
{
	const char	*type = arango_answer_header(ans, "content-type");

	return type != NULL && str_starts_with(type,
	    "application/x-velocypack");
}

static int
send_batch(const struct arango_write_to *to, const struct arango_write *w,
    bool remove, bool silent, struct arango_answer *ans)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct buf		 path = BUF_INIT;
	int			 r;

	buf_append_str(&path, "/_api/document/");
	url_encode_append(&path, to->name, strlen(to->name));
	buf_printf(&path, "?waitForSync=%s&silent=%s&returnOld=false"
	    "&refillIndexCaches=false", w->wait_for_sync ? "true" : "false",
	    silent ? "true" : "false");
	buf_append_str(&path, remove ? "&ignoreRevs=true" :
	    "&overwriteMode=replace&returnNew=false");
	if (!remove && w->restore)
		buf_append_str(&path, "&isRestore=true");
	req.to = to->server;
	req.method = remove ? "DELETE" : "POST";
	req.db = to->db;
	req.path = buf_cstr(&path);
	if (w->on_body != NULL) {
		req.on_body = w->on_body;
		req.body_arg = w->arg;
		req.len = w->len;
	} else {
		req.body = w->body->data;
		req.len = w->body->len;
	}
	req.type = req.accept = w->vpack ? ARANGO_VPACK : ARANGO_JSON;
	req.retry_ms = w->retry_ms;
	/*
	 * Repeating is harmless for the documents, but whoever sends it must
	 * know that one may still be running (R16).
	 */
	req.repeatable = false;
	req.timeout_ms = ARANGO_TIMEOUT_LONG_MS;
	req.max_body = ANSWER_MAX_BYTES;
	req.cancel = to->cancel;
	r = arango_call(to->cluster, &req, ans);
	buf_free(&path);
	return r;
}

/* The answer to a batch is understood; 0, or res->err is set. */
static int
take_answer(const struct arango_write_to *to, const struct arango_write *w,
    bool remove, bool silent, struct arango_answer *ans,
    struct arango_write_result *res)
{
	size_t	 i;
	int	 r;

	res->status = ans->status;
	res->elapsed_us += ans->elapsed_us;
	r = ans->status == 200 || ans->status == 201 || ans->status == 202 ?
	    arango_write_parse(ans->body.data, ans->body.len, is_vpack(ans),
	    remove, w->count, res) : ERR_PROTOCOL;
	/* Not silent: each element has its place. */
	if (r == 0 && !silent && header_tells_errors(ans, remove) &&
	    res->nerrors == 0)
		r = ERR_PROTOCOL;
	for (i = 0; r == 0 && !silent && i < res->nerrors; i++)
		if (res->errors[i].pos >= w->count)
			r = ERR_PROTOCOL;
	if (r == 0)
		return 0;
	arango_write_result_free(res);
	res->status = ans->status;
	res->unknown = true;
	res->reaction = ARANGO_RETRY;
	return res->err = err_set(&res->msg, r, "%s: answer to a batch for %s "
	    "is not understood", arango_name(to->cluster), to->name);
}

static int
write_batch(const struct arango_write_to *to, const struct arango_write *w,
    bool remove, struct arango_write_result *res)
{
	struct arango_answer	 ans;
	bool			 silent = true;
	int			 r;

	memset(res, 0, sizeof(*res));
	for (;;) {
		if (send_batch(to, w, remove, silent, &ans) != 0) {
			take_failure(to, &ans, res);
			/* The silent one was executed. */
			if (!silent)
				res->unknown = true;
			arango_answer_free(&ans);
			return res->err;
		}
		r = take_answer(to, w, remove, silent, &ans, res);
		if (r != 0 || !silent ||
		    (res->nerrors == 0 && !header_tells_errors(&ans, remove)))
			break;
		/* Some failed, and nobody says which: once more, aloud. */
		silent = false;
		arango_write_result_free(res);
		arango_answer_free(&ans);
	}
	arango_answer_free(&ans);
	return r;
}

int
arango_write_upsert(const struct arango_write_to *to,
    const struct arango_write *w, struct arango_write_result *res)
{
	return write_batch(to, w, false, res);
}

int
arango_write_remove(const struct arango_write_to *to,
    const struct arango_write *w, struct arango_write_result *res)
{
	return write_batch(to, w, true, res);
}

int
arango_write_truncate(const struct arango_write_to *to,
    struct arango_write_result *res)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	struct buf		 path = BUF_INIT;

	memset(res, 0, sizeof(*res));
	buf_append_str(&path, "/_api/collection/");
	url_encode_append(&path, to->name, strlen(to->name));
	buf_append_str(&path, "/truncate?compact=false&waitForSync=false");
	req.to = to->server;
	req.method = "PUT";
	req.db = to->db;
	req.path = buf_cstr(&path);
	req.body = "{}";
	req.len = 2;
	req.timeout_ms = ARANGO_TIMEOUT_LONG_MS;
	req.cancel = to->cancel;
	if (arango_call(to->cluster, &req, &ans) != 0)
		take_failure(to, &ans, res);
	res->status = ans.status;
	res->elapsed_us = ans.elapsed_us;
	arango_answer_free(&ans);
	buf_free(&path);
	return res->err;
}
