/* create.c - a new key and the certificate for it */
#include <arpa/inet.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "certs/certs_priv.h"

#define SERIAL_BITS	128
#define SECONDS_A_DAY	(24 * 60 * 60)

const char *const	cert_curve_names[CERT_CURVE_COUNT + 1] = {
	"P224", "P256", "P384", "P521", NULL
};

static const int	curve_nids[CERT_CURVE_COUNT] = {
	NID_secp224r1, NID_X9_62_prime256v1, NID_secp384r1, NID_secp521r1
};

static EVP_PKEY *
new_key(enum cert_curve curve)
{
	EVP_PKEY_CTX	*ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
	EVP_PKEY	*key = NULL;

	if (ctx == NULL || EVP_PKEY_keygen_init(ctx) != 1 ||
	    EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx,
	    curve_nids[curve]) != 1 || EVP_PKEY_keygen(ctx, &key) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* --- names --------------------------------------------------------------- */

/* What PrintableString of X.680 has. */
static int
is_printable(const char *s)
{
	return s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?")] == '\0';
}

/*
 * The type is given, so OpenSSL does not apply the limit of 64 characters for
 * a CN: names of Kubernetes services are longer.
 */
static int
add_name(X509_NAME *name, int nid, const char *value)
{
	return X509_NAME_add_entry_by_NID(name, nid,
	    is_printable(value) ? V_ASN1_PRINTABLESTRING : V_ASN1_UTF8STRING,
	    (const unsigned char *)value, (int)strlen(value), -1, 0);
}

static const char *
common_name(const struct cert_opts *o)
{
	if (o->emails != NULL && o->emails[0] != NULL)
		return o->emails[0];
	if (o->hosts != NULL && o->hosts[0] != NULL)
		return o->hosts[0];
	return "ArangoDB";
}

static int
set_names(X509 *x, const struct cert_opts *o, const struct cert_ca *ca)
{
	X509_NAME	*name = X509_get_subject_name(x);

	return add_name(name, NID_organizationName, "ArangoDB") == 1 &&
	    add_name(name, NID_commonName, common_name(o)) == 1 &&
	    X509_set_issuer_name(x, ca == NULL ? name :
	    X509_get_subject_name(ca->certs[0])) == 1;
}

/* --- alternative names --------------------------------------------------- */

static int
add_alternative(GENERAL_NAMES *names, int type, const void *p, size_t n)
{
	GENERAL_NAME		*g = GENERAL_NAME_new();
	ASN1_STRING		*s;

	s = type == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
	if (g == NULL || s == NULL || ASN1_STRING_set(s, p, (int)n) != 1) {
		ASN1_STRING_free(s);
		GENERAL_NAME_free(g);
		return 0;
	}
	GENERAL_NAME_set0_value(g, type, s);
	if (sk_GENERAL_NAME_push(names, g) > 0)
		return 1;
	GENERAL_NAME_free(g);
	return 0;
}

/* Length of the address in `to`; 0 when the host is a name. */
static size_t
parse_address(const char *host, uint8_t to[16])
{
	if (inet_pton(AF_INET, host, to) == 1)
		return 4;
	return inet_pton(AF_INET6, host, to) == 1 ? 16 : 0;
}

/* Names, e-mails, addresses: the order of the original. */
static int
fill_alternatives(GENERAL_NAMES *names, const struct cert_opts *o)
{
	static const char *const	 none[] = { NULL };
	const char *const		*hosts = o->hosts ? o->hosts : none;
	const char *const		*emails = o->emails ? o->emails : none;
	const char *const		*s;
	uint8_t				 a[16];
	size_t				 n;
	int				 ok = 1;

	for (s = hosts; ok && *s != NULL; s++)
		if (parse_address(*s, a) == 0)
			ok = add_alternative(names, GEN_DNS, *s, strlen(*s));
	for (s = emails; ok && *s != NULL; s++)
		ok = add_alternative(names, GEN_EMAIL, *s, strlen(*s));
	for (s = hosts; ok && *s != NULL; s++)
		if ((n = parse_address(*s, a)) != 0)
			ok = add_alternative(names, GEN_IPADD, a, n);
	return ok;
}

static int
add_alternatives(X509 *x, const struct cert_opts *o)
{
	GENERAL_NAMES	*names = sk_GENERAL_NAME_new_null();
	int		 ok;

	ok = names != NULL && fill_alternatives(names, o);
	if (ok && sk_GENERAL_NAME_num(names) > 0)
		ok = X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0,
		    X509V3_ADD_DEFAULT) == 1;
	sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
	return ok;
}

