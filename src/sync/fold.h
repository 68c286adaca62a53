/*
 * fold.h - a batch of WAL lines of one channel, folded to the last operation
 * per key, and what became of it at the target.
 *
 *	fold_line() or fold_lines()	until the batch is full, or a barrier
 *	fold_begin()
 *	while ((r = fold_next(f, &body_buf, &body)) != FOLD_DONE)
 *		FOLD_BODY:	send it; fold_element() for each refused
 *				element, then fold_answered(), or
 *				fold_unsent()
 *		FOLD_WAIT:	wait for an answer
 *		FOLD_PAUSE:	elements want to be tried again: back off a
 *				little, look up the leader when told so
 *		FOLD_RESOLVE:	make the conflicts owed (R13), remove them,
 *				fold_resolved(); or fold_leave()
 *	fold_each_dead(), then fold_reset()
 *
 * Order (R10, R11): removals first, all answered, then upserts in the order
 * of their last lines.  A key that was removed and came again in one batch, or
 * had two contents under one `_rev`, is in both: arangod would not tell its
 * followers of another content under the same `_rev`.  Keys are disjoint
 * otherwise, so the bodies of one phase may be in flight together (R16).
 * Conflicts (1210) are tried again after the rest of the batch; those left
 * after it name what is in the way.
 *
 * Nothing is copied from the lines but into bodies: they must stay where they
 * are until fold_reset().  No allocation per document: all memory is kept
 * between batches.
 *
 * Lines are JSON.  `_id` stays in the documents (the target ignores it);
 * with strip_rev `_id` and `_rev` are left out (R12, through coordinators).
 */
#ifndef SYNC_FOLD_H
#define SYNC_FOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arango/errors.h"
#include "base/buf.h"
#include "json/scan.h"

struct fold;

struct fold_opts {
	size_t		 max_body;	/* a request; default 8 MiB */
	size_t		 alone;		/* a document from here on has a body
					 * of its own; default 1 MiB */
	size_t		 max_doc;	/* beyond: a dead letter; default 1 GiB
					 * less what HTTP adds */
	size_t		 max_batch;	/* bytes of lines; default 32 MiB */
	size_t		 max_ops;	/* lines; default 200,000 */
	unsigned int	 max_rounds;	/* of retries; default 10 */
	bool		 strip_rev;
	/* Bodies of upserts from here on are not written, but read with
	 * fold_body_read(); 0: none.  Not with strip_rev. */
	size_t		 unwritten;
};
#define FOLD_OPTS_DEFAULTS						\
	.max_body = (size_t)8 << 20, .alone = (size_t)1 << 20,		\
	.max_doc = ((size_t)1 << 30) - 4096,				\
	.max_batch = (size_t)32 << 20, .max_ops = 200000,		\
	.max_rounds = 10
#define FOLD_OPTS_INIT	{ FOLD_OPTS_DEFAULTS }

struct fold *fold_new(const struct fold_opts *o);
void	fold_free(struct fold **f);
/* Forget the batch, keep the memory and the floor. */
void	fold_reset(struct fold *f);
/*
 * Operations with ticks not above it are left out (R1, R8, R15); barriers
 * too.  0, the default, leaves out nothing.
 */
void	fold_set_floor(struct fold *f, uint64_t tick);

enum fold_take {
	FOLD_TOOK,
	FOLD_FULL,		/* not taken: empty the fold first */
	FOLD_TRUNCATE,		/* taken: apply and commit what is folded,
				 * truncate, commit (R12) */
	FOLD_ENDED		/* 2000, 2001: the shard's log ends here (R5);
				 * apply nothing that comes behind */
};

/*
 * One line without its "\n".  enum fold_take, or ERR_FORMAT (m tells what).
 * After FOLD_TRUNCATE and FOLD_ENDED every line is FOLD_FULL until reset.
 * Types that say nothing about documents are taken and left out.  The lines of
 * a transaction that ends with 2202 are taken back.
 */
int	fold_line(struct fold *f, const char *line, size_t len,
	    struct err_msg *m);
/*
 * Lines with "\n" between them and at the end; stops at what is not
 * FOLD_TOOK.  *used counts the bytes that need not be fed again.
 */
int	fold_lines(struct fold *f, const char *data, size_t len, size_t *used,
	    struct err_msg *m);

/*
 * The same for a document that does not come from a WAL (a dump, a fetch): no
 * tick, no floor.  removal: {"_key":".."} is enough.
 */
int	fold_doc(struct fold *f, const char *doc, size_t len, bool removal,
	    struct err_msg *m);

struct fold_counts {
	uint64_t	 lines;		/* taken */
	uint64_t	 bytes;		/* of them */
	uint64_t	 operations;	/* 2300 and 2302 above the floor */
	uint64_t	 skipped;	/* not above it */
	uint64_t	 others;	/* say nothing about documents */
	uint64_t	 discarded;	/* by 2202 */
	size_t		 upserts, removals;	/* after fold_begin() */
	uint64_t	 last_tick;	/* highest that was seen, 0: none */
	size_t		 dead;		/* refused for ever */
	size_t		 conflicts;	/* 1210 after the rest was tried */
};
const struct fold_counts *fold_counts(const struct fold *f);

