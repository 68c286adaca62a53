/* test_inbox.c - what waits, what may come, and what is remembered */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fsx.h"
#include "base/random.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "receive/receive_inbox.h"
#include "receive/receive_record.h"
#include "unit.h"

static void
position(struct sync_pos *p, uint64_t tick)
{
	memset(p, 0, sizeof(*p));
	snprintf(p->server, sizeof(p->server), "PRMR-1");
	p->reboot_id = 3;
	p->tick = tick;
}

/* tick 0: no boundary */
static int
record(struct inbox *in, const char *text, size_t len, uint8_t flags,
    uint64_t tick)
{
	struct buf	 b = BUF_INIT;
	struct sync_pos	 p;
	int		 e;

	position(&p, tick);
	channel_record_put(&b, 1, tick);
	channel_stored_put(&b, (uint8_t)(flags | (tick != 0 ?
	    CHANNEL_BOUNDARY : 0)), &p);
	buf_append(&b, text, len);
	e = inbox_record(in, b.data, b.len);
	buf_free(&b);
	return e;
}

static int
say(struct inbox *in, const char *text, uint8_t flags, uint64_t tick)
{
	return record(in, text, strlen(text), flags, tick);
}

/* What is taken, with "|tick" when a boundary was among it. */
static const char *
took(struct inbox *in)
{
	static char		 text[512];
	struct inbox_lines	 lines;
	struct inbox_part	*part;
	struct buf		 out = BUF_INIT;
	struct sync_pos		 p;
	bool			 boundary;
	size_t			 n;

	inbox_take_lines(in, &lines, &boundary, &p);
	for (part = lines.first; part != NULL; part = part->next)
		buf_append(&out, part->memory.data + part->at,
		    part->memory.len - part->at);
	inbox_lines_done(in, &lines);
	n = MIN(out.len, sizeof(text) - 32);
	if (n != 0)
		memcpy(text, out.data, n);
	text[n] = '\0';
	if (boundary)
		snprintf(text + n, 32, "|%llu", (unsigned long long)p.tick);
	buf_free(&out);
	return text;
}

static void
test_lines(void)
{
	struct inbox	 in;

	inbox_init(&in);
	CU_ASSERT_FALSE(inbox_has(&in.now));
	CU_ASSERT_EQUAL(say(&in, "a\nb\nc", CHANNEL_MORE, 0), 0);
	CU_ASSERT_TRUE(inbox_has(&in.now));
	CU_ASSERT_STRING_EQUAL(took(&in), "a\nb\n");
	CU_ASSERT_FALSE(inbox_has(&in.now));
	CU_ASSERT_EQUAL(say(&in, "cc", CHANNEL_MORE, 0), 0);
	CU_ASSERT_FALSE(inbox_has(&in.now));
	CU_ASSERT_EQUAL(say(&in, "c\nd\n", 0, 7), 0);
	CU_ASSERT_EQUAL(say(&in, "e", 0, 0), 0);
	CU_ASSERT_STRING_EQUAL(took(&in), "cccc\nd\ne\n|7");
	/* a boundary without lines moves the position */
	CU_ASSERT_EQUAL(say(&in, "", 0, 8), 0);
	CU_ASSERT_EQUAL(say(&in, "", 0, 9), 0);
	CU_ASSERT_STRING_EQUAL(took(&in), "|9");
	/* a response does not end within a line */
	CU_ASSERT_EQUAL(say(&in, "f", CHANNEL_MORE, 0), 0);
	CU_ASSERT_EQUAL(say(&in, "", 0, 10), ERR_FORMAT);
	inbox_free(&in);
}

/* A long record in memory of its own, behind 16 bytes of something else; text
 * again and again.  Was the memory taken? */
