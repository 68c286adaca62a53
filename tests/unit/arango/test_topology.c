/* test_topology.c - Plan and Current of real clusters, and of liars */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arango/topology.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/fsx.h"
#include "json/get.h"
#include "unit.h"

/* ---- recorded dumps ----------------------------------------------------- */

static struct arango_topology *
load(const char *name)
{
	struct arango_topology	*t = NULL;
	struct err_msg		 m;
	struct buf		 b = BUF_INIT;
	char			*path;
	uint8_t			 block[65536];
	size_t			 n;
	FILE			*fp;

	if (unit_fixtures() == NULL)
		unit_skip("FIXTURES is not set");
	path = xasprintf("%s/agency/%s", unit_fixtures(), name);
	fp = fopen(path, "r");
	free(path);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fp);
	while ((n = fread(block, 1, sizeof(block), fp)) > 0)
		buf_append(&b, block, n);
	fclose(fp);
	CU_ASSERT_EQUAL_FATAL(arango_topology_parse((char *)b.data, b.len, &t,
	    &m), 0);
	buf_free(&b);
	return t;
}

/* What all five have: bootstrapped system collections, three of each. */
static void
check_common(const struct arango_topology *t)
{
	struct topo_database	*db;
	struct topo_collection	*users, *graphs;
	size_t			 i, leading = 0;

	CU_ASSERT_EQUAL(t->nservers, 6);
	CU_ASSERT_EQUAL(t->ndbs, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(db = arango_topology_db(t, "_system"));
	CU_ASSERT_STRING_EQUAL(db->id, "1");
	CU_ASSERT_FALSE(db->building);
	CU_ASSERT_EQUAL(db->nviews, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(users = topo_database_coll(db, "_users"));
	graphs = topo_database_coll(db, "_graphs");
	CU_ASSERT_PTR_NOT_NULL_FATAL(graphs);
	CU_ASSERT_PTR_NULL(users->like_cid);
	CU_ASSERT_STRING_EQUAL(users->cid, "10001");
	CU_ASSERT_PTR_EQUAL(graphs->like, users);
	CU_ASSERT_TRUE(users->system && users->rev_trees);
	CU_ASSERT_EQUAL(users->type, 2);
	CU_ASSERT_EQUAL(users->nshards, 1);
	CU_ASSERT_EQUAL(users->nshard_keys, 1);
	CU_ASSERT_STRING_EQUAL(users->shard_keys[0], "_key");
	CU_ASSERT_STRING_EQUAL(users->strategy, "hash");
	CU_ASSERT_STRING_EQUAL(users->shards[0].cuid, "c10001/s10002");
	CU_ASSERT_PTR_EQUAL(arango_topology_shard(t, "c10001/s10002", 13),
	    &users->shards[0]);
	CU_ASSERT_PTR_NULL(arango_topology_shard(t, "c10001/s1000", 12));
	CU_ASSERT_EQUAL(json_object_array_length(json_at(users->def,
	    "indexes")), 2);
	for (i = 0; i < db->ncolls; i++) {
		CU_ASSERT_TRUE(db->colls[i].shards[0].settled);
		CU_ASSERT_TRUE(db->colls[i].shards[0].in_sync);
		CU_ASSERT_EQUAL(db->colls[i].shards[0].ncurrent, 2);
		if (strcmp(db->colls[i].shards[0].leader,
		    users->shards[0].leader) == 0)
			leading++;
	}
	CU_ASSERT_EQUAL(leading, db->ncolls);
	for (i = 0; i < t->nservers; i++) {
		CU_ASSERT_TRUE(t->servers[i].in_plan);
		CU_ASSERT_EQUAL(t->servers[i].reboot_id, 1);
		CU_ASSERT_EQUAL(t->servers[i].health, TOPO_HEALTH_GOOD);
	}
}

static void
test_38(void)
{
	struct arango_topology	*t = load("agency_dump.3.8.json");
	struct topo_server	*s;

	check_common(t);
	CU_ASSERT_STRING_EQUAL(t->cluster_id,
	    "bbaa260a-f2c9-44d0-b6cb-f2fffc940653");
	CU_ASSERT_EQUAL(t->plan_version, 25);
	CU_ASSERT_EQUAL(t->current_version, 66);
	CU_ASSERT_EQUAL(t->user_version, 2);
	CU_ASSERT_FALSE(t->readonly);
	CU_ASSERT_EQUAL(t->nshards, 12);
	s = arango_topology_server(t, "PRMR-nvqf3yzu");
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_STRING_EQUAL(s->version, "3.8.5-1");
	CU_ASSERT_STRING_EQUAL(s->short_name, "DBServer0003");
	CU_ASSERT_EQUAL(s->role, ARANGO_DBSERVER);
	CU_ASSERT_EQUAL(strncmp(s->endpoint, "ssl://", 6), 0);
	CU_ASSERT_STRING_EQUAL(topo_database_coll(&t->dbs[0],
	    "_jobs")->shards[0].leader, "PRMR-1e4bxazq");
	arango_topology_release(&t);
}

static void
test_39(void)
{
	struct arango_topology	*t = load("agency_dump.3.9.json");

	check_common(t);
	CU_ASSERT_EQUAL(t->current_version, 75);
	CU_ASSERT_EQUAL(topo_database_coll(&t->dbs[0],
	    "_apps")->replication_factor, 2);
	arango_topology_release(&t);
}

static void
test_satellite(void)
{
	struct arango_topology	*t = load("agency_dump.3.9.satellite.json");

	check_common(t);
	CU_ASSERT_EQUAL(topo_database_coll(&t->dbs[0],
	    "_apps")->replication_factor, 0);
	arango_topology_release(&t);
}

static void
test_source(void)
{
	struct arango_topology	*t = load("sync.source.json");

	check_common(t);
	CU_ASSERT_STRING_EQUAL(t->cluster_id,
	    "d05e50b0-4601-42e5-9fe8-64746cd50a1b");
	CU_ASSERT_EQUAL(t->current_version, 72);
	CU_ASSERT_FALSE(t->readonly);
	CU_ASSERT_PTR_NULL(topo_database_coll(&t->dbs[0], "_jobsbackup"));
	arango_topology_release(&t);
}

static void
test_target(void)
{
	struct arango_topology	*t = load("sync.target.json");
	struct topo_collection	*c;

	check_common(t);
	CU_ASSERT_TRUE(t->readonly);
	CU_ASSERT_EQUAL(t->plan_version, 34);
	CU_ASSERT_EQUAL(t->nshards, 14);
	c = topo_database_coll(&t->dbs[0], "_jobsbackup");
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_TRUE(c->system);
	CU_ASSERT_STRING_EQUAL(c->like_cid, "10001");
	CU_ASSERT_STRING_EQUAL(c->shards[0].name, "s6010006");
	CU_ASSERT_STRING_EQUAL(c->shards[0].leader,
	    "PRMR-8ab16180-5342-4175-9a5f-06dd8c91f891");
	arango_topology_release(&t);
}

/* ---- made up ------------------------------------------------------------ */

static int
parse(const char *text, struct arango_topology **t)
{
	struct err_msg	 m;

	*t = NULL;
	return arango_topology_parse(text, strlen(text), t, &m);
}

#define PLAN(colls, more)						\
	"[{\"arango\":{\"Plan\":{\"Version\":1,\"Databases\":{\"d\":{"	\
	"\"id\":\"5\",\"name\":\"d\"}},\"Collections\":{\"d\":{" colls	\
	"}}}" more "}}]"

static void
test_leaders(void)
{
	struct arango_topology	*t;
	struct topo_collection	*c;

	CU_ASSERT_EQUAL_FATAL(parse(PLAN("\"7\":{\"name\":\"c\",\"shards\":{"
	    "\"s10001\":[\"A\",\"B\"],\"s998\":[\"A\",\"B\"],"
	    "\"s999\":[\"_A\",\"B\"],\"s1000\":[\"B\",\"A\"],"
	    "\"s1001\":[\"A\"]}}",
	    ",\"Current\":{\"Collections\":{\"d\":{\"7\":{"
	    "\"s998\":{\"servers\":[\"A\",\"B\"]},"
	    "\"s999\":{\"servers\":[\"A\"]},"
	    "\"s1000\":{\"servers\":[\"_A\",\"B\"]},"
	    "\"s10001\":{\"servers\":[]}}}}}"), &t), 0);
	c = &t->dbs[0].colls[0];
	CU_ASSERT_EQUAL(c->nshards, 5);
	/* by number, not by text */
	CU_ASSERT_STRING_EQUAL(c->shards[0].name, "s998");
	CU_ASSERT_STRING_EQUAL(c->shards[4].name, "s10001");
	CU_ASSERT_STRING_EQUAL(c->shards[0].leader, "A");
	CU_ASSERT_TRUE(c->shards[0].settled && c->shards[0].in_sync);
	/* told to resign, but it still leads */
	CU_ASSERT_STRING_EQUAL(c->shards[1].leader, "A");
	CU_ASSERT_FALSE(c->shards[1].settled || c->shards[1].in_sync);
	/* has resigned */
	CU_ASSERT_PTR_NULL(c->shards[2].leader);
	CU_ASSERT_STRING_EQUAL(c->shards[2].current[0], "A");
	CU_ASSERT_STRING_EQUAL(c->shards[1].plan[0], "A");
	/* nothing in Current, an empty list there */
	CU_ASSERT_PTR_NULL(c->shards[3].leader);
	CU_ASSERT_PTR_NULL(c->shards[4].leader);
	CU_ASSERT_FALSE(c->shards[4].in_sync);
	arango_topology_release(&t);
}

static void
test_half_built(void)
{
	struct arango_topology	*t, *u;
	struct topo_database	*db;

	CU_ASSERT_EQUAL_FATAL(parse(PLAN(
	    "\"7\":{\"name\":\"c\",\"shards\":{},\"deleted\":true},"
	    "\"8\":{\"name\":\"c\",\"isBuilding\":true,\"coordinator\":\"C\","
	    "\"coordinatorRebootId\":1,\"shards\":{\"s9\":[\"A\"]}},"
	    "\"6\":{\"name\":\"smart\",\"type\":3,\"isSmart\":true,"
	    "\"distributeShardsLike\":\"99\"}", ""), &t), 0);
	u = arango_topology_hold(t);
	arango_topology_release(&t);
	CU_ASSERT_PTR_NULL(t);
	db = &u->dbs[0];
	CU_ASSERT_EQUAL(db->ncolls, 3);
	/* the one that lives, not its predecessor */
	CU_ASSERT_STRING_EQUAL(topo_database_coll(db, "c")->cid, "8");
	CU_ASSERT_TRUE(topo_database_coll(db, "c")->building);
	CU_ASSERT_PTR_NULL(topo_database_coll(db, "smart")->like);
	CU_ASSERT_EQUAL(topo_database_coll(db, "smart")->nshards, 0);
	CU_ASSERT_PTR_NULL(topo_database_coll(db, "none"));
	CU_ASSERT_PTR_EQUAL(db->colls[0].db, db);
	arango_topology_release(&u);
}

static void
test_lies(void)
{
	static const char *const bad[] = {
		"", "null", "[]", "{}", "[1]", "[{},{}]", "\"arango\"",
		"{\"agency\":[]}", "{\"agency\":7}", "{\"arango\":[]}",
		"{\"arango\":{\"Plan\":7}}",
		"{\"arango\":{\"Plan\":{\"Version\":1}}}",
		"{\"arango\":{\"Plan\":{\"Databases\":{}}}}",
		"{\"arango\":{\"Plan\":{\"Version\":\"x\","
		    "\"Databases\":{}}}}",
		"{\"arango\":{\"Plan\":{\"Version\":1,\"Databases\":[]}}}",
		"{\"arango\":{\"Plan\":{\"Version\":1,\"Databases\":"
		    "{\"d\":null}}}}",
		"{\"arango\":{\"Plan\":{\"Version\":1,\"Databases\":{}},"
		    "\"Readonly\":\"yes\"}}",
		"{\"arango\":{\"Plan\":{\"Version\":1,\"Databases\":{}},"
		    "\"Current\":{\"ServersKnown\":{\"A\":{\"rebootId\":"
		    "-1}}}}}",
		"{\"arango\":{\"Plan\":{\"Version\":1,\"Databases\":{}},"
		    "\"Current\":{\"ServersRegistered\":{\"A\":7}}}}",
		PLAN("\"7\":7", ""), PLAN("\"x\":{\"name\":\"c\"}", ""),
		PLAN("\"7\":{}", ""), PLAN("\"7\":{\"name\":\"\"}", ""),
		PLAN("\"7\":{\"name\":\"c\",\"type\":9}", ""),
		PLAN("\"7\":{\"name\":\"c\",\"replicationFactor\":[]}", ""),
		PLAN("\"7\":{\"name\":\"c\",\"shardKeys\":\"k\"}", ""),
		PLAN("\"7\":{\"name\":\"c\",\"shardKeys\":[1]}", ""),
		PLAN("\"7\":{\"name\":\"c\",\"shards\":[]}", ""),
		PLAN("\"7\":{\"name\":\"c\",\"shards\":{\"x1\":[]}}", ""),
		PLAN("\"7\":{\"name\":\"c\",\"shards\":{\"s1\":7}}", ""),
		PLAN("\"7\":{\"name\":\"c\",\"shards\":{\"s1\":[7]}}", ""),
		PLAN("\"7\":{\"name\":\"c\",\"shards\":{\"s1\":[],"
		    "\"s01\":[]}}", ""),
		PLAN("\"7\":{\"name\":\"c\",\"shards\":{\"s1\":[]}}",
		    ",\"Current\":{\"Collections\":{\"d\":{\"7\":{\"s1\":{"
		    "\"servers\":{}}}}}}"),
	};
	struct arango_topology	*t;
	size_t			 i;

	for (i = 0; i < NITEMS(bad); i++) {
		if (parse(bad[i], &t) == 0) {
			printf("# accepted: %s\n", bad[i]);
			CU_FAIL("a lie was accepted");
			arango_topology_release(&t);
		}
	}
	/* Odd, but nothing to stop for. */
	CU_ASSERT_EQUAL(parse(PLAN("", ",\"Current\":7,\"Supervision\":[]"),
	    &t), 0);
	arango_topology_release(&t);
}

UNIT_MAIN("arango topology",
    { "a recorded cluster of 3.8", test_38 },
    { "a recorded cluster of 3.9", test_39 },
    { "a satellite collection", test_satellite },
    { "a recorded source", test_source },
    { "a recorded target: read-only, backup collections", test_target },
    { "who leads: Current, and no underscore", test_leaders },
    { "half built and deleted things are marked", test_half_built },
    { "lies are errors", test_lies })
