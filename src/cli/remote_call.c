/* remote_call.c - one question to the masters: endpoints, redirects, errors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <json-c/json.h>

#include "cli/progress.h"
#include "cli/remote_priv.h"
#include "http/ossl.h"
#include "http/url.h"
#include "json/get.h"

#define ANSWER_MAX_BYTES	((size_t)256 * 1024 * 1024)
#define REDIRECTS_MAX		5
#define CONNECT_MS		10000
#define TOKEN_SECONDS		(10 * 60)
/* Text of an answer that is shown when it is no JSON. */
#define SNIPPET_BYTES		120

struct remote_wait {
	struct remote_wait	*next, **prev;
	struct fiber		*fiber;
	struct http_call	*call;
	bool			 done;
	int			 err;
	struct err_msg		 msg;
	int			 status;
	struct buf		 body;
	char			*location;
};

/* --- one request --------------------------------------------------------- */

static void
on_done(void *arg, struct http_result *res)
{
	struct remote_wait	*w = arg;
	const char		*s;

	w->err = res->err;
	w->msg = res->msg;
	w->status = res->status;
	w->body = res->body;
	res->body = (struct buf)BUF_INIT;
	if (res->err == 0 &&
	    (s = http_call_header(res->call, "location")) != NULL)
		w->location = xstrdup(s);
	w->call = NULL;
	w->done = true;
	fiber_wake(w->fiber);
}

void
remote_cancel_all(struct remote *r)
{
	struct remote_wait	*w;

	for (w = r->waits; w != NULL; w = w->next) {
		if (w->done)
			continue;
		http_call_cancel(&w->call);
		w->err = ERR_CANCELLED;
		w->done = true;
		fiber_wake(w->fiber);
	}
}

static void
wait_free(struct remote_wait *w)
{
	buf_free(&w->body);
	free(w->location);
	memset(w, 0, sizeof(*w));
}

/* Header "authorization: ..."; NULL without credentials.  free() it. */
static char *
make_authorization(const struct remote *r)
{
	char	*token, *line;

	if (r->basic != NULL)
		return xasprintf("authorization: %s", r->basic);
	if (r->secrets.count == 0)
		return NULL;
	token = jwt_make_superuser(&r->secrets, "arangosync",
	    (int64_t)time(NULL) + TOKEN_SECONDS);
	line = xasprintf("authorization: bearer %s", token);
	free(token);
	return line;
}

static void
forget(char *secret)
{
	if (secret != NULL)
		OPENSSL_cleanse(secret, strlen(secret));
	free(secret);
}

static void
trace(const struct remote_req *q, const char *url,
    const struct remote_wait *w)
{
	progress_clear();
	fprintf(stderr, "%s %s: ", q->method == NULL ? "GET" : q->method, url);
	if (w->err != 0)
		fprintf(stderr, "%s\n", err_text(w->err));
	else
		fprintf(stderr, "status %d, %zu bytes\n", w->status,
		    w->body.len);
}

/* 0: *w has an answer.  Waits. */
static int
send_one(struct remote *r, const struct remote_req *q, const char *url,
    uint64_t until_ms, struct remote_wait *w)
{
	struct http_call_opts	 o = HTTP_CALL_OPTS_INIT;
	const char		*headers[5];
	char			*authorization = make_authorization(r);
	uint64_t		 now = loop_now_ms(r->loop);
	uint32_t		 timeout_ms;
	size_t			 n = 0;

	timeout_ms = until_ms > now ? (uint32_t)(until_ms - now) : 1;

	memset(w, 0, sizeof(*w));
	if (r->cancelled)
		w->err = ERR_CANCELLED;
	headers[n++] = "X-Allow-Forward-To-Leader: true";
	headers[n++] = "Accept: application/json";
	if (authorization != NULL)
		headers[n++] = authorization;
	if (q->body != NULL)
		headers[n++] = "Content-Type: application/json";
	headers[n] = NULL;
	o.method = q->method == NULL ? "GET" : q->method;
	o.url = url;
	o.headers = headers;
	o.body = q->body;
	o.body_len = q->body == NULL ? 0 : strlen(q->body);
	o.connect_timeout_ms = MIN(CONNECT_MS, timeout_ms);
	o.total_timeout_ms = timeout_ms;
	o.max_body_bytes = ANSWER_MAX_BYTES;
	/* All calls of the API may be repeated. */
	o.may_repeat = true;
	o.on_done = on_done;
	o.arg = w;
	w->fiber = fiber_self();
	if (w->err == 0)
		w->err = http_client_start(r->client, &o, &w->call, &w->msg);
	forget(authorization);
	if (w->err != 0)
		return w->err;
	w->next = r->waits;
	w->prev = &r->waits;
	if (w->next != NULL)
		w->next->prev = &w->next;
	r->waits = w;
	while (!w->done)
		fiber_suspend();
	*w->prev = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	if (r->traces)
		trace(q, url, w);
	return w->err;
}

