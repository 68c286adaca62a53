/*
 * crd_transaction.c - stream transactions on a coordinator.  Facts: arangod's
 * RestTransactionHandler.cpp and transaction/Manager.cpp; recordings
 * RestTransactionBegin*.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "sandbox/crd_transaction.h"
#include "sandbox/dbserver.h"

#define BUSY_WAIT_MS		8000	/* --transaction.streaming-lock-timeout */
#define REMEMBER_MS		(10 * 60 * 1000)	/* ended ones */
#define SWEEP_MS		1000
#define SERVERS_MAX		16

enum trx_state {
	TRX_RUNNING,
	TRX_COMMITTED,
	TRX_ABORTED
};

static const char *const state_names[] = { "running", "committed", "aborted" };

struct crd_trx {
	struct crd_trx	*next;
	uint64_t	 id;
	char		*db, *user;
	struct json_object *read, *write;	/* arrays of names */
	bool		 implicit_reads;	/* allowImplicit */
	bool		 wait_for_sync;
	enum trx_state	 state;
	bool		 busy;
	struct fiber_cond idle;
	uint64_t	 touched_ms;
	size_t		 nservers;
	char		*servers[SERVERS_MAX];	/* where it has begun */
};

struct crd_transactions {
	struct crd	*crd;
	struct crd_trx	*first;
	struct loop_timer *sweeper;
};

static void	trx_end(struct crd *, struct crd_trx *, bool, int *);

/* ---- ids ------------------------------------------------------------------ */

uint64_t
crd_owned_id_new(struct crd *c)
{
	uint64_t	 id = crd_new_id(c);

	return id == 0 ? 0 : (id << 10) | (uint64_t)(crd_own_number(c) & 255) << 2;
}

const char *
crd_owned_id_elsewhere(struct crd *c, uint64_t id, const char **server_id)
{
	unsigned	 number = (unsigned)(id >> 2) & 255;

	if (number == crd_own_number(c) || number == 0)
		return NULL;
	return crd_coordinator_base(c, number, server_id);
}

/* ---- table ----------------------------------------------------------------- */

static struct crd_trx *
trx_find(struct crd *c, uint64_t id)
{
	struct crd_trx	*t;

	for (t = c->transactions->first; t != NULL; t = t->next)
		if (t->id == id)
			return t;
	return NULL;
}

static void
trx_free(struct crd_trx *t)
{
	size_t	 i;

	for (i = 0; i < t->nservers; i++)
		free(t->servers[i]);
	json_object_put(t->read);
	json_object_put(t->write);
	free(t->db);
	free(t->user);
	free(t);
}

static void
expire_fiber(void *arg)
{
	struct crd_transactions	*ts = arg;
	struct crd_trx		*t;
	uint64_t		 now = loop_now_ms(ts->crd->loop);
	int			 errnum;

	for (t = ts->first; t != NULL; t = t->next)
		if (t->state == TRX_RUNNING && !t->busy &&
		    now - t->touched_ms > DBS_TRX_IDLE_MS) {
			trx_end(ts->crd, t, false, &errnum);
			return;		/* the list may have changed */
		}
}

/* Abort those that nobody uses any more, forget those that ended long ago. */
static void
sweep(void *arg)
{
	struct crd_transactions	*ts = arg;
	struct crd_trx		**p = &ts->first, *t;
	uint64_t		 now = loop_now_ms(ts->crd->loop);
	bool			 expired = false;

	while ((t = *p) != NULL) {
		if (t->state != TRX_RUNNING && !t->busy &&
		    !fiber_cond_has_waiters(&t->idle) &&
		    now - t->touched_ms > REMEMBER_MS) {
			*p = t->next;
			trx_free(t);
			continue;
		}
		if (t->state == TRX_RUNNING && !t->busy &&
		    now - t->touched_ms > DBS_TRX_IDLE_MS)
			expired = true;
		p = &t->next;
	}
	if (expired)
		fiber_spawn(ts->crd->loop, expire_fiber, ts);
}

void
crd_transaction_start(struct crd *c)
{
	struct crd_transactions	*ts = xcalloc(1, sizeof(*ts));

	ts->crd = c;
	ts->sweeper = loop_timer_new(c->loop, sweep, ts);
	loop_timer_start_periodic(ts->sweeper, SWEEP_MS);
	c->transactions = ts;
}

