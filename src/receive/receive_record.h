/*
 * receive_record.h - what the target remembers of a pair (R15), in a file of
 * its own: <data_dir>/applied/<db>.<cid>.<shard>.
 *
 *	41 53 52 43 0d 0a 1a 00	magic; CR LF ^Z reveal a copy in text mode
 *	01 00			version
 *	str			cluster id of the source
 *	str u64 u32		channel (channel_name_put())
 *	u64			a lost request may still run until then (R16),
 *				wall clock in microseconds; 0: none
 *	...			shard_record_put()
 *	cc cc cc cc		CRC32C of all before it
 *
 * Replaced whole; integers as in ipc/codec.h.
 */
#ifndef RECEIVE_RECEIVE_RECORD_H
#define RECEIVE_RECEIVE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sync/channel.h"

struct receive_record {
	uint64_t		 suspect_us;
	struct shard_record	 shard;
};

/* Path of the record, or with a suffix of what belongs to it; free() it. */
char	*receive_record_path(const char *data_dir,
	    const struct channel_name *n, const char *suffix);
/*
 * 0; -ENOENT: there is none; else a sentence about a file that cannot be used,
 * or is of another pair (ERR_EXISTS).
 */
int	receive_record_load(const char *path, const char *source,
	    const struct channel_name *n, struct receive_record *rec,
	    struct err_msg *m);
/* Durable when it returns 0. */
int	receive_record_store(const char *path, const char *source,
	    const struct channel_name *n, const struct receive_record *rec,
	    struct err_msg *m);

/* The bytes; for tests. */
void	receive_record_put(struct buf *b, const char *source,
	    const struct channel_name *n, const struct receive_record *rec);
int	receive_record_get(const void *p, size_t len, const char *source,
	    const struct channel_name *n, struct receive_record *rec);

#endif
