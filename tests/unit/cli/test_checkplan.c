/* test_checkplan.c - what check sync compares, and how it judges */
#include <stdlib.h>
#include <string.h>

#include "cli/checkplan.h"
#include "json/get.h"
#include "unit.h"

static struct json_object *
json(const char *text)
{
	struct json_object	*o = NULL;
	struct err_msg		 m;
	int			 r = json_parse(text, strlen(text), &o, &m);

	if (r != 0)
		printf("# %s\n", m.text);
	CU_ASSERT_EQUAL_FATAL(r, 0);
	return o;
}

static const char	two[] =
	"{\"datacenters\":["
	"{\"id\":\"A\",\"databases\":{"
	"  \"z\":{\"collections\":{\"c.d\":{\"shards\":{\"1\":{},\"0\":{}}}}},"
	"  \"a\":{\"collections\":{\"x\":{\"shards\":{\"0\":{}}}}}}},"
	"{\"id\":\"B\",\"databases\":{"
	"  \"z\":{\"collections\":{\"c.d\":{\"shards\":{\"1\":{},\"0\":{}}}}},"
	"  \"a\":{\"collections\":{\"x\":{\"shards\":{\"0\":{}}}}}}}]}";

static const struct check_filter	all = { NULL, NULL, -1 };

static void
test_plan(void)
{
	struct sync_shard	 known[] = {
		{ .database = "z", .collection = "c.d", .index = 1 },
		{ .database = "a", .collection = "x", .index = 0 }
	};
	struct sync_side	 side = { .shards = known, .n_shards = 2 };
	struct check_plan	*p = NULL;
	struct err_msg		 m;

	CU_ASSERT_EQUAL_FATAL(check_plan_make(json(two), &side, &all, &p, &m),
	    0);
	CU_ASSERT_EQUAL_FATAL(p->n, 3);
	CU_ASSERT_STRING_EQUAL(p->rows[0].database, "a");
	CU_ASSERT_EQUAL(p->rows[0].result, CHECK_PENDING);
	CU_ASSERT_STRING_EQUAL(p->rows[1].collection, "c.d");
	CU_ASSERT_EQUAL(p->rows[1].shard, 0);
	CU_ASSERT_EQUAL(p->rows[1].result, CHECK_MISSING);
	CU_ASSERT_STRING_EQUAL(p->rows[1].message,
	    "Shard is not turned on for synchronizing");
	CU_ASSERT_EQUAL(p->rows[2].shard, 1);
	CU_ASSERT_EQUAL(p->rows[2].result, CHECK_PENDING);
	check_plan_free(&p);
}

static void
test_strange(void)
{
	static const char *const	 texts[] = {
		"{}", "{\"datacenters\":7}", "{\"datacenters\":[]}",
		"{\"datacenters\":[1,2]}", "{\"datacenters\":[{},{}]}",
		"{\"datacenters\":[{\"databases\":[]},{\"databases\":{}}]}"
	};
	struct sync_side	 side = { .n_shards = 0 };
	struct check_plan	*p = NULL;
	struct err_msg		 m;
	size_t			 i;

	for (i = 0; i < NITEMS(texts); i++)
		CU_ASSERT_NOT_EQUAL(check_plan_make(json(texts[i]), &side,
		    &all, &p, &m), 0);
	/* Members of other types are as if they were not there. */
	CU_ASSERT_EQUAL_FATAL(check_plan_make(json("{\"datacenters\":["
	    "{\"databases\":{\"d\":{\"collections\":{\"c\":7,"
	    "\"e\":{\"shards\":{\"-1\":{},\"99999999999\":{}}}}},"
	    "\"n\":[]}},"
	    "{\"databases\":{\"d\":{\"collections\":{\"c\":{\"shards\":{}},"
	    "\"e\":{\"shards\":{\"a\":1,\"b\":2}}}},\"n\":[]}}]}"),
	    &side, &all, &p, &m), 0);
	CU_ASSERT_EQUAL(p->n, 2);
	CU_ASSERT_EQUAL(p->rows[0].result, CHECK_ERROR);
	CU_ASSERT_EQUAL(p->rows[1].result, CHECK_ERROR);
	check_plan_free(&p);
}

static void
test_judge(void)
{
	static const struct {
		const char		*sums;
		enum check_result	 result;
	} cases[] = {
		{ "[]", CHECK_SAME },
		{ "[{\"checksum\":\"1\"}]", CHECK_SAME },
		{ "[{\"checksum\":\"1\"},{\"checksum\":\"1\"}]", CHECK_SAME },
		{ "[{\"checksum\":\"1\"},{\"checksum\":\"2\"}]",
		    CHECK_DIFFERENT },
		{ "[{\"checksum\":\"1\"},{\"checksum\":\"1\"},"
		    "{\"checksum\":\"3\"}]", CHECK_DIFFERENT },
		{ "[{\"checksum\":\"1\"},{}]", CHECK_DIFFERENT },
		{ "7", CHECK_ERROR },
		{ "null", CHECK_ERROR }
	};
	struct check_row	 row;
	struct json_object	*o;
	char			*text;
	size_t			 i;

	for (i = 0; i < NITEMS(cases); i++) {
		memset(&row, 0, sizeof(row));
		row.database = "d.e";
		row.collection = "c";
		row.shard = 12;
		text = xasprintf("{\"databases\":{\"d.e\":{\"collections\":"
		    "{\"c\":{\"shards\":{\"12\":%s}}}}}}", cases[i].sums);
		o = json(text);
		check_row_judge(&row, o);
		CU_ASSERT_EQUAL(row.result, cases[i].result);
		json_object_put(o);
		free(text);
		free(row.message);
	}
}

UNIT_MAIN("checkplan",
    { "shards of both sides are compared, unknown ones are named",
      test_plan },
    { "strange answers are refused or left out", test_strange },
    { "checksums are the same or not", test_judge })