/* ---- to the target ------------------------------------------------------ */

enum fold_next {
	FOLD_DONE,		/* all is applied, or a dead letter */
	FOLD_BODY,
	FOLD_WAIT,		/* bodies are out, their answers decide */
	FOLD_PAUSE,		/* call again after a while */
	FOLD_RESOLVE,		/* conflicts to be removed */
	FOLD_STUCK		/* the rounds are used up; fold_trouble() */
};

enum fold_kind {
	FOLD_REMOVALS,
	FOLD_UPSERTS
};

struct fold_body {
	enum fold_kind	 kind;
	size_t		 count;		/* elements */
	size_t		 first;		/* private */
	unsigned int	 round;		/* 0: the first time */
	bool		 alone;		/* one large document */
	bool		 open;		/* private: not answered yet */
	size_t		 unwritten;	/* bytes for fold_body_read(); 0: all of
					 * it was written */
	size_t		 at, element, off;	/* private: of what was read */
};

void	fold_begin(struct fold *f);
/*
 * The next body, a JSON array, appended to out (give each body in flight its
 * own buffer), unless it is to be read.  Elements are as in body->count.
 */
enum fold_next fold_next(struct fold *f, struct buf *out,
	    struct fold_body *body);
/*
 * At most n bytes of a body with unwritten != 0, from offset at on: 0, where the
 * last piece ended, or 0 again.  Returns how many; fewer than n at the end only.
 */
size_t	fold_body_read(struct fold *f, struct fold_body *body, size_t at,
	    uint8_t *p, size_t n);
/* What is to be done about an answer; arango_react() and its sister. */
typedef enum arango_reaction fold_react_fn(int num, int status);
/*
 * An element of the body was refused.  pos SIZE_MAX: it is not known which,
 * so the whole body is sent again.  key in the way (1210) or NULL; index it
 * is in or NULL.  Before fold_answered().
 */
void	fold_element(struct fold *f, const struct fold_body *body, size_t pos,
	    int num, const char *conflict, const char *index,
	    fold_react_fn *react);
/* The body was executed; elements that were not named are applied. */
void	fold_answered(struct fold *f, struct fold_body *body);
/*
 * The body as a whole was not executed, or nobody knows: the same elements
 * come again first, with ARANGO_SPLIT in smaller bodies.
 */
void	fold_unsent(struct fold *f, struct fold_body *body,
	    enum arango_reaction reaction);
/* The gravest reaction since fold_begin() or the last call; resets it. */
enum arango_reaction fold_trouble(struct fold *f);

struct fold_conflict {
	struct scan_span key;		/* refused: decoded bytes */
	const char	*in_the_way;	/* key to be removed; NULL: not told */
	const char	*index;		/* or NULL */
	/* in_the_way was written by this very batch: the source has both, so it
	 * has no such index.  Drop the index at the target instead. */
	bool		 foreign_index;
};
/* i = 0 .. until ERR_NOT_FOUND; only at FOLD_RESOLVE. */
int	fold_conflict_at(struct fold *f, size_t i, struct fold_conflict *c);
/*
 * What is in the way was removed (and owed): upserts of this batch for those
 * very keys, if any, are made once more.
 */
void	fold_resolved(struct fold *f);
/*
 * The other way out of FOLD_RESOLVE: the refused documents have been made owed
 * and are left out of this batch.
 */
void	fold_leave(struct fold *f);

/* Elements that will never be taken: number (0: too big for HTTP). */
struct fold_dead {
	struct scan_span key;		/* decoded bytes */
	struct scan_span rev;		/* as text without quotes, or p NULL */
	int		 num;
	size_t		 bytes;		/* of the document */
};
int	fold_dead_at(struct fold *f, size_t i, struct fold_dead *d);
/*
 * Keys that were written or removed by this batch, for owed keys and dead
 * letters that they clear (R13, R17): calls fn for each.  After FOLD_DONE.
 */
void	fold_each_key(struct fold *f, void (*fn)(void *arg, const void *key,
	    size_t len, bool removed), void *arg);
/* Does this batch write or remove the key, and how? */
bool	fold_has_key(struct fold *f, const void *key, size_t len,
	    bool *removed);

/* ---- a document --------------------------------------------------------- */

/*
 * `_key` and `_rev` of a JSON document, found without a tree: spans without
 * quotes, escapes as they came; rev.p NULL when absent.  0, or ERR_FORMAT (no
 * object, no _key string).
 */
struct doc_head {
	struct scan_span key, rev;
	bool		 key_escaped;
};
int	doc_head(const char *doc, size_t len, struct doc_head *h);

#endif
