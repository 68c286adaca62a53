/* test_plan.c - tests of structures and of the plans that make them equal */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fsx.h"
#include "json/get.h"
#include "sync/plan.h"
#include "sync/structure.h"
#include "unit.h"

/* ---- a Plan in few words ------------------------------------------------ */

/*
 * "db NAME [single] [building]; c NAME CID [word...]; ..." in this order.
 * Words of a collection: shards=N rf=N wc=N like=CID keys=A type=3 smart
 * strategy=S building deleted wfs schema=TEXT auto sat
 * idx=NAME:TYPE:FIELD[:unique] (several), building-idx.
 * A _system database is there always, and _graphs in each.
 */
static struct json_object *
plan_db_of(struct json_object *plan, const char *name, const char *words)
{
	struct json_object	*db = json_object_new_object(), *colls;

	json_set_string(db, "name", name);
	json_set_string(db, "id", "1");
	if (words != NULL && strstr(words, "single") != NULL)
		json_set_string(db, "sharding", "single");
	if (words != NULL && strstr(words, "building") != NULL)
		json_set_bool(db, "isBuilding", true);
	json_set(json_at(plan, "Databases"), name, db);
	colls = json_object_new_object();
	json_set(json_at(plan, "Collections"), name, colls);
	return colls;
}

static void
add_index(struct json_object *list, char *text)
{
	struct json_object	*x = json_object_new_object(), *f;
	char			*save = NULL, *word;

	json_set_string(x, "id", "777");
	json_set_string(x, "name", strtok_r(text, ":", &save));
	json_set_string(x, "type", strtok_r(NULL, ":", &save));
	f = json_object_new_array();
	json_object_array_add(f, json_object_new_string(
	    strtok_r(NULL, ":", &save)));
	json_set(x, "fields", f);
	word = strtok_r(NULL, ":", &save);
	json_set_bool(x, "unique", word != NULL &&
	    strcmp(word, "unique") == 0);
	json_set_bool(x, "sparse", false);
	if (word != NULL && strcmp(word, "building") == 0)
		json_set_bool(x, "isBuilding", true);
	json_object_array_add(list, x);
}

static void
coll_word(struct json_object *c, char *w)
{
	struct json_object	*o;
	char			*v = strchr(w, '=');

	if (v != NULL)
		*v++ = '\0';
	if (strcmp(w, "shards") == 0)
		json_set_int(c, "numberOfShards", atoi(v));
	else if (strcmp(w, "rf") == 0)
		json_set_int(c, "replicationFactor", atoi(v));
	else if (strcmp(w, "sat") == 0)
		json_set_string(c, "replicationFactor", "satellite");
	else if (strcmp(w, "wc") == 0)
		json_set_int(c, "writeConcern", atoi(v));
	else if (strcmp(w, "like") == 0)
		json_set_string(c, "distributeShardsLike", v);
	else if (strcmp(w, "type") == 0)
		json_set_int(c, "type", atoi(v));
	else if (strcmp(w, "strategy") == 0)
		json_set_string(c, "shardingStrategy", v);
	else if (strcmp(w, "smart") == 0)
		json_set_bool(c, "isSmart", true);
	else if (strcmp(w, "child") == 0)
		json_set_bool(c, "isSmartChild", true);
	else if (strcmp(w, "building") == 0)
		json_set_bool(c, "isBuilding", true);
	else if (strcmp(w, "deleted") == 0)
		json_set_bool(c, "deleted", true);
	else if (strcmp(w, "wfs") == 0)
		json_set_bool(c, "waitForSync", true);
	else if (strcmp(w, "auto") == 0) {
		o = json_object_new_object();
		json_set_string(o, "type", "autoincrement");
		json_set_int(o, "lastValue", 99);
		json_set(c, "keyOptions", o);
	} else if (strcmp(w, "schema") == 0) {
		o = json_object_new_object();
		json_set_string(o, "message", v);
		json_set_string(o, "level", "strict");
		json_set(c, "schema", o);
	} else if (strcmp(w, "keys") == 0) {
		o = json_object_new_array();
		json_object_array_add(o, json_object_new_string(v));
		json_set(c, "shardKeys", o);
	} else if (strcmp(w, "idx") == 0)
		add_index(json_at(c, "indexes"), v);
	else
		printf("# unknown word %s\n", w);
}

