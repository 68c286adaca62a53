/* test_repair.c - a send whose target is compared, or compares at a cut */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sync/compare.h"
#include "vpack/rev.h"
#include "near_end.h"
#include "unit.h"

#define IS(a, b)	(strcmp((a), (b)) == 0)

static struct channel_cut
cut_of(struct near_end *f)
{
	struct near_message	*n = near_expect(f, MSG_CH_CUT);
	struct rbuf		 m = { n->data, n->len };
	struct channel_cut	 c;

	near_check(channel_cut_get(&m, &c) == 0);
	free(n);
	return c;
}

static void
verify(struct near_end *f, bool compare)
{
	struct buf	 b = BUF_INIT;

	put_bool(&b, compare);
	put_str(&b, "a test");
	near_up(f, MSG_CH_VERIFY, &b);
}

static void
at_cut(struct near_end *f, uint64_t documents)
{
	struct buf	 b = BUF_INIT;

	put_u64(&b, documents);
	near_up(f, MSG_CH_AT_CUT, &b);
}

/* ---- comparing --------------------------------------------------------- */

static uint64_t
rev(const char *text)
{
	uint64_t	 r = rev_from_text(text, strlen(text));

	return r == REV_INVALID ? 0 : r;
}

static void
check_sums(struct near_end *f, const char *const *keys, size_t n)
{
	struct near_message	*q = near_expect(f, MSG_CH_SUMS);
	struct rbuf		 m = { q->data, q->len };
	struct cmp_sum		 there, here;
	struct cmp_set		 d;
	size_t			 i;

	near_check(cmp_sum_decode(&m, &there) == 0);
	near_check(cmp_sum_init(&here, there.nbuckets) == 0);
	for (i = 0; i < n; i += 2)
		cmp_sum_add(&here, keys[i], strlen(keys[i]),
		    rev(keys[i + 1]));
	near_check(cmp_diff(&there, &here, &d) == 0 && d.count == 0);
	cmp_set_free(&d);
	cmp_sum_free(&here);
	cmp_sum_free(&there);
	free(q);
}

static void
ask_pairs(struct near_end *f, uint32_t request)
{
	struct cmp_sum	 a, none;
	struct cmp_set	 d;
	struct buf	 b = BUF_INIT;

	near_check(cmp_sum_init(&a, CMP_BUCKETS_MIN) == 0 &&
	    cmp_sum_init(&none, CMP_BUCKETS_MIN) == 0);
	cmp_sum_add(&a, "b", 1, rev("_2"));
	near_check(cmp_diff(&a, &none, &d) == 0);
	put_u32(&b, request);
	put_u64(&b, 0);
	put_u64(&b, UINT64_MAX);
	cmp_set_encode(&b, &d);
	near_up(f, MSG_CH_DIFF, &b);
	cmp_set_free(&d);
	cmp_sum_free(&a);
	cmp_sum_free(&none);
}

static void
check_pairs(struct near_end *f, uint32_t request)
{
	struct near_message	*n = near_expect(f, MSG_CH_PAIRS);
	struct rbuf		 m = { n->data, n->len };
	const uint8_t		*key;
	size_t			 len;
	uint64_t		 r;
	uint32_t		 of;
	uint8_t			 flags;

	near_check(channel_pairs_get(&m, &of, &flags) == 0 && of == request);
	near_check(flags == CHANNEL_LAST);
	near_check(cmp_pair_get(&m, &key, &len, &r) == 0 && len == 1 &&
	    *key == 'b' && r == rev("_2"));
	near_check(m.left == 0);
	free(n);
}

static void
fetch(struct near_end *f, uint32_t request, const char *const *keys, uint32_t n)
{
	struct buf	 b = BUF_INIT;
	uint32_t	 i;

	put_u32(&b, request);
	put_u32(&b, n);
	for (i = 0; i < n; i++)
		put_bytes(&b, keys[i], strlen(keys[i]));
	near_up(f, MSG_CH_FETCH, &b);
}

/* Documents of an answer, "0=12 1=gone": bytes of each. */
static const char *
docs(struct near_end *f, uint32_t request)
{
	static char		 text[1024];
	size_t			 bytes[64] = { 0 }, len, at = 0;
	bool			 gone[64] = { false };
	struct near_message	*n;
	struct rbuf		 m;
	const uint8_t		*p;
	uint32_t		 of, index, most = 0, i;
	uint8_t			 flags, found;

	do {
		n = near_expect(f, MSG_CH_DOCS);
		m.p = n->data;
		m.left = n->len;
		near_check(n->len <= CHANNEL_PIECE_BYTES);
		near_check(channel_docs_get(&m, &of, &flags) == 0 &&
		    of == request);
		while (m.left > 0) {
			near_check(channel_doc_get(&m, &index, &found, &p,
			    &len) == 0 && index < 64);
			near_check(found != CHANNEL_DOC_GOES_ON ||
			    bytes[index] > 0);
			bytes[index] += len;
			gone[index] = found == CHANNEL_DOC_GONE;
			most = MAX(most, index + 1);
		}
		free(n);
	} while (!(flags & CHANNEL_LAST));
	for (i = 0; i < most; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, gone[i] ?
		    "%s%u=gone" : "%s%u=%zu", i == 0 ? "" : " ", i,
		    bytes[i]);
	return text;
}

