/* vpack.c - reading VelocyPack values that were checked before */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "json/text.h"
#include "vpack/vpack.h"
#include "vpack/vpack_priv.h"

const uint8_t vp_null[1] = { 0x18 }, vp_true[1] = { 0x1a };
const uint8_t vp_false[1] = { 0x19 };
const uint8_t vp_empty_array[1] = { 0x01 }, vp_empty_object[1] = { 0x0a };

const uint8_t vp_kind_of_head[256] = {
	[0x00] = VP_NONE,
	[0x01 ... 0x09] = VP_ARRAY,
	[0x0a ... 0x0e] = VP_OBJECT,
	/* unsorted objects: described, but no reader or writer has them */
	[0x0f ... 0x12] = VP_RESERVED,
	[0x13] = VP_ARRAY,
	[0x14] = VP_OBJECT,
	[0x15 ... 0x16] = VP_RESERVED,
	[0x17] = VP_ILLEGAL,
	[0x18] = VP_NULL,
	[0x19 ... 0x1a] = VP_BOOL,
	[0x1b] = VP_DOUBLE,
	[0x1c] = VP_DATE,
	[0x1d] = VP_EXTERNAL,
	[0x1e] = VP_MINKEY,
	[0x1f] = VP_MAXKEY,
	[0x20 ... 0x27] = VP_INT,
	[0x28 ... 0x2f] = VP_UINT,
	[0x30 ... 0x3f] = VP_SMALLINT,
	[0x40 ... 0xbf] = VP_STRING,
	[0xc0 ... 0xc7] = VP_BINARY,
	[0xc8 ... 0xd7] = VP_BCD,
	[0xd8 ... 0xed] = VP_RESERVED,
	[0xee ... 0xef] = VP_TAGGED,
	[0xf0 ... 0xff] = VP_CUSTOM,
};

/* The words of arangod's own messages. */
static const char *const kind_names[] = {
	[VP_NONE] = "none", [VP_ILLEGAL] = "illegal", [VP_NULL] = "null",
	[VP_BOOL] = "bool", [VP_ARRAY] = "array", [VP_OBJECT] = "object",
	[VP_DOUBLE] = "double", [VP_DATE] = "utc-date",
	[VP_MINKEY] = "min-key", [VP_MAXKEY] = "max-key", [VP_INT] = "int",
	[VP_UINT] = "uint", [VP_SMALLINT] = "smallint",
	[VP_STRING] = "string", [VP_BINARY] = "binary",
	[VP_EXTERNAL] = "external", [VP_BCD] = "bcd",
	[VP_CUSTOM] = "custom", [VP_TAGGED] = "tagged",
	[VP_RESERVED] = "none",
};

/*
 * arangod/lib/Basics/VelocyPackHelper: names that are stored as numbers.  The
 * array is indexed by the number.
 */
static const struct {
	const char	*name;
	size_t		 len;
} short_names[] = {
	{ NULL, 0 },
	{ "_key", 4 }, { "_rev", 4 }, { "_id", 3 },
	{ "_from", 5 }, { "_to", 3 },
};

const char *
vp_type_name(const uint8_t *s)
{
	return kind_names[vp_type(s)];
}

size_t
vp_size(const uint8_t *s)
{
	const uint8_t	*p;
	uint8_t		 h = *s;

	if (h >= 0x40) {
		if (h <= 0xbe)
			return (size_t)(h - 0x40) + 1;
		if (h == 0xbf)
			return (size_t)vp_read(s + 1, 8) + 9;
		if (h <= 0xc7)
			return (size_t)vp_read(s + 1, h - 0xbfU) +
			    (h - 0xbfU) + 1;
		return 1;
	}
	if (h >= 0x30)
		return 1;
	if (h >= 0x20)
		return (size_t)(h & 7) + 2;
	if (h == 0x1b || h == 0x1c)
		return 9;
	if (h >= 0x15 || h <= 0x01 || h == 0x0a || (h >= 0x0f && h <= 0x12))
		return 1;
	if (h >= 0x13) {
		p = s + 1;
		return (size_t)vp_read_varint(&p);
	}
	return (size_t)vp_read(s + 1, vp_width(h));
}

