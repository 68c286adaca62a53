/*
 * store.c - the storage engine: opening, the pending batch, small keys.
 */
#include <sys/stat.h>

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "sandbox/store_priv.h"

/* Archived logs are ours to delete (clients hold them), never RocksDB's. */
#define STORE_WAL_TTL_S		(100ULL * 365 * 86400)

/* ---- keys and log data -------------------------------------------------- */

void
put_be64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, 8);
}

uint64_t
get_be64(const uint8_t *p)
{
	uint64_t	 v;

	memcpy(&v, p, 8);
	return be64toh(v);
}

void
skey_primary(struct skey_primary *k, uint64_t object, const char *key,
    size_t klen)
{
	skey_prefix(k->data, 'p', object);
	klen = MIN(klen, (size_t)STORE_KEY_MAX);
	memcpy(k->data + SKEY_PREFIX, key, klen);
	k->len = SKEY_PREFIX + klen;
}

void
sbatch_delete_prefix(struct sbatch *b, char letter, uint64_t id)
{
	uint8_t	 from[SKEY_PREFIX], to[SKEY_PREFIX];

	skey_prefix(from, letter, id);
	skey_prefix(to, letter, id + 1);
	sbatch_delete_range(b, from, sizeof(from), to, sizeof(to));
}

void
slog_append(struct sbatch *b, enum slog_type type, uint64_t db,
    uint64_t shard, uint64_t n, const void *blob, size_t blen)
{
	uint8_t		 head[SLOG_BYTES];
	struct buf	 all = BUF_INIT;

	head[0] = (uint8_t)type;
	put_be64(head + 1, db);
	put_be64(head + 9, shard);
	put_be64(head + 17, n);
	if (blen == 0) {
		sbatch_log(b, head, sizeof(head));
		return;
	}
	buf_append(&all, head, sizeof(head));
	buf_append(&all, blob, blen);
	sbatch_log(b, all.data, all.len);
	buf_free(&all);
}

int
slog_decode(struct slog *l, const uint8_t *p, size_t len)
{
	if (len < SLOG_BYTES || p[0] < SLOG_DB_CREATE || p[0] > SLOG_TX_REMOVE)
		return ERR_FORMAT;
	l->type = (enum slog_type)p[0];
	l->db = get_be64(p + 1);
	l->shard = get_be64(p + 9);
	l->n = get_be64(p + 17);
	l->blob = p + SLOG_BYTES;
	l->blen = len - SLOG_BYTES;
	return 0;
}

/* ---- open and close ----------------------------------------------------- */

int
store_fail(struct store *st, char *err)
{
	strncpy(st->error, err, sizeof(st->error) - 1);
	rocksdb_free(err);
	return ERR_STORAGE;
}

int
store_break(struct store *st, char *err)
{
	st->broken = true;
	return store_fail(st, err);
}

const char *
store_error(const struct store *st)
{
	return st->error[0] != '\0' ? st->error : "no error";
}

uint64_t
store_server_id(const struct store *st)
{
	return st->server_id;
}

uint64_t
store_max_rev(const struct store *st)
{
	return st->max_rev;
}

/*
 * Documents are not compressed: this is a test bed, and every CPU second of
 * it is missing in what is measured with it.  The triggers are generous for
 * the same reason: a write stall would stop the only thread.
 */
