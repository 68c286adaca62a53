/*
 * cli.h - the commands of arangosync, one per file.
 *
 *	text.c		sentences, tables
 *	progress.c	what people see while they wait
 *	remote.c	masters: endpoints, credentials, requests
 *	syncinfo.c	what GET /_api/sync says; headline.c: in one line
 *	list.c		lists of a master as tables
 *	checkplan.c	what check sync compares
 *
 * A command is a struct conf_command; src/main.c lists them.  Its function
 * returns the exit code: 0 good, 1 failed, 2 usage, 3 differs.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stddef.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"

#define CLI_EXIT_DIFFERS	3

/* What conf_main() hands to every command. */
struct cli_context {
	const char	*version_line;	/* "Version X, build Y" */
	const char	*build;		/* "Y" */
};

extern const struct conf_command
	cli_create_tls_ca, cli_create_tls_keyfile, cli_create_tls_certificate,
	cli_create_tls_keystore, cli_create_client_auth_ca,
	cli_create_client_auth_keyfile, cli_create_jwt_secret,
	cli_configure_sync, cli_stop_sync, cli_abort_sync,
	cli_abort_outgoing_sync, cli_check_sync, cli_reset_failed_shard,
	cli_get_status, cli_get_tasks, cli_get_masters, cli_get_workers,
	cli_get_version, cli_get_message_timeout, cli_set_message_timeout,
	cli_queue_list, cli_queue_check, cli_queue_dump,
	cli_run_master, cli_version;

/* A sentence to standard error, after the name of the program. */
void	cli_complain(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));
/* The same, and the exit code 1. */
int	cli_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A wrong command line: the sentence, and the exit code 2. */
int	cli_usage(const struct conf *c, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
/*
 * Replace what a terminal could take for a command by '?': text of other
 * machines is printed after this only.
 */
void	cli_make_safe(char *s);

/* --- tables -------------------------------------------------------------- */

/*
 * Columns are as wide as their widest cell, two blanks apart; the last one is
 * not filled up.  An empty cell is "-".
 */
struct cli_table;

/* heads: titles, then NULL; they stay the caller's. */
struct cli_table *cli_table_new(const char *const *heads);
void	cli_table_free(struct cli_table **t);
/* The next cell, from left to right, row by row; made safe. */
void	cli_table_add(struct cli_table *t, const char *text);
void	cli_table_addf(struct cli_table *t, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
size_t	cli_table_rows(const struct cli_table *t);
void	cli_table_print(const struct cli_table *t, size_t indent, FILE *f);

#endif
