noinst_LIBRARIES += src/queue/libqueue.a
src_queue_libqueue_a_SOURCES = \
	src/queue/ack.c src/queue/ack.h \
	src/queue/codec.c src/queue/codec.h \
	src/queue/check.c src/queue/check.h \
	src/queue/dump.c \
	src/queue/format.c src/queue/format.h \
	src/queue/queue.h src/queue/queue_priv.h \
	src/queue/reader.c src/queue/reader.h \
	src/queue/recover.c \
	src/queue/retire.c \
	src/queue/room.c src/queue/room.h \
	src/queue/segment.c src/queue/segment.h \
	src/queue/set.c \
	src/queue/writer.c
