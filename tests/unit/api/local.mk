# Tests of src/api.
if HAVE_CUNIT
UNIT_API = tests/unit/api/test_session
check_PROGRAMS += $(UNIT_API)
TESTS += $(UNIT_API)
tests_unit_api_test_session_SOURCES = tests/unit/api/test_session.c
tests_unit_api_test_session_LDADD = tests/lib/libtest.a src/api/libapi.a \
	src/master/libmaster.a src/worker/libworker.a src/sync/libsync.a \
	src/arango/libarango.a \
	$(FOUNDATION_LIBS) $(EXTERNAL_LIBS) $(CUNIT_LIBS)
endif
