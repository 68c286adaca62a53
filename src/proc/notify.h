/*
 * notify.h - systemd's sd_notify(3), in so far as a daemon needs it: a
 * datagram to the socket in $NOTIFY_SOCKET.  No library, so that the
 * supervisor stays as it is; where nobody listens nothing happens.
 */
#ifndef PROC_NOTIFY_H
#define PROC_NOTIFY_H

/* Such as "READY=1\nSTATUS=...".  0 (also without a listener) or -errno. */
int	proc_notify(const char *state);

#endif
