/* test_store_clients.c - who holds the log */
#include "sandbox/store_clients.h"
#include "unit.h"

static const struct store_client_id	 s7 = { 7, 0 }, s8 = { 8, 0 };
static const struct store_client_id	 n7 = { 0, 7 }, none = { 0, 0 };

static void
test_replace(void)
{
	struct store_clients	*c = store_clients_new();

	CU_ASSERT_EQUAL(store_clients_lowest(c), UINT64_MAX);
	store_clients_track(c, "a", none, NULL, 5, 0, 0);
	CU_ASSERT_PTR_NULL(store_clients_first(c));
	store_clients_track(c, "a", s7, "me", 100, 0, 0);
	CU_ASSERT_EQUAL(store_clients_lowest(c), 100);
	store_clients_track(c, "a", s7, NULL, 50, 0, 0);
	CU_ASSERT_EQUAL(store_clients_lowest(c), 50);
	store_clients_track(c, "a", s7, NULL, 200, 0, 0);
	CU_ASSERT_EQUAL(store_clients_lowest(c), 200);
	store_clients_track(c, "a", s7, NULL, 0, 0, 0);
	CU_ASSERT_EQUAL(store_clients_lowest(c), 200);
	CU_ASSERT_STRING_EQUAL(store_clients_first(c)->info, "me");
	store_clients_track(c, "a", s8, NULL, 0, 0, 0);
	CU_ASSERT_EQUAL(store_clients_lowest(c), 0);
	store_clients_untrack(c, NULL, s8);
	CU_ASSERT_EQUAL(store_clients_lowest(c), 200);
	store_clients_free(&c);
}

static void
test_identity(void)
{
	struct store_clients	*c = store_clients_new();

	store_clients_track(c, "a", s7, NULL, 100, 0, 0);
	store_clients_track(c, "a", n7, NULL, 90, 0, 0);
	store_clients_track(c, "b", s7, NULL, 80, 0, 0);
	CU_ASSERT_EQUAL(store_clients_lowest(c), 80);
	store_clients_untrack(c, NULL, s7);
	CU_ASSERT_EQUAL(store_clients_lowest(c), 90);
	store_clients_track(c, "b", s8, NULL, 10, 0, 0);
	store_clients_drop_db(c, "b");
	CU_ASSERT_EQUAL(store_clients_lowest(c), 90);
	store_clients_untrack(c, "x", n7);
	CU_ASSERT_EQUAL(store_clients_lowest(c), 90);
	store_clients_untrack(c, NULL, none);
	CU_ASSERT_EQUAL(store_clients_lowest(c), 90);
	store_clients_free(&c);
	CU_ASSERT_PTR_NULL(c);
}

static void
test_life(void)
{
	struct store_clients	*c = store_clients_new();

	store_clients_track(c, "a", s7, NULL, 100, 0, 1000);
	CU_ASSERT_EQUAL(store_clients_first(c)->expires_ms,
	    1000 + STORE_CLIENT_TTL_MS);
	/* The DELETE of a batch shortens it too. */
	store_clients_extend(c, "a", s7, STORE_CLIENT_GONE_MS, 2000);
	CU_ASSERT_EQUAL(store_clients_first(c)->expires_ms, 17000);
	CU_ASSERT_EQUAL(store_clients_first(c)->tick, 100);
	store_clients_extend(c, "b", s7, 1, 2000);
	CU_ASSERT_EQUAL(store_clients_first(c)->expires_ms, 17000);
	/* The expired hold until they are collected. */
	CU_ASSERT_EQUAL(store_clients_lowest(c), 100);
	store_clients_expire(c, 17000);
	CU_ASSERT_EQUAL(store_clients_lowest(c), 100);
	store_clients_expire(c, 17001);
	CU_ASSERT_EQUAL(store_clients_lowest(c), UINT64_MAX);
	store_clients_free(&c);
}

UNIT_MAIN("store_clients",
    { "a registration replaces, upwards and downwards", test_replace },
    { "clients are told apart by id and database", test_identity },
    { "life is extended, shortened, and ends when collected", test_life })
