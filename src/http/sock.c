/* sock.c - one accepted connection, plain or TLS, never blocking */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "http/ossl.h"
#include "http/sock.h"
#include "http/tls.h"

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

static long
ssl_writev(struct sock *s, const struct iovec *iov, int n)
{
	long	 total = 0;
	size_t	 off;
	int	 i, r;

	s->write_wants_read = false;
	for (i = 0; i < n; i++)
		for (off = 0; off < iov[i].iov_len; off += (size_t)r) {
			errno = 0;
			r = SSL_write(s->ssl, (char *)iov[i].iov_base + off,
			    (int)MIN(iov[i].iov_len - off, (size_t)INT_MAX));
			if (r <= 0 && total > 0) {
				/* The next call says it again. */
				ERR_clear_error();
				return total;
			}
			if (r <= 0)
				return ssl_failed(s, r, false);
			total += r;
		}
	return total;
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
