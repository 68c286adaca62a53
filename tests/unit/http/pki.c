/* pki.c - keys and certificates made for a test */
#include <stdlib.h>

#include "base/err.h"
#include "http/ossl.h"
#include <openssl/ec.h>
#include <openssl/x509v3.h>

#include "pki.h"

struct pki {
	EVP_PKEY	*key;
	X509		*cert;
};

static EVP_PKEY *
new_key(void)
{
	EVP_PKEY_CTX	*ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
	EVP_PKEY	*key = NULL;

	bug_unless(ctx != NULL && EVP_PKEY_keygen_init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx,
	    NID_X9_62_prime256v1) == 1 && EVP_PKEY_keygen(ctx, &key) == 1);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static void
add_ext(X509 *x, int nid, const char *value)
{
	X509V3_CTX	 ctx;
	X509_EXTENSION	*e;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	bug_unless(e != NULL);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

static struct pki *
issue(struct pki *ca, const char *name)
{
	static long	 serial;
	struct pki	*p = xcalloc(1, sizeof(*p));
	X509_NAME	*n;
	char		*san;

	p->key = new_key();
	p->cert = X509_new();
	X509_set_version(p->cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(p->cert), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(p->cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(p->cert), 3600);
	n = X509_get_subject_name(p->cert);
	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC,
	    (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(p->cert, ca == NULL ? n :
	    X509_get_subject_name(ca->cert));
	X509_set_pubkey(p->cert, p->key);
	if (ca == NULL)
		add_ext(p->cert, NID_basic_constraints, "critical,CA:TRUE");
	else {
		san = xasprintf("DNS:%s,IP:127.0.0.1", name);
		add_ext(p->cert, NID_subject_alt_name, san);
		free(san);
	}
	bug_unless(X509_sign(p->cert, ca == NULL ? p->key : ca->key,
	    EVP_sha256()) > 0);
	return p;
}

struct pki *
pki_authority(const char *name)
{
	return issue(NULL, name);
}

struct pki *
pki_issue(struct pki *ca, const char *name)
{
	return issue(ca, name);
}

void
pki_free(struct pki **p)
{
	EVP_PKEY_free((*p)->key);
	X509_free((*p)->cert);
	free(*p);
	*p = NULL;
}

static void
take(BIO *bio, struct buf *b)
{
	char	*s;
	long	 n = BIO_get_mem_data(bio, &s);

	buf_append(b, s, (size_t)n);
	BIO_free(bio);
}

void
pki_cert(const struct pki *p, struct buf *b)
{
	BIO	*bio = BIO_new(BIO_s_mem());

	PEM_write_bio_X509(bio, p->cert);
	take(bio, b);
}

void
pki_key(const struct pki *p, struct buf *b)
{
	BIO	*bio = BIO_new(BIO_s_mem());

	PEM_write_bio_PrivateKey(bio, p->key, NULL, NULL, 0, NULL, NULL);
	take(bio, b);
}
