/* queue_info.h - what the queue commands share: rows and JSON of a channel */
#ifndef CLI_QUEUE_INFO_H
#define CLI_QUEUE_INFO_H

#include <json-c/json_object.h>

#include "cli/cli.h"
#include "queue/check.h"

struct queue_out {
	const struct conf	*conf;
	struct cli_table	*table;		/* NULL with --json */
	struct json_object	*list;		/* NULL without */
	int			 full;		/* counts of a full check */
	uint64_t		 damaged;	/* channels */
};

extern const struct conf_option	queue_json_options[];

void	queue_out_start(struct queue_out *o, const struct conf *c, int full);
/* For queue_list() and queue_check(); arg is the struct queue_out. */
int	queue_out_add(const struct queue_info *info, void *arg);
/* Print what was added, or why that failed; frees it.  Exit code. */
int	queue_out_finish(struct queue_out *o, int err,
	    const struct err_msg *m);

/* DIR and CHANNEL of the command line; NULL without. */
const char *queue_arg_dir(const struct conf *c);
const char *queue_arg_channel(const struct conf *c);

#endif
