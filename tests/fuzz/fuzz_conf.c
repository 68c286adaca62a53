/*
 * fuzz_conf.c - configuration file and command line.
 *
 * The first byte chooses: even: the rest is a file; odd: it is a command
 * line, words apart by newlines.  What was taken is printed as a file, which
 * has to be taken again and give the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_WORDS	64

static const char *const	 words[] = { "one", "two", NULL };

static const struct conf_option	 options[] = {
	{ .name = "dir", .letter = 'd', .type = CONF_STRING },
	{ .name = "keyfile", .type = CONF_STRING, .flags = CONF_FILE_PATH },
	{ .name = "port", .letter = 'p', .type = CONF_INT, .min = 1,
	  .max = 65535, .def = "8529" },
	{ .name = "number", .type = CONF_INT },
	{ .name = "verbose", .letter = 'v', .type = CONF_BOOL },
	{ .name = "word", .type = CONF_ENUM, .choices = words },
	{ .name = "timeout", .type = CONF_DURATION },
	{ .name = "quota", .type = CONF_BYTES },
	{ .name = "host", .type = CONF_LIST },
	{ .name = "endpoint", .type = CONF_ENDPOINT },
	{ .name = "endpoints", .alias = "end.points",
	  .type = CONF_ENDPOINT_LIST },
	{ .name = NULL }
};
static const struct conf_option *const	 tables[] = { options, NULL };

static const struct conf_command	 commands[] = {
	{ .words = "", .tables = tables },
	{ .words = "get status", .tables = tables },
	{ .words = "set message timeout", .min_args = 1, .max_args = 1 },
	{ .words = NULL }
};
static const struct conf_program	 program = {
	.name = "fuzz", .commands = commands
};

static void
check_list(const struct conf *c, const struct conf *d, const char *name)
{
	const char *const	*a, *const *b;
	size_t			 n, m;

	a = conf_list(c, name, &n);
	b = conf_list(d, name, &m);
	if (n != m)
		abort();
	for (; *a != NULL; a++, b++)
		if (strcmp(*a, *b) != 0)
			abort();
}

/* Printed and read again, everything must be as it was. */
static void
check_effective(const struct conf *c)
{
	struct conf	*again = conf_new(tables);
	struct buf	 a = BUF_INIT;
	struct err_msg	 m;

	conf_print_effective(&a, c);
	if (conf_parse_text(again, "again", (const char *)a.data, a.len,
	    &m) != 0)
		abort();
	if (conf_int(c, "port") != conf_int(again, "port") ||
	    conf_int(c, "number") != conf_int(again, "number") ||
	    conf_bool(c, "verbose") != conf_bool(again, "verbose") ||
	    conf_enum(c, "word") != conf_enum(again, "word") ||
	    conf_duration_ms(c, "timeout") !=
	    conf_duration_ms(again, "timeout") ||
	    conf_bytes(c, "quota") != conf_bytes(again, "quota"))
		abort();
	if ((conf_string(c, "dir") == NULL) !=
	    (conf_string(again, "dir") == NULL) ||
	    (conf_string(c, "dir") != NULL && strcmp(conf_string(c, "dir"),
	    conf_string(again, "dir")) != 0))
		abort();
	check_list(c, again, "host");
	check_list(c, again, "endpoints");
	buf_free(&a);
	conf_free(&again);
}

static void
fuzz_file(const uint8_t *data, size_t size)
{
	struct conf	*c = conf_new_command(&program, &commands[0]);
	struct err_msg	 m = { "" };

	if (conf_parse_text(c, "x.conf", (const char *)data, size, &m) == 0)
		check_effective(c);
	else if (m.text[0] == '\0')
		abort();
	conf_free(&c);
}

static void
fuzz_args(const uint8_t *data, size_t size)
{
	const struct conf_command	*cmd;
	struct conf			*c;
	struct err_msg			 m = { "" };
	char				*text = xstrndup((const char *)data,
					    size), *s = text;
	char				*argv[MAX_WORDS], **rest;
	int				 argc = 0, n;

	while (s != NULL && argc < MAX_WORDS)
		argv[argc++] = strsep(&s, "\n");
	if (conf_find_command(&program, argc, argv, &cmd, &rest, &n,
	    &m) == 0) {
		if (n > argc)
			abort();
		c = conf_new_command(&program, cmd);
		if (conf_parse_args(c, n, rest, &m) != 0) {
			if (m.text[0] == '\0')
				abort();
		} else if (cmd->tables != NULL)
			check_effective(c);
		conf_free(&c);
		free(rest);
	} else if (m.text[0] == '\0')
		abort();
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] % 2 == 0)
		fuzz_file(data + 1, size - 1);
	else
		fuzz_args(data + 1, size - 1);
	return 0;
}
