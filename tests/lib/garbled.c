/* garbled.c - see garbled.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fsx.h"
#include "base/log.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "ipc/peer.h"
#include "garbage.h"
#include "garbled.h"

#define PEERS_MAX	4

static struct garbled {
	struct loop	*loop;
	struct proc_child child;
	struct member	 member;
	const char *const *names;
	struct peer	*peers[PEERS_MAX];
} g;

static int
on_message(struct peer *p, const struct frame *f, void *arg)
{
	return 0;
}

static void
on_lost(struct peer *p, int why, void *arg)
{
	struct peer	**at = arg;

	*at = NULL;
	peer_free(&p);
}

static const struct peer_ops	 ops = {
	.message = on_message, .lost = on_lost
};

static int
socket_to(const char *name, struct peer **at)
{
	int	 fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) != 0)
		fatal("socketpair");
	*at = peer_new(fd[0], name, &ops, at);
	peer_set_limits(*at, (size_t)64 << 20, PEER_LOW_BYTES,
	    (size_t)64 << 20);
	return fd[1];
}

/* The other end is the process's. */
static void
connect_to(size_t i)
{
	int	 fd;

	if (g.peers[i] != NULL)
		return;
	fd = socket_to(g.names[i], &g.peers[i]);
	if (peer_attach(g.peers[i], g.loop) != 0)
		fatal("attach");
	g.member.connect_fn(g.member.connect_arg, g.names[i], 0, 1, fd);
}

static void
garble(size_t i)
{
	struct garbage	 from = GARBAGE_INIT;
	struct buf	 b = BUF_INIT;
	uint16_t	 type;
	uint32_t	 id;
	int		 k;

	from.random += i;
	while (garbage_next(&from, &type, &id, &b)) {
		connect_to(i);
		(void)peer_send(g.peers[i], type, id, b.data, b.len);
		/* turns of the loop */
		for (k = 0; k < 4 && g.peers[i] != NULL; k++)
			fiber_sleep_ms(0);
	}
	buf_free(&b);
}

static void
script(void *arg)
{
	size_t	 i, n;

	for (n = 0; g.names[n] != NULL; n++)
		connect_to(n);
	for (i = 0; i < n; i++)
		garble(i);
	fiber_sleep_ms(50);
	g.child.on_stop(g.child.on_stop_arg, PROC_STOP_ASKED);
}

static void
begin(void *arg)
{
	fiber_spawn(g.loop, script, NULL);
}

static void
run(int (*main_fn)(struct member *, const struct worker_conf *),
    const char *name, const struct buf *config, const char *dir)
{
	static const char *const nowhere[] = { "http://127.0.0.1:1", NULL };
	struct worker_conf	 conf = { .version = "test" };
	struct peer		*boss;
	int			 e;

	log_set_level(getenv("TEST_LOG") != NULL ? LOG_LEVEL_DEBUG :
	    LOG_LEVEL_ERROR);
	g.loop = loop_new();
	conf.data_dir = dir;
	conf.cluster_endpoints = nowhere;
	g.child.name = name;
	g.child.loop = g.loop;
	/* the supervisor: nobody reads */
	g.child.boss = peer_new(socket_to("supervisor", &boss), "supervisor",
	    &ops, &g.child.boss);
	g.member.child = &g.child;
	g.member.config = config->data;
	g.member.config_len = config->len;
	loop_defer(g.loop, begin, NULL);
	e = main_fn(&g.member, &conf);
	if (e != 0)
		fprintf(stderr, "# exit %d\n", e);
	_exit(e);
}

int
garbled_run(int (*main_fn)(struct member *, const struct worker_conf *),
    const char *name, const struct buf *config, const char *const *peers)
{
	char	 dir[] = "/tmp/garbled-test-XXXXXX";
	int	 status;
	pid_t	 pid;

	if (mkdtemp(dir) == NULL)
		return -1;
	memset(&g, 0, sizeof(g));
	g.names = peers;
	fflush(stdout);
	if ((pid = fork()) == 0)
		run(main_fn, name, config, dir);
	if (pid == -1 || waitpid(pid, &status, 0) != pid)
		return -1;
	(void)fsx_remove_tree(dir);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
