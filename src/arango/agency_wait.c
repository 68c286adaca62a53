/* agency_wait.c - long polls, waiting for changes, leases; see agency.h */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/linkhash.h>

#include "arango/agency_priv.h"
#include "base/str.h"
#include "ev/loop.h"
#include "json/get.h"

#define VERSION_EVERY_MS	1000
#define POLL_SLACK_MS		(30 * 1000)
#define POLL_MAX_S		300

/* ---- poll --------------------------------------------------------------- */

void
agency_poll_free(struct agency_poll *p)
{
	json_object_put(p->whole);
	json_object_put(p->log);
	memset(p, 0, sizeof(*p));
}

static int
read_poll(struct json_object *o, struct agency_poll *p, struct err_msg *m)
{
	struct json_object	*v, *q;
	size_t			 i, n;
	uint64_t		 index;
	int			 r;

	if ((r = json_need_uint(o, "result.commitIndex", &p->commit_index,
	    m)) != 0)
		return r;
	if ((v = json_at(o, "result.readDB")) != NULL) {
		p->whole = json_object_get(v);
		return 0;
	}
	if ((r = json_need_array(o, "result.log", &v, m)) != 0)
		return r;
	n = json_object_array_length(v);
	for (i = 0; i < n; i++) {
		o = json_object_array_get_idx(v, i);
		if ((r = json_need_uint(o, "index", &index, m)) != 0 ||
		    (r = json_need_object(o, "query", &q, m)) != 0)
			return r;
	}
	p->log = json_object_get(v);
	return 0;
}

int
arango_agency_poll(struct arango_agency *ag, uint64_t index,
    uint32_t timeout_s, struct agency_poll *p, struct err_msg *m)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	struct json_object	*o = NULL;
	char			*path;
	int			 r;

	memset(p, 0, sizeof(*p));
	timeout_s = MIN(timeout_s, POLL_MAX_S);
	path = xasprintf("/_api/agency/poll?index=%" PRIu64 "&timeout=%" PRIu32,
	    index, timeout_s);
	req.path = path;
	req.timeout_ms = timeout_s * 1000 + POLL_SLACK_MS;
	req.max_body = (size_t)1024 * 1024 * 1024;
	r = agency_call(ag, &req, true, agency_deadline(ag), &ans);
	if (r != 0 && (ans.status == 404 || ans.status == 405 ||
	    ans.status == 501))
		r = ans.err = err_set(&ans.msg, ERR_VERSION, "%s: this agency "
		    "cannot be polled", arango_name(arango_agency_cluster(ag)));
	if (r == 0 && (r = arango_answer_json(&ans, &o)) == 0)
		r = read_poll(o, p, &ans.msg);
	if (r != 0) {
		agency_poll_free(p);
		if (m != NULL)
			*m = ans.msg;
	}
	json_object_put(o);
	arango_answer_free(&ans);
	free(path);
	return r;
}

/* ---- watch -------------------------------------------------------------- */

/* One of them lies inside the other. */
static bool
paths_touch(const char *a, const char *b)
{
	size_t	 n;

	a += strspn(a, "/");
	b += strspn(b, "/");
	n = MIN(strlen(a), strlen(b));
	if (strncmp(a, b, n) != 0)
		return false;
	return (a[n] == '\0' || a[n] == '/') && (b[n] == '\0' || b[n] == '/');
}

static bool
log_touches(struct json_object *log, const char *const *prefixes)
{
	struct json_object	*query;
	const char *const	*p;
	size_t			 i, n = json_object_array_length(log);

	for (i = 0; i < n; i++) {
		query = json_at(json_object_array_get_idx(log, i), "query");
		json_object_object_foreach(query, path, op) {
			(void)op;
			for (p = prefixes; *p != NULL; p++)
				if (paths_touch(path, *p))
					return true;
		}
	}
	return false;
}

static int
read_versions(struct arango_agency *ag, uint64_t v[3], struct err_msg *m)
{
	static const char *const paths[] = { "/arango/Plan/Version",
	    "/arango/Current/Version", "/arango/Sync/UserVersion" };
	struct json_object	*root, *o;
	size_t			 i;
	int			 r;

	r = arango_agency_read(ag, paths, NITEMS(paths), &root, m);
	if (r != 0)
		return r;
	for (i = 0; i < NITEMS(paths); i++) {
		o = agency_walk(root, paths[i]);
		v[i] = json_object_is_type(o, json_type_int) ?
		    json_object_get_uint64(o) : 0;
	}
	json_object_put(root);
	return 0;
}

static int
wait_by_version(struct arango_agency *ag, struct agency_watch *w,
    uint64_t until_ms, struct err_msg *m)
{
	struct loop	*loop = arango_loop(arango_agency_cluster(ag));
	uint64_t	 v[3], now;
	int		 r;

	for (;;) {
		if ((r = read_versions(ag, v, m)) != 0) {
			w->next = 0;
			return r;
		}
		if (w->next == 0 || memcmp(v, w->versions, sizeof(v)) != 0) {
			memcpy(w->versions, v, sizeof(v));
			w->next = 1;
			return 1;
		}
		if ((now = loop_now_ms(loop)) >= until_ms)
			return 0;
		if (arango_sleep(agency_cancel(ag),
		    MIN(VERSION_EVERY_MS, until_ms - now)) != 0)
			return err_set(m, ERR_CANCELLED, "cancelled");
	}
}