static bool
say_long(struct inbox *in, const char *text, size_t len, uint8_t flags,
    uint64_t tick)
{
	struct buf	 b = BUF_INIT;
	struct sync_pos	 p;
	size_t		 i;
	bool		 taken;

	position(&p, tick);
	buf_append(&b, "0123456789abcdef", 16);
	channel_record_put(&b, 1, tick);
	channel_stored_put(&b, (uint8_t)(flags | (tick != 0 ?
	    CHANNEL_BOUNDARY : 0)), &p);
	for (i = 0; i < len; i += strlen(text))
		buf_append(&b, text, strlen(text));
	CU_ASSERT_EQUAL(inbox_record_memory(in, &b, 16), 0);
	taken = b.data == NULL;
	buf_free(&b);
	return taken;
}

static void
test_long(void)
{
	struct inbox		 in;
	struct inbox_lines	 lines;
	struct sync_pos		 p;
	uint64_t		 live, bulk;
	bool			 boundary;

	inbox_init(&in);
	/* short ones are gathered */
	CU_ASSERT_FALSE(say_long(&in, "a\n", 4, 0, 1));
	CU_ASSERT_TRUE(say_long(&in, "bb\n", 60000, 0, 2));
	CU_ASSERT_FALSE(say_long(&in, "c\n", 2, 0, 3));
	CU_ASSERT_FALSE(say_long(&in, "d\n", 2, 0, 4));
	CU_ASSERT_TRUE(say_long(&in, "ee\n", 60000, 0, 0));
	CU_ASSERT_FALSE(inbox_is_empty(&in));
	inbox_take_lines(&in, &lines, &boundary, &p);
	CU_ASSERT_TRUE(boundary);
	CU_ASSERT_EQUAL(p.tick, 4);
	CU_ASSERT_TRUE(inbox_is_empty(&in));
	CU_ASSERT_EQUAL_FATAL(lines.first->memory.len - lines.first->at, 4);
	CU_ASSERT_PTR_NOT_NULL_FATAL(lines.first->next);
	CU_ASSERT_EQUAL(memcmp(lines.first->next->memory.data +
	    lines.first->next->at, "bb\nbb\n", 6), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(lines.first->next->next);
	CU_ASSERT_EQUAL(memcmp(lines.first->next->next->memory.data,
	    "c\nd\n", 4), 0);
	CU_ASSERT_EQUAL(lines.last, lines.first->next->next->next);
	CU_ASSERT_EQUAL(memcmp(lines.last->memory.data + lines.last->at,
	    "ee\nee\n", 6), 0);
	inbox_lines_done(&in, &lines);
	/* what holds a part of a line is joined */
	CU_ASSERT_FALSE(say_long(&in, "f", 60000, CHANNEL_MORE, 0));
	CU_ASSERT_FALSE(inbox_has(&in.now));
	CU_ASSERT_FALSE(say_long(&in, "f\n", 60000, 0, 0));
	CU_ASSERT_TRUE(say_long(&in, "g\n", 60000, 0, 0));
	CU_ASSERT_FALSE(say_long(&in, "h", 60000, CHANNEL_MORE, 0));
	CU_ASSERT_FALSE(inbox_credit(&in, &live, &bulk));
	inbox_take_lines(&in, &lines, &boundary, &p);
	CU_ASSERT_FALSE(boundary);
	CU_ASSERT_EQUAL(lines.last, lines.first->next);
	CU_ASSERT_EQUAL(lines.first->memory.len, 120000);
	CU_ASSERT_EQUAL(in.now.text.len, 60000);
	inbox_lines_done(&in, &lines);
	CU_ASSERT_FALSE(say_long(&in, "i\n", 60000, 0, 5));
	CU_ASSERT_TRUE(inbox_has(&in.now));
	/* behind a cut */
	inbox_part(&in);
	CU_ASSERT_TRUE(say_long(&in, "j\n", 60000, 0, 6));
	inbox_take_lines(&in, &lines, &boundary, &p);
	inbox_lines_done(&in, &lines);
	CU_ASSERT_EQUAL(p.tick, 5);
	CU_ASSERT_FALSE(inbox_has(&in.now));
	inbox_join(&in);
	CU_ASSERT_TRUE(inbox_has(&in.now));
	inbox_free(&in);
}

static void
test_cut(void)
{
	struct inbox	 in;

	inbox_init(&in);
	say(&in, "a\n", 0, 1);
	inbox_part(&in);
	say(&in, "b\n", 0, 2);
	CU_ASSERT_STRING_EQUAL(took(&in), "a\n|1");
	CU_ASSERT_FALSE(inbox_has(&in.now));
	inbox_join(&in);
	CU_ASSERT_STRING_EQUAL(took(&in), "b\n|2");
	inbox_free(&in);
}

static void
test_credit(void)
{
	static char	 text[64 * 1024];
	struct inbox		 in;
	uint64_t		 live, bulk, before;
	struct inbox_lines	 out;
	struct sync_pos		 p;
	bool			 boundary;
	int			 i, e = 0;

	memset(text, 'x', sizeof(text));
	inbox_init(&in);
	/* what a new subscription has is enough */
	CU_ASSERT(INBOX_WINDOW_LIVE <= CHANNEL_FIRST_CREDIT);
	CU_ASSERT_FALSE(inbox_credit(&in, &live, &bulk));
	/* whole lines hold their credit until they are taken */
	for (i = 0; i < 12; i++) {
		text[sizeof(text) - 1] = '\n';
		CU_ASSERT_EQUAL(record(&in, text, sizeof(text), 0, 0), 0);
		CU_ASSERT_FALSE(inbox_credit(&in, &live, &bulk));
	}
	/* or rather until they are done with */
	inbox_take_lines(&in, &out, &boundary, &p);
	CU_ASSERT_FALSE(inbox_credit(&in, &live, &bulk));
	inbox_lines_done(&in, &out);
	CU_ASSERT_TRUE(inbox_credit(&in, &live, &bulk));
	CU_ASSERT(live >= INBOX_WINDOW_LIVE + 12 * sizeof(text));
	/* a line that has no end yet does not: more of it must come */
	text[sizeof(text) - 1] = 'x';
	for (i = 0, before = live; i < 100; i++) {
		CU_ASSERT_EQUAL(record(&in, text, sizeof(text), CHANNEL_MORE,
		    0), 0);
		(void)inbox_credit(&in, &live, &bulk);
	}
	CU_ASSERT(live >= before + 90 * sizeof(text));
	/* who does not care for credits is refused before memory is used up */
	inbox_reset(&in);
	text[sizeof(text) - 1] = '\n';
	for (i = 0; i < 1000 && e == 0; i++)
		e = record(&in, text, sizeof(text), 0, 0);
	CU_ASSERT_EQUAL(e, ERR_PROTOCOL);
	CU_ASSERT(i < 100);
	inbox_free(&in);
}

static void
test_pieces(void)
{
	struct inbox		 in;
	struct inbox_piece	*p;
	struct buf		 out = BUF_INIT;
	struct sync_pos		 pos;
	bool			 boundary;

	inbox_init(&in);
	CU_ASSERT_PTR_NULL(inbox_next(&in));
	CU_ASSERT_EQUAL(inbox_piece(&in, MSG_CH_SUMS, "ab", 2), 0);
	CU_ASSERT_EQUAL(inbox_piece(&in, MSG_CH_PAIRS, "", 0), 0);
	p = inbox_next(&in);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->type, MSG_CH_SUMS);
	CU_ASSERT_EQUAL(p->len, 2);
	free(p);
	CU_ASSERT_EQUAL(inbox_piece(&in, MSG_CH_DOCS, "c", 1), 0);
	p = inbox_next(&in);
	CU_ASSERT_EQUAL(p->type, MSG_CH_PAIRS);
	free(p);
	/* the rest is freed with it */
	inbox_free(&in);
	/* documents of a snapshot */
	inbox_init(&in);
	CU_ASSERT_EQUAL(inbox_snap(&in, "\1{\"_key\":", 9), 0);
	CU_ASSERT_FALSE(inbox_has(&in.snap));
	CU_ASSERT_EQUAL(inbox_snap(&in, "\0\"a\"}\n", 6), 0);
	inbox_take(&in.snap, &out, &boundary, &pos);
	CU_ASSERT_STRING_EQUAL(buf_cstr(&out), "{\"_key\":\"a\"}\n");
	buf_free(&out);
	CU_ASSERT_EQUAL(inbox_snap(&in, "\2x", 2), ERR_FORMAT);
	CU_ASSERT_EQUAL(inbox_snap(&in, "", 0), ERR_TRUNCATED);
	inbox_free(&in);
}

