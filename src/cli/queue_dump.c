/* queue_dump.c - arangosync queue dump */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/queue_info.h"
#include "sync/channel.h"

/* Without CHANNEL: the only one there is. */
struct pick {
	char	*name;
	size_t	 n;
};

static int
on_channel(const struct queue_info *info, void *arg)
{
	struct pick	*p = arg;

	if (p->n++ == 0)
		p->name = xstrdup(info->name);
	return 0;
}

/* What send puts in front of the lines. */
static size_t
head_of(const uint8_t *payload, size_t len)
{
	struct channel_record	 r;

	return channel_stored_get(payload, len, &r) == 0 ? len - r.len : 0;
}

static int
dump(const struct conf *c, const char *channel)
{
	struct queue_dump_opts	 o = { 0 };
	struct err_msg		 m = { "" };
	int			 err;

	o.format = conf_bool(c, "json") ? QUEUE_DUMP_JSON : QUEUE_DUMP_TEXT;
	o.with_payload = conf_bool(c, "payload");
	o.head = head_of;
	o.from_offset = (uint64_t)conf_int(c, "offset");
	o.tick_after = (uint64_t)conf_int(c, "after-tick");
	o.limit = (uint64_t)conf_int(c, "limit");
	if ((err = queue_dump(queue_arg_dir(c), channel, &o, stdout,
	    &m)) == 0)
		return 0;
	cli_make_safe(m.text);
	return cli_fail("%s", m.text[0] != '\0' ? m.text : err_text(err));
}

static int
run(const struct conf *c, void *context)
{
	struct pick	 p = { NULL, 0 };
	struct err_msg	 m = { "" };
	int		 code;

	if (queue_list(queue_arg_dir(c), queue_arg_channel(c), on_channel,
	    &p, &m) != 0)
		code = cli_fail("%s", m.text);
	else if (p.n == 1)
		code = dump(c, p.name);
	else if (p.n == 0)
		code = cli_fail("there are no queues in %s",
		    queue_arg_dir(c));
	else
		code = cli_fail("there are %zu queues in %s; name one, as "
		    "\"arangosync queue list\" does", p.n,
		    queue_arg_dir(c));
	free(p.name);
	return code;
}

static const struct conf_option options[] = {
	{ .name = "payload", .type = CONF_BOOL, .flags = CONF_NO_FILE,
	  .help = "Print the lines of the records as well: documents, "
	  "password hashes included." },
	{ .name = "offset", .type = CONF_INT, .arg = "N", .def = "0",
	  .flags = CONF_NO_FILE, .min = 0, .max = INT64_MAX,
	  .help = "Begin with the record at this offset." },
	{ .name = "after-tick", .type = CONF_INT, .arg = "TICK", .def = "0",
	  .flags = CONF_NO_FILE, .min = 0, .max = INT64_MAX,
	  .help = "Leave out records up to this tick." },
	{ .name = "limit", .type = CONF_INT, .arg = "N", .def = "0",
	  .flags = CONF_NO_FILE, .min = 0, .max = INT64_MAX,
	  .help = "Print at most so many records; 0 is no limit." },
	{ .name = NULL }
};
static const struct conf_option *const tables[] = {
	options, queue_json_options, NULL
};

const struct conf_command cli_queue_dump = {
	.words = "queue dump", .args = "DIR [CHANNEL]", .min_args = 1,
	.max_args = 2, .tables = tables, .run = run,
	.summary = "Print the records of a queue.",
	.help = "CHANNEL is needed when there are several queues in DIR. With "
	"--json every record is an object on a line. Exits with 1 if "
	"something is damaged."
};
