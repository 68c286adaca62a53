/* conf_priv.h - what the files of src/conf share */
#ifndef CONF_CONF_PRIV_H
#define CONF_CONF_PRIV_H

#include "conf/conf.h"

enum conf_source {		/* the higher one wins */
	CONF_FROM_DEFAULT,
	CONF_FROM_FILE,
	CONF_FROM_ARGS
};

struct conf_strings {		/* v ends with a NULL once it is not NULL */
	char	**v;
	size_t	 n;
};

struct conf_value {
	const struct conf_option *opt;
	enum conf_source	 source;
	char			*where;		/* "file:line", or NULL */
	char			*text;		/* normal form, or NULL */
	int64_t			 number;	/* of all but text and lists */
	struct conf_strings	 list;
};

struct conf {
	const struct conf_program *program;	/* NULL: a bare conf_new() */
	const struct conf_command *cmd;
	struct conf_value	*values;	/* in order of the tables */
	size_t			 n_values;
	struct conf_strings	 args;
};

/* --help and --version, which every command has. */
extern const struct conf_option	conf_builtin[];

void	conf_strings_add(struct conf_strings *l, const char *s, size_t len);
void	conf_strings_free(struct conf_strings *l);

int	conf_is_list(const struct conf_option *o);
/* By name or alias; NULL when there is none. */
struct conf_value *conf_find(const struct conf *c, const char *name);
/* By name or alias in one table set (NULL: none); and in any command. */
const struct conf_option *conf_find_option(
	    const struct conf_option *const *tables, const char *name);
const struct conf_option *conf_find_anywhere(const struct conf_program *p,
	    const char *name);
/*
 * Take text as the value, or as more of a list, unless it has a better one.
 * 0 or negative, and m is the bare reason ("must be between 1 and 10").
 */
int	conf_set(struct conf_value *v, enum conf_source source,
	    const char *where, const char *text, struct err_msg *m);

/* What help shows for the value: "DIR", "N"; NULL for a bool. */
const char *conf_arg_name(const struct conf_option *o);
/* The nearest name to a misspelled one, or NULL. */
struct conf_nearest {
	const char	*wrong;
	const char	*best;
	size_t		 distance;
};
void	conf_nearest_start(struct conf_nearest *n, const char *wrong);
void	conf_nearest_offer(struct conf_nearest *n, const char *name);

/* Append s in lines of at most `width` columns, each indented; ends a line.
 * The first line begins at column `col` already. */
void	conf_print_wrapped(struct buf *out, size_t col, size_t indent,
	    const char *s);

#endif
