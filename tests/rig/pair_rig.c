/*
 * pair_rig.c - see pair_rig.h
 *
 *	pair-rig DIR SOURCE TARGET DB COLLECTION [SECRET-FILE]
 *
 * The collection must be there at both ends with the same number of shards.
 * Each change of a status is a line on standard output: name, then JSON.
 * SIGTERM ends it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arango/agency.h"
#include "arango/conn.h"
#include "arango/topology.h"
#include "base/err.h"
#include "base/fsx.h"
#include "base/log.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "proc/mesh.h"
#include "proc/title.h"
#include "proc/title.h"
#include "receive/receive.h"
#include "pair_rig.h"
#include "send/send.h"
#include "tail/tail.h"
#include "worker/worker.h"

enum { CONTROL, API, LINK, TAIL, SEND, RECEIVE, CLASSES };

#define WORKERS_MAX	512
#define TARGET_ID	"rig-target"
#define SOURCE_ID	"rig-source"

static struct rig_conf	 conf;

struct worker_at {
	char		 name[MESH_NAME_MAX];
	unsigned	 class;
	struct peer	*peer;
	char		 server[POS_SERVER_SIZE];	/* tail */
	size_t		 shard;		/* receive: index in collection */
	struct worker_target told;
};

struct rig {
	struct member	*m;
	struct loop	*loop;
	struct arango	*cluster[2];	/* source, target */
	struct arango_agency *agency[2];
	struct arango_topology *topo[2];
	struct worker_at workers[WORKERS_MAX];
	size_t		 nworkers;
};

/* ---- workers -------------------------------------------------------------------- */

static int
on_message(struct peer *p, const struct frame *f, void *arg)
{
	struct rbuf	 m = { f->payload, f->len };
	const uint8_t	*text;
	size_t		 n;

	switch (f->type) {
	case MSG_WORKER_STATUS:
		if (get_bytes(&m, &text, &n) != 0)
			return ERR_PROTOCOL;
		printf("%s %.*s\n", peer_name(p), (int)n, (const char *)text);
		fflush(stdout);
		return 0;
	case MSG_WORKER_PLACE_REQ:
		(void)peer_send(p, MSG_WORKER_PLACE_ANS, f->id, NULL, 0);
		return 0;
	case MSG_WORKER_COMPARE_ANS:
	case MSG_WORKER_PLACE_FREE:
	case MSG_WORKER_LOOK:
	case MSG_WORKER_LEAVE_REQ:
		return 0;
	default:
		log_error("%s says %s", peer_name(p), msg_name(f->type));
		return ERR_PROTOCOL;
	}
}

static void
on_lost(struct peer *p, int why, void *arg)
{
	struct rig	*g = arg;
	size_t		 i;

	for (i = 0; i < g->nworkers; i++)
		if (g->workers[i].peer == p)
			g->workers[i].peer = NULL;
	peer_free(&p);
}

static const struct peer_ops	 ops = { .message = on_message, .lost = on_lost };

static void
on_connect(void *arg, const char *name, unsigned class, uint32_t generation,
    int fd)
{
	struct rig	*g = arg;
	struct peer	*p = peer_new(fd, name, &ops, g);
	size_t		 i;

	if (peer_attach(p, g->loop) != 0)
		fatal("%s cannot be attached", name);
	for (i = 0; i < g->nworkers; i++) {
		if (strcmp(g->workers[i].name, name) != 0)
			continue;
		g->workers[i].peer = p;
		memset(&g->workers[i].told, 0, sizeof(g->workers[i].told));
	}
}

static struct worker_at *
start(struct rig *g, const char *name, unsigned class, const char *third,
    struct buf *config)
{
	const char		*peers[3];
	size_t			 n = 0;
	struct worker_at	*w = &g->workers[g->nworkers++];

	snprintf(w->name, sizeof(w->name), "%s", name);
	w->class = class;
	peers[n++] = "control";
	peers[n++] = class == RECEIVE ? RIG_LINK : RIG_API;
	if (third != NULL)
		peers[n++] = third;
	if (member_start(g->m, name, class, peers, n, config->data,
	    config->len) != 0)
		fatal("%s cannot be started", name);
	buf_free(config);
	return w;
}

static void
start_tail(struct rig *g, const char *server)
{
	struct topo_server	*s = arango_topology_server(g->topo[0], server);
	struct tail_conf	 c = { .max_hold_bytes = (uint64_t)32 << 30,
				    .max_hold_ms = 86400000 };
	struct buf		 b = BUF_INIT;
	char			 name[128];
	size_t			 i;

	for (i = 0; i < g->nworkers; i++)
		if (g->workers[i].class == TAIL &&
		    strcmp(g->workers[i].server, server) == 0)
			return;
	snprintf(c.target, sizeof(c.target), TARGET_ID);
	snprintf(c.source, sizeof(c.source), SOURCE_ID);
	snprintf(c.server, sizeof(c.server), "%s", server);
	snprintf(c.url, sizeof(c.url), "%s", s->endpoint);
	c.reboot_id = s->reboot_id;
	tail_conf_put(&b, &c);
	snprintf(name, sizeof(name), "tail %s", server);
	snprintf(start(g, name, TAIL, NULL, &b)->server, POS_SERVER_SIZE, "%s",
	    server);
}

