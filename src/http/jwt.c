/* jwt.c - HS256 tokens as arangod makes and accepts them */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/buf.h"
#include "base/err.h"
#include "http/jwt.h"
#include "http/ossl.h"
#include "http/url.h"

#define JWT_JSON_DEPTH		32
#define HS256_BYTES		32

/* base64url of {"alg":"HS256","typ":"JWT"} */
static const char	hs256_header[] = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

static void	sign(const void *secret, size_t nsecret, const void *p,
		    size_t n, uint8_t mac[HS256_BYTES]);
static int	parse_part(const char *s, size_t n, struct json_object **out);
static int	check_header(const char *s, size_t n);
static int	check_signature(const struct jwt_secrets *secrets,
		    const char *token, size_t nsigned, const char *sig,
		    size_t nsig);
static int	read_claims(struct json_object *o, double now, bool any_issuer,
		    struct jwt_claims *c);

bool
auth_secret_equal(const void *a, size_t na, const void *b, size_t nb)
{
	return na == nb && CRYPTO_memcmp(a, b, na) == 0;
}

/* ---- making ------------------------------------------------------------- */

static void
sign(const void *secret, size_t nsecret, const void *p, size_t n,
    uint8_t mac[HS256_BYTES])
{
	unsigned	 len = HS256_BYTES;

	if (HMAC(EVP_sha256(), secret, (int)nsecret, p, n, mac, &len) == NULL)
		fatal("OpenSSL: HMAC failed");
}

/* Takes over body. */
static char *
make(const struct jwt_secrets *secrets, struct json_object *body)
{
	const char	*text;
	char		*part;
	uint8_t		 mac[HS256_BYTES];
	struct buf	 b = BUF_INIT;
	size_t		 n;

	bug_unless(secrets->count > 0);
	text = json_object_to_json_string_ext(body, JSON_C_TO_STRING_PLAIN |
	    JSON_C_TO_STRING_NOSLASHESCAPE);
	part = base64url_encode(text, strlen(text));
	json_object_put(body);
	buf_printf(&b, "%s.%s", hs256_header, part);
	free(part);
	sign(secrets->s[0].bytes, secrets->s[0].len, b.data, b.len, mac);
	part = base64url_encode(mac, sizeof(mac));
	buf_printf(&b, ".%s", part);
	free(part);
	buf_cstr(&b);
	return (char *)buf_steal(&b, &n);
}

char *
jwt_make_superuser(const struct jwt_secrets *secrets, const char *server_id,
    int64_t exp)
{
	struct json_object	*o = json_object_new_object();

	json_object_object_add(o, "iss", json_object_new_string("arangodb"));
	json_object_object_add(o, "server_id",
	    json_object_new_string(server_id));
	if (exp != 0)
		json_object_object_add(o, "exp", json_object_new_int64(exp));
	return make(secrets, o);
}

char *
jwt_make_user(const struct jwt_secrets *secrets, const char *user, int64_t iat,
    int64_t exp)
{
	struct json_object	*o = json_object_new_object();

	json_object_object_add(o, "iss", json_object_new_string("arangodb"));
	json_object_object_add(o, "preferred_username",
	    json_object_new_string(user));
	json_object_object_add(o, "iat", json_object_new_int64(iat));
	if (exp != 0)
		json_object_object_add(o, "exp", json_object_new_int64(exp));
	return make(secrets, o);
}

/* ---- verifying ---------------------------------------------------------- */

