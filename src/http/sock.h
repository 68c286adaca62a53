/* sock.h - one accepted connection, plain or TLS, never blocking. */
#ifndef HTTP_SOCK_H
#define HTTP_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct tls_ctx;

struct sock {
	int			 fd;
	struct ssl_st		*ssl;	/* NULL: plain */
	bool			 read_wants_write;	/* TLS: the other way */
	bool			 write_wants_read;	/* round */
};

void	sock_init(struct sock *s, int fd, struct tls_ctx *tls);
/*
 * Bytes read (at most n, at least 1), 0 at the end, -EAGAIN when there is
 * nothing now, ERR_PROTOCOL when a plain HTTP request came in place of TLS,
 * other negative numbers when the connection is broken.
 */
long	sock_read(struct sock *s, void *p, size_t n);
/* Bytes written (may be fewer), -EAGAIN, or another negative number. */
long	sock_writev(struct sock *s, const struct iovec *iov, int n);
/* TLS holds bytes that the descriptor will not show as readable. */
bool	sock_has_pending(const struct sock *s);
/*
 * Throw away up to *n bytes that the peer sent, as they are on the wire; *n
 * becomes their number.  False at the end or when the connection is broken.
 */
bool	sock_discard(struct sock *s, size_t *n);
/* Tell the peer that nothing more comes; it can still be read from. */
void	sock_shutdown(struct sock *s);
void	sock_close(struct sock *s);

#endif
