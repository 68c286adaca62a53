# Tests of src/sync.
if HAVE_CUNIT
UNIT_SYNC = tests/unit/sync/test_channel tests/unit/sync/test_compare \
	tests/unit/sync/test_fold tests/unit/sync/test_fold_answers \
	tests/unit/sync/test_owed tests/unit/sync/test_plan \
	tests/unit/sync/test_owed_full \
	tests/unit/sync/test_route tests/unit/sync/test_route_run \
	tests/unit/sync/test_shard tests/unit/sync/test_watermark
check_PROGRAMS += $(UNIT_SYNC)
TESTS += $(UNIT_SYNC)
# Decisions only: no HTTP, no loop.
SYNC_TEST_LIBS = tests/lib/libtest.a src/sync/libsync.a src/ipc/libipc.a \
	src/vpack/libvpack.a src/json/libjson.a src/base/libbase.a \
	$(JSONC_LIBS) $(XXHASH_LIBS) $(CUNIT_LIBS) -lm
tests_unit_sync_test_channel_SOURCES = tests/unit/sync/test_channel.c
tests_unit_sync_test_channel_LDADD = $(SYNC_TEST_LIBS)
FOLD_STORY = tests/unit/sync/story.c tests/unit/sync/story.h
tests_unit_sync_test_fold_answers_SOURCES = \
	tests/unit/sync/test_fold_answers.c $(FOLD_STORY)
tests_unit_sync_test_fold_answers_LDADD = $(SYNC_TEST_LIBS)
tests_unit_sync_test_fold_SOURCES = tests/unit/sync/test_fold.c $(FOLD_STORY)
tests_unit_sync_test_fold_LDADD = $(SYNC_TEST_LIBS)
tests_unit_sync_test_shard_SOURCES = tests/unit/sync/test_shard.c
tests_unit_sync_test_shard_LDADD = $(SYNC_TEST_LIBS)
tests_unit_sync_test_route_SOURCES = tests/unit/sync/test_route.c \
	tests/unit/sync/route_util.h
tests_unit_sync_test_route_LDADD = $(SYNC_TEST_LIBS)
tests_unit_sync_test_route_run_SOURCES = tests/unit/sync/test_route_run.c \
	tests/unit/sync/route_util.h
tests_unit_sync_test_route_run_LDADD = $(SYNC_TEST_LIBS)
tests_unit_sync_test_compare_SOURCES = tests/unit/sync/test_compare.c
tests_unit_sync_test_compare_LDADD = $(SYNC_TEST_LIBS)
tests_unit_sync_test_plan_SOURCES = tests/unit/sync/test_plan.c
tests_unit_sync_test_plan_LDADD = $(SYNC_TEST_LIBS)
tests_unit_sync_test_owed_SOURCES = tests/unit/sync/test_owed.c
tests_unit_sync_test_owed_LDADD = $(SYNC_TEST_LIBS)
# write() fails when the test says so.
tests_unit_sync_test_owed_full_SOURCES = tests/unit/sync/test_owed_full.c
tests_unit_sync_test_owed_full_LDADD = $(SYNC_TEST_LIBS)
tests_unit_sync_test_owed_full_LDFLAGS = -Wl,--wrap=write
tests_unit_sync_test_watermark_SOURCES = tests/unit/sync/test_watermark.c
tests_unit_sync_test_watermark_LDADD = $(SYNC_TEST_LIBS)
endif
