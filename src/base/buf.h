/*
 * buf.h - a growing block of bytes.
 *
 * struct buf is used by value: BUF_INIT, append, read data and len, buf_free.
 * Growth at least doubles, so that appending is linear.  Appending never
 * fails (see base/err.h); where a peer decides the size, check it first or
 * use buf_try_reserve().
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t	*data;		/* NULL while nothing was appended */
	size_t	 len;		/* bytes in use */
	size_t	 cap;		/* bytes allocated */
};

#define BUF_INIT	{ NULL, 0, 0 }

/* Room for n more bytes behind len; the process ends when memory does. */
void	buf_reserve(struct buf *b, size_t n);
/* As buf_reserve, but 0 or -ENOMEM. */
int	buf_try_reserve(struct buf *b, size_t n);
void	buf_append(struct buf *b, const void *data, size_t n);
void	buf_append_str(struct buf *b, const char *s);
void	buf_append_u8(struct buf *b, uint8_t c);
void	buf_printf(struct buf *b, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
/* A NUL behind the bytes, not counted in len; returns data as a string. */
char	*buf_cstr(struct buf *b);
/* Forget the bytes, keep the memory. */
void	buf_reset(struct buf *b);
/* Remove n bytes from the front. */
void	buf_consume(struct buf *b, size_t n);
/* Give the block to the caller (free() it); b is empty afterwards. */
uint8_t	*buf_steal(struct buf *b, size_t *len);
void	buf_free(struct buf *b);

#endif
