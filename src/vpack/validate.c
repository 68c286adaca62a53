/*
 * validate.c - is this VelocyPack?  Everything else in this directory trusts
 * its input because it went through here.
 *
 * Words of errors are those of velocypack's own validator where it has some,
 * because arangod sends them to its clients.
 */
#include <errno.h>
#include <stdlib.h>

#include "json/text.h"
#include "vpack/vpack.h"
#include "vpack/vpack_priv.h"

struct check {
	struct err_msg	*em;
	unsigned int	 depth;
};

static int check_value(struct check *, const uint8_t *, size_t, size_t *);

static int
bad(struct check *c, const char *what)
{
	return err_set(c->em, ERR_FORMAT, "%s", what);
}

/* The value claims to be longer than the bytes there are. */
static int
cut(struct check *c)
{
	return err_set(c->em, ERR_TRUNCATED, "given buffer length is unequal "
	    "to actual length of Slice in buffer");
}

static int
check_string(struct check *c, const uint8_t *p, size_t len, size_t *size)
{
	uint64_t	 n;
	size_t		 head = 1;

	if (*p != 0xbf)
		n = *p - 0x40U;
	else {
		if (len < 9)
			return cut(c);
		head = 9;
		n = vp_read(p + 1, 8);
	}
	if (n > len - head)
		return cut(c);
	if (!text_is_utf8((const char *)p + head, (size_t)n))
		return bad(c, "Invalid UTF-8 sequence");
	*size = head + (size_t)n;
	return 0;
}

static int
check_binary(struct check *c, const uint8_t *p, size_t len, size_t *size)
{
	size_t		 w = *p - 0xbfU;
	uint64_t	 n;

	if (len < 1 + w)
		return cut(c);
	n = vp_read(p + 1, w);
	if (n > len - 1 - w)
		return cut(c);
	*size = 1 + w + (size_t)n;
	return 0;
}

/* A name with its value; both must end before len. */
static int
check_pair(struct check *c, const uint8_t *p, size_t len, size_t *size)
{
	size_t		 klen, vlen, nlen;
	int		 r;

	if (!vp_is_string(p) && !vp_is_integer(p))
		return bad(c, "Invalid object key type");
	if ((r = check_value(c, p, len, &klen)) != 0)
		return r;
	if (vp_key_name(p, &nlen) == NULL)
		return bad(c, "Invalid object key type");
	if (klen == len)
		return bad(c, "Object value leaking into index table");
	if ((r = check_value(c, p + klen, len - klen, &vlen)) != 0)
		return r;
	*size = klen + vlen;
	return 0;
}

/*
 * A varint of at most 8 bytes at p, forwards or backwards, within max bytes;
 * returns its length or 0.
 */
static size_t
check_varint(const uint8_t *p, size_t max, int step, uint64_t *v)
{
	size_t		 i;

	*v = 0;
	for (i = 0; i < max && i < 8; i++, p += step) {
		*v |= (uint64_t)(*p & 0x7f) << (7 * i);
		if ((*p & 0x80) == 0)
			return i + 1;
	}
	return 0;
}

static bool
names_differ(const char *const *names, const size_t *lens, size_t n)
{
	size_t		 i, j;

	for (i = 1; i < n; i++)
		for (j = 0; j < i; j++)
			if (lens[i] == lens[j] &&
			    memcmp(names[i], names[j], lens[i]) == 0)
				return false;
	return true;
}

struct name {
	const char	*s;
	size_t		 len;
};

static int
name_compare(const void *a, const void *b)
{
	const struct name	*x = a, *y = b;

	return vp_compare_names(x->s, x->len, y->s, y->len);
}

#define FEW_NAMES	16

