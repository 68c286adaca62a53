# Processes of the data path without the daemon around them: tests/rig/pair-rig
# runs tail, send and receive between two clusters.
check_PROGRAMS += tests/rig/pair-rig
tests_rig_pair_rig_SOURCES = tests/rig/pair_rig.c tests/rig/pair_wire.c \
	tests/rig/pair_rig.h
tests_rig_pair_rig_LDADD = \
	src/receive/libreceive.a src/send/libsend.a src/tail/libtail.a \
	src/worker/libworker.a src/sync/libsync.a src/arango/libarango.a \
	src/queue/libqueue.a $(FOUNDATION_LIBS) $(EXTERNAL_LIBS)
# Both ends of the inventory in one process, for tests/e2e/inventory.py.
check_PROGRAMS += tests/rig/inventory-rig
tests_rig_inventory_rig_SOURCES = tests/rig/inventory_rig.c
tests_rig_inventory_rig_LDADD = \
	src/inventory/libinventory.a src/worker/libworker.a \
	src/sync/libsync.a src/arango/libarango.a \
	$(FOUNDATION_LIBS) $(EXTERNAL_LIBS)