/* --- redirects ----------------------------------------------------------- */

static bool
is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 ||
	    status == 307 || status == 308;
}

/* "https://host:port" of a URL. */
static char *
origin_of(const struct url *u)
{
	return xasprintf(strchr(u->host, ':') != NULL ?
	    "%s://[%s]:%u" : "%s://%s:%u", u->tls ? "https" : "http", u->host,
	    (unsigned)u->port);
}

static bool
is_ours(const struct remote *r, const char *origin)
{
	size_t	 i;

	for (i = 0; i < r->n_endpoints; i++)
		if (strcasecmp(r->endpoints[i], origin) == 0)
			return true;
	return false;
}

/*
 * Where an answer sends us: *url is replaced.  Credentials go only to who was
 * named by the user, or has shown a certificate that verifies.
 */
static int
follow(const struct remote *r, const char *location, char **url,
    struct err_msg *m)
{
	struct url	 from = { 0 }, to = { 0 };
	char		*origin = NULL, *target = NULL;
	int		 err;

	if ((err = url_parse(*url, &from, m)) != 0)
		return err;
	if (location[0] == '/' && location[1] != '/') {
		origin = origin_of(&from);
		target = xasprintf("%s%s", origin, location);
	} else
		target = xstrdup(location);
	if ((err = url_parse(target, &to, NULL)) != 0)
		err = err_set(m, ERR_HTTP, "is redirected to \"%.200s\", "
		    "which is no URL", location);
	else {
		free(origin);
		origin = origin_of(&to);
		if (from.tls && !to.tls)
			err = err_set(m, ERR_HTTP, "is redirected to %.200s, "
			    "which is not encrypted", origin);
		else if (!is_ours(r, origin) && !r->verifies &&
		    (r->basic != NULL || r->secrets.count > 0))
			err = err_set(m, ERR_HTTP, "is redirected to %.200s; "
			    "name it in --master.endpoint, or use "
			    "--master.cacert, to send credentials there",
			    origin);
	}
	if (err == 0) {
		free(*url);
		*url = url_format(&to, false);
	}
	free(origin);
	free(target);
	url_free(&from);
	url_free(&to);
	return err;
}

/* One endpoint, with redirects, until that time.  Waits. */
static int
ask_endpoint(struct remote *r, const struct remote_req *q,
    const char *endpoint, uint64_t until_ms, struct remote_wait *w)
{
	struct remote_req	 copy = *q;
	char			*url = xasprintf("%s%s", endpoint, q->path);
	int			 err, n;

	for (n = 0; (err = send_one(r, &copy, url, until_ms, w)) == 0 &&
	    is_redirect(w->status) && w->location != NULL; n++) {
		if (n == REDIRECTS_MAX) {
			err = err_set(&w->msg, ERR_HTTP,
			    "is redirected too often");
			break;
		}
		if (w->status == 303) {
			copy.method = "GET";
			copy.body = NULL;
		}
		if ((err = follow(r, w->location, &url, &w->msg)) != 0)
			break;
		wait_free(w);
	}
	free(url);
	w->err = err;
	return err;
}

/* --- errors -------------------------------------------------------------- */

/* The server's own words: {"Error":..} of masters, errorMessage of arangod. */
static const char *
words_of(struct json_object *o)
{
	if (!json_object_is_type(o, json_type_object))
		return NULL;
	json_object_object_foreach(o, name, v) {
		if ((strcasecmp(name, "error") == 0 ||
		    strcmp(name, "errorMessage") == 0) &&
		    json_object_is_type(v, json_type_string) &&
		    json_object_get_string_len(v) > 0)
			return json_object_get_string(v);
	}
	return NULL;
}

static void
describe(const struct remote *r, const struct remote_wait *w,
    const char *endpoint, struct err_msg *m)
{
	struct json_object	*o = NULL;
	const char		*words = NULL;

	if (w->body.len > 0 && json_parse((const char *)w->body.data,
	    w->body.len, &o, NULL) == 0)
		words = words_of(o);
	if (w->status == 401 && r->basic == NULL && r->secrets.count == 0)
		err_set(m, 0, "%.350s; use --auth.user, --auth.keyfile or "
		    "--auth.jwt-secret",
		    words != NULL ? words : "unauthorized");
	else if (words != NULL)
		err_set(m, 0, "%.380s (status %d of %.90s)", words,
		    w->status, endpoint);
	else
		err_set(m, 0, "Status %d of %.200s", w->status, endpoint);
	json_object_put(o);
}

static bool
is_temporary_status(int status)
{
	return status == 408 || status >= 500;
}

bool
remote_is_temporary(int err)
{
	return err == ERR_CLOSED;
}

