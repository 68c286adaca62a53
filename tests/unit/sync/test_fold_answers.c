/* test_fold_answers.c - tests of folding: what becomes of a batch by the
 * answers to its bodies */
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

UNIT_MAIN("fold answers",
    { "a body of unknown outcome comes again first", test_unsent },
    { "elements are retried, or dead letters", test_element_errors },
    { "a swap of unique values is resolved", test_conflict_swap },
    { "documents without a log, and some that are left", test_documents },
    { "random streams end as at the source", test_converges },
    { "many keys, the memory is used again", test_many })
