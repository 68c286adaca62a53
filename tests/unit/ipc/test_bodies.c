/* test_bodies.c - message bodies, configurations and records: what is cut, too
 * long or wrong is refused, what is taken is what was said */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "bodies.h"
#include "ipc/codec.h"
#include "unit.h"

/* In memory of its own size, for who reads beyond its end. */
static int
take(const struct body *x, const uint8_t *p, size_t n, struct buf *again)
{
	uint8_t		*own = xmalloc(n == 0 ? 1 : n);
	struct rbuf	 m = { own, n };
	int		 r;

	if (n != 0)
		memcpy(own, p, n);
	buf_reset(again);
	r = x->take(&m, again);
	free(own);
	return r;
}

static void
fails(const struct body *x, const char *what, size_t at)
{
	printf("# %s: %s at byte %zu\n", x->name, what, at);
	CU_FAIL("see above");
}

static void
test_same(void)
{
	struct buf	 b = BUF_INIT, again = BUF_INIT;
	size_t		 i;

	for (i = 0; i < nbodies; i++) {
		buf_reset(&b);
		bodies[i].make(&b);
		CU_ASSERT_TRUE(b.len > 0);
		if (take(&bodies[i], b.data, b.len, &again) != 0 ||
		    again.len != b.len ||
		    memcmp(again.data, b.data, b.len) != 0)
			fails(&bodies[i], "not the same", b.len);
	}
	buf_free(&b);
	buf_free(&again);
}

static void
test_cut(void)
{
	struct buf	 b = BUF_INIT, again = BUF_INIT;
	size_t		 i, n;

	for (i = 0; i < nbodies; i++) {
		buf_reset(&b);
		bodies[i].make(&b);
		for (n = 0; n < b.len; n++)
			if (take(&bodies[i], b.data, n, &again) == 0 &&
			    !bodies[i].open)
				fails(&bodies[i], "taken though it is cut",
				    n);
		put_u8(&b, 0);
		if (take(&bodies[i], b.data, b.len, &again) == 0 &&
		    !bodies[i].open)
			fails(&bodies[i], "taken with something behind it",
			    b.len);
	}
	buf_free(&b);
	buf_free(&again);
}

/* Each byte, and each length, something else: refused, or what it says. */
static void
test_wrong(void)
{
	static const uint8_t	 other[] = { 0, 1, 2, 0x7f, 0x80, 0xff };
	struct buf		 b = BUF_INIT, again = BUF_INIT;
	struct buf		 twice = BUF_INIT;
	uint8_t			 was[4];
	size_t			 i, at, k;

	for (i = 0; i < nbodies; i++) {
		buf_reset(&b);
		bodies[i].make(&b);
		for (at = 0; at < b.len; at++) {
			was[0] = b.data[at];
			for (k = 0; k < NITEMS(other); k++) {
				b.data[at] = other[k];
				if (take(&bodies[i], b.data, b.len,
				    &again) == 0 && take(&bodies[i],
				    again.data, again.len, &twice) != 0)
					fails(&bodies[i], "taken, and not "
					    "again", at);
			}
			b.data[at] = was[0];
			if (at + 4 > b.len)
				continue;
			memcpy(was, b.data + at, 4);
			memset(b.data + at, 0xff, 4);
			(void)take(&bodies[i], b.data, b.len, &again);
			memcpy(b.data + at, was, 4);
		}
	}
	buf_free(&b);
	buf_free(&again);
	buf_free(&twice);
}

UNIT_MAIN("bodies",
    { "what was said is what is taken", test_same },
    { "what is cut, or goes on behind its end, is refused", test_cut },
    { "wrong bytes and lengths do no harm", test_wrong })
