# Tests of src/sandbox.  Add lines, one program each.
SANDBOX_TEST_LIBS = src/sandbox/libsandbox.a $(UNIT_LIBS) $(ROCKSDB_LIBS)
UNIT_SANDBOX =
if HAVE_CUNIT
if SANDBOX
UNIT_SANDBOX += tests/unit/sandbox/test_aql
tests_unit_sandbox_test_aql_SOURCES = tests/unit/sandbox/test_aql.c
tests_unit_sandbox_test_aql_LDADD = $(SANDBOX_TEST_LIBS)
UNIT_SANDBOX += tests/unit/sandbox/test_definition
tests_unit_sandbox_test_definition_SOURCES = tests/unit/sandbox/test_definition.c
tests_unit_sandbox_test_definition_LDADD = $(SANDBOX_TEST_LIBS)
endif
endif
check_PROGRAMS += $(UNIT_SANDBOX)
TESTS += $(UNIT_SANDBOX)
