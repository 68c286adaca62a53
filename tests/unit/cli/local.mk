# Tests of src/cli.
if HAVE_CUNIT
UNIT_CLI = tests/unit/cli/test_text tests/unit/cli/test_checkplan \
	tests/unit/cli/test_queue_commands
check_PROGRAMS += $(UNIT_CLI)
TESTS += $(UNIT_CLI)
CLI_TEST_LIBS = tests/lib/libtest.a $(CLIENT_LIBS) $(FOUNDATION_LIBS) \
	$(EXTERNAL_LIBS) $(CUNIT_LIBS)
tests_unit_cli_test_text_SOURCES = tests/unit/cli/test_text.c
tests_unit_cli_test_text_LDADD = $(CLI_TEST_LIBS)
tests_unit_cli_test_checkplan_SOURCES = tests/unit/cli/test_checkplan.c
tests_unit_cli_test_checkplan_LDADD = $(CLI_TEST_LIBS)
# It runs the program on queues that it makes.
tests_unit_cli_test_queue_commands_SOURCES = \
	tests/unit/cli/test_queue_commands.c
tests_unit_cli_test_queue_commands_LDADD = $(CLI_TEST_LIBS)
endif
