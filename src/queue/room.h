/*
 * room.h - what is decided when disk space runs short: numbers only, so that
 * tests can reach it.
 *
 * A full disk is a state.  The rule, for a source:
 *
 *	reserve		a 64th of the disk, 1 to 256 MiB, belongs to others
 *			and to our own small files (positions, checkpoints)
 *	short		less than the reserve is free: a shard whose target
 *			is behind is detached from the log (R4) until its queue
 *			is consumed; who keeps up goes on
 *	full		less than half of it is free: nothing is queued; what
 *			is queued is delivered, and makes room
 *
 * Both end by themselves, a little above where they begin.  What is not queued
 * stays in the log of the DB-server, which keeps it within R3.
 *
 * The total of all queues has the same consequence as `short`, for the largest
 * queues first.
 */
#ifndef QUEUE_ROOM_H
#define QUEUE_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct room {
	uint64_t	total, free;	/* bytes of the file system; free for
					 * those who are not root */
	uint64_t	reserve, least;	/* short below, full below */
};

enum room_state {
	ROOM_ENOUGH,
	ROOM_SHORT,
	ROOM_FULL
};

/* "enough", "short", "full" */
const char *room_state_name(enum room_state s);

/* 0 or -errno. */
int	room_look(const char *path, struct room *r);

uint64_t room_reserve(uint64_t total);
/* What it is now, having been `before`. */
enum room_state room_state(enum room_state before, const struct room *r);

/*
 * Size of a queue's segments: what a queue gets smaller by, and so no large
 * part of its quota (0: none) nor of the disk.
 */
uint32_t room_segment_bytes(uint64_t total, uint64_t quota);

/* One of all queues. */
struct room_share {
	uint64_t	bytes;
	bool		stop;		/* nothing more is to be queued */
};

/*
 * Set `stop` anew: are all of them together more than the quota (0: none)?
 * Then those stop that are larger than the level at which all would fit, and
 * go on at half of it, so that queues which nobody consumes do not hold up
 * those that are consumed.  It ends when an eighth of the quota is free.
 * True while it lasts.
 */
bool	room_divide(uint64_t quota, struct room_share *v, size_t n);

#endif
