/* send_bulk.c - what waits for bulk credit and room; see send_priv.h */
#include <stdlib.h>
#include <string.h>

#include "http/client.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "send/send_priv.h"

static bool
is_counted(uint16_t type)
{
	return type != MSG_CH_SNAP_END;
}

void
bulk_pump(struct talk *t)
{
	struct bulk_message	*m;
	size_t			 len;

	while (!t->dead && (m = STAILQ_FIRST(&t->bulk)) != NULL &&
	    t->s->api != NULL && peer_has_room(t->s->api) &&
	    (!is_counted(m->type) || t->bulk_sent < t->bulk_credit)) {
		STAILQ_REMOVE_HEAD(&t->bulk, next);
		len = m->b.len;
		t->bulk_bytes -= len;
		if (is_counted(m->type))
			t->bulk_sent += len;
		talk_say(t, m->type, &m->b);
		buf_free(&m->b);
		free(m);
	}
	if (t->bulk_bytes > 0)
		return;
	if (t->paused != NULL) {
		http_call_resume(t->paused);
		t->paused = NULL;
	}
	talk_changed(t);
}

void
bulk_push(struct talk *t, uint16_t type, struct buf *b)
{
	struct bulk_message	*m = xcalloc(1, sizeof(*m));

	m->type = type;
	m->b = *b;
	*b = (struct buf)BUF_INIT;
	t->bulk_bytes += m->b.len;
	STAILQ_INSERT_TAIL(&t->bulk, m, next);
	bulk_pump(t);
}

void
bulk_free(struct talk *t)
{
	struct bulk_message	*m;

	while ((m = STAILQ_FIRST(&t->bulk)) != NULL) {
		STAILQ_REMOVE_HEAD(&t->bulk, next);
		buf_free(&m->b);
		free(m);
	}
	t->bulk_bytes = 0;
}

/*
 * At the begin of an answer, when all of its body is still to come.  It may
 * break off all the same.
 */
void
bulk_hold(struct talk *t, struct http_call *call)
{
	const char	*len;

	t->paused = NULL;
	if (call == NULL)
		return;
	len = http_call_header(call, "content-length");
	if (t->dead || t->bulk_bytes == 0 || (len != NULL &&
	    strcmp(len, "0") == 0))
		return;
	http_call_pause(call);
	t->paused = call;
}

int
bulk_wait(struct talk *t, size_t bytes)
{
	while (!t->dead && t->bulk_bytes > bytes)
		fiber_cond_wait(&t->changed);
	return t->dead ? ERR_CANCELLED : 0;
}

/* ---- messages that are being filled ------------------------------------ */

/*
 * SNAP begins with its flags; PAIRS and DOCS with the number of the request
 * and the flags.  The flags are set when it is known how the piece ends.
 */
static size_t
flags_at(uint16_t type)
{
	return type == MSG_CH_SNAP ? 0 : 4;
}

void
bulk_begin(struct buf *piece, uint16_t type, uint32_t request)
{
	buf_reset(piece);
	if (type == MSG_CH_SNAP)
		put_u8(piece, 0);
	else
		channel_docs_put(piece, request, 0);
}

void
bulk_out(struct talk *t, struct buf *piece, uint16_t type, uint8_t flags)
{
	piece->data[flags_at(type)] |= flags;
	bulk_push(t, type, piece);
}

void
bulk_bytes(struct talk *t, struct buf *piece, const void *data, size_t n)
{
	const uint8_t	*p = data;
	size_t		 room;

	while (n > 0) {
		if (piece->len == 0)
			bulk_begin(piece, MSG_CH_SNAP, 0);
		room = CHANNEL_PIECE_BYTES - piece->len;
		room = MIN(room, n);
		buf_append(piece, p, room);
		p += room;
		n -= room;
		if (piece->len == CHANNEL_PIECE_BYTES)
			bulk_out(t, piece, MSG_CH_SNAP, piece->data[
			    piece->len - 1] == '\n' ? 0 : CHANNEL_MORE);
	}
}

void
bulk_pair(struct talk *t, struct buf *piece, uint32_t request,
    const void *key, size_t len, uint64_t rev)
{
	if (piece->len == 0)
		bulk_begin(piece, MSG_CH_PAIRS, request);
	cmp_pair_put(piece, key, len, rev);
	if (piece->len >= CHANNEL_PIECE_BYTES - 512)
		bulk_out(t, piece, MSG_CH_PAIRS, 0);
}

/* index, found and length in front of each piece of a document */
#define DOC_HEAD_BYTES	16

void
bulk_doc(struct talk *t, struct buf *piece, uint32_t request, uint32_t index,
    const void *data, size_t n)
{
	const uint8_t	*p = data;
	uint8_t		 found = data == NULL ? CHANNEL_DOC_GONE :
			    CHANNEL_DOC_FOUND;
	size_t		 part;

	for (;;) {
		if (piece->len == 0)
			bulk_begin(piece, MSG_CH_DOCS, request);
		if (piece->len > 5 && piece->len + DOC_HEAD_BYTES + MIN(n,
		    CHANNEL_PIECE_BYTES / 4) > CHANNEL_PIECE_BYTES) {
			bulk_out(t, piece, MSG_CH_DOCS, 0);
			continue;
		}
		part = MIN(n, CHANNEL_PIECE_BYTES - piece->len -
		    DOC_HEAD_BYTES);
		channel_doc_put(piece, index, found, p, part);
		n -= part;
		if (n == 0)
			return;
		p += part;
		found = CHANNEL_DOC_GOES_ON;
		bulk_out(t, piece, MSG_CH_DOCS, CHANNEL_MORE);
	}
}
