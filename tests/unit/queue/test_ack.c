/* test_ack.c - positions of channels in one journal */
#include <inttypes.h>

#include "queue/ack.h"
#include "util.h"

static char	path[128];

static void
start(void)
{
	begin();
	snprintf(path, sizeof(path), "%s/positions", top);
}

static struct ack_store *
open_store(uint64_t *torn)
{
	struct ack_store	*s = NULL;
	int			 r = ack_open(path, &s, torn, &em);

	if (r != 0)
		printf("# ack_open: %s\n", em.text);
	CU_ASSERT_EQUAL_FATAL(r, 0);
	return s;
}

static void
put_tick(struct ack_store *s, const char *key, uint64_t tick)
{
	struct ack_pos	 p;

	memset(&p, 0, sizeof(p));
	strcpy(p.server, "PRMR-1");
	p.epoch = 5;
	p.offset = tick * 8;
	p.reboot_id = 3;
	p.tick = tick;
	p.line_crc = (uint32_t)tick ^ 0xabcd;
	p.flags = tick % 2 ? ACK_NEEDS_REPAIR : 0;
	CU_ASSERT_EQUAL(ack_put(s, key, &p), 0);
}

static uint64_t
tick_of(struct ack_store *s, const char *key)
{
	const struct ack_pos	*p = ack_get(s, key);

	if (p == NULL)
		return 0;
	CU_ASSERT_STRING_EQUAL(p->server, "PRMR-1");
	CU_ASSERT_EQUAL(p->offset, p->tick * 8);
	CU_ASSERT_EQUAL(p->reboot_id, 3);
	CU_ASSERT_EQUAL(p->line_crc, (uint32_t)p->tick ^ 0xabcd);
	CU_ASSERT_EQUAL(p->flags, p->tick % 2);
	CU_ASSERT_TRUE(p->time_us > 0);
	return p->tick;
}

static void
test_durable(void)
{
	struct ack_store	*s, *other = NULL;

	start();
	s = open_store(NULL);
	CU_ASSERT_EQUAL(ack_open(path, &other, NULL, &em), -EWOULDBLOCK);
	put_tick(s, "a.1.0", 10);
	put_tick(s, "a.2.0", 20);
	CU_ASSERT_TRUE(ack_is_dirty(s));
	CU_ASSERT_PTR_NULL(ack_get_durable(s, "a.1.0"));
	CU_ASSERT_EQUAL(tick_of(s, "a.1.0"), 10);
	CU_ASSERT_EQUAL(ack_sync(s, &em), 0);
	CU_ASSERT_FALSE(ack_is_dirty(s));
	CU_ASSERT_EQUAL(ack_get_durable(s, "a.1.0")->tick, 10);
	put_tick(s, "a.1.0", 11);
	CU_ASSERT_EQUAL(ack_get_durable(s, "a.1.0")->tick, 10);
	/* Not synced: lost. */
	ack_close(&s);
	s = open_store(NULL);
	CU_ASSERT_EQUAL(tick_of(s, "a.1.0"), 10);
	CU_ASSERT_EQUAL(ack_count(s), 2);
	CU_ASSERT_EQUAL(ack_del(s, "a.1.0"), 0);
	CU_ASSERT_EQUAL(ack_del(s, "nobody"), 0);
	CU_ASSERT_PTR_NULL(ack_get(s, "a.1.0"));
	CU_ASSERT_EQUAL(ack_get_durable(s, "a.1.0")->tick, 10);
	CU_ASSERT_EQUAL(ack_count(s), 1);
	CU_ASSERT_EQUAL(ack_sync(s, &em), 0);
	CU_ASSERT_PTR_NULL(ack_get_durable(s, "a.1.0"));
	put_tick(s, "a.3.0", 30);
	CU_ASSERT_EQUAL(ack_sync(s, &em), 0);
	CU_ASSERT_EQUAL(ack_open_readonly(path, &other, &em), 0);
	CU_ASSERT_EQUAL(tick_of(other, "a.3.0"), 30);
	CU_ASSERT_EQUAL(ack_del(other, "a.3.0"), ERR_BAD_STATE);
	ack_close(&other);
	ack_close(&s);
	s = open_store(NULL);
	CU_ASSERT_PTR_NULL(ack_get(s, "a.1.0"));
	CU_ASSERT_EQUAL(tick_of(s, "a.2.0"), 20);
	CU_ASSERT_EQUAL(ack_count(s), 2);
	ack_close(&s);
	end();
}

