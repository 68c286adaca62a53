/*
 * inventory_check.c - does the target put a document where we think (R12)?
 *
 * Only the target can be asked here; what the source does is what
 * vpack/hash.h computes, and both are held against each other: documents of
 * the same index get the same shard, and shards are in the order of their
 * indexes.
 */
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "arango/structure.h"
#include "base/log.h"
#include "base/str.h"
#include "inventory/inventory_priv.h"
#include "json/get.h"
#include "vpack/hash.h"
#include "vpack/vpack.h"

#define SAMPLES		4
#define KEYS_MAX	8	/* shard keys of a collection */

bool
inv_check_needed(const struct structure_coll *t)
{
	return t->shards > 1 && !t->smart &&
	    strchr(t->shard_keys, ':') == NULL &&
	    (strcmp(t->strategy, "hash") == 0 ||
	    strcmp(t->strategy, "community-compat") == 0);
}

bool
inv_sample_fits(struct inv_samples *x, unsigned index, const char *shard)
{
	uint64_t	 number;
	size_t		 i;

	if (*shard != 's' || str_to_u64(shard + 1, &number) != 0)
		return false;
	for (i = 0; i < x->n; i++)
		if ((x->index[i] < index) != (x->number[i] < number) ||
		    (x->index[i] == index) != (x->number[i] == number))
			return false;
	if (x->n < NITEMS(x->index)) {
		x->index[x->n] = index;
		x->number[x->n++] = number;
	}
	return true;
}

/* What a document has in its shard keys, and in which shard we think it is. */
static int
sample(struct json_object *keys, int64_t nshards, unsigned i,
    struct json_object **doc, unsigned *index)
{
	static const char *const	 values[SAMPLES] = { "66856", "a", "b7",
	    "Zebra" };
	struct vp_builder		*b = xcalloc(1, sizeof(*b));
	struct buf			 out = BUF_INIT;
	const char			*names[KEYS_MAX], *v;
	size_t				 k, n = json_object_array_length(keys);
	int				 r;

	vpb_init(b, &out);
	vpb_start(b, &out);
	vpb_open_object(b);
	*doc = json_object_new_object();
	for (k = 0; k < MIN(n, (size_t)KEYS_MAX); k++) {
		names[k] = json_object_get_string(
		    json_object_array_get_idx(keys, k));
		v = values[(i + k) % SAMPLES];
		json_set_string(*doc, names[k], v);
		vpb_add_str(b, names[k], v);
	}
	vpb_close(b);
	r = n == 0 || n > KEYS_MAX ? ERR_RANGE : vpb_end(b);
	if (r == 0)
		*index = vp_shard_of(out.data, names, n, (unsigned)nshards,
		    NULL);
	vpb_free(b);
	free(b);
	buf_free(&out);
	return r;
}

/* Not every coordinator knows a new collection at once. */
static bool
is_news(int num)
{
	return num == AERR_DATA_SOURCE_NOT_FOUND ||
	    num == AERR_DATABASE_NOT_FOUND;
}

/* 1: it fits, 0: it does not, negative: nobody knows. */
static int
check(struct arango *a, const char *db, const struct structure_coll *c,
    struct err_msg *why)
{
	struct json_object	*keys, *doc;
	struct inv_samples	 x = { .n = 0 };
	struct err_msg		 m = { "" };
	unsigned		 i, index;
	char			*shard;
	int			 num, r;

	if ((r = json_parse(c->shard_keys, strlen(c->shard_keys), &keys,
	    NULL)) != 0)
		return r;
	for (i = 0, r = 1; i < SAMPLES && r == 1; i++) {
		shard = NULL;
		num = 0;
		if ((r = sample(keys, c->shards, i, &doc, &index)) == 0 &&
		    (r = arango_responsible_shard(a, db, c->name, doc, &shard,
		    &num, &m)) == 0) {
			r = inv_sample_fits(&x, index, shard);
			if (r == 0)
				log_error("%s/%s: the target puts a document "
				    "of shard %u into %s: shards do not belong "
				    "together one by one", db, c->name, index,
				    shard);
		} else if (!is_news(num))
			(void)err_set(why, 0, "%.64s/%.64s waits: the target "
			    "does not say where it puts documents: %.300s", db,
			    c->name, *m.text != '\0' ? m.text : err_text(r));
		free(shard);
		json_object_put(doc);
	}
	json_object_put(keys);
	return r;
}

void
inv_records_check(struct arango *a, const struct structure *target,
    struct inv_records *r, struct err_msg *why)
{
	const struct structure_db	*db;
	const struct structure_coll	*c;
	struct inv_made			*made;
	size_t				 i;
	int				 fits;

	for (i = 0; i < r->n; i++) {
		made = r->list[i].made;
		if (made == NULL || made->checked ||
		    (db = structure_db(target, made->db)) == NULL ||
		    (c = structure_coll(db, made->coll)) == NULL)
			continue;
		fits = check(a, made->db, c, why);
		made->checked = fits >= 0;
		made->misplaced = fits == 0;
	}
}
