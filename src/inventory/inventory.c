/* inventory.c - see inventory.h */
#include "inventory/inventory.h"

int
inventory_main(struct member *m, const struct worker_conf *conf)
{
	struct worker	*w = worker_new(m, conf, NULL, NULL);

	return worker_run(w);
}
