/* test_metrics.c - tests of metrics */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "metrics/metrics.h"
#include "unit.h"

static struct metrics	*m;
static struct buf	 out = BUF_INIT;

static const char *
text(void)
{
	buf_reset(&out);
	metrics_write_text(m, &out);
	return buf_cstr(&out);
}

static void
end(void)
{
	metrics_free(&m);
	CU_ASSERT_PTR_NULL(m);
	buf_free(&out);
}

static void
test_text(void)
{
	struct metrics_counter	*get, *put;
	struct metrics_gauge	*g;

	m = metrics_new();
	CU_ASSERT_STRING_EQUAL(text(), "");
	g = metrics_gauge(m, "zz_memory_bytes", "Memory.", NULL);
	get = metrics_counter(m, "requests_total", "Requests\nanswered \\.",
	    "method", "GET", "code", "200", NULL);
	put = metrics_counter(m, "requests_total", "", "method",
	    "a\"b\\c\nd", "code", "500", NULL);
	metrics_inc(get);
	metrics_add(get, 41);
	metrics_inc(put);
	metrics_set(g, 1.5);
	metrics_gauge_add(g, -4);
	CU_ASSERT_STRING_EQUAL(text(),
	    "# HELP requests_total Requests\\nanswered \\\\.\n"
	    "# TYPE requests_total counter\n"
	    "requests_total{method=\"GET\",code=\"200\"} 42\n"
	    "requests_total{method=\"a\\\"b\\\\c\\nd\",code=\"500\"} 1\n"
	    "# HELP zz_memory_bytes Memory.\n"
	    "# TYPE zz_memory_bytes gauge\n"
	    "zz_memory_bytes -2.5\n");
	end();
}

static const char *
json(void)
{
	buf_reset(&out);
	metrics_write_json(m, &out);
	return buf_cstr(&out);
}

static void
test_json(void)
{
	static const double	 bounds[] = { 0.5, 2 };
	struct metrics_histogram *h;

	m = metrics_new();
	CU_ASSERT_STRING_EQUAL(json(), "{}");
	metrics_add(metrics_counter(m, "b_total", "B \"b\"\n\\.", "x",
	    "a\"b\\c\nd\te", "y", "", NULL), 7);
	metrics_inc(metrics_counter(m, "b_total", "", NULL));
	metrics_set(metrics_gauge(m, "c", "C.", NULL), NAN);
	h = metrics_histogram(m, "a", "A.", bounds, 2, "l", "=,", NULL);
	metrics_observe(h, 0.25);
	metrics_observe(h, 3);
	CU_ASSERT_STRING_EQUAL(json(),
	    "{\"a\":{\"help\":\"A.\",\"type\":\"histogram\",\"samples\":[{"
	    "\"value\":3.25,\"count\":2,\"buckets\":{\"0.5\":1,\"2\":1,"
	    "\"+Inf\":2},\"labels\":{\"l\":\"=,\"}}]},"
	    "\"b_total\":{\"help\":\"B \\\"b\\\"\\n\\\\.\","
	    "\"type\":\"counter\",\"samples\":[{\"value\":7,\"labels\":{"
	    "\"x\":\"a\\\"b\\\\c\\nd\\u0009e\",\"y\":\"\"}},{\"value\":1}]},"
	    "\"c\":{\"help\":\"C.\",\"type\":\"gauge\",\"samples\":[{"
	    "\"value\":null}]}}");
	end();
}

static void
test_same(void)
{
	struct metrics_counter	*a, *b, *c;

	m = metrics_new();
	a = metrics_counter(m, "x", "X.", "l", "1", NULL);
	b = metrics_counter(m, "x", "X.", "l", "1", NULL);
	c = metrics_counter(m, "x", "X.", "l", "2", NULL);
	CU_ASSERT_PTR_EQUAL(a, b);
	CU_ASSERT_PTR_NOT_EQUAL(a, c);
	end();
}

static void
test_numbers(void)
{
	static const struct {
		double		 value;
		const char	*line;
	} t[] = {
		{ 0, "g 0\n" }, { 0.1, "g 0.1\n" }, { 1e300, "g 1e+300\n" },
		{ 123456789012, "g 123456789012\n" },
		{ 1.0 / 3, "g 0.3333333333333333\n" },
		{ INFINITY, "g +Inf\n" }, { -INFINITY, "g -Inf\n" },
		{ NAN, "g NaN\n" }
	};
	struct metrics_counter	*c;
	struct metrics_gauge	*g;
	size_t			 i;

	m = metrics_new();
	g = metrics_gauge(m, "g", "G.", NULL);
	for (i = 0; i < NITEMS(t); i++) {
		metrics_set(g, t[i].value);
		CU_ASSERT_NOT_EQUAL(strstr(text(), t[i].line), NULL);
	}
	c = metrics_counter(m, "c", "C.", NULL);
	metrics_add(c, UINT64_MAX);
	CU_ASSERT_NOT_EQUAL(strstr(text(), "c 18446744073709551615\n"), NULL);
	end();
}

