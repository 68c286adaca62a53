/*
 * fuzz_vpack.c - bytes that claim to be VelocyPack: check, then use everything
 * that trusts the check, and build the same value again.
 */
#include <stdlib.h>

#include "vpack/hash.h"
#include "vpack/vpack.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The value again, through the builder. */
static void
rebuild(struct vp_builder *b, const uint8_t *s)
{
	struct vp_iter	 it;
	struct vp_attr	 a;
	const uint8_t	*m;
	size_t		 n = 0;

	if (vp_is_array(s)) {
		vpb_open_array(b);
		vp_arr_iter(&it, s);
		while ((m = vp_arr_next(&it)) != NULL) {
			bug_unless(vp_arr_at(s, n++) == m);
			rebuild(b, m);
		}
		bug_unless(n == vp_length(s));
		vpb_close(b);
	} else if (vp_is_object(s)) {
		vpb_open_object(b);
		vp_obj_iter(&it, s);
		while (vp_obj_next(&it, &a)) {
			bug_unless(vp_obj_get(s, a.name, a.nlen) == a.value);
			vpb_key(b, a.name, a.nlen);
			rebuild(b, a.value);
		}
		vpb_close(b);
	} else
		vpb_slice(b, s);
}

static void
check_value(const uint8_t *s)
{
	static const char *const keys[] = { "_key", "a:", ":b" };
	struct vp_builder	 b;
	struct buf		 out = BUF_INIT, text = BUF_INIT;
	struct buf		 again = BUF_INIT;

	vpb_init(&b, &out);
	rebuild(&b, s);
	bug_unless(vpb_end(&b) == 0);
	bug_unless(vp_validate(out.data, out.len, NULL) == 0);
	bug_unless(vp_size(out.data) == out.len);
	vp_to_json(&text, s, 0);
	vp_to_json(&again, out.data, 0);
	bug_unless(text.len == again.len &&
	    memcmp(text.data, again.data, text.len) == 0);
	bug_unless(vp_normalized_hash(s, 1) ==
	    vp_normalized_hash(out.data, 1));
	bug_unless(vp_compare(s, out.data) == 0);
	vp_document_checksum(s, true, true);
	vp_shard_of(s, keys, NITEMS(keys), 7, NULL);
	buf_reset(&text);
	vp_to_json(&text, s, VP_JSON_EXACT_DOUBLES | VP_JSON_ESCAPE_UNICODE |
	    VP_JSON_SORTED | VP_JSON_NAME_UNSUPPORTED);

	/* what was printed is JSON: its own parser takes it */
	vpb_start(&b, &again);
	bug_unless(vp_from_json(&b, (char *)text.data, text.len, NULL) == 0);
	vpb_free(&b);
	buf_free(&out);
	buf_free(&text);
	buf_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err_msg	 em;
	size_t		 used;

	while (size > 0 && vp_validate_first(data, size, &used, &em) == 0) {
		bug_unless(used > 0 && used <= size);
		check_value(data);
		data += used;
		size -= used;
	}
	return 0;
}
