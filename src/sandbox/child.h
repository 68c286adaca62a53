/*
 * child.h - what a server process of the sandbox gets from its supervisor,
 * and how it answers.
 *
 * The boss (boss.c) forks one process per server.  The child gets here with
 * all foreign descriptors closed, signals reset, its log going to
 * DIR/<name>/log and an event loop of its own; then one of agent_main(),
 * coordinator_main(), dbserver_main() runs:
 *
 *	int
 *	dbserver_main(struct sb_child *c)
 *	{
 *		... open the store in c->store_dir, sb_server_new(c, ...)
 *		if (failed)
 *			return sb_child_fail(c, PROC_EXIT_STORAGE, "...");
 *		sb_child_on_prune(c, my_prune, my);
 *		sb_child_on_quit(c, my_quit, my);
 *		... as soon as it serves (also from a fiber, later):
 *		sb_child_ready(c);
 *		loop_run(c->loop);
 *		... close the store
 *		return PROC_EXIT_OK;
 *	}
 *
 * The order of start is agent1, then all DB-servers and coordinators at once;
 * agent1 is READY before the others are forked.  A server that is started
 * later must reckon with an agent that is down or paused.
 *
 * Ports.  The boss keeps a bound socket, never a listening one, for each
 * server as long as it runs, so that nobody else gets the port by chance
 * while the server is down; it refuses connections, as a dead server does.
 * listen_fd is a second socket on the same port (SO_REUSEADDR), made in the
 * child: bound, close-on-exec, non-blocking, not yet listening.  It dies with
 * the child.
 */
#ifndef SANDBOX_CHILD_H
#define SANDBOX_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "proc/contract.h"

struct loop;
struct proc_child;

enum sb_kind {
	SB_KIND_AGENT,
	SB_KIND_COORDINATOR,
	SB_KIND_DBSERVER,
	SB_KIND_COUNT
};

/* "agent", "coordinator", "dbserver": as in cluster.json and in names. */
const char *sb_kind_name(enum sb_kind kind);

enum sb_fault_kind {
	SB_FAULT_NONE,		/* forget all faults */
	SB_FAULT_DELAY,		/* answer after delay_ms */
	SB_FAULT_DROP,		/* execute, then close without an answer */
	SB_FAULT_REFUSE,	/* close without executing or answering */
	SB_FAULT_503,		/* answer 503 without executing */
	SB_FAULT_COUNT
};

struct sb_fault {
	enum sb_fault_kind kind;
	uint32_t	 delay_ms;
	const char	*path;	/* prefix of the path, "" for all; raw, with
				 * /_db/<db>; valid during the call only */
	uint32_t	 count;	/* that many requests; 0: until changed */
};

struct sb_prune_result {
	uint64_t	 removed;	/* WAL files dropped */
	uint64_t	 kept;		/* WAL files that are still there */
};

/* Why a server has to end. */
enum sb_quit {
	SB_QUIT_STOP,		/* the supervisor or SIGTERM said so */
	SB_QUIT_ORPHANED	/* the supervisor is gone */
};

typedef int	sb_fault_fn(void *arg, const struct sb_fault *f);
typedef int	sb_prune_fn(void *arg, struct sb_prune_result *out,
		    struct err_msg *msg);
typedef void	sb_quit_fn(void *arg, enum sb_quit why);

struct sb_child {
	/* who am I */
	const char	*name;		/* "dbserver1" */
	enum sb_kind	 kind;
	unsigned	 number;	/* the 1 of dbserver1 */
	const char	*id;		/* "PRMR-<uuid>", CRDN-, AGNT- */
	const char	*cluster_id;	/* a uuid, for /Cluster */
	const char	*dir;		/* DIR/<name>, absolute, exists */
	const char	*store_dir;	/* DIR/<name>/rocksdb, may not exist;
					 * power-cut cuts the log there
					 * (store_power_cut()) */
	bool		 first_start;	/* never was READY before */

	/* where do I serve */
	int		 listen_fd;	/* bound, not listening; the child's */
	uint16_t	 port;
	const char	*endpoint;	/* own: "http://127.0.0.1:8539" */
	const char	*agency_endpoint; /* the agent's: same form */

	/* the cluster's shape and options */
	unsigned	 coordinators;	/* how many */
	unsigned	 dbservers;
	const char	*version;	/* "3.11.8" */
	bool		 enterprise;
	const char	*auth_file;	/* JWT secret file; NULL: no --auth */
	const char	*root_password;	/* "" unless given */
	const char	*tls_keyfile;	/* NULL: plain HTTP */
	uint32_t	 merge_window_us; /* 0: one loop iteration */

	struct loop	*loop;		/* of this process, not yet running */

	/* below: of child.c */
	struct proc_child *proc;
	sb_fault_fn	*fault_fn;
	void		*fault_arg;
	sb_prune_fn	*prune_fn;
	void		*prune_arg;
	sb_quit_fn	*quit_fn;
	void		*quit_arg;
};

/*
 * The server answers requests: the command that waits for it returns.  Once
 * per process; a server that does not get here within SB_READY_MS is killed.
 */
void	sb_child_ready(struct sb_child *c);

/*
 * Log a sentence, tell it the supervisor (whoever waits for the start gets it
 * to read), and return code, so that a main function ends with
 * `return sb_child_fail(...)`.
 */
int	sb_child_fail(struct sb_child *c, enum proc_exit code,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/*
 * A write to the disk failed: nobody knows what is there now, so nothing more
 * is answered.  Tells as above and ends the process at once; its next start
 * reads what the disk has.
 */
void	sb_child_storage_failed(struct sb_child *c, const char *why)
	    __attribute__((noreturn));

/*
 * Callbacks; they run from the loop, never from inside these calls.  A server
 * without one answers the command with a refusal.  Fault: 0 or negative.
 * Prune: synchronous, 0 and the counts, or negative and a sentence.  Quit: at
 * most once; begin to end and see to it that the main function returns soon
 * (1 s when orphaned).  Without a quit callback loop_stop() is called.
 */
void	sb_child_on_fault(struct sb_child *c, sb_fault_fn *fn, void *arg);
void	sb_child_on_prune(struct sb_child *c, sb_prune_fn *fn, void *arg);
void	sb_child_on_quit(struct sb_child *c, sb_quit_fn *fn, void *arg);

/* The servers; each returns an enum proc_exit. */
int	agent_main(struct sb_child *c);		/* agent.c */
int	coordinator_main(struct sb_child *c);	/* coordinator.c */
int	dbserver_main(struct sb_child *c);	/* dbserver.c */

/* Deadline from fork to READY: a big log may have to be replayed. */
#define SB_READY_MS	60000

#endif
