/* test_garbage.c - whatever is said to a tail, it reads on */
#include <sys/socket.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fsx.h"
#include "base/log.h"
#include "garbage.h"
#include "unit.h"
#include "wal.h"

static struct wal	 w;
static struct arango	*cluster;
static struct tail	*t;
static char		 dir[] = "/tmp/test-tail-XXXXXX";

static void
begin(void)
{
	struct tail_conf	 conf;

	fake_begin();
	log_set_level(getenv("TEST_LOG") != NULL ? LOG_LEVEL_DEBUG :
	    LOG_LEVEL_ERROR);
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	memset(&conf, 0, sizeof(conf));
	snprintf(conf.target, sizeof(conf.target), "there");
	snprintf(conf.source, sizeof(conf.source), "here");
	snprintf(conf.server, sizeof(conf.server), "PRMR-1");
	conf.reboot_id = 7;
	wal_start(&w);
	snprintf(conf.url, sizeof(conf.url), "%s", w.f.url);
	cluster = fake_cluster(w.f.url, NULL);
	t = tail_new(fake_loop, cluster, dir, &conf);
	tail_start(t);
}

static void
end(void)
{
	tail_stop(t);
	fake_turn(30);
	tail_free(&t);
	fake_turn(10);
	arango_free(&cluster);
	wal_stop(&w);
	fake_end();
	CU_ASSERT_EQUAL(fsx_remove_tree(dir), 0);
}

static int
on_message(struct peer *p, const struct frame *f, void *arg)
{
	return 0;
}

static void
on_lost(struct peer *p, int why, void *arg)
{
	struct peer	**garbler = arg;

	*garbler = NULL;
	peer_free(&p);
}

static const struct peer_ops	 ops = {
	.message = on_message, .lost = on_lost
};

/* A send that has joined goes on reading meanwhile. */
static void
garbled_by(void (*take)(struct tail *, const char *, int), const char *name)
{
	struct garbage	 g = { .random = 1, .target = "there", .db = "d",
			    .cuid = "c1/s1" };
	struct peer	*garbler = NULL;
	struct sink	 a;
	struct buf	 b = BUF_INIT;
	unsigned	 i, n = 0;
	uint16_t	 type;
	uint32_t	 id;
	int		 fd[2];

	begin();
	sink_init(&a, &w, 0);
	sink_connect(&a, t);
	while (garbage_next(&g, &type, &id, &b)) {
		if (garbler == NULL) {
			CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM,
			    0, fd), 0);
			take(t, name, fd[0]);
			garbler = peer_new(fd[1], "tail", &ops, &garbler);
			CU_ASSERT_EQUAL_FATAL(peer_attach(garbler, fake_loop),
			    0);
		}
		(void)peer_send(garbler, type, id, b.data, b.len);
		for (i = 0; i < 4 && garbler != NULL; i++)
			loop_run_once(fake_loop, 0);
		if (n++ % 500 == 0)
			wal_batch(&w, 0, 1);
	}
	peer_free(&garbler);
	buf_free(&b);
	wal_batch(&w, 0, 2);
	for (i = 0; i < 1000 && !sink_is_done(&a); i++)
		fake_turn(5);
	CU_ASSERT_TRUE(sink_is_done(&a));
	CU_ASSERT_EQUAL(a.wrong, 0);
	sink_crash(&a);
	end();
}

static void
test_send(void)
{
	garbled_by(tail_take_send, "send d/c/1");
}

static void
test_api(void)
{
	garbled_by(tail_take_api, "api");
}

/* What control says of shards that sleep. */
static void
test_sleepers(void)
{
	struct garbage	 g = { .target = "", .db = "d", .cuid = "c1/s1" };
	struct buf	 b = BUF_INIT;
	struct msg_in	 in;
	unsigned	 taken = 0;
	uint16_t	 type;
	uint32_t	 id;
	struct sink	 a;

	begin();
	sink_init(&a, &w, 1);
	sink_connect(&a, t);
	fake_turn(50);
	while (garbage_next(&g, &type, &id, &b) && g.type == 0) {
		memset(&in, 0, sizeof(in));
		in.ctx = t;
		in.body.p = b.data;
		in.body.left = b.len;
		taken += tail_on_asleep(&in) == 0;
		in.body.p = b.data;
		in.body.left = b.len;
		taken += tail_on_nobody(&in) == 0;
	}
	/* two words, and nothing behind them */
	CU_ASSERT_TRUE(taken >= 2 && taken < 40);
	buf_free(&b);
	wal_batch(&w, 1, 3);
	for (id = 0; id < 1000 && !sink_is_done(&a); id++)
		fake_turn(5);
	CU_ASSERT_TRUE(sink_is_done(&a));
	sink_crash(&a);
	end();
}

UNIT_MAIN("tail garbage",
    { "of a send", test_send },
    { "of api", test_api },
    { "of control, about shards that sleep", test_sleepers })
