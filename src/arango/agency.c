/* agency.c - leader, reads, conditional writes; see agency.h */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <json-c/linkhash.h>

#include "arango/agency.h"
#include "arango/agency_priv.h"
#include "arango/conn.h"
#include "base/random.h"
#include "base/str.h"
#include "ev/loop.h"
#include "http/url.h"
#include "json/get.h"
#include "vpack/vpack.h"

#define PATIENCE_MS		(30 * 1000)
#define PAUSE_MS		200
#define PAUSE_MAX_MS		1000
#define TRY_TIMEOUT_MS		(30 * 1000)
#define TRY_TIMEOUT_MIN_MS	1000
#define REDIRECTS_MAX		5
#define ANSWER_MAX_BYTES	((size_t)1024 * 1024 * 1024)

struct arango_agency {
	struct arango		*a;
	struct arango_cancel	*cancel;
	uint64_t		 patience_ms;
	struct arango_server	*leader;	/* as far as we know */
};

struct arango_agency *
arango_agency_new(struct arango *a, struct arango_cancel *cancel)
{
	struct arango_agency	*ag = xcalloc(1, sizeof(*ag));

	ag->a = a;
	ag->cancel = cancel;
	ag->patience_ms = PATIENCE_MS;
	return ag;
}

void
arango_agency_free(struct arango_agency **ag)
{
	free(*ag);
	*ag = NULL;
}

int
arango_agency_add(struct arango_agency *ag, const char *endpoint,
    struct err_msg *m)
{
	char	*url;
	int	 r;

	if ((r = url_from_endpoint(endpoint, 0, &url, m)) != 0)
		return r;
	r = arango_server_put(ag->a, url, ARANGO_AGENT, url, NULL, m);
	free(url);
	return r;
}

void
arango_agency_set_patience(struct arango_agency *ag, uint64_t ms)
{
	ag->patience_ms = ms;
}

struct arango *
arango_agency_cluster(const struct arango_agency *ag)
{
	return ag->a;
}

struct arango_cancel *
agency_cancel(const struct arango_agency *ag)
{
	return ag->cancel;
}

/*
 * An agent that hangs must not take all the patience: another one may lead by
 * then.
 */
static uint32_t
try_timeout(const struct arango_agency *ag)
{
	return (uint32_t)MAX(MIN(ag->patience_ms / 3, TRY_TIMEOUT_MS),
	    TRY_TIMEOUT_MIN_MS);
}

/* ---- who leads ---------------------------------------------------------- */

static int
get(struct arango_agency *ag, struct arango_server *to, const char *path,
    struct json_object **out, struct err_msg *m)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	int			 r;

	req.to = to;
	req.path = path;
	req.timeout_ms = MIN(10 * 1000, try_timeout(ag));
	req.cancel = ag->cancel;
	r = arango_call(ag->a, &req, &ans);
	if (r == 0)
		r = arango_answer_json(&ans, out);
	if (r != 0 && m != NULL)
		*m = ans.msg;
	arango_answer_free(&ans);
	return r;
}

/* Put every agent of the pool on our list; 0 or ERR_FORMAT. */
static int
take_config(struct arango_agency *ag, struct json_object *config,
    const char **leader, struct err_msg *m)
{
	struct json_object	*pool;
	int			 r;

	if ((r = json_need_string(config, "leaderId", leader, m)) != 0 ||
	    (r = json_need_object(config, "configuration.pool", &pool,
	    m)) != 0)
		return r;
	json_object_object_foreach(pool, id, v) {
		if (!json_object_is_type(v, json_type_string))
			return err_set(m, ERR_FORMAT, "agency: the pool has "
			    "no endpoint for %s", id);
		r = arango_server_put(ag->a, id, ARANGO_AGENT,
		    json_object_get_string(v), NULL, m);
		if (r != 0)
			return r;
	}
	return 0;
}

