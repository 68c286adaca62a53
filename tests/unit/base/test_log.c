/* test_log.c - a log that cannot be written */
#include <sys/resource.h>
#include <sys/stat.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fsx.h"
#include "base/log.h"
#include "unit.h"

static char	dir[64], path[96];

static void
begin(const char *to)
{
	strcpy(dir, "/tmp/test_log.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/log", dir);
	if (to != NULL)
		CU_ASSERT_EQUAL(symlink(to, path), 0);
	CU_ASSERT_EQUAL_FATAL(log_open(path), 0);
	log_set_name("test");
}

/* The lines of the log, without their times; static storage. */
static const char *
lines(void)
{
	static struct buf	 out;
	struct buf		 b = BUF_INIT;
	char			*p, *line;

	buf_reset(&out);
	CU_ASSERT_EQUAL(fsx_read_file(path, 65536, &b), 0);
	(void)buf_cstr(&b);
	for (p = (char *)b.data; (line = strsep(&p, "\n")) != NULL;)
		if (strlen(line) > 25)
			buf_printf(&out, "%s|", line + 25);
		else if (*line != '\0')
			buf_printf(&out, "%s|", line);
	buf_free(&b);
	return buf_cstr(&out);
}

static void
test_full(void)
{
	char	 want[256];

	begin("/dev/full");
	log_notice("one");
	log_notice("two");
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_EQUAL(log_reopen(), 0);
	log_notice("three");
	log_notice("four");
	snprintf(want, sizeof(want), "warning test[%d]: 2 lines before this "
	    "one could not be written: No space left on device|"
	    "notice test[%d]: three|notice test[%d]: four|", (int)getpid(),
	    (int)getpid(), (int)getpid());
	CU_ASSERT_STRING_EQUAL(lines(), want);
	CU_ASSERT_EQUAL(fsx_remove_tree(dir), 0);
}

/* A line of which a part is there does not spoil the next one. */
static void
test_torn(void)
{
	struct rlimit	 old, lim;
	const char	*text;

	begin(NULL);
	signal(SIGXFSZ, SIG_IGN);
	CU_ASSERT_EQUAL(getrlimit(RLIMIT_FSIZE, &old), 0);
	lim = old;
	lim.rlim_cur = 30;
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &lim), 0);
	log_notice("cut off");
	log_notice("lost");
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &old), 0);
	log_notice("whole");
	text = lines();
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "|warning test["));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, ": 2 lines before this one"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, ": whole|"));
	CU_ASSERT_PTR_NULL(strstr(text, "lost"));
	CU_ASSERT_EQUAL(fsx_remove_tree(dir), 0);
}

UNIT_MAIN("log",
    { "lines that a full disk took are counted", test_full },
    { "a part of a line does not spoil the next one", test_torn })
