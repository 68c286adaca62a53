/*
 * owed.c - owed keys and dead letters, durable; see owed.h
 *
 * File, format 1.  Integers are little-endian.
 *
 *	41 53 4f 57 0d 0a 1a 00	magic; CR LF ^Z reveal a copy in text mode
 *	01 00			version
 *	nn nn, name		channel, not ended by NUL
 *	cc cc cc cc		CRC32C of all before it
 *
 *	nn nn nn nn		record: length of type and payload
 *	cc cc cc cc		CRC32C of length, type and payload
 *	tt			type
 *	...			payload (ipc/codec.h)
 *
 * A crash while appending leaves a torn record at the end, which was promised
 * to nobody and is cut.  While rewriting: the old file or the new one
 * (fsx_replace).  While creating: no file or a whole one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/fsx.h"
#include "base/map.h"
#include "ipc/codec.h"
#include "sync/owed.h"

#define OWED_VERSION	1
#define OWED_FILE_MAX	((size_t)1 << 30)
#define OWED_CHANNEL_MAX 1024
#define RECORD_HEAD	8
#define RECORD_MAX	(OWED_KEY_MAX + OWED_TEXT_MAX + 64)
/* Rewritten from here on, when less than a third of it counts. */
#define COMPACT_MIN	(64 * 1024)

static const uint8_t	magic[8] = { 'A', 'S', 'O', 'W', '\r', '\n', 0x1a, 0 };

enum record {
	REC_OWE		= 1,
	REC_CLEAR	= 2,
	REC_DEAD	= 3,
	REC_ALIVE	= 4,
	REC_CLEAR_ALL	= 5
};

struct dead {
	int		 num;
	uint64_t	 rev, wall_us;
	char		*text;
};

struct owed {
	char		*path, *channel;
	int		 fd;
	struct map	 keys;		/* owed; the value is the journal */
	struct map	 dead;		/* struct dead */
	uint64_t	 size;		/* of the file */
	uint64_t	 live;		/* bytes that a new one would have */
	size_t		 head;		/* bytes before the first record */
	bool		 dirty;		/* something is not on disk */
	bool		 broken;	/* after a failed write or sync */
};

static void
dead_free(void *p)
{
	struct dead	*d = p;

	if (d == NULL)
		return;
	free(d->text);
	free(d);
}

/* ---- records ------------------------------------------------------------ */

static void
head_put(struct buf *b, const char *channel)
{
	size_t		 n = strlen(channel);

	buf_append(b, magic, sizeof(magic));
	put_u16(b, OWED_VERSION);
	put_u16(b, (uint16_t)n);
	buf_append(b, channel, n);
	put_u32(b, crc32c(0, b->data, b->len));
}

static void
record_put(struct buf *b, enum record type, const void *key, size_t len,
    const struct owed_dead *d)
{
	size_t		 at = b->len;
	uint32_t	 crc;
	char		 text[OWED_TEXT_MAX + 1];

	put_u32(b, 0);
	put_u32(b, 0);
	put_u8(b, (uint8_t)type);
	if (type != REC_CLEAR_ALL)
		put_bytes(b, key, len);
	if (type == REC_DEAD) {
		put_i32(b, d->num);
		put_u64(b, d->rev);
		put_u64(b, d->wall_us);
		text[0] = '\0';
		strncat(text, d->text != NULL ? d->text : "", OWED_TEXT_MAX);
		put_str(b, text);
	}
	len = b->len - at - RECORD_HEAD;
	b->data[at] = (uint8_t)len;
	b->data[at + 1] = (uint8_t)(len >> 8);
	b->data[at + 2] = (uint8_t)(len >> 16);
	b->data[at + 3] = (uint8_t)(len >> 24);
	crc = crc32c(crc32c(0, b->data + at, 4), b->data + at + RECORD_HEAD,
	    len);
	b->data[at + 4] = (uint8_t)crc;
	b->data[at + 5] = (uint8_t)(crc >> 8);
	b->data[at + 6] = (uint8_t)(crc >> 16);
	b->data[at + 7] = (uint8_t)(crc >> 24);
}

