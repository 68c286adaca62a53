/* super_priv.h - insides of the supervisor, for super.c and its tests */
#ifndef PROC_SUPER_PRIV_H
#define PROC_SUPER_PRIV_H

#include <sys/queue.h>

#include "base/map.h"
#include "ev/backoff.h"
#include "ipc/peer.h"
#include "proc/pollset.h"
#include "proc/proc.h"

struct proc {
	TAILQ_ENTRY(proc)	 next;
	struct super		*super;
	const struct proc_class	*class;
	char			*name;
	void			*arg;
	enum proc_state		 state;
	struct poll_timer	 timer;		/* deadline of state */

	/* the running process */
	pid_t			 pid;		/* 0: none */
	uint32_t		 generation;
	struct peer		*peer;
	struct poll_fd		*watch;
	uint64_t		 started_ms;
	uint64_t		 ready_at_ms;
	bool			 greeted;	/* HELLO came */
	bool			 was_ready;
	bool			 paused;
	bool			 bad_frame;	/* what ends it */
	bool			 killed;	/* by us: no restart */
	int			 stop_signal;	/* next one to send */
	char			 last_words[512];

	/* those before it */
	struct proc_end		 end;
	struct backoff		 backoff;
	uint64_t		 deaths[PROC_DEATHS_MAX];
	unsigned		 n_deaths;	/* in the window */
	bool			 immediate;	/* was restarted at once */
	bool			 proven;	/* one of them had progress */
};

struct super {
	struct pollset		*ps;
	struct super_hooks	 hooks;
	void			*arg;
	TAILQ_HEAD(, proc)	 procs;
	struct map		 pids;		/* pid -> struct proc */
	uint32_t		 last_generation;
	int			 data_lock;
	bool			 stopping;
	bool			 in_stop;	/* in super_stop_next() */
	unsigned		 phase;		/* that stops now, */
	size_t			 phase_left;	/* so many still run of it */
	int			 code;
	struct poll_timer	 nag;
};

void	super_stop_next(struct super *s);

#endif
