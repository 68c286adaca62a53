/*
 * server.c - from an HTTP request to a handler in a fiber: path, route,
 * credentials, database, faults.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/log.h"
#include "ev/loop.h"
#include "http/tls.h"
#include "http/url.h"
#include "sandbox/jobs.h"
#include "sandbox/server_priv.h"
#include "vpack/vpack.h"

/* Requests up to 1 GiB, as arangod takes them; what all of them together may
 * hold keeps a small machine alive. */
#define SB_BODY_MAX_BYTES	((uint64_t)1 << 30)
#define SB_BODIES_MAX_BYTES	((uint64_t)2 << 30)
#define SB_HEADER_MAX_BYTES	(1024 * 1024)
#define SB_TARGET_MAX_BYTES	(16 * 1024)

static void	on_request(struct http_req *, void *);
static void	serve(void *);
static int	on_fault(void *, const struct sb_fault *);

/* "3.11.8" is 31108; suffixes such as "-rc.1" are ignored. */
static int
version_number(const char *text)
{
	int	 major = 3, minor = 11, patch = 0;

	sscanf(text, "%d.%d.%d", &major, &minor, &patch);
	return major * 10000 + minor * 100 + patch;
}

static int
load_secrets(struct sb_server *s, struct err_msg *m)
{
	int	 r;

	if (s->child->auth_file == NULL)
		return 0;
	if ((r = jwt_secrets_add_file(&s->secrets, s->child->auth_file,
	    m)) != 0)
		return r;
	s->auth = true;
	s->tokens = jwt_cache_new(&s->secrets, 16384);
	return 0;
}

static int
load_tls(struct sb_server *s, struct err_msg *m)
{
	struct tls_server_opts	 o = { .keyfile = s->child->tls_keyfile };

	return o.keyfile == NULL ? 0 : tls_server_new(&o, &s->tls, m);
}

int
sb_server_new(struct sb_child *child, struct loop *loop,
    const struct sb_role *role, void *data, struct sb_server **out)
{
	static const struct http_header	 headers[] = {
		{ "server", "ArangoDB" },
		{ "connection", "Keep-Alive" },
		{ "x-content-type-options", "nosniff" },
		{ NULL, NULL }
	};
	struct http_server_opts	 o = HTTP_SERVER_OPTS_INIT;
	struct http_client_opts	 co = HTTP_CLIENT_OPTS_INIT;
	struct sb_server	*s = xcalloc(1, sizeof(*s));
	struct err_msg		 m = { "" };
	int			 r;

	s->child = child;
	s->loop = loop;
	s->role = role;
	s->data = data;
	s->version = version_number(child->version);
	co.no_verify = true;	/* loopback, our own certificate */
	co.max_idle_connections = 64;
	if ((r = load_secrets(s, &m)) != 0 || (r = load_tls(s, &m)) != 0 ||
	    (r = http_client_new(loop, &co, &s->client, &m)) != 0)
		goto fail;
	if (listen(child->listen_fd, 1024) == -1) {
		r = err_set(&m, -errno, "cannot listen on port %u: %s",
		    child->port, strerror(errno));
		goto fail;
	}
	o.fd = child->listen_fd;
	o.tls = s->tls;
	o.max_connections = 4096;
	o.max_header_bytes = SB_HEADER_MAX_BYTES;
	o.max_target_bytes = SB_TARGET_MAX_BYTES;
	o.max_body_bytes = SB_BODY_MAX_BYTES;
	o.max_total_body_bytes = SB_BODIES_MAX_BYTES;
	o.headers = headers;
	o.handler = on_request;
	o.arg = s;
	if ((r = http_server_new(loop, &o, &s->http, &m)) != 0)
		goto fail;
	sb_child_on_fault(child, on_fault, s);
	*out = s;
	return 0;
fail:
	log_error("%s", m.text[0] != '\0' ? m.text : err_text(r));
	sb_server_free(&s);
	return r;
}

void
sb_server_ready(struct sb_server *s)
{
	s->ready = true;
}

