/* codec.h - compression of one record's payload.  Internal to src/queue. */
#ifndef QUEUE_CODEC_H
#define QUEUE_CODEC_H

#include <sys/uio.h>

#include <stddef.h>
#include <stdint.h>

/* Context and output buffer of a writer; made by the first use. */
struct codec;

/*
 * Compress the concatenation of n pieces, `len` bytes, with zstd.  1 and
 * *out, *out_len (in *c, until the next call) when that made it smaller, 0
 * when not, ERR_USAGE without libzstd, -ENOMEM.
 */
int	codec_compress(struct codec **c, int level, const struct iovec *iov,
	    int n, size_t len, const uint8_t **out, size_t *out_len);
void	codec_free(struct codec **c);

#endif
