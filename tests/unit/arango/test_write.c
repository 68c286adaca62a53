/* test_write.c - batches, dumps, documents by key, definitions */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arango/conn.h"
#include "arango/snapshot.h"
#include "arango/structure.h"
#include "arango/write.h"
#include "base/err.h"
#include "base/str.h"
#include "ev/fiber.h"
#include "fake.h"
#include "http/client.h"
#include "json/get.h"
#include "unit.h"
#include "vpack/rev.h"
#include "vpack/vpack.h"

static struct fake	 f;
static struct arango	*a;

static void
run(http_handler *handler, void (*fn)(void *))
{
	fake_begin();
	fake_start(&f, handler, NULL);
	a = fake_cluster(f.url, NULL);
	fake_run(fn, NULL);
	fake_turn(30);
	arango_free(&a);
	fake_stop(&f);
	fake_end();
}

/* ---- results ------------------------------------------------------------ */

static void
test_conflict(void)
{
	static const char	 text[] = "unique constraint violated - in "
				    "index idx 17 of type persistent over "
				    "'a, b'; conflicting key: 4711:x;y";
	char			*key, *index;

	arango_parse_conflict(text, strlen(text), &key, &index);
	CU_ASSERT_STRING_EQUAL(key, "4711:x;y");
	CU_ASSERT_STRING_EQUAL(index, "idx 17");
	free(key);
	free(index);
	arango_parse_conflict("in index ", 9, &key, &index);
	CU_ASSERT_PTR_NULL(key);
	CU_ASSERT_PTR_NULL(index);
	arango_parse_conflict("conflicting key: ", 17, &key, &index);
	CU_ASSERT_PTR_NULL(key);
}

static int
parse(const char *text, bool remove, size_t count,
    struct arango_write_result *res)
{
	memset(res, 0, sizeof(*res));
	return arango_write_parse((const uint8_t *)text, strlen(text), false,
	    remove, count, res);
}

static void
test_results(void)
{
	static const char	 some[] = "[{\"_key\":\"a\",\"_rev\":\"x\"}, "
				    "{\"error\":true,\"errorNum\":1202,"
				    "\"errorMessage\":\"n\\u006ft\"},"
				    "{\"errorMessage\":\"in index i of type p "
				    "over 'x'; conflicting key: k\","
				    "\"errorNum\":1210,\"error\":true}]";
	static const char *const bad[] = { "[", "[{]", "hello", "<html>",
	    "[{\"errorNum\":\"x\"}]", "[{\"errorNum\":-1}]", "[{},{},{},{}]",
	    "[{\"errorNum\":99999999}]", "7" };
	struct arango_write_result	 res;
	size_t				 i;

	CU_ASSERT_EQUAL(parse(some, false, 3, &res), 0);
	CU_ASSERT_EQUAL(res.nerrors, 2);
	CU_ASSERT_EQUAL(res.errors[0].pos, 1);
	CU_ASSERT_EQUAL(res.errors[0].num, 1202);
	CU_ASSERT_STRING_EQUAL(res.errors[0].text, "not");
	CU_ASSERT_EQUAL(res.errors[1].pos, 2);
	CU_ASSERT_STRING_EQUAL(res.errors[1].conflict, "k");
	CU_ASSERT_STRING_EQUAL(res.errors[1].index, "i");
	arango_write_result_free(&res);
	CU_ASSERT_EQUAL(parse(some, true, 3, &res), 0);
	CU_ASSERT_EQUAL(res.nerrors, 1);
	arango_write_result_free(&res);
	/* Fewer than asked for: nobody knows where. */
	CU_ASSERT_EQUAL(parse(some, false, 5, &res), 0);
	CU_ASSERT_EQUAL(res.errors[0].pos, SIZE_MAX);
	arango_write_result_free(&res);
	CU_ASSERT_EQUAL(parse("{}", false, 3, &res), 0);
	CU_ASSERT_EQUAL(parse("[]", false, 3, &res), 0);
	CU_ASSERT_EQUAL(parse("", false, 3, &res), 0);
	for (i = 0; i < NITEMS(bad); i++) {
		CU_ASSERT_TRUE(parse(bad[i], false, 3, &res) < 0);
		arango_write_result_free(&res);
	}
}

