/* fuzz_frame.c - bytes of a peer: frames, then values in their payloads */
#include <stdlib.h>

#include "base/err.h"
#include "ipc/codec.h"
#include "ipc/frame.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Read values as the payload's own bytes say, to the end. */
static void
read_values(const struct frame *f)
{
	struct rbuf	 m = { f->payload, f->len };
	const uint8_t	*p;
	char		 text[64], *dup;
	uint64_t	 v;
	uint32_t	 n;
	uint8_t		 what;
	size_t		 len;
	bool		 t;
	int		 r = 0;

	while (r == 0 && get_u8(&m, &what) == 0)
		switch (what % 7) {
		case 0:
			r = get_u64(&m, &v);
			break;
		case 1:
			r = get_u32(&m, &n);
			break;
		case 2:
			r = get_varint(&m, &v);
			break;
		case 3:
			r = get_bool(&m, &t);
			break;
		case 4:
			r = get_str(&m, text, sizeof(text));
			break;
		case 5:
			if ((r = get_str_dup(&m, 1000, &dup)) == 0)
				free(dup);
			break;
		case 6:
			if ((r = get_bytes(&m, &p, &len)) == 0 && len != 0)
				bug_unless(p + len <= f->payload + f->len);
			break;
		}
	bug_unless(m.left <= f->len);
	(void)get_end(&m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_parser	 p;
	struct frame		 f;
	size_t			 at, n, step = size == 0 ? 1 : 1 + data[0];

	frame_parser_init(&p, 2000);
	for (at = 0; at < size; at += n) {
		n = MIN(step, size - at);
		frame_parser_feed(&p, data + at, n);
		while (frame_parser_next(&p, &f) == 1) {
			bug_unless(f.len <= 2000);
			read_values(&f);
		}
	}
	frame_parser_free(&p);
	return 0;
}
