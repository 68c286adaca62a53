/* room.c - what is decided when disk space runs short; see room.h */
#include <sys/statvfs.h>

#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "queue/queue.h"
#include "queue/room.h"

#define RESERVE_PART	64
#define RESERVE_MIN	((uint64_t)1 << 20)
#define RESERVE_MAX	((uint64_t)256 << 20)
#define SEGMENT_MIN	((uint64_t)1 << 20)
#define SEGMENT_PART	8	/* of a quota */

const char *
room_state_name(enum room_state s)
{
	static const char *const	 names[] = { "enough", "short", "full" };

	return (unsigned int)s < NITEMS(names) ? names[s] : "?";
}

int
room_look(const char *path, struct room *r)
{
	struct statvfs	 vfs;

	if (statvfs(path, &vfs) == -1)
		return -errno;
	r->total = (uint64_t)vfs.f_blocks * vfs.f_frsize;
	r->free = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	r->reserve = room_reserve(r->total);
	r->least = r->reserve / 2;
	return 0;
}

uint64_t
room_reserve(uint64_t total)
{
	uint64_t	 n = MIN(MAX(total / RESERVE_PART, RESERVE_MIN),
			    RESERVE_MAX);

	/* A file system for a test, or a mistake. */
	return MIN(n, total / 4);
}

enum room_state
room_state(enum room_state before, const struct room *r)
{
	if (r->free < r->least ||
	    (before == ROOM_FULL && r->free < r->reserve))
		return ROOM_FULL;
	if (r->free < r->reserve ||
	    (before != ROOM_ENOUGH && r->free < r->reserve + r->reserve / 4))
		return ROOM_SHORT;
	return ROOM_ENOUGH;
}

uint32_t
room_segment_bytes(uint64_t total, uint64_t quota)
{
	uint64_t	 n = QUEUE_SEGMENT_BYTES;

	n = MIN(n, total / RESERVE_PART);
	if (quota != 0)
		n = MIN(n, quota / SEGMENT_PART);
	return (uint32_t)MAX(n, SEGMENT_MIN);
}

static int
by_size(const void *va, const void *vb)
{
	uint64_t	 a = *(const uint64_t *)va, b = *(const uint64_t *)vb;

	return a < b ? -1 : a > b;
}

/* The level L at which the sum of min(bytes, L) is `most`; the sum is more. */
static uint64_t
level(const struct room_share *v, size_t n, uint64_t most)
{
	uint64_t	*sizes = xcalloc(n, sizeof(*sizes)), left = most, l = 0;
	size_t		 i;

	for (i = 0; i < n; i++)
		sizes[i] = v[i].bytes;
	qsort(sizes, n, sizeof(*sizes), by_size);
	for (i = 0; i < n; i++) {
		l = left / (n - i);
		if (sizes[i] > l)
			break;
		left -= sizes[i];
	}
	free(sizes);
	return l;
}

bool
room_divide(uint64_t quota, struct room_share *v, size_t n)
{
	uint64_t	 sum = 0, low = quota - quota / 8, most;
	bool		 was = false, over;
	size_t		 i;

	for (i = 0; i < n; i++) {
		sum += v[i].bytes;
		was = was || v[i].stop;
	}
	over = quota != 0 && (sum > quota || (was && sum > low));
	if (!over) {
		for (i = 0; i < n; i++)
			v[i].stop = false;
		return false;
	}
	most = level(v, n, low);
	for (i = 0; i < n; i++)
		v[i].stop = v[i].bytes > (v[i].stop ? most / 2 : most);
	return true;
}
