/* retire.c - letting go: consumed segments, resets, damaged queues */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsx.h"
#include "base/str.h"
#include "queue/queue_priv.h"
#include "queue/segment.h"

/* A consumed segment in use is replaced when it has this part of its size. */
#define TRIM_PART	4

char *
queue_channel_name(const struct queue_channel *c, char name[QUEUE_NAME_BYTES])
{
	static const char	 hex[] = "0123456789ABCDEF";
	const unsigned char	*p = (const unsigned char *)c->database;
	size_t			 n = 0, room = QUEUE_NAME_BYTES - 64;

	for (; *p != '\0' && n + 4 < room; p++)
		if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
		    (*p >= '0' && *p <= '9') || *p == '_' || *p == '-')
			name[n++] = (char)*p;
		else {
			name[n++] = '%';
			name[n++] = hex[*p >> 4];
			name[n++] = hex[*p & 15];
		}
	snprintf(name + n, QUEUE_NAME_BYTES - n, ".%" PRIu64 ".%" PRIu32,
	    c->cid, c->shard);
	return name;
}

/*
 * Oldest first, and names of one directory reach the disk in their order: a
 * crash leaves an unbroken chain.  It comes last of all and may fail: what is
 * left over is deleted with the next acknowledgement.
 */
void
queue_delete_segments(struct queue *q, size_t n)
{
	size_t	 i;
	char	*path;
	int	 r;

	for (i = 0; i < n; i++) {
		path = seg_path(q->dir, q->segs[i].epoch, q->segs[i].number);
		r = unlink(path);
		free(path);
		if (r == -1 && errno != ENOENT) {
			q->delete_failures++;
			break;
		}
	}
	q->n_segs -= i;
	memmove(q->segs, q->segs + i, q->n_segs * sizeof(*q->segs));
}

/*
 * A crash leaves what was appended first, an older state of the same queue:
 * its end was not clean, so it counts in a new epoch and by its ticks only.
 */
int
queue_delete_all(struct queue *q, struct err_msg *em)
{
	char	*path;
	int	 r = 0;

	if (q->fd != -1)
		close(q->fd);
	q->fd = -1;
	for (; q->n_segs > 0 && r == 0; q->n_segs--) {
		path = seg_path(q->dir, q->segs[q->n_segs - 1].epoch,
		    q->segs[q->n_segs - 1].number);
		if (unlink(path) == -1 && errno != ENOENT)
			r = -errno;
		free(path);
		if (r != 0)
			break;
	}
	if (r == 0)
		r = fsx_fsync_dir(q->dir);
	return r == 0 ? 0 : queue_fail(q, em, "deleting segments", r);
}

/* Offset at which records of this epoch end; 0: it is unknown. */
static uint64_t
epoch_end(const struct queue *q, uint64_t epoch)
{
	uint64_t	 end = 0;
	size_t		 i;

	for (i = 0; i < q->n_segs; i++)
		if (q->segs[i].epoch == epoch)
			end = i + 1 < q->n_segs ? q->segs[i + 1].base :
			    q->received.offset;
	return end;
}

int
queue_ack(struct queue *q, uint64_t epoch, uint64_t offset,
    struct err_msg *em)
{
	struct queue_seg	*last;
	uint64_t		 low;
	size_t			 n = 0;
	int			 r;

	if ((r = queue_refuse(q, em)) != 0)
		return r;
	if (epoch > q->epoch ||
	    (epoch == q->epoch && offset > q->received.offset))
		return err_set(em, ERR_RANGE, "%s: position %" PRIu64 ":%"
		    PRIu64 " was never written", q->dir, epoch, offset);
	if (epoch != q->epoch)
		offset = MIN(offset, epoch_end(q, epoch));
	if (offset > q->acked)
		q->acked = offset;
	low = MIN(q->acked, q->received.mark_offset);
	while (n + 1 < q->n_segs && q->segs[n + 1].base <= low)
		n++;
	if (n > 0)
		queue_delete_segments(q, n);
	if (q->n_segs == 0 || q->acked != q->received.offset)
		return 0;
	last = &q->segs[q->n_segs - 1];
	return last->bytes > q->opts.segment_bytes / TRIM_PART ?
	    queue_trim(q, em) : 0;
}

int
queue_trim(struct queue *q, struct err_msg *em)
{
	int	 r;

	if ((r = queue_refuse(q, em)) != 0)
		return r;
	if (q->n_segs == 0 || q->acked != q->received.offset ||
	    q->received.mark_offset != q->received.offset)
		return 0;
	if (q->segs[q->n_segs - 1].base != q->received.offset) {
		r = queue_start_segment(q, 0, em);
		/* The position is known to whoever acknowledged it. */
		if (r == -ENOSPC)
			return queue_delete_all(q, em);
		if (r != 0)
			return r;
	}
	queue_delete_segments(q, q->n_segs - 1);
	return 0;
}

/*
 * A crash after each step leaves
 *
 *	1. create a segment of a new epoch	the old queue, or the new one
 *	   with the flag "nothing before	(recovery deletes what is
 *	   counts", durably			before the flag)
 *	2. delete all older segments		the new one
 *
 * Deleting the oldest first would leave, in between, a queue that looks
 * consumed and goes on in the old epoch at the old tick.
 */
int
queue_discard_all(struct queue *q, const struct queue_channel *c,
    const struct queue_mark *start, struct err_msg *em)
{
	struct queue_channel	 channel = q->channel;
	struct queue_pos	 received = q->received;
	uint64_t		 epoch = q->epoch;
	int			 r;

	if ((r = queue_refuse(q, em)) != 0)
		return r;
	q->channel = *c;
	q->epoch = queue_new_epoch(q->epoch);
	q->received.epoch = q->epoch;
	q->received.mark = *start;
	q->received.mark_offset = q->received.offset;
	if (q->n_segs > 0) {
		r = queue_start_segment(q, FMT_SEG_DISCARDS, em);
		if (r == 0)
			queue_delete_segments(q, q->n_segs - 1);
		else if (r == -ENOSPC)
			r = queue_delete_all(q, em);
		if (r != 0) {
			q->channel = channel;
			q->epoch = epoch;
			q->received = received;
			return r;
		}
	}
	q->acked = q->received.offset;
	q->wrong_server = false;
	queue_note_durable(q);
	return 0;
}

int
queue_set_aside(const char *dir, char *to, size_t to_size, struct err_msg *em)
{
	char	 when[CLOCK_TEXT_SIZE], *name, *p, *q;
	int	 r;

	/* 20240229T235959.123456Z: no colons in names */
	clock_format_us(clock_wall_us(), when);
	for (p = q = when; *p != '\0'; p++)
		if (*p != '-' && *p != ':')
			*q++ = *p;
	*q = '\0';
	name = xasprintf("%s.damaged-%s", dir, when);
	if ((r = fsx_rename(dir, name)) != 0)
		err_set(em, r, "%s: cannot be renamed to %s: %s", dir, name,
		    err_text(r));
	else if (to != NULL)
		(void)str_copy(to, to_size, name);
	free(name);
	return r;
}
