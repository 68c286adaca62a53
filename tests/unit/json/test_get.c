/* test_get.c - tests of checking, parsing and reading control-plane JSON */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "json/get.h"
#include "unit.h"

static struct json_object *
parse(const char *text)
{
	struct json_object	*o = NULL;
	struct err_msg		 em = { "" };

	if (json_parse(text, strlen(text), &o, &em) != 0) {
		fprintf(stderr, "%s: %s\n", text, em.text);
		CU_FAIL_FATAL("JSON of a test does not parse");
	}
	return o;
}

static void
test_accepts(void)
{
	static const char *const t[] = {
		"{}", "[]", "null", "true", "0", "-1", "18446744073709551615",
		"-9223372036854775808", "\"a\"", "[1.5,2]",
		"{\"a\":{\"b\":[null,{\"c\":\"\xc3\xa4/\"}]}}",
	};
	struct json_object	*o;
	char			*text;
	size_t			 i;

	for (i = 0; i < NITEMS(t); i++) {
		o = parse(t[i]);
		text = json_to_text(o);
		CU_ASSERT_STRING_EQUAL(text, t[i]);
		free(text);
		json_object_put(o);
	}
	json_object_put(parse(" \n[ 1 ]\t\r\n"));
}

/* Most of these pass json-c's own strict mode. */
static void
test_refuses(void)
{
	static const char *const t[] = {
		"", " ", "1.", "-", "01", "-01", ".5", "+1", "1e", "1e+",
		"NaN", "Infinity", "-Infinity", "True", "nul", "nullx",
		"{\"a\":1,}", "[1,]", "[1 2]", "{a:1}", "{'a':1}", "'a'",
		"/*x*/1", "\"\t\"", "\"\\x\"", "\"\\ud800\"", "\"a",
		"\"\xc0\x80\"", "\"\xed\xa0\x80\"", "{}x", "1 1",
		"18446744073709551616", "-9223372036854775809",
		"1e999", "-1E+400",
		"{\"a\\u0000b\":1}", "{\"a\" 1}", "{\"a\":1 \"b\":2}",
	};
	struct json_object	*o = NULL;
	struct err_msg		 em;
	size_t			 i;

	for (i = 0; i < NITEMS(t); i++) {
		em.text[0] = '\0';
		CU_ASSERT_EQUAL(json_parse(t[i], strlen(t[i]), &o, &em),
		    ERR_FORMAT);
		CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "at byte"));
		CU_ASSERT_PTR_NULL(o);
	}
	CU_ASSERT_EQUAL(json_parse("[1]\0", 4, &o, NULL), ERR_FORMAT);
}

static void
test_depth(void)
{
	char			 text[2 * JSON_DEPTH_MAX];
	struct json_object	*o = NULL;
	size_t			 n;

	for (n = JSON_DEPTH_MAX - 1; n <= JSON_DEPTH_MAX; n++) {
		memset(text, '[', n);
		memset(text + n, ']', n);
		CU_ASSERT_EQUAL(json_parse(text, 2 * n, &o, NULL),
		    n < JSON_DEPTH_MAX ? 0 : ERR_TOO_BIG);
	}
	json_object_put(o);
}

