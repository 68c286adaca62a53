/*
 * frame.h - bytes of a connection between two processes, and the messages in
 * them.
 *
 * A message is one frame, or several when it is longer than a frame may be.
 * Header, little-endian:
 *
 *	u32  bytes of payload behind the header
 *	u16  type (messages.h)
 *	u16  flags
 *	u32  generation of the child that the connection belongs to
 *	u32  request id: an answer repeats that of its request; else 0
 *
 * There is no checksum: a socketpair or pipe does not change bytes.  The
 * length is checked here, before anything is allocated for it, and nowhere
 * else.
 */
#ifndef IPC_FRAME_H
#define IPC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define FRAME_HEADER_BYTES	16
/* Header and payload of one frame (R6). */
#define FRAME_MAX_BYTES		(256 * 1024)
#define FRAME_PAYLOAD_MAX_BYTES	(FRAME_MAX_BYTES - FRAME_HEADER_BYTES)

enum {
	/* The message goes on in the next frame: same type, generation and id,
	 * nothing else between. */
	FRAME_MORE	= 1 << 0,
	/* A descriptor comes with the first byte of this frame. */
	FRAME_FD	= 1 << 1,
	FRAME_FLAGS	= FRAME_MORE | FRAME_FD
};

struct frame_header {
	uint32_t	 length;
	uint16_t	 type;
	uint16_t	 flags;
	uint32_t	 generation;
	uint32_t	 id;
};

/* A whole message. */
struct frame {
	uint16_t	 type;
	bool		 has_fd;
	uint32_t	 generation;
	uint32_t	 id;
	const uint8_t	*payload;
	size_t		 len;
};

void	frame_put_header(uint8_t out[FRAME_HEADER_BYTES],
	    const struct frame_header *h);
/* 0, ERR_TOO_BIG, or ERR_PROTOCOL for flags that do not exist. */
int	frame_get_header(const uint8_t in[FRAME_HEADER_BYTES],
	    struct frame_header *h);

/*
 * Append a message as one or more frames.  h->length is ignored; h->flags may
 * have FRAME_FD, which goes with the first frame.
 */
void	frame_encode(struct buf *out, const struct frame_header *h,
	    const void *payload, size_t len);

/*
 * Bytes in, messages out.  Memory is bounded by one frame, what was fed since,
 * and one message of max_message bytes.
 */
struct frame_parser {
	struct buf		 in;
	size_t			 used;	/* of in: handed out already */
	struct buf		 whole;	/* payloads of a message in parts */
	struct frame_header	 first;	/* header of its first frame */
	bool			 open;	/* whole is waiting for more */
	size_t			 max_message;
	int			 failed; /* nothing can follow an error */
};

void	frame_parser_init(struct frame_parser *p, size_t max_message);
void	frame_parser_feed(struct frame_parser *p, const void *data, size_t n);
/*
 * How many bytes the frame that has begun still lacks: 0 when none has, or
 * nothing is known of it yet.  frame_parser_space() is where they go, so that
 * they can be read to their place; n of them came there.  After the first
 * message of what was fed has been asked for, and only while more is lacking.
 */
size_t	frame_parser_lacks(const struct frame_parser *p);
uint8_t	*frame_parser_space(struct frame_parser *p);
void	frame_parser_filled(struct frame_parser *p, size_t n);
/*
 * 1 and a message (valid until the next call of any of these functions), 0
 * when more bytes are needed, or negative: ERR_TOO_BIG, ERR_PROTOCOL, -ENOMEM.
 * After an error the stream is lost, and every further call gives the same.
 */
int	frame_parser_next(struct frame_parser *p, struct frame *out);
/*
 * The memory of the message that frame_parser_next() gave last, instead of a
 * copy of it: when it was read all by itself, as long ones are.  Then out, which
 * must be empty, holds the header and the payload.  False: it is to be copied.
 */
bool	frame_parser_give(struct frame_parser *p, const struct frame *f,
	    struct buf *out);
/* No message has begun: the end of the stream may come here. */
bool	frame_parser_is_idle(const struct frame_parser *p);
void	frame_parser_free(struct frame_parser *p);

#endif