/* One base64url part that is a JSON object; *out is the caller's. */
static int
parse_part(const char *s, size_t n, struct json_object **out)
{
	struct json_tokener	*t;
	struct json_object	*o;
	uint8_t			*text;
	size_t			 len;
	int			 r = ERR_FORMAT;

	if (base64url_decode(s, n, &text, &len) != 0)
		return ERR_FORMAT;
	t = json_tokener_new_ex(JWT_JSON_DEPTH);
	if (t == NULL)
		fatal("out of memory (JSON)");
	json_tokener_set_flags(t, JSON_TOKENER_STRICT |
	    JSON_TOKENER_VALIDATE_UTF8);
	/* The NUL behind the text ends numbers and shows garbage. */
	o = json_tokener_parse_ex(t, (char *)text, (int)len + 1);
	if (json_tokener_get_error(t) == json_tokener_success &&
	    json_tokener_get_parse_end(t) == len &&
	    json_object_is_type(o, json_type_object)) {
		*out = o;
		r = 0;
	} else
		json_object_put(o);
	json_tokener_free(t);
	OPENSSL_cleanse(text, len);
	free(text);
	return r;
}

/* The string of a key, NULL when it is absent or no string. */
static const char *
get_string(struct json_object *o, const char *key, size_t *len)
{
	struct json_object	*v;

	if (!json_object_object_get_ex(o, key, &v) ||
	    !json_object_is_type(v, json_type_string))
		return NULL;
	if (len != NULL)
		*len = (size_t)json_object_get_string_len(v);
	return json_object_get_string(v);
}

static bool
string_is(struct json_object *o, const char *key, const char *want)
{
	size_t		 n;
	const char	*s = get_string(o, key, &n);

	return s != NULL && n == strlen(want) && memcmp(s, want, n) == 0;
}

static int
check_header(const char *s, size_t n)
{
	struct json_object	*o;
	int			 r;

	if (n == sizeof(hs256_header) - 1 && memcmp(s, hs256_header, n) == 0)
		return 0;
	if ((r = parse_part(s, n, &o)) != 0)
		return r;
	if (!string_is(o, "alg", "HS256") || !string_is(o, "typ", "JWT"))
		r = ERR_FORMAT;
	json_object_put(o);
	return r;
}

static int
check_signature(const struct jwt_secrets *secrets, const char *token,
    size_t nsigned, const char *sig, size_t nsig)
{
	uint8_t	 mac[HS256_BYTES], *have;
	size_t	 i, n;
	bool	 good = false;

	if (base64url_decode(sig, nsig, &have, &n) != 0)
		return ERR_FORMAT;
	/* All secrets are tried, so that the time tells nothing of which. */
	for (i = 0; i < secrets->count; i++) {
		sign(secrets->s[i].bytes, secrets->s[i].len, token, nsigned,
		    mac);
		good |= auth_secret_equal(mac, sizeof(mac), have, n);
	}
	free(have);
	OPENSSL_cleanse(mac, sizeof(mac));
	return good ? 0 : ERR_DENIED;
}

static int
read_paths(struct json_object *a, struct jwt_claims *c)
{
	struct json_object	*v;
	size_t			 i, n;

	if (!json_object_is_type(a, json_type_array) ||
	    (n = json_object_array_length(a)) == 0)
		return ERR_FORMAT;
	c->allowed_paths = xcalloc(n, sizeof(char *));
	for (i = 0; i < n; i++) {
		v = json_object_array_get_idx(a, i);
		if (!json_object_is_type(v, json_type_string))
			return ERR_FORMAT;
		c->allowed_paths[i] = xstrdup(json_object_get_string(v));
		c->n_allowed_paths++;
	}
	return 0;
}

static int
read_exp(struct json_object *v, double now, struct jwt_claims *c)
{
	if (!json_object_is_type(v, json_type_int) &&
	    !json_object_is_type(v, json_type_double))
		return ERR_FORMAT;
	c->exp = json_object_get_double(v);
	if (!isfinite(c->exp))
		return ERR_FORMAT;
	return c->exp <= now || c->exp <= 0 ? ERR_TIMEOUT : 0;
}

/* Not good yet?  Clocks of its makers may be ahead of ours. */
static int
read_nbf(struct json_object *v, double now)
{
	if (!json_object_is_type(v, json_type_int) &&
	    !json_object_is_type(v, json_type_double))
		return ERR_FORMAT;
	return json_object_get_double(v) > now + JWT_NBF_LEEWAY_S ?
	    ERR_TIMEOUT : 0;
}

