/*
 * jwt.h - JWTs as arangod makes and accepts them (HS256), secrets, and the
 * Authorization header.
 */
#ifndef HTTP_JWT_H
#define HTTP_JWT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define JWT_SECRET_MAX_BYTES	64
#define JWT_MAX_SECRETS		32
#define JWT_TOKEN_MAX_BYTES	((size_t)16 * 1024)
#define JWT_NBF_LEEWAY_S	60

/* The first secret is active (signs and verifies), others only verify. */
struct jwt_secrets {
	struct {
		uint8_t	bytes[JWT_SECRET_MAX_BYTES];
		size_t	len;
	}	s[JWT_MAX_SECRETS];
	size_t	count;
};

/*
 * Read a secret: the content of the file without white space at both ends, 1
 * to 64 bytes.  Appended to secrets.  0, -errno, ERR_RANGE, with a sentence.
 */
int	jwt_secrets_add_file(struct jwt_secrets *secrets, const char *path,
	    struct err_msg *m);
/* All regular files of a directory, in the order of their names. */
int	jwt_secrets_add_dir(struct jwt_secrets *secrets, const char *path,
	    struct err_msg *m);
int	jwt_secrets_add(struct jwt_secrets *secrets, const void *p, size_t n,
	    struct err_msg *m);
/* Overwrite with zeros. */
void	jwt_secrets_clear(struct jwt_secrets *secrets);

/*
 * Tokens, signed with the active secret; free() them.  exp is in seconds since
 * 1970, 0: the token never expires.
 */
char	*jwt_make_superuser(const struct jwt_secrets *secrets,
	    const char *server_id, int64_t exp);
char	*jwt_make_user(const struct jwt_secrets *secrets, const char *user,
	    int64_t iat, int64_t exp);

/* What a good token says. */
struct jwt_claims {
	char	 *user;		/* preferred_username; "" for a superuser */
	bool	  superuser;	/* no preferred_username, but a server_id */
	double	  exp;		/* 0: never expires */
	char	**allowed_paths;	/* NULL: all */
	size_t	  n_allowed_paths;
};

/*
 * The rules of arangod [arangod/Auth/TokenCache.cpp]: header alg "HS256" and
 * typ "JWT"; signature under any of the secrets; iss "arangodb";
 * preferred_username a non-empty string, or a server_id of any value; exp, if present, a number
 * that is neither 0 nor past; allowed_paths, if present, a non-empty array of
 * strings.  0, ERR_FORMAT (not a token, or fields that break a rule),
 * ERR_DENIED (signature), ERR_TIMEOUT (expired).  now: seconds since 1970.
 */
int	jwt_verify(const struct jwt_secrets *secrets, const char *token,
	    size_t len, double now, struct jwt_claims *claims);
/*
 * The same for ArangoSync's own endpoints: signature, exp, nbf (ERR_TIMEOUT,
 * too; a minute early is forgiven) and allowed_paths are checked; iss, server_id and preferred_username may be anything or absent
 * [product reference 3.2: callers send different ones].
 */
int	jwt_verify_any_issuer(const struct jwt_secrets *secrets,
	    const char *token, size_t len, double now,
	    struct jwt_claims *claims);
bool	jwt_path_is_allowed(const struct jwt_claims *claims, const char *path);
void	jwt_claims_free(struct jwt_claims *claims);

/*
 * Verified tokens by their full text.  exp is compared at each use, so a
 * cached token ends when it says.  Empty it when the secrets change.
 */
struct jwt_cache;
struct jwt_cache *jwt_cache_new(const struct jwt_secrets *secrets,
	    size_t max_entries);
/* *claims belongs to the cache and is valid until its next call. */
int	jwt_cache_verify(struct jwt_cache *cache, const char *token, size_t len,
	    double now, const struct jwt_claims **claims);
/* Other secrets: copied; all entries are dropped. */
void	jwt_cache_set_secrets(struct jwt_cache *cache,
	    const struct jwt_secrets *secrets);
void	jwt_cache_free(struct jwt_cache **cache);

/* ---- the Authorization header ------------------------------------------- */

enum auth_scheme {
	AUTH_NONE,		/* no header, or a scheme we do not know */
	AUTH_BASIC,
	AUTH_BEARER
};

struct auth_header {
	enum auth_scheme scheme;
	char	*user, *password;	/* AUTH_BASIC, decoded */
	const char *token;		/* AUTH_BEARER: points into the value */
	size_t	 token_len;
};

/*
 * Parse the value of an Authorization header (NULL: AUTH_NONE); the scheme in
 * any case.  0, or ERR_FORMAT for Basic credentials that are not base64 of
 * "user:password" (scheme is AUTH_NONE then).
 */
int	auth_header_parse(const char *value, struct auth_header *a);
void	auth_header_free(struct auth_header *a);
/* "Basic ..." value; free() it. */
char	*auth_basic_value(const char *user, const char *password);

/* Compare without telling by the time taken where they differ. */
bool	auth_secret_equal(const void *a, size_t na, const void *b, size_t nb);

#endif
