/*
 * agency.c - the agency as a coordinator or DB-server uses it: requests with
 * retries, ids, and the local copy of the key space.  Registration and
 * heartbeats are in agency_self.c.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/random.h"
#include "json/get.h"
#include "sandbox/agency_client.h"
#include "sandbox/rpc.h"

#define ATTEMPT_MS		10000	/* one request, at most */
#define RETRY_MIN_MS		50
#define RETRY_MAX_MS		1000
#define POLL_S			20
#define POLL_ATTEMPT_MS		(POLL_S * 1000 + 10000)
/* arangod takes ids in blocks of this size. */
#define ID_BLOCK		1000000

struct watcher {
	struct watcher	*next;
	void		(*fn)(void *, const char *);
	void		*arg;
};

int
agency_new(struct sb_server *s, const char *base, const char *server_id,
    struct agency **out)
{
	struct agency	*a = xcalloc(1, sizeof(*a));

	a->refs = 1;
	a->server = s;
	a->loop = sb_server_loop(s);
	a->base = xstrdup(base);
	a->id = xstrdup(server_id);
	a->copy = agency_store_new();
	a->status = xstrdup("STARTUP");
	*out = a;
	return 0;
}

void
agency_unref(struct agency *a)
{
	struct watcher	*w;

	if (--a->refs > 0)
		return;
	while ((w = a->watchers) != NULL) {
		a->watchers = w->next;
		free(w);
	}
	agency_store_free(&a->copy);
	free(a->base);
	free(a->id);
	free(a->status);
	free(a);
}

void
agency_free(struct agency **ap)
{
	struct agency	*a = *ap;

	if (a == NULL)
		return;
	*ap = NULL;
	a->stopping = true;
	fiber_cond_broadcast(&a->changed);
	agency_unref(a);
}

/* ---- requests ----------------------------------------------------------- */

/* Next pause between two attempts; both grow together with their number. */
static uint32_t
retry_ms(unsigned attempt)
{
	uint32_t	ms = RETRY_MIN_MS << (attempt > 5 ? 5 : attempt);

	return ms > RETRY_MAX_MS ? RETRY_MAX_MS : ms;
}

static bool
is_over(struct agency *a, uint64_t deadline_ms)
{
	return a->stopping || (deadline_ms != FIBER_FOREVER &&
	    loop_now_ms(a->loop) >= deadline_ms);
}

static void
pause_before_retry(struct agency *a, unsigned attempt, uint64_t deadline_ms)
{
	uint64_t	now = loop_now_ms(a->loop), ms = retry_ms(attempt);

	if (deadline_ms != FIBER_FOREVER && deadline_ms > now &&
	    deadline_ms - now < ms)
		ms = deadline_ms - now;
	fiber_sleep_ms(ms);
}

/* One POST of a body (not consumed) with what is left of the time. */
int
agency_post(struct agency *a, const char *what, struct json_object *body,
    uint32_t attempt_ms, uint64_t deadline_ms, struct sb_resp *resp)
{
	struct buf	text = BUF_INIT;
	char		path[64];
	uint64_t	now = loop_now_ms(a->loop), left = attempt_ms;
	int		status;

	if (deadline_ms != FIBER_FOREVER) {
		/* A deadline that is over still gets one quick attempt. */
		left = deadline_ms > now + 100 ? deadline_ms - now : 100;
		if (left > attempt_ms)
			left = attempt_ms;
	}
	snprintf(path, sizeof(path), "/_api/agency/%s", what);
	json_append(&text, body);
	status = sb_call(a->server, a->base, "POST", path, NULL, text.data,
	    text.len, 0, (uint32_t)left, resp);
	buf_free(&text);
	return status;
}

/* An answer that will not be another one however often we ask. */
static bool
is_refusal(int status)
{
	return status >= 400 && status < 500 && status != 408 &&
	    status != 412 && status != 429;
}

/* POST until there is an answer 200, parsed into *out, or time is up. */
static int
post_until(struct agency *a, const char *what, struct json_object *body,
    uint64_t deadline_ms, struct json_object **out)
{
	struct sb_resp	 resp;
	unsigned	 attempt;
	int		 status;

	for (attempt = 0; attempt == 0 || !is_over(a, deadline_ms);
	    attempt++) {
		status = agency_post(a, what, body, ATTEMPT_MS, deadline_ms,
		    &resp);
		*out = status == 200 ? sb_resp_json(&resp) : NULL;
		sb_resp_free(&resp);
		if (*out != NULL)
			return 0;
		if (is_refusal(status)) {
			log_error("agency: %s refused with %d", what, status);
			return ERR_PROTOCOL;
		}
		pause_before_retry(a, attempt, deadline_ms);
	}
	return ERR_TIMEOUT;
}

