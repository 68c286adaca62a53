/*
 * control_incoming.c - we are the target: from the state in the agency to the
 * processes that do the work, and back.
 *
 * One struct per time that we lead; whoever waits holds it, and looks at
 * `ended` after each wait.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsx.h"
#include "base/log.h"
#include "base/str.h"
#include "ev/loop.h"
#include "inventory/inventory.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "json/get.h"
#include "link/link.h"
#include "master/control_incoming_priv.h"
#include "master/control_topology.h"

#define ROUND_MS	1000	/* when nothing wakes us */
#define ROUND_MIN_MS	50
/* A round looks at all shards: the more there are, the rarer. */
#define ROUND_SHARDS_PER_MS	50
#define LOAD_AGAIN_MS	1000
#define WRITE_EVERY_MS	1000	/* R28 */
#define WRITE_MAX	500	/* keys in one transaction */
#define PAIRS_MAX_BYTES	((size_t)256 * 1024 * 1024)

/* ---- life of the struct ------------------------------------------------- */

struct control_incoming *
incoming_hold(struct control_incoming *in)
{
	in->refs++;
	return in;
}

void
incoming_release(struct control_incoming **inp)
{
	struct control_incoming	*in = *inp;

	*inp = NULL;
	if (--in->refs > 0)
		return;
	json_object_put(in->conf);
	json_object_put(in->x);
	json_object_put(in->notes);
	map_free(&in->pairs, NULL);
	map_free(&in->forgotten, NULL);
	free(in);
}

struct control_incoming *
incoming_of(struct control_call *call, struct json_object **out, int *status)
{
	struct control_incoming	*in = call->c->incoming;

	*status = 200;
	if (in != NULL && in->loaded)
		return incoming_hold(in);
	*status = control_say(out, 503, "starting: service unavailable");
	return NULL;
}

void
incoming_wake(struct control_incoming *in)
{
	in->woken = true;
	(void)fiber_cond_broadcast(&in->wake);
}

const char *
incoming_source_id(const struct control_incoming *in)
{
	return json_string_or(in->x, "sourceId", "");
}

int
incoming_write(struct control_incoming *in, struct agency_trx *t,
    struct err_msg *m)
{
	if (in->ended)
		return err_set(m, ERR_CANCELLED, "not the leader");
	agency_trx_pre_old(t, CONTROL_ROOT "/leader", in->c->id_json);
	return arango_agency_write(in->c->agency, t, NULL, m);
}

/* ---- link and inventory ------------------------------------------------- */

/* A new process knows nothing of receives that sleep. */
static void
on_link_connected(struct control_worker *w)
{
	incoming_tell_link(w->owner);
	incoming_pairs_wake(w->owner);
}

static int
on_link_want(struct msg_in *msg)
{
	struct control_worker	*w = msg->ctx;
	struct channel_name	 name;
	int			 r;

	if ((r = channel_name_get(&msg->body, &name)) != 0 ||
	    (r = get_end(&msg->body)) != 0)
		return r;
	incoming_shard_wanted(w->owner, &name);
	return 0;
}

static const struct msg_rule	 from_link[] = {
	{ MSG_LINK_WANT, 1, 16, 512, on_link_want },
	{ 0, 0, 0, 0, NULL }
};

static void
on_link_status(struct control_worker *w)
{
	struct control_incoming	*in = w->owner;

	if (strcmp(control_worker_word(w, "state"), "running") == 0)
		in->link_ms = loop_now_ms(in->c->loop);
	incoming_wake(in);
}

static void
on_changed(struct control_worker *w)
{
	incoming_wake(w->owner);
}

static void
on_gone(struct control_worker *w)
{
	struct control_incoming	*in = w->owner;

	in->leaving--;
	incoming_wake(in);
	(void)fiber_cond_broadcast(&in->stopped);
	incoming_release(&in);
}

static int
on_pairs(struct msg_in *msg)
{
	struct control_worker	*w = msg->ctx;
	struct json_object	*o = NULL;
	const uint8_t		*p;
	size_t			 n;
	int			 r;

	if ((r = get_bytes(&msg->body, &p, &n)) != 0 ||
	    (r = get_end(&msg->body)) != 0 ||
	    (r = json_parse((const char *)p, n, &o, NULL)) != 0)
		return r;
	incoming_pairs_take(w->owner, o);
	json_object_put(o);
	incoming_wake(w->owner);
	return 0;
}

