/*
 * child.h - the child's side of proc/contract.h.
 *
 * A class's main function gets a struct proc_child with a loop that is set up
 * and a configuration that arrived.  It calls proc_child_ready() as soon as it
 * serves, runs the loop, and returns its exit code.
 */
#ifndef PROC_CHILD_H
#define PROC_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/rules.h"
#include "proc/contract.h"

struct loop;
struct peer;

enum proc_stop_why {
	PROC_STOP_ASKED,	/* STOP or SIGTERM */
	PROC_STOP_ORPHANED	/* EOF from the supervisor */
};

struct proc_child {
	const char	*name;
	uint32_t	 generation;
	struct loop	*loop;
	struct peer	*boss;		/* the supervisor */
	bool		 stopping;	/* asked to, or orphaned */
	bool		 orphaned;

	/* below: of child.c */
	bool		 ready;
	void		(*on_stop)(void *, enum proc_stop_why);
	void		*on_stop_arg;
	void		(*on_reload)(void *);
	void		*on_reload_arg;
	void		(*on_dump)(void *);
	void		*on_dump_arg;
	const struct msg_rule *rules;
	void		*rules_ctx;
	struct loop_signal *sigterm;
	struct buf	*config;
};

void	proc_child_ready(struct proc_child *c);
/* It achieved something: earlier deaths are forgiven. */
void	proc_child_progress(struct proc_child *c);
/* Log, tell the supervisor, return code. */
int	proc_child_fail(struct proc_child *c, enum proc_exit code,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int	proc_child_fail_text(struct proc_child *c, enum proc_exit code,
	    const char *text);
/*
 * Called from the loop: stop at most once (without it loop_stop() is called),
 * reload on SIGHUP and dump on SIGUSR1 of the supervisor.
 */
void	proc_child_on_stop(struct proc_child *c,
	    void (*fn)(void *, enum proc_stop_why), void *arg);
void	proc_child_on_reload(struct proc_child *c, void (*fn)(void *),
	    void *arg);
void	proc_child_on_dump(struct proc_child *c, void (*fn)(void *), void *arg);
/* What the class's conversation allows the supervisor to say; phases are 1. */
void	proc_child_set_rules(struct proc_child *c, const struct msg_rule *rules,
	    void *ctx);

#endif
