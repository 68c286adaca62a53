/* segment.c - the segments of a directory, and walking through one */
#include <sys/stat.h>
#include <sys/uio.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/fsx.h"
#include "base/str.h"
#include "queue/segment.h"

#define LIST_TRIES	100	/* while files disappear */
#define CHECK_TRIES	3	/* while files appear */

/* --- names --------------------------------------------------------------- */

char *
seg_name(uint64_t epoch, uint64_t number, char name[SEG_NAME_BYTES])
{
	snprintf(name, SEG_NAME_BYTES, "%016" PRIx64 "-%016" PRIx64 ".seg",
	    epoch, number);
	return name;
}

char *
seg_path(const char *dir, uint64_t epoch, uint64_t number)
{
	char	 name[SEG_NAME_BYTES];

	return xasprintf("%s/%s", dir, seg_name(epoch, number, name));
}

bool
seg_parse_name(const char *name, uint64_t *epoch, uint64_t *number)
{
	char	 hex[17], again[SEG_NAME_BYTES];

	if (strlen(name) != 37)
		return false;
	memcpy(hex, name, 16);
	hex[16] = '\0';
	if (str_hex_to_u64(hex, epoch) != 0)
		return false;
	memcpy(hex, name + 17, 16);
	if (str_hex_to_u64(hex, number) != 0)
		return false;
	/* One name for one segment: no upper case, no other ending. */
	return strcmp(seg_name(*epoch, *number, again), name) == 0;
}

