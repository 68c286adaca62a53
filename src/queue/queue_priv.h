/* queue_priv.h - what the files of the writer share.  Internal. */
#ifndef QUEUE_QUEUE_PRIV_H
#define QUEUE_QUEUE_PRIV_H

#include "queue/codec.h"
#include "queue/format.h"
#include "queue/queue.h"

/* A segment file of ours; its end is the base of the next one. */
struct queue_seg {
	uint64_t	epoch, number, base;
	uint64_t	bytes;		/* size of the file */
};

struct queue {
	char			*dir;
	int			 lock_fd;
	struct queue_channel	 channel;
	struct queue_opts	 opts;
	uint64_t		 epoch;		/* of what is appended now */
	uint64_t		 next_number;
	struct queue_pos	 received, durable;
	uint64_t		 acked;
	struct queue_seg	*segs;		/* oldest first */
	size_t			 n_segs, segs_cap;
	/*
	 * The segment that is appended to, the last of segs; -1: the next
	 * append makes one.  Nothing is ever appended to a file of an earlier
	 * opening.
	 */
	int			 fd;
	uint32_t		 header_bytes;	/* of that segment */
	bool			 dirty;		/* received > durable */
	bool			 wrong_server;	/* discard first */
	enum queue_state	 state;
	char			*error;
	uint64_t		 delete_failures;
	uint64_t		 unchecked_bytes; /* since free space seen */
	struct codec		*codec;
	struct queue_set	*set;
	size_t			 set_at;	/* in its list, while dirty */
};

/* recover.c */
int	queue_recover(struct queue *q, const struct queue_channel *c,
	    struct queue_recovery *rec, struct err_msg *em);

/* writer.c */
struct queue_seg *queue_push_seg(struct queue *q);
/* A higher one than before, and higher than any that was lost: the clock. */
uint64_t queue_new_epoch(uint64_t last);
/*
 * Make what was appended durable (unless flags say that it is discarded),
 * then begin a segment.  0, -ENOSPC or ERR_STORAGE (failed).
 */
int	queue_start_segment(struct queue *q, uint32_t flags,
	    struct err_msg *em);
/* The queue is of no use any more; returns ERR_STORAGE. */
int	queue_fail(struct queue *q, struct err_msg *em, const char *what,
	    int err);
/* ERR_STORAGE and the sentence when it has failed. */
int	queue_refuse(const struct queue *q, struct err_msg *em);
void	queue_note_durable(struct queue *q);
/* Delete the first n segments; stops at one that cannot be. */
void	queue_delete_segments(struct queue *q, size_t n);
/* All of them, newest first; the next append begins one.  0 or ERR_STORAGE. */
int	queue_delete_all(struct queue *q, struct err_msg *em);

/* set.c */
void	queue_set_note_dirty(struct queue *q);
void	queue_set_note_clean(struct queue *q);

#endif