static void
repairs(struct near_end *f)
{
	static const char *const all[] = { "a", "_1", "b", "_2", "c", "_3" };
	static const char *const keys[] = { "b", "gone", "big", "\"q\\" };
	char			*big = xmalloc(600001);

	near_doc(f, "a", "_1");
	near_doc(f, "b", "_2");
	near_doc(f, "c", "_3");
	near_subscribe(f, NULL, "");
	near_ask(f, false, 1, 90, 0);
	near_skip(f, MSG_CH_REPAIR);
	near_ask(f, false, 1, 90, 0);
	f->snapshot_tick = 105;
	f->wal_tick = 110;
	near_join(f, ROUTE_FROM_NOW, 100);
	near_skip(f, MSG_CH_CUT);
	at_cut(f, 4);
	check_sums(f, all, NITEMS(all));
	near_check(f->dumps == 1 && f->snapshots == 1);
	/* each pass has a snapshot of its own */
	ask_pairs(f, 1);
	check_pairs(f, 1);
	near_check(f->dumps == 2 && f->snapshots == 2);
	/* documents of any size, and those that are gone */
	memset(big, 'x', 600000);
	big[600000] = '\0';
	memcpy(big, "{\"_key\":\"big\",\"t\":\"", 19);
	memcpy(big + 599998, "\"}", 2);
	map_put(&f->docs, "big", big);
	map_put(&f->docs, "\"q\\", xstrdup("{\"_key\":\"q\"}"));
	fetch(f, 2, keys, 4);
	near_check(IS(docs(f, 2), "0=24 1=gone 2=600000 3=12"));
	near_ops(f, "i 103 x 1;i 108 y 1", 110);
	near_up(f, MSG_CH_REPAIRED, NULL);
	near_check(IS(near_records(f, 0, NULL), "108"));
	near_skip(f, MSG_CH_CAUGHT_UP);
	/* owed keys, while it runs */
	fetch(f, 3, keys, 1);
	near_check(IS(docs(f, 3), "0=24"));
	near_until(strstr(f->status, "\"running\"") != NULL);
}

/* ---- a cut in the stream ----------------------------------------------- */

static void
compares_at_a_cut(struct near_end *f)
{
	static const char *const all[] = { "a", "_1" };
	struct channel_cut	 c;
	struct near_message	*n;
	struct channel_record	 rec;
	struct sync_pos		 pos;

	near_start_empty(f, 100, 100);
	near_doc(f, "a", "_1");
	near_ops(f, "i 101 a 1", 102);
	(void)near_records(f, 0, &pos);
	f->snapshot_tick = 115;
	f->server_tail = 102;
	verify(f, true);
	near_quiet(f, 100);
	/* the cut lies within a response */
	near_ops(f, "i 110 b 1;i 115 c 1;i 116 d 1", 120);
	n = near_expect(f, MSG_CH_RECORD);
	near_check(channel_record_get(n->data, n->len, &rec) == 0);
	near_check(rec.flags == 0 && memmem(rec.lines, rec.len, "115", 3) !=
	    NULL && memmem(rec.lines, rec.len, "116", 3) == NULL);
	free(n);
	c = cut_of(f);
	near_check(c.compare && c.pos.tick == 115);
	near_ops(f, "i 121 e 1", 122);
	at_cut(f, 1);
	check_sums(f, all, NITEMS(all));
	near_quiet(f, 50);
	near_until(strstr(f->status, "\"running\"") != NULL);
	near_up(f, MSG_CH_REPAIRED, NULL);
	near_check(IS(near_records(f, 122, &pos), "116 121"));
	/* nothing new: the tail says that it has read through the snapshot */
	f->snapshot_tick = 130;
	f->server_tail = 122;
	verify(f, true);
	near_quiet(f, 100);
	f->server_tail = 130;
	c = cut_of(f);
	near_check(c.pos.tick == 130);
	/* and the end of the log may be of ticks that it never shows */
	near_up(f, MSG_CH_REPAIRED, NULL);
	f->snapshot_tick = f->wal_tick = 145;
	f->server_tail = 140;
	f->idle = true;
	verify(f, false);
	c = cut_of(f);
	near_check(c.pos.tick == 145 && !c.compare);
	near_until(strstr(f->status, "\"initial-sync\"") != NULL);
	near_up(f, MSG_CH_REPAIRED, NULL);
	near_closed(f, "in step cut");
}

