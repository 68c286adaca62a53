/*
 * store_shard.c - databases and shards: their definitions, in memory and
 * under `m` in RocksDB.
 *
 *	m D <db:8>		{"name":..,"props":{..}[,"deleted":true]}
 *	m C <db:8> <shard:8>	{"name","cid","guid","props":{..},
 *				 "indexes":[{"object":n,"def":{..}},..]}
 *	m S			serverId, 8 bytes
 *	m N			next id
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "sandbox/store_priv.h"

#define MKEY_DB		10
#define MKEY_SHARD	18

/* ---- databases ---------------------------------------------------------- */

static void
mkey_db(uint8_t key[MKEY_DB], uint64_t db)
{
	key[0] = 'm';
	key[1] = 'D';
	put_be64(key + 2, db);
}

static void
mkey_shard(uint8_t key[MKEY_SHARD], uint64_t db, uint64_t shard)
{
	key[0] = 'm';
	key[1] = 'C';
	put_be64(key + 2, db);
	put_be64(key + 10, shard);
}

static uint8_t *
copy_bytes(const void *p, size_t len)
{
	uint8_t	*d = xmalloc(len);

	memcpy(d, p, len);
	return d;
}

/* A number among attributes; ERR_NOT_FOUND when it is not there. */
static int
get_uint(const uint8_t *obj, const char *name, uint64_t *v)
{
	const uint8_t	*s = vp_get(obj, name);

	return s != NULL ? vp_get_uint(s, v) : ERR_NOT_FOUND;
}

static char *
slice_text(const uint8_t *s)
{
	size_t		 len;
	const char	*p = vp_get_string(s, &len);

	return p != NULL ? xstrndup(p, len) : NULL;
}

/* Takes a record of m D; raw is copied. */
static struct store_db *
db_new(struct store *st, uint64_t id, const uint8_t *raw, size_t len)
{
	struct store_db	*db, **at;

	db = xcalloc(1, sizeof(*db));
	db->id = id;
	db->raw = copy_bytes(raw, len);
	db->name = slice_text(vp_get(db->raw, "name"));
	db->props = vp_get(db->raw, "props");
	if (db->name == NULL || db->props == NULL) {
		free(db->name);
		free(db->raw);
		free(db);
		return NULL;
	}
	for (at = &st->dbs; *at != NULL; at = &(*at)->next)
		;
	*at = db;
	return db;
}

static void
db_free(struct store *st, struct store_db *db)
{
	struct store_db	**at;

	for (at = &st->dbs; *at != NULL; at = &(*at)->next)
		if (*at == db) {
			*at = db->next;
			break;
		}
	free(db->name);
	free(db->raw);
	free(db);
}

static void
db_record(struct vp_builder *vb, const char *name, uint64_t id,
    const uint8_t *props, bool deleted)
{
	char	 text[24];

	vpb_open_object(vb);
	vpb_add_str(vb, "name", name);
	if (props != NULL)
		vpb_add_slice(vb, "props", props);
	else {
		snprintf(text, sizeof(text), "%" PRIu64, id);
		vpb_add_object(vb, "props");
		vpb_add_str(vb, "name", name);
		vpb_add_str(vb, "id", text);
		vpb_close(vb);
	}
	if (deleted)
		vpb_add_bool(vb, "deleted", true);
	vpb_close(vb);
}

int
store_db_create(struct store *st, const char *name, const uint8_t *props,
    struct store_db **out)
{
	struct vp_builder	 vb;
	struct sbatch		 b = { 0 };
	struct buf		 raw = BUF_INIT;
	uint8_t			 key[MKEY_DB];
	uint64_t		 id;
	int			 r;

	if (store_db_find(st, name) != NULL)
		return AE_DUPLICATE_NAME;
	vpb_init(&vb, &raw);
	id = store_new_id(st, &b);
	db_record(&vb, name, id, props, false);
	if ((r = vpb_end(&vb)) == 0) {
		mkey_db(key, id);
		slog_append(&b, SLOG_DB_CREATE, id, 0, 0, NULL, 0);
		sbatch_put(&b, key, sizeof(key), raw.data, raw.len);
		if ((r = store_write_now(st, &b)) == 0)
			*out = db_new(st, id, raw.data, raw.len);
	}
	vpb_free(&vb);
	buf_free(&raw);
	sbatch_free(&b);
	return r;
}

