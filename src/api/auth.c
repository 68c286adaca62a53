/* auth.c - who is asking? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/time.h>

#include "http/ossl.h"

#include <openssl/evp.h>

#include "api/api.h"
#include "base/err.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "http/url.h"
#include "json/get.h"

/* A good password is not asked about again for so long. */
#define USER_CACHE_MS		30000
#define USER_CACHE_MAX		1024
#define CLUSTER_TIMEOUT_MS	10000

static const char *const	 who_names[API_WHO_COUNT] = {
	"nobody", "monitoring token", "user", "master secret",
	"client certificate"
};

const char *
api_who_name(enum api_who who)
{
	return (unsigned)who < API_WHO_COUNT ? who_names[who] : "nobody";
}

static double
now_seconds(void)
{
	struct timeval	 tv;

	gettimeofday(&tv, NULL);
	return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

/* ---- tokens ------------------------------------------------------------------- */

/* Metrics and version, and nothing else. */
static bool
may_be_monitored(struct http_req *req)
{
	static const char *const	 paths[] = {
		"/metrics", "/metrics.json", "/_api/version"
	};
	size_t				 i;

	if (http_req_method(req) != HTTP_GET)
		return false;
	for (i = 0; i < NITEMS(paths); i++)
		if (strcmp(http_req_path(req), paths[i]) == 0)
			return true;
	return false;
}

static enum api_who
check_token(struct api *a, struct http_req *req, const char *token, size_t len)
{
	const char		*monitor = a->conf->monitoring_token;
	struct jwt_claims	 claims;
	enum api_who		 who = API_NOBODY;

	if (monitor != NULL && monitor[0] != '\0' &&
	    auth_secret_equal(token, len, monitor, strlen(monitor)))
		return may_be_monitored(req) ? API_MONITOR : API_NOBODY;
	if (a->secrets.count == 0 || jwt_verify_any_issuer(&a->secrets, token,
	    len, now_seconds(), &claims) != 0)
		return API_NOBODY;
	if (jwt_path_is_allowed(&claims, http_req_path(req)))
		who = API_TOKEN;
	jwt_claims_free(&claims);
	return who;
}

/* ---- users of the cluster -------------------------------------------------------- */

struct asked {
	struct fiber	*fiber;
	bool		 done;
	int		 status;
	struct buf	 body;
};

static void
on_answer(void *arg, struct http_result *res)
{
	struct asked	*q = arg;

	q->done = true;
	q->status = res->err == 0 ? res->status : 0;
	q->body = res->body;
	res->body = (struct buf)BUF_INIT;
	fiber_wake(q->fiber);
}

/* {"result":"rw"} */
static bool
says_rw(const struct buf *body)
{
	struct json_object	*o = NULL, *v;
	bool			 rw;

	if (json_parse((const char *)body->data, body->len, &o, NULL) != 0)
		return false;
	rw = json_object_is_type(o, json_type_object) &&
	    json_object_object_get_ex(o, "result", &v) &&
	    json_object_is_type(v, json_type_string) &&
	    strcmp(json_object_get_string(v), "rw") == 0;
	json_object_put(o);
	return rw;
}

/*
 * Ask one coordinator, as that user, what rights it has on _system.  1: may
 * write; 0: may not, or wrong password; -1: no answer.
 */
static int
ask_coordinator(struct api *a, const char *endpoint, const char *user,
    const char *password)
{
	struct http_call_opts	 o = HTTP_CALL_OPTS_INIT;
	struct asked		 q = { fiber_self(), false, 0, BUF_INIT };
	const char		*headers[2] = { NULL, NULL };
	char			*base, *name, *url, *basic, *line;
	int			 r = -1;

	if (url_from_endpoint(endpoint, 8529, &base, NULL) != 0)
		return -1;
	name = url_encode(user);
	url = xasprintf("%s/_api/user/%s/database/_system", base, name);
	basic = auth_basic_value(user, password);
	line = xasprintf("authorization: %s", basic);
	headers[0] = line;
	o.url = url;
	o.headers = headers;
	o.total_timeout_ms = CLUSTER_TIMEOUT_MS;
	o.max_body_bytes = 65536;
	o.on_done = on_answer;
	o.arg = &q;
	if (http_client_start(a->client, &o, NULL, NULL) == 0) {
		while (!q.done)
			fiber_suspend();
		if (q.status == 200)
			r = says_rw(&q.body);
		else if (q.status == 401 || q.status == 403 ||
		    q.status == 404)
			r = 0;
	}
	explicit_bzero(line, strlen(line));
	explicit_bzero(basic, strlen(basic));
	free(base);
	free(name);
	free(url);
	free(basic);
	free(line);
	buf_free(&q.body);
	return r;
}

/* Digest of the credentials as hex: passwords are not kept. */
static void
digest(const char *user, const char *password, char text[65])
{
	unsigned char	 md[32];
	char		*both = xasprintf("%zu:%s:%s", strlen(user), user,
			    password);
	int		 i;

	if (EVP_Digest(both, strlen(both), md, NULL, EVP_sha256(), NULL) != 1)
		fatal("OpenSSL: SHA-256 failed");
	for (i = 0; i < 32; i++)
		snprintf(text + 2 * i, 3, "%02x", md[i]);
	explicit_bzero(both, strlen(both));
	free(both);
}

static bool
is_good_user(struct api *a, const char *user, const char *password)
{
	const char *const	*e = a->conf->cluster_endpoints;
	char			 key[65];
	uint64_t		 until;
	int			 r = -1;

	digest(user, password, key);
	until = (uint64_t)(uintptr_t)map_get(&a->users, key);
	if (until > loop_now_ms(a->loop))
		return true;
	for (; *e != NULL && r == -1; e++)
		r = ask_coordinator(a, *e, user, password);
	if (r != 1)
		return false;
	if (a->users.n >= USER_CACHE_MAX)
		map_free(&a->users, NULL);
	map_put(&a->users, key, (void *)(uintptr_t)(loop_now_ms(a->loop) +
	    USER_CACHE_MS));
	return true;
}

/* ---- all of it ------------------------------------------------------------------------ */

enum api_who
api_authenticate(struct api *a, struct http_req *req)
{
	struct auth_header	 h = { .scheme = AUTH_NONE };
	enum api_who		 who = API_NOBODY;

	if (auth_header_parse(http_req_header(req, "authorization"), &h) != 0)
		h.scheme = AUTH_NONE;
	if (h.scheme == AUTH_BEARER)
		who = check_token(a, req, h.token, h.token_len);
	else if (h.scheme == AUTH_BASIC && is_good_user(a, h.user, h.password))
		who = API_USER;
	auth_header_free(&h);
	if (who == API_NOBODY && http_req_cert_fingerprint(req) != NULL)
		who = API_CERTIFICATE;
	return who;
}
