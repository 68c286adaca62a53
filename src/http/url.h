/*
 * url.h - URLs, percent encoding, query strings, endpoint spellings.
 *
 * Parsers take bytes of strangers: they refuse, they do not repair.
 */
#ifndef HTTP_URL_H
#define HTTP_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* http(s)://[user[:password]@]host[:port][/path][?query] */
struct url {
	bool		 tls;
	char		*user, *password;	/* decoded, NULL when absent */
	char		*host;		/* without brackets */
	uint16_t	 port;		/* the scheme's when absent: 80, 443 */
	char		*path;		/* as written, at least "/" */
	char		*query;		/* as written, NULL when absent */
};

/* 0, or ERR_FORMAT / ERR_RANGE with a sentence in m (may be NULL). */
int	url_parse(const char *s, struct url *u, struct err_msg *m);
/* Compose again; credentials only when with_user.  free() it. */
char	*url_format(const struct url *u, bool with_user);
void	url_free(struct url *u);

/*
 * Endpoints as ArangoDB writes them: tcp://h:p and ssl://h:p, http://,
 * https://, http+tcp://, http+ssl://; others are refused.  The result is
 * "http://h:p" or "https://h:p", IPv6 hosts in brackets; default_port is used
 * when the endpoint names none (0: refuse).
 */
int	url_from_endpoint(const char *endpoint, uint16_t default_port,
	    char **url, struct err_msg *m);
/* "http://h:p/..." -> "tcp://h:p", "https://h:p/..." -> "ssl://h:p". */
int	url_to_endpoint(const char *url, char **endpoint, struct err_msg *m);

/*
 * Percent encoding of everything outside RFC 3986 "unreserved".  Appended to
 * b; url_encode() gives a new string.
 */
void	url_encode_append(struct buf *b, const void *p, size_t n);
char	*url_encode(const char *s);
/*
 * Decode %XX (and '+' to a blank when plus).  ERR_FORMAT on a bad escape or a
 * %00.  The result is a new string of *n bytes (n may be NULL) with a NUL.
 */
int	url_decode(const char *s, size_t len, bool plus, char **out, size_t *n);

/* ---- query strings ------------------------------------------------------ */

struct url_param {
	char	*name, *value;
};

struct url_query {
	struct url_param	*params;	/* in the order of the query */
	size_t			 count;
};
#define URL_QUERY_INIT		{ NULL, 0 }
#define URL_QUERY_MAX_PARAMS	1024

/* "a=b&c" of len bytes, decoded.  ERR_FORMAT, ERR_TOO_BIG. */
int	url_query_parse(const char *s, size_t len, struct url_query *q);
/* Last value of that name, NULL when absent. */
const char *url_query_get(const struct url_query *q, const char *name);
const char *url_query_get_first(const struct url_query *q, const char *name);
void	url_query_free(struct url_query *q);
/* Append "name=value", encoded, after '?' for the first and '&' else. */
void	url_query_append(struct buf *b, const char *name, const char *value);

/* ---- base64 ------------------------------------------------------------- */

/* RFC 4648 with padding; URL alphabet without padding. New strings. */
char	*base64_encode(const void *p, size_t n);
char	*base64url_encode(const void *p, size_t n);
/*
 * Strict: no white space, no stray bits; padding needed for base64, optional
 * for base64url.  *out has a NUL behind *n bytes; free() it.  ERR_FORMAT.
 */
int	base64_decode(const char *s, size_t len, uint8_t **out, size_t *n);
int	base64url_decode(const char *s, size_t len, uint8_t **out, size_t *n);

#endif
