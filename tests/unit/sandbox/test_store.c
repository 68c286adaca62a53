/* test_store.c - documents, indexes and transactions of the store */
#include "store_test.h"

static struct store_index *
make_index(struct fix *f, const char *json, int expect,
    struct store_conflict *c)
{
	struct store_index	*ix = NULL;
	uint8_t			*def = vp_text(json);

	CU_ASSERT_EQUAL(store_index_create(f->st, f->sh, def, c, &ix), expect);
	free(def);
	return ix;
}

static void
test_documents(void)
{
	struct fix	 f;
	uint64_t	 rev = 0;
	bool		 pending;

	fix_open(&f, NULL);
	CU_ASSERT_EQUAL(put(&f, NULL, "a", "{\"v\":1}"), 0);
	pending = store_is_pending(f.st);
	CU_ASSERT_TRUE(pending);
	CU_ASSERT_EQUAL(value(&f, NULL, "a"), 1);
	commit(&f);
	CU_ASSERT_EQUAL(value(&f, NULL, "a"), 1);
	CU_ASSERT_EQUAL(put(&f, NULL, "a", "{\"v\":2}"), 0);
	CU_ASSERT_EQUAL(value(&f, NULL, "a"), 2);
	CU_ASSERT_EQUAL(store_shard_count(f.sh, NULL), 1);
	CU_ASSERT_EQUAL(del(&f, NULL, "b"), AE_DOCUMENT_NOT_FOUND);
	CU_ASSERT_EQUAL(store_remove(f.st, NULL, f.sh, "a", 1, &rev), 0);
	CU_ASSERT_EQUAL(rev, f.rev);
	CU_ASSERT_EQUAL(value(&f, NULL, "a"), -1);
	CU_ASSERT_EQUAL(store_shard_count(f.sh, NULL), 0);
	commit(&f);
	CU_ASSERT_EQUAL(value(&f, NULL, "a"), -1);
	CU_ASSERT_EQUAL(store_shard_revision(f.sh), f.rev);
	fix_close(&f);
}

static void
test_reopen(void)
{
	struct fix		 f;
	struct store_db		*db;
	uint64_t		 id, shard;

	fix_open(&f, NULL);
	id = store_server_id(f.st);
	shard = f.sh->id;
	CU_ASSERT_EQUAL(store_db_create(f.st, "other", NULL, &db), 0);
	CU_ASSERT_EQUAL(store_db_create(f.st, "other", NULL, &db),
	    AE_DUPLICATE_NAME);
	(void)fix_shard(&f, "other", "s2", 200);
	CU_ASSERT_EQUAL(put(&f, NULL, "a", "{\"v\":1}"), 0);
	(void)make_index(&f, "{\"id\":\"7\",\"type\":\"hash\",\"fields\":"
	    "[\"v\"],\"unique\":true,\"name\":\"u\"}", 0, NULL);
	CU_ASSERT_EQUAL(put(&f, NULL, "b", "{\"v\":2}"), 0);
	store_close(&f.st);

	fix_reopen(&f, NULL);
	CU_ASSERT_EQUAL(store_server_id(f.st), id);
	CU_ASSERT_EQUAL(f.sh->id, shard);
	CU_ASSERT_STRING_EQUAL(f.sh->guid, "c100/s1");
	CU_ASSERT_STRING_EQUAL(f.sh->collection, "coll");
	CU_ASSERT_EQUAL(store_shard_count(f.sh, NULL), 2);
	CU_ASSERT_EQUAL(store_max_rev(f.st), f.rev);
	CU_ASSERT_EQUAL(f.sh->nindexes, 1);
	CU_ASSERT_EQUAL(put(&f, NULL, "c", "{\"v\":2}"),
	    AE_UNIQUE_CONSTRAINT_VIOLATED);
	CU_ASSERT_PTR_NOT_NULL(store_shard_by_guid(f.st, "c200/s2"));
	CU_ASSERT_EQUAL(store_db_drop(f.st, "other"), 0);
	CU_ASSERT_PTR_NULL(store_shard_by_guid(f.st, "c200/s2"));
	CU_ASSERT_EQUAL(store_shard_drop(f.st, &f.sh), 0);
	CU_ASSERT_PTR_NULL(f.sh);
	store_close(&f.st);

	/* Nothing of the former shard shows in a new one of that name. */
	fix_reopen(&f, NULL);
	CU_ASSERT_PTR_NULL(store_db_find(f.st, "other"));
	CU_ASSERT_PTR_NULL(f.sh);
	f.sh = fix_shard(&f, "_system", "s1", 100);
	CU_ASSERT_NOT_EQUAL(f.sh->id, shard);
	CU_ASSERT_EQUAL(store_shard_count(f.sh, NULL), 0);
	CU_ASSERT_EQUAL(value(&f, NULL, "a"), -1);
	fix_close(&f);
}

