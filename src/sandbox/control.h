/*
 * control.h - where commands find the supervisor of a cluster: a Unix socket
 * in its directory.
 *
 * Its path may be longer than the 108 bytes of sun_path, so both sides go
 * through a descriptor of the directory, /proc/self/fd/<n>/control.sock.
 */
#ifndef SANDBOX_CONTROL_H
#define SANDBOX_CONTROL_H

#include <sys/socket.h>
#include <sys/un.h>

/*
 * Open dir and fill sun with the way to the file `name` in it.  Returns the
 * descriptor (close it after bind or connect), or -errno.
 */
int	control_address(const char *dir, const char *name,
	    struct sockaddr_un *sun);

#endif
