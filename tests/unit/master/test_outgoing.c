/* test_outgoing.c - what the source's side decides without a cluster */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "json/get.h"
#include "master/control_outgoing_priv.h"
#include "queue/queue.h"
#include "unit.h"

static void
test_queue_names(void)
{
	static const struct {
		const char	*name;
		bool		 good;
		uint64_t	 cid;
		uint32_t	 shard;
	} rows[] = {
		{ "shop.10049.3", true, 10049, 3 },
		{ "a%2Eb.1.0", true, 1, 0 },
		{ "x.18446744073709551615.4294967295", true, UINT64_MAX,
		    UINT32_MAX },
		{ "shop.10049.3.damaged-20260101T000000", false, 0, 0 },
		{ "shop.10049", false, 0, 0 },
		{ ".10049.3", false, 0, 0 },
		{ "shop..3", false, 0, 0 },
		{ "shop.10049.", false, 0, 0 },
		{ "shop.10049.-1", false, 0, 0 },
		{ "shop.10049.4294967296", false, 0, 0 },
		{ "shop.x.3", false, 0, 0 },
		{ ".", false, 0, 0 }, { "..", false, 0, 0 },
		{ "...", false, 0, 0 }, { "", false, 0, 0 },
		{ "plain", false, 0, 0 }
	};
	uint64_t	 cid;
	uint32_t	 shard;
	size_t		 i;

	for (i = 0; i < NITEMS(rows); i++) {
		CU_ASSERT_EQUAL(outgoing_queue_parse(rows[i].name, &cid,
		    &shard), rows[i].good);
		if (rows[i].good) {
			CU_ASSERT_EQUAL(cid, rows[i].cid);
			CU_ASSERT_EQUAL(shard, rows[i].shard);
		}
	}
}

/* What the queue calls a channel is read back, whatever the database. */
static void
test_queue_names_back(void)
{
	static const char	 long_name[] =
	    "0123456789012345678901234567890123456789012345678901234567890"
	    "123456789012345678901234567890123456789012345678901234567890";
	static const char *const dbs[] = { "_system", "a.b.c", "\xc3\xa4",
	    long_name };
	struct queue_channel	 q = { .cid = 4711, .shard = 12 };
	char			 name[QUEUE_NAME_BYTES];
	uint64_t		 cid;
	uint32_t		 shard;
	size_t			 i;

	for (i = 0; i < NITEMS(dbs); i++) {
		strcpy(q.database, dbs[i]);
		CU_ASSERT_TRUE(outgoing_queue_parse(queue_channel_name(&q,
		    name), &cid, &shard));
		CU_ASSERT_EQUAL(cid, 4711);
		CU_ASSERT_EQUAL(shard, 12);
	}
}

static void
test_states(void)
{
	CU_ASSERT_EQUAL(outgoing_state_of("running"), OUT_RUNNING);
	CU_ASSERT_EQUAL(outgoing_state_of("cancelling"), OUT_CANCELLING);
	CU_ASSERT_EQUAL(outgoing_state_of("initial-sync"), OUT_INITIAL_SYNC);
	/* Of another version: begin with what is always right. */
	CU_ASSERT_EQUAL(outgoing_state_of("dancing"), OUT_INITIALIZING);
	CU_ASSERT_EQUAL(outgoing_state_of(""), OUT_INITIALIZING);
	CU_ASSERT_STRING_EQUAL(outgoing_state_name(OUT_INITIAL_SYNC),
	    "initial-sync");
}

/* As the official client reads it (product reference 3.4). */
static void
test_shards(void)
{
	struct topo_shard	 s[2] = { { .name = "s10050" },
				    { .name = "s10051" } };
	struct topo_collection	 colls[] = {
		{ .cid = "10001", .name = "_users", .nshards = 1,
		  .shards = s },
		{ .cid = "10049", .name = "orders", .nshards = 2,
		  .shards = s },
		{ .cid = "10060", .name = "half", .nshards = 1, .shards = s,
		  .building = true },
		{ .cid = "10070", .name = "smart", .nshards = 0 }
	};
	struct topo_database	 dbs[] = {
		{ .name = "shop", .id = "77", .colls = colls, .ncolls = 4 },
		{ .name = "coming", .id = "78", .building = true }
	};
	struct arango_topology	 t = { .cluster_id = "abc", .dbs = dbs,
				    .ndbs = 2 };
	struct json_object	*o = control_shards_of(&t);

	CU_ASSERT_STRING_EQUAL(json_string_or(o, "id", ""), "abc");
	CU_ASSERT_STRING_EQUAL(json_string_or(o, "databases.shop.database_id",
	    ""), "77");
	CU_ASSERT_STRING_EQUAL(json_string_or(o,
	    "databases.shop.collections.orders.collection_id", ""), "10049");
	CU_ASSERT_STRING_EQUAL(json_string_or(o,
	    "databases.shop.collections.orders.shards.1.ID", ""), "s10051");
	CU_ASSERT_PTR_NOT_NULL(json_at(o,
	    "databases.shop.excluded_collections._users"));
	CU_ASSERT_PTR_NULL(json_at(o, "databases.shop.collections._users"));
	CU_ASSERT_PTR_NULL(json_at(o, "databases.shop.collections.half"));
	CU_ASSERT_PTR_NOT_NULL(json_at(o,
	    "databases.shop.excluded_collections.smart"));
	CU_ASSERT_PTR_NULL(json_at(o, "databases.coming"));
	json_object_put(o);
}

UNIT_MAIN("outgoing",
    { "names of queues are read strictly", test_queue_names },
    { "... and whatever a queue is called", test_queue_names_back },
    { "states have the original's names", test_states },
    { "shards are listed as the official client reads them", test_shards })
