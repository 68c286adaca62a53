/* api.c - the HTTPS server of a master */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "api/session.h"
#include "base/err.h"
#include "base/str.h"
#include "base/log.h"
#include "ev/fiber.h"
#include "ev/loop.h"

#define FILE_MAX_BYTES	((size_t)4 * 1024 * 1024)
#define KEEP_BYTES	(2 * 1024 * 1024)

struct asked {
	struct api	*api;
	struct http_req	*req;
};

/* ---- routes that need nobody else ---------------------------------------------- */

static void
get_version(struct api *a, struct http_req *req)
{
	struct buf	 b = BUF_INIT;

	buf_printf(&b, "{\"version\":\"%s\",\"build\":\"%s\"}",
	    a->conf->version, a->conf->build);
	http_reply(req, 200, "application/json", &b);
	buf_free(&b);
}

static void
get_role(struct api *a, struct http_req *req)
{
	static const char	 text[] = "{\"role\":\"master\"}";

	http_reply_bytes(req, 200, "application/json", text,
	    sizeof(text) - 1);
}

static void
get_metrics(struct api *a, struct http_req *req)
{
	struct buf	 b = BUF_INIT;

	metrics_write_text(a->metrics, &b);
	http_reply(req, 200, METRICS_CONTENT_TYPE, &b);
	buf_free(&b);
}

static void
get_metrics_json(struct api *a, struct http_req *req)
{
	struct buf	 b = BUF_INIT;

	metrics_write_json(a->metrics, &b);
	http_reply(req, 200, "application/json", &b);
	buf_free(&b);
}

static const struct {
	const char	*path;
	void		(*fn)(struct api *, struct http_req *);
} own_routes[] = {
	{ "/_api/version", get_version },
	{ "/_api/role", get_role },
	{ "/metrics", get_metrics },
	{ "/metrics.json", get_metrics_json }
};

/* For masters, not for people: a certificate, or the secret of the masters. */
static void
serve_masters(struct api *a, struct http_req *req, enum api_who who)
{
	const char	*path = http_req_path(req);
	size_t		 n = strlen(API_SESSION_PATH);

	if (who != API_CERTIFICATE && who != API_TOKEN) {
		metrics_inc(a->denied);
		api_refuse(req, 403, "a client certificate or a token of the "
		    "masters is needed here: forbidden");
		return;
	}
	if (strncmp(path, API_SESSION_PATH, n) == 0 &&
	    (path[n] == '\0' || path[n] == '/'))
		api_session_serve(a->sessions, req);
	else
		api_ask_control(a, req, who);
}

static void
serve(void *arg)
{
	struct asked	*q = arg;
	struct api	*a = q->api;
	struct http_req	*req = q->req;
	enum api_who	 who;
	size_t		 i;

	free(q);
	metrics_inc(a->requests);
	if ((who = api_authenticate(a, req)) == API_NOBODY) {
		metrics_inc(a->denied);
		http_reply_header(req, "www-authenticate",
		    "Bearer realm=\"arangosync\"");
		api_refuse(req, 401, "unauthorized");
		goto out;
	}
	for (i = 0; i < NITEMS(own_routes); i++)
		if (http_req_method(req) == HTTP_GET &&
		    strcmp(http_req_path(req), own_routes[i].path) == 0) {
			own_routes[i].fn(a, req);
			goto out;
		}
	if (str_starts_with(http_req_path(req), "/_x/"))
		serve_masters(a, req, who);
	else
		api_ask_control(a, req, who);
out:
	http_req_release(&req);
}

static void
on_request(struct http_req *req, void *arg)
{
	struct asked	*q = xmalloc(sizeof(*q));

	q->api = arg;
	q->req = http_req_hold(req);
	fiber_spawn(q->api->loop, serve, q);
}

/* ---- certificates and the socket ---------------------------------------------------- */

static void
forget(struct buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->len);
	buf_free(b);
}

static bool
differ(const struct buf *a, const struct buf *b)
{
	return a->len != b->len || memcmp(a->data, b->data, a->len) != 0;
}

static void
take_over(struct buf *to, struct buf *from)
{
	if (from->len == 0)
		return;
	forget(to);
	*to = *from;
	*from = (struct buf)BUF_INIT;
}

