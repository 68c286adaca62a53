/* test_store_wal.c - the log as wal/tail shows it */
#include "base/clock.h"
#include "store_test.h"

static uint64_t
tick_of(const char *body, const char *what)
{
	const char	*p = strstr(body, what), *line;

	if (p == NULL)
		return 0;
	for (line = p; line > body && line[-1] != '\n'; line--)
		;
	if ((p = strstr(line, "\"tick\":\"")) == NULL)
		return 0;
	return strtoull(p + 8, NULL, 10);
}

static void
test_merged(void)
{
	struct fix		 f;
	struct store_tail_res	 res;
	struct store_tx		*tx;
	const char		*body;
	uint64_t		 start, b, c;

	fix_open(&f, NULL);
	start = store_last_tick(f.st);
	/* Three requests of one loop iteration. */
	CU_ASSERT_EQUAL(put(&f, NULL, "a", "{\"v\":1}"), 0);
	CU_ASSERT_EQUAL(put(&f, NULL, "b", "{\"v\":2}"), 0);
	CU_ASSERT_EQUAL(store_tx_begin(f.st, STORE_TX_REQUEST, 77, &tx), 0);
	CU_ASSERT_EQUAL(put(&f, tx, "c", "{\"v\":3}"), 0);
	CU_ASSERT_EQUAL(del(&f, tx, "a"), 0);
	CU_ASSERT_EQUAL(store_tx_commit(f.st, &tx), 0);
	commit(&f);
	body = tail(&f, start, 0, 0, &res);
	CU_ASSERT_EQUAL(count_of(body, "\n"), 6);
	CU_ASSERT_EQUAL(count_of(body, "\"tid\":\"0\""), 2);
	CU_ASSERT_EQUAL(count_of(body, "\"tid\":\"77\""), 4);
	CU_ASSERT_EQUAL(count_of(body, "\"type\":2200,\"tid\":\"77\",\"db\":"
	    "\"_system\"}"), 1);
	CU_ASSERT_EQUAL(count_of(body, "\"type\":2302,\"db\":\"_system\","
	    "\"cuid\":\"c100/s1\",\"tid\":\"77\",\"data\":{\"_key\":\"a\","
	    "\"_rev\":\"Nn\"}}"), 1);
	CU_ASSERT_TRUE(res.from_present);
	CU_ASSERT_EQUAL(res.last_tick, store_last_tick(f.st));
	b = tick_of(body, "\"_key\":\"b\"");
	c = tick_of(body, "\"_key\":\"c\"");
	CU_ASSERT_EQUAL(tick_of(body, "\"_key\":\"a\""), start + 1);
	CU_ASSERT_EQUAL(b, start + 3);
	/* A begin carries the tick of what was before it. */
	CU_ASSERT_EQUAL(tick_of(body, "2200"), start + 4);
	CU_ASSERT_EQUAL(c, start + 5);
	CU_ASSERT_EQUAL(tick_of(body, "2201"), start + 8);
	CU_ASSERT_EQUAL(res.last_included, start + 8);

	/* R1: who goes on behind a marker loses the rest of the record. */
	body = tail(&f, b, 0, 0, &res);
	CU_ASSERT_STRING_EQUAL(body, "");
	CU_ASSERT_EQUAL(res.last_included, 0);
	CU_ASSERT_TRUE(res.from_present);
	CU_ASSERT_FALSE(res.check_more);
	CU_ASSERT_EQUAL(res.last_scanned, start + 1);
	/* Exactly at its begin: parsed, without what has that tick. */
	body = tail(&f, start + 1, 0, 0, &res);
	CU_ASSERT_EQUAL(count_of(body, "\n"), 5);
	tail(NULL, 0, 0, 0, &res);
	fix_close(&f);
}

