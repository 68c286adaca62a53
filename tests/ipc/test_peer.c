/* test_peer.c - tests of ipc/peer, on the event loop and with poll() */
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "ev/loop.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "unit.h"

struct side {
	struct peer	*peer;
	struct loop	*loop;		/* stopped when something happened */
	unsigned	 messages;
	size_t		 bytes;
	unsigned	 lost;
	int		 why;
	unsigned	 room;
	int		 answer;	/* of message() */
	int		 fd;
	bool		 free_in_message;
	bool		 pause_in_message;
};

static int
on_message(struct peer *p, const struct frame *f, void *arg)
{
	struct side	*s = arg;

	s->messages++;
	s->bytes += f->len;
	if (f->has_fd)
		s->fd = peer_take_fd(p);
	if (s->loop != NULL)
		loop_stop(s->loop);
	if (s->pause_in_message)
		peer_pause(p);
	if (s->free_in_message)
		peer_free(&s->peer);
	return s->answer;
}

static void
on_lost(struct peer *p, int why, void *arg)
{
	struct side	*s = arg;

	s->lost++;
	s->why = why;
	CU_ASSERT_FALSE(peer_is_open(p));
	if (s->loop != NULL)
		loop_stop(s->loop);
}

static void
on_room(struct peer *p, void *arg)
{
	struct side	*s = arg;

	s->room++;
}

static const struct peer_ops ops = { on_message, on_lost, on_room };

static void
make_pair(struct side *a, struct side *b)
{
	int	 sv[2];

	memset(a, 0, sizeof(*a));
	memset(b, 0, sizeof(*b));
	a->fd = b->fd = -1;
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	a->peer = peer_new(sv[0], "a", &ops, a);
	b->peer = peer_new(sv[1], "b", &ops, b);
}

/* Turn the poll() loop until nothing happens for a moment. */
static void
turn(struct side *a, struct side *b)
{
	struct pollfd	 pfd[2];
	struct side	*s[2] = { a, b };
	int		 i, n, quiet = 0;

	while (quiet < 2) {
		for (i = 0; i < 2; i++) {
			pfd[i].fd = s[i]->peer == NULL ? -1 :
			    peer_fd(s[i]->peer);
			pfd[i].events = pfd[i].fd == -1 ? 0 :
			    peer_events(s[i]->peer);
			pfd[i].revents = 0;
			if (pfd[i].events == 0)
				pfd[i].fd = -1;
		}
		n = poll(pfd, 2, 10);
		quiet = n == 0 ? quiet + 1 : 0;
		for (i = 0; i < 2; i++)
			if (pfd[i].fd != -1 && pfd[i].revents != 0 &&
			    s[i]->peer != NULL)
				peer_handle(s[i]->peer, pfd[i].revents);
	}
}

static void
test_messages(void)
{
	static uint8_t	 big[700000];
	struct side	 a, b;

	make_pair(&a, &b);
	CU_ASSERT_EQUAL(peer_send(a.peer, 1, 0, "x", 1), 0);
	CU_ASSERT_EQUAL(peer_send(a.peer, 1, 0, big, sizeof(big)), 0);
	CU_ASSERT_EQUAL(peer_send(b.peer, 2, 0, NULL, 0), 0);
	CU_ASSERT_EQUAL(b.messages, 0);
	turn(&a, &b);
	CU_ASSERT_EQUAL(b.messages, 2);
	CU_ASSERT_EQUAL(b.bytes, sizeof(big) + 1);
	CU_ASSERT_EQUAL(a.messages, 1);
	peer_free(&a.peer);
	turn(&a, &b);
	CU_ASSERT_EQUAL(b.lost, 1);
	CU_ASSERT_EQUAL(b.why, ERR_CLOSED);
	CU_ASSERT_EQUAL(peer_send(b.peer, 2, 0, NULL, 0), ERR_CLOSED);
	peer_free(&b.peer);
	CU_ASSERT_EQUAL(a.lost, 0);
}

