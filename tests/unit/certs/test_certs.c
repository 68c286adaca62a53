/* test_certs.c - what was made is what the tables say, and verifies */
#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fsx.h"
#include "certs/certs_priv.h"
#include "unit.h"

#define DAY_S	(24 * 3600)

static char	dir[64];

static char *
in_dir(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static void
make_dir(void)
{
	snprintf(dir, sizeof(dir), "/tmp/certs-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
}

static void
make(enum cert_use use, enum cert_curve curve, const struct cert_ca *ca,
    const char *const *hosts, const char *const *emails,
    struct cert_pair *pair)
{
	struct cert_opts	 o = { use, curve, 10 * DAY_S, hosts, emails };
	struct err_msg		 m;

	CU_ASSERT_EQUAL_FATAL(cert_create(&o, ca, pair, &m), 0);
}

static struct cert_ca *
authority(enum cert_curve curve, struct cert_pair *pair)
{
	struct cert_ca	*ca = NULL;
	struct err_msg	 m;

	make(CERT_AUTHORITY, curve, NULL, NULL, NULL, pair);
	CU_ASSERT_EQUAL_FATAL(cert_ca_parse("c", &pair->cert, "k", &pair->key,
	    &ca, &m), 0);
	return ca;
}

static X509 *
first(const struct buf *text, size_t *n)
{
	struct cert_blocks	 b;
	struct err_msg		 m;
	X509			*x;

	CU_ASSERT_EQUAL_FATAL(cert_blocks_parse("x", text, &b, &m), 0);
	CU_ASSERT_FATAL(b.n > 0);
	x = b.certs[0];
	X509_up_ref(x);
	if (n != NULL)
		*n = b.n;
	cert_blocks_free(&b);
	return x;
}

static int
verify(X509 *x, X509 *ca)
{
	X509_STORE	*store = X509_STORE_new();
	X509_STORE_CTX	*ctx = X509_STORE_CTX_new();
	int		 r;

	X509_STORE_add_cert(store, ca);
	X509_STORE_CTX_init(ctx, store, x, NULL);
	r = X509_verify_cert(ctx) == 1 ? 0 : X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
	return r;
}

static void
check_name(const X509_NAME *name, const char *expect)
{
	BIO	*bio = BIO_new(BIO_s_mem());
	char	*p;
	long	 n;

	X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~XN_FLAG_DN_REV);
	n = BIO_get_mem_data(bio, &p);
	CU_ASSERT_EQUAL((size_t)n, strlen(expect));
	CU_ASSERT_EQUAL(strncmp(p, expect, (size_t)n), 0);
	BIO_free(bio);
}

/* Extended key usage as the numbers of OpenSSL, in order. */
static void
check_use(X509 *x, int a, int b)
{
	EXTENDED_KEY_USAGE	*use;
	int			 critical;

	use = X509_get_ext_d2i(x, NID_ext_key_usage, &critical, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(use);
	CU_ASSERT_EQUAL(critical, 0);
	CU_ASSERT_EQUAL(sk_ASN1_OBJECT_num(use), 2);
	CU_ASSERT_EQUAL(OBJ_obj2nid(sk_ASN1_OBJECT_value(use, 0)), a);
	CU_ASSERT_EQUAL(OBJ_obj2nid(sk_ASN1_OBJECT_value(use, 1)), b);
	sk_ASN1_OBJECT_pop_free(use, ASN1_OBJECT_free);
}

static long
seconds_valid(X509 *x)
{
	int	 days, s;

	ASN1_TIME_diff(&days, &s, X509_get0_notBefore(x),
	    X509_get0_notAfter(x));
	return (long)days * DAY_S + s;
}

static void
test_authority(void)
{
	static const int	 bits[] = { 224, 256, 384, 521 };
	static const int	 hash[] = { NID_sha256, NID_sha256, NID_sha384,
					NID_sha512 };
	struct cert_pair	 pair;
	struct cert_ca		*ca;
	X509			*x;
	int			 i, md;

	for (i = 0; i < CERT_CURVE_COUNT; i++) {
		pair = (struct cert_pair)CERT_PAIR_INIT;
		ca = authority((enum cert_curve)i, &pair);
		x = ca->certs[0];
		CU_ASSERT_EQUAL(ca->n, 1);
		CU_ASSERT_EQUAL(EVP_PKEY_bits(ca->key), bits[i]);
		CU_ASSERT_TRUE(OBJ_find_sigid_algs(X509_get_signature_nid(x),
		    &md, NULL));
		CU_ASSERT_EQUAL(md, hash[i]);
		check_name(X509_get_subject_name(x), "O=ArangoDB,CN=ArangoDB");
		check_name(X509_get_issuer_name(x), "O=ArangoDB,CN=ArangoDB");
		CU_ASSERT_EQUAL(X509_check_ca(x), 1);
		CU_ASSERT_EQUAL(X509_get_key_usage(x), KU_DIGITAL_SIGNATURE |
		    KU_KEY_ENCIPHERMENT | KU_KEY_CERT_SIGN);
		check_use(x, NID_anyExtendedKeyUsage, NID_server_auth);
		CU_ASSERT_EQUAL(seconds_valid(x), 10 * DAY_S);
		CU_ASSERT_TRUE(X509_cmp_current_time(
		    X509_get0_notBefore(x)) <= 0);
		CU_ASSERT_EQUAL(verify(x, x), 0);
		CU_ASSERT_EQUAL(strncmp((char *)pair.key.data,
		    "-----BEGIN EC PRIVATE KEY-----\n", 31), 0);
		cert_ca_free(&ca);
		cert_pair_free(&pair);
	}
}

static void
check_alternatives(X509 *x)
{
	GENERAL_NAMES	*names;
	GENERAL_NAME	*g;
	static const int types[] = { GEN_DNS, GEN_DNS, GEN_EMAIL, GEN_IPADD,
			    GEN_IPADD };
	static const char *const values[] = { "host.example", "*.x",
			    "a@b.example", "\x7f\0\0\1",
			    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1" };
	static const int lengths[] = { 12, 3, 11, 4, 16 };
	int		 i;

	names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	CU_ASSERT_EQUAL_FATAL(sk_GENERAL_NAME_num(names), 5);
	for (i = 0; i < 5; i++) {
		g = sk_GENERAL_NAME_value(names, i);
		CU_ASSERT_EQUAL(g->type, types[i]);
		CU_ASSERT_EQUAL(ASN1_STRING_length(g->d.ia5), lengths[i]);
		CU_ASSERT_EQUAL(memcmp(ASN1_STRING_get0_data(g->d.ia5),
		    values[i], (size_t)lengths[i]), 0);
	}
	GENERAL_NAMES_free(names);
}

static void
test_server(void)
{
	static const char *const	 hosts[] = {
		"host.example", "127.0.0.1", "::1", "*.x", NULL
	};
	static const char *const	 emails[] = { "a@b.example", NULL };
	struct cert_pair	 top = CERT_PAIR_INIT, pair = CERT_PAIR_INIT;
	struct cert_ca		*ca = authority(CERT_P256, &top);
	X509			*x;
	size_t			 n;

	make(CERT_SERVER, CERT_P384, ca, hosts, emails, &pair);
	x = first(&pair.cert, &n);
	CU_ASSERT_EQUAL(n, 2);		/* leaf, then the authority */
	check_name(X509_get_subject_name(x), "O=ArangoDB,CN=a@b.example");
	check_name(X509_get_issuer_name(x), "O=ArangoDB,CN=ArangoDB");
	CU_ASSERT_EQUAL(X509_get_key_usage(x),
	    KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT);
	CU_ASSERT_EQUAL(X509_check_ca(x), 0);
	check_use(x, NID_anyExtendedKeyUsage, NID_server_auth);
	check_alternatives(x);
	CU_ASSERT_EQUAL(X509_check_host(x, "host.example", 0, 0, NULL), 1);
	CU_ASSERT_EQUAL(X509_check_ip_asc(x, "::1", 0), 1);
	CU_ASSERT_EQUAL(verify(x, ca->certs[0]), 0);
	X509_free(x);
	cert_ca_free(&ca);
	cert_pair_free(&pair);
	cert_pair_free(&top);
}

static void
test_long_host(void)
{
	static const char *const	 hosts[] = {
		"a-deployment-with-a-long-name-syncmaster-abcdefgh."
		"a-deployment-with-a-long-name-int.namespace.svc", NULL
	};
	struct cert_pair	 top = CERT_PAIR_INIT, pair = CERT_PAIR_INIT;
	struct cert_ca		*ca = authority(CERT_P256, &top);
	char			*name = xasprintf("O=ArangoDB,CN=%s", hosts[0]);
	X509			*x;

	make(CERT_SERVER, CERT_P256, ca, hosts, NULL, &pair);
	x = first(&pair.cert, NULL);
	check_name(X509_get_subject_name(x), name);
	CU_ASSERT_EQUAL(verify(x, ca->certs[0]), 0);
	X509_free(x);
	free(name);
	cert_ca_free(&ca);
	cert_pair_free(&pair);
	cert_pair_free(&top);
}

static void
test_client(void)
{
	struct cert_pair	 top = CERT_PAIR_INIT, pair = CERT_PAIR_INIT;
	struct cert_ca		*ca = authority(CERT_P521, &top);
	X509			*x;

	make(CERT_CLIENT, CERT_P521, ca, NULL, NULL, &pair);
	x = first(&pair.cert, NULL);
	check_name(X509_get_subject_name(x), "O=ArangoDB,CN=ArangoDB");
	check_use(x, NID_anyExtendedKeyUsage, NID_client_auth);
	CU_ASSERT_EQUAL(X509_get_ext_by_NID(x, NID_subject_alt_name, -1), -1);
	/* Its name is its issuer's, and yet it has not signed itself. */
	CU_ASSERT_EQUAL(X509_self_signed(x, 0), 0);
	CU_ASSERT_EQUAL(verify(x, ca->certs[0]), 0);
	X509_free(x);
	cert_ca_free(&ca);
	cert_pair_free(&pair);
	cert_pair_free(&top);
}

static void
test_serials(void)
{
	struct cert_pair	 p;
	BIGNUM			*n, *last = BN_new();
	int			 i, wide = 0;
	X509			*x;

	for (i = 0; i < 16; i++) {
		p = (struct cert_pair)CERT_PAIR_INIT;
		make(CERT_AUTHORITY, CERT_P256, NULL, NULL, NULL, &p);
		x = first(&p.cert, NULL);
		n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
		CU_ASSERT_FALSE(BN_is_negative(n) || BN_is_zero(n));
		CU_ASSERT_TRUE(BN_num_bits(n) <= 128);
		wide += BN_num_bits(n) > 120;
		CU_ASSERT_NOT_EQUAL(BN_cmp(n, last), 0);
		BN_copy(last, n);
		BN_free(n);
		X509_free(x);
		cert_pair_free(&p);
	}
	CU_ASSERT_TRUE(wide > 8);
	BN_free(last);
}

/* --- authorities that are none ------------------------------------------- */

static int
parse_ca(const struct buf *cert, const struct buf *key, char *text)
{
	struct cert_ca	*ca = NULL;
	struct err_msg	 m = { "" };
	int		 r = cert_ca_parse("C", cert, "K", key, &ca, &m);

	cert_ca_free(&ca);
	strcpy(text, m.text);
	return r;
}

static void
test_bad_authority(void)
{
	struct cert_pair	 a = CERT_PAIR_INIT, b = CERT_PAIR_INIT;
	struct cert_pair	 leaf = CERT_PAIR_INIT;
	struct buf		 none = BUF_INIT, junk = BUF_INIT;
	struct cert_ca		*ca = authority(CERT_P256, &a);
	char			 t[512];

	make(CERT_AUTHORITY, CERT_P256, NULL, NULL, NULL, &b);
	make(CERT_SERVER, CERT_P256, ca, NULL, NULL, &leaf);
	CU_ASSERT_EQUAL(parse_ca(&none, &a.key, t), ERR_FORMAT);
	CU_ASSERT_STRING_EQUAL(t, "No certificates found in C");
	CU_ASSERT_EQUAL(parse_ca(&a.cert, &a.cert, t), ERR_FORMAT);
	CU_ASSERT_STRING_EQUAL(t, "No private key found in K");
	CU_ASSERT_EQUAL(parse_ca(&a.cert, &b.key, t), ERR_TLS);
	CU_ASSERT_STRING_EQUAL(t,
	    "the private key in K does not belong to the certificate in C");
	CU_ASSERT_EQUAL(parse_ca(&leaf.cert, &leaf.key, t), ERR_TLS);
	CU_ASSERT_STRING_EQUAL(t,
	    "the certificate in C is not one of an authority");
	buf_append_str(&junk, "-----BEGIN CERTIFICATE-----\nAAAA\n"
	    "-----END CERTIFICATE-----\n");
	CU_ASSERT_EQUAL(parse_ca(&junk, &a.key, t), ERR_FORMAT);
	CU_ASSERT_STRING_EQUAL(t, "C holds a damaged certificate");
	buf_reset(&junk);
	buf_append_str(&junk, "-----BEGIN EC PRIVATE KEY-----\n"
	    "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n"
	    "-----END EC PRIVATE KEY-----\n");
	CU_ASSERT_EQUAL(parse_ca(&a.cert, &junk, t), ERR_FORMAT);
	CU_ASSERT_STRING_EQUAL(t, "the private key in K is encrypted");
	buf_free(&junk);
	cert_ca_free(&ca);
	cert_pair_free(&a);
	cert_pair_free(&b);
	cert_pair_free(&leaf);
}

/* --- keyfiles ------------------------------------------------------------ */

static void
to_pkcs8(const struct buf *key, struct buf *out)
{
	BIO		*in = BIO_new_mem_buf(key->data, (int)key->len);
	BIO		*bio = BIO_new(BIO_s_mem());
	EVP_PKEY	*k = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
	char		*p;
	long		 n;

	PEM_write_bio_PKCS8PrivateKey(bio, k, NULL, NULL, 0, NULL, NULL);
	n = BIO_get_mem_data(bio, &p);
	buf_append(out, p, (size_t)n);
	EVP_PKEY_free(k);
	BIO_free(in);
	BIO_free(bio);
}

static void
test_keyfile(void)
{
	struct cert_pair	 top = CERT_PAIR_INIT, p = CERT_PAIR_INIT;
	struct cert_pair	 back = CERT_PAIR_INIT, again = CERT_PAIR_INIT;
	struct cert_ca		*ca = authority(CERT_P256, &top);
	struct buf		 text = BUF_INIT, turned = BUF_INIT;
	struct err_msg		 m;

	make(CERT_SERVER, CERT_P256, ca, NULL, NULL, &p);
	cert_keyfile_text(&p, &text);
	CU_ASSERT_NOT_EQUAL(text.data[text.len - 1], '\n');
	CU_ASSERT_EQUAL(cert_keyfile_parse("f", &text, &back, &m), 0);
	CU_ASSERT_EQUAL(back.cert.len, p.cert.len);
	CU_ASSERT_EQUAL(memcmp(back.cert.data, p.cert.data, p.cert.len), 0);
	CU_ASSERT_EQUAL(back.key.len, p.key.len);
	CU_ASSERT_EQUAL(memcmp(back.key.data, p.key.data, p.key.len), 0);
	/* The key first, as PKCS#8, with text around it. */
	buf_append_str(&turned, "a remark\n");
	to_pkcs8(&p.key, &turned);
	buf_append_str(&turned, "another\n");
	buf_append(&turned, p.cert.data, p.cert.len);
	CU_ASSERT_EQUAL(cert_keyfile_parse("f", &turned, &again, &m), 0);
	CU_ASSERT_EQUAL(again.key.len, p.key.len);
	CU_ASSERT_EQUAL(memcmp(again.key.data, p.key.data, p.key.len), 0);
	buf_free(&text);
	buf_free(&turned);
	cert_pair_free(&back);
	cert_pair_free(&again);
	cert_pair_free(&p);
	cert_pair_free(&top);
	cert_ca_free(&ca);
}

static void
test_bad_keyfile(void)
{
	struct cert_pair	 a = CERT_PAIR_INIT, b = CERT_PAIR_INIT;
	struct cert_pair	 out = CERT_PAIR_INIT, mixed = CERT_PAIR_INIT;
	struct buf		 text = BUF_INIT;
	struct err_msg		 m;

	make(CERT_AUTHORITY, CERT_P256, NULL, NULL, NULL, &a);
	make(CERT_AUTHORITY, CERT_P256, NULL, NULL, NULL, &b);
	CU_ASSERT_EQUAL(cert_keyfile_parse("f", &a.key, &out, &m), ERR_FORMAT);
	CU_ASSERT_STRING_EQUAL(m.text, "No certificates found in keyfile f");
	CU_ASSERT_EQUAL(cert_keyfile_parse("f", &a.cert, &out, &m),
	    ERR_FORMAT);
	CU_ASSERT_STRING_EQUAL(m.text, "No private key found in keyfile f");
	mixed.cert = a.cert;
	mixed.key = b.key;
	cert_keyfile_text(&mixed, &text);
	CU_ASSERT_EQUAL(cert_keyfile_parse("f", &text, &out, &m), ERR_TLS);
	buf_free(&text);
	cert_pair_free(&out);
	cert_pair_free(&a);
	cert_pair_free(&b);
}

/* --- files --------------------------------------------------------------- */

static mode_t
mode_of(const char *path)
{
	struct stat	 st;

	return stat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

static int
is_same(const char *path, const struct buf *text)
{
	struct buf	 b = BUF_INIT;
	int		 same;

	same = fsx_read_file(path, CERT_FILE_MAX_BYTES, &b) == 0 &&
	    b.len == text->len && memcmp(b.data, text->data, b.len) == 0;
	buf_free(&b);
	return same;
}

static void
test_write(void)
{
	struct cert_pair	 p = CERT_PAIR_INIT, q = CERT_PAIR_INIT;
	struct err_msg		 m;
	char			*cert, *key, *link;

	make_dir();
	umask(022);
	make(CERT_AUTHORITY, CERT_P256, NULL, NULL, NULL, &p);
	make(CERT_AUTHORITY, CERT_P256, NULL, NULL, NULL, &q);
	cert = in_dir("a/b/c.crt");
	key = in_dir("d/e.key");
	link = in_dir("link");
	CU_ASSERT_EQUAL(cert_write_pair(&p, cert, key, &m), 0);
	CU_ASSERT_EQUAL(mode_of(cert), 0644);
	CU_ASSERT_EQUAL(mode_of(key), 0600);
	CU_ASSERT_TRUE(is_same(cert, &p.cert) && is_same(key, &p.key));
	/* Files that are there are replaced, and so is their mode. */
	chmod(key, 0644);
	CU_ASSERT_EQUAL(cert_write_pair(&q, cert, key, &m), 0);
	CU_ASSERT_EQUAL(mode_of(key), 0600);
	CU_ASSERT_TRUE(is_same(cert, &q.cert) && is_same(key, &q.key));
	/* Through a link the file behind it is. */
	CU_ASSERT_EQUAL(symlink(key, link), 0);
	CU_ASSERT_EQUAL(cert_write_file(link, &p.key, 0600, &m), 0);
	CU_ASSERT_TRUE(is_same(key, &p.key));
	CU_ASSERT_EQUAL(cert_write_file(dir, &p.key, 0600, &m), -EINVAL);
	CU_ASSERT_EQUAL(cert_write_file("/dev/null", &p.key, 0600, &m),
	    -EINVAL);
	fsx_remove_tree(dir);
	free(cert);
	free(key);
	free(link);
	cert_pair_free(&p);
	cert_pair_free(&q);
}

static void
test_write_fails(void)
{
	struct cert_pair	 p = CERT_PAIR_INIT, q = CERT_PAIR_INIT;
	struct err_msg		 m;
	char			*cert, *key, *blocked;

	make_dir();
	make(CERT_AUTHORITY, CERT_P256, NULL, NULL, NULL, &p);
	make(CERT_AUTHORITY, CERT_P256, NULL, NULL, NULL, &q);
	cert = in_dir("c.crt");
	key = in_dir("e.key");
	blocked = in_dir("e.key/c.crt");	/* below a file */
	CU_ASSERT_EQUAL(cert_write_pair(&p, cert, key, &m), 0);
	CU_ASSERT_NOT_EQUAL(cert_write_pair(&q, blocked, key, &m), 0);
	CU_ASSERT_TRUE(is_same(key, &p.key));
	CU_ASSERT_EQUAL(mode_of(key), 0600);
	/* Where there was no key, none is left. */
	CU_ASSERT_EQUAL(unlink(key), 0);
	CU_ASSERT_NOT_EQUAL(cert_write_pair(&q, dir, key, &m), 0);
	CU_ASSERT_NOT_EQUAL(access(key, F_OK), 0);
	fsx_remove_tree(dir);
	free(cert);
	free(key);
	free(blocked);
	cert_pair_free(&p);
	cert_pair_free(&q);
}

static void
test_full_disk(void)
{
	struct cert_pair	 p = CERT_PAIR_INIT;
	struct rlimit		 old, lim;
	struct err_msg		 m;
	char			*cert, *key;
	int			 r;

	make_dir();
	make(CERT_AUTHORITY, CERT_P256, NULL, NULL, NULL, &p);
	cert = in_dir("c.crt");
	key = in_dir("e.key");
	getrlimit(RLIMIT_FSIZE, &old);
	lim = old;
	lim.rlim_cur = p.key.len + 10;	/* the certificate is longer */
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &lim);
	r = cert_write_pair(&p, cert, key, &m);
	setrlimit(RLIMIT_FSIZE, &old);
	CU_ASSERT_EQUAL(r, -EFBIG);
	CU_ASSERT_NOT_EQUAL(access(key, F_OK), 0);
	CU_ASSERT_NOT_EQUAL(access(cert, F_OK), 0);
	fsx_remove_tree(dir);
	free(cert);
	free(key);
	cert_pair_free(&p);
}

static void
test_secret(void)
{
	struct buf	 a = BUF_INIT, b = BUF_INIT;

	cert_secret_text(32, &a);
	cert_secret_text(32, &b);
	CU_ASSERT_EQUAL(a.len, 64);
	CU_ASSERT_EQUAL(strspn(buf_cstr(&a), "0123456789abcdef"), 64);
	CU_ASSERT_NOT_EQUAL(memcmp(a.data, b.data, 64), 0);
	buf_free(&a);
	buf_free(&b);
}

UNIT_MAIN("certs",
    { "an authority is what the table says, with each curve",
      test_authority },
    { "a server certificate has its names and its chain", test_server },
    { "a host of more than 64 characters can be the name", test_long_host },
    { "a client certificate without a host verifies", test_client },
    { "serial numbers have 128 random bits", test_serials },
    { "what is no authority is refused by name", test_bad_authority },
    { "a keyfile is read back, in any order and form", test_keyfile },
    { "a keyfile that lacks something is refused", test_bad_keyfile },
    { "files are written whole, with their modes", test_write },
    { "a certificate that cannot be written leaves the key as it was",
      test_write_fails },
    { "a full disk leaves no half of a pair", test_full_disk },
    { "a secret is random hex without a newline", test_secret })