static struct topo_collection *
coll_of(struct rig *g, int which)
{
	struct topo_database	*db = arango_topology_db(g->topo[which],
				    conf.db);
	struct topo_collection	*c = db == NULL ? NULL :
				    topo_database_coll(db, conf.coll);

	if (c == NULL)
		fatal("%s/%s is not there", conf.db, conf.coll);
	return c;
}

static void
start_pair(struct rig *g, size_t i)
{
	struct topo_collection	*coll = coll_of(g, 0);
	struct topo_shard	*s = &coll->shards[i];
	struct topo_server	*leader;
	struct send_conf	 c = { .quota_bytes = (uint64_t)4 << 30 };
	struct receive_conf	 rc = { .settle_ms = 500, .lineage = true };
	struct buf		 b = BUF_INIT;
	char			 name[256], tail[128];

	if (s->leader == NULL)
		fatal("shard %zu has no leader", i);
	leader = arango_topology_server(g->topo[0], s->leader);
	start_tail(g, s->leader);
	snprintf(c.target, sizeof(c.target), TARGET_ID);
	snprintf(c.source, sizeof(c.source), SOURCE_ID);
	snprintf(c.name.db, sizeof(c.name.db), "%s", conf.db);
	c.name.cid = coll->id;
	c.name.shard = (uint32_t)i;
	snprintf(c.coll, sizeof(c.coll), "%s", conf.coll);
	snprintf(c.shard, sizeof(c.shard), "%s", s->name);
	snprintf(c.cuid, sizeof(c.cuid), "%s", s->cuid);
	snprintf(c.server, sizeof(c.server), "%s", s->leader);
	snprintf(c.url, sizeof(c.url), "%s", leader->endpoint);
	c.reboot_id = leader->reboot_id;
	send_conf_put(&b, &c);
	snprintf(name, sizeof(name), "send %s/%s/%zu", conf.db, conf.coll, i);
	snprintf(tail, sizeof(tail), "tail %s", s->leader);
	start(g, name, SEND, tail, &b);

	snprintf(rc.source, sizeof(rc.source), SOURCE_ID);
	rc.name = c.name;
	snprintf(rc.coll, sizeof(rc.coll), "%s", conf.coll);
	receive_conf_put(&b, &rc);
	snprintf(name, sizeof(name), "receive %s/%s/%zu", conf.db, conf.coll,
	    i);
	start(g, name, RECEIVE, NULL, &b)->shard = i;
}

/* ---- what control does, once a second ----------------------------------------------- */

static void
give_token(struct rig *g, struct worker_at *w)
{
	struct buf	 b = BUF_INIT;
	struct err_msg	 m;
	char		*token = NULL;

	if (conf.secret != NULL &&
	    arango_make_token(g->cluster[w->class == RECEIVE], 30000, &token,
	    &m) != 0)
		return;
	put_str(&b, token == NULL ? "" : token);
	put_u32(&b, 30000);
	if (w->peer != NULL)
		(void)peer_send_buf(w->peer, MSG_WORKER_TOKEN, 0, &b);
	buf_free(&b);
	free(token);
}

static void
give_target(struct rig *g, struct worker_at *w)
{
	struct topo_collection	*coll = coll_of(g, 1);
	struct topo_shard	*s = &coll->shards[w->shard];
	struct topo_server	*leader;
	struct worker_target	 t;
	struct buf		 b = BUF_INIT;

	memset(&t, 0, sizeof(t));
	snprintf(t.cid, sizeof(t.cid), "%s", coll->cid);
	snprintf(t.coll, sizeof(t.coll), "%s", coll->name);
	snprintf(t.shard, sizeof(t.shard), "%s", s->name);
	if (s->leader != NULL) {
		leader = arango_topology_server(g->topo[1], s->leader);
		snprintf(t.server, sizeof(t.server), "%s", s->leader);
		snprintf(t.url, sizeof(t.url), "%s", leader->endpoint);
		t.reboot_id = leader->reboot_id;
	}
	if (w->peer == NULL || memcmp(&t, &w->told, sizeof(t)) == 0)
		return;
	worker_target_put(&b, &t);
	if (peer_send_buf(w->peer, MSG_WORKER_TARGET, 0, &b) == 0)
		w->told = t;
	buf_free(&b);
}

static void
give_server(struct rig *g, struct worker_at *w)
{
	struct topo_server	*s = arango_topology_server(g->topo[0],
				    w->server);
	struct buf		 b = BUF_INIT;

	if (w->peer == NULL || s == NULL)
		return;
	put_str(&b, w->server);
	put_str(&b, s->endpoint);
	put_u64(&b, s->reboot_id);
	(void)peer_send_buf(w->peer, MSG_WORKER_SERVER, 0, &b);
	buf_free(&b);
}