/* Through a coordinator: who are the agents? */
static int
take_health(struct arango_agency *ag, struct err_msg *m)
{
	struct json_object	*o, *health;
	const char		*role, *endpoint;
	int			 r;

	r = get(ag, NULL, "/_admin/cluster/health", &o, m);
	if (r != 0)
		return r;
	if ((r = json_need_object(o, "Health", &health, m)) == 0) {
		json_object_object_foreach(health, id, v) {
			role = json_string_or(v, "Role", "");
			endpoint = json_string_or(v, "Endpoint", "");
			if (strcasecmp(role, "agent") == 0)
				arango_server_put(ag->a, id, ARANGO_AGENT,
				    endpoint, NULL, NULL);
		}
	}
	json_object_put(o);
	return r;
}

/* Ask one agent. 0 and ag->leader, or why not. */
static int
ask_agent(struct arango_agency *ag, struct arango_server *s, struct err_msg *m)
{
	struct json_object	*config;
	const char		*leader;
	int			 r;

	if ((r = get(ag, s, "/_api/agency/config", &config, m)) != 0)
		return r;
	if ((r = take_config(ag, config, &leader, m)) == 0) {
		ag->leader = *leader == '\0' ? NULL :
		    arango_server_get(ag->a, leader);
		if (ag->leader == NULL)
			r = err_set(m, ERR_BAD_STATE, "%s: the agency has no "
			    "leader", arango_name(ag->a));
	}
	json_object_put(config);
	return r;
}

/* One round over all agents that we know of. */
static int
find_leader(struct arango_agency *ag, struct err_msg *m)
{
	struct arango_server	*s;
	size_t			 i, asked = 0;
	unsigned		 round;
	int			 r = ERR_NOT_FOUND;

	err_set(m, r, "%s: no agent is known", arango_name(ag->a));
	for (round = 0; round < 2; round++) {
		/* The list may grow meanwhile. */
		for (i = 0; (s = arango_server_at(ag->a, i)) != NULL; i++) {
			if (s->role != ARANGO_AGENT)
				continue;
			asked++;
			if ((r = ask_agent(ag, s, m)) == 0 ||
			    r == ERR_CANCELLED)
				return r;
		}
		if (asked > 0 && round > 0)
			break;
		if (round == 0 && take_health(ag, asked > 0 ? NULL : m) != 0)
			break;
	}
	return r;
}

/*
 * A follower named the leader.  It must be one of the agents that we know:
 * what goes there carries a superuser token.
 */
static int
follow(struct arango_agency *ag, const char *location, struct err_msg *m)
{
	struct arango_server	*s;
	struct url		 want, have;
	unsigned		 round;
	size_t			 i;
	bool			 same;
	int			 r;

	if (location == NULL || url_parse(location, &want, NULL) != 0)
		return err_set(m, ERR_PROTOCOL, "%s: an agent redirects to "
		    "nowhere", arango_name(ag->a));
	for (round = 0; round < 2; round++) {
		for (i = 0; (s = arango_server_at(ag->a, i)) != NULL; i++) {
			if (s->role != ARANGO_AGENT ||
			    url_parse(s->url, &have, NULL) != 0)
				continue;
			same = have.port == want.port &&
			    strcasecmp(have.host, want.host) == 0;
			url_free(&have);
			if (same) {
				ag->leader = s;
				url_free(&want);
				return 0;
			}
		}
		if (round == 0 && (r = find_leader(ag, m)) != 0) {
			url_free(&want);
			return r;
		}
	}
	r = err_set(m, ERR_PROTOCOL, "%s: an agent redirects to %s:%d, which "
	    "is no agent", arango_name(ag->a), want.host, want.port);
	url_free(&want);
	return r;
}

/* Is it worth to look for a leader again? */
static bool
is_passing(const struct arango_answer *ans)
{
	if (ans->err == ERR_CANCELLED || ans->err == ERR_DENIED ||
	    ans->err == ERR_TOO_BIG || ans->err == ERR_FORMAT)
		return false;
	if (ans->status == 0)
		return true;
	return ans->status == 503 || ans->status == 502 || ans->status == 504 ||
	    ans->status == 500;
}

