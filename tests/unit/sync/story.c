/* story.c - see story.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arango/errors.h"
#include "base/err.h"
#include "base/map.h"
#include "base/random.h"
#include "json/get.h"
#include "sync/fold.h"
#include "story.h"
#include "unit.h"

enum arango_reaction
react(int num, int status)
{
	switch (num) {
	case 0:
	case AERR_DOCUMENT_NOT_FOUND:
		return ARANGO_SUCCESS;
	case AERR_UNIQUE_CONSTRAINT:
	case AERR_CONFLICT:
		return ARANGO_ELEMENT;
	case AERR_DOCUMENT_KEY_BAD:
	case AERR_DOCUMENT_TOO_LARGE:
		return ARANGO_REFUSED;
	case AERR_SHARD_LEADER_RESIGNED:
		return ARANGO_LEADER;
	case AERR_RESOURCE_LIMIT:
		return ARANGO_SPLIT;
	default:
		return status == 0 ? ARANGO_RETRY : ARANGO_FAIL;
	}
}

void
story_line(struct buf *b, const char *step, unsigned int tick)
{
	char	 op, k[64], r[64], v[64];
	unsigned int	 tid;

	op = step[0];
	if (op == 'i' && sscanf(step, "i %63s %63s %63s", k, r, v) == 3)
		buf_printf(b, "{\"tick\":\"%u\",\"type\":2300,\"db\":\"d\","
		    "\"cuid\":\"c1/s2\",\"tid\":\"0\",\"data\":{\"_key\":"
		    "\"%s\",\"_rev\":\"%s\",\"v\":%s}}\n", tick, k, r, v);
	else if (op == 'd' && sscanf(step, "d %63s", k) == 1)
		buf_printf(b, "{\"tick\":\"%u\",\"type\":2302,\"db\":\"d\","
		    "\"cuid\":\"c1/s2\",\"tid\":\"0\",\"data\":{\"_key\":"
		    "\"%s\",\"_rev\":\"x\"}}\n", tick, k);
	else if (op == 'I' &&
	    sscanf(step, "I %u %63s %63s %63s", &tid, k, r, v) == 4)
		buf_printf(b, "{\"tick\":\"%u\",\"type\":2300,\"db\":\"d\","
		    "\"cuid\":\"c1/s2\",\"tid\":\"%u\",\"data\":{\"_key\":"
		    "\"%s\",\"_rev\":\"%s\",\"v\":%s}}\n", tick, tid, k, r, v);
	else if (op == 'D' && sscanf(step, "D %u %63s", &tid, k) == 2)
		buf_printf(b, "{\"data\":{\"_key\":\"%s\"},\"tid\":\"%u\","
		    "\"cuid\":\"c1/s2\",\"type\":2302,\"tick\":\"%u\"}\n", k,
		    tid, tick);
	else if (strchr("bca", op) != NULL && sscanf(step + 1, "%u", &tid) == 1)
		buf_printf(b, "{\"tick\":\"%u\",\"type\":%d,\"tid\":\"%u\","
		    "\"db\":\"d\"}\n", tick,
		    op == 'b' ? 2200 : op == 'c' ? 2201 : 2202, tid);
	else if (op == 't')
		buf_printf(b, "{\"tick\":\"%u\",\"type\":2004,\"db\":\"d\","
		    "\"cuid\":\"c1/s2\"}\n", tick);
	else
		buf_append(b, step, strlen(step));
}

void
story_lines(struct buf *b, const char *story)
{
	char		*copy = xstrdup(story), *s, *save = NULL;
	unsigned int	 tick = 0;

	for (s = strtok_r(copy, ";", &save); s != NULL;
	    s = strtok_r(NULL, ";", &save))
		story_line(b, s, ++tick);
	free(copy);
}

/* A body that is read: broken off once, then in pieces of n bytes. */
static void
read_body(struct fold *f, struct fold_body *body, struct buf *out, size_t n)
{
	size_t	 at = 0, got;

	buf_reserve(out, body->unwritten + n);
	(void)fold_body_read(f, body, 0, out->data, n);
	do {
		got = fold_body_read(f, body, at, out->data + at, n);
		at += got;
	} while (got == n);
	CU_ASSERT_EQUAL(at, body->unwritten);
	CU_ASSERT_EQUAL(fold_body_read(f, body, at, out->data + at, n), 0);
	out->len = at;
}

size_t	 piece_bytes = 1;

void
drain(struct fold *f, struct buf *out)
{
	struct fold_body	 body;

	buf_reset(out);
	for (;;) {
		struct buf	 b = BUF_INIT;

		if (fold_next(f, &b, &body) != FOLD_BODY) {
			buf_free(&b);
			break;
		}
		if (body.unwritten != 0)
			read_body(f, &body, &b, piece_bytes);
		buf_append_str(out, body.kind == FOLD_REMOVALS ? "-" : "+");
		buf_append(out, b.data, b.len);
		buf_free(&b);
		fold_answered(f, &body);
	}
}
