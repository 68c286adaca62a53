/* main.c - arangosync: the list of commands, nothing else */
#include <signal.h>
#include <stdio.h>

#include "cli/cli.h"
#include "conf/conf.h"
#include "proc/proc.h"
#include "proc/title.h"
#include "src/build-id.h"

#define VERSION_LINE	"Version " PACKAGE_VERSION ", build " BUILD_ID

/* In the order of --help. */
static const struct conf_command *const list[] = {
	&cli_run_master,
	&cli_configure_sync,
	&cli_stop_sync,
	&cli_abort_sync,
	&cli_abort_outgoing_sync,
	&cli_check_sync,
	&cli_reset_failed_shard,
	&cli_get_status,
	&cli_get_tasks,
	&cli_get_masters,
	&cli_get_workers,
	&cli_get_version,
	&cli_get_message_timeout,
	&cli_set_message_timeout,
	&cli_queue_list,
	&cli_queue_check,
	&cli_queue_dump,
	&cli_create_tls_ca,
	&cli_create_tls_keyfile,
	&cli_create_tls_certificate,
	&cli_create_tls_keystore,
	&cli_create_client_auth_ca,
	&cli_create_client_auth_keyfile,
	&cli_create_jwt_secret,
	&cli_version
};

int
main(int argc, char **argv)
{
	static struct conf_command	 commands[NITEMS(list) + 1];
	static struct cli_context	 context = {
		.version_line = VERSION_LINE,
		.build = BUILD_ID
	};
	static const struct conf_program program = {
		.name = "arangosync",
		.summary = "Replicate a whole ArangoDB cluster to another "
		    "datacenter.",
		.version = VERSION_LINE,
		.commands = commands,
		.exit_text = "0 good; 1 failed; 2 wrong usage; 3 the data "
		    "differs (check sync)."
	};
	size_t	 i;
	int	 code;

	proc_reserve_fds();
	proc_title_init(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < NITEMS(list); i++)
		commands[i] = *list[i];
	code = conf_main(&program, argc, argv, &context);
	/* What could not be printed was not said. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == 0)
		code = cli_fail("cannot write to standard output");
	return code;
}
