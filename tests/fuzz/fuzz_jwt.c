/*
 * fuzz_jwt.c - tokens as strangers send them, and what stands in tokens whose
 * signature is good: the input is taken as a whole token, and, split at its
 * first line feed, as header and body of one that we sign.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "http/jwt.h"
#include "http/ossl.h"
#include "http/url.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_token(const struct jwt_secrets *secrets, const char *token, size_t n)
{
	struct jwt_claims	 c;

	if (jwt_verify(secrets, token, n, 1700000000, &c) != 0)
		return;
	bug_unless(c.superuser == (c.user[0] == '\0'));
	bug_unless(c.exp == 0 || c.exp > 1700000000);
	jwt_path_is_allowed(&c, "/_api/version");
	jwt_claims_free(&c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct jwt_secrets	 secrets = { .count = 0 };
	const uint8_t		*nl = memchr(data, '\n', size);
	char			*h, *b, *text, *sig, *token;
	uint8_t			 mac[32];
	unsigned		 n = sizeof(mac);

	jwt_secrets_add(&secrets, "secret", 6, NULL);
	try_token(&secrets, (const char *)data, size);
	if (nl == NULL)
		return 0;
	h = base64url_encode(data, (size_t)(nl - data));
	b = base64url_encode(nl + 1, size - (size_t)(nl + 1 - data));
	text = xasprintf("%s.%s", h, b);
	HMAC(EVP_sha256(), "secret", 6, (uint8_t *)text, strlen(text), mac,
	    &n);
	sig = base64url_encode(mac, n);
	token = xasprintf("%s.%s", text, sig);
	try_token(&secrets, token, strlen(token));
	free(h);
	free(b);
	free(text);
	free(sig);
	free(token);
	return 0;
}