void
sb_server_free(struct sb_server **sp)
{
	struct sb_server	*s = *sp;

	if (s == NULL)
		return;
	if (s->http != NULL)
		http_server_free(&s->http);
	if (s->client != NULL)
		http_client_free(&s->client);
	if (s->tls != NULL)
		tls_ctx_free(&s->tls);
	if (s->tokens != NULL)
		jwt_cache_free(&s->tokens);
	sb_jobs_free(s);
	jwt_secrets_clear(&s->secrets);
	free(s->header);
	free(s);
	*sp = NULL;
}

void *
sb_server_data(struct sb_server *s)
{
	return s->data;
}

struct loop *
sb_server_loop(struct sb_server *s)
{
	return s->loop;
}

const struct sb_child *
sb_server_child(struct sb_server *s)
{
	return s->child;
}

int
sb_version(struct sb_server *s)
{
	return s->version;
}

const char *
sb_version_text(struct sb_server *s)
{
	return s->child->version;
}

bool
sb_is_enterprise(struct sb_server *s)
{
	return s->child->enterprise;
}

/* ---- faults -------------------------------------------------------------- */

static void
set_refusing(struct sb_server *s, bool on)
{
	if (on == s->refusing)
		return;
	s->refusing = on;
	if (on)
		http_server_pause_accept(s->http, true);
	else
		http_server_resume_accept(s->http);
}

/* A later fault for the same path replaces the earlier one. */
static int
on_fault(void *arg, const struct sb_fault *f)
{
	struct sb_server	*s = arg;
	struct sb_armed_fault	*a = NULL;
	size_t			 i;

	if (f->kind == SB_FAULT_NONE) {
		s->nfaults = 0;
		set_refusing(s, false);
		return 0;
	}
	if (strlen(f->path) >= sizeof(a->path))
		return ERR_TOO_BIG;
	for (i = 0; i < s->nfaults; i++)
		if (strcmp(s->faults[i].path, f->path) == 0)
			a = &s->faults[i];
	if (a == NULL) {
		if (s->nfaults == SB_FAULTS_MAX)
			return ERR_TOO_BIG;
		a = &s->faults[s->nfaults++];
	}
	a->kind = f->kind;
	a->delay_ms = f->delay_ms;
	a->left = f->count;
	a->counted = f->count != 0;
	snprintf(a->path, sizeof(a->path), "%s", f->path);
	/* Cut off altogether: not even the connection is taken. */
	set_refusing(s, f->kind == SB_FAULT_REFUSE && f->path[0] == '\0' &&
	    f->count == 0);
	return 0;
}

static struct sb_armed_fault *
fault_for(struct sb_server *s, const char *path)
{
	struct sb_armed_fault	*a;
	size_t			 i;

	for (i = 0; i < s->nfaults; i++) {
		a = &s->faults[i];
		if (strncmp(path, a->path, strlen(a->path)) != 0)
			continue;
		if (a->counted && a->left == 0)
			continue;
		if (a->counted)
			a->left--;
		return a;
	}
	return NULL;
}

/* True: the request is over. */
static bool
apply_fault(struct sb_req *r)
{
	struct sb_armed_fault	*a;

	a = fault_for(r->server, http_req_path(r->http));
	if (a == NULL)
		return false;
	switch (a->kind) {
	case SB_FAULT_DELAY:
		/* Meanwhile the client may go away; it is executed all the
		 * same (R16). */
		fiber_sleep_ms(a->delay_ms);
		return false;
	case SB_FAULT_DROP:
		sb_ctx(r)->drop_answer = true;
		return false;
	case SB_FAULT_REFUSE:
		r->answered = true;
		http_req_drop(r->http);
		return true;
	case SB_FAULT_503:
		sb_error(r, AE_HTTP_SERVICE_UNAVAILABLE, NULL);
		return true;
	case SB_FAULT_NONE:
	case SB_FAULT_COUNT:
		break;
	}
	return false;
}

/* ---- dispatch ------------------------------------------------------------ */

