/* story.h - operations in words, as lines of a log; and what a fold makes of
 * them */
#ifndef TESTS_STORY_H
#define TESTS_STORY_H

#include <stddef.h>

#include "arango/errors.h"
#include "base/buf.h"
#include "sync/fold.h"

/* How bodies are read, if they are. */
extern size_t	 piece_bytes;

/* As arango_react() for the numbers used here. */
enum arango_reaction react(int num, int status);
/*
 * Lines of a story: "i KEY REV VALUE", "d KEY", "t" truncate, "b TID",
 * "c TID", "a TID", "I TID KEY REV VALUE", "D TID KEY".
 */
void	story_line(struct buf *b, const char *step, unsigned int tick);
/* Steps with ";" between them; ticks 1, 2, ... */
void	story_lines(struct buf *b, const char *story);
/* All bodies, each with "-" or "+" in front, everything answered well. */
void	drain(struct fold *f, struct buf *out);

#endif
