/* test_tail.c - positions are response boundaries; broken answers; proofs */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arango/tail.h"
#include "arango/vpack_split.h"
#include "arango/wal_parse.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/str.h"
#include "ev/fiber.h"
#include "fake.h"
#include "http/client.h"
#include "unit.h"
#include "vpack/vpack.h"

#define DOC(tick)	"{\"tick\":\"" #tick "\",\"type\":2300,\"db\":\"d\"," \
	"\"cuid\":\"c1/s2\",\"tid\":\"0\",\"data\":{\"_key\":\"k" #tick	\
	"\",\"tick\":\"7\",\"type\":1}}\n"

/* ---- parsing ------------------------------------------------------------ */

static char	 seen[8192];

static int
note_marker(void *arg, const struct arango_marker *m)
{
	size_t	 n = strlen(seen);

	snprintf(seen + n, sizeof(seen) - n, "%llu:%u:%.*s:%.*s:%.*s;",
	    (unsigned long long)m->tick, m->type, (int)m->db.len,
	    m->db.p == NULL ? "" : m->db.p, (int)m->cuid.len,
	    m->cuid.p == NULL ? "" : m->cuid.p,
	    m->vpack ? 0 : (int)m->data.len,
	    m->data.p == NULL ? "" : m->data.p);
	return 0;
}

static int
parse(const char *text, size_t piece)
{
	struct wal_parser	 p;
	size_t			 at, n, len = strlen(text);
	int			 r = 0;

	seen[0] = '\0';
	wal_parse_init(&p, 4096);
	p.on_marker = note_marker;
	wal_parse_begin(&p, false);
	for (at = 0; at < len && r == 0; at += n) {
		n = MIN(piece, len - at);
		r = wal_parse_feed(&p, text + at, n);
	}
	if (r == 0)
		r = wal_parse_end(&p);
	wal_parse_free(&p);
	return r;
}

static void
test_markers(void)
{
	size_t	 piece;

	for (piece = 1; piece < 200; piece += 13) {
		CU_ASSERT_EQUAL(parse(
		    "{\"data\":{\"_key\":\"x\",\"cuid\":\"no\"},"
		    "\"cuid\":\"c1/s2\",\"type\":2300,\"db\":\"a\\u0062\","
		    "\"tick\":\"18446744073709551615\",\"new\":[{}]}\n"
		    "{\"tick\":\"3\",\"type\":2200,\"tid\":\"5\",\"db\":\"d\""
		    "}\r\n{\"tick\":4,\"type\":2004,\"db\":\"d\",\"cuid\":"
		    "\"c1/s2\"}\n", piece), 0);
		CU_ASSERT_STRING_EQUAL(seen,
		    "18446744073709551615:2300:a\\u0062:c1/s2:"
		    "{\"_key\":\"x\",\"cuid\":\"no\"};3:2200:d::;"
		    "4:2004:d:c1/s2:;");
	}
}

static void
test_bad_markers(void)
{
	static const char *const bad[] = {
		"[]\n", "{}\n", "hello\n", "{\"tick\":\"1\"}\n",
		"{\"tick\":-1,\"type\":2200,\"db\":\"d\"}\n",
		"{\"tick\":\"x\",\"type\":2200,\"db\":\"d\"}\n",
		"{\"tick\":\"1\",\"type\":99999999,\"db\":\"d\"}\n",
		"{\"tick\":\"1\",\"type\":{},\"db\":\"d\"}\n",
		"{\"tick\":\"1\",\"type\":2200,\"db\":7}\n",
		"{\"tick\":\"1\",\"type\":2200,\"db\":\"\"}\n",
		"{\"tick\":\"99999999999999999999\",\"type\":2200,"
		    "\"db\":\"d\"}\n",
		"{\"tick\":\"1\",\"type\":2300,\"db\":\"d\"}\n",
		"{\"tick\":\"1\",\"type\":2300,\"db\":\"d\",\"cuid\":\"c\","
		    "\"data\":[]}\n",
		"{\"tick\":\"1\",\"type\":2302,\"db\":\"d\",\"cuid\":null,"
		    "\"data\":{}}\n",
		"{\"tick\":\"1\",\"type\":2001,\"db\":\"d\"}\n",
		"{\"tick\":\"1\",\"tick\":\"2\",\"type\":2200,"
		    "\"db\":\"d\"}\n",
		"{\"tick\":\"1\",\"type\":2200,\"db\":\"d\"}{}\n"
	};
	size_t	 i;

	for (i = 0; i < NITEMS(bad); i++)
		CU_ASSERT_TRUE(parse(bad[i], 7) < 0);
	CU_ASSERT_EQUAL(parse("{\"tick\":\"1\",\"type\":2200,\"db\":\"d\"}",
	    100), ERR_TRUNCATED);
}

