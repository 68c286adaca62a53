/* test_inventory.c - which collection stands for which, and what waits */
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "inventory/inventory_priv.h"
#include "json/get.h"
#include "unit.h"

/* ---- two clusters in few words ----------------------------------------- */

/*
 * "db:name:cid:shards[:word] ..." with the words building, hash, type3; a
 * database that is named is there, _system always.
 */
static void
add_coll(struct json_object *plan, char *text)
{
	struct json_object	*c = json_object_new_object(), *keys, *o;
	char			*save = NULL, *db, *name, *cid, *shards, *word;

	db = strtok_r(text, ":", &save);
	name = strtok_r(NULL, ":", &save);
	cid = strtok_r(NULL, ":", &save);
	shards = strtok_r(NULL, ":", &save);
	word = strtok_r(NULL, ":", &save);
	if (!json_object_object_get_ex(json_at(plan, "Databases"), db, &o)) {
		o = json_object_new_object();
		json_set_string(o, "name", db);
		json_set(json_at(plan, "Databases"), db, o);
		json_set(json_at(plan, "Collections"), db,
		    json_object_new_object());
	}
	json_object_object_get_ex(json_at(plan, "Collections"), db, &o);
	json_set_string(c, "name", name);
	json_set_int(c, "type", word != NULL && strcmp(word, "type3") == 0 ?
	    3 : 2);
	json_set_int(c, "numberOfShards", atoi(shards));
	json_set_int(c, "replicationFactor", 1);
	keys = json_object_new_array();
	json_object_array_add(keys, json_object_new_string("_key"));
	json_set(c, "shardKeys", keys);
	json_set_string(c, "shardingStrategy", "hash");
	if (word != NULL && strcmp(word, "building") == 0)
		json_set_bool(c, "isBuilding", true);
	json_set(o, cid, c);
}

/* made: "target_cid=source_cid:source[:lineage|unchecked] ..." */
static struct json_object *
made_of(const char *text)
{
	struct json_object	*list = json_object_new_object(), *o;
	char			*copy = xstrdup(text), *save = NULL, *w, *v;

	for (w = strtok_r(copy, " ", &save); w != NULL;
	    w = strtok_r(NULL, " ", &save)) {
		char	*s2 = NULL, *cid, *source, *flag;

		v = strchr(w, '=');
		*v++ = '\0';
		cid = strtok_r(v, ":", &s2);
		source = strtok_r(NULL, ":", &s2);
		flag = strtok_r(NULL, ":", &s2);
		o = json_object_new_object();
		json_set_string(o, "source", source);
		json_set_string(o, "cid", cid);
		json_set_bool(o, "lineage", flag != NULL &&
		    strcmp(flag, "lineage") == 0);
		json_set_bool(o, "checked", flag == NULL ||
		    strcmp(flag, "unchecked") != 0);
		json_set(list, w, o);
	}
	free(copy);
	return list;
}

static struct inv_view *
view_of(const char *cluster, const char *colls, const char *made)
{
	struct json_object	*root, *plan;
	struct inv_view		*v = NULL;
	struct err_msg		 m = { "" };
	char			*copy = xasprintf("_system:_graphs:1:1 %s",
				    colls), *save = NULL, *w, *text;

	text = xasprintf("{\"arango\":{\"Cluster\":\"%s\",\"Plan\":{"
	    "\"Version\":7,\"Databases\":{},\"Collections\":{},"
	    "\"DBServers\":{\"PRMR-1\":\"none\",\"PRMR-2\":\"none\"},"
	    "\"Views\":{\"shop\":{\"9\":{\"name\":\"see\"},"
	    "\"10\":{\"name\":\"gone\",\"deleted\":true}}}}},"
	    "\"arangodb\":{\"arangosync\":{\"x\":{}}}}", cluster);
	bug_unless(json_parse(text, strlen(text), &root, NULL) == 0);
	free(text);
	plan = json_at(root, "arango.Plan");
	for (w = strtok_r(copy, " ", &save); w != NULL;
	    w = strtok_r(NULL, " ", &save))
		add_coll(plan, w);
	json_set(json_at(root, "arangodb.arangosync.x"), "made-from",
	    made_of(made));
	if (inv_view_make(root, &v, &m) != 0)
		fatal("%s", m.text);
	json_object_put(root);
	free(copy);
	return v;
}

