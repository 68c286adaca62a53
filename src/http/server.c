/* server.c - listener of the HTTP server, list of its connections */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "http/server_priv.h"
#include "http/tls.h"

#define ACCEPT_PER_ITERATION	64
#define ACCEPT_RETRY_MS		100
#define LISTEN_BACKLOG		1024

static int	listen_on(const char *address, uint16_t port, int *fd,
		    struct err_msg *m);
static int	take_port(struct http_server *srv, struct err_msg *m);
static void	listener_ready(void *arg, int events);
static void	listener_retry(void *arg);
static void	listener_update(struct http_server *srv);

static int
listen_on(const char *address, uint16_t port, int *fd, struct err_msg *m)
{
	struct sockaddr_storage	 ss = { 0 };
	struct sockaddr_in	*in = (struct sockaddr_in *)&ss;
	struct sockaddr_in6	*in6 = (struct sockaddr_in6 *)&ss;
	socklen_t		 len;
	int			 s, r, on = 1;

	if (inet_pton(AF_INET, address, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		len = sizeof(*in);
	} else if (inet_pton(AF_INET6, address, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		len = sizeof(*in6);
	} else
		return err_set(m, ERR_USAGE, "\"%.100s\" is not a numeric "
		    "address to listen on", address);
	s = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (s == -1)
		return err_set(m, -errno, "socket: %s", strerror(errno));
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(s, (struct sockaddr *)&ss, len) == -1 ||
	    listen(s, LISTEN_BACKLOG) == -1) {
		r = err_set(m, -errno, "cannot listen on %.100s port %u: %s",
		    address, (unsigned)port, strerror(errno));
		close(s);
		return r;
	}
	*fd = s;
	return 0;
}

static void
address_text(const struct sockaddr_storage *ss, char *text, size_t size,
    uint16_t *port)
{
	const struct sockaddr_in	*in = (const void *)ss;
	const struct sockaddr_in6	*in6 = (const void *)ss;

	text[0] = '\0';
	*port = 0;
	if (ss->ss_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, text, (socklen_t)size);
		*port = ntohs(in->sin_port);
	} else if (ss->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &in6->sin6_addr, text, (socklen_t)size);
		*port = ntohs(in6->sin6_port);
	}
}

static int
take_port(struct http_server *srv, struct err_msg *m)
{
	struct sockaddr_storage	 ss = { 0 };
	socklen_t		 len = sizeof(ss);
	char			 text[CONN_PEER_BYTES];

	if (getsockname(srv->fd, (struct sockaddr *)&ss, &len) == -1)
		return err_set(m, -errno, "listening socket: %s",
		    strerror(errno));
	address_text(&ss, text, sizeof(text), &srv->port);
	return 0;
}

static struct http_header *
copy_headers(const struct http_header *h)
{
	struct http_header	*copy;
	size_t			 i, n = 0;

	if (h == NULL)
		return NULL;
	while (h[n].name != NULL)
		n++;
	copy = xcalloc(n + 1, sizeof(*copy));
	for (i = 0; i < n; i++) {
		copy[i].name = xstrdup(h[i].name);
		copy[i].value = xstrdup(h[i].value);
	}
	return copy;
}

static void
free_headers(const struct http_header *h)
{
	const struct http_header	*p;

	if (h == NULL)
		return;
	for (p = h; p->name != NULL; p++) {
		free((void *)(uintptr_t)p->name);
		free((void *)(uintptr_t)p->value);
	}
	free((void *)(uintptr_t)h);
}

int
http_server_new(struct loop *loop, const struct http_server_opts *o,
    struct http_server **out, struct err_msg *m)
{
	struct http_server	*srv = xcalloc(1, sizeof(*srv));
	int			 r = 0;

