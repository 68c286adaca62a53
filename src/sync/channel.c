/* channel.c - messages of a shard pair as bytes; see channel.h */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "sync/channel.h"

#define PIECE_FLAGS	(CHANNEL_MORE | CHANNEL_BOUNDARY | CHANNEL_LAST)

bool
channel_is_bulk(uint16_t type)
{
	switch (type) {
	case MSG_CH_SNAP:
	case MSG_CH_SNAP_END:
	case MSG_CH_SUMS:
	case MSG_CH_PAIRS:
	case MSG_CH_DOCS:
	case MSG_CH_STRUCTURE:
		return true;
	default:
		return false;
	}
}

static int
get_flags(struct rbuf *m, uint8_t *flags)
{
	int	 r;

	if ((r = get_u8(m, flags)) != 0)
		return r;
	return (*flags & ~PIECE_FLAGS) != 0 ? ERR_FORMAT : 0;
}

void
channel_name_put(struct buf *b, const struct channel_name *n)
{
	put_str(b, n->db);
	put_u64(b, n->cid);
	put_u32(b, n->shard);
}

int
channel_name_get(struct rbuf *m, struct channel_name *n)
{
	int	 r;

	memset(n, 0, sizeof(*n));
	if ((r = get_str(m, n->db, sizeof(n->db))) != 0 ||
	    (r = get_u64(m, &n->cid)) != 0 ||
	    (r = get_u32(m, &n->shard)) != 0)
		return r;
	return n->db[0] == '\0' || n->cid == 0 ? ERR_FORMAT : 0;
}

char *
channel_name_text(const struct channel_name *n, char text[256])
{
	snprintf(text, 256, "%s/%" PRIu64 "/%" PRIu32, n->db, n->cid,
	    n->shard);
	return text;
}

/* ---- up ---------------------------------------------------------------------- */

void
channel_subscribe_put(struct buf *b, const struct channel_subscribe *s)
{
	channel_name_put(b, &s->name);
	put_bool(b, s->has_record);
	if (s->has_record)
		shard_record_put(b, &s->record);
	put_str(b, s->target_cid);
	put_str(b, s->target_server);
	put_u64(b, s->target_reboot);
	put_str(b, s->repair);
}

int
channel_subscribe_get(struct rbuf *m, struct channel_subscribe *s)
{
	int	 r;

	memset(s, 0, sizeof(*s));
	if ((r = channel_name_get(m, &s->name)) != 0 ||
	    (r = get_bool(m, &s->has_record)) != 0 ||
	    (s->has_record && (r = shard_record_get(m, &s->record)) != 0) ||
	    (r = get_str(m, s->target_cid, sizeof(s->target_cid))) != 0 ||
	    (r = get_str(m, s->target_server,
	    sizeof(s->target_server))) != 0 ||
	    (r = get_u64(m, &s->target_reboot)) != 0 ||
	    (r = get_str(m, s->repair, sizeof(s->repair))) != 0)
		return r;
	return get_end(m);
}

void
channel_credit_put(struct buf *b, uint64_t live, uint64_t bulk)
{
	put_u64(b, live);
	put_u64(b, bulk);
}

int
channel_credit_get(struct rbuf *m, uint64_t *live, uint64_t *bulk)
{
	int	 r;

	if ((r = get_u64(m, live)) != 0 || (r = get_u64(m, bulk)) != 0)
		return r;
	return get_end(m);
}

/* ---- down -------------------------------------------------------------------- */

void
channel_resume_put(struct buf *b, const struct channel_resume *r)
{
	pos_put(b, &r->pos);
	put_u64(b, r->queued);
	put_u64(b, r->leader_changes);
}

int
channel_resume_get(struct rbuf *m, struct channel_resume *res)
{
	int	 r;

	if ((r = pos_get(m, &res->pos)) != 0 ||
	    (r = get_u64(m, &res->queued)) != 0 ||
	    (r = get_u64(m, &res->leader_changes)) != 0)
		return r;
	return get_end(m);
}

void
channel_cut_put(struct buf *b, const struct channel_cut *c)
{
	pos_put(b, &c->pos);
	put_u64(b, c->documents);
	put_u64(b, c->leader_changes);
	put_bool(b, c->compare);
}

