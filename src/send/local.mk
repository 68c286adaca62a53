noinst_LIBRARIES += src/send/libsend.a
src_send_libsend_a_SOURCES = \
	src/send/send.c src/send/send.h \
	src/send/send_conf.c
