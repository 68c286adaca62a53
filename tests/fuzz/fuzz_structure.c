/*
 * fuzz_structure.c - arbitrary JSON as the Plan of an agency, and as what a
 * remote master says of its structure.  What is taken must survive its
 * journey, and needs nothing dropped against itself.  Two lines: source and
 * target.
 */
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/err.h"
#include "json/get.h"
#include "sync/plan.h"
#include "sync/structure.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A Plan, or our own form. */
static struct structure *
structure_any(const uint8_t *data, size_t size)
{
	struct json_object	*o;
	struct structure	*st = NULL;
	struct err_msg		 m;

	if (json_parse((const char *)data, size, &o, NULL) != 0)
		return NULL;
	m.text[0] = '\0';
	if (structure_from_plan(o, "S", &st, &m) != 0) {
		bug_unless(st == NULL && m.text[0] != '\0');
		m.text[0] = '\0';
		if (structure_from_json(o, &st, &m) != 0)
			bug_unless(st == NULL && m.text[0] != '\0');
	}
	json_object_put(o);
	return st;
}

static struct structure *
journey(const struct structure *st, const char *cluster)
{
	struct json_object	*o = structure_to_json(st), *again;
	struct structure	*back = NULL;
	struct err_msg		 m;

	if (structure_from_json(o, &back, &m) != 0)
		fatal("lost on its journey: %s", m.text);
	again = structure_to_json(back);
	bug_unless(json_equal(o, again));
	json_object_put(o);
	json_object_put(again);
	free(back->cluster_id);
	back->cluster_id = xstrdup(cluster);
	return back;
}

static void
plan_both(const struct structure *s, const struct structure *t, bool same)
{
	struct plan_opts	 o = PLAN_OPTS_INIT;
	struct plan_memory	*mem = plan_memory_new();
	struct plan		*p;
	struct json_object	*json;
	unsigned int		 turn;

	for (turn = 0; turn < 3; turn++) {
		o.community = turn == 1;
		if (turn == 2)
			o.dbservers = 2;
		if (plan_make(s, t, &o, turn == 0 ? NULL : mem, turn * 10000,
		    &p, NULL) != 0)
			continue;
		if (same && turn == 0)
			bug_unless(p->drops == 0);
		json = plan_to_json(p);
		json_object_put(json);
		plan_free(&p);
	}
	plan_memory_free(&mem);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t		*nl = size != 0 ? memchr(data, '\n', size) :
				    NULL;
	size_t			 n = nl != NULL ? (size_t)(nl - data) : size;
	struct structure	*s, *t, *t2;

	if ((s = structure_any(data, n)) == NULL)
		return 0;
	t = journey(s, "T");
	plan_both(s, t, true);
	if (nl != NULL && (t2 = structure_any(nl + 1, size - n - 1)) != NULL) {
		free(t2->cluster_id);
		t2->cluster_id = xstrdup("U");
		plan_both(s, t2, false);
		plan_both(t2, s, false);
		structure_free(&t2);
	}
	structure_free(&t);
	structure_free(&s);
	return 0;
}
