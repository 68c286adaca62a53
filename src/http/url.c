/* url.c - URLs, percent encoding, query strings, endpoint spellings */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "http/url.h"

static int	hex_value(int c);
static int	parse_port(const char *s, size_t n, uint16_t *port);
static int	parse_user(const char *s, size_t n, struct url *u);
static int	parse_host(const char *s, size_t n, struct url *u,
		    bool *has_port, struct err_msg *m);

static const struct {
	const char	*scheme;
	bool		 tls;
} schemes[] = {
	{ "tcp", false },
	{ "http", false },
	{ "http+tcp", false },
	{ "ssl", true },
	{ "https", true },
	{ "http+ssl", true }
};

/* ---- percent encoding --------------------------------------------------- */

static int
hex_value(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool
is_unreserved(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	    c == '~';
}

void
url_encode_append(struct buf *b, const void *p, size_t n)
{
	static const char	 hex[] = "0123456789ABCDEF";
	const uint8_t		*s = p;
	size_t			 i;

	for (i = 0; i < n; i++) {
		if (is_unreserved(s[i])) {
			buf_append_u8(b, s[i]);
			continue;
		}
		buf_append_u8(b, '%');
		buf_append_u8(b, (uint8_t)hex[s[i] >> 4]);
		buf_append_u8(b, (uint8_t)hex[s[i] & 15]);
	}
}

char *
url_encode(const char *s)
{
	struct buf	 b = BUF_INIT;
	size_t		 n;

	url_encode_append(&b, s, strlen(s));
	buf_cstr(&b);
	return (char *)buf_steal(&b, &n);
}

int
url_decode(const char *s, size_t len, bool plus, char **out, size_t *n)
{
	char	*p = xmalloc(len + 1);
	size_t	 i, o = 0;
	int	 hi, lo;

	for (i = 0; i < len; i++) {
		if (s[i] == '%') {
			if (len - i < 3 ||
			    (hi = hex_value((uint8_t)s[i + 1])) < 0 ||
			    (lo = hex_value((uint8_t)s[i + 2])) < 0 ||
			    hi * 16 + lo == 0)
				goto bad;
			p[o++] = (char)(hi * 16 + lo);
			i += 2;
		} else if (s[i] == '+' && plus)
			p[o++] = ' ';
		else if (s[i] == '\0')
			goto bad;
		else
			p[o++] = s[i];
	}
	p[o] = '\0';
	*out = p;
	if (n != NULL)
		*n = o;
	return 0;
bad:
	free(p);
	return ERR_FORMAT;
}

/* ---- URLs --------------------------------------------------------------- */

static int
parse_port(const char *s, size_t n, uint16_t *port)
{
	unsigned	 v = 0;
	size_t		 i;

	if (n == 0 || n > 5)
		return ERR_FORMAT;
	for (i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return ERR_FORMAT;
		v = v * 10 + (unsigned)(s[i] - '0');
	}
	if (v == 0 || v > 65535)
		return ERR_RANGE;
	*port = (uint16_t)v;
	return 0;
}

static int
parse_user(const char *s, size_t n, struct url *u)
{
	const char	*colon = memchr(s, ':', n);
	size_t		 nuser = colon == NULL ? n : (size_t)(colon - s);
	int		 r;

	if ((r = url_decode(s, nuser, false, &u->user, NULL)) != 0)
		return r;
	if (colon != NULL)
		return url_decode(colon + 1, n - nuser - 1, false,
		    &u->password, NULL);
	return 0;
}

/* "host", "host:port", "[v6]", "[v6]:port". */
static int
parse_host(const char *s, size_t n, struct url *u, bool *has_port,
    struct err_msg *m)
{
	const char	*end, *p;
	size_t		 i, nhost;
	int		 r;

	if (n > 0 && s[0] == '[') {
		if ((end = memchr(s, ']', n)) == NULL || end == s + 1)
			return err_set(m, ERR_FORMAT,
			    "IPv6 address without closing bracket");
		for (p = s + 1; p < end; p++)
			if (hex_value((uint8_t)*p) < 0 && *p != ':' &&
			    *p != '.')
				return err_set(m, ERR_FORMAT,
				    "bad IPv6 address in brackets");
		u->host = xstrndup(s + 1, (size_t)(end - s - 1));
		p = end + 1;
	} else {
		end = memchr(s, ':', n);
		nhost = end == NULL ? n : (size_t)(end - s);
		if (nhost == 0 || nhost > 255)
			return err_set(m, ERR_FORMAT, "no host name");
		for (i = 0; i < nhost; i++)
			if (!is_unreserved((uint8_t)s[i]))
				return err_set(m, ERR_FORMAT,
				    "bad character in the host name");
		u->host = xstrndup(s, nhost);
		p = s + nhost;
	}
	*has_port = false;
	if (p == s + n)
		return 0;
	if (*p != ':')
		return err_set(m, ERR_FORMAT, "garbage behind the address");
	p++;
	r = parse_port(p, (size_t)(s + n - p), &u->port);
	if (r != 0)
		return err_set(m, r, "bad port number");
	*has_port = true;
	return 0;
}

/* What may stand in path and query: no blanks, no control characters. */
static bool
is_clean(const char *s)
{
	for (; *s != '\0'; s++)
		if ((uint8_t)*s <= 0x20 || *s == 0x7f)
			return false;
	return true;
}

int
url_parse(const char *s, struct url *u, struct err_msg *m)
{
	const char	*rest, *end, *at, *query;
	bool		 has_port;
	size_t		 n;
	int		 r;

	memset(u, 0, sizeof(*u));
	if (strncasecmp(s, "http://", 7) == 0)
		rest = s + 7;
	else if (strncasecmp(s, "https://", 8) == 0) {
		rest = s + 8;
		u->tls = true;
	} else
		return err_set(m, ERR_FORMAT,
		    "URL does not begin with http:// or https://");
	if (!is_clean(rest))
		return err_set(m, ERR_FORMAT,
		    "URL contains blanks or control characters");
	end = rest + strcspn(rest, "/?#");
	n = (size_t)(end - rest);
	if ((at = memrchr(rest, '@', n)) != NULL) {
		if ((r = parse_user(rest, (size_t)(at - rest), u)) != 0) {
			r = err_set(m, r, "bad escape in user or password");
			goto fail;
		}
		n -= (size_t)(at + 1 - rest);
		rest = at + 1;
	}
	if ((r = parse_host(rest, n, u, &has_port, m)) != 0)
		goto fail;
	if (!has_port)
		u->port = u->tls ? 443 : 80;
	n = strcspn(end, "#");
	query = memchr(end, '?', n);
	if (query != NULL) {
		u->query = xstrndup(query + 1, n - (size_t)(query + 1 - end));
		n = (size_t)(query - end);
	}
	u->path = n == 0 ? xstrdup("/") : xstrndup(end, n);
	return 0;
fail:
	url_free(u);
	return r;
}

static void
append_host(struct buf *b, const char *host)
{
	if (strchr(host, ':') != NULL)
		buf_printf(b, "[%s]", host);
	else
		buf_append_str(b, host);
}

char *
url_format(const struct url *u, bool with_user)
{
	struct buf	 b = BUF_INIT;
	size_t		 n;

	buf_append_str(&b, u->tls ? "https://" : "http://");
	if (with_user && u->user != NULL) {
		url_encode_append(&b, u->user, strlen(u->user));
		if (u->password != NULL) {
			buf_append_u8(&b, ':');
			url_encode_append(&b, u->password,
			    strlen(u->password));
		}
		buf_append_u8(&b, '@');
	}
	append_host(&b, u->host);
	if (u->port != (u->tls ? 443 : 80))
		buf_printf(&b, ":%u", (unsigned)u->port);
	buf_append_str(&b, u->path);
	if (u->query != NULL)
		buf_printf(&b, "?%s", u->query);
	buf_cstr(&b);
	return (char *)buf_steal(&b, &n);
}

void
url_free(struct url *u)
{
	free(u->user);
	free(u->password);
	free(u->host);
	free(u->path);
	free(u->query);
	memset(u, 0, sizeof(*u));
}

/* ---- endpoints ---------------------------------------------------------- */

static int
find_scheme(const char *s, size_t n)
{
	size_t	 i;

	for (i = 0; i < NITEMS(schemes); i++)
		if (strlen(schemes[i].scheme) == n &&
		    strncasecmp(s, schemes[i].scheme, n) == 0)
			return (int)i;
	return -1;
}

int
url_from_endpoint(const char *endpoint, uint16_t default_port, char **url,
    struct err_msg *m)
{
	const char	*sep = strstr(endpoint, "://"), *rest;
	struct url	 u = { .port = default_port };
	struct buf	 b = BUF_INIT;
	bool		 has_port;
	size_t		 n;
	int		 i, r;

	if (sep == NULL ||
	    (i = find_scheme(endpoint, (size_t)(sep - endpoint))) == -1)
		return err_set(m, ERR_FORMAT, "endpoint \"%.200s\" begins with "
		    "none of tcp:// ssl:// http:// https:// http+tcp:// "
		    "http+ssl://", endpoint);
	rest = sep + 3;
	n = strlen(rest);
	if (n > 0 && rest[n - 1] == '/')
		n--;
	if ((r = parse_host(rest, n, &u, &has_port, m)) != 0)
		goto out;
	if (!has_port && default_port == 0) {
		r = err_set(m, ERR_FORMAT, "endpoint \"%.200s\" has no port",
		    endpoint);
		goto out;
	}
	buf_append_str(&b, schemes[i].tls ? "https://" : "http://");
	append_host(&b, u.host);
	buf_printf(&b, ":%u", (unsigned)u.port);
	buf_cstr(&b);
	*url = (char *)buf_steal(&b, &n);
out:
	url_free(&u);
	return r;
}

int
url_to_endpoint(const char *url, char **endpoint, struct err_msg *m)
{
	struct url	 u;
	struct buf	 b = BUF_INIT;
	size_t		 n;
	int		 r;

	if ((r = url_parse(url, &u, m)) != 0)
		return r;
	buf_append_str(&b, u.tls ? "ssl://" : "tcp://");
	append_host(&b, u.host);
	buf_printf(&b, ":%u", (unsigned)u.port);
	buf_cstr(&b);
	*endpoint = (char *)buf_steal(&b, &n);
	url_free(&u);
	return 0;
}

/* ---- query strings ------------------------------------------------------ */

static int
add_param(struct url_query *q, const char *s, size_t n)
{
	const char		*eq = memchr(s, '=', n);
	size_t			 nname = eq == NULL ? n : (size_t)(eq - s);
	struct url_param	 p = { NULL, NULL };
	int			 r;

	if (q->count == URL_QUERY_MAX_PARAMS)
		return ERR_TOO_BIG;
	if ((r = url_decode(s, nname, true, &p.name, NULL)) != 0)
		return r;
	if (eq == NULL)
		p.value = xstrdup("");
	else if ((r = url_decode(eq + 1, n - nname - 1, true, &p.value,
	    NULL)) != 0) {
		free(p.name);
		return r;
	}
	/* Grows at powers of two. */
	if ((q->count & (q->count - 1)) == 0)
		q->params = xrealloc(q->params,
		    MAX(q->count * 2, 1) * sizeof(*q->params));
	q->params[q->count++] = p;
	return 0;
}

int
url_query_parse(const char *s, size_t len, struct url_query *q)
{
	const char	*end = s + len, *amp;
	int		 r;

	q->params = NULL;
	q->count = 0;
	while (s < end) {
		amp = memchr(s, '&', (size_t)(end - s));
		if (amp == NULL)
			amp = end;
		if (amp > s && (r = add_param(q, s, (size_t)(amp - s))) != 0) {
			url_query_free(q);
			return r;
		}
		if (amp == end)
			break;
		s = amp + 1;
	}
	return 0;
}

const char *
url_query_get(const struct url_query *q, const char *name)
{
	size_t	 i;

	for (i = q->count; i-- > 0;)
		if (strcmp(q->params[i].name, name) == 0)
			return q->params[i].value;
	return NULL;
}

const char *
url_query_get_first(const struct url_query *q, const char *name)
{
	size_t	 i;

	for (i = 0; i < q->count; i++)
		if (strcmp(q->params[i].name, name) == 0)
			return q->params[i].value;
	return NULL;
}

void
url_query_free(struct url_query *q)
{
	size_t	 i;

	for (i = 0; i < q->count; i++) {
		free(q->params[i].name);
		free(q->params[i].value);
	}
	free(q->params);
	q->params = NULL;
	q->count = 0;
}

void
url_query_append(struct buf *b, const char *name, const char *value)
{
	bool	 first = b->len == 0 || memchr(b->data, '?', b->len) == NULL;

	buf_append_u8(b, first ? '?' : '&');
	url_encode_append(b, name, strlen(name));
	buf_append_u8(b, '=');
	url_encode_append(b, value, strlen(value));
}