struct world {
	struct inv_view		*s, *t;
	struct plan		*plan;
	struct map		 created;
	struct inv_input	 in;
	struct inv_records	 r;
};

static const char *
test_made_from(void *arg, const char *db, const char *coll)
{
	struct world			*w = arg;
	const struct structure_coll	*c;
	const struct inv_made		*made;

	c = structure_coll(structure_db(w->t->st, db), coll);
	made = map_get(&w->t->made, c->cid);
	return made != NULL && strcmp(made->source, "S") == 0 ? made->cid :
	    NULL;
}

static void
begin(struct world *w, const char *source, const char *target,
    const char *made)
{
	struct plan_opts	 o = PLAN_OPTS_INIT;
	struct err_msg		 m;

	memset(w, 0, sizeof(*w));
	w->s = view_of("S", source, "");
	w->t = view_of("T", target, made);
	o.made_from = test_made_from;
	o.arg = w;
	bug_unless(plan_make(w->s->st, w->t->st, &o, NULL, 0, &w->plan,
	    &m) == 0);
	w->in = (struct inv_input){ w->s->st, w->t, w->plan, &w->created,
	    false };
}

static void
end(struct world *w)
{
	inv_records_free(&w->r);
	inv_view_free(&w->s);
	inv_view_free(&w->t);
	plan_free(&w->plan);
	map_free(&w->created, NULL);
}

/* "10=1:lineage 11=-" */
static char *
records_text(struct world *w)
{
	struct buf	 b = BUF_INIT;
	size_t		 i;

	inv_records_make(&w->in, &w->r);
	for (i = 0; i < w->r.n; i++) {
		const struct inv_made	*m = w->r.list[i].made;

		buf_printf(&b, "%s%s=%s%s%s", i == 0 ? "" : " ",
		    w->r.list[i].target_cid, m == NULL ? "-" : m->cid,
		    m != NULL && m->lineage ? ":lineage" : "",
		    m != NULL && !m->checked ? ":unchecked" : "");
	}
	return (char *)buf_cstr(&b);
}

/* "shop/a:1>10 ..., missing" */
static char *
pairs_text(struct world *w)
{
	struct buf		 b = BUF_INIT;
	struct json_object	*list, *o;
	size_t			 i, missing;

	list = inv_pairs_make(&w->in, &missing);
	for (i = 0; i < json_object_array_length(list); i++) {
		o = json_object_array_get_idx(list, i);
		buf_printf(&b, "%s/%s:%s>%s:%d%s ",
		    json_string_or(o, "db", "?"),
		    json_string_or(o, "coll", "?"),
		    json_string_or(o, "cid", "?"),
		    json_string_or(o, "target_cid", "?"),
		    (int)json_int_or(o, "shards", -1),
		    json_bool_or(o, "lineage", false) ? "+" : "");
	}
	buf_printf(&b, "%zu", missing);
	json_object_put(list);
	return (char *)buf_cstr(&b);
}

static void
is(char *got, const char *want)
{
	if (strcmp(got, want) != 0)
		fprintf(stderr, "# got \"%s\", want \"%s\"\n", got, want);
	CU_ASSERT_STRING_EQUAL(got, want);
	free(got);
}

/* ---- records ----------------------------------------------------------- */

