/* syncinfo.c - GET /_api/sync as structs */
#include <stdlib.h>
#include <string.h>

#include "cli/syncinfo.h"
#include "json/get.h"

static const char *const	names[SYNC_UNKNOWN] = {
	"inactive", "initializing", "initial-sync", "running", "cancelling",
	"failed"
};

static enum sync_status
status_of(const char *text)
{
	int	 i;

	if (*text == '\0')
		return SYNC_INACTIVE;
	for (i = 0; i < SYNC_UNKNOWN; i++)
		if (strcmp(names[i], text) == 0)
			return (enum sync_status)i;
	return SYNC_UNKNOWN;
}

const char *
sync_status_name(enum sync_status s)
{
	return s < SYNC_UNKNOWN ? names[s] : "unknown";
}

static const char *
status_text(const char *text)
{
	return *text == '\0' ? names[SYNC_INACTIVE] : text;
}

/* An array that may be absent or null; *n is 0 then. */
static int
want_array(struct json_object *o, const char *name, struct json_object **a,
    size_t *n, struct err_msg *m)
{
	*a = json_at(o, name);
	*n = 0;
	if (*a == NULL)
		return 0;
	if (!json_object_is_type(*a, json_type_array))
		return err_set(m, ERR_FORMAT, "%s is not an array", name);
	*n = json_object_array_length(*a);
	return 0;
}

static int
parse_endpoints(struct sync_info *info, struct json_object *o,
    const char *name, const char **text, struct err_msg *m)
{
	struct json_object	*a, *e;
	struct buf		 b = BUF_INIT;
	size_t			 i, n;
	int			 r;

	*text = "";
	if ((r = want_array(o, name, &a, &n, m)) != 0 || n == 0)
		return r;
	for (i = 0; i < n; i++) {
		e = json_object_array_get_idx(a, i);
		if (!json_object_is_type(e, json_type_string)) {
			buf_free(&b);
			return err_set(m, ERR_FORMAT,
			    "%s.%zu is not a string", name, i);
		}
		buf_printf(&b, "%s%s", i == 0 ? "" : ", ",
		    json_object_get_string(e));
	}
	info->texts = xrealloc(info->texts,
	    (info->n_texts + 1) * sizeof(*info->texts));
	*text = info->texts[info->n_texts++] = xstrdup(buf_cstr(&b));
	buf_free(&b);
	return 0;
}

static int
parse_shard(struct json_object *o, struct sync_shard *s, struct err_msg *m)
{
	int	 r;

	memset(s, 0, sizeof(*s));
	s->status_text = s->message = s->last_message = s->last_data_change =
	    "";
	if ((r = json_need_string(o, "database", &s->database, m)) != 0 ||
	    (r = json_need_string(o, "collection", &s->collection, m)) != 0 ||
	    (r = json_need_int(o, "shardIndex", 0, INT32_MAX, &s->index,
	    m)) != 0 ||
	    (r = json_want_string(o, "status", &s->status_text, m)) != 0 ||
	    (r = json_want_string(o, "status_message", &s->message, m)) != 0 ||
	    (r = json_want_int(o, "delay", INT64_MIN, INT64_MAX, &s->delay_ns,
	    m)) != 0 ||
	    (r = json_want_string(o, "last_message", &s->last_message,
	    m)) != 0 ||
	    (r = json_want_string(o, "last_data_change", &s->last_data_change,
	    m)) != 0 ||
	    (r = json_want_bool(o, "in_sync", &s->in_sync, m)) != 0)
		return r;
	s->status = status_of(s->status_text);
	s->status_text = status_text(s->status_text);
	return 0;
}

