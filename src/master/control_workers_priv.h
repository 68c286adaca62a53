/*
 * control_workers_priv.h - what the files of control_workers share
 *
 * Names belong to slots, which know what the supervisor says about the process
 * of that name, whether we have started it or an earlier control has.  A
 * worker is what we want of a name; a slot has one at most, and while that of
 * before is being stopped, the next one waits.
 */
#ifndef MASTER_CONTROL_WORKERS_PRIV_H
#define MASTER_CONTROL_WORKERS_PRIV_H

#include <sys/queue.h>

#include "ev/loop.h"
#include "master/control_workers.h"

/* A process that could not be started (no memory, no process). */
#define WORKERS_START_AGAIN_MS		1000
/* So long one that was woken is shown as it was before. */
#define WORKERS_WAKING_MS		10000

struct slot {
	TAILQ_ENTRY(slot) next_touched, next_queued;
	struct control	*c;
	char		*name;
	unsigned	 class;
	enum proc_state	 state;
	uint32_t	 generation;
	uint32_t	 sum;		/* of what runs */
	const char	*sentence;	/* never NULL */
	struct control_worker *worker;	/* wanted; or NULL */
	struct control_worker *leaving;	/* stopped before; a list */
	bool		 stopping;	/* MSG_MESH_STOP was sent */
	bool		 told;		/* the supervisor has named it */
	bool		 touched;	/* to be looked at */
	bool		 queued;	/* to be started when others are up */
	bool		 counted;	/* in pool->starting */
	int		 fd;		/* connection nobody has taken; -1 */
	uint64_t	 not_before_ms;	/* started again */
};

struct control_pool {
	struct control	*c;
	struct map	 slots;		/* by name */
	struct map	 workers;	/* by name: those that are wanted */
	bool		 on;
	uint64_t	 since_ms;	/* first seen, or on, since */
	size_t		 starting;	/* on their way to READY */
	/* There may be thousands, so those that nothing has happened to are
	 * not looked at. */
	TAILQ_HEAD(, slot) touched;
	TAILQ_HEAD(, slot) queued;
	struct loop_timer *tick;
	unsigned	 ticks;
	struct loop_task reap;
	/* A status that was kept as text, as it was asked for last. */
	struct json_object *parsed;
	const struct control_worker *parsed_of;
	/* the token of now */
	char		*token;
	uint64_t	 token_until_ms, token_made_ms;
	bool		 token_busy;
};

/* ---- control_workers_slots.c --------------------------------------------- */

/* The slot of that name, made when there is none. */
struct slot *workers_slot_of(struct control_pool *p, const char *name,
	    unsigned class);
/* Something has happened to it: it is looked at, soon. */
void	workers_slot_touch(struct slot *s);
/* "" takes no memory; NULL: it is freed. */
void	workers_set_sentence(const char **sentence, const char *text);
/* Its process is to end. */
void	workers_slot_stop(struct slot *s);
/* With its workers, who hear nothing of it. */
void	workers_slot_free(struct slot *s);
/* Loop task: looks at all that were touched. */
void	workers_settle(void *pool);
/* Of list and configuration of a worker, as the supervisor tells it. */
uint32_t workers_sum_of(const struct control_worker *w);
/* For member_on_state(). */
void	workers_on_member_state(void *control, const char *name,
	    unsigned class, unsigned state, uint32_t generation,
	    const char *sentence, uint32_t sum);

/* ---- control_workers_talk.c ---------------------------------------------- */

void	workers_token_forget(struct control_pool *p);
/* To one that has just been connected. */
void	workers_token_send(struct control_pool *p, struct control_worker *w);
/* When it is time to. */
void	workers_token_renew(struct control_pool *p);
/* A status has come, or counts now; the object is taken. */
void	workers_take_status(struct control_worker *w, struct json_object *o);
void	workers_changed(struct control_worker *w);
/* Connected; fd is taken. */
void	workers_take_fd(struct control_worker *w, int fd);
/* A process that runs without a connection is restarted. */
void	workers_restart_lost(struct slot *s, uint64_t now_ms);

#endif
