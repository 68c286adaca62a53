/* test_send.c - a process send between a tail and a target that a script
 * plays */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fsx.h"
#include "near_end.h"
#include "unit.h"

#define IS(a, b)	(strcmp((a), (b)) == 0)

static void
commit(struct near_end *f, const struct sync_pos *pos)
{
	struct buf	 b = BUF_INIT;

	pos_put(&b, pos);
	near_up(f, MSG_CH_COMMIT, &b);
}

static void
credit(struct near_end *f, uint64_t live, uint64_t bulk)
{
	struct buf	 b = BUF_INIT;

	channel_credit_put(&b, live, bulk);
	near_up(f, MSG_CH_CREDIT, &b);
}

static struct sync_pos
resumed(struct near_end *f, uint64_t *queued)
{
	struct near_message	*n = near_expect(f, MSG_CH_RESUME);
	struct rbuf		 m = { n->data, n->len };
	struct channel_resume	 r;

	near_check(channel_resume_get(&m, &r) == 0);
	if (queued != NULL)
		*queued = r.queued;
	free(n);
	return r.pos;
}

static struct channel_cut
cut_of(struct near_end *f)
{
	struct near_message	*n = near_expect(f, MSG_CH_CUT);
	struct rbuf		 m = { n->data, n->len };
	struct channel_cut	 c;

	near_check(channel_cut_get(&m, &c) == 0);
	free(n);
	return c;
}

static void
at_cut(struct near_end *f, uint64_t documents)
{
	struct buf	 b = BUF_INIT;

	put_u64(&b, documents);
	near_up(f, MSG_CH_AT_CUT, &b);
}

/* ---- an empty target, then the stream ---------------------------------- */

static void
copies_and_follows(struct near_end *f)
{
	struct near_message	*n;
	struct rbuf		 m;
	struct channel_cut	 c;
	struct sync_pos		 pos;
	uint8_t			 flags;
	uint64_t		 count;

	near_doc(f, "a", "_1");
	near_doc(f, "b", "_2");
	near_subscribe(f, NULL, "");
	near_ask(f, false, 1, 90, 0);
	near_skip(f, MSG_CH_REPAIR);
	near_ask(f, false, 1, 90, 0);
	f->snapshot_tick = 105;
	f->wal_tick = 109;
	near_join(f, ROUTE_FROM_NOW, 100);
	c = cut_of(f);
	near_check(c.pos.tick == 105 && c.pos.reboot_id == 7 &&
	    c.pos.server_id == 77 && c.documents == 2 && !c.compare);
	near_check(IS(c.pos.server, "PRMR-1") && !c.pos.has_proof);
	/* some of it is in the snapshot */
	near_ops(f, "i 104 x 1;i 105 y 1;i 107 z 1", 109);
	at_cut(f, 0);
	n = near_expect(f, MSG_CH_SNAP);
	m.p = n->data;
	m.left = n->len;
	near_check(get_u8(&m, &flags) == 0 && flags == 0);
	near_check(m.left == 50 && memcmp(m.p, "{\"_key\":\"a\",", 12) == 0);
	free(n);
	n = near_expect(f, MSG_CH_SNAP_END);
	m.p = n->data;
	m.left = n->len;
	near_check(get_u64(&m, &count) == 0 && count == 2);
	free(n);
	near_quiet(f, 50);
	near_up(f, MSG_CH_REPAIRED, NULL);
	near_check(IS(near_records(f, 0, &pos), "107"));
	near_check(pos.tick == 109 && pos.has_proof);
	near_skip(f, MSG_CH_CAUGHT_UP);
	near_until(f->queued == 109 && f->noted == 109 && f->durable == 109);
	/* from memory, and in pieces */
	near_ops(f, "i 120 k 1", 0);
	near_ops(f, "d 121 k", 125);
	near_check(IS(near_records(f, 0, &pos), "120 121"));
	near_check(pos.tick == 125);
	near_until(f->durable == 125 && f->noted == 125);
	near_until(strstr(f->status, "\"running\"") != NULL);
	commit(f, &pos);
	near_until(strstr(f->status, "\"unacked_bytes\":0") != NULL);
}

