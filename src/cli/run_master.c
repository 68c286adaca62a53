/*
 * run_master.c - arangosync run master
 *
 * Flags and defaults: product reference 2.2 and section 8, which says how the
 * ArangoDB Starter and kube-arangodb call us.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/str.h"
#include "cli/cli.h"
#include "inventory/inventory.h"
#include "link/link.h"
#include "master/control.h"
#include "master/daemon.h"
#include "receive/receive.h"
#include "send/send.h"
#include "tail/tail.h"
#include "worker/worker.h"

#define DATA_DIR_DEFAULT	"/var/lib/arangosync"
#define QUOTA_MIN		((uint64_t)16 << 20)

static int	check_quota(const char *value, struct err_msg *m);
static int	check_user_name(const char *value, struct err_msg *m);
static int	run(const struct conf *c, void *context);

static const char *const	levels[] = {
	"error", "warning", "warn", "notice", "info", "debug", "trace", NULL
};
static const char *const	mq_types[] = { "direct", NULL };

static const struct conf_option	options[] = {
	{ .name = "cluster.endpoint", .type = CONF_ENDPOINT_LIST,
	  .flags = CONF_REQUIRED, .min = 8529, .arg = "URL",
	  .group = "Own cluster",
	  .help = "Coordinators of the cluster of this datacenter.  May be "
	      "given several times." },
	{ .name = "cluster.jwt-secret", .alias = "cluster.jwtSecret",
	  .type = CONF_STRING, .flags = CONF_FILE_PATH, .arg = "FILE",
	  .help = "File with the JWT secret of that cluster.  Leave it out "
	      "for a cluster without authentication." },
	{ .name = "server.port", .type = CONF_INT, .def = "8629", .min = 1,
	  .max = 65535, .arg = "PORT", .group = "This master",
	  .help = "Port to listen on." },
	{ .name = "server.endpoint", .type = CONF_ENDPOINT, .min = 8629,
	  .flags = CONF_REQUIRED, .arg = "URL",
	  .help = "Endpoint under which other masters of this datacenter "
	      "reach this one." },
	{ .name = "master.endpoint", .type = CONF_ENDPOINT_LIST, .min = 8629,
	  .arg = "URL",
	  .help = "Endpoints under which the other datacenter reaches the "
	      "masters of this one.  Without it: those of all masters." },
	{ .name = "server.keyfile", .type = CONF_STRING,
	  .flags = CONF_REQUIRED | CONF_FILE_PATH, .arg = "FILE",
	  .help = "TLS certificate and key of this master." },
	{ .name = "server.client-cafile", .type = CONF_STRING,
	  .flags = CONF_FILE_PATH, .arg = "FILE",
	  .help = "Certificates of the authorities whose client "
	      "certificates are let in." },
	{ .name = "master.jwt-secret", .alias = "master.jwtSecret",
	  .type = CONF_STRING, .flags = CONF_FILE_PATH, .arg = "FILE",
	  .help = "File with the secret of JWTs for masters." },
	{ .name = "monitoring.token", .type = CONF_STRING,
	  .flags = CONF_SECRET, .arg = "TOKEN",
	  .help = "Bearer token that opens metrics and version." },
	{ .name = "mq.type", .type = CONF_ENUM, .def = "direct",
	  .choices = mq_types, .arg = "TYPE",
	  .help = "Kind of message queue." },
	{ .name = "mq.channel-quota", .type = CONF_BYTES, .def = "4GiB",
	  .min = 1024 * 1024, .max = INT64_MAX, .arg = "BYTES",
	  .help = "Disk space of one shard's queue.  A shard that needs more "
	      "is read again later from the log of its DB-server." },
	{ .name = "mq.quota", .type = CONF_BYTES, .def = "0",
	  .max = INT64_MAX, .arg = "BYTES", .check = check_quota,
	  .help = "Disk space of all queues together.  Beyond it the shards "
	      "with the largest queues wait until their targets have taken "
	      "what is queued.  0: what the disk has." },
	{ .name = "wal.max-hold-bytes", .type = CONF_BYTES, .def = "32GiB",
	  .max = INT64_MAX, .arg = "BYTES",
	  .help = "How much of its log a DB-server keeps for a target that "
	      "is away.  Beyond it the shards concerned are compared "
	      "instead.  0: without a bound." },
	{ .name = "wal.max-hold-time", .type = CONF_DURATION, .def = "24h",
	  .max = INT64_C(31536000000), .arg = "DURATION",
	  .help = "How long it does.  0: without a bound." },
	{ .name = "mq.direct-token-ttl", .type = CONF_DURATION, .def = "6h",
	  .min = 60000, .max = INT64_C(31536000000), .arg = "DURATION",
	  .help = "Taken for the sake of the ArangoDB Starter.  This version "
	      "hands out no tokens for message queues." },
	{ .name = "worker.max-initial-sync-tasks", .type = CONF_INT,
	  .def = "16", .min = 1, .max = 100000, .arg = "N",
	  .help = "How many shards of a target are compared or copied at the "
	      "same time." },
	{ .name = "apply.settle", .type = CONF_DURATION, .def = "2s",
	  .max = 600000, .arg = "DURATION",
	  .help = "How long ago a write must have been answered before the "
	      "source may forget it: ArangoDB answers before it is on disk." },
	{ .name = "shard.idle-timeout", .type = CONF_DURATION, .def = "60s",
	  .max = INT64_C(31536000000), .arg = "DURATION",
	  .help = "How long nothing must be written to a shard before its "
	      "processes leave; they come back with the next write.  0: "
	      "never." },
	{ .name = "data.dir", .type = CONF_STRING, .flags = CONF_FILE_PATH,
	  .arg = "DIR", .group = "Process",
	  .help = "Directory of this master.  Without it: $STATE_DIRECTORY, "
	      "else the directory of --pid-file, else "
	      DATA_DIR_DEFAULT "." },
	{ .name = "pid-file", .type = CONF_STRING, .flags = CONF_FILE_PATH,
	  .arg = "FILE", .help = "Write the process id there." },
	{ .name = "user", .type = CONF_STRING, .arg = "USER",
	  .check = check_user_name,
	  .help = "User that the processes become when started as root; the "
	      "supervisor stays root, to read files again." },
	{ .name = "log.file", .type = CONF_STRING, .flags = CONF_FILE_PATH,
	  .arg = "FILE", .group = "Log",
	  .help = "Log to this file instead of standard error; SIGHUP opens "
	      "it again." },
	{ .name = "log.level", .type = CONF_ENUM, .def = "info",
	  .choices = levels, .arg = "LEVEL", .help = "How much is logged." },
	{ .name = "log.stderr", .type = CONF_BOOL,
	  .help = "Log to standard error as well as to --log.file." },
	{ .name = "debug.profile", .type = CONF_BOOL,
	  .help = "Taken for the sake of the ArangoDB Starter.  There is "
	      "nothing to profile over HTTP." },
	{ .name = NULL }
};

static const struct conf_option *const	 tables[] = { options, NULL };

const struct conf_command	cli_run_master = {
	.words = "run master", .tables = tables, .run = run,
	.summary = "Run the daemon of a datacenter.",
	.help = "Runs in the foreground until SIGTERM.  SIGHUP opens the log "
	    "file again and reads certificates and secrets again; what cannot "
	    "be used is reported and the old one kept."
};

/* Every queue has a segment of its own, which are of 1 MiB at least. */
static int
check_quota(const char *value, struct err_msg *m)
{
	uint64_t	 n;

	if (str_to_bytes(value, &n) == 0 && n != 0 && n < QUOTA_MIN)
		return err_set(m, ERR_RANGE, "must be 0 or at least 16MiB");
	return 0;
}

