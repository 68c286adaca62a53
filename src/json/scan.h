/*
 * scan.h - streams of JSON lines (WAL tail, dump), without building trees.
 *
 * Two layers.  struct line_split cuts a stream that arrives in arbitrary
 * pieces into lines; what lies whole in a piece is not copied.  scan_marker()
 * finds the members of a WAL marker in one line: only those of the outermost
 * object count, in any order, and whatever `data` holds is stepped over
 * (rule R6: a document may have attributes "tick" and "type" of its own).
 *
 * Results are spans of the line as it came: strings with their quotes and
 * escapes, values unparsed.
 */
#ifndef JSON_SCAN_H
#define JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct scan_span {
	const char	*p;		/* NULL: not there */
	size_t		 len;
};

/* ---- lines -------------------------------------------------------------- */

struct line_split {
	struct buf	 part;		/* begin of a line, former pieces */
	size_t		 max;		/* longest line that is accepted */
	uint64_t	 nlines;	/* given out so far */
};

/*
 * Called for each line, without its "\n" (and a "\r" before it).  Empty lines
 * are skipped.  line is valid during the call only.  Anything but 0 stops,
 * and line_feed() returns it.
 */
typedef int line_fn(const char *line, size_t len, void *arg);

void	line_init(struct line_split *ls, size_t max);
void	line_free(struct line_split *ls);
/*
 * Feed the next piece.  0; what fn returned; or ERR_TOO_BIG for a line longer
 * than max.  After anything but 0 the rest of the piece is lost: start a new
 * stream.
 */
int	line_feed(struct line_split *ls, const char *data, size_t len,
	    line_fn *fn, void *arg);
/*
 * The stream ended: a last line without "\n" is given out as well when
 * accept_partial, else it is ERR_TRUNCATED.
 */
int	line_end(struct line_split *ls, bool accept_partial, line_fn *fn,
	    void *arg);

/* ---- members ------------------------------------------------------------ */

/*
 * The end of the value that begins at p (no white space before it): behind
 * its last byte, NULL when the text ends inside it or it is malformed in a way
 * that leaves its end unclear.  Only the extent is found: brackets and
 * quotes must match, what is between them is not checked.
 */
const char *scan_value_end(const char *p, const char *end);
/* The same without instructions that not every machine has; for tests. */
const char *scan_value_end_plain(const char *p, const char *end);

/*
 * Step over the members of an object.  Begin with it->p at "{".
 * 1: name and value were found; 0: the object ended, it->p is behind it;
 * ERR_FORMAT.  name is without its quotes, escapes as they came.
 */
struct scan_iter {
	const char	*p, *end;
	bool		 inside;
};

void	scan_object(struct scan_iter *it, const char *p, size_t len);
int	scan_next(struct scan_iter *it, struct scan_span *name,
	    struct scan_span *value);

/* The same for the values of an array; begin with it->p at "[". */
int	scan_array_next(struct scan_iter *it, struct scan_span *value);

/* A line of /_api/wal/tail. */
struct scan_marker {
	struct scan_span tick, type, db, cuid, tid, data;
};

/*
 * 0 or ERR_FORMAT (not one object on the line, or a member twice); members that
 * are absent have p == NULL.
 */
int	scan_marker(const char *line, size_t len, struct scan_marker *m);
/*
 * The same for a line as arangod prints it, without a look at what `data`
 * holds: known members, no white space, no escapes, `data` last and an object.
 * False: it is another one, ask scan_marker().  True says nothing about data
 * but where it begins, and that nothing but "}" is behind its last byte; a
 * member behind it, whose value is an object, would be taken for a part of it.
 */
bool	scan_marker_front(const char *line, size_t len, struct scan_marker *m);

/*
 * A span as a number: an integer, or a decimal string in quotes.  0 or
 * ERR_FORMAT, ERR_RANGE.
 */
int	scan_uint(const struct scan_span *s, uint64_t *v);
/*
 * A string span decoded into out (appended); 0 or ERR_FORMAT.  Escapes are
 * resolved, UTF-8 is checked.
 */
int	scan_string(const struct scan_span *s, struct buf *out);
/* Is this a string span equal to the text, which has no need of escapes? */
bool	scan_string_is(const struct scan_span *s, const char *text);

#endif
