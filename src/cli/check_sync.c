/* check_sync.c - arangosync check sync */
#include <stdlib.h>
#include <string.h>

#include "cli/checkplan.h"
#include "cli/progress.h"
#include "cli/remote.h"
#include "ev/fiber.h"
#include "json/get.h"

#define WHAT		"cannot check synchronization"
/* A leader may change while checksums are made. */
#define ATTEMPTS	3
#define ATTEMPT_PAUSE_MS	1000
/* What the answer may take on its way. */
#define SPARE_MS	(30 * 1000)

struct check {
	struct remote		*r;
	struct check_plan	*plan;
	struct fiber_group	 group;
	size_t			 next;		/* row to look at */
	size_t			 todo, done;	/* rows with checksums */
	int64_t			 timeout_ms;
	int			 err;		/* ERR_CANCELLED */
};

/* --- checksums ----------------------------------------------------------- */

static void
check_row(struct check *k, struct check_row *row)
{
	char			*path = remote_shard_path(row->database,
				    row->collection, row->shard, "/checksum");
	char			*json = xasprintf("{\"timeout\":%lld}",
				    (long long)k->timeout_ms * 1000000);
	struct remote_req	 q = { .path = path, .body = json };
	struct json_object	*o = NULL;
	struct err_msg		 m = { "" };
	int			 err, i;

	q.timeout_ms = (uint32_t)MIN(k->timeout_ms + SPARE_MS,
	    (int64_t)UINT32_MAX);
	for (i = 1; (err = remote_call(k->r, &q, &o, &m)) != 0 &&
	    remote_is_temporary(err) && i < ATTEMPTS; i++)
		if (remote_sleep(k->r, ATTEMPT_PAUSE_MS) != 0)
			break;
	if (err == 0)
		check_row_judge(row, o);
	else if (err == ERR_CANCELLED)
		k->err = err;
	else
		check_row_set(row, CHECK_ERROR, "%s", m.text);
	json_object_put(o);
	free(path);
	free(json);
	k->done++;
	progress_set("%zu of %zu shards compared", k->done, k->todo);
}

static void
worker(void *arg)
{
	struct check		*k = arg;
	struct check_row	*row;

	while (k->err == 0 && k->next < k->plan->n) {
		row = &k->plan->rows[k->next++];
		if (row->result == CHECK_PENDING)
			check_row(k, row);
	}
}

static int
compare(struct check *k, const struct conf *c)
{
	int64_t	 n = conf_int(c, "parallel");
	size_t	 i;

	for (i = 0; i < k->plan->n; i++)
		k->todo += k->plan->rows[i].result == CHECK_PENDING;
	k->timeout_ms = conf_duration_ms(c, "timeout");
	for (; n > 0; n--)
		fiber_group_spawn(&k->group, remote_loop(k->r), worker, k);
	fiber_group_wait(&k->group);
	return k->err;
}

/* --- output -------------------------------------------------------------- */

static const char *
result_text(const struct check_row *row)
{
	switch (row->result) {
	case CHECK_SAME:
		return "same";
	case CHECK_DIFFERENT:
		return "DIFFERENT";
	case CHECK_MISSING:
		return "MISSING";
	default:
		return "ERROR";
	}
}

static void
print_table(const struct check_plan *p, int verbose)
{
	/* Benches look for these words at the begin of a line. */
	static const char *const	 heads[] = {
		"Database", "Collection", "Shard", "Status", "Message", NULL
	};
	struct cli_table		*t = cli_table_new(heads);
	const struct check_row		*row;
	size_t				 i;

	for (i = 0; i < p->n; i++) {
		row = &p->rows[i];
		if (row->result == CHECK_SAME && !verbose)
			continue;
		cli_table_add(t, row->database);
		cli_table_add(t, row->collection);
		if (row->shard < 0)
			cli_table_add(t, "");
		else
			cli_table_addf(t, "%lld", (long long)row->shard);
		cli_table_add(t, result_text(row));
		cli_table_add(t, row->message);
	}
	if (cli_table_rows(t) > 0)
		cli_table_print(t, 0, stdout);
	cli_table_free(&t);
}

static void
print_json(const struct check_plan *p, size_t bad)
{
	struct json_object	*o = json_object_new_object(), *a, *e;
	const struct check_row	*row;
	size_t			 i;

	a = json_object_new_array();
	for (i = 0; i < p->n; i++) {
		row = &p->rows[i];
		if (row->result == CHECK_SAME)
			continue;
		e = json_object_new_object();
		json_set_string(e, "database", row->database);
		if (*row->collection != '\0')
			json_set_string(e, "collection", row->collection);
		if (row->shard >= 0)
			json_set_int(e, "shardIndex", row->shard);
		json_set_string(e, "status", result_text(row));
		json_set_string(e, "message", row->message);
		json_object_array_add(a, e);
	}
	json_set_bool(o, "same", bad == 0);
	json_set_uint(o, "compared", p->n);
	json_set(o, "differences", a);
	remote_print_json(o);
	json_object_put(o);
}

