/*
 * build.c - making VelocyPack.
 *
 * The layout of what comes out is arangod's, byte for byte (Builder.cpp of
 * velocypack with its default options), because hashes over bytes exist and
 * because a client compares.  While a value is open it keeps 9 bytes at its
 * start (head and eight zeros for lengths); closing decides the width of
 * lengths and moves the members down where arangod does.
 */
#include <stdlib.h>

#include "vpack/vpack.h"
#include "vpack/vpack_priv.h"

#define HEAD_BYTES	9		/* kept at the start of open values */

/* An attribute of an object that is being closed. */
struct vp_sort {
	uint64_t	 prefix;	/* first 8 bytes of the name */
	uint32_t	 offset;
	uint32_t	 nlen;
};

static void close_array(struct vp_builder *, struct vp_frame *, size_t);
static void close_object(struct vp_builder *, struct vp_frame *, size_t);
static void close_compact(struct vp_builder *, struct vp_frame *, size_t);
static bool sort_object(struct vp_builder *, uint8_t *, uint32_t *, size_t);

void
vpb_init(struct vp_builder *b, struct buf *out)
{
	b->out = out;
	b->offsets = NULL;
	b->noffsets = b->coffsets = 0;
	b->sort = NULL;
	b->csort = 0;
	b->err_at = 0;
	vpb_start(b, out);
}

void
vpb_free(struct vp_builder *b)
{
	free(b->offsets);
	free(b->sort);
	b->offsets = NULL;
	b->sort = NULL;
	b->coffsets = b->csort = 0;
}

void
vpb_start(struct vp_builder *b, struct buf *out)
{
	b->out = out;
	b->base = out->len;
	b->noffsets = 0;
	b->depth = 0;
	b->have_key = false;
	b->err = 0;
}

int
vpb_end(struct vp_builder *b)
{
	if (b->err == 0 && b->depth != 0)
		b->err = ERR_BAD_STATE;
	if (b->err != 0)
		b->out->len = b->base;
	return b->err;
}

static void
push_offset(struct vp_builder *b, size_t start)
{
	size_t		 off = b->out->len - start;

	if (off > UINT32_MAX) {
		b->err = ERR_TOO_BIG;
		off = 0;
	}
	if (b->noffsets == b->coffsets) {
		b->coffsets = b->coffsets != 0 ? b->coffsets * 2 : 64;
		b->offsets = xrealloc(b->offsets,
		    b->coffsets * sizeof(*b->offsets));
	}
	b->offsets[b->noffsets++] = (uint32_t)off;
}

/* May a value come now?  Notes its place when it is a member of an array. */
bool
vpb_begin_value(struct vp_builder *b)
{
	struct vp_frame	*f;

	if (b->err != 0)
		return false;
	if (b->depth == 0)
		return true;
	f = &b->frames[b->depth - 1];
	if (!f->object)
		push_offset(b, f->start);
	else if (!b->have_key)
		b->err = ERR_BAD_STATE;
	b->have_key = false;
	return b->err == 0;
}

static void
open_value(struct vp_builder *b, bool object, bool compact)
{
	struct vp_frame	*f;

	if (!vpb_begin_value(b))
		return;
	if (b->depth == VP_DEPTH_BUILD) {
		b->err = ERR_TOO_BIG;
		return;
	}
	f = &b->frames[b->depth++];
	f->start = b->out->len;
	f->index = b->noffsets;
	f->object = object;
	f->compact = compact;
	vp_room(b->out, HEAD_BYTES);
	memset(b->out->data + b->out->len, 0, HEAD_BYTES);
	b->out->len += HEAD_BYTES;
}

void
vpb_open_object(struct vp_builder *b)
{
	open_value(b, true, false);
}

void
vpb_open_array(struct vp_builder *b)
{
	open_value(b, false, false);
}

void
vpb_open_object_compact(struct vp_builder *b)
{
	open_value(b, true, true);
}

void
vpb_open_array_compact(struct vp_builder *b)
{
	open_value(b, false, true);
}

void
vpb_close(struct vp_builder *b)
{
	struct vp_frame	*f;
	size_t		 n;

	if (b->err != 0)
		return;
	if (b->depth == 0 || b->have_key) {
		b->err = ERR_BAD_STATE;
		return;
	}
	f = &b->frames[b->depth - 1];
	n = b->noffsets - f->index;
	if (b->out->len - f->start + 4 * n + 16 > VP_SIZE_MAX) {
		b->err = ERR_TOO_BIG;
		return;
	}
	if (n == 0) {
		b->out->len = f->start + 1;
		b->out->data[f->start] = f->object ? 0x0a : 0x01;
	} else if (f->compact || (f->object && n == 1))
		close_compact(b, f, n);
	else if (f->object)
		close_object(b, f, n);
	else
		close_array(b, f, n);
	b->noffsets = f->index;
	b->depth--;
}

