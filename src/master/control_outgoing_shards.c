/*
 * control_outgoing_shards.c - tails and sends of a target: which of them run,
 * and at which DB-server (R5).
 *
 * A change of the leader in Current ends the history of a channel.  How often
 * that was so is counted per shard, kept in the agency, and told to the target
 * with everything it gets, so that it notices a leader that went and came back
 * as well.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arango/conn.h"
#include "base/fsx.h"
#include "base/log.h"
#include "base/str.h"
#include "ev/loop.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "master/control_outgoing_priv.h"
#include "master/control_topology.h"
#include "queue/queue.h"
#include "send/send.h"
#include "tail/tail.h"

/* A cluster without anything to send is in sync after that time. */
#define EMPTY_MS	10000

void
outgoing_leader_free(void *leader)
{
	free(leader);
}

char *
outgoing_queue_dir(const struct out_target *t)
{
	return xasprintf("%s/queues/%s", t->o->c->conf->data_dir, t->id);
}

/* ---- tails -------------------------------------------------------------- */

static char *
tail_name(const struct out_target *t, const char *server)
{
	return xasprintf("tail %s%s", server, t->suffix);
}

static void
tail_tell(struct out_tail *x)
{
	struct buf	 b = BUF_INIT;

	put_str(&b, x->server);
	put_str(&b, x->url);
	put_u64(&b, x->reboot_id);
	(void)control_worker_send(x->worker, MSG_WORKER_SERVER, 0, &b);
	buf_free(&b);
}

/* "", "": that were all of them. */
static void
tail_say(struct out_tail *x, uint16_t type, const char *db, const char *cuid)
{
	struct buf	 b = BUF_INIT;

	put_str(&b, db);
	put_str(&b, cuid);
	(void)control_worker_send(x->worker, type, 0, &b);
	buf_free(&b);
}

/* A new process has to know whose sends sleep before it says how far all of
 * them are. */
static void
on_tail_connected(struct control_worker *w)
{
	struct out_tail	*x = w->owner;
	struct out_send	*s;
	struct map_iter	 it;

	tail_tell(x);
	MAP_FOREACH(&x->t->sends, it) {
		s = it.value;
		if (s->worker->asleep && strcmp(s->server, x->server) == 0)
			tail_say(x, MSG_TAIL_ASLEEP, s->name.db, s->cuid);
	}
	tail_say(x, MSG_TAIL_ASLEEP, "", "");
}

