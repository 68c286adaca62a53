/* print.c - tables of options as help, manual, configuration file */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_priv.h"

#define COLUMNS		80
#define FLAG_INDENT	2
#define HELP_COLUMN	30

static void
spaces(struct buf *out, size_t n)
{
	while (n-- > 0)
		buf_append_u8(out, ' ');
}

void
conf_print_wrapped(struct buf *out, size_t col, size_t indent, const char *s)
{
	size_t	 len, at = col;

	while (*(s += strspn(s, " \n")) != '\0') {
		len = strcspn(s, " \n");
		/* A word longer than the line stays in one piece. */
		if (at > indent && at + 1 + len > COLUMNS) {
			buf_append_u8(out, '\n');
			at = 0;
		}
		if (at < indent) {
			spaces(out, indent - at);
			at = indent;
		} else if (at > indent) {
			buf_append_u8(out, ' ');
			at++;
		}
		buf_append(out, s, len);
		at += len;
		s += len;
	}
	buf_append_u8(out, '\n');
}

static int
is_hidden(const struct conf_option *o)
{
	return (o->flags & CONF_HIDDEN) != 0;
}

/* "--dir DIR", "-v, --verbose", "--port N"; man: with fonts. */
static void
flag_text(struct buf *out, const struct conf_option *o)
{
	const char	*arg = conf_arg_name(o);

	if (o->letter != 0)
		buf_printf(out, "-%c, ", o->letter);
	buf_printf(out, "--%s", o->name);
	if (arg != NULL)
		buf_printf(out, " %s", arg);
}

static void
append_choices(struct buf *out, const struct conf_option *o)
{
	int	 i;

	buf_append_str(out, " One of");
	for (i = 0; o->choices[i] != NULL; i++)
		buf_printf(out, "%s %s", i == 0 ? "" :
		    o->choices[i + 1] == NULL ? " and" : ",", o->choices[i]);
	buf_append_u8(out, '.');
}

static void
append_range(struct buf *out, const struct conf_option *o)
{
	char	 lo[STR_NUMBER_SIZE], hi[STR_NUMBER_SIZE];

	if (o->min == 0 && o->max == 0)
		return;
	switch (o->type) {
	case CONF_INT:
		buf_printf(out, " From %lld to %lld.", (long long)o->min,
		    (long long)o->max);
		break;
	case CONF_DURATION:
		buf_printf(out, " From %s to %s.",
		    str_format_duration_ns(o->min * 1000000, lo),
		    str_format_duration_ns(o->max * 1000000, hi));
		break;
	case CONF_BYTES:
		buf_printf(out, " From %s to %s.",
		    str_format_bytes((uint64_t)o->min, lo),
		    str_format_bytes((uint64_t)o->max, hi));
		break;
	default:
		break;
	}
}

/* The sentences of an option, with what the table knows behind them. */
static void
option_help(struct buf *out, const struct conf_option *o)
{
	buf_append_str(out, o->help == NULL ? "" : o->help);
	if (o->unit != NULL)
		buf_printf(out, " In %s.", o->unit);
	if (o->type == CONF_ENUM)
		append_choices(out, o);
	append_range(out, o);
	if (conf_is_list(o))
		buf_append_str(out, " May be given several times.");
	if (o->flags & CONF_REQUIRED)
		buf_append_str(out, " Required.");
	else if (o->def != NULL && *o->def != '\0' &&
	    !(o->flags & CONF_SECRET) &&
	    !(o->type == CONF_BOOL && strcmp(o->def, "false") == 0))
		buf_printf(out, " Default: %s.", o->def);
}

/* --- help ---------------------------------------------------------------- */

static void
help_option(struct buf *out, const struct conf_option *o)
{
	struct buf	 flag = BUF_INIT, text = BUF_INIT;
	size_t		 col;

	flag_text(&flag, o);
	option_help(&text, o);
	spaces(out, FLAG_INDENT);
	buf_append(out, flag.data, flag.len);
	col = FLAG_INDENT + flag.len;
	if (col + 2 > HELP_COLUMN) {
		buf_append_u8(out, '\n');
		col = 0;
	}
	spaces(out, HELP_COLUMN - col);
	conf_print_wrapped(out, HELP_COLUMN, HELP_COLUMN, buf_cstr(&text));
	buf_free(&flag);
	buf_free(&text);
}

static void
help_options(struct buf *out, const struct conf_option *const *tables)
{
	const struct conf_option	*o;
	const char			*group = NULL, *now = "Options";

	for (; tables != NULL && *tables != NULL; tables++)
		for (o = *tables; o->name != NULL; o++) {
			if (o->group != NULL)
				now = o->group;
			if (is_hidden(o))
				continue;
			if (group == NULL || strcmp(group, now) != 0)
				buf_printf(out, "\n%s:\n", now);
			group = now;
			help_option(out, o);
		}
	buf_append_str(out, group == NULL ? "\nOptions:\n" : "\n");
	for (o = conf_builtin; o->name != NULL; o++)
		help_option(out, o);
}

