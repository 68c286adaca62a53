/* queue_check.c - arangosync queue check */
#include <stdlib.h>

#include "cli/queue_info.h"

static void
on_problem(const char *sentence, void *arg)
{
	char	*s = xstrdup(sentence);

	cli_make_safe(s);
	cli_complain("%s", s);
	free(s);
}

static int
run(const struct conf *c, void *context)
{
	struct queue_out	 o;
	struct err_msg		 m = { "" };
	int			 err;

	queue_out_start(&o, c, 1);
	err = queue_check(queue_arg_dir(c), queue_arg_channel(c),
	    queue_out_add, on_problem, &o, &m);
	return queue_out_finish(&o, err, &m);
}

static const struct conf_option *const tables[] = {
	queue_json_options, NULL
};

const struct conf_command cli_queue_check = {
	.words = "queue check", .args = "DIR [CHANNEL]", .min_args = 1,
	.max_args = 2, .tables = tables, .run = run,
	.summary = "Read queues byte by byte and print what is damaged.",
	.help = "Changes nothing; the queues may be in use. A torn end is no "
	"damage: it is what a power cut leaves, and it is cut off at the next "
	"start. Exits with 1 if something is damaged."
};
