/*
 * segment.h - the segments of a channel's directory, and walking through one.
 * Internal to src/queue: used by writer, reader and inspection alike, so that
 * all three agree on what a torn end is.
 */
#ifndef QUEUE_SEGMENT_H
#define QUEUE_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "queue/format.h"

#define SEG_WINDOW_BYTES	(64 * 1024)
#define SEG_NAME_BYTES		48
#define SEG_LOCK_NAME		"lock"

/* A file of the directory; name: 16 hex digits epoch, '-', 16 number, .seg */
struct seg_file {
	uint64_t		 epoch, number;
	uint64_t		 size;		/* when the header was read */
	struct fmt_segment	 h;
};

/* All segments in the order of epoch and number. */
struct seg_list {
	struct seg_file	*v;
	size_t		 n, cap;
};

#define SEG_LIST_INIT	{ NULL, 0, 0 }

char	*seg_name(uint64_t epoch, uint64_t number, char name[SEG_NAME_BYTES]);
/* "DIR/NAME"; free() it. */
char	*seg_path(const char *dir, uint64_t epoch, uint64_t number);
/* Is this the name of a segment? */
bool	seg_parse_name(const char *name, uint64_t *epoch, uint64_t *number);
/* The temporary file of a creation that was interrupted? */
bool	seg_is_leftover(const char *name);

/*
 * The segments that are there, without their headers.  Other files are no
 * business of the queue.  A directory that does not exist has none.
 */
int	seg_list_names(const char *dir, struct seg_list *l);
/* The same with headers, each checked alone. */
int	seg_list_read(const char *dir, struct seg_list *l, struct err_msg *em);
/* Open one for reading and read its header; *fd >= 0 on success. */
int	seg_open(const char *dir, struct seg_file *f, int *fd,
	    struct err_msg *em);
/*
 * Index of the first segment that counts (FMT_SEG_DISCARDS), and whether each
 * one from there on continues the one before: ERR_CORRUPT and the sentence.
 */
int	seg_list_check(const char *dir, const struct seg_list *l,
	    size_t *first, struct err_msg *em);
/* Read and check, for those who do not have the lock: again when a writer
 * added or deleted segments meanwhile. */
int	seg_list_load(const char *dir, struct seg_list *l, size_t *first,
	    struct err_msg *em);
void	seg_list_free(struct seg_list *l);

/*
 * Walking through the records of one segment.  `end` is how far it goes: the
 * base offset of the next segment (sealed), or the offset that the size of
 * the file makes of it.
 */
struct seg_cursor {
	int		 fd;		/* the caller's */
	uint64_t	 epoch, number, base;
	uint32_t	 header_bytes;
	uint64_t	 pos;		/* offset of the next record */
	uint64_t	 end;		/* offset */
	bool		 sealed;
	uint8_t		*win;		/* SEG_WINDOW_BYTES; NULL at first */
	uint64_t	 win_at;	/* file position of win[0] */
	size_t		 win_len;
};

void	seg_cursor_init(struct seg_cursor *c, int fd,
	    const struct fmt_segment *h);
void	seg_cursor_free(struct seg_cursor *c);
/* Not sealed: the file has this size now. */
void	seg_cursor_set_size(struct seg_cursor *c, uint64_t size);
/* Sealed by a successor. */
void	seg_cursor_seal(struct seg_cursor *c, uint64_t end);
/* Position of an offset in the file. */
uint64_t seg_cursor_file_at(const struct seg_cursor *c, uint64_t offset);

/*
 * Header of the record at pos: 1; 0 at the end; ERR_TRUNCATED when it, or its
 * payload, goes beyond the end; ERR_FORMAT, ERR_CORRUPT, ERR_RANGE when there
 * is no record; -errno.
 */
int	seg_cursor_header(struct seg_cursor *c, struct fmt_record *r);
/*
 * The stored payload of that record: checked, and appended to out unless that
 * is NULL.  0, ERR_CORRUPT, ERR_TRUNCATED (the file became shorter), -errno.
 */
int	seg_cursor_payload(struct seg_cursor *c, const struct fmt_record *r,
	    struct buf *out);
/* Go behind it. */
void	seg_cursor_skip(struct seg_cursor *c, const struct fmt_record *r);

/*
 * There is no whole record at pos, in the last segment.  Was it there once?
 * Yes when a record behind it says that everything below an offset beyond pos
 * was on disk: ERR_CORRUPT.  Otherwise, 0: it is the torn tail of a crash (a
 * power cut may keep later pages and lose earlier ones).
 */
int	seg_cursor_judge(struct seg_cursor *c);

/* "FILE: offset N: " and what; returns err. */
int	seg_damage(struct err_msg *em, const char *dir, uint64_t epoch,
	    uint64_t number, uint64_t file_at, int err);

#endif
