/*
 * agent_api.c - the HTTP interface of the agent: /_api/agency/...
 *
 * Facts: arangod/Agency/RestAgencyHandler.cpp, Agent.cpp.  Bodies are refused
 * whole: every transaction is looked at before the first is carried out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "json/get.h"
#include "sandbox/agent_priv.h"
#include "sandbox/agent_supervision.h"
#include "vpack/rev.h"

#define ANY_METHOD	(SB_GET | SB_POST | SB_PUT | SB_PATCH | SB_DELETE | \
			 SB_HEAD | SB_OPTIONS)
#define POLL_TIMEOUT_S		60.0
#define POLL_TIMEOUT_MAX_S	86400.0

static sb_handler	on_read, on_write, on_transact, on_inquire,
			on_transient, on_poll, on_config, on_state, on_stores,
			on_store, on_unknown, on_no_name;

/* Methods are looked at by the handlers: the wrong one is 405/405 and an
 * unknown name 404/405. */
const struct sb_route agent_routes[] = {
	{ ANY_METHOD, "/_api/agency/read",	SB_SUPERUSER, on_read },
	{ ANY_METHOD, "/_api/agency/write",	SB_SUPERUSER, on_write },
	{ ANY_METHOD, "/_api/agency/transact",	SB_SUPERUSER, on_transact },
	{ ANY_METHOD, "/_api/agency/inquire",	SB_SUPERUSER, on_inquire },
	{ ANY_METHOD, "/_api/agency/transient",	SB_SUPERUSER, on_transient },
	{ ANY_METHOD, "/_api/agency/poll",	SB_SUPERUSER, on_poll },
	{ ANY_METHOD, "/_api/agency/config",	SB_SUPERUSER, on_config },
	{ ANY_METHOD, "/_api/agency/state",	SB_SUPERUSER, on_state },
	{ ANY_METHOD, "/_api/agency/stores",	SB_SUPERUSER, on_stores },
	{ ANY_METHOD, "/_api/agency/store",	SB_SUPERUSER, on_store },
	{ ANY_METHOD, "/_api/agency/*",		SB_SUPERUSER, on_unknown },
	{ ANY_METHOD, "/_api/agency",		SB_SUPERUSER, on_no_name },
	{ ANY_METHOD, "/_api/agency/**",		SB_SUPERUSER, on_no_name },
	{ 0 }
};

static struct agent *
agent_of(const struct sb_req *r)
{
	return sb_server_data(r->server);
}

/* ---- requests ----------------------------------------------------------- */

static void
reply_message(struct sb_req *r, int status, const char *text)
{
	struct json_object	*o = json_object_new_object();

	json_set_string(o, "message", text);
	sb_reply_json(r, status, o);
}

static bool
check_method(struct sb_req *r, unsigned methods)
{
	if ((r->method & methods) != 0)
		return true;
	sb_error_status(r, 405, AE_HTTP_METHOD_NOT_ALLOWED, NULL);
	return false;
}

static void
on_unknown(struct sb_req *r)
{
	sb_error_status(r, 404, AE_HTTP_METHOD_NOT_ALLOWED, NULL);
}

static void
on_no_name(struct sb_req *r)
{
	sb_error_status(r, 404, AE_HTTP_NOT_FOUND, NULL);
}

/* The body, an array that is not empty; NULL: answered. */
static struct json_object *
body_array(struct sb_req *r)
{
	struct json_object	*o = NULL;
	struct err_msg		 m;

	if (r->body_is_vpack) {
		if ((o = sb_body_json(r, false)) == NULL)
			return NULL;
	} else if (r->body_len > 0 && json_parse((const char *)r->body,
	    r->body_len, &o, &m) != 0) {
		reply_message(r, 400, m.text);
		return NULL;
	}
	if (!json_object_is_type(o, json_type_array)) {
		reply_message(r, 400,
		    "Expecting array of arrays as body for writes");
	} else if (json_object_array_length(o) == 0) {
		reply_message(r, 400, "Empty request");
	} else
		return o;
	json_object_put(o);
	return NULL;
}