int
agency_read(struct agency *a, uint64_t deadline_ms, struct json_object **out,
    const char *path, ...)
{
	struct json_object	*body, *paths, *list = NULL;
	va_list			 ap;
	int			 r;

	paths = json_object_new_array();
	va_start(ap, path);
	for (; path != NULL; path = va_arg(ap, const char *))
		json_object_array_add(paths, json_object_new_string(path));
	va_end(ap);
	body = json_object_new_array();
	json_object_array_add(body, paths);
	r = post_until(a, "read", body, deadline_ms, &list);
	json_object_put(body);
	if (r != 0)
		return r;
	*out = json_object_get(json_object_array_get_idx(list, 0));
	json_object_put(list);
	return *out == NULL ? ERR_PROTOCOL : 0;
}

/* ---- write transactions ------------------------------------------------- */

/* results[0] of an answer, or 0. */
static uint64_t
first_result(const struct sb_resp *resp)
{
	struct json_object	*o = sb_resp_json(resp);
	int64_t			 index;

	index = json_int_or(o, "results.0", 0);
	json_object_put(o);
	return index > 0 ? (uint64_t)index : 0;
}

/*
 * What became of the transaction with that client id?  1 and *index: it was
 * done; 0: the agency does not know it; negative: no answer.
 */
static int
inquire(struct agency *a, const char *client_id, uint64_t deadline_ms,
    uint64_t *index)
{
	struct json_object	*body = json_object_new_array();
	struct sb_resp		 resp;
	int			 status, r = ERR_TIMEOUT;

	json_object_array_add(body, json_object_new_string(client_id));
	status = agency_post(a, "inquire", body, ATTEMPT_MS, deadline_ms,
	    &resp);
	json_object_put(body);
	if (status == 200) {
		*index = first_result(&resp);
		r = *index != 0;
	} else if (status == 404)
		r = 0;
	sb_resp_free(&resp);
	return r;
}

/*
 * Send once.  0 and *index; ERR_BAD_STATE, ERR_PROTOCOL; ERR_TIMEOUT when it
 * is not known whether it was done, ERR_CLOSED when it certainly was not.
 */
static int
commit_once(struct agency *a, struct json_object *body, uint64_t deadline_ms,
    uint64_t *index)
{
	struct sb_resp	resp;
	int		status, r = ERR_TIMEOUT;

	status = agency_post(a, "write", body, ATTEMPT_MS, deadline_ms, &resp);
	if (status == 200) {
		*index = first_result(&resp);
		if (*index != 0)
			r = 0;
	} else if (status == 412)
		r = ERR_BAD_STATE;
	else if (is_refusal(status)) {
		log_error("agency: write refused with %d: %.*s", status,
		    (int)(resp.body.len > 300 ? 300 : resp.body.len),
		    resp.body.data == NULL ? "" : (char *)resp.body.data);
		r = ERR_PROTOCOL;
	} else if (status == 0 && !resp.maybe_sent)
		r = ERR_CLOSED;
	sb_resp_free(&resp);
	return r;
}

static int
commit_until(struct agency *a, struct json_object *body,
    const char *client_id, uint64_t deadline_ms, uint64_t *index)
{
	unsigned	attempt;
	bool		unknown = false;
	int		r;

	for (attempt = 0; attempt == 0 || !is_over(a, deadline_ms);
	    attempt++) {
		if (unknown) {
			r = inquire(a, client_id, deadline_ms, index);
			if (r == 1)
				return 0;
			if (r < 0) {
				pause_before_retry(a, attempt, deadline_ms);
				continue;
			}
		}
		r = commit_once(a, body, deadline_ms, index);
		if (r == ERR_BAD_STATE && unknown && inquire(a, client_id,
		    deadline_ms, index) == 1) {
			/* What failed is what an earlier attempt did. */
			return 0;
		}
		if (r != ERR_TIMEOUT && r != ERR_CLOSED)
			return r;
		unknown |= r == ERR_TIMEOUT;
		pause_before_retry(a, attempt, deadline_ms);
	}
	return ERR_TIMEOUT;
}