/* Why nobody gave an answer: one status of all, or each in its own words. */
struct failures {
	size_t		 asked, temporary;
	int		 status;	/* the last temporary one */
	struct buf	 each;
};

static void
note_failure(struct failures *f, const char *endpoint,
    const struct remote_wait *w)
{
	f->asked++;
	buf_printf(&f->each, "%s%s: ", f->each.len == 0 ? "" : "; ", endpoint);
	if (w->err != 0)
		buf_append_str(&f->each, w->msg.text[0] != '\0' ?
		    w->msg.text : err_text(w->err));
	else {
		f->temporary++;
		f->status = w->status;
		buf_printf(&f->each, "status %d", w->status);
	}
}

static int
give_up(struct failures *f, struct err_msg *m)
{
	/* These words are waited for by test benches. */
	if (f->temporary == f->asked)
		err_set(m, 0, "All %zu servers responded with temporary "
		    "failure with http status code: %d: service unavailable",
		    f->asked, f->status);
	else
		err_set(m, 0, "%s", buf_cstr(&f->each));
	return ERR_CLOSED;
}

/* --- the answer ---------------------------------------------------------- */

static int
take_json(const struct remote_wait *w, const struct remote_req *q,
    const char *endpoint, struct json_object **out, struct err_msg *m)
{
	struct err_msg	 why = { "" };

	if (out == NULL)
		return 0;
	if (json_parse((const char *)w->body.data, w->body.len, out,
	    &why) == 0 && json_object_is_type(*out, json_type_object))
		return 0;
	json_object_put(*out);
	*out = NULL;
	return err_set(m, ERR_FORMAT, "%.200s answered %s %.100s with "
	    "something else than a JSON object: %.*s", endpoint,
	    q->method == NULL ? "GET" : q->method, q->path,
	    (int)MIN(w->body.len, (size_t)SNIPPET_BYTES),
	    w->body.len == 0 ? "" : (const char *)w->body.data);
}

static void
prefer(struct remote *r, const char *endpoint)
{
	char	*s;
	size_t	 i;

	for (i = 1; i < r->n_endpoints; i++)
		if (strcmp(r->endpoints[i], endpoint) == 0) {
			s = r->endpoints[0];
			r->endpoints[0] = r->endpoints[i];
			r->endpoints[i] = s;
		}
}

/* What to do with what one endpoint said: 1 when another is to be asked. */
static int
judge(struct remote *r, struct remote_req *q, const char *endpoint,
    const struct remote_wait *w, struct failures *f,
    struct json_object **out, struct err_msg *m)
{
	if (w->err == ERR_CANCELLED)
		return err_set(m, ERR_CANCELLED, "interrupted");
	if (w->err == ERR_HTTP && w->status != 0 && w->msg.text[0] != '\0')
		return err_set(m, ERR_HTTP, "%.200s %.280s", endpoint,
		    w->msg.text);
	q->status = w->status;
	if (w->err != 0 || is_temporary_status(w->status)) {
		note_failure(f, endpoint, w);
		return 1;
	}
	prefer(r, endpoint);
	if (w->status == 200)
		return take_json(w, q, endpoint, out, m);
	describe(r, w, endpoint, m);
	return ERR_HTTP;
}

int
remote_call(struct remote *r, struct remote_req *q, struct json_object **out,
    struct err_msg *m)
{
	struct failures		 f = { 0 };
	struct remote_wait	*w = xcalloc(1, sizeof(*w));
	char			**list;
	size_t			 i, n = q->endpoint != NULL ? 1 :
				    r->n_endpoints;
	uint64_t		 end, now;
	int			 err = 1;

	/* The order may change while this one waits. */
	list = xcalloc(n, sizeof(*list));
	for (i = 0; i < n; i++)
		list[i] = xstrdup(q->endpoint != NULL ? q->endpoint :
		    r->endpoints[i]);
	end = loop_now_ms(r->loop) + MIN(q->timeout_ms == 0 ?
	    REMOTE_TIMEOUT_MS : q->timeout_ms, remote_time_left(r));
	q->status = 0;
	for (i = 0; err == 1 && i < n; i++) {
		now = loop_now_ms(r->loop);
		(void)ask_endpoint(r, q, list[i], end <= now ? now :
		    now + (end - now) / (n - i), w);
		err = judge(r, q, list[i], w, &f, out, m);
		wait_free(w);
	}
	if (err == 1)
		err = give_up(&f, m);
	if (err != 0)
		cli_make_safe(m->text);
	for (i = 0; i < n; i++)
		free(list[i]);
	free(list);
	free(w);
	buf_free(&f.each);
	return err;
}

int
remote_get(struct remote *r, const char *path, struct json_object **out,
    struct err_msg *m)
{
	struct remote_req	 q = { .path = path };

	return remote_call(r, &q, out, m);
}
