/*
 * ack.c - positions of channels in one journal.
 *
 * File: blocks, one behind the other.  Integers are little-endian.
 *
 *	 0  8	41 51 41 43 4b 0d 0a 1a	"AQACK", CR LF ^Z
 *	 8  4	version (1)
 *	12  4	CRC32C of the block without this field
 *	16  8	position of this block in the file
 *	24  8	number of the file: another one after each compaction
 *	32  4	bytes of entries
 *	36  4	entries
 *	40	entries; zeros up to a multiple of 8
 *
 * Entry: 1 byte 1 (position) or 2 (forgotten), 1 byte length of the server id,
 * 2 bytes length of the key, key, and for a position: server id, then epoch,
 * offset, rebootId, tick, time (8 bytes each), CRC of the last line and flags
 * (4 bytes each).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/fsx.h"
#include "base/map.h"
#include "base/str.h"
#include "ipc/codec.h"
#include "queue/ack.h"

#define BLOCK_HEAD_BYTES	40
#define FILE_MAX_BYTES		(1u << 30)
#define ACK_VERSION			1
#define ENTRY_PUT		1
#define ENTRY_DEL		2
/* Replaced when it has this many times what is needed, and at least... */
#define COMPACT_FACTOR		4
#define COMPACT_MIN_BYTES	(1u << 20)

static const uint8_t	magic[8] = {
	0x41, 0x51, 0x41, 0x43, 0x4b, 0x0d, 0x0a, 0x1a
};

struct entry {
	struct ack_pos	 now, disk;
	bool		 has_now, has_disk;
	bool		 dirty;
};

struct ack_store {
	char		*path;
	int		 fd, lock_fd;	/* -1: read-only */
	struct map	 entries;	/* key -> struct entry */
	struct map	 dirty;		/* key -> the same */
	size_t		 n_live;	/* with has_now */
	uint64_t	 end;		/* of the good blocks */
	uint64_t	 file_number;
	uint64_t	 live_bytes;	/* that a short file would have */
	bool		 failed;
};

/* --- entries ------------------------------------------------------------- */

static uint64_t
entry_bytes(const char *key, const struct ack_pos *pos)
{
	return 4 + strlen(key) + strlen(pos->server) + 48;
}

static void
encode_entry(struct buf *b, const char *key, const struct entry *e)
{
	const struct ack_pos	*pos = &e->now;

	put_u8(b, e->has_now ? ENTRY_PUT : ENTRY_DEL);
	put_u8(b, (uint8_t)(e->has_now ? strlen(pos->server) : 0));
	put_u16(b, (uint16_t)strlen(key));
	buf_append_str(b, key);
	if (!e->has_now)
		return;
	buf_append_str(b, pos->server);
	put_u64(b, pos->epoch);
	put_u64(b, pos->offset);
	put_u64(b, pos->reboot_id);
	put_u64(b, pos->tick);
	put_u64(b, pos->time_us);
	put_u32(b, pos->line_crc);
	put_u32(b, pos->flags);
}

static int
take_text(struct rbuf *m, size_t n, char *to, size_t size)
{
	if (n >= size || n > m->left || memchr(m->p, '\0', n) != NULL)
		return ERR_FORMAT;
	memcpy(to, m->p, n);
	to[n] = '\0';
	m->p += n;
	m->left -= n;
	return 0;
}

static struct entry *
entry_of(struct ack_store *s, const char *key)
{
	struct entry	*e = map_get(&s->entries, key);

	if (e == NULL) {
		e = xcalloc(1, sizeof(*e));
		map_put(&s->entries, key, e);
	}
	return e;
}

static void
set_now(struct ack_store *s, const char *key, struct entry *e,
    const struct ack_pos *pos)
{
	if (e->has_now) {
		s->live_bytes -= entry_bytes(key, &e->now);
		s->n_live--;
	}
	e->has_now = pos != NULL;
	if (pos == NULL)
		return;
	e->now = *pos;
	s->live_bytes += entry_bytes(key, pos);
	s->n_live++;
}

static void
set_disk(struct entry *e)
{
	e->has_disk = e->has_now;
	e->disk = e->now;
}

