/* test_jwt.c - tests of http/jwt */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "http/jwt.h"
#include "http/ossl.h"
#include "http/url.h"
#include "unit.h"

#define NOW	1700000000.0

static struct jwt_secrets
one_secret(const char *s)
{
	struct jwt_secrets	 secrets = { .count = 0 };

	CU_ASSERT_EQUAL(jwt_secrets_add(&secrets, s, strlen(s), NULL), 0);
	return secrets;
}

/* A token of any header and body, signed with s. */
static char *
token_of(const char *s, const char *header, const char *body)
{
	char		*h = base64url_encode(header, strlen(header));
	char		*b = base64url_encode(body, strlen(body));
	char		*text = xasprintf("%s.%s", h, b), *sig, *token;
	uint8_t		 mac[32];
	unsigned	 n = sizeof(mac);

	HMAC(EVP_sha256(), s, (int)strlen(s), (uint8_t *)text, strlen(text),
	    mac, &n);
	sig = base64url_encode(mac, n);
	token = xasprintf("%s.%s", text, sig);
	free(h);
	free(b);
	free(text);
	free(sig);
	return token;
}

static int
verify(const char *header, const char *body, struct jwt_claims *c)
{
	struct jwt_secrets	 secrets = one_secret("geheim");
	char			*t = token_of("geheim", header, body);
	int			 r = jwt_verify(&secrets, t, strlen(t), NOW, c);

	free(t);
	return r;
}

#define HS256	"{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

/* The example of jwt.io, which others computed. */
static void
test_foreign_vector(void)
{
	static const char	 token[] =
	    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
	    "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2"
	    "MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";
	struct jwt_secrets	 good = one_secret("your-256-bit-secret");
	struct jwt_secrets	 bad = one_secret("your-256-bit-secreT");
	struct jwt_claims	 c;

	/* The signature is good, but arangod did not issue it. */
	CU_ASSERT_EQUAL(jwt_verify(&good, token, strlen(token), NOW, &c),
	    ERR_FORMAT);
	CU_ASSERT_EQUAL(jwt_verify(&bad, token, strlen(token), NOW, &c),
	    ERR_DENIED);
}

static void
test_own_tokens(void)
{
	struct jwt_secrets	 s = one_secret("geheim");
	struct jwt_claims	 c;
	char			*t;

	t = jwt_make_superuser(&s, "PRMR-1", (int64_t)NOW + 10);
	CU_ASSERT_EQUAL_FATAL(jwt_verify(&s, t, strlen(t), NOW, &c), 0);
	CU_ASSERT(c.superuser);
	CU_ASSERT_STRING_EQUAL(c.user, "");
	CU_ASSERT_EQUAL(c.exp, NOW + 10);
	jwt_claims_free(&c);
	CU_ASSERT_EQUAL(jwt_verify(&s, t, strlen(t), NOW + 10, &c),
	    ERR_TIMEOUT);
	free(t);
	t = jwt_make_user(&s, "root", 1, 0);
	CU_ASSERT_EQUAL_FATAL(jwt_verify(&s, t, strlen(t), NOW, &c), 0);
	CU_ASSERT_FALSE(c.superuser);
	CU_ASSERT_STRING_EQUAL(c.user, "root");
	CU_ASSERT_EQUAL(c.exp, 0);
	jwt_claims_free(&c);
	free(t);
}

