/* stop_sync.c - arangosync stop sync */
#include <stdlib.h>

#include "base/str.h"
#include "cli/progress.h"
#include "cli/remote.h"
#include "cli/syncinfo.h"
#include "json/get.h"
#include "sync/barrier.h"

#define POLL_MS		200
/* For the source to become writable again; some of it before the end of
 * --timeout, an eighth at most. */
#define UNDO_MS		800
#define UNDO_BEFORE_MS	400
#define UNDO_INTERRUPTED_MS	15000
/* Of what is left, for the way of an answer. */
#define WAY_MS		300
#define WHAT		"cannot stop synchronization"

/*
 * 1. A barrier: the source becomes read-only.  2. Wait until every shard has
 * all of it.  3. Cancel; the barrier goes with it.  4. Wait until it is over.
 * Whoever fails or is interrupted before 3 takes the barrier away again, so
 * that nobody's source stays read-only by a command that ended.
 */
struct stop {
	struct remote	*r;
	const struct conf *c;
	bool		 has_barrier;
	bool		 cancelling;	/* already, before we came */
};

static bool
is_late(const struct stop *s)
{
	return remote_time_left(s->r) == 0;
}

/* Exit code; *over: there is nothing to stop. */
static int
look(struct stop *s, bool *over)
{
	struct sync_info	*info;
	struct err_msg		 m = { "" };
	int			 err;

	*over = false;
	while ((err = sync_info_get(s->r, false, &info, &m)) != 0) {
		if (!remote_is_temporary(err) || is_late(s) ||
		    (err = remote_sleep(s->r, POLL_MS)) != 0)
			return remote_fail(WHAT, err, &m);
	}
	*over = sync_side_is_over(&info->in);
	s->cancelling = info->in.status == SYNC_CANCELLING;
	sync_info_free(&info);
	return 0;
}

/* --- the barrier --------------------------------------------------------- */

/* POST or DELETE; the master answers a little before our time is over. */
static int
ask_barrier(struct stop *s, const char *method, int *status,
    struct err_msg *m)
{
	uint64_t		 left = remote_time_left(s->r);
	uint64_t		 way = MAX(left / 8, MIN(WAY_MS, left / 2));
	char			*json = xasprintf("{\"timeout\":%llu}",
				    (unsigned long long)(left - way) *
				    1000000);
	struct remote_req	 q = { .method = method, .body = json,
				    .path = "/_api/sync/barrier" };
	int			 err = remote_call(s->r, &q, NULL, m);

	*status = q.status;
	free(json);
	return err;
}

/*
 * 412: synchronization is not running (yet), or the source cannot be reached;
 * that may change as long as there is time.
 */
static int
make_barrier(struct stop *s)
{
	struct err_msg	 m = { "" };
	char		 why[512] = "no answer yet";
	bool		 over;
	int		 err, code, status;

	for (;;) {
		s->has_barrier = true;	/* perhaps, even without an answer */
		if ((err = ask_barrier(s, "POST", &status, &m)) == 0)
			return 0;
		if (status == 412)
			s->has_barrier = false;
		else if (!remote_is_temporary(err))
			return remote_fail(WHAT, err, &m);
		/* What the end of the time has cut off says nothing. */
		if (status == 412 || !is_late(s))
			(void)str_copy(why, sizeof(why), m.text);
		/* Not worth another one. */
		if (remote_time_left(s->r) < UNDO_MS)
			break;
		if ((code = look(s, &over)) != 0)
			return code;
		if (over || s->cancelling) {
			s->has_barrier = false;
			return 0;
		}
		progress_set("there can be no barrier yet: %s", why);
		if ((err = remote_sleep(s->r, POLL_MS)) != 0)
			return remote_fail(WHAT, err, &m);
	}
	return cli_fail("%s in time: %s; %sto stop without the last changes "
	    "use --ensure-in-sync=false, or \"abort sync\" when the source is "
	    "gone", WHAT, why, s->has_barrier ? "" :
	    "synchronization goes on; ");
}

/*
 * What the barrier says: 1 when the target has everything, 0 with a sentence
 * when not yet, -1 when there is none any more (its master was replaced).
 */
static int
judge_barrier(struct json_object *o, struct err_msg *m)
{
	int64_t		 in = json_int_or(o, "in_sync_shards", 0);
	int64_t		 out = json_int_or(o, "not_in_sync_shards", 0);
	const char	*failed = json_string_or(o, "x.failed", "");
	const char	*waits = json_string_or(o, "x.waits_for", "");

	if (out == 0 && in > 0)
		return 1;
	if (*failed != '\0') {
		err_set(m, 0, "%.300s", failed);
		return -1;
	}
	if (*waits != '\0')
		err_set(m, 0, "waiting for %.300s", waits);
	else
		err_set(m, 0, "%lld of %lld shards are in sync",
		    (long long)in, (long long)(in + out));
	cli_make_safe(m->text);
	return json_bool_or(o, "SourceServerReadonly", true) ||
	    json_at(o, "x") != NULL ? 0 : -1;
}

