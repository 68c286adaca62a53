/*
 * fold_out.c - from folded operations to bodies, and from answers to what is
 * left; see fold.h.
 *
 * A phase (removals, then upserts) goes in rounds.  f->order lists the entries
 * of a round; bodies are stretches of it.  What was refused in a round makes
 * the order of the next.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sync/fold.h"
#include "sync/fold_priv.h"
#include "vpack/vpack.h"

static void
conflicts_clear(struct fold *f)
{
	size_t		 i;

	for (i = 0; i < f->nconflicts; i++) {
		free(f->conflicts[i].in_the_way);
		free(f->conflicts[i].index);
	}
	f->nconflicts = 0;
	f->counts.conflicts = 0;
}

void
fold_out_reset(struct fold *f)
{
	conflicts_clear(f);
	f->phase = PHASE_TAKING;
	f->nremovals = f->nupserts = f->norder = f->next = 0;
	f->in_flight = f->nagain = f->left_before = 0;
	f->round = f->retries = 0;
	f->pause = f->resolve = false;
	f->max_body = f->o.max_body;
	f->trouble = ARANGO_SUCCESS;
}

void
fold_out_free(struct fold *f)
{
	conflicts_clear(f);
	free(f->conflicts);
	free(f->again);
	free(f->order);
	free(f->removals);
	free(f->upserts);
}

/* ---- what is live ------------------------------------------------------- */

static struct entry *
entry_prev(struct fold *f, const struct entry *e)
{
	struct entry	*p;

	while (e->prev != 0) {
		p = &f->entries[e->prev - 1];
		if ((p->flags & ENTRY_DISCARDED) == 0)
			return p;
		e = p;
	}
	return NULL;
}

/*
 * Must the key be removed before this upsert?  When it was removed in between,
 * or had another content under this `_rev`, the target may hold that `_rev`
 * with another content, which arangod would not overwrite at its followers
 * (R11).
 */
static bool
needs_removal(struct fold *f, const struct entry *e)
{
	const struct entry	*p;

	for (p = entry_prev(f, e); p != NULL; p = entry_prev(f, p)) {
		if ((p->flags & ENTRY_REMOVAL) != 0)
			return true;
		if (p->rev_len == e->rev_len && p->rev != NULL &&
		    e->rev != NULL && memcmp(p->rev, e->rev, e->rev_len) == 0 &&
		    (p->doc_len != e->doc_len ||
		    memcmp(p->doc, e->doc, e->doc_len) != 0))
			return true;
	}
	return false;
}

static void
order_set(struct fold *f, const uint32_t *list, size_t n)
{
	if (n > f->corder) {
		f->corder = MAX(n, f->corder * 2);
		f->order = xrealloc(f->order, f->corder * sizeof(*f->order));
	}
	if (n != 0)
		memcpy(f->order, list, n * sizeof(*list));
	f->norder = n;
	f->next = 0;
}

void
fold_begin(struct fold *f)
{
	struct entry	*e, *p;
	uint32_t	 i;

	if (f->phase != PHASE_TAKING)
		return;
	for (i = f->n; i-- > 0; ) {
		e = &f->entries[i];
		if ((e->flags & ENTRY_DISCARDED) == 0 &&
		    (p = entry_prev(f, e)) != NULL)
			p->flags |= ENTRY_OLD;
	}
	if (f->n > f->clive) {
		f->clive = f->cap;
		f->removals = xrealloc(f->removals,
		    f->clive * sizeof(*f->removals));
		f->upserts = xrealloc(f->upserts,
		    f->clive * sizeof(*f->upserts));
	}
	for (i = 0; i < f->n; i++) {
		e = &f->entries[i];
		if ((e->flags & (ENTRY_DISCARDED | ENTRY_OLD)) != 0)
			continue;
		if ((e->flags & ENTRY_REMOVAL) != 0) {
			f->removals[f->nremovals++] = i;
			continue;
		}
		if (e->doc_len > f->o.max_doc) {
			e->out = OUT_DEAD;
			f->counts.dead++;
			continue;
		}
		if (needs_removal(f, e)) {
			e->flags |= ENTRY_FIRST;
			f->removals[f->nremovals++] = i;
		}
		f->upserts[f->nupserts++] = i;
	}
	f->counts.removals = f->nremovals;
	f->counts.upserts = f->nupserts;
	order_set(f, f->removals, f->nremovals);
	f->phase = PHASE_REMOVE;
}

