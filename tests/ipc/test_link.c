/*
 * test_link.c - both ends of the connection between datacenters in one mesh:
 * the real api and link, everybody else is played.
 */
#include <sys/mman.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "base/err.h"
#include "base/log.h"
#include "ev/loop.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "link/link.h"
#include "link_lib.h"
#include "sync/channel.h"
#include "unit.h"

#define SERVER		"PRMR-1"
#define RECORDS		200	/* of the first subscription, 240 KiB each */
#define STRUCTURE_BYTES	((size_t)3 * 1024 * 1024)

/* Seen by all processes. */
static struct shared {
	/* control */
	int	 running, failed;	/* as link's status says */
	int	 sessions_open, sessions_closed;	/* as api says */
	int	 wants, refused;
	int	 refuse;		/* answer WANT so */
	int	 lag_known;
	uint64_t applied_tick;
	char	 error[512];
	/* send */
	pid_t	 send_pid;
	int	 subscribed, closes, commits, noted, bad_note;
	int	 commit_before;
	/* receive */
	pid_t	 receive_pid;
	int	 resumes, records, docs, closed, bad, downs, late;
	int	 all_records, all_docs;
	/* others */
	pid_t	 api_pid, link_pid;
	int	 structures;
	int	 stopped;
} *shared;

static const struct channel_name	 name = { "db", 77, 3 };

static struct member			*me;

/* ---- control ---------------------------------------------------------------- */

static struct peer	*api;

static void
identity(void)
{
	struct buf	 b = BUF_INIT;
	const char	*text = "{\"source\":\"" LIB_SOURCE "\",\"version\":"
			    "\"1.2.3\",\"arangodb\":\"3.11.8\"}";

	put_bool(&b, true);
	put_bytes(&b, text, strlen(text));
	(void)peer_send_buf(api, MSG_API_IDENTITY, 0, &b);
}

static void
start_send(void)
{
	static const char *const	 peers[] = { "control", "api" };

	(void)member_start(me, "send db/coll/3", DAEMON_SEND, peers, 2, "", 0);
}

static void
on_want(void)
{
	struct buf	 b = BUF_INIT;

	shared->wants++;
	if (!shared->refuse) {
		start_send();
		return;
	}
	put_str(&b, LIB_TARGET);
	channel_name_put(&b, &name);
	put_str(&b, "there is no such shard");
	(void)peer_send_buf(api, MSG_API_REFUSE, 0, &b);
	shared->refused++;
}

static void
from_api(struct peer *p, const struct frame *f)
{
	struct rbuf	 m;
	uint8_t		 open;

	if (f == NULL) {
		api = NULL;
		return;
	}
	m = (struct rbuf){ f->payload, f->len };
	if (f->type == MSG_API_WANT)
		on_want();
	else if (f->type == MSG_API_SESSION && get_u8(&m, &open) == 0)
		(*(open ? &shared->sessions_open :
		    &shared->sessions_closed))++;
}

static bool
has(const struct frame *f, const char *text)
{
	return memmem(f->payload, f->len, text, strlen(text)) != NULL;
}

static void
from_link(struct peer *p, const struct frame *f)
{
	const char	*tick;

	/* Bytes with a length in front. */
	if (f == NULL || f->type != MSG_WORKER_STATUS || f->len < 4)
		return;
	shared->running = has(f, "\"state\":\"running\"");
	shared->lag_known = has(f, "\"lag_us\"") && has(f, "\"rtt_ms\"");
	tick = memmem(f->payload, f->len, "\"applied_tick\":", 15);
	if (tick != NULL)
		shared->applied_tick = strtoull(tick + 15, NULL, 10);
	snprintf(shared->error, sizeof(shared->error), "%.*s",
	    (int)f->len - 4, (const char *)f->payload + 4);
}

static void
from_anybody(struct peer *p, const struct frame *f)
{
}

static void
control_connect(void *arg, const char *who, unsigned class, uint32_t generation,
    int fd)
{
	struct buf	 b = BUF_INIT;
	struct peer	*p;

	p = lib_peer(me->child->loop, who, fd, class == DAEMON_API ? from_api :
	    class == DAEMON_LINK ? from_link : from_anybody);
	if (class == DAEMON_API) {
		api = p;
		identity();
	} else if (class == DAEMON_LINK) {
		lib_remote(&b);
		(void)peer_send_buf(p, MSG_WORKER_REMOTE, 0, &b);
	}
}