static void
test_rules(void)
{
	static const struct {
		const char	*header, *body;
		int		 err;
	} t[] = {
		{ HS256, "{\"iss\":\"arangodb\",\"server_id\":\"x\"}", 0 },
		{ HS256, "{\"iss\":\"arangodb\",\"server_id\":null}", 0 },
		{ "{ \"typ\":\"JWT\", \"alg\":\"HS256\", \"x\":1 }",
		  "{\"iss\":\"arangodb\",\"server_id\":7}", 0 },
		{ HS256, "{\"iss\":\"arangodb\",\"preferred_username\":\"u\"}",
		  0 },
		{ HS256, "{\"iss\":\"arangodb\",\"server_id\":1,"
		  "\"exp\":1700000000.5}", 0 },
		{ HS256, "{\"iss\":\"arangodb\",\"server_id\":1,"
		  "\"iat\":1537789.55727901}", 0 },
		{ HS256, "{\"iss\":\"arangodb\",\"server_id\":1,"
		  "\"allowed_paths\":[\"/_api/version\"]}", 0 },
		{ "{\"alg\":\"HS512\",\"typ\":\"JWT\"}",
		  "{\"iss\":\"arangodb\",\"server_id\":1}", ERR_FORMAT },
		{ "{\"alg\":\"none\",\"typ\":\"JWT\"}",
		  "{\"iss\":\"arangodb\",\"server_id\":1}", ERR_FORMAT },
		{ "{\"alg\":\"HS256\"}",
		  "{\"iss\":\"arangodb\",\"server_id\":1}", ERR_FORMAT },
		{ "{\"alg\":\"HS256\",\"typ\":\"jwt\"}",
		  "{\"iss\":\"arangodb\",\"server_id\":1}", ERR_FORMAT },
		{ HS256, "{\"iss\":\"arangosync\",\"server_id\":1}",
		  ERR_FORMAT },
		{ HS256, "{\"server_id\":1}", ERR_FORMAT },
		{ HS256, "{\"iss\":\"arangodb\"}", ERR_FORMAT },
		{ HS256, "{\"iss\":\"arangodb\",\"preferred_username\":\"\"}",
		  ERR_FORMAT },
		{ HS256, "{\"iss\":\"arangodb\",\"preferred_username\":1,"
		  "\"server_id\":1}", ERR_FORMAT },
		{ HS256, "{\"iss\":\"arangodb\",\"preferred_username\":"
		  "\"root\\u0000x\"}", ERR_FORMAT },
		{ HS256, "{\"iss\":\"arangodb\",\"server_id\":1,"
		  "\"exp\":1699999999.5}", ERR_TIMEOUT },
		{ HS256, "{\"iss\":\"arangodb\",\"server_id\":1,\"exp\":0}",
		  ERR_TIMEOUT },
		{ HS256, "{\"iss\":\"arangodb\",\"server_id\":1,\"exp\":-1}",
		  ERR_TIMEOUT },
		{ HS256, "{\"iss\":\"arangodb\",\"server_id\":1,"
		  "\"exp\":\"1800000000\"}", ERR_FORMAT },
		{ HS256, "{\"iss\":\"arangodb\",\"server_id\":1,"
		  "\"allowed_paths\":[]}", ERR_FORMAT },
		{ HS256, "{\"iss\":\"arangodb\",\"server_id\":1,"
		  "\"allowed_paths\":[\"/a\",1]}", ERR_FORMAT },
		{ HS256, "{\"iss\":\"arangodb\",\"server_id\":1,"
		  "\"allowed_paths\":\"/a\"}", ERR_FORMAT },
		{ HS256, "[]", ERR_FORMAT },
		{ HS256, "", ERR_FORMAT },
		{ HS256, "{\"iss\":\"arangodb\",\"server_id\":1}x",
		  ERR_FORMAT },
		{ HS256, "{\"iss\":\"arangodb\",\"server_id\":1", ERR_FORMAT }
	};
	struct jwt_claims	 c;
	size_t			 i;
	int			 r;

	for (i = 0; i < NITEMS(t); i++) {
		r = verify(t[i].header, t[i].body, &c);
		if (r != t[i].err)
			printf("# row %zu: %d, not %d\n", i, r, t[i].err);
		CU_ASSERT_EQUAL(r, t[i].err);
		if (r == 0)
			jwt_claims_free(&c);
	}
}

static void
test_allowed_paths(void)
{
	struct jwt_claims	 c;

	CU_ASSERT_EQUAL_FATAL(verify(HS256, "{\"iss\":\"arangodb\","
	    "\"server_id\":1,\"allowed_paths\":[\"/a\",\"/b\"]}", &c), 0);
	CU_ASSERT(jwt_path_is_allowed(&c, "/a"));
	CU_ASSERT(jwt_path_is_allowed(&c, "/b"));
	CU_ASSERT_FALSE(jwt_path_is_allowed(&c, "/a/"));
	CU_ASSERT_FALSE(jwt_path_is_allowed(&c, "/"));
	jwt_claims_free(&c);
	CU_ASSERT_EQUAL_FATAL(verify(HS256, "{\"iss\":\"arangodb\","
	    "\"server_id\":1}", &c), 0);
	CU_ASSERT(jwt_path_is_allowed(&c, "/anything"));
	jwt_claims_free(&c);
}

