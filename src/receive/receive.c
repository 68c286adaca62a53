/* receive.c - see receive.h */
#include "receive/receive.h"

int
receive_main(struct member *m, const struct worker_conf *conf)
{
	struct worker	*w = worker_new(m, conf, NULL, NULL);

	return worker_run(w);
}
