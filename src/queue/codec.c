/* codec.c - payloads through libzstd, where the build has it */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_LIBZSTD
#include <zstd.h>
#endif

#include "base/buf.h"
#include "base/err.h"
#include "queue/codec.h"
#include "queue/queue.h"
#include "queue/reader.h"

static const char *const	codec_names[] = { "none", "zstd" };

const char *
queue_codec_name(unsigned int codec)
{
	return codec < NITEMS(codec_names) ? codec_names[codec] : NULL;
}

#ifdef HAVE_LIBZSTD

struct codec {
	ZSTD_CCtx	*ctx;
	uint8_t		*out;
	size_t		 cap;
};

bool
queue_codec_usable(enum queue_codec codec)
{
	return codec == QUEUE_CODEC_NONE || codec == QUEUE_CODEC_ZSTD;
}

int
codec_compress(struct codec **cp, int level, const struct iovec *iov, int n,
    size_t len, const uint8_t **out, size_t *out_len)
{
	struct codec	*c = *cp;
	ZSTD_outBuffer	 to;
	ZSTD_inBuffer	 from;
	size_t		 r = 1;
	int		 i;

	if (c == NULL) {
		c = *cp = xcalloc(1, sizeof(*c));
		if ((c->ctx = ZSTD_createCCtx()) == NULL)
			fatal("out of memory (zstd)");
	}
	/* Whatever does not become smaller is stored as it is. */
	if (c->cap < len) {
		free(c->out);
		c->cap = MAX(len, (size_t)256 * 1024);
		c->out = xmalloc(c->cap);
	}
	ZSTD_CCtx_reset(c->ctx, ZSTD_reset_session_only);
	ZSTD_CCtx_setParameter(c->ctx, ZSTD_c_compressionLevel, level);
	ZSTD_CCtx_setPledgedSrcSize(c->ctx, len);
	to.dst = c->out;
	to.size = len;
	to.pos = 0;
	for (i = 0; i < n; i++) {
		from.src = iov[i].iov_base;
		from.size = iov[i].iov_len;
		from.pos = 0;
		r = ZSTD_compressStream2(c->ctx, &to, &from,
		    i == n - 1 ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(r) || from.pos < from.size)
			return 0;
	}
	if (r != 0 || to.pos >= len)
		return 0;
	*out = c->out;
	*out_len = to.pos;
	return 1;
}

void
codec_free(struct codec **c)
{
	if (*c == NULL)
		return;
	ZSTD_freeCCtx((*c)->ctx);
	free((*c)->out);
	free(*c);
	*c = NULL;
}

static int
uncompress(const void *stored, size_t stored_len, size_t raw_len,
    struct buf *out)
{
	size_t	 n;
	int	 r;

	/* Never without memory, as an offset to none is undefined. */
	if ((r = buf_try_reserve(out, raw_len + 1)) != 0)
		return r;
	n = ZSTD_decompress(out->data + out->len, raw_len, stored,
	    stored_len);
	if (ZSTD_isError(n) || n != raw_len)
		return ERR_CORRUPT;
	out->len += n;
	return 0;
}

#else

bool
queue_codec_usable(enum queue_codec codec)
{
	return codec == QUEUE_CODEC_NONE;
}

int
codec_compress(struct codec **c, int level, const struct iovec *iov, int n,
    size_t len, const uint8_t **out, size_t *out_len)
{
	return ERR_USAGE;
}

void
codec_free(struct codec **c)
{
}

static int
uncompress(const void *stored, size_t stored_len, size_t raw_len,
    struct buf *out)
{
	return ERR_VERSION;
}

#endif

int
queue_decode(enum queue_codec codec, const void *stored, size_t stored_len,
    size_t raw_len, struct buf *out)
{
	if (raw_len > QUEUE_RECORD_MAX_BYTES)
		return ERR_TOO_BIG;
	switch (codec) {
	case QUEUE_CODEC_NONE:
		if (stored_len != raw_len)
			return ERR_CORRUPT;
		buf_append(out, stored, stored_len);
		return 0;
	case QUEUE_CODEC_ZSTD:
		return uncompress(stored, stored_len, raw_len, out);
	}
	return ERR_VERSION;
}
