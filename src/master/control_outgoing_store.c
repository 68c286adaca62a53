/*
 * control_outgoing_store.c - what is kept in the agency about targets (product
 * reference 1.5) and about who led their shards
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "ev/loop.h"
#include "json/get.h"
#include "master/control_outgoing_priv.h"

#define FLUSH_MS	1000	/* R28: at most one transaction a second */
#define FLUSH_MAX	500	/* keys in one */
#define ENDPOINTS_MAX	64

/* ---- writing ------------------------------------------------------------ */

int
outgoing_write(struct control_outgoing *o, struct agency_trx *t,
    struct err_msg *m)
{
	if (o->ended)
		return err_set(m, ERR_CANCELLED, "not the leader");
	agency_trx_pre_old(t, CONTROL_ROOT "/leader", o->c->id_json);
	return arango_agency_write(o->agency, t, NULL, m);
}

struct json_object *
outgoing_target_json(const struct out_target *t)
{
	struct json_object	*o = json_object_new_object();

	json_set_string(o, "id", t->id);
	json_set(o, "target", json_object_get(t->endpoints));
	json_set_string(o, "state", outgoing_state_name(t->state));
	json_set_bool(o, "active_barrier", t->barrier.active);
	/* Ours: what its processes are called. */
	json_set_string(o, "suffix", t->suffix);
	return o;
}

static void
put_leader(struct agency_trx *trx, const char *key, const struct out_leader *l)
{
	struct json_object	*o = json_object_new_object();
	char			*path;

	path = xasprintf(OUTGOING_LEADERS "/%s", key);
	json_set_string(o, "server", l->server);
	json_set_uint(o, "changes", l->changes);
	agency_trx_set(trx, path, o, 0);
	json_object_put(o);
	free(path);
}

/* Leaders that are new, and those of collections that are gone. */
static size_t
gather_leaders(struct control_outgoing *o, struct agency_trx *trx)
{
	struct map_iter		 it;
	struct out_leader	*l;
	char			*path;
	size_t			 n = 0;

	MAP_FOREACH(&o->leaders, it) {
		l = it.value;
		if (!l->dirty || n >= FLUSH_MAX)
			continue;
		l->dirty = false;
		put_leader(trx, it.key, l);
		n++;
	}
	MAP_FOREACH(&o->forgotten, it) {
		path = xasprintf(OUTGOING_LEADERS "/%s", it.key);
		agency_trx_delete(trx, path);
		free(path);
		n++;
	}
	map_free(&o->forgotten, NULL);
	return n;
}

static size_t
gather(struct control_outgoing *o, struct agency_trx *trx)
{
	struct map_iter		 it;
	struct out_target	*t;
	struct json_object	*json;
	char			*path;
	size_t			 n = 0;

	MAP_FOREACH(&o->targets, it) {
		t = it.value;
		if (!t->dirty)
			continue;
		t->dirty = false;
		path = xasprintf(OUTGOING_KEY "/targets/%s", t->id);
		json = outgoing_target_json(t);
		agency_trx_set(trx, path, json, 0);
		json_object_put(json);
		free(path);
		n++;
	}
	if (n > 0)
		agency_trx_set_text(trx, OUTGOING_STATE "/structureVersion",
		    "\"0.2\"", 0);
	return n + gather_leaders(o, trx);
}

static void
all_dirty(struct control_outgoing *o)
{
	struct map_iter	 it;

	MAP_FOREACH(&o->targets, it)
		((struct out_target *)it.value)->dirty = true;
	MAP_FOREACH(&o->leaders, it)
		((struct out_leader *)it.value)->dirty = true;
}