static int
decode_entry(struct ack_store *s, struct rbuf *m)
{
	struct ack_pos	 pos;
	struct entry	*e;
	char		 key[ACK_KEY_BYTES + 1];
	uint8_t		 what, server_len;
	uint16_t	 key_len;
	int		 r;

	memset(&pos, 0, sizeof(pos));
	if ((r = get_u8(m, &what)) != 0 ||
	    (r = get_u8(m, &server_len)) != 0 ||
	    (r = get_u16(m, &key_len)) != 0 ||
	    (r = take_text(m, key_len, key, sizeof(key))) != 0)
		return r;
	if (what == ENTRY_DEL && server_len == 0) {
		e = map_del(&s->entries, key);
		if (e != NULL)
			set_now(s, key, e, NULL);
		free(e);
		return 0;
	}
	if (what != ENTRY_PUT)
		return ERR_FORMAT;
	if ((r = take_text(m, server_len, pos.server,
	    sizeof(pos.server))) != 0 ||
	    (r = get_u64(m, &pos.epoch)) != 0 ||
	    (r = get_u64(m, &pos.offset)) != 0 ||
	    (r = get_u64(m, &pos.reboot_id)) != 0 ||
	    (r = get_u64(m, &pos.tick)) != 0 ||
	    (r = get_u64(m, &pos.time_us)) != 0 ||
	    (r = get_u32(m, &pos.line_crc)) != 0 ||
	    (r = get_u32(m, &pos.flags)) != 0)
		return r;
	e = entry_of(s, key);
	set_now(s, key, e, &pos);
	set_disk(e);
	return 0;
}

/* --- blocks -------------------------------------------------------------- */

static uint32_t
block_crc(const uint8_t *p, size_t len)
{
	return crc32c(crc32c(0, p, 12), p + 16, len - 16);
}

/* Give b, which has room for the head in front, its head. */
static void
finish_block(struct buf *b, uint64_t at, uint64_t file_number, uint32_t n)
{
	static const uint8_t	 zeros[8];
	struct buf		 head = BUF_INIT;
	size_t			 len = b->len - BLOCK_HEAD_BYTES;

	buf_append(b, zeros, (size_t)(-(int)len & 7));
	buf_append(&head, magic, sizeof(magic));
	put_u32(&head, ACK_VERSION);
	put_u32(&head, 0);
	put_u64(&head, at);
	put_u64(&head, file_number);
	put_u32(&head, (uint32_t)len);
	put_u32(&head, n);
	memcpy(b->data, head.data, BLOCK_HEAD_BYTES);
	buf_reset(&head);
	put_u32(&head, block_crc(b->data, b->len));
	memcpy(b->data + 12, head.data, 4);
	buf_free(&head);
}

/*
 * Is there a whole block of this file at `at`?  *len: its bytes with padding;
 * *m: its entries.
 */
static int
check_block(const struct buf *file, uint64_t at, uint64_t *file_number,
    uint64_t *len, struct rbuf *m)
{
	struct rbuf	 h = { file->data + at, (size_t)(file->len - at) };
	uint64_t	 where, number, whole;
	uint32_t	 version, crc, bytes, n;

	if (h.left < BLOCK_HEAD_BYTES)
		return ERR_TRUNCATED;
	if (memcmp(h.p, magic, sizeof(magic)) != 0)
		return ERR_FORMAT;
	h.p += sizeof(magic);
	h.left -= sizeof(magic);
	(void)get_u32(&h, &version);
	(void)get_u32(&h, &crc);
	(void)get_u64(&h, &where);
	(void)get_u64(&h, &number);
	(void)get_u32(&h, &bytes);
	(void)get_u32(&h, &n);
	whole = BLOCK_HEAD_BYTES + (((uint64_t)bytes + 7) & ~(uint64_t)7);
	if (whole > file->len - at)
		return ERR_TRUNCATED;
	if (crc != block_crc(file->data + at, (size_t)whole))
		return ERR_CORRUPT;
	if (version != ACK_VERSION)
		return ERR_VERSION;
	if (where != at || (*file_number != 0 && number != *file_number))
		return ERR_CORRUPT;
	*file_number = number;
	*len = whole;
	m->p = file->data + at + BLOCK_HEAD_BYTES;
	m->left = bytes;
	return 0;
}

/*
 * There is no whole block at `at`.  A block behind it was begun after this
 * one was on disk: then this is damage, otherwise the torn end.
 */
static bool
block_follows(const struct buf *file, uint64_t at, uint64_t file_number)
{
	uint64_t	 len;
	struct rbuf	 m;

	for (at += 8; at + BLOCK_HEAD_BYTES <= file->len; at += 8) {
		uint64_t	 number = file_number;

		if (check_block(file, at, &number, &len, &m) == 0)
			return true;
	}
	return false;
}

static int
load(struct ack_store *s, const struct buf *file, struct err_msg *em)
{
	struct rbuf	 m;
	uint64_t	 at = 0, len;
	int		 r = 0;

	while (at < file->len) {
		r = check_block(file, at, &s->file_number, &len, &m);
		if (r == ERR_VERSION)
			return err_set(em, r, "%s: written by a newer version",
			    s->path);
		if (r != 0 && at != 0 &&
		    !block_follows(file, at, s->file_number))
			break;		/* torn */
		while (r == 0 && m.left > 0)
			r = decode_entry(s, &m);
		/* The first block is whole before the file has its name. */
		if (r != 0)
			return err_set(em, ERR_CORRUPT, "%s: offset %" PRIu64
			    ": damaged", s->path, at);
		at += len;
	}
	s->end = at;
	return 0;
}

