/* fold.c - WAL lines to the last operation per key; see fold.h */
#include <stdlib.h>
#include <string.h>

#include "arango/tail.h"
#include "base/err.h"
#include "sync/fold.h"
#include "sync/fold_priv.h"
#include "vpack/hash.h"

#define SLOTS_MIN	1024

struct fold *
fold_new(const struct fold_opts *o)
{
	static const struct fold_opts	 dflt = FOLD_OPTS_INIT;
	struct fold			*f = xcalloc(1, sizeof(*f));

	f->o = o != NULL ? *o : dflt;
	f->nslots = SLOTS_MIN;
	f->slots = xcalloc(f->nslots, sizeof(*f->slots));
	f->generation = 1;
	fold_out_reset(f);
	return f;
}

void
fold_free(struct fold **fp)
{
	struct fold	*f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	fold_out_free(f);
	buf_free(&f->arena);
	free(f->entries);
	free(f->slots);
	free(f);
}

void
fold_reset(struct fold *f)
{
	memset(&f->counts, 0, sizeof(f->counts));
	f->ended = false;
	f->n = 0;
	f->used = 0;
	f->nopen = 0;
	buf_reset(&f->arena);
	if (++f->generation == 0) {
		memset(f->slots, 0, f->nslots * sizeof(*f->slots));
		f->generation = 1;
	}
	fold_out_reset(f);
}

void
fold_set_floor(struct fold *f, uint64_t tick)
{
	f->floor = tick;
}

const struct fold_counts *
fold_counts(const struct fold *f)
{
	return &f->counts;
}

/* ---- keys --------------------------------------------------------------- */

static struct slot *
slot_find(struct fold *f, const void *key, size_t len, uint32_t hash)
{
	uint32_t	 mask = f->nslots - 1, at = hash & mask;

	for (;; at = (at + 1) & mask) {
		struct slot	*s = &f->slots[at];
		struct entry	*e;

		if (s->generation != f->generation)
			return s;
		if (s->hash != hash)
			continue;
		e = &f->entries[s->entry];
		if (e->key_len == len &&
		    memcmp(entry_key(f, e), key, len) == 0)
			return s;
	}
}

static void
slots_grow(struct fold *f)
{
	struct slot	*old = f->slots;
	uint32_t	 n = f->nslots, i, at;

	f->nslots = n * 2;
	f->slots = xcalloc(f->nslots, sizeof(*f->slots));
	for (i = 0; i < n; i++) {
		if (old[i].generation != f->generation)
			continue;
		at = old[i].hash & (f->nslots - 1);
		while (f->slots[at].generation == f->generation)
			at = (at + 1) & (f->nslots - 1);
		f->slots[at] = old[i];
	}
	free(old);
}

static uint32_t
key_hash(const void *key, size_t len)
{
	uint64_t	 h = vp_hash_bytes(key, len, VP_HASH_SEED);

	return (uint32_t)(h ^ h >> 32);
}

struct entry *
fold_find(struct fold *f, const void *key, size_t len)
{
	struct slot	*s = slot_find(f, key, len, key_hash(key, len));
	struct entry	*e;

	if (s->generation != f->generation)
		return NULL;
	for (e = &f->entries[s->entry]; (e->flags & ENTRY_DISCARDED) != 0;
	    e = &f->entries[e->prev - 1])
		if (e->prev == 0)
			return NULL;
	return e;
}

/* ---- transactions ------------------------------------------------------- */

static struct open_trx *
trx_find(struct fold *f, uint64_t tid)
{
	size_t		 i;

	for (i = 0; i < f->nopen; i++)
		if (f->open[i].tid == tid)
			return &f->open[i];
	return NULL;
}

/*
 * A transaction begins here, or its begin was before `from` (R1).  More than
 * one at a time does not happen on a real server; when there are too many the
 * oldest counts as committed, as everything in a WAL is.
 */
static void
trx_open(struct fold *f, uint64_t tid)
{
	struct open_trx	*t;

	if (tid == 0 || trx_find(f, tid) != NULL)
		return;
	if (f->nopen == OPEN_TRX_MAX)
		memmove(&f->open[0], &f->open[1],
		    --f->nopen * sizeof(f->open[0]));
	t = &f->open[f->nopen++];
	t->tid = tid;
	t->first = f->n;
}

