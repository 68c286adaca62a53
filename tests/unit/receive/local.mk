# Tests of src/receive.
if HAVE_CUNIT
UNIT_RECEIVE = tests/unit/receive/test_inbox tests/unit/receive/test_receive \
	tests/unit/receive/test_rounds tests/unit/receive/test_limits \
	tests/unit/receive/test_garbage
check_PROGRAMS += $(UNIT_RECEIVE)
TESTS += $(UNIT_RECEIVE)
RECEIVE_TEST_LIBS = src/receive/libreceive.a src/worker/libworker.a \
	src/sync/libsync.a src/arango/libarango.a $(UNIT_LIBS)
tests_unit_receive_test_inbox_SOURCES = tests/unit/receive/test_inbox.c
tests_unit_receive_test_inbox_LDADD = $(RECEIVE_TEST_LIBS)
RECEIVE_FAR_END = tests/unit/receive/far_end.c tests/unit/receive/far_end.h \
	tests/unit/receive/fake_shard.c tests/unit/receive/fake_shard.h
tests_unit_receive_test_receive_SOURCES = \
	tests/unit/receive/test_receive.c $(RECEIVE_FAR_END)
tests_unit_receive_test_garbage_SOURCES = \
	tests/unit/receive/test_garbage.c $(RECEIVE_FAR_END)
tests_unit_receive_test_garbage_LDADD = $(RECEIVE_TEST_LIBS)
tests_unit_receive_test_rounds_SOURCES = \
	tests/unit/receive/test_rounds.c $(RECEIVE_FAR_END)
tests_unit_receive_test_rounds_LDADD = $(RECEIVE_TEST_LIBS)
tests_unit_receive_test_limits_SOURCES = \
	tests/unit/receive/test_limits.c $(RECEIVE_FAR_END)
tests_unit_receive_test_limits_LDADD = $(RECEIVE_TEST_LIBS)
tests_unit_receive_test_receive_LDADD = $(RECEIVE_TEST_LIBS)
endif
