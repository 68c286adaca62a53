/*
 * tail_client.c - the client library against a cluster.
 *
 *	tail_client api URL SECRET-FILE
 *		asks for everything once; "ok name" or "not ok name: why".
 *	tail_client follow URL SECRET-FILE DATABASE COLLECTION
 *		rebuilds a collection from snapshots and logs, over failures
 *		of servers, until standard input ends; then prints the
 *		documents, one a line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arango/agency.h"
#include "arango/conn.h"
#include "arango/snapshot.h"
#include "arango/tail.h"
#include "arango/topology.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "tail_client.h"

static struct loop		*loop;
static struct arango		*a;
static struct arango_agency	*ag;
static const char		*db_name, *coll_name;

/* ---- what is rebuilt ---------------------------------------------------- */

struct server {
	struct arango_server	*s;
	struct arango_tail	*tail;
	struct arango_hold	*hold;
	uint64_t		 reboot_id;
	bool			 doubt;		/* is its history the same? */
	bool			 gap;		/* it is not */
	unsigned		 quiet;		/* answers, nothing behind */
};

struct op {
	uint64_t	 tick;
	uint32_t	 type;
	char		*data;
	size_t		 len;
};

struct shard {
	char		*name, *cuid;
	char		*leader;	/* id whose log we follow; or NULL */
	struct map	 docs;		/* key -> text */
	bool		 repairing;
	struct op	*pending;	/* while repairing */
	size_t		 npending;
};

static struct map	 servers = MAP_INIT;	/* id -> struct server */
static struct map	 shards = MAP_INIT;	/* cuid -> struct shard */
static bool		 stopping;

static void
note(const char *what, const char *who, const char *why)
{
	fprintf(stderr, "# %s %s %s\n", what, who, why);
}

static void
put_doc(struct shard *s, const char *p, size_t len)
{
	struct arango_doc	 doc = { false, { p, len } };
	struct arango_doc_id	 id;

	bug_unless(arango_doc_identify(&doc, &id) == 0 && !id.key_escaped);
	free(map_put_n(&s->docs, id.key.p, id.key.len, xstrndup(p, len)));
}

static void
apply(struct shard *s, uint32_t type, const char *p, size_t len)
{
	struct arango_doc	 doc = { false, { p, len } };
	struct arango_doc_id	 id;

	if (type == WAL_DOCUMENT)
		put_doc(s, p, len);
	else if (type == WAL_TRUNCATE)
		map_free(&s->docs, free);
	else if (type == WAL_REMOVE) {
		bug_unless(arango_doc_identify(&doc, &id) == 0);
		free(map_del_n(&s->docs, id.key.p, id.key.len));
	}
}

static void
keep_pending(struct shard *s, const struct arango_marker *m)
{
	struct op	*o;

	s->pending = xrealloc(s->pending,
	    (s->npending + 1) * sizeof(*s->pending));
	o = &s->pending[s->npending++];
	o->tick = m->tick;
	o->type = m->type;
	o->len = m->data.len;
	o->data = m->data.p == NULL ? NULL : xstrndup(m->data.p, m->data.len);
}

static void
end_pending(struct shard *s, uint64_t above, bool take)
{
	size_t	 i;

	for (i = 0; i < s->npending; i++) {
		if (take && s->pending[i].tick > above)
			apply(s, s->pending[i].type, s->pending[i].data,
			    s->pending[i].len);
		free(s->pending[i].data);
	}
	free(s->pending);
	s->pending = NULL;
	s->npending = 0;
	s->repairing = false;
}

/* ---- tails -------------------------------------------------------------- */

static int
on_marker(void *arg, const struct arango_marker *m)
{
	struct server	*srv = arg;
	struct shard	*s;

	if (m->cuid.p == NULL ||
	    (s = map_get_n(&shards, m->cuid.p, m->cuid.len)) == NULL ||
	    s->leader == NULL || strcmp(s->leader, srv->s->id) != 0)
		return 0;
	if (m->type != WAL_DOCUMENT && m->type != WAL_REMOVE &&
	    m->type != WAL_TRUNCATE)
		return 0;
	if (s->repairing)
		keep_pending(s, m);
	else
		apply(s, m->type, m->data.p, m->data.len);
	return 0;
}

static void
on_done(void *arg, const struct arango_tail_done *d)
{
	struct server	*srv = arg;

	if (!d->more)
		srv->quiet++;
	arango_hold_set(srv->hold, d->point.has_last ? d->point.last_from :
	    d->point.from);
}

static void
on_event(void *arg, enum arango_tail_event ev, const char *why)
{
	static const char *const names[] = { "gap", "broken", "down", "up",
	    "denied", "failed" };
	struct server	*srv = arg;

	note(names[ev], srv->s->id, why);
	if (ev == ARANGO_TAIL_GAP)
		srv->doubt = srv->gap = true;
}

