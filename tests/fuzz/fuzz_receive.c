/* fuzz_receive.c - what a lying source sends: gathered, taken, never believed.
 *
 * The input is a list of steps: what to do, u16 length, payload.  Whatever is
 * in there, blocks hold whole lines and credits only rise; and the input as a
 * file is no record of ours unless its checksum says so. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "receive/receive_inbox.h"
#include "receive/receive_record.h"
#include "sync/fold.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
take(struct inbox_block *b, struct buf *out)
{
	struct sync_pos	 pos;
	struct fold	*f;
	struct err_msg	 m;
	bool		 boundary, had = inbox_has(b);
	size_t		 used;

	inbox_take(b, out, &boundary, &pos);
	bug_unless(had == (out->len != 0 || boundary));
	bug_unless(out->len == 0 || out->data[out->len - 1] == '\n');
	bug_unless(!inbox_has(b));
	if (out->len == 0)
		return;
	f = fold_new(NULL);
	(void)fold_lines(f, (char *)out->data, out->len, &used, &m);
	bug_unless(used <= out->len);
	fold_free(&f);
}

static void
step(struct inbox *in, struct buf *out, uint8_t what, const uint8_t *p,
    size_t len)
{
	uint64_t	 live = in->live_said, bulk = in->bulk_said;
	uint64_t	 l, b;

	switch (what % 8) {
	case 0:
		(void)inbox_record(in, p, len);
		break;
	case 1:
		(void)inbox_snap(in, p, len);
		break;
	case 2:
		(void)inbox_piece(in, MSG_CH_DOCS, p, len);
		break;
	case 3:
		take(&in->now, out);
		break;
	case 4:
		take(&in->snap, out);
		break;
	case 5:
		free(inbox_next(in));
		break;
	case 6:
		inbox_part(in);
		break;
	case 7:
		inbox_join(in);
		break;
	}
	if (inbox_credit(in, &l, &b))
		bug_unless(l >= live && b >= bulk);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct channel_name	 name = { "d", 1, 0 };
	struct receive_record	 rec;
	struct inbox		 in;
	struct buf		 out = BUF_INIT;
	size_t			 at = 0, len;

	(void)receive_record_get(data, size, "S", &name, &rec);
	inbox_init(&in);
	while (size - at >= 3) {
		len = (size_t)data[at + 1] | (size_t)data[at + 2] << 8;
		len = MIN(len, size - at - 3);
		step(&in, &out, data[at], data + at + 3, len);
		at += 3 + len;
	}
	inbox_free(&in);
	buf_free(&out);
	return 0;
}
