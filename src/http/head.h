/*
 * head.h - request line and header of one HTTP/1.x request.
 *
 * One strict reading: what two parsers could read differently (bare line
 * feeds, folded lines, blanks before the colon, several lengths, a length
 * beside Transfer-Encoding) is refused.
 */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/server.h"
#include "http/url.h"

#define HTTP_HEAD_MAX_LINES	256

struct http_head {
	char			*text;	/* all strings below point into it */
	enum http_method	 method;
	char			*target;	/* path and query as sent */
	char			*path;	/* without the query */
	struct url_query	 query;
	struct http_header	*lines;
	size_t			 n_lines;
	uint64_t		 body_len;
	bool			 http_1_0;
	bool			 keep_alive;
	bool			 expects_continue;
};

/*
 * Bytes up to and with the empty line, 0 while it has not come.  *scanned
 * remembers where to go on looking; set it to 0 for a new request.
 */
size_t	http_head_find_end(const uint8_t *p, size_t n, size_t *scanned);
/*
 * May these bytes, which are not complete yet, become a request?  False for
 * what begins like none (TLS on a plain port) and for bare line feeds, whose
 * sender would wait for an answer to what never ends.  Bytes before `from` were
 * looked at before.
 */
bool	http_head_may_be(const uint8_t *p, size_t n, size_t from);
/*
 * Parse n bytes that http_head_find_end() found.  0, or the status to refuse
 * the request with; *why is a static text then, and h holds nothing.
 */
int	http_head_parse(const uint8_t *p, size_t n, size_t max_target,
	    struct http_head *h, const char **why);
const char *http_head_get(const struct http_head *h, const char *name);
void	http_head_free(struct http_head *h);

#endif