static const struct {
	const char	*source, *target, *made, *created;
	bool		 forget;
	const char	*records, *pairs;	/* pairs before the records */
} cases[] = {
	/* not there: a step makes it, nothing is missing beyond that */
	{ "shop:a:1:1", "shop:z:99:1", "", NULL, false, "", "0" },
	/* there before us: adopted, no lineage */
	{ "shop:a:1:1", "shop:a:10:1", "", NULL, false, "10=1", "1" },
	/* several shards are looked at first */
	{ "shop:a:1:3", "shop:a:10:3", "", NULL, false, "10=1:unchecked",
	    "1" },
	{ "shop:a:1:3", "shop:a:10:3", "10=1:S:unchecked", NULL, false,
	    "10=1:unchecked", "1" },
	/* made by us just now */
	{ "shop:a:1:1", "shop:a:10:1", "", "1", false, "10=1:lineage", "1" },
	/* made by us from what the source has dropped since */
	{ "shop:a:2:1", "shop:a:10:1", "", "1", false, "10=2", "1" },
	/* sharding differs: the plan drops it */
	{ "shop:a:1:1", "shop:a:10:2", "", NULL, false, "", "0" },
	/* as recorded */
	{ "shop:a:1:3", "shop:a:10:3", "10=1:S:lineage", NULL, false, "",
	    "shop/a:1>10:3+ 0" },
	{ "shop:a:1:3", "shop:a:10:3", "10=1:S", NULL, false, "",
	    "shop/a:1>10:3 0" },
	/* configured again */
	{ "shop:a:1:1", "shop:a:10:1", "10=1:S:lineage", NULL, true, "10=1",
	    "shop/a:1>10:1+ 0" },
	/* another incarnation at the source: dropped by the plan */
	{ "shop:a:2:1", "shop:a:10:1", "10=1:S:lineage", NULL, false, "",
	    "0" },
	/* another one here: somebody made it, we did not */
	{ "shop:a:1:1", "shop:a:11:1", "10=1:S:lineage", NULL, false,
	    "11=1 10=-", "1" },
	/* a record of another source */
	{ "shop:a:1:1", "shop:a:10:1", "10=1:OLD:lineage", NULL, false,
	    "10=1", "1" },
	/* what is being built is neither there nor absent */
	{ "shop:a:1:1:building", "shop:a:10:1", "10=1:S", NULL, false, "",
	    "0" },
	{ "shop:a:1:1", "shop:a:10:1:building", "10=1:S:lineage", NULL, false,
	    "", "1" },
	/* gone at the source: no pair, the record stays until it is dropped */
	{ "shop:b:1:1", "shop:a:10:1", "10=5:S:lineage", NULL, false, "",
	    "0" },
	/* system collections have no pairs */
	{ "shop:_users:1:1 shop:_jobs:2:1", "shop:_users:10:1", "", NULL,
	    false, "", "0" }
};

static void
test_records(void)
{
	struct world	 w;
	size_t		 i;

	for (i = 0; i < NITEMS(cases); i++) {
		begin(&w, cases[i].source, cases[i].target, cases[i].made);
		if (cases[i].created != NULL)
			map_put(&w.created, "shop/a",
			    (void *)(uintptr_t)cases[i].created);
		w.in.forget_lineage = cases[i].forget;
		is(pairs_text(&w), cases[i].pairs);
		is(records_text(&w), cases[i].records);
		end(&w);
	}
}

static void
test_apply(void)
{
	struct world	 w;

	begin(&w, "shop:a:1:1 shop:b:2:1", "shop:a:10:1 shop:b:11:1",
	    "99=7:S:lineage");
	is(records_text(&w), "10=1 11=2 99=-");
	inv_records_apply(&w.r, w.t);
	is(pairs_text(&w), "shop/a:1>10:1 shop/b:2>11:1 0");
	CU_ASSERT_PTR_NULL(map_get(&w.t->made, "99"));
	inv_records_free(&w.r);
	is(records_text(&w), "");
	end(&w);
}

static void
test_misplaced(void)
{
	struct world		 w;
	struct json_object	*notes;
	struct inv_troubles	 ts = { MAP_INIT, 0 };
	struct inv_made		*made;

	begin(&w, "shop:a:1:3", "shop:a:10:3", "10=1:S:lineage");
	made = map_get(&w.t->made, "10");
	made->misplaced = true;
	is(pairs_text(&w), "0");
	notes = inv_notes_make(&w.in, w.s->views, &ts);
	CU_ASSERT_PTR_NOT_NULL(strstr(json_object_to_json_string_ext(notes,
	    JSON_C_TO_STRING_NOSLASHESCAPE), "shop/a"));
	json_object_put(notes);
	end(&w);
}

static struct json_object *
list_of(const char *text)
{
	struct json_object	*o;

	bug_unless(json_parse(text, strlen(text), &o, NULL) == 0);
	return o;
}

static void
test_hit(void)
{
	struct world		 w;
	struct json_object	*pairs;
	size_t			 missing;

	begin(&w, "shop:a:1:1", "shop:a:10:1 shop:b:11:1 old:c:12:1",
	    "10=1:S 11=2:S 12=3:S");
	pairs = inv_pairs_make(&w.in, &missing);
	CU_ASSERT_FALSE(inv_pairs_hit(w.plan, pairs));
	json_object_put(pairs);
	pairs = list_of("[{\"db\":\"shop\",\"target_coll\":\"b\"}]");
	CU_ASSERT_TRUE(inv_pairs_hit(w.plan, pairs));
	json_object_put(pairs);
	pairs = list_of("[{\"db\":\"old\",\"target_coll\":\"c\"}]");
	CU_ASSERT_TRUE(inv_pairs_hit(w.plan, pairs));
	json_object_put(pairs);
	CU_ASSERT_FALSE(inv_pairs_hit(w.plan, NULL));
	end(&w);
}