static const struct control_worker_ops	 link_ops = {
	.rules = from_link, .connected = on_link_connected,
	.status = on_link_status,
	.changed = on_changed, .gone = on_gone
};

static const struct msg_rule	 from_inventory[] = {
	{ MSG_WORKER_PAIRS, 1, 4, PAIRS_MAX_BYTES, on_pairs },
	{ 0, 0, 0, 0, NULL }
};

static const struct control_worker_ops	 inventory_ops = {
	.rules = from_inventory, .status = on_changed, .changed = on_changed,
	.gone = on_gone
};

int
incoming_open_source(struct control_incoming *in, struct err_msg *m)
{
	int	 r;

	incoming_source_free(&in->source);
	r = incoming_source_new(in->c, in->conf, &in->source, m);
	if (r == 0)
		(void)incoming_source_add(in->source, json_at(in->x,
		    "endpoints"));
	return r;
}

void
incoming_tell_link(struct control_incoming *in)
{
	struct buf		 b = BUF_INIT;
	char			*pair;
	uint32_t		 i, n = 0;

	if (in->link == NULL || in->source == NULL)
		return;
	while (incoming_source_endpoint(in->source, n) != NULL)
		n++;
	put_u32(&b, n);
	for (i = 0; i < n; i++)
		put_str(&b, incoming_source_endpoint(in->source, i));
	pair = xasprintf("%s\n%s",
	    json_string_or(in->conf, "authentication.clientCertificate", ""),
	    json_string_or(in->conf, "authentication.clientKey", ""));
	put_str(&b, pair);
	put_str(&b, json_string_or(in->conf, "authentication.caCertificate",
	    ""));
	(void)control_worker_send(in->link, MSG_WORKER_REMOTE, 0, &b);
	explicit_bzero(pair, strlen(pair));
	free(pair);
	buf_free(&b);
}

static void
start_link(struct control_incoming *in)
{
	static const char *const  peers[] = { DAEMON_CONTROL_NAME };
	struct link_conf	  lc = { .target = "" };
	struct buf		  b = BUF_INIT;

	(void)str_copy(lc.target, sizeof(lc.target), in->c->cluster_id);
	(void)str_copy(lc.source, sizeof(lc.source), incoming_source_id(in));
	link_conf_put(&b, &lc);
	in->link = control_worker_start(in->c, INCOMING_LINK, DAEMON_LINK,
	    peers, NITEMS(peers), &b, &link_ops, incoming_hold(in));
	buf_free(&b);
}

static void
inventory_config(const struct control_incoming *in, struct buf *b)
{
	struct inventory_conf	 ic = { .is_target = true };

	(void)str_copy(ic.source, sizeof(ic.source), incoming_source_id(in));
	ic.first = json_bool_or(in->x, "first", false);
	ic.allow_mass_drop = json_bool_or(in->x, "allowMassDrop", false);
	inventory_conf_put(b, &ic);
}

static void
start_inventory(struct control_incoming *in)
{
	static const char *const  peers[] = {
		DAEMON_CONTROL_NAME, INCOMING_LINK
	};
	struct buf		  b = BUF_INIT;

	inventory_config(in, &b);
	in->inventory = control_worker_start(in->c, INCOMING_INVENTORY,
	    DAEMON_INVENTORY, peers, NITEMS(peers), &b, &inventory_ops,
	    incoming_hold(in));
	buf_free(&b);
}

/* The file that names the configuration to which our records belong. */
static char *
records_path(const struct control *c)
{
	return xasprintf("%s/incoming-id", c->conf->data_dir);
}

void
control_incoming_distrust(const struct control *c, const char *why)
{
	char	*path = records_path(c);
	int	 r;

	/* check_records() does the rest, and again if it is interrupted */
	if (access(path, F_OK) == 0) {
		log_notice("%s: shards are compared", why);
		if ((r = fsx_unlink(path)) != 0)
			log_error("%s: %s", path, err_text(r));
	}
	free(path);
}

/*
 * Records of what was applied are of one configuration only: another master
 * may have ended that one while we were away.
 */
