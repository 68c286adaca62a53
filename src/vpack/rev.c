/* rev.c - revisions and their clock; see rev.h */
#include <string.h>
#include <time.h>

#include "vpack/rev.h"

static const char alphabet[64] =
    "-_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

size_t
rev_to_text(uint64_t rev, char text[REV_TEXT_MAX])
{
	char		 tmp[REV_TEXT_MAX], *p = tmp + sizeof(tmp);
	size_t		 n;

	for (; rev != 0; rev >>= 6)
		*--p = alphabet[rev & 63];
	n = (size_t)(tmp + sizeof(tmp) - p);
	memcpy(text, p, n);
	text[n] = '\0';
	return n;
}

static int
digit_value(char c)
{
	if (c == '-')
		return 0;
	if (c == '_')
		return 1;
	if (c >= 'A' && c <= 'Z')
		return c - 'A' + 2;
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 28;
	if (c >= '0' && c <= '9')
		return c - '0' + 54;
	return -1;
}

uint64_t
rev_from_text(const char *text, size_t len)
{
	uint64_t	 v = 0;
	size_t		 i;
	int		 d;

	if (len > REV_TEXT_MAX - 1 || (len > 0 && text[0] == '-'))
		return REV_INVALID;
	for (i = 0; i < len; i++) {
		d = digit_value(text[i]);
		if (d < 0 || v >> 58 != 0)
			return REV_INVALID;
		v = v << 6 | (uint64_t)d;
	}
	return v;
}

uint64_t
hlc_next(struct hlc *c, uint64_t now_ms)
{
	uint64_t	 now = REV_MAKE(now_ms, 0);

	/*
	 * Counting on into the next millisecond when the counter is full (a
	 * million stamps in one) is just an addition.
	 */
	c->last = now > c->last ? now : c->last + 1;
	return c->last;
}

uint64_t
hlc_stamp(struct hlc *c)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return hlc_next(c, (uint64_t)ts.tv_sec * 1000 +
	    (uint64_t)ts.tv_nsec / 1000000);
}

void
hlc_receive(struct hlc *c, uint64_t stamp)
{
	if (stamp != REV_INVALID && stamp > c->last)
		c->last = stamp;
}