static size_t
varint_length(uint64_t v)
{
	size_t		 n = 1;

	while ((v >>= 7) != 0)
		n++;
	return n;
}

/*
 * Length in front, members, number of members written backwards at the end;
 * both as varints.
 */
static void
close_compact(struct vp_builder *b, struct vp_frame *f, size_t n)
{
	size_t		 nlen = varint_length(n), payload, size, slen, i;
	uint8_t		*s;
	uint64_t	 v;

	if (f->object && n > 1) {
		vp_room(b->out, 16);
		if (!sort_object(b, b->out->data + f->start,
		    b->offsets + f->index, n))
			return;
	}
	payload = b->out->len - f->start - HEAD_BYTES;
	size = 1 + payload + nlen;
	slen = varint_length(size);
	size += slen;
	if (varint_length(size) != slen) {
		/* the length of the length made it longer */
		slen++;
		size++;
	}
	vp_room(b->out, nlen);
	s = b->out->data + f->start;
	memmove(s + 1 + slen, s + HEAD_BYTES, payload);
	s[0] = f->object ? 0x14 : 0x13;
	for (i = 1, v = size; i <= slen; i++, v >>= 7)
		s[i] = (uint8_t)((v & 0x7f) | (i < slen ? 0x80 : 0));
	for (i = 1, v = n; i <= nlen; i++, v >>= 7)
		s[size - i] = (uint8_t)((v & 0x7f) | (i < nlen ? 0x80 : 0));
	b->out->len = f->start + size;
}

/* Do all members have the same length? */
static bool
members_are_equal(const uint32_t *off, size_t n, size_t len)
{
	size_t		 i, one;

	if (n == 1)
		return true;
	one = off[1] - off[0];
	if (len - off[0] != n * one || len - off[n - 1] != one)
		return false;
	for (i = 1; i + 1 < n; i++)
		if (off[i + 1] - off[i] != one)
			return false;
	return true;
}

/* Take away the bytes between the lengths, which end at to, and the members. */
static void
move_down(struct vp_builder *b, struct vp_frame *f, size_t to, size_t n)
{
	uint8_t		*s = b->out->data + f->start;
	uint32_t	*off = b->offsets + f->index;
	size_t		 i;

	memmove(s + to, s + HEAD_BYTES, b->out->len - f->start - HEAD_BYTES);
	b->out->len -= HEAD_BYTES - to;
	for (i = 0; i < n; i++)
		off[i] -= (uint32_t)(HEAD_BYTES - to);
}

/* The index table, and the lengths in front. */
static void
write_table(struct vp_builder *b, struct vp_frame *f, size_t w, size_t n)
{
	uint32_t	*off = b->offsets + f->index;
	uint8_t		*s, *t;
	size_t		 i;

	vp_room(b->out, n * w);
	s = b->out->data + f->start;
	t = b->out->data + b->out->len;
	if (w == 1)
		for (i = 0; i < n; i++)
			t[i] = (uint8_t)off[i];
	else
		for (i = 0; i < n; i++, t += w)
			vp_write(t, off[i], w);
	b->out->len += n * w;
	vp_write(s + 1, b->out->len - f->start, w);
	vp_write(s + 1 + w, n, w);
}

static void
close_array(struct vp_builder *b, struct vp_frame *f, size_t n)
{
	size_t		 len = b->out->len - f->start, w;
	uint8_t		*s = b->out->data + f->start;

	if (members_are_equal(b->offsets + f->index, n, len)) {
		w = len - 7 <= 0xff ? 1 : len <= 0xffff ? 2 : 4;
		s[0] = w == 1 ? 0x02 : w == 2 ? 0x03 : 0x04;
		if (w == 1)
			move_down(b, f, 2, 0);
		vp_write(s + 1, b->out->len - f->start, w);
		return;
	}
	w = len + n - 6 <= 0xff ? 1 : len + 2 * n <= 0xffff ? 2 : 4;
	s[0] = w == 1 ? 0x06 : w == 2 ? 0x07 : 0x08;
	if (w == 1)
		move_down(b, f, 3, n);
	write_table(b, f, w, n);
}

