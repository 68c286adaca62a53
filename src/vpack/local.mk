noinst_LIBRARIES += src/vpack/libvpack.a
src_vpack_libvpack_a_SOURCES =
