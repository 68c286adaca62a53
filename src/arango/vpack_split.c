/* vpack_split.c - VelocyPack values out of a stream; see vpack_split.h */
#include "arango/vpack_split.h"
#include "base/err.h"
#include "vpack/vpack.h"

#define HEAD_MAX	9	/* bytes that tell the length of an object */

int
vpack_object_size(const uint8_t *p, size_t len, size_t *size)
{
	uint64_t	 n = 0;
	size_t		 i, width;

	if (len == 0)
		return 0;
	if (*p == 0x0a) {
		*size = 1;
		return 1;
	}
	if (*p >= 0x0b && *p <= 0x12) {
		width = (size_t)1 << ((*p - 0x0b) & 3);
		if (len < 1 + width)
			return 0;
		for (i = width; i > 0; i--)
			n = n << 8 | p[i];
	} else if (*p == 0x14) {
		for (i = 0;; i++) {
			if (i == HEAD_MAX - 1)
				return ERR_FORMAT;
			if (1 + i >= len)
				return 0;
			n |= (uint64_t)(p[1 + i] & 0x7f) << (7 * i);
			if ((p[1 + i] & 0x80) == 0)
				break;
		}
	} else
		return ERR_FORMAT;
	if (n < 2)
		return ERR_FORMAT;
	*size = (size_t)n;
	return 1;
}

/* Is there a whole value behind p, too? */
static bool
another_follows(const uint8_t *p, const uint8_t *end)
{
	size_t	 n;

	return p < end && vpack_object_size(p, (size_t)(end - p), &n) == 1 &&
	    n <= (size_t)(end - p);
}

static int
give(const uint8_t *p, size_t n, const uint8_t *next, const uint8_t *end,
    vpack_split_fn *fn, void *arg)
{
	if (vp_validate(p, n, NULL) != 0)
		return ERR_FORMAT;
	return fn(arg, p, n, !another_follows(next, end));
}

/* The rest of a begun value; *used bytes of the piece belong to it. */
static int
finish_part(struct buf *part, size_t max, const uint8_t *p, const uint8_t *end,
    size_t *used, vpack_split_fn *fn, void *arg)
{
	const uint8_t	*from = p;
	size_t		 n, want;
	int		 r;

	while ((r = vpack_object_size(part->data, part->len, &n)) == 0) {
		if (p == end) {
			*used = (size_t)(p - from);
			return 0;
		}
		buf_append_u8(part, *p++);
	}
	if (r < 0)
		return r;
	if (n > max)
		return ERR_TOO_BIG;
	want = MIN(n - part->len, (size_t)(end - p));
	if (buf_try_reserve(part, want) != 0)
		return ERR_TOO_BIG;
	buf_append(part, p, want);
	p += want;
	*used = (size_t)(p - from);
	if (part->len < n)
		return 0;
	r = give(part->data, n, p, end, fn, arg);
	buf_reset(part);
	return r;
}

int
vpack_split_feed(struct buf *part, size_t max, const uint8_t *data, size_t len,
    vpack_split_fn *fn, void *arg)
{
	const uint8_t	*p = data, *end = data + len;
	size_t		 n;
	int		 r;

	if (part->len > 0) {
		if ((r = finish_part(part, max, p, end, &n, fn, arg)) != 0)
			return r;
		p += n;
	}
	while (p < end) {
		r = vpack_object_size(p, (size_t)(end - p), &n);
		if (r < 0)
			return r;
		if (r == 1 && n > max)
			return ERR_TOO_BIG;
		if (r == 0 || n > (size_t)(end - p)) {
			buf_append(part, p, (size_t)(end - p));
			break;
		}
		if ((r = give(p, n, p + n, end, fn, arg)) != 0)
			return r;
		p += n;
	}
	return 0;
}
