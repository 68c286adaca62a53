/*
 * control_incoming_shard.c - one receive for each shard: its process, and where
 * it writes
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "arango/topology.h"
#include "base/clock.h"
#include "base/fsx.h"
#include "base/log.h"
#include "base/str.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "master/control_incoming_priv.h"
#include "master/control_topology.h"
#include "receive/receive.h"
#include "receive/receive_record.h"

/* That many may be on their way to READY: forking is not free. */
#define STARTING_MAX	64

/* ---- where a receive writes --------------------------------------------- */

/* Who may lead the shard next. */
static void
find_copies(const struct topo_shard *shard, const struct arango_topology *t,
    struct worker_target *wt)
{
	const struct topo_server	*server;
	struct worker_copy		*copy;
	size_t				 i;

	for (i = 0; i < shard->ncurrent &&
	    wt->ncopies < WORKER_COPIES_MAX; i++) {
		server = arango_topology_server(t, shard->current[i]);
		if (server == NULL || strcmp(server->id, shard->leader) == 0)
			continue;
		copy = &wt->copies[wt->ncopies++];
		(void)str_copy(copy->server, sizeof(copy->server), server->id);
		copy->reboot_id = server->reboot_id;
	}
}

static void
find_target(const struct incoming_shard *s, struct arango_topology *t,
    struct worker_target *wt)
{
	const struct incoming_pair *p = s->pair;
	struct topo_database	*db;
	struct topo_collection	*coll = NULL;
	struct topo_shard	*shard;
	struct topo_server	*server;
	struct arango_server	*as;

	memset(wt, 0, sizeof(*wt));
	(void)str_copy(wt->cid, sizeof(wt->cid), p->target_cid);
	(void)str_copy(wt->coll, sizeof(wt->coll), p->target_coll);
	if ((db = arango_topology_db(t, p->db)) != NULL)
		coll = topo_database_coll_by_cid(db, p->target_cid);
	if (coll == NULL || coll->nshards != p->nshards || coll->deleted)
		return;
	shard = &coll->shards[s->index];
	(void)str_copy(wt->shard, sizeof(wt->shard), shard->name);
	if (shard->leader == NULL ||
	    (server = arango_topology_server(t, shard->leader)) == NULL ||
	    (as = arango_server_get(s->in->c->cluster,
	    shard->leader)) == NULL)
		return;
	(void)str_copy(wt->server, sizeof(wt->server), shard->leader);
	(void)str_copy(wt->url, sizeof(wt->url), as->url);
	wt->reboot_id = server->reboot_id;
	find_copies(shard, t, wt);
}

static void
tell_target(struct incoming_shard *s, struct arango_topology *t)
{
	struct worker_target	 wt;
	struct buf		 b = BUF_INIT;

	if (s->w == NULL || s->w->peer == NULL || t == NULL)
		return;
	find_target(s, t, &wt);
	worker_target_put(&b, &wt);
	if (s->told && b.len == s->target.len &&
	    memcmp(b.data, s->target.data, b.len) == 0) {
		buf_free(&b);
		return;
	}
	buf_free(&s->target);
	buf_append(&s->target, b.data, b.len);
	s->has_leader = wt.server[0] != '\0';
	s->told = control_worker_send(s->w, MSG_WORKER_TARGET, 0, &b) == 0;
	buf_free(&b);
}

void
incoming_topology(struct control *c, struct arango_topology *t)
{
	struct control_incoming	*in = c->incoming;
	struct incoming_pair	*p;
	struct map_iter		 it;
	uint32_t		 i;

	if (in == NULL || !in->running)
		return;
	INCOMING_EACH_PAIR(in, it, p) {
		for (i = 0; i < p->nshards; i++)
			tell_target(&p->shards[i], t);
	}
}

/* ---- the process of a shard --------------------------------------------- */

static void
on_connected(struct control_worker *w)
{
	struct incoming_shard	*s = w->owner;

	/* A new process, or we are new to it: all of it again. */
	s->told = false;
	incoming_place_free(s);
	tell_target(s, control_topology(s->in->c));
	incoming_tell_repair(s);
	incoming_wake(s->in);
}

static void
on_left(struct control_worker *w, bool asleep)
{
	struct incoming_shard	*s = w->owner;

	if (asleep)
		incoming_place_free(s);
	else
		incoming_tell_repair(s);
}

static void
on_status(struct control_worker *w)
{
	struct incoming_shard	*s = w->owner;

	incoming_wake(s->in);
}

static void
on_changed(struct control_worker *w)
{
	struct incoming_shard	*s = w->owner;

	if (w->peer == NULL) {
		s->told = false;
		incoming_place_free(s);
		incoming_places_give(s->in);
		incoming_compare_end(s, ERR_CLOSED, "its process has ended");
	}
	incoming_wake(s->in);
}

/* What is left of a pair whose process is no more. */
struct leftover {
	struct control_incoming	*in;
	struct channel_name	 name;
	bool			 remove;	/* its record, too */
};

/* Its record, and whatever has that name with a suffix. */
static void
remove_files(const struct leftover *l)
{
	char		*path, *base, *file;
	struct dirent	*e;
	DIR		*d;
	size_t		 n;

	path = receive_record_path(l->in->c->conf->data_dir, &l->name, "");
	base = strrchr(path, '/');
	*base++ = '\0';
	n = strlen(base);
	if ((d = opendir(path)) != NULL) {
		while ((e = readdir(d)) != NULL) {
			if (strncmp(e->d_name, base, n) != 0 ||
			    (e->d_name[n] != '\0' && e->d_name[n] != '.'))
				continue;
			file = xasprintf("%s/%s", path, e->d_name);
			(void)fsx_unlink(file);
			free(file);
		}
		closedir(d);
	}
	free(path);
}

