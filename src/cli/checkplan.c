/* checkplan.c - lists of shards of several datacenters side by side */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/str.h"
#include "cli/checkplan.h"
#include "json/get.h"

struct merge {
	struct check_plan	*plan;
	const struct check_filter *filter;
	struct json_object	*dcs;		/* array */
	size_t			 ref;		/* index of the first */
	const struct sync_shard	**known;	/* sorted */
	size_t			 n_known;
};

/* --- rows ---------------------------------------------------------------- */

void
check_row_set(struct check_row *row, enum check_result result,
    const char *fmt, ...)
{
	va_list	 ap;

	row->result = result;
	free(row->message);
	va_start(ap, fmt);
	if (vasprintf(&row->message, fmt, ap) == -1)
		fatal("out of memory");
	va_end(ap);
}

static struct check_row *
add_row(struct merge *g, const char *database, const char *collection,
    int64_t shard)
{
	struct check_plan	*p = g->plan;
	struct check_row	*row;

	/* Doubling at powers of two. */
	if ((p->n & (p->n - 1)) == 0)
		p->rows = xrealloc(p->rows, MAX(p->n * 2, 1) *
		    sizeof(*p->rows));
	row = &p->rows[p->n++];
	memset(row, 0, sizeof(*row));
	row->database = database;
	row->collection = collection;
	row->shard = shard;
	return row;
}

static int
compare_names(const char *a_db, const char *a_coll, int64_t a_shard,
    const char *b_db, const char *b_coll, int64_t b_shard)
{
	int	 r;

	if ((r = strcmp(a_db, b_db)) != 0 ||
	    (r = strcmp(a_coll, b_coll)) != 0)
		return r;
	return a_shard < b_shard ? -1 : a_shard > b_shard;
}

static int
compare_rows(const void *a, const void *b)
{
	const struct check_row	*x = a, *y = b;

	return compare_names(x->database, x->collection, x->shard,
	    y->database, y->collection, y->shard);
}

static int
compare_known(const void *a, const void *b)
{
	const struct sync_shard	*x = *(const struct sync_shard *const *)a;
	const struct sync_shard	*y = *(const struct sync_shard *const *)b;

	return compare_names(x->database, x->collection, x->index,
	    y->database, y->collection, y->index);
}

static int
is_known(const struct merge *g, const char *database, const char *collection,
    int64_t shard)
{
	struct sync_shard	 key = { .database = database,
				    .collection = collection, .index = shard };
	const struct sync_shard	*p = &key;

	return bsearch(&p, g->known, g->n_known, sizeof(*g->known),
	    compare_known) != NULL;
}

/* --- access -------------------------------------------------------------- */

/* Names have dots in them, so they are no paths. */
static struct json_object *
member(struct json_object *o, const char *name)
{
	struct json_object	*v = NULL;

	if (json_object_is_type(o, json_type_object))
		json_object_object_get_ex(o, name, &v);
	return v;
}

static size_t
count(struct json_object *o)
{
	return json_object_is_type(o, json_type_object) ?
	    (size_t)json_object_object_length(o) : 0;
}

static const char *
id_of(const struct merge *g, size_t dc)
{
	return json_string_or(json_object_array_get_idx(g->dcs, dc), "id",
	    "?");
}

static struct json_object *
databases_of(const struct merge *g, size_t dc)
{
	return member(json_object_array_get_idx(g->dcs, dc), "databases");
}

static int
wants(const char *filter, const char *name)
{
	return filter == NULL || strcmp(filter, name) == 0;
}

static const char *
error_of(struct json_object *database)
{
	const char	*s = json_string_or(database, "error", "");

	return *s == '\0' ? NULL : s;
}

/* --- merging ------------------------------------------------------------- */

static void
add_shards(struct merge *g, const char *db, const char *coll,
    struct json_object *shards)
{
	struct check_row	*row;
	uint64_t		 n;