static void
test_histogram(void)
{
	static const double		 bounds[] = { 0.5, 1, 10 };
	struct metrics_histogram	*h, *plain;

	m = metrics_new();
	h = metrics_histogram(m, "t_seconds", "T.", bounds, 3, "db", "_s",
	    NULL);
	plain = metrics_histogram(m, "t_seconds", "T.", bounds, 3, NULL);
	metrics_observe(h, 0.5);	/* a bound is in its bucket */
	metrics_observe(h, 0.6);
	metrics_observe(h, -1);
	metrics_observe(h, 10.5);
	metrics_observe(h, 10);
	metrics_observe(plain, 3);
	CU_ASSERT_STRING_EQUAL(text(),
	    "# HELP t_seconds T.\n"
	    "# TYPE t_seconds histogram\n"
	    "t_seconds_bucket{db=\"_s\",le=\"0.5\"} 2\n"
	    "t_seconds_bucket{db=\"_s\",le=\"1\"} 3\n"
	    "t_seconds_bucket{db=\"_s\",le=\"10\"} 4\n"
	    "t_seconds_bucket{db=\"_s\",le=\"+Inf\"} 5\n"
	    "t_seconds_sum{db=\"_s\"} 20.6\n"
	    "t_seconds_count{db=\"_s\"} 5\n"
	    "t_seconds_bucket{le=\"0.5\"} 0\n"
	    "t_seconds_bucket{le=\"1\"} 0\n"
	    "t_seconds_bucket{le=\"10\"} 1\n"
	    "t_seconds_bucket{le=\"+Inf\"} 1\n"
	    "t_seconds_sum 3\n"
	    "t_seconds_count 1\n");
	end();
}

static void
test_quantile(void)
{
	static const double		 bounds[] = { 10, 20, 40 };
	struct metrics_histogram	*h;
	int				 i;

	m = metrics_new();
	h = metrics_histogram(m, "h", "H.", bounds, 3, NULL);
	CU_ASSERT_TRUE(isnan(metrics_quantile(h, 0.5)));
	for (i = 1; i <= 40; i++)	/* evenly 1 .. 40 */
		metrics_observe(h, i);
	CU_ASSERT_DOUBLE_EQUAL(metrics_quantile(h, 0.5), 20, 0.001);
	CU_ASSERT_DOUBLE_EQUAL(metrics_quantile(h, 0.75), 30, 0.001);
	CU_ASSERT_DOUBLE_EQUAL(metrics_quantile(h, 0.125), 5, 0.001);
	CU_ASSERT_DOUBLE_EQUAL(metrics_quantile(h, 1), 40, 0.001);
	metrics_observe(h, 1e9);
	CU_ASSERT_DOUBLE_EQUAL(metrics_quantile(h, 1), 40, 0.001);
	end();
}

static void
test_remove(void)
{
	struct metrics_counter		*a, *b;
	struct metrics_histogram	*h;

	m = metrics_new();
	a = metrics_counter(m, "x", "X.", "l", "1", NULL);
	b = metrics_counter(m, "x", "X.", "l", "2", NULL);
	h = metrics_histogram(m, "h", "H.", metrics_seconds,
	    metrics_seconds_n, NULL);
	metrics_inc(b);
	metrics_remove(m, a);
	metrics_remove(m, h);
	metrics_remove(m, NULL);
	CU_ASSERT_STRING_EQUAL(text(), "# HELP x X.\n# TYPE x counter\n"
	    "x{l=\"2\"} 1\n");
	a = metrics_counter(m, "x", "X.", "l", "1", NULL);
	CU_ASSERT_EQUAL(a->value, 0);
	end();
}

static void
collect(void *arg)
{
	metrics_gauge_add(arg, 1);
}

static void
test_collect(void)
{
	struct metrics_gauge	*g;

	m = metrics_new();
	g = metrics_gauge(m, "g", "G.", NULL);
	metrics_on_collect(m, collect, g);
	CU_ASSERT_NOT_EQUAL(strstr(text(), "\ng 1\n"), NULL);
	CU_ASSERT_NOT_EQUAL(strstr(text(), "\ng 2\n"), NULL);
	end();
}

static void
wrong_type(void)
{
	metrics_counter(m, "x", "X.", NULL);
	metrics_gauge(m, "x", "X.", NULL);
}

static void
wrong_name(void)
{
	metrics_counter(m, "9x", "X.", NULL);
}

static void
wrong_label(void)
{
	metrics_counter(m, "x", "X.", "a-b", "1", NULL);
}

static void
reserved_label(void)
{
	metrics_counter(m, "x", "X.", "le", "1", NULL);
}

static void
wrong_bounds(void)
{
	static const double	 bounds[] = { 2, 1 };

	metrics_histogram(m, "x", "X.", bounds, 2, NULL);
}

static void
test_bugs_are_caught(void)
{
	static void	 (*const wrong[])(void) = {
		wrong_type, wrong_name, wrong_label, reserved_label,
		wrong_bounds
	};
	int		 status;
	size_t		 i;
	pid_t		 pid;

	m = metrics_new();
	for (i = 0; i < NITEMS(wrong); i++) {
		if ((pid = fork()) == 0) {
			close(STDERR_FILENO);
			wrong[i]();
			_exit(0);
		}
		CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
		CU_ASSERT_NOT_EQUAL(status, 0);
	}
	end();
}

UNIT_MAIN("metrics",
    { "counters and gauges in text format", test_text },
    { "JSON: names, help, types and samples", test_json },
    { "the same name and labels are one metric", test_same },
    { "numbers read back exactly", test_numbers },
    { "histograms are cumulated in text", test_histogram },
    { "quantiles are estimated in the bucket", test_quantile },
    { "a removed metric is gone, and may come again", test_remove },
    { "collectors run before the text", test_collect },
    { "mistakes of the program end it", test_bugs_are_caught })
