/* parse.c - command line and configuration file into values */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsx.h"
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_priv.h"

#define FILE_MAX_BYTES	(1024 * 1024)

/* --- suggestions --------------------------------------------------------- */

void
conf_nearest_start(struct conf_nearest *n, const char *wrong)
{
	n->wrong = wrong;
	n->best = NULL;
	/* A third of the letters may be wrong, and two in any case; more
	 * than that is not a misspelling. */
	n->distance = MAX(strlen(wrong) / 3, 2) + 1;
	if (strlen(wrong) > 64)
		n->distance = 0;
}

void
conf_nearest_offer(struct conf_nearest *n, const char *name)
{
	size_t	 d;

	if (n->distance == 0)
		return;
	d = str_distance(n->wrong, name, n->distance);
	if (d < n->distance && d < strlen(name)) {
		n->best = name;
		n->distance = d;
	}
}

static const char *
nearest_option(const struct conf *c, const char *wrong)
{
	struct conf_nearest	 near;
	size_t			 i;

	conf_nearest_start(&near, wrong);
	for (i = 0; i < c->n_values; i++)
		if (!(c->values[i].opt->flags & CONF_HIDDEN) ||
		    c->values[i].opt->flags & CONF_NO_FILE)
			conf_nearest_offer(&near, c->values[i].opt->name);
	return near.best;
}

/* --- command line -------------------------------------------------------- */

struct argv_pos {		/* where the parser stands */
	int		 argc, i;
	char *const	*argv;
};

static int
unknown_flag(const struct conf *c, const char *name, struct err_msg *m)
{
	const char	*near = nearest_option(c, name);

	if (near == NULL)
		return err_set(m, ERR_USAGE, "unknown flag --%.64s", name);
	return err_set(m, ERR_USAGE,
	    "unknown flag --%.64s; did you mean --%s?", name, near);
}

static int
set_flag(struct conf_value *v, const char *text, struct err_msg *m)
{
	struct err_msg	 why;
	int		 r;

	r = conf_set(v, CONF_FROM_ARGS, NULL, text, &why);
	if (r == 0)
		return 0;
	/* An empty file name has its sentence already. */
	if (*text == '\0' && v->opt->flags & CONF_FILE_PATH)
		return err_set(m, ERR_USAGE, "%s", why.text);
	if (v->opt->flags & CONF_SECRET)
		return err_set(m, ERR_USAGE, "--%s %s", v->opt->name,
		    why.text);
	return err_set(m, ERR_USAGE, "--%s=%.64s: %s", v->opt->name, text,
	    why.text);
}

/* The value of a flag that has none behind a '='. */
static int
next_value(struct argv_pos *at, const struct conf_option *o,
    const char **text, struct err_msg *m)
{
	if (o->type == CONF_BOOL) {
		*text = "true";
		return 0;
	}
	if (at->i + 1 >= at->argc)
		return err_set(m, ERR_USAGE, "--%s needs a value (%s)",
		    o->name, conf_arg_name(o));
	*text = at->argv[++at->i];
	return 0;
}

static int
parse_long(struct conf *c, struct argv_pos *at, struct err_msg *m)
{
	const char		*arg = at->argv[at->i] + 2, *text = NULL;
	size_t			 n = strcspn(arg, "=");
	char			*name = xstrndup(arg, n);
	struct conf_value	*v = conf_find(c, name);
	int			 r = 0;

	if (v == NULL)
		r = unknown_flag(c, name, m);
	else if (arg[n] == '=')
		text = arg + n + 1;
	else
		r = next_value(at, v->opt, &text, m);
	free(name);
	return r == 0 ? set_flag(v, text, m) : r;
}

static struct conf_value *
find_letter(const struct conf *c, char letter)
{
	size_t	 i;

	for (i = 0; i < c->n_values; i++)
		if (c->values[i].opt->letter == letter)
			return &c->values[i];
	return NULL;
}

