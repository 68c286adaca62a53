/* test_fold.c - tests of folding: lines in, bodies out */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arango/errors.h"
#include "base/err.h"
#include "base/map.h"
#include "base/random.h"
#include "json/get.h"
#include "sync/fold.h"
#include "story.h"
#include "unit.h"

static const struct {
	const char	*what, *story, *out;
} stories[] = {
	{ "nothing", "", "" },
	{ "one insert", "i a 1 10",
	    "+[{\"_key\":\"a\",\"_rev\":\"1\",\"v\":10}]" },
	{ "the last of two", "i a 1 10;i a 2 11",
	    "+[{\"_key\":\"a\",\"_rev\":\"2\",\"v\":11}]" },
	{ "the later one, whatever its revision (R10)", "i a 9 10;i a 2 11",
	    "+[{\"_key\":\"a\",\"_rev\":\"2\",\"v\":11}]" },
	{ "removed at the end", "i a 1 10;d a", "-[\"a\"]" },
	{ "removed and made again: both (R11)", "d a;i a 1 10",
	    "-[\"a\"]+[{\"_key\":\"a\",\"_rev\":\"1\",\"v\":10}]" },
	{ "another content under one revision: both (R11)",
	    "i a 1 10;i a 1 11",
	    "-[\"a\"]+[{\"_key\":\"a\",\"_rev\":\"1\",\"v\":11}]" },
	{ "the same twice", "i a 1 10;i a 1 10",
	    "+[{\"_key\":\"a\",\"_rev\":\"1\",\"v\":10}]" },
	{ "removals first, in order of the last lines",
	    "i a 1 1;i b 2 2;d c;i a 3 3;d b",
	    "-[\"c\",\"b\"]+[{\"_key\":\"a\",\"_rev\":\"3\",\"v\":3}]" },
	{ "keys that differ only as bytes", "i a 1 1;i A 2 2;i aa 3 3",
	    "+[{\"_key\":\"a\",\"_rev\":\"1\",\"v\":1},"
	    "{\"_key\":\"A\",\"_rev\":\"2\",\"v\":2},"
	    "{\"_key\":\"aa\",\"_rev\":\"3\",\"v\":3}]" },
	{ "escapes in keys name the same key",
	    "i \\u0061 1 1;i a 2 2;d \\u0062;d b;i c\\/d 3 3;d c/d",
	    "-[\"b\",\"c/d\"]+[{\"_key\":\"a\",\"_rev\":\"2\",\"v\":2}]" },
	{ "a key that needs escapes is written with them",
	    "d \\u0001\\\"x", "-[\"\\u0001\\\"x\"]" },
	{ "a committed transaction", "b 7;I 7 a 1 1;D 7 b;c 7",
	    "-[\"b\"]+[{\"_key\":\"a\",\"_rev\":\"1\",\"v\":1}]" },
	{ "an aborted one gives back what was before",
	    "i a 1 1;i z 1 1;b 7;I 7 a 2 2;D 7 z;I 7 n 3 3;a 7",
	    "+[{\"_key\":\"a\",\"_rev\":\"1\",\"v\":1},"
	    "{\"_key\":\"z\",\"_rev\":\"1\",\"v\":1}]" },
	{ "the same tid commits, then aborts",
	    "b 7;I 7 a 1 1;c 7;b 7;I 7 a 2 2;a 7",
	    "+[{\"_key\":\"a\",\"_rev\":\"1\",\"v\":1}]" },
	{ "one without its begin aborts", "i a 1 1;I 7 a 2 2;a 7",
	    "+[{\"_key\":\"a\",\"_rev\":\"1\",\"v\":1}]" },
	{ "a later one is kept when the one before aborts",
	    "b 7;I 7 a 2 2;i a 3 3;a 7",
	    "+[{\"_key\":\"a\",\"_rev\":\"3\",\"v\":3}]" },
	{ "only an aborted removal: no removal before the upsert",
	    "b 7;D 7 a;a 7;i a 3 3",
	    "+[{\"_key\":\"a\",\"_rev\":\"3\",\"v\":3}]" },
	{ "one without its end counts: only committed ones are logged",
	    "b 7;I 7 a 2 2", "+[{\"_key\":\"a\",\"_rev\":\"2\",\"v\":2}]" },
	{ "members of markers inside of data mean nothing (R6)",
	    "{\"data\":{\"type\":2302,\"tick\":\"9\",\"_rev\":\"1\","
	    "\"_key\":\"a\"},\"type\":2300,\"tick\":\"5\"}\n",
	    "+[{\"type\":2302,\"tick\":\"9\",\"_rev\":\"1\",\"_key\":\"a\"}]" },
	{ "indexes and properties say nothing",
	    "{\"tick\":\"1\",\"type\":2100,\"cuid\":\"c1/s2\",\"data\":{}}\n",
	    "" }
};

