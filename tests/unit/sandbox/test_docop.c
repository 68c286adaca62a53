/*
 * test_docop.c - the rules for documents.  What is expected is what the
 * references of the protocol and recordings of real servers show.
 */
#include <stdlib.h>
#include <string.h>

#include "sandbox/docop.h"
#include "unit.h"

static const struct docop_coll documents = { "products", 8, false, true };
static const struct docop_coll edges = { "knows", 5, true, true };

struct param {
	const char	*name, *value;
};

static const char *
get_param(void *arg, const char *name)
{
	struct param	*p = arg;

	for (; p->name != NULL; p++)
		if (strcmp(p->name, name) == 0)
			return p->value;
	return NULL;
}

static struct docop_opts
opts_of(enum docop_kind kind, struct param *params)
{
	struct docop_opts	 o;
	struct param		 none = { NULL, NULL };

	docop_opts_parse(&o, kind, get_param, params != NULL ? params : &none);
	return o;
}

static struct buf
parse(const char *json)
{
	struct buf		 out = BUF_INIT;
	struct vp_builder	 b;

	vpb_init(&b, &out);
	CU_ASSERT_EQUAL(vp_from_json(&b, json, strlen(json), NULL), 0);
	CU_ASSERT_EQUAL(vpb_end(&b), 0);
	vpb_free(&b);
	return out;
}

static void
json_is(const uint8_t *slice, const char *want)
{
	struct buf	 text = BUF_INIT;

	vp_to_json(&text, slice, 0);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&text), want);
	buf_free(&text);
}

/* ---- keys ------------------------------------------------------------ */

static void
test_key_syntax(void)
{
	char	 longest[DOCOP_KEY_MAX + 1];

	memset(longest, 'k', sizeof(longest));
	CU_ASSERT_TRUE(docop_key_ok("a", 1));
	CU_ASSERT_TRUE(docop_key_ok("_-:.@()+,=;$!*'%09azAZ", 22));
	CU_ASSERT_TRUE(docop_key_ok(longest, DOCOP_KEY_MAX));
	CU_ASSERT_FALSE(docop_key_ok(longest, DOCOP_KEY_MAX + 1));
	CU_ASSERT_FALSE(docop_key_ok("", 0));
	CU_ASSERT_FALSE(docop_key_ok("a/b", 3));
	CU_ASSERT_FALSE(docop_key_ok("a b", 3));
	CU_ASSERT_FALSE(docop_key_ok("a#", 2));
	CU_ASSERT_FALSE(docop_key_ok("\xc3\xa4", 2));
	CU_ASSERT_FALSE(docop_key_ok("a\0b", 3));
}

static void
test_ids(void)
{
	size_t	 klen;

	CU_ASSERT_TRUE(docop_id_ok("c/k", 3));
	CU_ASSERT_TRUE(docop_id_ok("_users/1", 8));
	CU_ASSERT_FALSE(docop_id_ok("k", 1));
	CU_ASSERT_FALSE(docop_id_ok("/k", 2));
	CU_ASSERT_FALSE(docop_id_ok("c/", 2));
	CU_ASSERT_FALSE(docop_id_ok("c/k/l", 5));
	CU_ASSERT_FALSE(docop_id_ok("1c/k", 4));
	CU_ASSERT_FALSE(docop_id_ok("c/a b", 5));
	CU_ASSERT_NSTRING_EQUAL(docop_key_of_id("other/22", 8, &klen), "22",
	    2);
	CU_ASSERT_EQUAL(klen, 2);
	CU_ASSERT_NSTRING_EQUAL(docop_key_of_id("22", 2, &klen), "22", 2);
	CU_ASSERT_EQUAL(klen, 2);
}

static struct docop_keygen
keygen(const char *json, int errnum)
{
	struct docop_keygen	 g;
	struct json_object	*o = json_tokener_parse(json);

	CU_ASSERT_EQUAL(docop_keygen_init(&g, o), errnum);
	json_object_put(o);
	return g;
}

