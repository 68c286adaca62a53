/*
 * certs.h - certificate authorities, server and client certificates, keyfiles,
 * JWT secrets: what the `create` commands make.
 *
 * Certificates are those of the original tool: subject O=ArangoDB and a CN,
 * ECDSA keys, SEC1 in PEM, anyExtendedKeyUsage first.  One thing differs: every
 * certificate names its key and its issuer's (subject and authority key
 * identifier).  Without them a client certificate that has no host, whose
 * subject is then its issuer's as well, looks self-signed to OpenSSL.
 *
 * Functions that fail return a negative number and fill a struct err_msg with
 * one sentence.
 */
#ifndef CERTS_CERTS_H
#define CERTS_CERTS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

enum cert_curve {
	CERT_P224,
	CERT_P256,
	CERT_P384,
	CERT_P521,
	CERT_CURVE_COUNT
};
/* "P224" and so on, in this order, then NULL. */
extern const char *const	cert_curve_names[CERT_CURVE_COUNT + 1];

enum cert_use {
	CERT_AUTHORITY,		/* for both kinds of certificates */
	CERT_SERVER,
	CERT_CLIENT
};

#define CERT_FILE_MAX_BYTES	((size_t)1024 * 1024)
#define CERT_HOST_MAX_BYTES	255

struct cert_opts {
	enum cert_use	 use;
	enum cert_curve	 curve;
	int64_t		 valid_s;	/* from now on; > 0 */
	/* Alternative names, each ended by NULL (or NULL: none); hosts are
	 * names or addresses.  CN is the first e-mail, else the first host, else
	 * ArangoDB. */
	const char *const *hosts;
	const char *const *emails;
};

/* Text: certificate and those of its authority, leaf first; private key. */
struct cert_pair {
	struct buf	 cert;
	struct buf	 key;
};
#define CERT_PAIR_INIT	{ BUF_INIT, BUF_INIT }

/* The key's bytes are overwritten. */
void	cert_pair_free(struct cert_pair *p);

struct cert_ca;
/*
 * An authority from its PEM files.  `what` names the files in sentences.
 * Refused: no certificate, no key or an encrypted one, a key that is not the
 * certificate's, a certificate that is not an authority's or has expired.
 */
int	cert_ca_load(const char *cert_path, const char *key_path,
	    struct cert_ca **ca, struct err_msg *m);
int	cert_ca_parse(const char *cert_what, const struct buf *cert,
	    const char *key_what, const struct buf *key,
	    struct cert_ca **ca, struct err_msg *m);
void	cert_ca_free(struct cert_ca **ca);

/*
 * A new key and its certificate, signed by ca, or by itself when ca is NULL.
 * *out is appended to nothing: it must be CERT_PAIR_INIT.  0 or ERR_TLS.
 */
int	cert_create(const struct cert_opts *o, const struct cert_ca *ca,
	    struct cert_pair *out, struct err_msg *m);

/* --- keyfiles ------------------------------------------------------------ */

/* Certificates, a newline, the key; no newline at the end.  Appended. */
void	cert_keyfile_text(const struct cert_pair *p, struct buf *out);
/*
 * Certificates and key of a keyfile, in one form: blocks may come in any order
 * and the key as PKCS#1, PKCS#8 or SEC1.  ERR_FORMAT ("No certificates found
 * in keyfile ...").  The first certificate must be the key's: ERR_TLS.
 */
int	cert_keyfile_parse(const char *what, const struct buf *text,
	    struct cert_pair *out, struct err_msg *m);
/* All certificates of a PEM file, in one form; ERR_FORMAT without any. */
int	cert_authorities_parse(const char *what, const struct buf *text,
	    struct buf *out, struct err_msg *m);

/* --- files --------------------------------------------------------------- */

/* Append a file of at most CERT_FILE_MAX_BYTES to b. */
int	cert_read_file(const char *path, struct buf *b, struct err_msg *m);
/*
 * Write a file whole, in the place of one that is there, with the directories
 * above it (0755).  Where path leads to something that is not a file (a
 * device, a directory): -EINVAL.
 */
int	cert_write_file(const char *path, const struct buf *text, mode_t mode,
	    struct err_msg *m);
/*
 * Certificate (0644) and key (0600).  When the second cannot be written the
 * first is as it was before: never a new key beside an old certificate.
 */
int	cert_write_pair(const struct cert_pair *p, const char *cert_path,
	    const char *key_path, struct err_msg *m);

/* --- JWT secrets --------------------------------------------------------- */

/*
 * In bytes; twice as many characters, of which arangod takes 64 at most.
 * Shorter ones can be guessed.
 */
#define CERT_SECRET_MIN_BYTES	16
#define CERT_SECRET_MAX_BYTES	32

/* n random bytes in lower-case hex, without a newline.  Appended. */
void	cert_secret_text(size_t n, struct buf *out);

#endif
