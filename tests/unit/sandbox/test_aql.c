/* test_aql.c - which queries the sandbox takes, and how it refuses others */
#include <stdlib.h>
#include <string.h>

#include "sandbox/crd_aql.h"
#include "sandbox/errors.h"
#include "unit.h"
#include "vpack/vpack.h"

static struct aql_plan	 plan;
static struct err_msg	 em;

static int
parse(const char *query, const char *binds)
{
	struct vp_builder	*b = xmalloc(sizeof(*b));
	struct buf		 bind = BUF_INIT;
	int			 r;

	aql_plan_free(&plan);
	em.text[0] = '\0';
	vpb_init(b, &bind);
	if (binds != NULL) {
		CU_ASSERT_EQUAL_FATAL(vp_from_json(b, binds, strlen(binds),
		    NULL), 0);
		CU_ASSERT_EQUAL_FATAL(vpb_end(b), 0);
	}
	r = aql_parse(query, strlen(query), binds == NULL ? NULL : bind.data,
	    &plan, &em);
	vpb_free(b);
	free(b);
	buf_free(&bind);
	return r;
}

static void
test_scan(void)
{
	CU_ASSERT_EQUAL(parse("FOR d IN c RETURN d", NULL), 0);
	CU_ASSERT_EQUAL(plan.kind, AQL_SCAN);
	CU_ASSERT_STRING_EQUAL(plan.collection, "c");
	CU_ASSERT_FALSE(plan.has_limit || plan.sort);
	CU_ASSERT_EQUAL(parse("for doc in `my-coll` /* all */ "
	    "filter doc.a.b == 'it\\'s' && doc.n==-1.5e3 sort doc._key desc "
	    "limit 2, 10 return doc.a // end", NULL), 0);
	CU_ASSERT_STRING_EQUAL(plan.collection, "my-coll");
	CU_ASSERT_EQUAL(plan.nfilters, 2);
	CU_ASSERT_STRING_EQUAL(plan.filters[0].path, "a.b");
	CU_ASSERT_TRUE(vp_string_is(plan.filters[0].value.data, "it's", 4));
	CU_ASSERT_TRUE(plan.sort && plan.descending && plan.has_limit);
	CU_ASSERT_EQUAL(plan.offset, 2);
	CU_ASSERT_EQUAL(plan.limit, 10);
	CU_ASSERT_STRING_EQUAL(plan.path, "a");
}

static void
test_binds(void)
{
	CU_ASSERT_EQUAL(parse("FOR d IN @@value0 FILTER d.x == @value1 LIMIT "
	    "@n RETURN d",
	    "{\"@value0\":\"c\",\"value1\":[1,{\"a\":2}],\"n\":7}"), 0);
	CU_ASSERT_STRING_EQUAL(plan.collection, "c");
	CU_ASSERT_TRUE(vp_is_array(plan.filters[0].value.data));
	CU_ASSERT_EQUAL(plan.limit, 7);
	CU_ASSERT_EQUAL(parse("FOR d IN c FILTER d.x == @v RETURN d", "{}"),
	    AE_QUERY_BIND_PARAMETER_MISSING);
	CU_ASSERT_EQUAL(parse("FOR d IN c RETURN d", "{\"v\":1}"),
	    AE_QUERY_BIND_PARAMETER_UNDECLARED);
	CU_ASSERT_EQUAL(parse("FOR d IN @@c RETURN d", "{\"@c\":1}"),
	    AE_QUERY_BIND_PARAMETER_TYPE);
	CU_ASSERT_EQUAL(parse("FOR d IN c RETURN d", "[1]"),
	    AE_QUERY_BIND_PARAMETERS_INVALID);
}

static void
test_paths(void)
{
	CU_ASSERT_EQUAL(parse("FOR d IN c FILTER d.@a[\"b\"][@x].y == 1 "
	    "RETURN d", "{\"a\":\"q\",\"x\":\"r\"}"), 0);
	CU_ASSERT_STRING_EQUAL(plan.filters[0].path, "q.b.r.y");
	CU_ASSERT_EQUAL(parse("FOR d IN c LIMIT 3, null RETURN d['a']", NULL),
	    0);
	CU_ASSERT_EQUAL(plan.offset, 3);
	CU_ASSERT_TRUE(plan.limit > 1000000);
	CU_ASSERT_STRING_EQUAL(plan.path, "a");
}