static void
test_same_revision(void)
{
	struct fix	 f;
	const uint8_t	*doc;
	bool		 is_b;

	fix_open(&f, NULL);
	CU_ASSERT_EQUAL(put_rev(&f, NULL, f.sh, "a", 50, "{\"v\":1}", NULL),
	    0);
	CU_ASSERT_EQUAL(put_rev(&f, NULL, f.sh, "b", 50, "{\"v\":2}", NULL),
	    0);
	commit(&f);
	CU_ASSERT_EQUAL(value(&f, NULL, "a"), 2);
	CU_ASSERT_EQUAL(store_get(f.st, NULL, f.sh, "a", 1, &doc, NULL), 0);
	is_b = vp_string_is(vp_get(doc, "_key"), "b", 1);
	CU_ASSERT_TRUE(is_b);
	CU_ASSERT_EQUAL(store_shard_count(f.sh, NULL), 2);
	/* The one takes the body of the other away. */
	CU_ASSERT_EQUAL(del(&f, NULL, "a"), 0);
	CU_ASSERT_EQUAL(value(&f, NULL, "b"), -1);
	fix_close(&f);
}

static void
test_unique(void)
{
	struct fix		 f;
	struct store_conflict	 c = { 0 };
	struct buf		 text = BUF_INIT;
	uint8_t			*v;

	fix_open(&f, NULL);
	(void)make_index(&f, "{\"id\":\"7\",\"type\":\"persistent\","
	    "\"fields\":[\"v\",\"x.y\"],\"unique\":true,\"name\":\"u\"}", 0,
	    NULL);
	CU_ASSERT_EQUAL(put(&f, NULL, "a", "{\"v\":1,\"x\":{\"y\":2}}"), 0);
	CU_ASSERT_EQUAL(put_rev(&f, NULL, f.sh, "b", 2000,
	    "{\"x\":{\"y\":2.0},\"v\":1}", &c), AE_UNIQUE_CONSTRAINT_VIOLATED);
	store_conflict_text(&c, &text);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&text), "unique constraint violated - "
	    "in index u of type persistent over 'v, x.y'; conflicting key: a");
	CU_ASSERT_EQUAL(value(&f, NULL, "b"), -1);
	CU_ASSERT_EQUAL(store_shard_count(f.sh, NULL), 1);
	/* Missing is null, and null is one value. */
	CU_ASSERT_EQUAL(put(&f, NULL, "c", "{\"v\":1}"), 0);
	CU_ASSERT_EQUAL(put(&f, NULL, "d", "{\"v\":1,\"x\":{\"y\":null}}"),
	    AE_UNIQUE_CONSTRAINT_VIOLATED);
	/* A document does not conflict with itself. */
	CU_ASSERT_EQUAL(put(&f, NULL, "a", "{\"v\":1,\"x\":{\"y\":2}}"), 0);
	/* Two swap their values: the first step is refused. */
	CU_ASSERT_EQUAL(put(&f, NULL, "e", "{\"v\":5}"), 0);
	CU_ASSERT_EQUAL(put(&f, NULL, "a", "{\"v\":5}"),
	    AE_UNIQUE_CONSTRAINT_VIOLATED);
	CU_ASSERT_EQUAL(put(&f, NULL, "e", "{\"v\":6}"), 0);
	CU_ASSERT_EQUAL(put(&f, NULL, "a", "{\"v\":5}"), 0);
	CU_ASSERT_EQUAL(put(&f, NULL, "e", "{\"v\":1,\"x\":{\"y\":2}}"), 0);
	CU_ASSERT_EQUAL(del(&f, NULL, "e"), 0);
	CU_ASSERT_EQUAL(put(&f, NULL, "g", "{\"v\":1,\"x\":{\"y\":2}}"), 0);
	/* Numbers beyond 2^53 are told apart. */
	CU_ASSERT_EQUAL(put(&f, NULL, "h", "{\"v\":9007199254740992}"), 0);
	CU_ASSERT_EQUAL(put(&f, NULL, "i", "{\"v\":9007199254740993}"), 0);
	CU_ASSERT_EQUAL(put(&f, NULL, "j", "{\"v\":9007199254740992.0}"),
	    AE_UNIQUE_CONSTRAINT_VIOLATED);
	v = vp_text("{\"id\":7,\"type\":\"hash\",\"fields\":[\"z\"]}");
	CU_ASSERT_EQUAL(store_index_create(f.st, f.sh, v, NULL,
	    &(struct store_index *){ NULL }), AE_DUPLICATE_IDENTIFIER);
	free(v);
	CU_ASSERT_EQUAL(store_index_drop(f.st, f.sh, 7), 0);
	CU_ASSERT_EQUAL(store_index_drop(f.st, f.sh, 7), AE_INDEX_NOT_FOUND);
	CU_ASSERT_EQUAL(put(&f, NULL, "k", "{\"v\":5}"), 0);
	buf_free(&text);
	fix_close(&f);
}

