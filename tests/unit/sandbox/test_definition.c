/*
 * test_definition.c - names and definitions as coordinators judge them.
 *
 * Expected definitions are those of recorded agency dumps (_users of a 3.8
 * and a 3.10 cluster) and of recorded answers of arangod 3.8.9 and 3.9.
 */
#include <string.h>

#include <json-c/json.h>

#include "base/err.h"
#include "sandbox/crd_definition.h"
#include "sandbox/crd_json.h"
#include "unit.h"

static struct crd_rules
rules_of(int version)
{
	struct crd_rules	 r = {
		.version = version, .dbservers = 3, .enforce = true,
		.replication_factor = 1, .write_concern = 1
	};

	return r;
}

static struct json_object *
parse(const char *text)
{
	struct json_object	*o = json_tokener_parse(text);

	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	return o;
}

/* The errnum for a collection; *out (may be NULL) the definition. */
static int
collection(const struct crd_rules *rules, const char *text,
    struct json_object **out)
{
	struct json_object	*body = parse(text), *def = NULL;
	struct err_msg		 em;
	int			 r;

	r = crd_define_collection(rules, body, &def, &em);
	CU_ASSERT_EQUAL(r == AE_OK, def != NULL);
	json_object_put(body);
	if (out != NULL)
		*out = def;
	else
		json_object_put(def);
	return r;
}

static int
index_def(int version, const char *text, struct json_object **out)
{
	struct crd_rules	 rules = rules_of(version);
	struct json_object	*body = parse(text), *def = NULL;
	struct err_msg		 em;
	int			 r;

	r = crd_define_index(&rules, body, "idx_1", &def, &em);
	CU_ASSERT_EQUAL(r == AE_OK, def != NULL);
	json_object_put(body);
	if (out != NULL)
		*out = def;
	else
		json_object_put(def);
	return r;
}

static void
assert_is(struct json_object *have, const char *text)
{
	struct json_object	*want = parse(text);

	if (!cj_equal(have, want)) {
		CU_FAIL("definition differs");
		printf("# have %s\n# want %s\n",
		    json_object_to_json_string(have), text);
	}
	json_object_put(want);
	json_object_put(have);
}

/* ---- names ----------------------------------------------------------------- */

static void
test_names(void)
{
	CU_ASSERT_TRUE(crd_collection_name_ok("products", false, 31108));
	CU_ASSERT_TRUE(crd_collection_name_ok("a-b_c9", false, 31108));
	CU_ASSERT_FALSE(crd_collection_name_ok("_x", false, 31108));
	CU_ASSERT_TRUE(crd_collection_name_ok("_x", true, 31108));
	CU_ASSERT_FALSE(crd_collection_name_ok("", false, 31108));
	CU_ASSERT_FALSE(crd_collection_name_ok("9a", false, 31108));
	CU_ASSERT_FALSE(crd_collection_name_ok("a/b", false, 31200));
	CU_ASSERT_FALSE(crd_collection_name_ok("m\xc3\xbc", false, 31108));
	CU_ASSERT_TRUE(crd_collection_name_ok("m\xc3\xbc", false, 31200));
	CU_ASSERT_FALSE(crd_collection_name_ok("m\xc3", false, 31200));
	CU_ASSERT_FALSE(crd_database_name_ok("_system2", 31200));
	CU_ASSERT_TRUE(crd_database_name_ok("example", 30800));
	CU_ASSERT_FALSE(crd_database_name_ok("with space", 31108));
	CU_ASSERT_TRUE(crd_database_name_ok("with space", 31200));
}

static void
test_long_names(void)
{
	char	 name[300];

	memset(name, 'a', sizeof(name));
	name[256] = '\0';
	CU_ASSERT_TRUE(crd_collection_name_ok(name, false, 31108));
	CU_ASSERT_FALSE(crd_database_name_ok(name, 31108));
	name[256] = 'a';
	name[257] = '\0';
	CU_ASSERT_FALSE(crd_collection_name_ok(name, false, 31108));
	name[64] = '\0';
	CU_ASSERT_TRUE(crd_database_name_ok(name, 31108));
}

