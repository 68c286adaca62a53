/* abort_sync.c - arangosync abort sync */
#include <stdlib.h>

#include "cli/progress.h"
#include "cli/remote.h"
#include "cli/syncinfo.h"
#include "json/get.h"

/* Of the time, what is left for becoming inactive alone: a quarter, at most
 * that. */
#define ALONE_MAX_MS	2000

/*
 * The answer: 0, or an exit code.  *aborted: the source was not told; the
 * master knows it at once when it waited, else the status tells later.
 */
static int
send_abort(struct remote *r, bool *aborted)
{
	uint64_t		 left = remote_time_left(r);
	char			*json;
	struct remote_req	 q = { .method = "DELETE",
				    .path = "/_api/sync" };
	struct json_object	*o = NULL;
	struct err_msg		 m = { "" };
	int			 err;

	json = xasprintf("{\"force\":true,\"force_timeout\":%lld}",
	    (long long)(left - MIN(left / 4, ALONE_MAX_MS)) * 1000000);
	q.body = json;
	err = remote_call(r, &q, &o, &m);
	free(json);
	/* Without an answer it may have begun; the status tells. */
	if (err != 0 && !remote_is_temporary(err))
		return remote_fail("cannot abort synchronization", err, &m);
	if (err != 0)
		cli_complain("warning: %s", m.text);
	*aborted = json_bool_or(o, "aborted", false);
	json_object_put(o);
	return 0;
}

static int
ask_aborted(struct remote *r, bool *aborted)
{
	struct sync_info	*info;
	struct err_msg		 m = { "" };
	int			 err;

	if ((err = sync_info_get(r, false, &info, &m)) != 0)
		return remote_fail("cannot get the status", err, &m);
	*aborted |= info->cancellation_aborted;
	sync_info_free(&info);
	return 0;
}

static int
body(struct remote *r, const struct conf *c)
{
	struct sync_info	*info;
	struct err_msg		 m = { "" };
	bool			 aborted = false;
	int			 err, code, was_over;

	remote_set_deadline(r, (uint64_t)conf_duration_ms(c, "timeout"));
	if ((err = sync_info_get(r, false, &info, &m)) != 0 &&
	    !remote_is_temporary(err))
		return remote_fail("cannot abort synchronization", err, &m);
	was_over = err == 0 && sync_side_is_over(&info->in);
	if (err == 0)
		sync_info_free(&info);
	if (was_over) {
		printf("Synchronization is inactive already.\n");
		return 0;
	}
	progress_set("telling the source to end synchronization");
	if ((code = send_abort(r, &aborted)) != 0 ||
	    (code = sync_wait_inactive(r, "abort")) != 0 ||
	    (code = ask_aborted(r, &aborted)) != 0)
		return code;
	progress_clear();
	printf("Synchronization aborted.\n");
	if (aborted)
		printf("The source was not told. Use \"arangosync abort "
		    "outgoing sync\" there.\n");
	return 0;
}

static int
run(const struct conf *c, void *context)
{
	return remote_run(c, body);
}

static const struct conf_option options[] = {
	{ .name = "timeout", .type = CONF_DURATION, .def = "2m",
	  .flags = CONF_NO_FILE, .min = 1000, .max = 7 * 24 * 3600 * 1000LL,
	  .group = "Options",
	  .help = "How long it may take. The target tries to tell the source "
	  "until shortly before that, and then becomes inactive alone." },
	{ .name = NULL }
};
static const struct conf_option *const tables[] = {
	options, remote_options, remote_trace_options, NULL
};

const struct conf_command cli_abort_sync = {
	.words = "abort sync", .tables = tables, .run = run,
	.summary = "End synchronization even when the source cannot be "
	"reached.",
	.help = "Talks to a master of the target. What was not copied yet "
	"stays at the source only. When the source was not told, it has to "
	"be cleaned with \"abort outgoing sync\"."
};