/* The checksum is that of the last line, however it came in pieces. */
static void
test_last_line(void)
{
	static const char	 text[] = DOC(5) DOC(6) DOC(71);
	const char		*last = strstr(text, "{\"tick\":\"71\"");
	struct wal_parser	 p;
	size_t			 piece, at, n, len = sizeof(text) - 1;

	for (piece = 1; piece <= len; piece++) {
		wal_parse_init(&p, 4096);
		p.on_marker = note_marker;
		wal_parse_begin(&p, false);
		seen[0] = '\0';
		for (at = 0; at < len; at += n) {
			n = MIN(piece, len - at);
			CU_ASSERT_EQUAL(wal_parse_feed(&p, text + at, n), 0);
		}
		CU_ASSERT_EQUAL(wal_parse_end(&p), 0);
		CU_ASSERT_EQUAL(p.last_tick, 71);
		CU_ASSERT_EQUAL(p.markers, 3);
		CU_ASSERT_EQUAL(p.last_crc, crc32c(0, last, strlen(last) - 1));
		wal_parse_free(&p);
	}
}

static void
test_vpack(void)
{
	static const char	*lines[] = { DOC(5), DOC(6), DOC(71) };
	struct vp_builder	 vb;
	struct wal_parser	 p;
	struct buf		 b = BUF_INIT;
	size_t			 i, piece, at, n, last = 0;

	vpb_init(&vb, &b);
	for (i = 0; i < NITEMS(lines); i++) {
		last = b.len;
		vpb_start(&vb, &b);
		CU_ASSERT_EQUAL(vp_from_json(&vb, lines[i],
		    strlen(lines[i]) - 1, NULL), 0);
		CU_ASSERT_EQUAL(vpb_end(&vb), 0);
	}
	vpb_free(&vb);
	for (piece = 1; piece <= b.len; piece++) {
		wal_parse_init(&p, 4096);
		p.on_marker = note_marker;
		wal_parse_begin(&p, true);
		seen[0] = '\0';
		for (at = 0; at < b.len; at += n) {
			n = MIN(piece, b.len - at);
			CU_ASSERT_EQUAL(wal_parse_feed(&p, b.data + at, n), 0);
		}
		CU_ASSERT_EQUAL(wal_parse_end(&p), 0);
		CU_ASSERT_EQUAL(p.last_crc, crc32c(0, b.data + last,
		    b.len - last));
		CU_ASSERT_STRING_EQUAL(seen, "5:2300:d:c1/s2:;"
		    "6:2300:d:c1/s2:;71:2300:d:c1/s2:;");
		/* Cut off. */
		wal_parse_begin(&p, true);
		CU_ASSERT_EQUAL(wal_parse_feed(&p, b.data, b.len - 1), 0);
		CU_ASSERT_EQUAL(wal_parse_end(&p), ERR_TRUNCATED);
		wal_parse_free(&p);
	}
	buf_free(&b);
}

static int
ignore_slice(void *arg, const uint8_t *s, size_t n, bool last)
{
	return 0;
}

