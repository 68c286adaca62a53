/*
 * test_incoming.c - the target's side of control, as far as it goes without a
 * cluster: requests that are refused, the list of pairs, endpoints
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ev/loop.h"
#include "json/get.h"
#include "master/control_incoming_priv.h"
#include "unit.h"

static struct control		 c;
static struct daemon_conf	 conf;
static struct control_incoming	*in;

static struct json_object *
json(const char *text)
{
	struct json_object	*o = NULL;
	struct err_msg		 m = { "" };

	CU_ASSERT_EQUAL_FATAL(json_parse(text, strlen(text), &o, &m), 0);
	return o;
}

static void
begin(void)
{
	memset(&c, 0, sizeof(c));
	memset(&conf, 0, sizeof(conf));
	c.loop = loop_new();
	c.conf = &conf;
	conf.data_dir = "/nonexistent";
	conf.max_initial_sync = 2;
	strcpy(c.cluster_id, "ours");
	in = xcalloc(1, sizeof(*in));
	in->c = &c;
	in->refs = 1;
	in->loaded = true;
	in->waiting_end = &in->waiting;
	c.incoming = in;
}

static void
end(void)
{
	incoming_pairs_stop(in);
	incoming_source_free(&in->source);
	incoming_release(&in);
	loop_free(&c.loop);
}

/* The status; what "Error" says in text. */
static int
call(int (*fn)(struct control_call *, struct json_object **),
    const char *method, const char *path, const char *body, char text[512])
{
	struct control_call	 q = { .c = &c };
	struct json_object	*out = NULL;
	int			 status;

	q.method = xstrdup(method);
	q.path = xstrdup(path);
	q.query = xstrdup("");
	buf_append_str(&q.body, body);
	status = fn(&q, &out);
	snprintf(text, 512, "%s", json_string_or(out, "Error", ""));
	json_object_put(out);
	free(q.method);
	free(q.path);
	free(q.query);
	buf_free(&q.body);
	return status;
}

/* ---- requests --------------------------------------------------------------- */

static const struct {
	const char	*body, *says;
} bad_requests[] = {
	{ "[]", "not a JSON object" },
	{ "{", "not a JSON object" },
	{ "{}", "source missing: bad request" },
	{ "{\"source\":[]}", "source missing: bad request" },
	{ "{\"source\":\"https://a\"}", "source missing: bad request" },
	{ "{\"source\":[1]}", "Invalid source" },
	{ "{\"source\":[\"https://a:1\"]}", "clientCertificate missing" },
	{ "{\"source\":[\"https://a:1\"],\"authentication\":{"
	  "\"clientCertificate\":\"c\"}}", "clientKey missing" },
	{ "{\"source\":[\"https://a:1\"],\"authentication\":{"
	  "\"clientCertificate\":\"c\",\"clientKey\":\"k\","
	  "\"caCertificate\":\"\"}}", "caCertificate missing" },
	{ "{\"source\":[\"gopher://a\"],\"authentication\":{"
	  "\"clientCertificate\":\"c\",\"clientKey\":\"k\","
	  "\"caCertificate\":\"x\"}}", "Invalid source" },
	{ "{\"source\":[\"http://a:1\"],\"authentication\":{"
	  "\"clientCertificate\":\"c\",\"clientKey\":\"k\","
	  "\"caCertificate\":\"x\"}}", "is not https" },
	{ "{\"source\":[\"https://a:1\"],\"authentication\":{"
	  "\"clientCertificate\":\"c\",\"clientKey\":\"k\","
	  "\"caCertificate\":\"x\"}}", "credentials" }
};

static void
test_bad_requests(void)
{
	char	 text[512];
	size_t	 i;

	begin();
	for (i = 0; i < NITEMS(bad_requests); i++) {
		CU_ASSERT_EQUAL(call(control_incoming_configure, "POST",
		    "/_api/sync", bad_requests[i].body, text), 400);
		if (strstr(text, bad_requests[i].says) == NULL)
			printf("# %s: %s\n", bad_requests[i].body, text);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, bad_requests[i].says));
		CU_ASSERT_FALSE(in->active || in->configuring);
	}
	end();
}