/* Who the token speaks for; see jwt_verify(). */
static int
read_subject(struct json_object *o, struct jwt_claims *c)
{
	struct json_object	*v;
	const char		*user;
	size_t			 n;

	if (!string_is(o, "iss", "arangodb"))
		return ERR_FORMAT;
	if (json_object_object_get_ex(o, "preferred_username", &v)) {
		user = get_string(o, "preferred_username", &n);
		/* A NUL inside would cut the name into another user's. */
		if (user == NULL || n == 0 || strlen(user) != n)
			return ERR_FORMAT;
		c->user = xstrdup(user);
	} else if (json_object_object_get_ex(o, "server_id", NULL)) {
		c->user = xstrdup("");
		c->superuser = true;
	} else
		return ERR_FORMAT;
	return 0;
}

static int
read_claims(struct json_object *o, double now, bool any_issuer,
    struct jwt_claims *c)
{
	struct json_object	*v;
	int			 r;

	if (any_issuer)
		c->user = xstrdup("");
	else if ((r = read_subject(o, c)) != 0)
		return r;
	if (any_issuer && json_object_object_get_ex(o, "nbf", &v) &&
	    (r = read_nbf(v, now)) != 0)
		return r;
	if (json_object_object_get_ex(o, "allowed_paths", &v) &&
	    (r = read_paths(v, c)) != 0)
		return r;
	if (json_object_object_get_ex(o, "exp", &v))
		return read_exp(v, now, c);
	return 0;
}

static int
verify(const struct jwt_secrets *secrets, const char *token, size_t len,
    double now, bool any_issuer, struct jwt_claims *claims)
{
	struct jwt_claims	 c = { 0 };
	struct json_object	*o;
	const char		*dot1, *dot2;
	int			 r;

	if (len > JWT_TOKEN_MAX_BYTES)
		return ERR_FORMAT;
	dot1 = memchr(token, '.', len);
	if (dot1 == NULL)
		return ERR_FORMAT;
	dot2 = memchr(dot1 + 1, '.', len - (size_t)(dot1 + 1 - token));
	if (dot2 == NULL || memchr(dot2 + 1, '.',
	    len - (size_t)(dot2 + 1 - token)) != NULL)
		return ERR_FORMAT;
	if ((r = check_header(token, (size_t)(dot1 - token))) != 0)
		return r;
	r = check_signature(secrets, token, (size_t)(dot2 - token), dot2 + 1,
	    len - (size_t)(dot2 + 1 - token));
	if (r != 0)
		return r;
	/* Only now, so that strangers cannot reach the JSON parser twice. */
	if ((r = parse_part(dot1 + 1, (size_t)(dot2 - dot1 - 1), &o)) != 0)
		return r;
	r = read_claims(o, now, any_issuer, &c);
	json_object_put(o);
	if (r != 0) {
		jwt_claims_free(&c);
		return r;
	}
	*claims = c;
	return 0;
}

int
jwt_verify(const struct jwt_secrets *secrets, const char *token, size_t len,
    double now, struct jwt_claims *claims)
{
	return verify(secrets, token, len, now, false, claims);
}

int
jwt_verify_any_issuer(const struct jwt_secrets *secrets, const char *token,
    size_t len, double now, struct jwt_claims *claims)
{
	return verify(secrets, token, len, now, true, claims);
}

bool
jwt_path_is_allowed(const struct jwt_claims *c, const char *path)
{
	size_t	 i;

	if (c->allowed_paths == NULL)
		return true;
	for (i = 0; i < c->n_allowed_paths; i++)
		if (strcmp(c->allowed_paths[i], path) == 0)
			return true;
	return false;
}

void
jwt_claims_free(struct jwt_claims *c)
{
	size_t	 i;

	for (i = 0; i < c->n_allowed_paths; i++)
		free(c->allowed_paths[i]);
	free(c->allowed_paths);
	free(c->user);
	memset(c, 0, sizeof(*c));
}
