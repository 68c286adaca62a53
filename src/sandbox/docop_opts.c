/* docop_opts.c - options of document requests, counts of errors */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sandbox/docop.h"
#include "sandbox/server.h"

static const char *const overwrite_names[] = {
	[DOCOP_CONFLICT] = "conflict",
	[DOCOP_IGNORE] = "ignore",
	[DOCOP_OW_UPDATE] = "update",
	[DOCOP_OW_REPLACE] = "replace"
};

/* arangod's reading of booleans: true, yes, on, y, 1. */
static bool
param_bool(docop_param_fn *get, void *arg, const char *name, bool fallback)
{
	const char	*v = get(arg, name);

	if (v == NULL)
		return fallback;
	return strcasecmp(v, "true") == 0 || strcasecmp(v, "yes") == 0 ||
	    strcasecmp(v, "on") == 0 || strcasecmp(v, "y") == 0 ||
	    strcmp(v, "1") == 0;
}

static void
parse_insert(struct docop_opts *o, docop_param_fn *get, void *arg)
{
	const char	*mode;
	size_t		 i;

	if (param_bool(get, arg, "overwrite", false))
		o->overwrite = DOCOP_OW_REPLACE;
	/* An unknown mode is as none. */
	if ((mode = get(arg, "overwriteMode")) != NULL)
		for (i = 0; i < NITEMS(overwrite_names); i++)
			if (strcmp(mode, overwrite_names[i]) == 0)
				o->overwrite = (enum docop_overwrite)i;
	if (o->overwrite == DOCOP_OW_UPDATE) {
		o->keep_null = param_bool(get, arg, "keepNull", false);
		o->merge_objects = param_bool(get, arg, "mergeObjects", true);
	}
	if (!docop_modifies(o))
		o->return_old = false;
}

void
docop_opts_parse(struct docop_opts *o, enum docop_kind kind,
    docop_param_fn *get, void *arg)
{
	const char	*from;

	memset(o, 0, sizeof(*o));
	o->kind = kind;
	o->merge_objects = true;
	o->keep_null = kind == DOCOP_UPDATE;
	o->ignore_revs = true;
	o->only_get = kind == DOCOP_REPLACE && get(arg, "onlyget") != NULL;
	if (o->only_get)
		o->kind = DOCOP_READ;
	if ((from = get(arg, "isSynchronousReplication")) != NULL &&
	    *from != '\0')
		o->sync_from = from;
	o->ignore_revs = param_bool(get, arg, "ignoreRevs", true);
	if (o->kind == DOCOP_READ)
		return;
	o->wait_for_sync = param_bool(get, arg, "waitForSync", false);
	o->silent = param_bool(get, arg, "silent", false);
	o->return_old = param_bool(get, arg, "returnOld", false);
	if (kind == DOCOP_REMOVE)
		return;
	o->is_restore = param_bool(get, arg, "isRestore", false);
	o->return_new = param_bool(get, arg, "returnNew", false);
	if (kind == DOCOP_INSERT) {
		parse_insert(o, get, arg);
	} else if (kind == DOCOP_UPDATE) {
		o->keep_null = param_bool(get, arg, "keepNull", true);
		o->merge_objects = param_bool(get, arg, "mergeObjects", true);
	}
}

static const char *
req_param(void *arg, const char *name)
{
	return sb_param(arg, name);
}

void
docop_opts_from_req(struct docop_opts *o, enum docop_kind kind,
    struct sb_req *r)
{
	docop_opts_parse(o, kind, req_param, r);
}

static void
put_param(struct buf *out, size_t start, const char *name, const char *value)
{
	if (out->len > start)
		buf_append_u8(out, '&');
	buf_append_str(out, name);
	buf_append_u8(out, '=');
	buf_append_str(out, value);
}

void
docop_opts_to_query(const struct docop_opts *o, struct buf *out)
{
	size_t	 start = out->len;

	if (o->only_get)
		put_param(out, start, "onlyget", "true");
	if (o->wait_for_sync)
		put_param(out, start, "waitForSync", "true");
	if (o->is_restore)
		put_param(out, start, "isRestore", "true");
	if (o->return_new)
		put_param(out, start, "returnNew", "true");
	if (o->return_old)
		put_param(out, start, "returnOld", "true");
	if (o->silent)
		put_param(out, start, "silent", "true");
	if (!o->ignore_revs)
		put_param(out, start, "ignoreRevs", "false");
	if (o->kind == DOCOP_INSERT && o->overwrite != DOCOP_CONFLICT)
		put_param(out, start, "overwriteMode",
		    overwrite_names[o->overwrite]);
	if (o->kind == DOCOP_UPDATE || (o->kind == DOCOP_INSERT &&
	    o->overwrite == DOCOP_OW_UPDATE)) {
		put_param(out, start, "keepNull",
		    o->keep_null ? "true" : "false");
		put_param(out, start, "mergeObjects",
		    o->merge_objects ? "true" : "false");
	}
	if (o->sync_from != NULL)
		put_param(out, start, "isSynchronousReplication",
		    o->sync_from);
}

bool
docop_modifies(const struct docop_opts *o)
{
	return o->kind == DOCOP_REPLACE || o->kind == DOCOP_UPDATE ||
	    (o->kind == DOCOP_INSERT && (o->overwrite == DOCOP_OW_UPDATE ||
	    o->overwrite == DOCOP_OW_REPLACE));
}

/* ---- counts of errors ------------------------------------------------ */

void
docop_errors_add(struct docop_errors *es, int errnum, uint64_t count)
{
	size_t	 i;

	for (i = 0; i < es->n; i++)
		if (es->list[i].errnum == errnum) {
			es->list[i].count += count;
			return;
		}
	if (es->n == NITEMS(es->list)) {
		es->list[es->n - 1].count += count;
		return;
	}
	es->list[es->n].errnum = errnum;
	es->list[es->n++].count = count;
}

void
docop_errors_add_text(struct docop_errors *es, const char *text)
{
	struct json_object	*o;

	if (text == NULL || (o = json_tokener_parse(text)) == NULL)
		return;
	if (json_object_is_type(o, json_type_object)) {
		json_object_object_foreach(o, name, v) {
			int	 errnum = atoi(name);
			int64_t	 n = json_object_get_int64(v);

			if (errnum > 0 && n > 0)
				docop_errors_add(es, errnum, (uint64_t)n);
		}
	}
	json_object_put(o);
}

void
docop_errors_text(const struct docop_errors *es, struct buf *out)
{
	size_t	 i;

	if (es->n == 0)
		return;
	for (i = 0; i < es->n; i++)
		buf_printf(out, "%c\"%d\":%" PRIu64, i == 0 ? '{' : ',',
		    es->list[i].errnum, es->list[i].count);
	buf_append_u8(out, '}');
}
