/*
 * bench_queue.c - the persistent queue: append and read back records of 256
 * KiB and 1 KiB beside plain write and read of the same bytes, group commit on
 * the disk, and recovery of a queue of 10 GiB (whose sealed segments are
 * holes: recovery reads their headers only).  One JSON object a line.
 *
 * Bytes per second are of wall clock time in a directory in memory
 * (/dev/shm), so that it is not the disk that is measured; "disk" is in
 * TMPDIR with a commit every 100 ms.
 */
#include <sys/stat.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsx.h"
#include "base/random.h"
#include "queue/ack.h"
#include "queue/format.h"
#include "queue/queue.h"
#include "queue/reader.h"

#define BIG_BYTES	(256 * 1024)
#define SMALL_BYTES	1024
#define VOLUME_BYTES	(256u << 20)	/* of one pass */
#define DISK_BYTES	(128u << 20)
#define PASSES		3		/* the best one counts */
#define BIG_QUEUE_BYTES	(10ull << 30)

static const struct queue_channel	channel = {
	"cluster", "PRMR-1", "mydb", "products", 10049, 3
};

static char		memory[64], disk[4096];
static uint8_t		block[BIG_BYTES];
static struct err_msg	em;

static double
now(void)
{
	return (double)clock_mono_ns() / 1e9;
}

static void
report(const char *what, double value, const char *unit,
    const char *ratio_to, double ratio)
{
	printf("{\"name\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"", what, value,
	    unit);
	if (ratio_to != NULL)
		printf(",\"ratio_to\":\"%s\",\"ratio\":%.3f", ratio_to, ratio);
	printf("}\n");
	fflush(stdout);
}

static void
must(int r, const char *what)
{
	if (r < 0)
		fatal("%s: %s %s", what, err_text(r), em.text);
}

/* --- without a queue ------------------------------------------------------ */

static double
plain_write(const char *dir, size_t size, size_t volume)
{
	char	*path = xasprintf("%s/plain", dir);
	double	 start;
	size_t	 n;
	int	 fd;

	unlink(path);
	start = now();
	if ((fd = open(path, O_WRONLY | O_CREAT, 0600)) == -1)
		fatal("%s: cannot be created", path);
	for (n = 0; n < volume; n += size)
		must(fsx_write_all(fd, block, size), path);
	if (dir == disk)
		must(fsx_fdatasync(fd), path);
	close(fd);
	free(path);
	return (double)volume / (now() - start) / 1e6;
}

static double
plain_read(const char *dir, size_t size, size_t volume)
{
	char	*path = xasprintf("%s/plain", dir);
	double	 start = now();
	size_t	 n;
	int	 fd;

	if ((fd = open(path, O_RDONLY)) == -1)
		fatal("%s: cannot be read", path);
	for (n = 0; n < volume; n += size)
		must(fsx_pread_all(fd, block, size, (off_t)n), path);
	close(fd);
	unlink(path);
	free(path);
	return (double)volume / (now() - start) / 1e6;
}

/* --- with it -------------------------------------------------------------- */

static struct queue *
open_queue(const char *dir, enum queue_codec codec)
{
	struct queue_opts	 o = { .codec = codec };
	struct queue		*q;
	char			*path = xasprintf("%s/q", dir);

	must(queue_open(path, &channel, &o, &q, NULL, &em), "open");
	free(path);
	return q;
}

static double
append(const char *dir, enum queue_codec codec, size_t size, size_t volume)
{
	struct queue_meta	 m = { 0, 1, 1, 0, 256, QUEUE_BOUNDARY };
	struct queue		*q = open_queue(dir, codec);
	struct iovec		 iov = { block, size };
	double			 start = now(), commit = start, t;
	size_t			 n;

	for (n = 0; n < volume; n += size, m.tick_from++, m.tick_to++) {
		must(queue_append(q, &m, &iov, 1, &em), "append");
		/* The timer of the group commit. */
		if (dir == disk && (t = now()) - commit > 0.1) {
			must(queue_sync(q, &em), "sync");
			commit = t;
		}
	}
	if (dir == disk)
		must(queue_sync(q, &em), "sync");
	t = (double)volume / (now() - start) / 1e6;
	must(queue_close(&q, &em), "close");
	return t;
}

