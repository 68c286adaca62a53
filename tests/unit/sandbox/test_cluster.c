/* test_cluster.c - Plan and Current as structs, from recorded agency dumps */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsx.h"
#include "json/get.h"
#include "sandbox/agency_client.h"
#include "sandbox/cluster.h"
#include "sandbox/cluster_priv.h"
#include "unit.h"

/* An agency whose local copy is filled by hand. */
static struct agency	*agency;
static struct cluster	*cluster;

static void
end(void)
{
	cluster_free(&cluster);
	if (agency != NULL) {
		agency_unref(agency);
		agency = NULL;
	}
}

static void
begin(struct json_object *tree)
{
	end();
	agency = xcalloc(1, sizeof(*agency));
	agency->refs = 1;
	agency->copy = agency_store_new();
	agency->ready = true;
	CU_ASSERT_EQUAL_FATAL(agency_store_restore(agency->copy, tree, NULL,
	    1), 0);
	CU_ASSERT_EQUAL_FATAL(cluster_new(agency, &cluster), 0);
}

static struct json_object *
parse(const char *text)
{
	struct json_object	*o = NULL;

	if (json_parse(text, strlen(text), &o, NULL) != 0)
		abort();
	return o;
}

/* As when a log entry comes. */
static void
change(const char *ops)
{
	struct json_object	*answer, *log, *e, *result;

	answer = json_object_new_object();
	result = json_object_new_object();
	log = json_object_new_array();
	e = json_object_new_object();
	json_set_uint(e, "index", agency->index + 1);
	json_set(e, "query", parse(ops));
	json_object_array_add(log, e);
	json_set(result, "log", log);
	json_set_uint(result, "commitIndex", agency->index + 1);
	json_set(answer, "result", result);
	CU_ASSERT_EQUAL(agency_take_answer(agency, answer), 0);
	json_object_put(answer);
}

static const char small[] = "{\"arango\":{\"Cluster\":\"u-u\","
    "\"Plan\":{\"Version\":7,\"Databases\":{\"d\":{\"name\":\"d\",\"id\":"
    "\"5\"},\"b\":{\"name\":\"b\",\"id\":\"6\",\"isBuilding\":true},"
    "\"_system\":{\"name\":\"_system\",\"id\":\"1\"}},"
    "\"DBServers\":{\"PRMR-a\":\"none\",\"PRMR-b\":\"none\"},"
    "\"Coordinators\":{\"CRDN-c\":\"none\"},"
    "\"Collections\":{\"d\":{\"100\":{\"name\":\"c\",\"id\":\"100\","
    "\"type\":3,\"shardKeys\":[\"k\",\"_key\"],\"replicationFactor\":2,"
    "\"writeConcern\":2,\"waitForSync\":true,\"shards\":{"
    "\"s10001\":[\"PRMR-a\",\"PRMR-b\"],\"s998\":[\"_PRMR-b\",\"PRMR-a\"]}},"
    "\"200\":{\"name\":\"e\",\"isBuilding\":true,"
    "\"distributeShardsLike\":\"100\",\"replicationFactor\":\"satellite\","
    "\"shards\":{\"s201\":[\"PRMR-a\"]}}}}},"
    "\"Current\":{\"Version\":9,\"Collections\":{\"d\":{\"100\":{\"s10001\":"
    "{\"servers\":[\"PRMR-a\"]},\"s998\":{\"servers\":[\"_PRMR-b\"]}}}},"
    "\"ServersRegistered\":{\"Version\":1,\"PRMR-a\":{\"endpoint\":"
    "\"tcp://127.0.0.1:8539\"},\"CRDN-c\":{\"endpoint\":"
    "\"ssl://[::1]:8529\"}},\"ServersKnown\":{\"PRMR-a\":{\"rebootId\":4}}},"
    "\"Supervision\":{\"Health\":{\"PRMR-b\":{\"Status\":\"FAILED\"}}},"
    "\"Target\":{\"MapUniqueToShortID\":{\"PRMR-a\":{\"ShortName\":"
    "\"DBServer0001\"},\"PRMR-b\":{\"ShortName\":\"DBServer0002\"},"
    "\"CRDN-c\":{\"ShortName\":\"Coordinator0001\"}},"
    "\"FailedServers\":{\"PRMR-b\":[]}}}}";

