/*
 * worker.h - what inventory, tail, send, link and receive have in common: a
 * connection to control, a token for the own cluster, a status.
 *
 *	int
 *	tail_main(struct member *m, const struct worker_conf *conf)
 *	{
 *		struct worker	*w = worker_new(m, conf, &ops, arg);
 *		...
 *		return worker_run(w);
 *	}
 *
 * Workers hold no secret: control gives them short-lived tokens that end with
 * the leader's lease (R23, R25).
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arango/conn.h"
#include "base/buf.h"
#include "ipc/rules.h"
#include "proc/member.h"
#include "sync/position.h"

struct json_object;
struct peer;
struct worker;

/* Inherited from the supervisor, the same for all workers of a daemon. */
struct worker_conf {
	const char	*data_dir;
	const char *const *cluster_endpoints;	/* coordinators of our own */
	bool		 authenticated;		/* the cluster wants tokens */
	const char	*version;		/* ours, "0.1.0" */
	/* Under which masters of this datacenter are reached from the other
	 * one; NULL: not known. */
	const char *const *master_endpoints;
};

struct worker_ops {
	/* Messages of control beyond those of worker.c; ctx is the arg. */
	const struct msg_rule *rules;		/* or NULL */
	/* Connected with control (again): the status was sent already. */
	void	(*control)(void *arg, struct peer *control);	/* or NULL */
	/* Connected with somebody else; fd is ours. */
	void	(*connect)(void *arg, const char *name, unsigned class,
		    uint32_t generation, int fd);		/* or NULL */
	/* Stop: drain, sync, then worker_done().  When orphaned there is a
	 * second at most (R24).  NULL: worker_done() at once. */
	void	(*stop)(void *arg, enum proc_stop_why why);
	/* A line about yourself for SIGUSR1; or NULL. */
	void	(*dump)(void *arg);
};

/*
 * ops must live as long as the worker.  READY is said by worker_run(), so
 * everything may be set up between both.
 */
struct worker *worker_new(struct member *m, const struct worker_conf *conf,
	    const struct worker_ops *ops, void *arg);
/* Until worker_done(); the exit code. */
int	worker_run(struct worker *w);
/* Leave worker_run().  code: enum proc_exit; sentence (may be NULL) for what
 * is not PROC_EXIT_OK. */
void	worker_done(struct worker *w, int code, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
bool	worker_is_stopping(const struct worker *w);

struct loop *worker_loop(const struct worker *w);
const struct worker_conf *worker_get_conf(const struct worker *w);
/* Something was achieved: restarts are counted anew (R24). */
void	worker_progress(struct worker *w);

/*
 * The own cluster with the present token; calls made before the first token
 * came wait for it.  Owned by the worker.
 */
struct arango *worker_cluster(struct worker *w);
/* Ends all calls that carry it when the process is to stop at once. */
struct arango_cancel *worker_cancel(struct worker *w);

/* NULL while control is away: it comes back. */
struct peer *worker_control(const struct worker *w);
/*
 * The whole status, a JSON object (taken over).  Sent when it differs from the
 * last one, at most every 250 ms, and again when control comes back.
 * Members every status has: "state" (a word), "error" (a sentence, or absent).
 */
void	worker_status(struct worker *w, struct json_object *status);
/* An empty message to control; nothing when it is away. */
void	worker_say(struct worker *w, uint16_t type);

/*
 * A send or receive that has had nothing to do for long asks control to leave
 * (MSG_WORKER_LEAVE_REQ; tick: of its last record).  Answered with
 * MSG_WORKER_LEAVE_ANS(true), it looks again, tells its other peers that it
 * sleeps, and says so (left true); or that something has come (false).  Then
 * it is stopped, and until that has come it does nothing any more.
 */
void	worker_ask_leave(struct worker *w, uint64_t tick);
void	worker_say_left(struct worker *w, bool left);

/* ---- a place of the target (MSG_WORKER_TARGET) --------------------------- */

#define WORKER_COPIES_MAX	8	/* of more, the first ones */

/* A DB-server with a copy that is in sync. */
struct worker_copy {
	char		 server[POS_SERVER_SIZE];
	uint64_t	 reboot_id;
};

/* Where a receive writes.  server "" : nobody leads just now. */
struct worker_target {
	char		 cid[24];		/* of the target's collection */
	char		 coll[288];		/* its name, for people */
	char		 shard[64];		/* "s10050" */
	char		 server[POS_SERVER_SIZE];
	char		 url[256];
	uint64_t	 reboot_id;
	/* Who may lead next, and since which start (R14). */
	uint32_t	 ncopies;
	struct worker_copy copies[WORKER_COPIES_MAX];
};
void	worker_target_put(struct buf *b, const struct worker_target *t);
int	worker_target_get(struct rbuf *m, struct worker_target *t);

#endif
