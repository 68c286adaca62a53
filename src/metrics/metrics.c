/* metrics.c - counters, gauges and histograms, and their text */
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/map.h"
#include "metrics/metrics.h"

enum kind {
	KIND_COUNTER,
	KIND_GAUGE,
	KIND_HISTOGRAM
};

static const char *const kind_names[] = { "counter", "gauge", "histogram" };

struct metric {
	union {				/* first: what callers hold */
		struct metrics_counter	 counter;
		struct metrics_gauge	 gauge;
		struct metrics_histogram histogram;
	} u;
	struct family	*family;
	char		*labels;	/* a="x",b="y"; the key in the family */
};

struct family {
	enum kind	 kind;
	char		*help;
	double		*bounds;	/* of histograms */
	size_t		 n_bounds;
	struct map	 metrics;	/* labels -> struct metric */
};

struct collector {
	void			(*fn)(void *);
	void			*arg;
	struct collector	*next;
};

struct metrics {
	struct map		 families;	/* name -> struct family */
	struct collector	*collectors;
};

const double metrics_seconds[] = {
	0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
	0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60
};
const size_t metrics_seconds_n = NITEMS(metrics_seconds);

const double metrics_bytes[] = {
	256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216,
	67108864, 268435456, 1073741824
};
const size_t metrics_bytes_n = NITEMS(metrics_bytes);

struct metrics *
metrics_new(void)
{
	return xcalloc(1, sizeof(struct metrics));
}

static void
metric_free(void *p)
{
	struct metric	*x = p;

	if (x->family->kind == KIND_HISTOGRAM)
		free(x->u.histogram.counts);
	free(x->labels);
	free(x);
}

static void
family_free(void *p)
{
	struct family	*f = p;

	map_free(&f->metrics, metric_free);
	free(f->help);
	free(f->bounds);
	free(f);
}

void
metrics_free(struct metrics **m)
{
	struct collector	*c;

	if (*m == NULL)
		return;
	map_free(&(*m)->families, family_free);
	while ((c = (*m)->collectors) != NULL) {
		(*m)->collectors = c->next;
		free(c);
	}
	free(*m);
	*m = NULL;
}

/* --- names and labels ---------------------------------------------------- */

/* Letters, digits, '_', and for metrics ':'; no digit first. */
static int
is_name(const char *s, int colon)
{
	if (isdigit((unsigned char)*s) || *s == '\0')
		return 0;
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && *s != '_' &&
		    !(colon && *s == ':'))
			return 0;
	return 1;
}

/* Backslash and newline, and in label values the quote, are escaped. */
static void
append_escaped(struct buf *b, const char *s, int quote)
{
	for (; *s != '\0'; s++) {
		if (*s == '\n')
			buf_append_str(b, "\\n");
		else if (*s == '\\' || (quote && *s == '"')) {
			buf_append_u8(b, '\\');
			buf_append_u8(b, (uint8_t)*s);
		} else
			buf_append_u8(b, (uint8_t)*s);
	}
}

/* Pairs as they will stand between braces. */
static void
append_labels(struct buf *b, va_list ap)
{
	const char	*name, *value;

	while ((name = va_arg(ap, const char *)) != NULL) {
		value = va_arg(ap, const char *);
		bug_unless(value != NULL && is_name(name, 0) &&
		    strcmp(name, "le") != 0);
		buf_printf(b, "%s%s=\"", b->len == 0 ? "" : ",", name);
		append_escaped(b, value, 1);
		buf_append_u8(b, '"');
	}
}