/* ---- records ------------------------------------------------------------ */

static const struct channel_name	 name = { "sh/o p", 10049, 3 };

static void
make_record(struct receive_record *rec)
{
	memset(rec, 0, sizeof(*rec));
	snprintf(rec->shard.cid, sizeof(rec->shard.cid), "10049");
	snprintf(rec->shard.target_cid, sizeof(rec->shard.target_cid), "77");
	rec->shard.lineage = true;
	rec->suspect_us = 5;
	position(&rec->shard.pos, 4711);
}

static void
test_record_file(void)
{
	struct receive_record	 rec, got;
	struct err_msg		 m;
	struct stat		 st;
	char			 dir[] = "/tmp/receive-record-XXXXXX", *path;
	char			*sub;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	sub = xasprintf("%s/applied", dir);
	CU_ASSERT_EQUAL(fsx_mkdir_p(sub, 0700), 0);
	path = receive_record_path(dir, &name, ".x");
	CU_ASSERT_STRING_EQUAL(path + strlen(dir),
	    "/applied/sh%2fo%20p.10049.3.x");
	CU_ASSERT_EQUAL(receive_record_load(path, "S", &name, &got, &m),
	    -ENOENT);
	make_record(&rec);
	CU_ASSERT_EQUAL(receive_record_store(path, "S", &name, &rec, &m), 0);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	CU_ASSERT_EQUAL(receive_record_load(path, "S", &name, &got, &m), 0);
	CU_ASSERT_EQUAL(got.shard.pos.tick, 4711);
	CU_ASSERT_STRING_EQUAL(got.shard.target_cid, "77");
	CU_ASSERT_TRUE(got.shard.lineage);
	CU_ASSERT_EQUAL(got.suspect_us, 5);
	CU_ASSERT_EQUAL(receive_record_load(path, "T", &name, &got, &m),
	    ERR_EXISTS);
	fsx_remove_tree(dir);
	free(sub);
	free(path);
}

