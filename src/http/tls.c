/* tls.c - TLS contexts of servers and clients */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "http/ossl.h"
#include <openssl/x509v3.h>
#include "http/tls.h"

#define TLS_READ_BUFFER_BYTES	(64 * 1024)
/* Of TLS 1.3, the best first. */
#define CIPHERS			"TLS_AES_128_GCM_SHA256:"	\
				"TLS_AES_256_GCM_SHA384:"	\
				"TLS_CHACHA20_POLY1305_SHA256"

struct tls_ctx {
	SSL_CTX		*ssl;
	unsigned	 refs;
};

static int	read_file(const char *path, struct buf *b, struct err_msg *m);
static SSL_CTX	*ssl_new(const SSL_METHOD *method);

void
tls_last_error(char *s, size_t size)
{
	unsigned long	 e = ERR_get_error();
	const char	*reason = e == 0 ? NULL : ERR_reason_error_string(e);

	if (reason != NULL)
		snprintf(s, size, "%s", reason);
	else
		snprintf(s, size, "unknown TLS error");
	ERR_clear_error();
}

static int
read_file(const char *path, struct buf *b, struct err_msg *m)
{
	struct stat	 st;
	ssize_t		 n = 0;
	int		 r = 0, fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1)
		return err_set(m, -errno, "cannot open %.300s: %s", path,
		    strerror(errno));
	if (fstat(fd, &st) == 0 && st.st_size > (off_t)TLS_FILE_MAX_BYTES) {
		close(fd);
		return err_set(m, ERR_TOO_BIG, "%.300s is larger than %zu "
		    "bytes", path, TLS_FILE_MAX_BYTES);
	}
	for (;;) {
		buf_reserve(b, 4096);
		n = read(fd, b->data + b->len, b->cap - b->len);
		if (n <= 0)
			break;
		b->len += (size_t)n;
		if (b->len > TLS_FILE_MAX_BYTES) {
			r = err_set(m, ERR_TOO_BIG, "%.300s is larger than "
			    "%zu bytes", path, TLS_FILE_MAX_BYTES);
			break;
		}
	}
	if (n == -1)
		r = err_set(m, -errno, "cannot read %.300s: %s", path,
		    strerror(errno));
	close(fd);
	return r;
}

static SSL_CTX *
ssl_new(const SSL_METHOD *method)
{
	SSL_CTX	*ssl = SSL_CTX_new(method);

	if (ssl == NULL)
		fatal("OpenSSL: cannot make a TLS context");
	SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
	SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION |
	    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_RENEGOTIATION);
	/* The order of ours counts: 128 bits are as safe as can be told today,
	 * and each byte of a stream costs a quarter less than with 256. */
	if (SSL_CTX_set_ciphersuites(ssl, CIPHERS) != 1)
		fatal("OpenSSL: cannot use %s", CIPHERS);
	SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
#ifdef SSL_OP_IGNORE_UNEXPECTED_EOF
	/* Content-Length tells us what is complete. */
	SSL_CTX_set_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
#endif
	return ssl;
}

/* ---- certificates and keys ---------------------------------------------- */

static BIO *
bio_of(const void *pem, size_t len)
{
	BIO	*bio = BIO_new_mem_buf(pem, (int)len);

	if (bio == NULL)
		fatal("OpenSSL: out of memory");
	return bio;
}

/* Never ask a terminal for a passphrase. */
static int
no_passphrase(char *buf, int size, int rw, void *arg)
{
	*(bool *)arg = true;
	return -1;
}

static int
use_chain(SSL_CTX *ssl, const char *what, const void *pem, size_t len,
    struct err_msg *m)
{
	BIO	*bio = bio_of(pem, len);
	X509	*x;
	char	 e[128];
	int	 n, r = 0;

	SSL_CTX_clear_chain_certs(ssl);
	for (n = 0; (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL;
	    n++) {
		if (n == 0) {
			if (SSL_CTX_use_certificate(ssl, x) != 1) {
				tls_last_error(e, sizeof(e));
				r = err_set(m, ERR_TLS, "certificate in %.300s "
				    "cannot be used: %s", what, e);
			}
			X509_free(x);
		} else if (SSL_CTX_add0_chain_cert(ssl, x) != 1)
			X509_free(x);
		if (r != 0)
			break;
	}
	if (r == 0 && n == 0)
		r = err_set(m, ERR_TLS, "%.300s holds no certificate", what);
	BIO_free(bio);
	ERR_clear_error();
	return r;
}

static int
use_key(SSL_CTX *ssl, const char *what, const void *pem, size_t len,
    struct err_msg *m)
{
	BIO		*bio = bio_of(pem, len);
	bool		 encrypted = false;
	EVP_PKEY	*key;
	int		 r = 0;

