/*
 * common.c - what every server answers: version, role, id, time, status,
 * availability.  Facts: RestVersionHandler.cpp, RestAdminServerHandler.cpp,
 * RestStatusHandler.cpp, RestTimeHandler of arangod; recording
 * RestVersionDetails.
 */
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/err.h"
#include "sandbox/server_priv.h"

static void
add_str(struct json_object *o, const char *name, const char *value)
{
	json_object_object_add(o, name, json_object_new_string(value));
}

static void
add_bool(struct json_object *o, const char *name, bool value)
{
	json_object_object_add(o, name, json_object_new_boolean(value));
}

static const char *
license(struct sb_server *s)
{
	return s->child->enterprise ? "enterprise" : "community";
}

static bool
is_readonly(struct sb_server *s)
{
	return s->role->is_readonly != NULL && s->role->is_readonly(s);
}

/*
 * What `details` says of a real build.  The sandbox tells what it is made of
 * where that is a fact (versions of what it links), and what a release build
 * of that version says elsewhere, so that clients find every attribute.
 */
static struct json_object *
version_details(struct sb_server *s)
{
	static const struct {
		const char	*name, *value;
	} fixed[] = {
		{ "architecture", "64bit" }, { "arm", "false" },
		{ "asan", "false" }, { "asm-crc32", "true" },
		{ "assertions", "false" }, { "avx2", "false" },
		{ "boost-version", "none" },
		{ "build-date", __DATE__ " " __TIME__ },
		{ "build-repository", "arangosync-sandbox " PACKAGE_VERSION },
		{ "compiler", "cc " __VERSION__ },
		{ "cplusplus", "none" }, { "curl-version", "none" },
		{ "debug", "false" }, { "endianness", "little" },
		{ "failure-tests", "false" },
		{ "fd-client-event-handler", "poll" },
		{ "fd-setsize", "1024" }, { "icu-version", "none" },
		{ "ipo", "false" }, { "iresearch-version", "none" },
		{ "jemalloc", "false" }, { "libunwind", "false" },
		{ "maintainer-mode", "false" }, { "ndebug", "true" },
		{ "optimization-flags", "" }, { "pic", "2" }, { "pie", "2" },
		{ "platform", "linux" }, { "reactor-type", "epoll" },
		{ "rocksdb-version", "7.8.3" }, { "sizeof int", "4" },
		{ "sizeof long", "8" }, { "sizeof void*", "8" },
		{ "sse42", "true" }, { "tsan", "false" },
		{ "unaligned-access", "true" }, { "v8-version", "none" },
		{ "vpack-version", "0.1.35" }, { "zlib-version", "none" },
		{ "mode", "server" }
	};
	struct json_object	*d = json_object_new_object();
	char			 text[256];
	size_t			 i;

	for (i = 0; i < NITEMS(fixed); i++)
		add_str(d, fixed[i].name, fixed[i].value);
	snprintf(text, sizeof(text),
	    "ArangoDB %s %s [linux] 64bit, arangosync-sandbox %s",
	    s->child->version, license(s), PACKAGE_VERSION);
	add_str(d, "full-version-string", text);
	add_str(d, "server-version", s->child->version);
	add_str(d, "license", license(s));
	if (s->child->enterprise)
		add_str(d, "enterprise-version", "enterprise");
	add_str(d, "openssl-version-compile-time", OPENSSL_VERSION_TEXT);
	add_str(d, "openssl-version-run-time",
	    OpenSSL_version(OPENSSL_VERSION));
	add_str(d, "role", s->role->name);
	if (gethostname(text, sizeof(text)) == -1)
		text[0] = '\0';
	text[sizeof(text) - 1] = '\0';
	add_str(d, "host", text);
	return d;
}

static void
get_version(struct sb_req *r)
{
	struct json_object	*o = json_object_new_object();

	add_str(o, "server", "arango");
	add_str(o, "license", license(r->server));
	add_str(o, "version", r->server->child->version);
	if (sb_param_bool(r, "details", false))
		json_object_object_add(o, "details",
		    version_details(r->server));
	sb_reply_json(r, 200, o);
}