static int
control(struct member *m)
{
	static const char *const	 c[] = { "control", "api" };
	static const char *const	 r[] = { "control", "link source" };
	struct link_conf		 lc = { .target = LIB_TARGET,
					    .source = LIB_SOURCE };
	struct buf			 b = BUF_INIT;

	me = m;
	link_conf_put(&b, &lc);
	member_on_connect(m, control_connect, m);
	member_ready(m);
	(void)member_start(m, "link source", DAEMON_LINK, c, 1, b.data, b.len);
	(void)member_start(m, "receive db/coll/3", DAEMON_RECEIVE, r, 2, "",
	    0);
	(void)member_start(m, "tail " SERVER, DAEMON_TAIL, c, 2, "", 0);
	(void)member_start(m, "inventory source", DAEMON_INVENTORY, c, 2, "s",
	    1);
	(void)member_start(m, "inventory target", DAEMON_INVENTORY, r, 2, "t",
	    1);
	(void)loop_run(m->child->loop);
	return PROC_EXIT_OK;
}

/* ---- send --------------------------------------------------------------------- */

static struct peer	*out;		/* to api, or to link */
static struct loop_timer *timer;
static uint32_t		 sub;
static int		 sent;

static void
send_records(void *arg)
{
	static uint8_t		 lines[CHANNEL_PIECE_BYTES];
	struct sync_pos		 pos = { .server = SERVER, .reboot_id = 1 };
	struct buf		 b = BUF_INIT;

	while (out != NULL && sub != 0 && sent < RECORDS &&
	    peer_has_room(out)) {
		memset(lines, 'a' + sent % 26, sizeof(lines));
		pos.tick = 1000 + (uint64_t)sent;
		channel_record_put(&b, 1, (uint64_t)sent);
		channel_stored_put(&b, CHANNEL_BOUNDARY, &pos);
		buf_append(&b, lines, sizeof(lines));
		(void)peer_send_buf(out, MSG_CH_RECORD, sub, &b);
		/* Beside it, on the other stream. */
		channel_docs_put(&b, (uint32_t)sent, 0);
		channel_doc_put(&b, 0, CHANNEL_DOC_FOUND, lines, 100000);
		(void)peer_send_buf(out, MSG_CH_DOCS, sub, &b);
		put_u64(&b, pos.tick);
		(void)peer_send_buf(out, MSG_CH_QUEUED, sub, &b);
		sent++;
	}
}

static void
resume(uint64_t tick)
{
	struct channel_resume	 r = { .pos = { .server = SERVER,
				    .reboot_id = 1, .tick = tick },
				    .queued = tick + 1 };
	struct buf		 b = BUF_INIT;

	channel_resume_put(&b, &r);
	(void)peer_send_buf(out, MSG_CH_RESUME, sub, &b);
}

static void
send_from_api(struct peer *p, const struct frame *f)
{
	struct channel_subscribe s;
	struct rbuf		 m;

	if (f == NULL) {
		out = NULL;
		sub = 0;
		return;
	}
	m = (struct rbuf){ f->payload, f->len };
	if (f->type == MSG_CH_SUBSCRIBE && channel_subscribe_get(&m, &s) == 0) {
		sub = f->id;
		sent = 0;
		shared->subscribed++;
		resume(900);
	} else if (f->type == MSG_CH_CLOSE) {
		sub = 0;
		shared->closes++;
	} else if (f->type == MSG_CH_COMMIT)
		shared->commits++;
	else if (f->type == MSG_SEND_NOTED)
		shared->noted++;
}

static void
send_connect(void *arg, const char *who, unsigned class, uint32_t generation,
    int fd)
{
	struct buf	 b = BUF_INIT;

	if (class != DAEMON_API) {
		lib_peer(me->child->loop, who, fd, from_anybody);
		return;
	}
	out = lib_peer(me->child->loop, who, fd, send_from_api);
	put_str(&b, LIB_TARGET);
	channel_name_put(&b, &name);
	(void)peer_send_buf(out, MSG_SEND_HELLO, 0, &b);
	/* Nobody listens: noted at once. */
	put_u64(&b, 5);
	(void)peer_send_buf(out, MSG_CH_QUEUED, 0, &b);
}

