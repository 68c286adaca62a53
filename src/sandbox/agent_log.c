/* agent_log.c - the agent's log on its disk */
#include <stdlib.h>
#include <string.h>

#include <rocksdb/c.h>

#include "base/buf.h"
#include "json/get.h"
#include "sandbox/agent_log.h"

#define SNAPSHOT_KEY		"snapshot"
#define KEY_BYTES		8
#define WRITE_BUFFER_BYTES	(8 * 1024 * 1024)
#define LOG_LEVEL_NONE		6	/* of rocksdb's own log: see store.c */

struct agent_log {
	rocksdb_t		*db;
	rocksdb_options_t	*options;
	rocksdb_writeoptions_t	*sync;
	rocksdb_readoptions_t	*read;
	rocksdb_writebatch_t	*batch;
	size_t			 pending;	/* entries in it */
};

static void
key_encode(uint64_t index, char key[KEY_BYTES])
{
	int	i;

	for (i = KEY_BYTES - 1; i >= 0; i--, index >>= 8)
		key[i] = (char)(index & 0xff);
}

static uint64_t
key_decode(const char *key)
{
	uint64_t	index = 0;
	int		i;

	for (i = 0; i < KEY_BYTES; i++)
		index = index << 8 | (uint8_t)key[i];
	return index;
}

/* Turn RocksDB's error text (freed) into ours. */
static int
storage_error(char *err, struct err_msg *m)
{
	if (err == NULL)
		return 0;
	err_set(m, ERR_STORAGE, "log of the agent: %s", err);
	rocksdb_free(err);
	return ERR_STORAGE;
}

int
agent_log_open(const char *dir, struct agent_log **out, struct err_msg *m)
{
	struct agent_log	*log = xcalloc(1, sizeof(*log));
	char			*err = NULL;
	int			 r;

	log->options = rocksdb_options_create();
	rocksdb_options_set_create_if_missing(log->options, 1);
	rocksdb_options_set_write_buffer_size(log->options,
	    WRITE_BUFFER_BYTES);
	rocksdb_options_set_info_log_level(log->options, LOG_LEVEL_NONE);
	rocksdb_options_set_keep_log_file_num(log->options, 3);
	log->sync = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(log->sync, 1);
	log->read = rocksdb_readoptions_create();
	log->batch = rocksdb_writebatch_create();
	log->db = rocksdb_open(log->options, dir, &err);
	if ((r = storage_error(err, m)) != 0) {
		agent_log_close(&log);
		return r;
	}
	*out = log;
	return 0;
}

void
agent_log_close(struct agent_log **logp)
{
	struct agent_log	*log = *logp;

	if (log == NULL)
		return;
	*logp = NULL;
	if (log->db != NULL)
		rocksdb_close(log->db);
	rocksdb_writebatch_destroy(log->batch);
	rocksdb_readoptions_destroy(log->read);
	rocksdb_writeoptions_destroy(log->sync);
	rocksdb_options_destroy(log->options);
	free(log);
}

/* ---- start -------------------------------------------------------------- */

struct json_object *
agent_log_snapshot(struct agent_log *log)
{
	struct json_object	*o = NULL;
	size_t			 len;
	char			*err = NULL, *text;

	text = rocksdb_get(log->db, log->read, SNAPSHOT_KEY, KEY_BYTES, &len,
	    &err);
	if (err != NULL)
		rocksdb_free(err);
	if (text == NULL)
		return NULL;
	if (json_parse(text, len, &o, NULL) != 0)
		o = NULL;
	rocksdb_free(text);
	return o;
}

/* Index of the oldest entry; false: there is none. */
static bool
first_entry(struct agent_log *log, uint64_t *index)
{
	rocksdb_iterator_t	*it;
	const char		*key;
	size_t			 len;
	bool			 found = false;

	it = rocksdb_create_iterator(log->db, log->read);
	rocksdb_iter_seek_to_first(it);
	if (rocksdb_iter_valid(it)) {
		key = rocksdb_iter_key(it, &len);
		if (len == KEY_BYTES && memcmp(key, SNAPSHOT_KEY,
		    KEY_BYTES) != 0) {
			*index = key_decode(key);
			found = true;
		}
	}
	rocksdb_iter_destroy(it);
	return found;
}

static int
load_snapshot(struct agent_log *log, struct agency_store *store,
    uint64_t *term, uint64_t *snapshot, struct err_msg *m)
{
	struct json_object	*snap;
	uint64_t		 next = 0, first;
	int			 r = 0;

	*snapshot = 0;
	*term = 0;
	if ((snap = agent_log_snapshot(log)) == NULL)
		return 0;
	*snapshot = (uint64_t)json_int_or(snap, "index", 0);
	*term = (uint64_t)json_int_or(snap, "term", 0);
	next = *snapshot + 1;
	if (first_entry(log, &first) && first < next)
		next = first;
	if (agency_store_restore(store, json_object_object_get(snap, "tree"),
	    json_object_object_get(snap, "ttl"), next) != 0)
		r = err_set(m, ERR_CORRUPT,
		    "snapshot of the agent's log cannot be used");
	json_object_put(snap);
	return r;
}