/* ---- bodies ------------------------------------------------------------- */

static void
put_key(struct fold *f, struct buf *out, const struct entry *e)
{
	if ((e->flags & ENTRY_ARENA) != 0) {
		vp_string_to_json(out, entry_key(f, e), e->key_len, 0);
		return;
	}
	buf_reserve(out, e->key_len + 2);
	buf_append_u8(out, '"');
	buf_append(out, e->key.p, e->key_len);
	buf_append_u8(out, '"');
}

/* The document without _id and _rev: the target makes its own (R12). */
static void
put_stripped(struct buf *out, const struct entry *e)
{
	struct scan_iter	 it;
	struct scan_span	 name, value;
	char			 sep = '{';

	scan_object(&it, e->doc, e->doc_len);
	while (scan_next(&it, &name, &value) == 1) {
		if (name.len == 3 && memcmp(name.p, "_id", 3) == 0)
			continue;
		if (name.len == 4 && memcmp(name.p, "_rev", 4) == 0)
			continue;
		buf_append_u8(out, (uint8_t)sep);
		sep = ',';
		buf_append(out, name.p - 1, name.len + 2);
		buf_append_u8(out, ':');
		buf_append(out, value.p, value.len);
	}
	buf_append_u8(out, '}');
}

static size_t
element_bytes(const struct fold *f, const struct entry *e)
{
	return f->phase == PHASE_REMOVE ? (size_t)e->key_len + 3 :
	    e->doc_len + 1;
}

/* How many of order[first..) go into one body. */
static size_t
body_fill(const struct fold *f, size_t first, size_t most, bool *alone)
{
	const struct entry	*e;
	size_t			 n, bytes = 2, one;

	*alone = false;
	for (n = 0; n < most; n++) {
		e = &f->entries[f->order[first + n]];
		one = element_bytes(f, e);
		if (one > f->o.alone && f->phase == PHASE_UPSERT) {
			if (n != 0)
				break;
			*alone = true;
			return 1;
		}
		if (n != 0 && bytes + one > f->max_body)
			break;
		bytes += one;
	}
	return n;
}

static struct entry *
body_entry(const struct fold *f, const struct fold_body *b, size_t i)
{
	return &f->entries[f->order[b->first + i]];
}

/* Brackets, elements, and a comma behind each but the last. */
static size_t
body_bytes(const struct fold *f, const struct fold_body *b)
{
	size_t	 i, bytes = 1;

	for (i = 0; i < b->count; i++)
		bytes += element_bytes(f, body_entry(f, b, i));
	return bytes;
}

static void
body_write(struct fold *f, struct buf *out, const struct fold_body *b)
{
	const struct entry	*e;
	size_t			 i;

	buf_append_u8(out, '[');
	for (i = 0; i < b->count; i++) {
		e = body_entry(f, b, i);
		if (i != 0)
			buf_append_u8(out, ',');
		if (b->kind == FOLD_REMOVALS)
			put_key(f, out, e);
		else if (f->o.strip_rev)
			put_stripped(out, e);
		else
			buf_append(out, e->doc, e->doc_len);
	}
	buf_append_u8(out, ']');
}

/* What goes before a document is one byte, and so is what goes behind all. */
size_t
fold_body_read(struct fold *f, struct fold_body *b, size_t at, uint8_t *p,
    size_t n)
{
	const struct entry	*e;
	size_t			 got = 0, part;

	if (at == 0)
		b->at = b->element = b->off = 0;
	bug_unless(b->unwritten != 0 && at == b->at);
	while (got < n && b->element < b->count) {
		e = body_entry(f, b, b->element);
		if (b->off == 0) {
			p[got++] = b->element == 0 ? '[' : ',';
			b->off = 1;
		}
		part = MIN(n - got, e->doc_len + 1 - b->off);
		memcpy(p + got, e->doc + b->off - 1, part);
		got += part;
		b->off += part;
		if (b->off == e->doc_len + 1) {
			b->element++;
			b->off = 0;
		}
	}
	if (got < n && b->element == b->count) {
		p[got++] = ']';
		b->element++;
	}
	b->at += got;
	return got;
}

