/*
 * control_outgoing_api.c - what others may know of the source: REST between
 * datacenters, and the source's part of status and tasks.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arango/tail.h"
#include "base/clock.h"
#include "ev/loop.h"
#include "json/get.h"
#include "link/link.h"
#include "master/control_incoming.h"
#include "master/control_outgoing_priv.h"
#include "master/control_topology.h"
#include "sync/structure.h"

#define CANCEL_WAIT_MS	10000

/* ---- who we are --------------------------------------------------------- */

struct json_object *
outgoing_identity(const struct control *c)
{
	struct json_object	*o = json_object_new_object();

	json_set_string(o, "cluster", c->cluster_id);
	json_set_string(o, "source", c->cluster_id);
	json_set_string(o, "version", c->conf->version);
	json_set_string(o, "arangodb", c->cluster_version);
	json_set_string(o, "role", "cluster");
	json_set_int(o, "protocol", LINK_PROTOCOL);
	json_set(o, "endpoints", control_endpoints(c));
	return o;
}

int
control_outgoing_get_info(struct control_call *call, struct json_object **out)
{
	struct json_object	*upstream;
	char			*hops;
	int			 n;

	if (call->c->cluster_id[0] == '\0' ||
	    call->c->cluster_version[0] == '\0')
		return control_say(out, 503, "the cluster has not answered "
		    "yet: service unavailable");
	hops = control_param(call, "hops");
	n = hops != NULL && *hops >= '0' && *hops <= '9' ? atoi(hops) : 0;
	free(hops);
	upstream = control_incoming_upstream(call->c, (unsigned)n);
	*out = outgoing_identity(call->c);
	json_set(*out, "upstream", upstream);
	return 200;
}

/* ---- which shards there are --------------------------------------------- */

static struct json_object *
shards_of_coll(const struct topo_collection *coll)
{
	struct json_object	*o = json_object_new_object();
	struct json_object	*shards = json_object_new_object(), *e;
	char			 index[24];
	size_t			 i;

	json_set_string(o, "collection_id", coll->cid);
	for (i = 0; i < coll->nshards; i++) {
		e = json_object_new_object();
		json_set_string(e, "ID", coll->shards[i].name);
		snprintf(index, sizeof(index), "%zu", i);
		json_set(shards, index, e);
	}
	json_set(o, "shards", shards);
	return o;
}

static struct json_object *
shards_of_db(const struct topo_database *db)
{
	struct json_object		*o = json_object_new_object();
	struct json_object		*in = json_object_new_object();
	struct json_object		*ex = json_object_new_object();
	const struct topo_collection	*coll;
	bool				 data;
	size_t				 i;

	json_set_string(o, "database_id", db->id);
	if (db->replication2)
		json_set_string(o, "error", "databases of replication version "
		    "2 cannot be replicated");
	for (i = 0; i < db->ncolls; i++) {
		coll = &db->colls[i];
		if (coll->building || coll->deleted)
			continue;
		data = structure_kind(coll->name, NULL) == STRUCTURE_DATA &&
		    !coll->smart_child && coll->nshards > 0;
		json_set(data ? in : ex, coll->name, shards_of_coll(coll));
	}
	json_set(o, "collections", in);
	if (json_object_object_length(ex) > 0)
		json_set(o, "excluded_collections", ex);
	else
		json_object_put(ex);
	return o;
}

struct json_object *
control_shards_of(const struct arango_topology *t)
{
	struct json_object	*o = json_object_new_object();
	struct json_object	*dbs = json_object_new_object();
	size_t			 i;

	json_set_string(o, "id", t->cluster_id);
	for (i = 0; i < t->ndbs; i++)
		if (!t->dbs[i].building)
			json_set(dbs, t->dbs[i].name,
			    shards_of_db(&t->dbs[i]));
	json_set(o, "databases", dbs);
	return o;
}

