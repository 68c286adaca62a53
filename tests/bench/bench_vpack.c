/*
 * bench_vpack.c - JSON to VelocyPack, back, and the scan of tail lines, with
 * documents of 1 KiB.  One JSON object a line: name, value, unit.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json/scan.h"
#include "vpack/hash.h"
#include "vpack/vpack.h"

#define DOC_BYTES	1024
#define DOCS		1000
#define MIN_SECONDS	0.3

/*
 * Two shapes: "mixed" has the usual short attributes and some text, "text" is
 * one long string.
 */
static size_t
make_doc(char *dst, unsigned int i, bool mixed)
{
	int	 n;

	n = snprintf(dst, DOC_BYTES, "{\"_key\":\"%08u\","
	    "\"_id\":\"bench/%08u\",\"_rev\":\"_fw2Ytzy--_\"", i, i);
	if (mixed)
		n += snprintf(dst + n, (size_t)(DOC_BYTES - n),
		    ",\"name\":\"customer %u\",\"age\":%u,\"balance\":%u.%02u,"
		    "\"active\":%s,\"email\":\"customer%u@example.com\","
		    "\"address\":{\"street\":\"Long Street %u\",\"city\":"
		    "\"Springfield\",\"zip\":\"%05u\",\"country\":\"DE\"},"
		    "\"tags\":[\"alpha\",\"beta\",\"gamma\"],\"visits\":"
		    "[%u,%u,%u,%u],\"created\":\"2023-03-29T16:01:57.597Z\","
		    "\"score\":%u,\"parent\":null", i, i % 90, i * 37 % 10000,
		    i % 100, i % 2 == 0 ? "true" : "false", i, i % 300,
		    i % 99999, i, i * 3, i * 5, i * 7, i * 11);
	n += snprintf(dst + n, (size_t)(DOC_BYTES - n), ",\"text\":\"");
	for (; n < DOC_BYTES - 2; n++)
		dst[n] = "the quick brown fox jumps over a lazy dog "
		    [(unsigned int)n % 42];
	dst[n++] = '"';
	dst[n++] = '}';
	return (size_t)n;
}

/* CPU time: what else the machine does is not of interest here. */
static double
now(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
report(const char *what, const char *shape, double mb)
{
	printf("{\"name\":\"%s_%s_1k\",\"value\":%.0f,\"unit\":\"MB/s\"}\n",
	    what, shape, mb);
	fflush(stdout);
}

struct input {
	char		*text;		/* DOCS documents of DOC_BYTES */
	struct buf	 values;	/* the same as VelocyPack, in a row */
	struct buf	 lines;		/* the same as lines of a tail */
};

static void
input_make(struct input *in, bool mixed)
{
	struct vp_builder	 b;
	unsigned int		 i;

	memset(in, 0, sizeof(*in));
	in->text = xmalloc(DOCS * DOC_BYTES);
	vpb_init(&b, &in->values);
	for (i = 0; i < DOCS; i++) {
		char	*doc = in->text + i * DOC_BYTES;
		size_t	 n = make_doc(doc, i, mixed);

		if (n != DOC_BYTES ||
		    vp_from_json(&b, doc, n, NULL) != 0)
			fatal("the document of the benchmark is none");
		buf_printf(&in->lines, "{\"tick\":\"%u\",\"type\":2300,"
		    "\"db\":\"mydb\",\"cuid\":\"c10049/s10050\",\"tid\":\"0\","
		    "\"data\":%.*s}\n", i + 1, (int)n, doc);
	}
	vpb_free(&b);
}

static void
bench_parse(struct input *in, const char *shape)
{
	struct vp_builder	 b;
	struct buf		 out = BUF_INIT;
	double			 start = now(), t;
	size_t			 bytes = 0, i;

	vpb_init(&b, &out);
	do {
		for (i = 0; i < DOCS; i++) {
			buf_reset(&out);
			vpb_start(&b, &out);
			if (vp_from_json(&b, in->text + i * DOC_BYTES,
			    DOC_BYTES, NULL) != 0 || vpb_end(&b) != 0)
				fatal("parse");
		}
		bytes += DOCS * DOC_BYTES;
	} while ((t = now() - start) < MIN_SECONDS);
	report("vpack_parse", shape, (double)bytes / t / 1e6);
	vpb_free(&b);
	buf_free(&out);
}

static void
bench_dump(struct input *in, const char *shape)
{
	struct buf	 out = BUF_INIT;
	double		 start = now(), t;
	size_t		 bytes = 0, at;

	do {
		buf_reset(&out);
		for (at = 0; at < in->values.len;
		    at += vp_size(in->values.data + at))
			vp_to_json(&out, in->values.data + at, 0);
		bytes += out.len;
	} while ((t = now() - start) < MIN_SECONDS);
	report("vpack_dump", shape, (double)bytes / t / 1e6);
	buf_free(&out);
}

static void
bench_validate(struct input *in, const char *shape)
{
	double		 start = now(), t;
	size_t		 bytes = 0, at, used;

	do {
		for (at = 0; at < in->values.len; at += used)
			if (vp_validate_first(in->values.data + at,
			    in->values.len - at, &used, NULL) != 0)
				fatal("validate");
		bytes += in->values.len;
	} while ((t = now() - start) < MIN_SECONDS);
	report("vpack_validate", shape, (double)bytes / t / 1e6);
}

static int
on_line(const char *line, size_t len, void *arg)
{
	struct scan_marker	 m;
	uint64_t		*sum = arg, tick;

	if (scan_marker(line, len, &m) != 0 || scan_uint(&m.tick, &tick) != 0)
		return ERR_FORMAT;
	*sum += tick + m.data.len;
	return 0;
}

/* In pieces of 16 KiB, as libcurl brings them. */
static void
bench_lines(struct input *in, const char *shape)
{
	struct line_split	 ls;
	double			 start = now(), t;
	size_t			 bytes = 0, at, n;
	uint64_t		 sum = 0;

	line_init(&ls, 1 << 20);
	do {
		for (at = 0; at < in->lines.len; at += n) {
			n = MIN((size_t)16384, in->lines.len - at);
			if (line_feed(&ls, (char *)in->lines.data + at, n,
			    on_line, &sum) != 0)
				fatal("scan");
		}
		bytes += in->lines.len;
	} while ((t = now() - start) < MIN_SECONDS);
	report("json_line_scan", shape, (double)bytes / t / 1e6);
	line_free(&ls);
}

int
main(void)
{
	static const char *const shapes[] = { "text", "mixed" };
	struct input	 in;
	int		 i;

	for (i = 0; i < 2; i++) {
		input_make(&in, i == 1);
		bench_parse(&in, shapes[i]);
		bench_dump(&in, shapes[i]);
		bench_validate(&in, shapes[i]);
		bench_lines(&in, shapes[i]);
		free(in.text);
		buf_free(&in.values);
		buf_free(&in.lines);
	}
	return 0;
}