/* ---- collections ----------------------------------------------------------- */

static void
test_users_3_8(void)
{
	struct crd_rules	 rules = rules_of(30805);
	struct json_object	*def;

	CU_ASSERT_EQUAL_FATAL(collection(&rules,
	    "{\"name\":\"_users\",\"isSystem\":true}", &def), AE_OK);
	assert_is(def, "{\"keyOptions\":{\"type\":\"traditional\","
	    "\"allowUserKeys\":true},\"isSystem\":true,\"name\":\"_users\","
	    "\"isSmart\":false,\"deleted\":false,\"minReplicationFactor\":1,"
	    "\"cacheEnabled\":false,\"indexes\":[{\"id\":\"0\",\"type\":"
	    "\"primary\",\"name\":\"primary\",\"fields\":[\"_key\"],"
	    "\"unique\":true,\"sparse\":false}],\"schema\":null,"
	    "\"waitForSync\":false,\"isDisjoint\":false,\"writeConcern\":1,"
	    "\"numberOfShards\":1,\"replicationFactor\":2,\"status\":3,"
	    "\"shardKeys\":[\"_key\"],\"shardingStrategy\":\"hash\","
	    "\"statusString\":\"loaded\",\"isSmartChild\":false,"
	    "\"syncByRevision\":true,\"type\":2,"
	    "\"usesRevisionsAsDocumentIds\":true}");
}

static void
test_users_3_10(void)
{
	struct crd_rules	 rules = rules_of(31000);
	struct json_object	*def;

	CU_ASSERT_EQUAL_FATAL(collection(&rules,
	    "{\"name\":\"_users\",\"isSystem\":true}", &def), AE_OK);
	CU_ASSERT_TRUE(cj_has(def, "computedValues"));
	CU_ASSERT_EQUAL(cj_int(def, "internalValidatorType", -1), 0);
	json_object_put(def);
}

static void
test_single_dbserver(void)
{
	struct crd_rules	 rules = rules_of(31108);
	struct json_object	*def;

	rules.dbservers = 1;
	CU_ASSERT_EQUAL_FATAL(collection(&rules,
	    "{\"name\":\"_users\",\"isSystem\":true}", &def), AE_OK);
	CU_ASSERT_EQUAL(cj_int(def, "replicationFactor", 0), 1);
	json_object_put(def);
}

static void
test_edges(void)
{
	struct crd_rules	 rules = rules_of(31108);
	struct json_object	*def;

	CU_ASSERT_EQUAL_FATAL(collection(&rules,
	    "{\"name\":\"e\",\"type\":3}", &def), AE_OK);
	CU_ASSERT_EQUAL(cj_int(def, "type", 0), 3);
	CU_ASSERT_EQUAL(json_object_array_length(cj_get(def, "indexes")), 3);
	json_object_put(def);
}

struct refused {
	const char	*body;
	int		 errnum;
};

