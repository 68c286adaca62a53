/*
 * dump.c - VelocyPack to JSON, as arangod prints it: no white space, "/" is
 * not escaped, control characters are \b \t \n \f \r or \u00XX with upper-case
 * digits.
 */
#include <math.h>
#include <stdlib.h>

#include "json/text.h"
#include "vpack/vpack.h"
#include "vpack/vpack_priv.h"

static void dump_value(struct buf *, const uint8_t *, unsigned int);

/* Two digits at a time. */
static const char digit_pairs[] =
    "0001020304050607080910111213141516171819"
    "2021222324252627282930313233343536373839"
    "4041424344454647484950515253545556575859"
    "6061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

size_t
vp_uint_to_text(char *dst, uint64_t v)
{
	char		 tmp[20], *p = tmp + sizeof(tmp);
	size_t		 n;

	while (v >= 100) {
		p -= 2;
		memcpy(p, digit_pairs + 2 * (v % 100), 2);
		v /= 100;
	}
	if (v >= 10) {
		p -= 2;
		memcpy(p, digit_pairs + 2 * v, 2);
	} else
		*--p = (char)('0' + v);
	n = (size_t)(tmp + sizeof(tmp) - p);
	memcpy(dst, p, n);
	return n;
}

/* ---- strings ------------------------------------------------------------ */

static uint8_t *
put_u_escape(uint8_t *d, uint32_t v)
{
	static const char hex[] = "0123456789ABCDEF";

	d[0] = '\\';
	d[1] = 'u';
	d[2] = (uint8_t)hex[v >> 12 & 15];
	d[3] = (uint8_t)hex[v >> 8 & 15];
	d[4] = (uint8_t)hex[v >> 4 & 15];
	d[5] = (uint8_t)hex[v & 15];
	return d + 6;
}

/* A quote, a backslash or a control character. */
static uint8_t *
put_escape(uint8_t *d, unsigned char c)
{
	static const char letters[32] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
		['\r'] = 'r',
	};

	if (c < 0x20 && letters[c] == 0)
		return put_u_escape(d, c);
	d[0] = '\\';
	d[1] = c < 0x20 ? (uint8_t)letters[c] : c;
	return d + 2;
}

/* One character beyond ASCII of checked UTF-8; *p moves behind it. */
static uint32_t
read_utf8(const unsigned char **p)
{
	const unsigned char	*s = *p;

	if (s[0] < 0xe0) {
		*p += 2;
		return (s[0] & 0x1fU) << 6 | (s[1] & 0x3fU);
	}
	if (s[0] < 0xf0) {
		*p += 3;
		return (s[0] & 0x0fU) << 12 | (s[1] & 0x3fU) << 6 |
		    (s[2] & 0x3fU);
	}
	*p += 4;
	return (s[0] & 0x07U) << 18 | (s[1] & 0x3fU) << 12 |
	    (s[2] & 0x3fU) << 6 | (s[3] & 0x3fU);
}

/*
 * [p, end) has characters beyond ASCII and is to be ASCII afterwards.  Text
 * that is not UTF-8 (a builder's caller broke its word) becomes U+FFFD.
 */
static void
put_ascii(struct buf *out, const char *p, const char *end)
{
	const unsigned char	*s = (const unsigned char *)p;
	const unsigned char	*e = (const unsigned char *)end;
	uint8_t			*d;
	uint32_t		 v;
	bool			 ok = text_is_utf8(p, (size_t)(end - p));

	vp_room(out, (size_t)(end - p) * 6);
	d = out->data + out->len;
	while (s < e) {
		if (*s < 0x80) {
			*d++ = *s++;
			continue;
		}
		if (ok)
			v = read_utf8(&s);
		else {
			v = 0xfffd;
			s++;
		}
		if (v >= 0x10000) {
			v -= 0x10000;
			d = put_u_escape(d, 0xd800 + (v >> 10));
			v = 0xdc00 + (v & 0x3ff);
		}
		d = put_u_escape(d, v);
	}
	out->len = (size_t)(d - out->data);
}

/* A string that needs escapes; the first run of plain bytes ended at q. */
static void
put_escaped(struct buf *out, const char *s, const char *end, const char *q,
    unsigned int high, bool ascii)
{
	uint8_t		*d;

	for (;;) {
		if (high != 0 && ascii)
			put_ascii(out, s, q);
		else {
			vp_room(out, (size_t)(q - s));
			memcpy(out->data + out->len, s, (size_t)(q - s));
			out->len += (size_t)(q - s);
		}
		vp_room(out, 8);
		if (q == end)
			break;
		d = put_escape(out->data + out->len, (unsigned char)*q);
		out->len = (size_t)(d - out->data);
		s = q + 1;
		high = 0;
		q = text_string_run(s, end, &high);
	}
	out->data[out->len++] = '"';
}

