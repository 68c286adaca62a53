/* test_frame.c - tests of ipc/frame, ipc/codec, ipc/messages, ipc/rules */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ipc/codec.h"
#include "ipc/frame.h"
#include "ipc/rules.h"
#include "unit.h"

static const struct frame_header small = { 0, 0x0102, 0, 7, 9 };

static void
test_header_bytes(void)
{
	static const uint8_t	 want[] = {
		3, 0, 0, 0,  2, 1,  0, 0,  7, 0, 0, 0,  9, 0, 0, 0,
		'a', 'b', 'c'
	};
	struct buf		 b = BUF_INIT;

	frame_encode(&b, &small, "abc", 3);
	CU_ASSERT_EQUAL(b.len, sizeof(want));
	CU_ASSERT_EQUAL(memcmp(b.data, want, sizeof(want)), 0);
	buf_free(&b);
}

static void
test_byte_by_byte(void)
{
	struct frame_parser	 p;
	struct frame		 f;
	struct buf		 b = BUF_INIT;
	size_t			 i, n = 0;

	frame_encode(&b, &small, "abc", 3);
	frame_encode(&b, &small, NULL, 0);
	frame_parser_init(&p, 100);
	for (i = 0; i < b.len; i++) {
		frame_parser_feed(&p, b.data + i, 1);
		while (frame_parser_next(&p, &f) == 1) {
			CU_ASSERT_EQUAL(f.type, 0x0102);
			CU_ASSERT_EQUAL(f.generation, 7);
			CU_ASSERT_EQUAL(f.id, 9);
			CU_ASSERT_EQUAL(f.len, n == 0 ? 3 : 0);
			n++;
		}
		CU_ASSERT_EQUAL(frame_parser_is_idle(&p), i == 18 || i == 34);
	}
	CU_ASSERT_EQUAL(n, 2);
	frame_parser_free(&p);
	buf_free(&b);
}

static void
test_continuation(void)
{
	const size_t		 len = 2 * FRAME_PAYLOAD_MAX_BYTES + 5;
	uint8_t			*data = xmalloc(len);
	struct frame_parser	 p;
	struct frame		 f;
	struct buf		 b = BUF_INIT;
	size_t			 i;

	for (i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 31 >> 3);
	frame_encode(&b, &small, data, len);
	CU_ASSERT_EQUAL(b.len, len + 3 * FRAME_HEADER_BYTES);
	frame_parser_init(&p, len);
	frame_parser_feed(&p, b.data, b.len - 1);
	CU_ASSERT_EQUAL(frame_parser_next(&p, &f), 0);
	CU_ASSERT_FALSE(frame_parser_is_idle(&p));
	frame_parser_feed(&p, b.data + b.len - 1, 1);
	CU_ASSERT_EQUAL(frame_parser_next(&p, &f), 1);
	CU_ASSERT_EQUAL(f.len, len);
	CU_ASSERT_EQUAL(memcmp(f.payload, data, len), 0);
	CU_ASSERT_EQUAL(frame_parser_next(&p, &f), 0);
	CU_ASSERT_TRUE(frame_parser_is_idle(&p));
	frame_parser_free(&p);
	/* The same is too much for a conversation with a smaller maximum. */
	frame_parser_init(&p, len - 1);
	frame_parser_feed(&p, b.data, b.len);
	CU_ASSERT_EQUAL(frame_parser_next(&p, &f), ERR_TOO_BIG);
	CU_ASSERT_EQUAL(frame_parser_next(&p, &f), ERR_TOO_BIG);
	frame_parser_free(&p);
	buf_free(&b);
	free(data);
}