/* ---- resuming ---------------------------------------------------------- */

static void
resumes(struct near_end *f)
{
	struct sync_pos	 pos, at;
	struct buf	 b = BUF_INIT;
	uint64_t	 queued;

	near_start_empty(f, 100, 100);
	near_ops(f, "i 110 a 1", 111);
	near_check(IS(near_records(f, 0, &pos), "110"));
	near_ops(f, "i 120 b 1", 121);
	near_check(IS(near_records(f, 0, NULL), "120"));
	/* from its own queue, by offset */
	near_subscribe(f, &pos, "");
	at = resumed(f, &queued);
	near_check(at.tick == 111 && at.epoch == pos.epoch && queued == 121);
	near_check(IS(near_records(f, 0, NULL), "120"));
	/* by tick, when the epoch is another */
	at = pos;
	at.epoch = 5;
	near_subscribe(f, &at, "");
	at = resumed(f, NULL);
	near_check(at.tick == 111);
	near_check(IS(near_records(f, 0, NULL), "120"));
	/* nobody listens for a while: it is kept */
	put_str(&b, "a pause");
	near_up(f, MSG_CH_CLOSE, &b);
	near_ops(f, "i 130 c 1", 131);
	near_until(f->durable == 131);
	near_subscribe(f, &pos, "");
	(void)resumed(f, NULL);
	near_check(IS(near_records(f, 131, NULL), "120 130"));
	/* what the queue has not, the log may have */
	near_pos(&at, 95);
	at.epoch = 0;
	near_subscribe(f, &at, "");
	near_ask(f, true, 50, 131, 90);
	near_join(f, 90, 90);
	at = resumed(f, NULL);
	near_check(at.tick == 95);
	/* from the proof on: what is known comes again and goes no further */
	near_ops(f, "i 92 old 1;i 94 old 2", 94);
	near_ops(f, "i 95 old 3;i 110 a 1", 111);
	near_check(IS(near_records(f, 0, &at), "110"));
	near_check(at.tick == 111);
	near_until(f->noted == 111 && f->durable == 111);
	/* lines may come with the answer of the tail */
	near_pos(&at, 85);
	at.epoch = 0;
	near_subscribe(f, &at, "");
	near_ask(f, true, 50, 131, 80);
	near_join(f, 80, 80);
	near_ops(f, "i 82 old 1;i 90 b 1", 91);
	at = resumed(f, NULL);
	near_check(at.tick == 85);
	near_check(IS(near_records(f, 0, &at), "90"));
	near_until(f->noted == 91 && f->durable == 91);
	/* another target: its record means nothing */
	at.tick = 300;
	at.epoch = 0;
	near_subscribe(f, &at, "");
	near_ask(f, true, 50, 131, 131);
	near_skip(f, MSG_CH_REPAIR);
}

static void
asks_for_repair(struct near_end *f)
{
	struct near_message	*n;
	struct rbuf		 m;
	struct sync_pos		 pos;
	char			 why[256];
	uint8_t			 code;

	near_start_empty(f, 100, 100);
	near_ops(f, "i 110 a 1", 111);
	(void)near_records(f, 0, &pos);
	near_subscribe(f, &pos, "a reset");
	n = near_expect(f, MSG_CH_REPAIR);
	m.p = n->data;
	m.left = n->len;
	near_check(get_u8(&m, &code) == 0 && get_str(&m, why,
	    sizeof(why)) == 0 && IS(why, "a reset"));
	free(n);
	/* somebody else leads: nothing is read from this server */
	f->leader = "PRMR-2";
	near_ask(f, false, 1, 111, 0);
	near_join(f, ROUTE_FROM_NOW, 111);
	near_closed(f, "does not lead");
	near_check(f->snapshots == 1);
}

/* ---- credits ----------------------------------------------------------- */

