/* test_owed.c - tests of owed keys, dead letters, and of committing */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fsx.h"
#include "base/random.h"
#include "sync/commit.h"
#include "sync/owed.h"
#include "unit.h"

static char	 dir[] = "/tmp/arangosync-owed-XXXXXX";

static char *
file_path(void)
{
	if (strstr(dir, "XXXXXX") != NULL && mkdtemp(dir) == NULL)
		fatal("no directory for tests");
	return xasprintf("%s/owed", dir);
}

static int
collect(void *arg, const void *key, size_t len)
{
	buf_append(arg, key, len);
	buf_append_u8(arg, ' ');
	return 0;
}

static int
collect_dead(void *arg, const struct owed_dead *d)
{
	buf_printf(arg, "%.*s=%d/%llu:%s ", (int)d->key_len,
	    (const char *)d->key, d->num, (unsigned long long)d->rev,
	    d->text);
	return 0;
}

static const char *
content(struct owed *o, struct buf *b)
{
	buf_reset(b);
	owed_each(o, collect, b);
	buf_append_str(b, "| ");
	owed_dead_each(o, collect_dead, b);
	return (const char *)buf_cstr(b);
}

static struct owed *
reopen(struct owed **o, const char *path, uint64_t *cut)
{
	struct err_msg	 m;

	owed_close(o);
	if (owed_open(path, "d/10/0", o, cut, &m) != 0) {
		printf("# %s\n", m.text);
		CU_FAIL_FATAL("cannot be opened again");
	}
	return *o;
}

static void
test_journal(void)
{
	char		*path = file_path();
	struct owed	*o = NULL;
	struct buf	 b = BUF_INIT;
	struct owed_dead d = { "dd", 2, 1221, 77, 5, "key is bad" };
	char		 big[OWED_KEY_MAX + 1];
	uint64_t	 cut;

	reopen(&o, path, &cut);
	CU_ASSERT_EQUAL(owed_add(o, "a", 1), 0);
	CU_ASSERT_EQUAL(owed_add(o, "b", 1), 0);
	CU_ASSERT_EQUAL(owed_add(o, "a", 1), 0);
	CU_ASSERT_EQUAL(owed_add(o, "c\0x", 3), 0);
	CU_ASSERT_EQUAL(owed_sync(o), 0);
	CU_ASSERT_TRUE(owed_has(o, "c\0x", 3));
	CU_ASSERT_FALSE(owed_has(o, "c", 1));
	CU_ASSERT_EQUAL(owed_dead_add(o, &d), 0);
	d.num = 1216;
	d.text = NULL;
	CU_ASSERT_EQUAL(owed_dead_add(o, &d), 0);
	CU_ASSERT_EQUAL(owed_count(o), 3);
	CU_ASSERT_EQUAL(owed_dead_count(o), 1);
	CU_ASSERT_EQUAL(owed_clear(o, "b", 1), 0);
	CU_ASSERT_EQUAL(owed_clear(o, "b", 1), 0);
	CU_ASSERT_EQUAL(owed_clear(o, "c\0x", 3), 0);
	CU_ASSERT_STRING_EQUAL(content(o, &b), "a | dd=1216/77: ");
	reopen(&o, path, &cut);
	CU_ASSERT_EQUAL(cut, 0);
	CU_ASSERT_STRING_EQUAL(content(o, &b), "a | dd=1216/77: ");
	/* a later operation clears both */
	CU_ASSERT_EQUAL(owed_applied(o, "a", 1), 0);
	CU_ASSERT_EQUAL(owed_applied(o, "dd", 2), 0);
	CU_ASSERT_EQUAL(owed_applied(o, "nothing", 7), 0);
	CU_ASSERT_STRING_EQUAL(content(o, &b), "| ");
	CU_ASSERT_EQUAL(owed_add(o, "z", 1), 0);
	CU_ASSERT_EQUAL(owed_clear_all(o), 0);
	CU_ASSERT_EQUAL(owed_add(o, "y", 1), 0);
	reopen(&o, path, &cut);
	CU_ASSERT_STRING_EQUAL(content(o, &b), "y | ");
	memset(big, 'k', sizeof(big));
	CU_ASSERT_EQUAL(owed_add(o, big, sizeof(big)), ERR_RANGE);
	CU_ASSERT_EQUAL(owed_add(o, big, sizeof(big) - 1), 0);
	CU_ASSERT_EQUAL(owed_add(o, big, 0), ERR_RANGE);
	reopen(&o, path, &cut);
	CU_ASSERT_EQUAL(owed_count(o), 2);
	CU_ASSERT_EQUAL(owed_remove(&o), 0);
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
	buf_free(&b);
	free(path);
}