	if (!json_object_is_type(shards, json_type_object))
		return;
	json_object_object_foreach(shards, name, v) {
		(void)v;
		if (str_to_u64(name, &n) != 0 || n > INT32_MAX) {
			row = add_row(g, db, coll, -1);
			check_row_set(row, CHECK_ERROR,
			    "the master names a shard \"%.20s\"", name);
			continue;
		}
		if (g->filter->shard >= 0 && (uint64_t)g->filter->shard != n)
			continue;
		row = add_row(g, db, coll, (int64_t)n);
		if (!is_known(g, db, coll, (int64_t)n))
			check_row_set(row, CHECK_MISSING,
			    "Shard is not turned on for synchronizing");
	}
}

/* A collection of the first datacenter in all others. */
static void
merge_collection(struct merge *g, const char *db, const char *coll,
    struct json_object *o)
{
	struct json_object	*shards = member(o, "shards"), *other;
	size_t			 i;

	for (i = g->ref + 1; i < json_object_array_length(g->dcs); i++) {
		other = member(member(member(databases_of(g, i), db),
		    "collections"), coll);
		if (other == NULL) {
			check_row_set(add_row(g, db, coll, -1), CHECK_MISSING,
			    "collection %s in database %s does not exist in "
			    "the %s data center", coll, db, id_of(g, i));
			return;
		}
		if (count(member(other, "shards")) != count(shards)) {
			check_row_set(add_row(g, db, coll, -1), CHECK_MISSING,
			    "collection %s has different number of shards",
			    coll);
			return;
		}
	}
	add_shards(g, db, coll, shards);
}

/* Does an earlier one of the other datacenters have it? */
static int
was_seen(const struct merge *g, size_t dc, const char *db, const char *coll)
{
	struct json_object	*o;
	size_t			 i;

	for (i = g->ref + 1; i < dc; i++) {
		o = member(databases_of(g, i), db);
		if (coll != NULL)
			o = member(member(o, "collections"), coll);
		if (o != NULL)
			return 1;
	}
	return 0;
}

/* Collections that the first datacenter does not have. */
static void
merge_surplus(struct merge *g, const char *db, struct json_object *own)
{
	struct json_object	*others;
	size_t			 i;

	for (i = g->ref + 1; i < json_object_array_length(g->dcs); i++) {
		others = member(member(databases_of(g, i), db),
		    "collections");
		if (!json_object_is_type(others, json_type_object))
			continue;
		json_object_object_foreach(others, name, v) {
			(void)v;
			if (!wants(g->filter->collection, name) ||
			    member(own, name) != NULL ||
			    was_seen(g, i, db, name))
				continue;
			check_row_set(add_row(g, db, name, -1), CHECK_MISSING,
			    "collection %s in database %s does not exist in "
			    "the %s data center", name, db,
			    id_of(g, g->ref));
		}
	}
}

/* What is wrong with the whole database anywhere: 1, and a row. */
static int
has_database_problem(struct merge *g, const char *db, struct json_object *o)
{
	struct json_object	*other;
	size_t			 i;

	if (error_of(o) != NULL) {
		check_row_set(add_row(g, db, "", -1), CHECK_ERROR, "%s",
		    error_of(o));
		return 1;
	}
	for (i = g->ref + 1; i < json_object_array_length(g->dcs); i++) {
		other = member(databases_of(g, i), db);
		if (other == NULL && count(member(o, "collections")) == 0)
			continue;
		if (other == NULL) {
			check_row_set(add_row(g, db, "", -1), CHECK_MISSING,
			    "database %s does not exist in the %s data center",
			    db, id_of(g, i));
			return 1;
		}
		if (error_of(other) != NULL) {
			check_row_set(add_row(g, db, "", -1), CHECK_ERROR,
			    "%s", error_of(other));
			return 1;
		}
	}
	return 0;
}

static void
merge_database(struct merge *g, const char *db, struct json_object *o)
{
	struct json_object	*collections = member(o, "collections");

	if (has_database_problem(g, db, o))
		return;
	if (json_object_is_type(collections, json_type_object)) {
		json_object_object_foreach(collections, name, v) {
			if (wants(g->filter->collection, name))
				merge_collection(g, db, name, v);
		}
	}
	merge_surplus(g, db, collections);
}

