/* test_scan.c - tests of the scanner for streams of JSON lines */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/scan.h"
#include "unit.h"

static int
collect(const char *line, size_t len, void *arg)
{
	struct buf	*b = arg;

	buf_append(b, line, len);
	buf_append_str(b, "|");
	return 0;
}

/* The same lines come out whatever the pieces. */
static void
test_pieces(void)
{
	static const char	 text[] = "{\"a\":1}\n\n"
				    "{\"b\":\"\\n\"}\r\n"
				    "third line, longer\nx\n";
	struct line_split	 ls;
	struct buf		 out = BUF_INIT;
	size_t			 step, at, n = sizeof(text) - 1;

	for (step = 1; step <= n; step++) {
		line_init(&ls, 100);
		buf_reset(&out);
		for (at = 0; at < n; at += step)
			CU_ASSERT_EQUAL(line_feed(&ls, text + at,
			    at + step > n ? n - at : step, collect, &out), 0);
		CU_ASSERT_EQUAL(line_end(&ls, false, collect, &out), 0);
		CU_ASSERT_STRING_EQUAL(buf_cstr(&out), "{\"a\":1}|"
		    "{\"b\":\"\\n\"}|third line, longer|x|");
		CU_ASSERT_EQUAL(ls.nlines, 4);
		line_free(&ls);
	}
	buf_free(&out);
}

static void
test_last_line(void)
{
	struct line_split	 ls;
	struct buf		 out = BUF_INIT;

	line_init(&ls, 100);
	CU_ASSERT_EQUAL(line_feed(&ls, "a\nb", 3, collect, &out), 0);
	CU_ASSERT_EQUAL(line_end(&ls, false, collect, &out), ERR_TRUNCATED);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&out), "a|");
	CU_ASSERT_EQUAL(line_feed(&ls, "c\nd", 3, collect, &out), 0);
	CU_ASSERT_EQUAL(line_end(&ls, true, collect, &out), 0);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&out), "a|c|d|");
	line_free(&ls);
	buf_free(&out);
}

static void
test_line_limit(void)
{
	struct line_split	 ls;
	struct buf		 out = BUF_INIT;
	char			 text[64];
	size_t			 n, step, at;
	int			 r;

	memset(text, 'x', sizeof(text));
	for (n = 9; n <= 11; n++) {
		for (step = 1; step < 14; step++) {
			line_init(&ls, 10);
			text[n] = '\n';
			for (at = r = 0; at <= n && r == 0; at += step)
				r = line_feed(&ls, text + at,
				    at + step > n + 1 ? n + 1 - at : step,
				    collect, &out);
			CU_ASSERT_EQUAL(r, n <= 10 ? 0 : ERR_TOO_BIG);
			line_free(&ls);
			text[n] = 'x';
		}
	}
	buf_free(&out);
}

static int
stop_at_two(const char *line, size_t len, void *arg)
{
	return ++*(int *)arg == 2 ? ERR_CANCELLED : 0;
}

static void
test_stop(void)
{
	struct line_split	 ls;
	int			 n = 0;

	line_init(&ls, 10);
	CU_ASSERT_EQUAL(line_feed(&ls, "a\nb\nc\n", 6, stop_at_two, &n),
	    ERR_CANCELLED);
	CU_ASSERT_EQUAL(n, 2);
	line_free(&ls);
}

static bool
span_is(const struct scan_span *s, const char *text)
{
	return s->p != NULL && s->len == strlen(text) &&
	    memcmp(s->p, text, s->len) == 0;
}

static int
marker(const char *line, struct scan_marker *m)
{
	return scan_marker(line, strlen(line), m);
}

static void
test_marker(void)
{
	struct scan_marker	 m;
	uint64_t		 v;

	CU_ASSERT_EQUAL(marker("{\"tick\":\"2103\",\"type\":2300,\"db\":"
	    "\"mydb\",\"cuid\":\"c10049/s10050\",\"tid\":\"0\",\"data\":{"
	    "\"_key\":\"a\",\"tick\":\"1\",\"type\":[1,{\"db\":\"x\"}]}}",
	    &m), 0);
	CU_ASSERT_EQUAL(scan_uint(&m.tick, &v), 0);
	CU_ASSERT_EQUAL(v, 2103);
	CU_ASSERT_EQUAL(scan_uint(&m.type, &v), 0);
	CU_ASSERT_EQUAL(v, 2300);
	CU_ASSERT_TRUE(scan_string_is(&m.db, "mydb"));
	CU_ASSERT_FALSE(scan_string_is(&m.db, "mydb2"));
	CU_ASSERT_TRUE(span_is(&m.cuid, "\"c10049/s10050\""));
	CU_ASSERT_TRUE(span_is(&m.data, "{\"_key\":\"a\",\"tick\":\"1\","
	    "\"type\":[1,{\"db\":\"x\"}]}"));
	/* data first, white space, brackets and quotes in strings */
	CU_ASSERT_EQUAL(marker(" { \"data\" : {\"x\":\"}]\\\"{\",\"tick\":"
	    "\"9\\\\\"} , \"tick\"\t:\"5\" } ", &m), 0);
	CU_ASSERT_TRUE(span_is(&m.data,
	    "{\"x\":\"}]\\\"{\",\"tick\":\"9\\\\\"}"));
	CU_ASSERT_TRUE(span_is(&m.tick, "\"5\""));
	CU_ASSERT_PTR_NULL(m.db.p);
	CU_ASSERT_EQUAL(marker("{}", &m), 0);
	CU_ASSERT_PTR_NULL(m.tick.p);
}

