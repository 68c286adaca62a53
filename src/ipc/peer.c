/* peer.c - a connection to another process: queue, descriptors, one end */
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "ev/loop.h"
#include "ipc/messages.h"
#include "ipc/peer.h"

/*
 * So much is read at once of what is not known to be long: it is copied from
 * there, so the begin of a long message should not be much.  And so often per
 * call, so that one peer cannot starve others; and so many descriptors may be
 * on their way.
 */
#define PEER_READ_BYTES		(16 * 1024)
#define PEER_READS_PER_CALL	6
#define PEER_FDS_MAX		8
/* A message of so many bytes is worth a system call of its own: what is lacking
 * of it is read to its place, what the kernel takes of it is written from
 * there. */
#define PEER_LONG_BYTES		((size_t)16 * 1024)

/* A descriptor goes with the byte at this offset of the whole output. */
struct out_fd {
	uint64_t	 at;
	int		 fd;
};

struct peer {
	int			 fd;
	char			*name;
	const struct peer_ops	*ops;
	void			*arg;
	bool			 is_socket;
	bool			 write_only;	/* the end of a pipe */
	uint32_t		 generation;
	uint32_t		 next_id;

	struct frame_parser	 parser;
	int			 in_fds[PEER_FDS_MAX];
	size_t			 n_in_fds;
	int			 given_fd;	/* of the message at hand */

	struct buf		 out;
	size_t			 out_used;	/* written already */
	uint64_t		 out_total;	/* bytes written, ever */
	struct out_fd		*out_fds;
	size_t			 n_out_fds;
	size_t			 low, high;
	bool			 was_full;	/* room() is owed */

	bool			 paused;
	bool			 resumed;	/* and not handled since */
	bool			 broken;	/* for writing, not reading */
	bool			 freed;		/* by a callback */
	int			 depth;		/* callbacks running */

	struct loop_fd		*watch;		/* when attached: */
	struct loop		*loop;
	struct loop_task	 resume;

	void			(*events_fn)(void *, short);	/* or watched */
	void			*events_arg;
	short			 events;	/* as last told */
};

static void	peer_rewatch(struct peer *p);
static void	on_resume(void *arg);

struct peer *
peer_new(int fd, const char *name, const struct peer_ops *ops, void *arg)
{
	/* A whole frame, with what the kernel counts for itself: a process
	 * does not wake up twice for each. */
	const int	 room = FRAME_MAX_BYTES;
	struct peer	*p = xcalloc(1, sizeof(*p));
	struct stat	 st;

	p->fd = fd;
	p->name = xstrdup(name);
	p->ops = ops;
	p->arg = arg;
	p->is_socket = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
	p->write_only = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY;
	p->given_fd = -1;
	p->low = PEER_LOW_BYTES;
	p->high = PEER_HIGH_BYTES;
	frame_parser_init(&p->parser, PEER_MESSAGE_MAX_BYTES);
	if (p->is_socket)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room,
		    sizeof(room));
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	return p;
}

static void
tell_events(struct peer *p, short events)
{
	if (p->events_fn == NULL || events == p->events)
		return;
	p->events = events;
	p->events_fn(p->events_arg, events);
}

static void
close_connection(struct peer *p)
{
	size_t	 i;

	tell_events(p, 0);
	loop_fd_free(&p->watch);
	if (p->loop != NULL)
		loop_task_cancel(&p->resume);
	if (p->fd != -1)
		close(p->fd);
	p->fd = -1;
	for (i = 0; i < p->n_in_fds; i++)
		close(p->in_fds[i]);
	p->n_in_fds = 0;
	for (i = 0; i < p->n_out_fds; i++)
		close(p->out_fds[i].fd);
	p->n_out_fds = 0;
	if (p->given_fd != -1)
		close(p->given_fd);
	p->given_fd = -1;
	buf_reset(&p->out);
	p->out_used = 0;
}

void
peer_free(struct peer **pp)
{
	struct peer	*p = *pp;

	if (p == NULL)
		return;
	*pp = NULL;
	close_connection(p);
	if (p->depth > 0) {
		p->freed = true;	/* finish() does the rest */
		return;
	}
	frame_parser_free(&p->parser);
	buf_free(&p->out);
	free(p->out_fds);
	free(p->name);
	free(p);
}

static void
on_loop_ready(void *arg, int ready)
{
	short	 revents = 0;

	if (ready & LOOP_READ)
		revents |= POLLIN;
	if (ready & LOOP_WRITE)
		revents |= POLLOUT;
	peer_handle(arg, revents);
}