int
store_db_drop(struct store *st, const char *name)
{
	struct store_db		*db = store_db_find(st, name);
	struct store_shard	*sh, *next;
	struct vp_builder	 vb;
	struct sbatch		 b = { 0 };
	struct buf		 raw = BUF_INIT;
	uint8_t			 key[MKEY_DB];
	int			 r = 0;

	if (db == NULL)
		return AE_DATABASE_NOT_FOUND;
	for (sh = st->shards; sh != NULL && r == 0; sh = next) {
		next = sh->next;
		if (sh->db == db)
			r = store_shard_drop(st, &sh);
	}
	if (r != 0)
		return r;
	/*
	 * As arangod: the record is marked first, which the log shows as 1101,
	 * and removed later without a word.
	 */
	vpb_init(&vb, &raw);
	db_record(&vb, name, db->id, db->props, true);
	if ((r = vpb_end(&vb)) == 0) {
		mkey_db(key, db->id);
		slog_append(&b, SLOG_DB_DROP, db->id, 0, 0, NULL, 0);
		sbatch_put(&b, key, sizeof(key), raw.data, raw.len);
		r = store_write_now(st, &b);
	}
	if (r == 0) {
		db_free(st, db);
		sbatch_reset(&b);
		sbatch_delete(&b, key, sizeof(key));
		r = store_write_now(st, &b);
	}
	vpb_free(&vb);
	buf_free(&raw);
	sbatch_free(&b);
	return r;
}

struct store_db *
store_db_find(struct store *st, const char *name)
{
	struct store_db	*db;

	for (db = st->dbs; db != NULL; db = db->next)
		if (strcmp(db->name, name) == 0)
			return db;
	return NULL;
}

struct store_db *
store_db_first(struct store *st)
{
	return st->dbs;
}

/* ---- shards in memory --------------------------------------------------- */

#define NAME_KEY_MAX	1024

/* "db NUL name"; 0 when it is too long for a shard that exists. */
static size_t
name_key(char key[NAME_KEY_MAX], const char *db, const char *name)
{
	size_t	 d = strlen(db), n = strlen(name);

	if (d + 1 + n > NAME_KEY_MAX)
		return 0;
	memcpy(key, db, d + 1);
	memcpy(key + d + 1, name, n);
	return d + 1 + n;
}

static void
shard_free(struct store_shard *sh)
{
	size_t	 i;

	for (i = 0; i < sh->nindexes; i++)
		sindex_free(sh->indexes[i]);
	free(sh->indexes);
	free(sh->name);
	free(sh->guid);
	free(sh->collection);
	free(sh->raw);
	free(sh);
}

/* What follows from the definition. */
static void
shard_set_props(struct store_shard *sh)
{
	uint64_t	 type;

	sh->type = get_uint(sh->props, "type", &type) == 0 && type == 3 ? 3 :
	    2;
	free(sh->collection);
	if ((sh->collection = slice_text(vp_get(sh->props, "name"))) == NULL)
		sh->collection = xstrdup(sh->name);
}

static int
shard_load_indexes(struct store_shard *sh, const uint8_t *list)
{
	struct vp_iter	 it;
	const uint8_t	*e, *def;
	uint64_t	 object;
	size_t		 n = vp_length(list);

	sh->indexes = n > 0 ? xcalloc(n, sizeof(sh->indexes[0])) : NULL;
	vp_arr_iter(&it, list);
	while ((e = vp_arr_next(&it)) != NULL) {
		if ((def = vp_get(e, "def")) == NULL ||
		    get_uint(e, "object", &object) != 0 ||
		    sindex_new(def, object, &sh->indexes[sh->nindexes]) != 0)
			return ERR_CORRUPT;
		sh->nindexes++;
	}
	return 0;
}

/* A shard out of its record (copied), linked into the tables. */
static struct store_shard *
shard_new(struct store *st, struct store_db *db, uint64_t id,
    const uint8_t *raw, size_t len)
{
	struct store_shard	*sh, **at;
	const uint8_t		*list;
	char			 key[NAME_KEY_MAX];
	size_t			 n;

	sh = xcalloc(1, sizeof(*sh));
	sh->raw = copy_bytes(raw, len);
	sh->db = db;
	sh->id = id;
	sh->name = slice_text(vp_get(sh->raw, "name"));
	sh->guid = slice_text(vp_get(sh->raw, "guid"));
	sh->props = vp_get(sh->raw, "props");
	list = vp_get(sh->raw, "indexes");
	if (sh->name == NULL || sh->guid == NULL || sh->props == NULL ||
	    list == NULL || get_uint(sh->raw, "cid", &sh->cid) != 0 ||
	    shard_load_indexes(sh, list) != 0 ||
	    (n = name_key(key, db->name, sh->name)) == 0) {
		shard_free(sh);
		return NULL;
	}
	shard_set_props(sh);
	for (at = &st->shards; *at != NULL; at = &(*at)->next)
		;
	*at = sh;
	map_put_u64(&st->by_id, sh->id, sh);
	map_put_n(&st->by_name, key, n, sh);
	return sh;
}

