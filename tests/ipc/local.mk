# tests of ipc, proc and of the sandbox's supervisor; see tests/local.mk
if HAVE_CUNIT
IPC_TESTS = tests/ipc/test_frame tests/ipc/test_peer tests/ipc/test_super \
	tests/ipc/test_daemon tests/ipc/test_mesh \
	tests/ipc/test_link tests/ipc/test_link_liar
check_PROGRAMS += $(IPC_TESTS)
TESTS += $(IPC_TESTS)
tests_ipc_test_frame_SOURCES = tests/ipc/test_frame.c
tests_ipc_test_frame_LDADD = $(UNIT_LIBS)
tests_ipc_test_peer_SOURCES = tests/ipc/test_peer.c
tests_ipc_test_peer_LDADD = $(UNIT_LIBS)
tests_ipc_test_super_SOURCES = tests/ipc/test_super.c
tests_ipc_test_super_LDADD = $(UNIT_LIBS)
tests_ipc_test_mesh_SOURCES = tests/ipc/test_mesh.c
tests_ipc_test_mesh_LDADD = $(UNIT_LIBS)
LINK_TEST_LIBS = tests/lib/libtest.a src/certs/libcerts.a src/api/libapi.a \
	src/master/libmaster.a src/link/liblink.a src/worker/libworker.a \
	src/sync/libsync.a src/arango/libarango.a \
	$(FOUNDATION_LIBS) $(EXTERNAL_LIBS) $(CUNIT_LIBS)
tests_ipc_test_link_SOURCES = tests/ipc/test_link.c tests/ipc/link_lib.c \
	tests/ipc/link_lib.h
tests_ipc_test_link_LDADD = $(LINK_TEST_LIBS)
tests_ipc_test_link_liar_SOURCES = tests/ipc/test_link_liar.c \
	tests/ipc/link_lib.c tests/ipc/link_lib.h
tests_ipc_test_link_liar_LDADD = $(LINK_TEST_LIBS)
tests_ipc_test_daemon_SOURCES = tests/ipc/test_daemon.c
tests_ipc_test_daemon_LDADD = $(UNIT_LIBS)
endif

# The program with servers that do nothing.
if SANDBOX
check_PROGRAMS += tests/ipc/fake-sandbox
tests_ipc_fake_sandbox_SOURCES = src/sandbox/main.c tests/ipc/fake_servers.c
tests_ipc_fake_sandbox_LDADD = src/sandbox/libsandbox.a $(FOUNDATION_LIBS) $(EXTERNAL_LIBS) $(ROCKSDB_LIBS)
TESTS += tests/ipc/test_boss.py
endif
EXTRA_DIST += tests/ipc/test_boss.py
