/* tail_client_api.c - each call of the library once, against a cluster */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arango/agency.h"
#include "arango/conn.h"
#include "arango/snapshot.h"
#include "arango/structure.h"
#include "arango/tail.h"
#include "arango/topology.h"
#include "arango/write.h"
#include "base/err.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "json/get.h"
#include "tail_client.h"
#include "vpack/rev.h"
#include "vpack/vpack.h"

int			 api_failed;
static struct arango	*a;
static struct err_msg	 m;
static struct topo_shard *shard;		/* of "docs" */
static struct arango_server *leader;

static void
result(const char *name, int good)
{
	if (good)
		printf("ok %s\n", name);
	else {
		printf("not ok %s: %s\n", name, m.text);
		api_failed = 1;
	}
	fflush(stdout);
	m.text[0] = '\0';
}

static struct json_object *
json(const char *text)
{
	struct json_object	*o;

	bug_unless(json_parse(text, strlen(text), &o, NULL) == 0);
	return o;
}

/* ---- structure ---------------------------------------------------------- */

static void
databases(void)
{
	struct json_object	*o, *def;
	int			 num, r;

	arango_database_drop(a, "api", &num, &m);
	def = json("{\"replicationFactor\":1,\"id\":\"7\"}");
	r = arango_database_create(a, "api", def, &num, &m);
	json_object_put(def);
	result("create a database", r == 0);
	r = arango_database_create(a, "api", NULL, &num, &m);
	result("twice is ERR_EXISTS", r == ERR_EXISTS && num == 1207);
	r = arango_database_list(a, &o, &m);
	result("list databases", r == 0 && json_object_array_length(o) >= 2);
	json_object_put(o);
	r = arango_database_get(a, "api", &o, &num, &m);
	result("properties of a database", r == 0 &&
	    strcmp(json_string_or(o, "name", ""), "api") == 0);
	json_object_put(o);
}

static void
collections(void)
{
	struct json_object	*o, *def;
	char			*s = NULL;
	int			 num, r;

	def = json("{\"name\":\"docs\",\"type\":2,\"shards\":{\"s1\":[],"
	    "\"s2\":[]},\"shardKeys\":[\"_key\"],\"replicationFactor\":2,"
	    "\"id\":\"99\",\"shardingStrategy\":\"hash\",\"schema\":null}");
	r = arango_collection_create(a, "api", def, NULL, true, &num, &m);
	result("create a collection", r == 0);
	r = arango_collection_create(a, "api", def, NULL, true, &num, &m);
	result("a collection twice is ERR_EXISTS", r == ERR_EXISTS);
	json_set_string(def, "name", "like");
	r = arango_collection_create(a, "api", def, "docs", true, &num, &m);
	json_object_put(def);
	result("create a collection like another", r == 0);
	def = json("{\"waitForSync\":true,\"name\":\"x\"}");
	r = arango_collection_change(a, "api", "like", def, &num, &m);
	json_object_put(def);
	result("change a collection", r == 0);
	r = arango_collection_get(a, "api", "like", &o, &num, &m);
	result("properties of a collection", r == 0 &&
	    json_bool_or(o, "waitForSync", false) &&
	    strcmp(json_string_or(o, "name", ""), "like") == 0);
	json_object_put(o);
	def = json("{\"_key\":\"a\"}");
	r = arango_responsible_shard(a, "api", "docs", def, &s, &num, &m);
	json_object_put(def);
	result("responsible shard", r == 0 && s != NULL && *s == 's');
	free(s);
	r = arango_inventory(a, "api", &o, &num, &m);
	result("inventory", r == 0 && json_at(o, "collections") != NULL);
	json_object_put(o);
}

static void
indexes(void)
{
	struct json_object	*o, *def;
	bool			 created;
	int			 num, r;

	def = json("{\"type\":\"persistent\",\"fields\":[\"u\"],\"name\":"
	    "\"idx_u\",\"id\":\"5\",\"sparse\":true}");
	r = arango_index_create(a, "api", "docs", def, &created, &num, &m);
	result("create an index", r == 0 && created);
	r = arango_index_create(a, "api", "docs", def, &created, &num, &m);
	json_object_put(def);
	result("an index that is there", r == 0 && !created);
	r = arango_index_list(a, "api", "docs", &o, &num, &m);
	result("list indexes", r == 0 && json_object_array_length(o) == 2);
	json_object_put(o);
	r = arango_index_drop(a, "api", "docs", "idx_u", &num, &m);
	result("drop an index", r == 0);
	r = arango_index_drop(a, "api", "docs", "idx_u", &num, &m);
	result("drop no index", r == 0);
	def = json("{\"name\":\"uni\",\"numberOfShards\":1}");
	r = arango_collection_create(a, "api", def, NULL, true, &num, &m);
	json_object_put(def);
	def = json("{\"type\":\"persistent\",\"fields\":[\"u\"],\"name\":"
	    "\"u\",\"unique\":true}");
	if (r == 0)
		r = arango_index_create(a, "api", "uni", def, &created, &num,
		    &m);
	json_object_put(def);
	result("a unique index", r == 0);
}