static void
expect_bad(const struct frame_header *h, size_t n, int want)
{
	static const uint8_t	 zeros[64];
	struct frame_parser	 p;
	struct frame		 f;
	uint8_t			 head[FRAME_HEADER_BYTES];
	size_t			 i;
	int			 r = 0;

	frame_parser_init(&p, 1000);
	for (i = 0; i < n; i++) {
		frame_put_header(head, &h[i]);
		frame_parser_feed(&p, head, sizeof(head));
		frame_parser_feed(&p, zeros, MIN(h[i].length, 64U));
		while ((r = frame_parser_next(&p, &f)) == 1)
			;
	}
	CU_ASSERT_EQUAL(r, want);
	CU_ASSERT_EQUAL(frame_parser_next(&p, &f), want);
	frame_parser_free(&p);
}

/* n frames of len bytes each into the parser, and the first one out. */
static void
feed_frames(struct frame_parser *p, struct frame *f, int n, size_t len)
{
	static uint8_t		 payload[100000];
	struct frame_header	 h = { .type = 7, .generation = 3, .id = 9 };
	struct buf		 b = BUF_INIT;

	memset(payload, 'x', sizeof(payload));
	while (n-- > 0)
		frame_encode(&b, &h, payload, len);
	/* the begin, and then the rest to its place */
	frame_parser_feed(p, b.data, 20);
	CU_ASSERT_EQUAL(frame_parser_next(p, f), 0);
	if (frame_parser_lacks(p) == b.len - 20) {
		memcpy(frame_parser_space(p), b.data + 20, b.len - 20);
		frame_parser_filled(p, b.len - 20);
	} else
		frame_parser_feed(p, b.data + 20, b.len - 20);
	CU_ASSERT_EQUAL(frame_parser_next(p, f), 1);
	buf_free(&b);
}

static void
test_give(void)
{
	struct frame_parser	 p;
	struct frame		 f;
	struct buf		 out = BUF_INIT;

	frame_parser_init(&p, 1000000);
	feed_frames(&p, &f, 1, 100000);
	CU_ASSERT_TRUE(frame_parser_give(&p, &f, &out));
	CU_ASSERT_EQUAL(out.len, FRAME_HEADER_BYTES + 100000);
	CU_ASSERT_PTR_EQUAL(f.payload, out.data + FRAME_HEADER_BYTES);
	CU_ASSERT_FALSE(frame_parser_give(&p, &f, &out));
	CU_ASSERT_EQUAL(frame_parser_next(&p, &f), 0);
	CU_ASSERT_TRUE(frame_parser_is_idle(&p));
	buf_free(&out);
	/* not a short one, not with others, not in parts */
	feed_frames(&p, &f, 1, 1000);
	CU_ASSERT_FALSE(frame_parser_give(&p, &f, &out));
	CU_ASSERT_EQUAL(frame_parser_next(&p, &f), 0);
	feed_frames(&p, &f, 2, 50000);
	CU_ASSERT_FALSE(frame_parser_give(&p, &f, &out));
	CU_ASSERT_EQUAL(frame_parser_next(&p, &f), 1);
	CU_ASSERT_FALSE(frame_parser_give(&p, &f, &out));
	CU_ASSERT_EQUAL(f.len, 50000);
	CU_ASSERT_EQUAL(frame_parser_next(&p, &f), 0);
	feed_frames(&p, &f, 1, 90000);
	CU_ASSERT_TRUE(frame_parser_give(&p, &f, &out));
	CU_ASSERT_EQUAL(out.data[out.len - 1], 'x');
	buf_free(&out);
	frame_parser_free(&p);
}

