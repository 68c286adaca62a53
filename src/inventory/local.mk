noinst_LIBRARIES += src/inventory/libinventory.a
src_inventory_libinventory_a_SOURCES = \
	src/inventory/inventory.c src/inventory/inventory.h \
	src/inventory/inventory_priv.h \
	src/inventory/inventory_apply.c \
	src/inventory/inventory_arrival.c \
	src/inventory/inventory_check.c \
	src/inventory/inventory_conf.c \
	src/inventory/inventory_pairs.c \
	src/inventory/inventory_read.c \
	src/inventory/inventory_source.c \
	src/inventory/inventory_target.c
