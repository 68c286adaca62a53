# tests of src/ipc
if HAVE_CUNIT
UNIT_IPC = tests/unit/ipc/test_peer tests/unit/ipc/test_bodies
check_PROGRAMS += $(UNIT_IPC)
TESTS += $(UNIT_IPC)
tests_unit_ipc_test_peer_SOURCES = tests/unit/ipc/test_peer.c
tests_unit_ipc_test_peer_LDADD = $(UNIT_LIBS)
# All who say something: decoders of every process.
BODIES = tests/lib/bodies.c tests/lib/bodies.h
BODIES_LIBS = src/inventory/libinventory.a src/receive/libreceive.a \
	src/link/liblink.a src/send/libsend.a src/tail/libtail.a \
	src/worker/libworker.a src/sync/libsync.a src/arango/libarango.a \
	src/queue/libqueue.a
tests_unit_ipc_test_bodies_SOURCES = tests/unit/ipc/test_bodies.c $(BODIES)
tests_unit_ipc_test_bodies_LDADD = $(BODIES_LIBS) $(UNIT_LIBS)
endif