/* ---- use by other requests --------------------------------------------------- */

static bool
names_contain(struct json_object *names, const char *name)
{
	size_t	 i;

	for (i = 0; i < json_object_array_length(names); i++)
		if (strcmp(json_object_get_string(
		    json_object_array_get_idx(names, i)), name) == 0)
			return true;
	return false;
}

static bool
is_declared(const struct crd_trx *t, const char *name, bool write)
{
	if (names_contain(t->write, name))
		return true;
	return !write && (t->implicit_reads || names_contain(t->read, name));
}

/* Wait until nobody else uses it; 0 or -1 with the answer given. */
static int
trx_lock(struct sb_req *r, struct crd_trx *t)
{
	uint64_t	 deadline = loop_now_ms(crd_of(r)->loop) + BUSY_WAIT_MS;

	while (t->busy)
		if (fiber_cond_wait_until(&t->idle, deadline) != 0 &&
		    t->busy) {
			sb_error(r, AE_LOCKED,
			    "transaction %" PRIu64 " is in use", t->id);
			return -1;
		}
	t->busy = true;
	return 0;
}

void
crd_trx_release(struct crd_trx **tp)
{
	struct crd_trx	*t = *tp;

	if (t == NULL)
		return;
	t->busy = false;
	t->touched_ms = loop_now_ms(fiber_loop(fiber_self()));
	fiber_cond_signal(&t->idle);
	*tp = NULL;
}

static void
not_found(struct sb_req *r, uint64_t id)
{
	sb_error(r, AE_TRANSACTION_NOT_FOUND, "transaction '%" PRIu64
	    "' not found", id);
}

/* 0 and *t locked, or answered. */
static int
trx_get(struct sb_req *r, const char *text, struct crd_trx **tp)
{
	struct crd	*c = crd_of(r);
	struct crd_trx	*t;
	const char	*base, *server_id;
	uint64_t	 id;

	if (str_to_u64(text, &id) != 0 || id == 0) {
		sb_error(r, AE_BAD_PARAMETER, "bad transaction ID");
		return -1;
	}
	if ((base = crd_owned_id_elsewhere(c, id, &server_id)) != NULL) {
		sb_forward(r, base, server_id);
		return -1;
	}
	t = trx_find(c, id);
	if (t == NULL || (!r->superuser && strcmp(t->user, r->user) != 0)) {
		not_found(r, id);
		return -1;
	}
	if (trx_lock(r, t) != 0)
		return -1;
	*tp = t;
	return 0;
}

int
crd_trx_acquire(struct sb_req *r, const struct cl_collection *col, bool write,
    struct crd_trx **trx)
{
	const char	*text = sb_req_header(r, DBS_TRX_HEADER);
	struct crd_trx	*t;

	*trx = NULL;
	if (text == NULL)
		return 0;
	if (trx_get(r, text, &t) != 0)
		return -1;
	if (strcmp(t->db, r->db) != 0)
		not_found(r, t->id);
	else if (t->state != TRX_RUNNING)
		sb_error(r, t->state == TRX_ABORTED ? AE_TRANSACTION_ABORTED :
		    AE_TRANSACTION_DISALLOWED, "transaction %" PRIu64
		    " has already been %s", t->id, state_names[t->state]);
	else if (!is_declared(t, col->name, write))
		sb_error(r, AE_TRANSACTION_UNREGISTERED,
		    "unregistered collection used in transaction: %s [%s]",
		    col->name, write ? "write" : "read");
	else {
		*trx = t;
		return 0;
	}
	crd_trx_release(&t);
	return -1;
}

void
crd_trx_header(struct crd_trx *t, const char *server_id,
    char line[CRD_TRX_HEADER_MAX])
{
	size_t	 i;

	for (i = 0; i < t->nservers; i++)
		if (strcmp(t->servers[i], server_id) == 0)
			break;
	snprintf(line, CRD_TRX_HEADER_MAX, "%s: %" PRIu64 "%s\n",
	    DBS_TRX_HEADER, t->id, i == t->nservers ? " begin" : "");
	if (i == t->nservers && t->nservers < SERVERS_MAX)
		t->servers[t->nservers++] = xstrdup(server_id);
}