static void
test_index_kinds(void)
{
	struct fix		 f;
	struct store_conflict	 c;
	struct store_index	*ix;

	fix_open(&f, NULL);
	CU_ASSERT_EQUAL(put(&f, NULL, "a", "{\"v\":1}"), 0);
	CU_ASSERT_EQUAL(put(&f, NULL, "b", "{\"v\":1}"), 0);
	CU_ASSERT_EQUAL(put(&f, NULL, "c", "{\"w\":1}"), 0);
	CU_ASSERT_EQUAL(put(&f, NULL, "d", "{\"w\":2}"), 0);
	(void)make_index(&f, "{\"id\":\"1\",\"type\":\"persistent\","
	    "\"fields\":[\"v\"],\"unique\":true,\"name\":\"n\"}",
	    AE_UNIQUE_CONSTRAINT_VIOLATED, &c);
	CU_ASSERT_STRING_EQUAL(c.key, "a");
	CU_ASSERT_EQUAL(f.sh->nindexes, 0);
	/* Sparse: documents without the value are not in it. */
	CU_ASSERT_EQUAL(del(&f, NULL, "b"), 0);
	ix = make_index(&f, "{\"id\":\"2\",\"type\":\"skiplist\","
	    "\"fields\":[\"v\"],\"unique\":true,\"sparse\":true}", 0, &c);
	CU_ASSERT_EQUAL(ix->kind, STORE_INDEX_UNIQUE);
	CU_ASSERT_PTR_NULL(store_index_for(f.sh, "v"));
	CU_ASSERT_EQUAL(put(&f, NULL, "e", "{\"v\":null}"), 0);
	CU_ASSERT_EQUAL(put(&f, NULL, "f", "{\"v\":1}"),
	    AE_UNIQUE_CONSTRAINT_VIOLATED);
	ix = make_index(&f, "{\"id\":\"3\",\"type\":\"persistent\","
	    "\"fields\":[\"t[*]\"],\"unique\":true}", 0, &c);
	CU_ASSERT_EQUAL(ix->kind, STORE_INDEX_META);
	ix = make_index(&f, "{\"id\":\"4\",\"type\":\"inverted\","
	    "\"fields\":[{\"name\":\"t\"}]}", 0, &c);
	CU_ASSERT_EQUAL(ix->kind, STORE_INDEX_META);
	CU_ASSERT_STRING_EQUAL(ix->fields[0], "t");
	fix_close(&f);
}

