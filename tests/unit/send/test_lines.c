/* test_lines.c - lines of a log as records of a queue */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "send/send_priv.h"
#include "unit.h"

#define L(tick)	"{\"tick\":\"" #tick "\",\"data\":{\"tick\":\"9\"}}\n"

static size_t
split(const char *text, bool inside, bool more, struct lines_part out[3])
{
	return lines_split((const uint8_t *)text, strlen(text), inside, more,
	    out);
}

static void
test_ticks(void)
{
	static const char	 two[] = L(11) L(12);
	static const char	 late[] =
	    "{\"type\":2300,\"data\":{\"tick\":\"5\"},\"tick\":\"7\"}\n";
	static const char	 begin[] = "{\"tick\":\"31\",\"type\":2300,"
				    "\"data\":{\"text\":\"xxx";
	uint64_t		 tick = 0;

	CU_ASSERT_EQUAL(lines_last_tick((const uint8_t *)two,
	    sizeof(two) - 1, &tick), 0);
	CU_ASSERT_EQUAL(tick, 12);
	CU_ASSERT_EQUAL(lines_tick((const uint8_t *)late, sizeof(late) - 1,
	    &tick), 0);
	CU_ASSERT_EQUAL(tick, 7);
	/* of a line whose end is not there yet */
	CU_ASSERT_EQUAL(lines_tick((const uint8_t *)begin, sizeof(begin) - 1,
	    &tick), 0);
	CU_ASSERT_EQUAL(tick, 31);
	CU_ASSERT_NOT_EQUAL(lines_tick((const uint8_t *)"{\"tick\":\"31",
	    11, &tick), 0);
	CU_ASSERT_NOT_EQUAL(lines_tick((const uint8_t *)"\n", 1, &tick), 0);
	CU_ASSERT_NOT_EQUAL(lines_last_tick(NULL, 0, &tick), 0);
	CU_ASSERT_EQUAL(lines_count((const uint8_t *)two, sizeof(two) - 1),
	    2);
	CU_ASSERT_EQUAL(lines_count(NULL, 0), 0);
}

static void
test_through(void)
{
	static const char	 text[] = L(11) L(12) L(12) L(15);
	const uint8_t		*p = (const uint8_t *)text;
	size_t			 one = strlen(L(11));

	CU_ASSERT_EQUAL(lines_through(p, 4 * one, 10), 0);
	CU_ASSERT_EQUAL(lines_through(p, 4 * one, 11), one);
	CU_ASSERT_EQUAL(lines_through(p, 4 * one, 14), 3 * one);
	CU_ASSERT_EQUAL(lines_through(p, 4 * one, 15), 4 * one);
	CU_ASSERT_EQUAL(lines_through(p, 4 * one, UINT64_MAX), 4 * one);
	CU_ASSERT_EQUAL(lines_through(NULL, 0, 5), 0);
}

static void
test_split(void)
{
	struct lines_part	 p[3];

	CU_ASSERT_EQUAL(split(L(1) L(2), false, false, p), 1);
	CU_ASSERT_FALSE(p[0].more || p[0].inside);
	/* the rest of a line, whole ones, the begin of one */
	CU_ASSERT_EQUAL(split("rest\"}}\n" L(2) L(3) "{\"tick\":\"4\",", true,
	    true, p), 3);
	CU_ASSERT_EQUAL(p[0].n, 8);
	CU_ASSERT_TRUE(p[0].inside && !p[0].more);
	CU_ASSERT_EQUAL(p[1].n, 2 * strlen(L(2)));
	CU_ASSERT_FALSE(p[1].inside || p[1].more);
	CU_ASSERT_EQUAL(p[2].n, 12);
	CU_ASSERT_TRUE(!p[2].inside && p[2].more);
	/* the middle of one */
	CU_ASSERT_EQUAL(split("middle", true, true, p), 1);
	CU_ASSERT_TRUE(p[0].inside && p[0].more);
	/* its end, which is only the end of the line */
	CU_ASSERT_EQUAL(split("\n", true, false, p), 1);
	CU_ASSERT_TRUE(p[0].inside && !p[0].more);
	CU_ASSERT_EQUAL(split("{\"tick\":", false, true, p), 1);
	CU_ASSERT_TRUE(!p[0].inside && p[0].more);
	CU_ASSERT_EQUAL(lines_split(NULL, 0, true, false, p), 0);
}

UNIT_MAIN("send lines",
    { "the tick of a line is that of its outermost object", test_ticks },
    { "lines through a tick are a beginning", test_through },
    { "a part of a line is a record of its own", test_split })