static void
put_some(struct fix *f, int requests)
{
	struct store_tx	*tx;
	char		 key[32];
	int		 i, k;

	for (i = 0; i < requests; i++) {
		snprintf(key, sizeof(key), "s%d", i);
		CU_ASSERT_EQUAL(put(f, NULL, key, "{\"v\":1}"), 0);
		if (i % 3 == 0) {
			CU_ASSERT_EQUAL(store_tx_begin(f->st,
			    STORE_TX_REQUEST, 0, &tx), 0);
			for (k = 0; k < 20; k++) {
				snprintf(key, sizeof(key), "t%d-%d", i, k);
				CU_ASSERT_EQUAL(put(f, tx, key,
				    "{\"v\":2,\"t\":\"some more text\"}"), 0);
			}
			CU_ASSERT_EQUAL(store_tx_commit(f->st, &tx), 0);
		}
		if (i % 5 == 4)
			commit(f);
	}
	commit(f);
}

/* Read on from header values only, as R1 says; all bodies into out. */
static unsigned int
read_all(struct fix *f, uint64_t from, bool scanned, size_t chunk,
    struct buf *out)
{
	struct store_tail_res	 res;
	uint64_t		 last = 0;
	unsigned int		 n = 0;

	do {
		buf_append_str(out, tail(f, from, last, chunk, &res));
		if (res.last_included > 0)
			from = res.last_included;
		else if (res.last_scanned > from)
			from = res.last_scanned - 1;
		last = scanned ? res.last_scanned : 0;
		n++;
	} while (res.check_more && n < 10000);
	return n;
}

static void
test_boundaries(void)
{
	struct fix		 f;
	struct store_tail_res	 res;
	struct buf		 whole = BUF_INIT, parts = BUF_INIT;
	struct buf		 split = BUF_INIT;
	uint64_t		 start;

	fix_open(&f, NULL);
	start = store_last_tick(f.st);
	put_some(&f, 300);
	buf_append_str(&whole, tail(&f, start, 0, STORE_CHUNK_MAX, &res));
	CU_ASSERT_EQUAL(count_of(buf_cstr(&whole), "\"type\":2300"),
	    300 + 100 * 20);
	CU_ASSERT_TRUE(read_all(&f, start, false, 1, &parts) > 3);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&parts), buf_cstr(&whole));
	CU_ASSERT_TRUE(read_all(&f, start, true, 1, &split) > 3);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&split), buf_cstr(&whole));
	tail(NULL, 0, 0, 0, &res);
	buf_free(&whole);
	buf_free(&parts);
	buf_free(&split);
	fix_close(&f);
}

static void
test_mid_batch(void)
{
	struct fix		 f;
	struct store_tail_res	 res;
	struct store_tx		*tx;
	struct buf		 whole = BUF_INIT, parts = BUF_INIT;
	const char		*body;
	char			 key[16];
	uint64_t		 start;
	int			 i;

	fix_open(&f, NULL);
	start = store_last_tick(f.st);
	CU_ASSERT_EQUAL(store_tx_begin(f.st, STORE_TX_REQUEST, 5, &tx), 0);
	for (i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		CU_ASSERT_EQUAL(put(&f, tx, key, "{\"v\":1}"), 0);
	}
	CU_ASSERT_EQUAL(store_tx_commit(f.st, &tx), 0);
	commit(&f);
	/* Without lastScanned a transaction is never cut. */
	body = tail(&f, start, 0, 1, &res);
	CU_ASSERT_EQUAL(count_of(body, "2201"), 1);
	buf_append_str(&whole, body);
	/* With it, it is: begin without commit, then the rest. */
	body = tail(&f, start, start, 1, &res);
	CU_ASSERT_EQUAL(count_of(body, "2200,"), 1);
	CU_ASSERT_EQUAL(count_of(body, "2201,"), 0);
	CU_ASSERT_EQUAL(res.last_scanned, start + 1);
	CU_ASSERT_TRUE(res.last_included > start + 1);
	CU_ASSERT_TRUE(res.check_more);
	CU_ASSERT_TRUE(strlen(body) < 17000);
	buf_append_str(&parts, body);
	while (res.check_more && res.last_included > 0) {
		body = tail(&f, res.last_included, res.last_scanned, 1, &res);
		CU_ASSERT_EQUAL(count_of(body, "2200,"), 0);
		buf_append_str(&parts, body);
	}
	CU_ASSERT_STRING_EQUAL(buf_cstr(&parts), buf_cstr(&whole));
	tail(NULL, 0, 0, 0, &res);
	buf_free(&whole);
	buf_free(&parts);
	fix_close(&f);
}

