/*
 * fuzz_json.c - text that claims to be JSON: what is parsed and printed, parsed
 * and printed again, does not change any more; and the two parsers of the
 * project agree about what JSON is.
 */
#include <stdlib.h>

#include <json-c/json_object.h>

#include "json/get.h"
#include "json/scan.h"
#include "vpack/vpack.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
parse(struct buf *out, const char *text, size_t len)
{
	struct vp_builder	 b;
	struct err_msg		 em;
	int			 r;

	buf_reset(out);
	vpb_init(&b, out);
	r = vp_from_json(&b, text, len, &em);
	if (r != 0) {
		bug_unless(b.err_at <= len);
		bug_unless(out->len == 0 && em.text[0] != '\0');
	} else
		bug_unless(vpb_end(&b) == 0);
	vpb_free(&b);
	return r;
}

/*
 * Integers beyond 64 bits go through arangod's digit by digit arithmetic, which
 * does not give the nearest double: they may drift.
 */
static bool
has_big_integer(const struct buf *b)
{
	size_t	 i, run = 0;

	for (i = 0; i < b->len && run < 20; i++)
		run = b->data[i] >= '0' && b->data[i] <= '9' ? run + 1 : 0;
	return run == 20;
}

static void
check_fixed_point(const char *text, size_t len, unsigned int flags)
{
	struct buf	 v = BUF_INIT, a = BUF_INIT, b = BUF_INIT;
	const char	*end;

	bug_unless(parse(&v, text, len) == 0);
	bug_unless(vp_validate(v.data, v.len, NULL) == 0);
	vp_to_json(&a, v.data, flags);
	end = scan_value_end((char *)a.data, (char *)a.data + a.len);
	bug_unless(end == (char *)a.data + a.len);
	/*
	 * Printing once may turn -0.0 into -0 and a large double into digits;
	 * the value those digits have is printed the same for ever.
	 */
	bug_unless(parse(&v, (char *)a.data, a.len) == 0);
	buf_reset(&a);
	vp_to_json(&a, v.data, flags);
	bug_unless(parse(&v, (char *)a.data, a.len) == 0);
	vp_to_json(&b, v.data, flags);
	bug_unless(has_big_integer(&a) ||
	    (a.len == b.len && memcmp(a.data, b.data, a.len) == 0));
	buf_free(&v);
	buf_free(&a);
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char		*text = (const char *)data;
	struct buf		 v = BUF_INIT;
	struct json_object	*o = NULL;
	struct err_msg		 em;
	int			 r;

	r = parse(&v, text, size);
	buf_free(&v);
	if (r == 0) {
		check_fixed_point(text, size, 0);
		check_fixed_point(text, size, VP_JSON_EXACT_DOUBLES |
		    VP_JSON_ESCAPE_UNICODE | VP_JSON_SORTED);
	}
	if (json_parse(text, size, &o, &em) == 0) {
		/* names twice and doubles beyond range: json-c takes them */
		bug_unless(r == 0 || r == ERR_EXISTS || r == ERR_RANGE);
		json_object_put(o);
	}
	return 0;
}
