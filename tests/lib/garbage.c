/* garbage.c - see garbage.h */
#include <string.h>

#include "base/err.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "garbage.h"

static const uint16_t	 types[] = {
#define X(name, number)	number,
	MESSAGE_LIST(X)
#undef X
	0, 0x77, 0x7777, 0x08ff, 0xffff
};

static uint8_t
random_byte(struct garbage *g)
{
	g->random ^= g->random << 13;
	g->random ^= g->random >> 7;
	g->random ^= g->random << 17;
	return (uint8_t)(g->random >> 24);
}

static void
put_random(struct garbage *g, struct buf *b, size_t n)
{
	while (n-- > 0)
		put_u8(b, random_byte(g));
}

static void
put_same(struct buf *b, uint8_t v, size_t n)
{
	while (n-- > 0)
		put_u8(b, v);
}

/* The beginnings of what many messages are. */
static void
put_words(struct garbage *g, struct buf *b, unsigned int which)
{
	if (which & 1)
		put_str(b, g->target);
	put_str(b, g->db);
	if (which & 2) {
		put_u64(b, g->cid);
		put_u32(b, which & 4 ? UINT32_MAX : 0);
	} else
		put_str(b, g->cuid);
}

static const char *const	json[] = {
	"{", "[]", "{}", "null", "\"x\"", "7", "{\"state\":7}",
	"{\"state\":\"\",\"error\":[],\"tick\":\"x\",\"server\":{}}",
	"{\"tick\":18446744073709551615,\"owed\":-1,\"dead\":1e300}",
	"{\"shards\":[[],{},null,{\"db\":7}],\"pairs\":{\"x\":[1]}}"
};

enum {
	SIZES = 20,		/* zeros, ones, random */
	WORDS = 24,		/* cut, whole, with something behind them */
	BODIES = 3 * SIZES + WORDS + 2 * (int)NITEMS(json) + 4
};

static void
make_body(struct garbage *g, struct buf *b, size_t i)
{
	if (i < 3 * SIZES) {
		if (i % 3 == 0)
			put_same(b, 0, i / 3);
		else if (i % 3 == 1)
			put_same(b, 0xff, i / 3);
		else
			put_random(g, b, i / 3);
		return;
	}
	i -= 3 * SIZES;
	if (i < WORDS) {
		put_words(g, b, i & 7);
		if (i / 8 == 1)
			put_random(g, b, 1 + random_byte(g) % 40);
		else if (i / 8 == 2)
			b->len -= 1 + random_byte(g) % 4;
		return;
	}
	i -= WORDS;
	if (i < 2 * NITEMS(json)) {
		if (i % 2 == 1)
			put_str(b, g->target);
		put_bytes(b, json[i / 2], strlen(json[i / 2]));
		return;
	}
	i -= 2 * NITEMS(json);
	if (i % 2 == 1)		/* a length beyond the end */
		put_u32(b, i < 2 ? 0x7fffffff : UINT32_MAX);
	put_random(g, b, i < 2 ? 300 : 5000);
}

bool
garbage_next(struct garbage *g, uint16_t *type, uint32_t *id, struct buf *body)
{
	if (g->type == NITEMS(types))
		return false;
	*type = types[g->type];
	*id = g->body % 3 == 2 ? g->id : (uint32_t)(g->body % 3);
	buf_reset(body);
	make_body(g, body, g->body);
	if (++g->body == BODIES) {
		g->body = 0;
		g->type++;
	}
	return true;
}
