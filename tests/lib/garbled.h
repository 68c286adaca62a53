/*
 * garbled.h - a worker process in a process of its own, whose peers say
 * everything that nobody should (garbage.h)
 */
#ifndef TESTS_GARBLED_H
#define TESTS_GARBLED_H

#include "base/buf.h"
#include "worker/worker.h"

/*
 * Run main_fn; each of the peers (ended by NULL) in turn connects, sends, and
 * comes again when it was let go, while connections of all the others stay.
 * Then the process is stopped: 0 when it ended in order.
 */
int	garbled_run(int (*main_fn)(struct member *, const struct worker_conf *),
	    const char *name, const struct buf *config,
	    const char *const *peers);

#endif