/*
 * A new context from what has come last.  All of it is taken or nothing: when
 * it is no good, the old one stays, and so do the files that it was made of.
 */
static int
make_tls(struct api *a)
{
	const struct buf	*key, *ca;
	struct tls_server_opts	 o = { .keyfile = NULL };
	struct err_msg		 m = { "" };
	int			 r;

	key = a->new_keyfile.len != 0 ? &a->new_keyfile : &a->keyfile;
	ca = a->new_client_ca.len != 0 ? &a->new_client_ca : &a->client_ca;
	o.pem = key->data;
	o.pem_len = key->len;
	if (ca->len != 0) {
		o.ca_pem = ca->data;
		o.ca_pem_len = ca->len;
		o.client_auth = TLS_CLIENT_CERT_OPTIONAL;
	}
	if ((r = tls_server_reload(&o, &a->tls, &m)) != 0) {
		log_error("--server.keyfile %s, --server.client-cafile %s: "
		    "%s%s", a->conf->keyfile, a->conf->client_ca_file == NULL ?
		    "-" : a->conf->client_ca_file, m.text, a->tls == NULL ?
		    "" : "; the certificate in use is kept");
		forget(&a->new_keyfile);
		forget(&a->new_client_ca);
		return r;
	}
	take_over(&a->keyfile, &a->new_keyfile);
	take_over(&a->client_ca, &a->new_client_ca);
	if (a->server != NULL)
		http_server_set_tls(a->server, a->tls);
	return 0;
}

/* SIGHUP: all files have come. */
static void
on_reload(void *arg)
{
	struct api	*a = arg;
	bool		 changed;

	changed = (a->new_keyfile.len != 0 && differ(&a->new_keyfile,
	    &a->keyfile)) || (a->new_client_ca.len != 0 &&
	    differ(&a->new_client_ca, &a->client_ca));
	if (a->server != NULL && changed && make_tls(a) == 0)
		log_notice("new connections get the new certificate");
	forget(&a->new_keyfile);
	forget(&a->new_client_ca);
}

/* Serve as soon as the socket and the key are there. */
static void
begin(struct api *a)
{
	struct http_server_opts	 o = HTTP_SERVER_OPTS_INIT;
	struct err_msg		 m = { "" };

	if (a->server != NULL || a->listen_fd == -1 ||
	    a->new_keyfile.len == 0 || (a->conf->client_ca_file != NULL &&
	    a->new_client_ca.len == 0))
		return;
	if (make_tls(a) != 0) {
		proc_child_fail(a->m->child, PROC_EXIT_TLS,
		    "the certificate and key cannot be used");
		loop_stop(a->loop);
		return;
	}
	o.fd = a->listen_fd;
	a->listen_fd = -1;
	o.tls = a->tls;
	o.max_connections = API_CONNECTIONS_MAX;
	o.max_body_bytes = API_BODY_MAX_BYTES;
	o.max_total_body_bytes = API_BODIES_MAX_BYTES;
	o.request_timeout_ms = API_REQUEST_TIMEOUT_MS;
	o.handler = on_request;
	o.arg = a;
	if (http_server_new(a->loop, &o, &a->server, &m) != 0) {
		proc_child_fail_text(a->m->child, PROC_EXIT_PORT, m.text);
		loop_stop(a->loop);
	}
}

static int
read_file(int fd, struct buf *b)
{
	char	 piece[65536];
	ssize_t	 n;
	off_t	 at = 0;

	buf_reset(b);
	while ((n = pread(fd, piece, sizeof(piece), at)) > 0) {
		at += n;
		if ((size_t)at > FILE_MAX_BYTES)
			return ERR_TOO_BIG;
		buf_append(b, piece, (size_t)n);
	}
	return n == 0 ? 0 : ERR_FORMAT;
}

