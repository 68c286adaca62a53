/*
 * wal_parse.h - a tail response as it streams: markers out of bytes.
 *
 * Used by tail.c; of its own so that it can be fuzzed and measured without a
 * server.
 */
#ifndef ARANGO_WAL_PARSE_H
#define ARANGO_WAL_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arango/tail.h"
#include "base/buf.h"
#include "json/scan.h"

struct wal_parser {
	bool			 vpack;
	size_t			 max;		/* longest marker */
	struct line_split	 lines;		/* JSON */
	struct buf		 part;		/* VelocyPack: a begun value */
	int			(*on_marker)(void *arg,
				    const struct arango_marker *m);
	void			*arg;
	/* Of this response so far. */
	uint64_t		 markers, bytes;
	uint64_t		 last_tick;
	uint32_t		 last_crc;	/* of the last line fed */
	/* In the piece that is being looked at: its last line. */
	const char		*last_end;
	bool			 only_end;
};

void	wal_parse_init(struct wal_parser *p, size_t max);
void	wal_parse_free(struct wal_parser *p);
/* A new response; counters are zero again. */
void	wal_parse_begin(struct wal_parser *p, bool vpack);
/*
 * 0, what on_marker returned, ERR_FORMAT (not a marker), ERR_TOO_BIG.  After
 * anything but 0 begin anew.
 */
int	wal_parse_feed(struct wal_parser *p, const void *data, size_t len);
/* The response is complete: 0, or ERR_TRUNCATED. */
int	wal_parse_end(struct wal_parser *p);

/* One line or value (checked) as a marker; 0 or ERR_FORMAT. */
int	wal_marker_from_line(const char *line, size_t len,
	    struct arango_marker *m);
int	wal_marker_from_vpack(const uint8_t *slice, size_t len,
	    struct arango_marker *m);

#endif
