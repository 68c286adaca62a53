noinst_LIBRARIES += src/vpack/libvpack.a
src_vpack_libvpack_a_SOURCES = \
	src/vpack/hash.h \
	src/vpack/rev.h \
	src/vpack/vpack.h
