# Tests of src/send: lines as records, and the process between a tail, an api
# and a shard that a script plays.
if HAVE_CUNIT
UNIT_SEND = tests/unit/send/test_garbage tests/unit/send/test_limits tests/unit/send/test_lines \
	tests/unit/send/test_repair \
	tests/unit/send/test_send
check_PROGRAMS += $(UNIT_SEND)
TESTS += $(UNIT_SEND)
SEND_TEST_LIBS = src/send/libsend.a src/tail/libtail.a \
	src/worker/libworker.a src/sync/libsync.a src/arango/libarango.a \
	src/queue/libqueue.a $(UNIT_LIBS)
tests_unit_send_test_garbage_SOURCES = tests/unit/send/test_garbage.c \
	tests/unit/send/near_end.c tests/unit/send/near_end.h
tests_unit_send_test_garbage_LDADD = $(SEND_TEST_LIBS)
tests_unit_send_test_limits_SOURCES = tests/unit/send/test_limits.c \
	tests/unit/send/near_end.c tests/unit/send/near_end.h
tests_unit_send_test_limits_LDADD = $(SEND_TEST_LIBS)
tests_unit_send_test_lines_SOURCES = tests/unit/send/test_lines.c
tests_unit_send_test_lines_LDADD = $(SEND_TEST_LIBS)
tests_unit_send_test_repair_SOURCES = tests/unit/send/test_repair.c \
	tests/unit/send/near_end.c tests/unit/send/near_end.h
tests_unit_send_test_repair_LDADD = $(SEND_TEST_LIBS)
tests_unit_send_test_send_SOURCES = tests/unit/send/test_send.c \
	tests/unit/send/near_end.c tests/unit/send/near_end.h
tests_unit_send_test_send_LDADD = $(SEND_TEST_LIBS)
endif