	key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &encrypted);
	BIO_free(bio);
	ERR_clear_error();
	if (key == NULL && encrypted)
		return err_set(m, ERR_TLS, "private key in %.300s is "
		    "encrypted; store it without a passphrase", what);
	if (key == NULL)
		return err_set(m, ERR_TLS, "%.300s holds no private key", what);
	/* Compared first, as use_PrivateKey() would drop the certificate. */
	if (X509_check_private_key(SSL_CTX_get0_certificate(ssl), key) != 1)
		r = err_set(m, ERR_TLS, "private key in %.300s does not belong "
		    "to its first certificate", what);
	else if (SSL_CTX_use_PrivateKey(ssl, key) != 1)
		r = err_set(m, ERR_TLS, "private key in %.300s cannot be used",
		    what);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return r;
}

int
tls_use_keypair(SSL_CTX *ssl, const char *what, const void *pem, size_t len,
    struct err_msg *m)
{
	int	 r;

	if (len > TLS_FILE_MAX_BYTES)
		return err_set(m, ERR_TOO_BIG, "%.300s is too large", what);
	if ((r = use_chain(ssl, what, pem, len, m)) != 0)
		return r;
	return use_key(ssl, what, pem, len, m);
}

static int
add_authorities(SSL_CTX *ssl, const char *what, const void *pem, size_t len,
    bool announce, struct err_msg *m)
{
	X509_STORE	*store = SSL_CTX_get_cert_store(ssl);
	BIO		*bio;
	X509		*x;
	int		 n = 0;

	if (len > TLS_FILE_MAX_BYTES)
		return err_set(m, ERR_TOO_BIG, "%.300s is too large", what);
	bio = bio_of(pem, len);
	while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		X509_STORE_add_cert(store, x);
		if (announce)
			SSL_CTX_add_client_CA(ssl, x);
		X509_free(x);
		n++;
	}
	BIO_free(bio);
	ERR_clear_error();
	if (n == 0)
		return err_set(m, ERR_TLS, "%.300s holds no certificate of an "
		    "authority", what);
	return 0;
}

int
tls_add_authorities(SSL_CTX *ssl, const char *what, const void *pem,
    size_t len, struct err_msg *m)
{
	return add_authorities(ssl, what, pem, len, false, m);
}

/* ---- contexts ----------------------------------------------------------- */

static struct tls_ctx *
wrap(SSL_CTX *ssl)
{
	struct tls_ctx	*ctx = xcalloc(1, sizeof(*ctx));

	ctx->ssl = ssl;
	ctx->refs = 1;
	return ctx;
}

static int
server_keypair(SSL_CTX *ssl, const struct tls_server_opts *o,
    struct err_msg *m)
{
	struct buf	 b = BUF_INIT;
	char		*what;
	int		 r;

	if (o->keyfile == NULL)
		return tls_use_keypair(ssl, "keyfile", o->pem, o->pem_len, m);
	if ((r = read_file(o->keyfile, &b, m)) == 0) {
		what = xasprintf("keyfile %s", o->keyfile);
		r = tls_use_keypair(ssl, what, b.data, b.len, m);
		free(what);
	}
	if (b.data != NULL)
		OPENSSL_cleanse(b.data, b.cap);
	buf_free(&b);
	return r;
}

/*
 * ---- certificates of clients
 *
 * ArangoSync's authorities for client certificates are marked for "any" use
 * and for servers, not for clients, and OpenSSL asks every authority of the
 * chain for the purpose it verifies.  So it is told that any will do, and the
 * client's own certificate is looked at here.
 */
static bool
may_be_client(X509 *x)
{
	uint32_t	 use = X509_get_extended_key_usage(x);

	/* UINT32_MAX: nothing is said, all is allowed. */
	return (use & (XKU_SSL_CLIENT | XKU_ANYEKU)) != 0;
}

static bool
is_in_force(X509 *x)
{
	return X509_cmp_current_time(X509_get0_notBefore(x)) < 0 &&
	    X509_cmp_current_time(X509_get0_notAfter(x)) > 0;
}

/*
 * Certificates that ArangoSync made without a host have the name of their
 * issuer, and no identifiers of keys: OpenSSL believes that they have signed
 * themselves.  Did one of our authorities?
 */
static bool
is_signed_by_authority(X509_STORE_CTX *store, X509 *x)
{
	STACK_OF(X509)	*cas;
	X509		*ca;
	bool		 found = false;
	int		 i;

	cas = X509_STORE_CTX_get1_certs(store, X509_get_issuer_name(x));
	for (i = 0; !found && i < sk_X509_num(cas); i++) {
		ca = sk_X509_value(cas, i);
		found = X509_check_ca(ca) == 1 && is_in_force(ca) &&
		    X509_cmp(ca, x) != 0 &&
		    X509_verify(x, X509_get0_pubkey(ca)) == 1;
	}
	sk_X509_pop_free(cas, X509_free);
	ERR_clear_error();
	return found;
}

