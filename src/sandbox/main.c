/* main.c - arangosync-sandbox: the table of commands */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "conf/conf.h"
#include "proc/proc.h"
#include "proc/title.h"
#include "sandbox/boss.h"
#include "sandbox/cmd.h"

/* arangod versions that the sandbox can act as. */
static int
check_version(const char *value, struct err_msg *m)
{
	unsigned	 major, minor, patch;
	int		 end = 0;

	if (sscanf(value, "%2u.%2u.%2u%n", &major, &minor, &patch, &end) != 3 ||
	    value[end] != '\0' || value[0] == ' ' || major != 3 ||
	    minor < 8 || minor > 12)
		return err_set(m, ERR_RANGE, "%s is not a version from 3.8.0 "
		    "to 3.12.99", value);
	return 0;
}

static int
check_fault_path(const char *value, struct err_msg *m)
{
	if (value[0] != '/' || strlen(value) > 1000)
		return err_set(m, ERR_RANGE, "a path begins with / and has at "
		    "most 1000 characters");
	return 0;
}

static const char *const editions[] = { "community", "enterprise", NULL };

static const struct conf_option dir_options[] = {
	{ .name = "dir", .type = CONF_STRING, .arg = "DIR",
	  .flags = CONF_REQUIRED | CONF_FILE_PATH,
	  .help = "Directory of the cluster." },
	{ .name = NULL }
};

static const struct conf_option run_options[] = {
	{ .name = "port", .type = CONF_INT, .arg = "P",
	  .min = 0, .max = 65535,
	  .help = "First port: coordinators listen on P, P+1 and so on, "
	  "DB-servers on P+10 and up, the agent on P+20. 0 takes any free "
	  "ports. Required for a new cluster; a cluster that exists keeps its "
	  "ports unless another P is given." },
	{ .name = "coordinators", .type = CONF_INT, .arg = "N", .def = "1",
	  .min = 1, .max = BOSS_SERVERS_MAX,
	  .help = "Number of coordinators." },
	{ .name = "dbservers", .type = CONF_INT, .arg = "N", .def = "3",
	  .min = 1, .max = BOSS_SERVERS_MAX,
	  .help = "Number of DB-servers." },
	{ .name = "auth", .type = CONF_STRING, .arg = "JWT_SECRET_FILE",
	  .flags = CONF_FILE_PATH,
	  .help = "Ask for authentication, and sign with the secret in this "
	  "file." },
	{ .name = "root-password", .type = CONF_STRING, .arg = "PW",
	  .flags = CONF_SECRET,
	  .help = "Password of the user root; empty unless given." },
	{ .name = "tls", .type = CONF_STRING, .arg = "KEYFILE",
	  .flags = CONF_FILE_PATH,
	  .help = "Serve HTTPS with the certificate and key in this file." },
	{ .name = "arangodb-version", .type = CONF_STRING, .arg = "VERSION",
	  .def = "3.11.8", .check = check_version,
	  .help = "Version of ArangoDB to act as, 3.8.0 to 3.12.99." },
	{ .name = "edition", .type = CONF_ENUM, .choices = editions,
	  .def = "community", .help = "Edition of ArangoDB to act as." },
	{ .name = "merge-window", .type = CONF_INT, .arg = "US",
	  .min = 0, .max = 1000000, .def = "0",
	  .help = "Microseconds for which a DB-server gathers writes for one "
	  "record of its log; 0 gathers what arrives at the same time." },
	{ .name = "daemon", .type = CONF_BOOL,
	  .help = "Go to the background and return when the cluster "
	  "serves." },
	{ .name = NULL }
};

static const struct conf_option status_options[] = {
	{ .name = "json", .type = CONF_BOOL,
	  .help = "Print JSON, as in cluster.json." },
	{ .name = NULL }
};

static const struct conf_option fault_options[] = {
	{ .name = "path", .type = CONF_STRING, .arg = "PREFIX",
	  .check = check_fault_path,
	  .help = "Only for requests whose path begins with PREFIX." },
	{ .name = "count", .type = CONF_INT, .arg = "N", .min = 0,
	  .max = 1000000000, .def = "0",
	  .help = "Only for the next N requests; 0 is no limit." },
	{ .name = NULL }
};

static const struct conf_option *const run_tables[] = {
	dir_options, run_options, NULL
};
static const struct conf_option *const dir_tables[] = { dir_options, NULL };
static const struct conf_option *const status_tables[] = {
	dir_options, status_options, NULL
};
static const struct conf_option *const fault_tables[] = {
	dir_options, fault_options, NULL
};

#define SERVER_COMMAND(w, f, s)						\
	{ .words = w, .args = "SERVER", .min_args = 1, .max_args = 1,	\
	  .tables = dir_tables, .run = f, .summary = s }

static const struct conf_command commands[] = {
	{ .words = "", .tables = run_tables, .run = cmd_run,
	  .summary = "Start a cluster." },
	{ .words = "status", .tables = status_tables, .run = cmd_status,
	  .summary = "Print the state of all servers; 0 when all are up." },
	{ .words = "stop", .tables = dir_tables, .run = cmd_stop,
	  .summary = "End the cluster." },
	SERVER_COMMAND("kill", cmd_kill,
	    "End a server with SIGKILL; it stays down."),
	SERVER_COMMAND("start", cmd_start,
	    "Start a server that is down, and wait until it answers."),
	SERVER_COMMAND("pause", cmd_pause,
	    "Stop a server with SIGSTOP."),
	SERVER_COMMAND("resume", cmd_resume,
	    "Continue a paused server, and wait until it answers."),
	SERVER_COMMAND("power-cut", cmd_power_cut,
	    "End a server and lose what it has not synced to its disk."),
	{ .words = "move-shard", .args = "DB COLLECTION INDEX SERVER",
	  .min_args = 4, .max_args = 4, .tables = dir_tables,
	  .run = cmd_move_shard,
	  .summary = "Make a DB-server the leader of a shard." },
	SERVER_COMMAND("prune-wal", cmd_prune_wal,
	    "Drop the log files of a DB-server that no registered client "
	    "holds."),
	{ .words = "fault",
	  .args = "SERVER delay=MS|drop|refuse|503|none",
	  .min_args = 2, .max_args = 2, .tables = fault_tables,
	  .run = cmd_fault,
	  .summary = "Make a server misbehave." },
	{ .words = NULL }
};

static const struct conf_program program = {
	.name = "arangosync-sandbox",
	.summary = "A small cluster that speaks ArangoDB's protocol, to "
	    "develop and try things with.",
	.version = "arangosync-sandbox " PACKAGE_VERSION,
	.commands = commands,
	.exit_text = "0 good; 1 failed, or not all servers are up (status); "
	    "2 wrong usage."
};

int
main(int argc, char **argv)
{
	proc_reserve_fds();
	proc_title_init(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	return conf_main(&program, argc, argv, NULL);
}
