# Tests of src/sandbox.  Add lines, one program each.
SANDBOX_TEST_LIBS = src/sandbox/libsandbox.a $(UNIT_LIBS) $(ROCKSDB_LIBS)
UNIT_SANDBOX =
if HAVE_CUNIT
if SANDBOX
UNIT_SANDBOX += tests/unit/sandbox/test_docop
tests_unit_sandbox_test_docop_SOURCES = tests/unit/sandbox/test_docop.c
tests_unit_sandbox_test_docop_LDADD = $(SANDBOX_TEST_LIBS)
UNIT_SANDBOX += tests/unit/sandbox/test_aql
tests_unit_sandbox_test_aql_SOURCES = tests/unit/sandbox/test_aql.c
tests_unit_sandbox_test_aql_LDADD = $(SANDBOX_TEST_LIBS)
UNIT_SANDBOX += tests/unit/sandbox/test_definition
tests_unit_sandbox_test_definition_SOURCES = tests/unit/sandbox/test_definition.c
tests_unit_sandbox_test_definition_LDADD = $(SANDBOX_TEST_LIBS)
UNIT_SANDBOX += tests/unit/sandbox/test_store
tests_unit_sandbox_test_store_SOURCES = tests/unit/sandbox/test_store.c tests/unit/sandbox/store_test.h
tests_unit_sandbox_test_store_LDADD = $(SANDBOX_TEST_LIBS)
UNIT_SANDBOX += tests/unit/sandbox/test_store_wal
tests_unit_sandbox_test_store_wal_SOURCES = tests/unit/sandbox/test_store_wal.c tests/unit/sandbox/store_test.h
tests_unit_sandbox_test_store_wal_LDADD = $(SANDBOX_TEST_LIBS)
UNIT_SANDBOX += tests/unit/sandbox/test_store_snap
tests_unit_sandbox_test_store_snap_SOURCES = tests/unit/sandbox/test_store_snap.c tests/unit/sandbox/store_test.h
tests_unit_sandbox_test_store_snap_LDADD = $(SANDBOX_TEST_LIBS)
UNIT_SANDBOX += tests/unit/sandbox/test_store_crash
tests_unit_sandbox_test_store_crash_SOURCES = tests/unit/sandbox/test_store_crash.c tests/unit/sandbox/store_test.h
tests_unit_sandbox_test_store_crash_LDADD = $(SANDBOX_TEST_LIBS)
UNIT_SANDBOX += tests/unit/sandbox/test_store_clients
tests_unit_sandbox_test_store_clients_SOURCES = tests/unit/sandbox/test_store_clients.c
tests_unit_sandbox_test_store_clients_LDADD = $(SANDBOX_TEST_LIBS)
UNIT_SANDBOX += tests/unit/sandbox/test_agency_store
tests_unit_sandbox_test_agency_store_SOURCES = tests/unit/sandbox/test_agency_store.c
tests_unit_sandbox_test_agency_store_LDADD = $(SANDBOX_TEST_LIBS)
UNIT_SANDBOX += tests/unit/sandbox/test_supervision
tests_unit_sandbox_test_supervision_SOURCES = tests/unit/sandbox/test_supervision.c
tests_unit_sandbox_test_supervision_LDADD = $(SANDBOX_TEST_LIBS)
UNIT_SANDBOX += tests/unit/sandbox/test_cluster
tests_unit_sandbox_test_cluster_SOURCES = tests/unit/sandbox/test_cluster.c
tests_unit_sandbox_test_cluster_LDADD = $(SANDBOX_TEST_LIBS)
UNIT_SANDBOX += tests/unit/sandbox/test_agent_log
tests_unit_sandbox_test_agent_log_SOURCES = tests/unit/sandbox/test_agent_log.c
tests_unit_sandbox_test_agent_log_LDADD = $(SANDBOX_TEST_LIBS)
endif
endif
check_PROGRAMS += $(UNIT_SANDBOX)
TESTS += $(UNIT_SANDBOX)