/* Whatever the length at which the power was cut, the records before count. */
static void
test_torn(void)
{
	char		*path = file_path();
	struct owed	*o = NULL;
	struct buf	 whole = BUF_INIT, b = BUF_INIT;
	uint64_t	 cut, ends[4];
	size_t		 n, k, head;

	reopen(&o, path, &cut);
	head = owed_file_bytes(o);
	for (k = 0; k < 4; k++) {
		char	 key[2] = { (char)('a' + (int)k), 0 };

		owed_add(o, key, 1);
		ends[k] = owed_file_bytes(o);
	}
	owed_close(&o);
	CU_ASSERT_EQUAL(fsx_read_file(path, 1 << 20, &whole), 0);
	for (n = head; n <= whole.len; n++) {
		CU_ASSERT_EQUAL(fsx_replace_fast(path, whole.data, n, 0600),
		    0);
		reopen(&o, path, &cut);
		for (k = 0; k < 4 && ends[k] <= n; k++)
			;
		CU_ASSERT_EQUAL(owed_count(o), k);
		CU_ASSERT_EQUAL(cut, n - (k == 0 ? head : ends[k - 1]));
		/* appended behind the cut, and found again */
		CU_ASSERT_EQUAL(owed_add(o, "new", 3), 0);
		reopen(&o, path, &cut);
		CU_ASSERT_EQUAL(cut, 0);
		CU_ASSERT_TRUE(owed_has(o, "new", 3));
		CU_ASSERT_EQUAL(owed_count(o), k + 1);
		owed_close(&o);
	}
	unlink(path);
	buf_free(&whole);
	buf_free(&b);
	free(path);
}

static void
test_damaged(void)
{
	char		*path = file_path();
	struct owed	*o = NULL;
	struct buf	 whole = BUF_INIT;
	struct err_msg	 m;
	uint64_t	 cut;
	size_t		 n, refused = 0, head;
	uint8_t		*copy;
	int		 r;

	reopen(&o, path, &cut);
	head = owed_file_bytes(o);
	owed_add(o, "first", 5);
	owed_add(o, "second", 6);
	owed_close(&o);
	/* the file of another channel, a file of another kind */
	CU_ASSERT_EQUAL(owed_open(path, "d/11/0", &o, &cut, &m), ERR_EXISTS);
	CU_ASSERT_PTR_NOT_NULL(strstr(m.text, "d/10/0"));
	CU_ASSERT_EQUAL(fsx_read_file(path, 1 << 20, &whole), 0);
	copy = xmalloc(whole.len);
	for (n = 0; n < whole.len; n++) {
		memcpy(copy, whole.data, whole.len);
		copy[n] ^= 0x10;
		fsx_replace_fast(path, copy, whole.len, 0600);
		m.text[0] = '\0';
		r = owed_open(path, "d/10/0", &o, &cut, &m);
		if (r == 0) {
			/* the last record only, or a length beyond the end */
			CU_ASSERT_TRUE(n >= head && cut > 0);
			CU_ASSERT_FALSE(owed_has(o, "second", 6));
			owed_close(&o);
		} else {
			refused++;
			CU_ASSERT_TRUE(m.text[0] != '\0');
		}
	}
	CU_ASSERT_TRUE(refused > head);
	/* blocks that were never written read as zeros */
	copy = xrealloc(copy, whole.len + 100);
	memcpy(copy, whole.data, whole.len);
	memset(copy + whole.len, 0, 100);
	fsx_replace_fast(path, copy, whole.len + 100, 0600);
	CU_ASSERT_EQUAL(owed_open(path, "d/10/0", &o, &cut, &m), 0);
	CU_ASSERT_EQUAL(cut, 100);
	CU_ASSERT_EQUAL(owed_count(o), 2);
	owed_close(&o);
	fsx_replace_fast(path, "hello", 5, 0600);
	CU_ASSERT_EQUAL(owed_open(path, "d/10/0", &o, &cut, &m), ERR_FORMAT);
	unlink(path);
	free(copy);
	buf_free(&whole);
	free(path);
}

