/* test_validate.c - tests of checking foreign VelocyPack */
#include <stdlib.h>

#include "util.h"

/* A block of exactly this size, so that a sanitizer sees reads behind it. */
static int
check(const uint8_t *p, size_t n)
{
	uint8_t	*copy = malloc(n == 0 ? 1 : n);
	int	 r;

	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	memcpy(copy, p, n);
	r = vp_validate(copy, n, NULL);
	free(copy);
	return r;
}

#define CHECK(...)							\
	check((const uint8_t[]){ __VA_ARGS__ },				\
	    sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void
test_types(void)
{
	CU_ASSERT_EQUAL(CHECK(0x18), 0);
	CU_ASSERT_EQUAL(CHECK(0x1e), 0);
	CU_ASSERT_EQUAL(CHECK(0x1f), 0);
	CU_ASSERT_EQUAL(CHECK(0x3a), 0);
	CU_ASSERT_EQUAL(CHECK(0xc0, 2, 1, 2), 0);
	CU_ASSERT_EQUAL(CHECK(0x1c, 0, 0, 0, 0, 0, 0, 0, 0), 0);
	CU_ASSERT_EQUAL(CHECK(0x00), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0x17), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0x15), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0x1d, 0, 0, 0, 0, 0, 0, 0, 0), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0xc8, 1, 0, 0, 0, 0, 1), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0xf0, 1), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0xee, 1, 0x18), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0xd8), ERR_FORMAT);
	CU_ASSERT_EQUAL(vp_validate((const uint8_t *)"", 0, NULL),
	    ERR_TRUNCATED);
	CU_ASSERT_EQUAL(CHECK(0x18, 0x18), ERR_FORMAT);
}

static void
test_lengths(void)
{
	CU_ASSERT_EQUAL(CHECK(0x42, 'a'), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(CHECK(0xbf, 1, 0, 0, 0), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(CHECK(0xbf, 2, 0, 0, 0, 0, 0, 0, 0, 'a'),
	    ERR_TRUNCATED);
	CU_ASSERT_EQUAL(CHECK(0xbf, 255, 255, 255, 255, 255, 255, 255, 255),
	    ERR_TRUNCATED);
	CU_ASSERT_EQUAL(CHECK(0xc7, 255, 255, 255, 255, 255, 255, 255, 255),
	    ERR_TRUNCATED);
	CU_ASSERT_EQUAL(CHECK(0x1b, 0, 0), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(CHECK(0x2f, 0, 0), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(CHECK(0x41, 0x80), ERR_FORMAT);	/* UTF-8 */
}

static void
test_arrays(void)
{
	CU_ASSERT_EQUAL(CHECK(0x02, 5, 0x31, 0x32, 0x33), 0);
	CU_ASSERT_EQUAL(CHECK(0x02, 2), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(CHECK(0x02, 2, 0x31), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0x02, 6, 0x31, 0x32, 0x33), ERR_TRUNCATED);
	/* members of different length */
	CU_ASSERT_EQUAL(CHECK(0x02, 6, 0x31, 0x28, 0x0a, 0x33), ERR_FORMAT);
	/* padding up to the ninth byte, all of it or none */
	CU_ASSERT_EQUAL(CHECK(0x02, 10, 0, 0, 0, 0, 0, 0, 0, 0x31), 0);
	CU_ASSERT_EQUAL(CHECK(0x02, 6, 0, 0, 0, 0x31), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0x02, 9, 0, 0, 0, 0, 0, 0, 0), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0x05, 10, 0, 0, 0, 0, 0, 0, 0, 0x31), 0);
	CU_ASSERT_EQUAL(CHECK(0x06, 9, 2, 0x31, 0x28, 0x10, 3, 4),
	    ERR_TRUNCATED);
	CU_ASSERT_EQUAL(CHECK(0x06, 8, 2, 0x31, 0x28, 0x10, 3, 4), 0);
	CU_ASSERT_EQUAL(CHECK(0x06, 8, 2, 0x31, 0x28, 0x10, 4, 3), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0x06, 8, 0, 0x31, 0x28, 0x10, 3, 4), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0x06, 8, 200, 0x31, 0x28, 0x10, 3, 4),
	    ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0x06, 8, 1, 0x31, 0x28, 0x10, 3, 3), ERR_FORMAT);
	/* width 8: the number of members stands at the end */
	CU_ASSERT_EQUAL(CHECK(0x09, 26, 0, 0, 0, 0, 0, 0, 0, 0x18,
	    9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0), 0);
	CU_ASSERT_EQUAL(CHECK(0x09, 26, 0, 0, 0, 0, 0, 0, 0, 0x18,
	    9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 32), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0x13, 6, 0x31, 0x28, 0x10, 2), 0);
	CU_ASSERT_EQUAL(CHECK(0x13, 6, 0x31, 0x28, 0x10, 3), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0x13, 6, 0x31, 0x28, 0x10, 1), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0x13, 6, 0x31, 0x28, 0x10, 0), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0x13, 0x86), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(CHECK(0x13, 3, 1), ERR_FORMAT);
}