static void
test_index_scan(void)
{
	struct fix		 f;
	struct store_index	*ix;
	struct store_scan	*s;
	struct store_row	 row;
	struct store_tx		*tx;
	uint8_t			*one = vp_text("1.0");
	char			 keys[16] = "", *p = keys;

	fix_open(&f, NULL);
	CU_ASSERT_EQUAL(put(&f, NULL, "a", "{\"v\":1}"), 0);
	(void)make_index(&f, "{\"id\":\"1\",\"type\":\"persistent\","
	    "\"fields\":[\"v\"]}", 0, NULL);
	CU_ASSERT_EQUAL(put(&f, NULL, "b", "{\"v\":1}"), 0);
	CU_ASSERT_EQUAL(put(&f, NULL, "c", "{\"v\":2}"), 0);
	CU_ASSERT_EQUAL(put(&f, NULL, "d", "{\"v\":\"1\"}"), 0);
	ix = store_index_for(f.sh, "v");
	CU_ASSERT_PTR_NOT_NULL_FATAL(ix);
	CU_ASSERT_EQUAL(store_tx_begin(f.st, STORE_TX_STREAM, 0, &tx), 0);
	CU_ASSERT_EQUAL(put(&f, tx, "e", "{\"v\":1}"), 0);
	CU_ASSERT_EQUAL(del(&f, tx, "a"), 0);
	CU_ASSERT_EQUAL(store_scan_index(f.st, f.sh, ix, one, tx, &s), 0);
	while (store_scan_next(s, true, &row) == 1)
		*p++ = row.key[0];
	*p = '\0';
	store_scan_free(&s);
	CU_ASSERT_STRING_EQUAL(keys, "be");
	store_tx_abort(f.st, &tx);
	CU_ASSERT_EQUAL(store_scan_index(f.st, f.sh, ix, one, NULL, &s), 0);
	for (p = keys; store_scan_next(s, true, &row) == 1; )
		*p++ = row.key[0];
	*p = '\0';
	store_scan_free(&s);
	CU_ASSERT_STRING_EQUAL(keys, "ab");
	free(one);
	fix_close(&f);
}

static void
test_stream(void)
{
	struct fix	 f;
	struct store_tx	*tx, *other;
	const uint8_t	*doc;
	bool		 wrote;

	fix_open(&f, NULL);
	CU_ASSERT_EQUAL(put(&f, NULL, "a", "{\"v\":1}"), 0);
	CU_ASSERT_EQUAL(put(&f, NULL, "b", "{\"v\":1}"), 0);
	CU_ASSERT_EQUAL(store_tx_begin(f.st, STORE_TX_STREAM, 4711, &tx), 0);
	CU_ASSERT_EQUAL(put(&f, tx, "a", "{\"v\":2}"), 0);
	CU_ASSERT_EQUAL(value(&f, tx, "a"), 2);
	CU_ASSERT_EQUAL(value(&f, NULL, "a"), 1);
	CU_ASSERT_EQUAL(put(&f, tx, "n", "{\"v\":3}"), 0);
	CU_ASSERT_EQUAL(store_shard_count(f.sh, tx), 3);
	CU_ASSERT_EQUAL(store_shard_count(f.sh, NULL), 2);
	/* Others are kept away from what it wrote. */
	CU_ASSERT_EQUAL(put(&f, NULL, "a", "{\"v\":9}"), AE_CONFLICT);
	CU_ASSERT_EQUAL(del(&f, NULL, "n"), AE_CONFLICT);
	CU_ASSERT_EQUAL(store_tx_begin(f.st, STORE_TX_STREAM, 0, &other), 0);
	CU_ASSERT_EQUAL(put(&f, other, "a", "{\"v\":9}"), AE_CONFLICT);
	/* It does not overwrite what came after its begin. */
	CU_ASSERT_EQUAL(put(&f, NULL, "b", "{\"v\":5}"), 0);
	commit(&f);
	CU_ASSERT_EQUAL(value(&f, tx, "b"), 1);
	CU_ASSERT_EQUAL(put(&f, tx, "b", "{\"v\":6}"), AE_CONFLICT);
	CU_ASSERT_EQUAL(del(&f, tx, "b"), AE_CONFLICT);
	wrote = store_tx_wrote(tx, f.sh);
	CU_ASSERT_TRUE(wrote);
	CU_ASSERT_EQUAL(store_tx_commit(f.st, &tx), 0);
	CU_ASSERT_EQUAL(value(&f, NULL, "a"), 2);
	CU_ASSERT_EQUAL(store_shard_count(f.sh, NULL), 3);
	store_tx_abort(f.st, &other);
	/* An aborted one leaves nothing and holds nothing. */
	CU_ASSERT_EQUAL(store_tx_begin(f.st, STORE_TX_STREAM, 0, &tx), 0);
	CU_ASSERT_EQUAL(del(&f, tx, "a"), 0);
	CU_ASSERT_EQUAL(store_get(f.st, tx, f.sh, "a", 1, &doc, NULL),
	    AE_DOCUMENT_NOT_FOUND);
	store_tx_abort(f.st, &tx);
	CU_ASSERT_EQUAL(put(&f, NULL, "a", "{\"v\":9}"), 0);
	CU_ASSERT_EQUAL(value(&f, NULL, "a"), 9);
	fix_close(&f);
}

