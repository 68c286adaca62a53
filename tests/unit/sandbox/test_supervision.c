/*
 * test_supervision.c - stories of a cluster, told to the supervision step by
 * step with a clock of our own.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "json/get.h"
#include "sandbox/agent_supervision.h"
#include "unit.h"

#define PLAN	"/arango/Plan/Collections/d/100/shards/s101"
#define CURRENT	"/arango/Current/Collections/d/100/s101/servers"

static struct agency_store	*store, *transient;
static struct supervision	*sv;
static uint64_t			 mono, wall, beats;
static unsigned			 alive;		/* bit i: server i */
static int			 writes;

static const char *const	 ids[] = { "PRMR-1", "PRMR-2", "PRMR-3",
				    "PRMR-4", "CRDN-1" };

static int
transact(void *arg, struct json_object *ops, struct json_object *pre)
{
	struct json_object	*trx = json_object_new_array();
	struct err_msg		 m;
	int			 r;

	(void)arg;
	json_object_array_add(trx, json_object_get(ops));
	json_object_array_add(trx, json_object_get(pre));
	CU_ASSERT_EQUAL(agency_store_validate(trx, &m), 0);
	json_object_put(trx);
	if ((r = agency_store_check(store, pre, NULL)) == 0)
		r = agency_store_apply(store, ops, wall);
	/* Nothing that it writes rests on something untrue. */
	CU_ASSERT_EQUAL(r, 0);
	writes++;
	return r;
}

static void
put(struct agency_store *s, const char *path, const char *value)
{
	struct json_object	*ops = json_object_new_object(), *v;
	struct err_msg		 m;

	if (json_parse(value, strlen(value), &v, &m) != 0)
		abort();
	json_object_object_add(ops, path, v);
	CU_ASSERT_EQUAL(agency_store_apply(s, ops, wall), 0);
	json_object_put(ops);
}

static bool
is(const char *path, const char *value)
{
	struct json_object	*v, *got = agency_store_get(store, path);
	bool			 same;

	if (json_parse(value, strlen(value), &v, NULL) != 0)
		abort();
	same = json_equal(got, v);
	if (!same)
		fprintf(stderr, "# %s is %s, not %s\n", path,
		    json_object_to_json_string(got), value);
	json_object_put(v);
	return same;
}

static bool
there(const char *path)
{
	return agency_store_has(store, path);
}

/* Let ms pass; the living send heartbeats twice a second. */
static void
pass(uint64_t ms)
{
	char		path[64], beat[64];
	size_t		i;
	uint64_t	t;

	for (t = 0; t < ms; t += SUPERVISION_PERIOD_MS) {
		mono += SUPERVISION_PERIOD_MS;
		wall += SUPERVISION_PERIOD_MS;
		beats++;
		for (i = 0; i < NITEMS(ids); i++) {
			if ((alive & 1U << i) == 0)
				continue;
			snprintf(path, sizeof(path),
			    "/arango/Sync/ServerStates/%s", ids[i]);
			snprintf(beat, sizeof(beat),
			    "{\"status\":\"SERVING\",\"time\":\"%llu\"}",
			    (unsigned long long)beats);
			put(transient, path, beat);
		}
		supervision_step(sv, mono, wall);
	}
}

