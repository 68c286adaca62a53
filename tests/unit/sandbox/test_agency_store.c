/*
 * test_agency_store.c - the agency's operations and preconditions.
 *
 * What is expected here is what arangod's own tests of the agency expect
 * (tests/js/client/agency/agency-test.js), told in other words.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/get.h"
#include "sandbox/agency_store.h"
#include "unit.h"

static struct agency_store	*store;
static uint64_t			 now_ms = 1000000;

static void
fresh(void)
{
	agency_store_free(&store);
	store = agency_store_new();
	now_ms = 1000000;
}

static struct json_object *
parse(const char *text)
{
	struct json_object	*o = NULL;
	struct err_msg		 m;

	if (json_parse(text, strlen(text), &o, &m) != 0) {
		fprintf(stderr, "bad test: %s: %s\n", text, m.text);
		abort();
	}
	return o;
}

/* Expire, check, apply; what the agent does with one transaction. */
static int
write_trx(const char *text)
{
	struct json_object	*trx = parse(text), *ops;
	struct err_msg		 m;
	int			 r;

	if ((ops = agency_store_expired(store, now_ms)) != NULL) {
		CU_ASSERT_EQUAL(agency_store_apply(store, ops, now_ms), 0);
		json_object_put(ops);
	}
	r = agency_store_validate(trx, &m);
	if (r == 0)
		r = agency_store_check(store,
		    json_object_array_get_idx(trx, 1), NULL);
	if (r == 0)
		r = agency_store_apply(store,
		    json_object_array_get_idx(trx, 0), now_ms);
	json_object_put(trx);
	return r;
}

static bool
reads(const char *paths, const char *expected)
{
	struct json_object	*p = parse(paths), *got, *want;
	struct json_object	*ops;
	bool			 same;

	if ((ops = agency_store_expired(store, now_ms)) != NULL) {
		agency_store_apply(store, ops, now_ms);
		json_object_put(ops);
	}
	got = agency_store_read(store, p);
	want = parse(expected);
	same = json_equal(got, want);
	if (!same)
		fprintf(stderr, "# %s: got %s, expected %s\n", paths,
		    json_object_to_json_string(got), expected);
	json_object_put(p);
	json_object_put(got);
	json_object_put(want);
	return same;
}

#define WRITE(text)		CU_ASSERT_EQUAL(write_trx(text), 0)
#define REFUSED(text)		CU_ASSERT_EQUAL(write_trx(text), ERR_BAD_STATE)
#define MALFORMED(text)		CU_ASSERT_EQUAL(write_trx(text), ERR_FORMAT)
#define READS(paths, expected)	CU_ASSERT(reads(paths, expected))

/* ---- reading ------------------------------------------------------------ */

static void
test_read(void)
{
	fresh();
	READS("[\"/x\"]", "{}");
	WRITE("[{\"x\":12}]");
	READS("[\"/x\"]", "{\"x\":12}");
	WRITE("[{\"x\":{\"op\":\"delete\"}}]");
	READS("[\"/x\"]", "{}");
	READS("[\"/x/y\"]", "{}");
	WRITE("[{\"x/y\":12}]");
	READS("[\"/x/y\"]", "{\"x\":{\"y\":12}}");
	WRITE("[{\"x/y\":{\"op\":\"delete\"}}]");
	READS("[\"/x\"]", "{\"x\":{}}");

	fresh();
	WRITE("[{\"a\":{\"b\":{\"c\":[1,2,3]},\"e\":12},\"d\":false}]");
	READS("[\"a/e\"]", "{\"a\":{\"e\":12}}");
	READS("[\"d\",\"a/b\"]",
	    "{\"a\":{\"b\":{\"c\":[1,2,3]}},\"d\":false}");
	READS("[\"/a/b\",\"/a\",\"/a/b/c\"]",
	    "{\"a\":{\"b\":{\"c\":[1,2,3]},\"e\":12}}");
	/* Cut at the deepest ancestor that is there. */
	READS("[\"/a/b/x/y/z\"]", "{\"a\":{\"b\":{}}}");
	READS("[\"/a/b/x/y\",\"/q/r\",\"/d\"]",
	    "{\"a\":{\"b\":{}},\"d\":false}");
	/* An ancestor that is a value has nothing below it. */
	READS("[\"/a/e/x\"]", "{\"a\":{\"e\":{}}}");
	READS("[\"/a/e/x\",\"/a/e\"]", "{\"a\":{\"e\":12}}");
	READS("[]", "{}");
	READS("[\"\"]",
	    "{\"a\":{\"b\":{\"c\":[1,2,3]},\"e\":12},\"d\":false}");
	WRITE("[{\"/a/b\":{\"op\":\"delete\"}}]");
	READS("[\"/a\"]", "{\"a\":{\"e\":12}}");
}