static bool
is_string_array(struct json_object *o)
{
	size_t	i;

	if (!json_object_is_type(o, json_type_array))
		return false;
	for (i = 0; i < json_object_array_length(o); i++)
		if (!json_object_is_type(json_object_array_get_idx(o, i),
		    json_type_string))
			return false;
	return true;
}

/* A read transaction among others: its first element is a string. */
static bool
is_read(struct json_object *trx)
{
	return json_object_is_type(trx, json_type_array) &&
	    json_object_array_length(trx) > 0 && json_object_is_type(
	    json_object_array_get_idx(trx, 0), json_type_string);
}

/* Every element a write transaction, or, where allowed, a read one. */
static bool
validate(struct sb_req *r, struct json_object *body, bool reads)
{
	struct json_object	*trx;
	struct err_msg		 m;
	size_t			 i;

	for (i = 0; i < json_object_array_length(body); i++) {
		trx = json_object_array_get_idx(body, i);
		if (reads && is_read(trx)) {
			if (is_string_array(trx))
				continue;
			reply_message(r, 400, "paths must be strings");
			return false;
		}
		if (agency_store_validate(trx, &m) != 0) {
			reply_message(r, 400, m.text);
			return false;
		}
	}
	return true;
}

static struct json_object *
trx_pre(struct json_object *trx)
{
	return json_object_array_get_idx(trx, 1);
}

static const char *
trx_client_id(struct json_object *trx)
{
	struct json_object	*o = json_object_array_get_idx(trx, 2);

	return json_object_is_type(o, json_type_string) ?
	    json_object_get_string(o) : NULL;
}

/* ---- read --------------------------------------------------------------- */

static void
on_read(struct sb_req *r)
{
	struct agent		*a = agent_of(r);
	struct json_object	*body, *list, *paths;
	uint64_t		 index;
	size_t			 i, n;
	int			 status = 200;

	if (!check_method(r, SB_POST) || (body = body_array(r)) == NULL)
		return;
	n = json_object_array_length(body);
	for (i = 0; i < n; i++) {
		paths = json_object_array_get_idx(body, i);
		if (json_object_is_type(paths, json_type_array) &&
		    !is_string_array(paths)) {
			reply_message(r, 400, "paths must be strings");
			json_object_put(body);
			return;
		}
	}
	agent_expire(a);
	list = json_object_new_array();
	for (i = 0; i < n; i++) {
		paths = json_object_array_get_idx(body, i);
		if (json_object_is_type(paths, json_type_array))
			json_object_array_add(list,
			    agency_store_read(a->store, paths));
		else if (n == 1)
			status = 418;	/* the only one failed */
	}
	json_object_put(body);
	index = agency_store_last_index(a->store);
	agent_wait(a, index);
	sb_reply_json(r, status, list);
}

/* ---- write -------------------------------------------------------------- */

enum write_result {
	WRITTEN,
	NOT_WRITTEN,		/* precondition, or does not fit */
	FORBIDDEN
};

static enum write_result
write_one(struct agent *a, struct json_object *trx,
    struct json_object **failed, uint64_t *index)
{
	*index = 0;
	if (agency_store_is_forbidden(trx))
		return FORBIDDEN;
	return agent_transact(a, json_object_array_get_idx(trx, 0),
	    trx_pre(trx), trx_client_id(trx), failed, index) == 0 ?
	    WRITTEN : NOT_WRITTEN;
}

