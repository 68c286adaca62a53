/* get_status.c - arangosync get status */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "cli/remote.h"
#include "cli/syncinfo.h"
#include "json/get.h"

#define NS_PER_MS	1000000

/* A delay to the millisecond; "-" for none. */
static const char *
delay_text(int64_t ns, char text[STR_NUMBER_SIZE])
{
	if (ns == 0)
		return "-";
	if (ns >= NS_PER_MS)
		ns -= ns % NS_PER_MS;
	return str_format_duration_ns(ns, text);
}

/* To the second, in UTC; "-" for never (year 1) and for what is no time. */
static const char *
time_text(const char *rfc3339, char text[CLOCK_TEXT_SIZE])
{
	uint64_t	 us;

	if (clock_parse(rfc3339, &us) != 0)
		return "-";
	return clock_format_s(us, text);
}

/* Benches look for a head line with these words in this order. */
static const char *const	heads[] = {
	"Database", "Collection", "Shard", "Status", "Delay Duration",
	"Last message", "Last data change", "In sync", "Message", NULL
};

static void
print_shards(const struct sync_side *s, int verbose)
{
	struct cli_table	*t;
	const struct sync_shard	*shard;
	char			 delay[STR_NUMBER_SIZE], a[CLOCK_TEXT_SIZE],
				 b[CLOCK_TEXT_SIZE];
	size_t			 i;

	if (!verbose || s->n_shards == 0)
		return;
	t = cli_table_new(heads);
	for (i = 0; i < s->n_shards; i++) {
		shard = &s->shards[i];
		cli_table_add(t, shard->database);
		cli_table_add(t, shard->collection);
		cli_table_addf(t, "%lld", (long long)shard->index);
		cli_table_add(t, shard->status_text);
		cli_table_add(t, delay_text(shard->delay_ns, delay));
		cli_table_add(t, time_text(shard->last_message, a));
		cli_table_add(t, time_text(shard->last_data_change, b));
		cli_table_add(t, shard->in_sync ? "yes" : "no");
		cli_table_add(t, shard->message);
	}
	putchar('\n');
	cli_table_print(t, 2, stdout);
	cli_table_free(&t);
}

static void
print_safe(const char *label, const char *text)
{
	char	*s = xstrdup(*text == '\0' ? "-" : text);

	cli_make_safe(s);
	printf("  %-10s%s\n", label, s);
	free(s);
}

static void
print_side(const struct sync_side *s)
{
	char		 delay[STR_NUMBER_SIZE];
	char		*title;
	int		 i;

	title = s->incoming ? xstrdup("Incoming") :
	    xasprintf("Outgoing to %s", s->id);
	cli_make_safe(title);
	printf("\n%s\n", title);
	free(title);
	print_safe("Status:", s->status_text);
	print_safe(s->incoming ? "Source:" : "Target:", s->endpoints);
	if (s->total > 0) {
		printf("  %-10s%llu of %llu running", "Shards:",
		    (unsigned long long)s->by_status[SYNC_RUNNING],
		    (unsigned long long)s->total);
		for (i = 0; i < SYNC_STATUS_COUNT; i++)
			if (i != SYNC_RUNNING && s->by_status[i] > 0)
				printf(", %llu %s",
				    (unsigned long long)s->by_status[i],
				    sync_status_name((enum sync_status)i));
		printf("\n  %-10s%s%s\n", "Delay:",
		    delay_text(s->max_delay_ns, delay),
		    s->max_delay_ns != 0 ? " at most" : "");
	}
	if (s->active_barrier)
		print_safe("Barrier:", "active; the source is read-only");
}

/*
 * Ours, beside the original's: what goes wrong for the whole, and what of the
 * structure the target cannot take.
 */
static void
print_x(struct json_object *root, int verbose)
{
	const char		*why = json_string_or(root, "x.message", "");
	struct json_object	*notes = json_at(root, "x.notes");
	size_t			 i, n = 0;

	if (*why != '\0')
		print_safe("Message:", why);
	if (json_object_is_type(notes, json_type_array))
		n = json_object_array_length(notes);
	if (n > 0 && !verbose)
		printf("  %-10s%zu, shown with --verbose\n", "Notes:", n);
	for (i = 0; i < n && verbose; i++)
		print_safe(i == 0 ? "Notes:" : "", json_object_get_string(
		    json_object_array_get_idx(notes, i)));
}

static void
print_info(const struct sync_info *info, int verbose)
{
	struct buf	 line = BUF_INIT;
	size_t		 i;

	sync_info_headline(info, &line);
	cli_make_safe(buf_cstr(&line));
	printf("%s\n", buf_cstr(&line));
	buf_free(&line);
	if (info->n_out == 0 || info->in.status != SYNC_INACTIVE ||
	    !sync_side_is_over(&info->in)) {
		print_side(&info->in);
		print_x(info->root, verbose);
		print_shards(&info->in, verbose);
	}
	for (i = 0; i < info->n_out; i++) {
		print_side(&info->out[i]);
		print_shards(&info->out[i], verbose);
	}
}

static int
body(struct remote *r, const struct conf *c)
{
	struct sync_info	*info;
	struct err_msg		 m;
	int			 err;

	if ((err = sync_info_get(r, true, &info, &m)) != 0)
		return remote_fail("cannot get the status", err, &m);
	if (conf_bool(c, "json"))
		remote_print_json(info->root);
	else
		print_info(info, conf_bool(c, "verbose"));
	sync_info_free(&info);
	return 0;
}

static int
run(const struct conf *c, void *context)
{
	return remote_run(c, body);
}

static const struct conf_option *const tables[] = {
	remote_options, remote_verbose_options, remote_json_options, NULL
};

const struct conf_command cli_get_status = {
	.words = "get status", .tables = tables, .run = run,
	.summary = "Print the state of incoming and outgoing synchronization.",
	.help = "The first line says that all shards are running, or what is "
	"wrong and what to do. With --verbose every shard is listed."
};
