/* writer.c - appending, group commit, positions, the end of a queue */
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/fsx.h"
#include "queue/queue_priv.h"
#include "queue/segment.h"

/* Free space is looked at after so many bytes. */
#define SPACE_CHECK_BYTES	(1u << 20)
/* A closing queue leaves a consumed segment up to this size. */
#define CLOSE_TRIM_BYTES	(1u << 20)

static const char *const	state_names[] = { "ok", "full", "failed" };
static const uint8_t		zeros[FMT_ALIGN];

const char *
queue_state_name(enum queue_state state)
{
	return (unsigned int)state < NITEMS(state_names) ?
	    state_names[state] : "?";
}

/* --- opening and closing ------------------------------------------------- */

static int
check_opts(const struct queue_channel *c, const struct queue_opts *o,
    struct err_msg *em)
{
	if (!queue_codec_usable(o->codec))
		return err_set(em, ERR_USAGE, "codec %s is not built in",
		    queue_codec_name(o->codec) == NULL ? "?" :
		    queue_codec_name(o->codec));
	/* Headers have room for them; a cut name would be another channel. */
	if (memchr(c->cluster, '\0', sizeof(c->cluster)) == NULL ||
	    memchr(c->server, '\0', sizeof(c->server)) == NULL ||
	    memchr(c->database, '\0', sizeof(c->database)) == NULL ||
	    memchr(c->collection, '\0', sizeof(c->collection)) == NULL)
		return err_set(em, ERR_USAGE, "a name of the channel is too "
		    "long");
	return 0;
}

int
queue_open(const char *dir, const struct queue_channel *c,
    const struct queue_opts *opts, struct queue **out,
    struct queue_recovery *rec, struct err_msg *em)
{
	struct queue_recovery	 dummy;
	struct queue		*q;
	int			 r;

	q = xcalloc(1, sizeof(*q));
	q->dir = xstrdup(dir);
	q->fd = q->lock_fd = -1;
	if (opts != NULL)
		q->opts = *opts;
	if (q->opts.segment_bytes == 0)
		q->opts.segment_bytes = QUEUE_SEGMENT_BYTES;
	if (q->opts.zstd_level == 0)
		q->opts.zstd_level = 1;
	q->unchecked_bytes = SPACE_CHECK_BYTES;
	if ((r = check_opts(c, &q->opts, em)) != 0)
		goto fail;
	if ((r = fsx_mkdir_p(dir, 0700)) != 0) {
		err_set(em, r, "%s: %s", dir, err_text(r));
		goto fail;
	}
	q->lock_fd = fsx_open_dir_locked(dir, SEG_LOCK_NAME, FSX_LOCK_FLOCK,
	    NULL);
	if (q->lock_fd < 0) {
		r = q->lock_fd;
		err_set(em, r, "%s/%s: %s", dir, SEG_LOCK_NAME,
		    r == -EWOULDBLOCK ? "another process writes this queue" :
		    err_text(r));
		goto fail;
	}
	if ((r = queue_recover(q, c, rec == NULL ? &dummy : rec, em)) != 0)
		goto fail;
	*out = q;
	return 0;
fail:
	queue_abandon(&q);
	return r;
}

void
queue_abandon(struct queue **qp)
{
	struct queue	*q = *qp;

	if (q == NULL)
		return;
	queue_set_note_clean(q);
	if (q->fd != -1)
		close(q->fd);
	/* Last: the lock ends here. */
	if (q->lock_fd >= 0)
		close(q->lock_fd);
	codec_free(&q->codec);
	free(q->segs);
	free(q->error);
	free(q->dir);
	free(q);
	*qp = NULL;
}

/*
 * The mark of a clean end.  A crash after each step leaves
 *
 *	1. fdatasync of the records	an unclean end, all records
 *	2. write the close record	the same, or a clean end
 *	3. fdatasync			a clean end
 *
 * A torn close record is a torn tail like any other.  If 1 were left out, the
 * close record could reach the disk before the records in front of it.
 */
