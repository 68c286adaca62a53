/* auth.c - JWT secrets, the cache of tokens, the Authorization header */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/err.h"
#include "http/jwt.h"
#include "http/ossl.h"
#include "http/url.h"

/* White space around a secret must not make a file of 64 bytes too long. */
#define SECRET_FILE_MAX_BYTES	4096
#define CACHE_BUCKETS		4096

/* ---- secrets ------------------------------------------------------------ */

int
jwt_secrets_add(struct jwt_secrets *secrets, const void *p, size_t n,
    struct err_msg *m)
{
	if (n == 0)
		return err_set(m, ERR_RANGE, "JWT secret is empty");
	if (n > JWT_SECRET_MAX_BYTES)
		return err_set(m, ERR_RANGE, "JWT secret has more than %d "
		    "bytes", JWT_SECRET_MAX_BYTES);
	if (secrets->count == JWT_MAX_SECRETS)
		return err_set(m, ERR_RANGE, "more than %d JWT secrets",
		    JWT_MAX_SECRETS);
	memcpy(secrets->s[secrets->count].bytes, p, n);
	secrets->s[secrets->count].len = n;
	secrets->count++;
	return 0;
}

int
jwt_secrets_add_file(struct jwt_secrets *secrets, const char *path,
    struct err_msg *m)
{
	char		 b[SECRET_FILE_MAX_BYTES];
	struct err_msg	 why;
	size_t		 len = 0, from = 0;
	ssize_t		 n;
	int		 r = 0, fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1)
		return err_set(m, -errno, "cannot open JWT secret %.300s: %s",
		    path, strerror(errno));
	while ((n = read(fd, b + len, sizeof(b) - len)) > 0)
		len += (size_t)n;
	if (n == -1)
		r = err_set(m, -errno, "cannot read JWT secret %.300s: %s",
		    path, strerror(errno));
	close(fd);
	if (r != 0)
		return r;
	if (len == sizeof(b))
		r = err_set(m, ERR_RANGE, "JWT secret %.300s: file is too "
		    "long", path);
	while (len > 0 && isspace((uint8_t)b[len - 1]))
		len--;
	while (from < len && isspace((uint8_t)b[from]))
		from++;
	if (r == 0 &&
	    (r = jwt_secrets_add(secrets, b + from, len - from, &why)) != 0)
		err_set(m, r, "%.300s: %.180s", path, why.text);
	OPENSSL_cleanse(b, sizeof(b));
	return r;
}

