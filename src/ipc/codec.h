/*
 * codec.h - typed values in the payload of a frame.
 *
 * Writers append to a struct buf and cannot fail.  Readers take from a struct
 * rbuf, return 0 or ERR_TRUNCATED / ERR_TOO_BIG / ERR_FORMAT, and leave the
 * out parameter alone when they fail.  A decoder reads every field and ends
 * with get_end(): a payload that is longer than expected is as wrong as one
 * that is shorter.  Integers are little-endian; bytes and strings have a
 * length of 32 bits in front.
 */
#ifndef IPC_CODEC_H
#define IPC_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct rbuf {
	const uint8_t	*p;
	size_t		 left;
};

void	put_u8(struct buf *b, uint8_t v);
void	put_u16(struct buf *b, uint16_t v);
void	put_u32(struct buf *b, uint32_t v);
void	put_u64(struct buf *b, uint64_t v);
void	put_i32(struct buf *b, int32_t v);
void	put_bool(struct buf *b, bool v);
/* 1 to 10 bytes, 7 bits each, low ones first; the shortest form only. */
void	put_varint(struct buf *b, uint64_t v);
void	put_bytes(struct buf *b, const void *data, size_t n);
void	put_str(struct buf *b, const char *s);

int	get_u8(struct rbuf *m, uint8_t *v);
int	get_u16(struct rbuf *m, uint16_t *v);
int	get_u32(struct rbuf *m, uint32_t *v);
int	get_u64(struct rbuf *m, uint64_t *v);
int	get_i32(struct rbuf *m, int32_t *v);
/* 0 or 1; any other byte is ERR_FORMAT. */
int	get_bool(struct rbuf *m, bool *v);
int	get_varint(struct rbuf *m, uint64_t *v);
/* Points into the payload: valid as long as the frame is. */
int	get_bytes(struct rbuf *m, const uint8_t **data, size_t *n);
/* Copied into out with its end; ERR_TOO_BIG when it does not fit, ERR_FORMAT
 * when there is a NUL in it. */
int	get_str(struct rbuf *m, char *out, size_t out_size);
/* As get_str, of at most max bytes; the caller frees it. */
int	get_str_dup(struct rbuf *m, size_t max, char **out);
/* ERR_FORMAT unless everything was read. */
int	get_end(const struct rbuf *m);

#endif
