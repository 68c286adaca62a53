# tests of src/json
if HAVE_CUNIT
UNIT_JSON = tests/unit/json/test_get tests/unit/json/test_scan
check_PROGRAMS += $(UNIT_JSON)
TESTS += $(UNIT_JSON)
tests_unit_json_test_get_SOURCES = tests/unit/json/test_get.c
tests_unit_json_test_get_LDADD = $(UNIT_LIBS)
tests_unit_json_test_scan_SOURCES = tests/unit/json/test_scan.c
tests_unit_json_test_scan_LDADD = $(UNIT_LIBS)
endif
