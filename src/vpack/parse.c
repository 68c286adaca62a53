/*
 * parse.c - JSON to VelocyPack.
 *
 * What is accepted, what becomes an integer and what a double, and the words
 * of errors are those of arangod's parser (Parser.cpp of velocypack with
 * arangod's options for requests).  Known differences: text that is not UTF-8
 * in the sense of RFC 3629 is refused (arangod lets encoded surrogates and
 * some broken pairs of \u escapes pass); 0e99999 is 0 (there out of range);
 * and a number with a fraction that is the very last byte of a text is
 * converted exactly (there it can be off by one in the last place).
 */
#include <math.h>
#include <stdlib.h>

#include "json/text.h"
#include "vpack/vpack.h"
#include "vpack/vpack_priv.h"

struct parser {
	struct vp_builder	*b;
	const char		*start, *p, *end;
	unsigned int		 depth;
	int			 err;
	const char		*what;
};

static bool parse_value(struct parser *);

static bool
fail(struct parser *ps, int err, const char *what)
{
	if (ps->err == 0) {
		ps->err = err;
		ps->what = what;
	}
	return false;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* To the next byte that is not white space; there must be one. */
static inline bool
skip_space(struct parser *ps, const char *what)
{
	while (ps->p < ps->end && is_space(*ps->p))
		ps->p++;
	return ps->p < ps->end ? true : fail(ps, ERR_FORMAT, what);
}

/* ---- strings ------------------------------------------------------------ */

/* Head of the string whose len bytes begin at out + at + 9; closes the gap. */
static void
finish_string(struct buf *out, size_t at)
{
	size_t		 len = out->len - at - 9;
	uint8_t		*s = out->data + at;

	if (len <= 126) {
		s[0] = (uint8_t)(0x40 + len);
		memmove(s + 1, s + 9, len);
		out->len -= 8;
	} else {
		s[0] = 0xbf;
		vp_write(s + 1, len, 8);
	}
}

/* A string with something special in it; the first run ended at q. */
static bool
parse_string_slow(struct parser *ps, const char *q, unsigned int high)
{
	struct buf	*out = ps->b->out;
	size_t		 at = out->len, n;
	const char	*what;

	vp_room(out, 9);
	out->len += 9;
	for (;;) {
		n = (size_t)(q - ps->p);
		if (high != 0 && !text_is_utf8(ps->p, n))
			return fail(ps, ERR_FORMAT, "Invalid UTF-8 sequence");
		vp_room(out, n + 16);
		memcpy(out->data + out->len, ps->p, n);
		out->len += n;
		ps->p = q;
		if (q == ps->end)
			return fail(ps, ERR_FORMAT, "Unfinished string");
		ps->p++;
		if (*q == '"')
			break;
		if (*q != '\\')
			return fail(ps, ERR_FORMAT,
			    "Unexpected control character");
		what = text_escape(&ps->p, ps->end, out->data + out->len, &n);
		if (what != NULL)
			return fail(ps, ERR_FORMAT, what);
		out->len += n;
		high = 0;
		q = text_string_run(ps->p, ps->end, &high);
	}
	finish_string(out, at);
	return true;
}

/* Behind the opening quote.  Nearly all strings are one plain run. */
static bool
parse_string(struct parser *ps)
{
	struct buf	*out = ps->b->out;
	unsigned int	 high = 0;
	const char	*q;
	uint8_t		*d;
	size_t		 n;

	q = text_string_run(ps->p, ps->end, &high);
	if (q == ps->end || *q != '"' || high != 0)
		return parse_string_slow(ps, q, high);
	n = (size_t)(q - ps->p);
	vp_room(out, n + 9);
	d = out->data + out->len;
	if (n <= 126) {
		*d++ = (uint8_t)(0x40 + n);
		out->len += 1 + n;
	} else {
		*d = 0xbf;
		vp_write(d + 1, n, 8);
		d += 9;
		out->len += 9 + n;
	}
	memcpy(d, ps->p, n);
	ps->p = q + 1;
	return true;
}

/* ---- numbers ------------------------------------------------------------ */

static const double powers[] = {
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12,
	1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

/*
 * Digits at p; *mant and *ndigits go on.  Up to 19 digits *mant is exact;
 * behind that digits are only counted.
 */
static const char *
scan_digits(const char *p, const char *end, uint64_t *mant, size_t *ndigits)
{
	for (; p < end && *p >= '0' && *p <= '9'; p++) {
		if (*ndigits < 19)
			*mant = *mant * 10 + (uint64_t)(*p - '0');
		if (*mant != 0)
			(*ndigits)++;
	}
	return p;
}

/* The C library's conversion of [p, q), which is a number. */
static double
convert_slowly(const char *p, const char *q)
{
	char		 few[64], *text = few;
	size_t		 n = (size_t)(q - p);
	double		 v;

	if (n >= sizeof(few))
		text = xmalloc(n + 1);
	memcpy(text, p, n);
	text[n] = '\0';
	v = strtod(text, NULL);
	if (text != few)
		free(text);
	return v;
}

/*
 * An integer beyond 64 bits.  arangod goes on digit by digit in a double from
 * where 64 bits end, so this does as well: the result can differ from the
 * nearest double, and the same text must give the same value here.
 */
static double
big_integer(const char *p, const char *end)
{
	const uint64_t	 max = UINT64_MAX / 10;
	uint64_t	 u = 0;
	double		 d;

	while (u < max || (u == max && *p <= '5'))
		u = u * 10 + (uint64_t)(*p++ - '0');
	for (d = (double)u; p < end; p++)
		d = d * 10.0 + (*p - '0');
	return d;
}

static bool
put_integer(struct parser *ps, const char *p, bool negative, uint64_t mant,
    size_t ndigits)
{
	const uint64_t	 max = UINT64_MAX / 10;
	double		 d;

	/* 20 digits may fit: the 20th is still to be added */
	if (ndigits == 20 && (mant < max ||
	    (mant == max && ps->p[-1] <= '5'))) {
		mant = mant * 10 + (uint64_t)(ps->p[-1] - '0');
		ndigits = 19;
	}
	if (ndigits <= 19) {
		if (!negative)
			vpb_uint(ps->b, mant);
		else if (mant <= (uint64_t)INT64_MAX + 1)
			vpb_int(ps->b, (int64_t)(0 - mant));
		else
			vpb_double(ps->b, -(double)mant);
		return true;
	}
	d = big_integer(p, ps->p);
	if (!isfinite(d))
		return fail(ps, ERR_RANGE, "Number out of range");
	vpb_double(ps->b, negative ? -d : d);
	return true;
}

/* An exponent; ps->p is behind the e. */
static bool
parse_exponent(struct parser *ps, long *exponent)
{
	bool		 negative = false;
	long		 e = 0;

	if (ps->p == ps->end)
		return fail(ps, ERR_FORMAT, "Incomplete number");
	if (*ps->p == '+' || *ps->p == '-') {
		negative = *ps->p++ == '-';
		if (ps->p == ps->end)
			return fail(ps, ERR_FORMAT, "Incomplete number");
	}
	if (*ps->p < '0' || *ps->p > '9')
		return fail(ps, ERR_FORMAT, "Incomplete number");
	for (; ps->p < ps->end && *ps->p >= '0' && *ps->p <= '9'; ps->p++)
		if (e < 100000)
			e = e * 10 + (*ps->p - '0');
	*exponent = negative ? -e : e;
	return true;
}

static bool
parse_number(struct parser *ps)
{
	const char	*start = ps->p, *digits, *point;
	uint64_t	 mant = 0;
	size_t		 n = 0;
	long		 e = 0;
	bool		 negative = false;
	double		 v;

	if (*ps->p == '-') {
		negative = true;
		if (++ps->p == ps->end)
			return fail(ps, ERR_FORMAT, "Incomplete number");
	}
	if (*ps->p < '0' || *ps->p > '9')
		return fail(ps, ERR_FORMAT, "Expecting digit");
	digits = ps->p;
	if (*ps->p == '0')
		ps->p++;
	else
		ps->p = scan_digits(ps->p, ps->end, &mant, &n);
	if (ps->p == ps->end ||
	    (*ps->p != '.' && *ps->p != 'e' && *ps->p != 'E'))
		return put_integer(ps, digits, negative, mant, n);

	point = NULL;
	if (*ps->p == '.') {
		point = ++ps->p;
		if (ps->p == ps->end || *ps->p < '0' || *ps->p > '9')
			return fail(ps, ERR_FORMAT, "Incomplete number");
		ps->p = scan_digits(ps->p, ps->end, &mant, &n);
		e = -(long)(ps->p - point);
	}
	if (ps->p < ps->end && (*ps->p == 'e' || *ps->p == 'E')) {
		long	 given;

		ps->p++;
		if (!parse_exponent(ps, &given))
			return false;
		e += given;
	}
	/* exact: both factors are doubles and one rounding happens */
	if (n <= 19 && mant <= 1ULL << 53 && e >= -22 && e <= 22) {
		v = e < 0 ? (double)mant / powers[-e] :
		    (double)mant * powers[e];
		if (negative)
			v = -v;
	} else
		v = convert_slowly(start, ps->p);
	if (!isfinite(v))
		return fail(ps, ERR_RANGE, "Number out of range");
	vpb_double(ps->b, v);
	return true;
}

/* ---- values ------------------------------------------------------------- */

static bool
close_value(struct parser *ps)
{
	ps->p++;
	ps->depth--;
	vpb_close(ps->b);
	if (ps->b->err == ERR_EXISTS)
		return fail(ps, ERR_EXISTS, "Duplicate attribute name");
	return true;
}

static bool
enter_value(struct parser *ps)
{
	ps->p++;
	if (++ps->depth >= VP_DEPTH_MAX)
		return fail(ps, ERR_TOO_BIG,
		    "Too deep nesting in Array/Object");
	return true;
}

static bool
parse_array(struct parser *ps)
{
	if (!enter_value(ps))
		return false;
	vpb_open_array(ps->b);
	if (!skip_space(ps, "Expecting item or ']'"))
		return false;
	if (*ps->p == ']')
		return close_value(ps);
	for (;;) {
		if (!parse_value(ps) ||
		    !skip_space(ps, "Expecting ',' or ']'"))
			return false;
		if (*ps->p == ']')
			return close_value(ps);
		if (*ps->p != ',')
			return fail(ps, ERR_FORMAT, "Expecting ',' or ']'");
		ps->p++;
	}
}

static bool
parse_key(struct parser *ps)
{
	if (*ps->p != '"')
		return fail(ps, ERR_FORMAT, "Expecting '\"' or '}'");
	ps->p++;
	if (!vpb_begin_key(ps->b) || !parse_string(ps) ||
	    !skip_space(ps, "Expecting ':'"))
		return false;
	if (*ps->p != ':')
		return fail(ps, ERR_FORMAT, "Expecting ':'");
	ps->p++;
	return true;
}

static bool
parse_object(struct parser *ps)
{
	if (!enter_value(ps))
		return false;
	vpb_open_object(ps->b);
	if (!skip_space(ps, "Expecting item or '}'"))
		return false;
	if (*ps->p == '}')
		return close_value(ps);
	for (;;) {
		if (!parse_key(ps) || !parse_value(ps) ||
		    !skip_space(ps, "Expecting ',' or '}'"))
			return false;
		if (*ps->p == '}')
			return close_value(ps);
		if (*ps->p != ',')
			return fail(ps, ERR_FORMAT, "Expecting ',' or '}'");
		ps->p++;
		if (!skip_space(ps, "Expecting '\"' or '}'"))
			return false;
	}
}

static bool
parse_word(struct parser *ps, const char *word, size_t n, const char *what)
{
	size_t		 i;

	for (i = 1, ps->p++; i < n; i++, ps->p++)
		if (ps->p == ps->end || *ps->p != word[i])
			return fail(ps, ERR_FORMAT, what);
	return true;
}

static bool
parse_value(struct parser *ps)
{
	if (!skip_space(ps, "Expecting item"))
		return false;
	switch (*ps->p) {
	case '{':
		return parse_object(ps);
	case '[':
		return parse_array(ps);
	case '"':
		ps->p++;
		return vpb_begin_value(ps->b) && parse_string(ps);
	case 't':
		vpb_bool(ps->b, true);
		return parse_word(ps, "true", 4, "Expecting 'true'");
	case 'f':
		vpb_bool(ps->b, false);
		return parse_word(ps, "false", 5, "Expecting 'false'");
	case 'n':
		vpb_null(ps->b);
		return parse_word(ps, "null", 4, "Expecting 'null'");
	default:
		return parse_number(ps);
	}
}

/* Take back what a failed parse left in the builder. */
struct mark {
	size_t		 len, noffsets, depth;
	bool		 have_key;
};

static int
parse_text(struct vp_builder *b, const char *json, size_t len, bool whole,
    size_t *used, struct err_msg *em)
{
	struct parser	 ps = { .b = b };
	struct mark	 m = { b->out->len, b->noffsets, b->depth,
			    b->have_key };

	if (json == NULL)	/* an empty body */
		json = "";
	ps.p = ps.start = json;
	ps.end = json + len;
	if (b->err != 0)
		return err_set(em, b->err, "%s", err_text(b->err));
	if (len >= 3 && memcmp(json, "\xef\xbb\xbf", 3) == 0)
		ps.p += 3;
	if (!whole) {
		while (ps.p < ps.end && is_space(*ps.p))
			ps.p++;
		if (ps.p == ps.end)
			return ERR_NOT_FOUND;
	}
	if (parse_value(&ps) && whole) {
		while (ps.p < ps.end && is_space(*ps.p))
			ps.p++;
		if (ps.p < ps.end)
			fail(&ps, ERR_FORMAT, "Expecting EOF");
	}
	if (ps.err == 0 && b->err != 0)
		fail(&ps, b->err, err_text(b->err));
	if (ps.err != 0) {
		b->out->len = m.len;
		b->noffsets = m.noffsets;
		b->depth = m.depth;
		b->have_key = m.have_key;
		b->err = 0;
		b->err_at = (size_t)(ps.p - json);
		return err_set(em, ps.err, "%s", ps.what);
	}
	if (used != NULL)
		*used = (size_t)(ps.p - json);
	return 0;
}

int
vp_from_json(struct vp_builder *b, const char *json, size_t len,
    struct err_msg *em)
{
	return parse_text(b, json, len, true, NULL, em);
}

int
vp_from_json_first(struct vp_builder *b, const char *json, size_t len,
    size_t *used, struct err_msg *em)
{
	return parse_text(b, json, len, false, used, em);
}