static void
get_role(struct sb_req *r)
{
	struct json_object	*o = json_object_new_object();

	add_str(o, "role", r->server->role->name);
	add_str(o, "mode", "default");
	sb_reply_ok(r, 200, o);
}

static void
get_id(struct sb_req *r)
{
	struct json_object	*o = json_object_new_object();

	add_str(o, "id", r->server->child->id);
	sb_reply_ok(r, 200, o);
}

static void
get_availability(struct sb_req *r)
{
	struct json_object	*o;

	if (!r->server->ready) {
		sb_error(r, AE_HTTP_SERVICE_UNAVAILABLE, NULL);
		return;
	}
	o = json_object_new_object();
	add_str(o, "mode", is_readonly(r->server) ? "readonly" : "default");
	sb_reply_ok(r, 200, o);
}

static void
get_time(struct sb_req *r)
{
	struct json_object	*o = json_object_new_object();
	struct timeval		 tv;

	gettimeofday(&tv, NULL);
	json_object_object_add(o, "time", json_object_new_double(
	    (double)tv.tv_sec + (double)tv.tv_usec / 1e6));
	sb_reply_ok(r, 200, o);
}

static void
get_status(struct sb_req *r)
{
	struct sb_server	*s = r->server;
	struct json_object	*o = json_object_new_object();
	struct json_object	*i = json_object_new_object();
	bool			 ro = is_readonly(s);

	add_str(o, "server", "arango");
	add_str(o, "version", s->child->version);
	json_object_object_add(o, "pid", json_object_new_int((int)getpid()));
	add_str(o, "license", license(s));
	add_str(o, "mode", "server");
	add_str(o, "operationMode", "server");
	add_bool(o, "foxxApi", false);
	add_str(o, "host", s->child->name);
	add_bool(i, "maintenance", !s->ready);
	add_str(i, "role", s->role->name);
	add_bool(i, "writeOpsEnabled", !ro);
	add_bool(i, "readOnly", ro);
	add_str(i, "persistedId", s->child->id);
	if (strcmp(s->role->name, "AGENT") != 0) {
		add_str(i, "address", s->child->endpoint);
		add_str(i, "serverId", s->child->id);
		add_str(i, "state", s->ready ? "SERVING" : "STARTUP");
	}
	json_object_object_add(o, "serverInfo", i);
	sb_reply_json(r, 200, o);
}

/*
 * Prometheus text; of arangod's numbers (documentation of 3.11, "Metrics")
 * the one that says how busy clients keep a server, this request included.
 */
static void
get_metrics(struct sb_req *r)
{
	static const char	 name[] =
	    "arangodb_http_request_statistics_total_requests_total";
	struct http_server_stats st;
	struct buf		 b = BUF_INIT;

	http_server_get_stats(r->server->http, &st);
	buf_printf(&b, "# HELP %s Total number of HTTP requests\n"
	    "# TYPE %s counter\n%s{role=\"%s\"} %llu\n", name, name, name,
	    r->server->role->name, (unsigned long long)st.requests);
	sb_reply_raw(r, 200, "text/plain; charset=utf-8", &b);
}

const struct sb_route	 sb_common_routes[] = {
	{ SB_GET, "/_api/version", SB_EARLY, get_version },
	{ SB_GET, "/_admin/version", SB_EARLY, get_version },
	{ SB_GET, "/_admin/status", SB_EARLY, get_status },
	{ SB_GET, "/_admin/time", 0, get_time },
	{ SB_GET, "/_admin/metrics", 0, get_metrics },
	{ SB_GET, "/_admin/metrics/v2", 0, get_metrics },
	{ SB_GET, "/_admin/server/role", 0, get_role },
	{ SB_GET, "/_admin/server/id", 0, get_id },
	{ SB_GET, "/_admin/server/availability", SB_OPEN | SB_EARLY,
	    get_availability },
	{ 0, NULL, 0, NULL }
};
