/* child_priv.h - spawn.c and super.c to child.c */
#ifndef PROC_CHILD_PRIV_H
#define PROC_CHILD_PRIV_H

#include <stdint.h>

struct proc_class;

/* Loop, handshake, main function of the class; the exit code. */
int	proc_child_main(const struct proc_class *class, const char *name,
	    void *arg, uint32_t generation);
/* In the supervisor, before it forks: what all its children share. */
void	proc_child_prepare(void);

#endif
