/*
 * daemon.h - going to the background, the pid file, locks of a data directory,
 * and giving up root.
 */
#ifndef PROC_DAEMON_H
#define PROC_DAEMON_H

#include <stdint.h>

#include "base/err.h"

/*
 * Fork; the parent waits for proc_daemon_ready() and ends with its code (1 and
 * a sentence when the child ends without it).  Returns in the child only, in a
 * session of its own, with standard input from /dev/null.  -errno when it
 * cannot fork.  *ready is for proc_daemon_ready().
 */
int	proc_daemonize(int *ready);
/*
 * Let the parent end with code.  0: also gives up the terminal (standard
 * output and error go to /dev/null).  Closes ready; -1 is ignored.
 */
void	proc_daemon_ready(int ready, int code);

/* Our pid and a newline, atomically; and take it away if it is still ours. */
int	proc_pidfile_write(const char *path);
void	proc_pidfile_remove(const char *path);

/*
 * The lock that all children inherit (R24): waits up to wait_ms for the last
 * process of an earlier run; then ends whoever still holds it, and waits as
 * long again.  Returns a descriptor or negative with a sentence.
 */
int	proc_data_lock(const char *dir, const char *name, uint32_t wait_ms,
	    struct err_msg *msg);

/*
 * For ever: become user (by name or number), its group and its supplementary
 * groups.  0 also when we are that user already.
 */
int	proc_drop_privileges(const char *user, struct err_msg *msg);

#endif
