/* sock.c - one accepted connection, plain or TLS, never blocking */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "http/ossl.h"
#include "http/sock.h"
#include "http/tls.h"

#define RECORD_BYTES	((size_t)SSL3_RT_MAX_PLAIN_LENGTH)

void
sock_init(struct sock *s, int fd, struct tls_ctx *tls)
{
	memset(s, 0, sizeof(*s));
	s->fd = fd;
	if (tls == NULL)
		return;
	s->ssl = SSL_new(tls_ctx_ssl(tls));
	if (s->ssl == NULL || SSL_set_fd(s->ssl, fd) != 1)
		fatal("OpenSSL: cannot make a TLS connection");
	SSL_set_accept_state(s->ssl);
}

/* What a failed SSL_read() or SSL_write() means. */
static long
ssl_failed(struct sock *s, int ret, bool reading)
{
	unsigned long	 e;
	long		 r = ERR_TLS;

	switch (SSL_get_error(s->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		s->write_wants_read = !reading;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		s->read_wants_write = reading;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return reading ? 0 : -EPIPE;
	case SSL_ERROR_SYSCALL:
		r = errno != 0 ? -errno : -ECONNRESET;
		break;
	default:
		e = ERR_peek_error();
		if (ERR_GET_REASON(e) == SSL_R_HTTP_REQUEST)
			r = ERR_PROTOCOL;
		break;
	}
	ERR_clear_error();
	/* After a fatal error OpenSSL must not be asked to say good-bye. */
	SSL_set_quiet_shutdown(s->ssl, 1);
	return r;
}

long
sock_read(struct sock *s, void *p, size_t n)
{
	ssize_t	 got;
	int	 r;

	if (s->ssl == NULL) {
		do
			got = recv(s->fd, p, n, 0);
		while (got == -1 && errno == EINTR);
		return got == -1 ? -errno : got;
	}
	s->read_wants_write = false;
	errno = 0;
	r = SSL_read(s->ssl, p, (int)MIN(n, (size_t)INT_MAX));
	return r > 0 ? r : ssl_failed(s, r, true);
}

/* What is left to be written. */
struct rest {
	const struct iovec	*iov;
	int			 n;
	size_t			 off;	/* in the first one */
};

/* At most so many bytes that lie together; the rest must not be empty. */
static size_t
rest_take(struct rest *t, size_t most, const uint8_t **p)
{
	size_t	 left = t->iov->iov_len - t->off, len = MIN(left, most);

	*p = (const uint8_t *)t->iov->iov_base + t->off;
	t->off += len;
	if (len == left) {
		t->iov++;
		t->n--;
		t->off = 0;
	}
	return len;
}

/*
 * One record, from where it is or put together in space.  A record that could
 * not be written begins with the same bytes when it is tried again, and is not
 * shorter: OpenSSL insists.
 */
static size_t
next_record(struct rest *t, uint8_t space[RECORD_BYTES], const uint8_t **p)
{
	const uint8_t	*part;
	size_t		 len = rest_take(t, RECORD_BYTES, p), n;

	if (len == RECORD_BYTES || t->n == 0)
		return len;
	memcpy(space, *p, len);
	*p = space;
	while (len < RECORD_BYTES && t->n > 0) {
		n = rest_take(t, RECORD_BYTES - len, &part);
		memcpy(space + len, part, n);
		len += n;
	}
	return len;
}

static long
ssl_write_records(struct sock *s, struct rest *t)
{
	uint8_t		 space[RECORD_BYTES];
	const uint8_t	*p;
	long		 total = 0;
	size_t		 len;
	int		 r;

	s->write_wants_read = false;
	while (t->n > 0 && (len = next_record(t, space, &p)) > 0) {
		errno = 0;
		r = SSL_write(s->ssl, p, (int)len);
		if (r <= 0 && total > 0) {
			/* The next call says it again. */
			ERR_clear_error();
			return total;
		}
		if (r <= 0)
			return ssl_failed(s, r, false);
		total += r;
		if ((size_t)r < len)
			break;
	}
	return total;
}

static void
cork(const struct sock *s, int on)
{
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

/*
 * OpenSSL writes each record by itself: the kernel is told that more follow, so
 * that they share packets.
 */
static long
ssl_writev(struct sock *s, const struct iovec *iov, int n)
{
	struct rest	 t = { iov, n, 0 };
	size_t		 bytes = 0;
	long		 r;
	int		 i;

	for (i = 0; i < n; i++)
		bytes += iov[i].iov_len;
	if (bytes <= RECORD_BYTES)
		return ssl_write_records(s, &t);
	cork(s, 1);
	r = ssl_write_records(s, &t);
	cork(s, 0);
	return r;
}

long
sock_writev(struct sock *s, const struct iovec *iov, int n)
{
	struct msghdr	 msg = { 0 };
	ssize_t		 done;

	if (s->ssl != NULL)
		return ssl_writev(s, iov, n);
	memcpy(&msg.msg_iov, &iov, sizeof(iov));
	msg.msg_iovlen = (size_t)n;
	do
		done = sendmsg(s->fd, &msg, MSG_NOSIGNAL);
	while (done == -1 && errno == EINTR);
	return done == -1 ? -errno : done;
}

bool
sock_discard(struct sock *s, size_t *n)
{
	ssize_t	 got;

	/* MSG_TRUNC: the kernel drops the bytes without copying them. */
	do
		got = recv(s->fd, NULL, *n, MSG_TRUNC);
	while (got == -1 && errno == EINTR);
	*n = got > 0 ? (size_t)got : 0;
	return got > 0 || (got == -1 && errno == EAGAIN);
}

bool
sock_has_pending(const struct sock *s)
{
	return s->ssl != NULL && SSL_has_pending(s->ssl);
}

void
sock_shutdown(struct sock *s)
{
	if (s->ssl != NULL) {
		SSL_shutdown(s->ssl);
		ERR_clear_error();
	}
	shutdown(s->fd, SHUT_WR);
}

void
sock_close(struct sock *s)
{
	if (s->ssl != NULL)
		SSL_free(s->ssl);
	if (s->fd != -1)
		close(s->fd);
	s->ssl = NULL;
	s->fd = -1;
}