/* Names of an object without a table must differ as well. */
static int
check_names(struct check *c, const uint8_t *obj)
{
	const char	*few[FEW_NAMES];
	size_t		 lens[FEW_NAMES], i, n = vp_length(obj);
	struct name	*names;
	struct vp_iter	 it;
	struct vp_attr	 a;
	bool		 ok = true;

	vp_obj_iter(&it, obj);
	if (n <= FEW_NAMES) {
		for (i = 0; vp_obj_next(&it, &a); i++) {
			few[i] = a.name;
			lens[i] = a.nlen;
		}
		ok = names_differ(few, lens, n);
	} else {
		if ((names = malloc(n * sizeof(*names))) == NULL)
			return -ENOMEM;
		for (i = 0; vp_obj_next(&it, &a); i++) {
			names[i].s = a.name;
			names[i].len = a.nlen;
		}
		qsort(names, n, sizeof(*names), name_compare);
		for (i = 1; ok && i < n; i++)
			ok = name_compare(&names[i - 1], &names[i]) != 0;
		free(names);
	}
	return ok ? 0 :
	    err_set(c->em, ERR_EXISTS, "Duplicate attribute name");
}

static int
check_compact(struct check *c, const uint8_t *p, size_t len, size_t *size)
{
	bool		 object = *p == 0x14;
	uint64_t	 total, n;
	size_t		 a, z, used, pos, end;
	int		 r;

	a = check_varint(p + 1, len - 1, 1, &total);
	if (a == 0 || total > len)
		return a == 0 && len > 8 ?
		    bad(c, "Compound value length value is out of bounds") :
		    cut(c);
	if (total < (object ? 5U : 4U))
		return bad(c, object ? "Object length value is out of bounds" :
		    "Array length value is out of bounds");
	z = check_varint(p + total - 1, (size_t)total - 1 - a, -1, &n);
	if (z == 0 || n == 0)
		return bad(c, object ? "Object length value is out of bounds" :
		    "Array length value is out of bounds");
	end = (size_t)total - z;
	for (pos = 1 + a; n > 0; n--, pos += used) {
		if (pos >= end)
			return bad(c, object ?
			    "Object items number is out of bounds" :
			    "Array items number is out of bounds");
		r = object ? check_pair(c, p + pos, end - pos, &used) :
		    check_value(c, p + pos, end - pos, &used);
		if (r != 0)
			return r;
	}
	if (pos != end)
		return bad(c, object ?
		    "Object has more members than specified" :
		    "Array has more members than specified");
	*size = (size_t)total;
	return object ? check_names(c, p) : 0;
}

/*
 * What arrays 0x02..0x09 and objects 0x0b..0x0e share: the whole length and
 * where the first member begins.
 */
static int
check_frame(struct check *c, const uint8_t *p, size_t len, size_t *size,
    size_t *first)
{
	size_t		 w = vp_width(*p), off, i;
	uint64_t	 total;

	off = *p <= 0x05 || w == 8 ? 1 + w : 1 + 2 * w;
	if (len <= off)
		return cut(c);
	total = vp_read(p + 1, w);
	if (total > len)
		return cut(c);
	if (total <= off)
		return bad(c, *p >= 0x0b ? "Object length is out of bounds" :
		    "Array length is out of bounds");
	if (off < 9 && p[off] == 0) {
		for (i = off; i < 9; i++)
			if (i >= total || p[i] != 0)
				return bad(c, *p >= 0x0b ?
				    "Object padding is invalid" :
				    "Array padding is invalid");
		if (total <= 9)
			return bad(c, "Array structure is invalid");
		off = 9;
	}
	*size = (size_t)total;
	*first = off;
	return 0;
}

/* 0x02..0x05: members of equal length, no table. */
static int
check_plain_array(struct check *c, const uint8_t *p, size_t len, size_t *size)
{
	size_t		 total, pos, one, used;
	int		 r;

	if ((r = check_frame(c, p, len, &total, &pos)) != 0)
		return r;
	if ((r = check_value(c, p + pos, total - pos, &one)) != 0)
		return r;
	if ((total - pos) % one != 0)
		return bad(c, "Array length is out of bounds");
	for (pos += one; pos < total; pos += one) {
		r = check_value(c, p + pos, total - pos, &used);
		if (r != 0)
			return r;
		if (used != one)
			return bad(c, "Unexpected Array value length");
	}
	*size = total;
	return 0;
}

