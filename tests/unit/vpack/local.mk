# tests of src/vpack
if HAVE_CUNIT
UNIT_VPACK = tests/unit/vpack/test_build tests/unit/vpack/test_json \
	tests/unit/vpack/test_validate tests/unit/vpack/test_hash \
	tests/unit/vpack/test_rev
check_PROGRAMS += $(UNIT_VPACK)
TESTS += $(UNIT_VPACK)
tests_unit_vpack_test_build_SOURCES = tests/unit/vpack/test_build.c tests/unit/vpack/util.h
tests_unit_vpack_test_build_LDADD = $(UNIT_LIBS)
tests_unit_vpack_test_json_SOURCES = tests/unit/vpack/test_json.c tests/unit/vpack/util.h
tests_unit_vpack_test_json_LDADD = $(UNIT_LIBS)
tests_unit_vpack_test_validate_SOURCES = tests/unit/vpack/test_validate.c tests/unit/vpack/util.h
tests_unit_vpack_test_validate_LDADD = $(UNIT_LIBS)
tests_unit_vpack_test_hash_SOURCES = tests/unit/vpack/test_hash.c tests/unit/vpack/util.h
tests_unit_vpack_test_hash_LDADD = $(UNIT_LIBS)
tests_unit_vpack_test_rev_SOURCES = tests/unit/vpack/test_rev.c tests/unit/vpack/util.h
tests_unit_vpack_test_rev_LDADD = $(UNIT_LIBS)
endif
