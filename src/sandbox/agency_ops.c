/*
 * agency_ops.c - operations and preconditions of the agency.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json/get.h"
#include "sandbox/agency_store_priv.h"

/* A path and what is to be done there. */
struct op_item {
	char			*path;		/* normalised */
	struct json_object	*value;
};

struct op_run {
	struct agency_store	*s;
	struct agency_path	 p;
	const char		*path;
	struct json_object	*op;
	struct json_object	*old;		/* what is there */
	bool			 found;
	uint64_t		 now_ms;
};

static int	op_set(struct op_run *);
static int	op_delete(struct op_run *);
static int	op_increment(struct op_run *);
static int	op_decrement(struct op_run *);
static int	op_push(struct op_run *);
static int	op_prepend(struct op_run *);
static int	op_pop(struct op_run *);
static int	op_shift(struct op_run *);
static int	op_erase(struct op_run *);
static int	op_replace(struct op_run *);
static int	op_push_queue(struct op_run *);
static int	op_nothing(struct op_run *);

enum {
	NEED_NEW	= 1 << 0,	/* "new" has to be there */
	NEED_VAL	= 1 << 1,
	NEED_EXISTING	= 1 << 2	/* nothing there: nothing to do */
};

static const struct op_kind {
	const char	*name;
	unsigned	 needs;
	int		(*run)(struct op_run *);
} op_kinds[] = {
	{ "set",	NEED_NEW,			op_set },
	{ "delete",	NEED_EXISTING,			op_delete },
	{ "increment",	0,				op_increment },
	{ "decrement",	0,				op_decrement },
	{ "push",	NEED_NEW,			op_push },
	{ "prepend",	NEED_NEW,			op_prepend },
	{ "pop",	0,				op_pop },
	{ "shift",	0,				op_shift },
	{ "erase",	NEED_EXISTING,			op_erase },
	{ "replace",	NEED_NEW | NEED_VAL | NEED_EXISTING, op_replace },
	{ "push-queue",	NEED_NEW,			op_push_queue },
	/* Callbacks over HTTP; poll has taken their place. */
	{ "observe",	0,				op_nothing },
	{ "unobserve",	0,				op_nothing },
};

static const struct op_kind *
op_kind_find(const char *name)
{
	size_t	i;

	for (i = 0; i < NITEMS(op_kinds); i++)
		if (strcmp(op_kinds[i].name, name) == 0)
			return &op_kinds[i];
	return NULL;
}

static bool
is_number(struct json_object *v)
{
	return json_object_is_type(v, json_type_int) ||
	    json_object_is_type(v, json_type_double);
}

/* ---- form --------------------------------------------------------------- */

static int
validate_op(const char *path, struct json_object *v, struct err_msg *m)
{
	const struct op_kind	*kind;
	struct json_object	*op, *pos, *len;
	bool			 has_pos, has_val;

	if (!json_object_is_type(v, json_type_object) ||
	    !json_object_object_get_ex(v, "op", &op))
		return 0;
	if (!json_object_is_type(op, json_type_string))
		return err_set(m, ERR_FORMAT,
		    "'%s': op must be a string", path);
	if ((kind = op_kind_find(json_object_get_string(op))) == NULL)
		return err_set(m, ERR_FORMAT, "'%s': unknown operation '%s'",
		    path, json_object_get_string(op));
	if ((kind->needs & NEED_NEW) != 0 &&
	    !json_object_object_get_ex(v, "new", NULL))
		return err_set(m, ERR_FORMAT,
		    "'%s': operator %s without new value", path, kind->name);
	has_val = json_object_object_get_ex(v, "val", NULL);
	if ((kind->needs & NEED_VAL) != 0 && !has_val)
		return err_set(m, ERR_FORMAT,
		    "'%s': operator %s without value to be replaced", path,
		    kind->name);
	if (kind->run == op_erase) {
		has_pos = json_object_object_get_ex(v, "pos", &pos);
		if (has_pos == has_val)
			return err_set(m, ERR_FORMAT, "'%s': erase needs "
			    "either a value or a position", path);
		if (has_pos && (!json_object_is_type(pos, json_type_int) ||
		    json_object_get_int64(pos) < 0))
			return err_set(m, ERR_FORMAT, "'%s': erase with "
			    "non-positive integer position is illegal", path);
	}
	if (kind->run == op_push_queue &&
	    (!json_object_object_get_ex(v, "len", &len) ||
	    !json_object_is_type(len, json_type_int) ||
	    json_object_get_int64(len) < 0))
		return err_set(m, ERR_FORMAT, "'%s': operator push-queue "
		    "without integer value len", path);
	return 0;
}