static void
test_ring_and_files(void)
{
	struct store_opts	 small = { .ring_bytes = 1 };
	struct fix		 f;
	struct store_tail_res	 r1, r2;
	struct buf		 ring = BUF_INIT, files = BUF_INIT;
	struct buf		 parts = BUF_INIT;
	struct slogring		 saved;
	uint64_t		 from, tick;
	uint8_t			*props;
	unsigned int		 bad = 0;
	int			 i;

	fix_open(&f, NULL);
	put_some(&f, 200);
	tick = store_last_tick(f.st);
	buf_append_str(&ring, tail(&f, 0, 0, STORE_CHUNK_MAX, &r1));
	store_close(&f.st);
	fix_reopen(&f, &small);
	CU_ASSERT_EQUAL(store_last_tick(f.st), tick);
	CU_ASSERT_EQUAL(f.st->ring.n, 0);
	buf_append_str(&files, tail(&f, 0, 0, STORE_CHUNK_MAX, &r2));
	CU_ASSERT_STRING_EQUAL(buf_cstr(&ring), buf_cstr(&files));
	CU_ASSERT_EQUAL(r1.last_included, r2.last_included);
	CU_ASSERT_EQUAL(r1.last_scanned, r2.last_scanned);
	CU_ASSERT_EQUAL(r1.last_tick, r2.last_tick);
	CU_ASSERT_EQUAL(r1.from_present, r2.from_present);
	CU_ASSERT_TRUE(read_all(&f, 0, true, 1, &parts) > 3);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&parts), buf_cstr(&ring));
	/* Every position alike, out of memory and out of the files. */
	store_close(&f.st);
	fix_reopen(&f, NULL);
	put_some(&f, 20);
	for (i = 0; i < 5; i++) {	/* batches of a single record */
		props = vp_text("{\"name\":\"coll\"}");
		CU_ASSERT_EQUAL(store_shard_change(f.st, f.sh, props), 0);
		free(props);
	}
	CU_ASSERT_TRUE(f.st->ring.n > 0);
	for (from = tick; from <= store_last_tick(f.st) + 1; from++) {
		buf_reset(&ring);
		buf_append_str(&ring, tail(&f, from, 0, 1, &r1));
		saved = f.st->ring;
		memset(&f.st->ring, 0, sizeof(f.st->ring));
		bad += strcmp(tail(&f, from, 0, 1, &r2), buf_cstr(&ring)) != 0;
		f.st->ring = saved;
		bad += r1.last_included != r2.last_included ||
		    r1.last_scanned != r2.last_scanned ||
		    r1.from_present != r2.from_present ||
		    r1.check_more != r2.check_more;
	}
	CU_ASSERT_EQUAL(bad, 0);
	tail(NULL, 0, 0, 0, &r1);
	buf_free(&ring);
	buf_free(&files);
	buf_free(&parts);
	fix_close(&f);
}

static void
test_new_and_nothing(void)
{
	struct fix		 f;
	struct store_tail_res	 res;
	const char		*body;
	uint64_t		 tick, t0;
	int			 i;

	fix_open(&f, NULL);
	put_some(&f, 10);
	tick = store_last_tick(f.st);
	body = tail(&f, tick, 0, 0, &res);
	CU_ASSERT_STRING_EQUAL(body, "");
	CU_ASSERT_TRUE(res.from_present);
	CU_ASSERT_EQUAL(res.last_tick, tick);
	CU_ASSERT_TRUE(res.last_scanned > 0 && res.last_scanned <= tick);
	/* Beyond the newest: a gap, whatever it means. */
	body = tail(&f, tick + 1, 0, 0, &res);
	CU_ASSERT_FALSE(res.from_present);
	CU_ASSERT_EQUAL(res.last_scanned, 0);
	CU_ASSERT_EQUAL(res.last_included, 0);
	/* From files, and again with nothing in memory: cheap. */
	store_close(&f.st);
	fix_reopen(&f, NULL);
	body = tail(&f, tick, 0, 0, &res);
	CU_ASSERT_TRUE(res.from_present);
	t0 = clock_mono_us();
	for (i = 0; i < 1000; i++)
		body = tail(&f, tick, 0, 0, &res);
	CU_ASSERT_TRUE(clock_mono_us() - t0 < 1000 * 200);
	CU_ASSERT_STRING_EQUAL(body, "");
	/* What comes then is seen by the iterator that waited. */
	CU_ASSERT_EQUAL(put(&f, NULL, "z", "{\"v\":1}"), 0);
	f.st->ring.max = 0;
	body = tail(&f, tick, 0, 0, &res);
	CU_ASSERT_EQUAL(count_of(body, "\"z\""), 1);
	CU_ASSERT_EQUAL(put(&f, NULL, "y", "{\"v\":1}"), 0);
	body = tail(&f, res.last_included, 0, 0, &res);
	CU_ASSERT_EQUAL(count_of(body, "\"y\""), 1);
	CU_ASSERT_EQUAL(count_of(body, "\n"), 1);
	tail(NULL, 0, 0, 0, &res);
	fix_close(&f);
}

