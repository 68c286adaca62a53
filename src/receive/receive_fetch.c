/* receive_fetch.c - documents by key, and what is owed (R13) */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "receive/receive_priv.h"
#include "vpack/vpack.h"

#define FETCH_KEYS_MAX	1000
#define FETCH_MS	(2 * 60 * 1000)
/* The source reads all of its shard for sums and pairs. */
#define READ_ALL_MS	(30 * 60 * 1000)
/* Applied when so much has come. */
#define APPLY_BYTES	((size_t)1024 * 1024)

/* ---- documents that are gathered ---------------------------------------- */

void
doc_batch_free(struct doc_batch *d)
{
	free(d->docs);
	memset(d, 0, sizeof(*d));
}

static void
doc_batch_end(struct receive *r, struct doc_batch *d, bool removal)
{
	if (d->n == d->cap) {
		d->cap = MAX((size_t)64, d->cap * 2);
		d->docs = xrealloc(d->docs, d->cap * sizeof(*d->docs));
	}
	d->docs[d->n].end = r->batch.len;
	d->docs[d->n++].removal = removal;
}

void
doc_batch_remove(struct receive *r, struct doc_batch *d, const void *key,
    size_t len)
{
	buf_append_str(&r->batch, "{\"_key\":");
	vp_string_to_json(&r->batch, key, len, 0);
	buf_append_u8(&r->batch, '}');
	doc_batch_end(r, d, true);
}

int
doc_batch_apply(struct receive *r, struct doc_batch *d, enum apply_mode mode)
{
	const char	*text = (const char *)r->batch.data;
	struct err_msg	 m;
	size_t		 i = 0, from;
	int		 took, e = 0;

	while (i < d->n && e == 0) {
		from = i == 0 ? 0 : d->docs[i - 1].end;
		took = fold_doc(r->docs_fold, text + from,
		    d->docs[i].end - from, d->docs[i].removal, &m);
		if (took < 0)
			e = receive_because(r, ERR_STORAGE, "a document of "
			    "the source cannot be read: %s", m.text);
		else if (took == FOLD_FULL)
			e = receive_apply_fold(r, r->docs_fold, mode);
		else
			i++;
	}
	if (e == 0)
		e = receive_apply_fold(r, r->docs_fold, mode);
	fold_reset(r->docs_fold);
	d->n = 0;
	inbox_forget(&r->batch);
	return e;
}

/* ---- answers ------------------------------------------------------------ */

int
receive_piece(struct receive *r, uint16_t type, uint32_t request,
    struct inbox_piece **out, struct rbuf *m, uint8_t *flags)
{
	uint64_t		 end = loop_now_ms(r->loop) +
				    (type == MSG_CH_DOCS ? FETCH_MS :
				    READ_ALL_MS);
	struct inbox_piece	*p;
	uint32_t		 number = 0;
	int			 e;

	*out = NULL;
	while ((p = inbox_next(&r->in)) == NULL) {
		if ((e = receive_ended(r)) != 0)
			return e;
		if (r->target_moved && !receive_is_running(r))
			return receive_because(r, ERR_BAD_STATE, "%s",
			    r->shard.reason);
		if (loop_now_ms(r->loop) >= MIN(end, r->shard.deadline_ms))
			return receive_because(r, ERR_BAD_STATE, "%s of the "
			    "source did not come in time", msg_name(type));
		receive_wait(r, MIN(end, r->shard.deadline_ms));
	}
	receive_credit(r);
	m->p = p->data;
	m->left = p->len;
	e = p->type != type ? ERR_PROTOCOL : 0;
	if (e == 0 && type != MSG_CH_SUMS)
		e = channel_docs_get(m, &number, flags);
	if (e == 0 && type != MSG_CH_SUMS && number != request)
		e = ERR_PROTOCOL;
	if (e != 0) {
		e = receive_because(r, ERR_BAD_STATE, "%s of the source "
		    "instead of %s: %s", msg_name(p->type), msg_name(type),
		    err_text(e));
		free(p);
		return e;
	}
	*out = p;
	return 0;
}

/* ---- FETCH, DOCS -------------------------------------------------------- */

struct fetching {
	struct receive		*r;
	struct rbuf		 keys;		/* those not answered yet */
	uint32_t		 n, next;	/* of them, the next answer */
	bool			 open;		/* a document goes on */
	struct doc_batch	 docs;
	enum apply_mode		 mode;
};