static void
add_coll(struct json_object *colls, const char *name, const char *cid,
    char *words)
{
	struct json_object	*c = json_object_new_object(), *o;
	char			*save = NULL, *w;

	json_set_string(c, "name", name);
	json_set_string(c, "id", cid);
	json_set_int(c, "type", 2);
	json_set_bool(c, "isSystem", *name == '_');
	json_set_int(c, "numberOfShards", 1);
	json_set_int(c, "replicationFactor", 2);
	json_set_int(c, "writeConcern", 1);
	json_set_string(c, "shardingStrategy", "hash");
	o = json_object_new_object();
	json_set_string(o, "type", "traditional");
	json_set_bool(o, "allowUserKeys", true);
	json_set(c, "keyOptions", o);
	o = json_object_new_array();
	json_object_array_add(o, json_object_new_string("_key"));
	json_set(c, "shardKeys", o);
	o = json_object_new_array();
	json_object_array_add(o, json_tokener_parse("{\"id\":\"0\",\"type\":"
	    "\"primary\",\"name\":\"primary\",\"fields\":[\"_key\"]}"));
	json_set(c, "indexes", o);
	for (w = strtok_r(words, " ", &save); w != NULL;
	    w = strtok_r(NULL, " ", &save))
		coll_word(c, w);
	json_set(colls, cid, c);
}

static struct json_object *
plan_of(const char *text)
{
	struct json_object	*plan = json_object_new_object(), *colls;
	char			*copy = xstrdup(text), *save = NULL, *save2,
				*s, *name, *cid, none[1] = "";
	unsigned int		 graphs = 5;
	char			 id[16];

	json_set(plan, "Databases", json_object_new_object());
	json_set(plan, "Collections", json_object_new_object());
	json_set_int(plan, "Version", 7);
	colls = plan_db_of(plan, "_system", NULL);
	add_coll(colls, "_graphs", "4", none);
	for (s = strtok_r(copy, ";", &save); s != NULL;
	    s = strtok_r(NULL, ";", &save)) {
		save2 = NULL;
		s = strtok_r(s, " ", &save2);
		if (s == NULL)
			continue;
		name = strtok_r(NULL, " ", &save2);
		if (strcmp(s, "db") == 0) {
			colls = plan_db_of(plan, name, save2);
			snprintf(id, sizeof(id), "%u", graphs++);
			add_coll(colls, "_graphs", id, none);
			continue;
		}
		cid = strtok_r(NULL, " ", &save2);
		add_coll(colls, name, cid, save2 != NULL ? save2 : none);
	}
	free(copy);
	return plan;
}

/* Through JSON once, as it travels. */
static struct structure *
structure_of(const char *text, const char *cluster)
{
	struct json_object	*plan = plan_of(text), *sent;
	struct structure	*st = NULL, *back = NULL;
	struct err_msg		 m;

	m.text[0] = '\0';
	if (structure_from_plan(plan, cluster, &st, &m) != 0) {
		printf("# %s\n", m.text);
		CU_FAIL_FATAL("no structure");
	}
	sent = structure_to_json(st);
	if (structure_from_json(sent, &back, &m) != 0) {
		printf("# %s\n", m.text);
		CU_FAIL_FATAL("no structure after the journey");
	}
	json_object_put(sent);
	json_object_put(plan);
	structure_free(&st);
	return back;
}

/* ---- stories ------------------------------------------------------------ */

static const char	*made_from_cid;

static const char *
made_from(void *arg, const char *db, const char *coll)
{
	return arg == NULL && *db != '_' && *coll != '_' ? made_from_cid :
	    NULL;
}

static bool
no_logs(void *arg, const char *db, const char *coll)
{
	return arg == NULL && strcmp(db, "logs") != 0 &&
	    (coll == NULL || strcmp(coll, "tmp") != 0);
}

enum {
	O_COMMUNITY	= 1,
	O_OLD		= 2,	/* target 3.9 */
	O_ONE_SERVER	= 4,
	O_FROM_77	= 8,	/* the target was made from cid 77 */
	O_FILTER	= 16
};

