/*
 * peer.h - a connection to another process: a socketpair, a Unix socket, or
 * one end of a pipe.
 *
 * A peer belongs to whoever drives it: peer_attach() puts it on an event loop
 * (children); a supervisor, which has no event library, is told by peer_watch()
 * what to wait for and calls peer_handle() from its own loop.  Either way
 *
 * - each whole message is one call of message(); a negative return from there
 *   says that the message was bad and ends the connection;
 * - whatever ends the connection, lost() is called exactly once, after the
 *   descriptor was closed: ERR_CLOSED for an orderly end, ERR_TRUNCATED for
 *   one in the midst of a message, or what was wrong;
 * - callbacks come from peer_handle() (the loop) and from nowhere else, never
 *   from inside peer_send();  the peer may be freed from any of them.
 *
 * Output is queued; of a long message as much as the kernel takes at once is
 * written by peer_send(), without a copy.  peer_has_room() turns false above
 * the high water mark; room() is called once the queue has fallen below the low
 * one.  A sender that does not look gets -ENOBUFS at four times the high mark.
 */
#ifndef IPC_PEER_H
#define IPC_PEER_H

#include <sys/uio.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "ipc/frame.h"

struct loop;
struct peer;

#define PEER_HIGH_BYTES		(1024 * 1024)
#define PEER_LOW_BYTES		(256 * 1024)
#define PEER_MESSAGE_MAX_BYTES	(1024 * 1024)
#define PEER_IOV_MAX		4

struct peer_ops {
	/* 0, or negative when the message is bad. */
	int	(*message)(struct peer *p, const struct frame *f, void *arg);
	void	(*lost)(struct peer *p, int why, void *arg);
	void	(*room)(struct peer *p, void *arg);	/* may be NULL */
};

/*
 * Takes the descriptor, which becomes non-blocking and close-on-exec.  name
 * (copied) is for traces.  ops must live as long as the peer.
 */
struct peer *peer_new(int fd, const char *name, const struct peer_ops *ops,
	    void *arg);
/* Closes the descriptor; no callback comes any more. */
void	peer_free(struct peer **p);
/* Put it on a loop, once.  0 or -errno. */
int	peer_attach(struct peer *p, struct loop *loop);

const char *peer_name(const struct peer *p);
/* -1 when the connection is gone. */
int	peer_fd(const struct peer *p);
bool	peer_is_open(const struct peer *p);
/*
 * Generation of this connection: it is put into every frame sent; received
 * frames of an older one are dropped, of a newer one end the connection.
 */
void	peer_set_generation(struct peer *p, uint32_t generation);
/* The longest message accepted, and the water marks of the output. */
void	peer_set_limits(struct peer *p, size_t max_message, size_t low_bytes,
	    size_t high_bytes);
/* A number for the next request of ours: never 0. */
uint32_t peer_next_id(struct peer *p);

/*
 * Queue a message.  0, ERR_CLOSED, or -ENOBUFS (nothing was queued).
 */
int	peer_send(struct peer *p, uint16_t type, uint32_t id,
	    const void *payload, size_t len);
/* The same in up to PEER_IOV_MAX pieces, one behind the other. */
int	peer_send_iov(struct peer *p, uint16_t type, uint32_t id,
	    const struct iovec *iov, int n);
/* The same with the bytes of b, which is emptied. */
int	peer_send_buf(struct peer *p, uint16_t type, uint32_t id,
	    struct buf *b);
/* With a descriptor (sockets only), which is closed in any case. */
int	peer_send_fd(struct peer *p, uint16_t type, uint32_t id,
	    const void *payload, size_t len, int fd);
/*
 * The descriptor that came with the message being handled; the caller closes
 * it.  -1 when there is none.  One that nobody takes is closed.
 */
int	peer_take_fd(struct peer *p);

/*
 * The memory of the message being handled: its header and its payload.  False
 * when it shares it with others: then it is to be copied.
 */
bool	peer_take_memory(struct peer *p, const struct frame *f,
	    struct buf *out);

bool	peer_has_room(const struct peer *p);
size_t	peer_queued_bytes(const struct peer *p);
/*
 * Write what is queued, waiting up to ms: before a process ends.  0,
 * ERR_TIMEOUT or ERR_CLOSED.
 */
int	peer_flush(struct peer *p, int ms);
/* Stop and resume reading: the sender feels it once the kernel's buffers are
 * full.  A message already read in is still delivered. */
void	peer_pause(struct peer *p);
void	peer_resume(struct peer *p);

/* POLLIN and POLLOUT as wanted now; 0 when nothing is. */
short	peer_events(const struct peer *p);
/*
 * For a loop that does not ask each time: fn is called now, and from then on
 * whenever peer_events() has changed, at last with 0, before the descriptor is
 * closed.  It may come from inside of any function of this file.
 */
void	peer_watch(struct peer *p, void (*fn)(void *arg, short events),
	    void *arg);
/* What poll() said.  The peer may be gone when this returns, if a callback
 * frees it. */
void	peer_handle(struct peer *p, short revents);

#endif
