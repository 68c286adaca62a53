/*
 * recover.c - opening what a writer left behind.
 *
 * Reads all headers and the records of the last segment.  Cuts what a crash
 * explains: a record that is not whole at the end, and then the records of a
 * response that did not end.  Everything else is damage: nothing is changed.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fsx.h"
#include "queue/queue_priv.h"
#include "queue/segment.h"

/* What a walk through one segment found. */
struct walk {
	uint64_t		 end;		/* behind the last record */
	uint64_t		 mark_offset;
	struct queue_mark	 mark;
	uint64_t		 after_mark;	/* records behind the mark */
	uint64_t		 torn_bytes;
	bool			 clean;
};

static int
same_channel(const struct queue *q, const struct queue_channel *want,
    const struct queue_channel *have, struct err_msg *em)
{
	if (strcmp(want->cluster, have->cluster) == 0 &&
	    strcmp(want->database, have->database) == 0 &&
	    want->cid == have->cid && want->shard == have->shard)
		return 0;
	return err_set(em, ERR_EXISTS, "%s: holds another channel: cluster "
	    "%s, database %s, collection %" PRIu64 ", shard %" PRIu32, q->dir,
	    have->cluster, have->database, have->cid, have->shard);
}

static void
remove_leftovers(struct queue *q, struct queue_recovery *rec)
{
	struct dirent	*e;
	DIR		*d;
	char		*path;

	if ((d = opendir(q->dir)) == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		if (!seg_is_leftover(e->d_name))
			continue;
		path = xasprintf("%s/%s", q->dir, e->d_name);
		if (unlink(path) == 0)
			rec->leftovers++;
		else
			rec->delete_failed = true;
		free(path);
	}
	closedir(d);
}

static void
note_record(struct walk *w, const struct fmt_record *h)
{
	w->end = fmt_record_end(h);
	w->after_mark++;
	if (h->flags & QUEUE_BOUNDARY) {
		w->mark_offset = w->end;
		w->mark.tick = h->tick_to;
		w->mark.reboot_id = h->reboot_id;
		w->mark.line_crc = h->line_crc;
		w->after_mark = 0;
	}
}

/*
 * All records of the segment behind c.  When it is not sealed, a bad one may
 * be the torn tail.
 */
static int
walk_segment(struct queue *q, struct seg_cursor *c,
    const struct fmt_segment *h, struct walk *w, struct err_msg *em)
{
	struct fmt_record	 rec;
	int			 r, e;

	memset(w, 0, sizeof(*w));
	w->end = h->base;
	w->mark = h->mark;
	w->mark_offset = h->mark_offset;
	while ((r = seg_cursor_header(c, &rec)) == 1) {
		if (rec.type == FMT_CLOSE)
			break;
		if ((r = seg_cursor_payload(c, &rec, NULL)) != 0)
			break;
		note_record(w, &rec);
		seg_cursor_skip(c, &rec);
	}
	if (r == 0)
		return 0;
	if (r == 1) {
		w->clean = !c->sealed && w->mark_offset == w->end &&
		    fmt_record_end(&rec) == c->end;
		/* Nothing is ever written behind it. */
		return w->clean ? 0 : seg_damage(em, q->dir, c->epoch,
		    c->number, seg_cursor_file_at(c, c->pos), ERR_RANGE);
	}
	e = c->sealed || r > -10000 ? r : seg_cursor_judge(c);
	if (e == 0) {
		w->torn_bytes = c->end - c->pos;
		return 0;
	}
	if (e > -10000)		/* the disk, not what is on it */
		return err_set(em, e, "%s: %s", q->dir, err_text(e));
	return seg_damage(em, q->dir, c->epoch, c->number,
	    seg_cursor_file_at(c, c->pos), r);
}

/*
 * Cut the file behind `end`, or only make durable what a dead writer left in
 * memory: from here on all of it counts as on disk.
 */
static int
cut(struct queue *q, const struct seg_file *f, int fd, uint64_t end,
    struct err_msg *em)
{
	uint64_t	 size = f->h.header_bytes + (end - f->h.base);
	char		*path;
	int		 r;

	if (size < f->size) {
		path = seg_path(q->dir, f->epoch, f->number);
		r = fsx_truncate(path, size);
		free(path);
	} else
		r = fsx_fdatasync(fd);
	return r == 0 ? 0 : err_set(em, r, "%s: cannot cut a torn end: %s",
	    q->dir, err_text(r));
}

/*
 * The last segment, and those before it as long as they hold nothing but the
 * middle of a response that did not end.  These are removed from the end, one
 * by one and durably, before the one where the response began is cut: a crash
 * in between leaves the same work with less to do.
 */