static void
test_notes(void)
{
	struct world		 w;
	struct inv_troubles	 ts = { MAP_INIT, 0 };
	struct json_object	*notes;
	const char		*text;

	begin(&w, "shop:_users:1:1 shop:_apps:2:1 other:_users:3:1", "", "");
	CU_ASSERT_EQUAL(w.s->dbservers, 2);
	notes = inv_notes_make(&w.in, w.s->views, &ts);
	text = json_object_to_json_string_ext(notes,
	    JSON_C_TO_STRING_NOSLASHESCAPE);
	/* one note of a kind, each name once, what is deleted not */
	CU_ASSERT_EQUAL(json_object_array_length(notes), 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "views are not replicated: "
	    "shop/see\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "_users"));
	CU_ASSERT_PTR_NULL(strstr(strstr(text, "_users") + 1, "_users"));
	json_object_put(notes);
	end(&w);
}

/* A drop that needs a second look is told until then. */
static void
test_waiting(void)
{
	struct world		 w;
	struct inv_troubles	 ts = { MAP_INIT, 0 };
	struct json_object	*notes;
	const char		*text;
	size_t			 i;

	begin(&w, "shop:a:1:3", "shop:a:10:5 old:b:11:1", "");
	notes = inv_notes_make(&w.in, w.s->views, &ts);
	text = json_object_to_json_string_ext(notes,
	    JSON_C_TO_STRING_NOSLASHESCAPE);
	CU_ASSERT_PTR_NULL(strstr(text, "drop"));
	json_object_put(notes);
	for (i = 0; i < w.plan->n; i++)
		w.plan->steps[i].hold = PLAN_UNCONFIRMED;
	notes = inv_notes_make(&w.in, w.s->views, &ts);
	text = json_object_to_json_string_ext(notes,
	    JSON_C_TO_STRING_NOSLASHESCAPE);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "drop collection shop/a: number "
	    "of shards is 5, not 3 (waits until it was seen for 10 s)"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "drop database old"));
	CU_ASSERT_PTR_NULL(strstr(text, "create"));
	json_object_put(notes);
	end(&w);
}

/* ---- troubles ---------------------------------------------------------- */

static void
step(struct plan_step *s, enum plan_kind kind, const char *db,
    const char *coll, const char *index, const char *like)
{
	memset(s, 0, sizeof(*s));
	s->kind = kind;
	s->db = (char *)(uintptr_t)db;
	s->coll = (char *)(uintptr_t)coll;
	s->index = (char *)(uintptr_t)index;
	s->like = (char *)(uintptr_t)like;
}

static void
test_troubles(void)
{
	struct inv_troubles	 ts = { MAP_INIT, 0 };
	struct plan_step	 s[2];
	struct plan		 p = { .steps = s, .n = 2 };
	struct inv_trouble	*t;

	step(&s[0], PLAN_CREATE_COLL, "shop", "a", NULL, NULL);
	step(&s[1], PLAN_CREATE_COLL, "shop", "b", NULL, NULL);
	s[0].def = json_object_new_object();
	s[1].def = json_object_new_object();
	CU_ASSERT_EQUAL(inv_troubles_next_ms(&ts), UINT64_MAX);
	inv_troubles_put(&ts, &s[0], 1457, "no", 1000);
	t = inv_troubles_get(&ts, &s[0]);
	CU_ASSERT_EQUAL(t->due_ms, 2000);
	CU_ASSERT_FALSE(t->refused);
	inv_troubles_put(&ts, &s[0], 1457, "no", 2000);
	CU_ASSERT_EQUAL(t->due_ms, 4000);
	inv_troubles_put(&ts, &s[1], 1208, "illegal", 2000);
	CU_ASSERT_TRUE(inv_troubles_get(&ts, &s[1])->refused);
	CU_ASSERT_EQUAL(inv_troubles_next_ms(&ts), 4000);
	/* still wanted: stays */
	inv_troubles_turn(&ts, &p);
	CU_ASSERT_EQUAL(map_count(&ts.map), 2);
	/* with another definition it is another step */
	json_set_int(s[1].def, "numberOfShards", 2);
	CU_ASSERT_PTR_NULL(inv_troubles_get(&ts, &s[1]));
	inv_troubles_turn(&ts, &p);
	CU_ASSERT_EQUAL(map_count(&ts.map), 1);
	inv_troubles_drop(&ts, &s[0]);
	CU_ASSERT_EQUAL(map_count(&ts.map), 0);
	json_object_put(s[0].def);
	json_object_put(s[1].def);
	inv_troubles_free(&ts);
}

