# Tests of src/inventory.
if HAVE_CUNIT
UNIT_INVENTORY = tests/unit/inventory/test_garbage \
	tests/unit/inventory/test_inventory
check_PROGRAMS += $(UNIT_INVENTORY)
TESTS += $(UNIT_INVENTORY)
tests_unit_inventory_test_garbage_SOURCES = \
	tests/unit/inventory/test_garbage.c \
	tests/lib/garbled.c tests/lib/garbled.h
tests_unit_inventory_test_garbage_LDADD = \
	src/inventory/libinventory.a src/worker/libworker.a \
	src/sync/libsync.a src/arango/libarango.a $(UNIT_LIBS)
tests_unit_inventory_test_inventory_SOURCES = \
	tests/unit/inventory/test_inventory.c
tests_unit_inventory_test_inventory_LDADD = \
	src/inventory/libinventory.a src/worker/libworker.a \
	src/sync/libsync.a src/arango/libarango.a $(UNIT_LIBS)
endif