static void
begin_small(void)
{
	struct json_object	*tree = parse(small);

	begin(tree);
	json_object_put(tree);
}

static void
test_collections(void)
{
	const struct cl_collection		*c;
	const struct cl_collection *const	*list;
	size_t					 i;

	begin_small();
	c = cluster_collection(cluster, "d", "c");
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_PTR_EQUAL(cluster_collection(cluster, "d", "100"), c);
	CU_ASSERT_PTR_NULL(cluster_collection(cluster, "x", "100"));
	CU_ASSERT_EQUAL(c->type, 3);
	CU_ASSERT_EQUAL(c->id, 100);
	CU_ASSERT_EQUAL(c->write_concern, 2);
	CU_ASSERT(c->wait_for_sync);
	CU_ASSERT_EQUAL(c->nshard_keys, 2);
	CU_ASSERT_STRING_EQUAL(c->shard_keys[0], "k");
	CU_ASSERT_STRING_EQUAL(c->sharding_strategy, "hash");
	/* By number, not as text. */
	CU_ASSERT_EQUAL_FATAL(c->nshards, 2);
	CU_ASSERT_STRING_EQUAL(c->shards[0].name, "s998");
	CU_ASSERT_STRING_EQUAL(c->shards[1].name, "s10001");
	CU_ASSERT_STRING_EQUAL(c->shards[1].leader, "PRMR-a");
	CU_ASSERT(!c->shards[1].plan_resign);
	CU_ASSERT_PTR_NULL(c->shards[0].leader);
	CU_ASSERT(c->shards[0].plan_resign && c->shards[0].current_resigned);
	CU_ASSERT_STRING_EQUAL(c->shards[0].plan.id[0], "PRMR-b");
	CU_ASSERT_STRING_EQUAL(c->shards[0].current.id[0], "PRMR-b");
	CU_ASSERT_EQUAL(cl_collection_shard_index(c, "s10001"), 1);
	CU_ASSERT_EQUAL(cl_collection_shard_index(c, "s1"), -1);
	CU_ASSERT_PTR_EQUAL(cluster_collection_of_shard(cluster, "d",
	    "s10001", &i), c);
	CU_ASSERT_EQUAL(i, 1);
	/* Being built: not for everybody. */
	CU_ASSERT_PTR_NULL(cluster_collection(cluster, "d", "e"));
	c = cluster_collection_by_name(cluster, "d", "e");
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT(c->is_building && c->satellite);
	CU_ASSERT_STRING_EQUAL(c->distribute_shards_like, "100");
	CU_ASSERT_STRING_EQUAL(c->shard_keys[0], "_key");
	CU_ASSERT_EQUAL(cluster_collections(cluster, "d", &list), 2);
	CU_ASSERT_EQUAL(list[0]->id, 100);
	CU_ASSERT_EQUAL(list[1]->id, 200);
	CU_ASSERT_EQUAL(cluster_collections(cluster, NULL, &list), 2);
	CU_ASSERT_EQUAL(cluster_collections(cluster, "x", &list), 0);
	CU_ASSERT_EQUAL(cluster_plan_version(cluster), 7);
	CU_ASSERT_EQUAL(cluster_current_version(cluster), 9);
	CU_ASSERT_STRING_EQUAL(cluster_id(cluster), "u-u");
	CU_ASSERT(!cluster_is_readonly(cluster));
}

