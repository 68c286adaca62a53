# tests of src/ipc
if HAVE_CUNIT
UNIT_IPC = tests/unit/ipc/test_peer
check_PROGRAMS += $(UNIT_IPC)
TESTS += $(UNIT_IPC)
tests_unit_ipc_test_peer_SOURCES = tests/unit/ipc/test_peer.c
tests_unit_ipc_test_peer_LDADD = $(UNIT_LIBS)
endif