/* Nothing is configured: stopping is done, a barrier cannot be had. */
static void
test_inactive(void)
{
	char	 text[512];

	begin();
	CU_ASSERT_EQUAL(call(control_incoming_get, "GET", "/_api/sync", "",
	    text), 200);
	CU_ASSERT_EQUAL(call(control_incoming_stop, "DELETE", "/_api/sync",
	    "{}", text), 200);
	CU_ASSERT_EQUAL(call(control_incoming_stop, "DELETE", "/_api/sync",
	    "{\"target_server_mode\":\"half\"}", text), 400);
	CU_ASSERT_EQUAL(call(control_incoming_stop, "DELETE", "/_api/sync",
	    "{\"force\":\"yes\"}", text), 400);
	CU_ASSERT_EQUAL(call(control_incoming_stop, "DELETE", "/_api/sync",
	    "{\"wait_timeout\":1.5}", text), 400);
	CU_ASSERT_EQUAL(call(control_incoming_stop, "DELETE", "/_api/sync",
	    "{\"force\":null,\"force_timeout\":1000000000}", text), 200);
	CU_ASSERT_EQUAL(call(control_incoming_post_barrier, "POST",
	    "/_api/sync/barrier", "", text), 412);
	CU_ASSERT_EQUAL(call(control_incoming_get_barrier, "GET",
	    "/_api/sync/barrier", "", text), 200);
	CU_ASSERT_EQUAL(call(control_incoming_delete_barrier, "DELETE",
	    "/_api/sync/barrier", "", text), 200);
	in->loaded = false;
	CU_ASSERT_EQUAL(call(control_incoming_get, "GET", "/_api/sync", "",
	    text), 503);
	in->loaded = true;
	end();
}

static void
test_shard_paths(void)
{
	static const char *const  bad[] = {
		"", "d", "d/collection/c", "d/collection/c/shard/x/reset",
		"d/collection/c/shard/0", "d/collection/c/shard/0/reset/more",
		"d/collections/c/shard/0/reset",
		"%zz/collection/c/shard/0/reset",
		"d/collection/c/shard/-1/reset",
		"d/collection/c/shard/99999999999999/reset",
		"d/collection/c/shard/0/reset"
	};
	char			  path[256], text[512];
	size_t			  i;

	begin();
	for (i = 0; i < NITEMS(bad); i++) {
		snprintf(path, sizeof(path), "/_api/sync/database/%s",
		    bad[i]);
		CU_ASSERT_EQUAL(call(control_incoming_shard, "PUT", path, "",
		    text), 404);
	}
	end();
}

/* ---- pairs ------------------------------------------------------------------------ */

static void
take(const char *text)
{
	struct json_object	*o = json(text);

	incoming_pairs_take(in, o);
	json_object_put(o);
}

