/* test_check.c - list, check and dump */
#include <inttypes.h>

#include "json/get.h"
#include "queue/check.h"
#include "util.h"

struct seen {
	size_t			 n;
	struct queue_info	 last;
	char			 names[256];
	size_t			 problems;
	char			 problem[512];
};

static int
on_info(const struct queue_info *info, void *arg)
{
	struct seen	*s = arg;

	s->n++;
	s->last = *info;
	strcat(s->names, info->name);
	strcat(s->names, " ");
	return 0;
}

static void
on_problem(const char *sentence, void *arg)
{
	struct seen	*s = arg;

	s->problems++;
	snprintf(s->problem, sizeof(s->problem), "%s", sentence);
}

static int
check_all(const char *dir, const char *name, struct seen *s)
{
	memset(s, 0, sizeof(*s));
	return queue_check(dir, name, on_info, on_problem, s, &em);
}

static void
test_list(void)
{
	struct queue_channel	 c = channel;
	struct queue		*q, *q2;
	struct seen		 s;
	char			 dir[128];

	begin();
	memset(&s, 0, sizeof(s));
	CU_ASSERT_EQUAL(queue_list("/nonexistent", NULL, on_info, &s, &em),
	    ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(queue_list(top, NULL, on_info, &s, &em), 0);
	CU_ASSERT_EQUAL(s.n, 0);
	q = open_queue(NULL, NULL);
	CU_ASSERT_EQUAL(put_text(q, 5, "one\n"), 0);
	CU_ASSERT_EQUAL(put_text(q, 6, "two\n"), 0);
	snprintf(dir, sizeof(dir), "%s/queue/dc2/mydb.10049.4", top);
	c.shard = 4;
	CU_ASSERT_EQUAL(queue_open(dir, &c, NULL, &q2, NULL, &em), 0);
	CU_ASSERT_EQUAL(put_text(q2, 9, "three\n"), 0);
	CU_ASSERT_EQUAL(queue_close(&q2, &em), 0);
	CU_ASSERT_EQUAL(queue_list(top, NULL, on_info, &s, &em), 0);
	CU_ASSERT_STRING_EQUAL(s.names,
	    "mydb.10049.3 queue/dc2/mydb.10049.4 ");
	CU_ASSERT_EQUAL(s.last.condition, QUEUE_COND_CLEAN);
	CU_ASSERT_FALSE(s.last.locked);
	CU_ASSERT_EQUAL(s.last.channel.shard, 4);
	CU_ASSERT_EQUAL(s.last.mark_last.tick, 9);
	memset(&s, 0, sizeof(s));
	CU_ASSERT_EQUAL(queue_list(top, "mydb.10049.3", on_info, &s, &em), 0);
	CU_ASSERT_EQUAL(s.n, 1);
	CU_ASSERT_TRUE(s.last.locked);
	CU_ASSERT_EQUAL(s.last.condition, QUEUE_COND_OPEN);
	CU_ASSERT_EQUAL(s.last.mark_last.tick, 6);
	CU_ASSERT_EQUAL(s.last.offset_end, s.last.mark_offset);
	CU_ASSERT_EQUAL(queue_list(top, "nobody", on_info, &s, &em),
	    ERR_NOT_FOUND);
	memset(&s, 0, sizeof(s));
	CU_ASSERT_EQUAL(queue_list(qdir, NULL, on_info, &s, &em), 0);
	CU_ASSERT_STRING_EQUAL(s.names, ". ");
	CU_ASSERT_EQUAL(check_all(top, NULL, &s), 0);
	CU_ASSERT_EQUAL(s.n, 2);
	CU_ASSERT_EQUAL(s.problems, 0);
	CU_ASSERT_EQUAL(s.last.records, 1);
	CU_ASSERT_EQUAL(s.last.ops, 1);
	CU_ASSERT_EQUAL(s.last.raw_bytes, 6);
	/* Looking left everything as it is. */
	CU_ASSERT_EQUAL(put_text(q, 7, "x\n"), 0);
	CU_ASSERT_EQUAL(queue_close(&q, &em), 0);
	end();
}

static void
test_check(void)
{
	struct queue_opts	 opts = { .segment_bytes = 600 };
	struct queue		*q;
	struct seen		 s;
	struct buf		 good = BUF_INIT;
	char			 file[256], other[300];
	uint64_t		 i;

	begin();
	q = open_queue(&opts, NULL);
	for (i = 1; i <= 12; i++)
		CU_ASSERT_EQUAL(put_text(q, i, "some text\n"), 0);
	CU_ASSERT_EQUAL(queue_close(&q, &em), 0);
	CU_ASSERT_EQUAL(check_all(top, NULL, &s), 0);
	CU_ASSERT_EQUAL(s.problems, 0);
	CU_ASSERT_EQUAL(s.last.records, 12);
	CU_ASSERT_TRUE(s.last.segments > 2);
	CU_ASSERT_EQUAL(s.last.condition, QUEUE_COND_CLEAN);
	/* A flipped bit in the first segment. */
	snprintf(file, sizeof(file), "%s/%016" PRIx64 "-%016x.seg", qdir,
	    s.last.epoch, 1);
	read_whole(file, &good);
	good.data[300] ^= 1;
	write_whole(file, good.data, good.len);
	CU_ASSERT_EQUAL(check_all(top, NULL, &s), 0);
	CU_ASSERT_EQUAL(s.problems, 1);
	CU_ASSERT_EQUAL(s.last.condition, QUEUE_COND_DAMAGED);
	CU_ASSERT_EQUAL(s.last.problems, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(s.problem, file));
	CU_ASSERT_PTR_NOT_NULL(strstr(s.problem, ": offset 264: checksum"));
	good.data[300] ^= 1;
	/* Listing reads the last one only. */
	memset(&s, 0, sizeof(s));
	CU_ASSERT_EQUAL(queue_list(top, NULL, on_info, &s, &em), 0);
	CU_ASSERT_EQUAL(s.last.condition, QUEUE_COND_CLEAN);
	/* A missing segment. */
	write_whole(file, good.data, good.len);
	snprintf(file, sizeof(file), "%s/%016" PRIx64 "-%016x.seg", qdir,
	    s.last.epoch, 2);
	snprintf(other, sizeof(other), "%s.away", file);
	CU_ASSERT_EQUAL(rename(file, other), 0);
	CU_ASSERT_EQUAL(check_all(top, NULL, &s), 0);
	CU_ASSERT_EQUAL(s.problems, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(s.problem, "missing"));
	CU_ASSERT_EQUAL(queue_open(qdir, &channel, NULL, &q, NULL, &em),
	    ERR_CORRUPT);
	CU_ASSERT_EQUAL(rename(other, file), 0);
	/* A torn tail is no damage. */
	last_segment(qdir, file, sizeof(file));
	read_whole(file, &good);
	write_whole(file, good.data, good.len - 100);
	CU_ASSERT_EQUAL(check_all(top, NULL, &s), 0);
	CU_ASSERT_EQUAL(s.problems, 0);
	CU_ASSERT_EQUAL(s.last.condition, QUEUE_COND_TORN);
	CU_ASSERT_TRUE(s.last.torn_bytes > 0);
	/* A file that is no segment. */
	write_whole(file, "hello", 5);
	CU_ASSERT_EQUAL(check_all(top, NULL, &s), 0);
	CU_ASSERT_EQUAL(s.problems, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(s.problem, file));
	buf_free(&good);
	end();
}

static char *
dump(const struct queue_dump_opts *o, int want)
{
	char	*text = NULL;
	size_t	 n = 0;
	FILE	*f = open_memstream(&text, &n);

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(queue_dump(top, "mydb.10049.3", o, f, &em), want);
	fclose(f);
	return text;
}

static size_t
two_bytes(const uint8_t *payload, size_t len)
{
	return payload[0] == 'l' ? 2 : len + 100;
}

static void
test_dump(void)
{
	struct queue_dump_opts	 o = { .format = QUEUE_DUMP_JSON,
				    .with_payload = true };
	struct json_object	*j;
	struct queue		*q;
	struct buf		 b = BUF_INIT;
	char			*text, *line, *save, file[256];
	const char		*v;
	int			 n = 0;

	begin();
	q = open_queue(NULL, NULL);
	CU_ASSERT_EQUAL(put(q, 0, 3, 0, "{\"a\":\"\xc3\xa4\xff\x01", 10), 0);
	CU_ASSERT_EQUAL(put(q, 0, 5, QUEUE_BOUNDARY, "\\\"}\n", 4), 0);
	CU_ASSERT_EQUAL(put_text(q, 8, "last\n"), 0);
	text = dump(&o, 0);
	for (line = strtok_r(text, "\n", &save); line != NULL;
	    line = strtok_r(NULL, "\n", &save)) {
		CU_ASSERT_EQUAL_FATAL(json_parse(line, strlen(line), &j, &em),
		    0);
		CU_ASSERT_EQUAL(json_need_string(j, "payload", &v, &em), 0);
		if (n == 0)
			CU_ASSERT_STRING_EQUAL(v,
			    "{\"a\":\"\xc3\xa4\xef\xbf\xbd\x01");
		if (n == 1)
			CU_ASSERT_STRING_EQUAL(v, "\\\"}\n");
		CU_ASSERT_EQUAL(json_bool_or(j, "boundary", false), n > 0);
		json_object_put(j);
		n++;
	}
	CU_ASSERT_EQUAL(n, 3);
	free(text);
	o.format = QUEUE_DUMP_TEXT;
	o.tick_after = 3;
	text = dump(&o, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\\\"}\n# "));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "boundary\nlast\n"));
	CU_ASSERT_PTR_NULL(strstr(text, "\xc3"));
	free(text);
	/* What stands in front of the lines, and more than there is. */
	o.head = two_bytes;
	text = dump(&o, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "boundary\nst\n"));
	CU_ASSERT_PTR_NULL(strstr(text, "}"));
	free(text);
	o.tick_after = 0;
	o.limit = 1;
	o.with_payload = false;
	text = dump(&o, 0);
	CU_ASSERT_PTR_EQUAL(strchr(text, '\n'), strrchr(text, '\n'));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "ticks (0, 3] operations 1"));
	free(text);
	/* Damage in the middle. */
	CU_ASSERT_EQUAL(queue_sync(q, &em), 0);
	CU_ASSERT_EQUAL(put_text(q, 9, "behind\n"), 0);
	queue_abandon(&q);
	last_segment(qdir, file, sizeof(file));
	read_whole(file, &b);
	b.data[0xa8 + 100] ^= 1;
	write_whole(file, b.data, b.len);
	o.limit = 0;
	o.format = QUEUE_DUMP_JSON;
	text = dump(&o, ERR_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "{\"problem\":\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "offset 264"));
	free(text);
	CU_ASSERT_EQUAL(queue_dump(top, "nobody", &o, stdout, &em),
	    ERR_NOT_FOUND);
	buf_free(&b);
	end();
}

UNIT_MAIN("queue check",
    { "channels are listed with their positions", test_list },
    { "damage is named, a torn tail is not damage", test_check },
    { "records as text and JSON", test_dump })