static void
next_is(struct docop_keygen *g, uint64_t tick, const char *want)
{
	char	 key[DOCOP_GENERATED_KEY_MAX];
	size_t	 len = docop_keygen_next(g, tick, key);

	CU_ASSERT_EQUAL(len, strlen(want));
	CU_ASSERT_STRING_EQUAL(key, want);
}

static void
test_generated_keys(void)
{
	char			 key[DOCOP_GENERATED_KEY_MAX];
	struct docop_keygen	 g;

	g = keygen("{}", AE_OK);
	next_is(&g, 66844, "66844");
	docop_keygen_track(&g, "70000", 5);
	docop_keygen_track(&g, "80000x", 6);
	next_is(&g, 66845, "70001");

	g = keygen("{\"type\":\"autoincrement\",\"increment\":10,"
	    "\"offset\":5}", AE_OK);
	next_is(&g, 1, "5");
	next_is(&g, 1, "15");
	docop_keygen_track(&g, "23", 2);
	next_is(&g, 1, "25");
	docop_keygen_track(&g, "18446744073709551615", 20);
	next_is(&g, 1, "35");

	g = keygen("{\"type\":\"padded\",\"allowUserKeys\":false}", AE_OK);
	CU_ASSERT_FALSE(g.allow_user_keys);
	next_is(&g, 0x1234, "0000000000001234");

	g = keygen("{\"type\":\"uuid\"}", AE_OK);
	CU_ASSERT_EQUAL(docop_keygen_next(&g, 1, key), 36);
	CU_ASSERT_EQUAL(key[8], '-');
	CU_ASSERT_EQUAL(key[14], '4');
	CU_ASSERT_TRUE(docop_key_ok(key, 36));

	keygen("{\"type\":\"sequential\"}", AE_INVALID_KEY_GENERATOR);
	keygen("{\"type\":7}", AE_INVALID_KEY_GENERATOR);
	keygen("{\"type\":\"autoincrement\",\"increment\":0}",
	    AE_BAD_PARAMETER);
	keygen("{\"type\":\"autoincrement\",\"offset\":\"x\"}",
	    AE_BAD_PARAMETER);
}

/* ---- options --------------------------------------------------------- */

static void
test_options(void)
{
	struct param		 p[] = {
		{ "waitForSync", "TRUE" }, { "isRestore", "1" },
		{ "overwrite", "yes" }, { "returnOld", "on" },
		{ "silent", "y" }, { "ignoreRevs", "false" },
		{ "isSynchronousReplication", "PRMR-1" }, { NULL, NULL }
	};
	struct param		 update[] = {
		{ "overwriteMode", "update" }, { "overwrite", "true" },
		{ NULL, NULL }
	};
	struct param		 odd[] = {
		{ "overwriteMode", "Replace" }, { "returnOld", "true" },
		{ "silent", "t" }, { "waitForSync", "" }, { NULL, NULL }
	};
	struct docop_opts	 o;

	o = opts_of(DOCOP_INSERT, p);
	CU_ASSERT_TRUE(o.wait_for_sync && o.is_restore && o.return_old &&
	    o.silent && !o.ignore_revs && !o.return_new);
	CU_ASSERT_EQUAL(o.overwrite, DOCOP_OW_REPLACE);
	CU_ASSERT_STRING_EQUAL(o.sync_from, "PRMR-1");
	CU_ASSERT_TRUE(docop_modifies(&o));

	o = opts_of(DOCOP_INSERT, update);
	CU_ASSERT_EQUAL(o.overwrite, DOCOP_OW_UPDATE);
	CU_ASSERT_FALSE(o.keep_null);	/* not as in PATCH */
	CU_ASSERT_TRUE(o.merge_objects);

	/* An unknown mode is none; returnOld is for those that replace. */
	o = opts_of(DOCOP_INSERT, odd);
	CU_ASSERT_EQUAL(o.overwrite, DOCOP_CONFLICT);
	CU_ASSERT_FALSE(o.return_old || o.silent || o.wait_for_sync);

	o = opts_of(DOCOP_UPDATE, NULL);
	CU_ASSERT_TRUE(o.keep_null && o.merge_objects && o.ignore_revs);
}