static void
test_bad_vpack(void)
{
	static const uint8_t	 huge[] = { 0x0e, 0xff, 0xff, 0xff, 0xff, 0xff,
				    0xff, 0xff, 0x7f };
	static const uint8_t	 zero[] = { 0x0b, 0x00, 0x00, 0x00 };
	static const uint8_t	 array[] = { 0x01 };
	static const uint8_t	 varint[] = { 0x14, 0xff, 0xff, 0xff, 0xff,
				    0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct buf		 part = BUF_INIT;

	CU_ASSERT_EQUAL(vpack_split_feed(&part, 4096, huge, sizeof(huge),
	    ignore_slice, NULL), ERR_TOO_BIG);
	CU_ASSERT_EQUAL(vpack_split_feed(&part, 4096, huge, 3, ignore_slice,
	    NULL), 0);
	CU_ASSERT_EQUAL(vpack_split_feed(&part, 4096, huge + 3, 6,
	    ignore_slice, NULL), ERR_TOO_BIG);
	buf_reset(&part);
	CU_ASSERT_EQUAL(vpack_split_feed(&part, 4096, zero, sizeof(zero),
	    ignore_slice, NULL), ERR_FORMAT);
	CU_ASSERT_EQUAL(vpack_split_feed(&part, 4096, array, sizeof(array),
	    ignore_slice, NULL), ERR_FORMAT);
	CU_ASSERT_EQUAL(vpack_split_feed(&part, 4096, varint, sizeof(varint),
	    ignore_slice, NULL), ERR_FORMAT);
	buf_free(&part);
}

/* ---- a tail against a server that lies ---------------------------------- */

/* One answer of the server; the last is repeated. */
struct step {
	const char	*lines;
	uint64_t	 included, scanned, newest;
	const char	*more, *present;
	enum { SAY, CUT, HTML, NO_HEADERS, REFUSE, WRONG_TYPE, DROP } how;
};

static struct fake		 f;
static struct arango		*a;
static struct arango_tail	*tail;
static const struct step	*steps;
static size_t			 at_step, nsteps;
static char			 events[4096];
static struct arango_tail_done	 last_done;
static unsigned			 dones, markers, refuse_at;
static bool			 stop_in_marker;

static void
serve(struct http_req *req, void *arg)
{
	const struct step	*s;

	fake_note(&f, req);
	s = &steps[MIN(at_step, nsteps - 1)];
	at_step++;
	switch (s->how) {
	case SAY:
		fake_tail(req, s->lines, s->included, s->scanned, s->newest,
		    s->more, s->present);
		return;
	case CUT:
		http_reply_header(req, "x-arango-replication-lastincluded",
		    "99");
		http_reply_header(req, "x-arango-replication-lastscanned",
		    "99");
		http_reply_header(req, "x-arango-replication-lasttick", "99");
		http_reply_header(req, "x-arango-replication-checkmore",
		    "false");
		http_reply_header(req, "x-arango-replication-frompresent",
		    "true");
		http_stream_begin(req, 200, "application/x-arango-dump",
		    100000);
		http_stream_write(req, s->lines, strlen(s->lines));
		http_stream_end(req);
		return;
	case HTML:
		http_reply_bytes(req, 200, "text/html", "<html>", 6);
		return;
	case NO_HEADERS:
		http_reply_bytes(req, 200, "application/x-arango-dump",
		    s->lines, strlen(s->lines));
		return;
	case DROP:
		http_req_drop(req);
		return;
	case REFUSE:
		fake_json(req, 503, "{\"errorNum\":503}");
		return;
	case WRONG_TYPE:
		http_reply_header(req, "x-arango-replication-lastincluded",
		    "twelve");
		http_reply_bytes(req, 200, "application/x-arango-dump", "{}\n",
		    3);
		return;
	}
}

static int
tail_marker(void *arg, const struct arango_marker *m)
{
	markers++;
	if (refuse_at != 0 && markers == refuse_at)
		return ERR_STORAGE;
	if (stop_in_marker)
		arango_tail_stop(&tail);
	return note_marker(arg, m);
}

static void
tail_done(void *arg, const struct arango_tail_done *d)
{
	dones++;
	last_done = *d;
}

static void
tail_event(void *arg, enum arango_tail_event ev, const char *why)
{
	static const char *const names[] = { "gap", "broken", "down", "up",
	    "denied", "failed" };
	size_t	 n = strlen(events);

	snprintf(events + n, sizeof(events) - n, "%s ", names[ev]);
}

static void
begin(const struct step *s, size_t n, uint64_t from)
{
	struct arango_tail_opts	 o = ARANGO_TAIL_OPTS_INIT;

	steps = s;
	nsteps = n;
	at_step = dones = markers = refuse_at = 0;
	stop_in_marker = false;
	seen[0] = events[0] = '\0';
	fake_begin();
	fake_start(&f, serve, NULL);
	a = fake_cluster(f.url, NULL);
	o.cluster = a;
	o.server = arango_server_at(a, 0);
	o.point.from = from;
	o.on_marker = tail_marker;
	o.on_done = tail_done;
	o.on_event = tail_event;
	tail = arango_tail_start(&o);
}

static void
end(void)
{
	arango_tail_stop(&tail);
	fake_turn(20);
	arango_free(&a);
	fake_stop(&f);
	fake_end();
}

static bool
is_from(uint64_t from)
{
	char	 text[64];

	snprintf(text, sizeof(text), "from=%llu&lastScanned=0",
	    (unsigned long long)from);
	return fake_count(&f, text) > 0;
}

static void
test_positions(void)
{
	static const struct step	 s[] = {
		{ DOC(11) DOC(12), 12, 40, 90, "true", NULL, SAY },
		/* nothing of ours, but there is more */
		{ "", 0, 80, 90, "false", NULL, SAY },
		{ DOC(85), 85, 90, 90, "false", NULL, SAY },
		/* never backwards */
		{ "", 0, 84, 90, "false", NULL, SAY }
	};

	begin(s, NITEMS(s), 10);
	fake_turn(200);
	CU_ASSERT_TRUE(is_from(10));
	CU_ASSERT_TRUE(is_from(12));
	CU_ASSERT_TRUE(is_from(79));
	CU_ASSERT_TRUE(is_from(85));
	CU_ASSERT_FALSE(is_from(83));
	CU_ASSERT_EQUAL(fake_count(&f, "syncerId"), 0);
	CU_ASSERT_EQUAL(fake_count(&f, "serverId"), 0);
	CU_ASSERT_EQUAL(markers, 3);
	CU_ASSERT_EQUAL(last_done.point.from, 85);
	CU_ASSERT_TRUE(last_done.point.has_last);
	CU_ASSERT_EQUAL(last_done.point.last_from, 79);
	CU_ASSERT_EQUAL(last_done.point.last_tick, 85);
	CU_ASSERT_EQUAL(last_done.point.last_crc, crc32c(0, DOC(85),
	    sizeof(DOC(85)) - 2));
	CU_ASSERT_EQUAL(last_done.server_tick, 90);
	CU_ASSERT_STRING_EQUAL(events, "");
	/* It sleeps longer and longer. */
	CU_ASSERT_TRUE(f.requests < 20);
	end();
}

static void
test_broken(void)
{
	static const struct step	 s[] = {
		{ DOC(11), 0, 0, 0, "", NULL, CUT },
		/* the header names a marker that is not there */
		{ DOC(11), 12, 40, 90, "true", NULL, SAY },
		{ "{\"tick\":\"11\",\"type\":2300}\n", 11, 40, 90, "true",
		    NULL, SAY },
		{ "", 0, 0, 0, "", NULL, HTML },
		{ DOC(11), 0, 0, 0, "", NULL, NO_HEADERS },
		{ "", 0, 0, 0, "", NULL, WRONG_TYPE },
		{ DOC(11), 11, 40, 90, "maybe", NULL, SAY },
		{ DOC(11) "{\"tick\":", 11, 40, 90, "true", NULL, SAY },
		/* markers that were asked away */
		{ DOC(9), 9, 40, 90, "true", NULL, SAY },
		{ "", 0, 0, 0, "", NULL, REFUSE },
		{ DOC(11), 11, 11, 11, "false", NULL, SAY },
		{ "", 0, 11, 11, "false", NULL, SAY }
	};
	unsigned	 i;

	begin(s, NITEMS(s), 10);
	for (i = 0; i < 200 && dones < 2; i++) {
		fake_turn(20);
		arango_tail_poke(tail);
	}
	CU_ASSERT_TRUE(dones >= 2);
	/* As often as it went wrong, and once right. */
	CU_ASSERT_EQUAL(fake_count(&f, "from=10&"), 11);
	CU_ASSERT_TRUE(is_from(11));
	CU_ASSERT_EQUAL(arango_tail_point(tail).from, 11);
	CU_ASSERT_PTR_NOT_NULL(strstr(events, "broken"));
	CU_ASSERT_PTR_NOT_NULL(strstr(events, "failed"));
	CU_ASSERT_PTR_NOT_NULL(strstr(events, "up"));
	end();
}

static void
test_refused_marker(void)
{
	static const struct step	 s[] = {
		{ DOC(11) DOC(12), 12, 12, 12, "false", NULL, SAY },
		{ DOC(11) DOC(12), 12, 12, 12, "false", NULL, SAY },
		{ "", 0, 12, 12, "false", NULL, SAY }
	};

	begin(s, NITEMS(s), 10);
	refuse_at = 2;
	fake_turn(300);
	CU_ASSERT_EQUAL(fake_count(&f, "from=10&"), 2);
	CU_ASSERT_EQUAL(markers, 4);
	CU_ASSERT_STRING_EQUAL(events, "broken ");
	CU_ASSERT_EQUAL(arango_tail_point(tail).from, 12);
	end();
}

static void
test_gap(void)
{
	static const struct step	 s[] = {
		{ DOC(50), 50, 50, 90, "true", "false", SAY },
		{ DOC(51), 51, 51, 51, "false", NULL, SAY },
		{ "", 0, 51, 51, "false", NULL, SAY }
	};
	struct arango_tail_point	 p = { .from = 50 };

	begin(s, NITEMS(s), 10);
	fake_turn(200);
	CU_ASSERT_STRING_EQUAL(events, "gap ");
	CU_ASSERT_EQUAL(markers, 0);	/* the body is discarded */
	CU_ASSERT_EQUAL(f.requests, 1);	/* and it waits */
	CU_ASSERT_EQUAL(arango_tail_point(tail).from, 10);
	arango_tail_seek(tail, &p);
	fake_turn(100);
	CU_ASSERT_TRUE(is_from(50));
	CU_ASSERT_EQUAL(markers, 1);
	end();
}

/* From the start nothing can be missing. */
static void
test_from_zero(void)
{
	static const struct step	 s[] = {
		{ DOC(50), 50, 50, 50, "false", "false", SAY },
		{ "", 0, 50, 50, "false", NULL, SAY }
	};

	begin(s, NITEMS(s), 0);
	fake_turn(100);
	CU_ASSERT_STRING_EQUAL(events, "");
	CU_ASSERT_EQUAL(markers, 1);
	end();
}

static void
test_pause(void)
{
	static const struct step	 s[] = {
		{ DOC(11), 11, 11, 11, "false", NULL, SAY },
		{ "", 0, 11, 11, "false", NULL, SAY }
	};
	unsigned	 n;

	begin(s, NITEMS(s), 10);
	arango_tail_pause(tail);
	fake_turn(50);
	CU_ASSERT_EQUAL(markers, 0);
	arango_tail_resume(tail);
	fake_turn(50);
	CU_ASSERT_EQUAL(markers, 1);
	arango_tail_pause(tail);
	fake_turn(20);
	n = f.requests;
	fake_turn(600);
	CU_ASSERT_TRUE(f.requests <= n + 1);
	end();
}

static void
test_stop_inside(void)
{
	static const struct step	 s[] = {
		{ DOC(11) DOC(12), 12, 12, 12, "true", NULL, SAY }
	};

	begin(s, NITEMS(s), 10);
	stop_in_marker = true;
	fake_turn(100);
	CU_ASSERT_EQUAL(markers, 1);
	CU_ASSERT_EQUAL(dones, 0);
	CU_ASSERT_STRING_EQUAL(events, "");
	end();
}

/* ---- proof -------------------------------------------------------------- */

static struct arango_tail_point	 point, resumed;
static int			 proven;

static void
do_prove(void *arg)
{
	struct err_msg	 m;

	memset(&resumed, 0, sizeof(resumed));
	proven = arango_tail_prove(a, arango_server_at(a, 0), &point, NULL,
	    &resumed, &m);
}

static int
prove(const struct step *s)
{
	steps = s;
	nsteps = 1;
	at_step = 0;
	fake_begin();
	fake_start(&f, serve, NULL);
	a = fake_cluster(f.url, NULL);
	fake_run(do_prove, NULL);
	arango_free(&a);
	fake_stop(&f);
	fake_end();
	return proven;
}

static void
test_proof(void)
{
	static const struct step	 good = { DOC(11) DOC(12), 12, 12, 99,
					    "false", NULL, SAY };
	static const struct step	 other = { DOC(11) DOC(13), 13, 13, 99,
					    "false", NULL, SAY };
	static const struct step	 none = { "", 0, 12, 99, "false", NULL,
					    SAY };
	static const struct step	 gone = { DOC(12), 12, 12, 99, "false",
					    "false", SAY };
	static const struct step	 down = { "", 0, 0, 0, "", NULL,
					    REFUSE };

	memset(&point, 0, sizeof(point));
	point.from = 40;
	CU_ASSERT_EQUAL(prove(&good), ERR_NOT_FOUND);	/* nothing to prove */
	point.has_last = true;
	point.last_from = 10;
	point.last_tick = 12;
	point.last_crc = crc32c(0, DOC(12), sizeof(DOC(12)) - 2);
	CU_ASSERT_EQUAL(prove(&good), 0);
	CU_ASSERT_EQUAL(resumed.from, 12);
	CU_ASSERT_EQUAL(fake_count(&f, "from=12&to=40&lastScanned=0"), 1);
	CU_ASSERT_EQUAL(fake_count(&f, "from=10&to=12&lastScanned=0"), 1);
	CU_ASSERT_EQUAL(prove(&other), ERR_CORRUPT);
	CU_ASSERT_EQUAL(prove(&none), ERR_CORRUPT);
	CU_ASSERT_EQUAL(prove(&gone), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(prove(&down), ERR_HTTP);
	point.last_crc ^= 1;
	CU_ASSERT_EQUAL(prove(&good), ERR_CORRUPT);
}

static struct arango_tail_point	 witness;

static void
do_witness(void *arg)
{
	struct arango_wal_range	 range = { .min = 1, .max = 100000 };
	struct err_msg		 m;

	proven = arango_tail_witness(a, arango_server_at(a, 0), &range, NULL,
	    &witness, &m);
}

/* Who begins at the end has a proof, too. */
static void
test_witness(void)
{
	static const struct step	 some[] = {
		{ "", 0, 100000, 100000, "false", NULL, SAY },
		{ DOC(91900) DOC(92000), 92000, 100000, 100000, "false", NULL,
		    SAY }
	};
	static const struct step	 none = { "", 0, 9, 100000, "false",
					    NULL, SAY };

	steps = some;
	nsteps = NITEMS(some);
	at_step = 0;
	fake_begin();
	fake_start(&f, serve, NULL);
	a = fake_cluster(f.url, NULL);
	fake_run(do_witness, NULL);
	CU_ASSERT_EQUAL(proven, 0);
	CU_ASSERT_EQUAL(witness.from, 100000);
	CU_ASSERT_TRUE(witness.has_last);
	CU_ASSERT_EQUAL(witness.last_tick, 92000);
	CU_ASSERT_EQUAL(witness.last_from, 100000 - 256 * 32);
	CU_ASSERT_EQUAL(witness.last_crc, crc32c(0, DOC(92000),
	    sizeof(DOC(92000)) - 2));
	steps = &none;
	nsteps = 1;
	fake_run(do_witness, NULL);
	CU_ASSERT_EQUAL(proven, 0);
	CU_ASSERT_EQUAL(witness.from, 100000);
	CU_ASSERT_FALSE(witness.has_last);
	arango_free(&a);
	fake_stop(&f);
	fake_end();
}

/* A tail makes sure by itself after trouble. */
static void
test_makes_sure(void)
{
	static const struct step	 same[] = {
		{ DOC(11), 11, 40, 40, "false", NULL, SAY },
		{ "", 0, 40, 40, "false", NULL, SAY },
		{ "", 0, 0, 0, "", NULL, DROP },
		{ "", 0, 0, 0, "", NULL, DROP },
		{ DOC(11), 11, 40, 60, "false", NULL, SAY },	/* proof */
		{ DOC(30), 30, 40, 60, "false", NULL, SAY },	/* up to 39 */
		{ DOC(50), 50, 60, 60, "false", NULL, SAY },
		{ "", 0, 60, 60, "false", NULL, SAY }
	};
	struct step			 other[NITEMS(same)];
	struct arango_tail_point	 p;

	begin(same, NITEMS(same), 10);
	fake_turn(600);
	CU_ASSERT_TRUE(is_from(39));
	CU_ASSERT_EQUAL(fake_count(&f, "from=10&to=11&"), 1);
	CU_ASSERT_EQUAL(fake_count(&f, "from=11&to=39&"), 1);
	/* between the proven line and 39 there are other things now */
	CU_ASSERT_EQUAL(fake_count(&f, "from=11&lastScanned"), 2);
	CU_ASSERT_EQUAL(markers, 2);
	CU_ASSERT_STRING_EQUAL(events, "down up ");
	end();
	/* Nothing was there, nothing can come there any more. */
	memcpy(other, same, sizeof(other));
	other[5] = (struct step){ "", 0, 39, 60, "false", NULL, SAY };
	begin(other, NITEMS(other), 10);
	fake_turn(600);
	CU_ASSERT_EQUAL(fake_count(&f, "from=11&lastScanned"), 1);
	CU_ASSERT_EQUAL(markers, 2);
	end();
	/* Nothing is there, but something may come yet. */
	other[5].newest = 38;
	begin(other, NITEMS(other), 10);
	fake_turn(600);
	CU_ASSERT_EQUAL(fake_count(&f, "from=11&lastScanned"), 2);
	end();
	/* Power was lost, the tick is another operation now. */
	memcpy(other, same, sizeof(other));
	other[4].lines = "{\"tick\":\"11\",\"type\":2001,\"db\":\"d\","
	    "\"cuid\":\"c1/s2\"}\n";
	begin(other, NITEMS(other), 10);
	fake_turn(600);
	CU_ASSERT_STRING_EQUAL(events, "down gap ");
	p = arango_tail_point(tail);
	CU_ASSERT_EQUAL(p.from, 39);
	end();
	/* The log ends before what we have read. */
	other[4] = (struct step){ "", 0, 5, 5, "false", "false", SAY };
	begin(other, NITEMS(other), 10);
	fake_turn(600);
	CU_ASSERT_STRING_EQUAL(events, "down gap ");
	end();
}

/* ---- hold --------------------------------------------------------------- */

static struct arango_hold	*hold;
static unsigned			 held, held_bad;
static bool			 forgets = true;

static void
keeper(struct http_req *req, void *arg)
{
	fake_note(&f, req);
	if (http_req_method(req) == HTTP_DELETE)
		fake_json(req, forgets ? 200 : 400, "{\"error\":false}");
	else if (strstr(http_req_path(req), "lastTick") != NULL)
		fake_json(req, 200, "{\"tick\":\"777\",\"server\":"
		    "{\"serverId\":\"42\"}}");
	else
		fake_json(req, 200, "{\"error\":false,\"result\":{}}");
}

static void
on_hold(void *arg, int err, const char *why)
{
	if (err == 0)
		held++;
	else
		held_bad++;
}

static void
do_drop(void *arg)
{
	CU_ASSERT_EQUAL(arango_hold_drop(&hold, NULL), 0);
}

static void
test_hold(void)
{
	struct arango_hold_opts	 o = ARANGO_HOLD_OPTS_INIT;
	unsigned		 i;

	for (i = 0; i < 2; i++) {
		forgets = i == 0;
		held = held_bad = 0;
		fake_begin();
		fake_start(&f, keeper, NULL);
		a = fake_cluster(f.url, NULL);
		o.cluster = a;
		o.server = arango_server_at(a, 0);
		o.syncer_id = arango_syncer_id("s", "t", "PRMR-1");
		o.on_result = on_hold;
		o.every_ms = 40;
		hold = arango_hold_start(&o);
		fake_turn(100);
		CU_ASSERT_TRUE(held >= 2 && held_bad == 0);
		CU_ASSERT_TRUE(fake_count(&f, "from=0&to=1&trackOnly=true") >=
		    2);
		arango_hold_set(hold, 500);
		fake_turn(100);
		CU_ASSERT_TRUE(fake_count(&f, "from=500&to=500&") >= 1);
		fake_run(do_drop, NULL);
		CU_ASSERT_EQUAL(fake_count(&f,
		    "DELETE /_api/wal/tail?syncerId="), 1);
		/* An old server: from its newest tick on. */
		CU_ASSERT_EQUAL(fake_count(&f, "from=777&to=777"),
		    forgets ? 0 : 1);
		held = 0;
		fake_turn(100);
		CU_ASSERT_EQUAL(held, 0);
		arango_free(&a);
		fake_stop(&f);
		fake_end();
	}
}

UNIT_MAIN("arango tail",
    { "markers: any order, only the outermost members", test_markers },
    { "what is no marker is an error", test_bad_markers },
    { "the last line has the checksum", test_last_line },
    { "VelocyPack, in pieces of any size", test_vpack },
    { "absurd VelocyPack is refused", test_bad_vpack },
    { "the position comes from headers, never back", test_positions },
    { "a broken answer is asked for again from the same place", test_broken },
    { "so is one that the consumer does not take", test_refused_marker },
    { "a gap stops it until somebody says where to go on", test_gap },
    { "from 0 there is no gap", test_from_zero },
    { "pause and resume", test_pause },
    { "stopped from its own callback", test_stop_inside },
    { "a history is proven by its last line", test_proof },
    { "who begins at the end has a proof", test_witness },
    { "after trouble a tail proves its history first", test_makes_sure },
    { "a hold renews itself, moves, and is let go", test_hold })