static void
begin(void)
{
	const struct supervision_io	io = { NULL, NULL, transact, NULL };
	struct supervision_io		i = io;

	log_set_level(LOG_LEVEL_ERROR);
	supervision_free(&sv);
	agency_store_free(&store);
	agency_store_free(&transient);
	i.store = store = agency_store_new();
	i.transient = transient = agency_store_new();
	sv = supervision_new(&i);
	mono = 50000;
	wall = 1700000000000;
	alive = 0x1f;
	put(store, "/arango", "{\"Plan\":{\"Version\":1,"
	    "\"DBServers\":{\"PRMR-1\":\"none\",\"PRMR-2\":\"none\","
	    "\"PRMR-3\":\"none\"},\"Coordinators\":{\"CRDN-1\":\"none\"},"
	    "\"Collections\":{\"d\":{\"100\":{\"name\":\"c\",\"id\":\"100\","
	    "\"replicationFactor\":2,\"shards\":{\"s101\":[\"PRMR-1\","
	    "\"PRMR-2\"]}}}}},"
	    "\"Current\":{\"Version\":1,\"Collections\":{\"d\":{\"100\":{"
	    "\"s101\":{\"servers\":[\"PRMR-1\",\"PRMR-2\"]}}}},"
	    "\"ServersRegistered\":{\"Version\":1,\"PRMR-1\":{\"endpoint\":"
	    "\"tcp://h:1\",\"host\":\"h\",\"engine\":\"rocksdb\","
	    "\"versionString\":\"3.11.8\"}},\"ServersKnown\":{\"CRDN-1\":{"
	    "\"rebootId\":1}}},"
	    "\"Sync\":{\"ServerStates\":{}},\"Supervision\":{\"Health\":{},"
	    "\"Shards\":{},\"DBServers\":{}},\"Target\":{\"FailedServers\":{},"
	    "\"ToDo\":{},\"Pending\":{},\"Finished\":{},\"Failed\":{},"
	    "\"CleanedServers\":[],\"ToBeCleanedServers\":[],"
	    "\"MapUniqueToShortID\":{\"PRMR-1\":{\"ShortName\":"
	    "\"DBServer0001\",\"TransactionID\":1}}}}");
}

static void
test_health(void)
{
	begin();
	pass(1000);
	CU_ASSERT(is("/arango/Supervision/Health/PRMR-1/Status", "\"GOOD\""));
	CU_ASSERT(is("/arango/Supervision/Health/PRMR-1/SyncStatus",
	    "\"SERVING\""));
	CU_ASSERT(is("/arango/Supervision/Health/PRMR-1/ShortName",
	    "\"DBServer0001\""));
	CU_ASSERT(is("/arango/Supervision/Health/PRMR-1/Endpoint",
	    "\"tcp://h:1\""));
	CU_ASSERT(is("/arango/Supervision/Health/PRMR-1/Version",
	    "\"3.11.8\""));
	CU_ASSERT(is("/arango/Supervision/Health/CRDN-1/Status", "\"GOOD\""));
	CU_ASSERT(is("/arango/Supervision/State/Mode", "\"Normal\""));
	/* Times alone are not logged again and again. */
	writes = 0;
	pass(20000);
	CU_ASSERT_EQUAL(writes, 0);
	CU_ASSERT(agency_store_has(transient,
	    "/arango/Supervision/Health/PRMR-1/LastAckedTime"));
	alive &= ~4U;
	pass(3500);
	CU_ASSERT(is("/arango/Supervision/Health/PRMR-3/Status", "\"BAD\""));
	CU_ASSERT(!there("/arango/Target/FailedServers/PRMR-3"));
	pass(2500);
	CU_ASSERT(is("/arango/Supervision/Health/PRMR-3/Status",
	    "\"FAILED\""));
	CU_ASSERT(is("/arango/Target/FailedServers/PRMR-3", "[]"));
	alive |= 4U;
	pass(500);
	CU_ASSERT(is("/arango/Supervision/Health/PRMR-3/Status", "\"GOOD\""));
	CU_ASSERT(!there("/arango/Target/FailedServers/PRMR-3"));
}

static void
test_failover(void)
{
	begin();
	pass(6000);
	alive &= ~1U;
	pass(4500);
	CU_ASSERT(is(PLAN, "[\"PRMR-1\",\"PRMR-2\"]"));
	pass(1500);
	CU_ASSERT(is(PLAN, "[\"PRMR-2\",\"PRMR-1\"]"));
	CU_ASSERT(is("/arango/Plan/Version", "2"));
	/* It comes back: nothing is turned round again. */
	put(store, CURRENT, "[\"PRMR-2\"]");
	alive |= 1U;
	pass(2000);
	put(store, CURRENT, "[\"PRMR-2\",\"PRMR-1\"]");
	pass(60000);
	CU_ASSERT(is(PLAN, "[\"PRMR-2\",\"PRMR-1\"]"));
}

static void
test_no_follower(void)
{
	/* The follower is in the Plan and not in sync. */
	begin();
	put(store, CURRENT, "[\"PRMR-1\"]");
	pass(6000);
	alive &= ~1U;
	pass(20000);
	CU_ASSERT(is(PLAN, "[\"PRMR-1\",\"PRMR-2\"]"));
	/* In sync, and dead too. */
	begin();
	pass(6000);
	alive &= ~3U;
	pass(20000);
	CU_ASSERT(is(PLAN, "[\"PRMR-1\",\"PRMR-2\"]"));
}

