/* format.c - segment and record headers to bytes and back */
#include <string.h>

#include "base/crc32c.h"
#include "queue/format.h"

static const uint8_t	seg_magic[8] = {
	0x41, 0x51, 0x53, 0x45, 0x47, 0x0d, 0x0a, 0x1a
};
static const uint8_t	rec_magic[4] = { 0x41, 0x51, 0x52, 0x0a };

static void
set16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void
set32(uint8_t *p, uint32_t v)
{
	set16(p, v & 0xffff);
	set16(p + 2, v >> 16);
}

static void
set64(uint8_t *p, uint64_t v)
{
	set32(p, (uint32_t)v);
	set32(p + 4, (uint32_t)(v >> 32));
}

static uint16_t
at16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t
at32(const uint8_t *p)
{
	return at16(p) | (uint32_t)at16(p + 2) << 16;
}

static uint64_t
at64(const uint8_t *p)
{
	return at32(p) | (uint64_t)at32(p + 4) << 32;
}

/* --- segment ------------------------------------------------------------- */

static uint32_t
segment_crc(const uint8_t *p, size_t len)
{
	return crc32c(crc32c(0, p, 16), p + 20, len - 20);
}

size_t
fmt_put_segment(uint8_t out[FMT_SEG_MAX_BYTES], struct fmt_segment *s)
{
	const struct queue_channel	*c = &s->channel;
	const char	*text[4] = { c->cluster, c->server, c->database,
			    c->collection };
	size_t		 at = FMT_SEG_FIXED_BYTES, n;
	int		 i;

	memset(out, 0, FMT_SEG_MAX_BYTES);
	memcpy(out, seg_magic, sizeof(seg_magic));
	set16(out + 8, FMT_MAJOR);
	set16(out + 10, FMT_MINOR);
	set32(out + 20, s->flags);
	set64(out + 24, s->epoch);
	set64(out + 32, s->number);
	set64(out + 40, s->base);
	set64(out + 48, s->prev_epoch);
	set64(out + 56, s->prev_number);
	set64(out + 64, s->prev_end);
	set64(out + 72, s->mark_offset);
	set64(out + 80, s->mark.tick);
	set64(out + 88, s->mark.reboot_id);
	set32(out + 96, s->mark.line_crc);
	set32(out + 100, c->shard);
	set64(out + 104, s->created_us);
	set64(out + 112, c->cid);
	for (i = 0; i < 4; i++) {
		n = strlen(text[i]);
		set16(out + 120 + 2 * i, (unsigned int)n);
		memcpy(out + at, text[i], n);
		at += n;
	}
	at = (at + FMT_ALIGN - 1) & ~(size_t)(FMT_ALIGN - 1);
	s->minor = FMT_MINOR;
	s->header_bytes = (uint32_t)at;
	set32(out + 12, s->header_bytes);
	set32(out + 16, segment_crc(out, at));
	return at;
}

/* One of the four strings; its field must hold it and a NUL. */
static int
get_text(const uint8_t *p, size_t end, size_t *at, unsigned int n, char *to,
    size_t size)
{
	if (n >= size || n > end - *at || memchr(p + *at, '\0', n) != NULL)
		return ERR_RANGE;
	memcpy(to, p + *at, n);
	to[n] = '\0';
	*at += n;
	return 0;
}

static int
get_channel(const uint8_t *p, size_t end, struct queue_channel *c)
{
	size_t	 at = FMT_SEG_FIXED_BYTES;
	int	 r;

	memset(c, 0, sizeof(*c));
	c->shard = at32(p + 100);
	c->cid = at64(p + 112);
	if ((r = get_text(p, end, &at, at16(p + 120), c->cluster,
	    sizeof(c->cluster))) != 0 ||
	    (r = get_text(p, end, &at, at16(p + 122), c->server,
	    sizeof(c->server))) != 0 ||
	    (r = get_text(p, end, &at, at16(p + 124), c->database,
	    sizeof(c->database))) != 0)
		return r;
	return get_text(p, end, &at, at16(p + 126), c->collection,
	    sizeof(c->collection));
}