static double
read_back(const char *dir, size_t volume)
{
	struct queue_reader	*r;
	struct queue_record	 rec;
	struct buf		 b = BUF_INIT;
	char			*path = xasprintf("%s/q", dir);
	double			 start = now();
	size_t			 n = 0;

	queue_reader_new(path, &r);
	must(queue_reader_seek_start(r, &em), "seek");
	for (buf_reset(&b); queue_reader_next(r, &rec, &b, &em) == 1;
	    buf_reset(&b))
		n += b.len;
	if (n != volume)
		fatal("read %zu of %zu bytes: %s", n, volume, em.text);
	queue_reader_free(&r);
	must(fsx_remove_tree(path), path);
	free(path);
	buf_free(&b);
	return (double)volume / (now() - start) / 1e6;
}

static void
bench_size(const char *name, size_t size)
{
	double	 best[4] = { 0 }, v;
	char	 what[4][64];
	int	 i, k;

	for (i = 0; i < PASSES; i++)
		for (k = 0; k < 4; k++) {
			v = k == 0 ? plain_write(memory, size, VOLUME_BYTES) :
			    k == 1 ? plain_read(memory, size, VOLUME_BYTES) :
			    k == 2 ? append(memory, QUEUE_CODEC_NONE, size,
			    VOLUME_BYTES) : read_back(memory, VOLUME_BYTES);
			best[k] = MAX(best[k], v);
		}
	snprintf(what[0], sizeof(what[0]), "queue_null_write_%s", name);
	snprintf(what[1], sizeof(what[1]), "queue_null_read_%s", name);
	snprintf(what[2], sizeof(what[2]), "queue_append_%s", name);
	snprintf(what[3], sizeof(what[3]), "queue_read_%s", name);
	report(what[0], best[0], "MB/s", NULL, 0);
	report(what[1], best[1], "MB/s", NULL, 0);
	report(what[2], best[2], "MB/s", what[0], best[2] / best[0]);
	report(what[3], best[3], "MB/s", what[1], best[3] / best[1]);
}

static void
bench_disk(void)
{
	double	 null, v;

	null = plain_write(disk, BIG_BYTES, DISK_BYTES);
	plain_read(disk, BIG_BYTES, DISK_BYTES);
	report("queue_null_write_disk", null, "MB/s", NULL, 0);
	v = append(disk, QUEUE_CODEC_NONE, BIG_BYTES, DISK_BYTES);
	report("queue_append_disk", v, "MB/s", "queue_null_write_disk",
	    v / null);
	read_back(disk, DISK_BYTES);
}

static void
bench_zstd(void)
{
	static const char	 doc[] = "{\"tick\":\"%07u\",\"type\":2300,"
				    "\"db\":\"mydb\",\"cuid\":\"c10049/s1\","
				    "\"data\":{\"_key\":\"%u\",\"_rev\":"
				    "\"_fw2Y%x\",\"name\":\"customer %u\","
				    "\"age\":%u,\"active\":true}}\n";
	size_t			 at = 0;
	unsigned int		 i;
	double			 v;

	if (!queue_codec_usable(QUEUE_CODEC_ZSTD))
		return;
	for (i = 0; at + 256 < sizeof(block); i++)
		at += (size_t)snprintf((char *)block + at, 256, doc, i,
		    i * 7919u, i * 2654435761u, i % 5000, i % 90);
	v = append(memory, QUEUE_CODEC_ZSTD, BIG_BYTES, VOLUME_BYTES);
	report("queue_append_zstd", v, "MB/s", NULL, 0);
	v = read_back(memory, VOLUME_BYTES);
	report("queue_read_zstd", v, "MB/s", NULL, 0);
}

/* --- recovery ------------------------------------------------------------- */

/* Segment `number`, all before it of full size: a header and a hole. */
static void
put_hole(const char *path, uint64_t number, uint64_t bytes)
{
	struct fmt_segment	 h;
	uint8_t			 head[FMT_SEG_MAX_BYTES];
	char			*name;
	size_t			 n;

	memset(&h, 0, sizeof(h));
	h.epoch = 1700000000000;
	h.number = number;
	h.base = h.mark_offset = (number - 1) * QUEUE_SEGMENT_BYTES;
	h.mark.tick = number - 1;
	if (number > 1) {
		h.prev_epoch = h.epoch;
		h.prev_number = number - 1;
		h.prev_end = h.base;
	}
	h.channel = channel;
	n = fmt_put_segment(head, &h);
	name = xasprintf("%s/%016" PRIx64 "-%016" PRIx64 ".seg", path, h.epoch,
	    number);
	must(fsx_create_exclusive(name, head, n, 0600), name);
	must(fsx_truncate(name, n + bytes), name);
	free(name);
}

