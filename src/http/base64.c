/* base64.c - RFC 4648, both alphabets; strict when decoding (http/url.h) */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "http/url.h"

static const char alphabet_std[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static char *
encode(const char *alphabet, const uint8_t *s, size_t n, bool pad)
{
	char		*out = xmalloc((n + 2) / 3 * 4 + 1), *o = out;
	uint32_t	 v;
	size_t		 i, left;

	for (i = 0; i < n; i += 3) {
		left = MIN(n - i, 3);
		v = (uint32_t)s[i] << 16;
		if (left > 1)
			v |= (uint32_t)s[i + 1] << 8;
		if (left > 2)
			v |= s[i + 2];
		*o++ = alphabet[v >> 18];
		*o++ = alphabet[v >> 12 & 63];
		if (left > 1)
			*o++ = alphabet[v >> 6 & 63];
		else if (pad)
			*o++ = '=';
		if (left > 2)
			*o++ = alphabet[v & 63];
		else if (pad)
			*o++ = '=';
	}
	*o = '\0';
	return out;
}

char *
base64_encode(const void *p, size_t n)
{
	return encode(alphabet_std, p, n, true);
}

char *
base64url_encode(const void *p, size_t n)
{
	return encode(alphabet_url, p, n, false);
}

static int
digit(char c, char c62, char c63)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == c62)
		return 62;
	return c == c63 ? 63 : -1;
}

static int
decode(const char *s, size_t len, char c62, char c63, uint8_t **out, size_t *n)
{
	uint8_t		*p, *o;
	uint32_t	 v = 0;
	size_t		 i, bits = 0;
	int		 d;

	if (len % 4 == 1)
		return ERR_FORMAT;
	p = o = xmalloc(len / 4 * 3 + 4);
	for (i = 0; i < len; i++) {
		if ((d = digit(s[i], c62, c63)) < 0)
			goto bad;
		v = v << 6 | (uint32_t)d;
		if ((bits += 6) >= 8) {
			bits -= 8;
			*o++ = (uint8_t)(v >> bits);
		}
		v &= (1u << bits) - 1;
	}
	/* Two texts must not mean the same bytes. */
	if (v != 0)
		goto bad;
	*o = 0;
	*out = p;
	*n = (size_t)(o - p);
	return 0;
bad:
	free(p);
	return ERR_FORMAT;
}

static size_t
without_padding(const char *s, size_t len)
{
	size_t	 n = len;

	while (n > 0 && len - n < 2 && s[n - 1] == '=')
		n--;
	return n;
}

int
base64_decode(const char *s, size_t len, uint8_t **out, size_t *n)
{
	if (len % 4 != 0)
		return ERR_FORMAT;
	return decode(s, without_padding(s, len), '+', '/', out, n);
}

int
base64url_decode(const char *s, size_t len, uint8_t **out, size_t *n)
{
	size_t	 bare = without_padding(s, len);

	if (bare != len && len % 4 != 0)
		return ERR_FORMAT;
	return decode(s, bare, '-', '_', out, n);
}
