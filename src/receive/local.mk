noinst_LIBRARIES += src/receive/libreceive.a
src_receive_libreceive_a_SOURCES = \
	src/receive/receive.c src/receive/receive.h src/receive/receive_priv.h \
	src/receive/receive_apply.c src/receive/receive_conf.c \
	src/receive/receive_fetch.c src/receive/receive_idle.c \
	src/receive/receive_inbox.c src/receive/receive_inbox.h \
	src/receive/receive_record.c src/receive/receive_record.h \
	src/receive/receive_repair.c src/receive/receive_run.c \
	src/receive/receive_state.c