static void
test_paths(void)
{
	struct json_object	*o = parse("{\"Plan\":{\"Version\":\"x\","
	    "\"list\":[{\"id\":\"12345\"},7],\"n\":-3,\"u\":1844674407370955"
	    "1615,\"d\":1.5,\"b\":true,\"nil\":null,\"whole\":1e3}}");
	struct json_object	*v;
	struct err_msg		 em;
	const char		*s;
	int64_t			 i;
	uint64_t		 u;
	double			 d;
	bool			 b;

	CU_ASSERT_EQUAL(json_need_int(o, "Plan.Version", 0, 9, &i, &em),
	    ERR_FORMAT);
	CU_ASSERT_STRING_EQUAL(em.text, "Plan.Version is not a number");
	CU_ASSERT_EQUAL(json_need_uint(o, "Plan.Nix", &u, &em),
	    ERR_NOT_FOUND);
	CU_ASSERT_STRING_EQUAL(em.text, "Plan.Nix is missing");
	CU_ASSERT_EQUAL(json_need_string(o, "Plan.nil", &s, &em),
	    ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(json_need_string(o, "Plan.Version", &s, &em), 0);
	CU_ASSERT_STRING_EQUAL(s, "x");
	CU_ASSERT_EQUAL(json_need_id(o, "Plan.list.0.id", &u, &em), 0);
	CU_ASSERT_EQUAL(u, 12345);
	CU_ASSERT_EQUAL(json_need_id(o, "Plan.list.1", &u, &em), 0);
	CU_ASSERT_EQUAL(u, 7);
	CU_ASSERT_EQUAL(json_need_id(o, "Plan.Version", &u, &em), ERR_FORMAT);
	CU_ASSERT_EQUAL(json_need_int(o, "Plan.n", -5, 5, &i, &em), 0);
	CU_ASSERT_EQUAL(i, -3);
	CU_ASSERT_EQUAL(json_need_int(o, "Plan.n", 0, 5, &i, &em),
	    ERR_RANGE);
	CU_ASSERT_STRING_EQUAL(em.text, "Plan.n is -3, not from 0 to 5");
	CU_ASSERT_EQUAL(json_need_uint(o, "Plan.n", &u, &em), ERR_RANGE);
	CU_ASSERT_EQUAL(json_need_uint(o, "Plan.u", &u, &em), 0);
	CU_ASSERT_EQUAL(u, UINT64_MAX);
	CU_ASSERT_EQUAL(json_need_int(o, "Plan.u", INT64_MIN, INT64_MAX, &i,
	    &em), ERR_RANGE);
	CU_ASSERT_EQUAL(json_need_int(o, "Plan.d", 0, 9, &i, &em),
	    ERR_FORMAT);
	CU_ASSERT_EQUAL(json_need_int(o, "Plan.whole", 0, 9999, &i, &em), 0);
	CU_ASSERT_EQUAL(i, 1000);
	CU_ASSERT_EQUAL(json_need_double(o, "Plan.d", &d, &em), 0);
	CU_ASSERT_EQUAL(d, 1.5);
	CU_ASSERT_EQUAL(json_need_bool(o, "Plan.b", &b, &em), 0);
	CU_ASSERT_TRUE(b);
	CU_ASSERT_EQUAL(json_need_object(o, "Plan", &v, &em), 0);
	CU_ASSERT_EQUAL(json_need_object(o, "Plan.list", &v, &em),
	    ERR_FORMAT);
	CU_ASSERT_STRING_EQUAL(em.text, "Plan.list is not an object");
	CU_ASSERT_EQUAL(json_need_array(o, "Plan.list", &v, &em), 0);
	CU_ASSERT_PTR_EQUAL(json_at(o, ""), o);
	CU_ASSERT_PTR_NULL(json_at(o, "Plan.list.2"));
	CU_ASSERT_PTR_NULL(json_at(o, "Plan.list.x"));
	CU_ASSERT_PTR_NULL(json_at(o, "Plan.b.c"));
	CU_ASSERT_PTR_NULL(json_at(NULL, "a"));
	json_object_put(o);
}

static void
test_optional(void)
{
	struct json_object	*o = parse("{\"a\":1,\"s\":\"t\",\"n\":null}");
	struct err_msg		 em;
	int64_t			 i = 42;
	const char		*s = "kept";
	bool			 b = true;

	CU_ASSERT_EQUAL(json_want_int(o, "x", 0, 9, &i, &em), 0);
	CU_ASSERT_EQUAL(i, 42);
	CU_ASSERT_EQUAL(json_want_int(o, "n", 0, 9, &i, &em), 0);
	CU_ASSERT_EQUAL(i, 42);
	CU_ASSERT_EQUAL(json_want_int(o, "a", 0, 9, &i, &em), 0);
	CU_ASSERT_EQUAL(i, 1);
	CU_ASSERT_EQUAL(json_want_string(o, "a", &s, &em), ERR_FORMAT);
	CU_ASSERT_STRING_EQUAL(s, "kept");
	CU_ASSERT_EQUAL(json_want_bool(o, "b", &b, &em), 0);
	CU_ASSERT_TRUE(b);
	CU_ASSERT_STRING_EQUAL(json_string_or(o, "s", "u"), "t");
	CU_ASSERT_STRING_EQUAL(json_string_or(o, "a", "u"), "u");
	CU_ASSERT_EQUAL(json_int_or(o, "s", 7), 7);
	CU_ASSERT_FALSE(json_bool_or(o, "s", false));
	json_object_put(o);
}

static void
test_equal(void)
{
	static const struct {
		const char	*a, *b;
		bool		 equal;
	} t[] = {
		{ "1", "1.0", true }, { "1", "2", false },
		{ "18446744073709551615", "9223372036854775807", false },
		{ "{\"a\":1,\"b\":[2]}", "{\"b\":[2.0],\"a\":1}", true },
		{ "{\"a\":1}", "{\"a\":1,\"b\":2}", false },
		{ "{\"a\":1}", "{\"b\":1}", false },
		{ "[1,2]", "[2,1]", false }, { "[1]", "[1,1]", false },
		{ "null", "null", true }, { "null", "false", false },
		{ "{\"a\":null}", "{\"a\":null}", true },
		{ "{\"a\":null}", "{\"b\":null}", false },
		{ "\"1\"", "1", false }, { "\"a\"", "\"a\"", true },
		{ "0", "false", false },
	};
	struct json_object	*a, *b, *c;
	size_t			 i;

	for (i = 0; i < NITEMS(t); i++) {
		a = parse(t[i].a);
		b = parse(t[i].b);
		CU_ASSERT_EQUAL(json_equal(a, b), t[i].equal);
		CU_ASSERT_EQUAL(json_equal(b, a), t[i].equal);
		c = json_copy(a);
		CU_ASSERT_TRUE(json_equal(a, c));
		CU_ASSERT_TRUE(a == NULL || a != c);
		json_object_put(a);
		json_object_put(b);
		json_object_put(c);
	}
}

static void
test_set(void)
{
	struct json_object	*o = json_object_new_object();
	struct buf		 out = BUF_INIT;

	json_set_string(o, "s", "a/b");
	json_set_int(o, "i", -1);
	json_set_uint(o, "u", UINT64_MAX);
	json_set_bool(o, "b", true);
	json_set_int(o, "i", 2);
	json_append(&out, o);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&out), "{\"s\":\"a/b\",\"i\":2,"
	    "\"u\":18446744073709551615,\"b\":true}");
	buf_free(&out);
	json_object_put(o);
}

UNIT_MAIN("json-get",
    { "JSON is taken and printed", test_accepts },
    { "what is no JSON is refused, with its place", test_refuses },
    { "nesting has a limit", test_depth },
    { "errors name the path", test_paths },
    { "absent values keep their default", test_optional },
    { "equality is by value, copies are deep", test_equal },
    { "members are set and overwritten", test_set })