static void
test_refused_collections(void)
{
	static const struct refused	 cases[] = {
		{ "{}", AE_ILLEGAL_NAME },
		{ "{\"name\":1}", AE_ILLEGAL_NAME },
		{ "{\"name\":\"\"}", AE_ILLEGAL_NAME },
		{ "{\"name\":\"_a\"}", AE_ILLEGAL_NAME },
		{ "{\"name\":\"a\",\"numberOfShards\":0}", AE_BAD_PARAMETER },
		{ "{\"name\":\"a\",\"numberOfShards\":\"x\"}",
		    AE_BAD_PARAMETER },
		{ "{\"name\":\"a\",\"numberOfShards\":1001}",
		    AE_TOO_MANY_SHARDS },
		{ "{\"name\":\"a\",\"replicationFactor\":4}",
		    AE_INSUFFICIENT_DBSERVERS },
		{ "{\"name\":\"a\",\"replicationFactor\":11}",
		    AE_BAD_PARAMETER },
		{ "{\"name\":\"a\",\"replicationFactor\":-1}",
		    AE_BAD_PARAMETER },
		{ "{\"name\":\"a\",\"replicationFactor\":\"x\"}",
		    AE_BAD_PARAMETER },
		{ "{\"name\":\"a\",\"replicationFactor\":\"satellite\"}",
		    AE_BAD_PARAMETER },
		{ "{\"name\":\"a\",\"replicationFactor\":0}",
		    AE_BAD_PARAMETER },
		{ "{\"name\":\"a\",\"writeConcern\":2}", AE_BAD_PARAMETER },
		{ "{\"name\":\"a\",\"writeConcern\":0}", AE_BAD_PARAMETER },
		{ "{\"name\":\"a\",\"writeConcern\":\"2\"}",
		    AE_BAD_PARAMETER },
		{ "{\"name\":\"a\",\"replicationFactor\":3,\"writeConcern\":2,"
		    "\"minReplicationFactor\":1}", AE_BAD_PARAMETER },
		{ "{\"name\":\"a\",\"shardKeys\":[\"_id\"]}",
		    AE_BAD_PARAMETER },
		{ "{\"name\":\"a\",\"shardKeys\":[\"1\",\"2\",\"3\",\"4\","
		    "\"5\",\"6\",\"7\",\"8\",\"9\"]}", AE_BAD_PARAMETER },
		{ "{\"name\":\"a\",\"shardingStrategy\":\"x\"}",
		    AE_BAD_PARAMETER },
		{ "{\"name\":\"a\",\"distributeShardsLike\":1}",
		    AE_BAD_PARAMETER },
		{ "{\"name\":\"a\",\"keyOptions\":{\"type\":\"x\"}}",
		    AE_INVALID_KEY_GENERATOR },
		{ "{\"name\":\"a\",\"keyOptions\":{\"type\":\"autoincrement\","
		    "\"increment\":0}}", AE_INVALID_KEY_GENERATOR },
		{ "{\"name\":\"a\",\"keyOptions\":{\"type\":"
		    "\"autoincrement\"},\"numberOfShards\":2}",
		    AE_CLUSTER_UNSUPPORTED },
		{ "{\"name\":\"a\",\"schema\":5}",
		    AE_VALIDATION_BAD_PARAMETER },
		{ "{\"name\":\"a\",\"schema\":{\"level\":\"strict\"}}",
		    AE_VALIDATION_BAD_PARAMETER },
		{ "{\"name\":\"a\",\"schema\":{\"rule\":{},\"level\":\"x\"}}",
		    AE_VALIDATION_BAD_PARAMETER },
		{ "{\"name\":\"a\",\"computedValues\":[{\"name\":\"x\"}]}",
		    AE_BAD_PARAMETER }
	};
	struct crd_rules	 rules = rules_of(31108);
	size_t			 i;
	int			 r;

	for (i = 0; i < NITEMS(cases); i++) {
		r = collection(&rules, cases[i].body, NULL);
		if (r != cases[i].errnum)
			printf("# %s: %d\n", cases[i].body, r);
		CU_ASSERT_EQUAL(r, cases[i].errnum);
	}
}

static void
test_versions(void)
{
	struct crd_rules	 rules = rules_of(31108);
	struct json_object	*def;

	/* Unknown types were documents before 3.12. */
	CU_ASSERT_EQUAL(collection(&rules, "{\"name\":\"a\",\"type\":7}",
	    NULL), AE_OK);
	rules.version = 31200;
	CU_ASSERT_EQUAL(collection(&rules, "{\"name\":\"a\",\"type\":7}",
	    NULL), AE_COLLECTION_TYPE_INVALID);
	CU_ASSERT_EQUAL(collection(&rules,
	    "{\"name\":\"a\",\"replicationFactor\":\"satellite\"}", NULL),
	    AE_ONLY_ENTERPRISE);
	rules.enterprise = true;
	CU_ASSERT_EQUAL_FATAL(collection(&rules,
	    "{\"name\":\"a\",\"replicationFactor\":\"satellite\","
	    "\"numberOfShards\":3}", &def), AE_OK);
	CU_ASSERT_STRING_EQUAL(cj_str(def, "replicationFactor"), "satellite");
	CU_ASSERT_EQUAL(cj_int(def, "numberOfShards", 0), 1);
	json_object_put(def);
}