/* About what an entry takes in a new file. */
static uint64_t
entry_bytes(size_t key_len, const struct dead *d)
{
	return RECORD_HEAD + 5 + key_len +
	    (d != NULL ? 24 + strlen(d->text) : 0);
}

/* ---- what is known ------------------------------------------------------ */

static void
know_owe(struct owed *o, const void *key, size_t len)
{
	if (map_put_n(&o->keys, key, len, o) == NULL)
		o->live += entry_bytes(len, NULL);
}

static bool
know_clear(struct owed *o, const void *key, size_t len)
{
	if (map_del_n(&o->keys, key, len) == NULL)
		return false;
	o->live -= entry_bytes(len, NULL);
	return true;
}

static bool
know_alive(struct owed *o, const void *key, size_t len)
{
	struct dead	*d = map_del_n(&o->dead, key, len);

	if (d == NULL)
		return false;
	o->live -= entry_bytes(len, d);
	dead_free(d);
	return true;
}

static void
know_dead(struct owed *o, const struct owed_dead *d)
{
	struct dead	*n = xcalloc(1, sizeof(*n));

	know_alive(o, d->key, d->key_len);
	n->num = d->num;
	n->rev = d->rev;
	n->wall_us = d->wall_us;
	n->text = xstrndup(d->text != NULL ? d->text : "", OWED_TEXT_MAX);
	map_put_n(&o->dead, d->key, d->key_len, n);
	o->live += entry_bytes(d->key_len, n);
}

static void
know_nothing(struct owed *o)
{
	map_free(&o->keys, NULL);
	map_free(&o->dead, dead_free);
	o->live = o->head;
}

/* ---- reading ------------------------------------------------------------ */

static int
record_take(struct owed *o, struct rbuf *m)
{
	struct owed_dead	 d;
	const uint8_t		*key = NULL;
	char			 text[OWED_TEXT_MAX + 1];
	size_t			 len = 0;
	uint8_t			 type;
	int32_t			 num = 0;
	int			 r;

	if ((r = get_u8(m, &type)) != 0)
		return r;
	if (type != REC_CLEAR_ALL && (r = get_bytes(m, &key, &len)) != 0)
		return r;
	memset(&d, 0, sizeof(d));
	if (type == REC_DEAD && ((r = get_i32(m, &num)) != 0 ||
	    (r = get_u64(m, &d.rev)) != 0 ||
	    (r = get_u64(m, &d.wall_us)) != 0 ||
	    (r = get_str(m, text, sizeof(text))) != 0))
		return r;
	if ((r = get_end(m)) != 0)
		return r;
	switch (type) {
	case REC_OWE:
		know_owe(o, key, len);
		return 0;
	case REC_CLEAR:
		know_clear(o, key, len);
		return 0;
	case REC_DEAD:
		d.key = key;
		d.key_len = len;
		d.num = num;
		d.text = text;
		know_dead(o, &d);
		return 0;
	case REC_ALIVE:
		know_alive(o, key, len);
		return 0;
	case REC_CLEAR_ALL:
		know_nothing(o);
		return 0;
	default:
		return ERR_VERSION;
	}
}

