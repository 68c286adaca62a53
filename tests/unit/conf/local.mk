# tests of src/conf
if HAVE_CUNIT
UNIT_CONF = tests/unit/conf/test_command tests/unit/conf/test_conf
check_PROGRAMS += $(UNIT_CONF)
TESTS += $(UNIT_CONF)
CONF_TEST_LIBS = tests/lib/libtest.a src/conf/libconf.a src/base/libbase.a \
	$(CUNIT_LIBS)
tests_unit_conf_test_command_SOURCES = tests/unit/conf/test_command.c
tests_unit_conf_test_command_LDADD = $(CONF_TEST_LIBS)
tests_unit_conf_test_conf_SOURCES = tests/unit/conf/test_conf.c
tests_unit_conf_test_conf_LDADD = $(CONF_TEST_LIBS)
endif