static void
start_server(const struct topo_server *ts)
{
	struct arango_tail_opts	 o = ARANGO_TAIL_OPTS_INIT;
	struct arango_hold_opts	 h = ARANGO_HOLD_OPTS_INIT;
	struct server		*srv;
	struct err_msg		 m;
	uint64_t		 tick;

	srv = xcalloc(1, sizeof(*srv));
	srv->s = arango_server_get(a, ts->id);
	if (srv->s == NULL ||
	    arango_wal_last_tick(a, srv->s, &tick, NULL, &m) != 0) {
		free(srv);
		return;		/* the next time */
	}
	srv->reboot_id = ts->reboot_id;
	h.cluster = o.cluster = a;
	h.server = o.server = srv->s;
	h.syncer_id = arango_syncer_id("source", "test", ts->id);
	h.tick = tick;
	h.every_ms = 1000;
	srv->hold = arango_hold_start(&h);
	o.point.from = tick;
	o.chunk_bytes = 65536;
	o.on_marker = on_marker;
	o.on_done = on_done;
	o.on_event = on_event;
	o.arg = srv;
	srv->tail = arango_tail_start(&o);
	map_put(&servers, ts->id, srv);
}

/* R5: only a proven history is continued. */
static void
judge_server(struct server *srv)
{
	struct arango_tail_point	 p = arango_tail_point(srv->tail), q;
	struct map_iter			 it;
	struct shard			*s;
	struct err_msg			 m;
	uint64_t			 tick;
	int				 r;

	r = arango_tail_prove(a, srv->s, &p, NULL, &q, &m);
	if (r == 0 && !srv->gap)
		note("proven", srv->s->id, "");
	else if (r == 0 || r == ERR_CORRUPT || r == ERR_NOT_FOUND) {
		note("not proven", srv->s->id, m.text);
		if (arango_wal_last_tick(a, srv->s, &tick, NULL, &m) != 0)
			return;
		memset(&q, 0, sizeof(q));
		q.from = tick;
		MAP_FOREACH(&shards, it) {
			s = it.value;
			if (s->leader != NULL &&
			    strcmp(s->leader, srv->s->id) == 0) {
				free(s->leader);
				s->leader = NULL;
			}
		}
	} else {
		srv->doubt = true;
		return;
	}
	srv->doubt = srv->gap = false;
	arango_hold_now(srv->hold);
	arango_tail_seek(srv->tail, &q);
}

/* ---- shards ------------------------------------------------------------- */

static int
take_doc(void *arg, const struct arango_doc *doc)
{
	put_doc(arg, doc->data.p, doc->data.len);
	return 0;
}

static void
repair(struct shard *s, const char *leader)
{
	struct arango_snapshot_opts	 o = ARANGO_SNAPSHOT_OPTS_INIT;
	struct arango_dump_opts		 d = ARANGO_DUMP_OPTS_INIT;
	struct arango_snapshot		*snap;
	struct err_msg			 m;
	int				 r;

	note("repair", s->name, leader);
	free(s->leader);
	s->leader = xstrdup(leader);
	s->repairing = true;
	o.cluster = a;
	o.server = arango_server_get(a, leader);
	if ((r = arango_snapshot_open(&o, &snap, &m)) == 0) {
		map_free(&s->docs, free);
		d.db = db_name;
		d.shard = s->name;
		d.chunk_bytes = 16384;
		d.on_doc = take_doc;
		d.arg = s;
		r = arango_dump(snap, &d, &m);
		end_pending(s, arango_snapshot_tick(snap), r == 0);
		arango_snapshot_close(&snap);
	}
	if (r != 0) {
		note("repair failed", s->name, m.text);
		end_pending(s, 0, false);
		free(s->leader);
		s->leader = NULL;
	}
}

static struct shard *
shard_of(const struct topo_shard *ts)
{
	struct shard	*s = map_get(&shards, ts->cuid);

	if (s == NULL) {
		s = xcalloc(1, sizeof(*s));
		s->name = xstrdup(ts->name);
		s->cuid = xstrdup(ts->cuid);
		map_put(&shards, ts->cuid, s);
	}
	return s;
}