int
agency_call(struct arango_agency *ag, struct arango_req *req,
    bool may_repeat, uint64_t deadline_ms, struct arango_answer *ans)
{
	struct loop	*loop = arango_loop(ag->a);
	struct err_msg	 m;
	uint64_t	 pause = PAUSE_MS;
	unsigned	 redirects = 0;
	int		 r;

	memset(ans, 0, sizeof(*ans));
	req->cancel = ag->cancel;
	for (;;) {
		r = ag->leader == NULL ? find_leader(ag, &m) : 0;
		if (r != 0) {
			arango_answer_free(ans);
			ans->err = r;
			ans->msg = m;
			if (r == ERR_CANCELLED || r == ERR_DENIED)
				return r;
		} else {
			req->to = ag->leader;
			arango_answer_free(ans);
			if (arango_call(ag->a, req, ans) == 0)
				return 0;
			if (ans->status == 307 && redirects++ < REDIRECTS_MAX) {
				r = follow(ag, arango_answer_header(ans,
				    "location"), &m);
				if (r == 0)
					continue;
				ans->err = r;
				ans->msg = m;
				ag->leader = NULL;
			} else if (!is_passing(ans) && ans->status != 307)
				return ans->err;
			else if (ans->unknown && !may_repeat)
				return ans->err;
			ag->leader = NULL;
		}
		if (loop_now_ms(loop) + pause >= deadline_ms)
			return ans->err;
		if (arango_sleep(ag->cancel, pause) != 0)
			return ans->err = err_set(&ans->msg, ERR_CANCELLED,
			    "cancelled");
		pause = MIN(pause * 2, PAUSE_MAX_MS);
		redirects = 0;
	}
}

uint64_t
agency_deadline(const struct arango_agency *ag)
{
	return loop_now_ms(arango_loop(ag->a)) + ag->patience_ms;
}

/* POST of JSON to the leader, for reads: tried again whatever happens. */
static int
post(struct arango_agency *ag, const char *path, const struct buf *body,
    struct json_object **out, struct err_msg *m)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	int			 r;

	req.method = "POST";
	req.path = path;
	req.body = body->data;
	req.len = body->len;
	req.timeout_ms = try_timeout(ag);
	req.max_body = ANSWER_MAX_BYTES;
	req.repeatable = true;
	r = agency_call(ag, &req, true, agency_deadline(ag), &ans);
	if (r == 0)
		r = arango_answer_json(&ans, out);
	if (r != 0 && m != NULL)
		*m = ans.msg;
	arango_answer_free(&ans);
	return r;
}

/* ---- reading ------------------------------------------------------------ */

int
arango_agency_read(struct arango_agency *ag, const char *const *paths,
    size_t npaths, struct json_object **out, struct err_msg *m)
{
	struct buf		 b = BUF_INIT;
	struct json_object	*list, *one;
	size_t			 i;
	int			 r;

	buf_append_str(&b, "[[");
	for (i = 0; i < npaths; i++) {
		if (i > 0)
			buf_append_u8(&b, ',');
		vp_string_to_json(&b, paths[i], strlen(paths[i]), 0);
	}
	buf_append_str(&b, "]]");
	r = post(ag, "/_api/agency/read", &b, &list, m);
	buf_free(&b);
	if (r != 0)
		return r;
	one = json_object_is_type(list, json_type_array) &&
	    json_object_array_length(list) == 1 ?
	    json_object_array_get_idx(list, 0) : NULL;
	if (!json_object_is_type(one, json_type_object))
		r = err_set(m, ERR_FORMAT, "%s: the agency answers a read "
		    "with something else", arango_name(ag->a));
	else
		*out = json_object_get(one);
	json_object_put(list);
	return r;
}

struct json_object *
agency_walk(struct json_object *root, const char *path)
{
	struct json_object	*o = root;
	char			*part;
	size_t			 n;

	while (*path != '\0' && o != NULL) {
		path += strspn(path, "/");
		if ((n = strcspn(path, "/")) == 0)
			break;
		part = xstrndup(path, n);
		if (!json_object_is_type(o, json_type_object) ||
		    !json_object_object_get_ex(o, part, &o))
			o = NULL;
		free(part);
		path += n;
	}
	return o;
}