/* The same tid may begin again later: its entries must not be found then. */
static void
trx_end(struct fold *f, uint64_t tid, bool discard)
{
	struct open_trx	*t = trx_find(f, tid);
	uint32_t	 i;

	if (t == NULL)
		return;
	for (i = t->first; i < f->n; i++) {
		if (f->entries[i].tid != tid)
			continue;
		f->entries[i].tid = 0;
		if (discard) {
			f->entries[i].flags |= ENTRY_DISCARDED;
			f->counts.discarded++;
		}
	}
	*t = f->open[--f->nopen];
}

/* ---- lines -------------------------------------------------------------- */

static int
entry_take_key(struct fold *f, struct entry *e, const struct doc_head *h)
{
	struct scan_span	 quoted = { h->key.p - 1, h->key.len + 2 };
	size_t			 at = f->arena.len;
	int			 r;

	if (!h->key_escaped) {
		e->key.p = h->key.p;
		e->key_len = (uint32_t)h->key.len;
		return 0;
	}
	if ((r = scan_string(&quoted, &f->arena)) != 0)
		return r;
	e->flags |= ENTRY_ARENA;
	e->key.arena = at;
	e->key_len = (uint32_t)(f->arena.len - at);
	return 0;
}

static int
take_operation(struct fold *f, const struct scan_marker *mk, bool removal,
    uint64_t tid, struct err_msg *m)
{
	struct doc_head	 h;
	struct entry	*e;
	struct slot	*s;
	int		 r;

	if (mk->data.p == NULL || doc_head(mk->data.p, mk->data.len, &h) != 0)
		return err_set(m, ERR_FORMAT, "an operation without a "
		    "document that has a _key: %.*s",
		    (int)MIN(mk->data.len, (size_t)200),
		    mk->data.p != NULL ? mk->data.p : "");
	if (h.key.len > UINT32_MAX || h.rev.len > UINT32_MAX)
		return err_set(m, ERR_FORMAT, "a key of %zu bytes", h.key.len);
	trx_open(f, tid);

	if (f->n == f->cap) {
		f->cap = f->cap == 0 ? 1024 : f->cap * 2;
		f->entries = xrealloc(f->entries, f->cap * sizeof(*e));
	}
	e = &f->entries[f->n];
	memset(e, 0, sizeof(*e));
	if ((r = entry_take_key(f, e, &h)) != 0)
		return err_set(m, r, "a _key that is not a string of UTF-8");
	e->doc = mk->data.p;
	e->doc_len = mk->data.len;
	e->rev = h.rev.p;
	e->rev_len = (uint32_t)h.rev.len;
	e->tid = tid;
	if (removal)
		e->flags |= ENTRY_REMOVAL;
	e->hash = key_hash(entry_key(f, e), e->key_len);

	s = slot_find(f, entry_key(f, e), e->key_len, e->hash);
	if (s->generation == f->generation)
		e->prev = s->entry + 1;
	else {
		s->generation = f->generation;
		s->hash = e->hash;
		f->used++;
	}
	s->entry = f->n++;
	if (f->used > f->nslots / 2)
		slots_grow(f);
	f->counts.operations++;
	return FOLD_TOOK;
}

static int
take_marker(struct fold *f, const struct scan_marker *mk, uint64_t type,
    uint64_t tick, uint64_t tid, struct err_msg *m)
{
	switch (type) {
	case WAL_DOCUMENT:
	case WAL_REMOVE:
	case WAL_TRUNCATE:
	case WAL_COLL_CREATE:
	case WAL_COLL_DROP:
		if (f->floor != 0 && tick <= f->floor) {
			f->counts.skipped++;
			return FOLD_TOOK;
		}
		break;
	case WAL_BEGIN:
		trx_open(f, tid);
		return FOLD_TOOK;
	case WAL_COMMIT:
	case WAL_ABORT:
		trx_end(f, tid, type == WAL_ABORT);
		return FOLD_TOOK;
	default:
		f->counts.others++;
		return FOLD_TOOK;
	}
	if (type == WAL_DOCUMENT || type == WAL_REMOVE)
		return take_operation(f, mk, type == WAL_REMOVE, tid, m);
	f->ended = true;
	return type == WAL_TRUNCATE ? FOLD_TRUNCATE : FOLD_ENDED;
}

