/* test_login.c - clients that show certificates of ours, and of ArangoSync's */
#include <stdlib.h>
#include <string.h>

#include "certs/certs_priv.h"
#include "http/tls.h"
#include "unit.h"

#define YEAR_S	(365 * 24 * 3600)

static const char *const	localhost[] = { "localhost", NULL };

static struct cert_ca *
new_authority(struct cert_pair *pair, enum cert_curve curve)
{
	struct cert_opts	 o = { .use = CERT_AUTHORITY, .curve = curve,
				    .valid_s = YEAR_S };
	struct cert_ca		*ca = NULL;
	struct err_msg		 m;

	CU_ASSERT_EQUAL_FATAL(cert_create(&o, NULL, pair, &m), 0);
	CU_ASSERT_EQUAL_FATAL(cert_ca_parse("ca", &pair->cert, "key",
	    &pair->key, &ca, &m), 0);
	return ca;
}

static void
new_keyfile(const struct cert_ca *ca, enum cert_use use,
    const char *const *hosts, struct buf *text)
{
	struct cert_opts	 o = { use, CERT_P256, YEAR_S, hosts, NULL };
	struct cert_pair	 pair = CERT_PAIR_INIT;
	struct err_msg		 m;

	CU_ASSERT_EQUAL_FATAL(cert_create(&o, ca, &pair, &m), 0);
	cert_keyfile_text(&pair, text);
	cert_pair_free(&pair);
}

/* Is the client let in?  Both sides in memory. */
static bool
is_let_in(struct tls_ctx *server, struct tls_ctx *client)
{
	SSL	*s = SSL_new(tls_ctx_ssl(server));
	SSL	*c = SSL_new(tls_ctx_ssl(client));
	BIO	*a, *b;
	int	 i, rs = 0, rc = 0;
	bool	 in;

	BIO_new_bio_pair(&a, 0, &b, 0);
	SSL_set_bio(s, a, a);
	SSL_set_bio(c, b, b);
	SSL_set_accept_state(s);
	SSL_set_connect_state(c);
	for (i = 0; i < 20 && !(rs == 1 && rc == 1); i++) {
		rc = SSL_do_handshake(c);
		rs = SSL_do_handshake(s);
	}
	in = rs == 1 && SSL_get0_peer_certificate(s) != NULL;
	SSL_free(s);
	SSL_free(c);
	ERR_clear_error();
	return in;
}

struct scene {
	struct cert_pair	 ca_pair, other_pair;
	struct cert_ca		*ca, *other;
	struct cert_ca		*tls;
	struct cert_pair	 tls_pair;
	struct tls_ctx		*server;
};

static void
scene_open(struct scene *s)
{
	struct tls_server_opts	 o = {
		.client_auth = TLS_CLIENT_CERT_OPTIONAL
	};
	struct buf		 keyfile = BUF_INIT;
	struct err_msg		 m;

	memset(s, 0, sizeof(*s));
	s->ca = new_authority(&s->ca_pair, CERT_P521);
	s->other = new_authority(&s->other_pair, CERT_P521);
	s->tls = new_authority(&s->tls_pair, CERT_P256);
	new_keyfile(s->tls, CERT_SERVER, localhost, &keyfile);
	o.pem = keyfile.data;
	o.pem_len = keyfile.len;
	o.ca_pem = s->ca_pair.cert.data;
	o.ca_pem_len = s->ca_pair.cert.len;
	CU_ASSERT_EQUAL_FATAL(tls_server_new(&o, &s->server, &m), 0);
	buf_free(&keyfile);
}

static void
scene_close(struct scene *s)
{
	tls_ctx_free(&s->server);
	cert_ca_free(&s->ca);
	cert_ca_free(&s->other);
	cert_ca_free(&s->tls);
	cert_pair_free(&s->ca_pair);
	cert_pair_free(&s->other_pair);
	cert_pair_free(&s->tls_pair);
}

static bool
lets_in(struct scene *s, const struct buf *keyfile)
{
	struct tls_client_opts	 o = {
		.ca_pem = s->tls_pair.cert.data,
		.ca_pem_len = s->tls_pair.cert.len,
		.cert_pem = keyfile->data, .cert_pem_len = keyfile->len
	};
	struct tls_ctx		*client = NULL;
	struct err_msg		 m;
	bool			 in;

	CU_ASSERT_EQUAL_FATAL(tls_client_new(&o, &client, &m), 0);
	in = is_let_in(s->server, client);
	tls_ctx_free(&client);
	return in;
}

static void
test_ours(void)
{
	struct scene	 s;
	struct buf	 a = BUF_INIT, b = BUF_INIT;

	scene_open(&s);
	new_keyfile(s.ca, CERT_CLIENT, localhost, &a);
	CU_ASSERT_TRUE(lets_in(&s, &a));
	new_keyfile(s.ca, CERT_CLIENT, NULL, &b);
	CU_ASSERT_TRUE(lets_in(&s, &b));
	buf_free(&a);
	buf_free(&b);
	scene_close(&s);
}