static int
head_take(struct owed *o, const struct buf *b, struct err_msg *m)
{
	struct rbuf	 in = { b->data, b->len };
	const uint8_t	*p = b->data;
	uint16_t	 version, n;
	uint32_t	 crc;

	if (b->len < sizeof(magic) + 4 ||
	    memcmp(p, magic, sizeof(magic)) != 0)
		return err_set(m, ERR_FORMAT, "%s is not a journal of owed "
		    "keys", o->path);
	in.p += sizeof(magic);
	in.left -= sizeof(magic);
	if (get_u16(&in, &version) != 0 || version != OWED_VERSION)
		return err_set(m, ERR_VERSION, "%s has format %u, known is %d",
		    o->path, version, OWED_VERSION);
	if (get_u16(&in, &n) != 0 || n > OWED_CHANNEL_MAX ||
	    in.left < (size_t)n + 4)
		return err_set(m, ERR_CORRUPT, "%s: its header is damaged",
		    o->path);
	p = in.p;
	in.p += n;
	in.left -= n;
	if (get_u32(&in, &crc) != 0 ||
	    crc != crc32c(0, b->data, sizeof(magic) + 4 + n))
		return err_set(m, ERR_CORRUPT, "%s: its header is damaged",
		    o->path);
	if (n != strlen(o->channel) || memcmp(p, o->channel, n) != 0)
		return err_set(m, ERR_EXISTS, "%s belongs to channel %.*s, "
		    "not %s", o->path, (int)n, (const char *)p, o->channel);
	o->head = b->len - in.left;
	return 0;
}

static bool
is_zero(const uint8_t *p, size_t n)
{
	while (n > 0 && *p == 0) {
		p++;
		n--;
	}
	return n == 0;
}

/*
 * Is what follows at `at` a torn end?  Appends go in order, so a record that
 * does not fit into the file, the last one with a wrong checksum, and nothing
 * but zeros are; a wrong one with something behind it is not, nor is a length
 * that we never write.
 */
static int
records_take(struct owed *o, const struct buf *b, size_t *good,
    struct err_msg *m)
{
	struct rbuf	 in, body;
	size_t		 at = o->head;
	uint32_t	 len, crc;
	int		 r;

	while (at < b->len) {
		*good = at;
		in.p = b->data + at;
		in.left = b->len - at;
		if (is_zero(in.p, in.left) || get_u32(&in, &len) != 0)
			return 0;
		if (len <= RECORD_MAX && (get_u32(&in, &crc) != 0 ||
		    len > in.left))
			return 0;
		if (len == 0 || len > RECORD_MAX || crc != crc32c(crc32c(0,
		    b->data + at, 4), in.p, len)) {
			if (len <= RECORD_MAX && len == in.left)
				return 0;
			return err_set(m, ERR_CORRUPT, "%s: the record at "
			    "%zu is damaged", o->path, at);
		}
		body.p = in.p;
		body.left = len;
		if ((r = record_take(o, &body)) != 0)
			return err_set(m, r, "%s: the record at %zu: %s",
			    o->path, at, err_text(r));
		at += RECORD_HEAD + len;
	}
	*good = at;
	return 0;
}

static int
file_read(struct owed *o, uint64_t *cut, struct err_msg *m)
{
	struct buf	 b = BUF_INIT;
	size_t		 good = 0;
	int		 r;

	r = fsx_read_file(o->path, OWED_FILE_MAX, &b);
	if (r != 0) {
		err_set(m, r, "%s: %s", o->path, err_text(r));
		goto out;
	}
	if ((r = head_take(o, &b, m)) != 0)
		goto out;
	o->live = good = o->head;
	if ((r = records_take(o, &b, &good, m)) != 0)
		goto out;
	o->size = good;
	if (good < b.len) {
		if (cut != NULL)
			*cut = b.len - good;
		if ((r = fsx_truncate(o->path, good)) != 0)
			err_set(m, r, "%s: cannot cut its torn end: %s",
			    o->path, err_text(r));
	}
out:
	buf_free(&b);
	return r;
}

/* What file_create() will write. */
static void
file_plan(struct owed *o)
{
	struct buf	 b = BUF_INIT;

	head_put(&b, o->channel);
	o->head = b.len;
	o->size = o->live = b.len;
	buf_free(&b);
}