/* A glance is enough for what arangod prints, and for nothing else. */
static void
test_marker_front(void)
{
	static const char *const good[] = {
		("{\"tick\":\"2103\",\"type\":2300,\"db\":\"mydb\",\"cuid\":"
		"\"c1/s2\",\"tid\":\"0\",\"data\":{\"_key\":\"a}\",\"v\":{}}}"),
		"{\"tick\":\"2110\",\"type\":2200,\"tid\":\"5\",\"db\":\"d\"}",
		"{\"tick\":\"1\",\"type\":2004,\"db\":\"\",\"cuid\":\"c/s\"}",
	};
	static const char *const others[] = {
		"", "{", "{}", "{\"tick\":\"1\",\"type\":1 }",
		"{\"tick\":\"1\", \"type\":1}", "{\"tick\":\"\\u0031\"}",
		"{\"tick\":\"1\",\"tick\":\"1\",\"data\":{}}",
		"{\"tick\":\"1\",\"new\":1,\"data\":{}}",
		"{\"data\":{\"a\":{}},\"tick\":\"1\"}",
		"{\"tick\":1,\"data\":[]}", "{\"tick\":1,\"data\":{}",
		"{\"tick\":1,\"data\":}}", "{\"tick\":,\"type\":1}}",
		"{\"tick\":\"1,\"data\":{}}", "{\"tick\":1\"data\":{}}",
		"{\"tick\":-1,\"data\":{}}", "{\"tick\"",
	};
	struct scan_marker	 m, f;
	size_t			 i;

	for (i = 0; i < NITEMS(good); i++) {
		CU_ASSERT_TRUE(scan_marker_front(good[i], strlen(good[i]),
		    &f));
		CU_ASSERT_EQUAL(marker(good[i], &m), 0);
		CU_ASSERT_EQUAL(memcmp(&f, &m, sizeof(m)), 0);
	}
	for (i = 0; i < NITEMS(others); i++) {
		if (scan_marker_front(others[i], strlen(others[i]), &f))
			fprintf(stderr, "taken: %s\n", others[i]);
		CU_ASSERT_FALSE(scan_marker_front(others[i],
		    strlen(others[i]), &f));
	}
}

static void
test_bad_lines(void)
{
	static const char *const t[] = {
		"", "x", "[]", "{", "{\"tick\"", "{\"tick\":", "{\"tick\":}",
		"{\"tick\":\"1\"", "{\"tick\":\"1}", "{\"tick\":1,}",
		"{\"tick\":1}x", "{\"tick\":1}{}", "{\"tick\":1,\"tick\":2}",
		"{\"data\":{\"a\":1}", "{\"data\":[[]}", "{\"data\":{\"a\":\"",
		"{\"data\":\"\\", "{\"tick\" 1}", "{tick:1}", "{\"a\"::1}",
	};
	struct scan_marker	 m;
	size_t			 i;

	for (i = 0; i < NITEMS(t); i++) {
		if (marker(t[i], &m) != ERR_FORMAT)
			fprintf(stderr, "taken: %s\n", t[i]);
		CU_ASSERT_EQUAL(marker(t[i], &m), ERR_FORMAT);
	}
}

/*
 * Values are found at every offset to the blocks of 64 bytes, with runs of
 * backslashes across their borders.
 */
static void
test_block_borders(void)
{
	char		 text[512];
	size_t		 pad, slashes, n, end, bad = 0;
	const char	*got;

	for (pad = 0; pad < 130; pad++) {
		for (slashes = 0; slashes < 5; slashes++) {
			n = 0;
			text[n++] = '{';
			text[n++] = '"';
			memset(text + n, 'p', pad);
			n += pad;
			memset(text + n, '\\', 2 * slashes);
			n += 2 * slashes;
			memcpy(text + n, "\\\"}]\":[1,{}],\"b\":\"{[\"}", 22);
			n += 22;
			end = n;
			memcpy(text + n, ",]}]}\"", 6);
			n += 6;
			got = scan_value_end(text, text + n);
			if (got != text + end)
				bad++;
			if (scan_value_end(text, text + end) != text + end)
				bad++;
			if (scan_value_end(text, text + end - 1) != NULL)
				bad++;
		}
	}
	CU_ASSERT_EQUAL(bad, 0);
}

