/* fake_shard.c - see fake_shard.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "http/server.h"
#include "json/scan.h"
#include "sync/fold.h"
#include "fake_shard.h"

static void
json(struct http_req *req, int status, const char *text)
{
	http_reply_bytes(req, status, "application/json", text, strlen(text));
}

/* A string member without quotes, or "". */
static const char *
member(const char *doc, const char *name, char out[128])
{
	char		 find[64];
	const char	*p, *q;

	out[0] = '\0';
	snprintf(find, sizeof(find), "\"%s\":\"", name);
	if ((p = strstr(doc, find)) == NULL)
		return out;
	p += strlen(find);
	if ((q = strchr(p, '"')) != NULL)
		snprintf(out, 128, "%.*s", (int)(q - p), p);
	return out;
}

void
fake_shard_put(struct fake_shard *f, const char *text)
{
	char	 key[128];

	free(map_put(&f->docs, member(text, "_key", key), xstrdup(text)));
}

/* Who has this value of "u" already; NULL: nobody else. */
static const char *
holder(struct fake_shard *f, const char *doc)
{
	static char	 key[128];
	struct map_iter	 it;
	char		 u[128], other[128];

	if (!f->unique || member(doc, "u", u)[0] == '\0')
		return NULL;
	member(doc, "_key", key);
	MAP_FOREACH(&f->docs, it)
		if (strcmp(it.key, key) != 0 &&
		    strcmp(member(it.value, "u", other), u) == 0)
			return it.key;
	return NULL;
}

/* Does another document have the revision of this one? */
static bool
shares_rev(struct fake_shard *f, const char *doc)
{
	struct map_iter	 it;
	char		 rev[128], key[128], other[128];

	member(doc, "_rev", rev);
	member(doc, "_key", key);
	MAP_FOREACH(&f->docs, it)
		if (strcmp(member(it.value, "_rev", other), rev) == 0 &&
		    strcmp(it.key, key) != 0)
			return true;
	return false;
}

static void
one(struct fake_shard *f, bool remove, const char *text, struct buf *out,
    unsigned int *conflicts, unsigned int *refused)
{
	const char	*other;
	char		 key[128];
	void		*old;

	if (remove) {
		snprintf(key, sizeof(key), "%.*s", (int)strlen(text) - 2,
		    text + 1);
		old = map_del(&f->docs, key);
		buf_append_str(out, old != NULL ? "{}" :
		    "{\"error\":true,\"errorNum\":1202}");
		free(old);
	} else if (f->refuse_num != 0 && strstr(text, "\"bad\":") != NULL) {
		buf_printf(out, "{\"error\":true,\"errorNum\":%d,"
		    "\"errorMessage\":\"on order\"}", f->refuse_num);
		(*refused)++;
	} else if ((other = holder(f, text)) != NULL) {
		buf_printf(out, "{\"error\":true,\"errorNum\":1210,"
		    "\"errorMessage\":\"unique constraint violated - in index "
		    "byu of type persistent over 'u'; conflicting key: %s\"}",
		    other);
		(*conflicts)++;
	} else {
		if (f->watch_revs && shares_rev(f, text))
			f->shared_revs++;
		fake_shard_put(f, text);
		buf_append_str(out, "{}");
	}
}

static void
write_all(struct fake_shard *f, struct http_req *req, bool remove)
{
	struct scan_iter	 it;
	struct scan_span	 v;
	struct buf		 out = BUF_INIT;
	const uint8_t		*p;
	size_t			 len, n = 0;
	unsigned int		 conflicts = 0, refused = 0;
	char			*text, codes[64];

	p = http_req_body(req, &len);
	scan_object(&it, (const char *)p, len);
	buf_append_u8(&out, '[');
	while (scan_array_next(&it, &v) == 1) {
		if (n++ != 0)
			buf_append_u8(&out, ',');
		text = xstrndup(v.p, v.len);
		one(f, remove, text, &out, &conflicts, &refused);
		free(text);
	}
	buf_append_u8(&out, ']');
	f->largest = MAX(f->largest, n);
	if (conflicts + refused != 0) {
		snprintf(codes, sizeof(codes), "{\"1210\":%u,\"%d\":%u}",
		    conflicts, f->refuse_num, refused);
		http_reply_header(req, "X-Arango-Error-Codes", codes);
	}
	if (strcmp(http_req_query(req, "silent"), "true") == 0) {
		buf_reset(&out);
		buf_append_str(&out, "{}");
	}
	http_reply(req, 202, "application/json", &out);
	buf_free(&out);
}

