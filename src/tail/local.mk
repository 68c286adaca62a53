noinst_LIBRARIES += src/tail/libtail.a
src_tail_libtail_a_SOURCES = \
	src/tail/tail.c src/tail/tail.h \
	src/tail/tail_conf.c