static void
test_lost_ways(void)
{
	struct side	 a, b;
	int		 fd;

	/* cut in the midst of a message */
	make_pair(&a, &b);
	fd = dup(peer_fd(a.peer));
	CU_ASSERT_EQUAL(write(fd, "\5\0\0\0", 4), 4);
	close(fd);
	peer_free(&a.peer);
	turn(&a, &b);
	CU_ASSERT_EQUAL(b.why, ERR_TRUNCATED);
	peer_free(&b.peer);
	/* garbage */
	make_pair(&a, &b);
	CU_ASSERT_EQUAL(write(peer_fd(a.peer), "\377\377\377\377aaaabbbbcccc",
	    16), 16);
	turn(&a, &b);
	CU_ASSERT_EQUAL(b.why, ERR_TOO_BIG);
	CU_ASSERT_EQUAL(b.messages, 0);
	CU_ASSERT_EQUAL(a.lost, 1);	/* it was hung up on */
	peer_free(&a.peer);
	peer_free(&b.peer);
	/* a message that its receiver does not like */
	make_pair(&a, &b);
	b.answer = ERR_RANGE;
	(void)peer_send(a.peer, 1, 0, NULL, 0);
	(void)peer_send(a.peer, 1, 0, NULL, 0);
	turn(&a, &b);
	CU_ASSERT_EQUAL(b.messages, 1);
	CU_ASSERT_EQUAL(b.lost, 1);
	CU_ASSERT_EQUAL(b.why, ERR_RANGE);
	peer_free(&a.peer);
	peer_free(&b.peer);
	/* too long for this conversation */
	make_pair(&a, &b);
	peer_set_limits(b.peer, 10, 100, 200);
	(void)peer_send(a.peer, 1, 0, "12345678901", 11);
	turn(&a, &b);
	CU_ASSERT_EQUAL(b.why, ERR_TOO_BIG);
	peer_free(&a.peer);
	peer_free(&b.peer);
}

static void
test_generation(void)
{
	struct side	 a, b;

	make_pair(&a, &b);
	peer_set_generation(b.peer, 5);
	peer_set_generation(a.peer, 4);
	(void)peer_send(a.peer, 1, 0, NULL, 0);
	turn(&a, &b);
	CU_ASSERT_EQUAL(b.messages, 0);
	CU_ASSERT_EQUAL(b.lost, 0);
	peer_set_generation(a.peer, 5);
	(void)peer_send(a.peer, 1, 0, NULL, 0);
	turn(&a, &b);
	CU_ASSERT_EQUAL(b.messages, 1);
	peer_set_generation(a.peer, 6);
	(void)peer_send(a.peer, 1, 0, NULL, 0);
	turn(&a, &b);
	CU_ASSERT_EQUAL(b.messages, 1);
	CU_ASSERT_EQUAL(b.why, ERR_PROTOCOL);
	peer_free(&a.peer);
	peer_free(&b.peer);
}

static void
test_descriptors(void)
{
	struct side	 a, b;
	int		 fds[2], i;
	char		 c;

	make_pair(&a, &b);
	for (i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
		(void)peer_send(a.peer, 1, 0, "before", 6);
		CU_ASSERT_EQUAL(peer_send_fd(a.peer, 2, 0, "with", 4,
		    fds[1]), 0);
		(void)peer_send(a.peer, 3, 0, "behind", 6);
		turn(&a, &b);
		CU_ASSERT_NOT_EQUAL_FATAL(b.fd, -1);
		CU_ASSERT_TRUE((fcntl(b.fd, F_GETFD) & FD_CLOEXEC) != 0);
		CU_ASSERT_EQUAL(write(b.fd, "!", 1), 1);
		CU_ASSERT_EQUAL(read(fds[0], &c, 1), 1);
		close(b.fd);
		/* That was the last writer. */
		CU_ASSERT_EQUAL(read(fds[0], &c, 1), 0);
		close(fds[0]);
		b.fd = -1;
	}
	CU_ASSERT_EQUAL(b.messages, 15);
	peer_free(&a.peer);
	peer_free(&b.peer);
}

static void
test_descriptor_missing(void)
{
	struct frame_header	 h = { 0, 1, FRAME_FD, 0, 0 };
	struct side		 a, b;
	struct buf		 m = BUF_INIT;

	make_pair(&a, &b);
	frame_encode(&m, &h, NULL, 0);
	CU_ASSERT_EQUAL(write(peer_fd(a.peer), m.data, m.len),
	    (ssize_t)m.len);
	turn(&a, &b);
	CU_ASSERT_EQUAL(b.why, ERR_PROTOCOL);
	buf_free(&m);
	peer_free(&a.peer);
	peer_free(&b.peer);
}

