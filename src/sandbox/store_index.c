/*
 * store_index.c - secondary indexes: definitions, keys of entries, creation.
 *
 * Values are encoded so that bytes compare as AQL compares values, numbers by
 * value whatever their type.  One exception: strings go by bytes, not by
 * locale, which changes an order but never equality.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "sandbox/store_priv.h"

enum {
	ENC_NULL	= 0x10,
	ENC_FALSE	= 0x20,
	ENC_TRUE	= 0x21,
	ENC_NUMBER	= 0x30,
	ENC_STRING	= 0x40,
	ENC_ARRAY	= 0x50,
	ENC_OBJECT	= 0x60,
	ENC_OTHER	= 0x70,
	ENC_END		= 0x01
};

/* Entries of a new index are written in batches of this size. */
#define FILL_BYTES	(8u << 20)

/* ---- values ------------------------------------------------------------- */

/* Bytes that end in 00 00; a 00 inside becomes 00 ff. */
static void
encode_bytes(struct buf *k, const char *p, size_t len)
{
	const char	*z;
	size_t		 n;

	while (len > 0) {
		z = memchr(p, 0, len);
		n = z != NULL ? (size_t)(z - p) : len;
		buf_append(k, p, n);
		if (z == NULL)
			break;
		buf_append(k, "\0\377", 2);
		p += n + 1;
		len -= n + 1;
	}
	buf_append(k, "\0\0", 2);
}

/*
 * The nearest double, then what an integer beyond 2^53 differs from it: so
 * 2 and 2.0 are one value and 2^53 and 2^53 + 1 are two.
 */
static void
encode_number(struct buf *k, const uint8_t *v)
{
	uint8_t		 out[11];
	double		 d = 0;
	uint64_t	 bits, u;
	int64_t		 i, rest = 0;

	(void)vp_get_double(v, &d);
	if (vp_get_int(v, &i) == 0)
		rest = (int64_t)((__int128)i - (__int128)d);
	else if (vp_get_uint(v, &u) == 0)
		rest = (int64_t)((__int128)u - (__int128)d);
	if (d == 0)
		d = 0;		/* -0.0 is 0 */
	memcpy(&bits, &d, 8);
	if (d == 0)
		bits = 0;
	bits = bits >> 63 ? ~bits : bits | 1ULL << 63;
	rest += 0x8000;
	out[0] = ENC_NUMBER;
	put_be64(out + 1, bits);
	out[9] = (uint8_t)(rest >> 8);
	out[10] = (uint8_t)rest;
	buf_append(k, out, sizeof(out));
}

static int
attr_order(const void *pa, const void *pb)
{
	const struct vp_attr	*a = pa, *b = pb;
	int			 r;

	r = memcmp(a->name, b->name, MIN(a->nlen, b->nlen));
	return r != 0 ? r : (a->nlen > b->nlen) - (a->nlen < b->nlen);
}

/* By sorted names; an attribute that is null is as one that is not there. */
static void
encode_object(struct buf *k, const uint8_t *v)
{
	struct vp_attr	*attrs;
	struct vp_iter	 it;
	size_t		 i, n = 0;

	attrs = xcalloc(vp_length(v) + 1, sizeof(*attrs));
	vp_obj_iter(&it, v);
	while (vp_obj_next(&it, &attrs[n]))
		if (!vp_is_null(attrs[n].value))
			n++;
	qsort(attrs, n, sizeof(*attrs), attr_order);
	buf_append_u8(k, ENC_OBJECT);
	for (i = 0; i < n; i++) {
		buf_append_u8(k, ENC_STRING);
		encode_bytes(k, attrs[i].name, attrs[i].nlen);
		sindex_encode(k, attrs[i].value);
	}
	buf_append_u8(k, ENC_END);
	free(attrs);
}

void
sindex_encode(struct buf *k, const uint8_t *v)
{
	struct vp_iter	 it;
	const uint8_t	*e;
	const char	*s;
	size_t		 len;

	if (v == NULL || vp_is_null(v))
		buf_append_u8(k, ENC_NULL);
	else if (vp_is_bool(v))
		buf_append_u8(k, vp_is_true(v) ? ENC_TRUE : ENC_FALSE);
	else if (vp_is_number(v))
		encode_number(k, v);
	else if ((s = vp_get_string(v, &len)) != NULL) {
		buf_append_u8(k, ENC_STRING);
		encode_bytes(k, s, len);
	} else if (vp_is_array(v)) {
		buf_append_u8(k, ENC_ARRAY);
		vp_arr_iter(&it, v);
		while ((e = vp_arr_next(&it)) != NULL)
			sindex_encode(k, e);
		buf_append_u8(k, ENC_END);
	} else if (vp_is_object(v))
		encode_object(k, v);
	else {
		buf_append_u8(k, ENC_OTHER);
		encode_bytes(k, (const char *)v, vp_size(v));
	}
}