static int
recover_end(struct queue *q, struct seg_list *l, size_t first,
    struct queue_recovery *rec, struct walk *w, struct err_msg *em)
{
	struct seg_cursor	 c = { .fd = -1 };
	struct seg_file		*f;
	uint64_t		 sealed_at = 0;
	bool			 sealed = false;
	char			*path;
	int			 fd, r;

	for (;;) {
		f = &l->v[l->n - 1];
		if ((r = seg_open(q->dir, f, &fd, em)) != 0)
			break;
		seg_cursor_init(&c, fd, &f->h);
		if (sealed)
			seg_cursor_seal(&c, sealed_at);
		else
			seg_cursor_set_size(&c, f->size);
		r = walk_segment(q, &c, &f->h, w, em);
		rec->torn_bytes += w->torn_bytes;
		rec->unfinished_records += w->after_mark;
		if (r == 0 && w->mark_offset >= f->h.base) {
			if (!w->clean)
				r = cut(q, f, fd, w->mark_offset, em);
			close(fd);
			break;
		}
		close(fd);
		if (r != 0)
			break;
		if (l->n - 1 == first) {
			r = seg_damage(em, q->dir, f->epoch, f->number, 72,
			    ERR_RANGE);
			break;
		}
		path = seg_path(q->dir, f->epoch, f->number);
		r = fsx_unlink(path);
		if (r != 0)
			err_set(em, r, "%s: %s", path, err_text(r));
		free(path);
		if (r != 0)
			break;
		rec->unfinished_segments++;
		sealed = true;
		sealed_at = f->h.base;
		l->n--;
	}
	seg_cursor_free(&c);
	return r;
}

static void
take_segments(struct queue *q, const struct seg_list *l, size_t first,
    const struct walk *w)
{
	const struct seg_file	*f;
	struct queue_seg	*s;
	size_t			 i;

	for (i = first; i < l->n; i++) {
		f = &l->v[i];
		s = queue_push_seg(q);
		s->epoch = f->epoch;
		s->number = f->number;
		s->base = f->h.base;
		s->bytes = f->size;
		if (i == l->n - 1 && !w->clean)	/* was cut */
			s->bytes = f->h.header_bytes +
			    (w->mark_offset - s->base);
	}
}

/* Files of before a reset that was interrupted. */
static void
remove_discarded(struct queue *q, const struct seg_list *l, size_t first,
    struct queue_recovery *rec)
{
	size_t	 i;
	char	*path;

	for (i = 0; i < first; i++) {
		path = seg_path(q->dir, l->v[i].epoch, l->v[i].number);
		if (unlink(path) == 0)
			rec->leftovers++;
		else
			rec->delete_failed = true;
		free(path);
	}
}

static int
recover_segments(struct queue *q, const struct queue_channel *c,
    struct seg_list *l, struct queue_recovery *rec, struct err_msg *em)
{
	const struct fmt_segment	*h;
	struct walk			 w;
	uint64_t			 last_epoch;
	size_t				 first;
	int				 r;

	if ((r = seg_list_check(q->dir, l, &first, em)) != 0)
		return r;
	h = &l->v[l->n - 1].h;
	if ((r = same_channel(q, c, &h->channel, em)) != 0)
		return r;
	last_epoch = h->epoch;
	q->next_number = h->number + 1;
	rec->server_changed = strcmp(c->server, h->channel.server) != 0;
	if ((r = recover_end(q, l, first, rec, &w, em)) != 0)
		return r;
	remove_discarded(q, l, first, rec);
	take_segments(q, l, first, &w);
	rec->clean = w.clean;
	q->wrong_server = rec->server_changed;
	q->epoch = w.clean ? last_epoch : queue_new_epoch(last_epoch);
	q->received.offset = q->received.mark_offset = w.mark_offset;
	q->received.mark = w.mark;
	q->acked = q->segs[0].base;
	return 0;
}

int
queue_recover(struct queue *q, const struct queue_channel *c,
    struct queue_recovery *rec, struct err_msg *em)
{
	struct seg_list	 l = SEG_LIST_INIT;
	int		 r;

	memset(rec, 0, sizeof(*rec));
	q->channel = *c;
	remove_leftovers(q, rec);
	if ((r = seg_list_read(q->dir, &l, em)) == 0) {
		if (l.n > 0)
			r = recover_segments(q, c, &l, rec, em);
		else {
			rec->fresh = true;
			q->epoch = queue_new_epoch(0);
			q->next_number = 1;
			q->received.mark = q->opts.start;
		}
	}
	seg_list_free(&l);
	if (r != 0)
		return r;
	q->received.epoch = q->epoch;
	q->durable = q->received;
	rec->epoch = q->epoch;
	rec->segments = q->n_segs;
	return 0;
}
