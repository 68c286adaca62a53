/* head.c - request line and header of one HTTP/1.x request */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "http/head.h"

static int	parse_request_line(struct http_head *h, char *line, size_t n,
		    size_t max_target, const char **why);
static int	parse_target(struct http_head *h, char *s, size_t n,
		    const char **why);
static int	parse_header_line(struct http_head *h, char *line, size_t n,
		    const char **why);
static int	apply_headers(struct http_head *h, const char **why);

static int
refuse(int status, const char *text, const char **why)
{
	*why = text;
	return status;
}

static bool
is_token_char(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') ||
	    (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

size_t
http_head_find_end(const uint8_t *p, size_t n, size_t *scanned)
{
	size_t		 from = *scanned > 3 ? *scanned - 3 : 0;
	const uint8_t	*end;

	if (n < 4)
		return 0;
	end = memmem(p + from, n - from, "\r\n\r\n", 4);
	*scanned = n;
	return end == NULL ? 0 : (size_t)(end - p) + 4;
}

bool
http_head_may_be(const uint8_t *p, size_t n, size_t from)
{
	const uint8_t	*q = p + from, *end = p + n;

	/* "\r\n" in front of a request may have come half. */
	if (n > 0 && !is_token_char(p[0]) && !(p[0] == '\r' &&
	    (n == 1 || p[1] == '\n')))
		return false;
	while (q < end && (q = memchr(q, '\n', (size_t)(end - q))) != NULL) {
		if (q == p || q[-1] != '\r')
			return false;
		q++;
	}
	return true;
}

static int
parse_request_line(struct http_head *h, char *line, size_t n,
    size_t max_target, const char **why)
{
	char	*sp1, *sp2;
	size_t	 len;

	if ((sp1 = memchr(line, ' ', n)) == NULL ||
	    (sp2 = memrchr(line, ' ', n)) == sp1)
		return refuse(400, "malformed request line", why);
	len = n - (size_t)(sp2 + 1 - line);
	if (len != 8 || memcmp(sp2 + 1, "HTTP/", 5) != 0)
		return refuse(400, "malformed request line", why);
	if (sp2[6] != '1' || sp2[7] != '.' || (sp2[8] != '0' && sp2[8] != '1'))
		return refuse(505, "HTTP version not supported", why);
	h->http_1_0 = sp2[8] == '0';
	h->keep_alive = !h->http_1_0;
	if (http_method_parse(line, (size_t)(sp1 - line), &h->method) != 0)
		return refuse(501, "method not implemented", why);
	len = (size_t)(sp2 - sp1 - 1);
	if (len > max_target)
		return refuse(414, "request target too long", why);
	sp1[1 + len] = '\0';
	return parse_target(h, sp1 + 1, len, why);
}

/* "/path?query", "http://host/path?query" of proxies, or "*". */
static int
parse_target(struct http_head *h, char *s, size_t n, const char **why)
{
	char	*q;
	size_t	 i;

	for (i = 0; i < n; i++)
		if ((uint8_t)s[i] <= 0x20 || s[i] == 0x7f)
			return refuse(400, "malformed request target", why);
	if (strncasecmp(s, "http://", 7) == 0 ||
	    strncasecmp(s, "https://", 8) == 0) {
		s = strstr(s, "://") + 3;
		s += strcspn(s, "/?");
		h->target = xasprintf("%s%s", *s == '/' ? "" : "/", s);
	} else if (s[0] == '/' || strcmp(s, "*") == 0)
		h->target = xstrdup(s);
	else
		return refuse(400, "malformed request target", why);
	h->path = xstrdup(h->target);
	if ((q = strchr(h->path, '?')) == NULL)
		return 0;
	*q = '\0';
	if (url_query_parse(q + 1, strlen(q + 1), &h->query) != 0)
		return refuse(400, "malformed query string", why);
	return 0;
}

static int
parse_header_line(struct http_head *h, char *line, size_t n, const char **why)
{
	char	*colon = memchr(line, ':', n), *s, *end = line + n;
	size_t	 i;

	if (colon == NULL || colon == line)
		return refuse(400, "malformed header line", why);
	for (s = line; s < colon; s++)
		if (!is_token_char((uint8_t)*s))
			return refuse(400, "malformed header name", why);
	for (s = colon + 1; s < end && (*s == ' ' || *s == '\t');)
		s++;
	while (end > s && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	for (i = 0; s + i < end; i++)
		if (((uint8_t)s[i] < 0x20 && s[i] != '\t') || s[i] == 0x7f)
			return refuse(400, "control character in a header",
			    why);
	*colon = '\0';
	*end = '\0';
	h->lines[h->n_lines].name = line;
	h->lines[h->n_lines].value = s;
	h->n_lines++;
	return 0;
}

static int
parse_length(const char *s, uint64_t *len)
{
	uint64_t	 v = 0;
	size_t		 n;

	/* 18 digits fit whatever they are. */
	if ((n = strlen(s)) == 0 || n > 18)
		return ERR_FORMAT;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return ERR_FORMAT;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	*len = v;
	return 0;
}

/* Is word one of the comma-separated elements of list? */
static bool
list_has(const char *list, const char *word)
{
	size_t	 n, len = strlen(word);

	for (;;) {
		list += strspn(list, " \t,");
		if (*list == '\0')
			return false;
		n = strcspn(list, " \t,");
		if (n == len && strncasecmp(list, word, n) == 0)
			return true;
		list += n;
	}
}

/* What the server itself must know. */
static int
apply_headers(struct http_head *h, const char **why)
{
	const char	*name, *value;
	bool		 has_length = false;
	size_t		 i;

	for (i = 0; i < h->n_lines; i++) {
		name = h->lines[i].name;
		value = h->lines[i].value;
		if (strcasecmp(name, "content-length") == 0) {
			if (has_length || parse_length(value,
			    &h->body_len) != 0)
				return refuse(400, "bad Content-Length", why);
			has_length = true;
		} else if (strcasecmp(name, "connection") == 0) {
			if (list_has(value, "close"))
				h->keep_alive = false;
			else if (list_has(value, "keep-alive"))
				h->keep_alive = true;
		} else if (strcasecmp(name, "expect") == 0)
			h->expects_continue = !h->http_1_0 &&
			    strcasecmp(value, "100-continue") == 0;
	}
	if (http_head_get(h, "transfer-encoding") != NULL)
		return has_length ?
		    refuse(400, "Content-Length with Transfer-Encoding", why) :
		    refuse(501, "Support for Transfer-Encoding: chunked is "
		    "not implemented.", why);
	return 0;
}

int
http_head_parse(const uint8_t *p, size_t n, size_t max_target,
    struct http_head *h, const char **why)
{
	char	*s, *end, *eol;
	size_t	 lines = 0;
	int	 status;

	memset(h, 0, sizeof(*h));
	h->text = xmalloc(n + 1);
	memcpy(h->text, p, n);
	h->text[n] = '\0';
	/* The empty line itself is not wanted any more. */
	end = h->text + n - 2;
	eol = memchr(h->text, '\n', (size_t)(end - h->text));
	if (eol == h->text || eol[-1] != '\r') {
		status = refuse(400, "line ends without CR", why);
		goto fail;
	}
	for (s = eol; (s = memchr(s, '\n', (size_t)(end - s))) != NULL; s++)
		lines++;
	if (lines > HTTP_HEAD_MAX_LINES) {
		status = refuse(431, "too many header lines", why);
		goto fail;
	}
	h->lines = xcalloc(lines, sizeof(*h->lines));
	eol[-1] = '\0';
	status = parse_request_line(h, h->text, (size_t)(eol - 1 - h->text),
	    max_target, why);
	for (s = eol + 1; status == 0 && s < end; s = eol + 1) {
		eol = memchr(s, '\n', (size_t)(end - s));
		if (eol == s || eol[-1] != '\r')
			status = refuse(400, "line ends without CR", why);
		else
			status = parse_header_line(h, s, (size_t)(eol - 1 - s),
			    why);
	}
	if (status == 0)
		status = apply_headers(h, why);
	if (status == 0)
		return 0;
fail:
	http_head_free(h);
	return status;
}

const char *
http_head_get(const struct http_head *h, const char *name)
{
	size_t	 i;

	for (i = 0; i < h->n_lines; i++)
		if (strcasecmp(h->lines[i].name, name) == 0)
			return h->lines[i].value;
	return NULL;
}

void
http_head_free(struct http_head *h)
{
	url_query_free(&h->query);
	free(h->target);
	free(h->path);
	free(h->lines);
	free(h->text);
	memset(h, 0, sizeof(*h));
}