static int
validate_path(const char *path, struct err_msg *m)
{
	struct agency_path	p;
	int			r = 0;

	agency_path_split(path, &p);
	if (p.n > AGENCY_DEPTH_MAX)
		r = err_set(m, ERR_TOO_BIG, "path with %zu levels, at most "
		    "%d are possible", p.n, AGENCY_DEPTH_MAX);
	agency_path_free(&p);
	return r;
}

static int
validate_ops(struct json_object *ops, struct err_msg *m)
{
	int	r;

	if (!json_object_is_type(ops, json_type_object))
		return err_set(m, ERR_FORMAT,
		    "operations of a transaction must be an object");
	json_object_object_foreach(ops, key, val) {
		if ((r = validate_path(key, m)) != 0 ||
		    (r = validate_op(key, val, m)) != 0)
			return r;
	}
	return 0;
}

int
agency_store_validate(struct json_object *trx, struct err_msg *m)
{
	struct json_object	*pre;
	size_t			 n;
	int			 r;

	if (!json_object_is_type(trx, json_type_array))
		return err_set(m, ERR_FORMAT,
		    "Expecting array of arrays as body for writes");
	n = json_object_array_length(trx);
	if (n < 1 || n > 3)
		return err_set(m, ERR_FORMAT, "We can only handle log entry "
		    "with or without precondition!");
	if ((r = validate_ops(json_object_array_get_idx(trx, 0), m)) != 0 ||
	    n < 2)
		return r;
	pre = json_object_array_get_idx(trx, 1);
	if (!json_object_is_type(pre, json_type_object))
		return err_set(m, ERR_FORMAT,
		    "preconditions of a transaction must be an object");
	json_object_object_foreach(pre, pkey, pval) {
		(void)pval;
		if ((r = validate_path(pkey, m)) != 0)
			return r;
	}
	return 0;
}

bool
agency_store_is_forbidden(struct json_object *trx)
{
	struct json_object	*ops;
	struct agency_path	 p;
	bool			 is = false;

	ops = json_object_array_get_idx(trx, 0);
	json_object_object_foreach(ops, key, val) {
		(void)val;
		agency_path_split(key, &p);
		/* As arangod: whatever begins with this name. */
		if (p.n > 0 && strncmp(p.part[0], ".agency", 7) == 0)
			is = true;
		agency_path_free(&p);
	}
	return is;
}

static bool
array_has(struct json_object *array, struct json_object *v)
{
	size_t	i, n = json_object_array_length(array);

	for (i = 0; i < n; i++)
		if (json_equal(json_object_array_get_idx(array, i), v))
			return true;
	return false;
}

/* ---- preconditions ------------------------------------------------------ */

static bool
intersection_is_empty(struct json_object *a, struct json_object *b)
{
	size_t	i, n = json_object_array_length(a);

	for (i = 0; i < n; i++)
		if (array_has(b, json_object_array_get_idx(a, i)))
			return false;
	return true;
}

/* One condition on a node; found false: it is not there. */
static bool
condition_holds(const char *name, struct json_object *want,
    struct json_object *node, bool found)
{
	bool	is_array = found && json_object_is_type(node, json_type_array);
	bool	is_bool = json_object_is_type(want, json_type_boolean);

	if (strcmp(name, "oldEmpty") == 0)
		return is_bool && json_object_get_boolean(want) == !found;
	if (strcmp(name, "isArray") == 0)
		return is_bool && json_object_get_boolean(want) == is_array;
	if (strcmp(name, "in") == 0)
		return is_array && array_has(node, want);
	if (strcmp(name, "notin") == 0)
		return !found || (is_array && !array_has(node, want));
	if (strcmp(name, "intersectionEmpty") == 0) {
		if (!json_object_is_type(want, json_type_array))
			return false;
		return !is_array || intersection_is_empty(node, want);
	}
	return false;
}

/* What is not there compares as an empty object. */
static bool
node_equals(struct json_object *node, bool found, struct json_object *want)
{
	if (found)
		return json_equal(node, want);
	return json_object_is_type(want, json_type_object) &&
	    json_object_object_length(want) == 0;
}

static bool
precondition_holds(struct agency_store *s, const char *path,
    struct json_object *cond)
{
	struct agency_path	 p;
	struct json_object	*node;
	bool			 found, ok;