/*
 * Number of members of the tables, and where the table begins.  The division
 * keeps a huge number from wrapping round.
 */
static int
check_table(struct check *c, const uint8_t *p, size_t total, size_t first,
    size_t *n, size_t *table)
{
	size_t		 w = vp_width(*p), end = total - (w == 8 ? 8 : 0);
	uint64_t	 count;

	if (w == 8 && total < first + 8)
		return bad(c, "Invalid length found in binary data");
	count = w == 8 ? vp_read(p + end, 8) : vp_read(p + 1 + w, w);
	if (count == 0)
		return bad(c, *p >= 0x0b ? "Object nrItems value is invalid" :
		    "Array nrItems value is invalid");
	if (count > (end - first) / w)
		return bad(c, *p >= 0x0b ?
		    "Object index table is out of bounds" :
		    "Array index table is out of bounds");
	*n = (size_t)count;
	*table = end - *n * w;
	return 0;
}

static int
check_table_array(struct check *c, const uint8_t *p, size_t len, size_t *size)
{
	size_t		 w = vp_width(*p), total, pos, n, table, used, i;
	int		 r;

	if ((r = check_frame(c, p, len, &total, &pos)) != 0 ||
	    (r = check_table(c, p, total, pos, &n, &table)) != 0)
		return r;
	for (i = 0; pos < table; i++, pos += used) {
		if (i == n)
			break;
		r = check_value(c, p + pos, table - pos, &used);
		if (r != 0)
			return r;
		if (vp_read(p + table + i * w, w) != pos)
			return bad(c, "Array index table is wrong");
	}
	if (i != n || pos != table)
		return bad(c, "Array has more items than in index");
	*size = total;
	return 0;
}

/*
 * Every entry of the table must be the place of a member, and none twice.
 * places is ascending; a place that was seen is replaced in seen.
 */
static bool
table_is_complete(const uint8_t *table, size_t w, const uint32_t *places,
    uint8_t *seen, size_t n)
{
	size_t		 i, lo, hi, mid;
	uint64_t	 off;

	for (i = 0; i < n; i++) {
		off = vp_read(table + i * w, w);
		for (lo = 0, hi = n; hi - lo > 1;) {
			mid = lo + (hi - lo) / 2;
			if (places[mid] <= off)
				lo = mid;
			else
				hi = mid;
		}
		if (places[lo] != off || seen[lo])
			return false;
		seen[lo] = 1;
	}
	return true;
}

static int
check_order(struct check *c, const uint8_t *p, const uint8_t *table, size_t w,
    size_t n)
{
	const char	*name, *prev;
	size_t		 nlen, plen, i;
	int		 cmp;

	prev = vp_key_name(p + vp_read(table, w), &plen);
	for (i = 1; i < n; i++) {
		name = vp_key_name(p + vp_read(table + i * w, w), &nlen);
		cmp = vp_compare_names(prev, plen, name, nlen);
		if (cmp == 0)
			return err_set(c->em, ERR_EXISTS,
			    "Duplicate attribute name");
		if (cmp > 0)
			return bad(c, "Object index table is not sorted");
		prev = name;
		plen = nlen;
	}
	return 0;
}

#define FEW_MEMBERS	64

