/* vpack_priv.h - layout of VelocyPack, shared by the files of this directory */
#ifndef VPACK_VPACK_PRIV_H
#define VPACK_VPACK_PRIV_H

#include "vpack/vpack.h"

/* An unsigned little-endian integer of n = 1..8 bytes. */
static inline uint64_t
vp_read(const uint8_t *p, size_t n)
{
	uint64_t	 v = 0;
	uint32_t	 v4;
	uint16_t	 v2;
	size_t		 i;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	switch (n) {
	case 1:
		return p[0];
	case 2:
		memcpy(&v2, p, 2);
		return v2;
	case 4:
		memcpy(&v4, p, 4);
		return v4;
	case 8:
		memcpy(&v, p, 8);
		return v;
	default:
		break;
	}
#else
	(void)v4;
	(void)v2;
#endif
	for (i = n; i > 0; i--)
		v = v << 8 | p[i - 1];
	return v;
}

static inline void
vp_write(uint8_t *p, uint64_t v, size_t n)
{
	size_t		 i;

	for (i = 0; i < n; i++) {
		p[i] = (uint8_t)v;
		v >>= 8;
	}
}

/* Bytes of lengths and offsets in arrays 0x02..0x09 and objects 0x0b..0x0e. */
static inline size_t
vp_width(uint8_t h)
{
	return (size_t)1 << ((h <= 0x09 ? h - 2 : h - 0x0b) & 3);
}

/*
 * Offset of the first member of an array 0x02..0x09 or object 0x0b..0x0e: right
 * behind the lengths, or at 9 when the space up to there is zeros (a builder
 * that did not know the size beforehand leaves it so).
 */
static inline size_t
vp_first_member(const uint8_t *s)
{
	size_t		 w = vp_width(*s), off;

	/* arrays without table, and width 8, have one length in front */
	off = *s <= 0x05 || w == 8 ? 1 + w : 1 + 2 * w;
	return off < 9 && s[off] == 0 ? 9 : off;
}

/* Number of members of the same, tables only. */
static inline size_t
vp_table_count(const uint8_t *s)
{
	size_t		 w = vp_width(*s);

	if (w < 8)
		return (size_t)vp_read(s + 1 + w, w);
	return (size_t)vp_read(s + vp_read(s + 1, 8) - 8, 8);
}

/* The index table of the same. */
static inline const uint8_t *
vp_table(const uint8_t *s, size_t n)
{
	size_t		 w = vp_width(*s);

	return s + vp_read(s + 1, w) - n * w - (w == 8 ? 8 : 0);
}

/* Seven bits a byte, least first; *p moves behind it. */
static inline uint64_t
vp_read_varint(const uint8_t **p)
{
	uint64_t	 v = 0;
	unsigned int	 shift = 0;
	uint8_t		 c;

	do {
		c = *(*p)++;
		v |= (uint64_t)(c & 0x7f) << shift;
		shift += 7;
	} while ((c & 0x80) != 0 && shift < 63);
	return v;
}

/* The same written backwards from p, as compact values have it at their end. */
static inline uint64_t
vp_read_varint_back(const uint8_t *p)
{
	uint64_t	 v = 0;
	unsigned int	 shift = 0;
	uint8_t		 c;

	do {
		c = *p--;
		v |= (uint64_t)(c & 0x7f) << shift;
		shift += 7;
	} while ((c & 0x80) != 0 && shift < 63);
	return v;
}

/*
 * Name of an attribute whose key is stored at k, and its length.  Numbers
 * without a meaning give NULL.
 */
const char *vp_key_name(const uint8_t *k, size_t *len);

/*
 * For the parser, which writes strings itself: note that a value (a name)
 * begins at the end of the buffer.  False when none may come here.
 */
bool	vpb_begin_value(struct vp_builder *b);
bool	vpb_begin_key(struct vp_builder *b);

/* Decimal digits; dst needs 20 bytes.  Returns the length. */
size_t	vp_uint_to_text(char *dst, uint64_t v);

/* memcmp, then the shorter first. */
static inline int
vp_compare_names(const char *a, size_t alen, const char *b, size_t blen)
{
	int		 c = memcmp(a, b, MIN(alen, blen));

	if (c != 0)
		return c;
	return alen < blen ? -1 : alen > blen;
}

/* Room for n more bytes; the check is here because it nearly never fails. */
static inline void
vp_room(struct buf *b, size_t n)
{
	if (b->cap - b->len < n)
		buf_reserve(b, n);
}

#endif
