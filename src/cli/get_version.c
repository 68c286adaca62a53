/* get_version.c - arangosync get version */
#include "cli/remote.h"
#include "json/get.h"

static const char *const	heads[] = {
	"Endpoint", "Version", "Build", NULL
};
static const char *const	verbose_heads[] = {
	"Endpoint", "Version", "Build", "Role", NULL
};

/* One server: a row, and an element of the JSON.  Exit code. */
static int
ask(struct remote *r, const char *endpoint, int verbose, struct cli_table *t,
    struct json_object *list)
{
	struct remote_req	 q = { .path = "/_api/version",
				    .endpoint = endpoint };
	struct json_object	*version, *role = NULL;
	struct err_msg		 m = { "" };
	int			 err;

	if ((err = remote_call(r, &q, &version, &m)) != 0)
		return remote_fail("cannot get the version", err, &m);
	q.path = "/_api/role";
	if (verbose && (err = remote_call(r, &q, &role, &m)) != 0) {
		json_object_put(version);
		return remote_fail("cannot get the role", err, &m);
	}
	json_set_string(version, "endpoint", endpoint);
	cli_table_add(t, endpoint);
	cli_table_add(t, json_string_or(version, "version", ""));
	cli_table_add(t, json_string_or(version, "build", ""));
	if (verbose) {
		json_set_string(version, "role",
		    json_string_or(role, "role", ""));
		cli_table_add(t, json_string_or(role, "role", ""));
	}
	json_object_put(role);
	json_object_array_add(list, version);
	return 0;
}

static int
body(struct remote *r, const struct conf *c)
{
	int			 verbose = conf_bool(c, "verbose"), code = 0;
	struct cli_table	*t = cli_table_new(verbose ? verbose_heads :
				    heads);
	struct json_object	*list = json_object_new_array();
	const char *const	*e;

	for (e = conf_list(c, "master.endpoint", NULL); *e != NULL; e++)
		if (ask(r, *e, verbose, t, list) != 0)
			code = CONF_EXIT_FAILED;
	if (conf_bool(c, "json"))
		remote_print_json(list);
	else if (cli_table_rows(t) > 0)
		cli_table_print(t, 0, stdout);
	json_object_put(list);
	cli_table_free(&t);
	return code;
}

static int
run(const struct conf *c, void *context)
{
	return remote_run(c, body);
}

static const struct conf_option *const tables[] = {
	remote_options, remote_verbose_options, remote_json_options, NULL
};

const struct conf_command cli_get_version = {
	.words = "get version", .tables = tables, .run = run,
	.summary = "Print the version of each server that is given.",
	.help = "Endpoints of workers can be given as well."
};
