noinst_LIBRARIES += src/ipc/libipc.a
src_ipc_libipc_a_SOURCES = \
	src/ipc/codec.c src/ipc/codec.h \
	src/ipc/frame.c src/ipc/frame.h \
	src/ipc/messages.c src/ipc/messages.h \
	src/ipc/peer.c src/ipc/peer.h \
	src/ipc/rules.c src/ipc/rules.h
