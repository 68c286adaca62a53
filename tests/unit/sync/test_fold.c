/* test_fold.c - tests of folding: lines in, bodies out, answers back */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arango/errors.h"
#include "base/err.h"
#include "base/map.h"
#include "base/random.h"
#include "json/get.h"
#include "sync/fold.h"
#include "unit.h"

/* As arango_react() for the numbers used here. */
static enum arango_reaction
react(int num, int status)
{
	switch (num) {
	case 0:
	case AERR_DOCUMENT_NOT_FOUND:
		return ARANGO_SUCCESS;
	case AERR_UNIQUE_CONSTRAINT:
	case AERR_CONFLICT:
		return ARANGO_ELEMENT;
	case AERR_DOCUMENT_KEY_BAD:
	case AERR_DOCUMENT_TOO_LARGE:
		return ARANGO_REFUSED;
	case AERR_SHARD_LEADER_RESIGNED:
		return ARANGO_LEADER;
	case AERR_RESOURCE_LIMIT:
		return ARANGO_SPLIT;
	default:
		return status == 0 ? ARANGO_RETRY : ARANGO_FAIL;
	}
}

/* ---- what comes out ----------------------------------------------------- */

/*
 * Lines of a story: "i KEY REV VALUE", "d KEY", "t" truncate, "b TID",
 * "c TID", "a TID", "I TID KEY REV VALUE", "D TID KEY".
 */
static void
story_line(struct buf *b, const char *step, unsigned int tick)
{
	char	 op, k[64], r[64], v[64];
	unsigned int	 tid;

	op = step[0];
	if (op == 'i' && sscanf(step, "i %63s %63s %63s", k, r, v) == 3)
		buf_printf(b, "{\"tick\":\"%u\",\"type\":2300,\"db\":\"d\","
		    "\"cuid\":\"c1/s2\",\"tid\":\"0\",\"data\":{\"_key\":"
		    "\"%s\",\"_rev\":\"%s\",\"v\":%s}}\n", tick, k, r, v);
	else if (op == 'd' && sscanf(step, "d %63s", k) == 1)
		buf_printf(b, "{\"tick\":\"%u\",\"type\":2302,\"db\":\"d\","
		    "\"cuid\":\"c1/s2\",\"tid\":\"0\",\"data\":{\"_key\":"
		    "\"%s\",\"_rev\":\"x\"}}\n", tick, k);
	else if (op == 'I' &&
	    sscanf(step, "I %u %63s %63s %63s", &tid, k, r, v) == 4)
		buf_printf(b, "{\"tick\":\"%u\",\"type\":2300,\"db\":\"d\","
		    "\"cuid\":\"c1/s2\",\"tid\":\"%u\",\"data\":{\"_key\":"
		    "\"%s\",\"_rev\":\"%s\",\"v\":%s}}\n", tick, tid, k, r, v);
	else if (op == 'D' && sscanf(step, "D %u %63s", &tid, k) == 2)
		buf_printf(b, "{\"data\":{\"_key\":\"%s\"},\"tid\":\"%u\","
		    "\"cuid\":\"c1/s2\",\"type\":2302,\"tick\":\"%u\"}\n", k,
		    tid, tick);
	else if (strchr("bca", op) != NULL && sscanf(step + 1, "%u", &tid) == 1)
		buf_printf(b, "{\"tick\":\"%u\",\"type\":%d,\"tid\":\"%u\","
		    "\"db\":\"d\"}\n", tick,
		    op == 'b' ? 2200 : op == 'c' ? 2201 : 2202, tid);
	else if (op == 't')
		buf_printf(b, "{\"tick\":\"%u\",\"type\":2004,\"db\":\"d\","
		    "\"cuid\":\"c1/s2\"}\n", tick);
	else
		buf_append(b, step, strlen(step));
}

/* Steps with ";" between them; ticks 1, 2, ... */
static void
story_lines(struct buf *b, const char *story)
{
	char		*copy = xstrdup(story), *s, *save = NULL;
	unsigned int	 tick = 0;

	for (s = strtok_r(copy, ";", &save); s != NULL;
	    s = strtok_r(NULL, ";", &save))
		story_line(b, s, ++tick);
	free(copy);
}