static const struct {
	const char	*what, *source, *target;
	int		 opts;
	const char	*plan;		/* sentences, "\n" behind each */
} stories[] = {
	{ "equal, whatever the ids",
	    "db shop; c orders 10 shards=3 idx=i:persistent:a",
	    "db shop; c orders 6010 shards=3 idx=i:persistent:a", 0, "" },
	{ "everything is new",
	    "db shop; c lines 11 type=3 like=10; c orders 10 shards=3 "
	    "idx=i:persistent:a:unique; c args 12",
	    "", 0,
	    "create database shop\n"
	    "create collection shop/args with 1 shard\n"
	    "create collection shop/orders with 3 shards\n"
	    "create unique persistent index i on shop/orders over a\n"
	    "create edge collection shop/lines with 1 shard like orders\n" },
	{ "followers go before their prototype",
	    "db shop", "db shop; c proto 10; c follower 11 like=10", 0,
	    "drop collection shop/follower: it is not at the source\n"
	    "drop collection shop/proto: it is not at the source\n" },
	{ "another sharding: dropped and made again (R12)",
	    "db shop; c orders 10 shards=3 idx=i:persistent:a",
	    "db shop; c orders 20 shards=4", 0,
	    "drop collection shop/orders: number of shards is 4, not 3\n"
	    "create collection shop/orders with 3 shards\n"
	    "create persistent index i on shop/orders over a\n" },
	{ "other shard keys", "db shop; c orders 10 keys=a",
	    "db shop; c orders 20", 0,
	    "drop collection shop/orders: shardKeys is [\"_key\"], not "
	    "[\"a\"]\n"
	    "create collection shop/orders with 1 shard\n" },
	{ "another type", "db shop; c orders 10 type=3",
	    "db shop; c orders 20", 0,
	    "drop collection shop/orders: type is 2, not 3\n"
	    "create edge collection shop/orders with 1 shard\n" },
	{ "other keys", "db shop; c orders 10 auto", "db shop; c orders 20",
	    0, "drop collection shop/orders: what cannot be changed later is "
	    "{}, not {\"keyOptions\":{\"type\":\"autoincrement\"}}\n"
	    "create collection shop/orders with 1 shard\n" },
	{ "a prototype takes its followers with it",
	    "db shop; c proto 10 shards=2; c f 11 like=10 shards=2",
	    "db shop; c proto 20 shards=3; c f 21 like=20 shards=3", 0,
	    "drop collection shop/f: number of shards is 3, not 2\n"
	    "drop collection shop/proto: number of shards is 3, not 2\n"
	    "create collection shop/proto with 2 shards\n"
	    "create collection shop/f with 2 shards like proto\n" },
	{ "a prototype of another strategy, followers look the same",
	    "db shop; c proto 10; c f 11 like=10",
	    "db shop; c proto 20 strategy=community-compat; c f 21 like=20",
	    0,
	    "drop collection shop/f: proto, which it is sharded like, is "
	    "dropped\n"
	    "drop collection shop/proto: shardingStrategy is "
	    "community-compat, not hash\n"
	    "create collection shop/proto with 1 shard\n"
	    "create collection shop/f with 1 shard like proto\n" },
	{ "made again at the source under the same name",
	    "db shop; c orders 78", "db shop; c orders 20", O_FROM_77,
	    "drop collection shop/orders: it was dropped and made again at "
	    "the source (78, was 77)\n"
	    "create collection shop/orders with 1 shard\n" },
	{ "made from this one", "db shop; c orders 77",
	    "db shop; c orders 20", O_FROM_77, "" },
	{ "what can be changed is changed",
	    "db shop; c orders 10 rf=3 wc=2 wfs schema=s",
	    "db shop; c orders 20 schema=t", 0,
	    "change collection shop/orders: replicationFactor is 2, not 3, "
	    "writeConcern is 1, not 2, waitForSync, schema\n" },
	{ "what the source does not want any more",
	    "db shop; c orders 10",
	    "db shop; c orders 20 wfs schema=t", 0,
	    "change collection shop/orders: waitForSync, schema\n" },
	{ "being built or removed is neither there nor gone",
	    "db shop; c a 10 building; c b 11 deleted; c c 12 like=99; "
	    "db new building",
	    "db shop; c a 20; c b 21; c c 22; c d 23 building; db new", 0,
	    "" },
	{ "what is being built at the target is waited for",
	    "db shop; c a 10 shards=2", "db shop; c a 20 building", 0, "" },
	{ "databases come first and go last",
	    "db a; db b", "db b; db old; c x 30", 0,
	    "create database a\n"
	    "drop database old: it is not at the source\n" },
	{ "indexes: missing, surplus, other fields, other name",
	    "db shop; c o 10 idx=new:persistent:a idx=chg:persistent:b "
	    "idx=ren:persistent:c",
	    "db shop; c o 20 idx=old:persistent:z idx=chg:persistent:y "
	    "idx=nam:persistent:c", 0,
	    "drop index chg of shop/o: it differs from the source's\n"
	    "drop index nam of shop/o: it differs from the source's\n"
	    "drop index old of shop/o: it is not at the source\n"
	    "create persistent index chg on shop/o over b\n"
	    "create persistent index new on shop/o over a\n"
	    "create persistent index ren on shop/o over c\n" },
	{ "defaults of indexes are no difference",
	    "db shop; c o 10 idx=t:ttl:e idx=g:geo:l idx=h:hash:x",
	    "db shop; c o 20 idx=h:hash:x idx=g:geo:l idx=t:ttl:e", 0, "" },
	{ "while one is being built none is surplus",
	    "db shop; c o 10 idx=i:persistent:a:building",
	    "db shop; c o 20 idx=j:persistent:b", 0, "" },
	{ "zkd is mdi", "db shop; c o 10 idx=z:zkd:a",
	    "db shop; c o 20 idx=z:mdi:a", 0, "" },
	{ "system collections: content only, own names of indexes",
	    "db _system; c _users 3 idx=idx_17:hash:user:unique; "
	    "c _apps 8 idx=idx_9:hash:mount",
	    "db _system; c _users 3 shards=2 idx=idx_99:hash:user:unique "
	    "idx=own:hash:x; c _apps 9; c _newthing 7", 0,
	    "create hash index idx_9 on _system/_apps over mount\n" },
	{ "jobs go under other names, and keep their indexes",
	    "db _system; c _users 3; c _jobs 10 like=3 idx=idx_1:skiplist:q; "
	    "c _queues 11 like=3",
	    "db _system; c _users 3; c _jobs 4; c _queues 5; "
	    "c _queuesbackup 60 like=3", 0,
	    "create collection _system/_jobsbackup with 1 shard like _users\n"
	    "create skiplist index idx_1 on _system/_jobsbackup over q\n" },
	{ "never: statistics, the web interface, backups of a chain",
	    "db _system; c _statisticsRaw 3; c _frontend 4; c _jobsbackup 5; "
	    "c _analyzers 6", "", 0, "" },
	{ "data in spite of their names",
	    "db shop; c _local_x 10; c _to_y 11; c _own 12", "db shop", 0,
	    "create collection shop/_local_x with 1 shard\n"
	    "create collection shop/_own with 1 shard\n"
	    "create collection shop/_to_y with 1 shard\n" },
	{ "hidden parts of smart edges make themselves",
	    "db shop; c v 9 smart; c e 10 type=3 smart shards=0 like=9; "
	    "c _local_e 11 type=3 child like=9", "db shop", 0,
	    "create collection shop/v with 1 shard\n"
	    "create edge collection shop/e with 0 shards like v\n" },
	{ "Community: smart vertices become ordinary, smart edges are refused",
	    "db shop; c v 9 smart strategy=enterprise-hex-smart-vertex "
	    "shards=3 keys=_key:; c e 10 type=3 smart shards=0 like=9",
	    "db shop", O_COMMUNITY,
	    "create collection shop/v with 3 shards\n"
	    "collection shop/v: it is a smart collection at the source; the "
	    "target's edition has none, so it becomes an ordinary one "
	    "sharded by _key\n"
	    "not replicated: collection shop/e: smart edge collections need "
	    "the Enterprise Edition\n" },
	{ "Community, the second time: nothing to do",
	    "db shop; c v 9 smart strategy=enterprise-hex-smart-vertex "
	    "shards=3 keys=_key:",
	    "db shop; c v 20 shards=3", O_COMMUNITY,
	    "collection shop/v: it is a smart collection at the source; the "
	    "target's edition has none, so it becomes an ordinary one "
	    "sharded by _key\n" },
	{ "Community: satellites become ordinary",
	    "db shop; c s 9 sat", "db shop", O_COMMUNITY,
	    "create collection shop/s with 1 shard\n"
	    "collection shop/s: it is a satellite collection at the source; "
	    "the target's edition has none, so it becomes an ordinary one\n" },
	{ "Enterprise: satellites stay what they are",
	    "db shop; c s 9 sat", "db shop; c s 20", 0,
	    "drop collection shop/s: replicationFactor is a number, not "
	    "satellite\n"
	    "create collection shop/s with 1 shard\n" },
	{ "an older target cannot take some indexes",
	    "db shop; c o 10 idx=i:inverted:a idx=z:zkd:b", "db shop; c o 20",
	    O_OLD,
	    "create zkd index z on shop/o over b\n"
	    "not replicated: index i of shop/o: inverted indexes need version "
	    "3.10\n" },
	{ "a small target has fewer copies",
	    "db shop; c o 10 rf=3 wc=2", "db shop; c o 20 rf=1",
	    O_ONE_SERVER,
	    "collection shop/o: replicationFactor is 1 instead of 3, as the "
	    "target has no more DB-servers\n" },
	{ "excluded: left out at the source, alone at the target",
	    "db logs; c x 10; db shop; c tmp 11; c o 12",
	    "db shop; c tmp 21 shards=9; c o 22; db other", O_FILTER,
	    "drop database other: it is not at the source\n" },
	{ "a database that cannot become single",
	    "db one single", "db one", 0,
	    "database one: its sharding (single or not) differs, which "
	    "cannot be changed\n" }
};