static void
test_hidden(void)
{
	fresh();
	WRITE("[{\"/.agency/term\":1,\"/arango/.license\":{\"v\":1},"
	    "\"/arango/x\":1}]");
	READS("[\"/\"]", "{\"arango\":{\"x\":1}}");
	READS("[\"/arango\"]", "{\"arango\":{\"x\":1}}");
	READS("[\"/arango/.license\"]",
	    "{\"arango\":{\".license\":{\"v\":1}}}");
	READS("[\"/.agency\"]", "{\".agency\":{\"term\":1}}");
}

static void
test_slashes(void)
{
	char	*p;

	fresh();
	WRITE("[{\"////a///////b//\":{\"b///////c\":4}}]");
	READS("[\"/\"]", "{\"a\":{\"b\":{\"b\":{\"c\":4}}}}");
	fresh();
	WRITE("[{\"//////\":\"Hi there!\"}]");
	READS("[\"/\"]", "\"Hi there!\"");
	WRITE("[{\"/a/b\":1}]");
	READS("[\"/\"]", "{\"a\":{\"b\":1}}");
	p = agency_path_normalize("//a///b/");
	CU_ASSERT_STRING_EQUAL(p, "/a/b");
	free(p);
	p = agency_path_normalize("");
	CU_ASSERT_STRING_EQUAL(p, "/");
	free(p);
	p = agency_path_normalize("arango/Plan");
	CU_ASSERT_STRING_EQUAL(p, "/arango/Plan");
	free(p);
}

static void
test_values(void)
{
	fresh();
	WRITE("[{\"/\":[]}]");
	READS("[\"/\"]", "[]");
	WRITE("[{\"/\":[1,2,3]}]");
	READS("[\"/\"]", "[1,2,3]");
	WRITE("[{\"/a\":[1,2,3]}]");
	READS("[\"/\"]", "{\"a\":[1,2,3]}");
	/* What looks like an operation inside of an array is a value. */
	WRITE("[{\"1\":[\"C\",2.0,{\"op\":\"set\",\"new\":12,\"ttl\":7}]}]");
	READS("[\"/1\"]",
	    "{\"1\":[\"C\",2,{\"op\":\"set\",\"new\":12,\"ttl\":7}]}");
	WRITE("[{\"/n\":null}]");
	READS("[\"/n\"]", "{\"n\":null}");
	CU_ASSERT(agency_store_has(store, "/n"));
	CU_ASSERT_FALSE(agency_store_has(store, "/m"));
	/* A scalar in the way of a path gives way. */
	WRITE("[{\"/s\":5}]");
	WRITE("[{\"/s/t/u\":6}]");
	READS("[\"/s\"]", "{\"s\":{\"t\":{\"u\":6}}}");
	WRITE("[{\"/s\":[1]}]");
	WRITE("[{\"/s/t\":7}]");
	READS("[\"/s\"]", "{\"s\":{\"t\":7}}");
	/* What is written replaces; nothing is merged. */
	WRITE("[{\"/s\":{\"v\":1}}]");
	READS("[\"/s\"]", "{\"s\":{\"v\":1}}");
	/* "op" as a name among others. */
	WRITE("[{\"/op\":12}]");
	READS("[\"/op\"]", "{\"op\":12}");
	WRITE("[{\"/op/a\":{\"op\":\"set\",\"new\":{\"op\":13}}}]");
	READS("[\"/op\"]", "{\"op\":{\"a\":{\"op\":13}}}");
	WRITE("[{\"/op/a/op\":{\"op\":\"increment\"}}]");
	READS("[\"/op\"]", "{\"op\":{\"a\":{\"op\":14}}}");
}

