/*
 * store_batch.c - RocksDB write batches as bytes; see store_batch.h.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/err.h"
#include "sandbox/store_batch.h"

enum {
	TAG_DELETE		= 0x00,
	TAG_PUT			= 0x01,
	TAG_MERGE		= 0x02,
	TAG_LOG			= 0x03,
	TAG_CF_DELETE		= 0x04,
	TAG_CF_PUT		= 0x05,
	TAG_CF_MERGE		= 0x06,
	TAG_SINGLE_DELETE	= 0x07,
	TAG_CF_SINGLE_DELETE	= 0x08,
	TAG_BEGIN_PREPARE	= 0x09,
	TAG_NOOP		= 0x0d,
	TAG_CF_DELETE_RANGE	= 0x0e,
	TAG_DELETE_RANGE	= 0x0f
};

/* Beyond this a buffer is given back after a commit. */
#define SBATCH_KEEP_BYTES	(8u << 20)
#define SBATCH_KEEP_SLOTS	(1u << 16)

/* ---- reading ------------------------------------------------------------ */

static int
get_varint32(struct wrec_reader *r, uint32_t *v)
{
	uint32_t	 n = 0;
	int		 shift;

	for (shift = 0; shift <= 28; shift += 7) {
		if (r->pos == r->end)
			return ERR_TRUNCATED;
		n |= (uint32_t)(*r->pos & 0x7f) << shift;
		if ((*r->pos++ & 0x80) == 0) {
			*v = n;
			return 0;
		}
	}
	return ERR_FORMAT;
}

static int
get_string(struct wrec_reader *r, const uint8_t **p, size_t *len)
{
	uint32_t	 n;
	int		 err;

	if ((err = get_varint32(r, &n)) != 0)
		return err;
	if (n > (size_t)(r->end - r->pos))
		return ERR_TRUNCATED;
	*p = r->pos;
	*len = n;
	r->pos += n;
	return 0;
}

int
wrec_begin(struct wrec_reader *r, const void *data, size_t len)
{
	const uint8_t	*p = data;
	uint64_t	 seq;
	uint32_t	 count;

	if (len < SBATCH_HEADER)
		return ERR_TRUNCATED;
	memcpy(&seq, p, 8);
	memcpy(&count, p + 8, 4);
	r->seq = le64toh(seq);
	r->count = le32toh(count);
	r->pos = p + SBATCH_HEADER;
	r->end = p + len;
	r->seen = 0;
	return 0;
}

/* What a tag stands for; false when this store never writes it. */
static bool
tag_means(uint8_t tag, enum wrec_type *type, bool *cf, bool *two)
{
	*cf = tag == TAG_CF_DELETE || tag == TAG_CF_PUT ||
	    tag == TAG_CF_MERGE || tag == TAG_CF_SINGLE_DELETE ||
	    tag == TAG_CF_DELETE_RANGE;
	*two = true;
	switch (tag) {
	case TAG_PUT:
	case TAG_CF_PUT:
		*type = WREC_PUT;
		return true;
	case TAG_MERGE:
	case TAG_CF_MERGE:
		*type = WREC_MERGE;
		return true;
	case TAG_DELETE_RANGE:
	case TAG_CF_DELETE_RANGE:
		*type = WREC_DELETE_RANGE;
		return true;
	case TAG_DELETE:
	case TAG_CF_DELETE:
	case TAG_SINGLE_DELETE:
	case TAG_CF_SINGLE_DELETE:
		*two = false;
		*type = WREC_DELETE;
		return true;
	case TAG_LOG:
		*two = false;
		*type = WREC_LOG;
		return true;
	}
	return false;
}

int
wrec_next(struct wrec_reader *r, struct wrec *rec)
{
	bool		 cf, two;
	uint32_t	 id;
	uint8_t		 tag;
	int		 err;

	while (r->pos < r->end && *r->pos == TAG_NOOP)
		r->pos++;
	if (r->pos == r->end)
		return r->seen == r->count ? 0 : ERR_FORMAT;
	tag = *r->pos++;
	memset(rec, 0, sizeof(*rec));
	if (!tag_means(tag, &rec->type, &cf, &two))
		return ERR_FORMAT;
	if (cf && (err = get_varint32(r, &id)) != 0)
		return err;
	if ((err = get_string(r, &rec->key, &rec->klen)) != 0)
		return err;
	if (two && (err = get_string(r, &rec->val, &rec->vlen)) != 0)
		return err;
	rec->counts = rec->type != WREC_LOG;
	if (rec->counts && ++r->seen > r->count)
		return ERR_FORMAT;
	return 1;
}

/* ---- the index of keys --------------------------------------------------- */

static uint32_t
key_hash(const void *key, size_t klen)
{
	return (uint32_t)XXH3_64bits(key, klen);
}

/* The entry of a key, or the free slot where it belongs. */
static struct sbatch_ent *
tab_slot(const struct sbatch *b, const void *key, size_t klen, uint32_t hash)
{
	struct sbatch_ent	*e;
	size_t			 i;

	for (i = hash & (b->cap - 1);; i = (i + 1) & (b->cap - 1)) {
		e = &b->tab[i];
		if (e->state == SBATCH_MISS)
			return e;
		if (e->hash == hash && e->klen == klen &&
		    memcmp(b->rep.data + e->koff, key, klen) == 0)
			return e;
	}
}

static void
tab_grow(struct sbatch *b)
{
	struct sbatch_ent	*old = b->tab;
	size_t			 i, j, n = b->cap;

	b->cap = n == 0 ? 256 : n * 2;
	b->tab = xcalloc(b->cap, sizeof(*b->tab));
	for (i = 0; i < n; i++) {
		if (old[i].state == SBATCH_MISS)
			continue;
		j = old[i].hash & (b->cap - 1);
		while (b->tab[j].state != SBATCH_MISS)
			j = (j + 1) & (b->cap - 1);
		b->tab[j] = old[i];
	}
	free(old);
}