static int
parse_shards(struct json_object *o, struct sync_side *s, struct err_msg *m)
{
	struct json_object	*a;
	struct sync_shard	*shard;
	struct err_msg		 why;
	size_t			 i, n;
	int			 r;

	if ((r = want_array(o, "shards", &a, &n, m)) != 0)
		return r;
	s->shards = xcalloc(n, sizeof(*s->shards));
	for (i = 0; i < n; i++) {
		shard = &s->shards[i];
		if ((r = parse_shard(json_object_array_get_idx(a, i), shard,
		    &why)) != 0)
			return err_set(m, r, "shards.%zu: %.400s", i,
			    why.text);
		s->n_shards++;
		s->by_status[shard->status]++;
		s->max_delay_ns = MAX(s->max_delay_ns, shard->delay_ns);
	}
	return 0;
}

static int
parse_side(struct json_object *o, struct sync_side *s, struct err_msg *m)
{
	int	 r;

	s->id = s->status_text = "";
	if ((r = json_want_string(o, "status", &s->status_text, m)) != 0 ||
	    (r = json_want_string(o, "id", &s->id, m)) != 0 ||
	    (r = json_want_bool(o, "active_barrier", &s->active_barrier,
	    m)) != 0 || (r = parse_shards(o, s, m)) != 0 ||
	    (r = json_want_uint(o, "shardsCount", &s->shards_count, m)) != 0 ||
	    (r = json_want_uint(o, "totalShardsCount", &s->total, m)) != 0)
		return r;
	s->status = status_of(s->status_text);
	s->status_text = status_text(s->status_text);
	s->shards_count = MAX(s->shards_count, s->n_shards);
	s->total = MAX(s->total, s->shards_count);
	return 0;
}

static int
parse_outgoing(struct sync_info *info, struct err_msg *m)
{
	struct json_object	*a, *o;
	struct err_msg		 why;
	size_t			 i, n;
	int			 r;

	if ((r = want_array(info->root, "outgoing", &a, &n, m)) != 0)
		return r;
	info->out = xcalloc(n, sizeof(*info->out));
	for (i = 0; i < n; i++) {
		o = json_object_array_get_idx(a, i);
		info->n_out++;
		if (!json_object_is_type(o, json_type_object))
			return err_set(m, ERR_FORMAT,
			    "outgoing.%zu is not an object", i);
		if ((r = parse_side(o, &info->out[i], &why)) != 0 ||
		    (r = parse_endpoints(info, o, "endpoint",
		    &info->out[i].endpoints, &why)) != 0)
			return err_set(m, r, "outgoing.%zu.%.400s", i,
			    why.text);
	}
	return 0;
}

int
sync_info_parse(struct json_object *o, struct sync_info **out,
    struct err_msg *m)
{
	struct sync_info	*info = xcalloc(1, sizeof(*info));
	struct err_msg		 why = { "" };
	int			 r;

	info->root = o;
	info->in.incoming = true;
	if ((r = parse_side(o, &info->in, &why)) == 0 &&
	    (r = parse_endpoints(info, o, "source", &info->in.endpoints,
	    &why)) == 0 &&
	    (r = json_want_bool(o, "cancellationAborted",
	    &info->cancellation_aborted, &why)) == 0 &&
	    (r = parse_outgoing(info, &why)) == 0) {
		*out = info;
		return 0;
	}
	sync_info_free(&info);
	return err_set(m, ERR_FORMAT, "the answer of the master is wrong: "
	    "%.400s", why.text);
}

void
sync_info_free(struct sync_info **p)
{
	struct sync_info	*info = *p;
	size_t			 i;

	if (info == NULL)
		return;
	free(info->in.shards);
	for (i = 0; i < info->n_out; i++)
		free(info->out[i].shards);
	free(info->out);
	for (i = 0; i < info->n_texts; i++)
		free(info->texts[i]);
	free(info->texts);
	json_object_put(info->root);
	free(info);
	*p = NULL;
}

bool
sync_side_is_over(const struct sync_side *s)
{
	return s->status == SYNC_INACTIVE && s->shards_count == 0 &&
	    *s->endpoints == '\0';
}

bool
sync_status_is_active(enum sync_status s)
{
	return s == SYNC_INITIALIZING || s == SYNC_INITIAL ||
	    s == SYNC_RUNNING;
}