static int
check_user_name(const char *value, struct err_msg *m)
{
	return *value != '\0' ? 0 : err_set(m, ERR_USAGE, "must be the name "
	    "or the number of a user");
}

/* Workers know nothing of the daemon's command line but this. */
static int
run_worker(struct member *m,
    int (*fn)(struct member *m, const struct worker_conf *conf))
{
	const struct daemon_conf *d = daemon_conf_of(m);
	const char *const	  own[] = { d->server_endpoint, NULL };
	struct worker_conf	  w = {
		.data_dir = d->data_dir,
		.cluster_endpoints = d->cluster_endpoints,
		.authenticated = d->cluster_jwt_file != NULL,
		.version = d->version,
		.master_endpoints = d->master_endpoints != NULL &&
		    d->master_endpoints[0] != NULL ? d->master_endpoints : own
	};
	int			  r;

	if ((r = daemon_child_begin(m)) != 0)
		return r;
	return fn(m, &w);
}

static int
inventory(struct member *m)
{
	return run_worker(m, inventory_main);
}

static int
tail(struct member *m)
{
	return run_worker(m, tail_main);
}

static int
send_shard(struct member *m)
{
	return run_worker(m, send_main);
}

static int
link_remote(struct member *m)
{
	return run_worker(m, link_main);
}

