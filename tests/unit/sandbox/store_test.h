/*
 * store_test.h - a store in a directory of its own, and short words for what
 * tests do with it.
 */
#ifndef TESTS_STORE_TEST_H
#define TESTS_STORE_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fsx.h"
#include "sandbox/store.h"
#include "sandbox/store_priv.h"
#include "sandbox/store_wal.h"
#include "unit.h"
#include "vpack/rev.h"

struct fix {
	char			 dir[64];
	struct store		*st;
	struct store_shard	*sh;
	uint64_t		 rev;	/* last one used */
};

static inline uint8_t *
vp_text(const char *json)
{
	struct vp_builder	 vb;
	struct buf		 b = BUF_INIT;
	size_t			 len;

	vpb_init(&vb, &b);
	vpb_start(&vb, &b);
	if (vp_from_json(&vb, json, strlen(json), NULL) != 0 ||
	    vpb_end(&vb) != 0)
		abort();
	vpb_free(&vb);
	return buf_steal(&b, &len);
}

static inline void
fix_reopen(struct fix *f, const struct store_opts *o)
{
	struct err_msg	 em = { "" };
	int		 r;

	r = store_open(f->dir, o, &f->st, &em);
	if (r != 0) {
		fprintf(stderr, "%s\n", em.text);
		abort();
	}
	f->sh = store_shard_find(f->st, "_system", "s1");
}

static inline struct store_shard *
fix_shard(struct fix *f, const char *db, const char *name, uint64_t cid)
{
	struct store_shard	*sh = NULL;
	uint8_t			*props;

	props = vp_text("{\"name\":\"coll\",\"type\":2}");
	CU_ASSERT_EQUAL(store_shard_create(f->st, db, name, cid, props, &sh),
	    0);
	free(props);
	return sh;
}

static inline void
fix_open(struct fix *f, const struct store_opts *o)
{
	struct store_db	*db;

	memset(f, 0, sizeof(*f));
	strcpy(f->dir, "/tmp/store-test.XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		abort();
	fix_reopen(f, o);
	CU_ASSERT_EQUAL(store_db_create(f->st, "_system", NULL, &db), 0);
	f->sh = fix_shard(f, "_system", "s1", 100);
	f->rev = 1000;
}

static inline void
fix_close(struct fix *f)
{
	store_close(&f->st);
	(void)fsx_remove_tree(f->dir);
}

/* Put a document with this key, revision and body (JSON object). */
static inline int
put_rev(struct fix *f, struct store_tx *tx, struct store_shard *sh,
    const char *key, uint64_t rev, const char *json, struct store_conflict *c)
{
	struct vp_builder	 vb;
	struct buf		 b = BUF_INIT;
	uint8_t			*body = vp_text(json);
	int			 r;

	vpb_init(&vb, &b);
	vpb_start(&vb, &b);
	store_build_document(&vb, sh, key, strlen(key), rev, body);
	r = vpb_end(&vb);
	if (r == 0)
		r = store_put(f->st, tx, sh, b.data, c, NULL);
	vpb_free(&vb);
	buf_free(&b);
	free(body);
	return r;
}

static inline int
put(struct fix *f, struct store_tx *tx, const char *key, const char *json)
{
	return put_rev(f, tx, f->sh, key, ++f->rev, json, NULL);
}

static inline int
del(struct fix *f, struct store_tx *tx, const char *key)
{
	return store_remove(f->st, tx, f->sh, key, strlen(key), NULL);
}

/* The attribute "v" of a document; -1: no such document. */
static inline int64_t
value(struct fix *f, struct store_tx *tx, const char *key)
{
	const uint8_t	*doc;
	int64_t		 v = -2;

	if (store_get(f->st, tx, f->sh, key, strlen(key), &doc, NULL) != 0)
		return -1;
	(void)vp_get_int(vp_get(doc, "v"), &v);
	return v;
}

static inline void
commit(struct fix *f)
{
	CU_ASSERT_EQUAL(store_commit_pending(f->st), 0);
}

/* A tail request; the body is a string until the next call. */
static inline const char *
tail(struct fix *f, uint64_t from, uint64_t scanned, size_t chunk,
    struct store_tail_res *res)
{
	static struct buf	 body;
	struct store_tail_req	 req = { 0 };
	struct store_tail	*t;
	int			 r;

	buf_reset(&body);
	req.from = from;
	req.to = UINT64_MAX;
	req.last_scanned = scanned;
	req.chunk = chunk;
	memset(res, 0, sizeof(*res));
	if (f == NULL) {
		buf_free(&body);
		return NULL;
	}
	if (store_tail_begin(f->st, &req, &t) != 0)
		abort();
	/* A small budget, so that steps end inside of batches. */
	while ((r = store_tail_step(t, 1000, &body, res)) == 1)
		;
	CU_ASSERT_EQUAL(r, 0);
	store_tail_free(&t);
	return buf_cstr(&body);
}

static inline size_t
count_of(const char *text, const char *what)
{
	size_t	 n = 0;

	while ((text = strstr(text, what)) != NULL) {
		n++;
		text++;
	}
	return n;
}

#endif
