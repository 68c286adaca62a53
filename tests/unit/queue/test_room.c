/* test_room.c - what is decided when disk space runs short */
#include "base/err.h"
#include "queue/queue.h"
#include "queue/room.h"
#include "unit.h"

#define KIB	((uint64_t)1 << 10)
#define MIB	((uint64_t)1 << 20)
#define GIB	((uint64_t)1 << 30)

static void
test_reserve(void)
{
	static const struct {
		uint64_t	 total, reserve;
	} rows[] = {
		{ 0, 0 },
		{ MIB, 256 * KIB },
		{ 16 * MIB, MIB },
		{ 64 * MIB, MIB },
		{ GIB, 16 * MIB },
		{ 16 * GIB, 256 * MIB },
		{ 1024 * GIB, 256 * MIB }
	};
	size_t	 i;

	for (i = 0; i < NITEMS(rows); i++)
		CU_ASSERT_EQUAL(room_reserve(rows[i].total), rows[i].reserve);
}

static void
test_states(void)
{
	/* of 16 GiB: reserve 256 MiB, full below 128, enough above 320 */
	static const struct {
		enum room_state	 before;
		uint64_t	 free;
		enum room_state	 now;
	} rows[] = {
		{ ROOM_ENOUGH, 256 * MIB, ROOM_ENOUGH },
		{ ROOM_ENOUGH, 256 * MIB - 1, ROOM_SHORT },
		{ ROOM_ENOUGH, 128 * MIB, ROOM_SHORT },
		{ ROOM_ENOUGH, 128 * MIB - 1, ROOM_FULL },
		{ ROOM_ENOUGH, 0, ROOM_FULL },
		{ ROOM_SHORT, 319 * MIB, ROOM_SHORT },
		{ ROOM_SHORT, 320 * MIB, ROOM_ENOUGH },
		{ ROOM_SHORT, 127 * MIB, ROOM_FULL },
		{ ROOM_FULL, 255 * MIB, ROOM_FULL },
		{ ROOM_FULL, 256 * MIB, ROOM_SHORT },
		{ ROOM_FULL, 320 * MIB, ROOM_ENOUGH }
	};
	struct room	 r = { .total = 16 * GIB, .reserve = 256 * MIB,
			    .least = 128 * MIB };
	size_t		 i;

	for (i = 0; i < NITEMS(rows); i++) {
		r.free = rows[i].free;
		CU_ASSERT_EQUAL(room_state(rows[i].before, &r), rows[i].now);
	}
	CU_ASSERT_EQUAL(room_look("/", &r), 0);
	CU_ASSERT_TRUE(r.total > 0 && r.free <= r.total);
	CU_ASSERT_EQUAL(r.reserve, room_reserve(r.total));
	CU_ASSERT_TRUE(room_look("/does/not/exist", &r) < 0);
	CU_ASSERT_STRING_EQUAL(room_state_name(ROOM_SHORT), "short");
}

static void
test_segments(void)
{
	CU_ASSERT_EQUAL(room_segment_bytes(1024 * GIB, 0),
	    QUEUE_SEGMENT_BYTES);
	CU_ASSERT_EQUAL(room_segment_bytes(1024 * GIB, 4 * GIB),
	    QUEUE_SEGMENT_BYTES);
	CU_ASSERT_EQUAL(room_segment_bytes(1024 * GIB, 80 * MIB), 10 * MIB);
	CU_ASSERT_EQUAL(room_segment_bytes(GIB, 4 * GIB), 16 * MIB);
	CU_ASSERT_EQUAL(room_segment_bytes(8 * MIB, 2 * MIB), MIB);
}

static size_t
stopped(const struct room_share *v, size_t n)
{
	size_t	 i, k = 0;

	for (i = 0; i < n; i++)
		k += v[i].stop;
	return k;
}

static void
test_within(void)
{
	struct room_share	 v[3] = { { 10, true }, { 20, false },
				    { 30, true } };

	CU_ASSERT_FALSE(room_divide(0, v, 3));
	CU_ASSERT_EQUAL(stopped(v, 3), 0);
	CU_ASSERT_FALSE(room_divide(60, v, 3));
	CU_ASSERT_EQUAL(stopped(v, 3), 0);
	CU_ASSERT_FALSE(room_divide(8, NULL, 0));
}

/* The large ones stop, not those that keep up. */
static void
test_over(void)
{
	struct room_share	 v[4] = { { 10, false }, { 700, false },
				    { 20, false }, { 300, false } };

	CU_ASSERT_TRUE(room_divide(1000, v, 4));
	/* 875 fit: 10 + 20 + 300 + 545 */
	CU_ASSERT_TRUE(v[1].stop && stopped(v, 4) == 1);
	/* Below the quota, but not by an eighth. */
	v[1].bytes = 600;
	CU_ASSERT_TRUE(room_divide(1000, v, 4));
	CU_ASSERT_TRUE(v[1].stop && stopped(v, 4) == 1);
	v[1].bytes = 545;
	CU_ASSERT_FALSE(room_divide(1000, v, 4));
	CU_ASSERT_EQUAL(stopped(v, 4), 0);
}

/* A target is away and its queues stay: others go on, and again. */
static void
test_not_consumed(void)
{
	struct room_share	 v[3] = { { 500, false }, { 480, false },
				    { 400, false } };

	CU_ASSERT_TRUE(room_divide(1000, v, 3));
	CU_ASSERT_EQUAL(stopped(v, 3), 3);
	v[2].bytes = 20;
	CU_ASSERT_TRUE(room_divide(1000, v, 3));
	CU_ASSERT_TRUE(v[0].stop && v[1].stop && !v[2].stop);
	/* 875 - 500 is what the others may have, at most */
	v[2].bytes = 280;
	CU_ASSERT_TRUE(room_divide(1000, v, 3));
	CU_ASSERT_FALSE(v[2].stop);
	/* Equal sizes: all that can stop do. */
	v[0].bytes = v[1].bytes = v[2].bytes = 400;
	CU_ASSERT_TRUE(room_divide(1000, v, 3));
	CU_ASSERT_EQUAL(stopped(v, 3), 3);
}

UNIT_MAIN("room",
    { "a part of the disk is left to others", test_reserve },
    { "short and full begin below, and end above", test_states },
    { "segments are small on a small disk", test_segments },
    { "within the quota nobody stops", test_within },
    { "over it the largest stop, until an eighth is free", test_over },
    { "what nobody consumes does not hold others up", test_not_consumed })
