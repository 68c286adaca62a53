/* test_build.c - tests of building, reading and comparing VelocyPack */
#include <math.h>
#include <stdio.h>

#include "util.h"

static bool
bytes_are(const struct buf *b, const char *hex)
{
	char	 text[4096];
	size_t	 i;

	for (i = 0; i < b->len && i < 1300; i++)
		snprintf(text + 3 * i, 4, "%02x ", b->data[i]);
	text[b->len > 0 ? 3 * i - 1 : 0] = '\0';
	if (strcmp(text, hex) == 0)
		return true;
	fprintf(stderr, "want %s\nhave %s\n", hex, text);
	return false;
}

/* The examples of VelocyPack.md, and those that arangod's builder shows. */
static void
test_examples(void)
{
	static const struct {
		const char	*json, *hex;
	} t[] = {
		{ "{}", "0a" },
		{ "[]", "01" },
		{ "[1,2,3]", "02 05 31 32 33" },
		{ "{\"a\":12,\"b\":true,\"c\":\"xyz\"}",
		  "0b 13 03 41 61 28 0c 41 62 1a 41 63 43 78 79 7a 03 07 0a" },
		{ "{\"a\":1}", "14 06 41 61 31 01" },
		{ "[1,16]", "06 08 02 31 28 10 03 04" },
		{ "[[]]", "02 03 01" },
		{ "-1", "3f" },
		{ "-6", "3a" },
		{ "-7", "20 f9" },
		{ "-129", "21 7f ff" },
		{ "10", "28 0a" },
		{ "256", "29 00 01" },
		{ "18446744073709551615", "2f ff ff ff ff ff ff ff ff" },
		{ "-9223372036854775808", "27 00 00 00 00 00 00 00 80" },
		{ "1.5", "1b 00 00 00 00 00 00 f8 3f" },
		{ "null", "18" },
		{ "\"\"", "40" },
		{ "\"abc\"", "43 61 62 63" },
	};
	struct vp_builder	 b;
	struct buf		 out = BUF_INIT;
	size_t			 i;

	vpb_init(&b, &out);
	for (i = 0; i < NITEMS(t); i++) {
		buf_reset(&out);
		vpb_start(&b, &out);
		CU_ASSERT_EQUAL(vp_from_json(&b, t[i].json,
		    strlen(t[i].json), NULL), 0);
		CU_ASSERT_EQUAL(vpb_end(&b), 0);
		CU_ASSERT_TRUE(bytes_are(&out, t[i].hex));
		CU_ASSERT_EQUAL(vp_validate(out.data, out.len, NULL), 0);
		CU_ASSERT_EQUAL(vp_size(out.data), out.len);
	}
	vpb_free(&b);
	buf_free(&out);
}

/* Objects of every width: what was put in is found again, in order. */
static void
build_object(size_t n, bool compact)
{
	struct vp_builder	 b;
	struct buf		 out = BUF_INIT;
	struct vp_iter		 it;
	struct vp_attr		 a;
	char			 name[64];
	int64_t			 v;
	size_t			 i, bad = 0;

	vpb_init(&b, &out);
	if (compact)
		vpb_open_object_compact(&b);
	else
		vpb_open_object(&b);
	for (i = 0; i < n; i++) {
		/* neither rising nor falling by name */
		snprintf(name, sizeof(name), "%s%zu",
		    i % 2 == 0 ? "name" : "a very long name", i * 7919 % n);
		vpb_add_int(&b, name, (int64_t)i);
	}
	vpb_close(&b);
	CU_ASSERT_EQUAL_FATAL(vpb_end(&b), 0);
	CU_ASSERT_EQUAL_FATAL(vp_validate(out.data, out.len, NULL), 0);
	CU_ASSERT_EQUAL(vp_length(out.data), n);
	vp_obj_iter(&it, out.data);
	for (i = 0; vp_obj_next(&it, &a); i++) {
		if (vp_get_int(a.value, &v) != 0 || v != (int64_t)i)
			bad++;
		if (vp_obj_get(out.data, a.name, a.nlen) != a.value)
			bad++;
	}
	CU_ASSERT_EQUAL(i, n);
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT_PTR_NULL(vp_get(out.data, "nam"));
	CU_ASSERT_PTR_NULL(vp_get(out.data, "zzz"));
	CU_ASSERT_PTR_NULL(vp_get(out.data, ""));
	vpb_free(&b);
	buf_free(&out);
}

