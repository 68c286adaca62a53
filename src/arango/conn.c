/* conn.c - servers and requests; see conn.h */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "arango/conn_priv.h"
#include "base/random.h"
#include "base/str.h"
#include "ev/loop.h"
#include "http/client.h"
#include "http/url.h"
#include "json/get.h"
#include "json/scan.h"
#include "vpack/vpack.h"

#define DEFAULT_PORT		8529
#define BACKOFF_FIRST_MS	50
#define BACKOFF_MAX_MS		2000
#define REFUSAL_MAX_BYTES	((size_t)1024 * 1024)
#define AVOID_MS		5000	/* a coordinator that failed */

/* ---- the cluster -------------------------------------------------------- */

static int
add_endpoints(struct arango *a, const char *const *list, struct err_msg *m)
{
	struct arango_server	*s;
	char			*url;
	int			 r;

	for (; list != NULL && *list != NULL; list++) {
		if ((r = url_from_endpoint(*list, DEFAULT_PORT, &url, m)) != 0)
			return r;
		r = arango_server_put(a, url, ARANGO_COORDINATOR, url, &s, m);
		free(url);
		if (r != 0)
			return r;
		((struct server_entry *)(void *)s)->given = true;
	}
	return 0;
}

int
arango_new(struct loop *loop, const struct arango_opts *o, struct arango **out,
    struct err_msg *m)
{
	struct http_client_opts	 h = HTTP_CLIENT_OPTS_INIT;
	struct arango		*a = xcalloc(1, sizeof(*a));
	int			 r;

	a->loop = loop;
	a->name = xstrdup(o->name);
	h.max_connections = o->max_connections;
	h.max_connections_per_host = o->max_connections_per_host;
	h.max_idle_connections = o->max_idle_connections;
	h.ca_pem = o->ca_pem;
	h.ca_pem_len = o->ca_pem_len;
	h.cert_pem = o->cert_pem;
	h.cert_pem_len = o->cert_pem_len;
	h.no_verify = o->no_verify;
	h.user_agent = "arangosync";
	if ((r = http_client_new(loop, &h, &a->http, m)) != 0 ||
	    (r = add_endpoints(a, o->endpoints, m)) != 0 ||
	    (r = auth_init(a, o, m)) != 0) {
		arango_free(&a);
		return r;
	}
	*out = a;
	return 0;
}

void
arango_free(struct arango **ap)
{
	struct arango		*a = *ap;
	struct server_entry	*e;
	size_t			 i;

	*ap = NULL;
	if (a == NULL)
		return;
	http_client_free(&a->http);
	for (i = 0; i < a->nservers; i++) {
		e = a->servers[i];
		free(e->s.id);
		free(e->s.url);
		free(e);
	}
	free(a->servers);
	map_free(&a->by_id, NULL);
	auth_free(&a->auth);
	free(a->name);
	free(a);
}

struct loop *
arango_loop(const struct arango *a)
{
	return a->loop;
}

const char *
arango_name(const struct arango *a)
{
	return a->name;
}

/* ---- servers ------------------------------------------------------------ */

static enum arango_role
role_of_id(const char *id)
{
	if (str_starts_with(id, "CRDN-"))
		return ARANGO_COORDINATOR;
	if (str_starts_with(id, "PRMR-"))
		return ARANGO_DBSERVER;
	if (str_starts_with(id, "AGNT-"))
		return ARANGO_AGENT;
	return ARANGO_OTHER_ROLE;
}

/* One that was known by its URL only and now has a name. */
static struct server_entry *
nameless_at(const struct arango *a, const char *url)
{
	struct server_entry	*e = map_get(&a->by_id, url);

	return e != NULL && strcmp(e->s.id, url) == 0 ? e : NULL;
}