/* The next leader dies before it has reported: only who led last, in
 * Current, has everything for certain. */
static void
test_two_dead(void)
{
	begin();
	put(store, PLAN, "[\"PRMR-1\",\"PRMR-2\",\"PRMR-3\"]");
	put(store, "/arango/Plan/Collections/d/100/replicationFactor", "3");
	put(store, CURRENT, "[\"PRMR-1\",\"PRMR-2\",\"PRMR-3\"]");
	pass(6000);
	alive &= ~1U;
	pass(6000);
	CU_ASSERT(is(PLAN, "[\"PRMR-2\",\"PRMR-3\",\"PRMR-1\"]"));
	alive &= ~2U;
	pass(10000);
	CU_ASSERT(is(PLAN, "[\"PRMR-2\",\"PRMR-3\",\"PRMR-1\"]"));
	alive |= 1U;
	pass(1000);
	CU_ASSERT(is(PLAN, "[\"PRMR-1\",\"PRMR-3\",\"PRMR-2\"]"));
}

static void
test_stopped_agent(void)
{
	begin();
	pass(6000);
	/* The whole machine stood still, or only the agent: nobody is late. */
	mono += 3600 * 1000;
	wall += 3600 * 1000;
	alive = 0;
	pass(4000);
	CU_ASSERT(!there("/arango/Target/FailedServers/PRMR-1"));
	alive = 0x1f;
	pass(10000);
	CU_ASSERT(is("/arango/Supervision/Health/PRMR-1/Status", "\"GOOD\""));
	CU_ASSERT(is(PLAN, "[\"PRMR-1\",\"PRMR-2\"]"));
}

/* A new agent process with what the old one has left on the disk. */
static void
test_new_agent(void)
{
	struct supervision_io	io = { NULL, NULL, transact, NULL };

	begin();
	pass(6000);
	alive &= ~4U;
	pass(6000);
	CU_ASSERT(there("/arango/Target/FailedServers/PRMR-3"));
	supervision_free(&sv);
	agency_store_clear(transient);
	io.store = store;
	io.transient = transient;
	sv = supervision_new(&io);
	/* Until it was heard of, a failed server stays failed, a good good. */
	alive = 0;
	pass(2000);
	CU_ASSERT(there("/arango/Target/FailedServers/PRMR-3"));
	CU_ASSERT(is("/arango/Supervision/Health/PRMR-1/Status", "\"GOOD\""));
	alive = 0x1f;
	pass(500);
	CU_ASSERT(!there("/arango/Target/FailedServers/PRMR-3"));
}

static void
test_groups(void)
{
	begin();
	put(store, "/arango/Plan/Collections/d/200", "{\"name\":\"e\","
	    "\"distributeShardsLike\":\"100\",\"replicationFactor\":2,"
	    "\"shards\":{\"s201\":[\"PRMR-1\",\"PRMR-2\"]}}");
	put(store, "/arango/Current/Collections/d/200/s201/servers",
	    "[\"PRMR-1\"]");
	pass(6000);
	alive &= ~1U;
	pass(8000);
	/* In sync with one of them only: neither moves. */
	CU_ASSERT(is(PLAN, "[\"PRMR-1\",\"PRMR-2\"]"));
	put(store, "/arango/Current/Collections/d/200/s201/servers",
	    "[\"PRMR-1\",\"PRMR-2\"]");
	pass(1000);
	CU_ASSERT(is(PLAN, "[\"PRMR-2\",\"PRMR-1\"]"));
	CU_ASSERT(is("/arango/Plan/Collections/d/200/shards/s201",
	    "[\"PRMR-2\",\"PRMR-1\"]"));
}

