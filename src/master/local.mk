noinst_LIBRARIES += src/master/libmaster.a
src_master_libmaster_a_SOURCES = \
	src/master/control.c src/master/control.h \
	src/master/control_api.c \
	src/master/control_state.c \
	src/master/daemon.c src/master/daemon.h