int
fmt_get_segment(const uint8_t *p, size_t len, struct fmt_segment *s)
{
	struct fmt_segment	 h;
	int			 r;

	memset(&h, 0, sizeof(h));
	if (len < FMT_SEG_FIXED_BYTES)
		return ERR_TRUNCATED;
	if (memcmp(p, seg_magic, sizeof(seg_magic)) != 0)
		return ERR_FORMAT;
	/* Before the CRC: another version may have another header. */
	if (at16(p + 8) != FMT_MAJOR)
		return ERR_VERSION;
	h.minor = at16(p + 10);
	h.header_bytes = at32(p + 12);
	if (h.header_bytes < FMT_SEG_FIXED_BYTES ||
	    h.header_bytes > FMT_SEG_MAX_BYTES ||
	    h.header_bytes % FMT_ALIGN != 0)
		return ERR_CORRUPT;
	if (len < h.header_bytes)
		return ERR_TRUNCATED;
	if (at32(p + 16) != segment_crc(p, h.header_bytes))
		return ERR_CORRUPT;
	h.flags = at32(p + 20);
	h.epoch = at64(p + 24);
	h.number = at64(p + 32);
	h.base = at64(p + 40);
	h.prev_epoch = at64(p + 48);
	h.prev_number = at64(p + 56);
	h.prev_end = at64(p + 64);
	h.mark_offset = at64(p + 72);
	h.mark.tick = at64(p + 80);
	h.mark.reboot_id = at64(p + 88);
	h.mark.line_crc = at32(p + 96);
	h.created_us = at64(p + 104);
	/* Offsets are file positions as well: below 2^62. */
	if (h.base % FMT_ALIGN != 0 || h.base >> 62 != 0 ||
	    h.mark_offset > h.base || h.epoch == 0 || h.number == 0)
		return ERR_RANGE;
	if (h.prev_epoch != 0 && (h.prev_end != h.base ||
	    h.prev_epoch > h.epoch || h.prev_number >= h.number))
		return ERR_RANGE;
	if ((r = get_channel(p, h.header_bytes, &h.channel)) != 0)
		return r;
	*s = h;
	return 0;
}

/* --- record -------------------------------------------------------------- */

/*
 * Epoch and number take part, so that an old block of the disk that turns up
 * in another segment is not a record there.
 */
static uint32_t
record_crc(const uint8_t *p, uint64_t epoch, uint64_t number)
{
	uint8_t	 where[16];

	set64(where, epoch);
	set64(where + 8, number);
	return crc32c(crc32c(0, where, sizeof(where)), p + 8,
	    FMT_REC_BYTES - 8);
}

void
fmt_put_record(uint8_t out[FMT_REC_BYTES], uint64_t epoch, uint64_t number,
    const struct fmt_record *r)
{
	memcpy(out, rec_magic, sizeof(rec_magic));
	set32(out + 8, r->stored_len);
	out[12] = r->type;
	out[13] = r->flags;
	out[14] = r->codec;
	out[15] = 0;
	set64(out + 16, r->offset);
	set64(out + 24, r->durable);
	set64(out + 32, r->tick_from);
	set64(out + 40, r->tick_to);
	set64(out + 48, r->reboot_id);
	set32(out + 56, r->ops);
	set32(out + 60, r->line_crc);
	set32(out + 64, r->raw_len);
	set32(out + 68, r->payload_crc);
	set64(out + 72, r->time_us);
	set32(out + 4, record_crc(out, epoch, number));
}

int
fmt_get_record(const uint8_t p[FMT_REC_BYTES], uint64_t epoch,
    uint64_t number, struct fmt_record *r)
{
	if (memcmp(p, rec_magic, sizeof(rec_magic)) != 0)
		return ERR_FORMAT;
	if (at32(p + 4) != record_crc(p, epoch, number))
		return ERR_CORRUPT;
	r->stored_len = at32(p + 8);
	r->type = p[12];
	r->flags = p[13];
	r->codec = p[14];
	r->offset = at64(p + 16);
	r->durable = at64(p + 24);
	r->tick_from = at64(p + 32);
	r->tick_to = at64(p + 40);
	r->reboot_id = at64(p + 48);
	r->ops = at32(p + 56);
	r->line_crc = at32(p + 60);
	r->raw_len = at32(p + 64);
	r->payload_crc = at32(p + 68);
	r->time_us = at64(p + 72);
	if (r->stored_len > QUEUE_RECORD_MAX_BYTES ||
	    r->raw_len > QUEUE_RECORD_MAX_BYTES || r->durable > r->offset ||
	    r->tick_from > r->tick_to ||
	    (r->codec == QUEUE_CODEC_NONE && r->stored_len != r->raw_len))
		return ERR_RANGE;
	return 0;
}