/* --- opening ------------------------------------------------------------- */

static int
write_new(struct ack_store *s, struct err_msg *em)
{
	struct buf	 b = BUF_INIT;
	struct map_iter	 it;
	struct entry	*e;
	uint64_t	 number = MAX(s->file_number + 1, clock_wall_us());
	uint32_t	 n = 0;
	int		 fd, r;

	buf_reserve(&b, BLOCK_HEAD_BYTES);
	b.len = BLOCK_HEAD_BYTES;
	MAP_FOREACH(&s->entries, it) {
		e = it.value;
		if (!e->has_now)
			continue;
		encode_entry(&b, it.key, e);
		n++;
	}
	finish_block(&b, 0, number, n);
	r = b.len > FILE_MAX_BYTES ? ERR_TOO_BIG :
	    fsx_replace(s->path, b.data, b.len, 0600);
	if (r != 0)
		goto out;
	/* From here on the old file must not be written to. */
	fd = open(s->path, O_RDWR | O_CLOEXEC);
	if (fd == -1) {
		r = -errno;
		s->failed = true;
		goto out;
	}
	if (s->fd != -1)
		close(s->fd);
	s->fd = fd;
	s->file_number = number;
	s->end = b.len;
out:
	buf_free(&b);
	return r == 0 ? 0 : err_set(em, r, "%s: %s", s->path, err_text(r));
}

static int
open_file(struct ack_store *s, uint64_t *torn_bytes, struct err_msg *em)
{
	struct buf	 file = BUF_INIT;
	int		 r;

	r = fsx_read_file(s->path, FILE_MAX_BYTES, &file);
	if (r == -ENOENT && s->lock_fd != -1)
		return write_new(s, em);
	if (r == -ENOENT)
		return 0;
	if (r != 0)
		return err_set(em, r, "%s: %s", s->path, err_text(r));
	r = load(s, &file, em);
	if (torn_bytes != NULL)
		*torn_bytes = file.len - s->end;
	/* Its first block was whole before it had its name. */
	if (r == 0 && file.len == 0)
		r = err_set(em, ERR_CORRUPT, "%s: offset 0: the file is empty",
		    s->path);
	if (r == 0 && s->lock_fd != -1) {
		if ((s->fd = open(s->path, O_RDWR | O_CLOEXEC)) == -1)
			r = -errno;
		else if (s->end < file.len)
			r = fsx_truncate(s->path, s->end);
		else
			r = fsx_fdatasync(s->fd);
		if (r != 0)
			err_set(em, r, "%s: %s", s->path, err_text(r));
	}
	buf_free(&file);
	return r;
}

static struct ack_store *
make_store(const char *path)
{
	struct ack_store	*s = xcalloc(1, sizeof(*s));

	s->path = xstrdup(path);
	s->fd = s->lock_fd = -1;
	return s;
}

int
ack_open(const char *path, struct ack_store **out, uint64_t *torn_bytes,
    struct err_msg *em)
{
	struct ack_store	*s = make_store(path);
	const char		*slash = strrchr(path, '/');
	char			*dir, *name;
	int			 r;

	if (torn_bytes != NULL)
		*torn_bytes = 0;
	dir = slash == NULL ? xstrdup(".") :
	    xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
	name = xasprintf("%s.lock", slash == NULL ? path : slash + 1);
	s->lock_fd = fsx_open_dir_locked(dir, name, FSX_LOCK_FLOCK, NULL);
	free(dir);
	free(name);
	if (s->lock_fd < 0) {
		r = s->lock_fd;
		s->lock_fd = -1;
		err_set(em, r, "%s: %s", path, r == -EWOULDBLOCK ?
		    "another process has it" : err_text(r));
	} else
		r = open_file(s, torn_bytes, em);
	if (r != 0) {
		ack_close(&s);
		return r;
	}
	*out = s;
	return 0;
}

int
ack_open_readonly(const char *path, struct ack_store **out,
    struct err_msg *em)
{
	struct ack_store	*s = make_store(path);
	int			 r;

	if ((r = open_file(s, NULL, em)) != 0) {
		ack_close(&s);
		return r;
	}
	*out = s;
	return 0;
}

void
ack_close(struct ack_store **s)
{
	if (*s == NULL)
		return;
	map_free(&(*s)->dirty, NULL);
	map_free(&(*s)->entries, free);
	if ((*s)->fd != -1)
		close((*s)->fd);
	if ((*s)->lock_fd != -1)
		close((*s)->lock_fd);
	free((*s)->path);
	free(*s);
	*s = NULL;
}

