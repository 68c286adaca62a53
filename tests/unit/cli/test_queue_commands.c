/* test_queue_commands.c - arangosync queue list, check, dump on real queues */
#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fsx.h"
#include "json/get.h"
#include "queue/queue.h"
#include "unit.h"

static char		 top[64];
static struct buf	 out;		/* of the last command, errors too */

/* Run arangosync with these words; its exit code. */
static int
run(const char *words)
{
	const char	*build = getenv("top_builddir");
	char		*line, piece[4096];
	size_t		 n;
	FILE		*f;
	int		 status;

	line = xasprintf("%s/src/arangosync %s 2>&1", build == NULL ? "." :
	    build, words);
	f = popen(line, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	buf_reset(&out);
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		buf_append(&out, piece, n);
	(void)buf_cstr(&out);
	status = pclose(f);
	free(line);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int
run_in(const char *command, const char *rest)
{
	char	*words = xasprintf("queue %s %s %s", command, top, rest);
	int	 code = run(words);

	free(words);
	return code;
}

static int
says(const char *words)
{
	if (strstr((char *)out.data, words) != NULL)
		return 1;
	printf("# \"%s\" is not in: %s\n", words, (char *)out.data);
	return 0;
}

/* A queue with two records, closed; its directory. */
static char *
make_queue(const char *collection, uint32_t shard)
{
	struct queue_channel	 c = { "cluster-1", "PRMR-1", "shop", "", 7,
				    shard };
	char			 name[QUEUE_NAME_BYTES];
	struct queue_meta	 m = { 10, 20, 3, 1, 1, QUEUE_BOUNDARY };
	struct iovec		 iov;
	static char		 one[] = "{\"tick\":\"20\"}\n";
	struct queue		*q = NULL;
	struct err_msg		 em;
	char			*dir;

	strcpy(c.collection, collection);
	dir = xasprintf("%s/%s", top, queue_channel_name(&c, name));
	CU_ASSERT_EQUAL_FATAL(queue_open(dir, &c, NULL, &q, NULL, &em), 0);
	iov.iov_base = one;
	iov.iov_len = strlen(one);
	CU_ASSERT_EQUAL(queue_append(q, &m, &iov, 1, &em), 0);
	m.tick_from = 20;
	m.tick_to = 30;
	CU_ASSERT_EQUAL(queue_append(q, &m, &iov, 1, &em), 0);
	CU_ASSERT_EQUAL(queue_close(&q, &em), 0);
	return dir;
}

/* Turn a bit in the middle of the first record of the queue's segment. */
static void
damage(const char *dir)
{
	struct dirent	*e;
	DIR		*d = opendir(dir);
	char		*path = NULL;
	struct buf	 b = BUF_INIT;
	size_t		 i;

	while ((e = readdir(d)) != NULL)
		if (strstr(e->d_name, ".seg") != NULL) {
			free(path);
			path = xasprintf("%s/%s", dir, e->d_name);
		}
	closedir(d);
	CU_ASSERT_PTR_NOT_NULL_FATAL(path);
	CU_ASSERT_EQUAL_FATAL(fsx_read_file(path, 1 << 20, &b), 0);
	for (i = 0; i + 4 < b.len && memcmp(b.data + i, "tick", 4) != 0; i++)
		;
	CU_ASSERT_TRUE_FATAL(i + 4 < b.len);
	b.data[i] ^= 1;
	CU_ASSERT_EQUAL(fsx_replace(path, b.data, b.len, 0600), 0);
	buf_free(&b);
	free(path);
}

static void
begin(void)
{
	strcpy(top, "/tmp/queue-cmd-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(top));
}

static void
end(void)
{
	fsx_remove_tree(top);
}

static void
test_list(void)
{
	struct json_object	*o = NULL;
	struct err_msg		 m;

	begin();
	CU_ASSERT_EQUAL(run_in("list", ""), 0);
	CU_ASSERT_TRUE(says("There are no queues in /tmp/queue-cmd-"));
	free(make_queue("orders", 0));
	free(make_queue("orders", 1));
	CU_ASSERT_EQUAL(run_in("list", ""), 0);
	CU_ASSERT_TRUE(says("Channel"));
	CU_ASSERT_TRUE(says("shop.7.0"));
	CU_ASSERT_TRUE(says("shop/orders"));
	CU_ASSERT_TRUE(says("PRMR-1"));
	CU_ASSERT_TRUE(says("clean"));
	CU_ASSERT_EQUAL(run_in("list", "--json"), 0);
	CU_ASSERT_EQUAL_FATAL(json_parse((char *)out.data, out.len, &o, &m),
	    0);
	CU_ASSERT_EQUAL(json_object_array_length(o), 2);
	CU_ASSERT_STRING_EQUAL(json_string_or(o, "1.channel", ""), "shop.7.1");
	CU_ASSERT_STRING_EQUAL(json_string_or(o, "1.tickLast", ""), "30");
	json_object_put(o);
	CU_ASSERT_EQUAL(run_in("list", "shop.7.1"), 0);
	CU_ASSERT_PTR_NULL(strstr((char *)out.data, "shop.7.0"));
	CU_ASSERT_EQUAL(run_in("list", "nowhere"), 1);
	CU_ASSERT_TRUE(says("there is no channel nowhere"));
	CU_ASSERT_EQUAL(run("queue list /nowhere/at/all"), 1);
	CU_ASSERT_EQUAL(run("queue list"), 2);
	CU_ASSERT_TRUE(says("expected DIR [CHANNEL]"));
	CU_ASSERT_EQUAL(run("queue check a b c"), 2);
	CU_ASSERT_EQUAL(run("queue dump x --limit=-1"), 2);
	CU_ASSERT_EQUAL(run("queue dump x --offset=y"), 2);
	CU_ASSERT_EQUAL(run("queue dump x --after-tick"), 2);
	end();
}

static void
test_check(void)
{
	char	*dir;

	begin();
	free(make_queue("orders", 0));
	dir = make_queue("orders", 1);
	CU_ASSERT_EQUAL(run_in("check", ""), 0);
	CU_ASSERT_TRUE(says("Records"));
	damage(dir);
	CU_ASSERT_EQUAL(run_in("check", ""), 1);
	CU_ASSERT_TRUE(says("arangosync: "));
	CU_ASSERT_TRUE(says("offset"));
	CU_ASSERT_TRUE(says("damaged"));
	CU_ASSERT_EQUAL(run_in("check", "shop.7.0"), 0);
	CU_ASSERT_EQUAL(run_in("check", "shop.7.1 --json 2>/dev/null"), 1);
	CU_ASSERT_TRUE(says("\"state\":\"damaged\""));
	free(dir);
	end();
}

static void
test_dump(void)
{
	struct json_object	*o = NULL;
	struct err_msg		 m;
	char			*dir, *eol;

	begin();
	CU_ASSERT_EQUAL(run_in("dump", ""), 1);
	CU_ASSERT_TRUE(says("there are no queues"));
	dir = make_queue("orders", 0);
	/* The only one needs no name. */
	CU_ASSERT_EQUAL(run_in("dump", "--json --payload"), 0);
	eol = strchr((char *)out.data, '\n');
	CU_ASSERT_PTR_NOT_NULL_FATAL(eol);
	CU_ASSERT_EQUAL_FATAL(json_parse((char *)out.data,
	    (size_t)(eol - (char *)out.data), &o, &m), 0);
	CU_ASSERT_STRING_EQUAL(json_string_or(o, "tickTo", ""), "20");
	CU_ASSERT_STRING_EQUAL(json_string_or(o, "payload", ""),
	    "{\"tick\":\"20\"}\n");
	json_object_put(o);
	CU_ASSERT_EQUAL(run_in("dump", "--json --after-tick=20"), 0);
	CU_ASSERT_PTR_NULL(strstr((char *)out.data, "\"tickTo\":\"20\""));
	CU_ASSERT_TRUE(says("\"tickTo\":\"30\""));
	CU_ASSERT_EQUAL(run_in("dump", "--limit 1"), 0);
	free(make_queue("orders", 1));
	CU_ASSERT_EQUAL(run_in("dump", ""), 1);
	CU_ASSERT_TRUE(says("there are 2 queues"));
	CU_ASSERT_EQUAL(run_in("dump", "shop.7.1"), 0);
	damage(dir);
	CU_ASSERT_EQUAL(run_in("dump", "shop.7.0"), 1);
	free(dir);
	end();
}

UNIT_MAIN("queue commands",
    { "list prints what there is", test_list },
    { "check finds a turned bit", test_check },
    { "dump prints records, of the one or of the named", test_dump })
