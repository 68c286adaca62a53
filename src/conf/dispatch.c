/* dispatch.c - from argc and argv to the function of a command */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_priv.h"

static int
usage_error(const struct conf_program *p, const struct conf_command *cmd,
    const struct err_msg *m)
{
	int	 words = cmd != NULL && *cmd->words != '\0';

	fprintf(stderr, "%s: %s\nTry \"%s%s%s --help\".\n", p->name, m->text,
	    p->name, words ? " " : "", words ? cmd->words : "");
	return CONF_EXIT_USAGE;
}

/* A closed or full standard output is a failure, not a success. */
static int
print_and_free(struct buf *b)
{
	size_t	 n = fwrite(b->data, 1, b->len, stdout);
	int	 bad = n != b->len || fflush(stdout) != 0;

	buf_free(b);
	return bad ? CONF_EXIT_FAILED : 0;
}

static int
print_help(const struct conf_program *p, const struct conf_command *cmd)
{
	struct buf	 b = BUF_INIT;

	/* The command without words is what the program is: show it all. */
	if (cmd != NULL && *cmd->words == '\0')
		cmd = NULL;
	conf_print_help(&b, p, cmd);
	return print_and_free(&b);
}

static int
print_version(const struct conf_program *p)
{
	struct buf	 b = BUF_INIT;

	buf_printf(&b, "%s\n", p->version);
	return print_and_free(&b);
}

/* Is the flag there?  For when the command is not known. */
static int
has_flag(int argc, char *const *argv, const char *flag)
{
	int	 i;

	for (i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], flag) == 0)
			return 1;
	return 0;
}

static int
check_args(const struct conf *c, struct err_msg *m)
{
	const struct conf_command	*cmd = c->cmd;
	size_t				 n;
	const char *const		*args = conf_args(c, &n);

	if (n < (size_t)cmd->min_args)
		return err_set(m, ERR_USAGE, "%s%sexpected %s", cmd->words,
		    *cmd->words == '\0' ? "" : ": ",
		    cmd->args == NULL ? "more arguments" : cmd->args);
	if (cmd->max_args >= 0 && n > (size_t)cmd->max_args)
		return err_set(m, ERR_USAGE,
		    "unexpected argument \"%.64s\"", args[cmd->max_args]);
	return 0;
}

static int
read_file(struct conf *c, struct err_msg *m)
{
	const char	*option = c->program->file_option, *path;
	int		 r;

	if (option == NULL || !conf_has(c, option) ||
	    (path = conf_string(c, option)) == NULL || *path == '\0')
		return 0;
	r = conf_parse_file(c, path, m);
	/* Nobody asked for the file at the default place. */
	return r == -ENOENT && !conf_is_set(c, option) ? 0 : r;
}

static int
run_command(const struct conf_program *p, struct conf *c, int n, char **args,
    void *context)
{
	struct err_msg	 m;

	if (conf_parse_args(c, n, args, &m) != 0)
		return usage_error(p, c->cmd, &m);
	if (conf_bool(c, "help"))
		return print_help(p, c->cmd);
	if (conf_bool(c, "version"))
		return print_version(p);
	if (check_args(c, &m) != 0)
		return usage_error(p, c->cmd, &m);
	if (read_file(c, &m) != 0) {
		fprintf(stderr, "%s: %s\n", p->name, m.text);
		return CONF_EXIT_FAILED;
	}
	if (conf_check_required(c, &m) != 0)
		return usage_error(p, c->cmd, &m);
	return c->cmd->run(c, context);
}

/* "program help kill" is "program kill --help". */
static char **
expand_help(int argc, char **argv)
{
	static char	 flag[] = "--help";
	char		**v;

	v = xcalloc((size_t)argc + 1, sizeof(*v));
	memcpy(v, argv, (size_t)argc * sizeof(*v));
	if (argc >= 1 && strcmp(argv[0], "help") == 0) {
		memmove(v, v + 1, ((size_t)argc - 1) * sizeof(*v));
		v[argc - 1] = flag;
	}
	return v;
}

int
conf_main(const struct conf_program *p, int argc, char **argv, void *context)
{
	const struct conf_command	*cmd;
	struct conf			*c;
	struct err_msg			 m;
	char				**all, **rest = NULL;
	int				 n, r;

	argc = argc > 0 ? argc - 1 : 0;
	all = expand_help(argc, argv + 1);
	if (conf_find_command(p, argc, all, &cmd, &rest, &n, &m) != 0) {
		if (has_flag(argc, all, "--help") || has_flag(argc, all, "-h"))
			r = print_help(p, NULL);
		else if (has_flag(argc, all, "--version"))
			r = print_version(p);
		else
			r = usage_error(p, NULL, &m);
		free(all);
		return r;
	}
	c = conf_new_command(p, cmd);
	r = run_command(p, c, n, rest, context);
	conf_free(&c);
	free(rest);
	free(all);
	return r;
}