static bool
opts_equal(const struct docop_opts *a, const struct docop_opts *b)
{
	return a->kind == b->kind && a->overwrite == b->overwrite &&
	    a->wait_for_sync == b->wait_for_sync &&
	    a->is_restore == b->is_restore &&
	    a->return_new == b->return_new &&
	    a->return_old == b->return_old && a->silent == b->silent &&
	    a->keep_null == b->keep_null &&
	    a->merge_objects == b->merge_objects &&
	    a->ignore_revs == b->ignore_revs &&
	    a->only_get == b->only_get &&
	    (a->sync_from == NULL) == (b->sync_from == NULL);
}

/* Query string back to parameters, for the round trip. */
static void
test_options_round_trip(void)
{
	enum docop_kind		 kinds[] = { DOCOP_INSERT, DOCOP_REPLACE,
				     DOCOP_UPDATE, DOCOP_REMOVE };
	struct param		 p[20];
	struct docop_opts	 o, again;
	struct buf		 q = BUF_INIT;
	char			*s, *eq;
	size_t			 i, bits, n, differ = 0;

	for (i = 0; i < NITEMS(kinds); i++)
		for (bits = 0; bits < 256; bits++) {
			memset(p, 0, sizeof(p));
			n = 0;
			p[n++] = (struct param){ "waitForSync",
			    bits & 1 ? "true" : "false" };
			p[n++] = (struct param){ "isRestore",
			    bits & 2 ? "true" : "false" };
			p[n++] = (struct param){ "returnOld",
			    bits & 4 ? "true" : "false" };
			p[n++] = (struct param){ "silent",
			    bits & 8 ? "true" : "false" };
			p[n++] = (struct param){ "ignoreRevs",
			    bits & 16 ? "true" : "false" };
			p[n++] = (struct param){ "keepNull",
			    bits & 32 ? "true" : "false" };
			p[n++] = (struct param){ "overwriteMode",
			    bits & 64 ? "update" : bits & 128 ? "ignore" :
			    "replace" };
			o = opts_of(kinds[i], p);
			buf_reset(&q);
			docop_opts_to_query(&o, &q);
			memset(p, 0, sizeof(p));
			n = 0;
			for (s = strtok(buf_cstr(&q), "&"); s != NULL;
			    s = strtok(NULL, "&")) {
				eq = strchr(s, '=');
				*eq = '\0';
				p[n++] = (struct param){ s, eq + 1 };
			}
			again = opts_of(kinds[i], p);
			differ += !opts_equal(&o, &again);
		}
	CU_ASSERT_EQUAL(differ, 0);
	buf_free(&q);
}

/* ---- elements -------------------------------------------------------- */

static int
elem_errnum(enum docop_kind kind, const char *json)
{
	struct docop_opts	 o = opts_of(kind, NULL);
	struct docop_elem	 e;
	struct buf		 v = parse(json);
	int			 r;

	r = docop_elem_parse(&e, &o, v.data);
	if (r == AE_OK && kind != DOCOP_REMOVE)
		r = docop_check(&documents, &o, &e, NULL);
	buf_free(&v);
	return r;
}