/* History does not grow for ever. */
static void
test_compaction(void)
{
	char		*path = file_path();
	struct owed	*o = NULL;
	struct owed_dead d = { "dead", 4, 1233, 9, 8, "no _to" };
	struct buf	 b = BUF_INIT;
	uint64_t	 cut, most = 0;
	unsigned int	 i;
	char		 key[64];

	reopen(&o, path, &cut);
	owed_add(o, "kept", 4);
	owed_dead_add(o, &d);
	for (i = 0; i < 20000; i++) {
		snprintf(key, sizeof(key), "key-%u-and-some-more-bytes", i);
		CU_ASSERT_EQUAL(owed_add(o, key, strlen(key)), 0);
		CU_ASSERT_EQUAL(owed_clear(o, key, strlen(key)), 0);
		if (i % 1000 == 0)
			CU_ASSERT_EQUAL(owed_sync(o), 0);
		most = MAX(most, owed_file_bytes(o));
	}
	CU_ASSERT_EQUAL(owed_sync(o), 0);
	CU_ASSERT_TRUE(most < 400 * 1024);
	reopen(&o, path, &cut);
	CU_ASSERT_STRING_EQUAL(content(o, &b),
	    "kept | dead=1233/9:no _to ");
	owed_remove(&o);
	buf_free(&b);
	free(path);
	rmdir(dir);
}

/* ---- committing --------------------------------------------------------- */

static struct sync_pos
pos(uint64_t tick)
{
	struct sync_pos	 p;

	pos_clear(&p);
	strcpy(p.server, "P1");
	p.reboot_id = 1;
	p.tick = tick;
	return p;
}

static void
send_batch(struct commit *c, uint64_t n)
{
	struct sync_pos	 p = pos(n * 10);

	commit_sent(c, n, &p);
}

static uint64_t
tick_of(const struct sync_pos *p)
{
	return p == NULL ? 0 : p->tick;
}

static void
test_settle(void)
{
	struct commit	*c = commit_new(2000, COMMIT_SUSPECT_MS);

	CU_ASSERT_PTR_NULL(commit_applied(c));
	CU_ASSERT_PTR_NULL(commit_committed(c, 1));
	send_batch(c, 1);
	send_batch(c, 2);
	send_batch(c, 3);
	CU_ASSERT_EQUAL(commit_in_flight(c), 3);
	/* out of order: only a prefix counts */
	commit_answered(c, 2, 1000);
	CU_ASSERT_PTR_NULL(commit_applied(c));
	CU_ASSERT_EQUAL(commit_next_ms(c), UINT64_MAX);
	commit_answered(c, 1, 1500);
	commit_answered(c, 1, 9999);	/* once */
	CU_ASSERT_EQUAL(tick_of(commit_applied(c)), 20);
	CU_ASSERT_EQUAL(commit_next_ms(c), 3500);
	CU_ASSERT_EQUAL(tick_of(commit_committed(c, 3499)), 0);
	CU_ASSERT_EQUAL(tick_of(commit_committed(c, 3500)), 20);
	CU_ASSERT_EQUAL(commit_in_flight(c), 1);
	commit_answered(c, 3, 4000);
	CU_ASSERT_EQUAL(commit_settling(c), 1);
	CU_ASSERT_EQUAL(tick_of(commit_committed(c, 5999)), 20);
	CU_ASSERT_EQUAL(tick_of(commit_committed(c, 6000)), 30);
	CU_ASSERT_EQUAL(commit_settling(c), 0);
	/* nothing goes back, numbers do not come again */
	send_batch(c, 4);
	send_batch(c, 4);
	send_batch(c, 2);
	CU_ASSERT_EQUAL(commit_in_flight(c), 1);
	commit_restart(c);
	CU_ASSERT_EQUAL(commit_in_flight(c), 0);
	CU_ASSERT_EQUAL(tick_of(commit_committed(c, 9000)), 30);
	CU_ASSERT_PTR_NULL(commit_applied(c));
	commit_free(&c);
}

static void
test_reboot(void)
{
	struct commit	*c = commit_new(2000, COMMIT_SUSPECT_MS);

	CU_ASSERT_FALSE(commit_target_seen(c, "T1", 5));
	commit_copy_seen(c, "T2", 9);
	CU_ASSERT_FALSE(commit_target_seen(c, "T2", 9));
	CU_ASSERT_FALSE(commit_target_seen(c, "T1", 5));
	send_batch(c, 1);
	commit_answered(c, 1, 1000);
	CU_ASSERT_TRUE(commit_target_seen(c, "T1", 6));
	CU_ASSERT_FALSE(commit_target_seen(c, "T1", 6));
	CU_ASSERT_TRUE(commit_is_frozen(c));
	CU_ASSERT_EQUAL(tick_of(commit_committed(c, 100000)), 0);
	CU_ASSERT_EQUAL(commit_next_ms(c), UINT64_MAX);
	CU_ASSERT_EQUAL(tick_of(commit_applied(c)), 10);
	commit_compared(c, 50000);
	CU_ASSERT_FALSE(commit_is_frozen(c));
	CU_ASSERT_EQUAL(tick_of(commit_committed(c, 100000)), 10);
	commit_free(&c);
}