/* "-v", "-vq", "-p5", "-p=5", "-p 5" */
static int
parse_letters(struct conf *c, struct argv_pos *at, struct err_msg *m)
{
	const char		*s = at->argv[at->i] + 1, *text = NULL;
	struct conf_value	*v;
	int			 r;

	for (; *s != '\0'; s++) {
		if ((v = find_letter(c, *s)) == NULL)
			return err_set(m, ERR_USAGE, "unknown flag -%.64s",
			    s);
		if (v->opt->type == CONF_BOOL && s[1] != '=') {
			if ((r = set_flag(v, "true", m)) != 0)
				return r;
			continue;
		}
		if (s[1] != '\0')
			text = s + 1 + (s[1] == '=');
		else if ((r = next_value(at, v->opt, &text, m)) != 0)
			return r;
		return set_flag(v, text, m);
	}
	return 0;
}

/* Is it "-x", and not "-" or a negative number? */
static int
is_letters(const char *arg)
{
	return arg[0] == '-' && arg[1] != '\0' && arg[1] != '-' &&
	    strchr("0123456789.", arg[1]) == NULL;
}

int
conf_parse_args(struct conf *c, int argc, char *const *argv,
    struct err_msg *m)
{
	struct argv_pos	 at = { argc, 0, argv };
	const char	*arg;
	int		 r = 0, flags = 1;

	for (; r == 0 && at.i < argc; at.i++) {
		arg = argv[at.i];
		if (flags && strcmp(arg, "--") == 0)
			flags = 0;
		else if (flags && str_starts_with(arg, "--"))
			r = parse_long(c, &at, m);
		else if (flags && is_letters(arg))
			r = parse_letters(c, &at, m);
		else
			conf_strings_add(&c->args, arg, strlen(arg));
	}
	return r;
}

/* --- which command ------------------------------------------------------- */

/* Does the flag at argv[i] take the next word as its value? */
static int
takes_next(const struct conf_program *p, const char *arg)
{
	const struct conf_option	*o;
	const struct conf_command	*cmd;
	const struct conf_option *const	*t;

	if (str_starts_with(arg, "--")) {
		if (strchr(arg, '=') != NULL)
			return 0;
		o = conf_find_anywhere(p, arg + 2);
		return o != NULL && o->type != CONF_BOOL;
	}
	/* Of letters only the last one can: "-vp 5". */
	for (cmd = p->commands; cmd->words != NULL; cmd++)
		for (t = cmd->tables; t != NULL && *t != NULL; t++)
			for (o = *t; o->name != NULL; o++)
				if (o->letter != 0 &&
				    o->letter == arg[strlen(arg) - 1])
					return o->type != CONF_BOOL;
	return 0;
}

/*
 * The places in argv of words that are neither flags nor their values; at
 * most max, returns their number.
 */
static int
find_words(const struct conf_program *p, int argc, char *const *argv,
    int *places, int max)
{
	int	 i, n = 0;

	for (i = 0; i < argc && n < max; i++) {
		if (strcmp(argv[i], "--") == 0)
			break;
		if (str_starts_with(argv[i], "--") || is_letters(argv[i]))
			i += takes_next(p, argv[i]);
		else
			places[n++] = i;
	}
	return n;
}

/* Number of words of a command that the arguments begin with; -1: not all. */
static int
match_words(const char *words, char *const *argv, const int *places, int n)
{
	int	 k = 0;
	size_t	 len;

	while (*words != '\0') {
		len = strcspn(words, " ");
		if (k == n || strlen(argv[places[k]]) != len ||
		    memcmp(argv[places[k]], words, len) != 0)
			return -1;
		k++;
		words += len;
		words += strspn(words, " ");
	}
	return k;
}

#define MAX_WORDS	4	/* of the longest command */