/* ---- definitions -------------------------------------------------------- */

/* "a.b" in a document. */
static const uint8_t *
path_get(const uint8_t *doc, const char *path)
{
	const char	*dot;

	while (doc != NULL && (dot = strchr(path, '.')) != NULL) {
		doc = vp_obj_get(doc, path, (size_t)(dot - path));
		path = dot + 1;
	}
	return doc == NULL ? NULL : vp_get(doc, path);
}

bool
sindex_key(const struct store_index *ix, const uint8_t *doc, uint64_t rev,
    struct buf *k)
{
	const uint8_t	*v;
	uint8_t		 head[SKEY_PREFIX], tail[8];
	size_t		 i;

	buf_reset(k);
	if (ix->kind == STORE_INDEX_META)
		return false;
	skey_prefix(head, ix->kind == STORE_INDEX_UNIQUE ? 'u' : 'i',
	    ix->object);
	buf_append(k, head, sizeof(head));
	for (i = 0; i < ix->nfields; i++) {
		v = path_get(doc, ix->fields[i]);
		if (ix->sparse && (v == NULL || vp_is_null(v)))
			return false;
		sindex_encode(k, v);
	}
	if (ix->kind == STORE_INDEX_PLAIN) {
		put_be64(tail, rev);
		buf_append(k, tail, sizeof(tail));
	}
	return true;
}

/* Is it one whose entries we keep? */
static enum store_index_kind
index_kind(const struct store_index *ix)
{
	size_t	 i;

	if (strcmp(ix->type, "persistent") != 0 &&
	    strcmp(ix->type, "hash") != 0 && strcmp(ix->type, "skiplist") != 0)
		return STORE_INDEX_META;
	if (ix->nfields == 0)
		return STORE_INDEX_META;
	for (i = 0; i < ix->nfields; i++)
		if (strstr(ix->fields[i], "[*]") != NULL)
			return STORE_INDEX_META;
	return ix->unique ? STORE_INDEX_UNIQUE : STORE_INDEX_PLAIN;
}

/* A number, digits, or "collection/digits". */
static int
index_id(const uint8_t *v, uint64_t *id)
{
	const char	*s, *slash;
	size_t		 len;

	if (v == NULL)
		return ERR_NOT_FOUND;
	if (vp_get_uint(v, id) == 0)
		return 0;
	if ((s = vp_get_string(v, &len)) == NULL)
		return ERR_FORMAT;
	if ((slash = memchr(s, '/', len)) != NULL) {
		len -= (size_t)(slash + 1 - s);
		s = slash + 1;
	}
	return str_to_u64_n(s, len, id);
}

static char *
text_of(const uint8_t *v, const char *fallback)
{
	const char	*s;
	size_t		 len;

	s = vp_get_string(v, &len);
	return s != NULL ? xstrndup(s, len) : xstrdup(fallback);
}

/* Fields are names, or objects with a "name" (inverted indexes). */
static void
index_fields(struct store_index *ix)
{
	const uint8_t	*list = vp_get(ix->def, "fields"), *f;
	struct vp_iter	 it;

	if (list == NULL)
		return;
	ix->fields = xcalloc(vp_length(list) + 1, sizeof(ix->fields[0]));
	vp_arr_iter(&it, list);
	while ((f = vp_arr_next(&it)) != NULL) {
		if (vp_is_object(f))
			f = vp_get(f, "name");
		ix->fields[ix->nfields++] = text_of(f, "");
	}
}

static bool
is_true(const uint8_t *v)
{
	return v != NULL && vp_is_true(v);
}

