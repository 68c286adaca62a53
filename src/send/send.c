/* send.c - see send.h */
#include "send/send.h"

int
send_main(struct member *m, const struct worker_conf *conf)
{
	struct worker	*w = worker_new(m, conf, NULL, NULL);

	return worker_run(w);
}
