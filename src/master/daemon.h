/*
 * daemon.h - `arangosync run master`: the supervisor of a datacenter's daemon.
 *
 * The supervisor does nothing clever (design, section 2; rules R24, R25): it
 * holds the configuration, the locks of the data directory and the listening
 * socket, opens the files that hold secrets without reading them, and keeps
 * its children.  control decides; the supervisor obeys (proc/mesh.h).
 */
#ifndef MASTER_DAEMON_H
#define MASTER_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "proc/mesh.h"

/* Kinds of processes; numbers of the table given to daemon_run(). */
enum daemon_class {
	DAEMON_CONTROL,
	DAEMON_API,
	/* Started by control when there is work for them. */
	DAEMON_INVENTORY,
	DAEMON_TAIL,
	DAEMON_SEND,
	DAEMON_LINK,
	DAEMON_RECEIVE,
	DAEMON_CLASS_COUNT
};

/* Names of the two that are always there.  Others are called after their class
 * and what they work on: "tail PRMR-...", "send shop/orders/3". */
#define DAEMON_CONTROL_NAME	"control"
#define DAEMON_API_NAME		"api"

/* Files that the supervisor opens: what they are called in MSG_MESH_FILE. */
#define DAEMON_FILE_LISTEN	"listen"	/* api: the bound, listening
						 * socket */
#define DAEMON_FILE_KEYFILE	"server.keyfile"	/* api */
#define DAEMON_FILE_CLIENT_CA	"server.client-cafile"	/* api */
#define DAEMON_FILE_MASTER_JWT	"master.jwt-secret"	/* api, control */
#define DAEMON_FILE_CLUSTER_JWT	"cluster.jwt-secret"	/* control, api */

/*
 * What the command line and the configuration file said.  Made before the
 * first fork and never changed after it; children read their copy
 * (member->arg).  Strings and lists live as long as the process.
 */
struct daemon_conf {
	const char	*data_dir;
	const char	*user;			/* NULL: stay who we are */
	const char	*pid_file;		/* NULL: none */
	const char	*log_file;		/* NULL: standard error */
	bool		 log_stderr;		/* as well */
	const char	*log_level;

	const char *const *cluster_endpoints;	/* coordinators; NULL ends */
	const char	*cluster_jwt_file;	/* NULL: no authentication */

	uint16_t	 port;
	const char	*server_endpoint;	/* under which masters of this DC
						 * reach us */
	const char *const *master_endpoints;	/* ... and the other DC; empty:
						 * server_endpoint */
	const char	*keyfile;
	const char	*client_ca_file;	/* NULL: no client certificates */
	const char	*master_jwt_file;	/* NULL: no JWTs of ours */
	const char	*monitoring_token;	/* NULL: none */
	/* What a target that is away may cost (R3, R4); 0: no bound. */
	uint64_t	 max_hold_bytes, max_hold_ms;	/* per DB-server */
	uint64_t	 channel_quota;		/* bytes of one queue */
	uint64_t	 queue_quota;		/* of all of them */
	uint32_t	 max_initial_sync;	/* shards repaired at a time */
	uint32_t	 settle_ms;		/* R14 */
	uint64_t	 idle_ms;		/* then shards' processes leave
						 * (R24); 0: never */
	const char	*version;		/* "0.1.0" */
	const char	*build;
};

/*
 * Run until SIGTERM.  Returns the exit code: 0, or 1 with a sentence in m
 * about what cannot be used (data directory, lock, port, file, cluster); the
 * log file has it, too, and nothing was changed.  classes has
 * DAEMON_CLASS_COUNT rows and outlives the call.
 */
int	daemon_run(const struct daemon_conf *conf,
	    const struct mesh_class *classes, struct err_msg *m);

/*
 * First thing in the main function of a child: gives up root when --user says
 * so.  0, or the exit code to return.
 */
int	daemon_child_begin(struct member *m);

static inline const struct daemon_conf *
daemon_conf_of(const struct member *m)
{
	return m->arg;
}

#endif
