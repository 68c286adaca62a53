/* get_workers.c - arangosync get workers */
#include "cli/list.h"
#include "json/get.h"

static const char *const	heads[] = {
	"ID", "Endpoint", "Host", "Expires", NULL
};
static const char *const	verbose_heads[] = {
	"ID", "Endpoint", "Host", "Expires", "DB-server", "Server ID", NULL
};

static int
row(struct cli_table *t, struct json_object *o, int verbose,
    struct err_msg *m)
{
	const char	*id;
	int64_t		 server = 0;
	int		 r;

	if ((r = json_need_string(o, "id", &id, m)) != 0 ||
	    (r = json_want_int(o, "serverID", 0, INT64_MAX, &server, m)) != 0)
		return r;
	cli_table_add(t, id);
	list_cell(t, o, "endpoint");
	list_cell(t, o, "host");
	list_cell_time(t, o, "expiresAt");
	if (!verbose)
		return 0;
	list_cell(t, o, "dbServerAffinity");
	cli_table_addf(t, "%lld", (long long)server);
	return 0;
}

static int
body(struct remote *r, const struct conf *c)
{
	static const struct list_spec	 spec = {
		.path = "/_api/worker", .name = "workers",
		.empty = "There are no workers.",
		.failed = "cannot get the workers",
		.heads = heads, .verbose_heads = verbose_heads, .row = row
	};

	return list_print(r, c, &spec);
}

static int
run(const struct conf *c, void *context)
{
	return remote_run(c, body);
}

static const struct conf_option *const tables[] = {
	remote_options, remote_verbose_options, remote_json_options, NULL
};

const struct conf_command cli_get_workers = {
	.words = "get workers", .tables = tables, .run = run,
	.summary = "Print the registered workers of a datacenter."
};