static void
test_refusals(void)
{
	/* rights, modes and numbers of servers change */
	CU_ASSERT_FALSE(inv_is_refusal(0));
	CU_ASSERT_FALSE(inv_is_refusal(11));
	CU_ASSERT_FALSE(inv_is_refusal(1004));
	CU_ASSERT_FALSE(inv_is_refusal(1487));
	CU_ASSERT_FALSE(inv_is_refusal(1210));
	CU_ASSERT_FALSE(inv_is_refusal(1457));
	CU_ASSERT_TRUE(inv_is_refusal(10));
	CU_ASSERT_TRUE(inv_is_refusal(9));
	CU_ASSERT_TRUE(inv_is_refusal(1208));
}

static void
test_lost(void)
{
	struct inv_troubles	 ts = { MAP_INIT, 0 };
	struct inv_lost		 lost = { MAP_INIT };
	struct plan_step	 s;

	/* a database that cannot be made takes all of it along */
	step(&s, PLAN_CREATE_DB, "shop", NULL, NULL, NULL);
	inv_troubles_put(&ts, &s, 1454, "no", 1000);
	CU_ASSERT_FALSE(inv_step_ready(&lost, &ts, &s, 1500));
	step(&s, PLAN_CREATE_COLL, "shop", "a", NULL, NULL);
	CU_ASSERT_FALSE(inv_step_ready(&lost, &ts, &s, 1500));
	step(&s, PLAN_CREATE_COLL, "other", "a", NULL, NULL);
	CU_ASSERT_TRUE(inv_step_ready(&lost, &ts, &s, 1500));
	inv_lost_free(&lost);
	/* its time has come */
	step(&s, PLAN_CREATE_DB, "shop", NULL, NULL, NULL);
	CU_ASSERT_TRUE(inv_step_ready(&lost, &ts, &s, 2000));
	inv_troubles_free(&ts);
	/* a drop that waits holds what comes in its place, and its likes */
	step(&s, PLAN_DROP_COLL, "shop", "a", NULL, NULL);
	s.hold = PLAN_UNCONFIRMED;
	CU_ASSERT_FALSE(inv_step_ready(&lost, &ts, &s, 0));
	step(&s, PLAN_CREATE_COLL, "shop", "a", NULL, NULL);
	CU_ASSERT_FALSE(inv_step_ready(&lost, &ts, &s, 0));
	step(&s, PLAN_CREATE_COLL, "shop", "b", NULL, "a");
	CU_ASSERT_FALSE(inv_step_ready(&lost, &ts, &s, 0));
	step(&s, PLAN_CREATE_INDEX, "shop", "b", "x", NULL);
	CU_ASSERT_FALSE(inv_step_ready(&lost, &ts, &s, 0));
	/* an index that fails holds nothing */
	step(&s, PLAN_CREATE_INDEX, "shop", "c", "x", NULL);
	inv_step_lose(&lost, &s);
	step(&s, PLAN_CREATE_INDEX, "shop", "c", "y", NULL);
	CU_ASSERT_TRUE(inv_step_ready(&lost, &ts, &s, 0));
	inv_lost_free(&lost);
}

/* ---- samples ----------------------------------------------------------- */

static void
test_samples(void)
{
	struct inv_samples	 x = { .n = 0 };

	CU_ASSERT_TRUE(inv_sample_fits(&x, 2, "s120"));
	CU_ASSERT_TRUE(inv_sample_fits(&x, 2, "s120"));
	CU_ASSERT_TRUE(inv_sample_fits(&x, 0, "s99"));
	/* same shard for two indexes, two shards for one, wrong order */
	CU_ASSERT_FALSE(inv_sample_fits(&x, 1, "s120"));
	CU_ASSERT_FALSE(inv_sample_fits(&x, 2, "s121"));
	CU_ASSERT_FALSE(inv_sample_fits(&x, 1, "s98"));
	CU_ASSERT_TRUE(inv_sample_fits(&x, 1, "s100"));
	CU_ASSERT_FALSE(inv_sample_fits(&x, 3, "shard"));
}

