/* tail.c - see tail.h */
#include "tail/tail.h"

int
tail_main(struct member *m, const struct worker_conf *conf)
{
	struct worker	*w = worker_new(m, conf, NULL, NULL);

	return worker_run(w);
}
