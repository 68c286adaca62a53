/*
 * tls.h - TLS contexts of servers and clients.
 *
 * A context is immutable and counted: connections hold the one they began
 * with, so a reload builds a new one, and swaps it in when it is good.
 * TLS 1.2 and newer only.
 */
#ifndef HTTP_TLS_H
#define HTTP_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct ssl_ctx_st;		/* OpenSSL's SSL_CTX */
struct tls_ctx;

/* Largest file we read as a keyfile or CA file. */
#define TLS_FILE_MAX_BYTES	((size_t)4 * 1024 * 1024)

enum tls_client_auth {
	TLS_CLIENT_CERT_NONE,		/* not asked for */
	TLS_CLIENT_CERT_OPTIONAL,	/* verified when there is one */
	TLS_CLIENT_CERT_REQUIRED
};

struct tls_server_opts {
	/* PEM: certificate, chain and private key in one, as ArangoDB's
	 * keyfiles; in any order, the first certificate is ours. */
	const char	*keyfile;	/* path, or NULL: use pem */
	const void	*pem;
	size_t		 pem_len;
	/* Authorities of client certificates, PEM; needed unless auth is
	 * NONE. */
	const char	*ca_file;	/* path, or NULL: use ca_pem */
	const void	*ca_pem;
	size_t		 ca_pem_len;
	enum tls_client_auth client_auth;
};

struct tls_client_opts {
	const void	*ca_pem;	/* NULL: authorities of the system */
	size_t		 ca_pem_len;
	const void	*cert_pem;	/* certificate, chain, key; or NULL */
	size_t		 cert_pem_len;
	bool		 no_verify;
};

/* 0, or ERR_TLS / -errno with a sentence in m (may be NULL), such as
 * "keyfile X holds no private key". */
int	tls_server_new(const struct tls_server_opts *opts,
	    struct tls_ctx **ctx, struct err_msg *m);
int	tls_client_new(const struct tls_client_opts *opts,
	    struct tls_ctx **ctx, struct err_msg *m);
/*
 * Build a context from opts and put it into *ctx; on an error *ctx stays what
 * it was.
 */
int	tls_server_reload(const struct tls_server_opts *opts,
	    struct tls_ctx **ctx, struct err_msg *m);
struct tls_ctx *tls_ctx_ref(struct tls_ctx *ctx);
/* Drop one reference; NULL is fine.  *ctx becomes NULL. */
void	tls_ctx_free(struct tls_ctx **ctx);
struct ssl_ctx_st *tls_ctx_ssl(const struct tls_ctx *ctx);

/* Add the authorities of PEM bytes to an SSL_CTX (for libcurl's). */
int	tls_add_authorities(struct ssl_ctx_st *ssl, const char *what,
	    const void *pem, size_t len, struct err_msg *m);
/* Use certificate, chain and key of PEM bytes in an SSL_CTX. */
int	tls_use_keypair(struct ssl_ctx_st *ssl, const char *what,
	    const void *pem, size_t len, struct err_msg *m);
/* The oldest error in OpenSSL's queue as text; the queue is emptied. */
void	tls_last_error(char *s, size_t size);

#endif
