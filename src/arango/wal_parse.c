/* wal_parse.c - markers out of a tail response; see wal_parse.h */
#include <string.h>

#include "arango/vpack_split.h"
#include "arango/wal_parse.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/str.h"
#include "vpack/vpack.h"

#define TYPE_MAX	65535

void
wal_parse_init(struct wal_parser *p, size_t max)
{
	memset(p, 0, sizeof(*p));
	p->max = max;
	line_init(&p->lines, max);
}

void
wal_parse_free(struct wal_parser *p)
{
	line_free(&p->lines);
	buf_free(&p->part);
}

void
wal_parse_begin(struct wal_parser *p, bool vpack)
{
	/* What one giant response needed is not kept for ever. */
	if (p->lines.part.cap > 1024 * 1024 || p->part.cap > 1024 * 1024) {
		line_free(&p->lines);
		buf_free(&p->part);
	}
	buf_reset(&p->lines.part);
	buf_reset(&p->part);
	p->vpack = vpack;
	p->markers = p->bytes = p->last_tick = 0;
	p->last_crc = 0;
}

/* ---- JSON --------------------------------------------------------------- */

/* A string without its quotes; absent stays absent. */
static inline int
bare_string(struct scan_span *to, const struct scan_span *s)
{
	if (s->p == NULL) {
		to->p = NULL;
		to->len = 0;
		return 0;
	}
	if (s->len < 2 || *s->p != '"')
		return ERR_FORMAT;
	to->p = s->p + 1;
	to->len = s->len - 2;
	return 0;
}

static bool
is_document(uint32_t type)
{
	return type == WAL_DOCUMENT || type == WAL_REMOVE;
}

/* What a marker of this type must have. */
static int
check_marker(const struct arango_marker *m)
{
	if (m->db.p == NULL || m->db.len == 0)
		return ERR_FORMAT;
	if (is_document(m->type))
		return m->cuid.p != NULL && m->data.p != NULL ? 0 : ERR_FORMAT;
	if (m->type == WAL_COLL_DROP || m->type == WAL_TRUNCATE ||
	    m->type == WAL_COLL_CREATE)
		return m->cuid.p != NULL ? 0 : ERR_FORMAT;
	return 0;
}

int
wal_marker_from_line(const char *line, size_t len, struct arango_marker *m)
{
	struct scan_marker	 s;
	uint64_t		 type;
	int			 r;

	if (!scan_marker_front(line, len, &s) &&
	    (r = scan_marker(line, len, &s)) != 0)
		return r;
	if (scan_uint(&s.tick, &m->tick) != 0 ||
	    scan_uint(&s.type, &type) != 0 || type > TYPE_MAX ||
	    bare_string(&m->db, &s.db) != 0 ||
	    bare_string(&m->cuid, &s.cuid) != 0 ||
	    bare_string(&m->tid, &s.tid) != 0)
		return ERR_FORMAT;
	m->type = (uint32_t)type;
	m->vpack = false;
	m->db_escaped = m->db.len > 0 &&
	    memchr(m->db.p, '\\', m->db.len) != NULL;
	m->data = s.data;
	m->line.p = line;
	m->line.len = len;
	if (is_document(m->type) && (m->data.p == NULL || *m->data.p != '{'))
		return ERR_FORMAT;
	return check_marker(m);
}

static int
take_line(const char *line, size_t len, void *arg)
{
	struct wal_parser	*p = arg;
	struct arango_marker	 m;
	const char		*end = line + len;
	int			 r;

	if ((r = wal_marker_from_line(line, len, &m)) != 0)
		return r;
	/*
	 * Only the last line of a response proves something later, but nobody
	 * knows which that is before the end: the last one of each piece.
	 */
	if (end == p->last_end || end + 1 == p->last_end || p->only_end)
		p->last_crc = crc32c(0, line, len);
	p->markers++;
	p->last_tick = m.tick;
	return p->on_marker(p->arg, &m);
}

static int
feed_lines(struct wal_parser *p, const char *data, size_t len)
{
	const char	*last = memrchr(data, '\n', len);

	p->last_end = last;
	/* A line that began in an earlier piece is not where it ends. */
	p->only_end = last != NULL && memchr(data, '\n', len) == last;
	return line_feed(&p->lines, data, len, take_line, p);
}

/* ---- VelocyPack --------------------------------------------------------- */

static int
vpack_span(const uint8_t *v, struct scan_span *to)
{
	size_t	 n = 0;

	to->p = NULL;
	if (v != NULL && (to->p = vp_get_string(v, &n)) == NULL)
		return ERR_FORMAT;
	to->len = n;
	return 0;
}

/* A number, or a string of digits as ticks are. */
static int
vpack_u64(const uint8_t *v, uint64_t *n)
{
	const char	*s;
	size_t		 len;

	if (v == NULL)
		return ERR_FORMAT;
	if ((s = vp_get_string(v, &len)) != NULL)
		return str_to_u64_n(s, len, n);
	return vp_get_uint(v, n);
}

int
wal_marker_from_vpack(const uint8_t *slice, size_t len,
    struct arango_marker *m)
{
	const uint8_t	*data;
	uint64_t	 type;

	if (!vp_is_object(slice) ||
	    vpack_u64(vp_get(slice, "tick"), &m->tick) != 0 ||
	    vpack_u64(vp_get(slice, "type"), &type) != 0 || type > TYPE_MAX ||
	    vpack_span(vp_get(slice, "db"), &m->db) != 0 ||
	    vpack_span(vp_get(slice, "cuid"), &m->cuid) != 0 ||
	    vpack_span(vp_get(slice, "tid"), &m->tid) != 0)
		return ERR_FORMAT;
	data = vp_get(slice, "data");
	m->type = (uint32_t)type;
	m->vpack = true;
	m->db_escaped = false;
	m->data.p = (const char *)data;
	m->data.len = data == NULL ? 0 : vp_size(data);
	m->line.p = (const char *)slice;
	m->line.len = len;
	if (is_document(m->type) && (data == NULL || !vp_is_object(data)))
		return ERR_FORMAT;
	return check_marker(m);
}

static int
take_value(void *arg, const uint8_t *slice, size_t len, bool last)
{
	struct wal_parser	*p = arg;
	struct arango_marker	 m;
	int			 r;

	if ((r = wal_marker_from_vpack(slice, len, &m)) != 0)
		return r;
	if (last)
		p->last_crc = crc32c(0, slice, len);
	p->markers++;
	p->last_tick = m.tick;
	return p->on_marker(p->arg, &m);
}

/* ---- both --------------------------------------------------------------- */

int
wal_parse_feed(struct wal_parser *p, const void *data, size_t len)
{
	p->bytes += len;
	if (p->vpack)
		return vpack_split_feed(&p->part, p->max, data, len,
		    take_value, p);
	return feed_lines(p, data, len);
}

int
wal_parse_end(struct wal_parser *p)
{
	if (p->vpack)
		return p->part.len == 0 ? 0 : ERR_TRUNCATED;
	return line_end(&p->lines, false, take_line, p);
}
