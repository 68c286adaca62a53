/* test_store_snap.c - snapshots, dumps and scans */
#include <time.h>

#include "store_test.h"
#include "vpack/hash.h"

static char *
keys_of(struct store_scan *s, char keys[256])
{
	struct store_row	 row;
	size_t			 n = 0;

	while (store_scan_next(s, true, &row) == 1) {
		n += (size_t)sprintf(keys + n, "%.*s ", (int)row.klen,
		    row.key);
		CU_ASSERT_PTR_NOT_NULL(row.doc);
	}
	keys[n] = '\0';
	return keys;
}

static void
test_dump_under_writes(void)
{
	struct fix		 f;
	struct store_snap	*snap;
	struct buf		 out = BUF_INIT;
	uint64_t		 count = 0, tick;
	char			 key[16];
	bool			 more = true;
	int			 i, calls;

	fix_open(&f, NULL);
	for (i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		CU_ASSERT_EQUAL(put(&f, NULL, key, "{\"v\":1}"), 0);
	}
	/* Pending then, so inside. */
	CU_ASSERT_EQUAL(store_snap_create(f.st, 0, &snap), 0);
	tick = store_snap_tick(snap);
	CU_ASSERT_EQUAL(tick, store_last_tick(f.st));
	for (calls = 0; more; calls++) {
		snprintf(key, sizeof(key), "k%d", calls);
		CU_ASSERT_EQUAL(put(&f, NULL, key, "{\"v\":2}"), 0);
		CU_ASSERT_EQUAL(put(&f, NULL, "new", "{\"v\":3}"), 0);
		CU_ASSERT_EQUAL(del(&f, NULL, "k99"), calls == 0 ? 0 :
		    AE_DOCUMENT_NOT_FOUND);
		commit(&f);
		CU_ASSERT_EQUAL(store_dump(f.st, snap, f.sh, out.len + 700,
		    STORE_JSON, true, 0, &out, &count, &more), 0);
	}
	CU_ASSERT_EQUAL(count, 100);
	CU_ASSERT_EQUAL(calls, 10);	/* the last document ends it */
	CU_ASSERT_EQUAL(count_of(buf_cstr(&out), "\"v\":1}}\n"), 100);
	CU_ASSERT_EQUAL(strncmp(buf_cstr(&out), "{\"type\":2300,\"data\":{"
	    "\"_key\":\"k0\",\"_id\":\"coll/k0\",\"_rev\":\"Nn\",\"v\":1}}\n",
	    40), 0);
	CU_ASSERT_EQUAL(store_dump(f.st, snap, f.sh, SIZE_MAX, STORE_JSON,
	    true, 0, &out, &count, &more), 0);
	CU_ASSERT_EQUAL(count, 100);
	CU_ASSERT_FALSE(more);
	store_snap_delete(f.st, snap);
	/* Nothing at all. */
	f.sh = fix_shard(&f, "_system", "empty", 3);
	CU_ASSERT_EQUAL(store_snap_create(f.st, 0, &snap), 0);
	buf_reset(&out);
	CU_ASSERT_EQUAL(store_dump(f.st, snap, f.sh, SIZE_MAX, STORE_VPACK,
	    true, 0, &out, &count, &more), 0);
	CU_ASSERT_EQUAL(out.len, 0);
	CU_ASSERT_FALSE(more);
	buf_free(&out);
	fix_close(&f);
}

static void
test_dump_forms(void)
{
	struct fix		 f;
	struct store_snap	*snap;
	struct buf		 out = BUF_INIT;
	uint64_t		 type;
	size_t			 used;
	bool			 more;

	fix_open(&f, NULL);
	CU_ASSERT_EQUAL(put(&f, NULL, "a", "{\"v\":1}"), 0);
	CU_ASSERT_EQUAL(put(&f, NULL, "b", "{\"v\":2}"), 0);
	CU_ASSERT_EQUAL(store_snap_create(f.st, 0, &snap), 0);
	CU_ASSERT_EQUAL(store_dump(f.st, snap, f.sh, 1, STORE_VPACK, true, 0,
	    &out, NULL, &more), 0);
	CU_ASSERT_TRUE(more);
	CU_ASSERT_EQUAL(vp_validate_first(out.data, out.len, &used, NULL), 0);
	CU_ASSERT_EQUAL(used, out.len);
	CU_ASSERT_EQUAL(vp_get_uint(vp_get(out.data, "type"), &type), 0);
	CU_ASSERT_EQUAL(type, 2300);
	buf_reset(&out);
	CU_ASSERT_EQUAL(store_dump(f.st, snap, f.sh, SIZE_MAX, STORE_JSON,
	    false, 0, &out, NULL, &more), 0);
	CU_ASSERT_FALSE(more);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&out), "{\"_key\":\"b\",\"_id\":"
	    "\"coll/b\",\"_rev\":\"No\",\"v\":2}\n");
	buf_free(&out);
	fix_close(&f);
}

