/* set_message_timeout.c - arangosync set message timeout */
#include <stdlib.h>

#include "base/str.h"
#include "cli/remote.h"

static int64_t
timeout_of(const struct conf *c)
{
	int64_t	 ns;

	if (str_to_duration_ns(conf_args(c, NULL)[0], &ns) != 0 || ns <= 0)
		return 0;
	return ns;
}

static int
body(struct remote *r, const struct conf *c)
{
	int64_t			 ns = timeout_of(c);
	char			 text[STR_NUMBER_SIZE];
	char			*json = xasprintf("{\"messageTimeout\":%lld}",
				    (long long)ns);
	struct remote_req	 q = { .method = "PUT", .body = json,
				    .path = "/_api/message-timeout" };
	struct err_msg		 m = { "" };
	int			 err = remote_call(r, &q, NULL, &m);

	free(json);
	if (err != 0)
		return remote_fail("cannot set the message timeout", err, &m);
	printf("Message timeout set to %s.\n",
	    str_format_duration_ns(ns, text));
	return 0;
}

static int
run(const struct conf *c, void *context)
{
	if (timeout_of(c) == 0)
		return cli_usage(c, "\"%.64s\" is not a duration such as 3h, "
		    "90m or 1h30m", conf_args(c, NULL)[0]);
	return remote_run(c, body);
}

static const struct conf_option *const tables[] = {
	remote_options, remote_trace_options, NULL
};

const struct conf_command cli_set_message_timeout = {
	.words = "set message timeout", .args = "DURATION", .min_args = 1,
	.max_args = 1, .tables = tables, .run = run,
	.summary = "Set how long a task may be without a message.",
	.help = "After that time its shard is synchronized again. Before a "
	"planned outage that is longer, set it in both datacenters, and back "
	"to 1h afterwards."
};