static void
test_others(void)
{
	struct scene	 s;
	struct buf	 a = BUF_INIT, b = BUF_INIT;

	scene_open(&s);
	new_keyfile(s.other, CERT_CLIENT, localhost, &a);
	CU_ASSERT_FALSE(lets_in(&s, &a));
	/* Of the same name as the right one. */
	new_keyfile(s.other, CERT_CLIENT, NULL, &b);
	CU_ASSERT_FALSE(lets_in(&s, &b));
	buf_free(&a);
	buf_free(&b);
	scene_close(&s);
}

/*
 * A certificate as ArangoSync makes it without hosts: name of its issuer, no
 * identifiers.  use: extended key usage; days from -> to.
 */
static void
make_original(const struct cert_ca *ca, const struct cert_ca *signer,
    const char *use, int from, int to, struct buf *text)
{
	struct cert_pair	 pair = CERT_PAIR_INIT;
	struct cert_opts	 o = { .use = CERT_CLIENT,
				    .curve = CERT_P521,
				    .valid_s = YEAR_S };
	struct cert_blocks	 b;
	struct buf		 all = BUF_INIT;
	struct err_msg		 m;
	X509_EXTENSION		*e;
	X509			*x;

	CU_ASSERT_EQUAL_FATAL(cert_create(&o, ca, &pair, &m), 0);
	cert_keyfile_text(&pair, &all);
	CU_ASSERT_EQUAL_FATAL(cert_blocks_parse("x", &all, &b, &m), 0);
	/* A copy: what was parsed remembers the bytes it came from. */
	x = X509_new();
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 77);
	X509_set_subject_name(x, X509_get_subject_name(b.certs[0]));
	X509_set_issuer_name(x, X509_get_issuer_name(b.certs[0]));
	X509_set_pubkey(x, b.key);
	X509_gmtime_adj(X509_getm_notBefore(x), 86400L * from);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400L * to);
	e = X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage,
	    "critical,digitalSignature,keyEncipherment");
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	e = X509V3_EXT_conf_nid(NULL, NULL, NID_ext_key_usage, use);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	CU_ASSERT_TRUE(X509_sign(x, signer == NULL ? b.key : signer->key,
	    EVP_sha512()) > 0);
	CU_ASSERT_EQUAL(cert_append_x509(text, x, &m), 0);
	CU_ASSERT_EQUAL(cert_append_x509(text, ca->certs[0], &m), 0);
	CU_ASSERT_EQUAL(cert_append_key(text, b.key, &m), 0);
	X509_free(x);
	cert_blocks_free(&b);
	buf_free(&all);
	cert_pair_free(&pair);
}

static void
test_original(void)
{
	struct scene	 s;
	struct buf	 t = BUF_INIT;

	scene_open(&s);
	make_original(s.ca, s.ca, "anyExtendedKeyUsage,clientAuth", -1, 1, &t);
	CU_ASSERT_TRUE(lets_in(&s, &t));
	buf_reset(&t);
	make_original(s.ca, s.ca, "clientAuth", -1, 1, &t);
	CU_ASSERT_TRUE(lets_in(&s, &t));
	buf_free(&t);
	scene_close(&s);
}

static void
test_original_refused(void)
{
	struct scene	 s;
	struct buf	 t = BUF_INIT;

	scene_open(&s);
	/* really signed by itself, or by somebody of the same name */
	make_original(s.ca, NULL, "clientAuth", -1, 1, &t);
	CU_ASSERT_FALSE(lets_in(&s, &t));
	buf_reset(&t);
	make_original(s.ca, s.other, "clientAuth", -1, 1, &t);
	CU_ASSERT_FALSE(lets_in(&s, &t));
	/* expired, not yet valid, for servers only */
	buf_reset(&t);
	make_original(s.ca, s.ca, "clientAuth", -3, -1, &t);
	CU_ASSERT_FALSE(lets_in(&s, &t));
	buf_reset(&t);
	make_original(s.ca, s.ca, "clientAuth", 1, 3, &t);
	CU_ASSERT_FALSE(lets_in(&s, &t));
	buf_reset(&t);
	make_original(s.ca, s.ca, "serverAuth", -1, 1, &t);
	CU_ASSERT_FALSE(lets_in(&s, &t));
	buf_free(&t);
	scene_close(&s);
}

UNIT_MAIN("login",
    { "a client certificate is let in, with and without a host", test_ours },
    { "one of another authority of the same name is not", test_others },
    { "one that ArangoSync made without a host is let in", test_original },
    { "a forged, expired, future or wrong one of that kind is not",
      test_original_refused })