/* ---- shards: records ---------------------------------------------------- */

static void
add_without_indexes(struct vp_builder *vb, const uint8_t *props)
{
	struct vp_iter	 it;
	struct vp_attr	 a;

	vp_obj_iter(&it, props);
	while (vp_obj_next(&it, &a)) {
		if (a.nlen == 7 && memcmp(a.name, "indexes", 7) == 0)
			continue;
		vpb_key(vb, a.name, a.nlen);
		vpb_slice(vb, a.value);
	}
}

static void
shard_record(struct vp_builder *vb, const char *name, uint64_t cid,
    const char *guid, const uint8_t *props, struct store_index **indexes,
    size_t nindexes)
{
	size_t	 i;

	vpb_open_object(vb);
	vpb_add_str(vb, "name", name);
	vpb_add_uint(vb, "cid", cid);
	vpb_add_str(vb, "guid", guid);
	vpb_add_object(vb, "props");
	add_without_indexes(vb, props);
	vpb_close(vb);
	vpb_add_array(vb, "indexes");
	for (i = 0; i < nindexes; i++) {
		vpb_open_object(vb);
		vpb_add_uint(vb, "object", indexes[i]->object);
		vpb_add_slice(vb, "def", indexes[i]->def);
		vpb_close(vb);
	}
	vpb_close(vb);
	vpb_close(vb);
}

void
store_shard_put(struct store_shard *sh, struct sbatch *b)
{
	struct vp_builder	 vb;
	struct buf		 raw = BUF_INIT;
	uint8_t			 key[MKEY_SHARD];

	vpb_init(&vb, &raw);
	shard_record(&vb, sh->name, sh->cid, sh->guid, sh->props, sh->indexes,
	    sh->nindexes);
	/* It was built once before, so it can be built. */
	bug_unless(vpb_end(&vb) == 0);
	mkey_shard(key, sh->db->id, sh->id);
	sbatch_put(b, key, sizeof(key), raw.data, raw.len);
	vpb_free(&vb);
	buf_free(&raw);
}

void
store_shard_definition(const struct store_shard *sh, struct vp_builder *vb)
{
	size_t	 i;

	vpb_open_object(vb);
	add_without_indexes(vb, sh->props);
	vpb_add_array(vb, "indexes");
	for (i = 0; i < sh->nindexes; i++)
		vpb_slice(vb, sh->indexes[i]->def);
	vpb_close(vb);
	vpb_close(vb);
}

int
store_shard_create(struct store *st, const char *dbname, const char *name,
    uint64_t cid, const uint8_t *props, struct store_shard **out)
{
	struct store_db		*db = store_db_find(st, dbname);
	struct vp_builder	 vb;
	struct sbatch		 b = { 0 };
	struct buf		 raw = BUF_INIT;
	uint8_t			 key[MKEY_SHARD];
	char			*guid, nk[NAME_KEY_MAX];
	uint64_t		 id;
	int			 r;

	if (db == NULL)
		return AE_DATABASE_NOT_FOUND;
	if (store_shard_find(st, dbname, name) != NULL)
		return AE_DUPLICATE_NAME;
	if (name_key(nk, dbname, name) == 0)
		return AE_ILLEGAL_NAME;
	guid = xasprintf("c%" PRIu64 "/%s", cid, name);
	vpb_init(&vb, &raw);
	shard_record(&vb, name, cid, guid, props, NULL, 0);
	if ((r = vpb_end(&vb)) == 0) {
		id = store_new_id(st, &b);
		mkey_shard(key, db->id, id);
		slog_append(&b, SLOG_SHARD_CREATE, db->id, id, 0, NULL, 0);
		sbatch_put(&b, key, sizeof(key), raw.data, raw.len);
		if ((r = store_write_now(st, &b)) == 0) {
			*out = shard_new(st, db, id, raw.data, raw.len);
			bug_unless(*out != NULL);
		}
	}
	vpb_free(&vb);
	buf_free(&raw);
	sbatch_free(&b);
	free(guid);
	return r;
}