static void
read_topologies(struct rig *g, bool must)
{
	struct arango_topology	*t;
	struct err_msg		 m;
	int			 i;

	for (i = 0; i < 2; i++) {
		t = NULL;
		if (arango_topology_read(g->agency[i], &t, &m) != 0) {
			if (must)
				fatal("%s", m.text);
			continue;
		}
		if (g->topo[i] != NULL)
			arango_topology_release(&g->topo[i]);
		g->topo[i] = t;
	}
}

static void
control_fiber(void *arg)
{
	struct rig	*g = arg;
	struct buf	 none = BUF_INIT;
	const char	*wish[2] = { "control", RIG_API };
	size_t		 i;

	read_topologies(g, true);
	(void)member_start(g->m, RIG_API, API, wish, 1, none.data, 0);
	(void)member_start(g->m, RIG_LINK, LINK, wish, 2, none.data, 0);
	for (i = 0; i < coll_of(g, 0)->nshards; i++)
		start_pair(g, i);
	for (;;) {
		for (i = 0; i < g->nworkers; i++) {
			if (g->workers[i].peer == NULL)
				continue;
			give_token(g, &g->workers[i]);
			if (g->workers[i].class == RECEIVE)
				give_target(g, &g->workers[i]);
			if (g->workers[i].class == TAIL)
				give_server(g, &g->workers[i]);
		}
		fiber_sleep_ms(500);
		read_topologies(g, false);
	}
}

static int
control_main(struct member *m)
{
	struct rig		*g = xcalloc(1, sizeof(*g));
	struct arango_opts	 o = ARANGO_OPTS_INIT;
	struct err_msg		 em;
	int			 i;

	g->m = m;
	g->loop = m->child->loop;
	for (i = 0; i < 2; i++) {
		o.name = i == 0 ? "source" : "target";
		o.endpoints = i == 0 ? conf.source : conf.target;
		o.jwt_secret_file = conf.secret;
		if (arango_new(g->loop, &o, &g->cluster[i], &em) != 0)
			fatal("%s", em.text);
		g->agency[i] = arango_agency_new(g->cluster[i], NULL);
	}
	member_on_connect(m, on_connect, g);
	member_ready(m);
	fiber_spawn(g->loop, control_fiber, g);
	(void)loop_run(g->loop);
	return PROC_EXIT_OK;
}

/* ---- the supervisor ------------------------------------------------------------------ */

static int
worker(struct member *m, bool at_target,
    int (*fn)(struct member *m, const struct worker_conf *))
{
	char			*dir = xasprintf("%s/%s", conf.dir,
				    at_target ? "target" : "source");
	struct worker_conf	 w = {
		.data_dir = dir,
		.cluster_endpoints = at_target ? conf.target : conf.source,
		.authenticated = conf.secret != NULL, .version = "rig"
	};

	return fn(m, &w);
}

static int
tail(struct member *m)
{
	return worker(m, false, tail_main);
}

static int
send_shard(struct member *m)
{
	return worker(m, false, send_main);
}

static int
receive(struct member *m)
{
	return worker(m, true, receive_main);
}

#define ROW(n, fn)	{ .name = (n), .main = (fn), .on_request = true,	\
	.backoff_min_ms = 50, .backoff_max_ms = 2000 }

static const struct mesh_class	 classes[CLASSES] = {
	[CONTROL] = { .name = "control", .main = control_main,
	    .stop_phase = 1 },
	[API] = ROW("api", rig_api_main), [LINK] = ROW("link", rig_link_main),
	[TAIL] = ROW("tail", tail), [SEND] = ROW("send", send_shard),
	[RECEIVE] = ROW("receive", receive)
};

int
main(int argc, char **argv)
{
	struct super	*super;
	struct mesh	*mesh;
	char		*sub;
	int		 code;

	proc_reserve_fds();
	proc_title_init(argc, argv);
	if (argc < 6) {
		fprintf(stderr, "usage: pair-rig DIR SOURCE TARGET DB "
		    "COLLECTION [SECRET-FILE]\n");
		return 2;
	}
	/* Copies: the titles of the children are written over argv. */
	proc_title_init(argc, argv);
	conf.dir = xstrdup(argv[1]);
	conf.source[0] = xstrdup(argv[2]);
	conf.target[0] = xstrdup(argv[3]);
	conf.db = xstrdup(argv[4]);
	conf.coll = xstrdup(argv[5]);
	conf.secret = argc > 6 ? xstrdup(argv[6]) : NULL;
	for (code = 0; code < 2; code++) {
		sub = xasprintf("%s/%s", conf.dir, code ? "target" : "source");
		if (fsx_mkdir_p(sub, 0700) != 0)
			fatal("%s cannot be made", sub);
		free(sub);
	}
	if (getenv("VERBOSE") != NULL)
		log_set_level(LOG_LEVEL_DEBUG);
	super = super_new(NULL, NULL);
	mesh = mesh_new(super, classes, CLASSES, NULL);
	mesh_set_governor(mesh, "control");
	if (mesh_add(mesh, "control", CONTROL, NULL, 0) != 0)
		fatal("control cannot be started");
	code = super_run(super);
	mesh_free(&mesh);
	super_free(&super);
	return code;
}
