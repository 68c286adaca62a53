/*
 * fuzz_url.c - URLs, endpoints, queries, Authorization headers, base64.  What
 * is accepted must survive being written and read again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "http/jwt.h"
#include "http/url.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_url(const char *s)
{
	struct url	 u, v;
	char		*text, *again, *e;

	if (url_parse(s, &u, NULL) == 0) {
		text = url_format(&u, true);
		bug_unless(url_parse(text, &v, NULL) == 0);
		again = url_format(&v, true);
		bug_unless(strcmp(text, again) == 0);
		bug_unless(u.port == v.port && u.tls == v.tls &&
		    strcmp(u.host, v.host) == 0);
		url_free(&u);
		url_free(&v);
		free(text);
		free(again);
	}
	if (url_from_endpoint(s, 8529, &text, NULL) == 0) {
		bug_unless(url_to_endpoint(text, &e, NULL) == 0);
		bug_unless(url_from_endpoint(e, 0, &again, NULL) == 0);
		bug_unless(strcmp(text, again) == 0);
		free(text);
		free(again);
		free(e);
	}
}

static void
try_query(const char *s, size_t n)
{
	struct url_query	 q, r;
	struct buf		 b = BUF_INIT;
	size_t			 i;

	if (url_query_parse(s, n, &q) != 0)
		return;
	for (i = 0; i < q.count; i++)
		url_query_append(&b, q.params[i].name, q.params[i].value);
	if (b.len > 0) {
		bug_unless(url_query_parse((char *)b.data + 1, b.len - 1,
		    &r) == 0);
		bug_unless(r.count == q.count);
		for (i = 0; i < q.count; i++)
			bug_unless(strcmp(q.params[i].name,
			    r.params[i].name) == 0 && strcmp(
			    q.params[i].value, r.params[i].value) == 0);
		url_query_free(&r);
	}
	buf_free(&b);
	url_query_free(&q);
}

static void
try_base64(const char *s, size_t n)
{
	uint8_t	*p;
	char	*again;
	size_t	 len;

	if (base64_decode(s, n, &p, &len) == 0) {
		again = base64_encode(p, len);
		bug_unless(strlen(again) == n && memcmp(again, s, n) == 0);
		free(again);
		free(p);
	}
	if (base64url_decode(s, n, &p, &len) == 0) {
		again = base64url_encode(p, len);
		bug_unless(strncmp(again, s, strlen(again)) == 0);
		free(again);
		free(p);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct auth_header	 a;
	char			*s = xmalloc(size + 1), *out;

	try_query((const char *)data, size);
	try_base64((const char *)data, size);
	if (url_decode((const char *)data, size, false, &out, NULL) == 0)
		free(out);
	memcpy(s, data, size);
	s[size] = '\0';
	try_url(s);
	if (auth_header_parse(s, &a) == 0)
		auth_header_free(&a);
	free(s);
	return 0;
}
