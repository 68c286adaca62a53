/* test_channel.c - what the two ends of a pair say to each other, as bytes */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "sync/channel.h"
#include "unit.h"

static const struct sync_pos	 somewhere = {
	.server = "PRMR-1", .reboot_id = 7, .server_id = 99, .tick = 4711,
	.has_proof = true, .proof_from = 4000, .proof_tick = 4711,
	.proof_crc = 0xdeadbeef, .epoch = 3, .offset = 900
};

static bool
same_pos(const struct sync_pos *a, const struct sync_pos *b)
{
	return strcmp(a->server, b->server) == 0 &&
	    a->reboot_id == b->reboot_id && a->server_id == b->server_id &&
	    a->tick == b->tick && a->has_proof == b->has_proof &&
	    a->proof_from == b->proof_from && a->proof_tick == b->proof_tick &&
	    a->proof_crc == b->proof_crc && a->epoch == b->epoch &&
	    a->offset == b->offset;
}

/* fn must refuse every shorter payload, and one that is longer. */
static void
refuses_other_lengths(const struct buf *b,
    int (*fn)(struct rbuf *m, void *out), void *out)
{
	struct buf	 longer = BUF_INIT;
	struct rbuf	 m;
	size_t		 n;

	for (n = 0; n < b->len; n++) {
		m = (struct rbuf){ b->data, n };
		CU_ASSERT_TRUE(fn(&m, out) < 0);
	}
	buf_append(&longer, b->data, b->len);
	put_u8(&longer, 0);
	m = (struct rbuf){ longer.data, longer.len };
	CU_ASSERT_TRUE(fn(&m, out) < 0);
	buf_free(&longer);
}

static int
get_subscribe(struct rbuf *m, void *out)
{
	return channel_subscribe_get(m, out);
}

static void
test_subscribe(void)
{
	static struct channel_subscribe	 in, out;
	struct buf			 b = BUF_INIT;
	struct rbuf			 m;
	char				 text[256];
	int				 i;

	for (i = 0; i < 2; i++) {
		memset(&in, 0, sizeof(in));
		snprintf(in.name.db, sizeof(in.name.db), "shop");
		in.name.cid = 10049;
		in.name.shard = 3;
		in.has_record = i == 1;
		snprintf(in.record.cid, sizeof(in.record.cid), "10049");
		in.record.lineage = true;
		in.record.pos = somewhere;
		snprintf(in.target_cid, sizeof(in.target_cid), "20077");
		snprintf(in.target_server, sizeof(in.target_server), "PRMR-9");
		in.target_reboot = 12;
		snprintf(in.repair, sizeof(in.repair), "an operator asked");
		buf_reset(&b);
		channel_subscribe_put(&b, &in);
		m = (struct rbuf){ b.data, b.len };
		CU_ASSERT_EQUAL(channel_subscribe_get(&m, &out), 0);
		CU_ASSERT_STRING_EQUAL(channel_name_text(&out.name, text),
		    "shop/10049/3");
		CU_ASSERT_EQUAL(out.has_record, i == 1);
		if (i == 1)
			CU_ASSERT_TRUE(same_pos(&out.record.pos, &somewhere));
		CU_ASSERT_EQUAL(out.target_reboot, 12);
		CU_ASSERT_STRING_EQUAL(out.repair, "an operator asked");
		refuses_other_lengths(&b, get_subscribe, &out);
	}
	/* a channel without a database, or of no collection */
	in.name.db[0] = '\0';
	buf_reset(&b);
	channel_subscribe_put(&b, &in);
	m = (struct rbuf){ b.data, b.len };
	CU_ASSERT_EQUAL(channel_subscribe_get(&m, &out), ERR_FORMAT);
	snprintf(in.name.db, sizeof(in.name.db), "shop");
	in.name.cid = 0;
	buf_reset(&b);
	channel_subscribe_put(&b, &in);
	m = (struct rbuf){ b.data, b.len };
	CU_ASSERT_EQUAL(channel_subscribe_get(&m, &out), ERR_FORMAT);
	buf_free(&b);
}

static void
test_record(void)
{
	struct channel_record	 r;
	struct buf		 b = BUF_INIT;
	size_t			 head, n;

	channel_record_put(&b, 5, 12345);
	head = b.len;
	channel_stored_put(&b, CHANNEL_BOUNDARY, &somewhere);
	n = b.len;
	buf_append(&b, "{\"tick\":1}\n", 11);
	CU_ASSERT_EQUAL(channel_record_get(b.data, b.len, &r), 0);
	CU_ASSERT_EQUAL(r.epoch, 5);
	CU_ASSERT_EQUAL(r.offset, 12345);
	CU_ASSERT_EQUAL(r.pos.tick, 4711);
	/* where it is now, not where it was when it was stored */
	CU_ASSERT_EQUAL(r.pos.epoch, 5);
	CU_ASSERT_EQUAL(r.pos.offset, 12345);
	CU_ASSERT_EQUAL(r.len, 11);
	CU_ASSERT_EQUAL(memcmp(r.lines, "{\"tick\":1}\n", 11), 0);
	CU_ASSERT_EQUAL(channel_stored_get(b.data + head, b.len - head, &r), 0);
	CU_ASSERT_EQUAL(r.pos.epoch, 0);
	CU_ASSERT_EQUAL(r.len, 11);
	for (; n-- > 0;)
		CU_ASSERT_TRUE(channel_record_get(b.data, n, &r) < 0);

	/* a piece in the midst of a response has no position */
	buf_reset(&b);
	channel_stored_put(&b, CHANNEL_MORE, NULL);
	buf_append(&b, "{\"ti", 4);
	CU_ASSERT_EQUAL(channel_stored_get(b.data, b.len, &r), 0);
	CU_ASSERT_EQUAL(r.flags, CHANNEL_MORE);
	CU_ASSERT_EQUAL(r.len, 4);
	/* an end within a line, and flags that do not exist */
	buf_reset(&b);
	channel_stored_put(&b, CHANNEL_MORE | CHANNEL_BOUNDARY, &somewhere);
	CU_ASSERT_EQUAL(channel_stored_get(b.data, b.len, &r), ERR_FORMAT);
	b.data[0] = 0x80;
	CU_ASSERT_EQUAL(channel_stored_get(b.data, b.len, &r), ERR_FORMAT);
	buf_free(&b);
}

