noinst_LIBRARIES += src/receive/libreceive.a
src_receive_libreceive_a_SOURCES = \
	src/receive/receive.c src/receive/receive.h \
	src/receive/receive_conf.c