static void
on_write(struct sb_req *r)
{
	struct agent		*a = agent_of(r);
	struct json_object	*body, *o, *list;
	enum write_result	 res;
	const char		*mode;
	uint64_t		 index, max = 0;
	size_t			 i;
	bool			 forbidden = false, failed = false;

	if (!check_method(r, SB_POST) || (body = body_array(r)) == NULL)
		return;
	if (!validate(r, body, false)) {
		json_object_put(body);
		return;
	}
	agent_expire(a);
	list = json_object_new_array();
	for (i = 0; i < json_object_array_length(body); i++) {
		res = write_one(a, json_object_array_get_idx(body, i), NULL,
		    &index);
		forbidden |= res == FORBIDDEN;
		failed |= res == NOT_WRITTEN;
		if (index > max)
			max = index;
		json_object_array_add(list, json_object_new_uint64(index));
	}
	json_object_put(body);
	o = json_object_new_object();
	mode = sb_req_header(r, "x-arangodb-agency-mode");
	if (mode != NULL && strcmp(mode, "noWait") == 0) {
		json_object_put(list);
		sb_reply_json(r, 200, o);
		return;
	}
	json_set(o, "results", list);
	if (mode == NULL || strcmp(mode, "waitForCommitted") == 0)
		agent_wait(a, max);
	sb_reply_json(r, forbidden ? 403 : failed ? 412 : 200, o);
}

static void
on_transact(struct sb_req *r)
{
	struct agent		*a = agent_of(r);
	struct json_object	*body, *list, *trx, *failed;
	uint64_t		 index;
	size_t			 i;
	bool			 ok = true;

	if (!check_method(r, SB_POST) || (body = body_array(r)) == NULL)
		return;
	if (!validate(r, body, true)) {
		json_object_put(body);
		return;
	}
	agent_expire(a);
	list = json_object_new_array();
	for (i = 0; i < json_object_array_length(body); i++) {
		trx = json_object_array_get_idx(body, i);
		failed = NULL;
		if (is_read(trx)) {
			json_object_array_add(list,
			    agency_store_read(a->store, trx));
		} else if (write_one(a, trx, &failed, &index) == WRITTEN) {
			json_object_array_add(list,
			    json_object_new_uint64(index));
		} else {
			/* What is there where a precondition failed. */
			ok = false;
			json_object_array_add(list, failed == NULL ?
			    json_object_new_uint64(0) :
			    agency_store_read(a->store, failed));
		}
		json_object_put(failed);
	}
	json_object_put(body);
	index = agency_store_last_index(a->store);
	agent_wait(a, index);
	sb_reply_json(r, ok ? 200 : 412, list);
}

static void
on_transient(struct sb_req *r)
{
	struct agent		*a = agent_of(r);
	struct json_object	*body, *list, *trx;
	size_t			 i;
	bool			 ok;

	if (!check_method(r, SB_POST) || (body = body_array(r)) == NULL)
		return;
	if (!validate(r, body, true)) {
		json_object_put(body);
		return;
	}
	agent_expire(a);
	list = json_object_new_array();
	for (i = 0; i < json_object_array_length(body); i++) {
		trx = json_object_array_get_idx(body, i);
		if (is_read(trx)) {
			json_object_array_add(list,
			    agency_store_read(a->transient, trx));
			continue;
		}
		ok = agency_store_check(a->transient, trx_pre(trx),
		    NULL) == 0 && agency_store_apply(a->transient,
		    json_object_array_get_idx(trx, 0), clock_wall_ms()) == 0;
		json_object_array_add(list, json_object_new_boolean(ok));
	}
	json_object_put(body);
	sb_reply_json(r, 200, list);
}

/* ---- inquire ------------------------------------------------------------ */

static bool
inquire_into(struct agent *a, struct json_object *ids,
    struct json_object *list, bool *all)
{
	struct json_object	*id;
	uint64_t		 index;
	size_t			 i;

	for (i = 0; i < json_object_array_length(ids); i++) {
		id = json_object_array_get_idx(ids, i);
		if (json_object_is_type(id, json_type_array)) {
			/* [["id"],..] is the same as ["id",..] */
			if (!is_string_array(id) ||
			    !inquire_into(a, id, list, all))
				return false;
			continue;
		}
		if (!json_object_is_type(id, json_type_string))
			return false;
		index = agency_store_inquire(a->store,
		    json_object_get_string(id));
		*all &= index != 0;
		json_object_array_add(list, json_object_new_uint64(index));
	}
	return true;
}

