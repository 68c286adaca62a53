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
	const unsigned char	*end = p + len;
	uint64_t		 w;
	size_t			 n;

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