/* "<server id>:<uuid>", as arangod's servers do. */
static char *
client_id_new(struct agency *a)
{
	char	hex[33];

	rand_hex(hex, 32);
	return xasprintf("%s:%.8s-%.4s-%.4s-%.4s-%s", a->id, hex, hex + 8,
	    hex + 12, hex + 16, hex + 20);
}

int
agency_commit(struct agency *a, struct agency_trx *t, uint64_t deadline_ms,
    uint64_t *index)
{
	struct json_object	*body, *trx;
	uint64_t		 got = 0;
	char			*client_id = client_id_new(a);
	int			 r;

	trx = json_object_new_array();
	json_object_array_add(trx, json_object_get(t->ops));
	json_object_array_add(trx, json_object_get(t->pre));
	json_object_array_add(trx, json_object_new_string(client_id));
	body = json_object_new_array();
	json_object_array_add(body, trx);
	r = commit_until(a, body, client_id, deadline_ms, &got);
	json_object_put(body);
	free(client_id);
	agency_trx_free(t);
	if (r == 0 && index != NULL)
		*index = got;
	return r;
}

/* ---- ids ---------------------------------------------------------------- */

static int
ids_fetch(struct agency *a, uint64_t step, uint64_t deadline_ms)
{
	struct agency_trx	 t;
	struct json_object	*body, *trx, *paths, *list;
	int64_t			 latest;
	int			 r;

	/* An answer that is lost loses a block of ids, no more. */
	agency_trx_init(&t);
	agency_increment(&t, (int64_t)step, "/arango/Sync/LatestID");
	trx = json_object_new_array();
	json_object_array_add(trx, json_object_get(t.ops));
	agency_trx_free(&t);
	paths = json_object_new_array();
	json_object_array_add(paths,
	    json_object_new_string("/arango/Sync/LatestID"));
	body = json_object_new_array();
	json_object_array_add(body, trx);
	json_object_array_add(body, paths);
	r = post_until(a, "transact", body, deadline_ms, &list);
	json_object_put(body);
	if (r != 0)
		return r;
	latest = json_int_or(list, "1.arango.Sync.LatestID", 0);
	json_object_put(list);
	if (latest <= (int64_t)step)
		return ERR_PROTOCOL;
	a->id_next = (uint64_t)latest - step;
	a->id_end = (uint64_t)latest;
	return 0;
}

int
agency_ids(struct agency *a, uint32_t n, uint64_t *first,
    uint64_t deadline_ms)
{
	int	r;

	if (a->id_end - a->id_next < n) {
		if ((r = fiber_mutex_lock_until(&a->id_lock,
		    deadline_ms)) != 0)
			return r;
		/* Somebody else may have fetched while we waited. */
		if (a->id_end - a->id_next < n)
			r = ids_fetch(a, n > ID_BLOCK ? n : ID_BLOCK,
			    deadline_ms);
		fiber_mutex_unlock(&a->id_lock);
		if (r != 0)
			return r;
	}
	*first = a->id_next;
	a->id_next += n;
	return 0;
}

/* ---- the local copy ----------------------------------------------------- */

static void
notify(struct agency *a, const char *path)
{
	struct watcher	*w;

	for (w = a->watchers; w != NULL; w = w->next)
		w->fn(w->arg, path);
}

static void
notify_entry(struct agency *a, struct json_object *query)
{
	char	*path;

	json_object_object_foreach(query, key, val) {
		(void)val;
		path = agency_path_normalize(key);
		notify(a, path);
		free(path);
	}
}

/* 0, or ERR_PROTOCOL: the copy has to be read afresh. */
static int
take_entry(struct agency *a, struct json_object *e)
{
	struct json_object	*query;
	int64_t			 index;

	index = json_int_or(e, "index", -1);
	query = json_object_object_get(e, "query");
	if (!json_object_is_type(query, json_type_object) ||
	    index != (int64_t)a->index + 1)
		return ERR_PROTOCOL;
	if (agency_store_apply(a->copy, query, 0) != 0)
		return ERR_PROTOCOL;
	a->index++;
	notify_entry(a, query);
	return 0;
}

