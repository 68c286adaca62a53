/*
 * control_outgoing.c - targets: from the agency and from sessions, until they
 * are ended; see control_outgoing.h
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arango/conn.h"
#include "arango/structure.h"
#include "arango/tail.h"
#include "base/fsx.h"
#include "base/log.h"
#include "base/str.h"
#include "ev/loop.h"
#include "inventory/inventory.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "json/get.h"
#include "master/control_outgoing_priv.h"
#include "master/control_topology.h"

#define TICK_MS		500
/* A target that was ended may still call once. */
#define CLOSED_MS	3000
#define VERSION_AGAIN_MS	1000
#define VERSION_EVERY_MS	600000

static const char *const	state_names[] = {
	"initializing", "initial-sync", "running", "cancelling"
};

const char *
outgoing_state_name(enum out_state s)
{
	return state_names[s];
}

enum out_state
outgoing_state_of(const char *name)
{
	size_t	 i;

	for (i = 0; i < NITEMS(state_names); i++)
		if (strcmp(state_names[i], name) == 0)
			return (enum out_state)i;
	return OUT_INITIALIZING;
}

/* ---- memory ------------------------------------------------------------- */

static void
target_free(struct out_target *t)
{
	map_free(&t->tails, free);
	map_free(&t->sends, free);
	map_free(&t->ownerless, free);
	json_object_put(t->endpoints);
	free(t);
}

struct control_outgoing *
outgoing_hold(struct control_outgoing *o)
{
	o->refs++;
	return o;
}

void
outgoing_release(struct control_outgoing **op)
{
	struct control_outgoing	*o = *op;
	struct out_target	*t;
	struct map_iter		 it;

	*op = NULL;
	if (--o->refs > 0)
		return;
	MAP_FOREACH(&o->targets, it)
		target_free(it.value);
	map_free(&o->targets, NULL);
	while ((t = o->removed) != NULL) {
		o->removed = t->next_removed;
		target_free(t);
	}
	map_free(&o->leaders, outgoing_leader_free);
	map_free(&o->closed, free);
	map_free(&o->forgotten, NULL);
	arango_agency_free(&o->agency);
	free(o);
}

