/* err.c - error numbers, fatal ends, memory that is never refused */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"

static const struct {
	int		 err;
	const char	*text;
} texts[] = {
	{ ERR_FORMAT,	"malformed data" },
	{ ERR_TRUNCATED, "data ends too early" },
	{ ERR_TOO_BIG,	"too large" },
	{ ERR_RANGE,	"value out of range" },
	{ ERR_CORRUPT,	"checksum mismatch" },
	{ ERR_VERSION,	"unsupported version" },
	{ ERR_CLOSED,	"connection closed by the peer" },
	{ ERR_TIMEOUT,	"timed out" },
	{ ERR_NOT_FOUND, "not found" },
	{ ERR_EXISTS,	"exists already" },
	{ ERR_DENIED,	"access denied" },
	{ ERR_BAD_STATE,	"not possible in this state" },
	{ ERR_PROTOCOL,	"protocol error" },
	{ ERR_CANCELLED, "cancelled" },
	{ ERR_TLS,	"TLS error" },
	{ ERR_HTTP,	"HTTP error" },
	{ ERR_STORAGE,	"storage engine error" },
	{ ERR_USAGE,	"wrong usage" }
};

const char *
err_text(int err)
{
	size_t	 i;

	if (err == 0)
		return "no error";
	for (i = 0; i < NITEMS(texts); i++)
		if (texts[i].err == err)
			return texts[i].text;
	if (err < 0 && err > -4096)
		return strerror(-err);
	return "unknown error";
}

bool
err_is_full(int err)
{
	return err == -ENOSPC || err == -EDQUOT;
}

int
err_set(struct err_msg *m, int err, const char *fmt, ...)
{
	va_list	 ap;

	if (m != NULL) {
		va_start(ap, fmt);
		vsnprintf(m->text, sizeof(m->text), fmt, ap);
		va_end(ap);
	}
	return err;
}

void
fatal(const char *fmt, ...)
{
	va_list	 ap;

	/* Whoever started us may look there only. */
	log_set_stderr(true);
	va_start(ap, fmt);
	log_va(LOG_LEVEL_ERROR, fmt, ap);
	va_end(ap);
	_exit(1);
}

void *
xmalloc(size_t size)
{
	void	*p = malloc(size == 0 ? 1 : size);

	if (p == NULL)
		fatal("out of memory (%zu bytes)", size);
	return p;
}

void *
xcalloc(size_t n, size_t size)
{
	void	*p = calloc(n == 0 ? 1 : n, size == 0 ? 1 : size);

	if (p == NULL)
		fatal("out of memory (%zu times %zu bytes)", n, size);
	return p;
}

void *
xrealloc(void *p, size_t size)
{
	p = realloc(p, size == 0 ? 1 : size);
	if (p == NULL)
		fatal("out of memory (%zu bytes)", size);
	return p;
}

char *
xstrdup(const char *s)
{
	return xstrndup(s, strlen(s));
}

char *
xstrndup(const char *s, size_t n)
{
	size_t	 len = strnlen(s, n);
	char	*p = xmalloc(len + 1);

	memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

char *
xasprintf(const char *fmt, ...)
{
	va_list	 ap;
	char	*p;
	int	 n;

	va_start(ap, fmt);
	n = vasprintf(&p, fmt, ap);
	va_end(ap);
	if (n == -1)
		fatal("out of memory (formatted text)");
	return p;
}
