noinst_LIBRARIES += src/ev/libev.a
src_ev_libev_a_SOURCES =
