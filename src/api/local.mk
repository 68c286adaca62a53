noinst_LIBRARIES += src/api/libapi.a
src_api_libapi_a_SOURCES = \
	src/api/api.c src/api/api.h \
	src/api/auth.c \
	src/api/call.c \
	src/api/session.c src/api/session.h src/api/session_priv.h \
	src/api/session_channel.c \
	src/api/session_peer.c \
	src/api/session_stream.c