static void
test_object_widths(void)
{
	size_t	 sizes[] = { 1, 2, 3, 9, 11, 41, 100, 1009, 10007 };
	size_t	 i;

	for (i = 0; i < NITEMS(sizes); i++) {
		build_object(sizes[i], false);
		build_object(sizes[i], true);
	}
}

static void
test_array_widths(void)
{
	struct vp_builder	 b;
	struct buf		 out = BUF_INIT;
	struct vp_iter		 it;
	const uint8_t		*m;
	size_t			 n, i, kind, bad;
	int64_t			 v;

	vpb_init(&b, &out);
	for (n = 1; n < 40000; n = n * 3 + 1) {
		for (kind = 0; kind < 3; kind++) {
			buf_reset(&out);
			vpb_start(&b, &out);
			if (kind == 2)
				vpb_open_array_compact(&b);
			else
				vpb_open_array(&b);
			for (i = 0; i < n; i++)
				vpb_int(&b, kind == 0 ? 1000 : (int64_t)i);
			vpb_close(&b);
			CU_ASSERT_EQUAL_FATAL(vpb_end(&b), 0);
			CU_ASSERT_EQUAL(vp_validate(out.data, out.len, NULL),
			    0);
			CU_ASSERT_EQUAL(vp_length(out.data), n);
			vp_arr_iter(&it, out.data);
			for (i = bad = 0; (m = vp_arr_next(&it)) != NULL; i++)
				if (vp_get_int(m, &v) != 0 ||
				    v != (kind == 0 ? 1000 : (int64_t)i) ||
				    (i < 50 && vp_arr_at(out.data, i) != m))
					bad++;
			CU_ASSERT_EQUAL(i, n);
			CU_ASSERT_EQUAL(bad, 0);
			CU_ASSERT_PTR_NULL(vp_arr_at(out.data, n));
		}
	}
	vpb_free(&b);
	buf_free(&out);
}

static void
test_errors_stick(void)
{
	struct vp_builder	 b;
	struct buf		 out = BUF_INIT;
	int			 i;

	buf_append_str(&out, "before");
	vpb_init(&b, &out);
	vpb_open_object(&b);
	vpb_int(&b, 1);			/* no name */
	vpb_close(&b);
	CU_ASSERT_EQUAL(vpb_end(&b), ERR_BAD_STATE);
	CU_ASSERT_EQUAL(out.len, 6);

	vpb_start(&b, &out);
	vpb_open_object(&b);
	vpb_add_int(&b, "a", 1);
	vpb_add_int(&b, "b", 1);
	vpb_add_int(&b, "a", 2);
	vpb_close(&b);
	CU_ASSERT_EQUAL(vpb_end(&b), ERR_EXISTS);
	CU_ASSERT_EQUAL(out.len, 6);

	vpb_start(&b, &out);
	vpb_open_array(&b);
	vpb_key(&b, "a", 1);
	CU_ASSERT_EQUAL(vpb_end(&b), ERR_BAD_STATE);

	vpb_start(&b, &out);
	vpb_open_object(&b);
	vpb_key(&b, "a", 1);
	vpb_close(&b);
	CU_ASSERT_EQUAL(vpb_end(&b), ERR_BAD_STATE);

	vpb_start(&b, &out);
	vpb_open_array(&b);
	CU_ASSERT_EQUAL(vpb_end(&b), ERR_BAD_STATE);

	vpb_start(&b, &out);
	for (i = 0; i <= VP_DEPTH_BUILD; i++)
		vpb_open_array(&b);
	CU_ASSERT_EQUAL(vpb_end(&b), ERR_TOO_BIG);
	CU_ASSERT_EQUAL(out.len, 6);
	vpb_free(&b);
	buf_free(&out);
}

static void
test_numbers(void)
{
	int64_t		 i, values[] = { 0, 9, 10, -6, -7, 127, 128, -128,
			    -129, 32767, 32768, -32768, INT32_MAX, INT32_MIN,
			    1LL << 40, -(1LL << 40), INT64_MAX, INT64_MIN };
	uint64_t	 u;
	double		 d;
	struct vp_builder b;
	struct buf	 out = BUF_INIT;
	size_t		 k;

	vpb_init(&b, &out);
	for (k = 0; k < NITEMS(values); k++) {
		buf_reset(&out);
		vpb_start(&b, &out);
		vpb_int(&b, values[k]);
		CU_ASSERT_EQUAL(vp_validate(out.data, out.len, NULL), 0);
		CU_ASSERT_EQUAL(vp_get_int(out.data, &i), 0);
		CU_ASSERT_EQUAL(i, values[k]);
		CU_ASSERT_EQUAL(vp_get_double(out.data, &d), 0);
		CU_ASSERT_EQUAL(d, (double)values[k]);
		CU_ASSERT_EQUAL(vp_get_uint(out.data, &u),
		    values[k] < 0 ? ERR_RANGE : 0);
	}
	CU_ASSERT_EQUAL(vp_get_int(vp("18446744073709551615"), &i),
	    ERR_RANGE);
	CU_ASSERT_EQUAL(vp_get_uint(vp("18446744073709551615"), &u), 0);
	CU_ASSERT_EQUAL(u, UINT64_MAX);
	CU_ASSERT_EQUAL(vp_get_int(vp("1.0"), &i), ERR_FORMAT);
	CU_ASSERT_EQUAL(vp_get_double(vp("\"1\""), &d), ERR_FORMAT);
	vpb_free(&b);
	buf_free(&out);
}

