/*
 * proc.h - the supervisor: a table of processes, kept as the table says.
 *
 * Order of calls: proc_reserve_fds() first of all in main(), before anything
 * is opened; proc_title_init(); super_new(), super_add() for each process,
 * proc_start() for those that are wanted, super_run(), super_free().
 *
 * A child never returns into its parent's stack: it ends with its main
 * function.  The promises between both are in proc/contract.h.
 *
 *	DOWN -> STARTING -> READY -> STOPPING -> DOWN
 *	          |            |
 *	          +- WAITING <-+  restarted after a delay; FAILED after too many
 *
 * Callbacks (changed, rules, hooks) come from super_run() and from nowhere
 * else, with one exception: changed() for the steps that a call of
 * proc_start() and the like takes at once.
 */
#ifndef PROC_PROC_H
#define PROC_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "ipc/rules.h"
#include "proc/child.h"
#include "proc/contract.h"
#include "proc/pollset.h"

struct proc;
struct super;

enum proc_state {
	PROC_DOWN,
	PROC_STARTING,		/* forked, not READY yet */
	PROC_READY,
	PROC_STOPPING,
	PROC_WAITING,		/* ended, to be started again */
	PROC_FAILED,		/* ended too often */
	PROC_STATE_COUNT
};

const char *proc_state_name(enum proc_state state);

/* Phases of the rules of a class, as bits. */
enum {
	PROC_PHASE_STARTING	= 1 << 0,	/* HELLO was exchanged */
	PROC_PHASE_READY	= 1 << 1,
	PROC_PHASE_STOPPING	= 1 << 2,
	PROC_PHASE_ANY		= 7
};

enum proc_restart {
	PROC_RESTART_NEVER,	/* stays down until proc_start() */
	PROC_RESTART_ALWAYS
};

struct proc_class {
	const char	*name;
	/* In the child; returns an enum proc_exit.  arg: of super_add(). */
	int		(*main)(struct proc_child *c, void *arg,
			    struct rbuf *config);
	enum proc_restart restart;
	/* Times in ms; 0: those of contract.h. */
	uint32_t	 ready_ms;
	uint32_t	 drain_ms;
	uint32_t	 term_ms;
	/* Delay of restarts; 0: 1 s to 60 s. */
	uint32_t	 backoff_min_ms, backoff_max_ms;
	/* This many deaths in the window without progress (SIGKILL and SIGTERM
	 * not counted): FAILED, tried again after retry_failed_ms (0: never).
	 * deaths_max 0: never FAILED.  At most PROC_DEATHS_MAX. */
	unsigned	 deaths_max;
	uint32_t	 deaths_window_ms;
	uint32_t	 retry_failed_ms;
	/* Signal for the child when the supervisor dies, 0: none (EOF on the
	 * control socket is enough for who is not stopped). */
	int		 pdeathsig;
	/* Processes of a lower phase are stopped, and gone, first. */
	unsigned	 stop_phase;
	/* Messages of the child beyond the process layer, or NULL; ctx is the
	 * struct proc. */
	const struct msg_rule *rules;
	/* Payload of CONFIG, or NULL: empty. */
	void		(*config)(struct proc *p, struct buf *out);
	/* Descriptors to hand over: fills fds[PROC_FD_OTHERS_MAX], returns how
	 * many.  They stay the supervisor's.  NULL: none. */
	int		(*fds)(struct proc *p, int *fds);
	/* The state, or whether it is paused, has changed. */
	void		(*changed)(struct proc *p, enum proc_state from);
};

#define PROC_DEATHS_MAX	16

/* How the last process of a slot ended. */
struct proc_end {
	bool		 ended;		/* false: never ran, or first run */
	bool		 signaled;
	int		 code;		/* exit code or signal number */
	bool		 was_ready;
	char		 text[640];	/* for people */
	char		 words[512];	/* what it said last, or "" */
};

struct super_hooks {
	void	(*reload)(void *arg);	/* SIGHUP */
	void	(*dump)(void *arg);	/* SIGUSR1 */
	void	(*stopping)(void *arg);	/* super_stop() or SIGTERM, SIGINT */
};

/* Occupy the descriptors that children have by contract. */
void	proc_reserve_fds(void);
/* As many descriptors as the system allows us, instead of the usual 1024, for
 * us and for all children: each child is one, and so is each of its peers. */
void	proc_raise_fd_limit(void);

struct super *super_new(const struct super_hooks *hooks, void *arg);
/* All processes must be down. */
void	super_free(struct super **s);
/*
 * A descriptor with a flock that all children inherit (R24), or -1.  It
 * becomes PROC_FD_DATA_LOCK there.
 */
void	super_set_data_lock(struct super *s, int fd);
/* A new slot, DOWN.  name is copied; it is the child's name in the log. */
struct proc *super_add(struct super *s, const struct proc_class *class,
	    const char *name, void *arg);
/* Until super_stop() and all children are gone.  The code of super_stop(). */
int	super_run(struct super *s);
/* Stop all in phases, then leave super_run(). */
void	super_stop(struct super *s, int code);
bool	super_is_stopping(const struct super *s);
struct pollset *super_pollset(struct super *s);
/* Processes in the order of super_add(); NULL at the end. */
struct proc *super_first(struct super *s);
struct proc *proc_next(struct proc *p);
/* Send RELOAD to all that are READY. */
void	super_reload_children(struct super *s);
/* Log a table of all processes and tell DUMP to all that are READY. */
void	super_dump(struct super *s);

/* 0 (also when it runs already), ERR_BAD_STATE while it stops, or -errno. */
int	proc_start(struct proc *p);
/* STOP, then SIGTERM, then SIGKILL; a paused one is continued. */
void	proc_stop(struct proc *p);
/* SIGKILL.  It is DOWN once it was reaped, and is not restarted. */
void	proc_kill(struct proc *p);
/* SIGSTOP and SIGCONT; changed() tells when it is so.  0 or ERR_BAD_STATE. */
int	proc_pause(struct proc *p);
int	proc_resume(struct proc *p);
/* Take a DOWN or FAILED slot out. */
void	proc_remove(struct proc **p);

const char *proc_name(const struct proc *p);
void	*proc_arg(const struct proc *p);
enum proc_state proc_state(const struct proc *p);
bool	proc_is_paused(const struct proc *p);
/* 0 when there is no process. */
pid_t	proc_pid(const struct proc *p);
uint32_t proc_generation(const struct proc *p);
/* Has a process of this slot ever said that it achieved something? */
bool	proc_is_proven(const struct proc *p);
const struct proc_end *proc_end(const struct proc *p);
/* Connection to the child; NULL when there is none. */
struct peer *proc_peer(struct proc *p);
struct super *proc_super(struct proc *p);
/* Not for main functions: what happens in the child.  Does not return. */
void	proc_child_run(const struct proc_class *class, const char *name,
	    void *arg, uint32_t generation, int control_fd, int lock_fd,
	    const int *fds, int nfds) __attribute__((noreturn));

#endif