static void
on_gone(struct control_worker *w)
{
	struct leftover	*l = w->owner;

	if (l->remove)
		remove_files(l);
	l->in->leaving--;
	(void)fiber_cond_broadcast(&l->in->stopped);
	incoming_release(&l->in);
	free(l);
}

static const struct msg_rule	 from_receive[] = {
	{ MSG_WORKER_PLACE_REQ, 1, 0, 0, incoming_on_place_req },
	{ MSG_WORKER_PLACE_FREE, 1, 0, 0, incoming_on_place_free },
	{ MSG_WORKER_COMPARE_ANS, 1, 20, 4096, incoming_on_compare_ans },
	{ 0, 0, 0, 0, NULL }
};

static const struct control_worker_ops	 shard_ops = {
	.rules = from_receive, .connected = on_connected, .status = on_status,
	.changed = on_changed, .left = on_left
};

/* Of one that was told to stop: nothing that it says matters. */
static const struct control_worker_ops	 leaving_ops = {
	.gone = on_gone
};

static void
start_shard(struct incoming_shard *s)
{
	static const char *const  peers[] = {
		DAEMON_CONTROL_NAME, INCOMING_LINK
	};
	struct incoming_pair	 *p = s->pair;
	struct control		 *c = s->in->c;
	struct receive_conf	  rc = { .settle_ms = c->conf->settle_ms };
	struct buf		  b = BUF_INIT;
	char			 *name = xasprintf("receive %s", s->name);

	(void)str_copy(rc.source, sizeof(rc.source),
	    incoming_source_id(s->in));
	(void)str_copy(rc.name.db, sizeof(rc.name.db), p->db);
	rc.name.cid = p->cid_number;
	rc.name.shard = s->index;
	(void)str_copy(rc.coll, sizeof(rc.coll), p->coll);
	rc.lineage = p->lineage;
	rc.idle_ms = c->conf->idle_ms;
	receive_conf_put(&b, &rc);
	s->since_us = clock_wall_us();
	s->w = control_worker_start(c, name, DAEMON_RECEIVE, peers,
	    NITEMS(peers), &b, &shard_ops, s);
	buf_free(&b);
	free(name);
}

static void
name_of(const struct incoming_shard *s, struct channel_name *n)
{
	memset(n, 0, sizeof(*n));
	(void)str_copy(n->db, sizeof(n->db), s->pair->db);
	n->cid = s->pair->cid_number;
	n->shard = s->index;
}

/* It keeps what it knows of one that sleeps. */
static void
tell_link_nobody(const struct incoming_shard *s)
{
	struct control_worker	*link = s->in->link;
	struct channel_name	 n;
	struct buf		 b = BUF_INIT;

	if (link == NULL)
		return;
	name_of(s, &n);
	channel_name_put(&b, &n);
	(void)control_worker_send(link, MSG_LINK_NOBODY, 0, &b);
	buf_free(&b);
}

void
incoming_pairs_wake(struct control_incoming *in)
{
	struct incoming_pair	*p;
	struct map_iter		 it;
	uint32_t		 i;

	INCOMING_EACH_PAIR(in, it, p) {
		for (i = 0; i < p->nshards; i++)
			if (p->shards[i].w != NULL)
				control_worker_wake(p->shards[i].w);
	}
}

void
incoming_shard_wanted(struct control_incoming *in,
    const struct channel_name *name)
{
	struct incoming_pair	*p;
	struct map_iter		 it;
	struct buf		 b = BUF_INIT;

	INCOMING_EACH_PAIR(in, it, p) {
		if (p->cid_number != name->cid || name->shard >= p->nshards ||
		    strcmp(p->db, name->db) != 0)
			continue;
		if (p->shards[name->shard].w != NULL)
			control_worker_wake(p->shards[name->shard].w);
		return;
	}
	/* not synchronized any more */
	channel_name_put(&b, name);
	if (in->link != NULL)
		(void)control_worker_send(in->link, MSG_LINK_NOBODY, 0, &b);
	buf_free(&b);
}

void
incoming_shard_stop(struct incoming_shard *s, bool remove)
{
	struct control_incoming	*in = s->in;
	struct leftover		*l;

	incoming_place_free(s);
	incoming_compare_end(s, ERR_CANCELLED,
	    "it is not synchronized any more");
	if (remove)
		tell_link_nobody(s);
	if (s->w == NULL)
		return;
	l = xcalloc(1, sizeof(*l));
	l->in = incoming_hold(in);
	(void)str_copy(l->name.db, sizeof(l->name.db), s->pair->db);
	l->name.cid = s->pair->cid_number;
	l->name.shard = s->index;
	l->remove = remove;
	in->leaving++;
	s->w->ops = &leaving_ops;
	s->w->owner = l;
	control_worker_stop(s->w);
	s->w = NULL;
}

void
incoming_pairs_start(struct control_incoming *in)
{
	struct incoming_pair	*p;
	struct incoming_shard	*s;
	struct map_iter		 it;
	size_t			 starting = 0;
	uint32_t		 i;

	INCOMING_EACH_PAIR(in, it, p) {
		for (i = 0; i < p->nshards; i++) {
			s = &p->shards[i];
			starting += s->w != NULL && s->w->peer == NULL &&
			    !s->w->asleep &&
			    (s->w->state == PROC_DOWN ||
			    s->w->state == PROC_STARTING);
		}
	}
	INCOMING_EACH_PAIR(in, it, p) {
		for (i = 0; i < p->nshards && starting < STARTING_MAX; i++) {
			if (p->shards[i].w != NULL)
				continue;
			start_shard(&p->shards[i]);
			starting++;
		}
	}
}
