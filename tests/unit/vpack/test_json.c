/* test_json.c - tests of JSON to VelocyPack and back */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "util.h"

static void
test_accepts(void)
{
	/* text, and what is printed for it when that differs */
	static const char *const t[][2] = {
		{ "{}", NULL }, { "[]", NULL }, { "null", NULL },
		{ "true", NULL }, { "false", NULL },
		{ " [ 1 , 2 ] ", "[1,2]" },
		{ "\t{\n\"a\" :\r1 }\n", "{\"a\":1}" },
		{ "{\"b\":1,\"a\":2}", NULL },
		{ "\xef\xbb\xbf{}", "{}" },
		{ "\"\\u0041\\n\\/\\\"\\\\\"", "\"A\\n/\\\"\\\\\"" },
		{ "\"\\u00e4\\u20ac\\ud83d\\ude00\"",
		  "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"" },
		{ "\"\\u0000\\u001f\\b\\f\\r\\t\x7f\"",
		  "\"\\u0000\\u001F\\b\\f\\r\\t\x7f\"" },
		{ "-0", "0" },			/* as arangod has it */
		{ "-0.0", "-0" },
		{ "1.0", "1" },			/* a double all the same */
		{ "0.1", NULL }, { "123.456", NULL }, { "1e3", "1000" },
		{ "1E+2", "100" }, { "1e-7", NULL }, { "1e7", "10000000" },
		{ "1e8", "1e+8" }, { "1e21", "1e+21" },
		{ "1.7976931348623157e308", "1.7976931348623157e+308" },
		{ "5e-324", NULL }, { "1e-400", "0" },
		{ "18446744073709551615", NULL },
		{ "18446744073709551616", "18446744073709552000" },
		{ "-9223372036854775808", NULL },
		{ "-9223372036854775809", "-9223372036854776000" },
		{ "1152921504606846976.0", "1152921504606847000" },
		{ "[[[[[]]]],{\"\":{\"\":[{}]}}]", NULL },
	};
	size_t	 i;

	for (i = 0; i < NITEMS(t); i++)
		CU_ASSERT_STRING_EQUAL(json(vp(t[i][0]), 0),
		    t[i][1] != NULL ? t[i][1] : t[i][0]);
	CU_ASSERT_EQUAL(vp_type(vp("1.0")), VP_DOUBLE);
	CU_ASSERT_EQUAL(vp_type(vp("10")), VP_UINT);
	CU_ASSERT_EQUAL(vp_type(vp("-10")), VP_INT);
	CU_ASSERT_EQUAL(vp_type(vp("-0")), VP_SMALLINT);
}

static void
test_refuses(void)
{
	static const struct {
		const char	*json;
		int		 err;
		size_t		 at;
		const char	*words;	/* arangod's */
	} t[] = {
		{ "", ERR_FORMAT, 0, "Expecting item" },
		{ " ", ERR_FORMAT, 1, "Expecting item" },
		{ "{ 1: \"World\" }", ERR_FORMAT, 2,
		  "Expecting '\"' or '}'" },
		{ "{", ERR_FORMAT, 1, "Expecting item or '}'" },
		{ "[", ERR_FORMAT, 1, "Expecting item or ']'" },
		{ "[1", ERR_FORMAT, 2, "Expecting ',' or ']'" },
		{ "[1 2]", ERR_FORMAT, 3, "Expecting ',' or ']'" },
		{ "[1,]", ERR_FORMAT, 3, "Expecting digit" },
		{ "{\"a\":1,}", ERR_FORMAT, 7, "Expecting '\"' or '}'" },
		{ "{\"a\" 1}", ERR_FORMAT, 5, "Expecting ':'" },
		{ "{\"a\":}", ERR_FORMAT, 5, "Expecting digit" },
		{ "{\"a\":1", ERR_FORMAT, 6, "Expecting ',' or '}'" },
		{ "{} x", ERR_FORMAT, 3, "Expecting EOF" },
		{ "01", ERR_FORMAT, 1, "Expecting EOF" },
		{ "-", ERR_FORMAT, 1, "Incomplete number" },
		{ "1.", ERR_FORMAT, 2, "Incomplete number" },
		{ "1.x", ERR_FORMAT, 2, "Incomplete number" },
		{ "1e", ERR_FORMAT, 2, "Incomplete number" },
		{ "1e+", ERR_FORMAT, 3, "Incomplete number" },
		{ ".5", ERR_FORMAT, 0, "Expecting digit" },
		{ "+1", ERR_FORMAT, 0, "Expecting digit" },
		{ "NaN", ERR_FORMAT, 0, "Expecting digit" },
		{ "nul", ERR_FORMAT, 3, "Expecting 'null'" },
		{ "trux", ERR_FORMAT, 3, "Expecting 'true'" },
		{ "1e400", ERR_RANGE, 5, "Number out of range" },
		{ "\"a", ERR_FORMAT, 2, "Unfinished string" },
		{ "\"\\", ERR_FORMAT, 2, "Invalid escape sequence" },
		{ "\"\\x\"", ERR_FORMAT, 2, "Invalid escape sequence" },
		{ "\"\t\"", ERR_FORMAT, 2, "Unexpected control character" },
		{ "\"\xff\"", ERR_FORMAT, 1, "Invalid UTF-8 sequence" },
		{ "\"\xc0\x80\"", ERR_FORMAT, 1, "Invalid UTF-8 sequence" },
		{ "\"\xed\xa0\x80\"", ERR_FORMAT, 1,
		  "Invalid UTF-8 sequence" },
		{ "\"\xe2\x82\"", ERR_FORMAT, 1, "Invalid UTF-8 sequence" },
		{ "\"\\ud800\"", ERR_FORMAT, 7, "Unexpected \\uXXXX escape "
		  "sequence (high surrogate without low surrogate)" },
		{ "\"\\udc00\"", ERR_FORMAT, 7, "Unexpected \\uXXXX escape "
		  "sequence (low surrogate without high surrogate)" },
		{ "\"\\u12g4\"", ERR_FORMAT, 5,
		  "Illegal \\uXXXX escape sequence character" },
		{ "{\"a\":1,\"b\":2,\"a\":3}", ERR_EXISTS, 19,
		  "Duplicate attribute name" },
		{ "{\"a\":1,\"\\u0061\":3}", ERR_EXISTS, 18,
		  "Duplicate attribute name" },
	};
	struct vp_builder	 b;
	struct buf		 out = BUF_INIT;
	struct err_msg		 em;
	size_t			 i;

	vpb_init(&b, &out);
	vpb_open_array(&b);
	for (i = 0; i < NITEMS(t); i++) {
		em.text[0] = '\0';
		CU_ASSERT_EQUAL(vp_from_json(&b, t[i].json,
		    strlen(t[i].json), &em), t[i].err);
		CU_ASSERT_STRING_EQUAL(em.text, t[i].words);
		if (b.err_at != t[i].at)
			fprintf(stderr, "%s: at %zu\n", t[i].json, b.err_at);
		CU_ASSERT_EQUAL(b.err_at, t[i].at);
	}
	/* and none of it left a trace */
	vpb_close(&b);
	CU_ASSERT_EQUAL(vpb_end(&b), 0);
	CU_ASSERT_EQUAL(out.len, 1);
	vpb_free(&b);
	buf_free(&out);
}

static void
test_depth(void)
{
	char			 text[2 * VP_DEPTH_MAX + 1];
	struct vp_builder	 b;
	struct buf		 out = BUF_INIT;
	size_t			 n;

	vpb_init(&b, &out);
	for (n = VP_DEPTH_MAX - 1; n <= VP_DEPTH_MAX; n++) {
		memset(text, '[', n);
		memset(text + n, ']', n);
		CU_ASSERT_EQUAL(vp_from_json(&b, text, 2 * n, NULL),
		    n < VP_DEPTH_MAX ? 0 : ERR_TOO_BIG);
	}
	CU_ASSERT_EQUAL(vpb_end(&b), 0);
	CU_ASSERT_EQUAL(vp_validate(out.data, out.len, NULL), 0);
	vpb_free(&b);
	buf_free(&out);
}

static void
test_first_of_many(void)
{
	static const char	 text[] = " {\"a\":1}\n[2] 3 \n";
	struct vp_builder	 b;
	struct buf		 out = BUF_INIT;
	size_t			 at = 0, used, n = 0;
	int			 r;

	vpb_init(&b, &out);
	vpb_open_array(&b);
	while ((r = vp_from_json_first(&b, text + at, strlen(text) - at,
	    &used, NULL)) == 0) {
		at += used;
		n++;
	}
	vpb_close(&b);
	CU_ASSERT_EQUAL(r, ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(n, 3);
	CU_ASSERT_EQUAL(vpb_end(&b), 0);
	CU_ASSERT_STRING_EQUAL(json(out.data, 0), "[{\"a\":1},[2],3]");
	vpb_free(&b);
	buf_free(&out);
}

/* Each length crosses other borders of 16 bytes and of short strings. */
static void
test_string_lengths(void)
{
	char		 text[900];
	static const char *const special[] = { "", "\\n", "\xc3\xa4",
			    "\\u00E4", "\\\"" };
	size_t		 n, k, at;

	for (n = 0; n < 300; n++) {
		for (k = 0; k < NITEMS(special); k++) {
			at = 0;
			text[at++] = '"';
			memset(text + at, 'x', n);
			at += n;
			memcpy(text + at, special[k], strlen(special[k]));
			at += strlen(special[k]);
			memset(text + at, 'y', n % 7);
			at += n % 7;
			strcpy(text + at, "\"");
			CU_ASSERT_STRING_EQUAL(json(vp(text), k == 3 ?
			    VP_JSON_ESCAPE_UNICODE : 0), text);
		}
	}
}

static void
test_doubles_by_version(void)
{
	CU_ASSERT_STRING_EQUAL(json(vp("[1152921504606846976.0,1.5]"), 0),
	    "[1152921504606847000,1.5]");
	CU_ASSERT_STRING_EQUAL(json(vp("[1152921504606846976.0,"
	    "-9007199254740992.0,9007199254740991.0,18446744073709551616.0]"),
	    VP_JSON_EXACT_DOUBLES), "[1152921504606846976.0,"
	    "-9007199254740992.0,9007199254740991,18446744073709552000]");
}

/* Every double comes back as itself. */
static void
test_doubles_round_trip(void)
{
	uint64_t	 x = 88172645463325252ULL;
	char		 text[VP_DOUBLE_TEXT_MAX + 1];
	size_t		 n, longest = 0, bad = 0;
	double		 d;
	int		 i;

	for (i = 0; i < 200000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(&d, &x, 8);
		if (i % 3 == 0)
			d = (double)(x >> 12) / 1000;
		if (!isfinite(d))
			continue;
		n = vp_double_to_text(text, d, 0);
		text[n] = '\0';
		longest = MAX(longest, n);
		if (strtod(text, NULL) != d)
			bad++;
	}
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT_TRUE(longest <= 25);
}

static void
test_unsupported(void)
{
	static const uint8_t	 date[] = { 0x1c, 0, 0, 0, 0, 0, 0, 0, 0 };
	struct vp_builder	 b;
	struct buf		 out = BUF_INIT;

	vpb_init(&b, &out);
	vpb_open_array(&b);
	vpb_double(&b, NAN);
	vpb_double(&b, -INFINITY);
	vpb_slice(&b, date);
	vpb_close(&b);
	CU_ASSERT_EQUAL(vpb_end(&b), 0);
	CU_ASSERT_STRING_EQUAL(json(out.data, 0), "[null,null,null]");
	CU_ASSERT_STRING_EQUAL(json(out.data, VP_JSON_NAME_UNSUPPORTED),
	    "[\"(non-representable type double)\","
	    "\"(non-representable type double)\","
	    "\"(non-representable type utc-date)\"]");
	vpb_free(&b);
	buf_free(&out);
}

static void
test_flags(void)
{
	const char	*t = "{\"b\":\"\xc3\xa4/\",\"a\":{\"d\":1,\"c\":2}}";

	CU_ASSERT_STRING_EQUAL(json(vp(t), VP_JSON_SORTED),
	    "{\"a\":{\"c\":2,\"d\":1},\"b\":\"\xc3\xa4/\"}");
	CU_ASSERT_STRING_EQUAL(json(vp(t), VP_JSON_ESCAPE_UNICODE),
	    "{\"b\":\"\\u00E4/\",\"a\":{\"d\":1,\"c\":2}}");
	CU_ASSERT_STRING_EQUAL(json(vp("\"\xf0\x9f\x98\x80\""),
	    VP_JSON_ESCAPE_UNICODE), "\"\\uD83D\\uDE00\"");
}

UNIT_MAIN("vpack-json",
    { "JSON is taken and printed as arangod does", test_accepts },
    { "what is no JSON is refused with arangod's words", test_refuses },
    { "nesting has a limit", test_depth },
    { "values follow one another", test_first_of_many },
    { "strings of every length survive", test_string_lengths },
    { "large doubles are printed by version", test_doubles_by_version },
    { "doubles read back as themselves", test_doubles_round_trip },
    { "what JSON does not have becomes null or a text", test_unsupported },
    { "order and escapes on demand", test_flags })
