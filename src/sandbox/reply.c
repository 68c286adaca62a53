/* reply.c - parameters, bodies and answers of a request */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/log.h"
#include "sandbox/jobs.h"
#include "sandbox/server_priv.h"
#include "vpack/vpack.h"

#define JSON_DEPTH_MAX	200

static const char	type_json[] = "application/json; charset=utf-8";
static const char	type_json_plain[] = "application/json";
static const char	type_vpack[] = "application/x-velocypack";

const char *
sb_param(struct sb_req *r, const char *name)
{
	return http_req_query(r->http, name);
}

bool
sb_param_bool(struct sb_req *r, const char *name, bool fallback)
{
	static const char *const	 yes[] = { "true", "yes", "on", "y", "1" };
	const char			*v = sb_param(r, name);
	size_t				 i;

	if (v == NULL)
		return fallback;
	for (i = 0; i < NITEMS(yes); i++)
		if (strcasecmp(v, yes[i]) == 0)
			return true;
	return false;
}

uint64_t
sb_param_u64(struct sb_req *r, const char *name, uint64_t fallback)
{
	const char	*v = sb_param(r, name), *p;
	uint64_t	 n = 0;

	if (v == NULL || *v == '\0')
		return fallback;
	for (p = v; *p != '\0'; p++) {
		if (*p < '0' || *p > '9' ||
		    n > (UINT64_MAX - (uint64_t)(*p - '0')) / 10)
			return fallback;
		n = n * 10 + (uint64_t)(*p - '0');
	}
	return n;
}

const char *
sb_req_header(struct sb_req *r, const char *name)
{
	return http_req_header(r->http, name);
}

/* ---- bodies ------------------------------------------------------------- */

int
sb_body_vpack(struct sb_req *r, struct buf *out)
{
	struct vp_builder	*b;
	struct err_msg		 m = { "" };
	int			 err;

	if (r->body_is_vpack) {
		if (r->body_len == 0 ||
		    vp_validate(r->body, r->body_len, &m) != 0) {
			sb_error_status(r, 400, AE_BAD_PARAMETER, "%s",
			    r->body_len == 0 ? "no body" : m.text);
			return -1;
		}
		buf_append(out, r->body, r->body_len);
		return 0;
	}
	/* The builder is too large for a fiber's stack. */
	b = xmalloc(sizeof(*b));
	vpb_init(b, out);
	err = vp_from_json(b, (const char *)r->body, r->body_len, &m);
	if (err == 0)
		err = vpb_end(b);
	vpb_free(b);
	free(b);
	if (err == 0)
		return 0;
	buf_reset(out);
	sb_error_status(r, 400, AE_HTTP_CORRUPTED_JSON,
	    "VPackError error: %s", m.text[0] ? m.text : err_text(err));
	return -1;
}

