/*
 * send_fetch.c - documents by key, from the leader; see send_priv.h
 *
 * How large they are is not known before they come, so the first request is
 * small and the next ones are as large as the last one allows.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "send/send_priv.h"
#include "worker/worker.h"

#define FETCH_FIRST	16
#define FETCH_MAX	1000
#define FETCH_BYTES	((uint64_t)4 * 1024 * 1024)

struct fetch {
	struct talk	*t;
	uint32_t	 request;
	uint32_t	 first;		/* index of the present request's */
	uint32_t	 given;		/* elements of its answer */
	uint64_t	 bytes;
	struct buf	 piece;
};

static void
quote(struct buf *b, const uint8_t *p, size_t n)
{
	size_t	 i;

	buf_append_u8(b, '"');
	for (i = 0; i < n; i++) {
		if (p[i] == '"' || p[i] == '\\')
			buf_append_u8(b, '\\');
		if (p[i] < 0x20)
			buf_printf(b, "\\u%04x", p[i]);
		else
			buf_append_u8(b, p[i]);
	}
	buf_append_u8(b, '"');
}

static int
take_document(void *arg, size_t index, const struct arango_doc *doc, int num)
{
	struct fetch	*f = arg;

	if (f->t->dead)
		return ERR_CANCELLED;
	if (doc == NULL && num != AERR_DOCUMENT_NOT_FOUND)
		return ERR_PROTOCOL;
	bulk_doc(f->t, &f->piece, f->request, f->first + (uint32_t)index,
	    doc == NULL ? NULL : doc->data.p, doc == NULL ? 0 : doc->data.len);
	f->given++;
	f->bytes += doc == NULL ? 64 : doc->data.len;
	return 0;
}

/* As many keys as the last answer allows. */
static uint32_t
next_count(const struct fetch *f, uint32_t last)
{
	uint64_t	 n;

	if (f->bytes == 0)
		return FETCH_FIRST;
	n = FETCH_BYTES * last / f->bytes;
	n = MIN(n, (uint64_t)last * 8);
	return (uint32_t)MAX(MIN(n, FETCH_MAX), 1);
}

static int
fetch_some(struct fetch *f, struct rbuf keys, uint32_t n, struct err_msg *m)
{
	struct send		*s = f->t->s;
	struct arango_server	*server = repair_server(s, m);
	struct buf		 body = BUF_INIT;
	const uint8_t		*key;
	size_t			 len;
	uint32_t		 i;
	int			 r = 0;

	if (server == NULL)
		return ERR_FORMAT;
	buf_append_u8(&body, '[');
	for (i = 0; i < n && r == 0; i++) {
		if (i > 0)
			buf_append_u8(&body, ',');
		if ((r = get_bytes(&keys, &key, &len)) == 0)
			quote(&body, key, len);
	}
	buf_append_u8(&body, ']');
	f->given = 0;
	f->bytes = 0;
	if (r == 0)
		r = arango_documents(worker_cluster(s->w), server,
		    s->conf.name.db, s->conf.shard, false, body.data, body.len,
		    &f->t->cancel, take_document, f, NULL, m);
	buf_free(&body);
	if (r == 0 && f->given != n)
		r = err_set(m, ERR_PROTOCOL, "%s gave %" PRIu32 " of %" PRIu32
		    " documents", s->conf.server, f->given, n);
	return r;
}

static int
skip_keys(struct rbuf *keys, uint32_t n)
{
	const uint8_t	*key;
	size_t		 len;
	int		 r = 0;

	while (n-- > 0 && r == 0)
		r = get_bytes(keys, &key, &len);
	return r;
}

int
fetch_documents(struct talk *t, struct rbuf *b, struct err_msg *m)
{
	struct fetch	 f = { .t = t };
	struct rbuf	 check;
	uint32_t	 total, n = FETCH_FIRST;
	int		 r;

	if ((r = get_u32(b, &f.request)) != 0 ||
	    (r = get_u32(b, &total)) != 0)
		return r;
	/* Each has at least its length. */
	if (total > b->left / 4)
		return ERR_FORMAT;
	check = *b;
	if ((r = skip_keys(&check, total)) != 0 || (r = get_end(&check)) != 0)
		return r;
	if (t->repairing && !t->compare)
		send_step(t->s, SHARD_EV_REMOVED, "documents are fetched");
	while (r == 0 && f.first < total) {
		n = MIN(n, total - f.first);
		r = fetch_some(&f, *b, n, m);
		if (r == ERR_TOO_BIG && n > 1 && f.given == 0) {
			n = n / 4 + 1;
			r = 0;
			continue;
		}
		if (r == 0)
			r = skip_keys(b, n);
		f.first += n;
		n = next_count(&f, n);
		if (r == 0)
			r = bulk_wait(t, CHANNEL_PIECE_BYTES);
	}
	if (r == 0 && !t->dead) {
		if (f.piece.len == 0)
			bulk_begin(&f.piece, MSG_CH_DOCS, f.request);
		bulk_out(t, &f.piece, MSG_CH_DOCS, CHANNEL_LAST);
	}
	buf_free(&f.piece);
	return r;
}