/* ---- batches ------------------------------------------------------------ */

static const char	*codes;		/* x-arango-error-codes */
static const char	*loud_body, *refusal;
static int		 refusal_status;

static void
store(struct http_req *req, void *arg)
{
	bool	 silent;

	fake_note(&f, req);
	if (refusal_status == -1) {
		http_req_drop(req);
		return;
	}
	if (refusal_status != 0) {
		fake_json(req, refusal_status, refusal);
		return;
	}
	silent = strcmp(http_req_query(req, "silent") == NULL ? "" :
	    http_req_query(req, "silent"), "true") == 0;
	if (codes != NULL)
		http_reply_header(req, "x-arango-error-codes", codes);
	fake_json(req, 202, silent ? "[]" : loud_body);
}

static void
put(bool remove, struct arango_write_result *res)
{
	struct arango_write_to	 to = { .cluster = a, .db = "d",
				    .name = "s10" };
	struct arango_write	 w = ARANGO_WRITE_INIT;
	struct buf		 b = BUF_INIT;

	buf_append_str(&b, "[{\"_key\":\"a\"},{\"_key\":\"b\"}]");
	to.server = arango_server_at(a, 0);
	w.body = &b;
	w.count = 2;
	if (remove)
		arango_write_remove(&to, &w, res);
	else
		arango_write_upsert(&to, &w, res);
	buf_free(&b);
}

static void
do_batches(void *arg)
{
	struct arango_write_result	 res;

	codes = refusal = NULL;
	refusal_status = 0;
	loud_body = "[{\"_key\":\"a\"},{\"_key\":\"b\"}]";
	put(false, &res);
	CU_ASSERT_EQUAL(res.err, 0);
	CU_ASSERT_EQUAL(f.requests, 1);
	CU_ASSERT_EQUAL(fake_count(&f, "POST /_db/d/_api/document/s10?"), 1);
	CU_ASSERT_EQUAL(fake_count(&f, "isRestore=true"), 1);
	CU_ASSERT_EQUAL(fake_count(&f, "overwriteMode=replace"), 1);
	CU_ASSERT_EQUAL(fake_count(&f, "silent=true"), 1);
	arango_write_result_free(&res);
	/* Some were refused: once more, to learn which. */
	codes = "{\"1210\":1}";
	loud_body = "[{\"_key\":\"a\"},{\"error\":true,\"errorNum\":1210,"
	    "\"errorMessage\":\"x; conflicting key: zz\"}]";
	put(false, &res);
	CU_ASSERT_EQUAL(res.err, 0);
	CU_ASSERT_EQUAL(f.requests, 3);
	CU_ASSERT_EQUAL(res.nerrors, 1);
	CU_ASSERT_EQUAL(res.errors[0].pos, 1);
	CU_ASSERT_STRING_EQUAL(res.errors[0].conflict, "zz");
	arango_write_result_free(&res);
	/* Not there is what a removal wants. */
	codes = "{\"1202\":2}";
	put(true, &res);
	CU_ASSERT_EQUAL(res.err, 0);
	CU_ASSERT_EQUAL(res.nerrors, 0);
	CU_ASSERT_EQUAL(f.requests, 4);
	CU_ASSERT_EQUAL(fake_count(&f, "DELETE /_db/d/_api/document/s10?"), 1);
	arango_write_result_free(&res);
	/* The header tells of errors, the body of none. */
	codes = "{\"1200\":1}";
	loud_body = "[{},{}]";
	put(false, &res);
	CU_ASSERT_TRUE(res.err != 0 && res.unknown);
	arango_write_result_free(&res);
	codes = NULL;
}

