noinst_LIBRARIES += src/http/libhttp.a
src_http_libhttp_a_SOURCES = \
	src/http/auth.c \
	src/http/base64.c \
	src/http/client.c src/http/client.h src/http/client_priv.h \
	src/http/client_call.c \
	src/http/conn.c \
	src/http/fetch.c \
	src/http/head.c src/http/head.h \
	src/http/jwt.c src/http/jwt.h \
	src/http/ossl.h \
	src/http/request.c \
	src/http/server.c src/http/server.h src/http/server_priv.h \
	src/http/sock.c src/http/sock.h \
	src/http/status.c \
	src/http/tls.c src/http/tls.h \
	src/http/url.c src/http/url.h
