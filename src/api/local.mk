noinst_LIBRARIES += src/api/libapi.a
src_api_libapi_a_SOURCES = \
	src/api/api.c src/api/api.h \
	src/api/auth.c \
	src/api/call.c
