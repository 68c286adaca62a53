/* get_message_timeout.c - arangosync get message timeout */
#include "base/str.h"
#include "cli/remote.h"
#include "json/get.h"

static int
body(struct remote *r, const struct conf *c)
{
	struct json_object	*o;
	struct err_msg		 m = { "" };
	char			 text[STR_NUMBER_SIZE];
	int64_t			 ns;
	int			 err;

	if ((err = remote_get(r, "/_api/message-timeout", &o, &m)) == 0) {
		err = json_need_int(o, "messageTimeout", 0, INT64_MAX, &ns,
		    &m);
		if (err == 0 && conf_bool(c, "json"))
			remote_print_json(o);
		else if (err == 0)
			printf("%s\n", str_format_duration_ns(ns, text));
		json_object_put(o);
	}
	return err == 0 ? 0 :
	    remote_fail("cannot get the message timeout", err, &m);
}

static int
run(const struct conf *c, void *context)
{
	return remote_run(c, body);
}

static const struct conf_option *const tables[] = {
	remote_options, remote_trace_options, remote_json_options, NULL
};

const struct conf_command cli_get_message_timeout = {
	.words = "get message timeout", .tables = tables, .run = run,
	.summary = "Print how long a task may be without a message."
};