static void
set_opts(struct plan_opts *o, int flags)
{
	static const struct plan_opts	 dflt = PLAN_OPTS_INIT;

	*o = dflt;
	o->community = (flags & O_COMMUNITY) != 0;
	if ((flags & O_OLD) != 0)
		o->version = 30900;
	if ((flags & O_ONE_SERVER) != 0)
		o->dbservers = 1;
	if ((flags & O_FILTER) != 0)
		o->wanted = no_logs;
	made_from_cid = (flags & O_FROM_77) != 0 ? "77" : NULL;
	o->made_from = made_from;
}

static void
print_plan(struct buf *b, const struct plan *p)
{
	size_t		 i;

	buf_reset(b);
	for (i = 0; i < p->n; i++) {
		plan_step_sentence(b, &p->steps[i]);
		buf_append_u8(b, '\n');
	}
	for (i = 0; i < p->nnotes; i++) {
		plan_note_sentence(b, &p->notes[i]);
		buf_append_u8(b, '\n');
	}
}

static void
test_stories(void)
{
	struct structure	*s, *t;
	struct plan_opts	 o;
	struct plan		*p;
	struct buf		 b = BUF_INIT;
	struct json_object	*json;
	size_t			 i;

	for (i = 0; i < NITEMS(stories); i++) {
		s = structure_of(stories[i].source, "S");
		t = structure_of(stories[i].target, "T");
		set_opts(&o, stories[i].opts);
		CU_ASSERT_EQUAL_FATAL(plan_make(s, t, &o, NULL, 1, &p, NULL),
		    0);
		print_plan(&b, p);
		if (strcmp(buf_cstr(&b), stories[i].plan) != 0) {
			printf("# %s:\n# --- got\n%s# --- want\n%s",
			    stories[i].what, (char *)b.data, stories[i].plan);
			CU_FAIL("another plan");
		}
		json = plan_to_json(p);
		CU_ASSERT_EQUAL(json_object_array_length(
		    json_at(json, "steps")), p->n);
		json_object_put(json);
		plan_free(&p);
		structure_free(&s);
		structure_free(&t);
	}
	buf_free(&b);
}