static int
has_options(const struct conf_command *cmd)
{
	const struct conf_option *const	*t;
	const struct conf_option	*o;

	for (t = cmd->tables; t != NULL && *t != NULL; t++)
		for (o = *t; o->name != NULL; o++)
			if (!is_hidden(o))
				return 1;
	return 0;
}

/* "arangosync-sandbox kill --dir DIR [options] SERVER" */
static void
usage_line(struct buf *out, const struct conf_program *p,
    const struct conf_command *cmd)
{
	const struct conf_option *const	*t;
	const struct conf_option	*o;

	buf_append_str(out, p->name);
	if (*cmd->words != '\0')
		buf_printf(out, " %s", cmd->words);
	for (t = cmd->tables; t != NULL && *t != NULL; t++)
		for (o = *t; o->name != NULL; o++)
			if (o->flags & CONF_REQUIRED && !is_hidden(o))
				buf_printf(out, " --%s %s", o->name,
				    conf_arg_name(o));
	if (has_options(cmd))
		buf_append_str(out, " [options]");
	if (cmd->args != NULL)
		buf_printf(out, " %s", cmd->args);
}

static void
help_command(struct buf *out, const struct conf_program *p,
    const struct conf_command *cmd)
{
	struct buf	 line = BUF_INIT;

	usage_line(&line, p, cmd);
	buf_append_str(out, "Usage: ");
	conf_print_wrapped(out, 7, 7, buf_cstr(&line));
	buf_free(&line);
	buf_append_u8(out, '\n');
	conf_print_wrapped(out, 0, 0, cmd->summary);
	if (cmd->help != NULL) {
		buf_append_u8(out, '\n');
		conf_print_wrapped(out, 0, 0, cmd->help);
	}
	help_options(out, cmd->tables);
}

/* "  move-shard DB COLLECTION INDEX SERVER" and the summary */
static void
help_command_line(struct buf *out, const struct conf_command *cmd)
{
	struct buf	 name = BUF_INIT;
	size_t		 col;

	buf_append_str(&name, cmd->words);
	if (cmd->args != NULL)
		buf_printf(&name, " %s", cmd->args);
	spaces(out, FLAG_INDENT);
	buf_append(out, name.data, name.len);
	col = FLAG_INDENT + name.len;
	buf_free(&name);
	if (col + 2 > HELP_COLUMN) {
		buf_append_u8(out, '\n');
		col = 0;
	}
	spaces(out, HELP_COLUMN - col);
	conf_print_wrapped(out, HELP_COLUMN, HELP_COLUMN, cmd->summary);
}

static void
help_program(struct buf *out, const struct conf_program *p)
{
	const struct conf_command	*cmd, *bare = NULL;
	int				 n = 0;

	for (cmd = p->commands; cmd->words != NULL; cmd++) {
		if (cmd->hidden)
			continue;
		if (*cmd->words == '\0')
			bare = cmd;
		else
			n++;
	}
	if (bare != NULL)
		help_command(out, p, bare);
	else {
		buf_printf(out, "Usage: %s COMMAND [options]\n\n", p->name);
		conf_print_wrapped(out, 0, 0, p->summary);
	}
	if (n > 0) {
		buf_append_str(out, "\nCommands:\n");
		for (cmd = p->commands; cmd->words != NULL; cmd++)
			if (!cmd->hidden && *cmd->words != '\0')
				help_command_line(out, cmd);
		buf_printf(out, "\n\"%s COMMAND --help\" tells more.\n",
		    p->name);
	}
	if (p->exit_text != NULL) {
		buf_append_u8(out, '\n');
		conf_print_wrapped(out, 0, 0, p->exit_text);
	}
}

void
conf_print_help(struct buf *out, const struct conf_program *p,
    const struct conf_command *cmd)
{
	if (cmd == NULL)
		help_program(out, p);
	else
		help_command(out, p, cmd);
}

/* --- manual -------------------------------------------------------------- */

/* Text that roff takes literally; `start` when a line begins with it. */
static void
man_text(struct buf *out, const char *s, int start)
{
	if (start && (*s == '.' || *s == '\''))
		buf_append_str(out, "\\&");
	for (; *s != '\0'; s++) {
		if (*s == '\\')
			buf_append_str(out, "\\e");
		else if (*s == '-')
			buf_append_str(out, "\\-");
		else
			buf_append_u8(out, (uint8_t)*s);
	}
}