static void
test_prune(void)
{
	struct fix		 f;
	struct store_tail_res	 res;
	struct store_wal_file	*files;
	const char		*body;
	uint64_t		 min, max, first, last, bytes;
	unsigned int		 gone;
	size_t			 n, i;

	fix_open(&f, NULL);
	for (i = 0; i < 4; i++) {
		put_some(&f, 20);
		CU_ASSERT_EQUAL(store_wal_rotate(f.st), 0);
	}
	put_some(&f, 20);
	CU_ASSERT_EQUAL(store_wal_files(f.st, &files, &n), 0);
	CU_ASSERT_TRUE_FATAL(n >= 5);
	CU_ASSERT_TRUE(files[0].archived && files[3].archived);
	CU_ASSERT_FALSE(files[n - 1].archived);
	for (i = 1; i < n; i++)
		CU_ASSERT_TRUE(files[i].first == files[i - 1].last + 1);
	first = files[2].first;
	last = files[1].first;
	free(files);
	CU_ASSERT_EQUAL(store_wal_range(f.st, &min, &max), 0);
	CU_ASSERT_EQUAL(min, 1);
	CU_ASSERT_EQUAL(max, store_last_tick(f.st));
	/* Too early without force; and a file stays that begins at keep. */
	CU_ASSERT_EQUAL(store_wal_prune(f.st, UINT64_MAX, false, &gone, NULL),
	    0);
	CU_ASSERT_EQUAL(gone, 0);
	CU_ASSERT_EQUAL(store_wal_prune(f.st, last, true, &gone, &bytes), 0);
	CU_ASSERT_EQUAL(gone, 0);
	CU_ASSERT_EQUAL(store_wal_prune(f.st, first + 1, true, &gone, &bytes),
	    0);
	CU_ASSERT_EQUAL(gone, 2);
	CU_ASSERT_TRUE(bytes > 0);
	CU_ASSERT_EQUAL(store_wal_range(f.st, &min, &max), 0);
	CU_ASSERT_EQUAL(min, first);
	body = tail(&f, last, 0, 0, &res);
	CU_ASSERT_FALSE(res.from_present);
	CU_ASSERT_TRUE(res.last_included > first);
	CU_ASSERT_TRUE(strlen(body) > 0);
	body = tail(&f, first, 0, 0, &res);
	CU_ASSERT_TRUE(res.from_present);
	/* All that can go; the newest file with something in it stays. */
	CU_ASSERT_EQUAL(store_wal_rotate(f.st), 0);
	CU_ASSERT_EQUAL(store_wal_prune(f.st, UINT64_MAX, true, &gone, NULL),
	    0);
	CU_ASSERT_EQUAL(store_wal_files(f.st, &files, &n), 0);
	CU_ASSERT_EQUAL(n, 1);
	free(files);
	body = tail(&f, store_last_tick(f.st), 0, 0, &res);
	CU_ASSERT_TRUE(res.from_present);
	CU_ASSERT_STRING_EQUAL(body, "");
	tail(NULL, 0, 0, 0, &res);
	fix_close(&f);
}

