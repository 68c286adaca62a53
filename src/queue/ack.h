/*
 * ack.h - positions of channels, durable and cheap: one file for all of them.
 *
 * Two uses.  At the source: the position up to which the consumer acknowledged
 * a channel (epoch, offset), which outlives a restart for the status only.  At
 * the target: the record of what was applied and has settled (R14, R15): DB-
 * server, rebootId, tick and CRC of the last line; this is what a channel
 * resumes from.
 *
 * The file is a journal: each sync appends one block with the entries that
 * changed, then one fdatasync for all; when most of it is out of date it is
 * replaced by a short one.  A block is begun only after the one before it is
 * on disk, so only the last one can be torn, and then nobody was told that it
 * is durable: it is cut.  Any other damage is ERR_CORRUPT with the offset: an
 * older position could take the place of "must be repaired".
 *
 * One process has the file open for writing (lock beside it: PATH.lock).
 * Keys are what the caller likes: queue_channel_name(), perhaps with the
 * source or the target in front; at most ACK_KEY_BYTES.
 */
#ifndef QUEUE_ACK_H
#define QUEUE_ACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define ACK_KEY_BYTES	400

/* Flags for the caller; the store only keeps them. */
#define ACK_NEEDS_REPAIR	1	/* the position proves nothing */

struct ack_pos {
	uint64_t	epoch;		/* of the queue; 0: none */
	uint64_t	offset;
	char		server[64];	/* source DB-server */
	uint64_t	reboot_id;
	uint64_t	tick;
	uint32_t	line_crc;	/* of the last line up to tick */
	uint32_t	flags;
	uint64_t	time_us;	/* wall clock; 0: set by ack_put() */
};

struct ack_store;

/*
 * Open or create (mode 0600; its directory must exist).  -EWOULDBLOCK when
 * another process has it; ERR_CORRUPT, ERR_VERSION; -errno.  *torn_bytes (may
 * be NULL): what was cut.
 */
int	ack_open(const char *path, struct ack_store **s, uint64_t *torn_bytes,
	    struct err_msg *em);
/* Only look: no lock, nothing is changed; ack_put() is refused. */
int	ack_open_readonly(const char *path, struct ack_store **s,
	    struct err_msg *em);
/* Does not sync.  Accepts NULL. */
void	ack_close(struct ack_store **s);

/* The newest position put, synced or not; NULL when there is none.  Valid
 * until the next put of this key. */
const struct ack_pos *ack_get(const struct ack_store *s, const char *key);
/* What is on disk of it; NULL when there is none. */
const struct ack_pos *ack_get_durable(const struct ack_store *s,
	    const char *key);
/* In memory until ack_sync().  ERR_TOO_BIG, ERR_BAD_STATE (read-only). */
int	ack_put(struct ack_store *s, const char *key,
	    const struct ack_pos *pos);
/* Forget a channel (dropped collection); durable with the next sync. */
int	ack_del(struct ack_store *s, const char *key);

bool	ack_is_dirty(const struct ack_store *s);
/*
 * Write what has changed and wait for the disk.  -ENOSPC is a state: all is
 * kept, try again later.  ERR_STORAGE: anything else; the store refuses
 * everything from now on.
 */
int	ack_sync(struct ack_store *s, struct err_msg *em);

size_t	ack_count(const struct ack_store *s);
uint64_t ack_file_bytes(const struct ack_store *s);
/* In the order of first put; fn returns nonzero to end.  Returns that. */
int	ack_each(const struct ack_store *s,
	    int (*fn)(const char *key, const struct ack_pos *pos, void *arg),
	    void *arg);

#endif
