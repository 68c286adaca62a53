/* queue_list.c - arangosync queue list */
#include "cli/queue_info.h"

static int
run(const struct conf *c, void *context)
{
	struct queue_out	 o;
	struct err_msg		 m = { "" };
	int			 err;

	queue_out_start(&o, c, 0);
	err = queue_list(queue_arg_dir(c), queue_arg_channel(c),
	    queue_out_add, &o, &m);
	return queue_out_finish(&o, err, &m);
}

static const struct conf_option *const tables[] = {
	queue_json_options, NULL
};

const struct conf_command cli_queue_list = {
	.words = "queue list", .args = "DIR [CHANNEL]", .min_args = 1,
	.max_args = 2, .tables = tables, .run = run,
	.summary = "Print the queues in a data directory.",
	.help = "Reads the headers and the last segment of each; they may be "
	"in use. Exits with 1 if one of them is damaged."
};
