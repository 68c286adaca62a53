/* abort_outgoing_sync.c - arangosync abort outgoing sync */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cli/progress.h"
#include "cli/remote.h"
#include "cli/syncinfo.h"
#include "http/url.h"

#define POLL_MS		200
#define WHAT		"cannot abort outgoing synchronization"

static const struct sync_side *
find_target(const struct sync_info *info, const char *id)
{
	size_t	 i;

	for (i = 0; i < info->n_out; i++)
		if (strcmp(info->out[i].id, id) == 0)
			return &info->out[i];
	return NULL;
}

/*
 * The target that is meant: its id (free() it), or NULL with the exit code.
 */
static char *
choose(const struct sync_info *info, const struct conf *c, int *code)
{
	const char	*id = conf_string(c, "target");
	struct buf	 ids = BUF_INIT;
	size_t		 i;

	*code = 0;
	if (info->n_out == 0) {
		printf("There is no outgoing synchronization.\n");
		return NULL;
	}
	if (id == NULL && info->n_out == 1)
		return xstrdup(info->out[0].id);
	if (id != NULL && find_target(info, id) != NULL)
		return xstrdup(id);
	for (i = 0; i < info->n_out; i++)
		buf_printf(&ids, "%s%s", i == 0 ? "" : ", ",
		    info->out[i].id);
	cli_make_safe(buf_cstr(&ids));
	*code = id == NULL ?
	    cli_fail("%s: there are several targets, name one with --target: "
	    "%s", WHAT, buf_cstr(&ids)) :
	    cli_fail("%s: there is no target %.64s, only: %s", WHAT, id,
	    buf_cstr(&ids));
	buf_free(&ids);
	return NULL;
}

/* Exit code. */
static int
send_abort(struct remote *r, const char *id)
{
	char			*name = url_encode(id);
	char			*path = xasprintf("/_api/sync/outgoing/%s",
				    name);
	struct remote_req	 q = { .method = "DELETE", .path = path };
	struct err_msg		 m = { "" };
	int			 err = remote_call(r, &q, NULL, &m);

	free(name);
	free(path);
	if (err == 0 || q.status == 404)
		return 0;
	if (remote_is_temporary(err)) {
		cli_complain("warning: %s", m.text);
		return 0;
	}
	return remote_fail(WHAT, err, &m);
}

static int
wait_gone(struct remote *r, const char *id)
{
	struct sync_info	*info;
	const struct sync_side	*s;
	struct err_msg		 m = { "" };
	char			 why[256] = "no answer yet";
	int			 err, gone;

	for (;;) {
		if ((err = sync_info_get(r, false, &info, &m)) == 0) {
			s = find_target(info, id);
			gone = s == NULL || s->status == SYNC_INACTIVE;
			if (!gone) {
				err_set(&m, 0, "it is %.40s",
				    s->status_text);
				cli_make_safe(m.text);
			}
			sync_info_free(&info);
			if (gone)
				return 0;
		} else if (!remote_is_temporary(err))
			return remote_fail(WHAT, err, &m);
		/* What the end of the time has cut off says nothing. */
		if (err == 0 || remote_time_left(r) > 0)
			(void)str_copy(why, sizeof(why), m.text);
		progress_set("%s", why);
		if (remote_time_left(r) == 0)
			return cli_fail("%s in time: %s; the master goes on, "
			    "see \"arangosync get status\"", WHAT, why);
		if ((err = remote_sleep(r, POLL_MS)) != 0)
			return remote_fail(WHAT, err, &m);
	}
}

static int
body(struct remote *r, const struct conf *c)
{
	struct sync_info	*info;
	struct err_msg		 m = { "" };
	char			*id;
	int			 err, code;

	remote_set_deadline(r, (uint64_t)conf_duration_ms(c, "timeout"));
	if ((err = sync_info_get(r, false, &info, &m)) != 0)
		return remote_fail(WHAT, err, &m);
	id = choose(info, c, &code);
	sync_info_free(&info);
	if (id == NULL)
		return code;
	if ((code = send_abort(r, id)) == 0 &&
	    (code = wait_gone(r, id)) == 0) {
		progress_clear();
		cli_make_safe(id);
		printf("Outgoing synchronization to %s aborted.\n", id);
	}
	free(id);
	return code;
}

static int
run(const struct conf *c, void *context)
{
	return remote_run(c, body);
}

static const struct conf_option options[] = {
	{ .name = "target", .type = CONF_STRING, .arg = "ID",
	  .flags = CONF_NO_FILE, .group = "Options",
	  .help = "Id of the target, as \"get status\" prints it. Needed when "
	  "there are several." },
	{ .name = "timeout", .type = CONF_DURATION, .def = "2m",
	  .flags = CONF_NO_FILE, .min = 1000, .max = 7 * 24 * 3600 * 1000LL,
	  .help = "How long to wait until it has ended." },
	{ .name = NULL }
};
static const struct conf_option *const tables[] = {
	options, remote_options, remote_trace_options, NULL
};

const struct conf_command cli_abort_outgoing_sync = {
	.words = "abort outgoing sync", .tables = tables, .run = run,
	.summary = "Clean a source whose target was aborted or is gone.",
	.help = "Talks to a master of the source."
};