int
sindex_new(const uint8_t *def, uint64_t object, struct store_index **out)
{
	struct store_index	*ix;
	uint64_t		 id;
	size_t			 len;
	int			 r;

	if (!vp_is_object(def))
		return ERR_FORMAT;
	if ((r = index_id(vp_get(def, "id"), &id)) != 0)
		return r;
	ix = xcalloc(1, sizeof(*ix));
	ix->id = id;
	ix->object = object;
	len = vp_size(def);
	ix->raw = xmalloc(len);
	memcpy(ix->raw, def, len);
	ix->def = ix->raw;
	ix->name = text_of(vp_get(def, "name"), "");
	ix->type = text_of(vp_get(def, "type"), "");
	ix->unique = is_true(vp_get(def, "unique"));
	ix->sparse = is_true(vp_get(def, "sparse"));
	index_fields(ix);
	ix->kind = index_kind(ix);
	*out = ix;
	return 0;
}

void
sindex_free(struct store_index *ix)
{
	size_t	 i;

	if (ix == NULL)
		return;
	for (i = 0; i < ix->nfields; i++)
		free(ix->fields[i]);
	free(ix->fields);
	free(ix->name);
	free(ix->type);
	free(ix->raw);
	free(ix);
}

struct store_index *
store_index_find(const struct store_shard *sh, uint64_t id)
{
	size_t	 i;

	for (i = 0; i < sh->nindexes; i++)
		if (sh->indexes[i]->id == id)
			return sh->indexes[i];
	return NULL;
}

struct store_index *
store_index_for(const struct store_shard *sh, const char *path)
{
	struct store_index	*ix;
	size_t			 i;

	for (i = 0; i < sh->nindexes; i++) {
		ix = sh->indexes[i];
		if (ix->kind != STORE_INDEX_META && !ix->sparse &&
		    ix->nfields == 1 && strcmp(ix->fields[0], path) == 0)
			return ix;
	}
	return NULL;
}

/* ---- conflicts ---------------------------------------------------------- */

static void
set_text(char *to, size_t size, const char *s, size_t len)
{
	len = MIN(len, size - 1);
	memcpy(to, s, len);
	to[len] = '\0';
}

void
sindex_conflict(struct store_conflict *c, const struct store_index *ix,
    const char *key, size_t klen)
{
	struct buf	 f = BUF_INIT;
	size_t		 i;

	if (c == NULL)
		return;
	c->index = ix;
	set_text(c->name, sizeof(c->name), ix->name, strlen(ix->name));
	set_text(c->type, sizeof(c->type), ix->type, strlen(ix->type));
	for (i = 0; i < ix->nfields; i++) {
		if (i > 0)
			buf_append_str(&f, ", ");
		buf_append_str(&f, ix->fields[i]);
	}
	set_text(c->fields, sizeof(c->fields), buf_cstr(&f), f.len);
	buf_free(&f);
	set_text(c->key, sizeof(c->key), key, klen);
}

void
store_conflict_primary(struct store_conflict *c, const char *key, size_t klen)
{
	memset(c, 0, sizeof(*c));
	strcpy(c->name, "primary");
	strcpy(c->type, "primary");
	strcpy(c->fields, "_key");
	set_text(c->key, sizeof(c->key), key, klen);
}

void
store_conflict_text(const struct store_conflict *c, struct buf *out)
{
	buf_printf(out, "unique constraint violated - in index %s of type %s "
	    "over '%s'; conflicting key: %s", c->name, c->type, c->fields,
	    c->key);
}

/* ---- creating and dropping ---------------------------------------------- */

/*
 * One document into a new index.  0, AE_UNIQUE_CONSTRAINT_VIOLATED or
 * negative.
 */
static int
fill_one(struct store *st, struct store_index *ix, const uint8_t *doc,
    uint64_t rev, struct sbatch *b, struct store_conflict *c)
{
	const uint8_t	*val;
	const char	*key;
	size_t		 vlen, klen;
	int		 r;

	if (!sindex_key(ix, doc, rev, &st->k1))
		return 0;
	if ((key = vp_get_string(vp_get(doc, "_key"), &klen)) == NULL)
		return 0;
	if (ix->kind == STORE_INDEX_PLAIN) {
		sbatch_put(b, st->k1.data, st->k1.len, key, klen);
		return 0;
	}
	if (sbatch_find(b, st->k1.data, st->k1.len, &val, &vlen) == SBATCH_PUT)
		r = 1;
	else
		r = store_lookup(st, NULL, SVIEW_LATEST, 1, st->k1.data,
		    st->k1.len, &val, &vlen);
	if (r < 0)
		return r;
	if (r > 0 && vlen >= 8) {
		sindex_conflict(c, ix, (const char *)val + 8, vlen - 8);
		return AE_UNIQUE_CONSTRAINT_VIOLATED;
	}
	buf_reset(&st->k2);
	buf_reserve(&st->k2, 8 + klen);
	put_be64(st->k2.data, rev);
	memcpy(st->k2.data + 8, key, klen);
	sbatch_put(b, st->k1.data, st->k1.len, st->k2.data, 8 + klen);
	return 0;
}