static void
tell_stories(const struct fold_opts *o)
{
	struct fold	*f = fold_new(o);
	struct buf	 lines = BUF_INIT, out = BUF_INIT;
	size_t		 i, used;

	for (i = 0; i < NITEMS(stories); i++) {
		buf_reset(&lines);
		story_lines(&lines, stories[i].story);
		fold_reset(f);
		if (fold_lines(f, (char *)lines.data, lines.len, &used, NULL)
		    != FOLD_TOOK || used != lines.len)
			CU_FAIL(stories[i].what);
		drain(f, &out);
		if (strcmp(buf_cstr(&out), stories[i].out) != 0) {
			printf("# %s:\n# got  %s\n# want %s\n",
			    stories[i].what, (char *)out.data, stories[i].out);
			CU_FAIL("another output");
		}
	}
	buf_free(&lines);
	buf_free(&out);
	fold_free(&f);
}

static void
test_stories(void)
{
	struct fold_opts	 o = FOLD_OPTS_INIT;

	tell_stories(NULL);
	o.unwritten = 1;
	for (piece_bytes = 1; piece_bytes < 120; piece_bytes++)
		tell_stories(&o);
	o.unwritten = 50;
	tell_stories(&o);
}

static void
test_barriers(void)
{
	struct fold	*f = fold_new(NULL);
	struct buf	 lines = BUF_INIT, out = BUF_INIT;
	size_t		 used, more;

	story_lines(&lines, "i a 1 1;t;i b 2 2");
	CU_ASSERT_EQUAL(fold_lines(f, (char *)lines.data, lines.len, &used,
	    NULL), FOLD_TRUNCATE);
	CU_ASSERT_EQUAL(fold_lines(f, (char *)lines.data + used,
	    lines.len - used, &more, NULL), FOLD_FULL);
	CU_ASSERT_EQUAL(more, 0);
	CU_ASSERT_EQUAL(fold_counts(f)->last_tick, 2);
	drain(f, &out);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&out),
	    "+[{\"_key\":\"a\",\"_rev\":\"1\",\"v\":1}]");
	fold_reset(f);
	CU_ASSERT_EQUAL(fold_lines(f, (char *)lines.data + used,
	    lines.len - used, &more, NULL), FOLD_TOOK);
	CU_ASSERT_EQUAL(used + more, lines.len);
	drain(f, &out);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&out),
	    "+[{\"_key\":\"b\",\"_rev\":\"2\",\"v\":2}]");

	/* what is not above the floor is no barrier either */
	fold_reset(f);
	fold_set_floor(f, 2);
	CU_ASSERT_EQUAL(fold_lines(f, (char *)lines.data, lines.len, &used,
	    NULL), FOLD_TOOK);
	CU_ASSERT_EQUAL(fold_counts(f)->skipped, 2);
	CU_ASSERT_EQUAL(fold_counts(f)->operations, 1);

	/* the end of a shard's log */
	fold_reset(f);
	CU_ASSERT_EQUAL(fold_line(f, "{\"tick\":\"9\",\"type\":2001,\"cuid\":"
	    "\"c1/s2\"}", 39, NULL), FOLD_ENDED);
	buf_free(&lines);
	buf_free(&out);
	fold_free(&f);
}

static void
test_bad_lines(void)
{
	static const char *const bad[] = {
		"x", "{}", "[]", "{\"tick\":\"1\"}",
		"{\"tick\":1.5,\"type\":2300}",
		"{\"tick\":\"1\",\"type\":2300}",
		"{\"tick\":\"1\",\"type\":2300,\"data\":7}",
		"{\"tick\":\"1\",\"type\":2300,\"data\":{}}",
		"{\"tick\":\"1\",\"type\":2300,\"data\":{\"_key\":7}}",
		"{\"tick\":\"1\",\"type\":2302,\"data\":{\"_key\":\"\\q\"}}",
		"{\"tick\":\"1\",\"type\":2302,\"data\":{\"_key\":\"\xff\\n\""
		    "}}",
		"{\"tick\":\"99999999999999999999\",\"type\":2300}",
		"{\"tick\":\"1\",\"type\":2300,\"tid\":{},\"data\":{\"_key\":"
		    "\"a\"}}"
	};
	struct fold	*f = fold_new(NULL);
	struct err_msg	 m;
	size_t		 i;

	for (i = 0; i < NITEMS(bad); i++) {
		m.text[0] = '\0';
		if (fold_line(f, bad[i], strlen(bad[i]), &m) >= 0 ||
		    m.text[0] == '\0')
			CU_FAIL(bad[i]);
	}
	CU_ASSERT_EQUAL(fold_counts(f)->operations, 0);
	fold_free(&f);
}