int
arango_server_put(struct arango *a, const char *id, enum arango_role role,
    const char *endpoint, struct arango_server **out, struct err_msg *m)
{
	struct server_entry	*e = map_get(&a->by_id, id);
	char			*url;
	int			 r;

	if ((r = url_from_endpoint(endpoint, DEFAULT_PORT, &url, m)) != 0)
		return r;
	if (role == ARANGO_OTHER_ROLE)
		role = role_of_id(id);
	if (e == NULL && (e = nameless_at(a, url)) != NULL) {
		map_del(&a->by_id, url);
		free(e->s.id);
		e->s.id = xstrdup(id);
		map_put(&a->by_id, id, e);
	}
	if (e == NULL) {
		e = xcalloc(1, sizeof(*e));
		e->s.id = xstrdup(id);
		a->servers = xrealloc(a->servers,
		    (a->nservers + 1) * sizeof(struct server_entry *));
		a->servers[a->nservers++] = e;
		map_put(&a->by_id, id, e);
	}
	e->s.role = role;
	if (e->s.url == NULL || strcmp(e->s.url, url) != 0) {
		free(e->s.url);
		e->s.url = url;
		e->s.failed_ms = 0;
	} else
		free(url);
	if (out != NULL)
		*out = &e->s;
	return 0;
}

struct arango_server *
arango_server_get(const struct arango *a, const char *id)
{
	struct server_entry	*e = map_get(&a->by_id, id);

	return e == NULL ? NULL : &e->s;
}

struct arango_server *
arango_server_at(const struct arango *a, size_t i)
{
	return i < a->nservers ? &a->servers[i]->s : NULL;
}

/*
 * How good a choice: those that the operator named before those that the
 * cluster told us of (which may not be reachable from here), those that
 * failed lately last.
 */
static unsigned
coordinator_rank(const struct arango *a, const struct server_entry *e)
{
	unsigned	 rank = e->given ? 0 : 1;

	if (e->s.failed_ms != 0 &&
	    loop_now_ms(a->loop) - e->s.failed_ms < AVOID_MS)
		rank += 2;
	return rank;
}

struct arango_server *
conn_coordinator(struct arango *a)
{
	struct server_entry	*e, *best = NULL;
	unsigned		 rank, best_rank = 0;
	size_t			 i;

	for (i = 0; i < a->nservers; i++) {
		e = a->servers[i];
		if (e->s.role != ARANGO_COORDINATOR)
			continue;
		rank = coordinator_rank(a, e) * 2;
		/* Stay with the one in use: it knows what it just created. */
		if (&e->s != a->coordinator)
			rank++;
		if (best == NULL || rank < best_rank ||
		    (rank == best_rank && e->s.failed_ms < best->s.failed_ms)) {
			best = e;
			best_rank = rank;
		}
	}
	a->coordinator = best == NULL ? NULL : &best->s;
	return a->coordinator;
}

static size_t
count_coordinators(const struct arango *a)
{
	size_t	 i, n = 0;

	for (i = 0; i < a->nservers; i++)
		if (a->servers[i]->s.role == ARANGO_COORDINATOR)
			n++;
	return n;
}

/* ---- sleeping ----------------------------------------------------------- */

int
arango_sleep(struct arango_cancel *c, uint64_t ms)
{
	struct arango_waiter	 w;
	uint64_t		 until;

	if (c == NULL) {
		fiber_sleep_ms(ms);
		return 0;
	}
	until = loop_now_ms(fiber_loop(fiber_self())) + ms;
	waiter_begin(&w, c);
	while (!c->cancelled &&
	    fiber_cond_wait_until(&w.cond, until) != ERR_TIMEOUT)
		;
	waiter_end(&w);
	return c->cancelled ? ERR_CANCELLED : 0;
}

/* ---- one try ------------------------------------------------------------ */

struct trial {
	const struct arango_req	*req;
	struct arango_answer	*ans;
	struct arango_waiter	 w;
	struct http_call	*call;
	bool			 done;
	bool			 given;		/* on_data had bytes */
	size_t			 sent;		/* asked from on_body */
	bool			 shown;		/* on_status had the call */
};

static bool
is_good(int status)
{
	return (status >= 200 && status < 300) || status == 304;
}