static void
test_changes(void)
{
	const struct cl_collection	*old, *c, *e;

	begin_small();
	c = cluster_collection(cluster, "d", "c");
	e = cluster_collection_by_name(cluster, "d", "e");
	old = cl_collection_ref(c);
	/* Nothing of it changed: the same object. */
	change("{\"/arango/Plan/Version\":{\"op\":\"increment\"}}");
	CU_ASSERT_PTR_EQUAL(cluster_collection(cluster, "d", "c"), c);
	change("{\"/arango/Current/Collections/d/100/s10001/servers\":"
	    "[\"PRMR-b\",\"PRMR-a\"]}");
	c = cluster_collection(cluster, "d", "c");
	CU_ASSERT_PTR_NOT_EQUAL(c, old);
	CU_ASSERT_STRING_EQUAL(c->shards[1].leader, "PRMR-b");
	/* Who holds the old one still sees the old truth. */
	CU_ASSERT_STRING_EQUAL(old->shards[1].leader, "PRMR-a");
	CU_ASSERT_PTR_EQUAL(cluster_collection_by_name(cluster, "d", "e"), e);
	cl_collection_unref(&old);
	change("{\"/arango/Plan/Collections/d/100/name\":\"renamed\"}");
	CU_ASSERT_PTR_NULL(cluster_collection(cluster, "d", "c"));
	CU_ASSERT_PTR_NOT_NULL(cluster_collection(cluster, "d", "renamed"));
	/* Dropped, and made again under the same name. */
	change("{\"/arango/Plan/Collections/d/100\":{\"op\":\"delete\"},"
	    "\"/arango/Plan/Collections/d/300\":{\"name\":\"renamed\","
	    "\"shards\":{\"s301\":[\"PRMR-a\"]}}}");
	c = cluster_collection(cluster, "d", "renamed");
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(c->id, 300);
	CU_ASSERT_PTR_NULL(cluster_collection_of_shard(cluster, "d",
	    "s10001", NULL));
	change("{\"/arango/Plan/Collections/d\":{\"op\":\"delete\"}}");
	CU_ASSERT_PTR_NULL(cluster_collection(cluster, "d", "renamed"));
	change("{\"/arango/Readonly\":true}");
	CU_ASSERT(cluster_is_readonly(cluster));
}

static void
test_databases(void)
{
	const char *const	*names;

	begin_small();
	CU_ASSERT_EQUAL_FATAL(cluster_databases(cluster, &names), 2);
	CU_ASSERT_STRING_EQUAL(names[0], "_system");
	CU_ASSERT_STRING_EQUAL(names[1], "d");
	CU_ASSERT(cluster_db_exists(cluster, "d"));
	CU_ASSERT(!cluster_db_exists(cluster, "b"));
	CU_ASSERT(!cluster_db_exists(cluster, ""));
	CU_ASSERT(!cluster_db_exists(cluster, "d/id"));
	CU_ASSERT_PTR_NOT_NULL(cluster_database(cluster, "b", true));
	change("{\"/arango/Plan/Databases/b/isBuilding\":{\"op\":\"delete\"}}");
	CU_ASSERT_EQUAL(cluster_databases(cluster, &names), 3);
}

static void
test_servers(void)
{
	const struct cl_server			*s;
	const struct cl_server *const		*list;

	begin_small();
	s = cluster_server(cluster, "PRMR-a");
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(s->is_dbserver && s->is_good && !s->is_failed);
	CU_ASSERT_EQUAL(s->reboot_id, 4);
	CU_ASSERT_EQUAL(s->number, 1);
	CU_ASSERT_STRING_EQUAL(s->url, "http://127.0.0.1:8539");
	CU_ASSERT_STRING_EQUAL(cluster_url(cluster, "CRDN-c"),
	    "https://[::1]:8529");
	CU_ASSERT_PTR_NULL(cluster_url(cluster, "PRMR-b"));
	CU_ASSERT_PTR_NULL(cluster_server(cluster, "PRMR-x"));
	CU_ASSERT_PTR_EQUAL(cluster_server_by_short_name(cluster,
	    "DBServer0001"), s);
	CU_ASSERT_PTR_EQUAL(cluster_server_by_number(cluster, true, 1), s);
	CU_ASSERT_PTR_NULL(cluster_server_by_number(cluster, true, 3));
	CU_ASSERT_EQUAL(cluster_servers(cluster, true, false, &list), 2);
	CU_ASSERT_STRING_EQUAL(list[1]->id, "PRMR-b");
	CU_ASSERT(list[1]->is_failed && !list[1]->is_good);
	CU_ASSERT_EQUAL(cluster_servers(cluster, true, true, &list), 1);
	CU_ASSERT_EQUAL(cluster_servers(cluster, false, true, &list), 1);
	change("{\"/arango/Supervision/Health/PRMR-b/Status\":\"GOOD\","
	    "\"/arango/Target/FailedServers/PRMR-b\":{\"op\":\"delete\"}}");
	CU_ASSERT_EQUAL(cluster_servers(cluster, true, true, &list), 2);
	CU_ASSERT_STRING_EQUAL(cluster_endpoint_url("http+ssl://h:1"),
	    "https://h:1");
	CU_ASSERT_STRING_EQUAL(cluster_endpoint_url("http+tcp://h:1"),
	    "http://h:1");
}