/* A body that is read: broken off once, then in pieces of n bytes. */
static void
read_body(struct fold *f, struct fold_body *body, struct buf *out, size_t n)
{
	size_t	 at = 0, got;

	buf_reserve(out, body->unwritten + n);
	(void)fold_body_read(f, body, 0, out->data, n);
	do {
		got = fold_body_read(f, body, at, out->data + at, n);
		at += got;
	} while (got == n);
	CU_ASSERT_EQUAL(at, body->unwritten);
	CU_ASSERT_EQUAL(fold_body_read(f, body, at, out->data + at, n), 0);
	out->len = at;
}

/* How bodies are read, if they are. */
static size_t	 piece_bytes = 1;

/* All bodies, each with "-" or "+" in front, everything answered well. */
static void
drain(struct fold *f, struct buf *out)
{
	struct fold_body	 body;

	buf_reset(out);
	for (;;) {
		struct buf	 b = BUF_INIT;

		if (fold_next(f, &b, &body) != FOLD_BODY) {
			buf_free(&b);
			break;
		}
		if (body.unwritten != 0)
			read_body(f, &body, &b, piece_bytes);
		buf_append_str(out, body.kind == FOLD_REMOVALS ? "-" : "+");
		buf_append(out, b.data, b.len);
		buf_free(&b);
		fold_answered(f, &body);
	}
}

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

/* ---- answers ------------------------------------------------------------ */

static void
test_unsent(void)
{
	struct fold		*f = fold_new(NULL);
	struct fold_opts	 o = FOLD_OPTS_INIT;
	struct fold_body	 b1, b2, b3, again;
	struct buf		 lines = BUF_INIT, x1 = BUF_INIT,
				 x2 = BUF_INIT, x3 = BUF_INIT, y = BUF_INIT;
	size_t			 used;

	fold_free(&f);
	o.max_body = 80;
	f = fold_new(&o);
	story_lines(&lines, "i a 1 1;i b 1 1;i c 1 1;i d 1 1;i e 1 1;i f 1 1");
	fold_lines(f, (char *)lines.data, lines.len, &used, NULL);
	CU_ASSERT_EQUAL(fold_next(f, &x1, &b1), FOLD_BODY);
	CU_ASSERT_EQUAL(fold_next(f, &x2, &b2), FOLD_BODY);
	/* nobody knows about the second: it comes before a third */
	fold_unsent(f, &b2, ARANGO_RETRY);
	CU_ASSERT_EQUAL(fold_trouble(f), ARANGO_RETRY);
	CU_ASSERT_EQUAL(fold_trouble(f), ARANGO_SUCCESS);
	CU_ASSERT_EQUAL(fold_next(f, &y, &again), FOLD_BODY);
	CU_ASSERT_EQUAL(y.len, x2.len);
	CU_ASSERT_EQUAL(memcmp(y.data, x2.data, x2.len), 0);
	CU_ASSERT_EQUAL(fold_next(f, &x3, &b3), FOLD_BODY);
	buf_reset(&y);
	CU_ASSERT_EQUAL(fold_next(f, &y, &b2), FOLD_WAIT);
	/* two lost ones come in their order */
	fold_unsent(f, &b3, ARANGO_LEADER);
	fold_unsent(f, &b1, ARANGO_RETRY);
	CU_ASSERT_EQUAL(fold_trouble(f), ARANGO_LEADER);
	CU_ASSERT_EQUAL(fold_next(f, &y, &b1), FOLD_BODY);
	CU_ASSERT_EQUAL(memcmp(y.data, x1.data, x1.len), 0);
	fold_answered(f, &b1);
	fold_answered(f, &b1);		/* once only */
	fold_answered(f, &again);
	buf_reset(&y);
	CU_ASSERT_EQUAL(fold_next(f, &y, &b3), FOLD_BODY);
	CU_ASSERT_EQUAL(memcmp(y.data, x3.data, x3.len), 0);
	fold_answered(f, &b3);
	CU_ASSERT_EQUAL(fold_next(f, &y, &b3), FOLD_DONE);
	buf_free(&lines);
	buf_free(&x1);
	buf_free(&x2);
	buf_free(&x3);
	buf_free(&y);
	fold_free(&f);
}