static int
write_close(struct queue *q, struct err_msg *em)
{
	struct fmt_record	 h;
	uint8_t			 bytes[FMT_REC_BYTES];
	struct queue_seg	*s = &q->segs[q->n_segs - 1];
	int			 r;

	memset(&h, 0, sizeof(h));
	h.type = FMT_CLOSE;
	h.flags = QUEUE_BOUNDARY;
	h.offset = h.durable = q->received.offset;
	h.tick_from = h.tick_to = q->received.mark.tick;
	h.reboot_id = q->received.mark.reboot_id;
	h.line_crc = q->received.mark.line_crc;
	h.time_us = clock_wall_us();
	fmt_put_record(bytes, q->epoch, s->number, &h);
	r = fsx_pwrite_all(q->fd, bytes, sizeof(bytes),
	    (off_t)(q->header_bytes + (q->received.offset - s->base)));
	if (r == 0)
		r = fsx_fdatasync(q->fd);
	/* Without it the next opening begins a new epoch: no harm. */
	if (r == -ENOSPC || r == -EDQUOT || r == -EFBIG)
		return err_set(em, -ENOSPC, "%s: no room to mark the end",
		    q->dir);
	return r == 0 ? 0 : queue_fail(q, em, "marking the end", r);
}

int
queue_close(struct queue **qp, struct err_msg *em)
{
	struct queue	*q = *qp;
	int		 r;

	if ((r = queue_sync(q, em)) != 0)
		goto out;
	/* Without space the consumed segment stays for the next writer. */
	if (q->n_segs > 0 && q->acked == q->received.offset &&
	    q->segs[q->n_segs - 1].bytes > CLOSE_TRIM_BYTES &&
	    (r = queue_trim(q, em)) != 0 && r != -ENOSPC)
		goto out;
	r = 0;
	if (q->fd != -1 && q->received.mark_offset == q->received.offset)
		r = write_close(q, em);
out:
	queue_abandon(qp);
	return r;
}

/* --- failing ------------------------------------------------------------- */

int
queue_fail(struct queue *q, struct err_msg *em, const char *what, int err)
{
	if (q->state != QUEUE_FAILED) {
		q->state = QUEUE_FAILED;
		q->error = xasprintf("%s: %s failed: %s; what is on the disk "
		    "is unknown", q->dir, what, err_text(err));
		queue_set_note_clean(q);
		q->dirty = false;
	}
	return queue_refuse(q, em);
}

int
queue_refuse(const struct queue *q, struct err_msg *em)
{
	return q->state != QUEUE_FAILED ? 0 :
	    err_set(em, ERR_STORAGE, "%s", q->error);
}

static int
no_space(struct queue *q, struct err_msg *em, const char *why)
{
	q->state = QUEUE_FULL;
	return err_set(em, -ENOSPC, "%s: %s", q->dir, why);
}

/* --- segments ------------------------------------------------------------ */

struct queue_seg *
queue_push_seg(struct queue *q)
{
	if (q->n_segs == q->segs_cap) {
		q->segs_cap = q->segs_cap == 0 ? 2 : q->segs_cap * 2;
		q->segs = xrealloc(q->segs, q->segs_cap * sizeof(*q->segs));
	}
	return &q->segs[q->n_segs++];
}

uint64_t
queue_new_epoch(uint64_t last)
{
	/*
	 * Milliseconds, so that the epochs of a queue that was lost and made
	 * again are other ones: a consumer may still know its positions.
	 */
	return MAX(last + 1, clock_wall_ms());
}

static void
describe_segment(const struct queue *q, uint32_t flags, struct fmt_segment *h)
{
	const struct queue_seg	*last;

	memset(h, 0, sizeof(*h));
	h->flags = flags;
	h->epoch = q->epoch;
	h->number = q->next_number;
	h->base = q->received.offset;
	if (q->n_segs > 0) {
		last = &q->segs[q->n_segs - 1];
		h->prev_epoch = last->epoch;
		h->prev_number = last->number;
		h->prev_end = h->base;
	}
	h->mark = q->received.mark;
	h->mark_offset = q->received.mark_offset;
	h->created_us = clock_wall_us();
	h->channel = q->channel;
}