/*
 * The last segment is a real one, of full size and without a mark of the end,
 * so that all its records are checked.
 */
static void
bench_recovery(void)
{
	struct queue_meta	 m = { 0, 0, 1, 0, 256, QUEUE_BOUNDARY };
	struct queue_recovery	 found;
	struct queue		*q;
	struct iovec		 iov = { block, BIG_BYTES };
	char			*path = xasprintf("%s/q", memory);
	uint64_t		 n = BIG_QUEUE_BYTES / QUEUE_SEGMENT_BYTES, i;
	double			 start;

	must(fsx_mkdir_p(path, 0700), path);
	for (i = 1; i < n; i++)
		put_hole(path, i, QUEUE_SEGMENT_BYTES);
	/* The last hole is empty: it is where the queue goes on. */
	put_hole(path, n, 0);
	must(queue_open(path, &channel, NULL, &q, NULL, &em), "open");
	for (i = 0; i + BIG_BYTES + 1024 < QUEUE_SEGMENT_BYTES;
	    i += BIG_BYTES + FMT_REC_BYTES) {
		m.tick_from = m.tick_to == 0 ? n : m.tick_to;
		m.tick_to = m.tick_from + 1;
		must(queue_append(q, &m, &iov, 1, &em), "append");
	}
	queue_abandon(&q);
	start = now();
	must(queue_open(path, &channel, NULL, &q, &found, &em), "open");
	report("queue_recovery_10gib", now() - start, "s", NULL, 0);
	if (found.torn_bytes != 0 || found.segments != n + 1)
		fatal("recovery found %" PRIu64 " segments", found.segments);
	queue_abandon(&q);
	must(fsx_remove_tree(path), path);
	free(path);
}

/* Positions of ten thousand channels, a hundred changed per commit. */
static void
bench_positions(void)
{
	struct ack_store	*s;
	struct ack_pos		 pos = { .server = "PRMR-1", .tick = 1 };
	char			*path = xasprintf("%s/positions", disk);
	char			 key[32];
	unsigned int		 i, k;
	double			 start;

	must(ack_open(path, &s, NULL, &em), path);
	for (i = 0; i < 10000; i++) {
		snprintf(key, sizeof(key), "mydb.%u.%u", 10000 + i / 8, i % 8);
		must(ack_put(s, key, &pos), key);
	}
	must(ack_sync(s, &em), path);
	start = now();
	for (k = 0; k < 50; k++) {
		for (i = 0; i < 100; i++) {
			unsigned int	 c = (k * 100 + i) * 7 % 10000;

			snprintf(key, sizeof(key), "mydb.%u.%u",
			    10000 + c / 8, c % 8);
			pos.tick++;
			must(ack_put(s, key, &pos), key);
		}
		must(ack_sync(s, &em), path);
	}
	report("queue_positions_commit", (now() - start) / 50 * 1e3, "ms",
	    NULL, 0);
	ack_close(&s);
	unlink(path);
	free(path);
}

int
main(void)
{
	const char	*tmp = getenv("TMPDIR");
	size_t		 i;

	strcpy(memory, access("/dev/shm", W_OK) == 0 ?
	    "/dev/shm/bench_queue.XXXXXX" : "/tmp/bench_queue.XXXXXX");
	snprintf(disk, sizeof(disk), "%s/bench_queue.XXXXXX",
	    tmp == NULL ? "/tmp" : tmp);
	if (mkdtemp(memory) == NULL || mkdtemp(disk) == NULL)
		fatal("no directory for the benchmark");
	rand_seed(1);
	for (i = 0; i < sizeof(block); i++)
		block[i] = (uint8_t)rand_u64();
	bench_size("256k", BIG_BYTES);
	bench_size("1k", SMALL_BYTES);
	bench_disk();
	bench_recovery();
	bench_positions();
	bench_zstd();
	fsx_remove_tree(memory);
	fsx_remove_tree(disk);
	return 0;
}