/* Split the path into db and decoded segments; 0 or ERR_FORMAT. */
static int
split_path(struct sb_ctx *c, const char *path)
{
	struct sb_req	*r = &c->pub;
	const char	*p = path, *end;

	if (strncmp(p, "/_db/", 5) == 0) {
		end = p + 5 + strcspn(p + 5, "/");
		if (url_decode(p + 5, (size_t)(end - p - 5), false, &c->db,
		    NULL) != 0 || c->db[0] == '\0')
			return ERR_FORMAT;
		p = end;
	} else
		c->db = xstrdup("_system");
	r->db = c->db;
	r->path = *p == '\0' ? "/" : p;
	while (*p == '/') {
		p++;
		end = p + strcspn(p, "/");
		if (end == p && *end == '\0')
			break;			/* a slash at the end */
		if (r->nseg == SB_SEGMENTS_MAX)
			return ERR_TOO_BIG;
		if (url_decode(p, (size_t)(end - p), false,
		    &c->segs[r->nseg], NULL) != 0)
			return ERR_FORMAT;
		r->seg[r->nseg] = c->segs[r->nseg];
		r->nseg++;
		p = end;
	}
	return 0;
}

/*
 * Names and parameters go into answers and into what is stored, all of which
 * is UTF-8.
 */
static bool
is_utf8(const struct sb_req *r)
{
	const struct url_query	*q = http_req_query_map(r->http);
	size_t			 k;
	int			 i;

	if (!vp_utf8_ok(r->db, strlen(r->db)))
		return false;
	for (i = 0; i < r->nseg; i++)
		if (!vp_utf8_ok(r->seg[i], strlen(r->seg[i])))
			return false;
	for (k = 0; k < q->count; k++)
		if (!vp_utf8_ok(q->params[k].name,
		    strlen(q->params[k].name)) ||
		    !vp_utf8_ok(q->params[k].value,
		    strlen(q->params[k].value)))
			return false;
	return true;
}

static bool
pattern_matches(const char *pattern, const struct sb_req *r)
{
	const char	*p = pattern, *end;
	int		 i = 0;
	size_t		 n;

	while (*p == '/') {
		p++;
		end = p + strcspn(p, "/");
		n = (size_t)(end - p);
		if (n == 2 && memcmp(p, "**", 2) == 0)
			return true;
		if (n == 0 && *end == '\0')
			break;
		if (i == r->nseg)
			return false;
		if (!(n == 1 && *p == '*') &&
		    (strlen(r->seg[i]) != n || memcmp(r->seg[i], p, n) != 0))
			return false;
		i++;
		p = end;
	}
	return i == r->nseg;
}

/* NULL when nothing matches; *wrong_method when only the method differs. */
static const struct sb_route *
find_in(const struct sb_route *t, const struct sb_req *r, bool *wrong_method)
{
	for (; t->pattern != NULL; t++) {
		if (!pattern_matches(t->pattern, r))
			continue;
		if (t->methods & (unsigned)r->method)
			return t;
		*wrong_method = true;
	}
	return NULL;
}

static const struct sb_route *
find_route(const struct sb_req *r, bool *wrong_method)
{
	const struct sb_route *const *t;
	const struct sb_route	*found;

	*wrong_method = false;
	for (t = r->server->role->tables; *t != NULL; t++)
		if ((found = find_in(*t, r, wrong_method)) != NULL)
			return found;
	if ((found = find_in(sb_auth_routes, r, wrong_method)) != NULL)
		return found;
	if (r->server->role->new_id != NULL &&
	    (found = find_in(sb_job_routes, r, wrong_method)) != NULL)
		return found;
	return find_in(sb_common_routes, r, wrong_method);
}

/* Database, rights and mode, as the flags of the route ask; true: go on. */
static bool
may_proceed(struct sb_req *r, unsigned flags)
{
	const struct sb_role	*role = r->server->role;

	if (flags & SB_OPEN)
		return true;
	/* What is served while the server starts needs none: nobody knows yet
	 * which there are. */
	if (r->server->ready && role->db_exists != NULL &&
	    !role->db_exists(r->server, r->db)) {
		sb_error(r, AE_DATABASE_NOT_FOUND, NULL);
		return false;
	}
	if ((flags & SB_SUPERUSER) && !r->superuser) {
		sb_error(r, AE_FORBIDDEN, NULL);
		return false;
	}
	if ((flags & SB_SYSTEM) && strcmp(r->db, "_system") != 0) {
		sb_error(r, AE_USE_SYSTEM_DATABASE, NULL);
		return false;
	}
	if ((flags & SB_DDL) && !r->superuser && role->is_readonly != NULL &&
	    role->is_readonly(r->server)) {
		sb_error(r, AE_FORBIDDEN, "server is in read-only mode");
		return false;
	}
	return true;
}

