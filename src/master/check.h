/*
 * check.h - files that a daemon is started with, looked at before it starts.
 *
 * The supervisor reads no secret and initialises no library (R25), so a
 * process of its own reads them, and ends.  The same files are read again by
 * the children, which keep what they have when a later version is bad.
 */
#ifndef MASTER_CHECK_H
#define MASTER_CHECK_H

#include <sys/types.h>

#include "base/err.h"
#include "master/daemon.h"

/* Who --user is; the process's own ids without it. */
struct check_user {
	uid_t	 uid;
	gid_t	 gid;
};

/*
 * Certificate, key, authorities and secrets can be read and used, the
 * certificate has not expired, the user exists.  0, or negative with a
 * sentence that names the flag.
 */
int	check_start(const struct daemon_conf *conf, struct check_user *user,
	    struct err_msg *m);
/*
 * Let the data directory and all that is in it belong to that user, unless it
 * does already.
 */
int	check_give_dir(const char *dir, const struct check_user *user,
	    struct err_msg *m);

#endif