static int
send_shard(struct member *m)
{
	me = m;
	shared->send_pid = getpid();
	timer = loop_timer_new(m->child->loop, send_records, NULL);
	loop_timer_start_periodic(timer, 2);
	member_on_connect(m, send_connect, m);
	member_ready(m);
	(void)loop_run(m->child->loop);
	return PROC_EXIT_OK;
}

/* ---- receive ------------------------------------------------------------------ */

static int	 slow_left = 20;

static void
subscribe(void)
{
	struct channel_subscribe s = { .name = name };
	struct buf		 b = BUF_INIT;

	sub++;
	sent = 0;			/* records seen */
	channel_subscribe_put(&b, &s);
	(void)peer_send_buf(out, MSG_CH_SUBSCRIBE, sub, &b);
}

static void
say_applied(uint64_t tick)
{
	struct sync_pos	 pos = { .server = SERVER, .reboot_id = 1,
			    .tick = tick };
	struct buf	 b = BUF_INIT;

	put_u64(&b, tick);
	put_bool(&b, false);
	(void)peer_send_buf(out, MSG_LINK_APPLIED, 0, &b);
	pos_put(&b, &pos);
	(void)peer_send_buf(out, MSG_CH_COMMIT, sub, &b);
}

static void
take_record(const struct frame *f)
{
	struct channel_record	 r;

	if (channel_record_get(f->payload, f->len, &r) != 0 ||
	    r.offset != (uint64_t)sent || r.len != CHANNEL_PIECE_BYTES ||
	    r.lines[0] != 'a' + sent % 26 ||
	    r.lines[r.len - 1] != 'a' + sent % 26)
		shared->bad++;
	sent++;
	shared->records++;
	/* Slow at first, so that everything before us fills. */
	if (slow_left > 0) {
		slow_left--;
		usleep(20000);
	}
	say_applied(r.pos.tick);
	if (sent == RECORDS)
		shared->all_records++;
}

static void
receive_from_link(struct peer *p, const struct frame *f)
{
	if (f == NULL) {
		out = NULL;
		return;
	}
	if (f->type != MSG_LINK_UP && f->id != sub)
		shared->late++;
	switch (f->type) {
	case MSG_LINK_UP:
		if (f->payload[0] != 0)
			subscribe();
		else
			shared->downs++;
		break;
	case MSG_CH_RESUME:
		shared->resumes++;
		break;
	case MSG_CH_RECORD:
		take_record(f);
		break;
	case MSG_CH_DOCS:
		shared->docs++;
		shared->all_docs += shared->docs % RECORDS == 0;
		break;
	case MSG_CH_CLOSED:
		shared->closed++;
		loop_timer_start(timer, 50);
		break;
	case MSG_CH_QUEUED:
		break;
	default:
		shared->bad++;
		break;
	}
}

static void
again(void *arg)
{
	if (out != NULL)
		subscribe();
}

static void
receive_connect(void *arg, const char *who, unsigned class,
    uint32_t generation, int fd)
{
	if (class == DAEMON_LINK)
		out = lib_peer(me->child->loop, who, fd, receive_from_link);
	else
		lib_peer(me->child->loop, who, fd, from_anybody);
}

static int
receive(struct member *m)
{
	me = m;
	shared->receive_pid = getpid();
	timer = loop_timer_new(m->child->loop, again, NULL);
	member_on_connect(m, receive_connect, m);
	member_ready(m);
	(void)loop_run(m->child->loop);
	return PROC_EXIT_OK;
}

/* ---- tail, inventory -------------------------------------------------------------- */

static void
watermark(void *arg)
{
	static uint64_t			 tick = 2000;
	struct channel_watermark	 w = { .pos = { .server = SERVER,
						    .reboot_id = 1 } };
	struct buf			 b = BUF_INIT, p = BUF_INIT;

	if (out == NULL)
		return;
	w.pos.tick = w.newest_tick = ++tick;
	w.source_us = 1000000 * tick;
	channel_watermark_put(&p, &w);
	put_str(&b, LIB_TARGET);
	put_bytes(&b, p.data, p.len);
	(void)peer_send_buf(out, MSG_TAIL_WATERMARK, 0, &b);
	buf_free(&p);
}

