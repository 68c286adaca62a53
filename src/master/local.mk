noinst_LIBRARIES += src/master/libmaster.a
src_master_libmaster_a_SOURCES = \
	src/master/check.c src/master/check.h \
	src/master/control.c src/master/control.h \
	src/master/control_api.c \
	src/master/control_cluster.c \
	src/master/control_state.c \
	src/master/daemon.c src/master/daemon.h