/* --- extensions ---------------------------------------------------------- */

static int
add_text(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX	 ctx;
	X509_EXTENSION	*e;
	int		 ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	if ((e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value)) == NULL)
		return 0;
	ok = X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	return ok;
}

static int
add_extensions(X509 *x, const struct cert_opts *o, const struct cert_ca *ca)
{
	int	 is_ca = o->use == CERT_AUTHORITY;

	return add_text(x, x, NID_key_usage, is_ca ?
	    "critical,digitalSignature,keyEncipherment,keyCertSign" :
	    "critical,digitalSignature,keyEncipherment") &&
	    add_text(x, x, NID_ext_key_usage, o->use == CERT_CLIENT ?
	    "anyExtendedKeyUsage,clientAuth" :
	    "anyExtendedKeyUsage,serverAuth") &&
	    add_text(x, x, NID_basic_constraints, is_ca ?
	    "critical,CA:TRUE" : "critical,CA:FALSE") &&
	    add_text(x, x, NID_subject_key_identifier, "hash") &&
	    (ca == NULL || add_text(x, ca->certs[0],
	    NID_authority_key_identifier, "keyid")) &&
	    add_alternatives(x, o);
}

/* --- the certificate ----------------------------------------------------- */

static int
set_serial(X509 *x)
{
	BIGNUM		*n = BN_new();
	int		 ok;

	do
		ok = n != NULL && BN_rand(n, SERIAL_BITS, BN_RAND_TOP_ANY,
		    BN_RAND_BOTTOM_ANY);
	while (ok && BN_is_zero(n));
	ok = ok && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;
	BN_free(n);
	return ok;
}

static int
set_times(X509 *x, int64_t valid_s)
{
	time_t	 now = time(NULL);

	return X509_time_adj_ex(X509_getm_notBefore(x), 0, 0, &now) != NULL &&
	    X509_time_adj_ex(X509_getm_notAfter(x),
	    (int)(valid_s / SECONDS_A_DAY), (long)(valid_s % SECONDS_A_DAY),
	    &now) != NULL;
}

/* The digest that is as strong as the key that signs. */
static const EVP_MD *
digest_of(EVP_PKEY *key)
{
	if (EVP_PKEY_base_id(key) != EVP_PKEY_EC)
		return EVP_sha256();
	if (EVP_PKEY_bits(key) > 384)
		return EVP_sha512();
	return EVP_PKEY_bits(key) > 256 ? EVP_sha384() : EVP_sha256();
}

static int
append_all(X509 *x, EVP_PKEY *key, const struct cert_ca *ca,
    struct cert_pair *out, struct err_msg *m)
{
	size_t	 i;
	int	 r = cert_append_x509(&out->cert, x, m);

	for (i = 0; r == 0 && ca != NULL && i < ca->n; i++)
		r = cert_append_x509(&out->cert, ca->certs[i], m);
	return r == 0 ? cert_append_key(&out->key, key, m) : r;
}

int
cert_create(const struct cert_opts *o, const struct cert_ca *ca,
    struct cert_pair *out, struct err_msg *m)
{
	EVP_PKEY	*key = new_key(o->curve), *signer;
	X509		*x = X509_new();
	int		 r;

	bug_unless(o->valid_s > 0);
	if (x == NULL)
		fatal("out of memory (OpenSSL)");
	signer = ca == NULL ? key : ca->key;
	if (key == NULL)
		r = cert_ossl_error(m, "cannot make a private key");
	else if (X509_set_version(x, 2) != 1 || !set_serial(x) ||
	    !set_times(x, o->valid_s) || !set_names(x, o, ca) ||
	    X509_set_pubkey(x, key) != 1 || !add_extensions(x, o, ca))
		r = cert_ossl_error(m, "cannot make a certificate");
	else if (X509_sign(x, signer, digest_of(signer)) == 0)
		r = cert_ossl_error(m, "cannot sign the certificate");
	else
		r = append_all(x, key, ca, out, m);
	X509_free(x);
	EVP_PKEY_free(key);
	return r;
}
