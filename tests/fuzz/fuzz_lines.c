/*
 * fuzz_lines.c - a stream of JSON lines: cut into pieces at places that the
 * first byte chooses, it must give the same lines as in one piece, and every
 * line goes through the scanner of markers.
 */
#include <stdlib.h>
#include <string.h>

#include "json/get.h"
#include "json/scan.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINE_MAX_BYTES	4096

static void
check_span(const struct scan_span *s, const char *line, size_t len)
{
	struct buf	 out = BUF_INIT;
	uint64_t	 v;

	if (s->p == NULL)
		return;
	bug_unless(s->p >= line && s->len > 0 &&
	    s->p + s->len <= line + len);
	bug_unless(scan_value_end(s->p, line + len) == s->p + s->len);
	scan_uint(s, &v);
	scan_string(s, &out);
	buf_free(&out);
}

static bool
is_same(const struct scan_span *a, const struct scan_span *b)
{
	return a->p == b->p && a->len == b->len;
}

/* What was found is what one comes by member by member. */
static void
check_members(const char *line, size_t len, const struct scan_marker *m)
{
	struct scan_iter	 it;
	struct scan_span	 name, value;

	scan_object(&it, line, len);
	while (scan_next(&it, &name, &value) == 1)
		if (name.len == 4 && memcmp(name.p, "tick", 4) == 0)
			bug_unless(is_same(&value, &m->tick));
		else if (name.len == 4 && memcmp(name.p, "cuid", 4) == 0)
			bug_unless(is_same(&value, &m->cuid));
		else if (name.len == 4 && memcmp(name.p, "data", 4) == 0)
			bug_unless(is_same(&value, &m->data));
}

/* What is found at a glance is what is found by looking. */
static void
check_front(const struct scan_marker *f, int r, const struct scan_marker *m,
    const char *end)
{
	if (f->data.p != NULL)
		bug_unless(*f->data.p == '{' &&
		    f->data.p + f->data.len == end - 1);
	else
		bug_unless(r == 0);
	if (r != 0)
		return;
	bug_unless(f->data.p == m->data.p);
	/* but for members behind a data that goes on to the end */
	if (f->data.len == m->data.len)
		bug_unless(is_same(&f->tick, &m->tick) &&
		    is_same(&f->type, &m->type) && is_same(&f->db, &m->db) &&
		    is_same(&f->cuid, &m->cuid) && is_same(&f->tid, &m->tid));
	else
		bug_unless(f->data.len > m->data.len);
}

static int
take_line(const char *line, size_t len, void *arg)
{
	struct buf		*all = arg;
	struct scan_marker	 m, front;
	char			*copy;
	int			 r;

	bug_unless(len > 0 && len <= LINE_MAX_BYTES);
	buf_append(all, line, len);
	buf_append_u8(all, '\n');
	/* a block of its own: reads behind the line are seen */
	if ((copy = malloc(len)) == NULL)
		abort();
	memcpy(copy, line, len);
	bug_unless(scan_value_end(copy, copy + len) ==
	    scan_value_end_plain(copy, copy + len));
	r = scan_marker(copy, len, &m);
	if (scan_marker_front(copy, len, &front))
		check_front(&front, r, &m, copy + len);
	if (r == 0) {
		check_members(copy, len, &m);
		check_span(&m.tick, copy, len);
		check_span(&m.type, copy, len);
		check_span(&m.db, copy, len);
		check_span(&m.cuid, copy, len);
		check_span(&m.tid, copy, len);
		check_span(&m.data, copy, len);
	} else if (*line == '{' && json_check(line, len, NULL) == 0)
		/* an object that is JSON fails only for a member twice */
		bug_unless(m.tick.p != NULL || m.type.p != NULL ||
		    m.db.p != NULL || m.cuid.p != NULL || m.tid.p != NULL ||
		    m.data.p != NULL);
	free(copy);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct line_split	 ls;
	struct buf		 whole = BUF_INIT, cut = BUF_INIT;
	size_t			 step, at, n;
	int			 r1, r2 = 0;

	if (size == 0)
		return 0;
	step = (size_t)data[0] + 1;
	data++;
	size--;

	line_init(&ls, LINE_MAX_BYTES);
	r1 = line_feed(&ls, (const char *)data, size, take_line, &whole);
	if (r1 == 0)
		line_end(&ls, true, take_line, &whole);
	line_free(&ls);

	line_init(&ls, LINE_MAX_BYTES);
	for (at = 0; at < size && r2 == 0; at += n) {
		n = MIN(step, size - at);
		r2 = line_feed(&ls, (const char *)data + at, n, take_line,
		    &cut);
	}
	if (r2 == 0)
		line_end(&ls, true, take_line, &cut);
	line_free(&ls);

	if (r1 == 0 && r2 == 0)
		bug_unless(whole.len == cut.len && (whole.len == 0 ||
		    memcmp(whole.data, cut.data, whole.len) == 0));
	buf_free(&whole);
	buf_free(&cut);
	return 0;
}