static int
compare(const void *va, const void *vb)
{
	const struct seg_file	*a = va, *b = vb;

	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

bool
seg_is_leftover(const char *name)
{
	size_t		 n = strlen(name);
	char		 seg[38];
	uint64_t	 a, b;

	/* As fsx_create_exclusive() calls its temporary file. */
	if (n <= 37 || strcmp(name + n - 4, ".tmp") != 0)
		return false;
	memcpy(seg, name, 37);
	seg[37] = '\0';
	return seg_parse_name(seg, &a, &b);
}

int
seg_list_names(const char *dir, struct seg_list *l)
{
	struct seg_file	 f;
	struct dirent	*e;
	DIR		*d;
	int		 r;

	l->n = 0;
	if ((d = opendir(dir)) == NULL)
		return errno == ENOENT ? 0 : -errno;
	memset(&f, 0, sizeof(f));
	while (errno = 0, (e = readdir(d)) != NULL) {
		if (!seg_parse_name(e->d_name, &f.epoch, &f.number))
			continue;
		if (l->n == l->cap) {
			l->cap = l->cap == 0 ? 8 : l->cap * 2;
			l->v = xrealloc(l->v, l->cap * sizeof(*l->v));
		}
		l->v[l->n++] = f;
	}
	r = -errno;
	closedir(d);
	if (r == 0 && l->n > 1)
		qsort(l->v, l->n, sizeof(*l->v), compare);
	return r;
}

void
seg_list_free(struct seg_list *l)
{
	free(l->v);
	memset(l, 0, sizeof(*l));
}

/* --- headers ------------------------------------------------------------- */

static const char *
damage_text(int err)
{
	switch (err) {
	case ERR_FORMAT:
		return "no record begins here";
	case ERR_TRUNCATED:
		return "the file ends too early";
	case ERR_CORRUPT:
		return "checksum does not match";
	case ERR_RANGE:
		return "numbers that cannot be";
	default:
		return err_text(err);
	}
}

int
seg_damage(struct err_msg *em, const char *dir, uint64_t epoch,
    uint64_t number, uint64_t file_at, int err)
{
	char	 name[SEG_NAME_BYTES];

	return err_set(em, err < -10000 && err != ERR_VERSION ? ERR_CORRUPT :
	    err, "%s/%s: offset %" PRIu64 ": %s", dir,
	    seg_name(epoch, number, name), file_at, damage_text(err));
}

static int
read_header(int fd, struct fmt_segment *h)
{
	uint8_t	 bytes[FMT_SEG_MAX_BYTES];
	ssize_t	 n;

	do
		n = pread(fd, bytes, sizeof(bytes), 0);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return -errno;
	return fmt_get_segment(bytes, (size_t)n, h);
}

int
seg_open(const char *dir, struct seg_file *f, int *fd, struct err_msg *em)
{
	struct stat	 st;
	char		*path = seg_path(dir, f->epoch, f->number);
	int		 r = 0, file;

	if ((file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) == -1 ||
	    fstat(file, &st) == -1)
		r = err_set(em, -errno, "%s: %s", path, strerror(errno));
	else if ((r = read_header(file, &f->h)) == ERR_VERSION)
		r = err_set(em, r, "%s: written by a newer version", path);
	else if (r == ERR_FORMAT)
		r = err_set(em, ERR_CORRUPT,
		    "%s: offset 0: this is no segment", path);
	else if (r != 0)
		r = seg_damage(em, dir, f->epoch, f->number, 0, r);
	else if (f->h.epoch != f->epoch || f->h.number != f->number)
		r = err_set(em, ERR_CORRUPT, "%s: offset 24: header of "
		    "another segment", path);
	free(path);
	if (r != 0) {
		if (file != -1)
			close(file);
		return r;
	}
	f->size = (uint64_t)st.st_size;
	*fd = file;
	return 0;
}

int
seg_list_read(const char *dir, struct seg_list *l, struct err_msg *em)
{
	size_t	 i;
	int	 fd, r, tries = 0;

again:
	if ((r = seg_list_names(dir, l)) != 0)
		return err_set(em, r, "%s: %s", dir, err_text(r));
	for (i = 0; i < l->n; i++) {
		r = seg_open(dir, &l->v[i], &fd, em);
		/* Deleted meanwhile, perhaps with some that were seen. */
		if (r == -ENOENT && tries++ < LIST_TRIES)
			goto again;
		if (r != 0)
			return r;
		close(fd);
	}
	return 0;
}

int
seg_list_load(const char *dir, struct seg_list *l, size_t *first,
    struct err_msg *em)
{
	int	 r, tries = 0;

	/* readdir(3) may show of two new files the second one only. */
	do
		if ((r = seg_list_read(dir, l, em)) == 0)
			r = seg_list_check(dir, l, first, em);
	while (r == ERR_CORRUPT && tries++ < CHECK_TRIES);
	return r;
}

int
seg_list_check(const char *dir, const struct seg_list *l, size_t *first,
    struct err_msg *em)
{
	const struct seg_file	*a, *b;
	char			 name[SEG_NAME_BYTES];
	size_t			 i;

	*first = 0;
	for (i = 0; i < l->n; i++)
		if (l->v[i].h.flags & FMT_SEG_DISCARDS)
			*first = i;
	for (i = *first + 1; i < l->n; i++) {
		a = &l->v[i - 1];
		b = &l->v[i];
		if (b->h.prev_epoch != a->epoch ||
		    b->h.prev_number != a->number)
			return err_set(em, ERR_CORRUPT, "%s/%s: offset 48: "
			    "the segment before it is missing", dir,
			    seg_name(b->epoch, b->number, name));
		if (b->h.base < a->h.base || b->h.mark_offset <
		    a->h.mark_offset || b->h.mark.tick < a->h.mark.tick)
			return err_set(em, ERR_CORRUPT, "%s/%s: offset 40: "
			    "goes back behind the segment before it", dir,
			    seg_name(b->epoch, b->number, name));
		if (a->size < a->h.header_bytes + (b->h.base - a->h.base))
			return err_set(em, ERR_CORRUPT, "%s/%s: offset %"
			    PRIu64 ": the file ends too early", dir,
			    seg_name(a->epoch, a->number, name), a->size);
	}
	return 0;
}

/* --- walking through one ------------------------------------------------- */

void
seg_cursor_init(struct seg_cursor *c, int fd, const struct fmt_segment *h)
{
	uint8_t	*win = c->win;

	memset(c, 0, sizeof(*c));
	c->win = win;
	c->fd = fd;
	c->epoch = h->epoch;
	c->number = h->number;
	c->base = c->pos = c->end = h->base;
	c->header_bytes = h->header_bytes;
}

void
seg_cursor_free(struct seg_cursor *c)
{
	free(c->win);
	c->win = NULL;
	c->win_len = 0;
}

void
seg_cursor_set_size(struct seg_cursor *c, uint64_t size)
{
	c->end = c->base +
	    (size > c->header_bytes ? size - c->header_bytes : 0);
}

void
seg_cursor_seal(struct seg_cursor *c, uint64_t end)
{
	c->end = end;
	c->sealed = true;
}

uint64_t
seg_cursor_file_at(const struct seg_cursor *c, uint64_t offset)
{
	return c->header_bytes + (offset - c->base);
}

/*
 * Have at least `need` bytes (at most a window) from file position `at` in the
 * window.  Bytes that were read before are not read again: a record never
 * changes once it is whole; one that was not whole is dropped by forget().
 */
static int
fill(struct seg_cursor *c, uint64_t at, size_t need)
{
	ssize_t	 n;

	if (at >= c->win_at && at + need <= c->win_at + c->win_len)
		return 0;
	if (c->win == NULL)
		c->win = xmalloc(SEG_WINDOW_BYTES);
	c->win_at = at;
	c->win_len = 0;
	while (c->win_len < need) {
		n = pread(c->fd, c->win + c->win_len,
		    SEG_WINDOW_BYTES - c->win_len,
		    (off_t)(at + c->win_len));
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -errno;
		if (n == 0)
			return ERR_TRUNCATED;
		c->win_len += (size_t)n;
	}
	return 0;
}

static void
forget(struct seg_cursor *c)
{
	c->win_len = 0;
}

int
seg_cursor_header(struct seg_cursor *c, struct fmt_record *r)
{
	uint64_t	 at = seg_cursor_file_at(c, c->pos);
	int		 e;

	if (c->pos >= c->end)
		return 0;
	if (c->end - c->pos < FMT_REC_BYTES)
		return c->sealed ? ERR_FORMAT : ERR_TRUNCATED;
	if ((e = fill(c, at, FMT_REC_BYTES)) != 0)
		return e;
	e = fmt_get_record(c->win + (at - c->win_at), c->epoch, c->number, r);
	if (e == 0 && r->offset != c->pos)
		e = ERR_RANGE;
	if (e == 0 && fmt_record_end(r) > c->end)
		e = ERR_TRUNCATED;
	if (e != 0) {
		forget(c);
		return e;
	}
	return 1;
}

/*
 * The bytes at file position `at`, and with them the header of the record
 * behind, into the window: one system call for each long record.
 */
static int
read_long(struct seg_cursor *c, uint64_t at, uint8_t *to, size_t len)
{
	struct iovec	 iov[2];
	size_t		 done = 0;
	ssize_t		 n;

	if (c->win == NULL)
		c->win = xmalloc(SEG_WINDOW_BYTES);
	c->win_at = at + len;
	c->win_len = 0;
	while (done < len) {
		iov[0].iov_base = to + done;
		iov[0].iov_len = len - done;
		iov[1].iov_base = c->win;
		iov[1].iov_len = FMT_REC_BYTES;
		n = preadv(c->fd, iov, 2, (off_t)(at + done));
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -errno;
		if (n == 0)
			return ERR_TRUNCATED;
		done += (size_t)n;
	}
	c->win_len = done - len;
	return 0;
}

/* The part of the payload that is in the window, and the rest from the file. */
static int
payload_into(struct seg_cursor *c, uint64_t at, uint8_t *to, size_t len)
{
	size_t	 n = 0;
	int	 r;

	if (at >= c->win_at && at < c->win_at + c->win_len) {
		n = MIN(len, (size_t)(c->win_at + c->win_len - at));
		memcpy(to, c->win + (at - c->win_at), n);
	}
	if (n == len)
		return 0;
	if (len - n > SEG_WINDOW_BYTES / 2)
		return read_long(c, at + n, to + n, len - n);
	/* others may follow it */
	if ((r = fill(c, at + n, len - n)) != 0)
		return r;
	memcpy(to + n, c->win, len - n);
	return 0;
}

/* Checksum of bytes of the file, through the window. */
static int
payload_sum(struct seg_cursor *c, uint64_t at, size_t len, uint32_t *sum)
{
	size_t	 n;
	int	 r;

	for (; len > 0; len -= n, at += n) {
		if ((r = fill(c, at, 1)) != 0)
			return r;
		n = MIN(len, (size_t)(c->win_at + c->win_len - at));
		*sum = crc32c(*sum, c->win + (at - c->win_at), n);
	}
	return 0;
}

int
seg_cursor_payload(struct seg_cursor *c, const struct fmt_record *r,
    struct buf *out)
{
	uint64_t	 at = seg_cursor_file_at(c, r->offset) + FMT_REC_BYTES;
	size_t		 len = (size_t)fmt_record_bytes(r->stored_len) -
			    FMT_REC_BYTES;
	uint32_t	 sum = 0;
	int		 e;

	if (out == NULL)
		e = payload_sum(c, at, len, &sum);
	else {
		/* Never without memory: it is added to. */
		buf_reserve(out, len + 1);
		e = payload_into(c, at, out->data + out->len, len);
		if (e == 0)
			sum = crc32c(0, out->data + out->len, len);
	}
	if (e == 0 && sum != r->payload_crc)
		e = ERR_CORRUPT;
	if (e != 0) {
		forget(c);
		return e;
	}
	if (out != NULL)
		out->len += r->stored_len;
	return 0;
}

void
seg_cursor_skip(struct seg_cursor *c, const struct fmt_record *r)
{
	c->pos = fmt_record_end(r);
}

int
seg_cursor_judge(struct seg_cursor *c)
{
	struct fmt_record	 r;
	uint64_t		 pos, at;
	int			 e;

	for (pos = c->pos + FMT_ALIGN; pos + FMT_REC_BYTES <= c->end;
	    pos += FMT_ALIGN) {
		at = seg_cursor_file_at(c, pos);
		if ((e = fill(c, at, FMT_REC_BYTES)) != 0)
			return e == ERR_TRUNCATED ? 0 : e;
		if (fmt_get_record(c->win + (at - c->win_at), c->epoch,
		    c->number, &r) == 0 && r.offset == pos &&
		    r.durable > c->pos) {
			forget(c);
			return ERR_CORRUPT;
		}
	}
	forget(c);
	return 0;
}