static struct family *
family_get(struct metrics *m, enum kind kind, const char *name,
    const char *help, const double *bounds, size_t n_bounds)
{
	struct family	*f = map_get(&m->families, name);
	size_t		 i;

	if (f != NULL) {
		bug_unless(f->kind == kind && f->n_bounds == n_bounds &&
		    (n_bounds == 0 || memcmp(f->bounds, bounds,
		    n_bounds * sizeof(*bounds)) == 0));
		return f;
	}
	bug_unless(is_name(name, 1));
	for (i = 1; i < n_bounds; i++)
		bug_unless(bounds[i - 1] < bounds[i]);
	f = xcalloc(1, sizeof(*f));
	f->kind = kind;
	f->help = xstrdup(help);
	f->n_bounds = n_bounds;
	if (n_bounds > 0) {
		f->bounds = xcalloc(n_bounds, sizeof(*bounds));
		memcpy(f->bounds, bounds, n_bounds * sizeof(*bounds));
	}
	map_put(&m->families, name, f);
	return f;
}

static struct metric *
metric_get(struct family *f, va_list ap)
{
	struct buf	 labels = BUF_INIT;
	struct metric	*x;

	append_labels(&labels, ap);
	if ((x = map_get(&f->metrics, buf_cstr(&labels))) != NULL) {
		buf_free(&labels);
		return x;
	}
	x = xcalloc(1, sizeof(*x));
	x->family = f;
	x->labels = xstrdup(buf_cstr(&labels));
	buf_free(&labels);
	if (f->kind == KIND_HISTOGRAM) {
		x->u.histogram.bounds = f->bounds;
		x->u.histogram.n_bounds = f->n_bounds;
		x->u.histogram.counts = xcalloc(f->n_bounds + 1,
		    sizeof(uint64_t));
	}
	map_put(&f->metrics, x->labels, x);
	return x;
}

struct metrics_counter *
metrics_counter(struct metrics *m, const char *name, const char *help, ...)
{
	struct metric	*x;
	va_list		 ap;

	va_start(ap, help);
	x = metric_get(family_get(m, KIND_COUNTER, name, help, NULL, 0), ap);
	va_end(ap);
	return &x->u.counter;
}

struct metrics_gauge *
metrics_gauge(struct metrics *m, const char *name, const char *help, ...)
{
	struct metric	*x;
	va_list		 ap;

	va_start(ap, help);
	x = metric_get(family_get(m, KIND_GAUGE, name, help, NULL, 0), ap);
	va_end(ap);
	return &x->u.gauge;
}

struct metrics_histogram *
metrics_histogram(struct metrics *m, const char *name, const char *help,
    const double *bounds, size_t n_bounds, ...)
{
	struct metric	*x;
	va_list		 ap;

	va_start(ap, n_bounds);
	x = metric_get(family_get(m, KIND_HISTOGRAM, name, help, bounds,
	    n_bounds), ap);
	va_end(ap);
	return &x->u.histogram;
}

void
metrics_remove(struct metrics *m, const void *metric)
{
	struct map_iter	 fi, mi;
	struct family	*f;

	if (metric == NULL)
		return;
	/* Looked for, so that a stale pointer does no harm; removing a shard
	 * is rare. */
	MAP_FOREACH(&m->families, fi) {
		f = fi.value;
		MAP_FOREACH(&f->metrics, mi)
			if (mi.value == metric) {
				map_del(&f->metrics, mi.key);
				metric_free(mi.value);
				return;
			}
	}
}

/* --- histograms ---------------------------------------------------------- */

void
metrics_observe(struct metrics_histogram *h, double value)
{
	size_t	 low = 0, high = h->n_bounds, mid;

	/* The first bound that is not below the value. */
	while (low < high) {
		mid = (low + high) / 2;
		if (h->bounds[mid] < value)
			low = mid + 1;
		else
			high = mid;
	}
	h->counts[low]++;
	h->count++;
	h->sum += value;
}