static void
test_life(void)
{
	static const struct timespec	 nap = { 0, 20 * 1000 * 1000 };
	struct fix			 f;
	struct store_snap		*a, *b;
	const uint8_t			*doc;
	uint64_t			 ida, idb, rev = 0;
	bool				 more;
	struct buf			 out = BUF_INIT;

	fix_open(&f, NULL);
	CU_ASSERT_EQUAL(put(&f, NULL, "a", "{\"v\":1}"), 0);
	CU_ASSERT_EQUAL(store_snap_create(f.st, 5, &a), 0);
	CU_ASSERT_EQUAL(store_snap_create(f.st, 5, &b), 0);
	ida = store_snap_id(a);
	idb = store_snap_id(b);
	CU_ASSERT_NOT_EQUAL(ida, idb);
	CU_ASSERT_EQUAL(put(&f, NULL, "a", "{\"v\":2}"), 0);
	CU_ASSERT_EQUAL(store_snap_get(f.st, a, f.sh, "a", 1, &doc, &rev), 0);
	CU_ASSERT_EQUAL(rev, f.rev - 1);
	store_snap_extend(f.st, a, 100000);
	store_snap_use(b);
	nanosleep(&nap, NULL);
	store_snap_expire(f.st);
	CU_ASSERT_PTR_EQUAL(store_snap_find(f.st, ida), a);
	CU_ASSERT_PTR_EQUAL(store_snap_find(f.st, idb), b);
	store_snap_release(f.st, b);
	CU_ASSERT_PTR_NULL(store_snap_find(f.st, idb));
	store_snap_expire(f.st);
	CU_ASSERT_PTR_NULL(store_snap_find(f.st, idb));
	store_snap_use(a);
	CU_ASSERT_EQUAL(store_dump(f.st, a, f.sh, 0, STORE_JSON, false, 0,
	    &out, NULL, &more), 0);
	CU_ASSERT_TRUE(more);
	store_snap_delete(f.st, a);
	CU_ASSERT_PTR_NULL(store_snap_find(f.st, ida));
	/* The shard goes while its dump is open. */
	CU_ASSERT_EQUAL(store_shard_drop(f.st, &f.sh), 0);
	store_snap_release(f.st, a);
	buf_free(&out);
	fix_close(&f);
}

static void
test_scans(void)
{
	struct fix		 f;
	struct store_scan	*s, *old;
	struct store_row	 row;
	struct store_tx		*tx;
	const uint8_t		*doc;
	uint64_t		 sum = 0, want = 0;
	char			 keys[256];
	size_t			 i;

	fix_open(&f, NULL);
	CU_ASSERT_EQUAL(put(&f, NULL, "d", "{\"v\":1}"), 0);
	CU_ASSERT_EQUAL(put(&f, NULL, "b", "{\"v\":1}"), 0);
	CU_ASSERT_EQUAL(put(&f, NULL, "c", "{\"v\":1}"), 0);
	CU_ASSERT_EQUAL(store_scan_new(f.st, f.sh, STORE_BY_KEY, NULL, NULL,
	    &old), 0);
	CU_ASSERT_EQUAL(store_tx_begin(f.st, STORE_TX_STREAM, 0, &tx), 0);
	CU_ASSERT_EQUAL(put(&f, tx, "a", "{\"v\":2}"), 0);
	CU_ASSERT_EQUAL(put(&f, tx, "c", "{\"v\":3}"), 0);
	CU_ASSERT_EQUAL(del(&f, tx, "d"), 0);
	CU_ASSERT_EQUAL(put(&f, tx, "e", "{\"v\":2}"), 0);
	CU_ASSERT_EQUAL(del(&f, tx, "e"), 0);
	CU_ASSERT_EQUAL(put(&f, NULL, "x", "{\"v\":2}"), 0);
	CU_ASSERT_EQUAL(store_scan_new(f.st, f.sh, STORE_BY_KEY, NULL, tx,
	    &s), 0);
	CU_ASSERT_STRING_EQUAL(keys_of(s, keys), "a b c ");
	store_scan_seek_key(s, "b", 1);
	CU_ASSERT_EQUAL(store_scan_next(s, false, &row), 1);
	CU_ASSERT_EQUAL(row.key[0], 'b');
	CU_ASSERT_PTR_NULL(row.doc);
	store_scan_seek_key(s, "bb", 2);
	CU_ASSERT_STRING_EQUAL(keys_of(s, keys), "c ");
	store_scan_free(&s);
	CU_ASSERT_EQUAL(store_scan_new(f.st, f.sh, STORE_BY_REV, NULL, tx,
	    &s), 0);
	CU_ASSERT_STRING_EQUAL(keys_of(s, keys), "b a c ");
	store_scan_free(&s);
	CU_ASSERT_EQUAL(store_tx_commit(f.st, &tx), 0);
	CU_ASSERT_STRING_EQUAL(keys_of(old, keys), "b c d ");
	store_scan_free(&old);
	CU_ASSERT_EQUAL(store_scan_new(f.st, f.sh, STORE_BY_REV, NULL, NULL,
	    &s), 0);
	store_scan_seek_rev(s, f.rev);
	CU_ASSERT_STRING_EQUAL(keys_of(s, keys), "x ");
	store_scan_seek_rev(s, 0);
	while (store_scan_checksum(s, true, true, 2, &sum) == 1)
		;
	for (i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(store_get(f.st, NULL, f.sh, &"abcx"[i], 1,
		    &doc, NULL), 0);
		want ^= vp_document_checksum(doc, true, true);
	}
	CU_ASSERT_EQUAL(sum, want);
	CU_ASSERT_NOT_EQUAL(sum, 0);
	store_scan_seek_rev(s, 0);
	CU_ASSERT_EQUAL(store_shard_drop(f.st, &f.sh), 0);
	CU_ASSERT_EQUAL(store_scan_next(s, true, &row),
	    AE_DATA_SOURCE_NOT_FOUND);
	store_scan_free(&s);
	fix_close(&f);
}

UNIT_MAIN("store_snap",
    { "a dump shows the snapshot while others write", test_dump_under_writes },
    { "dumps with and without envelope, as VelocyPack", test_dump_forms },
    { "snapshots expire, unless they are used", test_life },
    { "scans by key and revision, in streams too", test_scans })
