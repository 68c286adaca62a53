/* test_garbage.c - whatever is said to a link, it lives on */
#include <stdio.h>

#include "garbled.h"
#include "link/link.h"
#include "unit.h"

static void
test_peers(void)
{
	static const char *const peers[] = {
		"control", "receive shop/10049/0", "inventory target", NULL
	};
	struct link_conf	 c = { .target = "there", .source = "here" };
	struct buf		 config = BUF_INIT;

	link_conf_put(&config, &c);
	CU_ASSERT_EQUAL(garbled_run(link_main, "link source", &config, peers),
	    0);
	buf_free(&config);
}

UNIT_MAIN("link garbage",
    { "of control, a receive and the inventory", test_peers })
