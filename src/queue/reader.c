/* reader.c - following a queue through its files */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "queue/reader.h"
#include "queue/segment.h"

/*
 * A directory's time stamps move in ticks of the kernel's clock.  A listing
 * that is younger than this may miss what came in the same tick, and is made
 * again.
 */
#define LISTING_SETTLES_NS	20000000

struct queue_reader {
	char			*dir;
	int			 dir_fd;	/* -1: not open */
	bool			 placed;	/* has a position */
	int			 sticky;	/* result until a seek */
	struct err_msg		 sticky_em;
	uint64_t		 skip_tick;	/* up to it: skipped */
	bool			 skip;
	bool			 may_turn;	/* may go on into a new epoch */
	/* The position, which outlives queue_reader_idle(). */
	uint64_t		 epoch, number, offset;
	struct seg_file		 file;		/* valid while c.fd != -1 */
	struct seg_cursor	 c;
	bool			 have_channel;
	/* Of the directory when it was last listed at the end. */
	struct timespec		 listed_mtime;
	bool			 listed;
	/* A bad end was judged at this size of the file: not again. */
	uint64_t		 judged_end;
	struct buf		 stored;	/* compressed payload */
};

const char *
queue_read_name(int result)
{
	static const char *const	names[] = {
		"end", "record", "more to come", "epoch changed", "gone"
	};

	return result < 0 ? err_text(result) :
	    (size_t)result < NITEMS(names) ? names[result] : "?";
}

void
queue_reader_new(const char *dir, struct queue_reader **out)
{
	struct queue_reader	*r = xcalloc(1, sizeof(*r));

	r->dir = xstrdup(dir);
	r->dir_fd = r->c.fd = -1;
	*out = r;
}

static void
close_segment(struct queue_reader *r)
{
	if (r->c.fd != -1)
		close(r->c.fd);
	r->c.fd = -1;
	r->c.win_len = 0;
	r->judged_end = 0;
}

void
queue_reader_idle(struct queue_reader *r)
{
	close_segment(r);
	seg_cursor_free(&r->c);
	buf_free(&r->stored);
	if (r->dir_fd != -1)
		close(r->dir_fd);
	r->dir_fd = -1;
	r->listed = false;
}

void
queue_reader_free(struct queue_reader **r)
{
	if (*r == NULL)
		return;
	queue_reader_idle(*r);
	free((*r)->dir);
	free(*r);
	*r = NULL;
}

/* --- segments ------------------------------------------------------------ */

static void
unplace(struct queue_reader *r)
{
	close_segment(r);
	r->placed = false;
	r->sticky = 0;
	r->skip = false;
	r->may_turn = false;
	r->listed = false;
	r->epoch = r->number = r->offset = 0;
}

/* Open the segment f and stand at `offset` in it. */
static int
enter(struct queue_reader *r, const struct seg_file *f, uint64_t offset,
    struct err_msg *em)
{
	int	 fd, e;

	close_segment(r);
	r->file = *f;
	if ((e = seg_open(r->dir, &r->file, &fd, em)) != 0)
		return e;
	seg_cursor_init(&r->c, fd, &r->file.h);
	seg_cursor_set_size(&r->c, r->file.size);
	r->c.pos = offset;
	r->epoch = f->epoch;
	r->number = f->number;
	r->offset = offset;
	r->placed = true;
	r->have_channel = true;
	r->listed = false;
	return 0;
}

/* Has the directory changed since it was last listed? */
static bool
needs_listing(struct queue_reader *r)
{
	struct timespec	 now;
	struct stat	 st;
	int64_t		 age;
	bool		 same;

	if (r->dir_fd == -1)
		r->dir_fd = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->dir_fd == -1 || fstat(r->dir_fd, &st) == -1)
		return true;
	same = r->listed && st.st_mtim.tv_sec == r->listed_mtime.tv_sec &&
	    st.st_mtim.tv_nsec == r->listed_mtime.tv_nsec;
	if (same)
		return false;
	clock_gettime(CLOCK_REALTIME, &now);
	age = (int64_t)(now.tv_sec - st.st_mtim.tv_sec) * 1000000000 +
	    (now.tv_nsec - st.st_mtim.tv_nsec);
	r->listed = age > LISTING_SETTLES_NS || age < 0;
	r->listed_mtime = st.st_mtim;
	return true;
}

/* --- seeking ------------------------------------------------------------- */

int
queue_reader_seek_start(struct queue_reader *r, struct err_msg *em)
{
	struct seg_list	 l = SEG_LIST_INIT;
	size_t		 first;
	int		 e, tries = 0;

	unplace(r);
	do
		if ((e = seg_list_load(r->dir, &l, &first, em)) == 0 && l.n > 0)
			e = enter(r, &l.v[first], l.v[first].h.base, em);
	while (e == -ENOENT && tries++ < 10);
	/* A queue without segments begins with the first one. */
	r->may_turn = e == 0 && l.n == 0;
	r->placed = e == 0;
	seg_list_free(&l);
	return e;
}

