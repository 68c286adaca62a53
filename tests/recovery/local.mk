# Crash tests of the queue: processes are killed, files are cut and flipped.
if HAVE_CUNIT
RECOVERY_TESTS = tests/recovery/test_damage tests/recovery/test_kill \
	tests/recovery/test_space
check_PROGRAMS += $(RECOVERY_TESTS)
TESTS += $(RECOVERY_TESTS)
endif
tests_recovery_test_damage_SOURCES = tests/recovery/test_damage.c tests/recovery/scratch.h
tests_recovery_test_damage_LDADD = $(QUEUE_TEST_LIBS)
tests_recovery_test_kill_SOURCES = tests/recovery/test_kill.c
tests_recovery_test_kill_LDADD = $(QUEUE_TEST_LIBS)
tests_recovery_test_space_SOURCES = tests/recovery/test_space.c
tests_recovery_test_space_LDADD = $(QUEUE_TEST_LIBS)