static void
waits_for_credit(struct near_end *f)
{
	struct near_message	*n;
	struct channel_record	 rec;
	char			*big = xmalloc(100000);
	struct buf		 b = BUF_INIT;
	size_t			 sent = 0;
	unsigned int		 i, got = 0;

	near_start_empty(f, 100, 100);
	memset(big, 'x', 100000);
	for (i = 0; i < 40; i++) {
		buf_reset(&b);
		buf_printf(&b, "{\"tick\":\"%u\",\"data\":{\"t\":\"%.*s\"}}\n",
		    200 + i, 90000, big);
		near_piece(f, b.data, b.len, 0);
		near_end_at(f, 200 + i);
	}
	buf_free(&b);
	free(big);
	/* everything is received, a part of it is sent */
	near_until(f->durable == 239);
	near_until(f->queued == 239 && f->noted == 239);
	while (f->first != NULL) {
		n = near_expect(f, MSG_CH_RECORD);
		sent += n->len;
		near_check(channel_record_get(n->data, n->len, &rec) == 0);
		got += (rec.flags & CHANNEL_BOUNDARY) != 0;
		free(n);
	}
	near_check(sent >= CHANNEL_FIRST_CREDIT &&
	    sent < CHANNEL_FIRST_CREDIT + 200000);
	near_quiet(f, 100);
	/* the rest comes from the disk, in order */
	credit(f, (uint64_t)100 << 20, 0);
	while (got < 40) {
		n = near_expect(f, MSG_CH_RECORD);
		near_check(channel_record_get(n->data, n->len, &rec) == 0);
		if (rec.flags & CHANNEL_BOUNDARY)
			near_check(rec.pos.tick == 200 + got++);
		free(n);
	}
	near_ops(f, "i 300 a 1", 301);
	near_check(IS(near_records(f, 0, NULL), "300"));
}

/* ---- a quota ----------------------------------------------------------- */

static void
keeps_its_quota(struct near_end *f)
{
	struct buf	 b = BUF_INIT;
	struct sync_pos	 pos;
	char		*big = xmalloc(200000);
	unsigned int	 i;

	near_start_empty(f, 100, 100);
	credit(f, (uint64_t)100 << 20, 0);
	memset(big, 'x', 200000);
	near_check(!f->blocked);
	for (i = 0; i < 60 && !f->blocked; i++) {
		buf_reset(&b);
		buf_printf(&b, "{\"tick\":\"%u\",\"data\":{\"t\":\"%.*s\"}}\n",
		    200 + i, 190000, big);
		near_piece(f, b.data, b.len, 0);
		near_end_at(f, 200 + i);
		(void)near_records(f, 0, &pos);
		fiber_sleep_ms(5);
	}
	/* told; what comes nevertheless is taken */
	near_check(f->blocked && i > 15 && i < 40);
	near_ops(f, "i 300 a 1", 301);
	near_check(IS(near_records(f, 0, NULL), "300"));
	near_check(f->blocked);
	commit(f, &pos);
	near_until(!f->blocked);
	buf_free(&b);
	free(big);
}

/* --mq.quota: control adds up all queues. */
static void
told_to_stop(struct near_end *f)
{
	struct buf	 b = BUF_INIT;
	struct sync_pos	 pos;

	near_start_empty(f, 100, 100);
	put_bool(&b, true);
	near_check(peer_send_buf(f->control, MSG_WORKER_QUOTA, 0, &b) == 0);
	near_until(f->blocked);
	near_until(strstr(f->status, "\"total\"") != NULL);
	/* what was under way is taken, and what is queued goes on */
	near_ops(f, "i 110 a 1", 111);
	near_check(IS(near_records(f, 0, &pos), "110"));
	near_check(f->blocked);
	/* a tail that is there again is told again */
	near_tail_again(f);
	f->blocked = false;
	near_ask(f, true, 1, 111, 111);
	near_join(f, 111, 111);
	near_until(f->blocked);
	buf_reset(&b);
	put_bool(&b, false);
	near_check(peer_send_buf(f->control, MSG_WORKER_QUOTA, 0, &b) == 0);
	near_until(!f->blocked);
	near_until(strstr(f->status, "\"total\"") == NULL);
	buf_free(&b);
}

/*
 * Without room nothing is appended and the tail is stopped; what is queued
 * goes on.  A file takes the room away and gives it back.
 */
