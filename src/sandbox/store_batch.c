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

/* ---- the index of keys -------------------------------------------------- */

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
		    memcmp(sbatch_key(b, e), key, klen) == 0)
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

/* What is now true of a key. */
static void
tab_set(struct sbatch *b, struct sbatch_ent new)
{
	struct sbatch_ent	*e;
	const uint8_t		*key;

	if ((b->used + 1) * 2 > b->cap)
		tab_grow(b);
	key = sbatch_key(b, &new);
	new.hash = key_hash(key, new.klen);
	e = tab_slot(b, key, new.klen, new.hash);
	if (e->state == SBATCH_MISS)
		b->used++;
	*e = new;
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
		*val = sbatch_val(b, e);
		*vlen = e->vlen;
	}
	return (enum sbatch_state)e->state;
}

/* ---- building ----------------------------------------------------------- */

void
sbatch_free(struct sbatch *b)
{
	buf_free(&b->rep);
	buf_free(&b->late);
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
	if (b->late.cap > SBATCH_KEEP_BYTES)
		buf_free(&b->late);
	else
		buf_reset(&b->late);
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

/* A put in rep; v must not lie in it.  Returns where key and value are. */
static struct sbatch_ent
rep_put(struct sbatch *b, const void *key, size_t klen, const void *val,
    size_t vlen)
{
	struct sbatch_ent	 e = { 0 };

	b->rep.data[b->rep.len++] = TAG_PUT;
	rep_string(b, key, klen);
	e.koff = b->rep.len - klen;
	e.klen = (uint32_t)klen;
	rep_string(b, val, vlen);
	e.voff = b->rep.len - vlen;
	e.vlen = (uint32_t)vlen;
	e.state = SBATCH_PUT;
	b->count++;
	return e;
}

void
sbatch_put(struct sbatch *b, const void *key, size_t klen, const void *val,
    size_t vlen)
{
	const uint8_t	*v = val;
	size_t		 inside = SIZE_MAX;

	/* A value that was read from this batch moves when the batch grows. */
	if (b->rep.data != NULL && v >= b->rep.data &&
	    v < b->rep.data + b->rep.len)
		inside = (size_t)(v - b->rep.data);
	rep_reserve(b, klen + vlen + 11);
	if (inside != SIZE_MAX)
		v = b->rep.data + inside;
	tab_set(b, rep_put(b, key, klen, v, vlen));
}

/* In late: klen:4 vlen:4 key value. */
void
sbatch_put_late(struct sbatch *b, const void *key, size_t klen,
    const void *val, size_t vlen)
{
	struct sbatch_ent	 e = { 0 };
	uint32_t		 head[2];

	head[0] = e.klen = (uint32_t)klen;
	head[1] = e.vlen = (uint32_t)vlen;
	buf_reserve(&b->late, sizeof(head) + klen + vlen);
	buf_append(&b->late, head, sizeof(head));
	e.koff = b->late.len;
	buf_append(&b->late, key, klen);
	e.voff = b->late.len;
	buf_append(&b->late, val, vlen);
	e.state = SBATCH_PUT;
	e.late = true;
	tab_set(b, e);
}

void
sbatch_delete(struct sbatch *b, const void *key, size_t klen)
{
	struct sbatch_ent	 e = { 0 };

	rep_reserve(b, klen + 6);
	b->rep.data[b->rep.len++] = TAG_DELETE;
	rep_string(b, key, klen);
	b->count++;
	e.koff = b->rep.len - klen;
	e.klen = (uint32_t)klen;
	e.state = SBATCH_DELETED;
	tab_set(b, e);
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

/*
 * The next late put from *pos on that is still the last word on its key; NULL
 * at the end.
 */
static const struct sbatch_ent *
late_next(const struct sbatch *b, size_t *pos)
{
	const struct sbatch_ent	*e;
	const uint8_t		*key;
	uint32_t		 head[2];

	while (*pos < b->late.len) {
		memcpy(head, b->late.data + *pos, sizeof(head));
		key = b->late.data + *pos + sizeof(head);
		*pos += sizeof(head) + head[0] + head[1];
		e = tab_slot(b, key, head[0], key_hash(key, head[0]));
		if (e->state == SBATCH_PUT && e->late &&
		    sbatch_key(b, e) == key)
			return e;
	}
	return NULL;
}

void
sbatch_flush_late(struct sbatch *b)
{
	const struct sbatch_ent	*e;
	struct sbatch_ent	 was;
	size_t			 pos = 0;

	while ((e = late_next(b, &pos)) != NULL) {
		was = *e;
		rep_reserve(b, was.klen + (size_t)was.vlen + 11);
		tab_set(b, rep_put(b, sbatch_key(b, &was), was.klen,
		    sbatch_val(b, &was), was.vlen));
	}
	buf_reset(&b->late);
}

void
sbatch_append(struct sbatch *b, const struct sbatch *src)
{
	struct sbatch_ent	 moved;
	size_t			 i, shift;

	bug_unless(src->late.len == 0);
	if (src->rep.len <= SBATCH_HEADER)
		return;
	rep_reserve(b, src->rep.len);
	shift = b->rep.len - SBATCH_HEADER;
	buf_append(&b->rep, src->rep.data + SBATCH_HEADER,
	    src->rep.len - SBATCH_HEADER);
	b->count += src->count;
	for (i = 0; i < src->cap; i++) {
		if (src->tab[i].state == SBATCH_MISS)
			continue;
		moved = src->tab[i];
		moved.koff += shift;
		moved.voff += shift;
		tab_set(b, moved);
	}
}

const uint8_t *
sbatch_seal(struct sbatch *b, size_t *len)
{
	uint32_t	 count;

	sbatch_flush_late(b);
	rep_reserve(b, 0);
	count = htole32(b->count);
	memset(b->rep.data, 0, 8);
	memcpy(b->rep.data + 8, &count, 4);
	*len = b->rep.len;
	return b->rep.data;
}
