/* get_masters.c - arangosync get masters */
#include "cli/list.h"
#include "json/get.h"

static const char *const	heads[] = { "ID", "Endpoint", "Leader", NULL };

static int
row(struct cli_table *t, struct json_object *o, int verbose,
    struct err_msg *m)
{
	const char	*id;
	int		 r;

	if ((r = json_need_string(o, "id", &id, m)) != 0)
		return r;
	cli_table_add(t, id);
	list_cell(t, o, "endpoint");
	cli_table_add(t, json_bool_or(o, "leader", false) ? "yes" : "no");
	return 0;
}

static int
body(struct remote *r, const struct conf *c)
{
	static const struct list_spec	 spec = {
		.path = "/_api/masters", .name = "masters",
		.empty = "There are no masters.",
		.failed = "cannot get the masters",
		.heads = heads, .verbose_heads = heads, .row = row
	};

	return list_print(r, c, &spec);
}

static int
run(const struct conf *c, void *context)
{
	return remote_run(c, body);
}

static const struct conf_option *const tables[] = {
	remote_options, remote_trace_options, remote_json_options, NULL
};

const struct conf_command cli_get_masters = {
	.words = "get masters", .tables = tables, .run = run,
	.summary = "Print the masters of a datacenter and which one leads."
};