static int
get_cut(struct rbuf *m, void *out)
{
	return channel_cut_get(m, out);
}

static int
get_resume(struct rbuf *m, void *out)
{
	return channel_resume_get(m, out);
}

static int
get_watermark(struct rbuf *m, void *out)
{
	return channel_watermark_get(m, out);
}

static void
test_positions(void)
{
	struct channel_resume	 r = { somewhere, 5000, 2 }, r2;
	struct channel_cut	 c = { somewhere, 1000000, 2, true }, c2;
	struct channel_watermark w = { somewhere, 6000, 1234567 }, w2;
	struct buf		 b = BUF_INIT;
	struct rbuf		 m;

	channel_resume_put(&b, &r);
	m = (struct rbuf){ b.data, b.len };
	CU_ASSERT_EQUAL(channel_resume_get(&m, &r2), 0);
	CU_ASSERT_TRUE(same_pos(&r2.pos, &somewhere));
	CU_ASSERT_EQUAL(r2.queued, 5000);
	refuses_other_lengths(&b, get_resume, &r2);
	buf_reset(&b);
	channel_cut_put(&b, &c);
	m = (struct rbuf){ b.data, b.len };
	CU_ASSERT_EQUAL(channel_cut_get(&m, &c2), 0);
	CU_ASSERT_EQUAL(c2.documents, 1000000);
	CU_ASSERT_TRUE(c2.compare);
	refuses_other_lengths(&b, get_cut, &c2);
	buf_reset(&b);
	channel_watermark_put(&b, &w);
	m = (struct rbuf){ b.data, b.len };
	CU_ASSERT_EQUAL(channel_watermark_get(&m, &w2), 0);
	CU_ASSERT_EQUAL(w2.newest_tick, 6000);
	CU_ASSERT_EQUAL(w2.source_us, 1234567);
	refuses_other_lengths(&b, get_watermark, &w2);
	buf_free(&b);
}

static void
test_docs(void)
{
	struct buf	 b = BUF_INIT;
	struct rbuf	 m;
	const uint8_t	*doc;
	uint32_t	 request, index;
	uint8_t		 flags, found;
	size_t		 len;

	channel_docs_put(&b, 77, CHANNEL_LAST);
	channel_doc_put(&b, 0, CHANNEL_DOC_FOUND, "{}", 2);
	channel_doc_put(&b, 1, CHANNEL_DOC_GONE, NULL, 0);
	m = (struct rbuf){ b.data, b.len };
	CU_ASSERT_EQUAL(channel_docs_get(&m, &request, &flags), 0);
	CU_ASSERT_EQUAL(request, 77);
	CU_ASSERT_EQUAL(flags, CHANNEL_LAST);
	CU_ASSERT_EQUAL(channel_doc_get(&m, &index, &found, &doc, &len), 0);
	CU_ASSERT_EQUAL(index, 0);
	CU_ASSERT_EQUAL(found, CHANNEL_DOC_FOUND);
	CU_ASSERT_EQUAL(len, 2);
	CU_ASSERT_EQUAL(channel_doc_get(&m, &index, &found, &doc, &len), 0);
	CU_ASSERT_EQUAL(found, CHANNEL_DOC_GONE);
	CU_ASSERT_EQUAL(get_end(&m), 0);
	CU_ASSERT_TRUE(channel_doc_get(&m, &index, &found, &doc, &len) < 0);
	b.data[5 + 4] = 3;
	m = (struct rbuf){ b.data + 5, b.len - 5 };
	CU_ASSERT_EQUAL(channel_doc_get(&m, &index, &found, &doc, &len),
	    ERR_FORMAT);
	buf_free(&b);
}

static void
test_streams(void)
{
	/* What a copy consists of never delays the tail. */
	CU_ASSERT_TRUE(channel_is_bulk(MSG_CH_SNAP));
	CU_ASSERT_TRUE(channel_is_bulk(MSG_CH_SNAP_END));
	CU_ASSERT_TRUE(channel_is_bulk(MSG_CH_PAIRS));
	CU_ASSERT_TRUE(channel_is_bulk(MSG_CH_DOCS));
	CU_ASSERT_FALSE(channel_is_bulk(MSG_CH_RECORD));
	CU_ASSERT_FALSE(channel_is_bulk(MSG_CH_CUT));
	CU_ASSERT_FALSE(channel_is_bulk(MSG_CH_WATERMARK));
	CU_ASSERT_FALSE(channel_is_bulk(MSG_CH_CLOSED));
}

UNIT_MAIN("channel",
    { "a subscription says all that resuming needs", test_subscribe },
    { "a record knows its place in the queue", test_record },
    { "resume, cut and watermark name a position", test_positions },
    { "documents come with the place of their key", test_docs },
    { "copies and records use different streams", test_streams })