/* A gap in the log, or nonsense: the copy has to be read afresh. */
static void
test_bad_answers(void)
{
	static const char *const	 texts[] = { "{}", "[]", "5",
	    "{\"result\":5}", "{\"result\":{}}",
	    "{\"result\":{\"commitIndex\":9,\"log\":5}}",
	    "{\"result\":{\"commitIndex\":9,\"log\":[5]}}",
	    ("{\"result\":{\"commitIndex\":9,\"log\":[{\"index\":7,\"query\":"
	    "{}}]}}"), "{\"result\":{\"commitIndex\":-1,\"readDB\":{}}}",
	    ("{\"result\":{\"commitIndex\":9,\"log\":[{\"index\":1,\"query\":"
	    "[]}]}}") };
	struct json_object		*o;
	size_t				 i;

	begin_small();
	for (i = 0; i < NITEMS(texts); i++) {
		o = parse(texts[i]);
		CU_ASSERT_NOT_EQUAL(agency_take_answer(agency, o), 0);
		json_object_put(o);
	}
	CU_ASSERT_PTR_NOT_NULL(cluster_collection(cluster, "d", "c"));
	o = parse("{\"result\":{\"commitIndex\":50,\"readDB\":{}}}");
	CU_ASSERT_EQUAL(agency_take_answer(agency, o), 0);
	json_object_put(o);
	CU_ASSERT_PTR_NULL(cluster_collection(cluster, "d", "c"));
	CU_ASSERT_EQUAL(agency_index(agency), 50);
}

/* ---- recorded dumps ----------------------------------------------------- */

static struct json_object *
dump_read(const char *name)
{
	struct json_object	*o = NULL;
	struct buf		 text = BUF_INIT;
	struct err_msg		 m;
	char			*path;

	if (unit_fixtures() == NULL) {
		unit_skip("FIXTURES is not set");
		return NULL;
	}
	path = xasprintf("%s/agency/%s", unit_fixtures(), name);
	CU_ASSERT_EQUAL_FATAL(fsx_read_file(path, 1 << 24, &text), 0);
	CU_ASSERT_EQUAL_FATAL(json_parse((char *)text.data, text.len, &o,
	    &m), 0);
	buf_free(&text);
	free(path);
	return o;
}

static void
look_at_dump(struct json_object *o)
{
	const struct cl_collection *const	*list;
	const struct cl_server *const		*servers;
	const struct cl_collection		*users;
	const char *const			*names;
	size_t					 i, k, n;

	begin(json_object_object_get(o, "agency"));
	CU_ASSERT(cluster_databases(cluster, &names) >= 1);
	n = cluster_collections(cluster, "_system", &list);
	CU_ASSERT(n >= 10);
	for (i = 0; i < n; i++) {
		CU_ASSERT(list[i]->is_system);
		CU_ASSERT(list[i]->nshards >= 1);
		CU_ASSERT(!list[i]->is_building);
		for (k = 0; k < list[i]->nshards; k++) {
			CU_ASSERT_PTR_NOT_NULL_FATAL(list[i]->shards[k].leader);
			CU_ASSERT(list[i]->shards[k].plan.n >= 1);
			CU_ASSERT_STRING_EQUAL(list[i]->shards[k].leader,
			    list[i]->shards[k].plan.id[0]);
			CU_ASSERT_PTR_NOT_NULL(cluster_server(cluster,
			    list[i]->shards[k].leader));
		}
	}
	users = cluster_collection(cluster, "_system", "_users");
	CU_ASSERT_PTR_NOT_NULL_FATAL(users);
	CU_ASSERT_STRING_EQUAL(users->sharding_strategy, "hash");
	CU_ASSERT(json_object_array_length(users->indexes) >= 1);
	CU_ASSERT_EQUAL(cluster_servers(cluster, true, true, &servers), 3);
	CU_ASSERT_STRING_EQUAL(servers[0]->short_name, "DBServer0001");
	CU_ASSERT_EQUAL(cluster_servers(cluster, false, true, &servers), 3);
	CU_ASSERT(strlen(cluster_id(cluster)) == 36);
	end();
}