static int
check_table_object(struct check *c, const uint8_t *p, size_t len, size_t *size)
{
	uint32_t	 few[FEW_MEMBERS], *places = few;
	uint8_t		 few_seen[FEW_MEMBERS], *seen = few_seen;
	size_t		 w = vp_width(*p), total, pos, n, table, used, i;
	int		 r;

	if ((r = check_frame(c, p, len, &total, &pos)) != 0 ||
	    (r = check_table(c, p, total, pos, &n, &table)) != 0)
		return r;
	if (total > VP_SIZE_MAX)
		return err_set(c->em, ERR_TOO_BIG, "value too large");
	if (n > (table - pos) / 2)
		return bad(c, "Object has fewer items than in index");
	if (n > FEW_MEMBERS) {
		places = malloc(n * sizeof(*places));
		seen = malloc(n);
		if (places == NULL || seen == NULL) {
			r = -ENOMEM;
			goto out;
		}
	}
	memset(seen, 0, n);
	for (i = 0; pos < table && i < n; i++, pos += used) {
		places[i] = (uint32_t)pos;
		if ((r = check_pair(c, p + pos, table - pos, &used)) != 0)
			goto out;
	}
	if (i != n)
		r = bad(c, "Object has fewer items than in index");
	else if (pos != table)
		r = bad(c, "Object value has more key/value pairs than "
		    "announced");
	else if (!table_is_complete(p + table, w, places, seen, n))
		r = bad(c, "Object has invalid index offset");
	else
		r = check_order(c, p, p + table, w, n);
	*size = total;
 out:
	if (places != few)
		free(places);
	if (seen != few_seen)
		free(seen);
	return r;
}

static int
check_compound(struct check *c, const uint8_t *p, size_t len, size_t *size)
{
	uint8_t		 h = *p;
	int		 r;

	if (h == 0x01 || h == 0x0a) {
		*size = 1;
		return 0;
	}
	if (++c->depth >= VP_DEPTH_MAX)
		return err_set(c->em, ERR_TOO_BIG,
		    "Too deep nesting in Array/Object");
	if (h >= 0x13)
		r = check_compact(c, p, len, size);
	else if (h >= 0x0b)
		r = check_table_object(c, p, len, size);
	else if (h >= 0x06)
		r = check_table_array(c, p, len, size);
	else
		r = check_plain_array(c, p, len, size);
	c->depth--;
	return r;
}

static int
check_value(struct check *c, const uint8_t *p, size_t len, size_t *size)
{
	size_t		 n;

	if (len == 0)
		return err_set(c->em, ERR_TRUNCATED,
		    "length 0 is invalid for any VelocyPack value");
	switch (vp_type(p)) {
	case VP_STRING:
		return check_string(c, p, len, size);
	case VP_ARRAY:
	case VP_OBJECT:
		return check_compound(c, p, len, size);
	case VP_BINARY:
		return check_binary(c, p, len, size);
	case VP_EXTERNAL:
		return bad(c,
		    "Externals are not allowed in this configuration");
	case VP_CUSTOM:
		return bad(c,
		    "Custom types are not allowed in this configuration");
	case VP_TAGGED:
		return bad(c,
		    "Tagged types are not allowed in this configuration");
	case VP_BCD:
		return bad(c,
		    "BCD types are not allowed in this configuration");
	case VP_NONE:
	case VP_ILLEGAL:
	case VP_RESERVED:
		return bad(c, "Invalid type found in binary data");
	default:
		n = vp_size(p);		/* fixed by the head */
		if (n > len)
			return cut(c);
		*size = n;
		return 0;
	}
}

int
vp_validate_first(const uint8_t *p, size_t len, size_t *used,
    struct err_msg *em)
{
	struct check	 c = { em, 0 };
	size_t		 size;
	int		 r;

	if ((r = check_value(&c, p, len, &size)) != 0)
		return r;
	*used = size;
	return 0;
}

int
vp_validate(const uint8_t *p, size_t len, struct err_msg *em)
{
	size_t		 used;
	int		 r;

	if ((r = vp_validate_first(p, len, &used, em)) != 0)
		return r;
	if (used != len)
		return err_set(em, ERR_FORMAT, "given buffer length is unequal "
		    "to actual length of Slice in buffer");
	return 0;
}