static void
test_smart_community(void)
{
	struct crd_rules	 rules = rules_of(31108);
	struct json_object	*def;

	CU_ASSERT_EQUAL_FATAL(collection(&rules, "{\"name\":\"a\","
	    "\"isSmart\":true,\"smartGraphAttribute\":\"x\"}", &def), AE_OK);
	CU_ASSERT_FALSE(cj_bool(def, "isSmart", true));
	CU_ASSERT_FALSE(cj_has(def, "smartGraphAttribute"));
	json_object_put(def);
}

static void
test_changes(void)
{
	struct crd_rules	 rules = rules_of(31108);
	struct json_object	*def, *body, *changes;
	struct err_msg		 em;

	CU_ASSERT_EQUAL_FATAL(collection(&rules,
	    "{\"name\":\"a\",\"replicationFactor\":2}", &def), AE_OK);
	body = parse("{\"waitForSync\":true,\"numberOfShards\":7,"
	    "\"schema\":{},\"replicationFactor\":3,\"writeConcern\":2}");
	CU_ASSERT_EQUAL_FATAL(crd_define_changes(&rules, def, body, &changes,
	    &em), AE_OK);
	assert_is(changes, "{\"waitForSync\":true,\"replicationFactor\":3,"
	    "\"writeConcern\":2,\"minReplicationFactor\":2,\"schema\":null}");
	json_object_put(body);
	body = parse("{\"replicationFactor\":4}");
	CU_ASSERT_EQUAL(crd_define_changes(&rules, def, body, &changes, &em),
	    AE_INSUFFICIENT_DBSERVERS);
	json_object_put(body);
	body = parse("{\"writeConcern\":3}");
	CU_ASSERT_EQUAL(crd_define_changes(&rules, def, body, &changes, &em),
	    AE_BAD_PARAMETER);
	json_object_put(body);
	cj_add_str(def, "distributeShardsLike", "10001");
	body = parse("{\"replicationFactor\":3}");
	CU_ASSERT_EQUAL(crd_define_changes(&rules, def, body, &changes, &em),
	    AE_FORBIDDEN);
	json_object_put(body);
	body = parse("{\"replicationFactor\":2}");
	CU_ASSERT_EQUAL_FATAL(crd_define_changes(&rules, def, body, &changes,
	    &em), AE_OK);
	assert_is(changes, "{}");
	json_object_put(body);
	json_object_put(def);
}

/* ---- indexes --------------------------------------------------------------- */