static void
test_others(void)
{
	CU_ASSERT_EQUAL(parse("RETURN LENGTH(c)", NULL), 0);
	CU_ASSERT_EQUAL(plan.kind, AQL_COUNT);
	CU_ASSERT_EQUAL(parse("FOR d IN c COLLECT WITH COUNT INTO n RETURN n",
	    NULL), 0);
	CU_ASSERT_EQUAL(plan.kind, AQL_COUNT);
	CU_ASSERT_EQUAL(parse("FOR d IN c FILTER d.a == 1 REMOVE d IN c",
	    NULL), 0);
	CU_ASSERT_EQUAL(plan.kind, AQL_REMOVE);
	CU_ASSERT_EQUAL(parse("FOR d IN c REMOVE {_key: d._key} IN c", NULL),
	    0);
	CU_ASSERT_EQUAL(parse("RETURN @x", "{\"x\":{\"a\":1}}"), 0);
	CU_ASSERT_EQUAL(plan.kind, AQL_VALUE);
	CU_ASSERT_TRUE(vp_is_object(plan.value.data));
}

static void
test_refusals(void)
{
	CU_ASSERT_EQUAL(parse("", NULL), AE_QUERY_EMPTY);
	CU_ASSERT_EQUAL(parse(" // nothing", NULL), AE_QUERY_EMPTY);
	CU_ASSERT_EQUAL(parse("SELECT * FROM c", NULL), AE_QUERY_PARSE);
	CU_ASSERT_EQUAL(parse("FOR d IN c", NULL), AE_QUERY_PARSE);
	CU_ASSERT_EQUAL(parse("FOR d IN c FILTER d.a == 'x", NULL),
	    AE_QUERY_PARSE);
	CU_ASSERT_EQUAL(parse("FOR d IN c LIMIT -1 RETURN d", NULL),
	    AE_QUERY_NUMBER_OUT_OF_RANGE);
	CU_ASSERT_EQUAL(parse("FOR d IN c LIMIT 'x' RETURN d", NULL),
	    AE_QUERY_NUMBER_OUT_OF_RANGE);
	/* A name with a dot is not two names. */
	CU_ASSERT_EQUAL(parse("FOR d IN c FILTER d.`a.b` == 1 RETURN d", NULL),
	    AE_HTTP_NOT_IMPLEMENTED);
	CU_ASSERT_EQUAL(parse("FOR d IN c FILTER d[1] == 1 RETURN d", NULL),
	    AE_HTTP_NOT_IMPLEMENTED);
	CU_ASSERT_EQUAL(parse("FOR d IN c SORT d.a RETURN d", NULL),
	    AE_HTTP_NOT_IMPLEMENTED);
	CU_ASSERT_EQUAL(parse("LET x = 1 RETURN x", NULL),
	    AE_HTTP_NOT_IMPLEMENTED);
	CU_ASSERT_EQUAL(parse("FOR d IN c RETURN UPPER(d.a)", NULL),
	    AE_HTTP_NOT_IMPLEMENTED);
	CU_ASSERT_EQUAL(parse("FOR d IN c RETURN d RETURN d", NULL),
	    AE_HTTP_NOT_IMPLEMENTED);
	/* A removal that would take more than it was asked for. */
	CU_ASSERT_EQUAL(parse("FOR d IN c FILTER d.a == 1 AND d.b == 2 "
	    "REMOVE d IN c", NULL), AE_HTTP_NOT_IMPLEMENTED);
	CU_ASSERT_EQUAL(parse("FOR d IN c REMOVE d IN other", NULL),
	    AE_HTTP_NOT_IMPLEMENTED);
	CU_ASSERT_TRUE(em.text[0] != '\0');
	aql_plan_free(&plan);
}

UNIT_MAIN("aql",
    { "scans with filter, order, limit and path", test_scan },
    { "bind parameters, missing, surplus and of a wrong type", test_binds },
    { "attributes by name and by bind parameter", test_paths },
    { "counts, removals and values", test_others },
    { "refuses what is no AQL and what it does not do", test_refusals })