bool
outgoing_is_id(const char *s)
{
	size_t	 n = strlen(s);

	/* Also the name of a directory and of a key in the agency. */
	return n > 0 && n < OUTGOING_ID_SIZE && strspn(s, "0123456789"
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") == n;
}

/* ---- targets ------------------------------------------------------------ */

/* The first target's processes have plain names. */
static void
choose_suffix(struct control_outgoing *o, struct out_target *t)
{
	struct map_iter	 it;

	MAP_FOREACH(&o->targets, it)
		if (((struct out_target *)it.value)->suffix[0] == '\0') {
			snprintf(t->suffix, sizeof(t->suffix), " to %.8s",
			    t->id);
			return;
		}
}

static void
start_inventory(struct control_outgoing *o)
{
	static const char *const	 peers[] = { DAEMON_CONTROL_NAME,
	    DAEMON_API_NAME };
	struct inventory_conf		 conf = { .is_target = false };
	struct buf			 b = BUF_INIT;

	if (o->inventory != NULL || map_count(&o->targets) == 0)
		return;
	str_copy(conf.source, sizeof(conf.source), o->c->cluster_id);
	inventory_conf_put(&b, &conf);
	o->inventory = control_worker_start(o->c, OUTGOING_INVENTORY,
	    DAEMON_INVENTORY, peers, NITEMS(peers), &b, NULL, o);
	buf_free(&b);
}

struct out_target *
outgoing_target_new(struct control_outgoing *o, const char *id)
{
	struct out_target	*t = xcalloc(1, sizeof(*t));

	t->o = o;
	str_copy(t->id, sizeof(t->id), id);
	t->endpoints = json_object_new_array();
	t->session_ms = loop_now_ms(o->c->loop);
	return t;
}

void
outgoing_target_begin(struct control_outgoing *o, struct out_target *t)
{
	map_put(&o->targets, t->id, t);
	start_inventory(o);
	if (control_topology(o->c) != NULL)
		outgoing_shards_look(o, control_topology(o->c));
}

/* ---- ending one --------------------------------------------------------- */

static void
end_session(struct control_outgoing *o, const char *id, const char *why)
{
	struct buf	 b = BUF_INIT;

	if (o->c->api == NULL)
		return;
	put_str(&b, id);
	put_str(&b, why);
	(void)peer_send_buf(o->c->api, MSG_API_SESSION_END, 0, &b);
	buf_free(&b);
}

/* The DB-servers need not keep anything for it any more (R2). */
static void
drop_holds(struct out_target *t)
{
	struct control_outgoing		*o = t->o;
	struct arango_server		*s;
	struct arango_req		 req;
	struct arango_answer		 ans;
	char				*path;
	size_t				 i;

	for (i = 0; !o->ended && (s = arango_server_at(o->c->cluster, i)) !=
	    NULL; i++) {
		if (s->role != ARANGO_DBSERVER)
			continue;
		path = xasprintf("/_api/wal/tail?syncerId=%" PRIu64,
		    arango_syncer_id(o->c->cluster_id, t->id, s->id));
		req = (struct arango_req)ARANGO_REQ_INIT;
		req.to = s;
		req.method = "DELETE";
		req.path = path;
		req.repeatable = true;
		req.timeout_ms = 5000;
		req.cancel = &o->cancel;
		/* Old servers do not know it: what is held expires there. */
		if (arango_call(o->c->cluster, &req, &ans) != 0)
			log_debug("%s: hold of target %s: %s", s->id, t->id,
			    ans.msg.text);
		arango_answer_free(&ans);
		free(path);
	}
}

static int
forget_in_agency(struct out_target *t, struct err_msg *m)
{
	struct agency_trx	 trx = AGENCY_TRX_INIT;
	struct control_outgoing	*o = t->o;
	char			*path;
	int			 r;

	/* Somebody takes the presence of the list for a synchronization. */
	path = map_count(&o->targets) <= 1 ? xstrdup(OUTGOING_KEY) :
	    xasprintf(OUTGOING_KEY "/targets/%s", t->id);
	agency_trx_delete(&trx, path);
	free(path);
	path = xasprintf(OUTGOING_BARRIER "/%s", t->id);
	agency_trx_delete(&trx, path);
	free(path);
	if (map_count(&o->targets) <= 1)
		agency_trx_delete(&trx, OUTGOING_LEADERS);
	r = outgoing_write(o, &trx, m);
	agency_trx_free(&trx);
	return r;
}

/* Its processes, what they hold, their files, its keys; in this order, so that
 * an interruption at any point is put right by doing it all again. */
static void
end_target(struct out_target *t)
{
	struct control_outgoing	*o = t->o;
	struct err_msg		 m = { "" };
	char			*dir;
	int			 r;

	while ((r = outgoing_barrier_end(t, &m)) != 0 && !o->ended) {
		log_warning("target %s: the mode of the servers is not "
		    "restored: %s; trying again", t->id, m.text);
		(void)arango_sleep(&o->cancel, 1000);
	}
	outgoing_shards_stop(t);
	while (t->leaving > 0 && !o->ended)
		fiber_cond_wait(&t->left);
	if (o->ended)
		return;
	drop_holds(t);
	if (o->ended)
		return;
	dir = outgoing_queue_dir(t);
	if ((r = fsx_remove_tree(dir)) != 0 && r != -ENOENT)
		log_warning("%s: cannot be removed: %s; remove it by hand",
		    dir, err_text(r));
	free(dir);
	while (!o->ended && (r = forget_in_agency(t, &m)) != 0) {
		log_warning("target %s: its state cannot be removed: %s; "
		    "trying again", t->id, m.text);
		(void)arango_sleep(&o->cancel, 1000);
	}
}

static void
cancel_fiber(void *arg)
{
	struct out_target	*t = arg;
	struct control_outgoing	*o = t->o;
	uint64_t		*until;

	end_target(t);
	if (!o->ended) {
		until = xmalloc(sizeof(*until));
		*until = loop_now_ms(o->c->loop) + CLOSED_MS;
		free(map_put(&o->closed, t->id, until));
		map_del(&o->targets, t->id);
		t->removed = true;
		t->next_removed = o->removed;
		o->removed = t;
		if (map_count(&o->targets) == 0) {
			map_free(&o->leaders, outgoing_leader_free);
			if (o->inventory != NULL)
				control_worker_stop(o->inventory);
			o->inventory = NULL;
		}
		log_notice("target %s: its synchronization has ended", t->id);
		end_session(o, t->id, "the synchronization has ended");
	}
	outgoing_release(&o);
}

void
outgoing_cancel(struct out_target *t)
{
	if (t->cancelling)
		return;
	t->cancelling = true;
	t->state = OUT_CANCELLING;
	t->dirty = true;
	t->session = false;
	log_notice("target %s: its synchronization is being ended", t->id);
	end_session(t->o, t->id, "the synchronization is being ended");
	outgoing_flush(t->o);
	(void)outgoing_hold(t->o);
	fiber_spawn(t->o->c->loop, cancel_fiber, t);
}

/* ---- messages of api ---------------------------------------------------- */

static bool
is_closed(struct control_outgoing *o, const char *id)
{
	uint64_t	*until = map_get(&o->closed, id);

	return until != NULL && loop_now_ms(o->c->loop) < *until;
}

static void
session_open(struct control_outgoing *o, const char *id,
    struct json_object *hello)
{
	struct out_target	*t = map_get(&o->targets, id);
	struct json_object	*list;

	if (strcmp(id, o->c->cluster_id) == 0) {
		end_session(o, id, "source and target are the same cluster");
		return;
	}
	if (is_closed(o, id) || (t != NULL && t->cancelling)) {
		end_session(o, id, "the synchronization has been ended here");
		return;
	}
	list = outgoing_strings(hello, "endpoints");
	if (t == NULL) {
		t = outgoing_target_new(o, id);
		choose_suffix(o, t);
		t->dirty = true;
		log_notice("target %s: a synchronization begins", id);
		outgoing_target_begin(o, t);
	}
	if (json_object_array_length(list) > 0 &&
	    !json_equal(list, t->endpoints)) {
		json_object_put(t->endpoints);
		t->endpoints = json_object_get(list);
		t->dirty = true;
	}
	json_object_put(list);
	if (!t->session)
		t->session_ms = loop_now_ms(o->c->loop);
	t->session = true;
	outgoing_flush(o);
}

static void
session_closed(struct out_target *t)
{
	if (!t->session)
		return;
	t->session = false;
	t->session_ms = loop_now_ms(t->o->c->loop);
}

int
control_outgoing_on_session(struct msg_in *in)
{
	struct control		*c = in->ctx;
	struct control_outgoing	*o = c->outgoing;
	struct out_target	*t;
	struct json_object	*hello = NULL;
	const uint8_t		*text;
	char			 id[OUTGOING_ID_SIZE];
	uint8_t			 open;
	size_t			 len;
	int			 r;

	if ((r = get_u8(&in->body, &open)) != 0 ||
	    (r = get_str(&in->body, id, sizeof(id))) != 0 ||
	    (r = get_bytes(&in->body, &text, &len)) != 0 ||
	    (r = get_end(&in->body)) != 0 ||
	    (len != 0 && (r = json_parse((const char *)text, len, &hello,
	    NULL)) != 0))
		return r;
	if (!outgoing_is_id(id)) {
		json_object_put(hello);
		return ERR_FORMAT;
	}
	/* Also while we do not lead yet: it is not said twice. */
	json_object_put(open ? map_put(&c->sessions, id, hello) :
	    map_del(&c->sessions, id));
	if (!open)
		json_object_put(hello);
	if (o != NULL && open)
		session_open(o, id, hello);
	else if (o != NULL && (t = map_get(&o->targets, id)) != NULL)
		session_closed(t);
	return 0;
}

void
control_outgoing_api_lost(struct control *c)
{
	struct map_iter	 it;

	MAP_FOREACH(&c->sessions, it)
		json_object_put(it.value);
	map_free(&c->sessions, NULL);
	if (c->outgoing != NULL)
		MAP_FOREACH(&c->outgoing->targets, it)
			session_closed(it.value);
}

static void
refuse(struct control *c, const char *id, const struct channel_name *name,
    const char *why)
{
	struct buf	 b = BUF_INIT;

	put_str(&b, id);
	channel_name_put(&b, name);
	put_str(&b, why);
	(void)peer_send_buf(c->api, MSG_API_REFUSE, 0, &b);
	buf_free(&b);
}

int
control_outgoing_on_want(struct msg_in *in)
{
	struct control		*c = in->ctx;
	struct out_target	*t = NULL;
	struct channel_name	 name;
	struct err_msg		 m = { "" };
	const char		*why;
	char			 id[OUTGOING_ID_SIZE];
	int			 r;

	if ((r = get_str(&in->body, id, sizeof(id))) != 0 ||
	    (r = channel_name_get(&in->body, &name)) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	if (c->outgoing != NULL)
		t = map_get(&c->outgoing->targets, id);
	if (c->outgoing == NULL)
		why = "this master does not lead";
	else if (t == NULL || t->cancelling)
		why = "there is no synchronization to this target";
	else
		why = outgoing_want(t, &name, &m);
	if (why == NULL)
		return 0;
	/* What the target wants may be newer than what we know. */
	control_topology_look(c);
	if (c->api != NULL)
		refuse(c, id, &name, why);
	return 0;
}

/* Of our cluster; it may be upgraded under us. */
static void
version_fiber(void *arg)
{
	struct control_outgoing	*o = arg;
	struct control		*c = o->c;
	struct arango_version	 v;

	if (arango_version(c->cluster, NULL, &v, NULL) == 0) {
		str_copy(c->cluster_version, sizeof(c->cluster_version),
		    v.text);
		control_outgoing_api(c);
	}
	o->asking = false;
	o->asked_ms = loop_now_ms(c->loop);
	outgoing_release(&o);
}

static void
ask_version(struct control_outgoing *o)
{
	uint64_t	 now = loop_now_ms(o->c->loop);

	if (o->asking || (o->asked_ms != 0 && now - o->asked_ms <
	    (o->c->cluster_version[0] == '\0' ? VERSION_AGAIN_MS :
	    VERSION_EVERY_MS)))
		return;
	o->asking = true;
	fiber_spawn(o->c->loop, version_fiber, outgoing_hold(o));
}

void
control_outgoing_api(struct control *c)
{
	struct json_object	*o;
	struct buf		 b = BUF_INIT;
	const char		*leader = control_leader_endpoint(c);
	char			*text;

	if (c->cluster_id[0] == '\0')
		return;
	/* An earlier control may have said that we lead, and we may find that
	 * we still do: then sessions go on. */
	if (!control_lead_is_on(c) && c->identity == NULL && (leader == NULL ||
	    strcmp(control_leader_id(c), c->id) == 0))
		return;
	o = outgoing_identity(c);
	json_set_bool(o, "leads", control_lead_is_on(c));
	if (!control_lead_is_on(c) && leader != NULL)
		json_set_string(o, "leader", leader);
	text = json_to_text(o);
	json_object_put(o);
	if (c->api == NULL || (c->api_told == c->api_count &&
	    c->identity != NULL && strcmp(c->identity, text) == 0)) {
		free(text);
		return;
	}
	put_bool(&b, control_lead_is_on(c));
	put_bytes(&b, text, strlen(text));
	(void)peer_send_buf(c->api, MSG_API_IDENTITY, 0, &b);
	buf_free(&b);
	free(c->identity);
	c->identity = text;
	c->api_told = c->api_count;
}

/* ---- life --------------------------------------------------------------- */

static void
on_topology(struct control *c, struct arango_topology *t)
{
	if (c->outgoing != NULL)
		outgoing_shards_look(c->outgoing, t);
}

static void
on_tick(void *arg)
{
	struct control_outgoing	*o = arg;
	uint64_t		 now = loop_now_ms(o->c->loop);
	struct out_target	*t;
	struct map_iter		 it;

	MAP_FOREACH(&o->targets, it) {
		t = it.value;
		if (!t->cancelling) {
			outgoing_shards_tick(t, now);
			t->state = outgoing_shards_state(t);
		}
		outgoing_barrier_tick(t, now);
		if (t->state != t->stored_state)
			t->dirty = true;
		t->stored_state = t->state;
	}
	outgoing_quota_tick(o);
	outgoing_flush(o);
	ask_version(o);
}

void
control_outgoing_begin(struct control *c)
{
	struct control_outgoing	*o = xcalloc(1, sizeof(*o));
	struct map_iter		 it;

	c->outgoing = o;
	o->c = c;
	o->refs = 1;
	o->agency = arango_agency_new(c->cluster, &o->cancel);
	o->tick = loop_timer_new(c->loop, on_tick, o);
	loop_timer_start_periodic(o->tick, TICK_MS);
	outgoing_load(o);
	MAP_FOREACH(&c->sessions, it)
		session_open(o, it.key, it.value);
	control_topology_on(c, on_topology);
	ask_version(o);
}

void
control_outgoing_end(struct control *c)
{
	struct control_outgoing	*o = c->outgoing;
	struct out_target	*t;
	struct map_iter		 it;

	if (o == NULL)
		return;
	c->outgoing = NULL;
	o->ended = true;
	arango_cancel(&o->cancel);
	loop_timer_free(&o->tick);
	MAP_FOREACH(&o->targets, it) {
		t = it.value;
		outgoing_shards_stop(t);
		fiber_cond_broadcast(&t->left);
	}
	if (o->inventory != NULL)
		control_worker_stop(o->inventory);
	o->inventory = NULL;
	outgoing_release(&o);
}