static void
test_bad_frames(void)
{
	const struct frame_header	 huge = { UINT32_MAX, 1, 0, 0, 0 };
	const struct frame_header	 long1 = {
		FRAME_PAYLOAD_MAX_BYTES + 1, 1, 0, 0, 0
	};
	const struct frame_header	 limit = { 1001, 1, 0, 0, 0 };
	const struct frame_header	 flags = { 0, 1, 0x8000, 0, 0 };
	const struct frame_header	 other[] = {
		{ 4, 1, FRAME_MORE, 0, 5 }, { 4, 2, 0, 0, 5 }
	};
	const struct frame_header	 other_id[] = {
		{ 4, 1, FRAME_MORE, 0, 5 }, { 4, 1, 0, 0, 6 }
	};
	const struct frame_header	 endless[] = {
		{ 4, 1, FRAME_MORE, 0, 5 }, { 0, 1, FRAME_MORE, 0, 5 }
	};
	const struct frame_header	 late_fd[] = {
		{ 4, 1, FRAME_MORE, 0, 5 }, { 4, 1, FRAME_FD, 0, 5 }
	};

	expect_bad(&huge, 1, ERR_TOO_BIG);
	expect_bad(&long1, 1, ERR_TOO_BIG);
	expect_bad(&limit, 1, ERR_TOO_BIG);
	expect_bad(&flags, 1, ERR_PROTOCOL);
	expect_bad(other, 2, ERR_PROTOCOL);
	expect_bad(other_id, 2, ERR_PROTOCOL);
	expect_bad(endless, 2, ERR_PROTOCOL);
	expect_bad(late_fd, 2, ERR_PROTOCOL);
}