static void
lost_or_not(struct peer *p, const struct frame *f)
{
	if (f == NULL && p == out)
		out = NULL;
}

static void
tail_connect(void *arg, const char *who, unsigned class, uint32_t generation,
    int fd)
{
	struct peer	*p = lib_peer(me->child->loop, who, fd, lost_or_not);

	if (class == DAEMON_API)
		out = p;
}

static int
tail(struct member *m)
{
	me = m;
	timer = loop_timer_new(m->child->loop, watermark, NULL);
	loop_timer_start_periodic(timer, 50);
	member_on_connect(m, tail_connect, m);
	member_ready(m);
	(void)loop_run(m->child->loop);
	return PROC_EXIT_OK;
}

static void
structure_from_link(struct peer *p, const struct frame *f)
{
	struct rbuf	 m;
	uint64_t	 version;
	const uint8_t	*text;
	size_t		 n;

	if (f == NULL)
		return;
	m = (struct rbuf){ f->payload, f->len };
	if (f->type == MSG_WORKER_STRUCTURE && get_u64(&m, &version) == 0 &&
	    get_bytes(&m, &text, &n) == 0 && get_end(&m) == 0 &&
	    version == 4711 && n == STRUCTURE_BYTES && text[n - 1] == 'x')
		shared->structures++;
	else
		shared->bad++;
}

static void
inventory_connect(void *arg, const char *who, unsigned class,
    uint32_t generation, int fd)
{
	struct peer	*p;
	struct buf	 b = BUF_INIT;
	char		*text;

	if (class == DAEMON_LINK) {
		lib_peer(me->child->loop, who, fd, structure_from_link);
		return;
	}
	p = lib_peer(me->child->loop, who, fd, from_anybody);
	if (class != DAEMON_API)
		return;
	text = xmalloc(STRUCTURE_BYTES);
	memset(text, 'x', STRUCTURE_BYTES);
	put_u64(&b, 4711);
	put_bytes(&b, text, STRUCTURE_BYTES);
	(void)peer_send_buf(p, MSG_WORKER_STRUCTURE, 0, &b);
	free(text);
}

static int
inventory(struct member *m)
{
	me = m;
	member_on_connect(m, inventory_connect, m);
	member_ready(m);
	(void)loop_run(m->child->loop);
	return PROC_EXIT_OK;
}

/* ---- the real ones ------------------------------------------------------------------ */

static int
real_api(struct member *m)
{
	shared->api_pid = getpid();
	return api_main(m);
}

static int
real_link(struct member *m)
{
	static const char *const	 none[] = { NULL };
	static const struct worker_conf	 conf = { .data_dir = "/nonexistent",
					    .cluster_endpoints = none,
					    .version = "0.0.1" };
	int				 r;

	shared->link_pid = getpid();
	r = link_main(m, &conf);
	shared->stopped += r == PROC_EXIT_OK;
	return r;
}

#define CLASS(n, fn, phase)						\
	{ .name = (n), .main = (fn), .stop_phase = (phase),		\
	  .on_request = true, .backoff_min_ms = 20, .backoff_max_ms = 100 }

static const struct mesh_class	 classes[DAEMON_CLASS_COUNT] = {
	[DAEMON_CONTROL] = CLASS("control", control, 2),
	[DAEMON_API] = CLASS("api", real_api, 1),
	[DAEMON_INVENTORY] = CLASS("inventory", inventory, 0),
	[DAEMON_TAIL] = CLASS("tail", tail, 0),
	[DAEMON_SEND] = CLASS("send", send_shard, 0),
	[DAEMON_LINK] = CLASS("link", real_link, 0),
	[DAEMON_RECEIVE] = CLASS("receive", receive, 0)
};

/* ---- the story --------------------------------------------------------------------- */

#define WAIT_FOR(flag)	CU_ASSERT_TRUE_FATAL(wait_for(&(flag), #flag))

static bool
wait_for(volatile int *flag, const char *what)
{
	bool	 good = lib_until(flag);

	if (!good)
		printf("# waited in vain for %s; status: %s\n", what,
		    shared->error);
	return good;
}

