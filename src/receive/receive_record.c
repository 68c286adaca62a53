/* receive_record.c - the target's position on disk; see receive_record.h */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/fsx.h"
#include "ipc/codec.h"
#include "receive/receive_record.h"

#define RECORD_VERSION	1
#define RECORD_FILE_MAX	65536

static const uint8_t	magic[8] = { 'A', 'S', 'R', 'C', '\r', '\n', 0x1a, 0 };

/*
 * Names of databases may hold anything (3.9 and later), those of files may
 * not; long ones of many bytes stay below 255 with a checksum at their end.
 */
static void
put_escaped(struct buf *b, const char *name)
{
	size_t			 at = b->len;
	const unsigned char	*p;

	for (p = (const unsigned char *)name; *p != '\0'; p++) {
		if (b->len - at > 150) {
			buf_printf(b, "%%~%08" PRIx32, crc32c(0, name,
			    strlen(name)));
			return;
		}
		if ((*p < 0x80 && isalnum(*p)) || *p == '_' || *p == '-')
			buf_append_u8(b, *p);
		else
			buf_printf(b, "%%%02x", *p);
	}
}

char *
receive_record_path(const char *data_dir, const struct channel_name *n,
    const char *suffix)
{
	struct buf	 b = BUF_INIT;
	size_t		 len;

	buf_printf(&b, "%s/applied/", data_dir);
	put_escaped(&b, n->db);
	buf_printf(&b, ".%" PRIu64 ".%" PRIu32 "%s", n->cid, n->shard, suffix);
	(void)buf_cstr(&b);
	return (char *)buf_steal(&b, &len);
}

void
receive_record_put(struct buf *b, const char *source,
    const struct channel_name *n, const struct receive_record *rec)
{
	size_t	 at = b->len;

	buf_append(b, magic, sizeof(magic));
	put_u16(b, RECORD_VERSION);
	put_str(b, source);
	channel_name_put(b, n);
	put_u64(b, rec->suspect_us);
	shard_record_put(b, &rec->shard);
	put_u32(b, crc32c(0, b->data + at, b->len - at));
}

static int
get_body(struct rbuf *m, const char *source, const struct channel_name *n,
    struct receive_record *rec)
{
	struct channel_name	 name;
	char			 from[64];
	uint16_t		 version;
	int			 r;

	if ((r = get_u16(m, &version)) != 0)
		return r;
	if (version != RECORD_VERSION)
		return ERR_VERSION;
	if ((r = get_str(m, from, sizeof(from))) != 0 ||
	    (r = channel_name_get(m, &name)) != 0 ||
	    (r = get_u64(m, &rec->suspect_us)) != 0 ||
	    (r = shard_record_get(m, &rec->shard)) != 0 ||
	    (r = get_end(m)) != 0)
		return r;
	return strcmp(from, source) != 0 || strcmp(name.db, n->db) != 0 ||
	    name.cid != n->cid || name.shard != n->shard ? ERR_EXISTS : 0;
}

int
receive_record_get(const void *p, size_t len, const char *source,
    const struct channel_name *n, struct receive_record *rec)
{
	struct receive_record	 got;
	struct rbuf		 m = { p, len }, tail;
	uint32_t		 crc;
	int			 r;

	if (len < sizeof(magic) + 4)
		return ERR_TRUNCATED;
	if (memcmp(p, magic, sizeof(magic)) != 0)
		return ERR_FORMAT;
	tail.p = m.p + len - 4;
	tail.left = 4;
	if ((r = get_u32(&tail, &crc)) != 0)
		return r;
	if (crc != crc32c(0, p, len - 4))
		return ERR_CORRUPT;
	m.p += sizeof(magic);
	m.left -= sizeof(magic) + 4;
	memset(&got, 0, sizeof(got));
	if ((r = get_body(&m, source, n, &got)) == 0)
		*rec = got;
	return r;
}

int
receive_record_load(const char *path, const char *source,
    const struct channel_name *n, struct receive_record *rec,
    struct err_msg *m)
{
	struct buf	 b = BUF_INIT;
	int		 r;

	if ((r = fsx_read_file(path, RECORD_FILE_MAX, &b)) == 0)
		r = receive_record_get(b.data, b.len, source, n, rec);
	buf_free(&b);
	if (r == 0 || r == -ENOENT)
		return r;
	return err_set(m, r, "%s: %s: the shard is compared with the source",
	    path, r == ERR_EXISTS ? "is of another shard" : err_text(r));
}

int
receive_record_store(const char *path, const char *source,
    const struct channel_name *n, const struct receive_record *rec,
    struct err_msg *m)
{
	struct buf	 b = BUF_INIT;
	int		 r;

	receive_record_put(&b, source, n, rec);
	r = fsx_replace(path, b.data, b.len, 0600);
	buf_free(&b);
	return r == 0 ? 0 : err_set(m, r, "%s: cannot be written: %s", path,
	    err_text(r));
}
