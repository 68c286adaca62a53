noinst_LIBRARIES += src/conf/libconf.a
src_conf_libconf_a_SOURCES = \
	src/conf/conf.c src/conf/conf.h src/conf/conf_priv.h \
	src/conf/endpoint.c \
	src/conf/dispatch.c \
	src/conf/parse.c \
	src/conf/print.c
