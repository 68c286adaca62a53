# Tests of src/master.
if HAVE_CUNIT
UNIT_MASTER = tests/unit/master/test_incoming tests/unit/master/test_outgoing \
	tests/unit/master/test_workers
check_PROGRAMS += $(UNIT_MASTER)
TESTS += $(UNIT_MASTER)
MASTER_TEST_LIBS = tests/lib/libtest.a $(CLIENT_LIBS) $(FOUNDATION_LIBS) $(EXTERNAL_LIBS) $(CUNIT_LIBS)
tests_unit_master_test_incoming_SOURCES = tests/unit/master/test_incoming.c
tests_unit_master_test_incoming_LDADD = $(MASTER_TEST_LIBS)
tests_unit_master_test_outgoing_SOURCES = tests/unit/master/test_outgoing.c
tests_unit_master_test_outgoing_LDADD = $(MASTER_TEST_LIBS)
tests_unit_master_test_workers_SOURCES = tests/unit/master/test_workers.c
tests_unit_master_test_workers_LDADD = $(MASTER_TEST_LIBS)
endif