double
metrics_quantile(const struct metrics_histogram *h, double q)
{
	double	 rank, below = 0, from, to;
	size_t	 i;

	if (h->count == 0)
		return NAN;
	rank = q * (double)h->count;
	for (i = 0; i < h->n_bounds; i++) {
		if (below + (double)h->counts[i] >= rank &&
		    h->counts[i] > 0)
			break;
		below += (double)h->counts[i];
	}
	/* Beyond the last bound nothing is known but that it is larger. */
	if (i == h->n_bounds)
		return h->n_bounds == 0 ? NAN : h->bounds[i - 1];
	from = i == 0 ? MIN(0, h->bounds[0]) : h->bounds[i - 1];
	to = h->bounds[i];
	return from + (to - from) * MAX(rank - below, 0) /
	    (double)h->counts[i];
}

/* --- text ---------------------------------------------------------------- */

void
metrics_on_collect(struct metrics *m, void (*fn)(void *), void *arg)
{
	struct collector	*c = xmalloc(sizeof(*c));

	c->fn = fn;
	c->arg = arg;
	c->next = m->collectors;
	m->collectors = c;
}

/* The shortest text that reads back as the same number. */
static void
append_double(struct buf *out, double v)
{
	char	 text[40];
	int	 digits;

	if (isnan(v)) {
		buf_append_str(out, "NaN");
		return;
	}
	if (isinf(v)) {
		buf_append_str(out, v > 0 ? "+Inf" : "-Inf");
		return;
	}
	for (digits = 15; digits < 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	if (digits == 17)
		snprintf(text, sizeof(text), "%.17g", v);
	buf_append_str(out, text);
}

static void
append_name(struct buf *out, const char *name, const char *suffix,
    const char *labels)
{
	buf_printf(out, "%s%s", name, suffix);
	if (*labels != '\0')
		buf_printf(out, "{%s}", labels);
	buf_append_u8(out, ' ');
}

static void
write_histogram(struct buf *out, const char *name, const struct metric *x)
{
	const struct metrics_histogram	*h = &x->u.histogram;
	const char			*comma = *x->labels ? "," : "";
	uint64_t			 sum = 0;
	size_t				 i;

	for (i = 0; i < h->n_bounds; i++) {
		sum += h->counts[i];
		buf_printf(out, "%s_bucket{%s%sle=\"", name, x->labels, comma);
		append_double(out, h->bounds[i]);
		buf_printf(out, "\"} %llu\n", (unsigned long long)sum);
	}
	buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, x->labels,
	    comma, (unsigned long long)h->count);
	append_name(out, name, "_sum", x->labels);
	append_double(out, h->sum);
	buf_append_u8(out, '\n');
	append_name(out, name, "_count", x->labels);
	buf_printf(out, "%llu\n", (unsigned long long)h->count);
}

static void
write_metric(struct buf *out, const char *name, const struct metric *x)
{
	switch (x->family->kind) {
	case KIND_COUNTER:
		append_name(out, name, "", x->labels);
		buf_printf(out, "%llu\n",
		    (unsigned long long)x->u.counter.value);
		break;
	case KIND_GAUGE:
		append_name(out, name, "", x->labels);
		append_double(out, x->u.gauge.value);
		buf_append_u8(out, '\n');
		break;
	case KIND_HISTOGRAM:
		write_histogram(out, name, x);
		break;
	}
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Families by name, NULL at the end, after gauges were set; free() it. */
static const char **
collect(struct metrics *m)
{
	struct collector	*c;
	struct map_iter		 it;
	const char		**names;
	size_t			 n = 0;

	for (c = m->collectors; c != NULL; c = c->next)
		c->fn(c->arg);
	names = xcalloc(map_count(&m->families) + 1, sizeof(*names));
	MAP_FOREACH(&m->families, it)
		if (map_count(&((struct family *)it.value)->metrics) > 0)
			names[n++] = it.key;
	if (n > 0)
		qsort(names, n, sizeof(*names), compare_names);
	return names;
}

void
metrics_write_text(struct metrics *m, struct buf *out)
{
	const char	**names = collect(m);
	struct family	*f;
	struct map_iter	 it;
	size_t		 i;

	for (i = 0; names[i] != NULL; i++) {
		f = map_get(&m->families, names[i]);
		buf_printf(out, "# HELP %s ", names[i]);
		append_escaped(out, f->help, 0);
		buf_printf(out, "\n# TYPE %s %s\n", names[i],
		    kind_names[f->kind]);
		MAP_FOREACH(&f->metrics, it)
			write_metric(out, names[i], it.value);
	}
	free(names);
}

/* --- JSON ------------------------------------------------------------------ */

/* Inside quotes.  What append_escaped() wrote needs no more than this. */
static void
append_json(struct buf *out, const char *s, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20)
			buf_printf(out, "\\u%04x", (unsigned)s[i]);
		else
			buf_append_u8(out, (uint8_t)s[i]);
}

