/* rpc.c - requests to other servers, waited for in a fiber */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "http/url.h"
#include "sandbox/rpc.h"
#include "sandbox/server_priv.h"
#include "vpack/vpack.h"

#define CONNECT_TIMEOUT_MS	5000
#define EXTRA_HEADERS_MAX	16
#define TYPE_VPACK		"application/x-velocypack"

struct waiting {
	struct fiber	*fiber;
	struct sb_resp	*resp;
	bool		 done;
};

static void
on_done(void *arg, struct http_result *res)
{
	struct waiting	*w = arg;
	const char	*name, *value, *p;
	size_t		 i;

	w->done = true;
	w->resp->error = res->err;
	w->resp->maybe_sent = res->err != 0 && res->maybe_sent;
	w->resp->status = res->err == 0 ? res->status : 0;
	if (res->err == 0 && res->call != NULL) {
		for (i = 0; i < http_call_header_count(res->call); i++) {
			http_call_header_at(res->call, i, &name, &value);
			for (p = name; *p != '\0'; p++)
				buf_append_u8(&w->resp->headers,
				    *p >= 'A' && *p <= 'Z' ?
				    (uint8_t)(*p + 32) : (uint8_t)*p);
			buf_printf(&w->resp->headers, ": %s\n", value);
		}
		w->resp->body = res->body;
		res->body = (struct buf)BUF_INIT;
	}
	fiber_wake(w->fiber);
}

/*
 * errorNum of an error body, in either form.  Looked for only in refusals, so
 * that good answers, which may be large, are never parsed here.
 */
static int
find_errnum(const struct sb_resp *resp)
{
	struct json_object	*o, *v;
	const uint8_t		*slice;
	char			 type[128];
	int64_t			 num;
	int			 n = 0;

	if (resp->status < 400 || resp->body.len > 65536)
		return 0;
	if (sb_resp_header(resp, "content-type", type, sizeof(type)) == 0 &&
	    strncasecmp(type, TYPE_VPACK, sizeof(TYPE_VPACK) - 1) == 0) {
		if (vp_validate(resp->body.data, resp->body.len, NULL) == 0 &&
		    (slice = vp_get(resp->body.data, "errorNum")) != NULL &&
		    vp_get_int(slice, &num) == 0)
			n = (int)num;
		return n;
	}
	if ((o = sb_resp_json(resp)) == NULL)
		return 0;
	if (json_object_is_type(o, json_type_object) &&
	    json_object_object_get_ex(o, "errorNum", &v))
		n = json_object_get_int(v);
	json_object_put(o);
	return n;
}

/* Split "name: value\n" lines into list; text is cut in place. */
static size_t
split_headers(char *text, const char **list, size_t max)
{
	size_t	 n = 0;
	char	*line, *rest = text;

	while (n < max && (line = strsep(&rest, "\n")) != NULL)
		if (*line != '\0')
			list[n++] = line;
	return n;
}

int
sb_call(struct sb_server *s, const char *base, const char *method,
    const char *path, const char *extra_headers, const void *body,
    size_t body_len, unsigned flags, uint32_t timeout_ms, struct sb_resp *resp)
{
	struct http_call_opts	 o = HTTP_CALL_OPTS_INIT;
	struct waiting		 w = { fiber_self(), resp, false };
	const char		*headers[EXTRA_HEADERS_MAX + 4];
	const char		*own = sb_superuser_header(s);
	char			*url, *auth = NULL, *extra = NULL;
	size_t			 n = 0;
	int			 r;

	*resp = (struct sb_resp)SB_RESP_INIT;
	url = xasprintf("%s%s", base, path);
	if (own != NULL)
		headers[n++] = auth = xasprintf("authorization: %s", own);
	headers[n++] = flags & SB_CALL_VPACK_BODY ?
	    "content-type: application/x-velocypack" :
	    "content-type: application/json";
	headers[n++] = flags & SB_CALL_VPACK_ANSWER ?
	    "accept: application/x-velocypack" : "accept: application/json";
	if (extra_headers != NULL) {
		extra = xstrdup(extra_headers);
		n += split_headers(extra, headers + n, EXTRA_HEADERS_MAX);
	}
	headers[n] = NULL;
	o.method = method;
	o.url = url;
	o.headers = headers;
	o.body = body;
	o.body_len = body_len;
	o.body_mode = HTTP_BODY_BORROW;
	o.connect_timeout_ms = CONNECT_TIMEOUT_MS;
	o.total_timeout_ms = timeout_ms;
	o.on_done = on_done;
	o.arg = &w;
	if ((r = http_client_start(s->client, &o, NULL, NULL)) != 0)
		resp->error = r;
	else
		while (!w.done)
			fiber_suspend();
	resp->errnum = find_errnum(resp);
	free(url);
	free(auth);
	free(extra);
	return resp->status;
}