/* Names of databases may be long and of any bytes; files may not. */
static void
test_record_path(void)
{
	struct channel_name	 n = { "", 1, 0 };
	char			*a, *b;

	memset(n.db, 0xe4, sizeof(n.db) - 1);
	a = receive_record_path("/d", &n, ".owed.damaged");
	n.db[sizeof(n.db) - 2] = 'a';
	b = receive_record_path("/d", &n, ".owed.damaged");
	CU_ASSERT(strlen(a) < 255);
	CU_ASSERT_STRING_NOT_EQUAL(a, b);
	free(a);
	free(b);
}

/* Whatever is changed in a file, it is no record any more. */
static void
test_damage(void)
{
	struct receive_record	 rec, got;
	struct buf		 b = BUF_INIT;
	size_t			 i;

	make_record(&rec);
	receive_record_put(&b, "S", &name, &rec);
	CU_ASSERT_EQUAL(receive_record_get(b.data, b.len, "S", &name, &got),
	    0);
	for (i = 0; i < b.len; i++) {
		CU_ASSERT(receive_record_get(b.data, i, "S", &name,
		    &got) < 0);
		b.data[i] ^= 0x40;
		CU_ASSERT(receive_record_get(b.data, b.len, "S", &name,
		    &got) < 0);
		b.data[i] ^= 0x40;
	}
	buf_free(&b);
}

UNIT_MAIN("receive inbox",
    { "lines are whole, wherever pieces end", test_lines },
    { "long records stay where they came", test_long },
    { "a cut parts the stream", test_cut },
    { "credit is given for what was taken", test_credit },
    { "pieces come out as they came in", test_pieces },
    { "a record is found again, in a file of its own", test_record_file },
    { "every name of a database makes a name of a file", test_record_path },
    { "a damaged record is none", test_damage })
