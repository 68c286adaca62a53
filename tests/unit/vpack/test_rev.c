/* test_rev.c - tests of revisions and the hybrid logical clock */
#include "util.h"
#include "vpack/rev.h"

/* From the protocol reference, 8.1. */
static const struct {
	const char	*text;
	uint64_t	 rev;
} vectors[] = {
	{ "", 0 },
	{ "_", 1 },
	{ "9", 63 },
	{ "_-", 64 },
	{ "B-3", 12345 },
	{ "N9999999999", UINT64_MAX },
	{ "_XUJFD3C---", 1609522782705549312ULL },
	{ "_fBc08Ea---", 1748376799276957696ULL },
	{ "_fw2Ytzy--_", 1761718532934991873ULL },
	{ "_bpq8a-----", 1687640290099200000ULL },
	{ "_bpq8a_----", 1687640290115977216ULL },
};

static void
test_vectors(void)
{
	char	 text[REV_TEXT_MAX];
	size_t	 i;

	for (i = 0; i < NITEMS(vectors); i++) {
		CU_ASSERT_EQUAL(rev_to_text(vectors[i].rev, text),
		    strlen(vectors[i].text));
		CU_ASSERT_STRING_EQUAL(text, vectors[i].text);
		CU_ASSERT_EQUAL(rev_from_text(vectors[i].text,
		    strlen(vectors[i].text)), vectors[i].rev);
	}
	/* 2022-11-02T09:40:48.871Z, counter 0; the other one counter 1 */
	CU_ASSERT_EQUAL(REV_MS(1748376799276957696ULL), 1667382048871ULL);
	CU_ASSERT_EQUAL(REV_COUNTER(1748376799276957696ULL), 0);
	CU_ASSERT_EQUAL(REV_MS(1761718532934991873ULL), 1680105717597ULL);
	CU_ASSERT_EQUAL(REV_COUNTER(1761718532934991873ULL), 1);
}

static void
test_round_trip(void)
{
	char		 text[REV_TEXT_MAX];
	uint64_t	 x = 1;
	size_t		 n;
	int		 i;

	for (i = 0; i < 100000; i++) {
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		n = rev_to_text(x >> (i % 64), text);
		if (rev_from_text(text, n) != x >> (i % 64))
			break;
	}
	CU_ASSERT_EQUAL(i, 100000);
}

static void
test_invalid(void)
{
	static const char *const t[] = { "-", "-_", "--------------", "a b",
	    "a+", "\xc3\xa4", "O9999999999", "zzzzzzzzzzz", "_fw2Ytzy--_-",
	    "123456789012" };
	size_t	 i;

	for (i = 0; i < NITEMS(t); i++)
		CU_ASSERT_EQUAL(rev_from_text(t[i], strlen(t[i])),
		    REV_INVALID);
}

static void
test_clock(void)
{
	struct hlc	 c = { 0 };
	uint64_t	 a, b;

	CU_ASSERT_EQUAL(hlc_next(&c, 1000), REV_MAKE(1000, 0));
	CU_ASSERT_EQUAL(hlc_next(&c, 1000), REV_MAKE(1000, 1));
	CU_ASSERT_EQUAL(hlc_next(&c, 1000), REV_MAKE(1000, 2));
	CU_ASSERT_EQUAL(hlc_next(&c, 1001), REV_MAKE(1001, 0));
	/* the clock of the machine is set back */
	CU_ASSERT_EQUAL(hlc_next(&c, 5), REV_MAKE(1001, 1));
	/* another server is ahead */
	hlc_receive(&c, REV_MAKE(2000, 7));
	CU_ASSERT_EQUAL(hlc_next(&c, 1002), REV_MAKE(2000, 8));
	hlc_receive(&c, REV_MAKE(1500, 0));
	hlc_receive(&c, REV_INVALID);
	CU_ASSERT_EQUAL(hlc_next(&c, 1003), REV_MAKE(2000, 9));
	CU_ASSERT_EQUAL(hlc_next(&c, 2001), REV_MAKE(2001, 0));
	/* a full counter runs into the next millisecond */
	c.last = REV_MAKE(3000, 0xfffff);
	CU_ASSERT_EQUAL(hlc_next(&c, 3000), REV_MAKE(3001, 0));
	CU_ASSERT_EQUAL(hlc_next(&c, 3001), REV_MAKE(3001, 1));
	a = hlc_stamp(&c);
	b = hlc_stamp(&c);
	CU_ASSERT_TRUE(b > a);
	CU_ASSERT_TRUE(REV_MS(a) > 1600000000000ULL);
}

UNIT_MAIN("vpack-rev",
    { "revisions as text and number", test_vectors },
    { "numbers survive as text", test_round_trip },
    { "texts that are none", test_invalid },
    { "stamps rise strictly and start at 0 each millisecond", test_clock })
