# Tests of src/tail: a log behind HTTP, sends behind socketpairs.
if HAVE_CUNIT
UNIT_TAIL = tests/unit/tail/test_garbage tests/unit/tail/test_tail
check_PROGRAMS += $(UNIT_TAIL)
TESTS += $(UNIT_TAIL)
tests_unit_tail_test_tail_SOURCES = tests/unit/tail/test_tail.c \
	tests/unit/tail/wal.c tests/unit/tail/wal.h $(ARANGO_FAKE)
tests_unit_tail_test_tail_LDADD = src/tail/libtail.a src/worker/libworker.a \
	src/sync/libsync.a src/arango/libarango.a $(UNIT_LIBS)
tests_unit_tail_test_garbage_SOURCES = tests/unit/tail/test_garbage.c \
	tests/unit/tail/wal.c tests/unit/tail/wal.h $(ARANGO_FAKE)
tests_unit_tail_test_garbage_LDADD = src/tail/libtail.a \
	src/worker/libworker.a src/sync/libsync.a src/arango/libarango.a \
	$(UNIT_LIBS)
endif