static int
on_verify_client(int ok, X509_STORE_CTX *store)
{
	X509	*x = X509_STORE_CTX_get_current_cert(store);

	if (x == NULL || X509_STORE_CTX_get_error_depth(store) != 0)
		return ok;
	if (!ok && X509_STORE_CTX_get_error(store) ==
	    X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT &&
	    is_signed_by_authority(store, x)) {
		X509_STORE_CTX_set_error(store, X509_V_OK);
		ok = 1;
	}
	if (ok && !may_be_client(x)) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_INVALID_PURPOSE);
		ok = 0;
	}
	return ok;
}

static int
server_client_auth(SSL_CTX *ssl, const struct tls_server_opts *o,
    struct err_msg *m)
{
	struct buf	 b = BUF_INIT;
	int		 r, mode = SSL_VERIFY_PEER;

	if (o->client_auth == TLS_CLIENT_CERT_NONE)
		return 0;
	if (o->ca_file == NULL && o->ca_pem == NULL)
		return err_set(m, ERR_TLS, "client certificates need a file "
		    "of authorities");
	if (o->ca_file == NULL)
		r = add_authorities(ssl, "authorities of clients", o->ca_pem,
		    o->ca_pem_len, true, m);
	else if ((r = read_file(o->ca_file, &b, m)) == 0)
		r = add_authorities(ssl, o->ca_file, b.data, b.len, true, m);
	buf_free(&b);
	if (r != 0)
		return r;
	if (o->client_auth == TLS_CLIENT_CERT_REQUIRED)
		mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	SSL_CTX_set_purpose(ssl, X509_PURPOSE_ANY);
	SSL_CTX_set_verify(ssl, mode, on_verify_client);
	return 0;
}

int
tls_server_new(const struct tls_server_opts *o, struct tls_ctx **ctx,
    struct err_msg *m)
{
	static const unsigned char	 session_id[] = "arangosync";
	SSL_CTX				*ssl = ssl_new(TLS_server_method());
	int				 r;

	/* Without it a resumed session of a client with a certificate is
	 * refused. */
	SSL_CTX_set_session_id_context(ssl, session_id,
	    sizeof(session_id) - 1);
	SSL_CTX_set_read_ahead(ssl, 1);
	SSL_CTX_set_default_read_buffer_len(ssl, TLS_READ_BUFFER_BYTES);
	if ((r = server_keypair(ssl, o, m)) != 0 ||
	    (r = server_client_auth(ssl, o, m)) != 0) {
		SSL_CTX_free(ssl);
		return r;
	}
	*ctx = wrap(ssl);
	return 0;
}

int
tls_client_new(const struct tls_client_opts *o, struct tls_ctx **ctx,
    struct err_msg *m)
{
	SSL_CTX	*ssl = ssl_new(TLS_client_method());
	int	 r = 0;

	if (o->ca_pem != NULL)
		r = tls_add_authorities(ssl, "authorities of servers",
		    o->ca_pem, o->ca_pem_len, m);
	else
		SSL_CTX_set_default_verify_paths(ssl);
	if (r == 0 && o->cert_pem != NULL)
		r = tls_use_keypair(ssl, "client certificate", o->cert_pem,
		    o->cert_pem_len, m);
	if (r != 0) {
		SSL_CTX_free(ssl);
		return r;
	}
	SSL_CTX_set_verify(ssl, o->no_verify ? SSL_VERIFY_NONE :
	    SSL_VERIFY_PEER, NULL);
	*ctx = wrap(ssl);
	return 0;
}

int
tls_server_reload(const struct tls_server_opts *o, struct tls_ctx **ctx,
    struct err_msg *m)
{
	struct tls_ctx	*fresh;
	int		 r;

	if ((r = tls_server_new(o, &fresh, m)) != 0)
		return r;
	tls_ctx_free(ctx);
	*ctx = fresh;
	return 0;
}

struct tls_ctx *
tls_ctx_ref(struct tls_ctx *ctx)
{
	if (ctx != NULL)
		ctx->refs++;
	return ctx;
}

void
tls_ctx_free(struct tls_ctx **ctx)
{
	struct tls_ctx	*c = *ctx;

	*ctx = NULL;
	if (c == NULL || --c->refs != 0)
		return;
	SSL_CTX_free(c->ssl);
	free(c);
}

SSL_CTX *
tls_ctx_ssl(const struct tls_ctx *ctx)
{
	return ctx->ssl;
}