/* For ArangoSync's endpoints time counts, and who made it does not. */
static void
test_any_issuer(void)
{
	static const struct {
		const char	*body;
		int		 err;
	} t[] = {
		{ "{}", 0 },
		{ "{\"iss\":7,\"server_id\":null}", 0 },
		{ "{\"nbf\":1700000000}", 0 },
		{ "{\"nbf\":1700000059}", 0 },
		{ "{\"nbf\":1700003600}", ERR_TIMEOUT },
		{ "{\"nbf\":\"soon\"}", ERR_FORMAT },
		{ "{\"exp\":1699999999}", ERR_TIMEOUT }
	};
	struct jwt_secrets	 s = one_secret("x");
	struct jwt_claims	 c;
	char			*token;
	size_t			 i;
	int			 r;

	for (i = 0; i < NITEMS(t); i++) {
		token = token_of("x", HS256, t[i].body);
		r = jwt_verify_any_issuer(&s, token, strlen(token), NOW, &c);
		CU_ASSERT_EQUAL(r, t[i].err);
		if (r == 0)
			jwt_claims_free(&c);
		free(token);
	}
}

static void
test_not_tokens(void)
{
	static const char *const t[] = {
		"", ".", "..", "...", "a.b", "a.b.c.d", "e30.e30.e30",
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9..",
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.!!"
	};
	struct jwt_secrets	 s = one_secret("x"), none = { .count = 0 };
	struct jwt_claims	 c;
	char			*big = xmalloc(JWT_TOKEN_MAX_BYTES + 1), *good;
	size_t			 i;

	for (i = 0; i < NITEMS(t); i++)
		CU_ASSERT(jwt_verify(&s, t[i], strlen(t[i]), NOW, &c) < 0);
	memset(big, 'a', JWT_TOKEN_MAX_BYTES + 1);
	CU_ASSERT(jwt_verify(&s, big, JWT_TOKEN_MAX_BYTES + 1, NOW, &c) < 0);
	free(big);
	good = jwt_make_superuser(&s, "x", 0);
	CU_ASSERT_EQUAL(jwt_verify(&none, good, strlen(good), NOW, &c),
	    ERR_DENIED);
	/* Without its last byte, which holds bits of the signature. */
	CU_ASSERT(jwt_verify(&s, good, strlen(good) - 1, NOW, &c) < 0);
	free(good);
}

static void
test_rotation(void)
{
	struct jwt_secrets	 old = one_secret("old"), both;
	struct jwt_claims	 c;
	char			*t;

	both = one_secret("new");
	CU_ASSERT_EQUAL(jwt_secrets_add(&both, "old", 3, NULL), 0);
	t = jwt_make_superuser(&old, "x", 0);
	CU_ASSERT_EQUAL_FATAL(jwt_verify(&both, t, strlen(t), NOW, &c), 0);
	jwt_claims_free(&c);
	free(t);
	t = jwt_make_superuser(&both, "x", 0);
	CU_ASSERT_EQUAL(jwt_verify(&old, t, strlen(t), NOW, &c), ERR_DENIED);
	free(t);
	jwt_secrets_clear(&both);
	CU_ASSERT_EQUAL(both.count, 0);
}

static void
test_cache(void)
{
	struct jwt_secrets	 s = one_secret("geheim");
	struct jwt_cache	*cache = jwt_cache_new(&s, 2);
	const struct jwt_claims	*c;
	char			*t[3];
	int			 i;

	for (i = 0; i < 3; i++)
		t[i] = jwt_make_superuser(&s, "x", (int64_t)NOW + 10 + i);
	for (i = 0; i < 6; i++) {
		CU_ASSERT_EQUAL_FATAL(jwt_cache_verify(cache, t[i % 3],
		    strlen(t[i % 3]), NOW, &c), 0);
		CU_ASSERT_EQUAL(c->exp, NOW + 10 + i % 3);
	}
	/* A hit, but it ends when it says. */
	CU_ASSERT_EQUAL(jwt_cache_verify(cache, t[2], strlen(t[2]), NOW + 11,
	    &c), 0);
	CU_ASSERT_EQUAL(jwt_cache_verify(cache, t[2], strlen(t[2]), NOW + 12,
	    &c), ERR_TIMEOUT);
	CU_ASSERT_EQUAL(jwt_cache_verify(cache, t[2], strlen(t[2]), NOW + 12,
	    &c), ERR_TIMEOUT);
	CU_ASSERT_EQUAL(jwt_cache_verify(cache, t[1], strlen(t[1]), NOW, &c),
	    0);
	s = one_secret("other");
	jwt_cache_set_secrets(cache, &s);
	CU_ASSERT_EQUAL(jwt_cache_verify(cache, t[1], strlen(t[1]), NOW, &c),
	    ERR_DENIED);
	for (i = 0; i < 3; i++)
		free(t[i]);
	jwt_cache_free(&cache);
}

