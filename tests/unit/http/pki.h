/* pki.h - keys and certificates made for a test. */
#ifndef TESTS_HTTP_PKI_H
#define TESTS_HTTP_PKI_H

#include "base/buf.h"

struct pki;

/* A self-signed authority. */
struct pki *pki_authority(const char *name);
/* A certificate for name and 127.0.0.1, signed by ca. */
struct pki *pki_issue(struct pki *ca, const char *name);
void	pki_free(struct pki **p);
/* PEM appended to b: certificate, or private key. */
void	pki_cert(const struct pki *p, struct buf *b);
void	pki_key(const struct pki *p, struct buf *b);

#endif
