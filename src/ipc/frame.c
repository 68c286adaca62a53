/* frame.c - bytes <-> messages */
#include <string.h>

#include "base/err.h"
#include "ipc/frame.h"

/* An idle connection keeps no buffer: there may be thousands. */
#define FRAME_KEEP_BYTES	4096

static uint32_t
load32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	    (uint32_t)p[3] << 24;
}

static void
store32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
	p[2] = (uint8_t)(v >> 16);
	p[3] = (uint8_t)(v >> 24);
}

void
frame_put_header(uint8_t out[FRAME_HEADER_BYTES], const struct frame_header *h)
{
	store32(out, h->length);
	store32(out + 4, (uint32_t)h->type | (uint32_t)h->flags << 16);
	store32(out + 8, h->generation);
	store32(out + 12, h->id);
}

int
frame_get_header(const uint8_t in[FRAME_HEADER_BYTES], struct frame_header *h)
{
	uint32_t	 length = load32(in), tf = load32(in + 4);

	if (length > FRAME_PAYLOAD_MAX_BYTES)
		return ERR_TOO_BIG;
	if ((tf >> 16 & ~(uint32_t)FRAME_FLAGS) != 0)
		return ERR_PROTOCOL;
	h->length = length;
	h->type = (uint16_t)tf;
	h->flags = (uint16_t)(tf >> 16);
	h->generation = load32(in + 8);
	h->id = load32(in + 12);
	return 0;
}

void
frame_encode(struct buf *out, const struct frame_header *h,
    const void *payload, size_t len)
{
	struct frame_header	 part = *h;
	const uint8_t		*p = payload;
	uint8_t			 head[FRAME_HEADER_BYTES];

	part.flags &= FRAME_FD;
	do {
		part.length = (uint32_t)MIN(len,
		    (size_t)FRAME_PAYLOAD_MAX_BYTES);
		if (part.length < len)
			part.flags |= FRAME_MORE;
		else
			part.flags &= (uint16_t)~FRAME_MORE;
		frame_put_header(head, &part);
		buf_append(out, head, sizeof(head));
		buf_append(out, p, part.length);
		part.flags &= (uint16_t)~FRAME_FD;
		len -= part.length;
		if (len != 0)
			p += part.length;
	} while (len != 0);
}

void
frame_parser_init(struct frame_parser *p, size_t max_message)
{
	memset(p, 0, sizeof(*p));
	p->max_message = max_message;
}

static void
drop_used(struct frame_parser *p)
{
	if (p->used == 0)
		return;
	buf_consume(&p->in, p->used);
	p->used = 0;
	if (p->in.len == 0 && p->in.cap > FRAME_KEEP_BYTES)
		buf_free(&p->in);
}

/* Of the frame that begins here, its header included; 0 when that is not
 * known, or wrong: next_frame() tells. */
static size_t
frame_bytes(const struct frame_parser *p, const uint8_t *at, size_t n)
{
	struct frame_header	 h;

	if (n < FRAME_HEADER_BYTES || frame_get_header(at, &h) != 0 ||
	    h.length > p->max_message)
		return 0;
	return FRAME_HEADER_BYTES + h.length;
}

void
frame_parser_feed(struct frame_parser *p, const void *data, size_t n)
{
	size_t	 whole;

	drop_used(p);
	if (p->failed != 0)
		return;
	/* The rest of a long frame will follow: grow once. */
	if (p->in.len == 0 && (whole = frame_bytes(p, data, n)) > n)
		buf_reserve(&p->in, whole);
	buf_append(&p->in, data, n);
}

size_t
frame_parser_lacks(const struct frame_parser *p)
{
	size_t	 have = p->in.len - p->used, whole;

	if (p->failed != 0 || have == 0)
		return 0;
	whole = frame_bytes(p, p->in.data + p->used, have);
	return whole > have ? whole - have : 0;
}

uint8_t *
frame_parser_space(struct frame_parser *p)
{
	drop_used(p);
	buf_reserve(&p->in, frame_parser_lacks(p));
	return p->in.data + p->in.len;
}

void
frame_parser_filled(struct frame_parser *p, size_t n)
{
	bug_unless(n <= p->in.cap - p->in.len);
	p->in.len += n;
}

/* Add the part to the message that is being put together. */
static int
join(struct frame_parser *p, const struct frame_header *h,
    const uint8_t *payload)
{
	int	 r;

	if (!p->open) {
		p->first = *h;
		p->open = true;
		buf_reset(&p->whole);
	} else if (h->type != p->first.type || h->id != p->first.id ||
	    h->generation != p->first.generation ||
	    (h->flags & FRAME_FD) != 0 || h->length == 0)
		return ERR_PROTOCOL;
	if (h->length > p->max_message - p->whole.len)
		return ERR_TOO_BIG;
	if ((r = buf_try_reserve(&p->whole, h->length)) != 0)
		return r;
	buf_append(&p->whole, payload, h->length);
	return 0;
}

/* One frame.  1: *out is a message.  0: bytes are missing. 2: a part. */
static int
next_frame(struct frame_parser *p, struct frame *out)
{
	struct frame_header	 h;
	const uint8_t		*at;
	size_t			 left = p->in.len - p->used;
	int			 r;

	if (left < FRAME_HEADER_BYTES)
		return 0;
	at = p->in.data + p->used;
	if ((r = frame_get_header(at, &h)) != 0)
		return r;
	if (h.length > p->max_message)
		return ERR_TOO_BIG;
	if (left - FRAME_HEADER_BYTES < h.length)
		return 0;
	at += FRAME_HEADER_BYTES;
	p->used += FRAME_HEADER_BYTES + h.length;
	if (p->open || (h.flags & FRAME_MORE) != 0) {
		if ((r = join(p, &h, at)) != 0)
			return r;
		if ((h.flags & FRAME_MORE) != 0)
			return 2;
		p->open = false;
		out->payload = p->whole.data;
		out->len = p->whole.len;
		out->has_fd = (p->first.flags & FRAME_FD) != 0;
	} else {
		out->payload = at;
		out->len = h.length;
		out->has_fd = (h.flags & FRAME_FD) != 0;
	}
	out->type = h.type;
	out->generation = h.generation;
	out->id = h.id;
	return 1;
}

int
frame_parser_next(struct frame_parser *p, struct frame *out)
{
	int	 r;

	if (p->failed != 0)
		return p->failed;
	if (!p->open && p->whole.cap != 0)
		buf_free(&p->whole);
	while ((r = next_frame(p, out)) == 2)
		;
	if (r == 0)
		drop_used(p);
	if (r < 0) {
		p->failed = r;
		buf_free(&p->in);
		buf_free(&p->whole);
		p->used = 0;
	}
	return r;
}

bool
frame_parser_give(struct frame_parser *p, const struct frame *f,
    struct buf *out)
{
	if (p->used <= FRAME_KEEP_BYTES || p->used != p->in.len ||
	    f->payload != p->in.data + FRAME_HEADER_BYTES ||
	    f->len != p->in.len - FRAME_HEADER_BYTES)
		return false;
	*out = p->in;
	p->in = (struct buf)BUF_INIT;
	p->used = 0;
	return true;
}

bool
frame_parser_is_idle(const struct frame_parser *p)
{
	return p->failed == 0 && !p->open && p->in.len == p->used;
}

void
frame_parser_free(struct frame_parser *p)
{
	buf_free(&p->in);
	buf_free(&p->whole);
	p->used = 0;
	p->open = false;
}