static void
put_file(const char *dir, const char *name, const char *text)
{
	char	*path = xasprintf("%s/%s", dir, name);
	FILE	*f = fopen(path, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
	free(path);
}

static void
test_secret_files(void)
{
	char			 dir[] = "/tmp/test_jwt.XXXXXX";
	char			 sixty_five[66], *path;
	struct jwt_secrets	 s = { .count = 0 };
	struct err_msg		 m;
	static const char *const names[] = { "b", "a", "empty", "long" };
	size_t			 i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	memset(sixty_five, 'x', 65);
	sixty_five[65] = '\0';
	put_file(dir, "b", "two\n");
	put_file(dir, "a", " \t one secret \r\n");
	CU_ASSERT_EQUAL(jwt_secrets_add_dir(&s, dir, &m), 0);
	CU_ASSERT_EQUAL_FATAL(s.count, 2);
	CU_ASSERT_EQUAL(s.s[0].len, 10);
	CU_ASSERT_EQUAL(memcmp(s.s[0].bytes, "one secret", 10), 0);
	CU_ASSERT_EQUAL(memcmp(s.s[1].bytes, "two", 3), 0);
	put_file(dir, "empty", " \n");
	put_file(dir, "long", sixty_five);
	for (i = 2; i < 4; i++) {
		path = xasprintf("%s/%s", dir, names[i]);
		CU_ASSERT_EQUAL(jwt_secrets_add_file(&s, path, &m), ERR_RANGE);
		CU_ASSERT_PTR_NOT_NULL(strstr(m.text, path));
		free(path);
	}
	CU_ASSERT(jwt_secrets_add_file(&s, "/nonexistent/x", &m) < 0);
	CU_ASSERT_EQUAL(s.count, 2);
	for (i = 0; i < NITEMS(names); i++) {
		path = xasprintf("%s/%s", dir, names[i]);
		unlink(path);
		free(path);
	}
	CU_ASSERT_EQUAL(jwt_secrets_add_dir(&s, dir, &m), ERR_NOT_FOUND);
	rmdir(dir);
}

static void
test_authorization(void)
{
	static const struct {
		const char	*value;
		enum auth_scheme scheme;
		const char	*user, *password, *token;
		int		 err;
	} t[] = {
		{ NULL, AUTH_NONE, NULL, NULL, NULL, 0 },
		{ "", AUTH_NONE, NULL, NULL, NULL, 0 },
		{ "Digest x", AUTH_NONE, NULL, NULL, NULL, 0 },
		{ "bEARER abc.d.e ", AUTH_BEARER, NULL, NULL, "abc.d.e", 0 },
		{ "Bearer", AUTH_NONE, NULL, NULL, NULL, 0 },
		{ "basic cm9vdDpwOnE=", AUTH_BASIC, "root", "p:q", NULL, 0 },
		{ "Basic cm9vdDo=", AUTH_BASIC, "root", "", NULL, 0 },
		{ "Basic cm9vdA==", AUTH_NONE, NULL, NULL, NULL, ERR_FORMAT },
		{ "Basic ???", AUTH_NONE, NULL, NULL, NULL, ERR_FORMAT },
		{ "Basic cm8AdDpw", AUTH_NONE, NULL, NULL, NULL, ERR_FORMAT }
	};
	struct auth_header	 a;
	char			*v;
	size_t			 i;

	for (i = 0; i < NITEMS(t); i++) {
		CU_ASSERT_EQUAL(auth_header_parse(t[i].value, &a), t[i].err);
		CU_ASSERT_EQUAL(a.scheme, t[i].scheme);
		if (t[i].user != NULL) {
			CU_ASSERT_STRING_EQUAL(a.user, t[i].user);
			CU_ASSERT_STRING_EQUAL(a.password, t[i].password);
		}
		if (t[i].token != NULL) {
			CU_ASSERT_EQUAL(a.token_len, strlen(t[i].token));
			CU_ASSERT_EQUAL(memcmp(a.token, t[i].token,
			    a.token_len), 0);
		}
		auth_header_free(&a);
	}
	v = auth_basic_value("root", "p:q");
	CU_ASSERT_STRING_EQUAL(v, "Basic cm9vdDpwOnE=");
	free(v);
}

UNIT_MAIN("jwt",
    { "a token made elsewhere has the signature we compute",
      test_foreign_vector },
    { "our own tokens are good until they expire", test_own_tokens },
    { "arangod's rules hold, one by one", test_rules },
    { "allowed paths are exact", test_allowed_paths },
    { "of any issuer, but in time", test_any_issuer },
    { "what is no token is refused", test_not_tokens },
    { "passive secrets verify, only the active one signs", test_rotation },
    { "a cached token ends when it says", test_cache },
    { "secret files are trimmed, sorted and measured", test_secret_files },
    { "the Authorization header is read in any case", test_authorization })
