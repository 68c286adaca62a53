/*
 * fuzz_wal.c - bytes that claim to be a record of the write-ahead log: read
 * them, make markers of them, and build the same batch again.
 *
 * The first byte chooses the form of the answer and whether it may end inside
 * the batch.
 */
#include <stdlib.h>
#include <string.h>

#include "sandbox/store_priv.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *
name_of_db(void *arg, uint64_t db)
{
	return db % 5 != 4 ? "a \"database\"" : NULL;
}

static const char *
name_of_shard(void *arg, uint64_t shard, uint64_t *db)
{
	*db = shard % 3 + 1;
	return shard % 7 != 6 ? "c100/s1" : NULL;
}

static void
make_markers(uint8_t choice, const uint8_t *data, size_t size)
{
	static const struct sresolver	 names = {
		name_of_db, name_of_shard, NULL
	};
	struct wrec_reader		 r;
	struct wrec			 rec;
	struct smarker			 m;
	struct buf			 out = BUF_INIT;
	size_t				 at, used;

	if (wrec_begin(&r, data, size) != 0)
		return;
	smarker_init(&m, &names);
	m.check = true;
	m.format = choice & 1 ? STORE_VPACK : STORE_JSON;
	if (choice & 2)
		m.limit = 100;
	if (choice & 4)
		m.from = r.seq;
	if (choice & 8)
		m.db = 1;
	smarker_begin(&m, r.seq);
	while (smarker_continue(&m) && wrec_next(&r, &rec) == 1)
		if (smarker_record(&m, &rec, &out) != 0)
			break;
	/* What came out is whole values, or whole lines. */
	if (m.format == STORE_VPACK)
		for (at = 0; at < out.len; at += used)
			bug_unless(vp_validate_first(out.data + at,
			    out.len - at, &used, NULL) == 0);
	else if (out.len > 0)
		bug_unless(out.data[out.len - 1] == '\n');
	bug_unless(m.response == out.len);
	smarker_free(&m);
	buf_free(&out);
}

static void
build_again(const uint8_t *data, size_t size)
{
	struct wrec_reader	 r;
	struct wrec		 rec, copy;
	struct sbatch		 b = { 0 };
	const uint8_t		*bytes, *val;
	size_t			 len, vlen;

	if (wrec_begin(&r, data, size) != 0)
		return;
	while (wrec_next(&r, &rec) == 1) {
		switch (rec.type) {
		case WREC_PUT:
			sbatch_put(&b, rec.key, rec.klen, rec.val, rec.vlen);
			bug_unless(sbatch_find(&b, rec.key, rec.klen, &val,
			    &vlen) == SBATCH_PUT && vlen == rec.vlen &&
			    (vlen == 0 || memcmp(val, rec.val, vlen) == 0));
			break;
		case WREC_DELETE:
			sbatch_delete(&b, rec.key, rec.klen);
			bug_unless(sbatch_find(&b, rec.key, rec.klen, &val,
			    &vlen) == SBATCH_DELETED);
			break;
		case WREC_DELETE_RANGE:
			sbatch_delete_range(&b, rec.key, rec.klen, rec.val,
			    rec.vlen);
			break;
		case WREC_LOG:
			sbatch_log(&b, rec.key, rec.klen);
			break;
		case WREC_MERGE:
			sbatch_free(&b);
			return;
		}
	}
	bytes = sbatch_seal(&b, &len);
	bug_unless(wrec_begin(&r, bytes, len) == 0 && r.count == b.count);
	while ((vlen = (size_t)wrec_next(&r, &copy)) == 1)
		;
	bug_unless(vlen == 0);
	sbatch_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	make_markers(data[0], data + 1, size - 1);
	build_again(data + 1, size - 1);
	return 0;
}
