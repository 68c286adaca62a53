/*
 * crd_query.c - the queries that run: /_api/query.  Facts:
 * RestQueryHandler.cpp and aql/QueryList.cpp of arangod.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ev/loop.h"
#include "sandbox/crd_query.h"

void
crd_query_begin(struct sb_req *r, struct crd_query *q)
{
	struct crd	*c = crd_of(r);

	q->id = ++c->next_query;
	q->db = r->db;
	q->user = r->user;
	q->started = time(NULL);
	q->started_ms = loop_now_ms(c->loop);
	q->next = c->queries;
	c->queries = q;
}

void
crd_query_end(struct sb_req *r, struct crd_query *q)
{
	struct crd_query	**p = &crd_of(r)->queries;

	while (*p != q)
		p = &(*p)->next;
	*p = q->next;
}

static struct json_object *
query_json(struct crd *c, const struct crd_query *q)
{
	struct json_object	*e = json_object_new_object();
	char			 text[32];
	struct tm		 tm;

	snprintf(text, sizeof(text), "%" PRIu64, q->id);
	json_object_object_add(e, "id", json_object_new_string(text));
	json_object_object_add(e, "database", json_object_new_string(q->db));
	json_object_object_add(e, "user", json_object_new_string(q->user));
	json_object_object_add(e, "query",
	    json_object_new_string_len(q->text, (int)q->len));
	json_object_object_add(e, "bindVars", json_object_new_object());
	gmtime_r(&q->started, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	json_object_object_add(e, "started", json_object_new_string(text));
	json_object_object_add(e, "runTime", json_object_new_double(
	    (double)(loop_now_ms(c->loop) - q->started_ms) / 1000.0));
	json_object_object_add(e, "state",
	    json_object_new_string("executing"));
	json_object_object_add(e, "stream", json_object_new_boolean(0));
	if (c->server != NULL && sb_version(c->server) >= 31200)
		json_object_object_add(e, "modificationQuery",
		    json_object_new_boolean(q->modifies));
	return e;
}

/* Queries of the other coordinators, appended; -1: one did not answer. */
static int
add_remote(struct sb_req *r, struct json_object *list)
{
	struct crd		*c = crd_of(r);
	struct sb_resp		 resp;
	struct json_object	*o;
	const char		*base;
	char			*path;
	unsigned		 i;
	size_t			 k;
	int			 status;

	for (i = 1; i <= c->child->coordinators; i++) {
		if (i == crd_own_number(c))
			continue;
		if ((base = crd_coordinator_base(c, i, NULL)) == NULL)
			return -1;
		path = xasprintf("/_db/%s/_api/query/current?local=true%s",
		    sb_encode(r->db), sb_param_bool(r, "all", false) ?
		    "&all=true" : "");
		status = sb_call(r->server, base, "GET", path, NULL, NULL, 0,
		    0, 30000, &resp);
		free(path);
		o = status == 200 ? sb_resp_json(&resp) : NULL;
		sb_resp_free(&resp);
		if (o == NULL)
			return -1;
		for (k = 0; json_object_is_type(o, json_type_array) &&
		    k < json_object_array_length(o); k++)
			json_object_array_add(list, json_object_get(
			    json_object_array_get_idx(o, k)));
		json_object_put(o);
	}
	return 0;
}

static void
query_current(struct sb_req *r)
{
	struct crd		*c = crd_of(r);
	struct json_object	*list;
	struct crd_query	*q;
	bool			 all = sb_param_bool(r, "all", false);

	if (all && !r->superuser) {
		sb_error(r, AE_FORBIDDEN, NULL);
		return;
	}
	if (all && strcmp(r->db, "_system") != 0) {
		sb_error(r, AE_USE_SYSTEM_DATABASE, NULL);
		return;
	}
	list = json_object_new_array();
	for (q = c->queries; q != NULL; q = q->next)
		if (all || strcmp(q->db, r->db) == 0)
			json_object_array_add(list, query_json(c, q));
	if (!sb_param_bool(r, "local", false) && add_remote(r, list) != 0) {
		json_object_put(list);
		sb_error(r, AE_CONNECTION_LOST, NULL);
		return;
	}
	sb_reply_json(r, 200, list);
}

static void
query_slow(struct sb_req *r)
{
	sb_reply_json(r, 200, json_object_new_array());
}

static void
query_slow_clear(struct sb_req *r)
{
	sb_reply_ok(r, 200, json_object_new_object());
}

const struct sb_route	 crd_query_routes[] = {
	{ SB_GET, "/_api/query/current", 0, query_current },
	{ SB_GET, "/_api/query/slow", 0, query_slow },
	{ SB_DELETE, "/_api/query/slow", 0, query_slow_clear },
	{ 0, NULL, 0, NULL }
};