static void
on_inquire(struct sb_req *r)
{
	struct agent		*a = agent_of(r);
	struct json_object	*body, *list, *o;
	bool			 all = true, good;

	if (!check_method(r, SB_POST) || (body = body_array(r)) == NULL)
		return;
	list = json_object_new_array();
	good = inquire_into(a, body, list, &all);
	json_object_put(body);
	if (!good) {
		json_object_put(list);
		reply_message(r, 400, "client ids must be strings");
		return;
	}
	agent_wait(a, agency_store_last_index(a->store));
	o = json_object_new_object();
	json_set(o, "results", list);
	json_set_bool(o, "inquired", true);
	sb_reply_json(r, all ? 200 : 404, o);
}

/* ---- poll --------------------------------------------------------------- */

static double
poll_timeout(struct sb_req *r)
{
	const char	*text = sb_param(r, "timeout");
	char		*end;
	double		 s;

	if (text == NULL || *text == '\0')
		return POLL_TIMEOUT_S;
	s = strtod(text, &end);
	if (*end != '\0' || s != s)
		return POLL_TIMEOUT_S;
	return s < 0 ? 0 : s > POLL_TIMEOUT_MAX_S ? POLL_TIMEOUT_MAX_S : s;
}

/* Entries from .. committed; without any (or when the caller asked for later
 * ones) there is no firstIndex either, as in arangod. */
static struct json_object *
poll_log(struct agent *a, uint64_t from)
{
	const struct agency_entry	*e;
	struct json_object		*o, *list, *item;
	uint64_t			 i;

	o = json_object_new_object();
	json_set_uint(o, "commitIndex", a->committed);
	if (from <= a->committed)
		json_set_uint(o, "firstIndex", from);
	list = json_object_new_array();
	for (i = from; i <= a->committed; i++) {
		if ((e = agency_store_entry(a->store, i)) == NULL)
			break;
		item = json_object_new_object();
		json_set_uint(item, "index", e->index);
		json_set(item, "query", json_object_get(e->query));
		json_object_array_add(list, item);
	}
	json_set(o, "log", list);
	return o;
}

/* The whole key space as a read of "/" gives it. */
static struct json_object *
read_all(struct agent *a)
{
	struct json_object	*paths = json_object_new_array(), *o;

	json_object_array_add(paths, json_object_new_string("/"));
	o = agency_store_read(a->store, paths);
	json_object_put(paths);
	return o;
}

static struct json_object *
poll_all(struct agent *a)
{
	struct json_object	*o = json_object_new_object();
	uint64_t		 index = agency_store_last_index(a->store);

	/* Exactly what it was at index, whoever writes while we wait. */
	json_set_uint(o, "commitIndex", index);
	json_set_uint(o, "firstIndex", 0);
	json_set(o, "readDB", read_all(a));
	agent_wait(a, index);
	return o;
}

static void
on_poll(struct sb_req *r)
{
	struct agent		*a = agent_of(r);
	struct json_object	*o, *result;
	uint64_t		 index, deadline, start;

	if (!check_method(r, SB_GET))
		return;
	index = sb_param_u64(r, "index", 0);
	start = a->committed;
	deadline = loop_now_ms(a->loop) + (uint64_t)(poll_timeout(r) * 1000);
	if (index == 0 || index < agency_store_first_index(a->store)) {
		result = poll_all(a);
	} else {
		/* Who asks for what is far in the future hears of the next
		 * commit, too. */
		while (a->committed < index && a->committed == start)
			if (fiber_cond_wait_until(&a->committing,
			    deadline) != 0)
				break;
		result = poll_log(a, index);
	}
	o = json_object_new_object();
	json_set_bool(o, "error", false);
	json_set_int(o, "code", 200);
	json_set(o, "result", result);
	sb_reply_json(r, 200, o);
}

/* ---- about the agent ---------------------------------------------------- */

