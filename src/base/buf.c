/* buf.c - a growing block of bytes */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

#define BUF_MIN_BYTES	256

int
buf_try_reserve(struct buf *b, size_t n)
{
	size_t	 want, cap;
	uint8_t	*p;

	if (n <= b->cap - b->len)
		return 0;
	if (n > SIZE_MAX / 2 - b->len)
		return -ENOMEM;
	want = b->len + n;
	cap = MAX(b->cap, BUF_MIN_BYTES / 2);
	do
		cap *= 2;
	while (cap < want);
	if ((p = realloc(b->data, cap)) == NULL)
		return -ENOMEM;
	b->data = p;
	b->cap = cap;
	return 0;
}

void
buf_reserve(struct buf *b, size_t n)
{
	if (buf_try_reserve(b, n) != 0)
		fatal("out of memory (buffer of %zu bytes)", b->len + n);
}

void
buf_append(struct buf *b, const void *data, size_t n)
{
	if (n == 0)
		return;
	buf_reserve(b, n);
	memcpy(b->data + b->len, data, n);
	b->len += n;
}

void
buf_append_str(struct buf *b, const char *s)
{
	buf_append(b, s, strlen(s));
}

void
buf_append_u8(struct buf *b, uint8_t c)
{
	buf_append(b, &c, 1);
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list	 ap;
	int	 n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	bug_unless(n >= 0);
	buf_reserve(b, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

char *
buf_cstr(struct buf *b)
{
	buf_reserve(b, 1);
	b->data[b->len] = '\0';
	return (char *)b->data;
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
}

void
buf_consume(struct buf *b, size_t n)
{
	bug_unless(n <= b->len);
	b->len -= n;
	if (b->len != 0)
		memmove(b->data, b->data + n, b->len);
}

uint8_t *
buf_steal(struct buf *b, size_t *len)
{
	uint8_t	*p = b->data;

	*len = b->len;
	b->data = NULL;
	b->len = b->cap = 0;
	return p;
}

void
buf_free(struct buf *b)
{
	free(b->data);
	b->data = NULL;
	b->len = b->cap = 0;
}
