/*
 * control_incoming_status.c - GET /_api/sync and GET /_api/task (product
 * reference 3.4, 3.7); what is ours is below "x".
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "ev/loop.h"
#include "json/get.h"
#include "master/control_incoming_priv.h"
#include "master/control_outgoing.h"
#include "master/control_space.h"

#define NEVER		"0001-01-01T00:00:00Z"
#define NS_PER_US	1000

/* ---- shards ------------------------------------------------------------- */

static uint64_t
number_at(struct json_object *o, const char *name)
{
	uint64_t	 v = 0;

	(void)json_want_uint(o, name, &v, NULL);
	return v;
}

static void
set_time(struct json_object *o, const char *name, uint64_t wall_us)
{
	char	 text[CLOCK_TEXT_SIZE];

	json_set_string(o, name, wall_us == 0 ? NEVER :
	    clock_format_us(wall_us, text));
}

struct json_object *
incoming_link_server(const struct control_incoming *in, const char *id)
{
	struct json_object	*list, *e;
	size_t			 i;

	if (in->link == NULL || in->link->status == NULL || *id == '\0')
		return NULL;
	list = json_at(in->link->status, "servers");
	if (!json_object_is_type(list, json_type_array))
		return NULL;
	for (i = 0; i < json_object_array_length(list); i++) {
		e = json_object_array_get_idx(list, i);
		if (strcmp(json_string_or(e, "id", ""), id) == 0)
			return e;
	}
	return NULL;
}

/*
 * How far this shard is behind: what its server has not applied here, and
 * nothing when all of that server is; while it is not running, since its last
 * change.
 */
static uint64_t
delay_us(const struct incoming_shard *s, enum shard_state state)
{
	struct json_object	*st = s->w == NULL ? NULL :
				    control_worker_status(s->w), *e;
	uint64_t		 us;

	if (state != SHARD_STATE_RUNNING || st == NULL)
		return 0;
	e = incoming_link_server(s->in, json_string_or(st, "server", ""));
	us = number_at(e, "lag_us");
	return us != 0 ? us : number_at(st, "lag_us");
}

static struct json_object *
shard_info(const struct incoming_shard *s)
{
	struct json_object	*o = json_object_new_object();
	struct json_object	*st = s->w == NULL ? NULL :
				    control_worker_status(s->w);
	enum shard_state	 state = incoming_shard_state(s);
	const char		*error = incoming_shard_error(s);
	uint64_t		 us;

	json_set_string(o, "database", s->pair->db);
	json_set_string(o, "collection", s->pair->coll);
	json_set_int(o, "shardIndex", s->index);
	json_set_string(o, "status", shard_state_name(state));
	if (*error != '\0')
		json_set_string(o, "status_message", error);
	if ((us = delay_us(s, state)) != 0)
		json_set_uint(o, "delay", us * NS_PER_US);
	set_time(o, "last_message", number_at(st, "last_message_us"));
	set_time(o, "last_data_change", number_at(st, "last_data_change_us"));
	set_time(o, "last_shard_master_change",
	    number_at(st, "last_master_change_us"));
	json_set_bool(o, "shard_master_known", (s->told || (s->w != NULL &&
	    control_worker_is_resting(s->w))) && s->has_leader);
	if (s->in_sync)
		json_set_bool(o, "in_sync", true);
	return o;
}

static void
add_shards(struct control_incoming *in, struct json_object *o)
{
	struct json_object	*list = json_object_new_array();
	struct incoming_pair	*p;
	struct map_iter		 it;
	uint32_t		 i;

	INCOMING_EACH_PAIR(in, it, p) {
		for (i = 0; i < p->nshards; i++)
			json_object_array_add(list, shard_info(&p->shards[i]));
	}
	json_set(o, "shards", list);
}

/* ---- all of it ---------------------------------------------------------- */

static void
add_copy(struct json_object *to, const char *name,
    const struct control_worker *w)
{
	if (w != NULL && w->status != NULL)
		json_set(to, name, json_object_get(w->status));
}