static int
receive(struct member *m)
{
	return run_worker(m, receive_main);
}

/* Times of workers: back at once, then slower; five deaths in ten minutes
 * without progress make one failed, tried again every minute (design 2). */
#define WORKER(class_name, fn, phase)					\
	{ .name = (class_name), .main = (fn), .stop_phase = (phase),	\
	  .on_request = true, .backoff_min_ms = 50,			\
	  .backoff_max_ms = 10000, .deaths_max = 5,			\
	  .deaths_window_ms = 600000, .retry_failed_ms = 60000 }

/* In the order of enum daemon_class.  control leaves last: it gives the lease
 * back when nobody works for it any more. */
static const struct mesh_class	 classes[DAEMON_CLASS_COUNT] = {
	[DAEMON_CONTROL] = { .name = "control", .main = control_main,
	    .stop_phase = 1, .backoff_min_ms = 100,
	    .backoff_max_ms = 10000 },
	[DAEMON_API] = { .name = "api", .main = api_main,
	    .stop_phase = 0, .backoff_min_ms = 100, .backoff_max_ms = 10000 },
	[DAEMON_INVENTORY] = WORKER("inventory", inventory, 0),
	[DAEMON_TAIL] = WORKER("tail", tail, 0),
	[DAEMON_SEND] = WORKER("send", send_shard, 0),
	[DAEMON_LINK] = WORKER("link", link_remote, 0),
	[DAEMON_RECEIVE] = WORKER("receive", receive, 0)
};

/* $STATE_DIRECTORY, the directory of the pid file, or the default.  *made is
 * to be freed. */
static const char *
data_dir(const struct conf *c, char **made)
{
	const char	*dir = conf_string(c, "data.dir");
	const char	*pid = conf_string(c, "pid-file"), *slash;

	if (dir != NULL)
		return dir;
	if ((dir = getenv("STATE_DIRECTORY")) != NULL && dir[0] != '\0')
		return dir;
	if (pid != NULL && (slash = strrchr(pid, '/')) != NULL &&
	    slash != pid)
		return *made = xstrndup(pid, (size_t)(slash - pid));
	return DATA_DIR_DEFAULT;
}

static int
run(const struct conf *c, void *context)
{
	const struct cli_context *x = context;
	char			*made = NULL;
	struct daemon_conf	 d = {
		.data_dir = data_dir(c, &made),
		.user = conf_string(c, "user"),
		.pid_file = conf_string(c, "pid-file"),
		.log_file = conf_string(c, "log.file"),
		.log_stderr = conf_bool(c, "log.stderr") != 0,
		.log_level = conf_string(c, "log.level"),
		.cluster_endpoints = conf_list(c, "cluster.endpoint", NULL),
		.cluster_jwt_file = conf_string(c, "cluster.jwt-secret"),
		.port = (uint16_t)conf_int(c, "server.port"),
		.server_endpoint = conf_string(c, "server.endpoint"),
		.master_endpoints = conf_list(c, "master.endpoint", NULL),
		.keyfile = conf_string(c, "server.keyfile"),
		.client_ca_file = conf_string(c, "server.client-cafile"),
		.master_jwt_file = conf_string(c, "master.jwt-secret"),
		.monitoring_token = conf_string(c, "monitoring.token"),
		.max_hold_bytes = conf_bytes(c, "wal.max-hold-bytes"),
		.max_hold_ms = (uint64_t)conf_duration_ms(c,
		    "wal.max-hold-time"),
		.channel_quota = conf_bytes(c, "mq.channel-quota"),
		.queue_quota = conf_bytes(c, "mq.quota"),
		.max_initial_sync = (uint32_t)conf_int(c,
		    "worker.max-initial-sync-tasks"),
		.settle_ms = (uint32_t)conf_duration_ms(c, "apply.settle"),
		.idle_ms = (uint64_t)conf_duration_ms(c,
		    "shard.idle-timeout"),
		.version = PACKAGE_VERSION,
		.build = x->build
	};
	struct err_msg	 m = { "" };
	int		 code;

	if (conf_is_set(c, "master.endpoint") && d.master_endpoints[0] == NULL)
		return cli_usage(c, "--master.endpoint needs a value");
	code = daemon_run(&d, classes, &m);
	free(made);
	return code == 0 ? 0 : cli_fail("%s", m.text);
}