/* Parse all of the text, strictly; NULL when it is not JSON. */
static struct json_object *
parse_json(const char *text, size_t len)
{
	struct json_tokener	*tok;
	struct json_object	*o;

	if (len > INT32_MAX ||
	    (tok = json_tokener_new_ex(JSON_DEPTH_MAX)) == NULL)
		return NULL;
	json_tokener_set_flags(tok,
	    JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(tok, text, (int)len);
	if (json_tokener_get_error(tok) == json_tokener_continue)
		o = json_tokener_parse_ex(tok, "", -1);	/* a bare number */
	if (json_tokener_get_error(tok) != json_tokener_success ||
	    json_tokener_get_parse_end(tok) < len) {
		json_object_put(o);
		o = NULL;
	}
	json_tokener_free(tok);
	return o;
}

/* Is there a NUL in a name or a string? */
static bool
has_nul(const uint8_t *s)
{
	struct vp_iter	 it;
	struct vp_attr	 a;
	const uint8_t	*v;
	const char	*p;
	size_t		 n;

	if ((p = vp_get_string(s, &n)) != NULL)
		return memchr(p, '\0', n) != NULL;
	vp_arr_iter(&it, s);
	while ((v = vp_arr_next(&it)) != NULL)
		if (has_nul(v))
			return true;
	vp_obj_iter(&it, s);
	while (vp_obj_next(&it, &a))
		if (memchr(a.name, '\0', a.nlen) != NULL || has_nul(a.value))
			return true;
	return false;
}

struct json_object *
sb_body_json(struct sb_req *r, bool empty_ok)
{
	struct buf		 vp = BUF_INIT, text = BUF_INIT;
	struct json_object	*o;

	if (r->body_len == 0 && empty_ok)
		return json_object_new_object();
	/* Through VelocyPack: it finds double names and says where it fails. */
	if (sb_body_vpack(r, &vp) != 0)
		return NULL;
	/* They become C strings: "x\0y" must not be taken for "x". */
	if (has_nul(vp.data)) {
		buf_free(&vp);
		sb_error_status(r, 400, AE_BAD_PARAMETER,
		    "NUL character in a string");
		return NULL;
	}
	vp_to_json(&text, vp.data, 0);
	o = parse_json((const char *)text.data, text.len);
	buf_free(&text);
	buf_free(&vp);
	if (o == NULL)		/* null, or deeper than json-c goes */
		sb_error_status(r, 400, AE_HTTP_BAD_PARAMETER,
		    "expecting a JSON object or array in the body");
	return o;
}

/* ---- answers ------------------------------------------------------------- */

void
sb_header(struct sb_req *r, const char *name, const char *fmt, ...)
{
	char	 value[4096];
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	if (sb_ctx(r)->job != NULL)
		sb_job_header(sb_ctx(r)->job, name, value);
	else
		http_reply_header(r->http, name, value);
}

void
sb_reply_raw(struct sb_req *r, int status, const char *content_type,
    struct buf *b)
{
	struct sb_ctx	*c = sb_ctx(r);

	if (r->answered)
		fatal("%s: answered twice", http_req_path(r->http));
	r->answered = true;
	if (c->job != NULL) {
		sb_job_answer(c->job, status, content_type, b);
		if (b != NULL)
			buf_free(b);
		return;
	}
	/* Coordinators tell how long a request waited, since 3.9. */
	if (r->server->role->has_users && r->server->version >= 30900)
		http_reply_header(r->http, "x-arango-queue-time-seconds",
		    "0.000000");
	if (c->drop_answer) {
		http_req_drop(r->http);
		if (b != NULL)
			buf_free(b);
		return;
	}
	http_reply(r->http, status, content_type, b);
	if (b != NULL)
		buf_free(b);
}

void
sb_reply_empty(struct sb_req *r, int status)
{
	sb_reply_raw(r, status, NULL, NULL);
}

/*
 * arangod names the charset, except to clients that asked for
 * application/json in so many words (as all recordings did).
 */
static const char *
content_type_json(struct sb_req *r)
{
	const char	*accept = sb_req_header(r, "accept");

	return accept != NULL &&
	    strncasecmp(accept, type_json_plain, strlen(type_json_plain)) == 0 ?
	    type_json_plain : type_json;
}

static void
reply_text(struct sb_req *r, int status, const char *text, size_t len)
{
	struct vp_builder	*v;
	struct buf		 b = BUF_INIT;
	int			 err;

	if (!r->want_vpack) {
		buf_append(&b, text, len);
		sb_reply_raw(r, status, content_type_json(r), &b);
		return;
	}
	v = xmalloc(sizeof(*v));
	vpb_init(v, &b);
	err = vp_from_json(v, text, len, NULL);
	if (err == 0)
		err = vpb_end(v);
	vpb_free(v);
	free(v);
	if (err == 0) {
		sb_reply_raw(r, status, type_vpack, &b);
		return;
	}
	/* Something that VelocyPack cannot say; then as JSON. */
	log_error("%s: answer cannot be VelocyPack: %s",
	    http_req_path(r->http), err_text(err));
	buf_reset(&b);
	buf_append(&b, text, len);
	sb_reply_raw(r, status, content_type_json(r), &b);
}

void
sb_reply_json(struct sb_req *r, int status, struct json_object *o)
{
	const char	*text;
	size_t		 len;

	text = json_object_to_json_string_length(o,
	    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	reply_text(r, status, text, len);
	json_object_put(o);
}

void
sb_reply_ok(struct sb_req *r, int status, struct json_object *o)
{
	json_object_object_add(o, "error", json_object_new_boolean(0));
	json_object_object_add(o, "code", json_object_new_int(status));
	sb_reply_json(r, status, o);
}

void
sb_reply_vpack(struct sb_req *r, int status, struct buf *b)
{
	struct buf	 text = BUF_INIT;

	if (r->want_vpack) {
		sb_reply_raw(r, status, type_vpack, b);
		return;
	}
	buf_reserve(&text, b->len + b->len / 4);
	vp_to_json(&text, b->data, 0);
	buf_free(b);
	sb_reply_raw(r, status, content_type_json(r), &text);
}

static void
reply_error(struct sb_req *r, int status, int errnum, const char *text)
{
	struct json_object	*o = json_object_new_object();

	json_object_object_add(o, "error", json_object_new_boolean(1));
	json_object_object_add(o, "code", json_object_new_int(status));
	json_object_object_add(o, "errorNum", json_object_new_int(errnum));
	json_object_object_add(o, "errorMessage", json_object_new_string(text));
	sb_reply_json(r, status, o);
}

/*
 * Text of a peer's may be quoted in it, cut in the middle of a character, and
 * an answer must be UTF-8.
 */
static const char *
clean_utf8(char *s)
{
	size_t	 i;

	if (!vp_utf8_ok(s, strlen(s)))
		for (i = 0; s[i] != '\0'; i++)
			if (s[i] & 0x80)
				s[i] = '?';
	return s;
}

void
sb_error(struct sb_req *r, int errnum, const char *fmt, ...)
{
	char	 text[1024];
	va_list	 ap;

	if (fmt == NULL)
		snprintf(text, sizeof(text), "%s", arango_error_text(errnum));
	else {
		va_start(ap, fmt);
		vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
	}
	reply_error(r, arango_http_status(errnum, r->server->version), errnum,
	    clean_utf8(text));
}

void
sb_error_status(struct sb_req *r, int status, int errnum, const char *fmt, ...)
{
	char	 text[1024];
	va_list	 ap;

	if (fmt == NULL)
		snprintf(text, sizeof(text), "%s", arango_error_text(errnum));
	else {
		va_start(ap, fmt);
		vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
	}
	reply_error(r, status, errnum, clean_utf8(text));
}

void
sb_not_supported(struct sb_req *r, const char *what)
{
	sb_error(r, AE_HTTP_NOT_IMPLEMENTED,
	    "not done by the sandbox: %s %s",
	    http_method_name(http_req_method(r->http)), what);
}