/* The log of a dump, applied from its first entry on, gives its tree. */
static void
replay_dump(struct json_object *o)
{
	struct json_object	*log, *e, *ops, *want, *got;
	struct agency_store	*s = agency_store_new();
	uint64_t		 ms = 0;
	size_t			 i;

	log = json_object_object_get(o, "log");
	for (i = 0; i < json_object_array_length(log); i++) {
		e = json_object_array_get_idx(log, i);
		ms = (uint64_t)json_int_or(e, "epoch_millis", 0);
		/* Expired keys were deleted by entries of the log. */
		CU_ASSERT_EQUAL(agency_store_apply(s,
		    json_object_object_get(e, "request"), ms), 0);
	}
	if ((ops = agency_store_expired(s, ms)) != NULL) {
		agency_store_apply(s, ops, ms);
		json_object_put(ops);
	}
	want = json_object_object_get(o, "agency");
	got = agency_store_dump(s);
	/* What arangod leaves out when it dumps: ".agency" is there. */
	CU_ASSERT(json_equal(json_object_object_get(got, "arango"),
	    json_object_object_get(want, "arango")));
	json_object_put(got);
	agency_store_free(&s);
}

static void
test_dump(const char *name, bool replay)
{
	struct json_object	*o;

	if ((o = dump_read(name)) == NULL)
		return;
	look_at_dump(o);
	if (replay)
		replay_dump(o);
	json_object_put(o);
}

static void
test_dump_38(void)
{
	test_dump("agency_dump.3.8.json", true);
}

static void
test_dump_39(void)
{
	test_dump("agency_dump.3.9.json", true);
}

static void
test_dump_satellite(void)
{
	test_dump("agency_dump.3.9.satellite.json", false);
}

static void
test_dump_source(void)
{
	test_dump("sync.source.json", true);
}

static void
test_dump_target(void)
{
	test_dump("sync.target.json", true);
	end();
}

/* Whoever may write to the agency may write nonsense there. */
static void
test_nonsense(void)
{
	static const char *const	 indexes[] = { "5", "null", "{}",
		"[5,null,[],{},{\"type\":5,\"id\":\"1\"},"
		"{\"type\":\"primary\"},{\"type\":\"primary\",\"id\":[]},"
		"{\"type\":\"primary\",\"id\":\"0\"}]" };
	static const char *const	 shards[] = { "5", "[]", "{\"\":5}",
		"{\"s1\":[null,5,[],\"\",\"_\"]}", "{\"x\":{}}" };
	struct json_object		*def, *cur;
	struct cl_collection		*col;
	const struct cl_collection	*c;
	char				*text;
	size_t				 i, k;

	for (i = 0; i < NITEMS(indexes); i++)
		for (k = 0; k < NITEMS(shards); k++) {
			text = xasprintf("{\"name\":\"c\",\"indexes\":%s,"
			    "\"shards\":%s,\"shardKeys\":%s}", indexes[i],
			    shards[k], indexes[i]);
			def = parse(text);
			cur = parse(shards[k]);
			col = cl_collection_parse("d", "1", def, cur);
			CU_ASSERT_PTR_NOT_NULL_FATAL(col);
			CU_ASSERT_EQUAL(json_object_array_length(col->indexes),
			    i == NITEMS(indexes) - 1);
			c = col;
			cl_collection_unref(&c);
			json_object_put(def);
			json_object_put(cur);
			free(text);
		}
}

UNIT_MAIN("cluster",
    { "collections and shards", test_collections },
    { "only what changed is made anew", test_changes },
    { "databases", test_databases },
    { "nonsense in Plan and Current", test_nonsense },
    { "servers", test_servers },
    { "answers of a poll that do not fit are refused", test_bad_answers },
    { "dump of a 3.8 cluster, and its log", test_dump_38 },
    { "dump of a 3.9 cluster, and its log", test_dump_39 },
    { "dump of a cluster with a satellite collection", test_dump_satellite },
    { "dump of a replication's source, and its log", test_dump_source },
    { "dump of a replication's target, and its log", test_dump_target })
