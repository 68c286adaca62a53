/* test_agent_log.c - what the agent has answered is there after a restart */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rocksdb/c.h>

#include "base/fsx.h"
#include "json/get.h"
#include "sandbox/agent_log.h"
#include "unit.h"

static char			 dir[64];
static struct agent_log		*logp;
static struct agency_store	*store;

static void
reopen(int expected)
{
	struct err_msg	m;
	uint64_t	term, snapshot;

	agent_log_close(&logp);
	agency_store_free(&store);
	store = agency_store_new();
	CU_ASSERT_EQUAL_FATAL(agent_log_open(dir, &logp, &m), 0);
	CU_ASSERT_EQUAL(agent_log_load(logp, store, &term, &snapshot, &m),
	    expected);
}

static void
begin(void)
{
	snprintf(dir, sizeof(dir), "/tmp/agent_log.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	reopen(0);
	CU_ASSERT_EQUAL(agency_store_next_index(store), 0);
}

static void
end(void)
{
	agent_log_close(&logp);
	agency_store_free(&store);
	CU_ASSERT_EQUAL(fsx_remove_tree(dir), 0);
}

/* Apply, append, and write now. */
static void
put(const char *text, const char *client, uint64_t term, uint64_t ms)
{
	struct json_object	*ops;
	struct err_msg		 m;
	uint64_t		 index;

	CU_ASSERT_EQUAL_FATAL(json_parse(text, strlen(text), &ops, &m), 0);
	CU_ASSERT_EQUAL(agency_store_apply(store, ops, ms), 0);
	index = agency_store_append(store, ops, client, term, ms);
	agent_log_add(logp, agency_store_entry(store, index));
	CU_ASSERT(agent_log_has_pending(logp));
	CU_ASSERT_EQUAL(agent_log_write(logp, &m), 0);
	CU_ASSERT(!agent_log_has_pending(logp));
	json_object_put(ops);
}

static void
test_replay(void)
{
	struct json_object	*ops;

	begin();
	put("{}", NULL, 0, 5);
	put("{\"/a\":{\"b\":1.50},\"/n\":null}", "c1", 1, 10);
	put("{\"/a/b\":{\"op\":\"increment\"}}", "c2", 1, 20);
	put("{\"/t\":{\"op\":\"set\",\"new\":\"x\",\"ttl\":3}}", NULL, 1, 1000);
	reopen(0);
	CU_ASSERT_EQUAL(agency_store_last_index(store), 3);
	CU_ASSERT_EQUAL(json_object_get_int64(agency_store_get(store,
	    "/a/b")), 2);
	CU_ASSERT(agency_store_has(store, "/n"));
	CU_ASSERT_EQUAL(agency_store_inquire(store, "c2"), 2);
	CU_ASSERT_EQUAL(agency_store_entry(store, 1)->epoch_ms, 10);
	/* ttl counts from when it was written. */
	CU_ASSERT_PTR_NULL(agency_store_expired(store, 4000));
	ops = agency_store_expired(store, 4001);
	CU_ASSERT_PTR_NOT_NULL(ops);
	json_object_put(ops);
	end();
}

static void
test_snapshot(void)
{
	struct err_msg	 m;
	char		 text[64];
	int		 i, round;

	begin();
	put("{}", NULL, 0, 5);
	put("{\"/t\":{\"op\":\"set\",\"new\":\"x\",\"ttl\":3}}", NULL, 1, 1000);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < AGENCY_LOG_KEEP / 2; i++) {
			struct json_object	*ops;
			uint64_t		 index;

			snprintf(text, sizeof(text), "{\"/n\":{\"op\":"
			    "\"increment\"}}");
			CU_ASSERT_EQUAL_FATAL(json_parse(text, strlen(text),
			    &ops, &m), 0);
			agency_store_apply(store, ops, 2000);
			index = agency_store_append(store, ops, "c", 2, 2000);
			agent_log_add(logp, agency_store_entry(store, index));
			json_object_put(ops);
		}
		CU_ASSERT_EQUAL(agent_log_write(logp, &m), 0);
		CU_ASSERT_EQUAL(agent_log_compact(logp, store, 2, &m), 0);
	}
	put("{\"/z\":1}", NULL, 3, 2500);
	reopen(0);
	CU_ASSERT_EQUAL(json_object_get_int64(agency_store_get(store, "/n")),
	    3 * (AGENCY_LOG_KEEP / 2));
	CU_ASSERT(agency_store_has(store, "/z"));
	CU_ASSERT_EQUAL(agency_store_last_index(store),
	    3 * (AGENCY_LOG_KEEP / 2) + 2);
	/* Old entries are gone, those that can be polled are there. */
	CU_ASSERT_PTR_NULL(agency_store_entry(store, 1));
	CU_ASSERT_PTR_NOT_NULL(agency_store_entry(store,
	    AGENCY_LOG_KEEP / 2 + 100));
	CU_ASSERT(agency_store_inquire(store, "c") != 0);
	CU_ASSERT_PTR_NULL(agency_store_expired(store, 4000));
	put("{\"/n\":{\"op\":\"increment\"}}", NULL, 3, 2600);
	reopen(0);
	CU_ASSERT_EQUAL(json_object_get_int64(agency_store_get(store, "/n")),
	    3 * (AGENCY_LOG_KEEP / 2) + 1);
	end();
}

/* An entry that lacks, or is none, is not passed over in silence. */
static void
damage(const char *key, const char *value)
{
	rocksdb_options_t	*o = rocksdb_options_create();
	rocksdb_writeoptions_t	*w = rocksdb_writeoptions_create();
	rocksdb_t		*db;
	char			*err = NULL;

	agent_log_close(&logp);
	db = rocksdb_open(o, dir, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(db);
	if (value == NULL)
		rocksdb_delete(db, w, key, 8, &err);
	else
		rocksdb_put(db, w, key, 8, value, strlen(value), &err);
	rocksdb_close(db);
	rocksdb_writeoptions_destroy(w);
	rocksdb_options_destroy(o);
}

static void
test_damage(void)
{
	static const char	two[8] = { 0, 0, 0, 0, 0, 0, 0, 2 };

	begin();
	put("{}", NULL, 0, 5);
	put("{\"/a\":1}", NULL, 1, 10);
	put("{\"/a\":2}", NULL, 1, 10);
	put("{\"/a\":3}", NULL, 1, 10);
	damage(two, "{\"query\":{\"/a\":");
	reopen(ERR_CORRUPT);
	damage(two, "{\"query\":{\"/a\":{\"op\":\"explode\"}}}");
	reopen(ERR_CORRUPT);
	damage(two, "{\"query\":5}");
	reopen(ERR_CORRUPT);
	damage(two, NULL);
	reopen(ERR_CORRUPT);
	damage("snapshot", "{\"index\":2,\"tree\":{},\"ttl\":5}");
	reopen(ERR_CORRUPT);
	end();
}

UNIT_MAIN("agent_log",
    { "entries are replayed, with their times", test_replay },
    { "a snapshot takes the place of old entries", test_snapshot },
    { "damage is told", test_damage })
