/*
 * coordinator.c - the coordinator: its start, and what its handlers share.
 *
 * A start: listen (503 to everybody), copy the agency, register, send
 * heartbeats, make the cluster's first database when nobody has, wait until
 * somebody has, serve.  After a restart the copy is what the first poll
 * brought, so what is served is never fresher than that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "sandbox/coordinator.h"
#include "sandbox/crd_ddl.h"
#include "sandbox/crd_json.h"
#include "sandbox/crd_transaction.h"

#define START_TIMEOUT_MS	(SB_READY_MS - 5000)
/* A call may take that long even when the deadline for leaders is over. */
#define CALL_TIMEOUT_MIN_MS	30000
#define RETRY_FIRST_MS		20
#define RETRY_MAX_MS		500

/* ---- collections ----------------------------------------------------------- */

const struct cl_collection *
crd_collection_get(struct sb_req *r, const char *name)
{
	const struct cl_collection	*col;

	col = cluster_collection(crd_of(r)->cluster, r->db, name);
	if (col == NULL || col->deleted || col->is_building) {
		/* Recorded: with the name where a transaction looks for it. */
		if (r->nseg > 1 && (strcmp(r->seg[1], "collection") == 0 ||
		    strcmp(r->seg[1], "index") == 0))
			sb_error(r, AE_DATA_SOURCE_NOT_FOUND, NULL);
		else
			sb_error(r, AE_DATA_SOURCE_NOT_FOUND, "%s: %s",
			    arango_error_text(AE_DATA_SOURCE_NOT_FOUND), name);
		return NULL;
	}
	return cl_collection_ref(col);
}

bool
crd_sharded_by_key(const struct cl_collection *col)
{
	return col->nshard_keys == 1 && strcmp(col->shard_keys[0], "_key") == 0;
}

bool
crd_allows_user_keys(const struct cl_collection *col)
{
	return cj_bool(cj_get(col->definition, "keyOptions"), "allowUserKeys",
	    true);
}

const char *
crd_key_type(const struct cl_collection *col)
{
	const char	*t = cj_str(cj_get(col->definition, "keyOptions"),
	    "type");

	return t != NULL ? t : "traditional";
}

/* ---- shards ---------------------------------------------------------------- */

/*
 * Is this the answer of a server that is not, or not yet, the leader?  As
 * arangod's sendRequestRetry, which knows them by status and number.
 */
static bool
is_refusal(const struct sb_resp *resp, unsigned flags)
{
	switch (resp->errnum) {
	case AE_SHARD_LEADER_RESIGNED:
	case AE_NOT_LEADER:
	case AE_BACKEND_UNAVAILABLE:
	case AE_LEADER_REFUSES_REPLICATION:
	case AE_FOLLOWER_REFUSES_OPERATION:
	case AE_SHUTTING_DOWN:
		return true;
	case AE_DATA_SOURCE_NOT_FOUND:
	case AE_DATABASE_NOT_FOUND:
		return resp->status == 404 && !(flags & CRD_NO_RETRY_1203);
	default:
		/* 503 without a number: the server is starting. */
		return resp->status == 421 || (resp->status == 503 &&
		    (resp->errnum == 0 ||
		    resp->errnum == AE_HTTP_SERVICE_UNAVAILABLE));
	}
}

/* Was the request sent so far that the peer may have executed it? */
static bool
outcome_unknown(const struct sb_resp *resp)
{
	return resp->status == 0 && resp->maybe_sent;
}

/* One attempt; false when there was nobody to ask. */
static bool
try_leader(struct crd *c, const struct cl_collection *col, size_t shard,
    const struct crd_call *call, struct sb_resp *resp)
{
	const struct cl_collection	*now;
	const char			*url;
	char				*base, *full;
	uint64_t			 t, left;

	now = cluster_collection_by_cid(c->cluster, col->db, col->cid);
	if (now == NULL || shard >= now->nshards) {
		resp->errnum = AE_DATA_SOURCE_NOT_FOUND;
		return true;
	}
	if (now->shards[shard].leader == NULL ||
	    (url = cluster_url(c->cluster, now->shards[shard].leader)) == NULL)
		return false;
	t = loop_now_ms(c->loop);
	left = call->deadline_ms > t ? call->deadline_ms - t : 0;
	left = MIN(MAX(left, (uint64_t)CALL_TIMEOUT_MIN_MS),
	    (uint64_t)UINT32_MAX);
	base = xstrdup(url);
	full = xasprintf("/_db/%s%s", sb_encode(col->db), call->path);
	sb_call(c->server, base, call->method, full, call->headers, call->body,
	    call->body_len, call->flags & 0xff, (uint32_t)left, resp);
	free(base);
	free(full);
	return true;
}

