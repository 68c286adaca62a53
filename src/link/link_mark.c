/*
 * link_mark.c - how far the target is (R21), the clock of the source, status
 *
 * A mark is what watermark.h calls a channel.  When its receive dies it is kept:
 * what that had not applied is still missing.  After a while it is forgotten,
 * and at once when the receive had ended its subscription before: then the
 * shard is not replicated any more, or control says that it is not running.
 */
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "json/get.h"
#include "link/link_priv.h"

#define LEFT_MS		30000	/* a receive comes back before that */
#define SERVER_MS	60000	/* a server that says nothing and leads nothing
				 * has been left by its tail */
/* An answer to a ping that is older is none. */
#define PONG_MAX_US	((uint64_t)60 * 1000000)

void
link_mark_init(struct link *l)
{
	l->wm = wm_new();
}

/* ---- marks --------------------------------------------------------------------- */

static void
leave_server(struct mark *k)
{
	if (k->server == NULL)
		return;
	wm_channel_remove(&k->wm);
	k->server->marks--;
	k->server = NULL;
}

/* Ids are shown to people and programs: no bytes that they would stumble
 * over. */
static bool
is_server_id(const char *id)
{
	const char	*c;

	for (c = id; *c > ' ' && *c <= '~'; c++)
		;
	return c != id && *c == '\0';
}

static int
get_server(struct link *l, const char *id, struct link_server **out)
{
	struct link_server	*s = *out = map_get(&l->servers, id);

	if (s != NULL)
		return 0;
	if (!is_server_id(id))
		return ERR_FORMAT;
	if (map_count(&l->servers) >= LINK_SERVERS_MAX)
		return ERR_TOO_BIG;
	s = *out = xcalloc(1, sizeof(*s));
	(void)str_copy(s->id, sizeof(s->id), id);
	s->wm = wm_server(l->wm, id);
	s->seen_ms = loop_now_ms(l->loop);
	map_put(&l->servers, id, s);
	return 0;
}

/* The channel begins anew at that server. */
static int
set_mark(struct link *l, struct mark *k, const char *server, uint64_t applied,
    uint64_t queued, bool stalled)
{
	struct link_server	*s;
	int			 r;

	if (server[0] == '\0') {
		leave_server(k);
		return 0;
	}
	if (k->server == NULL || strcmp(k->server->id, server) != 0) {
		if ((r = get_server(l, server, &s)) != 0)
			return r;
		leave_server(k);
		k->server = s;
		s->marks++;
		k->wm = wm_channel_add(s->wm, applied);
	}
	wm_channel_set(k->wm, applied, queued, stalled);
	return 0;
}

struct mark *
link_mark_get(struct link *l, struct lane *lane)
{
	struct mark	*k;
	char		 name[256];

	channel_name_text(&lane->name, name);
	if ((k = map_get(&l->marks, name)) == NULL) {
		k = xcalloc(1, sizeof(*k));
		k->name = xstrdup(name);
		map_put(&l->marks, name, k);
	}
	if (k->lane != NULL && k->lane != lane)
		k->lane->mark = NULL;	/* it was replaced, and is about to go */
	k->lane = lane;
	link_mark_stall(k);
	return k;
}

struct lane *
link_mark_lane(struct link *l, const struct channel_name *name)
{
	char		 text[256];
	struct mark	*k = map_get(&l->marks, channel_name_text(name, text));

	return k == NULL ? NULL : k->lane;
}

static void
forget_mark(struct link *l, struct mark *k)
{
	leave_server(k);
	(void)map_del(&l->marks, k->name);
	free(k->name);
	free(k);
}

void
link_mark_leave(struct link *l, struct mark *k, bool subscribed)
{
	if (!subscribed) {
		forget_mark(l, k);
		return;
	}
	link_mark_stall(k);
	k->lane = NULL;
	k->left_ms = loop_now_ms(l->loop);
}