static void
keep_headers(struct arango_answer *ans, const struct http_call *call)
{
	const char	*name, *value;
	size_t		 i, n = http_call_header_count(call);

	buf_reset(&ans->headers);
	for (i = 0; i < n; i++) {
		http_call_header_at(call, i, &name, &value);
		buf_append(&ans->headers, name, strlen(name) + 1);
		buf_append(&ans->headers, value, strlen(value) + 1);
	}
}

static int
trial_status(void *arg, struct http_call *call, int status)
{
	struct trial	*t = arg;
	const char	*coding = http_call_header(call, "content-encoding");

	t->ans->status = status;
	if (coding != NULL && strcasecmp(coding, "identity") != 0)
		return ERR_PROTOCOL;	/* we asked for none */
	if (!is_good(status) || t->req->on_status == NULL)
		return 0;
	t->shown = true;
	return t->req->on_status(t->req->arg, call, status);
}

static int
trial_data(void *arg, struct http_call *call, const uint8_t *p, size_t n)
{
	struct trial	*t = arg;

	if (is_good(t->ans->status)) {
		t->given = true;
		return t->req->on_data(t->req->arg, call, p, n);
	}
	if (t->ans->body.len + n > REFUSAL_MAX_BYTES)
		return ERR_TOO_BIG;
	buf_append(&t->ans->body, p, n);
	return 0;
}

/* Nobody may hold the call back any more. */
static void
trial_over(struct trial *t)
{
	if (t->shown && t->req->on_over != NULL)
		t->req->on_over(t->req->arg);
	t->shown = false;
}

static long
trial_upload(void *arg, uint8_t *p, size_t n)
{
	struct trial	*t = arg;
	size_t		 got = t->req->on_body(t->req->body_arg, t->sent, p, n);

	t->sent += got;
	return (long)got;
}

static void
trial_rewind(void *arg)
{
	struct trial	*t = arg;

	t->sent = 0;
}

static void
trial_done(void *arg, struct http_result *res)
{
	struct trial		*t = arg;
	struct arango_answer	*ans = t->ans;

	ans->err = res->err;
	ans->msg = res->msg;
	ans->status = res->status;
	ans->elapsed_us = res->elapsed_us;
	ans->received_bytes = res->received_bytes;
	ans->unknown = res->err != 0 && res->maybe_sent;
	if (res->status != 0)
		keep_headers(ans, res->call);
	if (res->body.len > 0) {
		buf_free(&ans->body);
		ans->body = res->body;
		res->body = (struct buf)BUF_INIT;
	}
	t->call = NULL;
	t->done = true;
	trial_over(t);
	fiber_cond_broadcast(&t->w.cond);
}

static const char *
type_name(enum arango_type t)
{
	switch (t) {
	case ARANGO_VPACK:
		return "application/x-velocypack";
	case ARANGO_DUMP:
		return "application/x-arango-dump";
	default:
		return "application/json";
	}
}

#define HEADERS_MAX	16

static void
build_headers(const struct arango_req *req, const char *authorization,
    struct buf *text, const char *list[HEADERS_MAX + 4])
{
	size_t	 at[3], n = 0, i, k = 0;

	at[n++] = text->len;
	buf_printf(text, "accept: %s", type_name(req->accept));
	buf_append_u8(text, 0);
	if (req->len > 0) {
		at[n++] = text->len;
		buf_printf(text, "content-type: %s", type_name(req->type));
		buf_append_u8(text, 0);
	}
	if (authorization != NULL && *authorization != '\0') {
		at[n++] = text->len;
		buf_printf(text, "authorization: %s", authorization);
		buf_append_u8(text, 0);
	}
	for (i = 0; i < n; i++)
		list[k++] = (const char *)text->data + at[i];
	for (i = 0; req->headers != NULL && req->headers[i] != NULL &&
	    i < HEADERS_MAX; i++)
		list[k++] = req->headers[i];
	list[k] = NULL;
}

