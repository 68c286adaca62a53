/*
 * compare.c - the order of values that AQL and ArangoDB's indexes have
 * (arangod/lib/Basics/VelocyPackHelper), but for strings, which are compared
 * by bytes and not by the rules of a language.
 */
#include <math.h>

#include "vpack/vpack.h"
#include "vpack/vpack_priv.h"

static int
weight(const uint8_t *s)
{
	switch (vp_type(s)) {
	case VP_MINKEY:
		return -99;
	case VP_NULL:
		return 0;
	case VP_BOOL:
		return 1;
	case VP_DOUBLE:
	case VP_DATE:
	case VP_INT:
	case VP_UINT:
	case VP_SMALLINT:
		return 2;
	case VP_STRING:
	case VP_BINARY:
		return 3;
	case VP_ARRAY:
		return 4;
	case VP_OBJECT:
		return 5;
	case VP_MAXKEY:
		return 99;
	default:
		return -1;
	}
}

/* A double against the integer (negative ? i : u), exactly. */
static int
compare_double_integer(double d, bool negative, int64_t i, uint64_t u)
{
	double		 whole;
	int		 c;

	if (isnan(d))
		return -1;
	if (negative) {
		if (d >= 0)
			return 1;
		if (d < -0x1p63)
			return -1;
		whole = trunc(d);
		c = ((int64_t)whole > i) - ((int64_t)whole < i);
	} else {
		if (d < 0)
			return -1;
		if (d >= 0x1p64)
			return 1;
		whole = trunc(d);
		c = ((uint64_t)whole > u) - ((uint64_t)whole < u);
	}
	return c != 0 ? c : (d > whole) - (d < whole);
}

struct number {
	bool		 is_double, negative;
	double		 d;
	int64_t		 i;
	uint64_t	 u;
};

static void
number_read(struct number *n, const uint8_t *s)
{
	int64_t		 v = 0;

	memset(n, 0, sizeof(*n));
	if (*s == 0x1b) {
		n->is_double = true;
		vp_get_double(s, &n->d);
		return;
	}
	if (vp_get_uint(s, &n->u) == 0)
		return;
	if (vp_get_int(s, &v) != 0)
		vp_get_date(s, &v);
	n->negative = v < 0;
	n->i = v;
	n->u = (uint64_t)v;
}

static int
compare_numbers(const uint8_t *a, const uint8_t *b)
{
	struct number	 x, y;

	number_read(&x, a);
	number_read(&y, b);
	if (x.is_double && y.is_double) {
		if (isnan(x.d) || isnan(y.d))
			return isnan(y.d) - isnan(x.d);
		return (x.d > y.d) - (x.d < y.d);
	}
	if (x.is_double)
		return compare_double_integer(x.d, y.negative, y.i, y.u);
	if (y.is_double)
		return -compare_double_integer(y.d, x.negative, x.i, x.u);
	if (x.negative != y.negative)
		return x.negative ? -1 : 1;
	if (x.negative)
		return (x.i > y.i) - (x.i < y.i);
	return (x.u > y.u) - (x.u < y.u);
}

static int
compare_bytes(const uint8_t *a, const uint8_t *b)
{
	const char	*p, *q;
	size_t		 n, m;

	if (vp_is_string(a) != vp_is_string(b))
		return vp_is_string(a) ? -1 : 1;
	if (vp_is_string(a)) {
		p = vp_get_string(a, &n);
		q = vp_get_string(b, &m);
	} else {
		p = (const char *)vp_get_binary(a, &n);
		q = (const char *)vp_get_binary(b, &m);
	}
	return vp_compare_names(p, n, q, m);
}

static int
compare_arrays(const uint8_t *a, const uint8_t *b)
{
	struct vp_iter	 x, y;
	const uint8_t	*p, *q;
	int		 c;

	vp_arr_iter(&x, a);
	vp_arr_iter(&y, b);
	for (;;) {
		p = vp_arr_next(&x);
		q = vp_arr_next(&y);
		if (p == NULL && q == NULL)
			return 0;
		/* [1] < [1, null]: the absent is less than null here */
		if (p == NULL || q == NULL)
			return p == NULL ? -1 : 1;
		if ((c = vp_compare(p, q)) != 0)
			return c;
	}
}

/*
 * The first name in order at which a differs from b, walking over the names
 * of a; with swap the result is turned round and only names that a has and b
 * has not are new.  Quadratic in the worst case, but objects that are compared
 * (in indexes and SORT) are small.
 */
static void
first_difference(const uint8_t *a, const uint8_t *b, bool swap,
    const char **best, size_t *blen, int *result)
{
	struct vp_iter	 it;
	struct vp_attr	 at;
	const uint8_t	*other;
	int		 c;

	vp_obj_iter(&it, a);
	while (vp_obj_next(&it, &at)) {
		if (*best != NULL &&
		    vp_compare_names(at.name, at.nlen, *best, *blen) >= 0)
			continue;
		other = vp_obj_get(b, at.name, at.nlen);
		if (other == NULL)
			other = vp_null;
		c = vp_compare(at.value, other);
		if (c == 0)
			continue;
		*best = at.name;
		*blen = at.nlen;
		*result = swap ? -c : c;
	}
}

int
vp_compare(const uint8_t *a, const uint8_t *b)
{
	const char	*name = NULL;
	size_t		 nlen = 0;
	int		 wa = weight(a), wb = weight(b), r = 0;

	if (wa != wb)
		return wa < wb ? -1 : 1;
	switch (wa) {
	case 1:
		return (int)*a - (int)*b;
	case 2:
		return compare_numbers(a, b);
	case 3:
		return compare_bytes(a, b);
	case 4:
		return compare_arrays(a, b);
	case 5:
		first_difference(a, b, false, &name, &nlen, &r);
		first_difference(b, a, true, &name, &nlen, &r);
		return r;
	default:
		return 0;
	}
}