static void
merge_all(struct merge *g)
{
	struct json_object	*own = databases_of(g, g->ref), *others;
	size_t			 i;

	json_object_object_foreach(own, name, v) {
		if (wants(g->filter->database, name))
			merge_database(g, name, v);
	}
	for (i = g->ref + 1; i < json_object_array_length(g->dcs); i++) {
		others = databases_of(g, i);
		if (!json_object_is_type(others, json_type_object))
			continue;
		json_object_object_foreach(others, other, w) {
			(void)w;
			if (wants(g->filter->database, other) &&
			    member(own, other) == NULL &&
			    !was_seen(g, i, other, NULL))
				check_row_set(add_row(g, other, "", -1),
				    CHECK_MISSING, "database %s does not "
				    "exist in the %s data center", other,
				    id_of(g, g->ref));
		}
	}
}

static void
sort_known(struct merge *g, const struct sync_side *side)
{
	size_t	 i;

	g->known = xcalloc(side->n_shards, sizeof(*g->known));
	for (i = 0; i < side->n_shards; i++)
		g->known[i] = &side->shards[i];
	g->n_known = side->n_shards;
	if (g->n_known > 0)
		qsort(g->known, g->n_known, sizeof(*g->known), compare_known);
}

int
check_plan_make(struct json_object *o, const struct sync_side *side,
    const struct check_filter *filter, struct check_plan **out,
    struct err_msg *m)
{
	struct merge	 g = { .filter = filter };
	size_t		 n = 0;
	int		 r;

	g.plan = xcalloc(1, sizeof(*g.plan));
	g.plan->root = o;
	if ((r = json_need_array(o, "datacenters", &g.dcs, m)) == 0) {
		n = json_object_array_length(g.dcs);
		while (g.ref < n && count(databases_of(&g, g.ref)) == 0)
			g.ref++;
		if (n < 2 || g.ref == n)
			r = err_set(m, ERR_BAD_STATE, n < 2 ? "the master "
			    "knows %zu data centers, and two are needed; is "
			    "synchronization configured?" :
			    "none of the %zu data centers has databases", n);
	}
	if (r != 0) {
		check_plan_free(&g.plan);
		return r;
	}
	sort_known(&g, side);
	merge_all(&g);
	free(g.known);
	if (g.plan->n > 0)
		qsort(g.plan->rows, g.plan->n, sizeof(*g.plan->rows),
		    compare_rows);
	*out = g.plan;
	return 0;
}

void
check_plan_free(struct check_plan **p)
{
	size_t	 i;

	if (*p == NULL)
		return;
	for (i = 0; i < (*p)->n; i++)
		free((*p)->rows[i].message);
	free((*p)->rows);
	json_object_put((*p)->root);
	free(*p);
	*p = NULL;
}

/* --- checksums ----------------------------------------------------------- */

void
check_row_judge(struct check_row *row, struct json_object *answer)
{
	struct json_object	*a;
	const char		*first = NULL, *s;
	char			 index[24];
	struct buf		 all = BUF_INIT;
	size_t			 i, n;
	int			 same = 1;

	snprintf(index, sizeof(index), "%lld", (long long)row->shard);
	a = member(member(member(member(member(member(answer, "databases"),
	    row->database), "collections"), row->collection), "shards"),
	    index);
	if (!json_object_is_type(a, json_type_array)) {
		check_row_set(row, CHECK_ERROR,
		    "the master gave no checksums");
		return;
	}
	n = json_object_array_length(a);
	for (i = 0; i < n; i++) {
		s = json_string_or(json_object_array_get_idx(a, i),
		    "checksum", "");
		if (first == NULL)
			first = s;
		same &= strcmp(s, first) == 0;
		buf_printf(&all, "%s%s", i == 0 ? "" : " ", s);
	}
	check_row_set(row, same ? CHECK_SAME : CHECK_DIFFERENT, "%s",
	    buf_cstr(&all));
	buf_free(&all);
}