static void
take_room(struct near_end *f)
{
	char	*path = xasprintf("%s/room", f->dir);
	int	 fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	if (fd == -1 || posix_fallocate(fd, 0, (off_t)64 << 20) != 0)
		near_fail("%s cannot be filled", path);
	close(fd);
	free(path);
}

static void
give_room(struct near_end *f)
{
	char	*path = xasprintf("%s/room", f->dir);

	near_check(unlink(path) == 0);
	free(path);
}

static void
lives_without_room(struct near_end *f)
{
	struct near_message	*n;
	struct channel_record	 rec;
	struct sync_pos		 pos;
	char			*big = xmalloc(1 << 20);
	int			 i;

	near_start_empty(f, 100, 100);
	near_ops(f, "i 110 a 1", 111);
	near_check(IS(near_records(f, 0, &pos), "110"));
	near_ops(f, "i 112 b 1", 113);
	near_check(IS(near_records(f, 0, NULL), "112"));
	take_room(f);
	/* free space is looked at now and then: here, inside of a line */
	memset(big, 'x', 1 << 20);
	memcpy(big, "{\"tick\":\"120\",\"", 15);
	for (i = 0; i < 8; i++)
		near_piece(f, big + (i << 17), 1 << 17, TAIL_LINES_MORE);
	for (i = 0; i < 4; i++)
		near_piece(f, big + (1 << 17), 1 << 17, TAIL_LINES_MORE);
	near_piece(f, "\n", 1, 0);
	near_end_at(f, 121);
	near_ops(f, "i 130 c 1", 131);
	near_until(f->blocked);
	near_until(strstr(f->status, "\"full\"") != NULL);
	while (f->first->type == MSG_CH_RECORD)
		near_skip(f, MSG_CH_RECORD);
	near_closed(f, "space");
	near_subscribe(f, &pos, "");
	(void)resumed(f, NULL);
	near_check(IS(near_records(f, 0, NULL), "112"));
	near_quiet(f, 50);
	give_room(f);
	near_ask(f, true, 1, 131, 113);
	near_join(f, 113, 113);
	near_check(!f->blocked);
	near_ops(f, "i 120 d 1", 131);
	n = near_expect(f, MSG_CH_RECORD);
	near_check(channel_record_get(n->data, n->len, &rec) == 0 &&
	    rec.pos.tick == 131 && rec.flags == CHANNEL_BOUNDARY);
	free(n);
	free(big);
}

/* ---- long lines -------------------------------------------------------- */

static void
long_lines(struct near_end *f)
{
	struct near_message	*n;
	struct channel_record	 rec;
	struct sync_pos		 pos;
	size_t			 bytes = 0;
	char			*big = xmalloc(200000);

	near_start_empty(f, 100, 100);
	near_ops(f, "i 101 a 1", 102);
	(void)near_records(f, 0, &pos);
	memset(big, 'x', 200000);
	memcpy(big, "{\"tick\":\"110\",\"", 15);
	near_piece(f, big, 200000, TAIL_LINES_MORE);
	memset(big, 'x', 15);
	near_piece(f, big, 200000, TAIL_LINES_MORE);
	near_piece(f, "\"}\n{\"tick\":\"112\"}\n", 18, 0);
	near_end_at(f, 115);
	do {
		n = near_expect(f, MSG_CH_RECORD);
		near_check(channel_record_get(n->data, n->len, &rec) == 0);
		near_check(((rec.flags & CHANNEL_MORE) != 0) ==
		    (bytes < 400000 && rec.len == 200000));
		bytes += rec.len;
		free(n);
	} while (!(rec.flags & CHANNEL_BOUNDARY));
	near_check(bytes == 400018 && rec.pos.tick == 115);
	/* the tail dies inside of one: what is begun is never finished */
	memcpy(big, "{\"tick\":\"120\",\"", 15);
	near_piece(f, big, 200000, TAIL_LINES_MORE);
	near_skip(f, MSG_CH_RECORD);
	near_tail_again(f);
	near_closed(f, "in the middle of a line");
	near_ask(f, true, 1, 115, 115);
	near_join(f, 115, 115);
	near_ops(f, "i 120 b 1", 121);
	near_until(f->durable == 121);
	near_subscribe(f, &rec.pos, "");
	(void)resumed(f, NULL);
	near_check(IS(near_records(f, 0, NULL), "120"));
	free(big);
}