static void
check_records(struct control_incoming *in)
{
	const char	*id = json_string_or(in->x, "id", "");
	struct buf	 b = BUF_INIT;
	char		*path = records_path(in->c), *dir;
	int		 r;

	dir = xasprintf("%s/applied", in->c->conf->data_dir);
	r = fsx_read_file(path, 64, &b);
	if (r != 0 || strcmp(buf_cstr(&b), id) != 0) {
		r = fsx_remove_tree(dir);
		if ((r == 0 || r == -ENOENT) &&
		    (r = fsx_replace(path, id, strlen(id), 0600)) != 0)
			log_error("%s: %s", path, err_text(r));
		else if (r != 0)
			log_error("%s: %s", dir, err_text(r));
	}
	buf_free(&b);
	free(path);
	free(dir);
}

void
incoming_inventory_restart(struct control_incoming *in)
{
	static const char *const  peers[] = {
		DAEMON_CONTROL_NAME, INCOMING_LINK
	};
	struct buf		  b = BUF_INIT;

	if (in->inventory == NULL)
		return;
	/* What waits is told anew. */
	in->has_plan = false;
	inventory_config(in, &b);
	control_worker_restart(in->inventory, peers, NITEMS(peers), &b);
	buf_free(&b);
}

static void
workers_start(struct control_incoming *in)
{
	struct err_msg	 m = { "" };

	check_records(in);
	in->running = true;
	in->since_us = clock_wall_us();
	in->link_ms = loop_now_ms(in->c->loop);
	if (in->source == NULL && incoming_open_source(in, &m) != 0)
		log_error("synchronization: %s; configure it again", m.text);
	start_link(in);
	start_inventory(in);
}

static void
stop_worker(struct control_incoming *in, struct control_worker **w)
{
	if (*w == NULL)
		return;
	in->leaving++;
	control_worker_stop(*w);
	*w = NULL;
}

void
incoming_workers_stop(struct control_incoming *in)
{
	in->running = false;
	in->has_plan = false;
	incoming_pairs_stop(in);
	stop_worker(in, &in->inventory);
	stop_worker(in, &in->link);
}

/* ---- state -------------------------------------------------------------- */

void
incoming_set_conf(struct control_incoming *in, struct json_object *conf,
    struct json_object *x)
{
	const char	*state = json_string_or(conf, "state", "");
	int		 s;

	json_object_put(in->conf);
	json_object_put(in->x);
	in->conf = conf;
	in->x = x;
	in->ring = false;
	in->active = conf != NULL && incoming_source_id(in)[0] != '\0';
	in->stored = SHARD_STATE_INACTIVE;
	for (s = 0; s < SHARD_STATE_COUNT && in->active; s++)
		if (strcmp(shard_state_name((enum shard_state)s), state) == 0)
			in->stored = (enum shard_state)s;
	in->state = in->stored;
	if (in->active && in->state != SHARD_STATE_CANCELLING)
		in->state = SHARD_STATE_INITIALIZING;
	incoming_wake(in);
}

/*
 * Who has been silent for longer than the message timeout: the source, or one
 * of its DB-servers, whose watermarks do not come (R21).  NULL: nobody.
 */
static const char *
who_is_silent(const struct control_incoming *in)
{
	uint64_t	 most = (uint64_t)control_message_timeout_ns(in->c) /
			    1000000;
	uint64_t	 us = 0;

	if (loop_now_ms(in->c->loop) - in->link_ms > most)
		return "the source";
	if (in->link == NULL || in->link->status == NULL)
		return NULL;
	(void)json_want_uint(in->link->status, "silent_server_us", &us, NULL);
	return us / 1000 > most ? control_worker_word(in->link,
	    "silent_server") : NULL;
}

