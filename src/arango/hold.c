/* hold.c - keeping the log of a DB-server (R2), and how far it goes */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arango/conn.h"
#include "arango/tail.h"
#include "ev/backoff.h"
#include "ev/loop.h"
#include "http/url.h"
#include "json/get.h"
#include "vpack/hash.h"

#define BACKOFF_MIN_MS	500
#define BACKOFF_MAX_MS	10000	/* pruning may begin 60 s after a boot */

struct arango_hold {
	struct arango_hold_opts	 o;
	char			*client_info;
	uint64_t		 tick;
	bool			 stopped, hurry;
	struct arango_cancel	 nap;
	struct fiber_mutex	 sending;
	struct backoff		 backoff;
};

uint64_t
arango_syncer_id(const char *source, const char *target, const char *server)
{
	uint64_t	 h = VP_FNV_INIT;

	h = vp_fnv64(source, strlen(source) + 1, h);
	h = vp_fnv64(target, strlen(target) + 1, h);
	h = vp_fnv64(server, strlen(server) + 1, h);
	return h == 0 ? 1 : h;
}

/* Bodies of old servers, which tail instead of only tracking. */
static int
ignore_data(void *arg, struct http_call *call, const uint8_t *p, size_t n)
{
	return 0;
}

static int
do_register(struct arango_hold *h, uint64_t tick, struct err_msg *m)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	char			*path;
	int			 r;

	/* to must not be 0, and keeps the answer of old servers short. */
	path = xasprintf("/_api/wal/tail?global=true&from=%" PRIu64 "&to=%"
	    PRIu64 "&trackOnly=true&syncerId=%" PRIu64 "&clientInfo=%s", tick,
	    MAX(tick, 1), h->o.syncer_id, h->client_info);
	req.to = h->o.server;
	req.path = path;
	req.timeout_ms = ARANGO_TIMEOUT_READ_MS;
	req.on_data = ignore_data;
	r = arango_call(h->o.cluster, &req, &ans);
	if (r != 0)
		*m = ans.msg;
	arango_answer_free(&ans);
	free(path);
	return r;
}

static void
hold_run(void *arg)
{
	struct arango_hold	*h = arg;
	struct loop		*loop = arango_loop(h->o.cluster);
	struct err_msg		 m;
	uint64_t		 pause;
	int			 r;

	while (!h->stopped) {
		memset(&h->nap, 0, sizeof(h->nap));
		h->hurry = false;
		fiber_mutex_lock(&h->sending);
		r = h->stopped ? ERR_CANCELLED : do_register(h, h->tick, &m);
		fiber_mutex_unlock(&h->sending);
		if (h->stopped)
			break;
		if (h->o.on_result != NULL)
			h->o.on_result(h->o.arg, r, r == 0 ? "" : m.text);
		if (r == 0)
			backoff_reset(&h->backoff);
		pause = r == 0 ? h->o.every_ms :
		    MIN(backoff_failed(&h->backoff, loop_now_ms(loop)),
		    BACKOFF_MAX_MS);
		if (!h->stopped && !h->hurry)
			arango_sleep(&h->nap, pause);
	}
	/* arango_hold_drop() may be at work. */
	fiber_mutex_lock(&h->sending);
	fiber_mutex_unlock(&h->sending);
	free(h->client_info);
	free(h);
}

struct arango_hold *
arango_hold_start(const struct arango_hold_opts *o)
{
	struct arango_hold	*h = xcalloc(1, sizeof(*h));

	bug_unless(o->syncer_id != 0);
	h->o = *o;
	h->tick = o->tick;
	h->client_info = url_encode(o->client_info);
	h->backoff = (struct backoff)BACKOFF_INIT(BACKOFF_MIN_MS,
	    BACKOFF_MAX_MS);
	fiber_spawn(arango_loop(o->cluster), hold_run, h);
	return h;
}

void
arango_hold_now(struct arango_hold *h)
{
	h->hurry = true;
	arango_cancel(&h->nap);
}

void
arango_hold_set(struct arango_hold *h, uint64_t tick)
{
	bool	 down = tick < h->tick;

	h->tick = tick;
	if (down)
		arango_hold_now(h);
}

uint64_t
arango_hold_tick(const struct arango_hold *h)
{
	return h->tick;
}

void
arango_hold_stop(struct arango_hold **hp)
{
	struct arango_hold	*h = *hp;

	*hp = NULL;
	if (h == NULL)
		return;
	h->stopped = true;
	arango_cancel(&h->nap);
}

/*
 * A server that cannot forget holds from its newest tick on, which is next to
 * nothing, until the entry expires.
 */
static int
hold_newest(struct arango_hold *h, struct err_msg *m)
{
	uint64_t	 tick;
	int		 r;

	r = arango_wal_last_tick(h->o.cluster, h->o.server, &tick, NULL, m);
	return r != 0 ? r : do_register(h, tick, m);
}

int
arango_hold_drop(struct arango_hold **hp, struct err_msg *m)
{
	struct arango_hold	*h = *hp;
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	struct err_msg		 em;
	char			*path;
	int			 r;

	*hp = NULL;
	if (h == NULL)
		return 0;
	/* A registration on its way must not come after the removal. */
	fiber_mutex_lock(&h->sending);
	h->stopped = true;
	path = xasprintf("/_api/wal/tail?syncerId=%" PRIu64, h->o.syncer_id);
	req.to = h->o.server;
	req.method = "DELETE";
	req.path = path;
	req.repeatable = true;
	r = arango_call(h->o.cluster, &req, &ans);
	em = ans.msg;
	if (r == ERR_HTTP && ans.status >= 400 && ans.status <= 405)
		r = hold_newest(h, &em);
	if (r != 0 && m != NULL)
		*m = em;
	arango_answer_free(&ans);
	free(path);
	arango_cancel(&h->nap);
	fiber_mutex_unlock(&h->sending);
	return r;
}

/* ---- how far the log goes ----------------------------------------------- */

int
arango_wal_range(struct arango *a, struct arango_server *s,
    struct arango_wal_range *range, struct err_msg *m)
{
	struct json_object	*o;
	int			 r;

	r = arango_json(a, s, "GET", NULL, "/_api/wal/range", NULL, 0, &o,
	    NULL, m);
	if (r != 0)
		return r;
	memset(range, 0, sizeof(*range));
	if ((r = json_need_id(o, "tickMin", &range->min, m)) == 0 &&
	    (r = json_need_id(o, "tickMax", &range->max, m)) == 0)
		r = json_want_id(o, "server.serverId", &range->server_id, m);
	json_object_put(o);
	return r;
}

int
arango_wal_last_tick(struct arango *a, struct arango_server *s, uint64_t *tick,
    uint64_t *server_id, struct err_msg *m)
{
	struct json_object	*o;
	uint64_t		 id = 0;
	int			 r;

	r = arango_json(a, s, "GET", NULL, "/_api/wal/lastTick", NULL, 0, &o,
	    NULL, m);
	if (r != 0)
		return r;
	if ((r = json_need_id(o, "tick", tick, m)) == 0)
		r = json_want_id(o, "server.serverId", &id, m);
	if (r == 0 && server_id != NULL)
		*server_id = id;
	json_object_put(o);
	return r;
}
