# tests of src/base
if HAVE_CUNIT
UNIT_BASE = tests/unit/base/test_buf
check_PROGRAMS += $(UNIT_BASE)
TESTS += $(UNIT_BASE)
tests_unit_base_test_buf_SOURCES = tests/unit/base/test_buf.c
tests_unit_base_test_buf_LDADD = $(UNIT_LIBS)
endif
