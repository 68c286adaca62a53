# Benchmarks, built and run by make bench only.
EXTRA_PROGRAMS = $(BENCH_BINS)
BENCH_BINS += tests/bench/bench_sandbox
tests_bench_bench_sandbox_SOURCES = tests/bench/bench_sandbox.c
tests_bench_bench_sandbox_LDADD = -lpthread
BENCH_BINS += tests/bench/bench_vpack
tests_bench_bench_vpack_SOURCES = tests/bench/bench_vpack.c
tests_bench_bench_vpack_LDADD = $(FOUNDATION_LIBS) $(EXTERNAL_LIBS)
BENCH_BINS += tests/bench/bench_queue
tests_bench_bench_queue_SOURCES = tests/bench/bench_queue.c
tests_bench_bench_queue_LDADD = src/queue/libqueue.a $(FOUNDATION_LIBS) $(EXTERNAL_LIBS)
EXTRA_DIST += tests/bench/run.sh tests/bench/table.py tests/bench/measure.py \
	tests/bench/bench_pipeline.py tests/bench/bench_scale.py
BENCH_BINS += tests/bench/bench_tail_client
tests_bench_bench_tail_client_SOURCES = tests/bench/bench_tail_client.c
tests_bench_bench_tail_client_LDADD = src/arango/libarango.a $(FOUNDATION_LIBS) $(EXTERNAL_LIBS)
BENCH_BINS += tests/bench/bench_fold
tests_bench_bench_fold_SOURCES = tests/bench/bench_fold.c
tests_bench_bench_fold_LDADD = src/sync/libsync.a $(FOUNDATION_LIBS) $(EXTERNAL_LIBS)
BENCH_BINS += tests/bench/bench_null
tests_bench_bench_null_SOURCES = tests/bench/bench_null.c
tests_bench_bench_null_LDADD = $(EXTERNAL_LIBS)
