/*
 * mesh.h - the supervisor's side of processes that talk to each other: who
 * exists, who is connected with whom.
 *
 * A member is a child of the supervisor (proc/proc.h) with a name, a class and
 * a list of names of members that it wants to talk to.  Whenever both ends of
 * such a wish are READY, the supervisor makes a socketpair and sends one end
 * to each (MSG_MESH_CONNECT); when one of them dies, the other sees its end
 * closed and gets a new one once the dead has come back.  So nobody holds a
 * descriptor that was not on a list, and the lists are the complete map of who
 * may talk.
 *
 * One member, the governor, may start and stop others by message and is told
 * of every change of state.  Members that the supervisor added itself (the
 * governor among them) cannot be stopped by message.
 */
#ifndef PROC_MESH_H
#define PROC_MESH_H

#include <stdint.h>

#include "proc/member.h"
#include "proc/proc.h"

struct mesh;

#define MESH_NAME_MAX		512	/* bytes, with the NUL */
#define MESH_PEERS_MAX		16	/* wishes of one member */
#define MESH_CONFIG_MAX		(512 * 1024)
/* What the log file is called when it was opened again. */
#define MESH_FILE_LOG		"log"

/* One row per kind of process; its number is its place in the table. */
struct mesh_class {
	const char	*name;		/* "tail" */
	/* In the child; returns an enum proc_exit. */
	int		(*main)(struct member *m);
	unsigned	 stop_phase;	/* see struct proc_class */
	bool		 on_request;	/* the governor may start it */
	/* Zero: the defaults of proc_class. */
	uint32_t	 backoff_min_ms, backoff_max_ms;
	unsigned	 deaths_max;
	uint32_t	 deaths_window_ms, retry_failed_ms;
};

/*
 * classes must outlive the mesh.  arg is given to children as member->arg:
 * memory of the supervisor that they inherit, such as its configuration.
 */
struct mesh *mesh_new(struct super *super, const struct mesh_class *classes,
	    size_t nclasses, void *arg);
/* All processes must be down. */
void	mesh_free(struct mesh **m);
/*
 * Add a member of the supervisor's own and start it.  peers: names, may be
 * of members to come.  0 or negative.
 */
int	mesh_add(struct mesh *m, const char *name, size_t class,
	    const char *const *peers, size_t npeers);
/* That member may say MSG_MESH_START and MSG_MESH_STOP. */
void	mesh_set_governor(struct mesh *m, const char *name);
/*
 * Send a descriptor to a member, which stays the supervisor's: at once when
 * the member runs, and in any case each time it starts.  What the file is
 * called is a matter between both.  open_fn is called for each sending and
 * returns a descriptor or -errno, so that a file that was replaced is opened
 * anew; a failure is logged by the caller's function.
 */
void	mesh_give_file(struct mesh *m, const char *member, const char *what,
	    int (*open_fn)(void *arg), void *arg);
/*
 * One of the supervisor's own members ended with PROC_EXIT_CONFIG before any
 * process of its name had progress: what the daemon was started with cannot
 * be used, and trying again is of no use.  Without this they are restarted
 * like all others.  Stopping the supervisor is up to fn.
 */
void	mesh_on_give_up(struct mesh *m,
	    void (*fn)(void *arg, const char *sentence), void *arg);
/*
 * SIGHUP: send the descriptor of the log, which may be new, and all files
 * again, then RELOAD, to all members.
 */
void	mesh_reload(struct mesh *m);

#endif
