noinst_LIBRARIES += src/base/libbase.a
src_base_libbase_a_SOURCES = \
	src/base/buf.c src/base/buf.h \
	src/base/err.c src/base/err.h \
	src/base/log.c src/base/log.h