/* ---- the tail ---------------------------------------------------------- */

static void
tail_comes_and_goes(struct near_end *f)
{
	struct buf	 b = BUF_INIT;
	struct sync_pos	 pos;

	near_start_empty(f, 100, 100);
	near_ops(f, "i 101 a 1", 102);
	(void)near_records(f, 0, &pos);
	/* a part of a response, which then comes as a whole */
	near_ops(f, "i 105 b 1", 0);
	near_skip(f, MSG_CH_RECORD);
	near_tail_again(f);
	near_ask(f, true, 1, 110, 102);
	near_join(f, 102, 102);
	near_ops(f, "i 105 b 1;i 106 c 1", 110);
	near_check(IS(near_records(f, 0, &pos), "105 106"));
	/* lines that are of a former join are not taken */
	near_tail_again(f);
	near_ops(f, "i 111 former 1", 112);
	near_ask(f, true, 1, 110, 110);
	near_ops(f, "i 111 former 1", 112);
	near_join(f, 110, 110);
	near_ops(f, "i 113 d 1", 114);
	near_check(IS(near_records(f, 0, &pos), "113"));
	/* what is behind is queued as far as anybody knows */
	put_u64(&b, 500);
	near_tail(f, MSG_TAIL_BEHIND, 0, &b);
	near_until(f->queued == 500 && f->noted == 500);
	/* its log is gone: nothing is believed any more */
	put_u8(&b, TAIL_HISTORY_LOST);
	put_str(&b, "another history");
	near_tail(f, MSG_TAIL_GONE, 0, &b);
	near_closed(f, "another history");
	near_ops(f, "i 120 e 1", 121);
	near_subscribe(f, &pos, "");
	near_skip(f, MSG_CH_REPAIR);
	near_ask(f, false, 1, 121, 0);
	near_join(f, ROUTE_FROM_NOW, 121);
	near_skip(f, MSG_CH_CUT);
	/* a queue that is not proven when the tail is back */
	near_tail_again(f);
	near_ask(f, false, 1, 121, 114);
	near_closed(f, "does not go on");
}

/* ---- restarts ---------------------------------------------------------- */

static struct sync_pos	 last_pos;	/* of the process before; by file */
static char		 keep[] = "/tmp/send-keep-XXXXXX";

static void
store(struct near_end *f, const struct sync_pos *pos)
{
	char	*path = xasprintf("%s/pos", f->dir);

	near_check(fsx_replace_fast(path, pos, sizeof(*pos), 0600) == 0);
	free(path);
}

static void
load(struct near_end *f)
{
	struct buf	 b = BUF_INIT;
	char		*path = xasprintf("%s/pos", f->dir);

	near_check(fsx_read_file(path, 4096, &b) == 0 &&
	    b.len == sizeof(last_pos));
	memcpy(&last_pos, b.data, sizeof(last_pos));
	buf_free(&b);
	free(path);
}

static void
before_restart(struct near_end *f)
{
	struct sync_pos	 pos;

	near_start_empty(f, 100, 100);
	near_ops(f, "i 101 a 1", 102);
	(void)near_records(f, 0, &pos);
	store(f, &pos);
	near_ops(f, "i 105 b 1", 106);
	(void)near_records(f, 0, NULL);
}

