/* test_garbage.c - whatever is said to an inventory, it lives on */
#include <stdio.h>

#include "garbled.h"
#include "inventory/inventory.h"
#include "unit.h"

static int
run(bool is_target, const char *const *peers)
{
	struct inventory_conf	 c = { .is_target = is_target,
				    .source = "here", .first = true };
	struct buf		 config = BUF_INIT;
	int			 e;

	inventory_conf_put(&config, &c);
	e = garbled_run(inventory_main, is_target ? "inventory target" :
	    "inventory source", &config, peers);
	buf_free(&config);
	return e;
}

static void
test_target(void)
{
	static const char *const peers[] = { "control", "link source", NULL };

	CU_ASSERT_EQUAL(run(true, peers), 0);
}

static void
test_source(void)
{
	static const char *const peers[] = { "control", "api", NULL };

	CU_ASSERT_EQUAL(run(false, peers), 0);
}

UNIT_MAIN("inventory garbage",
    { "at the target, of control and link", test_target },
    { "at the source, of control and api", test_source })
