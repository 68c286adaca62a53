/* receive_inbox.c - what waits to be applied; see receive_inbox.h */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ipc/codec.h"
#include "receive/receive_inbox.h"

/*
 * A piece may overrun what was allowed, and pieces may be under way when
 * nothing is left; beyond this the other end does not count at all.
 */
#define OVERRUN_MAX	((uint64_t)4 * 1024 * 1024)
/* Records of so many bytes stay where they are. */
#define INBOX_STAY_BYTES	((size_t)16 * 1024)

void
inbox_init(struct inbox *in)
{
	memset(in, 0, sizeof(*in));
	in->last = &in->first;
	in->live_said = in->bulk_said = CHANNEL_FIRST_CREDIT;
}

void
inbox_forget(struct buf *b)
{
	if (b->cap > INBOX_KEEP_BYTES)
		buf_free(b);
	buf_reset(b);
}

void
inbox_quiet(struct inbox *in)
{
	if (in->now.text.len == 0)
		buf_free(&in->now.text);
	if (in->later.text.len == 0)
		buf_free(&in->later.text);
	if (in->snap.text.len == 0)
		buf_free(&in->snap.text);
}

static void
lines_free(struct inbox_lines *l)
{
	struct inbox_part	*p;

	while ((p = l->first) != NULL) {
		l->first = p->next;
		buf_free(&p->memory);
		free(p);
	}
	l->last = NULL;
}

/* Takes the memory. */
static void
lines_add(struct inbox_lines *l, struct buf *memory, size_t at)
{
	struct inbox_part	*p = xmalloc(sizeof(*p));

	p->next = NULL;
	p->memory = *memory;
	p->at = at;
	*memory = (struct buf)BUF_INIT;
	if (l->last == NULL)
		l->first = p;
	else
		l->last->next = p;
	l->last = p;
}

static void
block_reset(struct inbox_block *b)
{
	lines_free(&b->lines);
	inbox_forget(&b->text);
	b->whole = 0;
	b->payload = 0;
	b->boundary = false;
}

void
inbox_reset(struct inbox *in)
{
	struct inbox_piece	*p;

	block_reset(&in->now);
	block_reset(&in->later);
	block_reset(&in->snap);
	in->parted = false;
	while ((p = inbox_next(in)) != NULL)
		free(p);
	in->pieces_payload = in->taken = in->live_in = in->bulk_in = 0;
	in->live_said = in->bulk_said = CHANNEL_FIRST_CREDIT;
}

void
inbox_free(struct inbox *in)
{
	inbox_reset(in);
	buf_free(&in->now.text);
	buf_free(&in->later.text);
	buf_free(&in->snap.text);
}

/* ---- in ----------------------------------------------------------------- */

static int
count_in(uint64_t *in, uint64_t said, size_t len)
{
	if (*in > said + OVERRUN_MAX)
		return ERR_PROTOCOL;
	*in += len;
	return 0;
}

static int
block_add(struct inbox_block *b, const void *p, size_t len, bool more,
    size_t payload)
{
	const uint8_t	*nl;
	size_t		 at = b->text.len;
	int		 r;

	b->payload += payload;
	if (len == 0)
		return 0;
	if (at - b->whole + len > INBOX_LINE_MAX)
		return ERR_TOO_BIG;
	if ((r = buf_try_reserve(&b->text, len + 1)) != 0)
		return r;
	buf_append(&b->text, p, len);
	if (!more) {
		if (b->text.data[b->text.len - 1] != '\n')
			buf_append_u8(&b->text, '\n');
		b->whole = b->text.len;
	} else if ((nl = memrchr(b->text.data + at, '\n', len)) != NULL)
		b->whole = (size_t)(nl - b->text.data) + 1;
	return 0;
}

/* Whole lines, many enough to be worth a part of their own? */
static bool
may_stay(const struct inbox_block *b, const struct channel_record *rec)
{
	return rec->len >= INBOX_STAY_BYTES && b->whole == b->text.len &&
	    (rec->flags & CHANNEL_MORE) == 0 &&
	    rec->lines[rec->len - 1] == '\n';
}

static void
stay(struct inbox_block *b, struct buf *memory, size_t at, size_t payload)
{
	if (b->text.len != 0)
		lines_add(&b->lines, &b->text, 0);
	b->whole = 0;
	lines_add(&b->lines, memory, at);
	b->payload += payload;
}

/* memory may be NULL; else it holds p, at its end. */
static int
record_add(struct inbox *in, const uint8_t *p, size_t len, struct buf *memory)
{
	struct inbox_block	*b = in->parted ? &in->later : &in->now;
	struct channel_record	 rec;
	int			 r;

	if ((r = count_in(&in->live_in, in->live_said, len)) != 0 ||
	    (r = channel_record_get(p, len, &rec)) != 0)
		return r;
	if (memory != NULL && may_stay(b, &rec))
		stay(b, memory, memory->len - rec.len, len);
	else
		r = block_add(b, rec.lines, rec.len,
		    (rec.flags & CHANNEL_MORE) != 0, len);
	if (r == 0 && (rec.flags & CHANNEL_BOUNDARY) != 0) {
		/* nothing of a response is left over */
		if (b->whole != b->text.len)
			return ERR_FORMAT;
		b->boundary = true;
		b->pos = rec.pos;
	}
	return r;
}

