/*
 * conf.h - options: one table for the command line, the configuration file,
 * --help, the manual and the print of what is in effect.
 *
 * A program describes its commands in a table of struct conf_command, each
 * with tables of struct conf_option, and hands argc and argv to
 * conf_main(), which finds the command, parses, answers --help and
 * --version, and calls the command's function with the values:
 *
 *	static const struct conf_option start_options[] = {
 *		{ .name = "dir", .type = CONF_STRING, .arg = "DIR",
 *		  .flags = CONF_REQUIRED, .help = "Directory of the cluster." },
 *		{ .name = "dbservers", .type = CONF_INT, .def = "3",
 *		  .min = 1, .max = 10, .help = "Number of DB-servers." },
 *		{ .name = NULL }
 *	};
 *	static const struct conf_option *const start_tables[] = {
 *		start_options, NULL
 *	};
 *	static const struct conf_command commands[] = {
 *		{ .words = "", .tables = start_tables, .run = run_start,
 *		  .summary = "Start a cluster." },
 *		{ .words = "move-shard", .tables = dir_tables,
 *		  .args = "DB COLLECTION INDEX SERVER", .min_args = 4,
 *		  .max_args = 4, .run = run_move,
 *		  .summary = "Move a shard to a server." },
 *		{ .words = NULL }
 *	};
 *	static const struct conf_program program = {
 *		.name = "arangosync-sandbox", .commands = commands, ...
 *	};
 *
 *	return conf_main(&program, argc, argv, &context);
 *
 * Values come, weakest first, from the default, the configuration file and
 * the command line.  Tables are static; a struct conf points into them.
 * Functions that fail fill a struct err_msg with one sentence.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum conf_type {
	CONF_STRING,
	CONF_LIST,		/* strings; repeated, or split at commas */
	CONF_BOOL,		/* --flag, --flag=true, --flag=false */
	CONF_INT,		/* int64, min and max apply */
	CONF_DURATION,		/* "1h30m"; kept in ms, min and max in ms */
	CONF_BYTES,		/* "32GiB"; min and max in bytes */
	CONF_ENUM,		/* one of choices */
	CONF_ENDPOINT,		/* http(s)://host:port */
	CONF_ENDPOINT_LIST,
	CONF_TYPE_COUNT
};

enum {
	CONF_HIDDEN	= 1,	/* works, but help and manual are silent */
	CONF_REQUIRED	= 2,	/* the command needs a value */
	CONF_SECRET	= 4,	/* never printed */
	CONF_NO_FILE	= 8,	/* on the command line only */
	CONF_FILE_PATH	= 16	/* a file name: an empty value is an error */
};

struct conf_option {
	const char	*name;		/* without dashes; NULL ends a table */
	char		 letter;	/* -v; 0: none */
	const char	*alias;		/* older spelling, or NULL; not shown */
	enum conf_type	 type;
	unsigned	 flags;		/* CONF_* */
	const char	*def;		/* as text; NULL: empty, 0, false */
	int64_t		 min, max;	/* INT, DURATION, BYTES; both 0: any,
					 * the last two not below 0.
					 * ENDPOINT: min is the port where
					 * none is given, 0: needs one */
	const char	*const *choices; /* ENUM: names, then NULL */
	const char	*arg;		/* "DIR" in help; NULL: from the type */
	const char	*unit;		/* "us", shown with an INT; or NULL */
	const char	*group;		/* heading in help; NULL: as before */
	const char	*help;		/* whole sentences */
	/* More to check, or NULL: 0, or negative and *m. */
	int		(*check)(const char *value, struct err_msg *m);
};

struct conf;

struct conf_command {
	const char	*words;		/* "get status"; "": without words;
					 * NULL ends the table */
	const char	*args;		/* "DB COLLECTION", for help; or NULL */
	int		 min_args;
	int		 max_args;	/* of positional arguments; -1: any */
	const char	*summary;	/* one sentence */
	const char	*help;		/* more sentences, or NULL */
	int		 hidden;
	const struct conf_option *const *tables; /* NULL at the end; or NULL */
	/* Returns the exit code. */
	int		(*run)(const struct conf *c, void *context);
};

struct conf_program {
	const char	*name;
	const char	*summary;	/* one sentence */
	const char	*version;	/* line that --version prints */
	/*
	 * Name of the option (a STRING) that names a configuration file, which
	 * is read before the command line takes effect; or NULL.
	 */
	const char	*file_option;
	const struct conf_command *commands;
	const char	*exit_text;	/* exit codes, for --help; or NULL */
};