/* ---- begin ------------------------------------------------------------------ */

/* A name or an array of names, added to list; 0, or -1 and answered. */
static int
take_names(struct sb_req *r, struct json_object *collections, const char *kind,
    struct json_object *list)
{
	const struct cl_collection	*col;
	struct json_object		*v, *item;
	size_t				 i, n;
	bool				 array;

	if (!json_object_object_get_ex(collections, kind, &v))
		return 0;
	array = json_object_is_type(v, json_type_array);
	n = array ? json_object_array_length(v) : 1;
	for (i = 0; i < n; i++) {
		item = array ? json_object_array_get_idx(v, i) : v;
		if (!json_object_is_type(item, json_type_string)) {
			sb_error(r, AE_BAD_PARAMETER,
			    "invalid 'collections' attribute");
			return -1;
		}
		col = cluster_collection(crd_of(r)->cluster, r->db,
		    json_object_get_string(item));
		if (col == NULL) {
			sb_error(r, AE_DATA_SOURCE_NOT_FOUND, "%s: %s",
			    arango_error_text(AE_DATA_SOURCE_NOT_FOUND),
			    json_object_get_string(item));
			return -1;
		}
		json_object_array_add(list, json_object_new_string(col->name));
	}
	return 0;
}

static bool
flag_of(struct json_object *o, const char *name, bool fallback)
{
	struct json_object	*v;

	return json_object_object_get_ex(o, name, &v) &&
	    json_object_is_type(v, json_type_boolean) ?
	    json_object_get_boolean(v) : fallback;
}

static void
reply_state(struct sb_req *r, int status, uint64_t id, enum trx_state state)
{
	struct json_object	*o = json_object_new_object();
	struct json_object	*res = json_object_new_object();
	char			 text[24];

	snprintf(text, sizeof(text), "%" PRIu64, id);
	json_object_object_add(res, "id", json_object_new_string(text));
	json_object_object_add(res, "status",
	    json_object_new_string(state_names[state]));
	json_object_object_add(o, "result", res);
	sb_reply_ok(r, status, o);
}

static void
trx_begin(struct sb_req *r)
{
	struct crd		*c = crd_of(r);
	struct json_object	*body, *cols = NULL, *v;
	struct crd_trx		*t;

	if ((body = sb_body_json(r, false)) == NULL)
		return;
	if (!json_object_is_type(body, json_type_object) ||
	    !json_object_object_get_ex(body, "collections", &cols) ||
	    !json_object_is_type(cols, json_type_object)) {
		sb_error(r, AE_BAD_PARAMETER, "missing 'collections'");
		json_object_put(body);
		return;
	}
	if (json_object_object_get_ex(body, "lockTimeout", &v) &&
	    (json_object_is_type(v, json_type_double) ||
	    json_object_is_type(v, json_type_int)) &&
	    json_object_get_double(v) < 0) {
		sb_error(r, AE_BAD_PARAMETER,
		    "<lockTimeout> needs to be positive");
		json_object_put(body);
		return;
	}
	if (json_object_object_get_ex(cols, "exclusive", &v) &&
	    !(json_object_is_type(v, json_type_array) &&
	    json_object_array_length(v) == 0)) {
		sb_not_supported(r, "exclusive access in stream transactions");
		json_object_put(body);
		return;
	}
	t = xcalloc(1, sizeof(*t));
	t->read = json_object_new_array();
	t->write = json_object_new_array();
	t->db = xstrdup(r->db);
	t->user = xstrdup(r->user);
	t->implicit_reads = flag_of(body, "allowImplicit", true);
	t->wait_for_sync = flag_of(body, "waitForSync", false);
	if (take_names(r, cols, "read", t->read) != 0 ||
	    take_names(r, cols, "write", t->write) != 0)
		trx_free(t);
	else if (json_object_array_length(t->write) != 0 &&
	    crd_is_readonly_for(r)) {
		sb_error(r, AE_READ_ONLY, NULL);
		trx_free(t);
	} else if ((t->id = crd_owned_id_new(c)) == 0) {
		sb_error(r, AE_AGENCY_COMMUNICATION_FAILED, NULL);
		trx_free(t);
	} else {
		t->touched_ms = loop_now_ms(c->loop);
		t->next = c->transactions->first;
		c->transactions->first = t;
		reply_state(r, 201, t->id, TRX_RUNNING);
	}
	json_object_put(body);
}

