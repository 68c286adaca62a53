/*
 * fuzz_channel.c - bytes of a session between datacenters: frames as link and
 * api read them, and what they and the two ends of a shard pair decode
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ipc/codec.h"
#include "ipc/frame.h"
#include "ipc/messages.h"
#include "sync/channel.h"

#define MESSAGE_MAX	((size_t)64 * 1024)

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A span of the payload, and nothing else. */
static void
check_span(const struct frame *f, const uint8_t *p, size_t len)
{
	if (len != 0)
		bug_unless(p >= f->payload && p + len <= f->payload + f->len);
}

/* What was read is written as it was. */
static void
check_same(const struct frame *f, struct buf *b)
{
	bug_unless(b->len == f->len && memcmp(b->data, f->payload,
	    f->len) == 0);
	buf_free(b);
}

static void
read_up(const struct frame *f)
{
	struct channel_subscribe sub;
	struct rbuf		 m = { f->payload, f->len };
	struct buf		 b = BUF_INIT;
	char			 text[256];
	uint64_t		 live, bulk;

	if (f->type == MSG_CH_SUBSCRIBE) {
		if (channel_subscribe_get(&m, &sub) != 0)
			return;
		bug_unless(strlen(channel_name_text(&sub.name, text)) < 256);
		channel_subscribe_put(&b, &sub);
		check_same(f, &b);
	} else if (f->type == MSG_CH_CREDIT &&
	    channel_credit_get(&m, &live, &bulk) == 0) {
		channel_credit_put(&b, live, bulk);
		check_same(f, &b);
	}
}

static void
read_record(const struct frame *f)
{
	struct channel_record	 r;
	struct buf		 b = BUF_INIT;

	if (channel_record_get(f->payload, f->len, &r) != 0)
		return;
	check_span(f, r.lines, r.len);
	bug_unless((r.flags & CHANNEL_BOUNDARY) == 0 ||
	    (r.pos.epoch == r.epoch && r.pos.offset == r.offset));
	/* Stored again, it is the same to who reads it. */
	channel_record_put(&b, r.epoch, r.offset);
	channel_stored_put(&b, r.flags, &r.pos);
	buf_append(&b, r.lines, r.len);
	bug_unless(channel_record_get(b.data, b.len, &r) == 0);
	buf_free(&b);
}

static void
read_docs(const struct frame *f)
{
	struct rbuf	 m = { f->payload, f->len };
	const uint8_t	*doc;
	uint32_t	 request, index;
	uint8_t		 flags, found;
	size_t		 len;

	if (channel_docs_get(&m, &request, &flags) != 0)
		return;
	while (m.left != 0 && channel_doc_get(&m, &index, &found, &doc,
	    &len) == 0)
		check_span(f, doc, len);
}

static void
read_down(const struct frame *f)
{
	struct channel_watermark w;
	struct channel_resume	 resume;
	struct channel_cut	 cut;
	struct rbuf		 m = { f->payload, f->len };
	struct buf		 b = BUF_INIT;

	switch (f->type) {
	case MSG_CH_RESUME:
		if (channel_resume_get(&m, &resume) != 0)
			return;
		channel_resume_put(&b, &resume);
		break;
	case MSG_CH_CUT:
		if (channel_cut_get(&m, &cut) != 0)
			return;
		channel_cut_put(&b, &cut);
		break;
	case MSG_CH_WATERMARK:
		if (channel_watermark_get(&m, &w) != 0)
			return;
		channel_watermark_put(&b, &w);
		break;
	case MSG_CH_RECORD:
		read_record(f);
		return;
	case MSG_CH_PAIRS:
	case MSG_CH_DOCS:
		read_docs(f);
		return;
	default:
		return;
	}
	check_same(f, &b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_parser	 p;
	struct frame		 f;
	size_t			 at, n, step = size == 0 ? 1 : 1 + data[0];

	frame_parser_init(&p, MESSAGE_MAX);
	for (at = 0; at < size; at += n) {
		n = MIN(step, size - at);
		frame_parser_feed(&p, data + at, n);
		while (frame_parser_next(&p, &f) == 1) {
			bug_unless(f.len <= MESSAGE_MAX);
			read_up(&f);
			read_down(&f);
		}
	}
	frame_parser_free(&p);
	return 0;
}
