/*
 * bench_tail_client.c - how fast one core takes a tail response apart: lines,
 * members of the marker, the shard it belongs to.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arango/wal_parse.h"
#include "base/err.h"
#include "base/map.h"
#include "vpack/vpack.h"

#define PIECE_BYTES	16384		/* as libcurl hands them over */
#define TOTAL_BYTES	((size_t)64 * 1024 * 1024)
#define NSHARDS		64
#define ROUND_MS	1000

static struct map	 shards;
static uint64_t		 routed[NSHARDS], bytes_out;

/* Of this process, so that others on the machine do not count. */
static uint64_t
cpu_us(void)
{
	struct timespec	 t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void
add_marker(struct buf *b, uint64_t tick, size_t size)
{
	size_t	 at = b->len, i;

	buf_printf(b, "{\"tick\":\"%llu\",\"type\":2300,\"db\":\"mydb\","
	    "\"cuid\":\"c10049/s%llu\",\"tid\":\"0\",\"data\":{\"_key\":"
	    "\"%llu\",\"_id\":\"products/%llu\",\"_rev\":\"_fw2Ytzy--_\",",
	    (unsigned long long)tick,
	    (unsigned long long)(10050 + tick % NSHARDS),
	    (unsigned long long)tick, (unsigned long long)tick);
	for (i = 0; b->len - at < size; i++)
		buf_printf(b, "\"name%zu\":\"a value with \\\"quotes\\\" and "
		    "%zu\",\"number%zu\":%zu.5,\"list%zu\":[1,2,{\"a\":null}"
		    "],", i, i, i, i * 77, i);
	buf_append_str(b, "\"end\":true}}\n");
}

static int
route(void *arg, const struct arango_marker *m)
{
	uint64_t	*n = map_get_n(&shards, m->cuid.p, m->cuid.len);

	if (n != NULL)
		(*n)++;
	bytes_out += m->line.len;
	return 0;
}

/* Feed it all, again and again; GB/s. */
static double
measure(const struct buf *b, bool vpack)
{
	struct wal_parser	 p;
	uint64_t		 start = cpu_us(), now;
	size_t			 at, n, total = 0;

	wal_parse_init(&p, 1024 * 1024);
	p.on_marker = route;
	do {
		wal_parse_begin(&p, vpack);
		for (at = 0; at < b->len; at += n) {
			n = MIN(PIECE_BYTES, b->len - at);
			bug_unless(wal_parse_feed(&p, b->data + at, n) == 0);
		}
		bug_unless(wal_parse_end(&p) == 0);
		total += b->len;
		now = cpu_us();
	} while (now - start < ROUND_MS * 1000);
	wal_parse_free(&p);
	return (double)total / (double)(now - start) / 1000;
}

/* The null stage: the bytes are looked at once. */
static double
measure_null(const struct buf *b)
{
	uint64_t	 start = cpu_us(), now;
	size_t		 at, n, total = 0;
	volatile size_t	 lines = 0;
	const uint8_t	*p, *end;

	do {
		for (at = 0; at < b->len; at += n) {
			n = MIN(PIECE_BYTES, b->len - at);
			end = b->data + at + n;
			for (p = b->data + at; (p = memchr(p, '\n',
			    (size_t)(end - p))) != NULL; p++)
				lines++;
		}
		total += b->len;
		now = cpu_us();
	} while (now - start < ROUND_MS * 1000);
	return (double)total / (double)(now - start) / 1000;
}

static void
print(const char *name, double v, double null)
{
	printf("{\"name\":\"%s\",\"value\":%.3f,\"unit\":\"GB/s\","
	    "\"ratio_to\":\"memchr\",\"ratio\":%.3f}\n", name, v, v / null);
}

static void
one_size(size_t size)
{
	struct buf		 json = BUF_INIT, vp = BUF_INIT;
	struct vp_builder	 vb;
	char			 name[64];
	const char		*p, *nl;
	double			 null;
	uint64_t		 tick;

	for (tick = 1; json.len < TOTAL_BYTES; tick++)
		add_marker(&json, tick, size);
	null = measure_null(&json);
	snprintf(name, sizeof(name), "tail, JSON, %zu bytes", size);
	print(name, measure(&json, false), null);
	vpb_init(&vb, &vp);
	for (p = (char *)json.data; (nl = memchr(p, '\n', (size_t)
	    ((char *)json.data + json.len - p))) != NULL; p = nl + 1) {
		vpb_start(&vb, &vp);
		bug_unless(vp_from_json(&vb, p, (size_t)(nl - p), NULL) == 0 &&
		    vpb_end(&vb) == 0);
		if (vp.len > TOTAL_BYTES / 2)
			break;
	}
	vpb_free(&vb);
	snprintf(name, sizeof(name), "tail, VelocyPack, %zu bytes", size);
	print(name, measure(&vp, true), null);
	buf_free(&json);
	buf_free(&vp);
}

int
main(void)
{
	char	 cuid[64];
	size_t	 i;

	for (i = 0; i < NSHARDS; i++) {
		snprintf(cuid, sizeof(cuid), "c10049/s%zu", 10050 + i);
		map_put(&shards, cuid, &routed[i]);
	}
	one_size(256);
	one_size(1024);
	one_size(16384);
	map_free(&shards, NULL);
	return 0;
}