/* What a created collection is sent as. */
static void
test_body(void)
{
	struct structure	*s;
	struct plan_opts	 o;
	struct json_object	*body;
	char			*text;

	s = structure_of("db shop; c o 10 shards=3 keys=a rf=5 wc=3 wfs auto; "
	    "c f 11 like=10 rf=5", "S");
	set_opts(&o, 0);
	o.max_rf = 2;
	body = plan_coll_body(structure_coll(structure_db(s, "shop"), "o"),
	    "shop", &o, NULL);
	text = structure_text(body);
	CU_ASSERT_STRING_EQUAL(text, "{\"keyOptions\":{\"type\":"
	    "\"autoincrement\"},\"name\":\"o\",\"numberOfShards\":3,"
	    "\"replicationFactor\":2,\"shardKeys\":[\"a\"],"
	    "\"shardingStrategy\":\"hash\",\"type\":2,\"waitForSync\":true,"
	    "\"writeConcern\":2}");
	free(text);
	json_object_put(body);
	structure_free(&s);
}

/* ---- drops wait --------------------------------------------------------- */

static struct plan *
at(struct plan_memory *mem, const char *source, const char *target,
    struct plan_opts *o, uint64_t ms)
{
	struct structure	*s = structure_of(source, "S");
	struct structure	*t = structure_of(target, "T");
	struct plan		*p = NULL;