static char *
build_url(const struct arango_req *req, const struct arango_server *s)
{
	struct buf	 b = BUF_INIT;

	buf_append_str(&b, s->url);
	if (req->db != NULL) {
		buf_append_str(&b, "/_db/");
		url_encode_append(&b, req->db, strlen(req->db));
	}
	buf_append_str(&b, req->path);
	return buf_cstr(&b);
}

static void	read_refusal(struct arango *a, const struct arango_req *req,
		    struct arango_server *s, struct arango_answer *ans);

int
conn_try(struct arango *a, const struct arango_req *req,
    struct arango_server *s, const char *authorization,
    struct arango_answer *ans)
{
	struct http_call_opts	 o = HTTP_CALL_OPTS_INIT;
	struct trial		 t = { .req = req, .ans = ans };
	const char		*headers[HEADERS_MAX + 4];
	struct buf		 text = BUF_INIT;
	char			*url = build_url(req, s);

	arango_answer_free(ans);
	ans->by = s;
	ans->sent_ms = loop_now_ms(a->loop);
	build_headers(req, authorization, &text, headers);
	o.method = req->method;
	o.url = url;
	o.headers = headers;
	if (req->on_body != NULL) {
		o.upload_len = (int64_t)req->len;
		o.on_upload = trial_upload;
		o.on_rewind = trial_rewind;
	} else {
		o.body = req->body;
		o.body_len = req->len;
		o.body_mode = HTTP_BODY_BORROW;
	}
	o.total_timeout_ms = req->timeout_ms;
	o.stall_timeout_ms = req->stall_ms;
	o.max_body_bytes = req->max_body;
	o.may_repeat = req->repeatable;
	o.fresh_connection = req->fresh;
	o.on_status = trial_status;
	if (req->on_data != NULL)
		o.on_data = trial_data;
	o.on_done = trial_done;
	o.arg = &t;
	waiter_begin(&t.w, req->cancel);
	ans->err = http_client_start(a->http, &o, &t.call, &ans->msg);
	if (ans->err == 0) {
		while (!t.done && (req->cancel == NULL ||
		    !req->cancel->cancelled))
			fiber_cond_wait(&t.w.cond);
		if (!t.done) {
			trial_over(&t);
			http_call_cancel(&t.call);
			ans->err = err_set(&ans->msg, ERR_CANCELLED,
			    "cancelled");
			ans->unknown = true;
		}
	}
	waiter_end(&t.w);
	if (text.data != NULL)
		explicit_bzero(text.data, text.len);
	buf_free(&text);
	free(url);
	read_refusal(a, req, s, ans);
	if (t.given && ans->err != 0)
		ans->unknown = true;	/* never again by ourselves */
	return ans->err;
}

/* ---- what an answer says ------------------------------------------------ */

struct refusal {
	int	 num;
	char	 text[256];
};

static void
refusal_from_json(const struct buf *b, struct refusal *r)
{
	struct scan_iter	 it;
	struct scan_span	 name, value;
	struct buf		 text = BUF_INIT;
	uint64_t		 n;

	scan_object(&it, (const char *)b->data, b->len);
	while (scan_next(&it, &name, &value) == 1) {
		if (name.len == 8 && memcmp(name.p, "errorNum", 8) == 0 &&
		    scan_uint(&value, &n) == 0 && n < 1000000)
			r->num = (int)n;
		else if ((name.len == 12 &&
		    memcmp(name.p, "errorMessage", 12) == 0) ||
		    (name.len == 7 && memcmp(name.p, "message", 7) == 0)) {
			buf_reset(&text);
			if (scan_string(&value, &text) == 0)
				str_copy(r->text, sizeof(r->text),
				    buf_cstr(&text));
		}
	}
	buf_free(&text);
}

static void
refusal_from_vpack(const struct buf *b, struct refusal *r)
{
	const uint8_t	*v;
	const char	*s;
	uint64_t	 n;
	size_t		 len;

	if (vp_validate(b->data, b->len, NULL) != 0)
		return;
	if ((v = vp_get(b->data, "errorNum")) != NULL &&
	    vp_get_uint(v, &n) == 0 && n < 1000000)
		r->num = (int)n;
	s = vp_get_string(vp_get(b->data, "errorMessage"), &len);
	if (s != NULL) {
		len = MIN(len, sizeof(r->text) - 1);
		memcpy(r->text, s, len);
		r->text[len] = '\0';
	}
}