/* One document, or a part; `more` when it goes on in the next message. */
static int
take_doc(struct fetching *f, uint32_t index, uint8_t found,
    const uint8_t *doc, size_t len, bool more)
{
	const uint8_t	*key;
	size_t		 klen;
	int		 e;

	if (f->open != (found == CHANNEL_DOC_GOES_ON))
		return ERR_PROTOCOL;
	if (!f->open) {
		if (index != f->next || f->next == f->n)
			return ERR_PROTOCOL;
		f->next++;
		if ((e = get_bytes(&f->keys, &key, &klen)) != 0)
			return e;
		if (found == CHANNEL_DOC_GONE) {
			doc_batch_remove(f->r, &f->docs, key, klen);
			return more ? ERR_PROTOCOL : 0;
		}
	} else if (index + 1 != f->next)
		return ERR_PROTOCOL;
	if ((e = buf_try_reserve(&f->r->batch, len)) != 0)
		return e;
	buf_append(&f->r->batch, doc, len);
	f->open = more;
	if (!more)
		doc_batch_end(f->r, &f->docs, false);
	return 0;
}

static int
take_docs(struct fetching *f, struct rbuf *m, uint8_t flags)
{
	const uint8_t	*doc;
	size_t		 len;
	uint32_t	 index;
	uint8_t		 found;
	int		 e = 0;

	while (e == 0 && m->left != 0) {
		if ((e = channel_doc_get(m, &index, &found, &doc, &len)) != 0)
			break;
		e = take_doc(f, index, found, doc, len, m->left == 0 &&
		    (flags & CHANNEL_MORE) != 0);
	}
	return e == 0 ? 0 : receive_because(f->r, ERR_BAD_STATE, "documents "
	    "of the source: %s", err_text(e));
}

static int
take_answers(struct fetching *f, uint32_t request)
{
	struct receive		*r = f->r;
	struct inbox_piece	*p;
	struct rbuf		 m;
	uint8_t			 flags = 0;
	int			 e;

	do {
		if ((e = receive_piece(r, MSG_CH_DOCS, request, &p, &m,
		    &flags)) != 0)
			return e;
		e = take_docs(f, &m, flags);
		free(p);
		if (e == 0 && !f->open && r->batch.len >= APPLY_BYTES)
			e = doc_batch_apply(r, &f->docs, f->mode);
	} while (e == 0 && (flags & CHANNEL_LAST) == 0);
	if (e != 0)
		return e;
	if (f->next != f->n || f->open)
		return receive_because(r, ERR_BAD_STATE, "the source has "
		    "answered for %u of %u keys", f->next, f->n);
	return doc_batch_apply(r, &f->docs, f->mode);
}

int
receive_fetch(struct receive *r, const struct buf *keys, uint32_t n,
    enum apply_mode mode)
{
	struct fetching	 f = { .r = r, .n = n, .mode = mode };
	struct buf	 b = BUF_INIT;
	uint32_t	 request = ++r->request;
	int		 e;

	f.keys.p = keys->data;
	f.keys.left = keys->len;
	put_u32(&b, request);
	put_u32(&b, n);
	buf_append(&b, keys->data, keys->len);
	receive_up(r, MSG_CH_FETCH, &b);
	buf_free(&b);
	buf_reset(&r->batch);
	e = take_answers(&f, request);
	doc_batch_free(&f.docs);
	return e;
}

/* ---- owed keys ---------------------------------------------------------- */

struct gathering {
	struct buf	 keys;
	uint32_t	 n;
};

static int
gather(void *arg, const void *key, size_t len)
{
	struct gathering	*g = arg;

	put_bytes(&g->keys, key, len);
	return ++g->n == FETCH_KEYS_MAX;
}

/*
 * While the answer is under way no record is applied, so what comes is never
 * older than what is there.
 */
int
receive_owed(struct receive *r)
{
	struct gathering	 g = { BUF_INIT, 0 };
	size_t			 before = owed_count(r->owed);
	uint64_t		 now = loop_now_ms(r->loop);
	int			 e;

	if (before == 0 || now < r->owed_ms || r->log_ended ||
	    (!receive_is_running(r) && r->shard.step != SHARD_REPLAY))
		return 0;
	(void)owed_each(r->owed, gather, &g);
	e = receive_fetch(r, &g.keys, g.n, APPLY_OWED);
	buf_free(&g.keys);
	now = loop_now_ms(r->loop);
	if (owed_count(r->owed) < before)
		backoff_reset(&r->owed_again);
	r->owed_ms = now + backoff_failed(&r->owed_again, now);
	if (owed_count(r->owed) == 0) {
		backoff_reset(&r->owed_again);
		r->foreign = 0;
		r->owed_ms = 0;
	}
	receive_status(r);
	return e;
}
