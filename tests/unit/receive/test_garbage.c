/* test_garbage.c - whatever a peer says to a receive, it lives on */
#include "far_end.h"
#include "unit.h"

static const char	*who;

static void
garbles(struct far_end *f)
{
	far_garble(f, who);
	far_start_empty(f);
	/* the same in the midst of a conversation */
	far_ops(f, "i 110 a 1", 110);
	far_until(f, f->applied == 110, "applied");
	far_garble(f, who);
}

static int
garbled_by(const char *name)
{
	who = name;
	return far_run(garbles);
}

static void
test_link(void)
{
	CU_ASSERT_EQUAL(garbled_by("link source"), 0);
}

static void
test_control(void)
{
	CU_ASSERT_EQUAL(garbled_by("control"), 0);
}

UNIT_MAIN("receive garbage",
    { "of link", test_link },
    { "of control", test_control })