enum shard_state
incoming_judge(struct control_incoming *in)
{
	const char	*silent;

	in->trouble[0] = '\0';
	if (in->link != NULL &&
	    strcmp(control_worker_word(in->link, "state"), "failed") == 0) {
		(void)str_copy(in->trouble, sizeof(in->trouble),
		    control_worker_word(in->link, "error"));
		return SHARD_STATE_FAILED;
	}
	if (in->inventory != NULL && strcmp(control_worker_word(in->inventory,
	    "state"), "failed") == 0) {
		(void)str_copy(in->trouble, sizeof(in->trouble),
		    control_worker_word(in->inventory, "error"));
		return SHARD_STATE_FAILED;
	}
	if (in->link != NULL && *control_worker_word(in->link, "error") != 0)
		(void)str_copy(in->trouble, sizeof(in->trouble),
		    control_worker_word(in->link, "error"));
	if (in->ring && in->trouble[0] == '\0')
		(void)str_copy(in->trouble, sizeof(in->trouble), "this cluster "
		    "has its data from itself, by way of others; use \"stop "
		    "sync\" at one of them");
	silent = who_is_silent(in);
	if (silent != NULL && in->trouble[0] == '\0')
		snprintf(in->trouble, sizeof(in->trouble), "nothing was heard "
		    "of %s for longer than the message timeout", silent);
	if (!in->has_plan)
		return SHARD_STATE_INITIALIZING;
	if (silent != NULL)
		return SHARD_STATE_INITIAL_SYNC;
	/* Once it has been so, single shards do not take it back. */
	if (in->state == SHARD_STATE_RUNNING ||
	    in->stored == SHARD_STATE_RUNNING || (in->plan > 0 &&
	    incoming_count(in, SHARD_STATE_RUNNING) == in->nshards))
		return SHARD_STATE_RUNNING;
	return SHARD_STATE_INITIAL_SYNC;
}

/* States that the agency does not know yet; true when there was one. */
static bool
gather_changes(struct control_incoming *in, struct agency_trx *t)
{
	struct incoming_pair	*p;
	struct incoming_shard	*s;
	struct map_iter		 it;
	enum shard_state	 state;
	size_t			 n = 0;
	uint32_t		 i;
	char			*key, *path, *value;

	INCOMING_EACH_PAIR(in, it, p) {
		for (i = 0; i < p->nshards && n < WRITE_MAX; i++) {
			s = &p->shards[i];
			if ((state = incoming_shard_state(s)) == s->stored)
				continue;
			s->stored = state;
			key = incoming_shard_key(s);
			path = xasprintf(INCOMING_SHARDS "/%s", key);
			value = xasprintf("\"%s\"", shard_state_name(state));
			agency_trx_set_text(t, path, value, 0);
			(void)map_del(&in->forgotten, key);
			free(key);
			free(path);
			free(value);
			n++;
		}
	}
	MAP_FOREACH(&in->forgotten, it) {
		if (n >= WRITE_MAX)
			break;
		path = xasprintf(INCOMING_SHARDS "/%s", it.key);
		agency_trx_delete(t, path);
		free(path);
		(void)map_del(&in->forgotten, it.key);
		n++;
	}
	return n > 0;
}

/* After a failed write nobody knows what is there. */
static void
changes_failed(struct control_incoming *in)
{
	struct incoming_pair	*p;
	struct map_iter		 it;
	uint32_t		 i;

	INCOMING_EACH_PAIR(in, it, p) {
		for (i = 0; i < p->nshards; i++)
			p->shards[i].stored = SHARD_STATE_INACTIVE;
	}
}

/*
 * The first plan was applied, or what waited for a permission: from now on mass
 * drops are asked about (R19).
 */
static bool
first_is_over(const struct control_incoming *in)
{
	return in->has_plan && in->plan > 0 && in->pending == 0 &&
	    (json_bool_or(in->x, "first", false) ||
	    json_bool_or(in->x, "allowMassDrop", false));
}

static void
first_was(struct control_incoming *in)
{
	struct buf	 b = BUF_INIT;

	if (in->x == NULL)
		return;
	json_set_bool(in->x, "first", false);
	json_set_bool(in->x, "allowMassDrop", false);
	if (in->inventory == NULL)
		return;
	inventory_config(in, &b);
	control_worker_update(in->inventory, &b);
	buf_free(&b);
}

static void
write_state(struct control_incoming *in)
{
	struct agency_trx	 t = AGENCY_TRX_INIT;
	struct json_object	*o = NULL;
	struct err_msg		 m = { "" };
	uint64_t		 now = loop_now_ms(in->c->loop);
	enum shard_state	 state = in->state;
	bool			 any, first;

	if (now - in->written_ms < WRITE_EVERY_MS)
		return;
	any = gather_changes(in, &t);
	if (state != in->stored && (in->has_plan ||
	    state == SHARD_STATE_FAILED)) {
		o = json_object_new_string(shard_state_name(state));
		agency_trx_set(&t, INCOMING_KEY "/state", o, 0);
		any = true;
	}
	if ((first = first_is_over(in))) {
		agency_trx_set_text(&t, INCOMING_X "/first", "false", 0);
		agency_trx_set_text(&t, INCOMING_X "/allowMassDrop", "false",
		    0);
	}
	if (any || first) {
		in->written_ms = now;
		if (incoming_write(in, &t, &m) == 0) {
			if (o != NULL)
				in->stored = state;
			if (first)
				first_was(in);
		} else {
			if (!in->ended)
				log_warning("the state cannot be written: %s",
				    m.text);
			changes_failed(in);
		}
	}
	agency_trx_free(&t);
	json_object_put(o);
}