/*
 * A crash after each step leaves
 *
 *	1. fdatasync the old segment	the old segment, whole
 *	2. create the new one, durably	the same; possibly an empty new one
 *
 * 1 comes first because a segment is corrupt when one with a successor does
 * not reach to where that begins.  2 ends before the first record is written,
 * because a reader could get it, and after a power cut the end of the old
 * segment would look like the end of the queue, and clean at that.
 */
int
queue_start_segment(struct queue *q, uint32_t flags, struct err_msg *em)
{
	struct fmt_segment	 h;
	struct queue_seg	*s;
	uint8_t			 bytes[FMT_SEG_MAX_BYTES];
	char			*path;
	size_t			 n;
	int			 r;

	if (!(flags & FMT_SEG_DISCARDS) && queue_sync(q, em) != 0)
		return queue_refuse(q, em);
	describe_segment(q, flags, &h);
	n = fmt_put_segment(bytes, &h);
	path = seg_path(q->dir, h.epoch, h.number);
	r = fsx_create_exclusive(path, bytes, n, 0600);
	if (err_is_full(r)) {
		free(path);
		return no_space(q, em, "the disk is full");
	}
	if (q->fd != -1)
		close(q->fd);
	q->fd = -1;
	if (r == 0 && (q->fd = open(path, O_WRONLY | O_CLOEXEC)) == -1)
		r = -errno;
	free(path);
	if (r != 0)
		return queue_fail(q, em, "beginning a segment", r);
	q->header_bytes = h.header_bytes;
	q->next_number++;
	s = queue_push_seg(q);
	s->epoch = h.epoch;
	s->number = h.number;
	s->base = h.base;
	s->bytes = h.header_bytes;
	return 0;
}

/* --- appending ----------------------------------------------------------- */

static int
check_meta(const struct queue *q, const struct queue_meta *m, size_t len,
    int n, struct err_msg *em)
{
	if (n < 0 || n > QUEUE_IOV_MAX || len > QUEUE_RECORD_MAX_BYTES)
		return err_set(em, ERR_RANGE, "%s: a record of %zu bytes in "
		    "%d pieces is too big", q->dir, len, n);
	if (m->tick_from < q->received.mark.tick ||
	    m->tick_to < m->tick_from ||
	    (m->ops > 0 && m->tick_to == m->tick_from))
		return err_set(em, ERR_RANGE, "%s: a record of ticks (%" PRIu64
		    ", %" PRIu64 "] does not follow %" PRIu64, q->dir,
		    m->tick_from, m->tick_to, q->received.mark.tick);
	return 0;
}

/* Stop before the disk is full: others live on it too. */
static int
check_space(struct queue *q, size_t len, struct err_msg *em)
{
	struct statvfs	 vfs;

	if (q->opts.min_free_bytes == 0 || (q->state != QUEUE_FULL &&
	    q->unchecked_bytes < MIN(SPACE_CHECK_BYTES,
	    q->opts.min_free_bytes / 8)))
		return 0;
	if (fstatvfs(q->lock_fd, &vfs) == -1)
		return 0;	/* writing will tell */
	if ((uint64_t)vfs.f_bavail * vfs.f_frsize <
	    q->opts.min_free_bytes + len)
		return no_space(q, em, "the disk is full: less space is "
		    "free than is left to others");
	q->unchecked_bytes = 0;
	return 0;
}

/*
 * Write all at file position `at`.  0, or the errno with which it ended and
 * *written, the bytes that a reader may have seen.
 */
static int
write_pieces(int fd, struct iovec *iov, int n, size_t len, uint64_t at,
    size_t *written)
{
	ssize_t	 k;
	size_t	 part;

	*written = 0;
	for (;;) {
		k = pwritev(fd, iov, n, (off_t)(at + *written));
		if (k == -1 && errno == EINTR)
			continue;
		if (k == -1)
			return errno;
		*written += (size_t)k;
		if (*written == len)
			return 0;
		if (k == 0)
			return EIO;
		/* Ask for the rest, to learn why it was short. */
		for (part = (size_t)k; part >= iov->iov_len; iov++, n--)
			part -= iov->iov_len;
		iov->iov_base = (uint8_t *)iov->iov_base + part;
		iov->iov_len -= part;
	}
}

