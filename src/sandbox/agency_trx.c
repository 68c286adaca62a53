/* agency_trx.c - write transactions are put together here */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "json/get.h"
#include "sandbox/agency.h"

void
agency_trx_init(struct agency_trx *t)
{
	t->ops = json_object_new_object();
	t->pre = json_object_new_object();
}

void
agency_trx_free(struct agency_trx *t)
{
	json_object_put(t->ops);
	json_object_put(t->pre);
	t->ops = t->pre = NULL;
}

/* o[path] = v (taken over) */
__attribute__((format(printf, 3, 0)))
static void
put_at(struct json_object *o, struct json_object *v, const char *fmt,
    va_list ap)
{
	char	*path;

	if (vasprintf(&path, fmt, ap) == -1)
		fatal("out of memory");
	json_object_object_add(o, path, v);
	free(path);
}

/* The same, but next to conditions that are there already. */
__attribute__((format(printf, 4, 0)))
static void
put_condition(struct json_object *pre, const char *name,
    struct json_object *v, const char *fmt, va_list ap)
{
	struct json_object	*cond;
	char			*path;

	if (vasprintf(&path, fmt, ap) == -1)
		fatal("out of memory");
	if (!json_object_object_get_ex(pre, path, &cond)) {
		cond = json_object_new_object();
		json_object_object_add(pre, path, cond);
	}
	json_object_object_add(cond, name, v);
	free(path);
}

static struct json_object *
op_new(const char *name)
{
	struct json_object	*op = json_object_new_object();

	json_set_string(op, "op", name);
	return op;
}

void
agency_set(struct agency_trx *t, struct json_object *value, const char *fmt,
    ...)
{
	struct json_object	*op = op_new("set");
	va_list			 ap;

	json_object_object_add(op, "new", value);
	va_start(ap, fmt);
	put_at(t->ops, op, fmt, ap);
	va_end(ap);
}

void
agency_set_ttl(struct agency_trx *t, struct json_object *value,
    unsigned ttl_s, const char *fmt, ...)
{
	struct json_object	*op = op_new("set");
	va_list			 ap;

	json_object_object_add(op, "new", value);
	json_set_uint(op, "ttl", ttl_s);
	va_start(ap, fmt);
	put_at(t->ops, op, fmt, ap);
	va_end(ap);
}

void
agency_delete(struct agency_trx *t, const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	put_at(t->ops, op_new("delete"), fmt, ap);
	va_end(ap);
}

void
agency_increment(struct agency_trx *t, int64_t step, const char *fmt, ...)
{
	struct json_object	*op = op_new("increment");
	va_list			 ap;

	if (step != 1)
		json_set_int(op, "step", step);
	va_start(ap, fmt);
	put_at(t->ops, op, fmt, ap);
	va_end(ap);
}

void
agency_push(struct agency_trx *t, struct json_object *value, const char *fmt,
    ...)
{
	struct json_object	*op = op_new("push");
	va_list			 ap;

	json_object_object_add(op, "new", value);
	va_start(ap, fmt);
	put_at(t->ops, op, fmt, ap);
	va_end(ap);
}

void
agency_erase(struct agency_trx *t, struct json_object *value, const char *fmt,
    ...)
{
	struct json_object	*op = op_new("erase");
	va_list			 ap;

	json_object_object_add(op, "val", value);
	va_start(ap, fmt);
	put_at(t->ops, op, fmt, ap);
	va_end(ap);
}

void
agency_replace(struct agency_trx *t, struct json_object *old,
    struct json_object *value, const char *fmt, ...)
{
	struct json_object	*op = op_new("replace");
	va_list			 ap;

	json_object_object_add(op, "val", old);
	json_object_object_add(op, "new", value);
	va_start(ap, fmt);
	put_at(t->ops, op, fmt, ap);
	va_end(ap);
}

void
agency_if_old(struct agency_trx *t, struct json_object *value,
    const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	put_condition(t->pre, "old", value, fmt, ap);
	va_end(ap);
}

void
agency_if_not_old(struct agency_trx *t, struct json_object *value,
    const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	put_condition(t->pre, "oldNot", value, fmt, ap);
	va_end(ap);
}

void
agency_if_empty(struct agency_trx *t, bool empty, const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	put_condition(t->pre, "oldEmpty", json_object_new_boolean(empty), fmt,
	    ap);
	va_end(ap);
}

void
agency_if_in(struct agency_trx *t, struct json_object *value, const char *fmt,
    ...)
{
	va_list	ap;

	va_start(ap, fmt);
	put_condition(t->pre, "in", value, fmt, ap);
	va_end(ap);
}

struct json_object *
agency_walk(struct json_object *tree, const char *path)
{
	char			*text = xstrdup(path), *at = text, *part;
	struct json_object	*child;

	while (tree != NULL && (part = strsep(&at, "/")) != NULL) {
		if (*part == '\0')
			continue;
		if (!json_object_is_type(tree, json_type_object) ||
		    !json_object_object_get_ex(tree, part, &child))
			child = NULL;
		tree = child;
	}
	free(text);
	return tree;
}