static void
test_structure(void)
{
	struct fix		 f;
	struct store_tail_res	 res;
	struct store_db		*db;
	struct store_shard	*sh;
	struct store_index	*ix;
	uint8_t			*def, *props;
	const char		*body;
	uint64_t		 start;

	fix_open(&f, NULL);
	start = store_last_tick(f.st);
	CU_ASSERT_EQUAL(store_db_create(f.st, "d", NULL, &db), 0);
	sh = fix_shard(&f, "d", "s5", 50);
	def = vp_text("{\"id\":\"9\",\"type\":\"hash\",\"fields\":[\"v\"]}");
	CU_ASSERT_EQUAL(store_index_create(f.st, sh, def, NULL, &ix), 0);
	free(def);
	props = vp_text("{\"name\":\"coll\",\"waitForSync\":true}");
	CU_ASSERT_EQUAL(store_shard_change(f.st, sh, props), 0);
	free(props);
	CU_ASSERT_EQUAL(put_rev(&f, NULL, sh, "k", 70, "{}", NULL), 0);
	CU_ASSERT_EQUAL(store_index_drop(f.st, sh, 9), 0);
	body = tail(&f, start, 0, 0, &res);
	CU_ASSERT_EQUAL(count_of(body, "\n"), 6);
	CU_ASSERT_EQUAL(count_of(body, "\"type\":1100,\"db\":\"d\",\"data\":{"
	    "\"name\":\"d\",\"id\":"), 1);
	CU_ASSERT_EQUAL(count_of(body, "\"type\":2000,\"db\":\"d\",\"cuid\":"
	    "\"c50/s5\",\"data\":{\"name\":\"coll\",\"type\":2,\"indexes\":"
	    "[]}}\n"), 1);
	CU_ASSERT_EQUAL(count_of(body, "\"type\":2100,\"db\":\"d\",\"cuid\":"
	    "\"c50/s5\",\"data\":{\"id\":\"9\",\"type\":\"hash\""), 1);
	CU_ASSERT_EQUAL(count_of(body, "\"type\":2003,\"db\":\"d\",\"cuid\":"
	    "\"c50/s5\",\"data\":{\"name\":\"coll\",\"waitForSync\":true,"
	    "\"indexes\":[{\"id\":\"9\""), 1);
	CU_ASSERT_EQUAL(count_of(body, "\"type\":2101,\"db\":\"d\",\"cuid\":"
	    "\"c50/s5\",\"data\":{\"id\":\"9\"}}\n"), 1);
	/* Of a dropped shard only its drop is told. */
	CU_ASSERT_EQUAL(store_shard_drop(f.st, &sh), 0);
	body = tail(&f, start, 0, 0, &res);
	CU_ASSERT_EQUAL(count_of(body, "\n"), 2);
	CU_ASSERT_EQUAL(count_of(body, "\"type\":2001,\"db\":\"d\",\"cuid\":"
	    "\"c50/s5\"}\n"), 1);
	CU_ASSERT_EQUAL(count_of(body, "\"type\":1100"), 1);
	/* Of a dropped database only that. */
	CU_ASSERT_EQUAL(store_db_drop(f.st, "d"), 0);
	body = tail(&f, start, 0, 0, &res);
	CU_ASSERT_EQUAL(count_of(body, "\n"), 1);
	CU_ASSERT_EQUAL(count_of(body, "\"type\":1101,\"db\":\"d\"}\n"), 1);
	tail(NULL, 0, 0, 0, &res);
	fix_close(&f);
}