struct keys {
	char	 text[256];
};

static void
note_key(void *arg, const void *key, size_t len, bool removed)
{
	struct keys	*k = arg;
	size_t		 n = strlen(k->text);

	snprintf(k->text + n, sizeof(k->text) - n, "%s%.*s ",
	    removed ? "-" : "+", (int)len, (const char *)key);
}

static void
test_element_errors(void)
{
	struct fold		*f = fold_new(NULL);
	struct fold_body	 body;
	struct fold_dead	 dead;
	struct buf		 lines = BUF_INIT, b = BUF_INIT;
	struct keys		 keys = { "" };
	size_t			 used;

	story_lines(&lines, "d x;i a 1 1;i b 1 1;i c 1 1;d y");
	fold_lines(f, (char *)lines.data, lines.len, &used, NULL);
	CU_ASSERT_EQUAL(fold_next(f, &b, &body), FOLD_BODY);
	CU_ASSERT_EQUAL(body.kind, FOLD_REMOVALS);
	fold_element(f, &body, 0, AERR_DOCUMENT_NOT_FOUND, NULL, NULL, react);
	fold_element(f, &body, 1, AERR_CONFLICT, NULL, NULL, react);
	fold_answered(f, &body);
	/* upserts wait for the last removal */
	CU_ASSERT_EQUAL(fold_next(f, &b, &body), FOLD_PAUSE);
	buf_reset(&b);
	CU_ASSERT_EQUAL(fold_next(f, &b, &body), FOLD_BODY);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "[\"y\"]");
	fold_answered(f, &body);

	buf_reset(&b);
	CU_ASSERT_EQUAL(fold_next(f, &b, &body), FOLD_BODY);
	CU_ASSERT_EQUAL(body.count, 3);
	fold_element(f, &body, 1, AERR_DOCUMENT_KEY_BAD, NULL, NULL, react);
	fold_element(f, &body, 2, AERR_CONFLICT, NULL, NULL, react);
	fold_answered(f, &body);
	CU_ASSERT_EQUAL(fold_next(f, &b, &body), FOLD_PAUSE);
	buf_reset(&b);
	CU_ASSERT_EQUAL(fold_next(f, &b, &body), FOLD_BODY);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&b),
	    "[{\"_key\":\"c\",\"_rev\":\"1\",\"v\":1}]");
	CU_ASSERT_EQUAL(body.round, 1);
	/* it is not told which one: all of it again */
	fold_element(f, &body, SIZE_MAX, AERR_CONFLICT, NULL, NULL, react);
	fold_answered(f, &body);
	CU_ASSERT_EQUAL(fold_next(f, &b, &body), FOLD_PAUSE);
	CU_ASSERT_EQUAL(fold_next(f, &b, &body), FOLD_BODY);
	fold_answered(f, &body);
	CU_ASSERT_EQUAL(fold_next(f, &b, &body), FOLD_DONE);
	CU_ASSERT_EQUAL(fold_counts(f)->dead, 1);
	CU_ASSERT_EQUAL(fold_dead_at(f, 0, &dead), 0);
	CU_ASSERT_EQUAL(dead.num, AERR_DOCUMENT_KEY_BAD);
	fold_each_key(f, note_key, &keys);
	CU_ASSERT_STRING_EQUAL(keys.text, "-x +a +c -y ");
	CU_ASSERT_TRUE(fold_has_key(f, "b", 1, NULL));
	CU_ASSERT_FALSE(fold_has_key(f, "z", 1, NULL));

	/* what never works ends in a bounded number of rounds */
	fold_reset(f);
	fold_lines(f, (char *)lines.data, lines.len, &used, NULL);
	for (used = 0; used < 1000; used++) {
		enum fold_next	 r;

		buf_reset(&b);
		if ((r = fold_next(f, &b, &body)) == FOLD_STUCK)
			break;
		if (r != FOLD_BODY)
			continue;
		fold_element(f, &body, 0, AERR_CONFLICT, NULL, NULL, react);
		fold_answered(f, &body);
	}
	CU_ASSERT_TRUE(used < 100);
	buf_free(&lines);
	buf_free(&b);
	fold_free(&f);
}