static void
test_elements(void)
{
	struct docop_opts	 o = opts_of(DOCOP_REMOVE, NULL);
	struct docop_elem	 e;
	struct buf		 v;

	CU_ASSERT_EQUAL(elem_errnum(DOCOP_INSERT, "{\"_key\":111}"),
	    AE_DOCUMENT_KEY_BAD);	/* recorded: PostBadJsonMulti */
	CU_ASSERT_EQUAL(elem_errnum(DOCOP_INSERT, "{\"_key\":\"\"}"),
	    AE_DOCUMENT_KEY_BAD);
	CU_ASSERT_EQUAL(elem_errnum(DOCOP_INSERT, "{\"_key\":\"a b\"}"),
	    AE_DOCUMENT_KEY_BAD);
	CU_ASSERT_EQUAL(elem_errnum(DOCOP_INSERT, "[1]"),
	    AE_DOCUMENT_TYPE_INVALID);
	CU_ASSERT_EQUAL(elem_errnum(DOCOP_INSERT, "{}"), AE_OK);
	CU_ASSERT_EQUAL(elem_errnum(DOCOP_REPLACE, "{}"),
	    AE_DOCUMENT_HANDLE_BAD);
	CU_ASSERT_EQUAL(elem_errnum(DOCOP_UPDATE, "{\"_key\":\"\"}"),
	    AE_DOCUMENT_KEY_BAD);
	CU_ASSERT_EQUAL(elem_errnum(DOCOP_REMOVE, "12"),
	    AE_DOCUMENT_HANDLE_BAD);
	CU_ASSERT_EQUAL(elem_errnum(DOCOP_REMOVE, "{\"_key\":1}"),
	    AE_DOCUMENT_HANDLE_BAD);
	CU_ASSERT_EQUAL(elem_errnum(DOCOP_REMOVE, "\"\""),
	    AE_DOCUMENT_HANDLE_BAD);

	v = parse("{\"_key\":\"2\",\"_rev\":\"non-matching revision\"}");
	CU_ASSERT_EQUAL(docop_elem_parse(&e, &o, v.data), AE_OK);
	CU_ASSERT_EQUAL(e.rev, REV_INVALID);
	buf_free(&v);
	v = parse("\"other/2\"");
	CU_ASSERT_EQUAL(docop_elem_parse(&e, &o, v.data), AE_OK);
	CU_ASSERT_EQUAL(e.klen, 1);
	CU_ASSERT_EQUAL(e.key[0], '2');
	buf_free(&v);
}

static void
test_user_keys(void)
{
	struct docop_coll	 c = documents;
	struct docop_opts	 o = opts_of(DOCOP_INSERT, NULL);
	struct docop_elem	 e;
	struct buf		 v = parse("{\"_key\":\"a\"}");

	c.allow_user_keys = false;
	CU_ASSERT_EQUAL(docop_elem_parse(&e, &o, v.data), AE_OK);
	CU_ASSERT_EQUAL(docop_check(&c, &o, &e, NULL),
	    AE_DOCUMENT_KEY_UNEXPECTED);
	o.is_restore = true;
	CU_ASSERT_EQUAL(docop_check(&c, &o, &e, NULL), AE_OK);
	buf_free(&v);
}

/* ---- what is stored -------------------------------------------------- */

static int
build(const struct docop_coll *c, const char *json, const char *want)
{
	struct buf		 v = parse(json), out = BUF_INIT;
	struct vp_builder	 b;
	int			 r;

	vpb_init(&b, &out);
	r = docop_build(&b, &out, c, v.data, "k", 1, 64);
	if (r == AE_OK) {
		CU_ASSERT_EQUAL(vp_validate(out.data, out.len, NULL), 0);
		json_is(out.data, want);
	} else
		CU_ASSERT_EQUAL(out.len, 0);
	vpb_free(&b);
	buf_free(&out);
	buf_free(&v);
	return r;
}

static void
test_build(void)
{
	CU_ASSERT_EQUAL(build(&documents,
	    "{\"z\":1,\"_id\":\"x/y\",\"_rev\":7,\"a\":{\"_key\":2},"
	    "\"_from\":3,\"_key\":\"other\"}",
	    "{\"_key\":\"k\",\"_id\":\"products/k\",\"_rev\":\"_-\",\"z\":1,"
	    "\"a\":{\"_key\":2}}"), AE_OK);
	CU_ASSERT_EQUAL(build(&edges,
	    "{\"x\":1,\"_to\":\"v/2\",\"_from\":\"v/1\"}",
	    "{\"_key\":\"k\",\"_id\":\"knows/k\",\"_from\":\"v/1\","
	    "\"_to\":\"v/2\",\"_rev\":\"_-\",\"x\":1}"), AE_OK);
	CU_ASSERT_EQUAL(build(&edges, "{\"_to\":\"v/2\"}", ""),
	    AE_INVALID_EDGE_ATTRIBUTE);
	CU_ASSERT_EQUAL(build(&edges, "{\"_from\":1,\"_to\":\"v/2\"}", ""),
	    AE_INVALID_EDGE_ATTRIBUTE);
	CU_ASSERT_EQUAL(build(&edges,
	    "{\"_from\":\"v\",\"_to\":\"v/2\"}", ""),
	    AE_INVALID_EDGE_ATTRIBUTE);
}

