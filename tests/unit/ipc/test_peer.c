/* test_peer.c - long and short messages through a socketpair */
#include <sys/socket.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "ipc/peer.h"
#include "unit.h"

#define MAX_BYTES	((size_t)900 * 1024)

/* Around what is written at once, what one frame holds, and the kernel's
 * buffer. */
static const size_t	 sizes[] = {
	0, 1, 100, 16383, 16384, 16385, 3, 65519, 65520, 65536, 200000,
	FRAME_PAYLOAD_MAX_BYTES - 1, FRAME_PAYLOAD_MAX_BYTES, 5,
	FRAME_PAYLOAD_MAX_BYTES + 1, 245760, 245760, 245760, 17, 600000, 0,
	20000, 20000, 9
};

struct reader {
	size_t	 next;		/* of sizes */
	size_t	 bad;
	size_t	 held;		/* pauses before each so many messages */
	int	 why;
	bool	 lost;
};

static uint8_t
byte_at(size_t message, size_t at)
{
	return (uint8_t)(message * 31 + at * 7 + at / 251);
}

static int
on_message(struct peer *p, const struct frame *f, void *arg)
{
	struct reader	*r = arg;
	size_t		 i, want = sizes[r->next % NITEMS(sizes)];

	if (f->type != 7 || f->id != r->next + 1 || f->len != want)
		r->bad++;
	else
		for (i = 0; i < f->len; i++)
			if (f->payload[i] != byte_at(r->next, i)) {
				r->bad++;
				break;
			}
	r->next++;
	if (r->held != 0 && r->next % r->held == 0)
		peer_pause(p);
	return 0;
}

static void
on_lost(struct peer *p, int why, void *arg)
{
	struct reader	*r = arg;

	r->lost = true;
	r->why = why;
}

static const struct peer_ops	 ops = {
	.message = on_message, .lost = on_lost
};

static void
make(struct peer *p[2], struct reader *r)
{
	int	 fds[2], i;

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	for (i = 0; i < 2; i++) {
		p[i] = peer_new(fds[i], i == 0 ? "writer" : "reader", &ops,
		    r);
		peer_set_limits(p[i], MAX_BYTES, 1024, (size_t)8 << 20);
	}
}

static void
turn(struct peer *p)
{
	struct pollfd	 fd = { .fd = peer_fd(p), .events = peer_events(p) };

	if (fd.events != 0 && poll(&fd, 1, 0) == 1)
		peer_handle(p, fd.revents);
}

static int
say(struct peer *p, size_t k, const uint8_t *b)
{
	size_t		 n = sizes[k % NITEMS(sizes)];
	struct iovec	 iov[3] = {
		{ (void *)(uintptr_t)b, n / 3 },
		{ (void *)(uintptr_t)(b + n / 3), 0 },
		{ (void *)(uintptr_t)(b + n / 3), n - n / 3 }
	};

	return k % 2 != 0 ? peer_send(p, 7, (uint32_t)k + 1, b, n) :
	    peer_send_iov(p, 7, (uint32_t)k + 1, iov, 3);
}

/* Writes rounds times all sizes, and takes a turn after each `every`. */
static void
stream(size_t rounds, size_t every, size_t held)
{
	struct reader	 r = { .held = held };
	struct peer	*p[2];
	uint8_t		*b = malloc(MAX_BYTES);
	size_t		 k, i, all = rounds * NITEMS(sizes), turns;

	make(p, &r);
	for (k = 0; k < all; k++) {
		for (i = 0; i < sizes[k % NITEMS(sizes)]; i++)
			b[i] = byte_at(k, i);
		CU_ASSERT_EQUAL(say(p[0], k, b), 0);
		/* it was copied, or written */
		memset(b, 0xee, MAX_BYTES);
		if (every != 0 && k % every == 0) {
			turn(p[0]);
			turn(p[1]);
		}
	}
	for (turns = 0; r.next < all && turns < 10000; turns++) {
		turn(p[0]);
		turn(p[1]);
		peer_resume(p[1]);
	}
	CU_ASSERT_EQUAL(r.next, all);
	CU_ASSERT_EQUAL(r.bad, 0);
	CU_ASSERT_FALSE(r.lost);
	CU_ASSERT_EQUAL(peer_queued_bytes(p[0]), 0);
	peer_free(&p[0]);
	for (turns = 0; !r.lost && turns < 10; turns++)
		turn(p[1]);
	CU_ASSERT_TRUE(r.lost);
	CU_ASSERT_EQUAL(r.why, ERR_CLOSED);
	peer_free(&p[1]);
	free(b);
}

static void
test_all_at_once(void)
{
	stream(2, 0, 0);
}

static void
test_bit_by_bit(void)
{
	stream(5, 1, 0);
	stream(5, 3, 0);
}

static void
test_pauses(void)
{
	stream(3, 0, 1);
	stream(3, 2, 3);
}

static void
test_cut(void)
{
	struct reader	 r = { .held = 0 };
	struct peer	*p[2];
	uint8_t		*b = calloc(1, MAX_BYTES);
	int		 i;

	make(p, &r);
	/* more than the kernel takes: the end comes within */
	CU_ASSERT_EQUAL(peer_send(p[0], 7, 1, b, FRAME_PAYLOAD_MAX_BYTES), 0);
	CU_ASSERT_EQUAL(peer_send(p[0], 7, 2, b, FRAME_PAYLOAD_MAX_BYTES), 0);
	CU_ASSERT_NOT_EQUAL(peer_queued_bytes(p[0]), 0);
	peer_free(&p[0]);
	for (i = 0; !r.lost && i < 100; i++)
		turn(p[1]);
	CU_ASSERT_TRUE(r.lost);
	CU_ASSERT_EQUAL(r.why, ERR_TRUNCATED);
	CU_ASSERT_TRUE(r.next <= 1);
	peer_free(&p[1]);
	free(b);
}

static void
test_nobody_reads(void)
{
	struct reader	 r = { .held = 0 };
	struct peer	*p[2];
	uint8_t		*b = calloc(1, MAX_BYTES);
	int		 i;

	make(p, &r);
	peer_free(&p[1]);
	/* no callback from in here, whatever the kernel says */
	CU_ASSERT_EQUAL(peer_send(p[0], 7, 1, b, 100000), 0);
	CU_ASSERT_FALSE(r.lost);
	for (i = 0; !r.lost && i < 10; i++)
		turn(p[0]);
	CU_ASSERT_TRUE(r.lost);
	CU_ASSERT_EQUAL(r.why, ERR_CLOSED);
	peer_free(&p[0]);
	free(b);
}

UNIT_MAIN("peer",
    { "messages of all sizes, written before anything is read",
	test_all_at_once },
    { "messages of all sizes, read while they are written", test_bit_by_bit },
    { "a reader that pauses misses nothing", test_pauses },
    { "an end within a long message", test_cut },
    { "a long message to nobody: told from the loop", test_nobody_reads })