static void
test_strings(void)
{
	static const struct {
		const char	*text, *want;
	} t[] = {
		{ "\"\"", "" }, { "\"abc\"", "abc" },
		{ "\"a\\n\\u00e4\\ud83d\\ude00\\\"\"",
		  "a\n\xc3\xa4\xf0\x9f\x98\x80\"" },
		{ "\"\xc3\xa4\"", "\xc3\xa4" },
		{ "\"\xc3\"", NULL }, { "\"\\ud800\"", NULL },
		{ "\"\\\"", NULL }, { "\"\\q\"", NULL }, { "1", NULL },
		{ "\"", NULL },
	};
	struct buf	 out = BUF_INIT;
	struct scan_span s;
	size_t		 i;

	for (i = 0; i < NITEMS(t); i++) {
		s.p = t[i].text;
		s.len = strlen(t[i].text);
		buf_reset(&out);
		CU_ASSERT_EQUAL(scan_string(&s, &out),
		    t[i].want != NULL ? 0 : ERR_FORMAT);
		CU_ASSERT_STRING_EQUAL(buf_cstr(&out),
		    t[i].want != NULL ? t[i].want : "");
	}
	buf_free(&out);
}

static void
test_numbers(void)
{
	static const struct {
		const char	*text;
		int		 r;
		uint64_t	 v;
	} t[] = {
		{ "0", 0, 0 }, { "\"12\"", 0, 12 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", ERR_RANGE, 0 },
		{ "-1", ERR_FORMAT, 0 }, { "1.5", ERR_FORMAT, 0 },
		{ "\"\"", ERR_FORMAT, 0 }, { "\"", ERR_FORMAT, 0 },
		{ "null", ERR_FORMAT, 0 }, { "{}", ERR_FORMAT, 0 },
	};
	struct scan_span s;
	uint64_t	 v;
	size_t		 i;

	for (i = 0; i < NITEMS(t); i++) {
		s.p = t[i].text;
		s.len = strlen(t[i].text);
		v = 0;
		CU_ASSERT_EQUAL(scan_uint(&s, &v), t[i].r);
		CU_ASSERT_EQUAL(v, t[i].v);
	}
}

/* Random brackets, quotes and backslashes: both ways see one end. */
static void
test_both_ways(void)
{
	static const char	 bytes[] = "{}[]\"\"\\\\aaaaaaaaaaaaaaaaaaaa ";
	char			 text[700];
	uint32_t		 x = 1;
	size_t			 i, n, round, found = 0;

	for (round = 0; round < 20000; round++) {
		n = 1 + round % sizeof(text);
		for (i = 0; i < n; i++) {
			x = x * 1664525 + 1013904223;
			text[i] = bytes[(x >> 16) % (sizeof(bytes) - 1)];
		}
		text[0] = '{';
		CU_ASSERT_PTR_EQUAL_FATAL(scan_value_end(text, text + n),
		    scan_value_end_plain(text, text + n));
		found += scan_value_end(text, text + n) != NULL;
	}
	CU_ASSERT_TRUE(found > 1000);
}

static void
test_array(void)
{
	static const char *const bad[] = { "", "[", "[1", "[1,", "[,1]",
	    "[1 2]", "{}", "7" };
	static const char	 good[] = " [ 1 , \"a,b\" ,{\"x\":[2]}, null ] ";
	static const char *const want[] = { "1", "\"a,b\"", "{\"x\":[2]}",
	    "null" };
	struct scan_iter	 it;
	struct scan_span	 v;
	size_t			 i;
	int			 r;

	scan_object(&it, good, strlen(good));
	for (i = 0; (r = scan_array_next(&it, &v)) == 1; i++) {
		CU_ASSERT_TRUE_FATAL(i < NITEMS(want));
		CU_ASSERT_EQUAL(v.len, strlen(want[i]));
		CU_ASSERT_EQUAL(memcmp(v.p, want[i], v.len), 0);
	}
	CU_ASSERT_EQUAL(r, 0);
	CU_ASSERT_EQUAL(i, 4);
	scan_object(&it, "[]", 2);
	CU_ASSERT_EQUAL(scan_array_next(&it, &v), 0);
	for (i = 0; i < NITEMS(bad); i++) {
		scan_object(&it, bad[i], strlen(bad[i]));
		while ((r = scan_array_next(&it, &v)) == 1)
			;
		CU_ASSERT_EQUAL(r, ERR_FORMAT);
	}
}

UNIT_MAIN("json-scan",
    { "wide instructions and plain ones see the same", test_both_ways },
    { "values of an array", test_array },
    { "lines do not depend on the pieces they came in", test_pieces },
    { "a last line without end is partial", test_last_line },
    { "lines have a limit", test_line_limit },
    { "the receiver may stop", test_stop },
    { "only top-level members of a marker count", test_marker },
    { "what arangod prints is seen at a glance", test_marker_front },
    { "lines that are no marker", test_bad_lines },
    { "values end where they do at every offset", test_block_borders },
    { "spans are decoded as strings", test_strings },
    { "spans are read as numbers", test_numbers })
