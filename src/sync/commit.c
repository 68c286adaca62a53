/* commit.c - when an answered batch is safe; see commit.h */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/map.h"
#include "sync/commit.h"

struct batch {
	uint64_t	 number;
	uint64_t	 answered_ms;
	bool		 answered;
	struct sync_pos	 pos;
};

struct commit {
	uint32_t	 settle_ms, suspect_for_ms;
	struct batch	*batches;	/* [first, first + n), by number */
	size_t		 first, n, cap;
	size_t		 prefix;	/* answered without a gap */
	struct sync_pos	 applied, committed;
	bool		 frozen;
	bool		 led;		/* a leader was seen */
	uint64_t	 suspect_ms;	/* compare from then on; UINT64_MAX */
	struct map	 reboots;	/* server -> reboot id */
};

struct commit *
commit_new(uint32_t settle_ms, uint32_t suspect_ms)
{
	struct commit	*c = xcalloc(1, sizeof(*c));

	c->settle_ms = settle_ms;
	c->suspect_for_ms = suspect_ms;
	c->suspect_ms = UINT64_MAX;
	return c;
}

void
commit_free(struct commit **cp)
{
	struct commit	*c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	map_free(&c->reboots, free);
	free(c->batches);
	free(c);
}

static struct batch *
batch_at(const struct commit *c, size_t i)
{
	return &c->batches[c->first + i];
}

static struct batch *
batch_find(const struct commit *c, uint64_t number)
{
	size_t		 lo = 0, hi = c->n, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (batch_at(c, mid)->number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < c->n && batch_at(c, lo)->number == number ?
	    batch_at(c, lo) : NULL;
}

void
commit_sent(struct commit *c, uint64_t batch, const struct sync_pos *pos)
{
	struct batch	*b = batch_find(c, batch);

	/* sent again: the same batch, the same place */
	if (b != NULL)
		return;
	if (c->n != 0 && batch_at(c, c->n - 1)->number > batch)
		return;
	if (c->first + c->n == c->cap) {
		if (c->first >= c->cap / 2 && c->first != 0) {
			memmove(c->batches, c->batches + c->first,
			    c->n * sizeof(*b));
			c->first = 0;
		} else {
			c->cap = MAX((size_t)16, c->cap * 2);
			c->batches = xrealloc(c->batches,
			    c->cap * sizeof(*b));
		}
	}
	b = batch_at(c, c->n++);
	memset(b, 0, sizeof(*b));
	b->number = batch;
	b->pos = *pos;
}

void
commit_answered(struct commit *c, uint64_t batch, uint64_t now_ms)
{
	struct batch	*b = batch_find(c, batch);

	if (b == NULL || b->answered)
		return;
	b->answered = true;
	b->answered_ms = now_ms;
	while (c->prefix < c->n && batch_at(c, c->prefix)->answered) {
		c->applied = batch_at(c, c->prefix)->pos;
		c->prefix++;
	}
}

void
commit_unknown(struct commit *c, uint64_t batch, uint64_t now_ms)
{
	struct batch	*b = batch_find(c, batch);

	/*
	 * The lost request may run for as long as arangod lets one run.  A
	 * later one moves the end: the comparison must come after the last.
	 */
	if (b != NULL || c->n == 0)
		c->suspect_ms = now_ms + c->suspect_for_ms;
}

void
commit_suspect_until(struct commit *c, uint64_t until_ms)
{
	c->suspect_ms = until_ms;
}

const struct sync_pos *
commit_applied(const struct commit *c)
{
	return pos_is_none(&c->applied) ? NULL : &c->applied;
}

const struct sync_pos *
commit_committed(struct commit *c, uint64_t now_ms)
{
	const struct batch	*b;

	while (!c->frozen && c->prefix != 0) {
		b = batch_at(c, 0);
		if (now_ms < b->answered_ms + c->settle_ms)
			break;
		c->committed = b->pos;
		c->first++;
		c->n--;
		c->prefix--;
	}
	if (c->n == 0)
		c->first = 0;
	return pos_is_none(&c->committed) ? NULL : &c->committed;
}

uint64_t
commit_next_ms(const struct commit *c)
{
	if (c->frozen || c->prefix == 0)
		return UINT64_MAX;
	return batch_at(c, 0)->answered_ms + c->settle_ms;
}

size_t
commit_in_flight(const struct commit *c)
{
	size_t		 i, n = 0;

	for (i = c->prefix; i < c->n; i++)
		n += !batch_at(c, i)->answered;
	return n;
}

size_t
commit_settling(const struct commit *c)
{
	return c->n - commit_in_flight(c);
}

/* What was known of it; NULL: nothing, then it is remembered. */
static uint64_t *
reboot_known(struct commit *c, const char *server, uint64_t reboot_id)
{
	uint64_t	*known = map_get(&c->reboots, server), *new;

	if (known == NULL) {
		new = xcalloc(1, sizeof(*new));
		*new = reboot_id;
		map_put(&c->reboots, server, new);
	}
	return known;
}

void
commit_copy_seen(struct commit *c, const char *server, uint64_t reboot_id)
{
	if (reboot_id != 0)
		(void)reboot_known(c, server, reboot_id);
}

bool
commit_target_seen(struct commit *c, const char *server, uint64_t reboot_id)
{
	uint64_t	*known;
	bool		 changed;

	if (reboot_id == 0)
		return false;
	known = reboot_known(c, server, reboot_id);
	changed = known == NULL ? c->led : *known != reboot_id;
	if (known != NULL)
		*known = reboot_id;
	c->led = true;
	if (changed)
		c->frozen = true;
	return changed;
}

bool
commit_is_frozen(const struct commit *c)
{
	return c->frozen;
}

bool
commit_is_suspect(const struct commit *c)
{
	return c->suspect_ms != UINT64_MAX;
}

uint64_t
commit_suspect_ms(const struct commit *c)
{
	return c->suspect_ms;
}

bool
commit_suspect_is_due(const struct commit *c, uint64_t now_ms)
{
	return now_ms >= c->suspect_ms;
}

void
commit_compared(struct commit *c, uint64_t started_ms)
{
	c->frozen = false;
	if (commit_suspect_is_due(c, started_ms))
		c->suspect_ms = UINT64_MAX;
}

void
commit_restart(struct commit *c)
{
	c->first = c->n = c->prefix = 0;
	pos_clear(&c->applied);
}