static struct json_object *
make_x(struct control_incoming *in)
{
	struct json_object	*x = json_object_new_object(), *b;

	json_set_string(x, "source_id", incoming_source_id(in));
	if (in->trouble[0] != '\0')
		json_set_string(x, "message", in->trouble);
	json_set_uint(x, "plan", in->plan);
	if (in->pending > 0)
		json_set_int(x, "pending", in->pending);
	if (in->notes != NULL && json_object_is_type(in->notes,
	    json_type_array) && json_object_array_length(in->notes) > 0)
		json_set(x, "notes", json_object_get(in->notes));
	json_set_uint(x, "repairing", in->places);
	add_copy(x, "link", in->link);
	add_copy(x, "inventory", in->inventory);
	if ((b = incoming_barrier_info(in)) != NULL)
		json_set(x, "barrier", b);
	return x;
}

static void
add_incoming(struct control_incoming *in, struct json_object *o, bool full)
{
	json_set(o, "source", in->active ?
	    json_object_get(json_at(in->conf, "source")) :
	    json_object_new_array());
	json_set_string(o, "status", shard_state_name(in->state));
	if (in->aborted)
		json_set_bool(o, "cancellationAborted", true);
	if (!in->active)
		return;
	if (full && in->nshards > 0)
		add_shards(in, o);
	if (in->nshards > 0) {
		json_set_uint(o, "shardsCount", in->nshards);
		json_set_uint(o, "totalShardsCount", in->nshards);
	}
}

int
control_incoming_get(struct control_call *call, struct json_object **out)
{
	struct control_incoming	*in;
	struct json_object	*list, *x;
	char			*details = control_param(call, "details");
	bool			 full;
	int			 status;

	full = details == NULL || strcmp(details, "short") != 0;
	free(details);
	if ((in = incoming_of(call, out, &status)) == NULL)
		return status;
	*out = json_object_new_object();
	add_incoming(in, *out, full);
	x = in->active ? make_x(in) : json_object_new_object();
	if (call->c->space != NULL)
		json_set(x, "space", control_space_info(call->c));
	json_set(*out, "x", x);
	list = control_outgoing_info(call->c, full);
	if (json_object_array_length(list) > 0)
		json_set(*out, "outgoing", list);
	else
		json_object_put(list);
	incoming_release(&in);
	return 200;
}

/* ---- tasks -------------------------------------------------------------- */

/* 16 characters, the same as long as the task is. */
static void
set_id(struct json_object *o, const char *name)
{
	char	 id[17];

	snprintf(id, sizeof(id), "%08" PRIx32 "%08" PRIx32,
	    crc32c(0, name, strlen(name)), crc32c(0x5a5a5a5a, name,
	    strlen(name)));
	json_set_string(o, "id", id);
}

static struct json_object *
task_info(const struct control_incoming *in, const struct control_worker *w,
    const char *type, uint64_t since_us, struct json_object **task)
{
	struct json_object	*o = json_object_new_object();
	struct json_object	*a = json_object_new_object();
	char			 at[CLOCK_TEXT_SIZE];

	*task = json_object_new_object();
	set_id(o, w->name);
	json_set_string(*task, "type", type);
	json_set(o, "task", *task);
	json_set_string(a, "worker_id", in->c->id);
	json_set_string(a, "created_at", clock_format_s(since_us, at));
	json_set_uint(a, "counter", MAX(w->starts, 1));
	json_set(o, "assignment", a);
	return o;
}

int
control_incoming_get_tasks(struct control_call *call,
    struct json_object **out)
{
	struct control_incoming	*in;
	struct json_object	*list, *o, *task;
	struct incoming_pair	*p;
	struct map_iter		 it;
	uint32_t		 i;
	int			 status;

	if ((in = incoming_of(call, out, &status)) == NULL)
		return status;
	list = json_object_new_array();
	if (in->inventory != NULL) {
		o = task_info(in, in->inventory, "receive-inventory",
		    in->since_us, &task);
		json_set_bool(task, "persistent", true);
		json_object_array_add(list, o);
	}
	INCOMING_EACH_PAIR(in, it, p) {
		for (i = 0; i < p->nshards; i++) {
			if (p->shards[i].w == NULL)
				continue;
			o = task_info(in, p->shards[i].w, "receive-shard",
			    p->shards[i].since_us, &task);
			json_set_string(task, "database", p->db);
			json_set_string(task, "collection", p->coll);
			json_set_int(task, "shardIndex", i);
			json_object_array_add(list, o);
		}
	}
	control_outgoing_tasks(call->c, list);
	*out = json_object_new_object();
	if (json_object_array_length(list) > 0)
		json_set(*out, "tasks", list);
	else
		json_object_put(list);
	incoming_release(&in);
	return 200;
}