static rocksdb_options_t *
make_options(struct store *st)
{
	rocksdb_block_based_table_options_t	*table;
	rocksdb_options_t			*o;

	o = rocksdb_options_create();
	rocksdb_options_set_create_if_missing(o, 1);
	rocksdb_options_set_compression(o, rocksdb_no_compression);
	rocksdb_options_set_write_buffer_size(o, st->opts.memtable_bytes);
	rocksdb_options_set_max_write_buffer_number(o, 6);
	rocksdb_options_set_min_write_buffer_number_to_merge(o, 1);
	rocksdb_options_set_max_background_jobs(o, 2);
	rocksdb_options_set_level0_file_num_compaction_trigger(o, 8);
	rocksdb_options_set_level0_slowdown_writes_trigger(o, 64);
	rocksdb_options_set_level0_stop_writes_trigger(o, 128);
	rocksdb_options_set_soft_pending_compaction_bytes_limit(o, 0);
	rocksdb_options_set_hard_pending_compaction_bytes_limit(o, 0);
	rocksdb_options_set_target_file_size_base(o, 64u << 20);
	rocksdb_options_set_max_bytes_for_level_base(o, 512u << 20);
	rocksdb_options_set_allow_concurrent_memtable_write(o, 0);
	/* Inserts look for their key: nearly always in vain. */
	rocksdb_options_set_memtable_prefix_bloom_size_ratio(o, 0.02);
	rocksdb_options_set_memtable_whole_key_filtering(o, 1);
	rocksdb_options_set_WAL_ttl_seconds(o, STORE_WAL_TTL_S);
	rocksdb_options_set_WAL_size_limit_MB(o, 0);
	rocksdb_options_set_wal_recovery_mode(o,
	    rocksdb_point_in_time_recovery);
	rocksdb_options_set_max_open_files(o, 512);
	rocksdb_options_set_keep_log_file_num(o, 2);
	/*
	 * Above all levels: no log of its own.  On a full disk writing it fails
	 * an assertion of distributions' builds, before our own write can
	 * fail with a sentence.
	 */
	rocksdb_options_set_info_log_level(o, 6);
	rocksdb_options_set_stats_dump_period_sec(o, 0);
	rocksdb_options_set_stats_persist_period_sec(o, 0);

	st->cache = rocksdb_cache_create_lru(st->opts.cache_bytes);
	table = rocksdb_block_based_options_create();
	rocksdb_block_based_options_set_block_cache(table, st->cache);
	rocksdb_block_based_options_set_block_size(table, 16 << 10);
	rocksdb_block_based_options_set_filter_policy(table,
	    rocksdb_filterpolicy_create_bloom_full(10));
	rocksdb_options_set_block_based_table_factory(o, table);
	rocksdb_block_based_options_destroy(table);
	return o;
}

static int
open_rocksdb(struct store *st, struct err_msg *em)
{
	char	*err = NULL;

	st->options = make_options(st);
	st->wo = rocksdb_writeoptions_create();
	st->ro = rocksdb_readoptions_create();
	st->db = rocksdb_open(st->options, st->dir, &err);
	if (err != NULL) {
		err_set(em, ERR_STORAGE, "cannot open the data in %s: %s",
		    st->dir, err);
		st->db = NULL;
		rocksdb_free(err);
		return ERR_STORAGE;
	}
	return 0;
}

int
store_open(const char *dir, const struct store_opts *opts,
    struct store **out, struct err_msg *em)
{
	struct store	*st;
	uint64_t	 size;
	int		 r;

	if (mkdir(dir, 0700) == -1 && errno != EEXIST)
		return err_set(em, -errno, "cannot create %s: %s", dir,
		    strerror(errno));
	st = xcalloc(1, sizeof(*st));
	st->dir = xstrdup(dir);
	if (opts != NULL)
		st->opts = *opts;
	if (st->opts.ring_bytes == 0)
		st->opts.ring_bytes = 64u << 20;
	if (st->opts.memtable_bytes == 0)
		st->opts.memtable_bytes = 64u << 20;
	if (st->opts.cache_bytes == 0)
		st->opts.cache_bytes = 64u << 20;
	if (st->opts.prune_delay_ms == 0)
		st->opts.prune_delay_ms = 60000;
	if (st->opts.version == 0)
		st->opts.version = 31108;
	st->ring.max = st->opts.ring_bytes;
	if ((r = open_rocksdb(st, em)) != 0 || (r = store_load(st, em)) != 0) {
		store_close(&st);
		return r;
	}
	st->opened_ms = clock_mono_ms();
	if ((r = store_newest_log(dir, &st->newest_log, &size)) == 0) {
		st->unsynced = true;	/* so that a first note is made */
		r = store_sync(st);
	}
	if (r != 0) {
		err_set(em, r, "cannot read the log of %s: %s", dir,
		    r == ERR_STORAGE ? store_error(st) : err_text(r));
		store_close(&st);
		return r;
	}
	*out = st;
	return 0;
}