static int
report(const struct check_plan *p, const struct conf *c)
{
	size_t	 differs = 0, errors = 0, i;

	for (i = 0; i < p->n; i++) {
		errors += p->rows[i].result == CHECK_ERROR;
		differs += p->rows[i].result == CHECK_DIFFERENT ||
		    p->rows[i].result == CHECK_MISSING;
	}
	progress_clear();
	if (conf_bool(c, "json"))
		print_json(p, differs + errors);
	else
		print_table(p, conf_bool(c, "verbose"));
	if (differs > 0)
		return CLI_EXIT_DIFFERS;
	if (errors > 0)
		return CONF_EXIT_FAILED;
	if (!conf_bool(c, "json"))
		printf("The %s data is the same (%zu shard%s compared).\n",
		    conf_is_set(c, "database") ||
		    conf_is_set(c, "collection") ? "chosen" : "whole", p->n,
		    p->n == 1 ? "" : "s");
	return 0;
}

/* --- the command --------------------------------------------------------- */

static int
make_plan(struct remote *r, const struct conf *c, struct check_plan **plan,
    struct err_msg *m)
{
	struct check_filter	 filter = {
		conf_string(c, "database"), conf_string(c, "collection"),
		conf_is_set(c, "shard") ? conf_int(c, "shard") : -1
	};
	struct sync_info	*info;
	struct json_object	*o;
	int			 err;

	if ((err = remote_get(r, "/_api/sync/shards", &o, m)) != 0)
		return err;
	if ((err = sync_info_get(r, true, &info, m)) != 0) {
		json_object_put(o);
		return err;
	}
	err = check_plan_make(o, &info->in, &filter, plan, m);
	sync_info_free(&info);
	if (err == 0 && (*plan)->n == 0) {
		check_plan_free(plan);
		err = err_set(m, ERR_NOT_FOUND, "there is nothing to compare");
	}
	return err;
}

static int
body(struct remote *r, const struct conf *c)
{
	struct check	 k = { .r = r };
	struct err_msg	 m = { "" };
	int		 err, code;

	if ((err = make_plan(r, c, &k.plan, &m)) != 0)
		return remote_fail(WHAT, err, &m);
	if ((err = compare(&k, c)) != 0)
		code = remote_fail(WHAT, err, &m);
	else
		code = report(k.plan, c);
	check_plan_free(&k.plan);
	return code;
}

static int
run(const struct conf *c, void *context)
{
	if (conf_is_set(c, "shard") && !conf_is_set(c, "collection"))
		return cli_usage(c, "--shard needs --collection");
	if (conf_is_set(c, "collection") && !conf_is_set(c, "database"))
		return cli_usage(c, "--collection needs --database");
	return remote_run(c, body);
}

static const struct conf_option options[] = {
	{ .name = "database", .type = CONF_STRING, .arg = "NAME",
	  .flags = CONF_NO_FILE, .group = "Options",
	  .help = "Compare this database only." },
	{ .name = "collection", .type = CONF_STRING, .arg = "NAME",
	  .flags = CONF_NO_FILE, .help = "Compare this collection only." },
	{ .name = "shard", .type = CONF_INT, .flags = CONF_NO_FILE,
	  .min = 0, .max = INT32_MAX,
	  .help = "Compare the shard of this index only." },
	{ .name = "parallel", .type = CONF_INT, .def = "30",
	  .flags = CONF_NO_FILE, .min = 1, .max = 1000,
	  .help = "Shards to compare at the same time." },
	{ .name = "timeout", .type = CONF_DURATION, .def = "10m",
	  .flags = CONF_NO_FILE, .min = 1000, .max = 7 * 24 * 3600 * 1000LL,
	  .help = "How long the checksums of one shard may take." },
	{ .name = NULL }
};
static const struct conf_option *const tables[] = {
	options, remote_options, remote_verbose_options, remote_json_options,
	NULL
};

const struct conf_command cli_check_sync = {
	.words = "check sync", .tables = tables, .run = run,
	.summary = "Compare checksums of all shards of both datacenters.",
	.help = "Talks to a master of the target. Prints the shards that "
	"differ, and exits with 3 if there are any. Both sides are compared "
	"at a snapshot, so the source may be written to meanwhile; what "
	"differs is repaired."
};
