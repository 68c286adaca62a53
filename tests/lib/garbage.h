/*
 * garbage.h - messages that nobody should send: every number that there is,
 * and some that are none, with bodies of every size and with words and numbers
 * that look right.
 *
 *	struct garbage	 g = GARBAGE_INIT;
 *
 *	while (garbage_next(&g, &type, &id, &body))
 *		send it over a connection of its own
 *
 * What gets them may refuse them or take them; it must be alive afterwards.
 */
#ifndef TESTS_GARBAGE_H
#define TESTS_GARBAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct garbage {
	size_t		 type, body;	/* the next ones */
	uint64_t	 random;
	/* Words that a conversation is about; NULL: some. */
	const char	*target, *db, *cuid;
	uint64_t	 cid;
	uint32_t	 id;		/* of some of them; others 0 and 1 */
};
#define GARBAGE_INIT	{ .random = 88172645463325252u, .target = "there", \
	.db = "shop", .cuid = "c10049/s1", .cid = 10049 }

/* The body is made anew; false: that were all. */
bool	garbage_next(struct garbage *g, uint16_t *type, uint32_t *id,
	    struct buf *body);

#endif