static void
test_sizes(void)
{
	struct fold_opts	 o = FOLD_OPTS_INIT;
	struct fold		*f;
	struct fold_body	 body;
	struct fold_dead	 d;
	struct buf		 lines = BUF_INIT, b = BUF_INIT;
	size_t			 used, i, total = 0, bodies = 0, alone = 0;
	char			 big[2048];

	memset(big, '7', sizeof(big));
	o.max_body = 1000;
	o.alone = 800;
	o.max_doc = 2000;
	f = fold_new(&o);
	for (i = 0; i < 100; i++) {
		char	 step[64];

		snprintf(step, sizeof(step), "i key%zu %zu 1", i, i);
		story_line(&lines, step, (unsigned int)i);
		if (i == 50)
			buf_printf(&lines, "{\"tick\":\"50\",\"type\":2300,"
			    "\"data\":{\"_key\":\"big\",\"v\":%.900s}}\n"
			    "{\"tick\":\"50\",\"type\":2300,\"data\":"
			    "{\"_key\":\"huge\",\"_rev\":\"r\",\"v\":%.2000s}}"
			    "\n", big, big);
	}
	CU_ASSERT_EQUAL(fold_lines(f, (char *)lines.data, lines.len, &used,
	    NULL), FOLD_TOOK);
	while (fold_next(f, &b, &body) == FOLD_BODY) {
		bodies++;
		total += body.count;
		alone += body.alone;
		CU_ASSERT_TRUE(b.len <= o.max_body);
		CU_ASSERT_TRUE(!body.alone || body.count == 1);
		buf_reset(&b);
		fold_answered(f, &body);
	}
	CU_ASSERT_EQUAL(total, 101);
	CU_ASSERT_EQUAL(alone, 1);
	CU_ASSERT_TRUE(bodies >= 5);
	CU_ASSERT_EQUAL(fold_counts(f)->dead, 1);
	CU_ASSERT_EQUAL(fold_dead_at(f, 0, &d), 0);
	CU_ASSERT_EQUAL(d.num, 0);
	CU_ASSERT_EQUAL(d.key.len, 4);
	CU_ASSERT_EQUAL(memcmp(d.key.p, "huge", 4), 0);
	CU_ASSERT_EQUAL(fold_dead_at(f, 1, &d), ERR_NOT_FOUND);
	buf_free(&lines);
	buf_free(&b);
	fold_free(&f);
}

/* A batch is full by bytes, by lines, and not inside a transaction. */
static void
test_full(void)
{
	struct fold_opts	 o = FOLD_OPTS_INIT;
	struct fold		*f;
	struct buf		 lines = BUF_INIT;
	size_t			 used;

	o.max_ops = 3;
	f = fold_new(&o);
	story_lines(&lines, "i a 1 1;i b 1 1;i c 1 1;i d 1 1");
	CU_ASSERT_EQUAL(fold_lines(f, (char *)lines.data, lines.len, &used,
	    NULL), FOLD_FULL);
	CU_ASSERT_EQUAL(fold_counts(f)->operations, 3);
	CU_ASSERT_TRUE(used < lines.len && lines.data[used] == '{');
	fold_reset(f);
	buf_reset(&lines);
	story_lines(&lines, "i a 1 1;b 7;I 7 b 1 1;I 7 c 1 1;I 7 d 1 1;c 7;"
	    "i e 1 1");
	CU_ASSERT_EQUAL(fold_lines(f, (char *)lines.data, lines.len, &used,
	    NULL), FOLD_FULL);
	CU_ASSERT_EQUAL(fold_counts(f)->operations, 4);
	buf_free(&lines);
	fold_free(&f);
}

static void
test_strip(void)
{
	struct fold_opts	 o = FOLD_OPTS_INIT;
	struct fold		*f;
	struct buf		 out = BUF_INIT;
	static const char	 line[] = "{\"tick\":\"1\",\"type\":2300,"
	    "\"data\":{ \"_id\" : \"u/1\" ,\"_key\":\"1\",\"_rev\":\"r\","
	    "\"x\":{\"_rev\":1},\"_id2\":[]}}";

	o.strip_rev = true;
	f = fold_new(&o);
	CU_ASSERT_EQUAL(fold_line(f, line, strlen(line), NULL), FOLD_TOOK);
	drain(f, &out);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&out), "+[{\"_key\":\"1\","
	    "\"x\":{\"_rev\":1},\"_id2\":[]}]");
	buf_free(&out);
	fold_free(&f);
}

UNIT_MAIN("fold",
    { "stories of keys, revisions and transactions", test_stories },
    { "truncate and the end of a shard are barriers", test_barriers },
    { "lines that are none are refused", test_bad_lines },
    { "bodies are split, large documents go alone", test_sizes },
    { "a batch ends when it is full, not in a transaction", test_full },
    { "_id and _rev are left out when told", test_strip })
