/* pem.c - PEM blocks: certificates and keys, keyfiles */
#include <stdlib.h>
#include <string.h>

#include "certs/certs_priv.h"
#include "base/str.h"
#include "http/tls.h"

int
cert_ossl_error(struct err_msg *m, const char *text)
{
	char	 why[256];

	tls_last_error(why, sizeof(why));
	return err_set(m, ERR_TLS, "%s: %s", text, why);
}

void
cert_pair_free(struct cert_pair *p)
{
	if (p->key.data != NULL)
		OPENSSL_cleanse(p->key.data, p->key.cap);
	buf_free(&p->key);
	buf_free(&p->cert);
}

/* --- reading ------------------------------------------------------------- */

static int
add_certificate(struct cert_blocks *b, const char *what, const uint8_t *der,
    long len, struct err_msg *m)
{
	const uint8_t	*p = der;
	X509		*x;

	if ((x = d2i_X509(NULL, &p, len)) == NULL || p != der + len) {
		X509_free(x);
		ERR_clear_error();
		return err_set(m, ERR_FORMAT,
		    "%s holds a damaged certificate", what);
	}
	b->certs = xrealloc(b->certs, (b->n + 1) * sizeof(*b->certs));
	b->certs[b->n++] = x;
	return 0;
}

/* The label does not tell: PKCS#1, PKCS#8 and SEC1 are tried. */
static int
add_key(struct cert_blocks *b, const char *what, const char *header,
    const uint8_t *der, long len, struct err_msg *m)
{
	const uint8_t	*p = der;
	int		 type;

	if (*header != '\0')
		return err_set(m, ERR_FORMAT,
		    "the private key in %s is encrypted", what);
	if ((b->key = d2i_AutoPrivateKey(NULL, &p, len)) == NULL) {
		ERR_clear_error();
		return err_set(m, ERR_FORMAT,
		    "%s holds a private key that is damaged, encrypted or of "
		    "an unknown kind", what);
	}
	type = EVP_PKEY_base_id(b->key);
	if (type != EVP_PKEY_RSA && type != EVP_PKEY_EC)
		return err_set(m, ERR_FORMAT,
		    "the private key in %s is neither RSA nor ECDSA", what);
	return 0;
}

static int
is_key_label(const char *name)
{
	return strcmp(name, "PRIVATE KEY") == 0 ||
	    str_ends_with(name, " PRIVATE KEY");
}

int
cert_blocks_parse(const char *what, const struct buf *text,
    struct cert_blocks *b, struct err_msg *m)
{
	BIO		*bio;
	char		*name, *header;
	unsigned char	*der;
	long		 len;
	int		 r = 0;

	memset(b, 0, sizeof(*b));
	if (text->len == 0)
		return 0;
	if ((bio = BIO_new_mem_buf(text->data, (int)text->len)) == NULL)
		fatal("out of memory (OpenSSL)");
	while (r == 0 && PEM_read_bio(bio, &name, &header, &der, &len) == 1) {
		if (strcmp(name, "CERTIFICATE") == 0)
			r = add_certificate(b, what, der, len, m);
		else if (is_key_label(name) && b->key == NULL)
			r = add_key(b, what,
			    strncmp(name, "ENCRYPTED", 9) == 0 ? name : header,
			    der, len, m);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)len);
	}
	/* The end of the text is an error of PEM_read_bio() as well. */
	ERR_clear_error();
	BIO_free(bio);
	return r;
}

void
cert_blocks_free(struct cert_blocks *b)
{
	while (b->n > 0)
		X509_free(b->certs[--b->n]);
	free(b->certs);
	EVP_PKEY_free(b->key);
	memset(b, 0, sizeof(*b));
}

/* --- writing ------------------------------------------------------------- */

/* Memory that OpenSSL overwrites when it is freed. */
static BIO *
new_bio(void)
{
	BIO	*bio = BIO_new(BIO_s_secmem());

	if (bio == NULL)
		fatal("out of memory (OpenSSL)");
	return bio;
}

static void
take_bio(struct buf *out, BIO *bio)
{
	char	*p = NULL;
	long	 n = BIO_get_mem_data(bio, &p);

	buf_append(out, p, (size_t)n);
	BIO_free(bio);
}

int
cert_append_x509(struct buf *out, X509 *x, struct err_msg *m)
{
	BIO	*bio = new_bio();
	int	 ok = PEM_write_bio_X509(bio, x);

	take_bio(out, bio);
	return ok ? 0 : cert_ossl_error(m, "cannot write the certificate");
}

int
cert_append_key(struct buf *out, EVP_PKEY *key, struct err_msg *m)
{
	BIO	*bio = new_bio();
	/* SEC1 or PKCS#1, as the original's files are. */
	int	 ok = PEM_write_bio_PrivateKey_traditional(bio, key, NULL,
		    NULL, 0, NULL, NULL);

	take_bio(out, bio);
	return ok ? 0 : cert_ossl_error(m, "cannot write the private key");
}

/* --- keyfiles ------------------------------------------------------------ */

static void
append_trimmed(struct buf *out, const struct buf *text)
{
	size_t	 n = text->len;

	while (n > 0 && strchr(" \t\r\n", text->data[n - 1]) != NULL)
		n--;
	buf_append(out, text->data, n);
}

void
cert_keyfile_text(const struct cert_pair *p, struct buf *out)
{
	append_trimmed(out, &p->cert);
	buf_append_u8(out, '\n');
	append_trimmed(out, &p->key);
}

int
cert_keyfile_parse(const char *what, const struct buf *text,
    struct cert_pair *out, struct err_msg *m)
{
	struct cert_blocks	 b;
	size_t			 i;
	int			 r;

	r = cert_blocks_parse(what, text, &b, m);
	if (r == 0 && b.n == 0)
		r = err_set(m, ERR_FORMAT,
		    "No certificates found in keyfile %s", what);
	if (r == 0 && b.key == NULL)
		r = err_set(m, ERR_FORMAT,
		    "No private key found in keyfile %s", what);
	if (r == 0 && X509_check_private_key(b.certs[0], b.key) != 1) {
		ERR_clear_error();
		r = err_set(m, ERR_TLS, "the private key in keyfile %s does "
		    "not belong to its first certificate", what);
	}
	for (i = 0; r == 0 && i < b.n; i++)
		r = cert_append_x509(&out->cert, b.certs[i], m);
	if (r == 0)
		r = cert_append_key(&out->key, b.key, m);
	cert_blocks_free(&b);
	return r;
}

int
cert_authorities_parse(const char *what, const struct buf *text,
    struct buf *out, struct err_msg *m)
{
	struct cert_blocks	 b;
	size_t			 i;
	int			 r;

	r = cert_blocks_parse(what, text, &b, m);
	if (r == 0 && b.n == 0)
		r = err_set(m, ERR_FORMAT, "No certificates found in %s",
		    what);
	for (i = 0; r == 0 && i < b.n; i++)
		r = cert_append_x509(out, b.certs[i], m);
	cert_blocks_free(&b);
	return r;
}
