/*
 * cmd.h - the command line of arangosync-sandbox.
 *
 *	main.c		table of commands
 *	cmd.c		asking the supervisor; what several commands need
 *	cmd_run.c	start a cluster
 *	cmd_server.c	kill, start, pause, resume, power-cut, prune-wal, fault
 *	cmd_status.c	status, stop
 *	cmd_move.c	move-shard
 *
 * Every function returns an exit code: 0 good, 1 failed, 2 usage.
 */
#ifndef SANDBOX_CMD_H
#define SANDBOX_CMD_H

#include <stdint.h>

#include <json-c/json_object.h>

#include "base/buf.h"
#include "base/err.h"

struct conf;

#define CMD_WAIT_MS	60000	/* start, resume, move-shard */

int	cmd_run(const struct conf *c, void *context);
int	cmd_status(const struct conf *c, void *context);
int	cmd_stop(const struct conf *c, void *context);
int	cmd_kill(const struct conf *c, void *context);
int	cmd_start(const struct conf *c, void *context);
int	cmd_pause(const struct conf *c, void *context);
int	cmd_resume(const struct conf *c, void *context);
int	cmd_power_cut(const struct conf *c, void *context);
int	cmd_move_shard(const struct conf *c, void *context);
int	cmd_prune_wal(const struct conf *c, void *context);
int	cmd_fault(const struct conf *c, void *context);

/* A sentence to standard error, after the name of the program. */
void	cmd_complain(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));

/*
 * Ask the supervisor of the cluster in dir; body is consumed.  0 with its
 * exit code and text (free() it); ERR_NOT_FOUND when none runs there;
 * ERR_TIMEOUT; other negative numbers.  Nothing is printed.  linger: return
 * only after the supervisor has ended.
 */
int	cmd_ask(const char *dir, uint16_t type, struct buf *body,
	    uint32_t timeout_ms, int linger, int *code, char **text);
/* As cmd_ask, everything that went wrong said; the exit code.  The text of
 * the answer goes to standard output when it is good. */
int	cmd_ask_and_tell(const char *dir, uint16_t type, struct buf *body,
	    uint32_t timeout_ms);

/* DIR/cluster.json, parsed, or NULL after a sentence. */
struct json_object *cmd_cluster(const char *dir);
/* The entry of a server; NULL when there is none of that name. */
struct json_object *cmd_cluster_server(struct json_object *cluster,
	    const char *name);

struct http_result;
/*
 * One HTTP request to a server of the cluster, as superuser when the cluster
 * has --auth.  body may be NULL.  0 and *res (http_result_free() it in any
 * case), or negative.
 */
int	cmd_http(struct json_object *cluster, const char *endpoint,
	    const char *method, const char *path, const char *body,
	    uint32_t timeout_ms, struct http_result *res);
/* Wait until the server answers that it is available.  Exit code. */
int	cmd_wait_available(const char *dir, const char *name,
	    uint64_t deadline_ms);

#endif