/* ---- end -------------------------------------------------------------------- */

/*
 * Commit or abort on every server where it has begun, one after another: as
 * in arangod a commit is not atomic over servers, and the first that refuses
 * ends it.  *errnum is 0 or the number of the refusal.  The caller holds t.
 */
static void
trx_end(struct crd *c, struct crd_trx *t, bool commit, int *errnum)
{
	struct sb_resp	 resp;
	const char	*base;
	char		*path;
	size_t		 i;
	int		 status;

	t->busy = true;
	*errnum = 0;
	path = xasprintf("/_db/%s/_api/transaction/%" PRIu64 "%s",
	    sb_encode(t->db), t->id,
	    commit && t->wait_for_sync ? "?waitForSync=true" : "");
	for (i = 0; i < t->nservers; i++) {
		if ((base = cluster_url(c->cluster, t->servers[i])) == NULL)
			status = 0;
		else {
			status = sb_call(c->server, base,
			    commit ? "PUT" : "DELETE", path, NULL, NULL, 0, 0,
			    600 * 1000, &resp);
			if (status != 200 && *errnum == 0)
				*errnum = resp.errnum;
			sb_resp_free(&resp);
		}
		if (status != 200 && *errnum == 0)
			*errnum = AE_CONNECTION_LOST;
		if (commit && *errnum != 0)
			commit = false;		/* abort the rest */
	}
	free(path);
	t->state = commit ? TRX_COMMITTED : TRX_ABORTED;
	if (!commit && *errnum == AE_TRANSACTION_NOT_FOUND)
		*errnum = AE_TRANSACTION_ABORTED;
	t->busy = false;
	t->touched_ms = loop_now_ms(c->loop);
	fiber_cond_signal(&t->idle);
}

static void
trx_finish(struct sb_req *r)
{
	bool		 commit = r->method == SB_PUT;
	struct crd_trx	*t;
	int		 errnum;

	if (trx_get(r, r->seg[2], &t) != 0)
		return;
	if (t->state == TRX_RUNNING) {
		trx_end(crd_of(r), t, commit, &errnum);
		if (commit && errnum != 0)
			sb_error(r, errnum, NULL);
		else
			reply_state(r, 200, t->id, t->state);
		return;
	}
	/* Ended already: the same again is fine, the other is not. */
	if (commit == (t->state == TRX_COMMITTED))
		reply_state(r, 200, t->id, t->state);
	else
		sb_error(r, AE_TRANSACTION_DISALLOWED, "while trying to %s "
		    "transaction %" PRIu64 ": transaction was already %s",
		    commit ? "commit" : "abort", t->id, state_names[t->state]);
	crd_trx_release(&t);
}

static void
trx_status(struct sb_req *r)
{
	struct crd_trx	*t;

	if (trx_get(r, r->seg[2], &t) != 0)
		return;
	reply_state(r, 200, t->id, t->state);
	crd_trx_release(&t);
}

/* ---- lists ------------------------------------------------------------------- */

/* Since 3.12 a superuser sees those of every database. */
static bool
is_listed(struct sb_req *r, const struct crd_trx *t)
{
	if (t->state != TRX_RUNNING)
		return false;
	if (r->superuser && sb_version(r->server) >= 31200)
		return true;
	return strcmp(t->db, r->db) == 0 &&
	    (r->superuser || strcmp(t->user, r->user) == 0);
}

/* Append what another coordinator lists; its answer is {"transactions":[..]}. */
static int
add_remote(struct sb_req *r, const char *base, struct json_object *list)
{
	struct sb_resp		 resp;
	struct json_object	*o = NULL, *v;
	char			*path;
	size_t			 i;
	int			 status;

	path = xasprintf("/_db/%s/_api/transaction?local=true",
	    sb_encode(r->db));
	status = sb_call(r->server, base, "GET", path, NULL, NULL, 0, 0, 30000,
	    &resp);
	free(path);
	if (status == 200)
		o = sb_resp_json(&resp);
	if (o != NULL && json_object_object_get_ex(o, "transactions", &v) &&
	    json_object_is_type(v, json_type_array))
		for (i = 0; i < json_object_array_length(v); i++)
			json_object_array_add(list, json_object_get(
			    json_object_array_get_idx(v, i)));
	json_object_put(o);
	sb_resp_free(&resp);
	return status == 200 ? 0 : -1;
}

