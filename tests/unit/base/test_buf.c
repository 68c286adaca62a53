/* test_buf.c - tests of base/buf */
#include <string.h>

#include "base/buf.h"
#include "unit.h"

static void
test_grow(void)
{
	struct buf	 b = BUF_INIT;
	size_t		 i;

	for (i = 0; i < 100000; i++)
		buf_append_u8(&b, (uint8_t)i);
	CU_ASSERT_EQUAL(b.len, 100000);
	for (i = 0; i < b.len; i++)
		if (b.data[i] != (uint8_t)i)
			break;
	CU_ASSERT_EQUAL(i, 100000);
	buf_consume(&b, 99999);
	CU_ASSERT_EQUAL(b.len, 1);
	CU_ASSERT_EQUAL(b.data[0], (uint8_t)99999);
	buf_free(&b);
	CU_ASSERT_PTR_NULL(b.data);
}

static void
test_overflow(void)
{
	struct buf	 b = BUF_INIT;

	buf_append_str(&b, "x");
	CU_ASSERT_TRUE(buf_try_reserve(&b, SIZE_MAX - 1) < 0);
	CU_ASSERT_EQUAL(b.len, 1);
	buf_free(&b);
}

static void
test_text(void)
{
	struct buf	 b = BUF_INIT;

	buf_printf(&b, "%d-%s", 42, "tick");
	CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "42-tick");
	CU_ASSERT_EQUAL(b.len, 7);
	buf_free(&b);
}

UNIT_MAIN("buf",
    { "grows and keeps what is in it", test_grow },
    { "refuses a size that overflows", test_overflow },
    { "prints text and ends it on demand", test_text })