static void
test_pairs(void)
{
	struct incoming_shard	*s;
	char			*key;

	begin();
	take("{\"plan\":1,\"pairs\":[]}");
	CU_ASSERT_FALSE(in->has_plan);		/* nobody runs */
	in->running = true;
	take("{\"plan\":7,\"pending\":2,\"notes\":[\"n\"],\"pairs\":["
	    "{\"db\":\"d\",\"coll\":\"x\",\"cid\":\"10\",\"target_coll\":\"x\","
	    "\"target_cid\":\"20\",\"shards\":3,\"lineage\":true},"
	    "{\"db\":\"d/e\",\"coll\":\"y:z\",\"cid\":\"11\","
	    "\"target_coll\":\"y:z\",\"target_cid\":\"21\",\"shards\":1},"
	    "{\"db\":\"d\",\"coll\":\"bad\",\"shards\":1},"
	    "{\"db\":\"d\",\"coll\":\"bad\",\"cid\":\"x\",\"target_coll\":\"b\","
	    "\"target_cid\":\"1\",\"shards\":1},"
	    "{\"db\":\"d\",\"coll\":\"bad\",\"cid\":\"1\",\"target_coll\":\"b\","
	    "\"target_cid\":\"1\",\"shards\":0}]}");
	CU_ASSERT_TRUE(in->has_plan);
	CU_ASSERT_EQUAL(in->plan, 7);
	CU_ASSERT_EQUAL(in->pending, 2);
	CU_ASSERT_EQUAL(in->nshards, 4);
	CU_ASSERT_PTR_NULL(incoming_shard_find(in, "d", "x", 3));
	CU_ASSERT_PTR_NULL(incoming_shard_find(in, "d", "bad", 0));
	s = incoming_shard_find(in, "d/e", "y:z", 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	key = incoming_shard_key(s);
	CU_ASSERT_STRING_EQUAL(key, "d%2Fe:y%3Az:0");
	free(key);
	CU_ASSERT_EQUAL(incoming_shard_state(s), SHARD_STATE_INITIALIZING);
	CU_ASSERT_EQUAL(incoming_count(in, SHARD_STATE_INITIALIZING), 4);
	CU_ASSERT_EQUAL(incoming_repair(s, "x"), ERR_CLOSED);
	CU_ASSERT_EQUAL(map_count(&in->forgotten), 0);
	end();
}

/* Dropped; made again under the same name; the rest stays what it was. */
static void
test_pairs_change(void)
{
	struct incoming_shard	*s;

	begin();
	in->running = true;
	take("{\"plan\":1,\"pairs\":["
	    "{\"db\":\"d\",\"coll\":\"x\",\"cid\":\"10\",\"target_coll\":\"x\","
	    "\"target_cid\":\"20\",\"shards\":1},"
	    "{\"db\":\"d\",\"coll\":\"y\",\"cid\":\"11\",\"target_coll\":\"y\","
	    "\"target_cid\":\"21\",\"shards\":2},"
	    "{\"db\":\"d\",\"coll\":\"z\",\"cid\":\"12\",\"target_coll\":\"z\","
	    "\"target_cid\":\"22\",\"shards\":2}]}");
	s = incoming_shard_find(in, "d", "x", 0);
	take("{\"plan\":2,\"pairs\":["
	    "{\"db\":\"d\",\"coll\":\"x\",\"cid\":\"10\",\"target_coll\":\"x\","
	    "\"target_cid\":\"20\",\"shards\":1},"
	    "{\"db\":\"d\",\"coll\":\"y\",\"cid\":\"13\",\"target_coll\":\"y\","
	    "\"target_cid\":\"23\",\"shards\":4}]}");
	CU_ASSERT_PTR_EQUAL(incoming_shard_find(in, "d", "x", 0), s);
	CU_ASSERT_EQUAL(in->nshards, 5);
	CU_ASSERT_PTR_NULL(incoming_shard_find(in, "d", "z", 0));
	s = incoming_shard_find(in, "d", "y", 3);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_STRING_EQUAL(s->pair->cid, "13");
	CU_ASSERT_TRUE(map_has(&in->forgotten, "d:z:1"));
	CU_ASSERT_TRUE(map_has(&in->forgotten, "d:y:0"));
	end();
}

/* ---- the state of all ---------------------------------------------------------- */

/* Nothing configured, or a source and the state that the agency keeps. */
static void
load(const char *state)
{
	char	*text = xasprintf("{\"state\":\"%s\"}", state);

	incoming_set_conf(in, json(text), json("{\"sourceId\":\"theirs\"}"));
	free(text);
}

/*
 * Who begins to lead knows what was reached, and of no shard; that they are
 * all there is said when they are.
 */
static void
test_state(void)
{
	static const struct {
		const char	*kept;
		enum shard_state first, with_plan;
	} cases[] = {
		{ "initializing", SHARD_STATE_INITIALIZING,
		  SHARD_STATE_INITIAL_SYNC },
		{ "initial-sync", SHARD_STATE_INITIALIZING,
		  SHARD_STATE_INITIAL_SYNC },
		{ "failed", SHARD_STATE_INITIALIZING,
		  SHARD_STATE_INITIAL_SYNC },
		{ "running", SHARD_STATE_INITIALIZING, SHARD_STATE_RUNNING },
		{ "cancelling", SHARD_STATE_CANCELLING,
		  SHARD_STATE_INITIAL_SYNC }
	};
	char			  text[512];
	size_t			  i;

	for (i = 0; i < NITEMS(cases); i++) {
		begin();
		load(cases[i].kept);
		in->running = true;
		in->link_ms = loop_now_ms(c.loop);
		CU_ASSERT_TRUE(in->active);
		CU_ASSERT_EQUAL(in->state, cases[i].first);
		CU_ASSERT_STRING_EQUAL(shard_state_name(in->stored),
		    cases[i].kept);
		CU_ASSERT_EQUAL(call(control_incoming_post_barrier, "POST",
		    "/_api/sync/barrier", "", text), 412);
		CU_ASSERT_EQUAL(incoming_judge(in), SHARD_STATE_INITIALIZING);
		take("{\"plan\":3,\"pairs\":["
		    "{\"db\":\"d\",\"coll\":\"x\",\"cid\":\"10\","
		    "\"target_coll\":\"x\",\"target_cid\":\"20\","
		    "\"shards\":1}]}");
		CU_ASSERT_EQUAL(incoming_judge(in), cases[i].with_plan);
		/* everything is there: nothing */
		take("{\"plan\":4,\"pairs\":[]}");
		CU_ASSERT_EQUAL(incoming_judge(in), SHARD_STATE_RUNNING);
		in->running = false;
		incoming_set_conf(in, NULL, NULL);
		CU_ASSERT_EQUAL(in->state, SHARD_STATE_INACTIVE);
		end();
	}
}

/* ---- where the data comes from ------------------------------------------------ */

static void
test_upstream(void)
{
	struct json_object	*info = json("{\"upstream\":[\"b\",7,{},"
	    "\"c\"]}"), *list;
	struct json_object	*none = json("{\"upstream\":\"b\"}");

	begin();
	list = incoming_upstream_take(info);
	CU_ASSERT_EQUAL(json_object_array_length(list), 2);
	CU_ASSERT_TRUE(incoming_upstream_has(list, "c"));
	CU_ASSERT_FALSE(incoming_upstream_has(list, "ours"));
	json_object_put(list);
	list = incoming_upstream_take(none);
	CU_ASSERT_EQUAL(json_object_array_length(list), 0);
	json_object_put(list);
	/* a cluster without a source, and one with */
	list = control_incoming_upstream(&c, 0);
	CU_ASSERT_EQUAL(json_object_array_length(list), 0);
	json_object_put(list);
	incoming_set_conf(in, json("{}"), json("{\"sourceId\":\"a\","
	    "\"upstream\":[\"b\",\"c\"]}"));
	list = control_incoming_upstream(&c, 16);	/* nobody to ask */
	CU_ASSERT_EQUAL(json_object_array_length(list), 3);
	CU_ASSERT_TRUE(incoming_upstream_has(list, "a"));
	CU_ASSERT_TRUE(incoming_upstream_has(list, "c"));
	json_object_put(list);
	incoming_set_conf(in, NULL, NULL);
	json_object_put(info);
	json_object_put(none);
	end();
}

/* ---- endpoints ------------------------------------------------------------------------- */

static void
test_endpoints(void)
{
	struct json_object	*o = json("{\"source\":[\"ssl://a:1\"],"
	    "\"authentication\":{\"clientCertificate\":\"\","
	    "\"clientKey\":\"\",\"caCertificate\":\"\"}}");
	struct json_object	*more = json("[\"https://a:1\",\"https://b\","
	    "\"http://c:1\",7,null,\"https://b:8629\"]");
	struct err_msg		 m = { "" };

	begin();
	/* without credentials there is no client, and no list either */
	CU_ASSERT_NOT_EQUAL(incoming_source_new(&c, o, &in->source, &m), 0);
	CU_ASSERT_PTR_NULL(in->source);
	CU_ASSERT_PTR_NULL(incoming_source_endpoint(NULL, 0));
	json_object_put(o);
	json_object_put(more);
	end();
}

UNIT_MAIN("incoming",
    { "what is wrong with a request is said, and changes nothing",
      test_bad_requests },
    { "nothing is configured", test_inactive },
    { "paths of shards", test_shard_paths },
    { "pairs become shards", test_pairs },
    { "pairs are dropped and made again", test_pairs_change },
    { "a new leader says running when it knows the shards", test_state },
    { "where a cluster has its data from", test_upstream },
    { "a source without credentials is none", test_endpoints })