int
sb_resp_header(const struct sb_resp *resp, const char *name, char *out,
    size_t out_size)
{
	const char	*p = (const char *)resp->headers.data;
	const char	*end = p + resp->headers.len, *nl;
	size_t		 n = strlen(name), len;

	for (; p != NULL && p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL)
			break;
		len = (size_t)(nl - p);
		if (len < n + 2 || strncasecmp(p, name, n) != 0 ||
		    p[n] != ':')
			continue;
		if (len - n - 2 >= out_size)
			return ERR_TOO_BIG;
		memcpy(out, p + n + 2, len - n - 2);
		out[len - n - 2] = '\0';
		return 0;
	}
	return ERR_NOT_FOUND;
}

struct json_object *
sb_resp_json(const struct sb_resp *resp)
{
	struct json_tokener	*tok;
	struct json_object	*o;

	if (resp->body.len == 0 || resp->body.len > INT32_MAX)
		return NULL;
	if ((tok = json_tokener_new_ex(200)) == NULL)
		return NULL;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	o = json_tokener_parse_ex(tok, (const char *)resp->body.data,
	    (int)resp->body.len);
	if (json_tokener_get_error(tok) != json_tokener_success) {
		json_object_put(o);
		o = NULL;
	}
	json_tokener_free(tok);
	return o;
}

void
sb_resp_free(struct sb_resp *resp)
{
	buf_free(&resp->body);
	buf_free(&resp->headers);
}

void
sb_reply_forward(struct sb_req *r, struct sb_resp *resp)
{
	/* Those that our own server writes, or that belong to one hop. */
	static const char *const	 own[] = { "content-type",
	    "content-length", "connection", "server",
	    "x-content-type-options", "date", "transfer-encoding",
	    "x-arango-queue-time-seconds" };
	char				*text, *line, *rest, *colon;
	char				 type[128];
	struct buf			 copy = BUF_INIT;
	size_t				 i;

	if (resp->status == 0) {
		sb_error(r, AE_CONNECTION_LOST, NULL);
		return;
	}
	buf_append(&copy, resp->headers.data, resp->headers.len);
	text = rest = buf_cstr(&copy);
	while (text[0] != '\0' && (line = strsep(&rest, "\n")) != NULL) {
		if ((colon = strstr(line, ": ")) == NULL)
			continue;
		*colon = '\0';
		for (i = 0; i < NITEMS(own); i++)
			if (strcasecmp(line, own[i]) == 0)
				break;
		if (i == NITEMS(own))
			sb_header(r, line, "%s", colon + 2);
	}
	buf_free(&copy);
	if (sb_resp_header(resp, "content-type", type, sizeof(type)) != 0)
		type[0] = '\0';
	sb_reply_raw(r, resp->status, type[0] == '\0' ? NULL : type,
	    &resp->body);
}

void
sb_forward(struct sb_req *r, const char *base, const char *server_id)
{
	/* What decides how the other server reads the request. */
	static const char *const	 pass[] = { "x-arango-trx-id",
	    "if-match", "if-none-match" };
	struct sb_resp			 resp;
	struct buf			 extra = BUF_INIT;
	const char			*v;
	char				*id = xstrdup(server_id);
	size_t				 i;

	for (i = 0; i < NITEMS(pass); i++)
		if ((v = sb_req_header(r, pass[i])) != NULL)
			buf_printf(&extra, "%s: %s\n", pass[i], v);
	sb_call(r->server, base, http_method_name(http_req_method(r->http)),
	    http_req_target(r->http), extra.len == 0 ? NULL : buf_cstr(&extra),
	    r->body, r->body_len,
	    (r->body_is_vpack ? SB_CALL_VPACK_BODY : 0) |
	    (r->want_vpack ? SB_CALL_VPACK_ANSWER : 0), 600 * 1000, &resp);
	if (resp.status != 0)
		sb_header(r, "x-arango-request-forwarded-to", "%s", id);
	sb_reply_forward(r, &resp);
	free(id);
	buf_free(&extra);
	sb_resp_free(&resp);
}

const char *
sb_encode(const char *segment)
{
	static char	*ring[4];
	static size_t	 next;

	next = (next + 1) % NITEMS(ring);
	free(ring[next]);
	ring[next] = url_encode(segment);
	return ring[next];
}
