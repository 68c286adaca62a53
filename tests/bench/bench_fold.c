/*
 * bench_fold.c - the data path without its pipes: lines of a tail to channels
 * (split, scanned, routed), and lines of a channel to bodies for the target
 * (folded), for documents of 100 B, 1 KiB and 10 KiB.  CPU time.  One JSON
 * object a line: name, value, unit; the copy of the same bytes is the null
 * stage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "json/scan.h"
#include "sync/fold.h"
#include "sync/route.h"

#define INPUT_BYTES	((size_t)8 << 20)
#define MIN_SECONDS	0.3
#define CHANNELS	64

static double
now(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
report(const char *what, const char *size, double v, const char *unit,
    const char *to, double ratio)
{
	printf("{\"name\":\"%s_%s\",\"value\":%.3f,\"unit\":\"%s\"", what,
	    size, v, unit);
	if (to != NULL)
		printf(",\"ratio_to\":\"%s_%s\",\"ratio\":%.3f", to, size,
		    ratio);
	printf("}\n");
	fflush(stdout);
}

static unsigned int
make_lines(struct buf *b, size_t doc_bytes)
{
	unsigned int	 n, shard;
	size_t		 at, pad;

	for (n = 0; b->len + doc_bytes + 200 < INPUT_BYTES; n++) {
		/* a burst of some lines per shard, as a bulk load makes */
		shard = n / 8 * 7 % CHANNELS;
		buf_printf(b, "{\"tick\":\"%u\",\"type\":2300,\"db\":\"mydb\","
		    "\"cuid\":\"c10049/s%u\",\"tid\":\"0\",\"data\":", n + 1,
		    10050 + shard);
		at = b->len;
		buf_printf(b, "{\"_key\":\"%u\",\"_id\":\"bench/%u\","
		    "\"_rev\":\"_fw2Ytzy--_\",\"text\":\"", n, n);
		pad = b->len - at + 2 < doc_bytes ?
		    doc_bytes - (b->len - at) - 2 : 0;
		buf_reserve(b, pad);
		memset(b->data + b->len, 'x', pad);
		b->len += pad;
		buf_append_str(b, "\"}}\n");
	}
	return n;
}

static int
on_line(const char *line, size_t len, void *arg)
{
	struct scan_marker	 m;
	struct route_channel	*ch;
	uint64_t		 tick, type;

	if (scan_marker(line, len, &m) != 0 ||
	    scan_uint(&m.tick, &tick) != 0 || scan_uint(&m.type, &type) != 0)
		return ERR_FORMAT;
	if (route_take(arg, tick, (uint32_t)type, &m.db, &m.cuid, len, &ch) !=
	    ROUTE_PASS)
		return ERR_BAD_STATE;
	return 0;
}

/* Split, scanned and routed, in pieces of 16 KiB as libcurl brings them. */
static void
bench_route(const struct buf *in, const char *size)
{
	struct route_point	 p = { .from = 0 };
	struct route		*r;
	struct line_split	 ls;
	double			 start = now(), t;
	size_t			 bytes = 0, at, n;
	char			 cuid[32];
	unsigned int		 i;

	line_init(&ls, 1 << 20);
	do {
		r = route_new(NULL);
		route_seek(r, &p);
		for (i = 0; i < CHANNELS; i++) {
			snprintf(cuid, sizeof(cuid), "c10049/s%u", 10050 + i);
			route_add(r, i, "mydb", cuid, 0);
		}
		route_request(r);
		for (at = 0; at < in->len; at += n) {
			n = MIN((size_t)16384, in->len - at);
			if (line_feed(&ls, (char *)in->data + at, n, on_line,
			    r) != 0)
				fatal("route");
		}
		route_free(&r);
		bytes += in->len;
	} while ((t = now() - start) < MIN_SECONDS);
	report("tail_route", size, (double)bytes / t / 1e9, "GB/s", NULL, 0);
	line_free(&ls);
}

static double
bench_copy(const struct buf *in, const char *size)
{
	struct buf	 out = BUF_INIT;
	double		 start = now(), t;
	size_t		 bytes = 0;

	do {
		buf_reset(&out);
		buf_append(&out, in->data, in->len);
		bytes += in->len;
	} while ((t = now() - start) < MIN_SECONDS);
	buf_free(&out);
	t = t / ((double)bytes / (1 << 30));
	report("fold_null_copy", size, t, "CPU-s/GiB", NULL, 0);
	return t;
}

static void
bench_fold(const struct buf *in, unsigned int docs, const char *size,
    double null)
{
	struct fold		*f = fold_new(NULL);
	struct fold_body	 body;
	struct buf		 out = BUF_INIT;
	double			 start = now(), t;
	size_t			 bytes = 0, used, at;
	uint64_t		 n = 0;

	do {
		for (at = 0; at < in->len; at += used) {
			if (fold_lines(f, (char *)in->data + at, in->len - at,
			    &used, NULL) < 0 || used == 0)
				fatal("fold");
			buf_reset(&out);
			while (fold_next(f, &out, &body) == FOLD_BODY) {
				fold_answered(f, &body);
				buf_reset(&out);
			}
			fold_reset(f);
		}
		bytes += in->len;
		n += docs;
	} while ((t = now() - start) < MIN_SECONDS);
	report("fold_documents", size, (double)n / t, "docs/s", NULL, 0);
	t = t / ((double)bytes / (1 << 30));
	report("fold", size, t, "CPU-s/GiB", "fold_null_copy", t / null);
	buf_free(&out);
	fold_free(&f);
}

int
main(void)
{
	static const struct {
		const char	*name;
		size_t		 bytes;
	} sizes[] = { { "100b", 100 }, { "1k", 1024 }, { "10k", 10240 } };
	struct buf	 in = BUF_INIT;
	unsigned int	 docs;
	size_t		 i;
	double		 null;

	for (i = 0; i < NITEMS(sizes); i++) {
		buf_reset(&in);
		docs = make_lines(&in, sizes[i].bytes);
		bench_route(&in, sizes[i].name);
		null = bench_copy(&in, sizes[i].name);
		bench_fold(&in, docs, sizes[i].name, null);
	}
	buf_free(&in);
	return 0;
}
