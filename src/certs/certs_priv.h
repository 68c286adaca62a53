/* certs_priv.h - what the files of src/certs share */
#ifndef CERTS_CERTS_PRIV_H
#define CERTS_CERTS_PRIV_H

#include "http/ossl.h"
#include <openssl/ec.h>
#include <openssl/x509v3.h>

#include "certs/certs.h"

struct cert_ca {
	X509		**certs;	/* ours first, then those above it */
	size_t		  n;
	EVP_PKEY	 *key;
};

/* Certificates and the first private key of a PEM text. */
struct cert_blocks {
	X509		**certs;
	size_t		  n;
	EVP_PKEY	 *key;		/* NULL: there was none */
};

/* 0 or ERR_FORMAT; *b is to be freed in any case. */
int	cert_blocks_parse(const char *what, const struct buf *text,
	    struct cert_blocks *b, struct err_msg *m);
void	cert_blocks_free(struct cert_blocks *b);

/* Append as PEM.  0 or ERR_TLS. */
int	cert_append_x509(struct buf *out, X509 *x, struct err_msg *m);
int	cert_append_key(struct buf *out, EVP_PKEY *key, struct err_msg *m);

/* ERR_TLS, with what OpenSSL says behind the text. */
int	cert_ossl_error(struct err_msg *m, const char *text);

#endif