/* ---- state -------------------------------------------------------------- */

static void
state(struct arango_topology *t)
{
	const char *const	 dbs[] = { "_system", "api", NULL };
	struct arango_version	 v;
	struct arango_server	*s;
	struct err_msg		 what;
	char			 role[32];
	bool			 on;
	size_t			 i, n;
	int			 r, good = 1;

	r = arango_version(a, NULL, &v, &m);
	result("version", r == 0 && v.major == 3);
	for (i = 0; i < t->nservers; i++) {
		s = arango_server_get(a, t->servers[i].id);
		if (arango_server_role(a, s, role, &m) != 0 || strcmp(role,
		    t->servers[i].role == ARANGO_DBSERVER ? "PRIMARY" :
		    "COORDINATOR") != 0)
			good = 0;
	}
	result("roles", good);
	r = arango_mode_get(a, NULL, &on, &m);
	result("mode", r == 0 && !on);
	r = arango_mode_set(a, true, &m);
	if (r == 0)
		r = arango_mode_get(a, NULL, &on, &m);
	result("read-only", r == 0 && on);
	r = arango_mode_set(a, false, &m);
	result("read-write", r == 0);
	r = arango_ttl_set(a, leader, false, &m);
	if (r == 0)
		r = arango_ttl_get(a, leader, &on, &m);
	if (strstr(m.text, "not done by the sandbox") == NULL)
		result("ttl off", r == 0 && !on &&
		    arango_ttl_set(a, leader, true, &m) == 0);
	r = arango_transactions(a, dbs, &n, &what, &m);
	result("transactions", r == 0 && n == 0);
	r = arango_writing_queries(a, &n, &what, &m);
	result("queries", r == 0 && n == 0);
}

/* ---- writes ------------------------------------------------------------- */

static char	 rev[REV_TEXT_MAX];

static void
put(const char *text, size_t count, const char *name, bool vpack, bool remove,
    bool direct, struct arango_write_result *res)
{
	struct arango_write_to	 to = { .cluster = a, .db = "api" };
	struct arango_write	 w = ARANGO_WRITE_INIT;
	struct vp_builder	 vb;
	struct buf		 b = BUF_INIT;

	if (vpack) {
		vpb_init(&vb, &b);
		bug_unless(vp_from_json(&vb, text, strlen(text), NULL) == 0 &&
		    vpb_end(&vb) == 0);
		vpb_free(&vb);
	} else
		buf_append_str(&b, text);
	to.server = direct ? leader : NULL;
	to.name = name;
	w.body = &b;
	w.count = count;
	w.vpack = vpack;
	w.retry_ms = 5000;
	if (remove)
		arango_write_remove(&to, &w, res);
	else
		arango_write_upsert(&to, &w, res);
	m = res->msg;
	buf_free(&b);
}

