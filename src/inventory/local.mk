noinst_LIBRARIES += src/inventory/libinventory.a
src_inventory_libinventory_a_SOURCES = \
	src/inventory/inventory.c src/inventory/inventory.h \
	src/inventory/inventory_conf.c