static int
load_entry(struct agency_store *store, uint64_t index, const char *text,
    size_t len, uint64_t *term, uint64_t snapshot, struct err_msg *m)
{
	struct json_object	*o, *query;
	uint64_t		 t, ms, expected;
	int			 r;

	expected = agency_store_next_index(store);
	if (index != expected)
		return err_set(m, ERR_CORRUPT, "entry %llu of the agent's log "
		    "is missing", (unsigned long long)expected);
	if (json_parse(text, len, &o, NULL) != 0 ||
	    (query = json_object_object_get(o, "query")) == NULL)
		return err_set(m, ERR_CORRUPT, "entry %llu of the agent's log "
		    "cannot be read", (unsigned long long)index);
	t = (uint64_t)json_int_or(o, "term", 0);
	ms = (uint64_t)json_int_or(o, "epoch_millis", 0);
	r = index <= snapshot && snapshot != 0 ? 0 :
	    agency_store_apply(store, query, ms);
	if (r != 0)
		r = err_set(m, ERR_CORRUPT, "entry %llu of the agent's log "
		    "does not fit", (unsigned long long)index);
	else
		agency_store_append(store, query,
		    json_string_or(o, "clientId", ""), t, ms);
	if (t > *term)
		*term = t;
	json_object_put(o);
	return r;
}

int
agent_log_load(struct agent_log *log, struct agency_store *store,
    uint64_t *term, uint64_t *snapshot, struct err_msg *m)
{
	rocksdb_iterator_t	*it;
	const char		*key, *text;
	char			*err = NULL;
	size_t			 key_len, len;
	int			 r;

	if ((r = load_snapshot(log, store, term, snapshot, m)) != 0)
		return r;
	it = rocksdb_create_iterator(log->db, log->read);
	for (rocksdb_iter_seek_to_first(it); r == 0 && rocksdb_iter_valid(it);
	    rocksdb_iter_next(it)) {
		key = rocksdb_iter_key(it, &key_len);
		if (key_len != KEY_BYTES ||
		    memcmp(key, SNAPSHOT_KEY, KEY_BYTES) == 0)
			continue;
		text = rocksdb_iter_value(it, &len);
		r = load_entry(store, key_decode(key), text, len, term,
		    *snapshot, m);
	}
	if (r == 0) {
		rocksdb_iter_get_error(it, &err);
		r = storage_error(err, m);
	}
	rocksdb_iter_destroy(it);
	return r;
}

/* ---- writing ------------------------------------------------------------ */

static void
batch_put(rocksdb_writebatch_t *batch, const char *key, struct json_object *o)
{
	struct buf	text = BUF_INIT;

	json_append(&text, o);
	rocksdb_writebatch_put(batch, key, KEY_BYTES, (const char *)text.data,
	    text.len);
	buf_free(&text);
}

void
agent_log_add(struct agent_log *log, const struct agency_entry *e)
{
	struct json_object	*o = json_object_new_object();
	char			 key[KEY_BYTES];

	json_set(o, "query", json_object_get(e->query));
	if (e->client_id[0] != '\0')
		json_set_string(o, "clientId", e->client_id);
	json_set_uint(o, "term", e->term);
	json_set_uint(o, "epoch_millis", e->epoch_ms);
	key_encode(e->index, key);
	batch_put(log->batch, key, o);
	json_object_put(o);
	log->pending++;
}

bool
agent_log_has_pending(const struct agent_log *log)
{
	return log->pending > 0;
}

int
agent_log_write(struct agent_log *log, struct err_msg *m)
{
	char	*err = NULL;

	if (log->pending == 0)
		return 0;
	rocksdb_write(log->db, log->sync, log->batch, &err);
	rocksdb_writebatch_clear(log->batch);
	log->pending = 0;
	return storage_error(err, m);
}

int
agent_log_compact(struct agent_log *log, struct agency_store *store,
    uint64_t term, struct err_msg *m)
{
	rocksdb_writebatch_t	*batch = rocksdb_writebatch_create();
	struct json_object	*o = json_object_new_object();
	uint64_t		 i, first, keep;
	char			*err = NULL, key[KEY_BYTES];

	json_set_uint(o, "index", agency_store_last_index(store));
	json_set_uint(o, "term", term);
	json_set(o, "tree", agency_store_dump(store));
	json_set(o, "ttl", agency_store_dump_ttl_ms(store));
	batch_put(batch, SNAPSHOT_KEY, o);
	json_object_put(o);
	keep = agency_store_first_index(store);
	if (first_entry(log, &first)) {
		for (i = first; i < keep; i++) {
			key_encode(i, key);
			rocksdb_writebatch_delete(batch, key, KEY_BYTES);
		}
	}
	rocksdb_write(log->db, log->sync, batch, &err);
	rocksdb_writebatch_destroy(batch);
	return storage_error(err, m);
}
