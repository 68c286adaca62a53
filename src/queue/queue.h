/*
 * queue.h - the persistent queue of one channel: its single writer.
 *
 * A channel is the stream of one incarnation of one shard to one target.  Its
 * queue is a directory of append-only segments (format: arangosync-queue(5)).
 * One writer has the directory locked; any number of readers follow it through
 * the files, in this process or in others (reader.h).
 *
 * The queue is a cache of the source's WAL.  Readers get a record as soon as
 * it is written, without waiting for the disk: what the power takes away is
 * read again from the WAL.  Two things follow.  What the source may forget is
 * told by queue_durable() only, never by queue_received().  And an opening
 * that does not find a clean end starts a new epoch: positions of different
 * epochs have only their ticks in common.
 *
 * A record is a piece of one response of the source's WAL tail; the last one
 * of a response has QUEUE_BOUNDARY.  WAL is read again from boundaries only,
 * so recovery also drops the records of a response that was not finished.
 *
 * Order of calls: queue_open, any of the others, queue_close.  Functions
 * return 0 or a negative error (base/err.h):
 *
 *	-ENOSPC		the disk is full, or less is free than must be: a
 *			state.  Nothing was appended; reading, acknowledging
 *			and deleting go on; the same append may be tried again.
 *			From queue_sync(): what was not durable yet is cut off
 *			and the queue is to be abandoned and opened again; it
 *			refuses the rest.
 *	ERR_STORAGE	a write or an fsync failed otherwise: nobody knows what
 *			is on the disk.  This queue refuses everything from now
 *			on (queue_error() says why); queue_abandon() it.  After
 *			an fsync the file was cut behind what had been durable,
 *			so that the next opening does not take for durable what
 *			the kernel has in memory only.
 *	ERR_CORRUPT	at opening: damage that no power cut explains, with
 *			file and offset in the sentence.  Nothing was changed.
 *			Set the channel aside (queue_set_aside) and repair it.
 *	ERR_RANGE	ticks or sizes of a record that cannot be; not written.
 *
 * Memory: about 1 KiB for a queue, and two descriptors; with zstd the context
 * of the compressor once it was used.  Appending allocates nothing.
 */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include <sys/uio.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define QUEUE_SEGMENT_BYTES	(64u << 20)	/* default size of a segment */
#define QUEUE_RECORD_MAX_BYTES	(16u << 20)	/* payload of one record */
#define QUEUE_IOV_MAX		62		/* pieces of one append */
#define QUEUE_NAME_BYTES	256		/* of queue_channel_name() */

struct queue;
struct queue_set;

/* Whose stream it is; kept in the header of every segment. */
struct queue_channel {
	char		cluster[64];	/* id of the source cluster */
	char		server[64];	/* DB-server whose ticks these are */
	char		database[192];
	char		collection[288];/* for people; may change */
	uint64_t	cid;		/* collection id: the incarnation */
	uint32_t	shard;		/* index of the shard */
};

/* What a position is called in the history of the DB-server (R15). */
struct queue_mark {
	uint64_t	tick;		/* position in its WAL */
	uint64_t	reboot_id;	/* 0: unknown */
	uint32_t	line_crc;	/* CRC32C of the last line; 0: none */
};

/*
 * A position: behind the record that ends at `offset`.  Offsets count the
 * bytes of all records ever written to the queue; they never go back within
 * an epoch.
 */
struct queue_pos {
	uint64_t		epoch;
	uint64_t		offset;
	/* Of the last finished response at or before `offset`: where the WAL
	 * can be read on from. */
	struct queue_mark	mark;
	uint64_t		mark_offset;	/* where that response ends */
};

enum queue_codec {
	QUEUE_CODEC_NONE = 0,
	QUEUE_CODEC_ZSTD = 1
};

/* Flags of a record. */
#define QUEUE_BOUNDARY	1	/* last record of its tail response */
#define QUEUE_CONTINUED	2	/* its last line goes on in the next record */