static void
test_limits(void)
{
	struct ack_store	*s;
	struct ack_pos		 p;
	char			 key[ACK_KEY_BYTES + 2];

	start();
	s = open_store(NULL);
	memset(&p, 0, sizeof(p));
	memset(key, 'k', sizeof(key));
	key[ACK_KEY_BYTES + 1] = '\0';
	CU_ASSERT_EQUAL(ack_put(s, key, &p), ERR_TOO_BIG);
	key[ACK_KEY_BYTES] = '\0';
	CU_ASSERT_EQUAL(ack_put(s, key, &p), 0);
	memset(p.server, 's', sizeof(p.server));
	CU_ASSERT_EQUAL(ack_put(s, "b", &p), ERR_TOO_BIG);
	p.server[63] = '\0';
	CU_ASSERT_EQUAL(ack_put(s, "b", &p), 0);
	CU_ASSERT_EQUAL(ack_sync(s, &em), 0);
	ack_close(&s);
	s = open_store(NULL);
	CU_ASSERT_EQUAL(ack_count(s), 2);
	CU_ASSERT_PTR_NOT_NULL(ack_get(s, key));
	ack_close(&s);
	CU_ASSERT_EQUAL(ack_open("/nonexistent/x", &s, NULL, &em), -ENOENT);
	end();
}

/* Thousands of channels, many rounds: the file stays small. */
static void
test_compaction(void)
{
	struct ack_store	*s;
	char			 key[32];
	uint64_t		 round, most = 0;
	int			 i;

	start();
	s = open_store(NULL);
	for (round = 1; round <= 40; round++) {
		for (i = 0; i < 3000; i++) {
			snprintf(key, sizeof(key), "db.%d.%d", 1000 + i,
			    i % 8);
			put_tick(s, key, round * 10 + (uint64_t)i);
		}
		CU_ASSERT_EQUAL(ack_sync(s, &em), 0);
		most = MAX(most, ack_file_bytes(s));
	}
	CU_ASSERT_TRUE(most < 3000 * 100 * 6);
	ack_close(&s);
	s = open_store(NULL);
	CU_ASSERT_EQUAL(ack_count(s), 3000);
	CU_ASSERT_EQUAL(tick_of(s, "db.1000.0"), 400);
	CU_ASSERT_EQUAL(tick_of(s, "db.3999.7"), 400 + 2999);
	ack_close(&s);
	end();
}

/* Every cut and every flipped byte: an older state, never a wrong one. */
static void
test_damage(void)
{
	struct ack_store	*s = NULL;
	struct buf		 good = BUF_INIT, bad = BUF_INIT;
	uint64_t		 ends[5], torn, t;
	size_t			 i, k;
	int			 r;

	start();
	s = open_store(NULL);
	ends[0] = ack_file_bytes(s);
	for (i = 1; i <= 4; i++) {
		put_tick(s, "a", i);
		put_tick(s, "b", i + 10);
		CU_ASSERT_EQUAL(ack_sync(s, &em), 0);
		ends[i] = ack_file_bytes(s);
	}
	ack_close(&s);
	read_whole(path, &good);
	CU_ASSERT_EQUAL(good.len, ends[4]);
	for (i = 0; i < good.len; i++) {
		write_whole(path, good.data, i);
		r = ack_open(path, &s, &torn, &em);
		if (i < ends[0]) {	/* replaced as a whole: never so */
			CU_ASSERT_EQUAL(r, ERR_CORRUPT);
			continue;
		}
		CU_ASSERT_EQUAL_FATAL(r, 0);
		for (k = 4; ends[k] > i; k--)
			continue;
		CU_ASSERT_EQUAL(tick_of(s, "a"), k);
		CU_ASSERT_EQUAL(torn, i - ends[k]);
		/* It can be written on. */
		put_tick(s, "a", 99);
		CU_ASSERT_EQUAL(ack_sync(s, &em), 0);
		ack_close(&s);
		s = open_store(&torn);
		CU_ASSERT_EQUAL(torn, 0);
		CU_ASSERT_EQUAL(tick_of(s, "a"), 99);
		ack_close(&s);
	}
	for (i = 0; i < good.len; i++) {
		buf_reset(&bad);
		buf_append(&bad, good.data, good.len);
		bad.data[i] ^= 0x10;
		write_whole(path, bad.data, bad.len);
		r = ack_open(path, &s, NULL, &em);
		if (i < ends[3]) {
			CU_ASSERT_TRUE(r == ERR_CORRUPT || r == ERR_VERSION);
			CU_ASSERT_PTR_NOT_NULL(strstr(em.text, path));
			continue;
		}
		CU_ASSERT_EQUAL_FATAL(r, 0);
		t = tick_of(s, "a");
		CU_ASSERT_EQUAL(t, 3);
		ack_close(&s);
	}
	buf_free(&good);
	buf_free(&bad);
	end();
}

UNIT_MAIN("queue ack",
    { "what is synced is there again", test_durable },
    { "long keys and servers", test_limits },
    { "the journal is made short again", test_compaction },
    { "a torn block is cut, damage is reported", test_damage })