/* The segment of this epoch in which `offset` lies, or at whose end. */
static int
find_offset(const struct seg_list *l, size_t first, uint64_t epoch,
    uint64_t offset, size_t *found)
{
	size_t		 i;
	uint64_t	 end;
	bool		 known = false;

	for (i = first; i < l->n; i++) {
		if (l->v[i].epoch != epoch)
			continue;
		if (offset < l->v[i].h.base)
			return known ? QUEUE_READ_EPOCH : QUEUE_READ_GONE;
		known = true;
		*found = i;
		end = i + 1 < l->n ? l->v[i + 1].h.base : l->v[i].h.base +
		    (l->v[i].size - l->v[i].h.header_bytes);
		if (offset < end || (offset == end &&
		    (i + 1 == l->n || l->v[i + 1].epoch != epoch)))
			return 0;
	}
	return QUEUE_READ_EPOCH;
}

int
queue_reader_seek(struct queue_reader *r, uint64_t epoch, uint64_t offset,
    struct err_msg *em)
{
	struct seg_list		 l = SEG_LIST_INIT;
	struct fmt_record	 rec;
	size_t			 first, i = 0;
	int			 e, h, tries = 0;

	unplace(r);
	do {
		if ((e = seg_list_load(r->dir, &l, &first, em)) != 0)
			break;
		e = find_offset(&l, first, epoch, offset, &i);
		if (e == 0)
			e = enter(r, &l.v[i], offset, em);
		if (e == 0 && i + 1 < l.n)
			seg_cursor_seal(&r->c, l.v[i + 1].h.base);
	} while (e == -ENOENT && tries++ < 10);
	if (e == 0 && offset != r->file.h.base) {
		h = offset % FMT_ALIGN != 0 ? ERR_FORMAT :
		    seg_cursor_header(&r->c, &rec);
		if (h == ERR_FORMAT || h == ERR_CORRUPT || h == ERR_RANGE)
			e = err_set(em, ERR_RANGE, "%s: no record begins at "
			    "offset %" PRIu64, r->dir, offset);
	}
	seg_list_free(&l);
	if (e != 0)
		unplace(r);
	return e;
}

int
queue_reader_seek_tick(struct queue_reader *r, uint64_t tick,
    struct err_msg *em)
{
	struct seg_list		 l = SEG_LIST_INIT;
	const struct fmt_segment *h;
	uint64_t		 from;
	size_t			 first, i;
	int			 e, tries = 0;

again:
	unplace(r);
	if ((e = seg_list_load(r->dir, &l, &first, em)) != 0)
		goto out;
	if (l.n == 0) {
		r->placed = r->may_turn = true;
		goto out;
	}
	if (l.v[first].h.mark.tick > tick) {
		e = QUEUE_READ_GONE;
		goto out;
	}
	/* The last segment whose last boundary, before it, is not beyond. */
	for (i = l.n - 1; i > first && l.v[i].h.mark.tick > tick; i--)
		continue;
	/* It may begin within a response whose records begin before it. */
	h = &l.v[i].h;
	from = MAX(h->mark_offset, l.v[first].h.base);
	while (i > first && l.v[i].h.base > from)
		i--;
	e = enter(r, &l.v[i], from, em);
	if (e == -ENOENT && tries++ < 10)
		goto again;
out:
	seg_list_free(&l);
	if (e != 0) {
		unplace(r);
		return e;
	}
	r->skip = true;
	r->skip_tick = tick;
	/* Ticks are what it goes by: up to the first record, any epoch. */
	r->may_turn = true;
	return 0;
}

/* --- reading ------------------------------------------------------------- */

static int
stay(struct queue_reader *r, int result, const struct err_msg *em)
{
	r->sticky = result;
	if (em != NULL)
		r->sticky_em = *em;
	else
		r->sticky_em.text[0] = '\0';
	return result;
}

static int
damaged(struct queue_reader *r, int err, struct err_msg *em)
{
	struct err_msg	 text;
	int		 e;

	e = seg_damage(&text, r->dir, r->c.epoch, r->c.number,
	    seg_cursor_file_at(&r->c, r->c.pos), err);
	if (em != NULL)
		*em = text;
	return stay(r, e, &text);
}

/*
 * The segment that follows ours: 1 and *next, 0 when there is none yet, or an
 * error.  Usually it has the next number; only otherwise the directory tells.
 */