static void
tab_set(struct sbatch *b, size_t koff, size_t klen, size_t voff, size_t vlen,
    enum sbatch_state state)
{
	struct sbatch_ent	*e;
	uint32_t		 hash;

	if ((b->used + 1) * 2 > b->cap)
		tab_grow(b);
	hash = key_hash(b->rep.data + koff, klen);
	e = tab_slot(b, b->rep.data + koff, klen, hash);
	if (e->state == SBATCH_MISS)
		b->used++;
	e->hash = hash;
	e->koff = koff;
	e->klen = (uint32_t)klen;
	e->voff = voff;
	e->vlen = (uint32_t)vlen;
	e->state = (uint8_t)state;
}

enum sbatch_state
sbatch_find(const struct sbatch *b, const void *key, size_t klen,
    const uint8_t **val, size_t *vlen)
{
	const struct sbatch_ent	*e;

	if (b->used == 0)
		return SBATCH_MISS;
	e = tab_slot(b, key, klen, key_hash(key, klen));
	if (e->state == SBATCH_PUT) {
		*val = b->rep.data + e->voff;
		*vlen = e->vlen;
	}
	return (enum sbatch_state)e->state;
}

/* ---- building ------------------------------------------------------------ */

void
sbatch_free(struct sbatch *b)
{
	buf_free(&b->rep);
	free(b->tab);
	memset(b, 0, sizeof(*b));
}

void
sbatch_reset(struct sbatch *b)
{
	if (b->rep.cap > SBATCH_KEEP_BYTES)
		buf_free(&b->rep);
	else
		buf_reset(&b->rep);
	b->count = 0;
	if (b->cap > SBATCH_KEEP_SLOTS ||
	    (b->cap > 1024 && b->used < b->cap / 16)) {
		free(b->tab);
		b->tab = NULL;
		b->cap = 0;
	} else if (b->used > 0)
		memset(b->tab, 0, b->cap * sizeof(*b->tab));
	b->used = 0;
}

/* Room for n more bytes, behind the header. */
static void
rep_reserve(struct sbatch *b, size_t n)
{
	static const uint8_t	 header[SBATCH_HEADER];

	if (b->rep.len == 0)
		buf_append(&b->rep, header, sizeof(header));
	buf_reserve(&b->rep, n);
}

static void
rep_string(struct sbatch *b, const void *p, size_t len)
{
	uint8_t		*d = b->rep.data + b->rep.len;
	uint32_t	 n = (uint32_t)len;

	while (n >= 0x80) {
		*d++ = (uint8_t)(n | 0x80);
		n >>= 7;
	}
	*d++ = (uint8_t)n;
	if (len > 0)
		memcpy(d, p, len);
	b->rep.len = (size_t)(d - b->rep.data) + len;
}

void
sbatch_log(struct sbatch *b, const void *data, size_t len)
{
	rep_reserve(b, len + 6);
	b->rep.data[b->rep.len++] = TAG_LOG;
	rep_string(b, data, len);
}

void
sbatch_put(struct sbatch *b, const void *key, size_t klen, const void *val,
    size_t vlen)
{
	const uint8_t	*v = val;
	size_t		 inside = SIZE_MAX, koff;

	/* A value that was read from this batch moves when the batch grows. */
	if (b->rep.data != NULL && v >= b->rep.data &&
	    v < b->rep.data + b->rep.len)
		inside = (size_t)(v - b->rep.data);
	rep_reserve(b, klen + vlen + 11);
	if (inside != SIZE_MAX)
		v = b->rep.data + inside;
	b->rep.data[b->rep.len++] = TAG_PUT;
	rep_string(b, key, klen);
	koff = b->rep.len - klen;
	rep_string(b, v, vlen);
	b->count++;
	tab_set(b, koff, klen, b->rep.len - vlen, vlen, SBATCH_PUT);
}

void
sbatch_delete(struct sbatch *b, const void *key, size_t klen)
{
	rep_reserve(b, klen + 6);
	b->rep.data[b->rep.len++] = TAG_DELETE;
	rep_string(b, key, klen);
	b->count++;
	tab_set(b, b->rep.len - klen, klen, 0, 0, SBATCH_DELETED);
}

void
sbatch_delete_range(struct sbatch *b, const void *from, size_t flen,
    const void *to, size_t tlen)
{
	rep_reserve(b, flen + tlen + 11);
	b->rep.data[b->rep.len++] = TAG_DELETE_RANGE;
	rep_string(b, from, flen);
	rep_string(b, to, tlen);
	b->count++;
}

void
sbatch_append(struct sbatch *b, const struct sbatch *src)
{
	const struct sbatch_ent	*e;
	size_t			 i, shift;

	if (src->rep.len <= SBATCH_HEADER)
		return;
	rep_reserve(b, src->rep.len);
	shift = b->rep.len - SBATCH_HEADER;
	buf_append(&b->rep, src->rep.data + SBATCH_HEADER,
	    src->rep.len - SBATCH_HEADER);
	b->count += src->count;
	for (i = 0; i < src->cap; i++) {
		e = &src->tab[i];
		if (e->state != SBATCH_MISS)
			tab_set(b, e->koff + shift, e->klen, e->voff + shift,
			    e->vlen, (enum sbatch_state)e->state);
	}
}

const uint8_t *
sbatch_seal(struct sbatch *b, size_t *len)
{
	uint32_t	 count = htole32(b->count);

	rep_reserve(b, 0);
	memset(b->rep.data, 0, 8);
	memcpy(b->rep.data + 8, &count, 4);
	*len = b->rep.len;
	return b->rep.data;
}
