/* cmd_status.c - status and stop of a whole cluster */
#include <stdio.h>
#include <stdlib.h>

#include "conf/conf.h"
#include "ipc/messages.h"
#include "json/get.h"
#include "sandbox/cmd.h"

#define STATUS_MS	10000
#define STOP_MS		60000

static void
print_table(struct json_object *cluster)
{
	struct json_object	*list = json_at(cluster, "servers"), *o;
	const char		*pid;
	size_t			 i;

	printf("%-14s %-7s %-8s %-26s %s\n", "SERVER", "STATE", "PID",
	    "ENDPOINT", "ID");
	for (i = 0; i < json_object_array_length(list); i++) {
		o = json_object_array_get_idx(list, i);
		pid = json_at(o, "pid") == NULL ? "-" :
		    json_object_get_string(json_at(o, "pid"));
		printf("%-14s %-7s %-8s %-26s %s\n",
		    json_string_or(o, "name", "?"),
		    json_string_or(o, "state", "?"), pid,
		    json_string_or(o, "endpoint", "?"),
		    json_string_or(o, "id", "?"));
	}
}

static void
print_status(const struct conf *c, struct json_object *cluster)
{
	char	*text;

	if (conf_bool(c, "json")) {
		text = json_to_text(cluster);
		printf("%s\n", text);
		free(text);
	} else
		print_table(cluster);
}

/* Nobody supervises: whatever the file says last, nothing runs. */
static int
status_of_stopped(const struct conf *c, const char *dir)
{
	struct json_object	*cluster = cmd_cluster(dir), *list, *o;
	size_t			 i;

	if (cluster == NULL)
		return 1;
	list = json_at(cluster, "servers");
	for (i = 0; i < json_object_array_length(list); i++) {
		o = json_object_array_get_idx(list, i);
		json_set_string(o, "state", "down");
		json_set(o, "pid", NULL);
	}
	print_status(c, cluster);
	json_object_put(cluster);
	return 1;
}

int
cmd_status(const struct conf *c, void *context)
{
	const char		*dir = conf_string(c, "dir");
	struct json_object	*cluster = NULL;
	struct err_msg		 m = { "" };
	struct buf		 empty = BUF_INIT, json = BUF_INIT;
	char			*text = NULL;
	int			 r, code = 1;

	r = cmd_ask(dir, MSG_CMD_STATUS_REQ, &empty, STATUS_MS, 0, &code,
	    &text);
	if (r == ERR_NOT_FOUND)
		return status_of_stopped(c, dir);
	if (r == 0) {
		buf_append_str(&json, text);
		r = json_parse(text, json.len, &cluster, &m);
	}
	if (r != 0) {
		cmd_complain("the supervisor in %s: %s", dir,
		    m.text[0] != '\0' ? m.text : err_text(r));
		code = 1;
	} else
		print_status(c, cluster);
	json_object_put(cluster);
	buf_free(&json);
	free(text);
	return code;
}

int
cmd_stop(const struct conf *c, void *context)
{
	const char		*dir = conf_string(c, "dir");
	struct json_object	*cluster;
	struct buf		 empty = BUF_INIT;
	char			*text = NULL;
	int			 r, code = 1;

	r = cmd_ask(dir, MSG_CMD_STOP_REQ, &empty, STOP_MS, 1, &code, &text);
	if (r == ERR_NOT_FOUND) {
		/* Stopped already; but then it must have been one. */
		if ((cluster = cmd_cluster(dir)) == NULL)
			return 1;
		json_object_put(cluster);
		return 0;
	}
	if (r == ERR_CLOSED)
		cmd_complain("the supervisor in %s ended without an answer",
		    dir);
	else if (r != 0)
		cmd_complain("the cluster in %s did not stop: %s", dir,
		    err_text(r));
	else if (code != 0)
		cmd_complain("%s", text);
	free(text);
	return r != 0 ? 1 : code;
}
