/*
 * receive_inbox.h - what came down the channel and has not been worked on yet.
 *
 * Lines of records and documents of a snapshot are gathered in a block, and a
 * batch is whatever has come while the last one was applied.  Long records stay
 * in the memory in which they came.  The other bulk messages wait in a list.
 *
 * Credits (sync/channel.h) are given for what was taken out.  A line that is
 * longer than the window is let in nevertheless: while a block holds no whole
 * line nothing could be taken.
 */
#ifndef RECEIVE_RECEIVE_INBOX_H
#define RECEIVE_RECEIVE_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "sync/channel.h"

/*
 * A busy pair should have 2 MiB at both ends.  Here, in KiB: records that wait
 * and those that are being applied share the window, 640, and may overrun it by
 * one piece of 240 that was under way; the next batch comes while one is
 * applied, so each is about half of that.  Bodies are sent from the records,
 * through 128 of libcurl.  With 64 for the answer, 100 for what the fold knows
 * of the documents and 250 that every process has it is 1.4 MiB; measured were
 * 1.2 to 1.5 on average, and 2.0 at most with what malloc loses between them.
 */
#define INBOX_WINDOW_LIVE	((uint64_t)640 * 1024)
#define INBOX_WINDOW_BULK	((uint64_t)512 * 1024)
/* A block larger than this is given back when it is empty; smaller ones, when
 * all is quiet. */
#define INBOX_KEEP_BYTES	((size_t)1024 * 1024)
/* No line or document is longer: an answer of arangod is not, either. */
#define INBOX_LINE_MAX		((size_t)1536 * 1024 * 1024)

/* Whole lines: of one record in its memory, or of several, gathered. */
struct inbox_part {
	struct inbox_part *next;
	struct buf	 memory;
	size_t		 at;		/* in it: where they begin */
};

struct inbox_lines {
	struct inbox_part *first, *last;
};

struct inbox_block {
	struct inbox_lines lines;	/* before the text */
	struct buf	 text;
	size_t		 whole;		/* of text: lines that are complete */
	uint64_t	 payload;	/* credit that it holds */
	bool		 boundary;	/* a response ended in it, */
	struct sync_pos	 pos;		/* the last one here */
};

/* SUMS, PAIRS or DOCS. */
struct inbox_piece {
	struct inbox_piece *next;
	uint16_t	 type;
	size_t		 len;
	uint8_t		 data[];
};

struct inbox {
	struct inbox_block now;
	/* A cut that is not done parts the stream: what comes behind it. */
	struct inbox_block later;
	bool		 parted;
	struct inbox_block snap;	/* documents of SNAP */
	struct inbox_piece *first, **last;
	uint64_t	 pieces_payload;
	uint64_t	 taken;		/* of lines that are being applied */
	uint64_t	 live_in, bulk_in;	/* since the subscription */
	uint64_t	 live_said, bulk_said;	/* totals allowed */
};

void	inbox_init(struct inbox *in);
/* A new subscription. */
void	inbox_reset(struct inbox *in);
void	inbox_free(struct inbox *in);

/*
 * MSG_CH_RECORD, MSG_CH_SNAP, or a piece.  0; ERR_PROTOCOL when it is more
 * than was allowed, ERR_TOO_BIG, or what the decoder says.
 */
int	inbox_record(struct inbox *in, const void *p, size_t len);
/* As inbox_record() with the message in memory from `at` on; if it can stay
 * there the memory is taken, and *memory is empty. */
int	inbox_record_memory(struct inbox *in, struct buf *memory, size_t at);
int	inbox_snap(struct inbox *in, const void *p, size_t len);
int	inbox_piece(struct inbox *in, uint16_t type, const void *p, size_t len);

/* Is there anything that inbox_take() would give? */
bool	inbox_has(const struct inbox_block *b);
/*
 * Whole lines into out (whose former content is forgotten), and what boundary
 * was among them.
 */
void	inbox_take(struct inbox_block *b, struct buf *out, bool *boundary,
	    struct sync_pos *pos);
/*
 * The same for the records of now.  *out must be empty.  They keep their credit
 * until inbox_lines_done(), which frees them.
 */
void	inbox_take_lines(struct inbox *in, struct inbox_lines *out,
	    bool *boundary, struct sync_pos *pos);
void	inbox_lines_done(struct inbox *in, struct inbox_lines *l);
/* Nothing at all is in it, not even a part of a line. */
bool	inbox_is_empty(const struct inbox *in);
/* The next piece or NULL; free() it. */
struct inbox_piece *inbox_next(struct inbox *in);

/* A cut came; it is done: what came behind it is next. */
void	inbox_part(struct inbox *in);
void	inbox_join(struct inbox *in);

/* Give back the memory of all blocks that are empty. */
void	inbox_quiet(struct inbox *in);
/* Empty a block; a large one gives its memory back. */
void	inbox_forget(struct buf *b);

/* New totals, worth a message: true. */
bool	inbox_credit(struct inbox *in, uint64_t *live, uint64_t *bulk);

#endif
