noinst_LIBRARIES += src/vpack/libvpack.a
src_vpack_libvpack_a_SOURCES = \
	src/vpack/build.c \
	src/vpack/compare.c \
	src/vpack/dtoa.c \
	src/vpack/dump.c \
	src/vpack/hash.c src/vpack/hash.h \
	src/vpack/parse.c \
	src/vpack/rev.c src/vpack/rev.h \
	src/vpack/validate.c \
	src/vpack/vpack.c src/vpack/vpack.h src/vpack/vpack_priv.h
