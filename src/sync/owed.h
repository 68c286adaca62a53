/*
 * owed.h - what a pair still owes the target: keys that were removed to let
 * another document in (R13), and documents that the target refused for ever,
 * the dead letters (R17).
 *
 * One file per pair, made when there is something to note, appended to, read
 * once at opening.  A key is owed from
 * the moment owed_add() and owed_sync() returned: only then may the document
 * be removed.  What clears entries needs no sync: after a crash a document is
 * fetched once too often.
 *
 * File: a header with magic, version and the name of the channel, then
 * records: length, CRC32C, type, payload.  A torn record at the end is cut,
 * other damage is ERR_CORRUPT.  Rewritten (fsx_replace) when most of it is
 * history.
 *
 * A full disk is a state: -ENOSPC or -EDQUOT (err_is_full()) of a function that
 * notes something says that it is not noted, and may be tried again.  After a
 * failed sync nothing is known about the disk: the journal refuses everything,
 * and the process should end (ERR_STORAGE).
 */
#ifndef SYNC_OWED_H
#define SYNC_OWED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct owed;

#define OWED_KEY_MAX	4096	/* arangod takes 254 */
#define OWED_TEXT_MAX	512	/* a reason; longer ones are cut */

struct owed_dead {
	const void	*key;
	size_t		 key_len;
	int		 num;		/* errorNum, 0: too big for HTTP */
	uint64_t	 rev;		/* 0: not known */
	uint64_t	 wall_us;	/* when */
	const char	*text;		/* the server's sentence, or "" */
};

/*
 * channel: "db/cid/3"; a file of another channel is ERR_EXISTS.  *cut (may be
 * NULL) gets the bytes of a torn record.
 */
int	owed_open(const char *path, const char *channel, struct owed **o,
	    uint64_t *cut, struct err_msg *m);
void	owed_close(struct owed **o);
/* Close and remove: the channel is gone. */
int	owed_remove(struct owed **o);

/* Owe a key; 0 also when it is owed already. */
int	owed_add(struct owed *o, const void *key, size_t len);
/* It fits, or is gone at the source. */
int	owed_clear(struct owed *o, const void *key, size_t len);
bool	owed_has(const struct owed *o, const void *key, size_t len);
size_t	owed_count(const struct owed *o);

int	owed_dead_add(struct owed *o, const struct owed_dead *d);
int	owed_dead_clear(struct owed *o, const void *key, size_t len);
size_t	owed_dead_count(const struct owed *o);
/*
 * A later operation on that key was applied: it is owed no more, and a dead
 * letter no more.
 */
int	owed_applied(struct owed *o, const void *key, size_t len);
/* The shard was emptied: nothing is owed. */
int	owed_clear_all(struct owed *o);

/* Everything before is on disk. */
int	owed_sync(struct owed *o);
/*
 * Each owed key, each dead letter, oldest first; nonzero of fn stops and is
 * returned.  fn may clear what it is called for.
 */
int	owed_each(struct owed *o, int (*fn)(void *arg, const void *key,
	    size_t len), void *arg);
int	owed_dead_each(struct owed *o, int (*fn)(void *arg,
	    const struct owed_dead *d), void *arg);
uint64_t owed_file_bytes(const struct owed *o);

#endif
