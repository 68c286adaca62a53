noinst_LIBRARIES += src/master/libmaster.a
src_master_libmaster_a_SOURCES = \
	src/master/check.c \
	src/master/check.h \
	src/master/control.c \
	src/master/control.h \
	src/master/control_api.c \
	src/master/control_cluster.c \
	src/master/control_incoming.c \
	src/master/control_incoming.h \
	src/master/control_incoming_barrier.c \
	src/master/control_incoming_check.c \
	src/master/control_incoming_configure.c \
	src/master/control_incoming_guard.c \
	src/master/control_incoming_pairs.c \
	src/master/control_incoming_priv.h \
	src/master/control_incoming_source.c \
	src/master/control_incoming_status.c \
	src/master/control_incoming_barrier.h \
	src/master/control_incoming_steps.c \
	src/master/control_incoming_stop.c \
	src/master/control_lead.c \
	src/master/control_outgoing.c \
	src/master/control_outgoing.h \
	src/master/control_outgoing_api.c \
	src/master/control_outgoing_barrier.c \
	src/master/control_outgoing_priv.h \
	src/master/control_outgoing_shards.c \
	src/master/control_outgoing_store.c \
	src/master/control_state.c \
	src/master/control_topology.c \
	src/master/control_topology.h \
	src/master/control_workers.c \
	src/master/control_workers.h \
	src/master/daemon.c \
	src/master/daemon.h
