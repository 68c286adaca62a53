# tests of src/base
if HAVE_CUNIT
UNIT_BASE = tests/unit/base/test_buf tests/unit/base/test_fsx \
	tests/unit/base/test_log tests/unit/base/test_map tests/unit/base/test_str
check_PROGRAMS += $(UNIT_BASE)
TESTS += $(UNIT_BASE)
BASE_TEST_LIBS = tests/lib/libtest.a src/base/libbase.a $(CUNIT_LIBS)
tests_unit_base_test_buf_SOURCES = tests/unit/base/test_buf.c
tests_unit_base_test_buf_LDADD = $(BASE_TEST_LIBS)
tests_unit_base_test_fsx_SOURCES = tests/unit/base/test_fsx.c
tests_unit_base_test_fsx_LDADD = $(BASE_TEST_LIBS)
tests_unit_base_test_log_SOURCES = tests/unit/base/test_log.c
tests_unit_base_test_log_LDADD = $(BASE_TEST_LIBS)
tests_unit_base_test_map_SOURCES = tests/unit/base/test_map.c
tests_unit_base_test_map_LDADD = $(BASE_TEST_LIBS)
tests_unit_base_test_str_SOURCES = tests/unit/base/test_str.c
tests_unit_base_test_str_LDADD = $(BASE_TEST_LIBS)
endif
