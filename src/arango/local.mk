noinst_LIBRARIES += src/arango/libarango.a
src_arango_libarango_a_SOURCES =