	agency_path_split(path, &p);
	node = store_find(s, &p, &found);
	agency_path_free(&p);
	if (!json_object_is_type(cond, json_type_object))
		return node_equals(node, found, cond);
	json_object_object_foreach(cond, name, want) {
		if (strcmp(name, "old") == 0)
			ok = node_equals(node, found, want);
		else if (strcmp(name, "oldNot") == 0)
			ok = !node_equals(node, found, want);
		else
			ok = condition_holds(name, want, node, found);
		if (!ok)
			return false;
	}
	return true;
}

int
agency_store_check(struct agency_store *s, struct json_object *pre,
    struct json_object **failed)
{
	struct json_object	*list = NULL;

	if (pre == NULL)
		return 0;
	json_object_object_foreach(pre, key, cond) {
		if (precondition_holds(s, key, cond))
			continue;
		if (list == NULL)
			list = json_object_new_array();
		json_object_array_add(list, json_object_new_string(key));
	}
	if (list == NULL)
		return 0;
	if (failed != NULL)
		*failed = list;
	else
		json_object_put(list);
	return ERR_BAD_STATE;
}

/* ---- operations --------------------------------------------------------- */

/* Put a value (taken over) in place of what is there. */
static int
op_put(struct op_run *r, struct json_object *value)
{
	store_ttl_forget(r->s, r->path);
	store_set(r->s, &r->p, value);
	return 0;
}

static int
op_put_import(struct op_run *r, struct json_object *value)
{
	struct json_object	*own;
	int			 e;

	if ((e = store_import(value, (unsigned)r->p.n, &own)) != 0)
		return e;
	return op_put(r, own);
}

/* ttl in whole seconds; negative and far ones are cut to something sane. */
static uint64_t
ttl_expiry(struct json_object *ttl, uint64_t now_ms)
{
	double	s = trunc(json_object_get_double(ttl));

	if (!(s > 0))
		return now_ms == 0 ? 0 : now_ms - 1;
	if (s > 1e10)
		s = 1e10;
	return now_ms + (uint64_t)s * 1000;
}

static int
op_set(struct op_run *r)
{
	struct json_object	*ttl;
	int			 e;

	if ((e = op_put_import(r, json_object_object_get(r->op, "new"))) != 0)
		return e;
	if (json_object_object_get_ex(r->op, "ttl", &ttl) && is_number(ttl))
		store_ttl_set(r->s, r->path, ttl_expiry(ttl, r->now_ms));
	return 0;
}

static int
op_delete(struct op_run *r)
{
	store_ttl_forget(r->s, r->path);
	store_delete(r->s, &r->p);
	return 0;
}

static int64_t
number_to_int(struct json_object *v, int64_t fallback)
{
	double	d;

	if (!is_number(v))
		return fallback;
	if (json_object_is_type(v, json_type_int))
		return json_object_get_int64(v);
	d = json_object_get_double(v);
	if (!(d > -9.2e18 && d < 9.2e18))
		return fallback;
	return (int64_t)d;
}

static int
op_add(struct op_run *r, bool subtract)
{
	uint64_t	 n, step;

	/* As unsigned: what overflows wraps. */
	step = (uint64_t)number_to_int(
	    json_object_object_get(r->op, "step"), 1);
	n = (uint64_t)number_to_int(r->old, 0);
	n = subtract ? n - step : n + step;
	return op_put(r, json_object_new_int64((int64_t)n));
}

static int
op_increment(struct op_run *r)
{
	return op_add(r, false);
}

static int
op_decrement(struct op_run *r)
{
	return op_add(r, true);
}

/* Elements from .. to (not included) of what is there, as far as it is an
 * array, appended to a. */
static void
array_copy(struct json_object *a, struct json_object *from, size_t begin,
    size_t end)
{
	size_t	i;

	for (i = begin; i < end; i++)
		json_object_array_add(a,
		    json_object_get(json_object_array_get_idx(from, i)));
}

static size_t
old_length(const struct op_run *r)
{
	return json_object_is_type(r->old, json_type_array) ?
	    json_object_array_length(r->old) : 0;
}

static int
op_put_array(struct op_run *r, struct json_object *a)
{
	int	e;

	/* What is in an array may be as deep as the tree. */
	e = op_put_import(r, a);
	json_object_put(a);
	return e;
}

static int
op_push(struct op_run *r)
{
	struct json_object	*a = json_object_new_array();

	array_copy(a, r->old, 0, old_length(r));
	json_object_array_add(a,
	    json_object_get(json_object_object_get(r->op, "new")));
	return op_put_array(r, a);
}