/*
 * One record into the segment in use, or a new one.  After a short write the
 * segment is given up: its bytes may have been seen, so they are neither cut
 * nor overwritten; the next segment says where the good ones end.
 */
static int
write_record(struct queue *q, struct fmt_record *h, const struct iovec *iov,
    int n, struct err_msg *em)
{
	struct iovec		 v[QUEUE_IOV_MAX + 2];
	uint8_t			 head[FMT_REC_BYTES];
	struct queue_seg	*s;
	uint64_t		 bytes = fmt_record_bytes(h->stored_len);
	size_t			 written;
	bool			 fresh = false;
	int			 r;

	for (;;) {
		s = q->n_segs > 0 ? &q->segs[q->n_segs - 1] : NULL;
		if (q->fd == -1 || (s->base != q->received.offset &&
		    s->bytes + bytes > q->opts.segment_bytes)) {
			if ((r = queue_start_segment(q, 0, em)) != 0)
				return r;
			s = &q->segs[q->n_segs - 1];
			fresh = true;
		}
		h->durable = q->durable.offset;
		fmt_put_record(head, q->epoch, s->number, h);
		v[0].iov_base = head;
		v[0].iov_len = sizeof(head);
		if (n > 0)
			memcpy(v + 1, iov, (size_t)n * sizeof(*iov));
		r = write_pieces(q->fd, v, n + 1, bytes, q->header_bytes +
		    (q->received.offset - s->base), &written);
		if (r == 0)
			break;
		if (written > 0) {
			s->bytes += written;
			/* Sealed; what it holds is still to be synced. */
			if (queue_sync(q, em) != 0)
				return ERR_STORAGE;
			close(q->fd);
			q->fd = -1;
		}
		if (err_is_full(-r))
			return no_space(q, em, "the disk is full");
		if (r != EFBIG || fresh)
			return queue_fail(q, em, "writing", -r);
		/* A limit of file sizes: the next file begins at 0. */
		if (q->fd != -1 && queue_sync(q, em) != 0)
			return ERR_STORAGE;
		if (q->fd != -1)
			close(q->fd);
		q->fd = -1;
	}
	s->bytes += bytes;
	return 0;
}

int
queue_append(struct queue *q, const struct queue_meta *meta,
    const struct iovec *iov, int n, struct err_msg *em)
{
	struct fmt_record	 h;
	struct iovec		 v[QUEUE_IOV_MAX + 1];
	const uint8_t		*packed;
	size_t			 len = 0, packed_len, pad;
	int			 i, r;

	if ((r = queue_refuse(q, em)) != 0)
		return r;
	if (q->wrong_server)
		return err_set(em, ERR_BAD_STATE, "%s: holds the records of "
		    "another DB-server", q->dir);
	for (i = 0; i < n; i++)
		len += iov[i].iov_len;
	if ((r = check_meta(q, meta, len, n, em)) != 0 ||
	    (r = check_space(q, len, em)) != 0)
		return r;
	memset(&h, 0, sizeof(h));
	h.type = FMT_BATCH;
	h.flags = meta->flags;
	h.raw_len = h.stored_len = (uint32_t)len;
	h.offset = q->received.offset;
	h.tick_from = meta->tick_from;
	h.tick_to = meta->tick_to;
	h.reboot_id = meta->reboot_id;
	h.ops = meta->ops;
	h.line_crc = meta->line_crc;
	h.time_us = clock_wall_us();
	if (q->opts.codec == QUEUE_CODEC_ZSTD && len > 0 &&
	    codec_compress(&q->codec, q->opts.zstd_level, iov, n, len,
	    &packed, &packed_len) == 1) {
		h.codec = QUEUE_CODEC_ZSTD;
		h.stored_len = (uint32_t)packed_len;
		v[0].iov_base = (void *)(uintptr_t)packed;
		v[0].iov_len = packed_len;
		n = 1;
	} else if (n > 0)
		memcpy(v, iov, (size_t)n * sizeof(*iov));
	pad = (size_t)fmt_record_bytes(h.stored_len) - FMT_REC_BYTES -
	    h.stored_len;
	if (pad > 0) {
		v[n].iov_base = (void *)(uintptr_t)zeros;
		v[n++].iov_len = pad;
	}
	for (i = 0; i < n; i++)
		h.payload_crc = crc32c(h.payload_crc, v[i].iov_base,
		    v[i].iov_len);
	if ((r = write_record(q, &h, v, n, em)) != 0)
		return r;
	q->state = QUEUE_OK;
	q->unchecked_bytes += fmt_record_bytes(h.stored_len);
	q->received.offset = fmt_record_end(&h);
	if (h.flags & QUEUE_BOUNDARY) {
		q->received.mark_offset = q->received.offset;
		q->received.mark.tick = h.tick_to;
		q->received.mark.reboot_id = h.reboot_id;
		q->received.mark.line_crc = h.line_crc;
	}
	if (!q->dirty) {
		q->dirty = true;
		queue_set_note_dirty(q);
	}
	return 0;
}

