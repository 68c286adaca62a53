/* ca.c - an authority read back from its files */
#include <stdlib.h>
#include <string.h>

#include "certs/certs_priv.h"

static int
check_authority(const char *what, X509 *x, struct err_msg *m)
{
	/* 1: says so itself; other values are guesses about old ones. */
	if (X509_check_ca(x) != 1)
		return err_set(m, ERR_TLS,
		    "the certificate in %s is not one of an authority", what);
	if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
		return err_set(m, ERR_TLS,
		    "the certificate in %s has expired", what);
	return 0;
}

int
cert_ca_parse(const char *cert_what, const struct buf *cert,
    const char *key_what, const struct buf *key, struct cert_ca **out,
    struct err_msg *m)
{
	struct cert_blocks	 c = { 0 }, k = { 0 };
	struct cert_ca		*ca;
	int			 r;

	r = cert_blocks_parse(cert_what, cert, &c, m);
	if (r == 0 && c.n == 0)
		r = err_set(m, ERR_FORMAT, "No certificates found in %s",
		    cert_what);
	if (r == 0)
		r = cert_blocks_parse(key_what, key, &k, m);
	if (r == 0 && k.key == NULL)
		r = err_set(m, ERR_FORMAT, "No private key found in %s",
		    key_what);
	if (r == 0 && X509_check_private_key(c.certs[0], k.key) != 1) {
		ERR_clear_error();
		r = err_set(m, ERR_TLS, "the private key in %s does not "
		    "belong to the certificate in %s", key_what, cert_what);
	}
	if (r == 0)
		r = check_authority(cert_what, c.certs[0], m);
	if (r == 0) {
		ca = xcalloc(1, sizeof(*ca));
		ca->certs = c.certs;
		ca->n = c.n;
		ca->key = k.key;
		c.certs = NULL;
		c.n = 0;
		k.key = NULL;
		*out = ca;
	}
	cert_blocks_free(&c);
	cert_blocks_free(&k);
	return r;
}

int
cert_ca_load(const char *cert_path, const char *key_path,
    struct cert_ca **ca, struct err_msg *m)
{
	struct buf	 cert = BUF_INIT, key = BUF_INIT;
	int		 r;

	if ((r = cert_read_file(cert_path, &cert, m)) == 0 &&
	    (r = cert_read_file(key_path, &key, m)) == 0)
		r = cert_ca_parse(cert_path, &cert, key_path, &key, ca, m);
	if (key.data != NULL)
		OPENSSL_cleanse(key.data, key.cap);
	buf_free(&key);
	buf_free(&cert);
	return r;
}

void
cert_ca_free(struct cert_ca **ca)
{
	if (*ca == NULL)
		return;
	while ((*ca)->n > 0)
		X509_free((*ca)->certs[--(*ca)->n]);
	free((*ca)->certs);
	EVP_PKEY_free((*ca)->key);
	free(*ca);
	*ca = NULL;
}
