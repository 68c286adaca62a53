/* get_tasks.c - arangosync get tasks */
#include "cli/list.h"
#include "json/get.h"

static const char *const	heads[] = {
	"ID", "Type", "Database", "Collection", "Shard", "Worker", "Since",
	NULL
};
static const char *const	verbose_heads[] = {
	"ID", "Type", "Database", "Collection", "Shard", "Worker", "Since",
	"Assigned", "Persistent", "Target", "Data channel", "Control channel",
	NULL
};

static int
row(struct cli_table *t, struct json_object *o, int verbose,
    struct err_msg *m)
{
	const char	*id;
	int64_t		 n = -1, assigned = 0;
	int		 r;

	if ((r = json_need_string(o, "id", &id, m)) != 0 ||
	    (r = json_want_int(o, "task.shardIndex", 0, INT32_MAX, &n,
	    m)) != 0 ||
	    (r = json_want_int(o, "assignment.counter", 0, INT64_MAX,
	    &assigned, m)) != 0)
		return r;
	cli_table_add(t, id);
	list_cell(t, o, "task.type");
	list_cell(t, o, "task.database");
	list_cell(t, o, "task.collection");
	/* Index 0 is left out of the JSON; inventories have no collection. */
	if (n < 0 && json_at(o, "task.collection") != NULL)
		n = 0;
	if (n < 0)
		cli_table_add(t, "");
	else
		cli_table_addf(t, "%lld", (long long)n);
	list_cell(t, o, "assignment.worker_id");
	list_cell_time(t, o, "assignment.created_at");
	if (!verbose)
		return 0;
	cli_table_addf(t, "%lld", (long long)assigned);
	cli_table_add(t, json_bool_or(o, "task.persistent", false) ? "yes" :
	    "no");
	list_cell(t, o, "task.target_id");
	list_cell(t, o, "task.channels.data");
	list_cell(t, o, "task.channels.control");
	return 0;
}

static int
body(struct remote *r, const struct conf *c)
{
	static const struct list_spec	 spec = {
		.path = "/_api/task", .name = "tasks",
		.empty = "There are no tasks.",
		.failed = "cannot get the tasks",
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

const struct conf_command cli_get_tasks = {
	.words = "get tasks", .tables = tables, .run = run,
	.summary = "Print the tasks of a datacenter and who works on them."
};