static void
test_filter(void)
{
	struct fix		 f;
	struct store_tail_req	 req = { 0 };
	struct store_tail_res	 res;
	struct store_tail	*t;
	struct store_shard	*other;
	struct buf		 out = BUF_INIT;
	const uint8_t		*v;
	bool			 is;

	fix_open(&f, NULL);
	other = fix_shard(&f, "_system", "s2", 100);
	req.from = store_last_tick(f.st);
	CU_ASSERT_EQUAL(put(&f, NULL, "a", "{\"v\":1}"), 0);
	CU_ASSERT_EQUAL(put_rev(&f, NULL, other, "b", 77, "{\"v\":2}", NULL),
	    0);
	req.to = UINT64_MAX;
	req.db = f.sh->db->id;
	req.shard = other->id;
	req.format = STORE_VPACK;
	CU_ASSERT_EQUAL(store_tail_begin(f.st, &req, &t), 0);
	CU_ASSERT_EQUAL(store_tail_step(t, 0, &out, &res), 0);
	store_tail_free(&t);
	CU_ASSERT_EQUAL(vp_validate(out.data, out.len, NULL), 0);
	is = vp_string_is(vp_get(out.data, "cuid"), "c100/s2", 7);
	CU_ASSERT_TRUE(is);
	v = vp_get(vp_get(out.data, "data"), "_key");
	is = vp_string_is(v, "b", 1);
	CU_ASSERT_TRUE(is);
	req.to = 0;
	CU_ASSERT_EQUAL(store_tail_begin(f.st, &req, &t), AE_BAD_PARAMETER);
	/* A batch that begins behind `to` is not looked at. */
	req.to = req.from;
	req.db = 0;
	buf_reset(&out);
	CU_ASSERT_EQUAL(store_tail_begin(f.st, &req, &t), 0);
	CU_ASSERT_EQUAL(store_wal_prune(f.st, 0, true, NULL, NULL),
	    AE_LOCKED);
	CU_ASSERT_EQUAL(store_tail_step(t, 0, &out, &res), 0);
	store_tail_free(&t);
	CU_ASSERT_EQUAL(out.len, 0);
	buf_free(&out);
	fix_close(&f);
}

static void
test_truncate(void)
{
	struct fix		 f;
	struct store_tail_res	 res;
	struct buf		 pos = BUF_INIT;
	const char		*body;
	char			 key[16];
	uint64_t		 start;
	int			 i, r;

	fix_open(&f, NULL);
	for (i = 0; i < 12000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		(void)put(&f, NULL, key, "{}");
	}
	start = store_last_tick(f.st);
	while ((r = store_truncate(f.st, f.sh, &pos)) == 1)
		commit(&f);
	CU_ASSERT_EQUAL(r, 0);
	CU_ASSERT_EQUAL(store_shard_count(f.sh, NULL), 0);
	body = tail(&f, start, 0, STORE_CHUNK_MAX, &res);
	CU_ASSERT_EQUAL(count_of(body, "\"type\":2302"), 12000);
	CU_ASSERT_EQUAL(count_of(body, "\"type\":2200"), 2);
	CU_ASSERT_EQUAL(count_of(body, "\"type\":2201"), 2);
	for (i = 0; i < 32768; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		(void)put(&f, NULL, key, "{}");
	}
	start = store_last_tick(f.st);
	buf_reset(&pos);
	CU_ASSERT_EQUAL(store_truncate(f.st, f.sh, &pos), 0);
	CU_ASSERT_EQUAL(store_shard_count(f.sh, NULL), 0);
	CU_ASSERT_EQUAL(value(&f, NULL, "k7"), -1);
	body = tail(&f, start, 0, 0, &res);
	CU_ASSERT_EQUAL(count_of(body, "\n"), 1);
	CU_ASSERT_EQUAL(count_of(body, "\"type\":2004,\"db\":\"_system\","
	    "\"cuid\":\"c100/s1\"}\n"), 1);
	CU_ASSERT_EQUAL(put(&f, NULL, "k7", "{\"v\":1}"), 0);
	commit(&f);
	store_close(&f.st);
	fix_reopen(&f, NULL);
	CU_ASSERT_EQUAL(store_shard_count(f.sh, NULL), 1);
	CU_ASSERT_EQUAL(value(&f, NULL, "k7"), 1);
	tail(NULL, 0, 0, 0, &res);
	buf_free(&pos);
	fix_close(&f);
}

UNIT_MAIN("store_wal",
    { "requests merge, and a marker is no place to resume", test_merged },
    { "resuming at boundaries loses nothing", test_boundaries },
    { "lastScanned stops inside a transaction", test_mid_batch },
    { "memory and files say the same", test_ring_and_files },
    { "nothing new is cheap, beyond the end is a gap", test_new_and_nothing },
    { "pruning keeps what is held, and shows gaps", test_prune },
    { "structure is told while it is there", test_structure },
    { "filters, VelocyPack, and an end", test_filter },
    { "truncate by removals and by range", test_truncate })