/* 1 when everything is as it should be. */
static int
reconcile(void)
{
	struct arango_topology	*t;
	struct topo_collection	*c;
	struct topo_server	*ts;
	struct topo_database	*db;
	struct server		*srv;
	struct shard		*s;
	struct err_msg		 m;
	size_t			 i;
	int			 good = 1;

	if (arango_topology_read(ag, &t, &m) != 0) {
		note("topology", "", m.text);
		return 0;
	}
	for (i = 0; i < t->nservers; i++) {
		ts = &t->servers[i];
		if (ts->role != ARANGO_DBSERVER || !ts->in_plan)
			continue;
		if ((srv = map_get(&servers, ts->id)) == NULL) {
			start_server(ts);
			good &= map_has(&servers, ts->id);
		} else if (srv->reboot_id != ts->reboot_id || srv->doubt) {
			if (srv->reboot_id != ts->reboot_id)
				note("rebooted", ts->id, "");
			srv->reboot_id = ts->reboot_id;
			judge_server(srv);
			good &= !srv->doubt;
		}
	}
	db = arango_topology_db(t, db_name);
	c = db == NULL ? NULL : topo_database_coll(db, coll_name);
	for (i = 0; c != NULL && i < c->nshards; i++) {
		s = shard_of(&c->shards[i]);
		if (c->shards[i].leader == NULL) {
			good = 0;
			continue;
		}
		if (!map_has(&servers, c->shards[i].leader)) {
			good = 0;
			continue;
		}
		if (s->leader == NULL ||
		    strcmp(s->leader, c->shards[i].leader) != 0)
			repair(s, c->shards[i].leader);
		good &= s->leader != NULL;
	}
	arango_topology_release(&t);
	return good;
}

/* Everything that was written before this call has been seen. */
static int
catch_up(void)
{
	struct map_iter	 it;
	struct server	*srv;
	struct err_msg	 m;
	uint64_t	 tick, until = loop_now_ms(loop) + 10000;
	unsigned	 quiet;

	MAP_FOREACH(&servers, it) {
		srv = it.value;
		if (arango_wal_last_tick(a, srv->s, &tick, NULL, &m) != 0)
			return 0;
		quiet = srv->quiet;
		while (srv->quiet < quiet + 2) {
			if (loop_now_ms(loop) > until)
				return 0;
			arango_tail_poke(srv->tail);
			fiber_sleep_ms(10);
		}
	}
	return 1;
}

static void
on_input(void *arg, int events)
{
	char	 c[64];

	if (read(0, c, sizeof(c)) <= 0)
		stopping = true;
}

static void
print_all(void)
{
	struct map_iter	 it, doc;
	struct shard	*s;

	MAP_FOREACH(&shards, it) {
		s = it.value;
		MAP_FOREACH(&s->docs, doc)
			printf("%s\n", (char *)doc.value);
	}
	fflush(stdout);
}

static void
follow(void *arg)
{
	static const char *const prefixes[] = { "/arango/Plan",
				    "/arango/Current", NULL };
	struct agency_watch	 w = AGENCY_WATCH_INIT(prefixes);
	struct arango_topology	*t;
	struct map_iter		 it;
	struct err_msg		 m;
	int			 good = 0, told = 0;

	ag = arango_agency_new(a, NULL);
	while (!stopping || !good || !catch_up() || !reconcile()) {
		if (good && !told) {
			printf("following\n");
			fflush(stdout);
			told = 1;
		}
		if (arango_agency_wait(ag, &w, good ? 200 : 50, &m) < 0)
			note("agency", "", m.text);
		good = reconcile();
	}
	/* Once more: a leader that changed meanwhile would have been missed. */
	bug_unless(arango_topology_read(ag, &t, &m) == 0);
	arango_topology_release(&t);
	MAP_FOREACH(&servers, it) {
		struct server	*srv = it.value;

		arango_tail_stop(&srv->tail);
		if (arango_hold_drop(&srv->hold, &m) != 0)
			note("drop", srv->s->id, m.text);
	}
	print_all();
	arango_agency_free(&ag);
	loop_stop(loop);
}

int
main(int argc, char **argv)
{
	struct arango_opts	 o = ARANGO_OPTS_INIT;
	const char		*endpoints[2] = { NULL, NULL };
	struct loop_fd		*input = NULL;
	struct err_msg		 m;

	if (argc < 4) {
		fprintf(stderr, "usage: tail_client api|follow URL SECRET "
		    "[DATABASE COLLECTION]\n");
		return 2;
	}
	loop = loop_new();
	endpoints[0] = argv[2];
	o.endpoints = endpoints;
	o.jwt_secret_file = argv[3];
	if (arango_new(loop, &o, &a, &m) != 0) {
		fprintf(stderr, "%s\n", m.text);
		return 1;
	}
	if (strcmp(argv[1], "api") == 0)
		fiber_spawn(loop, api_run, a);
	else {
		db_name = argv[4];
		coll_name = argv[5];
		input = loop_fd_new(loop, 0, LOOP_READ, on_input, NULL);
		fiber_spawn(loop, follow, NULL);
	}
	loop_run(loop);
	loop_fd_free(&input);
	return api_failed;
}