static int
wait_in_sync(struct stop *s)
{
	struct json_object	*o;
	struct err_msg		 m = { "" };
	char			 why[512] = "no answer yet";
	int			 err, is;

	for (;;) {
		err = remote_get(s->r, "/_api/sync/barrier", &o, &m);
		if (err != 0 && !remote_is_temporary(err))
			return remote_fail(WHAT, err, &m);
		is = 0;
		if (err == 0) {
			is = judge_barrier(o, &m);
			json_object_put(o);
		}
		if (is > 0)
			return 0;
		/* What the end of the time has cut off says nothing. */
		if (err == 0 || !is_late(s))
			(void)str_copy(why, sizeof(why), m.text);
		if (is < 0) {
			/* Made again, for as long as there is time. */
			if (!is_late(s) && ((err = make_barrier(s)) != 0 ||
			    !s->has_barrier))
				return err;
		}
		progress_set("%s", why);
		if (is_late(s))
			return cli_fail("%s in time: %s", WHAT, why);
		if ((err = remote_sleep(s->r, POLL_MS)) != 0)
			return remote_fail(WHAT, err, &m);
	}
}

static void
drop_barrier(struct stop *s)
{
	struct err_msg	 m = { "" };
	int		 status;

	if (!s->has_barrier)
		return;
	remote_set_deadline(s->r, is_late(s) ? UNDO_MS : UNDO_INTERRUPTED_MS);
	remote_uncancel(s->r);
	if (ask_barrier(s, "DELETE", &status, &m) == 0)
		cli_complain("the barrier was removed; synchronization goes "
		    "on");
	else
		cli_complain("synchronization goes on, but it is not sure "
		    "that the source is writable again; its own master makes "
		    "it so when the lease of %d s ends: %s",
		    BARRIER_LEASE_MS / 1000, m.text);
}

/* --- cancelling ---------------------------------------------------------- */

static char *
make_request(const struct conf *c)
{
	struct json_object	*o = json_object_new_object();
	char			*text;

	if (conf_is_set(c, "target-server-mode"))
		json_set_string(o, "target_server_mode",
		    conf_string(c, "target-server-mode"));
	if (conf_is_set(c, "source-server-mode"))
		json_set_string(o, "source_server_mode",
		    conf_string(c, "source-server-mode"));
	text = json_to_text(o);
	json_object_put(o);
	return text;
}

/* Cancel, again when it is not sure that the master heard it. */
static int
cancel(struct stop *s)
{
	char			*json = make_request(s->c);
	struct remote_req	 q = { .method = "DELETE", .body = json,
				    .path = "/_api/sync" };
	struct err_msg		 m = { "" };
	bool			 over = false;
	int			 err, code = 0;

	while (!s->cancelling && !over && code == 0) {
		err = remote_call(s->r, &q, NULL, &m);
		if (err == 0)
			break;
		if (!remote_is_temporary(err) || is_late(s) ||
		    (err = remote_sleep(s->r, POLL_MS)) != 0)
			code = remote_fail(WHAT, err, &m);
		else
			code = look(s, &over);
	}
	free(json);
	return code;
}

static int
body(struct remote *r, const struct conf *c)
{
	struct stop	 s = { .r = r, .c = c };
	uint64_t	 ms;
	bool		 over;
	int		 code;

	ms = (uint64_t)conf_duration_ms(c, "timeout");
	remote_set_deadline(r, ms - MIN(ms / 8, UNDO_BEFORE_MS));
	if ((code = look(&s, &over)) != 0)
		return code;
	if (over) {
		printf("Synchronization is inactive already.\n");
		return 0;
	}
	if (!s.cancelling && conf_bool(c, "ensure-in-sync")) {
		if ((code = make_barrier(&s)) == 0 && s.has_barrier)
			code = wait_in_sync(&s);
	}
	if (code == 0)
		code = cancel(&s);
	if (code != 0) {
		drop_barrier(&s);
		return code;
	}
	if ((code = sync_wait_inactive(r, "stop")) == 0) {
		progress_clear();
		printf("Synchronization stopped.\n");
	}
	return code;
}

static int
run(const struct conf *c, void *context)
{
	return remote_run(c, body);
}

static const char *const	modes[] = { "default", "readonly", NULL };

static const struct conf_option options[] = {
	{ .name = "ensure-in-sync", .type = CONF_BOOL, .def = "true",
	  .flags = CONF_NO_FILE, .group = "Options",
	  .help = "Make the source read-only, and stop when the target has "
	  "everything. With =false stop at once." },
	{ .name = "timeout", .type = CONF_DURATION, .def = "2m",
	  .flags = CONF_NO_FILE, .min = 1000, .max = 7 * 24 * 3600 * 1000LL,
	  .help = "How long to wait. When the target does not have everything "
	  "by then, synchronization goes on and the command fails." },
	{ .name = "source-server-mode", .type = CONF_ENUM, .choices = modes,
	  .flags = CONF_NO_FILE,
	  .help = "Mode of the source cluster afterwards; as before unless "
	  "given." },
	{ .name = "target-server-mode", .type = CONF_ENUM, .choices = modes,
	  .flags = CONF_NO_FILE,
	  .help = "Mode of the target cluster afterwards; writable unless "
	  "given." },
	{ .name = NULL }
};
static const struct conf_option *const tables[] = {
	options, remote_options, remote_trace_options, NULL
};

const struct conf_command cli_stop_sync = {
	.words = "stop sync", .tables = tables, .run = run,
	.summary = "End synchronization when the target has everything.",
	.help = "Talks to a master of the target."
};