/* The command that was probably meant, or NULL. */
static const char *
nearest_command(const struct conf_program *p, char *const *argv,
    const int *places, int n)
{
	const struct conf_command	*cmd;
	struct conf_nearest		 near;
	struct buf			 said = BUF_INIT;
	const char			*best = NULL;
	size_t				 distance = SIZE_MAX;
	int				 i;

	/* Positional arguments may follow, so every length is tried. */
	for (i = 0; i < n; i++) {
		buf_printf(&said, "%s%s", i == 0 ? "" : " ",
		    argv[places[i]]);
		conf_nearest_start(&near, buf_cstr(&said));
		for (cmd = p->commands; cmd->words != NULL; cmd++)
			if (!cmd->hidden && *cmd->words != '\0')
				conf_nearest_offer(&near, cmd->words);
		if (near.best != NULL && near.distance < distance) {
			best = near.best;
			distance = near.distance;
		}
	}
	buf_free(&said);
	return best;
}

/* The commands that begin with the word: `"get status", "get tasks"`. */
static void
commands_below(const struct conf_program *p, const char *word,
    struct buf *names)
{
	const struct conf_command	*cmd;
	size_t				 len = strlen(word);

	for (cmd = p->commands; cmd->words != NULL; cmd++)
		if (!cmd->hidden && str_starts_with(cmd->words, word) &&
		    cmd->words[len] == ' ')
			buf_printf(names, "%s \"%s\"",
			    names->len == 0 ? "" : ",", cmd->words);
}

static int
unknown_command(const struct conf_program *p, char *const *argv,
    const int *places, int n, struct err_msg *m)
{
	struct buf	 names = BUF_INIT;
	const char	*near, *word;

	if (n == 0)
		return err_set(m, ERR_USAGE, "no command given");
	word = argv[places[0]];
	commands_below(p, word, &names);
	near = n == 1 && names.len > 0 ? NULL :
	    nearest_command(p, argv, places, n);
	if (near != NULL)
		err_set(m, ERR_USAGE,
		    "unknown command \"%.64s\"; did you mean \"%s\"?", word,
		    near);
	else if (names.len > 0)
		err_set(m, ERR_USAGE, "incomplete command; there is%s",
		    buf_cstr(&names));
	else
		err_set(m, ERR_USAGE, "unknown command \"%.64s\"", word);
	buf_free(&names);
	return ERR_USAGE;
}

int
conf_find_command(const struct conf_program *p, int argc, char *const *argv,
    const struct conf_command **cmd, char ***rest, int *n, struct err_msg *m)
{
	const struct conf_command	*c, *best = NULL;
	int	 places[MAX_WORDS], n_words, k, best_k = -1, i, out = 0;

	n_words = find_words(p, argc, argv, places, MAX_WORDS);
	for (c = p->commands; c->words != NULL; c++) {
		k = match_words(c->words, argv, places, n_words);
		if (k > best_k) {
			best = c;
			best_k = k;
		}
	}
	/* A word that the command without words has no use for. */
	if (best != NULL && best_k == 0 && n_words > 0 && best->max_args == 0)
		best = NULL;
	if (best == NULL)
		return unknown_command(p, argv, places, n_words, m);
	*rest = xcalloc((size_t)argc + 1, sizeof(**rest));
	for (i = 0, k = 0; i < argc; i++)
		if (k < best_k && places[k] == i)
			k++;
		else
			(*rest)[out++] = argv[i];
	*n = out;
	*cmd = best;
	return 0;
}

/* --- configuration file -------------------------------------------------- */

static int
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Undo the quotes of s[0..*len) in place. */
static int
unquote(char *s, size_t *len, struct err_msg *m)
{
	static const char	 from[] = "\\\"nt", to[] = "\\\"\n\t";
	const char		*at;
	size_t			 i, n = 0;

	for (i = 1; i < *len && s[i] != '"'; i++) {
		if (s[i] != '\\') {
			s[n++] = s[i];
			continue;
		}
		i++;
		if (i >= *len || (at = strchr(from, s[i])) == NULL)
			return err_set(m, ERR_FORMAT,
			    "in quotes a backslash stands before \\ \" n or "
			    "t only");
		s[n++] = to[at - from];
	}
	if (i + 1 != *len)
		return err_set(m, ERR_FORMAT, i >= *len ?
		    "the closing quote is missing" :
		    "there is text behind the closing quote");
	s[n] = '\0';
	*len = n;
	return 0;
}

