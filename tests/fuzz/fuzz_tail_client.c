/*
 * fuzz_tail_client.c - a tail response, JSON or VelocyPack: cut into pieces it
 * must give the same markers as in one, with the same checksum, and every span
 * lies inside its line.
 */
#include <string.h>

#include "arango/snapshot.h"
#include "arango/wal_parse.h"
#include "base/crc32c.h"
#include "base/err.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MARKER_MAX_BYTES	4096

struct result {
	uint64_t	 markers, ticks;
	uint32_t	 crc;		/* of all spans */
	uint32_t	 line_crc;	/* of the last line */
};

static void
check_span(struct result *r, const struct arango_marker *m,
    const struct scan_span *s)
{
	if (s->p == NULL)
		return;
	bug_unless(s->p >= m->line.p &&
	    s->p + s->len <= m->line.p + m->line.len);
	r->crc = crc32c(r->crc, s->p, s->len);
}

static int
take(void *arg, const struct arango_marker *m)
{
	struct result		*r = arg;
	struct arango_doc	 doc = { m->vpack, m->data };
	struct arango_doc_id	 id;

	bug_unless(m->line.len > 0 && m->line.len <= MARKER_MAX_BYTES);
	r->markers++;
	r->ticks += m->tick;
	r->line_crc = crc32c(0, m->line.p, m->line.len);
	check_span(r, m, &m->db);
	check_span(r, m, &m->cuid);
	check_span(r, m, &m->tid);
	check_span(r, m, &m->data);
	if ((m->type == WAL_DOCUMENT || m->type == WAL_REMOVE) &&
	    arango_doc_identify(&doc, &id) == 0)
		check_span(r, m, &id.key);
	return 0;
}

static int
parse(const uint8_t *data, size_t size, size_t step, bool vpack,
    struct result *res)
{
	struct wal_parser	 p;
	size_t			 at, n;
	int			 r = 0;

	memset(res, 0, sizeof(*res));
	wal_parse_init(&p, MARKER_MAX_BYTES);
	p.on_marker = take;
	p.arg = res;
	wal_parse_begin(&p, vpack);
	for (at = 0; at < size && r == 0; at += n) {
		n = step < size - at ? step : size - at;
		r = wal_parse_feed(&p, data + at, n);
	}
	if (r == 0)
		r = wal_parse_end(&p);
	if (r == 0 && res->markers > 0)
		bug_unless(p.last_crc == res->line_crc &&
		    p.markers == res->markers);
	wal_parse_free(&p);
	return r;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct result	 whole, cut;
	size_t		 step;
	bool		 vpack;
	int		 r1, r2;

	if (size == 0)
		return 0;
	vpack = (data[0] & 1) != 0;
	step = (size_t)(data[0] >> 1) + 1;
	r1 = parse(data + 1, size - 1, size, vpack, &whole);
	r2 = parse(data + 1, size - 1, step, vpack, &cut);
	bug_unless((r1 == 0) == (r2 == 0));
	if (r1 == 0)
		bug_unless(memcmp(&whole, &cut, sizeof(whole)) == 0);
	return 0;
}
