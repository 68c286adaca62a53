# tests of src/metrics
if HAVE_CUNIT
UNIT_METRICS = tests/unit/metrics/test_metrics
check_PROGRAMS += $(UNIT_METRICS)
TESTS += $(UNIT_METRICS)
tests_unit_metrics_test_metrics_SOURCES = tests/unit/metrics/test_metrics.c
tests_unit_metrics_test_metrics_LDADD = tests/lib/libtest.a \
	src/metrics/libmetrics.a src/base/libbase.a $(CUNIT_LIBS) -lm
endif