/*
 * Not in the middle of a transaction: its end says whether it counts.  One
 * that is larger than twice the batch is cut nevertheless, since RocksDB logs
 * committed ones only.
 */
static bool
is_full(const struct fold *f, size_t len)
{
	uint64_t	 factor = f->nopen != 0 ? 2 : 1;

	if (f->n == 0)
		return false;
	return f->counts.bytes + len > f->o.max_batch * factor ||
	    f->n >= f->o.max_ops * factor || f->n == UINT32_MAX / 2;
}

int
fold_line(struct fold *f, const char *line, size_t len, struct err_msg *m)
{
	struct scan_marker	 mk;
	uint64_t		 tick, type, tid = 0;
	int			 r;

	if (f->ended || f->phase != PHASE_TAKING || is_full(f, len))
		return FOLD_FULL;
	if (scan_marker(line, len, &mk) != 0 ||
	    scan_uint(&mk.tick, &tick) != 0 ||
	    scan_uint(&mk.type, &type) != 0 ||
	    (mk.tid.p != NULL && scan_uint(&mk.tid, &tid) != 0))
		return err_set(m, ERR_FORMAT, "not a line of a WAL: %.*s",
		    (int)MIN(len, (size_t)200), line);
	if ((r = take_marker(f, &mk, type, tick, tid, m)) < 0)
		return r;
	f->counts.lines++;
	f->counts.bytes += len;
	if (tick > f->counts.last_tick)
		f->counts.last_tick = tick;
	return r;
}

int
fold_doc(struct fold *f, const char *doc, size_t len, bool removal,
    struct err_msg *m)
{
	struct scan_marker	 mk;
	int			 r;

	if (f->ended || f->phase != PHASE_TAKING || is_full(f, len))
		return FOLD_FULL;
	memset(&mk, 0, sizeof(mk));
	mk.data.p = doc;
	mk.data.len = len;
	if ((r = take_operation(f, &mk, removal, 0, m)) < 0)
		return r;
	f->counts.lines++;
	f->counts.bytes += len;
	return r;
}

int
fold_lines(struct fold *f, const char *data, size_t len, size_t *used,
    struct err_msg *m)
{
	const char	*p, *end, *nl;
	int		 r = FOLD_TOOK;

	*used = 0;
	if (len == 0)
		return FOLD_TOOK;
	p = data;
	end = data + len;
	while (p < end && r == FOLD_TOOK) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL)
			nl = end;
		if (nl > p)
			r = fold_line(f, p, (size_t)(nl - p), m);
		if (r == FOLD_FULL || r < 0)
			break;
		p = nl < end ? nl + 1 : end;
	}
	*used = (size_t)(p - data);
	return r;
}

/* ---- a document --------------------------------------------------------- */

static bool
span_is(const struct scan_span *s, const char *text, size_t len)
{
	return s->len == len && memcmp(s->p, text, len) == 0;
}

/* A string value without its quotes. */
static int
unquote(const struct scan_span *v, struct scan_span *s)
{
	if (v->len < 2 || *v->p != '"')
		return ERR_FORMAT;
	s->p = v->p + 1;
	s->len = v->len - 2;
	return 0;
}

/*
 * System attributes come first in what arangod writes, so this ends after
 * three members; when they are elsewhere it looks through all.
 */
int
doc_head(const char *doc, size_t len, struct doc_head *h)
{
	struct scan_iter	 it;
	struct scan_span	 name, value;
	int			 r = 0;

	memset(h, 0, sizeof(*h));
	scan_object(&it, doc, len);
	while ((h->key.p == NULL || h->rev.p == NULL) &&
	    (r = scan_next(&it, &name, &value)) == 1) {
		if (span_is(&name, "_key", 4) && h->key.p == NULL) {
			if (unquote(&value, &h->key) != 0)
				return ERR_FORMAT;
		} else if (span_is(&name, "_rev", 4) && h->rev.p == NULL)
			(void)unquote(&value, &h->rev);
	}
	if (r < 0 || h->key.p == NULL)
		return ERR_FORMAT;
	h->key_escaped = memchr(h->key.p, '\\', h->key.len) != NULL;
	return 0;
}