static int
not_hidden(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* By bytes, as arangod sorts them; not by locale as alphasort() does. */
static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int
jwt_secrets_add_dir(struct jwt_secrets *secrets, const char *path,
    struct err_msg *m)
{
	struct dirent	**names;
	struct stat	  st;
	char		 *file;
	size_t		  before = secrets->count;
	int		  i, n, r = 0;

	if ((n = scandir(path, &names, not_hidden, by_name)) == -1)
		return err_set(m, -errno, "cannot read directory %.300s: %s",
		    path, strerror(errno));
	for (i = 0; i < n; i++) {
		file = xasprintf("%s/%s", path, names[i]->d_name);
		if (r == 0 && stat(file, &st) == 0 && S_ISREG(st.st_mode))
			r = jwt_secrets_add_file(secrets, file, m);
		free(file);
		free(names[i]);
	}
	free(names);
	if (r == 0 && secrets->count == before)
		r = err_set(m, ERR_NOT_FOUND, "directory %.300s holds no JWT "
		    "secret", path);
	return r;
}

void
jwt_secrets_clear(struct jwt_secrets *secrets)
{
	OPENSSL_cleanse(secrets, sizeof(*secrets));
}

/* ---- cache -------------------------------------------------------------- */

struct entry {
	struct entry		*chain;			/* same bucket */
	struct entry		*newer, *older;		/* by last use */
	uint64_t		 hash;
	char			*token;
	size_t			 len;
	struct jwt_claims	 claims;
};

struct jwt_cache {
	struct jwt_secrets	 secrets;
	struct entry		*buckets[CACHE_BUCKETS];
	struct entry		*newest, *oldest;
	size_t			 count, max;
};

struct jwt_cache *
jwt_cache_new(const struct jwt_secrets *secrets, size_t max_entries)
{
	struct jwt_cache	*c = xcalloc(1, sizeof(*c));

	c->secrets = *secrets;
	c->max = MAX(max_entries, 1);
	return c;
}

static void
list_remove(struct jwt_cache *c, struct entry *e)
{
	*(e->newer == NULL ? &c->newest : &e->newer->older) = e->older;
	*(e->older == NULL ? &c->oldest : &e->older->newer) = e->newer;
}

static void
list_add(struct jwt_cache *c, struct entry *e)
{
	e->newer = NULL;
	e->older = c->newest;
	*(c->newest == NULL ? &c->oldest : &c->newest->newer) = e;
	c->newest = e;
}

static void
entry_remove(struct jwt_cache *c, struct entry *e)
{
	struct entry	**p = &c->buckets[e->hash % CACHE_BUCKETS];

	while (*p != e)
		p = &(*p)->chain;
	*p = e->chain;
	list_remove(c, e);
	c->count--;
	OPENSSL_cleanse(e->token, e->len);
	free(e->token);
	jwt_claims_free(&e->claims);
	free(e);
}

static struct entry *
entry_find(struct jwt_cache *c, uint64_t hash, const char *token, size_t len)
{
	struct entry	*e;

	for (e = c->buckets[hash % CACHE_BUCKETS]; e != NULL; e = e->chain)
		if (e->hash == hash &&
		    auth_secret_equal(e->token, e->len, token, len))
			return e;
	return NULL;
}

int
jwt_cache_verify(struct jwt_cache *c, const char *token, size_t len,
    double now, const struct jwt_claims **claims)
{
	struct jwt_claims	 fresh;
	struct entry		*e;
	uint64_t		 hash = XXH64(token, len, 0);
	int			 r;

	if ((e = entry_find(c, hash, token, len)) != NULL) {
		if (e->claims.exp != 0 && e->claims.exp <= now) {
			entry_remove(c, e);
			return ERR_TIMEOUT;
		}
		if (c->newest != e) {
			list_remove(c, e);
			list_add(c, e);
		}
		*claims = &e->claims;
		return 0;
	}
	if ((r = jwt_verify(&c->secrets, token, len, now, &fresh)) != 0)
		return r;
	if (c->count == c->max)
		entry_remove(c, c->oldest);
	e = xcalloc(1, sizeof(*e));
	e->hash = hash;
	e->token = xmalloc(len + 1);
	memcpy(e->token, token, len);
	e->len = len;
	e->claims = fresh;
	e->chain = c->buckets[hash % CACHE_BUCKETS];
	c->buckets[hash % CACHE_BUCKETS] = e;
	list_add(c, e);
	c->count++;
	*claims = &e->claims;
	return 0;
}

void
jwt_cache_set_secrets(struct jwt_cache *c, const struct jwt_secrets *secrets)
{
	while (c->oldest != NULL)
		entry_remove(c, c->oldest);
	c->secrets = *secrets;
}

void
jwt_cache_free(struct jwt_cache **cache)
{
	struct jwt_cache	*c = *cache;

	*cache = NULL;
	if (c == NULL)
		return;
	while (c->oldest != NULL)
		entry_remove(c, c->oldest);
	jwt_secrets_clear(&c->secrets);
	free(c);
}

/* ---- the Authorization header ------------------------------------------- */

static int
parse_basic(const char *s, size_t n, struct auth_header *a)
{
	uint8_t	*text, *colon;
	size_t	 len;

	if (base64_decode(s, n, &text, &len) != 0)
		return ERR_FORMAT;
	colon = memchr(text, ':', len);
	if (colon == NULL || memchr(text, '\0', len) != NULL) {
		OPENSSL_cleanse(text, len);
		free(text);
		return ERR_FORMAT;
	}
	a->scheme = AUTH_BASIC;
	a->user = xstrndup((char *)text, (size_t)(colon - text));
	a->password = xstrdup((char *)colon + 1);
	OPENSSL_cleanse(text, len);
	free(text);
	return 0;
}

int
auth_header_parse(const char *value, struct auth_header *a)
{
	const char	*s;
	size_t		 nscheme, n;

	memset(a, 0, sizeof(*a));
	if (value == NULL)
		return 0;
	value += strspn(value, " \t");
	nscheme = strcspn(value, " \t");
	s = value + nscheme;
	s += strspn(s, " \t");
	n = strlen(s);
	while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		n--;
	if (nscheme == 5 && strncasecmp(value, "Basic", 5) == 0)
		return parse_basic(s, n, a);
	if (nscheme == 6 && strncasecmp(value, "Bearer", 6) == 0 && n > 0) {
		a->scheme = AUTH_BEARER;
		a->token = s;
		a->token_len = n;
	}
	return 0;
}

void
auth_header_free(struct auth_header *a)
{
	if (a->password != NULL)
		OPENSSL_cleanse(a->password, strlen(a->password));
	free(a->user);
	free(a->password);
	memset(a, 0, sizeof(*a));
}

char *
auth_basic_value(const char *user, const char *password)
{
	char	*plain = xasprintf("%s:%s", user, password);
	char	*b64 = base64_encode(plain, strlen(plain));
	char	*value = xasprintf("Basic %s", b64);

	OPENSSL_cleanse(plain, strlen(plain));
	free(plain);
	free(b64);
	return value;
}