/* What a record says of itself. */
struct queue_meta {
	uint64_t	tick_from;	/* exclusive */
	uint64_t	tick_to;	/* inclusive */
	uint64_t	reboot_id;	/* of the DB-server */
	uint32_t	line_crc;	/* of the response's last line, with
					 * QUEUE_BOUNDARY */
	uint32_t	ops;		/* operations (lines) in it */
	uint8_t		flags;
};

struct queue_opts {
	uint32_t		segment_bytes;	/* 0: QUEUE_SEGMENT_BYTES */
	uint64_t		quota_bytes;	/* on disk; 0: none */
	uint64_t		min_free_bytes;	/* leave so much of the disk */
	enum queue_codec	codec;
	int			zstd_level;	/* 0: 1, fast */
	struct queue_mark	start;		/* where a new queue begins */
};

/* What opening found, for one line in the log. */
struct queue_recovery {
	bool		fresh;		/* there was no queue */
	bool		clean;		/* the last writer had closed it */
	uint64_t	epoch;		/* the one that holds from now on */
	uint64_t	segments;
	uint64_t	torn_bytes;	/* cut: a record that was not whole */
	uint64_t	unfinished_records; /* cut: response without its end */
	uint64_t	unfinished_segments; /* the same, whole files */
	uint64_t	leftovers;	/* temporary, discarded files: removed */
	bool		delete_failed;	/* of those; harmless */
	bool		server_changed;	/* the files are of another DB-server:
					 * queue_discard_all() comes first,
					 * appending is ERR_BAD_STATE */
};

enum queue_state {
	QUEUE_OK,
	QUEUE_FULL,		/* no space: appends are refused */
	QUEUE_FAILED		/* ERR_STORAGE */
};

struct queue_usage {
	uint64_t	disk_bytes;	/* of all segments */
	uint64_t	unacked_bytes;	/* written, not acknowledged */
	uint64_t	undurable_bytes; /* written, not known to be on disk */
	uint64_t	segments;
	uint64_t	quota_bytes;
	bool		over_quota;	/* disk_bytes > quota_bytes: detach
					 * (R4); nothing is refused for it */
	enum queue_state state;
	uint64_t	delete_failures; /* consumed segments still there */
};

/* "ok", "full", "failed" */
const char *queue_state_name(enum queue_state state);
/* "none", "zstd", or NULL for another number. */
const char *queue_codec_name(unsigned int codec);
/* Is the codec built in? */
bool	queue_codec_usable(enum queue_codec codec);

/*
 * Name of the channel's directory: database (what is not a letter, digit, '_'
 * or '-' as %XX, cut when long), collection id, shard index:
 * "mydb.10049.3".  Unique by the collection id.
 */
char	*queue_channel_name(const struct queue_channel *c,
	    char name[QUEUE_NAME_BYTES]);

/*
 * Open the queue in directory `dir` (made if missing, mode 0700), lock it,
 * recover it.  Reads the headers of all segments and the last segment; writes
 * nothing until the first append, except for cutting.  `opts` NULL: defaults.
 * `rec` may be NULL.  Cluster, database, cid and shard must be those of the
 * files.  Errors: -EWOULDBLOCK (another writer has it), ERR_CORRUPT,
 * ERR_VERSION (a newer format), ERR_EXISTS (the files are another channel's),
 * ERR_USAGE (codec not built in), -errno.
 */
int	queue_open(const char *dir, const struct queue_channel *c,
	    const struct queue_opts *opts, struct queue **q,
	    struct queue_recovery *rec, struct err_msg *em);
/*
 * Make all durable and mark the end as clean, so that the next opening goes on
 * in this epoch; remove what is acknowledged.  *q is freed and NULL whatever
 * is returned.  Inside a response (no boundary yet) or after an error the end
 * is not marked.
 */
int	queue_close(struct queue **q, struct err_msg *em);
/* Let go of everything as a crash would.  Accepts NULL. */
void	queue_abandon(struct queue **q);