static struct json_object *
configuration(struct agent *a)
{
	struct json_object	*c = json_object_new_object();
	struct json_object	*pool = json_object_new_object();
	struct json_object	*active = json_object_new_array();
	const struct supervision_times *t = supervision_times(a->supervision);

	json_set_string(pool, a->child->id, a->endpoint);
	json_object_array_add(active, json_object_new_string(a->child->id));
	json_set(c, "pool", pool);
	json_set(c, "active", active);
	json_set_string(c, "id", a->child->id);
	json_set_int(c, "agency size", 1);
	json_set_int(c, "pool size", 1);
	json_set_string(c, "endpoint", a->endpoint);
	json_set(c, "min ping", json_object_new_double(1.0));
	json_set(c, "max ping", json_object_new_double(5.0));
	json_set_int(c, "timeoutMult", 1);
	json_set_bool(c, "supervision", true);
	json_set(c, "supervision frequency",
	    json_object_new_double(SUPERVISION_PERIOD_MS / 1000.0));
	json_set_int(c, "compaction step size", AGENT_COMPACT_EVERY);
	json_set_int(c, "compaction keep size", AGENCY_LOG_KEEP);
	json_set(c, "supervision grace period",
	    json_object_new_double((double)t->grace_ms / 1000.0));
	json_set(c, "supervision ok threshold",
	    json_object_new_double((double)t->ok_ms / 1000.0));
	json_set_string(c, "version", "3");
	json_set_string(c, "startup", "origin");
	return c;
}

/* PUT {"gracePeriod":s,"okThreshold":s} changes the supervision's times. */
static bool
config_change(struct sb_req *r)
{
	struct json_object	*body;
	double			 d;

	if ((body = sb_body_json(r, true)) == NULL)
		return false;
	if (json_want_double(body, "okThreshold", &d, NULL) == 0 &&
	    json_at(body, "okThreshold") != NULL)
		supervision_set_ok(agent_of(r)->supervision, d);
	if (json_want_double(body, "gracePeriod", &d, NULL) == 0 &&
	    json_at(body, "gracePeriod") != NULL)
		supervision_set_grace(agent_of(r)->supervision, d);
	json_object_put(body);
	return true;
}

static void
on_config(struct sb_req *r)
{
	struct agent		*a = agent_of(r);
	struct json_object	*o, *acked, *mine;

	if (!check_method(r, SB_GET | SB_PUT | SB_POST))
		return;
	if (r->method == SB_PUT && !config_change(r))
		return;
	mine = json_object_new_object();
	json_set(mine, "lastAckedTime", json_object_new_double(0.0));
	json_set_uint(mine, "lastAckedIndex", a->committed);
	acked = json_object_new_object();
	json_set(acked, a->child->id, mine);
	o = json_object_new_object();
	json_set_uint(o, "term", a->term);
	json_set_string(o, "leaderId", a->child->id);
	json_set_uint(o, "commitIndex", a->committed);
	json_set_uint(o, "lastCompactionAt", a->snapshot);
	json_set_uint(o, "nextCompactionAfter",
	    a->snapshot + AGENT_COMPACT_EVERY);
	json_set(o, "lastAcked", acked);
	json_set(o, "configuration", configuration(a));
	json_set_string(o, "engine", "rocksdb");
	json_set_string(o, "version", sb_version_text(r->server));
	sb_reply_json(r, 200, o);
}

static void
set_rev(struct json_object *o, uint64_t epoch_ms)
{
	char	text[REV_TEXT_MAX];

	rev_to_text(REV_MAKE(epoch_ms, 0), text);
	json_set_string(o, "_rev", text);
}

/* "2022-11-02 09:40:48 UTC" */
static void
set_timestamp(struct json_object *o, uint64_t epoch_ms)
{
	char	iso[CLOCK_TEXT_SIZE], text[CLOCK_TEXT_SIZE + 8];

	clock_format_s(epoch_ms * 1000, iso);
	snprintf(text, sizeof(text), "%.10s %.8s UTC", iso, iso + 11);
	json_set_string(o, "timestamp", text);
}

