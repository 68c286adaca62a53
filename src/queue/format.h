/*
 * format.h - the bytes of a segment, format 1.  Integers are little-endian.
 * arangosync-queue(5) shows a whole segment in hex; when this changes, change
 * that page, tests/unit/queue and tests/recovery as well.
 *
 * Segment header:
 *
 *	  0  8	41 51 53 45 47 0d 0a 1a	"AQSEG", CR LF ^Z: a copy made in
 *					text mode is noticed
 *	  8  2	major version		another one is refused
 *	 10  2	minor version		any is accepted
 *	 12  4	bytes of this header	where the records begin; of 8
 *	 16  4	CRC32C			of the header without this field
 *	 20  4	flags			1: nothing before this segment counts
 *	 24  8	epoch
 *	 32  8	segment number
 *	 40  8	base offset		of the first record
 *	 48  8	previous segment: epoch	0: there is none
 *	 56  8	  its number
 *	 64  8	  its end offset	its bytes behind that are void
 *	 72  8	last boundary: offset	at or before the base offset
 *	 80  8	  its tick
 *	 88  8	  rebootId
 *	 96  4	  CRC of the last line
 *	100  4	shard index
 *	104  8	created			microseconds since 1970
 *	112  8	collection id
 *	120  8	lengths of cluster id, DB-server id, database and collection,
 *		2 bytes each
 *	128	those four strings; zeros up to a multiple of 8; what a newer
 *		minor version adds
 *
 * Record:
 *
 *	  0  4	41 51 52 0a		"AQR" LF
 *	  4  4	CRC32C			of epoch and segment number (8 bytes
 *					each), then the header from here on
 *	  8  4	stored length		of the payload, without padding
 *	 12  1	type			1 batch, 2 close; others are skipped
 *	 13  1	flags			1 boundary, 2 line continues
 *	 14  1	codec			0 none, 1 zstd
 *	 15  1	0
 *	 16  8	offset			of this record
 *	 24  8	durable offset		all below was on disk before this
 *					record was written
 *	 32  8	tick from (exclusive)
 *	 40  8	tick to (inclusive)
 *	 48  8	rebootId
 *	 56  4	operations
 *	 60  4	CRC of the last line of the tail response
 *	 64  4	raw length		of the payload, uncompressed
 *	 68  4	CRC32C			of the stored payload and its padding
 *	 72  8	written			microseconds since 1970
 *	 80	payload; zeros up to a multiple of 8
 *
 * A record ends at offset + 80 + its stored length, rounded up to 8; the next
 * one begins there.  It lies in the file at header bytes + offset - base.
 *
 * A close record is the last thing in a file and takes no room among the
 * offsets: the next segment begins where it does.  Nothing is ever written
 * behind it, so an end without one was not clean.
 */
#ifndef QUEUE_FORMAT_H
#define QUEUE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "queue/queue.h"

#define FMT_MAJOR		1
#define FMT_MINOR		0
#define FMT_SEG_FIXED_BYTES	128
#define FMT_SEG_MAX_BYTES	4096	/* of a segment header */
#define FMT_REC_BYTES		80
#define FMT_ALIGN		8

#define FMT_SEG_DISCARDS	1	/* flag: nothing before it counts */

enum fmt_type {
	FMT_BATCH = 1,
	FMT_CLOSE = 2			/* the writer left in order */
};

struct fmt_segment {
	uint16_t		minor;
	uint32_t		header_bytes;
	uint32_t		flags;
	uint64_t		epoch, number, base;
	uint64_t		prev_epoch, prev_number, prev_end;
	uint64_t		mark_offset;
	struct queue_mark	mark;
	uint64_t		created_us;
	struct queue_channel	channel;
};

struct fmt_record {
	uint32_t	stored_len, raw_len;
	uint8_t		type, flags, codec;
	uint64_t	offset, durable;
	uint64_t	tick_from, tick_to, reboot_id;
	uint32_t	ops, line_crc, payload_crc;
	uint64_t	time_us;
};

/* Bytes of a record in the file. */
static inline uint64_t
fmt_record_bytes(uint32_t stored_len)
{
	uint64_t	 n = (uint64_t)stored_len + FMT_ALIGN - 1;

	return FMT_REC_BYTES + (n & ~(uint64_t)(FMT_ALIGN - 1));
}

static inline uint64_t
fmt_record_end(const struct fmt_record *r)
{
	return r->offset + fmt_record_bytes(r->stored_len);
}

/* Fills in header_bytes; returns it.  The strings must fit their fields. */
size_t	fmt_put_segment(uint8_t out[FMT_SEG_MAX_BYTES],
	    struct fmt_segment *s);
/*
 * 0, ERR_TRUNCATED (len is less than the header), ERR_FORMAT (no segment),
 * ERR_VERSION, ERR_CORRUPT (CRC), ERR_RANGE (numbers that cannot be).
 */
int	fmt_get_segment(const uint8_t *p, size_t len, struct fmt_segment *s);

void	fmt_put_record(uint8_t out[FMT_REC_BYTES], uint64_t epoch,
	    uint64_t number, const struct fmt_record *r);
/* 0, ERR_FORMAT (no magic), ERR_CORRUPT or ERR_RANGE. */
int	fmt_get_record(const uint8_t p[FMT_REC_BYTES], uint64_t epoch,
	    uint64_t number, struct fmt_record *r);

#endif