void
link_mark_stall(struct mark *k)
{
	if (k != NULL && k->wm != NULL)
		wm_channel_stall(k->wm, true);
}

int
link_mark_resume(struct link *l, struct mark *k,
    const struct channel_resume *r)
{
	if (k == NULL)
		return 0;
	return set_mark(l, k, r->pos.server, r->pos.tick, r->queued, false);
}

/*
 * Of a repair it is the first word about where the channel is; the receive
 * says when it has caught up.  A cut in the midst of records changes nothing.
 */
int
link_mark_cut(struct link *l, struct mark *k, const struct channel_cut *c)
{
	if (k == NULL || (k->server != NULL &&
	    strcmp(k->server->id, c->pos.server) == 0))
		return 0;
	return set_mark(l, k, c->pos.server, 0, c->pos.tick, true);
}

void
link_mark_queued(struct mark *k, const char *server, uint64_t tick)
{
	if (k == NULL || k->wm == NULL || (server != NULL &&
	    strcmp(server, k->server->id) != 0))
		return;
	wm_channel_queued(k->wm, tick);
}

void
link_mark_applied(struct mark *k, uint64_t tick, bool stalled)
{
	if (k->wm == NULL)
		return;
	wm_channel_applied(k->wm, tick);
	wm_channel_stall(k->wm, stalled);
}

int
link_mark_watermark(struct link *l, const struct channel_watermark *w)
{
	struct link_server	*s;
	int			 r;

	if ((r = get_server(l, w->pos.server, &s)) != 0)
		return r;
	s->seen_ms = loop_now_ms(l->loop);
	s->newest_tick = w->newest_tick;
	/* A tail that was started again begins where the queues are: until it
	 * is where its predecessor was it says nothing new. */
	if (wm_receive(s->wm, w->pos.reboot_id, w->pos.tick, w->source_us,
	    s->seen_ms) != 0)
		return 0;
	s->reboot_id = w->pos.reboot_id;
	s->tick = w->pos.tick;
	return 0;
}

/* ---- the clock ------------------------------------------------------------------- */

void
link_mark_pong(struct link *l, uint64_t sent_us, uint64_t source_us)
{
	uint64_t	 now = clock_wall_us(), rtt;
	unsigned	 i;

	if (sent_us == 0 || sent_us > now || now - sent_us > PONG_MAX_US ||
	    source_us > INT64_MAX)
		return;
	rtt = now - sent_us;
	i = l->pongs++ % LINK_PONGS;
	l->rtt_us[i] = rtt;
	l->offset_us[i] = (int64_t)source_us - (int64_t)(sent_us + rtt / 2);
}

/* The quickest answer of the last ones knows best; -1: there is none. */
static int
best_pong(const struct link *l)
{
	unsigned	 i, n = MIN(l->pongs, (unsigned)LINK_PONGS);
	int		 best = -1;

	for (i = 0; i < n; i++)
		if (best == -1 || l->rtt_us[i] < l->rtt_us[best])
			best = (int)i;
	return best;
}

/* ---- what is gone ------------------------------------------------------------------ */

void
link_mark_tick(struct link *l, uint64_t now_ms)
{
	struct map_iter		 it;
	struct link_server	*s;
	struct mark		*k;

	/* While nobody can subscribe, nobody is gone. */
	if (l->phase != LINK_UP || now_ms - l->phase_ms < LEFT_MS)
		return;
	MAP_FOREACH(&l->marks, it) {
		k = it.value;
		if (k->lane == NULL && now_ms - k->left_ms >= LEFT_MS)
			forget_mark(l, k);
	}
	MAP_FOREACH(&l->servers, it) {
		s = it.value;
		if (s->marks != 0 || now_ms - s->seen_ms < SERVER_MS)
			continue;
		log_info("source %s: DB-server %s leads nothing any more",
		    l->source, s->id);
		wm_server_remove(l->wm, s->id);
		(void)map_del(&l->servers, s->id);
		free(s);
	}
}

