/*
 * fuzz_bodies.c - bodies of messages between processes and datacenters,
 * configurations and records: the first byte says which
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "bodies.h"
#include "ipc/codec.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct body	*x;
	struct rbuf		 m;
	struct buf		 again = BUF_INIT, twice = BUF_INIT;

	if (size == 0)
		return 0;
	x = &bodies[data[0] % nbodies];
	m.p = data + 1;
	m.left = size - 1;
	if (x->take(&m, &again) == 0) {
		/* what was taken says the same the next time */
		m.p = again.data;
		m.left = again.len;
		bug_unless(x->take(&m, &twice) == 0);
		bug_unless(twice.len == again.len && memcmp(twice.data,
		    again.data, again.len) == 0);
	}
	buf_free(&again);
	buf_free(&twice);
	return 0;
}
