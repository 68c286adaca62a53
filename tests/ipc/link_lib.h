/*
 * link_lib.h - for tests of the connection between datacenters: certificates,
 * a listening socket, a mesh, and peers with callbacks for processes that are
 * played by the test.
 */
#ifndef TESTS_IPC_LINK_LIB_H
#define TESTS_IPC_LINK_LIB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "ipc/peer.h"
#include "proc/mesh.h"

#define LIB_SOURCE	"11111111-aaaa"	/* cluster ids */
#define LIB_TARGET	"22222222-bbbb"
#define LIB_ENDPOINTS	3

/* Made before the first fork: all processes have them. */
struct lib {
	struct buf	 ca, server, client;	/* PEM: certificate; keyfiles */
	int		 listen_fd;
	uint16_t	 port;
	char		 endpoint[64];
	struct mesh	*mesh;
	struct super	*super;
};
extern struct lib	lib;

void	lib_begin(const struct mesh_class *classes);
void	lib_end(void);
/* Turn the supervisor until *flag is not 0 (another process sets it), or the
 * time is over: then the test has failed. */
bool	lib_until(volatile int *flag);
/* Files of the process api. */
void	lib_give_files(const char *member);
/* Payload of MSG_WORKER_REMOTE. */
void	lib_remote(struct buf *b);

/* A peer whose messages go to fn; it stays until the process ends, or is
 * lost: then fn gets NULL. */
struct peer *lib_peer(struct loop *loop, const char *name, int fd,
	    void (*fn)(struct peer *p, const struct frame *f));

#endif