int
control_outgoing_get_shards(struct control_call *call,
    struct json_object **out)
{
	struct arango_topology	*t = control_topology(call->c);
	struct json_object	*list;

	if (t == NULL)
		return control_say(out, 503, "the structure of the cluster is "
		    "not known yet: service unavailable");
	list = json_object_new_array();
	json_object_array_add(list, control_shards_of(t));
	*out = json_object_new_object();
	json_set(*out, "datacenters", list);
	return 200;
}

/* ---- status ------------------------------------------------------------- */

static struct json_object *
shard_info(const struct out_send *x)
{
	struct json_object	*o = json_object_new_object();
	const char		*why = control_worker_word(x->worker, "error");

	if (*why == '\0' && x->worker->state == PROC_FAILED)
		why = x->worker->sentence;
	json_set_string(o, "database", x->name.db);
	json_set_string(o, "collection", x->coll);
	json_set_int(o, "shardIndex", x->name.shard);
	json_set_string(o, "status", outgoing_send_state(x));
	if (*why != '\0')
		json_set_string(o, "status_message", why);
	json_set_bool(o, "shard_master_known", true);
	return o;
}

/* Ours: what the processes of the source say of themselves. */
static struct json_object *
tails_info(const struct out_target *t)
{
	struct json_object	*list = json_object_new_array(), *e;
	struct out_tail		*x;
	struct map_iter		 it;

	MAP_FOREACH(&t->tails, it) {
		x = it.value;
		e = x->worker->status == NULL ? json_object_new_object() :
		    json_copy(x->worker->status);
		json_set_string(e, "server", x->server);
		json_set_string(e, "process",
		    proc_state_name(x->worker->state));
		if (x->worker->sentence[0] != '\0')
			json_set_string(e, "last_end", x->worker->sentence);
		json_object_array_add(list, e);
	}
	return list;
}

static struct json_object *
target_info(struct out_target *t, bool full)
{
	struct json_object	*o = json_object_new_object();
	struct json_object	*shards, *x;
	struct map_iter		 it;

	json_set_string(o, "id", t->id);
	json_set(o, "endpoint", json_object_get(t->endpoints));
	json_set_string(o, "status", outgoing_state_name(t->state));
	if (full && map_count(&t->sends) > 0) {
		shards = json_object_new_array();
		MAP_FOREACH(&t->sends, it)
			json_object_array_add(shards, shard_info(it.value));
		json_set(o, "shards", shards);
	}
	if (map_count(&t->sends) > 0)
		json_set_uint(o, "shardsCount", map_count(&t->sends));
	if (t->barrier.active)
		json_set_bool(o, "active_barrier", true);
	x = json_object_new_object();
	json_set_bool(x, "session", t->session);
	json_set_uint(x, "session_since_ms", loop_now_ms(t->o->c->loop) -
	    t->session_ms);
	json_set(x, "tails", tails_info(t));
	json_set(o, "x", x);
	return o;
}

struct json_object *
control_outgoing_info(struct control *c, bool full)
{
	struct json_object	*list = json_object_new_array();
	struct map_iter		 it;

	if (c->outgoing != NULL)
		MAP_FOREACH(&c->outgoing->targets, it)
			json_object_array_add(list, target_info(it.value,
			    full));
	return list;
}

bool
control_outgoing_has(const struct control *c, const char *cluster_id)
{
	return c->outgoing != NULL &&
	    map_has(&c->outgoing->targets, cluster_id) != 0;
}

/* 16 characters, the same as long as the task is the same. */
static void
task_id(struct json_object *o, const char *a, const char *b)
{
	char	 text[24];

	snprintf(text, sizeof(text), "%016" PRIx64,
	    arango_syncer_id(a, b, "task"));
	json_set_string(o, "id", text);
}