static enum fold_next
body_make(struct fold *f, struct buf *out, struct fold_body *b)
{
	struct stretch	*s = f->nagain != 0 ? &f->again[0] : NULL;
	size_t		 bytes;

	memset(b, 0, sizeof(*b));
	b->kind = f->phase == PHASE_REMOVE ? FOLD_REMOVALS : FOLD_UPSERTS;
	b->first = s != NULL ? s->first : f->next;
	b->round = s != NULL ? s->round : f->round;
	b->count = body_fill(f, b->first,
	    s != NULL ? s->count : f->norder - f->next, &b->alone);
	b->open = true;
	if (s == NULL)
		f->next += b->count;
	else {
		s->first += b->count;
		s->count -= b->count;
		if (s->count == 0)
			memmove(&f->again[0], &f->again[1],
			    --f->nagain * sizeof(*s));
	}
	f->in_flight++;
	bytes = body_bytes(f, b);
	if (f->o.unwritten != 0 && bytes >= f->o.unwritten &&
	    b->kind == FOLD_UPSERTS && !f->o.strip_rev)
		b->unwritten = bytes;
	else {
		buf_reserve(out, bytes);
		body_write(f, out, b);
	}
	return FOLD_BODY;
}

/* ---- rounds ------------------------------------------------------------- */

/* The order of the next round: what failed.  Returns how many. */
static size_t
order_failed(struct fold *f)
{
	const uint32_t	*all = f->phase == PHASE_REMOVE ? f->removals :
			    f->upserts;
	size_t		 total = f->phase == PHASE_REMOVE ? f->nremovals :
			    f->nupserts;
	size_t		 i, n = 0;
	struct entry	*e;

	if (total > f->corder) {
		f->corder = total;
		f->order = xrealloc(f->order, f->corder * sizeof(*f->order));
	}
	for (i = 0; i < total; i++) {
		e = &f->entries[all[i]];
		if (e->out == OUT_AGAIN || e->out == OUT_CONFLICT ||
		    e->out == OUT_WAITS)
			f->order[n++] = all[i];
	}
	f->norder = n;
	f->next = 0;
	return n;
}

static void
phase_upserts(struct fold *f)
{
	struct entry	*e;
	size_t		 i;

	/* those that are removed first have been answered once */
	for (i = 0; i < f->nupserts; i++) {
		e = &f->entries[f->upserts[i]];
		if (e->out == OUT_DONE)
			e->out = OUT_WAITS;
	}
	f->phase = PHASE_UPSERT;
	order_failed(f);
	f->round = f->retries = 0;
	f->left_before = 0;
}

/*
 * Everything of a round was answered.  A chain of keys that pass on a unique
 * value gets one further each round, so as long as fewer are left than
 * before it goes on without removing anything.
 */
static enum fold_next
round_end(struct fold *f)
{
	size_t		 left = order_failed(f), i, passing = 0;
	bool		 progress;

	if (left == 0) {
		if (f->phase == PHASE_REMOVE) {
			phase_upserts(f);
			return FOLD_BODY;
		}
		f->phase = PHASE_DONE;
		return FOLD_DONE;
	}
	for (i = 0; i < left; i++)
		passing += f->entries[f->order[i]].out != OUT_CONFLICT;
	progress = f->round == 0 || left < f->left_before;
	f->left_before = left;
	f->round++;
	if (!progress && ++f->retries > f->o.max_rounds) {
		f->phase = PHASE_STUCK;
		return FOLD_STUCK;
	}
	if (f->phase == PHASE_UPSERT && !progress && left > passing) {
		f->resolve = true;
		f->counts.conflicts = f->nconflicts;
		return FOLD_RESOLVE;
	}
	conflicts_clear(f);
	if (passing == 0)
		return FOLD_BODY;
	f->pause = true;
	return FOLD_PAUSE;
}