	/* OpenSSL writes without MSG_NOSIGNAL. */
	signal(SIGPIPE, SIG_IGN);
	srv->loop = loop;
	srv->o = *o;
	srv->o.address = NULL;
	srv->o.headers = copy_headers(o->headers);
	srv->o.tls = tls_ctx_ref(o->tls);
	srv->fd = o->fd;
	if (srv->fd == -1)
		r = listen_on(o->address, o->port, &srv->fd, m);
	else
		fcntl(srv->fd, F_SETFL, O_NONBLOCK);
	if (r == 0)
		r = take_port(srv, m);
	if (r == 0) {
		srv->watch = loop_fd_new(loop, srv->fd, LOOP_READ,
		    listener_ready, srv);
		if (srv->watch == NULL)
			r = err_set(m, -errno, "listening socket: %s",
			    strerror(errno));
	}
	if (r != 0) {
		/* A descriptor that was given stays the caller's. */
		if (o->fd != -1)
			srv->fd = -1;
		http_server_free(&srv);
		return r;
	}
	srv->retry = loop_timer_new(loop, listener_retry, srv);
	*out = srv;
	return 0;
}

void
http_server_free(struct http_server **srvp)
{
	struct http_server	*srv = *srvp;
	struct http_req		*req;

	*srvp = NULL;
	if (srv == NULL)
		return;
	/* First, so that closing connections does not watch it again. */
	loop_fd_free(&srv->watch);
	while (srv->conns != NULL)
		conn_close(srv->conns, false);
	for (req = srv->reqs; req != NULL; req = req->next)
		req->srv = NULL;
	loop_timer_free(&srv->retry);
	if (srv->fd != -1)
		close(srv->fd);
	tls_ctx_free(&srv->o.tls);
	free_headers(srv->o.headers);
	free(srv);
}

uint16_t
http_server_port(const struct http_server *srv)
{
	return srv->port;
}

int
http_server_fd(const struct http_server *srv)
{
	return srv->fd;
}

void
http_server_set_tls(struct http_server *srv, struct tls_ctx *tls)
{
	struct tls_ctx	*old = srv->o.tls;

	srv->o.tls = tls_ctx_ref(tls);
	tls_ctx_free(&old);
}

void
http_server_pause_accept(struct http_server *srv, bool existing)
{
	srv->refusing = true;
	while (existing && srv->conns != NULL)
		conn_close(srv->conns, true);
	listener_update(srv);
}

void
http_server_resume_accept(struct http_server *srv)
{
	srv->refusing = false;
	listener_update(srv);
}

void
http_server_get_stats(const struct http_server *srv,
    struct http_server_stats *st)
{
	st->connections = srv->n_conns;
	st->requests = srv->n_requests;
	st->refused = srv->n_refused;
	st->body_bytes = srv->body_bytes;
}

/* ---- accepting ---------------------------------------------------------- */

static void
listener_update(struct http_server *srv)
{
	bool	 want = srv->refusing || srv->n_conns < srv->o.max_connections;

	if (srv->watch != NULL && !loop_timer_is_running(srv->retry))
		loop_fd_set(srv->watch, want ? LOOP_READ : 0);
}

void
server_conn_closed(struct http_server *srv)
{
	if (srv->n_conns-- == srv->o.max_connections)
		listener_update(srv);
}

static void
listener_retry(void *arg)
{
	listener_update(arg);
}

static void
refuse_connection(int fd)
{
	struct linger	 now = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static void
listener_ready(void *arg, int events)
{
	struct http_server	*srv = arg;
	struct sockaddr_storage	 ss;
	socklen_t		 len;
	char			 peer[CONN_PEER_BYTES];
	uint16_t		 port;
	int			 fd, i, on = 1;

	for (i = 0; i < ACCEPT_PER_ITERATION; i++) {
		if (!srv->refusing && srv->n_conns >= srv->o.max_connections) {
			listener_update(srv);
			return;
		}
		len = sizeof(ss);
		memset(&ss, 0, sizeof(ss));
		fd = accept4(srv->fd, (struct sockaddr *)&ss, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1) {
			if (errno == EMFILE || errno == ENFILE ||
			    errno == ENOMEM || errno == ENOBUFS) {
				loop_fd_set(srv->watch, 0);
				loop_timer_start(srv->retry, ACCEPT_RETRY_MS);
			}
			return;
		}
		if (srv->refusing) {
			refuse_connection(fd);
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
		address_text(&ss, peer, sizeof(peer), &port);
		conn_new(srv, fd, peer, port);
	}
}