/* ---- arrival ----------------------------------------------------------- */

/* reader NULL: not said; 0 or an error. */
static int
arrive(struct inv_arrival *x, const char *db, const char *reader, unsigned ms,
    uint64_t now, bool *changed)
{
	struct inv_view		*v = view_of("S", db, "");
	struct json_object	*o = structure_to_json(v->st), *m;
	struct err_msg		 why;
	char			*text;
	int			 r;

	m = json_object_new_object();
	if (reader != NULL)
		json_set_string(m, "reader", reader);
	json_set_uint(m, "ms", ms);
	json_set(m, "views", json_object_get(v->views));
	json_set(o, "x", m);
	text = json_to_text(o);
	inv_arrival_put(x, text, strlen(text), now);
	r = inv_arrival_take(x, changed, &why);
	free(text);
	json_object_put(o);
	inv_view_free(&v);
	return r;
}

static void
test_arrival(void)
{
	struct inv_arrival	 x = { .arrived_ms = 0 };
	struct err_msg		 m;
	bool			 changed;

	CU_ASSERT_EQUAL(inv_arrival_take(&x, &changed, &m), 0);
	CU_ASSERT_PTR_NULL(x.st);
	CU_ASSERT_EQUAL(arrive(&x, "a:b:1:1", "me", 500, 9000, &changed), 0);
	CU_ASSERT_TRUE(changed);
	CU_ASSERT_EQUAL(x.read_ms, 9000);
	CU_ASSERT_EQUAL(json_object_array_length(x.views), 1);
	/* late on its way, read ten seconds after */
	CU_ASSERT_EQUAL(arrive(&x, "a:b:1:1", "me", 10500, 60000, &changed),
	    0);
	CU_ASSERT_FALSE(changed);
	CU_ASSERT_EQUAL(x.read_ms, 19000);
	/* the same read once more */
	CU_ASSERT_EQUAL(arrive(&x, "a:b:1:1", "me", 10500, 61000, &changed),
	    0);
	CU_ASSERT_EQUAL(x.read_ms, 19000);
	/* another reader has another clock */
	CU_ASSERT_EQUAL(arrive(&x, "a:b:1:2", "you", 7, 62000, &changed), 0);
	CU_ASSERT_TRUE(changed);
	CU_ASSERT_EQUAL(x.read_ms, 62000);
	CU_ASSERT_EQUAL(arrive(&x, "a:b:1:2", NULL, 9, 61000, &changed), 0);
	CU_ASSERT_EQUAL(x.read_ms, 62000);
	/* nonsense is an error until something better comes */
	inv_arrival_put(&x, "{\"format\":99}", 13, 63000);
	CU_ASSERT_EQUAL(inv_arrival_take(&x, &changed, &m), ERR_FORMAT);
	CU_ASSERT_EQUAL(inv_arrival_take(&x, &changed, &m), ERR_FORMAT);
	CU_ASSERT_PTR_NOT_NULL(x.st);
	inv_arrival_put(&x, "\0{", 2, 63000);
	CU_ASSERT_EQUAL(inv_arrival_take(&x, &changed, &m), ERR_FORMAT);
	CU_ASSERT_EQUAL(arrive(&x, "a:b:1:2", NULL, 9, 64000, &changed), 0);
	CU_ASSERT_EQUAL(*m.text != '\0', 1);
	CU_ASSERT_EQUAL(inv_arrival_take(&x, &changed, &m), 0);
	CU_ASSERT_EQUAL(*m.text, '\0');
	inv_arrival_free(&x);
}

UNIT_MAIN("inventory",
    { "what is made from what is recorded, and pairs follow", test_records },
    { "records that were written count", test_apply },
    { "shards that do not belong together are no pair", test_misplaced },
    { "a drop of a pair that runs is seen", test_hit },
    { "notes: one of a kind, each name once", test_notes },
    { "notes: drops that wait for a second look", test_waiting },
    { "what failed comes again later, as long as it is wanted",
	test_troubles },
    { "what will not change by itself is a refusal", test_refusals },
    { "what needs something that failed waits with it", test_lost },
    { "samples tell whether shards are in the same order", test_samples },
    { "reads are as far apart as their reader says", test_arrival })
