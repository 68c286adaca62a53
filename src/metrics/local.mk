noinst_LIBRARIES += src/metrics/libmetrics.a
src_metrics_libmetrics_a_SOURCES = \
	src/metrics/metrics.c src/metrics/metrics.h
