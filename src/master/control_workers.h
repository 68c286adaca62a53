/*
 * control_workers.h - the processes that do the work, as control sees them:
 * inventory, tail, send, link, receive.
 *
 * A worker belongs to whoever started it (its owner), who gives it messages
 * and reads its status; this file keeps it running, connected and with a token
 * that ends with the leader's lease (R23).  Only the leader has workers.
 *
 * Nothing here waits.  Callbacks come from the loop, never from inside of the
 * functions below.
 */
#ifndef MASTER_CONTROL_WORKERS_H
#define MASTER_CONTROL_WORKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/map.h"
#include "ipc/rules.h"
#include "master/control.h"
#include "proc/proc.h"

struct control_worker;
struct json_object;
struct peer;

/* All may be NULL. */
struct control_worker_ops {
	/* Messages beyond those of control_workers.c; ctx is the struct
	 * control_worker. */
	const struct msg_rule *rules;
	/* Connected (again): it has got a token; tell it all it must know. */
	void	(*connected)(struct control_worker *w);
	/* w->status is new. */
	void	(*status)(struct control_worker *w);
	/* w->state or w->sentence is new, or the connection was lost. */
	void	(*changed)(struct control_worker *w);
	/* It has left, and sleeps now (true); or something has come, and it
	 * stays. */
	void	(*left)(struct control_worker *w, bool asleep);
	/* Stopped by control_worker_stop(), and its process is no more; w is
	 * freed after this returns. */
	void	(*gone)(struct control_worker *w);
};

struct control_worker {
	struct control	*c;
	char		*name;
	unsigned	 class;		/* enum daemon_class */
	struct peer	*peer;		/* NULL while it is away */
	struct json_object *status;	/* the last one, or NULL; of a shard's:
					 * see control_worker_status() */
	uint64_t	 status_ms;	/* when it came (loop_now_ms()) */
	enum proc_state	 state;		/* PROC_DOWN before the first news */
	uint32_t	 generation;
	uint64_t	 since_us;	/* it is wanted; wall clock */
	uint32_t	 starts;	/* processes that it has had */
	const char	*sentence;	/* about its last end, or "" */
	/*
	 * It has left because it had nothing to do (R24): there is no process,
	 * and the status is its last one.  Waking: it is on its way back, and
	 * until it runs, or not soon enough, the status is still that.
	 */
	bool		 asleep, waking;
	bool		 may_leave;	/* it was told so */
	const struct control_worker_ops *ops;
	void		*owner;

	/* below: of control_workers.c */
	char		*text;		/* status of a shard's, or NULL */
	char		 word[16];	/* its "state" */
	bool		 has_error;	/* its "error" is not "" */
	uint64_t	 queue_bytes;	/* its member of that name */
	char		**peers;
	size_t		 npeers;
	struct buf	 config;
	bool		 started;	/* MSG_MESH_START was sent */
	bool		 again;		/* start it when it is down */
	bool		 leaving;	/* control_worker_stop() was called */
	uint64_t	 lost_ms;	/* its connection; 0: it is there */
	bool		 wake_early;	/* wanted while it was about to leave */
	uint64_t	 woken_ms;
	struct json_object *next_status;	/* while it is waking */
	struct control_worker *next_leaving;
};

/*
 * A new worker; everything but ops and owner is copied.  A name that is in use
 * is a bug; one that is just being stopped starts when that is done.  Never
 * NULL: what goes wrong is seen in state and sentence, and is tried again.
 * To be called by the leader only (control_is_leader()).
 */
struct control_worker *control_worker_start(struct control *c,
	    const char *name, unsigned class, const char *const *peers,
	    size_t npeers, const struct buf *config,
	    const struct control_worker_ops *ops, void *owner);
/* Stop it and start it with another list and configuration; without effect
 * when both are as before. */
void	control_worker_restart(struct control_worker *w,
	    const char *const *peers, size_t npeers,
	    const struct buf *config);
/* Another configuration for its next start; what runs stays as it is. */
void	control_worker_update(struct control_worker *w,
	    const struct buf *config);
/* Not found any more from now on; freed when it is down, after gone(). */
void	control_worker_stop(struct control_worker *w);
/* It sleeps, or is about to: start it again, soon.  Else it stays for some
 * seconds more. */
void	control_worker_wake(struct control_worker *w);
/* Sleeping, or on its way back. */
bool	control_worker_is_resting(const struct control_worker *w);
/* No callback any more; for owners that go before their worker does. */
void	control_worker_disown(struct control_worker *w);

/* NULL when there is none (those that are being stopped are not found). */
struct control_worker *control_worker_find(const struct control *c,
	    const char *name);
/* it.value is the struct control_worker:
 * MAP_FOREACH(control_workers(c), it) */
const struct map *control_workers(const struct control *c);

/* 0, or ERR_CLOSED while it is away; b (may be NULL: empty) is emptied. */
int	control_worker_send(struct control_worker *w, uint16_t type,
	    uint32_t id, struct buf *b);
/*
 * The last status, or NULL; valid until that of another worker is asked for.
 * There may be thousands of shards: theirs are kept as text, with what is asked
 * for all the time beside it.
 */
struct json_object *control_worker_status(const struct control_worker *w);
/* Member of the last status, "" when there is none; valid as long. */
const char *control_worker_word(const struct control_worker *w,
	    const char *member);

/* ---- for control.c ------------------------------------------------------ */

void	control_workers_init(struct control *c);
/* Connected with a process that is not the api; fd is taken. */
void	control_workers_connected(struct control *c, const char *name,
	    unsigned class, uint32_t generation, int fd);
/* Their owners hear nothing any more; for tests. */
void	control_workers_free(struct control *c);
/* We lead (again): what runs and belongs to nobody is stopped after a
 * while. */
void	control_workers_begin(struct control *c);
/* We do not lead any more: all of them stop, now. */
void	control_workers_end(struct control *c);

#endif