static void
no_route(struct sb_req *r, bool wrong_method)
{
	if (wrong_method)
		sb_error(r, AE_HTTP_METHOD_NOT_ALLOWED, NULL);
	else if (r->nseg > 0 && r->seg[0][0] == '_')
		sb_not_supported(r, r->path);
	else
		sb_error(r, AE_HTTP_NOT_FOUND, "unknown path '%s'", r->path);
}

static void
dispatch(struct sb_req *r)
{
	const struct sb_route	*route;
	bool			 wrong_method;

	route = find_route(r, &wrong_method);
	if (!r->server->ready &&
	    (route == NULL || !(route->flags & SB_EARLY))) {
		sb_error(r, AE_HTTP_SERVICE_UNAVAILABLE,
		    "service unavailable due to startup");
		return;
	}
	/* Of any path, before credentials (CommTask::processCorsOptions). */
	if (r->method == SB_OPTIONS) {
		sb_header(r, "allow",
		    "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
		sb_reply_empty(r, 200);
		return;
	}
	/* Open is a path, whatever the method. */
	if (sb_authenticate(r, route != NULL ? route->flags :
	    r->nseg > 0 && strcmp(r->seg[0], "_open") == 0 ? SB_OPEN : 0) != 0)
		return;
	if (route == NULL) {
		no_route(r, wrong_method);
		return;
	}
	if (may_proceed(r, route->flags) && sb_job_begin(r) == 0)
		route->handler(r);
}

static enum sb_method
method_of(enum http_method m)
{
	static const enum sb_method	 map[HTTP_METHOD_COUNT] = {
		[HTTP_GET] = SB_GET, [HTTP_HEAD] = SB_HEAD,
		[HTTP_POST] = SB_POST, [HTTP_PUT] = SB_PUT,
		[HTTP_PATCH] = SB_PATCH, [HTTP_DELETE] = SB_DELETE,
		[HTTP_OPTIONS] = SB_OPTIONS
	};

	return map[m];
}

static bool
header_says_vpack(const struct http_req *req, const char *name)
{
	const char	*v = http_req_header(req, name);

	return v != NULL && strcasestr(v, "application/x-velocypack") != NULL;
}

struct incoming {
	struct sb_server	*server;
	struct http_req		*http;
};

static void
on_request(struct http_req *req, void *arg)
{
	struct incoming	*in = xmalloc(sizeof(*in));

	in->server = arg;
	in->http = http_req_hold(req);
	fiber_spawn(in->server->loop, serve, in);
}

static void
serve(void *arg)
{
	struct incoming	*in = arg;
	struct sb_ctx	*c = xcalloc(1, sizeof(*c));
	struct sb_req	*r = &c->pub;
	int		 i;

	r->server = in->server;
	r->http = in->http;
	free(in);
	r->method = method_of(http_req_method(r->http));
	r->body = http_req_body(r->http, &r->body_len);
	r->body_is_vpack = header_says_vpack(r->http, "content-type");
	r->want_vpack = header_says_vpack(r->http, "accept");
	r->user = "";
	if (split_path(c, http_req_path(r->http)) != 0)
		sb_error_status(r, 400, AE_HTTP_BAD_PARAMETER,
		    "malformed path");
	else if (!is_utf8(r))
		sb_error_status(r, 400, AE_HTTP_BAD_PARAMETER,
		    "path or parameter is not UTF-8");
	else if (!apply_fault(r))
		dispatch(r);
	if (!r->answered) {
		log_error("%s %s: handler gave no answer",
		    http_method_name(http_req_method(r->http)),
		    http_req_path(r->http));
		sb_error(r, AE_INTERNAL, NULL);
	}
	sb_job_end(&c->job);
	http_req_release(&r->http);
	for (i = 0; i < r->nseg; i++)
		free(c->segs[i]);
	free(c->db);
	free(c);
}