static void
after_restart(struct near_end *f)
{
	struct near_message	*n;
	struct rbuf		 m;
	struct sync_pos		 asked, want;
	struct buf		 b = BUF_INIT;
	struct tail_evidence	 e;
	char			 db[64], cuid[96];
	bool			 has;

	load(f);
	/* by itself: it asks for what its queue ends with, and its proof */
	n = near_expect(f, MSG_TAIL_ASK_REQ);
	m.p = n->data;
	m.left = n->len;
	near_check(get_str(&m, db, sizeof(db)) == 0 &&
	    get_str(&m, cuid, sizeof(cuid)) == 0 && get_bool(&m, &has) == 0 &&
	    has && pos_get(&m, &asked) == 0);
	near_pos(&want, 106);
	near_check(asked.tick == 106 && asked.has_proof &&
	    asked.proof_from == want.proof_from &&
	    asked.proof_crc == want.proof_crc && asked.server_id == 77);
	memset(&e, 0, sizeof(e));
	snprintf(e.server, sizeof(e.server), "PRMR-1");
	e.reboot_id = 7;
	e.proven = true;
	e.wal_last = e.join = 106;
	tail_evidence_put(&b, &e);
	near_tail(f, MSG_TAIL_ASK_ANS, n->id, &b);
	free(n);
	near_join(f, 106, 106);
	near_subscribe(f, &last_pos, "");
	near_check(resumed(f, NULL).epoch == last_pos.epoch);
	near_check(IS(near_records(f, 0, NULL), "105"));
	near_ops(f, "i 108 c 1", 109);
	near_check(IS(near_records(f, 0, NULL), "108"));
}

/* A message that is none closes the subscription, not the process. */
static void
bad_target(struct near_end *f)
{
	struct buf	 b = BUF_INIT;

	near_start_empty(f, 100, 100);
	put_u8(&b, 1);
	near_up(f, MSG_CH_COMMIT, &b);
	near_closed(f, "MSG_CH_COMMIT");
	near_start_empty(f, 100, 100);
	at_cut(f, 5);
	near_closed(f, "not made");
	near_start_empty(f, 100, 100);
	put_u32(&b, 1);
	put_u32(&b, 0xffffffff);
	near_up(f, MSG_CH_FETCH, &b);
	near_closed(f, "MSG_CH_FETCH");
}

/* ------------------------------------------------------------------------ */

#define RUNS(fn)							\
	static void							\
	test_##fn(void)							\
	{								\
		CU_ASSERT_EQUAL(near_run(fn, NULL), 0);			\
	}
RUNS(copies_and_follows)
RUNS(resumes)
RUNS(asks_for_repair)
RUNS(waits_for_credit)
RUNS(keeps_its_quota)
RUNS(told_to_stop)
RUNS(long_lines)
RUNS(tail_comes_and_goes)
RUNS(bad_target)

static void
test_quota(void)
{
	near_quota = 4 << 20;
	test_keeps_its_quota();
	near_quota = 0;
}

static void
test_room(void)
{
	char		 dir[] = "/dev/shm/send-test-XXXXXX";
	struct statvfs	 vfs;

	if (statvfs("/dev/shm", &vfs) != 0 || access("/dev/shm", W_OK) != 0 ||
	    (uint64_t)vfs.f_bavail * vfs.f_frsize < (uint64_t)256 << 20)
		unit_skip("no memory file system with room at /dev/shm");
	near_min_free = (uint64_t)vfs.f_bavail * vfs.f_frsize -
	    ((uint64_t)40 << 20);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	CU_ASSERT_EQUAL(near_run(lives_without_room, dir), 0);
	near_min_free = 0;
	(void)fsx_remove_tree(dir);
}

static void
test_restart(void)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(keep));
	CU_ASSERT_EQUAL(near_run(before_restart, keep), 0);
	CU_ASSERT_EQUAL(near_run(after_restart, keep), 0);
	(void)fsx_remove_tree(keep);
}

UNIT_MAIN("send",
    { "an empty target gets the snapshot, then the stream",
	test_copies_and_follows },
    { "it resumes from its queue, or from the log", test_resumes },
    { "a repair that is asked for, and a leader that is none",
	test_asks_for_repair },
    { "without credit it is the disk that waits", test_waits_for_credit },
    { "over its quota it stops the tail, until there is less",
	test_quota },
    { "when control says so it stops the tail, until it says otherwise",
	test_told_to_stop },
    { "without room it stops the tail, until there is some", test_room },
    { "a long line is whole, or is not there", test_long_lines },
    { "the tail comes and goes", test_tail_comes_and_goes },
    { "messages that are none close a subscription", test_bad_target },
    { "the next process goes on where this one ended", test_restart })