/* a and b swap a unique value: both get out of the way, then both fit. */
static void
test_conflict_swap(void)
{
	struct fold		*f = fold_new(NULL);
	struct fold_conflict	 c;
	struct fold_body	 body;
	struct buf		 lines = BUF_INIT, b = BUF_INIT;
	size_t			 used;
	int			 round;

	story_lines(&lines, "i a 1 2;i b 1 1");
	fold_lines(f, (char *)lines.data, lines.len, &used, NULL);
	for (round = 0; round < 2; round++) {
		buf_reset(&b);
		CU_ASSERT_EQUAL(fold_next(f, &b, &body), FOLD_BODY);
		CU_ASSERT_EQUAL(fold_conflict_at(f, 0, &c), ERR_NOT_FOUND);
		fold_element(f, &body, 0, 1210, "b", "idx", react);
		fold_element(f, &body, 1, 1210, "a", NULL, react);
		fold_answered(f, &body);
	}
	CU_ASSERT_EQUAL(fold_next(f, &b, &body), FOLD_RESOLVE);
	CU_ASSERT_EQUAL(fold_counts(f)->conflicts, 2);
	CU_ASSERT_EQUAL(fold_conflict_at(f, 0, &c), 0);
	CU_ASSERT_STRING_EQUAL(c.in_the_way, "b");
	CU_ASSERT_STRING_EQUAL(c.index, "idx");
	CU_ASSERT_FALSE(c.foreign_index);
	CU_ASSERT_EQUAL(fold_conflict_at(f, 1, &c), 0);
	CU_ASSERT_STRING_EQUAL(c.in_the_way, "a");
	CU_ASSERT_EQUAL(fold_conflict_at(f, 2, &c), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(fold_next(f, &b, &body), FOLD_RESOLVE);
	fold_resolved(f);
	CU_ASSERT_EQUAL(fold_next(f, &b, &body), FOLD_BODY);
	CU_ASSERT_EQUAL(body.count, 2);
	fold_answered(f, &body);
	CU_ASSERT_EQUAL(fold_next(f, &b, &body), FOLD_DONE);

	/* both in one batch, and one is written: only the target has that
	 * index */
	fold_reset(f);
	fold_lines(f, (char *)lines.data, lines.len, &used, NULL);
	for (round = 0; round < 2; round++) {
		CU_ASSERT_EQUAL(fold_next(f, &b, &body), FOLD_BODY);
		fold_element(f, &body, 0, 1210, "b", "idx", react);
		fold_answered(f, &body);
	}
	CU_ASSERT_EQUAL(fold_next(f, &b, &body), FOLD_RESOLVE);
	CU_ASSERT_EQUAL(fold_conflict_at(f, 0, &c), 0);
	CU_ASSERT_TRUE(c.foreign_index);
	fold_resolved(f);
	CU_ASSERT_EQUAL(fold_next(f, &b, &body), FOLD_BODY);
	CU_ASSERT_EQUAL(body.count, 2);
	fold_answered(f, &body);
	CU_ASSERT_EQUAL(fold_next(f, &b, &body), FOLD_DONE);
	buf_free(&lines);
	buf_free(&b);
	fold_free(&f);
}

/* ---- the same end, whatever happens on the way -------------------------- */

/*
 * A target with a unique index on "v" (values of 0 are not indexed), that
 * refuses now and then.
 */
struct target {
	struct map	 docs;		/* key -> text */
};

static const char *
holder_of(struct target *t, const char *key, int v)
{
	struct map_iter	 it;
	const char	*p;

	MAP_FOREACH(&t->docs, it) {
		p = strstr(it.value, "\"v\":");
		if (v != 0 && strcmp(it.key, key) != 0 && atoi(p + 4) == v)
			return it.key;
	}
	return NULL;
}

static void
target_send(struct target *t, struct fold *f, struct fold_body *body,
    struct buf *b, bool trouble)
{
	struct json_object	*a, *o;
	const char		*key, *other;
	size_t			 i;
	bool			 lost = trouble && rand_below(10) == 0;

	CU_ASSERT_EQUAL(json_parse((char *)b->data, b->len, &a, NULL), 0);
	CU_ASSERT_EQUAL(json_object_array_length(a), body->count);
	/* lost before it was executed, or after */
	if (lost && rand_below(2) == 0) {
		fold_unsent(f, body, rand_below(3) == 0 ? ARANGO_SPLIT :
		    ARANGO_RETRY);
		json_object_put(a);
		return;
	}
	for (i = 0; i < body->count; i++) {
		o = json_object_array_get_idx(a, i);
		if (trouble && rand_below(20) == 0) {
			if (!lost)
				fold_element(f, body, i, AERR_CONFLICT, NULL,
				    NULL, react);
			continue;
		}
		if (body->kind == FOLD_REMOVALS) {
			free(map_del(&t->docs, json_object_get_string(o)));
			continue;
		}
		key = json_string_or(o, "_key", "?");
		other = holder_of(t, key, (int)json_int_or(o, "v", 0));
		if (other != NULL) {
			if (!lost)
				fold_element(f, body, i, 1210, other, "u",
				    react);
			continue;
		}
		free(map_put(&t->docs, key, json_to_text(o)));
	}
	json_object_put(a);
	if (lost)
		fold_unsent(f, body, ARANGO_LEADER);
	else
		fold_answered(f, body);
}

/* Returns false when it got stuck. */
static bool
target_apply(struct target *t, struct fold *f, bool trouble)
{
	struct fold_body	 body;
	struct fold_conflict	 c;
	struct buf		 b = BUF_INIT;
	enum fold_next		 r;
	size_t			 i;

	for (;;) {
		buf_reset(&b);
		r = fold_next(f, &b, &body);
		if (r == FOLD_DONE || r == FOLD_STUCK)
			break;
		if (r == FOLD_BODY)
			target_send(t, f, &body, &b, trouble);
		else if (r == FOLD_RESOLVE) {
			for (i = 0; fold_conflict_at(f, i, &c) == 0; i++)
				free(map_del(&t->docs, c.in_the_way));
			fold_resolved(f);
		}
	}
	buf_free(&b);
	return r == FOLD_DONE;
}

/* A step of a source that keeps its unique index itself. */
static void
source_step(struct target *s, struct buf *lines, unsigned int tick)
{
	char	 key[8], step[64], doc[64];
	int	 v = (int)rand_below(8);

	snprintf(key, sizeof(key), "k%d", (int)rand_below(10));
	if (rand_below(4) == 0) {
		free(map_del(&s->docs, key));
		snprintf(step, sizeof(step), "d %s", key);
	} else {
		if (holder_of(s, key, v) != NULL)
			v = 0;
		snprintf(doc, sizeof(doc),
		    "{\"_key\":\"%s\",\"_rev\":\"%u\",\"v\":%d}", key,
		    tick, v);
		free(map_put(&s->docs, key, xstrdup(doc)));
		snprintf(step, sizeof(step), "i %s %u %d", key, tick, v);
	}
	story_line(lines, step, tick);
}

static bool
same_docs(struct target *a, struct target *b)
{
	struct map_iter	 it;
	const char	*other;

	if (map_count(&a->docs) != map_count(&b->docs))
		return false;
	MAP_FOREACH(&a->docs, it) {
		other = map_get(&b->docs, it.key);
		if (other == NULL || strcmp(other, it.value) != 0)
			return false;
	}
	return true;
}

static void
test_converges(void)
{
	struct fold_opts	 o = FOLD_OPTS_INIT;
	struct target		 s, t;
	struct buf		 lines = BUF_INIT;
	struct fold		*f;
	unsigned int		 tick = 0, batch, i;
	size_t			 used;
	int			 run;

	o.max_rounds = 1000;
	o.max_body = 200;
	f = fold_new(&o);
	for (run = 0; run < 40; run++) {
		rand_seed((uint64_t)run + 1);
		memset(&s, 0, sizeof(s));
		memset(&t, 0, sizeof(t));
		for (batch = 0; batch < 20; batch++) {
			buf_reset(&lines);
			for (i = 0; i < 1 + rand_below(30); i++)
				source_step(&s, &lines, ++tick);
			fold_reset(f);
			CU_ASSERT_EQUAL(fold_lines(f, (char *)lines.data,
			    lines.len, &used, NULL), FOLD_TOOK);
			CU_ASSERT_TRUE(target_apply(&t, f, run % 2 == 1));
			/* a conflict removes only what the batch brings
			 * back, as all of a swap is in it */
			if (!same_docs(&s, &t))
				CU_FAIL_FATAL("source and target differ");
		}
		map_free(&s.docs, free);
		map_free(&t.docs, free);
	}
	buf_free(&lines);
	fold_free(&f);
}

/* Many keys, over several growths of the table, twice with one memory. */
static void
test_many(void)
{
	struct fold	*f = fold_new(NULL);
	struct buf	 lines = BUF_INIT, out = BUF_INIT;
	unsigned int	 i, turn;
	char		 step[64];
	size_t		 used;

	for (turn = 0; turn < 3; turn++) {
		buf_reset(&lines);
		for (i = 0; i < 20000; i++) {
			snprintf(step, sizeof(step), "i %u %u 1", i % 7000, i);
			story_line(&lines, step, i);
		}
		fold_reset(f);
		CU_ASSERT_EQUAL(fold_lines(f, (char *)lines.data, lines.len,
		    &used, NULL), FOLD_TOOK);
		drain(f, &out);
		CU_ASSERT_EQUAL(fold_counts(f)->upserts, 7000);
		CU_ASSERT_EQUAL(fold_counts(f)->removals, 0);
	}
	buf_free(&lines);
	buf_free(&out);
	fold_free(&f);
}

/* Documents of a dump: no ticks, no floor; what is left is not applied. */
static void
test_documents(void)
{
	static const char	*docs[] = {
		"{\"_key\":\"a\",\"_rev\":\"x\",\"u\":1}",
		"{\"_key\":\"b\",\"_rev\":\"y\",\"u\":1}"
	};
	static const char	 gone[] = "{\"_key\":\"c\"}";
	struct fold		*f = fold_new(NULL);
	struct fold_body	 body;
	struct buf		 b = BUF_INIT;
	struct keys		 keys = { "" };
	struct err_msg		 m;
	enum fold_next		 r;
	unsigned int		 rounds = 0;
	size_t			 i;

	fold_set_floor(f, 1000);
	for (i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(fold_doc(f, docs[i], strlen(docs[i]), false,
		    &m), FOLD_TOOK);
	CU_ASSERT_EQUAL(fold_doc(f, gone, strlen(gone), true, &m), FOLD_TOOK);
	CU_ASSERT_EQUAL(fold_doc(f, "[]", 2, false, &m), ERR_FORMAT);
	fold_begin(f);
	CU_ASSERT_EQUAL(fold_doc(f, gone, strlen(gone), true, &m), FOLD_FULL);
	while ((r = fold_next(f, &b, &body)) != FOLD_DONE && rounds++ < 10) {
		if (r == FOLD_RESOLVE) {
			fold_leave(f);
			continue;
		}
		CU_ASSERT_EQUAL_FATAL(r, FOLD_BODY);
		if (body.kind == FOLD_UPSERTS)
			fold_element(f, &body, body.count - 1,
			    AERR_UNIQUE_CONSTRAINT, "a", "i", react);
		fold_answered(f, &body);
		buf_reset(&b);
	}
	CU_ASSERT_EQUAL(r, FOLD_DONE);
	fold_each_key(f, note_key, &keys);
	CU_ASSERT_STRING_EQUAL(keys.text, "+a -c ");
	buf_free(&b);
	fold_free(&f);
}

UNIT_MAIN("fold",
    { "stories of keys, revisions and transactions", test_stories },
    { "truncate and the end of a shard are barriers", test_barriers },
    { "lines that are none are refused", test_bad_lines },
    { "bodies are split, large documents go alone", test_sizes },
    { "a batch ends when it is full, not in a transaction", test_full },
    { "_id and _rev are left out when told", test_strip },
    { "a body of unknown outcome comes again first", test_unsent },
    { "elements are retried, or dead letters", test_element_errors },
    { "a swap of unique values is resolved", test_conflict_swap },
    { "documents without a log, and some that are left", test_documents },
    { "random streams end as at the source", test_converges },
    { "many keys, the memory is used again", test_many })