static void
test_copies(void)
{
	begin();
	pass(6000);
	alive &= ~2U;
	pass(30000);
	CU_ASSERT(is(PLAN, "[\"PRMR-1\",\"PRMR-2\"]"));
	pass(8000);
	CU_ASSERT(is(PLAN, "[\"PRMR-1\",\"PRMR-2\",\"PRMR-3\"]"));
	/* The dead one goes when the new one is in sync. */
	put(store, CURRENT, "[\"PRMR-1\"]");
	pass(10000);
	CU_ASSERT(is(PLAN, "[\"PRMR-1\",\"PRMR-2\",\"PRMR-3\"]"));
	put(store, CURRENT, "[\"PRMR-1\",\"PRMR-3\"]");
	pass(1000);
	CU_ASSERT(is(PLAN, "[\"PRMR-1\",\"PRMR-3\"]"));
	/* The factor was lowered, and raised. */
	put(store, "/arango/Plan/Collections/d/100/replicationFactor", "1");
	pass(6000);
	CU_ASSERT(is(PLAN, "[\"PRMR-1\"]"));
	put(store, CURRENT, "[\"PRMR-1\"]");
	put(store, "/arango/Plan/Collections/d/100/replicationFactor", "2");
	pass(6000);
	CU_ASSERT(is(PLAN, "[\"PRMR-1\",\"PRMR-3\"]"));
}

static void
add_job(const char *from, const char *to, bool leader)
{
	char	job[512];

	snprintf(job, sizeof(job), "{\"type\":\"moveShard\",\"database\":"
	    "\"d\",\"collection\":\"100\",\"shard\":\"s101\",\"fromServer\":"
	    "\"%s\",\"toServer\":\"%s\",\"isLeader\":%s,\"jobId\":\"7\","
	    "\"creator\":\"x\",\"timeCreated\":\"2024-01-01T00:00:00Z\"}",
	    from, to, leader ? "true" : "false");
	put(store, "/arango/Target/ToDo/7", job);
}

static void
test_move_leader(void)
{
	begin();
	pass(6000);
	add_job("PRMR-1", "PRMR-3", true);
	pass(1000);
	CU_ASSERT(is(PLAN, "[\"PRMR-1\",\"PRMR-2\",\"PRMR-3\"]"));
	CU_ASSERT(!there("/arango/Target/ToDo/7"));
	CU_ASSERT(there("/arango/Target/Pending/7/timeStarted"));
	CU_ASSERT(is("/arango/Supervision/Shards/s101", "\"7\""));
	pass(20000);
	CU_ASSERT(is(PLAN, "[\"PRMR-1\",\"PRMR-2\",\"PRMR-3\"]"));
	put(store, CURRENT, "[\"PRMR-1\",\"PRMR-2\",\"PRMR-3\"]");
	pass(500);
	CU_ASSERT(is(PLAN, "[\"_PRMR-1\",\"PRMR-2\",\"PRMR-3\"]"));
	put(store, CURRENT, "[\"_PRMR-1\",\"PRMR-2\",\"PRMR-3\"]");
	pass(500);
	CU_ASSERT(is(PLAN, "[\"PRMR-3\",\"PRMR-1\",\"PRMR-2\"]"));
	pass(5000);
	CU_ASSERT(there("/arango/Target/Pending/7"));
	put(store, CURRENT, "[\"PRMR-3\"]");
	pass(500);
	CU_ASSERT(is(PLAN, "[\"PRMR-3\",\"PRMR-2\"]"));
	CU_ASSERT(there("/arango/Target/Finished/7/timeFinished"));
	CU_ASSERT(!there("/arango/Target/Pending/7"));
	CU_ASSERT(!there("/arango/Supervision/Shards/s101"));
}

/* To one that follows already: both stay. */
static void
test_swap(void)
{
	begin();
	pass(6000);
	add_job("PRMR-1", "PRMR-2", true);
	pass(1000);
	CU_ASSERT(is(PLAN, "[\"_PRMR-1\",\"PRMR-2\"]"));
	put(store, CURRENT, "[\"_PRMR-1\",\"PRMR-2\"]");
	pass(500);
	put(store, CURRENT, "[\"PRMR-2\"]");
	pass(500);
	CU_ASSERT(is(PLAN, "[\"PRMR-2\",\"PRMR-1\"]"));
	CU_ASSERT(there("/arango/Target/Finished/7"));
}