static int
find_next(struct queue_reader *r, struct seg_file *next, struct err_msg *em)
{
	struct seg_list	 l = SEG_LIST_INIT;
	size_t		 first, i;
	int		 e, fd;

	memset(next, 0, sizeof(*next));
	next->epoch = r->epoch;
	next->number = r->number + 1;
	if (r->number != 0 && seg_open(r->dir, next, &fd, NULL) == 0) {
		close(fd);
		return 1;
	}
	if ((e = seg_list_load(r->dir, &l, &first, em)) != 0) {
		r->listed = false;
		goto out;
	}
	for (i = first; i < l.n && (l.v[i].epoch < r->epoch ||
	    (l.v[i].epoch == r->epoch && l.v[i].number <= r->number)); i++)
		continue;
	if (i < l.n) {
		*next = l.v[i];
		e = 1;
	}
out:
	seg_list_free(&l);
	return e;
}

/*
 * At the end of what the file has: is there a successor?  1: entered; 0: no;
 * QUEUE_READ_EPOCH, QUEUE_READ_GONE or an error.  *sealed_at: where our
 * segment ends when it has a successor and we are not there yet.
 */
static int
follow(struct queue_reader *r, uint64_t *sealed_at, struct err_msg *em)
{
	struct seg_file	 next;
	bool		 resets;
	int		 e;

	*sealed_at = UINT64_MAX;
	if (!needs_listing(r) || (e = find_next(r, &next, em)) == 0)
		return 0;
	r->listed = false;
	if (e < 0)
		return e;
	resets = next.h.flags & FMT_SEG_DISCARDS;
	if (r->number == 0) {
		/* The first one; what was asked for may be older. */
		if (r->skip && next.h.mark.tick > r->skip_tick)
			return QUEUE_READ_GONE;
	} else if (next.h.prev_epoch != r->epoch ||
	    next.h.prev_number != r->number || resets) {
		/* A reset; or others between were cut, or consumed. */
		if (resets || next.epoch != r->epoch)
			return QUEUE_READ_EPOCH;
		if (next.h.base != r->c.pos)
			return QUEUE_READ_GONE;
	} else if (next.h.base > r->c.pos && !r->c.sealed) {
		*sealed_at = next.h.base;
		return 0;
	} else if (next.h.base != r->c.pos) {
		return QUEUE_READ_EPOCH;	/* what we read was cut */
	} else if (next.epoch != r->epoch && !r->may_turn)
		return QUEUE_READ_EPOCH;
	e = enter(r, &next, next.h.base, em);
	return e == 0 ? 1 : e;
}

/*
 * Open the segment of our position again, after queue_reader_idle().  It may
 * have been consumed meanwhile, up to here.
 */
static int
reenter(struct queue_reader *r, struct err_msg *em)
{
	struct seg_list	 l = SEG_LIST_INIT;
	struct seg_file	 f;
	size_t		 first, i;
	int		 e;

	memset(&f, 0, sizeof(f));
	f.epoch = r->epoch;
	f.number = r->number;
	if ((e = enter(r, &f, r->offset, em)) != -ENOENT)
		return e;
	if ((e = seg_list_load(r->dir, &l, &first, em)) == 0 &&
	    (e = find_offset(&l, first, r->epoch, r->offset, &i)) == 0)
		e = enter(r, &l.v[i], r->offset, em);
	seg_list_free(&l);
	return e;
}

/*
 * Bytes that are no whole record at pos, and no successor: wait, unless a
 * later record proves that there was one.
 */
static int
bad_end(struct queue_reader *r, int err, struct err_msg *em)
{
	int	 e;

	if (r->judged_end == r->c.end)
		return QUEUE_READ_MORE;
	if ((e = seg_cursor_judge(&r->c)) == ERR_CORRUPT)
		return damaged(r, err, em);
	if (e != 0)
		return err_set(em, e, "%s: %s", r->dir, err_text(e));
	r->judged_end = r->c.end;
	return QUEUE_READ_MORE;
}

/* The file may have grown, or was cut: 0, or QUEUE_READ_EPOCH. */
static int
look_again(struct queue_reader *r, bool *grown)
{
	struct stat	 st;
	uint64_t	 before = r->c.end;

	if (fstat(r->c.fd, &st) == -1)
		return -errno;
	seg_cursor_set_size(&r->c, (uint64_t)st.st_size);
	*grown = r->c.end != before;
	if (r->c.end < r->c.pos)
		return QUEUE_READ_EPOCH;
	return 0;
}

/*
 * What stands at the position: 1 and the header of a whole record in *rec,
 * its payload checked and in `out` when that is not NULL.
 */
static int
step(struct queue_reader *r, struct fmt_record *rec, struct buf *out,
    struct err_msg *em)
{
	uint64_t	 sealed_at;
	size_t		 before = out == NULL ? 0 : out->len;
	bool		 grown = false;
	int		 e, err;

