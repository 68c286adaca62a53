# Tests of src/certs.
if HAVE_CUNIT
UNIT_CERTS = tests/unit/certs/test_certs tests/unit/certs/test_login
check_PROGRAMS += $(UNIT_CERTS)
TESTS += $(UNIT_CERTS)
CERTS_TEST_LIBS = tests/lib/libtest.a src/certs/libcerts.a \
	$(FOUNDATION_LIBS) $(EXTERNAL_LIBS) $(CUNIT_LIBS)
tests_unit_certs_test_certs_SOURCES = tests/unit/certs/test_certs.c
tests_unit_certs_test_certs_LDADD = $(CERTS_TEST_LIBS)
tests_unit_certs_test_login_SOURCES = tests/unit/certs/test_login.c
tests_unit_certs_test_login_LDADD = $(CERTS_TEST_LIBS)
endif