static int
op_prepend(struct op_run *r)
{
	struct json_object	*a = json_object_new_array();

	json_object_array_add(a,
	    json_object_get(json_object_object_get(r->op, "new")));
	array_copy(a, r->old, 0, old_length(r));
	return op_put_array(r, a);
}

static int
op_pop(struct op_run *r)
{
	struct json_object	*a = json_object_new_array();
	size_t			 n = old_length(r);

	array_copy(a, r->old, 0, n == 0 ? 0 : n - 1);
	return op_put_array(r, a);
}

static int
op_shift(struct op_run *r)
{
	struct json_object	*a = json_object_new_array();

	array_copy(a, r->old, 1, old_length(r));
	return op_put_array(r, a);
}

static int
op_erase(struct op_run *r)
{
	struct json_object	*a, *val, *e, *pos;
	size_t			 i, n = old_length(r);
	int64_t			 at = -1;
	bool			 by_value;

	by_value = json_object_object_get_ex(r->op, "val", &val);
	if (json_object_object_get_ex(r->op, "pos", &pos)) {
		at = json_object_get_int64(pos);
		if (json_object_is_type(r->old, json_type_array) &&
		    (uint64_t)at >= n)
			return ERR_RANGE;
	}
	a = json_object_new_array();
	for (i = 0; i < n; i++) {
		e = json_object_array_get_idx(r->old, i);
		if (by_value ? json_equal(e, val) : (int64_t)i == at)
			continue;
		json_object_array_add(a, json_object_get(e));
	}
	return op_put_array(r, a);
}

static int
op_replace(struct op_run *r)
{
	struct json_object	*a, *val, *e;
	size_t			 i, n = old_length(r);

	val = json_object_object_get(r->op, "val");
	a = json_object_new_array();
	for (i = 0; i < n; i++) {
		e = json_object_array_get_idx(r->old, i);
		if (json_equal(e, val))
			e = json_object_object_get(r->op, "new");
		json_object_array_add(a, json_object_get(e));
	}
	return op_put_array(r, a);
}

/* Push, but keep only the last len elements. */
static int
op_push_queue(struct op_run *r)
{
	struct json_object	*a = json_object_new_array();
	size_t			 n = old_length(r);
	uint64_t		 len;

	len = (uint64_t)json_object_get_int64(
	    json_object_object_get(r->op, "len"));
	if (len > 0) {
		array_copy(a, r->old, n >= len ? n - (size_t)len + 1 : 0, n);
		json_object_array_add(a,
		    json_object_get(json_object_object_get(r->op, "new")));
	}
	return op_put_array(r, a);
}

static int
op_nothing(struct op_run *r)
{
	(void)r;
	return 0;
}

static int
item_run(struct agency_store *s, const struct op_item *item, uint64_t now_ms)
{
	const struct op_kind	*kind;
	struct op_run		 r = { .s = s, .path = item->path,
				    .op = item->value, .now_ms = now_ms };
	struct json_object	*op;
	int			 e;

	agency_path_split(item->path, &r.p);
	if (json_object_is_type(item->value, json_type_object) &&
	    json_object_object_get_ex(item->value, "op", &op)) {
		r.old = store_find(s, &r.p, &r.found);
		kind = op_kind_find(json_object_get_string(op));
		if (kind == NULL)
			e = ERR_FORMAT;
		else if ((kind->needs & NEED_EXISTING) != 0 && !r.found)
			e = 0;
		else
			e = kind->run(&r);
	} else
		e = op_put_import(&r, item->value);
	agency_path_free(&r.p);
	return e;
}

static int
item_compare(const void *a, const void *b)
{
	const struct op_item	*x = a, *y = b;

	return strcmp(x->path, y->path);
}

int
agency_store_apply(struct agency_store *s, struct json_object *ops,
    uint64_t now_ms)
{
	struct op_item	*items;
	size_t		 i, n = 0;
	int		 r;

	if ((r = validate_ops(ops, NULL)) != 0)
		return r;
	/* Ordered by path, so that what is written at /a does not depend on
	 * whether /a/b stood before or behind it. */
	items = xcalloc((size_t)json_object_object_length(ops) + 1,
	    sizeof(*items));
	json_object_object_foreach(ops, key, val) {
		items[n].path = agency_path_normalize(key);
		items[n++].value = val;
	}
	qsort(items, n, sizeof(*items), item_compare);
	for (i = 0; i < n && r == 0; i++)
		r = item_run(s, &items[i], now_ms);
	for (i = 0; i < n; i++)
		free(items[i].path);
	free(items);
	if (r != 0)
		store_rollback(s);
	else
		store_commit(s);
	return r;
}