static void
shard_unlink(struct store *st, struct store_shard *sh)
{
	struct store_shard	**at;
	char			 key[NAME_KEY_MAX];
	size_t			 i;

	for (at = &st->shards; *at != NULL; at = &(*at)->next)
		if (*at == sh) {
			*at = sh->next;
			break;
		}
	map_del_u64(&st->by_id, sh->id);
	map_del_n(&st->by_name, key, name_key(key, sh->db->name, sh->name));
	for (i = 0; i < st->ndirty; i++)
		if (st->dirty[i] == sh) {
			st->dirty[i] = st->dirty[--st->ndirty];
			break;
		}
	st->drops++;
	store_snap_forget_shard(st, sh->id);
	shard_free(sh);
}

int
store_shard_drop(struct store *st, struct store_shard **shp)
{
	struct store_shard	*sh = *shp;
	struct sbatch		 b = { 0 };
	uint8_t			 key[MKEY_SHARD], ckey[SKEY_PREFIX];
	size_t			 i;
	int			 r;

	/* 2001 first, by itself: it is what the log shows of a drop. */
	mkey_shard(key, sh->db->id, sh->id);
	slog_append(&b, SLOG_SHARD_DROP, sh->db->id, sh->id, 0, sh->guid,
	    strlen(sh->guid));
	sbatch_delete(&b, key, sizeof(key));
	skey_prefix(ckey, 'c', sh->id);
	sbatch_delete(&b, ckey, sizeof(ckey));
	sbatch_delete_prefix(&b, 'd', sh->id);
	sbatch_delete_prefix(&b, 'p', sh->id);
	for (i = 0; i < sh->nindexes; i++)
		sindex_delete_all(sh->indexes[i], &b);
	if ((r = store_write_now(st, &b)) == 0) {
		shard_unlink(st, sh);
		*shp = NULL;
	}
	sbatch_free(&b);
	return r;
}

int
store_shard_change(struct store *st, struct store_shard *sh,
    const uint8_t *props)
{
	struct vp_builder	 vb;
	struct sbatch		 b = { 0 };
	struct buf		 raw = BUF_INIT;
	uint8_t			 key[MKEY_SHARD];
	int			 r;

	vpb_init(&vb, &raw);
	shard_record(&vb, sh->name, sh->cid, sh->guid, props, sh->indexes,
	    sh->nindexes);
	if ((r = vpb_end(&vb)) == 0) {
		mkey_shard(key, sh->db->id, sh->id);
		slog_append(&b, SLOG_SHARD_CHANGE, sh->db->id, sh->id, 0,
		    NULL, 0);
		sbatch_put(&b, key, sizeof(key), raw.data, raw.len);
		if ((r = store_write_now(st, &b)) == 0) {
			free(sh->raw);
			sh->raw = copy_bytes(raw.data, raw.len);
			sh->props = vp_get(sh->raw, "props");
			shard_set_props(sh);
		}
	}
	vpb_free(&vb);
	buf_free(&raw);
	sbatch_free(&b);
	return r;
}

/* ---- finding ------------------------------------------------------------ */

struct store_shard *
store_shard_find(struct store *st, const char *db, const char *name)
{
	char	 key[NAME_KEY_MAX];
	size_t	 n = name_key(key, db, name);

	return n == 0 ? NULL : map_get_n(&st->by_name, key, n);
}

struct store_shard *
store_shard_by_guid(struct store *st, const char *guid)
{
	struct store_shard	*sh;

	for (sh = st->shards; sh != NULL; sh = sh->next)
		if (strcmp(sh->guid, guid) == 0)
			return sh;
	return NULL;
}

struct store_shard *
store_shard_by_id(struct store *st, uint64_t id)
{
	return map_get_u64(&st->by_id, id);
}

struct store_shard *
store_shard_next(struct store *st, const struct store_shard *after)
{
	return after == NULL ? st->shards : after->next;
}

uint64_t
store_shard_count(const struct store_shard *sh, const struct store_tx *tx)
{
	size_t	 i;

	if (tx != NULL)
		for (i = 0; i < tx->nshards; i++)
			if (tx->shards[i].id == sh->id)
				return sh->count +
				    (uint64_t)tx->shards[i].delta;
	return sh->count;
}

/* ---- loading ------------------------------------------------------------ */

static int
load_small(struct store *st, const char *key, uint8_t out[32], size_t *len)
{
	char	*err = NULL, *v;

	v = rocksdb_get(st->db, st->ro, key, strlen(key), len, &err);
	if (err != NULL)
		return store_fail(st, err);
	if (v == NULL || *len > 32)
		*len = 0;
	else
		memcpy(out, v, *len);
	rocksdb_free(v);
	return 0;
}