	CU_ASSERT_EQUAL_FATAL(plan_make(s, t, o, mem, ms, &p, NULL), 0);
	structure_free(&s);
	structure_free(&t);
	return p;
}

static void
test_two_reads(void)
{
	struct plan_memory	*mem = plan_memory_new();
	struct plan_opts	 o;
	struct plan		*p;
	static const char	 gone[] = "db shop; c a 10";
	static const char	 there[] = "db shop; c a 10; c b 11";
	static const char	 target[] = "db shop; c a 20; c b 21; db old";
	static const struct {
		const char	*source;
		uint64_t	 ms;
		bool		 go;
	} reads[] = {
		{ gone, 1000, false }, { gone, 6000, false },
		{ gone, 10999, false }, { gone, 11000, true },
		/* it was there in between: the time begins anew */
		{ there, 12000, true }, { gone, 13000, false },
		{ gone, 22999, false }, { gone, 23000, true }
	};
	size_t			 i;

	set_opts(&o, 0);
	for (i = 0; i < NITEMS(reads); i++) {
		p = at(mem, reads[i].source, target, &o, reads[i].ms);
		if (reads[i].source == there) {
			CU_ASSERT_EQUAL(p->n, 1);
		} else {
			CU_ASSERT_EQUAL_FATAL(p->n, 2);
			CU_ASSERT_EQUAL(p->steps[0].kind, PLAN_DROP_COLL);
			CU_ASSERT_EQUAL(p->steps[0].hold, reads[i].go ?
			    PLAN_GO : PLAN_UNCONFIRMED);
			CU_ASSERT_EQUAL(p->waits, !reads[i].go);
		}
		plan_free(&p);
	}
	/* a prototype waits for its followers, and what is made again, too */
	p = at(mem, "db shop; c p 10", "db shop; c p 20; c f 21 like=20", &o,
	    30000);
	plan_free(&p);
	p = at(mem, "db shop; c p 10 shards=2",
	    "db shop; c p 20; c f 21 like=20", &o, 45000);
	CU_ASSERT_EQUAL_FATAL(p->n, 3);
	CU_ASSERT_EQUAL(p->steps[0].hold, PLAN_GO);
	CU_ASSERT_EQUAL(p->steps[1].kind, PLAN_DROP_COLL);
	CU_ASSERT_EQUAL(p->steps[1].hold, PLAN_UNCONFIRMED);
	CU_ASSERT_EQUAL(p->steps[2].kind, PLAN_CREATE_COLL);
	CU_ASSERT_EQUAL(p->steps[2].hold, PLAN_UNCONFIRMED);
	plan_free(&p);
	plan_memory_free(&mem);
}

static void
many(struct buf *b, unsigned int n)
{
	unsigned int	 i;

	buf_reset(b);
	buf_append_str(b, "db shop");
	for (i = 0; i < n; i++)
		buf_printf(b, "; c c%u %u", i, 100 + i);
}

