/*
 * reader.h - reading the queue of a channel through its files.
 *
 * Any number of readers, in any process; none needs the writer or a lock.  A
 * reader never shows a record that is not whole (CRC), whatever the writer
 * does meanwhile.  It holds one open segment and a window of 64 KiB (given
 * back by queue_reader_idle); segments are read with pread.
 *
 *	queue_reader_new(dir, &r);
 *	if (queue_reader_seek(r, epoch, offset, &em) == QUEUE_READ_EPOCH)
 *		queue_reader_seek_tick(r, tick, &em);
 *	while ((n = queue_reader_next(r, &rec, &payload, &em)) == 1)
 *		...			payload has one record more
 */
#ifndef QUEUE_READER_H
#define QUEUE_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "queue/queue.h"

enum queue_read {
	QUEUE_READ_END = 0,	/* everything written was read; more may come */
	QUEUE_READ_RECORD = 1,
	/* A record begins here that is not whole: being written, or torn and
	 * waiting for the writer's recovery.  Try again. */
	QUEUE_READ_MORE = 2,
	/* The epoch of this position has ended or is unknown: seek by tick. */
	QUEUE_READ_EPOCH = 3,
	/* The records at this position were deleted: the queue cannot go on
	 * from here. */
	QUEUE_READ_GONE = 4
};

/* Name of the result, for messages; negative: err_text(). */
const char *queue_read_name(int result);

struct queue_record {
	uint64_t		epoch, segment;
	uint64_t		offset;		/* where it begins */
	uint64_t		end;		/* where the next one begins:
						 * what to acknowledge */
	struct queue_meta	meta;
	uint64_t		time_us;	/* written, wall clock */
	uint32_t		raw_len;	/* bytes of the payload */
	uint32_t		stored_len;	/* the same in the file */
	enum queue_codec	codec;		/* in the file */
	uint64_t		file_at;	/* stored bytes in the file */
};

struct queue_reader;

/* dir need not exist yet: such a queue is empty. */
void	queue_reader_new(const char *dir, struct queue_reader **r);
void	queue_reader_free(struct queue_reader **r);

/* To the oldest record that is still there.  0 or an error. */
int	queue_reader_seek_start(struct queue_reader *r, struct err_msg *em);
/*
 * Behind what was consumed: (epoch, offset) as queue_record.epoch and .end.
 * 0, QUEUE_READ_EPOCH, QUEUE_READ_GONE, ERR_RANGE (no record begins there) or
 * another error.  After anything but 0 the reader has no position.
 */
int	queue_reader_seek(struct queue_reader *r, uint64_t epoch,
	    uint64_t offset, struct err_msg *em);
/*
 * Behind the response that ends at `tick`: the next record read is the first
 * one with tick_to > tick, in whatever epoch; records up to it that are
 * appended later are skipped too.  The caller knows that the tick belongs to
 * the history in the queue (queue_reader_channel).  0, QUEUE_READ_GONE (the
 * oldest record begins behind tick) or an error.
 */
int	queue_reader_seek_tick(struct queue_reader *r, uint64_t tick,
	    struct err_msg *em);

/*
 * The next record: 1 and *rec, its payload (uncompressed) appended to
 * `payload`, or another of enum queue_read, or an error; the position moves
 * with 1 only.  ERR_CORRUPT: em names file and offset.  ERR_VERSION: a codec
 * that is not built in.  payload NULL: the payload is skipped and not
 * checked.  QUEUE_READ_EPOCH and errors stay until the next seek.
 */
int	queue_reader_next(struct queue_reader *r, struct queue_record *rec,
	    struct buf *payload, struct err_msg *em);
/* The same, but the stored bytes (rec->codec), checked, as they are: for a
 * connection that passes compressed batches on. */
int	queue_reader_next_stored(struct queue_reader *r,
	    struct queue_record *rec, struct buf *payload, struct err_msg *em);

/* Where the next record begins; epoch 0: no position. */
void	queue_reader_pos(const struct queue_reader *r, uint64_t *epoch,
	    uint64_t *offset);
/*
 * Whose records are read now (of the current segment); NULL while there is
 * none.  Valid until the next call.
 */
const struct queue_channel *queue_reader_channel(const struct queue_reader *r);
/* Descriptor of the segment of the last record, for sendfile(2) with
 * rec->file_at; valid until the next call.  -1: none. */
int	queue_reader_fd(const struct queue_reader *r);
/* Give memory and descriptors back; the position stays. */
void	queue_reader_idle(struct queue_reader *r);

/* Uncompress what queue_reader_next_stored() gave; appends to out. */
int	queue_decode(enum queue_codec codec, const void *stored,
	    size_t stored_len, size_t raw_len, struct buf *out);

#endif