int
arango_agency_get(struct arango_agency *ag, const char *path,
    struct json_object **out, struct err_msg *m)
{
	struct json_object	*root;
	int			 r;

	if ((r = arango_agency_read(ag, &path, 1, &root, m)) != 0)
		return r;
	*out = json_object_get(agency_walk(root, path));
	json_object_put(root);
	return 0;
}

/* ---- transactions ------------------------------------------------------- */

static void
add_key(struct buf *b, const char *path)
{
	if (b->len > 0)
		buf_append_u8(b, ',');
	vp_string_to_json(b, path, strlen(path), 0);
	buf_append_u8(b, ':');
}

void
agency_trx_set_text(struct agency_trx *t, const char *path, const char *json,
    uint32_t ttl_s)
{
	add_key(&t->ops, path);
	buf_printf(&t->ops, "{\"op\":\"set\",\"new\":%s", json);
	if (ttl_s != 0)
		buf_printf(&t->ops, ",\"ttl\":%" PRIu32, ttl_s);
	buf_append_u8(&t->ops, '}');
}

void
agency_trx_set(struct agency_trx *t, const char *path,
    struct json_object *value, uint32_t ttl_s)
{
	char	*text = json_to_text(value);

	agency_trx_set_text(t, path, text, ttl_s);
	free(text);
}

void
agency_trx_delete(struct agency_trx *t, const char *path)
{
	add_key(&t->ops, path);
	buf_append_str(&t->ops, "{\"op\":\"delete\"}");
}

void
agency_trx_increment(struct agency_trx *t, const char *path)
{
	add_key(&t->ops, path);
	buf_append_str(&t->ops, "{\"op\":\"increment\"}");
}

static void
add_pre(struct agency_trx *t, const char *path, const char *what,
    struct json_object *value)
{
	add_key(&t->pre, path);
	buf_printf(&t->pre, "{\"%s\":", what);
	json_append(&t->pre, value);
	buf_append_u8(&t->pre, '}');
}

void
agency_trx_pre_old(struct agency_trx *t, const char *path,
    struct json_object *value)
{
	add_pre(t, path, "old", value);
}

void
agency_trx_pre_old_not(struct agency_trx *t, const char *path,
    struct json_object *value)
{
	add_pre(t, path, "oldNot", value);
}

void
agency_trx_pre_empty(struct agency_trx *t, const char *path, bool empty)
{
	add_key(&t->pre, path);
	buf_printf(&t->pre, "{\"oldEmpty\":%s}", empty ? "true" : "false");
}

void
agency_trx_free(struct agency_trx *t)
{
	buf_free(&t->ops);
	buf_free(&t->pre);
}

/*
 * The log index of the only transaction in {"results":[n]} or, from an inquiry
 * of older agencies, {"results":[[n]]}.
 */
static int
only_result(struct json_object *o, uint64_t *index)
{
	struct json_object	*v = json_at(o, "results.0");
	size_t			 n;

	if (json_object_is_type(v, json_type_array)) {
		n = json_object_array_length(v);
		v = n == 0 ? NULL : json_object_array_get_idx(v, n - 1);
	}
	if (!json_object_is_type(v, json_type_int))
		return ERR_FORMAT;
	*index = json_object_get_uint64(v);
	return 0;
}

static int
read_result(struct arango_answer *ans, uint64_t *index)
{
	struct json_object	*o;
	int			 r;

	if (json_parse(buf_cstr(&ans->body), ans->body.len, &o, NULL) != 0)
		return ERR_FORMAT;
	r = only_result(o, index);
	json_object_put(o);
	return r;
}

/*
 * What became of a write whose answer was lost?  0 and *index; ERR_NOT_FOUND:
 * the log does not have it; others: could not be asked.
 */