static void
test_recorded_indexes(void)
{
	struct json_object	*def;

	/* RestIndexCreateNewHashIndex, as the Plan of 3.8 has it */
	CU_ASSERT_EQUAL_FATAL(index_def(30809, "{\"type\":\"hash\","
	    "\"unique\":false,\"fields\":[\"a\",\"b\"]}", &def), AE_OK);
	assert_is(def, "{\"deduplicate\":true,\"estimates\":true,\"fields\":"
	    "[\"a\",\"b\"],\"name\":\"idx_1\",\"sparse\":false,\"type\":"
	    "\"hash\",\"unique\":false,\"inBackground\":false}");
	/* _users.user of a 3.10 cluster */
	CU_ASSERT_EQUAL_FATAL(index_def(31000, "{\"type\":\"hash\","
	    "\"unique\":true,\"sparse\":true,\"fields\":[\"user\"],"
	    "\"estimates\":false,\"id\":\"10025\",\"name\":\"idx_2\"}", &def),
	    AE_OK);
	assert_is(def, "{\"cacheEnabled\":false,\"deduplicate\":true,"
	    "\"estimates\":false,\"fields\":[\"user\"],\"id\":\"10025\","
	    "\"inBackground\":false,\"name\":\"idx_2\",\"sparse\":true,"
	    "\"type\":\"hash\",\"unique\":true}");
	CU_ASSERT_EQUAL_FATAL(index_def(30809, "{\"type\":\"ttl\","
	    "\"expireAfter\":3600,\"fields\":[\"createdAt\"]}", &def), AE_OK);
	assert_is(def, "{\"estimates\":false,\"expireAfter\":3600,\"fields\":"
	    "[\"createdAt\"],\"name\":\"idx_1\",\"sparse\":true,\"type\":"
	    "\"ttl\",\"unique\":false,\"inBackground\":false}");
	CU_ASSERT_EQUAL_FATAL(index_def(30809, "{\"type\":\"fulltext\","
	    "\"fields\":[\"text\"]}", &def), AE_OK);
	assert_is(def, "{\"fields\":[\"text\"],\"minLength\":2,\"name\":"
	    "\"idx_1\",\"sparse\":true,\"type\":\"fulltext\",\"unique\":false,"
	    "\"inBackground\":false}");
	CU_ASSERT_EQUAL_FATAL(index_def(30809, "{\"type\":\"geo\","
	    "\"fields\":[\"b\"]}", &def), AE_OK);
	assert_is(def, "{\"fields\":[\"b\"],\"geoJson\":false,\"name\":"
	    "\"idx_1\",\"sparse\":true,\"type\":\"geo\",\"unique\":false,"
	    "\"inBackground\":false}");
	CU_ASSERT_EQUAL_FATAL(index_def(30900, "{\"type\":\"zkd\",\"fields\":"
	    "[\"from\",\"to\"],\"fieldValueTypes\":\"double\"}", &def), AE_OK);
	assert_is(def, "{\"fieldValueTypes\":\"double\",\"fields\":[\"from\","
	    "\"to\"],\"name\":\"idx_1\",\"sparse\":false,\"type\":\"zkd\","
	    "\"unique\":false,\"inBackground\":false}");
}

static void
test_refused_indexes(void)
{
	static const struct refused	 cases[] = {
		{ "{\"fields\":[\"a\"]}", AE_BAD_PARAMETER },
		{ "{\"type\":\"x\",\"fields\":[\"a\"]}", AE_BAD_PARAMETER },
		{ "{\"type\":\"primary\",\"fields\":[\"_key\"]}",
		    AE_FORBIDDEN },
		{ "{\"type\":\"persistent\"}", AE_BAD_PARAMETER },
		{ "{\"type\":\"persistent\",\"fields\":[]}",
		    AE_BAD_PARAMETER },
		{ "{\"type\":\"persistent\",\"fields\":[1]}",
		    AE_BAD_PARAMETER },
		{ "{\"type\":\"persistent\",\"fields\":[\"a\",\"a\"]}",
		    AE_BAD_PARAMETER },
		{ "{\"type\":\"persistent\",\"fields\":[\"x._id\"]}",
		    AE_BAD_PARAMETER },
		{ "{\"type\":\"persistent\",\"fields\":[\"a\"],"
		    "\"storedValues\":[\"a\"]}", AE_BAD_PARAMETER },
		{ "{\"type\":\"persistent\",\"fields\":[\"a\"],"
		    "\"name\":\"9\"}", AE_ILLEGAL_NAME },
		{ "{\"type\":\"ttl\",\"fields\":[\"a\"]}", AE_BAD_PARAMETER },
		{ "{\"type\":\"ttl\",\"fields\":[\"a\",\"b\"],"
		    "\"expireAfter\":1}", AE_BAD_PARAMETER },
		{ "{\"type\":\"ttl\",\"fields\":[\"a\"],\"expireAfter\":-1}",
		    AE_BAD_PARAMETER },
		{ "{\"type\":\"zkd\",\"fields\":[\"a\"]}", AE_BAD_PARAMETER },
		{ "{\"type\":\"mdi\",\"fields\":[\"a\"],"
		    "\"fieldValueTypes\":\"double\"}", AE_BAD_PARAMETER }
	};
	size_t	 i;
	int	 r;

	for (i = 0; i < NITEMS(cases); i++) {
		r = index_def(31108, cases[i].body, NULL);
		if (r != cases[i].errnum)
			printf("# %s: %d\n", cases[i].body, r);
		CU_ASSERT_EQUAL(r, cases[i].errnum);
	}
	CU_ASSERT_EQUAL(index_def(30809, "{\"type\":\"inverted\",\"fields\":"
	    "[\"a\"]}", NULL), AE_BAD_PARAMETER);
	CU_ASSERT_EQUAL(index_def(31000, "{\"type\":\"inverted\",\"fields\":"
	    "[\"a\",{\"name\":\"b\"}]}", NULL), AE_OK);
}