static void
add_task(struct json_object *list, const struct control_worker *w,
    const char *type, const char *target, const struct out_send *x)
{
	struct json_object	*o = json_object_new_object();
	struct json_object	*task = json_object_new_object();
	struct json_object	*where = json_object_new_object();
	char			 at[CLOCK_TEXT_SIZE];

	task_id(o, w->name, target);
	json_set_string(task, "type", type);
	if (x == NULL)
		json_set_bool(task, "persistent", true);
	json_set(task, "channels", json_object_new_object());
	json_set_string(task, "target_id", target);
	if (x != NULL) {
		json_set_string(task, "database", x->name.db);
		json_set_string(task, "collection", x->coll);
		json_set_int(task, "shardIndex", x->name.shard);
	}
	json_set(o, "task", task);
	/* All of them run in this daemon. */
	json_set_string(where, "worker_id", w->c->id);
	json_set_string(where, "created_at", clock_format_s(w->since_us, at));
	json_set_uint(where, "counter", MAX(w->starts, 1));
	json_set(o, "assignment", where);
	json_object_array_add(list, o);
}

void
control_outgoing_tasks(struct control *c, struct json_object *list)
{
	struct control_outgoing	*o = c->outgoing;
	struct out_target	*t;
	struct out_send		*x;
	struct map_iter		 i, j;

	if (o == NULL)
		return;
	MAP_FOREACH(&o->targets, i) {
		t = i.value;
		if (o->inventory != NULL)
			add_task(list, o->inventory, "send-inventory", t->id,
			    NULL);
		MAP_FOREACH(&t->sends, j) {
			x = j.value;
			add_task(list, x->worker, "send-shard", t->id, x);
		}
	}
}

/* ---- a target of a call ------------------------------------------------- */

struct out_target *
outgoing_of_call(struct control_call *call, const char *prefix,
    const char **rest, struct json_object **out, int *status)
{
	struct control_outgoing	*o = call->c->outgoing;
	struct out_target	*t;
	const char		*p, *end;
	char			 id[OUTGOING_ID_SIZE];

	if (o == NULL) {
		*status = control_say(out, 503, "not the leader: service "
		    "unavailable");
		return NULL;
	}
	p = call->path + strlen(prefix);
	end = p + strcspn(p, "/");
	*rest = *end == '/' ? end + 1 : "";
	snprintf(id, sizeof(id), "%.*s", (int)MIN((size_t)(end - p),
	    sizeof(id) - 1), p);
	if ((size_t)(end - p) >= sizeof(id) ||
	    (t = map_get(&o->targets, id)) == NULL) {
		*status = control_say(out, 404, "no synchronization to that "
		    "target: not found");
		return NULL;
	}
	return t;
}

int
control_outgoing_delete(struct control_call *call, struct json_object **out)
{
	struct control_outgoing	*o;
	struct out_target	*t;
	const char		*rest;
	char			*mode;
	uint64_t		 until;
	int			 status;

	if ((t = outgoing_of_call(call, "/_api/sync/outgoing/", &rest, out,
	    &status)) == NULL)
		return status;
	if (*rest != '\0')
		return control_say(out, 404, "not found");
	mode = control_param(call, "server_mode");
	if (mode != NULL && strcmp(mode, "default") != 0 &&
	    strcmp(mode, "readonly") != 0) {
		free(mode);
		return control_say(out, 400, "server_mode must be default or "
		    "readonly: bad request");
	}
	if (mode != NULL) {
		t->mode_given = true;
		t->readonly_after = strcmp(mode, "readonly") == 0;
	}
	free(mode);
	o = outgoing_hold(t->o);
	outgoing_cancel(t);
	/* Mostly it is a matter of a moment; else GET /_api/sync tells. */
	until = loop_now_ms(o->c->loop) + CANCEL_WAIT_MS;
	while (!t->removed && !o->ended && loop_now_ms(o->c->loop) < until)
		(void)arango_sleep(&o->cancel, 50);
	outgoing_release(&o);
	return 200;
}
