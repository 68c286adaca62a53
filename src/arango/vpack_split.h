/*
 * vpack_split.h - a stream of VelocyPack objects, one behind the other, cut
 * into values as it arrives in pieces.
 */
#ifndef ARANGO_VPACK_SPLIT_H
#define ARANGO_VPACK_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/*
 * A checked object.  last: it ends in the piece that was just fed, and no
 * other does behind it.  Anything but 0 stops.
 */
typedef int vpack_split_fn(void *arg, const uint8_t *slice, size_t len,
	    bool last);

/*
 * part keeps a begun value between calls (reset it for a new stream; at the
 * end of the stream it must be empty).  What lies whole in a piece is not
 * copied.  0; what fn returned; ERR_FORMAT (not an object, or a bad one);
 * ERR_TOO_BIG for a value longer than max.
 */
int	vpack_split_feed(struct buf *part, size_t max, const uint8_t *data,
	    size_t len, vpack_split_fn *fn, void *arg);

/*
 * Length of the object that begins here: 1 and *size; 0 when more bytes are
 * needed to tell; ERR_FORMAT.
 */
int	vpack_object_size(const uint8_t *p, size_t len, size_t *size);

#endif