static void
test_move_follower(void)
{
	begin();
	put(store, "/arango/Plan/Collections/d/200", "{\"name\":\"e\","
	    "\"distributeShardsLike\":\"100\",\"replicationFactor\":2,"
	    "\"shards\":{\"s201\":[\"PRMR-1\",\"PRMR-2\"]}}");
	put(store, "/arango/Current/Collections/d/200/s201/servers",
	    "[\"PRMR-1\",\"PRMR-2\"]");
	pass(6000);
	add_job("PRMR-2", "PRMR-3", false);
	pass(1000);
	CU_ASSERT(is("/arango/Plan/Collections/d/200/shards/s201",
	    "[\"PRMR-1\",\"PRMR-2\",\"PRMR-3\"]"));
	put(store, CURRENT, "[\"PRMR-1\",\"PRMR-2\",\"PRMR-3\"]");
	pass(2000);
	CU_ASSERT(there("/arango/Target/Pending/7"));
	put(store, "/arango/Current/Collections/d/200/s201/servers",
	    "[\"PRMR-1\",\"PRMR-3\"]");
	pass(500);
	CU_ASSERT(is(PLAN, "[\"PRMR-1\",\"PRMR-3\"]"));
	CU_ASSERT(is("/arango/Plan/Collections/d/200/shards/s201",
	    "[\"PRMR-1\",\"PRMR-3\"]"));
	CU_ASSERT(there("/arango/Target/Finished/7"));
}

static void
test_move_fails(void)
{
	/* The new server dies on the way. */
	begin();
	pass(6000);
	add_job("PRMR-1", "PRMR-3", true);
	pass(1000);
	alive &= ~4U;
	pass(6000);
	CU_ASSERT(is(PLAN, "[\"PRMR-1\",\"PRMR-2\"]"));
	CU_ASSERT(there("/arango/Target/Failed/7/reason"));
	CU_ASSERT(!there("/arango/Supervision/Shards/s101"));
	/* The old one dies: the shard fails over, the job is given up. */
	begin();
	pass(6000);
	add_job("PRMR-1", "PRMR-3", true);
	pass(1000);
	alive &= ~1U;
	pass(7000);
	CU_ASSERT(is(PLAN, "[\"PRMR-2\",\"PRMR-1\"]"));
	CU_ASSERT(there("/arango/Target/Failed/7/reason"));
	/* Resigned, and then the next leader dies: it leads again. */
	begin();
	pass(6000);
	add_job("PRMR-1", "PRMR-2", true);
	pass(1000);
	CU_ASSERT(is(PLAN, "[\"_PRMR-1\",\"PRMR-2\"]"));
	alive &= ~2U;
	pass(7000);
	CU_ASSERT(is(PLAN, "[\"PRMR-1\",\"PRMR-2\"]"));
	CU_ASSERT(there("/arango/Target/Failed/7/reason"));
}

static void
test_bad_jobs(void)
{
	static const char *const	 jobs[] = { "5", "\"x\"", "{}", "[]",
	    "{\"type\":\"cleanOutServer\"}", "{\"type\":\"moveShard\"}",
	    ("{\"type\":\"moveShard\",\"database\":\"d\",\"collection\":"
	    "\"100\",\"shard\":\"s101\",\"fromServer\":\"PRMR-1\","
	    "\"toServer\":\"PRMR-1\"}"),
	    ("{\"type\":\"moveShard\",\"database\":\"d\",\"collection\":"
	    "\"100\",\"shard\":\"s101\",\"fromServer\":\"PRMR-9\","
	    "\"toServer\":\"PRMR-3\"}"),
	    ("{\"type\":\"moveShard\",\"database\":\"d\",\"collection\":"
	    "\"100\",\"shard\":\"s101\",\"fromServer\":\"PRMR-1\","
	    "\"toServer\":\"PRMR-9\"}") };
	size_t				 i;

	for (i = 0; i < NITEMS(jobs); i++) {
		begin();
		pass(6000);
		put(store, "/arango/Target/ToDo/7", jobs[i]);
		pass(1000);
		CU_ASSERT(there("/arango/Target/Failed/7/reason"));
		CU_ASSERT(!there("/arango/Target/ToDo/7"));
		CU_ASSERT(is(PLAN, "[\"PRMR-1\",\"PRMR-2\"]"));
	}
	/* What was dropped meanwhile needs no moving. */
	begin();
	pass(6000);
	put(store, "/arango/Target/ToDo/7", "{\"type\":\"moveShard\","
	    "\"database\":\"d\",\"collection\":\"300\",\"shard\":\"s301\","
	    "\"fromServer\":\"PRMR-1\",\"toServer\":\"PRMR-2\"}");
	pass(1000);
	CU_ASSERT(there("/arango/Target/Finished/7"));
}

