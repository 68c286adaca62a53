# tests of src/ev
if HAVE_CUNIT
UNIT_EV = tests/unit/ev/test_loop tests/unit/ev/test_fiber
check_PROGRAMS += $(UNIT_EV)
TESTS += $(UNIT_EV)
EV_TEST_LIBS = tests/lib/libtest.a src/ev/libev.a src/base/libbase.a \
	$(EVENT_LIBS) $(CUNIT_LIBS)
tests_unit_ev_test_loop_SOURCES = tests/unit/ev/test_loop.c
tests_unit_ev_test_loop_LDADD = $(EV_TEST_LIBS)
tests_unit_ev_test_fiber_SOURCES = tests/unit/ev/test_fiber.c
tests_unit_ev_test_fiber_LDADD = $(EV_TEST_LIBS)
endif
