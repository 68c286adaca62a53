/*
 * test_store_crash.c - processes that die, and power that goes.
 *
 * Each phase is a process of its own, and the test itself never opens a
 * store: RocksDB's threads do not live on in a child.
 */
#include <sys/resource.h>
#include <sys/wait.h>

#include <signal.h>

#include "store_test.h"

/* In a phase: what fails ends it with its line. */
#define MUST(cond)							\
	do {								\
		if (!(cond)) {						\
			fprintf(stderr, "# %s:%d: %s\n", __FILE__,	\
			    __LINE__, #cond);				\
			_exit(1);					\
		}							\
	} while (0)

static int
phase(void (*run)(struct fix *), const char *dir)
{
	struct fix	 f = { 0 };
	pid_t		 pid;
	int		 status = -1;

	fflush(NULL);
	if ((pid = fork()) == 0) {
		strcpy(f.dir, dir);
		f.rev = 5000;
		run(&f);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (status != 0)
		fprintf(stderr, "# status %d\n", status);
	return status;
}

static void
make_dir(char dir[64])
{
	strcpy(dir, "/tmp/store-crash.XXXXXX");
	if (mkdtemp(dir) == NULL)
		abort();
}

static void
create(struct fix *f)
{
	struct store_db	*db;
	uint8_t		*props = vp_text("{\"name\":\"coll\"}");

	fix_reopen(f, NULL);
	MUST(store_db_create(f->st, "_system", NULL, &db) == 0);
	MUST(store_shard_create(f->st, "_system", "s1", 100, props,
	    &f->sh) == 0);
	free(props);
}

/* ---- kill -9 ------------------------------------------------------------ */

static void
write_and_die(struct fix *f)
{
	struct store_tx	*tx;
	char		 key[16];
	int		 i;

	create(f);
	for (i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		MUST(put(f, NULL, key, "{\"v\":1}") == 0);
		if (i % 10 == 9)
			MUST(del(f, NULL, key) == 0);
		if (i % 7 == 0)
			MUST(store_commit_pending(f->st) == 0);
	}
	MUST(store_commit_pending(f->st) == 0);
	/* Not committed: gone with the process. */
	MUST(store_tx_begin(f->st, STORE_TX_STREAM, 0, &tx) == 0);
	MUST(put(f, tx, "tx", "{\"v\":1}") == 0);
	MUST(put(f, NULL, "late", "{\"v\":1}") == 0);
}

static void
count_after(struct fix *f)
{
	struct store_scan	*s;
	struct store_row	 row;
	size_t			 n = 0;

	fix_reopen(f, NULL);
	MUST(f->sh != NULL);
	MUST(store_shard_count(f->sh, NULL) == 900);
	MUST(store_shard_revision(f->sh) == 6000);
	MUST(store_scan_new(f->st, f->sh, STORE_BY_KEY, NULL, NULL, &s) == 0);
	while (store_scan_next(s, true, &row) == 1)
		n++;
	store_scan_free(&s);
	MUST(n == 900);
	MUST(value(f, NULL, "late") == -1);
	store_close(&f->st);
}

static void
test_kill(void)
{
	char	 dir[64];

	make_dir(dir);
	CU_ASSERT_EQUAL(phase(write_and_die, dir), 0);
	CU_ASSERT_EQUAL(phase(count_after, dir), 0);
	(void)fsx_remove_tree(dir);
}

/* ---- power cut ---------------------------------------------------------- */

/* Ticks travel between phases in a file. */
static void
remember(const struct fix *f, const char *what, uint64_t tick)
{
	char	*path = xasprintf("%s.%s", f->dir, what);
	FILE	*fp = fopen(path, "w");

	MUST(fp != NULL && fprintf(fp, "%llu", (unsigned long long)tick) > 0 &&
	    fclose(fp) == 0);
	free(path);
}

static uint64_t
recall(const struct fix *f, const char *what)
{
	unsigned long long	 v = 0;
	char			*path = xasprintf("%s.%s", f->dir, what);
	FILE			*fp = fopen(path, "r");

	MUST(fp != NULL && fscanf(fp, "%llu", &v) == 1);
	fclose(fp);
	unlink(path);
	free(path);
	return v;
}

static void
write_unsynced(struct fix *f)
{
	create(f);
	MUST(put(f, NULL, "safe", "{\"v\":1}") == 0);
	MUST(store_sync(f->st) == 0);
	remember(f, "synced", store_last_tick(f->st));
	MUST(put(f, NULL, "lost", "{\"v\":2}") == 0);
	MUST(put(f, NULL, "safe", "{\"v\":3}") == 0);
	remember(f, "lost", store_last_tick(f->st));
}

static void
ticks_again(struct fix *f)
{
	struct store_tail_res	 res;
	uint64_t		 synced = recall(f, "synced");
	uint64_t		 lost = recall(f, "lost");
	const char		*body;

	fix_reopen(f, NULL);
	MUST(lost > synced);
	MUST(store_last_tick(f->st) == synced);
	MUST(value(f, NULL, "safe") == 1);
	MUST(value(f, NULL, "lost") == -1);
	MUST(store_shard_count(f->sh, NULL) == 1);
	MUST(put(f, NULL, "new", "{\"v\":4}") == 0);
	MUST(put(f, NULL, "new2", "{\"v\":4}") == 0);
	MUST(put(f, NULL, "new3", "{\"v\":4}") == 0);
	MUST(store_last_tick(f->st) >= lost);
	/* A reader that had seen the lost ones is told that all is well. */
	body = tail(f, lost, 0, 0, &res);
	MUST(res.from_present);
	body = tail(f, synced, 0, 0, &res);
	MUST(strstr(body, "\"new\"") != NULL);
	MUST(strstr(body, "\"lost\"") == NULL);
	body = tail(f, 0, 0, 0, &res);
	MUST(strstr(body, "\"lost\"") == NULL);
	tail(NULL, 0, 0, 0, &res);
	store_close(&f->st);
}

static void
test_power_cut(void)
{
	struct err_msg	 em;
	char		 dir[64];

	make_dir(dir);
	CU_ASSERT_EQUAL(phase(write_unsynced, dir), 0);
	CU_ASSERT_EQUAL(store_power_cut(dir, &em), 0);
	CU_ASSERT_EQUAL(store_power_cut(dir, &em), 0);
	CU_ASSERT_EQUAL(phase(ticks_again, dir), 0);
	(void)fsx_remove_tree(dir);
	make_dir(dir);
	CU_ASSERT_EQUAL(store_power_cut(dir, &em), 0);	/* never opened */
	(void)fsx_remove_tree(dir);
}

/* Log files were rotated in between, by size and by hand. */
static void
write_rotated(struct fix *f)
{
	struct store_opts	 o = { .memtable_bytes = 1 << 20 };
	char			*body, key[16];
	int			 i;

	create(f);
	store_close(&f->st);
	fix_reopen(f, &o);
	body = xmalloc(10010);
	memset(body, 'x', 10000);
	memcpy(body, "{\"v\":\"", 6);
	strcpy(body + 9990, "\"}");
	for (i = 0; i < 500; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		MUST(put(f, NULL, key, body) == 0);
		MUST(store_commit_pending(f->st) == 0);
	}
	MUST(store_wal_rotate(f->st) == 0);
	MUST(store_sync(f->st) == 0);
	MUST(put(f, NULL, "lost", "{}") == 0);
	MUST(store_commit_pending(f->st) == 0);
	free(body);
}

static void
look_rotated(struct fix *f)
{
	struct store_wal_file	*files;
	size_t			 n;

	fix_reopen(f, NULL);
	MUST(store_shard_count(f->sh, NULL) == 500);
	MUST(value(f, NULL, "lost") == -1);
	MUST(store_wal_files(f->st, &files, &n) == 0);
	MUST(n >= 3);
	free(files);
	store_close(&f->st);
}

static void
test_power_cut_rotated(void)
{
	struct err_msg	 em;
	char		 dir[64];

	make_dir(dir);
	CU_ASSERT_EQUAL(phase(write_rotated, dir), 0);
	CU_ASSERT_EQUAL(store_power_cut(dir, &em), 0);
	CU_ASSERT_EQUAL(phase(look_rotated, dir), 0);
	(void)fsx_remove_tree(dir);
}

/* ---- a disk that takes no more --------------------------------------------- */

/* The kernel, not a mock, cuts the record; with room again it is too late. */
static void
write_too_much(struct fix *f)
{
	struct rlimit	 old, lim;
	struct store_tx	*tx;
	char		*big = xasprintf("{\"v\":2,\"x\":\"%060000d\"}", 0);
	uint64_t	 number, size;

	signal(SIGXFSZ, SIG_IGN);
	create(f);
	MUST(put(f, NULL, "a", "{\"v\":1}") == 0);
	MUST(store_sync(f->st) == 0);
	MUST(store_newest_log(f->dir, &number, &size) == 0);
	MUST(getrlimit(RLIMIT_FSIZE, &old) == 0);
	lim = old;
	lim.rlim_cur = size + 30000;
	MUST(setrlimit(RLIMIT_FSIZE, &lim) == 0);
	MUST(put(f, NULL, "b", big) == 0);
	MUST(store_commit_pending(f->st) == ERR_STORAGE);
	MUST(strstr(store_error(f->st), "File too large") != NULL);
	MUST(setrlimit(RLIMIT_FSIZE, &old) == 0);
	MUST(store_commit_pending(f->st) == ERR_STORAGE);
	MUST(store_sync(f->st) == ERR_STORAGE);
	MUST(store_tx_begin(f->st, STORE_TX_STREAM, 0, &tx) == ERR_STORAGE);
	free(big);
}

static void
look_after_full(struct fix *f)
{
	fix_reopen(f, NULL);
	MUST(value(f, NULL, "a") == 1);
	MUST(value(f, NULL, "b") == -1);
	MUST(put(f, NULL, "b", "{\"v\":3}") == 0);
	MUST(store_sync(f->st) == 0);
	store_close(&f->st);
}

static void
test_full_disk(void)
{
	char	 dir[64];

	make_dir(dir);
	CU_ASSERT_EQUAL(phase(write_too_much, dir), 0);
	CU_ASSERT_EQUAL(phase(look_after_full, dir), 0);
	(void)fsx_remove_tree(dir);
}

UNIT_MAIN("store_crash",
    { "a killed process loses nothing that it wrote", test_kill },
    { "a power cut loses the unsynced and reuses ticks", test_power_cut },
    { "a power cut behind rotated logs", test_power_cut_rotated },
    { "after a write that failed nothing is written", test_full_disk })