/* The number of this data directory; made once. */
static int
load_identity(struct store *st)
{
	struct sbatch	 b = { 0 };
	uint8_t		 v[32];
	size_t		 len;
	int		 r;

	if ((r = load_small(st, "mN", v, &len)) != 0)
		return r;
	st->next_id = len == 8 ? get_be64(v) : 101;
	if ((r = load_small(st, "mS", v, &len)) != 0)
		return r;
	if (len == 8) {
		st->server_id = get_be64(v);
		return 0;
	}
	/* 15 digits, the size of those that arangod makes. */
	st->server_id = 100000000000000ULL + rand_below(180000000000000ULL);
	put_be64(v, st->server_id);
	sbatch_put(&b, "mS", 2, v, 8);
	r = store_write_now(st, &b);
	sbatch_free(&b);
	return r;
}

static int
load_counter(struct store *st, struct store_shard *sh)
{
	uint8_t	 key[SKEY_PREFIX];
	char	*err = NULL, *v;
	size_t	 len;

	skey_prefix(key, 'c', sh->id);
	v = rocksdb_get(st->db, st->ro, (const char *)key, sizeof(key), &len,
	    &err);
	if (err != NULL)
		return store_fail(st, err);
	if (v != NULL && len == 16) {
		sh->count = get_be64((const uint8_t *)v);
		sh->max_rev = get_be64((const uint8_t *)v + 8);
		st->max_rev = MAX(st->max_rev, sh->max_rev);
	}
	rocksdb_free(v);
	return 0;
}

static int
load_record(struct store *st, const uint8_t *key, size_t klen,
    const uint8_t *val, size_t vlen, struct sbatch *gone)
{
	struct store_shard	*sh;
	struct store_db		*db;
	uint64_t		 dbid;

	if (klen == MKEY_DB && key[1] == 'D') {
		if (vp_validate(val, vlen, NULL) != 0)
			return ERR_CORRUPT;
		if (vp_get(val, "deleted") != NULL) {
			sbatch_delete(gone, key, klen);
			return 0;
		}
		return db_new(st, get_be64(key + 2), val, vlen) != NULL ? 0 :
		    ERR_CORRUPT;
	}
	if (klen != MKEY_SHARD || key[1] != 'C')
		return 0;
	dbid = get_be64(key + 2);
	for (db = st->dbs; db != NULL && db->id != dbid; db = db->next)
		;
	if (db == NULL || vp_validate(val, vlen, NULL) != 0 ||
	    (sh = shard_new(st, db, get_be64(key + 10), val, vlen)) == NULL)
		return ERR_CORRUPT;
	return load_counter(st, sh);
}

int
store_load(struct store *st, struct err_msg *em)
{
	/* Databases before the shards that lie in them. */
	static const char	*const prefixes[] = { "mD", "mC" };
	rocksdb_iterator_t	*it;
	struct sbatch		 gone = { 0 };
	const char		*k, *v;
	size_t			 i, klen, vlen;
	int			 r;

	if ((r = load_identity(st)) != 0)
		return err_set(em, r, "%s: %s", st->dir, store_error(st));
	it = rocksdb_create_iterator(st->db, st->ro);
	for (i = 0; i < NITEMS(prefixes) && r == 0; i++) {
		rocksdb_iter_seek(it, prefixes[i], 2);
		for (; rocksdb_iter_valid(it) && r == 0;
		    rocksdb_iter_next(it)) {
			k = rocksdb_iter_key(it, &klen);
			if (klen < 2 || memcmp(k, prefixes[i], 2) != 0)
				break;
			v = rocksdb_iter_value(it, &vlen);
			r = load_record(st, (const uint8_t *)k, klen,
			    (const uint8_t *)v, vlen, &gone);
		}
	}
	rocksdb_iter_destroy(it);
	if (r == 0 && gone.count > 0)
		r = store_write_now(st, &gone);
	sbatch_free(&gone);
	if (r != 0)
		return err_set(em, r, "the definitions in %s cannot be read: "
		    "%s", st->dir, r == ERR_STORAGE ? store_error(st) :
		    err_text(r));
	return 0;
}

void
store_unload(struct store *st)
{
	struct store_shard	*sh;

	while ((sh = st->shards) != NULL) {
		st->shards = sh->next;
		shard_free(sh);
	}
	while (st->dbs != NULL)
		db_free(st, st->dbs);
	map_free(&st->by_id, NULL);
	map_free(&st->by_name, NULL);
}