static int
take_all(struct agency *a, struct json_object *tree, int64_t index)
{
	if (index < 0 || agency_store_restore(a->copy, tree, NULL, 0) != 0)
		return ERR_PROTOCOL;
	a->index = (uint64_t)index;
	a->ready = true;
	notify(a, "/");
	return 0;
}

int
agency_take_answer(struct agency *a, struct json_object *answer)
{
	struct json_object	*result, *log, *tree;
	int64_t			 index;
	size_t			 i;
	int			 r = 0;

	result = json_at(answer, "result");
	if (!json_object_is_type(result, json_type_object))
		return ERR_PROTOCOL;
	index = json_int_or(result, "commitIndex", -1);
	if (json_object_object_get_ex(result, "readDB", &tree)) {
		r = take_all(a, tree, index);
		fiber_cond_broadcast(&a->changed);
		return r;
	}
	log = json_object_object_get(result, "log");
	if (!json_object_is_type(log, json_type_array) ||
	    index < (int64_t)a->index)
		return ERR_PROTOCOL;
	for (i = 0; r == 0 && i < json_object_array_length(log); i++)
		r = take_entry(a, json_object_array_get_idx(log, i));
	if (i > 0)
		fiber_cond_broadcast(&a->changed);
	return r;
}

/* One poll; 0, or negative: wait a little. */
static int
poll_once(struct agency *a, bool *afresh)
{
	struct sb_resp		 resp;
	struct json_object	*answer;
	char			 path[96];
	int			 status, r;

	snprintf(path, sizeof(path), "/_api/agency/poll?index=%llu&timeout=%d",
	    (unsigned long long)(*afresh ? 0 : a->index + 1), POLL_S);
	status = sb_call(a->server, a->base, "GET", path, NULL, NULL, 0, 0,
	    POLL_ATTEMPT_MS, &resp);
	answer = status == 200 ? sb_resp_json(&resp) : NULL;
	sb_resp_free(&resp);
	if (a->stopping) {
		json_object_put(answer);
		return 0;
	}
	if (a->reachable != (answer != NULL)) {
		a->reachable = answer != NULL;
		log_info("agency: %s", a->reachable ? "reached" :
		    "cannot be reached");
	}
	if (answer == NULL) {
		if (status != 0 && status != 503)
			*afresh = true;
		return ERR_TIMEOUT;
	}
	r = agency_take_answer(a, answer);
	json_object_put(answer);
	*afresh = r != 0;
	return r;
}

static void
poller(void *arg)
{
	struct agency	*a = arg;
	bool		 afresh = true;
	unsigned	 failures = 0;

	while (!a->stopping) {
		if (poll_once(a, &afresh) == 0)
			failures = 0;
		else
			fiber_sleep_ms(retry_ms(failures++));
	}
	agency_unref(a);
}

void
agency_start(struct agency *a)
{
	a->refs++;
	(void)fiber_spawn(a->loop, poller, a);
}

int
agency_wait_ready(struct agency *a, uint64_t deadline_ms)
{
	while (!a->ready)
		if (a->stopping || fiber_cond_wait_until(&a->changed,
		    deadline_ms) != 0)
			return a->ready ? 0 : ERR_TIMEOUT;
	return 0;
}

int
agency_wait_index(struct agency *a, uint64_t index, uint64_t deadline_ms)
{
	while (!a->ready || a->index < index)
		if (a->stopping || fiber_cond_wait_until(&a->changed,
		    deadline_ms) != 0)
			return a->ready && a->index >= index ? 0 :
			    ERR_TIMEOUT;
	return 0;
}

uint64_t
agency_index(const struct agency *a)
{
	return a->index;
}

struct fiber_cond *
agency_changed(struct agency *a)
{
	return &a->changed;
}

bool
agency_is_reachable(const struct agency *a)
{
	return a->reachable;
}

void
agency_watch(struct agency *a, void (*fn)(void *, const char *), void *arg)
{
	struct watcher	*w = xcalloc(1, sizeof(*w));

	w->fn = fn;
	w->arg = arg;
	w->next = a->watchers;
	a->watchers = w;
}

struct json_object *
agency_peek(struct agency *a, const char *fmt, ...)
{
	struct json_object	*o;
	va_list			 ap;
	char			*path;

	va_start(ap, fmt);
	if (vasprintf(&path, fmt, ap) == -1)
		fatal("out of memory");
	va_end(ap);
	o = agency_store_get(a->copy, path);
	free(path);
	return o;
}
