/*
 * metrics.h - counters, gauges and histograms, and their text for Prometheus.
 *
 * Ask once for a metric, keep the pointer, and count with one addition:
 *
 *	struct metrics_counter *requests;
 *
 *	requests = metrics_counter(m, "http_requests_total",
 *	    "Requests answered.", "method", "GET", NULL);
 *	metrics_inc(requests);
 *
 * Metrics of one name are a family: same type and help, differing labels.
 * Asking again for the same name and labels gives the same metric.  Names and
 * label names are compiled in: invalid ones, a second type or bounds for a
 * name, and an odd list of labels are bugs.  Label values may be any text.
 * One thread.
 */
#ifndef METRICS_METRICS_H
#define METRICS_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct metrics;

struct metrics_counter {
	uint64_t	 value;
};

struct metrics_gauge {
	double		 value;
};

struct metrics_histogram {
	const double	*bounds;	/* rising; the family owns them */
	size_t		 n_bounds;
	uint64_t	*counts;	/* n_bounds + 1; not cumulated */
	double		 sum;
	uint64_t	 count;
};

struct metrics *metrics_new(void);
void	metrics_free(struct metrics **m);

/* Labels: pairs of name and value, then NULL. */
struct metrics_counter *metrics_counter(struct metrics *m, const char *name,
	    const char *help, ...) __attribute__((sentinel));
struct metrics_gauge *metrics_gauge(struct metrics *m, const char *name,
	    const char *help, ...) __attribute__((sentinel));
/* An upper bound is included in its bucket ("le"); +Inf is added. */
struct metrics_histogram *metrics_histogram(struct metrics *m,
	    const char *name, const char *help, const double *bounds,
	    size_t n_bounds, ...) __attribute__((sentinel));

/* Seconds from 0.1 ms to 60 s; bytes from 256 to 1 GiB in steps of 4. */
extern const double	metrics_seconds[];
extern const size_t	metrics_seconds_n;
extern const double	metrics_bytes[];
extern const size_t	metrics_bytes_n;

/*
 * Forget one metric (a shard that is gone): NULL-safe, and the pointer is
 * invalid afterwards.  The family stays.
 */
void	metrics_remove(struct metrics *m, const void *metric);

static inline void
metrics_inc(struct metrics_counter *c)
{
	c->value++;
}

static inline void
metrics_add(struct metrics_counter *c, uint64_t n)
{
	c->value += n;
}

static inline void
metrics_set(struct metrics_gauge *g, double value)
{
	g->value = value;
}

static inline void
metrics_gauge_add(struct metrics_gauge *g, double delta)
{
	g->value += delta;
}

void	metrics_observe(struct metrics_histogram *h, double value);
/*
 * Value below which the part q (0..1) of all observations lies, estimated
 * within the bucket as Prometheus does; NaN without observations.
 */
double	metrics_quantile(const struct metrics_histogram *h, double q);

/*
 * Before each exposition fn(arg) is called, to set gauges that are read and
 * not counted (memory, queue lengths).
 */
void	metrics_on_collect(struct metrics *m, void (*fn)(void *), void *arg);
/*
 * Prometheus text format 0.0.4, families in order of their name, metrics in
 * order of creation.  Content type: METRICS_CONTENT_TYPE.
 */
void	metrics_write_text(struct metrics *m, struct buf *out);

/*
 * The same as one JSON object, as the original has it (product reference,
 * section 4): {"name":{"help":"..","type":"counter","samples":[{"value":1,
 * "labels":{..}}]}}; "labels" only where there are some.  A histogram's value
 * is its sum, and it has "count" and "buckets" (upper bound -> cumulated count)
 * beside it.  What is no number in JSON is null.
 */
void	metrics_write_json(struct metrics *m, struct buf *out);

#define METRICS_CONTENT_TYPE	"text/plain; version=0.0.4; charset=utf-8"

#endif