static void
test_codec_round(void)
{
	static const uint64_t	 numbers[] = {
		0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX >> 1,
		UINT64_MAX
	};
	struct buf		 b = BUF_INIT;
	struct rbuf		 m;
	const uint8_t		*p;
	char			 s[8], *d;
	uint64_t		 v64;
	uint32_t		 v32;
	uint16_t		 v16;
	uint8_t			 v8;
	int32_t			 i32;
	bool			 t;
	size_t			 n, i;

	put_u8(&b, 200);
	put_u16(&b, 60000);
	put_u32(&b, 4000000000U);
	put_u64(&b, UINT64_MAX - 1);
	put_i32(&b, -10003);
	put_bool(&b, true);
	for (i = 0; i < NITEMS(numbers); i++)
		put_varint(&b, numbers[i]);
	put_str(&b, "seven77");
	put_str(&b, "");
	put_bytes(&b, "a\0b", 3);
	m.p = b.data;
	m.left = b.len;
	CU_ASSERT(get_u8(&m, &v8) == 0 && v8 == 200);
	CU_ASSERT(get_u16(&m, &v16) == 0 && v16 == 60000);
	CU_ASSERT(get_u32(&m, &v32) == 0 && v32 == 4000000000U);
	CU_ASSERT(get_u64(&m, &v64) == 0 && v64 == UINT64_MAX - 1);
	CU_ASSERT(get_i32(&m, &i32) == 0 && i32 == -10003);
	CU_ASSERT(get_bool(&m, &t) == 0 && t);
	for (i = 0; i < NITEMS(numbers); i++)
		CU_ASSERT(get_varint(&m, &v64) == 0 && v64 == numbers[i]);
	CU_ASSERT(get_str(&m, s, sizeof(s)) == 0);
	CU_ASSERT_STRING_EQUAL(s, "seven77");
	CU_ASSERT(get_str_dup(&m, 0, &d) == 0);
	CU_ASSERT_STRING_EQUAL(d, "");
	free(d);
	CU_ASSERT_EQUAL(get_end(&m), ERR_FORMAT);
	CU_ASSERT(get_bytes(&m, &p, &n) == 0 && n == 3 &&
	    memcmp(p, "a\0b", 3) == 0);
	CU_ASSERT_EQUAL(get_end(&m), 0);
	CU_ASSERT_EQUAL(get_u8(&m, &v8), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(v8, 200);
	buf_free(&b);
}

static void
test_codec_refuses(void)
{
	static const uint8_t	 nul[] = { 2, 0, 0, 0, 'a', 0 };
	static const uint8_t	 lies[] = { 255, 255, 255, 255, 'a' };
	static const uint8_t	 overlong[] = { 0x80, 0x00 };
	static const uint8_t	 wide[] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02
	};
	struct rbuf	 m = { nul, sizeof(nul) };
	const uint8_t	*p;
	char		 s[8] = "kept", *d;
	uint64_t	 v = 77;
	size_t		 n;
	bool		 t;

	CU_ASSERT_EQUAL(get_str(&m, s, sizeof(s)), ERR_FORMAT);
	CU_ASSERT_EQUAL(get_str(&m, s, 2), ERR_TOO_BIG);
	CU_ASSERT_EQUAL(get_str_dup(&m, 1, &d), ERR_TOO_BIG);
	CU_ASSERT_STRING_EQUAL(s, "kept");
	CU_ASSERT_EQUAL(m.left, sizeof(nul));
	CU_ASSERT_EQUAL(get_bool(&m, &t), ERR_FORMAT);
	m = (struct rbuf){ lies, sizeof(lies) };
	CU_ASSERT_EQUAL(get_bytes(&m, &p, &n), ERR_TRUNCATED);
	m = (struct rbuf){ overlong, sizeof(overlong) };
	CU_ASSERT_EQUAL(get_varint(&m, &v), ERR_FORMAT);
	m = (struct rbuf){ wide, sizeof(wide) };
	CU_ASSERT_EQUAL(get_varint(&m, &v), ERR_FORMAT);
	m = (struct rbuf){ wide, 4 };
	CU_ASSERT_EQUAL(get_varint(&m, &v), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(v, 77);
}

static void
test_names(void)
{
	CU_ASSERT_STRING_EQUAL(msg_name(MSG_PROC_READY), "MSG_PROC_READY");
	CU_ASSERT_STRING_EQUAL(msg_name(0xbeef), "MSG_0xbeef");
}

static int	called;

static int
on_u32(struct msg_in *m)
{
	uint32_t	 v;
	int		 r;

	called++;
	if ((r = get_u32(&m->body, &v)) != 0)
		return r;
	return get_end(&m->body);
}

static void
test_rules(void)
{
	static const struct msg_rule	 rules[] = {
		{ MSG_PROC_READY, 2, 4, 6, on_u32 },
		{ MSG_NONE, 0, 0, 0, NULL }
	};
	uint8_t		 bytes[8] = { 0 };
	struct frame	 f = { MSG_PROC_READY, false, 0, 0, bytes, 4 };

	called = 0;
	CU_ASSERT_EQUAL(msg_dispatch(rules, 2, NULL, NULL, &f), 0);
	CU_ASSERT_EQUAL(called, 1);
	CU_ASSERT_EQUAL(msg_dispatch(rules, 1, NULL, NULL, &f), ERR_BAD_STATE);
	f.len = 3;
	CU_ASSERT_EQUAL(msg_dispatch(rules, 2, NULL, NULL, &f), ERR_TRUNCATED);
	f.len = 7;
	CU_ASSERT_EQUAL(msg_dispatch(rules, 2, NULL, NULL, &f), ERR_TOO_BIG);
	CU_ASSERT_EQUAL(called, 1);
	f.len = 5;
	CU_ASSERT_EQUAL(msg_dispatch(rules, 2, NULL, NULL, &f), ERR_FORMAT);
	f.type = MSG_PROC_STOP;
	CU_ASSERT_EQUAL(msg_dispatch(rules, 2, NULL, NULL, &f), ERR_PROTOCOL);
	CU_ASSERT_EQUAL(msg_rules_max(rules), 6);
}

UNIT_MAIN("frame",
    { "has the documented bytes", test_header_bytes },
    { "comes out whole however it arrives", test_byte_by_byte },
    { "long messages go in parts and have a maximum", test_continuation },
    { "a long one that came alone gives its memory away", test_give },
    { "bad frames end the stream", test_bad_frames },
    { "typed values come back as they were put", test_codec_round },
    { "bad values are refused and change nothing", test_codec_refuses },
    { "messages have names", test_names },
    { "tables refuse unknown type, wrong phase, wrong size", test_rules })