static bool
equal(const char *a, const char *b)
{
	struct json_object	*x = parse(a), *y = parse(b);
	bool			 same = crd_index_equal(x, y);

	CU_ASSERT_EQUAL(same, crd_index_equal(y, x));
	json_object_put(x);
	json_object_put(y);
	return same;
}

static void
test_same_index(void)
{
	CU_ASSERT_TRUE(equal("{\"type\":\"persistent\",\"fields\":[\"a\"],"
	    "\"name\":\"x\",\"deduplicate\":false}",
	    "{\"type\":\"persistent\",\"fields\":[\"a\"],\"name\":\"y\"}"));
	CU_ASSERT_FALSE(equal("{\"type\":\"persistent\",\"fields\":[\"a\"]}",
	    "{\"type\":\"hash\",\"fields\":[\"a\"]}"));
	CU_ASSERT_FALSE(equal("{\"type\":\"persistent\",\"fields\":[\"a\","
	    "\"b\"]}", "{\"type\":\"persistent\",\"fields\":[\"b\",\"a\"]}"));
	CU_ASSERT_FALSE(equal("{\"type\":\"hash\",\"fields\":[\"a\"],"
	    "\"unique\":true}", "{\"type\":\"hash\",\"fields\":[\"a\"]}"));
	CU_ASSERT_TRUE(equal("{\"type\":\"zkd\",\"fields\":[\"a\"]}",
	    "{\"type\":\"mdi\",\"fields\":[\"a\"]}"));
	CU_ASSERT_FALSE(equal("{\"type\":\"ttl\",\"fields\":[\"a\"],"
	    "\"expireAfter\":1}", "{\"type\":\"ttl\",\"fields\":[\"a\"],"
	    "\"expireAfter\":2}"));
	CU_ASSERT_TRUE(equal("{\"type\":\"ttl\",\"fields\":[\"a\"],"
	    "\"expireAfter\":1}", "{\"type\":\"ttl\",\"fields\":[\"a\"],"
	    "\"expireAfter\":1.0}"));
}

static void
test_clash(void)
{
	struct json_object	*a = parse("{\"id\":\"5\",\"name\":\"x\"}");
	struct json_object	*b = parse("{\"id\":\"6\",\"name\":\"x\"}");
	struct json_object	*c = parse("{\"id\":\"6\",\"name\":\"y\"}");

	CU_ASSERT_TRUE(crd_index_clashes(a, b));
	CU_ASSERT_TRUE(crd_index_clashes(b, c));
	CU_ASSERT_FALSE(crd_index_clashes(a, c));
	json_object_put(a);
	json_object_put(b);
	json_object_put(c);
}

UNIT_MAIN("definition",
    { "names as versions take them", test_names },
    { "names have a longest length", test_long_names },
    { "_users is what a 3.8 cluster planned", test_users_3_8 },
    { "3.10 adds its attributes", test_users_3_10 },
    { "one DB-server is enough for system collections",
	test_single_dbserver },
    { "edges have their indexes", test_edges },
    { "collections that are refused", test_refused_collections },
    { "what depends on the version", test_versions },
    { "Community drops smart attributes", test_smart_community },
    { "changes of properties", test_changes },
    { "indexes are normalised as recorded", test_recorded_indexes },
    { "indexes that are refused", test_refused_indexes },
    { "which indexes are the same", test_same_index },
    { "which indexes clash", test_clash })
