# tests of src/link; its conversations are in tests/ipc
if HAVE_CUNIT
check_PROGRAMS += tests/unit/link/test_garbage
TESTS += tests/unit/link/test_garbage
tests_unit_link_test_garbage_SOURCES = tests/unit/link/test_garbage.c \
	tests/lib/garbled.c tests/lib/garbled.h
tests_unit_link_test_garbage_LDADD = src/link/liblink.a \
	src/worker/libworker.a src/sync/libsync.a src/arango/libarango.a \
	$(UNIT_LIBS)
endif