void
store_close(struct store **stp)
{
	struct store	*st = *stp;
	size_t		 i;

	if (st == NULL)
		return;
	if (st->db != NULL && st->opened_ms != 0)
		(void)store_sync(st);
	store_tail_close_all(st);
	store_cursors_close(st);
	store_scan_close_all(st);
	store_tx_free_all(st);
	store_snap_close_all(st);
	for (i = 0; i < NITEMS(st->pin); i++)
		if (st->pin[i] != NULL)
			rocksdb_pinnableslice_destroy(st->pin[i]);
	store_unload(st);
	if (st->db != NULL)
		rocksdb_close(st->db);
	if (st->ro != NULL)
		rocksdb_readoptions_destroy(st->ro);
	if (st->wo != NULL)
		rocksdb_writeoptions_destroy(st->wo);
	if (st->options != NULL)
		rocksdb_options_destroy(st->options);
	if (st->cache != NULL)
		rocksdb_cache_destroy(st->cache);
	sbatch_free(&st->pend);
	sring_free(&st->ring);
	buf_free(&st->old);
	buf_free(&st->k1);
	buf_free(&st->k2);
	free(st->dirty);
	free(st->dir);
	free(st);
	*stp = NULL;
}

/* ---- the pending batch -------------------------------------------------- */

/* A number that was never used before; b makes that last. */
uint64_t
store_new_id(struct store *st, struct sbatch *b)
{
	uint8_t		 v[8];
	uint64_t	 id = st->next_id++;

	put_be64(v, st->next_id);
	sbatch_put(b, "mN", 2, v, sizeof(v));
	return id;
}

void
store_counter_dirty(struct store *st, struct store_shard *sh)
{
	if (sh->counter_dirty)
		return;
	sh->counter_dirty = true;
	if (st->ndirty == st->cdirty) {
		st->cdirty = st->cdirty == 0 ? 64 : st->cdirty * 2;
		st->dirty = xrealloc(st->dirty,
		    st->cdirty * sizeof(st->dirty[0]));
	}
	st->dirty[st->ndirty++] = sh;
}

/*
 * Counts travel in the same record as what they count, so that they are right
 * after any crash.
 */
static void
add_counters(struct store *st, struct sbatch *b)
{
	struct store_shard	*sh;
	uint8_t			 key[SKEY_PREFIX], v[16];
	size_t			 i;

	for (i = 0; i < st->ndirty; i++) {
		sh = st->dirty[i];
		sh->counter_dirty = false;
		skey_prefix(key, 'c', sh->id);
		put_be64(v, sh->count);
		put_be64(v + 8, sh->max_rev);
		sbatch_put(b, key, sizeof(key), v, sizeof(v));
	}
	st->ndirty = 0;
}

static int
write_batch(struct store *st, struct sbatch *b)
{
	rocksdb_writebatch_t	*wb;
	const uint8_t		*data;
	uint64_t		 last;
	size_t			 len;
	char			*err = NULL;

	if (st->broken)
		return ERR_STORAGE;
	data = sbatch_seal(b, &len);
	wb = rocksdb_writebatch_create_from((const char *)data, len);
	rocksdb_write(st->db, st->wo, wb, &err);
	rocksdb_writebatch_destroy(wb);
	if (err != NULL)
		return store_break(st, err);
	last = rocksdb_get_latest_sequence_number(st->db);
	sring_add(&st->ring, last - b->count + 1, b->count, data, len);
	st->unsynced = true;
	sbatch_reset(b);
	return store_after_write(st, len);
}

bool
store_is_pending(const struct store *st)
{
	return st->pend.count > 0;
}

size_t
store_pending_bytes(const struct store *st)
{
	return st->pend.rep.len + st->pend.late.len;
}

int
store_commit_pending(struct store *st)
{
	/* A group may not be torn apart: nobody suspends inside of one. */
	bug_unless(st->group == NULL);
	if (st->pend.count == 0)
		return 0;
	add_counters(st, &st->pend);
	return write_batch(st, &st->pend);
}

int
store_write_now(struct store *st, struct sbatch *b)
{
	int	 r;

	if ((r = store_commit_pending(st)) != 0)
		return r;
	add_counters(st, b);
	return write_batch(st, b);
}

uint64_t
store_last_tick(struct store *st)
{
	(void)store_commit_pending(st);
	return rocksdb_get_latest_sequence_number(st->db);
}

bool
store_is_dirty(const struct store *st)
{
	return st->unsynced || st->pend.count > 0;
}