int
channel_cut_get(struct rbuf *m, struct channel_cut *c)
{
	int	 r;

	if ((r = pos_get(m, &c->pos)) != 0 ||
	    (r = get_u64(m, &c->documents)) != 0 ||
	    (r = get_u64(m, &c->leader_changes)) != 0 ||
	    (r = get_bool(m, &c->compare)) != 0)
		return r;
	return get_end(m);
}

void
channel_stored_put(struct buf *b, uint8_t flags, const struct sync_pos *pos)
{
	struct sync_pos	 p;

	put_u8(b, flags);
	if ((flags & CHANNEL_BOUNDARY) == 0)
		return;
	p = *pos;
	p.epoch = p.offset = 0;
	pos_put(b, &p);
}

int
channel_stored_get(const void *p, size_t len, struct channel_record *rec)
{
	struct rbuf	 m = { p, len };
	int		 r;

	memset(rec, 0, sizeof(*rec));
	if ((r = get_flags(&m, &rec->flags)) != 0)
		return r;
	if ((rec->flags & CHANNEL_BOUNDARY) != 0 &&
	    (r = pos_get(&m, &rec->pos)) != 0)
		return r;
	/* A response does not end within a line. */
	if ((rec->flags & CHANNEL_BOUNDARY) && (rec->flags & CHANNEL_MORE))
		return ERR_FORMAT;
	rec->lines = m.p;
	rec->len = m.left;
	return 0;
}

void
channel_record_put(struct buf *b, uint64_t epoch, uint64_t offset)
{
	put_u64(b, epoch);
	put_u64(b, offset);
}

int
channel_record_get(const void *p, size_t len, struct channel_record *rec)
{
	struct rbuf	 m = { p, len };
	uint64_t	 epoch, offset;
	int		 r;

	if ((r = get_u64(&m, &epoch)) != 0 ||
	    (r = get_u64(&m, &offset)) != 0 ||
	    (r = channel_stored_get(m.p, m.left, rec)) != 0)
		return r;
	rec->epoch = rec->pos.epoch = epoch;
	rec->offset = rec->pos.offset = offset;
	return 0;
}

void
channel_pairs_put(struct buf *b, uint32_t request, uint8_t flags)
{
	put_u32(b, request);
	put_u8(b, flags);
}

int
channel_pairs_get(struct rbuf *m, uint32_t *request, uint8_t *flags)
{
	int	 r;

	if ((r = get_u32(m, request)) != 0)
		return r;
	return get_flags(m, flags);
}

void
channel_docs_put(struct buf *b, uint32_t request, uint8_t flags)
{
	channel_pairs_put(b, request, flags);
}

int
channel_docs_get(struct rbuf *m, uint32_t *request, uint8_t *flags)
{
	return channel_pairs_get(m, request, flags);
}

void
channel_doc_put(struct buf *b, uint32_t index, uint8_t found, const void *doc,
    size_t len)
{
	put_u32(b, index);
	put_u8(b, found);
	put_bytes(b, doc, len);
}

int
channel_doc_get(struct rbuf *m, uint32_t *index, uint8_t *found,
    const uint8_t **doc, size_t *len)
{
	int	 r;

	if ((r = get_u32(m, index)) != 0 || (r = get_u8(m, found)) != 0 ||
	    (r = get_bytes(m, doc, len)) != 0)
		return r;
	return *found > CHANNEL_DOC_GOES_ON ? ERR_FORMAT : 0;
}

/* ---- the session --------------------------------------------------------------- */

void
channel_watermark_put(struct buf *b, const struct channel_watermark *w)
{
	pos_put(b, &w->pos);
	put_u64(b, w->newest_tick);
	put_u64(b, w->source_us);
}

int
channel_watermark_get(struct rbuf *m, struct channel_watermark *w)
{
	int	 r;

	if ((r = pos_get(m, &w->pos)) != 0 ||
	    (r = get_u64(m, &w->newest_tick)) != 0 ||
	    (r = get_u64(m, &w->source_us)) != 0)
		return r;
	return get_end(m);
}
