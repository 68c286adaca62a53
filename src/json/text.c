/* text.c - UTF-8 */
#include <string.h>

#include "json/text.h"

/*
 * Length of the character at p, which is not ASCII; 0 when it is none.  The
 * second byte carries all the exceptions: it is what tells overlong forms
 * (E0 80.., F0 80..), surrogates (ED A0..) and too large values (F4 90..).
 */
static size_t
utf8_length(const unsigned char *p, size_t left)
{
	unsigned char	 c = p[0], lo = 0x80, hi = 0xbf;
	size_t		 n, i;

	if (c >= 0xc2 && c <= 0xdf)
		n = 2;
	else if (c >= 0xe0 && c <= 0xef)
		n = 3;
	else if (c >= 0xf0 && c <= 0xf4)
		n = 4;
	else
		return 0;
	if (left < n)
		return 0;
	if (c == 0xe0)
		lo = 0xa0;
	else if (c == 0xed)
		hi = 0x9f;
	else if (c == 0xf0)
		lo = 0x90;
	else if (c == 0xf4)
		hi = 0x8f;
	if (p[1] < lo || p[1] > hi)
		return 0;
	for (i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

bool
text_is_utf8(const char *s, size_t len)
{
	const unsigned char	*p = (const unsigned char *)s;
	const unsigned char	*end;
	uint64_t		 w;
	size_t			 n;

	if (len == 0)
		return true;		/* s may be NULL */
	end = p + len;
	while (p < end) {
		if (*p < 0x80) {
			while (end - p >= 8) {
				memcpy(&w, p, 8);
				if ((w & 0x8080808080808080ULL) != 0)
					break;
				p += 8;
			}
			while (p < end && *p < 0x80)
				p++;
			continue;
		}
		n = utf8_length(p, (size_t)(end - p));
		if (n == 0)
			return false;
		p += n;
	}
	return true;
}

/* ---- escapes ------------------------------------------------------------ */

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits behind \u. */
static const char *
read_hex4(const char **p, const char *end, uint32_t *v)
{
	int		 i, d;

	*v = 0;
	for (i = 0; i < 4; i++) {
		if (*p == end)
			return "Unfinished \\uXXXX escape sequence";
		if ((d = hex_digit(**p)) < 0)
			return "Illegal \\uXXXX escape sequence character";
		*v = *v << 4 | (uint32_t)d;
		++*p;
	}
	return NULL;
}

static size_t
put_utf8(uint8_t *d, uint32_t v)
{
	if (v < 0x80) {
		d[0] = (uint8_t)v;
		return 1;
	}
	if (v < 0x800) {
		d[0] = (uint8_t)(0xc0 | v >> 6);
		d[1] = (uint8_t)(0x80 | (v & 0x3f));
		return 2;
	}
	if (v < 0x10000) {
		d[0] = (uint8_t)(0xe0 | v >> 12);
		d[1] = (uint8_t)(0x80 | (v >> 6 & 0x3f));
		d[2] = (uint8_t)(0x80 | (v & 0x3f));
		return 3;
	}
	d[0] = (uint8_t)(0xf0 | v >> 18);
	d[1] = (uint8_t)(0x80 | (v >> 12 & 0x3f));
	d[2] = (uint8_t)(0x80 | (v >> 6 & 0x3f));
	d[3] = (uint8_t)(0x80 | (v & 0x3f));
	return 4;
}

static const char *
read_unicode(const char **p, const char *end, uint8_t *d, size_t *n)
{
	static const char alone[] = "Unexpected \\uXXXX escape sequence "
	    "(high surrogate without low surrogate)";
	uint32_t	 v, low;
	const char	*what;

	if ((what = read_hex4(p, end, &v)) != NULL)
		return what;
	if (v >= 0xdc00 && v < 0xe000)
		return "Unexpected \\uXXXX escape sequence "
		    "(low surrogate without high surrogate)";
	if (v >= 0xd800 && v < 0xdc00) {
		if (end - *p < 2 || (*p)[0] != '\\' || (*p)[1] != 'u')
			return alone;
		*p += 2;
		if ((what = read_hex4(p, end, &low)) != NULL)
			return what;
		if (low >= 0xd800 && low < 0xdc00)
			return "Unexpected \\uXXXX escape sequence "
			    "(multiple adjacent high surrogates)";
		if (low < 0xdc00 || low >= 0xe000)
			return alone;
		v = 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
	}
	*n = put_utf8(d, v);
	return NULL;
}

const char *
text_escape(const char **p, const char *end, uint8_t *d, size_t *n)
{
	char		 c;

	if (*p == end)
		return "Invalid escape sequence";
	c = *(*p)++;
	*n = 1;
	switch (c) {
	case '"':
	case '\\':
	case '/':
		d[0] = (uint8_t)c;
		return NULL;
	case 'b':
		d[0] = '\b';
		return NULL;
	case 'f':
		d[0] = '\f';
		return NULL;
	case 'n':
		d[0] = '\n';
		return NULL;
	case 'r':
		d[0] = '\r';
		return NULL;
	case 't':
		d[0] = '\t';
		return NULL;
	case 'u':
		return read_unicode(p, end, d, n);
	default:
		--*p;
		return "Invalid escape sequence";
	}
}