static void
test_stream_unique(void)
{
	struct fix	 f;
	struct store_tx	*tx;

	fix_open(&f, NULL);
	(void)make_index(&f, "{\"id\":\"7\",\"type\":\"hash\",\"fields\":"
	    "[\"v\"],\"unique\":true}", 0, NULL);
	CU_ASSERT_EQUAL(put(&f, NULL, "a", "{\"v\":1}"), 0);
	CU_ASSERT_EQUAL(store_tx_begin(f.st, STORE_TX_STREAM, 0, &tx), 0);
	CU_ASSERT_EQUAL(put(&f, tx, "a", "{\"v\":2}"), 0);
	/* Both the value given up and the one taken are locked. */
	CU_ASSERT_EQUAL(put(&f, NULL, "b", "{\"v\":1}"), AE_CONFLICT);
	CU_ASSERT_EQUAL(put(&f, NULL, "b", "{\"v\":2}"), AE_CONFLICT);
	CU_ASSERT_EQUAL(put(&f, tx, "c", "{\"v\":1}"), 0);
	CU_ASSERT_EQUAL(put(&f, tx, "d", "{\"v\":1}"),
	    AE_UNIQUE_CONSTRAINT_VIOLATED);
	(void)make_index(&f, "{\"id\":\"8\",\"type\":\"hash\",\"fields\":"
	    "[\"w\"]}", AE_LOCK_TIMEOUT, NULL);
	CU_ASSERT_EQUAL(store_tx_commit(f.st, &tx), 0);
	CU_ASSERT_EQUAL(put(&f, NULL, "b", "{\"v\":1}"),
	    AE_UNIQUE_CONSTRAINT_VIOLATED);
	/* A shard that went meanwhile undoes the rest. */
	CU_ASSERT_EQUAL(store_tx_begin(f.st, STORE_TX_STREAM, 0, &tx), 0);
	CU_ASSERT_EQUAL(put(&f, tx, "a", "{\"v\":20}"), 0);
	CU_ASSERT_EQUAL(store_shard_drop(f.st, &f.sh), 0);
	CU_ASSERT_EQUAL(store_tx_commit(f.st, &tx),
	    AE_DATA_SOURCE_NOT_FOUND);
	fix_close(&f);
}

static void
test_edges(void)
{
	struct fix		 f;
	struct store_shard	*sh = NULL;
	struct buf		 text = BUF_INIT;
	const uint8_t		*doc;
	uint8_t			*props;

	fix_open(&f, NULL);
	props = vp_text("{\"type\":3,\"name\":\"e\",\"indexes\":[1]}");
	CU_ASSERT_EQUAL(store_shard_create(f.st, "_system", "s9", 9, props,
	    &sh), 0);
	free(props);
	CU_ASSERT_EQUAL(put_rev(&f, NULL, sh, "k", 64,
	    "{\"a\":1,\"_to\":\"x/1\",\"_rev\":\"zz\",\"_from\":\"y/2\","
	    "\"_key\":\"no\"}", NULL), 0);
	CU_ASSERT_EQUAL(store_get(f.st, NULL, sh, "k", 1, &doc, NULL), 0);
	vp_to_json(&text, doc, 0);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&text), "{\"_key\":\"k\",\"_id\":"
	    "\"e/k\",\"_from\":\"y/2\",\"_to\":\"x/1\",\"_rev\":\"_-\","
	    "\"a\":1}");
	/* What store_get() gave may be put back. */
	CU_ASSERT_EQUAL(store_put(f.st, NULL, sh, doc, NULL, NULL), 0);
	commit(&f);
	CU_ASSERT_EQUAL(store_get(f.st, NULL, sh, "k", 1, &doc, NULL), 0);
	CU_ASSERT_EQUAL(store_put(f.st, NULL, sh, doc, NULL, NULL), 0);
	CU_ASSERT_EQUAL(store_shard_count(sh, NULL), 1);
	buf_free(&text);
	fix_close(&f);
}

UNIT_MAIN("store",
    { "documents come and go, pending or written", test_documents },
    { "definitions, counts and numbers survive", test_reopen },
    { "two keys with one revision share a body", test_same_revision },
    { "unique indexes refuse, and a swap conflicts", test_unique },
    { "sparse, expanded and foreign indexes", test_index_kinds },
    { "documents are found by an index", test_index_scan },
    { "a stream transaction is alone with its keys", test_stream },
    { "a stream transaction is alone with unique values", test_stream_unique },
    { "edges have their ends in front", test_edges })
