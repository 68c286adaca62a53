# Tests of src/queue.
if HAVE_CUNIT
UNIT_QUEUE = tests/unit/queue/test_ack tests/unit/queue/test_check \
	tests/unit/queue/test_format tests/unit/queue/test_queue \
	tests/unit/queue/test_queue_bounds \
	tests/unit/queue/test_full tests/unit/queue/test_room
check_PROGRAMS += $(UNIT_QUEUE)
TESTS += $(UNIT_QUEUE)
endif
QUEUE_TEST_LIBS = tests/lib/libtest.a src/queue/libqueue.a \
	src/ipc/libipc.a src/json/libjson.a src/base/libbase.a \
	$(JSONC_LIBS) $(ZSTD_LIBS) $(CUNIT_LIBS) -lm
tests_unit_queue_test_ack_SOURCES = tests/unit/queue/test_ack.c tests/unit/queue/util.h
tests_unit_queue_test_ack_LDADD = $(QUEUE_TEST_LIBS)
tests_unit_queue_test_check_SOURCES = tests/unit/queue/test_check.c
tests_unit_queue_test_check_LDADD = $(QUEUE_TEST_LIBS)
tests_unit_queue_test_format_SOURCES = tests/unit/queue/test_format.c
tests_unit_queue_test_format_LDADD = $(QUEUE_TEST_LIBS)
tests_unit_queue_test_queue_SOURCES = tests/unit/queue/test_queue.c
tests_unit_queue_test_queue_LDADD = $(QUEUE_TEST_LIBS)
tests_unit_queue_test_queue_bounds_SOURCES = \
	tests/unit/queue/test_queue_bounds.c
tests_unit_queue_test_queue_bounds_LDADD = $(QUEUE_TEST_LIBS)
# fdatasync() fails when the test says so.
tests_unit_queue_test_full_SOURCES = tests/unit/queue/test_full.c
tests_unit_queue_test_full_LDADD = $(QUEUE_TEST_LIBS)
tests_unit_queue_test_full_LDFLAGS = -Wl,--wrap=fdatasync,--wrap=link
tests_unit_queue_test_room_SOURCES = tests/unit/queue/test_room.c
tests_unit_queue_test_room_LDADD = $(QUEUE_TEST_LIBS)