void
vp_string_to_json(struct buf *out, const char *s, size_t len,
    unsigned int flags)
{
	bool		 ascii = (flags & VP_JSON_ESCAPE_UNICODE) != 0;
	unsigned int	 high = 0;
	const char	*q;
	uint8_t		*d;

	vp_room(out, len + 8);
	d = out->data + out->len;
	*d++ = '"';
	q = text_string_run(s, s + len, &high);
	if (q == s + len && (high == 0 || !ascii)) {
		memcpy(d, s, len);
		d[len] = '"';
		out->len += len + 2;
		return;
	}
	out->len++;
	put_escaped(out, s, s + len, q, high, ascii);
}

/* ---- values ------------------------------------------------------------- */

static void
put_text(struct buf *out, const char *s, size_t len)
{
	vp_room(out, len);
	memcpy(out->data + out->len, s, len);
	out->len += len;
}

static void
dump_unsupported(struct buf *out, const uint8_t *s, unsigned int flags)
{
	if ((flags & VP_JSON_NAME_UNSUPPORTED) != 0)
		buf_printf(out, "\"(non-representable type %s)\"",
		    vp_type_name(s));
	else
		put_text(out, "null", 4);
}

static void
dump_number(struct buf *out, const uint8_t *s, unsigned int flags)
{
	char		*p;
	uint64_t	 u;
	int64_t		 i;
	double		 d;

	vp_room(out, VP_DOUBLE_TEXT_MAX);
	p = (char *)out->data + out->len;
	if (*s == 0x1b) {
		vp_get_double(s, &d);
		if (!isfinite(d))
			dump_unsupported(out, s, flags);
		else
			out->len += vp_double_to_text(p, d, flags);
	} else if (vp_get_uint(s, &u) == 0)
		out->len += vp_uint_to_text(p, u);
	else {
		vp_get_int(s, &i);
		*p++ = '-';
		out->len += 1 + vp_uint_to_text(p, 0 - (uint64_t)i);
	}
}

static void
dump_array(struct buf *out, const uint8_t *s, unsigned int flags)
{
	struct vp_iter	 it;
	const uint8_t	*m;
	char		 sep = '[';

	vp_arr_iter(&it, s);
	if (it.left == 0) {
		put_text(out, "[]", 2);
		return;
	}
	while ((m = vp_arr_next(&it)) != NULL) {
		vp_room(out, 1);
		out->data[out->len++] = (uint8_t)sep;
		dump_value(out, m, flags);
		sep = ',';
	}
	vp_room(out, 1);
	out->data[out->len++] = ']';
}

static void
dump_attr(struct buf *out, const struct vp_attr *a, char sep,
    unsigned int flags)
{
	vp_room(out, 1);
	out->data[out->len++] = (uint8_t)sep;
	vp_string_to_json(out, a->name, a->nlen, flags);
	vp_room(out, 8);
	out->data[out->len++] = ':';
	dump_value(out, a->value, flags);
}

static int
attr_compare(const void *a, const void *b)
{
	const struct vp_attr	*x = a, *y = b;

	return vp_compare_names(x->name, x->nlen, y->name, y->nlen);
}

static void
dump_object(struct buf *out, const uint8_t *s, unsigned int flags)
{
	struct vp_iter	 it;
	struct vp_attr	 a, *sorted;
	size_t		 i, n;
	char		 sep = '{';

	vp_obj_iter(&it, s);
	if ((n = it.left) == 0) {
		put_text(out, "{}", 2);
		return;
	}
	if ((flags & VP_JSON_SORTED) != 0 && n > 1) {
		sorted = xcalloc(n, sizeof(*sorted));
		for (i = 0; vp_obj_next(&it, &a); i++)
			sorted[i] = a;
		qsort(sorted, n, sizeof(*sorted), attr_compare);
		for (i = 0; i < n; i++, sep = ',')
			dump_attr(out, &sorted[i], sep, flags);
		free(sorted);
	} else
		for (; vp_obj_next(&it, &a); sep = ',')
			dump_attr(out, &a, sep, flags);
	vp_room(out, 1);
	out->data[out->len++] = '}';
}

static void
dump_value(struct buf *out, const uint8_t *s, unsigned int flags)
{
	const char	*str;
	size_t		 len;

	switch (vp_type(s)) {
	case VP_STRING:
		str = vp_get_string(s, &len);
		vp_string_to_json(out, str, len, flags);
		break;
	case VP_OBJECT:
		dump_object(out, s, flags);
		break;
	case VP_ARRAY:
		dump_array(out, s, flags);
		break;
	case VP_DOUBLE:
	case VP_INT:
	case VP_UINT:
	case VP_SMALLINT:
		dump_number(out, s, flags);
		break;
	case VP_NULL:
		put_text(out, "null", 4);
		break;
	case VP_BOOL:
		if (vp_is_true(s))
			put_text(out, "true", 4);
		else
			put_text(out, "false", 5);
		break;
	default:
		dump_unsupported(out, s, flags);
		break;
	}
}

void
vp_to_json(struct buf *out, const uint8_t *s, unsigned int flags)
{
	dump_value(out, s, flags);
}