/* Who leads next has taken what it was given only if it has run since. */
static void
test_other_leader(void)
{
	struct commit	*c = commit_new(2000, COMMIT_SUSPECT_MS);

	CU_ASSERT_FALSE(commit_target_seen(c, "T1", 5));
	commit_copy_seen(c, "T2", 9);
	commit_copy_seen(c, "T3", 1);
	commit_copy_seen(c, "T4", 0);
	CU_ASSERT_FALSE(commit_target_seen(c, "T2", 9));
	CU_ASSERT_FALSE(commit_is_frozen(c));
	/* not known: as it was */
	CU_ASSERT_FALSE(commit_target_seen(c, "T2", 0));
	/* started again while it followed */
	commit_copy_seen(c, "T3", 2);
	CU_ASSERT_TRUE(commit_target_seen(c, "T3", 2));
	CU_ASSERT_TRUE(commit_is_frozen(c));
	commit_compared(c, 1000);
	CU_ASSERT_FALSE(commit_target_seen(c, "T3", 2));
	CU_ASSERT_FALSE(commit_is_frozen(c));
	/* never seen as a copy */
	CU_ASSERT_TRUE(commit_target_seen(c, "T4", 7));
	CU_ASSERT_TRUE(commit_is_frozen(c));
	commit_free(&c);
}

static void
test_suspect(void)
{
	struct commit	*c = commit_new(2000, COMMIT_SUSPECT_MS);
	uint64_t	 late = 16 * 60 * 1000;

	send_batch(c, 1);
	CU_ASSERT_FALSE(commit_is_suspect(c));
	commit_unknown(c, 1, 1000);
	CU_ASSERT_TRUE(commit_is_suspect(c));
	CU_ASSERT_EQUAL(commit_suspect_ms(c), 1000 + late);
	/* sent again and answered: still suspect, but it commits */
	send_batch(c, 1);
	commit_answered(c, 1, 2000);
	CU_ASSERT_EQUAL(tick_of(commit_committed(c, 4000)), 10);
	CU_ASSERT_FALSE(commit_suspect_is_due(c, 999 + late));
	CU_ASSERT_TRUE(commit_suspect_is_due(c, 1000 + late));
	/* a comparison that began too early proves nothing */
	commit_compared(c, 999 + late);
	CU_ASSERT_TRUE(commit_is_suspect(c));
	/* another lost one: after the last of them */
	send_batch(c, 2);
	commit_unknown(c, 2, 5000);
	CU_ASSERT_FALSE(commit_suspect_is_due(c, 1000 + late));
	commit_compared(c, 5000 + late);
	CU_ASSERT_FALSE(commit_is_suspect(c));
	commit_free(&c);
}

static void
test_many_batches(void)
{
	struct commit	*c = commit_new(100, COMMIT_SUSPECT_MS);
	uint64_t	 n, now = 0;

	for (n = 1; n <= 5000; n++) {
		send_batch(c, n);
		if (n > 20)
			commit_answered(c, n - 20, ++now);
		commit_committed(c, now);
		CU_ASSERT_TRUE(commit_in_flight(c) <= 20);
	}
	CU_ASSERT_EQUAL(tick_of(commit_applied(c)), 49800);
	CU_ASSERT_EQUAL(tick_of(commit_committed(c, now + 100)), 49800);
	commit_free(&c);
}

UNIT_MAIN("owed",
    { "owed keys and dead letters survive", test_journal },
    { "a torn record is cut, at any length", test_torn },
    { "a damaged file is refused", test_damaged },
    { "history is thrown away", test_compaction },
    { "commits follow the answered prefix, settled (R14)", test_settle },
    { "a reboot of the target freezes commits (R14)", test_reboot },
    { "so does another leader that may have lost something",
	test_other_leader },
    { "unknown outcomes are compared after 16 minutes (R16)",
	test_suspect },
    { "many batches", test_many_batches })
