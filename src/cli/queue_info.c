/* queue_info.c - channels of a queue directory as a table or as JSON */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/queue_info.h"
#include "cli/remote.h"
#include "json/get.h"

static const char *const	heads[] = {
	"Channel", "Collection", "Shard", "DB-server", "Epoch", "Segments",
	"Bytes", "Last tick", "State", NULL
};
static const char *const	full_heads[] = {
	"Channel", "Collection", "Shard", "DB-server", "Epoch", "Segments",
	"Bytes", "Last tick", "Records", "Operations", "State", NULL
};

const struct conf_option	queue_json_options[] = {
	{ .name = "json", .type = CONF_BOOL, .flags = CONF_NO_FILE,
	  .help = "Print JSON, for programs." },
	{ .name = NULL }
};

const char *
queue_arg_dir(const struct conf *c)
{
	return conf_args(c, NULL)[0];
}

const char *
queue_arg_channel(const struct conf *c)
{
	return conf_args(c, NULL)[1];
}

void
queue_out_start(struct queue_out *o, const struct conf *c, int full)
{
	memset(o, 0, sizeof(*o));
	o->conf = c;
	o->full = full;
	if (conf_bool(c, "json"))
		o->list = json_object_new_array();
	else
		o->table = cli_table_new(full ? full_heads : heads);
}

static void
add_number(struct cli_table *t, uint64_t n)
{
	cli_table_addf(t, "%llu", (unsigned long long)n);
}

static void
add_state(struct cli_table *t, const struct queue_info *q)
{
	if (q->condition == QUEUE_COND_TORN)
		cli_table_addf(t, "torn, %llu bytes%s",
		    (unsigned long long)q->torn_bytes,
		    q->locked ? ", in use" : "");
	else
		cli_table_addf(t, "%s%s", queue_condition_name(q->condition),
		    q->locked ? ", in use" : "");
}

static void
add_row(struct queue_out *o, const struct queue_info *q)
{
	struct cli_table	*t = o->table;

	cli_table_add(t, q->name);
	cli_table_addf(t, "%s/%s", q->channel.database,
	    q->channel.collection);
	add_number(t, q->channel.shard);
	cli_table_add(t, q->channel.server);
	add_number(t, q->epoch);
	add_number(t, q->segments);
	add_number(t, q->bytes);
	add_number(t, q->mark_last.tick);
	if (o->full) {
		add_number(t, q->records);
		add_number(t, q->ops);
	}
	add_state(t, q);
}

/* Ticks and ids are strings, as ArangoDB has them. */
static void
set_id(struct json_object *e, const char *name, uint64_t n)
{
	char	 text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	json_set_string(e, name, text);
}

static struct json_object *
make_json(const struct queue_out *o, const struct queue_info *q)
{
	struct json_object	*e = json_object_new_object();
	char			 text[CLOCK_TEXT_SIZE];

	json_set_string(e, "channel", q->name);
	json_set_string(e, "path", q->path);
	json_set_string(e, "cluster", q->channel.cluster);
	json_set_string(e, "server", q->channel.server);
	json_set_string(e, "database", q->channel.database);
	json_set_string(e, "collection", q->channel.collection);
	set_id(e, "cid", q->channel.cid);
	json_set_uint(e, "shardIndex", q->channel.shard);
	json_set_uint(e, "epoch", q->epoch);
	json_set_uint(e, "segments", q->segments);
	json_set_uint(e, "bytes", q->bytes);
	json_set_uint(e, "offsetFirst", q->offset_first);
	json_set_uint(e, "offsetEnd", q->offset_end);
	set_id(e, "tickFirst", q->mark_first.tick);
	set_id(e, "tickLast", q->mark_last.tick);
	json_set_uint(e, "rebootId", q->mark_last.reboot_id);
	json_set_string(e, "created", clock_format_us(q->created_us, text));
	if (o->full) {
		json_set_uint(e, "records", q->records);
		json_set_uint(e, "operations", q->ops);
		json_set_uint(e, "rawBytes", q->raw_bytes);
		json_set_uint(e, "storedBytes", q->stored_bytes);
	}
	json_set_string(e, "state", queue_condition_name(q->condition));
	json_set_bool(e, "inUse", q->locked);
	json_set_uint(e, "tornBytes", q->torn_bytes);
	json_set_uint(e, "problems", q->problems);
	if (q->problems > 0)
		json_set_string(e, "problem", q->problem.text);
	return e;
}

int
queue_out_add(const struct queue_info *q, void *arg)
{
	struct queue_out	*o = arg;

	if (q->condition == QUEUE_COND_DAMAGED)
		o->damaged++;
	if (o->list != NULL)
		json_object_array_add(o->list, make_json(o, q));
	else
		add_row(o, q);
	/* A full check has told of each as it was found. */
	if (q->condition == QUEUE_COND_DAMAGED && !o->full)
		cli_complain("%s", q->problem.text);
	return 0;
}

int
queue_out_finish(struct queue_out *o, int err, const struct err_msg *m)
{
	if (o->list != NULL)
		remote_print_json(o->list);
	else if (cli_table_rows(o->table) > 0)
		cli_table_print(o->table, 0, stdout);
	else if (err == 0)
		printf("There are no queues in %s.\n",
		    queue_arg_dir(o->conf));
	json_object_put(o->list);
	cli_table_free(&o->table);
	if (err != 0)
		return cli_fail("%s", m->text);
	return o->damaged > 0 ? CONF_EXIT_FAILED : 0;
}
