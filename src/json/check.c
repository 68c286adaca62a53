/*
 * check.c - is this JSON (RFC 8259)?
 *
 * json-c's strict mode still takes "1.", -01, NaN, {'a':1}, control characters
 * in strings, lone surrogates and overlong UTF-8, and saturates integers
 * beyond 64 bits.  So the text is checked here, and json-c only builds the
 * tree.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json/get.h"
#include "json/text.h"

struct check {
	const char	*p, *end;
	const char	*what;
	unsigned int	 depth;
	int		 err;
};

static bool check_value(struct check *);

static bool
bad(struct check *c, const char *what)
{
	if (c->what == NULL) {
		c->what = what;
		c->err = ERR_FORMAT;
	}
	return false;
}

static bool
next_token(struct check *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' ||
	    *c->p == '\t' || *c->p == '\r'))
		c->p++;
	return c->p < c->end ? true : bad(c, "JSON ends too early");
}

/* name: json-c's names are C strings, so they cannot hold a NUL. */
static bool
check_string(struct check *c, bool name)
{
	unsigned int	 high;
	const char	*q, *what;
	uint8_t		 d[4];
	size_t		 n;

	for (c->p++;;) {
		high = 0;
		q = text_string_run(c->p, c->end, &high);
		if (high != 0 && !text_is_utf8(c->p, (size_t)(q - c->p)))
			return bad(c, "invalid UTF-8");
		c->p = q;
		if (q == c->end)
			return bad(c, "unfinished string");
		if (*q != '"' && *q != '\\')
			return bad(c, "control character in a string");
		c->p++;
		if (*q == '"')
			return true;
		if ((what = text_escape(&c->p, c->end, d, &n)) != NULL)
			return bad(c, what);
		if (name && n == 1 && d[0] == 0)
			return bad(c, "NUL character in a name");
	}
}

/* Digits at c->p; false when there is none. */
static bool
check_digits(struct check *c)
{
	const char	*start = c->p;

	while (c->p < c->end && *c->p >= '0' && *c->p <= '9')
		c->p++;
	return c->p > start ? true : bad(c, "digit expected");
}

/* Digits of an integer literal [p, q): do they fit 64 bits? */
static bool
integer_fits(const char *p, const char *q, bool negative)
{
	const char	*limit;
	size_t		 n = (size_t)(q - p);

	limit = negative ? "9223372036854775808" : "18446744073709551615";
	if (n != strlen(limit))
		return n < strlen(limit);
	return memcmp(p, limit, n) <= 0;
}

/*
 * Is the literal [p, q) finite?  The text has no end that strtod() would see,
 * so it is copied, but for literals that cannot be too large.
 */
static bool
double_fits(const char *p, const char *q)
{
	char	*copy;
	double	 v;

	if (q - p < 300 && memchr(p, 'e', (size_t)(q - p)) == NULL &&
	    memchr(p, 'E', (size_t)(q - p)) == NULL)
		return true;
	copy = xstrndup(p, (size_t)(q - p));
	v = strtod(copy, NULL);
	free(copy);
	return !isinf(v);
}

static bool
check_number(struct check *c)
{
	const char	*start;
	bool		 negative = *c->p == '-', whole = true;

	if (negative)
		c->p++;
	start = c->p;
	if (!check_digits(c))
		return false;
	if (*start == '0' && c->p > start + 1) {
		c->p = start + 1;
		return bad(c, "number with a leading zero");
	}
	if (c->p < c->end && *c->p == '.') {
		whole = false;
		c->p++;
		if (!check_digits(c))
			return false;
	}
	if (c->p < c->end && (*c->p == 'e' || *c->p == 'E')) {
		whole = false;
		c->p++;
		if (c->p < c->end && (*c->p == '+' || *c->p == '-'))
			c->p++;
		if (!check_digits(c))
			return false;
	}
	if (whole && !integer_fits(start, c->p, negative)) {
		c->p = start;
		return bad(c, "integer beyond 64 bits");
	}
	if (!whole && !double_fits(start, c->p)) {
		c->p = start;
		return bad(c, "number out of range");
	}
	return true;
}

static bool
check_word(struct check *c, const char *word)
{
	size_t		 n = strlen(word);

	if ((size_t)(c->end - c->p) < n || memcmp(c->p, word, n) != 0)
		return bad(c, "value expected");
	c->p += n;
	return true;
}

static bool
check_member(struct check *c)
{
	if (*c->p != '"')
		return bad(c, "name in quotes expected");
	if (!check_string(c, true) || !next_token(c))
		return false;
	if (*c->p != ':')
		return bad(c, "':' expected");
	c->p++;
	return check_value(c);
}

static bool
check_compound(struct check *c, char close)
{
	if (++c->depth >= JSON_DEPTH_MAX) {
		bad(c, "nested too deep");
		c->err = ERR_TOO_BIG;
		return false;
	}
	c->p++;
	if (!next_token(c))
		return false;
	if (*c->p != close) {
		for (;;) {
			if (!(close == '}' ? check_member(c) : check_value(c)))
				return false;
			if (!next_token(c))
				return false;
			if (*c->p == close)
				break;
			if (*c->p != ',')
				return bad(c,
				    "',' or closing bracket expected");
			c->p++;
			if (!next_token(c))
				return false;
		}
	}
	c->p++;
	c->depth--;
	return true;
}

static bool
check_value(struct check *c)
{
	if (!next_token(c))
		return false;
	switch (*c->p) {
	case '{':
		return check_compound(c, '}');
	case '[':
		return check_compound(c, ']');
	case '"':
		return check_string(c, false);
	case 't':
		return check_word(c, "true");
	case 'f':
		return check_word(c, "false");
	case 'n':
		return check_word(c, "null");
	default:
		if (*c->p != '-' && (*c->p < '0' || *c->p > '9'))
			return bad(c, "value expected");
		return check_number(c);
	}
}

int
json_check(const char *text, size_t len, struct err_msg *em)
{
	struct check	 c = { NULL, NULL, NULL, 0, 0 };

	if (len == 0)
		text = "";
	c.p = text;
	c.end = text + len;
	if (check_value(&c)) {
		while (c.p < c.end && strchr(" \n\t\r", *c.p) != NULL &&
		    *c.p != '\0')
			c.p++;
		if (c.p == c.end)
			return 0;
		bad(&c, "end of JSON expected");
	}
	return err_set(em, c.err, "%s at byte %zu", c.what,
	    (size_t)(c.p - text));
}