static void
close_object(struct vp_builder *b, struct vp_frame *f, size_t n)
{
	size_t		 len = b->out->len - f->start, w;
	uint8_t		*s;

	w = len + n - 6 <= 0xff ? 1 : len + 2 * n <= 0xffff ? 2 : 4;
	if (w == 1)
		move_down(b, f, 3, n);
	/* names are loaded 8 bytes at a time */
	vp_room(b->out, n * w + 16);
	s = b->out->data + f->start;
	s[0] = w == 1 ? 0x0b : w == 2 ? 0x0c : 0x0d;
	if (!sort_object(b, s, b->offsets + f->index, n))
		return;
	write_table(b, f, w, n);
}

/* ---- the sorted index of objects ---------------------------------------- */

static int
sort_compare(const uint8_t *base, const struct vp_sort *x,
    const struct vp_sort *y)
{
	const char	*xn, *yn;
	size_t		 xlen, ylen;

	if (x->prefix != y->prefix)
		return x->prefix < y->prefix ? -1 : 1;
	/* up to 8 bytes the prefix is the name, filled up with zeros */
	if (x->nlen <= 8 || y->nlen <= 8)
		return (x->nlen > y->nlen) - (x->nlen < y->nlen);
	xn = vp_get_string(base + x->offset, &xlen);
	yn = vp_get_string(base + y->offset, &ylen);
	return vp_compare_names(xn, xlen, yn, ylen);
}