/* ---- status -------------------------------------------------------------------------- */

static struct json_object *
server_status(const struct link_server *s, uint64_t source_now_us)
{
	struct json_object	*o = json_object_new_object();
	uint64_t		 us = wm_server_complete_us(s->wm);

	json_set_string(o, "id", s->id);
	json_set_uint(o, "reboot_id", s->reboot_id);
	json_set_uint(o, "tick", s->tick);
	json_set_uint(o, "newest_tick", s->newest_tick);
	json_set_uint(o, "applied_tick", wm_server_tick(s->wm));
	if (us != 0) {
		json_set_uint(o, "complete_us", us);
		json_set_uint(o, "lag_us", source_now_us > us ?
		    source_now_us - us : 0);
	}
	return o;
}

static void
add_clock(const struct link *l, struct json_object *o, uint64_t *source_now)
{
	int	 best = best_pong(l);

	*source_now = 0;
	if (best == -1)
		return;
	*source_now = (uint64_t)((int64_t)clock_wall_us() +
	    l->offset_us[best]);
	json_set_int(o, "clock_offset_ms", l->offset_us[best] / 1000);
	json_set_int(o, "rtt_ms", (int64_t)(l->rtt_us[best] / 1000));
}

static void
add_counters(const struct link *l, struct json_object *o)
{
	struct lane	*lane;
	size_t		 n = 0, subscribed = 0, asleep = 0;

	TAILQ_FOREACH(lane, &l->lanes, next) {
		n++;
		asleep += lane->asleep;
		subscribed += lane->subscribed;
	}
	json_set_uint(o, "channels", n);
	json_set_uint(o, "subscribed", subscribed);
	json_set_uint(o, "asleep", asleep);
	json_set_uint(o, "live_bytes", l->live.bytes);
	json_set_uint(o, "bulk_bytes", l->bulk.bytes);
	json_set_uint(o, "up_bytes", l->up_bytes);
	json_set_uint(o, "sessions", l->sessions);
}

static const char *
state_name(const struct link *l)
{
	if (l->phase == LINK_UP)
		return "running";
	return l->error.text[0] != '\0' && l->why == LINK_WHY_REFUSED ?
	    "failed" : "initializing";
}

void
link_status(struct link *l)
{
	struct json_object	*o = json_object_new_object(), *list;
	struct wm_report	 r;
	struct map_iter		 it;
	uint64_t		 now = loop_now_ms(l->loop), source_now;

	json_set_string(o, "state", state_name(l));
	if (l->phase != LINK_UP && l->error.text[0] != '\0')
		json_set_string(o, "error", l->error.text);
	if (l->url != NULL)
		json_set_string(o, "endpoint", l->url);
	json_set_string(o, "source", l->source[0] != '\0' ? l->source :
	    l->conf.source);
	json_set_string(o, "source_version", l->version);
	add_clock(l, o, &source_now);
	if (l->message_us != 0) {
		json_set_uint(o, "message_ms", l->message_us / 1000);
		json_set_uint(o, "silent_us", (now - MAX(l->live.byte_ms,
		    l->bulk.byte_ms)) * 1000);
	}
	wm_report(l->wm, source_now, now, &r);
	if (r.silent != NULL) {
		json_set_string(o, "silent_server", r.silent);
		json_set_uint(o, "silent_server_us", r.silent_ms * 1000);
	}
	if (r.known) {
		json_set_uint(o, "complete_us", r.complete_us);
		json_set_uint(o, "lag_us", r.lag_us);
		json_set_string(o, "slowest", r.slowest);
	}
	list = json_object_new_array();
	MAP_FOREACH(&l->servers, it)
		json_object_array_add(list, server_status(it.value,
		    source_now));
	json_set(o, "servers", list);
	add_counters(l, o);
	worker_status(l->w, o);
}