enum fold_next
fold_next(struct fold *f, struct buf *out, struct fold_body *body)
{
	enum fold_next	 r;

	for (;;) {
		switch (f->phase) {
		case PHASE_TAKING:
			fold_begin(f);
			continue;
		case PHASE_DONE:
			return FOLD_DONE;
		case PHASE_STUCK:
			return FOLD_STUCK;
		default:
			break;
		}
		if (f->resolve)
			return FOLD_RESOLVE;
		f->pause = false;
		if (f->nagain != 0 || f->next < f->norder)
			return body_make(f, out, body);
		if (f->in_flight != 0)
			return FOLD_WAIT;
		if ((r = round_end(f)) != FOLD_BODY)
			return r;
	}
}

/* ---- answers ------------------------------------------------------------ */

static const int graveness[] = {
	[ARANGO_SUCCESS] = 0, [ARANGO_REFUSED] = 1, [ARANGO_ELEMENT] = 2,
	[ARANGO_RETRY] = 3, [ARANGO_SPLIT] = 4, [ARANGO_LEADER] = 5,
	[ARANGO_AUTH] = 6, [ARANGO_RESYNC] = 7, [ARANGO_FAIL] = 8
};

static void
note_trouble(struct fold *f, enum arango_reaction r)
{
	if (graveness[r] > graveness[f->trouble])
		f->trouble = r;
	if (r == ARANGO_SPLIT && f->max_body > 64 * 1024)
		f->max_body /= 2;
}

enum arango_reaction
fold_trouble(struct fold *f)
{
	enum arango_reaction	 r = f->trouble;

	f->trouble = ARANGO_SUCCESS;
	return r;
}

static void
note_conflict(struct fold *f, uint32_t entry, const char *key,
    const char *index)
{
	struct conflict	*c;

	if (f->nconflicts == f->cconflicts) {
		f->cconflicts = MAX((size_t)16, f->cconflicts * 2);
		f->conflicts = xrealloc(f->conflicts,
		    f->cconflicts * sizeof(*c));
	}
	c = &f->conflicts[f->nconflicts++];
	c->entry = entry;
	c->in_the_way = key != NULL ? xstrdup(key) : NULL;
	c->index = index != NULL ? xstrdup(index) : NULL;
}

void
fold_element(struct fold *f, const struct fold_body *b, size_t pos, int num,
    const char *conflict, const char *index, fold_react_fn *react)
{
	enum arango_reaction	 r = react(num, 0);
	struct entry		*e;
	size_t			 i;

	if (!b->open || r == ARANGO_SUCCESS)
		return;
	note_trouble(f, r);
	if (pos >= b->count) {
		for (i = 0; i < b->count; i++) {
			e = &f->entries[f->order[b->first + i]];
			if ((e->flags & ENTRY_FAILED) == 0)
				e->out = OUT_AGAIN;
			e->flags |= ENTRY_FAILED;
		}
		return;
	}
	e = &f->entries[f->order[b->first + pos]];
	if ((e->flags & ENTRY_FAILED) != 0 && e->out != OUT_AGAIN)
		return;
	e->flags |= ENTRY_FAILED;
	if (r == ARANGO_REFUSED) {
		e->out = OUT_DEAD;
		e->num = num;
		f->counts.dead++;
	} else if (num == AERR_UNIQUE_CONSTRAINT && b->kind == FOLD_UPSERTS) {
		e->out = OUT_CONFLICT;
		note_conflict(f, f->order[b->first + pos], conflict, index);
	} else
		e->out = OUT_AGAIN;
}

void
fold_answered(struct fold *f, struct fold_body *b)
{
	struct entry	*e;
	size_t		 i;

	if (!b->open)
		return;
	b->open = false;
	f->in_flight--;
	for (i = 0; i < b->count; i++) {
		e = &f->entries[f->order[b->first + i]];
		if ((e->flags & ENTRY_FAILED) == 0)
			e->out = OUT_DONE;
		e->flags &= (uint8_t)~ENTRY_FAILED;
	}
	/* nothing that we could send would be taken */
	if (f->trouble == ARANGO_FAIL)
		f->phase = PHASE_STUCK;
}