static void
test_mass_drop(void)
{
	struct plan_opts	 o;
	struct plan		*p;
	struct buf		 t = BUF_INIT, s = BUF_INIT;

	set_opts(&o, 0);
	many(&t, 41);
	many(&s, 20);
	p = at(NULL, buf_cstr(&s), buf_cstr(&t), &o, 1);
	CU_ASSERT_EQUAL(p->drops, 21);
	CU_ASSERT_TRUE(p->guarded);
	CU_ASSERT_EQUAL(p->steps[0].hold, PLAN_MASS_DROP);
	plan_free(&p);
	/* the whole database */
	p = at(NULL, "", buf_cstr(&t), &o, 1);
	CU_ASSERT_EQUAL(p->drops, 41);
	CU_ASSERT_EQUAL(p->steps[0].hold, PLAN_MASS_DROP);
	plan_free(&p);
	o.allow_mass_drop = true;
	p = at(NULL, "", buf_cstr(&t), &o, 1);
	CU_ASSERT_FALSE(p->guarded);
	CU_ASSERT_EQUAL(p->steps[0].hold, PLAN_GO);
	plan_free(&p);
	o.allow_mass_drop = false;
	o.first = true;
	p = at(NULL, "", buf_cstr(&t), &o, 1);
	CU_ASSERT_FALSE(p->guarded);
	plan_free(&p);
	o.first = false;
	/* not more than half, or few */
	many(&s, 21);
	p = at(NULL, buf_cstr(&s), buf_cstr(&t), &o, 1);
	CU_ASSERT_FALSE(p->guarded);
	plan_free(&p);
	many(&t, 20);
	p = at(NULL, "db shop", buf_cstr(&t), &o, 1);
	CU_ASSERT_EQUAL(p->drops, 20);
	CU_ASSERT_FALSE(p->guarded);
	plan_free(&p);
	buf_free(&s);
	buf_free(&t);
}

static void
test_pinned(void)
{
	struct structure	*s = structure_of("", "S");
	struct structure	*t = structure_of("db x", "T");
	struct plan_opts	 o;
	struct plan		*p = NULL;
	struct err_msg		 m;

	set_opts(&o, 0);
	o.pinned_cluster = "R";
	CU_ASSERT_EQUAL(plan_make(s, t, &o, NULL, 1, &p, &m), ERR_DENIED);
	CU_ASSERT_PTR_NULL(p);
	CU_ASSERT_PTR_NOT_NULL(strstr(m.text, "cluster S, not R"));
	o.pinned_cluster = "S";
	CU_ASSERT_EQUAL(plan_make(s, t, &o, NULL, 1, &p, &m), 0);
	plan_free(&p);
	CU_ASSERT_EQUAL(plan_make(t, t, &(struct plan_opts)PLAN_OPTS_INIT,
	    NULL, 1, &p, &m), ERR_DENIED);
	CU_ASSERT_PTR_NOT_NULL(strstr(m.text, "same cluster"));
	structure_free(&s);
	structure_free(&t);
}

/* ---- half a Plan is none ------------------------------------------------ */

static void
test_bad_plans(void)
{
	static const char *const bad[] = {
		"{}", "[]", "null", "{\"Databases\":{}}",
		"{\"Databases\":{},\"Collections\":{}}",
		"{\"Databases\":{\"_system\":{}},\"Collections\":{}}",
		"{\"Databases\":{\"_system\":7},\"Collections\":{\"_system\":"
		    "{}}}",
		"{\"Databases\":{\"_system\":{}},\"Collections\":[]}",
		"{\"Databases\":{\"_system\":{}},\"Collections\":{\"_system\":"
		    "{\"1\":{}}}}",
		"{\"Databases\":{\"_system\":{}},\"Collections\":{\"_system\":"
		    "{\"1\":{\"name\":\"a\",\"type\":2}}}}",
		"{\"Databases\":{\"_system\":{}},\"Collections\":{\"_system\":"
		    "{\"1\":{\"name\":\"a\",\"type\":9,\"shardKeys\":[]}}}}",
		"{\"Databases\":{\"_system\":{}},\"Collections\":{\"_system\":"
		    "{\"1\":{\"name\":\"a\",\"type\":2,\"shardKeys\":[7]}}}}",
		"{\"Databases\":{\"_system\":{}},\"Collections\":{\"_system\":"
		    "{\"1\":{\"name\":\"a\",\"type\":2,\"shardKeys\":[]},"
		    "\"2\":{\"name\":\"a\",\"type\":2,\"shardKeys\":[]}}}}",
		"{\"Databases\":{\"_system\":{}},\"Collections\":{\"_system\":"
		    "{\"1\":{\"name\":\"a\",\"type\":2,\"shardKeys\":[],"
		    "\"indexes\":[1]}}}}"
	};
	struct json_object	*o;
	struct structure	*st = NULL;
	struct err_msg		 m;
	size_t			 i;

	for (i = 0; i < NITEMS(bad); i++) {
		m.text[0] = '\0';
		CU_ASSERT_EQUAL(json_parse(bad[i], strlen(bad[i]), &o, NULL),
		    0);
		if (structure_from_plan(o, "S", &st, &m) == 0 ||
		    st != NULL || m.text[0] == '\0')
			CU_FAIL(bad[i]);
		CU_ASSERT_TRUE(structure_from_json(o, &st, &m) < 0);
		json_object_put(o);
	}
}