/* --- use ----------------------------------------------------------------- */

const struct ack_pos *
ack_get(const struct ack_store *s, const char *key)
{
	struct entry	*e = map_get(&s->entries, key);

	return e != NULL && e->has_now ? &e->now : NULL;
}

const struct ack_pos *
ack_get_durable(const struct ack_store *s, const char *key)
{
	struct entry	*e = map_get(&s->entries, key);

	return e != NULL && e->has_disk ? &e->disk : NULL;
}

static int
change(struct ack_store *s, const char *key, const struct ack_pos *pos)
{
	struct entry	*e;

	if (s->failed)
		return ERR_STORAGE;
	if (s->lock_fd == -1)
		return ERR_BAD_STATE;
	if (strlen(key) > ACK_KEY_BYTES || (pos != NULL &&
	    memchr(pos->server, '\0', sizeof(pos->server)) == NULL))
		return ERR_TOO_BIG;
	if (pos == NULL && map_get(&s->entries, key) == NULL)
		return 0;
	e = entry_of(s, key);
	set_now(s, key, e, pos);
	if (pos != NULL && pos->time_us == 0)
		e->now.time_us = clock_wall_us();
	if (!e->dirty) {
		e->dirty = true;
		map_put(&s->dirty, key, e);
	}
	return 0;
}

int
ack_put(struct ack_store *s, const char *key, const struct ack_pos *pos)
{
	return change(s, key, pos);
}

int
ack_del(struct ack_store *s, const char *key)
{
	return change(s, key, NULL);
}

bool
ack_is_dirty(const struct ack_store *s)
{
	return map_count(&s->dirty) > 0;
}

static void
settle(struct ack_store *s)
{
	struct map_iter	 it;
	struct entry	*e;

	MAP_FOREACH(&s->dirty, it) {
		e = it.value;
		e->dirty = false;
		set_disk(e);
		if (!e->has_now) {
			map_del(&s->entries, it.key);
			free(e);
		}
	}
	map_free(&s->dirty, NULL);
}

/*
 * One block behind the others.  A write that fails leaves a torn block, over
 * which the next try writes: nobody reads beyond s->end.
 */
static int
append_block(struct ack_store *s, struct err_msg *em)
{
	struct buf	 b = BUF_INIT;
	struct map_iter	 it;
	int		 r;

	buf_reserve(&b, BLOCK_HEAD_BYTES);
	b.len = BLOCK_HEAD_BYTES;
	MAP_FOREACH(&s->dirty, it)
		encode_entry(&b, it.key, it.value);
	finish_block(&b, s->end, s->file_number,
	    (uint32_t)map_count(&s->dirty));
	r = fsx_pwrite_all(s->fd, b.data, b.len, (off_t)s->end);
	if (r == -ENOSPC || r == -EDQUOT) {
		r = err_set(em, -ENOSPC, "%s: no space left", s->path);
		goto out;
	}
	if (r == 0)
		r = fsx_fdatasync(s->fd);
	if (r == 0)
		s->end += b.len;
	else {
		s->failed = true;
		r = err_set(em, ERR_STORAGE, "%s: writing failed: %s; what is "
		    "on the disk is unknown", s->path, err_text(r));
	}
out:
	buf_free(&b);
	return r;
}

int
ack_sync(struct ack_store *s, struct err_msg *em)
{
	int	 r;

	if (s->failed)
		return err_set(em, ERR_STORAGE, "%s: has failed before",
		    s->path);
	if (!ack_is_dirty(s))
		return 0;
	/*
	 * The short file has the changes too.  When it cannot be made (it
	 * needs more space than a block), the long one does it.
	 */
	if (s->end > COMPACT_MIN_BYTES &&
	    s->end > COMPACT_FACTOR * s->live_bytes) {
		r = write_new(s, em);
		if (s->failed)
			return ERR_STORAGE;
		if (r != 0 && r != -ENOSPC && r != -EDQUOT) {
			/* Old or new: which one has the name is unknown. */
			s->failed = true;
			return ERR_STORAGE;
		}
	} else
		r = -ENOSPC;
	if (r != 0)
		r = append_block(s, em);
	if (r == 0)
		settle(s);
	return r;
}

size_t
ack_count(const struct ack_store *s)
{
	return s->n_live;
}

uint64_t
ack_file_bytes(const struct ack_store *s)
{
	return s->end;
}

int
ack_each(const struct ack_store *s,
    int (*fn)(const char *, const struct ack_pos *, void *), void *arg)
{
	struct map_iter	 it;
	struct entry	*e;
	int		 r;

	MAP_FOREACH(&s->entries, it) {
		e = it.value;
		if (e->has_now && (r = fn(it.key, &e->now, arg)) != 0)
			return r;
	}
	return 0;
}
