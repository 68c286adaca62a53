# Tests of src/inventory.
if HAVE_CUNIT
check_PROGRAMS += tests/unit/inventory/test_inventory
TESTS += tests/unit/inventory/test_inventory
tests_unit_inventory_test_inventory_SOURCES = \
	tests/unit/inventory/test_inventory.c
tests_unit_inventory_test_inventory_LDADD = \
	src/inventory/libinventory.a src/worker/libworker.a \
	src/sync/libsync.a src/arango/libarango.a $(UNIT_LIBS)
endif