static void
test_water_marks(void)
{
	static uint8_t	 block[50000];
	struct side	 a, b;
	int		 n = 0, r;

	make_pair(&a, &b);
	peer_set_limits(a.peer, 1000, 100000, 400000);
	peer_pause(b.peer);
	while ((r = peer_send(a.peer, 1, 0, block, sizeof(block))) == 0 &&
	    n < 1000) {
		n++;
		if (n == 7)
			CU_ASSERT_TRUE(peer_has_room(a.peer));
		turn(&a, &b);
	}
	CU_ASSERT_EQUAL(r, -ENOBUFS);
	CU_ASSERT_FALSE(peer_has_room(a.peer));
	CU_ASSERT_EQUAL(a.room, 0);
	CU_ASSERT_EQUAL(b.messages, 0);
	peer_resume(b.peer);
	turn(&a, &b);
	CU_ASSERT_EQUAL(b.messages, (unsigned)n);
	CU_ASSERT_EQUAL(a.room, 1);
	CU_ASSERT_EQUAL(peer_queued_bytes(a.peer), 0);
	peer_free(&a.peer);
	peer_free(&b.peer);
}

static void
test_loop(void)
{
	struct loop	*loop = loop_new();
	struct side	 a, b;

	make_pair(&a, &b);
	CU_ASSERT_EQUAL(peer_attach(a.peer, loop), 0);
	CU_ASSERT_EQUAL(peer_attach(b.peer, loop), 0);
	b.loop = loop;
	/* Two messages in one read; a pause between them holds. */
	b.pause_in_message = true;
	(void)peer_send(a.peer, 1, 0, "1", 1);
	(void)peer_send(a.peer, 1, 0, "2", 1);
	loop_run(loop);
	CU_ASSERT_EQUAL(b.messages, 1);
	b.pause_in_message = false;
	peer_resume(b.peer);
	loop_run(loop);
	CU_ASSERT_EQUAL(b.messages, 2);
	/* Freed in its own callback. */
	b.free_in_message = true;
	a.loop = loop;
	(void)peer_send(a.peer, 1, 0, "3", 1);
	while (a.lost == 0)
		loop_run(loop);
	CU_ASSERT_EQUAL(b.messages, 3);
	CU_ASSERT_PTR_NULL(b.peer);
	CU_ASSERT_EQUAL(a.why, ERR_CLOSED);
	peer_free(&a.peer);
	loop_free(&loop);
}

static void
test_pipe(void)
{
	struct loop	*loop = loop_new();
	struct side	 r, w;
	int		 fds[2];

	memset(&r, 0, sizeof(r));
	memset(&w, 0, sizeof(w));
	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	signal(SIGPIPE, SIG_IGN);
	r.peer = peer_new(fds[0], "r", &ops, &r);
	w.peer = peer_new(fds[1], "w", &ops, &w);
	r.loop = w.loop = loop;
	CU_ASSERT_EQUAL(peer_attach(r.peer, loop), 0);
	CU_ASSERT_EQUAL(peer_attach(w.peer, loop), 0);
	(void)peer_send(w.peer, 1, 0, "data", 4);
	loop_run(loop);
	CU_ASSERT_EQUAL(r.messages, 1);
	CU_ASSERT_EQUAL(r.bytes, 4);
	peer_free(&r.peer);
	loop_run(loop);
	CU_ASSERT_EQUAL(w.lost, 1);
	CU_ASSERT_EQUAL(w.why, ERR_CLOSED);
	peer_free(&w.peer);
	loop_free(&loop);
}

static void
test_flush(void)
{
	static uint8_t	 big[900000];
	struct side	 a, b;

	make_pair(&a, &b);
	(void)peer_send(a.peer, 1, 0, "last words", 10);
	CU_ASSERT_EQUAL(peer_flush(a.peer, 1000), 0);
	(void)peer_send(a.peer, 1, 0, big, sizeof(big));
	CU_ASSERT_EQUAL(peer_flush(a.peer, 20), ERR_TIMEOUT);
	peer_free(&b.peer);
	CU_ASSERT_EQUAL(peer_flush(a.peer, 1000), ERR_CLOSED);
	peer_free(&a.peer);
}

UNIT_MAIN("peer",
    { "messages of any size arrive in order", test_messages },
    { "whatever ends a connection is one event", test_lost_ways },
    { "frames of older generations are dropped, newer ones fatal",
      test_generation },
    { "descriptors arrive with their message", test_descriptors },
    { "a promised descriptor that is missing is fatal",
      test_descriptor_missing },
    { "nothing queues without a bound", test_water_marks },
    { "on the loop: pause, resume, free inside a callback", test_loop },
    { "pipes work one way and tell when the reader goes", test_pipe },
    { "last words are written before the end", test_flush })
