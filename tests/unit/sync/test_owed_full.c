/* test_owed_full.c - the journal of owed keys on a full disk */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fsx.h"
#include "sync/owed.h"
#include "unit.h"

/* The system has so many bytes left; -1: any number. */
static ssize_t	room = -1;

ssize_t	__real_write(int fd, const void *p, size_t n);
ssize_t	__wrap_write(int fd, const void *p, size_t n);

ssize_t
__wrap_write(int fd, const void *p, size_t n)
{
	ssize_t	 done;

	if (fd <= STDERR_FILENO || room == -1)
		return __real_write(fd, p, n);
	if (room == 0) {
		errno = ENOSPC;
		return -1;
	}
	done = __real_write(fd, p, MIN(n, (size_t)room));
	if (done > 0)
		room -= done;
	return done;
}

static char	dir[64], path[96];

static struct owed *
open_owed(void)
{
	struct err_msg	 m = { "" };
	struct owed	*o = NULL;

	CU_ASSERT_EQUAL_FATAL(owed_open(path, "d/10/0", &o, NULL, &m), 0);
	return o;
}

static void
begin(void)
{
	strcpy(dir, "/tmp/test_owed_full.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/owed", dir);
	room = -1;
}

static void
end(struct owed **o)
{
	room = -1;
	owed_close(o);
	CU_ASSERT_EQUAL(fsx_remove_tree(dir), 0);
}

/* A pair that owes nothing has no file, so it starts on a full disk. */
static void
test_start(void)
{
	struct owed	*o;

	begin();
	room = 0;
	o = open_owed();
	CU_ASSERT_EQUAL(owed_count(o), 0);
	CU_ASSERT_EQUAL(owed_sync(o), 0);
	CU_ASSERT_EQUAL(owed_clear_all(o), 0);
	CU_ASSERT_EQUAL(owed_add(o, "a", 1), -ENOSPC);
	CU_ASSERT_EQUAL(owed_count(o), 0);
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
	room = -1;
	CU_ASSERT_EQUAL(owed_add(o, "a", 1), 0);
	CU_ASSERT_EQUAL(owed_sync(o), 0);
	owed_close(&o);
	o = open_owed();
	CU_ASSERT_TRUE(owed_has(o, "a", 1));
	end(&o);
}

/* Cut anywhere, what was refused is not there and the next one fits. */
static void
test_cut(void)
{
	struct owed	*o;
	ssize_t		 n;

	for (n = 0; n < 18; n++) {
		begin();
		o = open_owed();
		CU_ASSERT_EQUAL(owed_add(o, "first", 5), 0);
		room = n;
		CU_ASSERT_EQUAL(owed_add(o, "second", 6), -ENOSPC);
		CU_ASSERT_FALSE(owed_has(o, "second", 6));
		CU_ASSERT_EQUAL(owed_clear(o, "first", 5), -ENOSPC);
		CU_ASSERT_TRUE(owed_has(o, "first", 5));
		CU_ASSERT_EQUAL(owed_sync(o), 0);
		room = -1;
		CU_ASSERT_EQUAL(owed_add(o, "third", 5), 0);
		CU_ASSERT_EQUAL(owed_sync(o), 0);
		owed_close(&o);
		o = open_owed();
		CU_ASSERT_TRUE(owed_has(o, "first", 5));
		CU_ASSERT_FALSE(owed_has(o, "second", 6));
		CU_ASSERT_TRUE(owed_has(o, "third", 5));
		end(&o);
	}
}

/* Without room for a shorter file the long one goes on. */
static void
test_compact(void)
{
	struct owed	*o;
	char		 key[16];
	int		 i, r = 0;

	begin();
	o = open_owed();
	for (i = 0; i < 4000; i++) {
		snprintf(key, sizeof(key), "key%d", i);
		r = r != 0 ? r : owed_add(o, key, strlen(key));
		r = r != 0 ? r : owed_clear(o, key, strlen(key));
	}
	CU_ASSERT_EQUAL(r, 0);
	CU_ASSERT_EQUAL(owed_add(o, "last", 4), 0);
	room = 0;
	CU_ASSERT_EQUAL(owed_sync(o), 0);
	CU_ASSERT_TRUE(owed_file_bytes(o) > 64 * 1024);
	room = -1;
	CU_ASSERT_EQUAL(owed_add(o, "more", 4), 0);
	CU_ASSERT_EQUAL(owed_sync(o), 0);
	CU_ASSERT_TRUE(owed_file_bytes(o) < 1024);
	owed_close(&o);
	o = open_owed();
	CU_ASSERT_TRUE(owed_has(o, "last", 4) && owed_has(o, "more", 4));
	CU_ASSERT_EQUAL(owed_count(o), 2);
	end(&o);
}

UNIT_MAIN("owed, full",
    { "who owes nothing starts on a full disk", test_start },
    { "what is refused is not there", test_cut },
    { "a long file stays without room for a short one", test_compact })