/*
 * Append one record: the concatenation of n pieces (n <= QUEUE_IOV_MAX, at
 * most QUEUE_RECORD_MAX_BYTES).  tick_from must not be below the last
 * boundary's tick, and tick_to above tick_from when there are operations.
 * Within a response records may repeat ticks: a tail that starts the response
 * again may append its lines again.
 */
int	queue_append(struct queue *q, const struct queue_meta *meta,
	    const struct iovec *iov, int n, struct err_msg *em);

/*
 * Group commit: one fdatasync for all that was appended.  Cheap when nothing
 * was.  For a timer.
 */
int	queue_sync(struct queue *q, struct err_msg *em);
bool	queue_is_dirty(const struct queue *q);

/* Behind the last record appended. */
void	queue_received(const struct queue *q, struct queue_pos *pos);
/* Behind the last record known to be on disk.  Its mark is what the source
 * may forget. */
void	queue_durable(const struct queue *q, struct queue_pos *pos);
/* Behind the last record that the consumer acknowledged (queue_ack). */
uint64_t queue_acked(const struct queue *q);
void	queue_get_usage(const struct queue *q, struct queue_usage *u);
enum queue_state queue_get_state(const struct queue *q);
/* Why it failed, or "" . */
const char *queue_error(const struct queue *q);
const char *queue_dir(const struct queue *q);

/*
 * The consumer needs nothing below `offset` of this epoch any more: segments
 * that end at or before it are deleted, oldest first.  A segment that could
 * not be deleted is counted (queue_get_usage) and tried again next time.
 * In an older epoch it counts as far as that epoch's records were kept.  An
 * epoch that is unknown, or what was acknowledged already: nothing happens.
 * ERR_RANGE for what was never written.  Segments of a response that has not
 * ended stay, because recovery may have to go back to where it began.
 * When all is acknowledged and the segment in use is large, it is replaced by
 * an empty one; when there is no room even for that, by none.
 */
int	queue_ack(struct queue *q, uint64_t epoch, uint64_t offset,
	    struct err_msg *em);
/* The same replacement whatever its size: for a channel that goes idle, and
 * when space is short. */
int	queue_trim(struct queue *q, struct err_msg *em);

/*
 * Forget all records and start a new epoch at `start` with channel `c` (the
 * DB-server may be another one); durable when it returns 0.  For resets:
 * change of leader, repair.  It makes room: without space for a new segment
 * all old ones go first, newest first, and a crash between leaves the begin of
 * the old queue, or none.  After an error the queue has failed.
 */
int	queue_discard_all(struct queue *q, const struct queue_channel *c,
	    const struct queue_mark *start, struct err_msg *em);

/*
 * Rename a damaged channel's directory to "DIR.damaged-TIME", durably, and
 * write the new name to `to` (may be NULL), so that the channel can start
 * anew and an operator can look.  The queue must not be open.
 */
int	queue_set_aside(const char *dir, char *to, size_t to_size,
	    struct err_msg *em);

/*
 * Group commit of many queues of one file system (R26).  A queue that is
 * added puts itself on the list of dirty ones with its first append.
 * `dir` is the data directory; when it is the root of a file system of its
 * own and more than 16 queues are dirty, one syncfs replaces the fsyncs.
 */
struct queue_set *queue_set_new(const char *dir);
/* After its queues were closed. */
void	queue_set_free(struct queue_set **set);
/* A queue leaves the set by itself when it is closed. */
void	queue_set_add(struct queue_set *set, struct queue *q);
size_t	queue_set_dirty(const struct queue_set *set);
/*
 * Make all dirty queues durable.  done (may be NULL) is called for each of
 * them with the result; it may close or abandon that queue, no other one.
 * Returns the number of queues that failed.
 */
size_t	queue_set_sync(struct queue_set *set,
	    void (*done)(struct queue *q, int err, void *arg), void *arg);

#endif
