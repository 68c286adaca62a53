noinst_LIBRARIES += src/link/liblink.a
src_link_liblink_a_SOURCES = \
	src/link/link.c src/link/link.h src/link/link_priv.h \
	src/link/link_conf.c \
	src/link/link_lane.c \
	src/link/link_mark.c \
	src/link/link_session.c
