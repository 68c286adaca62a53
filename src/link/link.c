/* link.c - see link.h */
#include "link/link.h"

int
link_main(struct member *m, const struct worker_conf *conf)
{
	struct worker	*w = worker_new(m, conf, NULL, NULL);

	return worker_run(w);
}
