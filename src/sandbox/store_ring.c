/*
 * store_ring.c - the most recent log records in memory.
 *
 * Tails that keep up never touch the log files: reading those means scanning
 * a file from its start.
 */
#include <stdlib.h>
#include <string.h>

#include "sandbox/store_priv.h"

static struct slogrec **
ring_at(struct slogring *r, size_t i)
{
	return &r->recs[(r->head + i) & (r->cap - 1)];
}

static void
ring_drop_first(struct slogring *r)
{
	struct slogrec	**rec = ring_at(r, 0);

	r->bytes -= (*rec)->len;
	slogrec_unref(rec);
	r->head = (r->head + 1) & (r->cap - 1);
	r->n--;
}

static void
ring_grow(struct slogring *r)
{
	struct slogrec	**recs;
	size_t		 i, cap = r->cap == 0 ? 64 : r->cap * 2;

	recs = xcalloc(cap, sizeof(*recs));
	for (i = 0; i < r->n; i++)
		recs[i] = *ring_at(r, i);
	free(r->recs);
	r->recs = recs;
	r->cap = cap;
	r->head = 0;
}

void
sring_add(struct slogring *r, uint64_t seq, uint32_t count,
    const uint8_t *data, size_t len)
{
	struct slogrec	*rec;

	/* A record that would push out all others is read from the file. */
	if (len > r->max || (r->n > 0 &&
	    (*ring_at(r, r->n - 1))->end + 1 != seq))
		while (r->n > 0)
			ring_drop_first(r);
	if (len > r->max || count == 0)
		return;
	while (r->n > 0 && r->bytes + len > r->max)
		ring_drop_first(r);
	if (r->n == r->cap)
		ring_grow(r);
	rec = xmalloc(sizeof(*rec) + len);
	rec->refs = 1;
	rec->seq = seq;
	rec->end = seq + count - 1;
	rec->len = len;
	memcpy(rec->data, data, len);
	r->n++;
	*ring_at(r, r->n - 1) = rec;
	r->bytes += len;
}

struct slogrec *
sring_find(struct slogring *r, uint64_t tick)
{
	struct slogrec	*rec;
	size_t		 lo = 0, hi = r->n, mid;

	if (r->n == 0 || tick < (*ring_at(r, 0))->seq ||
	    tick > (*ring_at(r, r->n - 1))->end)
		return NULL;
	while (hi - lo > 1) {
		mid = lo + (hi - lo) / 2;
		if ((*ring_at(r, mid))->seq <= tick)
			lo = mid;
		else
			hi = mid;
	}
	rec = *ring_at(r, lo);
	rec->refs++;
	return rec;
}

void
slogrec_unref(struct slogrec **recp)
{
	struct slogrec	*rec = *recp;

	*recp = NULL;
	if (rec != NULL && --rec->refs == 0)
		free(rec);
}

void
sring_trim(struct slogring *r, uint64_t tick)
{
	while (r->n > 0 && (*ring_at(r, 0))->seq < tick)
		ring_drop_first(r);
}

void
sring_free(struct slogring *r)
{
	while (r->n > 0)
		ring_drop_first(r);
	free(r->recs);
	memset(r, 0, sizeof(*r));
}