const char *
vp_get_string(const uint8_t *s, size_t *len)
{
	if (s == NULL || !vp_is_string(s))
		return NULL;
	if (*s != 0xbf) {
		*len = *s - 0x40U;
		return (const char *)s + 1;
	}
	*len = (size_t)vp_read(s + 1, 8);
	return (const char *)s + 9;
}

bool
vp_string_is(const uint8_t *s, const char *str, size_t len)
{
	const char	*p;
	size_t		 n;

	p = vp_get_string(s, &n);
	return p != NULL && n == len && memcmp(p, str, len) == 0;
}

/* Integers 0x20..0x27: n bytes of two's complement. */
static int64_t
read_int(const uint8_t *s)
{
	unsigned int	 bits = ((*s & 7U) + 1) * 8;
	uint64_t	 v = vp_read(s + 1, (*s & 7U) + 1);

	if (bits < 64 && (v >> (bits - 1)) != 0)
		v |= UINT64_MAX << bits;
	return (int64_t)v;
}

int
vp_get_int(const uint8_t *s, int64_t *v)
{
	uint64_t	 u;

	if (!vp_is_integer(s))
		return ERR_FORMAT;
	if (*s >= 0x3a)
		*v = (int64_t)*s - 0x40;
	else if (*s >= 0x30)
		*v = *s - 0x30;
	else if (*s <= 0x27)
		*v = read_int(s);
	else {
		u = vp_read(s + 1, *s - 0x27U);
		if (u > INT64_MAX)
			return ERR_RANGE;
		*v = (int64_t)u;
	}
	return 0;
}

int
vp_get_uint(const uint8_t *s, uint64_t *v)
{
	int64_t		 i;
	int		 r;

	if (*s >= 0x28 && *s <= 0x2f) {
		*v = vp_read(s + 1, *s - 0x27U);
		return 0;
	}
	if ((r = vp_get_int(s, &i)) != 0)
		return r;
	if (i < 0)
		return ERR_RANGE;
	*v = (uint64_t)i;
	return 0;
}

int
vp_get_double(const uint8_t *s, double *v)
{
	uint64_t	 bits;
	int64_t		 i;

	if (*s == 0x1b) {
		bits = vp_read(s + 1, 8);
		memcpy(v, &bits, 8);
		return 0;
	}
	if (*s >= 0x28 && *s <= 0x2f) {
		*v = (double)vp_read(s + 1, *s - 0x27U);
		return 0;
	}
	if (vp_get_int(s, &i) != 0)
		return ERR_FORMAT;
	*v = (double)i;
	return 0;
}

const uint8_t *
vp_get_binary(const uint8_t *s, size_t *len)
{
	size_t		 w;

	if (vp_type(s) != VP_BINARY)
		return NULL;
	w = *s - 0xbfU;
	*len = (size_t)vp_read(s + 1, w);
	return s + 1 + w;
}

int
vp_get_date(const uint8_t *s, int64_t *ms)
{
	if (*s != 0x1c)
		return ERR_FORMAT;
	*ms = (int64_t)vp_read(s + 1, 8);
	return 0;
}

size_t
vp_length(const uint8_t *s)
{
	uint8_t		 h = *s;
	size_t		 off;
	const uint8_t	*p;

	if (h == 0x01 || h == 0x0a || h > 0x14 || h == 0 ||
	    (h >= 0x0f && h <= 0x12))
		return 0;
	if (h >= 0x13) {
		p = s + 1;
		return (size_t)vp_read_varint_back(s + vp_read_varint(&p) - 1);
	}
	if (h <= 0x05) {
		off = vp_first_member(s);
		return ((size_t)vp_read(s + 1, vp_width(h)) - off) /
		    vp_size(s + off);
	}
	return vp_table_count(s);
}