static int
index_fill(struct store *st, struct store_shard *sh, struct store_index *ix,
    struct store_conflict *c)
{
	struct store_scan	*scan;
	struct store_row	 row;
	struct sbatch		 b = { 0 };
	int			 r;

	if (ix->kind == STORE_INDEX_META)
		return 0;
	if ((r = store_scan_new(st, sh, STORE_BY_REV, NULL, NULL, &scan)) != 0)
		return r;
	while ((r = store_scan_next(scan, true, &row)) == 1) {
		if ((r = fill_one(st, ix, row.doc, row.rev, &b, c)) != 0)
			break;
		if (b.rep.len >= FILL_BYTES &&
		    (r = store_write_now(st, &b)) != 0)
			break;
	}
	store_scan_free(&scan);
	if (r == 0 && b.count > 0)
		r = store_write_now(st, &b);
	sbatch_free(&b);
	return r;
}

void
sindex_delete_all(const struct store_index *ix, struct sbatch *b)
{
	if (ix->kind != STORE_INDEX_META)
		sbatch_delete_prefix(b, ix->kind == STORE_INDEX_UNIQUE ? 'u' :
		    'i', ix->object);
}

static int
index_clear(struct store *st, const struct store_index *ix)
{
	struct sbatch	 b = { 0 };
	int		 r = 0;

	sindex_delete_all(ix, &b);
	if (b.count > 0)
		r = store_write_now(st, &b);
	sbatch_free(&b);
	return r;
}

/* The definition of the shard with the log's word about the index in front. */
static int
index_announce(struct store *st, struct store_shard *sh, enum slog_type type,
    uint64_t n, const uint8_t *def)
{
	struct sbatch	 b = { 0 };
	int		 r;

	slog_append(&b, type, sh->db->id, sh->id, n, def,
	    def != NULL ? vp_size(def) : 0);
	store_shard_put(sh, &b);
	r = store_write_now(st, &b);
	sbatch_free(&b);
	return r;
}

int
store_index_create(struct store *st, struct store_shard *sh,
    const uint8_t *def, struct store_conflict *c, struct store_index **out)
{
	struct store_index	*ix;
	struct sbatch		 b = { 0 };
	int			 r;

	/* A stream has documents that this index would not know. */
	if (store_shard_locked(st, sh, NULL))
		return AE_LOCK_TIMEOUT;
	if ((r = sindex_new(def, 0, &ix)) != 0)
		return AE_BAD_PARAMETER;
	if (store_index_find(sh, ix->id) != NULL) {
		sindex_free(ix);
		return AE_DUPLICATE_IDENTIFIER;
	}
	ix->object = store_new_id(st, &b);
	if ((r = store_write_now(st, &b)) == 0 &&
	    (r = index_fill(st, sh, ix, c)) != 0)
		(void)index_clear(st, ix);
	sbatch_free(&b);
	if (r != 0) {
		sindex_free(ix);
		if (r > 0 && c != NULL)
			c->index = NULL;
		return r;
	}
	sh->indexes = xrealloc(sh->indexes,
	    (sh->nindexes + 1) * sizeof(sh->indexes[0]));
	sh->indexes[sh->nindexes++] = ix;
	if ((r = index_announce(st, sh, SLOG_INDEX_CREATE, 0, ix->def)) != 0)
		return r;
	*out = ix;
	return 0;
}

int
store_index_drop(struct store *st, struct store_shard *sh, uint64_t id)
{
	struct store_index	*ix;
	size_t			 i;
	int			 r;

	for (i = 0; i < sh->nindexes && sh->indexes[i]->id != id; i++)
		;
	if (i == sh->nindexes)
		return AE_INDEX_NOT_FOUND;
	ix = sh->indexes[i];
	memmove(&sh->indexes[i], &sh->indexes[i + 1],
	    (sh->nindexes - i - 1) * sizeof(sh->indexes[0]));
	sh->nindexes--;
	if ((r = index_announce(st, sh, SLOG_INDEX_DROP, id, NULL)) == 0)
		r = index_clear(st, ix);
	sindex_free(ix);
	return r;
}
