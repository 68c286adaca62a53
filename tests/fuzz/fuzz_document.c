/*
 * fuzz_document.c - bodies and options of document requests: no crash, what is
 * stored is sound and has the key that it should have, and what is refused is
 * refused with one of arangod's numbers.
 *
 * The first three bytes choose the operation and its options, the rest is the
 * body: VelocyPack when it is that, else JSON.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/docop.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct options {
	uint8_t		 bits, mode;
	const char	*text;		/* a parameter out of the input */
};

static const char *
param(void *arg, const char *name)
{
	static const char *const	 flags[] = { "waitForSync",
		"isRestore", "returnNew", "returnOld", "silent", "ignoreRevs",
		"keepNull", "mergeObjects" };
	static const char *const	 modes[] = { "conflict", "ignore",
		"update", "replace" };
	struct options			*o = arg;
	size_t				 i;

	for (i = 0; i < NITEMS(flags); i++)
		if (strcmp(name, flags[i]) == 0)
			return o->bits & (1 << i) ? "true" : "false";
	if (strcmp(name, "overwriteMode") == 0)
		return o->mode & 4 ? modes[o->mode & 3] : o->text;
	if (strcmp(name, "isSynchronousReplication") == 0)
		return o->text;
	return NULL;
}

/* What was built must be a document with this key. */
static void
check_doc(const struct buf *doc, const char *key, size_t klen)
{
	if (vp_validate(doc->data, doc->len, NULL) != 0 ||
	    !vp_is_object(doc->data) ||
	    !vp_string_is(vp_obj_get(doc->data, "_key", 4), key, klen) ||
	    vp_obj_get(doc->data, "_rev", 4) == NULL ||
	    vp_obj_get(doc->data, "_id", 3) == NULL)
		abort();
}

static void
one(const struct docop_coll *c, const struct docop_opts *o,
    const uint8_t *value, struct docop_keygen *g, struct docop_errors *errs)
{
	struct docop_elem	 e;
	struct vp_builder	 b;
	struct buf		 doc = BUF_INIT, merged = BUF_INIT;
	struct hlc		 clock = { 0 };
	char			 made[DOCOP_GENERATED_KEY_MAX];
	const char		*key;
	size_t			 klen;
	int			 r;

	if ((r = docop_elem_parse(&e, o, value)) == AE_OK)
		r = docop_check(c, o, &e, NULL);
	if (r != AE_OK || o->kind == DOCOP_REMOVE || o->kind == DOCOP_READ) {
		if (r != AE_OK)
			docop_errors_add(errs, r, 1);
		return;
	}
	key = e.key;
	klen = e.klen;
	if (key == NULL) {
		if ((klen = docop_keygen_next(g, 12345, made)) == 0)
			return;
		key = made;
	} else if (!docop_key_ok(key, klen))
		return;		/* would not be found */
	docop_keygen_track(g, key, klen);
	vpb_init(&b, &doc);
	r = docop_build(&b, &doc, c, e.value, key, klen,
	    docop_new_rev(o, e.value, &clock));
	if (r == AE_OK) {
		check_doc(&doc, key, klen);
		/* Over itself, the patch of everything. */
		r = docop_merge(&b, &merged, c, o, doc.data, e.value, 7);
		if (r == AE_OK)
			check_doc(&merged, key, klen);
	}
	if (r != AE_OK)
		docop_errors_add(errs, r, 1);
	vpb_free(&b);
	buf_free(&doc);
	buf_free(&merged);
}

static void
all(const uint8_t *value, uint8_t first, struct options *opt)
{
	struct docop_coll	 c = { "c", 1, (first & 8) != 0,
				     (first & 16) != 0 };
	struct docop_keygen	 g = { .type = (first >> 5) & 3,
				     .increment = 3, .allow_user_keys = true };
	struct docop_errors	 errs = { 0 };
	struct docop_opts	 o;
	struct buf		 text = BUF_INIT;
	struct vp_iter		 it;
	const uint8_t		*v;

	docop_opts_parse(&o, (enum docop_kind)((first & 7) % 5), param, opt);
	docop_opts_to_query(&o, &text);
	if (vp_is_array(value)) {
		vp_arr_iter(&it, value);
		while ((v = vp_arr_next(&it)) != NULL)
			one(&c, &o, v, &g, &errs);
	} else
		one(&c, &o, value, &g, &errs);
	docop_errors_text(&errs, &text);
	buf_free(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct options		 opt;
	struct docop_errors	 errs = { 0 };
	struct buf		 body = BUF_INIT;
	struct vp_builder	 b;
	char			*text;
	uint8_t			*copy;

	if (size < 4)
		return 0;
	text = xstrndup((const char *)data + 3, MIN(size - 3, 64));
	opt = (struct options){ data[1], data[2], text };
	docop_errors_add_text(&errs, text);
	/* A block of its own, so that reading past it is noticed. */
	copy = xmalloc(size - 3);
	memcpy(copy, data + 3, size - 3);
	if (vp_validate(copy, size - 3, NULL) == 0) {
		all(copy, data[0], &opt);
	} else {
		vpb_init(&b, &body);
		if (vp_from_json(&b, (const char *)copy, size - 3, NULL) == 0 &&
		    vpb_end(&b) == 0)
			all(body.data, data[0], &opt);
		vpb_free(&b);
		buf_free(&body);
	}
	free(copy);
	free(text);
	return 0;
}
