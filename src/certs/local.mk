noinst_LIBRARIES += src/certs/libcerts.a
src_certs_libcerts_a_SOURCES = \
	src/certs/ca.c \
	src/certs/certs.h src/certs/certs_priv.h \
	src/certs/create.c \
	src/certs/file.c \
	src/certs/pem.c