/* One sentence per line, as roff wants it for its spacing. */
static void
man_sentences(struct buf *out, const char *s)
{
	const char	*end;
	char		*one;

	while (*(s += strspn(s, " \n")) != '\0') {
		for (end = s; *end != '\0'; end++)
			if (*end == '.' && end[1] == ' ' &&
			    isupper((unsigned char)
			    end[1 + strspn(end + 1, " ")]))
				break;
		end += *end == '.';
		one = xstrndup(s, (size_t)(end - s));
		man_text(out, one, 1);
		buf_append_u8(out, '\n');
		free(one);
		s = end;
	}
}

static void
man_option(struct buf *out, const struct conf_option *o)
{
	const char	*arg = conf_arg_name(o);
	struct buf	 text = BUF_INIT;

	buf_append_str(out, ".TP\n\\fB");
	if (o->letter != 0)
		buf_printf(out, "\\-%c\\fR, \\fB", o->letter);
	buf_append_str(out, "\\-\\-");
	man_text(out, o->name, 0);
	buf_append_str(out, "\\fR");
	if (arg != NULL) {
		buf_append_str(out, " \\fI");
		man_text(out, arg, 0);
		buf_append_str(out, "\\fR");
	}
	buf_append_u8(out, '\n');
	option_help(&text, o);
	man_sentences(out, buf_cstr(&text));
	buf_free(&text);
}

void
conf_print_man(struct buf *out, const struct conf_option *const *tables)
{
	const struct conf_option	*o;

	for (; tables != NULL && *tables != NULL; tables++)
		for (o = *tables; o->name != NULL; o++)
			if (!is_hidden(o))
				man_option(out, o);
}

void
conf_print_man_commands(struct buf *out, const struct conf_program *p)
{
	const struct conf_command	*cmd;
	struct buf			 line = BUF_INIT;

	for (cmd = p->commands; cmd->words != NULL; cmd++) {
		if (cmd->hidden)
			continue;
		buf_reset(&line);
		usage_line(&line, p, cmd);
		buf_append_str(out, ".SS ");
		man_text(out, buf_cstr(&line), 0);
		buf_append_u8(out, '\n');
		man_sentences(out, cmd->summary);
		if (cmd->help != NULL)
			man_sentences(out, cmd->help);
		conf_print_man(out, cmd->tables);
	}
	buf_free(&line);
}

/* --- what is in effect --------------------------------------------------- */

static void
print_value(struct buf *out, const char *s)
{
	size_t	 n = strlen(s);

	if (n > 0 && strpbrk(s, "\n\t\r\"\\#") == NULL && s[0] != ' ' &&
	    s[n - 1] != ' ') {
		buf_append_str(out, s);
		return;
	}
	buf_append_u8(out, '"');
	for (; *s != '\0'; s++)
		switch (*s) {
		case '\n':
			buf_append_str(out, "\\n");
			break;
		case '\t':
			buf_append_str(out, "\\t");
			break;
		case '"':
		case '\\':
			buf_append_u8(out, '\\');
			/* FALLTHROUGH */
		default:
			buf_append_u8(out, (uint8_t)*s);
		}
	buf_append_u8(out, '"');
}

static void
print_list(struct buf *out, const struct conf_strings *l)
{
	struct buf	 all = BUF_INIT;
	size_t		 i;

	for (i = 0; i < l->n; i++)
		buf_printf(&all, "%s%s", i == 0 ? "" : ",", l->v[i]);
	print_value(out, buf_cstr(&all));
	buf_free(&all);
}

static void
print_effective(struct buf *out, const struct conf_value *v)
{
	const struct conf_option	*o = v->opt;

	if (v->source == CONF_FROM_ARGS)
		buf_append_str(out, "# command line\n");
	else if (v->source == CONF_FROM_FILE)
		buf_printf(out, "# %s\n", v->where);
	if (o->flags & CONF_SECRET)
		buf_printf(out, "# %s is %s\n", o->name,
		    v->text == NULL ? "not set" : "not shown");
	else if (conf_is_list(o) && v->list.n > 0) {
		buf_printf(out, "%s = ", o->name);
		print_list(out, &v->list);
		buf_append_u8(out, '\n');
	} else if (v->text != NULL) {
		buf_printf(out, "%s = ", o->name);
		print_value(out, v->text);
		buf_append_u8(out, '\n');
	} else if (o->type == CONF_BOOL)
		buf_printf(out, "%s = false\n", o->name);
	else
		buf_printf(out, "# %s is not set\n", o->name);
}

void
conf_print_effective(struct buf *out, const struct conf *c)
{
	size_t	 i;

	for (i = 0; i < c->n_values; i++)
		if (!(c->values[i].opt->flags & CONF_NO_FILE))
			print_effective(out, &c->values[i]);
}