static int
shard_call(struct crd_call *call)
{
	struct crd	*c = call->c;
	struct sb_resp	*resp = &call->resp;
	uint64_t	 pause = RETRY_FIRST_MS, t, until;

	for (;;) {
		*resp = (struct sb_resp)SB_RESP_INIT;
		if (try_leader(c, call->col, call->shard, call, resp)) {
			if (resp->status == 0 &&
			    resp->errnum == AE_DATA_SOURCE_NOT_FOUND)
				return 0;
			if (resp->status != 0 &&
			    !is_refusal(resp, call->flags))
				return resp->status;
			if (outcome_unknown(resp) &&
			    !(call->flags & CRD_IDEMPOTENT)) {
				resp->errnum = AE_CONNECTION_LOST;
				return 0;
			}
		}
		t = loop_now_ms(c->loop);
		if (t >= call->deadline_ms || (call->flags & CRD_NO_RETRY)) {
			if (resp->status == 0)
				resp->errnum = resp->error != 0 ?
				    AE_CONNECTION_LOST : AE_CLUSTER_TIMEOUT;
			return resp->status;
		}
		sb_resp_free(resp);
		/* Whatever ends the trouble shows in Plan or Current. */
		until = MIN(t + pause, call->deadline_ms);
		while (loop_now_ms(c->loop) < until &&
		    cluster_wait_change(c->cluster, until) != 0)
			;
		if (loop_now_ms(c->loop) < t + RETRY_FIRST_MS)
			fiber_sleep_ms(RETRY_FIRST_MS);
		pause = MIN(pause * 2, (uint64_t)RETRY_MAX_MS);
	}
}

int
crd_shard_call(struct crd *c, const struct cl_collection *col, size_t shard,
    const char *method, const char *path, const char *extra_headers,
    const void *body, size_t body_len, unsigned flags, uint64_t deadline_ms,
    struct sb_resp *resp)
{
	struct crd_call	 call = {
		.shard = shard, .method = method, .path = path,
		.headers = extra_headers, .body = body, .body_len = body_len,
		.c = c, .col = cl_collection_ref(col), .flags = flags,
		.deadline_ms = deadline_ms
	};
	int		 status;

	status = shard_call(&call);
	cl_collection_unref(&call.col);
	*resp = call.resp;
	return status;
}

static void
shard_call_fiber(void *arg)
{
	struct crd_call	*call = arg;

	call->status = shard_call(call);
}

void
crd_shard_calls(struct crd *c, const struct cl_collection *col,
    struct crd_call *calls, size_t ncalls, unsigned flags,
    uint64_t deadline_ms)
{
	struct fiber_group	 g = FIBER_GROUP_INIT;
	const struct cl_collection *held = cl_collection_ref(col);
	size_t			 i;

	for (i = 0; i < ncalls; i++) {
		calls[i].c = c;
		calls[i].col = held;
		calls[i].flags = flags;
		calls[i].deadline_ms = deadline_ms;
	}
	if (ncalls == 1) {
		shard_call_fiber(&calls[0]);
	} else {
		for (i = 0; i < ncalls; i++)
			fiber_group_spawn(&g, c->loop, shard_call_fiber,
			    &calls[i]);
		fiber_group_wait(&g);
	}
	cl_collection_unref(&held);
}

struct crd_call *
crd_all_shards(struct crd *c, const struct cl_collection *col,
    const char *method, const char *path, const char *headers,
    const void *body, size_t body_len, unsigned flags, uint64_t deadline_ms)
{
	struct crd_call	*calls = xcalloc(col->nshards, sizeof(*calls));
	const char	*mark = strstr(path, "%s");
	size_t		 i;

	for (i = 0; i < col->nshards; i++) {
		calls[i].shard = i;
		calls[i].method = method;
		calls[i].path = mark == NULL ? xstrdup(path) :
		    xasprintf("%.*s%s%s", (int)(mark - path), path,
		    col->shards[i].name, mark + 2);
		calls[i].headers = headers;
		calls[i].body = body;
		calls[i].body_len = body_len;
	}
	crd_shard_calls(c, col, calls, col->nshards, flags, deadline_ms);
	return calls;
}

struct crd_call *
crd_calls_failed(struct crd_call *calls, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		if (calls[i].status < 200 || calls[i].status > 299)
			return &calls[i];
	return NULL;
}

void
crd_calls_free(struct crd_call *calls, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i++) {
		free((void *)(uintptr_t)calls[i].path);
		sb_resp_free(&calls[i].resp);
	}
	free(calls);
}

void
crd_reply_failure(struct sb_req *r, struct sb_resp *resp)
{
	if (resp->status != 0)
		sb_reply_forward(r, resp);
	else
		sb_error(r, resp->errnum != 0 ? resp->errnum :
		    AE_CONNECTION_LOST, NULL);
}

/* ---- servers --------------------------------------------------------------- */

const char *
crd_coordinator_base(struct crd *c, unsigned number, const char **id)
{
	const struct cl_server	*s;

	s = cluster_server_by_number(c->cluster, false, number);
	if (s == NULL)
		return NULL;
	if (id != NULL)
		*id = s->id;
	return s->url;
}

