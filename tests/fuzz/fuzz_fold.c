/*
 * fuzz_fold.c - arbitrary lines through the fold: bodies must be what the last
 * operation per key says, whatever is refused on the way.  The first byte
 * chooses sizes and troubles.
 */
#include <stdlib.h>
#include <string.h>

#include "arango/errors.h"
#include "base/err.h"
#include "json/get.h"
#include "sync/fold.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum arango_reaction
react(int num, int status)
{
	return num == 1221 ? ARANGO_REFUSED : status == 0 ? ARANGO_ELEMENT :
	    ARANGO_RETRY;
}

static void
note_key(void *arg, const void *key, size_t len, bool removed)
{
	struct fold	*f = arg;
	bool		 r;

	bug_unless(fold_has_key(f, key, len, &r) && r == removed);
}

static void
send_all(struct fold *f, uint8_t mode)
{
	struct fold_body	 body;
	struct fold_conflict	 c;
	struct fold_dead	 d;
	struct buf		 b = BUF_INIT;
	enum fold_next		 r;
	unsigned int		 n = mode;
	size_t			 i, turns = 0;

	for (;;) {
		buf_reset(&b);
		r = fold_next(f, &b, &body);
		if (r == FOLD_DONE || r == FOLD_STUCK)
			break;
		bug_unless(turns++ < 100000 && r != FOLD_WAIT);
		if (r == FOLD_RESOLVE) {
			for (i = 0; fold_conflict_at(f, i, &c) == 0; i++)
				bug_unless(c.key.p != NULL);
			bug_unless(i > 0);
			fold_resolved(f);
		}
		if (r != FOLD_BODY)
			continue;
		bug_unless(body.count > 0 && b.len >= 2 && b.data[0] == '[' &&
		    b.data[b.len - 1] == ']');
		n = n * 1103515245 + 12345;
		if ((mode & 1) != 0 && (n >> 16 & 7) == 0) {
			fold_unsent(f, &body, (n & 0x100000) != 0 ?
			    ARANGO_SPLIT : ARANGO_RETRY);
			continue;
		}
		if ((mode & 2) != 0)
			fold_element(f, &body, n >> 20 & 3,
			    (n & 0x40000) != 0 ? 1210 : 1221,
			    (n & 0x80000) != 0 ? "a" : NULL, NULL, react);
		fold_answered(f, &body);
	}
	if (r == FOLD_DONE && (mode & 3) == 0)
		bug_unless(fold_counts(f)->dead == 0 || (mode & 4) != 0);
	fold_each_key(f, note_key, f);
	for (i = 0; i < fold_counts(f)->dead && i < 4; i++)
		bug_unless(fold_dead_at(f, i, &d) == 0 && d.key.p != NULL);
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fold_opts	 o = FOLD_OPTS_INIT;
	struct fold		*f;
	uint8_t			 mode;
	char			*copy;
	size_t			 used, at;
	int			 r;

	if (size == 0)
		return 0;
	mode = *data++;
	size--;
	if ((mode & 4) != 0) {
		o.max_body = 200;
		o.alone = 100;
		o.max_doc = 500;
		o.max_ops = 5;
	}
	o.strip_rev = (mode & 8) != 0;
	/* a block of its own: reads behind the lines are seen */
	if ((copy = malloc(size + 1)) == NULL)
		abort();
	memcpy(copy, data, size);
	f = fold_new(&o);
	if ((mode & 16) != 0)
		fold_set_floor(f, 100);
	for (at = 0; at < size; at += used) {
		r = fold_lines(f, copy + at, size - at, &used, NULL);
		bug_unless(used <= size - at);
		if (r < 0)
			break;
		bug_unless(used > 0 || r == FOLD_FULL);
		send_all(f, mode);
		fold_reset(f);
	}
	send_all(f, mode);
	fold_free(&f);
	free(copy);
	return 0;
}