static void
test_objects(void)
{
	CU_ASSERT_EQUAL(CHECK(0x0b, 11, 2, 0x41, 'b', 0x31, 0x41, 'a', 0x32,
	    6, 3), 0);
	/* table not sorted, name twice, entry twice, entry elsewhere */
	CU_ASSERT_EQUAL(CHECK(0x0b, 11, 2, 0x41, 'b', 0x31, 0x41, 'a', 0x32,
	    3, 6), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0x0b, 11, 2, 0x41, 'a', 0x31, 0x41, 'a', 0x32,
	    3, 6), ERR_EXISTS);
	CU_ASSERT_EQUAL(CHECK(0x0b, 11, 2, 0x41, 'b', 0x31, 0x41, 'a', 0x32,
	    3, 3), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0x0b, 11, 2, 0x41, 'b', 0x31, 0x41, 'a', 0x32,
	    6, 4), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0x0b, 11, 2, 0x41, 'b', 0x31, 0x41, 'a', 0x32,
	    6, 200), ERR_FORMAT);
	/* fewer and more members than announced */
	CU_ASSERT_EQUAL(CHECK(0x0b, 11, 3, 0x41, 'b', 0x31, 0x41, 'a', 0x32,
	    6, 3), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0x0b, 11, 1, 0x41, 'b', 0x31, 0x41, 'a', 0x32,
	    6, 3), ERR_FORMAT);
	/* a name without value; a value as name */
	CU_ASSERT_EQUAL(CHECK(0x0b, 6, 1, 0x41, 'b', 3), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0x0b, 6, 1, 0x18, 0x18, 3), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0x0b, 6, 1, 0x30, 0x18, 3), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0x0b, 6, 1, 0x31, 0x18, 3), 0);
	CU_ASSERT_EQUAL(CHECK(0x0f, 6, 1, 0x31, 0x18, 3), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0x14, 6, 0x41, 'a', 0x31, 1), 0);
	CU_ASSERT_EQUAL(CHECK(0x14, 9, 0x41, 'a', 0x31, 0x41, 'a', 0x32, 2),
	    ERR_EXISTS);
	CU_ASSERT_EQUAL(CHECK(0x14, 6, 0x41, 'a', 0x31, 2), ERR_FORMAT);
	CU_ASSERT_EQUAL(CHECK(0x14, 4, 0x31, 1), ERR_FORMAT);
}

static void
test_depth_limit(void)
{
	struct vp_builder	 b;
	struct buf		 out = BUF_INIT;
	int			 n, i;

	for (n = VP_DEPTH_MAX - 1; n <= VP_DEPTH_MAX + 10; n++) {
		buf_reset(&out);
		vpb_init(&b, &out);
		for (i = 0; i < n; i++)
			vpb_open_array(&b);
		vpb_null(&b);
		for (i = 0; i < n; i++)
			vpb_close(&b);
		CU_ASSERT_EQUAL(vpb_end(&b), 0);
		CU_ASSERT_EQUAL(check(out.data, out.len),
		    n < VP_DEPTH_MAX ? 0 : ERR_TOO_BIG);
		vpb_free(&b);
	}
	buf_free(&out);
}

/* Every prefix of a value is too short, and no byte behind is read. */
static void
test_truncation(void)
{
	const uint8_t	*s = vp("{\"a\":[1,2.5,{\"b\":\"c\"}],\"d\":[1,2,3],"
			    "\"e\":{\"f\":1,\"g\":[{},[]],\"h\":\"long long "
			    "long long long\"},\"i\":-70000,\"j\":true}");
	size_t		 n = vp_size(s), i;

	CU_ASSERT_EQUAL(check(s, n), 0);
	for (i = 0; i < n; i++)
		CU_ASSERT_TRUE(check(s, i) < 0);
}

static void
test_stream(void)
{
	static const uint8_t	 two[] = { 0x41, 'a', 0x02, 3, 0x31, 0x17 };
	size_t			 used;

	CU_ASSERT_EQUAL(vp_validate_first(two, sizeof(two), &used, NULL), 0);
	CU_ASSERT_EQUAL(used, 2);
	CU_ASSERT_EQUAL(vp_validate_first(two + 2, 4, &used, NULL), 0);
	CU_ASSERT_EQUAL(used, 3);
	CU_ASSERT_EQUAL(vp_validate_first(two + 5, 1, &used, NULL),
	    ERR_FORMAT);
}

UNIT_MAIN("vpack-validate",
    { "types that may come from outside", test_types },
    { "lengths of scalars", test_lengths },
    { "arrays of all encodings", test_arrays },
    { "objects of all encodings", test_objects },
    { "nesting has a limit", test_depth_limit },
    { "no prefix of a value is a value", test_truncation },
    { "values in a row", test_stream })