/* Text of a peer in our sentences: one line of printable characters. */
static void
make_printable(char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = ' ';
}

static void
read_refusal(struct arango *a, const struct arango_req *req,
    struct arango_server *s, struct arango_answer *ans)
{
	struct refusal	 r = { 0, "" };
	struct err_msg	 m = ans->msg;
	const char	*path = req->path;
	int		 plen = (int)strcspn(path, "?");

	ans->num = 0;
	if (ans->err != 0) {
		err_set(&ans->msg, ans->err, "%s: %s %.*s at %s: %s", a->name,
		    req->method, plen, path, s->id, m.text);
		if (strcmp(req->method, "GET") == 0 ||
		    strcmp(req->method, "HEAD") == 0)
			ans->unknown = false;
		return;
	}
	if (is_good(ans->status))
		return;
	if (ans->body.len > 0 && ans->body.data[0] == '{')
		refusal_from_json(&ans->body, &r);
	else if (ans->body.len > 0)
		refusal_from_vpack(&ans->body, &r);
	make_printable(r.text);
	ans->num = r.num;
	ans->unknown = arango_outcome_unknown(r.num, ans->status);
	if (r.num == 0)
		ans->err = err_set(&ans->msg, ERR_HTTP, "%s: %s %.*s at %s: "
		    "HTTP status %d%s%s", a->name, req->method, plen, path,
		    s->id, ans->status, *r.text ? ": " : "", r.text);
	else
		ans->err = err_set(&ans->msg, ERR_HTTP, "%s: %s %.*s at %s: "
		    "error %d, %s", a->name, req->method, plen, path, s->id,
		    r.num, *r.text ? r.text : arango_error_name(r.num));
}

/* ---- tries -------------------------------------------------------------- */

static bool
may_try_again(const struct arango_req *req, const struct arango_answer *ans)
{
	if (ans->err == ERR_CANCELLED || ans->err == ERR_DENIED ||
	    ans->err == ERR_USAGE)
		return false;
	if (ans->unknown && !req->repeatable)
		return false;
	if (ans->err == ERR_HTTP && ans->status != 0)
		return arango_react(ans->num, ans->status) == ARANGO_RETRY;
	/* Whatever gave up on our side would do so again. */
	return ans->err != ERR_TOO_BIG && ans->err != ERR_PROTOCOL;
}

/* Choose, authorize, send. */
static int
try_once(struct arango *a, const struct arango_req *req, uint64_t deadline_ms,
    struct arango_answer *ans)
{
	struct arango_server	*s = req->to;
	struct buf		 auth = BUF_INIT;
	struct err_msg		 m;
	unsigned		 epoch, tries;
	int			 r;

	if (s == NULL && (s = conn_coordinator(a)) == NULL) {
		arango_answer_free(ans);
		return ans->err = err_set(&ans->msg, ERR_NOT_FOUND,
		    "%s: no coordinator is known", a->name);
	}
	for (tries = 0;; tries++) {
		epoch = auth_epoch(a);
		buf_reset(&auth);
		r = auth_header(a, s, req->cancel, deadline_ms, &auth, &m);
		if (r != 0) {
			arango_answer_free(ans);
			ans->msg = m;
			ans->err = r;
			break;
		}
		r = conn_try(a, req, s, buf_cstr(&auth), ans);
		if (ans->status != 401 || ans->err != ERR_HTTP || tries == 3)
			break;
		r = auth_denied(a, s, epoch, req->cancel, deadline_ms, &m);
		if (r != 0) {
			ans->err = r;
			ans->msg = m;
			break;
		}
	}
	if (auth.data != NULL)
		explicit_bzero(auth.data, auth.len);
	buf_free(&auth);
	if (ans->err == ERR_HTTP && ans->status == 401)
		ans->err = ERR_DENIED;
	s->failed_ms = ans->err != 0 && ans->status == 0 &&
	    ans->err != ERR_CANCELLED && ans->err != ERR_DENIED ?
	    loop_now_ms(a->loop) : 0;
	return ans->err;
}