const uint8_t *
vp_arr_at(const uint8_t *s, size_t i)
{
	struct vp_iter	 it;
	const uint8_t	*m;
	size_t		 n, off;

	if (!vp_is_array(s) || (n = vp_length(s)) <= i)
		return NULL;
	if (*s <= 0x05) {
		off = vp_first_member(s);
		return s + off + i * vp_size(s + off);
	}
	if (*s <= 0x09) {
		m = vp_table(s, n) + i * vp_width(*s);
		return s + vp_read(m, vp_width(*s));
	}
	vp_arr_iter(&it, s);
	do
		m = vp_arr_next(&it);
	while (i-- > 0);
	return m;
}

const char *
vp_key_name(const uint8_t *k, size_t *len)
{
	uint64_t	 v;

	if (vp_is_string(k))
		return vp_get_string(k, len);
	if (vp_get_uint(k, &v) != 0 || v == 0 || v >= NITEMS(short_names))
		return NULL;
	*len = short_names[v].len;
	return short_names[v].name;
}

static const uint8_t *
compact_get(const uint8_t *s, const char *key, size_t klen)
{
	struct vp_iter	 it;
	struct vp_attr	 a;

	vp_obj_iter(&it, s);
	while (vp_obj_next(&it, &a))
		if (a.nlen == klen && memcmp(a.name, key, klen) == 0)
			return a.value;
	return NULL;
}

/* Below this many attributes trying each is as fast as searching. */
#define LINEAR_MAX	8

const uint8_t *
vp_obj_get(const uint8_t *s, const char *key, size_t klen)
{
	const uint8_t	*table, *k;
	const char	*name;
	size_t		 n, lo, hi, mid, len, w;
	int		 c;

	if (s == NULL || !vp_is_object(s) || *s == 0x0a)
		return NULL;
	if (*s == 0x14)
		return compact_get(s, key, klen);
	n = vp_table_count(s);
	table = vp_table(s, n);
	w = vp_width(*s);
	if (n <= LINEAR_MAX) {
		for (mid = 0; mid < n; mid++) {
			k = s + vp_read(table + mid * w, w);
			name = vp_key_name(k, &len);
			if (len == klen && memcmp(name, key, klen) == 0)
				return k + vp_size(k);
		}
		return NULL;
	}
	for (lo = 0, hi = n; lo < hi;) {
		mid = lo + (hi - lo) / 2;
		k = s + vp_read(table + mid * w, w);
		name = vp_key_name(k, &len);
		c = vp_compare_names(key, klen, name, len);
		if (c == 0)
			return k + vp_size(k);
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

static void
iter_start(struct vp_iter *it, const uint8_t *s)
{
	it->left = vp_length(s);
	it->pos = s;
	if (it->left == 0)
		return;
	if (*s >= 0x13) {
		it->pos = s + 1;
		vp_read_varint(&it->pos);
	} else
		it->pos = s + vp_first_member(s);
}

void
vp_arr_iter(struct vp_iter *it, const uint8_t *s)
{
	if (vp_is_array(s))
		iter_start(it, s);
	else
		it->left = 0;
}

const uint8_t *
vp_arr_next(struct vp_iter *it)
{
	const uint8_t	*m = it->pos;

	if (it->left == 0)
		return NULL;
	if (--it->left > 0)
		it->pos += vp_size(m);
	return m;
}

void
vp_obj_iter(struct vp_iter *it, const uint8_t *s)
{
	if (vp_is_object(s))
		iter_start(it, s);
	else
		it->left = 0;
}

bool
vp_obj_next(struct vp_iter *it, struct vp_attr *a)
{
	if (it->left == 0)
		return false;
	a->key = it->pos;
	a->name = vp_key_name(a->key, &a->nlen);
	a->value = a->key + vp_size(a->key);
	if (--it->left > 0)
		it->pos = a->value + vp_size(a->value);
	return true;
}

bool
vp_utf8_ok(const char *s, size_t len)
{
	return text_is_utf8(s, len);
}
