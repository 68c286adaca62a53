/* syncwait.c - asking for the state of synchronization, until it is over */
#include <string.h>

#include "base/str.h"
#include "cli/progress.h"
#include "cli/remote.h"
#include "cli/syncinfo.h"

#define POLL_MS		200

int
sync_info_get(struct remote *r, bool details, struct sync_info **info,
    struct err_msg *m)
{
	struct json_object	*o;
	int			 err;

	err = remote_get(r, details ? "/_api/sync?details=full" :
	    "/_api/sync?details=short", &o, m);
	return err == 0 ? sync_info_parse(o, info, m) : err;
}

int
sync_wait_inactive(struct remote *r, const char *what)
{
	struct sync_info	*info;
	struct err_msg		 m = { "" };
	char			 why[256] = "no answer yet", doing[64];
	int			 err, over;

	snprintf(doing, sizeof(doing), "cannot %s synchronization", what);
	for (;;) {
		err = sync_info_get(r, false, &info, &m);
		if (err == 0) {
			over = sync_side_is_over(&info->in);
			snprintf(why, sizeof(why), "synchronization is %.40s, "
			    "%llu shards are left", info->in.status_text,
			    (unsigned long long)info->in.shards_count);
			sync_info_free(&info);
			if (over)
				return 0;
		} else if (!remote_is_temporary(err))
			return remote_fail(doing, err, &m);
		/* What the end of the time has cut off says nothing. */
		if (remote_time_left(r) == 0)
			break;
		if (err != 0)
			(void)str_copy(why, sizeof(why), m.text);
		progress_set("%s", why);
		if ((err = remote_sleep(r, POLL_MS)) != 0)
			return remote_fail(doing, err, &m);
	}
	return cli_fail("%s in time: %s; the master goes on, see \"arangosync "
	    "get status\"", doing, why);
}
