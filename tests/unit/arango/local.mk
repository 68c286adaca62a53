# Tests of src/arango.
if HAVE_CUNIT
UNIT_ARANGO = \
	tests/unit/arango/test_agency \
	tests/unit/arango/test_conn \
	tests/unit/arango/test_tail \
	tests/unit/arango/test_topology \
	tests/unit/arango/test_write
check_PROGRAMS += $(UNIT_ARANGO)
TESTS += $(UNIT_ARANGO)
ARANGO_TEST_LIBS = src/arango/libarango.a $(UNIT_LIBS)
ARANGO_FAKE = tests/unit/arango/fake.c tests/unit/arango/fake.h
tests_unit_arango_test_conn_SOURCES = tests/unit/arango/test_conn.c $(ARANGO_FAKE)
tests_unit_arango_test_conn_LDADD = $(ARANGO_TEST_LIBS)
tests_unit_arango_test_tail_SOURCES = tests/unit/arango/test_tail.c $(ARANGO_FAKE)
tests_unit_arango_test_tail_LDADD = $(ARANGO_TEST_LIBS)
tests_unit_arango_test_agency_SOURCES = tests/unit/arango/test_agency.c $(ARANGO_FAKE)
tests_unit_arango_test_agency_LDADD = $(ARANGO_TEST_LIBS)
tests_unit_arango_test_topology_SOURCES = tests/unit/arango/test_topology.c
tests_unit_arango_test_topology_LDADD = $(ARANGO_TEST_LIBS)
tests_unit_arango_test_write_SOURCES = tests/unit/arango/test_write.c $(ARANGO_FAKE)
tests_unit_arango_test_write_LDADD = $(ARANGO_TEST_LIBS)
endif