static void
test_batches(void)
{
	run(store, do_batches);
}

static void
expect(int status, const char *body, enum arango_reaction want, bool unknown)
{
	struct arango_write_result	 res;

	refusal_status = status;
	refusal = body;
	put(false, &res);
	CU_ASSERT_TRUE(res.err != 0);
	CU_ASSERT_EQUAL(res.reaction, want);
	CU_ASSERT_EQUAL(res.unknown, unknown);
	arango_write_result_free(&res);
}

static void
do_refusals(void *arg)
{
	expect(421, "{\"errorNum\":1491}", ARANGO_LEADER, false);
	expect(503, "{\"errorNum\":1491}", ARANGO_LEADER, false);
	expect(503, "{\"errorNum\":1496}", ARANGO_LEADER, false);
	expect(404, "{\"errorNum\":1203}", ARANGO_LEADER, false);
	expect(404, "{\"errorNum\":1228}", ARANGO_RESYNC, false);
	expect(403, "{\"errorNum\":1004}", ARANGO_RETRY, false);
	expect(500, "{\"errorNum\":32}", ARANGO_SPLIT, false);
	expect(500, "{\"errorNum\":1457}", ARANGO_RETRY, true);
	expect(413, "", ARANGO_SPLIT, false);
	expect(401, "{}", ARANGO_AUTH, false);
	expect(200, "<html>", ARANGO_RETRY, true);
	expect(200, "[{},{},{}]", ARANGO_RETRY, true);
	f.requests = 0;
	expect(-1, "", ARANGO_LEADER, true);
	CU_ASSERT_EQUAL(f.requests, 1);	/* never again by itself */
	refusal_status = 0;
}

static void
test_refusals(void)
{
	run(store, do_refusals);
}

static void
do_nobody(void *arg)
{
	struct arango_write_result	 res;

	fake_stop(&f);
	put(false, &res);
	CU_ASSERT_TRUE(res.err != 0);
	CU_ASSERT_FALSE(res.unknown);
	CU_ASSERT_EQUAL(res.reaction, ARANGO_LEADER);
	arango_write_result_free(&res);
}

static void
test_nobody(void)
{
	run(store, do_nobody);
}

/* ---- snapshots ---------------------------------------------------------- */

static unsigned		 chunk, nchunks;
static const char *const *chunks;
static const char	*chunk_type = "application/x-arango-dump; charset=u";
static bool		 batch_gone;

static void
snap(struct http_req *req, void *arg)
{
	const char	*path = http_req_path(req);

	fake_note(&f, req);
	if (http_req_method(req) == HTTP_POST)
		fake_json(req, 200, "{\"id\":\"200/17\",\"lastTick\":"
		    "\"180332\"}");
	else if (strstr(path, "/batch/") != NULL && batch_gone)
		fake_json(req, 404, "{\"errorNum\":1600}");
	else if (strstr(path, "/batch/") != NULL)
		http_reply_bytes(req, 204, NULL, NULL, 0);
	else if (chunk >= nchunks) {
		http_reply_header(req, "x-arango-replication-checkmore",
		    "false");
		http_reply_bytes(req, 204, chunk_type, NULL, 0);
	} else {
		http_reply_header(req, "x-arango-replication-checkmore",
		    "true");
		http_reply_bytes(req, 200, chunk_type, chunks[chunk],
		    strlen(chunks[chunk]));
		chunk++;
	}
}

static char	 keys[512];

static int
note_key(void *arg, const char *key, size_t klen, uint64_t rev)
{
	char	 text[REV_TEXT_MAX];
	size_t	 n = strlen(keys);

	rev_to_text(rev, text);
	snprintf(keys + n, sizeof(keys) - n, "%.*s@%s ", (int)klen, key, text);
	return 0;
}