/*
 * Where the log ends now, without the whole key space: the leader says it in
 * its configuration.
 */
static int
log_end(struct arango_agency *ag, uint64_t *index, struct err_msg *m)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	struct json_object	*o = NULL;
	struct json_object	*versions;
	int			 r;

	/* Any read makes sure that we ask the one that leads. */
	r = arango_agency_get(ag, "/arango/Plan/Version", &versions, m);
	if (r != 0)
		return r;
	json_object_put(versions);
	req.path = "/_api/agency/config";
	r = agency_call(ag, &req, true, agency_deadline(ag), &ans);
	if (r == 0 && (r = arango_answer_json(&ans, &o)) == 0)
		r = json_need_uint(o, "commitIndex", index, &ans.msg);
	if (r != 0 && m != NULL)
		*m = ans.msg;
	json_object_put(o);
	arango_answer_free(&ans);
	return r;
}

int
arango_agency_wait(struct arango_agency *ag, struct agency_watch *w,
    uint64_t timeout_ms, struct err_msg *m)
{
	struct loop		*loop = arango_loop(arango_agency_cluster(ag));
	struct agency_poll	 p;
	uint64_t		 until = loop_now_ms(loop) + timeout_ms, now;
	uint64_t		 index;
	bool			 touched;
	int			 r;

	if (w->by_version)
		return wait_by_version(ag, w, until, m);
	if (w->next == 0) {
		if ((r = log_end(ag, &index, m)) != 0)
			return r;
		w->next = index + 1;
		return 1;
	}
	while ((now = loop_now_ms(loop)) < until) {
		r = arango_agency_poll(ag, w->next,
		    (uint32_t)MIN((until - now + 999) / 1000, 60), &p, m);
		if (r == ERR_VERSION) {
			w->by_version = true;
			w->next = 0;
			return wait_by_version(ag, w, until, m);
		}
		if (r != 0) {
			w->next = 0;
			return r;
		}
		touched = p.whole != NULL || log_touches(p.log, w->prefixes);
		/* A commit index that goes back is another agency. */
		if (p.commit_index + 1 < w->next)
			touched = true;
		w->next = p.commit_index + 1;
		agency_poll_free(&p);
		if (touched)
			return 1;
	}
	return 0;
}

/* ---- lease -------------------------------------------------------------- */

static int
lease_write(struct arango_agency *ag, struct agency_lease *l, bool must_be_ours,
    struct err_msg *m)
{
	struct agency_trx	 t = AGENCY_TRX_INIT;
	struct loop		*loop = arango_loop(arango_agency_cluster(ag));
	uint64_t		 began = loop_now_ms(loop);
	int			 r;

	agency_trx_set(&t, l->path, l->value, l->ttl_s);
	if (must_be_ours)
		agency_trx_pre_old(&t, l->path, l->value);
	else
		agency_trx_pre_empty(&t, l->path, true);
	r = arango_agency_write(ag, &t, NULL, m);
	agency_trx_free(&t);
	if (r == 0) {
		l->until_ms = began + (uint64_t)l->ttl_s * 1000;
		l->held = loop_now_ms(loop) < l->until_ms;
		if (!l->held)
			r = err_set(m, ERR_TIMEOUT, "%s: the agency took "
			    "longer than the lease lasts",
			    arango_name(arango_agency_cluster(ag)));
	}
	return r;
}

int
arango_lease_take(struct arango_agency *ag, struct agency_lease *l, bool adopt,
    struct json_object **other, struct err_msg *m)
{
	struct json_object	*now = NULL;
	unsigned		 i;
	int			 r;

	for (i = 0;; i++) {
		r = lease_write(ag, l, false, m);
		if (r != ERR_BAD_STATE || i == 2)
			return r;
		r = arango_agency_get(ag, l->path, &now, m);
		if (r != 0)
			return r;
		if (now != NULL)
			break;
		/* It ran out in between. */
	}
	if (adopt && json_equal(now, l->value)) {
		json_object_put(now);
		return lease_write(ag, l, true, m);
	}
	if (other != NULL)
		*other = now;
	else
		json_object_put(now);
	return err_set(m, ERR_EXISTS, "%s: %s is held by another",
	    arango_name(arango_agency_cluster(ag)), l->path);
}

int
arango_lease_renew(struct arango_agency *ag, struct agency_lease *l,
    struct err_msg *m)
{
	int	 r;

	if (!arango_lease_is_held(l,
	    loop_now_ms(arango_loop(arango_agency_cluster(ag))))) {
		l->held = false;
		return err_set(m, ERR_BAD_STATE, "%s: the lease has run out",
		    l->path);
	}
	if ((r = lease_write(ag, l, true, m)) == ERR_BAD_STATE)
		l->held = false;
	return r;
}

int
arango_lease_release(struct arango_agency *ag, struct agency_lease *l,
    struct err_msg *m)
{
	struct agency_trx	 t = AGENCY_TRX_INIT;
	int			 r;

	l->held = false;
	agency_trx_delete(&t, l->path);
	agency_trx_pre_old(&t, l->path, l->value);
	r = arango_agency_write(ag, &t, NULL, m);
	agency_trx_free(&t);
	return r == ERR_BAD_STATE ? 0 : r;
}

bool
arango_lease_is_held(const struct agency_lease *l, uint64_t now_ms)
{
	return l->held && now_ms < l->until_ms;
}