unsigned
crd_own_number(struct crd *c)
{
	return agency_short_number(c->agency);
}

uint64_t
crd_new_id(struct crd *c)
{
	uint64_t	 id = 0;

	if (agency_ids(c->agency, 1, &id, loop_now_ms(c->loop) +
	    CRD_SHARD_TIMEOUT_MS) != 0)
		return 0;
	return id;
}

bool
crd_is_readonly_for(struct sb_req *r)
{
	return !r->superuser && cluster_is_readonly(crd_of(r)->cluster);
}

/* ---- the role -------------------------------------------------------------- */

static const struct sb_route *const tables[] = {
	crd_document_routes,
	crd_cursor_routes,
	crd_query_routes,
	crd_transaction_routes,
	crd_import_routes,
	crd_collection_routes,
	crd_index_routes,
	crd_database_routes,
	crd_admin_routes,
	crd_inventory_routes,
	crd_misc_routes,
	NULL
};

static bool
db_exists(struct sb_server *s, const char *db)
{
	struct crd	*c = sb_server_data(s);

	return cluster_db_exists(c->cluster, db);
}

/* There is no other than root. */
static bool
user_exists(struct sb_server *s, const char *user)
{
	(void)s;
	return strcmp(user, "root") == 0;
}

static bool
check_password(struct sb_server *s, const char *user, const char *password)
{
	return user_exists(s, user) &&
	    strcmp(password, sb_server_child(s)->root_password) == 0;
}

static bool
is_readonly(struct sb_server *s)
{
	struct crd	*c = sb_server_data(s);

	return c->cluster != NULL && cluster_is_readonly(c->cluster);
}

static uint64_t
new_id(struct sb_server *s)
{
	return crd_owned_id_new(sb_server_data(s));
}

static const char *
owner_of(struct sb_server *s, uint64_t id, const char **server_id)
{
	return crd_owned_id_elsewhere(sb_server_data(s), id, server_id);
}

static const struct sb_role role = {
	.name = "COORDINATOR",
	.tables = tables,
	.has_users = true,
	.db_exists = db_exists,
	.check_password = check_password,
	.user_exists = user_exists,
	.is_readonly = is_readonly,
	.new_id = new_id,
	.owner_of = owner_of
};

/* ---- start ----------------------------------------------------------------- */

struct start {
	struct crd	*c;
	enum proc_exit	 failed;	/* why loop_run() was stopped */
};

static void
give_up(struct start *st, const char *what)
{
	st->failed = PROC_EXIT_START;
	sb_child_fail(st->c->child, st->failed, "%s: %s",
	    st->c->child->name, what);
	loop_stop(st->c->loop);
}

/* tcp://127.0.0.1:8529 as arangod registers it. */
static char *
own_endpoint(const struct sb_child *child)
{
	return xasprintf("%s://127.0.0.1:%u",
	    child->tls_keyfile != NULL ? "ssl" : "tcp", child->port);
}

static void
start_fiber(void *arg)
{
	struct start	*st = arg;
	struct crd	*c = st->c;
	uint64_t	 deadline = loop_now_ms(c->loop) + START_TIMEOUT_MS;
	char		*endpoint;
	int		 r;

	agency_start(c->agency);
	if (agency_wait_ready(c->agency, deadline) != 0) {
		give_up(st, "the agent does not answer");
		return;
	}
	endpoint = own_endpoint(c->child);
	r = agency_register(c->agency, AGENCY_COORDINATOR, endpoint, deadline);
	free(endpoint);
	if (r != 0) {
		give_up(st, "cannot register with the agent");
		return;
	}
	agency_heartbeat_start(c->agency, "SERVING");
	if (crd_bootstrap(c, deadline) != 0) {
		give_up(st, "the cluster's first database was not made in "
		    "time");
		return;
	}
	crd_transaction_start(c);
	crd_cursor_start(c);
	sb_server_ready(c->server);
	sb_child_ready(c->child);
	log_notice("coordinator: serves as %s",
	    agency_short_name(c->agency));
}

int
coordinator_main(struct sb_child *child)
{
	struct crd	*c = xcalloc(1, sizeof(*c));
	struct start	 st = { c, PROC_EXIT_OK };

	c->child = child;
	c->loop = child->loop;
	if (sb_server_new(child, c->loop, &role, c, &c->server) != 0)
		return sb_child_fail(child, PROC_EXIT_START,
		    "%s: cannot listen on port %u", child->name, child->port);
	if (agency_new(c->server, child->agency_endpoint, child->id,
	    &c->agency) != 0 || cluster_new(c->agency, &c->cluster) != 0)
		return sb_child_fail(child, PROC_EXIT_START,
		    "%s: cannot use the agency", child->name);
	fiber_spawn(c->loop, start_fiber, &st);
	loop_run(c->loop);
	sb_server_free(&c->server);
	cluster_free(&c->cluster);
	agency_free(&c->agency);
	free(c);
	return st.failed;
}