static void
append_json_double(struct buf *out, double v)
{
	if (isnan(v) || isinf(v))
		buf_append_str(out, "null");
	else
		append_double(out, v);
}

/* a="x",b="y" as {"a":"x","b":"y"}. */
static void
append_json_labels(struct buf *out, const char *labels)
{
	const char	*value, *end;

	buf_append_str(out, ",\"labels\":{");
	for (;;) {
		value = strchr(labels, '=') + 2;
		for (end = value; *end != '"'; end++)
			if (*end == '\\')
				end++;
		buf_printf(out, "\"%.*s\":\"", (int)(value - 2 - labels),
		    labels);
		append_json(out, value, (size_t)(end - value));
		buf_append_u8(out, '"');
		if (end[1] == '\0')
			break;
		buf_append_u8(out, ',');
		labels = end + 2;
	}
	buf_append_u8(out, '}');
}

static void
append_json_histogram(struct buf *out, const struct metrics_histogram *h)
{
	uint64_t	 sum = 0;
	size_t		 i;

	append_json_double(out, h->sum);
	buf_printf(out, ",\"count\":%llu,\"buckets\":{",
	    (unsigned long long)h->count);
	for (i = 0; i < h->n_bounds; i++) {
		sum += h->counts[i];
		buf_append_u8(out, '"');
		append_double(out, h->bounds[i]);
		buf_printf(out, "\":%llu,", (unsigned long long)sum);
	}
	buf_printf(out, "\"+Inf\":%llu}", (unsigned long long)h->count);
}

static void
write_json_sample(struct buf *out, const struct metric *x)
{
	buf_append_str(out, "{\"value\":");
	switch (x->family->kind) {
	case KIND_COUNTER:
		buf_printf(out, "%llu", (unsigned long long)x->u.counter.value);
		break;
	case KIND_GAUGE:
		append_json_double(out, x->u.gauge.value);
		break;
	case KIND_HISTOGRAM:
		append_json_histogram(out, &x->u.histogram);
		break;
	}
	if (*x->labels != '\0')
		append_json_labels(out, x->labels);
	buf_append_u8(out, '}');
}

void
metrics_write_json(struct metrics *m, struct buf *out)
{
	const char	**names = collect(m);
	struct buf	 help = BUF_INIT;
	struct family	*f;
	struct map_iter	 it;
	size_t		 i, k;

	buf_append_u8(out, '{');
	for (i = 0; names[i] != NULL; i++) {
		f = map_get(&m->families, names[i]);
		buf_reset(&help);
		append_escaped(&help, f->help, 1);
		buf_printf(out, "%s\"%s\":{\"help\":\"", i == 0 ? "" : ",",
		    names[i]);
		append_json(out, buf_cstr(&help), help.len);
		buf_printf(out, "\",\"type\":\"%s\",\"samples\":[",
		    kind_names[f->kind]);
		k = 0;
		MAP_FOREACH(&f->metrics, it) {
			if (k++ > 0)
				buf_append_u8(out, ',');
			write_json_sample(out, it.value);
		}
		buf_append_str(out, "]}");
	}
	buf_append_u8(out, '}');
	buf_free(&help);
	free(names);
}