static void
writes(void)
{
	struct arango_write_to		 to = { .cluster = a, .db = "api" };
	struct arango_write_result	 res;
	char				 text[512];
	uint64_t			 n = 0, sum = 0;
	unsigned			 vpack;
	int				 num, r;

	rev_to_text(REV_MAKE(1700000000000ULL, 5), rev);
	for (vpack = 0; vpack < 2; vpack++) {
		snprintf(text, sizeof(text), "[{\"_key\":\"k%u\",\"_rev\":"
		    "\"%s\",\"v\":1},{\"_key\":\"b%u\",\"v\":2}]", vpack, rev,
		    vpack);
		rev_to_text(REV_MAKE(1700000000001ULL, 5), rev);
		put(text, 2, shard->name, vpack, false, true, &res);
		result(vpack ? "upsert at a leader, VelocyPack" :
		    "upsert at a leader", res.err == 0 && res.nerrors == 0);
		arango_write_result_free(&res);
		snprintf(text, sizeof(text), "[{\"_key\":\"o%u\",\"v\":2},"
		    "{\"_key\":\"bad key\"},{\"_key\":\"p%u\"}]", vpack,
		    vpack);
		put(text, 3, "docs", vpack, false, false, &res);
		result("a bad key among good ones", res.err == 0 &&
		    res.nerrors == 1 && res.errors[0].pos == 1 &&
		    res.errors[0].num == 1221);
		arango_write_result_free(&res);
		put("[\"none\",\"p0\"]", 2, "docs", vpack, true, false, &res);
		result("remove what is there and what is not", res.err == 0 &&
		    res.nerrors == 0);
		arango_write_result_free(&res);
	}
	r = arango_collection_count(a, NULL, "api", "docs", &n, &num, &m);
	result("count", r == 0 && n == 7);
	r = arango_collection_count(a, leader, "api", shard->name, &n, &num,
	    &m);
	result("count of a shard", r == 0 && n >= 2 && n <= 7);
	r = arango_collection_checksum(a, NULL, "api", "docs", true, true,
	    &sum, &num, &m);
	result("checksum", r == 0 && sum != 0);

	put("[{\"_key\":\"a\",\"u\":1},{\"_key\":\"b\",\"u\":1},"
	    "{\"_key\":\"c\",\"u\":2}]", 3, "uni", false, false, false, &res);
	result("a conflict names its key", res.err == 0 && res.nerrors == 1 &&
	    res.errors[0].pos == 1 && res.errors[0].num == 1210 &&
	    res.errors[0].conflict != NULL &&
	    strcmp(res.errors[0].conflict, "a") == 0 &&
	    strcmp(res.errors[0].index, "u") == 0);
	arango_write_result_free(&res);
	put("[{\"_key\":\"a\"}]", 1, "nothing", false, false, false, &res);
	result("an unknown collection", res.num == 1203 &&
	    res.reaction == ARANGO_RESYNC);
	arango_write_result_free(&res);
	put("[{\"_key\":\"a\"}]", 1, "s999999", false, false, true, &res);
	result("a shard that is elsewhere", res.num == 1203 &&
	    res.reaction == ARANGO_LEADER);
	arango_write_result_free(&res);
	to.name = "uni";
	r = arango_write_truncate(&to, &res);
	m = res.msg;
	result("truncate", r == 0 && arango_collection_count(a, NULL, "api",
	    "uni", &n, &num, &m) == 0 && n == 0);
	arango_write_result_free(&res);
}

/* A follower refuses what is meant for the leader. */
static void
follower(void)
{
	struct arango_write_result	 res;
	struct arango_server		*was = leader;

	leader = arango_server_get(a, shard->current[1]);
	put("[{\"_key\":\"a\"}]", 1, shard->name, false, false, true, &res);
	result("a follower sends us to the leader",
	    res.reaction == ARANGO_LEADER && res.num == 1491);
	arango_write_result_free(&res);
	leader = was;
}

/* ---- snapshots ---------------------------------------------------------- */

static unsigned	 seen_docs, seen_kept;

static int
count_doc(void *arg, const struct arango_doc *doc)
{
	seen_docs++;
	return doc->vpack == (arg != NULL) ? 0 : ERR_FORMAT;
}

static int
count_key(void *arg, const char *key, size_t n, uint64_t r)
{
	seen_docs++;
	if (n == 2 && memcmp(key, "k0", 2) == 0 &&
	    r == REV_MAKE(1700000000000ULL, 5))
		seen_kept++;
	return 0;
}

static int
count_found(void *arg, size_t i, const struct arango_doc *doc, int num)
{
	if (i == 0 ? doc != NULL : num == 1202)
		seen_docs++;
	return 0;
}

static void
snapshots(void)
{
	struct arango_snapshot_opts	 o = ARANGO_SNAPSHOT_OPTS_INIT;
	struct arango_dump_opts		 d = ARANGO_DUMP_OPTS_INIT;
	struct arango_snapshot		*s;
	struct arango_wal_range		 range;
	uint64_t			 tick = 0;
	unsigned			 all;
	int				 num, r;

	o.cluster = a;
	o.server = leader;
	o.syncer_id = 4711;
	r = arango_snapshot_open(&o, &s, &m);
	result("snapshot", r == 0);
	if (r != 0)
		return;
	r = arango_wal_last_tick(a, leader, &tick, NULL, &m);
	result("last tick", r == 0 && tick >= arango_snapshot_tick(s));
	r = arango_wal_range(a, leader, &range, &m);
	result("range", r == 0 && range.min <= range.max && range.max >= tick);
	seen_docs = seen_kept = 0;
	r = arango_dump_keys(s, "api", shard->name, count_key, NULL, &m);
	result("keys and revisions", r == 0 && seen_kept == 1);
	all = seen_docs;
	arango_snapshot_close(&s);
	if (arango_snapshot_open(&o, &s, &m) != 0)
		return;
	seen_docs = 0;
	d.db = "api";
	d.shard = shard->name;
	d.vpack = true;
	d.chunk_bytes = 100;
	d.on_doc = count_doc;
	d.arg = s;
	r = arango_dump(s, &d, &m);
	result("dump in VelocyPack, small chunks", r == 0 && seen_docs == all);
	arango_snapshot_close(&s);
	seen_docs = 0;
	r = arango_documents(a, leader, "api", shard->name, false,
	    "[\"k0\",\"none\"]", 13, NULL, count_found, NULL, &num, &m);
	result("documents by key", r == 0 && seen_docs == 2);
}

