/*
 * member.h - the child's side of a mesh (proc/mesh.h).
 *
 *	static int
 *	tail_main(struct member *m)
 *	{
 *		member_on_connect(m, my_connect, my);
 *		member_ready(m);
 *		loop_run(m->child->loop);
 *		return PROC_EXIT_OK;
 *	}
 */
#ifndef PROC_MEMBER_H
#define PROC_MEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proc/child.h"

struct member;

/* Another member can be talked to: fd is ours, a stream socket. */
typedef void	member_connect_fn(void *arg, const char *name, unsigned class,
		    uint32_t generation, int fd);
/* A file that the supervisor opened for us: fd is ours. */
typedef void	member_file_fn(void *arg, const char *what, int fd);
/*
 * For the governor: a member has changed its state (enum proc_state).  sum:
 * member_sum() of what its process was started with, so that a governor that
 * was restarted knows whether those that run are as it wants them.
 */
typedef void	member_state_fn(void *arg, const char *name, unsigned class,
		    unsigned state, uint32_t generation, const char *sentence,
		    uint32_t sum);

struct member {
	struct proc_child *child;	/* loop, name, generation */
	void		*arg;		/* of mesh_new(); inherited memory */
	const uint8_t	*config;	/* of MSG_MESH_START, valid all along */
	size_t		 config_len;
	/*
	 * An earlier process of this name has had progress, so what it was
	 * started with is good.  Before that PROC_EXIT_CONFIG ends the daemon
	 * (mesh_on_give_up()).
	 */
	bool		 proven;

	/* below: of member.c */
	member_connect_fn *connect_fn;
	void		*connect_arg;
	member_file_fn	*file_fn;
	void		*file_arg;
	member_state_fn	*state_fn;
	void		*state_arg;
};

/*
 * Callbacks come from the loop.  Set them before member_ready(): connections
 * are made when both ends are ready, files come right after READY.
 */
void	member_on_connect(struct member *m, member_connect_fn *fn, void *arg);
void	member_on_file(struct member *m, member_file_fn *fn, void *arg);
void	member_on_state(struct member *m, member_state_fn *fn, void *arg);
void	member_ready(struct member *m);

/*
 * For the governor.  Starting a member that exists replaces its configuration
 * and its list for its next start, and starts it when it is down.  The outcome
 * is told by state.  0 or ERR_CLOSED, ERR_TOO_BIG.
 */
int	member_start(struct member *m, const char *name, unsigned class,
	    const char *const *peers, size_t npeers, const void *config,
	    size_t config_len);
int	member_stop(struct member *m, const char *name);
/* A checksum of a list of names and a configuration. */
uint32_t member_sum(const char *const *peers, size_t npeers,
	    const void *config, size_t config_len);

#endif
