noinst_LIBRARIES += src/base/libbase.a
src_base_libbase_a_SOURCES = \
	src/base/buf.c src/base/buf.h \
	src/base/clock.c src/base/clock.h \
	src/base/crc32c.c src/base/crc32c.h \
	src/base/err.c src/base/err.h \
	src/base/fsx.c src/base/fsx.h \
	src/base/log.c src/base/log.h \
	src/base/map.c src/base/map.h \
	src/base/random.c src/base/random.h \
	src/base/str.c src/base/str.h