/* What was logged must not change when the tree does. */
static void
test_owns(void)
{
	struct json_object	*ops = parse("{\"/a\":{\"b\":{\"c\":1}}}");

	fresh();
	CU_ASSERT_EQUAL(agency_store_apply(store, ops, now_ms), 0);
	WRITE("[{\"/a/b/c\":2,\"/a/b/d\":3}]");
	CU_ASSERT_STRING_EQUAL(json_object_to_json_string_ext(ops,
	    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
	    "{\"/a\":{\"b\":{\"c\":1}}}");
	json_object_put(ops);
}

/* ---- operations --------------------------------------------------------- */

static void
test_increment(void)
{
	fresh();
	WRITE("[{\"/v\":{\"op\":\"increment\"}}]");
	READS("[\"v\"]", "{\"v\":1}");
	WRITE("[{\"/v\":{\"op\":\"increment\",\"step\":10000}}]");
	READS("[\"v\"]", "{\"v\":10001}");
	WRITE("[{\"/v\":{\"op\":\"decrement\",\"step\":2}}]");
	READS("[\"v\"]", "{\"v\":9999}");
	WRITE("[{\"/v\":\"text\"}]");
	WRITE("[{\"/v\":{\"op\":\"increment\"}}]");
	READS("[\"v\"]", "{\"v\":1}");
	WRITE("[{\"/w/x\":{\"op\":\"decrement\"}}]");
	READS("[\"w\"]", "{\"w\":{\"x\":-1}}");
	WRITE("[{\"/v\":9223372036854775807}]");
	WRITE("[{\"/v\":{\"op\":\"increment\"}}]");
	READS("[\"v\"]", "{\"v\":-9223372036854775808}");
	WRITE("[{\"/v\":2.9}]");
	WRITE("[{\"/v\":{\"op\":\"increment\",\"step\":\"x\"}}]");
	READS("[\"v\"]", "{\"v\":3}");
	/* On the root. */
	fresh();
	WRITE("[{\"/\":{\"op\":\"increment\"}}]");
	READS("[\"/\"]", "1");
	WRITE("[{\"/\":{\"op\":\"delete\"}}]");
	READS("[\"/\"]", "{}");
}

static void
test_arrays(void)
{
	fresh();
	WRITE("[{\"/a/c\":[1,2,3]}]");
	WRITE("[{\"/a/c\":{\"op\":\"push\",\"new\":\"max\"}}]");
	READS("[\"/a/c\"]", "{\"a\":{\"c\":[1,2,3,\"max\"]}}");
	WRITE("[{\"/a/e\":{\"op\":\"push\",\"new\":2.5}}]");
	READS("[\"/a/e\"]", "{\"a\":{\"e\":[2.5]}}");
	WRITE("[{\"/a/e\":7}]");
	WRITE("[{\"/a/e\":{\"op\":\"push\",\"new\":{\"x\":1}}}]");
	READS("[\"/a/e\"]", "{\"a\":{\"e\":[{\"x\":1}]}}");
	WRITE("[{\"/a/c\":{\"op\":\"prepend\",\"new\":3.5}}]");
	READS("[\"/a/c\"]", "{\"a\":{\"c\":[3.5,1,2,3,\"max\"]}}");
	WRITE("[{\"/a/c\":{\"op\":\"shift\"}}]");
	WRITE("[{\"/a/c\":{\"op\":\"pop\"}}]");
	READS("[\"/a/c\"]", "{\"a\":{\"c\":[1,2,3]}}");
	WRITE("[{\"/a/f\":{\"op\":\"pop\"},\"/a/g\":{\"op\":\"shift\"}}]");
	READS("[\"/a/f\",\"/a/g\"]", "{\"a\":{\"f\":[],\"g\":[]}}");
	WRITE("[{\"/a/e\":1}]");
	WRITE("[{\"/a/e\":{\"op\":\"pop\"}}]");
	READS("[\"/a/e\"]", "{\"a\":{\"e\":[]}}");
}

static void
test_erase(void)
{
	fresh();
	WRITE("[{\"/a\":[0,1,2,3,4,3]}]");
	WRITE("[{\"a\":{\"op\":\"erase\",\"val\":3}}]");
	READS("[\"/a\"]", "{\"a\":[0,1,2,4]}");
	WRITE("[{\"a\":{\"op\":\"erase\",\"val\":3}}]");
	WRITE("[{\"a\":{\"op\":\"erase\",\"pos\":0}}]");
	READS("[\"/a\"]", "{\"a\":[1,2,4]}");
	CU_ASSERT_EQUAL(write_trx("[{\"a\":{\"op\":\"erase\",\"pos\":3}}]"),
	    ERR_RANGE);
	READS("[\"/a\"]", "{\"a\":[1,2,4]}");
	/* Nothing is made where nothing is. */
	WRITE("[{\"b\":{\"op\":\"erase\",\"val\":3}}]");
	WRITE("[{\"b\":{\"op\":\"replace\",\"val\":3,\"new\":4}}]");
	WRITE("[{\"b\":{\"op\":\"delete\"}}]");
	READS("[\"/\"]", "{\"a\":[1,2,4]}");
	WRITE("[{\"a\":{\"op\":\"replace\",\"val\":1,\"new\":[1]}}]");
	READS("[\"/a\"]", "{\"a\":[[1],2,4]}");
	WRITE("[{\"a\":{\"op\":\"replace\",\"val\":[1],\"new\":{\"a\":0}}}]");
	WRITE("[{\"a\":{\"op\":\"replace\",\"val\":{\"a\":0.0},"
	    "\"new\":\"/a\"}}]");
	READS("[\"/a\"]", "{\"a\":[\"/a\",2,4]}");
}

static void
test_queue(void)
{
	fresh();
	WRITE("[{\"q\":{\"op\":\"push-queue\",\"new\":1,\"len\":3}}]");
	WRITE("[{\"q\":{\"op\":\"push-queue\",\"new\":2,\"len\":3}}]");
	WRITE("[{\"q\":{\"op\":\"push-queue\",\"new\":3,\"len\":3}}]");
	WRITE("[{\"q\":{\"op\":\"push-queue\",\"new\":4,\"len\":3}}]");
	READS("[\"q\"]", "{\"q\":[2,3,4]}");
	WRITE("[{\"q\":{\"op\":\"push-queue\",\"new\":5,\"len\":1}}]");
	READS("[\"q\"]", "{\"q\":[5]}");
	WRITE("[{\"q\":{\"op\":\"push-queue\",\"new\":5,\"len\":0}}]");
	READS("[\"q\"]", "{\"q\":[]}");
	MALFORMED("[{\"q\":{\"op\":\"push-queue\",\"new\":5}}]");
	MALFORMED("[{\"q\":{\"op\":\"push-queue\",\"new\":5,\"len\":-1}}]");
}

static void
test_observe(void)
{
	fresh();
	WRITE("[{\"/a\":{\"op\":\"observe\",\"url\":\"https://x\"}}]");
	WRITE("[{\"//a/\":{\"op\":\"unobserve\",\"url\":\"https://x\"}}]");
	READS("[\"/\"]", "{}");
	WRITE("[{\"/a\":\"a\"},{\"a\":{\"oldEmpty\":true}}]");
	REFUSED("[{\"/a\":\"a\"},{\"a\":{\"oldEmpty\":true}}]");
}

/* ---- all or nothing ----------------------------------------------------- */

static void
test_atomic(void)
{
	fresh();
	WRITE("[{\"/a\":{\"x\":1,\"l\":[1,2]},\"/b\":{\"op\":\"set\","
	    "\"new\":1,\"ttl\":10}}]");
	CU_ASSERT_EQUAL(write_trx("[{\"/a/l\":{\"op\":\"push\",\"new\":3},"
	    "\"/a/x\":{\"op\":\"delete\"},\"/b\":2,\"/a/new/deep\":1,"
	    "\"/c/d\":1,\"/z\":[9],"
	    "\"/zz\":{\"op\":\"erase\",\"pos\":5},\"/z/\":{\"op\":\"erase\","
	    "\"pos\":7}}]"), ERR_RANGE);
	READS("[\"/\"]", "{\"a\":{\"x\":1,\"l\":[1,2]},\"b\":1}");
	/* ... its expiry time is there again, too. */
	now_ms += 11000;
	READS("[\"/\"]", "{\"a\":{\"x\":1,\"l\":[1,2]}}");
	/* The root comes back. */
	CU_ASSERT_EQUAL(write_trx("[{\"/\":[1],\"/zz\":{\"op\":\"push\","
	    "\"new\":1},\"/zz/\":{\"op\":\"erase\",\"pos\":9}}]"), ERR_RANGE);
	READS("[\"/\"]", "{\"a\":{\"x\":1,\"l\":[1,2]}}");
}

static void
test_form(void)
{
	fresh();
	MALFORMED("{}");
	MALFORMED("[]");
	MALFORMED("[1]");
	MALFORMED("[[]]");
	MALFORMED("[{},[]]");
	MALFORMED("[{},null]");
	MALFORMED("[{},{},\"id\",1]");
	MALFORMED("[{\"a\":{\"op\":5}}]");
	MALFORMED("[{\"a\":{\"op\":\"explode\"}}]");
	MALFORMED("[{\"a\":{\"op\":\"set\"}}]");
	MALFORMED("[{\"a\":{\"op\":\"push\"}}]");
	MALFORMED("[{\"a\":{\"op\":\"replace\",\"new\":1}}]");
	MALFORMED("[{\"a\":{\"op\":\"erase\"}}]");
	MALFORMED("[{\"a\":{\"op\":\"erase\",\"val\":1,\"pos\":1}}]");
	MALFORMED("[{\"a\":{\"op\":\"erase\",\"pos\":-1}}]");
	MALFORMED("[{\"a\":{\"op\":\"erase\",\"pos\":\"1\"}}]");
	/* A good operation beside a bad one is not carried out. */
	MALFORMED("[{\"a\":1,\"b\":{\"op\":\"explode\"}}]");
	READS("[\"/\"]", "{}");
	WRITE("[{}]");
	WRITE("[{},{},\"id\"]");
	WRITE("[{\"a\":{\"op\":\"set\",\"new\":1,\"ttl\":\"x\"}},{},7]");
}

static void
test_deep(void)
{
	char	path[1024] = "", text[2048];
	int	i;

	fresh();
	for (i = 0; i < AGENCY_DEPTH_MAX; i++)
		strcat(path, "/a");
	snprintf(text, sizeof(text), "[{\"%s\":1}]", path);
	WRITE(text);
	snprintf(text, sizeof(text), "[{\"%s/a\":1}]", path);
	CU_ASSERT_EQUAL(write_trx(text), ERR_TOO_BIG);
	snprintf(text, sizeof(text), "[{\"%s\":{\"x\":1}}]", path);
	CU_ASSERT_EQUAL(write_trx(text), ERR_TOO_BIG);
	snprintf(text, sizeof(text), "[{\"%s\":[1]}]", path);
	CU_ASSERT_EQUAL(write_trx(text), ERR_TOO_BIG);
	snprintf(text, sizeof(text), "[{\"%s\":{\"op\":\"push\",\"new\":1}}]",
	    path);
	CU_ASSERT_EQUAL(write_trx(text), ERR_TOO_BIG);
	snprintf(text, sizeof(text), "[{\"/b\":{\"x%s/a\":1}}]", path);
	CU_ASSERT_EQUAL(write_trx(text), ERR_TOO_BIG);
	snprintf(text, sizeof(text), "[{\"/b\":1},{\"%s/a\":1}]", path);
	CU_ASSERT_EQUAL(write_trx(text), ERR_TOO_BIG);
	CU_ASSERT_FALSE(agency_store_has(store, "/b"));
}

/* ---- preconditions ------------------------------------------------------ */

static void
test_preconditions(void)
{
	fresh();
	WRITE("[{\"/a\":12}]");
	WRITE("[{\"/a\":13},{\"/a\":12}]");
	READS("[\"/a\"]", "{\"a\":13}");
	REFUSED("[{\"/a\":14},{\"/a\":12}]");
	WRITE("[{\"a\":{\"op\":\"delete\"}}]");
	REFUSED("[{\"a\":14},{\"a\":{\"oldEmpty\":false}}]");
	WRITE("[{\"a\":14},{\"a\":{\"oldEmpty\":true}}]");
	WRITE("[{\"a\":14},{\"a\":{\"old\":14}}]");
	WRITE("[{\"a\":14},{\"a\":{\"old\":14.0}}]");
	REFUSED("[{\"a\":14},{\"a\":{\"old\":13}}]");
	REFUSED("[{\"a\":14},{\"a\":{\"oldNot\":14}}]");
	WRITE("[{\"a\":14},{\"a\":{\"oldNot\":13}}]");
	WRITE("[{\"a\":14},{\"a\":{\"isArray\":false}}]");
	REFUSED("[{\"a\":14},{\"a\":{\"isArray\":true}}]");
	REFUSED("[{\"a\":14},{\"a\":{\"isArray\":1}}]");
	REFUSED("[{\"a\":14},{\"a\":{\"oldEmpty\":\"x\"}}]");
	WRITE("[{\"a\":14},{\"a\":{}}]");
	REFUSED("[{\"a\":14},{\"a\":{\"odl\":14}}]");
	/* Objects, in any order. */
	WRITE("[{\"/a/b/c\":12,\"/a/b/d\":1}]");
	WRITE("[{\"/a/b/c\":13},{\"a\":{\"old\":{\"b\":{\"d\":1,\"c\":12}}}}]");
	REFUSED("[{\"/a/b/c\":14},{\"a\":{\"old\":{\"b\":{\"c\":13}}}}]");
	/* All of them have to hold, on one path and on several. */
	WRITE("[{\"/a\":1,\"/b\":true,\"/c\":\"c\"}]");
	REFUSED("[{\"/a\":2},{\"/a\":{\"oldEmpty\":false},"
	    "\"/b\":{\"oldEmpty\":true}}]");
	REFUSED("[{\"/a\":2},{\"/a\":{\"old\":1},\"/b\":{\"old\":true},"
	    "\"/c\":{\"isArray\":true}}]");
	REFUSED("[{\"/a\":2},{\"/a\":{\"old\":1,\"isArray\":true}}]");
	WRITE("[{\"/a\":2},{\"/a\":{\"old\":1,\"isArray\":false}}]");
	READS("[\"/a\"]", "{\"a\":2}");
	/* Arrays and scalars in the short form. */
	WRITE("[{\"l\":[{\"b\":12,\"c\":13}]}]");
	WRITE("[{\"m\":1},{\"l\":[{\"c\":13,\"b\":12.0}]}]");
	REFUSED("[{\"m\":2},{\"l\":[{\"c\":13}]}]");
	WRITE("[{\"m\":1},{\"b\":true,\"c\":\"c\"}]");
	REFUSED("[{\"m\":2},{\"nothing\":null}]");
}

static void
test_sets(void)
{
	fresh();
	WRITE("[{\"a\":{\"b\":{\"c\":[1,2,3]},\"e\":[1,2]},\"d\":false}]");
	WRITE("[{\"b\":2},{\"/a/b/c\":{\"in\":3}}]");
	REFUSED("[{\"b\":3},{\"/a/e\":{\"in\":3}}]");
	REFUSED("[{\"b\":3},{\"/a/e\":{\"in\":3},\"/a/b/c\":{\"in\":3}}]");
	REFUSED("[{\"b\":3},{\"/d\":{\"in\":3}}]");
	REFUSED("[{\"b\":3},{\"/x\":{\"in\":3}}]");
	WRITE("[{\"b\":3},{\"/a/e\":{\"notin\":3}}]");
	WRITE("[{\"b\":3},{\"/x\":{\"notin\":3}}]");
	REFUSED("[{\"b\":3},{\"/a/e\":{\"notin\":2}}]");
	REFUSED("[{\"b\":3},{\"/d\":{\"notin\":2}}]");
	REFUSED("[{\"b\":3},{\"/a/e\":{\"intersectionEmpty\":\"\"}}]");
	WRITE("[{\"b\":3},{\"/d\":{\"intersectionEmpty\":[]}}]");
	WRITE("[{\"b\":3},{\"/x\":{\"intersectionEmpty\":[1]}}]");
	WRITE("[{\"s\":[12,\"Pi\",3.14159265359,true,false]}]");
	WRITE("[{\"b\":3},{\"s\":{\"intersectionEmpty\":[]}}]");
	REFUSED("[{\"b\":3},{\"s\":{\"intersectionEmpty\":[false,\"Pi\"]}}]");
	REFUSED("[{\"b\":3},{\"s\":{\"intersectionEmpty\":[12.0]}}]");
	WRITE("[{\"b\":3},{\"s\":{\"intersectionEmpty\":[\"pi\",3.1415926]}}]");
}

static void
test_failed_keys(void)
{
	struct json_object	*pre, *failed = NULL;

	fresh();
	WRITE("[{\"/a\":1,\"/b\":2}]");
	pre = parse("{\"a\":1,\"//b\":3,\"/c\":{\"oldEmpty\":false}}");
	CU_ASSERT_EQUAL(agency_store_check(store, pre, &failed),
	    ERR_BAD_STATE);
	CU_ASSERT_STRING_EQUAL(json_object_to_json_string_ext(failed,
	    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
	    "[\"//b\",\"/c\"]");
	json_object_put(failed);
	json_object_put(pre);
}

static void
test_forbidden(void)
{
	struct json_object	*trx;

	trx = parse("[{\"/x\":1,\"//.agency/term\":2}]");
	CU_ASSERT(agency_store_is_forbidden(trx));
	json_object_put(trx);
	trx = parse("[{\".agency\":2}]");
	CU_ASSERT(agency_store_is_forbidden(trx));
	json_object_put(trx);
	trx = parse("[{\"/x/.agency\":2}]");
	CU_ASSERT_FALSE(agency_store_is_forbidden(trx));
	json_object_put(trx);
}

/* ---- expiry ------------------------------------------------------------- */

static void
test_ttl(void)
{
	fresh();
	WRITE("[{\"a/z\":12}]");
	WRITE("[{\"a/y\":{\"op\":\"set\",\"new\":12,\"ttl\":1}}]");
	READS("[\"/a/y\"]", "{\"a\":{\"y\":12}}");
	now_ms += 1001;
	READS("[\"/a\"]", "{\"a\":{\"z\":12}}");
	/* Written again without ttl it stays. */
	WRITE("[{\"a/u\":{\"op\":\"set\",\"new\":25,\"ttl\":3}}]");
	WRITE("[{\"a/u\":26}]");
	now_ms += 5000;
	READS("[\"/a/u\"]", "{\"a\":{\"u\":26}}");
	/* What changes below does not prolong it, and goes with it. */
	WRITE("[{\"/v\":{\"op\":\"set\",\"new\":{\"c\":[\"hello\"]},"
	    "\"ttl\":3}}]");
	WRITE("[{\"/v/c\":{\"op\":\"push\",\"new\":\"world\"}}]");
	READS("[\"v\"]", "{\"v\":{\"c\":[\"hello\",\"world\"]}}");
	now_ms += 3001;
	READS("[\"v\"]", "{}");
	WRITE("[{\"/v/c\":{\"op\":\"push\",\"new\":\"hello\"}}]");
	READS("[\"v\"]", "{\"v\":{\"c\":[\"hello\"]}}");
	/* Refreshed by being set again. */
	WRITE("[{\"/l\":{\"op\":\"set\",\"new\":1,\"ttl\":3}}]");
	now_ms += 2000;
	WRITE("[{\"/l\":{\"op\":\"set\",\"new\":1,\"ttl\":3}}]");
	now_ms += 2000;
	READS("[\"l\"]", "{\"l\":1}");
	/* Gone with its parent, and not back with it. */
	WRITE("[{\"/p/q\":{\"op\":\"set\",\"new\":1,\"ttl\":3}}]");
	WRITE("[{\"/p\":{\"op\":\"delete\"}}]");
	WRITE("[{\"/p/q\":2}]");
	now_ms += 4000;
	READS("[\"/p\"]", "{\"p\":{\"q\":2}}");
	WRITE("[{\"/p/q\":{\"op\":\"set\",\"new\":1,\"ttl\":-5}}]");
	READS("[\"/p\"]", "{\"p\":{}}");
	WRITE("[{\"/p/q\":{\"op\":\"set\",\"new\":1,\"ttl\":1e300}}]");
	READS("[\"/p\"]", "{\"p\":{\"q\":1}}");
}

static void
test_restore(void)
{
	struct json_object	*tree, *ttl;
	struct agency_store	*old;

	fresh();
	WRITE("[{\"/a\":{\"op\":\"set\",\"new\":1,\"ttl\":5},"
	    "\"/.agency\":2,\"/n\":null}]");
	tree = agency_store_dump(store);
	ttl = agency_store_dump_ttl_ms(store);
	old = store;
	store = agency_store_new();
	CU_ASSERT_EQUAL(agency_store_restore(store, tree, ttl, 17), 0);
	json_object_put(tree);
	json_object_put(ttl);
	READS("[\"/a\",\"/.agency\",\"/n\"]",
	    "{\"a\":1,\".agency\":2,\"n\":null}");
	CU_ASSERT_EQUAL(agency_store_next_index(store), 17);
	now_ms += 6000;
	READS("[\"/a\"]", "{}");
	agency_store_free(&old);
}

/* ---- log ---------------------------------------------------------------- */

static void
test_log(void)
{
	struct json_object	*q = parse("{\"/a\":1}");
	uint64_t		 i;
	char			 id[32];

	fresh();
	CU_ASSERT_EQUAL(agency_store_next_index(store), 0);
	CU_ASSERT_PTR_NULL(agency_store_entry(store, 0));
	CU_ASSERT_EQUAL(agency_store_append(store, q, NULL, 0, 1), 0);
	CU_ASSERT_EQUAL(agency_store_append(store, q, "c1", 1, 2), 1);
	CU_ASSERT_EQUAL(agency_store_append(store, q, "c1", 1, 3), 2);
	CU_ASSERT_EQUAL(agency_store_last_index(store), 2);
	CU_ASSERT_EQUAL(agency_store_inquire(store, "c1"), 2);
	CU_ASSERT_EQUAL(agency_store_inquire(store, "c2"), 0);
	CU_ASSERT_EQUAL(agency_store_entry(store, 1)->epoch_ms, 2);
	CU_ASSERT_STRING_EQUAL(agency_store_entry(store, 0)->client_id, "");
	for (i = 3; i < AGENCY_LOG_KEEP + 100; i++) {
		snprintf(id, sizeof(id), "n%llu", (unsigned long long)i);
		agency_store_append(store, q, id, 1, i);
	}
	CU_ASSERT_EQUAL(agency_store_first_index(store), 100);
	CU_ASSERT_PTR_NULL(agency_store_entry(store, 99));
	CU_ASSERT_EQUAL(agency_store_entry(store, 100)->index, 100);
	CU_ASSERT_EQUAL(agency_store_inquire(store, "c1"), 0);
	CU_ASSERT_EQUAL(agency_store_inquire(store, "n99"), 0);
	CU_ASSERT_EQUAL(agency_store_inquire(store, "n100"), 100);
	json_object_put(q);
	agency_store_free(&store);
}

UNIT_MAIN("agency_store",
    { "a read nests from the root and ends where nothing is", test_read },
    { "names with a dot in front are shown when asked for", test_hidden },
    { "slashes are collapsed in paths and in names", test_slashes },
    { "values replace what is there and what is in the way", test_values },
    { "what was handed in stays as it was", test_owns },
    { "increment and decrement", test_increment },
    { "push, prepend, pop, shift", test_arrays },
    { "erase and replace make nothing where nothing is", test_erase },
    { "push-queue keeps its length", test_queue },
    { "observe and unobserve do nothing", test_observe },
    { "a transaction is done whole or not at all", test_atomic },
    { "malformed transactions are refused", test_form },
    { "depth has an end", test_deep },
    { "preconditions", test_preconditions },
    { "preconditions on arrays", test_sets },
    { "the keys whose preconditions failed are told", test_failed_keys },
    { "the agency's own keys are forbidden", test_forbidden },
    { "keys expire when their time has come", test_ttl },
    { "a snapshot brings everything back", test_restore },
    { "the log keeps its last entries and who wrote them", test_log })