/* Bytes as arangod stores a document: names 1 to 5 are numbers. */
static void
test_translated_names(void)
{
	static const uint8_t doc[] = {
		0x0b, 0x12, 0x05, 0x31, 0x41, 'k', 0x33, 0x41, 'i', 0x32, 0x41,
		'r', 0x41, 'a', 0x34,
		/* sorted: _id _key _rev a */
		0x06, 0x03, 0x09, 0x0c
	};
	uint8_t		 copy[32];
	struct vp_iter	 it;
	struct vp_attr	 a;

	memcpy(copy, doc, sizeof(doc));
	copy[1] = sizeof(doc);
	copy[2] = 4;
	CU_ASSERT_EQUAL(vp_validate(copy, sizeof(doc), NULL), 0);
	CU_ASSERT_TRUE(vp_string_is(vp_get(copy, "_key"), "k", 1));
	CU_ASSERT_TRUE(vp_string_is(vp_get(copy, "_id"), "i", 1));
	CU_ASSERT_TRUE(vp_string_is(vp_get(copy, "_rev"), "r", 1));
	vp_obj_iter(&it, copy);
	CU_ASSERT_TRUE(vp_obj_next(&it, &a));
	CU_ASSERT_EQUAL(a.nlen, 4);
	CU_ASSERT_EQUAL(memcmp(a.name, "_key", 4), 0);
	CU_ASSERT_STRING_EQUAL(json(copy, 0),
	    "{\"_key\":\"k\",\"_id\":\"i\",\"_rev\":\"r\",\"a\":4}");
	copy[3] = 0x36;				/* no such name */
	CU_ASSERT_EQUAL(vp_validate(copy, sizeof(doc), NULL), ERR_FORMAT);
}

static void
test_compare(void)
{
	static const char *const rising[] = {
		"null", "false", "true", "-9223372036854775808", "-1.5", "-1",
		"-0.5", "0", "0.5", "1", "1.25", "9007199254740992",
		"9007199254740993", "9223372036854775807",
		"9223372036854775808.0", "18446744073709551615", "1e300",
		"\"\"", "\"a\"", "\"aa\"", "\"b\"", "[]", "[null]", "[1]",
		"[1,null]", "[2]", "{}", "{\"b\":1}", "{\"a\":1}",
		"{\"a\":1,\"b\":2}", "{\"a\":2}"
	};
	size_t	 i, j;

	for (i = 0; i < NITEMS(rising); i++) {
		for (j = 0; j < NITEMS(rising); j++) {
			int c = vp_compare(vp(rising[i]), vp(rising[j]));

			c = (c > 0) - (c < 0);
			if (c != (i > j) - (i < j))
				fprintf(stderr, "%s %d %s\n", rising[i], c,
				    rising[j]);
			CU_ASSERT_EQUAL(c, (i > j) - (i < j));
		}
	}
	CU_ASSERT_EQUAL(vp_compare(vp("1"), vp("1.0")), 0);
	CU_ASSERT_EQUAL(vp_compare(vp("{\"a\":1,\"b\":2}"),
	    vp("{\"b\":2,\"a\":1}")), 0);
	CU_ASSERT_EQUAL(vp_compare(vp("{\"a\":null}"), vp("{}")), 0);
}

UNIT_MAIN("vpack-build",
    { "the bytes of small values are arangod's", test_examples },
    { "objects of all widths keep order and are searchable",
      test_object_widths },
    { "arrays of all widths give their members back", test_array_widths },
    { "the first error of a builder stays and undoes", test_errors_stick },
    { "integers of all widths are read as they were written", test_numbers },
    { "names stored as numbers read as names", test_translated_names },
    { "values are ordered as AQL orders them", test_compare })
