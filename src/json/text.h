/*
 * text.h - what everything that reads or writes JSON text asks of bytes: how
 * far a string goes without anything special, and whether it is UTF-8.
 *
 * These run over every document that passes through, so they look at 16 bytes
 * at a time where the machine can (SSE2 is part of amd64), and never read past
 * the end they are given.
 */
#ifndef JSON_TEXT_H
#define JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#ifdef __SSE2__
/* One bit for each quote, backslash or control character of v. */
static inline unsigned int
text_special(__m128i v)
{
	__m128i		 bad;

	bad = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
	    _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
	bad = _mm_or_si128(bad, _mm_cmpeq_epi8(_mm_min_epu8(v,
	    _mm_set1_epi8(0x1f)), v));
	return (unsigned int)_mm_movemask_epi8(bad);
}
#endif

/*
 * The first quote, backslash or control character in [p, end), or end.
 * *high becomes nonzero when a byte beyond ASCII was passed.
 */
static inline const char *
text_string_run(const char *p, const char *end, unsigned int *high)
{
#ifdef __SSE2__
	__m128i		 v;
	uint64_t	 first, last;
	uint32_t	 first4, last4;
	unsigned int	 m, h;

	while (end - p >= 16) {
		v = _mm_loadu_si128((const __m128i *)(const void *)p);
		m = text_special(v);
		h = (unsigned int)_mm_movemask_epi8(v);
		if (m != 0) {
			m = (unsigned int)__builtin_ctz(m);
			*high |= h & ((1U << m) - 1);
			return p + m;
		}
		*high |= h;
		p += 16;
	}
	if (end - p >= 8) {
		/* the first and the last 8 bytes, which may overlap */
		memcpy(&first, p, 8);
		memcpy(&last, end - 8, 8);
		v = _mm_set_epi64x((long long)last, (long long)first);
		if (text_special(v) == 0) {
			*high |= (unsigned int)_mm_movemask_epi8(v);
			return end;
		}
	} else if (end - p >= 4) {
		memcpy(&first4, p, 4);
		memcpy(&last4, end - 4, 4);
		v = _mm_set_epi32(0, 0, (int)last4, (int)first4);
		if ((text_special(v) & 0xff) == 0) {
			*high |= (unsigned int)_mm_movemask_epi8(v);
			return end;
		}
	}
#endif
	for (; p < end; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '"' || c == '\\' || c < 0x20)
			break;
		*high |= c & 0x80;
	}
	return p;
}

/*
 * UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing beyond
 * U+10FFFF, and no character cut off at the end.
 */
bool	text_is_utf8(const char *s, size_t len);

/*
 * Decode one escape; *p is behind the backslash and moves behind the escape
 * (a pair of surrogates is one).  Writes *n = 1..4 bytes of UTF-8 to d.
 * Returns NULL, or what is wrong, in arangod's words; *p is at it then.
 */
const char *text_escape(const char **p, const char *end, uint8_t *d,
	    size_t *n);

#endif
