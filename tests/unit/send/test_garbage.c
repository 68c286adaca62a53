/* test_garbage.c - whatever a peer says to a send, it lives on */
#include "near_end.h"
#include "unit.h"

static const char	*who;

static void
garbles(struct near_end *f)
{
	near_garble(f, who);
	near_skip(f, MSG_SEND_HELLO);
	near_start_empty(f, 100, 100);
	/* the same in the midst of a conversation */
	near_garble(f, who);
	near_skip(f, MSG_SEND_HELLO);
}

static int
garbled_by(const char *name)
{
	who = name;
	return near_run(garbles, NULL);
}

static void
test_api(void)
{
	CU_ASSERT_EQUAL(garbled_by("api"), 0);
}

static void
test_tail(void)
{
	CU_ASSERT_EQUAL(garbled_by("tail PRMR-1 to there"), 0);
}

static void
test_control(void)
{
	CU_ASSERT_EQUAL(garbled_by("control"), 0);
}

UNIT_MAIN("send garbage",
    { "of api", test_api },
    { "of its tail", test_tail },
    { "of control", test_control })