/* ---- a dump ------------------------------------------------------------- */

#define DUMP_CHUNKS	6
#define DUMP_DOCS	7
#define DUMP_DOC_BYTES	100000

static void
begin_dump(struct near_end *f)
{
	char	*big = xmalloc(DUMP_DOC_BYTES + 1), key[8];
	int	 i;

	for (i = 0; i < DUMP_DOCS; i++) {
		memset(big, 'x', DUMP_DOC_BYTES);
		big[DUMP_DOC_BYTES] = '\0';
		snprintf(key, sizeof(key), "%d", i);
		memcpy(big, "{\"_key\":\"k\",\"t\":\"", 17);
		memcpy(big + DUMP_DOC_BYTES - 2, "\"}", 2);
		map_put(&f->docs, key, xstrdup(big));
	}
	free(big);
	f->chunks = DUMP_CHUNKS;
	near_subscribe(f, NULL, "");
	near_ask(f, false, 1, 90, 0);
	near_skip(f, MSG_CH_REPAIR);
	near_ask(f, false, 1, 90, 0);
	f->snapshot_tick = f->wal_tick = 105;
	near_join(f, ROUTE_FROM_NOW, 100);
	near_skip(f, MSG_CH_CUT);
	at_cut(f, 0);
}

/* Pieces that are there: bytes of documents, and of payload. */
static size_t
take_snap(struct near_end *f, size_t *payload, bool *line_open)
{
	struct near_message	*n;
	size_t			 bytes = 0;

	while (f->first != NULL && f->first->type == MSG_CH_SNAP) {
		n = near_expect(f, MSG_CH_SNAP);
		near_check(n->len <= CHANNEL_PIECE_BYTES);
		*line_open = n->data[0] & CHANNEL_MORE;
		near_check(*line_open == (n->data[n->len - 1] != '\n'));
		bytes += n->len - 1;
		*payload += n->len;
		free(n);
	}
	return bytes;
}

static void
dumps_slowly(struct near_end *f)
{
	const size_t	 all = (size_t)DUMP_CHUNKS * DUMP_DOCS *
			    (DUMP_DOC_BYTES + 1);
	struct buf	 b = BUF_INIT;
	size_t		 bytes = 0, payload = 0;
	unsigned int	 most = 0;
	bool		 line_open = false;

	begin_dump(f);
	while (bytes < all) {
		fiber_sleep_ms(30);
		bytes += take_snap(f, &payload, &line_open);
		/* beyond what was sent: a part of a chunk, one that waits, one
		 * whose answer is held back */
		most = (unsigned int)(payload / (DUMP_DOCS *
		    (DUMP_DOC_BYTES + 1))) + 3;
		near_check(f->dumps <= most);
		channel_credit_put(&b, 0, payload + CHANNEL_FIRST_CREDIT);
		near_up(f, MSG_CH_CREDIT, &b);
	}
	near_check(bytes == all && !line_open);
	near_skip(f, MSG_CH_SNAP_END);
	near_check(f->dumps == DUMP_CHUNKS);
}

static void
dump_breaks(struct near_end *f)
{
	struct buf	 b = BUF_INIT;
	size_t		 payload = 0;
	bool		 line_open;

	f->break_at = 3;
	channel_credit_put(&b, 0, (uint64_t)100 << 20);
	begin_dump(f);
	near_up(f, MSG_CH_CREDIT, &b);
	while (f->first == NULL || f->first->type != MSG_CH_CLOSED) {
		fiber_sleep_ms(10);
		(void)take_snap(f, &payload, &line_open);
	}
	near_closed(f, "");
	/* never the same snapshot twice */
	near_check(f->snapshots == 1 && f->dumps == 3);
}

static void
test_dump(void)
{
	CU_ASSERT_EQUAL(near_run(dumps_slowly, NULL), 0);
	CU_ASSERT_EQUAL(near_run(dump_breaks, NULL), 0);
}

static void
test_repairs(void)
{
	CU_ASSERT_EQUAL(near_run(repairs, NULL), 0);
}

static void
test_cut(void)
{
	CU_ASSERT_EQUAL(near_run(compares_at_a_cut, NULL), 0);
}

UNIT_MAIN("send repair",
    { "a dump is as fast as the target, and broken off for good", test_dump },
    { "a target with documents is compared", test_repairs },
    { "a cut in the stream is exact", test_cut })