static int
inquire(struct arango_agency *ag, const char *client, uint64_t deadline_ms,
    uint64_t *index, struct err_msg *m)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	char			*body = xasprintf("[\"%s\"]", client);
	int			 r;

	req.method = "POST";
	req.path = "/_api/agency/inquire";
	req.body = body;
	req.len = strlen(body);
	req.timeout_ms = try_timeout(ag);
	req.repeatable = true;
	r = agency_call(ag, &req, true, deadline_ms, &ans);
	if (r == 0 && (read_result(&ans, index) != 0 || *index == 0))
		r = ERR_NOT_FOUND;
	else if (r != 0 && ans.status == 404)
		r = ERR_NOT_FOUND;
	else if (r != 0)
		*m = ans.msg;
	arango_answer_free(&ans);
	free(body);
	return r;
}

static void
write_body(struct agency_trx *t, struct buf *b)
{
	if (*t->client == '\0') {
		str_copy(t->client, sizeof(t->client), "arangosync-");
		rand_hex(t->client + strlen(t->client), 32);
	}
	buf_append_str(b, "[[{");
	buf_append(b, t->ops.data, t->ops.len);
	buf_append_str(b, "},{");
	buf_append(b, t->pre.data, t->pre.len);
	buf_printf(b, "},\"%s\"]]", t->client);
}

int
arango_agency_write(struct arango_agency *ag, struct agency_trx *t,
    uint64_t *index, struct err_msg *m)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	struct buf		 b = BUF_INIT;
	struct err_msg		 im;
	uint64_t		 deadline = agency_deadline(ag), n = 0;
	int			 r;

	write_body(t, &b);
	req.method = "POST";
	req.path = "/_api/agency/write";
	req.body = b.data;
	req.len = b.len;
	req.timeout_ms = try_timeout(ag);
	for (;;) {
		r = agency_call(ag, &req, false, deadline, &ans);
		if (r == 0 && (read_result(&ans, &n) != 0 || n == 0))
			r = err_set(&ans.msg, ERR_FORMAT, "%s: the agency "
			    "answers a write with something else",
			    arango_name(ag->a));
		else if (ans.status == 412)
			r = err_set(&ans.msg, ERR_BAD_STATE, "%s: precondition "
			    "failed in the agency", arango_name(ag->a));
		if (r == 0 || r == ERR_BAD_STATE || r == ERR_CANCELLED ||
		    !ans.unknown)
			break;
		/* A request that was cut off may still be on its way. */
		if ((r = arango_sleep(ag->cancel, PAUSE_MS)) != 0)
			break;
		r = inquire(ag, t->client, deadline, &n, &im);
		if (r == 0)
			break;
		if (r != ERR_NOT_FOUND ||
		    loop_now_ms(arango_loop(ag->a)) >= deadline) {
			r = err_set(&ans.msg, ERR_TIMEOUT, "%s: not known "
			    "whether the agency took a write",
			    arango_name(ag->a));
			break;
		}
		arango_answer_free(&ans);
	}
	if (r == 0 && index != NULL)
		*index = n;
	if (r != 0 && m != NULL)
		*m = ans.msg;
	arango_answer_free(&ans);
	buf_free(&b);
	return r;
}

int
arango_agency_transact(struct arango_agency *ag, const char *json, size_t len,
    struct json_object **out, struct err_msg *m)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	int			 r;

	req.method = "POST";
	req.path = "/_api/agency/transact";
	req.body = json;
	req.len = len;
	req.timeout_ms = try_timeout(ag);
	req.max_body = ANSWER_MAX_BYTES;
	r = agency_call(ag, &req, false, agency_deadline(ag), &ans);
	/* 412: some write failed; the list says which. */
	if (r == 0 || ans.status == 412)
		r = arango_answer_json(&ans, out);
	if (r == 0 && !json_object_is_type(*out, json_type_array)) {
		json_object_put(*out);
		r = err_set(&ans.msg, ERR_FORMAT, "%s: the agency answers a "
		    "transaction with no list", arango_name(ag->a));
	}
	if (r != 0 && m != NULL)
		*m = ans.msg;
	arango_answer_free(&ans);
	return r;
}