static void
test_revisions(void)
{
	struct docop_opts	 o = opts_of(DOCOP_INSERT, NULL);
	struct hlc		 clock = { 0 };
	struct buf		 v = parse("{\"_rev\":\"_fw2Ytzy--_\"}");
	struct buf		 bad = parse("{\"_rev\":\"no rev\"}");
	uint64_t		 a, b;

	a = docop_new_rev(&o, v.data, &clock);
	CU_ASSERT_NOT_EQUAL(a, UINT64_C(1761718532934991873));
	o.is_restore = true;
	CU_ASSERT_EQUAL(docop_new_rev(&o, v.data, &clock),
	    UINT64_C(1761718532934991873));
	b = docop_new_rev(&o, bad.data, &clock);
	CU_ASSERT_TRUE(b > a && b != REV_INVALID);
	buf_free(&v);
	buf_free(&bad);
}

static void
merge_is(bool keep_null, bool merge, const char *old, const char *patch,
    const char *want)
{
	struct docop_opts	 o = opts_of(DOCOP_UPDATE, NULL);
	struct buf		 a = parse(old), p = parse(patch);
	struct buf		 out = BUF_INIT;
	struct vp_builder	 b;

	o.keep_null = keep_null;
	o.merge_objects = merge;
	vpb_init(&b, &out);
	CU_ASSERT_EQUAL(docop_merge(&b, &out, &documents, &o, a.data, p.data,
	    1), AE_OK);
	json_is(out.data, want);
	vpb_free(&b);
	buf_free(&out);
	buf_free(&a);
	buf_free(&p);
}

#define HEAD	"{\"_key\":\"k\",\"_id\":\"products/k\",\"_rev\":\"_\""
#define OLD	"{\"_key\":\"k\",\"_id\":\"products/k\",\"_rev\":\"A\""

static void
test_merge(void)
{
	merge_is(true, true, OLD ",\"a\":1,\"o\":{\"x\":1,\"y\":2}}",
	    "{\"_key\":\"k\",\"o\":{\"y\":null,\"z\":{\"q\":1}},\"b\":null}",
	    HEAD ",\"a\":1,\"o\":{\"x\":1,\"y\":null,\"z\":{\"q\":1}},"
	    "\"b\":null}");
	merge_is(false, true, OLD ",\"a\":1,\"o\":{\"x\":1,\"y\":2}}",
	    "{\"o\":{\"y\":null},\"a\":null,\"b\":null,\"c\":3}",
	    HEAD ",\"o\":{\"x\":1},\"c\":3}");
	merge_is(true, false, OLD ",\"o\":{\"x\":1}}", "{\"o\":{\"y\":1}}",
	    HEAD ",\"o\":{\"y\":1}}");
	merge_is(true, true, OLD ",\"o\":[1]}", "{\"o\":{\"y\":1}}",
	    HEAD ",\"o\":{\"y\":1}}");
	/* A new object loses its own nulls, not those of objects in it. */
	merge_is(false, true, OLD "}",
	    "{\"o\":{\"x\":1,\"y\":null,\"z\":{\"q\":null}}}",
	    HEAD ",\"o\":{\"x\":1,\"z\":{\"q\":null}}}");
	/* Ends of edges do not stay in documents that are none. */
	merge_is(true, true, OLD ",\"_to\":1}", "{\"_from\":\"v/1\",\"a\":1}",
	    HEAD ",\"a\":1}");
}