int
peer_attach(struct peer *p, struct loop *loop)
{
	bug_unless(p->watch == NULL);
	p->watch = loop_fd_new(loop, p->fd, LOOP_READ, on_loop_ready, p);
	if (p->watch == NULL)
		return errno == 0 ? -EIO : -errno;
	p->loop = loop;
	loop_task_init(&p->resume, on_resume, p);
	peer_rewatch(p);
	return 0;
}

void
peer_watch(struct peer *p, void (*fn)(void *, short), void *arg)
{
	p->events_fn = fn;
	p->events_arg = arg;
	p->events = 0;
	tell_events(p, peer_events(p));
}

/* Tell the loop what we want. */
static void
peer_rewatch(struct peer *p)
{
	short	 want;

	tell_events(p, peer_events(p));
	if (p->watch == NULL)
		return;
	want = peer_events(p);
	(void)loop_fd_set(p->watch, (want & POLLIN ? LOOP_READ : 0) |
	    (want & POLLOUT ? LOOP_WRITE : 0));
}

const char *
peer_name(const struct peer *p)
{
	return p->name;
}

int
peer_fd(const struct peer *p)
{
	return p->fd;
}

bool
peer_is_open(const struct peer *p)
{
	return p->fd != -1;
}

void
peer_set_generation(struct peer *p, uint32_t generation)
{
	p->generation = generation;
}

void
peer_set_limits(struct peer *p, size_t max_message, size_t low_bytes,
    size_t high_bytes)
{
	p->parser.max_message = max_message;
	p->low = low_bytes;
	p->high = high_bytes;
}

uint32_t
peer_next_id(struct peer *p)
{
	if (++p->next_id == 0)
		p->next_id = 1;
	return p->next_id;
}

/* What was written is dropped when room is needed, and not by each write. */
static void
out_make_room(struct peer *p, size_t n)
{
	if (n + FRAME_HEADER_BYTES > p->out.cap - p->out.len &&
	    p->out_used > p->out.len / 2) {
		buf_consume(&p->out, p->out_used);
		p->out_used = 0;
	}
}

static void
out_append(struct peer *p, const void *data, size_t n)
{
	out_make_room(p, n);
	buf_append(&p->out, data, n);
}

/* All is written.  Idle connections keep nothing. */
static void
out_empty(struct peer *p)
{
	buf_free(&p->out);
	p->out_used = 0;
}

/*
 * Write a message of one frame, and what is queued in front of it, from where
 * they are.  Returns how much of the message was written, its header included.
 * What goes wrong is left to handle_output(), as no callback comes from here.
 */
static size_t
write_through(struct peer *p, uint8_t head[FRAME_HEADER_BYTES],
    const struct iovec *iov, int n)
{
	struct iovec	 v[PEER_IOV_MAX + 2];
	struct msghdr	 m;
	size_t		 queued = peer_queued_bytes(p), front;
	ssize_t		 sent;

	memset(&m, 0, sizeof(m));
	v[0].iov_base = queued != 0 ? p->out.data + p->out_used : NULL;
	v[0].iov_len = queued;
	v[1].iov_base = head;
	v[1].iov_len = FRAME_HEADER_BYTES;
	memcpy(v + 2, iov, (size_t)n * sizeof(*iov));
	m.msg_iov = queued != 0 ? v : v + 1;
	m.msg_iovlen = (size_t)n + (queued != 0 ? 2 : 1);
	sent = sendmsg(p->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent <= 0)
		return 0;
	p->out_total += (size_t)sent;
	front = MIN((size_t)sent, queued);
	p->out_used += front;
	if (p->out_used == p->out.len)
		out_empty(p);
	return (size_t)sent - front;
}

static void
queue_long(struct peer *p, const struct frame_header *h,
    const struct iovec *iov, int n)
{
	uint8_t	 head[FRAME_HEADER_BYTES];
	size_t	 done;
	int	 i;

	frame_put_header(head, h);
	done = write_through(p, head, iov, n);
	if (done < sizeof(head)) {
		out_append(p, head + done, sizeof(head) - done);
		done = 0;
	} else
		done -= sizeof(head);
	for (i = 0; i < n; i++) {
		if (done < iov[i].iov_len)
			out_append(p, (uint8_t *)iov[i].iov_base + done,
			    iov[i].iov_len - done);
		done -= MIN(done, iov[i].iov_len);
	}
}

