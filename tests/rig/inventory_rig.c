/*
 * inventory_rig.c - both ends of the inventory without the daemon around them:
 * makes the structure of one cluster that of another.
 *
 *	inventory-rig SOURCE TARGET [first] [mass] [secret FILE] [pin ID]
 *
 * Each line of standard output is "source", "target" or "pairs" and JSON: a
 * status that has changed, or what control would be told.  Ends with standard
 * input; SIGUSR1 cuts the way between both, and SIGUSR2 mends it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "arango/conn.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "ev/loop.h"
#include "inventory/inventory_priv.h"
#include "json/get.h"

static struct loop		*loop;
static struct inv_source	*source;
static struct inv_target	*target;
static bool			 cut;

static void
say(const char *who, struct json_object *o)
{
	static char	*last[2];
	char		*text = json_to_text(o), **l;

	l = &last[strcmp(who, "target") == 0];
	json_object_put(o);
	if (*l != NULL && strcmp(*l, text) == 0) {
		free(text);
		return;
	}
	free(*l);
	*l = text;
	printf("%s %s\n", who, text);
	fflush(stdout);
}

static void
source_status(void *arg, struct json_object *o)
{
	(void)arg;
	say("source", o);
}

static void
target_status(void *arg, struct json_object *o)
{
	(void)arg;
	say("target", o);
}

static void
publish(void *arg, uint64_t version, const char *text, size_t len)
{
	(void)arg;
	(void)version;
	if (!cut)
		inv_target_source(target, text, len);
}

static void
pairs(void *arg, const char *text, size_t len)
{
	(void)arg;
	printf("pairs %.*s\n", (int)len, text);
	fflush(stdout);
}

static const struct inv_source_ops	 source_ops = {
	.publish = publish, .status = source_status
};
static const struct inv_target_ops	 target_ops = {
	.pairs = pairs, .status = target_status
};

static void
on_signal(void *arg, int signo)
{
	(void)arg;
	cut = signo == SIGUSR1;
	if (!cut)
		inv_source_repeat(source);
}

static void
on_input(void *arg, int ready)
{
	char	 c[64];

	(void)arg;
	(void)ready;
	if (read(STDIN_FILENO, c, sizeof(c)) <= 0)
		loop_stop(loop);
}

static struct arango *
cluster(const char *name, const char *url, const char *secret)
{
	struct arango_opts	 o = ARANGO_OPTS_INIT;
	const char		*urls[] = { url, NULL };
	struct arango		*a;
	struct err_msg		 m;

	o.name = name;
	o.endpoints = urls;
	o.jwt_secret_file = secret;
	if (arango_new(loop, &o, &a, &m) != 0)
		fatal("%s", m.text);
	return a;
}

int
main(int argc, char **argv)
{
	static struct arango_cancel	 cancel[2];
	struct inventory_conf		 conf = { .is_target = true };
	const char			*secret = NULL;
	int				 i;

	if (argc < 3)
		fatal("usage: inventory-rig SOURCE TARGET [word...]");
	for (i = 3; i < argc; i++) {
		if (strcmp(argv[i], "first") == 0)
			conf.first = true;
		else if (strcmp(argv[i], "mass") == 0)
			conf.allow_mass_drop = true;
		else if (strcmp(argv[i], "secret") == 0 && i + 1 < argc)
			secret = argv[++i];
		else if (strcmp(argv[i], "pin") == 0 && i + 1 < argc)
			(void)str_copy(conf.source, sizeof(conf.source),
			    argv[++i]);
		else
			fatal("unknown word %s", argv[i]);
	}
	log_set_level(LOG_LEVEL_INFO);
	loop = loop_new();
	(void)loop_signal_new(loop, SIGUSR1, on_signal, NULL);
	(void)loop_signal_new(loop, SIGUSR2, on_signal, NULL);
	(void)loop_fd_new(loop, STDIN_FILENO, LOOP_READ, on_input, NULL);
	target = inv_target_new(cluster("target", argv[2], secret), &cancel[0],
	    &conf, &target_ops, NULL);
	source = inv_source_new(cluster("source", argv[1], secret), &cancel[1],
	    &source_ops, NULL);
	(void)loop_run(loop);
	/* Both are in the midst of something: the process ends it. */
	_exit(0);
}