static void
test_merge_edges(void)
{
	struct docop_opts	 o = opts_of(DOCOP_UPDATE, NULL);
	struct buf		 old = parse("{\"_key\":\"k\",\"_from\":\"v/1\""
				     ",\"_to\":\"v/2\"}");
	struct buf		 good = parse("{\"_to\":\"v/3\"}");
	struct buf		 bad = parse("{\"_to\":3}"), out = BUF_INIT;
	struct vp_builder	 b;

	vpb_init(&b, &out);
	CU_ASSERT_EQUAL(docop_merge(&b, &out, &edges, &o, old.data, good.data,
	    1), AE_OK);
	json_is(out.data, "{\"_key\":\"k\",\"_id\":\"knows/k\","
	    "\"_from\":\"v/1\",\"_to\":\"v/3\",\"_rev\":\"_\"}");
	CU_ASSERT_EQUAL(docop_merge(&b, &out, &edges, &o, old.data, bad.data,
	    1), AE_INVALID_EDGE_ATTRIBUTE);
	vpb_free(&b);
	buf_free(&out);
	buf_free(&old);
	buf_free(&good);
	buf_free(&bad);
}

/* ---- what is answered ------------------------------------------------ */

static void
test_results(void)
{
	struct docop_done	 done = { "a", 1, 64, 1, vp_true, vp_null };
	struct buf		 out = BUF_INIT;
	struct vp_builder	 b;

	vpb_init(&b, &out);
	vpb_open_array(&b);
	docop_put_done(&b, &documents, &done);
	done.old_rev = 0;
	done.new_doc = done.old_doc = NULL;
	docop_put_done(&b, &documents, &done);
	docop_put_error(&b, AE_DOCUMENT_NOT_FOUND, NULL);
	docop_put_error(&b, AE_CONFLICT, "because");
	docop_put_error(&b, AE_CONFLICT, "cut \xc3");
	vpb_close(&b);
	CU_ASSERT_EQUAL(vpb_end(&b), 0);
	json_is(out.data, "[{\"_id\":\"products/a\",\"_key\":\"a\","
	    "\"_rev\":\"_-\",\"_oldRev\":\"_\",\"old\":null,\"new\":true},"
	    "{\"_id\":\"products/a\",\"_key\":\"a\",\"_rev\":\"_-\"},"
	    "{\"error\":true,\"errorNum\":1202,"
	    "\"errorMessage\":\"document not found\"},"
	    "{\"error\":true,\"errorNum\":1200,"
	    "\"errorMessage\":\"because\"},"
	    "{\"error\":true,\"errorNum\":1200,"
	    "\"errorMessage\":\"conflict\"}]");
	vpb_free(&b);
	buf_free(&out);
}

static void
test_error_counts(void)
{
	struct docop_errors	 es = { 0 };
	struct buf		 text = BUF_INIT;

	docop_errors_text(&es, &text);
	CU_ASSERT_EQUAL(text.len, 0);
	docop_errors_add(&es, 1202, 2);
	docop_errors_add(&es, 1210, 1);
	docop_errors_add(&es, 1202, 1);
	docop_errors_add_text(&es, "{\"1210\":4,\"7\":1,\"x\":1,\"8\":-1}");
	docop_errors_add_text(&es, "no json");
	docop_errors_add_text(&es, NULL);
	docop_errors_text(&es, &text);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&text),
	    "{\"1202\":3,\"1210\":5,\"7\":1}");
	buf_free(&text);
}

UNIT_MAIN("docop",
    { "takes the characters that keys may have", test_key_syntax },
    { "takes document ids apart", test_ids },
    { "makes keys by keyOptions and learns from those it sees",
      test_generated_keys },
    { "reads options as arangod does", test_options },
    { "writes options that read the same", test_options_round_trip },
    { "refuses elements with arangod's numbers", test_elements },
    { "refuses keys of users where they may give none", test_user_keys },
    { "stores system attributes first and the rest in order", test_build },
    { "keeps a revision only when it restores one", test_revisions },
    { "lays a patch over a document", test_merge },
    { "keeps the ends of an edge when it is updated", test_merge_edges },
    { "answers with identities and errors", test_results },
    { "counts errors for the header", test_error_counts })
