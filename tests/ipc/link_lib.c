/* link_lib.c - see link_lib.h */
#include <sys/mman.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "certs/certs.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "link_lib.h"
#include "master/daemon.h"
#include "unit.h"

#define TEST_MS	30000

struct lib	lib;

static struct poll_timer watchdog;

static const char *const no_endpoints[] = { NULL };

static const struct daemon_conf conf = {
	.data_dir = "/nonexistent", .cluster_endpoints = no_endpoints,
	.server_endpoint = "https://127.0.0.1:1", .keyfile = "keyfile",
	.client_ca_file = "ca", .version = "0.0.1", .build = "test"
};

static void
make_certificates(void)
{
	static const char *const hosts[] = { "127.0.0.1", NULL };
	struct cert_opts	 o = { .use = CERT_AUTHORITY,
				    .curve = CERT_P256, .valid_s = 86400 };
	struct cert_pair	 ca = CERT_PAIR_INIT, p = CERT_PAIR_INIT;
	struct cert_ca		*signer;
	struct err_msg		 m = { "" };

	CU_ASSERT_EQUAL_FATAL(cert_create(&o, NULL, &ca, &m), 0);
	CU_ASSERT_EQUAL_FATAL(cert_ca_parse("ca", &ca.cert, "key", &ca.key,
	    &signer, &m), 0);
	buf_append(&lib.ca, ca.cert.data, ca.cert.len);
	o.use = CERT_SERVER;
	o.hosts = hosts;
	CU_ASSERT_EQUAL_FATAL(cert_create(&o, signer, &p, &m), 0);
	cert_keyfile_text(&p, &lib.server);
	cert_pair_free(&p);
	p = (struct cert_pair)CERT_PAIR_INIT;
	o.use = CERT_CLIENT;
	o.hosts = NULL;
	CU_ASSERT_EQUAL_FATAL(cert_create(&o, signer, &p, &m), 0);
	cert_keyfile_text(&p, &lib.client);
	cert_pair_free(&p);
	cert_pair_free(&ca);
	cert_ca_free(&signer);
}

static void
make_socket(void)
{
	struct sockaddr_in	 sin = { .sin_family = AF_INET };
	socklen_t		 n = sizeof(sin);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	lib.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(bind(lib.listen_fd, (struct sockaddr *)&sin,
	    sizeof(sin)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(lib.listen_fd, 64), 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(lib.listen_fd,
	    (struct sockaddr *)&sin, &n), 0);
	lib.port = ntohs(sin.sin_port);
	snprintf(lib.endpoint, sizeof(lib.endpoint), "https://127.0.0.1:%u",
	    lib.port);
}

static void
on_watchdog(void *arg)
{
}

void
lib_begin(const struct mesh_class *classes)
{
	log_set_level(LOG_LEVEL_NOTICE);
	if (getenv("VERBOSE") == NULL)
		(void)log_open("/dev/null");
	if (lib.ca.len == 0)
		make_certificates();
	make_socket();
	lib.super = super_new(NULL, NULL);
	poll_timer_init(&watchdog, super_pollset(lib.super), on_watchdog,
	    NULL);
	poll_timer_start(&watchdog, TEST_MS);
	lib.mesh = mesh_new(lib.super, classes, DAEMON_CLASS_COUNT,
	    (void *)(uintptr_t)&conf);
}

void
lib_end(void)
{
	super_stop(lib.super, 0);
	(void)super_run(lib.super);
	poll_timer_stop(&watchdog);
	mesh_free(&lib.mesh);
	super_free(&lib.super);
	close(lib.listen_fd);
}

bool
lib_until(volatile int *flag)
{
	while (!*flag && poll_timer_is_running(&watchdog))
		(void)pollset_run_once(super_pollset(lib.super), 20);
	return *flag != 0;
}

/* ---- files of api ------------------------------------------------------------- */

static int
open_listen(void *arg)
{
	return dup(lib.listen_fd);
}

static int
open_bytes(void *arg)
{
	const struct buf	*b = arg;
	int			 fd = memfd_create("file", MFD_CLOEXEC);

	if (write(fd, b->data, b->len) != (ssize_t)b->len)
		return -1;
	return fd;
}

void
lib_give_files(const char *member)
{
	mesh_give_file(lib.mesh, member, DAEMON_FILE_LISTEN, open_listen,
	    NULL);
	mesh_give_file(lib.mesh, member, DAEMON_FILE_KEYFILE, open_bytes,
	    &lib.server);
	mesh_give_file(lib.mesh, member, DAEMON_FILE_CLIENT_CA, open_bytes,
	    &lib.ca);
}

void
lib_remote(struct buf *b)
{
	put_u32(b, 2);
	put_str(b, "https://127.0.0.1:1");	/* nobody there */
	put_str(b, lib.endpoint);
	put_bytes(b, lib.client.data, lib.client.len);
	put_bytes(b, lib.ca.data, lib.ca.len);
}

/* ---- peers -------------------------------------------------------------------- */

struct fn {
	void	(*fn)(struct peer *p, const struct frame *f);
};

static int
on_message(struct peer *p, const struct frame *f, void *arg)
{
	struct fn	*fn = arg;

	fn->fn(p, f);
	return 0;
}

static void
on_lost(struct peer *p, int why, void *arg)
{
	struct fn	*fn = arg;

	fn->fn(p, NULL);
	peer_free(&p);
	free(fn);
}

static const struct peer_ops	 ops = {
	.message = on_message, .lost = on_lost
};

struct peer *
lib_peer(struct loop *loop, const char *name, int fd,
    void (*func)(struct peer *p, const struct frame *f))
{
	struct fn	*fn = xmalloc(sizeof(*fn));
	struct peer	*p;

	fn->fn = func;
	p = peer_new(fd, name, &ops, fn);
	peer_set_limits(p, (size_t)64 * 1024 * 1024, 64 * 1024, 256 * 1024);
	if (peer_attach(p, loop) != 0)
		fatal("cannot watch a socket");
	return p;
}