void
fold_unsent(struct fold *f, struct fold_body *b, enum arango_reaction reaction)
{
	struct stretch	*s;
	size_t		 i;

	if (!b->open)
		return;
	b->open = false;
	f->in_flight--;
	note_trouble(f, reaction);
	for (i = 0; i < b->count; i++)
		f->entries[f->order[b->first + i]].flags &=
		    (uint8_t)~ENTRY_FAILED;
	if (f->nagain == f->cagain) {
		f->cagain = MAX((size_t)8, f->cagain * 2);
		f->again = xrealloc(f->again, f->cagain * sizeof(*s));
	}
	/* as in the order of the round, so that repeated failures keep it */
	for (i = f->nagain; i > 0 && f->again[i - 1].first > b->first; i--)
		f->again[i] = f->again[i - 1];
	f->nagain++;
	s = &f->again[i];
	s->first = b->first;
	s->count = b->count;
	s->round = b->round;
	if (reaction == ARANGO_FAIL)
		f->phase = PHASE_STUCK;
}

/* ---- conflicts and dead letters ----------------------------------------- */

static bool
was_written(struct fold *f, const char *key)
{
	struct entry	*e = fold_find(f, key, strlen(key));

	return e != NULL && (e->flags & ENTRY_REMOVAL) == 0 &&
	    e->out == OUT_DONE;
}

int
fold_conflict_at(struct fold *f, size_t i, struct fold_conflict *c)
{
	const struct entry	*e;

	if (!f->resolve || i >= f->nconflicts)
		return ERR_NOT_FOUND;
	e = &f->entries[f->conflicts[i].entry];
	c->key.p = entry_key(f, e);
	c->key.len = e->key_len;
	c->in_the_way = f->conflicts[i].in_the_way;
	c->index = f->conflicts[i].index;
	c->foreign_index = c->in_the_way != NULL &&
	    was_written(f, c->in_the_way);
	return 0;
}

void
fold_resolved(struct fold *f)
{
	struct entry	*e;
	const char	*key;
	size_t		 i;

	if (!f->resolve)
		return;
	for (i = 0; i < f->nconflicts; i++) {
		if ((key = f->conflicts[i].in_the_way) == NULL)
			continue;
		e = fold_find(f, key, strlen(key));
		if (e != NULL && (e->flags & ENTRY_REMOVAL) == 0 &&
		    e->out == OUT_DONE)
			e->out = OUT_WAITS;
	}
	conflicts_clear(f);
	f->resolve = false;
	order_failed(f);
}

void
fold_leave(struct fold *f)
{
	size_t		 i;

	if (!f->resolve)
		return;
	for (i = 0; i < f->nconflicts; i++)
		f->entries[f->conflicts[i].entry].out = OUT_LEFT;
	conflicts_clear(f);
	f->resolve = false;
	order_failed(f);
}

int
fold_dead_at(struct fold *f, size_t i, struct fold_dead *d)
{
	const struct entry	*e;
	uint32_t		 n;

	for (n = 0; n < f->n; n++) {
		e = &f->entries[n];
		if (e->out != OUT_DEAD || i-- != 0)
			continue;
		d->key.p = entry_key(f, e);
		d->key.len = e->key_len;
		d->rev.p = e->rev;
		d->rev.len = e->rev_len;
		d->num = e->num;
		d->bytes = e->doc_len;
		return 0;
	}
	return ERR_NOT_FOUND;
}

void
fold_each_key(struct fold *f, void (*fn)(void *arg, const void *key,
    size_t len, bool removed), void *arg)
{
	const struct entry	*e;
	uint32_t		 i;

	for (i = 0; i < f->n; i++) {
		e = &f->entries[i];
		if (e->out == OUT_DONE &&
		    (e->flags & (ENTRY_OLD | ENTRY_DISCARDED)) == 0)
			fn(arg, entry_key(f, e), e->key_len,
			    (e->flags & ENTRY_REMOVAL) != 0);
	}
}

bool
fold_has_key(struct fold *f, const void *key, size_t len, bool *removed)
{
	const struct entry	*e = fold_find(f, key, len);

	if (e == NULL)
		return false;
	if (removed != NULL)
		*removed = (e->flags & ENTRY_REMOVAL) != 0;
	return true;
}