static int
unknown_name(const struct conf *c, const char *name, struct err_msg *m)
{
	const char	*near;

	/* The file may serve several commands. */
	if (c->program != NULL && conf_find_anywhere(c->program, name))
		return 0;
	if ((near = nearest_option(c, name)) == NULL)
		return err_set(m, ERR_FORMAT, "unknown option %.64s", name);
	return err_set(m, ERR_FORMAT,
	    "unknown option %.64s; did you mean %s?", name, near);
}

/* line[0..len) has no newline, and a NUL may be put behind it. */
static int
parse_line(struct conf *c, const char *where, char *line, size_t len,
    struct err_msg *m)
{
	struct conf_value	*v;
	struct err_msg		 why;
	char			*value, *name = line;
	size_t			 n, value_len;
	int			 r;

	line[len] = '\0';
	n = strcspn(line, "=");
	if (line[n] == '\0')
		return err_set(m, ERR_FORMAT,
		    "expected a line of the form name = value");
	value = line + n + 1;
	while (n > 0 && is_blank(line[n - 1]))
		n--;
	name[n] = '\0';
	while (is_blank(*value))
		value++;
	value_len = strlen(value);
	if (n == 0)
		return err_set(m, ERR_FORMAT, "there is no name before the =");
	if (value[0] == '"' && (r = unquote(value, &value_len, m)) != 0)
		return r;
	if ((v = conf_find(c, name)) == NULL)
		return unknown_name(c, name, m);
	if (v->opt->flags & CONF_NO_FILE)
		return err_set(m, ERR_FORMAT,
		    "%s can be given on the command line only", name);
	if (conf_set(v, CONF_FROM_FILE, where, value, &why) == 0)
		return 0;
	if (v->opt->flags & CONF_SECRET)
		return err_set(m, ERR_FORMAT, "%s %s", name, why.text);
	return err_set(m, ERR_FORMAT, "%s = %.64s: %s", name, value,
	    why.text);
}

int
conf_parse_text(struct conf *c, const char *path, const char *text,
    size_t len, struct err_msg *m)
{
	const char	*end = text + len, *eol;
	struct err_msg	 why;
	char		*line, *where;
	size_t		 n;
	int		 r = 0, number = 0;

	for (; r == 0 && text < end; text = eol + 1) {
		eol = memchr(text, '\n', (size_t)(end - text));
		if (eol == NULL)
			eol = end;
		number++;
		while (text < eol && is_blank(*text))
			text++;
		n = (size_t)(eol - text);
		while (n > 0 && is_blank(text[n - 1]))
			n--;
		if (n == 0 || *text == '#')
			continue;
		where = xasprintf("%s:%d", path, number);
		line = xmalloc(n + 1);
		memcpy(line, text, n);
		if (memchr(line, '\0', n) != NULL)
			r = err_set(&why, ERR_FORMAT,
			    "there is a NUL byte in it");
		else
			r = parse_line(c, where, line, n, &why);
		if (r != 0)
			err_set(m, r, "%s: %s", where, why.text);
		free(line);
		free(where);
	}
	return r;
}

int
conf_parse_file(struct conf *c, const char *path, struct err_msg *m)
{
	struct buf	 b = BUF_INIT;
	int		 r;

	r = fsx_read_file(path, FILE_MAX_BYTES, &b);
	if (r != 0)
		err_set(m, r, "cannot read %s: %s", path, err_text(r));
	else if (b.len > 0)
		r = conf_parse_text(c, path, (const char *)b.data, b.len, m);
	buf_free(&b);
	return r;
}