/* ---- agency ------------------------------------------------------------- */

static void
agency(struct arango_agency *ag)
{
	static const char *const prefixes[] = { "/test", NULL };
	struct agency_watch	 w = AGENCY_WATCH_INIT(prefixes);
	struct agency_lease	 l = { .path = "/test/lease", .ttl_s = 2 };
	struct agency_lease	 other = l;
	struct agency_trx	 t = AGENCY_TRX_INIT;
	struct json_object	*o = NULL;
	uint64_t		 index = 0;
	int			 r;

	r = arango_agency_wait(ag, &w, 1000, &m);
	result("watch: at first everything is new", r == 1);
	r = arango_agency_wait(ag, &w, 300, &m);
	result("watch: nothing", r == 0);
	agency_trx_set_text(&t, "/test/a", "{\"b\":[1,2]}", 0);
	r = arango_agency_write(ag, &t, &index, &m);
	agency_trx_free(&t);
	result("write", r == 0 && index > 0);
	r = arango_agency_wait(ag, &w, 2000, &m);
	result("watch: a change", r == 1);
	r = arango_agency_get(ag, "/test/a/b", &o, &m);
	result("get", r == 0 && o != NULL && json_object_array_length(o) == 2);
	json_object_put(o);
	l.value = json("{\"id\":\"one\"}");
	other.value = json("{\"id\":\"two\"}");
	r = arango_lease_take(ag, &l, false, NULL, &m);
	result("lease", r == 0);
	r = arango_lease_take(ag, &other, false, NULL, &m);
	result("a second one does not get it", r == ERR_EXISTS);
	r = arango_lease_take(ag, &l, true, NULL, &m);
	result("the same one does", r == 0);
	fiber_sleep_ms(1200);
	r = arango_lease_renew(ag, &l, &m);
	fiber_sleep_ms(1200);
	result("renewed it lasts longer", r == 0 && arango_lease_take(ag,
	    &other, false, NULL, &m) == ERR_EXISTS);
	fiber_sleep_ms(1200);
	r = arango_lease_take(ag, &other, false, NULL, &m);
	result("when it ran out, the other gets it", r == 0);
	r = arango_lease_renew(ag, &l, &m);
	result("and the first cannot renew", r == ERR_BAD_STATE);
	r = arango_lease_release(ag, &other, &m);
	result("release", r == 0);
	json_object_put(l.value);
	json_object_put(other.value);
}

void
api_run(void *arg)
{
	struct arango_agency	*ag;
	struct arango_topology	*t;
	struct topo_database	*db;
	struct topo_collection	*c;
	char			*id = NULL, *token = NULL;
	int			 num, r;

	a = arg;
	ag = arango_agency_new(a, NULL);
	r = arango_discover(a, &id, &m);
	result("discover", r == 0 && strlen(id) == 36);
	r = arango_measure_clock(a, NULL, &m);
	result("clock", r == 0 && llabs(arango_clock_offset_ms(a, NULL)) <
	    5000);
	r = arango_make_token(a, 60000, &token, &m);
	result("token", r == 0);
	if (r == 0)
		arango_set_token(a, token, 0);
	free(token);
	databases();
	collections();
	indexes();
	r = arango_topology_read(ag, &t, &m);
	result("topology", r == 0 && strcmp(t->cluster_id, id) == 0);
	if (r == 0 && (db = arango_topology_db(t, "api")) != NULL &&
	    (c = topo_database_coll(db, "docs")) != NULL) {
		shard = &c->shards[0];
		leader = arango_server_get(a, shard->leader);
		result("the prototype is found", c->nshards == 2 &&
		    topo_database_coll(db, "like")->like == c);
		state(t);
		writes();
		if (shard->ncurrent > 1)
			follower();
		else
			result("a second copy", 0);
		snapshots();
		arango_topology_release(&t);
	} else
		result("database api in the topology", 0);
	agency(ag);
	r = arango_database_drop(a, "api", &num, &m);
	result("drop a database", r == 0);
	r = arango_database_drop(a, "api", &num, &m);
	result("drop no database", r == 0);
	free(id);
	arango_agency_free(&ag);
	printf("done\n");
	loop_stop(arango_loop(a));
}