static void
sort_load(const uint8_t *base, uint32_t offset, struct vp_sort *e)
{
	const char	*name;
	size_t		 len;
	uint64_t	 v;

	/* the builder writes all names as strings, and left room behind */
	name = vp_get_string(base + offset, &len);
	memcpy(&v, name, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	if (len < 8)
		v &= len == 0 ? 0 : UINT64_MAX << (64 - 8 * len);
	e->prefix = v;
	e->offset = offset;
	e->nlen = (uint32_t)len;
}

static void
sort_insertion(const uint8_t *base, struct vp_sort *e, size_t n)
{
	struct vp_sort	 x;
	size_t		 i, j;

	for (i = 1; i < n; i++) {
		x = e[i];
		for (j = i; j > 0 && sort_compare(base, &x, &e[j - 1]) < 0; j--)
			e[j] = e[j - 1];
		e[j] = x;
	}
}

/* Heap sort: no extra memory and no bad case a client could choose. */
static void
sort_heap(const uint8_t *base, struct vp_sort *e, size_t n)
{
	struct vp_sort	 x;
	size_t		 i, j, k, end;

	for (i = n / 2, end = n; end > 1;) {
		if (i > 0)
			x = e[--i];
		else {
			x = e[--end];
			e[end] = e[0];
		}
		for (j = i; (k = 2 * j + 1) < end; j = k) {
			if (k + 1 < end &&
			    sort_compare(base, &e[k], &e[k + 1]) < 0)
				k++;
			if (sort_compare(base, &x, &e[k]) >= 0)
				break;
			e[j] = e[k];
		}
		e[j] = x;
	}
}

#define INSERTION_MAX	40

/* Sorts offsets by name.  False when a name comes twice: b->err is set. */
static bool
sort_object(struct vp_builder *b, uint8_t *base, uint32_t *off, size_t n)
{
	struct vp_sort	*e;
	size_t		 i;

	if (n > b->csort) {
		b->csort = MAX(n, 64);
		b->sort = xrealloc(b->sort, b->csort * sizeof(*b->sort));
	}
	e = b->sort;
	for (i = 0; i < n; i++)
		sort_load(base, off[i], &e[i]);
	if (n <= INSERTION_MAX)
		sort_insertion(base, e, n);
	else
		sort_heap(base, e, n);
	off[0] = e[0].offset;
	for (i = 1; i < n; i++) {
		if (e[i].prefix == e[i - 1].prefix &&
		    sort_compare(base, &e[i], &e[i - 1]) == 0) {
			b->err = ERR_EXISTS;
			return false;
		}
		off[i] = e[i].offset;
	}
	return true;
}

/* ---- values ------------------------------------------------------------- */

static void
put_string(struct buf *out, const char *s, size_t len)
{
	uint8_t		*p;

	vp_room(out, len + 9);
	p = out->data + out->len;
	if (len <= 126) {
		p[0] = (uint8_t)(0x40 + len);
		p += 1;
	} else {
		p[0] = 0xbf;
		vp_write(p + 1, len, 8);
		p += 9;
	}
	if (len != 0)
		memcpy(p, s, len);
	out->len = (size_t)(p - out->data) + len;
}

bool
vpb_begin_key(struct vp_builder *b)
{
	if (b->err != 0)
		return false;
	if (b->depth == 0 || !b->frames[b->depth - 1].object || b->have_key) {
		b->err = ERR_BAD_STATE;
		return false;
	}
	push_offset(b, b->frames[b->depth - 1].start);
	b->have_key = true;
	return b->err == 0;
}

void
vpb_key(struct vp_builder *b, const char *name, size_t len)
{
	if (vpb_begin_key(b))
		put_string(b->out, name, len);
}

static void
put_byte(struct vp_builder *b, uint8_t c)
{
	if (!vpb_begin_value(b))
		return;
	vp_room(b->out, 1);
	b->out->data[b->out->len++] = c;
}

/* Head and n bytes of v. */
static void
put_number(struct vp_builder *b, uint8_t head, uint64_t v, size_t n)
{
	if (!vpb_begin_value(b))
		return;
	vp_room(b->out, 9);
	b->out->data[b->out->len] = head;
	vp_write(b->out->data + b->out->len + 1, v, n);
	b->out->len += 1 + n;
}

void
vpb_null(struct vp_builder *b)
{
	put_byte(b, 0x18);
}

void
vpb_bool(struct vp_builder *b, bool v)
{
	put_byte(b, v ? 0x1a : 0x19);
}

void
vpb_int(struct vp_builder *b, int64_t v)
{
	uint64_t	 x;
	size_t		 n;

	if (v >= -6 && v <= 9) {
		put_byte(b, (uint8_t)(v >= 0 ? 0x30 + v : 0x40 + v));
		return;
	}
	x = (uint64_t)(v < 0 ? ~v : v);
	n = (71 - (size_t)__builtin_clzll(x << 1 | 1)) / 8;
	put_number(b, (uint8_t)(0x1f + n), (uint64_t)v, n);
}

void
vpb_uint(struct vp_builder *b, uint64_t v)
{
	size_t		 n;

	if (v <= 9) {
		put_byte(b, (uint8_t)(0x30 + v));
		return;
	}
	n = (71 - (size_t)__builtin_clzll(v)) / 8;
	put_number(b, (uint8_t)(0x27 + n), v, n);
}

void
vpb_double(struct vp_builder *b, double v)
{
	uint64_t	 bits;

	memcpy(&bits, &v, 8);
	put_number(b, 0x1b, bits, 8);
}

void
vpb_string(struct vp_builder *b, const char *s, size_t len)
{
	if (vpb_begin_value(b))
		put_string(b->out, s, len);
}

void
vpb_slice(struct vp_builder *b, const uint8_t *slice)
{
	size_t		 n = vp_size(slice);

	if (vpb_begin_value(b))
		buf_append(b->out, slice, n);
}

void
vpb_add_object(struct vp_builder *b, const char *name)
{
	vpb_key(b, name, strlen(name));
	vpb_open_object(b);
}

void
vpb_add_array(struct vp_builder *b, const char *name)
{
	vpb_key(b, name, strlen(name));
	vpb_open_array(b);
}

void
vpb_add_null(struct vp_builder *b, const char *name)
{
	vpb_key(b, name, strlen(name));
	vpb_null(b);
}

void
vpb_add_bool(struct vp_builder *b, const char *name, bool v)
{
	vpb_key(b, name, strlen(name));
	vpb_bool(b, v);
}

void
vpb_add_int(struct vp_builder *b, const char *name, int64_t v)
{
	vpb_key(b, name, strlen(name));
	vpb_int(b, v);
}

void
vpb_add_uint(struct vp_builder *b, const char *name, uint64_t v)
{
	vpb_key(b, name, strlen(name));
	vpb_uint(b, v);
}

void
vpb_add_double(struct vp_builder *b, const char *name, double v)
{
	vpb_key(b, name, strlen(name));
	vpb_double(b, v);
}

void
vpb_add_str(struct vp_builder *b, const char *name, const char *v)
{
	vpb_add_string(b, name, v, strlen(v));
}

void
vpb_add_string(struct vp_builder *b, const char *name, const char *v,
    size_t len)
{
	vpb_key(b, name, strlen(name));
	vpb_string(b, v, len);
}

void
vpb_add_slice(struct vp_builder *b, const char *name, const uint8_t *slice)
{
	vpb_key(b, name, strlen(name));
	vpb_slice(b, slice);
}