static int
queue_message(struct peer *p, uint16_t type, uint32_t id, uint16_t flags,
    const struct iovec *iov, int n)
{
	struct frame_header	 h = { 0, type, flags, p->generation, id };
	struct buf		 joined = BUF_INIT;
	size_t			 len = 0;
	int			 i;

	bug_unless(n >= 0 && n <= PEER_IOV_MAX);
	for (i = 0; i < n; i++)
		len += iov[i].iov_len;
	if (p->fd == -1 || p->broken)
		return ERR_CLOSED;
	if (peer_queued_bytes(p) > 4 * p->high)
		return -ENOBUFS;
	log_trace("%s: send %s id %u, %zu bytes", p->name, msg_name(type),
	    (unsigned)id, len);
	if (p->is_socket && flags == 0 && len >= PEER_LONG_BYTES &&
	    len <= FRAME_PAYLOAD_MAX_BYTES && p->n_out_fds == 0 &&
	    peer_queued_bytes(p) < PEER_LONG_BYTES) {
		h.length = (uint32_t)len;
		queue_long(p, &h, iov, n);
	} else if (n == 1) {
		out_make_room(p, len);
		frame_encode(&p->out, &h, iov[0].iov_base, len);
	} else {
		for (i = 0; i < n; i++)
			buf_append(&joined, iov[i].iov_base, iov[i].iov_len);
		out_make_room(p, len);
		frame_encode(&p->out, &h, joined.data, len);
		buf_free(&joined);
	}
	if (peer_queued_bytes(p) > p->high)
		p->was_full = true;
	peer_rewatch(p);
	return 0;
}

int
peer_send(struct peer *p, uint16_t type, uint32_t id, const void *payload,
    size_t len)
{
	struct iovec	 iov = { (void *)(uintptr_t)payload, len };

	return queue_message(p, type, id, 0, &iov, 1);
}

int
peer_send_iov(struct peer *p, uint16_t type, uint32_t id,
    const struct iovec *iov, int n)
{
	return queue_message(p, type, id, 0, iov, n);
}

int
peer_send_buf(struct peer *p, uint16_t type, uint32_t id, struct buf *b)
{
	int	 r = peer_send(p, type, id, b->data, b->len);

	buf_free(b);
	return r;
}

int
peer_send_fd(struct peer *p, uint16_t type, uint32_t id, const void *payload,
    size_t len, int fd)
{
	struct iovec	 iov = { (void *)(uintptr_t)payload, len };
	uint64_t	 at = p->out_total + peer_queued_bytes(p);
	int		 r;

	bug_unless(p->is_socket);
	r = queue_message(p, type, id, FRAME_FD, &iov, 1);
	if (r != 0) {
		close(fd);
		return r;
	}
	p->out_fds = xrealloc(p->out_fds,
	    (p->n_out_fds + 1) * sizeof(*p->out_fds));
	p->out_fds[p->n_out_fds].at = at;
	p->out_fds[p->n_out_fds++].fd = fd;
	return 0;
}

int
peer_take_fd(struct peer *p)
{
	int	 fd = p->given_fd;

	p->given_fd = -1;
	return fd;
}

bool
peer_take_memory(struct peer *p, const struct frame *f, struct buf *out)
{
	return frame_parser_give(&p->parser, f, out);
}

bool
peer_has_room(const struct peer *p)
{
	return peer_queued_bytes(p) <= p->high;
}

size_t
peer_queued_bytes(const struct peer *p)
{
	return p->out.len - p->out_used;
}

void
peer_pause(struct peer *p)
{
	p->paused = true;
	peer_rewatch(p);
}

void
peer_resume(struct peer *p)
{
	p->paused = false;
	p->resumed = p->loop == NULL;
	/* Messages that were read in before the pause wake nobody up. */
	if (p->loop != NULL && p->fd != -1)
		loop_task_post(p->loop, &p->resume);
	peer_rewatch(p);
}

static void
on_resume(void *arg)
{
	peer_handle(arg, 0);
}

short
peer_events(const struct peer *p)
{
	short	 want = 0;

	if (p->fd == -1)
		return 0;
	if (!p->paused)
		want |= POLLIN;
	/* In a poll() loop this is how left-over messages get their turn. */
	if (p->resumed && p->is_socket)
		want |= POLLOUT;
	if (peer_queued_bytes(p) != 0)
		want |= POLLOUT;
	return want;
}

/*
 * One end for all ways of losing a connection.  Nothing may touch the
 * connection afterwards.
 */
