/*
 * check.h - looking at queues without their writer, for the commands
 * `arangosync queue list|check|dump DIR [CHANNEL]`.
 *
 * Nothing here changes a file or takes a lock; queues may be in use.  DIR is a
 * data directory, the directory with the queues, or one channel's directory:
 * every directory in it, up to four levels down, that holds a segment is a
 * channel, and is called by its path below DIR ("." for DIR itself).
 *
 * Exit codes of the commands: 0 good, 1 damaged or unreadable.
 */
#ifndef QUEUE_CHECK_H
#define QUEUE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "queue/queue.h"
#include "queue/reader.h"

enum queue_condition {
	QUEUE_COND_CLEAN,	/* closed by its writer */
	QUEUE_COND_OPEN,	/* in use, or to be recovered */
	QUEUE_COND_TORN,	/* the same, with a torn record at the end */
	QUEUE_COND_DAMAGED,	/* see problem */
	QUEUE_COND_COUNT
};

/* "clean", "open", "torn", "damaged" */
const char *queue_condition_name(enum queue_condition c);

struct queue_info {
	const char		*name;		/* as in the list */
	const char		*path;
	struct queue_channel	 channel;	/* of the last segment */
	bool			 locked;	/* a writer has it now */
	uint64_t		 epoch;
	uint64_t		 segments;
	uint64_t		 bytes;		/* on disk */
	uint64_t		 offset_first;	/* the oldest record */
	uint64_t		 offset_end;	/* behind the last record */
	uint64_t		 created_us;	/* the last segment */
	struct queue_mark	 mark_first;	/* before the oldest record */
	struct queue_mark	 mark_last;	/* of the last boundary */
	uint64_t		 mark_offset;	/* where that one ends */
	/* Filled in by a full check only: */
	uint64_t		 records, ops;
	uint64_t		 raw_bytes, stored_bytes;
	/* Always: */
	enum queue_condition	 condition;
	uint64_t		 torn_bytes;
	struct err_msg		 problem;	/* the first damage */
	uint64_t		 problems;	/* how many */
};

/*
 * Call fn for every channel of `dir` (or only `channel`, when not NULL), in
 * the order of their names.  Reads headers and the last segment.  info is
 * valid during the call; fn returns nonzero to end, which is returned.
 * ERR_NOT_FOUND when there is no such directory or channel.
 */
int	queue_list(const char *dir, const char *channel,
	    int (*fn)(const struct queue_info *info, void *arg), void *arg,
	    struct err_msg *em);

/*
 * The same, reading every byte: all CRCs, the chain of segments, ticks.
 * on_problem (may be NULL) is called for each damage as it is found, with
 * "FILE: offset N: what".
 */
int	queue_check(const char *dir, const char *channel,
	    int (*fn)(const struct queue_info *info, void *arg),
	    void (*on_problem)(const char *sentence, void *arg), void *arg,
	    struct err_msg *em);

enum queue_dump_format {
	QUEUE_DUMP_TEXT,	/* one line a record, then its lines */
	QUEUE_DUMP_JSON		/* one JSON object a line */
};

struct queue_dump_opts {
	enum queue_dump_format	 format;
	bool			 with_payload;	/* the lines themselves */
	/* Bytes at the beginning of a payload that are not lines; NULL: none.
	 * Never called with a damaged payload. */
	size_t			(*head)(const uint8_t *payload, size_t len);
	uint64_t		 from_offset;	/* skip records before */
	uint64_t		 tick_after;	/* skip records up to it */
	uint64_t		 limit;		/* records; 0: all */
};

/*
 * Print the records of one channel, segment by segment; damage is printed
 * where it is ("FILE: offset N: what") and ends that segment.  JSON:
 *
 *	{"epoch":1,"segment":1,"offset":0,"end":104,"tickFrom":"1","tickTo":"9",
 *	 "rebootId":1,"operations":1,"boundary":true,"continued":false,
 *	 "time":"..","codec":"none","bytes":5,"storedBytes":5,
 *	 "payload":"...."}
 *
 * (on one line; damage: {"problem":"..."}).  Bytes of a payload that are not
 * UTF-8 become U+FFFD in JSON.  Returns 0, ERR_CORRUPT when there was damage,
 * ERR_NOT_FOUND, or -errno when writing to `out` failed.
 */
int	queue_dump(const char *dir, const char *channel,
	    const struct queue_dump_opts *opts, FILE *out, struct err_msg *em);

#endif
