noinst_LIBRARIES += src/send/libsend.a
src_send_libsend_a_SOURCES = \
	src/send/send.c src/send/send.h src/send/send_priv.h \
	src/send/send_bulk.c src/send/send_conf.c src/send/send_deliver.c \
	src/send/send_fetch.c src/send/send_idle.c src/send/send_lines.c \
	src/send/send_queue.c src/send/send_room.c \
	src/send/send_repair.c src/send/send_tail.c src/send/send_talk.c