static void
lose(struct peer *p, int why)
{
	if (p->fd == -1)
		return;
	log_trace("%s: connection lost: %s", p->name, err_text(why));
	close_connection(p);
	p->ops->lost(p, why, p->arg);
}

static ssize_t
write_some(struct peer *p)
{
	const uint8_t	*data = p->out.data + p->out_used;
	size_t		 n = peer_queued_bytes(p);
	union {
		struct cmsghdr	 align;
		char		 space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec	 iov;
	struct msghdr	 m;
	struct cmsghdr	*c;
	bool		 with_fd = false;
	ssize_t		 sent;

	if (!p->is_socket)
		return write(p->fd, data, n);
	memset(&m, 0, sizeof(m));
	if (p->n_out_fds != 0) {
		with_fd = p->out_fds[0].at == p->out_total;
		/* Stop where the next descriptor has to go along. */
		if (!with_fd)
			n = MIN(n, (size_t)(p->out_fds[0].at - p->out_total));
		else if (p->n_out_fds > 1)
			n = MIN(n, (size_t)(p->out_fds[1].at - p->out_total));
	}
	iov.iov_base = p->out.data + p->out_used;
	iov.iov_len = n;
	m.msg_iov = &iov;
	m.msg_iovlen = 1;
	if (with_fd) {
		memset(&control, 0, sizeof(control));
		m.msg_control = control.space;
		m.msg_controllen = sizeof(control.space);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &p->out_fds[0].fd, sizeof(int));
	}
	sent = sendmsg(p->fd, &m, MSG_NOSIGNAL);
	if (sent > 0 && with_fd) {
		close(p->out_fds[0].fd);
		memmove(p->out_fds, p->out_fds + 1,
		    --p->n_out_fds * sizeof(*p->out_fds));
	}
	return sent;
}

/* 0 when all is written or the kernel is full, else -errno. */
static int
write_queue(struct peer *p)
{
	ssize_t	 n;

	while (peer_queued_bytes(p) != 0) {
		n = write_some(p);
		if (n == -1) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN || errno == EWOULDBLOCK)
				break;
			return -errno;
		}
		p->out_used += (size_t)n;
		p->out_total += (size_t)n;
	}
	if (p->out_used == p->out.len)
		out_empty(p);
	return 0;
}

/* Keep the descriptors that came with the bytes. */
static int
take_control(struct peer *p, struct msghdr *m)
{
	struct cmsghdr	*c;
	size_t		 i, n;
	int		 fd, r = 0;

	for (c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int),
			    sizeof(fd));
			if (p->n_in_fds == PEER_FDS_MAX) {
				close(fd);
				r = ERR_PROTOCOL;
			} else
				p->in_fds[p->n_in_fds++] = fd;
		}
	}
	if (m->msg_flags & MSG_CTRUNC)
		r = ERR_PROTOCOL;
	return r;
}

/* Bytes read, 0 at the end, -1 with errno. */
static ssize_t
read_some(struct peer *p, uint8_t *data, size_t size)
{
	union {
		struct cmsghdr	 align;
		char		 space[CMSG_SPACE(PEER_FDS_MAX * sizeof(int))];
	} control;
	struct iovec	 iov = { data, size };
	struct msghdr	 m;
	ssize_t		 n;

	if (!p->is_socket)
		return read(p->fd, data, size);
	memset(&m, 0, sizeof(m));
	m.msg_iov = &iov;
	m.msg_iovlen = 1;
	m.msg_control = control.space;
	m.msg_controllen = sizeof(control.space);
	n = recvmsg(p->fd, &m, MSG_CMSG_CLOEXEC);
	if (n >= 0 && take_control(p, &m) != 0) {
		errno = EPROTO;
		return -1;
	}
	return n;
}

static int
deliver(struct peer *p, const struct frame *f)
{
	int	 r;

	if (f->has_fd) {
		if (p->n_in_fds == 0)
			return ERR_PROTOCOL;
		p->given_fd = p->in_fds[0];
		memmove(p->in_fds, p->in_fds + 1,
		    --p->n_in_fds * sizeof(*p->in_fds));
	}
	if (f->generation > p->generation)
		r = ERR_PROTOCOL;
	else if (f->generation < p->generation) {
		/* Words of a predecessor of this child. */
		log_trace("%s: drop %s of generation %u", p->name,
		    msg_name(f->type), (unsigned)f->generation);
		r = 0;
	} else {
		log_trace("%s: got %s id %u, %zu bytes", p->name,
		    msg_name(f->type), (unsigned)f->id, f->len);
		r = p->ops->message(p, f, p->arg);
		r = r < 0 ? r : 0;
	}
	if (p->given_fd != -1)
		close(p->given_fd);
	p->given_fd = -1;
	return r;
}