static void
round_once(struct control_incoming *in)
{
	enum shard_state	 state;

	if (!in->active)
		return;
	if (json_at(in->x, "stop") != NULL) {
		if (!in->stopping) {
			in->stopping = true;
			fiber_spawn(in->c->loop, incoming_stop_run,
			    incoming_hold(in));
		}
		return;
	}
	if (!in->running)
		workers_start(in);
	incoming_pairs_start(in);
	if ((state = incoming_judge(in)) != in->state) {
		log_notice("synchronization is %s%s%s", shard_state_name(state),
		    in->trouble[0] != '\0' ? ": " : "", in->trouble);
		in->state = state;
	}
	write_state(in);
}

/* ---- begin, end --------------------------------------------------------- */

static int
load(struct control_incoming *in, struct err_msg *m)
{
	static const char *const  paths[] = {
		INCOMING_KEY, INCOMING_X, CONTROL_ROOT "/x/incomingAborted",
		"/arango/Readonly"
	};
	struct json_object	 *o = NULL, *root, *conf, *x;
	int			  r;

	if ((r = arango_agency_read(in->c->agency, paths, NITEMS(paths), &o,
	    m)) != 0)
		return r;
	root = json_at(o, "arangodb.arangosync");
	conf = json_at(root, "synchronizationState.incoming");
	x = json_at(root, "x.incoming");
	in->aborted = json_bool_or(root, "x.incomingAborted", false);
	/* Not without a break since (R7): the guard makes it so again. */
	if (json_bool_or(x, "readOnly", false) &&
	    !json_bool_or(o, "arango.Readonly", false))
		control_incoming_distrust(in->c, "the own cluster was made "
		    "writable while nobody looked after it");
	if (!in->ended) {
		incoming_set_conf(in, json_object_get(conf),
		    json_object_get(x));
		in->loaded = true;
	}
	if (in->active)
		log_notice("synchronization from cluster %s goes on, it was "
		    "%s", incoming_source_id(in),
		    shard_state_name(in->stored));
	json_object_put(o);
	return 0;
}

static void
incoming_run(void *arg)
{
	struct control_incoming	*in = arg;
	struct err_msg		 m = { "" };
	int			 r;

	while (!in->ended && (r = load(in, &m)) != 0) {
		if (r != ERR_CANCELLED)
			log_warning("the state of synchronization cannot be "
			    "read: %s; trying again", m.text);
		(void)arango_sleep(&in->cancel, LOAD_AGAIN_MS);
	}
	while (!in->ended) {
		in->woken = false;
		round_once(in);
		if (!in->ended)
			(void)arango_sleep(&in->cancel, ROUND_MIN_MS +
			    in->nshards / ROUND_SHARDS_PER_MS);
		if (!in->ended && !in->woken)
			(void)fiber_cond_wait_until(&in->wake,
			    loop_now_ms(in->c->loop) + ROUND_MS);
	}
	incoming_release(&in);
}

void
control_incoming_begin(struct control *c)
{
	struct control_incoming	*in;

	if (c->incoming != NULL)
		return;
	in = xcalloc(1, sizeof(*in));
	in->c = c;
	in->refs = 1;
	in->waiting_end = &in->waiting;
	c->incoming = in;
	control_topology_on(c, incoming_topology);
	fiber_spawn(c->loop, incoming_run, incoming_hold(in));
	fiber_spawn(c->loop, incoming_guard, incoming_hold(in));
	fiber_spawn(c->loop, incoming_discover, incoming_hold(in));
}

void
control_incoming_end(struct control *c)
{
	struct control_incoming	*in = c->incoming;

	if (in == NULL)
		return;
	c->incoming = NULL;
	in->ended = true;
	incoming_barrier_drop(in);
	incoming_workers_stop(in);
	incoming_source_free(&in->source);
	arango_cancel(&in->cancel);
	(void)fiber_cond_broadcast(&in->wake);
	(void)fiber_cond_broadcast(&in->stopped);
	incoming_release(&in);
}
