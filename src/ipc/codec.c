/* codec.c - typed values in the payload of a frame */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ipc/codec.h"

static void
put_le(struct buf *b, uint64_t v, size_t n)
{
	uint8_t	 out[8];
	size_t	 i;

	for (i = 0; i < n; i++)
		out[i] = (uint8_t)(v >> (8 * i));
	buf_append(b, out, n);
}

static int
get_le(struct rbuf *m, uint64_t *v, size_t n)
{
	size_t	 i;

	if (m->left < n)
		return ERR_TRUNCATED;
	*v = 0;
	for (i = 0; i < n; i++)
		*v |= (uint64_t)m->p[i] << (8 * i);
	m->p += n;
	m->left -= n;
	return 0;
}

void
put_u8(struct buf *b, uint8_t v)
{
	buf_append_u8(b, v);
}

void
put_u16(struct buf *b, uint16_t v)
{
	put_le(b, v, 2);
}

void
put_u32(struct buf *b, uint32_t v)
{
	put_le(b, v, 4);
}

void
put_u64(struct buf *b, uint64_t v)
{
	put_le(b, v, 8);
}

void
put_i32(struct buf *b, int32_t v)
{
	put_le(b, (uint32_t)v, 4);
}

void
put_bool(struct buf *b, bool v)
{
	buf_append_u8(b, v ? 1 : 0);
}

void
put_varint(struct buf *b, uint64_t v)
{
	while (v >= 0x80) {
		buf_append_u8(b, (uint8_t)(v | 0x80));
		v >>= 7;
	}
	buf_append_u8(b, (uint8_t)v);
}

void
put_bytes(struct buf *b, const void *data, size_t n)
{
	bug_unless(n <= UINT32_MAX);
	put_u32(b, (uint32_t)n);
	buf_append(b, data, n);
}

void
put_str(struct buf *b, const char *s)
{
	put_bytes(b, s, strlen(s));
}

int
get_u8(struct rbuf *m, uint8_t *v)
{
	uint64_t	 x;
	int		 r;

	if ((r = get_le(m, &x, 1)) == 0)
		*v = (uint8_t)x;
	return r;
}

int
get_u16(struct rbuf *m, uint16_t *v)
{
	uint64_t	 x;
	int		 r;

	if ((r = get_le(m, &x, 2)) == 0)
		*v = (uint16_t)x;
	return r;
}

int
get_u32(struct rbuf *m, uint32_t *v)
{
	uint64_t	 x;
	int		 r;

	if ((r = get_le(m, &x, 4)) == 0)
		*v = (uint32_t)x;
	return r;
}

int
get_u64(struct rbuf *m, uint64_t *v)
{
	uint64_t	 x;
	int		 r;

	if ((r = get_le(m, &x, 8)) == 0)
		*v = x;
	return r;
}

int
get_i32(struct rbuf *m, int32_t *v)
{
	uint32_t	 x;
	int		 r;

	if ((r = get_u32(m, &x)) == 0)
		memcpy(v, &x, sizeof(x));
	return r;
}

int
get_bool(struct rbuf *m, bool *v)
{
	if (m->left < 1)
		return ERR_TRUNCATED;
	if (m->p[0] > 1)
		return ERR_FORMAT;
	*v = m->p[0] == 1;
	m->p++;
	m->left--;
	return 0;
}

int
get_varint(struct rbuf *m, uint64_t *v)
{
	uint64_t	 x = 0;
	size_t		 i;

	for (i = 0; i < 10; i++) {
		if (i == m->left)
			return ERR_TRUNCATED;
		/* The tenth byte has room for one bit only. */
		if (i == 9 && m->p[i] > 1)
			return ERR_FORMAT;
		x |= (uint64_t)(m->p[i] & 0x7f) << (7 * i);
		if ((m->p[i] & 0x80) == 0) {
			if (m->p[i] == 0 && i > 0)
				return ERR_FORMAT;	/* not the shortest */
			m->p += i + 1;
			m->left -= i + 1;
			*v = x;
			return 0;
		}
	}
	return ERR_FORMAT;
}

int
get_bytes(struct rbuf *m, const uint8_t **data, size_t *n)
{
	struct rbuf	 t = *m;
	uint32_t	 len;
	int		 r;

	if ((r = get_u32(&t, &len)) != 0)
		return r;
	if (len > t.left)
		return ERR_TRUNCATED;
	*data = t.p;
	*n = len;
	m->p = t.p + len;
	m->left = t.left - len;
	return 0;
}

int
get_str(struct rbuf *m, char *out, size_t out_size)
{
	struct rbuf	 t = *m;
	const uint8_t	*p;
	size_t		 n;
	int		 r;

	if ((r = get_bytes(&t, &p, &n)) != 0)
		return r;
	if (n >= out_size)
		return ERR_TOO_BIG;
	if (n != 0 && memchr(p, '\0', n) != NULL)
		return ERR_FORMAT;
	if (n != 0)
		memcpy(out, p, n);
	out[n] = '\0';
	*m = t;
	return 0;
}

int
get_str_dup(struct rbuf *m, size_t max, char **out)
{
	struct rbuf	 t = *m;
	const uint8_t	*p;
	size_t		 n;
	int		 r;

	if ((r = get_bytes(&t, &p, &n)) != 0)
		return r;
	if (n > max)
		return ERR_TOO_BIG;
	if (n != 0 && memchr(p, '\0', n) != NULL)
		return ERR_FORMAT;
	*out = xstrndup((const char *)p, n);
	*m = t;
	return 0;
}

int
get_end(const struct rbuf *m)
{
	return m->left == 0 ? 0 : ERR_FORMAT;
}
