/* reset_failed_shard.c - arangosync reset failed shard */
#include <stdlib.h>

#include "cli/remote.h"

static int
body(struct remote *r, const struct conf *c)
{
	const char		*db = conf_string(c, "database");
	const char		*coll = conf_string(c, "collection");
	int64_t			 n = conf_int(c, "shard");
	char			*path = remote_shard_path(db, coll, n,
				    "/reset");
	struct remote_req	 q = { .method = "PUT", .path = path };
	struct err_msg		 m = { "" };
	int			 err = remote_call(r, &q, NULL, &m);

	free(path);
	if (err != 0)
		return remote_fail("cannot reset the shard", err, &m);
	printf("Shard %lld of %s in database %s is synchronized anew.\n",
	    (long long)n, coll, db);
	return 0;
}

static int
check_name(const char *value, struct err_msg *m)
{
	return *value != '\0' ? 0 : err_set(m, ERR_USAGE, "is empty");
}

static int
run(const struct conf *c, void *context)
{
	return remote_run(c, body);
}

static const struct conf_option options[] = {
	{ .name = "database", .type = CONF_STRING, .arg = "NAME",
	  .flags = CONF_REQUIRED | CONF_NO_FILE, .check = check_name,
	  .group = "Options", .help = "Database of the shard." },
	{ .name = "collection", .type = CONF_STRING, .arg = "NAME",
	  .flags = CONF_REQUIRED | CONF_NO_FILE, .check = check_name,
	  .help = "Collection of the shard." },
	{ .name = "shard", .type = CONF_INT, .def = "0",
	  .flags = CONF_NO_FILE, .min = 0, .max = INT32_MAX,
	  .help = "Index of the shard in its collection." },
	{ .name = NULL }
};
static const struct conf_option *const tables[] = {
	options, remote_options, remote_trace_options, NULL
};

const struct conf_command cli_reset_failed_shard = {
	.words = "reset failed shard", .tables = tables, .run = run,
	.summary = "Start the synchronization of a failed shard again."
};