/* ---- recorded clusters -------------------------------------------------- */

static struct structure *
recorded(const char *name)
{
	struct json_object	*o, *a;
	struct structure	*st = NULL;
	struct buf		 b = BUF_INIT;
	struct err_msg		 m;
	char			*path;

	path = xasprintf("%s/agency/%s", unit_fixtures(), name);
	if (fsx_read_file(path, 64 << 20, &b) == 0 &&
	    json_parse((char *)b.data, b.len, &o, &m) == 0) {
		a = json_at(o, "agency.arango");
		if (structure_from_plan(json_at(a, "Plan"),
		    json_string_or(a, "Cluster", ""), &st, &m) != 0)
			printf("# %s: %s\n", name, m.text);
		json_object_put(o);
	}
	buf_free(&b);
	free(path);
	return st;
}

/*
 * A source and a target of the original: what it had made there is what our
 * plan wants, so there is nothing to do.
 */
static void
test_recorded(void)
{
	static const char *const others[] = { "agency_dump.3.8.json",
	    "agency_dump.3.9.json", "agency_dump.3.9.satellite.json" };
	struct structure	*s, *t;
	struct plan_opts	 o;
	struct plan		*p;
	struct buf		 b = BUF_INIT;
	size_t			 i;

	if (unit_fixtures() == NULL) {
		unit_skip("FIXTURES is not set");
		return;
	}
	s = recorded("sync.source.json");
	t = recorded("sync.target.json");
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	set_opts(&o, 0);
	CU_ASSERT_EQUAL_FATAL(plan_make(s, t, &o, NULL, 1, &p, NULL), 0);
	print_plan(&b, p);
	if (b.len != 0) {
		printf("# %s", (char *)buf_cstr(&b));
		CU_FAIL("steps between two recorded equal clusters");
	}
	plan_free(&p);
	/* the other way round: backups are no data */
	CU_ASSERT_EQUAL_FATAL(plan_make(t, s, &o, NULL, 1, &p, NULL), 0);
	print_plan(&b, p);
	CU_ASSERT_PTR_NULL(strstr(buf_cstr(&b), "drop"));
	plan_free(&p);
	structure_free(&s);
	structure_free(&t);
	for (i = 0; i < NITEMS(others); i++) {
		s = recorded(others[i]);
		CU_ASSERT_PTR_NOT_NULL(s);
		structure_free(&s);
	}
	buf_free(&b);
}

static void
test_one_to_one(void)
{
	struct structure	*s = structure_of("db d; c a 1 shards=2; "
	    "c b 2 shards=2 keys=x; c v 3 smart; c _apps 4", "S");
	struct structure_db	*db = structure_db(s, "d");

	CU_ASSERT_TRUE(structure_one_to_one(structure_coll(db, "a"),
	    structure_coll(db, "a")));
	CU_ASSERT_FALSE(structure_one_to_one(structure_coll(db, "a"),
	    structure_coll(db, "b")));
	CU_ASSERT_FALSE(structure_one_to_one(structure_coll(db, "_apps"),
	    structure_coll(db, "_apps")));
	CU_ASSERT_FALSE(structure_one_to_one(structure_coll(db, "v"),
	    structure_coll(db, "a")));
	structure_free(&s);
}

UNIT_MAIN("plan",
    { "stories of two structures", test_stories },
    { "a collection as it is created", test_body },
    { "drops need two reads ten seconds apart (R19)", test_two_reads },
    { "a mass drop waits for permission (R19)", test_mass_drop },
    { "another source than the pinned one changes nothing", test_pinned },
    { "half a Plan is an error", test_bad_plans },
    { "recorded clusters", test_recorded },
    { "one-to-one shards", test_one_to_one })