static void
trx_list(struct sb_req *r)
{
	struct crd		*c = crd_of(r);
	struct json_object	*o, *list = json_object_new_array(), *e;
	struct crd_trx		*t;
	const char		*base;
	unsigned		 i;
	char			 text[24];

	for (t = c->transactions->first; t != NULL; t = t->next) {
		if (!is_listed(r, t))
			continue;
		snprintf(text, sizeof(text), "%" PRIu64, t->id);
		e = json_object_new_object();
		json_object_object_add(e, "id", json_object_new_string(text));
		json_object_object_add(e, "state",
		    json_object_new_string("running"));
		json_object_array_add(list, e);
	}
	if (!sb_param_bool(r, "local", false))
		for (i = 1; i <= c->child->coordinators; i++) {
			if (i == crd_own_number(c))
				continue;
			base = crd_coordinator_base(c, i, NULL);
			if (base == NULL || add_remote(r, base, list) != 0) {
				json_object_put(list);
				sb_error(r, AE_CONNECTION_LOST, NULL);
				return;
			}
		}
	o = json_object_new_object();
	json_object_object_add(o, "transactions", list);
	sb_reply_json(r, 200, o);
}

/* The same on the other coordinators; -1: one did not answer. */
static int
abort_remote(struct sb_req *r, const char *user)
{
	struct crd	*c = crd_of(r);
	struct sb_resp	 resp;
	const char	*base;
	char		*path;
	unsigned	 i;
	int		 result = 0, status;

	path = xasprintf("/_api/transaction/write?local=true%s%s",
	    user == NULL ? "" : "&user=", user == NULL ? "" : sb_encode(user));
	for (i = 1; i <= c->child->coordinators; i++) {
		if (i == crd_own_number(c))
			continue;
		if ((base = crd_coordinator_base(c, i, NULL)) == NULL) {
			result = -1;
			continue;
		}
		status = sb_call(r->server, base, "DELETE", path, NULL, NULL,
		    0, 0, 30000, &resp);
		sb_resp_free(&resp);
		if (status != 200)
			result = -1;
	}
	free(path);
	return result;
}

/* All that write, of every database, on every coordinator: those of the user,
 * or everybody's for a superuser. */
static void
trx_abort_write(struct sb_req *r)
{
	struct crd		*c = crd_of(r);
	struct crd_trx		*t = c->transactions->first;
	struct json_object	*o;
	const char		*user;
	int			 errnum;

	user = r->superuser ? sb_param(r, "user") : r->user;
	while (t != NULL) {
		if (t->state != TRX_RUNNING || t->busy ||
		    json_object_array_length(t->write) == 0 ||
		    (user != NULL && strcmp(t->user, user) != 0)) {
			t = t->next;
			continue;
		}
		trx_end(c, t, false, &errnum);
		t = c->transactions->first;	/* it may have changed */
	}
	if (!sb_param_bool(r, "local", false) && abort_remote(r, user) != 0) {
		sb_error(r, AE_CONNECTION_LOST, NULL);
		return;
	}
	o = json_object_new_object();
	json_object_object_add(o, "result", json_object_new_object());
	sb_reply_ok(r, 200, o);
}

static void
trx_javascript(struct sb_req *r)
{
	sb_not_supported(r, "JavaScript transactions");
}

const struct sb_route	 crd_transaction_routes[] = {
	{ SB_POST, "/_api/transaction/begin", 0, trx_begin },
	{ SB_POST, "/_api/transaction", 0, trx_javascript },
	{ SB_GET, "/_api/transaction", 0, trx_list },
	{ SB_DELETE, "/_api/transaction/write", 0, trx_abort_write },
	{ SB_GET, "/_api/transaction/*", 0, trx_status },
	{ SB_PUT | SB_DELETE, "/_api/transaction/*", 0, trx_finish },
	{ 0, NULL, 0, NULL }
};