static void
set_key(struct json_object *o, uint64_t index)
{
	char	text[24];

	snprintf(text, sizeof(text), "%020llu", (unsigned long long)index);
	json_set_string(o, "_key", text);
}

static struct json_object *
state_entry(const struct agency_entry *e)
{
	struct json_object	*o = json_object_new_object();

	set_key(o, e->index);
	set_rev(o, e->epoch_ms);
	json_set_string(o, "clientId", e->client_id);
	json_set_uint(o, "epoch_millis", e->epoch_ms);
	json_set(o, "request", json_object_get(e->query));
	json_set_uint(o, "term", e->term);
	set_timestamp(o, e->epoch_ms);
	return o;
}

/* The four parts of a store: keys, expiry times, and two tables of callbacks,
 * which this agent does not have. */
static struct json_object *
store_parts(struct json_object *tree, struct json_object *ttl)
{
	struct json_object	*list = json_object_new_array();

	json_object_array_add(list, tree);
	json_object_array_add(list, ttl);
	json_object_array_add(list, json_object_new_array());
	json_object_array_add(list, json_object_new_array());
	return list;
}

static struct json_object *
state_compaction(struct agent *a)
{
	struct json_object	*snap, *o, *tree, *ttl;

	if ((snap = agent_log_snapshot(a->log)) == NULL)
		return NULL;
	o = json_object_new_object();
	set_key(o, (uint64_t)json_int_or(snap, "index", 0));
	set_rev(o, clock_wall_ms());
	tree = json_object_get(json_object_object_get(snap, "tree"));
	ttl = json_object_new_object();
	json_set(o, "readDB", store_parts(tree, ttl));
	json_set(o, "term", json_object_get(
	    json_object_object_get(snap, "term")));
	json_set_int(o, "version", 2);
	json_object_put(snap);
	return o;
}

static void
on_state(struct sb_req *r)
{
	struct agent			*a = agent_of(r);
	const struct agency_entry	*e;
	struct json_object		*o, *log, *compaction;
	uint64_t			 i, index;

	if (!check_method(r, SB_GET))
		return;
	agent_expire(a);
	index = agency_store_last_index(a->store);
	o = json_object_new_object();
	json_set_uint(o, "index", index);
	json_set_uint(o, "term", a->term);
	json_set(o, "agency", agency_store_dump(a->store));
	log = json_object_new_array();
	for (i = agency_store_first_index(a->store); i <= index; i++)
		if ((e = agency_store_entry(a->store, i)) != NULL)
			json_object_array_add(log, state_entry(e));
	json_set(o, "log", log);
	if ((compaction = state_compaction(a)) != NULL)
		json_set(o, "compaction", compaction);
	agent_wait(a, index);
	sb_reply_json(r, 200, o);
}

static void
on_stores(struct sb_req *r)
{
	struct agent		*a = agent_of(r);
	struct json_object	*o;
	uint64_t		 index;

	if (!check_method(r, SB_GET))
		return;
	agent_expire(a);
	index = agency_store_last_index(a->store);
	o = json_object_new_object();
	json_set(o, "spearhead", store_parts(agency_store_dump(a->store),
	    agency_store_dump_ttl(a->store)));
	json_set(o, "read_db", store_parts(agency_store_dump(a->store),
	    agency_store_dump_ttl(a->store)));
	json_set(o, "transient", store_parts(agency_store_dump(a->transient),
	    agency_store_dump_ttl(a->transient)));
	agent_wait(a, index);
	sb_reply_json(r, 200, o);
}

/* The key space at an index; only the present one is kept. */
static void
on_store(struct sb_req *r)
{
	struct agent		*a = agent_of(r);
	struct json_object	*o;
	uint64_t		 index;

	if (!check_method(r, SB_POST))
		return;
	agent_expire(a);
	index = agency_store_last_index(a->store);
	o = read_all(a);
	agent_wait(a, index);
	sb_reply_json(r, 200, o);
}