static int
file_create(struct owed *o)
{
	struct buf	 b = BUF_INIT;
	int		 r;

	head_put(&b, o->channel);
	r = fsx_create_exclusive(o->path, b.data, b.len, 0600);
	buf_free(&b);
	/* by us, and then it could not be opened */
	return r == -EEXIST ? 0 : r;
}

static int
file_open(struct owed *o, struct err_msg *m)
{
	o->fd = open(o->path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (o->fd == -1)
		return err_set(m, -errno, "%s: %s", o->path, strerror(errno));
	return 0;
}

int
owed_open(const char *path, const char *channel, struct owed **out,
    uint64_t *cut, struct err_msg *m)
{
	struct owed	*o;
	uint64_t	 size;
	int		 r;

	if (cut != NULL)
		*cut = 0;
	if (strlen(channel) > OWED_CHANNEL_MAX)
		return err_set(m, ERR_USAGE, "the name of the channel is too "
		    "long");
	o = xcalloc(1, sizeof(*o));
	o->fd = -1;
	o->path = xstrdup(path);
	o->channel = xstrdup(channel);
	r = fsx_size(path, &size);
	if (r == 0) {
		r = file_read(o, cut, m);
		if (r == 0)
			r = file_open(o, m);
	} else if (r == -ENOENT) {
		r = 0;
		file_plan(o);	/* it is made when something is owed */
	} else
		err_set(m, r, "%s: %s", path, err_text(r));
	if (r != 0) {
		owed_close(&o);
		return r;
	}
	*out = o;
	return 0;
}

void
owed_close(struct owed **op)
{
	struct owed	*o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	if (o->fd != -1)
		close(o->fd);
	map_free(&o->keys, NULL);
	map_free(&o->dead, dead_free);
	free(o->path);
	free(o->channel);
	free(o);
}

int
owed_remove(struct owed **op)
{
	int	 r = fsx_unlink((*op)->path);

	owed_close(op);
	return r;
}

/* ---- writing ------------------------------------------------------------ */

static int
append(struct owed *o, enum record type, const void *key, size_t len,
    const struct owed_dead *d)
{
	struct buf	 b = BUF_INIT;
	int		 r;

	if (o->broken)
		return ERR_STORAGE;
	if (o->fd == -1 && ((r = file_create(o)) != 0 ||
	    (r = file_open(o, NULL)) != 0))
		return r;
	record_put(&b, type, key, len, d);
	r = fsx_write_all(o->fd, b.data, b.len);
	if (r == 0) {
		o->size += b.len;
		o->dirty = true;
	} else if (!err_is_full(r) || fsx_truncate(o->path, o->size) != 0)
		/* a part may be there: nothing can be appended behind it */
		o->broken = true;
	buf_free(&b);
	return r;
}

static int
sync_file(struct owed *o)
{
	int	 r = fsx_fdatasync(o->fd);

	o->broken = o->broken || r != 0;
	o->dirty = o->dirty && r != 0;
	return r;
}

/* A file with what counts, in the place of the old one. */
static int
compact(struct owed *o)
{
	struct buf		 b = BUF_INIT;
	struct map_iter		 it;
	struct owed_dead	 d;
	const struct dead	*n;
	int			 r;

	head_put(&b, o->channel);
	MAP_FOREACH(&o->keys, it)
		record_put(&b, REC_OWE, it.key, it.key_len, NULL);
	MAP_FOREACH(&o->dead, it) {
		n = it.value;
		d.num = n->num;
		d.rev = n->rev;
		d.wall_us = n->wall_us;
		d.text = n->text;
		record_put(&b, REC_DEAD, it.key, it.key_len, &d);
	}
	r = fsx_replace(o->path, b.data, b.len, 0600);
	if (err_is_full(r)) {
		/* the long one does as well */
		buf_free(&b);
		return sync_file(o);
	}
	if (r == 0) {
		close(o->fd);
		o->fd = -1;
		r = file_open(o, NULL);
		o->size = o->live = b.len;
		o->dirty = false;
	}
	if (r != 0)
		o->broken = true;
	buf_free(&b);
	return r;
}

int
owed_sync(struct owed *o)
{
	if (o->broken)
		return ERR_STORAGE;
	if (!o->dirty)
		return 0;
	if (o->size >= COMPACT_MIN && o->size > o->live * 3)
		return compact(o);
	return sync_file(o);
}

/* ---- owed keys ---------------------------------------------------------- */

int
owed_add(struct owed *o, const void *key, size_t len)
{
	int	 r;

	if (len == 0 || len > OWED_KEY_MAX)
		return ERR_RANGE;
	if (map_has_n(&o->keys, key, len))
		return o->broken ? ERR_STORAGE : 0;
	if ((r = append(o, REC_OWE, key, len, NULL)) != 0)
		return r;
	know_owe(o, key, len);
	return 0;
}

int
owed_clear(struct owed *o, const void *key, size_t len)
{
	int	 r;

	if (!map_has_n(&o->keys, key, len))
		return 0;
	if ((r = append(o, REC_CLEAR, key, len, NULL)) != 0)
		return r;
	know_clear(o, key, len);
	return 0;
}

bool
owed_has(const struct owed *o, const void *key, size_t len)
{
	return map_has_n(&o->keys, key, len) != 0;
}

size_t
owed_count(const struct owed *o)
{
	return map_count(&o->keys);
}

int
owed_each(struct owed *o, int (*fn)(void *arg, const void *key, size_t len),
    void *arg)
{
	struct map_iter	 it;
	int		 r;

	MAP_FOREACH(&o->keys, it)
		if ((r = fn(arg, it.key, it.key_len)) != 0)
			return r;
	return 0;
}

/* ---- dead letters ------------------------------------------------------- */

int
owed_dead_add(struct owed *o, const struct owed_dead *d)
{
	int	 r;

	if (d->key_len == 0 || d->key_len > OWED_KEY_MAX)
		return ERR_RANGE;
	if ((r = append(o, REC_DEAD, d->key, d->key_len, d)) != 0)
		return r;
	know_dead(o, d);
	return 0;
}

int
owed_dead_clear(struct owed *o, const void *key, size_t len)
{
	int	 r;

	if (!map_has_n(&o->dead, key, len))
		return 0;
	if ((r = append(o, REC_ALIVE, key, len, NULL)) != 0)
		return r;
	know_alive(o, key, len);
	return 0;
}

size_t
owed_dead_count(const struct owed *o)
{
	return map_count(&o->dead);
}

int
owed_dead_each(struct owed *o, int (*fn)(void *arg,
    const struct owed_dead *d), void *arg)
{
	struct map_iter		 it;
	struct owed_dead	 d;
	const struct dead	*n;
	int			 r;

	MAP_FOREACH(&o->dead, it) {
		n = it.value;
		d.key = it.key;
		d.key_len = it.key_len;
		d.num = n->num;
		d.rev = n->rev;
		d.wall_us = n->wall_us;
		d.text = n->text;
		if ((r = fn(arg, &d)) != 0)
			return r;
	}
	return 0;
}

int
owed_applied(struct owed *o, const void *key, size_t len)
{
	int	 r;

	if (map_count(&o->keys) != 0 &&
	    (r = owed_clear(o, key, len)) != 0)
		return r;
	return map_count(&o->dead) != 0 ? owed_dead_clear(o, key, len) : 0;
}

int
owed_clear_all(struct owed *o)
{
	int	 r;

	if (map_count(&o->keys) == 0 && map_count(&o->dead) == 0)
		return 0;
	if ((r = append(o, REC_CLEAR_ALL, NULL, 0, NULL)) != 0)
		return r;
	know_nothing(o);
	return 0;
}

uint64_t
owed_file_bytes(const struct owed *o)
{
	return o->size;
}