static int
dump(const char *const *list, size_t n)
{
	struct arango_snapshot_opts	 o = ARANGO_SNAPSHOT_OPTS_INIT;
	struct arango_snapshot		*s;
	struct err_msg			 m;
	int				 r;

	chunks = list;
	nchunks = (unsigned)n;
	chunk = 0;
	keys[0] = '\0';
	o.cluster = a;
	o.server = arango_server_at(a, 0);
	o.syncer_id = 4712;
	CU_ASSERT_EQUAL_FATAL(arango_snapshot_open(&o, &s, &m), 0);
	CU_ASSERT_EQUAL(arango_snapshot_tick(s), 180332);
	r = arango_dump_keys(s, "d", "s1", note_key, NULL, &m);
	arango_snapshot_close(&s);
	return r;
}

static void
do_dump(void *arg)
{
	static const char *const bare[] = {
		"{\"_key\":\"a\",\"_id\":\"c/a\",\"_rev\":\"_fw2Ytzy--_\"}\n"
		"{\"x\":{\"_key\":\"no\",\"_rev\":\"no\"},\"_rev\":"
		    "\"_fBc08Ea---\",\"_key\":\"\\u0062\"}\n",
		"{\"_key\":\"c\",\"data\":{\"_key\":\"no\"}}\n"
	};
	static const char *const wrapped[] = {
		"{\"type\":2300,\"data\":{\"_key\":\"a\",\"_rev\":"
		    "\"_fw2Ytzy--_\"}}\n"
	};
	static const char *const cut[] = { "{\"_key\":\"a\"}\n{\"_key\"" };
	static const char *const junk[] = { "hello\n" };
	static const char *const nokey[] = { "{\"a\":1}\n" };

	CU_ASSERT_EQUAL(dump(bare, 2), 0);
	CU_ASSERT_STRING_EQUAL(keys, "a@_fw2Ytzy--_ b@_fBc08Ea--- c@ ");
	CU_ASSERT_EQUAL(fake_count(&f, "syncerId=4712"), 1);
	CU_ASSERT_EQUAL(fake_count(&f, "GET /_db/d/_api/replication/dump?"
	    "collection=s1&batchId=200%2F17&"), 3);
	fiber_sleep_ms(30);
	CU_ASSERT_EQUAL(fake_count(&f, "DELETE /_db/_system/_api/replication/"
	    "batch/200%2F17"), 1);
	CU_ASSERT_EQUAL(dump(wrapped, 1), 0);
	CU_ASSERT_STRING_EQUAL(keys, "a@_fw2Ytzy--_ ");
	CU_ASSERT_EQUAL(dump(cut, 1), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(dump(junk, 1), ERR_FORMAT);
	CU_ASSERT_EQUAL(dump(nokey, 1), ERR_FORMAT);
	chunk_type = "text/html";
	CU_ASSERT_EQUAL(dump(bare, 1), ERR_PROTOCOL);
	chunk_type = "application/x-arango-dump";
}

static void
test_dump(void)
{
	run(snap, do_dump);
}

static void
do_lost_batch(void *arg)
{
	struct arango_snapshot_opts	 o = ARANGO_SNAPSHOT_OPTS_INIT;
	struct arango_snapshot		*s;
	struct err_msg			 m;
	int				 i;

	o.cluster = a;
	o.server = arango_server_at(a, 0);
	o.ttl_s = 1;		/* the least is 4 */
	batch_gone = true;
	CU_ASSERT_EQUAL_FATAL(arango_snapshot_open(&o, &s, &m), 0);
	CU_ASSERT_FALSE(arango_snapshot_is_lost(s));
	for (i = 0; i < 1000 && !arango_snapshot_is_lost(s); i++)
		fiber_sleep_ms(10);
	CU_ASSERT_EQUAL(fake_count(&f, "PUT "), 1);
	CU_ASSERT_TRUE(arango_snapshot_is_lost(s));
	CU_ASSERT_EQUAL(arango_dump_keys(s, "d", "s1", note_key, NULL, &m),
	    ERR_NOT_FOUND);
	arango_snapshot_close(&s);
	batch_gone = false;
}

static void
test_lost_batch(void)
{
	run(snap, do_lost_batch);
}

/* ---- by key ------------------------------------------------------------- */

static void
by_key(struct http_req *req, void *arg)
{
	fake_note(&f, req);
	fake_json(req, 200, "[{\"_key\":\"a\",\"error\":true,\"errorNum\":7},"
	    "{\"error\":true,\"errorNum\":1202,\"errorMessage\":\"\"}]");
}

static char	 got[256];

static int
note_doc(void *arg, size_t i, const struct arango_doc *doc, int num)
{
	size_t	 n = strlen(got);

	snprintf(got + n, sizeof(got) - n, "%zu:%d:%.*s ", i, num,
	    doc == NULL ? 0 : (int)doc->data.len,
	    doc == NULL ? "" : doc->data.p);
	return 0;
}

static void
do_by_key(void *arg)
{
	struct err_msg	 m;
	int		 num;

	got[0] = '\0';
	CU_ASSERT_EQUAL(arango_documents(a, arango_server_at(a, 0), "d", "s1",
	    false, "[\"a\",\"b\"]", 9, NULL, note_doc, NULL, &num, &m), 0);
	CU_ASSERT_STRING_EQUAL(got,
	    "0:0:{\"_key\":\"a\",\"error\":true,\"errorNum\":7} 1:1202: ");
	CU_ASSERT_EQUAL(fake_count(&f, "PUT /_db/d/_api/document/s1?"
	    "onlyget=true"), 1);
}

static void
test_by_key(void)
{
	run(by_key, do_by_key);
}

/* ---- switches of servers ------------------------------------------------ */

static const char	*ttl_answer;

static void
switches(struct http_req *req, void *arg)
{
	fake_note(&f, req);
	if (strstr(http_req_path(req), "ttl") != NULL)
		fake_json(req, 200, ttl_answer);
	else if (strstr(http_req_path(req), "current") != NULL)
		fake_json(req, 200, "[{\"id\":\"1\",\"query\":\"for d in c "
		    "return d\"},{\"id\":\"2\",\"query\":\"FOR d IN c rEmove "
		    "d IN c\"},{\"id\":\"3\",\"query\":\"x\","
		    "\"modificationQuery\":true},7]");
	else
		fake_json(req, 200, "{\"transactions\":[{\"id\":\"9\","
		    "\"state\":\"running\"},{\"id\":\"10\",\"state\":"
		    "\"committed\"}],\"mode\":\"sleepy\"}");
}

static void
do_switches(void *arg)
{
	const char *const	 dbs[] = { "_system", "x", NULL };
	struct err_msg		 m, what;
	size_t			 n;
	bool			 on = true;

	ttl_answer = "{\"error\":false,\"result\":{\"active\":false}}";
	CU_ASSERT_EQUAL(arango_ttl_set(a, arango_server_at(a, 0), false, &m),
	    0);
	CU_ASSERT_STRING_EQUAL(f.body, "{\"active\":false}");
	CU_ASSERT_EQUAL(arango_ttl_get(a, arango_server_at(a, 0), &on, &m),
	    0);
	CU_ASSERT_FALSE(on);
	/* It does not move. */
	CU_ASSERT_EQUAL(arango_ttl_set(a, arango_server_at(a, 0), true, &m),
	    ERR_BAD_STATE);
	ttl_answer = "{\"result\":true}";
	CU_ASSERT_TRUE(arango_ttl_get(a, arango_server_at(a, 0), &on, &m) <
	    0);
	/* What writes for sure, and what nobody knows of. */
	CU_ASSERT_EQUAL(arango_writing_queries(a, &n, &what, &m), 0);
	CU_ASSERT_EQUAL(n, 3);
	CU_ASSERT_STRING_EQUAL(what.text, "2, 3, ?");
	CU_ASSERT_EQUAL(arango_transactions(a, dbs, &n, &what, &m), 0);
	CU_ASSERT_EQUAL(n, 2);
	CU_ASSERT_STRING_EQUAL(what.text, "9, 9");
	CU_ASSERT_TRUE(arango_mode_get(a, NULL, &on, &m) < 0);
}

static void
test_switches(void)
{
	run(switches, do_switches);
}

/* ---- definitions -------------------------------------------------------- */

static struct json_object *
parse_json(const char *s)
{
	struct json_object	*o;
	struct err_msg		 m;

	CU_ASSERT_EQUAL_FATAL(json_parse(s, strlen(s), &o, &m), 0);
	return o;
}

static void
same(struct json_object *have, const char *want)
{
	struct json_object	*w = parse_json(want);

	if (!json_equal(have, w)) {
		printf("# %s\n", json_object_to_json_string(have));
		CU_FAIL("another definition");
	}
	json_object_put(w);
	json_object_put(have);
}

static void
test_definitions(void)
{
	struct json_object	*def = parse_json("{\"name\":\"c\",\"id\":"
	    "\"77\",\"type\":3,\"status\":3,\"shards\":{\"s1\":[],\"s2\":[]},"
	    "\"globallyUniqueId\":\"x\",\"shardKeys\":[\"a\"],\"indexes\":[],"
	    "\"minReplicationFactor\":1,\"replicationFactor\":\"satellite\","
	    "\"schema\":null,\"isSmart\":true,\"smartGraphAttribute\":\"r\","
	    "\"shardingStrategy\":\"enterprise-hex-smart-vertex\","
	    "\"distributeShardsLike\":\"12\",\"syncByRevision\":true}");
	struct json_object	*index = parse_json("{\"id\":\"9\",\"type\":"
	    "\"persistent\",\"name\":\"n\",\"fields\":[\"a\"],"
	    "\"selectivityEstimate\":1,\"isBuilding\":true,"
	    "\"storedValues\":[\"b\"]}");

	same(arango_collection_body(def, NULL, false), "{\"name\":\"c\","
	    "\"type\":3,\"numberOfShards\":2,\"shardKeys\":[\"a\"],"
	    "\"writeConcern\":1,\"replicationFactor\":\"satellite\","
	    "\"isSmart\":true,\"smartGraphAttribute\":\"r\","
	    "\"shardingStrategy\":\"enterprise-hex-smart-vertex\"}");
	same(arango_collection_body(def, NULL, true), "{\"name\":\"c\","
	    "\"type\":3,\"numberOfShards\":2,\"shardKeys\":[\"a\"],"
	    "\"shardingStrategy\":\"hash\"}");
	same(arango_collection_body(def, "p", true), "{\"name\":\"c\","
	    "\"type\":3,\"shardKeys\":[\"a\"],\"shardingStrategy\":\"hash\","
	    "\"distributeShardsLike\":\"p\"}");
	same(arango_index_body(index), "{\"type\":\"persistent\",\"name\":"
	    "\"n\",\"fields\":[\"a\"],\"storedValues\":[\"b\"],"
	    "\"inBackground\":true}");
	json_object_put(def);
	json_object_put(index);
}

UNIT_MAIN("arango write",
    { "the conflicting key is read out of the message", test_conflict },
    { "results of elements, without trees", test_results },
    { "batches: silent, aloud when something failed", test_batches },
    { "refusals of a whole batch", test_refusals },
    { "a leader that is away", test_nobody },
    { "a dump in chunks, bare or wrapped", test_dump },
    { "a batch that the server has dropped", test_lost_batch },
    { "documents by key", test_by_key },
    { "the TTL switch, and who still writes", test_switches },
    { "definitions: what survives is sent", test_definitions })