static void
take_secret(struct api *a, const struct buf *b)
{
	struct jwt_secrets	 new = { .count = 0 };
	struct err_msg		 m = { "" };
	size_t			 from = 0, to = b->len;

	while (from < to && strchr(" \t\r\n", b->data[from]) != NULL)
		from++;
	while (to > from && strchr(" \t\r\n", b->data[to - 1]) != NULL)
		to--;
	if (jwt_secrets_add(&new, b->data + from, to - from, &m) != 0) {
		log_error("--master.jwt-secret %s: %s; the secret in use is "
		    "kept", a->conf->master_jwt_file, m.text);
		return;
	}
	if (a->secrets.count != 0 && memcmp(&new, &a->secrets,
	    sizeof(new)) != 0)
		log_notice("the secret of --master.jwt-secret has changed");
	jwt_secrets_clear(&a->secrets);
	a->secrets = new;
}

static void
on_file(void *arg, const char *what, int fd)
{
	struct api	*a = arg;
	struct buf	 b = BUF_INIT;
	int		 r;

	if (strcmp(what, DAEMON_FILE_LISTEN) == 0) {
		/* Sent again at each reload; the first one is in use. */
		if (a->server != NULL || a->listen_fd != -1)
			close(fd);
		else
			a->listen_fd = fd;
		begin(a);
		return;
	}
	r = read_file(fd, &b);
	close(fd);
	if (r != 0 || b.len == 0)
		log_error("--%s: the file %s", what, r == ERR_TOO_BIG ?
		    "is too large" : r != 0 ? "cannot be read" : "is empty");
	else if (strcmp(what, DAEMON_FILE_MASTER_JWT) == 0)
		take_secret(a, &b);
	else if (strcmp(what, DAEMON_FILE_KEYFILE) == 0)
		take_over(&a->new_keyfile, &b);
	else if (strcmp(what, DAEMON_FILE_CLIENT_CA) == 0)
		take_over(&a->new_client_ca, &b);
	forget(&b);
	begin(a);
}

/* ---- life --------------------------------------------------------------------------- */

static void
on_connect(void *arg, const char *name, unsigned class, uint32_t generation,
    int fd)
{
	struct api	*a = arg;

	if (class == DAEMON_CONTROL)
		api_connect_control(a, fd);
	else
		api_sessions_connect(a->sessions, name, class, fd);
}

static void
make_metrics(struct api *a)
{
	static const char *const	 ops[] = { "load", "save" };
	size_t				 i;

	a->metrics = metrics_new();
	a->requests = metrics_counter(a->metrics,
	    "arangosync_master_api_requests",
	    "Requests received by the API.", NULL);
	a->denied = metrics_counter(a->metrics,
	    "arangosync_master_api_denied",
	    "Requests without good credentials.", NULL);
	/* dashboards of ArangoSync's users have these two; there are no
	 * workers yet */
	(void)metrics_counter(a->metrics,
	    "arangosync_master_worker_registrations",
	    "Total number of registrations", NULL);
	for (i = 0; i < NITEMS(ops); i++)
		(void)metrics_counter(a->metrics,
		    "arangosync_master_worker_storage",
		    "Number of times worker info is stored, loaded",
		    "kind", "", "op", ops[i], "result", "success", NULL);
}

int
api_main(struct member *m)
{
	struct http_client_opts	 co = HTTP_CLIENT_OPTS_INIT;
	struct api		*a = xcalloc(1, sizeof(*a));
	struct err_msg		 em = { "" };
	int			 r;

	if ((r = daemon_child_begin(m)) != 0)
		return r;
	/* Messages of some 100 KiB come and go all the time: their pages stay
	 * here. */
	(void)mallopt(M_MMAP_THRESHOLD, KEEP_BYTES);
	(void)mallopt(M_TRIM_THRESHOLD, 2 * KEEP_BYTES);
	a->m = m;
	a->conf = daemon_conf_of(m);
	a->loop = m->child->loop;
	a->listen_fd = -1;
	/* Other masters and coordinators of our own datacenter. */
	co.no_verify = true;
	if (http_client_new(a->loop, &co, &a->client, &em) != 0)
		return proc_child_fail_text(m->child, PROC_EXIT_START, em.text);
	make_metrics(a);
	a->sessions = api_sessions_new(a);
	member_on_connect(m, on_connect, a);
	member_on_file(m, on_file, a);
	proc_child_on_reload(m->child, on_reload, a);
	member_ready(m);
	(void)loop_run(a->loop);
	api_sessions_free(&a->sessions);
	return a->tls == NULL ? PROC_EXIT_TLS : PROC_EXIT_OK;
}