	for (;;) {
		if (r->c.fd == -1 && r->number != 0 &&
		    (e = reenter(r, em)) != 0)
			return e;
		err = r->number == 0 ? 0 : seg_cursor_header(&r->c, rec);
		if (err == 1 && rec->type == FMT_CLOSE)
			err = 0;
		if (err == 1 && (r->skip && rec->tick_to <= r->skip_tick))
			return 1;	/* not wanted: not read */
		if (err == 1 && (out == NULL || (err = seg_cursor_payload(
		    &r->c, rec, out)) == 0))
			return 1;
		if (out != NULL)
			out->len = before;
		if (err > -10000 && err != 0)
			return err_set(em, err, "%s: %s", r->dir,
			    err_text(err));
		if (r->c.sealed && r->c.pos < r->c.end)
			return damaged(r, err == 0 ? ERR_RANGE : err, em);
		if (r->number != 0 && !r->c.sealed) {
			if ((e = look_again(r, &grown)) != 0)
				return e;
			if (grown && (err == 0 || err == ERR_TRUNCATED))
				continue;
		}
		if ((e = follow(r, &sealed_at, em)) < 0 || e > 1)
			return e;
		if (e == 1)
			continue;
		if (sealed_at != UINT64_MAX) {
			/* It grew to its end after we had looked. */
			seg_cursor_seal(&r->c, sealed_at);
			continue;
		}
		return err == 0 ? QUEUE_READ_END : bad_end(r, err, em);
	}
}

static void
describe(struct queue_reader *r, const struct fmt_record *h,
    struct queue_record *rec)
{
	memset(rec, 0, sizeof(*rec));
	rec->epoch = r->epoch;
	rec->segment = r->number;
	rec->offset = h->offset;
	rec->end = fmt_record_end(h);
	rec->meta.tick_from = h->tick_from;
	rec->meta.tick_to = h->tick_to;
	rec->meta.reboot_id = h->reboot_id;
	rec->meta.line_crc = h->line_crc;
	rec->meta.ops = h->ops;
	rec->meta.flags = h->flags;
	rec->time_us = h->time_us;
	rec->raw_len = h->raw_len;
	rec->stored_len = h->stored_len;
	rec->codec = h->codec;
	rec->file_at = seg_cursor_file_at(&r->c, h->offset) + FMT_REC_BYTES;
}

static int
next(struct queue_reader *r, struct queue_record *rec, struct buf *payload,
    bool stored, struct err_msg *em)
{
	struct fmt_record	 h;
	struct buf		*out;
	int			 e;

	if (!r->placed)
		return err_set(em, ERR_BAD_STATE, "%s: the reader has no "
		    "position", r->dir);
	if (r->sticky != 0) {
		if (em != NULL)
			*em = r->sticky_em;
		return r->sticky;
	}
	/* Plain payloads go to the caller at once, others through r->stored;
	 * which it is the header tells, and it is in the window then. */
	for (;;) {
		buf_reset(&r->stored);
		if ((e = step(r, &h, NULL, em)) != 1)
			break;
		if ((r->skip && h.tick_to <= r->skip_tick) ||
		    h.type != FMT_BATCH) {
			seg_cursor_skip(&r->c, &h);
			r->offset = r->c.pos;
			continue;
		}
		if (payload == NULL)
			break;
		out = stored || h.codec == QUEUE_CODEC_NONE ? payload :
		    &r->stored;
		if ((e = step(r, &h, out, em)) != 1)
			break;
		if (out == payload)
			break;
		e = queue_decode(h.codec, r->stored.data, r->stored.len,
		    h.raw_len, payload);
		if (e == ERR_CORRUPT)
			return damaged(r, e, em);
		if (e != 0)
			return err_set(em, e, "%s: codec %u: %s", r->dir,
			    h.codec, err_text(e));
		e = 1;
		break;
	}
	if (e == 1) {
		describe(r, &h, rec);
		seg_cursor_skip(&r->c, &h);
		r->offset = r->c.pos;
		r->may_turn = false;
		r->judged_end = 0;
		return 1;
	}
	if (e == QUEUE_READ_EPOCH || e == QUEUE_READ_GONE)
		return stay(r, e, NULL);
	return e;
}

int
queue_reader_next(struct queue_reader *r, struct queue_record *rec,
    struct buf *payload, struct err_msg *em)
{
	return next(r, rec, payload, false, em);
}

int
queue_reader_next_stored(struct queue_reader *r, struct queue_record *rec,
    struct buf *payload, struct err_msg *em)
{
	return next(r, rec, payload, true, em);
}

void
queue_reader_pos(const struct queue_reader *r, uint64_t *epoch,
    uint64_t *offset)
{
	*epoch = r->placed ? r->epoch : 0;
	*offset = r->offset;
}

const struct queue_channel *
queue_reader_channel(const struct queue_reader *r)
{
	return r->have_channel ? &r->file.h.channel : NULL;
}

int
queue_reader_fd(const struct queue_reader *r)
{
	return r->c.fd;
}