/* Another subscription has got all of its records. */
static void
wait_for_records(int before)
{
	volatile int	 more = 0;
	int		 i;

	for (i = 0; i < 3000 && !more; i++) {
		(void)pollset_run_once(super_pollset(lib.super), 20);
		more = shared->all_records > before;
	}
	CU_ASSERT_TRUE(more);
}

static void
wait_for_tick(uint64_t tick)
{
	int	 i;

	for (i = 0; i < 500 && shared->applied_tick < tick; i++)
		(void)pollset_run_once(super_pollset(lib.super), 20);
	CU_ASSERT_TRUE(shared->applied_tick >= tick);
}

static void
begin(void)
{
	static const char *const	 of_api[] = { "control" };

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	lib_begin(classes);
	mesh_set_governor(lib.mesh, "control");
	CU_ASSERT_EQUAL_FATAL(mesh_add(lib.mesh, "control", DAEMON_CONTROL,
	    NULL, 0), 0);
	CU_ASSERT_EQUAL_FATAL(mesh_add(lib.mesh, "api", DAEMON_API, of_api,
	    1), 0);
	lib_give_files("api");
}

static void
end(void)
{
	lib_end();
	munmap(shared, sizeof(*shared));
}

static void
test_all_arrives(void)
{
	begin();
	WAIT_FOR(shared->running);
	WAIT_FOR(shared->wants);
	WAIT_FOR(shared->all_records);
	WAIT_FOR(shared->all_docs);
	WAIT_FOR(shared->structures);
	WAIT_FOR(shared->commits);
	WAIT_FOR(shared->lag_known);
	wait_for_tick(2001);
	CU_ASSERT_EQUAL(shared->bad, 0);
	CU_ASSERT_EQUAL(shared->late, 0);
	CU_ASSERT_EQUAL(shared->records, RECORDS);
	CU_ASSERT_EQUAL(shared->resumes, 1);
	CU_ASSERT_EQUAL(shared->sessions_open, 1);
	/* one word before anybody listened */
	CU_ASSERT_EQUAL(shared->noted, RECORDS + 1);
	end();
	CU_ASSERT_EQUAL(shared == NULL, 0);
}

static void
test_deaths(void)
{
	int	 n;

	begin();
	WAIT_FOR(shared->all_records);
	n = shared->all_records;
	kill(shared->send_pid, SIGKILL);
	WAIT_FOR(shared->closed);
	wait_for_records(n);

	n = shared->all_records;
	kill(shared->receive_pid, SIGKILL);
	WAIT_FOR(shared->closes);
	wait_for_records(n);

	n = shared->all_records;
	kill(shared->api_pid, SIGKILL);
	WAIT_FOR(shared->downs);
	wait_for_records(n);

	n = shared->all_records;
	kill(shared->link_pid, SIGKILL);
	wait_for_records(n);
	WAIT_FOR(shared->running);
	CU_ASSERT_EQUAL(shared->bad, 0);
	/* Its own end is in order, and the source is told at once. */
	CU_ASSERT_EQUAL(shared->stopped, 0);
	n = shared->sessions_closed;
	kill(shared->link_pid, SIGTERM);
	WAIT_FOR(shared->stopped);
	wait_for_records(shared->all_records);
	CU_ASSERT_TRUE(shared->sessions_closed > n);
	end();
}

static void
test_refusal(void)
{
	begin();
	shared->refuse = 1;
	WAIT_FOR(shared->refused);
	WAIT_FOR(shared->closed);
	CU_ASSERT_EQUAL(shared->resumes, 0);
	shared->refuse = 0;
	WAIT_FOR(shared->all_records);
	CU_ASSERT_EQUAL(shared->bad, 0);
	end();
}

int
main(int argc, char **argv)
{
	static const struct unit_test	 tests[] = {
		{ "everything arrives, in order, whatever is slow",
		    test_all_arrives },
		{ "a shard that cannot be had is refused with a sentence",
		    test_refusal },
		{ "whoever dies, everybody goes on", test_deaths }
	};

	proc_reserve_fds();
	return unit_run("link", tests, NITEMS(tests));
}