/* str db, str cuid: there is something for that send, which is not there. */
static int
on_tail_want(struct msg_in *in)
{
	struct control_worker	*w = in->ctx;
	struct out_tail		*x = w->owner;
	struct out_send		*s;
	struct map_iter		 it;
	char			 db[192], cuid[96];
	int			 r;

	if ((r = get_str(&in->body, db, sizeof(db))) != 0 ||
	    (r = get_str(&in->body, cuid, sizeof(cuid))) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	MAP_FOREACH(&x->t->sends, it) {
		s = it.value;
		if (strcmp(s->cuid, cuid) != 0 || strcmp(s->name.db, db) != 0 ||
		    strcmp(s->server, x->server) != 0 ||
		    s->worker->state == PROC_FAILED)
			continue;
		control_worker_wake(s->worker);
		return 0;
	}
	tail_say(x, MSG_TAIL_NOBODY, db, cuid);
	return 0;
}

static const struct msg_rule	 from_tail[] = {
	{ MSG_TAIL_WANT, 1, 8, 512, on_tail_want },
	{ 0, 0, 0, 0, NULL }
};

static void
on_tail_gone(struct control_worker *w)
{
	struct out_tail		*x = w->owner;
	struct control_outgoing	*o = x->t->o;

	x->t->leaving--;
	fiber_cond_broadcast(&x->t->left);
	free(x);
	outgoing_release(&o);
}

static const struct control_worker_ops	 tail_ops = {
	.rules = from_tail, .connected = on_tail_connected, .gone = on_tail_gone
};

static void
tail_stop(struct out_tail *x)
{
	map_del(&x->t->tails, x->server);
	x->t->leaving++;
	control_worker_stop(x->worker);
}

static void
tail_config(const struct out_tail *x, struct buf *b)
{
	const struct control	*c = x->t->o->c;
	struct tail_conf	 conf = { .reboot_id = x->reboot_id };

	str_copy(conf.target, sizeof(conf.target), x->t->id);
	str_copy(conf.source, sizeof(conf.source), c->cluster_id);
	str_copy(conf.server, sizeof(conf.server), x->server);
	str_copy(conf.url, sizeof(conf.url), x->url);
	conf.max_hold_bytes = c->conf->max_hold_bytes;
	conf.max_hold_ms = c->conf->max_hold_ms;
	tail_conf_put(b, &conf);
}

/* The one of that server, started or brought up to date. */
static struct out_tail *
tail_of(struct out_target *t, const struct topo_server *s, const char *url)
{
	static const char *const	 peers[] = { DAEMON_CONTROL_NAME,
	    DAEMON_API_NAME };
	struct out_tail			*x = map_get(&t->tails, s->id);
	struct buf			 b = BUF_INIT;
	char				*name;
	bool				 is_new = x == NULL;

	if (!is_new && strcmp(x->url, url) == 0 &&
	    x->reboot_id == s->reboot_id)
		return x;
	if (is_new) {
		x = xcalloc(1, sizeof(*x));
		x->t = t;
		str_copy(x->server, sizeof(x->server), s->id);
		map_put(&t->tails, x->server, x);
	}
	str_copy(x->url, sizeof(x->url), url);
	x->reboot_id = s->reboot_id;
	tail_config(x, &b);
	if (is_new) {
		name = tail_name(t, x->server);
		(void)outgoing_hold(t->o);
		x->worker = control_worker_start(t->o->c, name, DAEMON_TAIL,
		    peers, NITEMS(peers), &b, &tail_ops, x);
		free(name);
	} else {
		control_worker_update(x->worker, &b);
		tail_tell(x);
	}
	buf_free(&b);
	return x;
}

/* ---- who leads ---------------------------------------------------------- */

/* Counts a leader that is not the one of before. */
static uint64_t
leader_changes(struct control_outgoing *o, const struct topo_shard *s)
{
	struct out_leader	*l;
	char			 key[64];

	snprintf(key, sizeof(key), "%s/%zu", s->coll->cid, s->index);
	if ((l = map_get(&o->leaders, key)) == NULL) {
		l = xcalloc(1, sizeof(*l));
		map_put(&o->leaders, key, l);
	}
	if (strcmp(l->server, s->leader) != 0) {
		str_copy(l->server, sizeof(l->server), s->leader);
		l->changes++;
		l->dirty = true;
	}
	return l->changes;
}

/* The collection is gone. */
static void
forget_leaders(struct control_outgoing *o, uint64_t cid)
{
	struct map_iter	 it;
	char		 key[32];
	size_t		 n;

	n = (size_t)snprintf(key, sizeof(key), "%" PRIu64 "/", cid);
	MAP_FOREACH(&o->leaders, it)
		if (strncmp(it.key, key, n) == 0) {
			free(it.value);
			(void)map_del_n(&o->leaders, it.key, it.key_len);
		}
	key[n - 1] = '\0';
	map_put(&o->forgotten, key, NULL);
}

/* NULL, or why nobody can be asked about that shard. */
static const char *
leader_of(struct control *c, struct arango_topology *topo,
    const struct topo_shard *s, struct topo_server **server,
    const char **url, struct err_msg *m)
{
	struct arango_server	*as;

	if (s->leader == NULL || !s->settled)
		return "nobody leads this shard just now";
	*server = arango_topology_server(topo, s->leader);
	as = arango_server_get(c->cluster, s->leader);
	if (*server == NULL || as == NULL) {
		err_set(m, ERR_NOT_FOUND, "nobody knows where %s is, which "
		    "leads this shard", s->leader);
		return m->text;
	}
	*url = as->url;
	return NULL;
}

/* ---- sends -------------------------------------------------------------- */

static char *
send_dir(const struct out_send *x)
{
	struct queue_channel	 q = { .cid = x->name.cid,
				    .shard = x->name.shard };
	char			 name[QUEUE_NAME_BYTES], *dir, *path;

	str_copy(q.database, sizeof(q.database), x->name.db);
	str_copy(q.cluster, sizeof(q.cluster), x->t->o->c->cluster_id);
	dir = outgoing_queue_dir(x->t);
	path = xasprintf("%s/%s", dir, queue_channel_name(&q, name));
	free(dir);
	return path;
}

static void
on_send_gone(struct control_worker *w)
{
	struct out_send		*x = w->owner;
	struct control_outgoing	*o = x->t->o;
	char			*dir;
	int			 r;

	if (x->remove && !o->ended) {
		dir = send_dir(x);
		if ((r = fsx_remove_tree(dir)) != 0 && r != -ENOENT)
			log_warning("%s: cannot be removed: %s; remove it by "
			    "hand", dir, err_text(r));
		free(dir);
	}
	x->t->leaving--;
	fiber_cond_broadcast(&x->t->left);
	free(x);
	outgoing_release(&o);
}

static void
on_send_left(struct control_worker *w, bool asleep)
{
	struct out_send	*x = w->owner;
	struct out_tail	*tail = map_get(&x->t->tails, x->server);

	if (asleep && tail != NULL)
		tail_say(tail, MSG_TAIL_ASLEEP, x->name.db, x->cuid);
}

static void
on_send_connected(struct control_worker *w)
{
	outgoing_quota_tell(w->owner);
}

static const struct control_worker_ops	 send_ops = {
	.connected = on_send_connected, .left = on_send_left,
	.gone = on_send_gone
};

static void
send_stop(struct out_send *x, bool remove)
{
	char	 text[256];

	map_del(&x->t->sends, channel_name_text(&x->name, text));
	x->remove = remove;
	x->t->leaving++;
	control_worker_stop(x->worker);
}

static void
send_config(const struct out_send *x, struct buf *b)
{
	const struct control	*c = x->t->o->c;
	struct send_conf	 conf = { .name = x->name,
				    .reboot_id = x->reboot_id,
				    .leader_changes = x->leader_changes };

	str_copy(conf.target, sizeof(conf.target), x->t->id);
	str_copy(conf.source, sizeof(conf.source), c->cluster_id);
	str_copy(conf.coll, sizeof(conf.coll), x->coll);
	str_copy(conf.shard, sizeof(conf.shard), x->shard);
	str_copy(conf.cuid, sizeof(conf.cuid), x->cuid);
	str_copy(conf.server, sizeof(conf.server), x->server);
	str_copy(conf.url, sizeof(conf.url), x->url);
	conf.quota_bytes = c->conf->channel_quota;
	conf.idle_ms = c->conf->idle_ms;
	send_conf_put(b, &conf);
}

/* Collections are renamed, and another one gets their name. */
static char *
send_name(const struct out_send *x)
{
	char	*name;

	name = xasprintf("send %s/%s/%" PRIu32 "%s", x->name.db, x->coll,
	    x->name.shard, x->t->suffix);
	if (strlen(name) < MESH_NAME_MAX &&
	    control_worker_find(x->t->o->c, name) == NULL)
		return name;
	free(name);
	return xasprintf("send %s/%" PRIu64 "/%" PRIu32 "%s", x->name.db,
	    x->name.cid, x->name.shard, x->t->suffix);
}

/* It runs at the server that leads; started, or started anew elsewhere. */
static void
send_run(struct out_send *x, struct topo_server *server, const char *url,
    uint64_t changes)
{
	struct out_target	*t = x->t;
	const char		*peers[3] = { DAEMON_CONTROL_NAME,
				    DAEMON_API_NAME };
	struct buf		 b = BUF_INIT;
	char			*tail, *name;
	bool			 moved;

	moved = strcmp(x->server, server->id) != 0 ||
	    x->leader_changes != changes;
	if (x->worker != NULL && !moved && strcmp(x->url, url) == 0 &&
	    x->reboot_id == server->reboot_id)
		return;
	if (x->worker != NULL && moved)
		log_notice("%s: %s leads it now, before it was %s",
		    x->worker->name, server->id, x->server);
	(void)tail_of(t, server, url);
	str_copy(x->server, sizeof(x->server), server->id);
	str_copy(x->url, sizeof(x->url), url);
	x->reboot_id = server->reboot_id;
	x->leader_changes = changes;
	send_config(x, &b);
	peers[2] = tail = tail_name(t, x->server);
	if (x->worker == NULL) {
		name = send_name(x);
		(void)outgoing_hold(t->o);
		x->worker = control_worker_start(t->o->c, name, DAEMON_SEND,
		    peers, NITEMS(peers), &b, &send_ops, x);
		free(name);
	} else if (moved)
		control_worker_restart(x->worker, peers, NITEMS(peers), &b);
	else
		/* Same server, restarted: its tail proves its history. */
		control_worker_update(x->worker, &b);
	free(tail);
	buf_free(&b);
}

/* *gone: it is not there, which is more than that it cannot be had. */
static struct topo_shard *
shard_of(struct arango_topology *topo, const struct channel_name *name,
    const char **why, bool *gone)
{
	struct topo_database	*db = arango_topology_db(topo, name->db);
	struct topo_collection	*coll;
	char			 cid[24];

	*why = NULL;
	*gone = db == NULL;
	if (db == NULL)
		*why = "there is no such database any more";
	else if (db->replication2)
		*why = "databases of replication version 2 cannot be "
		    "replicated";
	if (*why != NULL)
		return NULL;
	snprintf(cid, sizeof(cid), "%" PRIu64, name->cid);
	coll = topo_database_coll_by_cid(db, cid);
	*gone = coll == NULL || coll->deleted;
	if (*gone)
		*why = "there is no such collection any more";
	else if (coll->building)
		*why = "the collection is just being made";
	else if (name->shard >= coll->nshards)
		*why = "the collection has no such shard";
	return *why != NULL ? NULL : &coll->shards[name->shard];
}

const char *
outgoing_want(struct out_target *t, const struct channel_name *name,
    struct err_msg *m)
{
	struct control		*c = t->o->c;
	struct arango_topology	*topo = control_topology(c);
	struct topo_shard	*s;
	struct topo_server	*server;
	struct out_send		*x;
	const char		*why, *url;
	char			 text[256];
	bool			 gone;

	if (topo == NULL)
		return "the structure of the source is not known yet";
	if ((s = shard_of(topo, name, &why, &gone)) == NULL ||
	    (why = leader_of(c, topo, s, &server, &url, m)) != NULL)
		return why;
	x = map_get(&t->sends, channel_name_text(name, text));
	if (x != NULL && x->worker->state == PROC_FAILED) {
		err_set(m, ERR_BAD_STATE, "its process at the source has "
		    "failed: %.300s", x->worker->sentence);
		return m->text;
	}
	if (x == NULL) {
		x = xcalloc(1, sizeof(*x));
		x->t = t;
		x->name = *name;
		map_put(&t->sends, text, x);
	}
	if (x->worker == NULL) {
		str_copy(x->coll, sizeof(x->coll), s->coll->name);
		str_copy(x->shard, sizeof(x->shard), s->name);
		str_copy(x->cuid, sizeof(x->cuid), s->cuid);
	}
	send_run(x, server, url, leader_changes(t->o, s));
	control_worker_wake(x->worker);
	return NULL;
}

/* ---- what the topology says --------------------------------------------- */

/* The channel's collection may be gone, or its shard led by another server. */
static void
send_look(struct out_send *x, struct arango_topology *topo, uint64_t now_ms)
{
	struct control_outgoing	*o = x->t->o;
	struct topo_shard	*s;
	struct topo_server	*server;
	struct err_msg		 m;
	const char		*why, *url;
	bool			 gone;

	s = shard_of(topo, &x->name, &why, &gone);
	if (gone) {
		if (x->gone_ms == 0)
			x->gone_ms = now_ms;
		else if (now_ms - x->gone_ms >= OUTGOING_GONE_MS) {
			log_info("%s: %s", x->worker->name, why);
			forget_leaders(o, x->name.cid);
			send_stop(x, true);
		}
		return;
	}
	x->gone_ms = 0;
	if (s != NULL)
		str_copy(x->coll, sizeof(x->coll), s->coll->name);
	if (s != NULL && leader_of(o->c, topo, s, &server, &url, &m) == NULL)
		send_run(x, server, url, leader_changes(o, s));
}

/* "mydb.10049.3", the directory of a queue. */
bool
outgoing_queue_parse(const char *name, uint64_t *cid, uint32_t *shard)
{
	const char	*last = strrchr(name, '.'), *before;
	uint64_t	 n;

	if (last == NULL || last == name)
		return false;
	before = memrchr(name, '.', (size_t)(last - name));
	if (before == NULL || before == name ||
	    str_to_u64_n(before + 1, (size_t)(last - before) - 1, cid) != 0 ||
	    str_to_u64(last + 1, &n) != 0 || n > UINT32_MAX)
		return false;
	*shard = (uint32_t)n;
	return true;
}

static struct topo_collection *
coll_of_cid(const struct arango_topology *topo, uint64_t cid)
{
	struct topo_collection	*coll;
	char			 text[24];
	size_t			 i;

	snprintf(text, sizeof(text), "%" PRIu64, cid);
	for (i = 0; i < topo->ndbs; i++)
		if ((coll = topo_database_coll_by_cid(&topo->dbs[i],
		    text)) != NULL)
			return coll;
	return NULL;
}

/* Its collection was dropped while nobody looked; true: it is removed. */
static bool
remove_ownerless(struct out_target *t, const char *name, uint64_t now_ms)
{
	uint64_t	*since = map_get(&t->ownerless, name);
	char		*dir, *path;
	int		 r;

	if (since == NULL) {
		since = xmalloc(sizeof(*since));
		*since = now_ms;
		map_put(&t->ownerless, name, since);
	}
	if (now_ms - *since < OUTGOING_GONE_MS)
		return false;
	dir = outgoing_queue_dir(t);
	path = xasprintf("%s/%s", dir, name);
	if ((r = fsx_remove_tree(path)) != 0)
		log_warning("%s: cannot be removed: %s; remove it by hand",
		    path, err_text(r));
	else
		log_info("%s: removed, its collection is gone", path);
	free(path);
	free(dir);
	return true;
}

/*
 * Before we were started again somebody wrote these queues: they go on, also
 * when the target is away.  False: look again, not all of them could.
 */
static bool
scan_queues(struct out_target *t, struct arango_topology *topo,
    uint64_t now_ms)
{
	struct channel_name	 name;
	struct topo_collection	*coll;
	struct err_msg		 m;
	struct dirent		*e;
	char			*path = outgoing_queue_dir(t);
	DIR			*dir = opendir(path);
	bool			 all = true;

	free(path);
	while (dir != NULL && (e = readdir(dir)) != NULL) {
		memset(&name, 0, sizeof(name));
		if (!outgoing_queue_parse(e->d_name, &name.cid, &name.shard))
			continue;
		coll = coll_of_cid(topo, name.cid);
		if (coll == NULL || coll->deleted) {
			if (!remove_ownerless(t, e->d_name, now_ms))
				all = false;
			continue;
		}
		str_copy(name.db, sizeof(name.db), coll->db->name);
		if (outgoing_want(t, &name, &m) != NULL)
			all = false;
	}
	if (dir != NULL)
		closedir(dir);
	return all;
}

/* Servers that lead something. */
static void
collect_leaders(const struct arango_topology *topo, struct map *servers)
{
	const struct topo_collection	*coll;
	const struct topo_shard		*s;
	size_t				 i, j, k;

	for (i = 0; i < topo->ndbs; i++)
		for (j = 0; j < topo->dbs[i].ncolls; j++) {
			coll = &topo->dbs[i].colls[j];
			for (k = 0; k < coll->nshards; k++) {
				s = &coll->shards[k];
				if (s->leader != NULL && !map_has(servers,
				    s->leader))
					map_put(servers, s->leader, NULL);
			}
		}
}

static void
look_target(struct out_target *t, struct arango_topology *topo,
    const struct map *leaders, uint64_t now_ms)
{
	struct topo_server	*server;
	struct arango_server	*as;
	struct out_tail		*x;
	struct map_iter		 it;

	MAP_FOREACH(leaders, it) {
		server = arango_topology_server(topo, it.key);
		as = arango_server_get(t->o->c->cluster, it.key);
		if (server != NULL && as != NULL)
			(void)tail_of(t, server, as->url);
	}
	MAP_FOREACH(&t->tails, it) {
		x = it.value;
		if (map_has(leaders, x->server))
			x->idle_ms = 0;
		else if (x->idle_ms == 0)
			x->idle_ms = now_ms;
	}
	MAP_FOREACH(&t->sends, it)
		send_look(it.value, topo, now_ms);
	if (!t->scanned)
		t->scanned = scan_queues(t, topo, now_ms);
}

void
outgoing_shards_look(struct control_outgoing *o, struct arango_topology *topo)
{
	uint64_t	 now = loop_now_ms(o->c->loop);
	struct map	 leaders = MAP_INIT;
	struct map_iter	 it;

	collect_leaders(topo, &leaders);
	MAP_FOREACH(&o->targets, it)
		if (!((struct out_target *)it.value)->cancelling)
			look_target(it.value, topo, &leaders, now);
	map_free(&leaders, NULL);
}

static bool
tail_is_used(const struct out_target *t, const char *server)
{
	struct map_iter	 it;

	MAP_FOREACH(&t->sends, it)
		if (strcmp(((struct out_send *)it.value)->server,
		    server) == 0)
			return true;
	return false;
}

void
outgoing_shards_tick(struct out_target *t, uint64_t now_ms)
{
	struct map_iter	 it;
	struct out_tail	*x;

	MAP_FOREACH(&t->tails, it) {
		x = it.value;
		if (x->idle_ms != 0 && now_ms - x->idle_ms >=
		    OUTGOING_IDLE_MS && !tail_is_used(t, x->server))
			tail_stop(x);
	}
}

void
outgoing_shards_stop(struct out_target *t)
{
	struct map_iter	 it;

	MAP_FOREACH(&t->sends, it)
		send_stop(it.value, false);
	MAP_FOREACH(&t->tails, it)
		tail_stop(it.value);
}

/* ---- status ------------------------------------------------------------- */

const char *
outgoing_send_state(const struct out_send *x)
{
	const char	*word = control_worker_word(x->worker, "state");

	if (x->worker->state == PROC_FAILED)
		return "failed";
	return *word == '\0' ? "initializing" : word;
}

enum out_state
outgoing_shards_state(const struct out_target *t)
{
	uint64_t	 now = loop_now_ms(t->o->c->loop);
	bool		 all = true;
	struct map_iter	 it;

	if (map_count(&t->sends) == 0) {
		if (t->state == OUT_RUNNING)
			return OUT_RUNNING;
		return t->session && now - t->session_ms >= EMPTY_MS ?
		    OUT_RUNNING : OUT_INITIALIZING;
	}
	MAP_FOREACH(&t->sends, it)
		if (strcmp(outgoing_send_state(it.value), "running") != 0)
			all = false;
	return all ? OUT_RUNNING : OUT_INITIAL_SYNC;
}
