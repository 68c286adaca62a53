noinst_LIBRARIES += src/certs/libcerts.a
src_certs_libcerts_a_SOURCES =