static void
test_abandoned(void)
{
	begin();
	put(store, "/arango/Plan/Databases/x", "{\"name\":\"x\",\"id\":\"9\","
	    "\"isBuilding\":true,\"coordinator\":\"CRDN-1\","
	    "\"coordinatorRebootId\":1}");
	put(store, "/arango/Plan/Collections/x", "{}");
	put(store, "/arango/Plan/Collections/d/400", "{\"name\":\"b\","
	    "\"isBuilding\":true,\"coordinator\":\"CRDN-1\","
	    "\"coordinatorRebootId\":1,\"shards\":{}}");
	pass(8000);
	CU_ASSERT(there("/arango/Plan/Databases/x"));
	CU_ASSERT(there("/arango/Plan/Collections/d/400"));
	put(store, "/arango/Current/ServersKnown/CRDN-1/rebootId", "2");
	pass(2000);
	CU_ASSERT(!there("/arango/Plan/Databases/x"));
	CU_ASSERT(!there("/arango/Plan/Collections/x"));
	CU_ASSERT(!there("/arango/Plan/Collections/d/400"));
	CU_ASSERT(there("/arango/Plan/Collections/d/100"));
}

static void
test_maintenance(void)
{
	begin();
	pass(6000);
	put(store, "/arango/Supervision/Maintenance", "true");
	alive &= ~1U;
	pass(20000);
	CU_ASSERT(is("/arango/Supervision/State/Mode", "\"Maintenance\""));
	CU_ASSERT(is(PLAN, "[\"PRMR-1\",\"PRMR-2\"]"));
}

/* Nonsense in the key space is stepped over. */
static void
test_nonsense(void)
{
	static const char *const	 values[] = { "5", "\"x\"", "[]", "{}",
	    "null", "[1,null,{}]", "{\"d\":5}", "{\"d\":{\"100\":7}}",
	    "{\"d\":{\"100\":{\"shards\":[1]}}}",
	    "{\"d\":{\"100\":{\"shards\":{\"\":5,\"x\":[1,null]}}}}",
	    ("{\"d\":{\"100\":{\"distributeShardsLike\":\"100\","
	    "\"shards\":{\"s1\":[\"\"]}}}}") };
	static const char *const	 paths[] = { "/arango/Plan/Collections",
	    "/arango/Current/Collections", "/arango/Plan/DBServers",
	    "/arango/Target", "/arango/Supervision", "/arango/Current",
	    "/arango/Target/FailedServers", "/arango/Plan", "/arango", "/" };
	size_t				 i, k;

	for (i = 0; i < NITEMS(values); i++) {
		for (k = 0; k < NITEMS(paths); k++) {
			begin();
			pass(6000);
			add_job("PRMR-1", "PRMR-2", true);
			put(store, paths[k], values[i]);
			put(transient, "/arango/Sync/ServerStates/PRMR-1",
			    values[i]);
			alive = 0x18;
			pass(8000);
		}
	}
	supervision_free(&sv);
	agency_store_free(&store);
	agency_store_free(&transient);
}

UNIT_MAIN("supervision",
    { "heartbeats make GOOD, BAD, FAILED and GOOD again", test_health },
    { "an in-sync follower takes over from a dead leader", test_failover },
    { "without one nothing is done", test_no_follower },
    { "two dead leaders: the one that Current names", test_two_dead },
    { "an agent that was stopped judges nobody", test_stopped_agent },
    { "a new agent goes on from what was logged", test_new_agent },
    { "collections distributed alike fail over together", test_groups },
    { "copies are replaced, added and dropped", test_copies },
    { "moveShard of a leader", test_move_leader },
    { "moveShard to a follower", test_swap },
    { "moveShard of a follower, with its group", test_move_follower },
    { "moveShard that cannot go on leaves everything as it was",
      test_move_fails },
    { "jobs that make no sense fail", test_bad_jobs },
    { "what a dead coordinator was making is removed", test_abandoned },
    { "in maintenance nothing is judged", test_maintenance },
    { "nonsense in the key space does no harm", test_nonsense })