int
arango_call(struct arango *a, const struct arango_req *req,
    struct arango_answer *ans)
{
	uint64_t	 start = loop_now_ms(a->loop), now;
	uint64_t	 deadline = start + req->retry_ms;
	uint64_t	 pause = BACKOFF_FIRST_MS;
	size_t		 others = req->to == NULL ? count_coordinators(a) : 1;

	memset(ans, 0, sizeof(*ans));
	for (;;) {
		if (req->cancel != NULL && req->cancel->cancelled)
			return ans->err = err_set(&ans->msg, ERR_CANCELLED,
			    "cancelled");
		if (try_once(a, req, deadline, ans) == 0)
			return 0;
		if (!may_try_again(req, ans))
			return ans->err;
		/* Nobody listens there: the next coordinator, at once. */
		if (ans->status == 0 && others > 1) {
			others--;
			continue;
		}
		now = loop_now_ms(a->loop);
		if (now >= deadline)
			return ans->err;
		pause = MIN(pause, deadline - now);
		if (arango_sleep(req->cancel, pause / 2 +
		    rand_below(pause / 2 + 1)) != 0)
			continue;
		pause = MIN(pause * 2, BACKOFF_MAX_MS);
	}
}

/* ---- answers ------------------------------------------------------------ */

void
arango_answer_free(struct arango_answer *ans)
{
	buf_free(&ans->body);
	buf_free(&ans->headers);
	memset(ans, 0, sizeof(*ans));
}

const char *
arango_answer_header(const struct arango_answer *ans, const char *name)
{
	const char	*p = (const char *)ans->headers.data, *end, *value;

	for (end = p + ans->headers.len; p < end;
	    p = value + strlen(value) + 1) {
		value = p + strlen(p) + 1;
		if (strcasecmp(p, name) == 0)
			return value;
	}
	return NULL;
}

int
arango_answer_header_u64(const struct arango_answer *ans, const char *name,
    uint64_t *v)
{
	const char	*s = arango_answer_header(ans, name);

	return s == NULL ? ERR_NOT_FOUND : str_to_u64(s, v);
}

int
arango_answer_json(struct arango_answer *ans, struct json_object **out)
{
	struct json_object	*o;
	struct err_msg		 m;
	int			 r;

	r = json_parse(buf_cstr(&ans->body), ans->body.len, &o, &m);
	if (r == 0 && !json_object_is_type(o, json_type_object) &&
	    !json_object_is_type(o, json_type_array)) {
		json_object_put(o);
		r = err_set(&m, ERR_FORMAT, "neither object nor array");
	}
	if (r != 0)
		return ans->err = err_set(&ans->msg, ERR_FORMAT, "%s answered "
		    "with a body that we do not understand: %s",
		    ans->by == NULL ? "a server" : ans->by->id, m.text);
	*out = o;
	return 0;
}

int
arango_json(struct arango *a, struct arango_server *to, const char *method,
    const char *db, const char *path, struct json_object *body,
    uint64_t retry_ms, struct json_object **out, int *num, struct err_msg *m)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	struct buf		 text = BUF_INIT;
	int			 r;

	if (body != NULL)
		json_append(&text, body);
	req.to = to;
	req.method = method;
	req.db = db;
	req.path = path;
	req.body = text.data;
	req.len = text.len;
	req.retry_ms = retry_ms;
	req.timeout_ms = ARANGO_TIMEOUT_LONG_MS;
	r = arango_call(a, &req, &ans);
	if (r == 0 && out != NULL)
		r = arango_answer_json(&ans, out);
	if (num != NULL)
		*num = ans.num;
	if (r != 0 && m != NULL)
		*m = ans.msg;
	arango_answer_free(&ans);
	buf_free(&text);
	return r;
}