int
inbox_record(struct inbox *in, const void *p, size_t len)
{
	return record_add(in, p, len, NULL);
}

int
inbox_record_memory(struct inbox *in, struct buf *memory, size_t at)
{
	return record_add(in, memory->data + at, memory->len - at, memory);
}

int
inbox_snap(struct inbox *in, const void *p, size_t len)
{
	struct rbuf	 m = { p, len };
	uint8_t		 flags;
	int		 r;

	if ((r = count_in(&in->bulk_in, in->bulk_said, len)) != 0 ||
	    (r = get_u8(&m, &flags)) != 0)
		return r;
	if ((flags & ~CHANNEL_MORE) != 0)
		return ERR_FORMAT;
	return block_add(&in->snap, m.p, m.left, (flags & CHANNEL_MORE) != 0,
	    len);
}

int
inbox_piece(struct inbox *in, uint16_t type, const void *p, size_t len)
{
	struct inbox_piece	*piece;
	int			 r;

	if ((r = count_in(&in->bulk_in, in->bulk_said, len)) != 0)
		return r;
	piece = xmalloc(sizeof(*piece) + len);
	piece->next = NULL;
	piece->type = type;
	piece->len = len;
	memcpy(piece->data, p, len);
	*in->last = piece;
	in->last = &piece->next;
	in->pieces_payload += len;
	return 0;
}

/* ---- out ---------------------------------------------------------------- */

static bool
has_lines(const struct inbox_block *b)
{
	return b->whole != 0 || b->lines.first != NULL;
}

bool
inbox_has(const struct inbox_block *b)
{
	return has_lines(b) || b->boundary;
}

void
inbox_take_lines(struct inbox *in, struct inbox_lines *out, bool *boundary,
    struct sync_pos *pos)
{
	struct inbox_block	*b = &in->now;
	struct buf		 full = b->text;
	size_t			 rest = full.len - b->whole;

	*boundary = b->boundary;
	if (b->boundary)
		*pos = b->pos;
	if (b->whole != 0) {
		b->text = (struct buf)BUF_INIT;
		if (rest != 0)
			buf_append(&b->text, full.data + b->whole, rest);
		full.len = b->whole;
		lines_add(&b->lines, &full, 0);
	}
	*out = b->lines;
	memset(&b->lines, 0, sizeof(b->lines));
	in->taken = out->first != NULL ? b->payload : 0;
	b->whole = 0;
	b->payload = 0;
	b->boundary = false;
}

void
inbox_lines_done(struct inbox *in, struct inbox_lines *l)
{
	lines_free(l);
	in->taken = 0;
}

void
inbox_take(struct inbox_block *b, struct buf *out, bool *boundary,
    struct sync_pos *pos)
{
	struct buf	 full = b->text;
	size_t		 rest = full.len - b->whole;

	*boundary = b->boundary;
	if (b->boundary)
		*pos = b->pos;
	inbox_forget(out);
	b->text = *out;
	if (rest != 0)
		buf_append(&b->text, full.data + b->whole, rest);
	full.len = b->whole;
	*out = full;
	b->whole = 0;
	b->payload = 0;
	b->boundary = false;
}

bool
inbox_is_empty(const struct inbox *in)
{
	return in->now.text.len == 0 && in->now.lines.first == NULL &&
	    in->later.text.len == 0 && in->later.lines.first == NULL &&
	    in->snap.text.len == 0 && in->first == NULL && !in->parted;
}

struct inbox_piece *
inbox_next(struct inbox *in)
{
	struct inbox_piece	*p = in->first;

	if (p == NULL)
		return NULL;
	in->first = p->next;
	if (in->first == NULL)
		in->last = &in->first;
	in->pieces_payload -= p->len;
	return p;
}

void
inbox_part(struct inbox *in)
{
	in->parted = true;
}

void
inbox_join(struct inbox *in)
{
	struct inbox_block	 empty;

	if (!in->parted)
		return;
	in->parted = false;
	/* everything before the cut was taken; a cut is not within a line */
	empty = in->now;
	in->now = in->later;
	in->later = empty;
	block_reset(&in->later);
}

/* ---- credits ------------------------------------------------------------ */

static uint64_t
held(const struct inbox_block *b)
{
	return has_lines(b) ? b->payload : 0;
}

static bool
worth(uint64_t total, uint64_t said, uint64_t window)
{
	return total >= said + window / 4;
}

bool
inbox_credit(struct inbox *in, uint64_t *live, uint64_t *bulk)
{
	uint64_t	 l, b;

	l = in->live_in - in->taken - held(&in->now) - held(&in->later) +
	    INBOX_WINDOW_LIVE;
	b = in->bulk_in - held(&in->snap) - in->pieces_payload +
	    INBOX_WINDOW_BULK;
	if (!worth(l, in->live_said, INBOX_WINDOW_LIVE) &&
	    !worth(b, in->bulk_said, INBOX_WINDOW_BULK))
		return false;
	in->live_said = *live = MAX(l, in->live_said);
	in->bulk_said = *bulk = MAX(b, in->bulk_said);
	return true;
}