/* Hand out what is complete; 0 or what was wrong. */
static int
deliver_all(struct peer *p)
{
	struct frame	 f;
	int		 r;

	while (p->fd != -1 && !p->paused &&
	    (r = frame_parser_next(&p->parser, &f)) != 0) {
		if (r < 0)
			return r;
		if ((r = deliver(p, &f)) != 0)
			return r;
	}
	return 0;
}

static void
handle_input(struct peer *p)
{
	uint8_t	 data[PEER_READ_BYTES], *to;
	size_t	 size;
	ssize_t	 n;
	int	 i, r;

	if (p->write_only) {
		/* Nothing can come here but the end of the reader. */
		lose(p, ERR_CLOSED);
		return;
	}
	for (i = 0; i < PEER_READS_PER_CALL; i++) {
		to = data;
		size = frame_parser_lacks(&p->parser);
		if (size >= PEER_LONG_BYTES)
			to = frame_parser_space(&p->parser);
		else
			size = sizeof(data);
		n = read_some(p, to, size);
		if (n == -1) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN || errno == EWOULDBLOCK)
				return;
			lose(p, errno == EPROTO ? ERR_PROTOCOL :
			    errno == ECONNRESET ? ERR_CLOSED : -errno);
			return;
		}
		if (n == 0) {
			lose(p, frame_parser_is_idle(&p->parser) ?
			    ERR_CLOSED : ERR_TRUNCATED);
			return;
		}
		if (to == data)
			frame_parser_feed(&p->parser, data, (size_t)n);
		else
			frame_parser_filled(&p->parser, (size_t)n);
		if ((r = deliver_all(p)) != 0) {
			if (p->fd != -1)
				lose(p, r);
			return;
		}
		if (p->fd == -1 || p->paused || (size_t)n < size)
			return;
	}
}

static void
handle_output(struct peer *p)
{
	int	 r;

	if ((r = write_queue(p)) != 0) {
		/*
		 * The other side is gone, but its last words may still be in
		 * our socket: what ended it is worth more than EPIPE.
		 */
		p->broken = true;
		buf_free(&p->out);
		p->out_used = 0;
		if (!p->is_socket)
			lose(p, r == -EPIPE ? ERR_CLOSED : r);
		return;
	}
	if (p->was_full && peer_queued_bytes(p) <= p->low) {
		p->was_full = false;
		if (p->ops->room != NULL)
			p->ops->room(p, p->arg);
	}
}

void
peer_handle(struct peer *p, short revents)
{
	int	 r;

	p->depth++;
	p->resumed = false;
	if (p->fd != -1 && (revents & POLLOUT) != 0)
		handle_output(p);
	if (p->fd != -1 && !p->paused) {
		/* What was read before a pause comes first. */
		if ((r = deliver_all(p)) != 0) {
			if (p->fd != -1)
				lose(p, r);
		} else if (p->fd != -1 && !p->paused &&
		    (revents & (POLLIN | POLLHUP | POLLERR)) != 0)
			handle_input(p);
	} else if (p->fd != -1 && (revents & (POLLERR | POLLNVAL)) != 0)
		lose(p, ERR_CLOSED);
	p->depth--;
	if (p->freed && p->depth == 0)
		peer_free(&(struct peer *){ p });
	else if (p->fd != -1)
		peer_rewatch(p);
}

int
peer_flush(struct peer *p, int ms)
{
	struct timespec	 now;
	struct pollfd	 pfd;
	int64_t		 end, left;

	clock_gettime(CLOCK_MONOTONIC, &now);
	end = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + ms;
	for (;;) {
		if (p->fd == -1 || p->broken || write_queue(p) != 0)
			return ERR_CLOSED;
		if (peer_queued_bytes(p) == 0)
			break;
		clock_gettime(CLOCK_MONOTONIC, &now);
		left = end - ((int64_t)now.tv_sec * 1000 +
		    now.tv_nsec / 1000000);
		if (left <= 0)
			return ERR_TIMEOUT;
		pfd.fd = p->fd;
		pfd.events = POLLOUT;
		if (poll(&pfd, 1, (int)left) == -1 && errno != EINTR)
			return -errno;
	}
	peer_rewatch(p);
	return 0;
}