static bool
in_trouble(struct fake_shard *f, struct http_req *req, bool remove)
{
	char	 text[128];

	if (f->fail == 0)
		return false;
	f->fail--;
	if (f->fail_hang)
		return true;
	if (f->fail_drop) {
		http_req_drop(req);
		return true;
	}
	snprintf(text, sizeof(text), "{\"error\":true,\"code\":%d,"
	    "\"errorNum\":%d,\"errorMessage\":\"on order\"}", f->fail_status,
	    f->fail_num);
	json(req, f->fail_status, text);
	return true;
}

static void
dump(struct fake_shard *f, struct http_req *req)
{
	struct map_iter	 it;
	struct buf	 b = BUF_INIT;

	MAP_FOREACH(&f->docs, it)
		buf_printf(&b, "%s\n", (const char *)it.value);
	http_reply_header(req, "X-Arango-Replication-Checkmore", "false");
	http_reply(req, b.len == 0 ? 204 : 200, "application/x-arango-dump",
	    &b);
	buf_free(&b);
}

static void
handle(struct http_req *req, void *arg)
{
	struct fake_shard	*f = arg;
	const char		*path = http_req_path(req);
	enum http_method	 method = http_req_method(req);
	bool			 remove = method == HTTP_DELETE;
	char			 text[128];

	if (strstr(path, "/_api/document/s1") != NULL) {
		f->writes += !remove;
		f->removals += remove;
		if (!in_trouble(f, req, remove))
			write_all(f, req, remove);
	} else if (strstr(path, "/s1/truncate") != NULL) {
		f->truncates++;
		map_free(&f->docs, free);
		json(req, 200, "{}");
	} else if (strstr(path, "/s1/count") != NULL) {
		snprintf(text, sizeof(text), "{\"count\":%zu}",
		    map_count(&f->docs));
		json(req, 200, text);
	} else if (strstr(path, "/_api/replication/dump") != NULL)
		dump(f, req);
	else if (strstr(path, "/_api/replication/batch") != NULL) {
		f->snapshots += method == HTTP_POST;
		json(req, 200, "{\"id\":\"1\",\"lastTick\":\"5\"}");
	} else if (strstr(path, "/_api/index") != NULL) {
		f->drops += remove;
		json(req, 200, "{\"id\":\"c/1\"}");
	} else
		json(req, 404, "{\"error\":true,\"code\":404,"
		    "\"errorNum\":404}");
}

void
fake_shard_start(struct fake_shard *f, struct loop *loop)
{
	struct http_server_opts	 o = HTTP_SERVER_OPTS_INIT;
	struct err_msg		 m;

	memset(f, 0, sizeof(*f));
	o.handler = handle;
	o.arg = f;
	o.max_body_bytes = o.max_total_body_bytes = 100 << 20;
	if (http_server_new(loop, &o, &f->srv, &m) != 0)
		fatal("%s", m.text);
	snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%d",
	    http_server_port(f->srv));
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

const char *
fake_shard_text(const struct fake_shard *f)
{
	static char	 text[4096];
	char		*all[256], key[128], rev[128];
	struct map_iter	 it;
	size_t		 n = 0, i, at = 0;

	MAP_FOREACH(&f->docs, it)
		if (n < NITEMS(all))
			all[n++] = xasprintf("%s:%s",
			    member(it.value, "_key", key),
			    member(it.value, "_rev", rev));
	qsort(all, n, sizeof(all[0]), by_name);
	text[0] = '\0';
	for (i = 0; i < n; i++) {
		if (at < sizeof(text))
			at += (size_t)snprintf(text + at, sizeof(text) - at,
			    "%s%s", i == 0 ? "" : " ", all[i]);
		free(all[i]);
	}
	return text;
}