/* --- group commit and positions ------------------------------------------ */

void
queue_note_durable(struct queue *q)
{
	q->durable = q->received;
	q->dirty = false;
	queue_set_note_clean(q);
}

/*
 * The pages that were not written count as clean now, and another fsync would
 * find nothing to do: so they are thrown away.  Full: file systems that find
 * out as late as that (NFS, thin volumes, quotas).
 */
static int
sync_failed(struct queue *q, struct err_msg *em, int err)
{
	struct queue_seg	*s = &q->segs[q->n_segs - 1];
	bool			 was_cut;

	was_cut = q->durable.offset >= s->base && ftruncate(q->fd,
	    (off_t)(q->header_bytes + (q->durable.offset - s->base))) == 0;
	(void)queue_fail(q, em, "fdatasync", err);
	if (!was_cut || !err_is_full(err))
		return ERR_STORAGE;
	return err_set(em, -ENOSPC, "%s: the disk is full", q->dir);
}

int
queue_sync(struct queue *q, struct err_msg *em)
{
	int	 r;

	if ((r = queue_refuse(q, em)) != 0 || !q->dirty)
		return r;
	/* Older segments are on disk since the one in use began. */
	if ((r = fsx_fdatasync(q->fd)) == 0)
		queue_note_durable(q);
	return r == 0 ? 0 : sync_failed(q, em, r);
}

bool
queue_is_dirty(const struct queue *q)
{
	return q->dirty;
}

void
queue_received(const struct queue *q, struct queue_pos *pos)
{
	*pos = q->received;
}

void
queue_durable(const struct queue *q, struct queue_pos *pos)
{
	*pos = q->durable;
}

uint64_t
queue_acked(const struct queue *q)
{
	return q->acked;
}

enum queue_state
queue_get_state(const struct queue *q)
{
	return q->state;
}

const char *
queue_error(const struct queue *q)
{
	return q->error == NULL ? "" : q->error;
}

const char *
queue_dir(const struct queue *q)
{
	return q->dir;
}

void
queue_get_usage(const struct queue *q, struct queue_usage *u)
{
	size_t	 i;

	memset(u, 0, sizeof(*u));
	for (i = 0; i < q->n_segs; i++)
		u->disk_bytes += q->segs[i].bytes;
	u->segments = q->n_segs;
	u->unacked_bytes = q->received.offset - q->acked;
	u->undurable_bytes = q->received.offset - q->durable.offset;
	u->quota_bytes = q->opts.quota_bytes;
	u->over_quota = q->opts.quota_bytes != 0 &&
	    u->disk_bytes > q->opts.quota_bytes;
	u->state = q->state;
	u->delete_failures = q->delete_failures;
}