#define CONF_EXIT_FAILED	1
#define CONF_EXIT_USAGE		2

/*
 * Find and run the command.  Returns its exit code, 0 after --help and
 * --version, CONF_EXIT_USAGE after a sentence on standard error about a wrong
 * command line, 1 for a configuration file that cannot be used.
 */
int	conf_main(const struct conf_program *p, int argc, char **argv,
	    void *context);

/* --- values -------------------------------------------------------------- */

/*
 * What an option is set to.  The name is one of the command's tables and of
 * that type; anything else is a bug and ends the process.  Text stays
 * valid as long as c.
 */
/* STRING, ENDPOINT, ENUM; NULL when neither given nor defaulted. */
const char *conf_string(const struct conf *c, const char *name);
int	conf_bool(const struct conf *c, const char *name);
int64_t	conf_int(const struct conf *c, const char *name);
int64_t	conf_duration_ms(const struct conf *c, const char *name);
uint64_t conf_bytes(const struct conf *c, const char *name);
/* Index into choices; -1 when neither given nor defaulted. */
int	conf_enum(const struct conf *c, const char *name);
/* LIST and ENDPOINT_LIST: an array that ends with NULL; *n may be NULL. */
const char *const *conf_list(const struct conf *c, const char *name,
	    size_t *n);
/* 1 when the command line or the file gave it, 0 for a default. */
int	conf_is_set(const struct conf *c, const char *name);
/* 1 when a table of c has an option of this name. */
int	conf_has(const struct conf *c, const char *name);
/* Positional arguments; an array that ends with NULL; *n may be NULL. */
const char *const *conf_args(const struct conf *c, size_t *n);
const struct conf_command *conf_command(const struct conf *c);

/* --- parts of conf_main(), for tests, reload and other uses -------------- */

/* All values are defaults.  A default that is no value is a bug. */
struct conf *conf_new(const struct conf_option *const *tables);
/*
 * As conf_new(), for a command of a program: lines of a configuration file
 * for options that only other commands have are stepped over.
 */
struct conf *conf_new_command(const struct conf_program *p,
	    const struct conf_command *cmd);
void	conf_free(struct conf **c);
/*
 * Flags and positional arguments; argv[0] is the first word to look at, not
 * the program.  "--" ends the flags.  0 or ERR_USAGE.
 */
int	conf_parse_args(struct conf *c, int argc, char *const *argv,
	    struct err_msg *m);
/*
 * A configuration file: lines `name = value`, `#` begins a comment line, a
 * list may be given several times.  Values may be put in double quotes to keep
 * blanks at their ends; in quotes \\ \" \n \t are one character.  What the
 * command line gave is kept.  0, -errno,
 * ERR_FORMAT (m: "file:line: ..."), ERR_TOO_BIG.
 */
int	conf_parse_file(struct conf *c, const char *path, struct err_msg *m);
int	conf_parse_text(struct conf *c, const char *path, const char *text,
	    size_t len, struct err_msg *m);
/* Are required options there?  0 or ERR_USAGE. */
int	conf_check_required(const struct conf *c, struct err_msg *m);
/*
 * The command that the first words name, the longest match; flags in between
 * are stepped over.  The values: *rest (free() it) are the arguments without
 * the words of the command, *n their number.  0 or ERR_USAGE.
 */
int	conf_find_command(const struct conf_program *p, int argc,
	    char *const *argv, const struct conf_command **cmd, char ***rest,
	    int *n, struct err_msg *m);

/* --- text ---------------------------------------------------------------- */

/* --help of a command (NULL: of the program), in 80 columns. */
void	conf_print_help(struct buf *out, const struct conf_program *p,
	    const struct conf_command *cmd);
/* A man(7) list of the options of these tables, `.TP` each. */
void	conf_print_man(struct buf *out,
	    const struct conf_option *const *tables);
/* man(7) text for all commands of a program: synopsis, summary, options. */
void	conf_print_man_commands(struct buf *out,
	    const struct conf_program *p);
/*
 * What is in effect, as a configuration file that gives the same again;
 * where a value comes from is a comment.  Secrets are left out.
 */
void	conf_print_effective(struct buf *out, const struct conf *c);

/* --- endpoints ----------------------------------------------------------- */

/*
 * Bring scheme://host:port into one form: http or https (tcp and ssl are
 * their old names), host in lower case, no path, default_port (0: required)
 * where there is none.  0 and text (free() it), or ERR_FORMAT.
 */
int	conf_endpoint_normalize(const char *s, unsigned default_port,
	    char **text);

#endif
