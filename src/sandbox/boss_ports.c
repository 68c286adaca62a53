/* boss_ports.c - the ports of a cluster; see child.h for who binds what */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/boss.h"

static const unsigned	offsets[SB_KIND_COUNT] = {
	[SB_KIND_COORDINATOR] = 0,
	[SB_KIND_DBSERVER] = 10,
	[SB_KIND_AGENT] = 20
};

uint16_t
boss_port_of(unsigned p, enum sb_kind kind, unsigned number)
{
	return p == 0 ? 0 : (uint16_t)(p + offsets[kind] + number - 1);
}

int
boss_port_bind(uint16_t port)
{
	struct sockaddr_in	 sin;
	int			 fd, r, on = 1;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -errno;
	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons(port);
	/* Connections of the last life may linger in TIME_WAIT; and two bound
	 * sockets may share a port as long as none of them listens. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static int
bound_port(int fd, uint16_t *port)
{
	struct sockaddr_in	 sin;
	socklen_t		 len = sizeof(sin);

	if (getsockname(fd, (struct sockaddr *)&sin, &len) == -1)
		return -errno;
	*port = ntohs(sin.sin_port);
	return 0;
}

int
boss_ports_reserve(struct boss *b, struct err_msg *m)
{
	struct boss_server	*s;
	size_t			 i;
	int			 r;

	for (i = 0; i < b->n; i++) {
		s = &b->servers[i];
		s->reserve_fd = boss_port_bind(s->port);
		if (s->reserve_fd == -EADDRINUSE)
			return err_set(m, s->reserve_fd, "port %u, which %s "
			    "needs, is in use", (unsigned)s->port, s->name);
		if (s->reserve_fd < 0)
			return err_set(m, s->reserve_fd, "port %u, which %s "
			    "needs, cannot be used: %s", (unsigned)s->port,
			    s->name, err_text(s->reserve_fd));
		if ((r = bound_port(s->reserve_fd, &s->port)) != 0)
			return err_set(m, r, "port of %s: %s", s->name,
			    err_text(r));
	}
	return 0;
}
