/*
 * bodies.h - every message body, file or configuration that has an encoder and
 * a decoder of its own, as a table for tests and fuzzers.
 */
#ifndef TESTS_BODIES_H
#define TESTS_BODIES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct rbuf;

struct body {
	const char	*name;
	/* An example: strings that are long, numbers that are large. */
	void		(*make)(struct buf *b);
	/*
	 * Decode all of it (its end included); what was taken is encoded into
	 * `again`.  0 or negative.
	 */
	int		(*take)(struct rbuf *m, struct buf *again);
	/* It is open at its end: what is cut at some places is whole. */
	bool		 open;
};

extern const struct body	bodies[];
extern const size_t		nbodies;

#endif