static void
flush_fiber(void *arg)
{
	struct control_outgoing	*o = arg;
	struct agency_trx	 trx = AGENCY_TRX_INIT;
	struct err_msg		 m = { "" };
	int			 r;

	if (!o->ended && gather(o, &trx) > 0) {
		r = outgoing_write(o, &trx, &m);
		if (r != 0 && !o->ended) {
			log_warning("the state of the outgoing "
			    "synchronization cannot be stored: %s; trying "
			    "again", m.text);
			/* Which of them were new is not worth knowing. */
			all_dirty(o);
		}
	}
	agency_trx_free(&trx);
	o->flushing = false;
	o->flushed_ms = loop_now_ms(o->c->loop);
	outgoing_release(&o);
}

static bool
is_dirty(const struct control_outgoing *o)
{
	struct map_iter	 it;

	MAP_FOREACH(&o->targets, it)
		if (((struct out_target *)it.value)->dirty)
			return true;
	MAP_FOREACH(&o->leaders, it)
		if (((struct out_leader *)it.value)->dirty)
			return true;
	return map_count(&o->forgotten) > 0;
}

void
outgoing_flush(struct control_outgoing *o)
{
	if (o->flushing || o->ended || !is_dirty(o) ||
	    loop_now_ms(o->c->loop) - o->flushed_ms < FLUSH_MS)
		return;
	o->flushing = true;
	fiber_spawn(o->c->loop, flush_fiber, outgoing_hold(o));
}

/* ---- reading ------------------------------------------------------------ */

struct json_object *
outgoing_strings(struct json_object *o, const char *name)
{
	struct json_object	*list = json_object_new_array();
	struct json_object	*v = json_at(o, name), *s;
	size_t			 i, n;

	if (!json_object_is_type(v, json_type_array))
		return list;
	n = MIN(json_object_array_length(v), ENDPOINTS_MAX);
	for (i = 0; i < n; i++) {
		s = json_object_array_get_idx(v, i);
		if (json_object_is_type(s, json_type_string))
			json_object_array_add(list, json_object_get(s));
	}
	return list;
}

static void
load_targets(struct control_outgoing *o)
{
	struct json_object	*all, *barriers;
	struct out_target	*t;

	all = control_state_at(o->c, "synchronizationState", "outgoing",
	    "targets", NULL);
	barriers = control_state_at(o->c, "x", "barrier", NULL);
	if (!json_object_is_type(all, json_type_object))
		return;
	json_object_object_foreach(all, id, v) {
		if (!outgoing_is_id(id) ||
		    !json_object_is_type(v, json_type_object))
			continue;
		t = outgoing_target_new(o, id);
		json_object_put(t->endpoints);
		t->endpoints = outgoing_strings(v, "target");
		t->state = t->stored_state = outgoing_state_of(
		    json_string_or(v, "state", ""));
		str_copy(t->suffix, sizeof(t->suffix),
		    json_string_or(v, "suffix", ""));
		outgoing_barrier_load(t, barriers == NULL ? NULL :
		    json_at(barriers, id));
		log_info("target %s: goes on", id);
		outgoing_target_begin(o, t);
		if (t->state == OUT_CANCELLING)
			outgoing_cancel(t);
	}
}

static void
load_leaders(struct control_outgoing *o)
{
	struct json_object	*all;
	struct out_leader	*l;
	char			*key;

	all = control_state_at(o->c, "x", "leaders", NULL);
	if (!json_object_is_type(all, json_type_object))
		return;
	json_object_object_foreach(all, cid, shards) {
		if (!json_object_is_type(shards, json_type_object))
			continue;
		json_object_object_foreach(shards, index, v) {
			l = xcalloc(1, sizeof(*l));
			str_copy(l->server, sizeof(l->server),
			    json_string_or(v, "server", ""));
			l->changes = (uint64_t)MAX(json_int_or(v, "changes",
			    1), 1);
			key = xasprintf("%s/%s", cid, index);
			free(map_put(&o->leaders, key, l));
			free(key);
		}
	}
}

void
outgoing_load(struct control_outgoing *o)
{
	load_leaders(o);
	load_targets(o);
}
